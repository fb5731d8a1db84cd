/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* breaker - a service that fails is left alone for a while
 *
 *     closed --so many failed in a row--> open --pause over--> half-open
 *        ^                                  ^                     |
 *        +---------- an answer -------------|---------------------+
 *                                           +----- a failure -----+
 *
 * What counts as a failure is what is the service's: an attempt that is to be tried again
 * or whose effect is unknown.  A refusal for good is an answer: the service works.  In a
 * row, and not a share of all, because it needs no traffic to compare with and a busy
 * service that fails now and then never looks dead.
 *
 * Counting and states are part of the fold: times are those of the log's blocks, and a
 * change is a record.  Whether a change is due is asked of the clock and the limits in
 * force, by the live broker only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    BREAKER_FAILURES_MAX = 100, /* remembered; limits.breaker.failures is at most this */
    BREAKER_WHY_MAX = 160,      /* bytes kept of what the last failed attempt said */
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_HALF_OPEN };

struct breaker_limits {
    uint32_t failures; /* in a row; 0: it never opens */
    uint64_t window_us, pause_us;
};

struct breaker {
    struct breaker_limits limits; /* of the configuration in force: not in the fold */
    enum breaker_state state;
    uint64_t since_us, until_us;              /* wall; until: of an open one */
    uint64_t failed_us[BREAKER_FAILURES_MAX]; /* a ring: when attempts in a row failed */
    uint32_t n_failed;                        /* in a row since the last answer */
    bool was_answered;                        /* since the last change of state */
    bool has_failed;                          /* the same, of failures */
    char why[BREAKER_WHY_MAX];                /* the last one */
};

/* The fold: an attempt failed, or was answered, by a record of a block of this time. */
void breaker_failed(struct breaker *breaker, uint64_t at_us, const char *why,
                    size_t why_len);
void breaker_answered(struct breaker *breaker);
/* The fold: a record says that it changed. */
void breaker_change(struct breaker *breaker, enum breaker_state to, uint64_t since_us,
                    uint64_t until_us);

/* Should it change now? The new state in *ret_to, and why in words. */
bool breaker_is_due(const struct breaker *breaker, uint64_t wall_us,
                    enum breaker_state *ret_to, char *ret_why, size_t why_size);
/* "closed", "open", "half-open"; the other way round, -1 when it is none. */
const char *breaker_name(enum breaker_state state);
int breaker_find(const char *name);
