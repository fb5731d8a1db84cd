/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "proto/attrs.h"
#include "proto/control.h"

static const char *const order_types[] = {"order.>"};
static const char *const parcel_types[] = {"parcel.>"};
static const struct core_group groups[] = {
    {.name = "billing", .types = order_types, .n_types = 1, .attempts = 3},
    {.name = "shipping", .types = parcel_types, .n_types = 1, .attempts = 3}};
static const char *const billing[] = {"billing"};
static const struct core_peer peers[] = {
    {.name = "near", .groups = billing, .n_groups = 1}, {.name = "far"}};
static const struct core_integration integration[] = {
    {.name = "stripe", .connector = "payment", .key = "k", .attempts = 3}};
static const struct core_config config = {.gateway_key = "g",
                                          .integrations = integration,
                                          .n_integrations = 1,
                                          .groups = groups,
                                          .n_groups = 2,
                                          .peers = peers,
                                          .n_peers = 2,
                                          .random_seed = 1};

static void place_orders(struct fixture *f, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        publish(f, CLIENT,
                (struct record_parts){.kind = RECORD_FACT, .type = "order.placed"},
                false);
        world_settle(&f->world);
        expect(f, CLIENT, MSG_PUBLISHED);
    }
}

/* As `subscribe`, and nothing else happens meanwhile. */
static void ask_for(struct fixture *f, uint64_t peer, unsigned credit)
{
    frame_subscribe(&f->frame, "billing", credit);
    world_send(&f->world, peer, 0, &f->frame);
}

/* A consumer says HELLO, of a group and with one event that it has; as a peer on another
 * host where that has a name. */
static void greet(struct fixture *f, const char *remote, const char *group,
                  struct slice at)
{
    const struct wire_position running = {at.block, at.index, 0};

    frame_hello_of(&f->frame, "client", remote ? remote : "biller", instances[CONSUMER],
                   NULL, NULL, group, &running, at.count);
    if (remote)
        world_send_as(&f->world, CONSUMER, remote, &f->frame);
    else
        world_send(&f->world, CONSUMER, 0, &f->frame);
}

static size_t lost(struct fixture *f)
{
    const struct message *m = expect(f, CONSUMER, MSG_WELCOME);
    struct attr_value value;

    assert_true(attrs_find_named(message_body(m), m->body_len, "lost", &value));
    return value.text_len / sizeof(struct wire_position);
}

/* A consumer has one order, which stands in a block with an event of another group; then
 * the broker is another one. */
static struct slice order_at_restart(struct fixture *f)
{
    open_with(f, &config);
    greet(f, NULL, "billing", (struct slice){0});
    assert_int_equal(lost(f), 0);
    subscribe(f, CONSUMER, "billing", 10);
    publish(f, CLIENT, (struct record_parts){.kind = RECORD_FACT, .type = "parcel.sent"},
            false);
    place_orders(f, 1);
    expect(f, CLIENT, MSG_PUBLISHED);
    struct slice at = expect_delivery(f, CONSUMER, "order.placed");
    world_crash(&f->world);
    world_settle(&f->world);
    return at;
}

/* Another member of the group takes what it gets within the length of a lease. */
static void expect_for_another(struct fixture *f, unsigned events)
{
    join(f, OTHER, "client", "other", NULL);
    expect(f, OTHER, MSG_WELCOME);
    subscribe(f, OTHER, "billing", 10);
    world_settle(&f->world);
    if (events)
        expect_delivery(f, OTHER, "order.placed");
    else
        expect_silence(f, OTHER);
}

static void a_consumer_keeps_what_it_has_over_a_restart_of_the_broker(void **state)
{
    struct fixture f;

    (void)state;
    struct slice at = order_at_restart(&f);
    greet(&f, NULL, "billing", at);
    assert_int_equal(lost(&f), 0);
    expect_for_another(&f, 0);
    subscribe(&f, CONSUMER, "billing", 10);
    world_settle(&f.world);
    expect_silence(&f, CONSUMER);
    assert_int_equal(status(&f, "groups.1.inflight"), 1);
    acknowledge(&f, CONSUMER, at);
    world_settle(&f.world);
    expect(&f, CONSUMER, MSG_SETTLED);
    assert_int_equal(status(&f, "groups.1.success"), 1);
    expect_silence(&f, OTHER);
    close_fixture(&f);
}

/* What is not the group's, and who names none or one that is none, has nothing. */
static void what_is_not_the_groups_is_lost(void **state)
{
    static const char *const named[] = {NULL, "shipping", "stripe", "nobody"};

    (void)state;
    for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++) {
        struct fixture f;
        struct slice at = order_at_restart(&f);
        greet(&f, NULL, named[i], at);
        assert_int_equal(lost(&f), 1);
        expect_for_another(&f, 1);
        close_fixture(&f);
    }
}

static void a_group_that_a_peer_may_not_join_has_nothing_of_its_own(void **state)
{
    static const struct {
        const char *name;
        size_t lost;
    } remotes[] = {{"near", 0}, {"far", 1}};

    (void)state;
    for (size_t i = 0; i < sizeof(remotes) / sizeof(*remotes); i++) {
        struct fixture f;
        struct slice at = order_at_restart(&f);
        greet(&f, remotes[i].name, "billing", at);
        assert_int_equal(lost(&f), remotes[i].lost);
        close_fixture(&f);
    }
}

/* A session of the broker's that is there keeps its group, whatever a later HELLO says.
 */
static void a_group_is_changed_by_subscribing_alone(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &config);
    greet(&f, NULL, "billing", (struct slice){0});
    lost(&f);
    subscribe(&f, CONSUMER, "billing", 10);
    place_orders(&f, 1);
    struct slice at = expect_delivery(&f, CONSUMER, "order.placed");
    greet(&f, NULL, "shipping", at);
    assert_int_equal(lost(&f), 0);
    acknowledge(&f, CONSUMER, at);
    world_settle(&f.world);
    assert_int_equal(status(&f, "groups.1.success"), 1);
    close_fixture(&f);
}

static void new_credit_is_used_at_once(void **state)
{
    const struct credit credit = {2, 1 << 20};
    struct fixture f;

    (void)state;
    open_with(&f, &config);
    greet(&f, NULL, "billing", (struct slice){0});
    lost(&f);
    subscribe(&f, CONSUMER, "billing", 1);
    place_orders(&f, 4);
    expect_delivery(&f, CONSUMER, "order.placed");
    expect_silence(&f, CONSUMER);
    buf_clear(&f.frame);
    message_begin(&f.frame, MSG_CREDIT, 0);
    buf_add(&f.frame, &credit, sizeof(credit));
    message_end(&f.frame);
    world_send(&f.world, CONSUMER, 0, &f.frame);
    assert_int_equal(expect(&f, CONSUMER, MSG_DELIVER)->count, 2);
    expect_silence(&f, CONSUMER);
    ask_for(&f, CONSUMER, 4);
    expect_delivery(&f, CONSUMER, "order.placed");
    close_fixture(&f);
}

/* So that a broker that is started anew waits for it. */
static void a_new_members_deliveries_begin_with_a_commit(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &config);
    place_orders(&f, 1);
    greet(&f, NULL, "billing", (struct slice){0});
    lost(&f);
    ask_for(&f, CONSUMER, 4);
    expect_silence(&f, CONSUMER);
    world_settle(&f.world);
    expect_delivery(&f, CONSUMER, "order.placed");
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_consumer_keeps_what_it_has_over_a_restart_of_the_broker),
        cmocka_unit_test(what_is_not_the_groups_is_lost),
        cmocka_unit_test(a_group_that_a_peer_may_not_join_has_nothing_of_its_own),
        cmocka_unit_test(a_group_is_changed_by_subscribing_alone),
        cmocka_unit_test(new_credit_is_used_at_once),
        cmocka_unit_test(a_new_members_deliveries_begin_with_a_commit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
