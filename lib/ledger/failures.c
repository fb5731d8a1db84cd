/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger/failures.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/ledger/state.h"
#include "lib/store/store.h"

static struct json *item(struct ledger *ledger, const struct record *r,
                         struct position at, struct position by)
{
    struct json *o = js_object();
    char text[ID_TEXT_SIZE];
    uint8_t id[16];

    id_format(r->id, text);
    js_set_text(o, "id", text);
    _free_ char *event = record_id_text(r);
    _free_ char *type = mem_copy(record_type(r), r->type_len);
    js_set_text(js_set_text(o, "event", event), "type", type);
    id_new(clock_wall_us(), id);
    id_format(id, text);
    js_set_text(o, "new", text);
    js_set_int(js_set_int(o, "block", (int64_t)at.block), "index", at.index);
    js_set_int(js_set_int(o, "by_block", (int64_t)by.block), "by_index", by.index);
    const struct record *ending = by.block ? ledger_record(ledger, by) : r;
    if (ending && ending->error_class)
        js_set_text(o, "error_class", class_name(ending->error_class));
    return o;
}

static void add_request(struct ledger *ledger, struct position at, struct json *items)
{
    const struct record *r = ledger_record(ledger, at);
    struct position by = r ? settle_by_search(ledger, r, at).by : (struct position){0};

    r = ledger_record(ledger, at); /* the search may have moved it */
    if (r)
        js_push(items, item(ledger, r, at, by));
}

static bool gave_up(const struct record *r, struct control_ack *ret)
{
    if (r->kind != RECORD_ACK || r->data_len < sizeof(*ret))
        return false;
    memcpy(ret, record_data(r), sizeof(*ret));
    return ret->result == STATUS_FAILED;
}

/* The acknowledgements of one block by which groups gave the event up. */
static void add_given_up_in(struct ledger *ledger, const struct block *b,
                            struct position at, struct json *items)
{
    struct position by = {b->number, 0};
    struct control_ack ack;

    for (const struct record *r = b->count ? block_first(b) : NULL; r;
         r = block_next(b, r), by.index++) {
        if (!gave_up(r, &ack) || ack.block != at.block || at.index < ack.first ||
            at.index - ack.first >= ack.count)
            continue;
        const struct record *event = ledger_record(ledger, at);
        const struct group *group = names_group(ledger, ack.group);
        if (event)
            js_push(items, js_set_text(item(ledger, event, at, by), "group",
                                       group ? group->name : NULL));
    }
}

/* What consumer groups gave up of a fact or an outcome. */
static void add_given_up(struct ledger *ledger, struct position at, struct json *items)
{
    uint64_t n = at.block;

    while ((n = ledger_next(ledger, n, /* backwards= */ false, VIEWS_OF, &at.block))) {
        const struct block *b = ledger_block(ledger, n++, NULL);
        if (b)
            add_given_up_in(ledger, b, at, items);
    }
}

struct json *failures_of(struct ledger *ledger, const char *id)
{
    struct position at;

    ledger_refresh(ledger);
    if (!ledger_locate(ledger, id, &at))
        return NULL;
    struct json *items = js_array();
    const struct record *r = ledger_record(ledger, at);
    if (r && r->kind != RECORD_REQUEST)
        add_given_up(ledger, at, items);
    r = ledger_record(ledger, at);
    if (!r || js_count(items) > 0)
        return items;
    if (r->kind == RECORD_OUTCOME)
        at = (struct position){r->cause_block, r->cause_index};
    if (r->kind == RECORD_FACT)
        js_push(items, item(ledger, r, at, (struct position){0}));
    else
        add_request(ledger, at, items);
    return items;
}

/* --- by filter --- */

struct gathering {
    const struct ledger_filter *filter;
    struct buf places; /* struct position */
};

static bool gather(void *user, const struct ledger_row *row)
{
    struct gathering *g = user;
    int class = row->error_class ? class_find(row->error_class) : CLASS_none;

    if (g->filter->error_class > 0 ||
        (class != CLASS_unverified && class != CLASS_missed))
        buf_add(&g->places, &row->position, sizeof(row->position));
    return true;
}

struct json *failures_find(struct ledger *ledger, const struct ledger_filter *filter,
                           char **ret_cursor)
{
    struct ledger_filter failed = *filter;
    struct gathering g = {.filter = filter};
    struct position at;

    failed.status = STATUS_FAILED;
    failed.records = false;
    if (ledger_query(ledger, &failed, gather, &g, ret_cursor) < 0) {
        buf_fini(&g.places);
        return NULL;
    }
    struct json *items = js_array();
    for (size_t i = 0; i < g.places.len; i += sizeof(at)) {
        memcpy(&at, g.places.bytes + i, sizeof(at));
        const struct record *r = ledger_record(ledger, at);
        if (r && r->kind == RECORD_REQUEST)
            add_request(ledger, at, items);
        else if (r && r->status == STATUS_FAILED)
            js_push(items, item(ledger, r, at, (struct position){0}));
        else if (r)
            add_given_up(ledger, at, items);
    }
    buf_fini(&g.places);
    return items;
}

/* --- by group --- */

/* Positions of what is to be told: the block that an acknowledgement is in is not kept
 * in memory while the events are read. */
struct given_up {
    struct position event, by;
};

static void gather_acks(const struct block *b, uint32_t group,
                        const struct ledger_filter *filter, struct buf *out)
{
    struct position by = {b->number, 0};
    struct control_ack ack;

    for (const struct record *r = b->count ? block_first(b) : NULL; r;
         r = block_next(b, r), by.index++) {
        if (!gave_up(r, &ack) || ack.group != group ||
            (filter->error_class >= 0 && r->error_class != filter->error_class))
            continue;
        for (uint32_t i = 0; i < ack.count; i++) {
            struct given_up one = {{ack.block, ack.first + i}, by};
            buf_add(out, &one, sizeof(one));
        }
    }
}

static void tell_acks(struct ledger *ledger, const char *group,
                      const struct ledger_filter *filter, const struct buf *places,
                      struct json *items)
{
    for (size_t i = 0; i < places->len; i += sizeof(struct given_up)) {
        struct given_up one;
        memcpy(&one, places->bytes + i, sizeof(one));
        const struct record *event = ledger_record(ledger, one.event);
        if (!event || !record_is_event(event) ||
            !row_is_named_so(ledger, filter, event, one.event))
            continue;
        event = ledger_record(ledger, one.event); /* it may have moved */
        if (event)
            js_push(items,
                    js_set_text(item(ledger, event, one.event, one.by), "group", group));
    }
}

struct json *failures_of_group(struct ledger *ledger, const char *group,
                               const struct ledger_filter *filter, uint64_t *block)
{
    uint32_t hash = integration_hash(group);
    size_t limit = filter->limit ? filter->limit : SIZE_MAX;
    struct buf places = BUF_NULL;

    ledger_refresh(ledger);
    if (!names_group(ledger, hash)) {
        snprintf(ledger->error, sizeof(ledger->error),
                 "the log knows no consumer group `%s`", group);
        return NULL;
    }
    uint64_t n = *block             ? *block
                 : filter->since_us ? store_find_time(ledger->store, filter->since_us)
                                    : ledger->first;
    struct json *items = js_array();
    for (; n && n <= ledger->last && js_count(items) < limit; n++) {
        const struct block *b = ledger_block(ledger, n, NULL);
        if (b && filter->until_us && b->timestamp_us >= filter->until_us)
            break;
        if (!b)
            continue; /* missing or damaged: the audit names it */
        buf_clear(&places);
        gather_acks(b, hash, filter, &places);
        tell_acks(ledger, group, filter, &places, items);
    }
    *block = js_count(items) >= limit && n <= ledger->last ? n : 0;
    buf_fini(&places);
    return items;
}
