/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* derived - what the files of the views share: the environment, the run in the making,
 * and what is open
 *
 * Everything that a block changes is gathered in memory and written when the batch is
 * flushed, in one transaction with the number of the last block: either all of it is
 * there or nothing. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lmdb.h>

#include "lib/base/buf.h"
#include "lib/store/views.h"

struct open_entry;
struct type_entry;

struct applied {
    uint64_t block, base; /* base: the first block that was applied */
    uint32_t crc;
    uint32_t reserved;
};

/* A row on disk: this, the tallies, the costs. Its filter is in a table of its own, so
 * that rows are read without it. */
struct row {
    uint64_t last, timestamp_us, until_us;
    uint32_t crc, events, requests, facts, succeeded, failed;
    uint32_t is_config, blocks, n_tallies, n_costs;
};

/* The run that the next block may still join. */
struct run {
    uint64_t first; /* 0: there is none */
    bool is_stored; /* an earlier state of it is on disk */
    struct row row;
    struct views_tally *tallies; /* in the order they came */
    struct views_cost *costs;
    size_t cap_tallies, cap_costs;
    uint32_t *slots; /* of the tallies by hash: index + 1, 0 = free */
    size_t n_slots;
    struct buf items; /* u64 hashes of what the filter is to hold */
};

/* A consumer group as the log last defined it. */
struct views_group {
    uint32_t hash;
    bool is_removed, is_new;
    char *json; /* as the log has it */
    char **types;
    size_t n_types;
};

struct views {
    MDB_env *env;
    MDB_txn *write, *read; /* write: the open batch; read: reset between uses */
    MDB_dbi meta, rows, filters, keys, expiry, types, open, groups;
    char *path;
    struct applied applied, flushed;
    unsigned batch_pages, batch_blocks;
    bool read_only;
    struct buf value; /* a row being written, or one being read */
    struct run run;
    /* open.c */
    struct open_entry **entries;
    size_t n_entries, cap_entries, n_items;
    /* types.c */
    struct type_entry *known; /* one more than cap_known: those beyond the bound */
    size_t n_known, cap_known;
    bool has_more_types;
    struct views_group *list;
    size_t n_groups;
    uint32_t groups_version;
    char error[256];
};

/* --- views.c --- */

int views_fail(struct views *views, const char *what, int rc);
/* A transaction to read in: the open batch, or the reader's own, to be given back. NULL
 * after views_fail. */
MDB_txn *views_begin_read(struct views *views);
void views_end_read(struct views *views, MDB_txn *txn);

/* A step of the batch failed: nothing of the batch is kept, so that what is derived and
 * `applied` agree. Returns VIEWS_FAILED. */
int views_drop_batch(struct views *views, const char *what, int rc);
/* Have a write transaction open in which `pages` pages more may change. */
int views_begin_write(struct views *views, unsigned pages);

/* --- derive.c --- */

/* What a block's records say goes to the run, to what is open and to the types. */
void derive_block(struct views *views, const struct block *block);

/* --- keys.c --- */

/* Write the idempotency keys of a block. LMDB's code. */
int keys_store(struct views *views, const struct block *block);
unsigned keys_pages(const struct block *block);

/* --- filter.c --- */

uint64_t filter_item(enum views_item item, const void *name);
uint32_t filter_words(size_t items);
bool filter_holds(const uint8_t *filter, uint32_t words, uint64_t hash);
void filter_add(uint8_t *filter, uint32_t words, uint64_t hash);

/* --- run.c --- */

/* May the block join the run? */
bool run_takes(const struct run *run, const struct block *block);
void run_begin(struct run *run, const struct block *block);
void run_add(struct run *run, const struct block *block);
void run_want(struct run *run, enum views_item item, const void *name);
void run_tally(struct run *run, const struct views_tally *tally, uint32_t count);
void run_cost(struct run *run, const struct views_cost *cost);
/* Write row and filter. LMDB's code. */
int run_store(struct views *views);
void run_end(struct run *run);
void run_fini(struct run *run);
/* How many pages storing it may change. */
unsigned run_pages(const struct run *run);
/* The number in a key of rows and filters. */
uint64_t row_block(const MDB_val *key);

/* --- open.c --- */

/* Have in memory what the block's outcomes and acknowledgements are about. Returns how
 * many pages that may change. */
unsigned open_load(struct views *views, const struct block *block);
void open_add(struct views *views, uint64_t block, uint32_t group,
              const struct views_open *open);
/* Take one out; false when it is not open. */
bool open_take(struct views *views, uint64_t block, uint32_t group, uint32_t index,
               struct views_open *ret);
/* An attempt of one that is open ended without an outcome. */
void open_attempt(struct views *views, uint64_t block, uint32_t group, uint32_t index,
                  uint32_t attempts);
/* The first one at or behind `index`, UINT32_MAX when there is none. */
uint32_t open_next(struct views *views, uint64_t block, uint32_t group, uint32_t index);
/* Write what changed. LMDB's code. */
int open_store(struct views *views);
/* Forget what is in memory. */
void open_fini(struct views *views);
/* Remove what is open below a block, in the open transaction. LMDB's code. */
int open_trim(struct views *views, uint64_t keep_from, unsigned max);

/* --- types.c --- */

/* Read types and groups as they are on disk. */
void types_load(struct views *views, MDB_txn *txn);
void types_fini(struct views *views);
/* Know the record's type; the groups that take it. */
const uint32_t *types_note(struct views *views, const struct record *r, size_t *ret_n);
/* A definition of a group. */
void types_group(struct views *views, const struct record *r);
/* Write what is new. LMDB's code. */
int types_store(struct views *views);
