/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/breaker.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "scene.h"

enum { SECOND = 1000000 };

static const struct core_integration fragile = {
    .attempts = 100,
    .deadline_us = UINT64_C(3600) * SECOND,
    .breaker = {.failures = 3, .window_us = 60 * SECOND, .pause_us = 10 * SECOND}};

/* --- the state itself --- */

static bool is_due(const struct breaker *b, uint64_t now, enum breaker_state expected)
{
    enum breaker_state to;
    char why[300];

    return breaker_is_due(b, now, &to, why, sizeof(why)) && to == expected;
}

static void it_opens_at_so_many_in_a_row_within_the_window(void **state)
{
    static const struct {
        const char *row; /* seconds of failures as letters: a = 0 ...; '.' = an answer */
        uint32_t failures;
        uint64_t window_s;
        bool opens;
    } cases[] = {
        {"abc", 3, 10, true},    {"ab", 3, 10, false},       {"ab.c", 3, 10, false},
        {"ab.cde", 3, 10, true}, {"abz", 3, 10, false},      {"abyz", 3, 10, false},
        {"abxyz", 3, 10, true},  {"ak", 2, 10, true},        {"al", 2, 10, false},
        {"a", 1, 10, true},      {"aaaaaaaa", 0, 10, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct breaker b = {.limits = {cases[i].failures, cases[i].window_s * SECOND, 1}};
        for (const char *at = cases[i].row; *at; at++)
            if (*at == '.')
                breaker_answered(&b);
            else
                breaker_failed(&b, (uint64_t)(*at - 'a' + 1) * SECOND, "x", 1);
        if (is_due(&b, 100 * SECOND, BREAKER_OPEN) != cases[i].opens)
            fail_msg("%s should %sopen it", cases[i].row, cases[i].opens ? "" : "not ");
    }
}

static void a_row_without_end_is_remembered_as_far_as_is_needed(void **state)
{
    struct breaker b = {.limits = {BREAKER_FAILURES_MAX, 99 * SECOND, 1}};

    (void)state;
    for (uint64_t i = 1; i <= 1000; i++) {
        breaker_failed(&b, i * SECOND, "x", 1);
        assert_int_equal(is_due(&b, i * SECOND, BREAKER_OPEN), i >= 100);
    }
    b.limits.window_us--;
    assert_false(is_due(&b, 1000 * SECOND, BREAKER_OPEN));
}

static void a_pause_ends_even_if_the_clock_goes_back(void **state)
{
    struct breaker b = {.limits = {3, 1, 10 * SECOND}};
    enum breaker_state to;
    char why[300];

    (void)state;
    breaker_change(&b, BREAKER_OPEN, 1000 * SECOND, 1010 * SECOND);
    assert_false(breaker_is_due(&b, 1009 * SECOND, &to, why, sizeof(why)));
    assert_true(breaker_is_due(&b, 1010 * SECOND, &to, why, sizeof(why)));
    assert_true(breaker_is_due(&b, 500 * SECOND, &to, why, sizeof(why)));
    assert_int_equal(to, BREAKER_HALF_OPEN);
}

static void names_go_both_ways(void **state)
{
    (void)state;
    for (int i = BREAKER_CLOSED; i <= BREAKER_HALF_OPEN; i++)
        assert_int_equal(breaker_find(breaker_name((enum breaker_state)i)), i);
    assert_int_equal(breaker_find("ajar"), -1);
}

/* --- in the broker --- */

static void state_is(const struct scene *scene, const char *expected)
{
    _free_ char *name = scene_text(scene, "limits.breaker.state");

    assert_string_equal(name, expected);
}

/* Three calls that fail: it opens. */
static void open_it(struct scene *scene)
{
    scene_call(scene, 3);
    assert_int_equal(scene_take(scene), 3);
    for (int i = 0; i < 3; i++)
        scene_retry(scene, 1000);
    scene_advance(scene, 1000);
    state_is(scene, "open");
    assert_int_equal(scene_take(scene), 0);
}

static void an_open_one_is_a_record_with_its_reason_and_nothing_is_called(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &fragile, NULL);
    state_is(&scene, "closed");
    open_it(&scene);
    const struct record *note =
        scene_last(&scene, RECORD_NOTE, CLASS_none, "signalbox.breaker");
    assert_non_null(note);
    _free_ char *text = mem_copy(record_data(note), note->data_len);
    assert_non_null(strstr(text, "\"state\":\"open\""));
    assert_non_null(strstr(text, "3 attempts in a row failed"));
    assert_non_null(strstr(text, "503 from the service"));
    assert_true(scene_int(&scene, "limits.breaker.since_us") > 0);
    _free_ char *waits = scene_text(&scene, "limits.waits_for");
    assert_string_equal(waits, "breaker");
    scene_call(&scene, 10);
    scene_advance(&scene, 9 * SECOND);
    assert_int_equal(scene_take(&scene), 0);
    scene_close(&scene);
}

static void after_the_pause_one_call_tries_and_its_answer_closes_it(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &fragile, NULL);
    open_it(&scene);
    scene_advance(&scene, 10 * SECOND);
    state_is(&scene, "half-open");
    assert_int_equal(scene_take(&scene), 1);
    scene_call(&scene, 5);
    scene_advance(&scene, 20 * SECOND);
    assert_int_equal(scene_take(&scene), 0); /* one, not one more */
    scene_succeed(&scene, -1);
    scene_advance(&scene, 1000);
    state_is(&scene, "closed");
    assert_int_equal(scene_take(&scene), 7);
    scene_close(&scene);
}

static void a_failure_of_the_one_that_tries_opens_it_again(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &fragile, NULL);
    open_it(&scene);
    for (int i = 0; i < 3; i++) {
        scene_advance(&scene, 10 * SECOND);
        assert_int_equal(scene_take(&scene), 1);
        scene_retry(&scene, 1000);
        scene_advance(&scene, 1000);
        state_is(&scene, "open");
        assert_int_equal(scene_take(&scene), 0);
    }
    scene_close(&scene);
}

static void a_refusal_for_good_is_an_answer(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &fragile, NULL);
    scene_call(&scene, 5);
    scene_take(&scene);
    scene_retry(&scene, SECOND);
    scene_retry(&scene, SECOND);
    scene_fail(&scene, CLASS_permanent);
    scene_retry(&scene, SECOND);
    scene_retry(&scene, SECOND);
    scene_advance(&scene, 1000);
    state_is(&scene, "closed");
    scene_close(&scene);
}

static void an_effect_nobody_knows_is_a_failure(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &fragile, NULL);
    scene_call(&scene, 3);
    scene_take(&scene);
    for (int i = 0; i < 3; i++)
        scene_fail(&scene, CLASS_unknown);
    scene_advance(&scene, 1000);
    state_is(&scene, "open");
    scene_close(&scene);
}

static void a_restart_changes_nothing(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &fragile, NULL);
    scene_call(&scene, 3);
    scene_take(&scene);
    scene_retry(&scene, 1000);
    scene_retry(&scene, 1000);
    scene_crash(&scene); /* twice: from the log, then from the checkpoint it wrote */
    scene_crash(&scene);
    assert_int_equal(scene_int(&scene, "limits.breaker.failures"), 2);
    state_is(&scene, "closed");
    scene_take(&scene);
    scene_retry(&scene, 1000);
    scene_advance(&scene, 1000);
    state_is(&scene, "open");
    scene_crash(&scene);
    scene_crash(&scene);
    state_is(&scene, "open");
    scene_advance(&scene, 9 * SECOND);
    assert_int_equal(scene_take(&scene), 0);
    scene_advance(&scene, SECOND);
    state_is(&scene, "half-open");
    assert_int_equal(scene_take(&scene), 1);
    scene_crash(&scene);
    state_is(&scene, "half-open");
    assert_int_equal(scene_take(&scene) + scene.n_held > 0, 1);
    assert_int_equal(scene.n_held, 1); /* whoever tried is gone: another one tries */
    scene_close(&scene);
}

static void webhooks_neither_wait_for_it_nor_tell_of_the_service(void **state)
{
    static const struct record_parts paid = {.kind = RECORD_FACT,
                                             .flags = RECORD_WEBHOOK,
                                             .type = "stripe.checkout.session.completed"};
    struct scene scene;

    (void)state;
    scene_open(&scene, &fragile, NULL);
    open_it(&scene);
    scene_publish(&scene, SCENE_GATEWAY, &paid);
    world_settle(&scene.world);
    assert_int_equal(scene_take(&scene), 1);
    scene_succeed(&scene, -1);
    state_is(&scene, "open");
    assert_int_equal(scene_int(&scene, "limits.breaker.failures"), 3);
    scene_close(&scene);
}

static void who_waited_in_vain_is_told_what_for(void **state)
{
    struct core_integration hasty = fragile;
    struct scene scene;

    (void)state;
    hasty.deadline_us = 5 * SECOND;
    scene_open(&scene, &hasty, NULL);
    open_it(&scene);
    scene_call(&scene, 1);
    scene_advance(&scene, 6 * SECOND);
    const struct record *r = scene_last(&scene, RECORD_OUTCOME, CLASS_deadline, NULL);
    assert_non_null(r);
    _free_ char *why = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ERROR_MSG);
    assert_non_null(
        strstr(why, "the circuit breaker is open: 3 attempts in a row failed"));
    scene_close(&scene);
}

static void without_one_nothing_is_held_back(void **state)
{
    struct core_integration none = fragile;
    struct scene scene;

    (void)state;
    none.breaker.failures = 0;
    scene_open(&scene, &none, NULL);
    scene_call(&scene, 20);
    scene_take(&scene);
    for (int i = 0; i < 20; i++)
        scene_retry(&scene, 1000);
    scene_advance(&scene, 1000);
    state_is(&scene, "closed");
    assert_int_equal(scene_take(&scene), 20);
    scene_close(&scene);
}

static void one_that_is_taken_away_closes(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, &fragile, NULL);
    open_it(&scene);
    scene.integration.breaker.failures = 0;
    scene_configure(&scene);
    scene_advance(&scene, 1000);
    state_is(&scene, "closed");
    assert_int_equal(scene_take(&scene), 3);
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_opens_at_so_many_in_a_row_within_the_window),
        cmocka_unit_test(a_row_without_end_is_remembered_as_far_as_is_needed),
        cmocka_unit_test(a_pause_ends_even_if_the_clock_goes_back),
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(an_open_one_is_a_record_with_its_reason_and_nothing_is_called),
        cmocka_unit_test(after_the_pause_one_call_tries_and_its_answer_closes_it),
        cmocka_unit_test(a_failure_of_the_one_that_tries_opens_it_again),
        cmocka_unit_test(a_refusal_for_good_is_an_answer),
        cmocka_unit_test(an_effect_nobody_knows_is_a_failure),
        cmocka_unit_test(a_restart_changes_nothing),
        cmocka_unit_test(webhooks_neither_wait_for_it_nor_tell_of_the_service),
        cmocka_unit_test(who_waited_in_vain_is_told_what_for),
        cmocka_unit_test(without_one_nothing_is_held_back),
        cmocka_unit_test(one_that_is_taken_away_closes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
