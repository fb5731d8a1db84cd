/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/limit.h"
#include "scene.h"

enum { SECOND = 1000000, DEADLINE_S = 3600 };

static const struct core_integration slow = {
    .attempts = 8, .deadline_us = UINT64_C(1000000) * DEADLINE_S, .rate = 1};
static const struct core_integration narrow = {
    .attempts = 8, .deadline_us = UINT64_C(1000000) * DEADLINE_S, .concurrency = 3};

/* --- the bucket --- */

static void a_rate_is_kept_over_any_time_and_used_to_the_full(void **state)
{
    static const double rates[] = {1, 100, 7, 60.0 / 60, 1000.0 / 3600, 5000};

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
        struct limit limit = {0};
        uint64_t now = 5000000, began = now, calls = 0;
        limit_set(&limit, rates[i], 0, now);
        for (uint64_t next; (next = limit_next_us(&limit, now)) < began + 100 * SECOND;) {
            if (next > now) {
                now = next;
                continue;
            }
            limit_take(&limit);
            calls++;
        }
        assert_in_range(calls, (uint64_t)(rates[i] * 100 * 0.98),
                        (uint64_t)(rates[i] * 100));
    }
}

static void rest_saves_up_a_tenth_of_a_second_and_at_least_one_call(void **state)
{
    static const struct {
        double rate;
        int calls;
    } cases[] = {{1, 1}, {0.01, 1}, {100, 10}, {1000, 100}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct limit limit = {0};
        const uint64_t later = UINT64_C(1000000000);
        int calls = 0;
        limit_set(&limit, cases[i].rate, 0, 1);
        for (; limit_next_us(&limit, later) <= later; calls++)
            limit_take(&limit);
        assert_int_equal(calls, cases[i].calls);
    }
}

static void no_rate_is_no_limit(void **state)
{
    struct limit limit = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(limit_next_us(&limit, 7), 7);
        limit_take(&limit);
    }
}

/* --- in the broker --- */

static void one_call_a_second_over_all_sessions(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &slow, NULL);
    scene_call(&scene, 5);
    for (size_t done = 0; done < 5; done++) {
        uint64_t due = core_next_due(scene.world.core);
        assert_int_equal(scene_take(&scene), 0);
        assert_true(due <= scene.world.steady_us + SECOND + 1);
        scene_advance(&scene, SECOND / 2);
        assert_int_equal(scene_take(&scene), 0);
        scene_advance(&scene, SECOND / 2 + 1);
        assert_int_equal(scene_take(&scene), 1);
        if (done % 2)
            scene_succeed(&scene, -1); /* whether they have ended or not */
    }
    scene_close(&scene);
}

static void the_clock_is_asked_when_the_next_call_may_start_and_not_before(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &slow, NULL);
    scene_advance(&scene, 10 * SECOND);
    scene_call(&scene, 2);
    assert_int_equal(scene_take(&scene), 1);
    uint64_t sweep = 0;
    for (int i = 0; i < 100 && scene.n_held < 2; i++) {
        uint64_t due = core_next_due(scene.world.core);
        assert_true(due > scene.world.steady_us); /* a busy loop otherwise */
        sweep++;
        scene_advance(&scene, due - scene.world.steady_us);
        scene_take(&scene);
    }
    assert_int_equal(scene.n_held, 2);
    assert_in_range(sweep, 1, 6);
    scene_close(&scene);
}

static void a_retry_is_a_call_too(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &slow, NULL);
    scene_advance(&scene, 10 * SECOND);
    scene_call(&scene, 1);
    assert_int_equal(scene_take(&scene), 1);
    scene_retry(&scene, 1000);
    scene_advance(&scene, SECOND / 2);
    assert_int_equal(scene_take(&scene), 0);
    scene_advance(&scene, SECOND / 2 + 1);
    assert_int_equal(scene_take(&scene), 1);
    scene_close(&scene);
}

static void after_a_restart_nothing_is_saved_up(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &slow, NULL);
    scene_advance(&scene, 10 * SECOND);
    scene_call(&scene, 1);
    assert_int_equal(scene_take(&scene), 1);
    scene_crash(&scene);
    scene_advance(&scene, SECOND / 2);
    assert_int_equal(scene_take(&scene), 0);
    scene_advance(&scene, SECOND / 2 + 1);
    assert_int_equal(scene_take(&scene), 1);
    scene_close(&scene);
}

/* --- a slow rate: each taking is in the log --- */

static const struct core_integration daily = {
    .attempts = 8, .deadline_us = UINT64_C(1000000) * 86400 * 10, .rate = 1.0 / 86400};
static const struct core_integration three_a_minute = {
    .attempts = 8, .deadline_us = UINT64_C(1000000) * 86400 * 10, .rate = 3.0 / 60};
#define DAY (UINT64_C(1000000) * 86400)

static void a_slow_rate_goes_on_over_restarts(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &daily, NULL);
    scene_call(&scene, 3);
    assert_int_equal(scene_take(&scene), 1); /* the first ever need not wait for a day */
    scene_succeed(&scene, -1);
    for (unsigned calls = 1; calls < 3; calls++) {
        for (int i = 0; i < 5; i++) { /* neither sooner nor later, whatever restarts */
            scene_advance(&scene, DAY / 5 - SECOND);
            assert_int_equal(scene_take(&scene), 0);
            scene_crash(&scene);
        }
        scene_advance(&scene, 10 * SECOND);
        assert_int_equal(scene_take(&scene), 1);
        scene_succeed(&scene, -1);
    }
    scene_close(&scene);
}

static void a_slow_call_is_in_the_log_before_it_goes_out(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &daily, NULL);
    scene_call(&scene, 2);
    size_t taken = scene_count(&scene, RECORD_NOTE, CLASS_none, "signalbox.rate");
    assert_int_equal(taken, 1);
    scene_crash(&scene); /* what was delivered left nothing else behind */
    scene_advance(&scene, 31 * SECOND);
    assert_int_equal(scene_take(&scene), 0);
    scene_close(&scene);
}

static void a_clock_that_went_back_costs_a_pause_and_no_more(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &three_a_minute, NULL);
    scene_call(&scene, 2);
    assert_int_equal(scene_take(&scene), 1);
    scene_succeed(&scene, -1);
    scene.world.wall_us -= 100 * DAY;
    scene_crash(&scene);
    scene_advance(&scene, 19 * SECOND);
    assert_int_equal(scene_take(&scene), 0);
    scene_advance(&scene, 2 * SECOND);
    assert_int_equal(scene_take(&scene), 1);
    scene_close(&scene);
}

static void so_many_calls_at_one_time_over_all_sessions(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &narrow, NULL);
    scene_call(&scene, 10);
    assert_int_equal(scene_take(&scene), 3);
    assert_int_equal(scene_int(&scene, "inflight"), 3);
    scene_advance(&scene, 10 * SECOND);
    assert_int_equal(scene_take(&scene), 0);
    for (int i = 0; i < 7; i++) {
        scene_succeed(&scene, -1);
        assert_int_equal(scene_take(&scene), 1);
        assert_int_equal(scene_int(&scene, "inflight"), 3);
    }
    scene_close(&scene);
}

static void what_a_webhook_brought_is_no_call(void **state)
{
    static const struct record_parts paid = {.kind = RECORD_FACT,
                                             .flags = RECORD_WEBHOOK,
                                             .type = "stripe.checkout.session.completed"};
    struct scene scene;

    (void)state;
    scene_open(&scene, &slow, NULL);
    for (int i = 0; i < 20; i++)
        scene_publish(&scene, SCENE_GATEWAY, &paid);
    world_settle(&scene.world);
    assert_int_equal(scene_take(&scene), 20);
    scene_close(&scene);
}

static void webhooks_go_past_calls_that_wait(void **state)
{
    static const struct record_parts paid = {.kind = RECORD_FACT,
                                             .flags = RECORD_WEBHOOK,
                                             .type = "stripe.checkout.session.completed"};
    struct scene scene;

    (void)state;
    scene_open(&scene, &slow, NULL);
    size_t calls = 0, hooks = 0;
    for (int round = 0; round < 30; round++) {
        scene_call(&scene, 1); /* one second each: they pile up */
        scene_publish(&scene, SCENE_GATEWAY, &paid);
        world_settle(&scene.world);
        scene_take(&scene);
        for (; scene.n_held > 0; scene_succeed(&scene, -1))
            *(scene.held[0].type[0] == 's' ? &hooks : &calls) += 1;
        assert_int_equal(hooks, round + 1);
        scene_advance(&scene, SECOND / 3);
    }
    assert_true(calls <= 11);
    for (int round = 0; round < 40; round++) {
        scene_advance(&scene, SECOND);
        scene_take(&scene);
        for (; scene.n_held > 0; scene_succeed(&scene, -1))
            *(scene.held[0].type[0] == 's' ? &hooks : &calls) += 1;
    }
    assert_int_equal(calls, 30); /* each once, and the webhooks not again */
    assert_int_equal(hooks, 30);
    assert_int_equal(scene_int(&scene, "pending"), 0);
    scene_close(&scene);
}

static void where_there_is_a_rate_nothing_piles_up_at_the_connector(void **state)
{
    static const struct core_integration quick = {
        .attempts = 8, .deadline_us = UINT64_C(1000000) * DEADLINE_S, .rate = 1000};
    struct scene scene;

    (void)state;
    scene_open(&scene, &quick, NULL);
    scene_advance(&scene, 10 * SECOND);
    scene_call(&scene, 60);
    assert_int_equal(scene_take(&scene), LIMIT_CONCURRENCY);
    scene_close(&scene);
}

static void a_limit_changes_without_a_restart(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &narrow, NULL);
    scene_call(&scene, 10);
    assert_int_equal(scene_take(&scene), 3);
    scene.integration.concurrency = 5;
    scene_configure(&scene);
    scene_advance(&scene, SECOND);
    assert_int_equal(scene_take(&scene), 2);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rate_is_kept_over_any_time_and_used_to_the_full),
        cmocka_unit_test(rest_saves_up_a_tenth_of_a_second_and_at_least_one_call),
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(one_call_a_second_over_all_sessions),
        cmocka_unit_test(the_clock_is_asked_when_the_next_call_may_start_and_not_before),
        cmocka_unit_test(a_retry_is_a_call_too),
        cmocka_unit_test(after_a_restart_nothing_is_saved_up),
        cmocka_unit_test(a_slow_rate_goes_on_over_restarts),
        cmocka_unit_test(a_slow_call_is_in_the_log_before_it_goes_out),
        cmocka_unit_test(a_clock_that_went_back_costs_a_pause_and_no_more),
        cmocka_unit_test(so_many_calls_at_one_time_over_all_sessions),
        cmocka_unit_test(what_a_webhook_brought_is_no_call),
        cmocka_unit_test(webhooks_go_past_calls_that_wait),
        cmocka_unit_test(where_there_is_a_rate_nothing_piles_up_at_the_connector),
        cmocka_unit_test(a_limit_changes_without_a_restart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
