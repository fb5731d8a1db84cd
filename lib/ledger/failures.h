/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* failures - what a person can deal with (redrive, cancel, resolve), as items for the
 * broker's ADMIN commands
 *
 * An item is an object {id, block, index, by_block, by_index, new} as proto/README.md
 * says (`by_block` 0: nothing ended it), and for people `event` (the id as they know it),
 * `type`, `error_class`, and of what a consumer group gave up `group`.  `new` is made
 * here, so that a question that is asked again is answered and not done twice. */
#pragma once
#include <stdint.h>

struct json;
struct ledger;
struct ledger_filter;

/* By id (UUID text or foreign id): a request, whatever became of it; or what groups gave
 * up of a fact or an outcome, each group an item (the event alone when none did).  The id
 * of an outcome that no group gave up means its request.  An array to be freed; NULL when
 * the log has no such event. */
struct json *failures_of(struct ledger *ledger, const char *id);
/* The Failed rows of a filter (status is set here) with limit and cursor as in
 * ledger_query, oldest first.  What cannot be redriven by its kind (unverified, missed)
 * is left out unless its class is asked for.  NULL with ledger_error(). */
struct json *failures_find(struct ledger *ledger, const struct ledger_filter *filter,
                           char **ret_cursor);
/* What a consumer group gave up, facts and outcomes, between since and until (the time at
 * which it did), of events that fit the filter's names; the class is that of giving up.
 * Oldest first, from block *block on (0: from `since`), until there are `limit` or a few
 * more; *block is then where to go on, 0 at the end.  Reads the log itself: no view knows
 * which outcomes were given up.  An array to be freed; NULL with ledger_error() when the
 * log knows no such group. */
struct json *failures_of_group(struct ledger *ledger, const char *group,
                               const struct ledger_filter *filter, uint64_t *block);
