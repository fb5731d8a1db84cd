/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger/plan.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/ledger/state.h"

/* --- making --- */

static void add_type(void *user, uint64_t hash, const char *type, size_t n)
{
    struct plan *plan = user;

    if (!text_match_type(plan->filter->type, type, n))
        return;
    if ((plan->n_types & (plan->n_types - 1)) == 0)
        plan->types = mem_resize(plan->types, (plan->n_types ? plan->n_types * 2 : 1) *
                                                  sizeof(*plan->types));
    plan->types[plan->n_types++] = hash;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void find_types(struct plan *plan, struct views *views)
{
    plan->any_type = !plan->filter->type || !views_types(views, add_type, plan);
    if (plan->n_types)
        qsort(plan->types, plan->n_types, sizeof(*plan->types), by_value);
}

/* An event is of the service it names itself, else of its integration's, which may have
 * had another one before; `-` is what has none. */
static void find_integrations(struct plan *plan, const struct ledger *ledger)
{
    const char *service = plan->filter->service;

    plan->any_service = !service || strcmp(service, "-") == 0;
    if (plan->any_service)
        return;
    plan->service = views_service(service, strlen(service));
    plan->integrations = mem_array(ledger->n_integrations, sizeof(*plan->integrations));
    for (size_t i = 0; i < ledger->n_integrations; i++) {
        const struct integration_def *def = &ledger->integrations[i];
        if (strcasecmp(def->service ? def->service : def->name, service) == 0)
            plan->integrations[plan->n_integrations++] = def->hash;
    }
}

void plan_init(struct plan *plan, struct ledger *ledger,
               const struct ledger_filter *filter)
{
    *plan = (struct plan){.filter = filter};
    if (filter->integration)
        plan->integration = integration_hash(filter->integration);
    find_types(plan, ledger->views);
    find_integrations(plan, ledger);
}

void plan_fini(struct plan *plan)
{
    free(plan->types);
    free(plan->integrations);
}

/* --- asking --- */

static bool fits_type(const struct plan *plan, uint64_t type)
{
    return plan->any_type || (plan->n_types && bsearch(&type, plan->types, plan->n_types,
                                                       sizeof(type), by_value));
}

static bool fits_service(const struct plan *plan, uint32_t service, uint32_t integration)
{
    if (plan->any_service)
        return true;
    if (service)
        return service == plan->service;
    for (size_t i = 0; i < plan->n_integrations; i++)
        if (plan->integrations[i] == integration)
            return true;
    return false;
}

static bool fits_names(const struct plan *plan, uint64_t type, uint32_t integration,
                       uint32_t service)
{
    return (!plan->integration || plan->integration == integration) &&
           fits_service(plan, service, integration) && fits_type(plan, type);
}

static bool fits_end(const struct plan *plan, const struct views_tally *t)
{
    const struct ledger_filter *f = plan->filter;

    return (f->status < 0 || f->status == t->status) &&
           (f->error_class < 0 || f->error_class == t->error_class);
}

/* As records are written, outcomes count, and status and class are theirs. An outcome is
 * shown under its request's service, which may be another than its integration's now. */
static bool is_written(const struct plan *plan, const struct views_tally *t)
{
    if (t->what == VIEWS_ANSWERED)
        return fits_end(plan, t) && fits_type(plan, t->type) &&
               (!plan->integration || plan->integration == t->integration);
    return (t->what == VIEWS_ASKED || t->what == VIEWS_TOLD) && fits_end(plan, t) &&
           fits_names(plan, t->type, t->integration, t->service);
}

bool plan_has_event(const struct plan *plan, const struct views_row *row)
{
    for (size_t i = 0; i < row->n_tallies; i++) {
        const struct views_tally *t = &row->tallies[i];
        if (plan->filter->records
                ? is_written(plan, t)
                : (t->what == VIEWS_ASKED || t->what == VIEWS_TOLD) &&
                      fits_names(plan, t->type, t->integration, t->service))
            return true;
    }
    return false;
}

/* A fact that is not settled when it comes may succeed without a record that says so
 * under its names. */
static bool ends(const struct plan *plan, const struct views_tally *t)
{
    if (t->what == VIEWS_ENDED || t->what == VIEWS_GIVEN_UP)
        return fits_end(plan, t);
    return t->what == VIEWS_TOLD &&
           (fits_end(plan, t) ||
            (t->status == STATUS_PENDING && plan->filter->status == STATUS_SUCCESS));
}

bool plan_has_ending(const struct plan *plan, const struct views_row *row)
{
    for (size_t i = 0; i < row->n_tallies; i++) {
        const struct views_tally *t = &row->tallies[i];
        if (ends(plan, t) && fits_names(plan, t->type, t->integration, t->service))
            return true;
    }
    return false;
}

bool plan_has_open(const struct plan *plan, const struct views_open *open)
{
    return fits_names(plan, open->type, open->integration, open->service);
}
