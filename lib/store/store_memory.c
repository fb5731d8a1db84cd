/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* store_memory - the twin without disk, for tests of everything above the store
 *
 * It has segments and a bound like the real one: MEMORY_SEGMENTS segments of segment_size
 * bytes; when they are full, the store is full until something is trimmed. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/store/internal.h"

enum { MEMORY_SEGMENTS = 4 };

struct memory_segment {
    uint64_t first, bytes;
};

struct store_memory {
    struct store store;
    struct block **blocks; /* ascending from `first` */
    size_t n, cap;
    uint64_t first;
    struct memory_segment segments[MEMORY_SEGMENTS];
    size_t n_segments;
};

static void memory_close(struct store *store)
{
    struct store_memory *memory = (struct store_memory *)store;

    for (size_t i = 0; i < memory->n; i++)
        free(memory->blocks[i]);
    free(memory->blocks);
    pthread_mutex_destroy(&store->lock);
    free(memory);
}

/* Account for one block; false when there is no segment left for it. */
static bool place(struct store_memory *memory, const struct block *block)
{
    struct memory_segment *tail = memory->segments + memory->n_segments - 1;

    if (memory->n_segments &&
        tail->bytes + block->len <= memory->store.options.segment_size &&
        !(block->flags & BLOCK_OPENS_SEGMENT && tail->first != block->number)) {
        tail->bytes += block->len;
        return true;
    }
    if (memory->n_segments == MEMORY_SEGMENTS)
        return false;
    memory->segments[memory->n_segments++] =
        (struct memory_segment){block->number, block->len};
    return true;
}

static int append(struct store_memory *memory, const struct block *const *blocks,
                  size_t n)
{
    struct memory_segment before[MEMORY_SEGMENTS];
    size_t n_before = memory->n_segments;

    memcpy(before, memory->segments, sizeof(before));
    for (size_t i = 0; i < n; i++) {
        if (place(memory, blocks[i]))
            continue;
        memcpy(memory->segments, before, sizeof(before));
        memory->n_segments = n_before;
        return store_fail(STORE_FULL, "the memory store is full");
    }
    if (memory->n + n > memory->cap) {
        memory->cap = (memory->n + n) * 2;
        memory->blocks =
            mem_resize(memory->blocks, memory->cap * sizeof(*memory->blocks));
    }
    if (!memory->n)
        memory->first = blocks[0]->number;
    for (size_t i = 0; i < n; i++)
        memory->blocks[memory->n++] = mem_copy(blocks[i], blocks[i]->len);
    return STORE_OK;
}

static int memory_append(struct store *store, const struct block *const *blocks, size_t n)
{
    pthread_mutex_lock(&store->lock);
    int result = append((struct store_memory *)store, blocks, n);
    pthread_mutex_unlock(&store->lock);
    return result;
}

static int memory_prepare(struct store *store)
{
    (void)store; /* there is nothing to write ahead */
    return STORE_OK;
}

static int trim(struct store_memory *memory, uint64_t keep_from)
{
    size_t gone = 0;

    while (gone + 1 < memory->n_segments && memory->segments[gone + 1].first <= keep_from)
        gone++;
    if (!gone)
        return 0;
    size_t blocks = (size_t)(memory->segments[gone].first - memory->first);
    for (size_t i = 0; i < blocks; i++)
        free(memory->blocks[i]);
    memory->n -= blocks;
    memory->n_segments -= gone;
    memory->first += blocks;
    memmove(memory->blocks, memory->blocks + blocks, memory->n * sizeof(*memory->blocks));
    memmove(memory->segments, memory->segments + gone,
            memory->n_segments * sizeof(*memory->segments));
    return (int)gone;
}

static int memory_trim(struct store *store, uint64_t keep_from)
{
    pthread_mutex_lock(&store->lock);
    int gone = trim((struct store_memory *)store, keep_from);
    pthread_mutex_unlock(&store->lock);
    return gone;
}

static void memory_range(struct store *store, uint64_t *ret_first, uint64_t *ret_last)
{
    struct store_memory *memory = (struct store_memory *)store;

    pthread_mutex_lock(&store->lock);
    *ret_first = memory->n ? memory->first : 0;
    *ret_last = memory->n ? memory->first + memory->n - 1 : 0;
    pthread_mutex_unlock(&store->lock);
}

static int memory_fetch(struct store *store, uint64_t number, size_t limit,
                        struct buf *out, struct store_extent *ret_bad)
{
    struct store_memory *memory = (struct store_memory *)store;
    int result = STORE_NOT_FOUND;

    (void)ret_bad;
    buf_clear(out);
    pthread_mutex_lock(&store->lock);
    if (memory->n && number >= memory->first && number - memory->first < memory->n) {
        const struct block *b = memory->blocks[number - memory->first];
        buf_add(out, b, b->len < limit ? b->len : limit);
        result = STORE_OK;
    }
    pthread_mutex_unlock(&store->lock);
    return result;
}

static size_t memory_segments(struct store *store, struct store_segment *ret, size_t max)
{
    struct store_memory *memory = (struct store_memory *)store;

    pthread_mutex_lock(&store->lock);
    size_t n = memory->n_segments;
    for (size_t i = 0; i < n && i < max; i++)
        ret[i] = (struct store_segment){
            .path = "(memory)",
            .first = memory->segments[i].first,
            .last = i + 1 < n ? memory->segments[i + 1].first - 1
                              : memory->first + memory->n - 1,
            .bytes = memory->segments[i].bytes,
        };
    pthread_mutex_unlock(&store->lock);
    return n;
}

static void memory_room(struct store *store, struct log_head *head)
{
    struct store_memory *memory = (struct store_memory *)store;
    uint64_t size = store->options.segment_size;

    pthread_mutex_lock(&store->lock);
    size_t n = memory->n_segments;
    head->segment_room = n ? size - memory->segments[n - 1].bytes : 0;
    head->spare_bytes = (MEMORY_SEGMENTS - n) * size;
    pthread_mutex_unlock(&store->lock);
}

static const struct store_ops memory_ops = {
    .close = memory_close,
    .append = memory_append,
    .prepare = memory_prepare,
    .trim = memory_trim,
    .range = memory_range,
    .fetch = memory_fetch,
    .segments = memory_segments,
    .room = memory_room,
};

struct store *store_memory_open(const struct store_options *options)
{
    struct store_memory *memory = mem_alloc(sizeof(*memory));

    memory->store.ops = &memory_ops;
    memory->store.options = *options;
    memory->store.options.dir = NULL;
    pthread_mutex_init(&memory->store.lock, NULL);
    return &memory->store;
}
