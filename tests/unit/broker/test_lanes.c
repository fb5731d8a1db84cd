/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "proto/attrs.h"

static const char *const order_types[] = {"order.>"};
static const struct core_integration ordered_integration[] = {{.name = "stripe",
                                                               .connector = "payment",
                                                               .key = "k",
                                                               .is_ordered = true,
                                                               .attempts = 3,
                                                               .deadline_us = 60000000}};
static const struct core_group ordered_group[] = {{.name = "billing",
                                                   .types = order_types,
                                                   .n_types = 1,
                                                   .attempts = 3,
                                                   .is_ordered = true}};
static const struct core_config ordered = {.gateway_key = "g",
                                           .integrations = ordered_integration,
                                           .n_integrations = 1,
                                           .groups = ordered_group,
                                           .n_groups = 1,
                                           .random_seed = 1};
static struct core_integration plain_integration[1];
static struct core_config plain;

/* The request's data says which it is: "1" is the first. */
static void publish_keyed(struct fixture *f, const char *key, const char *data)
{
    struct record_parts parts = charge;

    parts.key = key;
    parts.data = data;
    parts.data_len = strlen(data);
    publish(f, CLIENT, parts, false);
    world_settle(&f->world);
    expect(f, CLIENT, MSG_PUBLISHED);
}

static void open_taking(struct fixture *f, unsigned credit)
{
    open_with(f, &ordered);
    subscribe(f, CONNECTOR, "stripe", credit);
}

/* The next delivery is of one event, which says `data`. */
static struct slice expect_one(struct fixture *f, uint64_t peer, const char *data)
{
    struct slice slice = expect_delivery(f, peer, "payment.charge.requested");
    const struct record *r = block_ref_record(f->world.log[slice.block - 1], slice.index);

    assert_int_equal(slice.count, 1);
    assert_int_equal(r->data_len, strlen(data));
    assert_memory_equal(record_data(r), data, r->data_len);
    return slice;
}

static void settle_it(struct fixture *f, struct slice at)
{
    succeed(f, at);
    world_settle(&f->world);
    expect(f, CONNECTOR, MSG_SETTLED);
}

static void a_key_is_handled_one_at_a_time_and_the_others_go_on(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, 10);
    publish_keyed(&f, "ann", "1");
    publish_keyed(&f, "ann", "2");
    publish_keyed(&f, "bob", "3");
    publish_keyed(&f, NULL, "4");
    publish_keyed(&f, NULL, "5");
    struct slice first = expect_one(&f, CONNECTOR, "1");
    expect_one(&f, CONNECTOR, "3");
    expect_one(&f, CONNECTOR, "4");
    expect_one(&f, CONNECTOR, "5");
    expect_silence(&f, CONNECTOR);
    assert_int_equal(status(&f, "groups.0.parked"), 1);
    settle_it(&f, first);
    expect_one(&f, CONNECTOR, "2");
    assert_int_equal(status(&f, "groups.0.parked"), 0);
    close_fixture(&f);
}

static void a_follower_waits_for_the_commit_not_for_the_result(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, 10);
    publish_keyed(&f, "ann", "1");
    publish_keyed(&f, "ann", "2");
    succeed(&f, expect_one(&f, CONNECTOR, "1"));
    core_flush(f.world.core);
    core_tick(f.world.core);
    expect_silence(&f, CONNECTOR);
    world_settle(&f.world);
    expect(&f, CONNECTOR, MSG_SETTLED);
    expect_one(&f, CONNECTOR, "2");
    close_fixture(&f);
}

static void a_failing_key_waits_with_its_followers(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, 10);
    publish_keyed(&f, "ann", "1");
    publish_keyed(&f, "ann", "2");
    publish_keyed(&f, "ann", "3");
    retry(&f, CONNECTOR, expect_one(&f, CONNECTOR, "1"), 5000000);
    publish_keyed(&f, "bob", "4");
    expect(&f, CONNECTOR, MSG_SETTLED);
    settle_it(&f, expect_one(&f, CONNECTOR, "4"));
    world_advance(&f.world, 4000000);
    expect_silence(&f, CONNECTOR);
    world_advance(&f.world, 1000001);
    settle_it(&f, expect_one(&f, CONNECTOR, "1"));
    settle_it(&f, expect_one(&f, CONNECTOR, "2"));
    settle_it(&f, expect_one(&f, CONNECTOR, "3"));
    assert_int_equal(status(&f, "groups.0.pending"), 0);
    close_fixture(&f);
}

/* Lanes are not in the log: a broker that starts again finds them from what is open. */
static void a_restart_keeps_the_order_of_what_fails(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, 10);
    publish_keyed(&f, "ann", "1");
    publish_keyed(&f, "ann", "2");
    retry(&f, CONNECTOR, expect_one(&f, CONNECTOR, "1"), 20000000);
    world_settle(&f.world);
    expect(&f, CONNECTOR, MSG_SETTLED);
    world_crash(&f.world);
    join(&f, CONNECTOR, "connector", "stripe", "k");
    expect(&f, CONNECTOR, MSG_WELCOME);
    subscribe(&f, CONNECTOR, "stripe", 10);
    world_advance(&f.world, 19000000);
    expect_silence(&f, CONNECTOR);
    world_advance(&f.world, 1500000);
    settle_it(&f, expect_one(&f, CONNECTOR, "1"));
    settle_it(&f, expect_one(&f, CONNECTOR, "2"));
    close_fixture(&f);
}

/* Peers say what they still hold: what may not run beside another is theirs no more. */
static void of_two_that_a_peer_holds_of_a_key_it_keeps_one(void **state)
{
    struct fixture f;
    struct attr_value lost;

    (void)state;
    plain_integration[0] = ordered_integration[0];
    plain_integration[0].is_ordered = false;
    plain = ordered;
    plain.integrations = plain_integration;
    open_with(&f, &plain);
    subscribe(&f, CONNECTOR, "stripe", 10);
    publish_keyed(&f, "ann", "1");
    publish_keyed(&f, "ann", "2");
    struct slice first = expect_one(&f, CONNECTOR, "1"),
                 second = expect_one(&f, CONNECTOR, "2");
    f.world.config = &ordered;
    world_crash(&f.world);
    struct wire_position held[] = {{first.block, first.index, 0},
                                   {second.block, second.index, 0}};
    buf_clear(&f.frame);
    frame_hello(&f.frame, "connector", "stripe", instances[CONNECTOR], "k",
                world_manifest, held, 2);
    world_send(&f.world, CONNECTOR, 0, &f.frame);
    const struct message *m = expect(&f, CONNECTOR, MSG_WELCOME);
    assert_true(attrs_find_named(message_body(m), m->body_len, "lost", &lost));
    assert_int_equal(lost.text_len, sizeof(struct wire_position));
    assert_memory_equal(lost.text, &held[1], 12);
    subscribe(&f, CONNECTOR, "stripe", 10);
    expect_silence(&f, CONNECTOR);
    settle_it(&f, first);
    settle_it(&f, expect_one(&f, CONNECTOR, "2"));
    close_fixture(&f);
}

static void order_can_begin_and_end_while_events_are_under_way(void **state)
{
    struct fixture f;

    (void)state;
    plain_integration[0] = ordered_integration[0];
    plain_integration[0].is_ordered = false;
    plain = ordered;
    plain.integrations = plain_integration;
    open_with(&f, &plain);
    subscribe(&f, CONNECTOR, "stripe", 10);
    publish_keyed(&f, "ann", "1");
    publish_keyed(&f, "ann", "2");
    struct slice first = expect_one(&f, CONNECTOR, "1"),
                 second = expect_one(&f, CONNECTOR, "2");
    core_configure(f.world.core, &ordered);
    publish_keyed(&f, "ann", "3");
    publish_keyed(&f, "ann", "4");
    expect_silence(&f, CONNECTOR);
    settle_it(&f, second);
    expect_silence(&f, CONNECTOR); /* one from before is still under way */
    settle_it(&f, first);
    struct slice third = expect_one(&f, CONNECTOR, "3");
    core_configure(f.world.core, &plain);
    core_tick(f.world.core);
    expect_one(&f, CONNECTOR, "4");
    settle_it(&f, third);
    close_fixture(&f);
}

static void who_is_parked_past_its_deadline_fails_and_lets_the_next_go(void **state)
{
    struct fixture f;
    struct record_parts hurried = charge;

    (void)state;
    open_taking(&f, 10);
    publish_keyed(&f, "ann", "1");
    hurried.key = "ann";
    hurried.deadline_us = f.world.wall_us + 10000000;
    publish(&f, CLIENT, hurried, false);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    publish_keyed(&f, "ann", "3");
    struct slice first = expect_one(&f, CONNECTOR, "1");
    world_advance(&f.world, 11000000);
    world_settle(&f.world);
    assert_int_equal(status(&f, "groups.0.failed"), 1);
    expect_silence(&f, CONNECTOR);
    settle_it(&f, first);
    settle_it(&f, expect_one(&f, CONNECTOR, "3"));
    close_fixture(&f);
}

static void a_lost_session_gives_its_key_to_another_in_order(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, 1);
    publish_keyed(&f, "ann", "1");
    publish_keyed(&f, "ann", "2");
    struct slice first = expect_one(&f, CONNECTOR, "1");
    start_work(&f, CONNECTOR, &first, 1);
    join(&f, OTHER, "connector", "stripe", "k");
    expect(&f, OTHER, MSG_WELCOME);
    subscribe(&f, OTHER, "stripe", 10);
    expect_silence(&f, OTHER);
    message_begin(&f.frame, MSG_BYE, 0);
    message_end(&f.frame);
    world_send(&f.world, CONNECTOR, 0, &f.frame);
    world_settle(&f.world);
    core_tick(f.world.core);
    first = expect_one(&f, OTHER, "1");
    assert_int_equal(first.attempt, 2);
    expect_silence(&f, OTHER);
    close_fixture(&f);
}

/* n events of one key in batches of 1024; whatever is due happens. */
static void publish_many(struct fixture *f, const char *key, uint32_t n)
{
    struct buf records = BUF_NULL;
    struct record_parts parts = charge;
    uint8_t id[16] = {9};

    parts.key = key;
    parts.id = id;
    for (uint32_t at = 0; at < n; at += 1024) {
        buf_clear(&records);
        for (uint32_t i = 0; i < 1024; i++) {
            memcpy(id, &(uint32_t){at + i + 1}, 4);
            record_add(&records, &parts);
        }
        frame_publish(&f->frame, ++f->number, false, &records, 1024);
        world_send(&f->world, CLIENT, 0, &f->frame);
        world_settle(&f->world);
        expect(f, CLIENT, MSG_PUBLISHED);
    }
    buf_fini(&records);
}

/* Turns of the loop until nothing is due now; how many that were. */
static unsigned run_turns(struct fixture *f)
{
    unsigned turns = 0;

    do {
        core_tick(f->world.core);
        world_settle(&f->world);
        turns++;
    } while (core_next_due(f->world.core) <= f->world.steady_us);
    return turns;
}

static void a_key_with_many_followers_does_not_stop_the_others(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, 100);
    size_t said = f.world.n_said;
    publish_many(&f, "ann", 2 * CORE_UNSETTLED_MAX);
    expect_delivery(&f, CONNECTOR, "payment.charge.requested");
    publish_keyed(&f, "bob", "b");
    expect_one(&f, CONNECTOR, "b");
    assert_int_equal(status(&f, "groups.0.parked"), 2 * CORE_UNSETTLED_MAX - 1);
    assert_int_equal(f.world.n_said, said);
    close_fixture(&f);
}

/* A restart meets them all again: others have their turn in between. */
static void many_are_parked_in_turns(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, 100);
    publish_many(&f, "ann", 5 * CORE_PARK_TURN);
    expect_delivery(&f, CONNECTOR, "payment.charge.requested");
    world_crash(&f.world);
    world_advance(&f.world, CORE_LEASE_US); /* the former session is not waited for */
    world_settle(&f.world);
    join(&f, CONNECTOR, "connector", "stripe", "k");
    expect(&f, CONNECTOR, MSG_WELCOME);
    subscribe(&f, CONNECTOR, "stripe", 100);
    assert_in_range(run_turns(&f), 2, 5); /* some were had on the way here */
    assert_int_equal(status(&f, "groups.0.parked"), 5 * CORE_PARK_TURN - 1);
    close_fixture(&f);
}

/* At the bound the scan rests in front of the next follower, which is said once, and goes
 * on when there is room. */
static void parked_followers_are_bounded(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, 100);
    size_t said = f.world.n_said;
    publish_many(&f, "ann", CORE_PARKED_MAX + 1024);
    struct slice first = expect_delivery(&f, CONNECTOR, "payment.charge.requested");
    assert_int_equal(status(&f, "groups.0.parked"), CORE_PARKED_MAX);
    publish_keyed(&f, "bob", "b");
    expect_silence(&f, CONNECTOR);
    assert_int_equal(f.world.n_said, said + 1);
    assert_non_null(strstr(f.world.said, "parked=1048576 next_key=\"ann\""));
    /* one goes from the parked ones to the session, one more is parked */
    settle_it(&f, first);
    expect_delivery(&f, CONNECTOR, "payment.charge.requested");
    assert_int_equal(status(&f, "groups.0.parked"), CORE_PARKED_MAX);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_handled_one_at_a_time_and_the_others_go_on),
        cmocka_unit_test(a_follower_waits_for_the_commit_not_for_the_result),
        cmocka_unit_test(a_failing_key_waits_with_its_followers),
        cmocka_unit_test(a_restart_keeps_the_order_of_what_fails),
        cmocka_unit_test(of_two_that_a_peer_holds_of_a_key_it_keeps_one),
        cmocka_unit_test(order_can_begin_and_end_while_events_are_under_way),
        cmocka_unit_test(who_is_parked_past_its_deadline_fails_and_lets_the_next_go),
        cmocka_unit_test(a_lost_session_gives_its_key_to_another_in_order),
        cmocka_unit_test(a_key_with_many_followers_does_not_stop_the_others),
        cmocka_unit_test(many_are_parked_in_turns),
        cmocka_unit_test(parked_followers_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
