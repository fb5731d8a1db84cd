/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/holds.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/money.h"
#include "lib/base/text.h"

/* "12s", as far as whole seconds go. */
static const char *span(uint64_t from_us, uint64_t to_us, char text[32])
{
    text_duration((to_us > from_us ? to_us - from_us : 0) / 1000000 * 1000000, text, 32);
    return text;
}

static void print_pause(const struct json *group, const char *name)
{
    const char *reason = js_text(group, "pause.reason", NULL);

    if (js_bool(group, "paused", false))
        printf("%-20s paused%s%s\n", name, reason ? ": " : "", reason ? reason : "");
}

static void print_breaker(const struct json *breaker, const char *name, uint64_t now_us)
{
    const char *state = js_text(breaker, "state", "closed");
    uint64_t since = (uint64_t)js_int(breaker, "since_us", 0),
             until = (uint64_t)js_int(breaker, "until_us", 0);
    char age[32], rest[32];

    if (strcmp(state, "closed") == 0)
        return;
    printf("%-20s breaker %s for %s: %s", name, state, span(since, now_us, age),
           js_text(breaker, "reason", ""));
    if (until)
        printf("; a call tries in %s", span(now_us, until, rest));
    putchar('\n');
}

static void print_budget(const struct json *budget, const char *name)
{
    const char *currency = js_text(budget, "currency", "");
    char limit[MONEY_TEXT_SIZE], spent[MONEY_TEXT_SIZE], held[MONEY_TEXT_SIZE];

    if (!budget)
        return;
    money_text(js_int(budget, "per_day_micros", 0), currency, limit);
    money_text(js_int(budget, "spent_micros", 0), currency, spent);
    money_text(js_int(budget, "held_micros", 0), currency, held);
    printf("%-20s budget: %s of %s spent today (UTC), %s reserved%s\n", name, spent,
           limit, held,
           js_bool(budget, "exceeded", false)
               ? "; exceeded: requests end Failed/budget until midnight UTC"
               : "");
}

static void print_pace(const struct json *limits, const char *name)
{
    const char *rate = js_text(limits, "rate", NULL),
               *waits = js_text(limits, "waits_for", NULL);
    int64_t concurrency = js_int(limits, "concurrency", 0);

    if (!rate && !concurrency && !waits)
        return;
    printf("%-20s limits:", name);
    if (rate)
        printf(" rate %s", rate);
    if (concurrency)
        printf(" concurrency %" PRId64, concurrency);
    if (waits)
        printf("; calls wait for %s", waits);
    putchar('\n');
}

static void print_schedules(const struct json *schedules, const char *name,
                            uint64_t now_us)
{
    char full[160], next[32];

    for (size_t i = 0; i < js_count(schedules); i++) {
        const struct json *s = js_at(schedules, i);
        uint64_t due = (uint64_t)js_int(s, "next_due_us", 0);
        if (!js_bool(s, "configured", false))
            continue;
        snprintf(full, sizeof(full), "%s.%s", name, js_text(s, "operation", ""));
        printf("%-20s runs %s", full, js_text(s, "when", ""));
        if (due)
            printf(", next in %s", span(now_us, due, next));
        printf("%s%s\n", js_bool(s, "running", false) ? ", a run is under way" : "",
               js_bool(s, "owed", false) ? ", one more is owed" : "");
    }
}

void holds_print(const struct json *groups, uint64_t now_us)
{
    putchar('\n');
    for (size_t i = 0; i < js_count(groups); i++) {
        const struct json *group = js_at(groups, i);
        const char *name = js_text(group, "name", "");
        print_pause(group, name);
        print_breaker(js_get(group, "limits.breaker"), name, now_us);
        print_budget(js_get(group, "limits.budget"), name);
        print_pace(js_get(group, "limits"), name);
        print_schedules(js_get(group, "schedules"), name, now_us);
    }
}
