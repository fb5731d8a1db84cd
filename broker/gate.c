/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/gate.h"

#include <stdio.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"

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

/* The log says that a call was taken before that call goes out: who starts anew must not
 * let another one go.  Which call it is nobody needs to know. */
static enum gate take_slowly(struct core *core, struct group *group)
{
    struct json *data = js_set_text(js_object(), "name", group->name);

    stage_note(core, group, "signalbox.rate",
               js_set_int(data, "taken_us", (int64_t)core->wall_us));
    js_free(data);
    limit_take(&group->gate.limit);
    group->gate.is_taking = true;
    return wait_until(group, UINT64_MAX, "rate");
}

static enum gate ask_limit(struct core *core, struct group *group)
{
    struct limit *limit = &group->gate.limit;

    if (limit->concurrency && group->inflight >= limit->concurrency)
        return wait_until(group, UINT64_MAX, "concurrency");
    if (group->gate.is_taken)
        return GATE_OPEN;
    uint64_t next_us =
        group->gate.is_taking ? UINT64_MAX : limit_next_us(limit, core->steady_us);
    if (next_us > core->steady_us)
        return wait_until(group, next_us, "rate");
    return limit_is_slow(limit) ? take_slowly(core, group) : GATE_OPEN;
}

/* "charge" of payment.charge.requested, .succeeded or .failed; NULL when it is no type of
 * the integration's connector. */
static const char *operation_of(const struct group *group, const struct record *r,
                                size_t *ret_len)
{
    size_t stem = group->connector ? strlen(group->connector) + 1 : 0, n = r->type_len;
    const char *type = record_type(r);

    while (n > stem && type[n - 1] != '.')
        n--;
    if (n < stem + 2 || type[stem - 1] != '.' ||
        memcmp(type, group->connector, stem - 1) != 0)
        return NULL;
    *ret_len = n - 1 - stem;
    return type + stem;
}

static struct price price_of(const struct core *core, const struct group *group,
                             const struct record *r, uint64_t at_us)
{
    const struct manifest *manifest = manifest_find(core, group);
    size_t len;
    const char *operation = operation_of(group, r, &len);

    if (!operation)
        return (struct price){PRICE_NONE, 0};
    return budget_price(&group->gate.budget,
                        manifest ? js_get(manifest->json, "operations") : NULL, operation,
                        len, at_us);
}

static bool has_budget(const struct group *group)
{
    return group->gate.budget.per_day.currency[0];
}

static bool runs_no_more(void *user, struct position position)
{
    const struct cell *cell = slot_look(slot_find(user, position.block), position.index);

    if (cell && (cell->flags & CELL_FRESH)) /* its START is in the log, it goes next */
        return false;
    return !cell || cell->state == CELL_OPEN || cell->state == CELL_WAITING ||
           cell->state == CELL_PARKED || cell->state == CELL_SETTLED;
}

static enum gate ask_budget(struct core *core, struct group *group,
                            const struct record *r)
{
    struct budget *budget = &group->gate.budget;
    struct price price = price_of(core, group, r, core->wall_us);
    enum budget_answer answer = budget_ask(budget, core->wall_us, price);

    if (answer == BUDGET_WAIT) { /* for some that went back without a word? */
        budget_prune(budget, runs_no_more, group);
        answer = budget_ask(budget, core->wall_us, price);
    }
    if (answer == BUDGET_WAIT)
        return wait_until(group, UINT64_MAX, "budget");
    return answer == BUDGET_EXCEEDED ? GATE_SPENT : GATE_OPEN;
}

/* Once a day a record says so. */
static void say_spent(struct core *core, struct group *group, const struct record *r)
{
    struct budget *budget = &group->gate.budget;

    if (budget->is_saying || budget_is_exceeded(budget, core->wall_us))
        return;
    _free_ char *why = gate_sentence(core, group, r);
    struct json *data = js_set_text(js_object(), "name", group->name);
    js_set_int(js_set_text(data, "reason", why), "since_us", (int64_t)core->wall_us);
    js_set_int(js_set_text(data, "currency", budget->per_day.currency), "per_day_micros",
               budget->per_day.micros);
    js_set_int(data, "spent_micros", budget_spent(budget, core->wall_us));
    stage_note(core, group, "signalbox.budget", data);
    js_free(data);
    budget->is_saying = true;
}

char *gate_sentence(const struct core *core, const struct group *group,
                    const struct record *r)
{
    return budget_sentence(&group->gate.budget, core->wall_us, group->name,
                           price_of(core, group, r, core->wall_us));
}

char *gate_deadline_sentence(const struct group *group, unsigned attempts)
{
    const struct gate_state *gate = &group->gate;
    bool is_open = gate->breaker.state == BREAKER_OPEN;
    char after[80] = "";

    if (attempts)
        snprintf(after, sizeof(after), ", after %u that failed (its trace has why)",
                 attempts);
    return mem_format("its deadline passed before an attempt could start%s%s%s", after,
                      is_open           ? "; the circuit breaker is open: "
                      : gate->waits_for ? "; calls wait for "
                                        : "",
                      is_open           ? gate->reason
                      : gate->waits_for ? gate->waits_for
                                        : "");
}

void gate_reclaimed(struct core *core, struct group *group, struct position position,
                    const struct record *r)
{
    if (has_budget(group) && !(r->flags & RECORD_PROVIDERS))
        budget_hold(&group->gate.budget, position,
                    price_of(core, group, r, core->wall_us));
}

enum gate gate_may_start(struct core *core, struct group *group, struct position position,
                         const struct record *r)
{
    enum gate gate = GATE_OPEN;

    if (!group->is_handler || (r->flags & RECORD_PROVIDERS))
        return GATE_OPEN;
    if (has_budget(group))
        gate = ask_budget(core, group, r);
    if (gate == GATE_SPENT)
        say_spent(core, group, r);
    if (gate != GATE_OPEN)
        return gate;
    if (ask_breaker(core, group) == GATE_WAIT || ask_limit(core, group) == GATE_WAIT)
        return GATE_WAIT;
    gate_reclaimed(core, group, position, r);
    if (!group->gate.is_taken)
        limit_take(&group->gate.limit);
    group->gate.is_taken = false;
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

/* The cost of a call that ended: what the outcome says; else the price, where it took
 * effect or may have. */
static int64_t cost_of(const struct core *core, const struct group *group, uint64_t at_us,
                       const struct record *outcome)
{
    const char *own = group->gate.budget.per_day.currency, *currency;
    size_t n;
    int64_t micros;

    if (attrs_find_int(record_attrs(outcome), outcome->attr_len, ATTR_COST, &micros) &&
        attrs_find_text(record_attrs(outcome), outcome->attr_len, ATTR_CURRENCY,
                        &currency, &n) &&
        n == strlen(own) && memcmp(currency, own, n) == 0)
        return micros;
    bool may_have_cost = outcome->status == STATUS_SUCCESS ||
                         outcome->error_class == CLASS_unknown ||
                         outcome->error_class == CLASS_poison;
    return may_have_cost ? price_of(core, group, outcome, at_us).micros : 0;
}

/* The call that a session's death cut short: it may have had its effect. */
static int64_t cost_of_lost(struct core *core, const struct group *group, uint64_t at_us,
                            struct position position)
{
    struct block_ref *ref = cache_get(core, position.block);
    const struct record *r = ref ? block_ref_record(ref, position.index) : NULL;
    int64_t micros = r ? price_of(core, group, r, at_us).micros : 0;

    block_ref_drop(ref);
    return micros;
}

static void settle_budget(struct core *core, struct group *group, uint64_t at_us,
                          const struct record *outcome)
{
    struct position position = {outcome->cause_block, outcome->cause_index};

    budget_release(&group->gate.budget, position);
    if (!has_budget(group))
        return;
    budget_spend(&group->gate.budget, at_us, cost_of(core, group, at_us, outcome));
    if (outcome->status == STATUS_SUCCESS &&
        price_of(core, group, outcome, at_us).kind == PRICE_UNKNOWN)
        group->gate.budget.has_seen = true;
}

void gate_settled(struct core *core, struct group *group, uint64_t at_us,
                  const struct record *outcome)
{
    bool by_broker = outcome->flags & RECORD_BY_BROKER;
    const struct route *route = route_get(core, outcome);

    if (!route || route->class != TYPE_OUTCOME)
        return; /* of a webhook: the service was not called */
    settle_budget(core, group, at_us, outcome);
    if (outcome->error_class == CLASS_exhausted ||
        (outcome->error_class == CLASS_unknown && !by_broker))
        failed(group, at_us, outcome);
    else if (!by_broker && (outcome->status == STATUS_SUCCESS ||
                            outcome->error_class == CLASS_permanent))
        breaker_answered(&group->gate.breaker);
}

void gate_retried(struct core *core, struct group *group, uint64_t at_us,
                  const struct record *r, bool is_death)
{
    const struct control_retry *c = (const struct control_retry *)record_data(r);
    struct position position = {c->block, c->index};

    if (!group->is_handler)
        return;
    budget_release(&group->gate.budget, position);
    if (!is_death)
        failed(group, at_us, r);
    else if (has_budget(group))
        budget_spend(&group->gate.budget, at_us,
                     cost_of_lost(core, group, at_us, position));
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

static void note_budget(struct core *core, struct group *group, const struct json *data)
{
    struct budget *budget = &group->gate.budget;

    budget->is_saying = false;
    budget->exceeded_us = (uint64_t)js_int(data, "since_us", 0);
    if (!core->is_started)
        return;
    _free_ char *said = mem_format("integration=%s reason=\"%s\"", group->name,
                                   js_text(data, "reason", ""));
    core->ops->say(core->user, LOG_BUDGET_SPENT, said);
}

static void note_rate(const struct core *core, struct group *group,
                      const struct json *data)
{
    group->gate.taken_us = (uint64_t)js_int(data, "taken_us", 0);
    group->gate.is_taken = core->is_started;
    group->gate.is_taking = false;
}

static void note_state(struct group *group, const struct json *data)
{
    struct breaker *breaker = &group->gate.breaker;
    const struct json *row = js_get(data, "failed_us");
    int state = breaker_find(js_text(data, "state", ""));
    const char *why = js_text(data, "why", "");

    if (state < 0)
        return;
    group->gate.taken_us = (uint64_t)js_int(data, "taken_us", 0);
    group->gate.budget.day = (uint64_t)js_int(data, "day", 0);
    group->gate.budget.spent = js_int(data, "spent_micros", 0);
    group->gate.budget.dearest = js_int(data, "dearest_micros", 0);
    group->gate.budget.has_seen = js_bool(data, "has_seen", false);
    group->gate.budget.exceeded_us = (uint64_t)js_int(data, "exceeded_us", 0);
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
    else if (note_is(r, "signalbox.budget"))
        note_budget(core, group, data);
    else if (note_is(r, "signalbox.rate"))
        note_rate(core, group, data);
    else if (note_is(r, "signalbox.limits"))
        note_state(group, data);
}

void gate_checkpoint(struct core *core, const struct group *group)
{
    const struct breaker *breaker = &group->gate.breaker;
    const struct budget *budget = &group->gate.budget;
    uint32_t n = breaker->n_failed < BREAKER_FAILURES_MAX ? breaker->n_failed
                                                          : BREAKER_FAILURES_MAX;

    if (!breaker->since_us && !n && !budget->day && !budget->exceeded_us &&
        !group->gate.taken_us)
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
    js_set_int(js_set_int(data, "day", (int64_t)budget->day), "spent_micros",
               budget->spent);
    js_set_bool(data, "has_seen", budget->has_seen);
    js_set_int(js_set_int(data, "dearest_micros", budget->dearest), "exceeded_us",
               (int64_t)budget->exceeded_us);
    js_set_int(data, "taken_us", (int64_t)group->gate.taken_us);
    stage_note(core, group, "signalbox.limits", data);
    js_free(data);
}

/* --- what the operator sees --- */

static struct json *budget_status(const struct core *core, const struct budget *budget)
{
    struct json *o = js_set_text(js_object(), "currency", budget->per_day.currency);
    int64_t spent = budget_spent(budget, core->wall_us);

    js_set_int(js_set_int(o, "per_day_micros", budget->per_day.micros), "spent_micros",
               spent);
    js_set_int(o, "held_micros", budget_held(budget));
    js_set_bool(o, "exceeded", budget_is_exceeded(budget, core->wall_us));
    if (budget_is_exceeded(budget, core->wall_us))
        js_set_int(o, "since_us", (int64_t)budget->exceeded_us);
    return o;
}

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
    if (has_budget(group))
        js_set(limits, "budget", budget_status(core, &group->gate.budget));
    js_set(status, "limits", js_set(limits, "breaker", state));
}
