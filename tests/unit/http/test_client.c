/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The client against our own server where it behaves, and against a bare socket that says
 * what a bad one would.  Client and service share one loop. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"

/* --- a service that says exactly these bytes to every connection --- */

struct rude {
    struct loop *loop;
    struct loop_source *listening, *connected;
    int listener, fd;
    uint16_t port;
    const char *says; /* NULL: nothing */
    size_t repeats;   /* how often; 0 is once */
    bool closes;      /* after it, or at once when it says nothing */
    unsigned accepted;
    char heard[8192];
    size_t heard_len;
};

static void hang_up(struct rude *rude)
{
    loop_unwatch(rude->connected);
    rude->connected = NULL;
    if (rude->fd >= 0)
        close(rude->fd);
    rude->fd = -1;
}

static void on_bytes(void *user, uint32_t events)
{
    struct rude *rude = user;
    ssize_t n = recv(rude->fd, rude->heard + rude->heard_len,
                     sizeof(rude->heard) - 1 - rude->heard_len, MSG_DONTWAIT);

    (void)events;
    if (n <= 0) {
        hang_up(rude);
        return;
    }
    rude->heard_len += (size_t)n;
    rude->heard[rude->heard_len] = 0;
    if (!strstr(rude->heard, "\r\n\r\n"))
        return;
    for (size_t i = 0; rude->says && i <= rude->repeats; i++)
        if (send(rude->fd, rude->says, strlen(rude->says), MSG_NOSIGNAL | MSG_DONTWAIT) <
            0)
            break;
    if (rude->closes)
        hang_up(rude);
}

static void on_connect(void *user, uint32_t events)
{
    struct rude *rude = user;

    (void)events;
    hang_up(rude);
    rude->fd = accept4(rude->listener, NULL, NULL, SOCK_CLOEXEC);
    rude->accepted++;
    rude->heard_len = 0;
    rude->connected = loop_watch(rude->loop, rude->fd, EPOLLIN, on_bytes, rude);
}

static void rude_open(struct rude *rude, struct loop *loop)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    rude->loop = loop;
    rude->fd = -1;
    rude->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(rude->listener, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(rude->listener, 16), 0);
    assert_int_equal(getsockname(rude->listener, (struct sockaddr *)&at, &len), 0);
    rude->port = ntohs(at.sin_port);
    rude->listening = loop_watch(loop, rude->listener, EPOLLIN, on_connect, rude);
}

/* --- a box with both --- */

struct box {
    struct loop *loop;
    struct http_client *client;
    struct rude rude;
    unsigned done;
    enum http_result result;
    unsigned status;
    char error[200], body[256], header[64];
    size_t body_len;
};

static void on_done(void *user, const struct http_call *call)
{
    struct box *box = user;
    const char *header = http_call_header(call, "x-test");
    const char *body = http_call_body(call, &box->body_len);

    box->done++;
    box->result = http_call_result(call);
    box->status = http_call_status(call);
    snprintf(box->error, sizeof(box->error), "%s", http_call_error(call));
    snprintf(box->header, sizeof(box->header), "%s", header ? header : "(none)");
    snprintf(box->body, sizeof(box->body), "%s", body);
}

static int open_box(void **state)
{
    struct box *box = mem_alloc(sizeof(*box));

    box->loop = loop_new();
    box->client = http_client_new(
        box->loop, &(struct http_client_options){.allow_private_network = true});
    rude_open(&box->rude, box->loop);
    *state = box;
    return 0;
}

static int close_box(void **state)
{
    struct box *box = *state;

    http_client_free(box->client);
    hang_up(&box->rude);
    loop_unwatch(box->rude.listening);
    close(box->rude.listener);
    loop_free(box->loop);
    free(box);
    return 0;
}

static void turn_until(struct box *box, unsigned done)
{
    for (int i = 0; i < 2000 && box->done < done; i++)
        loop_turn(box->loop, 10);
    assert_int_equal(box->done, done);
}

static void call(struct box *box, struct http_call_options options)
{
    _free_ char *url = options.url ? mem_text(options.url)
                                   : mem_format("http://127.0.0.1:%u/x", box->rude.port);
    unsigned done = box->done;

    box->rude.heard_len = 0;
    options.url = url;
    options.method = options.method ? options.method : "POST";
    options.on_done = on_done;
    options.user = box;
    http_client_call(box->client, &options);
    turn_until(box, done + 1);
}

/* --- what is sent --- */

static void a_request_has_what_was_asked_for_and_nothing_made_up(void **state)
{
    struct box *box = *state;
    const struct http_field headers[] = {{"Authorization", "Bearer abc"},
                                         {"X-Empty", ""}};

    box->rude.says = "HTTP/1.1 100 Continue\r\nX-Test: no\r\n\r\nHTTP/1.1 201 "
                     "Created\r\nX-TEST:  yes \r\nContent-Length: 2\r\n\r\nok";
    call(box, (struct http_call_options){
                  .headers = headers, .n_headers = 2, .body = "a=1", .body_len = 3});
    assert_int_equal(box->result, HTTP_ANSWERED);
    assert_int_equal(box->status, 201);
    assert_string_equal(box->body, "ok");
    assert_non_null(strstr(box->rude.heard, "Host: 127.0.0.1"));
    assert_string_equal(box->header, "yes");
    assert_ptr_equal(strstr(box->rude.heard, "POST /x HTTP/1.1\r\n"), box->rude.heard);
    assert_non_null(strstr(box->rude.heard, "Authorization: Bearer abc\r\n"));
    assert_non_null(strstr(box->rude.heard, "X-Empty:\r\n"));
    assert_non_null(strstr(box->rude.heard, "\r\n\r\na=1"));
    assert_null(strstr(box->rude.heard, "Expect"));
    assert_null(strstr(box->rude.heard, "Content-Type"));
    assert_null(strstr(box->rude.heard, "Accept-Encoding"));
}

static void a_post_without_a_body_and_a_get_are_sent_as_such(void **state)
{
    struct box *box = *state;

    box->rude.says = "HTTP/1.1 204 No Content\r\n\r\n";
    call(box, (struct http_call_options){0});
    assert_int_equal(box->status, 204);
    assert_non_null(strstr(box->rude.heard, "Content-Length: 0\r\n"));
    call(box, (struct http_call_options){.method = "GET"});
    assert_ptr_equal(strstr(box->rude.heard, "GET /x"), box->rude.heard);
    assert_null(strstr(box->rude.heard, "Content-Length"));
}

/* --- what may come back --- */

static void trailers_after_a_chunked_body_do_no_harm(void **state)
{
    struct box *box = *state;

    box->rude.says = "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                     "chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Test: late\r\n\r\n";
    call(box, (struct http_call_options){.method = "GET"});
    assert_int_equal(box->result, HTTP_ANSWERED);
    assert_string_equal(box->body, "hi");
}

static void a_bad_service_costs_one_call_and_never_the_process(void **state)
{
    struct box *box = *state;
    static const char filler[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                                 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n";
    static const struct {
        const char *says;
        size_t repeats;
        enum http_result result;
    } cases[] = {
        {NULL, 0, HTTP_NO_ANSWER}, /* hangs up */
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", 0,
         HTTP_NO_ANSWER},                                     /* cut in the body */
        {"HTTP/1.1 200 OK\r\nContent-Le", 0, HTTP_NO_ANSWER}, /* cut in the header */
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", 0,
         HTTP_NO_ANSWER},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n", 0,
         HTTP_NO_ANSWER},
        {"\x16\x03\x01 garbage\r\n\r\n", 0, HTTP_NO_ANSWER},
        {"HTTP/1.1 abc OK\r\n\r\n", 0, HTTP_NO_ANSWER},
        {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", 0, HTTP_NO_ANSWER},
        {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n", 0,
         HTTP_TOO_LARGE},
        {filler, 1, HTTP_NO_ANSWER}, /* HTTP/0.9 */
    };

    box->rude.closes = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        box->rude.says = cases[i].says;
        box->rude.repeats = cases[i].repeats;
        call(box, (struct http_call_options){.timeout_us = 2000000});
        if (box->result != cases[i].result || !*box->error)
            fail_msg("case %zu: result %d, \"%s\"", i, box->result, box->error);
        assert_null(strstr(box->error, "127.0.0.1"));
    }
}

static void an_endless_body_is_cut_at_the_limit(void **state)
{
    struct box *box = *state;

    box->rude.says = "HTTP/1.1 200 "
                     "OK\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                     "xxxxxxxxxxxxxxxxxxxxxx";
    box->rude.repeats = 200;
    call(box, (struct http_call_options){.answer_max = 1000, .timeout_us = 2000000});
    assert_int_equal(box->result, HTTP_TOO_LARGE);
    assert_true(box->body_len <= 1000);
}

static void endless_headers_are_cut_at_the_limit(void **state)
{
    struct box *box = *state;
    char *many = mem_alloc(70000);
    size_t at = (size_t)sprintf(many, "HTTP/1.1 200 OK\r\n");

    while (at < 2800) /* 201 headers and more */
        at += (size_t)sprintf(many + at, "A: b%zu\r\n", at);
    strcpy(many + at, "\r\n");
    box->rude.says = many;
    call(box, (struct http_call_options){.timeout_us = 2000000});
    assert_int_equal(box->result, HTTP_TOO_LARGE);
    at = (size_t)sprintf(many, "HTTP/1.1 200 OK\r\nA: ");
    memset(many + at, 'x', 66000);
    strcpy(many + at + 66000, "\r\n\r\n");
    call(box, (struct http_call_options){.timeout_us = 2000000});
    assert_int_equal(box->result, HTTP_TOO_LARGE);
    free(many);
}

static void silence_ends_with_the_timeout_and_says_where(void **state)
{
    struct box *box = *state;

    call(box, (struct http_call_options){.timeout_us = 50000});
    assert_int_equal(box->result, HTTP_NO_ANSWER);
    assert_string_equal(box->error, "timed out waiting for the answer");
}

static void a_closed_port_means_nothing_was_sent(void **state)
{
    struct box *box = *state;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);

    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)),
                     0); /* not listening */
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    _free_ char *url = mem_format("http://127.0.0.1:%u/", ntohs(at.sin_port));
    call(box, (struct http_call_options){.url = url});
    assert_int_equal(box->result, HTTP_NOT_SENT);
    close(fd);
}

static void a_redirect_is_an_answer_and_is_not_followed(void **state)
{
    struct box *box = *state;
    struct rude other = {0};

    rude_open(&other, box->loop);
    _free_ char *says = mem_format("HTTP/1.1 302 Found\r\nLocation: "
                                   "http://127.0.0.1:%u/\r\nContent-Length: 0\r\n\r\n",
                                   other.port);
    box->rude.says = says;
    call(box, (struct http_call_options){.method = "GET"});
    assert_int_equal(box->status, 302);
    for (int i = 0; i < 3; i++)
        loop_turn(box->loop, 5);
    assert_int_equal(other.accepted, 0);
    loop_unwatch(other.listening);
    close(other.listener);
}

static void a_kept_connection_is_used_again_but_not_for_what_must_go_once(void **state)
{
    struct box *box = *state;

    box->rude.says = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    call(box, (struct http_call_options){0});
    call(box, (struct http_call_options){0});
    assert_int_equal(box->rude.accepted, 1);
    call(box, (struct http_call_options){.is_once = true});
    assert_int_equal(box->rude.accepted, 2);
}

static void an_aborted_call_says_nothing_more(void **state)
{
    struct box *box = *state;
    _free_ char *url = mem_format("http://127.0.0.1:%u/x", box->rude.port);
    struct http_call *aborted = http_client_call(
        box->client, &(struct http_call_options){
                         .method = "GET", .url = url, .on_done = on_done, .user = box});

    for (int i = 0; i < 5; i++)
        loop_turn(box->loop, 2);
    assert_int_equal(http_client_running(box->client), 1);
    http_client_abort(aborted);
    assert_int_equal(http_client_running(box->client), 0);
    for (int i = 0; i < 5; i++)
        loop_turn(box->loop, 2);
    assert_int_equal(box->done, 0);
}

/* --- many at once, against our own server --- */

struct many {
    unsigned answered, open, open_max;
    struct http_request *held[64];
    unsigned n_held;
};

static void hold(void *user, struct http_request *request)
{
    struct many *many = user;

    many->held[many->n_held++] = request;
    many->open++;
    many->open_max = many->open > many->open_max ? many->open : many->open_max;
}

static void count(void *user, const struct http_call *done)
{
    struct many *many = user;

    assert_int_equal(http_call_result(done), HTTP_ANSWERED);
    many->answered++;
}

static void let_go(struct many *many)
{
    const struct http_reply reply = {
        .status = 200, .content_type = "text/plain", .body = "x", .body_len = 1};

    for (unsigned i = 0; i < many->n_held; i++) {
        many->open--;
        http_reply(many->held[i], &reply);
    }
    many->n_held = 0;
}

static void many_calls_run_at_once_up_to_the_limit(void **state)
{
    (void)state;
    struct many many = {0};
    char error[200];
    struct loop *loop = loop_new();
    struct http_server *server = http_server_new(
        loop,
        &(struct http_server_options){
            .address = "127.0.0.1", .body_max = 1000, .on_request = hold, .user = &many},
        error, sizeof(error));
    struct http_client *client =
        http_client_new(loop, &(struct http_client_options){
                                  .connections_max = 8, .allow_private_network = true});
    _free_ char *url = mem_format("http://127.0.0.1:%u/", http_server_port(server));

    for (int i = 0; i < 40; i++)
        http_client_call(
            client, &(struct http_call_options){
                        .method = "GET", .url = url, .on_done = count, .user = &many});
    for (int i = 0; i < 3000 && many.answered < 40; i++) {
        loop_turn(loop, 5);
        if (many.n_held == 8 || many.answered >= 32)
            let_go(&many);
    }
    assert_int_equal(many.answered, 40);
    assert_int_equal(many.open_max, 8);
    http_client_free(client);
    http_server_free(server);
    loop_free(loop);
}

/* --- the guard --- */

static const char *const tricks[] = {
    "http://127.0.0.1:%u/",
    "http://localhost:%u/",
    "http://LOCALHOST:%u/",
    "http://127.1:%u/",
    "http://127.0.1:%u/",
    "http://2130706433:%u/",
    "http://0x7f000001:%u/",
    "http://0x7f.0.0.1:%u/",
    "http://0177.0.0.1:%u/",
    "http://017700000001:%u/",
    "http://0x7f.1:%u/",
    "http://127.0.0.1.:%u/",
    "http://0:%u/",
    "http://0.0.0.0:%u/",
    "http://[::1]:%u/",
    "http://[::]:%u/",
    "http://[0:0:0:0:0:0:0:1]:%u/",
    "http://[::ffff:127.0.0.1]:%u/",
    "http://[::ffff:7f00:1]:%u/",
    "http://[::127.0.0.1]:%u/",
    "http://[64:ff9b::7f00:1]:%u/",
    "http://[2002:7f00:1::1]:%u/",
    "http://10.0.0.1:%u/",
    "http://192.168.1.1:%u/",
    "http://172.16.0.1:%u/",
    "http://169.254.169.254:%u/",
    "http://[fd00::1]:%u/",
    "http://[fe80::1]:%u/",
    "http://224.0.0.1:%u/",
    "http://255.255.255.255:%u/",
    "http://user@127.0.0.1:%u/",
    "http://user:pass@127.0.0.1:%u/",
    "http://api.example.com@127.0.0.1:%u/",
    "http://127.0.0.1:%u#@api.example.com/",
    "http://127.0.0.1:%u?@api.example.com/",
    "http://127.0.0.1:%u\\@api.example.com/",
    "HTTP://127.0.0.1:%u/",
    "http:127.0.0.1:%u/",
    "http:/127.0.0.1:%u/",
    "http:///127.0.0.1:%u/",
    "//127.0.0.1:%u/",
    "127.0.0.1:%u",
    "localhost:%u",
    "file:///etc/passwd?%u",
    "file://127.0.0.1:%u/etc/passwd",
    "gopher://127.0.0.1:%u/_GET",
    "dict://127.0.0.1:%u/x",
    "ftp://127.0.0.1:%u/",
    "ldap://127.0.0.1:%u/",
    "smtp://127.0.0.1:%u/",
    "telnet://127.0.0.1:%u/",
    "tftp://127.0.0.1:%u/x",
    "scp://127.0.0.1:%u/x",
    "rtsp://127.0.0.1:%u/",
    "smb://127.0.0.1:%u/",
    "mqtt://127.0.0.1:%u/",
    "ws://127.0.0.1:%u/",
    "https://127.0.0.1:%u/",
    "https://localhost:%u/",
    "https://2130706433:%u/",
    "https://0x7f000001:%u/",
    "https://[::1]:%u/",
    "https://[::ffff:127.0.0.1]:%u/",
    "https://user@localhost:%u/",
    "https://0:%u/",
    "https://127.1:%u/",
    "https://017700000001:%u/",
    "https://127.0.0.1.:%u/",
    "https://\u2460\u2461\u2466.0.0.1:%u/",
    "https://1\u3002:%u/",
    "https://169.254.169.254:%u/latest/meta-data",
    "https://10.0.0.1:%u/",
    "https://[fd00::1]:%u/",
    "https://[fe80::1%%25eth0]:%u/",
    "",
    "https://",
    "https://:%u/",
    "%u",
    "https://127.0.0.1:%u\r\nX: y/",
    "unix:///run/x%u.sock",
    "https://127.0.0.1%%00.example.com:%u/",
    "https://[::1%%25lo]:%u/",
};

static void no_spelling_of_an_address_gets_past_the_guard(void **state)
{
    struct box *box = *state;
    const size_t n = sizeof(tricks) / sizeof(tricks[0]);

    assert_true(n >= 60);
    http_client_free(box->client);
    box->client = http_client_new(box->loop, &(struct http_client_options){0});
    for (size_t i = 0; i < n; i++) {
        char url[300];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(url, sizeof(url), tricks[i], box->rude.port);
#pragma GCC diagnostic pop
        call(box, (struct http_call_options){
                      .url = url, .method = "GET", .timeout_us = 1000000});
        /* a name that does not resolve is not sent either; all else is named as forbidden
         */
        if (box->result != HTTP_FORBIDDEN && box->result != HTTP_NOT_SENT)
            fail_msg("%s: result %d", url, box->result);
    }
    assert_int_equal(box->rude.accepted, 0);
}

static void
plain_http_needs_the_switch_and_link_local_is_refused_even_with_it(void **state)
{
    struct box *box = *state;

    call(box, (struct http_call_options){.url = "http://169.254.169.254/latest/meta-data",
                                         .method = "GET"});
    assert_int_equal(box->result, HTTP_FORBIDDEN);
    call(box, (struct http_call_options){.url = "http://0.0.0.0:1/", .method = "GET"});
    assert_int_equal(box->result, HTTP_FORBIDDEN);
    http_client_free(box->client);
    box->client = http_client_new(box->loop, &(struct http_client_options){0});
    call(box, (struct http_call_options){0});
    assert_int_equal(box->result, HTTP_FORBIDDEN);
    assert_non_null(strstr(box->error, "https://"));
    assert_int_equal(box->rude.accepted, 0);
}

static void proxies_of_the_environment_are_not_asked(void **state)
{
    struct box *box = *state;
    struct rude proxy = {0};

    rude_open(&proxy, box->loop);
    _free_ char *url = mem_format("http://127.0.0.1:%u", proxy.port);
    setenv("http_proxy", url, 1);
    setenv("ALL_PROXY", url, 1);
    box->rude.says = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    call(box, (struct http_call_options){.method = "GET"});
    assert_int_equal(box->status, 200);
    assert_int_equal(proxy.accepted, 0);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    loop_unwatch(proxy.listening);
    close(proxy.listener);
}

static void a_service_without_tls_does_not_pass_for_one_with(void **state)
{
    struct box *box = *state;
    _free_ char *url = mem_format("https://127.0.0.1:%u/", box->rude.port);

    box->rude.says = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    box->rude.closes = true;
    call(box, (struct http_call_options){.url = url, .timeout_us = 300000});
    assert_int_equal(box->result, HTTP_NOT_SENT);
}

/* --- an answer as it comes --- */

struct taken {
    struct box *box;
    unsigned heads, status, refuse;
    char type[64], body[256];
    size_t len;
};

static void take_head(void *user, const struct http_call *call)
{
    struct taken *taken = user;
    struct http_field field;

    taken->heads++;
    taken->status = http_call_status(call);
    assert_true(http_call_field(call, 0, &field));
    snprintf(taken->type, sizeof(taken->type), "%s=%s", field.name, field.value);
    assert_false(http_call_field(call, 9, &field));
}

static bool take_bytes(void *user, const void *bytes, size_t n)
{
    struct taken *taken = user;

    if (taken->refuse) {
        taken->refuse--;
        return false;
    }
    assert_true(taken->len + n < sizeof(taken->body));
    memcpy(taken->body + taken->len, bytes, n);
    taken->len += n;
    return true;
}

static struct http_call *tapped(struct box *box, struct taken *taken, size_t answer_max)
{
    _free_ char *url = mem_format("http://127.0.0.1:%u/", box->rude.port);

    return http_client_call(
        box->client, &(struct http_call_options){.method = "GET",
                                                 .url = url,
                                                 .answer_max = answer_max,
                                                 .tap = {take_head, take_bytes, taken},
                                                 .on_done = on_done,
                                                 .user = box});
}

static void a_tap_has_the_answer_before_it_ends(void **state)
{
    struct box *box = *state;
    struct taken taken = {.box = box};

    box->rude.says = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                     "HTTP/1.1 402 No\r\nX-Test: yes\r\nContent-Length: 8\r\n\r\nabcd";
    struct http_call *call = tapped(box, &taken, 2);
    while (taken.len < 4)
        loop_turn(box->loop, 100);
    assert_true(taken.heads == 1 && taken.status == 402 && box->done == 0);
    assert_string_equal(taken.type, "X-Test=yes");
    http_client_end(call, "nobody wants it");
    assert_int_equal(box->done, 1);
    assert_int_equal(box->result, HTTP_NO_ANSWER);
    assert_int_equal(box->status, 0);
    assert_string_equal(box->error, "nobody wants it");
}

static void what_a_tap_does_not_take_comes_again(void **state)
{
    struct box *box = *state;
    struct taken taken = {.box = box, .refuse = 1};

    box->rude.says = "HTTP/1.1 200 OK\r\nX-Test: a\r\nContent-Length: 8\r\n\r\nabcdefgh";
    struct http_call *call = tapped(box, &taken, 3);
    while (taken.refuse)
        loop_turn(box->loop, 100);
    for (int i = 0; i < 5; i++)
        loop_turn(box->loop, 1);
    assert_true(taken.len == 0 && box->done == 0);
    http_client_resume(call);
    while (!box->done)
        loop_turn(box->loop, 100);
    assert_int_equal(box->result, HTTP_ANSWERED); /* longer than answer_max */
    assert_memory_equal(taken.body, "abcdefgh", 8);
    assert_int_equal(box->body_len, 3); /* the first bytes are kept */
}

static void a_call_that_is_ended_before_it_connects_was_not_sent(void **state)
{
    struct box *box = *state;
    struct taken taken = {.box = box};

    http_client_end(tapped(box, &taken, 0), "never mind");
    assert_int_equal(box->result, HTTP_NOT_SENT);
}

#define BOXED(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOXED(a_request_has_what_was_asked_for_and_nothing_made_up),
        BOXED(a_post_without_a_body_and_a_get_are_sent_as_such),
        BOXED(trailers_after_a_chunked_body_do_no_harm),
        BOXED(a_bad_service_costs_one_call_and_never_the_process),
        BOXED(an_endless_body_is_cut_at_the_limit),
        BOXED(endless_headers_are_cut_at_the_limit),
        BOXED(silence_ends_with_the_timeout_and_says_where),
        BOXED(a_closed_port_means_nothing_was_sent),
        BOXED(a_redirect_is_an_answer_and_is_not_followed),
        BOXED(a_kept_connection_is_used_again_but_not_for_what_must_go_once),
        BOXED(a_tap_has_the_answer_before_it_ends),
        BOXED(what_a_tap_does_not_take_comes_again),
        BOXED(a_call_that_is_ended_before_it_connects_was_not_sent),
        BOXED(an_aborted_call_says_nothing_more),
        cmocka_unit_test(many_calls_run_at_once_up_to_the_limit),
        BOXED(no_spelling_of_an_address_gets_past_the_guard),
        BOXED(plain_http_needs_the_switch_and_link_local_is_refused_even_with_it),
        BOXED(proxies_of_the_environment_are_not_asked),
        BOXED(a_service_without_tls_does_not_pass_for_one_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
