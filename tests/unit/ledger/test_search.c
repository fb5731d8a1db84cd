/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* With views or without, built in whatever steps, the same question has the same answer:
 * logs made by dice, and every combination of filters over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/ledger/cost.h"
#include "tests/unit/ledger/maker.h"

enum { BLOCKS = 60, EVENTS_MAX = 9, LOGS = 6, OPEN_MAX = 1024 };

static uint32_t dice;

static uint32_t roll(uint32_t n)
{
    dice = dice * 1664525 + 1013904223;
    return (dice >> 8) % n;
}

static const char *pick(const char *const *list, uint32_t n)
{
    return list[roll(n)];
}

static const char *const types[] = {"payment.charge.requested", "email.send.requested",
                                    "maps.geocode.requested"};
static const char *const facts[] = {"order.paid", "order.sent", "shop.seen"};
static const char *const integrations[] = {"stripe", "smtp", NULL};
static const char *const keys[] = {"k1", "k2", NULL, NULL};
static const char *const groups[] = {"billing", "mail"};

/* What may still be settled. */
struct story {
    struct maker *m;
    struct position requests[OPEN_MAX], facts[OPEN_MAX];
    uint8_t names[OPEN_MAX];
    size_t n_requests, n_facts;
};

static void define(struct maker *m)
{
    maker_integration(m, "stripe", "Stripe");
    maker_integration(m, "smtp", NULL);
    maker_group(m, "billing", "order.>", false);
}

static void happen(struct story *s)
{
    uint8_t name = (uint8_t)(1 + roll(250));
    size_t n = s->n_requests;

    switch (roll(9)) {
    case 0:
    case 1:
    case 2:
        s->names[n] = name;
        s->requests[s->n_requests++] = maker_request(
            s->m, name, pick(types, 3), pick(integrations, 3), pick(keys, 4));
        break;
    case 3:
        s->facts[s->n_facts++] = maker_fact(s->m, name, pick(facts, 3), STATUS_PENDING);
        break;
    case 4:
        maker_fact(s->m, name, "stripe.unverified", STATUS_FAILED);
        break;
    case 5:
    case 6:
        if (n && (n = roll((uint32_t)n), 1))
            maker_outcome(s->m, name, s->requests[n], s->names[n],
                          roll(3) ? CLASS_none : CLASS_permanent, "no");
        break;
    case 7:
        if (s->n_facts)
            maker_ack(s->m, pick(groups, 2), s->facts[roll((uint32_t)s->n_facts)],
                      1 + roll(3), roll(4) ? CLASS_none : CLASS_poison);
        break;
    default:
        if (n && (n = roll((uint32_t)n), 1))
            maker_retry(s->m, "stripe", s->requests[n], 1 + roll(5), "503");
    }
}

static void tell_story(struct maker *m, uint32_t seed)
{
    struct story s = {.m = m};

    dice = seed;
    define(m);
    for (int b = 0; b < BLOCKS; b++) {
        for (uint32_t n = roll(EVENTS_MAX); n > 0; n--)
            happen(&s);
        if (b == 20)
            maker_group(m, "mail", "order.sent", false);
        if (b == 40)
            maker_group(m, "billing", "order.>", roll(2));
        maker_seal(m);
    }
}

static bool write_row(void *user, const struct ledger_row *row)
{
    buf_format(user, "%s@%llu-%u %s %s %s %u %s %s %llu\n", row->id_text,
               (unsigned long long)row->position.block, row->position.index, row->type,
               status_name(row->status), row->service, row->attempt,
               row->error_class ? row->error_class : "-",
               row->unconsumed ? "unconsumed" : "-", (unsigned long long)row->settled_us);
    return true;
}

/* All pages of the answer. */
static void answer(struct ledger *ledger, const struct ledger_filter *filter,
                   struct buf *out)
{
    struct ledger_filter page = *filter;
    char *cursor = NULL;
    long told;

    do {
        char *before = cursor;
        page.cursor = before;
        if ((told = ledger_query(ledger, &page, write_row, out, &cursor)) < 0)
            fail_msg("%s", ledger_error(ledger));
        free(before);
    } while (cursor && told > 0); /* of the oldest first there is always a cursor */
    free(cursor);
}

static void ask_both(struct ledger *with, struct ledger *without,
                     const struct ledger_filter *filter)
{
    struct buf a = BUF_NULL, b = BUF_NULL;

    answer(with, filter, &a);
    answer(without, filter, &b);
    const char *x = buf_str(&a), *y = buf_str(&b), *line = x;
    for (; *x && *x == *y; x++, y++)
        line = *x == '\n' ? x + 1 : line;
    if (*x || *y)
        fail_msg(
            "status %d class %d service %s type %s key %s cause %s records %d: "
            "with views\n%.200s\nwithout\n%.200s",
            filter->status, filter->error_class, filter->service ? filter->service : "-",
            filter->type ? filter->type : "-", filter->key ? filter->key : "-",
            filter->cause ? filter->cause : "-", filter->records, line, y - (x - line));
    buf_fini(&a);
    buf_fini(&b);
}

static void ask_everything(struct ledger *with, struct ledger *without)
{
    static const char *const services[] = {NULL, "stripe", "smtp", "-", "nobody"};
    static const char *const patterns[] = {NULL, "payment.>", "order.*", "*.*.failed",
                                           "maps.geocode.requested"};
    const struct {
        const char *key, *cause, *integration;
        uint64_t since_us, until_us;
    } more[] = {{0},
                {.key = "k1"},
                {.cause = maker_id(7)},
                {.integration = "stripe"},
                {.since_us = 20000000},
                {.since_us = 15000000, .until_us = 45000000}};
    struct ledger_filter f;

    for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++)
        for (int status = -1; status <= STATUS_FAILED; status++)
            for (int s = 0; s < 5; s++)
                for (int p = 0; p < 5; p++)
                    for (int k = 0; k < 3; k++) {
                        f = (struct ledger_filter){.status = status,
                                                   .error_class =
                                                       k == 1 ? CLASS_poison : -1,
                                                   .records = k == 2,
                                                   .service = services[s],
                                                   .type = patterns[p],
                                                   .key = more[i].key,
                                                   .cause = more[i].cause,
                                                   .integration = more[i].integration,
                                                   .since_us = more[i].since_us,
                                                   .until_us = more[i].until_us,
                                                   .oldest_first = roll(2),
                                                   .limit = 1 + roll(20)};
                        ask_both(with, without, &f);
                    }
}

/* --- costs --- */

enum { COSTS_MAX = 256 };

struct sums {
    struct {
        char name[96];
        uint64_t calls;
        int64_t micros;
    } list[COSTS_MAX];
    size_t n;
};

static void add_cost(void *user, const struct ledger_cost *cost)
{
    struct sums *sums = user;
    char name[96];
    size_t at = 0;

    snprintf(name, sizeof(name), "%s %s %s %d %d",
             cost->integration ? cost->integration : "-", cost->operation, cost->currency,
             cost->is_actual, cost->is_success);
    while (at < sums->n && strcmp(sums->list[at].name, name) != 0)
        at++;
    assert_true(at < COSTS_MAX);
    if (at == sums->n)
        strcpy(sums->list[sums->n++].name, name);
    sums->list[at].calls += cost->calls;
    sums->list[at].micros += cost->micros;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void ask_costs(struct ledger *ledger, uint64_t since_us, struct sums *sums)
{
    memset(sums, 0, sizeof(*sums));
    assert_int_equal(ledger_costs(ledger, since_us, 0, add_cost, sums), 0);
    qsort(sums->list, sums->n, sizeof(*sums->list), by_name);
}

static void costs_are_the_same_with_views_without_and_while_they_lag(void **state)
{
    struct sums with, without;

    (void)state;
    for (uint32_t seed = 1; seed <= 2 * LOGS; seed++) {
        struct maker *m = maker_new(true);
        if (seed > LOGS)
            maker_stop_views_at(m, 30 + seed);
        tell_story(m, seed);
        struct ledger *plain = maker_ledger_without_views(m);
        for (uint64_t since_us = 0; since_us <= 60000000; since_us += 60000000) {
            ask_costs(maker_ledger(m), since_us, &with);
            ask_costs(plain, since_us, &without);
            assert_int_equal(with.n, without.n);
            assert_true(since_us || with.n > 0);
            assert_memory_equal(&with, &without, sizeof(with));
        }
        ledger_close(plain);
        maker_free(m);
    }
}

static void every_question_has_the_same_answer_with_views_and_without(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= LOGS; seed++) {
        struct maker *m = maker_new(true);
        tell_story(m, seed);
        struct ledger *without = maker_ledger_without_views(m);
        ask_everything(maker_ledger(m), without);
        ledger_close(without);
        maker_free(m);
    }
}

static void views_that_lag_behind_give_the_same_answers(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= LOGS; seed++) {
        struct maker *m = maker_new(true);
        maker_stop_views_at(m, 30 + seed * 4);
        tell_story(m, seed);
        struct ledger *without = maker_ledger_without_views(m);
        ask_everything(maker_ledger(m), without);
        ledger_close(without);
        maker_free(m);
    }
}

static void views_deleted_and_rebuilt_in_one_go_give_the_same_answers(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed <= LOGS; seed++) {
        struct maker *m = maker_new(true);
        tell_story(m, seed);
        maker_rebuild_views(m);
        struct ledger *without = maker_ledger_without_views(m);
        ask_everything(maker_ledger(m), without);
        ledger_close(without);
        maker_free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_question_has_the_same_answer_with_views_and_without),
        cmocka_unit_test(views_that_lag_behind_give_the_same_answers),
        cmocka_unit_test(costs_are_the_same_with_views_without_and_while_they_lag),
        cmocka_unit_test(views_deleted_and_rebuilt_in_one_go_give_the_same_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
