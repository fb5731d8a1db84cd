/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* settle - results: an outcome and the acknowledgement of its request are one record
 *
 * A RESULT is staged whole or refused whole: first every record is checked against what
 * the session holds, then all are copied.  From then on the cells are SETTLING; they
 * change for good when the block is committed and applied. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

enum {
    RETRY_EXTRA =
        512, /* what a failed outcome may be longer than the retry it stands for */
    RESULT_STAGED_MAX = 3 << 20,
};

struct result {
    struct session *session;
    uint32_t released; /* deliveries it gives back */
    uint64_t bytes;
    uint32_t not_held;            /* records for what is not (any more) the session's */
    size_t extra;                 /* bytes: what the broker's own records are longer */
    const struct record *outcome; /* the last one, which the facts behind it came with */
    unsigned error;
    char detail[200];
};

static bool refuse(struct result *result, enum error_code error, const char *what,
                   uint64_t block, uint32_t index)
{
    result->error = error;
    snprintf(result->detail, sizeof(result->detail), "%s (block %" PRIu64 ", index %u)",
             what, block, index);
    return false;
}

static struct cell *held(const struct session *session, uint64_t block, uint32_t index)
{
    struct slot *slot = session->group ? slot_find(session->group, block) : NULL;

    struct cell *cell = slot_look(slot, index);
    return cell && cell->state == CELL_INFLIGHT && cell->session == session->index ? cell
                                                                                   : NULL;
}

static bool check_outcome(struct core *core, struct result *result,
                          const struct record *r)
{
    const struct session *session = result->session;
    const struct route *route = route_get(core, r); /* NULL: the type is not legal */

    if (session->role != ROLE_CONNECTOR || !session->group)
        return refuse(result, ERR_bad_identity, "only a connector gives outcomes",
                      r->cause_block, r->cause_index);
    if (r->status == STATUS_PENDING ||
        (r->status == STATUS_FAILED) != (r->error_class != CLASS_none) ||
        (r->flags & (RECORD_BY_BROKER | RECORD_DOUBT)) || !route)
        return refuse(
            result, ERR_bad_frame,
            "an outcome has a legal type, and is Success, or Failed with a class",
            r->cause_block, r->cause_index);
    size_t n = strlen(session->group->connector);
    bool is_own = route->class == TYPE_OUTCOME && r->type_len > n &&
                  record_type(r)[n] == '.' &&
                  memcmp(record_type(r), session->group->connector, n) == 0;
    if (!is_own && !may_publish(core, session, record_type(r), r->type_len) &&
        !(r->status == STATUS_FAILED && route->class == TYPE_WEBHOOK &&
          route->sole == session->group))
        return refuse(result, ERR_undeclared_type,
                      "the manifest declares no outcome of this type", r->cause_block,
                      r->cause_index);
    return true;
}

static bool check_ack(struct result *result, const struct record *r)
{
    const struct control_ack *c = (const struct control_ack *)record_data(r);

    if (r->data_len < sizeof(*c) || c->count > BLOCK_SIZE_MAX / sizeof(struct record) ||
        (c->result != STATUS_SUCCESS && c->result != STATUS_FAILED))
        return refuse(result, ERR_bad_frame, "ack record not well-formed", 0, 0);
    if (result->session->role == ROLE_CONNECTOR)
        return refuse(result, ERR_bad_frame, "a connector answers with outcomes",
                      c->block, c->first);
    return true;
}

static bool check_retry(struct result *result, const struct record *r)
{
    const struct control_retry *c = (const struct control_retry *)record_data(r);

    if (r->data_len < sizeof(*c))
        return refuse(result, ERR_bad_frame, "retry record not well-formed", 0, 0);
    return true;
}

static bool check_fact(struct core *core, struct result *result, const struct record *r)
{
    const struct route *route = route_get(core, r);

    if (!route)
        return refuse(result, ERR_bad_type, "a fact's type is not legal", 0, 0);
    if (r->flags &
        (RECORD_BY_BROKER | RECORD_SCHEDULED | RECORD_ONE_GROUP | RECORD_PROVIDERS))
        return refuse(result, ERR_bad_frame, "a fact has flags of the broker's", 0, 0);
    bool is_providers = found_is_providers(result->session, route);
    if (result->session->role == ROLE_CONNECTOR && !is_providers &&
        !may_publish(core, result->session, route->type, route->type_len))
        return refuse(result, ERR_undeclared_type,
                      "the manifest does not declare this type", 0, 0);
    if ((result->session->role != ROLE_CONNECTOR || is_providers) &&
        !rights_may_say(result->session->rights, route->type, route->type_len))
        return refuse(result, ERR_forbidden, "this peer may not publish this type", 0, 0);
    if (route->class != TYPE_FREE && result->session->role != ROLE_CONNECTOR)
        return refuse(result, ERR_reserved_type,
                      "this type is not this session's to publish", 0, 0);
    if (result->session->role != ROLE_CONNECTOR || (!is_providers && !found_has_key(r)))
        return true;
    const char *why = found_misfit(result->outcome, r);
    if (why)
        return refuse(result, ERR_bad_frame, why, 0, 0);
    result->extra += FOUND_ROOM;
    return true;
}

static bool check(struct core *core, struct result *result, const struct record *r)
{
    if (r->kind != RECORD_FACT)
        result->outcome = r->kind == RECORD_OUTCOME ? r : NULL;
    switch (r->kind) {
    case RECORD_OUTCOME:
        return check_outcome(core, result, r);
    case RECORD_ACK:
        return check_ack(result, r);
    case RECORD_RETRY:
        return check_retry(result, r);
    case RECORD_FACT:
        return check_fact(core, result, r);
    default:
        return refuse(result, ERR_bad_frame,
                      "a result holds outcomes, acks, retries and facts", 0, 0);
    }
}

static bool check_all(struct core *core, struct result *result, const struct message *m)
{
    const uint8_t *body = message_body(m);

    for (size_t at = 0; at < m->body_len;) {
        const char *why;
        const struct record *r = record_check(body + at, m->body_len - at, &why);
        if (!r)
            return refuse(result, ERR_bad_frame, why, 0, (uint32_t)at);
        if (!check(core, result, r))
            return false;
        result->extra += r->kind == RECORD_RETRY ? RETRY_EXTRA : 0;
        at += r->len;
    }
    if (m->body_len > RECORD_GROUP_MAX || m->body_len + result->extra > RESULT_STAGED_MAX)
        return refuse(
            result, ERR_batch_too_large,
            "a result is at most 2 MiB, 3 MiB with what the broker adds to each "
            "retry, outcome and fact with a key",
            0, 0);
    return true;
}

/* The delivery is no longer the session's; what became of it follows from the staged
 * record. NULL when it was not (any more) the session's, or is named twice: such a record
 * is late, and left out. */
static struct slot *release(struct core *core, struct result *result, uint64_t block,
                            uint32_t index)
{
    struct group *group = result->session->group;
    struct cell *cell = held(result->session, block, index);

    if (!cell) {
        result->not_held++;
        return NULL;
    }
    result->released++;
    result->bytes += cell->len;
    cell_leave(core, group, cell);
    cell->state = CELL_SETTLING;
    return slot_find(group, block);
}

/* With the facts behind it. Returns the bytes taken. */
static size_t take_outcome(struct core *core, struct result *result,
                           const struct record *r, const uint8_t *end)
{
    bool is_late = !release(core, result, r->cause_block, r->cause_index);
    const struct record *next = record_after(r);

    if ((const uint8_t *)next < end && next->kind == RECORD_FACT)
        return found_take(core, result->session, r, end, is_late, &result->not_held);
    if (!is_late)
        found_stage_outcome(core, result->session, r);
    return r->len;
}

/* One run of what is acknowledged is settled. Where positions in between are not the
 * session's (a consumer that was too late for some), what follows the gap is delivered
 * again: rare, and at least once. */
static void take_ack(struct core *core, struct result *result, const struct record *r)
{
    struct control_ack ack = *(const struct control_ack *)record_data(r);
    uint32_t end = ack.first + ack.count;

    while (ack.first < end && !held(result->session, ack.block, ack.first))
        ack.first++;
    for (ack.count = 0; ack.first + ack.count < end; ack.count++)
        if (!release(core, result, ack.block, ack.first + ack.count))
            break;
    for (uint32_t i = ack.first + ack.count; i < end; i++) {
        struct slot *slot = release(core, result, ack.block, i);
        if (slot) {
            slot->cells[i].state = CELL_WAITING;
            queue_push(&result->session->group->ready, ack.block, i);
        }
    }
    if (ack.count == 0) {
        result->not_held++;
        return;
    }
    ack.group = result->session->group->hash;
    struct record *copy = (struct record *)stage_add(core, r, r->len, NULL);
    memcpy((void *)(uintptr_t)record_data(copy), &ack, sizeof(ack));
}

/* Given back unbegun: what was not known before is not known now. */
static bool was_doubted(const struct slot *slot, uint32_t index)
{
    const struct cell *cell = slot_look(slot, index);

    return cell && (cell->flags & CELL_IN_DOUBT);
}

static void take_retry(struct core *core, struct result *result, const struct record *r)
{
    const struct control_retry *c = (const struct control_retry *)record_data(r);
    _free_ char *text = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ERROR_MSG);
    struct slot *slot = release(core, result, c->block, c->index);

    const struct setback setback = {
        .delay_us = c->due_us,
        .counts = c->attempts > 0,
        .leaves_doubt = (r->flags & RECORD_DOUBT) ||
                        (c->attempts == 0 && was_doubted(slot, c->index)),
        .why = r->error_class,
        .text = text ? text : "the connector asked for another attempt"};
    if (slot)
        retry_later(core, result->session->group, slot, c->index, &setback);
}

static void take_all(struct core *core, struct result *result, const struct message *m)
{
    const uint8_t *body = message_body(m);

    for (size_t at = 0; at < m->body_len;) {
        const struct record *r = (const struct record *)(body + at);
        if (r->kind == RECORD_OUTCOME) {
            at += take_outcome(core, result, r, body + m->body_len);
            continue;
        }
        if (r->kind == RECORD_ACK)
            take_ack(core, result, r);
        else if (r->kind == RECORD_RETRY)
            take_retry(core, result, r);
        else
            stage_add(core, r, r->len, NULL);
        at += r->len;
    }
}

static void redeliver(struct core *core, struct session *session, uint64_t block,
                      uint32_t index)
{
    struct cell *cell = held(session, block, index);

    if (!cell)
        return;
    session->credit_events++;
    session->credit_bytes += cell->len;
    cell_leave(core, session->group, cell);
    cell->state = CELL_WAITING;
    queue_push(&session->group->ready, block, index);
}

/* A result that is committed, or on its way, and is sent again. What it names and the
 * session holds (again) was late when it came first: the peer is done with it, so it is
 * delivered once more. */
static void named_before(struct core *core, struct session *session,
                         const struct message *m)
{
    const uint8_t *body = message_body(m);
    const char *why;

    for (size_t at = 0; at < m->body_len;) {
        const struct record *r = record_check(body + at, m->body_len - at, &why);
        if (!r)
            break;
        const struct control_ack *ack = (const struct control_ack *)record_data(r);
        const struct control_retry *retry = (const struct control_retry *)record_data(r);
        if (r->kind == RECORD_OUTCOME)
            redeliver(core, session, r->cause_block, r->cause_index);
        else if (r->kind == RECORD_RETRY && r->data_len >= sizeof(*retry))
            redeliver(core, session, retry->block, retry->index);
        for (uint32_t i = 0; r->kind == RECORD_ACK && r->data_len >= sizeof(*ack) &&
                             i < ack->count && i < 1u << 16;
             i++)
            redeliver(core, session, ack->block, ack->first + i);
        at += r->len;
    }
}

static void say_settled(struct core *core, const struct session *session, uint64_t number)
{
    message_begin(&core->frame, MSG_SETTLED, number);
    message_end(&core->frame);
    send_frame(core, session->peer);
}

static void note_not_held(struct core *core, const struct result *result)
{
    char text[80];

    snprintf(text, sizeof(text), "%u records for events that it does not hold",
             result->not_held);
    refusal_note(core, REFUSAL_NOT_HELD, result->session->name, text);
}

void settle_result(struct core *core, struct session *session, const struct message *m)
{
    struct producer *producer = producer_get(core, session->instance, true);
    struct result result = {.session = session};
    struct batch_place place;

    if (numbers_have(&producer->staged, m->ref)) {
        named_before(core, session, m);
        if (numbers_have(&producer->committed, m->ref))
            say_settled(core, session, m->ref);
        return;
    }
    if (!check_all(core, &result, m)) {
        session_refuse(core, session->peer, m->ref, result.error, result.detail, 0);
        if (result.error == ERR_forbidden)
            refusal_note(core, REFUSAL_RIGHT, session->name, result.detail);
        return;
    }
    stage_room(core, m->body_len + result.extra + 2 * sizeof(struct record));
    stage_batch(core, session, m->ref, &place);
    uint32_t before = core->open.ref->block->count;
    take_all(core, &result, m);
    if (result.not_held)
        note_not_held(core, &result);
    stage_batch_count(core, &place, core->open.ref->block->count - before);
    struct reply *reply = stage_reply(core, session);
    reply->is_result = true;
    reply->number = m->ref;
    reply->credit_events = result.released;
    reply->bytes = result.bytes;
    session->returning += result.released;
    session->returning_bytes += result.bytes;
    numbers_add(&producer->staged, m->ref);
    producer->used_us = core->steady_us;
}

/* --- what the broker itself has to say about a request that nobody can finish --- */

static void outcome_type(const struct record *request, char *ret_type, size_t size)
{
    static const char suffix[] = ".requested";
    int n = request->type_len;

    if (n > (int)sizeof(suffix) - 1 &&
        memcmp(record_type(request) + n - (sizeof(suffix) - 1), suffix,
               sizeof(suffix) - 1) == 0)
        n -= (int)sizeof(suffix) - 1;
    else if (n > RECORD_TYPE_MAX - 7)
        n = RECORD_TYPE_MAX - 7; /* room for ".failed" */
    snprintf(ret_type, size, "%.*s.failed", n, record_type(request));
}

static void fail_request(struct core *core, struct group *group,
                         const struct record *request, struct position position,
                         const struct ending *ending)
{
    struct buf attrs = BUF_NULL;
    char type[RECORD_TYPE_MAX + 8];
    uint8_t id[16];

    outcome_type(request, type, sizeof(type));
    id_new(core->wall_us, id);
    _free_ char *trace =
        attrs_copy_text(record_attrs(request), request->attr_len, ATTR_TRACEPARENT);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, ending->text);
    attrs_text(&attrs, ATTR_TRACEPARENT, trace);
    struct record_parts parts = {
        .kind = RECORD_OUTCOME,
        .status = STATUS_FAILED,
        .error_class = ending->why,
        .flags = ending->had_deaths || ending->in_doubt ? RECORD_BY_BROKER | RECORD_DOUBT
                                                        : RECORD_BY_BROKER,
        .attempt = (uint8_t)(ending->attempts > 255 ? 255 : ending->attempts),
        .type = type,
        .id = id,
        .cause = request->id,
        .settles = position,
        .integration = group->hash,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
    };
    stage_parts(core, &parts, NULL);
    buf_fini(&attrs);
}

static void fail_delivery(struct core *core, struct group *group,
                          struct position position, enum record_class why,
                          const char *text)
{
    struct control_ack data = {.group = group->hash,
                               .first = position.index,
                               .count = 1,
                               .result = STATUS_FAILED,
                               .block = position.block};
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, text);
    struct record_parts parts = {.kind = RECORD_ACK,
                                 .error_class = why,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = &data,
                                 .data_len = sizeof(data)};
    stage_parts(core, &parts, NULL);
    buf_fini(&attrs);
}

/* Who gives up on what was begun and never answered does not know what came of it. */
static void end_request(struct core *core, struct group *group,
                        const struct record *request, struct position position,
                        const struct ending *ending)
{
    struct ending unknown = *ending;
    _free_ char *text = NULL;

    if (!ending->in_doubt) {
        fail_request(core, group, request, position, ending);
        return;
    }
    text = mem_format("%s; an earlier attempt ended without an answer and may have had "
                      "its effect: look it up and resolve",
                      ending->text);
    unknown.why = CLASS_unknown;
    unknown.text = text;
    fail_request(core, group, request, position, &unknown);
}

void settle_as(struct core *core, struct group *group, struct slot *slot, uint32_t index,
               const struct ending *ending)
{
    struct position position = {slot->block, index};
    struct block_ref *ref = group->is_handler ? cache_get(core, slot->block) : NULL;
    const struct record *request = ref ? block_ref_record(ref, index) : NULL;

    if (group->is_handler && !request) {
        core->ops->say(core->user, LOG_LOG_BROKEN,
                       "a request that must be failed cannot be read from the log");
        return;
    }
    slot_cell(slot, index)->state = CELL_SETTLING;
    if (group->is_handler)
        end_request(core, group, request, position, ending);
    else
        fail_delivery(core, group, position, ending->why, ending->text);
    block_ref_drop(ref);
}

void settle_by_broker(struct core *core, struct group *group, struct slot *slot,
                      uint32_t index, enum record_class why, const char *text)
{
    const struct cell *cell = slot_cell(slot, index);
    const struct ending ending = {.why = why,
                                  .text = text,
                                  .attempts = cell->attempts,
                                  .in_doubt = (cell->flags & (CELL_DOUBT | CELL_FRESH)) ==
                                              CELL_DOUBT,
                                  .had_deaths = cell->deaths > 0};

    settle_as(core, group, slot, index, &ending);
}

void settle_late(struct core *core, struct group *group, struct slot *slot,
                 uint32_t index)
{
    _free_ char *text = gate_deadline_sentence(group, slot_cell(slot, index)->attempts);

    settle_by_broker(core, group, slot, index, CLASS_deadline, text);
}
