/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a member or an element within JSON that was parsed: what an event's data
 * are, as they were written. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/slice.h"
#include "lib/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool is_within(struct slice_text part, const char *text, size_t n)
{
    return part.text >= text && part.len <= n && part.text + part.len <= text + n;
}

/* They lie within the text and are the value that the parser saw there. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;
    struct json *value = js_parse(text, n, (char[64]){0}, 64);
    struct slice_text all = {text, n}, part;
    size_t at = 0, elements = 0;

    if (js_is_object(value) && slice_member(all, "data", &part)) {
        assert(is_within(part, text, n));
        assert(js_get(value, "data"));
    }
    while (js_is_array(value) && slice_element(all, &at, &part)) {
        assert(is_within(part, text, n));
        elements++;
    }
    assert(!js_is_array(value) || elements == js_count(value));
    js_free(value);
    return 0;
}
