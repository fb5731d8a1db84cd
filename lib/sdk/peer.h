/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* peer - one session on the broker's bus: join, publish, take deliveries, answer, wait
 *
 * The half of the protocol that gateway, connectors, CLI and bench share.  A peer
 * reconnects by itself, says HELLO again with the same instance id, sends every
 * unanswered batch again under its number (the broker recognises those that were
 * committed), and lists what it still runs so that leases are resumed. All memory is
 * bounded: what is not acknowledged is at most the window in bytes.
 * This layer works on records in blocks; lib/sdk/runtime.h and include/signalbox/client.h
 * are built on it. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

struct loop;
struct wire;
struct peer;

struct peer_options {
    const char *endpoint;                /* of the bus; normally config_bus_endpoint() */
    const char *secret_key, *server_key; /* tcp: ours, and the broker's public one */
    const char *role;                    /* "gateway", "connector", "client", "cli" */
    const char *name; /* integration's name for a connector, else the program's */
    const char
        *key; /* the bus key handed over by the supervisor; NULL for plain clients */
    const char *group;    /* take deliveries of this group (a connector: its integration);
                             NULL: none */
    const char *manifest; /* JSON of a connector, else NULL */
    uint32_t credit_events, credit_bytes; /* 0 = defaults of proto/message.h */
    void *user;
    /* Joined, or joined again. */
    void (*on_joined)(void *user);
    /* The link is down (until on_joined). Of what was delivered, the peer keeps the
     * positions that are started or in a result; the others are the broker's again and
     * will be delivered anew: forget them. */
    void (*on_down)(void *user);
    /* A started position is no longer this peer's (its lease ended while the link was
     * down): stop handling it; a result for it would be refused. */
    void (*on_lost)(void *user, struct position position);
    /* The connection is not let in: the key or the user is not known there. Tried again
     * every second. */
    void (*on_kept_out)(void *user, const char *why);
    /* HELLO or the group was refused for good; after a refused HELLO the peer stays
     * silent. */
    void (*on_rejected)(void *user, unsigned error_code, const char *detail);
    /* A batch is committed. `verdicts` for events that were not stored. */
    void (*on_published)(void *user, uint64_t batch, const struct published *published,
                         const struct verdict *verdicts, uint32_t n);
    /* A batch or a result was refused whole: nothing of it is stored. retry_after_ms 0 =
     * do not. */
    void (*on_refused)(void *user, uint64_t batch, unsigned error_code,
                       const char *detail, uint32_t retry_after_ms);
    /* Events to handle. Valid until it returns. Walk with message_slice(). Every position
     * must be settled by peer_result sooner or later, or is redelivered when the lease
     * ends. */
    void (*on_deliver)(void *user, const struct message *deliver);
    /* A result is committed. */
    void (*on_settled)(void *user, uint64_t batch);
    /* An outcome this peer waits for; ref as in peer_wait, or batch and index as in
     * peer_publish with wait. */
    void (*on_outcome)(void *user, uint64_t ref, uint32_t index,
                       const struct slice *slice, const struct record *outcome);
    /* The answer to peer_admin. */
    void (*on_answer)(void *user, uint64_t ref, bool ok, const char *json);
};

/* Starts connecting at once. Copies options and texts; any callback may be NULL. NULL
 * when the endpoint is not usable. */
struct peer *peer_new(struct loop *loop, struct wire *wire,
                      const struct peer_options *options, char *error, size_t error_size);
/* Says BYE when joined and closes. Not from a callback of its own. */
void peer_free(struct peer *peer);
bool peer_is_joined(const struct peer *peer);

/* Publish `n` bytes of records (events, each optionally preceded by RECORD_IDEMPOTENCY)
 * as one batch, committed whole or not at all; at most RECORD_GROUP_MAX bytes. Returns
 * the batch's number (> 0), or 0 when the window is full: wait for on_published. Copies.
 * May be called before the peer is joined. After a restart of the broker the place of a
 * batch may be unknown: on_published says block 0, and with `wait` no outcome will come
 * (read it from the log). */
uint64_t peer_publish(struct peer *peer, const void *records, size_t n, bool wait);
/* Take deliveries of this group from now on, with credit for so many events (0: as in the
 * options), in place of the options' one. */
void peer_subscribe(struct peer *peer, const char *group, uint32_t credit_events);
/* Bytes that may still be published now. */
size_t peer_window(const struct peer *peer);
/* Settle deliveries: outcomes (with cause position), acks, retries and further facts; one
 * commit. Never refused for lack of room; at most RECORD_GROUP_MAX bytes. Returns the
 * batch's number. Copies. The broker gives the credit back when it is committed. */
uint64_t peer_result(struct peer *peer, const void *records, size_t n);
/* The positions whose handling has begun: PING lists them, which extends their leases and
 * counts attempts. */
void peer_started(struct peer *peer, struct position position);
/* Register for the outcome of a request that is in the log. An outcome that exists
 * already comes as on_refused with ERR_already_settled and `ref` as batch: read it from
 * the log. */
void peer_wait(struct peer *peer, struct position request, uint64_t ref);
/* Ask the broker something: a command and JSON arguments (NULL = none). Returns the ref
 * of the answer. Held until joined and asked again after a reconnect, so there is one
 * answer; a refusal comes as ok = false with {"code","detail"}. */
uint64_t peer_admin(struct peer *peer, const char *command, const char *args_json);
/* Observers: replay committed events from a position as DELIVER without leases; goes on
 * where it was after a reconnect. The credit given back is what on_deliver has seen. */
void peer_replay(struct peer *peer, struct position from);
