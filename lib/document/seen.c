/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/document/seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/ledger/cost.h"
#include "lib/ledger/ledger.h"
#include "lib/ledger/tally.h"
#include "proto/tested.h"

#define MINUTE_US UINT64_C(60000000)
#define DAY_US    (24 * 60 * MINUTE_US)

struct looking {
    struct seen *seen;
    const struct config_integration *integration;
    uint64_t minute, calls; /* that are being counted */
};

/* --- events --- */

static enum record_kind kind_of(enum views_what what)
{
    if (what == VIEWS_ANSWERED)
        return RECORD_OUTCOME;
    return what == VIEWS_TOLD || what == VIEWS_GIVEN_UP ? RECORD_FACT : RECORD_REQUEST;
}

static struct seen_event *event_of(struct seen *seen, const char *type,
                                   enum record_kind kind)
{
    for (size_t i = 0; i < seen->n_events; i++)
        if (seen->events[i].kind == kind && strcmp(seen->events[i].type, type) == 0)
            return &seen->events[i];
    seen->events = mem_resize(seen->events, (seen->n_events + 1) * sizeof(*seen->events));
    seen->events[seen->n_events] =
        (struct seen_event){.type = mem_text(type), .kind = kind};
    return &seen->events[seen->n_events++];
}

static void count_minute(struct looking *l, const struct ledger_tally *t)
{
    if (t->what != VIEWS_ASKED)
        return;
    if (l->minute != t->timestamp_us / MINUTE_US)
        l->calls = 0;
    l->minute = t->timestamp_us / MINUTE_US;
    l->calls += t->count;
    if (l->calls > l->seen->peak_calls)
        l->seen->peak_calls = l->calls;
}

static void take_tally(void *user, const struct ledger_tally *t)
{
    struct looking *l = user;
    struct seen *seen = l->seen;

    if (!seen->first_us)
        seen->first_us = t->timestamp_us;
    if (t->timestamp_us > seen->last_us)
        seen->last_us = t->timestamp_us;
    if (!t->integration || strcmp(t->integration, l->integration->name) != 0)
        return;
    struct seen_event *event = event_of(seen, t->type, kind_of(t->what));
    bool ends =
        t->what == VIEWS_ENDED || t->what == VIEWS_GIVEN_UP || t->what == VIEWS_TOLD;
    if (t->what != VIEWS_ENDED && t->what != VIEWS_GIVEN_UP)
        event->count += t->count;
    if (t->timestamp_us > event->last_us)
        event->last_us = t->timestamp_us;
    if (ends && t->status == STATUS_SUCCESS)
        event->success += t->count;
    if (ends && t->status == STATUS_FAILED) {
        event->failed += t->count;
        event->classes[t->error_class < CLASS_COUNT ? t->error_class : 0] += t->count;
    }
    count_minute(l, t);
}

static int by_type(const void *a, const void *b)
{
    const struct seen_event *x = a, *y = b;
    int order = strcmp(x->type, y->type);

    return order ? order : (int)x->kind - (int)y->kind;
}

/* --- costs --- */

static struct seen_cost *cost_of(struct seen *seen, const char *operation,
                                 const char *currency)
{
    for (size_t i = 0; i < seen->n_costs; i++)
        if (strcmp(seen->costs[i].operation, operation) == 0 &&
            strcmp(seen->costs[i].currency, currency) == 0)
            return &seen->costs[i];
    seen->costs = mem_resize(seen->costs, (seen->n_costs + 1) * sizeof(*seen->costs));
    struct seen_cost *cost = &seen->costs[seen->n_costs++];
    *cost = (struct seen_cost){.operation = mem_text(operation)};
    snprintf(cost->currency, sizeof(cost->currency), "%s", currency);
    return cost;
}

static void count_day(struct seen_cost *cost, uint64_t at_us, int64_t micros)
{
    uint64_t day_us = at_us / DAY_US * DAY_US;

    if (cost->day_us != day_us)
        cost->day = 0;
    cost->day_us = day_us;
    cost->day += micros;
    if (cost->day > cost->peak_day) {
        cost->peak_day = cost->day;
        cost->peak_day_us = day_us;
    }
}

/* A call without a cost costs what the configuration says, if it succeeded. */
static void take_cost(void *user, const struct ledger_cost *c)
{
    struct looking *l = user;
    const char *operation = strchr(c->operation, '.');

    if (!c->integration || strcmp(c->integration, l->integration->name) != 0)
        return;
    const struct config_price *price =
        operation && c->is_success && !*c->currency
            ? config_price(l->integration, operation + 1, c->timestamp_us)
            : NULL;
    struct seen_cost *cost =
        cost_of(l->seen, c->operation, price ? price->price.currency : c->currency);
    int64_t micros = price ? price->price.micros * (int64_t)c->calls : c->micros;
    cost->calls += c->calls;
    cost->successes += c->is_success ? c->calls : 0;
    *(price          ? &cost->configured
      : c->is_actual ? &cost->actual
                     : &cost->estimated) += micros;
    count_day(cost, c->timestamp_us, micros);
}

static int by_operation(const void *a, const void *b)
{
    const struct seen_cost *x = a, *y = b;
    int order = strcmp(x->operation, y->operation);

    return order ? order : strcmp(x->currency, y->currency);
}

/* --- tests --- */

static bool take_test(void *user, const struct ledger_row *row)
{
    struct seen *seen = user;
    char error[128];

    seen->tested = js_parse(row->data, row->data_len, error, sizeof(error));
    seen->tested_us = row->timestamp_us;
    return true;
}

static bool look_for_test(struct ledger *ledger, struct seen *seen, const char *name)
{
    const struct ledger_filter filter = {.type = TESTED_TYPE,
                                         .integration = name,
                                         .status = -1,
                                         .error_class = -1,
                                         .limit = 1};

    return ledger_query(ledger, &filter, take_test, seen, NULL) >= 0;
}

/* --- all --- */

static bool look(struct looking *l, struct ledger *ledger, char *error, size_t error_size)
{
    struct seen *seen = l->seen;
    uint64_t last = 0;

    if (ledger_tallies(ledger, 0, 0, take_tally, l, &last) < 0 ||
        ledger_costs(ledger, 0, 0, take_cost, l) < 0 ||
        !look_for_test(ledger, seen, l->integration->name)) {
        snprintf(error, error_size, "%s", ledger_error(ledger));
        return false;
    }
    if (last == 0 && ledger_end(ledger) > 0) {
        snprintf(error, error_size,
                 "there are no views to count from; a logger makes them, or `signalbox "
                 "log --rebuild-views`");
        return false;
    }
    if (seen->n_events)
        qsort(seen->events, seen->n_events, sizeof(*seen->events), by_type);
    if (seen->n_costs)
        qsort(seen->costs, seen->n_costs, sizeof(*seen->costs), by_operation);
    return true;
}

struct seen *seen_new(struct ledger *ledger, const struct config_integration *integration,
                      char *error, size_t error_size)
{
    struct seen *seen = mem_alloc(sizeof(*seen));
    struct looking l = {.seen = seen, .integration = integration};

    if (look(&l, ledger, error, error_size))
        return seen;
    seen_free(seen);
    return NULL;
}

void seen_free(struct seen *seen)
{
    if (!seen)
        return;
    for (size_t i = 0; i < seen->n_events; i++)
        free(seen->events[i].type);
    for (size_t i = 0; i < seen->n_costs; i++)
        free(seen->costs[i].operation);
    free(seen->events);
    free(seen->costs);
    js_free(seen->tested);
    free(seen);
}

const struct seen_event *seen_find(const struct seen *seen, const char *type)
{
    for (size_t i = 0; seen && type && i < seen->n_events; i++)
        if (strcmp(seen->events[i].type, type) == 0)
            return &seen->events[i];
    return NULL;
}

uint64_t seen_class(const struct seen *seen, enum record_class error_class)
{
    uint64_t n = 0;

    for (size_t i = 0; seen && i < seen->n_events; i++)
        n += seen->events[i].classes[error_class];
    return n;
}

uint64_t seen_days(const struct seen *seen)
{
    return (seen->last_us - seen->first_us + DAY_US - 1) / DAY_US +
           (seen->last_us == seen->first_us);
}
