/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Reading is done in this process, from the log, and takes a moment; only the audit,
 * which walks the whole log, is done by a child of one request's life, so that webhooks
 * do not wait behind it. */
#include "gateway/query.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

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

enum { ANSWER_US = 5 * 1000 * 1000, LIMIT_MAX = 10000, RETRY_MS = 1000, AUDIT_S = 600 };

/* A question to the broker. */
struct question {
    struct pending pending;
    struct queries *queries;
    struct question *next;
    uint64_t ref;
    struct loop_timer *timer;
};

/* The audit that runs. */
struct audit {
    struct pending pending;
    struct queries *queries;
    struct loop_source *source;
    struct buf answer;
    pid_t pid;
    int fd;
};

struct queries {
    struct gateway *gateway;
    struct question *questions;
    struct audit *audit;
};

/* --- from the log --- */

static struct ledger *open_log(struct gateway *gateway, struct http_request *request)
{
    char error[256];
    struct ledger *ledger = gateway_ledger(gateway, error, sizeof(error));
    if (!ledger)
        problem_reply(request, ERR_unavailable, "there is no log yet", RETRY_MS);
    return ledger;
}

/* One event in the form that was asked for. */
struct one {
    bool is_cloudevent;
    struct json *json;
};

static bool take_row(void *user, const struct ledger_row *row)
{
    struct one *one = user;
    one->json = one->is_cloudevent ? query_cloudevent(row) : ledger_row_json(row);
    return false;
}

struct json *query_cloudevent(const struct ledger_row *row)
{
    struct json *event = cloudevent_json(
        row->record, &(struct cloudevent_around){.timestamp_us = row->timestamp_us,
                                                 .integration = row->integration,
                                                 .service = row->service,
                                                 .cause = row->cause});
    js_set_text(event, "status", status_name(row->status));
    js_set_text(event, "errorclass", row->error_class);
    return js_set_text(event, "errormsg", row->error_msg);
}

void query_event(struct gateway *gateway, struct http_request *request,
                 const char *const *params)
{
    struct one one = {.is_cloudevent = cloudevent_is_accepted(request, CLOUDEVENT_JSON)};
    struct ledger *ledger = open_log(gateway, request);
    if (!ledger)
        return;
    if (ledger_find(ledger, params[0], take_row, &one) && one.json)
        answer_as(request, 200, one.is_cloudevent ? CLOUDEVENT_JSON : "application/json",
                  one.json, NULL);
    else
        problem_reply(request, ERR_not_found, "no event has this id", 0);
}

void query_trace(struct gateway *gateway, struct http_request *request,
                 const char *const *params)
{
    struct ledger *ledger = open_log(gateway, request);
    if (!ledger)
        return;
    struct json *trace = ledger_trace(ledger, params[0]);
    if (trace)
        answer_json(request, 200, trace, NULL);
    else
        problem_reply(request, ERR_not_found, "no event has this id", 0);
}

/* RFC 3339, or how long ago. */
bool query_when(const char *text, uint64_t now_us, uint64_t *ret_us)
{
    uint64_t us;
    if (text_parse_duration(text, &us)) {
        *ret_us = us < now_us ? now_us - us : 1;
        return true;
    }
    return text_parse_time(text, ret_us);
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
        .integration = http_query(request, "integration"),
        .cursor = http_query(request, "cursor"),
        .status = -1,
        .error_class = -1,
    };
    const char *why = status ? read_status(status, &f->status) : NULL;
    if (why)
        return why;
    if (class && (f->error_class = class_find(class)) < 0)
        return "class is not one of an outcome's classes";
    if ((since && !query_when(since, now_us, &f->since_us)) ||
        (until && !query_when(until, now_us, &f->until_us)))
        return "since and until are times of RFC 3339, or how long ago, such as 1h";
    char *end = NULL;
    unsigned long n = limit ? strtoul(limit, &end, 10) : 0;
    if (limit && (*end || n < 1 || n > LIMIT_MAX))
        return "limit is a number from 1 to 10000";
    f->limit = n;
    return NULL;
}

static bool add_row(void *user, const struct ledger_row *row)
{
    js_push(user, ledger_row_json(row));
    return true;
}

void query_log(struct gateway *gateway, struct http_request *request,
               const char *const *params)
{
    (void)params;
    struct ledger_filter filter;
    const char *why = query_filter(gateway, request, &filter);
    if (why) {
        problem_reply(request, ERR_bad_request, why, 0);
        return;
    }
    struct ledger *ledger = open_log(gateway, request);
    if (!ledger)
        return;
    _free_ char *cursor = NULL;
    struct json *events = js_array();
    if (ledger_query(ledger, &filter, add_row, events, &cursor) < 0) {
        js_free(events);
        problem_reply(request, ERR_bad_request, ledger_error(ledger), 0);
        return;
    }
    struct json *body = js_set(js_object(), "events", events);
    js_set_text(body, "cursor", cursor);
    answer_json(request, 200, body, NULL);
}

/* --- the audit --- */

static struct json *audit_json(const struct ledger_audit *a)
{
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        {"accepted", a->accepted},
        {"requests", a->requests},
        {"facts", a->facts},
        {"success", a->success},
        {"failed", a->failed},
        {"pending", a->pending},
        {"unaccounted", a->unaccounted},
        {"outcomes", a->outcomes},
        {"duplicates", a->duplicates},
        {"damaged_blocks", a->damaged_blocks},
        {"missing_blocks", a->missing_blocks},
    };
    struct json *body = js_object();
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
        js_set_int(body, members[i].name, (int64_t)members[i].value);
    return body;
}

/* The child's whole life: it keeps nothing of ours but the pipe, and ends with us. */
static void run_audit(const char *log_dir, int fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(AUDIT_S);
    if (dup2(fd, STDOUT_FILENO) < 0 || close_range(STDERR_FILENO + 1, UINT_MAX, 0) != 0)
        _exit(1);
    struct ledger_audit audit = {0};
    struct ledger *ledger = ledger_open(log_dir, (char[256]){0}, 256);
    if (!ledger || ledger_audit(ledger, &audit, NULL, NULL) != 0)
        _exit(1);
    struct buf text = {0};
    js_write(audit_json(&audit), 0, &text);
    _exit(write(STDOUT_FILENO, text.bytes, text.len) == (ssize_t)text.len ? 0 : 1);
}

static void audit_end(struct audit *audit)
{
    audit->queries->audit = NULL;
    loop_unwatch(audit->source);
    close(audit->fd);
    int status = -1;
    while (waitpid(audit->pid, &status, 0) < 0 && errno == EINTR)
        ;
    struct http_request *request = audit->pending.request;
    struct json *body = status == 0 ? js_parse((const char *)audit->answer.bytes,
                                               audit->answer.len, (char[64]){0}, 64)
                                    : NULL;
    if (request && body)
        answer_json(request, 200, body, NULL);
    else if (request)
        problem_reply(request, ERR_unavailable, "the log could not be walked", RETRY_MS);
    if (!request)
        js_free(body);
    buf_fini(&audit->answer);
    free(audit);
}

static void on_audit(void *user, uint32_t events)
{
    (void)events;
    struct audit *audit = user;
    ssize_t n = read(audit->fd, buf_reserve(&audit->answer, 4096), 4096);
    if (n > 0)
        audit->answer.len += (size_t)n;
    else if (n == 0 || errno != EINTR)
        audit_end(audit);
}

void query_audit(struct gateway *gateway, struct http_request *request,
                 const char *const *params)
{
    (void)params;
    struct queries *queries = gateway->queries;
    int pipes[2] = {-1, -1};
    if (queries->audit) {
        problem_reply(request, ERR_too_many_requests, "an audit is running", RETRY_MS);
        return;
    }
    pid_t pid = pipe(pipes) == 0 ? fork() : -1;
    if (pid == 0)
        run_audit(gateway->log_dir, pipes[1]);
    if (pipes[1] >= 0)
        close(pipes[1]);
    if (pid < 0) {
        if (pipes[0] >= 0)
            close(pipes[0]);
        problem_reply(request, ERR_unavailable, "no process for the audit", RETRY_MS);
        return;
    }
    struct audit *audit = mem_alloc(sizeof(*audit));
    *audit = (struct audit){
        .pending.request = request, .queries = queries, .pid = pid, .fd = pipes[0]};
    audit->source = loop_watch(gateway->loop, audit->fd, EPOLLIN, on_audit, audit);
    queries->audit = audit;
    http_set_user(request, audit);
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

static void on_silence(void *user)
{
    struct question *question = user;
    if (question->pending.request)
        problem_reply(question->pending.request, ERR_unavailable,
                      "the broker did not answer in time", RETRY_MS);
    question_end(question);
}

void query_status(struct gateway *gateway, struct http_request *request,
                  const char *const *params)
{
    (void)params;
    if (!peer_is_joined(gateway->peer)) {
        problem_reply(request, ERR_unavailable, "the broker is not reachable", RETRY_MS);
        return;
    }
    struct question *question = mem_alloc(sizeof(*question));
    question->pending.request = request;
    question->queries = gateway->queries;
    question->next = gateway->queries->questions;
    gateway->queries->questions = question;
    question->timer = loop_timer_new(gateway->loop, on_silence, question);
    loop_timer_in(question->timer, ANSWER_US);
    http_set_user(request, question);
    question->ref = peer_admin(gateway->peer, "status", "{}");
}

void queries_answer(struct queries *queries, uint64_t ref, bool ok, const char *json)
{
    struct question *question = queries->questions;
    while (question && question->ref != ref)
        question = question->next;
    if (!question)
        return;
    struct http_request *request = question->pending.request;
    const char *text = json ? json : "";
    struct http_reply reply = {200, "application/json", text, strlen(text), NULL};
    if (request && ok)
        http_reply(request, &reply);
    else if (request)
        problem_reply(request, ERR_unavailable, text, RETRY_MS);
    question_end(question);
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
                      RETRY_MS);
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
    if (queries->audit) {
        queries->audit->pending.request = NULL;
        kill(queries->audit->pid, SIGKILL);
        audit_end(queries->audit);
    }
    free(queries);
}
