/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* checkpoint - the fold's state as bytes, so that replay need not start at the log's
 * beginning
 *
 * Form (version 1), little-endian, fields in the order of put_state(): totals, producers,
 * members, and per group its slots with what is settled and what waits, and its
 * schedules.  Integrations, groups and manifests follow as the records they are
 * (checkpoint_definitions). */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

enum {
    FORM = 1,
    OWED_BIT = 63, /* of a schedule's pending index */
};

/* --- writing --- */

static void put(struct buf *out, uint64_t value)
{
    buf_add(out, &value, sizeof(value));
}

static void put_text(struct buf *out, const char *text)
{
    put(out, text ? strlen(text) + 1 : 0);
    if (text)
        buf_add(out, text, strlen(text) + 1);
}

/* Only cells that differ from open: settled ones and those with attempts. What is in
 * flight or staged counts as open: it is not in the log. */
static void put_cells(struct buf *out, const struct slot *slot)
{
    uint64_t n = 0;
    size_t at = out->len;

    put(out, 0);
    for (uint32_t i = 0; slot->cells && i < slot->count; i++) {
        const struct cell *cell = &slot->cells[i];
        if (cell->state != CELL_SETTLED && !cell->attempts && !cell->deaths &&
            !(cell->flags & CELL_KEPT))
            continue;
        put(out, (uint64_t)i << 32 | (uint64_t)cell->alone << 25 |
                     (uint64_t)(cell->state == CELL_SETTLED) << 24 |
                     (uint64_t)(cell->flags & CELL_KEPT) << 16 |
                     (uint64_t)cell->attempts << 8 | cell->deaths);
        n++;
    }
    memcpy(out->bytes + at, &n, sizeof(n));
}

static void put_waiting(struct core *core, struct buf *out, const struct group *group)
{
    put(out, group->n_heap);
    for (size_t i = 0; i < group->n_heap; i++) {
        const struct heap_entry *entry = &group->heap[i];
        uint64_t wait =
            entry->due_us > core->steady_us ? entry->due_us - core->steady_us : 0;
        put(out, core->wall_us + wait);
        put(out, entry->block);
        put(out, entry->index);
    }
}

static void put_group(struct core *core, struct buf *out, const struct group *group)
{
    uint64_t alive = 0;

    put_text(out, group->name);
    put(out, group->is_handler | group->is_paused << 1 | group->is_configured << 2);
    put_text(out, group->record);
    put(out, group->settled_success);
    put(out, group->settled_failed);
    for (size_t i = group->first_slot; i < group->n_slots; i++)
        alive += group->slots[i].open > 0;
    put(out, alive);
    for (size_t i = group->first_slot; i < group->n_slots; i++) {
        const struct slot *slot = &group->slots[i];
        if (slot->open == 0)
            continue;
        put(out, slot->block);
        put(out, (uint64_t)slot->count << 32 | slot->open);
        put(out, slot->deadline_us);
        put_cells(out, slot);
    }
    put_waiting(core, out, group);
    put(out, group->n_schedules);
    for (size_t i = 0; i < group->n_schedules; i++) {
        const struct schedule *s = &group->schedules[i];
        put_text(out, s->name);
        put_text(out, s->operation);
        put(out, s->last_due_us);
        put(out, s->pending.block);
        put(out, s->pending.index | (uint64_t)s->is_owed << OWED_BIT);
        put_text(out, s->cursor);
    }
}

void checkpoint_write(struct core *core, struct buf *out)
{
    uint64_t n = 0;

    put(out, FORM);
    put(out, core->requests_total);
    put(out, core->facts_total);
    put(out, core->outcomes_total);
    producers_forget(core);
    for (size_t i = 0; i < core->cap_producers; i++)
        n += core->producers[i] != NULL;
    put(out, n);
    for (size_t i = 0; i < core->cap_producers; i++)
        if (core->producers[i]) {
            buf_add(out, core->producers[i]->instance, 16);
            buf_add(out, &core->producers[i]->committed, sizeof(struct numbers));
        }
    put(out, core->n_members);
    for (size_t i = 0; i < core->n_members; i++) {
        buf_add(out, core->members[i].instance, 16);
        put(out, core->members[i].group);
        put(out, core->members[i].pid);
    }
    put(out, core->n_groups);
    for (size_t i = 0; i < core->n_groups; i++)
        put_group(core, out, core->groups[i]);
}

/* --- reading: any shortage makes every later value 0 and the whole invalid --- */

struct reader {
    const uint8_t *at, *end;
    bool is_bad;
};

static const void *get_bytes(struct reader *in, size_t n)
{
    static const uint8_t zero[sizeof(struct numbers)];

    if (in->is_bad || (size_t)(in->end - in->at) < n) {
        in->is_bad = true;
        return n <= sizeof(zero) ? zero : NULL;
    }
    in->at += n;
    return in->at - n;
}

static uint64_t get(struct reader *in)
{
    uint64_t value;

    memcpy(&value, get_bytes(in, sizeof(value)), sizeof(value));
    return value;
}

static const char *get_text(struct reader *in)
{
    uint64_t n = get(in);
    const char *text = n ? get_bytes(in, n) : NULL;

    if (text && !in->is_bad && text[n - 1] == 0)
        return text;
    return NULL;
}

static void get_cells(struct reader *in, struct slot *slot)
{
    uint64_t n = get(in);

    for (uint64_t i = 0; i < n && !in->is_bad; i++) {
        uint64_t packed = get(in);
        if (packed >> 32 >= slot->count) {
            in->is_bad = true;
            return;
        }
        struct cell *cell = slot_cell(slot, (uint32_t)(packed >> 32));
        cell->state = packed >> 24 & 1 ? CELL_SETTLED : CELL_OPEN;
        cell->flags = (uint8_t)(packed >> 16);
        cell->attempts = (uint8_t)(packed >> 8);
        cell->deaths = (uint8_t)packed;
        cell->alone = packed >> 25 & 127;
    }
}

static void get_waiting(struct core *core, struct reader *in, struct group *group)
{
    uint64_t n = get(in);

    for (uint64_t i = 0; i < n && !in->is_bad; i++) {
        uint64_t due = get(in), block = get(in);
        uint32_t index = (uint32_t)get(in);
        struct slot *slot = slot_find(group, block);
        if (!slot || index >= slot->count)
            continue;
        struct cell *cell = slot_cell(slot, index);
        if (cell->state == CELL_SETTLED)
            continue;
        cell->state = CELL_WAITING;
        heap_push(group,
                  core->steady_us + (due > core->wall_us ? due - core->wall_us : 0),
                  block, index);
    }
}

static void get_schedules(struct reader *in, struct group *group)
{
    uint64_t n = get(in);

    for (uint64_t i = 0; i < n && !in->is_bad; i++) {
        const char *name = get_text(in), *operation = get_text(in);
        uint64_t last_due = get(in), block = get(in);
        uint64_t index = get(in);
        const char *cursor = get_text(in);
        if (!name || !operation)
            continue;
        group->schedules = mem_resize(group->schedules, (group->n_schedules + 1) *
                                                            sizeof(*group->schedules));
        group->schedules[group->n_schedules++] =
            (struct schedule){.name = mem_text(name),
                              .operation = mem_text(operation),
                              .last_due_us = last_due,
                              .staged_due_us = last_due,
                              .pending = {block, (uint32_t)index},
                              .is_owed = index >> OWED_BIT & 1,
                              .cursor = mem_text(cursor)};
    }
}

static void get_group(struct core *core, struct reader *in)
{
    const char *name = get_text(in);

    if (!name) {
        in->is_bad = true;
        return;
    }
    struct group *group = group_add(core, name);
    uint64_t flags = get(in);
    const char *record = get_text(in);
    group->is_handler = flags & 1;
    group->is_paused = flags >> 1 & 1;
    group->is_configured = flags >> 2 & 1;
    group->record = mem_text(record);
    group->settled_success = get(in);
    group->settled_failed = get(in);
    uint64_t n = get(in);
    for (uint64_t i = 0; i < n && !in->is_bad; i++) {
        uint64_t block = get(in), counts = get(in);
        struct slot *slot = slot_make(group, block, (uint32_t)(counts >> 32));
        slot->open = (uint32_t)counts;
        slot->deadline_us = get(in);
        get_cells(in, slot);
    }
    get_waiting(core, in, group);
    get_schedules(in, group);
}

const char *checkpoint_read(struct core *core, const void *bytes, size_t n)
{
    struct reader in = {bytes, (const uint8_t *)bytes + n, false};

    if (get(&in) != FORM)
        return "its checkpoint is of another form than this program's: start the newer "
               "signalbox that wrote it, or restore a backup; nothing was changed";
    core->requests_total = get(&in);
    core->facts_total = get(&in);
    core->outcomes_total = get(&in);
    uint64_t count = get(&in);
    for (uint64_t i = 0; i < count && !in.is_bad; i++) {
        const uint8_t *instance = get_bytes(&in, 16);
        struct producer *producer = producer_get(core, instance, true);
        const void *numbers = get_bytes(&in, sizeof(struct numbers));
        if (numbers)
            memcpy(&producer->committed, numbers, sizeof(struct numbers));
        producer->staged = producer->committed;
    }
    count = get(&in);
    for (uint64_t i = 0; i < count && !in.is_bad; i++) {
        struct member member = {0};
        memcpy(member.instance, get_bytes(&in, 16), 16);
        member.group = (uint32_t)get(&in);
        member.pid = get(&in);
        core->members =
            mem_resize(core->members, (core->n_members + 1) * sizeof(*core->members));
        core->members[core->n_members++] = member;
    }
    count = get(&in);
    for (uint64_t i = 0; i < count && !in.is_bad; i++)
        get_group(core, &in);
    return !in.is_bad && in.at == in.end ? NULL : "its checkpoint is not whole";
}

/* Why and since when it is paused: that it is paused is in the state. */
static void define_pause(struct core *core, const struct group *group)
{
    struct record_parts parts = {.kind = RECORD_NOTE,
                                 .type = "signalbox.paused",
                                 .integration = group->hash,
                                 .data = group->pause,
                                 .data_len = strlen(group->pause)};

    stage_parts(core, &parts, NULL);
}

void checkpoint_definitions(struct core *core)
{
    struct buf attrs = BUF_NULL;

    for (size_t i = 0; i < core->n_groups; i++) {
        const struct group *group = core->groups[i];
        if (!group->record)
            continue;
        struct record_parts parts = {.kind = group->is_handler ? RECORD_INTEGRATION
                                                               : RECORD_NOTE,
                                     .type = group->is_handler ? NULL : "signalbox.group",
                                     .integration = group->hash,
                                     .data = group->record,
                                     .data_len = strlen(group->record)};
        stage_parts(core, &parts, NULL);
        if (group->pause)
            define_pause(core, group);
    }
    for (size_t i = 0; i < core->n_manifests; i++) {
        const struct manifest *manifest = &core->manifests[i];
        attrs_begin(&attrs);
        attrs_text(&attrs, ATTR_SOURCE, manifest->connector);
        struct record_parts parts = {.kind = RECORD_MANIFEST,
                                     .integration = manifest->integration,
                                     .attrs = attrs.bytes,
                                     .attr_len = attrs.len,
                                     .data = manifest->text,
                                     .data_len = strlen(manifest->text)};
        stage_parts(core, &parts, NULL);
    }
    for (size_t i = 0; i < core->n_groups; i++) {
        gate_checkpoint(core, core->groups[i]);
        used_checkpoint(core, core->groups[i]);
    }
    buf_fini(&attrs);
}
