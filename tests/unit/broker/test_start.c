/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"

static const struct core_integration integration[] = {{.name = "stripe",
                                                       .connector = "payment",
                                                       .key = "k",
                                                       .attempts = 3,
                                                       .deadline_us = 60000000}};
static const struct core_config config = {.gateway_key = "g",
                                          .integrations = integration,
                                          .n_integrations = 1,
                                          .random_seed = 1};
static const struct core_integration narrow_integration[] = {{.name = "stripe",
                                                              .connector = "payment",
                                                              .key = "k",
                                                              .attempts = 3,
                                                              .concurrency = 2,
                                                              .deadline_us = 60000000}};
static const struct core_config narrow = {.gateway_key = "g",
                                          .integrations = narrow_integration,
                                          .n_integrations = 1,
                                          .random_seed = 1};

static const char transfer[] = "payment.transfer.requested"; /* repeat: never */

static void publish_transfer(struct fixture *f)
{
    struct record_parts parts = charge;

    parts.type = transfer;
    publish(f, CLIENT, parts, false);
    world_settle(&f->world);
    expect(f, CLIENT, MSG_PUBLISHED);
}

static void open_taking(struct fixture *f, const struct core_config *with)
{
    open_with(f, with);
    subscribe(f, CONNECTOR, "stripe", 64);
}

static size_t count(const struct fixture *f, enum record_kind kind)
{
    size_t n = 0;

    for (size_t b = 0; b < f->world.n_log; b++) {
        const struct block *block = f->world.log[b]->block;
        for (const struct record *r = block->count ? block_first(block) : NULL; r;
             r = block_next(block, r))
            n += r->kind == kind;
    }
    return n;
}

/* The connector's process ends and comes again, holding nothing. */
static void lose_connector(struct fixture *f)
{
    buf_clear(&f->frame);
    message_begin(&f->frame, MSG_BYE, 0);
    message_end(&f->frame);
    world_send(&f->world, CONNECTOR, 0, &f->frame);
    join(f, CONNECTOR, "connector", "stripe", "k");
    world_settle(&f->world);
    expect(f, CONNECTOR, MSG_WELCOME);
    subscribe(f, CONNECTOR, "stripe", 64);
    world_settle(&f->world);
}

static void give_back(struct fixture *f, struct slice at, bool begun, uint8_t flags)
{
    struct control_retry data = {
        .block = at.block, .index = at.index, .due_us = 1, .attempts = begun};

    result(f, CONNECTOR,
           &(struct record_parts){.kind = RECORD_RETRY,
                                  .flags = flags,
                                  .data = &data,
                                  .data_len = sizeof(data)});
    world_settle(&f->world);
    expect(f, CONNECTOR, MSG_SETTLED);
    world_advance(&f->world, 10);
    world_settle(&f->world);
}

static void it_is_delivered_only_after_its_start_is_committed(void **state)
{
    struct record_parts parts = charge;
    struct fixture f;

    (void)state;
    open_taking(&f, &config);
    parts.type = transfer;
    publish(&f, CLIENT, parts, false);
    core_flush(f.world.core);
    world_commit(&f.world, 1);
    expect(&f, CLIENT, MSG_PUBLISHED);
    expect_silence(&f, CONNECTOR);
    core_flush(f.world.core);
    expect_silence(&f, CONNECTOR);
    world_commit(&f.world, 1);
    struct slice at = expect_delivery(&f, CONNECTOR, transfer);
    assert_int_equal(count(&f, RECORD_START), 1);
    assert_int_equal(at.flags & SLICE_DOUBT, 0);
    assert_int_equal(at.attempt, 1);
    succeed(&f, at);
    world_settle(&f.world);
    assert_int_equal(status(&f, "groups.0.success"), 1);
    assert_int_equal(status(&f, "groups.0.inflight"), 0);
    close_fixture(&f);
}

static void what_may_be_repeated_needs_no_start(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, &config);
    publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    expect_delivery(&f, CONNECTOR, "payment.charge.requested");
    assert_int_equal(count(&f, RECORD_START), 0);
    close_fixture(&f);
}

static void after_a_lost_session_it_comes_with_doubt(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, &config);
    publish_transfer(&f);
    struct slice at = expect_delivery(&f, CONNECTOR, transfer);
    start_work(&f, CONNECTOR, &at, 1);
    lose_connector(&f);
    at = expect_delivery(&f, CONNECTOR, transfer);
    assert_int_equal(at.flags & SLICE_DOUBT, SLICE_DOUBT);
    assert_int_equal(at.attempt, 2);
    assert_int_equal(count(&f, RECORD_START), 1); /* what is in doubt needs no other */
    close_fixture(&f);
}

/* That a session did not say so yet does not mean that it had not begun. */
static void not_known_as_begun_is_doubt_too(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, &config);
    publish_transfer(&f);
    expect_delivery(&f, CONNECTOR, transfer);
    lose_connector(&f);
    struct slice at = expect_delivery(&f, CONNECTOR, transfer);
    assert_int_equal(at.flags & SLICE_DOUBT, SLICE_DOUBT);
    assert_int_equal(at.attempt, 1);
    close_fixture(&f);
}

static void a_broker_that_starts_again_does_not_know_either(void **state)
{
    static const bool delivered[] = {true, false};
    struct fixture f;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct record_parts parts = charge;
        open_taking(&f, &config);
        parts.type = transfer;
        publish(&f, CLIENT, parts, false);
        world_settle(&f.world); /* its START is in the log */
        if (delivered[i])
            expect_delivery(&f, CONNECTOR, transfer);
        world_crash(&f.world);
        join(&f, CONNECTOR, "connector", "stripe", "k");
        world_settle(&f.world);
        expect(&f, CONNECTOR, MSG_WELCOME);
        subscribe(&f, CONNECTOR, "stripe", 64);
        world_settle(&f.world);
        assert_int_equal(expect_delivery(&f, CONNECTOR, transfer).flags & SLICE_DOUBT,
                         SLICE_DOUBT);
        world_crash(&f.world); /* and from a checkpoint */
        world_settle(&f.world);
        join(&f, CONNECTOR, "connector", "stripe", "k");
        world_settle(&f.world);
        expect(&f, CONNECTOR, MSG_WELCOME);
        subscribe(&f, CONNECTOR, "stripe", 64);
        world_settle(&f.world);
        assert_int_equal(expect_delivery(&f, CONNECTOR, transfer).flags & SLICE_DOUBT,
                         SLICE_DOUBT);
        close_fixture(&f);
    }
}

static void who_gives_it_back_says_whether_it_is_in_doubt(void **state)
{
    const struct {
        bool lost_before, begun;
        uint8_t flags;
        bool doubt;
        size_t starts;
    } cases[] = {
        {false, true, 0, false, 2},  /* begun, and nothing happened: a new START */
        {false, false, 0, false, 2}, /* not begun */
        {false, true, RECORD_DOUBT, true, 1}, /* begun, and who knows */
        {true, true, 0, false, 2},            /* looked up: nothing had happened */
        {true, false, 0, true, 1},            /* not even looked up */
        {true, true, RECORD_DOUBT, true, 1},
    };
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        open_taking(&f, &config);
        publish_transfer(&f);
        struct slice at = expect_delivery(&f, CONNECTOR, transfer);
        if (cases[i].lost_before) {
            lose_connector(&f);
            at = expect_delivery(&f, CONNECTOR, transfer);
        }
        give_back(&f, at, cases[i].begun, cases[i].flags);
        at = expect_delivery(&f, CONNECTOR, transfer);
        assert_int_equal((at.flags & SLICE_DOUBT) != 0, cases[i].doubt);
        assert_int_equal(count(&f, RECORD_START), cases[i].starts);
        close_fixture(&f);
    }
}

static void when_the_broker_gives_up_in_doubt_it_says_unknown(void **state)
{
    struct fixture f;

    (void)state;
    open_taking(&f, &config);
    publish_transfer(&f);
    struct slice at = expect_delivery(&f, CONNECTOR, transfer);
    start_work(&f, CONNECTOR, &at, 1);
    lose_connector(&f);
    expect_delivery(&f, CONNECTOR, transfer);
    world_advance(&f.world, 1);
    buf_clear(&f.frame);
    message_begin(&f.frame, MSG_BYE, 0);
    message_end(&f.frame);
    world_send(&f.world, CONNECTOR, 0, &f.frame); /* nobody is left */
    world_settle(&f.world);
    world_advance(&f.world, 61000000);
    world_settle(&f.world);
    const struct record *outcome = settlement(&f, at);
    assert_non_null(outcome);
    assert_int_equal(outcome->status, STATUS_FAILED);
    assert_int_equal(outcome->error_class, CLASS_unknown);
    assert_true(outcome->flags & RECORD_DOUBT);
    close_fixture(&f);
}

static void a_deadline_between_start_and_delivery_is_no_doubt(void **state)
{
    struct record_parts parts = charge;
    struct fixture f;

    (void)state;
    open_taking(&f, &config);
    parts.type = transfer;
    publish(&f, CLIENT, parts, false);
    core_flush(f.world.core);
    world_commit(&f.world, 1);
    core_flush(f.world.core); /* the START is on its way */
    core_gone(f.world.core, CONNECTOR);
    world_settle(&f.world);
    world_advance(&f.world, 61000000);
    world_settle(&f.world);
    assert_int_equal(status(&f, "groups.0.failed"), 1);
    assert_int_equal(status(&f, "groups.0.inflight"), 0);
    const struct published *published = message_body(expect(&f, CLIENT, MSG_PUBLISHED));
    struct slice at = {.block = published->block, .index = published->first};
    assert_int_equal(settlement(&f, at)->error_class, CLASS_deadline);
    close_fixture(&f);
}

/* Handed over is begun: no more of these are with sessions than may be called at once. */
static void nothing_of_the_kind_is_handed_over_beforehand(void **state)
{
    static const struct {
        const struct core_config *config;
        int64_t most;
    } cases[] = {{&config, CORE_ONCE_MAX}, {&narrow, 2}};
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        open_taking(&f, cases[i].config);
        for (int n = 0; n < CORE_ONCE_MAX + 3; n++)
            publish_transfer(&f);
        assert_int_equal(status(&f, "groups.0.inflight"), cases[i].most);
        struct slice at = expect_delivery(&f, CONNECTOR, transfer);
        drain(&f, CONNECTOR);
        assert_int_equal(count(&f, RECORD_START), cases[i].most);
        succeed(&f, at);
        world_settle(&f.world);
        expect(&f, CONNECTOR, MSG_SETTLED);
        expect_delivery(&f, CONNECTOR, transfer);
        assert_int_equal(status(&f, "groups.0.inflight"), cases[i].most);
        close_fixture(&f);
    }
}

/* A connector says in HELLO what may be repeated; nothing goes to it before that is in
 * the log. */
static void nothing_is_delivered_under_an_older_manifest(void **state)
{
    static const char changed[] =
        "{\"name\":\"payment\",\"operations\":[{\"name\":\"charge\",\"repeat\":"
        "\"never\"},{\"name\":\"transfer\",\"repeat\":\"safe\"}]}";
    struct fixture f;

    (void)state;
    open_with(&f, &config);
    publish_transfer(&f);
    publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    frame_hello(&f.frame, "connector", "stripe", instances[OTHER], "k", changed, NULL, 0);
    world_send(&f.world, OTHER, 0, &f.frame);
    subscribe(&f, OTHER, "stripe", 64);
    expect_silence(&f, OTHER); /* not even welcome before it is known */
    world_settle(&f.world);
    expect(&f, OTHER, MSG_WELCOME);
    expect_delivery(&f, OTHER, transfer);
    expect_delivery(&f, OTHER, "payment.charge.requested");
    assert_int_equal(count(&f, RECORD_START), 1);
    close_fixture(&f);
}

/* A manifest that does not say that an operation may be repeated. */
static void what_is_not_said_to_be_repeatable_is_not_repeated(void **state)
{
    static const struct {
        const char *repeat;
        size_t starts;
    } cases[] = {{"", 1},
                 {",\"repeat\":\"never\"", 1},
                 {",\"repeat\":\"often\"", 1},
                 {",\"repeat\":true", 1},
                 {",\"repeat\":\"safe\"", 0},
                 {",\"repeat\":\"keyed\"", 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _free_ char *manifest =
            mem_format("{\"name\":\"payment\",\"operations\":[{\"name\":\"charge\"%s}]}",
                       cases[i].repeat);
        struct fixture f;
        open_with(&f, &config);
        frame_hello(&f.frame, "connector", "stripe", instances[OTHER], "k", manifest,
                    NULL, 0);
        world_send(&f.world, OTHER, 0, &f.frame);
        subscribe(&f, OTHER, "stripe", 64);
        world_settle(&f.world);
        expect(&f, OTHER, MSG_WELCOME);
        publish(&f, CLIENT, charge, false);
        world_settle(&f.world);
        expect_delivery(&f, OTHER, charge.type);
        assert_int_equal(count(&f, RECORD_START), cases[i].starts);
        close_fixture(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_delivered_only_after_its_start_is_committed),
        cmocka_unit_test(what_may_be_repeated_needs_no_start),
        cmocka_unit_test(after_a_lost_session_it_comes_with_doubt),
        cmocka_unit_test(not_known_as_begun_is_doubt_too),
        cmocka_unit_test(a_broker_that_starts_again_does_not_know_either),
        cmocka_unit_test(who_gives_it_back_says_whether_it_is_in_doubt),
        cmocka_unit_test(when_the_broker_gives_up_in_doubt_it_says_unknown),
        cmocka_unit_test(a_deadline_between_start_and_delivery_is_no_doubt),
        cmocka_unit_test(nothing_of_the_kind_is_handed_over_beforehand),
        cmocka_unit_test(nothing_is_delivered_under_an_older_manifest),
        cmocka_unit_test(what_is_not_said_to_be_repeatable_is_not_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
