/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/budget.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "scene.h"

#define SECOND UINT64_C(1000000)
#define DAY    (86400 * SECOND)

static const char manifest[] =
    "{\"name\":\"payment\",\"operations\":["
    "{\"name\":\"charge\",\"has_price\":true,\"price_max\":{\"currency\":\"USD\","
    "\"micros\":300000}},"
    "{\"name\":\"refund\",\"has_price\":true},{\"name\":\"events\"},"
    "{\"name\":\"payout\",\"price_max\":{\"currency\":\"EUR\",\"micros\":1}},"
    "{\"name\":\"free\",\"price_max\":{\"currency\":\"EUR\",\"micros\":0}}],"
    "\"webhooks\":[],\"publishes\":[]}";

static const struct core_integration thrifty = {
    .attempts = 100, .deadline_us = 3600 * SECOND, .per_day = {1000000, "USD"}};

/* --- prices --- */

static void the_configuration_says_more_than_the_manifest(void **state)
{
    static const char record[] =
        "{\"budget\":{\"currency\":\"USD\",\"micros\":5},\"prices\":["
        "{\"operation\":\"events\",\"currency\":\"USD\",\"micros\":7,\"since_us\":0},"
        "{\"operation\":\"events\",\"currency\":\"USD\",\"micros\":9,\"since_us\":1000},"
        "{\"operation\":\"refund\",\"currency\":\"CHF\",\"micros\":9,\"since_us\":0}]}";
    static const struct {
        const char *operation;
        uint64_t at_us;
        struct price price;
    } cases[] = {
        {"charge", 0, {PRICE_MAX, 300000}}, {"events", 0, {PRICE_MAX, 7}},
        {"events", 999, {PRICE_MAX, 7}},    {"events", 1000, {PRICE_MAX, 9}},
        {"refund", 0, {PRICE_UNKNOWN, 0}},  {"payout", 0, {PRICE_UNKNOWN, 0}},
        {"nothing", 0, {PRICE_NONE, 0}},    {"free", 0, {PRICE_NONE, 0}},
    };
    struct budget budget = {0};
    char error[100];
    struct json *json = js_parse(record, strlen(record), error, sizeof(error)),
                *known = js_parse(manifest, strlen(manifest), error, sizeof(error));

    (void)state;
    budget_define(&budget, json);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct price price =
            budget_price(&budget, js_get(known, "operations"), cases[i].operation,
                         strlen(cases[i].operation), cases[i].at_us);
        if (price.kind != cases[i].price.kind || price.micros != cases[i].price.micros)
            fail_msg("%s at %d: kind %d, %d", cases[i].operation, (int)cases[i].at_us,
                     price.kind, (int)price.micros);
    }
    budget_fini(&budget);
    js_free(json);
    js_free(known);
}

/* Any order of calls that start, end, are lost and cost up to what was reserved: never
 * more spent than the limit, and never nothing left unused that fits. */
static void spent_and_reserved_never_exceed_the_limit(void **state)
{
    struct budget budget = {.per_day = {1000, "USD"}};
    uint64_t random = 1, now = 7 * DAY, started = 0, refused = 0;

    (void)state;
    for (uint32_t i = 0; i < 20000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        unsigned op = (unsigned)(random >> 60), amount = (unsigned)(random >> 33) % 40;
        struct price price = {PRICE_MAX, amount};
        if (op < 8) {
            enum budget_answer answer = budget_ask(&budget, now, price);
            int64_t would = budget_spent(&budget, now) + budget_held(&budget) + amount;
            assert_int_equal(answer == BUDGET_GO,
                             would <= 1000 && budget_spent(&budget, now) < 1000);
            refused += answer == BUDGET_EXCEEDED;
            if (answer == BUDGET_GO)
                budget_hold(&budget, (struct position){1, i}, price), started++;
        } else if (op < 15 && budget.n_held > 0) {
            struct reservation held = budget.held[(random >> 40) % budget.n_held];
            budget_release(&budget, held.position);
            budget_spend(&budget, now, op & 1 ? held.micros : held.micros / 2);
        } else if (op == 15 && (random >> 50 & 15) == 0) {
            now += DAY;
        }
        assert_true(budget_spent(&budget, now) + budget_held(&budget) <= 1000);
    }
    assert_true(started > 1000 && refused > 100);
    budget_fini(&budget);
}

static void a_clock_that_goes_back_over_midnight_gives_nothing_away(void **state)
{
    struct budget budget = {.per_day = {1000, "USD"}};

    (void)state;
    budget_spend(&budget, 5 * DAY, 700);
    assert_int_equal(budget_spent(&budget, 5 * DAY), 700);
    assert_int_equal(budget_spent(&budget, 5 * DAY - 1), 700);
    assert_int_equal(budget_spent(&budget, 6 * DAY - 1), 700);
    assert_int_equal(budget_spent(&budget, 6 * DAY), 0);
    budget_fini(&budget);
}

/* --- in the broker --- */

static int64_t spent(const struct scene *scene)
{
    return scene_int(scene, "limits.budget.spent_micros");
}

static void what_could_exceed_it_fails_before_the_call(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &thrifty, manifest);
    scene_call(&scene, 3);
    assert_int_equal(scene_take(&scene), 3); /* 0.90 of 1.00 reserved */
    assert_int_equal(scene_int(&scene, "limits.budget.held_micros"), 900000);
    scene_call(&scene, 1);
    assert_int_equal(scene_take(&scene), 0);
    for (int i = 0; i < 3; i++)
        scene_succeed(&scene, 250000);
    assert_int_equal(spent(&scene), 750000);
    assert_int_equal(scene_int(&scene, "limits.budget.held_micros"), 0);
    world_settle(&scene.world);
    assert_int_equal(scene_take(&scene), 0); /* 0.75 + 0.30 */
    const struct record *r = scene_last(&scene, RECORD_OUTCOME, CLASS_budget, NULL);
    assert_non_null(r);
    _free_ char *why = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ERROR_MSG);
    assert_non_null(strstr(why, "1.00 USD"));
    assert_non_null(strstr(why, "0.75 USD are spent"));
    assert_non_null(strstr(why, "0.30 USD"));
    assert_int_equal(scene_int(&scene, "failed"), 1);
    scene_close(&scene);
}

static void what_fits_when_others_have_cost_less_waits_for_them(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &thrifty, manifest);
    scene_call(&scene, 20);
    assert_int_equal(scene_take(&scene), 3);
    _free_ char *waits = scene_text(&scene, "limits.waits_for");
    assert_string_equal(waits, "budget");
    size_t calls = 3;
    while (scene.n_held > 0) {
        scene_succeed(&scene, 100000);
        calls += scene_take(&scene);
    }
    assert_int_equal(calls, 8); /* after 0.80 the next might cost 0.30 */
    assert_int_equal(spent(&scene), 800000);
    assert_int_equal(scene_count(&scene, RECORD_OUTCOME, CLASS_budget, NULL), 12);
    scene_close(&scene);
}

static void the_day_is_noted_once_and_ends_at_midnight(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &thrifty, manifest);
    scene_call(&scene, 10);
    scene_take(&scene);
    while (scene.n_held > 0)
        scene_succeed(&scene, 300000);
    world_settle(&scene.world);
    assert_int_equal(spent(&scene), 900000);
    assert_int_equal(scene_count(&scene, RECORD_NOTE, CLASS_none, "signalbox.budget"), 1);
    assert_int_equal(scene_int(&scene, "limits.budget.since_us"), scene.world.wall_us);
    scene_advance(&scene, DAY - scene.world.wall_us % DAY - 1);
    scene_call(&scene, 1);
    assert_int_equal(scene_take(&scene), 0);
    scene_advance(&scene, 1);
    assert_int_equal(spent(&scene), 0);
    assert_int_equal(scene_int(&scene, "limits.budget.since_us"), -1);
    scene_crash(&scene); /* sessions were silent for too long */
    scene_call(&scene, 10);
    assert_int_equal(scene_take(&scene), 3);
    while (scene.n_held > 0)
        scene_succeed(&scene, 300000);
    world_settle(&scene.world);
    assert_int_equal(scene_count(&scene, RECORD_NOTE, CLASS_none, "signalbox.budget"), 2);
    scene_close(&scene);
}

static void a_restart_forgets_nothing_that_was_spent(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &thrifty, manifest);
    scene_call(&scene, 2);
    scene_take(&scene);
    scene_succeed(&scene, 300000);
    scene_succeed(&scene, 300000);
    for (int i = 0; i < 3; i++) {
        scene_crash(&scene);
        assert_int_equal(spent(&scene), 600000);
    }
    scene_call(&scene, 5);
    assert_int_equal(scene_take(&scene), 1);
    scene_succeed(&scene, 300000);
    world_settle(&scene.world);
    assert_int_equal(scene_count(&scene, RECORD_OUTCOME, CLASS_budget, NULL), 4);
    scene_crash(&scene);
    assert_int_equal(spent(&scene), 900000);
    scene_close(&scene);
}

static void what_took_effect_without_a_price_costs_what_it_may(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &thrifty, manifest);
    scene_call(&scene, 3);
    scene_take(&scene);
    scene_succeed(&scene, -1);
    assert_int_equal(spent(&scene), 300000);
    scene_fail(&scene, CLASS_permanent);
    assert_int_equal(spent(&scene), 300000);
    scene_fail(&scene, CLASS_unknown);
    assert_int_equal(spent(&scene), 600000);
    scene_close(&scene);
}

static void a_retry_gives_back_what_it_reserved(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &thrifty, manifest);
    scene_call(&scene, 3);
    scene_take(&scene);
    scene_retry(&scene, 60 * SECOND);
    assert_int_equal(scene_int(&scene, "limits.budget.held_micros"), 600000);
    scene_call(&scene, 1);
    assert_int_equal(scene_take(&scene), 1);
    scene_close(&scene);
}

static void where_nobody_says_the_price_one_call_tells(void **state)
{
    static const struct record_parts refund = {.kind = RECORD_REQUEST,
                                               .type = "payment.refund.requested"};
    struct scene scene;

    (void)state;
    scene_open(&scene, &thrifty, manifest);
    for (int i = 0; i < 10; i++)
        scene_publish(&scene, SCENE_APP, &refund);
    world_settle(&scene.world);
    assert_int_equal(scene_take(&scene), 1);
    scene_succeed(&scene, 200000);
    assert_int_equal(scene_take(&scene), 4); /* 0.20 + 4 x 0.20 */
    while (scene.n_held > 0)
        scene_succeed(&scene, 200000);
    world_settle(&scene.world);
    assert_int_equal(spent(&scene), 1000000);
    assert_int_equal(scene_count(&scene, RECORD_OUTCOME, CLASS_budget, NULL), 5);
    scene_close(&scene);
}

static void what_costs_nothing_goes_on(void **state)
{
    static const struct record_parts events = {.kind = RECORD_REQUEST,
                                               .type = "payment.events.requested"};
    struct core_integration broke = thrifty;
    struct scene scene;

    (void)state;
    broke.per_day.micros = 0;
    scene_open(&scene, &broke, manifest);
    scene_call(&scene, 1);
    assert_int_equal(scene_take(&scene), 0);
    scene_publish(&scene, SCENE_APP, &events);
    world_settle(&scene.world);
    assert_int_equal(scene_take(&scene), 1);
    scene_close(&scene);
}

static void a_raised_budget_counts_at_once(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &thrifty, manifest);
    scene_call(&scene, 10);
    scene_take(&scene);
    while (scene.n_held > 0)
        scene_succeed(&scene, 300000);
    world_settle(&scene.world);
    scene.integration.per_day.micros = 2000000;
    scene_configure(&scene);
    scene_call(&scene, 10);
    assert_int_equal(scene_take(&scene), 3); /* 0.90 + 3 x 0.30 of 2.00 */
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_configuration_says_more_than_the_manifest),
        cmocka_unit_test(spent_and_reserved_never_exceed_the_limit),
        cmocka_unit_test(a_clock_that_goes_back_over_midnight_gives_nothing_away),
        cmocka_unit_test(what_could_exceed_it_fails_before_the_call),
        cmocka_unit_test(what_fits_when_others_have_cost_less_waits_for_them),
        cmocka_unit_test(the_day_is_noted_once_and_ends_at_midnight),
        cmocka_unit_test(a_restart_forgets_nothing_that_was_spent),
        cmocka_unit_test(what_took_effect_without_a_price_costs_what_it_may),
        cmocka_unit_test(a_retry_gives_back_what_it_reserved),
        cmocka_unit_test(where_nobody_says_the_price_one_call_tells),
        cmocka_unit_test(what_costs_nothing_goes_on),
        cmocka_unit_test(a_raised_budget_counts_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
