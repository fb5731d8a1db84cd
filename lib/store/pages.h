/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* pages - is this file what LMDB takes it for?
 *
 * LMDB trusts its files: a flipped bit in a tree page, or a file cut short, ends in a
 * wild read (SIGSEGV, SIGBUS) or in abort().  So before LMDB may follow a segment's
 * pages, this code has followed them all with pread, every offset and length checked
 * against what is there.  The content of blocks is not read: they carry their own
 * checksums.  Knows the file format of LMDB 0.9 (data version 1) and nothing of its
 * library. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum pages_result {
    PAGES_OK = 0,
    PAGES_MOVED = 1,   /* a writer overtook us: begin a new transaction and try again */
    PAGES_DAMAGED = 2, /* with the reason in why[] */
};

struct pages_facts {
    uint64_t map_size; /* as stored */
    uint64_t file_size;
    uint64_t last_page; /* in use */
    uint64_t txn;
    uint64_t entries; /* blocks */
};

enum { PAGES_SIZE = 4096 };

/* Only the two meta pages and the file's size: what must hold before LMDB opens the file.
 */
int pages_glance(int fd, struct pages_facts *ret, char *why, size_t why_size);
/* Follow the whole tree of transaction `txn` (which the caller holds open for reading, or
 * which nobody can overwrite). With `free_too` also the list of free pages, which only a
 * writer uses. */
int pages_check(int fd, uint64_t txn, int free_too, char *why, size_t why_size);
