/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Did it happen?  A connector with lookups, its answers made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/sdk/call.h"
#include "tests/unit/sdk/answer.h"
#include "tests/unit/sdk/delivery.h"

#define HOUR_US UINT64_C(3600000000)

static enum sb_verdict request(const struct sb_event *event, struct sb_request *request,
                               struct sb_outcome *outcome)
{
    (void)outcome;
    sb_call(request, "POST", "/things");
    sb_field(request, "reference", sb_idempotency_key(event));
    return SB_DONE;
}

static enum sb_verdict succeeded(const struct sb_event *event,
                                 const struct sb_answer *answer,
                                 struct sb_outcome *outcome)
{
    (void)event;
    if (!sb_answer_json(answer))
        return sb_unclear(outcome, "not what was expected");
    sb_put_text(sb_result(outcome), "by", "answer");
    return SB_DONE;
}

static enum sb_verdict failed(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome)
{
    (void)event;
    sb_put_text(sb_result(outcome), "by", "failed");
    return sb_default(outcome, "answered %u", sb_status(answer));
}

static enum sb_verdict lookup_request(const struct sb_event *event,
                                      struct sb_request *request,
                                      struct sb_outcome *outcome)
{
    if (sb_has(sb_data(event), "unfindable"))
        return sb_fail(outcome, "there is nothing to find it by");
    sb_call(request, "GET", "/things");
    sb_field(request, "reference", sb_idempotency_key(event));
    return SB_DONE;
}

static enum sb_verdict lookup_answer(const struct sb_event *event,
                                     const struct sb_answer *answer,
                                     struct sb_outcome *outcome)
{
    const char *state = sb_text(sb_answer_json(answer), "state");

    (void)event;
    if (sb_status(answer) == 404)
        return sb_absent(outcome);
    if (sb_status(answer) != 200 || !state)
        return sb_default(outcome, "answered %u", sb_status(answer));
    if (strcmp(state, "failed") == 0)
        return sb_fail(outcome, "it was refused");
    if (strcmp(state, "moving") == 0)
        return sb_retry(outcome, 2000, "it is under way");
    if (strcmp(state, "odd") == 0)
        return sb_unknown(outcome, "two of them");
    sb_put_text(sb_result(outcome), "by", "lookup");
    return SB_DONE;
}

#define LOOKUP .lookup_request = lookup_request, .lookup_answer = lookup_answer
static const struct sb_operation operations[] = {
    {.name = "once",
     SB_BRANCHES(request, succeeded, failed),
     LOOKUP,
     .lookup_after_s = 20},
    {.name = "keyed",
     SB_BRANCHES(request, succeeded, failed),
     LOOKUP,
     .repeat = SB_REPEAT_KEYED,
     .key_lifetime_s = 3600},
    {.name = "blind", SB_BRANCHES(request, succeeded, failed)},
    {.name = NULL},
};
static const struct sb_connector connector = {
    .name = "t", .version = "1", .operations = operations};
static const struct integration integration = {.connector = &connector,
                                               .name = "inst",
                                               .base_url = "https://api.test",
                                               .timeout_us = 5000000};

/* --- help --- */

static const struct http_call cut = {.result = HTTP_NO_ANSWER, .error = "cut"},
                              busy = {.status = 503}, absent = {.status = 404},
                              there = {.status = 200, .body = "{\"state\":\"done\"}"};

static struct http_call_options out(struct call *call)
{
    struct http_call_options o;

    call_http(call, &o);
    return o;
}

static const char *key_of(struct call *call)
{
    struct http_call_options o = out(call);

    for (size_t i = 0; i < o.n_headers; i++)
        if (strcmp(o.headers[i].name, "Idempotency-Key") == 0)
            return o.headers[i].value;
    return NULL;
}

static void expect_asking(struct call *call, uint64_t pause_s)
{
    assert_string_equal(out(call).method, "GET");
    assert_string_equal(out(call).url,
                        "https://api.test/"
                        "things?reference=01890a5d-ac96-774b-bcce-b302099a8057");
    assert_null(key_of(call));
    assert_false(out(call).is_once);
    assert_int_equal(call_pause_us(call), pause_s * 1000000);
}

static void expect_sending(struct call *call)
{
    assert_string_equal(out(call).method, "POST");
    assert_string_equal(out(call).url, "https://api.test/things");
    assert_int_equal(call_pause_us(call), 0);
}

static void expect_end(struct call *call, enum call_result result,
                       enum record_class class, const char *fragment)
{
    assert_int_equal(call_result(call), result);
    assert_int_equal(call_class(call), class);
    if (!strstr(call_message(call), fragment))
        fail_msg("\"%s\" is not in: %s", fragment, call_message(call));
    call_free(call);
}

static struct call *once(unsigned attempt, bool in_doubt, uint64_t deadline_us)
{
    return deliver(&integration, (struct delivery){.type = "t.once.requested",
                                                   .data = "{}",
                                                   .attempt = attempt,
                                                   .in_doubt = in_doubt,
                                                   .deadline_us = deadline_us});
}

/* A call that was sent and got no answer. */
static struct call *unanswered(void)
{
    struct call *call = once(1, false, 0);

    assert_true(call_begin(call, NOW_US));
    expect_sending(call);
    assert_true(call_end(call, &cut, NOW_US));
    return call;
}

/* --- claims --- */

static void sent_and_not_answered_is_looked_up_after_a_pause(void **state)
{
    (void)state;
    struct call *call = unanswered();

    expect_asking(call, 20);
    assert_false(call_end(call, &there, NOW_US));
    assert_string_equal(
        js_text((const struct json *)call_outcome(call)->data, "by", NULL), "lookup");
    expect_end(call, CALL_SUCCESS, CLASS_none, "");
}

static void what_has_not_happened_is_given_back_and_counted(void **state)
{
    (void)state;
    struct call *call = unanswered();

    assert_false(call_end(call, &absent, NOW_US));
    expect_end(call, CALL_RETRY, CLASS_none, "had not happened");
}

static void a_delivery_in_doubt_asks_before_it_sends(void **state)
{
    (void)state;
    struct call *call = once(2, true, 0);

    assert_true(call_begin(call, NOW_US));
    expect_asking(call, 20);
    assert_true(call_end(call, &absent, NOW_US));
    expect_sending(call);
    assert_false(call_end(call, &there, NOW_US));
    assert_string_equal(
        js_text((const struct json *)call_outcome(call)->data, "by", NULL), "answer");
    expect_end(call, CALL_SUCCESS, CLASS_none, "");
}

/* Lookup, call, lookup: never more calls than one. */
static void one_delivery_sends_at_most_once(void **state)
{
    (void)state;
    struct call *call = once(2, true, 0);

    assert_true(call_begin(call, NOW_US));
    assert_true(call_end(call, &absent, NOW_US));
    expect_sending(call);
    assert_true(call_end(call, &cut, NOW_US));
    expect_asking(call, 20);
    assert_false(call_end(call, &absent, NOW_US));
    expect_end(call, CALL_RETRY, CLASS_none, "had not happened");
}

static void a_lookup_that_is_not_answered_is_made_again_and_then_given_up(void **state)
{
    (void)state;
    struct call *call = unanswered();

    assert_true(call_end(call, &cut, NOW_US));
    expect_asking(call, 40);
    assert_true(call_end(call, &busy, NOW_US));
    expect_asking(call, 60); /* doubled again, and cut to the most */
    assert_false(call_end(call, &busy, NOW_US));
    expect_end(call, CALL_FAILED, CLASS_unknown, "did not tell: answered 503");
}

static const struct {
    const char *body;
    unsigned status;
    enum record_class class;
    const char *fragment;
} ends[] = {
    {"{\"state\":\"failed\"}", 200, CLASS_permanent, "it was refused"},
    {"{\"state\":\"odd\"}", 200, CLASS_unknown, "did not tell: two of them"},
    {"<html>", 200, CLASS_unknown, "did not tell: answered 200"},
    {"{}", 401, CLASS_unknown, "did not tell: answered 401"},
};

static void what_a_lookup_says_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct call *call = unanswered();
        const struct http_call answer = {.status = ends[i].status, .body = ends[i].body};
        assert_false(call_end(call, &answer, NOW_US));
        expect_end(call, CALL_FAILED, ends[i].class, ends[i].fragment);
    }
}

static void the_pause_before_asking_again_is_the_services_within_a_minute(void **state)
{
    (void)state;
    static const struct {
        struct http_call answer;
        uint64_t pause_s;
    } cases[] = {
        {{.status = 200, .body = "{\"state\":\"moving\"}"}, 2},
        {{.status = 429, .headers = {{"Retry-After", "7"}}}, 7},
        {{.status = 429, .headers = {{"Retry-After", "700"}}}, 60},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call *call = unanswered();
        assert_true(call_end(call, &cases[i].answer, NOW_US));
        expect_asking(call, cases[i].pause_s);
        call_free(call);
    }
}

static void a_lookup_that_cannot_be_asked_ends_unknown(void **state)
{
    (void)state;
    struct call *call =
        deliver(&integration, (struct delivery){.type = "t.once.requested",
                                                .data = "{\"unfindable\":1}",
                                                .attempt = 2,
                                                .in_doubt = true});

    assert_false(call_begin(call, NOW_US));
    expect_end(call, CALL_FAILED, CLASS_unknown, "nothing to find it by");
}

static void without_a_lookup_it_is_unknown_at_once(void **state)
{
    (void)state;
    struct call *call = deliver(
        &integration, (struct delivery){.type = "t.blind.requested", .data = "{}"});

    assert_true(call_begin(call, NOW_US));
    assert_false(call_end(call, &cut, NOW_US));
    expect_end(call, CALL_FAILED, CLASS_unknown, "no answer could be used");
}

/* What happened, happened: the deadline only keeps it from being sent again. */
static void past_the_deadline_it_is_asked_and_not_sent(void **state)
{
    (void)state;
    struct call *done = once(2, true, NOW_US - 1), *undone = once(2, true, NOW_US - 1);

    assert_true(call_begin(done, NOW_US));
    assert_false(call_end(done, &there, NOW_US));
    expect_end(done, CALL_SUCCESS, CLASS_none, "");
    assert_true(call_begin(undone, NOW_US));
    assert_false(call_end(undone, &absent, NOW_US));
    expect_end(undone, CALL_FAILED, CLASS_deadline, "had not happened");
}

static struct call *keyed(uint64_t age_us)
{
    return deliver(&integration, (struct delivery){.type = "t.keyed.requested",
                                                   .data = "{}",
                                                   .attempt = 2,
                                                   .age_us = age_us});
}

static void a_key_is_not_used_past_its_lifetime(void **state)
{
    (void)state;
    struct call *young = keyed(HOUR_US - 1), *old = keyed(HOUR_US),
                *older = keyed(2 * HOUR_US);
    char *keys[3];

    assert_true(call_begin(young, NOW_US));
    expect_sending(young);
    keys[0] = strdup(key_of(young));
    assert_true(call_begin(old, NOW_US));
    expect_asking(old, 10);
    assert_true(call_end(old, &absent, NOW_US));
    expect_sending(old);
    keys[1] = strdup(key_of(old));
    assert_true(call_begin(older, NOW_US));
    assert_true(call_end(older, &absent, NOW_US));
    keys[2] = strdup(key_of(older));
    assert_string_equal(keys[0], "01890a5d-ac96-774b-bcce-b302099a8057");
    assert_string_not_equal(keys[0], keys[1]);
    assert_string_not_equal(keys[1], keys[2]);
    assert_false(call_end(old, &cut, NOW_US)); /* again, under a key or after a lookup */
    expect_end(old, CALL_RETRY, CLASS_none, "cut");
    call_free(young);
    call_free(older);
    for (int i = 0; i < 3; i++)
        free(keys[i]);
}

static void the_services_wish_not_to_retry_is_looked_up_too(void **state)
{
    (void)state;
    struct call *call = once(1, false, 0);
    const struct http_call unwished = {.status = 500,
                                       .headers = {{"x-should-retry", "false"}}};

    assert_true(call_begin(call, NOW_US));
    assert_true(call_end(call, &unwished, NOW_US));
    expect_asking(call, 20);
    assert_false(call_end(call, &there, NOW_US));
    /* what `failed` had left in the outcome is gone */
    assert_string_equal(
        js_text((const struct json *)call_outcome(call)->data, "by", NULL), "lookup");
    expect_end(call, CALL_SUCCESS, CLASS_none, "");
}

/* Written as a RETRY: does the next delivery carry doubt? */
static bool is_given_back_in_doubt(struct call *call)
{
    struct buf out = BUF_NULL;

    assert_int_equal(call_result(call), CALL_RETRY);
    call_write(call, NOW_US, &out);
    const struct record *r = (const struct record *)out.bytes;
    assert_int_equal(r->kind, RECORD_RETRY);
    bool is_in_doubt = r->flags & RECORD_DOUBT;
    buf_fini(&out);
    call_free(call);
    return is_in_doubt;
}

static struct call *keyed_answered(bool in_doubt, const struct http_call *answer)
{
    struct call *call =
        deliver(&integration, (struct delivery){.type = "t.keyed.requested",
                                                .data = "{}",
                                                .attempt = in_doubt ? 2 : 1,
                                                .in_doubt = in_doubt});

    assert_true(call_begin(call, NOW_US));
    assert_false(call_end(call, answer, NOW_US));
    return call;
}

static void a_retry_says_whether_there_may_be_an_effect(void **state)
{
    (void)state;
    struct call *undone = unanswered();

    assert_false(call_end(undone, &absent, NOW_US));
    assert_false(is_given_back_in_doubt(undone));
    assert_false(is_given_back_in_doubt(keyed_answered(false, &busy)));
    assert_true(is_given_back_in_doubt(keyed_answered(false, &cut)));
    /* what an earlier attempt left is still open */
    assert_true(is_given_back_in_doubt(keyed_answered(true, &busy)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sent_and_not_answered_is_looked_up_after_a_pause),
        cmocka_unit_test(what_has_not_happened_is_given_back_and_counted),
        cmocka_unit_test(a_delivery_in_doubt_asks_before_it_sends),
        cmocka_unit_test(one_delivery_sends_at_most_once),
        cmocka_unit_test(a_lookup_that_is_not_answered_is_made_again_and_then_given_up),
        cmocka_unit_test(what_a_lookup_says_decides),
        cmocka_unit_test(the_pause_before_asking_again_is_the_services_within_a_minute),
        cmocka_unit_test(a_lookup_that_cannot_be_asked_ends_unknown),
        cmocka_unit_test(without_a_lookup_it_is_unknown_at_once),
        cmocka_unit_test(past_the_deadline_it_is_asked_and_not_sent),
        cmocka_unit_test(a_key_is_not_used_past_its_lifetime),
        cmocka_unit_test(a_retry_says_whether_there_may_be_an_effect),
        cmocka_unit_test(the_services_wish_not_to_retry_is_looked_up_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
