/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "lib/ledger/seal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The lines of the file of seals: whatever is taken ascends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct seals seals;
    char error[128];

    if (seals_parse((const char *)data, n, &seals, error, sizeof(error)))
        return 0;
    for (size_t i = 1; i < seals.n; i++)
        assert(seals.list[i].block > seals.list[i - 1].block);
    seals_fini(&seals);
    return 0;
}
