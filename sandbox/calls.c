/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "sandbox/provider.h"

enum { ENDLESS_MAX = 64 << 20, ENDLESS_PIECE = 16 << 10, ENDLESS_PAUSE_US = 5000 };

/* A request that is not answered yet: a slow answer, one in pieces or an endless one. */
struct waiting {
    struct calls *calls;
    struct waiting *next;
    struct http_request *request;
    struct loop_timer *timer;
    const struct provider *row;
    void *state;
    struct provider_answer answer;
    size_t sent;
};
struct calls {
    struct loop *loop;
    struct faults faults;
    struct waiting *waiting;
    int64_t taken, replayed, faulted;
};

struct calls *calls_new(struct loop *loop)
{
    struct calls *calls = mem_alloc(sizeof(*calls));

    calls->loop = loop;
    id_random(&calls->faults.random, sizeof(calls->faults.random));
    calls->faults.random |= 1;
    return calls;
}

struct faults *calls_faults(struct calls *calls)
{
    return &calls->faults;
}

void calls_status(const struct calls *calls, struct json *status)
{
    js_set_int(status, "calls", calls->taken);
    js_set_int(status, "replayed", calls->replayed);
    js_set_int(status, "faulted", calls->faulted);
}

/* --- answers --- */

static void answer_done(const struct provider *row, void *state,
                        struct provider_answer *answer)
{
    if (row->delivered)
        row->delivered(state, answer);
    buf_fini(&answer->body);
}

/* The answer as the server takes it; it borrows both. */
static struct http_reply reply_of(const struct provider_answer *answer,
                                  struct http_header headers[PROVIDER_HEADERS_MAX + 1])
{
    size_t n = answer->headers.n;

    for (size_t i = 0; i < n; i++)
        headers[i] = (struct http_header){answer->headers.all[i].name,
                                          answer->headers.all[i].value};
    headers[n] = (struct http_header){NULL, NULL};
    return (struct http_reply){
        .status = answer->status,
        .content_type = answer->content_type ? answer->content_type : "application/json",
        .body = answer->body.bytes,
        .body_len = answer->body.len,
        .headers = headers,
    };
}

static void send_answer(struct http_request *request,
                        const struct provider_answer *answer)
{
    struct http_header headers[PROVIDER_HEADERS_MAX + 1];
    struct http_reply reply = reply_of(answer, headers);

    http_reply(request, &reply);
}

static const char *header_of(const void *user, const char *name)
{
    return http_header(user, name);
}

/* Where the first piece of the body behind `at` ends. */
static size_t piece_end(struct provider_answer *answer, size_t at)
{
    const char *from = buf_str(&answer->body) + at, *end = strstr(from, "\n\n");

    return end ? at + (size_t)(end - from) + 2 : answer->body.len;
}

static void ask(struct calls *calls, const struct provider *row, void *state,
                const struct http_request *request, const char *path,
                struct provider_answer *answer)
{
    const char *query = strchr(http_target(request), '?');
    struct provider_call call = {
        .method = http_method(request),
        .path = path,
        .query = query ? query + 1 : NULL,
        .header = header_of,
        .user = request,
        .now_us = loop_wall_us(calls->loop),
    };

    call.body = http_body(request, &call.body_len);
    *answer = (struct provider_answer){.status = 200};
    row->call(state, &call, answer);
    calls->replayed += answer->is_replayed;
}

/* --- what waits --- */

static struct waiting *wait_for(struct calls *calls, struct http_request *request,
                                void (*fn)(void *))
{
    struct waiting *waiting = mem_alloc(sizeof(*waiting));

    waiting->calls = calls;
    waiting->next = calls->waiting;
    calls->waiting = waiting;
    waiting->request = request;
    waiting->timer = loop_timer_new(calls->loop, fn, waiting);
    return waiting;
}

static void waiting_free(struct waiting *waiting)
{
    struct waiting **at = &waiting->calls->waiting;

    while (*at != waiting)
        at = &(*at)->next;
    *at = waiting->next;
    loop_timer_free(waiting->timer);
    if (waiting->row)
        answer_done(waiting->row, waiting->state, &waiting->answer);
    free(waiting);
}

void calls_gone(struct calls *calls, struct http_request *request)
{
    for (struct waiting *waiting = calls->waiting; waiting; waiting = waiting->next)
        if (waiting->request == request) {
            waiting_free(waiting);
            return;
        }
}

void calls_free(struct calls *calls)
{
    if (!calls)
        return;
    while (calls->waiting)
        waiting_free(calls->waiting);
    free(calls);
}

/* --- answers in pieces --- */

static void on_piece(void *user)
{
    struct waiting *waiting = user;
    struct http_request *request = waiting->request;
    struct provider_answer *answer = &waiting->answer;
    size_t end = piece_end(answer, waiting->sent);
    bool breaks_off = answer->breaks_off && end > answer->body.len / 2;

    if (!http_stream_write(request, answer->body.bytes + waiting->sent,
                           end - waiting->sent))
        breaks_off = true; /* the client does not read */
    waiting->sent = end;
    if (end < answer->body.len && !breaks_off) {
        loop_timer_in(waiting->timer, answer->piece_ms * UINT64_C(1000));
        return;
    }
    waiting_free(waiting);
    http_stream_end(request, breaks_off);
}

/* Answer with what is ready now: at once, or piece by piece. */
static void deliver(struct waiting *waiting)
{
    struct http_header headers[PROVIDER_HEADERS_MAX + 1];
    struct http_reply reply = reply_of(&waiting->answer, headers);

    if (!waiting->answer.piece_ms) {
        http_reply(waiting->request, &reply);
        waiting_free(waiting);
        return;
    }
    loop_timer_free(waiting->timer);
    waiting->timer = loop_timer_new(waiting->calls->loop, on_piece, waiting);
    http_stream_start(waiting->request, &reply);
    loop_timer_in(waiting->timer, 0);
}

/* --- faults --- */

static void on_slow(void *user)
{
    deliver(user);
}

static void on_endless(void *user)
{
    static char piece[ENDLESS_PIECE];
    struct waiting *waiting = user;
    struct http_request *request = waiting->request;

    memset(piece, ' ', sizeof(piece));
    if (http_stream_write(request, piece, sizeof(piece)))
        waiting->sent += sizeof(piece);
    if (waiting->sent < ENDLESS_MAX) {
        loop_timer_in(waiting->timer, ENDLESS_PAUSE_US);
        return;
    }
    waiting_free(waiting);
    http_stream_end(request, true);
}

static void start_endless(struct calls *calls, struct http_request *request)
{
    struct http_reply head = {.status = 200, .content_type = "application/json"};

    http_stream_start(request, &head);
    loop_timer_in(wait_for(calls, request, on_endless)->timer, 0);
}

/* The head and half a sentence, then the connection is closed. */
static void cut(struct http_request *request)
{
    struct http_reply head = {.status = 200, .content_type = "application/json"};

    http_stream_start(request, &head);
    http_stream_write(request, "{\n  \"id\": \"", 11);
    http_stream_end(request, true);
}

static void refuse(struct http_request *request, const struct provider *row,
                   unsigned status, const struct fault *fault)
{
    struct provider_answer answer = {.body = BUF_NULL};

    row->refuse(status, &answer);
    if (status == 429)
        provider_header(&answer.headers, "Retry-After", "%u", fault->retry_after);
    send_answer(request, &answer);
    buf_fini(&answer.body);
}

static void answer_garbage(struct http_request *request)
{
    static const char page[] =
        "<html><head><title>Welcome to nginx!</title></head><body>it works";
    struct http_reply reply = {.status = 200,
                               .content_type = "application/json",
                               .body = page,
                               .body_len = sizeof(page) - 1};

    http_reply(request, &reply);
}

static void answer_late(struct calls *calls, const struct provider *row, void *state,
                        struct http_request *request, const char *path, unsigned ms)
{
    struct waiting *waiting = wait_for(calls, request, on_slow);

    waiting->row = row;
    waiting->state = state;
    ask(calls, row, state, request, path, &waiting->answer);
    loop_timer_in(waiting->timer, ms * UINT64_C(1000));
}

/* The answer is taken over. */
static void answer_in_pieces(struct calls *calls, const struct provider *row, void *state,
                             struct http_request *request,
                             const struct provider_answer *answer)
{
    struct waiting *waiting = wait_for(calls, request, on_piece);

    waiting->row = row;
    waiting->state = state;
    waiting->answer = *answer;
    deliver(waiting);
}

void calls_take(struct calls *calls, const struct provider *row, void *state,
                struct http_request *request, const char *path)
{
    struct fault fault = faults_take(&calls->faults, row->name);
    struct provider_answer answer;

    calls->taken++;
    calls->faulted += fault.kind != FAULT_NONE;
    switch (fault.kind) {
    case FAULT_RATE_LIMITED:
        refuse(request, row, 429, &fault);
        break;
    case FAULT_BROKEN:
        refuse(request, row, 500, &fault);
        break;
    case FAULT_GARBAGE:
        answer_garbage(request);
        break;
    case FAULT_ENDLESS:
        start_endless(calls, request);
        break;
    case FAULT_CUT:
        cut(request);
        break;
    case FAULT_CUT_AFTER_EFFECT:
        ask(calls, row, state, request, path, &answer);
        answer_done(row, state, &answer);
        cut(request);
        break;
    case FAULT_SLOW:
        answer_late(calls, row, state, request, path, fault.ms);
        break;
    case FAULT_NONE:
        ask(calls, row, state, request, path, &answer);
        if (answer.piece_ms) {
            answer_in_pieces(calls, row, state, request, &answer);
            break;
        }
        send_answer(request, &answer);
        answer_done(row, state, &answer);
        break;
    }
}
