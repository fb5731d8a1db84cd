/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* delivery - the broker's core under the model: any bytes are a life of publishes, losses
 * and crashes */
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    const char *broken = model_run(bytes, n, NULL);

    if (broken) {
        fprintf(stderr, "%s\n", broken);
        abort();
    }
    return 0;
}
