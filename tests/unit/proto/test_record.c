/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/record.h"

static const uint8_t some_id[16] = "0123456789abcde";

static const struct record *add(struct buf *out, const struct record_parts *parts)
{
    const char *why = NULL;
    long at = record_add(out, parts);

    assert_true(at >= 0);
    const struct record *r = record_check(out->bytes + at, out->len - (size_t)at, &why);
    if (!r)
        fail_msg("%s", why);
    return r;
}

static void a_request_comes_back_as_it_was_made(void **state)
{
    struct buf out = BUF_NULL, attrs = BUF_NULL;

    (void)state;
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SOURCE, "shop");
    const struct record *r =
        add(&out, &(struct record_parts){.kind = RECORD_REQUEST,
                                         .type = "payment.charge.requested",
                                         .id = some_id,
                                         .cause = some_id,
                                         .key = "order-1",
                                         .time_us = 5,
                                         .deadline_us = 9,
                                         .integration = 7,
                                         .flags = RECORD_JSON,
                                         .attrs = attrs.bytes,
                                         .attr_len = attrs.len,
                                         .data = "{}",
                                         .data_len = 2});
    assert_int_equal(r->len % 8, 0);
    assert_int_equal(r->len, out.len);
    assert_memory_equal(record_type(r), "payment.charge.requested", r->type_len);
    assert_true(record_type_ok(r));
    assert_true(r->key_hash == hash_text("order-1"));
    _free_ char *key = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_KEY);
    _free_ char *source = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_SOURCE);
    assert_string_equal(key, "order-1");
    assert_string_equal(source, "shop");
    assert_memory_equal(record_data(r), "{}", 2);
    assert_int_equal(r->deadline_us, 9);
    assert_memory_equal(r->id, some_id, 16);
    assert_memory_equal(r->cause, some_id, 16);
    buf_fini(&out);
    buf_fini(&attrs);
}

static void an_outcome_names_the_position_it_settles(void **state)
{
    struct buf out = BUF_NULL;

    (void)state;
    const struct record *r =
        add(&out, &(struct record_parts){.kind = RECORD_OUTCOME,
                                         .type = "a.b.failed",
                                         .status = STATUS_FAILED,
                                         .error_class = CLASS_exhausted,
                                         .deadline_us = 1,
                                         .settles = {77, 8}});
    assert_int_equal(r->cause_block, 77);
    assert_int_equal(r->cause_index, 8);
    buf_fini(&out);
}

static void what_is_at_its_limit_is_taken_and_over_it_refused(void **state)
{
    struct buf out = BUF_NULL;
    _free_ char *big = mem_alloc(RECORD_DATA_MAX + 1),
                *type = mem_alloc(RECORD_TYPE_MAX + 2);

    (void)state;
    memset(type, 'a', RECORD_TYPE_MAX);
    struct record_parts parts = {.kind = RECORD_FACT,
                                 .type = type,
                                 .data = big,
                                 .data_len = RECORD_DATA_MAX,
                                 .attrs = big,
                                 .attr_len = RECORD_ATTRS_MAX};
    const struct record *r = add(&out, &parts);
    assert_true(r->len <= RECORD_SIZE_MAX);
    size_t before = out.len;
    parts.data_len++;
    assert_int_equal(record_add(&out, &parts), -1);
    parts.data_len = 0;
    parts.attr_len++;
    assert_int_equal(record_add(&out, &parts), -1);
    parts.attr_len = 0;
    type[RECORD_TYPE_MAX] = 'a';
    assert_int_equal(record_add(&out, &parts), -1);
    assert_int_equal(out.len, before);
    buf_fini(&out);
}

static void a_record_cut_anywhere_is_refused(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    add(&out, &(struct record_parts){
                  .kind = RECORD_FACT, .type = "a.b", .data = "12345", .data_len = 5});
    for (size_t n = 0; n < out.len; n++) {
        _free_ uint8_t *cut = mem_copy(out.bytes, n);
        why = NULL;
        assert_null(record_check(cut, n, &why));
        assert_non_null(why);
    }
    buf_fini(&out);
}

static void a_header_that_does_not_add_up_is_refused(void **state)
{
    static const struct {
        size_t offset, size;
        uint32_t value;
        const char *why;
    } cases[] = {
        {offsetof(struct record, len), 4, 0, "below its header"},
        {offsetof(struct record, len), 4, 80, "below its header"},
        {offsetof(struct record, len), 4, 92, "multiple of 8"},
        {offsetof(struct record, len), 4, 112, "longer than what is there"},
        {offsetof(struct record, len), 4, UINT32_MAX, "longer than what is there"},
        {offsetof(struct record, data_len), 4, 5, "add up"},
        {offsetof(struct record, data_len), 4, 14, "add up"},
        {offsetof(struct record, data_len), 4, UINT32_MAX, "size limit"},
        {offsetof(struct record, attr_len), 2, 9, "add up"},
        {offsetof(struct record, attr_len), 2, 65535, "size limit"},
        {offsetof(struct record, kind), 1, 0, "kind"},
        {offsetof(struct record, kind), 1, 4, "kind"},
        {offsetof(struct record, kind), 1, 15, "kind"},
        {offsetof(struct record, kind), 1, RECORD_START + 1, "kind"},
        {offsetof(struct record, status), 1, 3, "status"},
        {offsetof(struct record, error_class), 1, CLASS_COUNT, "status or error class"},
        {offsetof(struct record, type_len), 1, 255, "add up"},
    };
    struct buf out = BUF_NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *why = NULL;
        buf_clear(&out);
        add(&out, &(struct record_parts){.kind = RECORD_FACT,
                                         .type = "a.b",
                                         .data = "123456789abcd",
                                         .data_len = 13});
        assert_int_equal(out.len, 104);
        memcpy(out.bytes + cases[i].offset, &cases[i].value, cases[i].size);
        assert_null(record_check(out.bytes, out.len, &why));
        if (!strstr(why, cases[i].why))
            fail_msg("case %zu: expected \"%s\", got \"%s\"", i, cases[i].why, why);
    }
    buf_fini(&out);
}

static void an_event_without_a_type_is_refused_and_a_control_record_is_not(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    record_add(&out, &(struct record_parts){.kind = RECORD_FACT});
    assert_null(record_check(out.bytes, out.len, &why));
    assert_non_null(strstr(why, "type"));
    buf_clear(&out);
    add(&out, &(struct record_parts){.kind = RECORD_ACK});
    buf_fini(&out);
}

static void a_type_that_is_not_what_its_hash_says_is_seen(void **state)
{
    struct buf out = BUF_NULL;

    (void)state;
    struct record *r = (struct record *)(uintptr_t)add(
        &out, &(struct record_parts){.kind = RECORD_FACT, .type = "a.b"});
    assert_true(record_type_ok(r));
    r->type_hash ^= 1;
    assert_false(record_type_ok(r));
    buf_clear(&out);
    assert_false(record_type_ok(
        add(&out, &(struct record_parts){.kind = RECORD_FACT, .type = "a..b"})));
    buf_fini(&out);
}

static void counting_names_the_bad_one(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;
    size_t offset = 0;

    (void)state;
    assert_int_equal(record_count(NULL, 0, &offset, &why), 0);
    for (int i = 0; i < 3; i++)
        add(&out, &(struct record_parts){.kind = RECORD_FACT, .type = "a.b"});
    assert_int_equal(record_count(out.bytes, out.len, &offset, &why), 3);
    ((struct record *)(void *)(out.bytes + out.len / 3 * 2))->kind = 99;
    assert_int_equal(record_count(out.bytes, out.len, &offset, &why), -1);
    assert_int_equal(offset, out.len / 3 * 2);
    assert_string_equal(why, "unknown record kind");
    buf_fini(&out);
}

static void names_and_numbers_of_classes_agree(void **state)
{
    (void)state;
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        assert_int_equal(class_find(class_name(i)), (int)i);
        assert_true(strlen(class_sentence(i)) > 10);
    }
    assert_int_equal(class_find("nothing"), -1);
    assert_string_equal(class_name(CLASS_COUNT), "?");
    assert_string_equal(status_name(STATUS_FAILED), "Failed");
    assert_string_equal(status_name(3), "?");
    assert_string_equal(kind_name(RECORD_OUTCOME), "outcome");
    assert_string_equal(kind_name(RECORD_ACK), "control");
    assert_string_equal(kind_name(0), "control");
    assert_true(integration_hash("stripe") == (uint32_t)hash_text("stripe"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_comes_back_as_it_was_made),
        cmocka_unit_test(an_outcome_names_the_position_it_settles),
        cmocka_unit_test(what_is_at_its_limit_is_taken_and_over_it_refused),
        cmocka_unit_test(a_record_cut_anywhere_is_refused),
        cmocka_unit_test(a_header_that_does_not_add_up_is_refused),
        cmocka_unit_test(an_event_without_a_type_is_refused_and_a_control_record_is_not),
        cmocka_unit_test(a_type_that_is_not_what_its_hash_says_is_seen),
        cmocka_unit_test(counting_names_the_bad_one),
        cmocka_unit_test(names_and_numbers_of_classes_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
