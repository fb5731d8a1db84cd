/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

const char world_manifest[] =
    "{\"name\":\"payment\",\"operations\":[{\"name\":\"charge\",\"repeat\":\"safe\"},{"
    "\"name\":\"transfer\",\"repeat\":\"never\"},{\"name\":\"refund\",\"repeat\":"
    "\"safe\"},{\"name\":\"events\",\"repeat\":\"safe\"}],"
    "\"webhooks\":[{\"event\":\"checkout.session.completed\","
    "\"becomes\":\"payment.checkout.completed\"}],"
    "\"publishes\":[\"payment.found\"]}";

static void do_send(void *user, uint64_t peer, const void *frame, size_t n)
{
    struct world *world = user;

    if (world->on_send)
        world->on_send(world->user, frame);
    if (world->n_frames == WORLD_FRAMES)
        return; /* nobody reads: as a full pipe */
    struct world_frame *f = &world->frames[world->n_frames++];
    *f = (struct world_frame){.peer = peer};
    buf_add(&f->bytes, frame, n);
}

static void do_append(void *user, struct block_ref *block)
{
    struct world *world = user;

    for (size_t i = 0; i < world->n_appended; i++)
        if (world->appended[i]->block->number == block->block->number)
            return; /* sent again after a relink */
    world->appended =
        mem_resize(world->appended, (world->n_appended + 1) * sizeof(*world->appended));
    world->appended[world->n_appended++] = block_ref_hold(block);
}

static struct block_ref *do_read(void *user, uint64_t number)
{
    struct world *world = user;

    return number >= 1 && number <= world->n_log ? block_ref_hold(world->log[number - 1])
                                                 : NULL;
}

static bool do_find_key(void *user, const uint8_t key[16], struct core_key *ret)
{
    (void)user;
    (void)key;
    (void)ret;
    return false;
}

static void do_live(void *user, const struct block *block)
{
    (void)user;
    (void)block;
}

static bool do_alive(void *user, uint64_t pid)
{
    struct world *world = user;

    for (size_t i = 0; i < world->n_dead; i++)
        if (world->dead_pids[i] == pid)
            return false;
    return true;
}

static void do_say(void *user, int id, const char *text)
{
    struct world *world = user;

    (void)id;
    world->n_said++;
    snprintf(world->said, sizeof(world->said), "%s", text);
}

static const struct core_ops ops = {do_send, do_append, do_read, do_find_key,
                                    do_live, do_alive,  do_say};

static struct log_head head(const struct world *world)
{
    struct log_head h = {.segment_room = world->segment_room,
                         .spare_bytes = world->spare_bytes,
                         .is_full = world->is_full};

    if (world->n_log > 0) {
        const struct block *b = world->log[world->n_log - 1]->block;
        h.number = b->number;
        h.term = b->term;
        h.timestamp_us = b->timestamp_us;
        h.crc = b->crc;
    }
    return h;
}

static void start(struct world *world)
{
    struct log_head h = head(world);
    uint8_t boot[16];
    size_t from = world->n_log;

    id_derive("boot", world->n_replayed + world->n_log * 131, boot); /* repeatable */
    world->core = core_new(&ops, world, boot);
    core_time(world->core, world->wall_us, world->steady_us);
    while (from > 0 && !(world->log[from - 1]->block->flags & BLOCK_CHECKPOINT))
        from--;
    const char *why;
    for (size_t i = 1; i < from; i++) /* the views are empty in this world */
        core_replay_keys(world->core, world->log[i - 1]->block);
    for (size_t i = from; from > 0 && i <= world->n_log; i++, world->n_replayed++)
        if (!core_replay(world->core, world->log[i - 1]->block, &why))
            world->log_replay_failed = true;
    core_start(world->core, h.term + 1, &h);
    core_configure(world->core, world->config);
}

void world_init(struct world *world, const struct core_config *config)
{
    *world = (struct world){.wall_us = 1700000000000000u,
                            .steady_us = 1000000000,
                            .segment_room = 1 << 30,
                            .spare_bytes = 1 << 30,
                            .config = config};
    world->frames = mem_array(WORLD_FRAMES, sizeof(*world->frames));
    start(world);
}

static void drop_appended(struct world *world)
{
    for (size_t i = 0; i < world->n_appended; i++)
        block_ref_drop(world->appended[i]);
    world->n_appended = 0;
}

static void drop_frames(struct world *world)
{
    for (size_t i = 0; i < world->n_frames; i++)
        buf_fini(&world->frames[i].bytes);
    world->n_frames = 0;
}

void world_fini(struct world *world)
{
    core_free(world->core);
    drop_appended(world);
    drop_frames(world);
    for (size_t i = 0; i < world->n_log; i++)
        block_ref_drop(world->log[i]);
    free(world->log);
    free(world->appended);
    free(world->frames);
}

void world_commit(struct world *world, size_t n)
{
    if (n > world->n_appended)
        n = world->n_appended;
    if (n == 0)
        return;
    world->log = mem_resize(world->log, (world->n_log + n) * sizeof(*world->log));
    for (size_t i = 0; i < n;
         i++) /* a copy: what is on disk does not change with memory */
        world->log[world->n_log + i] = block_ref_copy(world->appended[i]->block);
    for (size_t i = 0; i < n; i++)
        block_ref_drop(world->appended[i]);
    for (size_t i = 0; i < n && world->on_commit; i++)
        world->on_commit(world->user, world->log[world->n_log + i]->block);
    world->n_log += n;
    world->n_appended -= n;
    memmove(world->appended, world->appended + n,
            world->n_appended * sizeof(*world->appended));
    struct log_head h = head(world);
    core_time(world->core, world->wall_us, world->steady_us);
    core_committed(world->core, &h);
}

void world_settle(struct world *world)
{
    core_flush(world->core);
    while (world->n_appended > 0) {
        world_commit(world, world->n_appended);
        core_flush(world->core);
    }
}

void world_advance(struct world *world, uint64_t us)
{
    world->wall_us += us;
    world->steady_us += us;
    core_time(world->core, world->wall_us, world->steady_us);
    core_tick(world->core);
}

void world_crash(struct world *world)
{
    core_free(world->core);
    drop_appended(world);
    drop_frames(world);
    start(world);
}

void world_relink(struct world *world)
{
    struct log_head h = head(world);

    drop_appended(world);
    core_relink(world->core, &h);
}

/* --- planted faults --- */

static bool is_turn(struct world_fault *fault)
{
    return ++fault->count % fault->every == 0;
}

/* The events of a batch without one, or with two of a key in each other's place. */
static void alter_batch(struct world_fault *fault, const struct message *m,
                        struct buf *out)
{
    const uint8_t *body = message_body(m);
    const struct record *held = NULL; /* waits for its follower to go first */
    uint32_t dropped = 0;

    message_begin(out, MSG_PUBLISH, m->ref);
    for (size_t at = 0; at < m->body_len;) {
        const struct record *r = (const struct record *)(body + at);
        at += r->len;
        const struct record *next = at < m->body_len ? (const void *)(body + at) : NULL;
        if (fault->kind == FAULT_DROPS && record_is_event(r) && is_turn(fault)) {
            dropped++;
            continue;
        }
        if (fault->kind == FAULT_SWAPS && !held && next && record_is_event(r) &&
            r->key_hash && r->key_hash == next->key_hash && is_turn(fault)) {
            held = r;
            continue;
        }
        buf_add(out, r, r->len);
        if (held)
            buf_add(out, held, held->len);
        held = NULL;
    }
    struct message *altered = message_end(out);
    altered->count = m->count - dropped;
    altered->flags = m->flags;
}

/* The same frame, with some ids of provider's events misread. */
static void misread(struct world_fault *fault, const struct buf *frame, struct buf *out)
{
    const char *why;

    buf_add(out, frame->bytes, frame->len);
    const struct message *m = (const struct message *)out->bytes;
    uint8_t *body = (uint8_t *)(uintptr_t)message_body(m);
    for (size_t at = 0; at < m->body_len;) {
        struct record *r =
            (struct record *)(uintptr_t)record_check(body + at, m->body_len - at, &why);
        if (!r)
            return;
        uint8_t *attrs = (uint8_t *)(uintptr_t)record_attrs(r);
        uint8_t *key = memmem(attrs, r->attr_len, "evt_", 4);
        if (r->kind == RECORD_IDEMPOTENCY && is_turn(fault))
            r->id[15] ^= 1;
        else if (r->kind == RECORD_FACT && key && is_turn(fault))
            *key = 'x';
        at += r->len;
    }
}

static bool alter(struct world_fault *fault, const struct buf *frame, struct buf *out)
{
    const char *why;
    const struct message *m = message_check(frame->bytes, frame->len, &why);

    if (m && fault->kind == FAULT_MISTAKES &&
        (m->type == MSG_PUBLISH || m->type == MSG_RESULT)) {
        misread(fault, frame, out);
        return true;
    }
    if (fault->kind == FAULT_MISTAKES || fault->kind == FAULT_ACKS_EARLY || !m ||
        m->type != MSG_PUBLISH ||
        record_count(message_body(m), m->body_len, &(size_t){0}, &why) < 1)
        return false;
    alter_batch(fault, m, out);
    return true;
}

/* The core is told that what it handed over is on disk, every n-th time. */
static void hurry(struct world *world)
{
    struct log_head h = head(world);

    core_flush(world->core);
    if (world->n_appended == 0 || !is_turn(world->fault))
        return;
    const struct block *last = world->appended[world->n_appended - 1]->block;
    h.number = last->number;
    h.timestamp_us = last->timestamp_us;
    h.crc = last->crc;
    core_committed(world->core, &h);
}

void world_send(struct world *world, uint64_t peer, uint64_t pid, const struct buf *frame)
{
    struct buf altered = BUF_NULL;
    const struct buf *seen =
        world->fault && alter(world->fault, frame, &altered) ? &altered : frame;

    core_time(world->core, world->wall_us, world->steady_us);
    struct core_sender sender = {.peer = peer, .pid = pid};
    core_frame(world->core, &sender, seen->bytes, seen->len);
    buf_fini(&altered);
    if (world->fault && world->fault->kind == FAULT_ACKS_EARLY)
        hurry(world);
}

void world_send_as(struct world *world, uint64_t peer, const char *name,
                   const struct buf *frame)
{
    struct core_sender sender = {.peer = peer, .name = name};

    core_time(world->core, world->wall_us, world->steady_us);
    core_frame(world->core, &sender, frame->bytes, frame->len);
}

bool world_take(struct world *world, uint64_t peer, struct buf *ret)
{
    for (size_t i = 0; i < world->n_frames; i++) {
        if (world->frames[i].peer != peer)
            continue;
        *ret = world->frames[i].bytes;
        memmove(world->frames + i, world->frames + i + 1,
                (--world->n_frames - i) * sizeof(*world->frames));
        return true;
    }
    return false;
}

const struct message *world_message(const struct buf *frame)
{
    return (const struct message *)frame->bytes;
}

static int by_position(const void *a, const void *b)
{
    const struct wire_position *x = a, *y = b;

    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

void frame_hello(struct buf *out, const char *role, const char *name,
                 const uint8_t instance[16], const char *key, const char *manifest,
                 const struct wire_position *running, size_t n_running)
{
    frame_hello_of(out, role, name, instance, key, manifest, NULL, running, n_running);
}

void frame_hello_of(struct buf *out, const char *role, const char *name,
                    const uint8_t instance[16], const char *key, const char *manifest,
                    const char *group, const struct wire_position *running,
                    size_t n_running)
{
    struct buf map = BUF_NULL;

    struct wire_position *sorted = mem_copy(running, n_running * sizeof(*running));
    qsort(sorted, n_running, sizeof(*sorted), by_position);
    attrs_begin(&map);
    attrs_named_int(&map, "version", 1);
    attrs_named_text(&map, "role", role);
    attrs_named_text(&map, "name", name);
    attrs_named_bin(&map, "instance", instance, 16);
    attrs_named_text(&map, "key", key);
    attrs_named_text(&map, "manifest", manifest);
    attrs_named_text(&map, "group", group);
    attrs_named_bin(&map, "running", sorted, n_running * sizeof(*sorted));
    free(sorted);
    message_begin(out, MSG_HELLO, 0);
    buf_add(out, map.bytes, map.len);
    message_end(out);
    buf_fini(&map);
}

void frame_subscribe(struct buf *out, const char *group, unsigned credit)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_text(&map, "group", group);
    attrs_named_int(&map, "credit_events", credit);
    message_begin(out, MSG_SUBSCRIBE, 0);
    buf_add(out, map.bytes, map.len);
    message_end(out);
    buf_fini(&map);
}

void frame_publish(struct buf *out, uint64_t number, bool wait, const struct buf *records,
                   uint32_t count)
{
    message_begin(out, MSG_PUBLISH, number);
    buf_add(out, records->bytes, records->len);
    struct message *m = message_end(out);
    m->count = count;
    m->flags = wait ? MESSAGE_WANTS_OUTCOME : 0;
}

void frame_result(struct buf *out, uint64_t number, const struct buf *records)
{
    message_begin(out, MSG_RESULT, number);
    buf_add(out, records->bytes, records->len);
    message_end(out);
}

void frame_ping(struct buf *out, const struct wire_position *started, size_t n)
{
    message_begin(out, MSG_PING, 0);
    buf_add(out, started, n * sizeof(*started));
    message_end(out);
}
