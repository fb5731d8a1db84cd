/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* admin - what the operator asks the broker: its status, and acts that are recorded */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "proto/attrs.h"

enum {
    ACTOR_MAX = 200,   /* bytes of an actor's name; a longer one is cut */
    REASON_MAX = 1000, /* of a pause; a longer one is refused */
};

void admin_answer(struct core *core, const struct session *session, uint64_t ref, bool ok,
                  const char *body)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_bool(&map, "ok", ok);
    attrs_named_text(&map, "body", body);
    message_begin(&core->frame, MSG_ANSWER, ref);
    buf_add(&core->frame, map.bytes, map.len);
    message_end(&core->frame);
    send_frame(core, session->peer);
    buf_fini(&map);
}

static uint64_t group_open(const struct group *group)
{
    uint64_t open = 0;

    for (size_t i = group->first_slot; i < group->n_slots; i++)
        open += group->slots[i].open;
    return open;
}

static struct json *group_status(const struct core *core, const struct group *group)
{
    struct json *o = js_object(), *schedules = js_array();
    unsigned sessions = 0;

    for (size_t i = 0; i < core->n_sessions; i++)
        sessions += core->sessions[i] && core->sessions[i]->group == group;
    js_set_text(o, "name", group->name);
    js_set_text(o, "kind", group->is_handler ? "integration" : "group");
    js_set_text(js_set_text(o, "connector", group->connector), "service", group->service);
    js_set_bool(js_set_bool(o, "paused", group->is_paused), "configured",
                group->is_configured);
    js_set_int(js_set_int(o, "pending", (int64_t)group_open(group)), "inflight",
               group->inflight);
    js_set_int(o, "cells", (int64_t)group->n_cells);
    js_set_int(js_set_bool(o, "ordered", group->is_ordered), "parked",
               group->lanes.n_waiting);
    if (group->pause) {
        char error[64];
        js_set(o, "pause",
               js_parse(group->pause, strlen(group->pause), error, sizeof(error)));
    }
    js_set_int(o, "waiting", (int64_t)group_unsettled(group));
    js_set_int(js_set_int(o, "sessions", sessions), "oldest_block",
               group->first_slot < group->n_slots
                   ? (int64_t)group->slots[group->first_slot].block
                   : 0);
    js_set_int(js_set_int(o, "success", (int64_t)group->settled_success), "failed",
               (int64_t)group->settled_failed);
    for (size_t i = 0; i < group->n_schedules; i++) {
        struct schedule *s = &group->schedules[i];
        struct json *one = js_set_text(js_object(), "when", s->when);
        js_set_text(js_set_text(one, "operation", s->operation), "cursor", s->cursor);
        js_set_int(js_set_int(one, "last_due_us", (int64_t)s->last_due_us), "every_us",
                   (int64_t)s->every_us);
        js_set_bool(js_set_bool(one, "configured", s->is_configured), "owed", s->is_owed);
        if (s->is_configured && s->staged_due_us)
            js_set_int(one, "next_due_us", (int64_t)schedule_next_due(s));
        js_push(schedules, js_set_bool(one, "running", s->pending.block != 0));
    }
    gate_status(core, group, o);
    if (group->n_used)
        js_set(o, "secrets", used_status(group));
    return js_set(o, "schedules", schedules);
}

struct json *core_status(const struct core *core)
{
    struct json *o = js_object(), *groups = js_array(), *sessions = js_array();

    for (size_t i = 0; i < core->n_groups; i++)
        js_push(groups, group_status(core, core->groups[i]));
    for (size_t i = 0; i < core->n_sessions; i++) {
        const struct session *session = core->sessions[i];
        static const char *const roles[] = {"none", "gateway", "connector", "client"};
        if (!session)
            continue;
        struct json *one = js_object();
        js_set_text(js_set_text(one, "name", session->name), "role",
                    roles[session->role]);
        js_set_int(js_set_int(one, "pid", (int64_t)session->pid), "inflight",
                   session->inflight);
        js_set_bool(js_set_int(one, "credit", session->credit_events), "connected",
                    session->peer != 0);
        js_set_text(one, "peer", session->rights ? session->rights->name : NULL);
        js_push(sessions, one);
    }
    js_set_int(js_set_int(o, "block", (int64_t)core->applied), "term",
               (int64_t)core->term);
    js_set_int(js_set_int(o, "requests", (int64_t)core->requests_total), "facts",
               (int64_t)core->facts_total);
    js_set_int(o, "outcomes", (int64_t)core->outcomes_total);
    js_set_bool(js_set_bool(o, "full", core->head.is_full), "short", core->room <= 0);
    js_set_int(js_set_int(o, "staged_bytes", (int64_t)core->staged_bytes), "waiters",
               (int64_t)core->n_waiters);
    js_set_int(js_set_int(o, "cached_bytes", (int64_t)core->cache_bytes), "keys",
               (int64_t)core->n_keys);
    js_set_int(o, "spare_bytes", (int64_t)core->head.spare_bytes);
    const char *pinned_by;
    js_set_int(o, "keep_from", (int64_t)core_keep_from(core, &pinned_by));
    js_set_text(o, "pinned_by", pinned_by);
    js_set(o, "refused", refusals_status(core));
    return js_set(js_set(o, "groups", groups), "sessions", sessions);
}

/* --- acts: what a person asks for, recorded with who it was --- */

void act_refuse(struct act *act, const char *format, ...)
{
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    js_free(act->body);
    act->body = js_set_text(js_object(), "error", text);
    act->is_refused = true;
}

void act_stage(struct core *core, struct act *act, const char *type, uint32_t integration,
               const uint8_t *cause, const struct json *data)
{
    struct buf attrs = BUF_NULL, text = BUF_NULL;
    uint8_t id[16];

    id_new(core->wall_us, id);
    js_write(data, 0, &text);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SOURCE, "signalbox");
    attrs_text(&attrs, ATTR_ACTOR, act->actor);
    struct record_parts parts = {.kind = RECORD_FACT,
                                 .flags = RECORD_JSON | RECORD_BY_BROKER,
                                 .type = type,
                                 .id = id,
                                 .cause = cause,
                                 .time_us = core->wall_us,
                                 .integration = integration,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = text.bytes,
                                 .data_len = text.len};
    stage_parts(core, &parts, NULL);
    act->is_staged = true;
    buf_fini(&attrs);
    buf_fini(&text);
}

const struct record *act_event(struct core *core, const struct json *where,
                               struct block_ref **ret_block, struct position *ret_at,
                               const char **ret_why)
{
    int64_t block = js_int(where, "block", 0), index = js_int(where, "index", -1);
    uint8_t id[16];

    *ret_why = "an event is named by `block`, `index` and `id`";
    if (block < 1 || index < 0 || index > UINT32_MAX ||
        !id_parse(js_text(where, "id", ""), id))
        return NULL;
    *ret_at = (struct position){(uint64_t)block, (uint32_t)index};
    *ret_block = ret_at->block <= core->applied ? cache_get(core, ret_at->block) : NULL;
    const struct record *r =
        *ret_block ? block_ref_record(*ret_block, ret_at->index) : NULL;
    if (r && record_is_event(r) && memcmp(r->id, id, 16) == 0)
        return r;
    *ret_why =
        *ret_block ? "another event stands there" : "it is not in the log any more";
    block_ref_drop(*ret_block);
    *ret_block = NULL;
    return NULL;
}

/* --- pause and resume --- */

static void stage_pause(struct core *core, struct act *act, const struct group *group,
                        bool paused)
{
    char since[TEXT_TIME_SIZE];
    struct json *data = js_set_text(js_object(), "name", group->name);

    text_time(core->wall_us, since);
    js_set_text(js_set_text(data, "since", since), "actor", act->actor);
    js_set_text(data, "reason", js_text(act->args, "reason", NULL));
    act_stage(core, act, paused ? "signalbox.paused" : "signalbox.resumed", group->hash,
              NULL, data);
    js_free(data);
}

static void set_paused(struct core *core, struct act *act, bool paused)
{
    const char *name = js_text(act->args, "integration", NULL);
    struct json *names = js_array();

    for (size_t i = 0; i < core->n_groups; i++) {
        const struct group *group = core->groups[i];
        if (name ? strcmp(group->name, name) != 0
                 : !group->is_handler || !group->is_configured)
            continue;
        js_push(names, js_from_text(group->name, strlen(group->name)));
        if (group->is_paused != paused)
            stage_pause(core, act, group, paused);
    }
    act->body = js_set(js_set_bool(js_object(), "paused", paused), "integrations", names);
    if (name && js_count(names) == 0)
        act_refuse(act, "there is no integration or group `%.64s`", name);
}

static void pause(struct core *core, struct act *act)
{
    if (strlen(js_text(act->args, "reason", "")) > REASON_MAX)
        act_refuse(act, "a reason is at most %d bytes long", REASON_MAX);
    else
        set_paused(core, act, true);
}

static void resume(struct core *core, struct act *act)
{
    set_paused(core, act, false);
}

/* --- the commands --- */

static void status(struct core *core, struct act *act)
{
    act->body = core_status(core);
}

static const struct command {
    const char *name;
    bool acts; /* a person's or a token's: not a connector's to say */
    bool adds; /* to what is accepted: refused while the log is full */
    void (*run)(struct core *core, struct act *act);
} commands[] = {
    {"status", false, false, status}, {"pause", true, false, pause},
    {"resume", true, false, resume},  {"cancel", true, false, cancel},
    {"redrive", true, true, redrive}, {"resolve", true, true, resolve},
    {"test", true, true, tested},     {"secret", false, true, used},
};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static void run(struct core *core, const struct session *session, const char *name,
                struct act *act)
{
    struct buf known = BUF_NULL;

    for (size_t i = 0; i < N_COMMANDS; i++) {
        const struct command *c = &commands[i];
        buf_format(&known, "%s%s", i ? ", " : "", c->name);
        if (!name || strcmp(c->name, name) != 0)
            continue;
        if (c->acts && session->role == ROLE_CONNECTOR)
            act_refuse(act, "a connector may not %s", name);
        else if (c->adds && core->head.is_full)
            act_refuse(act, "the log has no room for more intake");
        else
            c->run(core, act);
        buf_fini(&known);
        return;
    }
    act_refuse(act, "there is no such command; the commands are %s", buf_str(&known));
    buf_fini(&known);
}

static void answer(struct core *core, struct session *session, uint64_t ref,
                   const struct act *act)
{
    struct buf text = BUF_NULL;

    js_write(act->body, 0, &text);
    if (act->is_staged) {
        struct reply *reply = stage_reply(core, session);
        reply->number = ref;
        reply->answer = mem_copy(text.bytes, text.len);
    } else {
        admin_answer(core, session, ref, !act->is_refused, buf_str(&text));
    }
    buf_fini(&text);
}

void admin_command(struct core *core, struct session *session, const struct message *m)
{
    _free_ char *command = attrs_copy_named(message_body(m), m->body_len, "command");
    _free_ char *text = attrs_copy_named(message_body(m), m->body_len, "args");
    char error[128];
    struct json *args = text ? js_parse(text, strlen(text), error, sizeof(error)) : NULL;
    _free_ char *actor =
        mem_format("%.*s", ACTOR_MAX, js_text(args, "actor", session->name));
    struct act act = {.args = args, .actor = actor, .session = session};

    run(core, session, command, &act);
    answer(core, session, m->ref, &act);
    js_free(act.body);
    js_free(args);
}
