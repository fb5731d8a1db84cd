/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is delivered becomes `ready`, what is handed to somebody becomes `lent` and is
 * told to the broker as started: a broker that is started anew then leaves it with us.
 * Whatever is answered leaves the table at once, and the answer is given when the result
 * is committed; a lease that is not in the table is late, which is no error: it was
 * answered before, or its time was over and the event comes again. */
#include "gateway/group_session.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/gateway.h"
#include "gateway/lease.h"
#include "gateway/problem.h"
#include "gateway/result.h"
#include "gateway/settling.h"
#include "gateway/waiter.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "proto/control.h"

enum {
    IDLE_US = 30 * 1000 * 1000,  /* nobody asks and nothing is lent: the session ends */
    COMMIT_US = 5 * 1000 * 1000, /* a result not committed by then: ERR_unavailable */
    JOIN_US = 2 * 1000 * 1000,   /* the broker may be away as long (HOLD_US) */
    FIRST_US = 300 * 1000,       /* after joining, until what was there has come */
};

struct group_session {
    struct gateway *gateway;
    char *name;
    void (*on_end)(void *user, struct group_session *session);
    void *user;
    struct peer *peer;
    unsigned error; /* why the broker does not let us in; the session is to end */
    char *why;
    uint64_t boot, last_number; /* of the texts of leases */
    struct leases ready, lent;
    struct waiters waiters;
    struct settling *settling;
    uint64_t used_us; /* somebody asked or answered */
    uint64_t sure_us; /* before it, that there is nothing may only mean: not yet */
    struct loop_timer *timer;
};

static uint64_t now_of(const struct group_session *session)
{
    return loop_steady_us(session->gateway->loop);
}

/* --- answering who waits --- */

static void lend(struct group_session *session, struct lease *lease,
                 uint64_t visibility_us)
{
    leases_take(&session->ready, lease);
    lease->number = ++session->last_number;
    lease->until_us = now_of(session) + visibility_us;
    leases_push(&session->lent, lease);
    peer_started(session->peer, lease->position);
}

/* Answer one who waits with what is there, and forget it. */
static void serve(struct group_session *session, struct waiter **at)
{
    struct waiter *waiter = waiters_take(&session->waiters, at);
    uint64_t visibility_us = waiter->ask.visibility_us;
    if (!session->ready.first && !peer_is_joined(session->peer)) {
        waiter_refuse(waiter, ERR_unavailable, "the broker is not reachable");
        return;
    }
    struct json *events = js_array();
    unsigned n = waiter_request(waiter) ? waiter->ask.max : 0;
    for (; n > 0 && session->ready.first; n--) {
        struct lease *lease = session->ready.first;
        lend(session, lease, visibility_us);
        js_push(events, lease_json(lease, session->boot, session->gateway->config,
                                   loop_wall_us(session->gateway->loop) + visibility_us));
    }
    waiter_answer(waiter, events);
}

static void refuse_waiters(struct group_session *session, unsigned error, const char *why)
{
    while (session->waiters.first)
        waiter_refuse(waiters_take(&session->waiters, &session->waiters.first), error,
                      why);
}

/* --- time --- */

static uint64_t settling_due(const struct group_session *session,
                             const struct settling *one)
{
    return one->batch ? one->until_us : session->sure_us;
}

static uint64_t next_due(const struct group_session *session)
{
    uint64_t due_us = leases_due(&session->lent), end_us = waiters_due(&session->waiters);
    if (session->waiters.first && end_us < session->sure_us)
        end_us = session->sure_us;
    if (end_us < due_us)
        due_us = end_us;
    for (const struct settling *one = session->settling; one; one = one->next)
        if (settling_due(session, one) < due_us)
            due_us = settling_due(session, one);
    return due_us < session->used_us + IDLE_US ? due_us : session->used_us + IDLE_US;
}

static void arm(struct group_session *session)
{
    uint64_t due_us = next_due(session), now_us = now_of(session);
    bool is_over = session->error || (session->ready.first && session->waiters.first);
    loop_timer_in(session->timer, is_over || due_us <= now_us ? 0 : due_us - now_us);
}

/* Those whose visibility time is over, or all: a spent attempt, or none, in which case it
 * comes again at once. */
static void give_back(struct group_session *session, uint64_t now_us, bool all)
{
    struct buf records = {0};
    for (struct lease *l = session->lent.first, *next; l; l = next) {
        next = l->next;
        if (!all && l->until_us > now_us)
            continue;
        result_give_back(&records, l->position, /* counts= */ !all);
        leases_take(&session->lent, l);
        lease_free(l);
    }
    if (records.len > 0)
        peer_result(session->peer, records.bytes, records.len);
    buf_fini(&records);
}

/* A waiter whose time is over is answered with what is there: nothing. They stand in the
 * order of arrival, not of their ends. */
static void expire_waiters(struct group_session *session, uint64_t now_us)
{
    for (struct waiter **at = &session->waiters.first; *at && session->sure_us <= now_us;)
        if ((*at)->until_us <= now_us)
            serve(session, at);
        else
            at = &(*at)->next;
}

static void expire_settling(struct group_session *session, uint64_t now_us)
{
    for (struct settling *one = session->settling, *next; one; one = next) {
        next = one->next;
        if (settling_due(session, one) > now_us)
            continue;
        if (one->batch)
            settling_end(&session->settling, one, ERR_unavailable,
                         "the log did not answer in time; it may be done all the same");
        else
            settling_end(&session->settling, one,
                         peer_is_joined(session->peer) ? 0 : ERR_unavailable,
                         "the broker is not reachable");
    }
}

static void on_time(void *user)
{
    struct group_session *session = user;
    uint64_t now_us = now_of(session);
    while (session->waiters.first && session->ready.first)
        serve(session, &session->waiters.first);
    expire_waiters(session, now_us);
    give_back(session, now_us, /* all= */ false);
    expire_settling(session, now_us);
    bool is_idle = !session->lent.first && !session->waiters.first &&
                   !session->settling && session->used_us + IDLE_US <= now_us;
    if (!is_idle && session->used_us + IDLE_US <= now_us)
        session->used_us = now_us; /* in use, though nobody asked lately */
    if (is_idle || session->error)
        session->on_end(session->user, session);
    else
        arm(session);
}

/* --- from the bus --- */

static void on_deliver(void *user, const struct message *deliver)
{
    struct group_session *session = user;
    const struct slice *slice = NULL;
    const struct record *r;
    const char *why = NULL;
    while ((slice = message_slice(deliver, slice, &r, &why)))
        for (uint32_t i = 0; i < slice->count; i++, r = record_after(r)) {
            struct position position = {slice->block, slice->index + i};
            leases_push(&session->ready,
                        lease_new(r, position, slice->attempt, slice->timestamp_us));
        }
    arm(session);
}

/* What is not lent is the broker's again and is delivered anew. */
static void on_down(void *user)
{
    struct group_session *session = user;
    leases_free_all(&session->ready);
    session->sure_us = now_of(session) + JOIN_US;
    arm(session);
}

static void on_joined(void *user)
{
    struct group_session *session = user;
    session->sure_us = now_of(session) + FIRST_US;
    arm(session);
}

static void on_lost(void *user, struct position position)
{
    struct group_session *session = user;
    struct lease *lease = leases_find_position(&session->lent, position);
    if (lease) {
        leases_take(&session->lent, lease);
        lease_free(lease);
    }
}

static void on_rejected(void *user, unsigned error, const char *detail)
{
    struct group_session *session = user;
    session->error = error;
    free(session->why);
    session->why = mem_text(detail);
    arm(session); /* a session is not ended in a callback of its own */
}

static void on_settled(void *user, uint64_t batch)
{
    struct group_session *session = user;
    struct settling *one = settling_find(session->settling, batch);
    if (one)
        settling_end(&session->settling, one, 0, NULL);
}

static void on_refused(void *user, uint64_t batch, unsigned error, const char *detail,
                       uint32_t retry_after_ms)
{
    (void)retry_after_ms;
    struct group_session *session = user;
    struct settling *one = settling_find(session->settling, batch);
    if (one)
        settling_end(&session->settling, one, error, detail);
}

/* --- results --- */

/* One result: its record, and what its answer says. */
static const char *take_result(struct group_session *session, const struct result *result,
                               struct buf *records)
{
    bool is_sole = true;
    struct lease *lease = result->lease
                              ? leases_find(&session->lent, session->boot, result->lease)
                              : leases_find_event(&session->lent, result->id, &is_sole);
    if (!lease)
        return "late";
    if (!is_sole)
        return "ambiguous";
    if (result->kind == RESULT_EXTEND) {
        uint64_t us = result->after_us ? result->after_us : GROUP_VISIBILITY_US;
        lease->until_us = now_of(session) +
                          (us < GROUP_VISIBILITY_MAX_US ? us : GROUP_VISIBILITY_MAX_US);
        return "extended";
    }
    result_write(result, lease->position, records);
    leases_take(&session->lent, lease);
    lease_free(lease);
    return "settled";
}

static void take_results(struct group_session *session, const struct result *results,
                         size_t n, struct buf *records, struct json *answers)
{
    for (size_t i = 0; i < n; i++) {
        struct json *one = js_object();
        js_set_text(one, "lease", results[i].lease);
        js_set_text(one, "id", results[i].id);
        js_push(answers,
                js_set_text(one, "state", take_result(session, &results[i], records)));
    }
}

void group_session_results(struct group_session *session, struct http_request *request,
                           const struct result *results, size_t n)
{
    struct buf records = {0};
    struct json *answers = js_array();
    take_results(session, results, n, &records, answers);
    struct json *body = js_set(js_object(), "results", answers);
    if (records.len == 0 && session->sure_us <= now_of(session)) {
        answer_json(request, 200, body, NULL);
    } else {
        struct settling *one =
            settling_add(&session->settling, request, body, now_of(session) + COMMIT_US);
        if (records.len > 0)
            one->batch = peer_result(session->peer, records.bytes, records.len);
    }
    buf_fini(&records);
    session->used_us = now_of(session);
    arm(session);
}

void group_session_next(struct group_session *session, struct http_request *request,
                        const struct group_ask *ask)
{
    if (session->waiters.n == GROUP_WAITERS_MAX) {
        problem_reply(request, ERR_too_many_requests, "too many wait for this group", 0);
        return;
    }
    waiters_add(&session->waiters, request, ask, now_of(session) + ask->wait_us);
    session->used_us = now_of(session);
    arm(session);
}

/* --- life --- */

struct group_session *group_session_new(const struct group_session_options *options,
                                        char *error, size_t error_size)
{
    struct gateway *gateway = options->gateway;
    struct group_session *session = mem_alloc(sizeof(*session));
    *session = (struct group_session){.gateway = gateway,
                                      .name = mem_text(options->name),
                                      .on_end = options->on_end,
                                      .user = options->user};
    waiters_init(&session->waiters);
    session->sure_us = now_of(session) + JOIN_US;
    id_random(&session->boot, sizeof(session->boot));
    session->timer = loop_timer_new(gateway->loop, on_time, session);
    _free_ char *peer_name = mem_format("gateway:%s", options->name);
    const struct peer_options peer = {
        .endpoint = gateway->bus_endpoint,
        .role = "gateway",
        .name = peer_name,
        .key = gateway->bus_key,
        .group = session->name,
        .credit_events = GROUP_EVENTS_MAX,
        .credit_bytes = GROUP_BYTES_MAX,
        .user = session,
        .on_joined = on_joined,
        .on_down = on_down,
        .on_lost = on_lost,
        .on_rejected = on_rejected,
        .on_refused = on_refused,
        .on_deliver = on_deliver,
        .on_settled = on_settled,
    };
    session->peer = peer_new(gateway->loop, gateway->wire, &peer, error, error_size);
    if (session->peer)
        return session;
    group_session_free(session);
    return NULL;
}

void group_session_free(struct group_session *session)
{
    if (!session)
        return;
    unsigned error = session->error ? session->error : ERR_shutting_down;
    refuse_waiters(session, error, session->why);
    while (session->settling)
        settling_end(&session->settling, session->settling, error, session->why);
    if (session->peer)
        peer_free(session->peer);
    leases_free_all(&session->ready);
    leases_free_all(&session->lent);
    loop_timer_free(session->timer);
    free(session->name);
    free(session->why);
    free(session);
}

void group_session_stop(struct group_session *session)
{
    leases_free_all(&session->ready);
    while (session->waiters.first)
        serve(session, &session->waiters.first);
    give_back(session, now_of(session), /* all= */ true);
}

const char *group_session_name(const struct group_session *session)
{
    return session->name;
}

bool group_session_is_rejected(const struct group_session *session)
{
    return session->error != 0;
}

unsigned group_session_commits(const struct group_session *session)
{
    unsigned n = 0;
    for (const struct settling *one = session->settling; one; one = one->next)
        n++;
    return n;
}
