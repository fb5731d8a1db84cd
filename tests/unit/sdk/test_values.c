/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "include/signalbox/connector.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"

static struct sb_json *parse(const char *text)
{
    char error[100];

    return (struct sb_json *)js_parse(text, strlen(text), error, sizeof(error));
}

static void a_missing_or_mistyped_value_is_told_from_a_present_one(void **state)
{
    (void)state;
    struct sb_json *v =
        parse("{\"a\":{\"b\":[5,\"x\"]},\"n\":null,\"f\":1.5,\"t\":true}");
    int64_t number = 42;
    double real = 0;
    bool truth = false;

    assert_true(sb_int(v, "a.b.0", &number) && number == 5);
    assert_false(sb_int(v, "a.b.1", &number));
    assert_false(sb_int(v, "f", &number));
    assert_int_equal(number, 5);
    assert_true(sb_number(v, "f", &real) && real > 1.4);
    assert_true(sb_bool(v, "t", &truth) && truth);
    assert_false(sb_bool(v, "f", &truth));
    assert_string_equal(sb_text(v, "a.b.1"), "x");
    assert_null(sb_text(v, "a.b.0"));
    assert_null(sb_text(v, "a.b.2"));
    assert_false(sb_has(v, "n"));
    assert_true(sb_has(v, "a"));
    assert_int_equal(sb_count(v, "a.b"), 2);
    assert_false(sb_has(NULL, "a"));
    assert_null(sb_text(NULL, ""));
    assert_int_equal(sb_count(NULL, "a"), 0);
    js_free((struct json *)v);
}

static void a_stranger_among_the_members_is_named(void **state)
{
    (void)state;
    static const char *const known[] = {"amount", "currency", NULL};
    struct sb_json *v = parse("{\"amount\":1,\"ammount\":2}"),
                   *good = parse("{\"currency\":1}");
    const char *name;

    assert_string_equal(sb_stranger(v, known), "ammount");
    assert_null(sb_stranger(good, known));
    assert_null(sb_stranger(NULL, known));
    assert_non_null(sb_member(v, 1, &name));
    assert_string_equal(name, "ammount");
    assert_null(sb_member(v, 2, NULL));
    js_free((struct json *)v);
    js_free((struct json *)good);
}

static void paths_are_made_as_they_are_written(void **state)
{
    (void)state;
    struct sb_json *v = (struct sb_json *)js_object();
    struct buf out = BUF_NULL;

    assert_true(sb_put_text(v, "a.b.c", "x"));
    assert_true(sb_put_int(v, "l.0", 1));
    assert_true(sb_put_bool(v, "l.1.deep", true));
    assert_true(sb_put(v, "copy", sb_at(v, "a")));
    assert_true(sb_put_text(sb_append(v, "rows"), "id", "r1"));
    assert_true(sb_put_text(sb_append(v, "rows"), "id", "r2"));
    assert_true(sb_put_text(v, "nothing", NULL));
    assert_false(sb_put_int(v, "a.b.c.d", 1)); /* through a text */
    assert_false(sb_put_int(v, "l.7", 1));     /* a hole */
    assert_false(sb_put_text(v, "bad", "\xff"));
    assert_false(sb_put_int(v, "", 1));
    assert_null(sb_append(v, "a"));
    js_write((struct json *)v, 0, &out);
    assert_string_equal(buf_str(&out), "{\"a\":{\"b\":{\"c\":\"x\"}},\"l\":[1,{\"deep\":"
                                       "true}],\"copy\":{\"b\":{\"c\":\"x\"}},"
                                       "\"rows\":[{\"id\":\"r1\"},{\"id\":\"r2\"}]}");
    buf_fini(&out);
    js_free((struct json *)v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_or_mistyped_value_is_told_from_a_present_one),
        cmocka_unit_test(a_stranger_among_the_members_is_named),
        cmocka_unit_test(paths_are_made_as_they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
