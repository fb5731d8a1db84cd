/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* world - the system of its own that the demo plays in, and the words its steps use */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/demo/program.h"

struct json;

enum { DEMO_CALLS = 12, DEMO_EVENTS = 2000 };

struct world {
    char *dir, *config, *err, *out, *sandbox_url;
    struct program up;
    char why[512];  /* of the step that failed */
    char said[256]; /* what the step saw, for its line */
    bool is_tty;
    const char *line; /* of the step that runs, while it runs */
    uint64_t charged; /* charges that succeeded so far */
    char lost[64];    /* the provider's id of the event whose webhook was tampered with */
};

/* A temporary directory, free ports, a configuration; then everything is started. False
 * with a reason in why[]. */
bool world_open(struct world *world);
/* Stop it all; false when it did not stop as it should. */
bool world_stop(struct world *world);
/* Remove the directory unless `keep`. */
void world_close(struct world *world, bool keep);

/* Say why the step does not hold; always false. */
bool world_no(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Start one of our commands with -c and --json; `args` ends with NULL. */
bool world_start(struct world *world, struct program *program, const char *const *args);
/* Run one; the exit status, and the first line it printed as JSON (to be freed; NULL when
 * it is none). */
int world_run(struct world *world, const char *const *args, struct json **ret_line);
/* Rows that `signalbox log --json` prints for a type, as an array to be freed. */
struct json *world_rows(struct world *world, const char *type, const char *limit);
/* Lines of JSON as an array. */
struct json *world_lines(struct program *program);
/* The process that the supervisor calls `name`; -1 when there is none. `ret_restarts` may
 * be NULL. */
pid_t world_pid(struct world *world, const char *name, int64_t *ret_restarts);
/* Effects at the practice provider of this name: their sum, and the most that one
 * idempotency key (or what tells a message apart) had. */
bool world_effects(struct world *world, const char *provider, int64_t *ret_sum,
                   int64_t *ret_most);
/* On a terminal: how much of a long step is done. */
void world_progress(const struct world *world, unsigned done, unsigned of);
void world_pause(unsigned ms);
