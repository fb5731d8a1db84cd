/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* producers - which batches there were of whom, so that one sent again is not stored
 * again: an open table by instance */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"

enum {
    FORGET_EVERY = CORE_PRODUCERS_MAX / 4, /* more than the most: those away go */
};

static size_t home(const struct core *core, const uint8_t instance[16])
{
    uint64_t hash;

    memcpy(&hash, instance + 8, sizeof(hash));
    return (size_t)((hash ^ core->random_mix) * 0x9e3779b97f4a7c15u >> 20) &
           (core->cap_producers - 1);
}

static void grow_producers(struct core *core, size_t cap)
{
    struct producer **old = core->producers;
    size_t old_cap = core->cap_producers;

    core->producers = mem_array(cap, sizeof(struct producer *));
    core->cap_producers = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (!old[i])
            continue;
        size_t at = home(core, old[i]->instance);
        while (core->producers[at])
            at = (at + 1) & (cap - 1);
        core->producers[at] = old[i];
    }
    free(old);
}

bool numbers_have(const struct numbers *numbers, uint64_t number)
{
    if (number > numbers->highest)
        return false;
    if (numbers->highest - number >= PRODUCER_NUMBERS)
        return true;
    number %= PRODUCER_NUMBERS;
    return numbers->mask[number / 64] >> number % 64 & 1;
}

void numbers_add(struct numbers *numbers, uint64_t number)
{
    uint64_t skipped = number > numbers->highest ? number - numbers->highest : 0;

    if (skipped >= PRODUCER_NUMBERS)
        memset(numbers->mask, 0, sizeof(numbers->mask));
    for (uint64_t n = numbers->highest + 1; skipped < PRODUCER_NUMBERS && n < number; n++)
        numbers->mask[n % PRODUCER_NUMBERS / 64] &= ~(UINT64_C(1) << n % 64);
    if (number > numbers->highest)
        numbers->highest = number;
    numbers->mask[number % PRODUCER_NUMBERS / 64] |= UINT64_C(1) << number % 64;
}

struct producer *producer_get(struct core *core, const uint8_t instance[16], bool make)
{
    if (make && core->n_producers > CORE_PRODUCERS_MAX &&
        core->n_producers % FORGET_EVERY == 0)
        producers_forget(core);
    if (core->n_producers * 2 >= core->cap_producers)
        grow_producers(core, core->cap_producers ? core->cap_producers * 2 : 64);
    size_t at = home(core, instance);
    for (; core->producers[at]; at = (at + 1) & (core->cap_producers - 1))
        if (memcmp(core->producers[at]->instance, instance, 16) == 0)
            return core->producers[at];
    if (!make)
        return NULL;
    struct producer *producer = mem_alloc(sizeof(*producer));
    memcpy(producer->instance, instance, 16);
    producer->used_us = core->steady_us;
    core->producers[at] = producer;
    core->n_producers++;
    return producer;
}

void producer_free(struct producer *producer)
{
    if (producer)
        free(producer->recent);
    free(producer);
}

void producer_note(struct producer *producer, const struct batch_at *at)
{
    if (!producer->recent)
        producer->recent = mem_array(PRODUCER_RECENT, sizeof(*producer->recent));
    producer->recent[at->number % PRODUCER_RECENT] = *at;
}

const struct batch_at *producer_place(const struct producer *producer, uint64_t number)
{
    const struct batch_at *at =
        producer->recent ? &producer->recent[number % PRODUCER_RECENT] : NULL;

    return at && at->number == number ? at : NULL;
}

/* --- forgetting --- */

static void see_present(struct core *core)
{
    for (size_t i = 0; i < core->n_sessions; i++) {
        struct producer *producer =
            core->sessions[i] ? producer_get(core, core->sessions[i]->instance, false)
                              : NULL;
        if (producer)
            producer->used_us = core->steady_us;
    }
}

static bool is_away(const struct core *core, const struct producer *p, uint64_t seconds)
{
    return p->used_us + seconds * 1000000 <= core->steady_us &&
           p->staged.highest <= p->committed.highest;
}

static int by_time(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

/* When the last one of the `excess` longest absent was there. */
static uint64_t last_of_excess(const struct core *core, size_t excess)
{
    uint64_t *times = mem_array(core->n_producers, sizeof(*times));
    size_t n = 0;

    for (size_t i = 0; i < core->cap_producers; i++)
        if (core->producers[i])
            times[n++] = core->producers[i]->used_us;
    qsort(times, n, sizeof(*times), by_time);
    uint64_t last = times[excess - 1];
    free(times);
    return last;
}

/* One that has said nothing that is in the log can be known anew. */
static bool is_over(const struct core *core, const struct producer *p)
{
    return is_away(core, p, CORE_PRODUCERS_IDLE_S) ||
           (p->committed.highest == 0 && is_away(core, p, CORE_PRODUCERS_LATE_S));
}

void producers_forget(struct core *core)
{
    see_present(core);
    size_t n = core->n_producers,
           excess = n > CORE_PRODUCERS_MAX ? n - CORE_PRODUCERS_MAX : 0;
    uint64_t until_us = excess ? last_of_excess(core, excess) : 0;

    for (size_t i = 0; i < core->cap_producers; i++) {
        struct producer *p = core->producers[i];
        if (!p || !is_away(core, p, CORE_PRODUCERS_LATE_S))
            continue;
        bool is_excess = excess > 0 && p->used_us <= until_us;
        free(p->recent);
        p->recent = NULL;
        if (!is_excess && !is_over(core, p))
            continue;
        excess -= is_excess;
        producer_free(p);
        core->producers[i] = NULL;
        core->n_producers--;
    }
    if (core->cap_producers)
        grow_producers(core, core->cap_producers); /* closes the gaps */
}
