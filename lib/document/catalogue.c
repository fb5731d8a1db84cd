/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/document/catalogue.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/document/document.h"

static struct entry *add(struct catalogue *c, enum entry_what what, char *type)
{
    c->entries = mem_resize(c->entries, (c->n + 1) * sizeof(*c->entries));
    c->entries[c->n] = (struct entry){.what = what, .type = type};
    return &c->entries[c->n++];
}

static void add_operations(struct catalogue *c, const struct document *d)
{
    const struct json *list = js_get(d->manifest, "operations");
    const char *connector = d->integration->connector;

    for (size_t i = 0; i < js_count(list); i++) {
        const struct json *o = js_at(list, i);
        const char *name = js_text(o, "name", "?");
        bool is_poll = js_bool(o, "is_poll", false);
        struct entry *e = add(c, is_poll ? ENTRY_POLL : ENTRY_OPERATION,
                              mem_format("%s.%s.requested", connector, name));
        e->declared = o;
        e->succeeds_as = mem_format("%s.%s.succeeded", connector, name);
        e->fails_as = mem_format("%s.%s.failed", connector, name);
    }
}

static void add_webhooks(struct catalogue *c, const struct document *d)
{
    const struct json *list = js_get(d->manifest, "webhooks");

    for (size_t i = 0; d->integration->n_webhooks && i < js_count(list); i++) {
        const struct json *w = js_at(list, i);
        const char *event = js_text(w, "event", "?");
        struct entry *e =
            add(c, ENTRY_WEBHOOK, mem_format("%s.%s", d->integration->name, event));
        e->declared = w;
        e->succeeds_as = mem_text(js_text(w, "becomes", NULL));
        e->fails_as = mem_format("%s.%s.failed", d->integration->name, event);
    }
}

static void add_facts(struct catalogue *c, const struct document *d)
{
    const struct json *list = js_get(d->manifest, "publishes");

    for (size_t i = 0; i < js_count(list); i++)
        (void)add(c, ENTRY_FACT, mem_text(js_text(js_at(list, i), NULL, "?")));
    for (size_t i = 0; d->integration->connector && i < d->integration->n_schedules; i++)
        (void)add(c, ENTRY_MISSED,
                  mem_format("%s.%s.missed", d->integration->connector,
                             d->integration->schedules[i].operation));
    if (d->integration->n_webhooks)
        (void)add(c, ENTRY_REFUSED, mem_text("signalbox.webhook.refused"));
}

static bool has_type(const struct catalogue *c, const char *type)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->entries[i].type, type) == 0)
            return true;
    return false;
}

/* Without a connector nobody declares what comes: what is known is what is taken. */
static void add_taken(struct catalogue *c, const struct document *d)
{
    _free_ char *prefix = mem_format("%s.", d->integration->name);

    for (size_t i = 0; i < d->config->n_groups; i++)
        for (size_t t = 0; t < d->config->groups[i].n_types; t++) {
            const char *pattern = d->config->groups[i].types[t];
            if (strncmp(pattern, prefix, strlen(prefix)) == 0 && !has_type(c, pattern))
                (void)add(c, ENTRY_TAKEN, mem_text(pattern));
        }
}

struct catalogue *catalogue_new(const struct document *document)
{
    struct catalogue *c = mem_alloc(sizeof(*c));

    if (document->integration->connector) {
        add_operations(c, document);
        add_webhooks(c, document);
    } else {
        add_taken(c, document);
    }
    add_facts(c, document);
    return c;
}

void catalogue_free(struct catalogue *catalogue)
{
    if (!catalogue)
        return;
    for (size_t i = 0; i < catalogue->n; i++) {
        free(catalogue->entries[i].type);
        free(catalogue->entries[i].succeeds_as);
        free(catalogue->entries[i].fails_as);
    }
    free(catalogue->entries);
    free(catalogue);
}

static bool is_same(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

bool catalogue_has(const struct catalogue *catalogue, const char *type)
{
    if (strncmp(type, "signalbox.", 10) == 0)
        return true;
    for (size_t i = 0; i < catalogue->n; i++) {
        const struct entry *e = &catalogue->entries[i];
        if (is_same(e->type, type) || is_same(e->succeeds_as, type) ||
            is_same(e->fails_as, type) ||
            (e->what == ENTRY_TAKEN && text_match_type(e->type, type, strlen(type))))
            return true;
    }
    return false;
}

static bool takes(char *const *types, size_t n, const char *type)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(types[i], type) == 0 || text_match_type(types[i], type, strlen(type)))
            return true;
    return false;
}

size_t catalogue_takers(const struct config *config, const char *type, struct buf *out)
{
    size_t n = 0;

    for (size_t i = 0; type && i < config->n_groups; i++)
        if (takes(config->groups[i].types, config->groups[i].n_types, type))
            buf_format(out, "%s`%s`", n++ ? ", " : "", config->groups[i].name);
    return n;
}

const char *document_service(const struct document *document)
{
    const struct config_integration *in = document->integration;

    return in->service ? in->service : in->name;
}

const struct json *document_operation(const struct document *document, const char *name)
{
    const struct json *list = js_get(document->manifest, "operations");

    for (size_t i = 0; i < js_count(list); i++)
        if (strcmp(js_text(js_at(list, i), "name", ""), name) == 0)
            return js_at(list, i);
    return NULL;
}
