/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* query - one question in the making: what is wanted, and what was found */
#pragma once
#include "lib/ledger/state.h"

struct query {
    struct ledger *ledger;
    const struct ledger_filter *filter;
    size_t limit;
    struct position from, to; /* rows wanted: from < position < to */
    uint64_t first, last;     /* blocks that can hold them */
    struct settled_table settled;
    struct hit *hits; /* newest first */
    size_t n_hits, cap_hits;
    bool is_cut; /* there are more than `limit` */
    bool is_failed;
};

/* --- query.c --- */

bool query_in_range(const struct query *q, struct position at);
void query_add(struct query *q, const struct hit *hit);
/* Does the record stand for a row of its own? */
bool query_is_row(const struct query *q, const struct record *r);
/* Is one more found than wanted? */
bool query_is_enough(const struct query *q);
void query_sort(struct query *q);

/* --- search.c --- */

/* Find what is asked for with the help of the views, which there are. */
void search(struct query *q);
