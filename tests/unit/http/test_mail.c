/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The client against a mail server that says a script: all replies at once, in the order
 * of the commands, and then nothing more or the end of the connection. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/http/client.h"
#include "lib/loop/loop.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HELLO        "220 x\r\n250 x\r\n"
#define WORDS        "Subject: x\r\n\r\n.\r\nhello\r\n"

enum {
    MOMENT_S = 1, /* a silence so long: the server hangs up */
    END_S = 3,    /* the silent server gives up */
    TIMEOUT_US = 2000000,
};

struct script {
    int listener;
    uint16_t port;
    const char *says;
    bool stays; /* silent after it, instead of closing once the client has spoken last */
    char heard[4096];
    size_t heard_len;
    pthread_t thread;
    atomic_bool has_left;
};

/* Says its script, and listens until the client is silent for a moment or gone. */
static void *serve(void *user)
{
    struct script *s = user;
    struct timeval moment = {.tv_sec = MOMENT_S}, long_time = {.tv_sec = END_S};
    int fd = accept(s->listener, NULL, NULL);

    if (fd < 0)
        return NULL;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, s->stays ? &long_time : &moment,
               sizeof(moment));
    assert_int_equal(send(fd, s->says, strlen(s->says), MSG_NOSIGNAL),
                     (ssize_t)strlen(s->says));
    for (ssize_t n; (n = recv(fd, s->heard + s->heard_len,
                              sizeof(s->heard) - 1 - s->heard_len, 0)) > 0;)
        s->heard_len += (size_t)n;
    atomic_store(&s->has_left, true);
    close(fd);
    return NULL;
}

struct ending {
    struct loop *loop;
    enum http_result result;
    unsigned status, n_refused, code;
    char body[200], error[200], refused[100], reply[200];
    bool is_done;
};

static void on_done(void *user, const struct http_call *call)
{
    struct ending *e = user;
    const char *text = "", *email;
    size_t n;

    e->result = http_call_result(call);
    e->status = http_call_status(call);
    snprintf(e->body, sizeof(e->body), "%s", (const char *)http_call_body(call, &n));
    snprintf(e->error, sizeof(e->error), "%s", http_call_error(call));
    while ((email = http_call_refused(call, e->n_refused, &e->code, &text))) {
        snprintf(e->refused, sizeof(e->refused), "%s", email);
        snprintf(e->reply, sizeof(e->reply), "%s", text);
        e->n_refused++;
    }
    e->is_done = true;
    loop_stop(e->loop, 0);
}

static void serve_at(struct script *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(s->listener, 4), 0);
    assert_int_equal(getsockname(s->listener, (struct sockaddr *)&address, &size), 0);
    s->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void serve_no_more(struct script *s)
{
    shutdown(s->listener, SHUT_RDWR); /* where nobody came: accept ends */
    pthread_join(s->thread, NULL);
    close(s->listener);
}

static struct http_client *client_of(struct loop *loop, bool allow_private_network)
{
    return http_client_new(loop, &(struct http_client_options){
                                     .allow_private_network = allow_private_network});
}

static struct http_call *give(struct http_client *client, const struct script *s,
                              struct ending *e)
{
    static const char *const recipients[] = {"a@example.com", "b@example.com"};
    char url[64];

    snprintf(url, sizeof(url), "smtp://127.0.0.1:%u", s->port);
    return http_client_call(client,
                            &(struct http_call_options){
                                .url = url,
                                .mail = &(struct http_mail){.sender = "s@example.com",
                                                            .recipients = recipients,
                                                            .n_recipients = 2},
                                .body = WORDS,
                                .body_len = strlen(WORDS),
                                .timeout_us = TIMEOUT_US,
                                .on_done = on_done,
                                .user = e,
                            });
}

static struct ending send_mail(struct script *s, bool allow_private_network)
{
    struct ending e = {.loop = loop_new()};
    struct http_client *client = client_of(e.loop, allow_private_network);

    serve_at(s);
    give(client, s, &e);
    loop_run(e.loop);
    http_client_free(client); /* says goodbye, and the server ends */
    loop_free(e.loop);
    serve_no_more(s);
    return e;
}

static void every_end_of_a_mail_has_its_result(void **state)
{
    (void)state;
    static const struct {
        const char *claim, *says;
        bool stays;
        enum http_result result;
        unsigned status, n_refused;
        const char *fragment; /* of reply or error */
    } cases[] = {
        {"taken",
         HELLO "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued as 7\r\n221 x\r\n",
         false, HTTP_ANSWERED, 250, 0, "queued as 7"},
        {"one refused",
         HELLO "250 ok\r\n250 ok\r\n550 no user\r\n354 go\r\n250 ok\r\n221 x\r\n", false,
         HTTP_ANSWERED, 250, 1, "ok"},
        {"all refused for now", HELLO "250 ok\r\n450 busy\r\n450 busy too\r\n221 x\r\n",
         false, HTTP_ANSWERED, 450, 2, "busy too"},
        {"all refused", HELLO "250 ok\r\n550 no\r\n551 no\r\n221 x\r\n", false,
         HTTP_ANSWERED, 551, 2, "no"},
        {"sender refused", HELLO "553 not you\r\n221 x\r\n", false, HTTP_ANSWERED, 553, 0,
         "not you"},
        {"a reply of several lines", HELLO "553-not\r\n553 you\r\n221 x\r\n", false,
         HTTP_ANSWERED, 553, 0, "you"},
        {"refused after the dot",
         HELLO "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n554 spam\r\n221 x\r\n", false,
         HTTP_ANSWERED, 554, 0, "spam"},
        {"busy at the door", "421 come later\r\n", false, HTTP_ANSWERED, 421, 0, "later"},
        {"gone before the message", HELLO "250 ok\r\n250 ok\r\n", false, HTTP_NOT_SENT, 0,
         0, ""},
        {"gone after the dot", HELLO "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", false,
         HTTP_NO_ANSWER, 0, 0, ""},
        {"silent after the dot", HELLO "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", true,
         HTTP_NO_ANSWER, 0, 0, "timed out waiting"},
        {"silent at the door", "", true, HTTP_NOT_SENT, 0, 0, "timed out"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct script script = {.says = cases[i].says, .stays = cases[i].stays};
        struct ending e = send_mail(&script, true);
        const char *said = e.result == HTTP_ANSWERED ? e.body : e.error;
        if (e.result != cases[i].result || e.status != cases[i].status ||
            e.n_refused != cases[i].n_refused || !strstr(said, cases[i].fragment))
            fail_msg("%s: result %d, %u, %u refused: %s", cases[i].claim, e.result,
                     e.status, e.n_refused, said);
    }
}

static void who_was_refused_is_told_with_the_reply(void **state)
{
    (void)state;
    struct script script = {
        .says = HELLO
        "250 ok\r\n250 ok\r\n550 5.1.1 no such user\r\n354 go\r\n250 ok\r\n221 x\r\n"};
    struct ending e = send_mail(&script, true);

    assert_string_equal(e.refused, "b@example.com");
    assert_int_equal(e.code, 550);
    assert_string_equal(e.reply, "5.1.1 no such user");
    assert_non_null(strstr(script.heard, "MAIL FROM:<s@example.com>"));
    assert_non_null(
        strstr(script.heard, "\r\n..\r\nhello\r\n.\r\n")); /* dots are doubled */
}

static void nothing_is_dialled_on_a_private_network_without_leave(void **state)
{
    (void)state;
    struct script script = {.says = HELLO};
    struct ending e = send_mail(&script, false);

    assert_int_equal(e.result, HTTP_FORBIDDEN);
    assert_int_equal(script.heard_len, 0);
    assert_non_null(strstr(e.error, "allow_private_network"));
}

#define TAKEN HELLO "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n"

static void a_server_that_falls_silent_holds_up_no_other_mail(void **state)
{
    (void)state;
    struct script silent = {.says = HELLO "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n",
                            .stays = true},
                  good = {.says = TAKEN "221 bye\r\n"};
    struct loop *loop = loop_new();
    struct http_client *client = client_of(loop, true);
    struct ending first = {.loop = loop}, second = {.loop = loop};

    serve_at(&silent);
    serve_at(&good);
    give(client, &silent, &first);
    give(client, &good, &second);
    loop_run(loop);
    assert_true(second.is_done && second.result == HTTP_ANSWERED);
    assert_false(first.is_done);
    loop_run(loop);
    assert_int_equal(first.result, HTTP_NO_ANSWER);
    http_client_free(client);
    loop_free(loop);
    serve_no_more(&silent);
    serve_no_more(&good);
}

static void a_mail_is_done_before_its_goodbye_is_answered(void **state)
{
    (void)state;
    struct script script = {.says = TAKEN, .stays = true};
    struct loop *loop = loop_new();
    struct http_client *client = client_of(loop, true);
    struct ending e = {.loop = loop};

    serve_at(&script);
    give(client, &script, &e);
    loop_run(loop);
    assert_false(atomic_load(&script.has_left));
    assert_int_equal(e.status, 250);
    http_client_free(client); /* nor is its end waited for for ever */
    loop_free(loop);
    serve_no_more(&script);
    assert_non_null(strstr(script.heard, "QUIT"));
}

static void a_dropped_mail_tells_nobody(void **state)
{
    (void)state;
    struct script script = {.says = HELLO, .stays = true};
    struct loop *loop = loop_new();
    struct http_client *client = client_of(loop, true);
    struct ending e = {.loop = loop};

    serve_at(&script);
    http_client_abort(give(client, &script, &e));
    assert_int_equal(http_client_running(client), 0);
    http_client_free(client);
    loop_free(loop);
    serve_no_more(&script);
    assert_false(e.is_done);
}

static void what_is_ended_from_outside_may_have_been_sent(void **state)
{
    (void)state;
    struct script script = {.says = HELLO, .stays = true};
    struct loop *loop = loop_new();
    struct http_client *client = client_of(loop, true);
    struct ending e = {.loop = loop};

    serve_at(&script);
    http_client_end(give(client, &script, &e), "decided elsewhere");
    assert_int_equal(e.result, HTTP_NO_ANSWER);
    assert_string_equal(e.error, "decided elsewhere");
    http_client_free(client);
    loop_free(loop);
    serve_no_more(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_of_a_mail_has_its_result),
        cmocka_unit_test(who_was_refused_is_told_with_the_reply),
        cmocka_unit_test(nothing_is_dialled_on_a_private_network_without_leave),
        cmocka_unit_test(a_server_that_falls_silent_holds_up_no_other_mail),
        cmocka_unit_test(a_mail_is_done_before_its_goodbye_is_answered),
        cmocka_unit_test(a_dropped_mail_tells_nobody),
        cmocka_unit_test(what_is_ended_from_outside_may_have_been_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
