/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/problem.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/http/server.h"

enum { HEADERS_MAX = 4 };

static void reply_document(struct http_request *request, unsigned error,
                           const char *detail, uint32_t retry_after_ms,
                           struct json *document, const char *allowed)
{
    const struct error_info *info = error_info(error);
    js_set_text(document, "type", "about:blank");
    js_set_text(document, "title", info->sentence);
    js_set_int(document, "status", info->http_status);
    js_set_text(document, "code", info->name);
    js_set_text(document, "detail", detail);
    char seconds[16];
    snprintf(seconds, sizeof(seconds), "%u", (retry_after_ms + 999) / 1000);
    struct http_header headers[HEADERS_MAX] = {{NULL, NULL}};
    size_t n = 0;
    if (retry_after_ms)
        headers[n++] = (struct http_header){"Retry-After", seconds};
    if (allowed)
        headers[n++] = (struct http_header){"Allow", allowed};
    if (error == ERR_unauthorized)
        headers[n++] = (struct http_header){"WWW-Authenticate", "Bearer"};
    struct buf body = {0};
    js_write(document, 0, &body);
    struct http_reply reply = {(unsigned)info->http_status, "application/problem+json",
                               body.bytes, body.len, headers};
    http_reply(request, &reply);
    buf_fini(&body);
    js_free(document);
}

void problem_reply(struct http_request *request, unsigned error, const char *detail,
                   uint32_t retry_after_ms)
{
    reply_document(request, error, detail, retry_after_ms, js_object(), NULL);
}

void problem_reply_with(struct http_request *request, unsigned error, const char *detail,
                        uint32_t retry_after_ms, struct json *members)
{
    reply_document(request, error, detail, retry_after_ms, members, NULL);
}

void problem_reply_method(struct http_request *request, const char *allowed)
{
    reply_document(request, ERR_method_not_allowed, NULL, 0, js_object(), allowed);
}

void problem_fill(unsigned status, struct http_reply *ret_reply)
{
    static char body[256]; /* the server sends it before it asks for another */
    unsigned error = status == 413   ? ERR_body_too_large
                     : status == 503 ? ERR_shutting_down
                                     : ERR_bad_request;
    const struct error_info *info = error_info(error);
    int n = snprintf(
        body, sizeof(body),
        "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,\"code\":\"%s\"}",
        info->sentence, status, info->name);
    ret_reply->content_type = "application/problem+json";
    ret_reply->body = body;
    ret_reply->body_len = (size_t)n;
}

void answer_json(struct http_request *request, unsigned status, struct json *value,
                 const char *location)
{
    answer_as(request, status, "application/json", value, location);
}

void answer_as(struct http_request *request, unsigned status, const char *type,
               struct json *value, const char *location)
{
    const struct http_header headers[] = {{location ? "Location" : NULL, location},
                                          {NULL, NULL}};
    struct buf body = {0};
    js_write(value, 0, &body);
    struct http_reply reply = {status, type, body.bytes, body.len, headers};
    http_reply(request, &reply);
    buf_fini(&body);
    js_free(value);
}
