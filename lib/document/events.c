/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Event Catalogue: every event, what it changes, who takes it, how often it was seen */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/config/config.h"
#include "lib/document/section.h"

static void takers_cell(const struct view *v, const char *type, struct page *page)
{
    struct buf takers = BUF_NULL;

    page_cell(page, "%s",
              catalogue_takers(v->document->config, type, &takers) ? buf_str(&takers)
                                                                   : "nobody");
    buf_fini(&takers);
}

/* How often, how it ended. */
static void seen_cell(const struct view *v, const char *type, bool ends,
                      struct page *page)
{
    const struct seen_event *e = seen_find(v->document->seen, type);
    char day[DAY_TEXT_SIZE];

    if (!v->document->seen)
        return;
    if (!e) {
        page_cell(page, "never");
        return;
    }
    day_text(e->last_us, day);
    if (ends)
        page_cell(page, "%llu: %llu succeeded, %llu failed; last %s",
                  (unsigned long long)e->count, (unsigned long long)e->success,
                  (unsigned long long)e->failed, day);
    else
        page_cell(page, "%llu; last %s", (unsigned long long)e->count, day);
}

/* The last column is there only where something was looked for. */
static void table(const struct view *v, struct page *page, const char **columns)
{
    size_t n = 0;

    while (columns[n])
        n++;
    if (!v->document->seen)
        columns[n - 1] = NULL;
    page_table(page, columns);
}

static size_t count(const struct view *v, enum entry_what what)
{
    size_t n = 0;

    for (size_t i = 0; i < v->catalogue->n; i++)
        n += v->catalogue->entries[i].what == what;
    return n;
}

static const char *repeat_words(const struct json *o)
{
    const char *repeat = js_text(o, "repeat", "never");

    if (strcmp(repeat, "keyed") == 0)
        return "yes, under one idempotency key";
    if (strcmp(repeat, "safe") == 0)
        return "yes, it changes nothing";
    return js_bool(o, "lookup", false)
               ? "no; when the effect is not known, the service is asked first"
               : "no; when the effect is not known, a person must look";
}

static void operations(const struct view *v, struct page *page)
{
    const char *columns[] = {"Event",
                             "What it asks for",
                             "On success",
                             "On failure",
                             "May be sent twice",
                             "Failure taken by",
                             "Seen",
                             NULL};

    if (!count(v, ENTRY_OPERATION) && !count(v, ENTRY_POLL))
        return;
    page_heading(page, 3, "What is asked of the service");
    table(v, page, columns);
    for (size_t i = 0; i < v->catalogue->n; i++) {
        const struct entry *e = &v->catalogue->entries[i];
        if (e->what != ENTRY_OPERATION && e->what != ENTRY_POLL)
            continue;
        page_cell(page, "`%s`", e->type);
        page_cell(page, "%s%s", js_text(e->declared, "summary", ""),
                  e->what == ENTRY_POLL ? " (a poll)" : "");
        page_cell(page, "%s; `%s`",
                  js_text(e->declared, "transition", "no state changes"), e->succeeds_as);
        page_cell(page, "%s; `%s`",
                  js_text(e->declared, "transition_failed", "no state changes"),
                  e->fails_as);
        page_cell(page, "%s", repeat_words(e->declared));
        takers_cell(v, e->fails_as, page);
        seen_cell(v, e->type, true, page);
    }
}

/* Those whose provider signs too little, and why they are taken all the same. */
static void weak(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;

    for (size_t i = 0; i < in->n_webhooks; i++)
        if (in->webhooks[i].accept_weak)
            page_text(
                page,
                "What comes through the endpoint `%s` is `weak`, and stands so in "
                "the log: scheme `%s` does not prove the body. Accepted because %s.",
                in->webhooks[i].path, in->webhooks[i].scheme,
                in->webhooks[i].accept_weak);
}

static void webhooks(const struct view *v, struct page *page)
{
    const char *columns[] = {"The service sends",
                             "It becomes",
                             "State transition",
                             "Taken by",
                             "If it cannot be handled",
                             "Seen",
                             NULL};
    size_t n = strlen(v->document->integration->name) + 1;

    if (!count(v, ENTRY_WEBHOOK))
        return;
    page_heading(page, 3, "What the service tells");
    table(v, page, columns);
    for (size_t i = 0; i < v->catalogue->n; i++) {
        const struct entry *e = &v->catalogue->entries[i];
        if (e->what != ENTRY_WEBHOOK)
            continue;
        page_cell(page, "`%s`", e->type + n);
        page_cell(page, "`%s`", text_or(e->succeeds_as, "?"));
        page_cell(page, "%s", js_text(e->declared, "transition", "no state changes"));
        takers_cell(v, e->succeeds_as, page);
        page_cell(page, "`%s`; no state changes", e->fails_as);
        seen_cell(v, e->type, true, page);
    }
}

static const char *fact_words(enum entry_what what)
{
    if (what == ENTRY_MISSED)
        return "a run of the schedule did not take place; Failed, class `missed`";
    if (what == ENTRY_REFUSED)
        return "a webhook without a valid signature was refused; Failed, class "
               "`unverified`; no state changes";
    if (what == ENTRY_TAKEN)
        return "events of the service as they came, each a fact";
    return "found by the connector, committed together with the outcome it comes from";
}

static void facts(const struct view *v, struct page *page)
{
    const char *columns[] = {"Event", "What it says", "Taken by", "Seen", NULL};

    if (!count(v, ENTRY_FACT) && !count(v, ENTRY_MISSED) && !count(v, ENTRY_REFUSED) &&
        !count(v, ENTRY_TAKEN))
        return;
    page_heading(page, 3, "Facts");
    table(v, page, columns);
    for (size_t i = 0; i < v->catalogue->n; i++) {
        const struct entry *e = &v->catalogue->entries[i];
        if (e->what < ENTRY_FACT)
            continue;
        page_cell(page, "`%s`", e->type);
        page_cell(page, "%s", fact_words(e->what));
        takers_cell(v, e->type, page);
        if (v->document->seen && e->what == ENTRY_TAKEN)
            page_cell(page, "below");
        else
            seen_cell(v, e->type, false, page);
    }
}

/* Without a connector: what came. With one: what nobody declared. */
static void others(const struct view *v, struct page *page)
{
    const char *columns[] = {"Event", "Taken by", "Seen", NULL};
    bool is_plain = !v->document->integration->connector;
    const struct seen *seen = v->document->seen;
    size_t n = 0;

    for (size_t i = 0; seen && i < seen->n_events; i++) {
        const struct seen_event *e = &seen->events[i];
        if (strncmp(e->type, "signalbox.", 10) == 0 ||
            (!is_plain && catalogue_has(v->catalogue, e->type)) ||
            (is_plain && e->kind == RECORD_OUTCOME))
            continue;
        if (n++ == 0) {
            page_heading(page, 3,
                         is_plain ? "Events as they came" : "Seen, but not declared");
            table(v, page, columns);
        }
        page_cell(page, "`%s`", e->type);
        takers_cell(v, e->type, page);
        seen_cell(v, e->type, false, page);
    }
}

void events_section(const struct view *v, struct page *page)
{
    const struct document *d = v->document;

    if (d->integration->connector && !d->manifest)
        page_text(page,
                  "What the connector `%s` can do is not known here: neither the log nor "
                  "the program says it.",
                  d->integration->connector);
    if (!d->integration->connector)
        page_text(page,
                  "Webhooks only: no connector stands behind it, so each event is a "
                  "fact with the name `%s.` and the provider's type, for whoever "
                  "takes it. The state transitions are those of its consumers.",
                  d->integration->name);
    weak(v, page);
    operations(v, page);
    webhooks(v, page);
    facts(v, page);
    others(v, page);
}
