/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* block - the unit of wire to the logger, of commit and of cache: a header and records
 *
 * Blocks carry consecutive numbers from 1.  `crc` covers header (with crc as 0) and records, and
 * each block names the CRC of the one before, so that a missing, foreign or damaged block is seen.
 * Every event in a block has the block's timestamp: the log's order. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

enum {
    BLOCK_MAGIC = 0x31424253,         /* "SBB1" */
    BLOCK_SIZE_TARGET = 256 << 10,    /* closed when this full, or at once when the logger is idle */
    BLOCK_SIZE_MAX = (4 << 20) - 64,  /* with a message header it fits a frame */
};

enum block_flags {
    BLOCK_OPENS_SEGMENT = 1, /* the logger starts a new segment file with this block */
    BLOCK_CHECKPOINT = 2,    /* holds a whole checkpoint: replay may start here */
};

struct block {
    uint32_t magic;
    uint32_t crc;           /* CRC32C over the whole block with this field 0 */
    uint32_t prev_crc;      /* of block number - 1; 0 for block 1 */
    uint32_t len;           /* header and records */
    uint64_t number;
    uint64_t term;          /* of the broker that made it; a logger refuses lower ones */
    uint64_t timestamp_us;  /* when it was closed; never goes back from block to block */
    uint32_t count;         /* records, control records included */
    uint32_t events;        /* of these, requests, outcomes and facts */
    uint32_t flags;         /* enum block_flags */
    uint32_t version;       /* of this format: 1 */
    uint64_t requests_total;/* running totals up to and including this block, never reset */
    uint64_t facts_total;
    uint64_t outcomes_total;
};

static_assert(sizeof(struct block) == 80, "the header is disk format");

static inline const struct record *block_first(const struct block *b)
{
    return (const struct record *)(b + 1);
}
static inline const void *block_end(const struct block *b)
{
    return (const uint8_t *)b + b->len;
}

/* Walk all records of a checked block: for (r = block_first(b); r; r = block_next(b, r)) */
static inline const struct record *block_next(const struct block *b, const struct record *r)
{
    const struct record *next = record_after(r);
    return (const void *)next < block_end(b) ? next : NULL;
}

/* Fill in len, crc and magic of a block whose other header fields and records are in place. */
void block_seal(struct block *b, size_t len);
/* The block at `bytes` (8-aligned) if length, magic, version, CRC and every record fit; NULL with a reason. */
const struct block *block_check(const void *bytes, size_t n, const char **ret_why);
/* The same without the CRC and the records: for bytes that were checked when they came. */
const struct block *block_glance(const void *bytes, size_t n, const char **ret_why);
/* Record number `index` of a checked block, NULL when there are fewer. Walks from the start. */
const struct record *block_record(const struct block *b, uint32_t index);
