/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/gateway.h"
#include "gateway/problem.h"
#include "gateway/query.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/ledger/ledger.h"
#include "lib/loop/loop.h"

enum {
    HEARTBEAT_US = 15 * 1000 * 1000,
    CHECK_US = 2 * 1000 * 1000, /* how long a stream may outlive its token */
    RECORDS_PER_TURN = 2000,    /* of one stream; then the others have their turn */
    BLOCK_DIGITS_MAX = 18,
    INDEX_DIGITS_MAX = 10,
};

#define DIGITS "0123456789"

struct stream {
    struct pending pending; /* first: of http_user() */
    struct stream *next;
    struct ledger_filter filter; /* its texts are owned */
    struct position after;
    uint64_t said_us, checked_us; /* steady */
    uint8_t token_hash[32];       /* with whose right */
    bool is_behind;               /* the buffer was full */
};

struct streams {
    struct gateway *gateway;
    struct stream *first;
    struct loop_timer *timer;
    unsigned n;
};

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

static void stream_free(struct stream *stream)
{
    struct ledger_filter *f = &stream->filter;
    free_text(f->service);
    free_text(f->type);
    free_text(f->key);
    free_text(f->integration);
    free(stream);
}

/* --- writing --- */

static bool write_text(struct stream *stream, uint64_t now_us, struct buf *text)
{
    bool good = http_stream_write(stream->pending.request, text->bytes, text->len);
    if (good)
        stream->said_us = now_us;
    return good;
}

struct telling {
    struct stream *stream;
    uint64_t now_us;
};

static struct position before(struct position at)
{
    return at.index ? (struct position){at.block, at.index - 1}
                    : (struct position){at.block - 1, UINT32_MAX};
}

/* One event; false when the reader is too far behind: it is read again later. */
static bool tell(void *user, const struct ledger_row *row)
{
    struct telling *telling = user;
    struct stream *stream = telling->stream;
    struct json *event = query_cloudevent(row);
    struct buf text = {0};
    buf_format(&text, "id: %" PRIu64 "-%u\ndata: ", row->position.block,
               (unsigned)row->position.index);
    js_write(event, 0, &text);
    buf_text(&text, "\n\n");
    js_free(event);
    if (!write_text(stream, telling->now_us, &text)) {
        stream->after = before(row->position);
        stream->is_behind = true;
    }
    buf_fini(&text);
    return !stream->is_behind;
}

/* What was removed by age or size since the reader was here is said, not passed over. */
static bool tell_gap(struct stream *stream, uint64_t now_us, uint64_t start)
{
    struct buf text = {0};
    buf_format(&text,
               "event: gap\ndata: {\"from_block\":%" PRIu64 ",\"to_block\":%" PRIu64
               "}\n\n",
               stream->after.block + 1, start - 1);
    bool good = write_text(stream, now_us, &text);
    if (good)
        stream->after = (struct position){start - 1, UINT32_MAX};
    buf_fini(&text);
    return good;
}

/* An empty event that is not dispatched moves the reader's last id on. */
static void beat(struct stream *stream, uint64_t now_us)
{
    struct buf text = {0};
    buf_format(&text, ": still here\nid: %" PRIu64 "-%u\n\n", stream->after.block,
               (unsigned)stream->after.index);
    write_text(stream, now_us, &text);
    buf_fini(&text);
}

/* True when there is more for it. */
static bool pump(struct stream *stream, struct ledger *ledger, uint64_t now_us)
{
    uint64_t start = ledger_start(ledger);
    struct telling telling = {stream, now_us};
    stream->is_behind = false;
    if (start > stream->after.block + 1 && !tell_gap(stream, now_us, start))
        return false;
    struct position after = stream->after;
    ledger_forward(ledger, &stream->filter, &after, RECORDS_PER_TURN, tell, &telling);
    if (!stream->is_behind)
        stream->after = after;
    return !stream->is_behind && stream->after.index != UINT32_MAX;
}

/* Whose token was revoked or has ended reads no further. */
static void end_if_not_allowed(struct gateway *gateway, struct stream *stream,
                               uint64_t now_us)
{
    if (now_us < stream->checked_us + CHECK_US)
        return;
    stream->checked_us = now_us;
    if (token_is_valid(&gateway->tokens, loop_wall_us(gateway->loop), stream->token_hash))
        return;
    http_set_user(stream->pending.request, NULL);
    http_stream_end(stream->pending.request, /* abort= */ false);
    stream->pending.request = NULL;
}

/* --- the clock --- */

static void on_tick(void *user)
{
    struct streams *streams = user;
    struct gateway *gateway = streams->gateway;
    struct ledger *ledger = gateway_ledger(gateway, (char[256]){0}, 256);
    uint64_t now_us = loop_steady_us(gateway->loop);
    uint64_t end = ledger ? ledger_end(ledger) : 0;
    bool has_more = false;
    for (struct stream **at = &streams->first; *at;) {
        struct stream *stream = *at;
        if (stream->pending.request)
            end_if_not_allowed(gateway, stream, now_us);
        if (!stream->pending.request) {
            *at = stream->next;
            streams->n--;
            stream_free(stream);
            continue;
        }
        if (stream->after.block < end || stream->after.index != UINT32_MAX)
            has_more |= pump(stream, ledger, now_us);
        if (stream->said_us + HEARTBEAT_US <= now_us)
            beat(stream, now_us);
        at = &stream->next;
    }
    if (streams->first)
        loop_timer_in(streams->timer, has_more ? 0 : STREAM_WAIT_US);
}

/* --- starting --- */

/* BLOCK-INDEX, digits and nothing else. */
static bool read_last_id(const char *text, struct position *ret)
{
    size_t n = strspn(text, DIGITS),
           rest = text[n] == '-' ? strspn(text + n + 1, DIGITS) : 0;
    if (n == 0 || n > BLOCK_DIGITS_MAX || rest == 0 || rest > INDEX_DIGITS_MAX ||
        text[n + 1 + rest])
        return false;
    uint64_t index = strtoull(text + n + 1, NULL, 10);
    *ret = (struct position){strtoull(text, NULL, 10), (uint32_t)index};
    return index <= UINT32_MAX;
}

/* Where to go on; NULL, or what is wrong. Beyond the end nothing would come for long, and
 * then not what was missed: the reader knew another log, one that was there before a
 * backup was put back. */
static const char *read_place(const struct http_request *request, uint64_t end,
                              struct position *ret)
{
    const char *last = http_header(request, "Last-Event-ID");
    *ret = (struct position){end, UINT32_MAX};
    if (!last || !*last)
        return NULL;
    if (!read_last_id(last, ret))
        return "Last-Event-ID is not an id of this stream";
    return ret->block <= end ? NULL
                             : "Last-Event-ID lies beyond the end of the log: it is of "
                               "another one, or of this one before it was restored";
}

static const char *read_request(struct gateway *gateway, struct http_request *request,
                                uint64_t end, struct stream *ret)
{
    const char *why = query_filter(gateway, request, &ret->filter);
    struct ledger_filter *f = &ret->filter;
    if (!why)
        why = read_place(request, end, &ret->after);
    if (why)
        return why;
    f->records = true;
    f->service = mem_text(f->service);
    f->type = mem_text(f->type);
    f->key = mem_text(f->key);
    f->integration = mem_text(f->integration);
    return NULL;
}

/* Takes the stream over. */
static void begin(struct streams *streams, struct stream *stream,
                  const struct http_reply *head)
{
    static const char hello[] = ": signalbox\nretry: 1000\n\n";
    struct gateway *gateway = streams->gateway;
    struct http_request *request = stream->pending.request;
    stream->said_us = stream->checked_us = loop_steady_us(gateway->loop);
    memcpy(stream->token_hash, gateway->caller->hash, sizeof(stream->token_hash));
    stream->next = streams->first;
    streams->first = stream;
    streams->n++;
    http_set_user(request, stream);
    http_stream_start(request, head);
    http_stream_write(request, hello, sizeof(hello) - 1);
    loop_timer_in(streams->timer, 0);
}

void stream_start(struct gateway *gateway, struct http_request *request,
                  const char *const *params)
{
    (void)params;
    static const struct http_header headers[] = {
        {"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}, {NULL, NULL}};
    static const struct http_reply head = {200, "text/event-stream", NULL, 0, headers};
    struct ledger *ledger = query_ledger(gateway, request);
    struct stream asked = {.pending.request = request};
    if (!ledger)
        return;
    const char *why = read_request(gateway, request, ledger_end(ledger), &asked);
    if (why) {
        problem_reply(request, ERR_bad_request, why, 0);
        return;
    }
    struct stream *stream = mem_copy(&asked, sizeof(asked));
    bool is_head = !strcmp(http_method(request), "HEAD"); /* takes no place */
    if (!is_head && gateway->streams->n < gateway->config->gateway.max_streams) {
        begin(gateway->streams, stream, &head);
        return;
    }
    stream_free(stream);
    if (is_head)
        http_reply(request, &head);
    else
        problem_reply(request, ERR_too_many_requests, "gateway.max_streams are open", 0);
}

/* --- life --- */

struct streams *streams_new(struct gateway *gateway)
{
    struct streams *streams = mem_alloc(sizeof(*streams));
    streams->gateway = gateway;
    streams->timer = loop_timer_new(gateway->loop, on_tick, streams);
    return streams;
}

void streams_stop(struct streams *streams)
{
    loop_timer_stop(streams->timer);
    while (streams->first) {
        struct stream *stream = streams->first;
        streams->first = stream->next;
        streams->n--;
        if (stream->pending.request) {
            http_set_user(stream->pending.request, NULL);
            http_stream_end(stream->pending.request, /* abort= */ false);
        }
        stream_free(stream);
    }
}

void streams_free(struct streams *streams)
{
    if (!streams)
        return;
    streams_stop(streams);
    loop_timer_free(streams->timer);
    free(streams);
}

unsigned streams_count(const struct streams *streams)
{
    return streams->n;
}
