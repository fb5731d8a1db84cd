/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/faults.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/json.h"
#include "sandbox/provider.h"

static const char *const names[] = {"none",
#define FAULT(name, text, what) text,
                                    FAULTS(FAULT)
#undef FAULT
};
enum { N_NAMES = sizeof(names) / sizeof(names[0]) };
enum { SLOW_MS_DEFAULT = 1000, SLOW_MS_MAX = 600000, NEXT_MAX = 1000000 };

static enum fault_kind kind_of(const char *text)
{
    for (unsigned i = 1; i < N_NAMES; i++)
        if (!strcmp(names[i], text))
            return (enum fault_kind)i;
    return FAULT_NONE;
}

bool faults_add(struct faults *faults, const struct json *description, char *error,
                size_t error_size)
{
    struct fault rule = {
        .kind = kind_of(js_text(description, "kind", "")),
        .rate = js_number(description, "rate", 0),
    };
    int64_t next = js_int(description, "next", rule.rate > 0 ? 0 : 1);
    const char *provider = js_text(description, "provider", "");
    int64_t ms = js_int(description, "ms", SLOW_MS_DEFAULT),
            retry_after = js_int(description, "retry_after", 1);

    if (rule.kind == FAULT_NONE)
        snprintf(error, error_size,
                 "kind must be one of 429, 500, slow, cut, cut_after_effect, garbage, "
                 "endless");
    else if (*provider && !provider_find(provider))
        snprintf(error, error_size, "there is no provider %.40s", provider);
    else if (next < 0 || next > NEXT_MAX || rule.rate < 0 || rule.rate > 1)
        snprintf(error, error_size, "next must be 0 to %d, rate 0 to 1", NEXT_MAX);
    else if (ms < 0 || ms > SLOW_MS_MAX || retry_after < 0 ||
             retry_after > SLOW_MS_MAX / 1000)
        snprintf(error, error_size, "ms must be 0 to %d, retry_after 0 to %d",
                 SLOW_MS_MAX, SLOW_MS_MAX / 1000);
    else if (faults->n == FAULT_RULES_MAX)
        snprintf(error, error_size, "there are %d rules already; DELETE them first",
                 FAULT_RULES_MAX);
    else {
        snprintf(rule.provider, sizeof(rule.provider), "%s", provider);
        rule.next = (unsigned)next;
        rule.ms = (unsigned)ms;
        rule.retry_after = (unsigned)retry_after;
        faults->rules[faults->n++] = rule;
        return true;
    }
    return false;
}

/* 0 <= it < 1 (xorshift64*). */
static double draw(struct faults *faults)
{
    faults->random ^= faults->random >> 12;
    faults->random ^= faults->random << 25;
    faults->random ^= faults->random >> 27;
    return (double)(faults->random * 0x2545f4914f6cdd1dull >> 11) / (double)(1ull << 53);
}

struct fault faults_take(struct faults *faults, const char *provider)
{
    for (size_t i = 0; i < faults->n; i++) {
        struct fault *rule = &faults->rules[i];

        if (*rule->provider && strcmp(rule->provider, provider) != 0)
            continue;
        if (!rule->next && (rule->rate == 0 || draw(faults) >= rule->rate))
            continue;
        if (rule->next)
            rule->next--;
        rule->fired++;
        struct fault taken = *rule;
        if (!rule->next && rule->rate == 0) { /* used up: it makes room */
            memmove(rule, rule + 1, (faults->n - i - 1) * sizeof(*rule));
            faults->n--;
        }
        return taken;
    }
    return (struct fault){.kind = FAULT_NONE};
}

struct json *faults_json(const struct faults *faults)
{
    struct json *list = js_array();
    char rate[32];

    for (size_t i = 0; i < faults->n; i++) {
        struct json *rule =
            js_set_text(js_object(), "kind", names[faults->rules[i].kind]);

        snprintf(rate, sizeof(rate), "%g", faults->rules[i].rate);
        js_set_int(rule, "next", faults->rules[i].next);
        js_set_text(rule, "rate", rate);
        if (*faults->rules[i].provider)
            js_set_text(rule, "provider", faults->rules[i].provider);
        js_push(list, js_set_int(rule, "fired", (int64_t)faults->rules[i].fired));
    }
    return list;
}
