/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/wire/wire.h"
#include "proto/attrs.h"
#include "proto/block.h"

enum {
    COUNTERS = 4096,
    SUBSCRIPTIONS_MAX = 4096
}; /* more subscriptions than that: everything is published */

struct counter {
    uint64_t type_hash, seq;
};

struct live {
    struct live_options options; /* its callbacks */
    struct wire_socket *socket;
    char **prefixes; /* what is subscribed to, as libzmq matches it: by prefix */
    size_t n_prefixes;
    struct counter counters[COUNTERS]; /* by hash; a collision shares a counter, which
                                          only shows as a false gap */
    struct buf map;
};

static void drop_prefix(struct live *live, const char *prefix, size_t n)
{
    for (size_t i = 0; i < live->n_prefixes; i++)
        if (strlen(live->prefixes[i]) == n && memcmp(live->prefixes[i], prefix, n) == 0) {
            free(live->prefixes[i]);
            live->prefixes[i] = live->prefixes[--live->n_prefixes];
            return;
        }
}

/* XPUB passes up the first subscription to a prefix and the last one's end. */
static void on_subscription(void *user, const struct wire_peer *peer, const void *frame,
                            size_t n)
{
    struct live *live = user;
    const char *bytes = frame;

    (void)peer;
    if (n < 1 || n > RECORD_TYPE_MAX + 1)
        return;
    if (bytes[0] == 0) {
        drop_prefix(live, bytes + 1, n - 1);
    } else if (live->n_prefixes < SUBSCRIPTIONS_MAX) {
        live->prefixes =
            mem_resize(live->prefixes, (live->n_prefixes + 1) * sizeof(*live->prefixes));
        live->prefixes[live->n_prefixes++] = mem_copy(bytes + 1, n - 1);
    }
}

static bool admit(void *user, const char *key, const char *address)
{
    const struct live_options *o = &((struct live *)user)->options;

    return o->admit && o->admit(o->user, key, address);
}

static void failed(void *user, const char *why)
{
    const struct live_options *o = &((struct live *)user)->options;

    if (o->on_failed)
        o->on_failed(o->user, why);
}

struct live *live_new(struct wire *wire, const struct live_options *with, char *error,
                      size_t error_size)
{
    struct live *live = mem_alloc(sizeof(*live));
    struct wire_options options = {.kind = WIRE_XPUB,
                                   .endpoint = with->endpoint,
                                   .bind = true,
                                   .check_uid = true,
                                   .hwm = 10000,
                                   .on_frame = on_subscription,
                                   .admit = admit,
                                   .on_failed = failed,
                                   .user = live};

    live->options = *with;
    live->socket = wire_open(wire, &options, error, error_size);
    if (live->socket && (!with->tcp_endpoint ||
                         wire_listen(live->socket, with->tcp_endpoint,
                                     &(struct wire_curve){.secret_key = with->secret_key},
                                     error, error_size) == 0))
        return live;
    wire_close(live->socket);
    free(live);
    return NULL;
}

void live_free(struct live *live)
{
    if (!live)
        return;
    wire_close(live->socket);
    for (size_t i = 0; i < live->n_prefixes; i++)
        free(live->prefixes[i]);
    free(live->prefixes);
    buf_fini(&live->map);
    free(live);
}

static bool is_wanted(const struct live *live, const struct record *r)
{
    for (size_t i = 0; i < live->n_prefixes; i++) {
        size_t n = strlen(live->prefixes[i]);
        if (n <= r->type_len && memcmp(live->prefixes[i], record_type(r), n) == 0)
            return true;
    }
    return false;
}

static bool add_member(void *user, const struct attr_value *v)
{
    struct buf *map = user;
    char name[64];

    if (v->attr == ATTR_ID || v->attr == ATTR_CAUSE_TEXT)
        return true; /* they are there by these names already */
    if (v->attr && attr_name(v->attr))
        snprintf(name, sizeof(name), "%s", attr_name(v->attr));
    else if (v->name && v->name_len < sizeof(name))
        snprintf(name, sizeof(name), "%.*s", (int)v->name_len, v->name);
    else
        return true;
    if (v->type == ATTR_IS_INT) {
        attrs_named_int(map, name, v->number);
    } else if (v->type == ATTR_IS_BOOL) {
        attrs_named_bool(map, name, v->number);
    } else {
        _free_ char *text = mem_copy(v->text, v->text_len);
        attrs_named_text(map, name, text);
    }
    return true;
}

/* The cause, by the id that people know it by. */
static void add_cause(struct live *live, const struct record *r)
{
    char text[ID_TEXT_SIZE];
    _free_ char *foreign = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_CAUSE_TEXT);

    id_format(r->cause, text);
    if (foreign || !id_is_zero(r->cause))
        attrs_named_text(&live->map, "cause", foreign ? foreign : text);
}

static void publish(struct live *live, const struct block *block, const struct record *r,
                    uint32_t index)
{
    struct counter *counter = &live->counters[r->type_hash % COUNTERS];
    _free_ char *type = mem_copy(record_type(r), r->type_len);
    _free_ char *id = record_id_text(r);
    char time[TEXT_TIME_SIZE];
    const char *why;

    text_time(block->timestamp_us, time);
    attrs_begin(&live->map);
    attrs_named_text(&live->map, "id", id);
    attrs_named_text(&live->map, "type", type);
    attrs_named_text(&live->map, "kind", kind_name(r->kind));
    attrs_named_text(&live->map, "status", status_name(r->status));
    attrs_named_text(&live->map, "timestamp", time);
    if (r->error_class)
        attrs_named_text(&live->map, "error_class", class_name(r->error_class));
    add_cause(live, r);
    attrs_named_int(&live->map, "seq", (int64_t)++counter->seq);
    attrs_named_int(&live->map, "block", (int64_t)block->number);
    attrs_named_int(&live->map, "index", index);
    attrs_walk(record_attrs(r), r->attr_len, add_member, &live->map, &why);
    attrs_named_bin(&live->map, "data", record_data(r), r->data_len);
    wire_publish(live->socket, type, r->type_len, live->map.bytes, live->map.len);
}

void live_block(struct live *live, const struct block *block)
{
    uint32_t index = 0;

    if (!live || live->n_prefixes == 0 || block->count == 0)
        return;
    for (const struct record *r = block_first(block); r;
         r = block_next(block, r), index++)
        if (record_is_event(r) && is_wanted(live, r))
            publish(live, block, r, index);
}
