/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/store/store.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/store/internal.h"

/* Committer and housekeeper may both be in trouble: each has its own last words. */
static _Thread_local char last_error[1024];

int store_fail(int result, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(last_error, sizeof(last_error), format, args);
    va_end(args);
    return result;
}

const char *store_error(const struct store *store)
{
    (void)store; /* the text is the thread's, see above */
    return last_error;
}

static struct store *open_result(struct store *store, char *error, size_t error_size)
{
    if (!store)
        snprintf(error, error_size, "%s", last_error);
    return store;
}

struct store *store_open(const struct store_options *options, char *error,
                         size_t error_size)
{
    return open_result(options->memory ? store_memory_open(options)
                                       : store_lmdb_open(options),
                       error, error_size);
}

struct store *store_open_reader(const char *dir, char *error, size_t error_size)
{
    return open_result(store_lmdb_open_reader(dir), error, error_size);
}

void store_close(struct store *store)
{
    if (store)
        store->ops->close(store);
}

/* --- writing --- */

static void look_up_head(struct store *store, struct log_head *head)
{
    _cleanup_(buf_fini) struct buf bytes = BUF_NULL;
    struct store_extent bad;
    uint64_t first, last;

    store->ops->range(store, &first, &last);
    if (!last ||
        store->ops->fetch(store, last, sizeof(struct block), &bytes, &bad) != STORE_OK)
        return;
    const struct block *b = (const void *)bytes.bytes;
    *head = (struct log_head){.number = b->number,
                              .term = b->term,
                              .timestamp_us = b->timestamp_us,
                              .crc = b->crc};
}

void store_head(struct store *store, struct log_head *ret_head)
{
    struct log_head head = {0};

    if (store->is_reader) {
        look_up_head(store, &head);
    } else {
        pthread_mutex_lock(&store->lock);
        head = store->head;
        pthread_mutex_unlock(&store->lock);
        store->ops->room(store, &head);
        head.is_full = head.spare_bytes < store->options.reserve_bytes;
    }
    *ret_head = head;
}

int store_fence(struct store *store, uint64_t term)
{
    int result = STORE_OK;

    pthread_mutex_lock(&store->lock);
    if (term < store->head.term)
        result = STORE_STALE;
    else
        store->head.term = term;
    pthread_mutex_unlock(&store->lock);
    return result;
}

int store_begin(struct store *store, uint64_t first, uint32_t prev_crc)
{
    assert(!store->is_reader && first > 0);
    pthread_mutex_lock(&store->lock);
    uint64_t last = store->head.number;
    if (last == 0)
        store->head = (struct log_head){.number = first - 1, .crc = prev_crc};
    pthread_mutex_unlock(&store->lock);
    return last == 0
               ? STORE_OK
               : store_fail(STORE_FOREIGN, "the log holds blocks up to %llu already",
                            (unsigned long long)last);
}

/* Is what is stored under this number the same block? */
static int check_repeated(struct store *store, const struct block *block)
{
    _cleanup_(buf_fini) struct buf bytes = BUF_NULL;
    struct store_extent bad;
    int result = store->ops->fetch(store, block->number, sizeof(*block), &bytes, &bad);

    if (result == STORE_DAMAGED)
        return result;
    const struct block *stored = (const void *)bytes.bytes;
    if (result == STORE_OK && stored->crc == block->crc)
        return STORE_OK;
    return store_fail(STORE_FOREIGN, "block %llu came again with another content",
                      (unsigned long long)block->number);
}

/* May this one stand behind `head`? Moves head on to it. */
static int check_follows(struct log_head *head, const struct block *block)
{
    const char *why = NULL;

    if (block->term < head->term)
        return store_fail(
            STORE_STALE, "block %llu is of term %llu, the log is at term %llu",
            (unsigned long long)block->number, (unsigned long long)block->term,
            (unsigned long long)head->term);
    if (!block_glance(block, block->len, &why))
        ;
    else if (block->number != head->number + 1)
        why = "its number is not the next";
    else if (block->prev_crc != head->crc)
        why = "it names another block as the one before";
    else if (block->timestamp_us < head->timestamp_us)
        why = "its time is before that of the block before";
    else
        why = NULL;
    if (why)
        return store_fail(STORE_FOREIGN, "block %llu does not follow block %llu: %s",
                          (unsigned long long)block->number,
                          (unsigned long long)head->number, why);
    head->number = block->number;
    head->crc = block->crc;
    head->timestamp_us = block->timestamp_us;
    head->term = block->term;
    return STORE_OK;
}

static void move_head(struct store *store, const struct log_head *head)
{
    pthread_mutex_lock(&store->lock);
    uint64_t term = store->head.term; /* a fence may have come while we wrote */
    store->head = *head;
    if (term > head->term)
        store->head.term = term;
    pthread_mutex_unlock(&store->lock);
}

int store_append(struct store *store, const struct block *const *blocks, size_t n)
{
    assert(!store->is_reader);
    if (store->has_failed)
        return store_fail(STORE_FAILED, "the log failed before and must be opened again");
    pthread_mutex_lock(&store->lock);
    struct log_head head = store->head;
    pthread_mutex_unlock(&store->lock);

    size_t done = 0;
    int result = STORE_OK;
    for (; done < n && blocks[done]->number <= head.number; done++)
        if ((result = check_repeated(store, blocks[done])))
            return result;
    for (size_t i = done; i < n; i++)
        if ((result = check_follows(&head, blocks[i])))
            return result;
    if (done < n)
        result = store->ops->append(store, blocks + done, n - done);
    if (result == STORE_OK)
        move_head(store, &head);
    store->has_failed = result == STORE_FAILED;
    return result;
}

int store_prepare(struct store *store)
{
    assert(!store->is_reader);
    return store->ops->prepare(store);
}

int store_trim(struct store *store, uint64_t keep_from)
{
    assert(!store->is_reader);
    return store->ops->trim(store, keep_from);
}

/* --- reading --- */

void store_range(struct store *store, uint64_t *ret_first, uint64_t *ret_last)
{
    store->ops->range(store, ret_first, ret_last);
}

size_t store_segments(struct store *store, struct store_segment *ret, size_t max)
{
    return store->ops->segments(store, ret, max);
}

/* Say what is wrong with one block, with the name of its file. */
static int damaged_block(struct store *store, uint64_t number, const char *what)
{
    size_t n = store->ops->segments(store, NULL, 0);
    _free_ struct store_segment *list = mem_array(n + 1, sizeof(*list));
    size_t there = store->ops->segments(store, list, n);

    n = there < n ? there : n;
    while (n && list[n - 1].first > number)
        n--;
    return store_fail(STORE_DAMAGED, "%s, block %llu: %s",
                      n ? list[n - 1].path : "before all segments",
                      (unsigned long long)number, what);
}

static int read_block(struct store *store, uint64_t number, bool verify, struct buf *out,
                      struct store_extent *ret_bad)
{
    const char *why = NULL;
    int result = store->ops->fetch(store, number, SIZE_MAX, out, ret_bad);

    if (result != STORE_OK)
        return result;
    const struct block *b = verify ? block_check(out->bytes, out->len, &why)
                                   : block_glance(out->bytes, out->len, &why);
    if (b && b->number == number)
        return STORE_OK;
    *ret_bad = (struct store_extent){number, number};
    return damaged_block(store, number, b ? "it carries another number" : why);
}

int store_read(struct store *store, uint64_t number, struct buf *out)
{
    struct store_extent bad;
    int result = read_block(store, number, /* verify= */ true, out, &bad);

    if (result != STORE_OK)
        buf_clear(out);
    return result;
}

/* What one run over the log carries from block to block. */
struct scan {
    struct store *store;
    bool verify;
    store_fn fn;
    void *user;
    struct buf bytes;
    uint64_t before; /* the last good block, 0 = none directly before */
    uint32_t crc;    /* its checksum; going backwards: the one that the next must have */
};

/* Read one block and see that the chain holds. Then hand it, or why not, to the caller's
 * function; false = enough. */
static bool scan_block(struct scan *scan, uint64_t number, bool backwards,
                       struct store_extent *ret_bad)
{
    *ret_bad = (struct store_extent){number, number};
    int result = read_block(scan->store, number, scan->verify, &scan->bytes, ret_bad);
    const struct block *b = (const void *)scan->bytes.bytes;
    bool is_chained = scan->before && scan->before + (backwards ? -1 : 1) == number;

    if (result == STORE_NOT_FOUND)
        result = damaged_block(scan->store, number, "it is missing");
    else if (result == STORE_OK && is_chained &&
             (backwards ? b->crc : b->prev_crc) != scan->crc)
        result = damaged_block(scan->store, number,
                               "the chain of checksums is broken before or behind it");
    scan->before = result == STORE_OK ? number : 0;
    if (result != STORE_OK)
        return scan->fn(scan->user, number, NULL, last_error);
    scan->crc = backwards ? b->prev_crc : b->crc;
    return scan->fn(scan->user, number, b, NULL);
}

int store_scan(struct store *store, uint64_t from, bool verify, store_fn fn, void *user)
{
    struct scan scan = {.store = store, .verify = verify, .fn = fn, .user = user};
    struct store_extent bad;
    uint64_t first, last, number = from;

    store->ops->range(store, &first, &last);
    for (bool more = true; more && last; number = bad.last + 1) {
        if (number > last) /* a writer may have gone on */
            store->ops->range(store, &first, &last);
        if (number < first)
            number = first;
        if (number > last)
            break;
        more = scan_block(&scan, number, /* backwards= */ false, &bad);
    }
    buf_fini(&scan.bytes);
    return STORE_OK;
}

int store_scan_back(struct store *store, uint64_t from, bool verify, store_fn fn,
                    void *user)
{
    struct scan scan = {.store = store, .verify = verify, .fn = fn, .user = user};
    struct store_extent bad;
    uint64_t first, last, number;

    store->ops->range(store, &first, &last);
    number = from < last ? from : last;
    for (bool more = true; more && number && number >= first; number = bad.first - 1)
        more = scan_block(&scan, number, /* backwards= */ true, &bad);
    buf_fini(&scan.bytes);
    return STORE_OK;
}

/* The header of the first block at or above `number` that can be read; false when none is
 * up to `last`. */
static bool peek(struct store *store, uint64_t number, uint64_t last,
                 struct block *ret_header)
{
    _cleanup_(buf_fini) struct buf bytes = BUF_NULL;
    struct store_extent bad;

    for (; number && number <= last; number = bad.last + 1) {
        bad.last = number;
        if (store->ops->fetch(store, number, sizeof(struct block), &bytes, &bad) !=
            STORE_OK)
            continue;
        memcpy(ret_header, bytes.bytes, sizeof(*ret_header));
        if (ret_header->magic == BLOCK_MAGIC && ret_header->number == number)
            return true;
    }
    return false;
}

uint64_t store_find_time(struct store *store, uint64_t time_us)
{
    struct block header;
    uint64_t first, last;

    store->ops->range(store, &first, &last);
    uint64_t low = first ? first : 1, high = last + 1; /* the answer is in [low, high] */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (!peek(store, middle, high - 1, &header) || header.timestamp_us >= time_us)
            high = middle;
        else
            low = header.number + 1;
    }
    return low;
}

uint64_t store_find_checkpoint(struct store *store)
{
    struct block header;
    uint64_t first, last;

    store->ops->range(store, &first, &last);
    for (uint64_t number = last; number && number >= first; number--)
        if (peek(store, number, number, &header) && header.flags & BLOCK_CHECKPOINT)
            return number;
    return first;
}

struct verified {
    struct log_head head;
    bool is_damaged;
};

static bool verify_block(void *user, uint64_t number, const struct block *block,
                         const char *why)
{
    struct verified *verified = user;

    (void)number;
    (void)why; /* stays the thread's last words */
    if (!block) {
        verified->is_damaged = true;
        return false;
    }
    verified->head = (struct log_head){.number = block->number,
                                       .term = block->term,
                                       .timestamp_us = block->timestamp_us,
                                       .crc = block->crc};
    return true;
}

int store_verify_tail(struct store *store, uint64_t first)
{
    struct verified verified = {0};

    store_scan(store, first, /* verify= */ true, verify_block, &verified);
    if (verified.is_damaged)
        return STORE_DAMAGED;
    store->head = verified.head;
    return STORE_OK;
}
