/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"
#include "proto/control.h"

static void say(struct scene *scene, uint64_t peer, struct buf *frame)
{
    world_send(&scene->world, peer, 0, frame);
    buf_fini(frame);
}

static void join(struct scene *scene, uint64_t peer, const char *manifest)
{
    static const char *const roles[] = {NULL, "gateway", "client", "connector",
                                        "connector"};
    static const char *const names[] = {NULL, "gateway", "app", "stripe", "stripe"};
    static const char *const keys[] = {NULL, "g", NULL, "k", "k"};
    uint8_t instance[16] = {(uint8_t)peer};
    struct buf frame = BUF_NULL;

    frame_hello(&frame, roles[peer], names[peer], instance, keys[peer],
                peer >= SCENE_ONE ? manifest : NULL, NULL, 0);
    say(scene, peer, &frame);
    if (peer < SCENE_ONE)
        return;
    frame_subscribe(&frame, "stripe", 1000);
    say(scene, peer, &frame);
}

static void join_all(struct scene *scene)
{
    for (uint64_t peer = SCENE_GATEWAY; peer <= SCENE_OTHER; peer++)
        join(scene, peer, scene->manifest);
    world_settle(&scene->world);
    scene_take(scene);
}

void scene_open(struct scene *scene, const struct core_integration *integration,
                const char *manifest)
{
    *scene = (struct scene){.integration = *integration,
                            .manifest = manifest ? manifest : world_manifest};
    scene->integration.name = "stripe";
    scene->integration.connector = "payment";
    scene->integration.service = "Stripe";
    scene->integration.key = "k";
    scene->config = (struct core_config){.gateway_key = "g",
                                         .integrations = &scene->integration,
                                         .n_integrations = 1,
                                         .random_seed = 1};
    world_init(&scene->world, &scene->config);
    world_settle(&scene->world);
    join_all(scene);
}

void scene_close(struct scene *scene)
{
    world_fini(&scene->world);
}

void scene_configure(struct scene *scene)
{
    core_configure(scene->world.core, &scene->config);
    world_settle(&scene->world);
}

void scene_crash(struct scene *scene)
{
    world_crash(&scene->world);
    scene->n_held = 0;
    scene->number += 1000; /* numbers of batches nobody used */
    world_settle(&scene->world);
    join_all(scene);
}

void scene_publish(struct scene *scene, uint64_t peer, const struct record_parts *parts)
{
    struct record_parts with_id = *parts;
    struct buf records = BUF_NULL, frame = BUF_NULL;
    uint8_t id[16];

    id_derive("scene", ++scene->number, id);
    with_id.id = id;
    record_add(&records, &with_id);
    frame_publish(&frame, scene->number, false, &records, 1);
    say(scene, peer, &frame);
    buf_fini(&records);
}

void scene_call(struct scene *scene, unsigned n)
{
    static const struct record_parts charge = {.kind = RECORD_REQUEST,
                                               .type = "payment.charge.requested",
                                               .data = "{}",
                                               .data_len = 2};

    for (unsigned i = 0; i < n; i++)
        scene_publish(scene, SCENE_APP, &charge);
    world_settle(&scene->world);
}

void scene_advance(struct scene *scene, uint64_t us)
{
    struct buf frame = BUF_NULL;

    for (uint64_t peer = SCENE_GATEWAY; peer <= SCENE_OTHER; peer++) {
        frame_ping(&frame, NULL, 0);
        say(scene, peer, &frame);
    }
    world_advance(&scene->world, us);
    world_settle(&scene->world);
}

static void hold(struct scene *scene, uint64_t peer, const struct slice *slice,
                 uint32_t offset, const struct record *r)
{
    struct scene_held *held = &scene->held[scene->n_held++];

    *held = (struct scene_held){.peer = peer, .at = *slice};
    held->at.index += offset;
    snprintf(held->type, sizeof(held->type), "%.*s", r->type_len, record_type(r));
    snprintf(held->data, sizeof(held->data), "%.*s", (int)r->data_len,
             (const char *)record_data(r));
}

static void take_frame(struct scene *scene, uint64_t peer, const struct buf *frame)
{
    const struct message *m = world_message(frame);
    const struct slice *slice = NULL;
    const struct record *r;
    const char *why;

    while (m->type == MSG_DELIVER && (slice = message_slice(m, slice, &r, &why)))
        for (uint32_t i = 0; i < slice->count && scene->n_held < SCENE_HELD;
             i++, r = record_after(r))
            hold(scene, peer, slice, i, r);
}

size_t scene_take(struct scene *scene)
{
    size_t before = scene->n_held;
    struct buf frame;

    for (uint64_t peer = SCENE_GATEWAY; peer <= SCENE_OTHER; peer++)
        while (world_take(&scene->world, peer, &frame)) {
            take_frame(scene, peer, &frame);
            buf_fini(&frame);
        }
    return scene->n_held - before;
}

static void answer(struct scene *scene, struct record_parts *parts)
{
    struct buf records = BUF_NULL, frame = BUF_NULL;
    uint64_t peer = scene->held[0].peer;

    memmove(scene->held, scene->held + 1, --scene->n_held * sizeof(*scene->held));
    record_add(&records, parts);
    frame_result(&frame, ++scene->number, &records);
    say(scene, peer, &frame);
    buf_fini(&records);
    world_settle(&scene->world);
}

static void settle(struct scene *scene, enum record_class why, const struct buf *attrs)
{
    const struct scene_held *held = &scene->held[0];
    size_t stem = strcspn(held->type, ".") + 1;
    char type[80];
    uint8_t id[16];

    stem += strcspn(held->type + stem, ".");
    snprintf(type, sizeof(type), "%.*s.%s", (int)stem, held->type,
             why ? "failed" : "succeeded");
    if (strncmp(held->type, "stripe.", 7) == 0)
        snprintf(type, sizeof(type), "payment.checkout.completed");
    id_derive("outcome", scene->number, id);
    answer(scene, &(struct record_parts){.kind = RECORD_OUTCOME,
                                         .status = why ? STATUS_FAILED : STATUS_SUCCESS,
                                         .error_class = why,
                                         .id = id,
                                         .type = type,
                                         .settles = {held->at.block, held->at.index},
                                         .attrs = attrs->bytes,
                                         .attr_len = attrs->len});
}

void scene_succeed(struct scene *scene, int64_t cost_micros)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    if (cost_micros >= 0) {
        attrs_int(&attrs, ATTR_COST, cost_micros);
        attrs_text(&attrs, ATTR_CURRENCY, "USD");
        attrs_text(&attrs, ATTR_COST_KIND, "actual");
    }
    settle(scene, CLASS_none, &attrs);
    buf_fini(&attrs);
}

void scene_poll(struct scene *scene, const char *cursor, bool more)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_CURSOR, cursor);
    if (more)
        attrs_bool(&attrs, ATTR_MORE, true);
    settle(scene, CLASS_none, &attrs);
    buf_fini(&attrs);
}

void scene_fail(struct scene *scene, enum record_class why)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, "as the test wants it");
    settle(scene, why, &attrs);
    buf_fini(&attrs);
}

void scene_retry(struct scene *scene, uint64_t after_us)
{
    const struct slice *at = &scene->held[0].at;
    struct control_retry retry = {
        .block = at->block, .index = at->index, .attempts = 1, .due_us = after_us};
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, "503 from the service");
    answer(scene, &(struct record_parts){.kind = RECORD_RETRY,
                                         .attrs = attrs.bytes,
                                         .attr_len = attrs.len,
                                         .data = &retry,
                                         .data_len = sizeof(retry)});
    buf_fini(&attrs);
}

int64_t scene_int(const struct scene *scene, const char *path)
{
    struct json *json = core_status(scene->world.core);
    _free_ char *full = mem_format("groups.0.%s", path);
    int64_t value = js_int(json, full, -1);

    js_free(json);
    return value;
}

char *scene_text(const struct scene *scene, const char *path)
{
    struct json *json = core_status(scene->world.core);
    _free_ char *full = mem_format("groups.0.%s", path);
    char *value = mem_text(js_text(json, full, ""));

    js_free(json);
    return value;
}

static bool is_meant(const struct record *r, enum record_kind kind, enum record_class why,
                     const char *type)
{
    return r->kind == kind && (!why || r->error_class == why) &&
           (!type || (r->type_len == strlen(type) &&
                      memcmp(record_type(r), type, r->type_len) == 0));
}

const struct record *scene_last(const struct scene *scene, enum record_kind kind,
                                enum record_class why, const char *type)
{
    const struct record *last = NULL;

    for (size_t i = 0; i < scene->world.n_log; i++) {
        const struct block *block = scene->world.log[i]->block;
        for (const struct record *r = block->count ? block_first(block) : NULL; r;
             r = block_next(block, r))
            if (is_meant(r, kind, why, type))
                last = r;
    }
    return last;
}

size_t scene_count(const struct scene *scene, enum record_kind kind,
                   enum record_class why, const char *type)
{
    size_t n = 0;

    for (size_t i = 0; i < scene->world.n_log; i++) {
        const struct block *block = scene->world.log[i]->block;
        for (const struct record *r = block->count ? block_first(block) : NULL; r;
             r = block_next(block, r))
            n += is_meant(r, kind, why, type);
    }
    return n;
}
