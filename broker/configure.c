/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* configure - the configuration in force, and what of it the log must know
 *
 * Integrations and groups are records, so that the log says whose an event was. Budget
 * and prices are in them because what was spent is counted by them, schedules because
 * runs are counted from the time on at which they were so.  Limits and keys are not: they
 * are the present configuration's alone. */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"

static void set_money(struct json *o, const struct money *money)
{
    js_set_int(js_set_text(o, "currency", money->currency), "micros", money->micros);
}

static void set_prices(struct json *o, const struct core_integration *in)
{
    struct json *prices = js_array();

    for (size_t i = 0; i < in->n_prices; i++) {
        const struct core_price *price = &in->prices[i];
        struct json *one = js_set_text(js_object(), "operation", price->operation);
        set_money(one, &price->price);
        js_push(prices, js_set_int(one, "since_us", (int64_t)price->since_us));
    }
    js_set(o, "prices", prices);
}

static void set_schedules(struct json *o, const struct core_integration *in)
{
    struct json *schedules = js_array();

    for (size_t i = 0; i < in->n_schedules; i++)
        js_push(schedules, js_set_text(js_set_text(js_object(), "operation",
                                                   in->schedules[i].operation),
                                       "when", in->schedules[i].when));
    js_set(o, "schedules", schedules);
}

static char *integration_record(const struct core_integration *in)
{
    struct json *o = js_object();
    struct buf text = BUF_NULL;

    js_set_text(js_set_text(o, "name", in->name), "connector", in->connector);
    js_set_text(js_set_text(o, "provider", in->provider), "service", in->service);
    js_set_bool(js_set_text(o, "mode", in->mode), "default", in->is_default);
    if (in->n_schedules > 0)
        set_schedules(o, in);
    if (in->n_prices > 0)
        set_prices(o, in);
    if (in->per_day.currency[0]) {
        struct json *budget = js_object();
        set_money(budget, &in->per_day);
        js_set(o, "budget", budget);
    }
    js_write(o, 0, &text);
    js_free(o);
    return (char *)text.bytes;
}

static char *group_record(const struct core_group *in)
{
    struct json *o = js_set_text(js_object(), "name", in->name), *types = js_array();
    struct buf text = BUF_NULL;

    for (size_t i = 0; i < in->n_types; i++)
        js_push(types, js_from_text(in->types[i], strlen(in->types[i])));
    js_set(o, "types", types);
    js_write(o, 0, &text);
    js_free(o);
    return (char *)text.bytes;
}

static void stage_definition(struct core *core, const char *name, bool is_handler,
                             const char *text)
{
    struct record_parts parts = {.kind = is_handler ? RECORD_INTEGRATION : RECORD_NOTE,
                                 .type = is_handler ? NULL : "signalbox.group",
                                 .integration = integration_hash(name),
                                 .data = text,
                                 .data_len = strlen(text)};

    stage_parts(core, &parts, NULL);
}

static void configure_schedule(struct group *group, const struct core_schedule *in)
{
    _free_ char *name = mem_format("%s.%s", group->name, in->operation);
    struct schedule *s = schedule_make(group, name);

    schedule_configure(s, in);
}

static void set_order(struct group *group, bool is_ordered)
{
    if (group->is_ordered != is_ordered)
        lanes_reset(group);
    group->is_ordered = is_ordered;
}

/* A bucket that is new to this process goes on where the log left it.  A clock that went
 * back counts as no time gone by. */
static void set_limit(const struct core *core, struct group *group,
                      const struct core_integration *in)
{
    struct limit *limit = &group->gate.limit;
    bool is_new = limit->filled_us == 0;
    uint64_t taken_us = group->gate.taken_us;

    limit_set(limit, in->rate, in->concurrency, core->steady_us);
    if (is_new)
        limit_resume(limit, taken_us == 0               ? UINT64_MAX
                            : core->wall_us <= taken_us ? 0
                                                        : core->wall_us - taken_us);
}

static void configure_integration(struct core *core, const struct core_integration *in)
{
    struct group *group = group_add(core, in->name);
    _free_ char *record = integration_record(in);

    group->is_handler = true;
    group->attempts = in->attempts ? in->attempts : 8;
    set_order(group, in->is_ordered);
    group->deadline_us = in->deadline_us ? in->deadline_us : UINT64_C(86400000000);
    set_limit(core, group, in);
    group->gate.breaker.limits = (struct breaker_limits){
        in->breaker.failures, in->breaker.window_us, in->breaker.pause_us};
    free(group->key);
    group->key = mem_text(in->key);
    for (size_t i = 0; i < group->n_schedules; i++)
        group->schedules[i].is_configured = false;
    for (size_t i = 0; i < in->n_schedules; i++)
        configure_schedule(group, &in->schedules[i]);
    if (!group->record || strcmp(group->record, record) != 0)
        stage_definition(core, in->name, true, record);
}

static void configure_group(struct core *core, const struct core_group *in)
{
    struct group *group = group_add(core, in->name);
    _free_ char *record = group_record(in);

    group->may_lose = in->may_lose;

    set_order(group, in->is_ordered);
    group->attempts = in->attempts ? in->attempts : 8;
    if (!group->record || strcmp(group->record, record) != 0)
        stage_definition(core, in->name, false, record);
}

static bool is_named(const struct core_config *config, const struct group *group)
{
    for (size_t i = 0; i < config->n_integrations; i++)
        if (strcmp(config->integrations[i].name, group->name) == 0)
            return true;
    for (size_t i = 0; i < config->n_groups; i++)
        if (strcmp(config->groups[i].name, group->name) == 0)
            return true;
    return false;
}

static void remove_group(struct core *core, struct group *group)
{
    struct json *o =
        js_set_bool(js_set_text(js_object(), "name", group->name), "removed", true);
    struct buf text = BUF_NULL;

    if (!group->is_configured && group->record)
        goto done;
    js_set_text(js_set_text(o, "connector", group->connector), "service", group->service);
    js_write(o, 0, &text);
    stage_definition(core, group->name, group->is_handler, buf_str(&text));
    buf_fini(&text);
done:
    js_free(o);
}

void core_configure(struct core *core, const struct core_config *config)
{
    free(core->gateway_key);
    core->gateway_key = mem_text(config->gateway_key);
    core->idempotency_us = config->idempotency_us
                               ? config->idempotency_us
                               : (uint64_t)CORE_IDEMPOTENCY_S * 1000000;
    if (config->random_seed)
        core->random = config->random_seed;
    for (size_t i = 0; i < core->n_groups; i++)
        if (!is_named(config, core->groups[i]))
            remove_group(core, core->groups[i]);
    for (size_t i = 0; i < config->n_integrations; i++)
        configure_integration(core, &config->integrations[i]);
    for (size_t i = 0; i < config->n_groups; i++)
        configure_group(core, &config->groups[i]);
    rights_configure(core, config);
    stage_flush(core);
}
