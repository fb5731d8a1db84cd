/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* pass - what retention took away before a consumer group had it
 *
 * Groups are protected: what they have not settled stays in the log.  One that is not
 * (`protect: false`), or is no longer configured, goes on behind what is gone; a record
 * says how much it missed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/state.h"
#include "lib/base/log.h"

bool group_pins(const struct group *group)
{
    return group->is_handler || (group->is_configured && !group->may_lose);
}

/* --- apply --- */

/* The delivery is over without a result; what its session was credited is its again. */
static void forget_cell(struct core *core, struct group *group, struct cell *cell)
{
    struct session *session =
        cell->state == CELL_INFLIGHT ? core->sessions[cell->session] : NULL;

    if (session) {
        session->credit_events++;
        session->credit_bytes += cell->len;
    }
    if (cell->state == CELL_INFLIGHT || (cell->flags & CELL_FRESH))
        cell_leave(core, group, cell);
    cell->state = CELL_SETTLED;
    if (cell->flags & CELL_LEADS)
        lane_leave(group, cell);
}

void pass_apply(struct core *core, struct group *group, uint64_t below)
{
    for (size_t i = group->first_slot;
         i < group->n_slots && group->slots[i].block < below; i++) {
        struct slot *slot = &group->slots[i];
        for (uint32_t index = 0; slot->cells && index < slot->count; index++)
            if (slot->cells[index].state != CELL_SETTLED)
                forget_cell(core, group, &slot->cells[index]);
        free(slot->cells);
        slot->cells = NULL;
        group->settled_failed += slot->open;
        slot->open = 0;
    }
    slots_trim(group);
}

/* --- stage --- */

static uint64_t count_below(const struct group *group, uint64_t below)
{
    uint64_t n = 0;

    for (size_t i = group->first_slot;
         i < group->n_slots && group->slots[i].block < below; i++)
        n += group->slots[i].open;
    return n;
}

static void pass(struct core *core, struct group *group, uint64_t below)
{
    uint64_t n = count_below(group, below);
    struct buf text = BUF_NULL;
    char said[200];

    if (n == 0 || group->passing >= below)
        return;
    group->passing = below;
    struct json *data = js_set_text(js_object(), "name", group->name);
    js_set_int(js_set_int(data, "below", (int64_t)below), "events", (int64_t)n);
    js_write(data, 0, &text);
    struct record_parts parts = {.kind = RECORD_NOTE,
                                 .type = "signalbox.passed",
                                 .integration = group->hash,
                                 .data = text.bytes,
                                 .data_len = text.len};
    stage_parts(core, &parts, NULL);
    snprintf(said, sizeof(said), "group=%.64s events=%" PRIu64 " below_block=%" PRIu64,
             group->name, n, below);
    core->ops->say(core->user, LOG_GROUP_PASSED, said);
    buf_fini(&text);
    js_free(data);
}

void core_trimmed(struct core *core, uint64_t first)
{
    for (size_t i = 0; core->is_started && i < core->n_groups; i++)
        if (!core->groups[i]->is_handler)
            pass(core, core->groups[i], first);
}
