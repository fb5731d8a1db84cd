/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* seal - a chain of SHA-256 over the blocks: who has one link of it elsewhere sees any
 * change to what came before
 *
 * Checksums find accidents; whoever can write the files can make them fit.  The link of
 * block n is SHA-256(link of block n - 1, SHA-256(block n)), that of no block 32 zeros.
 * The file `seals` beside the segments has a line for the last block of each segment that
 * is complete, `NUMBER LINK\n`, the link in hexadecimal; in a log that begins later, the
 * first line is for the block before. */
#pragma once
#include <stddef.h>
#include <stdint.h>

enum { SEAL_SIZE = 32, SEAL_TEXT_SIZE = 2 * SEAL_SIZE + 1 };

struct block;

struct seal {
    uint64_t block;
    uint8_t link[SEAL_SIZE];
};

/* From the link of the block before to that of `block`. */
void seal_next(struct seal *seal, const struct block *block);
void seal_text(const struct seal *seal, char ret_text[SEAL_TEXT_SIZE]);

struct seals {
    struct seal *list; /* numbers ascend */
    size_t n;
};

/* The content of the file. A last line without its end was cut by a crash and does not
 * count. 0, or -1 with `line N: reason`. */
int seals_parse(const char *text, size_t n, struct seals *ret, char *error,
                size_t error_size);
/* The file in `dir`; a missing one has no lines. 0 or -1 with a reason. */
int seals_read(const char *dir, struct seals *ret, char *error, size_t error_size);
void seals_fini(struct seals *seals);
/* Add a line, synced. 0 or -1 with a reason. BLOCKS. */
int seals_add(const char *dir, const struct seal *seal, char *error, size_t error_size);
/* The lines for blocks up to `last` into a directory that has none yet: for a copy of the
 * log. 0 or -1 with a reason. BLOCKS. */
int seals_copy(const char *from, const char *to, uint64_t last, char *error,
               size_t error_size);
/* The newest one at or below a block, NULL when there is none. */
const struct seal *seals_find(const struct seals *seals, uint64_t block);
