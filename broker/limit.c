/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/limit.h"

#define SECOND_US 1e6
#define BURST_S   0.1  /* of saving up */
#define WHOLE     1e-6 /* what adding up may lose of a token */

static double burst(double rate)
{
    return rate * BURST_S > 1 ? rate * BURST_S : 1;
}

static void fill(struct limit *limit, uint64_t steady_us)
{
    if (limit->filled_us == 0)
        limit->filled_us = steady_us;
    limit->tokens += (double)(steady_us - limit->filled_us) * limit->rate / SECOND_US;
    if (limit->tokens > burst(limit->rate))
        limit->tokens = burst(limit->rate);
    limit->filled_us = steady_us;
}

bool limit_is_slow(const struct limit *limit)
{
    return limit->rate > 0 && limit->rate < 1;
}

void limit_resume(struct limit *limit, uint64_t ago_us)
{
    double saved = (double)ago_us * limit->rate / SECOND_US;

    if (limit_is_slow(limit))
        limit->tokens = saved < 1 ? saved : 1;
}

void limit_set(struct limit *limit, double rate, uint32_t concurrency, uint64_t steady_us)
{
    fill(limit, steady_us);
    limit->rate = rate;
    limit->concurrency = concurrency || rate <= 0 ? concurrency : LIMIT_CONCURRENCY;
    if (limit->tokens > burst(rate))
        limit->tokens = burst(rate);
}

uint64_t limit_next_us(struct limit *limit, uint64_t steady_us)
{
    if (limit->rate <= 0)
        return steady_us;
    fill(limit, steady_us);
    if (limit->tokens >= 1 - WHOLE)
        return steady_us;
    return steady_us + 1 + (uint64_t)((1 - limit->tokens) / limit->rate * SECOND_US);
}

void limit_take(struct limit *limit)
{
    limit->tokens -= 1;
}
