/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

static void fill(struct buf *map)
{
    attrs_begin(map);
    attrs_text(map, ATTR_SOURCE, "shop");
    attrs_text(map, ATTR_SUBJECT, NULL);
    attrs_int(map, ATTR_COST, -5);
    attrs_bool(map, ATTR_MORE, true);
    attrs_named_text(map, "name", "\xc3\xa4");
    attrs_named_int(map, "big", INT64_MAX);
    attrs_named_bool(map, "no", false);
    attrs_named_bin(map, "bin", "\0\1\2", 3);
}

static bool count(void *user, const struct attr_value *v)
{
    (void)v;
    ++*(int *)user;
    return true;
}

static void every_kind_comes_back_as_it_was_written(void **state)
{
    struct buf map = BUF_NULL;
    struct attr_value v;
    const char *why = NULL;
    int64_t number;
    int members = 0;

    (void)state;
    fill(&map);
    assert_int_equal(attrs_walk(map.bytes, map.len, count, &members, &why), 0);
    assert_int_equal(members, 7);
    _free_ char *source = attrs_copy_text(map.bytes, map.len, ATTR_SOURCE);
    assert_string_equal(source, "shop");
    assert_null(attrs_copy_text(map.bytes, map.len, ATTR_SUBJECT));
    assert_true(attrs_find_int(map.bytes, map.len, ATTR_COST, &number));
    assert_int_equal(number, -5);
    assert_true(attrs_find_int(map.bytes, map.len, ATTR_MORE, &number));
    assert_int_equal(number, 1);
    assert_false(
        attrs_find_int(map.bytes, map.len, ATTR_SOURCE, &number)); /* of another type */
    assert_true(attrs_find_named(map.bytes, map.len, "big", &v));
    assert_true(v.type == ATTR_IS_INT && v.number == INT64_MAX);
    assert_true(attrs_find_named(map.bytes, map.len, "bin", &v));
    assert_true(v.type == ATTR_IS_BIN && v.text_len == 3 &&
                memcmp(v.text, "\0\1\2", 3) == 0);
    assert_false(attrs_find_named(map.bytes, map.len, "nam", &v));
    buf_fini(&map);
}

static void integers_of_every_width_come_back(void **state)
{
    static const int64_t numbers[] = {
        0,         1,      127,    128,        255,
        256,       65535,  65536,  UINT32_MAX, (int64_t)UINT32_MAX + 1,
        INT64_MAX, -1,     -32,    -33,        -128,
        -129,      -32768, -32769, INT32_MIN,  (int64_t)INT32_MIN - 1,
        INT64_MIN};
    struct buf map = BUF_NULL;
    int64_t got;

    (void)state;
    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        attrs_begin(&map);
        attrs_int(&map, ATTR_COST, numbers[i]);
        assert_true(attrs_find_int(map.bytes, map.len, ATTR_COST, &got));
        assert_true(got == numbers[i]);
    }
    buf_fini(&map);
}

static void texts_of_every_length_come_back(void **state)
{
    static const size_t lengths[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
    struct buf map = BUF_NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        _free_ char *text = mem_alloc(lengths[i] + 1);
        memset(text, 'x', lengths[i]);
        attrs_begin(&map);
        attrs_text(&map, ATTR_SOURCE, text);
        _free_ char *got = attrs_copy_text(map.bytes, map.len, ATTR_SOURCE);
        assert_string_equal(got, text);
    }
    buf_fini(&map);
}

static void more_members_than_a_byte_counts_are_kept(void **state)
{
    struct buf map = BUF_NULL;
    const char *why = NULL;
    int members = 0;

    (void)state;
    attrs_begin(&map);
    for (int i = 0; i < 700; i++)
        attrs_int(&map, ATTR_COST, i);
    assert_int_equal(attrs_walk(map.bytes, map.len, count, &members, &why), 0);
    assert_int_equal(members, 700);
    buf_fini(&map);
}

static void joined_maps_hold_both(void **state)
{
    struct buf one = BUF_NULL, two = BUF_NULL;
    const char *why = NULL;
    int members = 0;

    (void)state;
    fill(&one);
    attrs_begin(&two);
    attrs_text(&two, ATTR_KEY, "k");
    attrs_join(&two, one.bytes, one.len);
    attrs_join(&two, "\xdd\x0f\0\0\0", 5); /* a bad one adds nothing */
    attrs_join(&two, NULL, 0);
    assert_int_equal(attrs_walk(two.bytes, two.len, count, &members, &why), 0);
    assert_int_equal(members, 8);
    buf_fini(&one);
    buf_fini(&two);
}

static void a_map_cut_anywhere_is_refused(void **state)
{
    struct buf map = BUF_NULL;
    const char *why = NULL;

    (void)state;
    fill(&map);
    for (size_t n = 1; n < map.len; n++) {
        _free_ uint8_t *cut = malloc(n); /* exactly n bytes, for the sanitizer */
        memcpy(cut, map.bytes, n);
        assert_false(attrs_ok(cut, n, &why));
        assert_non_null(why);
    }
    assert_true(attrs_ok(map.bytes, map.len, &why));
    assert_true(attrs_ok(NULL, 0, &why));
    buf_add(&map, "\0", 1);
    assert_false(attrs_ok(map.bytes, map.len, &why));
    assert_non_null(strstr(why, "behind"));
    buf_fini(&map);
}

static void what_is_no_flat_map_of_scalars_is_refused_before_msgpack_sees_it(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        {"\xdd\x0f\0\0\0", 5},               /* array of 251,658,240 elements */
        {"\xdf\x0f\0\0\0", 5},               /* map32 */
        {"\xde\xff\xff", 3},                 /* 65,535 members and none there */
        {"\x81\x01\xdb\xff\xff\xff\xff", 7}, /* text of 4 GiB */
        {"\x81\x01\xc6\xff\xff\xff\xff", 7}, /* binary of 4 GiB */
        {"\x81\x01\x90", 3},                 /* an array inside */
        {"\x81\x01\x80", 3},                 /* a map inside */
        {"\x81\x01\xc0", 3},                 /* nil */
        {"\x81\x01\xc1", 3},                 /* never used */
        {"\x81\x01\xca\0\0\0\0", 7},         /* float */
        {"\x81\x01\xd4\1\1", 5},             /* extension */
        {"\x81\x00\x01", 3},                 /* key 0 */
        {"\x81\xcd\x01\x00\x01", 5},         /* key 256 */
        {"\x81\xff\x01", 3},                 /* key -1 */
        {"\x81\xc3\x01", 3},                 /* a boolean as key */
        {"\x81\xa0\x01", 3},                 /* an empty text as key */
        {"\x81\x01", 2},                     /* key without value */
    };
    uint8_t nested[93];
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        why = NULL;
        assert_false(attrs_ok(cases[i].bytes, cases[i].n, &why));
        assert_non_null(why);
    }
    for (size_t i = 0; i < sizeof(nested); i += 3)
        memcpy(nested + i, "\xdc\xff\xff",
               3); /* arrays in arrays, 65,535 elements each */
    assert_false(attrs_ok(nested, sizeof(nested), &why));
    memcpy(nested, "\x81\x01", 2);
    assert_false(attrs_ok(nested, sizeof(nested), &why));
}

static void names_are_those_of_cloudevents(void **state)
{
    (void)state;
    assert_string_equal(attr_name(ATTR_SOURCE), "source");
    assert_string_equal(attr_name(ATTR_CONTENT_TYPE), "datacontenttype");
    assert_null(attr_name(0));
    assert_null(attr_name(ATTR_COUNT));
    for (unsigned i = 1; i < ATTR_COUNT; i++)
        assert_non_null(attr_name(i));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_comes_back_as_it_was_written),
        cmocka_unit_test(integers_of_every_width_come_back),
        cmocka_unit_test(texts_of_every_length_come_back),
        cmocka_unit_test(more_members_than_a_byte_counts_are_kept),
        cmocka_unit_test(joined_maps_hold_both),
        cmocka_unit_test(a_map_cut_anywhere_is_refused),
        cmocka_unit_test(
            what_is_no_flat_map_of_scalars_is_refused_before_msgpack_sees_it),
        cmocka_unit_test(names_are_those_of_cloudevents),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
