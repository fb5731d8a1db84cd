/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* admin - what the operator asks the broker: status, pause, resume */
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

static void answer(struct core *core, struct session *session, uint64_t ref, bool ok,
                   const struct json *body)
{
    struct buf map = BUF_NULL, text = BUF_NULL;

    js_write(body, 0, &text);
    attrs_begin(&map);
    attrs_named_bool(&map, "ok", ok);
    attrs_named_text(&map, "body", buf_str(&text));
    message_begin(&core->frame, MSG_ANSWER, ref);
    buf_add(&core->frame, map.bytes, map.len);
    message_end(&core->frame);
    send_frame(core, session->peer);
    buf_fini(&map);
    buf_fini(&text);
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
    js_set_int(js_set_bool(o, "ordered", group->is_ordered), "parked",
               group->lanes.n_waiting);
    js_set_int(o, "waiting", (int64_t)(group_unsettled(group) - group->lanes.n_waiting));
    js_set_int(js_set_int(o, "sessions", sessions), "oldest_block",
               group->first_slot < group->n_slots
                   ? (int64_t)group->slots[group->first_slot].block
                   : 0);
    js_set_int(js_set_int(o, "success", (int64_t)group->settled_success), "failed",
               (int64_t)group->settled_failed);
    for (size_t i = 0; i < group->n_schedules; i++) {
        const struct schedule *s = &group->schedules[i];
        struct json *one = js_object();
        js_set_text(js_set_text(one, "operation", s->operation), "cursor", s->cursor);
        js_set_int(js_set_int(one, "last_due_us", (int64_t)s->last_due_us), "every_us",
                   (int64_t)s->every_us);
        js_push(schedules, js_set_bool(one, "running", s->pending.block != 0));
    }
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
        js_push(sessions, one);
    }
    js_set_int(js_set_int(o, "block", (int64_t)core->applied), "term",
               (int64_t)core->term);
    js_set_int(js_set_int(o, "requests", (int64_t)core->requests_total), "facts",
               (int64_t)core->facts_total);
    js_set_int(o, "outcomes", (int64_t)core->outcomes_total);
    js_set_bool(o, "full", core->head.is_full);
    js_set_int(js_set_int(o, "staged_bytes", (int64_t)core->staged_bytes), "waiters",
               (int64_t)core->n_waiters);
    js_set_int(o, "cached_bytes", (int64_t)core->cache_bytes);
    js_set_int(o, "spare_bytes", (int64_t)core->head.spare_bytes);
    const char *pinned_by;
    js_set_int(o, "keep_from", (int64_t)core_keep_from(core, &pinned_by));
    js_set_text(o, "pinned_by", pinned_by);
    return js_set(js_set(o, "groups", groups), "sessions", sessions);
}

static struct json *problem(const char *text)
{
    return js_set_text(js_object(), "error", text);
}

static bool set_paused(struct core *core, const struct json *args, const char *actor,
                       bool paused, struct json **ret)
{
    const char *name = js_text(args, "integration", NULL);
    struct group *group = name ? group_by_name(core, name) : NULL;
    struct buf attrs = BUF_NULL, text = BUF_NULL;

    if (!group) {
        *ret = problem("there is no integration or group of this name");
        return false;
    }
    struct json *data = js_set_text(js_object(), "name", name);
    js_write(data, 0, &text);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ACTOR, actor);
    struct record_parts parts = {.kind = RECORD_NOTE,
                                 .type =
                                     paused ? "signalbox.paused" : "signalbox.resumed",
                                 .integration = group->hash,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = text.bytes,
                                 .data_len = text.len};
    stage_parts(core, &parts, NULL);
    buf_fini(&attrs);
    buf_fini(&text);
    js_free(data);
    *ret = js_set_bool(js_object(), "paused", paused);
    return true;
}

void admin_command(struct core *core, struct session *session, const struct message *m)
{
    _free_ char *command = attrs_copy_named(message_body(m), m->body_len, "command");
    _free_ char *text = attrs_copy_named(message_body(m), m->body_len, "args");
    char error[128];
    struct json *args = text ? js_parse(text, strlen(text), error, sizeof(error)) : NULL;
    struct json *body = NULL;
    bool ok = true;

    if (command && strcmp(command, "status") == 0)
        body = core_status(core);
    else if (command && strcmp(command, "pause") == 0)
        ok = set_paused(core, args, session->name, true, &body);
    else if (command && strcmp(command, "resume") == 0)
        ok = set_paused(core, args, session->name, false, &body);
    else
        ok = false, body = problem("the commands are status, pause and resume");
    answer(core, session, m->ref, ok, body);
    js_free(body);
    js_free(args);
}
