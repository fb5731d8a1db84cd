/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/lease.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"

enum { BOOT = 0xabc };

static struct lease *add(struct leases *leases, const char *foreign, uint64_t number,
                         uint64_t until_us)
{
    uint8_t id[16];
    struct buf out = {0};
    id_foreign(foreign, id);
    struct record_parts parts = {.kind = RECORD_FACT, .type = "a.b", .id = id};
    assert_true(record_add(&out, &parts) >= 0);
    struct lease *lease = lease_new((const struct record *)(const void *)out.bytes,
                                    (struct position){number, 1}, 1, 5);
    lease->number = number;
    lease->until_us = until_us;
    leases_push(leases, lease);
    buf_fini(&out);
    return lease;
}

static void lease_is_found_by_its_text_id_and_position(void **state)
{
    (void)state;
    struct leases leases = {0};
    char text[LEASE_TEXT_SIZE];
    struct lease *a = add(&leases, "a", 1, 10), *b = add(&leases, "b", 2, 9);
    lease_text(b, BOOT, text);
    assert_ptr_equal(leases_find(&leases, BOOT, text), b);
    assert_null(leases_find(&leases, BOOT + 1, text));
    assert_null(leases_find(&leases, BOOT, "1"));
    bool is_sole = false;
    assert_ptr_equal(leases_find_event(&leases, "a", &is_sole), a);
    assert_true(is_sole);
    assert_null(leases_find_event(&leases, "c", &is_sole));
    struct lease *other = add(&leases, "a", 3, 10);
    assert_ptr_equal(leases_find_event(&leases, "a", &is_sole), other);
    assert_false(is_sole);
    leases_take(&leases, other);
    lease_free(other);
    assert_ptr_equal(leases_find_position(&leases, (struct position){1, 1}), a);
    assert_null(leases_find_position(&leases, (struct position){1, 2}));
    leases_free_all(&leases);
    assert_int_equal(leases.n, 0);
}

static void order_is_kept_whatever_is_taken_out(void **state)
{
    (void)state;
    for (unsigned gone = 0; gone < 3; gone++) {
        struct leases leases = {0};
        struct lease *all[3];
        for (unsigned i = 0; i < 3; i++)
            all[i] = add(&leases, "x", i + 1, 100);
        leases_take(&leases, all[gone]);
        assert_int_equal(leases.n, 2);
        uint64_t sum = 0, last = 0;
        for (struct lease *l = leases.first; l; l = l->next) {
            assert_true(l->number > last);
            sum += last = l->number;
        }
        assert_int_equal(sum, 6 - (gone + 1));
        assert_int_equal(leases.last->number, gone == 2 ? 2 : 3);
        lease_free(all[gone]);
        leases_free_all(&leases);
    }
}

static void earliest_end_is_known(void **state)
{
    (void)state;
    struct leases leases = {0};
    assert_true(leases_due(&leases) == UINT64_MAX);
    add(&leases, "a", 1, 10);
    add(&leases, "b", 2, 9);
    assert_int_equal(leases_due(&leases), 9);
    leases_free_all(&leases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lease_is_found_by_its_text_id_and_position),
        cmocka_unit_test(order_is_kept_whatever_is_taken_out),
        cmocka_unit_test(earliest_end_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
