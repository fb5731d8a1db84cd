/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* hello - a peer joins, or comes back: who it is, what it may be, what it still holds */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

struct greeting {
    int64_t version, pid;
    char *role, *name, *key, *manifest, *group;
    const uint8_t *instance;
    const char *running;
    size_t running_len;
};

static bool read_hello(void *user, const struct attr_value *v)
{
    struct greeting *h = user;
    const struct {
        const char *name;
        char **text;
        int64_t *number;
    } fields[] = {{"role", &h->role, NULL},   {"name", &h->name, NULL},
                  {"key", &h->key, NULL},     {"manifest", &h->manifest, NULL},
                  {"group", &h->group, NULL}, {"version", NULL, &h->version},
                  {"pid", NULL, &h->pid}};

    if (!v->name)
        return true;
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        if (strlen(fields[i].name) != v->name_len ||
            memcmp(fields[i].name, v->name, v->name_len) != 0)
            continue;
        if (fields[i].text && v->type == ATTR_IS_TEXT && !*fields[i].text)
            *fields[i].text = mem_copy(v->text, v->text_len);
        else if (fields[i].number && v->type == ATTR_IS_INT)
            *fields[i].number = v->number;
    }
    if (v->name_len == 8 && memcmp(v->name, "instance", 8) == 0 &&
        v->type == ATTR_IS_BIN && v->text_len == 16)
        h->instance = (const uint8_t *)v->text;
    if (v->name_len == 7 && memcmp(v->name, "running", 7) == 0 &&
        v->type == ATTR_IS_BIN) {
        h->running = v->text;
        h->running_len = v->text_len;
    }
    return true;
}

/* Not in constant time of the whole: the key is 64 random characters on a local socket
 * whose peers run as the same user. */
static bool same_key(const char *a, const char *b)
{
    unsigned char differ = 0;

    if (!a || !b || strlen(a) != strlen(b))
        return false;
    for (size_t i = 0; a[i]; i++)
        differ |= (unsigned char)(a[i] ^ b[i]);
    return differ == 0;
}

enum { EARLY_RETRY_MS = 100 };

/* On a first start the integrations are known but their records are not committed yet:
 * the connector is to come again, not to be turned away. */
static bool is_coming(struct core *core, const struct greeting *h)
{
    const struct group *group = group_by_name(core, h->name);

    return group && group->key && !group->record;
}

/* A peer on an encrypted link is what its key's entry says, and nothing else. */
static const char *identify_remote(struct core *core, const struct greeting *h,
                                   const struct rights *rights, enum role *ret_role,
                                   struct group **ret_group)
{
    if (!rights || !rights->is_configured)
        return "no peer of this key is configured";
    if (strcmp(h->role, rights->is_connector ? "connector" : "client") != 0)
        return rights->is_connector ? "this key is a connector's"
                                    : "this key is a client's";
    *ret_role = rights->is_connector ? ROLE_CONNECTOR : ROLE_CLIENT;
    if (!rights->is_connector)
        return NULL;
    if (strcmp(h->name, rights->integration) != 0)
        return "this key is another integration's";
    *ret_group = group_by_name(core, h->name);
    return *ret_group && (*ret_group)->is_handler && (*ret_group)->is_configured
               ? NULL
               : "no integration of this name is configured";
}

static const char *identify(struct core *core, const struct greeting *h,
                            enum role *ret_role, struct group **ret_group)
{
    if (strcmp(h->role, "gateway") == 0) {
        *ret_role = ROLE_GATEWAY;
        return same_key(core->gateway_key, h->key) ? NULL
                                                   : "the gateway's key does not fit";
    }
    if (strcmp(h->role, "connector") == 0) {
        *ret_role = ROLE_CONNECTOR;
        *ret_group = group_by_name(core, h->name);
        if (!*ret_group || !(*ret_group)->is_handler || !(*ret_group)->is_configured)
            return "no integration of this name is configured";
        return same_key((*ret_group)->key, h->key) ? NULL
                                                   : "the connector's key does not fit";
    }
    *ret_role = ROLE_CLIENT;
    return strcmp(h->role, "client") == 0 || strcmp(h->role, "cli") == 0
               ? NULL
               : "the role is not known";
}

static const char *check_manifest(const struct group *group, const char *text)
{
    char error[128];
    struct json *json = text ? js_parse(text, strlen(text), error, sizeof(error)) : NULL;
    const char *name = js_text(json, "name", NULL);
    const char *why = NULL;

    if (!name || !js_is_array(js_get(json, "operations")))
        why = "the manifest is missing or not JSON with `name` and `operations`";
    else if (!group->connector || strcmp(group->connector, name) != 0)
        why = "the manifest is another connector's than the integration names";
    js_free(json);
    return why;
}

/* True when it is another than the one known. */
static bool stage_manifest(struct core *core, struct group *group, const char *text)
{
    const struct manifest *known = manifest_find(core, group);
    struct buf attrs = BUF_NULL;

    if (known && strcmp(known->text, text) == 0)
        return false;
    group->awaits_manifest = true;
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SOURCE, group->connector);
    struct record_parts parts = {.kind = RECORD_MANIFEST,
                                 .integration = group->hash,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = text,
                                 .data_len = strlen(text)};
    stage_parts(core, &parts, NULL);
    buf_fini(&attrs);
    return true;
}

static struct session *session_new(struct core *core)
{
    size_t i = 0;

    while (i < core->n_sessions && core->sessions[i])
        i++;
    if (i == CORE_SESSIONS_MAX)
        return NULL;
    if (i == core->n_sessions)
        core->sessions =
            mem_resize(core->sessions, ++core->n_sessions * sizeof(*core->sessions));
    struct session *session = mem_alloc(sizeof(*session));
    session->index = (uint16_t)i;
    session->serial = ++core->last_serial;
    core->sessions[i] = session;
    return session;
}

/* `running` ascends; one that does not finds less, and what is not found is delivered
 * again. */
static bool lists(const struct greeting *h, uint64_t block, uint32_t index)
{
    size_t low = 0, high = h->running_len / sizeof(struct wire_position);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct wire_position one;
        memcpy(&one, h->running + middle * sizeof(one), sizeof(one));
        if (one.block == block && one.index == index)
            return true;
        if (one.block < block || (one.block == block && one.index < index))
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* Deliveries the broker counts as this session's but that never reached it go to the
 * queue again. */
static void drop_unlisted(struct core *core, struct session *session,
                          const struct greeting *h)
{
    struct group *group = session->group;

    for (size_t i = group ? group->first_slot : 0;
         group && i < group->n_slots && session->inflight > 0; i++) {
        struct slot *slot = &group->slots[i];
        for (uint32_t index = 0; slot->cells && index < slot->count; index++) {
            struct cell *cell = &slot->cells[index];
            if (cell->state != CELL_INFLIGHT || cell->session != session->index ||
                lists(h, slot->block, index))
                continue;
            cell_leave(core, group, cell);
            cell->state = CELL_WAITING;
            queue_push(&group->ready, slot->block, index);
        }
    }
}

/* What the peer still holds is its own again if nobody settled or took it, or another of
 * its key, meanwhile; the rest is `lost`. So is what was given back and is about to begin
 * anew (CELL_FRESH): left with the peer, its START would read as an attempt of the
 * peer's.
 */
static void reclaim(struct core *core, struct session *session, const struct greeting *h,
                    struct buf *lost)
{
    for (size_t i = 0; i + sizeof(struct wire_position) <= h->running_len;
         i += sizeof(struct wire_position)) {
        struct wire_position p;
        memcpy(&p, h->running + i, sizeof(p));
        struct slot *slot = session->group ? slot_find(session->group, p.block) : NULL;
        struct cell *cell = slot && slot->open > 0 && p.index < slot->count
                                ? slot_cell(slot, p.index)
                                : NULL;
        struct block_ref *ref = cell ? cache_get(core, p.block) : NULL;
        const struct record *r = ref ? block_ref_record(ref, p.index) : NULL;
        bool is_mine =
            cell && cell->state == CELL_INFLIGHT && cell->session == session->index;
        if (r && !is_mine && (cell->state == CELL_OPEN || cell->state == CELL_WAITING) &&
            !(cell->flags & CELL_FRESH) && group_takes(core, session->group, r) &&
            lane_take(session->group, cell, r->key_hash)) {
            gate_reclaimed(core, session->group, (struct position){p.block, p.index}, r);
            cell_give(session->group, session, cell, r);
            session->credit_events--;
            session->credit_bytes -= r->len;
            is_mine = true;
        }
        if (!is_mine)
            buf_add(lost, &p, sizeof(p));
        block_ref_drop(ref);
    }
}

/* `is_later`: when what was staged last is committed. */
static void welcome(struct core *core, struct session *session, const struct buf *lost,
                    bool is_later)
{
    struct producer *producer = producer_get(core, session->instance, false);
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_int(&map, "version", MESSAGE_VERSION);
    attrs_named_bin(&map, "boot", core->boot, 16);
    attrs_named_int(&map, "window", WINDOW_BYTES_DEFAULT);
    attrs_named_int(&map, "lease_ms", CORE_LEASE_US / 1000);
    attrs_named_int(&map, "ping_ms", CORE_PING_US / 1000);
    attrs_named_int(&map, "last_batch",
                    producer ? (int64_t)producer->committed.highest : 0);
    attrs_named_bin(&map, "lost", lost->bytes, lost->len);
    message_begin(&core->frame, MSG_WELCOME, 0);
    buf_add(&core->frame, map.bytes, map.len);
    message_end(&core->frame);
    if (is_later)
        buf_add(&stage_reply(core, session)->frame, core->frame.bytes, core->frame.len);
    else
        send_frame(core, session->peer);
    buf_fini(&map);
}

/* The consumer group that a peer takes events of, as it says, so that what it holds is
 * found. It joins with SUBSCRIBE: where it may not, that is refused with the reason, and
 * here nothing is its own. */
static struct group *group_named(struct core *core, const struct greeting *h,
                                 enum role role, const struct rights *rights)
{
    struct group *group =
        role != ROLE_CONNECTOR && h->group ? group_by_name(core, h->group) : NULL;

    return group && group->is_configured && !group->is_handler &&
                   rights_may_join(rights, group->name)
               ? group
               : NULL;
}

static void member_is_back(struct core *core, const struct session *session)
{
    for (size_t i = 0; i < core->n_members; i++)
        if (memcmp(core->members[i].instance, session->instance, 16) == 0)
            core->members[i].is_former = false;
    members_release(core);
}

/* A group waits no longer once nobody of the former life is missing. */
void members_release(struct core *core)
{
    for (size_t i = 0; i < core->n_groups; i++) {
        bool missing = false;
        for (size_t j = 0; j < core->n_members; j++)
            missing = missing || (core->members[j].is_former &&
                                  core->members[j].group == core->groups[i]->hash);
        if (!missing)
            core->groups[i]->hold_until_us = 0;
    }
}

static struct session *find_instance(struct core *core, const uint8_t instance[16])
{
    for (size_t i = 0; i < core->n_sessions; i++)
        if (core->sessions[i] && memcmp(core->sessions[i]->instance, instance, 16) == 0)
            return core->sessions[i];
    return NULL;
}

/* A session is taken up again by whom it was, not by whoever has learned its instance. */
static bool is_anothers(struct core *core, const struct greeting *h, enum role role,
                        const struct rights *rights, const struct group *group)
{
    const struct session *session = find_instance(core, h->instance);

    return session && (session->role != role || session->rights != rights ||
                       (role == ROLE_CONNECTOR && session->group != group));
}

static void join(struct core *core, const struct core_sender *sender,
                 const struct greeting *h, enum role role, struct group *group,
                 struct rights *rights)
{
    struct session *session = find_instance(core, h->instance);
    struct buf lost = BUF_NULL;

    if (!session && !(session = session_new(core))) {
        session_refuse(core, sender->peer, 0, ERR_overloaded, "too many sessions", 1000);
        return;
    }
    bool is_back = session->is_joined;
    session->peer = sender->peer;
    /* A process of another host is none of ours, whatever its number. */
    session->pid = sender->pid || rights ? sender->pid : (uint64_t)h->pid;
    session->rights = rights;
    session->heard_us = core->steady_us;
    session->role = role;
    if (!is_back) {
        memcpy(session->instance, h->instance, 16);
        session->name = mem_text(h->name);
        session->is_joined = true;
        session->joined_us = core->wall_us;
        session->group = group ? group : group_named(core, h, role, rights);
        session->integration = group ? group->hash : 0;
        session_say(core, LOG_SESSION_STARTED, session, NULL);
    } else {
        drop_unlisted(core, session, h);
    }
    /* Whoever is welcome is known for what it handles: nothing for it is refused any
     * more. */
    bool is_new = role == ROLE_CONNECTOR && stage_manifest(core, group, h->manifest);
    reclaim(core, session, h, &lost);
    member_is_back(core, session);
    welcome(core, session, &lost, is_new);
    buf_fini(&lost);
}

void hello(struct core *core, const struct core_sender *sender, const struct message *m)
{
    struct rights *rights = sender->name ? rights_find(core, sender->name) : NULL;
    struct greeting h = {0};
    enum role role = ROLE_NONE;
    struct group *group = NULL;
    const char *why = "HELLO is not a well-formed map";
    unsigned code = ERR_bad_frame;

    if (attrs_walk(message_body(m), m->body_len, read_hello, &h, &why) == 0) {
        why = NULL;
        if (!h.role || !h.name || !h.instance)
            why = "HELLO needs role, name and a 16-byte instance";
        else if (h.version != MESSAGE_VERSION)
            why = "this broker speaks protocol version 1", code = ERR_bad_version;
        else if ((why = sender->name ? identify_remote(core, &h, rights, &role, &group)
                                     : identify(core, &h, &role, &group)))
            code = ERR_bad_identity;
        else if (is_anothers(core, &h, role, rights, group))
            why = "this instance is another peer's", code = ERR_bad_identity;
        else if (role == ROLE_CONNECTOR)
            why = check_manifest(group, h.manifest);
    }
    if (why) {
        bool is_early = code == ERR_bad_identity && is_coming(core, &h);

        session_refuse(core, sender->peer, 0, is_early ? ERR_not_ready : code, why,
                       is_early ? EARLY_RETRY_MS : 0);
        if (!is_early)
            refusal_note(core, REFUSAL_HELLO, sender->name ? sender->name : h.name, why);
    } else {
        join(core, sender, &h, role, group, rights);
    }
    free(h.role);
    free(h.name);
    free(h.key);
    free(h.manifest);
    free(h.group);
}
