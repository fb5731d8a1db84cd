/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One scan from the first block to the last: checksums, numbers, chain, totals, and the
 * seals. */
#include "lib/ledger/chain.h"
#include "lib/ledger/held.h"
#include "lib/ledger/state.h"

static int scan(struct ledger *ledger, struct chain *chain, struct held *held)
{
    uint64_t first, last;
    int why = STORE_OK;

    for (uint64_t n = ledger->first; n && n <= ledger->last; n++) {
        const struct block *b = ledger_block(ledger, n, &why);
        if (b) {
            chain_block(chain, b);
            held_block(held, b);
            continue;
        }
        store_range(ledger->store, &first, &last);
        if (why == STORE_NOT_FOUND && first > n) {
            chain->is_broken =
                true; /* removed by age meanwhile: the chain goes on behind it */
            held_skip(held, first);
            n = first - 1;
            continue;
        }
        if (why == STORE_FAILED)
            return -1;
        chain_hole(chain, n, why == STORE_NOT_FOUND, ledger->error);
        held_hole(held, n);
    }
    return 0;
}

long ledger_verify(struct ledger *ledger, const char *head, struct ledger_head *ret_head,
                   void (*fn)(void *user, const char *finding), void *user)
{
    struct chain chain = {.fn = fn, .user = user};
    struct held held = {.chain = &chain, .wanted = head};

    held_read(&held, ledger->dir);
    ledger_forget(ledger);
    ledger_refresh(ledger);
    uint64_t applied = ledger->views ? views_applied(ledger->views) : 0;
    if (applied > ledger->last)
        ledger_refresh(ledger); /* it grew in between, or it was cut */
    held_begin(&held, ledger->first);
    int rc = scan(ledger, &chain, &held);
    uint64_t sealed = held_end(&held), seen = applied > sealed ? applied : sealed;
    if (seen > ledger->last)
        chain_cut(&chain, ledger->last, seen);
    *ret_head = (struct ledger_head){
        .block = ledger->last, .sealed = sealed, .found_at = held.found_at};
    if (held.is_linked)
        seal_text(&held.link, ret_head->text);
    held_fini(&held);
    return rc ? -1 : chain.findings;
}
