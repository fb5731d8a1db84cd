/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Reading is done in this process, from the log, and takes a moment. */
#include "gateway/query.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "gateway/audit.h"
#include "gateway/binary.h"
#include "gateway/cloudevent.h"
#include "gateway/gateway.h"
#include "gateway/problem.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/server.h"
#include "lib/ledger/ledger.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "proto/record.h"

enum { ANSWER_US = 5 * 1000 * 1000, LIMIT_MAX = 10000 };

/* A question to the broker. */
struct question {
    struct pending pending;
    struct queries *queries;
    struct question *next;
    query_reply_fn reply;
    uint64_t ref;
    struct loop_timer *timer;
};

struct queries {
    struct gateway *gateway;
    struct question *questions;
};

/* --- from the log --- */

struct ledger *query_ledger(struct gateway *gateway, struct http_request *request)
{
    char error[256];
    struct ledger *ledger = gateway_ledger(gateway, error, sizeof(error));
    if (!ledger)
        problem_reply(request, ERR_unavailable, "there is no log yet", 0);
    return ledger;
}

/* A row has "-" where nobody named a service; an event then has none. */
static const char *is_said(const char *service)
{
    return service && strcmp(service, "-") != 0 ? service : NULL;
}

struct json *query_cloudevent(const struct ledger_row *row)
{
    struct json *event = cloudevent_json(
        row->record, &(struct cloudevent_around){.timestamp_us = row->timestamp_us,
                                                 .integration = row->integration,
                                                 .service = is_said(row->service),
                                                 .cause = row->cause});
    js_set_text(event, "status", status_name(row->status));
    js_set_text(event, "errorclass", row->error_class);
    return js_set_text(event, "errormsg", row->error_msg);
}

/* One event in the form that was asked for; answered from inside, while its bytes are
 * there. */
struct one {
    struct http_request *request;
    bool is_binary, is_answered;
};

static void reply_structured(struct http_request *request, const struct ledger_row *row)
{
    if (cloudevent_is_accepted(request, CLOUDEVENT_JSON))
        answer_as(request, 200, CLOUDEVENT_JSON, query_cloudevent(row), NULL);
    else
        answer_json(request, 200, ledger_row_json(row), NULL);
}

static void reply_binary(struct http_request *request, const struct ledger_row *row)
{
    struct json *event = query_cloudevent(row);
    if (!binary_reply(request, event, record_data(row->record), row->record->data_len))
        problem_reply(request, ERR_event_too_large,
                      "its attributes are more than headers may hold; ask for "
                      "application/cloudevents+json",
                      0);
    js_free(event);
}

static bool take_row(void *user, const struct ledger_row *row)
{
    struct one *one = user;
    one->is_answered = true;
    if (one->is_binary)
        reply_binary(one->request, row);
    else
        reply_structured(one->request, row);
    return false;
}

void query_event(struct gateway *gateway, struct http_request *request,
                 const char *const *params)
{
    const char *mode = http_query(request, "mode");
    struct one one = {.request = request, .is_binary = mode && !strcmp(mode, "binary")};
    if (mode && !one.is_binary && strcmp(mode, "structured") != 0) {
        problem_reply(request, ERR_bad_request, "mode is structured or binary", 0);
        return;
    }
    struct ledger *ledger = query_ledger(gateway, request);
    if (!ledger)
        return;
    ledger_find(ledger, params[0], take_row, &one);
    if (!one.is_answered)
        problem_reply(request, ERR_not_found, "no event has this id", 0);
}

void query_trace(struct gateway *gateway, struct http_request *request,
                 const char *const *params)
{
    struct ledger *ledger = query_ledger(gateway, request);
    if (!ledger)
        return;
    struct json *trace = ledger_trace(ledger, params[0]);
    if (trace)
        answer_json(request, 200, trace, NULL);
    else
        problem_reply(request, ERR_not_found, "no event has this id", 0);
}

bool query_time(const char *text, uint64_t *ret_us)
{
    size_t n = strlen(text), zone = sizeof("+00:00") - 1;
    char copy[TEXT_TIME_SIZE + 8];
    if (n > zone && n < sizeof(copy) && text[n - zone] == ' ') {
        memcpy(copy, text, n + 1);
        copy[n - zone] = '+';
        return text_parse_time(copy, ret_us);
    }
    return text_parse_time(text, ret_us);
}

/* RFC 3339, or how long ago; never 0, which would be no bound. */
bool query_when(const char *text, uint64_t now_us, uint64_t *ret_us)
{
    uint64_t us;
    if (text_parse_duration(text, &us))
        us = us < now_us ? now_us - us : 0;
    else if (!query_time(text, &us))
        return false;
    *ret_us = us ? us : 1;
    return true;
}

static const char *read_status(const char *text, int *ret_status)
{
    static const enum record_status all[] = {STATUS_PENDING, STATUS_SUCCESS,
                                             STATUS_FAILED};
    for (size_t i = 0; i < 3; i++)
        if (!strcasecmp(text, status_name(all[i]))) {
            *ret_status = (int)all[i];
            return NULL;
        }
    return "status is pending, success or failed";
}

const char *query_filter(struct gateway *gateway, struct http_request *request,
                         struct ledger_filter *f)
{
    const char *status = http_query(request, "status"),
               *class = http_query(request, "class");
    const char *since = http_query(request, "since"),
               *until = http_query(request, "until");
    const char *limit = http_query(request, "limit");
    uint64_t now_us = loop_wall_us(gateway->loop);
    *f = (struct ledger_filter){
        .service = http_query(request, "service"),
        .type = http_query(request, "type"),
        .key = http_query(request, "key"),
        .cause = http_query(request, "cause"),
        .integration = http_query(request, "integration"),
        .cursor = http_query(request, "cursor"),
        .status = -1,
        .error_class = -1,
    };
    const char *why = status ? read_status(status, &f->status) : NULL;
    if (why)
        return why;
    if (class && (f->error_class = class_find(class)) <= 0)
        return QUERY_CLASS_WHY;
    if (f->type && !text_is_pattern(f->type))
        return QUERY_TYPE_WHY;
    if ((since && !query_when(since, now_us, &f->since_us)) ||
        (until && !query_when(until, now_us, &f->until_us)))
        return "since and until are times of RFC 3339, or how long ago, such as 1h";
    if (since && until && f->since_us >= f->until_us)
        return "since is not before until: nothing lies between";
    char *end = NULL;
    unsigned long n = limit ? strtoul(limit, &end, 10) : 0;
    if (limit && (!isdigit((unsigned char)*limit) || *end || n < 1 || n > LIMIT_MAX))
        return "limit is a number from 1 to 10000";
    f->limit = n;
    return NULL;
}

/* --- the audit --- */

static void on_audit(void *user, const struct json *result)
{
    struct pending *pending = user;
    if (pending->request && result)
        answer_json(pending->request, 200, js_copy(result), NULL);
    else if (pending->request)
        problem_reply(pending->request, ERR_unavailable, "the log could not be walked",
                      0);
    free(pending);
}

void query_audit(struct gateway *gateway, struct http_request *request,
                 const char *const *params)
{
    (void)params;
    struct pending *pending = mem_alloc(sizeof(*pending));
    pending->request = request;
    if (audit_start(gateway->audits, /* is_background= */ false, on_audit, pending)) {
        http_set_user(request, pending);
        return;
    }
    free(pending);
    if (audit_is_running(gateway->audits))
        problem_reply(request, ERR_too_many_requests, "an audit is running", 0);
    else
        problem_reply(request, ERR_unavailable, "no process for the audit", 0);
}

/* --- from the broker --- */

static void question_end(struct question *question)
{
    struct question **at = &question->queries->questions;
    while (*at != question)
        at = &(*at)->next;
    *at = question->next;
    loop_timer_free(question->timer);
    free(question);
}

static void answer(struct question *question, bool ok, const char *text)
{
    if (question->pending.request)
        question->reply(question->queries->gateway, question->pending.request, ok, text);
    question_end(question);
}

static void on_silence(void *user)
{
    answer(user, false, "the broker did not answer in time");
}

void query_ask(struct gateway *gateway, struct http_request *request, uint64_t wait_us,
               query_reply_fn reply)
{
    if (!peer_is_joined(gateway->peer)) {
        reply(gateway, request, false, "the broker is not reachable");
        return;
    }
    struct question *question = mem_alloc(sizeof(*question));
    *question = (struct question){.pending.request = request,
                                  .queries = gateway->queries,
                                  .next = gateway->queries->questions,
                                  .reply = reply};
    gateway->queries->questions = question;
    question->timer = loop_timer_new(gateway->loop, on_silence, question);
    loop_timer_in(question->timer, wait_us);
    http_set_user(request, question);
    question->ref = peer_admin(gateway->peer, "status", "{}");
}

static void reply_status(struct gateway *gateway, struct http_request *request, bool ok,
                         const char *text)
{
    (void)gateway;
    struct http_reply reply = {200, "application/json", text, strlen(text), NULL};
    if (ok)
        http_reply(request, &reply);
    else
        problem_reply(request, ERR_unavailable, text, 0);
}

void query_status(struct gateway *gateway, struct http_request *request,
                  const char *const *params)
{
    (void)params;
    query_ask(gateway, request, ANSWER_US, reply_status);
}

void queries_answer(struct queries *queries, uint64_t ref, bool ok, const char *json)
{
    struct question *question = queries->questions;
    while (question && question->ref != ref)
        question = question->next;
    if (question)
        answer(question, ok, json ? json : "");
}

/* --- alive, ready --- */

void query_health(struct gateway *gateway, struct http_request *request,
                  const char *const *params)
{
    (void)gateway;
    (void)params;
    struct http_reply reply = {200, "text/plain", "ok\n", 3, NULL};
    http_reply(request, &reply);
}

void query_ready(struct gateway *gateway, struct http_request *request,
                 const char *const *params)
{
    (void)params;
    struct http_reply reply = {200, "text/plain", "ready\n", 6, NULL};
    if (gateway_is_ready(gateway))
        http_reply(request, &reply);
    else
        problem_reply(request, ERR_unavailable,
                      peer_is_joined(gateway->peer) ? "the log takes nothing right now"
                                                    : "the broker is not reachable",
                      0);
}

struct queries *queries_new(struct gateway *gateway)
{
    struct queries *queries = mem_alloc(sizeof(*queries));
    queries->gateway = gateway;
    return queries;
}

void queries_free(struct queries *queries)
{
    if (!queries)
        return;
    while (queries->questions)
        question_end(queries->questions);
    free(queries);
}
