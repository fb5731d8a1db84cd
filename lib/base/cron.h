/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* cron - "minute hour day-of-month month day-of-week" in a time zone
 *
 * A field is `*`, a number, a range `a-b`, either with a step `/n`, or a list of these
 * with commas.  Months and days of the week may be named by three letters; Sunday is 0
 * or 7. Where both day fields are restricted (do not begin with `*`), a day that fits
 * either counts.
 *
 * Summer time: a local time that the clock jumped over fires at the moment of the jump,
 * so that no day is without its run; one that comes twice fires the first time.  Where
 * every hour counts (the hour field is `*`) runs follow real time instead: in an hour
 * that comes twice they come twice, in one that is left out there are none. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zone;

struct cron {
    uint64_t minutes;          /* bit n: minute n */
    uint32_t hours, days;      /* days: 1 to 31 */
    uint16_t months;           /* 1 to 12 */
    uint8_t weekdays;          /* 0 = Sunday */
    bool any_day, any_weekday; /* the field begins with `*` */
    bool every_hour;
};

/* Read it. False with the reason in error[], and in *ret_column where in the text (from
 * 1) it is wrong. */
bool cron_parse(const char *text, struct cron *ret, char *error, size_t error_size,
                size_t *ret_column);
/* The first time after `after` (seconds since 1970) at which it fires; 0 when there is
 * none in the eight years from then (February 30). A NULL zone is UTC. */
int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t after);
