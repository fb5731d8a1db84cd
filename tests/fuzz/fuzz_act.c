/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* act - what a person asks the broker for: the first byte chooses the command, the rest
 * is its arguments
 *
 * The world is always the same: one request is pending, one failed without its effect
 * being known, one fact was given up by its group.  Each finds an answer, and a broker
 * that replays the log is where this one is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/json.h"
#include "proto/attrs.h"
#include "proto/control.h"
#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { CONNECTOR = 1, CLIENT = 2, CONSUMER = 3 };

static const char manifest[] =
    "{\"name\":\"payment\",\"operations\":[{\"name\":\"charge\","
    "\"repeat\":\"keyed\",\"key_lifetime_s\":3600}]}";
static const char *const orders[] = {"order.>"};
static const struct core_group groups[] = {
    {.name = "billing", .types = orders, .n_types = 1}};
static const struct core_integration stripe[] = {
    {.name = "stripe", .connector = "payment", .key = "k", .attempts = 3}};
static const struct core_config config = {.integrations = stripe,
                                          .n_integrations = 1,
                                          .groups = groups,
                                          .n_groups = 1,
                                          .random_seed = 1};

static struct buf frame;

static void say(struct world *world, uint64_t peer)
{
    world_send(world, peer, 0, &frame);
    world_settle(world);
}

static void join(struct world *world, uint64_t peer, const char *role, const char *name,
                 const char *group)
{
    const uint8_t instance[16] = {(uint8_t)peer};
    bool is_connector = peer == CONNECTOR;

    frame_hello(&frame, role, name, instance, is_connector ? "k" : NULL,
                is_connector ? manifest : NULL, NULL, 0);
    say(world, peer);
    if (!group)
        return;
    frame_subscribe(&frame, group, 1);
    say(world, peer);
    core_tick(world->core);
}

static void publish(struct world *world, uint64_t number, enum record_kind kind,
                    const char *type)
{
    struct buf records = BUF_NULL;
    uint8_t id[16];

    id_derive("event", number, id);
    record_add(&records, &(struct record_parts){.kind = kind, .type = type, .id = id});
    frame_publish(&frame, number, false, &records, 1);
    say(world, CLIENT);
    buf_fini(&records);
}

static struct position delivered(struct world *world, uint64_t peer)
{
    struct position at = {0};
    struct buf got;

    while (at.block == 0 && world_take(world, peer, &got)) {
        const struct message *m = world_message(&got);
        const struct record *r;
        const char *why;
        const struct slice *slice =
            m->type == MSG_DELIVER ? message_slice(m, NULL, &r, &why) : NULL;
        if (slice)
            at = (struct position){slice->block, slice->index};
        buf_fini(&got);
    }
    return at;
}

static void result(struct world *world, uint64_t peer, const struct record_parts *parts)
{
    struct buf records = BUF_NULL;

    record_add(&records, parts);
    frame_result(&frame, 1, &records);
    say(world, peer);
    buf_fini(&records);
}

static void fill(struct world *world)
{
    const uint8_t id[16] = {9};

    join(world, CONNECTOR, "connector", "stripe", "stripe");
    join(world, CLIENT, "cli", "signalbox", NULL);
    join(world, CONSUMER, "client", "biller", "billing");
    publish(world, 1, RECORD_REQUEST, "payment.charge.requested");
    struct position at = delivered(world, CONNECTOR);
    result(world, CONNECTOR,
           &(struct record_parts){.kind = RECORD_OUTCOME,
                                  .status = STATUS_FAILED,
                                  .error_class = CLASS_unknown,
                                  .attempt = 1,
                                  .type = "payment.charge.failed",
                                  .id = id,
                                  .settles = at});
    publish(world, 2, RECORD_FACT, "order.created");
    at = delivered(world, CONSUMER);
    struct control_ack ack = {
        .block = at.block, .first = at.index, .count = 1, .result = STATUS_FAILED};
    result(world, CONSUMER,
           &(struct record_parts){.kind = RECORD_ACK,
                                  .error_class = CLASS_permanent,
                                  .data = &ack,
                                  .data_len = sizeof(ack)});
    publish(world, 3, RECORD_REQUEST, "payment.charge.requested");
    publish(world, 4, RECORD_REQUEST, "payment.charge.requested"); /* no credit is left */
}

static uint64_t ask(struct world *world, unsigned command, const char *args)
{
    static const char *const names[] = {"status",  "pause",   "resume", "cancel",
                                        "redrive", "resolve", "test",   "secret"};
    uint64_t peer = command % 8 == 7 ? CONNECTOR : CLIENT; /* whose it is to say */
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_text(&map, "command", names[command % 8]);
    attrs_named_text(&map, "args", args);
    message_begin(&frame, MSG_ADMIN, 7);
    buf_add(&frame, map.bytes, map.len);
    message_end(&frame);
    say(world, peer);
    buf_fini(&map);
    return peer;
}

static bool is_answered(struct world *world, uint64_t peer)
{
    bool found = false;
    struct buf got;

    while (!found && world_take(world, peer, &got)) {
        found = world_message(&got)->type == MSG_ANSWER;
        buf_fini(&got);
    }
    return found;
}

static int64_t total(const struct world *world, const char *what)
{
    struct json *status = core_status(world->core);
    int64_t value = js_int(status, what, -1);

    js_free(status);
    return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct world world;
    struct buf args = BUF_NULL;

    if (n == 0 || n > 4096 || memchr(bytes, 0, n))
        return 0;
    world_init(&world, &config);
    world_settle(&world);
    fill(&world);
    buf_add(&args, bytes + 1, n - 1);
    for (int i = 0; i < 2; i++) {
        uint64_t peer = ask(&world, bytes[0], buf_str(&args));
        if (!is_answered(&world, peer)) {
            fprintf(stderr, "no answer\n");
            abort();
        }
    }
    int64_t requests = total(&world, "requests"), facts = total(&world, "facts");
    world_crash(&world);
    if (world.log_replay_failed || requests != total(&world, "requests") ||
        facts != total(&world, "facts")) {
        fprintf(stderr, "the log does not replay to where it was\n");
        abort();
    }
    buf_fini(&args);
    buf_fini(&frame);
    world_fini(&world);
    return 0;
}
