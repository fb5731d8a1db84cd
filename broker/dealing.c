/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/dealing.h"

#include <string.h>

#include "lib/base/mem.h"
#include "proto/attrs.h"

/* Longer than any log is kept: the name goes with the event's segment in effect. */
#define REMEMBERED_US UINT64_C(315360000000000)

/* --- what was done before --- */

static void name_dealing(const struct dealing *d, uint8_t ret_name[16])
{
    dealing_name(d->event->id, dealing_is_delivery(d) ? d->group->hash : 0, d->before,
                 ret_name);
}

static void find_last(struct core *core, struct dealing *d)
{
    struct core_key value;
    uint8_t name[16];

    for (; d->before < DEALINGS_MAX; d->before++) {
        name_dealing(d, name);
        if (!key_value(core, name, &value))
            return;
        d->last_value = value;
        d->last = (enum dealing_kind)value.body_hash;
    }
}

void dealing_stage(struct core *core, const struct dealing *d, enum dealing_kind kind,
                   const uint8_t id[16])
{
    struct core_key value = {.body_hash = kind,
                             .expires_us = core->wall_us + REMEMBERED_US};
    struct control_idempotency data = {.body_hash = kind, .expires_us = value.expires_us};
    uint8_t name[16];

    name_dealing(d, name);
    memcpy(value.id, id, 16);
    key_put(core, name, &value);
    struct record_parts parts = {
        .kind = RECORD_IDEMPOTENCY, .id = name, .data = &data, .data_len = sizeof(data)};
    stage_parts(core, &parts, NULL);
}

/* --- what it is --- */

static const struct record *find_by(struct core *core, const struct json *item,
                                    struct dealing *d)
{
    int64_t block = js_int(item, "by_block", 0), index = js_int(item, "by_index", -1);

    if (block < 1 || (uint64_t)block > core->applied || index < 0 || index > UINT32_MAX)
        return NULL;
    d->by_block = cache_get(core, (uint64_t)block);
    return d->by_block ? block_ref_record(d->by_block, (uint32_t)index) : NULL;
}

static bool is_outcome_of(const struct record *by, struct position at)
{
    return by && by->kind == RECORD_OUTCOME && by->cause_block == at.block &&
           by->cause_index == at.index;
}

static bool is_giving_up(const struct record *by, struct position at, uint32_t *ret_group)
{
    struct control_ack ack;

    if (!by || by->kind != RECORD_ACK || by->data_len < sizeof(ack))
        return false;
    memcpy(&ack, record_data(by), sizeof(ack));
    *ret_group = ack.group;
    return ack.result == STATUS_FAILED && ack.block == at.block &&
           at.index >= ack.first && at.index - ack.first < ack.count;
}

/* The operation a request is for, as the manifest in force declares it. */
static const struct json *find_operation(struct core *core, const struct dealing *d)
{
    const char *connector = d->group->connector, *type = record_type(d->event);
    const struct manifest *manifest = connector ? manifest_find(core, d->group) : NULL;
    const struct json *operations =
        manifest ? js_get(manifest->json, "operations") : NULL;
    size_t n = connector ? strlen(connector) + 1 : 0, m = strlen(".requested");

    if (d->event->type_len <= n + m)
        return NULL;
    for (size_t i = 0; i < js_count(operations); i++) {
        const char *name = js_text(js_at(operations, i), "name", "");
        if (strlen(name) == d->event->type_len - n - m &&
            memcmp(name, type + n, strlen(name)) == 0)
            return js_at(operations, i);
    }
    return NULL;
}

static const char *open_request(struct core *core, struct dealing *d)
{
    struct slot *slot;

    d->group = group_find(core, d->event->integration);
    if (!d->group || !d->group->is_handler || !d->group->is_configured)
        return "its integration is not configured any more";
    slot = slot_find(d->group, d->at.block);
    if (!is_outcome_of(d->by, d->at) ||
        (slot && slot->open > 0 && d->at.index < slot->count &&
         slot_cell(slot, d->at.index)->state != CELL_SETTLED))
        return "it is pending: wait for its outcome, or cancel it";
    d->operation = find_operation(core, d);
    if (!d->operation && !(d->event->flags & RECORD_PROVIDERS))
        return "its connector does not declare this operation (any more)";
    return NULL;
}

static const char *open_delivery(struct core *core, struct dealing *d)
{
    uint32_t group = 0;

    if (d->event->kind == RECORD_FACT && d->event->status == STATUS_FAILED)
        return d->event->error_class == CLASS_unverified
                   ? "an unverified webhook is never processed: have its sender send it "
                     "again, signed"
                   : "a missed run cannot be run late: call the operation";
    if (!is_giving_up(d->by, d->at, &group))
        return "no consumer group gave it up";
    d->group = group_find(core, group);
    if (!d->group || d->group->is_handler || !d->group->is_configured)
        return "the consumer group that gave it up is not configured any more";
    return NULL;
}

const char *dealing_open(struct core *core, const struct json *item, struct dealing *ret)
{
    const char *why;

    *ret = (struct dealing){0};
    ret->event = act_event(core, item, &ret->event_block, &ret->at, &why);
    if (!ret->event)
        return why;
    ret->by = find_by(core, item, ret);
    why = dealing_is_delivery(ret) ? open_delivery(core, ret) : open_request(core, ret);
    if (why)
        return why;
    find_last(core, ret);
    return ret->before < DEALINGS_MAX ? NULL : "it was dealt with a hundred times";
}

void dealing_close(struct dealing *dealing)
{
    block_ref_drop(dealing->event_block);
    block_ref_drop(dealing->by_block);
}

bool dealing_is_delivery(const struct dealing *dealing)
{
    return dealing->event->kind != RECORD_REQUEST;
}

bool dealing_in_doubt(const struct dealing *d)
{
    const char *repeat = js_text(d->operation, "repeat", "never");
    int64_t since;

    if (dealing_is_delivery(d) || d->by->status != STATUS_FAILED ||
        d->last == DEALT_FAILED || d->by->error_class == CLASS_permanent)
        return false;
    if (d->by->error_class == CLASS_unknown)
        return true;
    if (!d->operation || strcmp(repeat, "safe") == 0)
        return false;
    if (d->by->error_class == CLASS_poison || (d->by->flags & RECORD_DOUBT))
        return true;
    /* What is never sent twice ends unknown where it is in doubt. What has a key may have
     * had its effect with any attempt, its own or that of a request whose key it kept. */
    return strcmp(repeat, "keyed") == 0 &&
           (d->by->attempt > 0 ||
            attrs_find_int(record_attrs(d->event), d->event->attr_len, ATTR_CALL_KEY_TIME,
                           &since));
}
