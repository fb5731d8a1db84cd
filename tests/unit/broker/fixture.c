/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"

const uint8_t instances[6][16] = {{0}, {1}, {2}, {3}, {4}, {5}};

void join(struct fixture *f, uint64_t peer, const char *role, const char *name,
          const char *key)
{
    buf_clear(&f->frame);
    frame_hello(&f->frame, role, name, instances[peer], key,
                strcmp(role, "connector") == 0 ? world_manifest : NULL, NULL, 0);
    world_send(&f->world, peer, 0, &f->frame);
}

void subscribe(struct fixture *f, uint64_t peer, const char *group, unsigned credit)
{
    frame_subscribe(&f->frame, group, credit);
    world_send(&f->world, peer, 0, &f->frame);
    core_tick(f->world.core);
}

const struct message *expect(struct fixture *f, uint64_t peer, enum message_type type)
{
    buf_fini(&f->frame);
    if (!world_take(&f->world, peer, &f->frame))
        fail_msg("no frame where %s was expected", message_name(type));
    const struct message *m = world_message(&f->frame);
    if (m->type != type)
        fail_msg("%s where %s was expected", message_name(m->type), message_name(type));
    return m;
}

void expect_refused(struct fixture *f, uint64_t peer, const char *code)
{
    const struct message *m = expect(f, peer, MSG_REFUSED);
    _free_ char *said = attrs_copy_named(message_body(m), m->body_len, "code");

    assert_string_equal(said, code);
}

void expect_silence(struct fixture *f, uint64_t peer)
{
    struct buf frame;

    if (world_take(&f->world, peer, &frame))
        fail_msg("%s where silence was expected",
                 message_name(world_message(&frame)->type));
}

void open_with(struct fixture *f, const struct core_config *config)
{
    *f = (struct fixture){0};
    world_init(&f->world, config);
    world_settle(&f->world);
    join(f, GATEWAY, "gateway", "gateway", "g");
    join(f, CLIENT, "client", "app", NULL);
    join(f, CONNECTOR, "connector", "stripe", "k");
    world_settle(&f->world);
    expect(f, GATEWAY, MSG_WELCOME);
    expect(f, CLIENT, MSG_WELCOME);
    expect(f, CONNECTOR, MSG_WELCOME);
}

void close_fixture(struct fixture *f)
{
    buf_fini(&f->frame);
    world_fini(&f->world);
}

uint64_t publish(struct fixture *f, uint64_t peer, struct record_parts parts, bool wait)
{
    struct buf records = BUF_NULL;
    uint8_t id[16];

    id_derive("test", ++f->number, id);
    if (!parts.id)
        parts.id = id;
    record_add(&records, &parts);
    frame_publish(&f->frame, f->number, wait, &records, 1);
    world_send(&f->world, peer, 0, &f->frame);
    buf_fini(&records);
    return f->number;
}

const struct record_parts charge = {.kind = RECORD_REQUEST,
                                    .type = "payment.charge.requested",
                                    .data = "{}",
                                    .data_len = 2};

struct slice expect_delivery(struct fixture *f, uint64_t peer, const char *type)
{
    const struct message *m = expect(f, peer, MSG_DELIVER);
    const struct record *r = NULL;
    const char *why;
    const struct slice *slice = message_slice(m, NULL, &r, &why);

    assert_non_null(slice);
    assert_int_equal(r->type_len, strlen(type));
    assert_memory_equal(record_type(r), type, r->type_len);
    return *slice;
}

void result(struct fixture *f, uint64_t peer, const struct record_parts *parts)
{
    struct buf records = BUF_NULL;

    record_add(&records, parts);
    frame_result(&f->frame, ++f->number, &records);
    world_send(&f->world, peer, 0, &f->frame);
    buf_fini(&records);
}

void succeed(struct fixture *f, struct slice at)
{
    uint8_t id[16];

    id_derive("outcome", ++f->number, id);
    struct record_parts parts = {.kind = RECORD_OUTCOME,
                                 .status = STATUS_SUCCESS,
                                 .id = id,
                                 .type = "payment.charge.succeeded",
                                 .settles = {at.block, at.index}};
    result(f, CONNECTOR, &parts);
}

int64_t status(struct fixture *f, const char *path)
{
    struct json *json = core_status(f->world.core);
    int64_t value = js_int(json, path, -1);

    js_free(json);
    return value;
}

void retry(struct fixture *f, uint64_t peer, struct slice at, uint64_t delay_us)
{
    struct control_retry data = {
        .block = at.block, .index = at.index, .due_us = delay_us, .attempts = 1};

    result(f, peer,
           &(struct record_parts){
               .kind = RECORD_RETRY, .data = &data, .data_len = sizeof(data)});
}

void acknowledge(struct fixture *f, uint64_t peer, struct slice at)
{
    struct control_ack data = {
        .block = at.block, .first = at.index, .count = 1, .result = STATUS_SUCCESS};

    result(f, peer,
           &(struct record_parts){
               .kind = RECORD_ACK, .data = &data, .data_len = sizeof(data)});
}

void start_work(struct fixture *f, uint64_t peer, const struct slice *at, size_t n)
{
    struct wire_position positions[64];

    for (size_t i = 0; i < n; i++)
        positions[i] = (struct wire_position){at[i].block, at[i].index, 0};
    buf_clear(&f->frame);
    frame_ping(&f->frame, positions, n);
    world_send(&f->world, peer, 0, &f->frame);
    expect(f, peer, MSG_PONG);
}

static bool settles(const struct record *r, struct slice at)
{
    const struct control_ack *ack = (const struct control_ack *)record_data(r);

    if (r->kind == RECORD_OUTCOME)
        return r->cause_block == at.block && r->cause_index == at.index;
    return r->kind == RECORD_ACK && ack->block == at.block && at.index >= ack->first &&
           at.index - ack->first < ack->count;
}

const struct record *settlement(struct fixture *f, struct slice at)
{
    const struct record *found = NULL;

    for (size_t b = 0; b < f->world.n_log; b++) {
        const struct block *block = f->world.log[b]->block;
        for (const struct record *r = block->count ? block_first(block) : NULL; r;
             r = block_next(block, r))
            if (settles(r, at))
                found = r;
    }
    return found;
}

void drain(struct fixture *f, uint64_t peer)
{
    buf_fini(&f->frame);
    while (world_take(&f->world, peer, &f->frame))
        buf_fini(&f->frame);
}
