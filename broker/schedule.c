/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* schedule - the clock as a publisher
 *
 * A run's id is the hash of (schedule, due time), so it fires once whatever dies.  The
 * last run fired is applied state; the next one is computed from it.  A run that falls
 * due while the one before is not settled, or while nothing ran, follows the schedule's
 * `missed` policy and leaves a Failed fact. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "proto/attrs.h"

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
                       const uint8_t id[16], uint64_t due_us, bool missed)
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
    stage_mark(core, group, s, id, due_us, false);
    stage_parts(core, &parts, NULL);
    s->is_staged = true;
    s->is_owed = false;
    buf_fini(&attrs);
    buf_fini(&text);
    js_free(data);
}

static void miss(struct core *core, struct group *group, struct schedule *s,
                 uint64_t due_us, const char *why)
{
    _free_ char *type = mem_format("%s.%s.missed", group->connector, s->operation);
    struct buf attrs = BUF_NULL;
    char due[TEXT_TIME_SIZE];
    uint8_t id[16];

    id_derive(s->name, due_us, id);
    text_time(due_us, due);
    _free_ char *text = mem_format("the run due %s did not take place: %s", due, why);
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
    stage_mark(core, group, s, id, due_us, true);
    stage_parts(core, &parts, NULL);
    buf_fini(&attrs);
}

static bool is_ready(const struct core *core, const struct group *group,
                     const struct schedule *s)
{
    return s->is_configured && group->is_configured && !group->is_paused &&
           manifest_find(core, group) != NULL;
}

/* Everything that fell due. The newest due run fires if it can; older ones, and those
 * that fall due while a run is under way, are missed (or, with `all`, fire one after the
 * other). */
static void run_schedule(struct core *core, struct group *group, struct schedule *s)
{
    bool is_busy = s->is_staged || s->pending.block;
    uint64_t latest = core->wall_us - core->wall_us % s->every_us;

    if (s->staged_due_us == 0) {
        stage_mark(core, group, s, (const uint8_t[16]){0}, latest,
                   true); /* where counting starts; nothing was missed */
        return;
    }
    if (s->is_owed && !is_busy) {
        fire(core, group, s, s->staged_due_us);
        return;
    }
    if (s->missed == 2 && !is_busy && s->staged_due_us + s->every_us <= latest) {
        fire(core, group, s, s->staged_due_us + s->every_us);
        return;
    }
    if (s->missed == 2)
        return;
    uint64_t due = s->staged_due_us + s->every_us;
    if (latest > due && (latest - due) / s->every_us > CORE_MISSED_MAX)
        due = latest - CORE_MISSED_MAX * s->every_us;
    for (; due < latest; due += s->every_us)
        miss(core, group, s, due,
             is_busy ? "the run before it was not finished" : "nothing ran at that time");
    if (due > latest)
        return;
    if (!is_busy) {
        fire(core, group, s, due);
    } else {
        miss(core, group, s, due, "the run before it was not finished");
        s->is_owed = s->missed == 1;
    }
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
