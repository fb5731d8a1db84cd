/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scenarios - the conformance kit: claims about a connector, each tried on the stand */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct fake_service;
struct json;
struct stand;
struct subject;

struct check {
    struct stand *stand;
    struct fake_service *service; /* NULL: what it calls is not ours */
    struct subject *subject;      /* NULL: it was started by somebody else */
    const struct json *operation; /* of the manifest, while a scenario is about one */
    char why[700];                /* of a claim that is broken or could not be tried */
};

enum scenario_result { SCENARIO_HELD, SCENARIO_BROKEN, SCENARIO_SKIPPED };

/* Told once for each; `operation` is NULL for those about the whole. */
typedef void (*scenario_fn)(void *user, const char *scenario, const char *operation,
                            enum scenario_result result, const char *why);

/* Try all of them; returns how many are broken.  Where it does not join, the others are
 * not tried; nor are they once cli/interrupt has noted a signal. */
unsigned scenarios_run(struct check *check, scenario_fn fn, void *user);
