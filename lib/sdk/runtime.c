/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/runtime.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "lib/base/kill.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/sdk/call.h"
#include "lib/sdk/carry.h"

/* One delivery in hand. */
struct job {
    struct job *prev, *next;
    struct runtime *runtime;
    struct call *call;
    struct carry *carry; /* NULL while it waits */
};

struct queue {
    struct job *first, *last;
    unsigned count;
};

/* Results that were sent and not yet answered: kept because a refusal is for all of them.
 */
struct batch {
    struct batch *next;
    uint64_t number;
    struct buf records;
    size_t *ends; /* of each group in `records` */
    size_t n;
};

struct runtime {
    struct loop *loop;
    struct carrier carrier;
    const struct integration *integration;
    struct runtime_bus bus;
    unsigned concurrency;
    struct queue waiting, running;
    struct batch *open;    /* being filled, not sent */
    struct batch *pending; /* sent, oldest first */
    struct loop_timer *flush, *lease;
    bool is_stopping;
    void (*stopped)(void *user);
    void *stopped_user;
};

/* --- queues --- */

static void queue_add(struct queue *queue, struct job *job)
{
    job->prev = queue->last;
    job->next = NULL;
    *(queue->last ? &queue->last->next : &queue->first) = job;
    queue->last = job;
    queue->count++;
}

static void queue_take(struct queue *queue, struct job *job)
{
    *(job->prev ? &job->prev->next : &queue->first) = job->next;
    *(job->next ? &job->next->prev : &queue->last) = job->prev;
    queue->count--;
}

static struct job *queue_find(const struct queue *queue, struct position position)
{
    for (struct job *job = queue->first; job; job = job->next) {
        struct position held = call_position(job->call);
        if (held.block == position.block && held.index == position.index)
            return job;
    }
    return NULL;
}

static void job_free(struct job *job)
{
    call_free(job->call);
    free(job);
}

static void drop(struct queue *queue, struct job *job)
{
    queue_take(queue, job);
    carry_drop(job->carry);
    job_free(job);
}

static void queue_drop(struct queue *queue)
{
    while (queue->first)
        drop(queue, queue->first);
}

/* --- results, batched --- */

static void batch_free(struct batch *batch)
{
    buf_fini(&batch->records);
    free(batch->ends);
    free(batch);
}

static void send_batch(struct runtime *runtime, struct batch *batch)
{
    struct batch **end = &runtime->pending;

    KILL_POINT(connector_sends_result);
    batch->number =
        runtime->bus.result(runtime->bus.user, batch->records.bytes, batch->records.len);
    KILL_POINT(connector_sent_result);
    while (*end)
        end = &(*end)->next;
    *end = batch;
}

static void send_open(struct runtime *runtime)
{
    struct batch *batch = runtime->open;

    loop_timer_stop(runtime->flush);
    runtime->open = NULL;
    if (batch)
        send_batch(runtime, batch);
}

static void add_group(struct runtime *runtime, const void *records, size_t n)
{
    if (runtime->open && runtime->open->records.len + n > RECORD_GROUP_MAX)
        send_open(runtime);
    if (!runtime->open)
        runtime->open = mem_alloc(sizeof(*runtime->open));
    struct batch *batch = runtime->open;
    buf_add(&batch->records, records, n);
    batch->ends = mem_resize(batch->ends, (batch->n + 1) * sizeof(*batch->ends));
    batch->ends[batch->n++] = batch->records.len;
    if (batch->records.len >= RUNTIME_BATCH_MAX)
        send_open(runtime);
    else if (!loop_timer_is_set(runtime->flush))
        loop_timer_in(runtime->flush,
                      0); /* the next turn: all that ends in this one goes together */
}

static void check_stopped(struct runtime *runtime)
{
    void (*stopped)(void *user) = runtime->stopped;

    if (!runtime->is_stopping || runtime->running.count || runtime->open ||
        runtime->pending || !stopped)
        return;
    runtime->stopped = NULL;
    stopped(runtime->stopped_user);
}

static void flush_due(void *user)
{
    send_open(user);
}

static struct batch *take_pending(struct runtime *runtime, uint64_t number)
{
    for (struct batch **at = &runtime->pending; *at; at = &(*at)->next)
        if ((*at)->number == number) {
            struct batch *batch = *at;
            *at = batch->next;
            batch->next = NULL;
            return batch;
        }
    return NULL;
}

void runtime_settled(struct runtime *runtime, uint64_t number)
{
    struct batch *batch = take_pending(runtime, number);

    if (batch)
        batch_free(batch);
    check_stopped(runtime);
}

void runtime_refused(struct runtime *runtime, uint64_t number, const char *detail)
{
    struct batch *batch = take_pending(runtime, number);

    if (!batch)
        return;
    if (batch->n == 1) /* an outcome that came too late: the event is somebody else's by
                          now, or settled */
        log_say(BATCH_REFUSED, "result=%" PRIu64 " reason=\"%s\"", number, detail);
    for (size_t i = 0, start = 0; batch->n > 1 && i < batch->n;
         start = batch->ends[i++]) {
        struct batch *single = mem_alloc(sizeof(*single));
        buf_add(&single->records, batch->records.bytes + start, batch->ends[i] - start);
        single->ends = mem_alloc(sizeof(*single->ends));
        single->ends[0] = single->records.len;
        single->n = 1;
        send_batch(runtime, single);
    }
    batch_free(batch);
    check_stopped(runtime);
}

/* --- jobs --- */

static void tell_secrets(struct runtime *runtime, const struct call *call)
{
    size_t n;
    const char *const *names = call_secrets(call, &n);

    for (size_t i = 0; runtime->bus.used && i < n; i++)
        runtime->bus.used(runtime->bus.user, names[i]);
}

static void finish(struct runtime *runtime, struct job *job)
{
    static const char *const results[] = {"success", "failed", "retry"};
    struct buf records = BUF_NULL;

    call_write(job->call, loop_wall_us(runtime->loop), &records);
    if (call_result(job->call) != CALL_SUCCESS)
        log_say(CALL_FAILED, "event=%s result=%s class=%s reason=\"%s\"",
                call_id(job->call), results[call_result(job->call)],
                class_name(call_class(job->call)), call_message(job->call));
    else
        tell_secrets(runtime, job->call);
    add_group(runtime, records.bytes, records.len);
    buf_fini(&records);
    job_free(job);
}

static void pump(struct runtime *runtime);

static void carried(void *user, bool has_more)
{
    struct job *job = user;
    struct runtime *runtime = job->runtime;

    job->carry = NULL;
    KILL_POINT(connector_called);
    if (has_more) {
        job->carry = carry_start(&runtime->carrier, job->call, carried, job);
        return;
    }
    queue_take(&runtime->running, job);
    finish(runtime, job);
    pump(runtime);
    check_stopped(runtime);
}

static void start(struct runtime *runtime, struct job *job)
{
    KILL_POINT(connector_took_event);
    queue_take(&runtime->waiting, job);
    runtime->bus.started(runtime->bus.user, call_position(job->call));
    if (!call_begin(job->call, loop_wall_us(runtime->loop))) {
        finish(runtime, job);
        return;
    }
    queue_add(&runtime->running, job);
    job->carry = carry_start(&runtime->carrier, job->call, carried, job);
}

static void pump(struct runtime *runtime)
{
    while (runtime->waiting.first && runtime->running.count < runtime->concurrency &&
           !runtime->is_stopping)
        start(runtime, runtime->waiting.first);
}

static void take(struct runtime *runtime, const struct slice *slice, uint32_t offset,
                 const struct record *record)
{
    struct position position = {.block = slice->block, .index = slice->index + offset};

    if (queue_find(&runtime->running, position) ||
        queue_find(&runtime->waiting, position))
        return; /* it came again after a reconnect and is in hand */
    struct job *job = mem_alloc(sizeof(*job));
    job->runtime = runtime;
    job->call = call_new(runtime->integration, record, position, slice->timestamp_us,
                         slice->attempt, slice->flags & SLICE_DOUBT);
    queue_add(&runtime->waiting, job);
}

void runtime_deliver(struct runtime *runtime, const struct message *deliver)
{
    const struct record *record;
    const char *why = NULL;

    for (const struct slice *slice = NULL;
         (slice = message_slice(deliver, slice, &record, &why));)
        for (uint32_t i = 0; i < slice->count; i++, record = record_after(record))
            take(runtime, slice, i, record);
    if (why)
        log_say(BUS_GARBAGE, "what=delivery reason=\"%s\"", why);
    pump(runtime);
}

/* --- the link --- */

static void lease_over(void *user)
{
    struct runtime *runtime = user;

    log_say(LINK_DOWN, "to=broker what=\"%u calls are dropped, their leases are over\"",
            runtime->running.count);
    queue_drop(&runtime->running);
    check_stopped(runtime);
}

/* What has not begun is the broker's again (peer.h): kept, it would be called twice. */
void runtime_down(struct runtime *runtime)
{
    queue_drop(&runtime->waiting);
    queue_drop(&runtime->waiting);
    if (!loop_timer_is_set(runtime->lease))
        loop_timer_in(runtime->lease, RUNTIME_LEASE_US);
}

void runtime_joined(struct runtime *runtime)
{
    loop_timer_stop(runtime->lease);
}

void runtime_lost(struct runtime *runtime, struct position position)
{
    struct job *job = queue_find(&runtime->running, position);

    if (!job)
        return;
    log_say(CALL_FAILED, "event=%s result=dropped reason=\"its lease is over\"",
            call_id(job->call));
    drop(&runtime->running, job);
    pump(runtime);
    check_stopped(runtime);
}

/* --- life --- */

struct runtime *runtime_new(struct loop *loop, struct http_client *http,
                            const struct integration *integration, unsigned concurrency,
                            const struct runtime_bus *bus)
{
    struct runtime *runtime = mem_alloc(sizeof(*runtime));

    runtime->loop = loop;
    carrier_init(&runtime->carrier, loop, http);
    runtime->integration = integration;
    runtime->bus = *bus;
    runtime->concurrency = concurrency ? concurrency : RUNTIME_CONCURRENCY;
    runtime->flush = loop_timer_new(loop, flush_due, runtime);
    runtime->lease = loop_timer_new(loop, lease_over, runtime);
    return runtime;
}

void runtime_set_workers(struct runtime *runtime, struct workers *workers)
{
    runtime->carrier.workers = workers;
}

void runtime_set_tap(struct runtime *runtime, const struct carry_tap *tap)
{
    runtime->carrier.tap = tap;
}

void runtime_free(struct runtime *runtime)
{
    if (!runtime)
        return;
    queue_drop(&runtime->running);
    queue_drop(&runtime->waiting);
    for (struct batch *batch; (batch = runtime->pending);) {
        runtime->pending = batch->next;
        batch_free(batch);
    }
    if (runtime->open)
        batch_free(runtime->open);
    carrier_fini(&runtime->carrier);
    loop_timer_free(runtime->flush);
    loop_timer_free(runtime->lease);
    free(runtime);
}

void runtime_stop(struct runtime *runtime, void (*stopped)(void *user), void *user)
{
    runtime->is_stopping = true;
    runtime->stopped = stopped;
    runtime->stopped_user = user;
    queue_drop(&runtime->waiting); /* BYE gives them to others */
    check_stopped(runtime);
}

unsigned runtime_running(const struct runtime *runtime)
{
    return runtime->running.count;
}

unsigned runtime_waiting(const struct runtime *runtime)
{
    return runtime->waiting.count;
}
