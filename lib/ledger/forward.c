/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Forward, a piece at a time: what streams read. Nothing is gathered, so a reader that is
 * millions of events behind costs what one that is near the end costs. */
#include "lib/ledger/state.h"

/* The events of one block behind index `from`; true when the block was walked to its
 * end. */
struct walk {
    struct ledger *ledger;
    const struct ledger_filter *filter;
    struct position *after;
    size_t left; /* records that may still be looked at */
    ledger_fn fn;
    void *user;
    long told;
};

static bool look_at(struct walk *w, struct position at)
{
    const struct record *r = ledger_record(w->ledger, at);
    if (!r || !record_is_event(r))
        return true;
    struct hit hit = {.at = at,
                      .fate = {.status = r->status,
                               .error_class = r->error_class,
                               .attempt = r->attempt}};
    if (!row_matches(w->ledger, w->filter, r, &hit))
        return true;
    w->told++;
    return row_tell(w->ledger, &hit, w->fn, w->user);
}

static bool walk_block(struct walk *w, uint64_t number, uint32_t from)
{
    const struct block *b = ledger_block(w->ledger, number, NULL);
    uint32_t count = b ? b->count : 0; /* damaged: `log verify` and `audit` name it */
    for (uint32_t index = from; index < count; index++, w->left--) {
        if (w->left == 0)
            return false;
        *w->after = (struct position){number, index};
        if (!look_at(w, *w->after))
            return false;
    }
    *w->after = (struct position){number, UINT32_MAX};
    return true;
}

long ledger_forward(struct ledger *ledger, const struct ledger_filter *filter,
                    struct position *after, size_t records_max, ledger_fn fn, void *user)
{
    struct walk w = {ledger, filter, after, records_max, fn, user, 0};
    ledger_refresh(ledger);
    uint64_t number = after->block;
    uint32_t from = after->index == UINT32_MAX ? UINT32_MAX : after->index + 1;
    if (number < ledger->first) {
        number = ledger->first;
        from = 0;
    }
    for (; number <= ledger->last && number > 0; number++, from = 0)
        if (from != UINT32_MAX && !walk_block(&w, number, from))
            break;
    return w.told;
}

uint64_t ledger_start(struct ledger *ledger)
{
    ledger_refresh(ledger);
    return ledger->first;
}
