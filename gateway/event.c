/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/body.h"
#include "gateway/draft.h"
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
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/ledger/ledger.h"
#include "proto/record.h"

enum { EVENTS_MAX = 8192, WHY_SIZE = 256 };

/* A request between reading and commit. */
struct intake {
    struct pending pending;
    struct gateway *gateway;
    struct buf records;
    char **ids;          /* as given */
    uint8_t (*keys)[16]; /* as stored */
    uint32_t n, cap;
    size_t total; /* events of the request */
    char why[WHY_SIZE];
};

static bool is_request(const struct draft *d)
{
    static const char end[] = ".requested";
    size_t n = strlen(d->type), m = sizeof(end) - 1;
    return n > m && !strcmp(d->type + n - m, end);
}

/* Under an Idempotency-Key the whole request is to be the same: in a batch that has
 * become shorter or longer each event is another than before. */
static uint64_t keyed_hash(const struct intake *in, const struct draft *d)
{
    const uint64_t parts[] = {draft_content_hash(d), in->total};
    return in->total > 1 ? hash64(parts, sizeof(parts)) : parts[0];
}

/* The default key is (source, id); an Idempotency-Key of the request takes its place,
 * numbered in a batch. */
static void add_key(struct intake *in, const struct draft *d, const char *given)
{
    struct buf key = {0};
    if (given) {
        buf_text(&key, given);
        if (in->n > 0)
            buf_format(&key, "#%u", in->n);
    } else {
        buf_add(&key, d->source, strlen(d->source) + 1);
        buf_text(&key, d->id);
    }
    _free_ char *scope =
        mem_format("%s:%s", given ? "token" : "ce", in->gateway->caller->name);
    key_add(in->gateway, &in->records, scope, (const char *)key.bytes, key.len,
            given ? keyed_hash(in, d) : draft_content_hash(d));
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

/* 0 or an error with in->why: may this one be said here, and to whom? */
static unsigned check_address(struct intake *in, const struct draft *d)
{
    const struct config *config = in->gateway->config;
    if (in->n == EVENTS_MAX) {
        snprintf(in->why, sizeof(in->why), "at most %d events in one request",
                 EVENTS_MAX);
        return ERR_bad_request;
    }
    if (is_reserved(config, d->type)) {
        snprintf(in->why, sizeof(in->why),
                 "event %u: what begins with `%.*s.` is not an application's to say",
                 in->n, (int)strcspn(d->type, "."), d->type);
        return ERR_reserved_type;
    }
    if (d->integration && !is_request(d)) {
        snprintf(in->why, sizeof(in->why),
                 "event %u: `integration` addresses a request, whose type ends in "
                 ".requested",
                 in->n);
        return ERR_bad_request;
    }
    if (d->integration && !config_integration(config, d->integration)) {
        snprintf(in->why, sizeof(in->why), "event %u: no integration is named %.64s",
                 in->n, d->integration);
        return ERR_no_integration;
    }
    return 0;
}

/* 0 or an error with in->why. */
static unsigned add_event(struct intake *in, const struct draft *d, const char *given_key)
{
    unsigned error = check_address(in, d);
    uint8_t id[16];
    if (error)
        return error;
    bool is_foreign = !id_parse(d->id, id);
    if (is_foreign)
        id_foreign(d->id, id);
    struct buf attrs = {0};
    draft_write_attrs(d, is_foreign, &attrs);
    add_key(in, d, given_key);
    struct record_parts parts = {
        .kind = is_request(d) ? RECORD_REQUEST : RECORD_FACT,
        .flags = (uint8_t)((is_foreign ? RECORD_FOREIGN_ID : 0) |
                           (d->is_json ? RECORD_JSON : 0)),
        .type = d->type,
        .id = id,
        .key = d->key,
        .time_us = d->time_us,
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

/* Takes the draft, read or not, over. */
static unsigned take_draft(struct intake *in, struct draft *d, bool is_read,
                           const char *given_key)
{
    unsigned error = is_read ? add_event(in, d, given_key) : ERR_bad_request;
    if (!is_read)
        snprintf(in->why, sizeof(in->why), "event %u: %s", in->n, d->why);
    draft_fini(d);
    return error;
}

static unsigned read_json(struct intake *in, struct http_request *request, bool is_batch,
                          const char *given_key)
{
    struct slice_text raw, element;
    raw.text = http_body(request, &raw.len);
    struct json *body = body_json(request, in->why, sizeof(in->why));
    unsigned error = 0;
    if (!body) {
        error = ERR_bad_request;
    } else if (is_batch && !js_is_array(body)) {
        snprintf(in->why, sizeof(in->why), "a batch is a JSON array of events");
        error = ERR_bad_request;
    } else if (!is_batch) {
        struct draft draft = {0};
        error = take_draft(in, &draft, draft_read_json(&draft, body, raw, request),
                           given_key);
    }
    size_t at = 0;
    in->total = is_batch ? js_count(body) : 1;
    for (size_t i = 0; is_batch && !error && slice_element(raw, &at, &element); i++) {
        struct draft draft = {0};
        bool is_read = draft_read_json(&draft, js_at(body, i), element, request);
        error = take_draft(in, &draft, is_read, given_key);
    }
    js_free(body);
    return error;
}

static unsigned read_headers(struct intake *in, struct http_request *request,
                             const char *given_key)
{
    struct draft draft = {0};
    bool is_read = draft_read_headers(&draft, request);
    return take_draft(in, &draft, is_read, given_key);
}

static unsigned read_events(struct intake *in, struct http_request *request)
{
    const char *type = http_header(request, "Content-Type"),
               *key = http_header(request, "Idempotency-Key");
    if (!header_is_key(key)) {
        snprintf(in->why, sizeof(in->why), "Idempotency-Key has 1 to 255 bytes of UTF-8");
        return ERR_bad_request;
    }
    if (header_is_media(type, "application/cloudevents-batch+json"))
        return read_json(in, request, /* is_batch= */ true, key);
    if (header_is_media(type, "application/cloudevents+json"))
        return read_json(in, request, /* is_batch= */ false, key);
    if (http_header(request, "ce-specversion"))
        return read_headers(in, request, key);
    snprintf(in->why, sizeof(in->why),
             "send application/cloudevents+json, application/cloudevents-batch+json, or "
             "ce-* headers");
    return ERR_unsupported_media;
}

static bool take_id(void *user, const struct ledger_row *row)
{
    *(struct json **)user = js_from_text(row->id_text, strlen(row->id_text));
    return false;
}

/* The id of the first one as its sender gave it: the log knows. */
static struct json *first_id(struct gateway *gateway, const uint8_t id[16])
{
    struct json *found = NULL;
    struct ledger *ledger = gateway_ledger(gateway, (char[128]){0}, 128);
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    if (ledger)
        ledger_find(ledger, text, take_id, &found);
    return found ? found : js_from_text(text, strlen(text));
}

static struct json *id_of(const struct intake *in, uint32_t i,
                          const struct verdict *verdict)
{
    if (verdict && memcmp(verdict->first_id, in->keys[i], 16) != 0)
        return first_id(in->gateway, verdict->first_id);
    return js_from_text(in->ids[i], strlen(in->ids[i]));
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
