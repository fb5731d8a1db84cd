/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* accept - a published batch: who may say what, who will handle it, have we had it before
 *
 * All or nothing.  Records are copied into the open block one by one while they are
 * judged; a refusal takes the block back to where it was.  Work per event: a few
 * comparisons with the route of its type, which is nearly always the last one used. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"

/* Where the open block was before this batch. */
struct mark {
    uint32_t len, count, events;
    uint64_t requests, facts, outcomes;
    size_t staged_bytes;
};

struct batch {
    struct session *session;
    const struct message *m;
    struct reply *reply;
    const struct record *key; /* RECORD_IDEMPOTENCY before the event in hand */
    uint32_t events;          /* seen so far */
    uint32_t stored;          /* records put into the block for it */
    uint32_t first;
    struct buf keys; /* staged by this batch: taken back on refusal */
    unsigned error;
    char detail[240];
};

static struct mark mark(const struct core *core)
{
    const struct staged *open = &core->open;

    return (struct mark){
        open->ref->block->len, open->ref->block->count, open->events,      open->requests,
        open->facts,           open->outcomes,          core->staged_bytes};
}

static void take_back(struct core *core, const struct mark *mark)
{
    struct staged *open = &core->open;

    open->ref->block->len = mark->len;
    open->ref->block->count = mark->count;
    open->events = mark->events;
    open->requests = mark->requests;
    open->facts = mark->facts;
    open->outcomes = mark->outcomes;
    core->staged_bytes = mark->staged_bytes;
}

static bool refuse(struct batch *batch, enum error_code error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool refuse(struct batch *batch, enum error_code error, const char *format, ...)
{
    va_list args;

    batch->error = error;
    va_start(args, format);
    vsnprintf(batch->detail, sizeof(batch->detail), format, args);
    va_end(args);
    return false;
}

/* --- who may say what, and to whom it goes: sets kind and integration of the copy --- */

static bool ambiguous(struct batch *batch, const struct route *route)
{
    char names[160] = "";
    size_t n = 0;

    for (size_t i = 0; i < route->n_handlers && n < sizeof(names) - 1; i++)
        n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "",
                              route->handlers[i]->name);
    return refuse(batch, ERR_ambiguous_integration, "event %u: %.*s could go to %s",
                  batch->events, route->type_len, route->type, names);
}

static bool place_operation(struct batch *batch, const struct route *route,
                            struct record *r)
{
    if (r->kind != RECORD_REQUEST)
        return refuse(batch, ERR_bad_type, "event %u: %.*s is a request, not a fact",
                      batch->events, route->type_len, route->type);
    if (route->n_handlers == 0)
        return refuse(batch, ERR_no_handler, "no integration uses the connector of %.*s",
                      route->type_len, route->type);
    if (!r->integration && !route->sole)
        return ambiguous(batch, route);
    struct group *handler = r->integration ? NULL : route->sole;
    for (size_t i = 0; !handler && i < route->n_handlers; i++)
        if (route->handlers[i]->hash == r->integration)
            handler = route->handlers[i];
    if (!handler)
        return refuse(batch, ERR_no_integration,
                      "event %u: the integration named does not handle %.*s",
                      batch->events, route->type_len, route->type);
    r->integration = handler->hash;
    return true;
}

static bool place_webhook(struct batch *batch, const struct route *route,
                          struct record *r)
{
    if (r->kind != RECORD_FACT || batch->session->role != ROLE_GATEWAY)
        return refuse(batch, ERR_reserved_type, "event %u: %.*s", batch->events,
                      route->type_len, route->type);
    if (!route->is_known)
        return refuse(batch, ERR_not_ready, "the connector of %s has not joined yet",
                      route->sole->name);
    r->kind = route->is_declared ? RECORD_REQUEST : RECORD_FACT;
    r->integration = route->sole->hash;
    return true;
}

static bool place_free(struct core *core, struct batch *batch, const struct route *route,
                       struct record *r)
{
    if (r->kind == RECORD_REQUEST)
        return refuse(batch, ERR_no_handler, "no connector handles %.*s", route->type_len,
                      route->type);
    if (batch->session->role != ROLE_CONNECTOR && route->is_spoken_for)
        return refuse(batch, ERR_reserved_type, "event %u: %.*s is a connector's to say",
                      batch->events, route->type_len, route->type);
    if (batch->session->role == ROLE_CONNECTOR &&
        !may_publish(core, batch->session, route->type, route->type_len))
        return refuse(batch, ERR_undeclared_type, "event %u: %.*s", batch->events,
                      route->type_len, route->type);
    return true;
}

bool may_publish(struct core *core, const struct session *session, const char *type,
                 size_t n)
{
    return rights_may_say(session->rights, type, n) &&
           manifest_publishes(manifest_find(core, session->group), type, n);
}

static bool place(struct core *core, struct batch *batch, struct record *r)
{
    struct rights *rights = batch->session->rights;
    const struct route *route = route_get(core, r);

    if (!route)
        return refuse(batch, ERR_bad_type,
                      "event %u: type and its hash do not agree, or not a legal type",
                      batch->events);
    if (rights && !rights_may_publish(rights, r))
        return refuse(batch, ERR_forbidden, "event %u: %s may not publish %.*s",
                      batch->events, rights->name, route->type_len, route->type);
    switch (route->class) {
    case TYPE_OPERATION:
        return place_operation(batch, route, r);
    case TYPE_WEBHOOK:
        return place_webhook(batch, route, r);
    case TYPE_OUTCOME:
        return refuse(batch, ERR_reserved_type,
                      "event %u: %.*s is an outcome's type; a RESULT carries it",
                      batch->events, route->type_len, route->type);
    case TYPE_RESERVED:
        return (r->kind == RECORD_FACT && batch->session->role == ROLE_GATEWAY) ||
               refuse(batch, ERR_reserved_type,
                      "event %u: signalbox.* is signalbox's own", batch->events);
    case TYPE_ORPHAN:
        return refuse(batch, ERR_no_handler, "no connector handles %.*s",
                      (int)route->type_len - 10, route->type);
    case TYPE_FREE:
        return place_free(core, batch, route, r);
    }
    return false;
}

/* --- have we had it before --- */

enum { KEY_NEW, KEY_SEEN };

static int look_up(struct core *core, struct batch *batch, const struct record *r)
{
    const struct control_idempotency *c =
        (const struct control_idempotency *)record_data(batch->key);
    struct core_key found = {0};

    if (!key_value(core, batch->key->id, &found)) {
        struct core_key mine = {.body_hash = c->body_hash, .expires_us = c->expires_us};
        memcpy(mine.id, r->id, 16);
        key_put(core, batch->key->id, &mine);
        buf_add(&batch->keys, batch->key->id, 16);
        return KEY_NEW;
    }
    struct verdict_due due = {.index = batch->events,
                              .code = found.body_hash == c->body_hash ? VERDICT_DUPLICATE
                                                                      : VERDICT_CONFLICT};
    memcpy(due.key, batch->key->id, 16);
    buf_add(&batch->reply->verdicts, &due, sizeof(due));
    return KEY_SEEN;
}

/* --- one record after the other --- */

static bool take_key(const struct core *core, struct batch *batch, const struct record *r)
{
    if (core->n_keys >= CORE_KEYS_MAX)
        return refuse(batch, ERR_overloaded,
                      "%zu idempotency keys wait for the log's views", core->n_keys);
    if (batch->key || r->data_len < sizeof(struct control_idempotency))
        return refuse(batch, ERR_bad_frame, "event %u: idempotency record out of place",
                      batch->events);
    batch->key = r;
    return true;
}

static bool take_event(struct core *core, struct batch *batch, const struct record *r)
{
    if (r->kind == RECORD_OUTCOME || r->status == STATUS_SUCCESS ||
        (r->status == STATUS_FAILED && batch->session->role != ROLE_GATEWAY) ||
        ((r->flags & RECORD_WEBHOOK) && batch->session->role != ROLE_GATEWAY) ||
        (r->flags & (RECORD_BY_BROKER | RECORD_SCHEDULED | RECORD_ONE_GROUP |
                     RECORD_DOUBT | RECORD_FOUND)))
        return refuse(batch, ERR_bad_frame,
                      "event %u: only requests and facts are published", batch->events);
    if (r->kind == RECORD_REQUEST && r->deadline_us && r->deadline_us <= core->wall_us)
        return refuse(batch, ERR_deadline_too_short, "event %u: its deadline has passed",
                      batch->events);
    if (batch->key && look_up(core, batch, r) == KEY_SEEN) {
        batch->key = NULL;
        batch->events++;
        return true;
    }
    if (batch->key) {
        stage_add(core, batch->key, batch->key->len, NULL);
        batch->key = NULL;
        batch->stored++;
    }
    struct record *copy = (struct record *)stage_add(core, r, r->len, NULL);
    uint8_t kind = copy->kind;
    if (!place(core, batch, copy))
        return false;
    if (copy->kind != kind) {
        core->open.facts--;
        core->open.requests++;
    }
    if (copy->kind == RECORD_REQUEST && !copy->deadline_us)
        copy->deadline_us =
            core->wall_us + group_find(core, copy->integration)->deadline_us;
    batch->events++;
    batch->stored++;
    return true;
}

/* A record that is all there, and over the limits. */
static bool is_too_large(const void *bytes, size_t n)
{
    const struct record *r = bytes;

    return n >= sizeof(*r) && r->len <= n &&
           (r->len > RECORD_SIZE_MAX || r->data_len > RECORD_DATA_MAX);
}

static bool take_records(struct core *core, struct batch *batch)
{
    const uint8_t *body = message_body(batch->m);
    const char *why;

    for (size_t at = 0; at < batch->m->body_len;) {
        const struct record *r = record_check(body + at, batch->m->body_len - at, &why);
        if (!r && is_too_large(body + at, batch->m->body_len - at))
            return refuse(batch, ERR_event_too_large,
                          "event %u: its data and attributes are at most %d bytes",
                          batch->events, RECORD_DATA_MAX);
        if (!r)
            return refuse(batch, ERR_bad_frame, "offset %zu: %s", at, why);
        if (!record_is_event(r) && r->kind != RECORD_IDEMPOTENCY)
            return refuse(batch, ERR_bad_frame,
                          "offset %zu: a %s record is not for publishing", at,
                          kind_name(r->kind));
        if (r->kind == RECORD_IDEMPOTENCY ? !take_key(core, batch, r)
                                          : !take_event(core, batch, r))
            return false;
        at += r->len;
    }
    if (batch->key || batch->events == 0)
        return refuse(batch, ERR_bad_frame, "a batch ends with an event");
    return true;
}

static bool has_room(struct core *core, struct batch *batch)
{
    const struct message *m = batch->m;

    if (m->body_len > RECORD_GROUP_MAX)
        return refuse(batch, ERR_batch_too_large, "%u bytes", m->body_len);
    if (core->head.is_full)
        return refuse(batch, ERR_log_full, "%" PRIu64 " bytes could still be written",
                      core->head.spare_bytes);
    if (core->staged_bytes > CORE_STAGED_MAX)
        return refuse(batch, ERR_overloaded, "%zu bytes wait for the log",
                      core->staged_bytes);
    if (batch->session->window_used + m->body_len >
        WINDOW_BYTES_DEFAULT + RECORD_GROUP_MAX)
        return refuse(batch, ERR_window_exceeded, "%" PRIu64 " bytes are unanswered",
                      batch->session->window_used);
    return true;
}

/* Which events of a batch that was sent again were not stored, because their keys stand
 * for others. */
static void find_verdicts(struct core *core, const struct message *m, struct buf *out)
{
    const uint8_t *body = message_body(m);
    const struct record *key = NULL;
    const char *why;
    uint32_t event = 0;

    for (size_t at = 0; at < m->body_len;) {
        const struct record *r = record_check(body + at, m->body_len - at, &why);
        if (!r)
            return;
        const struct control_idempotency *c = key ? (const void *)record_data(key) : NULL;
        struct core_key first;
        if (c && key->data_len >= sizeof(*c) && key_value(core, key->id, &first) &&
            memcmp(first.id, r->id, 16) != 0) {
            struct verdict_due due = {event,
                                      first.body_hash == c->body_hash ? VERDICT_DUPLICATE
                                                                      : VERDICT_CONFLICT,
                                      {0}};
            memcpy(due.key, key->id, 16);
            buf_add(out, &due, sizeof(due));
        }
        key = r->kind == RECORD_IDEMPOTENCY ? r : NULL;
        event += record_is_event(r);
        at += r->len;
    }
}

/* A batch that was committed before is answered again and not stored again. True when
 * this was one. */
static bool answered_before(struct core *core, struct session *session,
                            const struct producer *producer, const struct message *m)
{
    if (!numbers_have(&producer->staged, m->ref))
        return false;
    if (!numbers_have(&producer->committed, m->ref))
        return true; /* staged: its answer is on the way */
    const struct batch_at *at = producer_place(producer, m->ref);
    struct published published = {.block = at ? at->block : 0,
                                  .first = at ? at->first : 0,
                                  .timestamp_us = core->applied_time_us};
    struct buf verdicts = BUF_NULL;
    find_verdicts(core, m, &verdicts);
    send_published(core, session, m->ref, m->count, &published, &verdicts);
    buf_fini(&verdicts);
    struct block_ref *ref = at && (m->flags & MESSAGE_WANTS_OUTCOME)
                                ? cache_get(core, published.block)
                                : NULL;
    uint32_t event = 0;
    for (uint32_t i = 0; ref && i < at->count; i++) {
        const struct record *r = block_ref_record(ref, published.first + i);
        if (r && r->kind == RECORD_REQUEST)
            wait_add(core, session,
                     (struct position){published.block, published.first + i}, m->ref,
                     event);
        event += r && record_is_event(r);
    }
    block_ref_drop(ref);
    return true;
}

void stage_batch(struct core *core, const struct session *session, uint64_t number,
                 struct batch_place *ret)
{
    struct control_batch data = {.number = number};
    struct record_parts parts = {.kind = RECORD_BATCH,
                                 .id = session->instance,
                                 .data = &data,
                                 .data_len = sizeof(data)};

    stage_parts(core, &parts, &ret->index);
    ret->offset = core->open.ref->block->len - (uint32_t)core->scratch.len;
}

void stage_batch_count(struct core *core, const struct batch_place *place, uint32_t count)
{
    struct record *r =
        (struct record *)((uint8_t *)core->open.ref->block + place->offset);

    ((struct control_batch *)(uintptr_t)record_data(r))->count = count;
}

void accept_publish(struct core *core, struct session *session, const struct message *m)
{
    struct producer *producer = producer_get(core, session->instance, true);
    struct batch batch = {.session = session, .m = m};
    struct batch_place place_of;

    if (answered_before(core, session, producer, m))
        return;
    stage_room(core, m->body_len + 2 * sizeof(struct record));
    struct mark before = mark(core);
    bool is_good = has_room(core, &batch);
    if (is_good) {
        stage_batch(core, session, m->ref, &place_of);
        batch.reply = stage_reply(core, session);
        is_good = take_records(core, &batch);
    }
    if (!is_good) {
        take_back(core, &before);
        for (size_t i = 0; i < batch.keys.len; i += 16)
            key_drop(core, batch.keys.bytes + i);
        if (batch.reply) {
            buf_fini(&batch.reply->verdicts);
            core->open.n_replies--;
        }
        const struct error_info *info = error_info(batch.error);
        if (batch.error == ERR_forbidden)
            refusal_note(core, REFUSAL_RIGHT, session->name, batch.detail);
        session_refuse(core, session->peer, m->ref, batch.error, batch.detail,
                       info->may_retry ? 200 : 0);
        if (batch.error == ERR_window_exceeded) /* it does not count what is unanswered */
            session_end(core, session, "published beyond its window");
    } else {
        stage_batch_count(core, &place_of, batch.stored);
        batch.reply->number = m->ref;
        batch.reply->first = place_of.index + 1;
        batch.reply->count = batch.stored;
        batch.reply->events = batch.events;
        batch.reply->bytes = m->body_len;
        batch.reply->wants_outcomes = m->flags & MESSAGE_WANTS_OUTCOME;
        session->window_used += m->body_len;
        numbers_add(&producer->staged, m->ref);
        producer->used_us = core->steady_us;
    }
    buf_fini(&batch.keys);
}
