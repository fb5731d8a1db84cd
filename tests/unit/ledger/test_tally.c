/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/ledger/tally.h"
#include "tests/unit/ledger/maker.h"

#define MINUTE_US UINT64_C(60000000)

/* "asked a.requested 1 of stripe, " */
static void write_tally(void *user, const struct ledger_tally *tally)
{
    static const char *const names[] = {"asked", "told", "answered", "ended", "given up"};

    buf_format(user, "%s %s %u", names[tally->what], tally->type, (unsigned)tally->count);
    if (tally->integration)
        buf_format(user, " of %s (%s)", tally->integration, tally->service);
    buf_text(user, ", ");
}

static void expect(struct maker *m, uint64_t since_us, uint64_t until_us,
                   const char *tallies, uint64_t last)
{
    struct buf got = BUF_NULL;
    uint64_t counted = 99;

    assert_int_equal(
        ledger_tallies(maker_ledger(m), since_us, until_us, write_tally, &got, &counted),
        0);
    assert_string_equal(buf_str(&got), tallies);
    assert_int_equal(counted, last);
    buf_fini(&got);
}

static void what_was_asked_and_how_it_ended_is_counted(void **state)
{
    (void)state;
    struct maker *m = maker_new(/* with_views= */ true);

    maker_integration(m, "stripe", "Stripe");
    struct position at = maker_request(m, 1, "a.requested", "stripe", NULL);
    maker_seal(m);
    maker_outcome(m, 2, at, 1, CLASS_permanent, "no");
    maker_seal(m);
    expect(m, 0, 0,
           "asked a.requested 1 of stripe (Stripe), answered payment.charge.failed 1, "
           "ended a.requested 1 of stripe (Stripe), ",
           2);
    expect(m, 60 * MINUTE_US, 0, "", 2);
    maker_free(m);
}

static void without_views_it_is_said_that_nothing_was_counted(void **state)
{
    (void)state;
    struct maker *m = maker_new(/* with_views= */ false);

    maker_fact(m, 1, "a", STATUS_SUCCESS);
    maker_seal(m);
    expect(m, 0, 0, "", 0);
    maker_free(m);
}

static void views_that_grow_while_they_are_read_are_trusted_all_the_same(void **state)
{
    (void)state;
    struct maker *m = maker_new(/* with_views= */ true);

    maker_fact(m, 1, "a", STATUS_SUCCESS);
    maker_seal(m);
    maker_fact(m, 2, "a", STATUS_SUCCESS);
    maker_grow_when_asked(m); /* the row of block 1 becomes that of 1 and 2 */
    expect(m, 0, 0, "told a 2, ", 2);
    maker_free(m);
}

static void views_of_another_log_are_not_counted_from(void **state)
{
    (void)state;
    struct maker *m = maker_new(/* with_views= */ true);

    maker_stop_views(m);
    maker_fact(m, 1, "a", STATUS_SUCCESS);
    maker_seal(m);
    maker_foreign_views(m);
    expect(m, 0, 0, "", 0);
    maker_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_asked_and_how_it_ended_is_counted),
        cmocka_unit_test(without_views_it_is_said_that_nothing_was_counted),
        cmocka_unit_test(views_that_grow_while_they_are_read_are_trusted_all_the_same),
        cmocka_unit_test(views_of_another_log_are_not_counted_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
