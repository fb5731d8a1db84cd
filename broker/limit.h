/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* limit - how fast and how many at one time: a token bucket and a count
 *
 * Both are over all sessions of an integration, and a delivery is a call: nothing is
 * handed over beforehand, so that what the broker counts is what the service sees.  The
 * bucket holds a tenth of a second's calls, at least one.
 *
 * A bucket of a slow rate, less than one call a second, never holds more than one: all
 * there is to know of it is when the last one was taken.  The gate puts that into the log
 * before the call goes out, so that `1/d` is one a day however often the broker starts. A
 * fast one begins empty: what was called just before is not known, and costs a second at
 * most. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
    LIMIT_CONCURRENCY = 32, /* where there is a rate and no concurrency: what the SDK runs
                               at one time, so that nothing handed over waits there and
                               starts in a burst */
};

struct limit {
    double rate;          /* calls a second; 0: no limit */
    uint32_t concurrency; /* calls at one time; 0: no limit */
    double tokens;
    uint64_t filled_us; /* steady: when `tokens` was right; 0 = not begun */
};

/* Another rate or concurrency from now on. What was saved up is kept as far as it fits.
 */
void limit_set(struct limit *limit, double rate, uint32_t concurrency,
               uint64_t steady_us);
/* A rate of which each taking is in the log? */
bool limit_is_slow(const struct limit *limit);
/* A bucket that begins, after limit_set(): the last call was taken so long ago, or never
 * (UINT64_MAX). Changes nothing where the rate is not a slow one. */
void limit_resume(struct limit *limit, uint64_t ago_us);
/* Steady time from which the next call may start as far as the rate goes; in the past or
 * now: it may. */
uint64_t limit_next_us(struct limit *limit, uint64_t steady_us);
/* One call starts. After limit_next_us() said that it may. */
void limit_take(struct limit *limit);
