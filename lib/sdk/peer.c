/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Three states matter: down (no connection, or nothing heard), joining (HELLO is out),
 * joined.  Whatever the user hands in is put into an outbox and goes out as soon as
 * state, window and pipe allow; it stays there until the broker answers, and every
 * WELCOME starts the outbox from its oldest unanswered frame again.  So a reconnect, a
 * restarted broker and a full pipe are one case, and batches go out in the order of their
 * numbers, which is what the broker recognises them by. */
#include "lib/sdk/peer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer_state.h"
#include "lib/sdk/running.h"
#include "lib/wire/wire.h"
#include "proto/attrs.h"

enum {
    HELLO_AGAIN_US =
        1000000,          /* unanswered: it may have reached a broker that was dying */
    SILENT_PINGS_MAX = 3, /* unanswered: the connection is made anew */
};

/* --- small frames --- */

/* Send what is in peer->frame. */
static int send_scratch(struct peer *peer)
{
    message_end(&peer->frame);
    int result = wire_send(peer->socket, NULL, peer->frame.bytes, peer->frame.len);
    peer->is_full = result != WIRE_SENT;
    return result;
}

static int send_map(struct peer *peer, enum message_type type, uint64_t ref)
{
    message_begin(&peer->frame, type, ref);
    buf_add(&peer->frame, peer->map.bytes, peer->map.len);
    return send_scratch(peer);
}

static int send_position(struct peer *peer, enum message_type type, uint64_t ref,
                         struct position position)
{
    struct wire_position body = {.block = position.block, .index = position.index};

    message_begin(&peer->frame, type, ref);
    buf_add(&peer->frame, &body, sizeof(body));
    return send_scratch(peer);
}

int peer_credit(struct peer *peer, uint32_t events, uint32_t bytes)
{
    struct credit body = {.events = events, .bytes = bytes};

    message_begin(&peer->frame, MSG_CREDIT, 0);
    buf_add(&peer->frame, &body, sizeof(body));
    return send_scratch(peer);
}

/* --- joining --- */

void peer_hello(struct peer *peer)
{
    const struct peer_options *o = &peer->options;
    struct buf running = BUF_NULL;

    running_all(&peer->started, &peer->batches, &running);
    attrs_begin(&peer->map);
    attrs_named_int(&peer->map, "version", MESSAGE_VERSION);
    attrs_named_text(&peer->map, "role", o->role);
    attrs_named_text(&peer->map, "name", o->name);
    attrs_named_bin(&peer->map, "instance", peer->instance, sizeof(peer->instance));
    attrs_named_int(&peer->map, "pid", getpid());
    attrs_named_text(&peer->map, "key", o->key);
    attrs_named_text(&peer->map, "manifest", o->manifest);
    attrs_named_text(&peer->map, "group", o->group);
    attrs_named_int(&peer->map, "batch", (int64_t)peer->batches.next - 1);
    attrs_named_bin(&peer->map, "running", running.bytes ? running.bytes : peer->instance,
                    running.len);
    buf_fini(&running);
    peer->state = JOINING;
    loop_timer_in(peer->timer, HELLO_AGAIN_US);
    (void)send_map(
        peer, MSG_HELLO,
        0); /* when the pipe is full, or the link just went: on_writable or the timer */
}

static int send_subscribe(struct peer *peer)
{
    const struct peer_options *o = &peer->options;

    attrs_begin(&peer->map);
    attrs_named_text(&peer->map, "group", o->group);
    attrs_named_int(&peer->map, "credit_events",
                    o->credit_events ? o->credit_events : CREDIT_EVENTS_DEFAULT);
    attrs_named_int(&peer->map, "credit_bytes",
                    o->credit_bytes ? o->credit_bytes : CREDIT_BYTES_DEFAULT);
    return send_map(peer, MSG_SUBSCRIBE, REF_SUBSCRIBE);
}

static int send_replay(struct peer *peer)
{
    const struct peer_options *o = &peer->options;
    int result =
        peer_credit(peer, o->credit_events ? o->credit_events : CREDIT_EVENTS_DEFAULT,
                    o->credit_bytes ? o->credit_bytes : CREDIT_BYTES_DEFAULT);

    return result ? result : send_position(peer, MSG_REPLAY, REF_REPLAY, peer->replay);
}

/* Everything of an outbox that may go; publishes only as far as the window reaches. */
static void flush_outbox(struct peer *peer, struct outbox *outbox)
{
    struct frame *frame;

    while (!peer->is_full && (frame = outbox_unsent(outbox))) {
        uint32_t bytes = frame->header.type == MSG_PUBLISH ? frame->header.body_len : 0;
        if (bytes && peer->outstanding && peer->outstanding + bytes > peer->window)
            return;
        if (frame_send(frame, peer->socket) != WIRE_SENT) {
            peer->is_full = true;
            return;
        }
        peer->outstanding += bytes;
        outbox_sent(outbox);
    }
}

static void flush_waits(struct peer *peer)
{
    struct wait *wait;
    size_t at = 0;

    while (!peer->is_full && (wait = waits_unsent(&peer->waits, &at)))
        if (send_position(peer, MSG_WAIT, REF_WAIT | wait->number, wait->request) ==
            WIRE_SENT)
            waits_sent(&peer->waits, wait);
}

void peer_flush(struct peer *peer)
{
    if (peer->state != JOINED || peer->is_full)
        return;
    if (peer->must_subscribe)
        peer->must_subscribe = send_subscribe(peer) != WIRE_SENT;
    if (peer->must_replay && !peer->is_full)
        peer->must_replay = send_replay(peer) != WIRE_SENT;
    flush_outbox(peer, &peer->batches);
    flush_outbox(peer, &peer->admins);
    flush_waits(peer);
}

static void ping(struct peer *peer)
{
    if (peer->silent_pings++ >= SILENT_PINGS_MAX) {
        peer_down(peer, 1);
        return;
    }
    message_begin(&peer->frame, MSG_PING, 0);
    running_started(&peer->started, &peer->frame);
    (void)send_scratch(
        peer); /* a pipe that stays full ends in the silence counted above */
    loop_timer_in(peer->timer, peer->ping_ms * 1000u);
}

/* --- the connection --- */

static void on_frame(void *user, const struct wire_peer *from, const void *bytes,
                     size_t n)
{
    (void)from;
    peer_hear(user, bytes, n);
}

static void on_link(void *user, bool is_up)
{
    struct peer *peer = user;

    peer->is_full = false;
    if (peer->state == REJECTED)
        return;
    if (is_up)
        peer_hello(peer);
    else if (peer->state != DOWN)
        peer_down(peer, 0);
}

static void on_failed(void *user, const char *why)
{
    struct peer *peer = user;

    if (peer->state == REJECTED)
        return;
    peer_down(peer, REOPEN_US);
    TELL(peer, on_kept_out, peer->options.user, why);
}

static void on_writable(void *user)
{
    struct peer *peer = user;

    bool was_full = peer->is_full;
    peer->is_full = false;
    if (was_full && peer->state == JOINING)
        peer_hello(peer);
    peer_flush(peer);
}

static int open_socket(struct peer *peer, char *error, size_t error_size)
{
    struct wire_options options = {
        .kind = WIRE_DEALER,
        .endpoint = peer->options.endpoint,
        .curve = {peer->options.secret_key, peer->options.server_key},
        .on_frame = on_frame,
        .on_link = on_link,
        .on_failed = on_failed,
        .on_writable = on_writable,
        .user = peer,
    };

    peer->is_full = false;
    peer->socket = wire_open(peer->wire, &options, error, error_size);
    return peer->socket ? 0 : -1;
}

void peer_down(struct peer *peer, uint64_t reopen_us)
{
    bool was_joined = peer->state == JOINED;

    peer->state = DOWN;
    peer->silent_pings = 0;
    loop_timer_stop(peer->subscribe);
    loop_timer_stop(peer->timer);
    if (reopen_us)
        loop_timer_in(peer->timer, reopen_us);
    if (was_joined)
        TELL(peer, on_down, peer->options.user);
}

static void on_timer(void *user)
{
    struct peer *peer = user;
    char error[256];

    if (peer->state == JOINED) {
        ping(peer);
    } else if (peer->state == JOINING && peer->silent_pings++ < SILENT_PINGS_MAX) {
        peer_hello(peer);
    } else if (peer->state != REJECTED) {
        peer_down(peer, 0);
        wire_close(peer->socket);
        if (open_socket(peer, error, sizeof(error))) /* no descriptors left, say */
            loop_timer_in(peer->timer, REOPEN_US);
    }
}

static void subscribe_again(void *user)
{
    struct peer *peer = user;

    peer->must_subscribe = true;
    peer_flush(peer);
}

/* --- life --- */

struct peer *peer_new(struct loop *loop, struct wire *wire,
                      const struct peer_options *options, char *error, size_t error_size)
{
    struct peer *peer = mem_alloc(sizeof(*peer));
    struct peer_options *o = &peer->options;

    peer->loop = loop;
    peer->wire = wire;
    *o = *options;
    o->endpoint = mem_text(options->endpoint);
    o->role = mem_text(options->role);
    o->name = mem_text(options->name);
    o->key = mem_text(options->key);
    o->secret_key = mem_text(options->secret_key);
    o->server_key = mem_text(options->server_key);
    o->group = mem_text(options->group);
    o->manifest = mem_text(options->manifest);
    id_random(peer->instance, sizeof(peer->instance));
    peer->window = WINDOW_BYTES_DEFAULT;
    peer->timer = loop_timer_new(loop, on_timer, peer);
    peer->subscribe = loop_timer_new(loop, subscribe_again, peer);
    outbox_init(&peer->batches);
    outbox_init(&peer->admins);
    if (open_socket(peer, error, error_size)) {
        peer_free(peer);
        return NULL;
    }
    return peer;
}

static void free_text(const char *text)
{
    free((char *)(uintptr_t)text);
}

void peer_free(struct peer *peer)
{
    if (!peer)
        return;
    if (peer->state == JOINED) {
        attrs_begin(&peer->map);
        attrs_named_text(&peer->map, "reason", "closing");
        (void)send_map(peer, MSG_BYE, 0); /* unsaid, the lease ends it */
    }
    wire_close_gently(peer->socket);
    loop_timer_free(peer->timer);
    loop_timer_free(peer->subscribe);
    outbox_fini(&peer->batches);
    outbox_fini(&peer->admins);
    waits_fini(&peer->waits);
    table_fini(&peer->started);
    buf_fini(&peer->frame);
    buf_fini(&peer->map);
    free_text(peer->options.endpoint);
    free_text(peer->options.role);
    free_text(peer->options.name);
    if (peer->options.key)
        explicit_bzero((char *)(uintptr_t)peer->options.key, strlen(peer->options.key));
    free_text(peer->options.key);
    if (peer->options.secret_key)
        explicit_bzero((char *)(uintptr_t)peer->options.secret_key,
                       strlen(peer->options.secret_key));
    free_text(peer->options.secret_key);
    free_text(peer->options.server_key);
    free_text(peer->options.group);
    free_text(peer->options.manifest);
    free(peer);
}

bool peer_is_joined(const struct peer *peer)
{
    return peer->state == JOINED;
}

/* --- what the user asks --- */

static uint32_t count_events(const void *records, size_t n)
{
    const uint8_t *end = (const uint8_t *)records + n;
    uint32_t events = 0;

    for (const struct record *r = records; (const uint8_t *)r < end;
         r = record_after(r)) {
        assert(r->len >= sizeof(*r) && r->len <= (size_t)(end - (const uint8_t *)r));
        events += record_is_event(r);
    }
    return events;
}

size_t peer_window(const struct peer *peer)
{
    return peer->unanswered < peer->window ? peer->window - peer->unanswered : 0;
}

uint64_t peer_publish(struct peer *peer, const void *records, size_t n, bool wait)
{
    assert(n > 0 && n <= RECORD_GROUP_MAX);
    if (n > peer_window(peer))
        return 0;
    struct frame *frame =
        outbox_add(&peer->batches, MSG_PUBLISH, wait ? MESSAGE_WANTS_OUTCOME : 0,
                   count_events(records, n), /* ref_bits= */ 0, records, n);
    uint64_t number = frame->header.ref;
    peer->unanswered += n;
    peer_flush(peer);
    return number;
}

uint64_t peer_result(struct peer *peer, const void *records, size_t n)
{
    assert(n > 0 && n <= RECORD_GROUP_MAX);
    struct frame *frame =
        outbox_add(&peer->batches, MSG_RESULT, 0, count_events(records, n),
                   /* ref_bits= */ 0, records, n);
    uint64_t number = frame->header.ref;
    running_settle(&peer->started, records, n);
    peer_flush(peer);
    return number;
}

void peer_subscribe(struct peer *peer, const char *group, uint32_t credit_events)
{
    free_text(peer->options.group);
    peer->options.group = mem_text(group);
    if (credit_events)
        peer->options.credit_events = credit_events;
    peer->must_subscribe = true;
    peer_flush(peer);
}

void peer_started(struct peer *peer, struct position position)
{
    table_put(&peer->started, position.block, position.index, 1);
}

void peer_wait(struct peer *peer, struct position request, uint64_t ref)
{
    struct wait wait = {.request = request, .ref = ref};

    waits_add(&peer->waits, &wait);
    peer_flush(peer);
}

uint64_t peer_admin(struct peer *peer, const char *command, const char *args_json)
{
    attrs_begin(&peer->map);
    attrs_named_text(&peer->map, "command", command);
    attrs_named_text(&peer->map, "args", args_json ? args_json : "{}");
    struct frame *frame = outbox_add(&peer->admins, MSG_ADMIN, 0, 0, REF_ADMIN,
                                     peer->map.bytes, peer->map.len);
    uint64_t ref = frame->header.ref;
    peer_flush(peer);
    return ref;
}

void peer_replay(struct peer *peer, struct position from)
{
    peer->replay = from;
    peer->is_replaying = peer->must_replay = true;
    peer_flush(peer);
}
