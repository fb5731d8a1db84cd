/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* producers - which batches there were of whom, so that one sent again is not stored
 * again: an open table by instance */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"

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

static bool has_session(const struct core *core, const uint8_t instance[16])
{
    for (size_t i = 0; i < core->n_sessions; i++)
        if (core->sessions[i] && memcmp(core->sessions[i]->instance, instance, 16) == 0)
            return true;
    return false;
}

void producers_forget(struct core *core)
{
    size_t kept = 0;

    for (size_t i = 0; i < core->cap_producers; i++) {
        struct producer *p = core->producers[i];
        if (!p)
            continue;
        if (p->used_us + CORE_PRODUCERS_IDLE_US > core->steady_us ||
            p->staged.highest > p->committed.highest || has_session(core, p->instance)) {
            kept++;
            continue;
        }
        free(p);
        core->producers[i] = NULL;
    }
    core->n_producers = kept;
    if (core->cap_producers)
        grow_producers(core, core->cap_producers); /* closes the gaps */
}
