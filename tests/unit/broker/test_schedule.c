/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/cron.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "scene.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
enum { SKIP, ONCE, ALL };

static struct core_schedule schedule = {.operation = "events"};

static void open_it(struct scene *scene, int missed)
{
    static const struct core_integration polled = {.attempts = 3,
                                                   .deadline_us = 30 * MINUTE,
                                                   .schedules = &schedule,
                                                   .n_schedules = 1};

    schedule = (struct core_schedule){
        .operation = "events", .when = "every 1m", .every_us = MINUTE, .missed = missed};
    scene_open(scene, &polled, NULL);
    scene_advance(scene, SECOND); /* counting starts */
}

/* To so many microseconds after the next full minute, in steps in which sessions live. */
static void go_to_minute(struct scene *scene, uint64_t after_us)
{
    uint64_t until = (scene->world.wall_us / MINUTE + 1) * MINUTE + after_us;

    while (scene->world.wall_us < until) {
        uint64_t left = until - scene->world.wall_us;
        scene_advance(scene, left < 5 * SECOND ? left : 5 * SECOND);
    }
}

static size_t fired(const struct scene *scene)
{
    return scene_count(scene, RECORD_REQUEST, CLASS_none, "payment.events.requested");
}

static size_t missed(const struct scene *scene)
{
    return scene_count(scene, RECORD_FACT, CLASS_missed, "payment.events.missed");
}

static void a_run_fires_when_it_is_due_and_hands_its_cursor_on(void **state)
{
    struct scene scene;

    (void)state;
    open_it(&scene, ONCE);
    go_to_minute(&scene, 0);
    assert_int_equal(scene_take(&scene), 1);
    assert_string_equal(scene.held[0].type, "payment.events.requested");
    assert_null(strstr(scene.held[0].data, "cursor"));
    scene_poll(&scene, "evt_7", false);
    go_to_minute(&scene, 0);
    assert_int_equal(scene_take(&scene), 1);
    assert_non_null(strstr(scene.held[0].data, "\"cursor\":\"evt_7\""));
    scene_fail(&scene, CLASS_permanent); /* leaves the cursor where it was */
    scene_crash(&scene);
    go_to_minute(&scene, 0);
    assert_int_equal(scene_take(&scene), 1);
    assert_non_null(strstr(scene.held[0].data, "\"cursor\":\"evt_7\""));
    assert_int_equal(missed(&scene), 0);
    scene_close(&scene);
}

static void a_run_with_more_to_fetch_is_run_again_at_once(void **state)
{
    struct scene scene;

    (void)state;
    open_it(&scene, ONCE);
    go_to_minute(&scene, 0);
    scene_take(&scene);
    scene_poll(&scene, "a", true);
    scene_crash(&scene); /* what is owed is in the log, and in its checkpoints */
    scene_crash(&scene);
    scene_advance(&scene, SECOND);
    assert_int_equal(scene_take(&scene), 1);
    assert_non_null(strstr(scene.held[0].data, "\"cursor\":\"a\""));
    scene_poll(&scene, "b", true);
    scene_advance(&scene, SECOND);
    assert_int_equal(scene_take(&scene), 1);
    scene_poll(&scene, "c", false);
    scene_advance(&scene, SECOND);
    assert_int_equal(scene_take(&scene), 0);
    assert_int_equal(fired(&scene), 3);
    go_to_minute(&scene, 0);
    assert_int_equal(fired(&scene), 4);
    scene_close(&scene);
}

/* One run hangs over three dues. */
static void what_falls_due_while_one_runs_follows_the_policy(void **state)
{
    static const struct {
        int policy;
        size_t missed, fired_then;
    } cases[] = {{SKIP, 3, 1}, {ONCE, 3, 2}, {ALL, 0, 4}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct scene scene;
        open_it(&scene, cases[i].policy);
        go_to_minute(&scene, 0);
        assert_int_equal(scene_take(&scene), 1);
        for (int minute = 0; minute < 3; minute++)
            go_to_minute(&scene, SECOND);
        assert_int_equal(missed(&scene), cases[i].missed);
        assert_int_equal(fired(&scene), 1);
        for (int run = 0; run < 5; run++) {
            if (scene.n_held > 0)
                scene_poll(&scene, NULL, false);
            scene_advance(&scene, SECOND);
            scene_take(&scene);
        }
        assert_int_equal(fired(&scene), cases[i].fired_then);
        assert_int_equal(missed(&scene), cases[i].missed);
        scene_close(&scene);
    }
}

/* The broker was away over five dues and comes back 20 s after the last of them. */
static void what_falls_due_while_nothing_runs_follows_the_policy(void **state)
{
    static const struct {
        int policy;
        size_t missed, fired;
    } cases[] = {{SKIP, 5, 0}, {ONCE, 4, 1}, {ALL, 0, 5}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct scene scene;
        open_it(&scene, cases[i].policy);
        uint64_t next = (scene.world.wall_us / MINUTE + 1) * MINUTE;
        scene.world.wall_us = next + 4 * MINUTE + 20 * SECOND;
        scene.world.steady_us += 5 * MINUTE;
        scene_crash(&scene);
        for (int run = 0; run < 6; run++) {
            scene_advance(&scene, SECOND);
            if (scene_take(&scene))
                scene_poll(&scene, NULL, false);
        }
        assert_int_equal(missed(&scene), cases[i].missed);
        assert_int_equal(fired(&scene), cases[i].fired);
        scene_close(&scene);
    }
}

static void a_short_absence_is_not_missed_by_any_policy(void **state)
{
    struct scene scene;

    (void)state;
    open_it(&scene, SKIP);
    uint64_t next = (scene.world.wall_us / MINUTE + 1) * MINUTE;
    scene.world.wall_us = next + 5 * SECOND;
    scene.world.steady_us += MINUTE;
    scene_crash(&scene);
    scene_advance(&scene, SECOND);
    assert_int_equal(fired(&scene), 1);
    assert_int_equal(missed(&scene), 0);
    scene_close(&scene);
}

static void of_a_long_absence_the_last_hundred_are_told_and_the_rest_counted(void **state)
{
    struct scene scene;

    (void)state;
    open_it(&scene, ONCE);
    scene.world.wall_us += 1000 * MINUTE;
    scene.world.steady_us += 1000 * MINUTE;
    scene_crash(&scene);
    scene_advance(&scene, SECOND);
    assert_int_equal(fired(&scene), 1);
    assert_int_equal(missed(&scene), CORE_MISSED_MAX);
    size_t counted = 0;
    for (size_t i = 0; i < scene.world.n_log; i++) {
        const struct block *block = scene.world.log[i]->block;
        for (const struct record *r = block->count ? block_first(block) : NULL; r;
             r = block_next(block, r)) {
            _free_ char *why =
                r->error_class == CLASS_missed
                    ? attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ERROR_MSG)
                    : NULL;
            counted += why && strstr(why, "; 899 before it neither");
        }
    }
    assert_int_equal(counted, 1);
    scene_close(&scene);
}

static void a_changed_schedule_is_counted_from_the_change_on(void **state)
{
    struct scene scene;

    (void)state;
    open_it(&scene, ONCE);
    schedule.when = "every 1h";
    schedule.every_us = 60 * MINUTE;
    scene_configure(&scene);
    for (int minute = 0; minute < 20; minute++)
        go_to_minute(&scene, 0);
    size_t before = fired(&scene);
    schedule.when = "every 1m";
    schedule.every_us = MINUTE;
    scene_configure(&scene);
    scene_crash(&scene);
    scene_advance(&scene, SECOND);
    assert_int_equal(fired(&scene), before);
    assert_int_equal(missed(&scene), 0);
    go_to_minute(&scene, 0);
    assert_int_equal(fired(&scene), before + 1);
    scene_close(&scene);
}

static void one_that_was_taken_out_begins_afresh(void **state)
{
    struct scene scene;

    (void)state;
    open_it(&scene, ONCE);
    scene.integration.n_schedules = 0;
    scene_configure(&scene);
    for (int minute = 0; minute < 10; minute++)
        go_to_minute(&scene, 0);
    assert_int_equal(fired(&scene), 0);
    scene_crash(&scene);
    scene.integration.n_schedules = 1;
    scene_configure(&scene);
    scene_advance(&scene, SECOND);
    assert_int_equal(fired(&scene), 0);
    assert_int_equal(missed(&scene), 0);
    go_to_minute(&scene, 0);
    assert_int_equal(fired(&scene), 1);
    scene_close(&scene);
}

static void cron_says_when_in_its_zone(void **state)
{
    struct scene scene;
    struct cron cron;
    char error[100];
    size_t column;

    (void)state;
    open_it(&scene, ONCE);
    assert_true(cron_parse("*/15 * * * *", &cron, error, sizeof(error), &column));
    schedule.when = "*/15 * * * * UTC";
    schedule.every_us = 0;
    schedule.cron = &cron;
    scene_configure(&scene);
    for (int minute = 0; minute < 60; minute++) {
        go_to_minute(&scene, 0);
        if (scene_take(&scene)) {
            assert_int_equal(scene.world.wall_us % (15 * MINUTE), 0);
            scene_poll(&scene, NULL, false);
        }
    }
    assert_int_equal(fired(&scene), 4);
    scene_close(&scene);
}

/* Every due time has exactly one record: a run that fired, or one that was missed. */
static const char *ledger_is_wrong(const struct scene *scene, uint64_t from, uint64_t to)
{
    for (uint64_t due = (from / MINUTE + 1) * MINUTE; due <= to; due += MINUTE) {
        uint8_t id[16];
        size_t found = 0;
        id_derive("stripe.events", due, id);
        for (size_t i = 0; i < scene->world.n_log; i++) {
            const struct block *block = scene->world.log[i]->block;
            for (const struct record *r = block->count ? block_first(block) : NULL; r;
                 r = block_next(block, r))
                found += record_is_event(r) && r->kind != RECORD_OUTCOME &&
                         memcmp(r->id, id, 16) == 0;
        }
        if (found != 1)
            return found ? "a due time has several records" : "a due time has no record";
    }
    return NULL;
}

static void any_order_of_crashes_leaves_one_record_for_each_due_time(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        struct scene scene;
        uint64_t random = seed;
        open_it(&scene, (int)(seed % 3));
        world_settle(&scene.world);
        uint64_t from = scene.world.wall_us;
        for (int step = 0; step < 120; step++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            unsigned op = (unsigned)(random >> 40) % 8, how = (unsigned)(random >> 50);
            if (op < 3)
                world_advance(&scene.world, (how % 90) * SECOND + how);
            else if (op == 3)
                core_flush(scene.world.core);
            else if (op == 4)
                world_commit(&scene.world, 1 + how % 2);
            else if (op == 5 && how % 3 == 0)
                scene_crash(&scene);
            else if (scene_take(&scene) + scene.n_held > 0)
                scene_poll(&scene, how & 1 ? "x" : NULL, how % 7 == 0);
        }
        for (int round = 0; round < 600; round++) { /* all is well: the rest is made up */
            scene_advance(&scene, SECOND);
            scene_take(&scene);
            while (scene.n_held > 0)
                scene_poll(&scene, NULL, false);
        }
        const char *why = ledger_is_wrong(&scene, from, scene.world.wall_us - MINUTE);
        if (why && seed % 3 != ALL)
            fail_msg("seed %u: %s", seed, why);
        if (why && strcmp(why, "a due time has several records") == 0)
            fail_msg("seed %u: %s", seed, why);
        scene_close(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_fires_when_it_is_due_and_hands_its_cursor_on),
        cmocka_unit_test(a_run_with_more_to_fetch_is_run_again_at_once),
        cmocka_unit_test(what_falls_due_while_one_runs_follows_the_policy),
        cmocka_unit_test(what_falls_due_while_nothing_runs_follows_the_policy),
        cmocka_unit_test(a_short_absence_is_not_missed_by_any_policy),
        cmocka_unit_test(
            of_a_long_absence_the_last_hundred_are_told_and_the_rest_counted),
        cmocka_unit_test(a_changed_schedule_is_counted_from_the_change_on),
        cmocka_unit_test(one_that_was_taken_out_begins_afresh),
        cmocka_unit_test(cron_says_when_in_its_zone),
        cmocka_unit_test(any_order_of_crashes_leaves_one_record_for_each_due_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
