/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/call_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/body.h"
#include "gateway/gateway.h"
#include "gateway/header.h"
#include "gateway/key.h"
#include "gateway/problem.h"
#include "gateway/query.h"
#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "proto/attrs.h"

enum { WAIT_DEFAULT_US = 10 * 1000 * 1000 };

static bool known_integration(const struct gateway *gateway, const char *name)
{
    return !name || config_integration(gateway->config, name) != NULL;
}

/* An integration's name where the connector's is wanted: say how it is meant. */
static bool is_integration(const struct gateway *gateway, const char *const *params,
                           char *why, size_t why_size)
{
    const struct config_integration *in = config_integration(gateway->config, params[0]);
    if (!in || !in->connector)
        return false;
    for (size_t i = 0; i < gateway->config->n_integrations; i++) {
        const char *connector = gateway->config->integrations[i].connector;
        if (connector && !strcmp(connector, params[0]))
            return false; /* it is both */
    }
    snprintf(why, why_size,
             "%.64s is an integration; its connector is called: "
             "/v1/calls/%.64s/%.64s?integration=%.64s",
             in->name, in->connector, params[1], in->name);
    return true;
}

/* A duration from now or a time. */
static bool parse_deadline(const char *text, uint64_t now_us, uint64_t *ret_us)
{
    uint64_t us;
    if (text_parse_duration(text, &us)) {
        *ret_us = now_us + us;
        return us < UINT64_MAX - now_us;
    }
    return query_time(text, ret_us);
}

static bool is_json(const struct http_request *request, char *why, size_t why_size)
{
    struct json *value = body_json(request, why, why_size);
    js_free(value);
    return value != NULL;
}

static unsigned read_times(const struct gateway *gateway, struct http_request *request,
                           struct call_request *r, char *why, size_t why_size)
{
    const char *wait = http_query(request, "wait"),
               *deadline = http_query(request, "deadline");
    uint64_t now_us = loop_wall_us(gateway->loop);
    r->wait_us = WAIT_DEFAULT_US;
    if (wait &&
        (!text_parse_duration(wait, &r->wait_us) || r->wait_us > CALL_WAIT_MAX_US)) {
        snprintf(why, why_size, "wait is a duration up to 5m, such as 10s");
        return ERR_bad_request;
    }
    r->deadline_us = r->wait_us ? now_us + r->wait_us : 0; /* 0: the integration's */
    if (deadline && !parse_deadline(deadline, now_us, &r->deadline_us)) {
        snprintf(why, why_size,
                 "deadline is a duration such as 24h, or a time of RFC 3339");
        return ERR_bad_request;
    }
    return deadline && r->deadline_us <= now_us ? ERR_deadline_too_short : 0;
}

unsigned call_request_read(const struct gateway *gateway, struct http_request *request,
                           const char *const *params, struct call_request *r, char *why,
                           size_t why_size)
{
    int n = snprintf(r->type, sizeof(r->type), "%s.%s.requested", params[0], params[1]);
    r->integration = http_query(request, "integration");
    r->key = http_query(request, "key");
    if (!r->key)
        r->key = http_header(request, "Ordering-Key");
    r->idempotency_key = http_header(request, "Idempotency-Key");
    r->traceparent = header_traceparent(request);
    r->tracestate = header_tracestate(request);
    r->data = http_body(request, &r->data_len);
    if (n > RECORD_TYPE_MAX || !text_is_type(r->type, (size_t)n)) {
        snprintf(why, why_size, "connector and operation are of a-z 0-9 _ -");
        return ERR_bad_request;
    }
    if (is_integration(gateway, params, why, why_size))
        return ERR_no_handler;
    if (!known_integration(gateway, r->integration)) {
        snprintf(why, why_size, "no integration is named %.64s", r->integration);
        return ERR_no_integration;
    }
    if (!header_is_key(r->key) || !header_is_key(r->idempotency_key)) {
        snprintf(why, why_size, "a key has 1 to 255 bytes of UTF-8");
        return ERR_bad_request;
    }
    if (r->data_len == 0) {
        r->data = "{}";
        r->data_len = 2;
    } else if (!is_json(request, why, why_size)) {
        return ERR_bad_request;
    }
    return read_times(gateway, request, r, why, why_size);
}

static uint64_t content_hash(const struct call_request *r)
{
    struct buf all = {0};
    buf_add(&all, r->type, strlen(r->type) + 1);
    buf_text(&all, r->integration ? r->integration : "");
    buf_add(&all, "", 1);
    buf_add(&all, r->data, r->data_len);
    uint64_t hash = hash64(all.bytes, all.len);
    buf_fini(&all);
    return hash;
}

unsigned call_request_write(const struct gateway *gateway, const struct call_request *r,
                            const uint8_t id[16], struct buf *out)
{
    struct buf attrs = {0};
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_TRACEPARENT, r->traceparent);
    attrs_text(&attrs, ATTR_TRACESTATE, r->tracestate);
    attrs_text(&attrs, ATTR_IDEMPOTENCY_KEY, r->idempotency_key);
    if (r->idempotency_key) {
        _free_ char *scope = mem_format("token:%s", gateway->caller->name);
        key_add(gateway, out, scope, r->idempotency_key, strlen(r->idempotency_key),
                content_hash(r));
    }
    struct record_parts parts = {
        .kind = RECORD_REQUEST,
        .flags = RECORD_JSON,
        .type = r->type,
        .id = id,
        .key = r->key,
        .deadline_us = r->deadline_us,
        .integration = r->integration ? integration_hash(r->integration) : 0,
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = r->data,
        .data_len = r->data_len,
    };
    long at = record_add(out, &parts);
    buf_fini(&attrs);
    return at < 0 ? ERR_event_too_large : 0;
}
