/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Which rows there are.  Without views the log is read from its end to the start of what
 * is asked for, gathering what settles what: complete by construction, since whatever
 * settles an event stands behind it.  With views, search.c reads what can matter. */
#include "lib/ledger/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/mem.h"

enum { LIMIT_DEFAULT = 100 };

static int fail(struct query *q, const char *why)
{
    snprintf(q->ledger->error, sizeof(q->ledger->error), "%s", why);
    q->is_failed = true;
    return -1;
}

bool query_in_range(const struct query *q, struct position at)
{
    return position_compare(at, q->from) > 0 && position_compare(at, q->to) < 0;
}

void query_add(struct query *q, const struct hit *hit)
{
    if (q->n_hits == q->cap_hits) {
        if (q->filter->oldest_first && q->limit < SIZE_MAX / 4 &&
            q->n_hits > 2 * q->limit + 1024) {
            query_sort(q); /* not every way finds the newest first */
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

bool query_is_row(const struct query *q, const struct record *r)
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
        if (!r || !query_is_row(q, r) || !query_in_range(q, hit.at))
            continue;
        if (q->filter->records)
            hit.fate = (struct fate){.status = r->status,
                                     .error_class = r->error_class,
                                     .attempt = r->attempt};
        else
            hit.fate = settle_by_list(q->ledger, r, hit.at, list);
        if (row_matches(q->ledger, q->filter, r, &hit))
            query_add(q, &hit);
    }
}

bool query_is_enough(const struct query *q)
{
    return !q->filter->oldest_first && q->n_hits > q->limit;
}

static void back(struct query *q)
{
    uint64_t end = q->filter->records ? q->last : q->ledger->last;

    for (uint64_t n = end; n >= q->first && n > 0 && !query_is_enough(q); n--) {
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

static int newest_first(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;

    return position_compare(y->at, x->at);
}

void query_sort(struct query *q)
{
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
    struct ledger_filter wanted = *filter;
    struct query q = {.ledger = ledger, .filter = &wanted};
    long told = -1;

    if (wanted.error_class >= 0 && wanted.status < 0)
        wanted.status = STATUS_FAILED; /* nothing else has a class */
    ledger_refresh(ledger);
    if (set_range(&q) == 0) {
        if (ledger->applied)
            search(&q);
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
                    if (!r || !query_is_row(q, r) || list->items[k].kind == RECORD_RETRY)
                        continue;
                    hit.fate = settle_by_search(q->ledger, r, hit.at);
                    r = ledger_record(q->ledger, hit.at);
                    if (r && position_compare(hit.fate.by, list->items[k].by) == 0 &&
                        row_matches(q->ledger, q->filter, r, &hit))
                        query_add(q, &hit);
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
    query_sort(&q);
    long told = tell(&q, fn, user);
    *block = q.last;
    settled_fini(&q.settled);
    free(q.hits);
    return told;
}

/* --- one event --- */

void ledger_id(const char *text, uint8_t ret_id[16])
{
    if (!id_parse(text, ret_id))
        id_foreign(text, ret_id);
}

bool ledger_locate(struct ledger *ledger, const char *text, struct position *ret)
{
    uint64_t n = ledger->last;
    uint8_t id[16];

    ledger_id(text, id);
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
