/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/zone.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/mem.h"

enum {
    HEADER = 44,        /* bytes of a TZif header */
    HOURS_MAX = 167,    /* of a rule's time of day */
    OFFSET_MAX = 90000, /* seconds; RFC 8536 knows -25 to 26 hours */
    NAME_MAX_LEN = 64,
};

/* "Mm.w.d", "Jn" or "n", at a time of the day. */
struct moment {
    char form; /* 'M', 'J' or '0' */
    int month, week, day;
    int32_t seconds;
};
struct rule {
    int32_t standard, summer;
    bool has_summer;
    struct moment begin, end; /* of summer time */
};

struct zone {
    int64_t *at;     /* transitions, ascending */
    int32_t *offset; /* from each on */
    size_t n;
    int32_t first; /* before the first one */
    bool has_rule; /* from the last one on */
    struct rule rule;
};

/* --- the footer: a rule as POSIX writes it in TZ --- */

static bool skip_name(const char **at)
{
    const char *from = *at;

    if (**at == '<') {
        *at += strcspn(*at, ">");
        return *(*at)++ == '>';
    }
    while (isalpha((unsigned char)**at))
        ++*at;
    return *at - from >= 3;
}

static bool read_number(const char **at, int max, int *ret)
{
    int value = 0;

    if (!isdigit((unsigned char)**at))
        return false;
    for (; isdigit((unsigned char)**at) && value <= max; ++*at)
        value = value * 10 + **at - '0';
    *ret = value;
    return value <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(const char **at, int32_t *ret_seconds)
{
    int sign = **at == '-' ? -1 : 1, part = 0, factor = 3600;
    int32_t seconds = 0;

    if (**at == '-' || **at == '+')
        ++*at;
    for (; factor > 0; factor /= 60) {
        if (!read_number(at, factor == 3600 ? HOURS_MAX : 59, &part))
            return false;
        seconds += part * factor;
        if (**at != ':')
            break;
        ++*at;
    }
    *ret_seconds = sign * seconds;
    return true;
}

static bool read_moment(const char **at, struct moment *ret)
{
    *ret = (struct moment){.form = '0', .seconds = 2 * 3600};
    if (*(*at)++ != ',')
        return false;
    if (**at == 'M') {
        ret->form = *(*at)++;
        if (!read_number(at, 12, &ret->month) || *(*at)++ != '.' ||
            !read_number(at, 5, &ret->week) || *(*at)++ != '.' ||
            !read_number(at, 6, &ret->day) || !ret->month || !ret->week)
            return false;
    } else {
        if (**at == 'J')
            ret->form = *(*at)++;
        if (!read_number(at, 365, &ret->day) || (ret->form == 'J' && !ret->day))
            return false;
    }
    if (**at != '/')
        return true;
    ++*at;
    return read_time(at, &ret->seconds);
}

static bool read_rule(const char *at, struct rule *ret)
{
    struct rule rule = {0};

    if (!skip_name(&at) || !read_time(&at, &rule.standard))
        return false;
    rule.standard = -rule.standard; /* POSIX counts west of Greenwich */
    rule.summer = rule.standard + 3600;
    if (*at) {
        rule.has_summer = true;
        if (!skip_name(&at))
            return false;
        if (*at != ',') {
            if (!read_time(&at, &rule.summer))
                return false;
            rule.summer = -rule.summer;
        }
        if (!read_moment(&at, &rule.begin) || !read_moment(&at, &rule.end))
            return false;
    }
    *ret = rule;
    return !*at;
}

/* --- the rule at work --- */

static int64_t midnight(int year, int month, int day)
{
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day};

    return timegm(&tm);
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/* Local seconds since 1970 at which the moment of a year begins. */
static int64_t moment_in(const struct moment *m, int year)
{
    if (m->form != 'M') {
        int day = m->form == 'J' ? m->day + (is_leap(year) && m->day >= 60) : m->day + 1;
        return midnight(year, 1, day) + m->seconds;
    }
    int64_t first = midnight(year, m->month, 1);
    int64_t next = midnight(year, m->month + 1, 1);
    int weekday = (int)((first / 86400 + 4) % 7);
    if (weekday < 0)
        weekday += 7;
    int64_t day = first + ((m->day - weekday + 7) % 7 + (m->week - 1) * 7) * 86400;
    return (day >= next ? day - 7 * 86400 : day) + m->seconds;
}

static int32_t rule_offset(const struct rule *rule, int64_t at)
{
    time_t local = at + rule->standard;
    struct tm tm;

    if (!rule->has_summer || !gmtime_r(&local, &tm))
        return rule->standard;
    int64_t begin = moment_in(&rule->begin, tm.tm_year + 1900) - rule->standard;
    int64_t end = moment_in(&rule->end, tm.tm_year + 1900) - rule->summer;
    bool is_summer = begin < end ? at >= begin && at < end : at >= begin || at < end;
    return is_summer ? rule->summer : rule->standard;
}

/* --- TZif --- */

struct counts {
    uint32_t isut, isstd, leap, time, type, text;
};

static uint32_t be32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static int64_t be64(const uint8_t *at)
{
    return (int64_t)((uint64_t)be32(at) << 32 | be32(at + 4));
}

static bool read_counts(const uint8_t *at, size_t n, struct counts *ret)
{
    if (n < HEADER || memcmp(at, "TZif", 4) != 0)
        return false;
    *ret = (struct counts){be32(at + 20), be32(at + 24), be32(at + 28),
                           be32(at + 32), be32(at + 36), be32(at + 40)};
    /* No count of a file of this size is larger: sums of them cannot overflow. */
    return ret->isut <= ZONE_FILE_MAX && ret->isstd <= ZONE_FILE_MAX &&
           ret->leap <= ZONE_FILE_MAX && ret->time <= ZONE_FILE_MAX &&
           ret->type <= ZONE_FILE_MAX && ret->text <= ZONE_FILE_MAX && ret->type > 0;
}

/* Bytes of a data block whose times have `width` bytes. */
static size_t block_size(const struct counts *c, size_t width)
{
    return c->time * (width + 1) + c->type * 6 + c->text + c->leap * (width + 4) +
           c->isstd + c->isut;
}

static bool read_type(const uint8_t *types, const struct counts *c, uint32_t index,
                      int32_t *ret_offset)
{
    if (index >= c->type)
        return false;
    *ret_offset = (int32_t)be32(types + index * 6);
    return *ret_offset >= -OFFSET_MAX && *ret_offset <= OFFSET_MAX;
}

static bool read_block(const uint8_t *at, const struct counts *c, struct zone *zone)
{
    const uint8_t *indexes = at + (size_t)c->time * 8, *types = indexes + c->time;

    zone->n = c->time;
    zone->at = mem_array(c->time, sizeof(*zone->at));
    zone->offset = mem_array(c->time, sizeof(*zone->offset));
    if (!read_type(types, c, 0, &zone->first))
        return false;
    for (uint32_t i = 0; i < c->time; i++) {
        zone->at[i] = be64(at + (size_t)i * 8);
        if (!read_type(types, c, indexes[i], &zone->offset[i]) ||
            (i > 0 && zone->at[i] <= zone->at[i - 1]))
            return false;
    }
    return true;
}

/* "\n" rule "\n"; an empty rule says nothing about later times. */
static bool read_footer(const uint8_t *at, size_t n, struct zone *zone)
{
    char text[128];

    if (n < 2 || at[0] != '\n' || n - 2 >= sizeof(text) || at[n - 1] != '\n')
        return false;
    memcpy(text, at + 1, n - 2);
    text[n - 2] = 0;
    zone->has_rule = n > 2;
    return !zone->has_rule || (strlen(text) == n - 2 && read_rule(text, &zone->rule));
}

static const char *read_all(const uint8_t *at, size_t n, struct zone *zone)
{
    struct counts c;

    if (n > ZONE_FILE_MAX || !read_counts(at, n, &c))
        return "it is no TZif file";
    if (at[4] < '2')
        return "it is of TZif version 1, which ends in 2037";
    size_t skip = HEADER + block_size(&c, 4);
    if (n < skip || !read_counts(at + skip, n - skip, &c))
        return "its second part is missing";
    at += skip + HEADER;
    n -= skip + HEADER;
    size_t size = block_size(&c, 8);
    if (n < size || !read_block(at, &c, zone))
        return "its transitions are damaged";
    return read_footer(at + size, n - size, zone) ? NULL : "its rule cannot be read";
}

struct zone *zone_parse(const void *bytes, size_t n, const char **ret_why)
{
    struct zone *zone = mem_alloc(sizeof(*zone));
    const char *why = read_all(bytes, n, zone);

    if (!why)
        return zone;
    zone_free(zone);
    *ret_why = why;
    return NULL;
}

static bool is_name(const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n <= NAME_MAX_LEN && isalpha((unsigned char)*name) &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
                        "/_+-") == n;
}

struct zone *zone_load(const char *name, const char **ret_why)
{
    char path[sizeof(ZONE_DIRECTORY) + NAME_MAX_LEN + 2];
    uint8_t bytes[ZONE_FILE_MAX];

    if (strcmp(name, "UTC") == 0)
        return mem_alloc(sizeof(struct zone));
    *ret_why = "there is no such time zone";
    if (!is_name(name))
        return NULL;
    snprintf(path, sizeof(path), "%s/%s", ZONE_DIRECTORY, name);
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    size_t n = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file); /* it was only read */
    return zone_parse(bytes, n, ret_why);
}

struct zone *zone_copy(const struct zone *zone)
{
    if (!zone)
        return NULL;
    struct zone *copy = mem_copy(zone, sizeof(*zone));
    copy->at = mem_copy(zone->at, zone->n * sizeof(*zone->at));
    copy->offset = mem_copy(zone->offset, zone->n * sizeof(*zone->offset));
    return copy;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->at);
    free(zone->offset);
    free(zone);
}

int32_t zone_offset(const struct zone *zone, int64_t at)
{
    size_t low = 0, high = zone ? zone->n : 0;

    if (!zone)
        return 0;
    if (zone->has_rule && (high == 0 || at >= zone->at[high - 1]))
        return rule_offset(&zone->rule, at);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->at[middle] <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low > 0 ? zone->offset[low - 1] : zone->first;
}
