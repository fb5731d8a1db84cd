/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"

static const char *const billing_types[] = {"payment.*.succeeded", "order.>"};
static const struct core_group groups[] = {
    {.name = "billing", .types = billing_types, .n_types = 2, .attempts = 3}};
static const struct core_schedule every_minute[] = {
    {.operation = "events", .when = "every 1m", .every_us = 60000000, .missed = 1}};
static const struct core_integration one[] = {{.name = "stripe",
                                               .connector = "payment",
                                               .service = "Stripe",
                                               .key = "k",
                                               .attempts = 3,
                                               .deadline_us = 3600000000}};
static const struct core_integration two[] = {
    {.name = "stripe",
     .connector = "payment",
     .key = "k",
     .attempts = 3,
     .deadline_us = 3600000000},
    {.name = "stripe-eu",
     .connector = "payment",
     .key = "k2",
     .attempts = 3,
     .deadline_us = 3600000000},
};
static const struct core_integration scheduled[] = {{.name = "stripe",
                                                     .connector = "payment",
                                                     .key = "k",
                                                     .attempts = 3,
                                                     .deadline_us = 30000000,
                                                     .schedules = every_minute,
                                                     .n_schedules = 1}};
static const struct core_integration enduring[] = {{.name = "stripe",
                                                    .connector = "payment",
                                                    .key = "k",
                                                    .attempts = 8,
                                                    .deadline_us = 3600000000}};
static const struct core_config patient = {
    .gateway_key = "g", .integrations = enduring, .n_integrations = 1, .random_seed = 1};
static const struct core_config plain = {.gateway_key = "g",
                                         .integrations = one,
                                         .n_integrations = 1,
                                         .groups = groups,
                                         .n_groups = 1,
                                         .random_seed = 1};
static const struct core_config pair = {
    .gateway_key = "g", .integrations = two, .n_integrations = 2, .random_seed = 1};
static const struct core_config clocked = {
    .gateway_key = "g", .integrations = scheduled, .n_integrations = 1, .random_seed = 1};

/* --- claims --- */

static void nothing_is_answered_or_delivered_before_its_commit(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    subscribe(&f, CONNECTOR, "stripe", 10);
    publish(&f, CLIENT, charge, false);
    core_flush(f.world.core);
    expect_silence(&f, CLIENT);
    expect_silence(&f, CONNECTOR);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    expect_delivery(&f, CONNECTOR, "payment.charge.requested");
    close_fixture(&f);
}

static void an_outcome_reaches_who_waits_and_the_groups(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    join(&f, CONSUMER, "client", "biller", NULL);
    subscribe(&f, CONSUMER, "billing", 10);
    subscribe(&f, CONNECTOR, "stripe", 10);
    publish(&f, CLIENT, charge, true);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    succeed(&f, expect_delivery(&f, CONNECTOR, "payment.charge.requested"));
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_OUTCOME);
    expect(&f, CONNECTOR, MSG_SETTLED);
    expect(&f, CONSUMER, MSG_WELCOME);
    struct slice at = expect_delivery(&f, CONSUMER, "payment.charge.succeeded");
    assert_int_equal(status(&f, "groups.1.pending"), 1);
    struct control_ack ack = {
        .block = at.block, .first = at.index, .count = 1, .result = STATUS_SUCCESS};
    result(&f, CONSUMER,
           &(struct record_parts){
               .kind = RECORD_ACK, .data = &ack, .data_len = sizeof(ack)});
    world_settle(&f.world);
    assert_int_equal(status(&f, "groups.1.pending"), 0);
    close_fixture(&f);
}

static void an_unhandled_request_is_refused_at_once(void **state)
{
    struct record_parts geocode = charge;
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    geocode.type = "maps.geocode.requested";
    publish(&f, CLIENT, geocode, false);
    expect_refused(&f, CLIENT, "no_handler");
    assert_int_equal(status(&f, "requests"), 0);
    close_fixture(&f);
}

static void an_ambiguous_request_names_the_choices(void **state)
{
    struct record_parts named = charge;
    struct fixture f;

    (void)state;
    open_with(&f, &pair);
    publish(&f, CLIENT, charge, false);
    expect_refused(&f, CLIENT, "ambiguous_integration");
    named.integration = integration_hash("stripe-eu");
    publish(&f, CLIENT, named, false);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    assert_int_equal(status(&f, "groups.1.pending"), 1);
    close_fixture(&f);
}

static const char other_manifest[] =
    "{\"name\":\"payment\",\"provider\":\"other\",\"operations\":[{\"name\":\"refund\","
    "\"repeat\":\"safe\"}],"
    "\"webhooks\":[{\"event\":\"done\",\"becomes\":\"payment.done\"}],\"publishes\":[]}";

/* Both through one connector, each with a provider of its own. */
static void each_integration_is_known_by_its_own_manifest(void **state)
{
    struct record_parts hook = {.kind = RECORD_FACT};
    struct fixture f;

    (void)state;
    open_with(&f, &pair);
    frame_hello(&f.frame, "connector", "stripe-eu", instances[CONSUMER], "k2",
                other_manifest, NULL, 0);
    world_send(&f.world, CONSUMER, 0, &f.frame);
    world_settle(&f.world);
    expect(&f, CONSUMER, MSG_WELCOME);
    publish(&f, CLIENT, charge, false); /* only one of them can */
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    assert_int_equal(status(&f, "groups.0.pending"), 1);
    hook.type = "stripe.checkout.session.completed";
    publish(&f, GATEWAY, hook, false);
    hook.type = "stripe-eu.done";
    publish(&f, GATEWAY, hook, false);
    hook.type = "stripe-eu.checkout.session.completed"; /* the other one's */
    publish(&f, GATEWAY, hook, false);
    world_settle(&f.world);
    assert_int_equal(status(&f, "requests"), 3);
    assert_int_equal(status(&f, "facts"), 1);
    close_fixture(&f);
}

static void nobody_but_the_gateway_speaks_for_a_provider(void **state)
{
    struct record_parts paid = {.kind = RECORD_FACT,
                                .type = "stripe.checkout.session.completed"};
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    publish(&f, CLIENT, paid, false);
    expect_refused(&f, CLIENT, "reserved_type");
    publish(&f, CONNECTOR, paid, false);
    expect_refused(&f, CONNECTOR, "reserved_type");
    paid.type = "payment.charge.succeeded";
    publish(&f, CLIENT, paid, false);
    expect_refused(&f, CLIENT, "reserved_type");
    paid.type = "order.created";
    publish(&f, CONNECTOR, paid, false);
    expect_refused(&f, CONNECTOR, "undeclared_type");
    paid.type = "stripe.checkout.session.completed";
    publish(&f, GATEWAY, paid, false);
    world_settle(&f.world);
    expect(&f, GATEWAY, MSG_PUBLISHED);
    assert_int_equal(status(&f, "requests"), 1); /* declared: it became a request */
    paid.type = "stripe.payout.paid";
    publish(&f, GATEWAY, paid, false);
    world_settle(&f.world);
    assert_int_equal(status(&f, "facts"), 1);
    close_fixture(&f);
}

static void a_wrong_key_joins_nothing(void **state)
{
    struct fixture f;

    (void)state;
    f = (struct fixture){0};
    world_init(&f.world, &plain);
    world_settle(&f.world);
    join(&f, CONNECTOR, "connector", "stripe", "wrong");
    expect_refused(&f, CONNECTOR, "bad_identity");
    join(&f, GATEWAY, "gateway", "gateway", NULL);
    expect_refused(&f, GATEWAY, "bad_identity");
    publish(&f, CLIENT, charge, false);
    expect_refused(&f, CLIENT, "not_joined");
    close_fixture(&f);
}

static void a_batch_sent_again_is_stored_once(void **state)
{
    struct buf records = BUF_NULL;
    struct fixture f;
    uint8_t id[16] = {9};
    struct record_parts parts = charge;

    (void)state;
    open_with(&f, &plain);
    parts.id = id;
    record_add(&records, &parts);
    for (int i = 0; i < 3; i++) {
        frame_publish(&f.frame, 1, false, &records, 1);
        world_send(&f.world, CLIENT, 0, &f.frame);
        if (i != 0)
            world_settle(&f.world);
    }
    world_crash(&f.world);
    join(&f, CLIENT, "client", "app", NULL);
    expect(&f, CLIENT, MSG_WELCOME);
    frame_publish(&f.frame, 1, false, &records, 1);
    world_send(&f.world, CLIENT, 0, &f.frame);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    assert_int_equal(status(&f, "requests"), 1);
    buf_fini(&records);
    close_fixture(&f);
}

static void publish_keyed(struct fixture *f, uint64_t body_hash)
{
    struct control_idempotency key = {.body_hash = body_hash,
                                      .expires_us = f->world.wall_us + 1000000};
    struct buf records = BUF_NULL;
    uint8_t name[16] = {7}, id[16];

    id_derive("keyed", ++f->number, id);
    record_add(&records, &(struct record_parts){.kind = RECORD_IDEMPOTENCY,
                                                .id = name,
                                                .data = &key,
                                                .data_len = sizeof(key)});
    struct record_parts parts = charge;
    parts.id = id;
    record_add(&records, &parts);
    frame_publish(&f->frame, f->number, false, &records, 1);
    world_send(&f->world, CLIENT, 0, &f->frame);
    world_settle(&f->world);
    buf_fini(&records);
}

static void an_idempotency_key_is_stored_once_and_tells_another_body(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    publish_keyed(&f, 1);
    assert_int_equal(
        ((const struct published *)message_body(expect(&f, CLIENT, MSG_PUBLISHED)))
            ->verdicts,
        0);
    publish_keyed(&f, 1);
    const struct published *again = message_body(expect(&f, CLIENT, MSG_PUBLISHED));
    assert_int_equal(again->verdicts, 1);
    assert_int_equal(((const struct verdict *)(again + 1))->code, VERDICT_DUPLICATE);
    publish_keyed(&f, 2);
    again = message_body(expect(&f, CLIENT, MSG_PUBLISHED));
    assert_int_equal(((const struct verdict *)(again + 1))->code, VERDICT_CONFLICT);
    assert_int_equal(status(&f, "requests"), 1);
    world_advance(&f.world, 2000000);
    publish_keyed(&f, 2);
    assert_int_equal(status(&f, "requests"), 2); /* the key had expired */
    close_fixture(&f);
}

static void retries_end_exhausted_with_the_last_reason(void **state)
{
    struct buf attrs = BUF_NULL;
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    subscribe(&f, CONNECTOR, "stripe", 10);
    publish(&f, CLIENT, charge, true);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    for (unsigned i = 1; i <= 3; i++) {
        struct slice at = expect_delivery(&f, CONNECTOR, "payment.charge.requested");
        assert_int_equal(at.attempt, i);
        struct control_retry retry = {
            .block = at.block, .index = at.index, .due_us = 1000, .attempts = 1};
        attrs_begin(&attrs);
        attrs_text(&attrs, ATTR_ERROR_MSG, "no answer");
        result(&f, CONNECTOR,
               &(struct record_parts){.kind = RECORD_RETRY,
                                      .data = &retry,
                                      .data_len = sizeof(retry),
                                      .attrs = attrs.bytes,
                                      .attr_len = attrs.len});
        world_settle(&f.world);
        expect(&f, CONNECTOR, MSG_SETTLED);
        world_advance(&f.world, 2000);
    }
    const struct record *r = NULL;
    const char *why;
    message_slice(expect(&f, CLIENT, MSG_OUTCOME), NULL, &r, &why);
    _free_ char *said = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ERROR_MSG);
    assert_int_equal(r->error_class, CLASS_exhausted);
    assert_int_equal(r->attempt, 3);
    assert_string_equal(said, "3 attempts; the last: no answer");
    buf_fini(&attrs);
    close_fixture(&f);
}

static void a_deadline_passes_without_a_connector(void **state)
{
    struct record_parts hasty = charge;
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    hasty.deadline_us = f.world.wall_us + 2000000;
    publish(&f, CLIENT, hasty, true);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    world_advance(&f.world, 1000000);
    world_settle(&f.world);
    expect_silence(&f, CLIENT);
    world_advance(&f.world, 1500000);
    world_settle(&f.world);
    const struct record *r = NULL;
    const char *why;
    message_slice(expect(&f, CLIENT, MSG_OUTCOME), NULL, &r, &why);
    assert_int_equal(r->error_class, CLASS_deadline);
    close_fixture(&f);
}

static void a_deadline_that_passes_between_attempts_says_how_many_there_were(void **state)
{
    struct record_parts hasty = charge;
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    subscribe(&f, CONNECTOR, "stripe", 10);
    hasty.deadline_us = f.world.wall_us + 2000000;
    publish(&f, CLIENT, hasty, true);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    struct slice at = expect_delivery(&f, CONNECTOR, "payment.charge.requested");
    struct control_retry retry = {
        .block = at.block, .index = at.index, .due_us = 10000000, .attempts = 1};
    result(&f, CONNECTOR,
           &(struct record_parts){
               .kind = RECORD_RETRY, .data = &retry, .data_len = sizeof(retry)});
    world_settle(&f.world);
    world_advance(&f.world, 2500000);
    world_settle(&f.world);
    const struct record *r = NULL;
    const char *why;
    message_slice(expect(&f, CLIENT, MSG_OUTCOME), NULL, &r, &why);
    _free_ char *said = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ERROR_MSG);
    assert_int_equal(r->error_class, CLASS_deadline);
    assert_non_null(strstr(said, "before an attempt could start, after 1 that failed"));
    close_fixture(&f);
}

/* A connector's process comes, takes what there is, says that it works on the first or
 * not, and dies. Returns how many events it had. */
static uint32_t live_and_die(struct fixture *f, uint64_t pid, bool says,
                             struct slice *ret_first)
{
    buf_clear(&f->frame);
    frame_hello(&f->frame, "connector", "stripe", instances[CONNECTOR], "k",
                world_manifest, NULL, 0);
    world_send(&f->world, CONNECTOR, pid, &f->frame);
    expect(f, CONNECTOR, MSG_WELCOME);
    subscribe(f, CONNECTOR, "stripe", 100);
    const struct message *m = expect(f, CONNECTOR, MSG_DELIVER);
    uint32_t events = m->count;
    *ret_first = *(const struct slice *)message_body(m);
    if (says)
        start_work(f, CONNECTOR, ret_first, 1);
    drain(f, CONNECTOR);
    f->world.dead_pids[f->world.n_dead++] = pid;
    core_gone(f->world.core, CONNECTOR);
    world_settle(&f->world);
    return events;
}

static void come_again(struct fixture *f)
{
    join(f, CONNECTOR, "connector", "stripe", "k");
    expect(f, CONNECTOR, MSG_WELCOME);
    subscribe(f, CONNECTOR, "stripe", 100);
}

static void an_event_that_kills_its_sessions_alone_is_poison(void **state)
{
    static const bool says[] = {true, false}; /* it may die before it can say so */
    struct fixture f;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct slice at;
        open_with(&f, &patient);
        publish(&f, CLIENT, charge, false);
        world_settle(&f.world);
        for (unsigned life = 1; life <= CORE_DEATHS_MAX; life++) {
            assert_int_equal(status(&f, "groups.0.pending"), 1);
            live_and_die(&f, 100 + life, says[i], &at);
        }
        assert_int_equal(settlement(&f, at)->error_class, CLASS_poison);
        assert_int_equal(settlement(&f, at)->attempt, says[i] ? CORE_DEATHS_MAX : 0);
        close_fixture(&f);
    }
}

/* After the first death with others a few together, then each alone: who is innocent is
 * not given up with the culprit. */
static void suspects_are_narrowed_down(void **state)
{
    enum { EVENTS = 40 };
    struct slice at;
    struct fixture f;

    (void)state;
    open_with(&f, &patient);
    for (int i = 0; i < EVENTS; i++)
        publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    assert_int_equal(live_and_die(&f, 101, false, &at), EVENTS);
    assert_int_equal(live_and_die(&f, 102, false, &at), CORE_SUSPECTS_TOGETHER);
    come_again(&f); /* the rest of the first death's come before those of the second */
    assert_int_equal(expect(&f, CONNECTOR, MSG_DELIVER)->count, CORE_SUSPECTS_TOGETHER);
    expect_silence(&f, CONNECTOR);
    assert_int_equal(status(&f, "groups.0.pending"), EVENTS);
    assert_int_equal(status(&f, "groups.0.failed"), 0);
    close_fixture(&f);
}

/* Who says goodbye was not killed by what it leaves. */
static void who_says_goodbye_leaves_no_suspects(void **state)
{
    enum { EVENTS = CORE_SUSPECTS_TOGETHER + 1 };
    struct fixture f;

    (void)state;
    open_with(&f, &patient);
    for (int i = 0; i < EVENTS; i++)
        publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    subscribe(&f, CONNECTOR, "stripe", 100);
    struct slice at =
        *(const struct slice *)message_body(expect(&f, CONNECTOR, MSG_DELIVER));
    start_work(&f, CONNECTOR, &at, 1);
    message_begin(&f.frame, MSG_BYE, 0);
    message_end(&f.frame);
    world_send(&f.world, CONNECTOR, 0, &f.frame);
    world_settle(&f.world);
    come_again(&f);
    assert_int_equal(expect(&f, CONNECTOR, MSG_DELIVER)->count, EVENTS);
    close_fixture(&f);
}

/* Time passes, and the connector stays alive. */
static void pass(struct fixture *f, unsigned seconds)
{
    for (unsigned i = 0; i < seconds; i++) {
        frame_ping(&f->frame, NULL, 0);
        world_send(&f->world, CONNECTOR, 0, &f->frame);
        expect(f, CONNECTOR, MSG_PONG);
        world_advance(&f->world, 1000000);
        world_settle(&f->world);
    }
}

static void a_schedule_fires_once_and_tells_what_was_missed(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &clocked);
    pass(&f, 1); /* counting starts */
    while (f.world.wall_us / 1000000 % 60 != 59)
        pass(&f, 1);
    assert_int_equal(status(&f, "requests"), 0);
    pass(&f, 2);
    assert_int_equal(status(&f, "requests"), 1);
    world_crash(&f.world); /* the same run does not fire twice */
    world_advance(&f.world, 1000000);
    world_settle(&f.world);
    assert_int_equal(status(&f, "requests"), 1);
    assert_int_equal(status(&f, "facts"), 0);
    world_advance(&f.world,
                  180000000); /* nothing ran; the run that was open passed its deadline */
    world_settle(&f.world);
    assert_int_equal(status(&f, "outcomes"), 1);
    assert_int_equal(status(&f, "facts"), 3);
    world_advance(&f.world, 1000000);
    world_settle(&f.world);
    assert_int_equal(status(&f, "requests"), 2); /* the newest, owed by `once` */
    close_fixture(&f);
}

static void a_publisher_beyond_its_window_loses_its_session(void **state)
{
    struct record_parts fact = {.kind = RECORD_FACT, .type = "order.created"};
    struct fixture f;
    char *data = mem_alloc(RECORD_DATA_MAX);

    (void)state;
    open_with(&f, &plain);
    fact.data = data;
    fact.data_len = RECORD_DATA_MAX;
    for (int i = 0; i < 9; i++)
        publish(&f, CLIENT, fact, false);
    expect_silence(&f, CLIENT);
    publish(&f, CLIENT, fact, false);
    expect_refused(&f, CLIENT, "window_exceeded");
    publish(&f, CLIENT, fact, false);
    expect_refused(&f, CLIENT, "not_joined");
    world_settle(&f.world);
    assert_int_equal(status(&f, "facts"), 9); /* what was taken stays */
    join(&f, CLIENT, "client", "app", NULL);
    expect(&f, CLIENT, MSG_WELCOME);
    free(data);
    close_fixture(&f);
}

static void a_full_log_refuses_intake_and_takes_outcomes(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    subscribe(&f, CONNECTOR, "stripe", 10);
    publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    struct slice at = expect_delivery(&f, CONNECTOR, "payment.charge.requested");
    f.world.is_full = true;
    world_relink(&f.world);
    publish(&f, CLIENT, charge, false);
    expect_refused(&f, CLIENT, "log_full");
    succeed(&f, at);
    world_settle(&f.world);
    expect(&f, CONNECTOR, MSG_SETTLED);
    close_fixture(&f);
}

/* What is delivered has room in the log for its outcome, whatever becomes of the disk:
 * with little left nothing new goes out, and results are taken. */
static void a_log_that_is_short_delivers_only_what_it_can_settle(void **state)
{
    enum { FITS = 5 };
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    for (int i = 0; i < 2 * FITS; i++) {
        publish(&f, CLIENT, charge, false);
        world_settle(&f.world);
        expect(&f, CLIENT, MSG_PUBLISHED);
    }
    f.world.spare_bytes = 0;
    f.world.segment_room = CORE_ROOM_KEPT + FITS * CORE_OUTCOME_RESERVE;
    world_relink(&f.world);
    subscribe(&f, CONNECTOR, "stripe", 100);
    const struct message *m = expect(&f, CONNECTOR, MSG_DELIVER);
    uint32_t delivered = m->count;
    struct slice at = *(const struct slice *)message_body(m);
    assert_in_range(delivered, FITS - 1, FITS); /* the SUBSCRIBE takes a little, too */
    expect_silence(&f, CONNECTOR);
    assert_int_equal(status(&f, "groups.0.inflight"), delivered);
    f.world.segment_room = 1000;
    succeed(&f, at);
    world_settle(&f.world);
    expect(&f, CONNECTOR, MSG_SETTLED);
    expect_silence(&f, CONNECTOR);
    f.world.segment_room = 1 << 30;
    world_relink(&f.world);
    assert_int_equal(expect(&f, CONNECTOR, MSG_DELIVER)->count, 2 * FITS - delivered);
    close_fixture(&f);
}

static void a_paused_integration_delivers_nothing_until_resumed(void **state)
{
    static const char *const commands[] = {"pause", "resume"};
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    subscribe(&f, CONNECTOR, "stripe", 10);
    for (int i = 0; i < 2; i++) {
        struct buf map = BUF_NULL;
        attrs_begin(&map);
        attrs_named_text(&map, "command", commands[i]);
        attrs_named_text(&map, "args", "{\"integration\":\"stripe\"}");
        message_begin(&f.frame, MSG_ADMIN, 5);
        buf_add(&f.frame, map.bytes, map.len);
        message_end(&f.frame);
        world_send(&f.world, CLIENT, 0, &f.frame);
        world_settle(&f.world);
        expect(&f, CLIENT, MSG_ANSWER);
        buf_fini(&map);
        if (i == 0) {
            publish(&f, CLIENT, charge, false);
            world_settle(&f.world);
            expect(&f, CLIENT, MSG_PUBLISHED);
            expect_silence(&f, CONNECTOR);
        }
    }
    expect_delivery(&f, CONNECTOR, "payment.charge.requested");
    close_fixture(&f);
}

static void an_observer_replays_what_is_committed_and_goes_on(void **state)
{
    struct wire_position from = {1, 0, 0};
    struct credit credit = {3, 1 << 20};
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    for (int i = 0; i < 3; i++)
        publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    for (int i = 0; i < 3; i++)
        expect(&f, CLIENT, MSG_PUBLISHED);
    join(&f, CONSUMER, "client", "observer", NULL);
    expect(&f, CONSUMER, MSG_WELCOME);
    message_begin(&f.frame, MSG_REPLAY, 9);
    buf_add(&f.frame, &from, sizeof(from));
    message_end(&f.frame);
    world_send(&f.world, CONSUMER, 0, &f.frame);
    expect_silence(&f, CONSUMER); /* no credit yet */
    message_begin(&f.frame, MSG_CREDIT, 0);
    buf_add(&f.frame, &credit, sizeof(credit));
    message_end(&f.frame);
    world_send(&f.world, CONSUMER, 0, &f.frame);
    core_tick(f.world.core);
    uint32_t seen = expect(&f, CONSUMER, MSG_DELIVER)->count;
    assert_int_equal(seen, 3);
    publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    expect_silence(&f, CONSUMER); /* the credit is spent */
    message_begin(&f.frame, MSG_CREDIT, 0);
    buf_add(&f.frame, &credit, sizeof(credit));
    message_end(&f.frame);
    world_send(&f.world, CONSUMER, 0, &f.frame);
    core_tick(f.world.core);
    expect_delivery(&f, CONSUMER, "payment.charge.requested");
    assert_int_equal(status(&f, "groups.0.pending"),
                     4); /* nothing was settled by looking */
    close_fixture(&f);
}

/* What a RESULT may not say. Each is refused whole, and the delivery stays the session's.
 */
static void a_result_that_may_not_be_said_settles_nothing(void **state)
{
    static const struct control_ack ack = {
        .block = 1, .count = 1, .result = STATUS_PENDING};
    static const uint8_t id[16] = {5};
    const struct {
        struct record_parts parts;
        const char *code;
    } cases[] = {
        {{.kind = RECORD_REQUEST, .type = "payment.charge.requested", .id = id},
         "bad_frame"},
        {{.kind = RECORD_OUTCOME, .type = "payment.charge.succeeded", .id = id},
         "bad_frame"},
        {{.kind = RECORD_OUTCOME,
          .status = STATUS_FAILED,
          .type = "payment.charge.failed",
          .id = id},
         "bad_frame"},
        {{.kind = RECORD_OUTCOME,
          .status = STATUS_SUCCESS,
          .error_class = CLASS_permanent,
          .type = "payment.charge.succeeded",
          .id = id},
         "bad_frame"},
        {{.kind = RECORD_OUTCOME,
          .status = STATUS_SUCCESS,
          .flags = RECORD_BY_BROKER,
          .type = "payment.charge.succeeded",
          .id = id},
         "bad_frame"},
        {{.kind = RECORD_OUTCOME,
          .status = STATUS_SUCCESS,
          .type = "order.paid",
          .id = id},
         "undeclared_type"},
        {{.kind = RECORD_FACT, .type = "order.paid", .id = id}, "undeclared_type"},
        {{.kind = RECORD_ACK, .data = &ack, .data_len = sizeof(ack)}, "bad_frame"},
        {{.kind = RECORD_ACK, .data = &ack, .data_len = 4}, "bad_frame"},
        {{.kind = RECORD_RETRY, .data = &ack, .data_len = 4}, "bad_frame"},
    };
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    subscribe(&f, CONNECTOR, "stripe", 10);
    publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    struct slice at = expect_delivery(&f, CONNECTOR, "payment.charge.requested");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct record_parts parts = cases[i].parts;
        if (parts.kind == RECORD_OUTCOME)
            parts.settles = (struct position){at.block, at.index};
        result(&f, CONNECTOR, &parts);
        expect_refused(&f, CONNECTOR, cases[i].code);
    }
    succeed(&f, at);
    succeed(&f, at); /* late: left out */
    world_settle(&f.world);
    expect(&f, CONNECTOR, MSG_SETTLED);
    expect(&f, CONNECTOR, MSG_SETTLED);
    assert_int_equal(status(&f, "outcomes"), 1);
    close_fixture(&f);
}

/* What a PUBLISH may not say. Nothing of the batch is stored. */
static void a_batch_that_may_not_be_said_stores_nothing(void **state)
{
    static const uint8_t id[16] = {5};
    const struct {
        struct record_parts parts;
        const char *code;
    } cases[] = {
        {{.kind = RECORD_OUTCOME,
          .type = "order.paid",
          .status = STATUS_SUCCESS,
          .id = id},
         "bad_frame"},
        {{.kind = RECORD_FACT, .type = "order.paid", .status = STATUS_SUCCESS, .id = id},
         "bad_frame"},
        {{.kind = RECORD_FACT,
          .type = "order.paid",
          .status = STATUS_FAILED,
          .error_class = CLASS_missed,
          .id = id},
         "bad_frame"},
        {{.kind = RECORD_FACT, .type = "order.paid", .flags = RECORD_BY_BROKER, .id = id},
         "bad_frame"},
        {{.kind = RECORD_FACT, .type = "payment.charge.requested", .id = id}, "bad_type"},
        {{.kind = RECORD_FACT, .type = "order..paid", .id = id}, "bad_type"},
        {{.kind = RECORD_FACT, .type = "signalbox.webhook.refused", .id = id},
         "reserved_type"},
        {{.kind = RECORD_REQUEST, .type = "order.paid", .id = id}, "no_handler"},
        {{.kind = RECORD_REQUEST,
          .type = "payment.charge.requested",
          .id = id,
          .integration = 77},
         "no_integration"},
        {{.kind = RECORD_REQUEST,
          .type = "payment.charge.requested",
          .id = id,
          .deadline_us = 1},
         "deadline_too_short"},
        {{.kind = RECORD_BATCH}, "bad_frame"},
        {{.kind = RECORD_IDEMPOTENCY}, "bad_frame"},
    };
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        publish(&f, CLIENT, cases[i].parts, false);
        expect_refused(&f, CLIENT, cases[i].code);
    }
    world_settle(&f.world);
    assert_int_equal(status(&f, "requests") + status(&f, "facts"), 0);
    close_fixture(&f);
}

/* Taking a group out of the configuration keeps what is open in it; putting it back goes
 * on. */
static void an_integration_that_is_taken_out_takes_no_new_requests(void **state)
{
    static const struct core_config empty = {.gateway_key = "g", .random_seed = 1};
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    core_configure(f.world.core, &empty);
    world_settle(&f.world);
    publish(&f, CLIENT, charge, false);
    expect_refused(&f, CLIENT, "no_handler");
    core_configure(f.world.core, &plain);
    world_settle(&f.world);
    publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    expect(&f, CLIENT, MSG_PUBLISHED);
    assert_int_equal(status(&f, "groups.0.pending"), 2);
    close_fixture(&f);
}

static void segments_open_with_a_checkpoint(void **state)
{
    struct fixture f;

    (void)state;
    open_with(&f, &plain);
    publish(&f, CLIENT, charge, false);
    f.world.segment_room = 1 << 20;
    world_settle(&f.world);
    publish(&f, CLIENT, charge, false);
    world_settle(&f.world);
    bool found = false;
    for (size_t i = 1; i < f.world.n_log; i++)
        found = found || (f.world.log[i]->block->flags & BLOCK_OPENS_SEGMENT &&
                          f.world.log[i]->block->flags & BLOCK_CHECKPOINT);
    assert_true(found);
    world_crash(&f.world);
    assert_false(f.world.log_replay_failed);
    assert_int_equal(status(&f, "requests"), 2);
    assert_int_equal(status(&f, "groups.0.pending"), 2);
    close_fixture(&f);
}

/* Its last checkpoint says that it is of another form, or is cut short. */
static void spoil_checkpoint(struct world *world, bool is_cut)
{
    size_t i = world->n_log - 1;

    while (!(world->log[i]->block->flags & BLOCK_CHECKPOINT))
        i--;
    struct block *b = world->log[i]->block;
    for (const struct record *r = block_first(b); r; r = block_next(b, r)) {
        uint8_t *data = (uint8_t *)(uintptr_t)record_data(r);
        size_t form = sizeof(struct control_checkpoint);
        if (r->kind == RECORD_CHECKPOINT && is_cut)
            memset(data + form + 8, 0xff, r->data_len - form - 8);
        else if (r->kind == RECORD_CHECKPOINT)
            data[form]++;
    }
    block_seal(b, b->len);
}

static void a_checkpoint_that_cannot_be_read_is_not_gone_on_from(void **state)
{
    struct fixture f;

    (void)state;
    for (int is_cut = 0; is_cut < 2; is_cut++) {
        open_with(&f, &plain);
        publish(&f, CLIENT, charge, false);
        world_settle(&f.world);
        world_crash(&f.world); /* writes one, the last block of the log */
        world_settle(&f.world);
        assert_false(f.world.log_replay_failed);
        spoil_checkpoint(&f.world, is_cut);
        world_crash(&f.world);
        assert_true(f.world.log_replay_failed);
        f.world.log_replay_failed = false;
        close_fixture(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_answered_or_delivered_before_its_commit),
        cmocka_unit_test(an_outcome_reaches_who_waits_and_the_groups),
        cmocka_unit_test(an_unhandled_request_is_refused_at_once),
        cmocka_unit_test(an_ambiguous_request_names_the_choices),
        cmocka_unit_test(each_integration_is_known_by_its_own_manifest),
        cmocka_unit_test(nobody_but_the_gateway_speaks_for_a_provider),
        cmocka_unit_test(a_wrong_key_joins_nothing),
        cmocka_unit_test(a_batch_sent_again_is_stored_once),
        cmocka_unit_test(an_idempotency_key_is_stored_once_and_tells_another_body),
        cmocka_unit_test(retries_end_exhausted_with_the_last_reason),
        cmocka_unit_test(a_deadline_passes_without_a_connector),
        cmocka_unit_test(
            a_deadline_that_passes_between_attempts_says_how_many_there_were),
        cmocka_unit_test(an_event_that_kills_its_sessions_alone_is_poison),
        cmocka_unit_test(suspects_are_narrowed_down),
        cmocka_unit_test(who_says_goodbye_leaves_no_suspects),
        cmocka_unit_test(a_schedule_fires_once_and_tells_what_was_missed),
        cmocka_unit_test(a_publisher_beyond_its_window_loses_its_session),
        cmocka_unit_test(a_full_log_refuses_intake_and_takes_outcomes),
        cmocka_unit_test(a_log_that_is_short_delivers_only_what_it_can_settle),
        cmocka_unit_test(a_paused_integration_delivers_nothing_until_resumed),
        cmocka_unit_test(an_observer_replays_what_is_committed_and_goes_on),
        cmocka_unit_test(a_result_that_may_not_be_said_settles_nothing),
        cmocka_unit_test(a_batch_that_may_not_be_said_stores_nothing),
        cmocka_unit_test(an_integration_that_is_taken_out_takes_no_new_requests),
        cmocka_unit_test(segments_open_with_a_checkpoint),
        cmocka_unit_test(a_checkpoint_that_cannot_be_read_is_not_gone_on_from),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
