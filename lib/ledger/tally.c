/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger/tally.h"

#include <stdio.h>

#include "lib/ledger/state.h"
#include "lib/ledger/types.h"

#define MINUTE_US (60ull * 1000000)

struct tallying {
    struct ledger *ledger;
    struct type_names types;
    uint64_t since_us, until_us;
    ledger_tally_fn fn;
    void *user;
};

static void tell(const struct tallying *t, const struct views_row *row,
                 const struct views_tally *v)
{
    const struct integration_def *def = names_integration(
        t->ledger, v->integration, (struct position){t->ledger->last, 0});
    const struct ledger_tally tally = {
        .timestamp_us = row->timestamp_us,
        .what = (enum views_what)v->what,
        .type = types_find(&t->types, v->type),
        .integration = def ? def->name : NULL,
        .service = def && def->service ? def->service
                   : def               ? def->name
                                       : NULL,
        .status = v->status,
        .error_class = v->error_class,
        .count = v->count,
    };

    t->fn(t->user, &tally);
}

static bool take_row(void *user, const struct views_row *row)
{
    struct tallying *t = user;

    if (row->first > t->ledger->applied ||
        (t->until_us && row->timestamp_us >= t->until_us))
        return false;
    for (size_t i = 0; row->timestamp_us >= t->since_us && i < row->n_tallies; i++)
        tell(t, row, &row->tallies[i]);
    return true;
}

int ledger_tallies(struct ledger *ledger, uint64_t since_us, uint64_t until_us,
                   ledger_tally_fn fn, void *user, uint64_t *ret_last)
{
    struct tallying t = {.ledger = ledger,
                         .since_us = since_us / MINUTE_US * MINUTE_US,
                         .until_us = until_us / MINUTE_US * MINUTE_US,
                         .fn = fn,
                         .user = user};

    ledger_refresh(ledger);
    *ret_last = ledger->applied;
    if (!ledger->applied)
        return 0;
    uint64_t first = t.since_us ? store_find_time(ledger->store, t.since_us) : 0;
    types_read(&t.types, ledger->views);
    int rc = views_scan(ledger->views, first, /* backwards= */ false, take_row, &t);
    types_free(&t.types);
    if (rc < 0)
        snprintf(ledger->error, sizeof(ledger->error), "%s", views_error(ledger->views));
    return rc < 0 ? -1 : 0;
}
