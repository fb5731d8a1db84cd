/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/content.h"
#include "gateway/form.h"
#include "gateway/scheme_body.h"
#include "gateway/scheme_key.h"
#include "gateway/subscription.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char *header(void *user, const char *name)
{
    (void)user;
    return *name == 'X' ? "given/by/the-sender" : NULL;
}

/* What comes out has an id and a type, and its bytes are the sender's. */
static bool look(void *user, const char *event_id, const char *type, const void *data,
                 size_t data_len)
{
    const struct content *content = user;
    const char *bytes = data;
    assert(*event_id && !strchr(type, '/'));
    assert(bytes >= content->body &&
           bytes + data_len <= content->body + content->body_len);
    return true;
}

/* Of the rows that have the signature in the body: whatever is found is a text in it. */
static void read_signed(const struct scheme *scheme, const struct content *content)
{
    struct scheme_body body = {0};
    struct scheme_input input = {.body = content->body, .body_len = content->body_len};
    struct buf fields = {0};
    if (scheme_body_read(&body, scheme, &input)) {
        assert(!scheme->key_path || body.topic);
        if (scheme_body_fields(&body, &fields))
            assert(fields.len > 0);
    }
    buf_fini(&fields);
    scheme_body_fini(&body);
}

/* Input: the row's number in the table, then the body; of odd rows' numbers it is a form.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    size_t count = 0;
    while (scheme_rows()[count].name)
        count++;
    if (n == 0)
        return 0;
    const struct scheme *scheme = &scheme_rows()[(data[0] >> 1) % count];
    char *text = mem_copy(data + 1, n - 1);
    struct content content = {.scheme = scheme,
                              .body = text,
                              .body_len = n - 1,
                              .is_form = data[0] & 1,
                              .header = header};
    struct scheme_key key = {.bytes = (uint8_t *)(uintptr_t) "key", .len = 3};
    struct buf out = {0};
    content.user = NULL;
    if (content_read(&content)) {
        content_each(&content, look, &content);
        content_handshake(&content, &key, &out);
        free(subscription_url(&content));
    }
    if (scheme->in_body)
        read_signed(scheme, &content);
    buf_clear(&out);
    form_sorted(text, n - 1, &out);
    content_fini(&content);
    buf_fini(&out);
    free(text);
    return 0;
}
