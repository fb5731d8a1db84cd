/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A traceparent of anybody's making. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The child of what is one is one, of the same trace. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char *text = mem_copy(data, n), child[TRACE_PARENT_SIZE];

    if (trace_is_parent(text)) {
        trace_child(text, n, child);
        assert(trace_is_parent(child));
        assert(memcmp(child + 3, text + 3, 32) == 0);
    }
    (void)trace_is_state(text);
    free(text);
    return 0;
}
