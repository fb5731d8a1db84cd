/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* lookups - scenarios about an operation that can ask its service what became of a call
 */
#pragma once
#include "cli/connector/scenarios.h"

/* The answer to the call got lost. */
enum scenario_result lookups_of_what_was_lost(struct check *check);
/* An earlier attempt may have had its effect. */
enum scenario_result lookups_of_doubt(struct check *check);
