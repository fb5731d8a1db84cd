/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One LMDB file with four tables:
 *
 *   meta    "format" -> u32, "applied" -> struct applied
 *   rows    u64 block -> struct row, then the filter's bits
 *   keys    16-byte name of an idempotency key -> struct views_idempotency
 *   expiry  big-endian expires_us, then the 16-byte name -> nothing: the keys in the
 * order they end
 *
 * A filter is a Bloom filter sized by what the block holds (16 bits an item, 8 probes),
 * so that a row costs about two bytes for each id or key, whatever the size of the block.
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

#include <lmdb.h>

#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "proto/control.h"

enum {
    VIEWS_FORMAT = 1,
    FILTER_BITS_PER_ITEM = 16,
    FILTER_PROBES = 8,
    ROWS_PER_TXN = 4096, /* a scan's read transaction ends after so many rows */
    BATCH_PAGES =
        16384, /* a write transaction is flushed when it may have changed so many pages */
    BATCH_BLOCKS = 1024,
    MAP_SIZE_FIRST =
        256 << 20, /* the map's first size; it doubles when it could become full */
};

struct applied {
    uint64_t block;
    uint32_t crc;
    uint32_t reserved;
};

struct row {
    uint64_t timestamp_us;
    uint32_t crc, events, requests, facts, succeeded, failed;
    uint32_t is_config;
    uint32_t filter_words; /* 64-bit words behind this struct */
};

struct views {
    MDB_env *env;
    MDB_txn *write, *read; /* write: the open batch; read: reset between uses */
    MDB_dbi meta, rows, keys, expiry;
    char *path;
    struct applied applied, flushed;
    unsigned batch_pages, batch_blocks;
    bool read_only;
    struct buf items; /* u64 hashes of what the filter of a block is to hold */
    struct buf value; /* a row in the making */
    char error[256];
};

static int fail(struct views *views, const char *what, int rc)
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
        rc = mdb_env_set_maxdbs(views->env, 4);
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
    buf_fini(&views->items);
    buf_fini(&views->value);
    free(views->path);
    free(views);
}

/* --- transactions --- */

/* A transaction to read in: the open batch, or the reader's own, to be given back with
 * end_read. */
static MDB_txn *begin_read(struct views *views)
{
    if (views->write)
        return views->write;
    for (int i = 0; i < 2; i++) {
        int rc = views->read ? mdb_txn_renew(views->read)
                             : mdb_txn_begin(views->env, NULL, MDB_RDONLY, &views->read);
        if (rc == 0)
            return views->read;
        fail(views, "read", rc);
        if (rc != MDB_MAP_RESIZED || mdb_env_set_mapsize(views->env, 0))
            return NULL;
    }
    return NULL;
}

static void end_read(struct views *views, MDB_txn *txn)
{
    if (txn && txn == views->read)
        mdb_txn_reset(txn);
}

int views_flush(struct views *views)
{
    struct applied *a = &views->applied;
    MDB_val key = text_val("applied"), value = {sizeof(*a), a};

    if (!views->write)
        return VIEWS_OK;
    int rc = mdb_put(views->write, views->meta, &key, &value, 0);
    if (rc)
        mdb_txn_abort(views->write);
    else
        rc = mdb_txn_commit(views->write);
    views->write = NULL;
    views->batch_pages = views->batch_blocks = 0;
    if (rc) {
        views->applied = views->flushed;
        return fail(views, "commit", rc);
    }
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
        return fail(views, "info", rc);
    size_t size = info.me_mapsize;
    while (size / stat.ms_psize < info.me_last_pgno + 1 + pages)
        size *= 2;
    if (size != info.me_mapsize && (rc = mdb_env_set_mapsize(views->env, size)) != 0)
        return fail(views, "growing the map", rc);
    return VIEWS_OK;
}

/* Have a write transaction open in which `pages` pages more may change. */
static int begin_write(struct views *views, unsigned pages)
{
    if (views->write && views->batch_pages + pages > BATCH_PAGES && views_flush(views))
        return VIEWS_FAILED;
    if (!views->write) {
        if (make_room(views, pages > BATCH_PAGES ? pages : BATCH_PAGES))
            return VIEWS_FAILED;
        int rc = mdb_txn_begin(views->env, NULL, 0, &views->write);
        if (rc)
            return fail(views, "begin", rc);
    }
    views->batch_pages += pages;
    return VIEWS_OK;
}

/* A step of the batch failed: nothing of the batch is kept, so that rows and `applied`
 * agree. */
static int drop_batch(struct views *views, const char *what, int rc)
{
    if (views->write)
        mdb_txn_abort(views->write);
    views->write = NULL;
    views->batch_pages = views->batch_blocks = 0;
    views->applied = views->flushed;
    return fail(views, what, rc);
}

/* --- the filter --- */

static uint64_t item_hash(enum views_item item, const void *name)
{
    uint8_t bytes[17] = {(uint8_t)item};
    size_t n = item == VIEWS_ID ? 16 : 8;

    memcpy(bytes + 1, name, n);
    return hash64(bytes, n + 1);
}

static bool filter_holds(const uint8_t *filter, uint32_t words, uint64_t hash)
{
    uint64_t bits = (uint64_t)words * 64, step = (hash >> 32) | 1;

    for (int i = 0; words && i < FILTER_PROBES; i++) {
        uint64_t bit = (hash + (uint64_t)i * step) % bits;
        if (!(filter[bit / 8] >> (bit % 8) & 1))
            return false;
    }
    return words > 0;
}

static void filter_add(uint8_t *filter, uint32_t words, uint64_t hash)
{
    uint64_t bits = (uint64_t)words * 64, step = (hash >> 32) | 1;

    for (int i = 0; i < FILTER_PROBES; i++) {
        uint64_t bit = (hash + (uint64_t)i * step) % bits;
        filter[bit / 8] |= (uint8_t)(1 << bit % 8);
    }
}

/* --- applying a block --- */

static bool is_zero(const uint8_t id[16])
{
    static const uint8_t zero[16];

    return memcmp(id, zero, 16) == 0;
}

static void want(struct views *views, enum views_item item, const void *name)
{
    uint64_t hash = item_hash(item, name);

    buf_add(&views->items, &hash, sizeof(hash));
}

static void want_event(struct views *views, const struct record *r)
{
    want(views, VIEWS_ID, r->id);
    if (!is_zero(r->cause))
        want(views, VIEWS_ID, r->cause);
    if (r->key_hash)
        want(views, VIEWS_KEY, &r->key_hash);
}

static void count_event(struct row *row, const struct record *r)
{
    row->events++;
    row->requests += r->kind == RECORD_REQUEST;
    row->facts += r->kind == RECORD_FACT;
    row->succeeded += r->status == STATUS_SUCCESS;
    row->failed += r->status == STATUS_FAILED;
}

static void read_control(struct views *views, struct row *row, const struct record *r)
{
    struct control_ack ack;
    struct control_retry retry;

    if (r->kind == RECORD_ACK && r->data_len >= sizeof(ack)) {
        memcpy(&ack, record_data(r), sizeof(ack));
        want(views, VIEWS_OF, &ack.block);
        row->failed += ack.result == STATUS_FAILED;
        row->succeeded += ack.result == STATUS_SUCCESS;
    } else if (r->kind == RECORD_RETRY && r->data_len >= sizeof(retry)) {
        memcpy(&retry, record_data(r), sizeof(retry));
        want(views, VIEWS_OF, &retry.block);
    } else if (r->kind == RECORD_INTEGRATION || r->kind == RECORD_MANIFEST ||
               r->kind == RECORD_NOTE) {
        row->is_config = 1;
    }
}

static int put_row(struct views *views, const struct block *block)
{
    struct row row = {.timestamp_us = block->timestamp_us, .crc = block->crc};
    MDB_val key = {sizeof(block->number), (void *)(uintptr_t)&block->number};

    buf_clear(&views->items);
    for (const struct record *r = block->count ? block_first(block) : NULL; r;
         r = block_next(block, r)) {
        if (record_is_event(r)) {
            want_event(views, r);
            count_event(&row, r);
        } else {
            read_control(views, &row, r);
        }
    }
    size_t n = views->items.len / sizeof(uint64_t);
    row.filter_words = (uint32_t)((n * FILTER_BITS_PER_ITEM + 63) / 64);
    buf_clear(&views->value);
    buf_add(&views->value, &row, sizeof(row));
    buf_add(&views->value, NULL, row.filter_words * sizeof(uint64_t));
    for (size_t i = 0; i < n; i++)
        filter_add(views->value.bytes + sizeof(row), row.filter_words,
                   ((uint64_t *)(void *)views->items.bytes)[i]);
    MDB_val value = {views->value.len, views->value.bytes};
    return mdb_put(views->write, views->rows, &key, &value, MDB_APPEND);
}

static void expiry_key(uint64_t expires_us, const uint8_t name[16], uint8_t ret_key[24])
{
    for (int i = 0; i < 8; i++)
        ret_key[i] = (uint8_t)(expires_us >> (56 - 8 * i));
    memcpy(ret_key + 8, name, 16);
}

/* The first live one wins, as it did in the broker. */
static int put_key(struct views *views, const struct record *named,
                   const struct views_idempotency *entry, uint64_t now_us)
{
    uint8_t ends[24];
    MDB_val key = {16, (void *)(uintptr_t)named->id}, end = {sizeof(ends), ends}, value,
            nothing = {0};
    struct views_idempotency old;
    int rc = mdb_get(views->write, views->keys, &key, &value);

    if (rc == 0 && value.mv_size == sizeof(old)) {
        memcpy(&old, value.mv_data, sizeof(old));
        if (old.expires_us > now_us)
            return 0;
        expiry_key(old.expires_us, named->id, ends);
        rc = mdb_del(views->write, views->expiry, &end, NULL);
    }
    if (rc && rc != MDB_NOTFOUND)
        return rc;
    value = (MDB_val){sizeof(*entry), (void *)(uintptr_t)entry};
    rc = mdb_put(views->write, views->keys, &key, &value, 0);
    expiry_key(entry->expires_us, named->id, ends);
    return rc ? rc : mdb_put(views->write, views->expiry, &end, &nothing, 0);
}

static int put_keys(struct views *views, const struct block *block)
{
    const struct record *named = NULL;
    uint32_t index = 0;
    int rc = 0;

    for (const struct record *r = block->count ? block_first(block) : NULL; r && !rc;
         r = block_next(block, r), index++) {
        if (r->kind == RECORD_IDEMPOTENCY &&
            r->data_len >= sizeof(struct control_idempotency)) {
            named = r;
        } else if (named && record_is_event(r)) {
            struct control_idempotency c;
            memcpy(&c, record_data(named), sizeof(c));
            struct views_idempotency entry = {.body_hash = c.body_hash,
                                              .expires_us = c.expires_us,
                                              .block = block->number,
                                              .index = index};
            memcpy(entry.id, r->id, 16);
            rc = put_key(views, named, &entry, block->timestamp_us);
            named = NULL;
        }
    }
    return rc;
}

/* How many pages a block may change at the most: some in each tree, its filter, four for
 * each key. */
static unsigned pages_of(const struct block *block)
{
    unsigned keys = 0;

    for (const struct record *r = block->count ? block_first(block) : NULL; r;
         r = block_next(block, r))
        keys += r->kind == RECORD_IDEMPOTENCY;
    return 32 + block->count * 3 * FILTER_BITS_PER_ITEM / 8 / 4096 + keys * 6;
}

int views_apply(struct views *views, const struct block *block)
{
    if (views->applied.block && block->number <= views->applied.block)
        return VIEWS_OK;
    if (views->applied.block && (block->number != views->applied.block + 1 ||
                                 block->prev_crc != views->applied.crc)) {
        snprintf(views->error, sizeof(views->error),
                 "%s: block %" PRIu64 " does not follow block %" PRIu64, views->path,
                 block->number, views->applied.block);
        return VIEWS_GAP;
    }
    if (begin_write(views, pages_of(block)))
        return VIEWS_FAILED;
    int rc = put_row(views, block);
    if (!rc)
        rc = put_keys(views, block);
    if (rc)
        return drop_batch(views, "apply", rc);
    views->applied = (struct applied){.block = block->number, .crc = block->crc};
    return ++views->batch_blocks >= BATCH_BLOCKS ? views_flush(views) : VIEWS_OK;
}

int views_clear(struct views *views)
{
    if (begin_write(views, 64))
        return VIEWS_FAILED;
    int rc = mdb_drop(views->write, views->rows, 0);
    if (!rc)
        rc = mdb_drop(views->write, views->keys, 0);
    if (!rc)
        rc = mdb_drop(views->write, views->expiry, 0);
    if (rc)
        return drop_batch(views, "clear", rc);
    views->applied = (struct applied){0};
    return views_flush(views);
}

uint64_t views_applied(struct views *views)
{
    struct applied applied = views->flushed;

    if (views->read_only) {
        MDB_txn *txn = begin_read(views);
        if (txn)
            read_applied(views, txn, &applied);
        end_read(views, txn);
    }
    return applied.block;
}

/* LMDB aligns keys to two bytes only. */
static uint64_t block_of(const MDB_val *key)
{
    uint64_t block = 0;

    memcpy(&block, key->mv_data,
           key->mv_size < sizeof(block) ? key->mv_size : sizeof(block));
    return block;
}

/* --- idempotency keys --- */

bool views_find_key(struct views *views, const uint8_t key[16], uint64_t now_us,
                    struct views_idempotency *ret)
{
    MDB_txn *txn = begin_read(views);
    MDB_val name = {16, (void *)(uintptr_t)key}, value;
    struct views_idempotency entry;
    bool found = false;

    if (txn && mdb_get(txn, views->keys, &name, &value) == 0 &&
        value.mv_size == sizeof(entry)) {
        memcpy(&entry, value.mv_data, sizeof(entry));
        found = entry.expires_us > now_us;
    }
    end_read(views, txn);
    if (found)
        *ret = entry;
    return found;
}

static uint64_t expires_us(const uint8_t *key)
{
    uint64_t us = 0;

    for (int i = 0; i < 8; i++)
        us = us << 8 | key[i];
    return us;
}

int views_expire(struct views *views, uint64_t now_us, unsigned max)
{
    MDB_cursor *cursor;
    MDB_val key, value;
    unsigned done = 0;

    if (max > BATCH_PAGES / 8)
        max = BATCH_PAGES / 8;
    if (begin_write(views, 32 + max * 6))
        return VIEWS_FAILED;
    int rc = mdb_cursor_open(views->write, views->expiry, &cursor);
    if (rc)
        return drop_batch(views, "expire", rc);
    for (; !rc && done < max; done++) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (rc || key.mv_size != 24 || expires_us(key.mv_data) > now_us)
            break;
        MDB_val name = {16, (uint8_t *)key.mv_data + 8};
        rc = mdb_del(views->write, views->keys, &name, NULL);
        if (!rc || rc == MDB_NOTFOUND)
            rc = mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
    return rc && rc != MDB_NOTFOUND ? drop_batch(views, "expire", rc) : VIEWS_OK;
}

int views_trim(struct views *views, uint64_t keep_from, unsigned max)
{
    MDB_cursor *cursor;
    MDB_val key, value;

    if (max > BATCH_PAGES / 8)
        max = BATCH_PAGES / 8;
    if (begin_write(views, 32 + max * 2))
        return VIEWS_FAILED;
    int rc = mdb_cursor_open(views->write, views->rows, &cursor);
    if (rc)
        return drop_batch(views, "trim", rc);
    for (unsigned done = 0; !rc && done < max; done++) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (rc || block_of(&key) >= keep_from)
            break;
        rc = mdb_cursor_del(cursor, 0);
    }
    mdb_cursor_close(cursor);
    return rc && rc != MDB_NOTFOUND ? drop_batch(views, "trim", rc) : VIEWS_OK;
}

/* --- rows --- */

/* Called for each row with its filter; false stops. */
typedef bool (*row_fn)(void *user, uint64_t block, const struct row *row,
                       const uint8_t *filter);

static bool row_of(const MDB_val *value, struct row *ret_row, const uint8_t **ret_filter)
{
    if (value->mv_size < sizeof(*ret_row))
        return false;
    memcpy(ret_row, value->mv_data, sizeof(*ret_row));
    *ret_filter = (const uint8_t *)value->mv_data + sizeof(*ret_row);
    return value->mv_size ==
           sizeof(*ret_row) + (size_t)ret_row->filter_words * sizeof(uint64_t);
}

/* Put the cursor on `from`, or on the next row there is in the direction. */
static int seek(MDB_cursor *cursor, uint64_t from, bool backwards, MDB_val *key,
                MDB_val *value)
{
    *key = (MDB_val){sizeof(from), &from};
    int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
    if (!backwards)
        return rc;
    if (rc == MDB_NOTFOUND)
        return mdb_cursor_get(cursor, key, value, MDB_LAST);
    if (!rc && block_of(key) > from)
        return mdb_cursor_get(cursor, key, value, MDB_PREV);
    return rc;
}

/* Up to ROWS_PER_TXN rows in one transaction. 1 and *from moved: there may be more; 0
 * done; VIEWS_FAILED. */
static int walk_piece(struct views *views, uint64_t *from, bool backwards, row_fn fn,
                      void *user)
{
    MDB_txn *txn = begin_read(views);
    MDB_cursor *cursor;
    MDB_val key, value;
    const uint8_t *filter;
    struct row row;

    if (!txn)
        return VIEWS_FAILED;
    int rc = mdb_cursor_open(txn, views->rows, &cursor);
    if (rc) {
        end_read(views, txn);
        return fail(views, "scan", rc);
    }
    rc = seek(cursor, *from, backwards, &key, &value);
    int more = 1;
    for (int n = 0; !rc && more && n < ROWS_PER_TXN; n++) {
        uint64_t block = block_of(&key);
        more = row_of(&value, &row, &filter) && fn(user, block, &row, filter);
        *from = backwards ? block - 1 : block + 1;
        if (more)
            rc = mdb_cursor_get(cursor, &key, &value, backwards ? MDB_PREV : MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    end_read(views, txn);
    if (rc == MDB_NOTFOUND)
        return 0;
    return rc ? fail(views, "scan", rc) : more;
}

static int walk_rows(struct views *views, uint64_t from, bool backwards, row_fn fn,
                     void *user)
{
    int more;

    do
        more = walk_piece(views, &from, backwards, fn, user);
    while (more > 0);
    return more;
}

struct told {
    views_fn fn;
    void *user;
};

static bool tell_row(void *user, uint64_t block, const struct row *row,
                     const uint8_t *filter)
{
    struct told *told = user;
    struct views_row public = {.block = block,
                               .timestamp_us = row->timestamp_us,
                               .crc = row->crc,
                               .events = row->events,
                               .requests = row->requests,
                               .facts = row->facts,
                               .succeeded = row->succeeded,
                               .failed = row->failed,
                               .is_config = row->is_config};

    (void)filter;
    return told->fn(told->user, &public);
}

int views_scan(struct views *views, uint64_t from, bool backwards, views_fn fn,
               void *user)
{
    struct told told = {fn, user};

    return walk_rows(views, from, backwards, tell_row, &told);
}

bool views_may_hold(struct views *views, uint64_t block, enum views_item item,
                    const void *name)
{
    MDB_txn *txn = begin_read(views);
    MDB_val key = {sizeof(block), &block}, value;
    const uint8_t *filter;
    struct row row;
    bool may = true;

    if (txn && mdb_get(txn, views->rows, &key, &value) == 0 &&
        row_of(&value, &row, &filter))
        may = filter_holds(filter, row.filter_words, item_hash(item, name));
    end_read(views, txn);
    return may;
}

struct wanted {
    uint64_t hash, found;
};

static bool is_wanted(void *user, uint64_t block, const struct row *row,
                      const uint8_t *filter)
{
    struct wanted *wanted = user;

    if (!filter_holds(filter, row->filter_words, wanted->hash))
        return true;
    wanted->found = block;
    return false;
}

uint64_t views_find(struct views *views, uint64_t from, bool backwards,
                    enum views_item item, const void *name)
{
    struct wanted wanted = {.hash = item_hash(item, name)};

    walk_rows(views, from, backwards, is_wanted, &wanted);
    return wanted.found;
}
