/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Testing Protocol: how each operation and webhook is tried, and what the last run found
 */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/config/config.h"
#include "lib/document/section.h"

/* How the cases of one operation or event ended. */
static void result_cell(const struct view *v, const char *name, struct page *page)
{
    const struct seen *seen = v->document->seen;
    const struct json *cases = seen ? js_get(seen->tested, "cases") : NULL;
    unsigned passed = 0, all = 0;

    if (!seen)
        return;
    for (size_t i = 0; i < js_count(cases); i++) {
        if (strcmp(js_text(js_at(cases, i), "name", ""), name) != 0)
            continue;
        all++;
        passed += js_bool(js_at(cases, i), "passed", false);
    }
    if (all)
        page_cell(page, "%s: %u of %u cases passed", passed == all ? "good" : "FAILED",
                  passed, all);
    else
        page_cell(page, "not tested");
}

static void operations(const struct view *v, struct page *page)
{
    static const char *const columns[] = {"Operation", "Tried without harm", "Example",
                                          "Last run", NULL};
    static const char *const unseen[] = {"Operation", "Tried without harm", "Example",
                                         NULL};
    const struct json *list = js_get(v->document->manifest, "operations");

    if (!js_count(list))
        return;
    page_heading(page, 3, "Operations");
    page_table(page, v->document->seen ? columns : unseen);
    for (size_t i = 0; i < js_count(list); i++) {
        const struct json *o = js_at(list, i);
        struct buf example = BUF_NULL;
        const char *name = js_text(o, "name", "?");
        if (js_get(o, "example"))
            js_write(js_get(o, "example"), 0, &example);
        page_cell(page, "`%s`", name);
        page_cell(page, "%s", js_text(o, "test", "is not said"));
        page_cell(page, "`signalbox call %s.%s --integration %s --data '%s'`",
                  v->document->integration->connector, name,
                  v->document->integration->name, example.len ? buf_str(&example) : "{}");
        result_cell(v, name, page);
        buf_fini(&example);
    }
}

static void webhooks(const struct view *v, struct page *page)
{
    static const char *const columns[] = {"Webhook", "Simulated by", "How", "Last run",
                                          NULL};
    static const char *const unseen[] = {"Webhook", "Simulated by", "How", NULL};
    const struct config_integration *in = v->document->integration;
    const struct json *list = js_get(v->document->manifest, "webhooks");

    if (!in->n_webhooks || !js_count(list))
        return;
    page_heading(page, 3, "Webhooks");
    page_table(page, v->document->seen ? columns : unseen);
    for (size_t i = 0; i < js_count(list); i++) {
        const char *event = js_text(js_at(list, i), "event", "?");
        page_cell(page, "`%s`", event);
        page_cell(page, "`signalbox simulate %s %s`", in->webhooks[0].path, event);
        page_cell(page, "%s", js_text(js_at(list, i), "test", "in the sandbox"));
        result_cell(v, event, page);
    }
    page_text(
        page,
        "Forged ones must be refused: `--fault tampered`, `bad-signature`, "
        "`wrong-secret` and `stale` are answered 401; `--fault duplicate` is answered "
        "2xx and stored once.");
}

static void failed_cases(const struct seen *seen, struct page *page)
{
    const struct json *cases = js_get(seen->tested, "cases");

    for (size_t i = 0; i < js_count(cases); i++)
        if (!js_bool(js_at(cases, i), "passed", false))
            page_item(page, "failed: `%s`, %s: %s", js_text(js_at(cases, i), "name", "?"),
                      js_text(js_at(cases, i), "what", "?"),
                      js_text(js_at(cases, i), "said", "nothing was said"));
}

static void last_run(const struct view *v, struct page *page)
{
    const struct seen *seen = v->document->seen;
    char stamp[DOCUMENT_STAMP_SIZE], at[TEXT_TIME_SIZE];

    if (!seen)
        return;
    if (!seen->tested) {
        page_text(page, "It was not tested yet, or the record is older than the log.");
        return;
    }
    document_stamp(v->document, stamp);
    text_time(seen->tested_us, at);
    page_text(
        page, "Last run: %.16sZ, %lld cases passed, %lld failed; %s.", at,
        (long long)js_int(seen->tested, "passed", 0),
        (long long)js_int(seen->tested, "failed", 0),
        strcmp(js_text(seen->tested, "stamp", ""), stamp) == 0
            ? "of what is in force now"
            : "of an earlier state: connector, options, endpoints or schedules have "
              "changed since");
    failed_cases(seen, page);
}

void testing_section(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;

    if (document_has_door(v->document))
        page_text(page,
                  "By the application's own tests: its SDK with the base URL of the "
                  "proxy, against the provider's test mode or signalbox's sandbox. "
                  "Nothing of it is run automatically.");
    else if (in->connector || in->provider)
        page_text(page,
                  "All of it at once: `signalbox up --sandbox`, then `signalbox simulate "
                  "--all %s`. Every operation and webhook is tried against the practice "
                  "provider, with its faults, and the result is recorded in the log.",
                  in->name);
    else
        page_text(page,
                  "The provider's console sends test events to the endpoint; each must "
                  "appear in `signalbox log --integration %s`, and one with a changed "
                  "body must be refused. Nothing of it is run automatically.",
                  in->name);
    if (js_text(v->document->manifest, "tests", NULL))
        page_text(page, "The connector itself: %s.",
                  js_text(v->document->manifest, "tests", ""));
    last_run(v, page);
    operations(v, page);
    webhooks(v, page);
}
