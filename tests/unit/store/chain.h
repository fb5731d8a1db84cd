/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* chain - blocks for tests: each follows the last, with one event whose bytes depend on
 * the number */
#pragma once
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "proto/block.h"
#include "proto/message.h"

struct chain {
    uint64_t number, term, timestamp_us;
    uint32_t crc;
};

/* Go on behind what a store holds. */
static inline struct chain chain_behind(const struct log_head *head)
{
    return (struct chain){head->number, head->term ? head->term : 1, head->timestamp_us,
                          head->crc};
}

/* The next block, about `size` bytes long. Free it. */
static inline struct block *chain_next(struct chain *chain, size_t size, uint32_t flags)
{
    static const uint8_t id[16] = {1};
    struct buf bytes = BUF_NULL;
    size_t data_len = size > 256 ? size - 256 : 8;

    buf_add(&bytes, NULL, sizeof(struct block));
    uint8_t *data = mem_alloc(data_len);
    memset(data, (int)(chain->number * 7 + 1), data_len);
    for (size_t at = 0; data_len; data_len -= at) { /* events of at most 1 MiB */
        at = data_len < RECORD_DATA_MAX ? data_len : RECORD_DATA_MAX;
        record_add(&bytes, &(struct record_parts){.kind = RECORD_FACT,
                                                  .type = "test.fact",
                                                  .id = id,
                                                  .data = data,
                                                  .data_len = at});
        ((struct block *)(void *)bytes.bytes)->count++;
    }
    free(data);
    struct block *b = (struct block *)(void *)bytes.bytes;
    b->number = ++chain->number;
    b->prev_crc = chain->crc;
    b->term = chain->term;
    b->timestamp_us = chain->timestamp_us += 1000;
    b->events = b->count;
    b->flags = flags;
    block_seal(b, bytes.len);
    chain->crc = b->crc;
    return b;
}
