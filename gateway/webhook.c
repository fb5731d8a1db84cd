/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The order is the rule: find the endpoint, verify the raw bytes, only then parse, then
 * commit, only then answer. What is refused leaves a line for the operator and a fact in
 * the log, both limited in number; the sender gets no reason. */
#include "gateway/webhook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/certificate.h"
#include "gateway/content.h"
#include "gateway/endpoint.h"
#include "gateway/gateway.h"
#include "gateway/header.h"
#include "gateway/hold.h"
#include "gateway/key.h"
#include "gateway/problem.h"
#include "gateway/refusal.h"
#include "gateway/scheme_body.h"
#include "gateway/scheme_explain.h"
#include "gateway/scheme_key.h"
#include "gateway/subscription.h"
#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/kill.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "lib/sdk/used.h"
#include "proto/attrs.h"
#include "proto/record.h"

enum { SHUT_RETRY_MS = 60000 };

/* A request between verification and commit. */
struct arrival {
    struct pending pending;
    struct gateway *gateway;
    struct endpoint *endpoint;
    struct buf records;
    uint8_t (*ids)[16];
    uint32_t n, cap;
    unsigned error;     /* why no further event was added */
    char *subscription; /* to be confirmed once it is committed; NULL: none */
};

int webhook_open(struct gateway *gateway, const struct secrets *secrets, char *error,
                 size_t error_size)
{
    gateway->certificates = certificates_new(gateway->loop);
    gateway->subscriptions = subscriptions_new(gateway->loop);
    return endpoints_open(gateway, secrets, error, error_size);
}

void webhook_close(struct gateway *gateway)
{
    refusal_close(gateway);
    certificates_free(gateway->certificates);
    subscriptions_free(gateway->subscriptions);
    gateway->certificates = NULL;
    gateway->subscriptions = NULL;
    endpoints_close(gateway);
}

/* --- verifying --- */

static const char *sole_header(const struct http_request *request, const char *name,
                               unsigned *repeats)
{
    if (!name)
        return NULL;
    if (http_header_count(request, name) > 1)
        (*repeats)++;
    return http_header(request, name);
}

static bool is_form(const struct http_request *request)
{
    return header_is_media(http_header(request, "Content-Type"),
                           "application/x-www-form-urlencoded");
}

/* A request whose certificate is being fetched. */
struct waiting {
    struct pending pending;
    struct gateway *gateway;
    struct endpoint *endpoint;
};

static void handle(struct gateway *gateway, struct endpoint *e,
                   struct http_request *request, bool may_wait);

static void on_certificate(void *user)
{
    struct waiting *waiting = user;
    struct http_request *request = waiting->pending.request;
    if (request) {
        http_set_user(request, NULL);
        handle(waiting->gateway, waiting->endpoint, request, /* may_wait= */ false);
    }
    free(waiting);
}

/* Set the certificate that the request names. True when the request waits for it. */
static bool find_certificate(struct gateway *gateway, struct endpoint *e,
                             struct http_request *request, bool may_wait,
                             struct scheme_input *input)
{
    enum scheme_certificate whose = e->scheme->certificate;
    struct scheme_input named = *input;
    struct scheme_body body = {0};
    bool is_read = !e->scheme->in_body || scheme_body_read(&body, e->scheme, &named);
    const char *url = is_read ? named.certificate_url : NULL;
    bool waits = false;
    if (url && certificate_url_fits(whose, url) &&
        !certificates_find(gateway->certificates, url, &input->certificate,
                           &input->certificate_len) &&
        may_wait) {
        struct waiting *waiting = mem_alloc(sizeof(*waiting));
        *waiting = (struct waiting){{request}, gateway, e};
        waits = certificates_fetch(gateway->certificates, whose, url, on_certificate,
                                   waiting);
        if (waits)
            http_set_user(request, waiting);
        else
            free(waiting);
    }
    scheme_body_fini(&body);
    return waits;
}

static void read_headers(const struct scheme *scheme, const struct http_request *request,
                         struct scheme_input *input)
{
    input->method = http_method(request);
    input->is_form = is_form(request);
    input->body = http_body(request, &input->body_len);
    if (scheme->in_body)
        return;
    input->signature = sole_header(request, scheme->signature_header, &input->repeats);
    input->time = sole_header(request, scheme->time_header, &input->repeats);
    input->id = sole_header(request, scheme->id_header, &input->repeats);
    input->certificate_url =
        sole_header(request, scheme->certificate_header, &input->repeats);
    input->algorithm = sole_header(request, scheme->algorithm_header, &input->repeats);
}

/* A provider whose certificate cannot be had now comes again: it may be genuine. */
static void refuse(struct gateway *gateway, struct endpoint *e,
                   struct http_request *request, const struct scheme_verdict *verdict,
                   size_t body_len)
{
    char why[REFUSAL_WHY_SIZE];
    scheme_explain(e->scheme, verdict, e->n_keys, body_len, why, sizeof(why));
    refusal_note(gateway, e, http_remote(request), why, REFUSAL_UNVERIFIED);
    if (verdict->result == SCHEME_CERTIFICATE)
        problem_reply(request, ERR_unavailable, NULL, CERTIFICATE_RETRY_US / 1000);
    else
        problem_reply(request, ERR_signature_invalid, NULL, 0);
}

/* An endpoint's address with the request's query, to be freed; NULL when it has none. */
static char *url_of(const char *address, const struct http_request *request)
{
    const char *query = strchr(http_target(request), '?');
    return address ? mem_format("%s%s", address, query ? query : "") : NULL;
}

/* Once a minute for each key, not for each webhook. */
static void note_match(struct gateway *gateway, struct endpoint *e, size_t key)
{
    const char *origin = e->origins[0] ? e->origins[key] : NULL;
    used_tell(gateway->peer, loop_steady_us(gateway->loop), &e->used[key],
              e->integration_name, e->use, origin);
}

/* The key that matched; NULL when the request was refused and answered, or waits. */
static const struct scheme_key *verify(struct gateway *gateway, struct endpoint *e,
                                       struct http_request *request, bool may_wait)
{
    struct scheme_input input = {0};
    struct scheme_verdict verdict;
    KILL_POINT(gateway_took_webhook);
    _free_ char *url = url_of(e->urls[0], request), *other = url_of(e->urls[1], request);
    input.urls[0] = url;
    input.urls[1] = other;
    read_headers(e->scheme, request, &input);
    if (e->scheme->certificate && find_certificate(gateway, e, request, may_wait, &input))
        return NULL;
    scheme_verify(e->scheme, e->keys, e->n_keys, e->tolerance_s,
                  loop_wall_us(gateway->loop) / 1000000, &input, &verdict);
    if (verdict.result == SCHEME_OK) {
        KILL_POINT(gateway_verified);
        note_match(gateway, e, (size_t)verdict.key);
        return &e->keys[verdict.key];
    }
    refuse(gateway, e, request, &verdict, input.body_len);
    return NULL;
}

/* --- committing --- */

static void arrival_free(struct arrival *arrival)
{
    buf_fini(&arrival->records);
    free(arrival->ids);
    free(arrival->subscription);
    free(arrival);
}

/* Of an event that had come before, the first one's id; of a conflict too: the first one
 * wins. */
static void reply_ids(const struct arrival *arrival, const struct hold_result *result)
{
    char text[ID_TEXT_SIZE];
    struct buf body = {0};
    buf_text(&body, "{\"ids\":[");
    for (uint32_t i = 0; i < arrival->n; i++) {
        const struct verdict *verdict = result->verdicts ? result->verdicts[i] : NULL;
        id_format(verdict ? verdict->first_id : arrival->ids[i], text);
        buf_format(&body, "%s\"%s\"", i ? "," : "", text);
    }
    buf_text(&body, "]}");
    struct http_reply reply = {200, "application/json", body.bytes, body.len, NULL};
    http_reply(arrival->pending.request, &reply);
    buf_fini(&body);
}

/* A verified event that is not taken is never the sender's fault: it is told to come
 * again. */
static void reply_refused(struct arrival *arrival, const struct hold_result *result)
{
    char why[REFUSAL_WHY_SIZE];
    snprintf(why, sizeof(why), "%s: %s", error_info(result->error)->name,
             result->detail ? result->detail : "");
    refusal_note(arrival->gateway, arrival->endpoint,
                 http_remote(arrival->pending.request), why, REFUSAL_NOT_NOW);
    gateway_note_refusal(arrival->gateway, result->error);
    unsigned error = result->error == ERR_not_ready ? ERR_not_ready : ERR_unavailable;
    problem_reply(arrival->pending.request, error, NULL, result->retry_after_ms);
}

static void on_committed(void *user, const struct hold_result *result)
{
    struct arrival *arrival = user;
    KILL_POINT(gateway_heard_durable);
    arrival->endpoint->accepted += !result->error;
    if (arrival->subscription && !result->error)
        subscription_confirm(arrival->gateway->subscriptions, arrival->endpoint->path,
                             arrival->subscription);
    if (arrival->pending.request && result->error)
        reply_refused(arrival, result);
    else if (arrival->pending.request)
        reply_ids(arrival, result);
    KILL_POINT(gateway_answered);
    arrival_free(arrival);
}

static void keep_id(struct arrival *arrival, const uint8_t id[16])
{
    if (arrival->n == arrival->cap) {
        arrival->cap = arrival->cap ? arrival->cap * 2 : 1;
        arrival->ids = mem_resize(arrival->ids, arrival->cap * sizeof(*arrival->ids));
    }
    memcpy(arrival->ids[arrival->n++], id, 16);
}

static bool add_event(void *user, const char *event_id, const char *type_tail,
                      const void *data, size_t data_len)
{
    struct arrival *arrival = user;
    struct endpoint *e = arrival->endpoint;
    bool is_form_body = is_form(arrival->pending.request);
    uint8_t id[16];
    struct buf attrs = {0};
    _free_ char *type = mem_format("%s.%s", e->integration_name, type_tail);
    if (!text_is_type(type, strlen(type)))
        return false;
    id_new(loop_wall_us(arrival->gateway->loop), id);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ENDPOINT, e->path);
    if (e->scheme->is_weak)
        attrs_bool(&attrs, ATTR_WEAK, true);
    attrs_text(&attrs, ATTR_TRACEPARENT, header_traceparent(arrival->pending.request));
    attrs_text(&attrs, ATTR_CONTENT_TYPE,
               is_form_body ? "application/x-www-form-urlencoded" : NULL);
    key_add(arrival->gateway, &arrival->records, e->scope, event_id, strlen(event_id),
            hash64(data, data_len));
    struct record_parts parts = {
        .kind = RECORD_FACT, /* the broker makes it a request when the connector declares
                                it */
        .flags = (uint8_t)(RECORD_WEBHOOK | (is_form_body ? 0 : RECORD_JSON)),
        .type = type,
        .id = id,
        .integration = e->integration,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = data,
        .data_len = data_len,
    };
    if (record_add(&arrival->records, &parts) < 0)
        arrival->error = ERR_event_too_large;
    else if (arrival->records.len > RECORD_GROUP_MAX)
        arrival->error = ERR_batch_too_large;
    buf_fini(&attrs);
    keep_id(arrival, id);
    return arrival->error == 0;
}

/* All events of the body, or none. Takes the arrival over. */
static void commit(struct arrival *arrival, const struct content *content, bool is_read)
{
    struct http_request *request = arrival->pending.request;
    const char *detail = NULL;
    if (!is_read || !content_each(content, add_event, arrival)) {
        if (!arrival->error) {
            arrival->error = ERR_bad_request;
            detail = "the body is not an event";
        }
        refusal_note(
            arrival->gateway, arrival->endpoint, http_remote(request),
            detail ? "verified, but no event: neither JSON nor a form, or nothing stands "
                     "where its scheme has id and type: see the guide to webhooks"
                   : "verified, but its events are too large to be stored together",
            REFUSAL_NO_EVENT);
    } else if (!hold_add(arrival->gateway->hold, arrival->records.bytes,
                         arrival->records.len, arrival->n, /* waits= */ false,
                         on_committed, arrival)) {
        arrival->error = ERR_overloaded;
    }
    if (!arrival->error) {
        KILL_POINT(gateway_published);
        buf_fini(&arrival->records); /* hold has a copy */
        http_set_user(request, arrival);
        return;
    }
    problem_reply(request, arrival->error, detail, 0);
    arrival_free(arrival);
}

static const char *header(void *user, const char *name)
{
    return http_header(user, name);
}

static void parse_and_commit(struct gateway *gateway, struct endpoint *e,
                             struct http_request *request, const struct scheme_key *key)
{
    struct content content = {.scheme = e->scheme,
                              .is_form = is_form(request),
                              .header = header,
                              .user = request};
    content.body = http_body(request, &content.body_len);
    bool is_read = content_read(&content);
    struct buf answer = {0};
    if (is_read && content_handshake(&content, key, &answer)) {
        struct http_reply reply = {200, "application/json", answer.bytes, answer.len,
                                   NULL};
        http_reply(request, &reply);
    } else {
        struct arrival *arrival = mem_alloc(sizeof(*arrival));
        *arrival = (struct arrival){
            .pending.request = request, .gateway = gateway, .endpoint = e};
        if (e->confirms && is_read)
            arrival->subscription = subscription_url(&content);
        commit(arrival, &content, is_read);
    }
    buf_fini(&answer);
    content_fini(&content);
}

static void handle(struct gateway *gateway, struct endpoint *e,
                   struct http_request *request, bool may_wait)
{
    const struct scheme_key *key = verify(gateway, e, request, may_wait);
    if (key)
        parse_and_commit(gateway, e, request, key);
}

void webhook_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params)
{
    struct endpoint *e = endpoint_find(gateway, params[0]);
    const char *coding = http_header(request, "Content-Encoding");
    if (!e) {
        refusal_unknown(gateway, http_target(request), http_remote(request));
        problem_reply(request, ERR_not_found, NULL, 0);
    } else if (e->is_shut) {
        refusal_note(gateway, e, http_remote(request),
                     "no secret of this endpoint is of its scheme's form: see "
                     "WEBHOOK_SECRET_UNFIT at the start; the provider was told to come "
                     "again",
                     REFUSAL_UNVERIFIED);
        problem_reply(request, ERR_unavailable, NULL, SHUT_RETRY_MS);
    } else if (coding && strcasecmp(coding, "identity") != 0) {
        refusal_note(gateway, e, http_remote(request),
                     "its body is compressed (Content-Encoding), which providers do not "
                     "do: a proxy in front did",
                     REFUSAL_UNVERIFIED);
        problem_reply(request, ERR_unsupported_media, "compressed bodies are not taken",
                      0);
    } else {
        handle(gateway, e, request, /* may_wait= */ true);
    }
}

void webhook_too_large(struct gateway *gateway, const struct http_request *request)
{
    static const char prefix[] = "/webhooks/";
    const char *target = http_target(request);
    if (strncmp(target, prefix, sizeof(prefix) - 1) != 0)
        return;
    const char *path = target + sizeof(prefix) - 1;
    _free_ char *name = mem_copy(path, strcspn(path, "?"));
    struct endpoint *e = endpoint_find(gateway, name);
    char why[REFUSAL_WHY_SIZE];
    snprintf(why, sizeof(why),
             "the body is over gateway.max_body (%llu bytes): raise it, or let the "
             "provider send less (an event is at most 1 MiB)",
             (unsigned long long)gateway->config->gateway.max_body);
    if (e)
        refusal_note(gateway, e, http_remote(request), why, REFUSAL_UNVERIFIED);
}
