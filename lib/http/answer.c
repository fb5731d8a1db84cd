/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Answers, whole or as a stream.  Each resumes its connection; the request may be freed
 * before that returns. */
#include <assert.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/base/buf.h"
#include "lib/http/request.h"
#include "lib/loop/loop.h"

enum {
    STREAM_BEHIND_MAX =
        1 << 20, /* what a stream's reader may be behind, unless it is a
                    single piece; beyond it http_stream_write says false */
    STREAM_PIECE = 16 << 10,
};

static struct MHD_Response *make_response(const struct http_reply *reply,
                                          struct MHD_Response *response, bool is_last)
{
    if (!response) /* libmicrohttpd does not change a body it is to copy */
        response = MHD_create_response_from_buffer(
            reply->body_len, (void *)(uintptr_t)reply->body, MHD_RESPMEM_MUST_COPY);
    if (!response)
        return NULL;
    if (reply->content_type)
        MHD_add_response_header(response, "Content-Type", reply->content_type);
    if (is_last)
        MHD_add_response_header(response, "Connection", "close");
    for (const struct http_header *h = reply->headers; h && h->name; h++)
        MHD_add_response_header(response, h->name, h->value);
    return response;
}

/* Hand a response over; the connection goes on. The request may be freed before this
 * returns. */
static void queue_response(struct http_request *request, unsigned status,
                           struct MHD_Response *response)
{
    const struct http_server_options *o = &request->server->options;
    if (o->on_answered)
        o->on_answered(o->user, request, status,
                       loop_steady_us(request->server->loop) - request->since_us);
    /* A failure leaves the connection without an answer; resumed, libmicrohttpd closes
     * it. */
    if (!response || MHD_queue_response(request->mhd, status, response) != MHD_YES)
        shutdown(request->connection->fd, SHUT_RDWR);
    if (response)
        MHD_destroy_response(response);
    request_resume(request);
}

void http_reply(struct http_request *request, const struct http_reply *reply)
{
    if (request->state == REQUEST_REPLIED) /* the server stops and has answered it */
        return;
    assert(request->state == REQUEST_OWNED);
    request->state = REQUEST_REPLIED;
    queue_response(
        request, reply->status,
        make_response(reply, NULL, request->is_last || request->server->is_stopping));
}

void request_refuse(struct http_request *request, unsigned status)
{
    struct http_reply reply = {.status = status};
    if (request->server->options.on_refused)
        request->server->options.on_refused(request->server->options.user, request,
                                            status, &reply);
    struct MHD_Response *response = make_response(&reply, NULL, /* is_last= */ true);
    request->state = REQUEST_REPLIED;
    queue_response(request, status, response);
}

void request_drop_body(struct http_request *request)
{
    request->server->body_bytes -= request->counted;
    request->counted = 0;
    buf_fini(&request->body);
}

/* --- streams --- */

static ssize_t stream_read(void *user, uint64_t position, char *out, size_t max)
{
    (void)position;
    struct http_request *request = user;
    size_t n = request->body.len - request->thrown_away;
    if (n == 0) {
        if (request->is_aborted)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        if (request->is_ended)
            return MHD_CONTENT_READER_END_OF_STREAM;
        request->is_suspended = true;
        MHD_suspend_connection(request->mhd);
        return 0;
    }
    if (n > max)
        n = max;
    memcpy(out, request->body.bytes + request->thrown_away, n);
    request->thrown_away += n;
    if (request->thrown_away == request->body.len) {
        buf_clear(&request->body);
        request->thrown_away = 0;
        if (request->server->options.on_drained && request->state == REQUEST_STREAMING)
            request->server->options.on_drained(request->server->options.user, request);
    }
    return (ssize_t)n;
}

void http_stream_start(struct http_request *request, const struct http_reply *head)
{
    assert(request->state == REQUEST_OWNED);
    request->state = REQUEST_STREAMING;
    request_drop_body(request);
    request->thrown_away = 0;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_PIECE, stream_read, request, NULL);
    queue_response(request, head->status,
                   response ? make_response(head, response, /* is_last= */ false) : NULL);
}

bool http_stream_write(struct http_request *request, const void *bytes, size_t n)
{
    size_t behind = request->body.len - request->thrown_away;
    if (request->state != REQUEST_STREAMING ||
        (behind > 0 && behind + n > STREAM_BEHIND_MAX))
        return false;
    if (request->thrown_away > 0) {
        size_t rest = request->body.len - request->thrown_away;
        memmove(request->body.bytes, request->body.bytes + request->thrown_away, rest);
        request->body.len = rest;
        request->thrown_away = 0;
    }
    buf_add(&request->body, bytes, n);
    request_resume(request);
    return true;
}

void http_stream_end(struct http_request *request, bool abort)
{
    if (request->state != REQUEST_STREAMING)
        return;
    request->state = REQUEST_REPLIED;
    request->is_ended = true;
    request->is_aborted = abort;
    if (abort) /* also what is not sent yet */
        request->thrown_away = request->body.len;
    request_resume(request);
}
