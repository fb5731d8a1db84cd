/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/binary.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"

static void value_of_a_header_is_escaped_as_the_binding_says(void **state)
{
    (void)state;
    static const struct {
        const char *text, *escaped;
    } cases[] = {
        {"plain/text-1~", "plain/text-1~"},
        {"a b\"c%", "a%20b%22c%25"},
        {"\xe2\x82\xac", "%E2%82%AC"},
        {"line\r\nce-type: x", "line%0D%0Ace-type:%20x"}, /* no header of its own */
        {"", ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = {0};
        binary_escape(cases[i].text, &out);
        assert_string_equal(buf_str(&out), cases[i].escaped);
        buf_fini(&out);
    }
}

/* Refused before anything is answered: so no request is needed. */
static void more_attributes_than_headers_may_hold_are_not_answered(void **state)
{
    (void)state;
    struct json *many = js_object(), *large = js_object();
    char name[8] = "a";
    for (int i = 0; i <= BINARY_HEADERS_MAX; i++) {
        name[0] = (char)('a' + i / 26);
        name[1] = (char)('a' + i % 26);
        js_set_int(many, name, i);
    }
    static char text[BINARY_BYTES_MAX + 1];
    memset(text, 'x', sizeof(text) - 1);
    js_set_text(large, "subject", text);
    assert_false(binary_reply(NULL, many, "", 0));
    assert_false(binary_reply(NULL, large, "", 0));
    js_free(many);
    js_free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_of_a_header_is_escaped_as_the_binding_says),
        cmocka_unit_test(more_attributes_than_headers_may_hold_are_not_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
