/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One LMDB file with eight tables:
 *
 *   meta     "format" -> u32, "applied" -> struct applied, "more types"
 *   rows     u64 first block of a run -> struct row, its tallies, its costs
 *   filters  the same key -> the bits of its filter
 *   open     block and group -> struct views_open of what is not settled
 *   types    u64 hash -> the type's text
 *   groups   u32 hash -> a consumer group as the log last defined it
 *   keys     16-byte name of an idempotency key -> struct views_idempotency
 *   expiry   big-endian expires_us, then the 16-byte name -> nothing: the keys in the
 * order they end
 *
 * Meta pages are not synced on their own: the last transactions may be missing after a
 * power cut and are then applied again from the log.  No DUPSORT: it is the corner of
 * LMDB 0.9.24 with the bugs. */
#include "lib/store/views.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/kill.h"
#include "lib/base/mem.h"
#include "lib/store/derived.h"
#include "lib/store/store.h"

enum {
    VIEWS_FORMAT = 3,
    TABLES = 8,
    BATCH_PAGES =
        16384, /* a write transaction is flushed when it may have changed so many pages */
    BATCH_BLOCKS = 1024,
    MAP_SIZE_FIRST =
        256 << 20,   /* the map's first size; it doubles when it could become full */
    TRIM_MAX = 2048, /* rows at a time, whatever is asked for */
};

int views_fail(struct views *views, const char *what, int rc)
{
    snprintf(views->error, sizeof(views->error), "%s: %s: %s", views->path, what,
             mdb_strerror(rc));
    return VIEWS_FAILED;
}

const char *views_error(const struct views *views)
{
    return views->error;
}

/* --- opening --- */

/* LMDB maps the file: a page it believes in and that is not there would be a SIGBUS. */
static bool is_whole(const struct views *views)
{
    MDB_envinfo info;
    MDB_stat stat;
    struct stat file;

    if (mdb_env_info(views->env, &info) || mdb_env_stat(views->env, &stat) ||
        lstat(views->path, &file))
        return false;
    return (uint64_t)file.st_size >= ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

static int open_tables(struct views *views, MDB_txn *txn)
{
    unsigned make = views->read_only ? 0 : MDB_CREATE;
    int rc = mdb_dbi_open(txn, "meta", make, &views->meta);

    if (!rc)
        rc = mdb_dbi_open(txn, "rows", make | MDB_INTEGERKEY, &views->rows);
    if (!rc)
        rc = mdb_dbi_open(txn, "filters", make | MDB_INTEGERKEY, &views->filters);
    if (!rc)
        rc = mdb_dbi_open(txn, "open", make, &views->open);
    if (!rc)
        rc = mdb_dbi_open(txn, "types", make | MDB_INTEGERKEY, &views->types);
    if (!rc)
        rc = mdb_dbi_open(txn, "groups", make, &views->groups);
    if (!rc)
        rc = mdb_dbi_open(txn, "keys", make, &views->keys);
    if (!rc)
        rc = mdb_dbi_open(txn, "expiry", make, &views->expiry);
    return rc;
}

static MDB_val text_val(const char *text)
{
    return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

static bool read_applied(const struct views *views, MDB_txn *txn, struct applied *ret)
{
    MDB_val key = text_val("applied"), value;

    *ret = (struct applied){0};
    if (mdb_get(txn, views->meta, &key, &value) || value.mv_size != sizeof(*ret))
        return false;
    memcpy(ret, value.mv_data, sizeof(*ret));
    return true;
}

/* 0 the format fits; 1 another version or not ours; LMDB's code. */
static int check_format(struct views *views, MDB_txn *txn)
{
    uint32_t format = VIEWS_FORMAT;
    MDB_val key = text_val("format"), value;
    int rc = mdb_get(txn, views->meta, &key, &value);

    if (rc == MDB_NOTFOUND && !views->read_only) {
        value = (MDB_val){sizeof(format), &format};
        return mdb_put(txn, views->meta, &key, &value, 0);
    }
    if (rc)
        return rc;
    return value.mv_size == sizeof(format) &&
                   memcmp(value.mv_data, &format, sizeof(format)) == 0
               ? 0
               : 1;
}

static int open_env(struct views *views)
{
    unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD |
                     (views->read_only ? MDB_RDONLY : MDB_NOMETASYNC);
    int rc = mdb_env_create(&views->env), dead;

    if (!rc)
        rc = mdb_env_set_maxdbs(views->env, TABLES);
    if (!rc)
        rc = mdb_env_set_maxreaders(views->env, 512);
    if (!rc && !views->read_only)
        rc = mdb_env_set_mapsize(views->env, MAP_SIZE_FIRST);
    if (!rc)
        rc = mdb_env_open(views->env, views->path, flags, 0600);
    if (!rc)
        rc = mdb_reader_check(views->env, &dead);
    return rc;
}

static const char *try_open(struct views *views)
{
    MDB_txn *txn = NULL;
    int rc = open_env(views);

    if (rc)
        return mdb_strerror(rc);
    if (!is_whole(views))
        return "the file is shorter than it says";
    rc = mdb_txn_begin(views->env, NULL, views->read_only ? MDB_RDONLY : 0, &txn);
    if (rc)
        return mdb_strerror(rc);
    rc = open_tables(views, txn);
    if (!rc)
        rc = check_format(views, txn);
    if (!rc)
        read_applied(views, txn, &views->applied);
    if (!rc && !views->read_only)
        types_load(views, txn);
    views->flushed = views->applied;
    if (rc)
        mdb_txn_abort(txn);
    else
        rc = mdb_txn_commit(txn); /* keeps the table handles */
    return rc == 1 ? "the file is of another version" : rc ? mdb_strerror(rc) : NULL;
}

static void shut(struct views *views)
{
    if (views->write)
        mdb_txn_abort(views->write);
    if (views->read)
        mdb_txn_abort(views->read);
    if (views->env)
        mdb_env_close(views->env);
    views->write = views->read = NULL;
    views->env = NULL;
}

static void remove_files(const struct views *views)
{
    _free_ char *lock = mem_format("%s-lock", views->path);

    (void)unlink(views->path); /* opening says so if it did not work */
    (void)unlink(lock);
}

struct views *views_open(const char *dir, bool read_only, char *error, size_t error_size)
{
    struct views *views = mem_alloc(sizeof(*views));
    const char *why;

    views->path = mem_format("%s/views.mdb", dir);
    views->read_only = read_only;
    if (read_only && access(views->path, R_OK) != 0) {
        why = strerror(errno);
    } else {
        why = try_open(views);
        if (why && !read_only) {
            shut(views);
            remove_files(views);
            why = try_open(views);
        }
    }
    if (!why)
        return views;
    snprintf(error, error_size, "%s: %s", views->path, why);
    views_close(views);
    return NULL;
}

void views_close(struct views *views)
{
    if (!views)
        return;
    shut(views);
    run_fini(&views->run);
    open_fini(views);
    types_fini(views);
    buf_fini(&views->value);
    free(views->path);
    free(views);
}

/* --- transactions --- */

MDB_txn *views_begin_read(struct views *views)
{
    if (views->write)
        return views->write;
    for (int i = 0; i < 2; i++) {
        int rc = views->read ? mdb_txn_renew(views->read)
                             : mdb_txn_begin(views->env, NULL, MDB_RDONLY, &views->read);
        if (rc == 0)
            return views->read;
        views_fail(views, "read", rc);
        if (rc != MDB_MAP_RESIZED || mdb_env_set_mapsize(views->env, 0))
            return NULL;
    }
    return NULL;
}

void views_end_read(struct views *views, MDB_txn *txn)
{
    if (txn && txn == views->read)
        mdb_txn_reset(txn);
}

/* What was gathered goes into the transaction. LMDB's code. */
static int store_batch(struct views *views)
{
    struct applied *a = &views->applied;
    MDB_val key = text_val("applied"), value = {sizeof(*a), a};
    int rc = run_store(views);

    if (!rc)
        rc = open_store(views);
    if (!rc)
        rc = types_store(views);
    return rc ? rc : mdb_put(views->write, views->meta, &key, &value, 0);
}

int views_flush(struct views *views)
{
    if (!views->write)
        return VIEWS_OK;
    int rc = store_batch(views);
    if (rc)
        return views_drop_batch(views, "store", rc);
    KILL_POINT(logger_stored_views);
    rc = mdb_txn_commit(views->write);
    views->write = NULL;
    if (rc)
        return views_drop_batch(views, "commit", rc);
    views->batch_pages = views->batch_blocks = 0;
    views->flushed = views->applied;
    return VIEWS_OK;
}

/* Room in the map for `pages` more changed pages, counted from the last commit: double it
 * until there is. */
static int make_room(struct views *views, unsigned pages)
{
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_info(views->env, &info);

    if (!rc)
        rc = mdb_env_stat(views->env, &stat);
    if (rc)
        return views_fail(views, "info", rc);
    size_t size = info.me_mapsize;
    while (size / stat.ms_psize < info.me_last_pgno + 1 + pages)
        size *= 2;
    if (size != info.me_mapsize && (rc = mdb_env_set_mapsize(views->env, size)) != 0)
        return views_fail(views, "growing the map", rc);
    return VIEWS_OK;
}

int views_begin_write(struct views *views, unsigned pages)
{
    if (views->write && views->batch_pages + pages > BATCH_PAGES && views_flush(views))
        return VIEWS_FAILED;
    if (!views->write) {
        if (make_room(views, pages > BATCH_PAGES ? pages : BATCH_PAGES))
            return VIEWS_FAILED;
        int rc = mdb_txn_begin(views->env, NULL, 0, &views->write);
        if (rc)
            return views_fail(views, "begin", rc);
    }
    views->batch_pages += pages;
    return VIEWS_OK;
}

int views_drop_batch(struct views *views, const char *what, int rc)
{
    if (views->write)
        mdb_txn_abort(views->write);
    views->write = NULL;
    views->batch_pages = views->batch_blocks = 0;
    views->applied = views->flushed;
    run_end(&views->run);
    open_fini(views);
    MDB_txn *txn = views_begin_read(views);
    if (txn)
        types_load(views, txn);
    views_end_read(views, txn);
    return views_fail(views, what, rc);
}

/* --- applying --- */

static bool follows(struct views *views, const struct block *block)
{
    if (!views->applied.block || (block->number == views->applied.block + 1 &&
                                  block->prev_crc == views->applied.crc))
        return true;
    snprintf(views->error, sizeof(views->error),
             "%s: block %" PRIu64 " does not follow block %" PRIu64, views->path,
             block->number, views->applied.block);
    return false;
}

/* A run that takes no more goes to its place before the next begins. LMDB's code. */
static int join_run(struct views *views, const struct block *block)
{
    int rc = 0;

    if (!run_takes(&views->run, block)) {
        rc = run_store(views);
        run_begin(&views->run, block);
    }
    run_add(&views->run, block);
    return rc;
}

/* How many pages a block may change at the most: some in each tree, its filter and its
 * row, its keys, and what is open. */
static unsigned pages_of(struct views *views, const struct block *block)
{
    return 64 + run_pages(&views->run) + block->count * 64 / 4096 + keys_pages(block) +
           open_load(views, block);
}

int views_apply(struct views *views, const struct block *block)
{
    if (views->applied.block && block->number <= views->applied.block)
        return VIEWS_OK;
    if (!follows(views, block))
        return VIEWS_GAP;
    if (views_begin_write(views, pages_of(views, block)))
        return VIEWS_FAILED;
    if (!views->applied.block)
        views->applied.base = block->number;
    int rc = join_run(views, block);
    derive_block(views, block);
    if (!rc)
        rc = keys_store(views, block);
    if (rc)
        return views_drop_batch(views, "apply", rc);
    views->applied.block = block->number;
    views->applied.crc = block->crc;
    return ++views->batch_blocks >= BATCH_BLOCKS ? views_flush(views) : VIEWS_OK;
}

int views_clear(struct views *views)
{
    const MDB_dbi tables[] = {views->rows,   views->filters, views->open,  views->types,
                              views->groups, views->keys,    views->expiry};
    MDB_val more = text_val("more types");
    int rc = 0;

    if (views_begin_write(views, 64))
        return VIEWS_FAILED;
    for (size_t i = 0; !rc && i < sizeof(tables) / sizeof(*tables); i++)
        rc = mdb_drop(views->write, tables[i], 0);
    if (!rc && (rc = mdb_del(views->write, views->meta, &more, NULL)) == MDB_NOTFOUND)
        rc = 0;
    if (rc)
        return views_drop_batch(views, "clear", rc);
    run_end(&views->run);
    open_fini(views);
    types_load(views, views->write);
    views->applied = (struct applied){0};
    return views_flush(views);
}

struct rebuilding {
    struct views *views;
    uint64_t last;
    int result;
};

static bool rebuild_block(void *user, uint64_t number, const struct block *block,
                          const char *why)
{
    struct rebuilding *r = user;

    (void)why; /* `log verify` names what is damaged */
    r->result = block ? views_apply(r->views, block) : VIEWS_OK;
    if (!block || r->result != VIEWS_OK)
        return false;
    r->last = number;
    return true;
}

int views_rebuild(struct views *views, struct store *store, uint64_t *ret_last)
{
    struct rebuilding r = {.views = views};
    uint64_t first, last;

    if (views_clear(views))
        return VIEWS_FAILED;
    store_range(store, &first, &last);
    store_scan(store, first, /* verify= */ true, rebuild_block, &r);
    *ret_last = r.last;
    return r.result ? r.result : views_flush(views);
}

uint64_t views_applied(struct views *views)
{
    struct applied applied = views->flushed;

    if (views->read_only) {
        MDB_txn *txn = views_begin_read(views);
        if (txn)
            read_applied(views, txn, &applied);
        views_end_read(views, txn);
    }
    return applied.block;
}

/* --- trimming --- */

/* Does the run end before the block? */
static bool is_below(const MDB_val *value, uint64_t keep_from)
{
    struct row row;

    if (value->mv_size < sizeof(row))
        return true;
    memcpy(&row, value->mv_data, sizeof(row));
    return row.last < keep_from;
}

static int trim_rows(struct views *views, uint64_t keep_from, unsigned max)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc = mdb_cursor_open(views->write, views->rows, &cursor);

    if (rc)
        return rc;
    for (unsigned done = 0; !rc && done < max; done++) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (rc || !is_below(&value, keep_from))
            break;
        uint64_t first = row_block(&key);
        MDB_val same = {sizeof(first), &first};
        rc = mdb_cursor_del(cursor, 0);
        if (!rc)
            rc = mdb_del(views->write, views->filters, &same, NULL);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int views_trim(struct views *views, uint64_t keep_from, unsigned max)
{
    if (max > TRIM_MAX)
        max = TRIM_MAX;
    if (views_begin_write(views, 32 + max * 5))
        return VIEWS_FAILED;
    int rc = trim_rows(views, keep_from, max);
    if (!rc)
        rc = open_trim(views, keep_from, max);
    return rc ? views_drop_batch(views, "trim", rc) : VIEWS_OK;
}
