/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What somebody asks who was just called: the three answers, and what it is about */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/document/section.h"
#include "lib/document/traffic.h"

static void row(struct page *page, const char *name, const char *value)
{
    page_cell(page, "%s", name);
    page_cell(page, "%s", value);
}

static void about(const struct view *v, struct page *page)
{
    static const char *const columns[] = {"Integration", "What it is", NULL};
    const struct config_integration *in = v->document->integration;
    const struct seen *seen = v->document->seen;
    char first[DAY_TEXT_SIZE], last[DAY_TEXT_SIZE];

    page_table(page, columns);
    page_cell(page, "Name");
    page_cell(page, "`%s`, in the log as %s", in->name, v->service);
    page_cell(page, "Connector");
    page_cell(page, "%s%s%s", text_or(in->connector, "none: webhooks only"),
              in->provider ? ", provider " : "", text_or(in->provider, ""));
    if (in->base_url || js_text(v->document->manifest, "base_url", NULL))
        row(page, "Address",
            text_or(in->base_url, js_text(v->document->manifest, "base_url", "")));
    row(page, "Owner", text_or(in->owner, "nobody is named (`owner`)"));
    if (in->note)
        row(page, "Note", in->note);
    if (!seen)
        return;
    day_text(seen->first_us, first);
    day_text(seen->last_us, last);
    page_cell(page, "Seen");
    page_cell(page, seen->last_us ? "what the log holds, from %s to %s" : "nothing yet",
              first, last);
}

/* --- down at night --- */

static void degrade(const struct view *v, struct buf *out)
{
    const struct json *list = js_get(v->document->manifest, "operations");
    bool is_first = true;

    for (size_t i = 0; i < js_count(list); i++) {
        const char *text = js_text(js_at(list, i), "degrade", NULL);
        if (!text || js_bool(js_at(list, i), "is_poll", false))
            continue;
        buf_format(out, "%s`%s`: %s", is_first ? " Meanwhile the application: " : "; ",
                   js_text(js_at(list, i), "name", "?"), text);
        is_first = false;
    }
    buf_text(out, is_first ? "" : ".");
}

/* What a person has to see to in the morning. */
static void unknown(const struct view *v, struct buf *out)
{
    const struct json *list = js_get(v->document->manifest, "operations");
    bool is_first = true;

    for (size_t i = 0; i < js_count(list); i++) {
        if (strcmp(js_text(js_at(list, i), "repeat", "never"), "never") != 0)
            continue;
        buf_format(out, "%s`%s`", is_first ? " What is never sent twice (" : ", ",
                   js_text(js_at(list, i), "name", "?"));
        is_first = false;
    }
    buf_text(out, is_first ? ""
                           : ") waits for a person where an answer was lost: class "
                             "`unknown`, `signalbox resolve`.");
}

static void night(const struct view *v, struct buf *out)
{
    const struct config_integration *in = v->document->integration;
    char deadline[DURATION_TEXT_SIZE];

    if (!in->connector) {
        buf_text(out,
                 "Its webhooks stop, and come when it is back; nothing of this system "
                 "waits for it. When this system is down it gets no 2xx and sends "
                 "again.");
        return;
    }
    if (document_has_door(v->document)) {
        buf_text(
            out,
            "The applications' SDKs get the service's error, or the proxy's (502 not "
            "answered, 503 not in time, 429 no budget), and do what they do then: "
            "signalbox tries nothing again. Each "
            "call stands in the log with how it ended.");
        degrade(v, out);
        return;
    }
    buf_format(
        out,
        "Nobody has to get up: every request is kept. It is tried again, at most %u "
        "times and for %s; what is not done by then stands in the log as Failed with "
        "the last reason, and `signalbox redrive --integration %s --class exhausted` "
        "tries it again in the morning.",
        in->limits.attempts,
        duration_text(in->limits.deadline_us, "its deadline", deadline), in->name);
    unknown(v, out);
    degrade(v, out);
}

/* --- the key --- */

static void one_key(const struct view *v, const struct config_secret *s, struct buf *out)
{
    const struct document *d = v->document;
    struct document_secret known = {.is_there = false};
    char day[DAY_TEXT_SIZE], every[DURATION_TEXT_SIZE];

    buf_format(out, "%s`%s` is in the %s `%s`", out->len ? " " : "", s->use,
               s->from == SECRET_VAULT ? "vault, entry" : "file", s->name);
    if (!d->integration->rotate_every_us) {
        buf_text(out, "; no rule says when it has to change.");
    } else if (d->secret && d->secret(d->secret_user, s, &known) && known.is_there) {
        day_text(known.created_us + d->integration->rotate_every_us, day);
        buf_format(out, " and has to change by %s.", day);
    } else {
        buf_format(out, " and has to change every %s.",
                   duration_text(d->integration->rotate_every_us, "", every));
    }
}

static void key(const struct view *v, struct buf *out)
{
    const struct config_integration *in = v->document->integration;

    for (size_t i = 0; i < in->n_secrets; i++)
        one_key(v, &in->secrets[i], out);
    for (size_t i = 0; i < in->n_webhooks; i++)
        for (size_t k = 0; k < in->webhooks[i].n_secrets; k++)
            one_key(v, &in->webhooks[i].secrets[k], out);
    buf_format(out, "%s%s%s", out->len ? "" : "There is none.",
               in->owner ? " Whom to ask: " : "", text_or(in->owner, ""));
    buf_text(out, in->owner ? "." : "");
}

/* --- ten times as much --- */

static void words(const struct view *v, struct buf *out)
{
    const struct json *list = js_get(v->document->manifest, "operations");
    bool is_first = true;

    buf_text(out, "Ten times the price of its calls. ");
    for (size_t i = 0; i < js_count(list); i++) {
        const char *text = js_text(js_at(list, i), "price", NULL);
        if (!text || strcmp(text, "none") == 0)
            continue;
        buf_format(out, "%s`%s`: %s", is_first ? "" : "; ",
                   js_text(js_at(list, i), "name", "?"), text);
        is_first = false;
    }
    buf_text(out, is_first ? "The calls themselves are free." : ".");
}

static void growth(const struct view *v, struct buf *out)
{
    struct buf cost = BUF_NULL, limits = BUF_NULL;

    traffic_cost(v->document, 10, &cost);
    traffic_limits(v->document, 10, &limits);
    buf_format(out, "%s in 30 days for %llu calls, ten times what was seen; %s.",
               strcmp(buf_str(&cost), "none is known") == 0 ? "No cost is known"
                                                            : buf_str(&cost),
               (unsigned long long)traffic_calls(v->document, 10), buf_str(&limits));
    buf_fini(&cost);
    buf_fini(&limits);
}

static void ten(const struct view *v, struct buf *out)
{
    if (!v->document->integration->connector)
        buf_text(out, "Nothing: no call is made. The log grows ten times as fast.");
    else if (v->document->seen && traffic_calls(v->document, 10))
        growth(v, out);
    else
        words(v, out);
}

static void question(const struct view *v, const char *text,
                     void (*answer)(const struct view *v, struct buf *out),
                     struct page *page)
{
    struct buf out = BUF_NULL;

    answer(v, &out);
    page_cell(page, "%s", text);
    page_cell(page, "%s", buf_str(&out));
    buf_fini(&out);
}

void glance_section(const struct view *v, struct page *page)
{
    static const char *const columns[] = {"Asked at once", "In short", NULL};

    about(v, page);
    page_table(page, columns);
    question(v, "What happens when it is down at 3 a.m.?", night, page);
    question(v, "Where is the key, and when must it change?", key, page);
    question(v, "What does it cost at ten times the traffic?", ten, page);
}
