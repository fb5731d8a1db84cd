/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <lmdb.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/store/internal.h"
#include "lib/store/pages.h"

enum {
    CHUNK = 1 << 20,            /* written at a time when making a file */
    AHEAD_MIN = 4 * PAGES_SIZE, /* smaller reads are not worth a system call */
    TRIES_MAX = 100,            /* against a writer that overtakes us */
    INLINE_MAX = 2038 - 16,     /* larger values go to pages of their own (me_nodemax) */
    META_BYTES = 256,           /* of a page: its head and more than the meta itself */
    MARGIN_PAGES = 64,          /* for tree pages, the free list, and pages readers pin */
};

struct segment {
    char *path;
    MDB_env *env;
    MDB_dbi dbi;
    uint64_t map_size;
};

/* --- making a file --- */

static void pause_ns(long ns)
{
    const struct timespec pause = {.tv_nsec = ns};

    nanosleep(&pause, NULL); /* an early return only makes it less gentle */
}

/* Zeros from `at` to `end`, kept moving to the disk so that the sync at the end is short.
 * 0 or an errno. */
static int write_zeros(int fd, uint64_t at, uint64_t end)
{
    _free_ uint8_t *zeros = mem_alloc(CHUNK);

    while (at < end) {
        size_t n = end - at < CHUNK ? (size_t)(end - at) : CHUNK;
        ssize_t written = pwrite(fd, zeros, n, (off_t)at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written ? errno : ENOSPC;
        /* A hint: the sync of the whole is what counts. */
        (void)sync_file_range(fd, (off_t)at, written, SYNC_FILE_RANGE_WRITE);
        at += (uint64_t)written;
    }
    return 0;
}

/* Let the file grow towards `size` by at most `step`, and sync it when it is there. 0 or
 * an errno. */
static int extend(const char *path, uint64_t size, uint64_t step, bool *ret_is_whole)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    struct stat st = {0};
    int error = 0;

    if (fd < 0 || fstat(fd, &st))
        error = errno;
    uint64_t at = (uint64_t)st.st_size, left = at < size ? size - at : 0;
    *ret_is_whole = left <= step;
    if (!error)
        error = write_zeros(fd, at, at + (left < step ? left : step));
    if (!error && *ret_is_whole && fsync(fd))
        error = errno;
    if (fd >= 0 && close(fd) && !error)
        error = errno;
    return error;
}

static void remove_lock_file(const char *path)
{
    char lock[1024];

    snprintf(lock, sizeof(lock), "%s-lock", path);
    (void)unlink(lock); /* not there is as good */
}

static int env_new(MDB_env **ret_env, const char *path, uint64_t map_size, unsigned flags)
{
    MDB_env *env = NULL;
    int rc = mdb_env_create(&env);

    if (!rc)
        rc = mdb_env_set_mapsize(env, map_size);
    if (!rc)
        rc = mdb_env_set_maxreaders(env, SEGMENT_READERS_MAX);
    if (!rc)
        rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | flags,
                          0600);
    if (rc && env)
        mdb_env_close(env);
    else
        *ret_env = env;
    return rc;
}

/* An empty database with integer keys: one transaction, so that the flag is on disk. 0 or
 * LMDB's code. */
static int make_database(const char *path, uint64_t size)
{
    MDB_env *env = NULL;
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    int rc = env_new(&env, path, size, 0);

    if (rc)
        return rc;
    rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (!rc && (rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY | MDB_CREATE, &dbi)))
        mdb_txn_abort(txn);
    else if (!rc)
        rc = mdb_txn_commit(txn);
    mdb_env_close(env);
    remove_lock_file(path);
    return rc;
}

int segment_make_step(const char *path, uint64_t size, uint64_t step, bool begins)
{
    bool is_whole = false;
    int rc = 0;

    if (begins) {
        (void)unlink(path); /* what an earlier process did not finish */
        rc = make_database(path, size);
    }
    int error = rc ? 0 : extend(path, size, step, &is_whole);
    if (!rc && !error)
        return is_whole ? STORE_OK : STORE_MORE;
    (void)unlink(path); /* it was never used */
    return store_fail(STORE_FULL, "%s: cannot write it ahead: %s", path,
                      rc ? mdb_strerror(rc) : strerror(error));
}

int segment_make(const char *path, uint64_t size)
{
    return segment_make_step(path, size, size, /* begins= */ true);
}

uint64_t segment_blank(const char *path)
{
    struct pages_facts facts = {0};
    char why[128];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return 0;
    bool is_blank = pages_glance(fd, &facts, why, sizeof(why)) == PAGES_OK &&
                    facts.txn == 1 && !facts.entries &&
                    facts.file_size >= facts.map_size &&
                    facts.map_size >= SEGMENT_SIZE_MIN;
    close(fd);
    return is_blank ? facts.map_size : 0;
}

/* --- opening --- */

static int fail_lmdb(const struct segment *segment, const char *what, int rc)
{
    struct statvfs fs;
    /* LMDB turns a write cut short by a full disk into EIO. */
    bool is_full = rc == EIO && !statvfs(segment->path, &fs) && fs.f_bavail == 0;

    return store_fail(STORE_FAILED, "%s: cannot %s: %s%s", segment->path, what,
                      mdb_strerror(rc), is_full ? " (the disk is full)" : "");
}

static int glance(const char *path, int fd, struct pages_facts *facts)
{
    char why[256];
    int result = PAGES_DAMAGED;

    /* A writer may be between its two meta pages: what is damaged stays so, what moves
     * gets still. */
    for (int i = 0; result && i < 5; i++) {
        if (i)
            pause_ns(1000000);
        result = pages_glance(fd, facts, why, sizeof(why));
    }
    return result ? store_fail(STORE_DAMAGED, "%s: %s", path, why) : STORE_OK;
}

/* Follow the pages of one snapshot, and open its database. */
static int check_snapshot(struct segment *segment, int fd, bool for_writing)
{
    MDB_txn *txn = NULL;
    char why[256];
    int result = PAGES_MOVED;
    int rc = mdb_txn_begin(segment->env, NULL, MDB_RDONLY, &txn);

    for (int i = 0; !rc && result == PAGES_MOVED && i < TRIES_MAX; i++) {
        if (i) {
            mdb_txn_reset(txn);
            rc = mdb_txn_renew(txn);
        }
        if (!rc)
            result = pages_check(fd, mdb_txn_id(txn), for_writing, why, sizeof(why));
    }
    if (!rc && result == PAGES_OK)
        rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &segment->dbi);
    if (txn)
        mdb_txn_abort(txn);
    if (rc)
        return fail_lmdb(segment, "begin to read", rc);
    if (result == PAGES_MOVED)
        return store_fail(STORE_FAILED, "%s: overtaken by the writer again and again",
                          segment->path);
    return result ? store_fail(STORE_DAMAGED, "%s: %s", segment->path, why) : STORE_OK;
}

/* A writer killed between its commit's last page and its note of it in the lock file,
 * which stays while readers have the file open, leaves a commit that nobody sees. The
 * next writer to begin mends that, and must do so before it looks where the log ends. */
static int see_last_commit(struct segment *segment)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(segment->env, NULL, 0, &txn);

    if (rc)
        return fail_lmdb(segment, "begin to write", rc);
    mdb_txn_abort(txn);
    return STORE_OK;
}

static int open_checked(struct segment *segment, int fd, bool for_writing)
{
    struct pages_facts facts;
    int result = glance(segment->path, fd, &facts);

    if (result)
        return result;
    /* A copy may have lost the zeros at its end; what is there must do, and a wrong size
     * must not matter. */
    uint64_t whole = facts.file_size / PAGES_SIZE * PAGES_SIZE;
    segment->map_size = facts.map_size < whole ? facts.map_size : whole;
    int rc = env_new(&segment->env, segment->path, segment->map_size,
                     for_writing ? 0 : MDB_RDONLY);
    if (rc)
        return fail_lmdb(segment, "open it", rc);
    if (for_writing) {
        segment_check_readers(segment);
        result = see_last_commit(segment);
    }
    return result ? result : check_snapshot(segment, fd, for_writing);
}

struct segment *segment_open(const char *path, bool for_writing, int *ret_result)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0) {
        *ret_result = store_fail(errno == ENOENT ? STORE_NOT_FOUND : STORE_FAILED,
                                 "%s: cannot open it: %s", path, strerror(errno));
        return NULL;
    }
    struct segment *segment = mem_alloc(sizeof(*segment));
    segment->path = mem_text(path);
    *ret_result = open_checked(segment, fd, for_writing);
    close(fd);
    if (*ret_result == STORE_OK)
        return segment;
    segment_close(segment);
    return NULL;
}

void segment_close(struct segment *segment)
{
    if (!segment)
        return;
    if (segment->env)
        mdb_env_close(segment->env);
    free(segment->path);
    free(segment);
}

/* The file may have been cut or removed under us; a look at a page that is gone is
 * SIGBUS. */
static int check_still_there(struct segment *segment)
{
    MDB_envinfo info;
    struct stat st;
    int fd;

    if (mdb_env_get_fd(segment->env, &fd) || fstat(fd, &st))
        return store_fail(STORE_DAMAGED, "%s: cannot be looked at: %s", segment->path,
                          strerror(errno));
    if ((uint64_t)st.st_size < 2 * PAGES_SIZE)
        return store_fail(STORE_DAMAGED, "%s: the file was cut short", segment->path);
    mdb_env_info(segment->env, &info);
    if ((uint64_t)st.st_size / PAGES_SIZE <= info.me_last_pgno)
        return store_fail(STORE_DAMAGED, "%s: the file was cut short", segment->path);
    return STORE_OK;
}

static int check_not_removed(struct segment *segment)
{
    struct stat st;
    int fd;

    if (check_still_there(segment) || mdb_env_get_fd(segment->env, &fd) || fstat(fd, &st))
        return STORE_FAILED;
    return st.st_nlink
               ? STORE_OK
               : store_fail(STORE_FAILED, "%s: the file was removed", segment->path);
}

/* --- writing --- */

static int put_blocks(struct segment *segment, MDB_txn *txn,
                      const struct block *const *blocks, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t number = blocks[i]->number;
        MDB_val key = {.mv_size = sizeof(number), .mv_data = &number};
        MDB_val value = {.mv_size = blocks[i]->len};
        int rc = mdb_put(txn, segment->dbi, &key, &value, MDB_APPEND | MDB_RESERVE);
        if (rc)
            return rc;
        memcpy(value.mv_data, blocks[i], blocks[i]->len);
    }
    return 0;
}

/* The meta page that a transaction will replace, as it is before. When the write of a
 * meta page fails, LMDB puts the old number back beside the new trees; that looks like a
 * lost transaction (pages.c), so that page is put back whole. */
struct old_meta {
    uint8_t bytes[META_BYTES];
    off_t at;
    int fd;
};

static bool keep_meta(const struct segment *segment, MDB_txn *txn,
                      struct old_meta *ret_old)
{
    ret_old->at = (off_t)(mdb_txn_id(txn) & 1) * PAGES_SIZE;
    return !mdb_env_get_fd(segment->env, &ret_old->fd) &&
           pread(ret_old->fd, ret_old->bytes, META_BYTES, ret_old->at) == META_BYTES;
}

static int commit(struct segment *segment, MDB_txn *txn)
{
    struct old_meta old;
    bool is_kept = keep_meta(segment, txn, &old);
    int rc = mdb_txn_commit(txn);

    if (rc && is_kept) {
        ssize_t written = pwrite(old.fd, old.bytes, META_BYTES, old.at);
        (void)written; /* it fails as the commit did, and that is told */
    }
    return rc;
}

int segment_append(struct segment *segment, const struct block *const *blocks, size_t n)
{
    MDB_txn *txn;

    if (check_not_removed(segment))
        return STORE_FAILED;
    int rc = mdb_txn_begin(segment->env, NULL, 0, &txn);
    if (rc)
        return fail_lmdb(segment, "begin to write", rc);
    rc = put_blocks(segment, txn, blocks, n);
    if (rc)
        mdb_txn_abort(txn);
    else
        rc = commit(segment, txn);
    if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL)
        return store_fail(STORE_FULL, "%s: no room for block %llu", segment->path,
                          (unsigned long long)blocks[0]->number);
    return rc ? fail_lmdb(segment, "commit", rc) : STORE_OK;
}

uint64_t segment_room(struct segment *segment)
{
    MDB_envinfo info;

    mdb_env_info(segment->env, &info);
    uint64_t pages = segment->map_size / PAGES_SIZE,
             used = info.me_last_pgno + 2 + MARGIN_PAGES;
    return used < pages ? (pages - used) * PAGES_SIZE : 0;
}

uint64_t segment_cost(uint32_t len)
{
    if (len <= INLINE_MAX)
        return PAGES_SIZE; /* at worst it has a leaf for itself */
    return ((uint64_t)len + 16 + PAGES_SIZE - 1) / PAGES_SIZE * PAGES_SIZE + 32;
}

void segment_check_readers(struct segment *segment)
{
    int dead;

    (void)mdb_reader_check(segment->env,
                           &dead); /* tried again soon; a slot more or less is no loss */
}

/* --- reading --- */

static int begin_read(struct segment *segment, MDB_txn **ret_txn)
{
    int result = check_still_there(segment);

    if (result)
        return result;
    int rc = mdb_txn_begin(segment->env, NULL, MDB_RDONLY, ret_txn);
    if (rc == MDB_MAP_RESIZED) { /* no transaction of ours is open: every one ends in its
                                    function */
        rc = mdb_env_set_mapsize(segment->env, 0);
        if (!rc)
            rc = mdb_txn_begin(segment->env, NULL, MDB_RDONLY, ret_txn);
    }
    return rc ? store_fail(STORE_DAMAGED, "%s: cannot begin to read: %s", segment->path,
                           mdb_strerror(rc))
              : STORE_OK;
}

/* The map is not read ahead (NORDAHEAD): without this a cold block comes page by page. */
static void read_ahead(const MDB_val *value)
{
    uintptr_t from = (uintptr_t)value->mv_data & ~(uintptr_t)(PAGES_SIZE - 1);
    uintptr_t end = (uintptr_t)value->mv_data + value->mv_size;

    if (value->mv_size > AHEAD_MIN)
        (void)madvise((void *)from, end - from, MADV_WILLNEED); /* a hint */
}

/* The pages that were read stay in the kernel's cache, not in this process: who reads a
 * backlog of gigabytes does not grow by them. */
static void let_go(const MDB_val *value)
{
    const uintptr_t in_page = PAGES_SIZE - 1;
    uintptr_t from = (uintptr_t)value->mv_data & ~in_page,
              end = ((uintptr_t)value->mv_data + value->mv_size + in_page) & ~in_page;

    if (value->mv_size > AHEAD_MIN)
        (void)madvise((void *)from, end - from, MADV_DONTNEED); /* a hint */
}

int segment_fetch(struct segment *segment, uint64_t number, size_t limit, struct buf *out)
{
    MDB_val key = {.mv_size = sizeof(number), .mv_data = &number}, value;
    MDB_txn *txn;
    int result = begin_read(segment, &txn);

    buf_clear(out);
    if (result)
        return result;
    int rc = mdb_get(txn, segment->dbi, &key, &value);
    if (rc == MDB_NOTFOUND)
        result = STORE_NOT_FOUND;
    else if (rc)
        result = store_fail(STORE_DAMAGED, "%s, block %llu: %s", segment->path,
                            (unsigned long long)number, mdb_strerror(rc));
    else if (value.mv_size < sizeof(struct block) || value.mv_size > BLOCK_SIZE_MAX)
        result = store_fail(STORE_DAMAGED, "%s, block %llu: its length cannot be",
                            segment->path, (unsigned long long)number);
    else {
        value.mv_size = value.mv_size < limit ? value.mv_size : limit;
        read_ahead(&value);
        buf_add(out, value.mv_data, value.mv_size);
        let_go(&value);
    }
    mdb_txn_abort(txn);
    return result;
}

int segment_last(struct segment *segment, uint64_t *ret_last)
{
    MDB_val key, value;
    MDB_cursor *cursor;
    MDB_txn *txn;
    int result = begin_read(segment, &txn);

    if (result)
        return result;
    int rc = mdb_cursor_open(txn, segment->dbi, &cursor);
    if (!rc) {
        rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
        mdb_cursor_close(cursor);
    }
    *ret_last = 0;
    if (!rc)
        memcpy(ret_last, key.mv_data, sizeof(*ret_last));
    mdb_txn_abort(txn);
    if (rc && rc != MDB_NOTFOUND)
        return store_fail(STORE_DAMAGED, "%s: its end cannot be found: %s", segment->path,
                          mdb_strerror(rc));
    return STORE_OK;
}
