/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/store/internal.h"
#include "lib/store/segment.h"

enum {
    BATCH_BLOCKS = 64,
    BATCH_BYTES = 8 << 20, /* in memory at a time, and in one commit of the copy */
    SIZE_UNIT = 1 << 20,   /* segments are whole MiB; one is for LMDB's own pages */
};

struct copy {
    struct store *from;
    const char *dir;
    struct segment *to;
    struct buf blocks[BATCH_BLOCKS];
    size_t n, batch_bytes;
    struct store_copied copied;
    uint64_t last;
    store_copy_fn fn;
    void *user;
};

/* Bytes a segment needs for these blocks; 0 when one cannot be read (store_error()). */
static uint64_t measure(struct copy *copy, uint64_t first, uint64_t last)
{
    struct buf header = BUF_NULL;
    struct store_extent bad;
    uint64_t size = 0;
    int result = STORE_OK;

    for (uint64_t n = first; n <= last && result == STORE_OK; n++) {
        result =
            copy->from->ops->fetch(copy->from, n, sizeof(struct block), &header, &bad);
        if (result == STORE_NOT_FOUND)
            store_fail(result, "block %llu is gone: retention removed its segment",
                       (unsigned long long)n);
        else if (result == STORE_OK)
            size += segment_cost(((const struct block *)(void *)header.bytes)->len);
    }
    buf_fini(&header);
    if (result != STORE_OK)
        return 0;
    size = (size / SIZE_UNIT + 2) * SIZE_UNIT;
    return size > SEGMENT_SIZE_MIN ? size : SEGMENT_SIZE_MIN;
}

/* Read, check and chain one more block into the batch. */
static int take(struct copy *copy, uint64_t number)
{
    struct buf *bytes = &copy->blocks[copy->n];
    int result = store_read(copy->from, number, bytes);

    if (result == STORE_NOT_FOUND)
        return store_fail(result, "block %llu is missing", (unsigned long long)number);
    if (result != STORE_OK)
        return result;
    const struct block *b = (const struct block *)(void *)bytes->bytes;
    if (copy->copied.last && b->prev_crc != copy->copied.crc)
        return store_fail(STORE_DAMAGED, "block %llu does not follow the one before it",
                          (unsigned long long)number);
    copy->n++;
    copy->batch_bytes += b->len;
    if (!copy->copied.first)
        copy->copied.first = number;
    copy->copied.last = number;
    copy->copied.crc = b->crc;
    copy->copied.timestamp_us = b->timestamp_us;
    copy->copied.bytes += b->len;
    return STORE_OK;
}

static int write_batch(struct copy *copy)
{
    const struct block *list[BATCH_BLOCKS];

    if (copy->n == 0)
        return STORE_OK;
    for (size_t i = 0; i < copy->n; i++)
        list[i] = (const struct block *)(void *)copy->blocks[i].bytes;
    int result = segment_append(copy->to, list, copy->n);
    copy->n = copy->batch_bytes = 0;
    if (result == STORE_OK && copy->fn &&
        !copy->fn(copy->user, &copy->copied, copy->last))
        return store_fail(STORE_FAILED, "the copy was stopped");
    return result;
}

static int fill(struct copy *copy, uint64_t first, uint64_t last)
{
    int result = STORE_OK;

    for (uint64_t n = first; n <= last && result == STORE_OK; n++) {
        result = take(copy, n);
        if (result == STORE_OK &&
            (copy->n == BATCH_BLOCKS || copy->batch_bytes >= BATCH_BYTES))
            result = write_batch(copy);
    }
    return result == STORE_OK ? write_batch(copy) : result;
}

static int copy_segment(struct copy *copy, uint64_t first, uint64_t last)
{
    _free_ char *path =
        mem_format("%s/%020llu.mdb", copy->dir, (unsigned long long)first);
    _free_ char *lock = mem_format("%s-lock", path);
    uint64_t size = measure(copy, first, last);
    int result = size ? segment_make(path, size) : STORE_NOT_FOUND;

    if (result != STORE_OK)
        return result;
    copy->to = segment_open(path, /* for_writing= */ true, &result);
    if (!copy->to)
        return result;
    result = fill(copy, first, last);
    segment_close(copy->to);
    copy->to = NULL;
    (void)unlink(lock); /* LMDB's table of readers: nobody reads it here */
    return result;
}

static int sync_dir(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    return failed ? store_fail(STORE_FAILED, "%s: cannot be synced: %s", dir,
                               strerror(failed))
                  : STORE_OK;
}

int store_copy(struct store *from, const char *dir, store_copy_fn fn, void *user,
               struct store_copied *ret)
{
    struct copy copy = {.from = from, .dir = dir, .fn = fn, .user = user};
    size_t n = store_segments(from, NULL, 0);
    _free_ struct store_segment *list = mem_array(n + 1, sizeof(*list));
    size_t there = store_segments(from, list, n);
    uint64_t first;
    int result = STORE_OK;

    store_range(from, &first, &copy.last);
    n = there < n ? there : n;
    for (size_t i = 0; i < n && result == STORE_OK; i++) {
        uint64_t last = i + 1 < n ? list[i].last : copy.last;
        if (list[i].first <= last)
            result = copy_segment(&copy, list[i].first, last);
    }
    for (size_t i = 0; i < BATCH_BLOCKS; i++)
        buf_fini(&copy.blocks[i]);
    *ret = copy.copied;
    return result == STORE_OK ? sync_dir(dir) : result;
}
