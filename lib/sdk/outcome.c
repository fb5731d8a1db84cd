/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What a connector writes about the result: verdicts, data, cost, cursor, facts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/sdk/call.h"
#include "lib/sdk/provider.h"

/* Where a text that was cut at `n` bytes has to end so that its last character is whole.
 */
static size_t whole_characters(const char *text, size_t n)
{
    size_t lead = n;

    while (lead && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    if (!lead)
        return n;
    unsigned char first = (unsigned char)text[lead - 1];
    size_t len = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    return lead - 1 + len <= n ? n : lead - 1;
}

/* The text, at most CALL_MESSAGE_MAX bytes; control characters become spaces: it is one
 * line in the log. */
static void say(struct sb_outcome *outcome, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void say(struct sb_outcome *outcome, const char *format, va_list args)
{
    char *text = outcome->message;
    int n = vsnprintf(text, sizeof(outcome->message), format, args);

    if (n > CALL_MESSAGE_MAX)
        text[whole_characters(text, CALL_MESSAGE_MAX)] = 0;
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            *text = ' ';
}

enum sb_verdict sb_fail(struct sb_outcome *outcome, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(outcome, format, args);
    va_end(args);
    return SB_FAILED;
}

enum sb_verdict sb_retry(struct sb_outcome *outcome, uint64_t after_ms,
                         const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(outcome, format, args);
    va_end(args);
    outcome->after_us = after_ms < UINT64_MAX / 1000 ? after_ms * 1000 : UINT64_MAX;
    return SB_RETRY;
}

enum sb_verdict sb_unclear(struct sb_outcome *outcome, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(outcome, format, args);
    va_end(args);
    return SB_UNCLEAR;
}

enum sb_verdict sb_unknown(struct sb_outcome *outcome, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(outcome, format, args);
    va_end(args);
    return SB_UNKNOWN;
}

enum sb_verdict sb_default(struct sb_outcome *outcome, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say(outcome, format, args);
    va_end(args);
    return SB_DEFAULT;
}

enum sb_verdict sb_absent(struct sb_outcome *outcome)
{
    outcome->message[0] = 0;
    return SB_ABSENT;
}

static void mistake(struct sb_outcome *outcome, const char *what, const char *value)
{
    if (!outcome->mistake)
        outcome->mistake = mem_format("%s: %.200s", what, value);
}

struct sb_json *sb_result(struct sb_outcome *outcome)
{
    if (!outcome->data)
        outcome->data = js_object();
    return (struct sb_json *)outcome->data;
}

void sb_cost(struct sb_outcome *outcome, enum sb_cost_kind kind, const char *currency,
             int64_t millionths)
{
    if (strlen(currency) != 3) {
        mistake(outcome, "a cost's currency has three letters", currency);
        return;
    }
    outcome->has_cost = true;
    outcome->cost_kind = kind;
    outcome->cost = millionths;
    for (int i = 0; i < 3; i++) /* providers write usd, ISO 4217 writes USD */
        outcome->currency[i] =
            (char)(currency[i] >= 'a' && currency[i] <= 'z' ? currency[i] - 32
                                                            : currency[i]);
}

void sb_next_cursor(struct sb_outcome *outcome, const char *cursor)
{
    if (!cursor || strlen(cursor) > CALL_CURSOR_MAX) {
        mistake(outcome, "a cursor is missing or longer than 1,000 bytes",
                cursor ? cursor : "");
        return;
    }
    free(outcome->cursor);
    outcome->cursor = mem_text(cursor);
}

void sb_more(struct sb_outcome *outcome)
{
    outcome->more = true;
}

static bool publishes(const struct sb_connector *connector, const char *type)
{
    for (const char *const *t = connector->publishes; t && *t; t++)
        if (strcmp(*t, type) == 0)
            return true;
    return false;
}

static struct call_fact *add_fact(struct sb_outcome *outcome, const char *event_id)
{
    if (outcome->n_facts % 16 == 0)
        outcome->facts =
            mem_resize(outcome->facts, (outcome->n_facts + 16) * sizeof(*outcome->facts));
    struct call_fact *fact = &outcome->facts[outcome->n_facts++];
    *fact = (struct call_fact){.event_id = mem_text(event_id), .text = BUF_NULL};
    return fact;
}

static struct sb_json *own_fact(struct sb_outcome *outcome, const char *type,
                                const char *key, const char *event_id)
{
    if (!publishes(outcome->integration->connector, type)) {
        mistake(outcome, "a fact's type is not among those the connector publishes",
                type);
        return NULL;
    }
    if (outcome->n_facts == CALL_FACTS_MAX) {
        mistake(outcome, "more than 1,000 facts in one outcome", type);
        return NULL;
    }
    struct call_fact *fact = add_fact(outcome, event_id);
    fact->type = mem_text(type);
    fact->key = mem_text(key);
    fact->data = js_object();
    return (struct sb_json *)fact->data;
}

struct sb_json *sb_fact(struct sb_outcome *outcome, const char *type, const char *key)
{
    return own_fact(outcome, type, key, NULL);
}

static bool event_id_ok(struct sb_outcome *outcome, const char *event_id)
{
    if (event_id && *event_id && strlen(event_id) <= CALL_EVENT_ID_MAX)
        return true;
    mistake(outcome, "the provider's id of an event has 1 to 900 bytes",
            event_id ? event_id : "");
    return false;
}

struct sb_json *sb_fact_once(struct sb_outcome *outcome, const char *type,
                             const char *key, const char *event_id)
{
    return event_id_ok(outcome, event_id) ? own_fact(outcome, type, key, event_id) : NULL;
}

/* An integration that is named as its connector shares its names with the operations:
 * these are not the provider's to say. */
static bool is_operations(const struct integration *integration, const char *type)
{
    static const char *const ends[] = {".requested", ".succeeded", ".failed"};
    const struct sb_provider tables =
        provider_tables(integration->connector, integration->provider);

    if (strcmp(integration->name, integration->connector->name) != 0)
        return false;
    for (const struct sb_operation *o = tables.operations; o && o->name; o++)
        for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
            size_t n = strlen(o->name);
            if (strncmp(type, o->name, n) == 0 && strcmp(type + n, ends[i]) == 0)
                return true;
        }
    return false;
}

/* The name under which it is filed; NULL, with the mistake noted, when it can be under
 * none. */
static char *found_type(struct sb_outcome *outcome, const char *type)
{
    char *full = mem_format("%s.%s", outcome->integration->name, type ? type : "");

    if (text_is_type(full, strlen(full)) && !is_operations(outcome->integration, type))
        return full;
    mistake(outcome, "the type of a provider's event cannot be stored", type ? type : "");
    free(full);
    return NULL;
}

/* One that is too long is filed without its data: what cannot be stored must not hold up
 * what comes after it. */
static struct buf found_text(const struct sb_json *data)
{
    struct buf text = BUF_NULL;

    if (data)
        js_write((const struct json *)data, 0, &text);
    if (text.len > RECORD_DATA_MAX - RECORD_ATTRS_MAX) {
        buf_clear(&text);
        buf_text(&text, "{\"left_out\":\"the event's data was over 1 MiB\"}");
    }
    return text;
}

static bool has_room(const struct sb_outcome *outcome, size_t n)
{
    return outcome->n_facts < CALL_FACTS_MAX &&
           (!outcome->found_bytes || outcome->found_bytes + n <= CALL_FOUND_MAX);
}

bool sb_found(struct sb_outcome *outcome, const char *event_id, const char *type,
              const struct sb_json *data)
{
    char *full = event_id_ok(outcome, event_id) ? found_type(outcome, type) : NULL;

    if (!full)
        return false;
    struct buf text = found_text(data);
    if (!has_room(outcome, text.len)) {
        buf_fini(&text);
        free(full);
        return false;
    }
    struct call_fact *fact = add_fact(outcome, event_id);
    fact->type = full;
    fact->text = text;
    outcome->found_bytes += text.len + sizeof(struct record) + CALL_EVENT_ID_MAX;
    return true;
}
