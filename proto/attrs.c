/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proto/attrs.h"

#include <stdlib.h>
#include <string.h>

#include <msgpack.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"

static const char *const names[ATTR_COUNT] = {
#define ATTR(number, name, text, meaning) [number] = text,
    ATTRS(ATTR)
#undef ATTR
};

const char *attr_name(unsigned attr)
{
    return attr < ATTR_COUNT ? names[attr] : NULL;
}

/* --- writing ---
 * The map starts with a map16 header (de hi lo) whose count is bumped with every member, so a
 * writer need not know the number beforehand.  Where the current map starts is found again by
 * the caller's discipline: one map per buffer, from attrs_begin to the end.  The offset is kept
 * nowhere: `out->bytes` of a map buffer begins with its header. */

static int append(void *to, const char *bytes, size_t n)
{
    buf_add(to, bytes, n);
    return 0;
}

static msgpack_packer packer(struct buf *out)
{
    msgpack_packer pk;

    msgpack_packer_init(&pk, out, append);
    return pk;
}

void attrs_begin(struct buf *out)
{
    buf_clear(out);
    buf_add(out, "\xde\0\0", 3);
}

static void count_one(struct buf *out)
{
    if (++out->bytes[2] == 0)
        out->bytes[1]++;
}

static void put_key(msgpack_packer *pk, enum attr attr, const char *name)
{
    if (name)
        msgpack_pack_str_with_body(pk, name, strlen(name));
    else
        msgpack_pack_uint8(pk, (uint8_t)attr);
}

static void put_text(struct buf *out, enum attr attr, const char *name, const char *text)
{
    msgpack_packer pk = packer(out);

    if (!text)
        return;
    count_one(out);
    put_key(&pk, attr, name);
    msgpack_pack_str_with_body(&pk, text, strlen(text));
}

static void put_int(struct buf *out, enum attr attr, const char *name, int64_t value)
{
    msgpack_packer pk = packer(out);

    count_one(out);
    put_key(&pk, attr, name);
    msgpack_pack_int64(&pk, value);
}

static void put_bool(struct buf *out, enum attr attr, const char *name, bool value)
{
    msgpack_packer pk = packer(out);

    count_one(out);
    put_key(&pk, attr, name);
    if (value)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

void attrs_text(struct buf *out, enum attr attr, const char *text)
{
    put_text(out, attr, NULL, text);
}

void attrs_int(struct buf *out, enum attr attr, int64_t value)
{
    put_int(out, attr, NULL, value);
}

void attrs_bool(struct buf *out, enum attr attr, bool value)
{
    put_bool(out, attr, NULL, value);
}

void attrs_named_text(struct buf *out, const char *name, const char *text)
{
    put_text(out, 0, name, text);
}

void attrs_named_int(struct buf *out, const char *name, int64_t value)
{
    put_int(out, 0, name, value);
}

void attrs_named_bool(struct buf *out, const char *name, bool value)
{
    put_bool(out, 0, name, value);
}

void attrs_named_bin(struct buf *out, const char *name, const void *bytes, size_t n)
{
    msgpack_packer pk = packer(out);

    count_one(out);
    put_key(&pk, 0, name);
    msgpack_pack_bin_with_body(&pk, bytes, n);
}

/* --- the scan: flat map of integers/texts to scalars, every length within what is there --- */

struct scan {
    const uint8_t *at, *end;
};

static bool take(struct scan *s, size_t n)
{
    if ((size_t)(s->end - s->at) < n)
        return false;
    s->at += n;
    return true;
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t value = 0;

    while (n--)
        value = value << 8 | *p++;
    return value;
}

static bool take_sized(struct scan *s, size_t size_bytes)
{
    if ((size_t)(s->end - s->at) < size_bytes)
        return false;
    uint64_t n = big_endian(s->at, size_bytes);
    s->at += size_bytes;
    return n <= (uint64_t)(s->end - s->at) && take(s, (size_t)n);
}

/* msgpack's first bytes: how many bytes follow (fixed), or how wide the length is that says so. */
static bool scan_scalar(struct scan *s)
{
    if (s->at == s->end)
        return false;
    uint8_t first = *s->at++;
    if (first <= 0x7f || first >= 0xe0 || first == 0xc2 || first == 0xc3)
        return true; /* fixint, false, true */
    if (first >= 0xa0 && first <= 0xbf)
        return take(s, first & 0x1f); /* fixstr */
    switch (first) {
    case 0xc4: /* bin8, bin16, bin32 */
    case 0xc5:
    case 0xc6:
        return take_sized(s, 1u << (first - 0xc4));
    case 0xd9: /* str8, str16, str32 */
    case 0xda:
    case 0xdb:
        return take_sized(s, 1u << (first - 0xd9));
    case 0xcc: /* uint8 .. uint64 */
    case 0xcd:
    case 0xce:
    case 0xcf:
        return take(s, 1u << (first - 0xcc));
    case 0xd0: /* int8 .. int64 */
    case 0xd1:
    case 0xd2:
    case 0xd3:
        return take(s, 1u << (first - 0xd0));
    default: /* nil, floats, arrays, maps, extensions: not in our maps */
        return false;
    }
}

static const char *scan_map(const uint8_t *map, size_t n)
{
    struct scan s = { map, map + n };
    uint64_t count;

    if (n >= 1 && map[0] >= 0x80 && map[0] <= 0x8f) {
        count = map[0] & 0x0f;
        s.at = map + 1;
    } else if (n >= 3 && map[0] == 0xde) {
        count = big_endian(map + 1, 2);
        s.at = map + 3;
    } else {
        return "not a msgpack map";
    }
    if (count * 2 > (uint64_t)(s.end - s.at))
        return "map declares more members than there are bytes";
    for (uint64_t i = 0; i < count * 2; i++)
        if (!scan_scalar(&s))
            return "a member is cut short or of a type that is not allowed";
    return s.at == s.end ? NULL : "bytes behind the map";
}

static bool read_value(const msgpack_object *o, struct attr_value *v)
{
    switch ((int)o->type) {
    case MSGPACK_OBJECT_STR:
        v->type = ATTR_IS_TEXT;
        v->text = o->via.str.size ? o->via.str.ptr : ""; /* msgpack-c leaves it NULL */
        v->text_len = o->via.str.size;
        return true;
    case MSGPACK_OBJECT_BIN:
        v->type = ATTR_IS_BIN;
        v->text = o->via.bin.size ? o->via.bin.ptr : "";
        v->text_len = o->via.bin.size;
        return true;
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        v->type = ATTR_IS_INT;
        v->number = (int64_t)(o->via.u64 > INT64_MAX ? INT64_MAX : o->via.u64);
        return true;
    case MSGPACK_OBJECT_NEGATIVE_INTEGER:
        v->type = ATTR_IS_INT;
        v->number = o->via.i64;
        return true;
    case MSGPACK_OBJECT_BOOLEAN:
        v->type = ATTR_IS_BOOL;
        v->number = o->via.boolean;
        return true;
    default:
        return false;
    }
}

static bool read_key(const msgpack_object *o, struct attr_value *v)
{
    if (o->type == MSGPACK_OBJECT_POSITIVE_INTEGER && o->via.u64 > 0 && o->via.u64 < 256) {
        v->attr = (unsigned)o->via.u64;
        return true;
    }
    if (o->type == MSGPACK_OBJECT_STR && o->via.str.size > 0) {
        v->name = o->via.str.ptr;
        v->name_len = o->via.str.size;
        return true;
    }
    return false;
}

int attrs_walk(const void *map, size_t n, attrs_fn fn, void *user, const char **ret_why)
{
    msgpack_unpacked unpacked;
    size_t offset = 0;
    int rc = -1;

    if (n == 0)
        return 0;
    const char *why = scan_map(map, n);
    if (why) {
        *ret_why = why;
        return -1;
    }
    msgpack_unpacked_init(&unpacked);
    *ret_why = "msgpack does not unpack";
    if (msgpack_unpack_next(&unpacked, map, n, &offset) == MSGPACK_UNPACK_SUCCESS &&
        unpacked.data.type == MSGPACK_OBJECT_MAP) {
        const msgpack_object_map *m = &unpacked.data.via.map;
        rc = 0;
        for (uint32_t i = 0; i < m->size; i++) {
            struct attr_value v = { 0 };
            if (!read_key(&m->ptr[i].key, &v) || !read_value(&m->ptr[i].val, &v)) {
                *ret_why = "a key is neither a small positive integer nor a text of some length";
                rc = -1;
                break;
            }
            if (fn && !fn(user, &v))
                break;
        }
    }
    msgpack_unpacked_destroy(&unpacked);
    return rc;
}

bool attrs_ok(const void *map, size_t n, const char **ret_why)
{
    return attrs_walk(map, n, NULL, NULL, ret_why) == 0;
}

struct search {
    unsigned attr;
    const char *name;
    struct attr_value found;
    bool is_found;
};

static bool match(void *user, const struct attr_value *v)
{
    struct search *s = user;
    bool same = s->name ? v->name && v->name_len == strlen(s->name) &&
                              memcmp(v->name, s->name, v->name_len) == 0
                        : v->attr == s->attr;

    if (!same)
        return true;
    s->found = *v;
    s->is_found = true;
    return false;
}

static bool find(const void *map, size_t n, struct search *s)
{
    const char *why;

    return attrs_walk(map, n, match, s, &why) == 0 && s->is_found;
}

bool attrs_find_text(const void *map, size_t n, enum attr attr, const char **ret_text, size_t *ret_len)
{
    struct search s = { .attr = attr };

    if (!find(map, n, &s) || s.found.type != ATTR_IS_TEXT)
        return false;
    *ret_text = s.found.text;
    *ret_len = s.found.text_len;
    return true;
}

bool attrs_find_int(const void *map, size_t n, enum attr attr, int64_t *ret_value)
{
    struct search s = { .attr = attr };

    if (!find(map, n, &s) || (s.found.type != ATTR_IS_INT && s.found.type != ATTR_IS_BOOL))
        return false;
    *ret_value = s.found.number;
    return true;
}

bool attrs_find_named(const void *map, size_t n, const char *name, struct attr_value *ret_value)
{
    struct search s = { .name = name };

    if (!find(map, n, &s))
        return false;
    *ret_value = s.found;
    return true;
}

char *attrs_copy_text(const void *map, size_t n, enum attr attr)
{
    const char *text;
    size_t len;

    return attrs_find_text(map, n, attr, &text, &len) ? mem_copy(text, len) : NULL;
}

char *attrs_copy_named(const void *map, size_t n, const char *name)
{
    struct attr_value v;

    if (!attrs_find_named(map, n, name, &v) || v.type == ATTR_IS_INT || v.type == ATTR_IS_BOOL)
        return NULL;
    return mem_copy(v.text, v.text_len);
}

static bool copy_member(void *user, const struct attr_value *v)
{
    struct buf *out = user;
    msgpack_packer pk = packer(out);

    count_one(out);
    if (v->name)
        msgpack_pack_str_with_body(&pk, v->name, v->name_len);
    else
        msgpack_pack_uint8(&pk, (uint8_t)v->attr);
    switch (v->type) {
    case ATTR_IS_TEXT:
        msgpack_pack_str_with_body(&pk, v->text, v->text_len);
        break;
    case ATTR_IS_BIN:
        msgpack_pack_bin_with_body(&pk, v->text, v->text_len);
        break;
    case ATTR_IS_INT:
        msgpack_pack_int64(&pk, v->number);
        break;
    case ATTR_IS_BOOL:
        if (v->number)
            msgpack_pack_true(&pk);
        else
            msgpack_pack_false(&pk);
        break;
    }
    return true;
}

void attrs_join(struct buf *out, const void *map, size_t n)
{
    const char *why;

    if (attrs_ok(map, n, &why))
        attrs_walk(map, n, copy_member, out, &why);
}
