/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "broker/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core.h"
#include "lib/base/cron.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/base/zone.h"
#include "lib/config/config.h"
#include "lib/service/service.h"

static const char *bus_key(const struct secrets *secrets, const char *name)
{
    char full[128];

    snprintf(full, sizeof(full), "bus.%s", name);
    return secrets_get(secrets, full);
}

/* --- schedules: what the core borrows for the call --- */

static void fill_schedule(const struct config_schedule *from, struct core_schedule *to)
{
    char error[160], every[32];
    const char *why;
    size_t column;

    text_duration(from->every_us, every, sizeof(every));
    *to = (struct core_schedule){.operation = from->operation,
                                 .every_us = from->every_us,
                                 .missed = (int)from->missed};
    if (!from->cron) {
        to->when = mem_format("every %s", every);
        return;
    }
    struct cron *cron = mem_alloc(sizeof(*cron));
    to->when = mem_format("%s %s", from->cron, from->timezone);
    to->zone = zone_load(from->timezone, &why);
    /* Both were good when the file was checked; if the zone's file is gone since then the
     * schedule goes on in UTC rather than not at all. */
    if (cron_parse(from->cron, cron, error, sizeof(error), &column))
        to->cron = cron;
    else
        free(cron);
}

static void free_schedules(const struct core_integration *in)
{
    for (size_t i = 0; i < in->n_schedules; i++) {
        free((void *)(uintptr_t)in->schedules[i].when);
        free((void *)(uintptr_t)in->schedules[i].cron);
        zone_free((struct zone *)(uintptr_t)in->schedules[i].zone);
    }
    free((void *)(uintptr_t)in->schedules);
}

/* --- integrations, groups, peers --- */

static void fill_integration(const struct secrets *secrets,
                             const struct config_integration *from,
                             struct core_integration *to)
{
    struct core_schedule *schedules = mem_array(from->n_schedules, sizeof(*schedules));
    struct core_price *prices = mem_array(from->n_prices, sizeof(*prices));

    for (size_t i = 0; i < from->n_schedules; i++)
        fill_schedule(&from->schedules[i], &schedules[i]);
    for (size_t i = 0; i < from->n_prices; i++)
        prices[i] = (struct core_price){from->prices[i].operation, from->prices[i].price,
                                        from->prices[i].since_us};
    *to = (struct core_integration){
        .name = from->name,
        .connector = from->connector,
        .provider = from->provider,
        .service = from->service,
        .mode = from->mode,
        .key = bus_key(secrets, from->name),
        .is_default = from->is_default,
        .is_ordered = from->order == ORDER_KEY,
        .attempts = from->limits.attempts,
        .deadline_us = from->limits.deadline_us,
        .rate = from->limits.rate,
        .concurrency = from->limits.concurrency,
        .breaker = {from->limits.breaker.failures, from->limits.breaker.window_us,
                    from->limits.breaker.pause_us},
        .per_day = from->budget.per_day,
        .prices = prices,
        .n_prices = from->n_prices,
        .schedules = schedules,
        .n_schedules = from->n_schedules,
    };
}

static struct core_group *fill_groups(const struct config *config)
{
    struct core_group *groups = mem_array(config->n_groups, sizeof(*groups));

    for (size_t i = 0; i < config->n_groups; i++)
        groups[i] =
            (struct core_group){.name = config->groups[i].name,
                                .types = (const char *const *)config->groups[i].types,
                                .n_types = config->groups[i].n_types,
                                .is_ordered = config->groups[i].order == ORDER_KEY,
                                .may_lose = !config->groups[i].protect,
                                .attempts = config->groups[i].attempts};
    return groups;
}

static struct core_peer *fill_peers(const struct config *config)
{
    struct core_peer *peers = mem_array(config->bus.n_peers, sizeof(*peers));

    for (size_t i = 0; i < config->bus.n_peers; i++) {
        const struct config_peer *from = &config->bus.peers[i];
        peers[i] = (struct core_peer){
            .name = from->name,
            .is_connector = strcmp(from->role, "connector") == 0,
            .integration = from->integration,
            .publish = (const char *const *)from->publish,
            .n_publish = from->n_publish,
            .groups = (const char *const *)from->groups,
            .n_groups = from->n_groups,
            .may_observe = from->observe,
        };
    }
    return peers;
}

void settings_apply(struct core *core, const struct config *config,
                    const struct secrets *secrets, uint64_t random_seed)
{
    struct core_integration *integrations =
        mem_array(config->n_integrations, sizeof(*integrations));
    struct core_group *groups = fill_groups(config);
    struct core_peer *peers = fill_peers(config);

    for (size_t i = 0; i < config->n_integrations; i++)
        fill_integration(secrets, &config->integrations[i], &integrations[i]);
    struct core_config in = {.gateway_key = bus_key(secrets, "gateway"),
                             .integrations = integrations,
                             .n_integrations = config->n_integrations,
                             .groups = groups,
                             .n_groups = config->n_groups,
                             .peers = peers,
                             .n_peers = config->bus.n_peers,
                             .idempotency_us = config->gateway.idempotency_us,
                             .random_seed = random_seed};
    core_configure(core, &in);
    for (size_t i = 0; i < config->n_integrations; i++) {
        free_schedules(&integrations[i]);
        free((void *)(uintptr_t)integrations[i].prices);
    }
    free(integrations);
    free(groups);
    free(peers);
}
