/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* lanes - per-key order: one event of a key at a time, the others parked behind it
 *
 * An ordered group keeps a lane for each key of which it has an event under way.  The
 * event that leads it is delivered, retried, tried alone like any other; followers the
 * scan meets are parked in the log's order and cost 16 bytes each.  When the leader is
 * settled, which is when its settlement is committed, the next one goes: a follower is
 * never with a session before everything in front of it is in the log for good, and so
 * there is nothing to withdraw.
 *
 * Lanes are not in the log.  They follow from the cells and the scan, which starts again
 * at the first unsettled event after a restart and meets what waits there. */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"

static uint32_t *bucket_of(struct lanes *lanes, uint64_t key)
{
    return &lanes->buckets[(key ^ key >> 32) & (lanes->n_buckets - 1)];
}

static void grow(struct lanes *lanes)
{
    uint32_t n = lanes->n_buckets ? lanes->n_buckets * 2 : 256;
    uint32_t *old = lanes->buckets, n_old = lanes->n_buckets;

    lanes->buckets = mem_array(n, sizeof(*lanes->buckets));
    lanes->n_buckets = n;
    for (uint32_t i = 0; i < n_old; i++)
        for (uint32_t at = old[i], next; at; at = next) {
            struct lane *lane = &lanes->lanes[at - 1];
            uint32_t *bucket = bucket_of(lanes, lane->key);
            next = lane->next;
            lane->next = *bucket;
            *bucket = at;
        }
    free(old);
}

static uint32_t new_lane(struct lanes *lanes)
{
    uint32_t at = lanes->free_lane;

    if (at) {
        lanes->free_lane = lanes->lanes[at - 1].next;
        return at;
    }
    if (lanes->n_lanes == lanes->cap_lanes) {
        lanes->cap_lanes = lanes->cap_lanes ? lanes->cap_lanes * 2 : 256;
        lanes->lanes = mem_resize(lanes->lanes, lanes->cap_lanes * sizeof(*lanes->lanes));
    }
    return ++lanes->n_lanes;
}

/* The number of the key's lane, plus 1; made when there is none. */
static uint32_t lane_of(struct lanes *lanes, uint64_t key)
{
    if (lanes->n_keys >= lanes->n_buckets)
        grow(lanes);
    uint32_t *bucket = bucket_of(lanes, key);
    for (uint32_t at = *bucket; at; at = lanes->lanes[at - 1].next)
        if (lanes->lanes[at - 1].key == key)
            return at;
    uint32_t at = new_lane(lanes);
    lanes->lanes[at - 1] = (struct lane){.key = key, .next = *bucket};
    lanes->n_keys++;
    return *bucket = at;
}

static void drop_lane(struct lanes *lanes, uint32_t at)
{
    struct lane *lane = &lanes->lanes[at - 1];
    uint32_t *from = bucket_of(lanes, lane->key);

    while (*from != at)
        from = &lanes->lanes[*from - 1].next;
    *from = lane->next;
    lane->next = lanes->free_lane;
    lanes->free_lane = at;
    lanes->n_keys--;
}

static void lead(struct lanes *lanes, struct cell *cell, uint32_t at)
{
    lanes->lanes[at - 1].busy++;
    cell->lane = at - 1;
    cell->flags |= CELL_LEADS;
}

bool lane_enter(struct group *group, struct cell *cell, uint64_t key)
{
    uint32_t at = lane_of(&group->lanes, key);

    if (group->lanes.lanes[at - 1].busy > 0)
        return false;
    lead(&group->lanes, cell, at);
    return true;
}

void lane_join(struct group *group, struct cell *cell, uint64_t key)
{
    lead(&group->lanes, cell, lane_of(&group->lanes, key));
}

static uint32_t new_parked(struct lanes *lanes)
{
    uint32_t at = lanes->free_parked;

    if (at) {
        lanes->free_parked = lanes->parked[at - 1].next;
        return at;
    }
    if (lanes->n_parked == lanes->cap_parked) {
        lanes->cap_parked = lanes->cap_parked ? lanes->cap_parked * 2 : 256;
        lanes->parked =
            mem_resize(lanes->parked, lanes->cap_parked * sizeof(*lanes->parked));
    }
    return ++lanes->n_parked;
}

void lane_park(struct group *group, struct cell *cell, uint64_t key, uint64_t block,
               uint32_t index)
{
    struct lanes *lanes = &group->lanes;
    struct lane *lane = &lanes->lanes[lane_of(lanes, key) - 1];
    uint32_t at = new_parked(lanes);

    lanes->parked[at - 1] = (struct parked){.block = block, .index = index};
    if (lane->last)
        lanes->parked[lane->last - 1].next = at;
    else
        lane->first = at;
    lane->last = at;
    lanes->n_waiting++;
    cell->state = CELL_PARKED;
}

/* The next one parked in the lane; false when there is none. */
static bool unpark(struct lanes *lanes, struct lane *lane, struct parked *ret)
{
    uint32_t at = lane->first;

    if (!at)
        return false;
    *ret = lanes->parked[at - 1];
    lane->first = ret->next;
    if (!lane->first)
        lane->last = 0;
    lanes->parked[at - 1].next = lanes->free_parked;
    lanes->free_parked = at;
    lanes->n_waiting--;
    return true;
}

/* Those whose deadline passed while they were parked are no longer PARKED: skipped, or
 * waited for until that is committed. */
void lane_leave(struct group *group, struct cell *cell)
{
    struct lanes *lanes = &group->lanes;
    uint32_t at = cell->lane + 1;
    struct parked next;

    cell->flags &= (uint8_t)~CELL_LEADS;
    lanes->lanes[at - 1].busy--;
    while (lanes->lanes[at - 1].busy == 0 &&
           unpark(lanes, &lanes->lanes[at - 1], &next)) {
        struct cell *follower = slot_look(slot_find(group, next.block), next.index);
        bool is_ending = follower && follower->state == CELL_SETTLING;
        if (!follower || (follower->state != CELL_PARKED && !is_ending))
            continue;
        lead(lanes, follower, at);
        if (is_ending)
            continue;
        follower->state = CELL_WAITING;
        queue_push(&group->ready, next.block, next.index);
    }
    if (lanes->lanes[at - 1].busy == 0)
        drop_lane(lanes, at);
}

void lanes_free(struct lanes *lanes)
{
    free(lanes->lanes);
    free(lanes->parked);
    free(lanes->buckets);
    *lanes = (struct lanes){0};
}

void lanes_reset(struct group *group)
{
    for (size_t i = group->first_slot; i < group->n_slots; i++) {
        struct slot *slot = &group->slots[i];
        for (uint32_t index = 0; slot->cells && index < slot->count; index++) {
            struct cell *cell = &slot->cells[index];
            cell->flags &= (uint8_t)~CELL_LEADS;
            if (cell->state == CELL_PARKED)
                cell->state = CELL_OPEN;
        }
    }
    lanes_free(&group->lanes);
    group->scan_slot = group->first_slot;
    group->scan_index = 0;
}
