/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/scan.h"

/* As the parser says, too. */
static bool is_json(const char *text, size_t n)
{
    char error[64];
    struct json *value = js_parse(text, n, error, sizeof(error));
    bool good = scan_check(text, n);
    assert_int_equal(good, value != NULL);
    js_free(value);
    return good;
}

static void json_is_taken(void **state)
{
    (void)state;
    static const char *const texts[] = {"{}",
                                        " [ ] ",
                                        "null",
                                        "\"\"",
                                        "-0",
                                        "0.5E-3",
                                        "[true,false,null]",
                                        "[[],{}]",
                                        "{\"a\":{\"a\":1},\"b\":{\"a\":2}}",
                                        "{\"\":1}",
                                        "\"\x7f\xc2\x80\"",
                                        "\"\\ud83d\\ude82\"",
                                        "1e308",
                                        "-9223372036854775808",
                                        "1e-999",
                                        "{\"0123456789\":\"01234567\\\"\"}\r\n\t"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_true(is_json(texts[i], strlen(texts[i])));
}

static void anything_else_is_not(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        " ",
                                        "{",
                                        "[1,]",
                                        "{\"a\":1,}",
                                        "{\"a\"}",
                                        "{a:1}",
                                        "{1:1}",
                                        "[1 2]",
                                        "[1]]",
                                        "tru",
                                        "True",
                                        "nullx",
                                        "'a'",
                                        "01",
                                        "-",
                                        "1.",
                                        ".5",
                                        "+1",
                                        "1e",
                                        "1e+",
                                        "0x1",
                                        "NaN",
                                        "1e309",
                                        "9223372036854775808",
                                        "\"a",
                                        "\"\n\"",
                                        "\"\\x\"",
                                        "\"\\u12g4\"",
                                        "\"\\u0000\"",
                                        "\"\\ud83d\"",
                                        "\"\\ude82\"",
                                        "\"\\ud83d\\u0041\"",
                                        "\"\xff\"",
                                        "\"\xc0\xaf\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\xf4\x90\x80\x80\"",
                                        "\"\xe2\x82\"",
                                        "\xef\xbb\xbf{}",
                                        "/**/1",
                                        "\"\\",
                                        "\"01234567\x01\""};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(is_json(texts[i], strlen(texts[i])));
    assert_false(is_json("1\0", 2));
    assert_false(is_json("\"\0\"", 3));
}

static void a_name_stands_once_in_an_object(void **state)
{
    (void)state;
    const char *escaped = "{\"a\":1,\"b\":[{\"c\":1,\"\\u0063\":2}]}";
    assert_false(is_json(escaped, strlen(escaped)));
    for (int n = 1; n < 200; n++) { /* few are compared, many are sorted */
        struct buf object = BUF_NULL;
        for (int i = 0; i < n; i++)
            buf_format(&object, "%s\"n%d\":{\"n0\":0}", i ? "," : "{", i);
        size_t good = object.len;
        buf_text(&object, "}");
        assert_true(is_json(buf_str(&object), object.len));
        object.len = good;
        buf_format(&object, ",\"n%d\":1}", n / 2);
        assert_false(is_json(buf_str(&object), object.len));
        buf_fini(&object);
    }
}

static void depth_has_a_bound(void **state)
{
    (void)state;
    struct buf text = BUF_NULL;
    for (int i = 0; i < SCAN_DEPTH_MAX; i++)
        buf_text(&text, "[");
    for (int i = 0; i < SCAN_DEPTH_MAX; i++)
        buf_text(&text, "]");
    assert_true(is_json(buf_str(&text), text.len));
    buf_clear(&text);
    for (int i = 0; i < SCAN_DEPTH_MAX; i++)
        buf_text(&text, "[");
    buf_text(&text, "1");
    for (int i = 0; i < SCAN_DEPTH_MAX; i++)
        buf_text(&text, "]");
    assert_false(is_json(buf_str(&text), text.len));
    buf_fini(&text);
}

static void text_is_strict_utf8_or_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        bool good;
    } cases[] = {
        {"", 0, true},          {"a\xe2\x82\xac", 4, true}, {"\xff", 1, false},
        {"\xe2\x82", 2, false}, {"a\0b", 3, false},         {"\xed\xa0\x80", 3, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(scan_is_utf8(cases[i].text, cases[i].n), cases[i].good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_taken),
        cmocka_unit_test(anything_else_is_not),
        cmocka_unit_test(a_name_stands_once_in_an_object),
        cmocka_unit_test(depth_has_a_bound),
        cmocka_unit_test(text_is_strict_utf8_or_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
