/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* views - what is derived from the log so that questions are quick; can be deleted and is rebuilt
 *
 * views.mdb beside the segments: one row per block (time, counts, a small filter over ids, keys and causes),
 * and the idempotency keys with their expiry.  The logger's housekeeper applies committed blocks; it
 * remembers the last one applied.  Readers (broker, gateway, CLI) open it read-only.  Never in the way of a commit. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/block.h"

struct views;

enum views_result {
    VIEWS_OK = 0,
    VIEWS_GAP = 1,     /* the block does not follow the last applied one: views_clear, then apply from the log's start */
    VIEWS_FAILED = -1, /* an error of disk or LMDB: close and open again, or go on without; views_error() */
};

struct views_idempotency {
    uint64_t body_hash, expires_us;
    uint8_t id[16];      /* of the event that came first */
    uint64_t block;
    uint32_t index;
};

/* Open or make; a file of another version or a damaged one is removed and made anew. NULL with a reason. */
struct views *views_open(const char *dir, bool read_only, char *error, size_t error_size);
void views_close(struct views *views);
/* Apply one committed block. A block at or below the last applied one is done already (VIEWS_OK); one that does not
 * follow in number and CRC is VIEWS_GAP and changes nothing; into empty views any block may come first.
 * Commits may be batched: call views_flush. */
int views_apply(struct views *views, const struct block *block);
int views_flush(struct views *views);
/* Forget everything, to be built again. */
int views_clear(struct views *views);
/* Forget the rows of blocks below `keep_from` (the log was trimmed), at most `max`. */
int views_trim(struct views *views, uint64_t keep_from, unsigned max);
/* The last block that is applied and flushed; 0 = none. */
uint64_t views_applied(struct views *views);
/* The live entry of an idempotency key (hash_pair), false when there is none at now_us. */
bool views_find_key(struct views *views, const uint8_t key[16], uint64_t now_us, struct views_idempotency *ret);
/* Remove keys that expired before now_us, at most `max`. */
int views_expire(struct views *views, uint64_t now_us, unsigned max);

/* What the row of a block says. */
struct views_row {
    uint64_t block, timestamp_us;
    uint32_t crc; /* the block's */
    uint32_t events, requests, facts;
    uint32_t succeeded, failed; /* outcomes, facts and acknowledgements that say so */
    uint32_t is_config;         /* holds integrations, manifests or notes */
};
/* Rows from block `from` upwards or downwards until fn says stop. fn must not call views. */
typedef bool (*views_fn)(void *user, const struct views_row *row);
int views_scan(struct views *views, uint64_t from, bool backwards, views_fn fn, void *user);
/* The filters of the rows: no false "no", and about one false "yes" in 2,000. */
enum views_item {
    VIEWS_ID,  /* `name` = 16 bytes: an event with this id, or one caused by it */
    VIEWS_KEY, /* `name` = 8 bytes: an event with this key_hash */
    VIEWS_OF,  /* `name` = 8 bytes: control records about deliveries of this block */
};
/* May this block hold it?  True for a block without a row. */
bool views_may_hold(struct views *views, uint64_t block, enum views_item item, const void *name);
/* The nearest block that may hold it: from `from` down, or up to the last row. 0 when none does. */
uint64_t views_find(struct views *views, uint64_t from, bool backwards, enum views_item item, const void *name);
/* The last error in words. */
const char *views_error(const struct views *views);
