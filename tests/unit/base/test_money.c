/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/money.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void amounts_are_read_and_written_alike(void **state)
{
    static const struct {
        const char *text;
        int64_t micros;
        const char *written;
    } good[] = {
        {"0 USD", 0, "0.00 USD"},
        {"50 USD", 50000000, "50.00 USD"},
        {"0.3 EUR", 300000, "0.30 EUR"},
        {"0.000125 USD", 125, "0.000125 USD"},
        {"12.345600 JPY", 12345600, "12.3456 JPY"},
        {"1000000000 USD", MONEY_MAX, "1000000000.00 USD"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        struct money money = {0};
        char text[MONEY_TEXT_SIZE];
        assert_true(money_parse(good[i].text, &money));
        assert_int_equal(money.micros, good[i].micros);
        money_text(money.micros, money.currency, text);
        assert_string_equal(text, good[i].written);
    }
}

static void what_is_no_amount_is_refused_and_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "USD",
        "50",
        "50USD",
        "50 usd",
        "50 US",
        "50 USDX",
        "-1 USD",
        "+1 USD",
        ".5 USD",
        "1. USD",
        "1,5 USD",
        "1e3 USD",
        "0.1234567 USD",
        "50 USD ",
        "50  USD",
        "0x1 USD",
        "1000000000.000001 USD",
        "99999999999999999999 USD",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct money money = {7, "CHF"};
        if (money_parse(bad[i], &money))
            fail_msg("\"%s\" was taken", bad[i]);
        assert_int_equal(money.micros, 7);
        assert_string_equal(money.currency, "CHF");
    }
}

static void a_debt_is_written_with_its_sign(void **state)
{
    char text[MONEY_TEXT_SIZE];

    (void)state;
    money_text(-1500000, "USD", text);
    assert_string_equal(text, "-1.50 USD");
    money_text(INT64_MIN, "USD", text);
    assert_string_equal(text, "-9223372036854.775808 USD");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_read_and_written_alike),
        cmocka_unit_test(what_is_no_amount_is_refused_and_changes_nothing),
        cmocka_unit_test(a_debt_is_written_with_its_sign),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
