/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/running.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/sdk/outbox.h"
#include "lib/sdk/table.h"
#include "proto/control.h"

enum {
    RUNNING_MAX =
        200000, /* positions in a HELLO or PING: with 16 bytes each they fit a frame */
};

/* Call fn for every position that a record of a RESULT settles. */
static void each_settled(const struct record *r,
                         void (*fn)(void *user, uint64_t block, uint32_t index),
                         void *user)
{
    if (r->kind == RECORD_OUTCOME) {
        fn(user, r->cause_block, r->cause_index);
    } else if (r->kind == RECORD_RETRY && r->data_len >= sizeof(struct control_retry)) {
        struct control_retry retry;
        memcpy(&retry, record_data(r), sizeof(retry));
        fn(user, retry.block, retry.index);
    } else if (r->kind == RECORD_ACK && r->data_len >= sizeof(struct control_ack)) {
        struct control_ack ack;
        memcpy(&ack, record_data(r), sizeof(ack));
        for (uint32_t i = 0; i < ack.count; i++)
            fn(user, ack.block, ack.first + i);
    }
}

static void each_record(const void *records, size_t n,
                        void (*fn)(void *user, uint64_t block, uint32_t index),
                        void *user)
{
    const uint8_t *end = (const uint8_t *)records + n;

    for (const struct record *r = records; (const uint8_t *)r < end; r = record_after(r))
        each_settled(r, fn, user);
}

static void add_running(void *user, uint64_t block, uint32_t index)
{
    struct wire_position position = {.block = block, .index = index};
    struct buf *out = user;

    if (out->len < RUNNING_MAX * sizeof(position))
        buf_add(out, &position, sizeof(position));
}

void running_started(const struct table *started, struct buf *out)
{
    const struct table_cell *cell;
    size_t at = 0;

    while ((cell = table_next(started, &at)))
        add_running(out, cell->a, cell->b);
}

static int compare_positions(const void *left, const void *right)
{
    const struct wire_position *a = left, *b = right;

    if (a->block != b->block)
        return a->block < b->block ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

void running_all(const struct table *started, const struct outbox *batches,
                 struct buf *out)
{
    running_started(started, out);
    for (uint64_t number = batches->first; number < batches->next; number++) {
        struct frame *frame = outbox_get(batches, number);
        if (frame && frame->header.type == MSG_RESULT)
            each_record(&frame->header + 1, frame->header.body_len, add_running, out);
    }
    if (out->len)
        qsort(out->bytes, out->len / sizeof(struct wire_position),
              sizeof(struct wire_position), compare_positions);
}

static void drop_started(void *user, uint64_t block, uint32_t index)
{
    table_drop(user, block, index);
}

void running_settle(struct table *started, const void *records, size_t n)
{
    if (started->len)
        each_record(records, n, drop_started, started);
}
