/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* slots - what each group has open, block by block
 *
 * A slot stands for one block that held events of the group; cells (one per record) exist
 * only while something of the block is on its way.  A backlog costs a slot a block and no
 * cell. */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"

struct slot *slot_find(struct group *group, uint64_t block)
{
    size_t low = group->first_slot, high = group->n_slots;

    if (group->hot_slot >= low && group->hot_slot < high &&
        group->slots[group->hot_slot].block == block)
        return &group->slots[group->hot_slot];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (group->slots[middle].block < block)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == group->n_slots || group->slots[low].block != block)
        return NULL;
    group->hot_slot = low;
    return &group->slots[low];
}

/* Forget the settled slots in front; indexes into the array move with them. */
void slots_trim(struct group *group)
{
    size_t first = group->first_slot;

    while (first < group->n_slots && group->slots[first].open == 0)
        first++;
    group->first_slot = first;
    if (group->scan_slot < first) {
        group->scan_slot = first;
        group->scan_index = 0;
    }
    if (first < 1024 || first < group->n_slots / 2)
        return;
    memmove(group->slots, group->slots + first,
            (group->n_slots - first) * sizeof(*group->slots));
    group->n_slots -= first;
    group->scan_slot -= first;
    group->hot_slot = group->first_slot = 0;
}

struct slot *slot_make(struct group *group, uint64_t block, uint32_t count)
{
    if (group->n_slots > group->first_slot &&
        group->slots[group->n_slots - 1].block == block)
        return &group->slots[group->n_slots - 1];
    if (group->n_slots == group->cap_slots) {
        group->cap_slots = group->cap_slots ? group->cap_slots * 2 : 64;
        group->slots = mem_resize(group->slots, group->cap_slots * sizeof(*group->slots));
    }
    struct slot *slot = &group->slots[group->n_slots++];
    *slot = (struct slot){.block = block, .count = count, .deadline_us = UINT64_MAX};
    return slot;
}

void slot_cells(struct slot *slot)
{
    slot->cells = mem_array(slot->count, sizeof(*slot->cells));
}

void slot_settle(struct core *core, struct group *group, uint64_t block, uint32_t index,
                 bool success)
{
    struct slot *slot = slot_find(group, block);

    if (!slot || slot->open == 0 || index >= slot->count)
        return; /* a late outcome: it stays in the log for the trace only */
    struct cell *cell = slot_cell(slot, index);
    if (cell->state == CELL_SETTLED)
        return;
    if (cell->state == CELL_INFLIGHT || (cell->flags & CELL_FRESH))
        cell_leave(core, group, cell);
    cell->state = CELL_SETTLED;
    if (cell->flags & CELL_LEADS)
        lane_leave(group, cell);
    *(success ? &group->settled_success : &group->settled_failed) += 1;
    if (--slot->open == 0) {
        if (slot->is_passed)
            group->n_cells -= slot->count;
        slot->is_passed = false;
        free(slot->cells);
        slot->cells = NULL;
        if (slot == &group->slots[group->first_slot])
            slots_trim(group);
    }
}

/* What START made ready for delivery is counted already. */
void cell_give(struct group *group, struct session *session, struct cell *cell,
               const struct record *r)
{
    bool is_counted = cell->flags & CELL_FRESH;

    group->inflight += !is_counted;
    if (group->n_once_types > 0 && !(cell->flags & CELL_ONCE) &&
        start_is_once(group, r)) {
        cell->flags |= CELL_ONCE;
        group->n_once++;
    }
    cell->flags &= (uint8_t) ~(CELL_STARTED | CELL_FRESH | CELL_IN_DOUBT);
    if (cell->flags & CELL_DOUBT && !is_counted)
        cell->flags |= CELL_IN_DOUBT;
    cell->state = CELL_INFLIGHT;
    cell->session = session->index;
    cell->len = r->len;
    session->inflight++;
    session->inflight_bytes += r->len;
}

void cell_leave(struct core *core, struct group *group, struct cell *cell)
{
    struct session *session =
        cell->state == CELL_INFLIGHT ? core->sessions[cell->session] : NULL;

    group->inflight--;
    if (cell->flags & CELL_ONCE)
        group->n_once--;
    cell->flags &= (uint8_t) ~(CELL_STARTED | CELL_FRESH | CELL_ONCE);
    if (!session)
        return;
    session->inflight--;
    session->inflight_bytes -= cell->len;
    if (session->inflight == 0)
        session->is_solo = false;
}

/* --- the heap of retries --- */

static void swap(struct heap_entry *a, struct heap_entry *b)
{
    struct heap_entry kept = *a;

    *a = *b;
    *b = kept;
}

void heap_push(struct group *group, uint64_t due_us, uint64_t block, uint32_t index)
{
    if (group->n_heap == group->cap_heap) {
        group->cap_heap = group->cap_heap ? group->cap_heap * 2 : 64;
        group->heap = mem_resize(group->heap, group->cap_heap * sizeof(*group->heap));
    }
    size_t at = group->n_heap++;
    group->heap[at] = (struct heap_entry){due_us, block, index};
    while (at > 0 && group->heap[(at - 1) / 2].due_us > group->heap[at].due_us) {
        swap(&group->heap[at], &group->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
}

bool heap_pop(struct group *group, uint64_t now_us, struct heap_entry *ret)
{
    if (group->n_heap == 0 || group->heap[0].due_us > now_us)
        return false;
    *ret = group->heap[0];
    group->heap[0] = group->heap[--group->n_heap];
    for (size_t at = 0;;) {
        size_t least = at, child = 2 * at + 1;
        for (size_t i = child; i < child + 2 && i < group->n_heap; i++)
            if (group->heap[i].due_us < group->heap[least].due_us)
                least = i;
        if (least == at)
            return true;
        swap(&group->heap[at], &group->heap[least]);
        at = least;
    }
}

/* --- queues --- */

void queue_push(struct queue *queue, uint64_t block, uint32_t index)
{
    if (queue->end == queue->cap && queue->first > queue->cap / 2) {
        memmove(queue->items, queue->items + queue->first,
                queue_len(queue) * sizeof(*queue->items));
        queue->end -= queue->first;
        queue->first = 0;
    } else if (queue->end == queue->cap) {
        queue->cap = queue->cap ? queue->cap * 2 : 64;
        queue->items = mem_resize(queue->items, queue->cap * sizeof(*queue->items));
    }
    queue->items[queue->end++] = (struct heap_entry){.block = block, .index = index};
}

bool queue_peek(const struct queue *queue, struct heap_entry *ret)
{
    if (queue_len(queue) == 0)
        return false;
    *ret = queue->items[queue->first];
    return true;
}

bool queue_pop(struct queue *queue, struct heap_entry *ret)
{
    if (!queue_peek(queue, ret))
        return false;
    queue->first++;
    if (queue->first == queue->end)
        queue->first = queue->end = 0;
    return true;
}

size_t group_unsettled(const struct group *group)
{
    return group->n_heap + queue_len(&group->ready) + queue_len(&group->suspects);
}
