/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/budget.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

#define DAY_US UINT64_C(86400000000)

struct budget_price {
    char *operation;
    struct money price;
    uint64_t since_us;
};

static struct money read_money(const struct json *json)
{
    struct money money = {.micros = js_int(json, "micros", 0)};
    const char *currency = js_text(json, "currency", "");

    if (strlen(currency) == MONEY_CODE - 1)
        memcpy(money.currency, currency, MONEY_CODE);
    return money;
}

static void drop_prices(struct budget *budget)
{
    for (size_t i = 0; i < budget->n_prices; i++)
        free(budget->prices[i].operation);
    free(budget->prices);
}

void budget_define(struct budget *budget, const struct json *record)
{
    const struct json *prices = js_get(record, "prices");

    drop_prices(budget);
    budget->per_day = read_money(js_get(record, "budget"));
    budget->n_prices = js_count(prices);
    budget->prices = mem_array(budget->n_prices, sizeof(*budget->prices));
    for (size_t i = 0; i < budget->n_prices; i++) {
        const struct json *one = js_at(prices, i);
        budget->prices[i] =
            (struct budget_price){.operation = mem_text(js_text(one, "operation", "")),
                                  .price = read_money(one),
                                  .since_us = (uint64_t)js_int(one, "since_us", 0)};
    }
}

void budget_fini(struct budget *budget)
{
    drop_prices(budget);
    free(budget->held);
}

/* --- prices --- */

static bool is_named(const char *name, const char *operation, size_t len)
{
    return strlen(name) == len && memcmp(name, operation, len) == 0;
}

static const struct budget_price *
configured(const struct budget *budget, const char *operation, size_t len, uint64_t at_us)
{
    const struct budget_price *found = NULL;

    for (size_t i = 0; i < budget->n_prices; i++) {
        const struct budget_price *one = &budget->prices[i];
        if (one->since_us <= at_us && is_named(one->operation, operation, len) &&
            (!found || one->since_us >= found->since_us))
            found = one;
    }
    return found;
}

static struct price declared(const struct budget *budget, const struct json *operation)
{
    const struct json *max = js_get(operation, "price_max");
    struct money money = read_money(max);

    if (max && money.micros == 0)
        return (struct price){PRICE_NONE, 0}; /* nothing, in whatever currency */
    if (max && strcmp(money.currency, budget->per_day.currency) == 0)
        return (struct price){PRICE_MAX, money.micros};
    return (struct price){
        max || js_bool(operation, "has_price", false) ? PRICE_UNKNOWN : PRICE_NONE, 0};
}

struct price budget_price(const struct budget *budget, const struct json *operations,
                          const char *operation, size_t len, uint64_t at_us)
{
    const struct budget_price *own = configured(budget, operation, len, at_us);

    if (own && strcmp(own->price.currency, budget->per_day.currency) == 0)
        return (struct price){PRICE_MAX, own->price.micros};
    if (own)
        return (struct price){PRICE_UNKNOWN, 0};
    for (size_t i = 0; i < js_count(operations); i++)
        if (is_named(js_text(js_at(operations, i), "name", ""), operation, len))
            return declared(budget, js_at(operations, i));
    return (struct price){PRICE_NONE, 0};
}

/* The amount to reckon with; *ret_guess: nothing is known yet. */
static int64_t most(const struct budget *budget, struct price price, bool *ret_guess)
{
    *ret_guess = price.kind == PRICE_UNKNOWN && !budget->has_seen;
    return price.kind == PRICE_UNKNOWN ? budget->dearest : price.micros;
}

/* --- the fold --- */

void budget_spend(struct budget *budget, uint64_t at_us, int64_t micros)
{
    uint64_t day = at_us / DAY_US;

    if (day != budget->day)
        budget->spent = 0;
    budget->day = day;
    budget->spent += micros;
    if (micros > budget->dearest)
        budget->dearest = micros;
}

int64_t budget_spent(const struct budget *budget, uint64_t now_us)
{
    return now_us / DAY_US <= budget->day ? budget->spent : 0;
}

bool budget_is_exceeded(const struct budget *budget, uint64_t now_us)
{
    return budget->exceeded_us && budget->exceeded_us / DAY_US == now_us / DAY_US;
}

/* --- reservations --- */

int64_t budget_held(const struct budget *budget)
{
    int64_t sum = 0;

    for (size_t i = 0; i < budget->n_held; i++)
        sum += budget->held[i].micros;
    return sum;
}

enum budget_answer budget_ask(const struct budget *budget, uint64_t now_us,
                              struct price price)
{
    int64_t left = budget->per_day.micros - budget_spent(budget, now_us);
    bool is_guess;
    int64_t amount = most(budget, price, &is_guess);

    if (price.kind == PRICE_NONE)
        return BUDGET_GO;
    if (amount > left || left <= 0)
        return BUDGET_EXCEEDED;
    if (budget->n_held > 0 && (is_guess || amount > left - budget_held(budget)))
        return BUDGET_WAIT;
    return BUDGET_GO;
}

static struct reservation *find(const struct budget *budget, struct position position)
{
    for (size_t i = 0; i < budget->n_held; i++)
        if (budget->held[i].position.block == position.block &&
            budget->held[i].position.index == position.index)
            return &budget->held[i];
    return NULL;
}

void budget_hold(struct budget *budget, struct position position, struct price price)
{
    struct reservation *held = find(budget, position);
    bool is_guess;
    int64_t micros = most(budget, price, &is_guess);

    if (price.kind == PRICE_NONE)
        return;
    if (!held && budget->n_held == budget->cap_held) {
        budget->cap_held = budget->cap_held ? budget->cap_held * 2 : 16;
        budget->held = mem_resize(budget->held, budget->cap_held * sizeof(*budget->held));
    }
    if (!held)
        held = &budget->held[budget->n_held++];
    *held = (struct reservation){position, micros};
}

void budget_release(struct budget *budget, struct position position)
{
    struct reservation *held = find(budget, position);

    if (held)
        *held = budget->held[--budget->n_held];
}

void budget_prune(struct budget *budget,
                  bool (*is_gone)(void *user, struct position position), void *user)
{
    size_t i = 0;

    while (i < budget->n_held)
        if (is_gone(user, budget->held[i].position))
            budget->held[i] = budget->held[--budget->n_held];
        else
            i++;
}

char *budget_sentence(const struct budget *budget, uint64_t now_us,
                      const char *integration, struct price price)
{
    char limit[MONEY_TEXT_SIZE], spent[MONEY_TEXT_SIZE], cost[MONEY_TEXT_SIZE];
    char now[TEXT_TIME_SIZE];
    const char *currency = budget->per_day.currency;
    bool is_guess;

    money_text(budget->per_day.micros, currency, limit);
    money_text(budget_spent(budget, now_us), currency, spent);
    money_text(most(budget, price, &is_guess), currency, cost);
    text_time(now_us, now);
    return mem_format(
        "of the %s that %s may spend on %.10s (UTC) %s are spent, and a call may "
        "cost %s; try again after midnight UTC or raise budget.per_day",
        limit, integration, now, spent, is_guess ? "more than nothing" : cost);
}
