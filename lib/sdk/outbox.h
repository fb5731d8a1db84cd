/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* outbox - numbered frames that are kept until they are answered
 *
 * Numbers ascend by one from 1. A frame's bytes are written once and sent without
 * copying: the outbox holds one reference, every send in flight another, which ZeroMQ's
 * thread gives back. */
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

struct wire_socket;

struct frame {
    atomic_uint references;
    uint32_t cap;
    union {
        struct message header;
        uint64_t bytes[3]; /* header and body */
    };
};

struct outbox {
    struct frame **ring; /* of frames first .. next - 1; NULL where answered */
    size_t cap;
    uint64_t first, next; /* first: the oldest unanswered */
    uint64_t sent;        /* all up to it went out on this connection */
    struct frame *spare[16];
    unsigned spares;
    size_t spare_bytes;
};

void outbox_init(struct outbox *outbox);
void outbox_fini(struct outbox *outbox);
/* Put a frame with this body under the next number; its ref is the number with `ref_bits`
 * added. */
struct frame *outbox_add(struct outbox *outbox, enum message_type type, unsigned flags,
                         uint32_t count, uint64_t ref_bits, const void *body, size_t n);
/* The unanswered frame with this number, or NULL. */
struct frame *outbox_get(const struct outbox *outbox, uint64_t number);
/* It is answered: forget it. */
void outbox_drop(struct outbox *outbox, uint64_t number);
/* The next one to be sent, NULL when all went out; outbox_sent says that this one went.
 */
struct frame *outbox_unsent(struct outbox *outbox);
void outbox_sent(struct outbox *outbox);
/* A new connection: everything unanswered is to be sent again. */
void outbox_rewind(struct outbox *outbox);
/* Queue a frame on a DEALER; enum wire_result. */
int frame_send(struct frame *frame, struct wire_socket *socket);
