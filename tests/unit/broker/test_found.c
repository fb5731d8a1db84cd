/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"

#define CHECKOUT "stripe.checkout.session.completed"
#define DAY_US   UINT64_C(86400000000)

static const struct core_integration integrations[] = {
    {.name = "stripe",
     .connector = "payment",
     .key = "k",
     .attempts = 3,
     .deadline_us = 3600000000},
    {.name = "other",
     .connector = "payment",
     .key = "k2",
     .attempts = 3,
     .deadline_us = 3600000000},
};
static const struct core_config config = {.gateway_key = "g",
                                          .integrations = integrations,
                                          .n_integrations = 2,
                                          .idempotency_us = 7 * DAY_US,
                                          .random_seed = 1};

/* A poll that the connector of stripe has in hand. */
struct poll {
    struct fixture f;
    struct slice at;
    uint8_t id[16];
    struct buf records; /* of the result being made */
};

static void ask(struct poll *p)
{
    id_derive("poll", ++p->f.number, p->id);
    publish(&p->f, CLIENT,
            (struct record_parts){.kind = RECORD_REQUEST,
                                  .type = "payment.events.requested",
                                  .integration = integration_hash("stripe"),
                                  .id = p->id},
            false);
    world_settle(&p->f.world);
    drain(&p->f, CLIENT);
    p->at = expect_delivery(&p->f, CONNECTOR, "payment.events.requested");
}

static void begin(struct poll *p)
{
    *p = (struct poll){0};
    open_with(&p->f, &config);
    subscribe(&p->f, CONNECTOR, "stripe", 20);
    ask(p);
}

static void end(struct poll *p)
{
    buf_fini(&p->records);
    close_fixture(&p->f);
}

static void add_outcome(struct poll *p)
{
    uint8_t id[16];

    id_derive("outcome", ++p->f.number, id);
    record_add(&p->records, &(struct record_parts){.kind = RECORD_OUTCOME,
                                                   .status = STATUS_SUCCESS,
                                                   .id = id,
                                                   .type = "payment.events.succeeded",
                                                   .cause = p->id,
                                                   .settles = {p->at.block, p->at.index},
                                                   .data = "{}",
                                                   .data_len = 2});
}

/* `key` NULL: it names no provider's event. */
static void add_found(struct poll *p, const char *type, const char *key,
                      struct record_parts parts)
{
    struct buf attrs = BUF_NULL;
    uint8_t id[16];

    id_derive("found", ++p->f.number, id);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_IDEMPOTENCY_KEY, key);
    parts.kind = RECORD_FACT;
    parts.type = type;
    parts.id = parts.id ? parts.id : id;
    parts.cause = parts.cause ? parts.cause : p->id;
    parts.attrs = attrs.bytes;
    parts.attr_len = attrs.len;
    record_add(&p->records, &parts);
    buf_fini(&attrs);
}

static void find(struct poll *p, const char *type, const char *key)
{
    add_found(p, type, key, (struct record_parts){0});
}

static void give(struct poll *p)
{
    frame_result(&p->f.frame, ++p->f.number, &p->records);
    world_send(&p->f.world, CONNECTOR, 0, &p->f.frame);
    buf_fini(&p->records);
}

/* As the gateway publishes a webhook. Returns its id. */
static void hook(struct poll *p, const char *event_id, uint8_t ret_id[16])
{
    struct control_idempotency control = {.body_hash = 5,
                                          .expires_us = p->f.world.wall_us + 7 * DAY_US};
    struct buf records = BUF_NULL;
    uint8_t name[16];

    hash_pair("webhook:stripe", event_id, strlen(event_id), name);
    id_derive("hook", ++p->f.number, ret_id);
    record_add(&records, &(struct record_parts){.kind = RECORD_IDEMPOTENCY,
                                                .id = name,
                                                .data = &control,
                                                .data_len = sizeof(control)});
    record_add(&records, &(struct record_parts){.kind = RECORD_FACT,
                                                .flags = RECORD_WEBHOOK,
                                                .type = CHECKOUT,
                                                .id = ret_id});
    frame_publish(&p->f.frame, p->f.number, false, &records, 1);
    world_send(&p->f.world, GATEWAY, 0, &p->f.frame);
    buf_fini(&records);
}

/* What the newest outcome of the poll says of those that had come before; -1: nothing. */
static int64_t known(struct poll *p)
{
    const struct record *r = settlement(&p->f, p->at);
    int64_t n = -1;

    assert_non_null(r);
    attrs_find_int(record_attrs(r), r->attr_len, ATTR_KNOWN, &n);
    return n;
}

/* Events of this type in the log, and the last one. */
static unsigned count(struct poll *p, const char *type, const struct record **ret_last)
{
    unsigned n = 0;

    for (size_t b = 0; b < p->f.world.n_log; b++) {
        const struct block *block = p->f.world.log[b]->block;
        for (const struct record *r = block->count ? block_first(block) : NULL; r;
             r = block_next(block, r))
            if (record_is_event(r) && r->type_len == strlen(type) &&
                memcmp(record_type(r), type, r->type_len) == 0) {
                *ret_last = r;
                n++;
            }
    }
    return n;
}

static void what_a_poll_finds_is_as_if_its_webhook_had_brought_it(void **state)
{
    const struct record *r = NULL;
    struct poll p;

    (void)state;
    begin(&p);
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_1");
    find(&p, "stripe.payout.paid", "evt_2");
    find(&p, "payment.found", NULL);
    give(&p);
    world_settle(&p.f.world);
    expect(&p.f, CONNECTOR, MSG_SETTLED);
    expect_delivery(&p.f, CONNECTOR, CHECKOUT);
    assert_int_equal(status(&p.f, "requests"), 2); /* the poll, and what is declared */
    assert_int_equal(status(&p.f, "facts"), 2);
    assert_int_equal(known(&p), -1);
    assert_int_equal(count(&p, CHECKOUT, &r), 1);
    assert_int_equal(r->kind, RECORD_REQUEST);
    assert_int_equal(r->flags & RECORD_PROVIDERS, RECORD_FOUND);
    assert_int_equal(r->integration, integration_hash("stripe"));
    assert_true(r->deadline_us > p.f.world.wall_us);
    assert_memory_equal(r->cause, p.id, 16);
    assert_int_equal(count(&p, "stripe.payout.paid", &r), 1);
    assert_int_equal(r->kind, RECORD_FACT);
    assert_int_equal(count(&p, "payment.found", &r), 1);
    assert_int_equal(r->flags & RECORD_FOUND, 0);
    end(&p);
}

static void what_a_webhook_brought_is_known_to_the_poll(void **state)
{
    const struct record *r = NULL;
    uint8_t id[16];
    struct poll p;

    (void)state;
    begin(&p);
    hook(&p, "evt_1", id);
    world_settle(&p.f.world);
    expect_delivery(&p.f, CONNECTOR, CHECKOUT);
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_1");
    find(&p, CHECKOUT, "evt_2");
    give(&p);
    world_settle(&p.f.world);
    assert_int_equal(known(&p), 1);
    assert_int_equal(count(&p, CHECKOUT, &r), 2);
    assert_int_equal(settlement(&p.f, p.at)->data_len, 2); /* the connector's own word */
    end(&p);
}

static void a_webhook_after_the_poll_is_answered_with_the_first_one(void **state)
{
    const struct record *r = NULL;
    uint8_t id[16];
    struct poll p;

    (void)state;
    begin(&p);
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_1");
    give(&p);
    world_settle(&p.f.world);
    hook(&p, "evt_1", id);
    world_settle(&p.f.world);
    const struct message *m = expect(&p.f, GATEWAY, MSG_PUBLISHED);
    const struct published *published = message_body(m);
    const struct verdict *verdict = (const struct verdict *)(published + 1);
    assert_int_equal(published->verdicts, 1);
    assert_int_equal(count(&p, CHECKOUT, &r), 1);
    assert_memory_equal(verdict->first_id, r->id, 16);
    end(&p);
}

/* Neither is committed when the other one comes. */
static void both_at_once_are_one_event(void **state)
{
    const struct record *r = NULL;
    uint8_t id[16];
    struct poll p;

    (void)state;
    begin(&p);
    hook(&p, "evt_1", id);
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_1");
    find(&p, CHECKOUT, "evt_2");
    find(&p, CHECKOUT, "evt_2"); /* the service lists it twice */
    give(&p);
    hook(&p, "evt_2", id);
    world_settle(&p.f.world);
    assert_int_equal(known(&p), 2);
    assert_int_equal(count(&p, CHECKOUT, &r), 2);
    end(&p);
}

/* What was on its way when the broker died is sent again, and stored once. */
static void a_crash_forgets_nothing_of_it(void **state)
{
    const struct record *r = NULL;
    struct poll p;

    (void)state;
    begin(&p);
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_1");
    give(&p);
    world_settle(&p.f.world);
    world_crash(&p.f.world);
    world_settle(&p.f.world);
    drain(&p.f, CONNECTOR);
    join(&p.f, CONNECTOR, "connector", "stripe", "k");
    join(&p.f, CLIENT, "client", "app", NULL);
    world_settle(&p.f.world);
    drain(&p.f, CONNECTOR);
    drain(&p.f, CLIENT);
    subscribe(&p.f, CONNECTOR, "stripe", 20);
    world_settle(&p.f.world);
    expect_delivery(&p.f, CONNECTOR, CHECKOUT);
    ask(&p);
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_1");
    give(&p);
    world_settle(&p.f.world);
    assert_int_equal(known(&p), 1);
    assert_int_equal(count(&p, CHECKOUT, &r), 1);
    end(&p);
}

static void a_result_sent_again_finds_nothing_twice(void **state)
{
    const struct record *r = NULL;
    struct poll p;

    (void)state;
    begin(&p);
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_1");
    find(&p, "payment.found", NULL);
    for (int i = 0; i < 2; i++) {
        frame_result(&p.f.frame, 1000, &p.records);
        world_send(&p.f.world, CONNECTOR, 0, &p.f.frame);
    }
    world_settle(&p.f.world);
    assert_int_equal(count(&p, CHECKOUT, &r), 1);
    assert_int_equal(count(&p, "payment.found", &r), 1);
    end(&p);
}

/* The outcome that counts brought its own. */
static void an_outcome_that_is_late_brings_nothing_along(void **state)
{
    const struct record *r = NULL;
    struct poll p;

    (void)state;
    begin(&p);
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_1");
    give(&p);
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_2");
    find(&p, "payment.found", NULL);
    give(&p);
    world_settle(&p.f.world);
    assert_int_equal(count(&p, "payment.events.succeeded", &r), 1);
    assert_int_equal(count(&p, CHECKOUT, &r), 1);
    assert_int_equal(count(&p, "payment.found", &r), 0);
    assert_int_equal(status(&p.f, "refused.results_not_held"), 1);
    end(&p);
}

static void an_id_is_remembered_as_long_as_the_configuration_says(void **state)
{
    const struct record *r = NULL;
    struct poll p;

    (void)state;
    begin(&p);
    for (unsigned day = 0; day < 3; day++) {
        if (day)
            ask(&p);
        add_outcome(&p);
        find(&p, "stripe.payout.paid", "evt_1");
        give(&p);
        world_settle(&p.f.world);
        expect(&p.f, CONNECTOR, MSG_SETTLED);
        assert_int_equal(count(&p, "stripe.payout.paid", &r), day < 2 ? 1 : 2);
        p.f.world.wall_us += 4 * DAY_US;
        core_time(p.f.world.core, p.f.world.wall_us, p.f.world.steady_us);
    }
    end(&p);
}

/* Refused whole: the poll stays the session's, and nothing of it is filed. */
static void what_may_not_be_found_is_refused(void **state)
{
    static const uint8_t elsewhere[16] = {9};
    static const struct {
        const char *type, *key, *code;
        struct record_parts parts;
    } cases[] = {
        {CHECKOUT, NULL, "bad_frame", {0}},
        {CHECKOUT, "", "bad_frame", {0}},
        {CHECKOUT, "evt_1", "bad_frame", {.cause = elsewhere}},
        {CHECKOUT, "evt_1", "bad_frame", {.flags = RECORD_WEBHOOK}},
        {CHECKOUT, "evt_1", "bad_frame", {.flags = RECORD_FOUND}},
        {CHECKOUT, "evt_1", "bad_frame", {.flags = RECORD_BY_BROKER}},
        {"other.checkout.session.completed", "evt_1", "undeclared_type", {0}},
        {"payment.charge.requested", "evt_1", "undeclared_type", {0}},
        {"order.paid", "evt_1", "undeclared_type", {0}},
    };
    struct poll p;

    (void)state;
    begin(&p);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        add_outcome(&p);
        add_found(&p, cases[i].type, cases[i].key, cases[i].parts);
        give(&p);
        expect_refused(&p.f, CONNECTOR, cases[i].code);
    }
    find(&p, CHECKOUT, "evt_1"); /* with no outcome */
    give(&p);
    expect_refused(&p.f, CONNECTOR, "bad_frame");
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_1");
    give(&p);
    world_settle(&p.f.world);
    assert_int_equal(status(&p.f, "requests"), 2);
    assert_int_equal(known(&p), -1);
    end(&p);
}

/* Each has its own ids; a connector cannot take another one's. */
static void two_integrations_have_their_own_ids(void **state)
{
    const struct record *r = NULL;
    struct control_idempotency control = {.expires_us = UINT64_MAX};
    struct buf records = BUF_NULL;
    uint8_t name[16];
    struct poll p;

    (void)state;
    begin(&p);
    hash_pair("webhook:other", "evt_1", 5, name);
    record_add(&records, &(struct record_parts){.kind = RECORD_IDEMPOTENCY,
                                                .id = name,
                                                .data = &control,
                                                .data_len = sizeof(control)});
    record_add(&records, &(struct record_parts){
                             .kind = RECORD_FACT, .type = "order.made", .id = name});
    frame_publish(&p.f.frame, ++p.f.number, false, &records, 1);
    world_send(&p.f.world, CLIENT, 0, &p.f.frame);
    buf_fini(&records);
    add_outcome(&p);
    find(&p, CHECKOUT, "evt_1");
    give(&p);
    world_settle(&p.f.world);
    assert_int_equal(count(&p, CHECKOUT, &r), 1);
    assert_int_equal(known(&p), -1);
    end(&p);
}

static void nobody_publishes_what_only_a_poll_or_a_webhook_may_be(void **state)
{
    static const uint8_t flags[] = {RECORD_WEBHOOK, RECORD_FOUND};
    struct poll p;

    (void)state;
    begin(&p);
    for (size_t i = 0; i < sizeof(flags); i++) {
        publish(&p.f, CLIENT,
                (struct record_parts){
                    .kind = RECORD_FACT, .flags = flags[i], .type = "order.made"},
                false);
        expect_refused(&p.f, CLIENT, "bad_frame");
    }
    end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_poll_finds_is_as_if_its_webhook_had_brought_it),
        cmocka_unit_test(what_a_webhook_brought_is_known_to_the_poll),
        cmocka_unit_test(a_webhook_after_the_poll_is_answered_with_the_first_one),
        cmocka_unit_test(both_at_once_are_one_event),
        cmocka_unit_test(a_crash_forgets_nothing_of_it),
        cmocka_unit_test(a_result_sent_again_finds_nothing_twice),
        cmocka_unit_test(an_outcome_that_is_late_brings_nothing_along),
        cmocka_unit_test(an_id_is_remembered_as_long_as_the_configuration_says),
        cmocka_unit_test(what_may_not_be_found_is_refused),
        cmocka_unit_test(two_integrations_have_their_own_ids),
        cmocka_unit_test(nobody_publishes_what_only_a_poll_or_a_webhook_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
