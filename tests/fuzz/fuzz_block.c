/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "lib/base/mem.h"
#include "proto/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void walk(const struct block *b)
{
    uint32_t records = 0;

    for (const struct record *r = b->count ? block_first(b) : NULL; r;
         r = block_next(b, r), records++)
        assert(block_record(b, records) == r || records > 64);
    assert(records == b->count);
}

/* As it came, and with the checksum made right: behind it stands the same care. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *why = NULL;
    const struct block *b = block_check(data, n, &why);

    if (b)
        walk(b);
    if (n >= sizeof(*b)) {
        struct block *sealed = mem_copy(data, n);
        sealed->version = 1;
        block_seal(sealed, n);
        b = block_check(sealed, n, &why);
        if (b)
            walk(b);
        free(sealed);
    }
    return 0;
}
