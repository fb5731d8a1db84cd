/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/connector/stand.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connector/facts.h"
#include "cli/interrupt.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "proto/attrs.h"

enum { LEASE_MS = 30000, TURN_MS = 20 };

static void note(struct stand *stand, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct stand *stand, const char *format, ...)
{
    va_list args;

    if (*stand->problem)
        return;
    va_start(args, format);
    vsnprintf(stand->problem, sizeof(stand->problem), format, args);
    va_end(args);
}

/* --- saying --- */

static void say(struct stand *stand, enum message_type type, uint64_t ref,
                const struct buf *body, uint32_t count)
{
    struct buf frame = BUF_NULL;

    message_begin(&frame, type, ref);
    if (body && body->len)
        buf_add(&frame, body->bytes, body->len);
    message_end(&frame)->count = count;
    if (wire_send(stand->socket, &stand->peer, frame.bytes, frame.len) != WIRE_SENT)
        stand->is_joined = false; /* it is gone, or does not read: it has to come again */
    buf_fini(&frame);
}

static void welcome(struct stand *stand)
{
    static const uint8_t boot[16] = "a conformance ki"; /* the same for the whole kit */
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_int(&map, "version", MESSAGE_VERSION);
    attrs_named_bin(&map, "boot", boot, 16);
    attrs_named_int(&map, "window", WINDOW_BYTES_DEFAULT);
    attrs_named_int(&map, "lease_ms", LEASE_MS);
    attrs_named_int(&map, "ping_ms", STAND_PING_MS);
    attrs_named_int(&map, "last_batch", 0);
    attrs_named_bin(&map, "lost", "", 0);
    say(stand, MSG_WELCOME, 0, &map, 0);
    buf_fini(&map);
}

/* Who has left, or was told BYE, has to say HELLO first. */
static void refuse(struct stand *stand, uint64_t ref)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_text(&map, "code", error_info(ERR_not_joined)->name);
    attrs_named_text(&map, "detail", error_info(ERR_not_joined)->sentence);
    attrs_named_int(&map, "retry_after_ms", 0);
    say(stand, MSG_REFUSED, ref, &map, 0);
    buf_fini(&map);
}

/* --- hearing --- */

static int64_t map_int(const struct message *m, const char *name)
{
    struct attr_value value;

    return attrs_find_named(message_body(m), m->body_len, name, &value) &&
                   value.type == ATTR_IS_INT
               ? value.number
               : -1;
}

static void take_instance(struct stand *stand, const struct message *m)
{
    struct attr_value value;

    if (!attrs_find_named(message_body(m), m->body_len, "instance", &value) ||
        value.type != ATTR_IS_BIN || value.text_len != 16) {
        note(stand, "HELLO has no `instance` of 16 bytes");
        return;
    }
    stand->is_same_instance =
        stand->hellos > 0 && memcmp(stand->instance, value.text, 16) == 0;
    memcpy(stand->instance, value.text, 16);
}

static void take_manifest(struct stand *stand, const struct message *m)
{
    _free_ char *text = attrs_copy_named(message_body(m), m->body_len, "manifest");
    char error[120] = "there is none";

    js_free(stand->manifest);
    stand->manifest = text ? js_parse(text, strlen(text), error, sizeof(error)) : NULL;
    if (!js_is_object(stand->manifest))
        note(stand, "HELLO's `manifest` is not a JSON object: %s", error);
}

static void on_hello(struct stand *stand, const struct message *m)
{
    _free_ char *role = attrs_copy_named(message_body(m), m->body_len, "role");

    if (!role || strcmp(role, "connector") != 0)
        note(stand, "HELLO's `role` is %s; expected connector",
             role ? role : "not there");
    if (map_int(m, "version") != MESSAGE_VERSION)
        note(stand, "HELLO's `version` is not %d", MESSAGE_VERSION);
    free(stand->name);
    stand->name = attrs_copy_named(message_body(m), m->body_len, "name");
    if (!stand->name)
        note(stand, "HELLO has no `name`");
    take_instance(stand, m);
    take_manifest(stand, m);
    stand->hellos++;
    stand->is_joined = true;
    welcome(stand);
}

static void on_subscribe(struct stand *stand, const struct message *m)
{
    _free_ char *group = attrs_copy_named(message_body(m), m->body_len, "group");

    if (!group || !stand->name || strcmp(group, stand->name) != 0)
        note(stand, "SUBSCRIBE's `group` is not the name that HELLO gave");
    if (map_int(m, "credit_events") < 1 || map_int(m, "credit_bytes") < 1)
        note(stand, "SUBSCRIBE gives no credit (credit_events, credit_bytes)");
    stand->subscribes++;
}

static void on_ping(struct stand *stand, const struct message *m)
{
    if (m->body_len % sizeof(struct wire_position))
        note(stand, "PING's body is not a row of positions of 16 bytes");
    stand->pings++;
    say(stand, MSG_PONG, m->ref, NULL, 0);
}

static void on_result(struct stand *stand, const struct message *m)
{
    size_t offset;
    const char *why = NULL;
    char what[sizeof(stand->problem)];
    int n = record_count(message_body(m), m->body_len, &offset, &why);

    if (n < 1)
        note(stand, "RESULT's records are not well-formed: %s",
             why ? why : "there is none");
    buf_clear(&stand->result);
    buf_add(&stand->result, message_body(m), m->body_len);
    if (n > 0 && !facts_may_be_said(&stand->result, stand->manifest, stand->name, what,
                                    sizeof(what)))
        note(stand, "%s", what);
    stand->result_ref_before = stand->result_ref;
    stand->result_ref = m->ref;
    stand->results++;
    if (!stand->holds_settled)
        say(stand, MSG_SETTLED, m->ref, NULL, 0);
}

static void on_bye(struct stand *stand, const struct message *m)
{
    (void)m;
    stand->byes++;
    stand->is_joined = false;
}

static void on_other(struct stand *stand, const struct message *m)
{
    if (m->type == MSG_CREDIT)
        return;
    note(stand, "it says %s, which a connector has no need of here",
         message_name(m->type));
}

static void on_frame(void *user, const struct wire_peer *peer, const void *frame,
                     size_t n)
{
    static void (*const handlers[])(struct stand *, const struct message *) = {
        [MSG_HELLO] = on_hello, [MSG_SUBSCRIBE] = on_subscribe,
        [MSG_PING] = on_ping,   [MSG_RESULT] = on_result,
        [MSG_BYE] = on_bye,
    };
    struct stand *stand = user;
    const char *why;
    const struct message *m = message_check(frame, n, &why);

    if (!m) {
        note(stand, "a frame is not as specified: %s", why);
        return;
    }
    if (m->type == MSG_HELLO)
        stand->peer = *peer;
    else if (!wire_same_peer(peer, &stand->peer))
        return; /* of a connection that has been replaced */
    else if (!stand->is_joined && m->type != MSG_BYE) {
        refuse(stand, m->ref);
        return;
    }
    size_t known = sizeof(handlers) / sizeof(handlers[0]);
    (m->type < known && handlers[m->type] ? handlers[m->type] : on_other)(stand, m);
}

/* --- what the owner does --- */

bool stand_wait(struct stand *stand, const unsigned *what, unsigned above,
                uint64_t timeout_us)
{
    uint64_t end_us = loop_steady_us(stand->loop) + timeout_us;

    while (*what <= above && loop_steady_us(stand->loop) < end_us && !interrupt_came())
        loop_turn(stand->loop, TURN_MS);
    return *what > above;
}

static void event_id(const struct stand *stand, uint8_t ret_id[16])
{
    id_derive("conformance", stand->block, ret_id);
}

const uint8_t *stand_event_id(const struct stand *stand)
{
    static uint8_t id[16];

    event_id(stand, id);
    return id;
}

struct position stand_deliver(struct stand *stand, const struct stand_event *event)
{
    struct buf body = BUF_NULL, records = BUF_NULL;
    uint64_t now_us = loop_wall_us(stand->loop),
             committed_us = event->committed_us ? event->committed_us : now_us;

    stand->block += !event->is_again;
    record_add(&records,
               &(struct record_parts){
                   .kind = RECORD_REQUEST,
                   .flags = RECORD_JSON,
                   .type = event->type,
                   .id = stand_event_id(stand),
                   .key = event->key,
                   .time_us = committed_us,
                   .deadline_us = event->deadline_us,
                   .integration = integration_hash(stand->name ? stand->name : ""),
                   .data = event->data,
                   .data_len = event->data_len,
               });
    const struct slice slice = {.block = stand->block,
                                .count = 1,
                                .bytes = (uint32_t)records.len,
                                .attempt =
                                    (uint16_t)(event->attempt ? event->attempt : 1),
                                .flags = event->in_doubt ? SLICE_DOUBT : 0,
                                .timestamp_us = committed_us};
    buf_add(&body, &slice, sizeof(slice));
    buf_add(&body, records.bytes, records.len);
    say(stand, MSG_DELIVER, 0, &body, 1);
    buf_fini(&body);
    buf_fini(&records);
    return (struct position){stand->block, 0};
}

void stand_garbage(struct stand *stand)
{
    static const char bytes[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

    (void)wire_send(stand->socket, &stand->peer, bytes,
                    sizeof(bytes)); /* if it is gone, it has to come again all the same */
}

void stand_bye(struct stand *stand)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_text(&map, "reason", "the kit tries how it comes again");
    say(stand, MSG_BYE, 0, &map, 0);
    stand->is_joined = false;
    buf_fini(&map);
}

/* --- life --- */

int stand_open(struct stand *stand, struct loop *loop, const char *endpoint, char *error,
               size_t error_size)
{
    *stand = (struct stand){.loop = loop, .wire = wire_new(loop)};
    stand->socket = wire_open(stand->wire,
                              &(struct wire_options){.kind = WIRE_ROUTER,
                                                     .endpoint = endpoint,
                                                     .bind = true,
                                                     .check_uid = true,
                                                     .on_frame = on_frame,
                                                     .user = stand},
                              error, error_size);
    return stand->socket ? 0 : -1;
}

void stand_close(struct stand *stand)
{
    wire_close(stand->socket);
    wire_free(stand->wire);
    js_free(stand->manifest);
    free(stand->name);
    buf_fini(&stand->result);
    *stand = (struct stand){0};
}
