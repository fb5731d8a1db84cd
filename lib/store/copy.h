/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* copy - a log's blocks into segments of their own in another directory
 *
 * Block by block, each checked and chained on the way, so that a damaged log is not
 * copied as if it were whole, and a live writer is never held up.  What is there when the
 * copy begins is copied; any such beginning of a log is a log. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct store;

struct store_copied {
    uint64_t first, last; /* blocks; 0, 0: the log is empty */
    uint64_t bytes;       /* of blocks */
    uint32_t crc;         /* of the last one */
    uint64_t timestamp_us;
};

/* How far it is, after each batch; false stops with STORE_FAILED. */
typedef bool (*store_copy_fn)(void *user, const struct store_copied *so_far,
                              uint64_t last);

/* Copy all blocks of `from` (a reader) into `dir`, an empty directory of the caller's,
 * synced when it returns.  STORE_OK, STORE_FULL (no room there), STORE_DAMAGED,
 * STORE_NOT_FOUND (retention removed a segment meanwhile: begin again), STORE_FAILED; the
 * reason is in store_error(). fn may be NULL. */
int store_copy(struct store *from, const char *dir, store_copy_fn fn, void *user,
               struct store_copied *ret);
