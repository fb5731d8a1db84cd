/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* buf, hash, id and json; text has a file of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

/* --- buf --- */

static void a_buffer_grows_keeps_and_pads(void **state)
{
    struct buf b = BUF_NULL;

    (void)state;
    assert_string_equal(buf_str(&b), "");
    for (int i = 0; i < 1000; i++)
        buf_format(&b, "%d,", i % 10);
    assert_int_equal(b.len, 2000);
    assert_memory_equal(b.bytes + 1998, "9,", 3); /* the NUL behind it, too */
    buf_text(&b, "x");
    buf_pad8(&b);
    assert_int_equal(b.len, 2008);
    assert_int_equal(b.bytes[2007], 0);
    buf_pad8(&b);
    assert_int_equal(b.len, 2008);
    buf_add(&b, NULL, 16);
    assert_int_equal(b.bytes[2023], 0);
    buf_clear(&b);
    assert_string_equal(buf_str(&b), "");
    buf_fini(&b);
    buf_fini(&b);
    assert_null(b.bytes);
}

/* --- hash --- */

static void hashes_are_those_of_their_specifications(void **state)
{
    char zeros[32] = {0};

    (void)state;
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283); /* RFC 3720, B.4 */
    assert_int_equal(crc32c(0, zeros, 32), 0x8a9136aa);
    assert_int_equal(crc32c(0, NULL, 0), 0);
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xe3069283);
    assert_true(hash64("", 0) == UINT64_C(0x2d06800538d394c2)); /* XXH3-64 of nothing */
    assert_true(hash_text("stripe") == hash64("stripe", 6));
}

static void a_pair_is_not_the_same_text_split_elsewhere(void **state)
{
    uint8_t a[16], b[16];

    (void)state;
    hash_pair("ab", "c", 1, a);
    hash_pair("a", "bc", 2, b);
    assert_memory_not_equal(a, b, 16);
    hash_pair("ab", "c", 1, b);
    assert_memory_equal(a, b, 16);
}

/* --- id --- */

static void ids_ascend_also_when_the_clock_goes_back(void **state)
{
    uint8_t last[16] = {0}, id[16];
    uint64_t now = 1795489660000000;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        id_new(now, id);
        assert_true(memcmp(last, id, 16) < 0);
        assert_int_equal(id[6] >> 4, 7);
        assert_int_equal(id[8] >> 6, 2);
        memcpy(last, id, 16);
        now += i % 7 == 0 ? 1000 : i % 11 == 0 ? (uint64_t)-5000 : 0;
    }
    id_new(1795489670123456, id);
    assert_true(id_time_us(id) == 1795489670123000);
}

static void an_id_is_read_in_its_one_form_only(void **state)
{
    static const char *const bad[] = {"",
                                      "0",
                                      "0123456789abcdef0123456789abcdef",
                                      "01234567-89ab-cdef-0123-456789abcdeg",
                                      "01234567-89ab-cdef-0123-456789abcdef0",
                                      "012345678-9ab-cdef-0123-456789abcdef",
                                      "{1234567-89ab-cdef-0123-456789abcde}"};
    uint8_t id[16] = {1}, kept[16] = {1};
    char text[ID_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(id_parse(bad[i], id));
    assert_memory_equal(id, kept, 16);
    assert_true(id_parse("01234567-89AB-cdef-0123-456789abcdef", id));
    id_format(id, text);
    assert_string_equal(text, "01234567-89ab-cdef-0123-456789abcdef");
    assert_true(id_time_us(id) == 0); /* another version than 7 */
}

static void foreign_and_derived_ids_are_the_same_each_time(void **state)
{
    uint8_t a[16], b[16];

    (void)state;
    id_foreign("evt_1", a);
    id_foreign("evt_1", b);
    assert_memory_equal(a, b, 16);
    assert_int_equal(a[6] >> 4, 8);
    id_foreign("evt_2", b);
    assert_memory_not_equal(a, b, 16);
    id_derive("every", 1, a);
    id_derive("every", 2, b);
    assert_memory_not_equal(a, b, 16);
    assert_false(id_is_zero(a));
    memset(a, 0, 16);
    assert_true(id_is_zero(a));
}

/* --- json --- */

static struct json *parse(const char *text)
{
    char error[128];

    return js_parse(text, strlen(text), error, sizeof(error));
}

static void json_is_strict(void **state)
{
    static const char *const bad[] = {"",
                                      "{",
                                      "{\"a\":1,\"a\":2}",
                                      "{a:1}",
                                      "[1,]",
                                      "1 2",
                                      "nul",
                                      "{\"a\":1}x",
                                      "\"\xff\"",
                                      "99999999999999999999",
                                      "\"\\ud800\"",
                                      "NaN",
                                      "01"};
    _free_ char *deep = mem_alloc(20001);
    char error[128] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct json *v = js_parse(bad[i], strlen(bad[i]), error, sizeof(error));
        if (v)
            fail_msg("`%s` was taken", bad[i]);
        assert_non_null(strstr(error, ":"));
    }
    memset(deep, '[', 10000);
    memset(deep + 10000, ']', 10000);
    assert_null(parse(deep));
    assert_null(js_parse("{\"a\":", 5, NULL, 0));
}

static void paths_lead_to_values_or_to_the_default(void **state)
{
    struct json *v =
        parse("{\"a\":{\"b\":[{\"c\":\"x\"},7,1.5,true,null]},\"n\":9007199254740993}");

    (void)state;
    assert_string_equal(js_text(v, "a.b.0.c", "-"), "x");
    assert_int_equal(js_int(v, "a.b.1", 0), 7);
    assert_true(js_number(v, "a.b.2", 0) > 1.4);
    assert_true(js_number(v, "a.b.1", 0) > 6.9);
    assert_true(js_bool(v, "a.b.3", false));
    assert_true(js_is_null(js_get(v, "a.b.4")));
    assert_true(js_int(v, "n", 0) == 9007199254740993); /* no double in between */
    assert_null(js_get(v, "a.b.5"));
    assert_null(js_get(v, "a.b.x")); /* no number: no element */
    assert_null(js_get(v, "a.b.1x"));
    assert_null(js_get(v, "a.b.-1"));
    assert_null(js_get(v, "a.c.d"));
    assert_null(js_get(NULL, "a"));
    assert_string_equal(js_text(v, "a.b", "-"), "-");
    assert_int_equal(js_int(v, "a.b.2", -3), -3);
    assert_int_equal(js_count(js_get(v, "a.b")), 5);
    assert_int_equal(js_count(v), 2);
    assert_int_equal(js_count(NULL), 0);
    js_free(v);
}

static void what_is_built_is_written_in_order(void **state)
{
    struct json *o = js_object(), *copy;
    struct buf out = BUF_NULL;
    const char *name = NULL;
    void *cursor = NULL;
    int members = 0;

    (void)state;
    js_set_text(o, "t", "a\"\n");
    js_set_text(o, "none", NULL);
    js_set_int(o, "i", INT64_MIN);
    js_set_bool(o, "b", false);
    js_set(o, "l", js_push(js_push(js_array(), js_null()), js_from_text("\xc3\xa4", 2)));
    assert_null(js_from_text("\xff", 1));
    copy = js_copy(o);
    js_set_int(o, "i", 1);
    js_write(copy, 0, &out);
    assert_string_equal(buf_str(&out), "{\"t\":\"a\\\"\\n\",\"i\":-9223372036854775808,"
                                       "\"b\":false,\"l\":[null,\"\xc3\xa4\"]}");
    while (js_next(copy, &cursor, &name))
        members++;
    assert_int_equal(members, 4);
    js_free(o);
    js_free(copy);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_grows_keeps_and_pads),
        cmocka_unit_test(hashes_are_those_of_their_specifications),
        cmocka_unit_test(a_pair_is_not_the_same_text_split_elsewhere),
        cmocka_unit_test(ids_ascend_also_when_the_clock_goes_back),
        cmocka_unit_test(an_id_is_read_in_its_one_form_only),
        cmocka_unit_test(foreign_and_derived_ids_are_the_same_each_time),
        cmocka_unit_test(json_is_strict),
        cmocka_unit_test(paths_lead_to_values_or_to_the_default),
        cmocka_unit_test(what_is_built_is_written_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
