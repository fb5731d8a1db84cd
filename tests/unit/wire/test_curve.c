/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/wire/curve.h"
#include "lib/wire/wire.h"

/* One process plays a server that listens at ipc and tcp, and its peers. */
struct keys {
    char public[CURVE_KEY_SIZE], secret[CURVE_KEY_SIZE];
};

struct end {
    int frames, links, failures;
    char last[64], why[128];
    struct wire_peer peer;
    struct wire_socket *socket;
};

struct stage {
    struct loop *loop;
    struct wire *wire;
    char dir[32], ipc[80], tcp[64], error[256];
    uint16_t port;
    struct keys server, friend, stranger;
    int asked;
    struct end a, b;
};

static struct stage *the_stage; /* of `admit`, whose user is an end */

static void on_frame(void *user, const struct wire_peer *peer, const void *frame,
                     size_t n)
{
    struct end *end = user;

    end->frames++;
    snprintf(end->last, sizeof(end->last), "%.*s", (int)n, (const char *)frame);
    if (peer)
        end->peer = *peer;
}

static void on_link(void *user, bool is_up)
{
    ((struct end *)user)->links += is_up;
}

static void on_failed(void *user, const char *why)
{
    struct end *end = user;

    end->failures++;
    snprintf(end->why, sizeof(end->why), "%s", why);
}

static bool admit(void *user, const char *key, const char *address)
{
    (void)user;
    the_stage->asked++;
    assert_string_equal(address, "127.0.0.1");
    return strcmp(key, the_stage->friend.public) == 0;
}

static uint16_t free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static int begin(void **state)
{
    struct stage *stage = mem_alloc(sizeof(*stage));
    struct keys *all[] = {&stage->server, &stage->friend, &stage->stranger};

    *state = the_stage = stage;
    strcpy(stage->dir, "/tmp/curve-XXXXXX");
    if (!mkdtemp(stage->dir))
        return -1;
    for (size_t i = 0; i < 3; i++)
        assert_true(curve_pair(all[i]->public, all[i]->secret));
    stage->port = free_port();
    snprintf(stage->ipc, sizeof(stage->ipc), "ipc://%s/bus.sock", stage->dir);
    snprintf(stage->tcp, sizeof(stage->tcp), "tcp://127.0.0.1:%u", stage->port);
    stage->loop = loop_new();
    stage->wire = wire_new(stage->loop);
    struct wire_options options = {
        .kind = WIRE_ROUTER,
        .endpoint = stage->ipc,
        .bind = true,
        .check_uid = true,
        .on_frame = on_frame,
        .on_failed = on_failed,
        .admit = admit,
        .user = &stage->a,
    };
    stage->a.socket =
        wire_open(stage->wire, &options, stage->error, sizeof(stage->error));
    assert_non_null(stage->a.socket);
    assert_int_equal(wire_listen(stage->a.socket, stage->tcp,
                                 &(struct wire_curve){stage->server.secret, NULL},
                                 stage->error, sizeof(stage->error)),
                     0);
    return 0;
}

static int finish(void **state)
{
    struct stage *stage = *state;

    wire_free(stage->wire);
    loop_free(stage->loop);
    unlink(stage->ipc + strlen("ipc://"));
    rmdir(stage->dir);
    free(stage);
    return 0;
}

static void turn_until(struct stage *stage, const int *counter, int want)
{
    uint64_t deadline_us = clock_steady_us() + 10000000;

    while (*counter < want && clock_steady_us() < deadline_us)
        loop_turn(stage->loop, 10);
    assert_true(*counter >= want);
}

static bool dial(struct stage *stage, const char *endpoint, const char *secret,
                 const char *server)
{
    struct wire_options options = {
        .kind = WIRE_DEALER,
        .endpoint = endpoint,
        .curve = {secret, server},
        .on_frame = on_frame,
        .on_link = on_link,
        .on_failed = on_failed,
        .user = &stage->b,
    };

    stage->b.socket =
        wire_open(stage->wire, &options, stage->error, sizeof(stage->error));
    return stage->b.socket != NULL;
}

static void a_known_key_gets_in_and_is_named_with_each_frame(void **state)
{
    struct stage *stage = *state;

    assert_true(dial(stage, stage->tcp, stage->friend.secret, stage->server.public));
    turn_until(stage, &stage->b.links, 1);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(wire_send(stage->b.socket, NULL, "hello", 5), WIRE_SENT);
        turn_until(stage, &stage->a.frames, i);
        assert_string_equal(stage->a.peer.key, stage->friend.public);
        assert_true(stage->a.peer.uid == -1 && stage->a.peer.pid == 0);
    }
    assert_int_equal(wire_send(stage->a.socket, &stage->a.peer, "welcome", 7), WIRE_SENT);
    turn_until(stage, &stage->b.frames, 1);
    assert_string_equal(stage->b.last, "welcome");
}

static void a_local_peer_of_the_same_socket_needs_no_key(void **state)
{
    struct stage *stage = *state;

    assert_true(dial(stage, stage->ipc, NULL, NULL));
    turn_until(stage, &stage->b.links, 1);
    assert_int_equal(wire_send(stage->b.socket, NULL, "hello", 5), WIRE_SENT);
    turn_until(stage, &stage->a.frames, 1);
    assert_string_equal(stage->a.peer.key, "");
    assert_int_equal(stage->a.peer.pid, getpid());
}

static void a_stranger_is_kept_out_and_both_sides_hear_of_it(void **state)
{
    struct stage *stage = *state;

    assert_true(dial(stage, stage->tcp, stage->stranger.secret, stage->server.public));
    turn_until(stage, &stage->b.failures, 1);
    assert_non_null(strstr(stage->b.why, "not admitted"));
    assert_true(stage->asked >= 1);
    assert_int_equal(stage->a.failures, 0); /* `admit` said no itself */
    assert_int_equal(wire_send(stage->b.socket, NULL, "hello", 5), WIRE_AGAIN);
    assert_int_equal(stage->a.frames + stage->b.links, 0);
}

static void another_key_of_the_server_is_not_believed(void **state)
{
    struct stage *stage = *state;

    assert_true(dial(stage, stage->tcp, stage->friend.secret, stage->stranger.public));
    turn_until(stage, &stage->a.failures, 1);
    assert_int_equal(stage->a.frames + stage->b.links + stage->asked, 0);
}

static void without_encryption_nobody_is_heard(void **state)
{
    static const char greeting[64] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00NULL";
    struct stage *stage = *state;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(stage->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL),
                     sizeof(greeting));
    turn_until(stage, &stage->a.failures, 1);
    assert_int_equal(stage->a.frames + stage->asked, 0);
    close(fd);
}

/* What a peer says of itself in its handshake becomes metadata too, beside what we found
 * out; it must not count. Made by hand, because no library sends this. */
static void a_local_peer_cannot_claim_a_key_in_its_handshake(void **state)
{
    static const char greeting[64] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00NULL";
    static const char head[] = "\x04\x50\x05READY\x0bSocket-Type\0\0\0\x06"
                               "DEALER"
                               "\x07User-Id\0\0\0\x28";
    struct stage *stage = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char ready[sizeof(head) - 1 + CURVE_KEY_LEN];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    memcpy(ready, head, sizeof(head) - 1);
    memcpy(ready + sizeof(head) - 1, stage->friend.public, CURVE_KEY_LEN);
    assert_int_equal(ready[1], sizeof(ready) - 2); /* the command's length */
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", stage->ipc + 6);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(send(fd, greeting, sizeof(greeting), MSG_NOSIGNAL),
                     sizeof(greeting));
    assert_int_equal(send(fd, ready, sizeof(ready), MSG_NOSIGNAL), sizeof(ready));
    char said[256];
    int heard = 0; /* its greeting, then its READY: now we are let in */
    for (uint64_t end_us = clock_steady_us() + 10000000;
         heard <= (int)sizeof(greeting) && clock_steady_us() < end_us;) {
        ssize_t n = recv(fd, said, sizeof(said), MSG_DONTWAIT);
        heard += n > 0 ? (int)n : 0;
        loop_turn(stage->loop, 5);
    }
    assert_int_equal(send(fd, "\0\5howdy", 7, MSG_NOSIGNAL), 7);
    turn_until(stage, &stage->a.frames, 1);
    assert_string_equal(stage->a.last, "howdy");
    assert_string_equal(stage->a.peer.key, "");
    assert_int_equal(stage->a.peer.pid, getpid());
    close(fd);
}

static void keys_that_are_none_are_refused_with_a_reason(void **state)
{
    struct stage *stage = *state;
    const struct {
        const char *secret, *server, *reason;
    } cases[] = {
        {NULL, stage->server.public, "needs a secret key"},
        {"short", stage->server.public, "needs a secret key"},
        {stage->friend.secret, NULL, "public key of the side that listens"},
        {stage->friend.secret, "not forty characters", "public key of the side"},
        {stage->friend.secret,
         "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""
         "\"",
         "public key of the side"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_false(dial(stage, stage->tcp, cases[i].secret, cases[i].server));
        assert_non_null(strstr(stage->error, cases[i].reason));
    }
    assert_int_equal(wire_listen(stage->a.socket, "ipc:///x",
                                 &(struct wire_curve){stage->server.secret, NULL},
                                 stage->error, sizeof(stage->error)),
                     -1);
    assert_int_equal(wire_listen(stage->a.socket, "tcp://127.0.0.1:1",
                                 &(struct wire_curve){NULL, NULL}, stage->error,
                                 sizeof(stage->error)),
                     -1);
}

static void the_public_half_follows_from_the_secret_one(void **state)
{
    struct stage *stage = *state;
    char public[CURVE_KEY_SIZE];

    assert_true(curve_public(stage->friend.secret, public));
    assert_string_equal(public, stage->friend.public);
    assert_false(curve_public("not a key", public));
    assert_false(curve_is_key(NULL));
    assert_false(curve_is_key(""));
    assert_true(curve_is_key(stage->server.public));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(a_known_key_gets_in_and_is_named_with_each_frame),
        TEST(a_local_peer_of_the_same_socket_needs_no_key),
        TEST(a_stranger_is_kept_out_and_both_sides_hear_of_it),
        TEST(another_key_of_the_server_is_not_believed),
        TEST(without_encryption_nobody_is_heard),
        TEST(a_local_peer_cannot_claim_a_key_in_its_handshake),
        TEST(keys_that_are_none_are_refused_with_a_reason),
        TEST(the_public_half_follows_from_the_secret_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
