/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* budget - what an integration's calls may cost in a day of UTC
 *
 * What was spent is part of the fold: the sum of the outcomes' costs by the day of their
 * blocks.  Limit and prices come from the integration's record, so that a replay counts
 * as the live broker did.  Before a call starts the most it may cost is reserved; it is
 * given back when the call's outcome, with its cost, is in the log.  So spent plus
 * reserved never exceeds the limit, however many calls run at one time.
 *
 * The most a call may cost is what the configuration or the manifest says.  Where neither
 * does and the operation has a price all the same, it is taken to cost as much as the
 * dearest call so far; until one has ended, one runs at a time. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/money.h"
#include "proto/record.h"

struct json;

enum price_kind {
    PRICE_NONE,    /* it costs nothing */
    PRICE_MAX,     /* at most the amount */
    PRICE_UNKNOWN, /* it costs something */
};
struct price {
    enum price_kind kind;
    int64_t micros;
};

struct budget_price;
struct reservation {
    struct position position;
    int64_t micros;
};
struct budget {
    struct money per_day; /* no currency: no budget */
    struct budget_price *prices;
    size_t n_prices;
    uint64_t day;             /* since 1970, of `spent` */
    int64_t spent;            /* micros */
    int64_t dearest;          /* the highest cost of one call so far */
    bool has_seen;            /* a call ended whose price nobody had said */
    uint64_t exceeded_us;     /* wall: a record says that the budget of that day was
                                 reached; 0 = none does */
    bool is_saying;           /* that record is on the way to the log */
    struct reservation *held; /* of calls that run or whose outcome is not committed;
                                 not in the fold */
    size_t n_held, cap_held;
};

enum budget_answer { BUDGET_GO, BUDGET_WAIT, BUDGET_EXCEEDED };

/* What the integration's record says: `budget` {currency, micros} and `prices`
 * [{operation, currency, micros, since_us}]; absent: none. */
void budget_define(struct budget *budget, const struct json *record);
void budget_fini(struct budget *budget);
/* The most one call of an operation may cost at a time. `operations` of the manifest may
 * be NULL. A price in another currency than the budget's is not known. */
struct price budget_price(const struct budget *budget, const struct json *operations,
                          const char *operation, size_t len, uint64_t at_us);

/* The fold: a call ended in a block of this time and cost so much. */
void budget_spend(struct budget *budget, uint64_t at_us, int64_t micros);
/* Micros spent on the day of `now_us`; when the clock has gone back, on the last day
 * known. */
int64_t budget_spent(const struct budget *budget, uint64_t now_us);
int64_t budget_held(const struct budget *budget);
/* Was the budget of this day reached, as the log says? */
bool budget_is_exceeded(const struct budget *budget, uint64_t now_us);

/* May a call of this price start? WAIT: perhaps, when the ones that run are settled. */
enum budget_answer budget_ask(const struct budget *budget, uint64_t now_us,
                              struct price price);
/* The call at this position starts; a second reservation for it replaces the first. */
void budget_hold(struct budget *budget, struct position position, struct price price);
void budget_release(struct budget *budget, struct position position);
/* Release what is_gone() says does not run any more. */
void budget_prune(struct budget *budget,
                  bool (*is_gone)(void *user, struct position position), void *user);
/* The sentence for one that is exceeded, to be freed. */
char *budget_sentence(const struct budget *budget, uint64_t now_us,
                      const char *integration, struct price price);
