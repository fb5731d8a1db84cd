/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The names in the log: integrations and consumer groups, each with the positions from
 * which it was configured so. The broker writes them when they change and again with
 * every checkpoint, so most are repetitions. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/ledger/state.h"

const struct integration_def *names_integration(const struct ledger *ledger,
                                                uint32_t hash, struct position at)
{
    const struct integration_def *found = NULL;

    for (size_t i = 0; hash && i < ledger->n_integrations; i++) {
        const struct integration_def *def = &ledger->integrations[i];
        if (def->hash != hash)
            continue;
        if (found && position_compare(def->since, at) > 0)
            break; /* the first one stands in for a definition that was removed with its
                      segment */
        found = def;
    }
    return found;
}

const struct group *names_group(const struct ledger *ledger, uint32_t hash)
{
    for (size_t i = 0; i < ledger->n_groups; i++)
        if (ledger->groups[i].hash == hash)
            return &ledger->groups[i];
    return NULL;
}

bool names_takes(const struct group *group, const struct record *r, struct position at)
{
    const struct group_def *def = NULL;

    if (group->n_defs == 0 || group->defs[group->n_defs - 1].removed ||
        !record_is_for(r, group->hash))
        return false;
    for (size_t i = 0;
         i < group->n_defs && position_compare(group->defs[i].since, at) < 0; i++)
        def = &group->defs[i];
    if (!def || def->removed)
        return false;
    for (size_t i = 0; i < def->n_types; i++)
        if (text_match_type(def->types[i], record_type(r), r->type_len))
            return true;
    return false;
}

static void add_integration(struct ledger *ledger, const struct record *r,
                            const struct json *json, struct position at)
{
    _free_ char *text = mem_copy(record_data(r), r->data_len);
    const char *name = js_text(json, "name", NULL);

    if (!name)
        return;
    uint32_t hash = integration_hash(name);
    const struct integration_def *old = names_integration(ledger, hash, at);
    if (old && strcmp(old->json, text) == 0)
        return;
    ledger->integrations =
        mem_resize(ledger->integrations,
                   (ledger->n_integrations + 1) * sizeof(*ledger->integrations));
    ledger->integrations[ledger->n_integrations++] = (struct integration_def){
        .hash = hash,
        .since = at,
        .name = mem_text(name),
        .service = mem_text(js_text(json, "service", NULL)),
        .json = mem_text(text),
    };
}

static struct group *group_get(struct ledger *ledger, const char *name)
{
    uint32_t hash = integration_hash(name);

    for (size_t i = 0; i < ledger->n_groups; i++)
        if (ledger->groups[i].hash == hash)
            return &ledger->groups[i];
    if (ledger->n_groups == GROUPS_MAX)
        return NULL;
    ledger->groups =
        mem_resize(ledger->groups, (ledger->n_groups + 1) * sizeof(*ledger->groups));
    ledger->groups[ledger->n_groups] =
        (struct group){.hash = hash, .name = mem_text(name)};
    return &ledger->groups[ledger->n_groups++];
}

static void add_group(struct ledger *ledger, const struct record *r,
                      const struct json *json, struct position at)
{
    _free_ char *text = mem_copy(record_data(r), r->data_len);
    const char *name = js_text(json, "name", NULL);
    struct group *group = name ? group_get(ledger, name) : NULL;

    if (!group ||
        (group->n_defs && strcmp(group->defs[group->n_defs - 1].json, text) == 0))
        return;
    const struct json *types = js_get(json, "types");
    struct group_def def = {.since = at,
                            .removed = js_bool(json, "removed", false),
                            .n_types = js_count(types)};
    def.types = mem_array(def.n_types, sizeof(*def.types));
    for (size_t i = 0; i < def.n_types; i++)
        def.types[i] = mem_text(js_text(js_at(types, i), NULL, ""));
    def.json = mem_text(text);
    group->defs = mem_resize(group->defs, (group->n_defs + 1) * sizeof(*group->defs));
    group->defs[group->n_defs++] = def;
}

/* The text only: few ask for it, and they read it themselves. */
static void take_manifest(struct ledger *ledger, const struct record *r)
{
    size_t i = 0;

    while (i < ledger->n_manifests && ledger->manifests[i].hash != r->integration)
        i++;
    if (i == ledger->n_manifests) {
        ledger->manifests = mem_resize(ledger->manifests,
                                       (i + 1) * sizeof(*ledger->manifests));
        ledger->manifests[ledger->n_manifests++] =
            (struct manifest_def){.hash = r->integration};
    }
    free(ledger->manifests[i].text);
    ledger->manifests[i].text = mem_copy(record_data(r), r->data_len);
}

const char *ledger_manifest(struct ledger *ledger, const char *integration)
{
    uint32_t hash = integration_hash(integration);

    ledger_refresh(ledger);
    for (size_t i = 0; i < ledger->n_manifests; i++)
        if (ledger->manifests[i].hash == hash)
            return ledger->manifests[i].text;
    return NULL;
}

static bool is_group_note(const struct record *r)
{
    static const char type[] = "signalbox.group";

    return r->kind == RECORD_NOTE && r->type_len == sizeof(type) - 1 &&
           memcmp(record_type(r), type, sizeof(type) - 1) == 0;
}

static void read_block(struct ledger *ledger, uint64_t number)
{
    const struct block *b = ledger_block(ledger, number, NULL);
    struct position at = {.block = number};
    char error[128];

    for (const struct record *r = b && b->count ? block_first(b) : NULL; r;
         r = block_next(b, r), at.index++) {
        if (r->kind == RECORD_MANIFEST)
            take_manifest(ledger, r);
        if (r->kind != RECORD_INTEGRATION && !is_group_note(r))
            continue;
        struct json *json =
            js_parse((const char *)record_data(r), r->data_len, error, sizeof(error));
        if (r->kind == RECORD_INTEGRATION)
            add_integration(ledger, r, json, at);
        else
            add_group(ledger, r, json, at);
        js_free(json);
    }
}

struct numbers {
    struct buf list;
    uint64_t next, last;
};

static bool gather_config(void *user, const struct views_row *row)
{
    struct numbers *numbers = user;

    if (row->first > numbers->last)
        return false;
    uint64_t last = row->last < numbers->last ? row->last : numbers->last;
    for (uint64_t n = row->first; row->is_config && n <= last; n++)
        if (n >= numbers->next)
            buf_add(&numbers->list, &n, sizeof(n));
    return true;
}

void names_refresh(struct ledger *ledger)
{
    struct numbers numbers = {.list = BUF_NULL, .last = ledger->applied};
    uint64_t next = ledger->named + 1 > ledger->first ? ledger->named + 1 : ledger->first,
             number;

    numbers.next = next;
    if (next <= ledger->applied &&
        views_scan(ledger->views, next, false, gather_config, &numbers) == 0) {
        for (size_t i = 0; i < numbers.list.len; i += sizeof(number)) {
            memcpy(&number, numbers.list.bytes + i, sizeof(number));
            read_block(ledger, number);
        }
        next = ledger->applied + 1;
    }
    for (; next <= ledger->last; next++)
        read_block(ledger, next);
    ledger->named = ledger->last;
    buf_fini(&numbers.list);
}

void names_fini(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->n_integrations; i++) {
        free(ledger->integrations[i].name);
        free(ledger->integrations[i].service);
        free(ledger->integrations[i].json);
    }
    for (size_t i = 0; i < ledger->n_groups; i++) {
        struct group *group = &ledger->groups[i];
        for (size_t d = 0; d < group->n_defs; d++) {
            for (size_t t = 0; t < group->defs[d].n_types; t++)
                free(group->defs[d].types[t]);
            free(group->defs[d].types);
            free(group->defs[d].json);
        }
        free(group->defs);
        free(group->name);
    }
    for (size_t i = 0; i < ledger->n_manifests; i++)
        free(ledger->manifests[i].text);
    free(ledger->integrations);
    free(ledger->manifests);
    free(ledger->groups);
}
