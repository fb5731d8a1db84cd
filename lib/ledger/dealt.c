/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a person did about a failed request, found by the names of proto/dealing.h: in the
 * views, and in the blocks that these have not seen yet. */
#include <string.h>

#include "lib/base/clock.h"
#include "lib/ledger/state.h"
#include "proto/dealing.h"

static bool find_in(const struct block *b, const uint8_t name[16], struct dealt *ret)
{
    const struct record *named = NULL;
    struct control_idempotency c;
    uint32_t index = 0;

    for (const struct record *r = b->count ? block_first(b) : NULL; r;
         r = block_next(b, r), index++) {
        if (r->kind == RECORD_IDEMPOTENCY && r->data_len >= sizeof(c) &&
            memcmp(r->id, name, 16) == 0) {
            named = r;
        } else if (named && record_is_event(r)) {
            memcpy(&c, record_data(named), sizeof(c));
            *ret = (struct dealt){(enum dealing_kind)c.body_hash, {b->number, index}};
            return true;
        }
    }
    return false;
}

static bool find(struct ledger *ledger, const uint8_t name[16], uint64_t from,
                 struct dealt *ret)
{
    struct views_idempotency found;

    if (ledger->views && views_find_key(ledger->views, name, clock_wall_us(), &found)) {
        *ret = (struct dealt){(enum dealing_kind)found.body_hash,
                              {found.block, found.index}};
        return true;
    }
    for (uint64_t n = from > ledger->applied ? from : ledger->applied + 1;
         n <= ledger->last; n++) {
        const struct block *b = ledger_block(ledger, n, NULL);
        if (b && find_in(b, name, ret))
            return true;
    }
    return false;
}

struct dealt dealt_with(struct ledger *ledger, const uint8_t id[16], uint32_t group,
                        uint64_t from)
{
    struct dealt dealt = {.kind = DEALT_NOT};
    uint8_t name[16];

    for (unsigned i = 0; i < DEALINGS_MAX; i++) {
        dealing_name(id, group, i, name);
        if (!find(ledger, name, from, &dealt))
            break;
    }
    return dealt;
}
