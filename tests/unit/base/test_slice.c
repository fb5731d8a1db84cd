/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/slice.h"

static struct slice_text text(const char *s)
{
    return (struct slice_text){s, strlen(s)};
}

static void assert_slice(struct slice_text got, const char *wanted)
{
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.text, wanted, got.len);
}

static void member_is_cut_out_as_written(void **state)
{
    (void)state;
    static const struct {
        const char *object, *value;
    } cases[] = {
        {"{\"data\":1}", "1"},
        {"{\"d\\u0061ta\":1}", "1"},
        {"{\"data\":1.00}", "1.00"},
        {" { \"a\" : \"data\" , \"data\" :  { \"b\" : [1, 2] }  , \"c\":null}",
         "{ \"b\" : [1, 2] }"},
        {"{\"x\":{\"data\":1},\"data\":2}", "2"},
        {"{\"x\":\"\\\"data\\\":1}\",\"data\":\"a\\\\\"}", "\"a\\\\\""},
        {"{\"data\":12345678901234567890123}", "12345678901234567890123"},
        {"{\"data\":true }", "true"},
        {"{\"data\":[]}", "[]"},
        {"{\"x\":\"}\",\"y\":[\"]\"],\"data\":\"{\"}", "\"{\""},
        {"{\"x\":1\n,\"data\":-0.5e10\r\n}", "-0.5e10"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice_text got;
        assert_true(slice_member(text(cases[i].object), "data", &got));
        assert_slice(got, cases[i].value);
    }
}

static void missing_member_is_not_found(void **state)
{
    (void)state;
    struct slice_text got;
    static const char *const objects[] = {"{}",
                                          "{ }",
                                          "{\"a\":1}",
                                          "{\"dat\":1,\"dataa\":2}",
                                          "{\"a\":{\"data\":1}}",
                                          "",
                                          "[]",
                                          "\"data\"",
                                          "{\"data\"",
                                          "{\"data\":"};
    for (size_t i = 0; i < sizeof(objects) / sizeof(objects[0]); i++)
        assert_false(slice_member(text(objects[i]), "data", &got));
}

static void elements_come_in_order(void **state)
{
    (void)state;
    struct slice_text got, array = text(" [ {\"a\":[1,2]} , \"x,]\" ,3, [] ]");
    size_t at = 0;
    assert_true(slice_element(array, &at, &got));
    assert_slice(got, "{\"a\":[1,2]}");
    assert_true(slice_element(array, &at, &got));
    assert_slice(got, "\"x,]\"");
    assert_true(slice_element(array, &at, &got));
    assert_slice(got, "3");
    assert_true(slice_element(array, &at, &got));
    assert_slice(got, "[]");
    assert_false(slice_element(array, &at, &got));
    at = 0;
    assert_false(slice_element(text("[]"), &at, &got));
}

static void values_are_found_by_path(void **state)
{
    (void)state;
    struct slice_text all = text(" {\"a\":{\"b\":[1,{\"c\":\"x\"}],\"\":2},\"d\":3} ");
    static const struct {
        const char *path, *value;
    } cases[] = {
        {"d", "3"},          {"a.b", "[1,{\"c\":\"x\"}]"},
        {"a.b.0", "1"},      {"a.b.1.c", "\"x\""},
        {"a.b.2", NULL},     {"a.b.x", NULL},
        {"a.b.0.c", NULL},   {"d.e", NULL},
        {"a.b.1.d", NULL},   {"a.b.9999999999", NULL},
        {"a.b.1.c.0", NULL}, {"b", NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct slice_text got;
        assert_int_equal(slice_get(all, cases[i].path, &got), cases[i].value != NULL);
        if (cases[i].value)
            assert_slice(got, cases[i].value);
    }
}

static void texts_are_read_with_their_escapes(void **state)
{
    (void)state;
    struct buf out = BUF_NULL;
    assert_true(slice_add_text(text("\"a\\n\\u00e9\\u20AC\\ud83d\\ude82\\/\""), &out));
    assert_string_equal(buf_str(&out), "a\n\xc3\xa9\xe2\x82\xac\xf0\x9f\x9a\x82/");
    buf_clear(&out);
    assert_false(slice_add_text(text("1"), &out));
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void whole_numbers_are_read_and_no_others(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         "-",
                                         "1.0",
                                         "1e3",
                                         "\"1\"",
                                         "true",
                                         "[1]",
                                         "9223372036854775808",
                                         "-9223372036854775809"};
    int64_t number = 7;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_false(slice_int(text(others[i]), &number));
    assert_int_equal(number, 7);
    assert_true(slice_int(text("-9223372036854775808"), &number));
    assert_true(number == INT64_MIN);
    assert_true(slice_int(text("9223372036854775807"), &number));
    assert_true(number == INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(member_is_cut_out_as_written),
        cmocka_unit_test(missing_member_is_not_found),
        cmocka_unit_test(elements_come_in_order),
        cmocka_unit_test(values_are_found_by_path),
        cmocka_unit_test(texts_are_read_with_their_escapes),
        cmocka_unit_test(whole_numbers_are_read_and_no_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
