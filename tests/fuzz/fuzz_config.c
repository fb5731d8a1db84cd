/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A file is good or has errors; what is good differs from itself in nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf out = BUF_NULL;
    struct config *config;

    if (n > CONFIG_SIZE_MAX)
        return 0;
    config = config_parse("/x.yaml", (const char *)data, n, &out);
    assert((config == NULL) == (out.len > 0));
    if (config)
        config_diff(config, config, &out);
    assert(!config || out.len == 0);
    config_free(config);
    buf_fini(&out);
    return 0;
}
