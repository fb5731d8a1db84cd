/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* internal - what store.c asks of an implementation; both pass the same tests
 *
 * store.c decides what may be appended (numbers, checksums, terms) and how one searches
 * and scans.  An implementation keeps bytes: it appends blocks that are known to follow,
 * and fetches one by number. */
#pragma once
#include <pthread.h>

#include "lib/store/store.h"

/* Blocks that cannot be read, because one of them or what holds them is damaged. */
struct store_extent {
    uint64_t first, last;
};

struct store_ops {
    void (*close)(struct store *store);
    /* The blocks follow the head. All of them, or STORE_FULL and none, or STORE_FAILED.
     */
    int (*append)(struct store *store, const struct block *const *blocks, size_t n);
    int (*prepare)(struct store *store);
    int (*trim)(struct store *store, uint64_t keep_from);
    /* 0, 0 when empty. A reader looks at the directory again. */
    void (*range)(struct store *store, uint64_t *ret_first, uint64_t *ret_last);
    /* Replace `out` by the first `limit` bytes of a block, unchecked but for what makes
     * reading safe. On STORE_DAMAGED store_fail() was called and *ret_bad holds at least
     * `number`. */
    int (*fetch)(struct store *store, uint64_t number, size_t limit, struct buf *out,
                 struct store_extent *ret_bad);
    size_t (*segments)(struct store *store, struct store_segment *ret, size_t max);
    /* Set segment_room and spare_bytes. */
    void (*room)(struct store *store, struct log_head *head);
};

struct store {
    const struct store_ops *ops;
    struct store_options options; /* dir is not kept */
    bool is_reader;
    bool has_failed; /* committer thread only: after STORE_FAILED nothing is ever tried
                        again */
    pthread_mutex_t lock; /* head here, and the implementation's lists; never held while
                             writing or syncing */
    struct log_head head; /* of a writer */
};

/* Say what is wrong; returns `result` so that it can be handed on. */
int store_fail(int result, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Read and check every block from `first` to the end; sets the head of a writer. STORE_OK
 * or STORE_DAMAGED. */
int store_verify_tail(struct store *store, uint64_t first);

struct store *store_memory_open(const struct store_options *options);
struct store *store_lmdb_open(const struct store_options *options);
struct store *store_lmdb_open_reader(const char *dir);
