/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "proxy/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A target that is taken has a path without odd segments, however it was encoded; a list
 * of the same bytes is read without harm. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    _free_ char *text = mem_copy((const char *)data, n);
    struct target target = {0};

    if (!target_read(text, "models", &target)) {
        assert(*target.path == '/' && !strstr(target.path, "//"));
        assert(!strstr(target.path, "/../") && !strchr(target.path, '\\'));
        assert(strlen(target.path) <= strlen(target.encoded));
        (void)allow_has(text, "GET", target.path);
    }
    target_fini(&target);
    (void)allow_wrong(text);
    (void)allow_has(text, "GET", "/v1/models/m");
    return 0;
}
