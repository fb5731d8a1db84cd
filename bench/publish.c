/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* publish - as many events as the window takes, in batches; done when the last batch is
 * committed */
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
#include "proto/record.h"

struct publisher {
    struct bench_world world;
    const struct bench_args *args;
    const char *type;
    enum record_kind kind;
    struct buf
        batch; /* a full one; only the ids change, and the keys when there are some */
    uint32_t per_batch;
    uint8_t *data;
    uint64_t sent, done;  /* events */
    uint64_t sizes[4096]; /* events of batch n at n % 4096: the window holds fewer batches
                             than that */
    uint64_t began;
    struct loop_timer *again; /* after a refusal that may be tried again */
};

static void add_event(struct publisher *p, uint64_t number)
{
    char key[24];
    uint8_t id[16];
    struct record_parts parts = {
        .kind = p->kind,
        .type = p->type,
        .id = id,
        .flags = RECORD_JSON,
        .key = p->args->keys ? key : NULL,
        .data = p->data,
        .data_len = p->args->size,
    };

    id_new(clock_wall_us(), id);
    snprintf(key, sizeof(key), "key-%llu",
             (unsigned long long)(p->args->keys ? number % p->args->keys : 0));
    if (record_add(&p->batch, &parts) < 0)
        bench_die("--size: an event of this size is not possible");
}

/* Fill the batch with n events from p->sent on: their ids, and with keys the whole
 * records. */
static void make_batch(struct publisher *p, uint32_t n)
{
    uint64_t now = clock_wall_us();
    struct record *r;

    if (p->args->keys || !p->batch.len) {
        buf_clear(&p->batch);
        for (uint32_t i = 0; i < n; i++)
            add_event(p, p->sent + i);
        return;
    }
    r = (struct record *)p->batch.bytes;
    for (uint32_t i = 0; i < n; i++, r = (struct record *)((uint8_t *)r + r->len))
        id_new(now, r->id);
    p->batch.len = (size_t)((uint8_t *)r - p->batch.bytes);
}

static void publish_more(struct publisher *p)
{
    while (p->sent < p->args->events) {
        uint64_t left = p->args->events - p->sent, number;
        uint32_t n = left < p->per_batch ? (uint32_t)left : p->per_batch;

        if (peer_window(p->world.peer) < p->args->batch * 2)
            return;
        make_batch(p, n);
        number = peer_publish(p->world.peer, p->batch.bytes, p->batch.len, false);
        if (!number)
            return;
        p->sizes[number % 4096] = n;
        p->sent += n;
    }
}

static void on_joined(void *user)
{
    struct publisher *p = user;

    if (!p->began) {
        p->began = bench_now();
        bench_say("start", p->began);
    }
    publish_more(p);
}

static void on_published(void *user, uint64_t batch, const struct published *published,
                         const struct verdict *verdicts, uint32_t n)
{
    struct publisher *p = user;

    (void)published;
    (void)verdicts;
    if (n)
        bench_die("%u events were called duplicates", n);
    p->done += p->sizes[batch % 4096];
    if (p->done < p->args->events) {
        publish_more(p);
        return;
    }
    bench_say("committed", bench_now());
    loop_stop(p->world.loop, 0);
}

static void on_again(void *user)
{
    publish_more(user);
}

/* Overload is the broker's way to slow a publisher down; anything else is the end. */
static void on_refused(void *user, uint64_t batch, unsigned error_code,
                       const char *detail, uint32_t retry_after_ms)
{
    struct publisher *p = user;

    if (!retry_after_ms)
        bench_die("refused: %s (%s)", error_info(error_code)->name, detail);
    p->sent -= p->sizes[batch % 4096];
    loop_timer_in(p->again, retry_after_ms * 1000ull);
}

static void on_rejected(void *user, unsigned error_code, const char *detail)
{
    (void)user;
    bench_die("not joined: %s (%s)", error_info(error_code)->name, detail);
}

static int run(const struct bench_args *args, const char *type, enum record_kind kind)
{
    struct publisher *p = mem_alloc(sizeof(*p));
    struct peer_options options = {
        .endpoint = args->endpoint,
        .role = "client",
        .name = "bench",
        .user = p,
        .on_joined = on_joined,
        .on_published = on_published,
        .on_refused = on_refused,
        .on_rejected = on_rejected,
    };
    int status;

    p->args = args;
    p->type = type;
    p->kind = kind;
    p->data = mem_alloc(args->size + 1);
    bench_fill(p->data, args->size);
    add_event(p, 0);
    p->per_batch =
        args->batch / (uint32_t)p->batch.len ? args->batch / (uint32_t)p->batch.len : 1;
    buf_clear(&p->batch);
    make_batch(p, p->per_batch);
    bench_join(&p->world, &options);
    p->again = loop_timer_new(p->world.loop, on_again, p);
    status = loop_run(p->world.loop);
    loop_timer_free(p->again);
    bench_leave(&p->world);
    buf_fini(&p->batch);
    free(p->data);
    free(p);
    return status;
}

int bench_publish(const struct bench_args *args)
{
    return run(args, "ticket.made", RECORD_FACT);
}

int bench_produce(const struct bench_args *args)
{
    return run(args, "bench.work.requested", RECORD_REQUEST);
}
