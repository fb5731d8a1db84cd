/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/sdk/call.h"
#include "lib/sdk/provider.h"

/* --- the tables themselves --- */

static void check_operation(const struct sb_operation *o, struct buf *errors)
{
    if (!text_is_name(o->name))
        buf_format(errors,
                   "operation \"%s\": a name is 1 to 64 of a-z 0-9 _ - and begins with a "
                   "letter\n",
                   o->name);
    if (!o->request)
        buf_format(errors, "operation %s has no request function\n", o->name);
    if (!o->succeeded)
        buf_format(errors,
                   "operation %s has no succeeded function: a call has a succeeded and a "
                   "failed branch\n",
                   o->name);
    if (!o->failed)
        buf_format(errors,
                   "operation %s has no failed function: a call has a succeeded and a "
                   "failed branch\n",
                   o->name);
    if (o->repeat == SB_REPEAT_KEYED && !o->key_lifetime_s)
        buf_format(errors,
                   "operation %s is keyed but does not say for how long a key lives "
                   "(key_lifetime_s)\n",
                   o->name);
    if (!o->lookup_request != !o->lookup_answer)
        buf_format(errors,
                   "operation %s has half a lookup: lookup_request and "
                   "lookup_answer belong together\n",
                   o->name);
    if (o->lookup_request && o->repeat == SB_REPEAT_SAFE)
        buf_format(errors, "operation %s may be repeated and needs no lookup\n", o->name);
    if (o->lookup_after_s > CALL_LOOKUP_PAUSE_MAX_S)
        buf_format(errors, "operation %s: lookup_after_s is at most %d\n", o->name,
                   CALL_LOOKUP_PAUSE_MAX_S);
    if (o->price_max.currency &&
        (strlen(o->price_max.currency) != 3 || o->price_max.millionths < 0))
        buf_format(
            errors,
            "operation %s: price_max is an amount and a currency of three letters\n",
            o->name);
    if (o->is_harmless && (o->repeat != SB_REPEAT_SAFE || !o->example))
        buf_format(errors,
                   "operation %s is harmless: it must be repeatable (SAFE) and have an "
                   "example\n",
                   o->name);
    if (o->is_poll && o->repeat == SB_REPEAT_NEVER)
        buf_format(errors, "operation %s is a poll and must be repeatable\n", o->name);
}

/* The value of a text of JSON; NULL when there is none, or it is not JSON. */
static struct json *example(const char *text)
{
    char error[120];

    return text ? js_parse(text, strlen(text), error, sizeof(error)) : NULL;
}

static void check_examples(const struct sb_operation *o, struct buf *errors)
{
    struct json *data = example(o->example), *answer = example(o->example_answer);

    if (o->example && !js_is_object(data))
        buf_format(errors, "operation %s: `example` is not a JSON object\n", o->name);
    if (o->example_answer && !answer)
        buf_format(errors, "operation %s: `example_answer` is not JSON\n", o->name);
    js_free(data);
    js_free(answer);
    const char *const lookups[] = {o->example_found, o->example_absent};
    for (size_t i = 0; i < sizeof(lookups) / sizeof(lookups[0]); i++) {
        struct json *found = example(lookups[i]);
        if (lookups[i] && (!found || !o->lookup_request))
            buf_format(errors, "operation %s: `%s` %s\n", o->name,
                       i ? "example_absent" : "example_found",
                       found ? "goes with a lookup" : "is not JSON");
        js_free(found);
    }
}

static void check_webhook(const struct sb_webhook *w, struct buf *errors)
{
    if (!text_is_type(w->event, strlen(w->event)))
        buf_format(errors, "webhook \"%s\": not a legal event type\n", w->event);
    if (!w->becomes || !text_is_type(w->becomes, strlen(w->becomes)))
        buf_format(errors, "webhook %s: `becomes` is not a legal event type\n", w->event);
    if (!w->handle)
        buf_format(errors, "webhook %s has no handle function\n", w->event);
}

static void check_twice(const struct sb_provider *tables, struct buf *errors)
{
    for (const struct sb_operation *o = tables->operations; o && o->name; o++)
        for (const struct sb_operation *p = tables->operations; p < o; p++)
            if (strcmp(o->name, p->name) == 0)
                buf_format(errors, "operation %s is there twice\n", o->name);
    for (const struct sb_webhook *w = tables->webhooks; w && w->event; w++)
        for (const struct sb_webhook *v = tables->webhooks; v < w; v++)
            if (strcmp(w->event, v->event) == 0)
                buf_format(errors, "webhook %s is there twice\n", w->event);
}

/* What the document says of lost webhooks hangs on it. */
static void check_finds(const struct sb_operation *o, const struct sb_option *options,
                        struct buf *errors)
{
    bool is_known = !o->finds || strcmp(o->finds, "always") == 0;

    for (; options && options->name && !is_known; options++)
        is_known = strcmp(options->name, o->finds) == 0;
    if (!is_known || (o->finds && !o->is_poll))
        buf_format(errors,
                   "operation %s: `finds` is \"always\" or the name of an option, and of "
                   "a poll\n",
                   o->name);
}

static void check_tables(const struct sb_provider *tables, struct buf *errors)
{
    if ((!tables->operations || !tables->operations->name) &&
        (!tables->webhooks || !tables->webhooks->event))
        buf_format(errors, "the connector has neither operations nor webhooks%s%s\n",
                   tables->name ? " for the provider " : "",
                   tables->name ? tables->name : "");
    for (const struct sb_operation *o = tables->operations; o && o->name; o++) {
        check_operation(o, errors);
        check_examples(o, errors);
        check_finds(o, tables->options, errors);
    }
    for (const struct sb_webhook *w = tables->webhooks; w && w->event; w++)
        check_webhook(w, errors);
    check_twice(tables, errors);
}

static void check_providers(const struct sb_connector *c, struct buf *errors)
{
    if (!c->providers->name)
        buf_format(errors, "the table of providers is empty\n");
    for (const struct sb_provider *p = c->providers; p->name; p++) {
        const struct sb_provider tables = provider_tables(c, p);
        if (!text_is_name(p->name))
            buf_format(errors,
                       "provider \"%s\": a name is 1 to 64 of a-z 0-9 _ - and begins "
                       "with a letter\n",
                       p->name);
        if (provider_find(c, p->name) != p)
            buf_format(errors, "provider %s is there twice\n", p->name);
        check_tables(&tables, errors);
    }
}

bool manifest_check(const struct sb_connector *c, struct buf *errors)
{
    size_t before = errors->len;

    if (!c->name || !text_is_name(c->name))
        buf_format(
            errors,
            "the connector's name is 1 to 64 of a-z 0-9 _ - and begins with a letter\n");
    if (!c->version || !*c->version)
        buf_format(errors, "the connector has no version\n");
    const struct sb_provider own = provider_tables(c, NULL);
    if (c->providers)
        check_providers(c, errors);
    else
        check_tables(&own, errors);
    for (const char *const *t = c->publishes; t && *t; t++)
        if (!text_is_type(*t, strlen(*t)))
            buf_format(errors, "publishes \"%s\": not a legal event type\n", *t);
    return errors->len == before;
}

/* --- as JSON --- */

static const char *repeat_name(enum sb_repeat repeat)
{
    static const char *const names[] = {"never", "safe", "keyed"};

    return names[repeat];
}

static void put_price_max(struct json *operation, const char *currency,
                          int64_t millionths)
{
    struct json *max = js_set_text(js_object(), "currency", currency);

    js_set(operation, "price_max", js_set_int(max, "micros", millionths));
}

/* What the integration's options make of it. */
static void put_price_most(struct json *operation, const struct sb_operation *o,
                           const struct integration *of)
{
    const struct sb_event options = {.integration = of};
    struct sb_outcome outcome = {.integration = of};

    o->price_most(&options, &outcome);
    if (outcome.has_cost)
        put_price_max(operation, outcome.currency, outcome.cost);
    free(outcome.mistake); /* an amount that is none: as if it had said nothing */
}

static struct json *operation(const struct sb_operation *o)
{
    struct json *out = js_object();

    js_set_text(out, "name", o->name);
    js_set_text(out, "summary", o->summary);
    js_set_text(out, "transition", o->transition);
    js_set_text(out, "transition_failed", o->transition_failed);
    js_set_text(out, "repeat", repeat_name(o->repeat));
    if (o->repeat == SB_REPEAT_KEYED) {
        js_set_int(out, "key_lifetime_s", o->key_lifetime_s);
        js_set_text(out, "key_header", o->key_header ? o->key_header : "Idempotency-Key");
    }
    if (o->lookup_request)
        js_set_int(js_set_bool(out, "lookup", true), "lookup_after_s", o->lookup_after_s);
    js_set_text(out, "degrade", o->degrade);
    js_set_text(out, "price", o->price_text);
    if (o->price || o->price_most)
        js_set_bool(out, "has_price", true);
    if (o->price_max.currency)
        put_price_max(out, o->price_max.currency, o->price_max.millionths);
    js_set_text(out, "test", o->test);
    js_set(out, "example", example(o->example));
    js_set(out, "example_answer", example(o->example_answer));
    js_set(out, "example_found", example(o->example_found));
    js_set(out, "example_absent", example(o->example_absent));
    if (o->absent_status)
        js_set_int(out, "absent_status", o->absent_status);
    js_set_bool(out, "is_harmless", o->is_harmless);
    js_set_bool(out, "is_poll", o->is_poll);
    js_set_text(out, "finds", o->finds);
    js_set_int(out, "timeout_ms", o->timeout_ms);
    return out;
}

static struct json *webhook(const struct sb_webhook *w)
{
    struct json *out = js_object();

    js_set_text(out, "event", w->event);
    js_set_text(out, "becomes", w->becomes);
    js_set_text(out, "transition", w->transition);
    js_set_text(out, "test", w->test);
    return out;
}

static struct json *option(const struct sb_option *o)
{
    static const char *const types[] = {"text", "int", "bool"};
    struct json *out = js_object();

    js_set_text(out, "name", o->name);
    js_set_text(out, "type", types[o->type]);
    js_set_text(out, "default", o->otherwise);
    js_set_bool(out, "required", o->required);
    js_set_text(out, "help", o->help);
    return out;
}

static struct json *secret(const struct sb_secret *s)
{
    struct json *out = js_object();

    js_set_text(out, "name", s->name);
    js_set_text(out, "what", s->what);
    js_set_text(out, "rotate", s->rotate);
    js_set_bool(out, "optional", s->optional);
    return out;
}

static struct json *failure(const struct sb_failure_mode *f)
{
    struct json *out = js_object();

    js_set_text(out, "name", f->name);
    js_set_text(out, "seen_as", f->seen_as);
    js_set_text(out, "then", f->then);
    return out;
}

/* A list of a table's rows, as each row's function gives them. */
#define ROWS(out, key, type, table, end, make)                                           \
    do {                                                                                 \
        struct json *list_ = js_array();                                                 \
        for (const struct type *row_ = (table); row_ && row_->end; row_++)               \
            js_push(list_, make(row_));                                                  \
        js_set(out, key, list_);                                                         \
    } while (0)

/* `of`: an integration whose options are known; NULL: the tables alone. */
static void put_tables(struct json *out, const struct sb_provider *tables,
                       const struct integration *of)
{
    struct json *list = js_array();

    js_set_text(out, "base_url", tables->base_url);
    js_set_text(out, "service", tables->service);
    js_set_text(out, "limits", tables->limits);
    js_set_text(out, "webhook_secret", tables->webhook_secret);
    for (const struct sb_operation *o = tables->operations; o && o->name; o++) {
        struct json *row = operation(o);
        if (of && o->price_most)
            put_price_most(row, o, of);
        js_push(list, row);
    }
    js_set(out, "operations", list);
    ROWS(out, "webhooks", sb_webhook, tables->webhooks, event, webhook);
    ROWS(out, "options", sb_option, tables->options, name, option);
    ROWS(out, "secrets", sb_secret, tables->secrets, name, secret);
    ROWS(out, "failures", sb_failure_mode, tables->failures, name, failure);
}

static struct json *all_providers(const struct sb_connector *c)
{
    struct json *list = js_array();

    for (const struct sb_provider *p = c->providers; p && p->name; p++) {
        const struct sb_provider tables = provider_tables(c, p);
        struct json *row = js_set_text(js_object(), "name", p->name);
        put_tables(row, &tables, /* of= */ NULL);
        js_push(list, row);
    }
    return list;
}

static void write_manifest(const struct sb_connector *c,
                           const struct sb_provider *provider,
                           const struct integration *of, int indent, struct buf *to)
{
    const struct sb_provider tables = provider_tables(c, provider);
    struct json *out = js_object(), *types = js_array();

    js_set_text(out, "name", c->name);
    js_set_text(out, "version", c->version);
    js_set_text(out, "summary", c->summary);
    if (provider)
        js_set_text(out, "provider", provider->name);
    else
        js_set(out, "providers", all_providers(c));
    put_tables(out, &tables, of);
    for (const char *const *t = c->publishes; t && *t; t++)
        js_push(types, js_from_text(*t, strlen(*t)));
    js_set(out, "publishes", types);
    js_set_text(out, "tests", c->tests);
    js_write(out, indent, to);
    js_free(out);
}

void manifest_write(const struct sb_connector *c, const struct sb_provider *provider,
                    int indent, struct buf *to)
{
    write_manifest(c, provider, /* of= */ NULL, indent, to);
}

void manifest_write_for(const struct integration *integration, struct buf *to)
{
    write_manifest(integration->connector, integration->provider, integration,
                   /* indent= */ 0, to);
}

/* --- against an integration --- */

static bool value_fits(enum sb_option_type type, const char *value)
{
    char *end;

    if (type == SB_TEXT)
        return true;
    if (type == SB_BOOL)
        return strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
    errno = 0;
    (void)strtoll(value, &end, 10); /* only whether it is one matters here */
    return *value && !*end && errno == 0;
}

static const char *value_of(const struct integration *integration, const char *name)
{
    for (size_t i = 0; i < integration->n_options; i++)
        if (strcmp(integration->option_names[i], name) == 0)
            return integration->option_values[i];
    return NULL;
}

static const struct sb_option *option_find(const struct sb_provider *tables,
                                           const char *name)
{
    for (const struct sb_option *o = tables->options; o && o->name; o++)
        if (strcmp(o->name, name) == 0)
            return o;
    return NULL;
}

static void check_options(const struct integration *integration,
                          const struct sb_provider *tables, struct buf *errors)
{
    static const char *const what[] = {"a text", "a whole number", "true or false"};

    for (size_t i = 0; i < integration->n_options; i++)
        if (!option_find(tables, integration->option_names[i]))
            buf_format(
                errors,
                "integrations.%s.options.%s: the connector %s has no such option%s%s\n",
                integration->name, integration->option_names[i],
                integration->connector->name, tables->name ? " for the provider " : "",
                tables->name ? tables->name : "");
    for (const struct sb_option *o = tables->options; o && o->name; o++) {
        const char *value = value_of(integration, o->name);
        if (!value && o->required)
            buf_format(errors, "integrations.%s.options.%s is needed: %s\n",
                       integration->name, o->name, o->help);
        else if (value && !value_fits(o->type, value))
            buf_format(errors, "integrations.%s.options.%s: expected %s\n",
                       integration->name, o->name, what[o->type]);
    }
}

bool manifest_fits(const struct integration *integration, struct buf *errors)
{
    const struct sb_provider tables =
        provider_tables(integration->connector, integration->provider);
    size_t before = errors->len;

    check_options(integration, &tables, errors);
    for (const struct sb_secret *s = tables.secrets; s && s->name; s++) {
        const char *value = integration->secret
                                ? integration->secret(integration->secret_user, s->name)
                                : NULL;
        if (!s->optional && (!value || !*value))
            buf_format(errors, "integrations.%s.secrets.%s is needed: %s\n",
                       integration->name, s->name, s->what);
    }
    if (!integration->base_url && !integration->is_program)
        buf_format(errors, "integrations.%s.base_url is needed\n", integration->name);
    return errors->len == before;
}
