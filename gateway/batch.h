/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* batch - requests that go into the log together, a part of hold.c: their records one
 * behind the other, and who hears of each */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "gateway/hold.h"
#include "lib/base/buf.h"

enum { BATCH_SPARES_MAX = 4 };

/* One hold_add. */
struct batch_entry {
    hold_fn fn; /* NULL: answered */
    void *user;
    size_t offset; /* of its records in the batch */
    uint32_t first, events;
    uint64_t since_us;
};

struct batch {
    struct batch *next;
    uint64_t number; /* 0: not sent */
    struct buf records;
    struct batch_entry *entries;
    size_t n, cap;
    size_t gone; /* entries at the front that were given up before it was sent */
    uint32_t events;
};

struct batch_queue {
    struct batch *first, **last;
};

/* Where batches come from and go to: the memory of a few is kept. */
struct batch_pool {
    struct batch *spares;
    unsigned n_spares;
    size_t bytes; /* of records in batches that are not free */
};

struct batch *batch_new(struct batch_pool *pool);
void batch_free(struct batch_pool *pool, struct batch *batch);
/* Gives the memory of what is kept back. */
void batch_pool_fini(struct batch_pool *pool);
/* Append a request with its n bytes of records; its place is set here. */
void batch_add(struct batch_pool *pool, struct batch *batch,
               const struct batch_entry *entry, const void *records, size_t n);
/* Bytes of the records of entry i. */
size_t batch_entry_len(const struct batch *batch, size_t i);

void batch_queue_init(struct batch_queue *queue);
void batch_push(struct batch_queue *queue, struct batch *batch);
void batch_push_front(struct batch_queue *queue, struct batch *batch);
/* The first, NULL when there is none. */
struct batch *batch_pop(struct batch_queue *queue);
