/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* effects - how often something was done, counted under what tells it apart: so that a
 * test sees a mail that was sent twice */
#pragma once
#include <stdbool.h>

#include "sandbox/table.h"

struct json;

struct effects {
    struct table table;
};

void effects_fini(struct effects *effects);
/* One more under `name`. False when there are PROVIDER_OBJECTS_MAX names already. */
bool effects_add(struct effects *effects, const char *name);
/* {"name": count, ...} */
struct json *effects_json(const struct effects *effects);
