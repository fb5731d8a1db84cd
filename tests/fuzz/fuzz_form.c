/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/form.h"
#include "lib/base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Every field that was read is found under its name, and the number is bounded. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct form form = FORM_NULL;

    (void)form_read(&form, (const char *)data, n); /* with too many what was read stays */
    assert(form.n <= FORM_FIELDS_MAX);
    for (size_t i = 0; i < form.n; i++) {
        const char *name = form.fields[i].name;
        assert(form_get(&form, name));
        assert(form_top(name) <= strlen(name));
    }
    js_free(form_object(&form, "metadata"));
    form_fini(&form);
    return 0;
}
