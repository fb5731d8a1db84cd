/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* call - one call of a client while it lasts, a part of client.c: its answer as it comes,
 * and what became of it */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include <curl/curl.h>

#include "lib/base/buf.h"
#include "lib/http/client.h"

struct mail;

struct http_call {
    struct http_client *client;
    struct http_call *prev, *next; /* running, or idle (next only) */
    CURL *easy;
    struct curl_slist *request_headers;
    char *method;      /* libcurl reads it while the call runs */
    struct mail *mail; /* NULL: HTTP */
    size_t answer_max;
    struct http_tap tap;
    struct buf body;
    struct buf headers; /* "name\0value\0"... of the final answer */
    size_t header_bytes;
    unsigned n_headers;
    bool was_ready; /* connected, TLS and all: from here on bytes may have gone out */
    bool allow_private_network, is_forbidden, is_too_large;
    bool
        has_all_headers; /* libcurl takes a connection closed inside them for their end */
    enum http_result result;
    unsigned status;
    char error[160];
    void (*on_done)(void *user, const struct http_call *call);
    void *user;
};

/* Take the answer's headers and body as they come. */
void call_take_answer(struct http_call *call);
/* The result, status and error of libcurl's code. */
void call_judge(struct http_call *call, CURLcode code);
