/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* runtime - a connector's process: deliveries from the bus through lib/sdk/call.h, many
 * calls at once on one loop
 *
 * sb_connector_main is built on it; tests use it without a process around it. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

struct carry_tap;
struct http_client;
struct integration;
struct loop;
struct runtime;
struct workers;

enum {
    RUNTIME_CONCURRENCY = 32, /* calls at once where the configuration says nothing */
    RUNTIME_MAILS = 8,      /* and where they are mails: servers mind many connections */
    RUNTIME_MAILS_MAX = 64, /* mails at once, whatever it says: each has a thread */
    RUNTIME_BATCH_MAX = 256 << 10, /* results are sent off when this much is there, or at
                                      the end of the turn */
    RUNTIME_DEATHS_MAX = 10000,    /* events whose workers ended that are remembered */
    RUNTIME_LEASE_US = 30000000,   /* after so long without the broker its calls are
                                      dropped: others may have them */
};

/* What the runtime needs of the bus: lib/sdk/peer.h, or a test. */
struct runtime_bus {
    void *user;
    uint64_t (*result)(void *user, const void *records, size_t n);
    void (*started)(void *user, struct position position);
    /* A call that had this secret in it succeeded. NULL: nobody asks. */
    void (*used)(void *user, const char *secret);
};

struct runtime *runtime_new(struct loop *loop, struct http_client *http,
                            const struct integration *integration, unsigned concurrency,
                            const struct runtime_bus *bus);
/* The workers of a program, which get what is a line; the caller's, and freed after the
 * runtime. */
void runtime_set_workers(struct runtime *runtime, struct workers *workers);
/* Who hands answers on as they come; outlives the runtime. */
void runtime_set_tap(struct runtime *runtime, const struct carry_tap *tap);
/* Drops what runs. */
void runtime_free(struct runtime *runtime);
void runtime_deliver(struct runtime *runtime, const struct message *deliver);
void runtime_settled(struct runtime *runtime, uint64_t batch);
/* A result was refused whole: its groups are sent again one by one, so that only the one
 * at fault is lost. */
void runtime_refused(struct runtime *runtime, uint64_t batch, const char *detail);
/* The link is down: what has not begun is forgotten, it comes again. Calls go on until
 * their leases end. */
void runtime_down(struct runtime *runtime);
/* A call whose lease ended meanwhile: it is dropped. */
void runtime_lost(struct runtime *runtime, struct position position);
void runtime_joined(struct runtime *runtime);
/* Start no further calls; `stopped` is called once none runs and all results are on their
 * way. */
void runtime_stop(struct runtime *runtime, void (*stopped)(void *user), void *user);
unsigned runtime_running(const struct runtime *runtime);
unsigned runtime_waiting(const struct runtime *runtime);
