/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* wait - who wants to hear of an outcome */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"

enum { WAITERS_MAX = 1 << 20 }; /* beyond it WAIT is refused `overloaded` */

static size_t bucket(struct position position)
{
    return (size_t)((position.block * 0x9e3779b97f4a7c15u + position.index) >> 7) %
           WAITER_BUCKETS;
}

static struct cell *open_cell(struct core *core, struct position position)
{
    struct block_ref *ref = position.block && position.block <= core->applied
                                ? cache_get(core, position.block)
                                : NULL;
    const struct record *r = ref ? block_ref_record(ref, position.index) : NULL;
    struct group *group =
        r && r->kind == RECORD_REQUEST ? group_find(core, r->integration) : NULL;

    block_ref_drop(ref);
    struct slot *slot = group ? slot_find(group, position.block) : NULL;
    if (!slot || slot->open == 0 || position.index >= slot->count)
        return NULL;
    struct cell *cell = slot_cell(slot, position.index);
    return cell->state == CELL_SETTLED ? NULL : cell;
}

void wait_add(struct core *core, struct session *session, struct position position,
              uint64_t ref, uint32_t index)
{
    struct cell *cell = open_cell(core, position);

    if (!cell || core->n_waiters >= WAITERS_MAX) {
        session_refuse(core, session->peer, ref,
                       cell ? ERR_overloaded : ERR_already_settled,
                       cell ? "too many wait already" : "read it from the log", 0);
        return;
    }
    cell->flags |= CELL_WAITED;
    struct waiter *waiter = mem_alloc(sizeof(*waiter));
    *waiter = (struct waiter){
        .position = position, .ref = ref, .index = index, .session = session->index};
    memcpy(waiter->instance, session->instance, 16);
    struct waiter **head = &core->waiters[bucket(position)];
    waiter->next = *head;
    *head = waiter;
    core->n_waiters++;
}

static void tell(struct core *core, const struct waiter *waiter,
                 const struct block *block, const struct record *outcome, uint32_t index)
{
    struct session *session = core->sessions[waiter->session];
    struct slice slice = {.block = block->number,
                          .index = index,
                          .count = 1,
                          .bytes = outcome->len,
                          .attempt = outcome->attempt,
                          .timestamp_us = block->timestamp_us};

    if (!session || memcmp(session->instance, waiter->instance, 16) != 0)
        return;
    message_begin(&core->frame, MSG_OUTCOME, waiter->ref);
    buf_add(&core->frame, &slice, sizeof(slice));
    buf_add(&core->frame, outcome, outcome->len);
    message_end(&core->frame)->count = waiter->index;
    send_frame(core, session->peer);
}

static void remove_if(struct core *core, struct waiter **at,
                      bool (*match)(const struct waiter *, const void *),
                      const void *what, struct waiter **ret_removed)
{
    while (*at) {
        struct waiter *waiter = *at;
        if (!match(waiter, what)) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        waiter->next = *ret_removed;
        *ret_removed = waiter;
        core->n_waiters--;
    }
}

static bool at_position(const struct waiter *waiter, const void *what)
{
    const struct position *position = what;

    return waiter->position.block == position->block &&
           waiter->position.index == position->index;
}

static bool of_session(const struct waiter *waiter, const void *what)
{
    const struct session *session = what;

    return waiter->session == session->index;
}

void wait_settled(struct core *core, const struct block *block,
                  const struct record *outcome, uint32_t index)
{
    struct position position = {outcome->cause_block, outcome->cause_index};
    struct waiter *removed = NULL;

    remove_if(core, &core->waiters[bucket(position)], at_position, &position, &removed);
    while (removed) {
        struct waiter *waiter = removed;
        removed = waiter->next;
        tell(core, waiter, block, outcome, index);
        free(waiter);
    }
}

void wait_forget(struct core *core, const struct session *session)
{
    struct waiter *removed = NULL;

    for (size_t i = 0; i < WAITER_BUCKETS && core->n_waiters > 0; i++)
        remove_if(core, &core->waiters[i], of_session, session, &removed);
    while (removed) {
        struct waiter *waiter = removed;
        removed = waiter->next;
        free(waiter);
    }
}
