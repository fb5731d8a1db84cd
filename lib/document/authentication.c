/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Authentication Method: where each credential is, how old, when and how it is changed */
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/document/section.h"

static const struct json *declared_secret(const struct view *v, const char *use)
{
    const struct json *list = js_get(v->document->manifest, "secrets");

    for (size_t i = 0; i < js_count(list); i++)
        if (strcmp(js_text(js_at(list, i), "name", ""), use) == 0)
            return js_at(list, i);
    return NULL;
}

static void place_cell(const struct config_secret *s, struct page *page)
{
    if (s->from == SECRET_VAULT)
        page_cell(page, "the vault, entry `%s`", s->name);
    else
        page_cell(page, "the file `%s`, mode 0600", s->name);
}

/* "2026-11-25, version 2, used last on 2026-11-25; the one before is valid until
 * 2026-11-26, used last on 2026-11-24". Of a file nothing but its last change is known.
 */
static void set_cell(const struct document_secret *about, struct page *page)
{
    char made[DAY_TEXT_SIZE], used[DAY_TEXT_SIZE], until[DAY_TEXT_SIZE],
        old_used[DAY_TEXT_SIZE];
    struct buf cell = BUF_NULL;

    day_text(about->created_us, made);
    day_text(about->used.last_us, used);
    day_text(about->old_until_us, until);
    day_text(about->old_used.last_us, old_used);
    if (about->version)
        buf_format(&cell, "%s, version %u", made, about->version);
    else
        buf_format(&cell, "file changed on %s", made);
    if (about->used.last_us)
        buf_format(&cell, ", used last on %s", used);
    if (about->old_until_us)
        buf_format(&cell, "; the one before is valid until %s, %s%s", until,
                   about->old_used.last_us ? "used last on " : "not used",
                   about->old_used.last_us ? old_used : "");
    page_cell(page, "%s", buf_str(&cell));
    buf_fini(&cell);
}

/* Age and due day, from what the vault says of its making. */
static void age_cells(const struct view *v, const struct config_secret *s,
                      struct page *page)
{
    const struct document *d = v->document;
    uint64_t every_us = d->integration->rotate_every_us;
    struct document_secret about = {.is_there = false};
    char due[DAY_TEXT_SIZE];

    if (!d->secret || !d->secret(d->secret_user, s, &about)) {
        page_cell(page, "shown by `signalbox doc` where the vault is");
        page_cell(page, "%s", every_us ? "by the rule below" : "no rule is set");
        return;
    }
    if (!about.is_there) {
        if (s->from == SECRET_VAULT)
            page_cell(page, "missing: `signalbox secret set %s`", s->name);
        else
            page_cell(page, "missing: there is no such file");
        page_cell(page, "now");
        return;
    }
    day_text(about.created_us + every_us, due);
    set_cell(&about, page);
    page_cell(page, "%s", every_us ? due : "no rule is set");
}

static void secret_row(const struct view *v, const struct config_secret *s,
                       const char *what, const char *rotate, struct page *page)
{
    page_cell(page, "%s", what);
    place_cell(s, page);
    if (v->document->seen || v->document->secret)
        age_cells(v, s, page);
    page_cell(page, "%s", rotate);
}

static void secrets(const struct view *v, struct page *page)
{
    static const char *const columns[] = {
        "Credential", "Kept in", "Set on", "To be changed by", "How to change it", NULL};
    static const char *const declared[] = {"Credential", "Kept in", "How to change it",
                                           NULL};
    const struct config_integration *in = v->document->integration;

    page_table(page, v->document->seen || v->document->secret ? columns : declared);
    for (size_t i = 0; i < in->n_secrets; i++) {
        const struct json *s = declared_secret(v, in->secrets[i].use);
        _free_ char *what = mem_format("`%s`: %s", in->secrets[i].use,
                                       js_text(s, "what", "as the connector needs it"));
        secret_row(v, &in->secrets[i], what,
                   js_text(s, "rotate",
                           "make a second one, `signalbox secret rotate`, then take the "
                           "first one away"),
                   page);
    }
    for (size_t i = 0; i < in->n_webhooks; i++)
        for (size_t k = 0; k < in->webhooks[i].n_secrets; k++) {
            _free_ char *what =
                mem_format("signing secret of the endpoint `%s`", in->webhooks[i].path);
            secret_row(v, &in->webhooks[i].secrets[k], what,
                       "`signalbox secret rotate` keeps the old one valid beside the new "
                       "one (`--keep-old 24h`) while the provider changes over",
                       page);
        }
}

static void endpoints(const struct view *v, struct page *page)
{
    static const char *const columns[] = {"Endpoint", "Verified by", "Age of a signature",
                                          "Weakness", NULL};
    const struct config_integration *in = v->document->integration;
    char age[DURATION_TEXT_SIZE];

    if (!in->n_webhooks)
        return;
    page_heading(page, 3, "How a webhook proves where it comes from");
    page_table(page, columns);
    for (size_t i = 0; i < in->n_webhooks; i++) {
        const struct config_webhook *w = &in->webhooks[i];
        _free_ char *address = config_webhook_url(v->document->config, w->path);
        page_cell(page, "`%s`", address);
        page_cell(page, "scheme `%s`, over the bytes as they came", w->scheme);
        page_cell(page, "%s",
                  duration_text(w->tolerance_us, "what the scheme says", age));
        page_cell(page, "%s%s",
                  w->accept_weak ? "signs too little; accepted because " : "none",
                  text_or(w->accept_weak, ""));
    }
    page_text(page,
              "What does not verify is refused, is not processed, and stands in the "
              "log as Failed, class `unverified`, with what is known about it.");
}

static bool is_any_a_file(const struct config_secret *secrets, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (secrets[i].from == SECRET_FILE)
            return true;
    return false;
}

static bool is_any_in_a_file(const struct config_integration *in)
{
    bool found = is_any_a_file(in->secrets, in->n_secrets);

    for (size_t i = 0; !found && i < in->n_webhooks; i++)
        found = is_any_a_file(in->webhooks[i].secrets, in->webhooks[i].n_secrets);
    return found;
}

static void rule(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;
    char every[DURATION_TEXT_SIZE];

    if (in->rotate_every_us)
        page_item(page,
                  "Rule: every %s (`rotate_every`). `signalbox doc --check` fails "
                  "from the day on that one is older%s.",
                  duration_text(in->rotate_every_us, "", every),
                  is_any_in_a_file(in) ? "; of one in a file, that the file was not "
                                         "changed for so long"
                                       : "");
    else
        page_item(page,
                  "No rule says when a credential has to change: `rotate_every` of "
                  "the integration `%s` is not set, so nothing will remind anybody.",
                  in->name);
    if (in->owner)
        page_item(page,
                  "Owner: %s. Who finds a credential old, leaked or refused tells them.",
                  in->owner);
    else
        page_item(page, "Nobody is named as the owner (`owner`): it is not clear whom to "
                        "call.");
}

static void reach(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;

    if (is_any_in_a_file(in))
        page_item(page,
                  "A credential in a file is as safe as the file, is changed by "
                  "writing the file anew and `signalbox reload`, and has no versions: "
                  "`signalbox secret` is for those in the vault.");
    if (in->n_secrets)
        page_item(page,
                  "Who has it: the vault is a sealed file; `signalbox up` opens it and "
                  "hands the process of `%s` its own credentials on an inherited "
                  "descriptor. No other process gets them, and none appears in an event, "
                  "a log line, an error or a command line.",
                  in->name);
    if (in->mode)
        page_item(page,
                  "Mode: `%s`. A key of the other mode is refused where the provider "
                  "marks its keys.",
                  in->mode);
    page_item(page,
              "If one leaks: make a new one at %s, `signalbox secret set NAME` (the "
              "old one is dropped at once), `signalbox reload`, revoke the old one "
              "there.",
              v->service);
}

void authentication_section(const struct view *v, struct page *page)
{
    const struct config_integration *in = v->document->integration;

    if (!in->n_secrets && !in->n_webhooks)
        page_text(page, "%s is called without a credential.", v->service);
    secrets(v, page);
    rule(v, page);
    reach(v, page);
    endpoints(v, page);
}
