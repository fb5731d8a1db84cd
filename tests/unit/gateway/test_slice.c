/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/slice.h"

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
                                          "{\"d\\u0061ta\":1}",
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(member_is_cut_out_as_written),
        cmocka_unit_test(missing_member_is_not_found),
        cmocka_unit_test(elements_come_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
