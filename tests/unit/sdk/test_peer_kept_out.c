/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A peer on an encrypted link: let in, kept out, let in later. */
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
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "lib/wire/curve.h"
#include "lib/wire/wire.h"
#include "proto/attrs.h"
#include "proto/message.h"

struct stage {
    struct loop *loop;
    struct wire *wire;
    struct wire_socket *bus;
    struct peer *peer;
    char dir[32], ipc[80], tcp[64], error[256];
    char server_public[CURVE_KEY_SIZE], server_secret[CURVE_KEY_SIZE];
    char peer_public[CURVE_KEY_SIZE], peer_secret[CURVE_KEY_SIZE];
    bool is_open;
    int asked, hellos, joined, kept_out;
};

static bool admit(void *user, const char *key, const char *address)
{
    struct stage *s = user;

    (void)address;
    s->asked++;
    return s->is_open && strcmp(key, s->peer_public) == 0;
}

/* A broker that welcomes whoever says HELLO. */
static void on_bus(void *user, const struct wire_peer *from, const void *frame, size_t n)
{
    struct stage *s = user;
    struct buf out = BUF_NULL, map = BUF_NULL;

    (void)n;
    if (((const struct message *)frame)->type != MSG_HELLO)
        return;
    s->hellos++;
    attrs_begin(&map);
    attrs_named_int(&map, "version", 1);
    message_begin(&out, MSG_WELCOME, 0);
    buf_add(&out, map.bytes, map.len);
    message_end(&out);
    assert_int_equal(wire_send(s->bus, from, out.bytes, out.len), WIRE_SENT);
    buf_fini(&out);
    buf_fini(&map);
}

static void on_joined(void *user)
{
    ((struct stage *)user)->joined++;
}

static void on_kept_out(void *user, const char *why)
{
    assert_non_null(strstr(why, "not admitted"));
    ((struct stage *)user)->kept_out++;
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
    struct stage *s = mem_alloc(sizeof(*s));

    *state = s;
    strcpy(s->dir, "/tmp/peer-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    assert_true(curve_pair(s->server_public, s->server_secret));
    assert_true(curve_pair(s->peer_public, s->peer_secret));
    snprintf(s->ipc, sizeof(s->ipc), "ipc://%s/bus.sock", s->dir);
    snprintf(s->tcp, sizeof(s->tcp), "tcp://127.0.0.1:%u", free_port());
    s->loop = loop_new();
    s->wire = wire_new(s->loop);
    s->bus = wire_open(s->wire,
                       &(struct wire_options){.kind = WIRE_ROUTER,
                                              .endpoint = s->ipc,
                                              .bind = true,
                                              .check_uid = true,
                                              .on_frame = on_bus,
                                              .admit = admit,
                                              .user = s},
                       s->error, sizeof(s->error));
    assert_non_null(s->bus);
    assert_int_equal(wire_listen(s->bus, s->tcp,
                                 &(struct wire_curve){.secret_key = s->server_secret},
                                 s->error, sizeof(s->error)),
                     0);
    return 0;
}

static int finish(void **state)
{
    struct stage *s = *state;

    peer_free(s->peer);
    wire_free(s->wire);
    loop_free(s->loop);
    unlink(s->ipc + strlen("ipc://"));
    rmdir(s->dir);
    free(s);
    return 0;
}

static bool dial(struct stage *s, const char *secret_key)
{
    s->peer = peer_new(s->loop, s->wire,
                       &(struct peer_options){.endpoint = s->tcp,
                                              .secret_key = secret_key,
                                              .server_key = s->server_public,
                                              .role = "client",
                                              .name = "app",
                                              .user = s,
                                              .on_joined = on_joined,
                                              .on_kept_out = on_kept_out},
                       s->error, sizeof(s->error));
    return s->peer != NULL;
}

static void turn_until(struct stage *s, const int *counter, int want)
{
    uint64_t deadline_us = clock_steady_us() + 15000000;

    while (*counter < want && clock_steady_us() < deadline_us)
        loop_turn(s->loop, 10);
    assert_true(*counter >= want);
}

static void with_its_key_it_joins(void **state)
{
    struct stage *s = *state;

    s->is_open = true;
    assert_true(dial(s, s->peer_secret));
    turn_until(s, &s->joined, 1);
    assert_int_equal(s->kept_out, 0);
}

static void kept_out_it_tries_again_and_joins_once_it_is_known(void **state)
{
    struct stage *s = *state;

    assert_true(dial(s, s->peer_secret));
    turn_until(s, &s->kept_out, 2); /* told, and tried again by itself */
    assert_int_equal(s->joined + s->hellos, 0);
    s->is_open = true;
    turn_until(s, &s->joined, 1);
}

static void without_a_key_it_is_not_made(void **state)
{
    struct stage *s = *state;

    assert_false(dial(s, NULL));
    assert_non_null(strstr(s->error, "needs a secret key"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(with_its_key_it_joins),
        TEST(kept_out_it_tries_again_and_joins_once_it_is_known),
        TEST(without_a_key_it_is_not_made),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
