/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A Bloom filter sized by what a run holds (16 bits an item, 8 probes), so that it costs
 * about two bytes for each id or key, whatever the size of the run. */
#include <string.h>

#include "lib/base/hash.h"
#include "lib/store/derived.h"

enum { BITS_PER_ITEM = 16, PROBES = 8 };

uint64_t filter_item(enum views_item item, const void *name)
{
    uint8_t bytes[17] = {(uint8_t)item};
    size_t n = item == VIEWS_ID ? 16 : 8;

    memcpy(bytes + 1, name, n);
    return hash64(bytes, n + 1);
}

uint32_t filter_words(size_t items)
{
    return (uint32_t)((items * BITS_PER_ITEM + 63) / 64);
}

/* The i-th place of an item, without a division: the high half of a product. */
static uint64_t place(uint64_t hash, int i, uint64_t bits)
{
    uint32_t step = (uint32_t)(hash >> 32) | 1;

    return ((uint64_t)((uint32_t)hash + (uint32_t)i * step) * bits) >> 32;
}

bool filter_holds(const uint8_t *filter, uint32_t words, uint64_t hash)
{
    uint64_t bits = (uint64_t)words * 64;

    for (int i = 0; words && i < PROBES; i++) {
        uint64_t bit = place(hash, i, bits);
        if (!(filter[bit / 8] >> (bit % 8) & 1))
            return false;
    }
    return words > 0;
}

void filter_add(uint8_t *filter, uint32_t words, uint64_t hash)
{
    uint64_t bits = (uint64_t)words * 64;

    for (int i = 0; i < PROBES; i++) {
        uint64_t bit = place(hash, i, bits);
        filter[bit / 8] |= (uint8_t)(1 << bit % 8);
    }
}
