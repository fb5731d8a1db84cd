/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "tests/unit/ledger/maker.h"

static const struct ledger_filter any = {.status = -1, .error_class = -1};

static int setup(void **state)
{
    *state = maker_new(false);
    return 0;
}

static int teardown(void **state)
{
    maker_free(*state);
    return 0;
}

/* Block 1: request 1, retry, request 2. Block 2: fact 3. Block 3: outcome 4 of 1. */
static void make_log(struct maker *m)
{
    struct position first = maker_request(m, 1, "pay.charge.requested", "pay", "k");
    maker_retry(m, "pay", first, 1, "busy");
    maker_request(m, 2, "pay.refund.requested", "pay", NULL);
    maker_seal(m);
    maker_fact(m, 3, "order.placed", STATUS_PENDING);
    maker_seal(m);
    maker_outcome(m, 4, first, 1, 0, NULL);
    maker_seal(m);
}

struct reading {
    struct buf ids;
    unsigned stop_at; /* say false at this id */
};

static bool tell(void *user, const struct ledger_row *row)
{
    struct reading *reading = user;
    assert_non_null(row->record);
    buf_format(&reading->ids, "%u ", row->id[0]);
    return row->id[0] != reading->stop_at;
}

static void expect(struct maker *m, const struct ledger_filter *filter,
                   struct position *after, size_t records_max, unsigned stop_at,
                   const char *ids)
{
    struct reading reading = {.stop_at = stop_at};
    ledger_forward(maker_ledger(m), filter, after, records_max, tell, &reading);
    assert_string_equal(buf_str(&reading.ids), ids);
    buf_fini(&reading.ids);
}

static void events_come_in_order_as_they_were_written(void **state)
{
    struct position after = {0};
    make_log(*state);
    expect(*state, &any, &after, 100, 0, "1 2 3 4 ");
    assert_int_equal(after.block, 3);
    assert_int_equal(after.index, UINT32_MAX);
    expect(*state, &any, &after, 100, 0, "");
}

static void what_is_committed_later_follows_without_a_gap(void **state)
{
    struct position after = {0};
    make_log(*state);
    expect(*state, &any, &after, 100, 0, "1 2 3 4 ");
    maker_fact(*state, 5, "order.placed", STATUS_PENDING);
    maker_seal(*state);
    expect(*state, &any, &after, 100, 0, "5 ");
}

static void reader_that_stops_goes_on_behind_its_last_row(void **state)
{
    make_log(*state);
    for (unsigned stop = 1; stop <= 4; stop++) {
        static const char *const before[] = {"1 ", "1 2 ", "1 2 3 ", "1 2 3 4 "},
                                 *const behind[] = {"2 3 4 ", "3 4 ", "4 ", ""};
        struct position after = {0};
        expect(*state, &any, &after, 100, stop, before[stop - 1]);
        expect(*state, &any, &after, 100, 0, behind[stop - 1]);
    }
}

static void pieces_of_any_size_are_the_whole(void **state)
{
    make_log(*state);
    for (size_t piece = 1; piece < 7; piece++) {
        struct position after = {0};
        struct reading reading = {.stop_at = 0};
        for (unsigned turn = 0; turn < 10; turn++)
            ledger_forward(maker_ledger(*state), &any, &after, piece, tell, &reading);
        assert_string_equal(buf_str(&reading.ids), "1 2 3 4 ");
        buf_fini(&reading.ids);
    }
}

static void only_what_passes_the_filter_is_told(void **state)
{
    struct ledger_filter typed = any, keyed = any;
    struct position after = {0};
    typed.type = "order.>";
    keyed.key = "k";
    make_log(*state);
    expect(*state, &typed, &after, 100, 0, "3 ");
    after = (struct position){0};
    expect(*state, &keyed, &after, 100, 0, "1 ");
}

static void damaged_block_is_passed_over(void **state)
{
    struct position after = {0};
    make_log(*state);
    maker_harm(*state, HARM_MISSING, 2);
    expect(*state, &any, &after, 100, 0, "1 2 4 ");
}

static void what_was_trimmed_is_known_by_the_start(void **state)
{
    struct maker *m = *state;
    make_log(m);
    assert_int_equal(ledger_start(maker_ledger(m)), 1);
    maker_segment(m);
    maker_fact(m, 5, "order.placed", STATUS_PENDING);
    maker_seal(m);
    maker_trim(m, 4);
    uint64_t start = ledger_start(maker_ledger(m));
    assert_int_equal(start, 4);
    struct position after = {0};
    expect(m, &any, &after, 100, 0, "5 ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_come_in_order_as_they_were_written),
        TEST(what_is_committed_later_follows_without_a_gap),
        TEST(reader_that_stops_goes_on_behind_its_last_row),
        TEST(pieces_of_any_size_are_the_whole),
        TEST(only_what_passes_the_filter_is_told),
        TEST(damaged_block_is_passed_over),
        TEST(what_was_trimmed_is_known_by_the_start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
