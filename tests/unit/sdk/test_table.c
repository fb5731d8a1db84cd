/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/sdk/outbox.h"
#include "lib/sdk/table.h"

static void an_empty_table_holds_nothing(void **state)
{
    struct table table = {0};
    size_t at = 0;

    (void)state;
    assert_null(table_get(&table, 1, 2));
    assert_false(table_drop(&table, 1, 2));
    assert_null(table_next(&table, &at));
    table_fini(&table);
}

static void what_was_put_is_found_until_dropped(void **state)
{
    struct table table = {0};

    (void)state;
    assert_true(table_put(&table, 7, 1, 71));
    assert_true(table_put(&table, 7, 2, 72));
    assert_false(table_put(&table, 7, 1, 73));
    assert_int_equal(*table_get(&table, 7, 1), 73);
    assert_true(table_drop(&table, 7, 1));
    assert_null(table_get(&table, 7, 1));
    assert_int_equal(*table_get(&table, 7, 2), 72);
    table_fini(&table);
}

/* Against an array that cannot be wrong. */
static void it_agrees_with_a_plain_array_over_random_work(void **state)
{
    enum { KEYS = 300 };
    struct table table = {0};
    uint64_t model[KEYS] = {0}, seed = 3;

    (void)state;
    for (int step = 0; step < 100000; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint32_t key = (uint32_t)(seed >> 33) % KEYS;
        if (seed >> 63) {
            assert_int_equal(table_put(&table, key / 16, key % 16, (uint64_t)step + 1),
                             !model[key]);
            model[key] = (uint64_t)step + 1;
        } else {
            assert_int_equal(table_drop(&table, key / 16, key % 16), model[key] != 0);
            model[key] = 0;
        }
    }
    size_t at = 0, walked = 0, held = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        uint64_t *value = table_get(&table, key / 16, key % 16);
        assert_int_equal(value ? *value : 0, model[key]);
        held += model[key] != 0;
    }
    while (table_next(&table, &at))
        walked++;
    assert_int_equal(walked, held);
    assert_int_equal(table.len, held);
    table_fini(&table);
}

static void an_outbox_keeps_order_over_holes_and_growth(void **state)
{
    struct outbox outbox;
    struct frame *frame;

    (void)state;
    outbox_init(&outbox);
    for (uint64_t i = 1; i <= 1000; i++) {
        frame = outbox_add(&outbox, MSG_PUBLISH, 0, 1, 0, &i, sizeof(i));
        assert_int_equal(frame->header.ref, i);
        if (i % 3 == 0)
            outbox_drop(&outbox, i - 1);
    }
    outbox_drop(&outbox, 1);
    uint64_t expected = 3;
    while ((frame = outbox_unsent(&outbox))) {
        assert_int_equal(frame->header.ref, expected);
        assert_memory_equal(&frame->header + 1, &expected, sizeof(expected));
        outbox_sent(&outbox);
        expected += expected % 3 == 0 ? 1 : 2;
    }
    assert_int_equal(outbox.first, 3);
    outbox_rewind(&outbox);
    assert_int_equal(outbox_unsent(&outbox)->header.ref, 3);
    assert_null(outbox_get(&outbox, 2));
    assert_null(outbox_get(&outbox, 0));
    assert_null(outbox_get(&outbox, 1001));
    outbox_fini(&outbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_table_holds_nothing),
        cmocka_unit_test(what_was_put_is_found_until_dropped),
        cmocka_unit_test(it_agrees_with_a_plain_array_over_random_work),
        cmocka_unit_test(an_outbox_keeps_order_over_holes_and_growth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
