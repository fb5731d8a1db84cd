/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/cron.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/base/zone.h"

enum { DAY = 86400, HOUR = 3600, MINUTE = 60, DAYS_MAX = 8 * 366 + 1 };

/* --- reading --- */

struct field {
    const char *what;
    int min, max;
    const char *names; /* three letters each, the first one is `min` */
};
static const struct field fields[] = {
    {"minute", 0, 59, NULL},
    {"hour", 0, 23, NULL},
    {"day of the month", 1, 31, NULL},
    {"month", 1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {"day of the week", 0, 7, "sunmontuewedthufrisat"},
};
enum { FIELDS = sizeof(fields) / sizeof(*fields) };

struct reading {
    const char *text, *at;
    char *error;
    size_t error_size;
};

static bool wrong(struct reading *in, const struct field *field, const char *expected)
{
    snprintf(in->error, in->error_size, "the %s: expected %s", field->what, expected);
    return false;
}

static int named(const struct field *field, const char *at)
{
    for (size_t i = 0; field->names && field->names[i * 3]; i++)
        if (strncasecmp(at, field->names + i * 3, 3) == 0)
            return field->min + (int)i;
    return -1;
}

static bool read_value(struct reading *in, const struct field *field, int *ret)
{
    char expected[80];
    int value = named(field, in->at);

    snprintf(expected, sizeof(expected), "a number from %d to %d%s", field->min,
             field->max, field->names ? " or three letters of its name" : "");
    if (value >= 0) {
        in->at += 3;
    } else {
        const char *from = in->at;
        for (value = 0; isdigit((unsigned char)*in->at) && in->at - from < 3; in->at++)
            value = value * 10 + *in->at - '0';
        bool is_good = in->at > from && value >= field->min && value <= field->max;
        if (!is_good)
            in->at = from;
        if (!is_good)
            return wrong(in, field, expected);
    }
    *ret = value;
    return true;
}

static bool read_step(struct reading *in, const struct field *field, int *ret_step)
{
    int step = 0;
    const char *from = ++in->at;

    for (; isdigit((unsigned char)*in->at) && in->at - from < 3; in->at++)
        step = step * 10 + *in->at - '0';
    if (step < 1 || step > field->max) {
        in->at = from;
        return wrong(in, field, "a step of at least 1 and within the field's range");
    }
    *ret_step = step;
    return true;
}

/* One of the list: `*`, a, a-b; the last two steps only. */
static bool read_item(struct reading *in, const struct field *field, uint64_t *bits)
{
    int first = field->min, last = field->max, step = 1;
    bool is_range = *in->at == '*';

    if (is_range) {
        in->at++;
    } else {
        if (!read_value(in, field, &first))
            return false;
        last = first;
        is_range = *in->at == '-';
        if (is_range) {
            const char *from = ++in->at;
            if (!read_value(in, field, &last))
                return false;
            if (last < first) {
                in->at = from;
                return wrong(in, field, "a range that goes upwards");
            }
        }
    }
    if (*in->at == '/') {
        if (!is_range)
            return wrong(in, field, "a step only after `*` or a range");
        if (!read_step(in, field, &step))
            return false;
    }
    for (int value = first; value <= last; value += step)
        *bits |= UINT64_C(1) << value;
    return true;
}

static bool read_field(struct reading *in, const struct field *field, uint64_t *ret_bits)
{
    uint64_t bits = 0;

    while (isspace((unsigned char)*in->at))
        in->at++;
    if (!*in->at)
        return wrong(in, field, "five fields: minute hour day month weekday");
    for (;;) {
        if (!read_item(in, field, &bits))
            return false;
        if (*in->at != ',')
            break;
        in->at++;
    }
    if (*in->at && !isspace((unsigned char)*in->at))
        return wrong(in, field, "a space behind it, a comma, a range or a step");
    *ret_bits = bits;
    return true;
}

bool cron_parse(const char *text, struct cron *ret, char *error, size_t error_size,
                size_t *ret_column)
{
    struct reading in = {text, text, error, error_size};
    uint64_t bits[FIELDS];
    bool is_star[FIELDS], is_good = true;

    for (size_t i = 0; i < FIELDS && is_good; i++) {
        in.at += strspn(in.at, " \t");
        is_star[i] = *in.at == '*';
        is_good = read_field(&in, &fields[i], &bits[i]);
    }
    in.at += is_good ? strspn(in.at, " \t") : 0;
    if (is_good && *in.at) {
        snprintf(error, error_size, "expected the end after five fields");
        is_good = false;
    }
    *ret_column = (size_t)(in.at - text) + 1;
    if (!is_good)
        return false;
    *ret = (struct cron){.minutes = bits[0],
                         .hours = (uint32_t)bits[1],
                         .days = (uint32_t)bits[2],
                         .months = (uint16_t)bits[3],
                         .weekdays = (uint8_t)((bits[4] | bits[4] >> 7) & 0x7f),
                         .any_day = is_star[2],
                         .any_weekday = is_star[4],
                         .every_hour = bits[1] == (1u << 24) - 1};
    return true;
}

/* --- the next time --- */

static bool fits_day(const struct cron *cron, int64_t local_midnight)
{
    time_t t = local_midnight;
    struct tm tm;

    if (!gmtime_r(&t, &tm) || !(cron->months >> (tm.tm_mon + 1) & 1))
        return false;
    bool day = cron->days >> tm.tm_mday & 1, weekday = cron->weekdays >> tm.tm_wday & 1;
    return cron->any_day || cron->any_weekday ? day && weekday : day || weekday;
}

/* The moment at which the clock jumped over a local time that is not there. */
static int64_t jump(const struct zone *zone, int64_t before, int64_t after)
{
    int32_t offset = zone_offset(zone, before);

    while (after - before > 1) {
        int64_t middle = before + (after - before) / 2;
        if (zone_offset(zone, middle) == offset)
            before = middle;
        else
            after = middle;
    }
    return after;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return !a || (b && b < a) ? b : a;
}

/* When a local time comes, if later than `after`; 0 when not. Zones are no more than a
 * day away from UTC, so what is in force a day before and after is all that can be. */
static int64_t moment(const struct cron *cron, const struct zone *zone, int64_t local,
                      int64_t after)
{
    int32_t offset[2] = {zone_offset(zone, local - DAY), zone_offset(zone, local + DAY)};
    int64_t first = local - offset[0], second = local - offset[1], found = 0;
    bool is_first = zone_offset(zone, first) == offset[0];
    bool is_second = zone_offset(zone, second) == offset[1];

    if (!is_first && !is_second && !cron->every_hour)
        found = jump(zone, local - DAY, local + DAY);
    else if (is_first && (first > after || !cron->every_hour || !is_second))
        found = first; /* the larger offset comes first */
    else if (is_second)
        found = second;
    return found > after ? found : 0;
}

static int64_t next_in_day(const struct cron *cron, const struct zone *zone,
                           int64_t midnight, int64_t after)
{
    int32_t offset = zone_offset(zone, midnight - DAY);
    bool is_plain = offset == zone_offset(zone, midnight + 2 * DAY);
    int64_t found = 0;

    for (int hour = 0; hour < 24; hour++) {
        for (int minute = 0; cron->hours >> hour & 1 && minute < 60; minute++) {
            if (!(cron->minutes >> minute & 1))
                continue;
            int64_t local = midnight + hour * HOUR + minute * MINUTE;
            if (is_plain && local - offset > after)
                return local - offset;
            if (!is_plain)
                found = earlier(found, moment(cron, zone, local, after));
        }
    }
    return found;
}

int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after)
{
    int64_t local = after + zone_offset(zone, after);
    int64_t midnight = local - (local % DAY + DAY) % DAY - DAY;

    /* From the day before: it may have times that the clock put off until now. */
    for (int day = 0; day <= DAYS_MAX; day++, midnight += DAY) {
        int64_t found =
            fits_day(cron, midnight) ? next_in_day(cron, zone, midnight, after) : 0;
        if (found)
            return found;
    }
    return 0;
}
