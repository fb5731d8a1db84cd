/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proto/record.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "proto/attrs.h"

uint32_t integration_hash(const char *name)
{
    uint32_t hash = (uint32_t)hash_text(name);

    return hash ? hash : 1;
}

static const char *why_bad(const struct record *r, size_t n)
{
    if (n < sizeof(*r))
        return "record header cut short";
    if (r->len > n)
        return "record longer than what is there";
    if (r->len % 8 || r->len < sizeof(*r))
        return "record length not a multiple of 8 or below its header's";
    if (r->len > RECORD_SIZE_MAX || r->data_len > RECORD_DATA_MAX || r->attr_len > RECORD_ATTRS_MAX)
        return "record over the size limit";
    size_t content = sizeof(*r) + r->type_len + r->attr_len + (size_t)r->data_len;
    if (content > r->len || r->len - content > 7)
        return "record parts do not add up to its length";
    if (r->kind < RECORD_REQUEST || (r->kind > RECORD_FACT && r->kind < RECORD_BATCH) ||
        r->kind > RECORD_START)
        return "unknown record kind";
    if (r->status > STATUS_FAILED || r->error_class >= CLASS_COUNT)
        return "unknown status or error class";
    if (r->type_len > RECORD_TYPE_MAX || (record_is_event(r) && r->type_len == 0))
        return "event type missing or too long";
    return NULL;
}

const struct record *record_check(const void *bytes, size_t n, const char **ret_why)
{
    const char *why = why_bad(bytes, n);

    if (!why)
        return bytes;
    *ret_why = why;
    return NULL;
}

bool record_type_ok(const struct record *r)
{
    return hash64(record_type(r), r->type_len) == r->type_hash &&
           text_is_type(record_type(r), r->type_len);
}

int record_count(const void *bytes, size_t n, size_t *ret_offset, const char **ret_why)
{
    size_t at = 0;
    int count = 0;

    for (; at < n; count++) {
        const struct record *r = record_check((const uint8_t *)bytes + at, n - at, ret_why);
        if (!r) {
            *ret_offset = at;
            return -1;
        }
        at += r->len;
    }
    return count;
}

char *record_id_text(const struct record *r)
{
    char text[ID_TEXT_SIZE];
    char *foreign =
        r->flags & RECORD_FOREIGN_ID ? attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ID) : NULL;

    if (foreign)
        return foreign;
    id_format(r->id, text);
    return mem_text(text);
}

char *record_call_key(const struct record *r)
{
    char text[ID_TEXT_SIZE];
    uint8_t id[16];
    char *kept = r->flags & RECORD_BY_BROKER ? attrs_copy_text(record_attrs(r), r->attr_len, ATTR_CALL_KEY) : NULL;

    if (kept)
        return kept;
    memcpy(id, r->id, sizeof(id));
    if (r->flags & RECORD_FOREIGN_ID) {
        _free_ char *source = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_SOURCE);
        _free_ char *foreign = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ID);
        if (foreign)
            hash_pair(source ? source : "", foreign, strlen(foreign), id);
    }
    id_format(id, text);
    return mem_text(text);
}

long record_add(struct buf *out, const struct record_parts *p)
{
    size_t type_len = p->type ? strlen(p->type) : 0;
    struct buf keyed = BUF_NULL;
    const void *attrs = p->attrs;
    size_t attr_len = p->attr_len;

    if (p->key) {
        attrs_begin(&keyed);
        attrs_join(&keyed, attrs, attr_len);
        attrs_text(&keyed, ATTR_KEY, p->key);
        attrs = keyed.bytes;
        attr_len = keyed.len;
    }
    long offset = -1;
    if (type_len <= RECORD_TYPE_MAX && attr_len <= RECORD_ATTRS_MAX &&
        p->data_len <= RECORD_DATA_MAX) {
        struct record r = {
            .data_len = (uint32_t)p->data_len, .attr_len = (uint16_t)attr_len,
            .kind = (uint8_t)p->kind, .status = (uint8_t)p->status,
            .error_class = (uint8_t)p->error_class, .flags = p->flags,
            .type_len = (uint8_t)type_len, .attempt = p->attempt,
            .type_hash = p->type ? hash64(p->type, type_len) : 0,
            .key_hash = p->key ? hash_text(p->key) : 0, .time_us = p->time_us,
            .integration = p->integration, .cause_index = p->settles.index,
        };
        if (p->kind == RECORD_OUTCOME)
            r.cause_block = p->settles.block;
        else
            r.deadline_us = p->deadline_us;
        if (p->id)
            memcpy(r.id, p->id, 16);
        if (p->cause)
            memcpy(r.cause, p->cause, 16);
        r.len = (uint32_t)((sizeof(r) + type_len + attr_len + p->data_len + 7) & ~(size_t)7);
        offset = (long)out->len;
        buf_reserve(out, r.len);
        buf_add(out, &r, sizeof(r));
        buf_add(out, p->type, type_len);
        buf_add(out, attrs, attr_len);
        buf_add(out, p->data, p->data_len);
        buf_pad8(out);
    }
    buf_fini(&keyed);
    return offset;
}

static const struct {
    const char *name, *sentence;
} classes[] = {
#define CLASS(number, name, sentence) [number] = { #name, sentence },
    RECORD_CLASSES(CLASS)
#undef CLASS
};

const char *class_name(unsigned error_class)
{
    return error_class < CLASS_COUNT ? classes[error_class].name : "?";
}

const char *class_sentence(unsigned error_class)
{
    return error_class < CLASS_COUNT ? classes[error_class].sentence : "?";
}

int class_find(const char *name)
{
    for (int i = 0; i < CLASS_COUNT; i++)
        if (strcmp(classes[i].name, name) == 0)
            return i;
    return -1;
}

const char *status_name(unsigned status)
{
    static const char *const names[] = { "Pending", "Success", "Failed" };

    return status <= STATUS_FAILED ? names[status] : "?";
}

const char *kind_name(unsigned kind)
{
    static const char *const names[] = { [RECORD_REQUEST] = "request",
                                         [RECORD_OUTCOME] = "outcome",
                                         [RECORD_FACT] = "fact" };

    return kind >= RECORD_REQUEST && kind <= RECORD_FACT ? names[kind] : "control";
}
