/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* core - the broker as a pure state machine: inputs and clocks in, actions out
 *
 * No socket, no file, no time call.  The process (broker.c), the unit tests, the model
 * test and the fuzzer drive the same entry points.  One life of an event, in the order of
 * the files: accept -> stage -> (the logger commits) -> apply -> dispatch -> settle ->
 * stage -> apply.
 *
 * Nothing is answered, delivered or published before its block is committed, and the
 * state below changes in one function only, apply_block(), on committed blocks, live as
 * well as at replay. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/money.h"
#include "proto/block.h"
#include "proto/message.h"

struct block_ref;
struct core;
struct log_head;

/* Every bound of the core, with what happens at it. */
enum {
    CORE_STAGED_MAX = 64 << 20, /* uncommitted bytes; above: PUBLISH refused `overloaded`,
                                   RESULT still taken */
    CORE_OUTSTANDING_MAX = 4,   /* blocks on their way to the logger */
    CORE_CACHE_MAX = 16 << 20, /* committed blocks kept for groups near the log's end; who
                                  is further behind reads them from the log */
    CORE_DELIVER_MAX =
        256
        << 10, /* bytes of records in one DELIVER (a larger single event goes alone) */
    CORE_UNSETTLED_MAX = 65536, /* events of a group between attempts; at it the group
                                   takes nothing new from the log until some of them are
                                   settled */
    CORE_PARKED_MAX = 1 << 20,  /* events of a group that wait behind others of their
                                   keys, 16 bytes each; at it the group's scan rests in
                                   front of the next one, and what is behind that waits */
    CORE_PARK_TURN = 16384,     /* of them parked in one turn of the loop; then other
                                   groups, and whoever asks, come first */
    CORE_CELLS_MAX = 4 << 20, /* records, of a group, in blocks that are delivered and not
                                 wholly settled: 16 bytes each are kept; at it the group
                                 takes nothing new from the log */
    CORE_OUTCOME_RESERVE = 4096, /* bytes of log that a delivery keeps free for its
                                    outcome; more where the group has had a longer one */
    CORE_ROOM_KEPT = 3 << 20,    /* bytes of log that deliveries never count on: the
                                    largest result. Below: nothing new is delivered,
                                    results are taken */
    CORE_ONCE_MAX = 32, /* operations that may not be repeated under way in an integration
                           without a limit of its own; the next waits */
    CORE_SESSIONS_MAX = 4096,      /* above: HELLO refused `overloaded` */
    CORE_PRODUCERS_IDLE_S = 86400, /* an absent producer's numbers are forgotten after 24
                                      h: what it sends again then is stored again */
    CORE_PRODUCERS_MAX =
        65536, /* whose numbers are kept; beyond it the longest absent are forgotten */
    CORE_PRODUCERS_LATE_S = 600, /* none that was there in the last 10 min is among these.
                                    After it, the places of an absent producer's batches
                                    are forgotten: PUBLISHED says block 0 */
    CORE_LEASE_US = 30000000,    /* a session silent for this long is over */
    CORE_PING_US = 2000000,
    CORE_DEATHS_MAX =
        3, /* an event that ends its session this often, alone, is Failed/poison */
    CORE_SUSPECTS_MAX = 256,     /* of what a dead session held and had not said to have
                                    begun,     the oldest that may have killed it */
    CORE_SUSPECTS_TOGETHER = 16, /* tried at once after the first death of their session;
                                    after the second each is tried alone */
    CORE_BACKOFF_MIN_US = 1000000,
    CORE_BACKOFF_MAX_US = 300000000,
    CORE_BACKOFF_CAP_US = 2000000000, /* a Retry-After beyond this is cut to it */
    CORE_CHECKPOINT_BYTES =
        128 << 20, /* of log between checkpoints: what a restart replays at most */
    CORE_KEYS_MAX =
        500000, /* idempotency keys the views do not hold yet; at it a PUBLISH with keys
                   is refused `overloaded`. What was found is taken all the same: at most
                   7,000 with each event that was delivered */
    CORE_IDEMPOTENCY_S = 7 * 86400, /* how long an event that a connector found is known
                                       to have come, where the configuration is silent */
    CORE_AHEAD_MAX = 256,  /* blocks behind the first call that waits in which webhooks go
                              past it; those further behind wait too */
    CORE_MISSED_MAX = 100, /* records of missed runs written at once per schedule; those
                              before are told as a number */
    CORE_LATE_US = 10000000, /* a run that starts so late, or half its interval, was not
                                missed */
};

/* --- configuration, all borrowed for the call of core_configure --- */

struct core_schedule {
    const char *operation;
    const char *when; /* as the configuration says it: runs are counted anew when it
                         changes */
    uint64_t every_us;
    const struct cron *cron; /* instead of every_us, or NULL */
    const struct zone *zone; /* of it; NULL is UTC */
    int missed;              /* 0 skip, 1 once, 2 all */
};
struct core_breaker {
    uint32_t failures; /* in a row; 0: none. At most BREAKER_FAILURES_MAX */
    uint64_t window_us, pause_us;
};
struct core_price {
    const char *operation;
    struct money price; /* the most one call costs */
    uint64_t since_us;  /* wall; 0 = always */
};
struct core_integration {
    const char *name, *connector, *provider, *service, *mode;
    const char
        *key; /* the bus key its connector must show; NULL: nobody can join as it */
    bool is_default, is_ordered; /* ordered: by key, one event of a key at a time */
    uint32_t attempts;
    uint64_t deadline_us;
    double rate;          /* calls a second; 0: no limit */
    uint32_t concurrency; /* calls at one time; 0: no limit, or LIMIT_CONCURRENCY where
                             there is a rate */
    struct core_breaker breaker;
    struct money per_day; /* the budget; no currency: none */
    const struct core_price *prices;
    size_t n_prices;
    const struct core_schedule *schedules;
    size_t n_schedules;
};
struct core_group {
    const char *name;
    const char *const *types;
    size_t n_types;
    uint32_t attempts;
    bool is_ordered;
    bool may_lose; /* what it has not settled does not keep the log's segments */
};
/* A peer on an encrypted link, as bus.peers has it. */
struct core_peer {
    const char *name;
    bool is_connector;
    const char *integration;    /* a connector's */
    const char *const *publish; /* type patterns; of a connector none = its manifest's */
    size_t n_publish;
    const char *const *groups; /* names of the consumer groups it may join */
    size_t n_groups;
    bool may_observe; /* replay the log */
};
struct core_config {
    const char *gateway_key;
    const struct core_integration *integrations;
    size_t n_integrations;
    const struct core_group *groups;
    size_t n_groups;
    const struct core_peer *peers;
    size_t n_peers;
    uint64_t idempotency_us; /* how long what was found is known; 0: CORE_IDEMPOTENCY_S */
    uint64_t random_seed;    /* of the backoff's jitter */
};

/* What an idempotency key stands for, where the core asks the views. */
struct core_key {
    uint64_t body_hash, expires_us;
    uint8_t id[16];
    struct position position;
};

/* --- actions: called by the core; none may call back into it --- */
struct core_ops {
    /* Send one frame to a peer. */
    void (*send)(void *user, uint64_t peer, const void *frame, size_t n);
    /* Hand a sealed block to the logger. The core keeps its own reference until it is
     * committed. */
    void (*append)(void *user, struct block_ref *block);
    /* Read a committed block that is no longer cached. NULL when it is gone or damaged; a
     * reference of the core's otherwise. */
    struct block_ref *(*read)(void *user, uint64_t number);
    /* A live entry of the views for an idempotency key? */
    bool (*find_key)(void *user, const uint8_t key[16], struct core_key *ret);
    /* A block is committed and applied: publish it live. */
    void (*live)(void *user, const struct block *block);
    /* Is there still a process of this id? */
    bool (*alive)(void *user, uint64_t pid);
    /* Something the operator should know (lib/base/log.h ids). */
    void (*say)(void *user, int log_id, const char *text);
};

/* --- life --- */
/* `boot`: 16 random bytes that name this life of the broker, and make places in its
 * tables unguessable. */
struct core *core_new(const struct core_ops *ops, void *user, const uint8_t boot[16]);
void core_free(struct core *core);
/* The times of the next inputs. Wall time may jump, steady time may not. */
void core_time(struct core *core, uint64_t wall_us, uint64_t steady_us);

/* Recovery: the committed blocks from a checkpoint (or block 1) on, in order. False with
 * a reason when a block does not fit: the log cannot be used as it is. */
bool core_replay(struct core *core, const struct block *block, const char **ret_why);
/* Recovery: a block below the checkpoint whose idempotency keys the views do not hold
 * yet. */
void core_replay_keys(struct core *core, const struct block *block);
/* True between the pieces of a checkpoint: replay must start from an older one when the
 * log ends here. */
bool core_in_checkpoint(const struct core *core);
/* Recovery is over: this process is the broker of `term`, the log ends at `head`. Writes
 * a checkpoint. */
void core_start(struct core *core, uint64_t term, const struct log_head *head);
/* The configuration in force from now on; differences to what the log says are recorded.
 * After core_start. */
void core_configure(struct core *core, const struct core_config *config);

/* --- inputs --- */
/* Who sent a frame, as far as the transport can prove it. */
struct core_sender {
    uint64_t peer;    /* the shell's name for the connection */
    uint64_t pid;     /* of a local process; 0 when unknown, or on another host */
    const char *name; /* on an encrypted link: whose key it is (bus.peers); NULL: local */
};
/* A frame from the bus. */
void core_frame(struct core *core, const struct core_sender *sender, const void *frame,
                size_t n);
/* Somebody was kept out before anything it said was read; `what` in words. Counted. */
void core_stranger(struct core *core, const char *what);
/* The peer cannot be reached any more under this name. */
void core_gone(struct core *core, uint64_t peer);
/* The logger committed everything up to head, or says how full it is. */
void core_committed(struct core *core, const struct log_head *head);
/* The link to the logger was made again: its head; uncommitted blocks are sent again.
 * False: the logger lost blocks. */
bool core_relink(struct core *core, const struct log_head *head);
/* The views hold every idempotency key up to this block. */
void core_views(struct core *core, uint64_t applied_block);
/* Fire what is due. */
void core_tick(struct core *core);
/* Close the open block if the logger is idle: call when no further input is at hand. */
void core_flush(struct core *core);
/* Steady time of the next core_tick that could do something. */
uint64_t core_next_due(const struct core *core);

/* --- what it knows --- */
/* State as JSON, to be js_free'd: groups, sessions, totals. */
struct json *core_status(const struct core *core);
uint64_t core_applied(const struct core *core);
/* The log begins at this block now: groups that had not come so far (they may lose) go on
 * there. */
void core_trimmed(struct core *core, uint64_t first);
/* Below this block no event is unsettled and no replay starts: what pins it is the
 * group's name, or "checkpoint" (borrowed; ret_what may be NULL). */
uint64_t core_keep_from(const struct core *core, const char **ret_what);

/* --- blocks in memory: reference counted; the count is atomic because the wire's I/O
 * thread releases too --- */
struct block_ref {
    _Atomic uint32_t refs;
    uint32_t *offsets; /* of each record; made on first use */
    size_t cap;
    struct message *frame; /* room for an APPEND's header directly before the block */
    struct block *block;   /* 8-aligned */
};
struct block_ref *block_ref_new(size_t cap);
/* Make the block's memory `cap` bytes (at least its length); nobody else may hold it. */
void block_ref_resize(struct block_ref *ref, size_t cap);
struct block_ref *block_ref_copy(const struct block *block);
struct block_ref *block_ref_hold(struct block_ref *ref);
void block_ref_drop(struct block_ref *ref); /* NULL is fine */
/* Record `index`, NULL when there is none. */
const struct record *block_ref_record(struct block_ref *ref, uint32_t index);
