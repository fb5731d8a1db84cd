/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* seen - what the log has seen of one integration: events, endings, costs, tests */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

struct config_integration;
struct json;
struct ledger;

struct seen_event {
    char *type;
    enum record_kind kind;           /* request, fact or outcome */
    uint64_t count, success, failed; /* of outcomes the count only */
    uint64_t classes[CLASS_COUNT];   /* of those that failed */
    uint64_t last_us;                /* by the minute */
};
/* What calls of one operation cost in one currency; "" where nothing was said. */
struct seen_cost {
    char *operation; /* "payment.charge" */
    char currency[8];
    uint64_t calls, successes;             /* successes: of these */
    int64_t actual, estimated, configured; /* millionths */
    int64_t peak_day;                      /* the most of a day of UTC, and when */
    uint64_t peak_day_us;
    int64_t day; /* of the day that is being summed */
    uint64_t day_us;
};
struct seen {
    uint64_t first_us, last_us; /* what is in the log; 0: nothing */
    uint64_t peak_calls;        /* the most requests in one minute */
    struct seen_event *events;  /* by type */
    size_t n_events;
    struct seen_cost *costs; /* by operation and currency */
    size_t n_costs;
    struct json *tested; /* the newest record of a test, NULL: none */
    uint64_t tested_us;
};

/* Look through the log. NULL with a reason. */
struct seen *seen_new(struct ledger *ledger, const struct config_integration *integration,
                      char *error, size_t error_size);
void seen_free(struct seen *seen);
/* NULL: never. */
const struct seen_event *seen_find(const struct seen *seen, const char *type);
/* How many failed of that class, whatever they were. */
uint64_t seen_class(const struct seen *seen, enum record_class error_class);
/* Days from the first to the last thing in the log, at least one. */
uint64_t seen_days(const struct seen *seen);
