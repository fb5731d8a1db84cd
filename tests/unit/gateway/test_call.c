/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Calls: what is published, and the outcome as the answer, whichever way it is learnt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/call.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "proto/control.h"
#include "tests/unit/gateway/box.h"

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

/* Begin a call and wait until it is committed. */
static int call(struct box *box, const char *target, const char *headers,
                const char *body)
{
    int fd = ask(box, "POST", target, headers, body, strlen(body));
    box->peer.is_silent = true;
    for (int i = 0; i < 200 && !box->peer.due; i++)
        loop_turn(box->gateway.loop, 5);
    assert_int_equal(box->peer.due, 1);
    box->peer.is_silent = false;
    answer_bus(box);
    return fd;
}

static void give_outcome(struct box *box, uint64_t ref, enum record_status status,
                         const char *data)
{
    struct buf out = {0}, attrs = {0};
    struct slice slice = {.count = 1, .timestamp_us = 1767323045000000};
    uint8_t id[16] = {9};
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, status == STATUS_FAILED ? "card_declined" : NULL);
    struct record_parts parts = {
        .kind = RECORD_OUTCOME,
        .status = status,
        .error_class = status == STATUS_FAILED ? CLASS_permanent : CLASS_none,
        .flags = RECORD_JSON,
        .type = status == STATUS_FAILED ? "payment.charge.failed"
                                        : "payment.charge.succeeded",
        .id = id,
        .attempt = 1,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = data,
        .data_len = strlen(data),
    };
    assert_true(record_add(&out, &parts) >= 0);
    calls_outcome(box->gateway.calls, ref, 0, &slice,
                  (const struct record *)(const void *)out.bytes);
    buf_fini(&attrs);
    buf_fini(&out);
}

static void call_is_answered_with_its_outcome(void **state)
{
    struct box *box = *state;
    int fd = call(box, "/v1/calls/payment/charge?integration=stripe&key=c7&wait=5s",
                  AUTH "traceparent: " TRACE "\r\ntracestate: a=b\r\n", "{\"amount\":1}");
    const struct record *r = published(box, 0);
    char id[ID_TEXT_SIZE];
    if (!r)
        abort(); /* the compiler does not know that assert_non_null ends the test */
    id_format(r->id, id);
    assert_true(box->peer.waits);
    assert_type(r, "payment.charge.requested");
    assert_int_equal(r->kind, RECORD_REQUEST);
    assert_int_equal(r->integration, integration_hash("stripe"));
    assert_attr(r, ATTR_KEY, "c7");
    assert_attr(r, ATTR_TRACEPARENT, TRACE);
    assert_attr(r, ATTR_TRACESTATE, "a=b");
    assert_data(r, "{\"amount\":1}");
    uint64_t left_us = r->deadline_us - clock_wall_us();
    assert_in_range(left_us, 3000000, 5000000);
    give_outcome(box, box->peer.batch, STATUS_SUCCESS, "{\"charge\":\"ch_1\"}");
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 200);
    assert_string_equal(js_text(answer.body, "id", ""), id);
    assert_string_equal(js_text(answer.body, "status", ""), "Success");
    assert_string_equal(js_text(answer.body, "type", ""), "payment.charge.succeeded");
    assert_string_equal(js_text(answer.body, "data.charge", ""), "ch_1");
}

static void failed_call_is_502_with_class_and_reason(void **state)
{
    struct box *box = *state;
    int fd = call(box, "/v1/calls/payment/charge", AUTH, "");
    assert_data(published(box, 0), "{}");
    give_outcome(box, box->peer.batch, STATUS_FAILED, "{\"x\":1}");
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 502);
    assert_string_equal(js_text(answer.body, "code", ""), "call_failed");
    assert_string_equal(js_text(answer.body, "event_type", ""), "payment.charge.failed");
    assert_string_equal(js_text(answer.body, "class", ""), "permanent");
    assert_string_equal(js_text(answer.body, "error_msg", ""), "card_declined");
    assert_int_equal(js_int(answer.body, "status", 0), 502);
    assert_int_equal(js_int(answer.body, "data.x", 0), 1);
}

static void call_that_still_runs_is_202_with_its_address(void **state)
{
    struct box *box = *state;
    char id[ID_TEXT_SIZE], location[96];
    static const char *const targets[] = {
        "/v1/calls/payment/charge?wait=100ms&deadline=1h",
        "/v1/calls/payment/charge?wait=0&deadline=1h"};
    for (unsigned i = 0; i < 2; i++) {
        int fd = call(box, targets[i], AUTH, "{}");
        _answer_ struct answer answer = hear(box, fd, HEAR_MS);
        id_format(published(box, i)->id, id);
        snprintf(location, sizeof(location), "Location: /v1/events/%s\r\n", id);
        assert_int_equal(answer.status, 202);
        assert_non_null(strstr(buf_str(&answer.text), location));
        assert_string_equal(js_text(answer.body, "status", ""), "Pending");
        assert_true(published(box, i)->deadline_us > clock_wall_us() + 3000000000u);
    }
    assert_false(box->peer.waits);
    give_outcome(box, box->peer.batch, STATUS_SUCCESS, "{}"); /* late: nobody waits */
}

/* The deadline is the wait: what comes of it is known a moment later. */
static void call_whose_deadline_passed_is_told_the_brokers_word_on_it(void **state)
{
    struct box *box = *state;
    int fd = call(box, "/v1/calls/payment/charge?wait=100ms", AUTH, "{}");
    uint64_t from_us = clock_steady_us();
    while (clock_steady_us() < from_us + 200000)
        loop_turn(box->gateway.loop, 5);
    give_outcome(box, box->peer.batch, STATUS_FAILED, "{}");
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 502);
    fd = call(box, "/v1/calls/payment/charge?wait=100ms", AUTH, "{}");
    _answer_ struct answer runs = hear(box, fd, 2000);
    assert_int_equal(runs.status, 202);
}

static void same_key_waits_for_the_first_ones_outcome(void **state)
{
    struct box *box = *state;
    box->peer.verdict = VERDICT_DUPLICATE;
    int fd = call(box, "/v1/calls/payment/charge", AUTH "Idempotency-Key: k1\r\n", "{}");
    assert_int_equal(published(box, 0)->kind, RECORD_IDEMPOTENCY);
    assert_int_equal(box->peer.wait_at.block, 5);
    assert_int_equal(box->peer.wait_at.index, 3);
    give_outcome(box, box->peer.wait_ref, STATUS_SUCCESS, "{}");
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 200);
    assert_string_equal(js_text(answer.body, "id", ""), FIRST_ID);
    box->peer.verdict = VERDICT_CONFLICT;
    fd = call(box, "/v1/calls/payment/refund", AUTH "Idempotency-Key: k1\r\n", "{}");
    _answer_ struct answer other = hear(box, fd, HEAR_MS);
    assert_int_equal(other.status, 409);
    assert_int_not_equal(
        ((const struct control_idempotency *)record_data(published(box, 0)))->body_hash,
        ((const struct control_idempotency *)record_data(published(box, 2)))->body_hash);
}

static void refusals_of_the_broker_reach_the_caller(void **state)
{
    struct box *box = *state;
    static const struct {
        unsigned error;
        const char *detail;
        int status;
    } cases[] = {
        {ERR_deadline_too_short, /* it lay ahead when the call came */
         "its deadline passed before it could be committed; nothing was done", 503},
        {ERR_no_handler, "no connector handles maps.geocode", 404},
        {ERR_ambiguous_integration, "event 0: maps.geocode could go to a, b", 409},
        {ERR_log_full, "full", 507},
        {ERR_overloaded, "busy", 503},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        box->peer.refuse = cases[i].error;
        box->peer.detail = cases[i].detail;
        _answer_ struct answer answer =
            get(box, "POST", "/v1/calls/maps/geocode", AUTH, "{}");
        assert_int_equal(answer.status, cases[i].status);
        const char *wanted = strstr(cases[i].detail, ": ");
        assert_string_equal(js_text(answer.body, "detail", ""),
                            wanted ? wanted + 2 : cases[i].detail);
    }
    _answer_ struct answer ready = get(box, "GET", "/readyz", "", "");
    assert_int_equal(ready.status, 503);
}

static void calls_that_make_no_sense_are_400(void **state)
{
    struct box *box = *state;
    static const char *const targets[] = {"?wait=soon", "?wait=6m", "?deadline=x",
                                          "?deadline=2001-01-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        char target[128];
        snprintf(target, sizeof(target), "/v1/calls/payment/charge%s", targets[i]);
        _answer_ struct answer answer = get(box, "POST", target, AUTH, "{}");
        assert_int_equal(answer.status, 400);
    }
    _answer_ struct answer json =
        get(box, "POST", "/v1/calls/payment/charge", AUTH, "{\"a\":}");
    assert_int_equal(json.status, 400);
    _answer_ struct answer integration =
        get(box, "POST", "/v1/calls/payment/charge?integration=none", AUTH, "{}");
    assert_int_equal(integration.status, 404);
    assert_string_equal(js_text(integration.body, "code", ""), "no_integration");
    assert_int_equal(box->peer.batches, 0);
}

/* --- the log as the other source --- */

/* The request that was published stands in the log. */
static struct position log_request(struct box *box)
{
    const struct record *r = published(box, 0);
    struct position at = maker_record(
        box->maker, &(struct record_parts){.kind = RECORD_REQUEST,
                                           .type = "payment.charge.requested",
                                           .id = r->id});
    maker_seal(box->maker);
    return at;
}

static void log_outcome(struct box *box, struct position request)
{
    static const uint8_t id[16] = {0xaa};
    maker_record(box->maker, &(struct record_parts){.kind = RECORD_OUTCOME,
                                                    .status = STATUS_SUCCESS,
                                                    .type = "payment.charge.succeeded",
                                                    .id = id,
                                                    .cause = published(box, 0)->id,
                                                    .settles = request,
                                                    .attempt = 1,
                                                    .flags = RECORD_JSON,
                                                    .data = "{\"charge\":\"ch_9\"}",
                                                    .data_len = 17});
    maker_seal(box->maker);
}

static void assert_answered_from_the_log(struct box *box, int fd)
{
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 200);
    assert_string_equal(js_text(answer.body, "data.charge", ""), "ch_9");
}

static void outcome_that_came_while_nobody_told_us_is_read_from_the_log(void **state)
{
    struct box *box = *state;
    box_give_log(box);
    int fd = call(box, "/v1/calls/payment/charge?wait=200ms", AUTH, "{}");
    log_outcome(box, log_request(box));
    assert_answered_from_the_log(box, fd); /* when its time is over */
}

static void broker_that_was_started_anew_is_asked_under_another_name(void **state)
{
    struct box *box = *state;
    box_give_log(box);
    box->peer.is_place_lost = true;
    box->peer.is_silent = true;
    int fd = ask(box, "POST", "/v1/calls/payment/charge", AUTH, "{}", 2);
    while (!box->peer.due)
        loop_turn(box->gateway.loop, 5);
    struct position at = log_request(box);
    box->peer.is_silent = false;
    answer_bus(box);
    assert_int_equal(box->peer.wait_at.block, at.block);
    assert_int_equal(box->peer.wait_at.index, at.index);
    assert_true(box->peer.wait_ref != box->peer.batch);
    give_outcome(box, box->peer.batch, STATUS_FAILED, "{}"); /* nobody has this name */
    give_outcome(box, box->peer.wait_ref, STATUS_SUCCESS, "{\"charge\":\"ch_9\"}");
    assert_answered_from_the_log(box, fd);
}

static void
broker_that_was_started_anew_and_has_the_outcome_need_not_be_asked(void **state)
{
    struct box *box = *state;
    box_give_log(box);
    box->peer.is_place_lost = true;
    box->peer.is_silent = true;
    int fd = ask(box, "POST", "/v1/calls/payment/charge", AUTH, "{}", 2);
    while (!box->peer.due)
        loop_turn(box->gateway.loop, 5);
    log_outcome(box, log_request(box));
    box->peer.is_silent = false;
    answer_bus(box);
    assert_int_equal(box->peer.wait_ref, 0);
    assert_answered_from_the_log(box, fd);
}

static void outcome_that_is_there_already_is_read_from_the_log(void **state)
{
    struct box *box = *state;
    box_give_log(box);
    int fd = call(box, "/v1/calls/payment/charge", AUTH, "{}");
    struct position at = log_request(box);
    calls_wait_refused(box->gateway.calls, box->peer.batch); /* not there yet: it waits */
    log_outcome(box, at);
    calls_wait_refused(box->gateway.calls, box->peer.batch + 1); /* of somebody else */
    _answer_ struct answer none = hear(box, dup(fd), 50);
    assert_int_equal(none.status, 0);
    calls_wait_refused(box->gateway.calls, box->peer.batch);
    assert_answered_from_the_log(box, fd);
}

static void joined_again_what_was_settled_meanwhile_is_answered(void **state)
{
    struct box *box = *state;
    box_give_log(box);
    int fd = call(box, "/v1/calls/payment/charge", AUTH, "{}");
    log_outcome(box, log_request(box));
    calls_rejoined(box->gateway.calls);
    assert_answered_from_the_log(box, fd);
}

static void same_key_whose_outcome_is_in_the_log_waits_for_nothing(void **state)
{
    struct box *box = *state;
    static const uint8_t first[16] = {1,    2,  3,  4,  5,  6,  0x77, 8,
                                      0x89, 10, 11, 12, 13, 14, 15,   16};
    box_give_log(box);
    struct position at = maker_record(
        box->maker, &(struct record_parts){.kind = RECORD_REQUEST,
                                           .type = "payment.charge.requested",
                                           .id = first});
    uint8_t id[16] = {7};
    maker_record(box->maker, &(struct record_parts){.kind = RECORD_OUTCOME,
                                                    .status = STATUS_FAILED,
                                                    .error_class = CLASS_deadline,
                                                    .type = "payment.charge.failed",
                                                    .id = id,
                                                    .cause = first,
                                                    .settles = at});
    maker_seal(box->maker);
    box->peer.verdict = VERDICT_DUPLICATE;
    int fd = call(box, "/v1/calls/payment/charge?wait=0", AUTH "Idempotency-Key: k1\r\n",
                  "{}");
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 502);
    assert_string_equal(js_text(answer.body, "class", ""), "deadline");
    assert_string_equal(js_text(answer.body, "id", ""), FIRST_ID);
}

/* --- who waits, and the end --- */

static void client_that_goes_away_while_its_call_waits_harms_nobody(void **state)
{
    struct box *box = *state;
    close(call(box, "/v1/calls/payment/charge", AUTH, "{}"));
    settle(box);
    assert_int_equal(http_server_waiting(box->gateway.server), 1); /* not noticed yet */
    give_outcome(box, box->peer.batch, STATUS_SUCCESS, "{}");
    settle(box);
    assert_int_equal(http_server_waiting(box->gateway.server), 0);
    int fd = call(box, "/v1/calls/payment/charge", AUTH, "{}");
    give_outcome(box, box->peer.batch, STATUS_SUCCESS, "{}");
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 200);
}

static void at_a_stop_who_waits_is_told_where_to_look(void **state)
{
    struct box *box = *state;
    int one = call(box, "/v1/calls/payment/charge", AUTH, "{}"),
        two = call(box, "/v1/calls/payment/charge", AUTH, "{}");
    calls_stop(box->gateway.calls);
    _answer_ struct answer first = hear(box, one, HEAR_MS),
                           second = hear(box, two, HEAR_MS);
    assert_int_equal(first.status, 202);
    assert_int_equal(second.status, 202);
    assert_non_null(strstr(buf_str(&second.text), "Location: /v1/events/"));
}

static void call_whose_server_is_gone_is_forgotten(void **state)
{
    struct box *box = *state;
    int fd = call(box, "/v1/calls/payment/charge", AUTH, "{}");
    http_server_free(box->gateway.server);
    box->gateway.server = NULL;
    give_outcome(box, box->peer.batch, STATUS_SUCCESS, "{}");
    close(fd);
}

static void too_many_that_wait_are_503_and_who_reads_is_not(void **state)
{
    struct box *box = *state;
    box->config.gateway.max_waiting = 1;
    int fd = call(box, "/v1/calls/payment/charge", AUTH, "{}");
    _answer_ struct answer full =
        get(box, "POST", "/v1/calls/payment/charge", AUTH, "{}");
    assert_int_equal(full.status, 503);
    assert_string_equal(js_text(full.body, "code", ""), "overloaded");
    assert_non_null(strstr(buf_str(&full.text), "Retry-After: 1"));
    _answer_ struct answer reads = get(box, "GET", "/v1/integrations", AUTH, "");
    assert_int_equal(reads.status, 200);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_open, box_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(call_is_answered_with_its_outcome),
        TEST(failed_call_is_502_with_class_and_reason),
        TEST(call_that_still_runs_is_202_with_its_address),
        TEST(call_whose_deadline_passed_is_told_the_brokers_word_on_it),
        TEST(same_key_waits_for_the_first_ones_outcome),
        TEST(refusals_of_the_broker_reach_the_caller),
        TEST(calls_that_make_no_sense_are_400),
        TEST(outcome_that_came_while_nobody_told_us_is_read_from_the_log),
        TEST(broker_that_was_started_anew_is_asked_under_another_name),
        TEST(broker_that_was_started_anew_and_has_the_outcome_need_not_be_asked),
        TEST(outcome_that_is_there_already_is_read_from_the_log),
        TEST(joined_again_what_was_settled_meanwhile_is_answered),
        TEST(same_key_whose_outcome_is_in_the_log_waits_for_nothing),
        TEST(client_that_goes_away_while_its_call_waits_harms_nobody),
        TEST(at_a_stop_who_waits_is_told_where_to_look),
        TEST(call_whose_server_is_gone_is_forgotten),
        TEST(too_many_that_wait_are_503_and_who_reads_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
