/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The tables, and what the log has of an answer; the answers made by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "lib/sdk/call.h"
#include "lib/sdk/manifest.h"
#include "proxy/door.h"
#include "proxy/passage.h"
#include "proxy/rules.h"
#include "proxy/table.h"
#include "tests/unit/sdk/answer.h"
#include "tests/unit/sdk/delivery.h"

/* --- the door's side, by hand --- */

struct http_request {
    const char *method;
    struct http_field headers[8];
};
static struct http_request request;
static char path[] = "/v1/x", encoded[] = "/v1/%78";
static struct passage passage, *the_passage;

struct passage *door_passage(const struct sb_event *event)
{
    (void)event;
    return the_passage;
}

const char *http_method(const struct http_request *r)
{
    return r->method;
}

const char *http_header(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < 8 && r->headers[i].name; i++)
        if (strcasecmp(r->headers[i].name, name) == 0)
            return r->headers[i].value;
    return NULL;
}

void http_each_header(const struct http_request *r, http_header_fn fn, void *user)
{
    for (size_t i = 0; i < 8 && r->headers[i].name; i++)
        fn(user, r->headers[i].name, r->headers[i].value);
}

static const char *secret(void *user, const char *name)
{
    (void)user, (void)name;
    return "sk_test_of_the_proxy";
}

static struct integration integration = {.connector = &proxy_connector,
                                         .name = "models",
                                         .base_url = "https://api.test/",
                                         .timeout_us = 1000000,
                                         .is_single = true,
                                         .secret = secret};

static void set_up(const char *provider, const char *method)
{
    integration.provider = proxy_connector.providers;
    while (strcmp(integration.provider->name, provider) != 0)
        integration.provider++;
    request = (struct http_request){.method = method};
    passage = (struct passage){.request = &request,
                               .target = {.path = path, .encoded = encoded}};
    the_passage = &passage;
}

static struct call *begun(const char *type)
{
    struct call *call =
        deliver(&integration, (struct delivery){.type = type, .data = "{}"});

    if (!call_begin(call, NOW_US))
        fail_msg("%s", call_message(call));
    return call;
}

static const char *sent(const struct call *call, const char *name)
{
    struct http_call_options o;

    call_http(call, &o);
    for (size_t i = 0; i < o.n_headers; i++)
        if (strcasecmp(o.headers[i].name, name) == 0)
            return o.headers[i].value;
    return NULL;
}

static void the_tables_are_right(void **state)
{
    (void)state;
    struct buf errors = BUF_NULL;

    if (!manifest_check(&proxy_connector, &errors))
        fail_msg("%s", buf_str(&errors));
    for (const struct sb_provider *p = proxy_connector.providers; p->name; p++)
        assert_string_equal(rule_of(p->name)->provider, p->name);
    buf_fini(&errors);
}

static void what_is_about_the_connection_or_secret_is_not_passed_on(void **state)
{
    (void)state;
    set_up("openai", "POST");
    passage.target.query = (char *)(uintptr_t) "a=1%202";
    request.headers[0] = (struct http_field){"Authorization", "Bearer theirs"};
    request.headers[1] = (struct http_field){"OpenAI-Beta", "b"};
    request.headers[2] = (struct http_field){"Connection", "keep-alive"};
    request.headers[3] = (struct http_field){"X-Forwarded-Host", "h"};
    request.headers[4] = (struct http_field){"Accept-Encoding", "br"};
    struct call *call = begun("proxy.call.requested");
    struct http_call_options o;

    call_http(call, &o);
    assert_string_equal(o.url, "https://api.test/v1/%78?a=1%202");
    assert_int_equal(o.n_headers, 2);
    assert_string_equal(sent(call, "OpenAI-Beta"), "b");
    assert_string_equal(sent(call, "Authorization"), "Bearer sk_test_of_the_proxy");
    call_free(call);
}

static void an_idempotency_key_is_kept_or_made(void **state)
{
    (void)state;
    static const struct {
        const char *provider, *method, *given, *sent;
    } cases[] = {
        {"stripe", "POST", "k1", "k1"},
        {"stripe", "POST", NULL, "01890a5d-ac96-774b-bcce-b302099a8057"},
        {"stripe", "GET", NULL, NULL},
        {"resend", "POST", NULL, "01890a5d-ac96-774b-bcce-b302099a8057"},
        {"openai", "POST", NULL, NULL},
        {"slack", "POST", NULL, NULL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_up(cases[i].provider, cases[i].method);
        if (cases[i].given)
            request.headers[0] = (struct http_field){"idempotency-key", cases[i].given};
        struct call *call = begun("proxy.call.requested");
        const char *key = sent(call, "Idempotency-Key");
        if (cases[i].sent)
            assert_string_equal(key, cases[i].sent);
        else
            assert_null(key);
        call_free(call);
    }
}

static void anthropic_is_given_its_key_in_a_header_of_its_own(void **state)
{
    (void)state;
    set_up("anthropic", "POST");
    struct call *call = begun("proxy.call.requested");

    assert_string_equal(sent(call, "x-api-key"), "sk_test_of_the_proxy");
    assert_null(sent(call, "Authorization"));
    call_free(call);
}

static const struct {
    const char *provider, *type;
    struct http_call answer;
    enum call_result result;
    enum record_class class;
    const char *part;
    bool is_whole;
} answers[] = {
    {"openai", "call", {.status = 200, .body = "{}"}, CALL_SUCCESS, CLASS_none, "", true},
    {"stripe",
     "call",
     {.status = 402, .body = "{\"error\":{\"message\":\"declined\"}}"},
     CALL_FAILED,
     CLASS_permanent,
     "stripe answered 402: declined",
     true},
    {"sendgrid",
     "call",
     {.status = 400, .body = "{\"errors\":[{\"message\":\"no from\"}]}"},
     CALL_FAILED,
     CLASS_permanent,
     "no from",
     true},
    {"slack",
     "call",
     {.status = 200, .body = "{\"ok\":false,\"error\":\"not_in_channel\"}"},
     CALL_FAILED,
     CLASS_permanent,
     "Slack answered: not_in_channel",
     true},
    {"openai", "call", {.status = 302}, CALL_FAILED, CLASS_permanent, "302", true},
    {"openai", "call", {.status = 429}, CALL_FAILED, CLASS_exhausted, "429", true},
    {"openai", "call", {.status = 503}, CALL_FAILED, CLASS_exhausted, "503", true},
    {"openai", "call", {.status = 500}, CALL_FAILED, CLASS_unknown, "500", true},
    {"openai", "read", {.status = 500}, CALL_FAILED, CLASS_exhausted, "500", true},
    {"openai",
     "call",
     {.result = HTTP_NOT_SENT, .error = "refused"},
     CALL_FAILED,
     CLASS_exhausted,
     "not sent: refused",
     false},
    {"openai",
     "call",
     {.result = HTTP_NO_ANSWER, .error = "cut"},
     CALL_FAILED,
     CLASS_unknown,
     "cut",
     false},
    {"openai",
     "read",
     {.result = HTTP_NO_ANSWER, .error = "cut"},
     CALL_FAILED,
     CLASS_exhausted,
     "cut",
     false},
    {"openai",
     "call",
     {.status = 400,
      .body = "{\"error\":{\"message\":\"bad key sk_test_of_the_proxy\"}}"},
     CALL_FAILED,
     CLASS_permanent,
     "bad key ****",
     true},
};

static void there_is_one_attempt_and_it_has_its_class(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        set_up(answers[i].provider, "POST");
        _free_ char *type = mem_format("proxy.%s.requested", answers[i].type);
        struct call *call = begun(type);
        struct buf out = BUF_NULL;
        assert_false(call_end(call, &answers[i].answer, NOW_US));
        call_write(call, NOW_US, &out);
        if (call_result(call) != answers[i].result ||
            call_class(call) != answers[i].class ||
            !strstr(call_message(call), answers[i].part))
            fail_msg("case %zu: %d %s %s", i, call_result(call),
                     class_name(call_class(call)), call_message(call));
        assert_int_equal(((const struct record *)out.bytes)->kind, RECORD_OUTCOME);
        assert_int_equal(passage.is_whole, answers[i].is_whole);
        buf_fini(&out);
        call_free(call);
    }
}

/* Delivered to a process that does not have the application. */
static void without_its_application_nothing_is_sent(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool in_doubt, has_passage;
        enum record_class class;
    } cases[] = {
        {"proxy.call.requested", false, false, CLASS_permanent},
        {"proxy.call.requested", false, true, CLASS_permanent}, /* it left */
        {"proxy.call.requested", true, false, CLASS_unknown},
        {"proxy.read.requested", false, false, CLASS_unknown},
        {"proxy.read.requested", true, false, CLASS_unknown},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        set_up("openai", "POST");
        passage.request = NULL;
        the_passage = cases[i].has_passage ? &passage : NULL;
        struct call *call = deliver(
            &integration, (struct delivery){.type = cases[i].type,
                                            .data = "{}",
                                            .in_doubt = cases[i].in_doubt,
                                            .attempt = cases[i].in_doubt ? 2 : 1});
        assert_false(call_begin(call, NOW_US));
        assert_int_equal(call_result(call), CALL_FAILED);
        assert_int_equal(call_class(call), cases[i].class);
        call_free(call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_right),
        cmocka_unit_test(what_is_about_the_connection_or_secret_is_not_passed_on),
        cmocka_unit_test(an_idempotency_key_is_kept_or_made),
        cmocka_unit_test(anthropic_is_given_its_key_in_a_header_of_its_own),
        cmocka_unit_test(there_is_one_attempt_and_it_has_its_class),
        cmocka_unit_test(without_its_application_nothing_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
