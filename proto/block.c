/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proto/block.h"

#include <stddef.h>
#include <string.h>

#include "lib/base/hash.h"

static uint32_t block_crc(const struct block *b)
{
    struct block header = *b;

    header.crc = 0;
    return crc32c(crc32c(0, &header, sizeof(header)), b + 1, b->len - sizeof(*b));
}

void block_seal(struct block *b, size_t len)
{
    b->magic = BLOCK_MAGIC;
    b->version = 1;
    b->len = (uint32_t)len;
    b->crc = block_crc(b);
}

const struct block *block_glance(const void *bytes, size_t n, const char **ret_why)
{
    const struct block *b = bytes;

    *ret_why = "block header cut short";
    if (n < sizeof(*b))
        return NULL;
    *ret_why = "not a block (magic)";
    if (b->magic != BLOCK_MAGIC)
        return NULL;
    *ret_why = "block of a version this program does not know";
    if (b->version != 1)
        return NULL;
    *ret_why = "block length does not fit what is there";
    if (b->len != n || b->len > BLOCK_SIZE_MAX || b->len % 8)
        return NULL;
    return b;
}

const struct block *block_check(const void *bytes, size_t n, const char **ret_why)
{
    const struct block *b = block_glance(bytes, n, ret_why);
    size_t offset;

    if (!b)
        return NULL;
    if (block_crc(b) != b->crc) {
        *ret_why = "block checksum does not fit its content";
        return NULL;
    }
    int count = record_count(b + 1, b->len - sizeof(*b), &offset, ret_why);
    if (count < 0)
        return NULL;
    *ret_why = "block holds another number of records than it says";
    return (uint32_t)count == b->count ? b : NULL;
}

const struct record *block_record(const struct block *b, uint32_t index)
{
    const struct record *r = b->count ? block_first(b) : NULL;

    while (r && index--)
        r = block_next(b, r);
    return r;
}
