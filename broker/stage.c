/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* stage - records on their way to the log
 *
 * Records are gathered in one open block.  It is sealed (numbered, chained, checksummed)
 * and handed to the logger at once when the logger is idle, and when it is full
 * otherwise, so that blocks grow by themselves under load.  A batch never spans blocks:
 * that is what makes it atomic. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"

enum { OPEN_CAP = 2 * BLOCK_SIZE_TARGET };

static void seal(struct core *core)
{
    struct staged *open = &core->open;
    struct block *b = open->ref->block;
    size_t len = b->len;

    core->last_time_us =
        core->wall_us > core->last_time_us ? core->wall_us : core->last_time_us;
    core->staged_requests += open->requests;
    core->staged_facts += open->facts;
    core->staged_outcomes += open->outcomes;
    b->number = core->next_number++;
    b->term = core->term;
    b->prev_crc = core->last_crc;
    b->timestamp_us = core->last_time_us;
    b->events = open->events;
    b->requests_total = core->staged_requests;
    b->facts_total = core->staged_facts;
    b->outcomes_total = core->staged_outcomes;
    block_seal(b, len);
    if (len <
        open->ref->cap / 2) { /* a quiet time's block must not keep a busy one's memory */
        block_ref_resize(open->ref, len);
        b = open->ref->block;
    }
    core->last_crc = b->crc;
    if (core->n_queue == core->cap_queue) {
        core->cap_queue = core->cap_queue ? core->cap_queue * 2 : 16;
        core->queue = mem_resize(core->queue, core->cap_queue * sizeof(*core->queue));
    }
    core->queue[core->n_queue++] = *open;
    *open = (struct staged){0};
}

/* Make room for n bytes in one block. While a checkpoint waits for the logger to come to
 * rest, the open block grows instead of being sealed. */
void stage_room(struct core *core, size_t n)
{
    struct staged *open = &core->open;
    size_t limit = core->wants_checkpoint ? BLOCK_SIZE_MAX : OPEN_CAP;

    if (open->ref && open->ref->block->len + n > limit) {
        if (open->ref->block->count > 0) {
            seal(core);
        } else {
            block_ref_drop(open->ref);
            open->ref = NULL;
        }
    }
    size_t need = sizeof(struct block) + n;
    if (!open->ref) {
        open->ref = block_ref_new(need > OPEN_CAP ? need : OPEN_CAP);
        return;
    }
    need = open->ref->block->len + n;
    if (need > open->ref->cap)
        block_ref_resize(open->ref, need * 2);
}

static void count(struct staged *open, const struct record *r)
{
    open->events += record_is_event(r);
    open->requests += r->kind == RECORD_REQUEST;
    open->facts += r->kind == RECORD_FACT;
    open->outcomes += r->kind == RECORD_OUTCOME;
}

uint8_t *stage_add(struct core *core, const void *record, size_t n, uint32_t *ret_index)
{
    struct block_ref *ref = core->open.ref;

    if (!ref || ref->block->len + n > ref->cap) {
        stage_room(core, n);
        ref = core->open.ref;
    }
    uint8_t *at = (uint8_t *)ref->block + ref->block->len;
    memcpy(at, record, n);
    ref->block->len += (uint32_t)n;
    if (ret_index)
        *ret_index = ref->block->count;
    ref->block->count++;
    core->staged_bytes += n;
    count(&core->open, record);
    return at;
}

long stage_parts(struct core *core, const struct record_parts *parts, uint32_t *ret_index)
{
    buf_clear(&core->scratch);
    if (record_add(&core->scratch, parts) < 0)
        return -1;
    stage_add(core, core->scratch.bytes, core->scratch.len, ret_index);
    return 0;
}

struct reply *stage_reply(struct core *core, struct session *session)
{
    struct staged *open = &core->open;

    if (open->n_replies == open->cap_replies) {
        open->cap_replies = open->cap_replies ? open->cap_replies * 2 : 16;
        open->replies =
            mem_resize(open->replies, open->cap_replies * sizeof(*open->replies));
    }
    struct reply *reply = &open->replies[open->n_replies++];
    *reply = (struct reply){.session = session->index, .serial = session->serial};
    memcpy(reply->instance, session->instance, 16);
    return reply;
}

/* A checkpoint is a block (or a few) of its own, written when everything before it is
 * applied: the state it holds is that of the log up to the block before. */
static void seal_checkpoint(struct core *core)
{
    struct staged kept = core->open;
    struct buf state = BUF_NULL;
    const size_t piece_max = RECORD_DATA_MAX - sizeof(struct control_checkpoint);
    uint32_t piece = 0;

    core->open = (struct staged){0};
    checkpoint_write(core, &state);
    for (size_t at = 0; at < state.len || piece == 0; piece++) {
        size_t n = state.len - at < piece_max ? state.len - at : piece_max;
        struct control_checkpoint head = {.piece = piece, .last = at + n == state.len};
        struct buf data = BUF_NULL;
        buf_add(&data, &head, sizeof(head));
        buf_add(&data, state.bytes + at, n);
        struct record_parts parts = {
            .kind = RECORD_CHECKPOINT, .data = data.bytes, .data_len = data.len};
        buf_clear(&core->scratch);
        record_add(&core->scratch, &parts);
        stage_room(core, core->scratch.len);
        if (piece == 0)
            core->open.ref->block->flags =
                BLOCK_CHECKPOINT | (core->wants_segment ? BLOCK_OPENS_SEGMENT : 0);
        stage_add(core, core->scratch.bytes, core->scratch.len, NULL);
        buf_fini(&data);
        at += n;
    }
    checkpoint_definitions(core);
    seal(core);
    buf_fini(&state);
    core->wants_checkpoint = core->wants_segment = false;
    core->log_since_checkpoint = 0;
    core->open = kept;
}

void stage_flush(struct core *core)
{
    if (!core->is_started)
        return;
    if (core->wants_checkpoint && core->n_queue == 0)
        seal_checkpoint(core);
    struct staged *open = &core->open;
    bool full = open->ref && open->ref->block->len >= BLOCK_SIZE_TARGET;
    if (open->ref && open->ref->block->count > 0 && !core->wants_checkpoint &&
        (core->n_queue == 0 || (full && core->n_queue < CORE_OUTSTANDING_MAX)))
        seal(core);
    while (core->outstanding < core->n_queue && core->outstanding < CORE_OUTSTANDING_MAX)
        core->ops->append(core->user, core->queue[core->outstanding++].ref);
}

static void add_verdicts(struct core *core, const struct buf *verdicts, struct buf *out)
{
    const struct verdict_due *due = (const struct verdict_due *)verdicts->bytes;

    for (size_t i = 0; i < verdicts->len / sizeof(*due); i++) {
        struct core_key first = {0};
        key_value(core, due[i].key, &first);
        struct verdict v = {.index = due[i].index,
                            .code = due[i].code,
                            .block = first.position.block,
                            .position = first.position.index};
        memcpy(v.first_id, first.id, 16);
        buf_add(out, &v, sizeof(v));
    }
}

void send_published(struct core *core, const struct session *session, uint64_t number,
                    uint32_t events, struct published *published,
                    const struct buf *verdicts)
{
    published->verdicts = (uint32_t)(verdicts->len / sizeof(struct verdict_due));
    message_begin(&core->frame, MSG_PUBLISHED, number);
    buf_add(&core->frame, published, sizeof(*published));
    add_verdicts(core, verdicts, &core->frame);
    message_end(&core->frame)->count = events;
    send_frame(core, session->peer);
}

/* The requests of a batch published with `wait`: their outcomes are sent to the
 * publisher. */
static void register_waits(struct core *core, struct session *session,
                           const struct reply *reply, struct block_ref *ref)
{
    uint32_t event = 0;

    for (uint32_t i = 0; i < reply->count; i++) {
        const struct record *r = block_ref_record(ref, reply->first + i);
        if (r->kind == RECORD_REQUEST)
            wait_add(core, session,
                     (struct position){ref->block->number, reply->first + i},
                     reply->number, event);
        event += record_is_event(r);
    }
}

/* The peer's room. A session that was lost meanwhile had none of it in its successor. */
static void give_back(struct session *session, const struct reply *reply)
{
    if (session->serial != reply->serial)
        return;
    if (!reply->is_result) {
        session->window_used -= reply->bytes;
        return;
    }
    session->credit_events += reply->credit_events;
    session->credit_bytes += (int64_t)reply->bytes;
    session->returning -= reply->credit_events;
    session->returning_bytes -= reply->bytes;
}

static void answer_one(struct core *core, struct session *session,
                       const struct reply *reply, struct block_ref *ref)
{
    if (reply->frame.len > 0) {
        buf_clear(&core->frame);
        buf_add(&core->frame, reply->frame.bytes, reply->frame.len);
        send_frame(core, session->peer);
        return;
    }
    if (reply->answer) {
        admin_answer(core, session, reply->number, /* ok= */ true, reply->answer);
        return;
    }
    if (reply->is_result) {
        message_begin(&core->frame, MSG_SETTLED, reply->number);
        message_end(&core->frame);
        send_frame(core, session->peer);
        return;
    }
    struct published published = {.block = ref->block->number,
                                  .first = reply->first,
                                  .timestamp_us = ref->block->timestamp_us};
    send_published(core, session, reply->number, reply->events, &published,
                   &reply->verdicts);
    if (reply->wants_outcomes)
        register_waits(core, session, reply, ref);
}

static void answer(struct core *core, struct staged *staged)
{
    for (size_t i = 0; i < staged->n_replies; i++) {
        struct reply *reply = &staged->replies[i];
        struct session *session = core->sessions[reply->session];
        if (session && memcmp(session->instance, reply->instance, 16) == 0) {
            give_back(session, reply);
            answer_one(core, session, reply, staged->ref);
        }
        reply_fini(reply);
    }
    free(staged->replies);
}

static void take_head(struct core *core, const struct log_head *head)
{
    uint64_t low = core->segment_low;

    core->head = *head;
    if (head->segment_room < low && core->log_since_checkpoint > 0)
        core->wants_segment = core->wants_checkpoint = true;
    if (core->log_since_checkpoint >= CORE_CHECKPOINT_BYTES)
        core->wants_checkpoint = true;
}

void stage_committed(struct core *core, const struct log_head *head)
{
    size_t done = 0;
    const char *why;

    for (;
         done < core->outstanding && core->queue[done].ref->block->number <= head->number;
         done++) {
        struct staged *staged = &core->queue[done];
        const struct block *block = staged->ref->block;
        if (!apply_block(core, block, &why)) {
            core->ops->say(core->user, LOG_FATAL, why);
            abort(); /* our own block does not follow our own state: a bug, recovery
                        starts afresh */
        }
        if (!(block->flags & BLOCK_CHECKPOINT))
            core->log_since_checkpoint += block->len;
        cache_put(core, staged->ref);
        answer(core, staged);
        core->ops->live(core->user, block);
        core->staged_bytes -= block->len - sizeof(*block);
        block_ref_drop(staged->ref);
    }
    core->n_queue -= done;
    core->outstanding -= done;
    memmove(core->queue, core->queue + done, core->n_queue * sizeof(*core->queue));
    take_head(core, head);
}
