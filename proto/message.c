/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proto/message.h"

#include <string.h>

#include "lib/base/buf.h"

const struct message *message_check(const void *frame, size_t n, const char **ret_why)
{
    const struct message *m = frame;

    *ret_why = "frame shorter than a header";
    if (n < sizeof(*m))
        return NULL;
    *ret_why = "not a frame of this protocol (magic)";
    if (m->magic != MESSAGE_MAGIC)
        return NULL;
    *ret_why = "protocol version not known";
    if (m->version != MESSAGE_VERSION)
        return NULL;
    *ret_why = "body length does not fit the frame";
    if (m->body_len != n - sizeof(*m))
        return NULL;
    return m;
}

void message_begin(struct buf *out, enum message_type type, uint64_t ref)
{
    struct message m = { .magic = MESSAGE_MAGIC, .version = MESSAGE_VERSION, .type = (uint8_t)type, .ref = ref };

    buf_clear(out);
    buf_add(out, &m, sizeof(m));
}

struct message *message_end(struct buf *out)
{
    struct message *m = (struct message *)out->bytes;

    m->body_len = (uint32_t)(out->len - sizeof(*m));
    return m;
}

const struct slice *message_slice(const struct message *m, const struct slice *previous,
                                  const struct record **ret_records, const char **ret_why)
{
    const uint8_t *body = message_body(m), *end = body + m->body_len;
    const uint8_t *at = previous ? (const uint8_t *)(previous + 1) + previous->bytes : body;
    const struct slice *s = (const struct slice *)at;
    size_t offset;

    *ret_why = NULL;
    if (at == end)
        return NULL;
    if ((size_t)(end - at) < sizeof(*s) || s->bytes > (size_t)(end - at) - sizeof(*s) || s->bytes % 8) {
        *ret_why = "slice longer than the message";
        return NULL;
    }
    int count = record_count(s + 1, s->bytes, &offset, ret_why);
    if (count < 0)
        return NULL;
    if ((uint32_t)count != s->count) {
        *ret_why = "slice holds another number of records than it says";
        return NULL;
    }
    *ret_why = NULL;
    *ret_records = (const struct record *)(s + 1);
    return s;
}

const char *message_name(unsigned type)
{
    static const char *const names[] = {
#define MESSAGE(number, name, from, body) [number] = #name,
#include "proto/messages.def"
#undef MESSAGE
    };

    return type < sizeof(names) / sizeof(*names) && names[type] ? names[type] : "?";
}

static const struct error_info errors[ERR_COUNT] = {
    [0] = { "unknown_error", 500, 0, "an error this program does not know" },
#define ERROR(name, number, status, retry, sentence) [number] = { #name, status, retry, sentence },
#include "proto/errors.def"
#undef ERROR
};

const struct error_info *error_info(unsigned code)
{
    return &errors[code < ERR_COUNT ? code : 0];
}

unsigned error_find(const char *name, size_t n)
{
    for (unsigned i = 1; i < ERR_COUNT; i++)
        if (strlen(errors[i].name) == n && memcmp(errors[i].name, name, n) == 0)
            return i;
    return 0;
}
