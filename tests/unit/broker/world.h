/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* world - everything around the broker's core, in memory: a log, peers, a clock
 *
 * Frames the core sends are kept until the test (or the model) takes them.  Blocks it
 * appends wait until they are committed; a crash drops those that are not, and a new core
 * replays the log. */
#pragma once
#include "broker/core.h"
#include "lib/base/buf.h"

enum { WORLD_FRAMES = 4096 };

struct world_frame {
    uint64_t peer;
    struct buf bytes;
};

/* What a broken broker would do, planted around the core: a checker that does not see it
 * is worth nothing. */
enum world_fault_kind {
    FAULT_ACKS_EARLY, /* takes blocks for committed that are only on their way */
    FAULT_DROPS,      /* every n-th event that is published is not stored */
    FAULT_SWAPS,      /* every n-th pair of events of one key in a batch changes places */
    FAULT_MISTAKES,   /* every n-th id of a provider's event is taken for another one */
};
struct world_fault {
    enum world_fault_kind kind;
    uint32_t every, count;
};

struct world {
    struct core *core;
    struct block_ref **log; /* committed, from block 1 */
    size_t n_log;
    struct block_ref **appended; /* handed over, not committed */
    size_t n_appended;
    struct world_frame *frames;
    size_t n_frames;
    uint64_t wall_us, steady_us;
    uint64_t dead_pids[64];
    size_t n_dead;
    uint64_t segment_room, spare_bytes;
    bool is_full;
    uint64_t n_replayed;
    bool log_replay_failed;
    const struct core_config *config;
    void (*on_commit)(void *user, const struct block *block); /* NULL: nobody looks */
    void (*on_send)(void *user, const struct message *frame);
    void *user;
    struct world_fault *fault; /* NULL: none */
    size_t n_said;             /* to the operator */
    char said[300];
};

void world_init(struct world *world, const struct core_config *config);
void world_fini(struct world *world);
/* Commit up to n appended blocks. */
void world_commit(struct world *world, size_t n);
/* Flush and commit until nothing is on its way. */
void world_settle(struct world *world);
void world_advance(struct world *world, uint64_t us);
/* The broker dies; what is not committed is gone; another one replays from the newest
 * checkpoint. */
void world_crash(struct world *world);
/* The logger was away: it says again where the log ends. */
void world_relink(struct world *world);
void world_send(struct world *world, uint64_t peer, uint64_t pid,
                const struct buf *frame);
/* The same over an encrypted link, from the peer of this name. */
void world_send_as(struct world *world, uint64_t peer, const char *name,
                   const struct buf *frame);
/* The oldest frame for a peer, taken out (to be buf_fini'd); false when there is none. */
bool world_take(struct world *world, uint64_t peer, struct buf *ret);
const struct message *world_message(const struct buf *frame);

/* Frames peers send. All into `out`. */
void frame_hello(struct buf *out, const char *role, const char *name,
                 const uint8_t instance[16], const char *key, const char *manifest,
                 const struct wire_position *running, size_t n_running);
/* The same from one who takes the events of a consumer group. */
void frame_hello_of(struct buf *out, const char *role, const char *name,
                    const uint8_t instance[16], const char *key, const char *manifest,
                    const char *group, const struct wire_position *running,
                    size_t n_running);
void frame_subscribe(struct buf *out, const char *group, unsigned credit);
void frame_publish(struct buf *out, uint64_t number, bool wait, const struct buf *records,
                   uint32_t count);
void frame_result(struct buf *out, uint64_t number, const struct buf *records);
void frame_ping(struct buf *out, const struct wire_position *started, size_t n);

extern const char world_manifest[];
