/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Failure Modes: what is declared, what was seen, what happens then, how it degrades */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/config/config.h"
#include "lib/document/section.h"

static const struct own_failure own[] = {
    {CLASS_deadline, "no attempt in time",
     "its deadline passed before an attempt could start (the connector was away, or "
     "earlier attempts took the time); nothing was sent for it since. "
     "`signalbox redrive` makes it a new request"},
    {CLASS_budget, "budget spent",
     "refused before the call, nothing was sent; the next day of UTC, or a higher "
     "`budget.per_day`, lets calls through again; then `signalbox redrive`"},
    {CLASS_unverified, "forged, stale or wrongly signed webhook",
     "refused and not processed; the log says what was wrong. Many at once: the signing "
     "secret was changed on one side only, or test and live are mixed up"},
    {CLASS_missed, "missed run of a schedule",
     "the broker was down, the integration was paused, or the run before was not over; "
     "the next run takes up where the last successful one ended"},
    {CLASS_poison, "it ends its connector",
     "the process died several times while it had this event; it is not handed out "
     "again. The words of the process are in its log; mend it, then redrive"},
    {CLASS_cancelled, "cancelled by a person",
     "`signalbox cancel` ended it before anything was sent; the log says who it was"},
};

const struct own_failure *own_failure(const struct document *document,
                                      enum record_class error_class)
{
    const struct config_integration *in = document->integration;
    bool can = error_class == CLASS_unverified ? in->n_webhooks > 0
               : error_class == CLASS_missed   ? in->n_schedules > 0
               : error_class == CLASS_budget   ? in->budget.per_day.currency[0] != 0
                                               : in->connector != NULL;

    for (size_t i = 0; can && i < sizeof(own) / sizeof(*own); i++)
        if (own[i].error_class == error_class)
            return &own[i];
    return NULL;
}

bool failure_is_of(const char *seen_as, enum record_class error_class)
{
    const char *name = class_name(error_class);
    size_t n = strlen(name);

    return strncmp(seen_as, name, n) == 0 && strcspn(seen_as + n, ":, ;") == 0;
}

static enum record_class class_of(const char *seen_as)
{
    for (unsigned c = 1; c < CLASS_COUNT; c++)
        if (failure_is_of(seen_as, (enum record_class)c))
            return (enum record_class)c;
    return CLASS_none;
}

/* --- the service is down --- */

static void retries(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;
    char deadline[DURATION_TEXT_SIZE], timeout[DURATION_TEXT_SIZE],
        window[DURATION_TEXT_SIZE], pause[DURATION_TEXT_SIZE];

    page_item(
        page,
        "A call that gets no answer within %s, or an answer that says \"later\", is "
        "tried again after growing pauses: at most %u attempts, none of them later "
        "than %s after the request.",
        duration_text(in->limits.timeout_us, "its timeout", timeout), in->limits.attempts,
        duration_text(in->limits.deadline_us, "its deadline", deadline));
    if (in->limits.breaker.failures)
        page_item(page,
                  "After %u failures in a row within %s the breaker opens: nothing is "
                  "called for %s, then one call tries. What waits spends no attempts.",
                  in->limits.breaker.failures,
                  duration_text(in->limits.breaker.window_us, "a while", window),
                  duration_text(in->limits.breaker.pause_us, "a while", pause));
    page_item(page,
              "A caller that waits gets its error when its own deadline passes, and "
              "the request is then not tried later behind its back.");
    page_item(page,
              "What could not be done ends Failed, `exhausted` or `deadline`, with the "
              "service's last answer. When it is back: `signalbox redrive --integration "
              "%s --class exhausted`, and the same with `deadline`.",
              in->name);
}

static void not_twice(const struct view *v, struct page *page)
{
    const struct json *list = js_get(v->document->manifest, "operations");

    for (size_t i = 0; i < js_count(list); i++) {
        const struct json *o = js_at(list, i);
        if (strcmp(js_text(o, "repeat", "never"), "never") == 0)
            page_item(
                page,
                "`%s` is never sent twice: where its answer was lost it ends Failed, "
                "`unknown`%s. A person looks there and says so: `signalbox resolve "
                "ID --as success --note ...`.",
                js_text(o, "name", "?"),
                js_bool(o, "lookup", false) ? ", unless the service, when asked, "
                                              "tells what became of it"
                                            : "");
    }
}

static void webhooks_down(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;

    if (in->n_webhooks)
        page_item(page,
                  "Webhooks stop when the service is down, and come later. When this "
                  "system is down the provider gets no 2xx and sends again, as long "
                  "as it does that; the same event twice is stored once.");
    if (in->n_schedules)
        page_item(page, "Polls that fail change nothing: the cursor moves with a success "
                        "only.");
}

static void down(const struct view *v, struct page *page)
{
    page_heading(page, 3, "When the service is down");
    if (document_has_door(v->document))
        page_item(page,
                  "A call is passed on once and never tried again: the application's "
                  "SDK has the error and does that itself.");
    else if (v->document->integration->connector)
        retries(v, page);
    if (!document_has_door(v->document))
        not_twice(v, page);
    webhooks_down(v, page);
}

static void degradation(const struct view *v, struct page *page)
{
    static const char *const columns[] = {"Operation", "While it fails, the application",
                                          NULL};
    const struct json *list = js_get(v->document->manifest, "operations");

    if (!js_count(list))
        return;
    page_heading(page, 3, "How it degrades");
    page_table(page, columns);
    for (size_t i = 0; i < js_count(list); i++) {
        page_cell(page, "`%s`", js_text(js_at(list, i), "name", "?"));
        page_cell(page, "%s", js_text(js_at(list, i), "degrade", "is not said"));
    }
}

/* --- the table --- */

static void class_cells(const struct view *v, enum record_class error_class,
                        struct page *page)
{
    uint64_t n = seen_class(v->document->seen, error_class);

    if (!v->document->seen)
        return;
    if (error_class == CLASS_none)
        page_cell(page, "not counted by itself");
    else
        page_cell(page, "%llu of class `%s`", (unsigned long long)n,
                  class_name(error_class));
}

static void declared(const struct view *v, struct page *page)
{
    const struct json *list = js_get(v->document->manifest, "failures");

    for (size_t i = 0; i < js_count(list); i++) {
        const struct json *f = js_at(list, i);
        page_cell(page, "%s", js_text(f, "name", "?"));
        page_cell(page, "%s", js_text(f, "seen_as", "?"));
        page_cell(page, "%s", js_text(f, "then", "?"));
        class_cells(v, class_of(js_text(f, "seen_as", "")), page);
    }
}

static void of_signalbox(const struct view *v, struct page *page)
{
    for (unsigned c = 1; c < CLASS_COUNT; c++) {
        const struct own_failure *f = own_failure(v->document, (enum record_class)c);
        if (!f)
            continue;
        page_cell(page, "%s", f->name);
        page_cell(page, "%s: %s", class_name(c), class_sentence(c));
        page_cell(page, "%s", f->then);
        class_cells(v, f->error_class, page);
    }
}

/* Seen, and nobody has said what it means. */
static void unexplained(const struct view *v, struct page *page)
{
    const struct json *list = js_get(v->document->manifest, "failures");

    for (unsigned c = 1; v->document->seen && c < CLASS_COUNT; c++) {
        bool is_said = own_failure(v->document, (enum record_class)c) != NULL;
        for (size_t i = 0; i < js_count(list); i++)
            is_said |= failure_is_of(js_text(js_at(list, i), "seen_as", ""),
                                     (enum record_class)c);
        if (is_said || !seen_class(v->document->seen, (enum record_class)c))
            continue;
        page_cell(page, "not explained");
        page_cell(page, "%s: %s", class_name(c), class_sentence(c));
        page_cell(page,
                  "the manifest has no entry for it; `signalbox log --integration "
                  "%s --class %s` shows what was said",
                  v->document->integration->name, class_name(c));
        class_cells(v, (enum record_class)c, page);
    }
}

void failures_section(const struct view *v, struct page *page)
{
    static const char *const columns[] = {"Failure", "Seen in the log as",
                                          "What happens, what to do", "How often", NULL};
    static const char *const unseen[] = {"Failure", "Seen in the log as",
                                         "What happens, what to do", NULL};

    down(v, page);
    degradation(v, page);
    page_heading(page, 3, "What can go wrong");
    page_table(page, v->document->seen ? columns : unseen);
    declared(v, page);
    of_signalbox(v, page);
    unexplained(v, page);
    page_text(page,
              "All of them: `signalbox log --integration %s --status failed`; one with "
              "its attempts: `signalbox trace ID`.",
              v->document->integration->name);
}
