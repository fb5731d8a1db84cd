/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/gate.h"

#include <stdio.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

static void stage_note(struct core *core, const struct group *group, const char *type,
                       const struct json *data)
{
    struct buf text = BUF_NULL;

    js_write(data, 0, &text);
    struct record_parts parts = {.kind = RECORD_NOTE,
                                 .type = type,
                                 .integration = group->hash,
                                 .data = text.bytes,
                                 .data_len = text.len};
    stage_parts(core, &parts, NULL);
    buf_fini(&text);
}

/* --- what dispatch asks --- */

static enum gate wait_until(struct group *group, uint64_t steady_us, const char *for_what)
{
    group->gate.due_us = steady_us;
    group->gate.waits_for = for_what;
    return GATE_WAIT;
}

static uint64_t steady_of(const struct core *core, uint64_t wall_us)
{
    return core->steady_us + (wall_us > core->wall_us ? wall_us - core->wall_us : 0);
}

/* While its change is on the way to the log nothing starts: what comes after decides. */
static enum gate ask_breaker(const struct core *core, struct group *group)
{
    const struct breaker *breaker = &group->gate.breaker;

    if (group->gate.is_changing)
        return wait_until(group, UINT64_MAX, "breaker");
    if (breaker->state == BREAKER_OPEN)
        return wait_until(group, steady_of(core, breaker->until_us), "breaker");
    if (breaker->state == BREAKER_HALF_OPEN && group->inflight > 0)
        return wait_until(group, UINT64_MAX, "breaker");
    return GATE_OPEN;
}

static enum gate ask_limit(const struct core *core, struct group *group)
{
    struct limit *limit = &group->gate.limit;

    if (limit->concurrency && group->inflight >= limit->concurrency)
        return wait_until(group, UINT64_MAX, "concurrency");
    uint64_t next_us = limit_next_us(limit, core->steady_us);
    if (next_us > core->steady_us)
        return wait_until(group, next_us, "rate");
    return GATE_OPEN;
}

enum gate gate_may_start(struct core *core, struct group *group, struct position position,
                         const struct record *r)
{
    (void)position;
    if (!group->is_handler || (r->flags & RECORD_WEBHOOK))
        return GATE_OPEN;
    if (ask_breaker(core, group) == GATE_WAIT || ask_limit(core, group) == GATE_WAIT)
        return GATE_WAIT;
    limit_take(&group->gate.limit);
    return GATE_OPEN;
}

uint64_t gate_due_us(const struct core *core, const struct group *group)
{
    return group->gate.due_us > core->dispatched_us ? group->gate.due_us : UINT64_MAX;
}

void gate_turn(struct core *core, struct group *group)
{
    const struct breaker *breaker = &group->gate.breaker;
    char why[BREAKER_WHY_MAX + 80];
    enum breaker_state to;

    group->gate.due_us = UINT64_MAX;
    group->gate.waits_for = NULL;
    if (group->gate.is_changing ||
        !breaker_is_due(breaker, core->wall_us, &to, why, sizeof(why)))
        return;
    uint64_t until_us = to == BREAKER_OPEN ? core->wall_us + breaker->limits.pause_us : 0;
    struct json *data = js_set_text(js_object(), "name", group->name);
    js_set_text(js_set_text(data, "state", breaker_name(to)), "reason", why);
    js_set_int(js_set_int(data, "since_us", (int64_t)core->wall_us), "until_us",
               (int64_t)until_us);
    stage_note(core, group, "signalbox.breaker", data);
    js_free(data);
    group->gate.is_changing = true;
}

/* --- the fold --- */

static void failed(struct group *group, uint64_t at_us, const struct record *r)
{
    const char *why = "no reason given";
    size_t n = strlen(why);

    attrs_find_text(record_attrs(r), r->attr_len, ATTR_ERROR_MSG, &why, &n);
    breaker_failed(&group->gate.breaker, at_us, why, n);
}

void gate_settled(struct core *core, struct group *group, uint64_t at_us,
                  const struct record *outcome)
{
    bool by_broker = outcome->flags & RECORD_BY_BROKER;
    const struct route *route = route_get(core, outcome);

    if (!route || route->class != TYPE_OUTCOME)
        return; /* of a webhook: the service was not called */
    if (outcome->error_class == CLASS_exhausted ||
        (outcome->error_class == CLASS_unknown && !by_broker))
        failed(group, at_us, outcome);
    else if (!by_broker && (outcome->status == STATUS_SUCCESS ||
                            outcome->error_class == CLASS_permanent))
        breaker_answered(&group->gate.breaker);
}

void gate_retried(struct group *group, uint64_t at_us, const struct record *r,
                  bool is_death)
{
    if (group->is_handler && !is_death)
        failed(group, at_us, r);
}

static void note_breaker(struct core *core, struct group *group, const struct json *data)
{
    int to = breaker_find(js_text(data, "state", ""));

    group->gate.is_changing = false;
    if (to < 0)
        return;
    breaker_change(&group->gate.breaker, (enum breaker_state)to,
                   (uint64_t)js_int(data, "since_us", 0),
                   (uint64_t)js_int(data, "until_us", 0));
    snprintf(group->gate.reason, sizeof(group->gate.reason), "%s",
             js_text(data, "reason", ""));
    if (!core->is_started)
        return;
    _free_ char *said =
        mem_format("integration=%s state=%s reason=\"%s\"", group->name,
                   breaker_name((enum breaker_state)to), group->gate.reason);
    core->ops->say(core->user, LOG_BREAKER_CHANGED, said);
}

static void note_state(struct group *group, const struct json *data)
{
    struct breaker *breaker = &group->gate.breaker;
    const struct json *row = js_get(data, "failed_us");
    int state = breaker_find(js_text(data, "state", ""));
    const char *why = js_text(data, "why", "");

    if (state < 0)
        return;
    breaker_change(breaker, (enum breaker_state)state,
                   (uint64_t)js_int(data, "since_us", 0),
                   (uint64_t)js_int(data, "until_us", 0));
    breaker->n_failed = 0;
    for (size_t i = 0; i < js_count(row) && i < BREAKER_FAILURES_MAX; i++)
        breaker_failed(breaker, (uint64_t)js_int(js_at(row, i), NULL, 0), why,
                       strlen(why));
    breaker->has_failed = js_bool(data, "has_failed", false);
    breaker->was_answered = js_bool(data, "was_answered", false);
    snprintf(group->gate.reason, sizeof(group->gate.reason), "%s",
             js_text(data, "reason", ""));
}

void gate_noted(struct core *core, struct group *group, const struct record *r,
                const struct json *data)
{
    if (note_is(r, "signalbox.breaker"))
        note_breaker(core, group, data);
    else if (note_is(r, "signalbox.limits"))
        note_state(group, data);
}

void gate_checkpoint(struct core *core, const struct group *group)
{
    const struct breaker *breaker = &group->gate.breaker;
    uint32_t n = breaker->n_failed < BREAKER_FAILURES_MAX ? breaker->n_failed
                                                          : BREAKER_FAILURES_MAX;

    if (!breaker->since_us && !n)
        return; /* as it begins */
    struct json *data = js_set_text(js_object(), "name", group->name), *row = js_array();
    for (uint32_t i = breaker->n_failed - n; i < breaker->n_failed; i++)
        js_push(row, js_from_int((int64_t)breaker->failed_us[i % BREAKER_FAILURES_MAX]));
    js_set_text(js_set_text(data, "state", breaker_name(breaker->state)), "reason",
                group->gate.reason);
    js_set_int(js_set_int(data, "since_us", (int64_t)breaker->since_us), "until_us",
               (int64_t)breaker->until_us);
    js_set_bool(js_set_bool(data, "has_failed", breaker->has_failed), "was_answered",
                breaker->was_answered);
    js_set(js_set_text(data, "why", breaker->why), "failed_us", row);
    stage_note(core, group, "signalbox.limits", data);
    js_free(data);
}

/* --- what the operator sees --- */

void gate_status(const struct core *core, const struct group *group, struct json *status)
{
    const struct breaker *breaker = &group->gate.breaker;
    struct json *limits = js_object(), *state = js_object();
    char rate[32];

    if (!group->is_handler) {
        js_free(limits);
        js_free(state);
        return;
    }
    snprintf(rate, sizeof(rate), "%.6g/s", group->gate.limit.rate);
    if (group->gate.limit.rate > 0)
        js_set_text(limits, "rate", rate);
    js_set_int(limits, "concurrency", group->gate.limit.concurrency);
    js_set_text(limits, "waits_for", group->gate.waits_for);
    if (group->gate.waits_for && gate_due_us(core, group) != UINT64_MAX)
        js_set_int(limits, "wait_us", (int64_t)(group->gate.due_us - core->steady_us));
    js_set_text(state, "state", breaker_name(breaker->state));
    js_set_int(state, "failures", breaker->n_failed);
    if (breaker->since_us)
        js_set_text(js_set_int(state, "since_us", (int64_t)breaker->since_us), "reason",
                    group->gate.reason);
    if (breaker->state == BREAKER_OPEN)
        js_set_int(state, "until_us", (int64_t)breaker->until_us);
    js_set(status, "limits", js_set(limits, "breaker", state));
}
