/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* segment - one LMDB file of blocks: made ahead, appended to, read
 *
 * Key = block number, in the main database, so that a commit writes the block's pages, a
 * leaf, a root and the free list, and then the meta page: two flushes, default sync.  The
 * file has its full size before it is used. Results are enum store_result; the reason is
 * in store_error(). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block;
struct buf;
struct segment;

enum {
    SEGMENT_SIZE_MIN = 16 << 20,
    SEGMENT_READERS_MAX = 512,
};

/* Make an empty segment of `size` bytes at `path`, zeros written and synced; the
 * directory is not. STORE_FULL when it cannot be made: nothing is left behind. */
int segment_make(const char *path, uint64_t size);
/* The same in steps of at most `step` bytes, each a call: STORE_MORE until it is whole.
 * `begins` on the first. */
int segment_make_step(const char *path, uint64_t size, uint64_t step, bool begins);
/* Is it an empty segment as made above? Its size, 0 when not. */
uint64_t segment_blank(const char *path);
/* Check the file (pages.h) and open it. NULL: STORE_DAMAGED, STORE_NOT_FOUND or
 * STORE_FAILED in *ret_result. */
struct segment *segment_open(const char *path, bool for_writing, int *ret_result);
void segment_close(struct segment *segment);
/* Commit blocks in one transaction. STORE_FULL: they do not fit, nothing was written.
 * STORE_FAILED: end. */
int segment_append(struct segment *segment, const struct block *const *blocks, size_t n);
/* Replace `out` by the first `limit` bytes of a block. */
int segment_fetch(struct segment *segment, uint64_t number, size_t limit,
                  struct buf *out);
/* The last block, 0 when empty. */
int segment_last(struct segment *segment, uint64_t *ret_last);
/* Bytes of blocks that surely still fit, and what one block of `len` bytes takes of them.
 */
uint64_t segment_room(struct segment *segment);
uint64_t segment_cost(uint32_t len);
/* Free the reader slots of dead processes. */
void segment_check_readers(struct segment *segment);
