/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Cost Model: what a call costs by the model, what calls have cost, and at 10 and 100
 * times the traffic */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/money.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/document/section.h"
#include "lib/document/traffic.h"

bool model_price(const struct document *document, const char *operation, uint64_t at_us,
                 int64_t *ret_micros, char ret_currency[4], const char **ret_from)
{
    const struct config_price *price =
        config_price(document->integration, operation, at_us);
    const struct json *max = js_get(document_operation(document, operation), "price_max");

    if (price) {
        *ret_micros = price->price.micros;
        snprintf(ret_currency, 4, "%s", price->price.currency);
        *ret_from = "the configuration's `prices`";
        return true;
    }
    if (!js_text(max, "currency", NULL))
        return false;
    *ret_micros = js_int(max, "micros", 0);
    snprintf(ret_currency, 4, "%s", js_text(max, "currency", ""));
    *ret_from = "the connector's";
    return true;
}

const char *model_option(const struct config_integration *integration, const char *name)
{
    for (size_t i = 0; i < integration->n_options; i++)
        if (strcmp(integration->option_names[i], name) == 0)
            return integration->option_values[i];
    return NULL;
}

bool model_age_days(const char *date, uint64_t at_us, uint64_t *ret_days)
{
    _free_ char *time = mem_format("%sT00:00:00Z", date);
    uint64_t since_us;

    if (!text_parse_time(time, &since_us))
        return false;
    *ret_days = at_us > since_us ? (at_us - since_us) / (UINT64_C(86400) * 1000000) : 0;
    return true;
}

/* Prices are those in force at the end of the log; without one, the newest. */
static uint64_t priced_at(const struct document *d)
{
    return d->seen && d->seen->last_us ? d->seen->last_us : UINT64_MAX;
}

/* --- per call --- */

static void price_cells(const struct view *v, const struct json *o, struct page *page)
{
    char currency[4], text[MONEY_TEXT_SIZE];
    const char *from;
    int64_t micros;

    page_cell(page, "%s", js_text(o, "price", "is not said"));
    if (model_price(v->document, js_text(o, "name", ""), priced_at(v->document), &micros,
                    currency, &from)) {
        money_text(micros, currency, text);
        if (micros)
            page_cell(page, "%s (%s)", text, from);
        else
            page_cell(page, "nothing (%s)", from);
    } else {
        page_cell(page, js_bool(o, "has_price", false)
                            ? "reckoned for each call, or told by the service"
                            : "no amount");
    }
}

static int64_t sum_of(const struct seen_cost *c)
{
    return c->actual + c->estimated + c->configured;
}

/* What calls of the operation have cost, by currency. */
static void seen_cells(const struct view *v, const char *operation, struct page *page)
{
    const struct seen *seen = v->document->seen;
    struct buf sums = BUF_NULL, each = BUF_NULL;
    char text[MONEY_TEXT_SIZE];
    uint64_t calls = 0;

    for (size_t i = 0; seen && i < seen->n_costs; i++) {
        const struct seen_cost *c = &seen->costs[i];
        if (strcmp(c->operation, operation) != 0)
            continue;
        calls += c->calls;
        if (!*c->currency)
            continue;
        money_text(sum_of(c), c->currency, text);
        buf_format(&sums, "%s%s%s", sums.len ? "; " : "", text,
                   c->actual == sum_of(c) ? "" : ", in part estimated");
        money_text(sum_of(c) / (int64_t)c->calls, c->currency, text);
        buf_format(&each, "%s%s", each.len ? "; " : "", text);
    }
    if (seen) {
        page_cell(page, "%llu", (unsigned long long)calls);
        page_cell(page, "%s", sums.len ? buf_str(&sums) : "none");
        page_cell(page, "%s", each.len ? buf_str(&each) : "-");
    }
    buf_fini(&sums);
    buf_fini(&each);
}

static void prices(const struct view *v, struct page *page)
{
    static const char *const columns[] = {
        "Operation",       "Price", "By the model, a call", "Calls seen", "Cost seen",
        "That is, a call", NULL};
    static const char *const unseen[] = {"Operation", "Price", "By the model, a call",
                                         NULL};
    const struct json *list = js_get(v->document->manifest, "operations");

    page_table(page, v->document->seen ? columns : unseen);
    for (size_t i = 0; i < js_count(list); i++) {
        const char *name = js_text(js_at(list, i), "name", "?");
        _free_ char *operation =
            mem_format("%s.%s", v->document->integration->connector, name);
        page_cell(page, "`%s`", name);
        price_cells(v, js_at(list, i), page);
        seen_cells(v, operation, page);
    }
}

/* --- as it grows --- */

static void growth(const struct view *v, struct page *page)
{
    static const char *const columns[] = {"Traffic", "Calls in 30 days",
                                          "Cost in 30 days", "What the limits say", NULL};
    static const unsigned factors[] = {1, 10, 100};

    page_heading(page, 3, "As the traffic grows");
    page_text(
        page,
        "From what was seen in %llu %s, taken as it is for 30 days. A plan with tiers "
        "or a minimum is not in it.",
        (unsigned long long)seen_days(v->document->seen),
        seen_days(v->document->seen) == 1 ? "day" : "days");
    page_table(page, columns);
    for (size_t i = 0; i < sizeof(factors) / sizeof(*factors); i++) {
        struct buf cost = BUF_NULL, limits = BUF_NULL;
        traffic_cost(v->document, factors[i], &cost);
        traffic_limits(v->document, factors[i], &limits);
        page_cell(page, factors[i] == 1 ? "as it was" : "%u times as much", factors[i]);
        page_cell(page, "%llu",
                  (unsigned long long)traffic_calls(v->document, factors[i]));
        page_cell(page, "%s", buf_str(&cost));
        page_cell(page, "%s", buf_str(&limits));
        buf_fini(&cost);
        buf_fini(&limits);
    }
}

/* Nothing was seen, or nothing is to be said of it: by the model. */
static void by_model(const struct view *v, struct page *page)
{
    static const char *const columns[] = {"Operation", "1,000 calls", "10,000 calls",
                                          "100,000 calls", NULL};
    const struct json *list = js_get(v->document->manifest, "operations");
    char currency[4], text[MONEY_TEXT_SIZE];
    const char *from;
    int64_t micros;
    bool is_any = false;

    page_heading(page, 3, "As the traffic grows");
    page_table(page, columns);
    for (size_t i = 0; i < js_count(list); i++) {
        const char *name = js_text(js_at(list, i), "name", "?");
        if (!model_price(v->document, name, priced_at(v->document), &micros, currency,
                         &from) ||
            micros == 0)
            continue;
        is_any = true;
        page_cell(page, "`%s`", name);
        for (int64_t calls = 1000; calls <= 100000; calls *= 10) {
            money_text(micros > MONEY_MAX / calls ? MONEY_MAX : micros * calls, currency,
                       text);
            page_cell(page, "%s", text);
        }
    }
    page_text(page, "%s",
              is_any
                  ? "At the model's price for every call, which is the most it can be; "
                    "ten times the calls are ten times the cost."
                  : "No amount is known before calls are made: ten times the calls are "
                    "ten times the price above. `prices` of the integration gives an "
                    "amount for a call, and this table.");
}

/* Prices of tokens are a list of the operator's, which somebody has to look after. */
static void price_list(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;
    const char *date = model_option(in, "prices_date");
    uint64_t days;

    if (!model_option(in, "prices"))
        return;
    if (!date)
        page_item(page,
                  "Prices are those of `options.prices`, of no day that is known: set "
                  "`options.prices_date` when they are compared with the provider's.");
    else if (v->document->seen && model_age_days(date, priced_at(v->document), &days))
        page_item(page,
                  "Prices are those of `options.prices` as of %s, %llu %s before the end "
                  "of the log; each cost in the log has this day beside it "
                  "(`prices_date`).",
                  date, (unsigned long long)days, days == 1 ? "day" : "days");
    else
        page_item(page,
                  "Prices are those of `options.prices` as of %s; each cost in the log "
                  "has this day beside it (`prices_date`).",
                  date);
}

static void limits(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;
    char text[MONEY_TEXT_SIZE];

    if (in->budget.per_day.currency[0]) {
        money_text(in->budget.per_day.micros, in->budget.per_day.currency, text);
        page_item(page,
                  "Budget: %s a day of UTC. A request that could exceed it fails "
                  "before the call, class `budget`.",
                  text);
    } else {
        page_item(page,
                  "No budget is set (`budget: { per_day: ... }`): nothing stops the "
                  "cost of a mistake that calls in a loop.");
    }
    if (in->limits.rate > 0)
        page_item(page, "Rate: at most %g calls a second over all processes; more wait.",
                  in->limits.rate);
    page_item(page, "What it has cost: `signalbox cost --by operation`.");
}

void cost_section(const struct view *v, struct page *page)
{
    const struct seen *seen = v->document->seen;

    if (!v->document->integration->connector) {
        page_text(page,
                  "Receiving webhooks costs nothing at %s: no call is made. At ten "
                  "times the traffic the log grows ten times as fast; "
                  "`log.retain_age` and `log.retain_size` bound it.",
                  v->service);
        return;
    }
    prices(v, page);
    if (seen && traffic_calls(v->document, 1))
        growth(v, page);
    else
        by_model(v, page);
    price_list(v, page);
    limits(v, page);
}
