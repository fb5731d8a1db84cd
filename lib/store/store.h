/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* store - blocks on disk, in the order they were made: append -> committed, read, trim
 *
 * The log is a chain of LMDB files ("segments", key = block number, MDB_APPEND, default full sync), written
 * ahead so that a commit never extends a file.  Two implementations with one conformance test: LMDB and memory.
 * Only lib/store/ touches LMDB.  The writer half belongs to the logger; readers open read-only and
 * work whether or not a logger runs. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/block.h"
#include "proto/message.h"

struct store;

enum store_result {
    STORE_OK = 0,
    STORE_FULL = 1,     /* no room: nothing was written, the store is as before */
    STORE_STALE = 2,    /* block of an older term than the store has seen */
    STORE_FOREIGN = 3,  /* number or previous CRC do not follow the last block */
    STORE_NOT_FOUND = 4,
    STORE_DAMAGED = 5,  /* a block that does not check; store_error() names segment, block and reason */
    STORE_MORE = 6,     /* of store_prepare */
    STORE_FAILED = -1,  /* an error of disk or LMDB: the process must end and never try fsync again */
};

struct store_options {
    const char *dir;        /* <data>/log */
    uint64_t segment_size;  /* at least 16 MiB */
    uint64_t reserve_bytes; /* intake is refused when less than this could still be written */
    bool memory;            /* the twin without disk (dir is ignored) */
};

/* --- the writer --- */

/* Open for writing: lock the directory, verify the tail (the last two segments' chain of CRCs), go on behind it.
 * NULL with a reason in error[] (path and what does not fit). */
struct store *store_open(const struct store_options *options, char *error, size_t error_size);
/* Open for reading only; never writes, takes no lock, tolerates a live writer. */
struct store *store_open_reader(const char *dir, char *error, size_t error_size);
void store_close(struct store *store);
/* Where the log ends; a reader looks it up. `term` counts fences too. Any thread. */
void store_head(struct store *store, struct log_head *ret_head);
/* Refuse lower terms from now on. STORE_STALE when a higher one was seen. */
int store_fence(struct store *store, uint64_t term);
/* Commit `n` sealed blocks in order in one transaction with full sync; they are on disk when it returns. Blocks at or
 * below the head with the same CRC are counted as done (sent again after a reconnect). Blocks with
 * BLOCK_OPENS_SEGMENT go into a new file; so does one that no longer fits (MAP_FULL).
 * BLOCKS: only the committer thread calls it. */
int store_append(struct store *store, const struct block *const *blocks, size_t n);
/* Let an empty log begin with block `first`, whose block before has this checksum: for what was exported.
 * STORE_FOREIGN when it is not empty. Before the first append. */
int store_begin(struct store *store, uint64_t first, uint32_t prev_crc);
/* Write ahead the next segment files, measure free space, free slots of dead readers. From the housekeeper thread, each
 * second or so; BLOCKS, but not for long. STORE_OK; STORE_MORE: a file is half made, call again (at once when there
 * is no spare, else after a pause, to leave the disk to commits); STORE_FULL with a reason when a file cannot be
 * made (nothing is lost, try later); STORE_FAILED. */
int store_prepare(struct store *store);
/* Unlink whole segments all of whose blocks are below `keep_from`. Returns how many. */
int store_trim(struct store *store, uint64_t keep_from);

/* --- reading (both halves) --- */

/* First and last block number there is; 0 and 0 when empty. A reader looks again at the directory. */
void store_range(struct store *store, uint64_t *ret_first, uint64_t *ret_last);
/* Copy one block into `out` (cleared), 8-aligned, checked with block_check(). STORE_OK, STORE_NOT_FOUND, STORE_DAMAGED. */
int store_read(struct store *store, uint64_t number, struct buf *out);
/* Read consecutive blocks from `from` until `fn` returns false, the end, or damage (reported through fn with
 * block NULL and a reason, then goes on behind it). Read transactions are short (at most 10 ms). Blocks are
 * borrowed for the call. `verify`: check CRCs. */
typedef bool (*store_fn)(void *user, uint64_t number, const struct block *block, const char *why);
int store_scan(struct store *store, uint64_t from, bool verify, store_fn fn, void *user);
/* The same backwards, from the last block at or below `from`. */
int store_scan_back(struct store *store, uint64_t from, bool verify, store_fn fn, void *user);
/* The first block whose timestamp is at or after time_us; last + 1 when none is. Binary search. */
uint64_t store_find_time(struct store *store, uint64_t time_us);
/* The first block of the newest segment that starts with a whole checkpoint, or the newest block with
 * BLOCK_CHECKPOINT if later; the first block of the log when there is none. */
uint64_t store_find_checkpoint(struct store *store);
/* The last error in words, with path and block: of the calling thread, whichever store it used. */
const char *store_error(const struct store *store);
/* One segment file's facts, for status and verify. */
struct store_segment {
    char path[512];
    uint64_t first, last, bytes;
};
size_t store_segments(struct store *store, struct store_segment *ret, size_t max);
