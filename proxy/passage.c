/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proxy/passage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "lib/sdk/veil.h"
#include "proto/attrs.h"
#include "proto/record.h"
#include "proxy/rules.h"

struct passage *passage_new(struct http_request *request, struct target *target,
                            const struct veil *veil)
{
    struct passage *p = mem_alloc(sizeof(*p));

    p->request = request;
    p->target = *target;
    p->veil = veil;
    p->since_us = clock_steady_us();
    p->is_head = strcmp(http_method(request), "HEAD") == 0;
    *target = (struct target){0};
    return p;
}

void passage_free(struct passage *p)
{
    target_fini(&p->target);
    buf_fini(&p->head);
    if (p->held.bytes)
        explicit_bzero(p->held.bytes, p->held.cap);
    buf_fini(&p->held);
    usage_fini(&p->usage);
    free(p);
}

/* --- our own words --- */

/* Where the SDKs look for a message: error.message (Stripe, OpenAI, Anthropic), message
 * (Resend), errors[0].message (SendGrid). */
static void write_words(unsigned status, const char *code, const char *message,
                        struct buf *out)
{
    struct json *body = js_object(), *error = js_object(), *list = js_array();

    js_set_text(js_set_text(error, "type", "signalbox_proxy"), "code", code);
    js_set_text(error, "message", message);
    js_push(list, js_set_text(js_object(), "message", message));
    js_set_text(js_set_text(body, "type", "error"), "name", code);
    js_set_text(js_set_int(body, "statusCode", status), "message", message);
    js_set(js_set(body, "error", error), "errors", list);
    js_write(body, 0, out);
    js_free(body);
}

void passage_say(struct http_request *request, unsigned status, const char *code,
                 const char *message)
{
    const struct http_header headers[] = {
        {status == 503 ? "Retry-After" : "Cache-Control",
         status == 503 ? "1" : "no-store"},
        {NULL, NULL}};
    struct buf body = BUF_NULL;

    write_words(status, code, message, &body);
    http_reply(request, &(struct http_reply){.status = status,
                                             .content_type = "application/json",
                                             .body = body.bytes,
                                             .body_len = body.len,
                                             .headers = headers});
    buf_fini(&body);
}

/* --- the answer as it comes --- */

static void on_head(void *user, const struct http_call *call)
{
    struct passage *p = user;
    struct http_field field;
    unsigned n = 0;

    p->status = http_call_status(call);
    p->first_us = clock_steady_us() - p->since_us;
    const char *type = http_call_header(call, "Content-Type");
    p->is_events = type && strncasecmp(type, "text/event-stream", 17) == 0;
    p->due_us = 0; /* bytes came */
    for (size_t i = 0; http_call_field(call, i, &field) && n < PASSAGE_HEADERS_MAX; i++)
        if (rule_answers(field.name)) {
            buf_add(&p->head, field.name, strlen(field.name) + 1);
            buf_add(&p->head, field.value, strlen(field.value) + 1);
            veil_cover(p->veil,
                       (char *)p->head.bytes + p->head.len - strlen(field.value) - 1,
                       strlen(field.value));
            n++;
        }
}

/* The head as the server takes it: `headers` is of PASSAGE_HEADERS_MAX + 2. */
static struct http_reply head_of(const struct passage *p, const char *id,
                                 struct http_header *headers)
{
    struct http_reply reply = {.status = p->status, .headers = headers};
    const char *at = (const char *)p->head.bytes, *end = at ? at + p->head.len : NULL;
    size_t n = 0;

    headers[n++] = (struct http_header){"signalbox-event", id};
    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (strcasecmp(at, "Content-Type") == 0)
            reply.content_type = value;
        else
            headers[n++] = (struct http_header){at, value};
        at = value + strlen(value) + 1;
    }
    headers[n] = (struct http_header){NULL, NULL};
    return reply;
}

static bool has_body(const struct passage *p)
{
    return !p->is_head && p->status != 204 && p->status != 304;
}

static void start_stream(struct passage *p)
{
    struct http_header headers[PASSAGE_HEADERS_MAX + 2];
    char id[ID_TEXT_SIZE];

    id_format(p->id, id);
    struct http_reply head = head_of(p, id, headers);
    p->is_streaming = true;
    http_stream_start(p->request, &head);
}

/* A piece goes on with what was held back before it, and without what may be the
 * beginning of the credential: that waits for the next one. False: the application is too
 * far behind, and the piece comes again. */
static bool pass_on(struct passage *p, const void *bytes, size_t n, bool is_last)
{
    struct buf out = BUF_NULL;

    buf_add(&out, p->held.bytes ? p->held.bytes : (const uint8_t *)"", p->held.len);
    buf_add(&out, bytes, n);
    char *text = (char *)out.bytes;
    size_t keep = is_last ? 0 : veil_held(p->veil, text, out.len);
    veil_cover(p->veil, text, out.len - keep);
    bool is_taken =
        out.len == keep || http_stream_write(p->request, text, out.len - keep);
    if (is_taken) {
        buf_clear(&p->held);
        buf_add(&p->held, text + out.len - keep, keep);
    }
    explicit_bzero(text, out.len);
    buf_fini(&out);
    return is_taken;
}

static bool on_body(void *user, const void *bytes, size_t n)
{
    struct passage *p = user;

    p->due_us = 0;
    if (p->request && !p->is_streaming && has_body(p))
        start_stream(p);
    if (p->request && p->is_streaming && !pass_on(p, bytes, n, /* is_last= */ false)) {
        p->is_paused = true;
        return false;
    }
    p->bytes += n;
    if (p->is_events)
        usage_hear(&p->usage, bytes, n);
    return true;
}

struct http_tap passage_tap(struct passage *p)
{
    return (struct http_tap){.on_head = on_head, .on_body = on_body, .user = p};
}

/* --- the end --- */

/* What the log says of a request that has no answer of the provider's. */
static void say_outcome(struct http_request *request, const struct record *outcome)
{
    static const struct {
        enum record_class class;
        unsigned status;
        const char *code;
    } rows[] = {
        {CLASS_deadline, 503, "not_started"}, {CLASS_budget, 429, "budget_spent"},
        {CLASS_cancelled, 503, "cancelled"},  {CLASS_exhausted, 502, "not_answered"},
        {CLASS_unknown, 502, "unknown"},      {CLASS_permanent, 502, "failed"},
    };
    size_t i = 0, last = sizeof(rows) / sizeof(rows[0]) - 1;
    _free_ char *why = outcome ? attrs_copy_text(record_attrs(outcome), outcome->attr_len,
                                                 ATTR_ERROR_MSG)
                               : NULL;

    while (i < last && (!outcome || rows[i].class != outcome->error_class))
        i++;
    passage_say(request, rows[i].status, rows[i].code,
                why ? why : "signalbox could not make the call; its log has the reason");
}

/* All of an answer that has no body, or none that came. */
static void reply_head(struct passage *p)
{
    struct http_header headers[PASSAGE_HEADERS_MAX + 2];
    char id[ID_TEXT_SIZE];

    id_format(p->id, id);
    struct http_reply reply = head_of(p, id, headers);
    http_reply(p->request, &reply);
}

void passage_finish(struct passage *p, const struct record *outcome)
{
    struct http_request *request = p->request;

    if (!request)
        return;
    http_set_user(request, NULL);
    if (p->is_streaming && p->held.len && !pass_on(p, "", 0, /* is_last= */ true))
        p->is_whole = false; /* too far behind for its last bytes */
    if (p->is_streaming)
        http_stream_end(request, /* abort= */ !p->is_whole);
    else if (p->is_whole)
        reply_head(p);
    else
        say_outcome(request, outcome);
    p->request = NULL;
}
