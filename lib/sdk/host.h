/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* host - what a process that makes calls for events consists of: a session on the bus,
 * the HTTP client, and the runtime between them */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct carry_tap;
struct host;
struct integration;
struct peer_options;
struct record;
struct service_run;
struct workers;

/* For a host that makes requests itself. */
struct host_asker {
    void *user;
    /* What became of a request that was published: its outcome is in the log. */
    void (*on_outcome)(void *user, const struct record *outcome);
    /* A batch was refused and nothing of it is stored, or its outcome has to be read from
     * the log. False: it is none of its own. */
    bool (*on_refused)(void *user, uint64_t batch, unsigned error_code,
                       const char *detail);
};

struct host_options {
    struct service_run *run;
    const struct integration *integration; /* outlives the host */
    const struct peer_options *peer; /* who it is: role, name, key, group, manifest */
    unsigned concurrency;
    const char *ca_file;            /* PEM; NULL: the system's */
    struct workers *workers;        /* NULL: none; freed after the host */
    const struct host_asker *asker; /* NULL: it makes no requests; outlives the host */
    const struct carry_tap *tap;    /* as runtime_set_tap */
};

/* Joins. NULL with the reason in error[]. The process is ready once it has joined, and
 * ends with 1 when the broker refuses it. */
struct host *host_new(const struct host_options *options, char *error, size_t error_size);
/* Publish one request and wait for its outcome. The batch's number, 0 when the window is
 * full. */
uint64_t host_ask(struct host *host, const void *record, size_t n);
/* Is there a session with the broker? */
bool host_is_joined(const struct host *host);
/* Take nothing new, let calls end within 8 seconds, then stop the loop. */
void host_stop(struct host *host);
/* Take nothing new, let calls end, leave the bus, and stay: what is not settled goes to
 * others, or waits. */
void host_leave(struct host *host);
void host_free(struct host *host);
