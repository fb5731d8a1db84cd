/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* command - an integration's `command`: asked what it can do, and kept running */
#pragma once
#include <stddef.h>

struct config;
struct config_integration;
struct integration;
struct loop;
struct program;
struct workers;

/* What the command can do: from the manifest's file, or from the command itself, which
 * has ten seconds to print it. NULL with the reason in error[]. */
struct program *command_program(const struct config *config,
                                const struct config_integration *c, char *error,
                                size_t error_size);
/* Its workers. What they say goes to our log, without the integration's secrets. The
 * integration must outlive them. */
struct workers *command_workers(struct loop *loop, const struct config *config,
                                const struct config_integration *c,
                                const struct integration *integration);
