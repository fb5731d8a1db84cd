/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* directory - the segments of a log, and what store_lmdb.c, spares.c and append.c share
 *
 * Files are named by their first block, so the list of names is the index: a segment ends
 * where the next begins.  "spare-N.mdb" are segments written ahead; one becomes the tail
 * by a rename and a sync of the directory.
 *
 * Two locks.  `store.lock` guards the lists and is held for arithmetic only.  `opening`
 * is held while a segment is opened or closed, which reads its pages.  A file is pinned
 * (`users`) while it is used without a lock. */
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/store/internal.h"
#include "lib/store/segment.h"

enum { SPARES_MAX = 64 }; /* more changes of segment in one append are refused as full */

struct file {
    uint64_t first;
    char *path;
    struct segment *segment; /* guarded by `opening`; NULL = not open */
    char *refused; /* why it could not be opened, at refused_us; guarded by `opening` */
    uint64_t refused_us;
    unsigned users;
    uint64_t used_at;
};

struct spare {
    unsigned number;
    uint64_t size;
};

struct store_lmdb {
    struct store store;
    char *dir;
    int dir_fd, lock_fd;
    pthread_mutex_t opening;
    struct file **files;
    size_t n;
    struct spare spares[SPARES_MAX];
    size_t n_spares;
    unsigned next_spare;
    unsigned making; /* the number of the half-made one, housekeeper only */
    bool is_making;
    uint64_t disk_free, tail_room, clock;
};

/* The path of the segment that begins with this block. Freed by the caller. */
char *directory_path(const struct store_lmdb *lmdb, uint64_t first);
/* Put a segment into its place in the list. Under the lock. */
struct file *directory_add(struct store_lmdb *lmdb, uint64_t first);
/* Close a file and take it out of the list. Under the lock. */
void directory_remove(struct store_lmdb *lmdb, size_t at);
/* Bring the list up to what the directory holds. False when it cannot be read (errno says
 * why): the list stays. */
bool directory_list(struct store_lmdb *lmdb);
/* The file that holds a block, and what else it may hold. NULL when the block is before
 * all. Unpin it. */
struct file *directory_pin(struct store_lmdb *lmdb, uint64_t number,
                           struct store_extent *ret_extent);
void directory_unpin(struct store_lmdb *lmdb, struct file *file);
/* The open segment of a pinned file; NULL with the result (STORE_DAMAGED, STORE_FAILED)
 * where it cannot be opened. */
struct segment *directory_use(struct store_lmdb *lmdb, struct file *file,
                              int *ret_result);
/* Make the names in it last. STORE_OK or STORE_FAILED. */
int directory_sync(struct store_lmdb *lmdb);

/* Ask the filesystem how much it still takes. */
void spares_measure(struct store_lmdb *lmdb);
/* One small segment at once, for an append that would wait otherwise. STORE_OK or
 * STORE_FULL. */
int spares_make_small(struct store_lmdb *lmdb);
/* The oldest spare becomes the tail, which begins with this block. STORE_OK or
 * STORE_FAILED. */
int spares_open(struct store_lmdb *lmdb, uint64_t first);
/* At the start: take a spare that is whole, remove what is not. */
void spares_adopt(struct store_lmdb *lmdb, const char *name);
/* The store's `prepare`: a step of what is to be there before it is needed. */
int spares_prepare(struct store *store);

/* The store's `append` and `room`. */
int append_blocks(struct store *store, const struct block *const *blocks, size_t n);
void append_room(struct store *store, struct log_head *head);
