/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* state - what the core's files share; nobody else includes it */
#pragma once
#include "broker/breaker.h"
#include "broker/budget.h"
#include "broker/core.h"
#include "broker/gate.h"
#include "broker/limit.h"
#include "broker/used.h"
#include "lib/base/buf.h"
#include "lib/base/cron.h"
#include "lib/base/json.h"
#include "lib/base/zone.h"
#include "proto/control.h"

/* --- what is known of one event in one group, allocated for a block when one of its
 * events needs it --- */
enum cell_state {
    CELL_OPEN = 0, /* not delivered (or not this group's) */
    CELL_INFLIGHT, /* a session has it */
    CELL_SETTLING, /* its result is staged, not committed */
    CELL_STARTING, /* its START is staged, not committed */
    CELL_WAITING,  /* in the retry heap, or in the queue of those to go at once */
    CELL_PARKED,   /* behind another event of its key */
    CELL_SETTLED,
};
enum cell_flags {
    CELL_STARTED = 1,   /* the session said that it works on it */
    CELL_WAITED = 2,    /* somebody waits for the outcome */
    CELL_SCHEDULED = 4, /* a schedule waits for the outcome */
    CELL_DOUBT = 8,     /* a START of it is in the log: what came of that is not known */
    CELL_LEADS = 16,    /* it has its key's lane: followers are parked until it is settled
                         */
    CELL_ONCE = 32,     /* it is counted in its group's n_once */
    CELL_FRESH = 64,    /* the START was just committed, for the delivery that comes */
    CELL_IN_DOUBT = 128,                     /* it was delivered with doubt */
    CELL_KEPT = CELL_SCHEDULED | CELL_DOUBT, /* what a checkpoint holds */
};
struct cell {
    uint8_t state, flags;
    uint8_t attempts; /* spent */
    uint8_t deaths;   /* of sessions while it was started */
    uint8_t alone;    /* of these, with nothing else started */
    uint8_t reserved;
    uint16_t session; /* index of the holder */
    uint32_t len;     /* of the record, for credit */
    uint32_t lane;    /* of its key, while CELL_LEADS */
};

/* One block as one group sees it. */
struct slot {
    uint64_t block;
    uint64_t deadline_us; /* the earliest of its unsettled requests; UINT64_MAX = none */
    uint32_t count;       /* records in the block */
    uint32_t open;        /* unsettled events of this group */
    bool is_passed;       /* by the scan, with something unsettled: counted in n_cells */
    struct cell *cells;   /* count of them, or NULL */
};

struct heap_entry {
    uint64_t due_us; /* steady */
    uint64_t block;
    uint32_t index;
};

/* First in, first out. */
struct queue {
    struct heap_entry *items;
    size_t first, end, cap; /* [first, end) are in it */
};

/* Per-key order: a lane for each key of which an event is under way or waits (lanes.c).
 */
struct lane {
    uint64_t key;
    uint32_t busy;        /* its events that are under way: more than one only where the
                             group was not ordered before */
    uint32_t first, last; /* in lanes.parked, plus 1; 0 = nobody is parked */
    uint32_t next;        /* in its bucket or the list of free ones, plus 1; 0 = none */
};
struct parked {
    uint64_t block;
    uint32_t index;
    uint32_t next; /* plus 1 */
};
struct lanes {
    struct lane *lanes;
    struct parked *parked;
    uint32_t *buckets; /* lane plus 1 */
    uint32_t n_lanes, cap_lanes, free_lane;
    uint32_t n_parked, cap_parked, free_parked; /* n: ever used, free ones included */
    uint32_t n_buckets, n_keys;
    uint32_t n_waiting; /* parked now */
};

struct schedule {
    char *name, *operation; /* name: "<integration>.<operation>" */
    char *spec; /* `when` of the integration's record; NULL = not known since the
                   checkpoint */
    /* of the configuration in force */
    char *when;
    uint64_t every_us;
    bool is_cron;
    struct cron cron;
    struct zone *zone;
    int missed;
    bool is_configured;
    uint64_t next_due_us; /* the first after staged_due_us; 0 = to be worked out */
    /* the fold's */
    bool is_owed;           /* a run fell due while the former one ran and is made up for,
                               or the last one has more to fetch */
    uint64_t last_due_us;   /* wall; fired or recorded as missed */
    uint64_t staged_due_us; /* as far as staged records go */
    bool is_staged;         /* a run is staged, not yet applied */
    struct position pending; /* block 0 = none */
    char *cursor;
};

/* What may hold calls back. */
struct gate_state {
    struct limit limit;
    struct breaker breaker;
    struct budget budget;
    char reason[BREAKER_WHY_MAX + 80]; /* why the breaker is as it is */
    bool is_changing;                  /* its change is on the way to the log */
    uint64_t taken_us;     /* wall, the fold's: the last call of a slow rate; 0 = none */
    bool is_taking;        /* the record that says so is on the way to the log */
    bool is_taken;         /* it is in the log: one call may go */
    uint64_t due_us;       /* steady: when the gate said to wait, until then */
    const char *waits_for; /* the same: "rate"; NULL = nothing */
};

struct group {
    char *name;
    uint32_t hash;
    bool is_handler; /* of an integration's requests; else a consumer group */
    bool is_configured, is_paused, is_ordered;
    bool may_lose;    /* a consumer group's: what it has not settled keeps no segment */
    uint64_t passing; /* what is gone below this block is staged as passed */
    uint32_t attempts;
    /* consumer group */
    char **types;
    size_t n_types;
    /* handler group */
    char *connector, *provider, *service, *mode;
    char *key;
    char *record; /* the INTEGRATION or group record's JSON that the log holds */
    char *pause;  /* while it is paused: the JSON that says so: since, actor, reason */
    bool is_default;
    uint64_t deadline_us;
    struct schedule *schedules;
    size_t n_schedules;
    /* deliveries */
    struct slot *slots; /* ascending by block; [first_slot, n_slots) are alive */
    size_t first_slot, n_slots, cap_slots;
    size_t n_cells;   /* records of the slots that are passed and not settled */
    size_t hot_slot;  /* the last one found */
    size_t scan_slot; /* where new deliveries go on */
    uint32_t scan_index;
    bool is_scanning;      /* it has parked its turn's events: the scan goes on at once */
    bool is_crowded;       /* it was said that it has parked as many as it may */
    struct position ahead; /* as far as webhooks went past calls that wait */
    struct heap_entry *heap;
    size_t n_heap, cap_heap;
    struct queue ready;    /* to be delivered (again) at once */
    struct queue suspects; /* were started when a session died */
    struct lanes lanes;
    struct gate_state gate;
    struct used *used; /* which version of each of its secrets was used, and when */
    size_t n_used;
    uint32_t outcome_max; /* bytes: the longest outcome there was, at least
                             CORE_OUTCOME_RESERVE */
    uint32_t inflight;
    uint32_t n_once; /* of these and those about to be delivered, operations that may
                        not be repeated */
    uint64_t *once;  /* the types of these operations, hashed */
    size_t n_once_types;
    bool awaits_manifest;   /* its connector's is staged: what it says is not known yet */
    uint64_t hold_until_us; /* steady: after a restart former sessions may still resume; 0
                               = no hold */
    uint64_t settled_success, settled_failed;
};

/* What an integration's connector said of itself: two of one connector may talk to
 * different providers. */
struct manifest {
    uint32_t integration; /* its group's hash */
    char *connector;
    char *text;
    struct json *json;
};

/* What a peer on an encrypted link may do (rights.c). They live as long as the core, so
 * that sessions can point at them. */
struct rights {
    char *name;
    bool is_configured;
    bool is_other; /* of the last configuration: role or integration changed */
    bool is_connector, may_observe;
    char *integration;
    char **publish, **groups;
    size_t n_publish, n_groups;
    uint64_t allowed_hash; /* the type last found to be allowed */
    uint8_t allowed_len;
    char allowed[RECORD_TYPE_MAX];
};

/* What is refused, by kind (refusals.c). */
enum refusal {
    REFUSAL_STRANGER, /* at the handshake */
    REFUSAL_FRAME,    /* not one of ours */
    REFUSAL_HELLO,    /* not who it says */
    REFUSAL_RIGHT,    /* a peer without the right */
    REFUSAL_NOT_HELD, /* a result for what is not the session's: late, or forged */
    REFUSAL_KINDS,
};
struct refusals {
    uint64_t total, unsaid, said_us; /* steady */
};

enum role { ROLE_NONE, ROLE_GATEWAY, ROLE_CONNECTOR, ROLE_CLIENT };

struct session {
    uint64_t peer; /* 0 = detached: lost, may come back until its lease ends */
    uint16_t index;
    uint64_t serial; /* no other session of this broker has it */
    bool is_joined;
    uint8_t instance[16];
    enum role role;
    char *name;
    uint64_t pid;
    struct rights *rights;               /* of a peer on an encrypted link; NULL: local */
    uint32_t integration;                /* a connector's */
    struct group *group;                 /* it takes deliveries from */
    int64_t credit_events, credit_bytes; /* what it would take more */
    uint32_t inflight, returning; /* deliveries it has; in results not committed yet */
    uint64_t inflight_bytes, returning_bytes;
    bool is_draining, is_solo; /* for a suspect, alone */
    bool is_leaving;           /* it said BYE: nothing killed it */
    bool is_replaying;
    struct position replay; /* an observer's place in the log */
    uint64_t window_used;
    uint64_t heard_us;  /* steady */
    uint64_t joined_us; /* wall */
};

/* The numbers of one producer (a peer's instance). */
enum {
    PRODUCER_RECENT = 32,   /* places of committed batches kept */
    PRODUCER_NUMBERS = 256, /* numbers below the highest one that are told apart; a peer
                               has fewer unanswered */
};

/* Which batch numbers there were: a refused number leaves a hole below later ones and may
 * come again. */
struct numbers {
    uint64_t highest;
    uint64_t mask[PRODUCER_NUMBERS / 64]; /* bit n % PRODUCER_NUMBERS */
};
/* Where a committed batch stands. */
struct batch_at {
    uint64_t number, block;
    uint32_t first, count;
};
struct producer {
    uint8_t instance[16];
    struct numbers committed, staged;
    uint64_t used_us;        /* steady, last staged or seen */
    struct batch_at *recent; /* PRODUCER_RECENT of them, by number; NULL: none is known */
};

/* What is owed to a peer once a block is committed. */
struct reply {
    uint16_t session;
    uint8_t instance[16]; /* of the session: its index may be somebody else's by then */
    uint64_t serial;      /* what is returned is this session's, not a later one's */
    bool is_result, wants_outcomes;
    uint64_t number;
    uint32_t first, count; /* records of the batch in the block */
    uint32_t events;
    uint64_t bytes; /* of the window, or of credit */
    uint32_t credit_events;
    struct buf verdicts; /* struct verdict_due, to be completed when it is sent */
    char *answer;        /* of an ADMIN: its ANSWER's body; NULL for the others */
    struct buf frame; /* of a HELLO: its WELCOME, as it is sent; empty for the others */
};
/* An event that was not stored. Where its first stands is known when that is committed.
 */
struct verdict_due {
    uint32_t index, code;
    uint8_t key[16];
};

struct staged {
    struct block_ref *ref;
    uint32_t events;
    uint64_t requests, facts, outcomes;
    struct reply *replies;
    size_t n_replies, cap_replies;
};

enum type_class {
    TYPE_FREE,      /* a fact anybody may publish */
    TYPE_OPERATION, /* a request for a connector's operation */
    TYPE_OUTCOME,   /* of an operation: nobody's to publish */
    TYPE_WEBHOOK,   /* under an integration's name: the gateway's */
    TYPE_RESERVED,  /* signalbox.*: the gateway's */
    TYPE_ORPHAN,    /* ends in .requested, and no connector declares it */
};
struct route {
    uint64_t hash;
    uint8_t type_len;
    char type[RECORD_TYPE_MAX];
    enum type_class class;
    bool is_spoken_for; /* free, but a manifest says it is its connector's to publish */
    bool is_declared;   /* webhook: the manifest turns it into a request */
    bool is_known; /* webhook: the integration has no connector, or its manifest is known
                    */
    struct group *
        *handlers; /* operation: the integrations that could; webhook: the one */
    size_t n_handlers;
    struct group *sole; /* the one to choose when none is named */
    struct group **consumers;
    size_t n_consumers;
    struct route *next;
};

struct waiter {
    struct position position;
    uint64_t ref;
    uint32_t index;
    uint16_t session;
    uint8_t instance[16];
    struct waiter *next;
};

/* Who takes deliveries, as the log says: after a restart a group holds back until these
 * are back or dead. */
struct member {
    uint8_t instance[16];
    uint32_t group;
    uint64_t pid;
    bool is_former; /* of the broker's former life, and not back yet */
};

struct key_entry {
    uint8_t key[16];
    struct core_key value; /* position.block is 0 until it is committed */
    bool is_used;
};

enum {
    ROUTE_BUCKETS = 4096,
    WAITER_BUCKETS = 4096,
    CORE_READ_CACHE = 8, /* older blocks read from the log and kept for the next look */
};

struct core {
    const struct core_ops *ops;
    void *user;
    uint64_t wall_us, steady_us;
    uint8_t boot[16];
    uint64_t term;
    bool is_started;
    uint64_t started_us; /* steady */
    char *gateway_key;
    uint64_t idempotency_us; /* how long what was found is known */
    uint64_t random;         /* of the jitter */
    uint64_t random_mix;     /* makes places in tables unguessable */

    /* the fold's own: the state of the log up to `applied` */
    uint64_t applied;
    uint32_t applied_crc;
    uint64_t applied_time_us;
    uint64_t requests_total, facts_total, outcomes_total;
    struct buf checkpoint; /* pieces gathered at replay */
    bool in_checkpoint;
    const char *wrong; /* with the checkpoint that was read; NULL: nothing */
    bool is_based;     /* a whole checkpoint was read, or the log is new */
    size_t n_consumer_groups;
    uint64_t checkpoint_began,
        checkpoint_block;    /* first block of the newest one; of the newest whole one */
    struct schedule *firing; /* RECORD_SCHEDULE seen, its request follows */
    uint64_t log_since_checkpoint;

    /* staging */
    struct staged open;
    struct staged
        *queue; /* sealed; the first `outstanding` of them are with the logger */
    size_t n_queue, cap_queue, outstanding;
    uint64_t next_number;
    uint32_t last_crc;
    uint64_t last_time_us;
    uint64_t staged_requests, staged_facts,
        staged_outcomes; /* running totals up to what is staged */
    size_t staged_bytes;
    bool wants_checkpoint, wants_segment;
    struct log_head head;
    uint64_t segment_low; /* room in the segment below which the next one is opened */

    struct block_ref **cache; /* consecutive blocks, the last one is `applied` */
    size_t n_cache, cap_cache, cache_bytes;
    struct block_ref *read_cache[CORE_READ_CACHE];

    struct group **groups;
    size_t n_groups;
    struct group *hot_group;
    struct rights **rights;
    size_t n_rights;
    struct refusals refusals[REFUSAL_KINDS];
    struct manifest *manifests;
    size_t n_manifests;
    struct route *routes[ROUTE_BUCKETS];
    size_t n_routes;
    struct route *hot_route;

    struct session **sessions; /* by index; NULL = free */
    size_t n_sessions;
    uint64_t last_serial;
    struct session *hot_session;
    size_t n_replaying;
    struct producer **producers;
    size_t n_producers, cap_producers; /* open addressing by instance */
    struct waiter *waiters[WAITER_BUCKETS];
    size_t n_waiters;
    struct member *members;
    size_t n_members;
    struct key_entry *keys; /* open addressing */
    size_t n_keys, cap_keys;
    uint64_t views_applied;

    int64_t room; /* bytes of log that are free, and not kept for what is under way */
    uint64_t dispatched_us; /* steady: what was due then and stayed waits for something
                               else than the clock */
    uint64_t next_sweep_us; /* steady: leases, deadlines */
    struct buf frame;       /* for what is sent */
    struct buf scratch;
};

/* accept.c */
struct batch_place {
    uint32_t index, offset; /* of the RECORD_BATCH in the open block */
};
void stage_batch(struct core *core, const struct session *session, uint64_t number,
                 struct batch_place *ret);
void stage_batch_count(struct core *core, const struct batch_place *place,
                       uint32_t count);
bool may_publish(struct core *core, const struct session *session, const char *type,
                 size_t n);
void accept_publish(struct core *core, struct session *session, const struct message *m);
/* settle.c */
void settle_result(struct core *core, struct session *session, const struct message *m);
/* found.c */
enum {
    FOUND_ROOM = 128 + sizeof(struct control_idempotency),
}; /* bytes that the broker adds for each fact with a key, and to its outcome */
bool found_has_key(const struct record *r);
/* Is the type under the name of the session's own integration? */
bool found_is_providers(const struct session *session, const struct route *route);
/* Why a fact with a key may not be said with this outcome (NULL: there is none before
 * it). NULL when it may. */
const char *found_misfit(const struct record *outcome, const struct record *r);
/* Stage the outcome and the facts behind it, up to `end`, without those that had come
 * before. Of one that is late nothing is staged; *left_out counts its facts. Returns the
 * bytes of all. */
size_t found_take(struct core *core, const struct session *session,
                  const struct record *outcome, const uint8_t *end, bool is_late,
                  uint32_t *left_out);
/* The same of an outcome alone. */
void found_stage_outcome(struct core *core, const struct session *session,
                         const struct record *outcome);
/* How the broker itself ends what nobody can finish. */
struct ending {
    enum record_class why;
    const char *text;
    unsigned attempts;
    bool in_doubt;   /* of a START: then the class is `unknown` */
    bool had_deaths; /* of sessions that worked on it */
};
void settle_as(struct core *core, struct group *group, struct slot *slot, uint32_t index,
               const struct ending *ending);
/* The same with what the cell says. */
void settle_by_broker(struct core *core, struct group *group, struct slot *slot,
                      uint32_t index, enum record_class why, const char *text);
/* The same for one whose deadline has passed. */
void settle_late(struct core *core, struct group *group, struct slot *slot,
                 uint32_t index);
/* stage.c */
uint8_t *stage_add(struct core *core, const void *record, size_t n, uint32_t *ret_index);
long stage_parts(struct core *core, const struct record_parts *parts,
                 uint32_t *ret_index);
void stage_room(struct core *core, size_t n);
/* Answer a batch that is committed; `verdicts` are struct verdict_due. */
void send_published(struct core *core, const struct session *session, uint64_t number,
                    uint32_t events, struct published *published,
                    const struct buf *verdicts);
struct reply *stage_reply(struct core *core, struct session *session);
void reply_fini(struct reply *reply);
void stage_flush(struct core *core);
void stage_committed(struct core *core, const struct log_head *head);
/* blocks.c */
void cache_put(struct core *core, struct block_ref *ref);
void cache_clear(struct core *core);
struct block_ref *cache_get(struct core *core,
                            uint64_t number); /* a reference to be dropped, or NULL */
/* apply.c */
bool note_is(const struct record *r, const char *type); /* a RECORD_NOTE's type */
bool apply_block(struct core *core, const struct block *block, const char **ret_why);
/* route.c */
struct route *route_get(struct core *core,
                        const struct record *r); /* by type; made on first sight */
void route_forget(struct core *core);
struct group *group_find(struct core *core, uint32_t hash);
struct group *group_by_name(struct core *core, const char *name);
struct group *group_add(struct core *core, const char *name);
/* NULL while the integration's connector has not joined yet. */
struct manifest *manifest_find(const struct core *core, const struct group *group);
/* Is the type in its `publishes`, or what a webhook of its becomes? */
bool manifest_publishes(const struct manifest *manifest, const char *type, size_t n);
bool manifest_has(const struct manifest *manifest, const char *list, const char *member,
                  const char *name, size_t n);
/* slots.c */
struct slot *slot_find(struct group *group, uint64_t block);
struct slot *slot_make(struct group *group, uint64_t block, uint32_t count);
void slot_cells(struct slot *slot); /* allocates them */
static inline struct cell *slot_cell(struct slot *slot, uint32_t index)
{
    if (!slot->cells)
        slot_cells(slot);
    return &slot->cells[index];
}
/* NULL: as it was made. */
static inline struct cell *slot_look(const struct slot *slot, uint32_t index)
{
    return slot && slot->cells && index < slot->count ? &slot->cells[index] : NULL;
}
void slot_settle(struct core *core, struct group *group, uint64_t block, uint32_t index,
                 bool success);
void slots_trim(struct group *group);
void heap_push(struct group *group, uint64_t due_us, uint64_t block, uint32_t index);
bool heap_pop(struct group *group, uint64_t now_us, struct heap_entry *ret);
/* A session has it; no longer. The session's credit is the caller's. */
void cell_give(struct group *group, struct session *session, struct cell *cell,
               const struct record *r);
void cell_leave(struct core *core, struct group *group, struct cell *cell);
void queue_push(struct queue *queue, uint64_t block, uint32_t index);
bool queue_peek(const struct queue *queue, struct heap_entry *ret);
bool queue_pop(struct queue *queue, struct heap_entry *ret);
static inline size_t queue_len(const struct queue *queue)
{
    return queue->end - queue->first;
}
/* What a group may not have more of than CORE_UNSETTLED_MAX. */
size_t group_unsettled(const struct group *group);
/* lanes.c */
/* May the event go now? Then the lane of its key is the event's until lane_leave. False:
 * another one of the key is under way. */
bool lane_enter(struct group *group, struct cell *cell, uint64_t key);
/* The same for any group and event: without order or key it may always go. */
static inline bool lane_take(struct group *group, struct cell *cell, uint64_t key)
{
    return !group->is_ordered || !key || (cell->flags & CELL_LEADS) ||
           lane_enter(group, cell, key);
}
/* It is under way whatever its key's lane says: delivered before the group was ordered,
 * or in a former life of the broker. */
void lane_join(struct group *group, struct cell *cell, uint64_t key);
/* It waits until those of its key before it are settled. After lane_enter said no. */
void lane_park(struct group *group, struct cell *cell, uint64_t key, uint64_t block,
               uint32_t index);
/* It is settled: the next of its key goes to the queue of those ready. */
void lane_leave(struct group *group, struct cell *cell);
/* Order begins or ends: nobody is parked, and the scan starts afresh. */
void lanes_reset(struct group *group);
void lanes_free(struct lanes *lanes);
/* dispatch.c */
void dispatch_all(struct core *core);
void dispatch_group(struct core *core, struct group *group);
/* One group's, outside the turn of all: a session of it has new credit. */
void dispatch_now(struct core *core, struct group *group);
/* Is the event the group's to handle? */
bool group_takes(struct core *core, const struct group *group, const struct record *r);
/* pass.c */
/* Does what it has not settled keep the log's segments? */
bool group_pins(const struct group *group);
/* A committed record says that the group goes on at this block. */
void pass_apply(struct core *core, struct group *group, uint64_t below);
/* replay.c */
void replay_begin(struct core *core, struct session *session, const struct message *m);
void replay_all(struct core *core);
/* start.c */
/* What the group's connector may not repeat, worked out from its manifest. */
void start_types(struct core *core);
/* Is it of an operation that may not be repeated? */
bool start_is_once(const struct group *group, const struct record *r);
/* Must a START be in the log before it is delivered? */
static inline bool start_is_due(const struct group *group, const struct cell *cell,
                                const struct record *r)
{
    return group->n_once_types > 0 && !(cell->flags & (CELL_FRESH | CELL_DOUBT)) &&
           start_is_once(group, r);
}
/* Has the group as many of these under way as it may? */
bool start_is_full(const struct group *group);
/* Stage the START. Delivery goes on when it is applied. */
void start_stage(struct core *core, struct group *group, struct position position,
                 struct cell *cell);
/* retry.c */
/* Why an attempt ended without an outcome. */
struct setback {
    uint64_t delay_us;        /* until the next; 0: the backoff's */
    bool at_once;             /* no pause at all */
    bool counts;              /* as an attempt */
    bool is_death, was_alone; /* of the session; nothing else was started */
    bool leaves_doubt;        /* it may have had its effect */
    enum record_class why;
    const char *text;
};
/* Stage another attempt, or the end of trying. The delivery has left its session. */
void retry_later(struct core *core, struct group *group, struct slot *slot,
                 uint32_t index, const struct setback *setback);
/* What a session held goes to others: what was not started always, what was started when
 * `started_too`. */
void retry_release(struct core *core, struct session *session, bool started_too);
void retry_sweep(struct core *core);
/* session.c */
struct session *session_by_peer(struct core *core, uint64_t peer);
void session_frame(struct core *core, const struct core_sender *sender,
                   const struct message *m);
void session_refuse(struct core *core, uint64_t peer, uint64_t ref, unsigned code,
                    const char *detail, uint32_t retry_after_ms);
void session_say(struct core *core, int log_id, const struct session *session,
                 const char *why);
void session_end(struct core *core, struct session *session, const char *why);
void session_sweep(struct core *core);
void members_release(struct core *core);
/* producers.c */
bool numbers_have(const struct numbers *numbers,
                  uint64_t number); /* also true for those too low to tell */
void numbers_add(struct numbers *numbers, uint64_t number);
struct producer *producer_get(struct core *core, const uint8_t instance[16], bool make);
/* Who has been away for long; see CORE_PRODUCERS_IDLE_S and what follows it. */
void producers_forget(struct core *core);
void producer_free(struct producer *producer);
/* A batch is committed there; NULL: the place of this number is not known. */
void producer_note(struct producer *producer, const struct batch_at *at);
const struct batch_at *producer_place(const struct producer *producer, uint64_t number);
/* hello.c */
void hello(struct core *core, const struct core_sender *sender, const struct message *m);
/* rights.c: NULL rights, of a local peer, allow everything */
void rights_configure(struct core *core, const struct core_config *config);
void rights_free(struct core *core);
struct rights *rights_find(const struct core *core, const char *name);
bool rights_may_publish(struct rights *rights, const struct record *r);
bool rights_may_say(const struct rights *rights, const char *type, size_t type_len);
bool rights_may_join(const struct rights *rights, const char *group);
bool rights_may_wait(struct core *core, struct rights *rights, struct position position);
/* refusals.c; `who` may be NULL */
void refusal_note(struct core *core, enum refusal kind, const char *who,
                  const char *what);
struct json *refusals_status(const struct core *core);
/* wait.c */
void wait_add(struct core *core, struct session *session, struct position position,
              uint64_t ref, uint32_t index);
void wait_settled(struct core *core, const struct block *block,
                  const struct record *outcome, uint32_t index);
void wait_forget(struct core *core, const struct session *session);
/* schedule.c */
void schedule_tick(struct core *core);
/* By name ("<integration>.<operation>"); made when there is none. */
struct schedule *schedule_make(struct group *group, const char *name);
/* What is in force from now on; the schedule owns what it is given. */
void schedule_configure(struct schedule *schedule, const struct core_schedule *in);
/* The fold: the integration's record, in a block of this time, lists these schedules. */
void schedule_define(struct group *group, const struct json *list, uint64_t at_us);
void schedule_fini(struct schedule *schedule);
uint64_t schedule_next_due(struct schedule *schedule);
void schedule_settled(struct core *core, struct group *group, struct position position,
                      const struct record *outcome);
/* checkpoint.c */
void checkpoint_write(struct core *core, struct buf *out);
/* NULL, or why it cannot be gone on from: nothing of the core is good then. */
const char *checkpoint_read(struct core *core, const void *bytes, size_t n);
/* Stage the records that define integrations, groups and manifests, as every segment
 * repeats them. */
void checkpoint_definitions(struct core *core);
/* admin.c */
void admin_command(struct core *core, struct session *session, const struct message *m);
void admin_answer(struct core *core, const struct session *session, uint64_t ref, bool ok,
                  const char *body);
/* What a person asks for: its function fills in the answer.  Where it stages records, the
 * answer is sent once they are committed. */
struct act {
    const struct json *args;
    const char *actor; /* the person or the token */
    const struct session *session;
    struct json *body; /* the answer */
    bool is_refused, is_staged;
};
void act_refuse(struct act *act, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Stage a record of the act: a fact, so that it stands in the log and is published. */
void act_stage(struct core *core, struct act *act, const char *type, uint32_t integration,
               const uint8_t *cause, const struct json *data);
/* The committed event that an object names by `block`, `index` and `id`. NULL with a
 * reason; *ret_block is a reference to be dropped. */
const struct record *act_event(struct core *core, const struct json *where,
                               struct block_ref **ret_block, struct position *ret_at,
                               const char **ret_why);
/* cancel.c, redrive.c, resolve.c, tested.c */
void cancel(struct core *core, struct act *act);
void redrive(struct core *core, struct act *act);
void resolve(struct core *core, struct act *act);
void tested(struct core *core, struct act *act);
/* keys.c */
/* What a key stands for, here or in the views; false when it is not in use. */
bool key_value(struct core *core, const uint8_t key[16], struct core_key *ret);
struct key_entry *key_find(struct core *core, const uint8_t key[16]);
void key_put(struct core *core, const uint8_t key[16], const struct core_key *value);
void key_drop(struct core *core, const uint8_t key[16]);
void keys_forget(struct core *core); /* what the views hold */
/* core.c */
void send_frame(struct core *core, uint64_t peer);
uint64_t random_below(struct core *core, uint64_t bound);
