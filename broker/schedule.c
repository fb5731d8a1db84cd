/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* schedule - the clock as a publisher
 *
 * A run's id is the hash of (schedule, due time), so it fires once whatever dies.  The
 * last run fired is applied state; the next one is computed from it.  A run that falls
 * due while the one before is not settled, or while nothing ran, follows the schedule's
 * `missed` policy and leaves a Failed fact. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "proto/attrs.h"

enum { FIRED, MISSED, OWED };                /* control_schedule.missed */
enum { SKIP, ONCE, ALL };                    /* core_schedule.missed */
#define LOOK_BACK_US UINT64_C(3456000000000) /* 40 days: longer nobody counts */

struct schedule *schedule_make(struct group *group, const char *name)
{
    for (size_t i = 0; i < group->n_schedules; i++)
        if (strcmp(group->schedules[i].name, name) == 0)
            return &group->schedules[i];
    group->schedules = mem_resize(group->schedules,
                                  (group->n_schedules + 1) * sizeof(*group->schedules));
    struct schedule *s = &group->schedules[group->n_schedules++];
    *s = (struct schedule){.name = mem_text(name),
                           .operation = mem_text(name + strlen(group->name) + 1)};
    return s;
}

static void stage_mark(struct core *core, const struct group *group, struct schedule *s,
                       const uint8_t id[16], uint64_t due_us, uint32_t missed)
{
    struct control_schedule data = {.due_us = due_us, .missed = missed};
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SCHEDULE, s->name);
    struct record_parts parts = {.kind = RECORD_SCHEDULE,
                                 .id = id,
                                 .integration = group->hash,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = &data,
                                 .data_len = sizeof(data)};
    stage_parts(core, &parts, NULL);
    s->staged_due_us = due_us;
    s->next_due_us = 0;
    buf_fini(&attrs);
}

static void fire(struct core *core, struct group *group, struct schedule *s,
                 uint64_t due_us)
{
    _free_ char *type = mem_format("%s.%s.requested", group->connector, s->operation);
    struct json *data = js_object();
    struct buf attrs = BUF_NULL, text = BUF_NULL;
    char due[TEXT_TIME_SIZE];
    uint8_t id[16];

    id_derive(s->name, due_us, id);
    text_time(due_us, due);
    js_set_text(js_set_text(data, "due", due), "cursor", s->cursor);
    js_write(data, 0, &text);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SCHEDULE, s->name);
    struct record_parts parts = {
        .kind = RECORD_REQUEST,
        .flags = RECORD_SCHEDULED | RECORD_JSON,
        .type = type,
        .id = id,
        .integration = group->hash,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = text.bytes,
        .data_len = text.len,
        .deadline_us = core->wall_us + group->deadline_us,
    };
    stage_room(core, 4096 + text.len); /* mark and request in one block */
    stage_mark(core, group, s, id, due_us, FIRED);
    stage_parts(core, &parts, NULL);
    s->is_staged = true;
    buf_fini(&attrs);
    buf_fini(&text);
    js_free(data);
}

/* Older ones that are not told one by one are named by their number. */
static void miss(struct core *core, struct group *group, struct schedule *s,
                 uint64_t due_us, uint64_t n_before, const char *why, bool is_owed)
{
    _free_ char *type = mem_format("%s.%s.missed", group->connector, s->operation);
    struct buf attrs = BUF_NULL;
    char due[TEXT_TIME_SIZE];
    uint8_t id[16];

    id_derive(s->name, due_us, id);
    text_time(due_us, due);
    _free_ char *before =
        n_before ? mem_format("; %" PRIu64 " before it neither", n_before) : mem_text("");
    _free_ char *text =
        mem_format("the run due %s did not take place: %s%s", due, why, before);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SCHEDULE, s->name);
    attrs_text(&attrs, ATTR_ERROR_MSG, text);
    struct record_parts parts = {.kind = RECORD_FACT,
                                 .status = STATUS_FAILED,
                                 .error_class = CLASS_missed,
                                 .flags = RECORD_BY_BROKER,
                                 .type = type,
                                 .id = id,
                                 .time_us = due_us,
                                 .integration = group->hash,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len};
    stage_room(core, 4096);
    stage_mark(core, group, s, id, due_us, is_owed ? OWED : MISSED);
    stage_parts(core, &parts, NULL);
    buf_fini(&attrs);
}

void schedule_configure(struct schedule *schedule, const struct core_schedule *in)
{
    free(schedule->when);
    zone_free(schedule->zone);
    schedule->when = mem_text(in->when);
    schedule->every_us = in->every_us;
    schedule->is_cron = in->cron != NULL;
    if (in->cron)
        schedule->cron = *in->cron;
    schedule->zone = zone_copy(in->zone);
    schedule->missed = in->missed;
    schedule->is_configured = true;
    schedule->next_due_us = 0;
}

void schedule_fini(struct schedule *schedule)
{
    free(schedule->name);
    free(schedule->operation);
    free(schedule->cursor);
    free(schedule->spec);
    free(schedule->when);
    zone_free(schedule->zone);
}

static const char *when_of(const struct json *list, const char *operation)
{
    for (size_t i = 0; i < js_count(list); i++)
        if (strcmp(js_text(js_at(list, i), "operation", ""), operation) == 0)
            return js_text(js_at(list, i), "when", "");
    return NULL;
}

/* A schedule that was changed is counted from the change on, one that was taken out from
 * when it comes back: what its new form would have run before was not missed. */
void schedule_define(struct group *group, const struct json *list, uint64_t at_us)
{
    for (size_t i = 0; i < js_count(list); i++) {
        _free_ char *name =
            mem_format("%s.%s", group->name, js_text(js_at(list, i), "operation", ""));
        schedule_make(group, name);
    }
    for (size_t i = 0; i < group->n_schedules; i++) {
        struct schedule *s = &group->schedules[i];
        const char *when = when_of(list, s->operation);
        bool is_changed = when && s->spec && strcmp(s->spec, when) != 0;
        if (!when)
            s->last_due_us = s->staged_due_us = 0;
        else if (is_changed && s->last_due_us && s->last_due_us < at_us)
            s->last_due_us = s->staged_due_us = at_us;
        free(s->spec);
        s->spec = mem_text(when);
        s->next_due_us = 0;
    }
}

static bool is_ready(const struct core *core, const struct group *group,
                     const struct schedule *s)
{
    return s->is_configured && group->is_configured && !group->is_paused &&
           !core->head.is_full && s->spec && s->when && strcmp(s->spec, s->when) == 0 &&
           manifest_find(core, group) != NULL;
}

static uint64_t due_after(const struct schedule *s, uint64_t us)
{
    if (!s->is_cron)
        return us - us % s->every_us + s->every_us;
    int64_t next = cron_next(&s->cron, s->zone, (int64_t)(us / 1000000));
    return next > 0 ? (uint64_t)next * 1000000 : UINT64_MAX;
}

uint64_t schedule_next_due(struct schedule *schedule)
{
    if (schedule->next_due_us == 0)
        schedule->next_due_us = due_after(schedule, schedule->staged_due_us);
    return schedule->next_due_us;
}

/* The last of what fell due, oldest first, and how many there were. */
static uint64_t gather(const struct core *core, struct schedule *s,
                       uint64_t due[CORE_MISSED_MAX + 1])
{
    uint64_t from = core->wall_us - LOOK_BACK_US, n = 0;
    uint64_t next = s->staged_due_us < from ? due_after(s, from) : schedule_next_due(s);

    for (; next <= core->wall_us; next = due_after(s, next))
        due[n++ % (CORE_MISSED_MAX + 1)] = next;
    return n;
}

static bool is_too_late(const struct core *core, const struct schedule *s, uint64_t due)
{
    uint64_t half = (due_after(s, due) - due) / 2;

    return core->wall_us - due > (half < CORE_LATE_US ? half : CORE_LATE_US);
}

/* Everything that fell due. The newest due run fires if it can; older ones, and those
 * that fall due while a run is under way, are missed. */
static void run_due(struct core *core, struct group *group, struct schedule *s,
                    bool is_busy)
{
    static const char busy[] = "the run before it was not finished";
    static const char away[] = "nothing ran then, the integration was paused, or its "
                               "connector had not joined";
    uint64_t due[CORE_MISSED_MAX + 1], n = gather(core, s, due);
    uint64_t first = n > CORE_MISSED_MAX + 1 ? n - CORE_MISSED_MAX - 1 : 0;

    for (uint64_t i = first; i + 1 < n; i++)
        miss(core, group, s, due[i % (CORE_MISSED_MAX + 1)], i == first ? first : 0,
             is_busy ? busy : away, false);
    if (n == 0)
        return;
    uint64_t last = due[(n - 1) % (CORE_MISSED_MAX + 1)];
    if (is_busy)
        miss(core, group, s, last, 0, busy, s->missed == ONCE);
    else if (s->missed == SKIP && is_too_late(core, s, last))
        miss(core, group, s, last, 0, away, false);
    else
        fire(core, group, s, last);
}

static void run_schedule(struct core *core, struct group *group, struct schedule *s)
{
    bool is_busy = s->is_staged || s->pending.block;

    if (s->staged_due_us == 0) /* where counting starts; nothing was missed */
        stage_mark(core, group, s, (const uint8_t[16]){0}, core->wall_us, MISSED);
    else if (schedule_next_due(s) <= core->wall_us && s->missed != ALL)
        run_due(core, group, s, is_busy);
    else if (is_busy)
        return;
    else if (schedule_next_due(s) <= core->wall_us)
        fire(core, group, s, schedule_next_due(s));
    else if (s->is_owed) /* a run of its own, with an id of its own */
        fire(core, group, s,
             core->wall_us > s->staged_due_us ? core->wall_us : s->staged_due_us + 1);
}

void schedule_tick(struct core *core)
{
    for (size_t i = 0; i < core->n_groups; i++)
        for (size_t j = 0; j < core->groups[i]->n_schedules; j++)
            if (is_ready(core, core->groups[i], &core->groups[i]->schedules[j]))
                run_schedule(core, core->groups[i], &core->groups[i]->schedules[j]);
}

void schedule_settled(struct core *core, struct group *group, struct position position,
                      const struct record *outcome)
{
    int64_t more;

    (void)core;
    for (size_t i = 0; i < group->n_schedules; i++) {
        struct schedule *s = &group->schedules[i];
        if (s->pending.block != position.block || s->pending.index != position.index)
            continue;
        s->pending = (struct position){0};
        if (outcome->status != STATUS_SUCCESS)
            return;
        char *cursor =
            attrs_copy_text(record_attrs(outcome), outcome->attr_len, ATTR_CURSOR);
        if (cursor) {
            free(s->cursor);
            s->cursor = cursor;
        }
        s->is_owed = s->is_owed || (attrs_find_int(record_attrs(outcome),
                                                   outcome->attr_len, ATTR_MORE, &more) &&
                                    more);
        return;
    }
}
