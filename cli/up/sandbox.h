/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* sandbox - a configuration of its own, for practice: made once in a directory, then used
 * again */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct config;
struct config_integration;

#define SANDBOX_INTEGRATION "stripe"

struct sandbox_options {
    int gateway_port;       /* 0: 8080 when free, else any free one */
    int port;               /* of the providers; 0: 12111 when free, else any free one */
    const char *poll_every; /* of the schedule, "1m" */
};

/* Make `dir` (0700) with signalbox.yaml, a vault and its key, unless the file is there.
 * Returns the path of the file (to be freed), or NULL with a reason. */
char *sandbox_prepare(const char *dir, const struct sandbox_options *options, char *error,
                      size_t error_size);
/* Does the integration call a provider of the sandbox at this port? */
bool sandbox_plays(const struct config_integration *integration, int port);
/* Where the sandbox at this port sends its providers' webhooks, as its option --webhooks
 * takes it; to be freed. */
char *sandbox_webhooks(const struct config *config, int port);
/* The port in a URL such as http://127.0.0.1:1234/x; 0 when there is none. */
int sandbox_port_of(const char *url);
/* A port of 127.0.0.1 nobody listens on now; `wanted` when that one is free. 0 when there
 * is none. */
int sandbox_free_port(int wanted);
