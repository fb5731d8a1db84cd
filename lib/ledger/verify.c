/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* One scan from the first block to the last: checksums, numbers, chain, totals, and the
 * seals. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/ledger/chain.h"
#include "lib/ledger/seal.h"
#include "lib/ledger/state.h"

struct verifying {
    struct ledger *ledger;
    struct chain chain;
    struct seals seals;
    size_t next;       /* the seal that is met next */
    struct seal link;  /* of the last block */
    bool is_linked;    /* it is known */
    const char *head;  /* what is looked for; NULL: nothing, or found already */
    uint64_t found_at; /* where it was */
};

static bool is_wanted(const struct verifying *v)
{
    char text[SEAL_TEXT_SIZE];

    if (!v->head || !v->is_linked)
        return false;
    seal_text(&v->link, text);
    return strcmp(text, v->head) == 0;
}

static void look_for_head(struct verifying *v)
{
    if (!is_wanted(v))
        return;
    v->found_at = v->link.block;
    v->head = NULL;
}

/* Begin with the seal of what was removed by age, or with nothing. */
static void begin(struct verifying *v)
{
    uint64_t before = v->ledger->first ? v->ledger->first - 1 : 0;
    const struct seal *seal = seals_find(&v->seals, before);

    while (v->next < v->seals.n && v->seals.list[v->next].block <= before)
        v->next++;
    v->is_linked = before == 0 || !v->seals.n || (seal && seal->block == before);
    v->link = (struct seal){.block = before};
    if (seal && seal->block == before)
        v->link = *seal;
    if (!v->is_linked)
        chain_find(&v->chain,
                   "block %" PRIu64
                   ": the seal of the blocks removed before it is missing",
                   before + 1);
    look_for_head(v);
}

/* At the end of a sealed segment. Behind it the chain goes on from what was sealed, so
 * that each segment is named for itself. */
static void meet_seal(struct verifying *v, uint64_t number)
{
    if (v->next == v->seals.n || v->seals.list[v->next].block != number)
        return;
    const struct seal *seal = &v->seals.list[v->next++];
    if (v->is_linked && memcmp(seal->link, v->link.link, SEAL_SIZE) != 0)
        chain_find(&v->chain,
                   "block %" PRIu64
                   ": the blocks up to it are not those that were sealed behind block "
                   "%" PRIu64,
                   number, v->next > 1 ? v->seals.list[v->next - 2].block : 0);
    v->link = *seal;
    v->is_linked = true;
}

static void take_block(struct verifying *v, const struct block *b)
{
    chain_block(&v->chain, b);
    if (v->is_linked)
        seal_next(&v->link, b);
    v->link.block = b->number;
    look_for_head(v);
    meet_seal(v, b->number);
}

static void take_hole(struct verifying *v, uint64_t number, int why)
{
    chain_hole(&v->chain, number, why == STORE_NOT_FOUND, v->ledger->error);
    v->is_linked = false;
    meet_seal(v, number);
}

static int scan(struct verifying *v)
{
    struct ledger *ledger = v->ledger;
    uint64_t first, last;
    int why = STORE_OK;

    for (uint64_t n = ledger->first; n && n <= ledger->last; n++) {
        const struct block *b = ledger_block(ledger, n, &why);
        if (b) {
            take_block(v, b);
            continue;
        }
        store_range(ledger->store, &first, &last);
        if (why == STORE_NOT_FOUND && first > n) {
            v->chain.is_broken =
                true; /* removed by age meanwhile: the chain goes on behind it */
            v->is_linked = false;
            n = first - 1;
            while (v->next < v->seals.n && v->seals.list[v->next].block <= n)
                v->link = v->seals.list[v->next++];
            v->is_linked = v->link.block == n;
            continue;
        }
        if (why == STORE_FAILED)
            return -1;
        take_hole(v, n, why);
    }
    return 0;
}

/* What ought to be behind the end, and the head that was kept elsewhere. */
static void end(struct verifying *v, uint64_t applied)
{
    uint64_t sealed = v->seals.n ? v->seals.list[v->seals.n - 1].block : 0;
    uint64_t seen = applied > sealed ? applied : sealed;

    if (seen > v->ledger->last)
        chain_cut(&v->chain, v->ledger->last, seen);
    if (v->head)
        chain_find(&v->chain,
                   "no block has the head %.64s: blocks up to it were changed or removed "
                   "since it was kept",
                   v->head);
}

long ledger_verify(struct ledger *ledger, const char *head, struct ledger_head *ret_head,
                   void (*fn)(void *user, const char *finding), void *user)
{
    struct verifying v = {
        .ledger = ledger, .chain = {.fn = fn, .user = user}, .head = head};

    /* The seals first: what they name is in the log that is looked at then. */
    if (ledger->dir &&
        seals_read(ledger->dir, &v.seals, ledger->error, sizeof(ledger->error)))
        chain_find(&v.chain, "%s", ledger->error);
    ledger_forget(ledger);
    ledger_refresh(ledger);
    uint64_t applied = ledger->views ? views_applied(ledger->views) : 0;
    if (applied > ledger->last)
        ledger_refresh(ledger); /* it grew in between, or it was cut */
    begin(&v);
    int rc = scan(&v);
    if (rc == 0)
        end(&v, applied);
    *ret_head =
        (struct ledger_head){.block = ledger->last,
                             .sealed = v.seals.n ? v.seals.list[v.seals.n - 1].block : 0,
                             .found_at = v.found_at};
    if (v.is_linked)
        seal_text(&v.link, ret_head->text);
    seals_fini(&v.seals);
    return rc ? -1 : v.chain.findings;
}
