/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The payment connector without a network: requests byte for byte, and what becomes of
 * each answer. */
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
#include "lib/sdk/manifest.h"
#include "trial.h"

int payment_main(int argc, char **argv);
#define main payment_main
#include "connectors/payment/payment.c"
#undef main

/* The process around it is not under test. */
int sb_connector_main(const struct sb_connector *connector, int argc, char **argv)
{
    (void)argc, (void)argv;
    return connector == &payment ? 0 : 1;
}

static const char *secret(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "api_key") == 0 ? "sk_test_fake0123456789" : NULL;
}

static char *names[] = {(char[]){"exact_fee"}, (char[]){"fee_basis_points"},
                        (char[]){"fee_fixed"}};
static char *values[] = {(char[]){"false"}, (char[]){"290"}, (char[]){"30"}};
static const struct integration plain = {.connector = &payment,
                                         .provider = providers,
                                         .name = "stripe",
                                         .mode = "test",
                                         .base_url = "https://api.stripe.com",
                                         .secret = secret};
static const struct integration estimated = {.connector = &payment,
                                             .provider = providers,
                                             .name = "stripe",
                                             .mode = "test",
                                             .base_url = "https://api.stripe.com",
                                             .secret = secret,
                                             .option_names = names,
                                             .option_values = values,
                                             .n_options = 3};

static void the_tables_are_right_and_fit_an_integration(void **state)
{
    (void)state;
    struct buf errors = BUF_NULL;

    assert_true(manifest_check(&payment, &errors));
    assert_true(manifest_fits(&plain, &errors));
    assert_true(manifest_fits(&estimated, &errors));
    size_t n = 0;
    while (stripe_webhooks[n].event)
        n++;
    assert_true(n >= 12);
    buf_fini(&errors);
}

/* --- requests --- */

static const struct {
    const char *type, *data, *method, *url, *body;
} sent[] = {
    {"payment.charge.requested",
     "{\"amount\":2000,\"currency\":\"USD\",\"payment_method\":\"pm_card_visa\","
     "\"description\":\"Order & more\","
     "\"metadata\":{\"order id\":\"6735 & \\u00fc\"}}",
     "POST", "https://api.stripe.com/v1/payment_intents",
     "amount=2000&currency=usd&confirm=true&error_on_requires_action=true&automatic_"
     "payment_methods[enabled]=true&"
     "automatic_payment_methods[allow_redirects]=never&payment_method=pm_card_visa&"
     "description=Order%20%26%20more&"
     "metadata[order%20id]=6735%20%26%20%C3%BC&metadata[signalbox_request]=01890a5d-"
     "ac96-774b-bcce-b302099a8057&expand[0]=latest_charge.balance_"
     "transaction"},
    {"payment.charge.requested",
     "{\"amount\":1,\"currency\":\"jpy\",\"customer\":\"cus_1\"}", "POST",
     "https://api.stripe.com/v1/payment_intents",
     "amount=1&currency=jpy&confirm=true&error_on_requires_action=true&automatic_"
     "payment_methods[enabled]=true&"
     "automatic_payment_methods[allow_redirects]=never&customer=cus_1&metadata["
     "signalbox_request]=01890a5d-ac96-774b-bcce-b302099a8057&expand[0]="
     "latest_charge.balance_transaction"},
    {"payment.refund.requested",
     "{\"charge\":\"ch_1\",\"amount\":500,\"reason\":\"duplicate\"}", "POST",
     "https://api.stripe.com/v1/refunds",
     "charge=ch_1&amount=500&reason=duplicate&metadata[signalbox_request]=01890a5d-"
     "ac96-774b-bcce-b302099a8057"},
    {"payment.refund.requested", "{\"payment_intent\":\"pi_1\"}", "POST",
     "https://api.stripe.com/v1/refunds",
     "payment_intent=pi_1&metadata[signalbox_request]=01890a5d-ac96-774b-bcce-"
     "b302099a8057"},
    {"payment.checkout.requested",
     "{\"amount\":500,\"currency\":\"EUR\",\"success_url\":\"https://a.example/ok\","
     "\"cancel_url\":\"https://a.example/no\",\"description\":\"Order 17\","
     "\"reference\":\"17\",\"metadata\":{\"order\":\"17\"}}",
     "POST", "https://api.stripe.com/v1/checkout/sessions",
     "mode=payment&line_items[0][price_data][currency]=eur&line_items[0][price_data]["
     "unit_amount]=500&line_items[0][price_data][product_data][name]=Order%2017&"
     "line_items[0][quantity]=1&success_url=https%3A%2F%2Fa.example%2Fok&cancel_url="
     "https%3A%2F%2Fa.example%2Fno&client_reference_id=17&payment_intent_data["
     "description]=Order%2017&metadata[order]=17&payment_intent_data[metadata][order]"
     "="
     "17&metadata[signalbox_request]=01890a5d-ac96-774b-bcce-b302099a8057"},
    {"payment.checkout.requested",
     "{\"amount\":1,\"currency\":\"jpy\",\"success_url\":\"http://localhost/\","
     "\"cancel_url\":\"http://localhost/\"}",
     "POST", "https://api.stripe.com/v1/checkout/sessions",
     "mode=payment&line_items[0][price_data][currency]=jpy&line_items[0][price_data]["
     "unit_amount]=1&line_items[0][price_data][product_data][name]=Payment&"
     "line_items[0][quantity]=1&success_url=http%3A%2F%2Flocalhost%2F&cancel_url="
     "http%3A%2F%2Flocalhost%2F&metadata[signalbox_request]=01890a5d-ac96-774b-bcce-"
     "b302099a8057"},
    {"payment.events.requested", "{}", "GET",
     "https://api.stripe.com/v1/events?limit=100&created[gte]=1699996400", ""},
    {"payment.events.requested", "{\"cursor\":\"since:1699\"}", "GET",
     "https://api.stripe.com/v1/events?limit=100&created[gte]=1699", ""},
    {"payment.events.requested", "{\"cursor\":\"since:1699/evt_3/evt_9\"}", "GET",
     "https://api.stripe.com/v1/events?limit=100&created[gte]=1699&starting_after="
     "evt_3",
     ""},
    {"payment.events.requested", "{\"due\":\"x\",\"cursor\":\"evt_9\"}", "GET",
     "https://api.stripe.com/v1/events?limit=100&ending_before=evt_9", ""},
};

static void requests_are_these_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
        struct call *call = deliver(
            &plain, (struct delivery){.type = sent[i].type, .data = sent[i].data});
        struct http_call_options o;
        if (!call_begin(call, NOW_US))
            fail_msg("case %zu: %s", i, call_message(call));
        call_http(call, &o);
        assert_string_equal(o.method, sent[i].method);
        assert_string_equal(o.url, sent[i].url);
        assert_int_equal(o.body_len, strlen(sent[i].body));
        if (o.body_len)
            assert_memory_equal(o.body, sent[i].body, o.body_len);
        call_free(call);
    }
}

static void credentials_version_and_key_are_headers(void **state)
{
    (void)state;
    static const char *const expected[][2] = {
        {"Authorization", "Bearer sk_test_fake0123456789"},
        {"Stripe-Version", STRIPE_VERSION},
        {"Content-Type", "application/x-www-form-urlencoded"},
        {"Idempotency-Key", "01890a5d-ac96-774b-bcce-b302099a8057"},
    };
    struct call *call =
        deliver(&plain, (struct delivery){.type = "payment.refund.requested",
                                          .data = "{\"charge\":\"ch_1\"}"});
    struct http_call_options o;

    assert_true(call_begin(call, NOW_US));
    call_http(call, &o);
    assert_int_equal(o.n_headers, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(o.headers[i].name, expected[i][0]);
        assert_string_equal(o.headers[i].value, expected[i][1]);
    }
    call_free(call);
}

#define TEN  "0123456789"
#define HALF TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN
#define LONG HALF HALF "x"
#define CHECKOUT                                                                         \
    "{\"amount\":5,\"currency\":\"eur\",\"success_url\":\"https://a\","                  \
    "\"cancel_url\":\"https://a\""

static const struct {
    const char *type, *data, *fragment;
} bad_inputs[] = {
    {"payment.charge.requested", "not json", "must be a JSON object"},
    {"payment.charge.requested", "[]", "must be a JSON object"},
    {"payment.charge.requested", "{}", "amount must be a whole number above 0"},
    {"payment.charge.requested",
     "{\"amount\":0,\"currency\":\"eur\",\"payment_method\":\"pm\"}", "amount must be"},
    {"payment.charge.requested",
     "{\"amount\":-5,\"currency\":\"eur\",\"payment_method\":\"pm\"}", "amount must be"},
    {"payment.charge.requested",
     "{\"amount\":10.5,\"currency\":\"eur\",\"payment_method\":\"pm\"}",
     "amount must be"},
    {"payment.charge.requested",
     "{\"amount\":\"10\",\"currency\":\"eur\",\"payment_method\":\"pm\"}",
     "amount must be"},
    {"payment.charge.requested", "{\"amount\":10,\"payment_method\":\"pm\"}",
     "currency must be three letters"},
    {"payment.charge.requested",
     "{\"amount\":10,\"currency\":\"euro\",\"payment_method\":\"pm\"}",
     "currency must be"},
    {"payment.charge.requested",
     "{\"amount\":10,\"currency\":\"e1r\",\"payment_method\":\"pm\"}",
     "currency must be"},
    {"payment.charge.requested", "{\"amount\":10,\"currency\":\"eur\"}",
     "payment_method is missing"},
    {"payment.charge.requested",
     "{\"amount\":10,\"currency\":\"eur\",\"payment_method\":7}",
     "payment_method must be a text"},
    {"payment.charge.requested", "{\"amount\":10,\"ammount\":10,\"currency\":\"eur\"}",
     "\"ammount\" is not a member"},
    {"payment.charge.requested",
     "{\"amount\":10,\"currency\":\"eur\",\"customer\":\"c\",\"metadata\":[1]}",
     "metadata must be"},
    {"payment.charge.requested",
     "{\"amount\":10,\"currency\":\"eur\",\"customer\":\"c\",\"metadata\":{\"a\":{}}"
     "}",
     "metadata must be"},
    {"payment.checkout.requested", "{\"currency\":\"eur\"}", "amount must be"},
    {"payment.checkout.requested", "{\"amount\":5}", "currency must be"},
    {"payment.checkout.requested", "{\"amount\":5,\"currency\":\"eur\"}",
     "success_url must be an https:// or http:// address"},
    {"payment.checkout.requested",
     "{\"amount\":5,\"currency\":\"eur\",\"success_url\":\"https://a\"}",
     "cancel_url must be"},
    {"payment.checkout.requested",
     "{\"amount\":5,\"currency\":\"eur\",\"success_url\":\"javascript:x\"}",
     "success_url must be"},
    {"payment.checkout.requested", CHECKOUT ",\"reference\":\"\"}",
     "reference must be a text that is not empty"},
    {"payment.checkout.requested", CHECKOUT ",\"reference\":\"" LONG "\"}",
     "reference must be at most 200 bytes"},
    {"payment.checkout.requested", CHECKOUT ",\"payment_method\":\"pm\"}",
     "\"payment_method\" is not a member"},
    {"payment.refund.requested", "{}", "either charge"},
    {"payment.refund.requested", "{\"charge\":\"ch\",\"payment_intent\":\"pi\"}",
     "either charge"},
    {"payment.refund.requested", "{\"charge\":\"ch\",\"amount\":0}", "amount must be"},
    {"payment.refund.requested", "{\"charge\":\"ch\",\"reason\":\"because\"}",
     "reason must be"},
    {"payment.refund.requested", "{\"charge\":\"\"}",
     "charge must be a text that is not empty"},
};

static void bad_input_fails_before_any_call_and_says_what_is_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_inputs) / sizeof(bad_inputs[0]); i++) {
        struct call *call =
            deliver(&plain, (struct delivery){.type = bad_inputs[i].type,
                                              .data = bad_inputs[i].data});
        assert_false(call_begin(call, NOW_US));
        assert_int_equal(call_class(call), CLASS_permanent);
        if (!strstr(call_message(call), bad_inputs[i].fragment))
            fail_msg("case %zu: %s", i, call_message(call));
        call_free(call);
    }
}

/* --- answers --- */

#define CHARGE                                                                           \
    "{\"amount\":1000,\"currency\":\"eur\",\"payment_method\":\"pm_card_visa\"}"

static struct call *charged(const struct integration *integration,
                            struct http_call answer)
{
    struct call *call =
        deliver(integration,
                (struct delivery){.type = "payment.charge.requested", .data = CHARGE});

    assert_true(call_begin(call, NOW_US));
    if (call_end(call, &answer, NOW_US)) /* looked up, and that does not tell */
        assert_false(call_end(call, &(struct http_call){.status = 403}, NOW_US));
    return call;
}

static void a_charge_succeeds_only_when_the_money_is_taken(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum call_result result;
        enum record_class class;
        const char *fragment;
    } cases[] = {
        {"{\"id\":\"pi_1\",\"status\":\"succeeded\"}", CALL_SUCCESS, CLASS_none, ""},
        {"{\"id\":\"pi_1\",\"status\":\"processing\"}", CALL_FAILED, CLASS_unknown,
         "do not charge again"},
        {"{\"id\":\"pi_1\",\"status\":\"requires_capture\"}", CALL_FAILED, CLASS_unknown,
         "requires_capture"},
        {"{\"id\":\"pi_1\",\"status\":\"requires_action\"}", CALL_FAILED, CLASS_permanent,
         "3-D Secure"},
        {"{\"id\":\"pi_1\",\"status\":\"requires_payment_method\"}", CALL_FAILED,
         CLASS_permanent, "not made"},
        {"{\"id\":\"pi_1\",\"status\":\"canceled\"}", CALL_FAILED, CLASS_permanent,
         "not made"},
        {"{\"object\":\"list\"}", CALL_RETRY, CLASS_none, "not a payment intent"},
        {"<html>hello</html>", CALL_RETRY, CLASS_none, "not a payment intent"},
        {"", CALL_RETRY, CLASS_none, "not a payment intent"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call *call =
            charged(&plain, (struct http_call){.status = 200, .body = cases[i].body});
        if (call_result(call) != cases[i].result || call_class(call) != cases[i].class ||
            !strstr(call_message(call), cases[i].fragment))
            fail_msg("case %zu: %d %s %s", i, call_result(call),
                     class_name(call_class(call)), call_message(call));
        call_free(call);
    }
}

static void a_checkout_succeeds_with_the_page_to_go_to(void **state)
{
    (void)state;
    static const struct {
        const char *body, *url;
    } cases[] = {
        {"{\"id\":\"cs_1\",\"url\":\"https://checkout.stripe.com/c/pay/cs_1\","
         "\"status\":\"open\",\"amount_total\":5,\"currency\":\"eur\",\"expires_at\":17}",
         "https://checkout.stripe.com/c/pay/cs_1"},
        {"{\"id\":\"cs_1\",\"url\":null}", NULL},
        {"{}", NULL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call *call =
            deliver(&plain, (struct delivery){.type = "payment.checkout.requested",
                                              .data = CHECKOUT "}"});
        assert_true(call_begin(call, NOW_US));
        assert_false(call_end(
            call, &(struct http_call){.status = 200, .body = cases[i].body}, NOW_US));
        assert_int_equal(call_result(call), cases[i].url ? CALL_SUCCESS : CALL_RETRY);
        if (cases[i].url) {
            const struct json *data = call_outcome(call)->data;
            assert_string_equal(js_text(data, "url", ""), cases[i].url);
            assert_string_equal(js_text(data, "checkout_session", ""), "cs_1");
            assert_int_equal(js_int(data, "expires_at", 0), 17);
        }
        call_free(call);
    }
}

static void the_outcome_names_what_was_made(void **state)
{
    (void)state;
    struct call *call = charged(
        &plain, (struct http_call){
                    .status = 200,
                    .body = "{\"id\":\"pi_1\",\"status\":\"succeeded\",\"amount\":1000,"
                            "\"currency\":\"eur\",\"livemode\":false,\"latest_charge\":"
                            "{\"id\":\"ch_1\",\"balance_transaction\":{\"id\":\"txn_1\","
                            "\"fee\":59,\"currency\":\"usd\"}}}"});
    const struct sb_outcome *o = call_outcome(call);

    assert_string_equal(js_text(o->data, "payment_intent", ""), "pi_1");
    assert_string_equal(js_text(o->data, "charge", ""), "ch_1");
    assert_int_equal(js_int(o->data, "amount", 0), 1000);
    assert_int_equal(o->cost_kind, SB_ACTUAL);
    assert_string_equal(o->currency, "USD");
    assert_int_equal(o->cost, 590000);
    call_free(call);
}

static void
the_cost_is_estimated_where_stripe_does_not_tell_and_prices_are_configured(void **state)
{
    (void)state;
    static const struct http_call answer = {
        .status = 200,
        .body = "{\"id\":\"pi_1\",\"status\":\"succeeded\",\"latest_charge\":\"ch_1\"}"};
    struct call *call = charged(&estimated, answer), *other = charged(&plain, answer);

    assert_int_equal(call_outcome(call)->cost_kind, SB_ESTIMATED);
    assert_int_equal(call_outcome(call)->cost, (29 + 30) * 10000);
    assert_string_equal(call_outcome(call)->currency, "EUR");
    assert_string_equal(js_text(call_outcome(call)->data, "charge", ""), "ch_1");
    assert_false(call_outcome(other)->has_cost);
    call_free(call);
    call_free(other);
}

static void amounts_know_currencies_without_cents(void **state)
{
    (void)state;
    assert_int_equal(stripe_millionths("eur", 1), 10000);
    assert_int_equal(stripe_millionths("JPY", 1), 1000000);
    assert_int_equal(stripe_millionths("kwd", 1), 1000);
    assert_int_equal(stripe_millionths("eur", INT64_MAX), INT64_MAX);
}

static const struct {
    struct http_call answer;
    enum call_result result;
    enum record_class class;
    const char *fragment;
} stripe_errors[] = {
    {{.status = 402,
      .body = "{\"error\":{\"type\":\"card_error\",\"code\":\"card_declined\","
              "\"decline_code\":"
              "\"insufficient_funds\",\"message\":\"Your card has insufficient "
              "funds.\"}}"},
     CALL_FAILED,
     CLASS_permanent,
     "(card_declined, insufficient_funds): Your card has insufficient funds."},
    {{.status = 402,
      .body = "{\"error\":{\"type\":\"card_error\",\"code\":\"expired_card\","
              "\"message\":\"m\"}}"},
     CALL_FAILED,
     CLASS_permanent,
     "(expired_card): m"},
    {{.status = 400,
      .body = "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"parameter_"
              "invalid_integer\","
              "\"param\":\"amount\",\"message\":\"Invalid integer\"}}"},
     CALL_FAILED,
     CLASS_permanent,
     "(400, parameter_invalid_integer, parameter amount): Invalid integer"},
    {{.status = 404,
      .body = "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"resource_"
              "missing\"}}"},
     CALL_FAILED,
     CLASS_permanent,
     "(404, resource_missing): it gave no reason"},
    {{.status = 400,
      .body = "{\"error\":{\"type\":\"idempotency_error\",\"message\":\"m\"}}"},
     CALL_FAILED,
     CLASS_permanent,
     "idempotency key"},
    {{.status = 401,
      .body = "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Invalid "
              "API Key provided: "
              "sk_test_****6789\"}}"},
     CALL_FAILED,
     CLASS_permanent,
     "check the secret \"api_key\" of the integration stripe (mode test)"},
    {{.status = 403, .body = "{\"error\":{\"type\":\"permission_error\"}}"},
     CALL_FAILED,
     CLASS_permanent,
     "rights of the restricted key"},
    {{.status = 409, .body = "{\"error\":{\"code\":\"idempotency_key_in_use\"}}"},
     CALL_RETRY,
     CLASS_none,
     "idempotency_key_in_use"},
    {{.status = 429,
      .body = "{\"error\":{\"type\":\"invalid_request_error\",\"code\":\"lock_"
              "timeout\"}}"},
     CALL_RETRY,
     CLASS_none,
     "lock_timeout"},
    {{.status = 429}, CALL_RETRY, CLASS_none, "busy"},
    {{.status = 500, .body = "{\"error\":{\"type\":\"api_error\"}}"},
     CALL_RETRY,
     CLASS_none,
     "500, api_error"},
    {{.status = 500, .headers = {{"stripe-should-retry", "false"}}},
     CALL_FAILED,
     CLASS_unknown,
     "500"},
    {{.status = 503, .body = "<html>"}, CALL_RETRY, CLASS_none, "503"},
    {{.status = 302}, CALL_FAILED, CLASS_permanent, "302"},
    {{.result = HTTP_NO_ANSWER, .error = "cut"}, CALL_RETRY, CLASS_none, "cut"},
};

static void every_error_of_stripe_has_its_result(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stripe_errors) / sizeof(stripe_errors[0]); i++) {
        struct call *call = charged(&plain, stripe_errors[i].answer);
        if (call_result(call) != stripe_errors[i].result ||
            call_class(call) != stripe_errors[i].class ||
            !strstr(call_message(call), stripe_errors[i].fragment))
            fail_msg("case %zu: %d %s %s", i, call_result(call),
                     class_name(call_class(call)), call_message(call));
        assert_null(strstr(call_message(call), "sk_test"));
        call_free(call);
    }
}

static void a_refund_that_stripe_gives_up_is_a_failure(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        enum call_result result;
    } cases[] = {
        {"{\"id\":\"re_1\",\"status\":\"succeeded\"}", CALL_SUCCESS},
        {"{\"id\":\"re_1\",\"status\":\"pending\"}", CALL_SUCCESS},
        {"{\"id\":\"re_1\",\"status\":\"failed\",\"failure_reason\":\"lost_or_stolen_"
         "card\"}",
         CALL_FAILED},
        {"{\"id\":\"re_1\",\"status\":\"canceled\"}", CALL_FAILED},
        {"{}", CALL_RETRY},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call *call =
            deliver(&plain, (struct delivery){.type = "payment.refund.requested",
                                              .data = "{\"charge\":\"ch_1\"}"});
        const struct http_call answer = {.status = 200, .body = cases[i].body};
        assert_true(call_begin(call, NOW_US));
        call_end(call, &answer, NOW_US);
        assert_int_equal(call_result(call), cases[i].result);
        call_free(call);
    }
}

/* --- the poll --- */

static char *filed_name[] = {(char[]){"events_filed"}};
static char *filed_all[] = {(char[]){"all"}};
static char *filed_some[] = {(char[]){"some"}};

static struct integration filing(char **what)
{
    struct integration in = plain;

    in.option_names = filed_name;
    in.option_values = what;
    in.n_options = 1;
    return in;
}

static struct call *polled(const struct integration *in, const char *data,
                           const char *body)
{
    struct call *call =
        deliver(in, (struct delivery){.type = "payment.events.requested", .data = data});

    assert_true(call_begin(call, NOW_US));
    call_end(call, &(struct http_call){.status = 200, .body = body}, NOW_US);
    if (!call_outcome(call))
        fail_msg("%s: %s", data, call_message(call));
    return call;
}

static void a_poll_goes_on_where_the_last_one_ended(void **state)
{
    (void)state;
#define PAGE(more)                                                                       \
    "{\"object\":\"list\",\"has_more\":" more ",\"data\":["                              \
    "{\"id\":\"evt_3\",\"type\":\"c\",\"created\":3,\"data\":{\"object\":{\"id\":"       \
    "\"pi_3\"}}},{\"id\":\"evt_2\",\"type\":\"b\",\"created\":2}]}"
#define NOTHING "{\"data\":[],\"has_more\":false}"
    static const struct {
        const char *data, *body, *cursor;
        size_t n;
        bool more;
    } cases[] = {
        /* behind an event, upwards */
        {"{\"cursor\":\"evt_1\"}", PAGE("true"), "evt_3", 2, true},
        {"{\"cursor\":\"evt_1\"}", PAGE("false"), "evt_3", 2, false},
        {"{\"cursor\":\"evt_1\"}", NOTHING, "evt_1", 0, false},
        /* from a time on: the newest page, and back to the time */
        {"{}", PAGE("false"), "evt_3", 2, false},
        {"{}", NOTHING, "since:1699996400", 0, false},
        {"{\"cursor\":\"since:7\"}", NOTHING, "since:7", 0, false},
        {"{\"cursor\":\"since:7\"}", PAGE("true"), "since:7/evt_2/evt_3", 2, true},
        {"{\"cursor\":\"since:7/evt_5/evt_9\"}", PAGE("true"), "since:7/evt_2/evt_9", 2,
         true},
        {"{\"cursor\":\"since:7/evt_5/evt_9\"}", PAGE("false"), "evt_9", 2, false},
        {"{\"cursor\":\"since:7/evt_5/evt_9\"}", NOTHING, "evt_9", 0, false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call *call = polled(&plain, cases[i].data, cases[i].body);
        const struct sb_outcome *o = call_outcome(call);
        assert_int_equal(js_int(o->data, "count", -1), cases[i].n);
        if (o->more != cases[i].more || strcmp(o->cursor, cases[i].cursor) != 0)
            fail_msg("case %zu: %s, more %d", i, o->cursor, o->more);
        if (cases[i].n) {
            assert_string_equal(js_text(o->data, "events.0.id", ""), "evt_2");
            assert_string_equal(js_text(o->data, "events.1.object", ""), "pi_3");
        }
        call_free(call);
    }
}

#define THREE                                                                            \
    "{\"has_more\":false,\"data\":[{\"id\":\"evt_3\",\"type\":\"charge.refunded\"},"     \
    "{\"id\":\"evt_2\",\"type\":\"balance.available\"},"                                 \
    "{\"id\":\"evt_1\",\"type\":\"checkout.session.completed\",\"livemode\":false}]}"

static void what_a_webhook_would_have_brought_is_filed_as_it_would_have_been(void **state)
{
    const struct integration all = filing(filed_all);

    (void)state;
    struct call *call = polled(&plain, "{\"cursor\":\"evt_0\"}", THREE);
    const struct sb_outcome *o = call_outcome(call);
    assert_int_equal(o->n_facts, 2);
    assert_int_equal(js_int(o->data, "found", -1), 2);
    assert_string_equal(o->facts[0].type, "stripe.checkout.session.completed");
    assert_string_equal(o->facts[0].event_id, "evt_1");
    assert_string_equal(buf_str(&o->facts[0].text),
                        "{\"id\":\"evt_1\",\"type\":\"checkout.session.completed\","
                        "\"livemode\":false}");
    assert_string_equal(o->facts[1].type, "stripe.charge.refunded");
    call_free(call);
    call = polled(&plain, "{\"cursor\":\"since:7/evt_5/evt_9\"}", THREE);
    assert_string_equal(call_outcome(call)->facts[0].event_id, "evt_3"); /* backwards */
    call_free(call);
    call = polled(&all, "{\"cursor\":\"evt_0\"}", THREE);
    assert_int_equal(call_outcome(call)->n_facts, 3);
    call_free(call);
}

/* Upwards the next page begins behind the last one taken, backwards before it. */
static void a_page_too_large_for_one_outcome_is_taken_in_several_runs(void **state)
{
    static const struct {
        const char *before, *has_more, *after, *first;
    } cases[] = {
        {"evt_a", "false", "evt_2", "evt_1"},
        {"since:7", "false", "evt_2", "evt_1"},
        {"since:7", "true", "since:7/evt_1/evt_2", "evt_1"},
        {"since:7/evt_8/evt_9", "false", "since:7/evt_2/evt_9", "evt_3"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf body = BUF_NULL;
        char data[80];
        buf_format(&body, "{\"has_more\":%s,\"data\":[", cases[i].has_more);
        for (int n = 3; n; n--) {
            buf_format(&body,
                       "%c{\"id\":\"evt_%d\",\"type\":\"charge.refunded\",\"x\":\"",
                       n == 3 ? ' ' : ',', n);
            for (int j = 0; j < 6000; j++)
                buf_format(&body, "%0100d", 0);
            buf_text(&body, "\"}");
        }
        buf_text(&body, "]}");
        snprintf(data, sizeof(data), "{\"cursor\":\"%s\"}", cases[i].before);
        struct call *call = polled(&plain, data, buf_str(&body));
        const struct sb_outcome *o = call_outcome(call);
        assert_int_equal(o->n_facts, 2);
        assert_string_equal(o->facts[0].event_id, cases[i].first);
        assert_string_equal(o->cursor, cases[i].after);
        assert_true(o->more);
        call_free(call);
        buf_fini(&body);
    }
}

static void a_poll_that_cannot_be_made_says_why(void **state)
{
    static const struct trial_refusal cursors[] = {
        {"{\"cursor\":\"since:\"}", "since:SECONDS"},
        {"{\"cursor\":\"since:-5\"}", "since:SECONDS"},
        {"{\"cursor\":\"since:5/evt_1\"}", "since:SECONDS"},
        {"{\"cursor\":\"since:5/evt_1/evt_2/x y\"}", "since:SECONDS"},
        {"{\"cursor\":\"evt_1 evt_2\"}", "since:SECONDS"},
    };
    static const struct trial_refusal option[] = {{"{}", "declared or all"}};
    const struct integration some = filing(filed_some);

    (void)state;
    trial_refusals(&plain, "payment.events.requested", cursors,
                   sizeof(cursors) / sizeof(cursors[0]));
    trial_refusals(&some, "payment.events.requested", option, 1);
}

/* --- webhooks --- */

static struct call *webhook(const char *type, const char *data)
{
    struct call *call = deliver(
        &plain, (struct delivery){.type = type, .data = data, .flags = RECORD_WEBHOOK});

    assert_false(call_begin(call, NOW_US));
    return call;
}

static void every_webhook_turns_its_object_into_the_domains_event(void **state)
{
    (void)state;
    for (const struct sb_webhook *w = stripe_webhooks; w->event; w++) {
        char type[200], data[400];
        const char *kind = strncmp(w->event, "checkout", 8) == 0 ? "checkout.session"
                           : strncmp(w->event, "payment_intent", 14) == 0
                               ? "payment_intent"
                           : strncmp(w->event, "charge.dispute", 14) == 0 ? "dispute"
                                                                          : "charge";
        snprintf(type, sizeof(type), "stripe.%s", w->event);
        snprintf(data, sizeof(data),
                 "{\"id\":\"evt_1\",\"object\":\"event\",\"type\":\"%s\",\"livemode\":"
                 "false,\"data\":{\"object\":"
                 "{\"id\":\"x_1\",\"object\":\"%s\",\"status\":\"s\"}}}",
                 w->event, kind);
        struct call *call = webhook(type, data);
        if (!call_outcome(call))
            fail_msg("%s: %s", w->event, call_message(call));
        assert_string_equal(js_text(call_outcome(call)->data, "provider_event", ""),
                            "evt_1");
        assert_string_equal(js_text(call_outcome(call)->data, "status", ""), "s");
        call_free(call);
    }
}

static void a_completed_checkout_is_paid_only_if_stripe_says_so(void **state)
{
    (void)state;
    static const char *const statuses[] = {"paid", "unpaid", "no_payment_required"};

    for (int i = 0; i < 3; i++) {
        char data[400];
        snprintf(data, sizeof(data),
                 "{\"id\":\"evt_1\",\"data\":{\"object\":{\"id\":\"cs_1\",\"object\":"
                 "\"checkout.session\",\"payment_intent\":"
                 "\"pi_1\",\"customer\":{\"id\":\"cus_1\"},\"amount_total\":500,"
                 "\"payment_status\":\"%s\"}}}",
                 statuses[i]);
        struct call *call = webhook("stripe.checkout.session.completed", data);
        const struct json *result = call_outcome(call)->data;
        assert_int_equal(js_bool(result, "is_paid", false), i != 1);
        assert_string_equal(js_text(result, "customer", ""), "cus_1");
        assert_int_equal(js_int(result, "amount", 0), 500);
        call_free(call);
    }
}

static void webhooks_that_do_not_fit_fail_and_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *data, *fragment;
    } cases[] = {
        {"no json", "not a Stripe event about a payment_intent"},
        {"{\"id\":\"evt_1\"}", "not a Stripe event about a payment_intent"},
        {"{\"id\":\"evt_1\",\"data\":{\"object\":{\"object\":\"charge\"}}}",
         "not a Stripe event about a payment_intent"},
        {"{\"id\":\"evt_1\",\"object\":\"v2.core.event\"}", "thin event"},
        {"{\"id\":\"evt_1\",\"livemode\":true,\"data\":{\"object\":{\"object\":\"payment_"
         "intent\"}}}",
         "a live event came to an integration in test mode"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call *call = webhook("stripe.payment_intent.succeeded", cases[i].data);
        assert_int_equal(call_class(call), CLASS_permanent);
        if (!strstr(call_message(call), cases[i].fragment))
            fail_msg("case %zu: %s", i, call_message(call));
        call_free(call);
    }
}

/* --- past the key's lifetime --- */

#define REFERENCE "01890a5d-ac96-774b-bcce-b302099a8057"
#define PAID(id)                                                                         \
    "{\"id\":\"" id "\",\"status\":\"succeeded\",\"amount\":1000,\"currency\":\"eur\"}"

static struct call *late(const char *type, const char *data)
{
    struct call *call =
        deliver(&plain, (struct delivery){.type = type,
                                          .data = data,
                                          .attempt = 2,
                                          .age_us = KEY_LIFETIME_S * UINT64_C(1000000)});

    assert_true(call_begin(call, NOW_US));
    return call;
}

static void lookups_ask_for_the_reference_of_the_request(void **state)
{
    (void)state;
    struct call *charge = late("payment.charge.requested", CHARGE),
                *refund = late("payment.refund.requested", "{\"charge\":\"ch_1\"}");
    struct http_call_options o;

    call_http(charge, &o);
    assert_string_equal(o.method, "GET");
    assert_string_equal(
        o.url, "https://api.stripe.com/v1/payment_intents/"
               "search?query=metadata%5B%22signalbox_request%22%5D%3A%22" REFERENCE
               "%22&limit=2&expand[0]=data.latest_charge.balance_transaction");
    assert_int_equal(call_pause_us(charge), 60000000); /* the search may lag */
    call_http(refund, &o);
    assert_string_equal(o.url, "https://api.stripe.com/v1/refunds?charge=ch_1&limit=100");
    call_free(charge);
    call_free(refund);
}

static const struct {
    const char *type, *data, *body;
    bool is_sent; /* the call is made after all */
    enum call_result result;
    enum record_class class;
} found[] = {
    {"payment.charge.requested", CHARGE, "{\"data\":[" PAID("pi_1") "]}", false,
     CALL_SUCCESS, CLASS_none},
    {"payment.charge.requested", CHARGE, "{\"data\":[]}", true, CALL_SUCCESS, CLASS_none},
    {"payment.charge.requested", CHARGE, "{\"data\":[" PAID("pi_1") "," PAID("pi_2") "]}",
     false, CALL_FAILED, CLASS_unknown},
    {"payment.charge.requested", CHARGE,
     "{\"data\":[{\"id\":\"pi_1\",\"status\":\"requires_payment_method\"}]}", false,
     CALL_FAILED, CLASS_permanent},
    {"payment.charge.requested", CHARGE, "{\"data\":[{}]}", false, CALL_FAILED,
     CLASS_unknown},
    {"payment.charge.requested", CHARGE, "<html>", false, CALL_FAILED, CLASS_unknown},
    {"payment.refund.requested", "{\"charge\":\"ch_1\"}",
     "{\"data\":[{\"id\":\"re_1\",\"metadata\":{\"signalbox_request\":\"another\"}},"
     "{\"id\":\"re_2\",\"metadata\":{\"signalbox_request\":\"" REFERENCE "\"}}]}",
     false, CALL_SUCCESS, CLASS_none},
    {"payment.refund.requested", "{\"charge\":\"ch_1\"}",
     "{\"data\":[{\"id\":\"re_1\",\"metadata\":{}}],\"has_more\":false}", true,
     CALL_SUCCESS, CLASS_none},
    {"payment.refund.requested", "{\"charge\":\"ch_1\"}",
     "{\"data\":[{\"id\":\"re_1\",\"metadata\":{}}],\"has_more\":true}", false,
     CALL_FAILED, CLASS_unknown},
};

static void what_stripe_knows_decides(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(found) / sizeof(found[0]); i++) {
        struct call *call = late(found[i].type, found[i].data);
        const struct http_call answer = {.status = 200, .body = found[i].body},
                               made = {.status = 200, .body = PAID("pi_9")};
        bool is_sent = call_end(call, &answer, NOW_US);
        assert_int_equal(is_sent, found[i].is_sent);
        if (is_sent)
            assert_false(call_end(call, &made, NOW_US));
        if (call_result(call) != found[i].result || call_class(call) != found[i].class)
            fail_msg("case %zu: %d/%s: %s", i, call_result(call),
                     class_name(call_class(call)), call_message(call));
        call_free(call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_right_and_fit_an_integration),
        cmocka_unit_test(requests_are_these_bytes),
        cmocka_unit_test(lookups_ask_for_the_reference_of_the_request),
        cmocka_unit_test(what_stripe_knows_decides),
        cmocka_unit_test(credentials_version_and_key_are_headers),
        cmocka_unit_test(bad_input_fails_before_any_call_and_says_what_is_wrong),
        cmocka_unit_test(a_charge_succeeds_only_when_the_money_is_taken),
        cmocka_unit_test(a_checkout_succeeds_with_the_page_to_go_to),
        cmocka_unit_test(the_outcome_names_what_was_made),
        cmocka_unit_test(
            the_cost_is_estimated_where_stripe_does_not_tell_and_prices_are_configured),
        cmocka_unit_test(amounts_know_currencies_without_cents),
        cmocka_unit_test(every_error_of_stripe_has_its_result),
        cmocka_unit_test(a_refund_that_stripe_gives_up_is_a_failure),
        cmocka_unit_test(a_poll_goes_on_where_the_last_one_ended),
        cmocka_unit_test(
            what_a_webhook_would_have_brought_is_filed_as_it_would_have_been),
        cmocka_unit_test(a_page_too_large_for_one_outcome_is_taken_in_several_runs),
        cmocka_unit_test(a_poll_that_cannot_be_made_says_why),
        cmocka_unit_test(every_webhook_turns_its_object_into_the_domains_event),
        cmocka_unit_test(a_completed_checkout_is_paid_only_if_stripe_says_so),
        cmocka_unit_test(webhooks_that_do_not_fit_fail_and_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
