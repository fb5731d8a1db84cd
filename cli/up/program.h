/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* program - the files that `up` starts: ours in one directory, a connector's own where
 * the configuration says so */
#pragma once
#include <stdbool.h>

struct buf;
struct config;
struct config_integration;

/* The directory this program is in: the others are beside it. Freed by the caller. */
char *programs_directory(void);
/* Whether every program that this configuration needs on this host can be run; `out` gets
 * a line for each that cannot. */
bool programs_are_there(const char *directory, const struct config *config,
                        bool with_sandbox, struct buf *out);
/* Has the integration a connector on this host? Others have theirs in bus.peers. */
bool program_runs_here(const struct config *config, const struct config_integration *in);
/* The file of a connector's program: its own, or one in the directory. Freed by the
 * caller. */
char *program_of(const char *directory, const struct config_integration *in);
/* Is the connector of both the same, run from the same file? */
bool program_is_same(const char *directory, const struct config_integration *a,
                     const struct config_integration *b);
