/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/endpoint.h"
#include "gateway/gateway.h"
#include "gateway/hold.h"
#include "gateway/refusal.h"
#include "lib/base/buf.h"
#include "lib/loop/loop.h"

struct box {
    struct gateway gateway;
    struct endpoint endpoints[2];
    struct buf published; /* the last batch */
    unsigned batches;
};

static uint64_t publish(void *user, const void *records, size_t n, bool waits)
{
    struct box *box = user;
    assert_false(waits);
    buf_clear(&box->published);
    buf_add(&box->published, records, n);
    return ++box->batches;
}

static bool is_joined(void *user)
{
    (void)user;
    return true;
}

static void box_open(struct box *box)
{
    *box = (struct box){.endpoints = {{.path = "one", .integration_name = "shop"},
                                      {.path = "two", .integration_name = "shop"}}};
    box->gateway.endpoints = box->endpoints;
    box->gateway.n_endpoints = 2;
    box->gateway.loop = loop_new();
    loop_virtual(box->gateway.loop, UINT64_C(1750000000000000), 1000000);
    box->gateway.hold =
        hold_new(box->gateway.loop, &(struct hold_bus){box, publish, is_joined});
}

static void box_close(struct box *box)
{
    refusal_close(&box->gateway);
    hold_free(box->gateway.hold);
    loop_free(box->gateway.loop);
    buf_fini(&box->published);
}

static void note(struct box *box, size_t endpoint, const char *why, enum refusal kind)
{
    refusal_note(&box->gateway, &box->endpoints[endpoint], "192.0.2.1", why, kind);
}

static bool says(const struct box *box, const char *text)
{
    return memmem(box->published.bytes, box->published.len, text, strlen(text)) != NULL;
}

static void a_flood_is_told_up_to_a_bound_and_then_as_one(void **state)
{
    (void)state;
    struct box box;
    box_open(&box);
    for (int i = 0; i < REFUSALS_TOLD + 5000; i++)
        note(&box, 0, i < 5000 ? "early" : "late", REFUSAL_UNVERIFIED);
    assert_int_equal(hold_count(box.gateway.hold), REFUSALS_TOLD);
    assert_int_equal(box.endpoints[0].refused, REFUSALS_TOLD + 5000);
    note(&box, 1, "another endpoint", REFUSAL_UNVERIFIED);
    assert_int_equal(hold_count(box.gateway.hold), REFUSALS_TOLD + 1);
    loop_turn(box.gateway.loop, 0);
    assert_true(says(&box, "another endpoint") && says(&box, "early"));

    loop_advance(box.gateway.loop, REFUSAL_WINDOW_US - 1);
    assert_int_equal(hold_count(box.gateway.hold), 0); /* nobody had answered */
    loop_advance(box.gateway.loop, 1);
    assert_int_equal(hold_count(box.gateway.hold), 1);
    loop_turn(box.gateway.loop, 0);
    assert_true(says(&box, "5000 more in the last minute; the last: late"));
    note(&box, 0, "a new minute", REFUSAL_UNVERIFIED);
    assert_int_equal(hold_count(box.gateway.hold), 2);
    box_close(&box);
}

static void a_stop_tells_what_was_counted_and_the_bound_stays(void **state)
{
    (void)state;
    struct box box;
    box_open(&box);
    for (int i = 0; i < REFUSALS_TOLD + 7; i++)
        note(&box, 0, "a forgery", REFUSAL_UNVERIFIED);
    for (int i = 0; i < REFUSALS_TOLD + 2; i++)
        note(&box, 1, "the log is full", REFUSAL_NOT_NOW);
    unsigned told = hold_count(box.gateway.hold);
    refusal_tell_rest(&box.gateway);
    assert_int_equal(hold_count(box.gateway.hold), told + 1); /* of those only a fact */
    loop_turn(box.gateway.loop, 0);
    assert_true(says(&box, "7 more in the last minute; the last: a forgery"));
    refusal_tell_rest(&box.gateway);
    note(&box, 0, "one more", REFUSAL_UNVERIFIED); /* counted, as before */
    assert_int_equal(hold_count(box.gateway.hold), told + 1);
    refusal_tell_rest(&box.gateway);
    assert_int_equal(hold_count(box.gateway.hold), told + 2);
    box_close(&box);
}

static void a_request_to_no_endpoint_is_a_line_at_most_and_never_a_fact(void **state)
{
    (void)state;
    static const char *const targets[] = {"/webhooks/tow", "/webhooks/one/?a=b",
                                          "/webhook", "/webhooks/\x1b[2J", "/webhooks/",
                                          "/webhooks/%2e%2e"};
    struct box box;
    box_open(&box);
    for (unsigned i = 0; i < UNKNOWN_TOLD + 100; i++)
        refusal_unknown(&box.gateway, targets[i % 6], "192.0.2.1");
    assert_int_equal(box.gateway.unknown_told, UNKNOWN_TOLD);
    assert_int_equal(box.gateway.unknown_untold, 100);
    assert_int_equal(hold_count(box.gateway.hold), 0);
    loop_advance(box.gateway.loop, REFUSAL_WINDOW_US);
    assert_int_equal(box.gateway.unknown_told + box.gateway.unknown_untold, 0);
    assert_int_equal(hold_count(box.gateway.hold), 0);
    box_close(&box);
}

static void a_quiet_minute_says_nothing(void **state)
{
    (void)state;
    struct box box;
    box_open(&box);
    note(&box, 0, "one", REFUSAL_UNVERIFIED);
    loop_advance(box.gateway.loop, REFUSAL_WINDOW_US);
    loop_advance(box.gateway.loop, REFUSAL_WINDOW_US);
    assert_int_equal(hold_count(box.gateway.hold), 0);
    box_close(&box);
}

static void what_is_to_come_again_is_no_fact_and_counted_apart(void **state)
{
    (void)state;
    struct box box;
    box_open(&box);
    for (int i = 0; i < REFUSALS_TOLD + 1; i++)
        note(&box, 0, "the log is full", REFUSAL_NOT_NOW);
    assert_int_equal(hold_count(box.gateway.hold), 0);
    assert_int_equal(box.endpoints[0].not_taken, REFUSALS_TOLD + 1);
    assert_int_equal(box.endpoints[0].refused, 0);
    note(&box, 0, "a forgery", REFUSAL_UNVERIFIED);
    assert_int_equal(hold_count(box.gateway.hold), 1);
    note(&box, 0, "verified, but no event", REFUSAL_NO_EVENT);
    assert_int_equal(hold_count(box.gateway.hold), 2);
    loop_turn(box.gateway.loop, 0);
    assert_true(says(&box, "verified, but no event"));
    box_close(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_is_told_up_to_a_bound_and_then_as_one),
        cmocka_unit_test(a_stop_tells_what_was_counted_and_the_bound_stays),
        cmocka_unit_test(a_request_to_no_endpoint_is_a_line_at_most_and_never_a_fact),
        cmocka_unit_test(a_quiet_minute_says_nothing),
        cmocka_unit_test(what_is_to_come_again_is_no_fact_and_counted_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
