/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* replay - committed events for observers: from a position on, up to their credit, with
 * nothing to settle
 *
 * The same walk serves the past (read from the log) and what is committed while it goes
 * on. */
#include <string.h>

#include "broker/state.h"

enum {
    REPLAY_FRAMES = 4
}; /* to one observer in one turn, so that the others have theirs */

void replay_begin(struct core *core, struct session *session, const struct message *m)
{
    const struct wire_position *from = message_body(m);

    if (m->body_len < sizeof(*from) || session->group) {
        session_refuse(core, session->peer, m->ref, ERR_bad_frame,
                       "REPLAY needs a position, and a session that takes no deliveries",
                       0);
        return;
    }
    session->is_replaying = true;
    core->n_replaying++;
    session->replay = (struct position){from->block ? from->block : 1, from->index};
}

/* One slice of consecutive events from the observer's position; moves the position on.
 * Returns the events taken, 0 when the rest of the block has none. */
static uint32_t add_slice(struct core *core, struct session *session,
                          struct block_ref *ref, uint64_t room_events,
                          uint64_t room_bytes)
{
    const struct record *r = block_ref_record(ref, session->replay.index);
    struct slice slice = {.block = ref->block->number,
                          .attempt = 1,
                          .timestamp_us = ref->block->timestamp_us};

    while (r && !record_is_event(r)) {
        r = block_next(ref->block, r);
        session->replay.index++;
    }
    const struct record *first = r;
    slice.index = session->replay.index;
    for (; r && record_is_event(r) && slice.count < room_events;
         r = block_next(ref->block, r)) {
        if (slice.count > 0 && slice.bytes + r->len > room_bytes)
            break;
        slice.count++;
        slice.bytes += r->len;
    }
    if (slice.count == 0)
        return 0;
    buf_add(&core->frame, &slice, sizeof(slice));
    buf_add(&core->frame, first, slice.bytes);
    session->replay.index += slice.count;
    return slice.count;
}

/* Fill one DELIVER. Returns false when there is no more to send now. */
static bool send_some(struct core *core, struct session *session)
{
    uint32_t events = 0;

    message_begin(&core->frame, MSG_DELIVER, 0);
    while (session->replay.block <= core->applied && core->frame.len < CORE_DELIVER_MAX &&
           events < session->credit_events &&
           (int64_t)core->frame.len < session->credit_bytes) {
        struct block_ref *ref = cache_get(core, session->replay.block);
        if (!ref) {
            session->is_replaying = false;
            session_refuse(core, session->peer, 0, ERR_not_found,
                           "the log does not hold that block (any more)", 0);
            return false;
        }
        uint32_t n =
            add_slice(core, session, ref, (uint64_t)(session->credit_events - events),
                      CORE_DELIVER_MAX - core->frame.len);
        if (n == 0)
            session->replay = (struct position){session->replay.block + 1, 0};
        events += n;
        block_ref_drop(ref);
    }
    if (events == 0)
        return false;
    struct message *m = message_end(&core->frame);
    m->count = events;
    session->credit_events -= events;
    session->credit_bytes -= m->body_len;
    send_frame(core, session->peer);
    return true;
}

void replay_all(struct core *core)
{
    if (core->n_replaying == 0)
        return;
    core->n_replaying = 0;
    for (size_t i = 0; i < core->n_sessions; i++) {
        struct session *session = core->sessions[i];
        if (!session || !session->is_replaying)
            continue;
        core->n_replaying++;
        for (int frames = 0;
             frames < REPLAY_FRAMES && session->peer && session->is_replaying; frames++)
            if (!send_some(core, session))
                break;
    }
}
