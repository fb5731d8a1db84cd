/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What became of a request or a fact.  A scan that goes back in the log meets outcomes
 * before their requests: it gathers what it meets by the block that is settled, and takes
 * the list out when it comes to that block, so it holds only what lies between.  For a
 * single event it is quicker to look forward from it. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/ledger/state.h"

/* --- the table --- */

static struct settled_list **bucket_of(const struct settled_table *table, uint64_t block)
{
    return &table->buckets[block & (table->n_buckets - 1)];
}

static void grow(struct settled_table *table)
{
    struct settled_table bigger = {.n_buckets =
                                       table->n_buckets ? table->n_buckets * 2 : 256,
                                   .n_lists = table->n_lists};

    bigger.buckets = mem_array(bigger.n_buckets, sizeof(*bigger.buckets));
    for (size_t i = 0; i < table->n_buckets; i++)
        for (struct settled_list *list = table->buckets[i], *next; list; list = next) {
            struct settled_list **bucket = bucket_of(&bigger, list->block);
            next = list->next;
            list->next = *bucket;
            *bucket = list;
        }
    free(table->buckets);
    *table = bigger;
}

static struct settled_list *list_get(struct settled_table *table, uint64_t block)
{
    if (table->n_lists >= table->n_buckets)
        grow(table);
    struct settled_list **bucket = bucket_of(table, block);
    for (struct settled_list *list = *bucket; list; list = list->next)
        if (list->block == block)
            return list;
    struct settled_list *list = mem_alloc(sizeof(*list));
    list->block = block;
    list->next = *bucket;
    *bucket = list;
    table->n_lists++;
    return list;
}

static void add(struct settled_list *list, const struct settled *item)
{
    if (list->n == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 4;
        list->items = mem_resize(list->items, list->cap * sizeof(*list->items));
    }
    list->items[list->n++] = *item;
    if (item->count > list->longest)
        list->longest = item->count;
}

void settled_free(struct settled_list *list)
{
    if (!list)
        return;
    free(list->items);
    free(list);
}

void settled_fini(struct settled_table *table)
{
    for (size_t i = 0; i < table->n_buckets; i++)
        for (struct settled_list *list = table->buckets[i], *next; list; list = next) {
            next = list->next;
            settled_free(list);
        }
    free(table->buckets);
    *table = (struct settled_table){0};
}

static int by_place(const void *a, const void *b)
{
    const struct settled *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return position_compare(x->by, y->by);
}

struct settled_list *settled_take(struct settled_table *table, uint64_t block)
{
    if (!table->n_buckets)
        return NULL;
    for (struct settled_list **at = bucket_of(table, block); *at; at = &(*at)->next) {
        struct settled_list *list = *at;
        if (list->block != block)
            continue;
        *at = list->next;
        table->n_lists--;
        qsort(list->items, list->n, sizeof(*list->items), by_place);
        return list;
    }
    return NULL;
}

/* --- what a record settles --- */

/* The block it is about, and how; 0 when it settles nothing. */
static uint64_t read_settled(const struct block *b, const struct record *r,
                             uint32_t index, struct settled *ret)
{
    struct control_ack ack;
    struct control_retry retry;

    *ret = (struct settled){.kind = r->kind,
                            .error_class = r->error_class,
                            .count = 1,
                            .status = r->status,
                            .attempt = r->attempt,
                            .by = {b->number, index},
                            .by_us = b->timestamp_us};
    if (r->kind == RECORD_OUTCOME) {
        ret->first = r->cause_index;
        return r->cause_block;
    }
    if (r->kind == RECORD_ACK && r->data_len >= sizeof(ack)) {
        memcpy(&ack, record_data(r), sizeof(ack));
        ret->first = ack.first;
        ret->count = ack.count;
        ret->group = ack.group;
        ret->status = (uint8_t)ack.result;
        return ack.block;
    }
    if (r->kind == RECORD_RETRY && r->data_len >= sizeof(retry)) {
        memcpy(&retry, record_data(r), sizeof(retry));
        ret->first = retry.index;
        ret->group = retry.group;
        ret->attempt = retry.attempts;
        return retry.block;
    }
    return 0;
}

void settled_gather(struct settled_table *table, const struct block *b)
{
    struct settled item;
    uint32_t index = 0;

    for (const struct record *r = b->count ? block_first(b) : NULL; r;
         r = block_next(b, r), index++) {
        uint64_t block = read_settled(b, r, index, &item);
        if (block && block <= b->number)
            add(list_get(table, block), &item);
    }
}

/* --- fates --- */

static void outcome_counts(struct fate *v, const struct settled *s)
{
    if (v->by.block && position_compare(v->by, s->by) <= 0)
        return; /* the first one committed won */
    v->status = s->status;
    v->error_class = s->error_class;
    v->attempt = s->attempt;
    v->by = s->by;
    v->by_us = s->by_us;
}

static void attempts_count(struct fate *v, const struct settled *s)
{
    if (!v->by.block && s->attempt > v->attempt)
        v->attempt = s->attempt;
}

/* The first item whose `first` is `index` or more. */
static size_t lower_bound(const struct settled_list *list, uint64_t index)
{
    size_t low = 0, high = list ? list->n : 0;

    while (low < high) {
        size_t middle = (low + high) / 2;
        if (list->items[middle].first < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct fate request_by_list(struct position at, const struct settled_list *list)
{
    struct fate v = {.status = STATUS_PENDING};
    size_t low = lower_bound(list, at.index);

    for (; list && low < list->n && list->items[low].first == at.index; low++) {
        const struct settled *s = &list->items[low];
        if (s->kind == RECORD_OUTCOME)
            outcome_counts(&v, s);
        else if (s->kind == RECORD_RETRY)
            attempts_count(&v, s);
    }
    return v;
}

/* The acknowledgement of one group over the record at `index`; the first in the log when
 * there are several. */
static const struct settled *ack_of(const struct settled_list *list, uint32_t group,
                                    uint32_t index)
{
    const struct settled *found = NULL;

    for (size_t i = lower_bound(list, (uint64_t)index + 1); i > 0; i--) {
        const struct settled *s = &list->items[i - 1];
        if ((uint64_t)s->first + list->longest <= index)
            break;
        if (s->kind == RECORD_ACK && s->group == group && index - s->first < s->count &&
            (!found || position_compare(s->by, found->by) < 0))
            found = s;
    }
    return found;
}

/* A group that gave up decides at once; else the last acknowledgement does, when no group
 * is left. */
static struct fate fact_by_list(const struct ledger *ledger, const struct record *r,
                                struct position at, const struct settled_list *list)
{
    struct fate v = {.status = STATUS_SUCCESS, .is_unconsumed = true};
    const struct settled *failed = NULL, *latest = NULL;
    bool is_open = false;

    for (size_t i = 0; i < ledger->n_groups; i++) {
        if (!names_takes(&ledger->groups[i], r, at))
            continue;
        v.is_unconsumed = false;
        const struct settled *s = ack_of(list, ledger->groups[i].hash, at.index);
        if (!s)
            is_open = true;
        else if (s->status == STATUS_FAILED &&
                 (!failed || position_compare(s->by, failed->by) < 0))
            failed = s;
        else if (!latest || position_compare(s->by, latest->by) > 0)
            latest = s;
    }
    const struct settled *decided = failed ? failed : is_open ? NULL : latest;
    if (decided)
        v = (struct fate){.status = failed ? STATUS_FAILED : STATUS_SUCCESS,
                          .error_class = decided->error_class,
                          .by = decided->by,
                          .by_us = decided->by_us};
    else if (is_open)
        v.status = STATUS_PENDING;
    return v;
}

static struct fate as_written(const struct record *r)
{
    return (struct fate){
        .status = r->status, .error_class = r->error_class, .attempt = r->attempt};
}

struct fate settle_by_list(const struct ledger *ledger, const struct record *r,
                           struct position at, const struct settled_list *list)
{
    if (r->kind == RECORD_REQUEST)
        return request_by_list(at, list);
    if (r->kind == RECORD_FACT && r->status == STATUS_PENDING)
        return fact_by_list(ledger, r, at, list);
    return as_written(r); /* an outcome, or a fact that came Failed: unverified, missed */
}

static void gather_for(struct settled_list *list, const struct block *b, uint64_t block)
{
    struct settled item;
    uint32_t index = 0;

    for (const struct record *r = b->count ? block_first(b) : NULL; r;
         r = block_next(b, r), index++) {
        if (read_settled(b, r, index, &item) == block)
            add(list, &item);
    }
}

/* Look forward for what settles deliveries of the record's block until the fate is
 * there or the log ends. */
static struct fate search(struct ledger *ledger, struct position at, enum views_item item,
                          const void *name)
{
    struct settled_list list = {.block = at.block};
    struct fate v = {.status = STATUS_PENDING};
    uint64_t next = at.block;

    while ((next = ledger_next(ledger, next, /* backwards= */ false, item, name)) != 0) {
        const struct block *b = ledger_block(ledger, next++, NULL);
        size_t before = list.n;
        if (!b)
            continue;
        gather_for(&list, b, at.block);
        if (list.n == before)
            continue;
        qsort(list.items, list.n, sizeof(*list.items), by_place);
        const struct record *r = ledger_record(ledger, at);
        if (!r)
            break;
        v = settle_by_list(ledger, r, at, &list);
        if (v.status != STATUS_PENDING)
            break;
    }
    free(list.items);
    return v;
}

struct fate settle_by_search(struct ledger *ledger, const struct record *r,
                             struct position at)
{
    struct fate v = settle_by_list(ledger, r, at, NULL);
    uint8_t id[16];

    if (v.status != STATUS_PENDING)
        return v;
    memcpy(id, r->id, 16);
    if (r->kind == RECORD_FACT)
        return search(ledger, at, VIEWS_OF, &at.block);
    v = search(ledger, at, VIEWS_ID, id);
    if (v.status == STATUS_PENDING) /* its attempts so far are in other blocks than an
                                       outcome would be */
        v = search(ledger, at, VIEWS_OF, &at.block);
    return v;
}

/* True when none of them is pending any more. */
static bool settle_all(struct ledger *ledger, struct hit *hits, size_t n,
                       struct settled_list *list)
{
    bool is_done = true;

    if (list->n)
        qsort(list->items, list->n, sizeof(*list->items), by_place);
    for (size_t i = 0; i < n; i++) {
        const struct record *r = ledger_record(ledger, hits[i].at);
        if (!r)
            continue;
        hits[i].fate = settle_by_list(ledger, r, hits[i].at, list);
        is_done &= hits[i].fate.status != STATUS_PENDING;
    }
    return is_done;
}

void settle_block(struct ledger *ledger, uint64_t block, struct hit *hits, size_t n)
{
    struct settled_list list = {.block = block};
    uint64_t next = block;
    bool is_done = settle_all(ledger, hits, n, &list);

    while (!is_done && (next = ledger_next(ledger, next, /* backwards= */ false, VIEWS_OF,
                                           &block)) != 0) {
        const struct block *b = ledger_block(ledger, next++, NULL);
        size_t before = list.n;
        if (b)
            gather_for(&list, b, block);
        if (list.n > before)
            is_done = settle_all(ledger, hits, n, &list);
    }
    free(list.items);
}
