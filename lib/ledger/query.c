/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Which rows there are.  Two ways:
 *
 * back():    from the end of the log to the start of what is asked for, gathering what
 * settles what.  Complete by construction: whatever settles an event stands behind it.
 * failed():  when only failures are asked for and views say which blocks hold some: only
 * these are read.  An event settled in block n stands at or before n, so going back, rows
 * are final once they lie above the block that is looked at. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/ledger/state.h"

enum { LIMIT_DEFAULT = 100 };

struct query {
    struct ledger *ledger;
    const struct ledger_filter *filter;
    size_t limit;
    struct position from, to; /* rows wanted: from < position < to */
    uint64_t first, last;     /* blocks that can hold them */
    struct settled_table settled;
    struct hit *hits; /* newest first */
    size_t n_hits, cap_hits;
    bool is_cut; /* there are more than `limit` */
    bool is_failed;
};

static int fail(struct query *q, const char *why)
{
    snprintf(q->ledger->error, sizeof(q->ledger->error), "%s", why);
    q->is_failed = true;
    return -1;
}

static bool in_range(const struct query *q, struct position at)
{
    return position_compare(at, q->from) > 0 && position_compare(at, q->to) < 0;
}

static void add_hit(struct query *q, const struct hit *hit)
{
    if (q->n_hits == q->cap_hits) {
        if (q->filter->oldest_first && q->limit < SIZE_MAX / 4 &&
            q->n_hits > 2 * q->limit + 1024) {
            size_t drop =
                q->n_hits - q->limit -
                1; /* only the oldest are wanted, and one to know there are more */
            memmove(q->hits, q->hits + drop, (q->limit + 1) * sizeof(*q->hits));
            q->n_hits = q->limit + 1;
        } else {
            q->cap_hits = q->cap_hits ? q->cap_hits * 2 : 64;
            q->hits = mem_resize(q->hits, q->cap_hits * sizeof(*q->hits));
        }
    }
    q->hits[q->n_hits++] = *hit;
}

static bool is_row(const struct query *q, const struct record *r)
{
    return r->kind == RECORD_REQUEST || r->kind == RECORD_FACT ||
           (q->filter->records && r->kind == RECORD_OUTCOME);
}

/* The rows of one block, the newest first. */
static void rows_of(struct query *q, uint64_t number, const struct settled_list *list)
{
    const struct block *b = ledger_block(q->ledger, number, NULL);

    for (uint32_t index = b ? b->count : 0; index > 0; index--) {
        struct hit hit = {.at = {number, index - 1}};
        const struct record *r = ledger_record(q->ledger, hit.at);
        if (!r || !is_row(q, r) || !in_range(q, hit.at))
            continue;
        if (q->filter->records)
            hit.fate = (struct fate){.status = r->status,
                                     .error_class = r->error_class,
                                     .attempt = r->attempt};
        else
            hit.fate = settle_by_list(q->ledger, r, hit.at, list);
        if (row_matches(q->ledger, q->filter, r, &hit))
            add_hit(q, &hit);
    }
}

static bool is_enough(const struct query *q)
{
    return !q->filter->oldest_first && q->n_hits > q->limit;
}

static void back(struct query *q)
{
    uint64_t end = q->filter->records ? q->last : q->ledger->last;

    for (uint64_t n = end; n >= q->first && n > 0 && !is_enough(q); n--) {
        const struct block *b = ledger_block(q->ledger, n, NULL);
        if (!b)
            continue; /* missing or damaged: `log verify` and `audit` name it */
        if (!q->filter->records)
            settled_gather(&q->settled, b);
        struct settled_list *list = settled_take(&q->settled, n);
        if (n <= q->last)
            rows_of(q, n, list);
        settled_free(list);
    }
}

/* --- failures only --- */

static int newest_first(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;

    return position_compare(y->at, x->at);
}

/* A request or fact that a record at `by` may have settled as Failed: is it so, and is it
 * asked for? */
static void try_failed(struct query *q, struct position at, struct position by)
{
    struct hit hit = {.at = at};
    const struct record *r = in_range(q, at) ? ledger_record(q->ledger, at) : NULL;

    if (!r || (r->kind != RECORD_REQUEST && r->kind != RECORD_FACT))
        return;
    hit.fate = settle_by_search(q->ledger, r, at);
    r = ledger_record(q->ledger, at);
    if (r && position_compare(hit.fate.by, by) == 0 &&
        row_matches(q->ledger, q->filter, r, &hit))
        add_hit(q, &hit);
}

static void try_acked(struct query *q, const struct record *r, struct position by)
{
    struct control_ack ack;

    if (r->data_len < sizeof(ack))
        return;
    memcpy(&ack, record_data(r), sizeof(ack));
    if (ack.result != STATUS_FAILED || ack.block > by.block)
        return;
    const struct block *b = ledger_block(q->ledger, ack.block, NULL);
    uint32_t count = b ? b->count : 0;
    for (uint32_t i = 0; i < ack.count && ack.first < count && i < count - ack.first; i++)
        try_failed(q, (struct position){ack.block, ack.first + i}, by);
}

static void failures_of(struct query *q, uint64_t number)
{
    const struct block *b = ledger_block(q->ledger, number, NULL);
    uint32_t count = b ? b->count : 0;

    for (uint32_t index = 0; index < count; index++) {
        struct position by = {number, index};
        const struct record *r = ledger_record(q->ledger, by);
        if (!r)
            return;
        if (r->kind == RECORD_OUTCOME && r->status == STATUS_FAILED &&
            r->cause_block <= number)
            try_failed(q, (struct position){r->cause_block, r->cause_index}, by);
        else if (r->kind == RECORD_FACT && r->status == STATUS_FAILED)
            try_failed(q, by, (struct position){0});
        else if (r->kind == RECORD_ACK)
            try_acked(q, r, by);
    }
}

/* Are as many rows final as are wanted? */
static bool are_final(struct query *q, uint64_t below)
{
    size_t n = 0;

    if (!is_enough(q))
        return false;
    for (size_t i = 0; i < q->n_hits; i++)
        n += q->hits[i].at.block >= below;
    return n > q->limit;
}

static bool gather_failed(void *user, const struct views_row *row)
{
    struct buf *numbers = user;

    for (uint64_t n = row->first; row->failed && n <= row->last; n++)
        buf_add(numbers, &n, sizeof(n));
    return true;
}

static void failed(struct query *q)
{
    struct buf numbers = BUF_NULL;
    struct ledger *ledger = q->ledger;
    uint64_t number;
    size_t at = 0;

    views_scan(ledger->views, q->first, /* backwards= */ false, gather_failed, &numbers);
    for (uint64_t n = ledger->last;
         n > ledger->applied && n >= q->first && !are_final(q, n + 1); n--)
        failures_of(q, n);
    for (at = numbers.len; at > 0; at -= sizeof(number)) {
        memcpy(&number, numbers.bytes + at - sizeof(number), sizeof(number));
        if (number > ledger->applied)
            continue;
        if (are_final(q, number + 1))
            break;
        failures_of(q, number);
    }
    buf_fini(&numbers);
    if (q->n_hits)
        qsort(q->hits, q->n_hits, sizeof(*q->hits), newest_first);
}

/* --- the query --- */

static bool parse_cursor(const char *text, struct position *ret)
{
    unsigned long long block;
    unsigned index;
    int n = 0;

    if (sscanf(text, "%20llu-%10u%n", &block, &index, &n) != 2 || text[n])
        return false;
    *ret = (struct position){block, index};
    return true;
}

static int set_range(struct query *q)
{
    const struct ledger_filter *f = q->filter;
    struct ledger *ledger = q->ledger;
    struct position cursor = {0};

    q->limit = f->limit ? f->limit : LIMIT_DEFAULT;
    q->first = f->since_us ? store_find_time(ledger->store, f->since_us) : ledger->first;
    q->last =
        f->until_us ? store_find_time(ledger->store, f->until_us) : ledger->last + 1;
    if (q->last > ledger->last + 1)
        q->last = ledger->last + 1;
    q->to = (struct position){q->last--, 0}; /* until is not included */
    q->from =
        q->first ? (struct position){q->first - 1, UINT32_MAX} : (struct position){0};
    if (!f->cursor)
        return 0;
    if (!parse_cursor(f->cursor, &cursor))
        return fail(q, "not a cursor of this log");
    if (f->oldest_first && position_compare(cursor, q->from) > 0) {
        q->from = cursor;
        q->first = cursor.block;
    } else if (!f->oldest_first && position_compare(cursor, q->to) < 0) {
        q->to = cursor;
        q->last = cursor.block;
    }
    if (q->first < ledger->first)
        q->first = ledger->first;
    return 0;
}

static bool asks_for_failures(const struct query *q)
{
    const struct ledger_filter *f = q->filter;

    return !f->records && q->ledger->applied > 0 &&
           (f->status == STATUS_FAILED || (f->status < 0 && f->error_class > 0));
}

static long tell(struct query *q, ledger_fn fn, void *user)
{
    long told = 0;

    if (q->n_hits > q->limit) {
        q->is_cut = true;
        if (q->filter->oldest_first)
            memmove(q->hits, q->hits + (q->n_hits - q->limit),
                    q->limit * sizeof(*q->hits));
        q->n_hits = q->limit;
    }
    for (size_t i = q->n_hits; i > 0; i--) {
        told++;
        if (!row_tell(q->ledger, &q->hits[i - 1], fn, user))
            break;
    }
    return told;
}

/* Behind the last row: of the newest first that is before the oldest told, of the oldest
 * first behind the newest, or behind everything there is. */
static char *next_cursor(const struct query *q)
{
    struct position at = {q->ledger->last, UINT32_MAX};

    if (!q->filter->oldest_first) {
        if (!q->is_cut || q->n_hits == 0)
            return NULL;
        at = q->hits[q->n_hits - 1].at;
    } else if (q->is_cut && q->n_hits) {
        at = q->hits[0].at;
    } else if (q->filter->until_us && position_compare(q->to, at) < 0) {
        at = q->to.index ? q->to : (struct position){q->to.block - 1, UINT32_MAX};
    }
    return mem_format("%" PRIu64 "-%u", at.block, (unsigned)at.index);
}

long ledger_query(struct ledger *ledger, const struct ledger_filter *filter, ledger_fn fn,
                  void *user, char **ret_cursor)
{
    struct query q = {.ledger = ledger, .filter = filter};
    long told = -1;

    ledger_refresh(ledger);
    if (set_range(&q) == 0) {
        if (asks_for_failures(&q))
            failed(&q);
        else
            back(&q);
        told = tell(&q, fn, user);
        if (ret_cursor)
            *ret_cursor = next_cursor(&q);
    }
    settled_fini(&q.settled);
    free(q.hits);
    return told;
}

/* --- following --- */

/* The older requests and facts that were settled in the blocks from `first` on. */
static void settled_older(struct query *q)
{
    for (size_t i = 0; i < q->settled.n_buckets; i++)
        for (const struct settled_list *list = q->settled.buckets[i]; list;
             list = list->next)
            for (size_t k = 0; k < list->n; k++) {
                const struct block *b = ledger_block(q->ledger, list->block, NULL);
                uint32_t count = b ? b->count : 0;
                for (uint32_t j = 0; j < list->items[k].count &&
                                     list->items[k].first + (uint64_t)j < count;
                     j++) {
                    struct hit hit = {.at = {list->block, list->items[k].first + j}};
                    const struct record *r = ledger_record(q->ledger, hit.at);
                    if (!r || !is_row(q, r) || list->items[k].kind == RECORD_RETRY)
                        continue;
                    hit.fate = settle_by_search(q->ledger, r, hit.at);
                    r = ledger_record(q->ledger, hit.at);
                    if (r && position_compare(hit.fate.by, list->items[k].by) == 0 &&
                        row_matches(q->ledger, q->filter, r, &hit))
                        add_hit(q, &hit);
                }
            }
}

long ledger_follow(struct ledger *ledger, const struct ledger_filter *filter,
                   uint64_t *block, ledger_fn fn, void *user)
{
    struct query q = {.ledger = ledger, .filter = filter, .limit = SIZE_MAX};

    ledger_refresh(ledger);
    q.first = *block + 1 > ledger->first ? *block + 1 : ledger->first;
    q.last = ledger->last;
    q.from = (struct position){q.first - 1, UINT32_MAX};
    q.to = (struct position){q.last + 1, 0};
    if (q.last < q.first)
        return 0;
    back(&q);
    if (!filter->records)
        settled_older(&q);
    if (q.n_hits)
        qsort(q.hits, q.n_hits, sizeof(*q.hits), newest_first);
    long told = tell(&q, fn, user);
    *block = q.last;
    settled_fini(&q.settled);
    free(q.hits);
    return told;
}

/* --- one event --- */

bool ledger_locate(struct ledger *ledger, const char *text, struct position *ret)
{
    uint64_t n = ledger->last;
    uint8_t id[16];

    if (!id_parse(text, id))
        id_foreign(text, id);
    while (n > 0 &&
           (n = ledger_next(ledger, n, /* backwards= */ true, VIEWS_ID, id)) != 0) {
        const struct block *b = ledger_block(ledger, n, NULL);
        uint32_t index = 0;
        for (const struct record *r = b && b->count ? block_first(b) : NULL; r;
             r = block_next(b, r), index++)
            if (record_is_event(r) && memcmp(r->id, id, 16) == 0) {
                *ret = (struct position){n, index};
                return true;
            }
        n--;
    }
    return false;
}

bool ledger_find(struct ledger *ledger, const char *id, ledger_fn fn, void *user)
{
    struct hit hit = {0};

    ledger_refresh(ledger);
    const struct record *r =
        ledger_locate(ledger, id, &hit.at) ? ledger_record(ledger, hit.at) : NULL;
    if (!r)
        return false;
    hit.fate = settle_by_search(ledger, r, hit.at);
    row_tell(ledger, &hit, fn, user);
    return true;
}
