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

bool filter_holds(const uint8_t *filter, uint32_t words, uint64_t hash)
{
    uint64_t bits = (uint64_t)words * 64, step = (hash >> 32) | 1;

    for (int i = 0; words && i < PROBES; i++) {
        uint64_t bit = (hash + (uint64_t)i * step) % bits;
        if (!(filter[bit / 8] >> (bit % 8) & 1))
            return false;
    }
    return words > 0;
}

void filter_add(uint8_t *filter, uint32_t words, uint64_t hash)
{
    uint64_t bits = (uint64_t)words * 64, step = (hash >> 32) | 1;

    for (int i = 0; i < PROBES; i++) {
        uint64_t bit = (hash + (uint64_t)i * step) % bits;
        filter[bit / 8] |= (uint8_t)(1 << bit % 8);
    }
}
