/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "judge.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"
#include "world.h"

enum {
    HELD_MAX = 256,
    UNANSWERED_MAX = 32,
    CONNECTORS = 2,
    OTHERS = 4, /* of the peers below, all but the gateway */
    PEERS = 5,
    PROVIDERS_EVENTS = 8,
    REQUESTS_MAX = 4096,
    CREDIT = 16, /* of a session */
};

struct unanswered {
    uint64_t number;
    bool is_result, waits;
    uint32_t count;
    struct buf records;
};

/* A peer that keeps what a real one keeps: what it holds, and what was not answered. */
struct mpeer {
    const char *role, *name, *key, *group;
    uint64_t address, pid, number;
    uint8_t instance[16];
    bool is_joined;
    struct wire_position held[HELD_MAX];
    uint8_t held_id[HELD_MAX][16];
    bool held_is_answered[HELD_MAX]; /* a result for it is on its way */
    bool held_is_once[HELD_MAX];     /* it may not be repeated */
    bool held_is_over[HELD_MAX];     /* a result that was sent again was about it */
    size_t n_held, n_started;
    struct unanswered unanswered[UNANSWERED_MAX];
    size_t n_unanswered;
};

struct model {
    struct world world;
    struct mpeer peers[PEERS]; /* 0,1 connectors; 2 client; 3 consumer; 4 gateway */
    bool finds; /* webhooks come, and outcomes bring along what a poll found */
    uint64_t next_address, next_pid;
    uint8_t acked[REQUESTS_MAX][16];
    size_t n_acked;
    uint64_t seed, published;
    struct judge judge;
    struct core_integration integration;
    struct core_group group;
    struct core_config config;
    const char *broken;
};

static const char *const group_types[] = {"payment.*.succeeded", "order.>"};
static const struct core_schedule schedules[] = {
    {.operation = "events", .when = "every 1m", .every_us = 60000000, .missed = 1}};
static const struct core_integration integration = {.name = "stripe",
                                                    .connector = "payment",
                                                    .service = "Stripe",
                                                    .key = "k",
                                                    .attempts = 4,
                                                    .deadline_us = 3600000000,
                                                    .schedules = schedules,
                                                    .n_schedules = 1};
static const struct core_price prices[] = {{"charge", {1, "USD"}, 0}};
static const struct core_group group = {
    .name = "billing", .types = group_types, .n_types = 2, .attempts = 3};

static void broke(struct model *model, const char *what)
{
    if (!model->broken)
        model->broken = what;
}

static void send(struct model *model, struct mpeer *p, struct buf *frame)
{
    world_send(&model->world, p->address, p->pid, frame);
    buf_fini(frame);
}

/* The positions that a result is about. */
static size_t named(const struct buf *records, struct wire_position ret[HELD_MAX])
{
    size_t n = 0;

    for (size_t at = 0; at < records->len && n < HELD_MAX;) {
        const struct record *r = (const struct record *)(records->bytes + at);
        const struct control_retry *retry = (const void *)record_data(r);
        const struct control_ack *ack = (const void *)record_data(r);
        at += r->len;
        if (r->kind == RECORD_OUTCOME)
            ret[n++] = (struct wire_position){r->cause_block, r->cause_index, 0};
        else if (r->kind == RECORD_RETRY)
            ret[n++] = (struct wire_position){retry->block, retry->index, 0};
        else if (r->kind == RECORD_ACK)
            ret[n++] = (struct wire_position){ack->block, ack->first, 0};
    }
    return n;
}

/* Whether what it is about is still counted as the peer's is the broker's to know. */
static void mark_over(struct mpeer *p, const struct buf *records)
{
    struct wire_position at[HELD_MAX];

    for (size_t i = 0, n = named(records, at); i < n; i++)
        for (size_t j = 0; j < p->n_held; j++)
            if (p->held[j].block == at[i].block && p->held[j].index == at[i].index)
                p->held_is_over[j] = true;
}

static void resend(struct model *model, struct mpeer *p)
{
    for (size_t i = 0; i < p->n_unanswered; i++) {
        struct unanswered *u = &p->unanswered[i];
        struct buf frame = BUF_NULL;
        if (u->is_result)
            mark_over(p, &u->records);
        if (u->is_result)
            frame_result(&frame, u->number, &u->records);
        else
            frame_publish(&frame, u->number, u->waits, &u->records, u->count);
        send(model, p, &frame);
    }
}

/* Say HELLO from a new address, as after a lost connection. */
static void join(struct model *model, struct mpeer *p)
{
    struct buf frame = BUF_NULL;

    p->address = ++model->next_address;
    p->is_joined = false;
    frame_hello_of(&frame, p->role, p->name, p->instance, p->key,
                   strcmp(p->role, "connector") == 0 ? world_manifest : NULL, p->group,
                   p->held, p->n_held);
    send(model, p, &frame);
}

/* A new process in its place. */
static void reborn(struct model *model, struct mpeer *p)
{
    for (size_t i = 0; i < p->n_unanswered; i++)
        buf_fini(&p->unanswered[i].records);
    p->n_unanswered = p->n_held = p->n_started = 0;
    p->number = 0;
    if (p->pid && model->world.n_dead < 64)
        model->world.dead_pids[model->world.n_dead++] = p->pid;
    p->pid = ++model->next_pid;
    id_random(p->instance, 16);
    uint64_t mix = model->seed++;
    memcpy(p->instance, &mix, 8); /* repeatable */
    memset(p->instance + 8, (int)p->pid, 8);
    join(model, p);
}

static bool is_committed(const struct model *model, uint64_t block)
{
    return block >= 1 && block <= model->world.n_log;
}

static void take_one(struct mpeer *p, uint64_t block, uint32_t index,
                     const struct record *r)
{
    size_t at = 0;

    while (at < p->n_held && (p->held[at].block != block || p->held[at].index != index))
        at++;
    if (at == HELD_MAX)
        return;
    if (at == p->n_held)
        p->n_held++;
    p->held_is_answered[at] = false; /* here already: answered before, or a delivery too
                                        many, which is allowed */
    memcpy(p->held_id[at], r->id, 16);
    p->held_is_over[at] = false;
    p->held_is_once[at] = memcmp(record_type(r), "payment.transfer", 16) == 0;
    p->held[at] = (struct wire_position){block, index, 0};
}

static void take_delivery(struct model *model, struct mpeer *p, const struct message *m)
{
    const struct slice *slice = NULL;
    const struct record *r;
    const char *why;

    while ((slice = message_slice(m, slice, &r, &why))) {
        for (uint32_t i = 0; i < slice->count; i++, r = record_after(r))
            take_one(p, slice->block, slice->index + i, r);
    }
    if (why)
        broke(model, "a DELIVER that does not parse");
}

/* `answered`: only if a result for it was sent; what was delivered again since is a new
 * task. */
static void forget_held(struct mpeer *p, uint64_t block, uint32_t index, bool answered)
{
    for (size_t i = 0; i < p->n_held; i++) {
        if (p->held[i].block != block || p->held[i].index != index)
            continue;
        if (answered && !p->held_is_answered[i]) {
            p->held_is_over[i] = true;
            continue;
        }
        p->n_held--;
        p->held[i] = p->held[p->n_held];
        p->held_is_answered[i] = p->held_is_answered[p->n_held];
        p->held_is_once[i] = p->held_is_once[p->n_held];
        p->held_is_over[i] = p->held_is_over[p->n_held];
        memcpy(p->held_id[i], p->held_id[p->n_held], 16);
        return;
    }
}

/* What a result settled is no longer held. */
static void forget_result(struct mpeer *p, const struct buf *records)
{
    struct wire_position at[HELD_MAX];

    for (size_t i = 0, n = named(records, at); i < n; i++)
        forget_held(p, at[i].block, at[i].index, true);
}

/* Was this event of the batch not stored, because its idempotency key came before? */
static bool is_duplicate(const struct message *m, uint32_t event)
{
    const struct published *published = message_body(m);
    const struct verdict *verdict = (const struct verdict *)(published + 1);

    for (uint32_t i = 0; i < published->verdicts; i++)
        if (verdict[i].index == event)
            return true;
    return false;
}

static void note_acked(struct model *model, const struct message *m,
                       const struct buf *records)
{
    uint32_t event = 0;

    for (size_t at = 0; at < records->len;) {
        const struct record *r = (const struct record *)(records->bytes + at);
        if (record_is_event(r) && model->n_acked < REQUESTS_MAX &&
            !is_duplicate(m, event))
            memcpy(model->acked[model->n_acked++], r->id, 16);
        event += record_is_event(r);
        at += r->len;
    }
}

static void answered(struct model *model, struct mpeer *p, const struct message *m,
                     bool stored)
{
    for (size_t i = 0; i < p->n_unanswered; i++) {
        struct unanswered *u = &p->unanswered[i];
        if (u->number != m->ref)
            continue;
        if (u->is_result)
            forget_result(p, &u->records);
        if (stored && !u->is_result)
            note_acked(model, m, &u->records);
        buf_fini(&u->records);
        p->n_unanswered--;
        memmove(u, u + 1, (p->n_unanswered - i) * sizeof(*u));
        return;
    }
}

static void welcomed(struct model *model, struct mpeer *p, const struct message *m)
{
    struct attr_value lost;

    p->is_joined = true;
    if (attrs_find_named(message_body(m), m->body_len, "lost", &lost))
        for (size_t at = 0; at + sizeof(struct wire_position) <= lost.text_len;
             at += sizeof(struct wire_position)) {
            struct wire_position gone;
            memcpy(&gone, lost.text + at, sizeof(gone));
            forget_held(p, gone.block, gone.index, false);
        }
    if (p->group) {
        struct buf frame = BUF_NULL;
        frame_subscribe(&frame, p->group, CREDIT);
        send(model, p, &frame);
    }
    resend(model, p);
}

static void hear(struct model *model, struct mpeer *p)
{
    struct buf frame;

    while (world_take(&model->world, p->address, &frame)) {
        const struct message *m = world_message(&frame);
        if (m->type == MSG_WELCOME)
            welcomed(model, p, m);
        else if (m->type == MSG_DELIVER)
            take_delivery(model, p, m);
        else if (m->type == MSG_PUBLISHED || m->type == MSG_SETTLED)
            answered(model, p, m, true);
        else if (m->type == MSG_REFUSED && m->ref)
            answered(model, p, m, false);
        if (m->type == MSG_PUBLISHED && m->body_len >= sizeof(struct published)) {
            const struct published *published = message_body(m);
            if (published->block && !is_committed(model, published->block))
                broke(model, "acknowledged before it was committed");
        }
        buf_fini(&frame);
    }
}

static void hear_all(struct model *model)
{
    for (size_t i = 0; i < PEERS; i++)
        hear(model, &model->peers[i]);
}

static struct unanswered *next_batch(struct mpeer *p, bool is_result)
{
    if (!p->is_joined || p->n_unanswered == UNANSWERED_MAX)
        return NULL;
    struct unanswered *u = &p->unanswered[p->n_unanswered++];
    *u = (struct unanswered){.number = ++p->number, .is_result = is_result};
    return u;
}

static void submit(struct model *model, struct mpeer *p, struct unanswered *u)
{
    struct buf frame = BUF_NULL;

    if (u->is_result)
        frame_result(&frame, u->number, &u->records);
    else
        frame_publish(&frame, u->number, u->waits, &u->records, u->count);
    send(model, p, &frame);
}

static void publish(struct model *model, unsigned how)
{
    static const char *const requests[] = {"payment.charge.requested",
                                           "payment.transfer.requested"};
    static const char *const keys[] = {NULL, "ann", "ann", "bob", "eve", "bob"};
    struct mpeer *p = &model->peers[2];
    struct unanswered *u = next_batch(p, false);

    if (!u)
        return;
    u->waits = how & 4;
    u->count = 1 + how % 4;
    for (uint32_t i = 0; i < u->count; i++) {
        uint8_t id[16];
        bool fact = (how >> 3) % 3 == 0;
        id_derive("model", model->seed++, id);
        if ((how & 64) && i == 0) { /* under an idempotency key of a small set */
            struct control_idempotency key = {.body_hash = 1,
                                              .expires_us = model->world.wall_us * 2};
            struct record_parts k = {
                .kind = RECORD_IDEMPOTENCY, .data = &key, .data_len = sizeof(key)};
            uint8_t name[16] = {(uint8_t)(how % 7)};
            k.id = name;
            record_add(&u->records, &k);
        }
        struct record_parts parts = {
            .kind = fact ? RECORD_FACT : RECORD_REQUEST,
            .id = id,
            .type = fact ? "order.created" : requests[how % 5 == 0],
            .key = keys[(how >> 4) % 6],
            .time_us = ++model->published,
            .data = "{}",
            .data_len = 2,
            .deadline_us = (how & 32) && !fact ? model->world.wall_us + 5000000 : 0};
        record_add(&u->records, &parts);
    }
    submit(model, p, u);
}

/* A provider's event of a small set comes as a webhook. Its data is its number. */
static void hook(struct model *model, unsigned how)
{
    struct control_idempotency key = {.body_hash = 1,
                                      .expires_us = model->world.wall_us * 2};
    struct mpeer *p = &model->peers[OTHERS];
    struct unanswered *u = model->finds ? next_batch(p, false) : NULL;
    char text[] = "evt_0", *number = &text[4];
    uint8_t name[16], id[16];

    if (!u)
        return;
    *number = (char)('0' + how % PROVIDERS_EVENTS);
    u->count = 1;
    hash_pair(PROVIDER_SCOPE "stripe", text, strlen(text), name);
    id_derive("hook", model->seed++, id);
    record_add(&u->records, &(struct record_parts){.kind = RECORD_IDEMPOTENCY,
                                                   .id = name,
                                                   .data = &key,
                                                   .data_len = sizeof(key)});
    record_add(&u->records,
               &(struct record_parts){.kind = RECORD_FACT,
                                      .flags = RECORD_WEBHOOK,
                                      .type = "stripe.checkout.session.completed",
                                      .id = id,
                                      .data = number,
                                      .data_len = 1});
    submit(model, p, u);
}

/* The same as a poll finds them: behind their outcome. */
static void add_found(struct model *model, const uint8_t cause[16], unsigned first,
                      unsigned n, struct buf *out)
{
    for (unsigned i = 0; i < n; i++) {
        char text[] = "evt_0", *number = &text[4];
        struct buf attrs = BUF_NULL;
        uint8_t id[16];
        *number = (char)('0' + (first + 3 * i) % PROVIDERS_EVENTS);
        id_derive("found", model->seed++, id);
        attrs_begin(&attrs);
        attrs_text(&attrs, ATTR_IDEMPOTENCY_KEY, text);
        record_add(out,
                   &(struct record_parts){.kind = RECORD_FACT,
                                          .type = "stripe.checkout.session.completed",
                                          .id = id,
                                          .cause = cause,
                                          .attrs = attrs.bytes,
                                          .attr_len = attrs.len,
                                          .data = number,
                                          .data_len = 1});
        buf_fini(&attrs);
    }
}

static void add_settlement(struct model *model, struct mpeer *p, size_t i, unsigned how,
                           struct buf *out)
{
    const struct wire_position *at = &p->held[i];
    uint8_t id[16];

    id_derive("outcome", model->seed++, id);
    if (how % 4 == 3) {
        struct control_retry retry = {.block = at->block,
                                      .index = at->index,
                                      .attempts = how >> 4 & 1,
                                      .due_us = how & 32 ? 1000 : 0};
        struct record_parts parts = {
            .kind = RECORD_RETRY,
            .flags = how & 64 && p->held_is_once[i] ? RECORD_DOUBT : 0,
            .data = &retry,
            .data_len = sizeof(retry)};
        record_add(out, &parts);
    } else if (strcmp(p->role, "connector") == 0) {
        bool ok = how % 4 != 2;
        unsigned found = ok && model->finds ? how >> 3 & 3 : 0;
        char number = (char)('0' + found);
        struct record_parts parts = {.kind = RECORD_OUTCOME,
                                     .status = ok ? STATUS_SUCCESS : STATUS_FAILED,
                                     .error_class = ok ? CLASS_none : CLASS_permanent,
                                     .id = id,
                                     .type = ok ? "payment.charge.succeeded"
                                                : "payment.charge.failed",
                                     .cause = p->held_id[i],
                                     .settles = {at->block, at->index},
                                     .data = &number,
                                     .data_len = found > 0};
        record_add(out, &parts);
        add_found(model, p->held_id[i], how >> 5 ^ (unsigned)i, found, out);
    } else {
        struct control_ack ack = {
            .block = at->block, .first = at->index, .count = 1, .result = STATUS_SUCCESS};
        struct record_parts parts = {
            .kind = RECORD_ACK, .data = &ack, .data_len = sizeof(ack)};
        record_add(out, &parts);
    }
    p->held_is_answered[i] = true;
}

static void settle(struct model *model, struct mpeer *p, size_t max, unsigned how)
{
    size_t n = 0;

    for (size_t i = 0; i < p->n_held; i++)
        n += !p->held_is_answered[i];
    struct unanswered *u = n > 0 ? next_batch(p, true) : NULL;
    for (size_t i = 0; u && i < p->n_held && max > 0; i++)
        if (!p->held_is_answered[i]) {
            add_settlement(model, p, i, how, &u->records);
            max--;
        }
    if (u)
        submit(model, p, u);
}

static void ping(struct model *model, struct mpeer *p, size_t started)
{
    struct buf frame = BUF_NULL;

    frame_ping(&frame, p->held, started < p->n_held ? started : p->n_held);
    send(model, p, &frame);
}

static void garbage(struct model *model, unsigned how)
{
    struct buf frame = BUF_NULL;

    message_begin(&frame, (enum message_type)(how % 20), how);
    for (unsigned i = 0; i < how % 50; i++)
        buf_add(&frame, (const uint8_t[]){(uint8_t)(how * 31 + i * 7)}, 1);
    message_end(&frame);
    if (how & 1)
        frame.bytes[how % frame.len] ^= 0x40;
    world_send(&model->world, 999999, 0, &frame);
    buf_fini(&frame);
}

static void crash(struct model *model)
{
    world_crash(&model->world);
    judge_restart(&model->judge);
    if (model->world.log_replay_failed)
        broke(model, "the log does not replay");
    for (size_t i = 0; i < PEERS; i++)
        join(model, &model->peers[i]);
}

/* Nobody holds more than it asked for. What a result that was sent again spoke of is no
 * longer its own, though the peer does not know it. */
static void check_credit(struct model *model)
{
    for (size_t i = 0; i < PEERS; i++) {
        const struct mpeer *p = &model->peers[i];
        size_t n = 0;
        for (size_t j = 0; p->is_joined && j < p->n_held; j++)
            n += !p->held_is_over[j];
        if (n > CREDIT)
            broke(model, "a session has more than its credit");
    }
}

static void step(struct model *model, uint8_t op, uint8_t how)
{
    struct mpeer *connector = &model->peers[how & 1];
    static const uint64_t waits[] = {1000, 300000, 2000000, 31000000, 400000000};

    switch (op % 16) {
    case 0:
    case 1:
    case 2:
        publish(model, how);
        break;
    case 3:
        world_commit(&model->world, 1);
        break;
    case 4:
    case 5:
        core_flush(model->world.core);
        world_commit(&model->world, 1 + how % 4);
        break;
    case 6:
    case 7:
        settle(model, connector, 1 + how % 8, how >> 1);
        break;
    case 8:
        settle(model, &model->peers[3], 1 + how % 8, how >> 1);
        break;
    case 9:
        ping(model, connector, how % 5);
        break;
    case 10:
        reborn(model, &model->peers[how % 4 == 2 ? 3 : how % 2]);
        break;
    case 11:
        core_gone(model->world.core, model->peers[how % OTHERS].address);
        join(model, &model->peers[how % OTHERS]);
        break;
    case 12:
        world_advance(&model->world, waits[how % 5]);
        join(model, &model->peers[2]); /* away for longer than CORE_PRODUCERS_IDLE_S it
                                          would have to be another process */
        join(model, &model->peers[OTHERS]);
        break;
    case 13:
        crash(model);
        break;
    case 14:
        if (how & 1)
            world_relink(&model->world);
        else
            model->world.segment_room = how & 2 ? 1 << 20 : 1 << 30;
        model->world.spare_bytes = (how & 12) == 12 ? 0 : 1 << 30;
        break;
    default:
        garbage(model, how);
        hook(model, how);
    }
    hear_all(model);
    check_credit(model);
}

/* Everyone is well and works: then nothing may stay open but what is scheduled for later.
 */
static void heal(struct model *model)
{
    model->world.segment_room = model->world.spare_bytes = 1 << 30;
    world_relink(&model->world);
    for (size_t i = 0; i < PEERS; i++)
        join(model, &model->peers[i]);
    for (int round = 0; round < 400; round++) {
        hear_all(model);
        for (size_t i = 0; i < 4; i++)
            if (i != 2)
                settle(model, &model->peers[i], HELD_MAX, 0);
        world_settle(&model->world);
        hear_all(model);
        for (size_t i = 0; i < PEERS; i++)
            ping(model, &model->peers[i], HELD_MAX);
        hear_all(model);
        world_advance(&model->world, round < 300 ? 1000000 : 1000);
    }
}

/* --- what the log must say --- */

static bool in_log(const struct model *model, const uint8_t id[16])
{
    for (size_t b = 0; b < model->world.n_log; b++) {
        const struct block *block = model->world.log[b]->block;
        for (const struct record *r = block->count ? block_first(block) : NULL; r;
             r = block_next(block, r))
            if (record_is_event(r) && memcmp(r->id, id, 16) == 0)
                return true;
    }
    return false;
}

/* Numbers of the status that a replay must give again. */
static const char *const folded[] = {
    "requests",
    "groups.0.pending",
    "groups.0.success",
    "groups.0.failed",
    "groups.0.limits.breaker.failures",
    "groups.0.limits.breaker.since_us",
    "groups.0.limits.budget.spent_micros",
    "groups.0.schedules.0.last_due_us",
};

static void check_replay(struct model *model)
{
    world_settle(&model->world);
    struct json *live = core_status(model->world.core);
    world_crash(&model->world);
    struct json *again = core_status(model->world.core);
    if (model->world.log_replay_failed)
        broke(model, "the log does not replay");
    if (js_int(live, "groups.0.pending", -1) == 0 &&
        js_int(live, "groups.0.cells", -1) != 0)
        broke(model, "cells are counted of what is settled");
    for (size_t i = 0; i < sizeof(folded) / sizeof(*folded); i++)
        if (js_int(again, folded[i], -1) != js_int(live, folded[i], -1))
            broke(model, "replay gives another state than the life it replays");
    js_free(live);
    js_free(again);
}

static void on_commit(void *user, const struct block *block)
{
    struct model *model = user;

    judge_block(&model->judge, block);
}

static void on_send(void *user, const struct message *frame)
{
    struct model *model = user;

    if (frame->type == MSG_DELIVER)
        judge_delivery(&model->judge, frame);
}

/* The first byte chooses: order, and what holds calls back. */
static void configure(struct model *model, uint8_t how)
{
    model->integration = integration;
    model->group = group;
    model->integration.is_ordered = model->judge.is_ordered[JUDGE_HANDLER] = how & 1;
    model->group.is_ordered = model->judge.is_ordered[JUDGE_CONSUMER] = how & 2;
    model->integration.concurrency = how & 4 ? 3 : 0;
    model->integration.rate = how & 8 ? 20 : 0;
    if (how & 16)
        model->integration.breaker = (struct core_breaker){4, 60000000, 5000000};
    if (how & 32) { /* for the first thirty or so */
        model->integration.per_day = (struct money){30, "USD"};
        model->integration.prices = prices;
        model->integration.n_prices = 1;
    }
    model->finds = how & 64;
    model->judge.handler = integration_hash("stripe");
    model->config = (struct core_config){.gateway_key = "g",
                                         .integrations = &model->integration,
                                         .n_integrations = 1,
                                         .groups = &model->group,
                                         .n_groups = 1,
                                         .random_seed = 7};
}

static void begin(struct model *model, uint8_t how, struct world_fault *fault)
{
    static const struct mpeer kinds[PEERS] = {
        {.role = "connector", .name = "stripe", .key = "k", .group = "stripe"},
        {.role = "connector", .name = "stripe", .key = "k", .group = "stripe"},
        {.role = "client", .name = "app"},
        {.role = "client", .name = "biller", .group = "billing"},
        {.role = "gateway", .name = "gateway", .key = "g"},
    };

    configure(model, how);
    world_init(&model->world, &model->config);
    model->world.on_commit = on_commit;
    model->world.on_send = on_send;
    model->world.user = model;
    model->world.fault = fault;
    model->next_pid = 100;
    for (size_t i = 0; i < PEERS; i++) {
        model->peers[i] = kinds[i];
        world_settle(&model->world);
        reborn(model, &model->peers[i]);
        world_settle(&model->world);
        hear_all(model);
    }
}

static const char *end(struct model *model)
{
    heal(model);
    check_replay(model);
    for (size_t i = 0; i < model->n_acked; i++)
        if (!in_log(model, model->acked[i]))
            broke(model, "acknowledged, and not in the log");
    judge_end(&model->judge);
    return model->judge.broken ? model->judge.broken : model->broken;
}

const char *model_run(const uint8_t *bytes, size_t n, struct world_fault *fault)
{
    struct model *model = mem_alloc(sizeof(*model));

    begin(model, n > 0 ? bytes[0] : 0, fault);
    for (size_t i = 1; i + 1 < n && i < 2000 && !model->broken && !model->judge.broken;
         i += 2)
        step(model, bytes[i], bytes[i + 1]);
    const char *broken = end(model);
    for (size_t i = 0; i < PEERS; i++)
        for (size_t j = 0; j < model->peers[i].n_unanswered; j++)
            buf_fini(&model->peers[i].unanswered[j].records);
    world_fini(&model->world);
    judge_fini(&model->judge);
    free(model);
    return broken;
}
