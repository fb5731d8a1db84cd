/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/document/document.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/document/section.h"
#include "lib/http/crypto.h"

/* --- words --- */

void day_text(uint64_t time_us, char ret[DAY_TEXT_SIZE])
{
    char text[TEXT_TIME_SIZE];

    text_time(time_us, text);
    snprintf(ret, DAY_TEXT_SIZE, "%.10s", text);
}

const char *duration_text(uint64_t us, const char *otherwise,
                          char ret[DURATION_TEXT_SIZE])
{
    if (us == 0)
        return otherwise;
    text_duration(us, ret, DURATION_TEXT_SIZE);
    return ret;
}

const char *text_or(const char *text, const char *otherwise)
{
    return text && *text ? text : otherwise;
}

bool document_has_door(const struct document *document)
{
    const char *connector = document->integration->connector;

    return connector && strcmp(connector, "proxy") == 0;
}

/* --- the document --- */

static const struct {
    const char *title;
    section_fn write;
} sections[] = {
    {"Integration Pattern", pattern_section},
    {"Authentication Method", authentication_section},
    {"Event Catalogue", events_section},
    {"Failure Modes", failures_section},
    {"Testing Protocol", testing_section},
    {"Cost Model", cost_section},
};

static void write_page(const struct page *page, enum document_format format,
                       struct buf *out)
{
    (format == DOCUMENT_HTML ? page_html : page_markdown)(page, out);
}

void document_write(const struct document *document, enum document_format format,
                    struct buf *out)
{
    struct catalogue *catalogue = catalogue_new(document);
    const struct view view = {document, catalogue, document_service(document)};
    _free_ char *title =
        mem_format("Integration Architecture Document: %s", view.service);
    struct page *page = page_new(title);

    glance_section(&view, page);
    for (size_t i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
        page_heading(page, 2, sections[i].title);
        sections[i].write(&view, page);
    }
    write_page(page, format, out);
    page_free(page);
    catalogue_free(catalogue);
}

/* --- the index --- */

static uint64_t count_failed(const struct document *d, uint64_t *ret_seen)
{
    uint64_t failed = 0;

    *ret_seen = 0;
    for (size_t i = 0; i < d->seen->n_events; i++) {
        failed += d->seen->events[i].failed;
        *ret_seen +=
            d->seen->events[i].kind == RECORD_OUTCOME ? 0 : d->seen->events[i].count;
    }
    return failed;
}

static void index_row(const struct document *d, enum document_format format,
                      struct page *page)
{
    const struct config_integration *in = d->integration;
    _free_ char *file =
        mem_format("%s.%s", in->name, format == DOCUMENT_HTML ? "html" : "md");
    uint64_t seen = 0, failed = d->seen ? count_failed(d, &seen) : 0;

    page_link(page, file, document_service(d));
    page_cell(page, "`%s`", in->name);
    page_cell(page, "%s%s%s", text_or(in->connector, "webhooks only"),
              in->provider ? ", " : "", text_or(in->provider, ""));
    page_cell(page, "%s", text_or(in->why.pattern, "not stated"));
    page_cell(page, "%s", text_or(in->owner, "nobody is named"));
    if (d->seen) {
        page_cell(page, "%llu", (unsigned long long)seen);
        page_cell(page, "%llu", (unsigned long long)failed);
    }
}

void document_index(const struct document *documents, size_t n,
                    enum document_format format, struct buf *out)
{
    static const char *const columns[] = {"Service", "Integration", "Connector",
                                          "Pattern", "Owner",       "Events seen",
                                          "Failed",  NULL};
    static const char *const declared[] = {"Service", "Integration", "Connector",
                                           "Pattern", "Owner",       NULL};
    struct page *page = page_new("Integration Architecture Documents");

    page_text(page, "One document for each connection of this system to a service. Each "
                    "says which pattern it follows and why, where its credentials are, "
                    "which events it has, what happens when it fails, how it is tested, "
                    "and what it costs.");
    page_table(page, n && documents[0].seen ? columns : declared);
    for (size_t i = 0; i < n; i++)
        index_row(&documents[i], format, page);
    write_page(page, format, out);
    page_free(page);
}

/* --- the manifest --- */

struct json *document_manifest(const struct json *manifest,
                               const struct config_integration *integration)
{
    static const char *const tables[] = {"base_url", "operations", "webhooks",
                                         "options",  "secrets",    "failures"};
    const struct json *providers = js_get(manifest, "providers"), *found = NULL;

    if (js_count(providers) == 0)
        return manifest ? js_copy(manifest) : NULL;
    for (size_t i = 0; i < js_count(providers); i++) {
        const char *name = js_text(js_at(providers, i), "name", "");
        if (integration->provider ? strcmp(integration->provider, name) == 0
                                  : js_count(providers) == 1)
            found = js_at(providers, i);
    }
    if (!found)
        return NULL;
    struct json *own = js_copy(manifest);
    for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
        if (js_get(found, tables[i]))
            js_set(own, tables[i], js_copy(js_get(found, tables[i])));
    js_set_text(own, "provider", js_text(found, "name", ""));
    return js_set(own, "providers", js_array());
}

void document_stamp(const struct document *document, char ret[DOCUMENT_STAMP_SIZE])
{
    const struct config_integration *in = document->integration;
    struct buf text = BUF_NULL, hex = BUF_NULL;
    uint8_t hash[CRYPTO_SHA256_SIZE];
    struct json *manifest =
        document->manifest ? js_copy(document->manifest) : js_object();

    js_set(manifest, "providers", js_array()); /* those of others say nothing of it */
    js_write(manifest, 0, &text);
    js_free(manifest);
    for (size_t i = 0; i < in->n_options; i++)
        buf_format(&text, "\noption %s=%s", in->option_names[i], in->option_values[i]);
    for (size_t i = 0; i < in->n_webhooks; i++)
        buf_format(&text, "\nwebhook %s %s", in->webhooks[i].path,
                   in->webhooks[i].scheme);
    for (size_t i = 0; i < in->n_schedules; i++)
        buf_format(&text, "\nschedule %s %s %llu", in->schedules[i].operation,
                   text_or(in->schedules[i].cron, ""),
                   (unsigned long long)in->schedules[i].every_us);
    crypto_sha256(text.bytes, text.len, hash);
    text_hex(hash, sizeof(hash), &hex);
    snprintf(ret, DOCUMENT_STAMP_SIZE, "%s", buf_str(&hex));
    buf_fini(&text);
    buf_fini(&hex);
}
