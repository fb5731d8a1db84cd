/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One delivery through a small connector of the test's own, with answers made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/sdk/call.h"
#include "proto/attrs.h"
#include "proto/control.h"
#include "tests/unit/sdk/answer.h"
#include "tests/unit/sdk/delivery.h"

#define KEY "test_key_0123456789"

/* --- the connector --- */

static enum sb_verdict request(const struct sb_event *event, struct sb_request *request,
                               struct sb_outcome *outcome)
{
    const char *trick = sb_text(sb_data(event), "trick");

    if (trick && strcmp(trick, "refuse") == 0)
        return sb_fail(outcome, "no\nthanks");
    if (trick && strcmp(trick, "nothing") == 0)
        return SB_DONE;
    sb_call(request, "POST", "/v1/things");
    if (trick && strcmp(trick, "segment") == 0)
        sb_segment(request, "a/../b?c#d");
    if (trick && strcmp(trick, "dots") == 0)
        sb_segment(request, "..");
    if (trick && strcmp(trick, "header") == 0)
        sb_header(request, "X-A", "b\r\nHost: evil");
    if (trick && strcmp(trick, "host") == 0)
        sb_header(request, "host", "evil");
    if (trick && strcmp(trick, "secret") == 0)
        sb_bearer(request, "other_key");
    if (trick && strcmp(trick, "query") == 0)
        sb_secret_query(request, "key", "api_key");
    else
        sb_bearer(request, "api_key");
    sb_field(request, "a", "1 2");
    sb_query(request, "q", "x&y");
    return SB_DONE;
}

static enum sb_verdict succeeded(const struct sb_event *event,
                                 const struct sb_answer *answer,
                                 struct sb_outcome *outcome)
{
    const char *mode = sb_text(sb_answer_json(answer), "mode");

    if (!mode)
        return sb_unclear(outcome, "not what was expected");
    if (strcmp(mode, "unknown") == 0)
        return sb_unknown(outcome, "somebody must look");
    if (strcmp(mode, "forged fact") == 0)
        sb_fact(outcome, "stripe.paid", NULL);
    if (strcmp(mode, "fact") == 0)
        sb_put_text(sb_fact(outcome, "t.found", "k1"), "what", "it");
    sb_put(sb_result(outcome), "echo", sb_answer_json(answer));
    sb_next_cursor(outcome, "c9");
    sb_more(outcome);
    (void)event;
    return SB_DONE;
}

static enum sb_verdict failed(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome)
{
    (void)event;
    if (sb_text(sb_answer_json(answer), "error"))
        return sb_fail(outcome, "refused: %s", sb_text(sb_answer_json(answer), "error"));
    return sb_default(outcome, "answered %u", sb_status(answer));
}

static void price(const struct sb_event *event, struct sb_outcome *outcome)
{
    (void)event;
    sb_cost(outcome, SB_ESTIMATED, "eur", 250000);
}

static enum sb_verdict hook(const struct sb_event *event, struct sb_outcome *outcome)
{
    if (!sb_has(sb_data(event), "id"))
        return sb_fail(outcome, "no id");
    sb_put_text(sb_result(outcome), "id", sb_text(sb_data(event), "id"));
    return SB_DONE;
}

static const struct sb_operation operations[] = {
    {.name = "keyed",
     SB_BRANCHES(request, succeeded, failed),
     .repeat = SB_REPEAT_KEYED,
     .key_lifetime_s = 3600,
     .price = price},
    {.name = "once", SB_BRANCHES(request, succeeded, failed)},
    {.name = "safe", SB_BRANCHES(request, succeeded, failed), .repeat = SB_REPEAT_SAFE},
    {.name = NULL},
};
static const struct sb_webhook webhooks[] = {
    {.event = "Thing.done", .becomes = "t.done", .handle = hook}, {.event = NULL}};
static const struct sb_secret secrets[] = {{"api_key", "", "", false}, {.name = NULL}};
static const char *const publishes[] = {"t.found", NULL};
static const struct sb_connector connector = {.name = "t",
                                              .version = "1",
                                              .operations = operations,
                                              .webhooks = webhooks,
                                              .secrets = secrets,
                                              .publishes = publishes};

static const char *secret(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "api_key") == 0 ? KEY : NULL;
}

static const struct integration integration = {.connector = &connector,
                                               .name = "inst",
                                               .base_url = "https://api.test/",
                                               .secret = secret,
                                               .timeout_us = 5000000};

/* --- help --- */

static struct call *answered(struct delivery d, struct http_call answer)
{
    struct call *call = deliver(&integration, d);

    assert_true(call_begin(call, NOW_US));
    call_end(call, &answer, NOW_US);
    return call;
}

static const char *header(const struct http_call_options *options, const char *name)
{
    for (size_t i = 0; i < options->n_headers; i++)
        if (strcmp(options->headers[i].name, name) == 0)
            return options->headers[i].value;
    return NULL;
}

static void expect_failure(struct delivery d, enum record_class class,
                           const char *fragment)
{
    struct call *call = deliver(&integration, d);

    assert_false(call_begin(call, NOW_US));
    assert_int_equal(call_result(call), CALL_FAILED);
    assert_int_equal(call_class(call), class);
    if (!strstr(call_message(call), fragment))
        fail_msg("\"%s\" is not in: %s", fragment, call_message(call));
    call_free(call);
}

/* --- requests --- */

static void a_request_is_put_together_from_what_was_said(void **state)
{
    (void)state;
    struct call *call = deliver(
        &integration, (struct delivery){.type = "t.keyed.requested", .data = "{}"});
    struct http_call_options o;

    assert_true(call_begin(call, NOW_US));
    call_http(call, &o);
    assert_string_equal(o.method, "POST");
    assert_string_equal(o.url, "https://api.test/v1/things?q=x%26y");
    assert_int_equal(o.body_len, strlen("a=1%202"));
    assert_memory_equal(o.body, "a=1%202", o.body_len);
    assert_string_equal(header(&o, "Authorization"), "Bearer " KEY);
    assert_string_equal(header(&o, "Content-Type"), "application/x-www-form-urlencoded");
    assert_string_equal(header(&o, "Idempotency-Key"),
                        "01890a5d-ac96-774b-bcce-b302099a8057");
    assert_int_equal(o.timeout_us, 5000000);
    assert_false(o.is_once);
    call_free(call);
}

static void
only_keyed_operations_send_a_key_and_only_unrepeatable_ones_a_fresh_connection(
    void **state)
{
    (void)state;
    struct call *once = deliver(
        &integration, (struct delivery){.type = "t.once.requested", .data = "{}"});
    struct http_call_options o;

    assert_true(call_begin(once, NOW_US));
    call_http(once, &o);
    assert_null(header(&o, "Idempotency-Key"));
    assert_true(o.is_once);
    call_free(once);
}

static void foreign_text_stays_inside_its_part_of_the_path(void **state)
{
    (void)state;
    struct call *call =
        deliver(&integration, (struct delivery){.type = "t.safe.requested",
                                                .data = "{\"trick\":\"segment\"}"});
    struct http_call_options o;

    assert_true(call_begin(call, NOW_US));
    call_http(call, &o);
    assert_string_equal(o.url, "https://api.test/v1/things/a%2F..%2Fb%3Fc%23d?q=x%26y");
    call_free(call);
}

static void mistakes_in_a_request_are_failures_that_name_them(void **state)
{
    (void)state;
    static const struct {
        const char *data, *fragment;
    } cases[] = {
        {"{\"trick\":\"refuse\"}", "no thanks"}, /* one line */
        {"{\"trick\":\"nothing\"}", "no request was made"},
        {"{\"trick\":\"dots\"}", "a part of the path would be \"..\""},
        {"{\"trick\":\"header\"}", "characters that are not allowed"},
        {"{\"trick\":\"host\"}", "the header Host is not the connector's to set"},
        {"{\"trick\":\"secret\"}",
         "the secret \"other_key\" of the integration inst is not configured"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_failure(
            (struct delivery){.type = "t.safe.requested", .data = cases[i].data},
            CLASS_permanent, cases[i].fragment);
}

static void what_nobody_declares_fails_and_says_so(void **state)
{
    (void)state;
    static const char *const types[] = {
        "t.other.requested", "t.keyed",        "u.keyed.requested",
        "inst.Thing.undone", "instThing.done", "t.keyed.requested.requested"};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        expect_failure((struct delivery){.type = types[i], .data = "{}"}, CLASS_permanent,
                       types[i]);
    /* a webhook cannot pose as a request */
    expect_failure((struct delivery){.type = "t.keyed.requested",
                                     .data = "{}",
                                     .flags = RECORD_WEBHOOK},
                   CLASS_permanent, "no operation or webhook");
}

static void no_attempt_starts_past_the_deadline(void **state)
{
    (void)state;
    expect_failure((struct delivery){.type = "t.safe.requested",
                                     .data = "{}",
                                     .deadline_us = NOW_US - 1},
                   CLASS_deadline, "deadline");
}

static void doubt_stops_what_must_not_be_sent_twice(void **state)
{
    (void)state;
    const uint64_t hour_us = 3600000000u;

    expect_failure(
        (struct delivery){
            .type = "t.once.requested", .data = "{}", .attempt = 2, .in_doubt = true},
        CLASS_unknown, "must not be sent twice");
    /* a key past its lifetime is never used again */
    expect_failure(
        (struct delivery){
            .type = "t.keyed.requested", .data = "{}", .attempt = 2, .age_us = hour_us},
        CLASS_unknown, "lifetime");
    const struct delivery allowed[] = {
        {.type = "t.keyed.requested",
         .data = "{}",
         .attempt = 2,
         .in_doubt = true,
         .age_us = hour_us - 1},
        {.type = "t.keyed.requested",
         .data = "{}",
         .attempt = 1,
         .age_us = 2 * hour_us}, /* never sent so far */
        {.type = "t.safe.requested",
         .data = "{}",
         .attempt = 9,
         .in_doubt = true,
         .age_us = 9 * hour_us},
        {.type = "t.once.requested",
         .data = "{}",
         .attempt = 2}, /* given back unsent, or refused */
    };
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        struct call *call = deliver(&integration, allowed[i]);
        assert_true(call_begin(call, NOW_US));
        call_free(call);
    }
}

/* A redrive that keeps the key "first", used first `age_us` ago. */
static struct call *redriven(const char *type, uint64_t age_us, uint8_t flags)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_CALL_KEY, "first");
    attrs_int(&attrs, ATTR_CALL_KEY_TIME, (int64_t)(NOW_US - age_us));
    struct call *call = deliver(&integration, (struct delivery){.type = type,
                                                                .data = "{}",
                                                                .flags = flags,
                                                                .attrs = attrs.bytes,
                                                                .attr_len = attrs.len});
    buf_fini(&attrs);
    return call;
}

static void a_redrive_sends_the_key_it_keeps_and_takes_the_doubt_over(void **state)
{
    const uint64_t hour_us = 3600000000u;
    struct http_call_options o;

    (void)state;
    struct call *call = redriven("t.keyed.requested", hour_us - 1, RECORD_BY_BROKER);
    assert_true(call_begin(call, NOW_US));
    call_http(call, &o);
    assert_string_equal(header(&o, "Idempotency-Key"), "first");
    call_free(call);
    call = redriven("t.keyed.requested", hour_us, RECORD_BY_BROKER);
    assert_false(call_begin(call, NOW_US)); /* its lifetime counts from the first use */
    assert_int_equal(call_class(call), CLASS_unknown);
    call_free(call);
    call = redriven("t.once.requested", 1, RECORD_BY_BROKER);
    assert_false(call_begin(call, NOW_US));
    assert_int_equal(call_class(call), CLASS_unknown);
    call_free(call);
    call = redriven("t.keyed.requested", 1, 0); /* not the broker's word: nobody's */
    assert_true(call_begin(call, NOW_US));
    call_http(call, &o);
    assert_string_not_equal(header(&o, "Idempotency-Key"), "first");
    call_free(call);
}

static void foreign_ids_of_two_sources_have_two_keys(void **state)
{
    (void)state;
    char keys[2][64];

    for (int i = 0; i < 2; i++) {
        struct buf attrs = BUF_NULL;
        struct http_call_options o;
        attrs_begin(&attrs);
        attrs_text(&attrs, ATTR_ID, "order-1");
        attrs_text(&attrs, ATTR_SOURCE, i ? "shop-b" : "shop-a");
        struct call *call =
            deliver(&integration, (struct delivery){.type = "t.keyed.requested",
                                                    .data = "{}",
                                                    .flags = RECORD_FOREIGN_ID,
                                                    .attrs = attrs.bytes,
                                                    .attr_len = attrs.len});
        assert_true(call_begin(call, NOW_US));
        call_http(call, &o);
        snprintf(keys[i], sizeof(keys[i]), "%s", header(&o, "Idempotency-Key"));
        assert_string_equal(call_id(call), "order-1");
        call_free(call);
        buf_fini(&attrs);
    }
    assert_string_not_equal(keys[0], keys[1]);
}

/* --- answers --- */

static const struct {
    struct http_call answer;
    enum call_result keyed;
    enum record_class keyed_class;
    enum call_result once;
    enum record_class once_class;
} answers[] = {
    {{.status = 200, .body = "{\"mode\":\"ok\"}"},
     CALL_SUCCESS,
     CLASS_none,
     CALL_SUCCESS,
     CLASS_none},
    {{.status = 201, .body = "{\"mode\":\"ok\"}"},
     CALL_SUCCESS,
     CLASS_none,
     CALL_SUCCESS,
     CLASS_none},
    {{.status = 200, .body = "<html>"},
     CALL_RETRY,
     CLASS_none,
     CALL_FAILED,
     CLASS_unknown},
    {{.status = 200}, CALL_RETRY, CLASS_none, CALL_FAILED, CLASS_unknown},
    {{.status = 200, .body = "{\"mode\":\"unknown\"}"},
     CALL_FAILED,
     CLASS_unknown,
     CALL_FAILED,
     CLASS_unknown},
    {{.status = 301}, CALL_FAILED, CLASS_permanent, CALL_FAILED, CLASS_permanent},
    {{.status = 400, .body = "{\"error\":\"x\"}"},
     CALL_FAILED,
     CLASS_permanent,
     CALL_FAILED,
     CLASS_permanent},
    {{.status = 404}, CALL_FAILED, CLASS_permanent, CALL_FAILED, CLASS_permanent},
    {{.status = 408}, CALL_RETRY, CLASS_none, CALL_RETRY, CLASS_none},
    {{.status = 425}, CALL_RETRY, CLASS_none, CALL_RETRY, CLASS_none},
    {{.status = 429}, CALL_RETRY, CLASS_none, CALL_RETRY, CLASS_none},
    {{.status = 503}, CALL_RETRY, CLASS_none, CALL_RETRY, CLASS_none},
    {{.status = 500}, CALL_RETRY, CLASS_none, CALL_FAILED, CLASS_unknown},
    {{.status = 502}, CALL_RETRY, CLASS_none, CALL_FAILED, CLASS_unknown},
    {{.status = 504}, CALL_RETRY, CLASS_none, CALL_FAILED, CLASS_unknown},
    {{.status = 529}, CALL_RETRY, CLASS_none, CALL_FAILED, CLASS_unknown},
    {{.status = 500, .headers = {{"Stripe-Should-Retry", "false"}}},
     CALL_FAILED,
     CLASS_unknown,
     CALL_FAILED,
     CLASS_unknown},
    {{.status = 400, .headers = {{"stripe-should-retry", "true"}}},
     CALL_RETRY,
     CLASS_none,
     CALL_RETRY,
     CLASS_none},
    {{.status = 429, .headers = {{"x-should-retry", "false"}}},
     CALL_FAILED,
     CLASS_permanent,
     CALL_FAILED,
     CLASS_permanent},
    {{.result = HTTP_NOT_SENT, .error = "refused"},
     CALL_RETRY,
     CLASS_none,
     CALL_RETRY,
     CLASS_none},
    {{.result = HTTP_NO_ANSWER, .error = "cut"},
     CALL_RETRY,
     CLASS_none,
     CALL_FAILED,
     CLASS_unknown},
    {{.result = HTTP_TOO_LARGE, .error = "big"},
     CALL_RETRY,
     CLASS_none,
     CALL_FAILED,
     CLASS_unknown},
    {{.result = HTTP_FORBIDDEN, .error = "no"},
     CALL_FAILED,
     CLASS_permanent,
     CALL_FAILED,
     CLASS_permanent},
};

static void every_kind_of_answer_has_its_result(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct call *keyed =
            answered((struct delivery){.type = "t.keyed.requested", .data = "{}"},
                     answers[i].answer);
        struct call *once =
            answered((struct delivery){.type = "t.once.requested", .data = "{}"},
                     answers[i].answer);
        if (call_result(keyed) != answers[i].keyed ||
            call_class(keyed) != answers[i].keyed_class ||
            call_result(once) != answers[i].once ||
            call_class(once) != answers[i].once_class)
            fail_msg("case %zu: keyed %d/%s, once %d/%s", i, call_result(keyed),
                     class_name(call_class(keyed)), call_result(once),
                     class_name(call_class(once)));
        assert_true(call_result(keyed) == CALL_SUCCESS || *call_message(keyed));
        call_free(keyed);
        call_free(once);
    }
}

static void retry_after_is_read_in_all_its_forms(void **state)
{
    (void)state;
    static const struct {
        const char *after, *after_ms;
        uint64_t us;
    } cases[] = {
        {"2", NULL, 2000000},
        {"0", NULL, 0},
        {NULL, "1500", 1500000},
        {"9", "10", 10000},
        {"86400", NULL, 3600000000},
        {"99999999999999999999", NULL, 3600000000},
        {"Tue, 14 Nov 2023 22:13:30 GMT", NULL, 10000000}, /* NOW_US is 22:13:20 */
        {"Tue, 14 Nov 2023 22:13:00 GMT", NULL, 0},
        {"-1", NULL, 0},
        {"1.5", NULL, 0},
        {"soon", NULL, 0},
        {"", "", 0},
        {NULL, NULL, 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (call_retry_after_us(cases[i].after, cases[i].after_ms, NOW_US) != cases[i].us)
            fail_msg("case %zu", i);
    struct call *call =
        answered((struct delivery){.type = "t.safe.requested", .data = "{}"},
                 (struct http_call){.status = 429, .headers = {{"Retry-After", "7"}}});
    assert_int_equal(call_after_us(call), 7000000);
    call_free(call);
}

/* --- records --- */

static char *attr(const struct record *r, enum attr a)
{
    return attrs_copy_text(record_attrs(r), r->attr_len, a);
}

static void a_success_is_one_record_that_settles_its_request(void **state)
{
    (void)state;
    struct call *call = answered(
        (struct delivery){.type = "t.keyed.requested", .data = "{}", .attempt = 3},
        (struct http_call){.status = 200, .body = "{\"mode\":\"ok\"}"});
    struct buf out = BUF_NULL;
    int64_t number = 0;
    size_t offset;
    const char *why;

    call_write(call, NOW_US, &out);
    assert_int_equal(record_count(out.bytes, out.len, &offset, &why), 1);
    const struct record *r = (const struct record *)out.bytes;
    assert_int_equal(r->kind, RECORD_OUTCOME);
    assert_int_equal(r->status, STATUS_SUCCESS);
    assert_int_equal(r->attempt, 3);
    assert_int_equal(r->cause_block, 7);
    assert_int_equal(r->cause_index, 3);
    assert_memory_equal(r->cause, delivery_id, 16);
    assert_int_equal(r->integration, integration_hash("inst"));
    assert_true(record_type_ok(r));
    assert_int_equal(r->type_len, strlen("t.keyed.succeeded"));
    assert_memory_equal(record_type(r), "t.keyed.succeeded", r->type_len);
    assert_memory_equal(record_data(r), "{\"echo\":{\"mode\":\"ok\"}}", r->data_len);
    assert_true(attrs_find_int(record_attrs(r), r->attr_len, ATTR_COST, &number) &&
                number == 250000);
    char *currency = attr(r, ATTR_CURRENCY), *kind = attr(r, ATTR_COST_KIND),
         *cursor = attr(r, ATTR_CURSOR);
    assert_string_equal(currency, "EUR");
    assert_string_equal(kind, "estimated");
    assert_string_equal(cursor, "c9");
    free(currency), free(kind), free(cursor);
    call_free(call);
    buf_fini(&out);
}

static void a_failure_carries_class_and_message(void **state)
{
    (void)state;
    struct call *call =
        answered((struct delivery){.type = "t.keyed.requested", .data = "{}"},
                 (struct http_call){.status = 400, .body = "{\"error\":\"bad\"}"});
    struct buf out = BUF_NULL;

    call_write(call, NOW_US, &out);
    const struct record *r = (const struct record *)out.bytes;
    assert_int_equal(r->status, STATUS_FAILED);
    assert_int_equal(r->error_class, CLASS_permanent);
    assert_memory_equal(record_type(r), "t.keyed.failed", r->type_len);
    char *message = attr(r, ATTR_ERROR_MSG);
    assert_string_equal(message, "refused: bad");
    free(message);
    call_free(call);
    buf_fini(&out);
}

static void a_retry_gives_the_event_back_with_the_pause_asked_for(void **state)
{
    (void)state;
    struct call *call =
        answered((struct delivery){.type = "t.keyed.requested", .data = "{}"},
                 (struct http_call){.status = 503, .headers = {{"retry-after", "3"}}});
    struct buf out = BUF_NULL;

    call_write(call, NOW_US, &out);
    const struct record *r = (const struct record *)out.bytes;
    assert_int_equal(r->kind, RECORD_RETRY);
    assert_int_equal(r->data_len, sizeof(struct control_retry));
    struct control_retry retry;
    memcpy(&retry, record_data(r), sizeof(retry));
    assert_int_equal(retry.block, 7);
    assert_int_equal(retry.index, 3);
    assert_int_equal(retry.due_us, 3000000);
    assert_int_equal(retry.attempts, 1);
    char *message = attr(r, ATTR_ERROR_MSG);
    assert_string_equal(message, "answered 503");
    free(message);
    call_free(call);
    buf_fini(&out);
}

static void webhooks_become_the_domains_events(void **state)
{
    (void)state;
    struct buf out = BUF_NULL;
    struct call *good = deliver(&integration, (struct delivery){.type = "inst.Thing.done",
                                                                .data = "{\"id\":\"e1\"}",
                                                                .flags = RECORD_WEBHOOK});
    assert_false(call_begin(good, NOW_US));
    call_write(good, NOW_US, &out);
    const struct record *r = (const struct record *)out.bytes;
    assert_int_equal(r->status, STATUS_SUCCESS);
    assert_int_equal(r->type_len, strlen("t.done"));
    assert_memory_equal(record_type(r), "t.done", r->type_len);

    struct call *bad = deliver(&integration, (struct delivery){.type = "inst.Thing.done",
                                                               .data = "{}",
                                                               .flags = RECORD_WEBHOOK});
    assert_false(call_begin(bad, NOW_US));
    buf_clear(&out);
    call_write(bad, NOW_US, &out);
    r = (const struct record *)out.bytes;
    assert_int_equal(r->status, STATUS_FAILED);
    assert_int_equal(r->type_len, strlen("inst.Thing.done.failed"));
    assert_memory_equal(record_type(r), "inst.Thing.done.failed", r->type_len);
    call_free(good);
    call_free(bad);
    buf_fini(&out);
}

static void facts_come_with_their_outcome_and_keep_their_ids(void **state)
{
    (void)state;
    uint8_t ids[2][16];

    for (int i = 0; i < 2; i++) {
        struct call *call =
            answered((struct delivery){.type = "t.safe.requested", .data = "{}"},
                     (struct http_call){.status = 200, .body = "{\"mode\":\"fact\"}"});
        struct buf out = BUF_NULL;
        size_t offset;
        const char *why;
        call_write(call, NOW_US + i, &out);
        assert_int_equal(record_count(out.bytes, out.len, &offset, &why), 2);
        const struct record *r = record_after((const struct record *)out.bytes);
        assert_int_equal(r->kind, RECORD_FACT);
        assert_memory_equal(record_type(r), "t.found", r->type_len);
        assert_memory_equal(r->cause, delivery_id, 16);
        memcpy(ids[i], r->id, 16);
        call_free(call);
        buf_fini(&out);
    }
    assert_memory_equal(ids[0], ids[1], 16);
}

static void a_fact_that_is_not_declared_spoils_the_outcome(void **state)
{
    (void)state;
    const struct http_call answer = {.status = 200, .body = "{\"mode\":\"forged fact\"}"};
    struct call *safe =
        answered((struct delivery){.type = "t.safe.requested", .data = "{}"}, answer);
    struct call *keyed =
        answered((struct delivery){.type = "t.keyed.requested", .data = "{}"}, answer);

    assert_int_equal(call_class(safe), CLASS_permanent);
    assert_int_equal(call_class(keyed), CLASS_unknown); /* the service did its part */
    assert_non_null(strstr(call_message(safe), "stripe.paid"));
    call_free(safe);
    call_free(keyed);
}

static void no_secret_reaches_a_record(void **state)
{
    (void)state;
    static const struct http_call echoes[] = {
        {.status = 400, .body = "{\"error\":\"bad key " KEY " given, " KEY "\"}"},
        {.status = 200, .body = "{\"mode\":\"" KEY "\"}"},
        {.status = 200, .body = "{\"mode\":\"fact\",\"x\":\"" KEY "\"}"},
    };

    for (size_t i = 0; i < 3; i++) {
        struct call *call = answered(
            (struct delivery){.type = "t.safe.requested", .data = "{}"}, echoes[i]);
        struct buf out = BUF_NULL;
        call_write(call, NOW_US, &out);
        assert_null(memmem(out.bytes, out.len, KEY, strlen(KEY)));
        call_free(call);
        buf_fini(&out);
    }
}

#define ODD_KEY     "k/e+y 0123&456"
#define ODD_ESCAPED "k%2Fe%2By%200123%26456"

static const char *odd_secret(void *user, const char *name)
{
    (void)user, (void)name;
    return ODD_KEY;
}

static void a_secret_in_the_query_is_encoded_and_covered_in_both_spellings(void **state)
{
    (void)state;
    struct integration odd = integration;
    odd.secret = odd_secret;
    struct http_call echo = {.status = 400,
                             .body = "{\"error\":\"GET /v1/things?key=" ODD_ESCAPED
                                     " (" ODD_KEY ")\"}"};
    struct call *call = deliver(&odd, (struct delivery){.type = "t.safe.requested",
                                                        .data = "{\"trick\":\"query\"}"});
    struct http_call_options o;
    struct buf out = BUF_NULL;

    assert_true(call_begin(call, NOW_US));
    call_http(call, &o);
    assert_string_equal(o.url, "https://api.test/v1/things?key=" ODD_ESCAPED "&q=x%26y");
    assert_null(header(&o, "Authorization"));
    call_end(call, &echo, NOW_US);
    call_write(call, NOW_US, &out);
    assert_null(memmem(out.bytes, out.len, ODD_KEY, strlen(ODD_KEY)));
    assert_null(memmem(out.bytes, out.len, ODD_ESCAPED, strlen(ODD_ESCAPED)));
    assert_non_null(strstr(call_message(call), "refused: GET /v1/things?key=***"));
    call_free(call);
    buf_fini(&out);
}

static void options_of_another_provider_are_not_in_force(void **state)
{
    (void)state;
    const struct sb_option own[] = {{"region", SB_TEXT, "eu", false, ""}, {.name = NULL}};
    const struct sb_provider providers[] = {{.name = "one", .options = own},
                                            {.name = NULL}};
    struct integration with = integration;
    with.provider = providers;
    struct call *call =
        deliver(&with, (struct delivery){.type = "t.safe.requested", .data = "{}"});
    const struct sb_event event = {.integration = &with};

    assert_string_equal(sb_provider(&event), "one");
    assert_string_equal(sb_option(&event, "region"), "eu");
    assert_null(sb_provider(&(struct sb_event){.integration = &integration}));
    assert_true(call_begin(call, NOW_US)); /* the connector's own operations stay */
    call_free(call);
}

static void data_over_the_limit_is_left_out_but_the_success_stays(void **state)
{
    (void)state;
    char *body = mem_alloc((1 << 20) + 100);
    int n = sprintf(body, "{\"mode\":\"");
    memset(body + n, 'x', 1 << 20);
    strcpy(body + n + (1 << 20), "\"}");
    struct call *call =
        answered((struct delivery){.type = "t.safe.requested", .data = "{}"},
                 (struct http_call){.status = 200, .body = body});
    struct buf out = BUF_NULL;

    call_write(call, NOW_US, &out);
    const struct record *r = (const struct record *)out.bytes;
    assert_int_equal(r->status, STATUS_SUCCESS);
    assert_non_null(memmem(record_data(r), r->data_len, "left_out", 8));
    call_free(call);
    buf_fini(&out);
    free(body);
}

static void a_long_message_is_cut_between_characters(void **state)
{
    (void)state;
    struct sb_outcome outcome = {0};
    char text[2048];

    for (size_t start = 0; start < 4; start++) {
        memset(text, 'a', start);
        for (size_t i = start; i + 3 < sizeof(text); i += 3)
            memcpy(text + i, "\xe2\x82\xac", 4);
        sb_fail(&outcome, "%s", text);
        assert_in_range(strlen(outcome.message), CALL_MESSAGE_MAX - 3, CALL_MESSAGE_MAX);
        struct json *valid = js_from_text(outcome.message, strlen(outcome.message));
        assert_non_null(valid);
        js_free(valid);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_put_together_from_what_was_said),
        cmocka_unit_test(
            only_keyed_operations_send_a_key_and_only_unrepeatable_ones_a_fresh_connection),
        cmocka_unit_test(foreign_text_stays_inside_its_part_of_the_path),
        cmocka_unit_test(mistakes_in_a_request_are_failures_that_name_them),
        cmocka_unit_test(what_nobody_declares_fails_and_says_so),
        cmocka_unit_test(no_attempt_starts_past_the_deadline),
        cmocka_unit_test(doubt_stops_what_must_not_be_sent_twice),
        cmocka_unit_test(a_redrive_sends_the_key_it_keeps_and_takes_the_doubt_over),
        cmocka_unit_test(foreign_ids_of_two_sources_have_two_keys),
        cmocka_unit_test(every_kind_of_answer_has_its_result),
        cmocka_unit_test(retry_after_is_read_in_all_its_forms),
        cmocka_unit_test(a_success_is_one_record_that_settles_its_request),
        cmocka_unit_test(a_failure_carries_class_and_message),
        cmocka_unit_test(a_retry_gives_the_event_back_with_the_pause_asked_for),
        cmocka_unit_test(webhooks_become_the_domains_events),
        cmocka_unit_test(facts_come_with_their_outcome_and_keep_their_ids),
        cmocka_unit_test(a_fact_that_is_not_declared_spoils_the_outcome),
        cmocka_unit_test(no_secret_reaches_a_record),
        cmocka_unit_test(a_secret_in_the_query_is_encoded_and_covered_in_both_spellings),
        cmocka_unit_test(options_of_another_provider_are_not_in_force),
        cmocka_unit_test(data_over_the_limit_is_left_out_but_the_success_stays),
        cmocka_unit_test(a_long_message_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
