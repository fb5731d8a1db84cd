/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "tests/unit/ledger/maker.h"

/* Each claim holds without views, with views, and with views that lag. */
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

static const struct ledger_filter any = {.status = -1, .error_class = -1};

/* Rows as text: the id's byte and the first letter of the status, "7P 9S ". */
static bool tell_short(void *user, const struct ledger_row *row)
{
    buf_format(user, "%u%c ", row->id[0], *(const char *[]){"P", "S", "F"}[row->status]);
    return true;
}

static void expect(struct maker *m, const struct ledger_filter *filter, const char *rows)
{
    struct buf got = BUF_NULL;

    long n = ledger_query(maker_ledger(m), filter, tell_short, &got, NULL);
    assert_string_equal(buf_str(&got), rows);
    long spaces = 0;
    for (const char *c = rows; *c; c++)
        spaces += *c == ' ';
    assert_int_equal(n, spaces);
    buf_fini(&got);
}

static void empty_log_has_no_rows(void **state)
{
    expect(*state, &any, "");
    assert_int_equal(ledger_end(maker_ledger(*state)) <= 1, 1);
}

/* 1 succeeded, 2 failed, 3 pending, 4 settled in its own block, 5 a fact; 2 is settled
 * before 1. */
static void tell_story(struct maker *m)
{
    struct position p[5];

    maker_integration(m, "stripe", "Stripe");
    p[1] = maker_request(m, 1, "payment.charge.requested", "stripe", "order-1");
    p[2] = maker_request(m, 2, "payment.charge.requested", "stripe", "order-2");
    maker_seal(m);
    p[3] = maker_request(m, 3, "payment.refund.requested", "stripe", NULL);
    maker_seal(m);
    maker_outcome(m, 12, p[2], 2, CLASS_permanent, "card declined");
    maker_fact(m, 5, "stripe.payout.paid", STATUS_PENDING);
    maker_seal(m);
    p[4] = maker_request(m, 4, "payment.charge.requested", "other", "order-1");
    maker_outcome(m, 14, p[4], 4, CLASS_none, NULL);
    maker_outcome(m, 11, p[1], 1, CLASS_none, NULL);
    maker_seal(m);
}

static void a_request_has_its_outcomes_status(void **state)
{
    tell_story(*state);
    expect(*state, &any, "1S 2F 3P 5S 4S ");
}

static void filters_choose_rows(void **state)
{
    static const struct {
        struct ledger_filter filter;
        const char *rows;
    } cases[] = {
        {{.status = 0, .error_class = -1}, "3P "},
        {{.status = 1, .error_class = -1}, "1S 5S 4S "},
        {{.status = 2, .error_class = -1}, "2F "},
        {{.status = -1, .error_class = CLASS_permanent}, "2F "},
        {{.status = -1, .error_class = CLASS_deadline}, ""},
        {{.status = 2, .error_class = CLASS_unverified}, ""},
        {{.status = -1, .error_class = -1, .type = "payment.*.requested"},
         "1S 2F 3P 4S "},
        {{.status = -1, .error_class = -1, .type = "payment.refund.>"}, "3P "},
        {{.status = -1, .error_class = -1, .key = "order-1"}, "1S 4S "},
        {{.status = -1, .error_class = -1, .key = "order-9"}, ""},
        {{.status = -1, .error_class = -1, .service = "stripe"}, "1S 2F 3P "},
        {{.status = -1, .error_class = -1, .service = "-"}, "5S 4S "},
        {{.status = -1, .error_class = -1, .integration = "other"}, "4S "},
        {{.status = 2, .error_class = -1, .service = "Stripe"}, "2F "},
        {{.status = 2, .error_class = -1, .service = "Nobody"}, ""},
    };

    tell_story(*state);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect(*state, &cases[i].filter, cases[i].rows);
}

static void limit_takes_the_newest_and_the_cursor_goes_on(void **state)
{
    struct ledger_filter filter = any;
    struct buf got = BUF_NULL;
    char *cursor = NULL;

    tell_story(*state);
    filter.limit = 2;
    assert_int_equal(
        ledger_query(maker_ledger(*state), &filter, tell_short, &got, &cursor), 2);
    assert_string_equal(buf_str(&got), "5S 4S ");
    _free_ char *second = cursor;
    filter.cursor = second;
    buf_clear(&got);
    assert_int_equal(
        ledger_query(maker_ledger(*state), &filter, tell_short, &got, &cursor), 2);
    assert_string_equal(buf_str(&got), "2F 3P ");
    _free_ char *third = cursor;
    filter.cursor = third;
    buf_clear(&got);
    assert_int_equal(
        ledger_query(maker_ledger(*state), &filter, tell_short, &got, &cursor), 1);
    assert_string_equal(buf_str(&got), "1S ");
    assert_null(cursor);
    buf_fini(&got);
}

static void oldest_first_goes_up_and_on_when_the_log_grows(void **state)
{
    struct ledger_filter filter = any;
    struct buf got = BUF_NULL;
    char *cursor = NULL;

    tell_story(*state);
    filter.limit = 3;
    filter.oldest_first = true;
    for (int i = 0; i < 3; i++) {
        filter.cursor = cursor;
        char *before = cursor;
        ledger_query(maker_ledger(*state), &filter, tell_short, &got, &cursor);
        free(before);
        assert_non_null(cursor);
    }
    assert_string_equal(buf_str(&got), "1S 2F 3P 5S 4S ");
    maker_fact(*state, 6, "a.b", STATUS_PENDING);
    maker_seal(*state);
    buf_clear(&got);
    filter.cursor = cursor;
    char *last = NULL;
    ledger_query(maker_ledger(*state), &filter, tell_short, &got, &last);
    assert_string_equal(buf_str(&got), "6S ");
    free(last);
    free(cursor);
    buf_fini(&got);
}

static void a_cursor_that_is_none_is_an_error(void **state)
{
    struct ledger_filter filter = any;

    tell_story(*state);
    filter.cursor = "7-x";
    assert_int_equal(ledger_query(maker_ledger(*state), &filter, tell_short, NULL, NULL),
                     -1);
    assert_non_null(strstr(ledger_error(maker_ledger(*state)), "cursor"));
}

static void since_and_until_are_times_of_commit(void **state)
{
    struct ledger_filter filter = any;
    uint64_t shift = ledger_end(maker_ledger(*state)) *
                     1000000; /* the lagging one has a block before */

    tell_story(*state);
    filter.since_us = shift + 2000000;
    expect(*state, &filter, "3P 5S 4S ");
    filter.until_us = shift + 3000000; /* not included */
    expect(*state, &filter, "3P ");
    filter.since_us = 0;
    expect(*state, &filter, "1S 2F 3P "); /* settled later, and it shows */
    filter.status = 2;
    expect(*state, &filter, "2F ");
    filter.since_us = shift + 9000000;
    filter.until_us = 0;
    expect(*state, &filter, "");
}

static void records_are_shown_as_written(void **state)
{
    struct ledger_filter filter = any;

    tell_story(*state);
    filter.records = true;
    expect(*state, &filter, "1P 2P 3P 12F 5P 4P 14S 11S ");
    filter.status = 2;
    expect(*state, &filter, "12F ");
    filter.status = -1;
    filter.service = "Stripe"; /* an outcome's service is its request's */
    expect(*state, &filter, "1P 2P 3P 12F 11S ");
}

static void the_first_outcome_wins(void **state)
{
    struct maker *m = *state;
    struct ledger_filter filter = any;

    struct position p = maker_request(m, 1, "a.b.requested", NULL, NULL);
    struct position q = maker_request(m, 2, "a.b.requested", NULL, NULL);
    maker_seal(m);
    maker_outcome(m, 11, p, 1, CLASS_none, NULL);
    maker_outcome(m, 12, q, 2, CLASS_exhausted, "first");
    maker_seal(m);
    maker_outcome(m, 21, p, 1, CLASS_permanent, "late");
    maker_outcome(m, 22, q, 2, CLASS_none, NULL);
    maker_seal(m);
    expect(m, &any, "1S 2F ");
    filter.status = 2;
    expect(m, &filter, "2F ");
}

static void newest_failures_are_those_of_the_newest_requests(void **state)
{
    struct maker *m = *state;
    struct ledger_filter filter = any;
    struct position p[6];

    for (int i = 1; i <= 5; i++) {
        p[i] = maker_request(m, (uint8_t)i, "a.b.requested", NULL, NULL);
        maker_seal(m);
    }
    for (int i = 5; i >= 1; i--) { /* the oldest request fails last */
        maker_outcome(m, (uint8_t)(10 + i), p[i], (uint8_t)i, CLASS_permanent, "no");
        maker_seal(m);
    }
    filter.status = 2;
    filter.limit = 2;
    expect(m, &filter, "4F 5F ");
    filter.oldest_first = true;
    expect(m, &filter, "1F 2F ");
}

static void a_fact_is_pending_until_every_group_is_done(void **state)
{
    struct maker *m = *state;

    struct position early =
        maker_fact(m, 1, "order.paid", STATUS_PENDING); /* before the group: not its */
    maker_group(m, "billing", "order.>", false);
    maker_group(m, "mail", "order.paid", false);
    maker_seal(m);
    struct position a = maker_fact(m, 2, "order.paid", STATUS_PENDING);
    struct position b = maker_fact(m, 3, "order.sent", STATUS_PENDING);
    maker_fact(m, 4, "other", STATUS_PENDING);
    maker_seal(m);
    expect(m, &any, "1S 2P 3P 4S ");
    maker_ack(m, "billing", a, 2, CLASS_none);
    maker_seal(m);
    expect(m, &any, "1S 2P 3S 4S ");
    maker_ack(m, "mail", a, 1, CLASS_poison);
    maker_seal(m);
    expect(m, &any, "1S 2F 3S 4S ");
    struct ledger_filter failures = {.status = -1, .error_class = CLASS_poison};
    expect(m, &failures, "2F ");
    (void)early;
    (void)b;
}

static void a_removed_group_holds_nothing_back(void **state)
{
    struct maker *m = *state;

    maker_group(m, "billing", "order.>", false);
    maker_fact(m, 1, "order.paid", STATUS_PENDING);
    maker_seal(m);
    maker_group(m, "billing", "order.>", false); /* said again with a checkpoint */
    maker_seal(m);
    expect(m, &any, "1P ");
    maker_group(m, "billing", "order.>", true);
    maker_seal(m);
    expect(m, &any, "1S ");
}

static bool is_unconsumed(void *user, const struct ledger_row *row)
{
    *(int *)user = row->unconsumed;
    return true;
}

static void a_fact_nobody_takes_is_unconsumed(void **state)
{
    struct maker *m = *state;
    int got = -1;

    maker_group(m, "billing", "order.>", false);
    maker_fact(m, 1, "other.thing", STATUS_PENDING);
    struct position p = maker_fact(m, 2, "order.paid", STATUS_PENDING);
    maker_ack(m, "billing", p, 1, CLASS_none);
    maker_fact(m, 3, "stripe.unverified", STATUS_FAILED);
    maker_seal(m);
    assert_true(ledger_find(maker_ledger(m), maker_id(1), is_unconsumed, &got));
    assert_int_equal(got, 1);
    assert_true(ledger_find(maker_ledger(m), maker_id(2), is_unconsumed, &got));
    assert_int_equal(got, 0);
    expect(m, &any, "1S 2S 3F ");
}

static void services_are_named_as_of_then(void **state)
{
    struct maker *m = *state;
    struct ledger_filter filter = any;

    maker_integration(m, "pay", "Old");
    maker_request(m, 1, "a.b.requested", "pay", NULL);
    maker_seal(m);
    maker_integration(m, "pay", "New");
    maker_request(m, 2, "a.b.requested", "pay", NULL);
    maker_integration(m, "plain", NULL);
    maker_request(m, 3, "a.b.requested", "plain", NULL);
    maker_seal(m);
    filter.service = "Old";
    expect(m, &filter, "1P ");
    filter.service = "New";
    expect(m, &filter, "2P ");
    filter.service = "plain"; /* no service given: its name */
    expect(m, &filter, "3P ");
}

static bool count_row(void *user, const struct ledger_row *row)
{
    (void)row;
    ++*(int *)user;
    return true;
}

static void damaged_block_hides_its_own_rows_only(void **state)
{
    struct maker *m = *state;

    maker_request(m, 1, "a.b.requested", NULL, NULL);
    maker_seal(m);
    maker_request(m, 2, "a.b.requested", NULL, NULL);
    maker_seal(m);
    uint64_t second = ledger_end(maker_ledger(m));
    maker_request(m, 3, "a.b.requested", NULL, NULL);
    maker_seal(m);
    maker_harm(m, HARM_FLIPPED, second);
    expect(m, &any, "1P 3P ");
}

/* --- one event --- */

static bool take_json(void *user, const struct ledger_row *row)
{
    struct json **both = user;

    js_free(both[0]);
    js_free(both[1]);
    both[0] = ledger_row_json(row);
    both[1] = ledger_outcome_json(row);
    return true;
}

static void json_of_a_failed_request_says_everything(void **state)
{
    struct json *both[2] = {0};
    static const char *const names[] = {
        "id",  "type",  "kind",        "status",    "service", "timestamp", "time",
        "key", "cause", "error_class", "error_msg", "attempt", "cost",      "data"};

    tell_story(*state);
    assert_true(ledger_find(maker_ledger(*state), maker_id(2), take_json, both));
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        assert_non_null(js_get(both[0], names[i]));
    assert_string_equal(js_text(both[0], "id", ""), maker_id(2));
    assert_string_equal(js_text(both[0], "kind", ""), "request");
    assert_string_equal(js_text(both[0], "status", ""), "Failed");
    assert_string_equal(js_text(both[0], "service", ""), "Stripe");
    assert_string_equal(js_text(both[0], "integration", ""), "stripe");
    assert_string_equal(js_text(both[0], "key", ""), "order-2");
    assert_string_equal(js_text(both[0], "error_class", ""), "permanent");
    assert_string_equal(js_text(both[0], "error_msg", ""), "card declined");
    assert_true(js_is_null(js_get(both[0], "cause")));
    assert_int_equal(js_int(both[0], "attempt", 0), 2);
    assert_int_equal(js_int(both[0], "cost.micros", 0), 2900);
    assert_string_equal(js_text(both[0], "cost.currency", ""), "USD");
    assert_int_equal(js_int(both[0], "data.amount", 0), 5);
    assert_string_equal(js_text(both[1], "status", ""), "Failed");
    assert_string_equal(js_text(both[1], "type", ""), "payment.charge.failed");
    assert_string_equal(js_text(both[1], "cause", ""), maker_id(2));
    assert_string_equal(js_text(both[1], "data", ""), "ok");
    js_free(both[0]);
    js_free(both[1]);
}

static void pending_request_has_no_outcome_but_its_attempts(void **state)
{
    struct json *both[2] = {0};
    struct maker *m = *state;

    struct position p = maker_request(m, 1, "a.b.requested", "stripe", NULL);
    maker_seal(m);
    maker_retry(m, "stripe", p, 1, "503");
    maker_seal(m);
    maker_retry(m, "stripe", p, 2, "503 again");
    maker_seal(m);
    assert_true(ledger_find(maker_ledger(m), maker_id(1), take_json, both));
    assert_null(both[1]);
    assert_string_equal(js_text(both[0], "status", ""), "Pending");
    assert_true(js_is_null(js_get(both[0], "error_msg")));
    assert_int_equal(js_int(both[0], "attempt", 0), 2);
    js_free(both[0]);
}

static void find_knows_outcomes_and_foreign_ids_and_nothing_else(void **state)
{
    struct maker *m = *state;
    struct json *both[2] = {0};
    struct buf attrs = BUF_NULL;
    uint8_t id[16];
    int n = 0;

    tell_story(m);
    id_foreign("evt_123", id);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ID, "evt_123");
    attrs_text(&attrs, ATTR_SERVICE, "Elsewhere");
    maker_record(m, &(struct record_parts){.kind = RECORD_FACT,
                                           .type = "x.y",
                                           .id = id,
                                           .flags = RECORD_FOREIGN_ID,
                                           .attrs = attrs.bytes,
                                           .attr_len = attrs.len,
                                           .data = "\x00\xff",
                                           .data_len = 2});
    maker_seal(m);
    assert_true(ledger_find(maker_ledger(m), "evt_123", take_json, both));
    assert_string_equal(js_text(both[0], "id", ""), "evt_123");
    assert_string_equal(js_text(both[0], "service", ""), "Elsewhere");
    assert_string_equal(js_text(both[0], "data_base64", ""), "AP8=");
    assert_null(js_get(both[0], "data"));
    assert_true(ledger_find(maker_ledger(m), maker_id(12), take_json, both));
    assert_string_equal(js_text(both[0], "kind", ""), "outcome");
    assert_string_equal(js_text(both[0], "cause", ""), maker_id(2));
    assert_string_equal(js_text(both[0], "service", ""), "Stripe");
    assert_false(ledger_find(maker_ledger(m), "evt_124", count_row, &n));
    assert_false(ledger_find(maker_ledger(m), maker_id(99), count_row, &n));
    assert_int_equal(n, 0);
    js_free(both[0]);
    js_free(both[1]);
    buf_fini(&attrs);
}

static void views_of_another_log_say_nothing(void **state)
{
    struct maker *m = maker_new(true);
    struct ledger_filter filter = any;
    int n = 0;

    maker_stop_views(m);
    tell_story(m);
    maker_foreign_views(m);
    assert_true(ledger_find(maker_ledger(m), maker_id(2), count_row, &n));
    filter.status = 2;
    expect(m, &filter, "2F ");
    filter.status = -1;
    filter.service = "Stripe";
    expect(m, &filter, "1S 2F 3P ");
    maker_free(m);
    (void)state;
}

/* --- following --- */

static void follow_tells_each_change_once(void **state)
{
    struct maker *m = *state;
    struct buf got = BUF_NULL;
    uint64_t block = ledger_end(maker_ledger(m));

    struct position p = maker_request(m, 1, "a.b.requested", NULL, NULL);
    maker_seal(m);
    assert_int_equal(ledger_follow(maker_ledger(m), &any, &block, tell_short, &got), 1);
    maker_outcome(m, 11, p, 1, CLASS_none, NULL);
    maker_fact(m, 2, "x.y", STATUS_PENDING);
    maker_seal(m);
    struct position q = maker_request(m, 3, "a.b.requested", NULL, NULL);
    maker_seal(m);
    maker_outcome(m, 13, q, 3, CLASS_permanent, "no");
    maker_seal(m);
    assert_int_equal(ledger_follow(maker_ledger(m), &any, &block, tell_short, &got), 3);
    assert_int_equal(ledger_follow(maker_ledger(m), &any, &block, tell_short, &got), 0);
    maker_outcome(m, 23, q, 3, CLASS_none, NULL); /* late: nothing changed */
    maker_seal(m);
    assert_int_equal(ledger_follow(maker_ledger(m), &any, &block, tell_short, &got), 0);
    assert_string_equal(buf_str(&got), "1P 1S 2S 3F ");
    buf_fini(&got);
}

/* --- a log like a real one: every way of asking agrees with the simplest --- */

static void every_way_of_asking_agrees(void **state)
{
    struct maker *m = *state;
    struct position p[200];
    struct buf want = BUF_NULL, want_failed = BUF_NULL;
    unsigned random = 12345;
    char status[200];

    for (int i = 0; i < 200; i++) {
        p[i] = maker_request(m, (uint8_t)(i + 1), "a.b.requested", NULL, NULL);
        status[i] = 'P';
        random = random * 1103515245 + 12345;
        for (unsigned k = 0; k < (random >> 16) % 3 && i > 10; k++) {
            unsigned j = (random >> 20) % (unsigned)i;
            bool fails = random >> 30 & 1;
            maker_outcome(m, 0, p[j], (uint8_t)(j + 1),
                          fails ? CLASS_permanent : CLASS_none, NULL);
            if (status[j] == 'P')
                status[j] = fails ? 'F' : 'S';
            random = random * 1103515245 + 12345;
        }
        if (random >> 17 & 1)
            maker_seal(m);
    }
    maker_seal(m);
    for (int i = 0; i < 200; i++) {
        buf_format(&want, "%d%c ", i + 1, status[i]);
        if (status[i] == 'F')
            buf_format(&want_failed, "%d%c ", i + 1, status[i]);
    }
    struct ledger_filter filter = any;
    filter.limit = 1000;
    expect(m, &filter, buf_str(&want));
    filter.status = 2;
    expect(m, &filter, buf_str(&want_failed));
    for (filter.limit = 1; filter.limit < 20; filter.limit++) {
        struct buf newest = BUF_NULL;
        const char *at = buf_str(&want_failed) + want_failed.len;
        for (size_t i = 0; i < filter.limit && at > buf_str(&want_failed); i++)
            for (at--; at > buf_str(&want_failed) && at[-1] != ' ';)
                at--;
        buf_text(&newest, at);
        expect(m, &filter, buf_str(&newest));
        buf_fini(&newest);
    }
    buf_fini(&want);
    buf_fini(&want_failed);
}

#define claim(name)                                                                      \
    cmocka_unit_test_setup_teardown(name, without_views, teardown),                      \
        cmocka_unit_test_setup_teardown(name, with_views, teardown),                     \
        cmocka_unit_test_setup_teardown(name, with_lagging_views, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(empty_log_has_no_rows),
        claim(a_request_has_its_outcomes_status),
        claim(filters_choose_rows),
        claim(limit_takes_the_newest_and_the_cursor_goes_on),
        claim(oldest_first_goes_up_and_on_when_the_log_grows),
        claim(a_cursor_that_is_none_is_an_error),
        claim(since_and_until_are_times_of_commit),
        claim(records_are_shown_as_written),
        claim(the_first_outcome_wins),
        claim(newest_failures_are_those_of_the_newest_requests),
        claim(a_fact_is_pending_until_every_group_is_done),
        claim(a_removed_group_holds_nothing_back),
        claim(a_fact_nobody_takes_is_unconsumed),
        claim(services_are_named_as_of_then),
        claim(damaged_block_hides_its_own_rows_only),
        claim(json_of_a_failed_request_says_everything),
        claim(pending_request_has_no_outcome_but_its_attempts),
        claim(find_knows_outcomes_and_foreign_ids_and_nothing_else),
        cmocka_unit_test(views_of_another_log_say_nothing),
        claim(follow_tells_each_change_once),
        claim(every_way_of_asking_agrees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
