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

struct views_idempotency {
    uint64_t body_hash, expires_us;
    uint8_t id[16];      /* of the event that came first */
    uint64_t block;
    uint32_t index;
};

/* Open or make; a file of another version or a damaged one is removed and made anew. NULL with a reason. */
struct views *views_open(const char *dir, bool read_only, char *error, size_t error_size);
void views_close(struct views *views);
/* Apply one committed block, the one after views_applied(). Commits may be batched: call views_flush. */
int views_apply(struct views *views, const struct block *block);
int views_flush(struct views *views);
/* The last block that is applied and flushed; 0 = none. */
uint64_t views_applied(struct views *views);
/* The live entry of an idempotency key (hash_pair), false when there is none at now_us. */
bool views_find_key(struct views *views, const uint8_t key[16], uint64_t now_us, struct views_idempotency *ret);
/* Remove keys that expired before now_us, at most `max`. */
int views_expire(struct views *views, uint64_t now_us, unsigned max);

/* What the row of a block says. */
struct views_row {
    uint64_t block, timestamp_us;
    uint32_t events, requests, facts, succeeded, failed;
};
/* Rows from block `from` upwards or downwards until fn says stop. */
typedef bool (*views_fn)(void *user, const struct views_row *row);
int views_scan(struct views *views, uint64_t from, bool backwards, views_fn fn, void *user);
/* May this block hold an event with this id, or one caused by it (filter: no false "no")? */
bool views_may_hold(struct views *views, uint64_t block, const uint8_t id[16]);
/* The newest block that may hold it, at or below `from`; 0 when none does. */
uint64_t views_find_id(struct views *views, uint64_t from, const uint8_t id[16]);
