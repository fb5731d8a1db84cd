/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* retry - another attempt later, or the end of trying */
#include <stdio.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

/* Full jitter: anything between 0 and a bound that doubles with every attempt. */
static uint64_t backoff_us(struct core *core, unsigned attempts)
{
    uint64_t bound = CORE_BACKOFF_MIN_US;

    for (unsigned i = 1; i < attempts && bound < CORE_BACKOFF_MAX_US; i++)
        bound *= 2;
    return random_below(core, bound < CORE_BACKOFF_MAX_US ? bound : CORE_BACKOFF_MAX_US);
}

static void stage_retry(struct core *core, const struct control_retry *data,
                        const struct setback *setback)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, setback->text);
    struct record_parts parts = {.kind = RECORD_RETRY,
                                 .error_class = setback->why,
                                 .flags = setback->leaves_doubt ? RECORD_DOUBT : 0,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = data,
                                 .data_len = sizeof(*data)};
    stage_parts(core, &parts, NULL);
    buf_fini(&attrs);
}

static uint64_t pause_us(struct core *core, const struct setback *setback,
                         unsigned attempts)
{
    uint64_t us = setback->at_once    ? 0
                  : setback->delay_us ? setback->delay_us
                                      : backoff_us(core, attempts);

    return us < CORE_BACKOFF_CAP_US ? us : CORE_BACKOFF_CAP_US;
}

void retry_later(struct core *core, struct group *group, struct slot *slot,
                 uint32_t index, const struct setback *setback)
{
    struct cell *cell = slot_cell(slot, index); /* changes when the record is applied */
    unsigned attempts = cell->attempts + (setback->counts ? 1u : 0u),
             deaths = cell->deaths + (setback->is_death ? 1u : 0u),
             alone = cell->alone + (setback->is_death && setback->was_alone ? 1u : 0u);

    struct ending ending = {.attempts = attempts,
                            .in_doubt = setback->leaves_doubt,
                            .had_deaths = deaths > 0};
    if (alone >= CORE_DEATHS_MAX) {
        ending.why = CLASS_poison;
        ending.text = "its connector ended each time it worked on this";
        settle_as(core, group, slot, index, &ending);
        return;
    }
    if (attempts >= group->attempts) {
        _free_ char *said =
            mem_format("%u attempts; the last: %s", attempts, setback->text);
        ending.why = CLASS_exhausted;
        ending.text = said;
        settle_as(core, group, slot, index, &ending);
        return;
    }
    struct control_retry data = {.block = slot->block,
                                 .index = index,
                                 .group = group->hash,
                                 .due_us =
                                     core->wall_us + pause_us(core, setback, attempts),
                                 .attempts = attempts,
                                 .deaths = (uint16_t)deaths,
                                 .alone = (uint16_t)alone};
    cell->state = CELL_SETTLING; /* until the record is applied */
    stage_retry(core, &data, setback);
}

/* How a session came to lose what it held. */
struct loss {
    bool started_too; /* it is over; else it may come back for what it began */
    bool is_death;
    bool was_alone;    /* it held one event */
    unsigned suspects; /* how many more that it did not say to have begun are suspected:
                          it may have ended before it could say so */
};

static void release_cell(struct core *core, struct group *group, struct slot *slot,
                         uint32_t index, struct loss *loss)
{
    struct cell *cell = &slot->cells[index];
    bool started = cell->flags & CELL_STARTED;
    const struct setback setback = {.counts = started,
                                    .at_once = true,
                                    .is_death = loss->is_death,
                                    .was_alone = loss->is_death && loss->was_alone,
                                    .leaves_doubt = cell->flags & CELL_DOUBT,
                                    .text = started
                                                ? "the session that worked on it was lost"
                                                : "the session that had it was lost"};

    if (started && !loss->started_too)
        return;
    cell_leave(core, group, cell);
    if (started || (loss->is_death && loss->suspects > 0)) {
        loss->suspects -= !started;
        retry_later(core, group, slot, index, &setback);
    } else {
        cell->state =
            CELL_WAITING; /* never begun: delivered again at once, nothing is counted */
        queue_push(&group->ready, slot->block, index);
    }
}

static bool is_held(const struct slot *slot, uint32_t index,
                    const struct session *session)
{
    return slot->cells[index].state == CELL_INFLIGHT &&
           slot->cells[index].session == session->index;
}

void retry_release(struct core *core, struct session *session, bool started_too)
{
    struct group *group = session->group;
    struct loss loss = {.started_too = started_too,
                        .is_death = started_too && !session->is_leaving,
                        .was_alone = session->inflight == 1,
                        .suspects = CORE_SUSPECTS_MAX};

    for (size_t i = group ? group->first_slot : 0;
         group && i < group->n_slots && session->inflight > 0; i++) {
        struct slot *slot = &group->slots[i];
        for (uint32_t index = 0; slot->cells && index < slot->count; index++)
            if (is_held(slot, index, session))
                release_cell(core, group, slot, index, &loss);
    }
}

/* --- deadlines of what is not being worked on --- */

static void expire_slot(struct core *core, struct group *group, struct slot *slot)
{
    struct block_ref *ref = cache_get(core, slot->block);
    uint64_t next = UINT64_MAX;

    for (uint32_t index = 0; ref && index < slot->count; index++) {
        const struct record *r = block_ref_record(ref, index);
        enum cell_state state = slot->cells ? slot->cells[index].state : CELL_OPEN;
        if (r->kind != RECORD_REQUEST || r->integration != group->hash ||
            !r->deadline_us || state == CELL_SETTLED)
            continue;
        if (r->deadline_us <= core->wall_us &&
            (state == CELL_OPEN || state == CELL_WAITING || state == CELL_PARKED))
            settle_late(core, group, slot, index);
        else if (r->deadline_us <= core->wall_us)
            next = core->wall_us +
                   250000; /* being worked on: a running attempt is not overtaken */
        else if (r->deadline_us < next)
            next = r->deadline_us;
    }
    slot->deadline_us = next;
    block_ref_drop(ref);
}

void retry_sweep(struct core *core)
{
    for (size_t i = 0; i < core->n_groups; i++) {
        struct group *group = core->groups[i];
        for (size_t j = group->first_slot; group->is_handler && j < group->n_slots; j++)
            if (group->slots[j].open > 0 && group->slots[j].deadline_us <= core->wall_us)
                expire_slot(core, group, &group->slots[j]);
    }
}
