/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger/held.h"

#include <inttypes.h>
#include <string.h>

void held_read(struct held *held, const char *dir)
{
    char error[512];

    if (dir && seals_read(dir, &held->seals, error, sizeof(error)))
        chain_find(held->chain, "%s", error);
}

static void look_for_head(struct held *held)
{
    char text[SEAL_TEXT_SIZE];

    if (!held->wanted || !held->is_linked)
        return;
    seal_text(&held->link, text);
    if (strcmp(text, held->wanted) != 0)
        return;
    held->found_at = held->link.block;
    held->wanted = NULL;
}

/* Begin with the seal of what was removed by age, or with nothing. */
void held_begin(struct held *held, uint64_t first)
{
    uint64_t before = first ? first - 1 : 0;
    const struct seal *seal = seals_find(&held->seals, before);
    bool has_seal = seal && seal->block == before;

    while (held->next < held->seals.n && held->seals.list[held->next].block <= before)
        held->next++;
    held->is_linked = before == 0 || !held->seals.n || has_seal;
    held->link = has_seal ? *seal : (struct seal){.block = before};
    if (!held->is_linked)
        chain_find(held->chain,
                   "block %" PRIu64
                   ": the seal of the blocks removed before it is missing",
                   first);
    look_for_head(held);
}

/* At the end of a sealed segment. Behind it the chain goes on from what was sealed, so
 * that each segment is named for itself. */
static void meet_seal(struct held *held, uint64_t number)
{
    if (held->next == held->seals.n || held->seals.list[held->next].block != number)
        return;
    const struct seal *seal = &held->seals.list[held->next++];
    if (held->is_linked && memcmp(seal->link, held->link.link, SEAL_SIZE) != 0) {
        held->broken++;
        chain_find(held->chain,
                   "block %" PRIu64
                   ": the blocks up to it are not those that were sealed behind block "
                   "%" PRIu64,
                   number, held->next > 1 ? held->seals.list[held->next - 2].block : 0);
    }
    held->link = *seal;
    held->is_linked = true;
}

void held_block(struct held *held, const struct block *b)
{
    if (held->is_linked)
        seal_next(&held->link, b);
    held->link.block = b->number;
    look_for_head(held);
    meet_seal(held, b->number);
}

void held_hole(struct held *held, uint64_t number)
{
    held->is_linked = false;
    meet_seal(held, number);
}

void held_skip(struct held *held, uint64_t first)
{
    held->is_linked = false;
    while (held->next < held->seals.n && held->seals.list[held->next].block < first) {
        held->link = held->seals.list[held->next++];
        held->is_linked = held->link.block == first - 1;
    }
}

uint64_t held_end(struct held *held)
{
    if (held->wanted)
        chain_find(held->chain,
                   "no block has the head %.64s: blocks up to it were changed or removed "
                   "since it was kept",
                   held->wanted);
    return held->seals.n ? held->seals.list[held->seals.n - 1].block : 0;
}

void held_fini(struct held *held)
{
    seals_fini(&held->seals);
}
