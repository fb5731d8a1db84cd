/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Server-sent events, over a log that grows by hand: where a reader goes on, what it is
 * told when it comes late, reads slowly or may read no more. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/stream.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "tests/unit/gateway/box.h"

#define SECOND UINT64_C(1000000)

/* A log with one block of two facts, 1-0 and 1-1. */
static void give_log(struct box *box)
{
    box_give_log(box);
    maker_fact(box->maker, 1, "order.placed", STATUS_PENDING);
    maker_fact(box->maker, 2, "order.paid", STATUS_PENDING);
    maker_seal(box->maker);
}

static void add_fact(struct box *box, uint8_t name, const char *type)
{
    maker_fact(box->maker, name, type, STATUS_PENDING);
    maker_seal(box->maker);
}

static int listen_to(struct box *box, const char *query, const char *headers)
{
    char target[128], all[256];
    snprintf(target, sizeof(target), "/v1/stream%s", query);
    snprintf(all, sizeof(all), AUTH "%s", headers);
    int fd = ask(box, "GET", target, all, "", 0);
    settle(box);
    return fd;
}

/* What has come on the socket; true when it was closed. */
static bool drain(int fd, struct buf *text)
{
    ssize_t n;
    while ((n = recv(fd, buf_reserve(text, 65536), 65536, 0)) > 0)
        text->len += (size_t)n;
    return n == 0 || errno != EAGAIN;
}

/* The same after a moment: the clock of the streams stands on `us`. */
static const char *heard(struct box *box, int fd, uint64_t us, struct buf *text)
{
    loop_advance(box->gateway.loop, us);
    settle(box);
    buf_clear(text);
    drain(fd, text);
    return buf_str(text);
}

static void events_come_as_they_are_committed_with_their_place(void **state)
{
    struct box *box = *state;
    struct buf text = BUF_NULL;
    give_log(box);
    int fd = listen_to(box, "", "");
    assert_non_null(strstr(heard(box, fd, 0, &text), "text/event-stream"));
    assert_null(strstr(buf_str(&text), "id: ")); /* what was before is not told */
    add_fact(box, 3, "order.sent");
    heard(box, fd, STREAM_WAIT_US, &text);
    assert_non_null(strstr(buf_str(&text), "id: 2-0\ndata: {"));
    assert_non_null(strstr(buf_str(&text), "\"type\":\"order.sent\""));
    assert_non_null(strstr(buf_str(&text), "\"specversion\":\"1.0\""));
    add_fact(box, 4, "order.back");
    heard(box, fd, STREAM_WAIT_US, &text);
    assert_non_null(strstr(buf_str(&text), "id: 3-0\n"));
    assert_null(strstr(buf_str(&text), "order.sent"));
    close(fd);
    buf_fini(&text);
}

static void a_reader_goes_on_behind_its_last_event(void **state)
{
    struct box *box = *state;
    struct buf text = BUF_NULL;
    give_log(box);
    add_fact(box, 3, "order.sent");
    int fd = listen_to(box, "", "Last-Event-ID: 1-0\r\n");
    heard(box, fd, 0, &text);
    assert_null(strstr(buf_str(&text), "id: 1-0\n"));
    assert_non_null(strstr(buf_str(&text), "id: 1-1\n"));
    assert_non_null(strstr(buf_str(&text), "id: 2-0\n"));
    close(fd);
    buf_fini(&text);
}

static void what_is_not_asked_for_is_left_out_and_the_place_moves_on(void **state)
{
    struct box *box = *state;
    struct buf text = BUF_NULL;
    give_log(box);
    int fd = listen_to(box, "?type=order.*&key=", "Last-Event-ID: 1-1\r\n");
    close(fd); /* an empty key is a key */
    fd = listen_to(box, "?type=order.*", "Last-Event-ID: 1-1\r\n");
    add_fact(box, 3, "parcel.sent");
    add_fact(box, 4, "order.sent");
    add_fact(box, 5, "parcel.back");
    heard(box, fd, STREAM_WAIT_US, &text);
    assert_null(strstr(buf_str(&text), "parcel"));
    assert_non_null(strstr(buf_str(&text), "id: 3-0\n"));
    heard(box, fd, 15 * SECOND, &text); /* a sign of life carries the place of the last */
    assert_non_null(strstr(buf_str(&text), ": still here\nid: 4-"));
    close(fd);
    buf_fini(&text);
}

static void a_place_that_cannot_be_gone_on_from_is_400(void **state)
{
    struct box *box = *state;
    static const char *const wrong[] = {"5",   "1-",   "-1",   "1-0x",          "a-b",
                                        "1 0", "99-0", "1--0", "1-99999999999", "2-0",
                                        "+1-0"};
    give_log(box);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char header[64];
        snprintf(header, sizeof(header), "Last-Event-ID: %s\r\n", wrong[i]);
        _answer_ struct answer answer = hear(box, listen_to(box, "", header), HEAR_MS);
        if (answer.status != 400)
            fail_msg("%s: %d", wrong[i], answer.status);
    }
    assert_int_equal(streams_count(box->gateway.streams), 0);
}

static void what_retention_removed_is_told_as_a_gap(void **state)
{
    struct box *box = *state;
    struct buf text = BUF_NULL;
    give_log(box);
    for (uint8_t i = 3; i < 6; i++)
        add_fact(box, i, "order.sent");
    maker_segment(box->maker);
    add_fact(box, 6, "order.sent");
    maker_trim(box->maker, 5);
    int fd = listen_to(box, "", "Last-Event-ID: 1-1\r\n");
    heard(box, fd, 0, &text);
    assert_non_null(
        strstr(buf_str(&text), "event: gap\ndata: {\"from_block\":2,\"to_block\":4}\n"));
    assert_non_null(strstr(buf_str(&text), "id: 5-0\n"));
    close(fd);
    buf_fini(&text);
}

/* The body without the lengths of its chunks. */
static void take_chunks_apart(struct buf *text)
{
    struct buf body = BUF_NULL;
    const char *at = strstr(buf_str(text), "\r\n\r\n") + 4;
    const char *end = (const char *)text->bytes + text->len;
    while (at < end) {
        char *data = NULL;
        size_t n = strtoul(at, &data, 16);
        if (!data || n == 0 || data + 2 + n > end)
            break;
        buf_add(&body, data + 2, n);
        at = data + 2 + n + 2;
    }
    buf_fini(text);
    *text = body;
}

static void a_reader_that_sleeps_misses_nothing(void **state)
{
    enum { BLOCKS = 12, EACH = 1000, SIZE = 1000 };
    struct box *box = *state;
    struct buf text = BUF_NULL;
    static char data[SIZE + 1];
    snprintf(data, sizeof(data), "\"%0*d\"", SIZE - 2, 7);
    give_log(box);
    int fd = listen_to(box, "", "");
    for (int b = 0; b < BLOCKS; b++) {
        for (int i = 0; i < EACH; i++)
            maker_record(box->maker, &(struct record_parts){.kind = RECORD_FACT,
                                                            .type = "order.sent",
                                                            .flags = RECORD_JSON,
                                                            .data = data,
                                                            .data_len = SIZE});
        maker_seal(box->maker);
    }
    for (int i = 0; i < 20; i++) { /* it does not read */
        loop_advance(box->gateway.loop, STREAM_WAIT_US);
        loop_turn(box->gateway.loop, 0);
    }
    uint64_t until_us = clock_steady_us() + 20 * SECOND;
    char last[64];
    snprintf(last, sizeof(last), "id: %d-%d\n", BLOCKS + 1, EACH - 1);
    while (clock_steady_us() < until_us &&
           !memmem(buf_str(&text), text.len, last, strlen(last))) {
        drain(fd, &text);
        loop_advance(box->gateway.loop, STREAM_WAIT_US);
        loop_turn(box->gateway.loop, 0);
    }
    close(fd);
    take_chunks_apart(&text);
    int block = 2, index = 0;
    for (const char *at = buf_str(&text); (at = strstr(at, "id: ")); at += 4) {
        char *rest = NULL;
        assert_int_equal(strtol(at + 4, &rest, 10), block);
        assert_int_equal(strtol(rest + 1, NULL, 10), index);
        index = (index + 1) % EACH;
        block += index == 0;
    }
    assert_int_equal(block, BLOCKS + 2);
    buf_fini(&text);
}

static void a_stream_ends_with_its_token(void **state)
{
    struct box *box = *state;
    struct buf text = BUF_NULL;
    give_log(box);
    int fd = listen_to(box, "", "");
    add_fact(box, 3, "order.sent");
    memset(box->gateway.tokens.first.hash, 0, sizeof(box->gateway.tokens.first.hash));
    loop_advance(box->gateway.loop, 3 * SECOND);
    add_fact(box, 4, "order.back");
    loop_advance(box->gateway.loop, SECOND);
    settle(box);
    assert_true(drain(fd, &text));
    assert_non_null(strstr(buf_str(&text), "order.sent")); /* within two seconds */
    assert_null(strstr(buf_str(&text), "order.back"));
    assert_int_equal(streams_count(box->gateway.streams), 0);
    close(fd);
    buf_fini(&text);
}

static void one_stream_too_many_is_429_until_another_ends(void **state)
{
    struct box *box = *state;
    int fds[4];
    give_log(box);
    for (size_t i = 0; i < 4; i++)
        fds[i] = listen_to(box, "", "");
    assert_int_equal(streams_count(box->gateway.streams), 4);
    _answer_ struct answer answer = hear(box, listen_to(box, "", ""), HEAR_MS);
    assert_int_equal(answer.status, 429);
    assert_non_null(strstr(buf_str(&answer.text), "Retry-After: 1"));
    _answer_ struct answer head =
        hear(box, ask(box, "HEAD", "/v1/stream", AUTH, "", 0), HEAR_MS);
    assert_int_equal(head.status, 200); /* it takes no place */
    close(fds[2]);
    add_fact(box, 3, "order.sent"); /* the next word finds out */
    for (int i = 0; i < 50 && streams_count(box->gateway.streams) == 4; i++) {
        loop_advance(box->gateway.loop, 15 * SECOND);
        settle(box);
    }
    assert_int_equal(streams_count(box->gateway.streams), 3);
    close(fds[0]), close(fds[1]), close(fds[3]);
}

static void at_a_stop_streams_end_properly(void **state)
{
    struct box *box = *state;
    struct buf text = BUF_NULL;
    give_log(box);
    int fd = listen_to(box, "", "");
    streams_stop(box->gateway.streams);
    settle(box);
    assert_true(drain(fd, &text));
    assert_non_null(strstr(buf_str(&text), "\r\n0\r\n\r\n")); /* the last chunk */
    close(fd);
    buf_fini(&text);
}

static void without_a_log_there_is_no_stream_yet(void **state)
{
    struct box *box = *state;
    _answer_ struct answer answer = hear(box, listen_to(box, "", ""), HEAR_MS);
    assert_int_equal(answer.status, 503);
    assert_string_equal(js_text(answer.body, "detail", ""), "there is no log yet");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_open_still, box_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_come_as_they_are_committed_with_their_place),
        TEST(a_reader_goes_on_behind_its_last_event),
        TEST(what_is_not_asked_for_is_left_out_and_the_place_moves_on),
        TEST(a_place_that_cannot_be_gone_on_from_is_400),
        TEST(what_retention_removed_is_told_as_a_gap),
        TEST(a_reader_that_sleeps_misses_nothing),
        TEST(a_stream_ends_with_its_token),
        TEST(one_stream_too_many_is_429_until_another_ends),
        TEST(at_a_stop_streams_end_properly),
        TEST(without_a_log_there_is_no_stream_yet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
