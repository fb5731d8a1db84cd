/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Finding rows with the help of the views.  Four ways, each from the end of the log back
 * until there is enough; blocks that have no row yet are always read:
 *
 * by_item()     one key or one cause: the filters name the blocks.
 * by_pending()  what is open is listed.
 * by_ending()   success or failure: blocks whose tallies say that something ended so.  An
 *               event that ended in block n stands at or before n, so going back, rows
 *               are final once they lie above the block that is looked at.
 * by_event()    anything else: blocks whose tallies say that such events are there. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/ledger/plan.h"
#include "lib/ledger/query.h"

enum { CHUNK_RUNS = 256 }; /* candidates gathered before they are read */

/* --- one block --- */

/* Hits of one block that may still be refused by what became of them. */
struct found {
    struct hit *hits;
    size_t n, cap;
};

static void found_add(struct found *found, struct position at)
{
    if (found->n == found->cap) {
        found->cap = found->cap ? found->cap * 2 : 64;
        found->hits = mem_resize(found->hits, found->cap * sizeof(*found->hits));
    }
    found->hits[found->n++] = (struct hit){.at = at};
}

/* Settle the hits of a block, and keep those that fit. */
static void keep_fitting(struct query *q, uint64_t number, struct found *found)
{
    if (!q->filter->records)
        settle_block(q->ledger, number, found->hits, found->n);
    for (size_t i = 0; i < found->n; i++) {
        struct hit *hit = &found->hits[i];
        const struct record *r = ledger_record(q->ledger, hit->at);
        if (r && q->filter->records)
            hit->fate = (struct fate){.status = r->status,
                                      .error_class = r->error_class,
                                      .attempt = r->attempt};
        if (r && row_ended_so(q->filter, &hit->fate))
            query_add(q, hit);
    }
    free(found->hits);
}

/* The rows of a block, the newest first; only facts for by_ending. */
static void events_of(struct query *q, uint64_t number, bool facts_only)
{
    const struct block *b = ledger_block(q->ledger, number, NULL);
    struct found found = {0};

    for (uint32_t index = b ? b->count : 0; index > 0; index--) {
        struct position at = {number, index - 1};
        const struct record *r = ledger_record(q->ledger, at);
        if (r && query_is_row(q, r) && (!facts_only || r->kind == RECORD_FACT) &&
            query_in_range(q, at) && row_is_named_so(q->ledger, q->filter, r, at))
            found_add(&found, at);
    }
    keep_fitting(q, number, &found);
}

/* --- candidates --- */

struct chunk {
    const struct plan *plan;
    bool (*can)(const struct plan *plan, const struct views_row *row);
    uint64_t first; /* nothing below matters */
    uint64_t next;  /* where to go on */
    uint64_t runs[CHUNK_RUNS][2];
    size_t n;
};

static bool take_candidate(void *user, const struct views_row *row)
{
    struct chunk *chunk = user;

    chunk->next = row->first > chunk->first ? row->first - 1 : 0;
    if (row->last < chunk->first)
        return false;
    if (chunk->can(chunk->plan, row)) {
        chunk->runs[chunk->n][0] = row->first;
        chunk->runs[chunk->n++][1] = row->last;
    }
    return chunk->next && chunk->n < CHUNK_RUNS;
}

/* Look at each block that can matter, the newest first; false stops. */
static void each_candidate(struct query *q, struct chunk *chunk, uint64_t last,
                           bool (*fn)(struct query *q, uint64_t number))
{
    for (; last > q->ledger->applied && last >= q->first; last--)
        if (!fn(q, last))
            return;
    chunk->first = q->first;
    chunk->next = last;
    while (chunk->next && chunk->next >= q->first) {
        uint64_t from = chunk->next;
        chunk->n = chunk->next = 0;
        if (views_scan(q->ledger->views, from, /* backwards= */ true, take_candidate,
                       chunk))
            return;
        for (size_t i = 0; i < chunk->n; i++) {
            uint64_t n = chunk->runs[i][1] < last ? chunk->runs[i][1] : last;
            for (; n >= chunk->runs[i][0] && n >= q->first && n > 0; n--)
                if (!fn(q, n))
                    return;
        }
    }
}

/* --- by_event, by_item --- */

static bool take_events(struct query *q, uint64_t number)
{
    if (number <= q->last)
        events_of(q, number, /* facts_only= */ false);
    return !query_is_enough(q);
}

static void by_event(struct query *q, const struct plan *plan)
{
    struct chunk chunk = {.plan = plan, .can = plan_has_event};

    each_candidate(q, &chunk, q->last, take_events);
}

static void by_item(struct query *q)
{
    uint64_t key = q->filter->key ? hash_text(q->filter->key) : 0, n = q->last;
    uint8_t cause[16] = {0};
    const void *name = &key;

    if (q->filter->cause && !q->filter->key) {
        ledger_id(q->filter->cause, cause);
        name = cause;
    }
    enum views_item item = q->filter->key ? VIEWS_KEY : VIEWS_ID;
    while (n && (n = ledger_next(q->ledger, n, /* backwards= */ true, item, name)) != 0 &&
           n >= q->first && take_events(q, n))
        n--;
}

/* --- by_ending --- */

/* A request or fact that a record at `by` may have settled: is it so, and is it asked
 * for? */
static void try_ended(struct query *q, struct position at, struct position by)
{
    struct hit hit = {.at = at};
    const struct record *r = query_in_range(q, at) ? ledger_record(q->ledger, at) : NULL;

    if (!r || (r->kind != RECORD_REQUEST && r->kind != RECORD_FACT) ||
        !row_is_named_so(q->ledger, q->filter, r, at))
        return;
    r = ledger_record(q->ledger, at);
    hit.fate = settle_by_search(q->ledger, r, at);
    if (position_compare(hit.fate.by, by) == 0 && row_ended_so(q->filter, &hit.fate))
        query_add(q, &hit);
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
        try_ended(q, (struct position){ack.block, ack.first + i}, by);
}

/* Are as many rows final as are wanted? */
static bool are_final(const struct query *q, uint64_t below)
{
    size_t n = 0;

    if (!query_is_enough(q))
        return false;
    for (size_t i = 0; i < q->n_hits; i++)
        n += q->hits[i].at.block >= below;
    return n > q->limit;
}

/* Failed facts that came so are found as such; those that a group gave up on, by its
 * acknowledgement. */
static bool take_endings(struct query *q, uint64_t number)
{
    const struct block *b = ledger_block(q->ledger, number, NULL);
    uint32_t count = b ? b->count : 0;
    bool is_failure = q->filter->status == STATUS_FAILED;

    for (uint32_t index = 0; index < count; index++) {
        struct position by = {number, index};
        const struct record *r = ledger_record(q->ledger, by);
        if (!r)
            break;
        if (r->kind == RECORD_OUTCOME && r->status == q->filter->status &&
            r->cause_block <= number)
            try_ended(q, (struct position){r->cause_block, r->cause_index}, by);
        else if (is_failure && r->kind == RECORD_FACT && r->status == STATUS_FAILED)
            try_ended(q, by, (struct position){0});
        else if (is_failure && r->kind == RECORD_ACK)
            try_acked(q, r, by);
    }
    if (!is_failure && number <= q->last)
        events_of(q, number, /* facts_only= */ true);
    return !are_final(q, number);
}

static void by_ending(struct query *q, const struct plan *plan)
{
    struct chunk chunk = {.plan = plan, .can = plan_has_ending};

    each_candidate(q, &chunk, q->ledger->last, take_endings);
    query_sort(q);
}

/* --- by_pending --- */

struct waiting {
    struct query *q;
    const struct plan *plan;
    struct found found; /* of the block that is looked at */
    uint64_t block;
};

static int newest_first(const void *a, const void *b)
{
    const struct hit *x = a, *y = b;

    return position_compare(y->at, x->at);
}

/* What is left of the block's open events when the blocks behind the views are seen, too.
 * Requests need no look into the log: whatever settled them was seen by the views, or is
 * in the table. */
static void end_block(struct waiting *w)
{
    struct found *found = &w->found;
    struct settled_list *list = settled_take(&w->q->settled, w->block);
    size_t n = 0;

    if (found->n)
        qsort(found->hits, found->n, sizeof(*found->hits), newest_first);
    for (size_t i = 0; i < found->n; i++) {
        struct hit *hit = &found->hits[i];
        if (n && position_compare(hit->at, found->hits[n - 1].at) == 0)
            continue; /* another group waits for it, too */
        const struct record *r = ledger_record(w->q->ledger, hit->at);
        if (!r || !row_is_named_so(w->q->ledger, w->q->filter, r, hit->at))
            continue;
        uint32_t attempt = hit->fate.attempt;
        r = ledger_record(w->q->ledger, hit->at);
        hit->fate = r->kind == RECORD_REQUEST
                        ? settle_by_list(w->q->ledger, r, hit->at, list)
                        : settle_by_search(w->q->ledger, r, hit->at);
        if (hit->fate.attempt < attempt)
            hit->fate.attempt = attempt;
        if (hit->fate.status == STATUS_PENDING)
            found->hits[n++] = *hit;
    }
    for (size_t i = 0; i < n; i++)
        query_add(w->q, &found->hits[i]);
    found->n = 0;
    settled_free(list);
}

static bool take_open(void *user, uint64_t block, uint32_t group,
                      const struct views_open *open, size_t n)
{
    struct waiting *w = user;

    if (block != w->block)
        end_block(w);
    if (block < w->q->first || query_is_enough(w->q))
        return false;
    w->block = block;
    for (size_t i = 0; i < n; i++) {
        struct position at = {block, open[i].index};
        if (open[i].kind == (group ? RECORD_FACT : RECORD_REQUEST) &&
            query_in_range(w->q, at) && plan_has_open(w->plan, &open[i])) {
            found_add(&w->found, at);
            w->found.hits[w->found.n - 1].fate.attempt = open[i].attempts;
        }
    }
    return true;
}

static void by_pending(struct query *q, const struct plan *plan)
{
    struct waiting w = {.q = q, .plan = plan};
    struct ledger *ledger = q->ledger;
    uint64_t n = ledger->last;

    for (; n > ledger->applied && n > 0; n--) {
        const struct block *b = ledger_block(ledger, n, NULL);
        if (b)
            settled_gather(&q->settled, b);
    }
    for (n = q->last; n > ledger->applied && n >= q->first && !query_is_enough(q); n--)
        events_of(q, n, /* facts_only= */ false);
    if (!query_is_enough(q))
        views_pending(ledger->views, n, take_open, &w);
    if (w.found.n && !query_is_enough(q))
        end_block(&w);
    free(w.found.hits);
}

/* --- which way --- */

void search(struct query *q)
{
    const struct ledger_filter *f = q->filter;
    struct plan plan;

    if (f->error_class >= 0 && f->status != STATUS_FAILED && !f->records)
        return; /* only what failed has a class */
    plan_init(&plan, q->ledger, f);
    if (f->key || f->cause)
        by_item(q);
    else if (f->records || f->status < 0)
        by_event(q, &plan);
    else if (f->status == STATUS_PENDING)
        by_pending(q, &plan);
    else
        by_ending(q, &plan);
    plan_fini(&plan);
}
