/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/cloudevent.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"

struct lease *lease_new(const struct record *record, struct position position,
                        unsigned attempt, uint64_t timestamp_us)
{
    struct lease *lease = mem_alloc(sizeof(*lease));
    *lease = (struct lease){.position = position,
                            .attempt = attempt,
                            .timestamp_us = timestamp_us,
                            .record = mem_copy(record, record->len)};
    return lease;
}

void lease_free(struct lease *lease)
{
    if (!lease)
        return;
    free(lease->record);
    free(lease);
}

void leases_push(struct leases *leases, struct lease *lease)
{
    lease->next = NULL;
    lease->previous = leases->last;
    *(leases->last ? &leases->last->next : &leases->first) = lease;
    leases->last = lease;
    leases->n++;
}

void leases_take(struct leases *leases, struct lease *lease)
{
    *(lease->previous ? &lease->previous->next : &leases->first) = lease->next;
    *(lease->next ? &lease->next->previous : &leases->last) = lease->previous;
    lease->previous = lease->next = NULL;
    leases->n--;
}

void leases_free_all(struct leases *leases)
{
    while (leases->first) {
        struct lease *lease = leases->first;
        leases_take(leases, lease);
        lease_free(lease);
    }
}

void lease_text(const struct lease *lease, uint64_t boot, char ret_text[LEASE_TEXT_SIZE])
{
    snprintf(ret_text, LEASE_TEXT_SIZE, "%016" PRIx64 "-%" PRIu64, boot, lease->number);
}

struct lease *leases_find(const struct leases *leases, uint64_t boot, const char *text)
{
    char known[LEASE_TEXT_SIZE];
    for (struct lease *l = leases->first; l; l = l->next) {
        lease_text(l, boot, known);
        if (!strcmp(known, text))
            return l;
    }
    return NULL;
}

struct lease *leases_find_event(const struct leases *leases, const char *id,
                                bool *ret_is_sole)
{
    uint8_t bytes[16];
    struct lease *found = NULL;
    *ret_is_sole = true;
    if (!id_parse(id, bytes))
        id_foreign(id, bytes);
    for (struct lease *l = leases->last; l && *ret_is_sole; l = l->previous)
        if (!memcmp(l->record->id, bytes, 16)) {
            *ret_is_sole = !found;
            found = found ? found : l;
        }
    return found;
}

struct lease *leases_find_position(const struct leases *leases, struct position position)
{
    for (struct lease *l = leases->first; l; l = l->next)
        if (l->position.block == position.block && l->position.index == position.index)
            return l;
    return NULL;
}

uint64_t leases_due(const struct leases *leases)
{
    uint64_t due_us = UINT64_MAX;
    for (const struct lease *l = leases->first; l; l = l->next)
        if (l->until_us < due_us)
            due_us = l->until_us;
    return due_us;
}

static const struct config_integration *integration_of(const struct config *config,
                                                       uint32_t hash)
{
    for (size_t i = 0; hash && i < config->n_integrations; i++)
        if (integration_hash(config->integrations[i].name) == hash)
            return &config->integrations[i];
    return NULL;
}

struct json *lease_json(const struct lease *lease, uint64_t boot,
                        const struct config *config, uint64_t until_us)
{
    const struct config_integration *in =
        integration_of(config, lease->record->integration);
    const struct cloudevent_around around = {
        .timestamp_us = lease->timestamp_us,
        .integration = in ? in->name : NULL,
        .service = in && in->service ? in->service
                   : in              ? in->name
                                     : NULL,
    };
    char text[LEASE_TEXT_SIZE], until[TEXT_TIME_SIZE];
    struct json *event = cloudevent_json(lease->record, &around);
    lease_text(lease, boot, text);
    text_time(until_us, until);
    js_set_text(js_set_text(event, "lease", text), "leaseuntil", until);
    return js_set_int(event, "deliveryattempt", lease->attempt);
}
