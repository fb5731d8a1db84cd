/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* cost - what ended requests cost, as their first outcomes say
 *
 * A late outcome counts nowhere.  Times are those of the outcomes, by whole minutes. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct ledger;

/* Calls that are equal in all but what they cost; summed over one minute or less, so that
 * the same ones come again and again. Texts are borrowed for the call. */
struct ledger_cost {
    uint64_t timestamp_us;   /* when they ended */
    const char *integration; /* NULL when the log does not name it */
    const char *operation;   /* "payment.charge"; of a request that is no call its type */
    const char *currency;    /* "" when they say no cost */
    uint64_t calls;
    int64_t micros;
    bool is_actual;  /* as the service said; else estimated */
    bool is_success; /* the calls' status */
};
typedef void (*ledger_cost_fn)(void *user, const struct ledger_cost *cost);

/* Those that ended in [since_us, until_us), rounded down to minutes; 0 is open. 0, or -1
 * with ledger_error(). */
int ledger_costs(struct ledger *ledger, uint64_t since_us, uint64_t until_us,
                 ledger_cost_fn fn, void *user);
