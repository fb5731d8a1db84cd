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

/* --- producers: an open table by instance --- */

static size_t home(const struct core *core, const uint8_t instance[16])
{
    uint64_t hash;

    memcpy(&hash, instance + 8, sizeof(hash));
    return (size_t)((hash ^ core->random_mix) * 0x9e3779b97f4a7c15u >> 20) &
           (core->cap_producers - 1);
}

static void grow_producers(struct core *core, size_t cap)
{
    struct producer **old = core->producers;
    size_t old_cap = core->cap_producers;

    core->producers = mem_array(cap, sizeof(struct producer *));
    core->cap_producers = cap;
    for (size_t i = 0; i < old_cap; i++) {
        if (!old[i])
            continue;
        size_t at = home(core, old[i]->instance);
        while (core->producers[at])
            at = (at + 1) & (cap - 1);
        core->producers[at] = old[i];
    }
    free(old);
}

bool numbers_have(const struct numbers *numbers, uint64_t number)
{
    if (number > numbers->highest)
        return false;
    if (numbers->highest - number >= PRODUCER_NUMBERS)
        return true;
    number %= PRODUCER_NUMBERS;
    return numbers->mask[number / 64] >> number % 64 & 1;
}

void numbers_add(struct numbers *numbers, uint64_t number)
{
    uint64_t skipped = number > numbers->highest ? number - numbers->highest : 0;

    if (skipped >= PRODUCER_NUMBERS)
        memset(numbers->mask, 0, sizeof(numbers->mask));
    for (uint64_t n = numbers->highest + 1; skipped < PRODUCER_NUMBERS && n < number; n++)
        numbers->mask[n % PRODUCER_NUMBERS / 64] &= ~(UINT64_C(1) << n % 64);
    if (number > numbers->highest)
        numbers->highest = number;
    numbers->mask[number % PRODUCER_NUMBERS / 64] |= UINT64_C(1) << number % 64;
}

struct producer *producer_get(struct core *core, const uint8_t instance[16], bool make)
{
    if (core->n_producers * 2 >= core->cap_producers)
        grow_producers(core, core->cap_producers ? core->cap_producers * 2 : 64);
    size_t at = home(core, instance);
    for (; core->producers[at]; at = (at + 1) & (core->cap_producers - 1))
        if (memcmp(core->producers[at]->instance, instance, 16) == 0)
            return core->producers[at];
    if (!make)
        return NULL;
    struct producer *producer = mem_alloc(sizeof(*producer));
    memcpy(producer->instance, instance, 16);
    producer->used_us = core->steady_us;
    core->producers[at] = producer;
    core->n_producers++;
    return producer;
}

static bool has_session(const struct core *core, const uint8_t instance[16])
{
    for (size_t i = 0; i < core->n_sessions; i++)
        if (core->sessions[i] && memcmp(core->sessions[i]->instance, instance, 16) == 0)
            return true;
    return false;
}

void producers_forget(struct core *core)
{
    size_t kept = 0;

    for (size_t i = 0; i < core->cap_producers; i++) {
        struct producer *p = core->producers[i];
        if (!p)
            continue;
        if (p->used_us + CORE_PRODUCERS_IDLE_US > core->steady_us ||
            p->staged.highest > p->committed.highest || has_session(core, p->instance)) {
            kept++;
            continue;
        }
        free(p);
        core->producers[i] = NULL;
    }
    core->n_producers = kept;
    if (core->cap_producers)
        grow_producers(core, core->cap_producers); /* closes the gaps */
}

/* --- sessions --- */

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

static void say_session(struct core *core, int id, const struct session *session,
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
    say_session(core, LOG_SESSION_ENDED, session, why);
    if (core->hot_session == session)
        core->hot_session = NULL;
    core->sessions[session->index] = NULL;
    free(session->name);
    free(session);
}

/* --- HELLO --- */

struct hello {
    int64_t version, pid;
    char *role, *name, *key, *manifest;
    const uint8_t *instance;
    const char *running;
    size_t running_len;
};

static bool read_hello(void *user, const struct attr_value *v)
{
    struct hello *h = user;
    const struct {
        const char *name;
        char **text;
        int64_t *number;
    } fields[] = {{"role", &h->role, NULL},       {"name", &h->name, NULL},
                  {"key", &h->key, NULL},         {"manifest", &h->manifest, NULL},
                  {"version", NULL, &h->version}, {"pid", NULL, &h->pid}};

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
static bool is_coming(struct core *core, const struct hello *h)
{
    const struct group *group = group_by_name(core, h->name);

    return group && group->key && !group->record;
}

static const char *identify(struct core *core, const struct hello *h, enum role *ret_role,
                            struct group **ret_group)
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

static void stage_manifest(struct core *core, const struct group *group, const char *text)
{
    const struct manifest *known = manifest_find(core, group->connector);
    struct buf attrs = BUF_NULL;

    if (known && strcmp(known->text, text) == 0)
        return;
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SOURCE, group->connector);
    struct record_parts parts = {.kind = RECORD_MANIFEST,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = text,
                                 .data_len = strlen(text)};
    stage_parts(core, &parts, NULL);
    buf_fini(&attrs);
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
    core->sessions[i] = session;
    return session;
}

static bool lists(const struct hello *h, uint64_t block, uint32_t index)
{
    const struct wire_position *p = (const struct wire_position *)h->running;

    for (size_t i = 0; i < h->running_len / sizeof(*p); i++) {
        struct wire_position one;
        memcpy(&one, p + i, sizeof(one));
        if (one.block == block && one.index == index)
            return true;
    }
    return false;
}

/* Deliveries the broker counts as this session's but that never reached it go to the
 * queue again. */
static void drop_unlisted(struct core *core, struct session *session,
                          const struct hello *h)
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
            heap_push(group, core->steady_us, slot->block, index);
        }
    }
}

/* What the peer still holds is its own again if nobody settled or took it meanwhile; the
 * rest is `lost`. */
static void reclaim(struct core *core, struct session *session, const struct hello *h,
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
            (!session->group->is_handler ||
             (r->kind == RECORD_REQUEST && r->integration == session->group->hash))) {
            cell->state = CELL_INFLIGHT;
            cell->session = session->index;
            cell->len = r->len;
            session->inflight++;
            session->group->inflight++;
            session->credit_events--;
            session->credit_bytes -= r->len;
            is_mine = true;
        }
        if (!is_mine)
            buf_add(lost, &p, sizeof(p));
        block_ref_drop(ref);
    }
}

static void welcome(struct core *core, const struct session *session,
                    const struct buf *lost)
{
    struct producer *producer = producer_get(core, session->instance, true);
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_int(&map, "version", MESSAGE_VERSION);
    attrs_named_bin(&map, "boot", core->boot, 16);
    attrs_named_int(&map, "window", WINDOW_BYTES_DEFAULT);
    attrs_named_int(&map, "lease_ms", CORE_LEASE_US / 1000);
    attrs_named_int(&map, "ping_ms", CORE_PING_US / 1000);
    attrs_named_int(&map, "last_batch", (int64_t)producer->committed.highest);
    attrs_named_bin(&map, "lost", lost->bytes, lost->len);
    message_begin(&core->frame, MSG_WELCOME, 0);
    buf_add(&core->frame, map.bytes, map.len);
    message_end(&core->frame);
    send_frame(core, session->peer);
    buf_fini(&map);
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

static void join(struct core *core, uint64_t peer, uint64_t pid, const struct hello *h,
                 enum role role, struct group *group)
{
    struct session *session = find_instance(core, h->instance);
    struct buf lost = BUF_NULL;

    if (!session && !(session = session_new(core))) {
        session_refuse(core, peer, 0, ERR_overloaded, "too many sessions", 1000);
        return;
    }
    bool is_back = session->is_joined;
    session->peer = peer;
    session->pid = pid ? pid : (uint64_t)h->pid;
    session->heard_us = core->steady_us;
    session->role = role;
    if (!is_back) {
        memcpy(session->instance, h->instance, 16);
        session->name = mem_text(h->name);
        session->is_joined = true;
        session->joined_us = core->wall_us;
        session->group = group;
        session->integration = group ? group->hash : 0;
        say_session(core, LOG_SESSION_STARTED, session, NULL);
    } else {
        drop_unlisted(core, session, h);
    }
    if (role == ROLE_CONNECTOR)
        stage_manifest(core, group, h->manifest);
    reclaim(core, session, h, &lost);
    member_is_back(core, session);
    welcome(core, session, &lost);
    buf_fini(&lost);
}

static void on_hello(struct core *core, uint64_t peer, uint64_t pid,
                     const struct message *m)
{
    struct hello h = {0};
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
        else if ((why = identify(core, &h, &role, &group)))
            code = ERR_bad_identity;
        else if (role == ROLE_CONNECTOR)
            why = check_manifest(group, h.manifest);
    }
    if (why) {
        bool is_early = code == ERR_bad_identity && is_coming(core, &h);

        session_refuse(core, peer, 0, is_early ? ERR_not_ready : code, why,
                       is_early ? EARLY_RETRY_MS : 0);
        if (!is_early)
            core->ops->say(core->user, LOG_SESSION_REFUSED, why);
    } else {
        join(core, peer, pid, &h, role, group);
    }
    free(h.role);
    free(h.name);
    free(h.key);
    free(h.manifest);
}

/* --- the other messages --- */

static bool map_int(const struct message *m, const char *name, int64_t *ret)
{
    struct attr_value v;

    if (!attrs_find_named(message_body(m), m->body_len, name, &v) ||
        v.type != ATTR_IS_INT)
        return false;
    *ret = v.number;
    return true;
}

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
    if (session->group && session->group != group && session->inflight > 0) {
        session_refuse(core, session->peer, m->ref, ERR_bad_identity,
                       "settle what was delivered before joining another group", 0);
        return;
    }
    map_int(m, "credit_events", &events);
    map_int(m, "credit_bytes", &bytes);
    session->group = group;
    session->credit_events = (events < 0         ? 0
                              : events > 1 << 20 ? 1 << 20
                                                 : events) -
                             session->inflight;
    session->credit_bytes = bytes < 0 ? 0 : bytes > 1 << 30 ? 1 << 30 : bytes;
    stage_member(core, session, true);
}

static void on_credit(struct core *core, struct session *session, const struct message *m)
{
    const struct credit *credit = message_body(m);

    (void)core;
    if (m->body_len < sizeof(*credit))
        return;
    session->credit_events += credit->events;
    session->credit_bytes += credit->bytes;
    if (session->credit_events > 1 << 20)
        session->credit_events = 1 << 20;
    if (session->credit_bytes > 1 << 30)
        session->credit_bytes = 1 << 30;
}

static void on_ping(struct core *core, struct session *session, const struct message *m)
{
    const struct wire_position *p = message_body(m);

    for (size_t i = 0; i < m->body_len / sizeof(*p); i++) {
        struct slot *slot = session->group ? slot_find(session->group, p[i].block) : NULL;
        struct cell *cell = slot && slot->cells && p[i].index < slot->count
                                ? &slot->cells[p[i].index]
                                : NULL;
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
    else
        wait_add(core, session, (struct position){p->block, p->index}, m->ref, 0);
}

static void on_bye(struct core *core, struct session *session, const struct message *m)
{
    (void)m;
    session_end(core, session, "said goodbye");
}

static void on_admin(struct core *core, struct session *session, const struct message *m)
{
    admin_command(core, session, m);
}

typedef void (*message_fn)(struct core *core, struct session *session,
                           const struct message *m);
static const message_fn by_type[] = {
    [MSG_PUBLISH] = accept_publish, [MSG_SUBSCRIBE] = on_subscribe,
    [MSG_CREDIT] = on_credit,       [MSG_RESULT] = settle_result,
    [MSG_WAIT] = on_wait,           [MSG_ADMIN] = on_admin,
    [MSG_PING] = on_ping,           [MSG_BYE] = on_bye,
};

void session_frame(struct core *core, uint64_t peer, uint64_t pid,
                   const struct message *m)
{
    struct session *session = session_by_peer(core, peer);

    if (m->type == MSG_HELLO) {
        on_hello(core, peer, pid, m);
        return;
    }
    if (!session) {
        session_refuse(core, peer, m->ref, ERR_not_joined, NULL, 0);
        return;
    }
    session->heard_us = core->steady_us;
    if (m->type < sizeof(by_type) / sizeof(*by_type) && by_type[m->type])
        by_type[m->type](core, session, m);
    else
        session_refuse(core, peer, m->ref, ERR_bad_frame,
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
    }
    former_sweep(core);
}
