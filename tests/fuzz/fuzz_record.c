/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "proto/attrs.h"
#include "proto/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Records that were counted lie within what is there, with all their parts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *why = NULL;
    size_t offset = 0;
    int count = record_count(data, n, &offset, &why);

    assert(count >= 0 || (why && offset <= n));
    const struct record *r = (const struct record *)(const void *)data;
    for (int i = 0; i < count; i++, r = record_after(r)) {
        assert(record_data(r) + r->data_len <= data + n);
        (void)record_type_ok(r);
        (void)attrs_ok(record_attrs(r), r->attr_len, &why);
    }
    return 0;
}
