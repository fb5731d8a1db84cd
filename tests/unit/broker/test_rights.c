/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"

/* Peers that come over an encrypted link: `app` and `stripe-host`. */
static const char *const order_types[] = {"order.>"};
static const char *const all_types[] = {">"};
static const struct core_group both_groups[] = {
    {.name = "billing", .types = order_types, .n_types = 1, .attempts = 3},
    {.name = "everything", .types = all_types, .n_types = 1, .attempts = 3}};
static const struct core_integration integrations[] = {{.name = "stripe",
                                                        .connector = "payment",
                                                        .service = "Stripe",
                                                        .key = "k",
                                                        .attempts = 3,
                                                        .deadline_us = 3600000000}};
static const char *const app_types[] = {"order.*", "payment.charge.requested"};
static const char *const app_groups[] = {"billing"};
static const struct core_peer peers[] = {
    {.name = "app",
     .publish = app_types,
     .n_publish = 2,
     .groups = app_groups,
     .n_groups = 1},
    {.name = "stripe-host", .is_connector = true, .integration = "stripe"},
    {.name = "idle"},
    {.name = "watcher", .may_observe = true},
};
static const struct core_config with_peers = {.gateway_key = "g",
                                              .integrations = integrations,
                                              .n_integrations = 1,
                                              .groups = both_groups,
                                              .n_groups = 2,
                                              .peers = peers,
                                              .n_peers = 4,
                                              .random_seed = 1};

static void hello_as(struct fixture *f, uint64_t peer, const char *key_name,
                     const char *role, const char *name)
{
    buf_clear(&f->frame);
    frame_hello(&f->frame, role, name, instances[peer], NULL,
                strcmp(role, "connector") == 0 ? world_manifest : NULL, NULL, 0);
    world_send_as(&f->world, peer, key_name, &f->frame);
}

static void join_as(struct fixture *f, uint64_t peer, const char *key_name,
                    const char *role, const char *name)
{
    hello_as(f, peer, key_name, role, name);
    world_settle(&f->world);
    expect(f, peer, MSG_WELCOME);
}

static void say(struct fixture *f, uint64_t peer, enum message_type type,
                const void *body, size_t n)
{
    message_begin(&f->frame, type, 9);
    buf_add(&f->frame, body, n);
    message_end(&f->frame);
    world_send(&f->world, peer, 0, &f->frame);
}

static void a_key_is_one_peer_in_one_role(void **state)
{
    static const struct {
        const char *key_name, *role, *name;
    } wrong[] = {
        {"nobody", "client", "app"},        {"app", "gateway", "gateway"},
        {"app", "connector", "stripe"},     {"stripe-host", "client", "app"},
        {"app", "cli", "signalbox"},        {"stripe-host", "connector", "billing"},
        {"stripe-host", "connector", "pp"},
    };
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        hello_as(&f, CONSUMER, wrong[i].key_name, wrong[i].role, wrong[i].name);
        expect_refused(&f, CONSUMER, "bad_identity");
    }
    assert_int_equal(status(&f, "refused.hellos"), sizeof(wrong) / sizeof(*wrong));
    join_as(&f, CONSUMER, "app", "client", "app");
    join_as(&f, OTHER, "stripe-host", "connector", "stripe");
    close_fixture(&f);
}

static void it_publishes_what_its_entry_names_and_nothing_else(void **state)
{
    struct record_parts made = {.kind = RECORD_FACT, .type = "order.made"};
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    join_as(&f, CONSUMER, "app", "client", "app");
    join_as(&f, OTHER, "idle", "client", "idle");
    for (int i = 0; i < 2; i++) { /* the second time from what is remembered */
        publish(&f, CONSUMER, made, false);
        publish(&f, CONSUMER, charge, false);
        world_settle(&f.world);
        expect(&f, CONSUMER, MSG_PUBLISHED);
        expect(&f, CONSUMER, MSG_PUBLISHED);
    }
    publish(&f, OTHER, made, false);
    expect_refused(&f, OTHER, "forbidden");
    made.type = "order.item.made";
    publish(&f, CONSUMER, made, false);
    expect_refused(&f, CONSUMER, "forbidden");
    made.type = "stripe.checkout.session.completed";
    publish(&f, CONSUMER, made, false);
    expect_refused(&f, CONSUMER, "forbidden");
    publish(&f, CLIENT, (struct record_parts){.kind = RECORD_FACT, .type = "news.made"},
            false); /* a local one */
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    assert_int_equal(status(&f, "refused.without_right"), 3);
    close_fixture(&f);
}

static void it_takes_the_groups_its_entry_names(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    join_as(&f, CONSUMER, "app", "client", "app");
    subscribe(&f, CONSUMER, "everything", 10);
    expect_refused(&f, CONSUMER, "forbidden");
    subscribe(&f, CONSUMER, "stripe", 10);
    expect_refused(&f, CONSUMER, "bad_identity");
    subscribe(&f, CONSUMER, "billing", 10);
    publish(&f, CLIENT, (struct record_parts){.kind = RECORD_FACT, .type = "order.made"},
            false);
    world_settle(&f.world);
    expect_delivery(&f, CONSUMER, "order.made");
    close_fixture(&f);
}

/* A fact that rides on a result is a fact all the same. */
static void a_result_says_nothing_that_may_not_be_published(void **state)
{
    struct record_parts news = {.kind = RECORD_FACT, .type = "news.made"};
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    join_as(&f, CONSUMER, "app", "client", "app");
    result(&f, CONSUMER, &news);
    expect_refused(&f, CONSUMER, "forbidden");
    assert_int_equal(status(&f, "refused.without_right"), 1);
    close_fixture(&f);
}

/* A far connector whose entry narrows what it says files what its poll finds only where
 * the entry has the integration's types. */
static void what_a_far_poll_finds_is_within_its_rights(void **state)
{
    static const char *const narrow[] = {"payment.>"}, *const wide[] = {"stripe.>"};
    static const struct {
        const char *const *publish;
        const char *code;
    } cases[] = {
        {narrow, "forbidden"},
        {wide, "bad_frame"}, /* it may; but there is no outcome that it came with */
        {NULL, "bad_frame"},
    };
    struct record_parts hook = {.kind = RECORD_FACT,
                                .type = "stripe.checkout.session.completed"};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct core_peer far = {.name = "stripe-host",
                                      .is_connector = true,
                                      .integration = "stripe",
                                      .publish = cases[i].publish,
                                      .n_publish = cases[i].publish ? 1 : 0};
        struct core_config config = with_peers;
        struct fixture f;
        config.peers = &far;
        config.n_peers = 1;
        open_with(&f, &config);
        join_as(&f, OTHER, "stripe-host", "connector", "stripe");
        result(&f, OTHER, &hook);
        expect_refused(&f, OTHER, cases[i].code);
        close_fixture(&f);
    }
}

static void it_neither_administers_nor_observes_unless_it_may(void **state)
{
    const struct wire_position from = {.block = 1};
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    join_as(&f, CONSUMER, "app", "client", "app");
    say(&f, CONSUMER, MSG_ADMIN,
        "\x81\xa7"
        "command\xa6status",
        16);
    expect_refused(&f, CONSUMER, "forbidden");
    say(&f, CONSUMER, MSG_REPLAY, &from, sizeof(from));
    expect_refused(&f, CONSUMER, "forbidden");
    join_as(&f, OTHER, "watcher", "client", "watcher");
    say(&f, OTHER, MSG_CREDIT, &(struct credit){10, 1 << 20}, sizeof(struct credit));
    say(&f, OTHER, MSG_REPLAY, &from, sizeof(from));
    publish(&f, CLIENT, (struct record_parts){.kind = RECORD_FACT, .type = "order.made"},
            false);
    world_settle(&f.world);
    core_tick(f.world.core);
    expect_delivery(&f, OTHER, "order.made");
    close_fixture(&f);
}

static void it_waits_for_what_it_could_have_asked(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    join_as(&f, CONSUMER, "app", "client", "app");
    join_as(&f, OTHER, "idle", "client", "idle");
    publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    const struct published at =
        *(const struct published *)message_body(expect(&f, CLIENT, MSG_PUBLISHED));
    const struct wire_position position = {.block = at.block, .index = at.first};
    say(&f, OTHER, MSG_WAIT, &position, sizeof(position));
    expect_refused(&f, OTHER, "forbidden");
    say(&f, CONSUMER, MSG_WAIT, &(struct wire_position){.block = 1 << 20},
        sizeof(position));
    expect_refused(&f, CONSUMER, "forbidden");
    say(&f, CONSUMER, MSG_WAIT, &position, sizeof(position));
    expect_silence(&f, CONSUMER); /* until there is an outcome */
    close_fixture(&f);
}

static void who_learned_an_instance_does_not_get_its_session(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    join_as(&f, CONSUMER, "app", "client", "app");
    frame_hello(&f.frame, "client", "thief", instances[CONSUMER], NULL, NULL, NULL, 0);
    world_send(&f.world, OTHER, 0, &f.frame); /* a local one */
    expect_refused(&f, OTHER, "bad_identity");
    frame_hello(&f.frame, "client", "app", instances[CONSUMER], NULL, NULL, NULL, 0);
    world_send_as(&f.world, OTHER, "watcher", &f.frame);
    expect_refused(&f, OTHER, "bad_identity");
    join_as(&f, OTHER, "app", "client",
            "app"); /* it is nobody's, with its own instance */
    close_fixture(&f);
}

static void an_acknowledgement_of_anothers_events_settles_nothing(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    join_as(&f, CONSUMER, "app", "client", "app");
    join(&f, OTHER, "client", "thief", NULL);
    world_settle(&f.world);
    expect(&f, OTHER, MSG_WELCOME);
    subscribe(&f, CONSUMER, "billing", 10);
    publish(&f, CLIENT, (struct record_parts){.kind = RECORD_FACT, .type = "order.made"},
            false);
    world_settle(&f.world);
    struct slice at = expect_delivery(&f, CONSUMER, "order.made");
    subscribe(&f, OTHER, "billing", 0); /* of the same group */
    acknowledge(&f, OTHER, at);
    world_settle(&f.world);
    assert_null(settlement(&f, at));
    assert_int_equal(status(&f, "refused.results_not_held"), 1);
    acknowledge(&f, CONSUMER, at);
    world_settle(&f.world);
    assert_non_null(settlement(&f, at));
    close_fixture(&f);
}

static void who_is_taken_out_of_the_configuration_is_put_out(void **state)
{
    struct core_config fewer = with_peers;
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    join_as(&f, CONSUMER, "app", "client", "app");
    join_as(&f, OTHER, "watcher", "client", "watcher");
    fewer.peers = peers + 1;
    fewer.n_peers = 3;
    core_configure(f.world.core, &fewer);
    world_settle(&f.world);
    expect_refused(&f, CONSUMER, "not_joined");
    hello_as(&f, CONSUMER, "app", "client", "app");
    expect_refused(&f, CONSUMER, "bad_identity");
    expect_silence(&f, OTHER);
    core_configure(f.world.core, &with_peers); /* and in again */
    world_settle(&f.world);
    join_as(&f, CONSUMER, "app", "client", "app");
    close_fixture(&f);
}

static void a_pid_of_another_host_is_no_process_here(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    f.world.dead_pids[f.world.n_dead++] = 4242;
    struct buf map = BUF_NULL;
    attrs_begin(&map);
    attrs_named_int(&map, "version", 1);
    attrs_named_text(&map, "role", "client");
    attrs_named_text(&map, "name", "app");
    attrs_named_bin(&map, "instance", instances[CONSUMER], 16);
    attrs_named_int(&map, "pid", 4242);
    message_begin(&f.frame, MSG_HELLO, 0);
    buf_add(&f.frame, map.bytes, map.len);
    message_end(&f.frame);
    buf_fini(&map);
    world_send_as(&f.world, CONSUMER, "app", &f.frame);
    world_settle(&f.world);
    expect(&f, CONSUMER, MSG_WELCOME);
    core_gone(f.world.core, CONSUMER); /* the line broke: it may come back */
    world_advance(&f.world, CORE_LEASE_US / 2);
    world_settle(&f.world);
    assert_int_equal(status(&f, "sessions.3.pid"), 0);
    world_advance(&f.world, CORE_LEASE_US);
    world_settle(&f.world);
    assert_int_equal(status(&f, "sessions.3.pid"), -1);
    close_fixture(&f);
}

static void a_silent_peer_of_another_host_is_probed(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    join_as(&f, CONSUMER, "app", "client", "app");
    world_advance(&f.world, 2 * CORE_PING_US);
    expect_silence(&f, CONSUMER);
    for (int i = 0; i < 4; i++)
        world_advance(&f.world, CORE_PING_US);
    expect(&f, CONSUMER, MSG_PONG);
    expect_silence(&f, CLIENT); /* a local one is known to live by its pid */
    close_fixture(&f);
}

static void strangers_are_counted_and_not_each_is_said(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &with_peers);
    size_t before = f.world.n_said;
    for (int i = 0; i < 1000; i++)
        core_stranger(f.world.core, "from 192.0.2.1");
    assert_int_equal(status(&f, "refused.strangers"), 1000);
    assert_int_equal(f.world.n_said, before + 1);
    world_advance(&f.world, 2000000);
    core_stranger(f.world.core, "from 192.0.2.1");
    assert_int_equal(f.world.n_said, before + 2);
    assert_non_null(strstr(f.world.said, "999 more"));
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_one_peer_in_one_role),
        cmocka_unit_test(it_publishes_what_its_entry_names_and_nothing_else),
        cmocka_unit_test(it_takes_the_groups_its_entry_names),
        cmocka_unit_test(a_result_says_nothing_that_may_not_be_published),
        cmocka_unit_test(what_a_far_poll_finds_is_within_its_rights),
        cmocka_unit_test(it_neither_administers_nor_observes_unless_it_may),
        cmocka_unit_test(it_waits_for_what_it_could_have_asked),
        cmocka_unit_test(who_learned_an_instance_does_not_get_its_session),
        cmocka_unit_test(an_acknowledgement_of_anothers_events_settles_nothing),
        cmocka_unit_test(who_is_taken_out_of_the_configuration_is_put_out),
        cmocka_unit_test(a_pid_of_another_host_is_no_process_here),
        cmocka_unit_test(a_silent_peer_of_another_host_is_probed),
        cmocka_unit_test(strangers_are_counted_and_not_each_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
