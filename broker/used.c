/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/used.h"

#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/mem.h"
#include "proto/used.h"

/* --- what is known of a group --- */

static struct used *find(const struct group *group, const char *use, const char *secret,
                         int64_t version)
{
    for (size_t i = 0; i < group->n_used; i++) {
        struct used *u = &group->used[i];
        if (u->version == version && strcmp(u->use, use) == 0 &&
            strcmp(u->secret, secret) == 0)
            return u;
    }
    return NULL;
}

static struct used *unused_longest(const struct group *group)
{
    struct used *oldest = &group->used[0];

    for (size_t i = 1; i < group->n_used; i++)
        if (group->used[i].last_us < oldest->last_us)
            oldest = &group->used[i];
    return oldest;
}

static struct used *get(struct group *group, const char *use, const char *secret,
                        int64_t version)
{
    struct used *u = find(group, use, secret, version);

    if (u)
        return u;
    if (group->n_used < USED_MAX) {
        group->used = mem_resize(group->used, (group->n_used + 1) * sizeof(*group->used));
        u = &group->used[group->n_used++];
    } else {
        u = unused_longest(group);
        free(u->use);
        free(u->secret);
    }
    *u = (struct used){
        .use = mem_text(use), .secret = mem_text(secret), .version = version};
    return u;
}

void used_fini(struct group *group)
{
    for (size_t i = 0; i < group->n_used; i++) {
        free(group->used[i].use);
        free(group->used[i].secret);
    }
    free(group->used);
}

/* --- to the log and from it --- */

static struct json *one_json(const char *use, const char *secret, int64_t version,
                             uint64_t first_us, uint64_t last_us)
{
    struct json *o = js_set_text(js_object(), "use", use);

    js_set_int(js_set_text(o, "secret", secret), "version", version);
    return js_set_int(js_set_int(o, "first_us", (int64_t)first_us), "last_us",
                      (int64_t)last_us);
}

static struct json *entry_json(const struct used *u)
{
    return one_json(u->use, u->secret, u->version, u->first_us, u->last_us);
}

/* Takes data over. */
static void stage_note(struct core *core, const struct group *group, struct json *data)
{
    struct buf text = BUF_NULL;

    js_write(js_set_text(data, "name", group->name), 0, &text);
    struct record_parts parts = {.kind = RECORD_NOTE,
                                 .type = USED_TYPE,
                                 .integration = group->hash,
                                 .data = text.bytes,
                                 .data_len = text.len};
    stage_parts(core, &parts, NULL);
    buf_fini(&text);
    js_free(data);
}

void used_noted(struct group *group, const struct json *data)
{
    const char *use = js_text(data, "use", NULL), *secret = js_text(data, "secret", NULL);
    uint64_t first_us = (uint64_t)js_int(data, "first_us", 0),
             last_us = (uint64_t)js_int(data, "last_us", 0);

    if (!use || !secret)
        return;
    struct used *u = get(group, use, secret, js_int(data, "version", 0));
    if (!u->first_us || first_us < u->first_us)
        u->first_us = first_us;
    if (last_us > u->last_us)
        u->last_us = last_us;
}

void used_checkpoint(struct core *core, const struct group *group)
{
    for (size_t i = 0; i < group->n_used; i++)
        stage_note(core, group, entry_json(&group->used[i]));
}

struct json *used_status(const struct group *group)
{
    struct json *all = js_array();

    for (size_t i = 0; i < group->n_used; i++)
        js_push(all, entry_json(&group->used[i]));
    return all;
}

/* --- the command --- */

static bool is_young(const struct core *core, uint64_t at_us)
{
    return at_us && at_us <= core->wall_us && core->wall_us - at_us < USED_EVERY_US;
}

static void stage(struct core *core, struct act *act, struct group *group,
                  const char *use, const char *secret, int64_t version)
{
    struct used *known = find(group, use, secret, version);

    act->body = js_set_text(js_object(), "integration", group->name);
    if (known && (is_young(core, known->last_us) || is_young(core, known->staged_us)))
        return;
    stage_note(core, group,
               one_json(use, secret, version, known ? known->first_us : core->wall_us,
                        core->wall_us));
    if (known)
        known->staged_us = core->wall_us;
    act->is_staged = true;
}

/* A connector speaks for its own integration only. */
static bool may_say(const struct session *session, const struct group *group)
{
    return session->role == ROLE_GATEWAY ||
           (session->role == ROLE_CONNECTOR && session->integration == group->hash);
}

void used(struct core *core, struct act *act)
{
    const char *name = js_text(act->args, "integration", "");
    const char *use = js_text(act->args, "use", ""),
               *secret = js_text(act->args, "secret", "");
    int64_t version = js_int(act->args, "version", 0);
    struct group *group = group_find(core, integration_hash(name));

    if (!group || !group->is_handler || !group->is_configured)
        act_refuse(act, "there is no integration `%.64s`", name);
    else if (!may_say(act->session, group))
        act_refuse(act, "which secret was used is the gateway's to say, or the "
                        "integration's own connector's");
    else if (!*use || !*secret || strlen(use) > USED_TEXT_MAX ||
             strlen(secret) > USED_TEXT_MAX || version < 0)
        act_refuse(act,
                   "`use` and `secret` are texts of at most %d bytes, `version` is a "
                   "number",
                   USED_TEXT_MAX);
    else
        stage(core, act, group, use, secret, version);
}
