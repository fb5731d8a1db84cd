/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <string.h>

#include "lib/ledger/transfer.h"
#include "proto/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct source {
    const uint8_t *at, *end;
};

static ssize_t get(void *user, void *bytes, size_t n)
{
    struct source *s = user;
    size_t left = (size_t)(s->end - s->at);

    n = n < left ? n : left;
    if (n)
        memcpy(bytes, s->at, n);
    s->at += n;
    return (ssize_t)n;
}

static uint64_t next;

static bool begin(void *user, const struct transfer_head *head)
{
    (void)user;
    next = head->first;
    return true;
}

static bool take(void *user, const struct block *block)
{
    uint32_t records = 0;

    (void)user;
    assert(block->number == next++);
    for (const struct record *r = block->count ? block_first(block) : NULL; r;
         r = block_next(block, r))
        records++;
    assert(records == block->count);
    return true;
}

/* An exported range from anywhere: every block handed over is whole and the next one. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct transfer_sink sink = {.begin = begin, .block = take};
    struct source source = {data, data + n};
    char error[256];

    (void)transfer_import(get, &source, &sink, NULL, error, sizeof(error));
    return 0;
}
