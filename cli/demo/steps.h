/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* steps - the demo's story */
#pragma once
#include <stdbool.h>

struct world;

struct step {
    const char *claim;                  /* what the line says */
    bool (*holds)(struct world *world); /* is it so? else world->why says why not */
};

/* In order, ended by a NULL claim. */
extern const struct step demo_steps[];
