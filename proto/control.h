/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* control - the data of control records: what happened to deliveries, with absolute values
 *
 * Each is a fixed little-endian struct as the record's data (type, attributes and id as noted).
 * State is a fold over these and the events: a broker that reads them again is where it was.
 * Packed: a record's data need not be aligned. */
#pragma once
#include <stdint.h>

#include "proto/record.h"

/* RECORD_BATCH: the `count` records behind it came in one batch of a producer. It makes a batch
 * that is sent again recognisable. `id` of the record = the producer's 16-byte id. */
struct control_batch {
    uint64_t number; /* ascending per producer, from 1 */
    uint32_t count;
    uint32_t reserved;
} __attribute__((packed));

/* RECORD_IDEMPOTENCY: stands before the event it belongs to. `id` = hash_pair(scope, key). Of what a provider tells,
 * by a webhook or in the answer to a poll, the scope is PROVIDER_SCOPE and the integration's name, the key the
 * provider's id of the event: so it is one event, whichever way it comes, and however often. */
#define PROVIDER_SCOPE "webhook:"
struct control_idempotency {
    uint64_t body_hash;  /* hash64 of the body: the same key with another body is a conflict */
    uint64_t expires_us; /* after it the key may be used again */
} __attribute__((packed));

/* RECORD_ACK: a consumer group is done with facts or outcomes. */
struct control_ack {
    uint32_t group; /* integration_hash of the group's name */
    uint32_t first; /* index in the block */
    uint32_t count; /* records from there; those not of this group are skipped */
    uint32_t result; /* enum record_status: Success, or Failed when the group gave up (error_class of the record says why) */
    uint64_t block;
} __attribute__((packed));

/* RECORD_RETRY: an attempt ended without an outcome. Attribute ERROR_MSG; error_class of the record. The flag
 * RECORD_DOUBT: it may have had its effect, so that the next delivery carries doubt; without it the one who gives
 * it back knows that nothing happened. */
struct control_retry {
    uint64_t block;
    uint32_t index;
    uint32_t group;
    uint64_t due_us;   /* in a RESULT: delay in microseconds, 0 = the broker's backoff; in the log: wall time */
    uint32_t attempts; /* spent so far, this one included (in a RESULT: 1 when the attempt was started, else 0) */
    uint16_t deaths;   /* sessions that died while it was started */
    uint16_t alone;    /* of these, with nothing else started */
} __attribute__((packed));

/* RECORD_MANIFEST: the manifest of an integration's connector. data = the JSON; the record's integration says whose; attribute SOURCE = the connector's name. */

/* RECORD_INTEGRATION: an integration as configured. data = JSON
 * {name, connector, provider, service, mode, default, owner, removed}. `integration` = its hash. */

/* RECORD_SESSION: a peer that holds deliveries joined or left. `id` = the session's instance id. */
struct control_session {
    uint32_t group;
    uint32_t joined; /* 1 joined, 0 left */
    uint64_t pid;    /* of an ipc peer, 0 when unknown */
} __attribute__((packed));

/* RECORD_SCHEDULE: a schedule fired, or a due run was missed. id = the run's id; attribute SCHEDULE = its name;
 * a fired run's request follows in the same block. */
struct control_schedule {
    uint64_t due_us;
    uint32_t missed; /* 0: it fired; 1: recorded only; 2: missed, and one run is owed for it */
    uint32_t reserved;
} __attribute__((packed));

/* RECORD_CHECKPOINT: a piece of the broker's state, in the form of broker/checkpoint.c. The last piece has
 * `last` set and the number of pieces. */
struct control_checkpoint {
    uint32_t piece;  /* from 0 */
    uint32_t last;   /* 1 on the last piece */
    /* the piece's bytes follow */
} __attribute__((packed));

/* RECORD_NOTE: a change of state worth keeping (a group's definition, a breaker's state, what a group passed). type =
 * what, data = JSON. Checkpoints repeat in this form that a group is paused; a person's act itself is a fact
 * (signalbox.paused, .resumed, .cancelled, .resolved) with RECORD_BY_BROKER and the attribute ACTOR. */

/* RECORD_START: an attempt at an operation that may be repeated under no condition is about to be delivered. From
 * here on, until a RETRY without RECORD_DOUBT or a settlement, it may have had its effect. */
struct control_start {
    uint64_t block;
    uint32_t index;
    uint32_t group;
} __attribute__((packed));
