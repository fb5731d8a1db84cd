/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a person can deal with, where it stands, and what was done about it before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/ledger/failures.h"
#include "proto/control.h"
#include "proto/dealing.h"
#include "tests/unit/ledger/maker.h"

static int without_views(void **state)
{
    *state = maker_new(false);
    return 0;
}

static int with_views(void **state)
{
    *state = maker_new(true);
    return 0;
}

static int with_lagging_views(void **state)
{
    struct maker *m = maker_new(true);

    maker_seal(m);
    maker_stop_views(m);
    *state = m;
    return 0;
}

static int teardown(void **state)
{
    maker_free(*state);
    return 0;
}

/* 1 failed, 2 is pending, 3 succeeded; 4 is a fact that one of its two groups gave up, 5
 * one that came unverified; 6 failed otherwise. */
static struct position tell_story(struct maker *m)
{
    struct position p[7];

    maker_integration(m, "stripe", "Stripe");
    maker_group(m, "billing", "order.>", false);
    maker_group(m, "shipping", "order.>", false);
    maker_seal(m);
    for (uint8_t i = 1; i <= 3; i++)
        p[i] = maker_request(m, i, "payment.charge.requested", "stripe", NULL);
    p[4] = maker_fact(m, 4, "order.created", STATUS_PENDING);
    p[5] = maker_fact(m, 5, "signalbox.webhook.refused", STATUS_FAILED);
    p[6] = maker_request(m, 6, "payment.charge.requested", "stripe", NULL);
    maker_seal(m);
    struct position by = maker_outcome(m, 21, p[1], 1, CLASS_exhausted, "no answer");
    maker_outcome(m, 23, p[3], 3, CLASS_none, NULL);
    maker_outcome(m, 26, p[6], 6, CLASS_permanent, "no");
    maker_ack(m, "billing", p[4], 1, CLASS_permanent);
    maker_ack(m, "shipping", p[4], 1, CLASS_none);
    maker_seal(m);
    return by;
}

static void a_request_is_named_with_its_place_and_its_end(void **state)
{
    struct position by = tell_story(*state);
    struct json *items = failures_of(maker_ledger(*state), maker_id(1));

    assert_int_equal(js_count(items), 1);
    assert_string_equal(js_text(items, "0.id", ""), maker_id(1));
    assert_string_equal(js_text(items, "0.type", ""), "payment.charge.requested");
    assert_string_equal(js_text(items, "0.error_class", ""), "exhausted");
    assert_int_equal(js_int(items, "0.by_block", 0), by.block);
    assert_int_equal(js_int(items, "0.by_index", -1), by.index);
    assert_int_equal(strlen(js_text(items, "0.new", "")), 36);
    js_free(items);
    items = failures_of(maker_ledger(*state), maker_id(2));
    assert_int_equal(js_int(items, "0.by_block", -1), 0); /* pending */
    js_free(items);
    items = failures_of(maker_ledger(*state), maker_id(21));
    assert_string_equal(js_text(items, "0.id", ""), maker_id(1)); /* by its outcome */
    js_free(items);
    assert_null(failures_of(maker_ledger(*state), maker_id(99)));
}

static void of_a_fact_each_group_that_gave_up_is_one_item(void **state)
{
    tell_story(*state);
    struct json *items = failures_of(maker_ledger(*state), maker_id(4));

    assert_int_equal(js_count(items), 1);
    assert_string_equal(js_text(items, "0.group", ""), "billing");
    js_free(items);
    items = failures_of(maker_ledger(*state), maker_id(5));
    assert_int_equal(js_count(items), 1);
    assert_null(js_get(items, "0.group"));
    js_free(items);
}

/* An outcome that a group gave up is no Failed row of the log: it is found by the group.
 */
static void what_a_group_gave_up_is_found_by_its_name(void **state)
{
    struct maker *m = *state;
    struct ledger_filter filter = {.status = -1, .error_class = -1, .limit = 1};
    uint64_t block = 0;

    maker_integration(m, "stripe", "Stripe");
    maker_group(m, "billing", ">", false);
    maker_group(m, "shipping", "order.>", false);
    maker_seal(m);
    struct position request =
                        maker_request(m, 1, "payment.charge.requested", "stripe", NULL),
                    fact = maker_fact(m, 4, "order.created", STATUS_PENDING);
    maker_seal(m);
    struct position outcome = maker_outcome(m, 21, request, 1, CLASS_none, NULL);
    maker_ack(m, "billing", fact, 1, CLASS_permanent);
    maker_ack(m, "shipping", fact, 1, CLASS_exhausted);
    maker_seal(m);
    maker_ack(m, "billing", outcome, 1, CLASS_exhausted);
    maker_seal(m);
    struct json *items = failures_of_group(maker_ledger(m), "billing", &filter, &block);
    assert_int_equal(js_count(items), 1);
    assert_string_equal(js_text(items, "0.id", ""), maker_id(4));
    assert_string_equal(js_text(items, "0.group", ""), "billing");
    assert_true(block > 0);
    js_free(items);
    items = failures_of_group(maker_ledger(m), "billing", &filter, &block);
    assert_int_equal(js_count(items), 1);
    assert_string_equal(js_text(items, "0.id", ""), maker_id(21));
    assert_string_equal(js_text(items, "0.error_class", ""), "exhausted");
    assert_true(js_int(items, "0.by_block", 0) > 0);
    assert_int_equal(block, 0); /* there is no more */
    js_free(items);
    filter.limit = 0;
    filter.type = "payment.>";
    items = failures_of_group(maker_ledger(m), "billing", &filter, &block);
    assert_int_equal(js_count(items), 1);
    js_free(items);
    filter.error_class = CLASS_permanent;
    items = failures_of_group(maker_ledger(m), "billing", &filter, &block);
    assert_int_equal(js_count(items), 0);
    js_free(items);
    assert_null(failures_of_group(maker_ledger(m), "nobody", &filter, &block));
    assert_non_null(strstr(ledger_error(maker_ledger(m)), "`nobody`"));
}

static void a_filter_finds_what_failed_oldest_first(void **state)
{
    struct ledger_filter filter = {.status = -1, .error_class = -1, .oldest_first = true};

    tell_story(*state);
    struct json *items = failures_find(maker_ledger(*state), &filter, NULL);
    assert_int_equal(js_count(items), 3); /* not the unverified one */
    assert_string_equal(js_text(items, "0.id", ""), maker_id(1));
    assert_string_equal(js_text(items, "1.id", ""), maker_id(4));
    assert_string_equal(js_text(items, "2.id", ""), maker_id(6));
    js_free(items);
    filter.error_class = CLASS_permanent;
    filter.type = "payment.>";
    items = failures_find(maker_ledger(*state), &filter, NULL);
    assert_int_equal(js_count(items), 1);
    assert_string_equal(js_text(items, "0.id", ""), maker_id(6));
    js_free(items);
    filter =
        (struct ledger_filter){.cursor = "nonsense", .status = -1, .error_class = -1};
    assert_null(failures_find(maker_ledger(*state), &filter, NULL));
    assert_true(*ledger_error(maker_ledger(*state)) != 0);
}

/* The `number`th dealing with request 1: an event of this name. */
static void deal(struct maker *m, unsigned number, enum dealing_kind kind, uint8_t name)
{
    struct control_idempotency c = {.body_hash = kind, .expires_us = UINT64_MAX / 2};
    uint8_t id[16], key[16];
    static const char verdict[] =
        "{\"as\":\"success\",\"note\":\"seen\",\"actor\":\"bob\"}";

    memset(id, 1, sizeof(id));
    dealing_name(id, 0, number, key);
    maker_record(
        m, &(struct record_parts){
               .kind = RECORD_IDEMPOTENCY, .id = key, .data = &c, .data_len = sizeof(c)});
    memset(id, name, sizeof(id));
    maker_record(m, &(struct record_parts){.kind = kind == DEALT_REDRIVEN ? RECORD_REQUEST
                                                                          : RECORD_FACT,
                                           .flags = RECORD_JSON,
                                           .type = "some.event",
                                           .id = id,
                                           .data = verdict,
                                           .data_len = sizeof(verdict) - 1});
    maker_seal(m);
}

static bool keep_json(void *user, const struct ledger_row *row)
{
    *(struct json **)user = ledger_row_json(row);
    return true;
}

static void a_failed_row_says_what_was_done_last(void **state)
{
    struct json *row = NULL;

    tell_story(*state);
    assert_true(ledger_find(maker_ledger(*state), maker_id(1), keep_json, &row));
    assert_null(js_get(row, "resolved"));
    assert_null(js_get(row, "redrive"));
    js_free(row);
    deal(*state, 0, DEALT_SUCCESS, 40);
    assert_true(ledger_find(maker_ledger(*state), maker_id(1), keep_json, &row));
    assert_string_equal(js_text(row, "resolved.as", ""), "success");
    assert_string_equal(js_text(row, "resolved.actor", ""), "bob");
    assert_string_equal(js_text(row, "status", ""), "Failed");
    js_free(row);
    deal(*state, 1, DEALT_REDRIVEN, 41);
    assert_true(ledger_find(maker_ledger(*state), maker_id(1), keep_json, &row));
    assert_string_equal(js_text(row, "redrive", ""), maker_id(41));
    assert_null(js_get(row, "resolved"));
    js_free(row);
    assert_true(ledger_find(maker_ledger(*state), maker_id(6), keep_json, &row));
    assert_null(js_get(row, "redrive"));
    js_free(row);
}

#define CLAIM(claim)                                                                     \
    cmocka_unit_test_setup_teardown(claim, without_views, teardown),                     \
        cmocka_unit_test_setup_teardown(claim, with_views, teardown),                    \
        cmocka_unit_test_setup_teardown(claim, with_lagging_views, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_request_is_named_with_its_place_and_its_end),
        CLAIM(of_a_fact_each_group_that_gave_up_is_one_item),
        CLAIM(what_a_group_gave_up_is_found_by_its_name),
        CLAIM(a_filter_finds_what_failed_oldest_first),
        CLAIM(a_failed_row_says_what_was_done_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
