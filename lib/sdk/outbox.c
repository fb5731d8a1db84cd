/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/outbox.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/wire/wire.h"

enum {
    SPARE_BYTES_MAX = 16 << 20, /* kept for the next frames; more are freed */
    ROUND_UP = 4096,            /* a frame's room, so that spare ones fit again */
};

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){.cap = 64, .first = 1, .next = 1};
    outbox->ring = mem_array(outbox->cap, sizeof(struct frame *));
}

/* Runs on ZeroMQ's thread. */
static void release(void *bytes, void *hint)
{
    struct frame *frame = hint;

    (void)bytes;
    if (atomic_fetch_sub_explicit(&frame->references, 1, memory_order_acq_rel) == 1)
        free(frame);
}

/* Give up our reference; a frame that nobody else holds becomes spare. */
static void retire(struct outbox *outbox, struct frame *frame)
{
    bool is_ours = atomic_load_explicit(&frame->references, memory_order_acquire) == 1;

    if (is_ours && outbox->spares < sizeof(outbox->spare) / sizeof(*outbox->spare) &&
        outbox->spare_bytes + frame->cap <= SPARE_BYTES_MAX) {
        outbox->spare[outbox->spares++] = frame;
        outbox->spare_bytes += frame->cap;
    } else {
        release(NULL, frame);
    }
}

void outbox_fini(struct outbox *outbox)
{
    if (!outbox->ring)
        return;
    for (uint64_t number = outbox->first; number < outbox->next; number++)
        outbox_drop(outbox, number);
    while (outbox->spares)
        free(outbox->spare[--outbox->spares]);
    free(outbox->ring);
    outbox->ring = NULL;
}

static struct frame *frame_new(struct outbox *outbox, size_t n)
{
    for (unsigned i = 0; i < outbox->spares; i++) {
        struct frame *frame = outbox->spare[i];
        if (frame->cap < n || frame->cap / 4 > n + ROUND_UP)
            continue;
        outbox->spare[i] = outbox->spare[--outbox->spares];
        outbox->spare_bytes -= frame->cap;
        return frame;
    }
    size_t cap = (n + ROUND_UP - 1) / ROUND_UP * ROUND_UP;
    struct frame *frame = mem_resize(NULL, offsetof(struct frame, bytes) + cap);
    frame->cap = (uint32_t)cap;
    atomic_init(&frame->references, 1);
    return frame;
}

static void widen(struct outbox *outbox)
{
    size_t cap = 2 * outbox->cap;
    struct frame **ring = mem_array(cap, sizeof(struct frame *));

    for (uint64_t number = outbox->first; number < outbox->next; number++)
        ring[number & (cap - 1)] = outbox->ring[number & (outbox->cap - 1)];
    free(outbox->ring);
    outbox->ring = ring;
    outbox->cap = cap;
}

struct frame *outbox_add(struct outbox *outbox, enum message_type type, unsigned flags,
                         uint32_t count, uint64_t ref_bits, const void *body, size_t n)
{
    struct frame *frame = frame_new(outbox, sizeof(struct message) + n);

    assert(sizeof(struct message) + n <= MESSAGE_SIZE_MAX);
    if (outbox->next - outbox->first == outbox->cap)
        widen(outbox);
    frame->header = (struct message){
        .magic = MESSAGE_MAGIC,
        .version = MESSAGE_VERSION,
        .type = (uint8_t)type,
        .flags = (uint16_t)flags,
        .body_len = (uint32_t)n,
        .count = count,
        .ref = outbox->next | ref_bits,
    };
    memcpy((uint8_t *)frame->bytes + sizeof(struct message), body, n);
    outbox->ring[outbox->next++ & (outbox->cap - 1)] = frame;
    return frame;
}

struct frame *outbox_get(const struct outbox *outbox, uint64_t number)
{
    if (number < outbox->first || number >= outbox->next)
        return NULL;
    return outbox->ring[number & (outbox->cap - 1)];
}

void outbox_drop(struct outbox *outbox, uint64_t number)
{
    struct frame *frame = outbox_get(outbox, number);

    if (!frame)
        return;
    outbox->ring[number & (outbox->cap - 1)] = NULL;
    while (outbox->first < outbox->next &&
           !outbox->ring[outbox->first & (outbox->cap - 1)])
        outbox->first++;
    retire(outbox, frame);
}

struct frame *outbox_unsent(struct outbox *outbox)
{
    if (outbox->sent + 1 < outbox->first)
        outbox->sent = outbox->first - 1;
    for (; outbox->sent + 1 < outbox->next; outbox->sent++) {
        struct frame *frame = outbox_get(outbox, outbox->sent + 1);
        if (frame)
            return frame;
    }
    return NULL;
}

void outbox_sent(struct outbox *outbox)
{
    outbox->sent++;
}

void outbox_rewind(struct outbox *outbox)
{
    outbox->sent = 0;
}

int frame_send(struct frame *frame, struct wire_socket *socket)
{
    atomic_fetch_add_explicit(&frame->references, 1, memory_order_relaxed);
    return wire_send_owned(socket, NULL, frame->bytes,
                           sizeof(struct message) + frame->header.body_len, release,
                           frame);
}
