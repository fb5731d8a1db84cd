/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/wire/wire.h"
#include "proto/message.h"

/* One process plays both ends, over ipc in a directory of its own. */
struct end {
    int frames, links_up, links_down, writable, topics, misaligned, kept_out;
    char last[256];
    size_t last_len;
    struct wire_peer peer;
    struct wire_socket *socket, *close_on_frame;
};

struct stage {
    struct loop *loop;
    struct wire *wire;
    char dir[32], path[64], endpoint[80], error[256];
    struct end a, b;
};

static void on_frame(void *user, const struct wire_peer *peer, const void *frame,
                     size_t n)
{
    struct end *end = user;

    end->frames++;
    end->misaligned += (uintptr_t)frame % 8 != 0;
    end->last_len = n;
    memcpy(end->last, frame, n < sizeof(end->last) ? n : sizeof(end->last));
    if (peer)
        end->peer = *peer;
    if (end->close_on_frame) {
        wire_close(end->close_on_frame);
        end->close_on_frame = NULL;
    }
}

static void on_topic(void *user, const char *topic, size_t topic_len, const void *body,
                     size_t n)
{
    struct end *end = user;

    end->topics++;
    snprintf(end->last, sizeof(end->last), "%.*s=%.*s", (int)topic_len, topic, (int)n,
             (const char *)body);
}

static void on_link(void *user, bool is_up)
{
    struct end *end = user;

    if (is_up)
        end->links_up++;
    else
        end->links_down++;
}

static void on_failed(void *user, const char *why)
{
    assert_non_null(why);
    ((struct end *)user)->kept_out++;
}

static void on_writable(void *user)
{
    ((struct end *)user)->writable++;
}

static int begin(void **state)
{
    struct stage *stage = mem_alloc(sizeof(*stage));

    strcpy(stage->dir, "/tmp/wire-XXXXXX");
    if (!mkdtemp(stage->dir))
        return -1;
    snprintf(stage->path, sizeof(stage->path), "%s/bus.sock", stage->dir);
    snprintf(stage->endpoint, sizeof(stage->endpoint), "ipc://%s", stage->path);
    stage->loop = loop_new();
    stage->wire = wire_new(stage->loop);
    *state = stage;
    return 0;
}

static int finish(void **state)
{
    struct stage *stage = *state;

    wire_free(stage->wire);
    loop_free(stage->loop);
    unlink(stage->path);
    rmdir(stage->dir);
    free(stage);
    return 0;
}

static struct wire_socket *open_end(struct stage *stage, struct end *end,
                                    enum wire_kind kind, bool bind, int hwm)
{
    struct wire_options options = {
        .kind = kind,
        .endpoint = stage->endpoint,
        .bind = bind,
        .check_uid = bind,
        .hwm = hwm,
        .on_frame = on_frame,
        .on_topic = on_topic,
        .on_link = on_link,
        .on_failed = on_failed,
        .on_writable = on_writable,
        .user = end,
    };

    end->socket = wire_open(stage->wire, &options, stage->error, sizeof(stage->error));
    return end->socket;
}

/* Turn the loop until *counter is at least `want` or two seconds are over. */
static void turn_until(struct stage *stage, const int *counter, int want)
{
    uint64_t deadline_us = clock_steady_us() + 2000000;

    while (*counter < want && clock_steady_us() < deadline_us)
        loop_turn(stage->loop, 10);
    assert_true(*counter >= want);
}

static void turn_for(struct stage *stage, uint64_t us)
{
    for (uint64_t end_us = clock_steady_us() + us; clock_steady_us() < end_us;)
        loop_turn(stage->loop, 5);
}

static void open_pair(struct stage *stage)
{
    assert_non_null(open_end(stage, &stage->a, WIRE_ROUTER, true, 0));
    assert_non_null(open_end(stage, &stage->b, WIRE_DEALER, false, 0));
    turn_until(stage, &stage->b.links_up, 1);
    assert_int_equal(wire_send(stage->b.socket, NULL, "hello", 5), WIRE_SENT);
    turn_until(stage, &stage->a.frames, 1);
}

static void a_frame_goes_to_the_router_and_back(void **state)
{
    struct stage *stage = *state;

    open_pair(stage);
    assert_memory_equal(stage->a.last, "hello", 5);
    assert_int_equal(wire_send(stage->a.socket, &stage->a.peer, "welcome!", 8),
                     WIRE_SENT);
    turn_until(stage, &stage->b.frames, 1);
    assert_int_equal(stage->b.last_len, 8);
    assert_memory_equal(stage->b.last, "welcome!", 8);
}

static void the_kernel_says_who_the_peer_is(void **state)
{
    struct stage *stage = *state;

    open_pair(stage);
    assert_int_equal(stage->a.peer.uid, geteuid());
    assert_int_equal(stage->a.peer.pid, getpid());
    assert_true(wire_same_peer(&stage->a.peer, &stage->a.peer));
    struct wire_peer other = stage->a.peer;
    other.id[0] ^= 1;
    assert_false(wire_same_peer(&stage->a.peer, &other));
}

static void frames_of_any_size_are_aligned(void **state)
{
    static const size_t sizes[] = {1, 24, 33, 34, 100, 1001, 8191, 8193, 300001};
    struct stage *stage = *state;
    char *bytes = mem_alloc(300001);

    open_pair(stage);
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
            assert_int_equal(wire_send(stage->b.socket, NULL, bytes, sizes[i]),
                             WIRE_SENT);
    turn_until(stage, &stage->a.frames, 1 + 27);
    assert_int_equal(stage->a.misaligned, 0);
    assert_int_equal(stage->a.last_len, 300001);
    free(bytes);
}

static void nothing_is_left_waiting_without_a_wake_up(void **state)
{
    struct stage *stage = *state;

    open_pair(stage);
    for (int i = 1; i <= 500; i++) {
        assert_int_equal(wire_send(stage->b.socket, NULL, "ping", 4), WIRE_SENT);
        turn_until(stage, &stage->a.frames, 1 + i);
        assert_int_equal(wire_send(stage->a.socket, &stage->a.peer, "pong", 4),
                         WIRE_SENT);
        turn_until(stage, &stage->b.frames, i);
    }
    for (int i = 0; i < 100; i++) /* more than one turn takes */
        assert_int_equal(wire_send(stage->b.socket, NULL, "burst", 5), WIRE_SENT);
    turn_until(stage, &stage->a.frames, 601);
}

static void sending_to_a_peer_that_left_says_gone(void **state)
{
    struct stage *stage = *state;
    struct wire_peer nobody = {.id = {0, 9, 9, 9, 9}, .id_len = 5};
    int result = WIRE_SENT;

    open_pair(stage);
    assert_int_equal(wire_send(stage->a.socket, &nobody, "x", 1), WIRE_GONE);
    wire_close(stage->b.socket);
    for (int i = 0; i < 200 && result != WIRE_GONE; i++) {
        turn_for(stage, 5000);
        result = wire_send(stage->a.socket, &stage->a.peer, "x", 1);
    }
    assert_int_equal(result, WIRE_GONE);
}

static void a_full_pipe_says_again_and_then_writable(void **state)
{
    struct stage *stage = *state;
    char *frame = mem_alloc(200000);
    int sent = 0;

    assert_non_null(open_end(stage, &stage->a, WIRE_ROUTER, true, 4));
    assert_non_null(open_end(stage, &stage->b, WIRE_DEALER, false, 4));
    turn_until(stage, &stage->b.links_up, 1);
    while (sent < 1000 && wire_send(stage->b.socket, NULL, frame, 200000) == WIRE_SENT)
        sent++;
    assert_in_range(sent, 4, 999); /* nobody reads while we do not turn the loop */
    assert_int_equal(stage->b.writable, 0);
    turn_until(stage, &stage->b.writable, 1);
    turn_until(stage, &stage->a.frames, sent);
    free(frame);
}

static void a_dealer_without_a_connection_says_again(void **state)
{
    struct stage *stage = *state;

    assert_non_null(open_end(stage, &stage->b, WIRE_DEALER, false, 0));
    assert_int_equal(wire_send(stage->b.socket, NULL, "x", 1), WIRE_AGAIN);
    assert_non_null(
        open_end(stage, &stage->a, WIRE_ROUTER, true, 0)); /* it comes later */
    turn_until(stage, &stage->b.writable, 1);
    turn_until(stage, &stage->b.links_up, 1);
    assert_int_equal(wire_send(stage->b.socket, NULL, "x", 1), WIRE_SENT);
    turn_until(stage, &stage->a.frames, 1);
}

static void a_dealer_hears_of_the_link_going_and_coming(void **state)
{
    struct stage *stage = *state;

    open_pair(stage);
    wire_close(stage->a.socket);
    turn_until(stage, &stage->b.links_down, 1);
    assert_non_null(open_end(stage, &stage->a, WIRE_ROUTER, true, 0));
    turn_until(stage, &stage->b.links_up, 2);
}

static atomic_int released;

static void release(void *frame, void *hint)
{
    free(frame);
    atomic_fetch_add((atomic_int *)hint, 1);
}

static void owned_frames_are_released_sent_or_not(void **state)
{
    struct stage *stage = *state;
    struct wire_peer nobody = {.id = {0, 9, 9, 9, 9}, .id_len = 5};

    open_pair(stage);
    atomic_store(&released, 0);
    assert_int_equal(wire_send_owned(stage->a.socket, &nobody, mem_alloc(5000), 5000,
                                     release, &released),
                     WIRE_GONE);
    assert_int_equal(atomic_load(&released), 1);
    assert_int_equal(wire_send_owned(stage->b.socket, NULL, mem_alloc(50000), 50000,
                                     release, &released),
                     WIRE_SENT);
    turn_until(stage, &stage->a.frames, 2);
    assert_int_equal(stage->a.last_len, 50000);
    for (int i = 0; i < 200 && atomic_load(&released) < 2; i++)
        turn_for(stage, 1000);
    assert_int_equal(atomic_load(&released), 2);
}

static void a_callback_may_close_its_own_socket(void **state)
{
    struct stage *stage = *state;

    open_pair(stage);
    for (int i = 0; i < 10; i++)
        assert_int_equal(wire_send(stage->b.socket, NULL, "x", 1), WIRE_SENT);
    stage->a.close_on_frame = stage->a.socket;
    turn_for(stage, 50000);
    assert_int_equal(stage->a.frames, 2); /* the frames behind it are not handed up */
}

static void a_gentle_close_lets_the_last_words_out(void **state)
{
    struct stage *stage = *state;
    char *frame = mem_alloc(1 << 20);

    open_pair(stage);
    assert_int_equal(wire_send(stage->b.socket, NULL, frame, 1 << 20), WIRE_SENT);
    assert_int_equal(wire_send(stage->b.socket, NULL, "bye", 3), WIRE_SENT);
    wire_close_gently(stage->b.socket);
    turn_until(stage, &stage->a.frames, 3);
    assert_memory_equal(stage->a.last, "bye", 3);
    wire_close_gently(NULL);
    free(frame);
}

static void topics_reach_their_subscribers_only(void **state)
{
    struct stage *stage = *state;

    assert_non_null(open_end(stage, &stage->a, WIRE_XPUB, true, 0));
    assert_non_null(open_end(stage, &stage->b, WIRE_SUB, false, 0));
    wire_subscribe(stage->b.socket, "payment.");
    turn_until(stage, &stage->a.frames, 1);
    assert_int_equal(stage->a.last_len, 9);
    assert_memory_equal(stage->a.last, "\1payment.", 9);
    assert_int_equal(wire_publish(stage->a.socket, "email.sent", 10, "no", 2), WIRE_SENT);
    assert_int_equal(wire_publish(stage->a.socket, "payment.charge", 14, "yes", 3),
                     WIRE_SENT);
    turn_until(stage, &stage->b.topics, 1);
    assert_string_equal(stage->b.last, "payment.charge=yes");
    wire_close(stage->b.socket);
    turn_until(stage, &stage->a.frames, 2);
    assert_int_equal(stage->a.last[0], 0);
}

/* --- foreign senders: ZMTP 3.0 by hand on a plain socket --- */

static uid_t connect_as; /* 0: as we are */

static int connect_raw(struct stage *stage)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    strcpy(address.sun_path, stage->path);
    if (connect_as)
        assert_int_equal(seteuid(connect_as), 0);
    int refused = connect(fd, (struct sockaddr *)&address, sizeof(address));
    if (connect_as)
        assert_int_equal(seteuid(0), 0);
    assert_int_equal(refused, 0);
    return fd;
}

static void write_raw(int fd, const void *bytes, size_t n)
{
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Shake hands as a DEALER and stand ready to send frames. */
static int connect_zmtp(struct stage *stage)
{
    static const char greeting[64] = "\xff\0\0\0\0\0\0\0\x01\x7f\x03\x00NULL";
    static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06"
                                "DEALER";
    int fd = connect_raw(stage);

    write_raw(fd, greeting, sizeof(greeting));
    turn_for(stage, 20000);
    write_raw(fd, ready, sizeof(ready) - 1);
    turn_for(stage, 20000);
    return fd;
}

static void
a_peer_made_by_hand_is_heard(void **state) /* else the next tests prove nothing */
{
    struct stage *stage = *state;

    assert_non_null(open_end(stage, &stage->a, WIRE_ROUTER, true, 0));
    int fd = connect_zmtp(stage);
    write_raw(fd, "\0\5howdy", 7);
    turn_until(stage, &stage->a.frames, 1);
    assert_memory_equal(stage->a.last, "howdy", 5);
    assert_int_equal(wire_dropped(stage->a.socket), 0);
    close(fd);
}

/* Only root can be somebody else: SO_PEERCRED is who one was when connecting. */
static void a_peer_of_another_user_is_refused(void **state)
{
    struct stage *stage = *state;

    if (geteuid() != 0)
        skip();
    assert_non_null(open_end(stage, &stage->a, WIRE_ROUTER, true, 0));
    assert_int_equal(chmod(stage->dir, 0711) | chmod(stage->path, 0666), 0);
    connect_as = 65534;
    int fd = connect_zmtp(stage);
    connect_as = 0;
    (void)send(fd, "\0\5howdy", 7, MSG_NOSIGNAL); /* it may be closed already */
    turn_for(stage, 50000);
    assert_int_equal(stage->a.frames, 0);
    assert_int_equal(wire_dropped(stage->a.socket),
                     0); /* refused at the door, not later */
    assert_true(stage->a.kept_out >= 1);
    close(fd);
    fd = connect_zmtp(stage); /* the same as ourselves */
    write_raw(fd, "\0\5howdy", 7);
    turn_until(stage, &stage->a.frames, 1);
    close(fd);
}

static void multipart_messages_are_dropped_and_counted(void **state)
{
    struct stage *stage = *state;

    assert_non_null(open_end(stage, &stage->a, WIRE_ROUTER, true, 0));
    int fd = connect_zmtp(stage);
    write_raw(fd, "\1\1a\1\1b\0\1c", 9); /* three parts */
    write_raw(fd, "\1\0\0\1d", 5);       /* an empty delimiter, as REQ sends it */
    write_raw(fd, "\0\2ok", 4);
    turn_until(stage, &stage->a.frames, 1);
    assert_memory_equal(stage->a.last, "ok", 2);
    assert_int_equal(stage->a.frames, 1);
    assert_int_equal(wire_dropped(stage->a.socket), 2);
    close(fd);
}

static void a_frame_over_the_limit_ends_its_connection_only(void **state)
{
    struct stage *stage = *state;
    char byte;

    open_pair(stage);
    int fd = connect_zmtp(stage);
    write_raw(fd, "\2\0\0\0\1\0\0\0\0", 9); /* announces 4 GiB */
    turn_for(stage, 50000);
    while (recv(fd, &byte, 1, MSG_DONTWAIT) == 1)
        ;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0); /* closed */
    assert_int_equal(wire_send(stage->b.socket, NULL, "still here", 10), WIRE_SENT);
    turn_until(stage, &stage->a.frames, 2);
    close(fd);
}

static void garbage_and_http_on_the_socket_do_no_harm(void **state)
{
    struct stage *stage = *state;
    char garbage[4096];
    uint64_t seed = 7;

    open_pair(stage);
    for (int i = 0; i < 20; i++) {
        for (size_t at = 0; at < sizeof(garbage); at++)
            garbage[at] =
                (char)((seed = seed * 6364136223846793005u + 1442695040888963407u) >> 56);
        int fd = connect_raw(stage);
        write_raw(fd, garbage, sizeof(garbage));
        turn_for(stage, 2000);
        close(fd);
    }
    int fd = connect_raw(stage);
    write_raw(fd, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35);
    turn_for(stage, 20000);
    close(fd);
    assert_int_equal(stage->a.frames, 1);
    assert_int_equal(wire_send(stage->b.socket, NULL, "still here", 10), WIRE_SENT);
    turn_until(stage, &stage->a.frames, 2);
}

static void bad_endpoints_are_refused_with_a_reason(void **state)
{
    static const struct {
        const char *endpoint, *reason;
    } cases[] = {
        {"tcp://127.0.0.1:5555", "needs a secret key"},
        {"ipc://relative", "expected ipc:///PATH"},
        {"pgm://eth0;239.192.1.1:5555", "expected ipc:///PATH"},
        {"inproc://x", "expected ipc:///PATH"},
        {"", "expected ipc:///PATH"},
        {"ipc:///nonexistent-dir/bus.sock", "No such file"},
    };
    struct stage *stage = *state;

    for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        snprintf(stage->endpoint, sizeof(stage->endpoint), "%s", cases[i].endpoint);
        stage->error[0] = 0;
        assert_null(open_end(stage, &stage->a, WIRE_ROUTER, true, 0));
        assert_non_null(strstr(stage->error, cases[i].reason));
    }
    char endpoint[200] = "ipc:///";
    memset(endpoint + 7, 'x', 120);
    struct wire_options options = {
        .kind = WIRE_ROUTER, .endpoint = endpoint, .bind = true, .on_frame = on_frame};
    assert_null(wire_open(stage->wire, &options, stage->error, sizeof(stage->error)));
    assert_non_null(strstr(stage->error, "too long"));
}

static void a_bound_socket_is_for_its_owner_and_replaces_a_stale_one(void **state)
{
    struct stage *stage = *state;
    struct stat info;
    FILE *stale = fopen(stage->path, "w");

    fclose(stale);
    assert_non_null(open_end(stage, &stage->a, WIRE_ROUTER, true, 0));
    assert_int_equal(stat(stage->path, &info), 0);
    assert_true(S_ISSOCK(info.st_mode));
    assert_int_equal(info.st_mode & 0777, 0600);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(a_frame_goes_to_the_router_and_back),
        TEST(the_kernel_says_who_the_peer_is),
        TEST(frames_of_any_size_are_aligned),
        TEST(nothing_is_left_waiting_without_a_wake_up),
        TEST(sending_to_a_peer_that_left_says_gone),
        TEST(a_full_pipe_says_again_and_then_writable),
        TEST(a_dealer_without_a_connection_says_again),
        TEST(a_dealer_hears_of_the_link_going_and_coming),
        TEST(owned_frames_are_released_sent_or_not),
        TEST(a_callback_may_close_its_own_socket),
        TEST(a_gentle_close_lets_the_last_words_out),
        TEST(topics_reach_their_subscribers_only),
        TEST(a_peer_made_by_hand_is_heard),
        TEST(a_peer_of_another_user_is_refused),
        TEST(multipart_messages_are_dropped_and_counted),
        TEST(a_frame_over_the_limit_ends_its_connection_only),
        TEST(garbage_and_http_on_the_socket_do_no_harm),
        TEST(bad_endpoints_are_refused_with_a_reason),
        TEST(a_bound_socket_is_for_its_owner_and_replaces_a_stale_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
