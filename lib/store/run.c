/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The run in the making.  A full block is a run of its own; of small ones, as an idle
 * system makes them, up to 64 share a row, else there would be a row for each event.  A
 * run whose row is on disk already is written over while it grows. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/store/derived.h"

enum {
    BLOCKS_MAX = 64,
    EVENTS_MAX = 1024, /* a run is closed when it holds so many */
    TALLIES_MAX = 256, /* or so many different ones; one block may hold more */
};
/* What is asked by time is asked by whole minutes. */
#define MINUTE_US (60ull * 1000000)

bool run_takes(const struct run *run, const struct block *block)
{
    const struct row *row = &run->row;

    return run->first && block->number == row->last + 1 && row->blocks < BLOCKS_MAX &&
           row->events + block->events <= EVENTS_MAX && row->n_tallies < TALLIES_MAX &&
           block->timestamp_us / MINUTE_US == row->timestamp_us / MINUTE_US;
}

void run_end(struct run *run)
{
    run->first = 0;
    run->is_stored = false;
    run->row = (struct row){0};
    if (run->n_slots)
        memset(run->slots, 0, run->n_slots * sizeof(*run->slots));
    buf_clear(&run->items);
}

void run_fini(struct run *run)
{
    free(run->tallies);
    free(run->costs);
    free(run->slots);
    buf_fini(&run->items);
    *run = (struct run){0};
}

void run_begin(struct run *run, const struct block *block)
{
    run_end(run);
    run->first = block->number;
    run->row.timestamp_us = block->timestamp_us;
}

void run_add(struct run *run, const struct block *block)
{
    run->row.last = block->number;
    run->row.until_us = block->timestamp_us;
    run->row.crc = block->crc;
    run->row.blocks++;
}

void run_want(struct run *run, enum views_item item, const void *name)
{
    uint64_t hash = filter_item(item, name);

    buf_add(&run->items, &hash, sizeof(hash));
}

/* --- tallies --- */

static bool is_same(const struct views_tally *a, const struct views_tally *b)
{
    return a->type == b->type && a->integration == b->integration &&
           a->service == b->service && a->what == b->what && a->status == b->status &&
           a->error_class == b->error_class;
}

/* Where it is, or where it would be. */
static uint32_t *slot_of(const struct run *run, const struct views_tally *tally)
{
    uint64_t names[3] = {tally->type, (uint64_t)tally->integration << 32 | tally->service,
                         (uint64_t)tally->what << 16 | tally->status << 8 |
                             tally->error_class};
    size_t at = (size_t)hash64(names, sizeof(names)) & (run->n_slots - 1);

    while (run->slots[at] && !is_same(&run->tallies[run->slots[at] - 1], tally))
        at = (at + 1) & (run->n_slots - 1);
    return &run->slots[at];
}

static void grow(struct run *run)
{
    run->cap_tallies = run->cap_tallies ? run->cap_tallies * 2 : 32;
    run->tallies = mem_resize(run->tallies, run->cap_tallies * sizeof(*run->tallies));
    free(run->slots);
    run->n_slots = run->cap_tallies * 2;
    run->slots = mem_array(run->n_slots, sizeof(*run->slots));
    for (uint32_t i = 0; i < run->row.n_tallies; i++)
        *slot_of(run, &run->tallies[i]) = i + 1;
}

void run_tally(struct run *run, const struct views_tally *tally, uint32_t count)
{
    if (run->row.n_tallies == run->cap_tallies)
        grow(run);
    uint32_t *slot = slot_of(run, tally);
    if (!*slot) {
        run->tallies[run->row.n_tallies] = *tally;
        run->tallies[run->row.n_tallies].count = 0;
        *slot = ++run->row.n_tallies;
    }
    run->tallies[*slot - 1].count += count;
}

void run_cost(struct run *run, const struct views_cost *cost)
{
    struct views_cost *c = run->costs;
    uint32_t n = run->row.n_costs;

    for (; n > 0; n--, c++)
        if (c->type == cost->type && c->integration == cost->integration &&
            c->kind == cost->kind && c->status == cost->status &&
            memcmp(c->currency, cost->currency, sizeof(c->currency)) == 0)
            break;
    if (n == 0) {
        if (run->row.n_costs == run->cap_costs) {
            run->cap_costs = run->cap_costs ? run->cap_costs * 2 : 16;
            run->costs = mem_resize(run->costs, run->cap_costs * sizeof(*run->costs));
        }
        c = &run->costs[run->row.n_costs++];
        *c = *cost;
        c->micros = 0;
        c->count = 0;
    }
    c->micros += cost->micros;
    c->count += cost->count;
}

/* --- to the disk --- */

static MDB_val row_value(struct views *views)
{
    struct run *run = &views->run;

    buf_clear(&views->value);
    buf_add(&views->value, &run->row, sizeof(run->row));
    buf_add(&views->value, run->tallies, run->row.n_tallies * sizeof(*run->tallies));
    buf_add(&views->value, run->costs, run->row.n_costs * sizeof(*run->costs));
    return (MDB_val){views->value.len, views->value.bytes};
}

static MDB_val filter_value(struct views *views)
{
    const struct buf *items = &views->run.items;
    size_t n = items->len / sizeof(uint64_t);
    uint32_t words = filter_words(n);

    buf_clear(&views->value);
    buf_add(&views->value, NULL, words * sizeof(uint64_t));
    for (size_t i = 0; i < n; i++)
        filter_add(views->value.bytes, words, ((uint64_t *)(void *)items->bytes)[i]);
    return (MDB_val){views->value.len, views->value.bytes};
}

int run_store(struct views *views)
{
    struct run *run = &views->run;
    MDB_val key = {sizeof(run->first), &run->first};
    unsigned how = run->is_stored ? 0 : MDB_APPEND;

    if (!run->first)
        return 0;
    MDB_val value = row_value(views);
    int rc = mdb_put(views->write, views->rows, &key, &value, how);
    if (rc)
        return rc;
    value = filter_value(views);
    rc = mdb_put(views->write, views->filters, &key, &value, how);
    run->is_stored = true;
    return rc;
}

unsigned run_pages(const struct run *run)
{
    size_t bytes = run->row.n_tallies * sizeof(*run->tallies) +
                   run->row.n_costs * sizeof(*run->costs) + run->items.len / 4;

    return 16 + (unsigned)(bytes / 4096);
}

uint64_t row_block(const MDB_val *key)
{
    uint64_t block = 0; /* LMDB aligns keys to two bytes only */

    memcpy(&block, key->mv_data,
           key->mv_size < sizeof(block) ? key->mv_size : sizeof(block));
    return block;
}
