/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* host - what a process that makes calls for events consists of: a session on the bus,
 * the HTTP client, and the runtime between them */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct host;
struct integration;
struct peer_options;
struct service_run;
struct workers;

struct host_options {
    struct service_run *run;
    const struct integration *integration; /* outlives the host */
    const struct peer_options *peer; /* who it is: role, name, key, group, manifest */
    unsigned concurrency;
    const char *ca_file;     /* PEM; NULL: the system's */
    struct workers *workers; /* NULL: none; freed after the host */
};

/* Joins. NULL with the reason in error[]. The process is ready once it has joined, and
 * ends with 1 when the broker refuses it. */
struct host *host_new(const struct host_options *options, char *error, size_t error_size);
/* Take nothing new, let calls end within 8 seconds, then stop the loop. */
void host_stop(struct host *host);
/* Take nothing new, let calls end, leave the bus, and stay: what is not settled goes to
 * others, or waits. */
void host_leave(struct host *host);
void host_free(struct host *host);
