/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* worker - several of one program, each asked one line at a time
 *
 * A question is a line on a worker's stdin, the answer a line on its stdout.  A worker
 * that ends is started again after a pause that doubles while it keeps ending; one that
 * does not answer in time, answers too much or speaks unasked is killed with all that it
 * started. What a worker says on stderr is told line by line, with the question it was
 * at. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct loop;
struct workers;
struct worker_call;

enum {
    WORKERS_MAX = 256,
    WORKER_ANSWER_MAX = 3 << 20, /* bytes of a line on stdout; more: killed */
    WORKER_SAID_MAX = 1000,      /* bytes of a line on stderr; longer ones are cut */
    WORKER_SAID_PER_S =
        100, /* lines on stderr of one worker; more are counted, not told */
    WORKER_PAUSE_FIRST_US = 100000, /* before it is started again; doubles */
    WORKER_PAUSE_MAX_US = 10000000,
};

struct workers_options {
    char *const *argv;     /* ended by NULL; copied */
    const char *directory; /* where they start; copied */
    unsigned count;        /* 1 to WORKERS_MAX */
    const char *secrets;   /* a text they find on SPAWN_SECRETS_FD; copied, wiped */
    const char *const *variables; /* of their environment; copied */
    /* A worker said something: `about` is the id of the question it is at, or NULL. */
    void (*on_said)(void *user, const char *about, const char *text);
    /* A worker ended, or cannot be started; `how` says why. */
    void (*on_ended)(void *user, const char *about, const char *how);
    void *user;
};

enum worker_result {
    WORKER_ANSWERED,  /* with a line */
    WORKER_NOT_ASKED, /* no worker was there to be asked: nothing has happened */
    WORKER_ENDED,     /* it ended while it was at it */
    WORKER_SILENT,    /* no answer in time, or one that is too long: it was killed */
};

struct worker_answer {
    enum worker_result result;
    const char *line; /* of WORKER_ANSWERED, without its end */
    size_t len;
    const char *why; /* of the others, for people */
};

struct worker_call_options {
    const char *id;   /* copied */
    const char *line; /* without its end; copied */
    size_t len;
    uint64_t timeout_us; /* from now, waiting included */
    /* Called once, from the loop, never from inside workers_call; may start calls. */
    void (*on_done)(void *user, const struct worker_answer *answer);
    void *user;
};

/* Starts them. */
struct workers *workers_new(struct loop *loop, const struct workers_options *options);
/* Ends them: they are asked to (end of input, SIGTERM), and killed half a second later.
 * Drops calls without on_done. */
void workers_free(struct workers *workers);
struct worker_call *workers_call(struct workers *workers,
                                 const struct worker_call_options *options);
/* Drop a call without on_done; the worker that is at it is killed. */
void workers_abort(struct worker_call *call);
/* How many run now. */
unsigned workers_running(const struct workers *workers);
