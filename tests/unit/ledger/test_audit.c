/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "proto/attrs.h"
#include "proto/control.h"
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

static int teardown(void **state)
{
    maker_free(*state);
    return 0;
}

static void note(void *user, const char *finding)
{
    buf_format(user, "%s\n", finding);
}

static struct ledger_audit audit(struct maker *m)
{
    struct ledger_audit a;

    assert_int_equal(ledger_audit(maker_ledger(m), &a, NULL, NULL), 0);
    return a;
}

/* Verification finds exactly what the audit finds, and says so in these words. */
static void finds(struct maker *m, long n, const char *words)
{
    struct buf said = BUF_NULL;
    struct ledger_head head;

    assert_int_equal(ledger_verify(maker_ledger(m), NULL, &head, note, &said), n);
    if (words && !strstr(buf_str(&said), words))
        fail_msg("expected \"%s\" in:\n%s", words, buf_str(&said));
    buf_fini(&said);
}

/* Blocks 1 to 5: requests 1..5, one fact; 1 succeeded, 2 failed, 3 late outcome too, 4
 * and 5 pending. */
static void tell_story(struct maker *m)
{
    struct position p[6];

    for (int i = 1; i <= 5; i++)
        p[i] = maker_request(m, (uint8_t)i, "a.b.requested", "stripe", NULL);
    maker_fact(m, 6, "x.y", STATUS_PENDING);
    maker_seal(m);
    maker_outcome(m, 11, p[1], 1, CLASS_none, NULL);
    maker_seal(m);
    maker_outcome(m, 12, p[2], 2, CLASS_permanent, "no");
    maker_outcome(m, 13, p[3], 3, CLASS_none, NULL);
    maker_seal(m);
    maker_fact(m, 7, "stripe.unverified", STATUS_FAILED);
    maker_seal(m);
    maker_retry(m, "stripe", p[4], 1, "503");
    maker_seal(m);
}

static bool count_row(void *user, const struct ledger_row *row)
{
    (void)row;
    ++*(unsigned *)user;
    return true;
}

static void a_whole_log_has_nothing_unaccounted(void **state)
{
    unsigned told = 0;
    struct ledger_audit a;

    tell_story(*state);
    assert_int_equal(ledger_audit(maker_ledger(*state), &a, count_row, &told), 0);
    assert_int_equal(a.requests, 5);
    assert_int_equal(a.facts, 2);
    assert_int_equal(a.accepted, 7);
    assert_int_equal(a.success, 3);
    assert_int_equal(a.failed, 2);
    assert_int_equal(a.pending, 2);
    assert_int_equal(a.outcomes, 3);
    assert_int_equal(a.duplicates, 0);
    assert_int_equal(a.unaccounted, 0);
    assert_int_equal(told, 2);
    finds(*state, 0, NULL);
}

static void an_empty_log_has_nothing_unaccounted(void **state)
{
    struct ledger_audit a = audit(*state);

    assert_int_equal(a.accepted + a.unaccounted, 0);
    finds(*state, 0, NULL);
}

static void a_late_outcome_is_a_duplicate_and_not_unaccounted(void **state)
{
    struct maker *m = *state;

    tell_story(m);
    maker_outcome(m, 22, (struct position){1, 1}, 2, CLASS_none, NULL);
    maker_seal(m);
    struct ledger_audit a = audit(m);
    assert_int_equal(a.duplicates, 1);
    assert_int_equal(a.outcomes, 4);
    assert_int_equal(a.failed, 2); /* the first one won */
    assert_int_equal(a.unaccounted, 0);
}

static bool write_owner(void *user, const struct ledger_row *row)
{
    buf_format(user, "%u:%s ", row->id[0], row->owner ? row->owner : "?");
    return true;
}

static void each_delivery_to_a_group_is_delivered_given_up_or_waiting(void **state)
{
    struct maker *m = *state;
    struct buf owners = BUF_NULL;
    struct ledger_audit a;

    maker_integration(m, "stripe", "Stripe");
    maker_group(m, "billing", "payment.>", false);
    maker_group(m, "mail", "payment.*.succeeded", false);
    struct position p = maker_request(m, 1, "payment.charge.requested", "stripe", NULL);
    maker_request(m, 2, "payment.charge.requested", "stripe", NULL);
    struct position f = maker_fact(m, 3, "payment.seen", STATUS_PENDING);
    maker_fact(m, 4, "payment.seen", STATUS_PENDING);
    maker_fact(m, 5, "payment.unverified", STATUS_FAILED);
    maker_seal(m);
    struct position o = maker_outcome(m, 11, p, 1, CLASS_none, NULL);
    maker_ack(m, "billing", f, 1, CLASS_poison);
    maker_seal(m);
    maker_ack(m, "mail", o, 1, CLASS_none);
    maker_seal(m);
    assert_int_equal(ledger_audit(maker_ledger(m), &a, write_owner, &owners), 0);
    assert_int_equal(a.unaccounted, 0);
    assert_int_equal(a.accepted, 5);
    assert_int_equal(a.success, 1);
    assert_int_equal(a.failed, 2);
    assert_int_equal(a.pending, 2); /* the outcome is none: its request has ended */
    assert_int_equal(a.deliveries, 5);
    assert_int_equal(a.delivered, 1);
    assert_int_equal(a.given_up, 1);
    assert_int_equal(a.waiting, 3);
    assert_string_equal(buf_str(&owners), "2:stripe 4:billing 5:billing 11:billing ");
    buf_fini(&owners);
}

/* --- planted holes --- */

static void a_removed_outcome_is_found(void **state)
{
    struct maker *m = *state;

    tell_story(m);
    maker_seal_lying(m, 0, 0, +1); /* the header counted one that is not there */
    struct ledger_audit a = audit(m);
    assert_int_equal(a.unaccounted, 1);
    assert_int_equal(a.damaged_blocks, 1);
    finds(m, 1, "block 6: holds 0 outcomes, its running total says 1");
}

static void a_doubled_outcome_is_found(void **state)
{
    struct maker *m = *state;

    tell_story(m);
    maker_outcome(m, 12, (struct position){1, 1}, 2, CLASS_permanent, "no");
    maker_seal_lying(m, 0, 0, -1); /* put in beside what the header counted */
    struct ledger_audit a = audit(m);
    assert_int_equal(a.unaccounted, 1);
    assert_int_equal(a.duplicates, 1);
    finds(m, 1, "holds 1 outcomes, its running total says 0");
}

static void removed_requests_and_facts_are_found(void **state)
{
    struct maker *m = *state;

    tell_story(m);
    maker_seal_lying(m, +2, +1, 0);
    struct ledger_audit a = audit(m);
    assert_int_equal(a.requests, 7);
    assert_int_equal(a.unaccounted, 3);
    finds(m, 2, "holds 0 requests, its running total says 2");
}

static void differences_that_cancel_out_are_found(void **state)
{
    struct maker *m = *state;

    tell_story(m);
    maker_seal_lying(m, +1, 0, 0);
    maker_seal_lying(m, -1, 0, 0);
    assert_int_equal(audit(m).unaccounted, 2);
}

static void a_block_cut_out_is_found_with_all_it_held(void **state)
{
    static const uint64_t held[] = {
        0, 6, 1, 2, 1, 1}; /* block 5 held no event: the hole itself counts */
    struct maker *m = *state;

    tell_story(m);
    maker_fact(m, 8, "x.y", STATUS_PENDING);
    maker_seal(m);
    for (uint64_t n = 1; n <= 5; n++) {
        maker_harm(m, HARM_MISSING, n);
        struct ledger_audit a = audit(m);
        assert_int_equal(a.missing_blocks, 1);
        assert_int_equal(a.unaccounted, held[n]);
        finds(m, 1, "missing");
    }
}

static void a_damaged_block_is_found(void **state)
{
    struct maker *m = *state;

    tell_story(m);
    maker_harm(m, HARM_FLIPPED, 3);
    struct ledger_audit a = audit(m);
    assert_int_equal(a.damaged_blocks, 1);
    assert_int_equal(a.unaccounted, 2); /* two outcomes nobody can read */
    assert_int_equal(a.pending, 4);
    finds(m, 1, "block 3: damaged");
}

static void a_replaced_block_is_found_by_the_one_behind_it(void **state)
{
    struct maker *m = *state;

    tell_story(m);
    maker_harm(m, HARM_REPLACED, 3);
    struct ledger_audit a = audit(m);
    assert_int_equal(a.damaged_blocks, 1);
    assert_int_equal(a.unaccounted, 1);
    finds(m, 1, "block 4: names");
}

static void a_log_cut_off_at_its_end_is_found_when_views_saw_more(void **state)
{
    struct maker *m = *state;

    tell_story(m);
    maker_harm(m, HARM_ENDS, 3);
    struct ledger_audit a = audit(m);
    assert_int_equal(a.missing_blocks, 2);
    assert_int_equal(a.unaccounted, 2);
    finds(m, 1, "the log ends with block 3, but block 5 was in it");
}

static void an_outcome_of_nothing_is_found(void **state)
{
    static const struct position wrong[] = {{1, 5}, {1, 77}, {2, 0}, {9, 0}, {0, 0}};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct maker *m = maker_new(false);
        tell_story(m);
        maker_outcome(m, 99, wrong[i], 1, CLASS_none, NULL);
        maker_seal(m);
        struct ledger_audit a = audit(m);
        assert_int_equal(a.strays, 1);
        assert_int_equal(a.unaccounted, 1);
        maker_free(m);
    }
    (void)state;
}

/* --- groups, retention --- */

static void facts_are_pending_success_or_failed_by_their_groups(void **state)
{
    struct maker *m = *state;

    maker_group(m, "billing", "order.>", false);
    maker_group(m, "mail", "order.paid", false);
    struct position first = maker_fact(m, 1, "order.paid", STATUS_PENDING);
    struct position second = maker_fact(m, 2, "order.paid", STATUS_PENDING);
    maker_fact(m, 3, "order.sent", STATUS_PENDING);
    maker_fact(m, 4, "order.sent", STATUS_PENDING);
    maker_fact(m, 5, "else", STATUS_PENDING);
    maker_seal(m);
    maker_ack(m, "billing", first, 3, CLASS_none);
    maker_ack(m, "mail", first, 1, CLASS_none);
    maker_ack(m, "nobody", first, 1, CLASS_none);
    maker_seal(m);
    struct ledger_audit a = audit(m);
    assert_int_equal(a.success, 3); /* 1, 3, 5 */
    assert_int_equal(a.pending, 2); /* 2 waits for mail, 4 for billing */
    maker_ack(m, "mail", second, 1, CLASS_poison);
    maker_ack(m, "mail", second, 1, CLASS_poison);
    maker_seal(m);
    a = audit(m);
    assert_int_equal(a.success, 3);
    assert_int_equal(a.failed, 1);
    assert_int_equal(a.pending, 1);
    assert_int_equal(a.unaccounted, 0);
}

static void what_was_removed_by_age_is_not_missing(void **state)
{
    struct maker *m = *state;

    struct position p = maker_request(m, 1, "a.b.requested", NULL, NULL);
    maker_seal(m);
    maker_segment(m);
    maker_outcome(m, 11, p, 1, CLASS_none, NULL);
    maker_request(m, 2, "a.b.requested", NULL, NULL);
    maker_seal(m);
    maker_trim(m, 2);
    struct ledger_audit a = audit(m);
    assert_int_equal(a.first_block, 2);
    assert_int_equal(a.accepted, 1);
    assert_int_equal(a.pending, 1);
    assert_int_equal(a.outcomes, 1);
    assert_int_equal(a.unaccounted, 0);
    finds(m, 0, NULL);
}

/* Audit and query count the same over a log with everything in it. */
static bool tally(void *user, const struct ledger_row *row)
{
    ((uint64_t *)user)[row->status]++;
    return true;
}

static void audit_and_query_agree(void **state)
{
    struct maker *m = *state;
    struct ledger_filter all = {.status = -1, .error_class = -1, .limit = 100000};
    unsigned random = 99;
    struct position p[300];
    uint64_t by_status[3] = {0};

    maker_group(m, "g", "f.>", false);
    for (int i = 0; i < 300; i++) {
        random = random * 1103515245 + 12345;
        bool is_fact = random >> 16 & 1;
        p[i] = is_fact ? maker_fact(m, (uint8_t)i, random >> 18 & 1 ? "f.x" : "g.x",
                                    STATUS_PENDING)
                       : maker_request(m, (uint8_t)i, "a.b.requested", NULL, NULL);
        struct position at = p[(random >> 20) % (unsigned)(i + 1)];
        maker_ack(m, "g", at, 1 + (random >> 19) % 3,
                  random >> 27 & 1 ? CLASS_poison : CLASS_none);
        if (!is_fact && random >> 28 & 1)
            maker_outcome(m, 0, p[i], (uint8_t)i,
                          random >> 29 & 1 ? CLASS_permanent : CLASS_none, NULL);
        if (random >> 17 & 1)
            maker_seal(m);
    }
    maker_seal(m);
    struct ledger_audit a = audit(m);
    ledger_query(maker_ledger(m), &all, tally, by_status, NULL);
    assert_int_equal(a.accepted, 300);
    assert_int_equal(a.unaccounted, 0);
    assert_int_equal(a.pending, by_status[STATUS_PENDING]);
    assert_int_equal(a.success, by_status[STATUS_SUCCESS]);
    assert_int_equal(a.failed, by_status[STATUS_FAILED]);
    assert_true(a.pending > 20 && a.failed > 20 && a.success > 20);
}

/* --- trace --- */

static void trace_tells_the_whole_story(void **state)
{
    struct maker *m = *state;
    uint8_t id[16], cause[16];

    maker_integration(m, "stripe", "Stripe");
    struct position p = maker_request(m, 1, "a.b.requested", "stripe", NULL);
    maker_seal(m);
    maker_retry(m, "stripe", p, 1, "503");
    maker_seal(m);
    maker_outcome(m, 11, p, 1, CLASS_none, NULL);
    maker_seal(m);
    maker_outcome(m, 21, p, 1, CLASS_permanent, "too late");
    memset(id, 31, 16);
    memset(cause, 11, 16);
    maker_record(m,
                 &(struct record_parts){
                     .kind = RECORD_FACT, .type = "shop.paid", .id = id, .cause = cause});
    maker_seal(m);
    for (int by = 1; by <= 11; by += 10) { /* by the request's id and by its outcome's */
        struct json *t = ledger_trace(maker_ledger(m), maker_id((uint8_t)by));
        assert_string_equal(js_text(t, "id", ""), maker_id(1));
        assert_string_equal(js_text(t, "status", ""), "Success");
        assert_int_equal(js_count(js_get(t, "attempts")), 1);
        assert_string_equal(js_text(t, "attempts.0.error_msg", ""), "503");
        assert_string_equal(js_text(t, "attempts.0.group", ""), "stripe");
        assert_string_equal(js_text(t, "outcome.id", ""), maker_id(11));
        assert_int_equal(js_count(js_get(t, "late")), 1);
        assert_string_equal(js_text(t, "late.0.error_msg", ""), "too late");
        assert_int_equal(js_count(js_get(t, "followed")), 1);
        assert_string_equal(js_text(t, "followed.0.type", ""), "shop.paid");
        js_free(t);
    }
    assert_null(ledger_trace(maker_ledger(m), maker_id(77)));
}

/* What may not be repeated: where attempts began, and which one may have had its effect.
 */
static void trace_tells_of_doubt(void **state)
{
    struct maker *m = *state;

    maker_integration(m, "stripe", "Stripe");
    struct position p = maker_request(m, 1, "a.b.requested", "stripe", NULL);
    maker_seal(m);
    struct control_start start = {
        .block = p.block, .index = p.index, .group = integration_hash("stripe")};
    struct control_retry retry = {.block = p.block,
                                  .index = p.index,
                                  .group = integration_hash("stripe"),
                                  .attempts = 1,
                                  .deaths = 1};
    struct record_parts parts = {
        .kind = RECORD_START, .data = &start, .data_len = sizeof(start)};
    maker_record(m, &parts);
    parts = (struct record_parts){.kind = RECORD_RETRY,
                                  .flags = RECORD_DOUBT,
                                  .data = &retry,
                                  .data_len = sizeof(retry)};
    maker_record(m, &parts);
    maker_seal(m);
    maker_retry(m, "stripe", p, 2, "not begun");
    maker_seal(m);
    struct json *t = ledger_trace(maker_ledger(m), maker_id(1));
    assert_int_equal(js_count(js_get(t, "starts")), 1);
    assert_string_equal(js_text(t, "starts.0.group", ""), "stripe");
    assert_true(js_bool(t, "attempts.0.in_doubt", false));
    assert_int_equal(js_int(t, "attempts.0.deaths", 0), 1);
    assert_false(js_bool(t, "attempts.1.in_doubt", false));
    js_free(t);
}

/* A request again because of one before, and a fact because of its outcome. */
static struct position because_of(struct maker *m, uint8_t name, uint8_t cause_name,
                                  enum record_kind kind)
{
    uint8_t id[16], cause[16];

    memset(id, name, 16);
    memset(cause, cause_name, 16);
    return maker_record(
        m, &(struct record_parts){
               .kind = kind, .type = "a.b.requested", .id = id, .cause = cause});
}

static void trace_goes_on_with_what_followed_what_followed(void **state)
{
    struct maker *m = *state;
    struct position p = maker_request(m, 1, "a.b.requested", NULL, NULL);
    maker_seal(m);
    maker_outcome(m, 11, p, 1, CLASS_exhausted, "503");
    maker_seal(m);
    p = because_of(m, 2, 1, RECORD_REQUEST);
    maker_seal(m);
    maker_outcome(m, 12, p, 2, CLASS_none, NULL);
    maker_seal(m);
    because_of(m, 3, 12, RECORD_FACT);
    for (uint8_t n = 3; n < 20; n++) /* deeper than anybody reads */
        because_of(m, (uint8_t)(n + 1), n, RECORD_FACT);
    maker_seal(m);
    struct json *t = ledger_trace(maker_ledger(m), maker_id(1));
    assert_string_equal(js_text(t, "followed.0.outcome.status", ""), "Success");
    assert_string_equal(js_text(t, "followed.0.followed.0.kind", ""), "fact");
    const struct json *deep = t;
    unsigned depth = 0;
    for (; js_count(js_get(deep, "followed")); depth++)
        deep = js_get(deep, "followed.0");
    assert_int_equal(depth, 9);
    js_free(t);
}

/* Through an endpoint, or in the run that is its cause. */
static void trace_tells_by_which_way_an_event_came(void **state)
{
    struct maker *m = *state;
    struct buf hook = BUF_NULL, found = BUF_NULL, run = BUF_NULL;
    uint8_t ids[4][16];

    for (size_t i = 0; i < 4; i++)
        memset(ids[i], (int)(i + 2), 16);
    attrs_begin(&hook);
    attrs_text(&hook, ATTR_ENDPOINT, "stripe-eu");
    attrs_bool(&hook, ATTR_WEAK, true);
    attrs_begin(&found);
    attrs_text(&found, ATTR_IDEMPOTENCY_KEY, "evt_7");
    attrs_begin(&run);
    attrs_int(&run, ATTR_KNOWN, 3);
    struct position p = maker_request(m, 1, "a.events.requested", NULL, NULL);
    maker_record(m, &(struct record_parts){.kind = RECORD_REQUEST,
                                           .flags = RECORD_WEBHOOK,
                                           .type = "stripe.paid",
                                           .id = ids[0],
                                           .attrs = hook.bytes,
                                           .attr_len = hook.len});
    maker_seal(m);
    maker_record(
        m, &(struct record_parts){.kind = RECORD_OUTCOME,
                                  .status = STATUS_SUCCESS,
                                  .type = "a.events.succeeded",
                                  .id = ids[1],
                                  .cause = (const uint8_t[16]){1, 1, 1, 1, 1, 1, 1, 1, 1,
                                                               1, 1, 1, 1, 1, 1, 1},
                                  .settles = p,
                                  .attrs = run.bytes,
                                  .attr_len = run.len});
    for (size_t i = 2; i < 4; i++) /* the second one is a redrive of the first */
        maker_record(m,
                     &(struct record_parts){
                         .kind = RECORD_REQUEST,
                         .flags = i == 2 ? RECORD_FOUND : RECORD_FOUND | RECORD_BY_BROKER,
                         .type = "stripe.paid",
                         .id = ids[i],
                         .cause = i == 2 ? (const uint8_t[16]){0} : ids[2],
                         .attrs = i == 2 ? found.bytes : NULL,
                         .attr_len = i == 2 ? found.len : 0});
    maker_seal(m);
    struct json *t = ledger_trace(maker_ledger(m), maker_id(2));
    assert_string_equal(js_text(t, "endpoint", ""), "stripe-eu");
    assert_true(js_bool(t, "weak", false));
    assert_null(js_get(t, "found"));
    js_free(t);
    t = ledger_trace(maker_ledger(m), maker_id(4));
    assert_true(js_bool(t, "found", false));
    assert_string_equal(js_text(t, "event_id", ""), "evt_7");
    assert_null(js_get(t, "endpoint"));
    assert_null(js_get(t, "weak"));
    assert_null(js_get(t, "followed.0.found"));
    js_free(t);
    t = ledger_trace(maker_ledger(m), maker_id(1));
    assert_int_equal(js_int(t, "outcome.known", 0), 3);
    js_free(t);
    buf_fini(&hook);
    buf_fini(&found);
    buf_fini(&run);
}

static void trace_of_a_fact_names_the_groups_that_settled_it(void **state)
{
    struct maker *m = *state;

    maker_group(m, "billing", ">", false);
    struct position p = maker_fact(m, 1, "x.y", STATUS_PENDING);
    maker_seal(m);
    maker_ack(m, "billing", p, 1, CLASS_exhausted);
    maker_seal(m);
    struct json *t = ledger_trace(maker_ledger(m), maker_id(1));
    assert_string_equal(js_text(t, "status", ""), "Failed");
    assert_string_equal(js_text(t, "settled_by.0.group", ""), "billing");
    assert_string_equal(js_text(t, "settled_by.0.status", ""), "Failed");
    assert_string_equal(js_text(t, "settled_by.0.error_class", ""), "exhausted");
    assert_true(js_is_null(js_get(t, "outcome")));
    js_free(t);
}

#define claim(name)                                                                      \
    cmocka_unit_test_setup_teardown(name, without_views, teardown),                      \
        cmocka_unit_test_setup_teardown(name, with_views, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(a_whole_log_has_nothing_unaccounted),
        claim(an_empty_log_has_nothing_unaccounted),
        claim(a_late_outcome_is_a_duplicate_and_not_unaccounted),
        claim(each_delivery_to_a_group_is_delivered_given_up_or_waiting),
        claim(a_removed_outcome_is_found),
        claim(a_doubled_outcome_is_found),
        claim(removed_requests_and_facts_are_found),
        claim(differences_that_cancel_out_are_found),
        claim(a_block_cut_out_is_found_with_all_it_held),
        claim(a_damaged_block_is_found),
        claim(a_replaced_block_is_found_by_the_one_behind_it),
        cmocka_unit_test_setup_teardown(
            a_log_cut_off_at_its_end_is_found_when_views_saw_more, with_views, teardown),
        cmocka_unit_test(an_outcome_of_nothing_is_found),
        claim(facts_are_pending_success_or_failed_by_their_groups),
        claim(what_was_removed_by_age_is_not_missing),
        claim(audit_and_query_agree),
        claim(trace_tells_the_whole_story),
        claim(trace_tells_of_doubt),
        claim(trace_tells_by_which_way_an_event_came),
        claim(trace_goes_on_with_what_followed_what_followed),
        claim(trace_of_a_fact_names_the_groups_that_settled_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
