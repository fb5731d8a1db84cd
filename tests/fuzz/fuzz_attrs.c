/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>

#include "lib/base/buf.h"
#include "proto/attrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool take(void *user, const struct attr_value *v)
{
    volatile char last = v->text_len ? v->text[v->text_len - 1] : 0;

    (void)last;
    ++*(unsigned *)user;
    return true;
}

/* What is taken can be read, and written again it says the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf again = BUF_NULL;
    struct attr_value v;
    const char *why = NULL;
    unsigned members = 0, members_again = 0;

    if (attrs_walk(data, n, take, &members, &why) == 0) {
        free(attrs_copy_text(data, n, ATTR_ERROR_MSG));
        (void)attrs_find_named(data, n, "name", &v);
        attrs_begin(&again);
        attrs_join(&again, data, n);
        int rc = attrs_walk(again.bytes, again.len, take, &members_again, &why);
        assert(rc == 0 && members == members_again);
        (void)rc;
    } else {
        assert(why);
    }
    buf_fini(&again);
    return 0;
}
