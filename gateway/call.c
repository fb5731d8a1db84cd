/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A call is published with the wish for its outcome and then waits under the name (batch,
 * index).  Whoever cannot be answered that way - the key came before, or the broker was
 * started anew meanwhile - looks into the log, and registers under a name of its own,
 * made with the highest bit set, if there is no outcome yet. */
#include "gateway/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/gateway.h"
#include "gateway/header.h"
#include "gateway/hold.h"
#include "gateway/key.h"
#include "gateway/problem.h"
#include "gateway/query.h"
#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/ledger/ledger.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "proto/attrs.h"
#include "proto/record.h"

enum {
    WAIT_DEFAULT_US = 10 * 1000 * 1000,
    WAIT_MAX_US = 300 * 1000 * 1000,
    BUCKETS = 4096,
};

static const uint64_t own_ref = UINT64_C(1) << 63;

struct call {
    struct pending pending;
    struct calls *calls;
    struct call *previous, *next; /* in its bucket */
    bool is_waiting;              /* in a bucket */
    uint64_t ref;
    uint32_t index;
    uint8_t id[16];    /* of the request; of the first one under a key that came before */
    uint64_t until_us; /* steady */
    uint64_t wait_us;
    struct loop_timer *timer;
};

struct calls {
    struct gateway *gateway;
    struct call *buckets[BUCKETS];
    uint64_t last_ref;
};

/* --- who waits under which name --- */

static struct call **bucket(struct calls *calls, uint64_t ref, uint32_t index)
{
    return &calls->buckets[(ref * 31 + index) % BUCKETS];
}

static void enter(struct call *call, uint64_t ref, uint32_t index)
{
    struct call **head = bucket(call->calls, ref, index);
    call->ref = ref;
    call->index = index;
    call->previous = NULL;
    call->next = *head;
    if (*head)
        (*head)->previous = call;
    *head = call;
    call->is_waiting = true;
}

static void leave(struct call *call)
{
    if (!call->is_waiting)
        return;
    *(call->previous ? &call->previous->next
                     : bucket(call->calls, call->ref, call->index)) = call->next;
    if (call->next)
        call->next->previous = call->previous;
    call->is_waiting = false;
}

static struct call *find(struct calls *calls, uint64_t ref, uint32_t index)
{
    for (struct call *c = *bucket(calls, ref, index); c; c = c->next)
        if (c->ref == ref && c->index == index)
            return c;
    return NULL;
}

static void call_free(struct call *call)
{
    leave(call);
    loop_timer_free(call->timer);
    free(call);
}

/* --- answering --- */

static void set_attrs(struct json *body, const struct record *outcome)
{
    const enum attr texts[] = {ATTR_ERROR_MSG, ATTR_CURRENCY, ATTR_COST_KIND,
                               ATTR_SERVICE};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        _free_ char *text =
            attrs_copy_text(record_attrs(outcome), outcome->attr_len, texts[i]);
        js_set_text(body, attr_name(texts[i]), text);
    }
    int64_t cost;
    if (attrs_find_int(record_attrs(outcome), outcome->attr_len, ATTR_COST, &cost))
        js_set_int(body, "cost", cost);
}

static void set_data(struct json *body, const struct record *outcome)
{
    const char *bytes = (const char *)record_data(outcome);
    struct json *data = NULL;
    if (outcome->data_len == 0)
        return;
    if (outcome->flags & RECORD_JSON)
        data = js_parse(bytes, outcome->data_len, (char[64]){0}, 64);
    if (!data && !memchr(bytes, 0, outcome->data_len))
        data = js_from_text(bytes, outcome->data_len);
    if (data) {
        js_set(body, "data", data);
        return;
    }
    struct buf encoded = {0};
    text_base64(record_data(outcome), outcome->data_len, &encoded);
    js_set_text(body, "data_base64", buf_str(&encoded));
    buf_fini(&encoded);
}

/* The outcome of the request `id` as a caller sees it. */
static struct json *outcome_json(const uint8_t id[16], const struct record *outcome,
                                 uint64_t timestamp_us)
{
    char text[ID_TEXT_SIZE], time[TEXT_TIME_SIZE];
    _free_ char *type = mem_copy(record_type(outcome), outcome->type_len);
    struct json *body = js_object();
    id_format(id, text);
    js_set_text(body, "id", text);
    js_set_text(body, "status", status_name(outcome->status));
    js_set_text(body, "type", type);
    text_time(timestamp_us, time);
    js_set_text(body, "timestamp", timestamp_us ? time : NULL);
    js_set_int(body, "attempt", outcome->attempt);
    set_attrs(body, outcome);
    set_data(body, outcome);
    return body;
}

static void reply_outcome(struct call *call, const struct record *outcome,
                          uint64_t timestamp_us)
{
    struct http_request *request = call->pending.request;
    if (!request)
        return;
    struct json *body = outcome_json(call->id, outcome, timestamp_us);
    if (outcome->status == STATUS_SUCCESS) {
        answer_json(request, 200, body, NULL);
        return;
    }
    /* `type` and `status` are the problem's own: the outcome's stand beside them. */
    js_set(body, "event_type", js_copy(js_get(body, "type")));
    js_set_text(body, "outcome", status_name(outcome->status));
    js_set_text(body, "class", class_name(outcome->error_class));
    js_set_text(body, "class_meaning", class_sentence(outcome->error_class));
    _free_ char *why = mem_text(js_text(body, "error_msg", NULL));
    problem_reply_with(request, ERR_call_failed, why, 0, body);
}

/* Not settled: 202 and where to look. */
static void reply_running(struct call *call)
{
    char text[ID_TEXT_SIZE];
    if (!call->pending.request)
        return;
    id_format(call->id, text);
    _free_ char *location = mem_format("/v1/events/%s", text);
    struct json *body = js_object();
    js_set_text(body, "id", text);
    js_set_text(body, "status", status_name(STATUS_PENDING));
    answer_json(call->pending.request, 202, body, location);
}

/* --- the log as the other source --- */

struct look {
    struct call *call;
    bool is_found, is_settled;
    struct position position;
};

static bool take_row(void *user, const struct ledger_row *row)
{
    struct look *look = user;
    look->is_found = true;
    look->position = row->position;
    look->is_settled = row->outcome != NULL;
    if (row->outcome)
        reply_outcome(look->call, row->outcome, row->settled_us);
    return false;
}

/* Answer from the log if the outcome is there. */
static struct look look_up(struct call *call)
{
    struct look look = {.call = call};
    char text[ID_TEXT_SIZE];
    struct ledger *ledger = gateway_ledger(call->calls->gateway, (char[128]){0}, 128);
    id_format(call->id, text);
    if (ledger)
        ledger_find(ledger, text, take_row, &look);
    return look;
}

/* The time is up, or there is no way to wait: the last word is the log's. */
static void finish(struct call *call)
{
    leave(call);
    if (!look_up(call).is_settled)
        reply_running(call);
    call_free(call);
}

static void on_time(void *user)
{
    finish(user);
}

/* Wait for the outcome of the request at a position, in the name of a new ref. */
static void wait_at(struct call *call, struct position position)
{
    struct calls *calls = call->calls;
    leave(call);
    enter(call, own_ref | ++calls->last_ref, 0);
    peer_wait(calls->gateway->peer, position, call->ref);
}

static void start_timer(struct call *call)
{
    struct loop *loop = call->calls->gateway->loop;
    uint64_t now_us = loop_steady_us(loop);
    if (!call->timer)
        call->timer = loop_timer_new(loop, on_time, call);
    loop_timer_in(call->timer, call->until_us > now_us ? call->until_us - now_us : 0);
}

/* --- from the bus --- */

void calls_outcome(struct calls *calls, uint64_t ref, uint32_t index,
                   const struct slice *slice, const struct record *outcome)
{
    struct call *call = find(calls, ref, ref & own_ref ? 0 : index);
    if (!call)
        return; /* it was answered with 202 */
    reply_outcome(call, outcome, slice->timestamp_us);
    call_free(call);
}

/* Answer all that wait under this ref, of whatever index (0: all), and have their outcome
 * in the log. */
static void answer_settled(struct calls *calls, uint64_t ref)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct call *call = calls->buckets[i], *next; call; call = next) {
            next = call->next;
            if ((ref == 0 || call->ref == ref) && look_up(call).is_settled)
                call_free(call);
        }
}

void calls_wait_refused(struct calls *calls, uint64_t ref)
{
    answer_settled(calls, ref); /* for the others the timer has the last word */
}

/* The peer registers again by itself; what was settled meanwhile is in the log. */
void calls_rejoined(struct calls *calls)
{
    answer_settled(calls, 0);
}

/* The broker does not know any more that this one waits: what the log says, or wait under
 * another name. */
static void wait_anew(struct call *call)
{
    struct look look = look_up(call);
    if (look.is_settled)
        call_free(call);
    else if (look.is_found)
        wait_at(call, look.position);
    else if (!call->is_waiting) /* not in the log yet: until its time is up */
        enter(call, own_ref | ++call->calls->last_ref, 0);
}

/* --- committed --- */

static void duplicate(struct call *call, const struct verdict *verdict)
{
    memcpy(call->id, verdict->first_id, 16);
    if (look_up(call).is_settled) {
        call_free(call);
        return;
    }
    if (call->wait_us == 0) {
        finish(call);
        return;
    }
    wait_at(call, (struct position){verdict->block, (uint32_t)verdict->position});
    start_timer(call);
}

static void on_committed(void *user, const struct hold_result *result)
{
    struct call *call = user;
    const struct verdict *verdict = result->verdicts ? result->verdicts[0] : NULL;
    gateway_note_refusal(call->calls->gateway, result->error);
    if (!call->pending.request) {
        call_free(call);
    } else if (result->error) {
        problem_reply(call->pending.request, result->error, result->detail,
                      result->retry_after_ms);
        call_free(call);
    } else if (verdict && verdict->code == VERDICT_CONFLICT) {
        problem_reply(call->pending.request, ERR_idempotency_conflict, NULL, 0);
        call_free(call);
    } else if (verdict) {
        duplicate(call, verdict);
    } else if (call->wait_us == 0) {
        reply_running(call);
        call_free(call);
    } else {
        start_timer(call);
        enter(call, result->batch, result->first);
        if (result->is_place_unknown)
            wait_anew(call);
    }
}

/* --- starting --- */

struct call_options {
    char type[RECORD_TYPE_MAX + 1];
    const char *integration, *key, *idempotency_key;
    const char *traceparent, *tracestate; /* NULL unless they are as the standard says */
    uint64_t wait_us, deadline_us;
    const char *data;
    size_t data_len;
};

static bool known_integration(const struct gateway *gateway, const char *name)
{
    return !name || config_integration(gateway->config, name) != NULL;
}

/* A duration from now or a time. */
static bool parse_deadline(const char *text, uint64_t now_us, uint64_t *ret_us)
{
    uint64_t us;
    if (text_parse_duration(text, &us)) {
        *ret_us = now_us + us;
        return true;
    }
    return query_time(text, ret_us);
}

static bool is_json(const char *bytes, size_t n, char *why, size_t why_size)
{
    struct json *value = js_parse(bytes, n, why, why_size);
    js_free(value);
    return value != NULL;
}

static unsigned read_times(const struct gateway *gateway, struct http_request *request,
                           struct call_options *o, char *why, size_t why_size)
{
    const char *wait = http_query(request, "wait"),
               *deadline = http_query(request, "deadline");
    uint64_t now_us = loop_wall_us(gateway->loop);
    o->wait_us = WAIT_DEFAULT_US;
    if (wait && (!text_parse_duration(wait, &o->wait_us) || o->wait_us > WAIT_MAX_US)) {
        snprintf(why, why_size, "wait is a duration up to 5m, such as 10s");
        return ERR_bad_request;
    }
    o->deadline_us = o->wait_us ? now_us + o->wait_us : 0; /* 0: the integration's */
    if (deadline && !parse_deadline(deadline, now_us, &o->deadline_us)) {
        snprintf(why, why_size,
                 "deadline is a duration such as 24h, or a time of RFC 3339");
        return ERR_bad_request;
    }
    return deadline && o->deadline_us <= now_us ? ERR_deadline_too_short : 0;
}

static unsigned read_options(const struct gateway *gateway, struct http_request *request,
                             const char *const *params, struct call_options *o, char *why,
                             size_t why_size)
{
    int n = snprintf(o->type, sizeof(o->type), "%s.%s.requested", params[0], params[1]);
    o->integration = http_query(request, "integration");
    o->key = http_query(request, "key");
    if (!o->key)
        o->key = http_header(request, "Ordering-Key");
    o->idempotency_key = http_header(request, "Idempotency-Key");
    o->traceparent = header_traceparent(request);
    o->tracestate = header_tracestate(request);
    o->data = http_body(request, &o->data_len);
    if (n > RECORD_TYPE_MAX || !text_is_type(o->type, (size_t)n)) {
        snprintf(why, why_size, "connector and operation are of a-z 0-9 _ -");
        return ERR_bad_request;
    }
    if (!known_integration(gateway, o->integration)) {
        snprintf(why, why_size, "no integration is named %.64s", o->integration);
        return ERR_no_integration;
    }
    if ((o->key && strlen(o->key) > HEADER_KEY_MAX) ||
        (o->idempotency_key &&
         (!*o->idempotency_key || strlen(o->idempotency_key) > HEADER_KEY_MAX))) {
        snprintf(why, why_size, "a key has 1 to 255 characters");
        return ERR_bad_request;
    }
    if (o->data_len == 0) {
        o->data = "{}";
        o->data_len = 2;
    } else if (!is_json(o->data, o->data_len, why, why_size)) {
        return ERR_bad_request;
    }
    return read_times(gateway, request, o, why, why_size);
}

static uint64_t content_hash(const struct call_options *o)
{
    struct buf all = {0};
    buf_add(&all, o->type, strlen(o->type) + 1);
    buf_text(&all, o->integration ? o->integration : "");
    buf_add(&all, "", 1);
    buf_add(&all, o->data, o->data_len);
    uint64_t hash = hash64(all.bytes, all.len);
    buf_fini(&all);
    return hash;
}

static unsigned build(const struct gateway *gateway, const struct call *call,
                      const struct call_options *o, struct buf *out)
{
    struct buf attrs = {0};
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_TRACEPARENT, o->traceparent);
    attrs_text(&attrs, ATTR_TRACESTATE, o->tracestate);
    attrs_text(&attrs, ATTR_IDEMPOTENCY_KEY, o->idempotency_key);
    if (o->idempotency_key) {
        _free_ char *scope = mem_format("token:%s", gateway->caller->name);
        key_add(gateway, out, scope, o->idempotency_key, strlen(o->idempotency_key),
                content_hash(o));
    }
    struct record_parts parts = {
        .kind = RECORD_REQUEST,
        .flags = RECORD_JSON,
        .type = o->type,
        .id = call->id,
        .key = o->key,
        .deadline_us = o->deadline_us,
        .integration = o->integration ? integration_hash(o->integration) : 0,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = o->data,
        .data_len = o->data_len,
    };
    long at = record_add(out, &parts);
    buf_fini(&attrs);
    return at < 0 ? ERR_event_too_large : 0;
}

static unsigned submit(struct gateway *gateway, struct call *call,
                       const struct call_options *o)
{
    struct buf records = {0};
    unsigned error = build(gateway, call, o, &records);
    if (!error && !hold_add(gateway->hold, records.bytes, records.len, 1, o->wait_us > 0,
                            on_committed, call))
        error = ERR_overloaded;
    buf_fini(&records);
    return error;
}

void call_start(struct gateway *gateway, struct http_request *request,
                const char *const *params)
{
    struct call_options options = {0};
    char why[192] = "";
    unsigned error = read_options(gateway, request, params, &options, why, sizeof(why));
    if (error) {
        problem_reply(request, error, why[0] ? why : NULL, 0);
        return;
    }
    struct call *call = mem_alloc(sizeof(*call));
    call->pending.request = request;
    call->calls = gateway->calls;
    call->wait_us = options.wait_us;
    call->until_us = loop_steady_us(gateway->loop) + options.wait_us;
    id_new(loop_wall_us(gateway->loop), call->id);
    error = submit(gateway, call, &options);
    if (!error) {
        http_set_user(request, call);
        return;
    }
    problem_reply(request, error, NULL, 0);
    call_free(call);
}

/* --- life --- */

struct calls *calls_new(struct gateway *gateway)
{
    struct calls *calls = mem_alloc(sizeof(*calls));
    calls->gateway = gateway;
    return calls;
}

void calls_stop(struct calls *calls)
{
    for (size_t i = 0; i < BUCKETS; i++)
        while (calls->buckets[i])
            finish(calls->buckets[i]);
}

void calls_free(struct calls *calls)
{
    if (!calls)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        while (calls->buckets[i])
            call_free(calls->buckets[i]);
    free(calls);
}
