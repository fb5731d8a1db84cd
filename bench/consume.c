/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* consume - the connector `bench`: every request at once has a Success outcome; done when
 * the last one is settled */
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

enum { RESULT_BYTES = 256 << 10 };

/* The operation may be repeated: one that may not is begun on record (broker/start.c),
 * a commit before each attempt, which is another measure. */
static const char manifest[] =
    "{\"name\":\"bench\",\"version\":\"1\",\"operations\":[{"
    "\"name\":\"work\",\"repeat\":\"safe\"}],\"webhooks\":[],\"publishes\":[]}";

struct consumer {
    struct bench_world world;
    const struct bench_args *args;
    struct buf outcomes;
    uint32_t n_outcomes;
    uint64_t settled;
    uint64_t sizes[65536]; /* outcomes of result n at n % 65536 */
};

static void send_outcomes(struct consumer *c)
{
    uint64_t number;

    if (!c->n_outcomes)
        return;
    number = peer_result(c->world.peer, c->outcomes.bytes, c->outcomes.len);
    c->sizes[number % 65536] = c->n_outcomes;
    c->n_outcomes = 0;
    buf_clear(&c->outcomes);
}

static void add_outcome(struct consumer *c, const struct slice *slice, uint32_t index,
                        const struct record *request, uint64_t now)
{
    uint8_t id[16];
    struct record_parts parts = {
        .kind = RECORD_OUTCOME,
        .status = STATUS_SUCCESS,
        .type = "bench.work.succeeded",
        .id = id,
        .cause = request->id,
        .attempt = (uint8_t)slice->attempt,
        .settles = {slice->block, index},
        .integration = request->integration,
    };

    id_new(now, id);
    if (record_add(&c->outcomes, &parts) < 0)
        bench_die("an outcome could not be made");
    c->n_outcomes++;
}

static void on_deliver(void *user, const struct message *deliver)
{
    struct consumer *c = user;
    const struct slice *slice = NULL;
    const struct record *r;
    const char *why = NULL;
    uint64_t now = clock_wall_us();

    while ((slice = message_slice(deliver, slice, &r, &why))) {
        for (uint32_t i = 0; i < slice->count; i++, r = record_after(r)) {
            add_outcome(c, slice, slice->index + i, r, now);
            if (c->outcomes.len >= RESULT_BYTES)
                send_outcomes(c);
        }
    }
    if (why)
        bench_die("a damaged delivery: %s", why);
    send_outcomes(c);
}

static void on_settled(void *user, uint64_t batch)
{
    struct consumer *c = user;

    c->settled += c->sizes[batch % 65536];
    if (c->settled < c->args->events)
        return;
    bench_say("settled", bench_now());
    loop_stop(c->world.loop, 0);
}

static void on_joined(void *user)
{
    (void)user;
    bench_say("joined", bench_now());
}

static void on_rejected(void *user, unsigned error_code, const char *detail)
{
    (void)user;
    bench_die("not joined: %s (%s)", error_info(error_code)->name, detail);
}

static void on_refused(void *user, uint64_t batch, unsigned error_code,
                       const char *detail, uint32_t retry_after_ms)
{
    (void)user;
    (void)batch;
    (void)retry_after_ms;
    bench_die("a result was refused: %s (%s)", error_info(error_code)->name, detail);
}

int bench_consume(const struct bench_args *args)
{
    struct consumer *c = mem_alloc(sizeof(*c));
    struct peer_options options = {
        .endpoint = args->endpoint,
        .role = "connector",
        .name = "load",
        .group = "load",
        .key = args->key,
        .manifest = manifest,
        .user = c,
        .on_joined = on_joined,
        .on_deliver = on_deliver,
        .on_settled = on_settled,
        .on_refused = on_refused,
        .on_rejected = on_rejected,
    };
    int status;

    c->args = args;
    bench_join(&c->world, &options);
    status = loop_run(c->world.loop);
    bench_leave(&c->world);
    buf_fini(&c->outcomes);
    free(c);
    return status;
}
