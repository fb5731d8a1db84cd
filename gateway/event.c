/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/gateway.h"
#include "gateway/header.h"
#include "gateway/hold.h"
#include "gateway/key.h"
#include "gateway/problem.h"
#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/slice.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "proto/attrs.h"
#include "proto/record.h"

enum { EVENTS_MAX = 8192, NAME_MAX_LEN = 64, WHY_SIZE = 256 };

/* One event as it is read. Texts are owned; extensions are a finished msgpack map. */
struct draft {
    char *specversion, *id, *source, *type, *subject, *time, *schema, *content_type, *key,
        *integration, *service, *traceparent, *tracestate;
    struct buf extensions, data;
    bool is_json;
};

/* A request between reading and commit. */
struct intake {
    struct pending pending;
    struct gateway *gateway;
    struct buf records;
    char **ids;          /* as given */
    uint8_t (*keys)[16]; /* as stored */
    uint32_t n, cap;
    char why[WHY_SIZE];
};

/* --- a draft --- */

static char **draft_field(struct draft *d, const char *name)
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

static void draft_fini(struct draft *d)
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

/* CloudEvents: lower-case letters and digits. Ours may not be overwritten. */
static bool is_extension(const char *name)
{
    static const char *const ours[] = {"kind", "status", "timestamp", "cause", "attempt",
                                       "cost", "seq",    "data",      NULL};
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
    if (n == 0 || n > NAME_MAX_LEN || name[n])
        return false;
    for (size_t i = 0; ours[i]; i++)
        if (!strcmp(name, ours[i]))
            return false;
    return true;
}

static void set_text(char **field, const char *text)
{
    free(*field);
    *field = mem_text(text);
}

static bool is_json_type(const char *type)
{
    if (!type)
        return true; /* the default of CloudEvents in JSON */
    size_t n = strcspn(type, "; \t");
    return (n == 16 && !strncasecmp(type, "application/json", 16)) ||
           (n > 5 && !strncasecmp(type + n - 5, "+json", 5)) ||
           (n == 9 && !strncasecmp(type, "text/json", 9));
}

/* --- binary: attributes in headers --- */

struct header_walk {
    struct draft *draft;
    const char *why;
};

/* A copy without %XX (CloudEvents, HTTP binding 3.1.3.2). */
static char *unescape(const char *text)
{
    struct buf out = {0};
    for (; *text; text++) {
        struct buf byte = {0};
        if (*text == '%' && text[1] && text[2] && text_parse_hex(text + 1, 2, &byte) &&
            byte.bytes[0]) {
            buf_add(&out, byte.bytes, 1);
            text += 2;
        } else {
            buf_add(&out, text, 1);
        }
        buf_fini(&byte);
    }
    char *copy = mem_text(buf_str(&out));
    buf_fini(&out);
    return copy;
}

static void take_header(void *user, const char *name, const char *value)
{
    struct header_walk *walk = user;
    char lower[NAME_MAX_LEN + 4];
    size_t n = strlen(name);
    if (strncasecmp(name, "ce-", 3) != 0)
        return;
    if (n >= sizeof(lower)) {
        walk->why = "an extension's name is over 64 characters";
        return;
    }
    for (size_t i = 0; i <= n - 3; i++)
        lower[i] = (char)(name[i + 3] >= 'A' && name[i + 3] <= 'Z' ? name[i + 3] | 32
                                                                   : name[i + 3]);
    _free_ char *text = unescape(value);
    char **field = draft_field(walk->draft, lower);
    if (field)
        set_text(field, text);
    else if (is_extension(lower))
        attrs_named_text(&walk->draft->extensions, lower, text);
    else
        walk->why = "an extension's name is not of lower-case letters and digits, or is "
                    "one of ours";
}

static const char *read_binary(struct http_request *request, struct draft *d)
{
    struct header_walk walk = {.draft = d};
    size_t n;
    const void *body = http_body(request, &n);
    attrs_begin(&d->extensions);
    http_each_header(request, take_header, &walk);
    set_text(&d->content_type, http_header(request, "Content-Type"));
    if (!d->traceparent) {
        set_text(&d->traceparent, header_traceparent(request));
        set_text(&d->tracestate, header_tracestate(request));
    }
    buf_add(&d->data, body, n);
    d->is_json = n > 0 && is_json_type(d->content_type);
    struct json *check = d->is_json ? js_parse(body, n, (char[64]){0}, 64) : NULL;
    if (d->is_json && !check)
        return "the data is said to be JSON and is not";
    js_free(check);
    return walk.why;
}

/* --- structured: one JSON object --- */

static const char *take_data(struct draft *d, const struct json *event,
                             struct slice_text raw)
{
    const struct json *data = js_get(event, "data");
    const char *encoded = js_text(event, "data_base64", NULL);
    struct slice_text bytes;
    if (encoded)
        return text_parse_base64(encoded, strlen(encoded), &d->data)
                   ? NULL
                   : "data_base64 is not base64";
    if (!data)
        return NULL;
    if (!is_json_type(d->content_type) && js_is_text(data)) {
        buf_text(&d->data, js_text(data, NULL, ""));
        return NULL;
    }
    d->is_json = true;
    if (slice_member(raw, "data", &bytes))
        buf_add(&d->data, bytes.text, bytes.len);
    return NULL;
}

static const char *take_member(struct draft *d, const char *name,
                               const struct json *value)
{
    char **field = draft_field(d, name);
    if (!strcmp(name, "data") || !strcmp(name, "data_base64") || js_is_null(value))
        return NULL;
    if (field && !js_is_text(value))
        return "an attribute that must be text is not";
    if (field)
        set_text(field, js_text(value, NULL, ""));
    else if (!is_extension(name))
        return "an extension's name is not of lower-case letters and digits, or is one "
               "of ours";
    else if (js_is_text(value))
        attrs_named_text(&d->extensions, name, js_text(value, NULL, ""));
    else if (js_is_int(value))
        attrs_named_int(&d->extensions, name, js_int(value, NULL, 0));
    else if (js_is_bool(value))
        attrs_named_bool(&d->extensions, name, js_bool(value, NULL, false));
    else
        return "an extension is neither text nor whole number nor boolean";
    return NULL;
}

static const char *read_structured(struct draft *d, const struct json *event,
                                   struct slice_text raw)
{
    if (!js_is_object(event))
        return "an event is a JSON object";
    attrs_begin(&d->extensions);
    void *cursor = NULL;
    const char *name, *why = NULL;
    do {
        const struct json *value = js_next(event, &cursor, &name);
        if (value)
            why = take_member(d, name, value);
    } while (cursor && !why);
    return why ? why : take_data(d, event, raw);
}

/* --- a record of a draft --- */

static const char *check(const struct draft *d, uint64_t *ret_time_us)
{
    if (!d->specversion || strcmp(d->specversion, "1.0") != 0)
        return "specversion must be 1.0";
    if (!d->id || !*d->id || !d->source || !*d->source)
        return "id and source must be there and not be empty";
    if (!d->type || !text_is_type(d->type, strlen(d->type)))
        return "type must be 1 to 200 of a-z 0-9 _ - in segments with dots between";
    if (d->time && !text_parse_time(d->time, ret_time_us))
        return "time is not of RFC 3339";
    if (d->integration && !text_is_name(d->integration))
        return "integration is not a name";
    return NULL;
}

static bool ends_in(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n > m && !strcmp(text + n - m, end);
}

static void write_attrs(const struct draft *d, bool is_foreign, struct buf *out)
{
    attrs_begin(out);
    attrs_text(out, ATTR_ID, is_foreign ? d->id : NULL);
    attrs_text(out, ATTR_SOURCE, d->source);
    attrs_text(out, ATTR_SUBJECT, d->subject);
    attrs_text(out, ATTR_CONTENT_TYPE, d->is_json ? NULL : d->content_type);
    attrs_text(out, ATTR_SCHEMA, d->schema);
    attrs_text(out, ATTR_TRACEPARENT, d->traceparent);
    attrs_text(out, ATTR_TRACESTATE, d->tracestate);
    attrs_text(out, ATTR_SERVICE, d->service);
    attrs_join(out, d->extensions.bytes, d->extensions.len);
}

/* What must be the same when the same key comes again. */
static uint64_t content_hash(const struct draft *d)
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

/* The default key is (source, id); an Idempotency-Key of the request takes its place,
 * numbered in a batch. */
static void add_key(struct intake *in, const struct draft *d, const char *given)
{
    struct buf key = {0};
    if (given) {
        buf_format(&key, "%s", given);
        if (in->n > 0)
            buf_format(&key, "#%u", in->n);
        _free_ char *scope = mem_format("token:%s", in->gateway->caller->name);
        key_add(in->gateway, &in->records, scope, (const char *)key.bytes, key.len,
                content_hash(d));
    } else {
        _free_ char *scope = mem_format("ce:%s", in->gateway->caller->name);
        buf_add(&key, d->source, strlen(d->source) + 1);
        buf_text(&key, d->id);
        key_add(in->gateway, &in->records, scope, (const char *)key.bytes, key.len,
                content_hash(d));
    }
    buf_fini(&key);
}

static void keep_id(struct intake *in, const char *text, const uint8_t id[16])
{
    if (in->n == in->cap) {
        in->cap = in->cap ? in->cap * 2 : 4;
        in->ids = mem_resize(in->ids, in->cap * sizeof(*in->ids));
        in->keys = mem_resize(in->keys, in->cap * sizeof(*in->keys));
    }
    in->ids[in->n] = mem_text(text);
    memcpy(in->keys[in->n], id, 16);
    in->n++;
}

/* Types under an integration's name are what its provider signed, `signalbox.` is our own
 * word: the broker believes this process, so it must not pass on an app's claim. */
static bool is_reserved(const struct config *config, const char *type)
{
    size_t n = strcspn(type, ".");

    for (size_t i = 0; i < config->n_integrations; i++) {
        const char *name = config->integrations[i].name;
        if (strlen(name) == n && !memcmp(name, type, n))
            return true;
    }
    return n == strlen("signalbox") && !memcmp(type, "signalbox", n);
}

/* 0 or an error with in->why. */
static unsigned add_event(struct intake *in, const struct draft *d, const char *given_key)
{
    uint64_t time_us = 0;
    const char *why = check(d, &time_us);
    if (why || in->n == EVENTS_MAX) {
        snprintf(in->why, sizeof(in->why), "event %u: %s", in->n,
                 why ? why : "too many events in one request");
        return ERR_bad_request;
    }
    if (is_reserved(in->gateway->config, d->type)) {
        snprintf(in->why, sizeof(in->why), "event %u: %s", in->n, d->type);
        return ERR_reserved_type;
    }
    uint8_t id[16];
    bool is_foreign = !id_parse(d->id, id);
    if (is_foreign)
        id_foreign(d->id, id);
    struct buf attrs = {0};
    write_attrs(d, is_foreign, &attrs);
    add_key(in, d, given_key);
    struct record_parts parts = {
        .kind = ends_in(d->type, ".requested") ? RECORD_REQUEST : RECORD_FACT,
        .flags = (uint8_t)((is_foreign ? RECORD_FOREIGN_ID : 0) |
                           (d->is_json ? RECORD_JSON : 0)),
        .type = d->type,
        .id = id,
        .key = d->key,
        .time_us = time_us,
        .integration = d->integration ? integration_hash(d->integration) : 0,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = d->data.bytes,
        .data_len = d->data.len,
    };
    long at = record_add(&in->records, &parts);
    buf_fini(&attrs);
    if (at < 0) {
        snprintf(in->why, sizeof(in->why),
                 "event %u: data over 1 MiB, or attributes over 32 KiB", in->n);
        return ERR_event_too_large;
    }
    keep_id(in, d->id, id);
    return in->records.len > RECORD_GROUP_MAX ? ERR_batch_too_large : 0;
}

/* --- the request --- */

static void intake_free(struct intake *in)
{
    for (uint32_t i = 0; i < in->n; i++)
        free(in->ids[i]);
    free(in->ids);
    free(in->keys);
    buf_fini(&in->records);
    free(in);
}

static unsigned read_one(struct intake *in, const struct json *event,
                         struct slice_text raw, const char *given_key)
{
    struct draft draft = {0};
    const char *why = read_structured(&draft, event, raw);
    unsigned error = why ? ERR_bad_request : add_event(in, &draft, given_key);
    if (why)
        snprintf(in->why, sizeof(in->why), "event %u: %s", in->n, why);
    draft_fini(&draft);
    return error;
}

static unsigned read_json(struct intake *in, struct http_request *request, bool is_batch,
                          const char *given_key)
{
    struct slice_text raw, element;
    raw.text = http_body(request, &raw.len);
    char why[128];
    struct json *body = js_parse(raw.text, raw.len, why, sizeof(why));
    unsigned error = 0;
    if (!body || (is_batch && !js_is_array(body))) {
        snprintf(in->why, sizeof(in->why), "%s",
                 body ? "a batch is a JSON array of events" : why);
        error = ERR_bad_request;
    } else if (!is_batch) {
        error = read_one(in, body, raw, given_key);
    }
    size_t at = 0;
    for (size_t i = 0; is_batch && !error && slice_element(raw, &at, &element); i++)
        error = read_one(in, js_at(body, i), element, given_key);
    js_free(body);
    return error;
}

static unsigned read_headers(struct intake *in, struct http_request *request,
                             const char *given_key)
{
    struct draft draft = {0};
    const char *why = read_binary(request, &draft);
    unsigned error = why ? ERR_bad_request : add_event(in, &draft, given_key);
    if (why)
        snprintf(in->why, sizeof(in->why), "%s", why);
    draft_fini(&draft);
    return error;
}

static bool is_media(const char *type, const char *wanted)
{
    size_t n = strlen(wanted);
    return type && !strncasecmp(type, wanted, n) && (!type[n] || strchr("; \t", type[n]));
}

static unsigned read_events(struct intake *in, struct http_request *request)
{
    const char *type = http_header(request, "Content-Type"),
               *key = http_header(request, "Idempotency-Key");
    if (key && (!*key || strlen(key) > HEADER_KEY_MAX)) {
        snprintf(in->why, sizeof(in->why), "Idempotency-Key has 1 to 255 characters");
        return ERR_bad_request;
    }
    if (is_media(type, "application/cloudevents-batch+json"))
        return read_json(in, request, /* is_batch= */ true, key);
    if (is_media(type, "application/cloudevents+json"))
        return read_json(in, request, /* is_batch= */ false, key);
    if (http_header(request, "ce-specversion"))
        return read_headers(in, request, key);
    snprintf(in->why, sizeof(in->why),
             "send application/cloudevents+json, application/cloudevents-batch+json, or "
             "ce-* headers");
    return ERR_unsupported_media;
}

static struct json *id_of(const struct intake *in, uint32_t i,
                          const struct verdict *verdict)
{
    char text[ID_TEXT_SIZE];
    if (!verdict || !memcmp(verdict->first_id, in->keys[i], 16))
        return js_from_text(in->ids[i], strlen(in->ids[i]));
    id_format(verdict->first_id, text);
    return js_from_text(text, strlen(text));
}

/* Those that conflict were not stored: null in their place. */
static void reply_committed(const struct intake *in, const struct hold_result *result)
{
    struct json *ids = js_array();
    bool conflicts = false;
    for (uint32_t i = 0; i < in->n; i++) {
        const struct verdict *verdict = result->verdicts ? result->verdicts[i] : NULL;
        bool is_conflict = verdict && verdict->code == VERDICT_CONFLICT;
        conflicts |= is_conflict;
        js_push(ids, is_conflict ? js_null() : id_of(in, i, verdict));
    }
    struct json *body = js_set(js_object(), "ids", ids);
    if (conflicts)
        problem_reply_with(
            in->pending.request, ERR_idempotency_conflict,
            in->n > 1 ? "the events whose id is null were not stored" : NULL, 0, body);
    else
        answer_json(in->pending.request, 202, body, NULL);
}

static void on_committed(void *user, const struct hold_result *result)
{
    struct intake *in = user;
    gateway_note_refusal(in->gateway, result->error);
    if (in->pending.request && result->error)
        problem_reply(in->pending.request, result->error, result->detail,
                      result->retry_after_ms);
    else if (in->pending.request)
        reply_committed(in, result);
    intake_free(in);
}

void event_publish(struct gateway *gateway, struct http_request *request,
                   const char *const *params)
{
    (void)params;
    struct intake *in = mem_alloc(sizeof(*in));
    in->gateway = gateway;
    in->pending.request = request;
    unsigned error = read_events(in, request);
    if (!error && in->n == 0) { /* an empty batch */
        answer_json(request, 202, js_set(js_object(), "ids", js_array()), NULL);
        intake_free(in);
        return;
    }
    if (!error && !hold_add(gateway->hold, in->records.bytes, in->records.len, in->n,
                            /* waits= */ false, on_committed, in))
        error = ERR_overloaded;
    if (!error) {
        http_set_user(request, in);
        return;
    }
    problem_reply(request, error, in->why[0] ? in->why : NULL, 0);
    intake_free(in);
}
