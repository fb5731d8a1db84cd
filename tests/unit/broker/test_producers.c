/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/state.h"
#include "fixture.h"
#include "proto/attrs.h"

static const struct core_integration integration[] = {
    {.name = "stripe", .connector = "payment", .key = "k", .attempts = 3}};
static const struct core_config config = {.gateway_key = "g",
                                          .integrations = integration,
                                          .n_integrations = 1,
                                          .random_seed = 1};

static int64_t join_again(struct fixture *f)
{
    struct attr_value value;

    drain(f, CLIENT);
    join(f, CLIENT, "client", "app", NULL);
    const struct message *m = expect(f, CLIENT, MSG_WELCOME);
    assert_true(attrs_find_named(message_body(m), m->body_len, "last_batch", &value));
    return value.number;
}

/* The first batch again; the block that it is said to be in. */
static uint64_t say_again(struct fixture *f)
{
    f->number = 0;
    publish(f, CLIENT, charge, false);
    world_settle(&f->world);
    return ((const struct published *)message_body(expect(f, CLIENT, MSG_PUBLISHED)))
        ->block;
}

static void a_batch_of_a_publisher_that_was_away_is_recognised_for_a_day(void **state)
{
    static const struct {
        uint64_t minutes;
        bool is_restarted; /* then the log is read again, places too */
        int stored;
        bool is_placed;
    } cases[] = {{5, false, 1, true},        {11, false, 1, false},
                 {23 * 60, false, 1, false}, {5, true, 1, true},
                 {23 * 60, true, 1, true},   {25 * 60, false, 2, true}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct fixture f;
        open_with(&f, &config);
        publish(&f, CLIENT, charge, false);
        world_settle(&f.world);
        world_advance(&f.world, cases[i].minutes * 60 * 1000000);
        world_settle(&f.world); /* its session is over */
        if (cases[i].is_restarted)
            world_crash(&f.world);
        producers_forget(f.world.core);
        assert_int_equal(join_again(&f), cases[i].stored == 1);
        assert_int_equal(say_again(&f) != 0, cases[i].is_placed);
        assert_int_equal(status(&f, "requests"), cases[i].stored);
        close_fixture(&f);
    }
}

static const uint8_t *instance_of(uint32_t n)
{
    static uint8_t instance[16];

    memcpy(instance, &n, sizeof(n));
    memcpy(instance + 8, &n, sizeof(n));
    return instance;
}

static void know(struct core *core, uint32_t from, uint32_t to)
{
    for (uint32_t n = from; n < to; n++) {
        struct producer *producer = producer_get(core, instance_of(n), true);
        numbers_add(&producer->committed, 1);
        producer->used_us += n;
    }
}

static void beyond_the_most_the_longest_absent_are_forgotten(void **state)
{
    enum { EXCESS = 10 };
    struct fixture f;

    (void)state;
    open_with(&f, &config);
    struct core *core = f.world.core;
    know(core, 1, 1 + CORE_PRODUCERS_MAX + EXCESS);
    producers_forget(core);
    assert_non_null(producer_get(core, instance_of(1), false)); /* there a moment ago */
    assert_int_equal(core->n_producers, CORE_PRODUCERS_MAX + EXCESS);
    core->steady_us += (CORE_PRODUCERS_LATE_S + 1) * UINT64_C(1000000);
    producers_forget(core);
    assert_int_equal(core->n_producers, CORE_PRODUCERS_MAX);
    assert_null(producer_get(core, instance_of(EXCESS), false));
    assert_non_null(producer_get(core, instance_of(EXCESS + 1), false));
    close_fixture(&f);
}

/* Without a checkpoint in between, and whatever is said once only. */
static void the_table_does_not_grow_for_ever(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &config);
    struct core *core = f.world.core;
    for (uint32_t n = 0; n < 12; n++) {
        know(core, 1 + n * (CORE_PRODUCERS_MAX / 4),
             1 + (n + 1) * (CORE_PRODUCERS_MAX / 4));
        core->steady_us += (CORE_PRODUCERS_LATE_S + 1) * UINT64_C(1000000);
    }
    assert_true(core->n_producers <= CORE_PRODUCERS_MAX * 3 / 2);
    close_fixture(&f);
}

/* Who has a session, and whose batch is on its way, is not absent. */
static void who_is_there_is_not_forgotten(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &config);
    struct core *core = f.world.core;
    publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    core->steady_us += (CORE_PRODUCERS_IDLE_S + 1) * UINT64_C(1000000);
    producers_forget(core);
    assert_non_null(producer_get(core, instances[CLIENT], false));
    numbers_add(&producer_get(core, instance_of(7), true)->staged, 1);
    core->steady_us += (CORE_PRODUCERS_IDLE_S + 1) * UINT64_C(1000000);
    producers_forget(core);
    assert_non_null(producer_get(core, instance_of(7), false));
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_batch_of_a_publisher_that_was_away_is_recognised_for_a_day),
        cmocka_unit_test(beyond_the_most_the_longest_absent_are_forgotten),
        cmocka_unit_test(the_table_does_not_grow_for_ever),
        cmocka_unit_test(who_is_there_is_not_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
