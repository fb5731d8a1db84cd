/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "dump.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "proto/attrs.h"
#include "proto/block.h"
#include "proto/control.h"
#include "proto/message.h"

/* --- fixed structs, by tables --- */

struct field {
    const char *name;
    size_t offset, size;
};
#define F(type, member)                                                                  \
    {                                                                                    \
#member, offsetof(struct type, member), sizeof(((struct type *)NULL)->member)    \
    }
#define END                                                                              \
    {                                                                                    \
        NULL, 0, 0                                                                       \
    }

static const struct field batch[] = {F(control_batch, number), F(control_batch, count),
                                     END};
static const struct field idempotency[] = {F(control_idempotency, body_hash),
                                           F(control_idempotency, expires_us), END};
static const struct field ack[] = {F(control_ack, group), F(control_ack, first),
                                   F(control_ack, count), F(control_ack, result),
                                   F(control_ack, block), END};
static const struct field retry[] = {F(control_retry, block),    F(control_retry, index),
                                     F(control_retry, group),    F(control_retry, due_us),
                                     F(control_retry, attempts), F(control_retry, deaths),
                                     F(control_retry, alone),    END};
static const struct field session[] = {
    F(control_session, group), F(control_session, joined), F(control_session, pid), END};
static const struct field schedule[] = {F(control_schedule, due_us),
                                        F(control_schedule, missed), END};
static const struct field checkpoint[] = {F(control_checkpoint, piece),
                                          F(control_checkpoint, last), END};
static const struct field start[] = {F(control_start, block), F(control_start, index),
                                     F(control_start, group), END};
static const struct field *const controls[] = {
    [RECORD_BATCH] = batch,
    [RECORD_IDEMPOTENCY] = idempotency,
    [RECORD_ACK] = ack,
    [RECORD_RETRY] = retry,
    [RECORD_SESSION] = session,
    [RECORD_SCHEDULE] = schedule,
    [RECORD_CHECKPOINT] = checkpoint,
    [RECORD_START] = start,
};
static const struct field published[] = {F(published, block), F(published, first),
                                         F(published, timestamp_us), END};
static const struct field verdict[] = {F(verdict, index),    F(verdict, code),
                                       F(verdict, first_id), F(verdict, block),
                                       F(verdict, position), END};
static const struct field credit[] = {F(credit, events), F(credit, bytes), END};
static const struct field slice[] = {
    F(slice, block),   F(slice, index), F(slice, count),        F(slice, bytes),
    F(slice, attempt), F(slice, flags), F(slice, timestamp_us), END};
static const struct field log_head[] = {
    F(log_head, number),       F(log_head, term),
    F(log_head, timestamp_us), F(log_head, segment_room),
    F(log_head, spare_bytes),  F(log_head, crc),
    F(log_head, is_full),      END};
static const struct field position[] = {F(wire_position, block), F(wire_position, index),
                                        END};
static const struct field block[] = {F(block, crc),
                                     F(block, prev_crc),
                                     F(block, len),
                                     F(block, number),
                                     F(block, term),
                                     F(block, timestamp_us),
                                     F(block, count),
                                     F(block, events),
                                     F(block, flags),
                                     F(block, version),
                                     F(block, requests_total),
                                     F(block, facts_total),
                                     F(block, outcomes_total),
                                     END};

static void set_hash(struct json *o, const char *name, uint64_t hash)
{
    char text[20];

    snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);
    js_set_text(o, name, text);
}

static void set_id(struct json *o, const char *name, const uint8_t id[16])
{
    char text[ID_TEXT_SIZE];

    id_format(id, text);
    js_set_text(o, name, text);
}

static struct json *dump_fields(struct json *o, const struct field *fields,
                                const void *from)
{
    for (const struct field *f = fields; f->name; f++) {
        const uint8_t *at = (const uint8_t *)from + f->offset;
        size_t n = strlen(f->name);
        uint64_t value = 0;
        if (f->size == 16) {
            set_id(o, f->name, at);
            continue;
        }
        memcpy(&value, at, f->size);
        if (n > 5 && strcmp(f->name + n - 5, "_hash") == 0)
            set_hash(o, f->name, value);
        else
            js_set_int(o, f->name, (int64_t)value);
    }
    return o;
}

static struct json *hex(const void *bytes, size_t n)
{
    struct buf text = BUF_NULL;

    text_hex(bytes, n, &text);
    struct json *o = js_set_text(js_object(), "hex", buf_str(&text));
    buf_fini(&text);
    return o;
}

/* --- maps --- */

static bool add_member(void *user, const struct attr_value *v)
{
    _free_ char *name = v->name ? mem_copy(v->name, v->name_len) : NULL;
    const char *key = name ? name : attr_name(v->attr);
    struct json *o = user;

    if (v->type == ATTR_IS_INT)
        js_set_int(o, key, v->number);
    else if (v->type == ATTR_IS_BOOL)
        js_set_bool(o, key, v->number);
    else
        js_set(o, key,
               v->type == ATTR_IS_BIN ? hex(v->text, v->text_len)
                                      : js_from_text(v->text, v->text_len));
    return true;
}

static struct json *dump_map(const void *map, size_t n)
{
    struct json *o = js_object();
    const char *why;

    attrs_walk(map, n, add_member, o, &why);
    return o;
}

/* --- records --- */

static void set_data(struct json *o, const struct record *r)
{
    const struct field *fields =
        r->kind < sizeof(controls) / sizeof(*controls) ? controls[r->kind] : NULL;
    char error[80];
    struct json *data = NULL;

    if (fields) {
        js_set(o, "control", dump_fields(js_object(), fields, record_data(r)));
        if (r->kind == RECORD_CHECKPOINT)
            js_set(o, "piece_bytes",
                   hex(record_data(r) + sizeof(struct control_checkpoint),
                       r->data_len - sizeof(struct control_checkpoint)));
        return;
    }
    if (r->flags & RECORD_JSON || r->kind >= RECORD_BATCH)
        data = js_parse((const char *)record_data(r), r->data_len, error, sizeof(error));
    js_set(o, "data", data ? data : hex(record_data(r), r->data_len));
}

struct json *dump_record(const struct record *r)
{
    struct json *o = js_object();

    js_set_int(js_set_int(o, "kind", r->kind), "len", r->len);
    js_set_text(o, "status", status_name(r->status));
    js_set_text(o, "error_class", class_name(r->error_class));
    js_set_int(js_set_int(o, "flags", r->flags), "attempt", r->attempt);
    js_set(o, "type", js_from_text(record_type(r), r->type_len));
    set_hash(o, "type_hash", r->type_hash);
    set_hash(o, "key_hash", r->key_hash);
    js_set_int(o, "time_us", (int64_t)r->time_us);
    js_set_int(o, r->kind == RECORD_OUTCOME ? "cause_block" : "deadline_us",
               (int64_t)r->deadline_us);
    set_id(o, "id", r->id);
    set_id(o, "cause", r->cause);
    js_set_int(js_set_int(o, "integration", r->integration), "cause_index",
               r->cause_index);
    js_set(o, "attributes", dump_map(record_attrs(r), r->attr_len));
    set_data(o, r);
    return o;
}

static struct json *dump_records(const void *bytes, size_t n)
{
    struct json *list = js_array();

    for (size_t at = 0; at < n;) {
        const struct record *r = (const void *)((const uint8_t *)bytes + at);
        js_push(list, dump_record(r));
        at += r->len;
    }
    return list;
}

struct json *dump_block(const struct block *b)
{
    return js_set(dump_fields(js_object(), block, b), "records",
                  dump_records(b + 1, b->len - sizeof(*b)));
}

/* --- frames --- */

static struct json *map_body(const struct message *m)
{
    return dump_map(message_body(m), m->body_len);
}

static struct json *records_body(const struct message *m)
{
    return dump_records(message_body(m), m->body_len);
}

static struct json *published_body(const struct message *m)
{
    const struct published *p = message_body(m);
    const struct verdict *verdicts = (const void *)(p + 1);
    struct json *list = js_array();

    for (uint32_t i = 0; i < p->verdicts; i++)
        js_push(list, dump_fields(js_object(), verdict, &verdicts[i]));
    return js_set(dump_fields(js_object(), published, p), "verdicts", list);
}

static struct json *credit_body(const struct message *m)
{
    return dump_fields(js_object(), credit, message_body(m));
}

static struct json *slices_body(const struct message *m)
{
    struct json *list = js_array();
    const struct slice *s = NULL;
    const struct record *r;
    const char *why;

    while ((s = message_slice(m, s, &r, &why)))
        js_push(list, js_set(dump_fields(js_object(), slice, s), "records",
                             dump_records(r, s->bytes)));
    return list;
}

static struct json *positions_body(const struct message *m)
{
    const struct wire_position *p = message_body(m);
    struct json *list = js_array();

    for (size_t i = 0; i < m->body_len / sizeof(*p); i++)
        js_push(list, dump_fields(js_object(), position, &p[i]));
    return list;
}

static struct json *number_body(const struct message *m)
{
    uint64_t number;

    memcpy(&number, message_body(m), sizeof(number));
    return js_from_int((int64_t)number);
}

static struct json *head_body(const struct message *m)
{
    return dump_fields(js_object(), log_head, message_body(m));
}

static struct json *block_body(const struct message *m)
{
    return dump_block(message_body(m));
}

static struct json *no_body(const struct message *m)
{
    (void)m;
    return js_null();
}

struct json *dump_frame(const struct message *m)
{
    static struct json *(*const bodies[])(const struct message *) = {
        [MSG_HELLO] = map_body,        [MSG_WELCOME] = map_body,
        [MSG_PUBLISH] = records_body,  [MSG_PUBLISHED] = published_body,
        [MSG_REFUSED] = map_body,      [MSG_SUBSCRIBE] = map_body,
        [MSG_CREDIT] = credit_body,    [MSG_DELIVER] = slices_body,
        [MSG_RESULT] = records_body,   [MSG_SETTLED] = no_body,
        [MSG_WAIT] = positions_body,   [MSG_OUTCOME] = slices_body,
        [MSG_REPLAY] = positions_body, [MSG_ADMIN] = map_body,
        [MSG_ANSWER] = map_body,       [MSG_PING] = positions_body,
        [MSG_PONG] = no_body,          [MSG_BYE] = map_body,
        [MSG_FENCE] = number_body,     [MSG_FENCED] = head_body,
        [MSG_APPEND] = block_body,     [MSG_COMMITTED] = head_body,
        [MSG_STALE] = number_body,     [MSG_FULL] = head_body,
        [MSG_KEEP] = number_body,
    };
    struct json *o = js_set_text(js_object(), "message", message_name(m->type));

    js_set_int(js_set_int(o, "type", m->type), "flags", m->flags);
    js_set_int(js_set_int(o, "count", m->count), "ref", (int64_t)m->ref);
    return js_set(o, "body", bodies[m->type](m));
}
