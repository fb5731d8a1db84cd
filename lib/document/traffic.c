/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/document/traffic.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/money.h"
#include "lib/config/config.h"
#include "lib/document/section.h"

enum { CURRENCIES_MAX = 16 /* more are not summed */, SECONDS_A_MINUTE = 60 };

struct sums {
    struct {
        char currency[8];
        double micros; /* of all that was seen */
    } all[CURRENCIES_MAX];
    size_t n;
    bool has_free; /* calls that say no cost */
};

static double scale(const struct document *d, unsigned factor)
{
    return (double)factor * TRAFFIC_DAYS / (double)seen_days(d->seen);
}

uint64_t traffic_calls(const struct document *d, unsigned factor)
{
    uint64_t calls = 0;

    for (size_t i = 0; i < d->seen->n_costs; i++)
        calls += d->seen->costs[i].calls;
    return calls ? (uint64_t)((double)calls * scale(d, factor)) : 0;
}

static void sum_up(const struct document *d, struct sums *sums)
{
    for (size_t i = 0; i < d->seen->n_costs; i++) {
        const struct seen_cost *c = &d->seen->costs[i];
        size_t at = 0;
        sums->has_free |= !*c->currency;
        while (at < sums->n && strcmp(sums->all[at].currency, c->currency) != 0)
            at++;
        if (!*c->currency || at == CURRENCIES_MAX)
            continue;
        sums->n += at == sums->n;
        snprintf(sums->all[at].currency, sizeof(sums->all[at].currency), "%s",
                 c->currency);
        sums->all[at].micros += (double)(c->actual + c->estimated + c->configured);
    }
}

static void amount(double micros, const char *currency, struct buf *out)
{
    char text[MONEY_TEXT_SIZE];

    money_text(micros < (double)MONEY_MAX ? (int64_t)micros : MONEY_MAX, currency, text);
    buf_text(out, text);
}

void traffic_cost(const struct document *d, unsigned factor, struct buf *out)
{
    struct sums sums = {.n = 0};

    sum_up(d, &sums);
    for (size_t i = 0; i < sums.n; i++) {
        buf_text(out, i ? " and " : "");
        amount(sums.all[i].micros * scale(d, factor), sums.all[i].currency, out);
    }
    if (!sums.n)
        buf_text(out, "none is known");
}

static void budget(const struct document *d, unsigned factor, struct buf *out)
{
    const struct money *per_day = &d->integration->budget.per_day;
    struct sums sums = {.n = 0};

    if (!per_day->currency[0]) {
        buf_text(out, "no budget stops it");
        return;
    }
    sum_up(d, &sums);
    for (size_t i = 0; i < sums.n; i++) {
        double day = sums.all[i].micros * scale(d, factor) / TRAFFIC_DAYS;
        if (strcmp(sums.all[i].currency, per_day->currency) != 0)
            continue;
        amount(day, per_day->currency, out);
        buf_text(out,
                 day > (double)per_day->micros
                     ? " a day is above the budget: requests beyond it fail (`budget`)"
                     : " a day is within the budget");
    }
    if (!out->len)
        buf_text(out, "no cost in the budget's currency");
}

void traffic_limits(const struct document *d, unsigned factor, struct buf *out)
{
    double peak = (double)d->seen->peak_calls * factor / SECONDS_A_MINUTE,
           rate = d->integration->limits.rate;

    budget(d, factor, out);
    if (rate > 0 && peak > rate)
        buf_format(out,
                   "; the busiest minute needs %.1f calls a second, the rate allows %g: "
                   "they wait",
                   peak, rate);
    else if (rate > 0)
        buf_format(out, "; within the rate of %g a second", rate);
    else
        buf_text(out, "; no rate is set");
}
