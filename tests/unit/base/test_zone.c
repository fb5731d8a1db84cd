/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/zone.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static struct zone *load(const char *name)
{
    const char *why;
    struct zone *zone = zone_load(name, &why);

    if (!zone)
        print_message("%s: %s (package tzdata)\n", name, why);
    return zone;
}

/* The C library reads the same files: over a thousand moments it says the same. */
static void the_c_library_says_the_same(void **state)
{
    static const char *const names[] = {
        "Europe/Berlin",       "America/New_York",  "America/Sao_Paulo", "Asia/Kolkata",
        "Australia/Sydney",    "Asia/Tehran",       "Pacific/Apia",      "Europe/Dublin",
        "Australia/Lord_Howe", "Africa/Casablanca", "America/Nuuk",      "Etc/GMT+12",
    };
    uint64_t random = 3;

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct zone *zone = load(names[i]);
        if (!zone)
            skip();
        setenv("TZ", names[i], 1);
        tzset();
        for (int j = 0; j < 5000; j++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            time_t at = (time_t)(random >> 16) % INT64_C(5000000000); /* until 2128 */
            struct tm tm;
            localtime_r(&at, &tm);
            if (zone_offset(zone, at) != tm.tm_gmtoff)
                fail_msg("%s at %lld: %d and not %ld", names[i], (long long)at,
                         zone_offset(zone, at), tm.tm_gmtoff);
        }
        zone_free(zone);
    }
    unsetenv("TZ");
    tzset();
}

static void utc_needs_no_file(void **state)
{
    const char *why;
    struct zone *zone = zone_load("UTC", &why);

    (void)state;
    assert_non_null(zone);
    assert_int_equal(zone_offset(zone, 1700000000), 0);
    assert_int_equal(zone_offset(NULL, 1700000000), 0);
    zone_free(zone);
}

static void names_do_not_leave_the_directory(void **state)
{
    static const char *const names[] = {
        "",
        "Nowhere/Land",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/../Europe/Berlin",
        "Europe",
        "zone.tab",
        "Europe/Berlin\n",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        const char *why = NULL;
        struct zone *zone = zone_load(names[i], &why);
        if (zone)
            fail_msg("\"%s\" is a zone", names[i]);
        assert_non_null(why);
    }
}

/* A file of version 2 without transitions. */
static size_t file_with(const char *rule, uint8_t *out)
{
    size_t n = 0;

    for (int part = 0; part < 2; part++) {
        memset(out + n, 0, 44);
        memcpy(out + n, "TZif2", 5);
        out[n + 39] = 1; /* a type */
        out[n + 43] = 1; /* a byte of names */
        n += 44;
        memset(out + n, 0, 7);
        n += 7;
    }
    return n + (size_t)sprintf((char *)out + n, "\n%s\n", rule);
}

static void a_rule_is_read_as_posix_writes_it(void **state)
{
    static const struct {
        const char *rule;
        int64_t at;
        int32_t offset;
    } cases[] = {
        {"EST5", 1700000000, -18000},
        {"<+0330>-3:30", 1700000000, 12600},
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1679792399, 3600}, /* 2023-03-26 00:59:59 */
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1679792400, 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1698541199, 7200}, /* 2023-10-29 00:59:59 */
        {"CET-1CEST,M3.5.0,M10.5.0/3", 1698541200, 3600},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", 1704067200, 39600}, /* January in the south */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", 1720000000, 36000},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", 1704067200, 0},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", 1720000000, 3600},
        {"XXX3YYY2,J60/0,J300/0", 1709262000, -7200}, /* 2024-03-01 03:00, a leap year */
        {"XXX3YYY2,J60/0,J300/0", 1709261999, -10800},
        {"XXX3YYY2,59/0,300/0", 1709175600, -7200}, /* day 59 is February 29 in it */
    };
    uint8_t file[400];

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *why = NULL;
        struct zone *zone = zone_parse(file, file_with(cases[i].rule, file), &why);
        if (!zone)
            fail_msg("%s: %s", cases[i].rule, why);
        if (zone_offset(zone, cases[i].at) != cases[i].offset)
            fail_msg("%s at %lld: %d", cases[i].rule, (long long)cases[i].at,
                     zone_offset(zone, cases[i].at));
        zone_free(zone);
    }
}

static void what_is_no_zone_is_refused(void **state)
{
    static const char *const rules[] = {"X5",
                                        "EST",
                                        "EST5EDT",
                                        "EST5EDT,,",
                                        "EST5EDT,M13.1.0,M1.1.0",
                                        "EST200",
                                        "<+03",
                                        "EST5EDT,M3.2.0,M11.1.0x",
                                        "EST5EDT,J0,J5",
                                        "EST5:99"};
    uint8_t file[400], broken[400];
    const char *why;

    (void)state;
    for (size_t i = 0; i < COUNT(rules); i++)
        if (zone_parse(file, file_with(rules[i], file), &why))
            fail_msg("%s was taken", rules[i]);
    size_t n = file_with("CET-1CEST,M3.5.0,M10.5.0/3", file);
    for (size_t cut = 0; cut < n; cut++)
        assert_null(zone_parse(file, cut, &why));
    for (size_t i = 0; i < n * 8; i++) { /* it may be taken, but nothing worse */
        memcpy(broken, file, n);
        broken[i / 8] ^= (uint8_t)(1 << i % 8);
        struct zone *zone = zone_parse(broken, n, &why);
        (void)zone_offset(zone, 1700000000);
        zone_free(zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_c_library_says_the_same),
        cmocka_unit_test(utc_needs_no_file),
        cmocka_unit_test(names_do_not_leave_the_directory),
        cmocka_unit_test(a_rule_is_read_as_posix_writes_it),
        cmocka_unit_test(what_is_no_zone_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
