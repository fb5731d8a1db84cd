/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The server over real sockets, client and server on one thread: the client writes, the
 * loop turns, the client reads. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"

enum { BODY_MAX = 4096, BODIES_MAX = 6000 };

struct box {
    struct loop *loop;
    struct http_server *server;
    struct http_request *held[64];
    unsigned n_held, seen, gone, drained;
    bool holds, streams;
    char method[16], path[256], query[64], body[BODY_MAX + 1];
    size_t body_len;
};

static void on_request(void *user, struct http_request *request)
{
    struct box *box = user;
    box->seen++;
    snprintf(box->method, sizeof(box->method), "%s", http_method(request));
    snprintf(box->path, sizeof(box->path), "%s", http_path(request));
    const char *query = http_query(request, "q");
    snprintf(box->query, sizeof(box->query), "%s", query ? query : "(none)");
    const void *body = http_body(request, &box->body_len);
    memcpy(box->body, body, box->body_len);
    box->body[box->body_len] = 0;
    if (box->holds) {
        box->held[box->n_held++] = request;
        return;
    }
    const struct http_header headers[] = {{"X-Test", "yes"}, {NULL, NULL}};
    struct http_reply reply = {200, "text/plain", "fine", 4, headers};
    http_reply(request, &reply);
}

static void on_gone(void *user, struct http_request *request)
{
    (void)request;
    struct box *box = user;
    box->gone++;
}

static void on_drained(void *user, struct http_request *request)
{
    (void)request;
    struct box *box = user;
    box->drained++;
}

static void on_refused(void *user, const struct http_request *request, unsigned status,
                       struct http_reply *ret_reply)
{
    (void)request;
    (void)user;
    (void)status;
    ret_reply->content_type = "text/plain";
    ret_reply->body = "refused";
    ret_reply->body_len = 7;
}

static int open_box(void **state)
{
    struct box *box = calloc(1, sizeof(*box));
    box->loop = loop_new();
    struct http_server_options options = {.address = "127.0.0.1",
                                          .body_max = BODY_MAX,
                                          .bodies_max = BODIES_MAX,
                                          .read_timeout_us = 300 * 1000,
                                          .on_request = on_request,
                                          .on_gone = on_gone,
                                          .on_drained = on_drained,
                                          .on_refused = on_refused,
                                          .user = box};
    char error[200];
    box->server = http_server_new(box->loop, &options, error, sizeof(error));
    *state = box;
    return box->server ? 0 : -1;
}

static int close_box(void **state)
{
    struct box *box = *state;
    http_server_free(box->server);
    loop_free(box->loop);
    free(box);
    return 0;
}

static int dial(struct box *box)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(box->server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void put(int fd, const void *bytes, size_t n)
{
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), n);
}

static void put_text(int fd, const char *text)
{
    put(fd, text, strlen(text));
}

/* Turn for `ms`, or until the client has `want` bytes or the connection's end. */
static bool collect(struct box *box, int fd, struct buf *got, const char *want, int ms)
{
    uint64_t end = clock_steady_us() + (uint64_t)ms * 1000;
    while (clock_steady_us() < end) {
        loop_turn(box->loop, 5);
        ssize_t n = recv(fd, buf_reserve(got, 65536), 65536, 0);
        if (n > 0)
            got->len += (size_t)n;
        if (n == 0 || (n < 0 && errno != EAGAIN))
            return true; /* closed */
        if (want && strstr(buf_str(got), want))
            return false;
    }
    return false;
}

static int status_of(struct buf *got)
{
    return strncmp(buf_str(got), "HTTP/1.1 ", 9) == 0 ? atoi(buf_str(got) + 9) : 0;
}

/* One connection, one text; the status of the answer, 0 when there is none. */
static int ask_bytes(struct box *box, const void *text, size_t n)
{
    struct buf got = {0};
    int fd = dial(box);
    put(fd, text, n);
    collect(box, fd, &got, "\r\n\r\n", 200);
    int status = status_of(&got);
    close(fd);
    buf_fini(&got);
    return status;
}

static int ask(struct box *box, const char *text)
{
    return ask_bytes(box, text, strlen(text));
}

static void request_arrives_whole(void **state)
{
    struct box *box = *state;
    assert_int_equal(ask(box, "POST /a%20b/c?q=1%262 HTTP/1.1\r\nHost: "
                              "x\r\nContent-Length: 5\r\n\r\nhello"),
                     200);
    assert_string_equal(box->method, "POST");
    assert_string_equal(box->path, "/a b/c");
    assert_string_equal(box->query, "1&2");
    assert_string_equal(box->body, "hello");
}

static void body_comes_byte_by_byte_and_in_chunks(void **state)
{
    struct box *box = *state;
    const char *text = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                       "chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    struct buf got = {0};
    int fd = dial(box);
    for (size_t i = 0; text[i]; i++) {
        put(fd, text + i, 1);
        loop_turn(box->loop, 0);
    }
    collect(box, fd, &got, "fine", 500);
    assert_int_equal(status_of(&got), 200);
    assert_non_null(strstr(buf_str(&got), "X-Test: yes"));
    assert_string_equal(box->body, "abcde");
    close(fd);
    buf_fini(&got);
}

static void connection_serves_many_requests(void **state)
{
    struct box *box = *state;
    int fd = dial(box);
    for (int i = 0; i < 50; i++) {
        struct buf got = {0};
        put_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert_false(collect(box, fd, &got, "fine", 500));
        assert_int_equal(status_of(&got), 200);
        buf_fini(&got);
    }
    assert_int_equal(box->seen, 50);
    close(fd);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    struct box *box = *state;
    struct buf got = {0};
    int fd = dial(box);
    const char *two = "GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: "
                      "x\r\nConnection: close\r\n\r\n";
    put(fd, two, strlen(two));
    assert_true(collect(box, fd, &got, NULL, 500));
    assert_int_equal(box->seen, 2);
    assert_string_equal(box->path, "/2");
    close(fd);
    buf_fini(&got);
}

/* A sender that asks first, and one that would send far too much, are told at once. */
static void declared_body_over_the_limit_is_413_before_it_comes(void **state)
{
    struct box *box = *state;
    static const char *const heads[] = {
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
        "4097\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16385\r\n\r\n"};
    for (size_t i = 0; i < 2; i++) {
        struct buf got = {0};
        int fd = dial(box);
        put(fd, heads[i], strlen(heads[i]));
        assert_true(collect(box, fd, &got, NULL, 500));
        assert_int_equal(status_of(&got), 413);
        assert_non_null(strstr(buf_str(&got), "refused"));
        assert_int_equal(box->seen, 0);
        close(fd);
        buf_fini(&got);
    }
}

/* A sender that is sending already gets to read it. */
static void sent_body_over_the_limit_is_413_when_it_is_there(void **state)
{
    struct box *box = *state;
    char text[2 * BODY_MAX + 100];
    int head = snprintf(text, sizeof(text),
                        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n",
                        2 * BODY_MAX);
    memset(text + head, 'x', 2 * BODY_MAX);
    assert_int_equal(ask_bytes(box, text, (size_t)head + 2 * BODY_MAX), 413);
    assert_int_equal(box->seen, 0);
}

static void body_at_the_limit_is_taken(void **state)
{
    struct box *box = *state;
    char text[BODY_MAX + 100];
    int head =
        snprintf(text, sizeof(text),
                 "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", BODY_MAX);
    memset(text + head, 'x', BODY_MAX);
    assert_int_equal(ask_bytes(box, text, (size_t)head + BODY_MAX), 200);
    assert_int_equal(box->body_len, BODY_MAX);
}

static void chunked_body_over_the_limit_is_413(void **state)
{
    struct box *box = *state;
    char text[BODY_MAX + 200];
    int n = snprintf(
        text, sizeof(text),
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1001\r\n");
    memset(text + n, 'x', 0x1001);
    n += 0x1001;
    n += snprintf(text + n, sizeof(text) - (size_t)n, "\r\n0\r\n\r\n");
    assert_int_equal(ask_bytes(box, text, (size_t)n), 413);
    assert_int_equal(box->seen, 0);
}

static void slow_sender_is_cut_at_the_deadline(void **state)
{
    struct box *box = *state;
    const char *text = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    struct buf got = {0};
    int fd = dial(box);
    put(fd, text, strlen(text));
    uint64_t begin = clock_steady_us();
    bool is_closed = false;
    while (!is_closed && clock_steady_us() - begin < 2000 * 1000) {
        (void)!send(fd, "x", 1, MSG_NOSIGNAL); /* never silent for long */
        is_closed = collect(box, fd, &got, NULL, 50);
    }
    uint64_t took_ms = (clock_steady_us() - begin) / 1000;
    assert_true(is_closed);
    assert_in_range(took_ms, 250, 900);
    assert_int_equal(box->seen, 0);
    close(fd);
    buf_fini(&got);
}

static void slow_head_is_cut_at_the_deadline(void **state)
{
    struct box *box = *state;
    struct buf got = {0};
    int fd = dial(box);
    put(fd, "GET / HT", 8);
    assert_true(collect(box, fd, &got, NULL, 1500));
    for (int i = 0; i < 10 && http_server_connections(box->server); i++)
        loop_turn(box->loop, 5);
    assert_int_equal(http_server_connections(box->server), 0);
    close(fd);
    buf_fini(&got);
}

static void held_request_is_answered_later_and_outlives_the_read_deadline(void **state)
{
    struct box *box = *state;
    box->holds = true;
    int fds[64];
    for (int i = 0; i < 64; i++) {
        fds[i] = dial(box);
        put_text(fds[i], "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    }
    uint64_t end = clock_steady_us() + 500 * 1000;
    while (clock_steady_us() < end)
        loop_turn(box->loop, 20);
    assert_int_equal(box->n_held, 64);
    struct http_reply reply = {
        .status = 200, .content_type = "text/plain", .body = "late", .body_len = 4};
    for (int i = 0; i < 64; i++)
        http_reply(box->held[i], &reply);
    for (int i = 0; i < 64; i++) {
        struct buf got = {0};
        assert_false(collect(box, fds[i], &got, "late", 500));
        assert_int_equal(status_of(&got), 200);
        close(fds[i]);
        buf_fini(&got);
    }
}

static void client_that_left_is_answered_without_harm(void **state)
{
    struct box *box = *state;
    box->holds = true;
    int fd = dial(box);
    put_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (box->n_held == 0)
        loop_turn(box->loop, 5);
    close(fd);
    loop_turn(box->loop, 5);
    struct http_reply reply = {.status = 200};
    http_reply(box->held[0], &reply);
    for (int i = 0; i < 50 && http_server_connections(box->server); i++)
        loop_turn(box->loop, 5);
    assert_int_equal(http_server_connections(box->server), 0);
}

static void stopping_server_takes_requests_back(void **state)
{
    struct box *box = *state;
    box->holds = true;
    int fd = dial(box);
    put_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (box->n_held == 0)
        loop_turn(box->loop, 5);
    http_server_free(box->server);
    box->server = NULL;
    assert_int_equal(box->gone, 1);
    char got[64] = {0};
    assert_true(recv(fd, got, sizeof(got) - 1, 0) > 0);
    assert_memory_equal(got, "HTTP/1.1 503", 12);
    close(fd);
}

static void quiet_server_takes_no_more(void **state)
{
    struct box *box = *state;
    uint16_t port = http_server_port(box->server);
    http_server_quiesce(box->server);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_not_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
    close(fd);
}

static void stream_flows_and_ends(void **state)
{
    struct box *box = *state;
    box->holds = true;
    struct buf got = {0};
    int fd = dial(box);
    put_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (box->n_held == 0)
        loop_turn(box->loop, 5);
    struct http_reply head = {.status = 200, .content_type = "text/event-stream"};
    http_stream_start(box->held[0], &head);
    assert_false(collect(box, fd, &got, "\r\n\r\n", 500));
    assert_true(http_stream_write(box->held[0], "one ", 4));
    assert_false(collect(box, fd, &got, "one ", 500));
    assert_int_equal(box->drained, 1);
    assert_true(http_stream_write(box->held[0], "two ", 4));
    http_stream_end(box->held[0], /* abort= */ false);
    collect(box, fd, &got, "0\r\n\r\n", 500);
    assert_non_null(strstr(buf_str(&got), "two "));
    assert_non_null(strstr(buf_str(&got), "0\r\n\r\n"));
    assert_int_equal(box->gone, 0);
    close(fd);
    buf_fini(&got);
}

static void post(int fd, size_t n)
{
    char text[BODY_MAX + 200];
    int head = snprintf(text, sizeof(text),
                        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n", n);
    memset(text + head, 'b', n);
    text[(size_t)head + n] = 0;
    put_text(fd, text);
}

static void bodies_of_all_have_a_bound_and_there_is_room_again_after(void **state)
{
    struct box *box = *state;
    struct buf first = {0}, second = {0}, third = {0};
    int a = dial(box), b = dial(box), c = dial(box);
    struct http_reply reply = {.status = 204};

    box->holds = true;
    post(a, 4000);
    while (box->n_held == 0)
        loop_turn(box->loop, 5);
    post(b, 4000);
    collect(box, b, &second, "\r\n\r\n", 500);
    assert_non_null(strstr(buf_str(&second), " 503 "));
    http_reply(box->held[0], &reply);
    collect(box, a, &first, "\r\n\r\n", 500);
    post(c, 4000);
    while (box->n_held == 1)
        loop_turn(box->loop, 5);
    http_reply(box->held[1], &reply);
    collect(box, c, &third, "\r\n\r\n", 500);
    assert_non_null(strstr(buf_str(&third), " 204 "));
    close(a), close(b), close(c);
    buf_fini(&first), buf_fini(&second), buf_fini(&third);
}

static void stream_whose_reader_sleeps_is_bounded(void **state)
{
    struct box *box = *state;
    box->holds = true;
    int fd = dial(box);
    put_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (box->n_held == 0)
        loop_turn(box->loop, 5);
    struct http_reply head = {.status = 200};
    http_stream_start(box->held[0], &head);
    static const char piece[1 << 16];
    int taken = 0;
    while (taken < 1000 && http_stream_write(box->held[0], piece, sizeof(piece))) {
        taken++;
        loop_turn(box->loop, 0);
    }
    assert_in_range(taken, 16, 999);
    http_stream_end(box->held[0], /* abort= */ true);
    close(fd);
}

static void stream_whose_client_left_is_taken_back(void **state)
{
    struct box *box = *state;
    box->holds = true;
    int fd = dial(box);
    put_text(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (box->n_held == 0)
        loop_turn(box->loop, 5);
    struct http_reply head = {.status = 200};
    http_stream_start(box->held[0], &head);
    loop_turn(box->loop, 5);
    close(fd);
    for (int i = 0; i < 100 && !box->gone; i++) {
        http_stream_write(box->held[0], "x", 1);
        loop_turn(box->loop, 5);
    }
    assert_int_equal(box->gone, 1);
}

struct smuggle {
    const char *name;
    const char *text;
    size_t len; /* 0: strlen */
};

#define TEXT(s) s, sizeof(s) - 1
static const struct smuggle smuggles[] = {
    {"CL and TE", TEXT("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
                       "5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"TE and CL", TEXT("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                       "chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n")},
    {"two CL, different", TEXT("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
                               "2\r\nContent-Length: 3\r\n\r\nabc")},
    {"two CL, same", TEXT("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: "
                          "3\r\nContent-Length: 3\r\n\r\nabc")},
    {"CL list", TEXT("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc")},
    {"CL with sign", TEXT("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc")},
    {"CL negative", TEXT("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc")},
    {"CL hex", TEXT("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x3\r\n\r\nabc")},
    {"CL empty", TEXT("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: \r\n\r\nabc")},
    {"two TE", TEXT("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                    "chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"TE list", TEXT("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity, "
                     "chunked\r\n\r\n0\r\n\r\n")},
    {"TE unknown",
     TEXT("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n")},
    {"TE with tab",
     TEXT("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\tchunked\r\nContent-Length: "
          "5\r\n\r\n0\r\n\r\n")},
    {"TE, space before colon",
     TEXT("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n")},
    {"TE in 1.0",
     TEXT("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
    {"fold with space",
     TEXT("GET / HTTP/1.1\r\nHost: x\r\nX-A: one\r\n two\r\nX-B: 1\r\n\r\n")},
    {"fold with tab, last",
     TEXT("GET / HTTP/1.1\r\nHost: x\r\nX-A: one\r\n\ttwo\r\n\r\n")},
    {"fold hides TE", TEXT("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n "
                           "chunked\r\n\r\n0\r\n\r\n")},
    {"fold in first header", TEXT("GET / HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n")},
    {"LF after request line", TEXT("GET / HTTP/1.1\nHost: x\r\n\r\n")},
    {"LF after header", TEXT("GET / HTTP/1.1\r\nHost: x\nX-A: 1\r\n\r\n")},
    {"LF after last header", TEXT("GET / HTTP/1.1\r\nHost: x\n\r\n")},
    {"CR alone in header", TEXT("GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\rX-B: 2\r\n\r\n")},
    {"LF only", TEXT("POST / HTTP/1.1\nHost: x\nContent-Length: 1\n\na")},
    {"NUL in value", TEXT("GET / HTTP/1.1\r\nHost: x\r\nX-A: a\0b\r\n\r\n")},
    {"NUL at value's end",
     TEXT("GET / HTTP/1.1\r\nHost: x\r\nX-A: a\0\r\nX-B: 1\r\n\r\n")},
    {"NUL at last value's end", TEXT("GET / HTTP/1.1\r\nHost: x\r\nX-A: a\0\r\n\r\n")},
    {"NUL in name", TEXT("GET / HTTP/1.1\r\nHost: x\r\nX-\0A: a\r\n\r\n")},
    {"NUL in target", TEXT("GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n")},
    {"NUL in target, encoded", TEXT("GET /a%00b HTTP/1.1\r\nHost: x\r\n\r\n")},
    {"two hosts", TEXT("GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n")},
    {"no host", TEXT("GET / HTTP/1.1\r\nX-A: x\r\n\r\n")},
    {"no host, no header", TEXT("GET / HTTP/1.1\r\n\r\n")},
    {"version 1.2", TEXT("GET / HTTP/1.2\r\nHost: x\r\n\r\n")},
    {"version 3", TEXT("GET / HTTP/3.0\r\nHost: x\r\n\r\n")},
    {"no version", TEXT("GET /\r\nHost: x\r\n\r\n")},
    {"header without colon", TEXT("GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n")},
    {"empty header name", TEXT("GET / HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n")},
    {"garbage", TEXT("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")},
    {"chunk size with sign", TEXT("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                                  "chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n")},
    {"chunk size too long", TEXT("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                                 "chunked\r\n\r\n11111111111111111\r\na\r\n0\r\n\r\n")},
};

static void smuggling_corpus_is_refused(void **state)
{
    struct box *box = *state;
    int wrong = 0;
    for (size_t i = 0; i < sizeof(smuggles) / sizeof(smuggles[0]); i++) {
        unsigned before = box->seen;
        int status = ask_bytes(box, smuggles[i].text, smuggles[i].len);
        /* 0: the connection was closed without an answer, which is a refusal too */
        if (box->seen != before ||
            (status != 0 && status != 400 && status != 413 && status != 505)) {
            print_message("%s: status %d, seen %u\n", smuggles[i].name, status,
                          box->seen - before);
            wrong++;
        }
    }
    assert_int_equal(wrong, 0);
}

static void refused_request_ends_its_connection(void **state)
{
    struct box *box = *state;
    struct buf got = {0};
    int fd = dial(box);
    const char *text =
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
    put(fd, text, strlen(text));
    assert_true(collect(box, fd, &got, NULL, 500));
    assert_int_equal(status_of(&got), 400);
    assert_int_equal(box->seen, 0);
    close(fd);
    buf_fini(&got);
}

static void honest_heads_pass(void **state)
{
    struct box *box = *state;
    static const char *const texts[] = {
        "GET / HTTP/1.0\r\n\r\n",
        ("GET / HTTP/1.1\r\nHost:x\r\nX-Empty:\r\nX-Spaces:   a  b  \r\nCookie: a=b; "
         "c=d\r\n\r\n"),
        "POST /?a&b=&q=%zz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "DELETE /x HTTP/1.1\r\nhost: x\r\nStripe-Signature: t=1,v1=ab\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(ask(box, texts[i]), 200);
}

static void huge_head_is_refused(void **state)
{
    struct box *box = *state;
    struct buf text = {0};
    buf_text(&text, "GET / HTTP/1.1\r\nHost: x\r\nX-A: ");
    memset(buf_add(&text, NULL, 80000), 'a', 80000);
    buf_text(&text, "\r\n\r\n");
    int status = ask_bytes(box, text.bytes, text.len);
    assert_true(status == 0 || status == 431 || status == 413);
    assert_int_equal(box->seen, 0);
    buf_fini(&text);
}

static void bad_address_is_said(void **state)
{
    struct box *box = *state;
    struct http_server_options options = {.address = "example.com",
                                          .on_request = on_request};
    char error[200] = "";
    assert_null(http_server_new(box->loop, &options, error, sizeof(error)));
    assert_string_equal(error, "example.com is not a numeric address");
    options.address = "192.0.2.1";
    assert_null(http_server_new(box->loop, &options, error, sizeof(error)));
    assert_non_null(strstr(error, "cannot listen on 192.0.2.1"));
}

/* Two servers on one port would share its requests between them. */
static void port_in_use_is_not_shared(void **state)
{
    struct box *box = *state;
    struct http_server_options options = {.address = "127.0.0.1",
                                          .port = http_server_port(box->server),
                                          .on_request = on_request};
    char error[200] = "";
    assert_null(http_server_new(box->loop, &options, error, sizeof(error)));
    assert_non_null(strstr(error, "in use"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(request_arrives_whole),
        TEST(body_comes_byte_by_byte_and_in_chunks),
        TEST(connection_serves_many_requests),
        TEST(pipelined_requests_are_answered_in_order),
        TEST(declared_body_over_the_limit_is_413_before_it_comes),
        TEST(sent_body_over_the_limit_is_413_when_it_is_there),
        TEST(body_at_the_limit_is_taken),
        TEST(chunked_body_over_the_limit_is_413),
        TEST(slow_sender_is_cut_at_the_deadline),
        TEST(slow_head_is_cut_at_the_deadline),
        TEST(held_request_is_answered_later_and_outlives_the_read_deadline),
        TEST(client_that_left_is_answered_without_harm),
        TEST(stopping_server_takes_requests_back),
        TEST(quiet_server_takes_no_more),
        TEST(stream_flows_and_ends),
        TEST(bodies_of_all_have_a_bound_and_there_is_room_again_after),
        TEST(stream_whose_reader_sleeps_is_bounded),
        TEST(stream_whose_client_left_is_taken_back),
        TEST(smuggling_corpus_is_refused),
        TEST(refused_request_ends_its_connection),
        TEST(honest_heads_pass),
        TEST(huge_head_is_refused),
        TEST(bad_address_is_said),
        TEST(port_in_use_is_not_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
