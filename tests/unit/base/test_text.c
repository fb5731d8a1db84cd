/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/text.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static void times_are_read_and_written_as_rfc_3339(void **state)
{
    static const struct {
        const char *text;
        uint64_t us;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-24T03:07:40.123456Z", 1795489660123456},
        {"2026-11-24t03:07:40.1z", 1795489660100000},
        {"2026-11-24T04:07:40+01:00", 1795489660000000},
        {"2026-11-23T22:37:40-04:30", 1795489660000000},
        {"2026-11-24T03:07:40.1234569999Z", 1795489660123456},
        {"2024-02-29T00:00:00Z", 1709164800000000},
    };
    static const char *const bad[] = {
        "",
        "now",
        "2026-11-24",
        "2026-11-24T03:07:40",
        "2026-11-24 03:07:40Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-11-24T24:00:00Z",
        "2026-11-24T03:60:00Z",
        "2026-11-24T03:07:61Z",
        "2026-11-24T03:07:40.Z",
        "2026-11-24T03:07:40+1:00",
        "2026-11-24T03:07:40+24:00",
        "2026-11-24T03:07:40Zx",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "2026-1-24T03:07:40Z",
        "-026-11-24T03:07:40Z",
    };
    char text[TEXT_TIME_SIZE];
    uint64_t us = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true(text_parse_time(good[i].text, &us));
        assert_true(us == good[i].us);
        uint64_t again = 0;
        text_time(us, text);
        assert_true(text_parse_time(text, &again));
        assert_true(again == us);
    }
    us = 4711;
    for (size_t i = 0; i < COUNT(bad); i++)
        if (text_parse_time(bad[i], &us) || us != 4711)
            fail_msg("%s was taken", bad[i]);
    text_time(1795489660000007, text);
    assert_string_equal(text, "2026-11-24T03:07:40.000007Z");
    text_time(UINT64_MAX, text); /* whatever it says, it fits */
    assert_true(strlen(text) < TEXT_TIME_SIZE);
}

static void durations_and_sizes_are_a_number_and_one_unit(void **state)
{
    static const struct {
        const char *text;
        bool is_size;
        uint64_t value;
    } good[] = {
        {"0", false, 0},
        {"0s", false, 0},
        {"250ms", false, 250000},
        {"7us", false, 7},
        {"10s", false, 10000000},
        {"5m", false, 300000000},
        {"24h", false, 86400000000},
        {"30d", false, 2592000000000},
        {"0", true, 0},
        {"512", true, 512},
        {"1B", true, 1},
        {"16KiB", true, 16384},
        {"1GiB", true, 1 << 30},
        {"2TiB", true, UINT64_C(2) << 40},
        {"3MB", true, 3000000},
        {"18446744073709551615", true, UINT64_MAX},
    };
    static const struct {
        const char *text;
        bool is_size;
    } bad[] = {
        {"", false},
        {"s", false},
        {"10", false},
        {"-1s", false},
        {"1.5h", false},
        {"1h30m", false},
        {"10 s", false},
        {"10S", false},
        {"+1s", false},
        {"213503983d", false},
        {"99999999999999999999s", false},
        {"", true},
        {"1kib", true},
        {"KiB", true},
        {"-1", true},
        {"1 KiB", true},
        {"18446744073709551616", true},
        {"16777216TiB", true},
        {"0x10", true},
    };
    uint64_t value = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_true((good[i].is_size ? text_parse_size
                                     : text_parse_duration)(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    value = 4711;
    for (size_t i = 0; i < COUNT(bad); i++)
        if ((bad[i].is_size ? text_parse_size : text_parse_duration)(bad[i].text,
                                                                     &value) ||
            value != 4711)
            fail_msg("`%s` was taken", bad[i].text);
}

static void durations_are_written_as_short_as_is_exact(void **state)
{
    static const struct {
        uint64_t us;
        const char *text;
    } cases[] = {{0, "0s"},           {1, "1us"},          {1500, "1500us"},
                 {250000, "250ms"},   {90000000, "90s"},   {300000000, "5m"},
                 {86400000000, "1d"}, {90000000000, "25h"}};
    char text[32];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        uint64_t again = 1;
        text_duration(cases[i].us, text, sizeof(text));
        assert_string_equal(text, cases[i].text);
        assert_true(text_parse_duration(text, &again));
        assert_true(again == cases[i].us);
    }
}

static void hex_and_base64_come_back(void **state)
{
    struct buf text = BUF_NULL, bytes = BUF_NULL;
    uint8_t all[256];

    (void)state;
    for (unsigned i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    for (size_t n = 0; n <= 256; n++) {
        buf_clear(&text);
        buf_clear(&bytes);
        text_hex(all, n, &text);
        assert_true(text_parse_hex(buf_str(&text), text.len, &bytes));
        assert_int_equal(bytes.len, n);
        assert_memory_equal(buf_str(&bytes), all, n);
        buf_clear(&text);
        buf_clear(&bytes);
        text_base64(all, n, &text);
        assert_true(text_parse_base64(buf_str(&text), text.len, &bytes));
        assert_int_equal(bytes.len, n);
        assert_memory_equal(buf_str(&bytes), all, n);
    }
    buf_fini(&text);
    buf_fini(&bytes);
}

static void broken_hex_and_base64_leave_the_buffer_alone(void **state)
{
    static const char *const hex[] = {"0", "0g", "zz", "00 0", "001", "\xff\xff"};
    static const char *const base64[] = {
        "A",        "AA",   "AAA",  "A===", "====", "AA=A",  "=AAA",  "AAAA=",
        "AA==AAAA", "A A=", "AB==", "AAB=", "AA-_", "AA\n=", "AAAA\n"};
    struct buf out = BUF_NULL;

    (void)state;
    buf_text(&out, "kept");
    for (size_t i = 0; i < COUNT(hex); i++)
        assert_false(text_parse_hex(hex[i], strlen(hex[i]), &out));
    for (size_t i = 0; i < COUNT(base64); i++)
        if (text_parse_base64(base64[i], strlen(base64[i]), &out))
            fail_msg("`%s` was taken", base64[i]);
    assert_false(text_parse_base64("AA\0=", 4, &out));
    assert_string_equal(buf_str(&out), "kept");
    assert_true(text_parse_hex("aBcD", 4, &out));
    assert_memory_equal(out.bytes + 4, "\xab\xcd", 2);
    buf_fini(&out);
}

static void patterns_match_by_segments(void **state)
{
    static const struct {
        const char *pattern, *type;
        bool matches;
    } cases[] = {
        {"a", "a", true},
        {"a", "b", false},
        {"a", "ab", false},
        {"ab", "a", false},
        {"a.b", "a.b", true},
        {"a.b", "a", false},
        {"a", "a.b", false},
        {"*", "a", true},
        {"*", "a.b", false},
        {"a.*", "a.b", true},
        {"a.*", "a", false},
        {"a.*", "a.b.c", false},
        {"*.b", "a.b", true},
        {"a.*.c", "a.b.c", true},
        {"a.*.c", "a.b.d", false},
        {">", "a", true},
        {">", "a.b.c", true},
        {">", "", false},
        {"a.>", "a.b", true},
        {"a.>", "a.b.c", true},
        {"a.>", "a", false},
        {"a.>", "b.c", false},
        {"a*", "ab", false},
        {">.a", "b.a", false},
        {"", "a", false},
        {"a.", "a.b", false},
        {"payment.*.succeeded", "payment.charge.succeeded", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        if (text_match_type(cases[i].pattern, cases[i].type, strlen(cases[i].type)) !=
            cases[i].matches)
            fail_msg("%s and %s", cases[i].pattern, cases[i].type);
    assert_true(text_match_type("a.b", "a.bXX", 3)); /* types are not ended by a NUL */
}

static void types_and_names_have_rules(void **state)
{
    static const char *const types[] = {"a", "a.b", "stripe.checkout.session.completed",
                                        "X.Y_z-1", "0"};
    static const char *const no_types[] = {"",    ".",   ".a", "a.",       "a..b",
                                           "a b", "a/b", "a*", "\xc3\xa4", "a\n"};
    static const char *const names[] = {"a", "stripe", "stripe_eu-2"};
    static const char *const no_names[] = {"",    "1a",  "-a",  "_a",      "Stripe",
                                           "a.b", "a b", "a/b", "\xc3\xa4"};
    char big[202];

    (void)state;
    memset(big, 'a', sizeof(big));
    for (size_t i = 0; i < COUNT(types); i++)
        assert_true(text_is_type(types[i], strlen(types[i])));
    for (size_t i = 0; i < COUNT(no_types); i++)
        assert_false(text_is_type(no_types[i], strlen(no_types[i])));
    assert_true(text_is_type(big, 200));
    assert_false(text_is_type(big, 201));
    assert_false(text_is_type("a\0b", 3));
    for (size_t i = 0; i < COUNT(names); i++)
        assert_true(text_is_name(names[i]));
    for (size_t i = 0; i < COUNT(no_names); i++)
        assert_false(text_is_name(no_names[i]));
    big[64] = 0;
    assert_true(text_is_name(big));
    big[64] = 'a';
    big[65] = 0;
    assert_false(text_is_name(big));
}

static void the_nearest_word_is_suggested_and_a_far_one_not(void **state)
{
    static const char *const words[] = {"listen", "public_url", "max_body", "token_file",
                                        NULL};
    char big[300];

    (void)state;
    assert_string_equal(text_nearest("lisen", words), "listen");
    assert_string_equal(text_nearest("maxbody", words), "max_body");
    assert_string_equal(text_nearest("public-url", words), "public_url");
    assert_null(text_nearest("concurrency", words));
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    assert_null(text_nearest(big, words));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read_and_written_as_rfc_3339),
        cmocka_unit_test(durations_and_sizes_are_a_number_and_one_unit),
        cmocka_unit_test(durations_are_written_as_short_as_is_exact),
        cmocka_unit_test(hex_and_base64_come_back),
        cmocka_unit_test(broken_hex_and_base64_leave_the_buffer_alone),
        cmocka_unit_test(patterns_match_by_segments),
        cmocka_unit_test(types_and_names_have_rules),
        cmocka_unit_test(the_nearest_word_is_suggested_and_a_far_one_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
