/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The document against the log: what was seen and is not declared, and what is declared
 * and does not hold. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/money.h"
#include "lib/config/config.h"
#include "lib/document/section.h"

enum {
    WHAT_SIZE = 600,
    PRICES_AGE_MAX_DAYS = 180, /* providers change them about twice a year */
};

struct checking {
    const struct document *document;
    const struct catalogue *catalogue;
    struct buf text; /* of the configuration's file; empty when it cannot be read */
    uint64_t now_us;
    document_finding_fn fn;
    void *user;
    size_t n;
};

/* --- where --- */

static void read_file(const char *path, struct buf *text)
{
    FILE *file = fopen(path, "re");
    size_t n = 0;

    if (!file)
        return; /* places then have no line */
    n = fread(buf_reserve(text, CONFIG_SIZE_MAX), 1, CONFIG_SIZE_MAX, file);
    text->len = n;
    (void)fclose(file); /* it was only read */
}

/* "FILE:LINE" of what stands at `path` below the integration, else of the integration. */
static char *in_file(const struct checking *c, const char *path)
{
    const struct config_integration *in = c->document->integration;
    _free_ char *whole = mem_format("integrations.%s.%s", in->name, path);
    int line =
        c->text.len ? config_line((const char *)c->text.bytes, c->text.len, whole) : 0;

    return mem_format("%s:%d", c->document->config->path, line ? line : in->line);
}

static char *at_groups(const struct checking *c)
{
    int line =
        c->text.len ? config_line((const char *)c->text.bytes, c->text.len, "groups") : 0;

    return mem_format("%s:%d", c->document->config->path, line ? line : 1);
}

static char *in_manifest(const struct checking *c, const char *table)
{
    return mem_format("manifest of %s: %s", c->document->integration->connector, table);
}

__attribute__((format(printf, 4, 5))) static void
say(struct checking *c, const char *kind, const char *where, const char *format, ...)
{
    char what[WHAT_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    c->n++;
    c->fn(c->user,
          &(struct document_finding){.kind = kind, .where = where, .what = what});
}

/* --- events --- */

static bool is_taken(const struct checking *c, const char *type)
{
    struct buf takers = BUF_NULL;
    size_t n = catalogue_takers(c->document->config, type, &takers);

    buf_fini(&takers);
    return n > 0;
}

static void check_events(struct checking *c)
{
    const struct seen *seen = c->document->seen;
    const struct config_integration *in = c->document->integration;
    size_t prefix = strlen(in->name) + 1;

    for (size_t i = 0; seen && i < seen->n_events; i++) {
        const struct seen_event *e = &seen->events[i];
        bool is_webhook =
            strncmp(e->type, in->name, prefix - 1) == 0 && e->type[prefix - 1] == '.';
        if (catalogue_has(c->catalogue, e->type) ||
            (!in->connector && is_taken(c, e->type)))
            continue;
        _free_ char *where = !in->connector
                                 ? at_groups(c)
                                 : in_manifest(c, is_webhook ? "webhooks" : "publishes");
        say(c, "event", where,
            "the event %s was seen %llu times and is not in the catalogue: %s", e->type,
            (unsigned long long)e->count,
            !in->connector ? "no group takes it; name its type in one"
            : is_webhook   ? "declare it, or have the service not send it"
                           : "declare it");
    }
}

/* --- failures --- */

static bool is_declared(const struct checking *c, enum record_class error_class)
{
    const struct json *list = js_get(c->document->manifest, "failures");

    for (size_t i = 0; i < js_count(list); i++)
        if (failure_is_of(js_text(js_at(list, i), "seen_as", ""), error_class))
            return true;
    return false;
}

/* Of requests; a fact that a group gave up is the group's failure. */
static void check_failures(struct checking *c)
{
    const struct seen *seen = c->document->seen;
    uint64_t counts[CLASS_COUNT] = {0};

    for (size_t i = 0; seen && i < seen->n_events; i++)
        for (unsigned k = 1; k < CLASS_COUNT; k++)
            counts[k] +=
                seen->events[i].kind == RECORD_REQUEST ? seen->events[i].classes[k] : 0;
    for (unsigned k = 1; k < CLASS_COUNT; k++) {
        if (!counts[k] || is_declared(c, (enum record_class)k) ||
            own_failure(c->document, (enum record_class)k))
            continue;
        _free_ char *where = c->document->integration->connector
                                 ? in_manifest(c, "failures")
                                 : in_file(c, "connector");
        say(c, "failure", where,
            "%llu requests failed with the class %s, which has no entry: add one whose "
            "`seen_as` begins with \"%s\"",
            (unsigned long long)counts[k], class_name(k), class_name(k));
    }
}

/* --- secrets --- */

static void say_missing(struct checking *c, const struct config_secret *s,
                        const char *where)
{
    if (s->from == SECRET_VAULT)
        say(c, "secret", where, "the secret %s is not there: signalbox secret set %s",
            s->name, s->name);
    else
        say(c, "secret", where, "the secret's file %s is not there", s->name);
}

static void say_old(struct checking *c, const struct config_secret *s, const char *where,
                    uint64_t created_us, uint64_t due_us)
{
    char made[DAY_TEXT_SIZE], due[DAY_TEXT_SIZE];

    day_text(created_us, made);
    day_text(due_us, due);
    if (s->from == SECRET_VAULT)
        say(c, "secret", where,
            "the secret %s was set on %s and had to change by %s: signalbox secret "
            "rotate %s",
            s->name, made, due, s->name);
    else
        say(c, "secret", where,
            "the secret's file %s was changed last on %s and had to change by %s: write "
            "it anew, then signalbox reload",
            s->name, made, due);
}

static void check_secret(struct checking *c, const struct config_secret *s,
                         const char *path)
{
    const struct document *d = c->document;
    uint64_t every_us = d->integration->rotate_every_us;
    struct document_secret about;
    _free_ char *where = in_file(c, path);

    if (!d->secret || !d->secret(d->secret_user, s, &about))
        return;
    if (!about.is_there)
        say_missing(c, s, where);
    else if (every_us && about.created_us + every_us < c->now_us)
        say_old(c, s, where, about.created_us, about.created_us + every_us);
}

static void check_secrets(struct checking *c)
{
    const struct config_integration *in = c->document->integration;

    for (size_t i = 0; i < in->n_secrets; i++) {
        _free_ char *path = mem_format("secrets.%s", in->secrets[i].use);
        check_secret(c, &in->secrets[i], path);
    }
    for (size_t i = 0; i < in->n_webhooks; i++)
        for (size_t k = 0; k < in->webhooks[i].n_secrets; k++)
            check_secret(c, &in->webhooks[i].secrets[k], "webhooks");
}

/* --- failed outcomes --- */

/* Where the pattern is `call`, the caller waits for the outcome. A poll's matters once it
 * runs, a webhook's once it has failed. */
static bool matters(const struct checking *c, const struct entry *e)
{
    const struct config_integration *in = c->document->integration;
    const struct seen_event *seen = seen_find(c->document->seen, e->type);

    if (e->what == ENTRY_OPERATION)
        return !in->why.pattern || strcmp(in->why.pattern, "call") != 0;
    if (e->what == ENTRY_WEBHOOK)
        return seen && seen->failed;
    for (size_t i = 0; e->what == ENTRY_POLL && i < in->n_schedules; i++)
        if (strcmp(in->schedules[i].operation, js_text(e->declared, "name", "")) == 0)
            return true;
    return seen && e->what == ENTRY_POLL;
}

static void check_consumers(struct checking *c)
{
    for (size_t i = 0; i < c->catalogue->n; i++) {
        const struct entry *e = &c->catalogue->entries[i];
        const struct seen_event *seen = seen_find(c->document->seen, e->type);
        if (!e->fails_as || is_taken(c, e->fails_as) || !matters(c, e))
            continue;
        _free_ char *where = at_groups(c);
        say(c, "unconsumed", where,
            "nobody takes %s (%llu failed so far): name it in a group's or a delivery's "
            "`types`",
            e->fails_as, (unsigned long long)(seen ? seen->failed : 0));
    }
}

/* --- tests --- */

static void check_tests(struct checking *c)
{
    const struct seen *seen = c->document->seen;
    const struct config_integration *in = c->document->integration;
    const char *how = "signalbox simulate --all";
    char stamp[DOCUMENT_STAMP_SIZE];

    if (!seen || (!in->connector && !in->provider) ||
        document_has_door(c->document)) /* its applications test it */
        return;
    _free_ char *where = mem_format("%s:%d", c->document->config->path, in->line);
    document_stamp(c->document, stamp);
    if (!seen->tested)
        say(c, "test", where, "%s was never tested: %s %s", in->name, how, in->name);
    else if (strcmp(js_text(seen->tested, "stamp", ""), stamp) != 0)
        say(c, "test", where,
            "%s has changed since it was tested: connector, options, endpoints or "
            "schedules; %s %s",
            in->name, how, in->name);
    else if (js_int(seen->tested, "failed", 0) > 0)
        say(c, "test", where,
            "%lld cases of the last test of %s failed; signalbox doc %s",
            (long long)js_int(seen->tested, "failed", 0), in->name, in->name);
}

/* --- costs --- */

/* Calls may cost what the model says at most; the model of a call is its price. */
static void check_cost(struct checking *c, const struct seen_cost *cost)
{
    const struct document *d = c->document;
    int64_t micros = 0, sum = cost->actual + cost->estimated;
    const char *from = "", *operation = strchr(cost->operation, '.');
    char currency[4] = "", text[MONEY_TEXT_SIZE], most[MONEY_TEXT_SIZE];

    operation = operation ? operation + 1 : cost->operation;
    const struct json *declared = document_operation(d, operation);
    bool has_model =
        model_price(d, operation, d->seen->last_us, &micros, currency, &from);
    _free_ char *path = mem_format("prices.%s", operation);
    _free_ char *where = in_file(c, path);
    money_text(sum, cost->currency, text);
    money_text(micros, currency, most);
    if (has_model && strcmp(currency, cost->currency) != 0)
        say(c, "cost", where,
            "%llu calls of %s have cost %s, and the model knows %s a call (%s): another "
            "currency",
            (unsigned long long)cost->calls, cost->operation, text, most, from);
    else if (has_model && (double)sum > (double)micros * (double)cost->calls)
        say(c, "cost", where,
            "%llu calls of %s have cost %s, beyond the model: %s a call (%s)",
            (unsigned long long)cost->calls, cost->operation, text, most, from);
    else if (!has_model && sum > 0 && !js_bool(declared, "has_price", false))
        say(c, "cost", where,
            "%llu calls of %s have cost %s, and the model says nothing of a cost",
            (unsigned long long)cost->calls, cost->operation, text);
}

static void check_budget(struct checking *c, const struct seen_cost *cost)
{
    const struct money *per_day = &c->document->integration->budget.per_day;
    char day[DAY_TEXT_SIZE], text[MONEY_TEXT_SIZE], most[MONEY_TEXT_SIZE];

    if (strcmp(per_day->currency, cost->currency) != 0 ||
        cost->peak_day <= per_day->micros)
        return;
    _free_ char *where = in_file(c, "budget.per_day");
    day_text(cost->peak_day_us, day);
    money_text(cost->peak_day, cost->currency, text);
    money_text(per_day->micros, per_day->currency, most);
    say(c, "cost", where, "on %s calls of %s have cost %s, above the budget of %s a day",
        day, cost->operation, text, most);
}

/* A list of token prices that nobody has compared with the provider's for half a year, or
 * of which nobody can tell. */
static void check_price_list(struct checking *c)
{
    const struct config_integration *in = c->document->integration;
    const char *date = model_option(in, "prices_date");
    uint64_t days = 0;

    if (!model_option(in, "prices"))
        return;
    _free_ char *where = in_file(c, date ? "options.prices_date" : "options.prices");
    if (!date)
        say(c, "cost", where,
            "nobody can tell how old `prices` are: compare them with the provider's and "
            "set `options.prices_date`");
    else if (!model_age_days(date, c->now_us, &days))
        say(c, "cost", where, "`%s` is no day; expected YYYY-MM-DD", date);
    else if (days > PRICES_AGE_MAX_DAYS)
        say(c, "cost", where,
            "`prices` are %llu days old (%s), more than %d: compare them with the "
            "provider's and set `prices_date`",
            (unsigned long long)days, date, PRICES_AGE_MAX_DAYS);
}

static void check_costs(struct checking *c)
{
    const struct seen *seen = c->document->seen;

    check_price_list(c);
    for (size_t i = 0; seen && i < seen->n_costs; i++) {
        if (!*seen->costs[i].currency)
            continue;
        check_cost(c, &seen->costs[i]);
        check_budget(c, &seen->costs[i]);
    }
}

/* --- all --- */

size_t document_check(const struct document *document, uint64_t now_us,
                      document_finding_fn fn, void *user)
{
    struct catalogue *catalogue = catalogue_new(document);
    struct checking c = {.document = document,
                         .catalogue = catalogue,
                         .now_us = now_us,
                         .fn = fn,
                         .user = user};

    read_file(document->config->path, &c.text);
    check_events(&c);
    check_failures(&c);
    check_secrets(&c);
    check_consumers(&c);
    check_tests(&c);
    check_costs(&c);
    buf_fini(&c.text);
    catalogue_free(catalogue);
    return c.n;
}
