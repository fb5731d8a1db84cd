/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A call is published with the wish for its outcome and then waits under the name (batch,
 * index).  Whoever cannot be answered that way - the key came before, or the broker was
 * started anew meanwhile - looks into the log, and registers under a name of its own,
 * made with the highest bit set, if there is no outcome yet. */
#include "gateway/call.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/call_request.h"
#include "gateway/gateway.h"
#include "gateway/hold.h"
#include "gateway/outcome.h"
#include "gateway/problem.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "lib/ledger/ledger.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "proto/record.h"

enum { BUCKETS = 4096 };

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

static void reply_outcome(const struct call *call, const struct record *outcome,
                          uint64_t timestamp_us)
{
    if (call->pending.request)
        outcome_reply(call->pending.request, call->id, outcome, timestamp_us);
}

static void reply_running(const struct call *call)
{
    if (call->pending.request)
        outcome_reply_running(call->pending.request, call->id);
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
    } else if (result->error == ERR_deadline_too_short) {
        /* It lay ahead when the call came: the time went by here, the broker being away.
         */
        problem_reply(
            call->pending.request, ERR_unavailable,
            "its deadline passed before it could be committed; nothing was done", 0);
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

/* How long its caller waits. Where no attempt may start any more when the wait is over,
 * the broker's word on that is worth CALL_VERDICT_US more: 202 would say that it runs. */
static uint64_t patience_us(const struct gateway *gateway, const struct call_request *r)
{
    uint64_t now_us = loop_wall_us(gateway->loop);
    uint64_t left_us = r->deadline_us > now_us ? r->deadline_us - now_us : 0;
    bool is_over = r->wait_us && r->deadline_us && left_us <= r->wait_us;
    return is_over && left_us + CALL_VERDICT_US > r->wait_us ? left_us + CALL_VERDICT_US
                                                             : r->wait_us;
}

static unsigned submit(struct gateway *gateway, struct call *call,
                       const struct call_request *asked)
{
    struct buf records = {0};
    unsigned error = call_request_write(gateway, asked, call->id, &records);
    if (!error && !hold_add(gateway->hold, records.bytes, records.len, 1,
                            asked->wait_us > 0, on_committed, call))
        error = ERR_overloaded;
    buf_fini(&records);
    return error;
}

void call_start(struct gateway *gateway, struct http_request *request,
                const char *const *params)
{
    struct call_request asked = {0};
    char why[192] = "";
    unsigned error =
        call_request_read(gateway, request, params, &asked, why, sizeof(why));
    if (error) {
        problem_reply(request, error, why[0] ? why : NULL, 0);
        return;
    }
    struct call *call = mem_alloc(sizeof(*call));
    call->pending.request = request;
    call->calls = gateway->calls;
    call->wait_us = asked.wait_us;
    call->until_us = loop_steady_us(gateway->loop) + patience_us(gateway, &asked);
    id_new(loop_wall_us(gateway->loop), call->id);
    error = submit(gateway, call, &asked);
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
