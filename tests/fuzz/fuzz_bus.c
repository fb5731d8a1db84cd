/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* bus - frames of any content from anybody: the first byte says who sends, the rest is
 * one frame, which comes twice.  Whatever it is, the core goes on, and nobody who may not
 * gets anything into the log: a peer without rights, and one that has not joined. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum { GATEWAY = 1, CONNECTOR, CLIENT, FAR, STRANGER, PEERS };

static const char *const order_types[] = {"order.>"};
static const struct core_group groups[] = {
    {.name = "billing", .types = order_types, .n_types = 1, .attempts = 3}};
static const struct core_integration integrations[] = {{.name = "stripe",
                                                        .connector = "payment",
                                                        .service = "Stripe",
                                                        .key = "k",
                                                        .attempts = 3,
                                                        .deadline_us = 3600000000}};
static const struct core_peer peers[] = {{.name = "far"}};
static const struct core_config config = {.gateway_key = "g",
                                          .integrations = integrations,
                                          .n_integrations = 1,
                                          .groups = groups,
                                          .n_groups = 1,
                                          .peers = peers,
                                          .n_peers = 1,
                                          .random_seed = 1};

static void join(struct world *world, uint64_t peer, const char *role, const char *name,
                 const char *key)
{
    const uint8_t instance[16] = {(uint8_t)peer};
    struct buf frame = BUF_NULL;

    frame_hello(&frame, role, name, instance, key,
                peer == CONNECTOR ? world_manifest : NULL, NULL, 0);
    if (peer == FAR)
        world_send_as(world, peer, "far", &frame);
    else
        world_send(world, peer, 0, &frame);
    buf_fini(&frame);
}

/* A request with the connector and an event with the client, so that there is something
 * to answer for. */
static void fill(struct world *world)
{
    struct buf records = BUF_NULL, frame = BUF_NULL;
    const uint8_t id[16] = {7};

    record_add(&records, &(struct record_parts){.kind = RECORD_REQUEST,
                                                .type = "payment.charge.requested",
                                                .id = id});
    record_add(&records, &(struct record_parts){
                             .kind = RECORD_FACT, .type = "order.made", .id = id});
    frame_publish(&frame, 1, true, &records, 2);
    world_send(world, GATEWAY, 0, &frame);
    frame_subscribe(&frame, "stripe", 10);
    world_send(world, CONNECTOR, 0, &frame);
    frame_subscribe(&frame, "billing", 10);
    world_send(world, CLIENT, 0, &frame);
    buf_fini(&records);
    buf_fini(&frame);
}

static size_t events(const struct world *world)
{
    const struct block *last = world->log[world->n_log - 1]->block;

    return (size_t)(last->requests_total + last->facts_total + last->outcomes_total);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct buf frame = BUF_NULL;
    struct world world;

    if (n == 0)
        return 0;
    world_init(&world, &config);
    world_settle(&world);
    join(&world, GATEWAY, "gateway", "gateway", "g");
    join(&world, CLIENT, "client", "app", NULL);
    join(&world, CONNECTOR, "connector", "stripe", "k");
    join(&world, FAR, "client", "far", NULL);
    world_settle(&world);
    fill(&world);
    world_settle(&world);
    size_t before = events(&world);
    uint64_t peer = GATEWAY + bytes[0] % (PEERS - GATEWAY);
    for (int i = 0; i < 2; i++) {
        buf_clear(&frame);
        buf_add(&frame, bytes + 1, n - 1);
        if (peer == FAR)
            world_send_as(&world, peer, "far", &frame);
        else
            world_send(&world, peer, 0, &frame);
        world_settle(&world);
    }
    if ((peer == FAR || peer == STRANGER) && events(&world) != before) {
        fprintf(stderr, "somebody without the right got an event into the log\n");
        abort();
    }
    world_crash(&world); /* what was committed can be read again */
    world_settle(&world);
    if (world.log_replay_failed)
        abort();
    world_fini(&world);
    buf_fini(&frame);
    return 0;
}
