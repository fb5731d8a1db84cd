/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Errors as documents: what each says, and where it says when to come again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/problem.h"
#include "lib/base/json.h"
#include "lib/http/server.h"
#include "tests/unit/gateway/box.h"

static const char *header_of(const struct http_reply *reply, const char *name)
{
    for (const struct http_header *h = reply->headers; h && h->name; h++)
        if (!strcmp(h->name, name))
            return h->value;
    return NULL;
}

static void what_the_server_refuses_by_itself_is_a_document_too(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        const char *code, *retry;
    } cases[] = {
        {400, "bad_request", NULL},
        {413, "body_too_large", NULL},
        {503, "shutting_down", "1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct http_reply reply = {.status = cases[i].status};
        problem_fill(cases[i].status, &reply);
        struct json *body =
            js_parse(reply.body, reply.body_len, (char[64]){0}, /* error_size= */ 64);
        assert_non_null(body);
        assert_string_equal(reply.content_type, "application/problem+json");
        assert_int_equal(js_int(body, "status", 0), cases[i].status);
        assert_string_equal(js_text(body, "code", ""), cases[i].code);
        if (cases[i].retry)
            assert_string_equal(header_of(&reply, "Retry-After"), cases[i].retry);
        else
            assert_null(header_of(&reply, "Retry-After"));
        js_free(body);
    }
}

/* Answers the next requests with this. */
static struct {
    unsigned error;
    const char *detail;
    uint32_t after_ms;
} wanted;

static void on_request(void *user, struct http_request *request)
{
    (void)user;
    problem_reply(request, wanted.error, wanted.detail, wanted.after_ms);
}

static struct answer answered(struct box *box, unsigned error, const char *detail,
                              uint32_t after_ms)
{
    wanted.error = error;
    wanted.detail = detail;
    wanted.after_ms = after_ms;
    return hear(box, ask(box, "GET", "/x", "", "", 0), HEAR_MS);
}

/* The same box with a server that answers as it is told. */
static int open_told(void **state)
{
    int rc = box_open(state);
    struct box *box = *state;
    char error[128];
    http_server_free(box->gateway.server);
    const struct http_server_options options = {
        .address = "127.0.0.1", .body_max = 1024, .on_request = on_request};
    box->gateway.server =
        http_server_new(box->gateway.loop, &options, error, sizeof(error));
    return box->gateway.server ? rc : -1;
}

static void an_outage_says_what_then_unless_the_place_knows_better(void **state)
{
    struct box *box = *state;
    _answer_ struct answer plain = answered(box, ERR_overloaded, NULL, 0);
    assert_int_equal(plain.status, 503);
    assert_non_null(strstr(js_text(plain.body, "detail", ""), "Send it again"));
    assert_non_null(strstr(buf_str(&plain.text), "Retry-After: 1\r\n"));
    _answer_ struct answer better = answered(box, ERR_overloaded, "three wait", 4200);
    assert_string_equal(js_text(better.body, "detail", ""), "three wait");
    assert_non_null(strstr(buf_str(&better.text), "Retry-After: 5\r\n")); /* rounded up */
}

static void each_outage_may_be_sent_again_but_a_failed_call(void **state)
{
    struct box *box = *state;
    static const unsigned outages[] = {
#define OUTAGE(name, when, then) ERR_##name,
#include "gateway/outages.def"
#undef OUTAGE
    };
    for (size_t i = 0; i < sizeof(outages) / sizeof(outages[0]); i++) {
        _answer_ struct answer answer = answered(box, outages[i], NULL, 0);
        assert_in_range(answer.status, 500, 599);
        assert_string_not_equal(js_text(answer.body, "detail", ""), "");
        bool again = strstr(buf_str(&answer.text), "Retry-After: ") != NULL;
        assert_int_equal(again, outages[i] != ERR_call_failed);
    }
}

static void what_is_the_senders_fault_is_not_sent_again(void **state)
{
    struct box *box = *state;
    _answer_ struct answer answer = answered(box, ERR_signature_invalid, NULL, 0);
    assert_int_equal(answer.status, 401);
    assert_null(js_get(answer.body, "detail")); /* nothing for who forges */
    assert_null(strstr(buf_str(&answer.text), "Retry-After"));
    _answer_ struct answer token = answered(box, ERR_unauthorized, NULL, 0);
    assert_non_null(strstr(buf_str(&token.text), "WWW-Authenticate: Bearer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_server_refuses_by_itself_is_a_document_too),
        cmocka_unit_test_setup_teardown(
            an_outage_says_what_then_unless_the_place_knows_better, open_told, box_close),
        cmocka_unit_test_setup_teardown(each_outage_may_be_sent_again_but_a_failed_call,
                                        open_told, box_close),
        cmocka_unit_test_setup_teardown(what_is_the_senders_fault_is_not_sent_again,
                                        open_told, box_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
