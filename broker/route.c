/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* route - what an event type means and who takes it, worked out once per type
 *
 * The meaning of a type follows from the manifests (operations, webhooks), the
 * integrations and the groups' patterns.  A route is made when a type is first seen and
 * forgotten when any of these change. */
#include <stdlib.h>
#include <string.h>

#include "broker/state.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"

enum {
    ROUTES_MAX = 65536
}; /* types kept; beyond it all are forgotten and made again as they come */

struct group *group_find(struct core *core, uint32_t hash)
{
    if (core->hot_group && core->hot_group->hash == hash)
        return core->hot_group;
    for (size_t i = 0; i < core->n_groups; i++)
        if (core->groups[i]->hash == hash)
            return core->hot_group = core->groups[i];
    return NULL;
}

struct group *group_by_name(struct core *core, const char *name)
{
    struct group *group = group_find(core, integration_hash(name));

    return group && strcmp(group->name, name) == 0 ? group : NULL;
}

struct group *group_add(struct core *core, const char *name)
{
    struct group *group = group_by_name(core, name);

    if (group)
        return group;
    group = mem_alloc(sizeof(*group));
    group->name = mem_text(name);
    group->hash = integration_hash(name);
    group->attempts = 8;
    group->outcome_max = CORE_OUTCOME_RESERVE;
    core->groups = mem_resize(core->groups, (core->n_groups + 1) * sizeof(*core->groups));
    core->groups[core->n_groups++] = group;
    return group;
}

struct manifest *manifest_find(const struct core *core, const struct group *group)
{
    for (size_t i = 0; group && group->connector && i < core->n_manifests; i++)
        if (core->manifests[i].integration == group->hash &&
            strcmp(core->manifests[i].connector, group->connector) == 0)
            return &core->manifests[i];
    return NULL;
}

bool manifest_has(const struct manifest *manifest, const char *list, const char *member,
                  const char *name, size_t n)
{
    const struct json *array = manifest ? js_get(manifest->json, list) : NULL;

    for (size_t i = 0; i < js_count(array); i++) {
        const char *text = js_text(js_at(array, i), member, NULL);
        if (text && strlen(text) == n && memcmp(text, name, n) == 0)
            return true;
    }
    return false;
}

bool manifest_publishes(const struct manifest *manifest, const char *type, size_t n)
{
    const struct json *list = manifest ? js_get(manifest->json, "publishes") : NULL;

    for (size_t i = 0; i < js_count(list); i++) {
        const char *text = js_text(js_at(list, i), NULL, "");
        if (strlen(text) == n && memcmp(text, type, n) == 0)
            return true;
    }
    return manifest_has(manifest, "webhooks", "becomes", type, n);
}

static bool ends_with(const struct route *route, const char *suffix, size_t *ret_stem)
{
    size_t n = strlen(suffix);

    if (route->type_len <= n || memcmp(route->type + route->type_len - n, suffix, n) != 0)
        return false;
    *ret_stem = route->type_len - n;
    return true;
}

/* The connector's name is the first segment, the operation what follows up to `stem`. */
static bool names_operation(const struct route *route, size_t stem,
                            const struct manifest *manifest)
{
    size_t n = strlen(manifest->connector);

    return stem > n + 1 && memcmp(route->type, manifest->connector, n) == 0 &&
           route->type[n] == '.' &&
           manifest_has(manifest, "operations", "name", route->type + n + 1,
                        stem - n - 1);
}

static const struct manifest *operation_of(const struct core *core,
                                           const struct route *route, size_t stem)
{
    for (size_t i = 0; i < core->n_manifests; i++)
        if (names_operation(route, stem, &core->manifests[i]))
            return &core->manifests[i];
    return NULL;
}

static void add_handler(struct route *route, struct group *group)
{
    route->handlers =
        mem_resize(route->handlers, (route->n_handlers + 1) * sizeof(*route->handlers));
    route->handlers[route->n_handlers++] = group;
}

/* Does the integration's connector have the operation? One that has not joined yet may
 * have it: another integration's of the same connector does. */
static bool may_handle(const struct core *core, const struct route *route, size_t stem,
                       const struct group *group, const char *connector)
{
    if (!group->is_handler || !group->is_configured || !group->connector ||
        strcmp(group->connector, connector) != 0)
        return false;
    const struct manifest *own = manifest_find(core, group);
    return !own || names_operation(route, stem, own);
}

static void find_handlers(struct core *core, struct route *route, size_t stem,
                          const struct manifest *manifest)
{
    for (size_t i = 0; i < core->n_groups; i++) {
        struct group *group = core->groups[i];
        if (!may_handle(core, route, stem, group, manifest->connector))
            continue;
        add_handler(route, group);
        if (group->is_default)
            route->sole = group;
    }
    if (route->n_handlers == 1)
        route->sole = route->handlers[0];
}

static bool under_integration(struct core *core, struct route *route)
{
    size_t n = (size_t)((char *)memchr(route->type, '.', route->type_len) - route->type);

    for (size_t i = 0; i < core->n_groups; i++) {
        struct group *group = core->groups[i];
        if (!group->is_handler || strlen(group->name) != n ||
            memcmp(group->name, route->type, n) != 0)
            continue;
        const struct manifest *manifest = manifest_find(core, group);
        route->class = TYPE_WEBHOOK;
        route->sole = group;
        route->is_known = !group->connector || manifest;
        route->is_declared = manifest_has(manifest, "webhooks", "event",
                                          route->type + n + 1, route->type_len - n - 1);
        return true;
    }
    return false;
}

/* Does a manifest declare the type, as a fact or as what a webhook becomes? */
static bool is_spoken_for(const struct core *core, const struct route *route)
{
    for (size_t i = 0; i < core->n_manifests; i++)
        if (manifest_publishes(&core->manifests[i], route->type, route->type_len))
            return true;
    return false;
}

static void classify(struct core *core, struct route *route)
{
    const struct manifest *manifest;
    size_t stem;

    if (!memchr(route->type, '.', route->type_len))
        return;
    bool is_request = ends_with(route, ".requested", &stem);
    if (is_request && (manifest = operation_of(core, route, stem))) {
        route->class = TYPE_OPERATION;
        find_handlers(core, route, stem, manifest);
    } else if ((ends_with(route, ".succeeded", &stem) ||
                ends_with(route, ".failed", &stem)) &&
               operation_of(core, route, stem)) {
        route->class = TYPE_OUTCOME;
    } else if (under_integration(core, route)) {
        return;
    } else if (route->type_len > 10 && memcmp(route->type, "signalbox.", 10) == 0) {
        route->class = TYPE_RESERVED;
    } else if (is_request) {
        route->class = TYPE_ORPHAN;
    } else {
        route->is_spoken_for = is_spoken_for(core, route);
    }
}

static void find_consumers(struct core *core, struct route *route)
{
    for (size_t i = 0; i < core->n_groups; i++) {
        struct group *group = core->groups[i];
        for (size_t j = 0; j < group->n_types; j++)
            if (text_match_type(group->types[j], route->type, route->type_len)) {
                route->consumers =
                    mem_resize(route->consumers,
                               (route->n_consumers + 1) * sizeof(*route->consumers));
                route->consumers[route->n_consumers++] = group;
                break;
            }
    }
}

static bool is_of(const struct route *route, const struct record *r)
{
    return route->hash == r->type_hash && route->type_len == r->type_len &&
           memcmp(route->type, record_type(r), r->type_len) == 0;
}

struct route *route_get(struct core *core, const struct record *r)
{
    if (core->hot_route && is_of(core->hot_route, r))
        return core->hot_route;
    struct route **bucket = &core->routes[r->type_hash % ROUTE_BUCKETS];
    for (struct route *route = *bucket; route; route = route->next)
        if (is_of(route, r))
            return core->hot_route = route;
    if (!record_type_ok(r))
        return NULL;
    if (core->n_routes >= ROUTES_MAX)
        route_forget(core);
    struct route *route = mem_alloc(sizeof(*route));
    route->hash = r->type_hash;
    route->type_len = r->type_len;
    memcpy(route->type, record_type(r), r->type_len);
    classify(core, route);
    find_consumers(core, route);
    route->next = *bucket;
    *bucket = route;
    core->n_routes++;
    return core->hot_route = route;
}

void route_forget(struct core *core)
{
    for (size_t i = 0; i < ROUTE_BUCKETS; i++)
        while (core->routes[i]) {
            struct route *route = core->routes[i];
            core->routes[i] = route->next;
            free(route->handlers);
            free(route->consumers);
            free(route);
        }
    core->n_routes = 0;
    core->hot_route = NULL;
}
