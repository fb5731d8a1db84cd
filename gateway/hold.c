/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/hold.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/batch.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"

enum { TICK_US = 50 * 1000 };

struct lane {
    bool waits;
    struct batch_queue ready, sent;
    struct batch *open; /* collecting; goes behind those that are ready */
    unsigned n_sent;
};

struct hold {
    struct loop *loop;
    struct hold_bus bus;
    struct lane lanes[2];
    struct loop_timer *flush, *tick;
    struct batch_pool pool;
    unsigned n_entries;
};

/* --- answering --- */

static void answer(struct hold *hold, struct batch_entry *entry,
                   const struct hold_result *result)
{
    hold_fn fn = entry->fn;
    if (!fn)
        return;
    entry->fn = NULL;
    hold->n_entries--;
    fn(entry->user, result);
}

static void answer_all(struct hold *hold, struct batch *batch,
                       const struct hold_result *result)
{
    for (size_t i = batch->gone; i < batch->n; i++)
        answer(hold, &batch->entries[i], result);
}

static const struct hold_result away = {
    .error = ERR_unavailable,
    .detail = "the broker or the log did not answer in time",
};

/* --- sending --- */

static bool send_batch(struct hold *hold, struct lane *lane, struct batch *batch)
{
    size_t from = batch->entries[batch->gone].offset;
    batch->number = hold->bus.publish(hold->bus.user, batch->records.bytes + from,
                                      batch->records.len - from, lane->waits);
    if (batch->number == 0) /* the window is full */
        return false;
    batch_push(&lane->sent, batch);
    lane->n_sent++;
    return true;
}

static void flush_lane(struct hold *hold, struct lane *lane)
{
    while (lane->n_sent < HOLD_BATCHES_MAX) {
        struct batch *batch = batch_pop(&lane->ready);
        if (!batch) {
            batch = lane->open;
            lane->open = NULL;
        }
        if (!batch)
            return;
        if (batch->gone == batch->n) {
            batch_free(&hold->pool, batch);
        } else if (!send_batch(hold, lane, batch)) {
            batch_push_front(&lane->ready, batch);
            return;
        }
    }
}

static void on_flush(void *user)
{
    struct hold *hold = user;
    if (!hold->bus.is_joined(hold->bus.user))
        return;
    flush_lane(hold, &hold->lanes[0]);
    flush_lane(hold, &hold->lanes[1]);
}

bool hold_add(struct hold *hold, const void *records, size_t n, uint32_t events,
              bool waits, hold_fn fn, void *user)
{
    if (hold->pool.bytes + n > HOLD_BYTES_MAX)
        return false;
    struct lane *lane = &hold->lanes[waits];
    if (lane->open && lane->open->records.len + n > HOLD_BATCH_SIZE) {
        batch_push(&lane->ready, lane->open);
        lane->open = NULL;
    }
    if (!lane->open)
        lane->open = batch_new(&hold->pool);
    struct batch_entry entry = {
        .fn = fn, .user = user, .events = events, .since_us = loop_steady_us(hold->loop)};
    batch_add(&hold->pool, lane->open, &entry, records, n);
    hold->n_entries++;
    if (!loop_timer_is_set(hold->flush))
        loop_timer_in(hold->flush, 0);
    if (!loop_timer_is_set(hold->tick))
        loop_timer_in(hold->tick, TICK_US);
    return true;
}

unsigned hold_count(const struct hold *hold)
{
    return hold->n_entries;
}

/* --- time --- */

/* Entries stand in the order of arrival: give up those at the front. They are never sent.
 */
static void expire_unsent(struct hold *hold, struct batch *batch, uint64_t now_us)
{
    while (batch->gone < batch->n &&
           batch->entries[batch->gone].since_us + HOLD_US <= now_us)
        answer(hold, &batch->entries[batch->gone++], &away);
}

static void expire_sent(struct hold *hold, struct batch *batch, uint64_t now_us)
{
    for (size_t i = batch->gone;
         i < batch->n && batch->entries[i].since_us + HOLD_ANSWER_US <= now_us; i++)
        answer(hold, &batch->entries[i], &away);
}

static void expire_lane(struct hold *hold, struct lane *lane, uint64_t now_us)
{
    for (struct batch *b = lane->sent.first; b; b = b->next)
        expire_sent(hold, b, now_us);
    for (struct batch *b = lane->ready.first; b; b = b->next)
        expire_unsent(hold, b, now_us);
    while (lane->ready.first && lane->ready.first->gone == lane->ready.first->n)
        batch_free(&hold->pool, batch_pop(&lane->ready));
    struct batch *open = lane->open;
    if (!open)
        return;
    expire_unsent(hold, open, now_us);
    if (open->gone == open->n) {
        lane->open = NULL;
        batch_free(&hold->pool, open);
    }
}

static void on_tick(void *user)
{
    struct hold *hold = user;
    uint64_t now_us = loop_steady_us(hold->loop);
    expire_lane(hold, &hold->lanes[0], now_us);
    expire_lane(hold, &hold->lanes[1], now_us);
    on_flush(hold);
    if (hold->pool.bytes > 0)
        loop_timer_in(hold->tick, TICK_US);
}

/* --- from the bus --- */

void hold_joined(struct hold *hold)
{
    on_flush(hold);
}

static struct batch *take_sent(struct hold *hold, uint64_t number, struct lane **ret_lane)
{
    for (int i = 0; i < 2; i++) {
        struct batch_queue *sent = &hold->lanes[i].sent;
        for (struct batch **at = &sent->first; *at; at = &(*at)->next) {
            struct batch *batch = *at;
            if (batch->number != number)
                continue;
            *at = batch->next;
            if (sent->last == &batch->next)
                sent->last = at;
            hold->lanes[i].n_sent--;
            *ret_lane = &hold->lanes[i];
            return batch;
        }
    }
    return NULL;
}

void hold_published(struct hold *hold, uint64_t number, const struct published *published,
                    const struct verdict *verdicts, uint32_t n)
{
    struct lane *lane = NULL;
    struct batch *batch = take_sent(hold, number, &lane);
    if (!batch)
        return;
    uint32_t base = batch->entries[batch->gone].first, events = batch->events - base;
    const struct verdict **by_event = n ? mem_array(events, sizeof(*by_event)) : NULL;
    for (uint32_t i = 0; i < n; i++)
        if (verdicts[i].index < events)
            by_event[verdicts[i].index] = &verdicts[i];
    for (size_t i = batch->gone; i < batch->n; i++) {
        struct batch_entry *entry = &batch->entries[i];
        uint32_t first = entry->first - base;
        struct hold_result result = {.is_place_unknown = published->block == 0,
                                     .batch = number,
                                     .first = first,
                                     .verdicts = by_event ? by_event + first : NULL};
        answer(hold, entry, &result);
    }
    free(by_event);
    batch_free(&hold->pool, batch);
    on_flush(hold);
}

/* The entries from `from` to `to` as a batch of their own, at the front. */
static void requeue(struct hold *hold, struct lane *lane, const struct batch *batch,
                    size_t from, size_t to)
{
    struct batch *part = batch_new(&hold->pool);
    for (size_t i = from; i < to; i++)
        if (batch->entries[i].fn)
            batch_add(&hold->pool, part, &batch->entries[i],
                      batch->records.bytes + batch->entries[i].offset,
                      batch_entry_len(batch, i));
    if (part->n > 0)
        batch_push_front(&lane->ready, part);
    else
        batch_free(&hold->pool, part);
}

/* Is it the bus that cannot take anything now, rather than one event that is not taken?
 */
static bool is_passing(unsigned error)
{
    return error == ERR_window_exceeded || error == ERR_not_joined ||
           error == ERR_shutting_down;
}

static bool concerns_all(unsigned error)
{
    return error == ERR_overloaded || error == ERR_log_full || error == ERR_unavailable ||
           error == ERR_bad_identity;
}

/* The broker's `event N: ` counts within a batch that its sender does not know. */
static const char *without_number(const char *detail)
{
    if (!detail || strncmp(detail, "event ", 6) != 0)
        return detail;
    size_t digits = strspn(detail + 6, "0123456789");
    const char *rest = detail + 6 + digits;
    return digits && !strncmp(rest, ": ", 2) ? rest + 2 : detail;
}

void hold_refused(struct hold *hold, uint64_t number, unsigned error, const char *detail,
                  uint32_t retry_after_ms)
{
    struct lane *lane = NULL;
    struct batch *batch = take_sent(hold, number, &lane);
    if (!batch)
        return;
    size_t live = batch->n - batch->gone, middle = batch->gone + live / 2;
    if (is_passing(error)) {
        requeue(hold, lane, batch, batch->gone, batch->n); /* the tick tries again */
    } else if (live > 1 && !concerns_all(error)) {
        requeue(hold, lane, batch, middle, batch->n);
        requeue(hold, lane, batch, batch->gone, middle);
    } else {
        struct hold_result result = {.error = error,
                                     .detail = without_number(detail),
                                     .retry_after_ms = retry_after_ms};
        answer_all(hold, batch, &result);
    }
    batch_free(&hold->pool, batch);
    if (!is_passing(error))
        on_flush(hold);
}

/* The steady time since which the batch's first waits; UINT64_MAX: nobody does. */
static uint64_t since(const struct batch *batch)
{
    return batch && batch->gone < batch->n ? batch->entries[batch->gone].since_us
                                           : UINT64_MAX;
}

uint64_t hold_oldest_us(const struct hold *hold)
{
    uint64_t oldest_us = UINT64_MAX;
    for (int i = 0; i < 2; i++) {
        const struct lane *lane = &hold->lanes[i];
        const struct batch *firsts[] = {lane->sent.first, lane->ready.first, lane->open};
        for (int k = 0; k < 3; k++)
            if (since(firsts[k]) < oldest_us)
                oldest_us = since(firsts[k]);
    }
    return oldest_us;
}

/* --- life --- */

struct hold *hold_new(struct loop *loop, const struct hold_bus *bus)
{
    struct hold *hold = mem_alloc(sizeof(*hold));
    hold->loop = loop;
    hold->bus = *bus;
    for (int i = 0; i < 2; i++) {
        struct lane *lane = &hold->lanes[i];
        lane->waits = i == 1;
        batch_queue_init(&lane->ready);
        batch_queue_init(&lane->sent);
    }
    hold->flush = loop_timer_new(loop, on_flush, hold);
    hold->tick = loop_timer_new(loop, on_tick, hold);
    return hold;
}

static void drop_all(struct hold *hold, struct batch *first)
{
    const struct hold_result result = {.error = ERR_shutting_down};
    while (first) {
        struct batch *batch = first;
        first = batch->next;
        answer_all(hold, batch, &result);
        batch_free(&hold->pool, batch);
    }
}

void hold_free(struct hold *hold)
{
    if (!hold)
        return;
    for (int i = 0; i < 2; i++) {
        drop_all(hold, hold->lanes[i].ready.first);
        drop_all(hold, hold->lanes[i].sent.first);
        drop_all(hold, hold->lanes[i].open);
    }
    batch_pool_fini(&hold->pool);
    loop_timer_free(hold->flush);
    loop_timer_free(hold->tick);
    free(hold);
}
