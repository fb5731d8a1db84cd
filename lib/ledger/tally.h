/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* tally - how often which event was seen and how it ended, from the views alone
 *
 * By whole minutes.  What ended is counted where it ended, under the names of the request
 * or fact. */
#pragma once
#include <stdint.h>

#include "lib/store/views.h"

struct ledger;

/* So many records of one minute or less that are equal in this; the same ones come again
 * and again. Texts are borrowed for the call. */
struct ledger_tally {
    uint64_t timestamp_us;
    enum views_what what;
    const char *type;        /* "?" when there are more types than the views keep */
    const char *integration; /* NULL when the log does not name one */
    const char *service;     /* of the integration now; NULL when it has none */
    unsigned status, error_class;
    uint64_t count;
};
typedef void (*ledger_tally_fn)(void *user, const struct ledger_tally *tally);

/* Those in [since_us, until_us), rounded down to minutes; 0 is open. *ret_last is the
 * last block that was counted, 0 when there are no views (make them:
 * `log --rebuild-views`). 0, or -1 with ledger_error(). */
int ledger_tallies(struct ledger *ledger, uint64_t since_us, uint64_t until_us,
                   ledger_tally_fn fn, void *user, uint64_t *ret_last);
