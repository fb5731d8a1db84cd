/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/problem.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/http/server.h"

enum { HEADERS_MAX = 4, RETRY_MS = 1000, SECONDS_SIZE = 16 };

/* What then, of an answer of 5xx. NULL: it is none, or has no row. */
static const char *advice(unsigned error)
{
    static const struct {
        unsigned error;
        const char *then;
    } outages[] = {
#define OUTAGE(name, when, then) {ERR_##name, then},
#include "gateway/outages.def"
#undef OUTAGE
    };
    for (size_t i = 0; i < sizeof(outages) / sizeof(outages[0]); i++)
        if (outages[i].error == error)
            return outages[i].then;
    return NULL;
}

/* The value of Retry-After; false when it does not help to try again. */
static bool retry_seconds(unsigned error, uint32_t after_ms, char ret[SECONDS_SIZE])
{
    if (!after_ms && error_info(error)->may_retry)
        after_ms = RETRY_MS;
    snprintf(ret, SECONDS_SIZE, "%u", (after_ms + 999) / 1000);
    return after_ms > 0;
}

static void reply_document(struct http_request *request, unsigned error,
                           const char *detail, uint32_t retry_after_ms,
                           struct json *document, const char *allowed)
{
    const struct error_info *info = error_info(error);
    js_set_text(document, "type", "about:blank");
    js_set_text(document, "title", info->sentence);
    js_set_int(document, "status", info->http_status);
    js_set_text(document, "code", info->name);
    js_set_text(document, "detail", detail ? detail : advice(error));
    char seconds[SECONDS_SIZE];
    struct http_header headers[HEADERS_MAX] = {{NULL, NULL}};
    size_t n = 0;
    if (retry_seconds(error, retry_after_ms, seconds))
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
    /* The server sends them before it asks for another. */
    static char body[512], seconds[SECONDS_SIZE];
    static struct http_header headers[2];
    unsigned error = status == 413   ? ERR_body_too_large
                     : status == 503 ? ERR_shutting_down
                                     : ERR_bad_request;
    const struct error_info *info = error_info(error);
    const char *then = advice(error);
    int n = snprintf(body, sizeof(body),
                     "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
                     "\"code\":\"%s\"%s%s%s}",
                     info->sentence, status, info->name, then ? ",\"detail\":\"" : "",
                     then ? then : "", then ? "\"" : "");
    headers[0] = (struct http_header){
        retry_seconds(error, 0, seconds) ? "Retry-After" : NULL, seconds};
    ret_reply->headers = headers;
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
