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

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/sdk/outbox.h"
#include "lib/sdk/table.h"
#include "lib/sdk/waits.h"
#include "lib/wire/wire.h"
#include "proto/attrs.h"
#include "proto/control.h"

enum {
    HELLO_AGAIN_US = 1000000, /* without an answer; the socket may have reached a broker
                                 that was dying */
    REOPEN_US = 1000000,      /* after a frame that makes no sense, or BYE */
    PING_MS_DEFAULT = 2000,
    PING_MS_MIN = 10,
    SILENT_PINGS_MAX = 3, /* unanswered; then the connection is made anew */
    RUNNING_MAX =
        200000, /* positions in a HELLO or PING: with 16 bytes each they fit a frame */
};

/* Refs that are not batch numbers. */
#define REF_WAIT      (UINT64_C(1) << 63)
#define REF_ADMIN     (UINT64_C(1) << 62)
#define REF_SUBSCRIBE (UINT64_C(1) << 61)
#define REF_REPLAY    (UINT64_C(1) << 60)

enum state { DOWN, JOINING, JOINED, REJECTED };

struct peer {
    struct loop *loop;
    struct wire *wire;
    struct wire_socket *socket;
    struct peer_options options; /* texts are ours */
    uint8_t instance[16];
    enum state state;
    bool is_linked, is_full; /* the transport is up; a send said AGAIN */
    bool must_subscribe, must_replay, is_replaying;
    struct loop_timer *timer;     /* DOWN: reopen; JOINING: HELLO again; JOINED: ping */
    struct loop_timer *subscribe; /* a refused subscription is tried again */
    unsigned silent_pings;
    uint32_t ping_ms;
    uint64_t window, unanswered,
        outstanding; /* bytes: allowed; of all unanswered PUBLISHes; of those sent here */
    struct outbox batches, admins;
    struct waits waits;
    struct table started;
    struct position replay;
    struct buf frame, map; /* scratch */
};

/* Call one of the user's callbacks, if there is one. */
#define TELL(peer, callback, ...)                                                        \
    do {                                                                                 \
        if ((peer)->options.callback)                                                    \
            (peer)->options.callback(__VA_ARGS__);                                       \
    } while (0)

static void down(struct peer *peer, uint64_t reopen_us);

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

static int send_credit(struct peer *peer, uint32_t events, uint32_t bytes)
{
    struct credit body = {.events = events, .bytes = bytes};

    message_begin(&peer->frame, MSG_CREDIT, 0);
    buf_add(&peer->frame, &body, sizeof(body));
    return send_scratch(peer);
}

/* --- what runs here --- */

/* Call fn for every position that a record of a RESULT settles. */
static void each_settled(const struct record *r,
                         void (*fn)(void *user, uint64_t block, uint32_t index),
                         void *user)
{
    if (r->kind == RECORD_OUTCOME) {
        fn(user, r->cause_block, r->cause_index);
    } else if (r->kind == RECORD_RETRY && r->data_len >= sizeof(struct control_retry)) {
        struct control_retry retry;
        memcpy(&retry, record_data(r), sizeof(retry));
        fn(user, retry.block, retry.index);
    } else if (r->kind == RECORD_ACK && r->data_len >= sizeof(struct control_ack)) {
        struct control_ack ack;
        memcpy(&ack, record_data(r), sizeof(ack));
        for (uint32_t i = 0; i < ack.count; i++)
            fn(user, ack.block, ack.first + i);
    }
}

static void each_record(const void *records, size_t n,
                        void (*fn)(void *user, uint64_t block, uint32_t index),
                        void *user)
{
    const uint8_t *end = (const uint8_t *)records + n;

    for (const struct record *r = records; (const uint8_t *)r < end; r = record_after(r))
        each_settled(r, fn, user);
}

static void add_running(void *user, uint64_t block, uint32_t index)
{
    struct wire_position position = {.block = block, .index = index};
    struct buf *out = user;

    if (out->len < RUNNING_MAX * sizeof(position))
        buf_add(out, &position, sizeof(position));
}

static void add_started(const struct peer *peer, struct buf *out)
{
    const struct table_cell *cell;
    size_t at = 0;

    while ((cell = table_next(&peer->started, &at)))
        add_running(out, cell->a, cell->b);
}

static int compare_positions(const void *left, const void *right)
{
    const struct wire_position *a = left, *b = right;

    if (a->block != b->block)
        return a->block < b->block ? -1 : 1;
    return a->index < b->index ? -1 : a->index > b->index;
}

/* What the broker must not give to others: what is started, and what is done but not yet
 * answered. In ascending order. */
static void collect_running(const struct peer *peer, struct buf *out)
{
    add_started(peer, out);
    for (uint64_t number = peer->batches.first; number < peer->batches.next; number++) {
        struct frame *frame = outbox_get(&peer->batches, number);
        if (frame && frame->header.type == MSG_RESULT)
            each_record(&frame->header + 1, frame->header.body_len, add_running, out);
    }
    if (out->len)
        qsort(out->bytes, out->len / sizeof(struct wire_position),
              sizeof(struct wire_position), compare_positions);
}

/* --- joining --- */

static void hello(struct peer *peer)
{
    const struct peer_options *o = &peer->options;
    struct buf running = BUF_NULL;

    collect_running(peer, &running);
    attrs_begin(&peer->map);
    attrs_named_int(&peer->map, "version", MESSAGE_VERSION);
    attrs_named_text(&peer->map, "role", o->role);
    attrs_named_text(&peer->map, "name", o->name);
    attrs_named_bin(&peer->map, "instance", peer->instance, sizeof(peer->instance));
    attrs_named_int(&peer->map, "pid", getpid());
    attrs_named_text(&peer->map, "key", o->key);
    attrs_named_text(&peer->map, "manifest", o->manifest);
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
        send_credit(peer, o->credit_events ? o->credit_events : CREDIT_EVENTS_DEFAULT,
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

static void flush(struct peer *peer)
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
        down(peer, 1);
        return;
    }
    message_begin(&peer->frame, MSG_PING, 0);
    add_started(peer, &peer->frame);
    (void)send_scratch(
        peer); /* a pipe that stays full ends in the silence counted above */
    loop_timer_in(peer->timer, peer->ping_ms * 1000u);
}

/* --- the connection --- */

static void on_frame(void *user, const struct wire_peer *from, const void *bytes,
                     size_t n);

static void on_link(void *user, bool is_up)
{
    struct peer *peer = user;

    peer->is_linked = is_up;
    peer->is_full = false;
    if (peer->state == REJECTED)
        return;
    if (is_up)
        hello(peer);
    else
        down(peer, 0);
}

static void on_writable(void *user)
{
    struct peer *peer = user;

    bool was_full = peer->is_full;
    peer->is_full = false;
    if (was_full && peer->state == JOINING)
        hello(peer);
    flush(peer);
}

static int open_socket(struct peer *peer, char *error, size_t error_size)
{
    struct wire_options options = {
        .kind = WIRE_DEALER,
        .endpoint = peer->options.endpoint,
        .on_frame = on_frame,
        .on_link = on_link,
        .on_writable = on_writable,
        .user = peer,
    };

    peer->is_linked = false;
    peer->is_full = false;
    peer->socket = wire_open(peer->wire, &options, error, error_size);
    return peer->socket ? 0 : -1;
}

/* The session is over; with reopen_us the socket is made anew after that time, else it
 * reconnects by itself. */
static void down(struct peer *peer, uint64_t reopen_us)
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
        hello(peer);
    } else if (peer->state != REJECTED) {
        down(peer, 0);
        wire_close(peer->socket);
        if (open_socket(
                peer, error,
                sizeof(error))) /* it was usable before: no descriptors left, say */
            loop_timer_in(peer->timer, REOPEN_US);
    }
}

static void subscribe_again(void *user)
{
    struct peer *peer = user;

    peer->must_subscribe = true;
    flush(peer);
}

/* --- what the broker says --- */

static int64_t map_int(const struct message *m, const char *name, int64_t otherwise)
{
    struct attr_value value;

    if (!attrs_find_named(message_body(m), m->body_len, name, &value) ||
        value.type != ATTR_IS_INT)
        return otherwise;
    return value.number;
}

static void tell_lost(struct peer *peer, const struct message *m)
{
    struct wire_position lost;
    struct attr_value value;

    if (!attrs_find_named(message_body(m), m->body_len, "lost", &value) ||
        value.type != ATTR_IS_BIN)
        return;
    for (size_t at = 0; at + sizeof(lost) <= value.text_len; at += sizeof(lost)) {
        memcpy(&lost, value.text + at, sizeof(lost));
        if (table_drop(&peer->started, lost.block, lost.index))
            TELL(peer, on_lost, peer->options.user,
                 (struct position){lost.block, lost.index});
    }
}

static void on_welcome(struct peer *peer, const struct message *m)
{
    if (peer->state != JOINING)
        return; /* of a HELLO that was sent twice: what was said since stands behind both
                 */
    int64_t window = map_int(m, "window", WINDOW_BYTES_DEFAULT);
    int64_t ping_ms = map_int(m, "ping_ms", PING_MS_DEFAULT);
    peer->state = JOINED;
    peer->window = window < 0 ? 0 : (uint64_t)window;
    peer->ping_ms = ping_ms < PING_MS_MIN ? PING_MS_MIN
                    : ping_ms > 60000     ? 60000
                                          : (uint32_t)ping_ms;
    peer->silent_pings = 0;
    peer->outstanding = 0;
    peer->must_subscribe = peer->options.group != NULL;
    peer->must_replay = peer->is_replaying;
    outbox_rewind(&peer->batches);
    outbox_rewind(&peer->admins);
    waits_rewind(&peer->waits);
    loop_timer_in(peer->timer, peer->ping_ms * 1000u);
    tell_lost(peer, m);
    flush(peer);
    TELL(peer, on_joined, peer->options.user);
}

/* A batch is answered: give its bytes back to the window. The frame lives until
 * forget_batch. */
static void forget_batch(struct peer *peer, const struct frame *frame)
{
    uint32_t bytes = frame->header.type == MSG_PUBLISH ? frame->header.body_len : 0;

    peer->unanswered -= bytes;
    peer->outstanding -= peer->outstanding < bytes ? peer->outstanding : bytes;
    outbox_drop(&peer->batches, frame->header.ref);
}

static bool is_left_out(const struct verdict *verdicts, uint32_t n, uint32_t event)
{
    for (uint32_t i = 0; i < n; i++)
        if (verdicts[i].index == event)
            return true;
    return false;
}

/* The broker will send the outcomes of this batch by itself; after a reconnect they must
 * be asked for. */
static void remember_waits(struct peer *peer, const struct frame *frame,
                           const struct published *published,
                           const struct verdict *verdicts)
{
    const struct record *r = (const struct record *)(&frame->header + 1);
    const uint8_t *end = (const uint8_t *)r + frame->header.body_len;
    uint32_t index = published->first, event = 0, keys = 0;

    for (; (const uint8_t *)r < end; r = record_after(r)) {
        if (!record_is_event(r)) {
            keys++; /* stored with its event or not at all */
            continue;
        }
        bool is_stored = !is_left_out(verdicts, published->verdicts, event);
        index += is_stored ? keys : 0;
        struct wait wait = {.request = {published->block, index},
                            .ref = frame->header.ref,
                            .index = event,
                            .is_of_batch = true,
                            .is_sent = true};
        if (is_stored && r->kind == RECORD_REQUEST)
            waits_add(&peer->waits, &wait);
        index += is_stored;
        event++;
        keys = 0;
    }
}

static void on_published(struct peer *peer, const struct message *m)
{
    const struct published *published = message_body(m);
    struct frame *frame = outbox_get(&peer->batches, m->ref);

    if (!frame || frame->header.type != MSG_PUBLISH)
        return; /* answered before */
    if (m->body_len < sizeof(*published) ||
        published->verdicts >
            (m->body_len - sizeof(*published)) / sizeof(struct verdict)) {
        down(peer, REOPEN_US);
        return;
    }
    const struct verdict *verdicts = (const struct verdict *)(published + 1);
    if ((frame->header.flags & MESSAGE_WANTS_OUTCOME) && published->block)
        remember_waits(peer, frame, published, verdicts);
    forget_batch(peer, frame);
    TELL(peer, on_published, peer->options.user, m->ref, published, verdicts,
         published->verdicts);
    flush(peer);
}

static void on_settled(struct peer *peer, const struct message *m)
{
    struct frame *frame = outbox_get(&peer->batches, m->ref);

    if (!frame || frame->header.type != MSG_RESULT)
        return;
    forget_batch(peer, frame);
    TELL(peer, on_settled, peer->options.user, m->ref);
}

static void on_deliver(struct peer *peer, const struct message *m)
{
    if (peer->is_replaying && !peer->options.group) {
        const struct slice *slice = NULL;
        const struct record *records;
        const char *why;
        while ((slice = message_slice(m, slice, &records, &why)))
            peer->replay = (struct position){slice->block, slice->index + slice->count};
        if (send_credit(peer, m->count, m->body_len) != WIRE_SENT)
            peer->must_replay =
                true; /* the pipe is full: start anew from here, with new credit */
    }
    TELL(peer, on_deliver, peer->options.user, m);
}

static void on_outcome(struct peer *peer, const struct message *m)
{
    bool is_asked = m->ref & REF_WAIT;
    struct wait *wait = is_asked ? waits_take_number(&peer->waits, m->ref & ~REF_WAIT)
                                 : waits_take_batch(&peer->waits, m->ref, m->count);
    const struct record *outcome;
    const char *why;
    const struct slice *slice = message_slice(m, NULL, &outcome, &why);

    if (wait && slice && slice->count == 1)
        TELL(peer, on_outcome, peer->options.user, wait->ref, wait->index, slice,
             outcome);
    else if (wait)
        down(peer, REOPEN_US);
    free(wait);
}

static void on_answer(struct peer *peer, const struct message *m)
{
    _free_ char *json = attrs_copy_named(message_body(m), m->body_len, "body");
    struct attr_value ok;

    if (!(m->ref & REF_ADMIN) || !outbox_get(&peer->admins, m->ref & ~REF_ADMIN))
        return;
    outbox_drop(&peer->admins, m->ref & ~REF_ADMIN);
    bool is_ok = attrs_find_named(message_body(m), m->body_len, "ok", &ok) && ok.number;
    TELL(peer, on_answer, peer->options.user, m->ref, is_ok, json ? json : "null");
}

/* --- refusals --- */

struct refusal {
    unsigned code;
    const char *detail;
    uint32_t retry_after_ms;
};

static void hello_refused(struct peer *peer, const struct refusal *why)
{
    if (why->retry_after_ms) {
        loop_timer_in(peer->timer, why->retry_after_ms * UINT64_C(1000));
        return;
    }
    peer->state = REJECTED;
    loop_timer_stop(peer->timer);
    TELL(peer, on_rejected, peer->options.user, why->code, why->detail);
}

static void subscribe_refused(struct peer *peer, const struct refusal *why)
{
    if (why->retry_after_ms)
        loop_timer_in(peer->subscribe, why->retry_after_ms * UINT64_C(1000));
    else
        TELL(peer, on_rejected, peer->options.user, why->code, why->detail);
}

static void admin_refused(struct peer *peer, uint64_t ref, const struct refusal *why)
{
    struct json *json = js_set_text(js_object(), "code", error_info(why->code)->name);
    struct buf text = BUF_NULL;

    js_write(js_set_text(json, "detail", why->detail), 0, &text);
    js_free(json);
    outbox_drop(&peer->admins, ref & ~REF_ADMIN);
    TELL(peer, on_answer, peer->options.user, ref, false, buf_str(&text));
    buf_fini(&text);
}

static void wait_refused(struct peer *peer, struct wait *wait, const struct refusal *why)
{
    if (wait)
        TELL(peer, on_refused, peer->options.user, wait->ref, why->code, why->detail,
             why->retry_after_ms);
    free(wait);
}

static void batch_refused(struct peer *peer, uint64_t number, const struct refusal *why)
{
    struct frame *frame = outbox_get(&peer->batches, number);

    if (frame)
        forget_batch(peer, frame);
    else
        free(waits_take_batch(&peer->waits, number,
                              0)); /* committed, but there is nothing to wait for */
    TELL(peer, on_refused, peer->options.user, number, why->code, why->detail,
         why->retry_after_ms);
    flush(peer);
}

static void on_refused(struct peer *peer, const struct message *m)
{
    _free_ char *code = attrs_copy_named(message_body(m), m->body_len, "code");
    _free_ char *detail = attrs_copy_named(message_body(m), m->body_len, "detail");
    int64_t retry_ms = map_int(m, "retry_after_ms", 0);
    struct refusal why = {
        .code = code ? error_find(code, strlen(code)) : 0,
        .retry_after_ms = retry_ms < 0         ? 0
                          : retry_ms > 3600000 ? 3600000
                                               : (uint32_t)retry_ms,
    };

    why.detail = detail ? detail : error_info(why.code)->sentence;
    if (why.code == ERR_not_joined) { /* whatever it was about: the broker does not know
                                         us any more */
        if (peer->state == JOINED) {
            down(peer, 0);
            hello(peer);
        }
    } else if (m->ref == 0 && peer->state == JOINING) {
        hello_refused(peer, &why);
    } else if (m->ref & REF_WAIT) {
        wait_refused(peer, waits_take_number(&peer->waits, m->ref & ~REF_WAIT), &why);
    } else if (m->ref & REF_ADMIN) {
        if (outbox_get(&peer->admins, m->ref & ~REF_ADMIN))
            admin_refused(peer, m->ref, &why);
    } else if (m->ref == REF_SUBSCRIBE) {
        subscribe_refused(peer, &why);
    } else {
        batch_refused(peer, m->ref, &why);
    }
}

static void on_bye(struct peer *peer, const struct message *m)
{
    (void)m;
    down(peer, REOPEN_US);
}

static void on_frame(void *user, const struct wire_peer *from, const void *bytes,
                     size_t n)
{
    static void (*const handlers[])(struct peer * peer, const struct message *m) = {
        [MSG_WELCOME] = on_welcome, [MSG_PUBLISHED] = on_published,
        [MSG_REFUSED] = on_refused, [MSG_DELIVER] = on_deliver,
        [MSG_SETTLED] = on_settled, [MSG_OUTCOME] = on_outcome,
        [MSG_ANSWER] = on_answer,   [MSG_BYE] = on_bye,
    };
    struct peer *peer = user;
    const char *why;
    const struct message *m = message_check(bytes, n, &why);

    (void)from;
    if (!m) { /* whatever answers there is not our broker */
        down(peer, REOPEN_US);
        return;
    }
    peer->silent_pings = 0;
    bool is_for_all = m->type == MSG_WELCOME || m->type == MSG_REFUSED;
    if (m->type < sizeof(handlers) / sizeof(*handlers) && handlers[m->type] &&
        (peer->state == JOINED || (peer->state == JOINING && is_for_all)))
        handlers[m->type](peer, m);
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
    flush(peer);
    return number;
}

static void drop_started(void *user, uint64_t block, uint32_t index)
{
    table_drop(user, block, index);
}

uint64_t peer_result(struct peer *peer, const void *records, size_t n)
{
    assert(n > 0 && n <= RECORD_GROUP_MAX);
    struct frame *frame =
        outbox_add(&peer->batches, MSG_RESULT, 0, count_events(records, n),
                   /* ref_bits= */ 0, records, n);
    uint64_t number = frame->header.ref;
    if (peer->started.len)
        each_record(records, n, drop_started, &peer->started);
    flush(peer);
    return number;
}

void peer_started(struct peer *peer, struct position position)
{
    table_put(&peer->started, position.block, position.index, 1);
}

void peer_wait(struct peer *peer, struct position request, uint64_t ref)
{
    struct wait wait = {.request = request, .ref = ref};

    waits_add(&peer->waits, &wait);
    flush(peer);
}

uint64_t peer_admin(struct peer *peer, const char *command, const char *args_json)
{
    attrs_begin(&peer->map);
    attrs_named_text(&peer->map, "command", command);
    attrs_named_text(&peer->map, "args", args_json ? args_json : "{}");
    struct frame *frame = outbox_add(&peer->admins, MSG_ADMIN, 0, 0, REF_ADMIN,
                                     peer->map.bytes, peer->map.len);
    uint64_t ref = frame->header.ref;
    flush(peer);
    return ref;
}

void peer_replay(struct peer *peer, struct position from)
{
    peer->replay = from;
    peer->is_replaying = peer->must_replay = true;
    flush(peer);
}
