/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/result.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "proto/attrs.h"
#include "proto/control.h"

enum { MAX = 4 };

static bool read_text(const char *text, struct result results[MAX], size_t *n, char *why)
{
    static struct json *value; /* lives until the next, as results borrow from it */
    js_free(value);
    value = js_parse(text, strlen(text), why, 160);
    return value && results_read(value, results, MAX, n, why, 160);
}

static void all_kinds_are_read(void **state)
{
    (void)state;
    struct result r[MAX];
    char why[160];
    size_t n = 0;
    assert_true(read_text("[{\"lease\":\"l\",\"result\":\"ack\"},"
                          "{\"id\":\"e\",\"result\":\"retry\",\"after\":\"5s\","
                          "\"error\":\"busy\"},"
                          "{\"lease\":\"l\",\"result\":\"fail\"},"
                          "{\"lease\":\"l\",\"result\":\"extend\",\"after\":\"1m\"}]",
                          r, &n, why));
    assert_int_equal(n, 4);
    assert_int_equal(r[0].kind, RESULT_ACK);
    assert_string_equal(r[0].lease, "l");
    assert_int_equal(r[1].kind, RESULT_RETRY);
    assert_string_equal(r[1].id, "e");
    assert_int_equal(r[1].after_us, 5000000);
    assert_string_equal(r[1].error, "busy");
    assert_int_equal(r[2].kind, RESULT_FAIL);
    assert_int_equal(r[3].kind, RESULT_EXTEND);
    assert_int_equal(r[3].after_us, 60000000);
}

static void what_is_wrong_is_named_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"{}", "list"},
        {"[1]", "result 0: a result has"},
        {"[{}]", "result 0: say either"},
        {"[{\"lease\":\"l\",\"result\":\"fail\",\"eror\":\"x\"}]", "no more"},
        {"[{\"lease\":\"l\",\"result\":\"ack\"},{\"result\":\"ack\"}]", "result 1: say"},
        {"[{\"lease\":\"l\",\"id\":\"e\",\"result\":\"ack\"}]", "either"},
        {"[{\"lease\":\"l\"}]", "ack, retry, fail or extend"},
        {"[{\"lease\":\"l\",\"result\":\"ACK\"}]", "ack, retry, fail or extend"},
        {"[{\"lease\":\"l\",\"result\":\"retry\",\"after\":5}]", "`after`"},
        {"[{\"lease\":\"l\",\"result\":\"retry\",\"after\":\"soon\"}]", "`after`"},
        {"[{\"lease\":\"l\",\"result\":\"fail\",\"after\":\"5s\"}]", "belongs"},
        {"[{\"lease\":\"l\",\"result\":\"fail\",\"error\":5}]", "`error`"},
        {"[{},{},{},{},{}]", "at most 4"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct result r[MAX];
        char why[160];
        size_t n;
        assert_false(read_text(cases[i].text, r, &n, why));
        assert_non_null(strstr(why, cases[i].why));
    }
}

static void too_long_an_error_is_refused(void **state)
{
    (void)state;
    struct result r[MAX];
    struct buf text = {0};
    char why[160];
    size_t n;
    buf_format(&text, "[{\"lease\":\"l\",\"result\":\"fail\",\"error\":\"%0*d\"}]",
               RESULT_ERROR_MAX + 1, 0);
    assert_false(read_text(buf_str(&text), r, &n, why));
    assert_non_null(strstr(why, "1,000 bytes"));
    buf_fini(&text);
}

static const struct record *only_record(const struct buf *out)
{
    const char *why;
    const struct record *r = record_check(out->bytes, out->len, &why);
    assert_non_null(r);
    assert_int_equal(r->len, out->len);
    return r;
}

static void records_say_what_the_result_says(void **state)
{
    (void)state;
    static const struct {
        struct result result;
        enum record_kind kind;
        unsigned status, class;
        uint64_t due_us;
    } cases[] = {
        {{.kind = RESULT_ACK}, RECORD_ACK, STATUS_SUCCESS, CLASS_none, 0},
        {{.kind = RESULT_FAIL, .error = "no"},
         RECORD_ACK,
         STATUS_FAILED,
         CLASS_permanent,
         0},
        {{.kind = RESULT_RETRY, .after_us = 7}, RECORD_RETRY, 0, CLASS_none, 7},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};
        result_write(&cases[i].result, (struct position){9, 3}, &out);
        const struct record *r = only_record(&out);
        assert_int_equal(r->kind, cases[i].kind);
        assert_int_equal(r->error_class, cases[i].class);
        if (r->kind == RECORD_ACK) {
            struct control_ack ack;
            memcpy(&ack, record_data(r), sizeof(ack));
            assert_int_equal(ack.block, 9);
            assert_int_equal(ack.first, 3);
            assert_int_equal(ack.count, 1);
            assert_int_equal(ack.result, cases[i].status);
        } else {
            struct control_retry retry;
            memcpy(&retry, record_data(r), sizeof(retry));
            assert_int_equal(retry.block, 9);
            assert_int_equal(retry.index, 3);
            assert_int_equal(retry.due_us, cases[i].due_us);
            assert_int_equal(retry.attempts, 1);
        }
        buf_fini(&out);
    }
}

static void giving_back_counts_only_when_somebody_had_his_time(void **state)
{
    (void)state;
    for (unsigned counts = 0; counts < 2; counts++) {
        struct buf out = {0};
        struct control_retry retry;
        result_give_back(&out, (struct position){9, 3}, counts);
        memcpy(&retry, record_data(only_record(&out)), sizeof(retry));
        assert_int_equal(retry.attempts, counts);
        assert_int_equal(retry.due_us, counts ? 0 : 1);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_are_read),
        cmocka_unit_test(what_is_wrong_is_named_with_its_place),
        cmocka_unit_test(too_long_an_error_is_refused),
        cmocka_unit_test(records_say_what_the_result_says),
        cmocka_unit_test(giving_back_counts_only_when_somebody_had_his_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
