/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/sdk/form.h"
#include "lib/sdk/provider.h"
#include "proto/attrs.h"
#include "proto/control.h"

struct call {
    const struct integration *integration;
    struct sb_event event;
    const struct sb_operation *operation;
    const struct sb_webhook *webhook;
    struct sb_request request;
    char *url;
    struct http_field fields[CALL_HEADERS_MAX + 2];
    size_t n_fields;
    char *idempotency_key;
    struct sb_outcome outcome;
    enum call_result result;
    enum record_class class;
    bool was_started; /* the connector was asked: this delivery counts as an attempt */
};

enum {
    SECRET_LEAST = 6 /* characters; a shorter one would cover parts of common words */
};

static const char requested[] = ".requested";

/* --- life --- */

/* Ids that are not UUIDs repeat between sources; the key's name has to tell those apart.
 */
static char *stable_id(const struct record *r)
{
    char text[ID_TEXT_SIZE];
    uint8_t id[16];

    memcpy(id, r->id, sizeof(id));
    if (r->flags & RECORD_FOREIGN_ID) {
        _free_ char *source = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_SOURCE);
        _free_ char *foreign = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ID);
        if (foreign)
            hash_pair(source ? source : "", foreign, strlen(foreign), id);
    }
    id_format(id, text);
    return mem_text(text);
}

static char *shown_id(const struct record *r)
{
    char *foreign = r->flags & RECORD_FOREIGN_ID
                        ? attrs_copy_text(record_attrs(r), r->attr_len, ATTR_ID)
                        : NULL;
    char text[ID_TEXT_SIZE];

    if (foreign)
        return foreign;
    id_format(r->id, text);
    return mem_text(text);
}

struct call *call_new(const struct integration *integration, const struct record *record,
                      struct position position, uint64_t committed_us, unsigned attempt,
                      bool in_doubt)
{
    struct call *call = mem_alloc(sizeof(*call));
    const struct record *r = mem_copy(record, record->len);
    char error[120];

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
        .id = shown_id(r),
        .key = attrs_copy_text(record_attrs(r), r->attr_len, ATTR_KEY),
        .json = js_parse((const char *)record_data(r), r->data_len, error, sizeof(error)),
    };
    return call;
}

static void event_fini(struct sb_event *event)
{
    js_free(event->json);
    free(event->type);
    free(event->id);
    free(event->key);
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
    free(request->method);
    free(request->content_type);
    free(request->mistake);
}

static void facts_drop(struct sb_outcome *outcome)
{
    for (size_t i = 0; i < outcome->n_facts; i++) {
        free(outcome->facts[i].type);
        free(outcome->facts[i].key);
        js_free(outcome->facts[i].data);
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

void call_free(struct call *call)
{
    if (!call)
        return;
    event_fini(&call->event);
    request_fini(&call->request);
    outcome_fini(&call->outcome);
    if (call->url)
        explicit_bzero(call->url, strlen(call->url)); /* a key may be in it */
    free(call->url);
    free(call->idempotency_key);
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

/* --- how it ends --- */

static void conclude(struct call *call, enum call_result result, enum record_class class)
{
    call->result = result;
    call->class = class;
}

static bool fail(struct call *call, enum record_class class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Always false: no HTTP call is to be made. */
static bool fail(struct call *call, enum record_class class, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(call->outcome.message, sizeof(call->outcome.message), format, args);
    va_end(args);
    conclude(call, CALL_FAILED, class);
    return false;
}

static bool may_repeat(const struct call *call)
{
    return call->webhook ||
           (call->operation && call->operation->repeat != SB_REPEAT_NEVER);
}

/* The service may have done it: again where that is harmless, otherwise a person must
 * look. */
static void unclear(struct call *call)
{
    if (may_repeat(call))
        conclude(call, CALL_RETRY, CLASS_none);
    else
        conclude(call, CALL_FAILED, CLASS_unknown);
}

/* The connector made a mistake after the service did its part. */
static void spoiled(struct call *call)
{
    bool is_harmless = call->webhook || call->operation->repeat == SB_REPEAT_SAFE;

    fail(call, is_harmless ? CLASS_permanent : CLASS_unknown,
         "the connector's own mistake: %s", call->outcome.mistake);
}

static void succeed(struct call *call)
{
    if (call->outcome.mistake) {
        spoiled(call);
        return;
    }
    if (call->operation && call->operation->price && !call->outcome.has_cost)
        call->operation->price(&call->event, &call->outcome);
    conclude(call, CALL_SUCCESS, CLASS_none);
}

/* SB_DEFAULT is the caller's to resolve. */
static void take_verdict(struct call *call, enum sb_verdict verdict)
{
    switch (verdict) {
    case SB_DONE:
        succeed(call);
        return;
    case SB_FAILED:
        conclude(call, CALL_FAILED, CLASS_permanent);
        return;
    case SB_RETRY:
        conclude(call, CALL_RETRY, CLASS_none);
        return;
    case SB_UNCLEAR:
        unclear(call);
        return;
    case SB_UNKNOWN:
        conclude(call, CALL_FAILED, CLASS_unknown);
        return;
    case SB_DEFAULT:
    default:
        fail(call, CLASS_permanent,
             "the connector's own mistake: a verdict that is not allowed here");
    }
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

    if (!(call->event.record->flags & RECORD_WEBHOOK))
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

/* Money: may this attempt be made at all? */
static bool may_attempt(struct call *call, uint64_t now_us)
{
    const struct sb_operation *o = call->operation;
    const struct sb_event *event = &call->event;
    bool is_first = event->attempt <= 1 && !event->in_doubt;
    uint64_t age_us = now_us > event->committed_us ? now_us - event->committed_us : 0;

    if (is_first || o->repeat == SB_REPEAT_SAFE)
        return true;
    if (o->repeat == SB_REPEAT_NEVER)
        return !event->in_doubt || fail(call, CLASS_unknown,
                                        "an earlier attempt ended without an answer and "
                                        "may have had its effect; %s "
                                        "must not be sent twice: look it up and resolve",
                                        o->name);
    return age_us < (uint64_t)o->key_lifetime_s * 1000000 ||
           fail(call, CLASS_unknown,
                "an earlier attempt may have had its effect and the idempotency key's "
                "lifetime (%u s) is over: look it "
                "up and resolve",
                o->key_lifetime_s);
}

/* Put the request together for the HTTP client. */
static bool assemble(struct call *call)
{
    struct sb_request *request = &call->request;
    const struct sb_operation *o = call->operation;
    const char *base = call->integration->base_url;
    size_t n = strlen(base);

    if (request->mistake)
        return fail(call, CLASS_permanent, "the request could not be made: %s",
                    request->mistake);
    if (!request->method)
        return fail(call, CLASS_permanent,
                    "the connector's own mistake: no request was made");
    while (n && base[n - 1] == '/')
        n--;
    call->url = mem_format("%.*s%s%s%s", (int)n, base, buf_str(&request->path),
                           request->query.len ? "?" : "", buf_str(&request->query));
    for (size_t i = 0; i < request->n_headers; i++)
        call->fields[call->n_fields++] =
            (struct http_field){request->headers[i].name, request->headers[i].value};
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
    if (o->repeat == SB_REPEAT_KEYED) {
        call->idempotency_key = stable_id(call->event.record);
        call->fields[call->n_fields++] = (struct http_field){
            o->key_header ? o->key_header : "Idempotency-Key", call->idempotency_key};
    }
    return true;
}

static bool begin_operation(struct call *call, uint64_t now_us)
{
    if (!may_attempt(call, now_us))
        return false;
    enum sb_verdict verdict =
        call->operation->request(&call->event, &call->request, &call->outcome);
    if (verdict == SB_DONE)
        return assemble(call);
    if (verdict == SB_UNCLEAR ||
        verdict == SB_UNKNOWN) /* nothing was sent, so there is nothing unclear */
        verdict = SB_FAILED;
    take_verdict(call, verdict);
    return false;
}

bool call_begin(struct call *call, uint64_t now_us)
{
    const struct integration *integration = call->integration;
    uint64_t deadline_us = call_deadline_us(call);

    if (deadline_us && now_us > deadline_us)
        return fail(call, CLASS_deadline,
                    "the deadline passed before an attempt could start");
    find_handler(call);
    call->was_started = call->operation || call->webhook;
    if (call->operation)
        return begin_operation(call, now_us);
    if (call->webhook) {
        take_verdict(call, call->webhook->handle(&call->event, &call->outcome));
        return false;
    }
    return fail(call, CLASS_permanent,
                "the connector %s (integration %s) has no operation or webhook for %s",
                integration->connector->name, integration->name, call->event.type);
}

void call_http(const struct call *call, struct http_call_options *ret_options)
{
    const struct sb_operation *o = call->operation;
    const struct sb_request *request = &call->request;

    *ret_options = (struct http_call_options){
        .method = request->method,
        .url = call->url,
        .headers = call->fields,
        .n_headers = call->n_fields,
        .body = request->body.len ? request->body.bytes : NULL,
        .body_len = request->body.len,
        .timeout_us = o->timeout_ms ? (uint64_t)o->timeout_ms * 1000
                                    : call->integration->timeout_us,
        .answer_max = o->answer_max,
        .is_once = o->repeat == SB_REPEAT_NEVER,
    };
}

/* --- the second half: answer -> result --- */

static uint64_t retry_after_date(const char *text, uint64_t now_us)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

    if (!end || *end)
        return 0;
    time_t at = timegm(&tm);
    time_t now = (time_t)(now_us / 1000000);
    return at > now ? (uint64_t)(at - now) * 1000000 : 0;
}

/* Digits only; too many count as the largest. */
static bool whole(const char *text, uint64_t *ret)
{
    size_t n = strspn(text, "0123456789");

    if (n == 0 || text[n])
        return false;
    *ret = n > 12 ? 1000000000000 : strtoull(text, NULL, 10);
    return true;
}

uint64_t call_retry_after_us(const char *retry_after, const char *retry_after_ms,
                             uint64_t now_us)
{
    const uint64_t max_us = CALL_RETRY_AFTER_MAX_S * (uint64_t)1000000;
    uint64_t number, us = 0;

    if (retry_after_ms && whole(retry_after_ms, &number))
        us = number * 1000;
    else if (retry_after && whole(retry_after, &number))
        us = number * 1000000;
    else if (retry_after)
        us = retry_after_date(retry_after, now_us);
    return us < max_us ? us : max_us;
}

static const char *should_retry(const struct http_call *answer)
{
    const char *value = http_call_header(answer, "x-should-retry");

    return value ? value : http_call_header(answer, "stripe-should-retry");
}

/* The rules where the connector leaves it to us. 425, 429 and 503 say that nothing was
 * done; after 500, 502 and 504 that is not known. */
static void apply_rules(struct call *call, const struct http_call *answer)
{
    unsigned status = http_call_status(answer);
    const char *wish = should_retry(answer);
    bool is_undone = status == 408 || status == 425 || status == 429 || status == 503;
    bool is_wished = wish && strcmp(wish, "true") == 0,
         is_unwished = wish && strcmp(wish, "false") == 0;

    if (!*call->outcome.message)
        snprintf(call->outcome.message, sizeof(call->outcome.message),
                 "the service answered %u", status);
    if (is_unwished && status >= 500 && !is_undone &&
        call->operation->repeat != SB_REPEAT_SAFE)
        conclude(call, CALL_FAILED, CLASS_unknown);
    else if (is_unwished)
        conclude(call, CALL_FAILED, CLASS_permanent);
    else if (is_undone || is_wished)
        conclude(call, CALL_RETRY, CLASS_none);
    else if (status >= 500)
        unclear(call);
    else
        conclude(call, CALL_FAILED, CLASS_permanent);
}

static void end_without_answer(struct call *call, const struct http_call *answer)
{
    const char *why = http_call_error(answer);

    switch (http_call_result(answer)) {
    case HTTP_NOT_SENT:
        snprintf(call->outcome.message, sizeof(call->outcome.message),
                 "the call was not sent: %s", why);
        conclude(call, CALL_RETRY, CLASS_none);
        return;
    case HTTP_FORBIDDEN:
        fail(call, CLASS_permanent, "the call was not sent: %s", why);
        return;
    case HTTP_NO_ANSWER:
    case HTTP_TOO_LARGE:
    case HTTP_ANSWERED:
    default:
        snprintf(call->outcome.message, sizeof(call->outcome.message),
                 "the call was sent and no answer could be used: %s", why);
        unclear(call);
    }
}

static void end_with_answer(struct call *call, const struct http_call *http)
{
    unsigned status = http_call_status(http);
    size_t n;
    const char *body = http_call_body(http, &n);
    char error[120];
    struct sb_answer answer = {
        .http = http, .json = n ? js_parse(body, n, error, sizeof(error)) : NULL};

    if (status >= 200 && status < 300) {
        take_verdict(call,
                     call->operation->succeeded(&call->event, &answer, &call->outcome));
    } else {
        enum sb_verdict verdict =
            call->operation->failed(&call->event, &answer, &call->outcome);
        if (verdict == SB_DEFAULT)
            apply_rules(call, http);
        else
            take_verdict(call, verdict);
    }
    js_free(answer.json);
}

void call_end(struct call *call, const struct http_call *http, uint64_t now_us)
{
    if (http_call_result(http) != HTTP_ANSWERED) {
        end_without_answer(call, http);
        return;
    }
    end_with_answer(call, http);
    if (call->result == CALL_RETRY && !call->outcome.after_us)
        call->outcome.after_us =
            call_retry_after_us(http_call_header(http, "retry-after"),
                                http_call_header(http, "retry-after-ms"), now_us);
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

/* --- records --- */

static void cover(char *text, size_t n, const char *value, size_t len)
{
    char *at = text;

    while (n && len >= SECRET_LEAST &&
           (at = memmem(at, n - (size_t)(at - text), value, len))) {
        memset(at, '*', len);
        at += len;
    }
}

/* No secret of the integration reaches the log, whatever a service echoes: as it is, or
 * as it stood in a URL. What covers it has the same length. */
static void redact(const struct call *call, char *text, size_t n)
{
    const struct integration *integration = call->integration;
    const struct sb_provider tables =
        provider_tables(integration->connector, integration->provider);

    for (const struct sb_secret *s = tables.secrets; s && s->name; s++) {
        const char *value = integration->secret
                                ? integration->secret(integration->secret_user, s->name)
                                : NULL;
        struct buf escaped = BUF_NULL;
        if (!value)
            continue;
        cover(text, n, value, strlen(value));
        form_escape(&escaped, value, strlen(value));
        cover(text, n, buf_str(&escaped), escaped.len);
        if (escaped.len)
            explicit_bzero(escaped.bytes, escaped.len);
        buf_fini(&escaped);
    }
}

static void outcome_type(const struct call *call, char ret_type[RECORD_TYPE_MAX + 1])
{
    const char *type = call->event.type;
    size_t n = strlen(type), tail = sizeof(requested) - 1;
    const char *end = call->result == CALL_SUCCESS ? ".succeeded" : ".failed";

    if (call->webhook && call->result == CALL_SUCCESS) {
        snprintf(ret_type, RECORD_TYPE_MAX + 1, "%s", call->webhook->becomes);
        return;
    }
    if (n > tail && strcmp(type + n - tail, requested) == 0)
        n -= tail;
    if (n > RECORD_TYPE_MAX - strlen(end))
        n = RECORD_TYPE_MAX - strlen(end);
    snprintf(ret_type, RECORD_TYPE_MAX + 1, "%.*s%s", (int)n, type, end);
}

static void outcome_attrs(const struct call *call, struct buf *attrs)
{
    const struct sb_outcome *o = &call->outcome;

    attrs_begin(attrs);
    if (call->result == CALL_FAILED)
        attrs_text(attrs, ATTR_ERROR_MSG, o->message);
    if (call->result != CALL_SUCCESS)
        return;
    if (o->has_cost) {
        attrs_int(attrs, ATTR_COST, o->cost);
        attrs_text(attrs, ATTR_CURRENCY, o->currency);
        attrs_text(attrs, ATTR_COST_KIND,
                   o->cost_kind == SB_ACTUAL ? "actual" : "estimated");
    }
    attrs_text(attrs, ATTR_CURSOR, o->cursor);
    if (o->more)
        attrs_bool(attrs, ATTR_MORE, true);
}

static void write_outcome(struct call *call, uint64_t now_us, struct buf *out)
{
    const struct record *r = call->event.record;
    struct buf attrs = BUF_NULL, data = BUF_NULL;
    char type[RECORD_TYPE_MAX + 1];
    uint8_t id[16];

    outcome_type(call, type);
    outcome_attrs(call, &attrs);
    if (call->outcome.data)
        js_write(call->outcome.data, 0, &data);
    redact(call, (char *)data.bytes, data.len);
    id_new(now_us, id);
    struct record_parts parts = {
        .kind = RECORD_OUTCOME,
        .status = call->result == CALL_SUCCESS ? STATUS_SUCCESS : STATUS_FAILED,
        .error_class = call->class,
        .flags = data.len ? RECORD_JSON : 0,
        .attempt = (uint8_t)(call->event.attempt < 255 ? call->event.attempt : 255),
        .type = type,
        .id = id,
        .cause = r->id,
        .time_us = now_us,
        .settles = call->event.position,
        .integration = integration_hash(call->integration->name),
        .attrs = attrs.bytes,
        .attr_len = attrs.len,
        .data = data.bytes,
        .data_len = data.len,
    };
    if (record_add(out, &parts) <
        0) { /* the data is what can be too large; the effect took place all the same */
        static const char note[] = "{\"left_out\":\"the outcome's data was over 1 MiB\"}";
        parts.data = note;
        parts.data_len = sizeof(note) - 1;
        record_add(out, &parts);
    }
    buf_fini(&attrs);
    buf_fini(&data);
}

/* False when one is over the limit. The ids follow from the request's, so that a repeated
 * run repeats them. */
static bool write_facts(struct call *call, uint64_t now_us, struct buf *out)
{
    const struct record *r = call->event.record;
    bool fits = true;

    for (size_t i = 0; fits && i < call->outcome.n_facts; i++) {
        const struct call_fact *fact = &call->outcome.facts[i];
        struct buf data = BUF_NULL;
        uint8_t id[16];
        js_write(fact->data, 0, &data);
        redact(call, (char *)data.bytes, data.len);
        id_derive(call->event.id, i, id);
        struct record_parts parts = {
            .kind = RECORD_FACT,
            .flags = RECORD_JSON,
            .type = fact->type,
            .id = id,
            .cause = r->id,
            .key = fact->key,
            .time_us = now_us,
            .integration = integration_hash(call->integration->name),
            .data = data.bytes,
            .data_len = data.len,
        };
        fits = record_add(out, &parts) >= 0;
        buf_fini(&data);
    }
    return fits;
}

static void write_retry(const struct call *call, struct buf *out)
{
    struct control_retry data = {
        .block = call->event.position.block,
        .index = call->event.position.index,
        .group = integration_hash(call->integration->name),
        .due_us = call->outcome.after_us,
        .attempts = call->was_started ? 1 : 0,
    };
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, call->outcome.message);
    struct record_parts parts = {.kind = RECORD_RETRY,
                                 .attrs = attrs.bytes,
                                 .attr_len = attrs.len,
                                 .data = &data,
                                 .data_len = sizeof(data)};
    record_add(out, &parts);
    buf_fini(&attrs);
}

void call_write(struct call *call, uint64_t now_us, struct buf *out)
{
    size_t before = out->len;

    redact(call, call->outcome.message, strlen(call->outcome.message));
    if (call->result == CALL_RETRY) {
        write_retry(call, out);
        return;
    }
    write_outcome(call, now_us, out);
    if (call->result != CALL_SUCCESS || !call->outcome.n_facts)
        return;
    if (write_facts(call, now_us, out) && out->len - before <= RECORD_GROUP_MAX)
        return;
    out->len = before;
    call->outcome.mistake =
        mem_text("the facts of one outcome are over 2 MiB, or one is over 1 MiB");
    spoiled(call);
    write_outcome(call, now_us, out);
}
