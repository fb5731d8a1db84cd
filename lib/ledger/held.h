/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* held - a log held against its seals while it is read from end to end, and against a
 * head that was kept elsewhere */
#pragma once
#include "lib/ledger/chain.h"
#include "lib/ledger/seal.h"

struct held {
    struct chain *chain; /* gets the findings */
    struct seals seals;
    size_t next;        /* the seal that is met next */
    struct seal link;   /* of the last block */
    bool is_linked;     /* it is known */
    const char *wanted; /* the head that is looked for; NULL: none, or it was found */
    uint64_t found_at;  /* where it was */
    uint64_t broken;    /* seals that do not fit */
};

/* Read the seals in `dir` (NULL: there are none). Before the log's end is looked up, so
 * that what they name is there. */
void held_read(struct held *held, const char *dir);
/* The log begins with this block. */
void held_begin(struct held *held, uint64_t first);
void held_block(struct held *held, const struct block *b);
/* A block that does not read. */
void held_hole(struct held *held, uint64_t number);
/* The log begins with `first` now: what is before was removed by age meanwhile. */
void held_skip(struct held *held, uint64_t first);
/* The log ends with `last`. Returns the last block that was sealed. */
uint64_t held_end(struct held *held);
void held_fini(struct held *held);
