/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* committer - the thread that waits for the disk
 *
 * Blocks and fences go in, in the order they came; answers come out, and a descriptor
 * says when. All blocks that wait are one transaction: the slower the disk, the larger
 * the group.  When the store fails, the thread ends the process with status 74: what was
 * not answered was not promised. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/wire.h"
#include "proto/message.h"

struct block;
struct committer;
struct store;

enum {
    COMMITTER_BYTES_MAX = 64 << 20, /* waiting; beyond it a block is answered FULL */
    COMMITTER_EXIT = 74,            /* EX_IOERR */
};

struct committer_answer {
    struct wire_peer peer;
    enum message_type type; /* FENCED, COMMITTED, FULL, STALE, REFUSED */
    uint64_t ref;
    struct log_head head;
    char detail[256]; /* of REFUSED */
};

/* `on_commit` is called in the committer's thread after each commit. */
struct committer *committer_start(struct store *store, void (*on_commit)(void *user),
                                  void *user);
/* Commit what waits, end the thread, free. Answers not taken are gone. NULL is fine. */
void committer_stop(struct committer *committer);
/* Take a checked block (*block becomes NULL). False when too much waits: the caller keeps
 * it. */
bool committer_push(struct committer *committer, const struct wire_peer *peer,
                    struct block **block);
void committer_fence(struct committer *committer, const struct wire_peer *peer,
                     uint64_t term);
/* Readable while there are answers. */
int committer_fd(const struct committer *committer);
/* The next answer; false when there is none. */
bool committer_take(struct committer *committer, struct committer_answer *ret_answer);
