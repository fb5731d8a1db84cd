/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* program - our own commands as processes: what they print and how they end */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/base/buf.h"

enum { PROGRAM_ARGS_MAX = 24 };

struct program {
    pid_t pid;
    int out;         /* its stdout; -1 when that goes to a file */
    struct buf text; /* what was read of it */
    int status;      /* exit status, 128 + signal; -1 while it runs */
};

/* Start this executable with the arguments (ended by NULL); it ends with us. stderr goes
 * to the file `err`; stdout to `out`, or with NULL to be read. False with errno. */
bool program_start(struct program *program, const char *const *args, const char *out,
                   const char *err);
/* Read until it ends. Returns its exit status. */
int program_wait(struct program *program);
/* Has it ended? */
bool program_ended(struct program *program);
void program_fini(struct program *program);
