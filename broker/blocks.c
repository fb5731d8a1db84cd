/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* blocks - committed blocks in memory, shared by reference, and the cache of the newest
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"

struct block_ref *block_ref_new(size_t cap)
{
    struct block_ref *ref = mem_alloc(sizeof(*ref));

    atomic_init(&ref->refs, 1);
    block_ref_resize(ref, cap);
    memset(ref->block, 0, sizeof(struct block));
    ref->block->len = sizeof(struct block);
    return ref;
}

void block_ref_resize(struct block_ref *ref, size_t cap)
{
    ref->frame = mem_resize(ref->frame, sizeof(struct message) + cap);
    ref->block = (struct block *)(ref->frame + 1);
    ref->cap = cap;
}

struct block_ref *block_ref_copy(const struct block *block)
{
    struct block_ref *ref = block_ref_new(block->len);

    memcpy(ref->block, block, block->len);
    return ref;
}

struct block_ref *block_ref_hold(struct block_ref *ref)
{
    atomic_fetch_add_explicit(&ref->refs, 1, memory_order_relaxed);
    return ref;
}

void block_ref_drop(struct block_ref *ref)
{
    if (!ref || atomic_fetch_sub_explicit(&ref->refs, 1, memory_order_acq_rel) != 1)
        return;
    free(ref->offsets);
    free(ref->frame);
    free(ref);
}

const struct record *block_ref_record(struct block_ref *ref, uint32_t index)
{
    const struct block *b = ref->block;

    if (index >= b->count)
        return NULL;
    if (!ref->offsets) {
        uint32_t i = 0;
        ref->offsets = mem_array(b->count, sizeof(*ref->offsets));
        for (const struct record *r = block_first(b); r; r = block_next(b, r))
            ref->offsets[i++] = (uint32_t)((const uint8_t *)r - (const uint8_t *)b);
    }
    return (const struct record *)((const uint8_t *)b + ref->offsets[index]);
}

void cache_put(struct core *core, struct block_ref *ref)
{
    size_t drop = 0;

    if (core->n_cache == core->cap_cache) {
        core->cap_cache = core->cap_cache ? core->cap_cache * 2 : 64;
        core->cache = mem_resize(core->cache, core->cap_cache * sizeof(*core->cache));
    }
    core->cache[core->n_cache++] = block_ref_hold(ref);
    core->cache_bytes += ref->block->len;
    while (core->cache_bytes > CORE_CACHE_MAX && drop + 1 < core->n_cache)
        core->cache_bytes -= core->cache[drop++]->block->len;
    /* Dropping in runs keeps the array's front moves rare. */
    if (drop > 0) {
        for (size_t i = 0; i < drop; i++)
            block_ref_drop(core->cache[i]);
        core->n_cache -= drop;
        memmove(core->cache, core->cache + drop, core->n_cache * sizeof(*core->cache));
    }
}

void cache_clear(struct core *core)
{
    for (size_t i = 0; i < core->n_cache; i++)
        block_ref_drop(core->cache[i]);
    for (size_t i = 0; i < CORE_READ_CACHE; i++)
        block_ref_drop(core->read_cache[i]);
    free(core->cache);
}

struct block_ref *cache_get(struct core *core, uint64_t number)
{
    if (core->n_cache > 0) {
        uint64_t first = core->cache[0]->block->number;
        if (number >= first && number < first + core->n_cache)
            return block_ref_hold(core->cache[number - first]);
    }
    struct block_ref **kept = &core->read_cache[number % CORE_READ_CACHE];
    if (!*kept || (*kept)->block->number != number) {
        struct block_ref *read = core->ops->read(core->user, number);
        if (!read)
            return NULL;
        block_ref_drop(*kept);
        *kept = read;
    }
    return block_ref_hold(*kept);
}
