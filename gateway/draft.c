/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/draft.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/cloudevent.h"
#include "gateway/header.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/scan.h"
#include "lib/base/text.h"
#include "lib/base/trace.h"
#include "lib/http/server.h"
#include "proto/attrs.h"

enum { NAME_MAX_LEN = 64 };

static bool wrong(struct draft *d, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static bool wrong(struct draft *d, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(d->why, sizeof(d->why), format, args);
    va_end(args);
    return false;
}

static char **field_of(struct draft *d, const char *name)
{
    const struct {
        const char *name;
        char **field;
    } fields[] = {
        {"specversion", &d->specversion},
        {"id", &d->id},
        {"source", &d->source},
        {"type", &d->type},
        {"subject", &d->subject},
        {"time", &d->time},
        {"dataschema", &d->schema},
        {"datacontenttype", &d->content_type},
        {"key", &d->key},
        {"partitionkey", &d->key},
        {"integration", &d->integration},
        {"service", &d->service},
        {"traceparent", &d->traceparent},
        {"tracestate", &d->tracestate},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (!strcmp(name, fields[i].name))
            return fields[i].field;
    return NULL;
}

void draft_fini(struct draft *d)
{
    char *texts[] = {d->specversion, d->id,          d->source,  d->type,
                     d->subject,     d->time,        d->schema,  d->content_type,
                     d->key,         d->integration, d->service, d->traceparent,
                     d->tracestate};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        free(texts[i]);
    buf_fini(&d->extensions);
    buf_fini(&d->data);
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = mem_text(text);
}

static bool set_once(struct draft *d, const char *name, char **field, const char *text)
{
    if (*field)
        return wrong(d, "the attribute `%s` is there twice%s", name,
                     field == &d->key ? " (`key` and `partitionkey` are one)" : "");
    *field = mem_text(text);
    return true;
}

/* CloudEvents: lower-case letters and digits. What this system says of an event is not
 * the sender's to say. */
static bool check_extension(struct draft *d, const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
    if (n == 0 || n > NAME_MAX_LEN || name[n])
        return wrong(d, "the attribute `%.64s` is not named with 1 to 64 of a-z and 0-9",
                     name);
    return !cloudevent_is_ours(name) ||
           wrong(d, "the attribute `%s` is this system's to say, not the sender's", name);
}

/* No type at all: JSON is the default of CloudEvents. */
static bool is_json_type(const char *type)
{
    return !type || cloudevent_is_json(type);
}

static bool is_json(const struct buf *data)
{
    return data->len > 0 && scan_check((const char *)data->bytes, data->len);
}

/* --- the whole --- */

/* The sender's own if it is as the standard says, else the request's, else none. */
static void settle_trace(struct draft *d, const struct http_request *request)
{
    if (trace_is_parent(d->traceparent)) {
        if (!trace_is_state(d->tracestate))
            set_text(&d->tracestate, NULL);
        return;
    }
    set_text(&d->traceparent, request ? header_traceparent(request) : NULL);
    set_text(&d->tracestate, request ? header_tracestate(request) : NULL);
}

static bool check(struct draft *d)
{
    if (!d->specversion || strcmp(d->specversion, "1.0") != 0)
        return wrong(d, "specversion must be 1.0");
    if (!d->id || !*d->id || !d->source || !*d->source)
        return wrong(d, "id and source must be there and not be empty");
    if (!d->type || !text_is_type(d->type, strlen(d->type)))
        return wrong(d, "type must be 1 to 200 letters, digits, _ and -, in segments "
                        "with dots between");
    if (d->time && !text_parse_time(d->time, &d->time_us))
        return wrong(d, "time is not of RFC 3339, or before 1970");
    if (d->integration && !text_is_name(d->integration))
        return wrong(d, "integration is not a name");
    if (!header_is_key(d->key))
        return wrong(d, "the ordering key (partitionkey) has 1 to %d bytes",
                     HEADER_KEY_MAX);
    return true;
}

/* --- binary: attributes in headers --- */

/* What stands in double quotes, its backslashes resolved, else all of it; then a round of
 * %XX (CloudEvents, HTTP binding 3.1.3.2). */
static char *unescape(const char *text)
{
    struct buf plain = {0}, out = {0};
    size_t n = strlen(text);
    bool is_quoted = n >= 2 && text[0] == '"' && text[n - 1] == '"';
    for (size_t i = is_quoted; i < n - is_quoted; i++) {
        i += is_quoted && text[i] == '\\' && i + 2 < n;
        buf_add(&plain, text + i, 1);
    }
    for (const char *at = buf_str(&plain); *at; at++) {
        struct buf byte = {0};
        if (*at == '%' && at[1] && at[2] && text_parse_hex(at + 1, 2, &byte) &&
            byte.bytes[0]) {
            buf_add(&out, byte.bytes, 1);
            at += 2;
        } else {
            buf_add(&out, at, 1);
        }
        buf_fini(&byte);
    }
    char *copy = mem_text(buf_str(&out));
    buf_fini(&plain);
    buf_fini(&out);
    return copy;
}

struct header_walk {
    struct draft *draft;
    bool good;
};

static bool take_attribute(struct draft *d, const char *name, const char *value)
{
    char **field = field_of(d, name);
    _free_ char *text = unescape(value);
    if (!scan_is_utf8(text, strlen(text)))
        return wrong(d, "the attribute `%.64s` is not UTF-8", name);
    if (field)
        return set_once(d, name, field, text);
    if (!check_extension(d, name))
        return false;
    if (attrs_find_named(d->extensions.bytes, d->extensions.len, name,
                         &(struct attr_value){0}))
        return wrong(d, "the attribute `%s` is there twice", name);
    attrs_named_text(&d->extensions, name, text);
    return true;
}

static void take_header(void *user, const char *name, const char *value)
{
    struct header_walk *walk = user;
    char lower[NAME_MAX_LEN + 2]; /* a name that is too long stays too long */
    if (strncasecmp(name, "ce-", 3) != 0 || !walk->good)
        return;
    snprintf(lower, sizeof(lower), "%s", name + 3);
    for (char *c = lower; *c; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c | 32 : *c);
    walk->good = take_attribute(walk->draft, lower, value);
}

bool draft_read_headers(struct draft *d, const struct http_request *request)
{
    struct header_walk walk = {.draft = d, .good = true};
    const char *type = http_header(request, "Content-Type");
    size_t n;
    const void *body = http_body(request, &n);
    attrs_begin(&d->extensions);
    http_each_header(request, take_header, &walk);
    if (!walk.good)
        return false;
    set_text(&d->content_type, type && scan_is_utf8(type, strlen(type)) ? type : NULL);
    settle_trace(d, request);
    buf_add(&d->data, body, n);
    d->is_json = is_json_type(d->content_type) && is_json(&d->data);
    if (type && n > 0 && !d->is_json && is_json_type(d->content_type))
        return wrong(d, "Content-Type says that the data is JSON, and it is not");
    return check(d);
}

/* --- JSON --- */

static bool take_base64(struct draft *d, const struct json *encoded)
{
    const char *text = js_text(encoded, NULL, NULL);
    if (!text || !text_parse_base64(text, strlen(text), &d->data))
        return wrong(d, "data_base64 is not base64");
    d->is_json = is_json_type(d->content_type) && is_json(&d->data);
    return true;
}

static bool take_data(struct draft *d, const struct json *event, struct slice_text raw)
{
    const struct json *data = js_get(event, "data"),
                      *encoded = js_get(event, "data_base64");
    struct slice_text bytes;
    if (data && encoded)
        return wrong(d, "there is `data` or `data_base64`, not both");
    if (encoded)
        return take_base64(d, encoded);
    if (!data)
        return true;
    if (!is_json_type(d->content_type) && js_is_text(data)) {
        buf_text(&d->data, js_text(data, NULL, ""));
        return true;
    }
    d->is_json = true;
    if (slice_member(raw, "data", &bytes))
        buf_add(&d->data, bytes.text, bytes.len);
    return true;
}

static bool take_extension(struct draft *d, const char *name, const struct json *value)
{
    if (!check_extension(d, name))
        return false;
    if (js_is_text(value))
        attrs_named_text(&d->extensions, name, js_text(value, NULL, ""));
    else if (js_is_int(value))
        attrs_named_int(&d->extensions, name, js_int(value, NULL, 0));
    else if (js_is_bool(value))
        attrs_named_bool(&d->extensions, name, js_bool(value, NULL, false));
    else
        return wrong(d, "the attribute `%s` is neither text nor whole number nor boolean",
                     name);
    return true;
}

static bool take_member(struct draft *d, const char *name, const struct json *value)
{
    char **field = field_of(d, name);
    if (!strcmp(name, "data") || !strcmp(name, "data_base64") || js_is_null(value))
        return true;
    if (!field)
        return take_extension(d, name, value);
    if (!js_is_text(value))
        return wrong(d, "the attribute `%s` must be a text", name);
    return set_once(d, name, field, js_text(value, NULL, ""));
}

bool draft_read_json(struct draft *d, const struct json *event, struct slice_text raw,
                     const struct http_request *request)
{
    if (!js_is_object(event))
        return wrong(d, "an event is a JSON object");
    attrs_begin(&d->extensions);
    void *cursor = NULL;
    const char *name;
    do {
        const struct json *value = js_next(event, &cursor, &name);
        if (value && !take_member(d, name, value))
            return false;
    } while (cursor);
    settle_trace(d, request);
    return take_data(d, event, raw) && check(d);
}

/* --- what is made of it --- */

/* JSON's own type is not stored: it is what a reader assumes. */
static const char *stored_type(const struct draft *d)
{
    bool is_plain = d->content_type && !strcasecmp(d->content_type, "application/json");
    return d->is_json && is_plain ? NULL : d->content_type;
}

void draft_write_attrs(const struct draft *d, bool is_foreign, struct buf *out)
{
    attrs_begin(out);
    attrs_text(out, ATTR_ID, is_foreign ? d->id : NULL);
    attrs_text(out, ATTR_SOURCE, d->source);
    attrs_text(out, ATTR_SUBJECT, d->subject);
    attrs_text(out, ATTR_CONTENT_TYPE, stored_type(d));
    attrs_text(out, ATTR_SCHEMA, d->schema);
    attrs_text(out, ATTR_TRACEPARENT, d->traceparent);
    attrs_text(out, ATTR_TRACESTATE, d->tracestate);
    attrs_text(out, ATTR_SERVICE, d->service);
    attrs_join(out, d->extensions.bytes, d->extensions.len);
}

uint64_t draft_content_hash(const struct draft *d)
{
    struct buf all = {0};
    const char *texts[] = {d->type, d->subject, d->key, d->integration};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        buf_add(&all, texts[i] ? texts[i] : "", texts[i] ? strlen(texts[i]) + 1 : 1);
    buf_add(&all, d->data.bytes, d->data.len);
    uint64_t hash = hash64(all.bytes, all.len);
    buf_fini(&all);
    return hash;
}
