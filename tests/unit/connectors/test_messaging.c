/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The messaging connector without a network: what each provider is sent, what becomes of
 * each answer and of each webhook. */
#include <stdio.h>

#include "tests/unit/connectors/trial.h"

int messaging_main(int argc, char **argv);
#define main messaging_main
#include "connectors/messaging/messaging.c"
#undef main

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEY          "xoxb-fake-0123456789"
#define ACCOUNT      "AC00000000000000000000000000000000"
#define SEND         "messaging.send.requested"
#define TO_SLACK     "{\"to\":\"C012\",\"text\":\"a & \\u00fc\"}"
#define TO_TWILIO    "{\"to\":\"+15551234567\",\"text\":\"hello\"}"

/* The process around it is not under test. */
int sb_connector_main(const struct sb_connector *connector, int argc, char **argv)
{
    (void)argc, (void)argv;
    return connector == &messaging ? 0 : 1;
}

static const char *secret(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "bot_token") == 0 || strcmp(name, "auth_token") == 0 ? KEY : NULL;
}

static char *names[] = {(char[]){"account_sid"}, (char[]){"from"},
                        (char[]){"segment_price"}, (char[]){"status_callback"}};
static char *values[] = {(char[]){ACCOUNT}, (char[]){"+15005550006"}, (char[]){"7900"},
                         (char[]){"https://hooks.example.com/webhooks/twilio"}};
static const struct integration slack = {.connector = &messaging,
                                         .provider = &providers[0],
                                         .name = "chat",
                                         .base_url = "https://slack.com",
                                         .secret = secret};
#define TWILIO(n)                                                                        \
    {                                                                                    \
        .connector = &messaging, .provider = &providers[1], .name = "sms",               \
        .base_url = "https://api.twilio.com", .secret = secret, .option_names = names,   \
        .option_values = values, .n_options = (n)                                        \
    }
static const struct integration twilio = TWILIO(2), priced = TWILIO(4),
                                senderless = TWILIO(1);

static void the_tables_are_right_and_fit_an_integration(void **state)
{
    (void)state;
    struct buf errors = BUF_NULL;

    assert_true(manifest_check(&messaging, &errors));
    assert_true(manifest_fits(&slack, &errors));
    assert_true(manifest_fits(&twilio, &errors));
    assert_true(manifest_fits(&priced, &errors));
    assert_false(manifest_fits(&senderless, &errors));
    assert_non_null(strstr(buf_str(&errors), "sms.options.from is needed"));
    buf_fini(&errors);
}

/* --- what is sent --- */

static void requests_are_these_bytes(void **state)
{
    (void)state;
    trial_request(&slack, SEND, TO_SLACK, "POST",
                  "https://slack.com/api/chat.postMessage",
                  "channel=C012&text=a%20%26%20%C3%BC");
    trial_request(&slack, "messaging.check.requested", "{}", "POST",
                  "https://slack.com/api/auth.test", "");
    trial_request(&priced, SEND, TO_TWILIO, "POST",
                  "https://api.twilio.com/2010-04-01/Accounts/" ACCOUNT "/Messages.json",
                  "To=%2B15551234567&From=%2B15005550006&Body=hello&StatusCallback=https"
                  "%3A%2F%2Fhooks.example.com%2Fwebhooks%2Ftwilio");
}

static void credentials_are_a_bearer_token_or_basic(void **state)
{
    (void)state;
    static const struct {
        const struct integration *integration;
        const char *data, *value;
    } cases[] = {
        {&slack, TO_SLACK, "Bearer " KEY},
        {&twilio, TO_TWILIO,
         "Basic "
         "QUMwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDp4b3hiLWZha2UtMDEyMzQ1Njc4OQ"
         "=="},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct call *call = deliver(
            cases[i].integration, (struct delivery){.type = SEND, .data = cases[i].data});
        struct http_call_options o;
        assert_true(call_begin(call, NOW_US));
        call_http(call, &o);
        assert_string_equal(o.headers[0].name, "Authorization");
        assert_string_equal(o.headers[0].value, cases[i].value);
        call_free(call);
    }
}

static void bad_input_fails_before_any_call_and_names_the_member(void **state)
{
    (void)state;
    static const struct trial_refusal any[] = {
        {"7", "must be a JSON object"},
        {"{\"to\":\"+15551234567\"}", "text must be a text"},
        {"{\"to\":\"+15551234567\",\"text\":\"\"}", "text must be a text"},
        {"{\"to\":\"+15551234567\",\"text\":\"x\",\"from\":\"y\"}", "\"from\" is not a"},
    };
    static const struct trial_refusal numbers[] = {
        {"{\"text\":\"x\"}", "to must be a number"},
        {"{\"to\":\"015551234567\",\"text\":\"x\"}", "to must be a number"},
        {"{\"to\":\"+1555 1234567\",\"text\":\"x\"}", "to must be a number"},
        {"{\"to\":\"+1234567890123456\",\"text\":\"x\"}", "to must be a number"},
        {"{\"to\":15551234567,\"text\":\"x\"}", "to must be a number"},
    };
    static const struct trial_refusal nowhere = {"{\"text\":\"x\"}",
                                                 "to must be a channel"};

    trial_refusals(&slack, SEND, any, COUNT(any));
    trial_refusals(&twilio, SEND, any, COUNT(any));
    trial_refusals(&twilio, SEND, numbers, COUNT(numbers));
    trial_refusals(&slack, SEND, &nowhere, 1);
}

static void texts_over_the_limit_are_refused(void **state)
{
    char text[1700] = "", data[1800];

    (void)state;
    memset(text, 'x', 1601);
    snprintf(data, sizeof(data), "{\"to\":\"+15551234567\",\"text\":\"%s\"}", text);
    const struct trial_refusal longer = {data, "longer than 1600 characters"};
    trial_refusals(&twilio, SEND, &longer, 1);
}

static void an_sms_is_counted_in_parts_as_networks_do(void **state)
{
    (void)state;
    static const struct {
        const char *unit;
        unsigned n, segments;
    } cases[] = {
        {"a", 1, 1},           {"a", 160, 1},         {"a", 161, 2},
        {"a", 306, 2},         {"a", 307, 3},         {"\u20ac", 80, 1},
        {"\u20ac", 81, 2},     {"\u00fc", 160, 1},    {"\u0416", 70, 1},
        {"\u0416", 71, 2},     {"\u0416", 134, 2},    {"\u0416", 135, 3},
        {"\U0001F600", 35, 1}, {"\U0001F600", 36, 2},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct buf text = BUF_NULL;
        for (unsigned k = 0; k < cases[i].n; k++)
            buf_text(&text, cases[i].unit);
        if (text_segments(buf_str(&text)) != cases[i].segments)
            fail_msg("%u of %s: %u", cases[i].n, cases[i].unit,
                     text_segments(buf_str(&text)));
        assert_int_equal(text_length(buf_str(&text)), cases[i].n);
        buf_fini(&text);
    }
}

/* --- answers --- */

#define SLACK_ERROR(name)                                                                \
    {                                                                                    \
        .status = 200, .body = "{\"ok\":false,\"error\":\"" name "\"}"                   \
    }

static void slacks_answers_have_their_results(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {{.status = 200, .body = "{\"ok\":true,\"channel\":\"C012\",\"ts\":\"1.2\"}"},
         CALL_SUCCESS,
         CLASS_none,
         ""},
        {SLACK_ERROR("channel_not_found"), CALL_FAILED, CLASS_permanent,
         "invite the app"},
        {SLACK_ERROR("not_in_channel"), CALL_FAILED, CLASS_permanent, "invite the app"},
        {SLACK_ERROR("invalid_auth"), CALL_FAILED, CLASS_permanent, "\"bot_token\""},
        {SLACK_ERROR("missing_scope"), CALL_FAILED, CLASS_permanent, "scopes"},
        {SLACK_ERROR("msg_too_long"), CALL_FAILED, CLASS_permanent,
         "refused the message"},
        {SLACK_ERROR("ratelimited"), CALL_RETRY, CLASS_none, "ratelimited"},
        {SLACK_ERROR("service_unavailable"), CALL_RETRY, CLASS_none,
         "cannot take it now"},
        {SLACK_ERROR("internal_error"), CALL_FAILED, CLASS_unknown, "may have posted it"},
        {SLACK_ERROR("fatal_error"), CALL_FAILED, CLASS_unknown, "may have posted it"},
        {{.status = 200, .body = "{\"ok\":false}"},
         CALL_FAILED,
         CLASS_unknown,
         "not what"},
        {{.status = 200, .body = "<html>"}, CALL_FAILED, CLASS_unknown, "not what Slack"},
        {{.status = 429, .headers = {{"Retry-After", "30"}}},
         CALL_RETRY,
         CLASS_none,
         "rate limit"},
        {{.status = 500},
         CALL_FAILED,
         CLASS_unknown,
         "Slack answered 500; it may have been done, and is not sent again"},
        {{.status = 503}, CALL_RETRY, CLASS_none, "answered 503"},
        {{.status = 404}, CALL_FAILED, CLASS_permanent, "answered 404"},
        {{.result = HTTP_NO_ANSWER, .error = "cut"}, CALL_FAILED, CLASS_unknown, "cut"},
    };

    trial_answers(&slack, SEND, TO_SLACK, cases, COUNT(cases), KEY);
}

static void twilios_answers_have_their_results(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {{.status = 201, .body = "{\"sid\":\"SM1\",\"status\":\"queued\"}"},
         CALL_SUCCESS,
         CLASS_none,
         ""},
        {{.status = 201,
          .body = "{\"sid\":\"SM1\",\"status\":\"failed\",\"error_code\":30008}"},
         CALL_FAILED,
         CLASS_permanent,
         "could not send it (30008)"},
        {{.status = 200, .body = "<html>"},
         CALL_FAILED,
         CLASS_unknown,
         "not what Twilio"},
        {{.status = 400,
          .body = "{\"code\":21211,\"message\":\"The 'To' number is not a valid phone "
                  "number.\",\"status\":400}"},
         CALL_FAILED,
         CLASS_permanent,
         "(400, 21211): The 'To' number"},
        {{.status = 401, .body = "{\"code\":20003,\"message\":\"Authenticate\"}"},
         CALL_FAILED,
         CLASS_permanent,
         "\"auth_token\" of the integration sms"},
        {{.status = 404}, CALL_FAILED, CLASS_permanent, "(404, 0): it gave no reason"},
        {{.status = 429, .body = "{\"code\":20429}"}, CALL_RETRY, CLASS_none, "rate"},
        {{.status = 500},
         CALL_FAILED,
         CLASS_unknown,
         "Twilio answered 500; it was looked up, which did not tell"},
        {{.status = 503}, CALL_RETRY, CLASS_none, "answered 503"},
        {{.result = HTTP_NO_ANSWER, .error = "cut"}, CALL_FAILED, CLASS_unknown, "cut"},
        {{.result = HTTP_NOT_SENT, .error = "no"}, CALL_RETRY, CLASS_none, "not sent"},
    };

    trial_answers(&twilio, SEND, TO_TWILIO, cases, COUNT(cases), KEY);
}

#define AT(s)     "\"date_created\":\"Tue, 14 Nov 2023 22:13:" s " +0000\""
#define OURS      "\"sid\":\"SM1\",\"status\":\"sent\",\"body\":\"hello\""
#define LIST(all) "{\"messages\":[" all "]}"

/* NOW_US is 22:13:20. */
static void where_an_answer_was_lost_twilios_list_tells(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {{.status = 200, .body = LIST("{" OURS "," AT("20") "}")},
         CALL_SUCCESS,
         CLASS_none,
         ""},
        {{.status = 200,
          .body = LIST("{\"sid\":\"SM2\",\"status\":\"sent\",\"body\":\"another\"," AT(
              "21") "},{\"sid\":\"SM1\",\"status\":\"sent\",\"body\":\"Sent from your "
                    "Twilio trial account - hello\"," AT("20") "}")},
         CALL_SUCCESS,
         CLASS_none,
         ""},
        {{.status = 200,
          .body = LIST("{\"sid\":\"SM1\",\"status\":\"failed\",\"error_code\":30008,"
                       "\"body\":\"hello\"," AT("20") "}")},
         CALL_FAILED,
         CLASS_permanent,
         "could not send it (30008)"},
        /* it was made before the request came */
        {{.status = 200, .body = LIST("{" OURS "," AT("19") "}")},
         CALL_RETRY,
         CLASS_none,
         "a lookup found that it had not happened"},
        {{.status = 200, .body = LIST("")},
         CALL_RETRY,
         CLASS_none,
         "a lookup found that it had not happened"},
        {{.status = 200, .body = LIST("{" OURS "," AT("20") "},{" OURS "," AT("25") "}")},
         CALL_FAILED,
         CLASS_unknown,
         "several messages with this text"},
        {{.status = 200, .body = LIST("{" OURS "}")},
         CALL_FAILED,
         CLASS_unknown,
         "without a date"},
        {{.status = 200, .body = LIST("{" OURS ",\"date_created\":\"yesterday\"}")},
         CALL_FAILED,
         CLASS_unknown,
         "without a date"},
        {{.status = 403}, CALL_FAILED, CLASS_unknown, "answered 403"},
        {{.status = 200, .body = "<html>"}, CALL_FAILED, CLASS_unknown, "answered 200"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct call *call =
            deliver(&twilio, (struct delivery){.type = SEND, .data = TO_TWILIO});
        struct http_call_options o;
        assert_true(call_begin(call, NOW_US));
        assert_true(call_end(
            call, &(struct http_call){.result = HTTP_NO_ANSWER, .error = "cut"}, NOW_US));
        call_http(call, &o);
        assert_string_equal(o.method, "GET");
        assert_string_equal(o.url, "https://api.twilio.com/2010-04-01/Accounts/" ACCOUNT
                                   "/Messages.json?To=%2B15551234567&From=%2B15005550006&"
                                   "PageSize=100");
        assert_false(call_end(call, &cases[i].answer, NOW_US));
        if (call_result(call) != cases[i].result || call_class(call) != cases[i].class ||
            !strstr(call_message(call), cases[i].fragment))
            fail_msg("case %zu: %d %s %s", i, call_result(call),
                     class_name(call_class(call)), call_message(call));
        if (call_result(call) == CALL_SUCCESS)
            assert_string_equal(js_text(call_outcome(call)->data, "message_id", ""),
                                "SM1");
        call_free(call);
    }
}

static void a_list_that_does_not_reach_back_does_not_tell(void **state)
{
    (void)state;
    struct buf list = BUF_NULL;
    struct call *call =
        deliver(&twilio, (struct delivery){.type = SEND, .data = TO_TWILIO});

    for (int i = 0; i < 100; i++)
        buf_format(&list,
                   "%s{\"sid\":\"SM%d\",\"status\":\"sent\",\"body\":\"x\"," AT("30") "}",
                   i ? "," : "{\"messages\":[", i);
    buf_text(&list, "]}");
    assert_true(call_begin(call, NOW_US));
    assert_true(call_end(call, &(struct http_call){.status = 500}, NOW_US));
    assert_false(call_end(
        call, &(struct http_call){.status = 200, .body = buf_str(&list)}, NOW_US));
    assert_int_equal(call_class(call), CLASS_unknown);
    assert_non_null(strstr(call_message(call), "100 newer messages"));
    call_free(call);
    buf_fini(&list);
}

static void an_sms_costs_what_twilio_says_or_else_its_parts(void **state)
{
    (void)state;
    static const struct {
        const char *body, *currency;
        int64_t cost;
        enum sb_cost_kind kind;
    } cases[] = {
        {"{\"sid\":\"SM1\",\"status\":\"queued\",\"num_segments\":\"2\",\"price\":null,"
         "\"price_unit\":\"USD\"}",
         "USD", 15800, SB_ESTIMATED},
        {"{\"sid\":\"SM1\",\"status\":\"queued\",\"num_segments\":\"0\"}", "USD", 7900,
         SB_ESTIMATED},
        {"{\"sid\":\"SM1\",\"status\":\"sent\",\"price\":\"-0.00750\",\"price_unit\":"
         "\"eur\"}",
         "EUR", 7500, SB_ACTUAL},
        {"{\"sid\":\"SM1\",\"status\":\"sent\",\"price\":\"1\",\"price_unit\":\"USD\"}",
         "USD", 1000000, SB_ACTUAL},
        {"{\"sid\":\"SM1\",\"status\":\"sent\",\"price\":\"0.12345678\",\"price_unit\":"
         "\"USD\"}",
         "USD", 123456, SB_ACTUAL},
        {"{\"sid\":\"SM1\",\"status\":\"sent\",\"price\":\"x\",\"price_unit\":\"USD\"}",
         "USD", 7900, SB_ESTIMATED},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct call *call =
            trial_answered(&priced, SEND, TO_TWILIO,
                           (struct http_call){.status = 201, .body = cases[i].body});
        assert_string_equal(trial_said(call, "message_id"), "SM1");
        assert_int_equal(call_outcome(call)->cost, cases[i].cost);
        assert_int_equal(call_outcome(call)->cost_kind, cases[i].kind);
        assert_string_equal(call_outcome(call)->currency, cases[i].currency);
        call_free(call);
    }
}

/* --- webhooks --- */

static void twilios_callbacks_become_the_domains_events(void **state)
{
    (void)state;
    struct call *call = trial_webhook(
        &twilio, "sms.message.undelivered",
        "ErrorCode=30005&MessageSid=SM1&MessageStatus=undelivered&To=%2B15551234567");
    struct call *none = trial_webhook(&twilio, "sms.message.delivered", "a=b");

    assert_string_equal(trial_said(call, "message_id"), "SM1");
    assert_string_equal(trial_said(call, "status"), "undelivered");
    assert_string_equal(trial_said(call, "recipient"), "+15551234567");
    assert_string_equal(trial_said(call, "code"), "30005");
    assert_int_equal(call_result(none), CALL_FAILED);
    assert_non_null(strstr(call_message(none), "MessageSid is missing"));
    call_free(call);
    call_free(none);
}

static void a_token_is_checked_without_a_message(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {{.status = 200, .body = "{\"ok\":true,\"team\":\"T\"}"},
         CALL_SUCCESS,
         CLASS_none,
         ""},
        {{.status = 200, .body = "{\"ok\":false,\"error\":\"invalid_auth\"}"},
         CALL_FAILED,
         CLASS_permanent,
         "check the secret"},
        {{.status = 200, .body = "[]"}, CALL_RETRY, CLASS_none, "not what Slack answers"},
    };

    trial_answers(&slack, "messaging.check.requested", "{}", cases, COUNT(cases), KEY);
}

static void the_most_a_message_costs_is_for_the_longest_text(void **state)
{
    (void)state;
    /* 1,600 characters of two units each, 67 units a part */
    assert_int_equal(text_segments_max(1600), 48);
    assert_int_equal(text_segments_max(35), 1);
    assert_int_equal(trial_price_most(&priced, "send", "USD"), 48 * 7900);
    assert_int_equal(trial_price_most(&twilio, "send", "USD"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_right_and_fit_an_integration),
        cmocka_unit_test(requests_are_these_bytes),
        cmocka_unit_test(credentials_are_a_bearer_token_or_basic),
        cmocka_unit_test(bad_input_fails_before_any_call_and_names_the_member),
        cmocka_unit_test(texts_over_the_limit_are_refused),
        cmocka_unit_test(an_sms_is_counted_in_parts_as_networks_do),
        cmocka_unit_test(slacks_answers_have_their_results),
        cmocka_unit_test(twilios_answers_have_their_results),
        cmocka_unit_test(where_an_answer_was_lost_twilios_list_tells),
        cmocka_unit_test(a_list_that_does_not_reach_back_does_not_tell),
        cmocka_unit_test(an_sms_costs_what_twilio_says_or_else_its_parts),
        cmocka_unit_test(a_token_is_checked_without_a_message),
        cmocka_unit_test(twilios_callbacks_become_the_domains_events),
        cmocka_unit_test(the_most_a_message_costs_is_for_the_longest_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
