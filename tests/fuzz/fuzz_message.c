/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>

#include "proto/attrs.h"
#include "proto/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A frame is read as each of the bodies there are: nothing is taken that is not there. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *why = NULL;
    const struct message *m = message_check(data, n, &why);
    const struct record *records = NULL;
    const struct slice *s = NULL;
    size_t offset;

    if (!m) {
        assert(why);
        return 0;
    }
    (void)message_name(m->type);
    (void)attrs_ok(message_body(m), m->body_len, &why);
    (void)record_count(message_body(m), m->body_len, &offset, &why);
    while ((s = message_slice(m, s, &records, &why)))
        assert((const uint8_t *)records + s->bytes <= data + n);
    return 0;
}
