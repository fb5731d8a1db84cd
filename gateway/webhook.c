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

#include "gateway/gateway.h"
#include "gateway/hold.h"
#include "gateway/key.h"
#include "gateway/problem.h"
#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "lib/service/service.h"
#include "proto/attrs.h"
#include "proto/record.h"

enum {
    REFUSALS_TOLD = 10, /* a second and endpoint; the others are counted */
    WHY_SIZE = 256,
    RETRY_MS = 1000,
};

/* A request between verification and commit. */
struct arrival {
    struct pending pending;
    struct gateway *gateway;
    struct endpoint *endpoint;
    uint8_t id[16];
};

/* --- endpoints --- */

static int load_keys(struct endpoint *e, const struct secrets *secrets, char *error,
                     size_t error_size)
{
    _free_ char *name = mem_format("webhook.%s.%s", e->integration_name, e->path);
    const char *const *all = secrets_all(secrets, name);
    while (all[e->n_keys] && e->n_keys < SCHEME_KEYS_MAX)
        e->n_keys++;
    if (e->n_keys == 0) {
        snprintf(error, error_size, "no secret was handed over for the webhook %s of %s",
                 e->path, e->integration_name);
        return -1;
    }
    e->keys = mem_array(e->n_keys, sizeof(*e->keys));
    for (size_t i = 0; i < e->n_keys; i++)
        if (!scheme_key_init(&e->keys[i], e->scheme, all[i])) {
            snprintf(error, error_size,
                     "secret %zu of the webhook %s of %s is not one of scheme %s", i + 1,
                     e->path, e->integration_name, e->scheme->name);
            return -1;
        }
    return 0;
}

static int open_endpoint(struct endpoint *e, const struct config_integration *integration,
                         const struct config_webhook *webhook,
                         const struct secrets *secrets, char *error, size_t error_size)
{
    *e = (struct endpoint){
        .path = webhook->path,
        .integration_name = integration->name,
        .integration = integration_hash(integration->name),
        .scheme = scheme_find(webhook->scheme),
        .tolerance_s = webhook->tolerance_us / 1000000,
        .scope = mem_format("webhook:%s", webhook->path),
    };
    if (!e->scheme) {
        snprintf(error, error_size, "the webhook %s of %s has an unknown scheme: %s",
                 e->path, e->integration_name, webhook->scheme);
        return -1;
    }
    return load_keys(e, secrets, error, error_size);
}

int webhook_open(struct gateway *gateway, const struct secrets *secrets, char *error,
                 size_t error_size)
{
    size_t n = 0;
    const struct config *config = gateway->config;
    for (size_t i = 0; i < config->n_integrations; i++)
        n += config->integrations[i].n_webhooks;
    gateway->endpoints = mem_array(n ? n : 1, sizeof(*gateway->endpoints));
    for (size_t i = 0; i < config->n_integrations; i++) {
        const struct config_integration *integration = &config->integrations[i];
        for (size_t j = 0; j < integration->n_webhooks; j++)
            if (open_endpoint(&gateway->endpoints[gateway->n_endpoints++], integration,
                              &integration->webhooks[j], secrets, error, error_size) != 0)
                return -1;
    }
    return 0;
}

void webhook_close(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->n_endpoints; i++) {
        struct endpoint *e = &gateway->endpoints[i];
        for (size_t k = 0; e->keys && k < e->n_keys; k++)
            scheme_key_fini(&e->keys[k]);
        free(e->keys);
        free(e->scope);
    }
    free(gateway->endpoints);
    gateway->endpoints = NULL;
    gateway->n_endpoints = 0;
}

static struct endpoint *find_endpoint(const struct gateway *gateway, const char *path)
{
    for (size_t i = 0; i < gateway->n_endpoints; i++)
        if (!strcmp(gateway->endpoints[i].path, path))
            return &gateway->endpoints[i];
    return NULL;
}

/* --- refusing --- */

/* The log shows it as `signalbox.webhook.refused`, Failed, unverified. Nobody waits for
 * it. */
static void ignore(void *user, const struct hold_result *result)
{
    (void)user;
    (void)result; /* the operator's line stands already */
}

static void publish_refusal(struct gateway *gateway, const struct endpoint *e,
                            const char *why)
{
    uint8_t id[16];
    struct buf attrs = {0}, out = {0};
    id_new(loop_wall_us(gateway->loop), id);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ENDPOINT, e->path);
    attrs_text(&attrs, ATTR_ERROR_MSG, why);
    struct record_parts parts = {
        .kind = RECORD_FACT,
        .status = STATUS_FAILED,
        .error_class = CLASS_unverified,
        .type = "signalbox.webhook.refused",
        .id = id,
        .integration = e->integration,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
    };
    if (record_add(&out, &parts) >= 0)
        hold_add(gateway->hold, out.bytes, out.len, 1, /* waits= */ false, ignore, NULL);
    buf_fini(&attrs);
    buf_fini(&out);
}

/* Tell the operator, at most REFUSALS_TOLD times a second, then how many were not told.
 */
static void note_refusal(struct gateway *gateway, struct endpoint *e,
                         const struct http_request *request, const char *why,
                         bool is_unverified)
{
    uint64_t second = loop_steady_us(gateway->loop) / 1000000;
    if (second != e->second) {
        e->second = second;
        e->told = 0;
    }
    if (e->told == REFUSALS_TOLD) {
        e->untold++;
        return;
    }
    e->told++;
    char text[WHY_SIZE + 64], more[48] = "";
    if (e->untold)
        snprintf(more, sizeof(more), " (and %u more that were not told)", e->untold);
    e->untold = 0;
    snprintf(text, sizeof(text), "%s%s", why, more);
    log_write(is_unverified ? LOG_WEBHOOK_REFUSED : LOG_WEBHOOK_NOT_TAKEN,
              "endpoint=%s integration=%s from=%s: %s", e->path, e->integration_name,
              http_remote(request), text);
    if (is_unverified)
        publish_refusal(gateway, e, text);
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

static bool verify(struct gateway *gateway, struct endpoint *e,
                   struct http_request *request)
{
    struct scheme_input input = {0};
    struct scheme_verdict verdict;
    char why[WHY_SIZE];
    input.signature = sole_header(request, e->scheme->signature_header, &input.repeats);
    input.time = sole_header(request, e->scheme->time_header, &input.repeats);
    input.id = sole_header(request, e->scheme->id_header, &input.repeats);
    input.body = http_body(request, &input.body_len);
    scheme_verify(e->scheme, e->keys, e->n_keys, e->tolerance_s,
                  loop_wall_us(gateway->loop) / 1000000, &input, &verdict);
    if (verdict.result == SCHEME_OK)
        return true;
    scheme_explain(&verdict, e->n_keys, input.body_len, why, sizeof(why));
    note_refusal(gateway, e, request, why, /* is_unverified= */ true);
    problem_reply(request, ERR_signature_invalid, NULL, 0);
    return false;
}

/* --- committing --- */

static void reply_id(struct http_request *request, const uint8_t id[16])
{
    char text[ID_TEXT_SIZE], body[64];
    id_format(id, text);
    int n = snprintf(body, sizeof(body), "{\"ids\":[\"%s\"]}", text);
    struct http_reply reply = {200, "application/json", body, (size_t)n, NULL};
    http_reply(request, &reply);
}

/* A verified event that is not taken is never the sender's fault: it is told to come
 * again. */
static void reply_refused(struct arrival *arrival, const struct hold_result *result)
{
    char why[WHY_SIZE];
    snprintf(why, sizeof(why), "%s: %s", error_info(result->error)->name,
             result->detail ? result->detail : "");
    note_refusal(arrival->gateway, arrival->endpoint, arrival->pending.request, why,
                 /* is_unverified= */ false);
    gateway_note_refusal(arrival->gateway, result->error);
    unsigned error = result->error == ERR_not_ready ? ERR_not_ready : ERR_unavailable;
    problem_reply(arrival->pending.request, error, NULL,
                  result->retry_after_ms ? result->retry_after_ms : RETRY_MS);
}

static void on_committed(void *user, const struct hold_result *result)
{
    struct arrival *arrival = user;
    const struct verdict *verdict = result->verdicts ? result->verdicts[0] : NULL;
    if (arrival->pending.request && result->error)
        reply_refused(arrival, result);
    else if (arrival->pending.request) /* of a conflict too: the first one wins */
        reply_id(arrival->pending.request, verdict ? verdict->first_id : arrival->id);
    free(arrival);
}

/* The value that a row names: a path in the body, or "header:NAME". */
static const char *named(const struct http_request *request, const struct json *body,
                         const char *where)
{
    if (!strncmp(where, "header:", 7))
        return http_header(request, where + 7);
    return js_text(body, where, NULL);
}

static long build(struct arrival *arrival, const char *type, const char *event_id,
                  struct buf *out)
{
    struct gateway *gateway = arrival->gateway;
    struct endpoint *e = arrival->endpoint;
    size_t body_len;
    const void *body = http_body(arrival->pending.request, &body_len);
    struct buf attrs = {0};
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ENDPOINT, e->path);
    key_add(gateway, out, e->scope, event_id, strlen(event_id), hash64(body, body_len));
    struct record_parts parts = {
        .kind = RECORD_FACT, /* the broker makes it a request when the connector declares
                                it */
        .flags = RECORD_WEBHOOK | RECORD_JSON,
        .type = type,
        .id = arrival->id,
        .integration = e->integration,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = body,
        .data_len = body_len,
    };
    long at = record_add(out, &parts);
    buf_fini(&attrs);
    return at;
}

static void commit(struct gateway *gateway, struct endpoint *e,
                   struct http_request *request, const char *type, const char *event_id)
{
    struct buf records = {0};
    struct arrival *arrival = mem_alloc(sizeof(*arrival));
    arrival->pending.request = request;
    arrival->gateway = gateway;
    arrival->endpoint = e;
    id_new(loop_wall_us(gateway->loop), arrival->id);
    unsigned error = 0;
    if (build(arrival, type, event_id, &records) < 0)
        error = ERR_event_too_large;
    else if (!hold_add(gateway->hold, records.bytes, records.len, 1, /* waits= */ false,
                       on_committed, arrival))
        error = ERR_overloaded;
    buf_fini(&records);
    if (!error) {
        http_set_user(request, arrival);
        return;
    }
    problem_reply(request, error, NULL, error == ERR_overloaded ? RETRY_MS : 0);
    free(arrival);
}

static void parse_and_commit(struct gateway *gateway, struct endpoint *e,
                             struct http_request *request)
{
    size_t n;
    const char *bytes = http_body(request, &n);
    char error[128], type[RECORD_TYPE_MAX + 1];
    struct json *body = js_parse(bytes, n, error, sizeof(error));
    const char *event_id = named(request, body, e->scheme->event_id);
    const char *event_type = named(request, body, e->scheme->event_type);
    int type_len = snprintf(type, sizeof(type), "%s.%s", e->integration_name,
                            event_type ? event_type : "");
    if (!body || !event_id || !*event_id || !event_type || type_len > RECORD_TYPE_MAX ||
        !text_is_type(type, (size_t)type_len)) {
        note_refusal(gateway, e, request, "not an event: no JSON, or no id or type in it",
                     /* is_unverified= */ false);
        problem_reply(request, ERR_bad_request, "the body is not an event", 0);
    } else {
        commit(gateway, e, request, type, event_id);
    }
    js_free(body);
}

void webhook_handle(struct gateway *gateway, struct http_request *request,
                    const char *const *params)
{
    struct endpoint *e = find_endpoint(gateway, params[0]);
    const char *coding = http_header(request, "Content-Encoding");
    if (!e)
        problem_reply(request, ERR_not_found, NULL, 0);
    else if (coding && strcasecmp(coding, "identity") != 0)
        problem_reply(request, ERR_unsupported_media, "compressed bodies are not taken",
                      0);
    else if (verify(gateway, e, request))
        parse_and_commit(gateway, e, request);
}
