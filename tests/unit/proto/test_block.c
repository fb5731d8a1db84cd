/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "proto/block.h"

static struct block *make(struct buf *out, uint32_t records)
{
    buf_clear(out);
    buf_add(out, NULL, sizeof(struct block));
    for (uint32_t i = 0; i < records; i++)
        record_add(out, &(struct record_parts){
                            .kind = RECORD_FACT, .type = "a.b", .time_us = i});
    struct block *b = (struct block *)(void *)out->bytes;
    b->number = 7;
    b->count = records;
    block_seal(b, out->len);
    return b;
}

static void a_sealed_block_checks_and_its_records_are_found(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    for (uint32_t n = 0; n < 4; n++) {
        const struct block *b = make(&out, n);
        assert_ptr_equal(block_check(out.bytes, out.len, &why), b);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(block_record(b, i)->time_us, i);
        assert_null(block_record(b, n));
        assert_null(block_record(b, UINT32_MAX));
    }
    buf_fini(&out);
}

static void every_flipped_bit_is_seen(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    make(&out, 2);
    for (size_t bit = 0; bit < out.len * 8; bit++) {
        out.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        why = NULL;
        assert_null(block_check(out.bytes, out.len, &why));
        assert_non_null(why);
        out.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_non_null(block_check(out.bytes, out.len, &why));
    buf_fini(&out);
}

static void a_block_cut_anywhere_is_refused(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    make(&out, 2);
    for (size_t n = 0; n < out.len; n++) {
        _free_ uint8_t *cut = mem_copy(out.bytes, n);
        assert_null(block_check(cut, n, &why));
        assert_null(block_glance(cut, n, &why));
    }
    buf_fini(&out);
}

static void a_wrong_count_is_seen_though_the_checksum_fits(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    for (int wrong = -1; wrong <= 1; wrong += 2) {
        struct block *b = make(&out, 2);
        b->count = (uint32_t)((int)b->count + wrong);
        block_seal(b, out.len);
        assert_non_null(block_glance(out.bytes, out.len, &why));
        assert_null(block_check(out.bytes, out.len, &why));
        assert_non_null(strstr(why, "number of records"));
    }
    buf_fini(&out);
}

static void a_bad_record_is_seen_though_the_checksum_fits(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    struct block *b = make(&out, 1);
    ((struct record *)(uintptr_t)block_first(b))->kind = 99;
    block_seal(b, out.len);
    assert_null(block_check(out.bytes, out.len, &why));
    assert_string_equal(why, "unknown record kind");
    buf_fini(&out);
}

static void versions_and_sizes_it_does_not_know_are_refused(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    struct block *b = make(&out, 1);
    b->version = 2;
    assert_null(block_glance(out.bytes, out.len, &why));
    assert_non_null(strstr(why, "version"));
    b = make(&out, 1);
    b->len += 8;
    assert_null(block_glance(out.bytes, out.len, &why));
    buf_clear(&out);
    buf_add(&out, NULL, BLOCK_SIZE_MAX + 8);
    b = (struct block *)(void *)out.bytes;
    block_seal(b, out.len);
    assert_null(block_glance(out.bytes, out.len, &why));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_block_checks_and_its_records_are_found),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(a_block_cut_anywhere_is_refused),
        cmocka_unit_test(a_wrong_count_is_seen_though_the_checksum_fits),
        cmocka_unit_test(a_bad_record_is_seen_though_the_checksum_fits),
        cmocka_unit_test(versions_and_sizes_it_does_not_know_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
