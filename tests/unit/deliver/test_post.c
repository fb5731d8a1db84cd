/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One event as a post, and what the group hears of each answer; the answers made by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/post.h"
#include "lib/base/json.h"
#include "lib/sdk/call.h"
#include "proto/attrs.h"
#include "proto/control.h"
#include "tests/unit/sdk/answer.h"
#include "tests/unit/sdk/delivery.h"

static const char *const secrets[] = {
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", NULL};
static const struct integration integration = {.connector = &post_connector,
                                               .name = "app",
                                               .base_url = "https://app.test",
                                               .timeout_us = 15000000,
                                               .is_consumer = true};
static unsigned gone;

static void on_gone(void *user)
{
    (void)user;
    gone++;
}

static int set_up(void **state)
{
    (void)state;
    gone = 0;
    post_settings = (struct post_settings){"/hooks", secrets, on_gone, NULL};
    return 0;
}

static struct call *posted(const char *data)
{
    struct call *call =
        deliver(&integration, (struct delivery){.type = "order.placed", .data = data});

    assert_true(call_begin(call, NOW_US));
    return call;
}

static const char *header(const struct http_call_options *options, const char *name)
{
    for (size_t i = 0; i < options->n_headers; i++)
        if (strcmp(options->headers[i].name, name) == 0)
            return options->headers[i].value;
    return "";
}

static void a_post_has_id_time_and_a_signature_for_each_secret(void **state)
{
    (void)state;
    struct call *call = posted("{\"n\":1}");
    struct http_call_options o;
    static const char body[] = "{\"type\":\"order.placed\","
                               "\"timestamp\":\"2023-11-14T22:13:20.000000Z\","
                               "\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\","
                               "\"data\":{\"n\":1}}";

    call_http(call, &o);
    assert_string_equal(o.method, "POST");
    assert_string_equal(o.url, "https://app.test/hooks");
    assert_string_equal(header(&o, "webhook-id"), "01890a5d-ac96-774b-bcce-b302099a8057");
    assert_string_equal(header(&o, "webhook-timestamp"), "1700000000");
    assert_string_equal(header(&o, "Content-Type"), "application/json");
    assert_int_equal(strlen(header(&o, "webhook-signature")), 2 * 47 + 1);
    assert_int_equal(o.body_len, strlen(body));
    assert_memory_equal(o.body, body, o.body_len);
    assert_int_equal(o.timeout_us, 15000000);
    call_free(call);
}

static void data_that_is_no_json_is_text_or_base64(void **state)
{
    (void)state;
    static const struct {
        const char *data, *part;
    } cases[] = {{"a=1", "\"data\":\"a=1\""}, {"\xff", "\"data_base64\":\"/w==\""}};

    for (size_t i = 0; i < 2; i++) {
        struct call *call = posted(cases[i].data);
        struct http_call_options o;
        call_http(call, &o);
        assert_non_null(memmem(o.body, o.body_len, cases[i].part, strlen(cases[i].part)));
        call_free(call);
    }
}

static const struct {
    struct http_call answer;
    bool is_taken;
    uint64_t after_us;
    unsigned gone;
    const char *why;
} answers[] = {
    {{.status = 200}, true, 0, 0, NULL},
    {{.status = 204}, true, 0, 0, NULL},
    {{.status = 302, .headers = {{"Location", "http://a/"}}}, false, 0, 0, "redirects"},
    {{.status = 400}, false, 0, 0, "answered 400"},
    {{.status = 404}, false, 0, 0, "answered 404"},
    {{.status = 410}, false, 0, 1, "wants no more"},
    {{.status = 429, .headers = {{"Retry-After", "7"}}}, false, 7000000, 0, "429"},
    {{.status = 502}, false, 0, 0, "answered 502"},
    {{.result = HTTP_NOT_SENT, .error = "refused"}, false, 0, 0, "refused"},
    {{.result = HTTP_NO_ANSWER, .error = "cut"}, false, 0, 0, "cut"},
};

static void only_2xx_is_an_acknowledgement(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct call *call = posted("{}");
        struct buf out = BUF_NULL;
        gone = 0;
        assert_false(call_end(call, &answers[i].answer, NOW_US));
        call_write(call, NOW_US, &out);
        const struct record *r = (const struct record *)out.bytes;
        assert_int_equal(out.len, r->len); /* one record, and no outcome */
        assert_int_equal(r->kind, answers[i].is_taken ? RECORD_ACK : RECORD_RETRY);
        assert_int_equal(gone, answers[i].gone);
        if (answers[i].is_taken) {
            struct control_ack ack;
            memcpy(&ack, record_data(r), sizeof(ack));
            assert_true(ack.block == 7 && ack.first == 3 && ack.count == 1 &&
                        ack.result == STATUS_SUCCESS);
        } else {
            struct control_retry retry;
            memcpy(&retry, record_data(r), sizeof(retry));
            assert_true(retry.block == 7 && retry.index == 3 && retry.attempts == 1);
            assert_int_equal(retry.due_us, answers[i].after_us);
            char *why = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ERROR_MSG);
            assert_non_null(strstr(why, answers[i].why));
            free(why);
        }
        buf_fini(&out);
        call_free(call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_post_has_id_time_and_a_signature_for_each_secret,
                               set_up),
        cmocka_unit_test_setup(data_that_is_no_json_is_text_or_base64, set_up),
        cmocka_unit_test_setup(only_2xx_is_an_acknowledgement, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
