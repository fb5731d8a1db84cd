/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/cron.h"
#include "lib/base/text.h"
#include "lib/base/zone.h"

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

static struct cron parsed(const char *text)
{
    struct cron cron;
    char error[200];
    size_t column;

    if (!cron_parse(text, &cron, error, sizeof(error), &column))
        fail_msg("%s: column %zu: %s", text, column, error);
    return cron;
}

static int64_t at(const char *time)
{
    uint64_t us;

    if (!text_parse_time(time, &us))
        fail_msg("%s is no time", time);
    return (int64_t)(us / 1000000);
}

static void next_is(const char *text, const struct zone *zone, const char *after,
                    const char *expected)
{
    struct cron cron = parsed(text);
    char found[TEXT_TIME_SIZE];
    int64_t next = cron_next(&cron, zone, at(after));

    text_time((uint64_t)next * 1000000, found);
    if (next != at(expected))
        fail_msg("%s after %s: %.19sZ and not %s", text, after, found, expected);
}

static void the_next_time_is_found(void **state)
{
    static const struct {
        const char *text, *after, *next;
    } cases[] = {
        {"* * * * *", "2026-03-01T00:00:00Z", "2026-03-01T00:01:00Z"},
        {"* * * * *", "2026-03-01T00:00:59Z", "2026-03-01T00:01:00Z"},
        {"*/5 * * * *", "2026-03-01T00:03:00Z", "2026-03-01T00:05:00Z"},
        {"*/5 * * * *", "2026-03-01T00:05:00Z", "2026-03-01T00:10:00Z"},
        {"0 0 * * *", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"},
        {"59 23 31 12 *", "2026-01-01T00:00:00Z", "2026-12-31T23:59:00Z"},
        {"0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
        {"0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z"},
        {"0 9 * * mon-fri", "2026-11-27T09:00:00Z", "2026-11-30T09:00:00Z"},
        {"0 9 * * 0", "2026-11-25T09:00:00Z", "2026-11-29T09:00:00Z"},
        {"0 9 * * 7", "2026-11-25T09:00:00Z", "2026-11-29T09:00:00Z"},
        {"0 9 * * sat-7", "2026-11-25T09:00:00Z", "2026-11-28T09:00:00Z"},
        {"0 0 1,15 * *", "2026-11-02T00:00:00Z", "2026-11-15T00:00:00Z"},
        {"0 0 13 * fri", "2026-11-14T00:00:00Z", "2026-11-20T00:00:00Z"}, /* either */
        {"0 0 13 * fri", "2026-11-27T00:00:00Z", "2026-12-04T00:00:00Z"},
        {"0 0 */2 * fri", "2026-11-28T00:00:00Z", "2026-12-11T00:00:00Z"}, /* both */
        {"10-20/5 8-10 * jan,JUL *", "2026-11-25T00:00:00Z", "2027-01-01T08:10:00Z"},
        {"10-20/5 8-10 * jan,JUL *", "2027-01-01T08:20:00Z", "2027-01-01T09:10:00Z"},
        {" 30\t4   1 1  * ", "2026-11-25T00:00:00Z", "2027-01-01T04:30:00Z"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++)
        next_is(cases[i].text, NULL, cases[i].after, cases[i].next);
}

static void what_never_comes_is_told(void **state)
{
    static const char *const never[] = {"0 0 30 2 *", "0 0 31 4,6,9,11 *"};

    (void)state;
    for (size_t i = 0; i < COUNT(never); i++) {
        struct cron cron = parsed(never[i]);
        assert_int_equal(cron_next(&cron, NULL, at("2026-01-01T00:00:00Z")), 0);
    }
}

static void mistakes_are_told_with_their_column(void **state)
{
    static const struct {
        const char *text;
        size_t column;
        const char *what;
    } cases[] = {
        {"", 1, "five fields"},
        {"* * * *", 8, "five fields"},
        {"* * * * * *", 11, "the end after five fields"},
        {"60 * * * *", 1, "the minute: expected a number from 0 to 59"},
        {"* 24 * * *", 3, "the hour: expected a number from 0 to 23"},
        {"* * 0 * *", 5, "the day of the month: expected a number from 1 to 31"},
        {"* * * 13 *", 7, "the month: expected a number from 1 to 12"},
        {"* * * foo *", 7, "three letters"},
        {"* * * * 8", 9, "the day of the week: expected a number from 0 to 7"},
        {"5,, * * * *", 3, "the minute: expected a number"},
        {"5-1 * * * *", 3, "upwards"},
        {"*/0 * * * *", 3, "a step of at least 1"},
        {"*/ * * * *", 3, "a step of at least 1"},
        {"5/5 * * * *", 2, "only after `*` or a range"},
        {"1-5/99 * * * *", 5, "a step"},
        {"-1 * * * *", 1, "a number"},
        {"@daily", 1, "a number"},
        {"1x * * * *", 2, "a space behind it"},
        {"1000 * * * *", 1, "a number"},
        {"* * * january *", 10, "a space behind it"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct cron cron = {.minutes = 77};
        char error[200] = "";
        size_t column = 0;
        if (cron_parse(cases[i].text, &cron, error, sizeof(error), &column))
            fail_msg("\"%s\" was taken", cases[i].text);
        if (column != cases[i].column || !strstr(error, cases[i].what))
            fail_msg("\"%s\": column %zu: %s", cases[i].text, column, error);
        assert_int_equal(cron.minutes, 77);
    }
}

/* Germany: 2027-03-28 01:00Z the clock jumps from 2:00 to 3:00, 2027-10-31 01:00Z from
 * 3:00 back to 2:00. */
static void summer_time_begins_and_ends(void **state)
{
    static const struct {
        const char *text, *after, *next;
    } cases[] = {
        /* what the clock jumped over fires at the jump, once, and the next day as usual
         */
        {"30 2 * * *", "2027-03-27T02:00:00Z", "2027-03-28T01:00:00Z"},
        {"30 2 * * *", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"},
        {"0,15,30 2 * * *", "2027-03-27T02:00:00Z", "2027-03-28T01:00:00Z"},
        {"0,15,30 2 * * *", "2027-03-28T01:00:00Z", "2027-03-29T00:00:00Z"},
        {"0 3 * * *", "2027-03-27T23:00:00Z", "2027-03-28T01:00:00Z"},
        {"30 1,2,3 * * *", "2027-03-28T00:30:00Z", "2027-03-28T01:00:00Z"},
        {"30 1,2,3 * * *", "2027-03-28T01:00:00Z", "2027-03-28T01:30:00Z"},
        /* what comes twice fires the first time */
        {"30 2 * * *", "2027-10-30T12:00:00Z", "2027-10-31T00:30:00Z"},
        {"30 2 * * *", "2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"},
        {"0 3 * * *", "2027-10-30T12:00:00Z", "2027-10-31T02:00:00Z"},
        {"*/30 2 * * *", "2027-10-31T00:30:00Z", "2027-11-01T01:00:00Z"},
        /* where every hour counts, real time does */
        {"30 * * * *", "2027-03-28T00:30:00Z", "2027-03-28T01:30:00Z"},
        {"30 * * * *", "2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z"},
        {"30 * * * *", "2027-10-31T01:30:00Z", "2027-10-31T02:30:00Z"},
        {"*/20 * * * *", "2027-10-31T00:40:00Z", "2027-10-31T01:00:00Z"},
        /* and in between */
        {"0 9 * * *", "2027-07-01T08:00:00Z", "2027-07-02T07:00:00Z"},
        {"0 9 * * *", "2027-12-01T08:00:00Z", "2027-12-02T08:00:00Z"},
    };
    const char *why;
    struct zone *berlin = zone_load("Europe/Berlin", &why);

    (void)state;
    if (!berlin)
        skip();
    for (size_t i = 0; i < COUNT(cases); i++)
        next_is(cases[i].text, berlin, cases[i].after, cases[i].next);
    zone_free(berlin);
}

static void odd_zones_are_right_too(void **state)
{
    static const struct {
        const char *zone, *text, *after, *next;
    } cases[] = {
        /* half an hour of summer time */
        {"Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00:00Z",
         "2026-10-03T15:30:00Z"},
        {"Asia/Kolkata", "0 0 * * *", "2026-10-03T00:00:00Z", "2026-10-03T18:30:00Z"},
        /* the clock jumps at midnight */
        {"America/Santiago", "30 0 * * *", "2026-09-05T12:00:00Z",
         "2026-09-06T04:00:00Z"},
        /* December 30, 2011 was left out */
        {"Pacific/Apia", "0 12 30 12 *", "2011-12-29T12:00:00Z", "2011-12-30T10:00:00Z"},
        {"Pacific/Apia", "0 12 31 12 *", "2011-12-29T12:00:00Z", "2011-12-30T22:00:00Z"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *why;
        struct zone *zone = zone_load(cases[i].zone, &why);
        if (!zone)
            skip();
        next_is(cases[i].text, zone, cases[i].after, cases[i].next);
        zone_free(zone);
    }
}

/* Minute by minute against the definition, over a year of a zone with summer time. */
static void every_minute_of_a_year_agrees_with_the_definition(void **state)
{
    static const char *const texts[] = {"7 * * * *", "*/17 5-22 * * *", "3 4 */3 * *",
                                        "30 12 1 * mon", "0 0 * 2,3,10 *"};
    const char *why;
    struct zone *zone = zone_load("America/New_York", &why);
    int64_t begin = at("2026-01-01T00:00:00Z"), end = at("2027-01-01T00:00:00Z");

    (void)state;
    if (!zone)
        skip();
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct cron cron = parsed(texts[i]);
        int64_t next = cron_next(&cron, zone, begin - 1);
        for (int64_t t = begin; t < end; t += 60) {
            time_t local = t + zone_offset(zone, t);
            struct tm tm;
            gmtime_r(&local, &tm);
            bool day = cron.days >> tm.tm_mday & 1,
                 weekday = cron.weekdays >> tm.tm_wday & 1;
            bool fits =
                cron.minutes >> tm.tm_min & 1 && cron.hours >> tm.tm_hour & 1 &&
                cron.months >> (tm.tm_mon + 1) & 1 &&
                (cron.any_day || cron.any_weekday ? day && weekday : day || weekday);
            if (fits != (t == next))
                fail_msg("%s at %lld: %d, next %lld", texts[i], (long long)t, fits,
                         (long long)next);
            if (t == next)
                next = cron_next(&cron, zone, t);
        }
    }
    zone_free(zone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_next_time_is_found),
        cmocka_unit_test(what_never_comes_is_told),
        cmocka_unit_test(mistakes_are_told_with_their_column),
        cmocka_unit_test(summer_time_begins_and_ends),
        cmocka_unit_test(odd_zones_are_right_too),
        cmocka_unit_test(every_minute_of_a_year_agrees_with_the_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
