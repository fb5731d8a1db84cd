/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the broker says. A frame that cannot be right ends the connection: whatever
 * answers there is not our broker. An answer to something that is answered already is no
 * error: after a reconnect everything is asked twice. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer_state.h"
#include "lib/wire/wire.h"
#include "proto/attrs.h"

enum {
    PING_MS_DEFAULT = 2000,
    PING_MS_MIN = 10,
};

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
    peer_flush(peer);
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
        peer_down(peer, REOPEN_US);
        return;
    }
    const struct verdict *verdicts = (const struct verdict *)(published + 1);
    if ((frame->header.flags & MESSAGE_WANTS_OUTCOME) && published->block)
        remember_waits(peer, frame, published, verdicts);
    forget_batch(peer, frame);
    TELL(peer, on_published, peer->options.user, m->ref, published, verdicts,
         published->verdicts);
    peer_flush(peer);
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
        if (peer_credit(peer, m->count, m->body_len) != WIRE_SENT)
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
        peer_down(peer, REOPEN_US);
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
    peer_flush(peer);
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
            peer_down(peer, 0);
            peer_hello(peer);
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
    peer_down(peer, REOPEN_US);
}

void peer_hear(struct peer *peer, const void *bytes, size_t n)
{
    static void (*const handlers[])(struct peer * peer, const struct message *m) = {
        [MSG_WELCOME] = on_welcome, [MSG_PUBLISHED] = on_published,
        [MSG_REFUSED] = on_refused, [MSG_DELIVER] = on_deliver,
        [MSG_SETTLED] = on_settled, [MSG_OUTCOME] = on_outcome,
        [MSG_ANSWER] = on_answer,   [MSG_BYE] = on_bye,
    };
    const char *why;
    const struct message *m = message_check(bytes, n, &why);

    if (!m) { /* whatever answers there is not our broker */
        peer_down(peer, REOPEN_US);
        return;
    }
    peer->silent_pings = 0;
    bool is_for_all = m->type == MSG_WELCOME || m->type == MSG_REFUSED;
    if (m->type < sizeof(handlers) / sizeof(*handlers) && handlers[m->type] &&
        (peer->state == JOINED || (peer->state == JOINING && is_for_all)))
        handlers[m->type](peer, m);
}
