/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* session - who is on the bus: join, resume, take credit, leave, be lost */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

enum { SILENT_PINGS = 3 }; /* not heard for so many: a remote peer is probed */

struct session *session_by_peer(struct core *core, uint64_t peer)
{
    if (core->hot_session && core->hot_session->peer == peer)
        return core->hot_session;
    for (size_t i = 0; i < core->n_sessions; i++)
        if (core->sessions[i] && core->sessions[i]->peer == peer)
            return core->hot_session = core->sessions[i];
    return NULL;
}

void session_refuse(struct core *core, uint64_t peer, uint64_t ref, unsigned code,
                    const char *detail, uint32_t retry_after_ms)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_text(&map, "code", error_info(code)->name);
    attrs_named_text(&map, "detail",
                     detail && *detail ? detail : error_info(code)->sentence);
    attrs_named_int(&map, "retry_after_ms", retry_after_ms);
    message_begin(&core->frame, MSG_REFUSED, ref);
    buf_add(&core->frame, map.bytes, map.len);
    message_end(&core->frame);
    send_frame(core, peer);
    buf_fini(&map);
}

static void stage_member(struct core *core, const struct session *session, bool joined)
{
    struct control_session data = {
        .group = session->group->hash, .joined = joined, .pid = session->pid};
    struct record_parts parts = {.kind = RECORD_SESSION,
                                 .id = session->instance,
                                 .data = &data,
                                 .data_len = sizeof(data)};

    stage_parts(core, &parts, NULL);
}

void session_say(struct core *core, int id, const struct session *session,
                 const char *why)
{
    char text[200];

    snprintf(text, sizeof(text), "name=%s pid=%" PRIu64 "%s%s", session->name,
             session->pid, why ? " " : "", why ? why : "");
    core->ops->say(core->user, id, text);
}

void session_end(struct core *core, struct session *session, const char *why)
{
    session->peer = 0;
    retry_release(core, session, /* started_too= */ true);
    wait_forget(core, session);
    if (session->group)
        stage_member(core, session, false);
    session_say(core, LOG_SESSION_ENDED, session, why);
    if (core->hot_session == session)
        core->hot_session = NULL;
    core->sessions[session->index] = NULL;
    free(session->name);
    free(session);
}

/* --- messages --- */

enum { CREDIT_EVENTS_MAX = 1 << 20, CREDIT_BYTES_MAX = 1 << 30 }; /* more is cut to it */

static bool map_int(const struct message *m, const char *name, int64_t *ret)
{
    struct attr_value v;

    if (!attrs_find_named(message_body(m), m->body_len, name, &v) ||
        v.type != ATTR_IS_INT)
        return false;
    *ret = v.number;
    return true;
}

/* A peer on an encrypted link wants what its entry does not name. */
static void refuse_right(struct core *core, const struct session *session, uint64_t ref,
                         const char *what, const char *name)
{
    char detail[200];

    snprintf(detail, sizeof(detail), "%s%s", what, name);
    session_refuse(core, session->peer, ref, ERR_forbidden, detail, 0);
    refusal_note(core, REFUSAL_RIGHT, session->rights->name, detail);
}

static int64_t within(int64_t n, int64_t most)
{
    return n < 0 ? 0 : n > most ? most : n;
}

/* What it has, and what comes back when its results are committed, is part of it. */
static void set_credit(struct session *session, int64_t events, int64_t bytes)
{
    session->credit_events =
        within(events, CREDIT_EVENTS_MAX) - session->inflight - session->returning;
    session->credit_bytes = within(bytes, CREDIT_BYTES_MAX) -
                            (int64_t)(session->inflight_bytes + session->returning_bytes);
}

/* Is it in the log that the session takes this group's events? */
static bool is_member(const struct core *core, const struct session *session)
{
    for (size_t i = 0; i < core->n_members; i++)
        if (memcmp(core->members[i].instance, session->instance, 16) == 0)
            return core->members[i].group == session->group->hash;
    return false;
}

/* A new member's deliveries begin with a commit, that of its own SESSION at the latest: a
 * broker that is started anew then waits for it.  A known one's begin at once. */
static void on_subscribe(struct core *core, struct session *session,
                         const struct message *m)
{
    _free_ char *name = attrs_copy_named(message_body(m), m->body_len, "group");
    int64_t events = CREDIT_EVENTS_DEFAULT, bytes = CREDIT_BYTES_DEFAULT;
    struct group *group = name ? group_by_name(core, name) : NULL;

    if (!group || !group->is_configured) {
        session_refuse(core, session->peer, m->ref, ERR_no_group,
                       name ? name : "SUBSCRIBE needs `group`", 0);
        return;
    }
    if (group->is_handler ? session->role != ROLE_CONNECTOR || session->group != group
                          : session->role == ROLE_CONNECTOR) {
        session_refuse(core, session->peer, m->ref, ERR_bad_identity,
                       "this session may not join that group", 0);
        return;
    }
    if (!group->is_handler && !rights_may_join(session->rights, name)) {
        refuse_right(core, session, m->ref, "it may not take the events of group ", name);
        return;
    }
    if (session->group && session->group != group && session->inflight > 0) {
        session_refuse(core, session->peer, m->ref, ERR_bad_identity,
                       "settle what was delivered before joining another group", 0);
        return;
    }
    map_int(m, "credit_events", &events);
    map_int(m, "credit_bytes", &bytes);
    session->group = group;
    set_credit(session, events, bytes);
    bool is_known = is_member(core, session);
    stage_member(core, session, true);
    if (is_known)
        dispatch_now(core, group);
}

static void on_credit(struct core *core, struct session *session, const struct message *m)
{
    const struct credit *credit = message_body(m);

    if (m->body_len < sizeof(*credit))
        return;
    session->credit_events += credit->events;
    session->credit_bytes += credit->bytes;
    if (session->credit_events > CREDIT_EVENTS_MAX)
        session->credit_events = CREDIT_EVENTS_MAX;
    if (session->credit_bytes > CREDIT_BYTES_MAX)
        session->credit_bytes = CREDIT_BYTES_MAX;
    if (session->group)
        dispatch_now(core, session->group);
    if (session->is_replaying)
        replay_all(core);
}

static void on_ping(struct core *core, struct session *session, const struct message *m)
{
    const struct wire_position *p = message_body(m);

    for (size_t i = 0; i < m->body_len / sizeof(*p); i++) {
        struct slot *slot = session->group ? slot_find(session->group, p[i].block) : NULL;
        struct cell *cell = slot_look(slot, p[i].index);
        if (cell && cell->state == CELL_INFLIGHT && cell->session == session->index)
            cell->flags |= CELL_STARTED;
    }
    message_begin(&core->frame, MSG_PONG, m->ref);
    message_end(&core->frame);
    send_frame(core, session->peer);
}

static void on_wait(struct core *core, struct session *session, const struct message *m)
{
    const struct wire_position *p = message_body(m);

    if (m->body_len < sizeof(*p))
        session_refuse(core, session->peer, m->ref, ERR_bad_frame,
                       "WAIT needs a position", 0);
    else if (!rights_may_wait(core, session->rights,
                              (struct position){p->block, p->index}))
        refuse_right(core, session, m->ref,
                     "it may wait for those requests only that it may publish", "");
    else
        wait_add(core, session, (struct position){p->block, p->index}, m->ref, 0);
}

static void on_bye(struct core *core, struct session *session, const struct message *m)
{
    (void)m;
    session->is_leaving = true;
    session_end(core, session, "said goodbye");
}

static void on_admin(struct core *core, struct session *session, const struct message *m)
{
    if (session->rights)
        refuse_right(core, session, m->ref, "ADMIN is for peers on the broker's host",
                     "");
    else
        admin_command(core, session, m);
}

static void on_replay(struct core *core, struct session *session, const struct message *m)
{
    if (session->rights && !session->rights->may_observe)
        refuse_right(core, session, m->ref, "its entry does not let it observe the log",
                     "");
    else
        replay_begin(core, session, m);
}

typedef void (*message_fn)(struct core *core, struct session *session,
                           const struct message *m);
static const message_fn by_type[] = {
    [MSG_PUBLISH] = accept_publish, [MSG_SUBSCRIBE] = on_subscribe,
    [MSG_CREDIT] = on_credit,       [MSG_RESULT] = settle_result,
    [MSG_WAIT] = on_wait,           [MSG_ADMIN] = on_admin,
    [MSG_PING] = on_ping,           [MSG_BYE] = on_bye,
    [MSG_REPLAY] = on_replay,
};

void session_frame(struct core *core, const struct core_sender *sender,
                   const struct message *m)
{
    struct session *session = session_by_peer(core, sender->peer);

    if (m->type == MSG_HELLO) {
        hello(core, sender, m);
        return;
    }
    if (!session) {
        session_refuse(core, sender->peer, m->ref, ERR_not_joined, NULL, 0);
        return;
    }
    session->heard_us = core->steady_us;
    if (m->type < sizeof(by_type) / sizeof(*by_type) && by_type[m->type])
        by_type[m->type](core, session, m);
    else
        session_refuse(core, sender->peer, m->ref, ERR_bad_frame,
                       "a message of this type is not for the broker", 0);
}

void core_gone(struct core *core, uint64_t peer)
{
    struct session *session = session_by_peer(core, peer);

    if (!session)
        return;
    if (session->pid && !core->ops->alive(core->user, session->pid)) {
        session_end(core, session, "its process is gone");
        return;
    }
    session->peer = 0; /* it may come back until its lease ends */
    if (core->hot_session == session)
        core->hot_session = NULL;
    retry_release(core, session, /* started_too= */ false);
}

/* Members of the broker's former life whose process is known to be gone are not waited
 * for. */
static void former_sweep(struct core *core)
{
    for (size_t i = 0; i < core->n_members; i++) {
        struct member *member = &core->members[i];
        bool may_come = core->steady_us < core->started_us + CORE_LEASE_US &&
                        (!member->pid || core->ops->alive(core->user, member->pid));
        if (!member->is_former || may_come)
            continue;
        struct control_session data = {.group = member->group, .pid = member->pid};
        struct record_parts parts = {.kind = RECORD_SESSION,
                                     .id = member->instance,
                                     .data = &data,
                                     .data_len = sizeof(data)};
        stage_parts(core, &parts, NULL);
        member->is_former = false;
        members_release(core);
    }
}

/* A peer on another host whose line is cut says nothing, and nothing says so: send it
 * something, so that the shell finds the connection gone once its heartbeats are missed.
 */
static void probe(struct core *core, const struct session *session)
{
    message_begin(&core->frame, MSG_PONG, 0);
    message_end(&core->frame);
    send_frame(core, session->peer);
}

void session_sweep(struct core *core)
{
    for (size_t i = 0; i < core->n_sessions; i++) {
        struct session *session = core->sessions[i];
        if (!session)
            continue;
        if (session->heard_us + CORE_LEASE_US <= core->steady_us)
            session_end(core, session, "was silent for the length of a lease");
        else if (session->heard_us + CORE_PING_US * 3 / 2 <= core->steady_us &&
                 session->pid && !core->ops->alive(core->user, session->pid))
            session_end(core, session, "its process is gone");
        else if (session->rights && session->peer &&
                 session->heard_us + SILENT_PINGS * CORE_PING_US <= core->steady_us)
            probe(core, session);
    }
    former_sweep(core);
}
