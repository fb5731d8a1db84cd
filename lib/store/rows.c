/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Reading rows and filters: in transactions that end after so many, so that a long scan
 * keeps no old pages alive. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/store/derived.h"

enum { ROWS_PER_TXN = 4096 };

/* Called for each value; false stops. */
typedef bool (*value_fn)(void *user, uint64_t first, const MDB_val *value);

/* Put the cursor on the run of block `from`: the last one that begins at or before it.
 * Upwards, when there is none, on the first there is. */
static int seek(MDB_cursor *cursor, uint64_t from, bool backwards, MDB_val *key,
                MDB_val *value)
{
    *key = (MDB_val){sizeof(from), &from};
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);

    if (rc == MDB_NOTFOUND)
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    if (rc || row_block(key) == from)
        return rc;
    rc = mdb_cursor_get(cursor, key, value, MDB_PREV);
    return rc == MDB_NOTFOUND && !backwards
               ? mdb_cursor_get(cursor, key, value, MDB_FIRST)
               : rc;
}

/* One transaction's worth. 1 and *from moved: there may be more; 0 done; VIEWS_FAILED. */
static int walk_piece(struct views *views, MDB_dbi dbi, uint64_t *from, bool backwards,
                      value_fn fn, void *user)
{
    MDB_txn *txn = views_begin_read(views);
    MDB_cursor *cursor;
    MDB_val key, value;

    if (!txn)
        return VIEWS_FAILED;
    int rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc) {
        views_end_read(views, txn);
        return views_fail(views, "scan", rc);
    }
    rc = seek(cursor, *from, backwards, &key, &value);
    int more = 1;
    for (int n = 0; !rc && more && n < ROWS_PER_TXN; n++) {
        more = fn(user, row_block(&key), &value);
        if (more)
            rc = mdb_cursor_get(cursor, &key, &value, backwards ? MDB_PREV : MDB_NEXT);
    }
    if (!rc && more)
        *from = row_block(&key);
    mdb_cursor_close(cursor);
    views_end_read(views, txn);
    if (rc == MDB_NOTFOUND)
        return 0;
    return rc ? views_fail(views, "scan", rc) : more;
}

static int walk(struct views *views, MDB_dbi dbi, uint64_t from, bool backwards,
                value_fn fn, void *user)
{
    int more;

    do
        more = walk_piece(views, dbi, &from, backwards, fn, user);
    while (more > 0);
    return more;
}

/* --- rows --- */

struct told {
    struct views *views;
    views_fn fn;
    void *user;
    uint64_t from;
};

/* Copied out: LMDB aligns to two bytes. False when it is none of ours. */
static bool read_row(struct views *views, uint64_t first, const MDB_val *value,
                     struct views_row *ret)
{
    struct row row;

    if (value->mv_size < sizeof(row))
        return false;
    memcpy(&row, value->mv_data, sizeof(row));
    size_t tallies = row.n_tallies * sizeof(struct views_tally),
           costs = row.n_costs * sizeof(struct views_cost);
    if (value->mv_size != sizeof(row) + tallies + costs)
        return false;
    buf_clear(&views->value);
    buf_add(&views->value, (const uint8_t *)value->mv_data + sizeof(row),
            tallies + costs);
    *ret = (struct views_row){
        .first = first,
        .last = row.last,
        .timestamp_us = row.timestamp_us,
        .until_us = row.until_us,
        .crc = row.crc,
        .events = row.events,
        .requests = row.requests,
        .facts = row.facts,
        .succeeded = row.succeeded,
        .failed = row.failed,
        .is_config = row.is_config,
        .n_tallies = row.n_tallies,
        .n_costs = row.n_costs,
        .tallies = (const void *)views->value.bytes,
        .costs = (const void *)(views->value.bytes + tallies),
    };
    return true;
}

static bool tell_row(void *user, uint64_t first, const MDB_val *value)
{
    struct told *told = user;
    struct views_row row;

    if (!read_row(told->views, first, value, &row))
        return false;
    return row.last < told->from || told->fn(told->user, &row);
}

int views_scan(struct views *views, uint64_t from, bool backwards, views_fn fn,
               void *user)
{
    struct told told = {views, fn, user, backwards ? 0 : from};

    return walk(views, views->rows, from, backwards, tell_row, &told);
}

/* --- filters --- */

struct wanted {
    uint64_t hash, found;
    bool is_last_only; /* look at one filter only */
    bool may;
};

static bool is_wanted(void *user, uint64_t first, const MDB_val *value)
{
    struct wanted *wanted = user;

    wanted->may = filter_holds(
        value->mv_data, (uint32_t)(value->mv_size / sizeof(uint64_t)), wanted->hash);
    if (!wanted->may)
        return !wanted->is_last_only;
    wanted->found = first;
    return false;
}

static bool take_end(void *user, const struct views_row *row)
{
    *(uint64_t *)user = row->last;
    return false;
}

/* The last block of the run that begins with `first`. */
static uint64_t run_last(struct views *views, uint64_t first)
{
    uint64_t last = 0;

    return views_scan(views, first, true, take_end, &last) == 0 && last ? last : first;
}

bool views_may_hold(struct views *views, uint64_t block, enum views_item item,
                    const void *name)
{
    struct wanted wanted = {
        .hash = filter_item(item, name), .is_last_only = true, .may = true};
    uint64_t last = 0;

    if (views_scan(views, block, true, take_end, &last) || last < block)
        return true;
    walk(views, views->filters, block, true, is_wanted, &wanted);
    return wanted.may;
}

static bool take_first(void *user, const struct views_row *row)
{
    *(uint64_t *)user = row->first;
    return false;
}

uint64_t views_find(struct views *views, uint64_t from, bool backwards,
                    enum views_item item, const void *name)
{
    struct wanted wanted = {.hash = filter_item(item, name)};
    uint64_t start = from;

    if (!backwards) {
        start = 0; /* the run of `from`, or the first one behind it */
        if (views_scan(views, from, false, take_first, &start) || !start)
            return 0;
    }
    if (walk(views, views->filters, start, backwards, is_wanted, &wanted) ||
        !wanted.found)
        return 0;
    if (!backwards)
        return wanted.found > from ? wanted.found : from;
    uint64_t last = run_last(views, wanted.found);
    return last < from ? last : from;
}
