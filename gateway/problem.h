/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* problem - errors as RFC 9457 documents with a stable code, from proto/errors.def; those
 * of 5xx have their reason in gateway/outages.def */
#pragma once
#include <stdint.h>

#include "proto/message.h"

struct http_request;
struct http_reply;
struct json;

/* Answer with the document of an error; detail may be NULL. retry_after_ms 0: a second
 * where the error says that it may be tried again, else no Retry-After. */
void problem_reply(struct http_request *request, unsigned error, const char *detail,
                   uint32_t retry_after_ms);
/* The same with further members, which are taken over. */
void problem_reply_with(struct http_request *request, unsigned error, const char *detail,
                        uint32_t retry_after_ms, struct json *members);
/* 405 with what is allowed. */
void problem_reply_method(struct http_request *request, const char *allowed);
/* The body of an answer that the HTTP server gives by itself. */
void problem_fill(unsigned status, struct http_reply *ret_reply);

/* Answer with a JSON value under a media type of its own; the value is taken over.
 * location may be NULL. */
void answer_as(struct http_request *request, unsigned status, const char *type,
               struct json *value, const char *location);
/* Answer with a JSON value, which is taken over. location may be NULL. */
void answer_json(struct http_request *request, unsigned status, struct json *value,
                 const char *location);
