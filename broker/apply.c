/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* apply - the state as a fold over committed records
 *
 * The only code that changes what survives a restart.  It runs on committed blocks only,
 * the same live as at replay, and takes nothing from the clock but the distance to a
 * retry's due time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/used.h"

/* Where the walk through a block stands. */
struct walk {
    const struct block *block;
    uint32_t index;
    uint64_t slots_deadline;
    const struct record *key; /* RECORD_IDEMPOTENCY before the event */
    struct producer *producer;
};

typedef void (*apply_fn)(struct core *core, struct walk *walk, const struct record *r);

static const void *body(const struct record *r, size_t size)
{
    return r->data_len >= size ? record_data(r) : NULL;
}

static void open_in(struct group *group, struct walk *walk, uint64_t deadline_us)
{
    struct slot *slot = slot_make(group, walk->block->number, walk->block->count);

    slot->open++;
    if (deadline_us && deadline_us < slot->deadline_us)
        slot->deadline_us = deadline_us;
}

static void open_for_consumers(struct core *core, struct walk *walk,
                               const struct record *r)
{
    if (core->n_consumer_groups == 0)
        return;
    struct route *route = route_get(core, r);
    for (size_t i = 0; route && i < route->n_consumers; i++)
        if (record_is_for(r, route->consumers[i]->hash))
            open_in(route->consumers[i], walk, 0);
}

static void remember_key(struct core *core, struct walk *walk, const struct record *r)
{
    const struct control_idempotency *c = walk->key ? body(walk->key, sizeof(*c)) : NULL;

    if (!c)
        return;
    struct core_key value = {.body_hash = c->body_hash,
                             .expires_us = c->expires_us,
                             .position = {walk->block->number, walk->index}};
    memcpy(value.id, r->id, 16);
    if (walk->block->number > core->views_applied)
        key_put(core, walk->key->id, &value);
    walk->key = NULL;
}

static void apply_request(struct core *core, struct walk *walk, const struct record *r)
{
    struct group *group = group_find(core, r->integration);

    core->requests_total++;
    if (walk->key)
        remember_key(core, walk, r);
    if (!group)
        return;
    open_in(group, walk, r->deadline_us);
    if (core->firing && (r->flags & RECORD_SCHEDULED)) {
        struct slot *slot = slot_find(group, walk->block->number);
        slot_cell(slot, walk->index)->flags |= CELL_SCHEDULED;
        core->firing->pending = (struct position){walk->block->number, walk->index};
        core->firing = NULL;
    }
}

/* A later one is kept in the trace only. */
static bool is_first_outcome(const struct group *group, const struct slot *slot,
                             const struct record *r)
{
    const struct cell *cell = slot_look(slot, r->cause_index);

    return slot && group->is_handler && slot->open > 0 && r->cause_index < slot->count &&
           (!cell || cell->state != CELL_SETTLED);
}

static void apply_outcome(struct core *core, struct walk *walk, const struct record *r)
{
    struct group *group = group_find(core, r->integration);
    struct slot *slot = group ? slot_find(group, r->cause_block) : NULL;

    core->outcomes_total++;
    if (slot && slot->cells && slot->open > 0 && r->cause_index < slot->count) {
        uint8_t flags = slot->cells[r->cause_index].flags;
        if (flags & CELL_WAITED)
            wait_settled(core, walk->block, r, walk->index);
        if (flags & CELL_SCHEDULED)
            schedule_settled(core, group,
                             (struct position){r->cause_block, r->cause_index}, r);
    }
    if (is_first_outcome(group, slot, r))
        gate_settled(core, group, walk->block->timestamp_us, r);
    if (group && r->len > group->outcome_max)
        group->outcome_max = r->len;
    if (slot)
        slot_settle(core, group, r->cause_block, r->cause_index,
                    r->status == STATUS_SUCCESS);
    open_for_consumers(core, walk, r);
}

static void apply_batch(struct core *core, struct walk *walk, const struct record *r)
{
    const struct control_batch *c = body(r, sizeof(*c));

    if (!c)
        return;
    struct producer *producer = producer_get(core, r->id, true);
    numbers_add(&producer->committed, c->number);
    if (!numbers_have(&producer->staged, c->number))
        numbers_add(&producer->staged, c->number);
    producer_note(producer, &(struct batch_at){.number = c->number,
                                               .block = walk->block->number,
                                               .first = walk->index + 1,
                                               .count = c->count});
}

static void apply_idempotency(struct core *core, struct walk *walk,
                              const struct record *r)
{
    (void)core;
    walk->key = r;
}

static void apply_ack(struct core *core, struct walk *walk, const struct record *r)
{
    const struct control_ack *c = body(r, sizeof(*c));
    struct group *group = c ? group_find(core, c->group) : NULL;

    (void)walk;
    for (uint32_t i = 0; group && i < c->count; i++)
        slot_settle(core, group, c->block, c->first + i, c->result == STATUS_SUCCESS);
}

static void apply_retry(struct core *core, struct walk *walk, const struct record *r)
{
    const struct control_retry *c = body(r, sizeof(*c));
    struct group *group = c ? group_find(core, c->group) : NULL;
    struct slot *slot = group ? slot_find(group, c->block) : NULL;

    if (!slot || slot->open == 0 || c->index >= slot->count)
        return;
    struct cell *cell = slot_cell(slot, c->index);
    if (cell->state == CELL_SETTLED)
        return;
    if (c->attempts > 0)
        gate_retried(core, group, walk->block->timestamp_us, r, c->deaths > cell->deaths);
    cell->state = CELL_WAITING;
    cell->flags &= (uint8_t)~CELL_DOUBT;
    if (r->flags & RECORD_DOUBT)
        cell->flags |= CELL_DOUBT;
    cell->attempts = (uint8_t)(c->attempts > 255 ? 255 : c->attempts);
    cell->deaths = (uint8_t)(c->deaths > 255 ? 255 : c->deaths);
    cell->alone = (uint8_t)(c->alone > 127 ? 127 : c->alone);
    uint64_t wait_us = c->due_us > core->wall_us ? c->due_us - core->wall_us : 0;
    if (wait_us > CORE_BACKOFF_CAP_US)
        wait_us = CORE_BACKOFF_CAP_US; /* the wall clock went back */
    heap_push(group, core->steady_us + wait_us, c->block, c->index);
}

/* What this life of the broker staged is delivered now; after a restart nobody knows
 * whether it was. */
static void apply_start(struct core *core, struct walk *walk, const struct record *r)
{
    const struct control_start *c = body(r, sizeof(*c));
    struct group *group = c ? group_find(core, c->group) : NULL;
    struct slot *slot = group ? slot_find(group, c->block) : NULL;

    (void)walk;
    if (!slot || slot->open == 0 || c->index >= slot->count)
        return;
    struct cell *cell = slot_cell(slot, c->index);
    if (cell->state == CELL_SETTLED)
        return;
    cell->flags |= CELL_DOUBT;
    if (cell->state != CELL_STARTING)
        return;
    cell->flags |= CELL_FRESH;
    cell->state = CELL_WAITING;
    queue_push(&group->ready, c->block, c->index);
}

static struct manifest *manifest_of(struct core *core, uint32_t integration)
{
    for (size_t i = 0; i < core->n_manifests; i++)
        if (core->manifests[i].integration == integration)
            return &core->manifests[i];
    core->manifests =
        mem_resize(core->manifests, (core->n_manifests + 1) * sizeof(*core->manifests));
    core->manifests[core->n_manifests] = (struct manifest){.integration = integration};
    return &core->manifests[core->n_manifests++];
}

static void apply_manifest(struct core *core, struct walk *walk, const struct record *r)
{
    char *connector = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_SOURCE);
    char error[128];

    (void)walk;
    if (!connector)
        return;
    struct manifest *manifest = manifest_of(core, r->integration);
    free(manifest->connector);
    free(manifest->text);
    js_free(manifest->json);
    manifest->connector = connector;
    manifest->text = mem_copy(record_data(r), r->data_len);
    manifest->json = js_parse(manifest->text, r->data_len, error, sizeof(error));
    route_forget(core);
    start_types(core);
    struct group *group = group_find(core, r->integration);
    if (group)
        group->awaits_manifest = false;
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = mem_text(text);
}

static void apply_integration(struct core *core, struct walk *walk,
                              const struct record *r)
{
    char error[128];
    struct json *json =
        js_parse((const char *)record_data(r), r->data_len, error, sizeof(error));
    const char *name = js_text(json, "name", NULL);

    (void)walk;
    if (name) {
        struct group *group = group_add(core, name);
        group->is_handler = true;
        free(group->record);
        group->record = mem_copy(record_data(r), r->data_len);
        group->is_configured = !js_bool(json, "removed", false);
        group->is_default = js_bool(json, "default", false);
        set_text(&group->connector, js_text(json, "connector", NULL));
        set_text(&group->service, js_text(json, "service", NULL));
        set_text(&group->provider, js_text(json, "provider", NULL));
        budget_define(&group->gate.budget, json);
        schedule_define(group, js_get(json, "schedules"), walk->block->timestamp_us);
        route_forget(core);
        start_types(core);
    }
    js_free(json);
}

static void set_types(struct group *group, const struct json *types)
{
    for (size_t i = 0; i < group->n_types; i++)
        free(group->types[i]);
    free(group->types);
    group->n_types = js_count(types);
    group->types = mem_array(group->n_types, sizeof(*group->types));
    for (size_t i = 0; i < group->n_types; i++)
        group->types[i] = mem_text(js_text(js_at(types, i), NULL, ""));
}

bool note_is(const struct record *r, const char *type)
{
    return r->type_len == strlen(type) && memcmp(record_type(r), type, r->type_len) == 0;
}

static void count_consumer_groups(struct core *core)
{
    core->n_consumer_groups = 0;
    for (size_t i = 0; i < core->n_groups; i++)
        core->n_consumer_groups += core->groups[i]->n_types > 0;
}

static void apply_note(struct core *core, struct walk *walk, const struct record *r)
{
    char error[128];
    struct json *json =
        js_parse((const char *)record_data(r), r->data_len, error, sizeof(error));
    const char *name = js_text(json, "name", NULL);

    (void)walk;
    if (name && note_is(r, "signalbox.group")) {
        struct group *group = group_add(core, name);
        bool removed = js_bool(json, "removed", false);
        free(group->record);
        group->record = mem_copy(record_data(r), r->data_len);
        group->is_configured = !removed;
        set_types(group, removed ? NULL : js_get(json, "types"));
        count_consumer_groups(core);
        route_forget(core);
    } else if (name && note_is(r, "signalbox.passed")) {
        struct group *group = group_by_name(core, name);
        if (group && !group->is_handler)
            pass_apply(core, group, (uint64_t)js_int(json, "below", 0));
    } else if (name &&
               (note_is(r, "signalbox.paused") || note_is(r, "signalbox.resumed"))) {
        struct group *group = group_by_name(core, name);
        if (group) {
            group->is_paused = note_is(r, "signalbox.paused");
            free(group->pause);
            group->pause =
                group->is_paused ? mem_copy(record_data(r), r->data_len) : NULL;
        }
    } else if (name && group_by_name(core, name) && note_is(r, USED_TYPE)) {
        used_noted(group_by_name(core, name), json);
    } else if (name && group_by_name(core, name)) {
        gate_noted(core, group_by_name(core, name), r, json);
    }
    js_free(json);
}

/* An act of a person is a fact like any other, and state besides. */
static void apply_fact(struct core *core, struct walk *walk, const struct record *r)
{
    core->facts_total++;
    if (walk->key)
        remember_key(core, walk, r);
    open_for_consumers(core, walk, r);
    if ((r->flags & RECORD_BY_BROKER) &&
        (note_is(r, "signalbox.paused") || note_is(r, "signalbox.resumed")))
        apply_note(core, walk, r);
}

static void apply_session(struct core *core, struct walk *walk, const struct record *r)
{
    const struct control_session *c = body(r, sizeof(*c));
    size_t i = 0;

    (void)walk;
    while (i < core->n_members && memcmp(core->members[i].instance, r->id, 16) != 0)
        i++;
    if (!c || (i == core->n_members && !c->joined))
        return;
    if (!c->joined) {
        core->members[i] = core->members[--core->n_members];
        return;
    }
    if (i == core->n_members)
        core->members =
            mem_resize(core->members, ++core->n_members * sizeof(*core->members));
    core->members[i] = (struct member){.group = c->group, .pid = c->pid};
    memcpy(core->members[i].instance, r->id, 16);
}

static void apply_schedule(struct core *core, struct walk *walk, const struct record *r)
{
    const struct control_schedule *c = body(r, sizeof(*c));
    struct group *group = c ? group_find(core, r->integration) : NULL;
    _free_ char *name = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_SCHEDULE);

    (void)walk;
    if (!group || !name || strncmp(name, group->name, strlen(group->name)) != 0 ||
        !name[strlen(group->name)])
        return;
    struct schedule *schedule = schedule_make(group, name);
    if (c->due_us > schedule->last_due_us)
        schedule->last_due_us = c->due_us;
    if (c->due_us > schedule->staged_due_us)
        schedule->staged_due_us = c->due_us;
    schedule->next_due_us = 0;
    if (c->missed == 2)
        schedule->is_owed = true;
    if (!c->missed) {
        schedule->is_staged = schedule->is_owed = false;
        core->firing = schedule;
    }
}

void core_replay_keys(struct core *core, const struct block *block)
{
    struct walk walk = {.block = block};

    for (const struct record *r = block->count ? block_first(block) : NULL; r;
         r = block_next(block, r), walk.index++) {
        if (r->kind == RECORD_IDEMPOTENCY)
            walk.key = r;
        else if (walk.key && record_is_event(r))
            remember_key(core, &walk, r);
    }
}

/* A checkpoint matters only where replay starts; later ones say what is known already. */
static void apply_checkpoint(struct core *core, struct walk *walk, const struct record *r)
{
    const struct control_checkpoint *c = body(r, sizeof(*c));

    if (c && c->piece == 0)
        core->checkpoint_began = walk->block->number;
    if (c && c->last)
        core->checkpoint_block = core->checkpoint_began;
    if (!c || (core->is_based && !core->in_checkpoint))
        return;
    if (c->piece == 0)
        buf_clear(&core->checkpoint);
    core->in_checkpoint = true;
    buf_add(&core->checkpoint, c + 1, r->data_len - sizeof(*c));
    if (!c->last)
        return;
    core->wrong = checkpoint_read(core, core->checkpoint.bytes, core->checkpoint.len);
    core->is_based = !core->wrong;
    core->in_checkpoint = false;
    count_consumer_groups(core);
    buf_fini(&core->checkpoint);
}

static const apply_fn by_kind[RECORD_START + 1] = {
    [RECORD_REQUEST] = apply_request,
    [RECORD_OUTCOME] = apply_outcome,
    [RECORD_FACT] = apply_fact,
    [RECORD_BATCH] = apply_batch,
    [RECORD_IDEMPOTENCY] = apply_idempotency,
    [RECORD_ACK] = apply_ack,
    [RECORD_RETRY] = apply_retry,
    [RECORD_MANIFEST] = apply_manifest,
    [RECORD_INTEGRATION] = apply_integration,
    [RECORD_SESSION] = apply_session,
    [RECORD_SCHEDULE] = apply_schedule,
    [RECORD_CHECKPOINT] = apply_checkpoint,
    [RECORD_NOTE] = apply_note,
    [RECORD_START] = apply_start,
};

static const char *misfit(const struct core *core, const struct block *block)
{
    if (core->applied && block->number != core->applied + 1)
        return "a block is missing";
    if (core->applied && block->prev_crc != core->applied_crc)
        return "a block does not follow the one before it";
    if (!core->is_based && !core->in_checkpoint && !(block->flags & BLOCK_CHECKPOINT))
        return "replay must start from a checkpoint";
    return NULL;
}

bool apply_block(struct core *core, const struct block *block, const char **ret_why)
{
    struct walk walk = {.block = block};
    const char *why = misfit(core, block);

    for (const struct record *r = block->count && !why ? block_first(block) : NULL; r;
         r = block_next(block, r), walk.index++)
        by_kind[r->kind](core, &walk, r);
    if (!why)
        why = core->wrong;
    if (!why && core->is_based &&
        (core->requests_total != block->requests_total ||
         core->facts_total != block->facts_total ||
         core->outcomes_total != block->outcomes_total))
        why = "a block's totals differ from what was counted";
    if (why) {
        *ret_why = why;
        return false;
    }
    core->applied = block->number;
    core->applied_crc = block->crc;
    core->applied_time_us = block->timestamp_us;
    return true;
}
