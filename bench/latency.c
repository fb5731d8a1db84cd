/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* latency - one at a time: an event to its acknowledgement, a call to its outcome, a
 * block to its commit */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "lib/store/store.h"
#include "proto/block.h"
#include "proto/record.h"

/* Not measured: connections are made, files opened, memory touched. */
enum { WARM_UP = 50 };

struct timer {
    struct bench_world world;
    const struct bench_args *args;
    const char *type, *data;
    enum record_kind kind;
    bool is_call;
    struct buf batch;
    uint64_t began, done;
    uint64_t *times;
};

static void next(struct timer *t)
{
    uint8_t id[16];
    struct record_parts parts = {
        .kind = t->kind,
        .type = t->type,
        .id = id,
        .flags = RECORD_JSON,
        .data = t->data,
        .data_len = strlen(t->data),
    };

    id_new(clock_wall_us(), id);
    buf_clear(&t->batch);
    if (record_add(&t->batch, &parts) < 0)
        bench_die("--size: an event of this size is not possible");
    t->began = bench_now();
    if (!peer_publish(t->world.peer, t->batch.bytes, t->batch.len, t->is_call))
        bench_die("the window is full");
}

static void on_joined(void *user)
{
    next(user);
}

static void done(struct timer *t)
{
    if (t->done >= WARM_UP)
        t->times[t->done - WARM_UP] = bench_now() - t->began;
    t->done++;
    if (t->done < t->args->events + WARM_UP)
        next(t);
    else
        loop_stop(t->world.loop, 0);
}

static void on_published(void *user, uint64_t batch, const struct published *published,
                         const struct verdict *verdicts, uint32_t n)
{
    struct timer *t = user;

    (void)batch;
    (void)published;
    (void)verdicts;
    (void)n;
    if (!t->is_call)
        done(t);
}

static void on_outcome(void *user, uint64_t ref, uint32_t index,
                       const struct slice *slice, const struct record *outcome)
{
    (void)ref;
    (void)index;
    (void)slice;
    if (outcome->status != STATUS_SUCCESS)
        bench_die("a call failed: class %s", class_name(outcome->error_class));
    done(user);
}

static void on_refused(void *user, uint64_t batch, unsigned error_code,
                       const char *detail, uint32_t retry_after_ms)
{
    (void)user;
    (void)batch;
    (void)retry_after_ms;
    bench_die("refused: %s (%s)", error_info(error_code)->name, detail);
}

static void on_rejected(void *user, unsigned error_code, const char *detail)
{
    on_refused(user, 0, error_code, detail, 0);
}

static int run(struct timer *t, const char *name)
{
    struct peer_options options = {
        .endpoint = t->args->endpoint,
        .role = "client",
        .name = "bench",
        .user = t,
        .on_joined = on_joined,
        .on_published = on_published,
        .on_outcome = on_outcome,
        .on_refused = on_refused,
        .on_rejected = on_rejected,
    };
    int status;

    t->times = mem_array(t->args->events, sizeof(*t->times));
    bench_join(&t->world, &options);
    status = loop_run(t->world.loop);
    bench_leave(&t->world);
    bench_percentiles(name, t->times, t->args->events);
    free(t->times);
    buf_fini(&t->batch);
    return status;
}

int bench_latency(const struct bench_args *args)
{
    char *data = mem_alloc(args->size + 1);
    struct timer t = {
        .args = args, .type = "ticket.made", .data = data, .kind = RECORD_FACT};
    int status;

    bench_fill((uint8_t *)data, args->size);
    status = run(&t, "ack");
    free(data);
    return status;
}

int bench_call(const struct bench_args *args)
{
    struct timer t = {
        .args = args,
        .type = "payment.charge.requested",
        .data =
            "{\"amount\":2000,\"currency\":\"usd\",\"payment_method\":\"pm_card_visa\"}",
        .kind = RECORD_REQUEST,
        .is_call = true,
    };

    return run(&t, "call");
}

/* A block of one event of `size` bytes, into `block` (cleared). */
static const struct block *make_block(struct buf *block, const struct log_head *head,
                                      const uint8_t *data, uint32_t size)
{
    uint8_t id[16];
    struct record_parts parts = {.kind = RECORD_FACT,
                                 .type = "ticket.made",
                                 .id = id,
                                 .data = data,
                                 .data_len = size};
    struct block *b;

    buf_clear(block);
    buf_add(block, NULL, sizeof(struct block));
    id_new(clock_wall_us(), id);
    if (record_add(block, &parts) < 0)
        bench_die("--size: an event of this size is not possible");
    b = (struct block *)block->bytes;
    b->number = head->number + 1;
    b->prev_crc = head->crc;
    b->term = 1;
    b->timestamp_us = clock_wall_us();
    b->count = b->events = 1;
    b->version = 1;
    b->facts_total = b->number;
    block_seal(b, block->len);
    return b;
}

int bench_commit(const struct bench_args *args)
{
    struct store_options options = {
        .dir = args->dir, .segment_size = 256 << 20, .reserve_bytes = 1 << 20};
    uint64_t *times = mem_array(args->events, sizeof(*times));
    uint8_t *data = mem_alloc(args->size);
    struct buf bytes = BUF_NULL;
    struct log_head head;
    char error[256];
    struct store *store = store_open(&options, error, sizeof(error));
    int prepared = STORE_MORE;

    if (!store)
        bench_die("%s", error);
    while (prepared == STORE_MORE) /* written ahead, as the logger's housekeeper does */
        prepared = store_prepare(store);
    if (prepared != STORE_OK || store_fence(store, 1) != STORE_OK)
        bench_die("%s", store_error(store));
    for (uint64_t i = 0; i < args->events + WARM_UP; i++) {
        store_head(store, &head);
        const struct block *block = make_block(&bytes, &head, data, args->size);
        uint64_t began = bench_now();

        if (store_append(store, &block, 1) != STORE_OK)
            bench_die("%s", store_error(store));
        if (i >= WARM_UP)
            times[i - WARM_UP] = bench_now() - began;
    }
    bench_percentiles("commit", times, args->events);
    store_close(store);
    buf_fini(&bytes);
    free(data);
    free(times);
    return 0;
}
