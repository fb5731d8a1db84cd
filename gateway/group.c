/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is delivered becomes `ready`, what is handed to somebody becomes `lent` and is
 * told to the broker as started: a broker that is started anew then leaves it with us.
 * Whatever is answered leaves the table at once, and the answer is given when the result
 * is committed; a lease that is not in the table is late, which is no error: it was
 * answered before, or its time was over and the event comes again. */
#include "gateway/group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cloudevent.h"
#include "gateway/gateway.h"
#include "gateway/lease.h"
#include "gateway/problem.h"
#include "gateway/result.h"
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
    WAIT_DEFAULT_US = 10 * 1000 * 1000,
    WAIT_MAX_US = 300 * 1000 * 1000,
    NEXT_DEFAULT = 10,
    VISIBILITY_MIN_US = 1000 * 1000,
    IDLE_US = 30 * 1000 * 1000,  /* nobody asks and nothing is lent: the session ends */
    COMMIT_US = 5 * 1000 * 1000, /* a result not committed by then: ERR_unavailable */
};
static const uint64_t visibility_default_us = 30 * UINT64_C(1000000);
static const uint64_t visibility_max_us = 12 * 3600 * UINT64_C(1000000);

/* GET .../next that waits. */
struct waiter {
    struct pending pending;
    struct waiter *next;
    unsigned max;
    uint64_t until_us, visibility_us;
    bool is_batch; /* as a CloudEvents batch */
};

/* POST .../results that waits for its commit. */
struct commit {
    struct pending pending;
    struct commit *next;
    uint64_t batch, until_us;
    struct json *answer;
};

struct group {
    struct groups *groups;
    struct group *next;
    char *name;
    struct peer *peer;
    unsigned error; /* why the broker does not let us in; the session is to end */
    char *why;
    struct leases ready, lent;
    struct waiter *waiters, **last_waiter;
    unsigned n_waiters;
    struct commit *commits;
    uint64_t used_us; /* somebody asked or answered */
    struct loop_timer *timer;
};

struct groups {
    struct gateway *gateway;
    struct group *first;
    unsigned n;
    uint64_t boot, last_number;
};

static uint64_t now_of(const struct group *group)
{
    return loop_steady_us(group->groups->gateway->loop);
}

/* --- answering who waits --- */

static const char *integration_name(const struct config *config, uint32_t hash)
{
    for (size_t i = 0; hash && i < config->n_integrations; i++)
        if (integration_hash(config->integrations[i].name) == hash)
            return config->integrations[i].name;
    return NULL;
}

static struct json *event_json(const struct group *group, const struct lease *lease,
                               uint64_t visibility_us)
{
    const struct gateway *gateway = group->groups->gateway;
    const char *name = integration_name(gateway->config, lease->record->integration);
    const struct config_integration *in =
        name ? config_integration(gateway->config, name) : NULL;
    const struct cloudevent_around around = {
        .timestamp_us = lease->timestamp_us,
        .integration = name,
        .service = in && in->service ? in->service : name,
    };
    char text[LEASE_TEXT_SIZE], until[TEXT_TIME_SIZE];
    struct json *event = cloudevent_json(lease->record, &around);
    lease_text(lease, group->groups->boot, text);
    text_time(loop_wall_us(gateway->loop) + visibility_us, until);
    js_set_text(js_set_text(event, "lease", text), "leaseuntil", until);
    return js_set_int(event, "deliveryattempt", lease->attempt);
}

static void answer_events(struct http_request *request, struct json *events,
                          bool is_batch)
{
    if (is_batch)
        answer_as(request, 200, CLOUDEVENT_BATCH, events, NULL);
    else
        answer_json(request, 200, js_set(js_object(), "events", events), NULL);
}

static void lend(struct group *group, struct lease *lease, uint64_t visibility_us)
{
    leases_take(&group->ready, lease);
    lease->number = ++group->groups->last_number;
    lease->until_us = now_of(group) + visibility_us;
    leases_push(&group->lent, lease);
    peer_started(group->peer, lease->position);
}

static struct waiter *pop_waiter(struct group *group)
{
    struct waiter *waiter = group->waiters;
    group->waiters = waiter->next;
    if (!waiter->next)
        group->last_waiter = &group->waiters;
    group->n_waiters--;
    return waiter;
}

/* Answer the one that waits longest with what is there, and forget it. What is sent to
 * somebody who went away would come again only after its visibility time. */
static void serve_one(struct group *group)
{
    struct waiter *waiter = pop_waiter(group);
    struct http_request *request = waiter->pending.request;
    if (request && !group->ready.first && !peer_is_joined(group->peer)) {
        problem_reply(request, ERR_unavailable, "the broker is not reachable", 0);
        free(waiter);
        return;
    }
    struct json *events = js_array();
    unsigned n = request && !http_is_left(request) ? waiter->max : 0;
    for (; n > 0 && group->ready.first; n--) {
        struct lease *lease = group->ready.first;
        lend(group, lease, waiter->visibility_us);
        js_push(events, event_json(group, lease, waiter->visibility_us));
    }
    if (request)
        answer_events(request, events, waiter->is_batch);
    else
        js_free(events);
    free(waiter);
}

static void refuse_waiters(struct group *group, unsigned error, const char *why)
{
    while (group->waiters) {
        struct waiter *waiter = pop_waiter(group);
        if (waiter->pending.request)
            problem_reply(waiter->pending.request, error, why, 0);
        free(waiter);
    }
}

static void end_commit(struct group *group, struct commit *commit, unsigned error,
                       const char *why)
{
    struct commit **at = &group->commits;
    while (*at != commit)
        at = &(*at)->next;
    *at = commit->next;
    if (commit->pending.request && !error) {
        answer_json(commit->pending.request, 200, commit->answer, NULL);
        commit->answer = NULL;
    } else if (commit->pending.request) {
        problem_reply(commit->pending.request, error, why, 0);
    }
    js_free(commit->answer);
    free(commit);
}

static struct commit *find_commit(const struct group *group, uint64_t batch)
{
    struct commit *commit = group->commits;
    while (commit && commit->batch != batch)
        commit = commit->next;
    return commit;
}

/* --- time --- */

static uint64_t next_due(const struct group *group)
{
    uint64_t due_us = leases_due(&group->lent);
    for (const struct waiter *w = group->waiters; w; w = w->next)
        due_us = w->until_us < due_us ? w->until_us : due_us;
    for (const struct commit *c = group->commits; c; c = c->next)
        due_us = c->until_us < due_us ? c->until_us : due_us;
    return due_us < group->used_us + IDLE_US ? due_us : group->used_us + IDLE_US;
}

static void arm(struct group *group)
{
    uint64_t due_us = next_due(group), now_us = now_of(group);
    bool is_over = group->error || (group->ready.first && group->waiters);
    loop_timer_in(group->timer, is_over || due_us <= now_us ? 0 : due_us - now_us);
}

/* Those whose visibility time is over, or all: a spent attempt, or none, in which case it
 * comes again at once. */
static void give_back(struct group *group, uint64_t now_us, bool all)
{
    struct buf records = {0};
    for (struct lease *l = group->lent.first, *next; l; l = next) {
        next = l->next;
        if (!all && l->until_us > now_us)
            continue;
        result_give_back(&records, l->position, /* counts= */ !all);
        leases_take(&group->lent, l);
        lease_free(l);
    }
    if (records.len > 0)
        peer_result(group->peer, records.bytes, records.len);
    buf_fini(&records);
}

static void group_free(struct group *group)
{
    struct groups *groups = group->groups;
    struct group **at = &groups->first;
    while (*at != group)
        at = &(*at)->next;
    *at = group->next;
    groups->n--;
    refuse_waiters(group, group->error ? group->error : ERR_shutting_down, group->why);
    while (group->commits)
        end_commit(group, group->commits, group->error ? group->error : ERR_shutting_down,
                   group->why);
    if (group->peer)
        peer_free(group->peer);
    leases_free_all(&group->ready);
    leases_free_all(&group->lent);
    loop_timer_free(group->timer);
    free(group->name);
    free(group->why);
    free(group);
}

/* A waiter whose time is over is answered with what is there: nothing. They stand in the
 * order of arrival, not of their ends. */
static void expire_waiters(struct group *group, uint64_t now_us)
{
    struct waiter *kept = NULL, **last = &kept;
    unsigned n_kept = 0;
    while (group->waiters) {
        if (group->waiters->until_us <= now_us) {
            serve_one(group);
            continue;
        }
        *last = pop_waiter(group);
        last = &(*last)->next;
        *last = NULL;
        n_kept++;
    }
    group->waiters = kept;
    group->last_waiter = kept ? last : &group->waiters;
    group->n_waiters = n_kept;
}

static void on_time(void *user)
{
    struct group *group = user;
    uint64_t now_us = now_of(group);
    while (group->waiters && group->ready.first)
        serve_one(group);
    expire_waiters(group, now_us);
    give_back(group, now_us, /* all= */ false);
    for (struct commit *c = group->commits, *next; c; c = next) {
        next = c->next;
        if (c->until_us <= now_us)
            end_commit(group, c, ERR_unavailable,
                       "the log did not answer in time; it may be done all the same");
    }
    bool is_idle = !group->lent.first && !group->waiters && !group->commits &&
                   group->used_us + IDLE_US <= now_us;
    if (!is_idle && group->used_us + IDLE_US <= now_us)
        group->used_us = now_us; /* in use, though nobody asked lately */
    if (is_idle || group->error)
        group_free(group);
    else
        arm(group);
}

/* --- from the bus --- */

static void on_deliver(void *user, const struct message *deliver)
{
    struct group *group = user;
    const struct slice *slice = NULL;
    const struct record *r;
    const char *why = NULL;
    while ((slice = message_slice(deliver, slice, &r, &why)))
        for (uint32_t i = 0; i < slice->count; i++, r = record_after(r)) {
            struct position position = {slice->block, slice->index + i};
            leases_push(&group->ready,
                        lease_new(r, position, slice->attempt, slice->timestamp_us));
        }
    arm(group);
}

/* What is not lent is the broker's again and is delivered anew. */
static void on_down(void *user)
{
    struct group *group = user;
    leases_free_all(&group->ready);
}

static void on_lost(void *user, struct position position)
{
    struct group *group = user;
    struct lease *lease = leases_find_position(&group->lent, position);
    if (lease) {
        leases_take(&group->lent, lease);
        lease_free(lease);
    }
}

static void on_rejected(void *user, unsigned error, const char *detail)
{
    struct group *group = user;
    group->error = error;
    free(group->why);
    group->why = mem_text(detail);
    arm(group); /* a session is not ended in a callback of its own */
}

static void on_settled(void *user, uint64_t batch)
{
    struct group *group = user;
    struct commit *commit = find_commit(group, batch);
    if (commit)
        end_commit(group, commit, 0, NULL);
}

static void on_refused(void *user, uint64_t batch, unsigned error, const char *detail,
                       uint32_t retry_after_ms)
{
    (void)retry_after_ms;
    struct group *group = user;
    struct commit *commit = find_commit(group, batch);
    if (commit)
        end_commit(group, commit, error, detail);
}

/* --- sessions --- */

static struct group *find(const struct groups *groups, const char *name)
{
    struct group *group = groups->first;
    while (group && (group->error || strcmp(group->name, name) != 0))
        group = group->next;
    return group;
}

/* The group's session, made when there is none. NULL after having answered. */
static struct group *open_group(struct groups *groups, struct http_request *request,
                                const char *name)
{
    struct gateway *gateway = groups->gateway;
    struct group *group = text_is_name(name) ? find(groups, name) : NULL;
    char error[256];
    if (group)
        return group;
    if (!text_is_name(name) || groups->n == GROUP_SESSIONS_MAX) {
        problem_reply(request, text_is_name(name) ? ERR_overloaded : ERR_no_group,
                      text_is_name(name) ? "too many groups are in use over HTTP" : NULL,
                      0);
        return NULL;
    }
    _free_ char *session = mem_format("gateway:%s", name);
    group = mem_alloc(sizeof(*group));
    *group = (struct group){.groups = groups, .name = mem_text(name)};
    group->last_waiter = &group->waiters;
    const struct peer_options options = {
        .endpoint = gateway->bus_endpoint,
        .role = "gateway",
        .name = session,
        .key = gateway->bus_key,
        .group = group->name,
        .credit_events = GROUP_EVENTS_MAX,
        .credit_bytes = GROUP_BYTES_MAX,
        .user = group,
        .on_down = on_down,
        .on_lost = on_lost,
        .on_rejected = on_rejected,
        .on_refused = on_refused,
        .on_deliver = on_deliver,
        .on_settled = on_settled,
    };
    group->peer = peer_new(gateway->loop, gateway->wire, &options, error, sizeof(error));
    group->timer = loop_timer_new(gateway->loop, on_time, group);
    group->next = groups->first;
    groups->first = group;
    groups->n++;
    if (group->peer)
        return group;
    group_free(group);
    problem_reply(request, ERR_unavailable, error, 0);
    return NULL;
}

/* --- from HTTP --- */

/* A duration of the query, or its default; NULL, or what is wrong. */
static const char *read_duration(struct http_request *request, const char *name,
                                 uint64_t min_us, uint64_t max_us, const char *why,
                                 uint64_t *us)
{
    const char *text = http_query(request, name);
    if (text && (!text_parse_duration(text, us) || *us < min_us || *us > max_us))
        return why;
    return NULL;
}

static const char *read_next(struct http_request *request, struct waiter *ret)
{
    const char *max = http_query(request, "max");
    char *end = NULL;
    uint64_t wait_us = WAIT_DEFAULT_US;
    ret->visibility_us = visibility_default_us;
    const char *why = read_duration(request, "wait", 0, WAIT_MAX_US,
                                    "wait is a duration up to 5m, such as 30s", &wait_us);
    if (!why)
        why = read_duration(request, "visibility", VISIBILITY_MIN_US, visibility_max_us,
                            "visibility is a duration from 1s to 12h, such as 30s",
                            &ret->visibility_us);
    unsigned long n = max ? strtoul(max, &end, 10) : NEXT_DEFAULT;
    if (max && (*end || n < 1 || n > GROUP_NEXT_MAX))
        why = "max is a number from 1 to 256";
    ret->max = (unsigned)n;
    ret->until_us = wait_us;
    ret->is_batch = cloudevent_is_accepted(request, CLOUDEVENT_BATCH);
    return why;
}

void group_next(struct gateway *gateway, struct http_request *request,
                const char *const *params)
{
    struct waiter asked = {.pending.request = request};
    const char *why = read_next(request, &asked);
    if (why) {
        problem_reply(request, ERR_bad_request, why, 0);
        return;
    }
    struct group *group = open_group(gateway->groups, request, params[0]);
    if (!group)
        return;
    if (group->n_waiters == GROUP_WAITERS_MAX) {
        problem_reply(request, ERR_too_many_requests, "too many wait for this group", 0);
        return;
    }
    struct waiter *waiter = mem_copy(&asked, sizeof(asked));
    waiter->until_us += now_of(group);
    *group->last_waiter = waiter;
    group->last_waiter = &waiter->next;
    group->n_waiters++;
    group->used_us = now_of(group);
    http_set_user(request, waiter);
    arm(group);
}

/* One result: its record, and what its answer says. */
static const char *take_result(struct group *group, const struct result *result,
                               struct buf *records)
{
    struct lease *lease =
        result->lease ? leases_find(&group->lent, group->groups->boot, result->lease)
                      : leases_find_event(&group->lent, result->id);
    if (!lease)
        return "late";
    if (result->kind == RESULT_EXTEND) {
        uint64_t us = result->after_us ? result->after_us : visibility_default_us;
        lease->until_us =
            now_of(group) + (us < visibility_max_us ? us : visibility_max_us);
        return "extended";
    }
    result_write(result, lease->position, records);
    leases_take(&group->lent, lease);
    lease_free(lease);
    return "settled";
}

static void take_results(struct group *group, const struct result *results, size_t n,
                         struct buf *records, struct json *answers)
{
    for (size_t i = 0; i < n; i++) {
        struct json *one = js_object();
        js_set_text(one, "lease", results[i].lease);
        js_set_text(one, "id", results[i].id);
        js_push(answers,
                js_set_text(one, "state", take_result(group, &results[i], records)));
    }
}

static void submit(struct group *group, struct http_request *request,
                   const struct result *results, size_t n)
{
    struct buf records = {0};
    struct json *answers = js_array();
    take_results(group, results, n, &records, answers);
    struct json *body = js_set(js_object(), "results", answers);
    if (records.len == 0) {
        answer_json(request, 200, body, NULL);
    } else {
        struct commit *commit = mem_alloc(sizeof(*commit));
        *commit = (struct commit){.pending.request = request,
                                  .next = group->commits,
                                  .until_us = now_of(group) + COMMIT_US,
                                  .answer = body};
        group->commits = commit;
        http_set_user(request, commit);
        commit->batch = peer_result(group->peer, records.bytes, records.len);
    }
    buf_fini(&records);
    group->used_us = now_of(group);
    arm(group);
}

void group_results(struct gateway *gateway, struct http_request *request,
                   const char *const *params)
{
    char why[160];
    size_t n = 0, len;
    const char *text = http_body(request, &len);
    struct json *body = js_parse(text, len, why, sizeof(why));
    struct result *results = mem_array(GROUP_RESULTS_MAX, sizeof(*results));
    if (!body || !results_read(body, results, GROUP_RESULTS_MAX, &n, why, sizeof(why))) {
        problem_reply(request, ERR_bad_request, why, 0);
    } else {
        struct group *group = open_group(gateway->groups, request, params[0]);
        if (group)
            submit(group, request, results, n);
    }
    free(results);
    js_free(body);
}

/* --- life --- */

struct groups *groups_new(struct gateway *gateway)
{
    struct groups *groups = mem_alloc(sizeof(*groups));
    groups->gateway = gateway;
    id_random(&groups->boot, sizeof(groups->boot));
    return groups;
}

void groups_stop(struct groups *groups)
{
    for (struct group *group = groups->first; group; group = group->next) {
        uint64_t now_us = now_of(group);
        leases_free_all(&group->ready);
        while (group->waiters)
            serve_one(group);
        give_back(group, now_us, /* all= */ true);
    }
}

unsigned groups_count(const struct groups *groups)
{
    unsigned n = 0;
    for (const struct group *group = groups->first; group; group = group->next)
        for (const struct commit *c = group->commits; c; c = c->next)
            n++;
    return n;
}

void groups_free(struct groups *groups)
{
    if (!groups)
        return;
    while (groups->first)
        group_free(groups->first);
    free(groups);
}
