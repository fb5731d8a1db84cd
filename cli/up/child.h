/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* child - one supervised process
 *
 * It is started in our session with a process group of its own (so that a Ctrl-C reaches
 * the supervisor alone, which then stops things in order), stdin from /dev/null, its
 * secrets on a sealed memory descriptor, and a pipe on which it writes `R` when it
 * serves.  The kernel ends it when we die.  When it ends unasked it is started again
 * after a pause of 100 ms that doubles up to 10 s, and begins anew once it lived for a
 * second. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct child;
struct json;
struct loop;

enum child_state {
    CHILD_IDLE,     /* not started, or stopped on request */
    CHILD_STARTING, /* runs, does not serve yet */
    CHILD_READY,
    CHILD_STOPPING, /* was asked to end */
    CHILD_WAITING,  /* ended unasked; the pause runs */
};

struct child_options {
    const char *name;        /* "gateway", "payment stripe": for people */
    const char *program;     /* path */
    const char *const *args; /* ended by NULL; --secrets-fd and --ready-fd are added */
    void (*on_ready)(void *user, struct child *child);
    /* It ended; the child's state says what comes next. */
    void (*on_ended)(void *user, struct child *child);
    void *user;
};

/* Copies the texts. */
struct child *child_new(struct loop *loop, const struct child_options *options);
/* Kills the process when there is one. */
void child_free(struct child *child);
/* What it will be handed at its next start: the text of a JSON object; taken over and
 * wiped at the end. True when it differs from before. */
bool child_set_secrets(struct child *child, char *json);
/* The listening socket it inherits as --listen-fd from its next start on; the caller
 * keeps it open. -1: none. */
void child_set_listener(struct child *child, int fd);
void child_start(struct child *child);
/* Ask it to end (SIGTERM), and keep it ended. */
void child_stop(struct child *child);
/* Ask it to end and start it again at once. */
void child_restart(struct child *child);
/* Have it read the configuration again: SIGHUP, or a restart while it does not serve yet.
 * Nothing when it does not run. */
void child_reload(struct child *child);
void child_kill(struct child *child);
/* Call after SIGCHLD: takes note when it has ended. */
void child_reap(struct child *child);

const char *child_name(const struct child *child);
enum child_state child_state(const struct child *child);
bool child_is(const struct child *child, pid_t pid);
bool child_is_running(const struct child *child);
/* Ended unasked, before it ever served, so often in a row. */
unsigned child_early_ends(const struct child *child);
/* {name, state, pid, restarts, since_us, last_end} */
struct json *child_json(const struct child *child);
