/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* core - its life and its inputs; what happens at each is in the other files */
#include "broker/core.h"

#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

enum { SWEEP_US = 250000 };

struct core *core_new(const struct core_ops *ops, void *user, const uint8_t boot[16])
{
    struct core *core = mem_alloc(sizeof(*core));

    core->ops = ops;
    core->user = user;
    core->random = 0x9e3779b97f4a7c15u;
    memcpy(core->boot, boot, 16);
    memcpy(&core->random_mix, boot + 8, 8);
    core->segment_low = 4 << 20;
    return core;
}

void reply_fini(struct reply *reply)
{
    buf_fini(&reply->verdicts);
    buf_fini(&reply->frame);
    free(reply->answer);
}

static void staged_free(struct staged *staged)
{
    for (size_t i = 0; i < staged->n_replies; i++)
        reply_fini(&staged->replies[i]);
    free(staged->replies);
    block_ref_drop(staged->ref);
}

static void group_free(struct group *group)
{
    for (size_t i = group->first_slot; i < group->n_slots; i++)
        free(group->slots[i].cells);
    for (size_t i = 0; i < group->n_types; i++)
        free(group->types[i]);
    for (size_t i = 0; i < group->n_schedules; i++) {
        schedule_fini(&group->schedules[i]);
    }
    budget_fini(&group->gate.budget);
    used_fini(group);
    char *texts[] = {group->name, group->connector, group->provider, group->service,
                     group->mode, group->key,       group->record,   group->pause};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        free(texts[i]);
    free(group->schedules);
    free(group->once);
    free(group->types);
    free(group->slots);
    free(group->heap);
    free(group->ready.items);
    free(group->suspects.items);
    lanes_free(&group->lanes);
    free(group);
}

void core_free(struct core *core)
{
    if (!core)
        return;
    for (size_t i = 0; i < core->n_sessions; i++)
        if (core->sessions[i]) {
            wait_forget(core, core->sessions[i]);
            free(core->sessions[i]->name);
            free(core->sessions[i]);
        }
    staged_free(&core->open);
    for (size_t i = 0; i < core->n_queue; i++)
        staged_free(&core->queue[i]);
    cache_clear(core);
    route_forget(core);
    rights_free(core);
    for (size_t i = 0; i < core->n_groups; i++)
        group_free(core->groups[i]);
    for (size_t i = 0; i < core->n_manifests; i++) {
        free(core->manifests[i].connector);
        free(core->manifests[i].text);
        js_free(core->manifests[i].json);
    }
    for (size_t i = 0; i < core->cap_producers; i++)
        producer_free(core->producers[i]);
    free(core->producers);
    free(core->sessions);
    free(core->queue);
    free(core->groups);
    free(core->manifests);
    free(core->members);
    free(core->keys);
    free(core->gateway_key);
    buf_fini(&core->checkpoint);
    buf_fini(&core->frame);
    buf_fini(&core->scratch);
    free(core);
}

void core_time(struct core *core, uint64_t wall_us, uint64_t steady_us)
{
    core->wall_us = wall_us;
    if (steady_us > core->steady_us)
        core->steady_us = steady_us;
}

void send_frame(struct core *core, uint64_t peer)
{
    if (peer)
        core->ops->send(core->user, peer, core->frame.bytes, core->frame.len);
}

/* xorshift64*: the jitter needs to spread, not to be secret. */
uint64_t random_below(struct core *core, uint64_t bound)
{
    core->random ^= core->random >> 12;
    core->random ^= core->random << 25;
    core->random ^= core->random >> 27;
    return bound ? core->random * 0x2545f4914f6cdd1du % bound : 0;
}

/* --- recovery --- */

bool core_replay(struct core *core, const struct block *block, const char **ret_why)
{
    return apply_block(core, block, ret_why);
}

bool core_in_checkpoint(const struct core *core)
{
    return core->in_checkpoint;
}

static uint64_t low_water(uint64_t room)
{
    uint64_t eighth = room / 8;

    return eighth < (8u << 20) ? 8u << 20 : eighth > (64u << 20) ? 64u << 20 : eighth;
}

void core_start(struct core *core, uint64_t term, const struct log_head *head)
{
    core->term = term;
    core->head = *head;
    core->next_number = head->number + 1;
    core->last_crc = head->crc;
    core->last_time_us = head->timestamp_us;
    core->staged_requests = core->requests_total;
    core->staged_facts = core->facts_total;
    core->staged_outcomes = core->outcomes_total;
    core->is_based = core->is_started = true;
    core->started_us = core->steady_us;
    core->wants_checkpoint =
        true; /* makes the term durable, and bounds the next replay */
    core->wants_segment = head->number == 0 || head->segment_room < core->segment_low;
    core->segment_low = low_water(head->segment_room);
    for (size_t i = 0; i < core->n_members; i++)
        core->members[i].is_former = true;
    for (size_t i = 0; i < core->n_groups; i++)
        core->groups[i]->hold_until_us = core->steady_us + CORE_LEASE_US;
    members_release(core);
    stage_flush(core);
}

/* --- inputs --- */

void core_frame(struct core *core, const struct core_sender *sender, const void *frame,
                size_t n)
{
    const char *why;
    const struct message *m = message_check(frame, n, &why);

    if (!core->is_started)
        return;
    if (m) {
        session_frame(core, sender, m);
        return;
    }
    refusal_note(core, REFUSAL_FRAME, sender->name, why);
    session_refuse(core, sender->peer, 0, ERR_bad_frame, why, 0);
}

void core_committed(struct core *core, const struct log_head *head)
{
    stage_committed(core, head);
    dispatch_all(core);
}

bool core_relink(struct core *core, const struct log_head *head)
{
    if (head->number < core->applied)
        return false;
    stage_committed(core, head);
    for (size_t i = 0; i < core->outstanding; i++)
        core->ops->append(core->user, core->queue[i].ref);
    dispatch_all(core);
    return true;
}

void core_views(struct core *core, uint64_t applied_block)
{
    if (applied_block <= core->views_applied)
        return;
    core->views_applied = applied_block;
    if (core->n_keys > 256)
        keys_forget(core);
}

void core_tick(struct core *core)
{
    if (!core->is_started)
        return;
    if (core->next_sweep_us <= core->steady_us) {
        session_sweep(core);
        retry_sweep(core);
        schedule_tick(core);
        core->next_sweep_us = core->steady_us + SWEEP_US;
    }
    dispatch_all(core);
}

void core_flush(struct core *core)
{
    stage_flush(core);
}

static uint64_t soonest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What was due at the last dispatch and was not delivered waits for credit, a session or
 * a settlement: asking the clock again would be a busy loop. */
static uint64_t group_due_us(const struct core *core, const struct group *group)
{
    bool is_coming = group->n_heap > 0 && group->heap[0].due_us > core->dispatched_us;

    if (group->is_scanning)
        return core->steady_us;
    return soonest(is_coming ? group->heap[0].due_us : UINT64_MAX,
                   gate_due_us(core, group));
}

uint64_t core_next_due(const struct core *core)
{
    uint64_t next = core->next_sweep_us;

    for (size_t i = 0; i < core->n_groups; i++)
        next = soonest(next, group_due_us(core, core->groups[i]));
    return next;
}

uint64_t core_applied(const struct core *core)
{
    return core->applied;
}

uint64_t core_keep_from(const struct core *core, const char **ret_what)
{
    uint64_t keep = core->checkpoint_block;
    const char *what = "checkpoint";

    for (size_t i = 0; i < core->n_groups; i++) {
        const struct group *group = core->groups[i];
        if (group->first_slot == group->n_slots || !group_pins(group) ||
            group->slots[group->first_slot].block >= keep)
            continue;
        keep = group->slots[group->first_slot].block;
        what = group->name;
    }
    if (ret_what)
        *ret_what = what;
    return keep;
}
