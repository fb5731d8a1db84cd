/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/connector/service.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/http/server.h"

#define KEY_MARK "@KEY@"

enum { BODY_MAX = 2 << 20 };

static void keep_header(void *user, const char *name, const char *value)
{
    struct fake_service *service = user;

    buf_format(&service->headers, "%s: %s\n", name, value);
}

/* Append `text` with all `what` in it put as `with`. */
static void put_with(struct buf *out, const char *text, const char *what,
                     const char *with)
{
    for (const char *at; *what && (at = strstr(text, what)); text = at + strlen(what)) {
        buf_add(out, text, (size_t)(at - text));
        buf_text(out, with);
    }
    buf_text(out, text);
}

static void keep(struct fake_service *service, const struct http_request *request)
{
    size_t n;
    const void *body = http_body(request, &n);

    service->requests++;
    buf_format(&service->seen, "%s ", http_method(request));
    put_with(&service->seen, http_target(request), service->key, KEY_MARK);
    buf_text(&service->seen, "\n");
    snprintf(service->method, sizeof(service->method), "%s", http_method(request));
    buf_clear(&service->target);
    buf_text(&service->target, http_target(request));
    buf_clear(&service->headers);
    http_each_header(request, keep_header, service);
    buf_clear(&service->body);
    if (n)
        buf_add(&service->body, body, n);
}

static void on_request(void *user, struct http_request *request)
{
    struct fake_service *service = user;
    const struct service_answer *a = service->next < service->n_script
                                         ? &service->script[service->next++]
                                         : &service->answer;
    const struct http_header headers[] = {
        {a->retry_after ? "Retry-After" : NULL, a->retry_after}, {NULL, NULL}};
    struct buf body = BUF_NULL;

    put_with(&body, a->body ? a->body : "{}", KEY_MARK, service->key);
    const struct http_reply reply = {.status = a->status,
                                     .content_type = "application/json",
                                     .body = buf_str(&body),
                                     .body_len = body.len,
                                     .headers = headers};
    keep(service, request);
    if (!a->is_cut) {
        http_reply(request, &reply);
    } else {
        http_stream_start(request, &reply); /* a head, and then nothing */
        http_stream_end(request, /* abort= */ true);
    }
    buf_fini(&body);
}

int service_open(struct fake_service *service, struct loop *loop, char *error,
                 size_t error_size)
{
    *service = (struct fake_service){.answer.status = 200};
    service->server =
        http_server_new(loop,
                        &(struct http_server_options){.address = "127.0.0.1",
                                                      .body_max = BODY_MAX,
                                                      .on_request = on_request,
                                                      .user = service},
                        error, error_size);
    return service->server ? 0 : -1;
}

void service_close(struct fake_service *service)
{
    http_server_free(service->server);
    buf_fini(&service->seen);
    buf_fini(&service->target);
    buf_fini(&service->headers);
    buf_fini(&service->body);
    *service = (struct fake_service){0};
}

void service_header(const struct fake_service *service, const char *name, char *ret,
                    size_t size)
{
    const char *at = service->headers.len ? (const char *)service->headers.bytes : "";
    size_t n = strlen(name);

    ret[0] = 0;
    for (; *at; at += strcspn(at, "\n") + 1)
        if (strncasecmp(at, name, n) == 0 && at[n] == ':')
            snprintf(ret, size, "%.*s", (int)strcspn(at + n + 2, "\n"), at + n + 2);
}

void service_play(struct fake_service *service, const struct service_answer *script,
                  unsigned n)
{
    if (n)
        memcpy(service->script, script, n * sizeof(*script));
    service->n_script = n;
    service->next = 0;
    buf_clear(&service->seen);
}

void service_seen(const struct fake_service *service, unsigned index, char *ret,
                  size_t size)
{
    const char *at = service->seen.len ? (const char *)service->seen.bytes : "";

    for (; *at && index; index--)
        at += strcspn(at, "\n") + 1;
    snprintf(ret, size, "%.*s", (int)strcspn(at, "\n"), at);
}
