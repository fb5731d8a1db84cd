/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* supervisor - the processes of one signalbox, in order
 *
 * Started: logger, broker, gateway, (sandbox,) then all connectors at once; each step
 * waits until the one before serves. Stopped: the other way round, within STOP_S seconds,
 * then killed.  What dies is started again; only while the first start is not complete, a
 * process of the core that ends three times before it serves ends everything. A new
 * configuration restarts what it concerns and leaves the rest alone. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct json;
struct loop;
struct supervisor;

struct supervisor_options {
    const char *config_path;
    const char
        *sandbox; /* integration that the sandbox plays the provider for; NULL: none */
    int sandbox_port;
    void (*on_up)(void *user);              /* everything serves, once */
    void (*on_end)(void *user, int status); /* everything has ended */
    void *user;
};

/* Reads the configuration and the secrets, takes the lock, looks for the programs, and
 * starts. NULL with all reasons in `errors`. */
struct supervisor *supervisor_new(struct loop *loop,
                                  const struct supervisor_options *options,
                                  struct buf *errors);
/* Kills what still runs. */
void supervisor_free(struct supervisor *supervisor);
/* Stop gracefully; on_end follows. A second call does not wait. */
void supervisor_stop(struct supervisor *supervisor);
/* Read configuration and secrets again and restart what they concern. False when they are
 * not good: nothing changes, and `out` has the reasons; else `out` has what differs, a
 * line each. */
bool supervisor_reload(struct supervisor *supervisor, struct buf *out);
/* Call after SIGCHLD. */
void supervisor_reap(struct supervisor *supervisor);
/* {pid, processes: [...]} */
struct json *supervisor_json(const struct supervisor *supervisor);
const struct config *supervisor_config(const struct supervisor *supervisor);
