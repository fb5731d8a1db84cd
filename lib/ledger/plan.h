/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* plan - a filter in the terms of the views: which rows can hold what is asked for
 *
 * It never says "no" wrongly: a row it lets pass may hold nothing, and each event found
 * is held against the filter itself. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/store/views.h"

struct ledger;
struct ledger_filter;

struct plan {
    const struct ledger_filter *filter;
    bool any_type, any_service;
    uint64_t *types; /* hashes, ascending */
    size_t n_types;
    uint32_t *integrations; /* those whose service it is */
    size_t n_integrations;
    uint32_t service, integration; /* as in tallies */
};

/* For the definitions that the ledger knows now. */
void plan_init(struct plan *plan, struct ledger *ledger,
               const struct ledger_filter *filter);
void plan_fini(struct plan *plan);
/* Can the row hold events that are asked for, whatever became of them? */
bool plan_has_event(const struct plan *plan, const struct views_row *row);
/* Can it hold records that settle events as it is asked for, or facts that are so? */
bool plan_has_ending(const struct plan *plan, const struct views_row *row);
/* Can what is open be meant? */
bool plan_has_open(const struct plan *plan, const struct views_open *open);
