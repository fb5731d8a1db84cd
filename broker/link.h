/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* link - the broker's end of the connection to the logger
 *
 * Fences with the broker's term, sends blocks, hears what is committed.  After a lost
 * connection or a logger that was restarted it fences again; the core then sends its
 * uncommitted blocks again. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

struct block_ref;
struct link;
struct loop;
struct wire;

struct link_options {
    const char *endpoint;
    uint64_t term;
    /* Fenced, for the first time or again. */
    void (*on_fenced)(void *user, const struct log_head *head);
    void (*on_committed)(void *user, const struct log_head *head);
    /* A newer broker is in charge (of `term`): this one must end. Before the first
     * on_fenced the link has taken a higher term by itself instead. */
    void (*on_stale)(void *user, uint64_t term);
    void *user;
};

struct link *link_new(struct loop *loop, struct wire *wire,
                      const struct link_options *options, char *error, size_t error_size);
void link_free(struct link *link);
void link_append(struct link *link, struct block_ref *block);
/* Which segments the logger's retention may remove: those all below this block. */
void link_keep(struct link *link, uint64_t keep_from);
/* The term that was accepted. */
uint64_t link_term(const struct link *link);
