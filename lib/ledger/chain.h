/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* chain - does each block follow the one before, and hold what its running totals say? */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "proto/block.h"

struct ledger;

struct chain_totals {
    uint64_t requests, facts, outcomes;
};

struct chain {
    void (*fn)(void *user, const char *finding); /* may be NULL */
    void *user;
    long findings;
    uint64_t damaged, missing;
    uint64_t first;  /* number of the first block or hole, 0 before */
    bool is_started; /* a block was read */
    uint32_t crc;    /* of the last good block */
    bool is_broken;  /* the block before was not there: its CRC is not known */
    uint64_t term, timestamp_us;
    struct chain_totals base, said,
        counted; /* before the first block; by the last header; from records */
};

/* One block that reads; counts its events. */
void chain_block(struct chain *chain, const struct block *b);
/* One that does not: missing, or damaged with a reason. */
void chain_hole(struct chain *chain, uint64_t number, bool is_missing, const char *why);
/* Blocks behind the end that something else has seen. */
void chain_cut(struct chain *chain, uint64_t last, uint64_t seen);
/* Anything else that does not fit. */
void chain_find(struct chain *chain, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
