/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/breaker.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/text.h"

static const char *const names[] = {"closed", "open", "half-open"};

void breaker_failed(struct breaker *breaker, uint64_t at_us, const char *why,
                    size_t why_len)
{
    breaker->failed_us[breaker->n_failed++ % BREAKER_FAILURES_MAX] = at_us;
    if (breaker->n_failed == 2 * BREAKER_FAILURES_MAX) /* the ring's places stay */
        breaker->n_failed = BREAKER_FAILURES_MAX;
    breaker->has_failed = true;
    snprintf(breaker->why, sizeof(breaker->why), "%.*s", (int)why_len, why);
}

void breaker_answered(struct breaker *breaker)
{
    breaker->n_failed = 0;
    breaker->was_answered = true;
}

void breaker_change(struct breaker *breaker, enum breaker_state to, uint64_t since_us,
                    uint64_t until_us)
{
    breaker->state = to;
    breaker->since_us = since_us;
    breaker->until_us = until_us;
    breaker->was_answered = breaker->has_failed = false;
    if (to == BREAKER_CLOSED)
        breaker->n_failed = 0;
}

/* The time the last `failures` of the row took; false when there are fewer. */
static bool row_us(const struct breaker *breaker, uint64_t *ret_us)
{
    uint32_t n = breaker->n_failed, need = breaker->limits.failures;

    if (n < need)
        return false;
    *ret_us = breaker->failed_us[(n - 1) % BREAKER_FAILURES_MAX] -
              breaker->failed_us[(n - need) % BREAKER_FAILURES_MAX];
    return true;
}

static bool should_open(const struct breaker *breaker, char *ret_why, size_t why_size)
{
    uint64_t took_us;
    char took[32];

    if (!row_us(breaker, &took_us) || took_us > breaker->limits.window_us)
        return false;
    text_duration(took_us / 1000000 * 1000000, took, sizeof(took));
    snprintf(ret_why, why_size, "%u attempts in a row failed within %s; the last: %s",
             breaker->limits.failures, took, breaker->why);
    return true;
}

/* A pause that ends later than it can was begun by a clock that was ahead. */
static bool is_pause_over(const struct breaker *breaker, uint64_t wall_us)
{
    return breaker->until_us <= wall_us ||
           breaker->until_us > wall_us + breaker->limits.pause_us;
}

bool breaker_is_due(const struct breaker *breaker, uint64_t wall_us,
                    enum breaker_state *ret_to, char *ret_why, size_t why_size)
{
    bool is_off = breaker->limits.failures == 0;

    *ret_to = BREAKER_CLOSED;
    if (is_off && breaker->state != BREAKER_CLOSED) {
        snprintf(ret_why, why_size, "the configuration has no breaker any more");
        return true;
    }
    if (is_off)
        return false;
    if (breaker->state == BREAKER_CLOSED) {
        *ret_to = BREAKER_OPEN;
        return should_open(breaker, ret_why, why_size);
    }
    if (breaker->state == BREAKER_OPEN) {
        *ret_to = BREAKER_HALF_OPEN;
        snprintf(ret_why, why_size, "the pause is over; one call tries");
        return is_pause_over(breaker, wall_us);
    }
    if (breaker->was_answered) {
        snprintf(ret_why, why_size, "the service answered");
        return true;
    }
    *ret_to = BREAKER_OPEN;
    snprintf(ret_why, why_size, "the call that tried failed too: %s", breaker->why);
    return breaker->has_failed;
}

const char *breaker_name(enum breaker_state state)
{
    return names[state];
}

int breaker_find(const char *name)
{
    for (int i = 0; i < (int)(sizeof(names) / sizeof(*names)); i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}
