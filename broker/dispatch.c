/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* dispatch - from the log to the sessions that have credit
 *
 * Each group walks its slots in the log's order; what must be delivered again (retries,
 * deliveries of lost sessions) goes first.  A run of consecutive events of one block is
 * one slice: one copy of bytes. */
#include <inttypes.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

enum {
    UNREADABLE_US = 1000000
}; /* until a block that could not be read is tried again */

/* One DELIVER being filled for one session. */
struct delivery {
    struct session *session;
    uint32_t events;
    int64_t events_max; /* as credit and the log's room allow */
    uint64_t bytes;
};

static bool can_take(const struct session *session, const struct group *group)
{
    return session && session->group == group && session->peer && !session->is_solo &&
           !session->is_draining && session->credit_events > 0 &&
           session->credit_bytes > 0;
}

/* What the log must have room for when one of the group's deliveries is settled. */
static int64_t reserve_of(const struct group *group)
{
    return group->is_handler ? group->outcome_max : sizeof(struct record) * 2;
}

/* What is delivered must find room in the log for its outcome. */
static void measure_room(struct core *core)
{
    core->room = (int64_t)(core->head.segment_room + core->head.spare_bytes) -
                 (int64_t)core->staged_bytes - CORE_ROOM_KEPT;
    for (size_t i = 0; i < core->n_groups; i++)
        core->room -= core->groups[i]->inflight * reserve_of(core->groups[i]);
}

static struct session *pick(const struct core *core, const struct group *group)
{
    struct session *best = NULL;

    for (size_t i = 0; i < core->n_sessions && core->room >= reserve_of(group); i++) {
        struct session *session = core->sessions[i];
        if (can_take(session, group) &&
            (!best || session->credit_events > best->credit_events))
            best = session;
    }
    return best;
}

static bool is_full(const struct delivery *d)
{
    return d->bytes >= CORE_DELIVER_MAX || (int64_t)d->events >= d->events_max ||
           (int64_t)d->bytes >= d->session->credit_bytes;
}

static void begin(struct core *core, struct delivery *d, struct session *session)
{
    int64_t room = core->room / reserve_of(session->group);

    *d = (struct delivery){
        .session = session,
        .events_max = session->credit_events < room ? session->credit_events : room};
    message_begin(&core->frame, MSG_DELIVER, 0);
}

static void finish(struct core *core, struct delivery *d)
{
    if (!d->session || d->events == 0)
        return;
    message_end(&core->frame)->count = d->events;
    d->session->credit_events -= d->events;
    core->room -= d->events * reserve_of(d->session->group);
    d->session->credit_bytes -= (int64_t)d->bytes;
    send_frame(core, d->session->peer);
    *d = (struct delivery){0};
}

bool group_takes(struct core *core, const struct group *group, const struct record *r)
{
    if (group->is_handler)
        return r->kind == RECORD_REQUEST && r->integration == group->hash;
    if ((r->kind != RECORD_FACT && r->kind != RECORD_OUTCOME) ||
        !record_is_for(r, group->hash))
        return false;
    const struct route *route = route_get(core, r);
    for (size_t i = 0; route && i < route->n_consumers; i++)
        if (route->consumers[i] == group)
            return true;
    return false;
}

static bool is_late(const struct core *core, const struct record *r)
{
    return r->kind == RECORD_REQUEST && r->deadline_us && r->deadline_us <= core->wall_us;
}

/* A slice under way: consecutive records of one block. */
struct run {
    size_t at; /* of the slice in the frame; 0 = none */
    const uint8_t *from;
    uint32_t count;
};

static void end_run(struct core *core, struct run *run, const struct record *end)
{
    if (run->count == 0)
        return;
    size_t bytes = (size_t)((const uint8_t *)end - run->from);
    buf_add(&core->frame, run->from, bytes);
    struct slice *slice = (struct slice *)(core->frame.bytes + run->at);
    slice->count = run->count;
    slice->bytes = (uint32_t)bytes;
    *run = (struct run){0};
}

static bool is_doubtful(const struct cell *cell)
{
    return (cell->flags & (CELL_DOUBT | CELL_FRESH)) == CELL_DOUBT;
}

static void begin_run(struct core *core, struct run *run, const struct block *block,
                      uint32_t index, const struct record *r, const struct cell *cell)
{
    struct slice slice = {.block = block->number,
                          .index = index,
                          .attempt = (uint16_t)(cell->attempts + 1u),
                          .flags = is_doubtful(cell) ? SLICE_DOUBT : 0,
                          .timestamp_us = block->timestamp_us};

    run->at = core->frame.len;
    run->from = (const uint8_t *)r;
    buf_add(&core->frame, &slice, sizeof(slice));
}

/* Deliver from here on? A gate for one event that is the group's and met by the scan. */
enum turn {
    TURN_GO,   /* deliver it */
    TURN_PAST, /* it is under way, waits, or is settled: on to the next */
    TURN_STOP, /* the group may not have more unsettled, or its gate is shut: the scan
                  rests here */
};

/* An event that was delivered before the scan came here: after a restart, or when its
 * group became ordered. */
static void meet(struct group *group, struct cell *cell, const struct record *r,
                 uint64_t block, uint32_t index)
{
    if (!group->is_ordered || !r->key_hash || (cell->flags & CELL_LEADS))
        return;
    if (cell->state == CELL_WAITING && !lane_enter(group, cell, r->key_hash))
        lane_park(group, cell, r->key_hash, block, index);
    else if (cell->state == CELL_INFLIGHT || cell->state == CELL_SETTLING)
        lane_join(group, cell, r->key_hash);
}

static void fail_for_budget(struct core *core, struct group *group,
                            struct position position, const struct record *r)
{
    _free_ char *why = gate_sentence(core, group, r);

    settle_by_broker(core, group, slot_find(group, position.block), position.index,
                     CLASS_budget, why);
}

/* What stands between an event that waits for its turn and its delivery. */
static enum turn may_go(struct core *core, struct group *group, struct position position,
                        struct cell *cell, const struct record *r)
{
    bool must_start = start_is_due(group, cell, r);

    if (is_late(core, r)) {
        settle_late(core, group, slot_find(group, position.block), position.index);
        return TURN_PAST;
    }
    if (cell->flags & CELL_FRESH) /* the gate was passed before its START */
        return TURN_GO;
    if (must_start && start_is_full(group))
        return TURN_STOP;
    enum gate gate = gate_may_start(core, group, position, r);
    if (gate == GATE_SPENT)
        fail_for_budget(core, group, position, r);
    if (gate != GATE_OPEN)
        return gate == GATE_WAIT ? TURN_STOP : TURN_PAST;
    if (must_start)
        start_stage(core, group, position, cell);
    return must_start ? TURN_PAST : TURN_GO;
}

/* Once, until half of them have gone. */
static void say_crowded(struct core *core, struct group *group, const struct record *r)
{
    if (group->is_crowded)
        return;
    group->is_crowded = true;
    _free_ char *key = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_KEY);
    _free_ char *said = mem_format("group=%s parked=%" PRIu32 " next_key=\"%s\"",
                                   group->name, group->lanes.n_waiting, key ? key : "");
    core->ops->say(core->user, LOG_GROUP_CROWDED, said);
}

static enum turn turn_of(struct core *core, struct group *group, struct slot *slot,
                         uint32_t index, const struct record *r)
{
    struct cell *cell = slot_cell(slot, index);

    if (cell->state != CELL_OPEN) {
        meet(group, cell, r, slot->block, index);
        return TURN_PAST;
    }
    if (!lane_take(group, cell, r->key_hash)) {
        if (group->lanes.n_waiting >= CORE_PARKED_MAX) {
            say_crowded(core, group, r);
            return TURN_STOP;
        }
        lane_park(group, cell, r->key_hash, slot->block, index);
        return TURN_PAST;
    }
    if (cell->deaths == 0)
        return may_go(core, group, (struct position){slot->block, index}, cell, r);
    cell->state = CELL_WAITING; /* it was under suspicion before a restart */
    queue_push(&group->suspects, slot->block, index);
    return TURN_PAST;
}

static void deliver(struct group *group, struct delivery *d, struct run *run,
                    struct cell *cell, const struct record *r)
{
    cell_give(group, d->session, cell, r);
    run->count++;
    d->events++;
    d->bytes += r->len;
}

/* Ahead of calls that wait only what the provider told may go: it calls nobody. Not where
 * a key orders it behind them. */
static bool is_wanted(struct core *core, const struct group *group,
                      const struct record *r, bool is_ahead)
{
    if (is_ahead &&
        (!(r->flags & RECORD_PROVIDERS) || (group->is_ordered && r->key_hash)))
        return false;
    return group_takes(core, group, r);
}

/* Deliver from one block, from *at on, until it is done (TURN_PAST), the delivery is full
 * (TURN_GO) or the group may take no more (TURN_STOP). */
static enum turn walk_block(struct core *core, struct group *group, struct slot *slot,
                            struct block_ref *ref, struct delivery *d, uint32_t *at,
                            bool is_ahead)
{
    const struct record *r = block_ref_record(ref, *at);
    enum turn turn = TURN_GO;
    struct run run = {0};
    uint32_t index = *at;

    for (; r && !is_full(d); r = block_next(ref->block, r), index++) {
        turn = is_wanted(core, group, r, is_ahead) ? turn_of(core, group, slot, index, r)
                                                   : TURN_PAST;
        if (turn != TURN_GO) {
            end_run(core, &run, r);
            if (turn == TURN_STOP)
                break;
            continue;
        }
        struct cell *cell = slot_cell(slot, index);
        bool is_alone =
            cell->attempts > 0 || is_doubtful(cell); /* slices of one say so */
        if (is_alone)
            end_run(core, &run, r);
        if (run.count == 0)
            begin_run(core, &run, ref->block, index, r, cell);
        deliver(group, d, &run, cell, r);
        if (is_alone)
            end_run(core, &run, record_after(r));
    }
    end_run(core, &run, r ? r : block_end(ref->block));
    *at = index;
    return !r ? TURN_PAST : turn == TURN_STOP ? TURN_STOP : TURN_GO;
}

static struct cell *waiting_cell(struct group *group, const struct heap_entry *entry)
{
    struct cell *cell = slot_look(slot_find(group, entry->block), entry->index);

    return cell && cell->state == CELL_WAITING ? cell : NULL;
}

/* One event that was met before: a retry, a lost session's, the next of its key. False
 * when the group must wait. */
static bool deliver_again(struct core *core, struct group *group,
                          const struct heap_entry *entry, struct delivery *d)
{
    struct position position = {entry->block, entry->index};
    struct cell *cell = waiting_cell(group, entry);
    struct block_ref *ref = cell ? cache_get(core, entry->block) : NULL;
    const struct record *r = ref ? block_ref_record(ref, entry->index) : NULL;
    enum turn turn = TURN_PAST;

    if (r && !lane_take(group, cell, r->key_hash))
        lane_park(group, cell, r->key_hash, entry->block, entry->index);
    else if (r)
        turn = may_go(core, group, position, cell, r);
    else if (cell)
        heap_push(group, core->steady_us + UNREADABLE_US, entry->block,
                  entry->index); /* said by the shell */
    if (turn == TURN_STOP)
        heap_push(group, entry->due_us, entry->block, entry->index);
    if (turn == TURN_GO) {
        struct run run = {0};
        begin_run(core, &run, ref->block, entry->index, r, cell);
        deliver(group, d, &run, cell, r);
        end_run(core, &run, record_after(r));
    }
    block_ref_drop(ref);
    return turn != TURN_STOP;
}

/* The session that is emptied for suspects, the others go on; NULL while one is busy with
 * some, or none is there. */
static struct session *pick_solo(const struct core *core, const struct group *group)
{
    struct session *solo = NULL;

    for (size_t i = 0; i < core->n_sessions; i++) {
        struct session *session = core->sessions[i];
        if (!session || session->group != group || !session->peer)
            continue;
        if (session->is_solo)
            return NULL;
        if (session->is_draining || !solo)
            solo = session;
    }
    return solo;
}

/* Events that were started when a session died are tried with a session of their own:
 * after the first death a few together, then each alone. */
static void try_suspects(struct core *core, struct group *group)
{
    struct session *solo = pick_solo(core, group);
    struct heap_entry entry;
    struct delivery d;
    bool is_alone = false;

    if (!solo)
        return;
    solo->is_draining = solo->inflight > 0;
    if (solo->is_draining || solo->credit_events <= 0 || core->room < reserve_of(group))
        return;
    begin(core, &d, solo);
    while (!is_alone && !is_full(&d) && d.events < CORE_SUSPECTS_TOGETHER &&
           queue_peek(&group->suspects, &entry)) {
        const struct cell *cell = waiting_cell(group, &entry);
        is_alone = cell && cell->deaths > 1;
        if (is_alone && d.events > 0)
            break;
        queue_pop(&group->suspects, &entry);
        if (!deliver_again(core, group, &entry, &d))
            break;
        is_alone = is_alone && d.events > 0;
    }
    solo->is_solo = d.events > 0;
    finish(core, &d);
}

static bool pop_due(const struct core *core, struct group *group, struct heap_entry *ret)
{
    return queue_pop(&group->ready, ret) || heap_pop(group, core->steady_us, ret);
}

static bool is_due(const struct core *core, const struct group *group)
{
    return queue_len(&group->ready) > 0 ||
           (group->n_heap > 0 && group->heap[0].due_us <= core->steady_us);
}

static void again(struct core *core, struct group *group)
{
    struct heap_entry entry;
    struct delivery d = {0};

    while (is_due(core, group)) {
        if (!d.session || is_full(&d)) {
            finish(core, &d);
            struct session *session = pick(core, group);
            if (!session)
                return;
            begin(core, &d, session);
        }
        pop_due(core, group, &entry);
        const struct cell *cell = waiting_cell(group, &entry);
        if (cell && cell->deaths > 0)
            queue_push(&group->suspects, entry.block, entry.index);
        else if (cell && !deliver_again(core, group, &entry, &d))
            break;
    }
    finish(core, &d);
}

static void pass(struct group *group, struct slot *slot)
{
    if (slot->open == 0 || slot->is_passed)
        return;
    slot->is_passed = true;
    group->n_cells += slot->count;
}

/* May the scan take another block in this turn? */
static bool may_scan(struct group *group, uint32_t parked_before)
{
    group->is_scanning = group->lanes.n_waiting - parked_before >= CORE_PARK_TURN;
    return !group->is_scanning && group->scan_slot < group->n_slots &&
           group->n_cells < CORE_CELLS_MAX;
}

/* False when it rests in front of something that has to wait. */
static bool scan(struct core *core, struct group *group)
{
    struct delivery d = {0};
    enum turn turn = TURN_GO;
    uint32_t parked = group->lanes.n_waiting;

    while (turn != TURN_STOP && may_scan(group, parked)) {
        struct slot *slot = &group->slots[group->scan_slot];
        if (slot->open == 0) {
            group->scan_slot++;
            group->scan_index = 0;
            continue;
        }
        if (!d.session || is_full(&d)) {
            finish(core, &d);
            struct session *session = pick(core, group);
            if (!session)
                return true;
            begin(core, &d, session);
        }
        struct block_ref *ref = cache_get(core, slot->block);
        if (!ref)
            break; /* the log cannot be read: said by the shell, tried again at the next
                      turn */
        turn = walk_block(core, group, slot, ref, &d, &group->scan_index,
                          /* is_ahead= */ false);
        if (turn == TURN_PAST) {
            pass(group, slot);
            group->scan_slot++;
            group->scan_index = 0;
        }
        block_ref_drop(ref);
    }
    finish(core, &d);
    return turn != TURN_STOP;
}

static bool walk_ahead(struct core *core, struct group *group, struct slot *slot,
                       struct delivery *d, uint32_t index)
{
    enum turn turn = TURN_GO;

    while (turn == TURN_GO) {
        if (!d->session || is_full(d)) {
            finish(core, d);
            struct session *session = pick(core, group);
            if (!session)
                return false;
            begin(core, d, session);
        }
        struct block_ref *ref = cache_get(core, slot->block);
        if (!ref)
            return false;
        turn = walk_block(core, group, slot, ref, d, &index, /* is_ahead= */ true);
        block_ref_drop(ref);
        group->ahead = (struct position){slot->block, index};
    }
    return turn == TURN_PAST;
}

/* While calls wait, what webhooks brought behind them does not: a provider that is slow
 * or down must not keep its own news from being handled. */
static void look_ahead(struct core *core, struct group *group)
{
    struct delivery d = {0};
    size_t end = group->scan_slot + CORE_AHEAD_MAX;

    for (size_t i = group->scan_slot; i < end && i < group->n_slots; i++) {
        struct slot *slot = &group->slots[i];
        uint32_t from = slot->block == group->ahead.block ? group->ahead.index
                        : i == group->scan_slot           ? group->scan_index
                                                          : 0;
        if (slot->open == 0 || slot->block < group->ahead.block)
            continue;
        if (!walk_ahead(core, group, slot, &d, from))
            break;
    }
    finish(core, &d);
}

void dispatch_group(struct core *core, struct group *group)
{
    gate_turn(core, group);
    group->is_scanning = false;
    group->is_crowded &= group->lanes.n_waiting > CORE_PARKED_MAX / 2;
    if (group->is_paused || group->awaits_manifest ||
        (group->hold_until_us && group->hold_until_us > core->steady_us))
        return;
    group->hold_until_us = 0;
    if (is_due(core, group))
        again(core, group);
    if (queue_len(&group->suspects) > 0)
        try_suspects(core, group);
    if (group_unsettled(group) < CORE_UNSETTLED_MAX && group->n_cells < CORE_CELLS_MAX &&
        group->scan_slot < group->n_slots && !scan(core, group) && group->is_handler &&
        !group->is_ordered) /* what is behind may be behind its key */
        look_ahead(core, group);
}

void dispatch_now(struct core *core, struct group *group)
{
    measure_room(core);
    dispatch_group(core, group);
}

void dispatch_all(struct core *core)
{
    if (!core->is_started)
        return;
    core->dispatched_us = core->steady_us;
    measure_room(core);
    for (size_t i = 0; i < core->n_groups; i++)
        dispatch_group(core, core->groups[i]);
    replay_all(core);
}
