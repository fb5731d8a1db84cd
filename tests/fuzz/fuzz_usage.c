/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>

#include "proxy/usage.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Whole or in two pieces, a stream says the same, and no count is below nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct usage whole = {0}, cut = {0};
    struct sb_tokens a = {0}, b = {0};
    size_t at = n ? data[0] % n : 0;

    usage_hear(&whole, data, n);
    usage_hear(&cut, data, at);
    usage_hear(&cut, data + at, n - at);
    assert(usage_tokens(&whole, &a) == usage_tokens(&cut, &b));
    assert(a.input == b.input && a.output == b.output && a.cached == b.cached);
    assert(a.input >= a.cached && a.cached >= 0 && a.output >= 0);
    usage_fini(&whole);
    usage_fini(&cut);
    return 0;
}
