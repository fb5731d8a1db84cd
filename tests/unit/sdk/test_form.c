/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/sdk/form.h"

static void fields_are_the_bytes_that_stripes_own_sdk_sends(void **state)
{
    (void)state;
    struct buf out = BUF_NULL;
    static const char json[] =
        "{\"payment_method_types\":[\"card\",\"link\"],\"metadata\":{\"order id\":\"6735 "
        "& \\u00fc\"},"
        "\"shipping\":{\"name\":\"J\",\"address\":{\"line1\":\"x\"}}}";
    char error[100];
    struct json *value = js_parse(json, sizeof(json) - 1, error, sizeof(error));

    form_field(&out, "amount", "2000");
    form_field(&out, "currency", "usd");
    form_json(&out, "payment_method_types", js_get(value, "payment_method_types"));
    form_json(&out, "metadata", js_get(value, "metadata"));
    form_json(&out, "shipping", js_get(value, "shipping"));
    form_field(&out, "description", "");
    assert_string_equal(buf_str(&out), "amount=2000&currency=usd&payment_method_types[0]="
                                       "card&payment_method_types[1]=link&"
                                       "metadata[order%20id]=6735%20%26%20%C3%BC&"
                                       "shipping[name]=J&shipping[address][line1]=x&"
                                       "description=");
    js_free(value);
    buf_fini(&out);
}

static void json_values_have_one_spelling_each(void **state)
{
    (void)state;
    static const struct {
        const char *json, *form;
    } cases[] = {
        {"null", "x="},
        {"true", "x=true"},
        {"-7", "x=-7"},
        {"\"a=b&c\"", "x=a%3Db%26c"},
        {"{}", ""},
        {"[]", ""},
        {"{\"a\":[1,null,{\"b\":false}]}", "x[a][0]=1&x[a][1]=&x[a][2][b]=false"},
        {"{\"a]&[b\":1}", "x[a%5D%26%5Bb]=1"}, /* a member's name cannot nest */
        {"\"-._~'()*!+\"", "x=-._~%27%28%29%2A%21%2B"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_NULL;
        char error[100];
        struct json *value =
            js_parse(cases[i].json, strlen(cases[i].json), error, sizeof(error));
        assert_non_null(value);
        form_json(&out, "x", value);
        assert_string_equal(buf_str(&out), cases[i].form);
        js_free(value);
        buf_fini(&out);
    }
}

static void no_byte_can_break_out_of_a_field(void **state)
{
    (void)state;
    for (int c = 1; c < 256; c++) {
        struct buf out = BUF_NULL;
        form_field(&out, "n", (const char[]){(char)c, 0});
        assert_null(strpbrk(buf_str(&out) + 2, "&=+ #?\r\n;"));
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_are_the_bytes_that_stripes_own_sdk_sends),
        cmocka_unit_test(json_values_have_one_spelling_each),
        cmocka_unit_test(no_byte_can_break_out_of_a_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
