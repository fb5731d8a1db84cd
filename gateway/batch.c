/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/batch.h"

#include <stdlib.h>

#include "lib/base/mem.h"

enum { ENTRIES_FIRST = 64 };

struct batch *batch_new(struct batch_pool *pool)
{
    struct batch *batch = pool->spares;
    if (!batch)
        return mem_alloc(sizeof(*batch));
    pool->spares = batch->next;
    pool->n_spares--;
    batch->next = NULL;
    return batch;
}

static void drop(struct batch *batch)
{
    buf_fini(&batch->records);
    free(batch->entries);
    free(batch);
}

void batch_free(struct batch_pool *pool, struct batch *batch)
{
    pool->bytes -= batch->records.len;
    if (pool->n_spares == BATCH_SPARES_MAX) {
        drop(batch);
        return;
    }
    buf_clear(&batch->records);
    batch->n = batch->gone = 0;
    batch->events = 0;
    batch->number = 0;
    batch->next = pool->spares;
    pool->spares = batch;
    pool->n_spares++;
}

void batch_pool_fini(struct batch_pool *pool)
{
    while (pool->spares) {
        struct batch *batch = pool->spares;
        pool->spares = batch->next;
        drop(batch);
    }
    pool->n_spares = 0;
}

void batch_add(struct batch_pool *pool, struct batch *batch,
               const struct batch_entry *entry, const void *records, size_t n)
{
    if (batch->n == batch->cap) {
        batch->cap = batch->cap ? batch->cap * 2 : ENTRIES_FIRST;
        batch->entries = mem_resize(batch->entries, batch->cap * sizeof(*batch->entries));
    }
    struct batch_entry *added = &batch->entries[batch->n++];
    *added = *entry;
    added->offset = batch->records.len;
    added->first = batch->events;
    batch->events += entry->events;
    buf_add(&batch->records, records, n);
    pool->bytes += n;
}

size_t batch_entry_len(const struct batch *batch, size_t i)
{
    size_t end = i + 1 < batch->n ? batch->entries[i + 1].offset : batch->records.len;
    return end - batch->entries[i].offset;
}

/* --- queues --- */

void batch_queue_init(struct batch_queue *queue)
{
    *queue = (struct batch_queue){.last = &queue->first};
}

void batch_push(struct batch_queue *queue, struct batch *batch)
{
    batch->next = NULL;
    *queue->last = batch;
    queue->last = &batch->next;
}

void batch_push_front(struct batch_queue *queue, struct batch *batch)
{
    batch->next = queue->first;
    if (!queue->first)
        queue->last = &batch->next;
    queue->first = batch;
}

struct batch *batch_pop(struct batch_queue *queue)
{
    struct batch *batch = queue->first;
    if (!batch)
        return NULL;
    queue->first = batch->next;
    if (!queue->first)
        queue->last = &queue->first;
    batch->next = NULL;
    return batch;
}
