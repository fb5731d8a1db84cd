/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* From the rows of the views; blocks that have none yet are read, and each outcome's
 * request with them. */
#include "lib/ledger/cost.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/ledger/state.h"
#include "lib/ledger/types.h"
#include "proto/attrs.h"

#define MINUTE_US (60ull * 1000000)

struct costing {
    struct ledger *ledger;
    uint64_t since_us, until_us; /* until 0: open */
    ledger_cost_fn fn;
    void *user;
    struct type_names types; /* of the views, without `.requested` */
};

/* --- names --- */

/* A call's type is its operation's name and `.requested`. */
static void cut_requested(char *type)
{
    static const char end[] = ".requested";
    size_t n = strlen(type);

    if (n > sizeof(end) - 1 && strcmp(type + n - (sizeof(end) - 1), end) == 0)
        type[n - (sizeof(end) - 1)] = 0;
}

static const char *integration_name(const struct costing *c, uint32_t hash)
{
    const struct integration_def *def =
        names_integration(c->ledger, hash, (struct position){c->ledger->last, 0});

    return def ? def->name : NULL;
}

/* --- rows --- */

static bool take_row(void *user, const struct views_row *row)
{
    struct costing *c = user;

    if (row->first > c->ledger->applied ||
        (c->until_us && row->timestamp_us >= c->until_us))
        return false;
    for (size_t i = 0; row->timestamp_us >= c->since_us && i < row->n_costs; i++) {
        const struct views_cost *v = &row->costs[i];
        const struct ledger_cost cost = {
            .timestamp_us = row->timestamp_us,
            .integration = integration_name(c, v->integration),
            .operation = types_find(&c->types, v->type),
            .currency = v->kind == VIEWS_COST_NONE ? "" : v->currency,
            .calls = v->count,
            .micros = v->micros,
            .is_actual = v->kind == VIEWS_COST_ACTUAL,
            .is_success = v->status == STATUS_SUCCESS,
        };
        c->fn(c->user, &cost);
    }
    return true;
}

/* --- blocks --- */

/* The first outcome of its request? */
static bool is_first(struct costing *c, struct position request, struct position at)
{
    const struct record *r = ledger_record(c->ledger, request);

    if (!r)
        return request.block < c->ledger->first; /* its segment is gone */
    struct position by = settle_by_search(c->ledger, r, request).by;
    return position_compare(by, at) == 0;
}

static void take_outcome(struct costing *c, struct position at, uint64_t timestamp_us)
{
    const struct record *r = ledger_record(c->ledger, at);
    struct position request = {r->cause_block, r->cause_index};

    if (!is_first(c, request, at) || !(r = ledger_record(c->ledger, at)))
        return;
    _free_ char *currency = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_CURRENCY);
    _free_ char *kind = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_COST_KIND);
    struct ledger_cost cost = {.timestamp_us = timestamp_us,
                               .calls = 1,
                               .is_actual = kind && strcmp(kind, "actual") == 0,
                               .is_success = r->status == STATUS_SUCCESS};
    bool has_cost = attrs_find_int(record_attrs(r), r->attr_len, ATTR_COST, &cost.micros);
    cost.currency = has_cost && currency ? currency : "";
    const struct record *asked = ledger_record(c->ledger, request);
    if (!asked)
        asked = ledger_record(c->ledger, at);
    cost.integration = integration_name(c, asked->integration);
    _free_ char *operation = mem_copy(record_type(asked), asked->type_len);
    cut_requested(operation);
    cost.operation = operation;
    c->fn(c->user, &cost);
}

static bool take_block(struct costing *c, uint64_t number)
{
    const struct block *b = ledger_block(c->ledger, number, NULL);
    uint64_t timestamp_us = b ? b->timestamp_us : 0;
    uint32_t count = b ? b->count : 0;

    if (c->until_us && timestamp_us >= c->until_us)
        return false;
    for (uint32_t i = 0; timestamp_us >= c->since_us && i < count; i++) {
        struct position at = {number, i};
        const struct record *r = ledger_record(c->ledger, at);
        if (r && r->kind == RECORD_OUTCOME)
            take_outcome(c, at, timestamp_us);
    }
    return true;
}

/* --- all --- */

static int from_views(struct costing *c)
{
    struct ledger *ledger = c->ledger;
    uint64_t first = c->since_us ? store_find_time(ledger->store, c->since_us) : 0;

    types_read(&c->types, ledger->views);
    for (size_t i = 0; i < c->types.n; i++)
        cut_requested(c->types.list[i].text);
    int rc = views_scan(ledger->views, first, /* backwards= */ false, take_row, c);
    if (rc < 0)
        snprintf(ledger->error, sizeof(ledger->error), "%s", views_error(ledger->views));
    types_free(&c->types);
    return rc < 0 ? -1 : 0;
}

int ledger_costs(struct ledger *ledger, uint64_t since_us, uint64_t until_us,
                 ledger_cost_fn fn, void *user)
{
    struct costing c = {.ledger = ledger,
                        .since_us = since_us / MINUTE_US * MINUTE_US,
                        .until_us = until_us / MINUTE_US * MINUTE_US,
                        .fn = fn,
                        .user = user};

    ledger_refresh(ledger);
    if (ledger->applied && from_views(&c))
        return -1;
    uint64_t n =
        ledger->applied + 1 > ledger->first ? ledger->applied + 1 : ledger->first;
    while (n && n <= ledger->last && take_block(&c, n))
        n++;
    return 0;
}
