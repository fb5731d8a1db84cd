/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The http connector without a network: requests, what is refused, and cursors. */
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
#include "lib/sdk/manifest.h"
#include "trial.h"

int http_main(int argc, char **argv);
#define main http_main
#include "connectors/http/http.c"
#undef main

/* The process around it is not under test. */
int sb_connector_main(const struct sb_connector *c, int argc, char **argv)
{
    (void)argc, (void)argv;
    return c == &connector ? 0 : 1;
}

static const char *secret(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "password") == 0 ? "pass word" : "secret-0123456789";
}

/* An integration with up to eight options: "name", "value", ... */
static struct integration with(char **names, char **values, size_t n)
{
    return (struct integration){.connector = &connector,
                                .name = "inst",
                                .base_url = "https://api.test/v2/",
                                .secret = secret,
                                .option_names = names,
                                .option_values = values,
                                .n_options = n};
}
#define T(text) ((char[]){text})

static const char *header(const struct http_call_options *o, const char *name)
{
    for (size_t i = 0; i < o->n_headers; i++)
        if (strcmp(o->headers[i].name, name) == 0)
            return o->headers[i].value;
    return "";
}

/* --- requests --- */

static void the_tables_are_right(void **state)
{
    (void)state;
    struct buf errors = BUF_NULL;
    struct integration plain = with(NULL, NULL, 0);

    assert_true(manifest_check(&connector, &errors));
    assert_true(manifest_fits(&plain, &errors));
    buf_fini(&errors);
}

static void requests_are_what_the_event_says(void **state)
{
    (void)state;
    static const struct {
        const char *type, *data, *method, *url, *body, *content_type;
    } cases[] = {
        {"http.call.requested",
         "{\"method\":\"POST\",\"path\":\"/a/b\",\"query\":{\"q\":\"x&y\",\"n\":3,\"f\":"
         "false},\"body\":[1,{\"a\":null}]}",
         "POST", "https://api.test/v2/a/b?q=x%26y&n=3&f=false", "[1,{\"a\":null}]",
         "application/json"},
        {"http.keyed.requested",
         "{\"method\":\"PUT\",\"path\":\"/\",\"body\":\"<a/>\",\"content_type\":\"text/"
         "xml\"}",
         "PUT", "https://api.test/v2/", "<a/>", "text/xml"},
        {"http.call.requested",
         "{\"method\":\"POST\",\"path\":\"/t\",\"body\":\"plain\"}", "POST",
         "https://api.test/v2/t", "\"plain\"", "application/json"},
        {"http.call.requested",
         "{\"method\":\"DELETE\",\"path\":\"/a?b=c%20d&e=1+2&f&g=%2F..%2f\",\"query\":{"
         "\"h\":1}}",
         "DELETE", "https://api.test/v2/a?b=c%20d&e=1%202&f=&g=%2F..%2F&h=1", "", ""},
        {"http.read.requested", "{\"path\":\"/x/..y/%2e%2ez\"}", "GET",
         "https://api.test/v2/x/..y/%2e%2ez", "", ""},
        {"http.read.requested", "{\"method\":\"HEAD\",\"path\":\"/x/\"}", "HEAD",
         "https://api.test/v2/x/", "", ""},
    };
    struct integration plain = with(NULL, NULL, 0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call *call = deliver(
            &plain, (struct delivery){.type = cases[i].type, .data = cases[i].data});
        struct http_call_options o;
        if (!call_begin(call, NOW_US))
            fail_msg("case %zu: %s", i, call_message(call));
        call_http(call, &o);
        assert_string_equal(o.method, cases[i].method);
        assert_string_equal(o.url, cases[i].url);
        assert_int_equal(o.body_len, strlen(cases[i].body));
        if (o.body_len)
            assert_memory_equal(o.body, cases[i].body, o.body_len);
        assert_string_equal(header(&o, "Content-Type"), cases[i].content_type);
        assert_int_equal(*header(&o, "Idempotency-Key") != 0,
                         strstr(cases[i].type, "keyed") != NULL);
        call_free(call);
    }
}

static void an_event_cannot_leave_base_url_nor_say_who_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *data, *fragment;
    } cases[] = {
        {"[]", "must be a JSON object"},
        {"{\"method\":\"POST\"}", "path must begin with /"},
        {"{\"method\":\"POST\",\"path\":\"a\"}", "path must begin with /"},
        {"{\"method\":\"POST\",\"path\":\"/a?b=%zz\"}", "percent-encoded"},
        {"{\"method\":\"POST\",\"path\":\"/a?b=%4\"}", "percent-encoded"},
        {"{\"method\":\"POST\",\"path\":\"/a?b%00=1\"}", "percent-encoded"},
        {"{\"method\":\"POST\",\"path\":\"/../a?b=c\"}", "would leave base_url"},
        {"{\"method\":\"POST\",\"path\":\"/a#b\"}", "path must begin with /"},
        {"{\"method\":\"POST\",\"path\":\"/a b\"}", "path must begin with /"},
        {"{\"method\":\"POST\",\"path\":\"/a\\\\b\"}", "path must begin with /"},
        {"{\"method\":\"POST\",\"path\":\"//evil.test/\"}", "would leave base_url"},
        {"{\"method\":\"POST\",\"path\":\"/../admin\"}", "would leave base_url"},
        {"{\"method\":\"POST\",\"path\":\"/a/..\"}", "would leave base_url"},
        {"{\"method\":\"POST\",\"path\":\"/a/./b\"}", "would leave base_url"},
        {"{\"method\":\"POST\",\"path\":\"/%2e%2E/admin\"}", "would leave base_url"},
        {"{\"method\":\"POST\",\"path\":\"/.%2e/admin\"}", "would leave base_url"},
        {"{\"method\":\"TRACE\",\"path\":\"/\"}", "method must be"},
        {"{\"path\":\"/\"}", "method must be"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"url\":\"x\"}", "\"url\" is not a member"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"headers\":{\"authorization\":\"x\"}}",
         "the header authorization is not the event's"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"headers\":{\"Cookie\":\"x\"}}",
         "the header cookie is not the event's"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"headers\":{\"Host\":\"evil\"}}",
         "the header Host is not"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"headers\":{\"A\":\"b\\r\\nC: d\"}}",
         "not allowed there"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"headers\":{\"A\":1}}",
         "headers.A must be a text"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"query\":{\"a\":[1]}}", "query.a must be"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"query\":\"a=b\"}", "query must be"},
        {"{\"method\":\"POST\",\"path\":\"/\",\"body\":{},\"content_type\":\"text/xml\"}",
         "content_type goes with"},
    };
    struct integration plain = with(NULL, NULL, 0);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call *call =
            deliver(&plain, (struct delivery){.type = "http.call.requested",
                                              .data = cases[i].data});
        assert_false(call_begin(call, NOW_US));
        assert_int_equal(call_class(call), CLASS_permanent);
        if (!strstr(call_message(call), cases[i].fragment))
            fail_msg("%s: \"%s\" is not in: %s", cases[i].data, cases[i].fragment,
                     call_message(call));
        call_free(call);
    }
}

static void every_style_of_credential_is_the_integrations(void **state)
{
    (void)state;
    struct {
        char *names[4], *values[4];
        size_t n;
        const char *header, *value, *fragment;
    } cases[] = {
        {{T("auth")}, {T("none")}, 1, "Authorization", "", NULL},
        {{T("auth")},
         {T("bearer")},
         1,
         "Authorization",
         "Bearer secret-0123456789",
         NULL},
        {{T("auth"), T("user")},
         {T("basic"), T("me")},
         2,
         "Authorization",
         "Basic bWU6cGFzcyB3b3Jk",
         NULL},
        {{T("auth"), T("auth_header")},
         {T("header"), T("X-Api-Key")},
         2,
         "X-Api-Key",
         "secret-0123456789",
         NULL},
        {{T("auth")}, {T("basic")}, 1, NULL, NULL, "the option user"},
        {{T("auth")}, {T("header")}, 1, NULL, NULL, "the option auth_header"},
        {{T("auth")}, {T("oauth2")}, 1, NULL, NULL, "the option token_url"},
        {{T("auth")},
         {T("digest")},
         1,
         NULL,
         NULL,
         "auth of the integration inst is digest"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct integration in = with(cases[i].names, cases[i].values, cases[i].n);
        struct call *call = deliver(&in, (struct delivery){.type = "http.read.requested",
                                                           .data = "{\"path\":\"/\"}"});
        struct http_call_options o;
        bool is_made = call_begin(call, NOW_US);
        assert_int_equal(is_made, cases[i].fragment == NULL);
        if (is_made) {
            call_http(call, &o);
            assert_string_equal(header(&o, cases[i].header), cases[i].value);
        } else if (!strstr(call_message(call), cases[i].fragment)) {
            fail_msg("case %zu: %s", i, call_message(call));
        }
        call_free(call);
    }
}

static void a_refused_token_is_exchanged_once(void **state)
{
    (void)state;
    char *names[] = {T("auth"), T("token_url"), T("scope")},
         *values[] = {T("oauth2"), T("https://id.test/token"), T("orders")};
    struct integration in = with(names, values, 3);
    const struct http_call refused = {.status = 401},
                           echo = {.status = 200, .body = "\"token-two-abc\""};
    struct call *call =
        deliver(&in, (struct delivery){.type = "http.call.requested",
                                       .data = "{\"method\":\"POST\",\"path\":\"/\"}"});
    struct http_call_options o;

    assert_true(call_begin(call, NOW_US));
    const struct credential *spec = call_oauth(call);
    assert_string_equal(spec->token_url, "https://id.test/token");
    assert_string_equal(spec->scope, "orders");
    call_set_token(call, "token-one-abc");
    call_http(call, &o);
    assert_string_equal(header(&o, "Authorization"), "Bearer token-one-abc");
    assert_true(call_end(call, &refused, NOW_US));
    assert_true(call_is_token_refused(call));
    call_set_token(call, "token-two-abc");
    call_http(call, &o);
    assert_string_equal(header(&o, "Authorization"), "Bearer token-two-abc");
    assert_int_equal(o.n_headers, 1);
    assert_false(call_end(call, &echo, NOW_US));
    struct buf out =
        BUF_NULL; /* nor does a service that echoes it bring it into the log */
    call_write(call, NOW_US, &out);
    assert_null(memmem(out.bytes, out.len, "token-two-abc", 13));
    buf_fini(&out);
    call_free(call);

    call =
        deliver(&in, (struct delivery){.type = "http.call.requested",
                                       .data = "{\"method\":\"POST\",\"path\":\"/\"}"});
    assert_true(call_begin(call, NOW_US));
    call_set_token(call, "a");
    assert_true(call_end(call, &refused, NOW_US));
    call_set_token(call, "b");
    assert_false(call_end(call, &refused, NOW_US)); /* the second time it is an answer */
    assert_int_equal(call_class(call), CLASS_permanent);
    call_free(call);
}

static void without_a_token_nothing_is_sent_and_the_reason_says_so(void **state)
{
    (void)state;
    char *names[] = {T("auth"), T("token_url")},
         *values[] = {T("oauth2"), T("https://id.test/token")};
    struct integration in = with(names, values, 2);

    for (int may_retry = 0; may_retry < 2; may_retry++) {
        struct call *call = deliver(
            &in, (struct delivery){.type = "http.call.requested",
                                   .data = "{\"method\":\"POST\",\"path\":\"/\"}"});
        assert_true(call_begin(call, NOW_US));
        assert_false(
            call_end_without_token(call, "no access token: why", may_retry, NOW_US));
        assert_int_equal(call_result(call), may_retry ? CALL_RETRY : CALL_FAILED);
        assert_int_equal(call_class(call), may_retry ? CLASS_none : CLASS_permanent);
        assert_string_equal(call_message(call), "no access token: why");
        call_free(call);
    }
}

/* --- answers --- */

static void a_failure_keeps_what_the_service_said(void **state)
{
    (void)state;
    struct integration plain = with(NULL, NULL, 0);
    struct call *call = deliver(&plain, (struct delivery){.type = "http.read.requested",
                                                          .data = "{\"path\":\"/\"}"});
    const struct http_call answer = {.status = 422,
                                     .body = "{\"detail\":\"no such thing\"}",
                                     .headers = {{"etag", "e1"}}};
    struct buf out = BUF_NULL;

    assert_true(call_begin(call, NOW_US));
    assert_false(call_end(call, &answer, NOW_US));
    assert_string_equal(call_message(call), "the service answered 422: no such thing");
    call_write(call, NOW_US, &out);
    const struct record *r = (const struct record *)out.bytes;
    const char expected[] =
        "{\"status\":422,\"etag\":\"e1\",\"body\":{\"detail\":\"no such thing\"}}";
    assert_int_equal(r->data_len, strlen(expected));
    assert_memory_equal(record_data(r), expected, r->data_len);
    buf_fini(&out);
    call_free(call);
}

/* --- polls --- */

struct poll_case {
    const char *name;
    char *names[6], *values[6];
    size_t n;
    const char *data, *url, *body;
    unsigned facts;
    const char *cursor, *first; /* of the outcome; the first fact's id */
    bool more;
};

static struct poll_case polls[] = {
    {"a plain list, for the first time",
     {T("poll_path")},
     {T("/orders")},
     1,
     "{}",
     "https://api.test/v2/orders",
     "[{\"id\":1},{\"id\":2},{\"id\":3}]",
     3,
     "3",
     "1",
     false},
    {"what was seen before is passed over",
     {T("poll_path")},
     {T("/orders")},
     1,
     "{\"cursor\":\"2\"}",
     "https://api.test/v2/orders",
     "[{\"id\":1},{\"id\":2},{\"id\":3}]",
     1,
     "3",
     "3",
     false},
    {"nothing new leaves the cursor",
     {T("poll_path")},
     {T("/orders")},
     1,
     "{\"cursor\":\"3\"}",
     "https://api.test/v2/orders",
     "[]",
     0,
     "3",
     NULL,
     false},
    {"the newest first, in the order in which they happened",
     {T("poll_path"), T("poll_order")},
     {T("/orders"), T("newest_first")},
     2,
     "{\"cursor\":\"1\"}",
     "https://api.test/v2/orders",
     "[{\"id\":3},{\"id\":2},{\"id\":1}]",
     2,
     "3",
     "2",
     false},
    {"a parameter and a place for more",
     {T("poll_path"), T("poll_items"), T("poll_id"), T("poll_cursor_parameter"),
      T("poll_more")},
     {T("/orders"), T("data.orders"), T("meta.uid"), T("after"), T("has_more")},
     5,
     "{\"cursor\":\"u1\",\"query\":{\"limit\":2}}",
     "https://api.test/v2/orders?limit=2&after=u1",
     "{\"has_more\":true,\"data\":{\"orders\":[{\"meta\":{\"uid\":\"u2\"}},{\"meta\":{"
     "\"uid\":\"u3\"}}]}}",
     2,
     "u3",
     "u2",
     true},
    {"a cursor of the service's own",
     {T("poll_path"), T("poll_items"), T("poll_cursor_parameter"), T("poll_next")},
     {T("/orders"), T("items"), T("page"), T("next")},
     4,
     "{\"cursor\":\"p1\"}",
     "https://api.test/v2/orders?page=p1",
     "{\"items\":[{\"id\":\"a\"}],\"next\":\"p2\"}",
     1,
     "p2",
     "a",
     true},
    {"the same cursor again is the end",
     {T("poll_path"), T("poll_items"), T("poll_cursor_parameter"), T("poll_next")},
     {T("/orders"), T("items"), T("page"), T("next")},
     4,
     "{\"cursor\":\"p2\"}",
     "https://api.test/v2/orders?page=p2",
     "{\"items\":[],\"next\":\"p2\"}",
     0,
     "p2",
     NULL,
     false},
    {"items that are the service's events",
     {T("poll_path"), T("poll_type")},
     {T("/events"), T("what.name")},
     2,
     "{\"cursor\":\"1\"}",
     "https://api.test/v2/events",
     "[{\"id\":1},{\"id\":2,\"what\":{\"name\":\"order.paid\"}}]",
     1,
     "2",
     NULL,
     false},
};

static void a_poll_finds_what_is_new_and_leaves_its_cursor(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(polls) / sizeof(polls[0]); i++) {
        struct poll_case *p = &polls[i];
        struct integration in = with(p->names, p->values, p->n);
        struct call *call = deliver(
            &in, (struct delivery){.type = "http.poll.requested", .data = p->data});
        const struct http_call answer = {.status = 200, .body = p->body};
        struct http_call_options o;
        if (!call_begin(call, NOW_US))
            fail_msg("%s: %s", p->name, call_message(call));
        call_http(call, &o);
        assert_string_equal(o.url, p->url);
        assert_false(call_end(call, &answer, NOW_US));
        const struct sb_outcome *outcome = call_outcome(call);
        if (!outcome)
            fail_msg("%s: %s", p->name, call_message(call));
        if (outcome->n_facts != p->facts || outcome->more != p->more ||
            strcmp(outcome->cursor, p->cursor) != 0)
            fail_msg("%s: %zu facts, cursor %s, more %d", p->name, outcome->n_facts,
                     outcome->cursor, outcome->more);
        if (p->first) {
            assert_string_equal(outcome->facts[0].key, p->first);
            assert_string_equal(outcome->facts[0].type, "http.item.found");
        }
        call_free(call);
    }
}

static void an_item_with_a_type_is_the_services_event_under_its_id(void **state)
{
    char *names[] = {T("poll_path"), T("poll_type")},
         *values[] = {T("/events"), T("type")};
    struct integration in = with(names, values, 2);
    struct call *call = trial_answered(
        &in, "http.poll.requested", "{}",
        (struct http_call){.status = 200,
                           .body = "[{\"id\":7,\"type\":\"order.paid\",\"sum\":5.25}]"});
    const struct sb_outcome *o = call_outcome(call);
    _free_ char *type = mem_format("%s.order.paid", in.name);

    (void)state;
    assert_int_equal(o->n_facts, 1);
    assert_string_equal(o->facts[0].type, type);
    assert_string_equal(o->facts[0].event_id, "7");
    assert_string_equal(buf_str(&o->facts[0].text),
                        "{\"id\":7,\"type\":\"order.paid\",\"sum\":5.25}");
    call_free(call);
    call = trial_answered(&in, "http.poll.requested", "{}",
                          (struct http_call){.status = 200, .body = "[{\"id\":7}]"});
    assert_int_equal(call_result(call), CALL_FAILED);
    assert_non_null(strstr(call_message(call), "poll_type"));
    call_free(call);
}

static void a_long_list_is_taken_in_several_runs(void **state)
{
    (void)state;
    char *names[] = {T("poll_path")}, *values[] = {T("/orders")};
    struct integration in = with(names, values, 1);
    struct buf body = BUF_NULL;
    char cursor[64] = "{}";
    unsigned found = 0, runs = 0;

    for (int i = 1; i <= 1200; i++)
        buf_format(&body, "%s{\"id\":%d}", i == 1 ? "[" : ",", i);
    buf_text(&body, "]");
    for (bool more = true; more; runs++) {
        struct call *call = deliver(
            &in, (struct delivery){.type = "http.poll.requested", .data = cursor});
        const struct http_call answer = {.status = 200, .body = buf_str(&body)};
        assert_true(call_begin(call, NOW_US));
        assert_false(call_end(call, &answer, NOW_US));
        const struct sb_outcome *outcome = call_outcome(call);
        assert_non_null(outcome);
        found += (unsigned)outcome->n_facts;
        more = outcome->more;
        snprintf(cursor, sizeof(cursor), "{\"cursor\":\"%s\"}", outcome->cursor);
        call_free(call);
    }
    assert_int_equal(found, 1200);
    assert_int_equal(runs, 3);
    assert_string_equal(cursor, "{\"cursor\":\"1200\"}");
    buf_fini(&body);
}

static void a_list_that_is_none_fails_and_says_which_option(void **state)
{
    (void)state;
    static const struct {
        const char *body, *fragment;
    } cases[] = {
        {"{\"items\":[]}", "poll_items"},
        {"7", "poll_items"},
        {"\"x\"", "poll_items"},
        {"<html>", "poll_items"},
        {"[{\"name\":\"x\"}]", "poll_id"},
        {"[{\"id\":\"\"}]", "poll_id"},
        {"[1,2]", "poll_id"},
    };
    char *names[] = {T("poll_path")}, *values[] = {T("/orders")};
    struct integration in = with(names, values, 1);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct call *call =
            deliver(&in, (struct delivery){.type = "http.poll.requested", .data = "{}"});
        const struct http_call answer = {.status = 200, .body = cases[i].body};
        assert_true(call_begin(call, NOW_US));
        assert_false(call_end(call, &answer, NOW_US));
        assert_int_equal(call_class(call), CLASS_permanent);
        if (!strstr(call_message(call), cases[i].fragment))
            fail_msg("%s: %s", cases[i].body, call_message(call));
        call_free(call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_right),
        cmocka_unit_test(requests_are_what_the_event_says),
        cmocka_unit_test(an_event_cannot_leave_base_url_nor_say_who_it_is),
        cmocka_unit_test(every_style_of_credential_is_the_integrations),
        cmocka_unit_test(a_refused_token_is_exchanged_once),
        cmocka_unit_test(without_a_token_nothing_is_sent_and_the_reason_says_so),
        cmocka_unit_test(a_failure_keeps_what_the_service_said),
        cmocka_unit_test(a_poll_finds_what_is_new_and_leaves_its_cursor),
        cmocka_unit_test(an_item_with_a_type_is_the_services_event_under_its_id),
        cmocka_unit_test(a_long_list_is_taken_in_several_runs),
        cmocka_unit_test(a_list_that_is_none_fails_and_says_which_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
