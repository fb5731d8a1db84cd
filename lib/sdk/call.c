/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/call.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/base/trace.h"
#include "lib/sdk/call_state.h"
#include "lib/sdk/mail.h"
#include "lib/sdk/program.h"
#include "lib/sdk/provider.h"
#include "proto/attrs.h"

static const char requested[] = ".requested";

/* --- life --- */

/* What is not as the standard says is not sent on: it would be a header of somebody
 * else's making. */
static void set_trace(struct sb_event *event)
{
    const struct record *r = event->record;
    _free_ char *parent = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_TRACEPARENT);
    char child[TRACE_PARENT_SIZE];
    uint64_t span;

    if (!trace_is_parent(parent))
        return;
    memcpy(&span, r->id + 8, sizeof(span)); /* its random half */
    trace_child(parent, span + event->attempt, child);
    event->traceparent = mem_text(child);
    event->tracestate = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_TRACESTATE);
    if (!trace_is_state(event->tracestate)) {
        free(event->tracestate);
        event->tracestate = NULL;
    }
}

struct call *call_new(const struct integration *integration, const struct record *record,
                      struct position position, uint64_t committed_us, unsigned attempt,
                      bool in_doubt)
{
    struct call *call = mem_alloc(sizeof(*call));
    const struct record *r = mem_copy(record, record->len);
    char error[120];
    const char *data = (const char *)record_data(r);

    call->integration = integration;
    call->request.integration = integration;
    call->outcome.integration = integration;
    call->event = (struct sb_event){
        .integration = integration,
        .record = r,
        .position = position,
        .committed_us = committed_us,
        .attempt = attempt,
        .in_doubt = in_doubt,
        .type = mem_copy(record_type(r), r->type_len),
        .id = record_id_text(r),
        .stable_id = record_call_key(r),
        .key = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_KEY),
        .json = js_parse(data, r->data_len, error, sizeof(error)),
    };
    set_trace(&call->event);
    if (!call->event.json && !form_read(&call->event.form, data, r->data_len))
        form_fini(&call->event.form); /* too many fields: as if there were none */
    return call;
}

static void event_fini(struct sb_event *event)
{
    js_free(event->json);
    form_fini(&event->form);
    free(event->type);
    free(event->id);
    free(event->stable_id);
    free(event->key);
    free(event->traceparent);
    free(event->tracestate);
    free((void *)(uintptr_t)event->record);
}

static void request_fini(struct sb_request *request)
{
    for (size_t i = 0; i < request->n_headers; i++) {
        explicit_bzero(request->headers[i].value,
                       strlen(request->headers[i].value)); /* credentials */
        free(request->headers[i].name);
        free(request->headers[i].value);
    }
    js_free(request->json);
    if (request->query.len)
        explicit_bzero(request->query.bytes, request->query.len);
    buf_fini(&request->path);
    buf_fini(&request->query);
    buf_fini(&request->form);
    buf_fini(&request->body);
    credential_fini(&request->oauth);
    free(request->method);
    mail_draft_free(request->mail);
    free(request->content_type);
    free(request->mistake);
}

static void token_drop(struct call *call)
{
    mem_free_secret(call->token);
    mem_free_secret(call->authorization);
    call->token = call->authorization = NULL;
}

void call_request_reset(struct call *call)
{
    token_drop(call);
    call->is_token_refused = call->was_token_refused = false;
    request_fini(&call->request);
    if (call->url)
        explicit_bzero(call->url, strlen(call->url)); /* a key may be in it */
    call->request = (struct sb_request){.integration = call->integration};
    free(call->url);
    call->url = NULL;
    free(call->idempotency_key);
    call->idempotency_key = NULL;
    call->n_fields = 0;
}

static void facts_drop(struct sb_outcome *outcome)
{
    for (size_t i = 0; i < outcome->n_facts; i++) {
        free(outcome->facts[i].type);
        free(outcome->facts[i].key);
        free(outcome->facts[i].event_id);
        js_free(outcome->facts[i].data);
        buf_fini(&outcome->facts[i].text);
    }
    outcome->n_facts = 0;
}

static void outcome_fini(struct sb_outcome *outcome)
{
    facts_drop(outcome);
    free(outcome->facts);
    js_free(outcome->data);
    free(outcome->cursor);
    free(outcome->mistake);
}

void call_outcome_reset(struct call *call)
{
    outcome_fini(&call->outcome);
    call->outcome = (struct sb_outcome){.integration = call->integration};
}

void call_free(struct call *call)
{
    if (!call)
        return;
    event_fini(&call->event);
    call_request_reset(call);
    outcome_fini(&call->outcome);
    free(call->doubt);
    free(call);
}

struct position call_position(const struct call *call)
{
    return call->event.position;
}

const char *call_id(const struct call *call)
{
    return call->event.id;
}

uint64_t call_deadline_us(const struct call *call)
{
    return sb_deadline_us(&call->event);
}

/* --- the first half: event -> request --- */

static bool handles(const struct call *call, const char *operation)
{
    const char *type = call->event.type, *connector = call->integration->connector->name;
    size_t n = strlen(connector), m = strlen(operation);

    return strncmp(type, connector, n) == 0 && type[n] == '.' &&
           strncmp(type + n + 1, operation, m) == 0 &&
           strcmp(type + n + 1 + m, requested) == 0;
}

static void find_handler(struct call *call)
{
    const struct sb_provider tables =
        provider_tables(call->integration->connector, call->integration->provider);
    size_t n = strlen(call->integration->name);
    const char *type = call->event.type;

    if (call->integration->is_consumer) {
        call->operation = tables.operations;
        return;
    }
    if (!(call->event.record->flags & RECORD_PROVIDERS))
        for (const struct sb_operation *o = tables.operations; o && o->name; o++)
            if (handles(call, o->name)) {
                call->operation = o;
                return;
            }
    if (strncmp(type, call->integration->name, n) != 0 || type[n] != '.')
        return;
    for (const struct sb_webhook *w = tables.webhooks; w && w->event; w++)
        if (strcmp(w->event, type + n + 1) == 0)
            call->webhook = w;
}

/* When the idempotency key may have been used first: a redrive that keeps one says so. */
static uint64_t key_time_us(const struct sb_event *event)
{
    const struct record *r = event->record;
    int64_t time_us;

    return r->flags & RECORD_BY_BROKER && attrs_find_int(record_attrs(r), r->attr_len,
                                                         ATTR_CALL_KEY_TIME, &time_us)
               ? (uint64_t)time_us
               : event->committed_us;
}

/* How often the key's lifetime is over since it may have been used first. */
static uint64_t lifetimes(const struct call *call, uint64_t now_us)
{
    uint64_t key_us = key_time_us(&call->event),
             age_us = now_us > key_us ? now_us - key_us : 0;

    return age_us / ((uint64_t)call->operation->key_lifetime_s * 1000000);
}

/* Money: why this attempt may not simply be made; NULL when it may. */
static const char *doubt_about(const struct call *call, uint64_t now_us)
{
    const struct sb_operation *o = call->operation;
    const struct sb_event *event = &call->event;
    /* A redrive that keeps a key takes over the doubt of the request it is made of. */
    bool in_doubt = event->in_doubt || key_time_us(event) != event->committed_us;

    if ((event->attempt <= 1 && !in_doubt) || o->repeat == SB_REPEAT_SAFE)
        return NULL;
    if (o->repeat == SB_REPEAT_NEVER)
        return in_doubt ? "an earlier attempt ended without an answer and may have "
                          "had its effect; it must not be sent twice"
                        : NULL;
    return lifetimes(call, now_us)
               ? "an earlier attempt may have had its effect, and the "
                 "lifetime of its idempotency key is over"
               : NULL;
}

/* A key is never used again past its lifetime: what is sent later (nothing had happened,
 * a lookup says) has a key of its own. */
static char *key_for(const struct call *call, uint64_t now_us)
{
    uint64_t over = lifetimes(call, now_us);
    char text[ID_TEXT_SIZE];
    uint8_t id[16];

    if (!over)
        return mem_text(call->event.stable_id);
    id_derive(call->event.stable_id, UINT64_MAX - over, id);
    id_format(id, text);
    return mem_text(text);
}

static void assemble_body(struct call *call)
{
    struct sb_request *request = &call->request;

    if (request->json) {
        buf_clear(&request->body);
        js_write(request->json, 0, &request->body);
    } else if (request->form.len) {
        buf_clear(&request->body);
        buf_add(&request->body, request->form.bytes, request->form.len);
    }
    const char *type = request->json       ? "application/json"
                       : request->form.len ? "application/x-www-form-urlencoded"
                                           : request->content_type;
    if (type)
        call->fields[call->n_fields++] = (struct http_field){"Content-Type", type};
}

static uint64_t timeout_us(const struct call *call)
{
    uint32_t own_ms = call->operation ? call->operation->timeout_ms : 0;

    return own_ms ? (uint64_t)own_ms * 1000 : call->integration->timeout_us;
}

/* What of a line depends on the moment. */
static void assemble_line(struct call *call, bool is_keyed, uint64_t now_us)
{
    char deadline[TEXT_TIME_SIZE];
    struct json *line = call->request.json;

    text_time(now_us + call->pause_us + timeout_us(call), deadline);
    js_set_text(line, "deadline", deadline);
    call->idempotency_key =
        is_keyed ? key_for(call, now_us) : mem_text(call->event.stable_id);
    js_set_text(line, "key", call->idempotency_key);
    js_write(line, 0, &call->request.body);
}

/* The connector's own headers come first: one that sets a traceparent knows better. */
static void add_trace(struct call *call)
{
    const struct sb_event *event = &call->event;

    for (size_t i = 0; i < call->n_fields; i++)
        if (strcasecmp(call->fields[i].name, "traceparent") == 0)
            return;
    if (event->traceparent)
        call->fields[call->n_fields++] =
            (struct http_field){"traceparent", event->traceparent};
    if (event->traceparent && event->tracestate)
        call->fields[call->n_fields++] =
            (struct http_field){"tracestate", event->tracestate};
}

static bool assemble_mail(struct call *call, const char **ret_why)
{
    const struct sb_event *event = &call->event;
    struct sb_request *request = &call->request;

    call->url = mem_text(call->integration->base_url);
    mail_draft_envelope(request->mail, &call->envelope);
    return mail_draft_write(request->mail, event->stable_id, event->committed_us,
                            &request->body, ret_why);
}

bool call_assemble(struct call *call, bool is_keyed, uint64_t now_us,
                   const char **ret_why)
{
    struct sb_request *request = &call->request;

    if (request->is_line && !request->mistake) {
        assemble_line(call, is_keyed, now_us);
        return true;
    }
    if (request->mail && !request->mistake && !request->method)
        return assemble_mail(call, ret_why);
    const char *base = call->integration->base_url ? call->integration->base_url : "";
    size_t n = strlen(base);
    if (request->mistake || !request->method) {
        *ret_why = request->mistake ? request->mistake : "no request was made";
        return false;
    }
    while (n && base[n - 1] == '/')
        n--;
    call->url = mem_format("%.*s%s%s%s", (int)n, base, buf_str(&request->path),
                           request->query.len ? "?" : "", buf_str(&request->query));
    for (size_t i = 0; i < request->n_headers; i++)
        call->fields[call->n_fields++] =
            (struct http_field){request->headers[i].name, request->headers[i].value};
    assemble_body(call);
    add_trace(call);
    if (is_keyed) {
        const char *name = call->operation->key_header;
        call->idempotency_key = key_for(call, now_us);
        call->fields[call->n_fields++] =
            (struct http_field){name ? name : "Idempotency-Key", call->idempotency_key};
    }
    return true;
}

bool call_send(struct call *call, uint64_t now_us)
{
    const struct sb_operation *o = call->operation;
    const char *why;

    call_request_reset(call);
    call->pause_us = 0;
    enum sb_verdict verdict =
        (o ? o->request : program_request)(&call->event, &call->request, &call->outcome);
    if (verdict == SB_DONE) {
        call->was_sent = true;
        return call_assemble(call, o && o->repeat == SB_REPEAT_KEYED, now_us, &why) ||
               call_fail(call, CLASS_permanent, "the request could not be made: %s", why);
    }
    /* nothing was sent, so there is nothing unclear; who has one attempt may know better
     */
    if (verdict == SB_UNCLEAR || (verdict == SB_UNKNOWN && !call->integration->is_single))
        verdict = SB_FAILED;
    call_take_verdict(call, verdict);
    return false;
}

bool call_begin(struct call *call, uint64_t now_us)
{
    const struct integration *integration = call->integration;
    uint64_t deadline_us = call_deadline_us(call);

    call->event.now_us = now_us;
    find_handler(call);
    call->was_started = call->operation || call->webhook;
    const char *doubt = call->operation ? doubt_about(call, now_us) : NULL;
    if (doubt) /* before the deadline is looked at: what happened, happened */
        return lookup_begin(call, now_us, doubt);
    if (deadline_us && now_us > deadline_us)
        return call_fail(call, CLASS_deadline,
                         "the deadline passed before an attempt could start");
    if (call->operation || (call->webhook && integration->is_program))
        return call_send(call, now_us);
    if (call->webhook) {
        call_take_verdict(call, call->webhook->handle(&call->event, &call->outcome));
        return false;
    }
    return call_fail(
        call, CLASS_permanent,
        "the connector %s (integration %s) has no operation or webhook for %s",
        integration->connector->name, integration->name, call->event.type);
}

uint64_t call_pause_us(const struct call *call)
{
    return call->pause_us;
}

void call_http(const struct call *call, struct http_call_options *ret_options)
{
    const struct sb_operation *o = call->operation;
    const struct sb_request *request = &call->request;

    *ret_options = (struct http_call_options){
        .method = request->method,
        .url = call->url,
        .mail = request->mail ? &call->envelope : NULL,
        .headers = call->fields,
        .n_headers = call->n_fields,
        .body = request->body.len ? request->body.bytes : NULL,
        .body_len = request->body.len,
        .timeout_us = timeout_us(call),
        .answer_max = o->answer_max,
        .is_once = o->repeat == SB_REPEAT_NEVER && !call->is_asking,
    };
}

const struct credential *call_oauth(const struct call *call)
{
    return call->request.oauth.token_url ? &call->request.oauth : NULL;
}

void call_set_token(struct call *call, const char *token)
{
    if (call->authorization) /* refused before: its field is the last one */
        call->n_fields--;
    token_drop(call);
    call->is_token_refused = false;
    call->token = mem_text(token);
    call->authorization = mem_format("Bearer %s", token);
    call->fields[call->n_fields++] =
        (struct http_field){"Authorization", call->authorization};
}

const char *call_token(const struct call *call)
{
    return call->token;
}

bool call_is_token_refused(const struct call *call)
{
    return call->is_token_refused;
}

bool call_is_line(const struct call *call)
{
    return call->request.is_line;
}

const char *call_line(const struct call *call, size_t *ret_len, uint64_t *ret_timeout_us)
{
    *ret_len = call->request.body.len;
    *ret_timeout_us = timeout_us(call);
    return (const char *)call->request.body.bytes;
}

const char *const *call_secrets(const struct call *call, size_t *ret_n)
{
    *ret_n = call->request.n_secrets;
    return call->request.secrets;
}

enum call_result call_result(const struct call *call)
{
    return call->result;
}

enum record_class call_class(const struct call *call)
{
    return call->class;
}

const char *call_message(const struct call *call)
{
    return call->outcome.message;
}

uint64_t call_after_us(const struct call *call)
{
    return call->outcome.after_us;
}

const struct sb_outcome *call_outcome(const struct call *call)
{
    return call->result == CALL_SUCCESS ? &call->outcome : NULL;
}
