/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* faults - the menu of what a provider may do to a caller
 *
 * Rules are added over HTTP and looked at in their order for each call to a provider; the
 * first one that fires decides. A rule fires for the `next` N calls, or for a share of
 * all. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json;

/* FAULT(name, text, what it does) */
#define FAULTS(FAULT)                                                                    \
    FAULT(RATE_LIMITED, "429",                                                           \
          "answers 429 with Retry-After (retry_after seconds); nothing is done")         \
    FAULT(BROKEN, "500", "answers 500 that may be tried again; nothing is done")         \
    FAULT(SLOW, "slow", "does it at once and answers after `ms` milliseconds")           \
    FAULT(CUT, "cut", "breaks the answer off; nothing is done")                          \
    FAULT(CUT_AFTER_EFFECT, "cut_after_effect", "does it, then breaks the answer off")   \
    FAULT(GARBAGE, "garbage",                                                            \
          "answers 200 with a page that is no JSON; nothing is done")                    \
    FAULT(ENDLESS, "endless",                                                            \
          "answers 200 with a body that does not end; nothing is done")

enum fault_kind {
    FAULT_NONE,
#define FAULT(name, text, what) FAULT_##name,
    FAULTS(FAULT)
#undef FAULT
};

enum { FAULT_RULES_MAX = 16 };

struct fault {
    enum fault_kind kind;
    unsigned next; /* calls still to hit */
    double rate;   /* or: share of calls, 0 to 1 */
    unsigned ms, retry_after;
    char provider[32]; /* whose calls; empty: all */
    uint64_t fired;
};
struct faults {
    struct fault rules[FAULT_RULES_MAX];
    size_t n;
    uint64_t random; /* state of the generator; any value but 0 */
};

/* Add the rule in `description`: {"kind", "provider"?, "next" or "rate", "ms",
 * "retry_after"}. False with the reason. */
bool faults_add(struct faults *faults, const struct json *description, char *error,
                size_t error_size);
/* What happens to the call to the provider that is here now; kind FAULT_NONE: nothing. */
struct fault faults_take(struct faults *faults, const char *provider);
/* [{"kind", "provider"?, "next", "rate", "fired"}, ...] */
struct json *faults_json(const struct faults *faults);
