/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What keeps the log's segments, and what becomes of a group whose events went with one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

static const char *const orders[] = {"order.>"};
static const struct core_integration stripe[] = {
    {.name = "stripe", .connector = "payment", .service = "Stripe", .key = "k"}};
static const struct core_group protected[] = {
    {.name = "billing", .types = orders, .n_types = 1},
    {.name = "shipping", .types = orders, .n_types = 1, .may_lose = true}};
static const struct core_config both = {.gateway_key = "g",
                                        .integrations = stripe,
                                        .n_integrations = 1,
                                        .groups = protected,
                                        .n_groups = 2,
                                        .random_seed = 1};
static const struct core_config without = {.gateway_key = "g",
                                           .integrations = stripe,
                                           .n_integrations = 1,
                                           .groups = protected + 1,
                                           .n_groups = 1,
                                           .random_seed = 1};

static const struct record_parts order = {
    .kind = RECORD_FACT, .type = "order.created", .data = "{}", .data_len = 2};

/* n facts, each in a block of its own; the first one's block. */
static uint64_t publish_orders(struct fixture *f, int n)
{
    uint64_t first = core_applied(f->world.core) + 1;

    for (int i = 0; i < n; i++) {
        publish(f, CLIENT, order, false);
        world_settle(&f->world);
    }
    return first;
}

/* A checkpoint that is newer than all of it, so that groups alone decide. */
static void checkpoint(struct fixture *f)
{
    f->world.segment_room = 1 << 20;
    world_settle(&f->world);
    publish_orders(f, 1);
    f->world.segment_room = 1 << 30;
    world_settle(&f->world);
}

static void expect_pin(struct fixture *f, uint64_t block, const char *what)
{
    const char *pins;

    uint64_t keep = core_keep_from(f->world.core, &pins);
    assert_string_equal(pins, what);
    if (block)
        assert_int_equal(keep, block);
}

static void a_protected_group_pins_what_it_has_not_settled(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &both);
    uint64_t first = publish_orders(&f, 3);
    checkpoint(&f);
    expect_pin(&f, first, "billing");
    join(&f, CONSUMER, "client", "biller", NULL);
    world_settle(&f.world);
    expect(&f, CONSUMER, MSG_WELCOME);
    subscribe(&f, CONSUMER, "billing", 1);
    acknowledge(&f, CONSUMER, expect_delivery(&f, CONSUMER, "order.created"));
    world_settle(&f.world);
    expect_pin(&f, first + 1, "billing");
    close_fixture(&f);
}

static void neither_an_unprotected_nor_a_removed_group_pins(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &both);
    publish_orders(&f, 3);
    checkpoint(&f);
    core_configure(f.world.core, &without);
    world_settle(&f.world);
    expect_pin(&f, 0, "checkpoint");
    close_fixture(&f);
}

static void a_group_goes_on_behind_what_is_gone_also_after_a_crash(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &both);
    uint64_t first = publish_orders(&f, 4);
    assert_int_equal(status(&f, "groups.2.pending"), 4);
    core_trimmed(f.world.core, first + 2);
    core_trimmed(f.world.core, first + 2); /* said again before it is committed */
    world_settle(&f.world);
    assert_int_equal(status(&f, "groups.2.pending"), 2);
    assert_int_equal(status(&f, "groups.2.failed"), 2);
    world_crash(&f.world);
    world_settle(&f.world);
    assert_false(f.world.log_replay_failed);
    assert_int_equal(status(&f, "groups.2.pending"), 2);
    assert_int_equal(status(&f, "groups.2.oldest_block"), (int64_t)first + 2);
    join(&f, CONSUMER, "client", "shipper", NULL);
    world_settle(&f.world);
    expect(&f, CONSUMER, MSG_WELCOME);
    subscribe(&f, CONSUMER, "shipping", 1);
    struct slice at = expect_delivery(&f, CONSUMER, "order.created");
    assert_int_equal(at.block, first + 2);
    close_fixture(&f);
}

static void what_a_session_holds_of_it_gives_its_credit_back(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &both);
    join(&f, CONSUMER, "client", "shipper", NULL);
    world_settle(&f.world);
    expect(&f, CONSUMER, MSG_WELCOME);
    subscribe(&f, CONSUMER, "shipping", 1);
    uint64_t first = publish_orders(&f, 2);
    struct slice held = expect_delivery(&f, CONSUMER, "order.created");
    assert_int_equal(held.block, first);
    expect_silence(&f, CONSUMER);
    core_trimmed(f.world.core, first + 1);
    world_settle(&f.world);
    core_tick(f.world.core);
    struct slice next = expect_delivery(&f, CONSUMER, "order.created");
    assert_int_equal(next.block, first + 1);
    acknowledge(&f, CONSUMER, held); /* late: nothing is there to be settled */
    world_settle(&f.world);
    assert_int_equal(status(&f, "groups.2.pending"), 1);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_protected_group_pins_what_it_has_not_settled),
        cmocka_unit_test(neither_an_unprotected_nor_a_removed_group_pins),
        cmocka_unit_test(a_group_goes_on_behind_what_is_gone_also_after_a_crash),
        cmocka_unit_test(what_a_session_holds_of_it_gives_its_credit_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
