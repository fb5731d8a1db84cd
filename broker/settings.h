/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* settings - the configuration file's words as the core takes them */
#pragma once
#include <stdint.h>

struct config;
struct core;
struct secrets;

/* Bring a checked configuration into force in the core. The keys that connectors and the
 * gateway show come from the secrets ("bus.NAME"). */
void settings_apply(struct core *core, const struct config *config,
                    const struct secrets *secrets, uint64_t random_seed);
