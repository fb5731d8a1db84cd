/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* transfer - a range of the log as one file, and back
 *
 * Form (version 1), little-endian: struct transfer_head, the blocks as they are in the
 * log, struct transfer_end.  A range begins with a checkpoint, so that integrations and
 * groups are named in it and a broker could go on behind it.  The links are those of
 * lib/ledger/seal.h: what was exported is seen to be what was imported. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/ledger/seal.h"

struct block;
struct ledger;

#define TRANSFER_HEAD "SBXHEAD1"
#define TRANSFER_END  "SBXTAIL1"

struct transfer_head {
    char magic[8];
    uint64_t first;          /* the first block */
    uint8_t link[SEAL_SIZE]; /* of the block before; zeros when it is not known */
    uint32_t prev_crc;       /* of the block before */
    uint32_t reserved;
};
struct transfer_end {
    char magic[8];
    uint64_t last;
    uint8_t link[SEAL_SIZE]; /* of the last block, from the head's on */
};

/* Put n bytes; false stops with an error. */
typedef bool (*transfer_put)(void *user, const void *bytes, size_t n);
/* At most n bytes; 0 at the end, -1 on an error (errno). */
typedef ssize_t (*transfer_get)(void *user, void *bytes, size_t n);

/* The blocks from the newest checkpoint at or before `since_us` to the last one before
 * `until_us` (0: to the end). Returns how many, *ret_first the first; -1 with
 * ledger_error(). */
long transfer_export(struct ledger *ledger, uint64_t since_us, uint64_t until_us,
                     transfer_put put, void *user, uint64_t *ret_first);

struct transfer_sink {
    /* The head was read. False stops; the sink knows why. */
    bool (*begin)(void *user, const struct transfer_head *head);
    /* The next block, checked and in order; borrowed. False stops. */
    bool (*block)(void *user, const struct block *block);
};
/* Read such a file. Returns the number of blocks once all of it was there and fitted; -1
 * with a reason that names the block. */
long transfer_import(transfer_get get, void *get_user, const struct transfer_sink *sink,
                     void *user, char *error, size_t error_size);
