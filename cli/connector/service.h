/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* service - what the connector under check calls: it keeps the last request and answers
 * as it is told */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct http_server;
struct loop;

struct service_answer {
    unsigned status;
    const char *body; /* JSON; borrowed until the answer is another */
    const char *retry_after;
    bool is_cut; /* the request is taken, and no answer comes */
};

struct fake_service {
    struct http_server *server;
    struct service_answer answer;
    unsigned requests; /* seen so far */
    /* of the last one */
    char method[16];
    struct buf target, headers /* "Name: value\n" each */, body;
};

/* On a free port of loopback; 0, or -1 with the reason. */
int service_open(struct fake_service *service, struct loop *loop, char *error,
                 size_t error_size);
void service_close(struct fake_service *service);
/* The value of a header of the last request, in `ret`; "" when absent. */
void service_header(const struct fake_service *service, const char *name, char *ret,
                    size_t size);
