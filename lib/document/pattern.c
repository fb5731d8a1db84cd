/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Integration Pattern: which of the four it is, why, and what the others would mean here
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/document/section.h"

enum { ARROWS_MAX = 24, OPERATIONS_SHOWN = 2, WEBHOOKS_SHOWN = 2 };

static const char app[] = "your application", box[] = "signalbox";

/* --- the four --- */

/* What there is of a pattern, as text; empty: nothing. */
static void used_calls(const struct view *v, struct buf *out)
{
    for (size_t i = 0; i < v->catalogue->n; i++)
        if (v->catalogue->entries[i].what == ENTRY_OPERATION)
            buf_format(out, "%s`%s`", out->len ? ", " : "",
                       js_text(v->catalogue->entries[i].declared, "name", "?"));
}

static void used_webhooks(const struct view *v, struct buf *out)
{
    const struct config_integration *in = v->document->integration;

    for (size_t i = 0; i < in->n_webhooks; i++)
        buf_format(out, "%s`/webhooks/%s`", out->len ? ", " : "", in->webhooks[i].path);
}

static void used_polls(const struct view *v, struct buf *out)
{
    const struct config_integration *in = v->document->integration;
    char every[DURATION_TEXT_SIZE];

    for (size_t i = 0; i < in->n_schedules; i++) {
        const struct config_schedule *s = &in->schedules[i];
        buf_format(out, "%s`%s` %s %s", out->len ? ", " : "", s->operation,
                   s->cron ? "at" : "every",
                   s->cron ? s->cron : duration_text(s->every_us, "", every));
    }
}

/* Does the group take an event of the integration? */
static bool takes_any(const struct view *v, const struct config_group *group)
{
    for (size_t i = 0; i < v->catalogue->n; i++) {
        const struct entry *e = &v->catalogue->entries[i];
        const char *const types[] = {e->type, e->succeeds_as, e->fails_as};
        for (size_t t = 0; t < 3; t++)
            for (size_t p = 0; types[t] && p < group->n_types; p++)
                if (text_match_type(group->types[p], types[t], strlen(types[t])) ||
                    strcmp(group->types[p], types[t]) == 0)
                    return true;
    }
    return false;
}

static void used_queue(const struct view *v, struct buf *out)
{
    const struct config *config = v->document->config;

    for (size_t i = 0; i < config->n_groups; i++)
        if (takes_any(v, &config->groups[i]))
            buf_format(out, "%s`%s`", out->len ? ", " : "", config->groups[i].name);
}

static const struct {
    const char *name; /* in the configuration */
    const char *title;
    void (*used)(const struct view *v, struct buf *out);
    const char *suits;  /* what it is good for, and its price */
    const char *unused; /* what it would mean here */
} patterns[] = {
    {"call", "Synchronous API call", used_calls,
     "the caller needs the answer to go on, and waits for it up to its deadline; when "
     "the "
     "service is slow, so is the caller",
     "nothing is asked of the service"},
    {"webhook", "Asynchronous webhook", used_webhooks,
     "the service tells at once what happened, nobody waits and nothing is asked in "
     "vain; its address must be reachable, and what it sends is taken only after its "
     "signature was verified",
     "no address of ours is open to the service: what happens there is known only from "
     "its answers"},
    {"poll", "Scheduled polling", used_polls,
     "nothing of ours has to be reachable, and a gap heals with the next run; news is as "
     "late as the interval, and every run costs a call",
     "no call is spent on asking for news"},
    {"queue", "Event-driven queue", used_queue,
     "the publisher goes on at once and consumers work at their own pace, each event "
     "until it is settled; whoever needs the answer has to listen for it",
     "no consumer group takes its events: whoever asked is the only one who hears"},
};
enum { N_PATTERNS = sizeof(patterns) / sizeof(*patterns) };

static const char *title_of(const char *name)
{
    for (size_t i = 0; name && i < N_PATTERNS; i++)
        if (strcmp(patterns[i].name, name) == 0)
            return patterns[i].title;
    return NULL;
}

static void choice(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;
    size_t n = strlen(text_or(in->why.because, ""));

    if (in->why.pattern)
        page_text(page, "%s (`%s`), because %s%s", title_of(in->why.pattern),
                  in->why.pattern, in->why.because,
                  n && strchr(".!?", in->why.because[n - 1]) ? "" : ".");
    else
        page_text(page,
                  "The choice is not explained: `why: { pattern: ..., because: ... }` of "
                  "the integration `%s` in the configuration is missing. What is in use "
                  "is below.",
                  in->name);
}

static void compare(const struct view *v, struct page *page)
{
    static const char *const columns[] = {"Pattern", "In use for", "For and against",
                                          NULL};
    const char *chosen = v->document->integration->why.pattern;

    page_heading(page, 3, "The four patterns, here");
    page_table(page, columns);
    for (size_t i = 0; i < N_PATTERNS; i++) {
        struct buf used = BUF_NULL;
        bool is_chosen = chosen && strcmp(chosen, patterns[i].name) == 0;
        patterns[i].used(v, &used);
        page_cell(page, "%s%s", patterns[i].title, is_chosen ? " (chosen)" : "");
        page_cell(page, "%s", used.len ? buf_str(&used) : "not used");
        page_cell(page, "%s%s%s", patterns[i].suits,
                  used.len ? "" : ". Here: ", used.len ? "" : patterns[i].unused);
        buf_fini(&used);
    }
}

static bool is_scheduled(const struct config_integration *in, const char *operation)
{
    for (size_t i = 0; i < in->n_schedules; i++)
        if (strcmp(in->schedules[i].operation, operation) == 0)
            return true;
    return false;
}

/* Lost webhooks: what becomes of them. */
static void repair(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;
    const struct json *list = js_get(v->document->manifest, "operations");

    for (size_t i = 0; in->n_webhooks && i < js_count(list); i++) {
        const struct json *o = js_at(list, i);
        const char *name = js_text(o, "name", "?"), *finds = js_text(o, "finds", NULL);
        if (!finds)
            continue;
        if (strcmp(finds, "always") != 0 && !model_option(in, finds))
            page_text(page,
                      "Webhooks that got lost stay lost: the poll `%s` finds them only "
                      "with the option `%s`.",
                      name, finds);
        else if (is_scheduled(in, name))
            page_text(page,
                      "An event whose webhook got lost comes by the poll `%s`, as the "
                      "event it would have been; what came before, either way, is not "
                      "filed again. It takes up where its last successful run ended.",
                      name);
        else
            page_text(page,
                      "Webhooks that got lost stay lost: the connector has the poll `%s` "
                      "for them, but it is not scheduled (`schedules`).",
                      name);
    }
}

/* --- the flow --- */

struct drawing {
    struct page_arrow arrows[ARROWS_MAX];
    char *texts[ARROWS_MAX];
    size_t n;
};

/* `what` is taken. */
static void draw(struct drawing *d, const char *from, const char *to, char *what,
                 bool is_answer)
{
    if (d->n == ARROWS_MAX) {
        free(what);
        return;
    }
    d->texts[d->n] = what;
    d->arrows[d->n++] = (struct page_arrow){from, to, what, is_answer};
}

static void draw_call(struct drawing *d, const struct view *v, const struct entry *e)
{
    const char *name = js_text(e->declared, "name", "?");

    draw(d, app, box, mem_text(e->type), false);
    draw(d, box, v->service, mem_format("API call: %s", name), false);
    draw(d, v->service, box, mem_text("answer"), true);
    draw(d, box, app, mem_format("%s or .failed", e->succeeds_as), true);
}

static void draw_poll(struct drawing *d, const struct view *v, const struct entry *e)
{
    const char *name = js_text(e->declared, "name", "?");

    if (!is_scheduled(v->document->integration, name))
        return;
    draw(d, box, v->service, mem_format("by the clock: %s", name), false);
    draw(d, v->service, box, mem_text("what is new since the last run"), true);
}

static void draw_webhook(struct drawing *d, const struct view *v, const struct entry *e)
{
    size_t n = strlen(v->document->integration->name) + 1;
    struct buf takers = BUF_NULL;

    draw(d, v->service, box, mem_format("webhook: %s", e->type + n), false);
    draw(d, box, v->service, mem_text("2xx, once it is durable"), true);
    if (e->succeeds_as && catalogue_takers(v->document->config, e->succeeds_as, &takers))
        draw(d, box, app, mem_text(e->succeeds_as), false);
    buf_fini(&takers);
}

static void draw_taken(struct drawing *d, const struct view *v)
{
    const struct config_integration *in = v->document->integration;

    if (in->connector || !in->n_webhooks)
        return;
    draw(d, v->service, box, mem_format("webhook: %s.>", in->name), false);
    draw(d, box, v->service, mem_text("2xx, once it is durable"), true);
    for (size_t i = 0; i < v->catalogue->n; i++)
        if (v->catalogue->entries[i].what == ENTRY_TAKEN)
            draw(d, box, app, mem_text(v->catalogue->entries[i].type), false);
}

static void flow(const struct view *v, struct page *page)
{
    struct drawing d = {.n = 0};
    size_t n_calls = 0, n_webhooks = 0;

    for (size_t i = 0; i < v->catalogue->n; i++) {
        const struct entry *e = &v->catalogue->entries[i];
        if (e->what == ENTRY_OPERATION && n_calls++ < OPERATIONS_SHOWN)
            draw_call(&d, v, e);
        if (e->what == ENTRY_WEBHOOK && n_webhooks++ < WEBHOOKS_SHOWN)
            draw_webhook(&d, v, e);
        if (e->what == ENTRY_POLL)
            draw_poll(&d, v, e);
    }
    draw_taken(&d, v);
    if (d.n) {
        page_heading(page, 3, "The flow of events");
        page_flow(page, d.arrows, d.n);
    }
    if (n_calls > OPERATIONS_SHOWN || n_webhooks > WEBHOOKS_SHOWN)
        page_text(page, "Drawn are the first of each kind; all are in the catalogue.");
    for (size_t i = 0; i < d.n; i++)
        free(d.texts[i]);
}

void pattern_section(const struct view *v, struct page *page)
{
    choice(v, page);
    flow(v, page);
    compare(v, page);
    repair(v, page);
}
