/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* check - what scenarios share: asking the connector, and saying what was wrong */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "cli/connector/scenarios.h"

struct result;
struct service_answer;
struct stand_event;

enum { CHECK_RESULT_US = 20000000 /* for an answer to one event */ };

/* The claim does not hold, or cannot be tried; why. */
enum scenario_result check_broken(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
enum scenario_result check_skipped(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Of the operation that is being tried: */
const char *check_operation(const struct check *check);
const char *check_repeat(const struct check *check); /* "never", "safe", "keyed" */
bool check_is_repeat(const struct check *check, const char *what);
bool check_has_lookup(const struct check *check);
/* "payment.charge" with an end; to be freed. */
char *check_type(const struct check *check, const char *end);
/* A member of the manifest's row as text of JSON; NULL when there is none; to be freed.
 */
char *check_example(const struct check *check, const char *member);

/* Has the program ended, or did somebody stop the kit? */
bool check_is_over(const struct check *check);
/* Deliver it and read the one result; false with check->why. */
bool check_ask(struct check *check, const struct stand_event *event, uint64_t timeout_us,
               struct result *ret);
/* The operation's example, with what else is said of the event. */
bool check_ask_example(struct check *check, struct stand_event event, uint64_t timeout_us,
                       struct result *ret);
/* What the service answers from now on, where it is ours; how often it was called. */
void check_answer(struct check *check, struct service_answer answer);
unsigned check_calls(const struct check *check);

/* A failure for people: of this class (-1: any), with a text. */
enum scenario_result check_failure(struct check *check, const struct result *r,
                                   int class);
/* The outcome's type has this end. */
enum scenario_result check_outcome_type(struct check *check, const struct result *r,
                                        const char *end);
