/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A peer against a broker made for the test: a ROUTER that notes what it gets and says
 * what it is told to. Sockets are real; timers run on a clock that the test moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "lib/wire/wire.h"
#include "proto/attrs.h"
#include "proto/control.h"
#include "proto/message.h"
#include "proto/record.h"

enum { HEARD_MAX = 256, SECOND = 1000000 };

struct heard {
    struct message header;
    struct buf body;
};

struct stage {
    struct loop *loop;
    struct wire *wire;
    struct peer *peer;
    char dir[32], path[64], endpoint[80], error[256];
    /* the broker's side */
    struct wire_socket *bus;
    struct wire_peer from;
    struct heard heard[HEARD_MAX];
    int n_heard, seen;
    bool greets; /* answers HELLO by itself */
    struct buf lost;
    int64_t window;
    /* the user's side */
    int joined, downs, rejected, published, refused, delivered, settled, outcomes,
        answers, lost_positions;
    uint64_t last_batch, last_index;
    unsigned last_error;
    uint32_t last_retry_ms, last_verdicts;
    bool last_ok;
    char text[256];
    struct position last_lost;
};

/* --- the broker --- */

static void say(struct stage *s, enum message_type type, uint64_t ref, uint32_t count,
                const void *body, size_t n)
{
    struct buf frame = BUF_NULL;

    message_begin(&frame, type, ref);
    buf_add(&frame, body, n);
    message_end(&frame)->count = count;
    assert_int_equal(wire_send(s->bus, &s->from, frame.bytes, frame.len), WIRE_SENT);
    buf_fini(&frame);
}

static void welcome(struct stage *s)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_int(&map, "version", 1);
    attrs_named_int(&map, "window", s->window);
    attrs_named_int(&map, "lease_ms", 30000);
    attrs_named_int(&map, "ping_ms", 2000);
    attrs_named_int(&map, "last_batch", 0);
    if (s->lost.len)
        attrs_named_bin(&map, "lost", s->lost.bytes, s->lost.len);
    say(s, MSG_WELCOME, 0, 0, map.bytes, map.len);
    buf_fini(&map);
}

static void refuse(struct stage *s, uint64_t ref, const char *code, int retry_after_ms)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_text(&map, "code", code);
    attrs_named_text(&map, "detail", "because");
    attrs_named_int(&map, "retry_after_ms", retry_after_ms);
    say(s, MSG_REFUSED, ref, 0, map.bytes, map.len);
    buf_fini(&map);
}

static void on_bus(void *user, const struct wire_peer *from, const void *frame, size_t n)
{
    struct stage *s = user;
    const char *why;
    const struct message *m = message_check(frame, n, &why);

    assert_non_null(m);
    assert_in_range(s->n_heard, 0, HEARD_MAX - 1);
    s->from = *from;
    s->heard[s->n_heard].header = *m;
    buf_add(&s->heard[s->n_heard].body, message_body(m), m->body_len);
    s->n_heard++;
    if (m->type == MSG_HELLO && s->greets)
        welcome(s);
}

static void open_bus(struct stage *s)
{
    struct wire_options options = {.kind = WIRE_ROUTER,
                                   .endpoint = s->endpoint,
                                   .bind = true,
                                   .check_uid = true,
                                   .on_frame = on_bus,
                                   .user = s};

    s->bus = wire_open(s->wire, &options, s->error, sizeof(s->error));
    assert_non_null(s->bus);
}

/* The next message the broker got, of this type (PINGs are skipped unless wanted). */
static struct heard *expect(struct stage *s, enum message_type type)
{
    uint64_t end_us = clock_steady_us() + 3000000;

    while (clock_steady_us() < end_us) {
        while (s->seen < s->n_heard) {
            struct heard *heard = &s->heard[s->seen++];
            if (heard->header.type == MSG_PING && type != MSG_PING)
                continue;
            assert_string_equal(message_name(heard->header.type), message_name(type));
            return heard;
        }
        loop_turn(s->loop, 10);
    }
    fail_msg("no %s came", message_name(type));
    return NULL;
}

static void turn_for(struct stage *s, uint64_t us)
{
    for (uint64_t end_us = clock_steady_us() + us; clock_steady_us() < end_us;)
        loop_turn(s->loop, 2);
}

static void turn_until(struct stage *s, const int *counter, int want)
{
    uint64_t end_us = clock_steady_us() + 3000000;

    while (*counter < want && clock_steady_us() < end_us)
        loop_turn(s->loop, 10);
    assert_int_equal(*counter, want);
}

/* --- the user --- */

static void on_joined(void *user)
{
    ((struct stage *)user)->joined++;
}
static void on_down(void *user)
{
    ((struct stage *)user)->downs++;
}
static void on_lost(void *user, struct position position)
{
    ((struct stage *)user)->lost_positions++;
    ((struct stage *)user)->last_lost = position;
}
static void on_rejected(void *user, unsigned code, const char *detail)
{
    struct stage *s = user;

    s->rejected++;
    s->last_error = code;
    snprintf(s->text, sizeof(s->text), "%s", detail);
}
static void on_published(void *user, uint64_t batch, const struct published *published,
                         const struct verdict *verdicts, uint32_t n)
{
    struct stage *s = user;

    (void)published;
    (void)verdicts;
    s->published++;
    s->last_batch = batch;
    s->last_verdicts = n;
}
static void on_refused(void *user, uint64_t batch, unsigned code, const char *detail,
                       uint32_t retry_after_ms)
{
    struct stage *s = user;

    s->refused++;
    s->last_batch = batch;
    s->last_error = code;
    s->last_retry_ms = retry_after_ms;
    snprintf(s->text, sizeof(s->text), "%s", detail);
}
static void on_deliver(void *user, const struct message *deliver)
{
    struct stage *s = user;
    const struct slice *slice = NULL;
    const struct record *records;
    const char *why;

    while ((slice = message_slice(deliver, slice, &records, &why)))
        s->delivered += (int)slice->count;
}
static void on_settled(void *user, uint64_t batch)
{
    ((struct stage *)user)->settled++;
    ((struct stage *)user)->last_batch = batch;
}
static void on_outcome(void *user, uint64_t ref, uint32_t index,
                       const struct slice *slice, const struct record *outcome)
{
    struct stage *s = user;

    assert_int_equal(slice->count, 1);
    assert_int_equal(outcome->kind, RECORD_OUTCOME);
    s->outcomes++;
    s->last_batch = ref;
    s->last_index = index;
}
static void on_answer(void *user, uint64_t ref, bool ok, const char *json)
{
    struct stage *s = user;

    s->answers++;
    s->last_batch = ref;
    s->last_ok = ok;
    snprintf(s->text, sizeof(s->text), "%s", json);
}

static void open_peer(struct stage *s, const char *group)
{
    struct peer_options options = {
        .endpoint = s->endpoint,
        .role = group ? "connector" : "client",
        .name = "stripe",
        .key = "bus-key",
        .group = group,
        .manifest = group ? "{\"name\":\"payment\"}" : NULL,
        .user = s,
        .on_joined = on_joined,
        .on_down = on_down,
        .on_lost = on_lost,
        .on_rejected = on_rejected,
        .on_published = on_published,
        .on_refused = on_refused,
        .on_deliver = on_deliver,
        .on_settled = on_settled,
        .on_outcome = on_outcome,
        .on_answer = on_answer,
    };

    s->peer = peer_new(s->loop, s->wire, &options, s->error, sizeof(s->error));
    assert_non_null(s->peer);
}

static int begin(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));

    strcpy(s->dir, "/tmp/peer-XXXXXX");
    if (!mkdtemp(s->dir))
        return -1;
    snprintf(s->path, sizeof(s->path), "%s/bus.sock", s->dir);
    snprintf(s->endpoint, sizeof(s->endpoint), "ipc://%s", s->path);
    s->loop = loop_new();
    loop_virtual(s->loop, clock_wall_us(), 1);
    s->wire = wire_new(s->loop);
    s->greets = true;
    s->window = 1 << 20;
    open_bus(s);
    *state = s;
    return 0;
}

static int finish(void **state)
{
    struct stage *s = *state;

    peer_free(s->peer);
    wire_free(s->wire);
    loop_free(s->loop);
    for (int i = 0; i < s->n_heard; i++)
        buf_fini(&s->heard[i].body);
    buf_fini(&s->lost);
    unlink(s->path);
    rmdir(s->dir);
    free(s);
    return 0;
}

/* As a killed broker leaves it, and a new one finds it. */
static void restart_bus(struct stage *s)
{
    int downs = s->downs;

    wire_close(s->bus);
    if (s->joined > downs)
        turn_until(s, &s->downs, downs + 1);
    open_bus(s);
}

static void join(struct stage *s, const char *group)
{
    open_peer(s, group);
    expect(s, MSG_HELLO);
    turn_until(s, &s->joined, 1);
    if (group)
        expect(s, MSG_SUBSCRIBE);
}

/* --- records --- */

static struct buf events(int n, size_t data_len, enum record_kind kind)
{
    struct buf out = BUF_NULL;
    char *data = mem_alloc(data_len + 1);
    struct record_parts parts = {.kind = kind,
                                 .type = "payment.charge.requested",
                                 .data = data,
                                 .data_len = data_len};

    for (int i = 0; i < n; i++)
        assert_true(record_add(&out, &parts) >= 0);
    free(data);
    return out;
}

static struct buf outcome_of(uint64_t block, uint32_t index)
{
    struct buf out = BUF_NULL;
    struct record_parts parts = {.kind = RECORD_OUTCOME,
                                 .status = STATUS_SUCCESS,
                                 .type = "payment.charge.succeeded",
                                 .settles = {block, index}};

    assert_true(record_add(&out, &parts) >= 0);
    return out;
}

static uint64_t publish(struct stage *s, int n, size_t data_len, bool wait)
{
    struct buf records = events(n, data_len, RECORD_REQUEST);
    uint64_t batch = peer_publish(s->peer, records.bytes, records.len, wait);

    buf_fini(&records);
    return batch;
}

static void answer_published(struct stage *s, uint64_t batch, uint64_t block,
                             uint32_t first)
{
    struct published published = {.block = block, .first = first};

    say(s, MSG_PUBLISHED, batch, 1, &published, sizeof(published));
}

static struct buf sliced(const struct buf *records, uint64_t block, uint32_t index,
                         uint32_t count)
{
    struct slice slice = {.block = block,
                          .index = index,
                          .count = count,
                          .bytes = (uint32_t)records->len,
                          .attempt = 1};
    struct buf out = BUF_NULL;

    buf_add(&out, &slice, sizeof(slice));
    buf_add(&out, records->bytes, records->len);
    return out;
}

static void say_outcome(struct stage *s, uint64_t ref, uint32_t count)
{
    struct buf outcome = outcome_of(5, 1), body = sliced(&outcome, 9, 0, 1);

    say(s, MSG_OUTCOME, ref, count, body.bytes, body.len);
    buf_fini(&outcome);
    buf_fini(&body);
}

static int count_positions(const struct heard *hello, const char *name,
                           struct wire_position *ret, int max)
{
    struct attr_value value;

    assert_true(attrs_find_named(hello->body.bytes, hello->body.len, name, &value));
    int n = (int)(value.text_len / sizeof(*ret));
    if (n)
        memcpy(ret, value.text, (size_t)(n < max ? n : max) * sizeof(*ret));
    return n;
}

/* --- joining --- */

static void a_peer_says_who_it_is_and_subscribes(void **state)
{
    struct stage *s = *state;
    struct attr_value value;

    open_peer(s, "stripe");
    struct heard *hello = expect(s, MSG_HELLO);
    const char *const texts[][2] = {{"role", "connector"},
                                    {"name", "stripe"},
                                    {"key", "bus-key"},
                                    {"manifest", "{\"name\":\"payment\"}"}};
    for (int i = 0; i < 4; i++) {
        _free_ char *text =
            attrs_copy_named(hello->body.bytes, hello->body.len, texts[i][0]);
        assert_string_equal(text, texts[i][1]);
    }
    assert_true(attrs_find_named(hello->body.bytes, hello->body.len, "instance", &value));
    assert_int_equal(value.text_len, 16);
    assert_true(attrs_find_named(hello->body.bytes, hello->body.len, "pid", &value));
    assert_int_equal(value.number, getpid());
    struct heard *subscribe = expect(s, MSG_SUBSCRIBE);
    assert_true(attrs_find_named(subscribe->body.bytes, subscribe->body.len,
                                 "credit_bytes", &value));
    assert_int_equal(value.number, CREDIT_BYTES_DEFAULT);
    turn_until(s, &s->joined, 1);
    assert_true(peer_is_joined(s->peer));
}

static void hello_is_said_again_when_nobody_answers(void **state)
{
    struct stage *s = *state;

    s->greets = false;
    open_peer(s, NULL);
    expect(s, MSG_HELLO);
    turn_for(s, 20000);
    assert_int_equal(s->n_heard, 1);
    loop_advance(s->loop, SECOND);
    s->greets = true;
    expect(s, MSG_HELLO);
    turn_until(s, &s->joined, 1);
}

static void a_second_welcome_changes_nothing(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    publish(s, 1, 10, false);
    expect(s, MSG_PUBLISH);
    welcome(s);
    turn_for(s, 20000);
    assert_int_equal(s->joined, 1);
    assert_int_equal(s->n_heard, 2); /* nothing was sent again */
}

static void a_refusal_for_good_silences_the_peer(void **state)
{
    struct stage *s = *state;

    s->greets = false;
    open_peer(s, NULL);
    expect(s, MSG_HELLO);
    refuse(s, 0, "bad_identity", 0);
    turn_until(s, &s->rejected, 1);
    assert_int_equal(s->last_error, ERR_bad_identity);
    assert_string_equal(s->text, "because");
    loop_advance(s->loop, 10 * SECOND);
    turn_for(s, 20000);
    assert_int_equal(s->n_heard, 1);
}

static void a_refusal_for_now_is_tried_again_later(void **state)
{
    struct stage *s = *state;

    s->greets = false;
    open_peer(s, NULL);
    expect(s, MSG_HELLO);
    refuse(s, 0, "overloaded", 300);
    turn_for(s, 20000);
    loop_advance(s->loop, 299999);
    turn_for(s, 20000);
    assert_int_equal(s->n_heard, 1);
    loop_advance(s->loop, 1);
    expect(s, MSG_HELLO);
    assert_int_equal(s->rejected, 0);
}

static void a_refused_group_is_told(void **state)
{
    struct stage *s = *state;

    open_peer(s, "stripe");
    expect(s, MSG_HELLO);
    uint64_t ref = expect(s, MSG_SUBSCRIBE)->header.ref;
    refuse(s, ref, "not_ready", 50);
    turn_for(s, 20000);
    loop_advance(s->loop, 50000);
    assert_int_equal(expect(s, MSG_SUBSCRIBE)->header.ref, ref);
    refuse(s, ref, "no_group", 0);
    turn_until(s, &s->rejected, 1);
    assert_int_equal(s->last_error, ERR_no_group);
    assert_true(peer_is_joined(s->peer));
}

/* --- publishing --- */

static void a_batch_is_kept_until_it_is_committed(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    size_t before = peer_window(s->peer);
    assert_int_equal(before, 1 << 20);
    assert_int_equal(publish(s, 3, 100, false), 1);
    assert_true(peer_window(s->peer) < before);
    struct heard *heard = expect(s, MSG_PUBLISH);
    assert_int_equal(heard->header.ref, 1);
    assert_int_equal(heard->header.count, 3);
    assert_int_equal(heard->header.flags, 0);
    assert_int_equal(before - peer_window(s->peer), heard->body.len);
    answer_published(s, 1, 7, 1);
    turn_until(s, &s->published, 1);
    assert_int_equal(s->last_batch, 1);
    assert_int_equal(peer_window(s->peer), before);
    answer_published(s, 1, 7, 1); /* once more: already answered */
    turn_for(s, 10000);
    assert_int_equal(s->published, 1);
}

static void a_full_window_says_so_and_opens_again(void **state)
{
    struct stage *s = *state;
    uint64_t last = 0, batch;

    s->window = 10000;
    join(s, NULL);
    while ((batch = publish(s, 1, 2000, false)))
        last = batch;
    assert_int_equal(last, 4);
    assert_true(peer_window(s->peer) < 2200);
    answer_published(s, 1, 7, 1);
    turn_until(s, &s->published, 1);
    assert_int_equal(publish(s, 1, 2000, false), 5);
}

static void what_is_published_before_joining_goes_out_after(void **state)
{
    struct stage *s = *state;

    s->greets = false;
    open_peer(s, NULL);
    assert_int_equal(publish(s, 1, 10, false), 1);
    assert_int_equal(publish(s, 1, 10, false), 2);
    expect(s, MSG_HELLO);
    turn_for(s, 20000);
    assert_int_equal(s->n_heard, 1);
    welcome(s);
    assert_int_equal(expect(s, MSG_PUBLISH)->header.ref, 1);
    assert_int_equal(expect(s, MSG_PUBLISH)->header.ref, 2);
}

static void a_smaller_window_is_kept_to_when_sending_again(void **state)
{
    struct stage *s = *state;

    s->greets = false;
    s->window = 5000;
    open_peer(s, NULL);
    for (int i = 0; i < 5; i++)
        assert_int_equal(publish(s, 1, 2000, false), i + 1);
    expect(s, MSG_HELLO);
    welcome(s);
    expect(s, MSG_PUBLISH);
    expect(s, MSG_PUBLISH);
    turn_for(s, 20000);
    assert_int_equal(s->n_heard, 3);
    answer_published(s, 1, 7, 1);
    assert_int_equal(expect(s, MSG_PUBLISH)->header.ref, 3);
}

static void unanswered_batches_are_sent_again_in_order_under_their_numbers(void **state)
{
    struct stage *s = *state;
    struct attr_value value;
    struct buf result = outcome_of(5, 1);

    join(s, NULL);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(publish(s, 1, 10, false), i);
        expect(s, MSG_PUBLISH);
    }
    assert_int_equal(peer_result(s->peer, result.bytes, result.len), 4);
    expect(s, MSG_RESULT);
    answer_published(s, 2, 7, 1);
    turn_until(s, &s->published, 1);
    restart_bus(s);
    assert_false(peer_is_joined(s->peer));
    assert_int_equal(publish(s, 1, 10, false), 5); /* while it is down */
    struct heard *hello = expect(s, MSG_HELLO);
    assert_true(attrs_find_named(hello->body.bytes, hello->body.len, "batch", &value));
    assert_int_equal(value.number, 5);
    assert_memory_equal(hello->body.bytes, s->heard[0].body.bytes, 3);
    assert_int_equal(expect(s, MSG_PUBLISH)->header.ref, 1);
    assert_int_equal(expect(s, MSG_PUBLISH)->header.ref, 3);
    assert_int_equal(expect(s, MSG_RESULT)->header.ref, 4);
    assert_int_equal(expect(s, MSG_PUBLISH)->header.ref, 5);
    assert_int_equal(s->joined, 2);
    assert_int_equal(s->downs, 1);
    buf_fini(&result);
}

static void the_instance_stays_the_same_over_reconnects(void **state)
{
    struct stage *s = *state;
    struct attr_value first, second;

    join(s, NULL);
    restart_bus(s);
    struct heard *again = expect(s, MSG_HELLO);
    assert_true(attrs_find_named(s->heard[0].body.bytes, s->heard[0].body.len, "instance",
                                 &first));
    assert_true(
        attrs_find_named(again->body.bytes, again->body.len, "instance", &second));
    assert_memory_equal(first.text, second.text, 16);
}

static void a_refused_batch_is_told_and_not_sent_again(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    publish(s, 1, 10, false);
    expect(s, MSG_PUBLISH);
    refuse(s, 1, "overloaded", 200);
    turn_until(s, &s->refused, 1);
    assert_int_equal(s->last_batch, 1);
    assert_int_equal(s->last_error, ERR_overloaded);
    assert_int_equal(s->last_retry_ms, 200);
    assert_int_equal(peer_window(s->peer), 1 << 20);
    restart_bus(s);
    expect(s, MSG_HELLO);
    turn_until(s, &s->joined, 2);
    turn_for(s, 20000);
    assert_int_equal(s->seen, s->n_heard);
}

static void a_broker_that_forgot_us_is_joined_again(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    publish(s, 1, 10, false);
    expect(s, MSG_PUBLISH);
    refuse(s, 1, "not_joined", 0);
    expect(s, MSG_HELLO);
    assert_int_equal(expect(s, MSG_PUBLISH)->header.ref, 1);
    assert_int_equal(s->refused, 0);
    assert_int_equal(s->downs, 1);
}

/* --- deliveries --- */

static void deliveries_are_settled_by_results(void **state)
{
    struct stage *s = *state;
    struct buf records = events(2, 50, RECORD_REQUEST), body = sliced(&records, 5, 0, 2),
               result = outcome_of(5, 1);

    join(s, "stripe");
    say(s, MSG_DELIVER, 0, 2, body.bytes, body.len);
    turn_until(s, &s->delivered, 2);
    assert_int_equal(peer_result(s->peer, result.bytes, result.len), 1);
    struct heard *heard = expect(s, MSG_RESULT);
    assert_int_equal(heard->body.len, result.len);
    assert_memory_equal(heard->body.bytes, result.bytes, result.len);
    say(s, MSG_SETTLED, 1, 0, NULL, 0);
    turn_until(s, &s->settled, 1);
    say(s, MSG_SETTLED, 1, 0, NULL, 0);
    turn_for(s, 10000);
    assert_int_equal(s->settled, 1);
    buf_fini(&records);
    buf_fini(&body);
    buf_fini(&result);
}

static void ping_lists_what_is_started_and_not_settled(void **state)
{
    struct stage *s = *state;
    struct buf result = outcome_of(5, 1);
    struct wire_position position;

    join(s, "stripe");
    peer_started(s->peer, (struct position){5, 1});
    peer_started(s->peer, (struct position){5, 2});
    loop_advance(s->loop, 2 * SECOND);
    assert_int_equal(expect(s, MSG_PING)->body.len, 2 * sizeof(position));
    say(s, MSG_PONG, 0, 0, NULL, 0);
    peer_result(s->peer, result.bytes, result.len);
    expect(s, MSG_RESULT);
    loop_advance(s->loop, 2 * SECOND);
    struct heard *ping = expect(s, MSG_PING);
    assert_int_equal(ping->body.len, sizeof(position));
    memcpy(&position, ping->body.bytes, sizeof(position));
    assert_int_equal(position.block, 5);
    assert_int_equal(position.index, 2);
    buf_fini(&result);
}

static void hello_lists_what_still_runs_and_what_is_done_but_unanswered(void **state)
{
    struct stage *s = *state;
    struct wire_position running[8] = {0};
    struct control_ack ack = {
        .block = 4, .first = 7, .count = 2, .result = STATUS_SUCCESS};
    struct control_retry retry = {.block = 6, .index = 3};
    struct record_parts parts = {
        .kind = RECORD_ACK, .data = &ack, .data_len = sizeof(ack)};
    struct buf result = outcome_of(5, 1);

    join(s, "stripe");
    assert_true(record_add(&result, &parts) >= 0);
    parts = (struct record_parts){
        .kind = RECORD_RETRY, .data = &retry, .data_len = sizeof(retry)};
    assert_true(record_add(&result, &parts) >= 0);
    peer_started(s->peer, (struct position){5, 2});
    peer_result(s->peer, result.bytes, result.len);
    expect(s, MSG_RESULT);
    struct wire_position lost = {.block = 5, .index = 2};
    buf_add(&s->lost, &lost, sizeof(lost));
    lost.index = 1;
    buf_add(&s->lost, &lost, sizeof(lost)); /* of a result: nobody works on it any more */
    restart_bus(s);
    assert_int_equal(count_positions(expect(s, MSG_HELLO), "running", running, 8), 5);
    static const uint32_t wanted[5][2] = {{4, 7}, {4, 8}, {5, 1}, {5, 2}, {6, 3}};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(running[i].block, wanted[i][0]);
        assert_int_equal(running[i].index, wanted[i][1]);
    }
    turn_until(s, &s->joined, 2);
    assert_int_equal(s->lost_positions, 1);
    assert_int_equal(s->last_lost.index, 2);
    loop_advance(s->loop, 2 * SECOND);
    assert_int_equal(s->n_heard > 0, 1);
    expect(s, MSG_SUBSCRIBE);
    expect(s, MSG_RESULT);
    assert_int_equal(expect(s, MSG_PING)->body.len,
                     0); /* the lost one is no longer listed */
    buf_fini(&result);
}

/* --- silence --- */

static void a_silent_broker_is_left_after_three_pings(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    for (int i = 0; i < 3; i++) {
        loop_advance(s->loop, 2 * SECOND);
        expect(s, MSG_PING);
    }
    assert_int_equal(s->downs, 0);
    loop_advance(s->loop, 2 * SECOND);
    assert_int_equal(s->downs, 1);
    loop_advance(s->loop, SECOND);
    struct wire_peer before = s->from;
    expect(s, MSG_HELLO);
    assert_false(wire_same_peer(&before, &s->from)); /* a new connection */
    turn_until(s, &s->joined, 2);
}

static void any_frame_is_a_sign_of_life(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    for (int i = 0; i < 10; i++) {
        loop_advance(s->loop, 2 * SECOND);
        expect(s, MSG_PING);
        say(s, MSG_PONG, 0, 0, NULL, 0);
        turn_for(s, 5000);
    }
    assert_int_equal(s->downs, 0);
}

static void a_frame_that_makes_no_sense_ends_the_connection(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    assert_int_equal(wire_send(s->bus, &s->from, "nonsense", 8), WIRE_SENT);
    turn_until(s, &s->downs, 1);
    turn_for(s, 10000);
    assert_int_equal(s->n_heard, 1);
    loop_advance(s->loop, SECOND);
    expect(s, MSG_HELLO);
    turn_until(s, &s->joined, 2);
}

static void damaged_answers_are_survived(void **state)
{
    static const enum message_type types[] = {
        MSG_PUBLISHED, MSG_SETTLED, MSG_OUTCOME, MSG_ANSWER, MSG_REFUSED,
        MSG_PONG,      MSG_WELCOME, MSG_DELIVER, MSG_CREDIT, MSG_COMMITTED};
    struct stage *s = *state;
    struct published liar = {.verdicts = 0x10000000};

    join(s, NULL);
    publish(s, 1, 10, true);
    expect(s, MSG_PUBLISH);
    for (unsigned i = 0; i < sizeof(types) / sizeof(*types); i++) {
        say(s, types[i], 99, 1, "\xdd\x0f\0\0\0\0\0\0", 8);
        turn_for(s, 3000);
    }
    assert_int_equal(s->downs, 0);
    say(s, MSG_PUBLISHED, 1, 1, &liar,
        sizeof(liar)); /* announces verdicts that are not there */
    turn_until(s, &s->downs, 1);
    assert_int_equal(s->published, 0);
    loop_advance(s->loop, SECOND);
    expect(s, MSG_HELLO);
    assert_int_equal(expect(s, MSG_PUBLISH)->header.ref, 1);
}

static void bye_of_the_broker_means_join_again_later(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    say(s, MSG_BYE, 0, 0, NULL, 0);
    turn_until(s, &s->downs, 1);
    loop_advance(s->loop, SECOND);
    expect(s, MSG_HELLO);
}

static void free_says_bye(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    peer_free(s->peer);
    s->peer = NULL;
    expect(s, MSG_BYE);
}

/* --- waiting, asking, replaying --- */

static void the_outcome_of_a_published_request_comes_once(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    assert_int_equal(publish(s, 2, 10, true), 1);
    assert_int_equal(expect(s, MSG_PUBLISH)->header.flags, MESSAGE_WANTS_OUTCOME);
    answer_published(s, 1, 7, 1);
    turn_until(s, &s->published, 1);
    say_outcome(s, 1, 1);
    turn_until(s, &s->outcomes, 1);
    assert_int_equal(s->last_batch, 1);
    assert_int_equal(s->last_index, 1);
    say_outcome(s, 1, 1);
    turn_for(s, 10000);
    assert_int_equal(s->outcomes, 1);
}

static void outcomes_still_missing_are_asked_for_after_a_reconnect(void **state)
{
    struct stage *s = *state;
    struct wire_position position;

    join(s, NULL);
    publish(s, 3, 10, true);
    expect(s, MSG_PUBLISH);
    struct {
        struct published published;
        struct verdict verdict;
    } body = {.published = {.block = 7, .first = 4, .verdicts = 1},
              .verdict = {.index = 0, .code = VERDICT_DUPLICATE}};
    say(s, MSG_PUBLISHED, 1, 3, &body,
        sizeof(body)); /* the first of the three was not stored */
    turn_until(s, &s->published, 1);
    assert_int_equal(s->last_verdicts, 1);
    say_outcome(s, 1, 1);
    turn_until(s, &s->outcomes, 1);
    restart_bus(s);
    expect(s, MSG_HELLO);
    struct heard *wait = expect(s, MSG_WAIT);
    memcpy(&position, wait->body.bytes, sizeof(position));
    assert_int_equal(position.block, 7);
    assert_int_equal(position.index, 5);
    say_outcome(s, wait->header.ref, 0);
    turn_until(s, &s->outcomes, 2);
    assert_int_equal(s->last_batch, 1);
    assert_int_equal(s->last_index, 2);
    turn_for(s, 10000);
    assert_int_equal(s->seen, s->n_heard);
}

static void idempotency_keys_count_where_an_outcome_is_asked_for(void **state)
{
    struct stage *s = *state;
    struct control_idempotency key = {.body_hash = 1};
    struct record_parts keys = {
        .kind = RECORD_IDEMPOTENCY, .data = &key, .data_len = sizeof(key)};
    struct record_parts request = {.kind = RECORD_REQUEST,
                                   .type = "payment.charge.requested"};
    struct buf records = BUF_NULL;
    struct wire_position position;

    join(s, NULL);
    for (int i = 0; i < 2;
         i++) { /* key, request, key, request: the block holds them at 4 to 7 */
        record_add(&records, &keys);
        record_add(&records, &request);
    }
    assert_int_equal(peer_publish(s->peer, records.bytes, records.len, true), 1);
    assert_int_equal(expect(s, MSG_PUBLISH)->header.count, 2);
    answer_published(s, 1, 7, 4);
    turn_until(s, &s->published, 1);
    say_outcome(s, 1, 0);
    turn_until(s, &s->outcomes, 1);
    restart_bus(s);
    expect(s, MSG_HELLO);
    memcpy(&position, expect(s, MSG_WAIT)->body.bytes, sizeof(position));
    assert_int_equal(position.index, 7);
    buf_fini(&records);
}

static void waits_of_the_user_keep_his_ref(void **state)
{
    struct stage *s = *state;

    join(s, NULL);
    publish(s, 1, 10, false); /* batch 1, so that the ref below could be mistaken */
    expect(s, MSG_PUBLISH);
    peer_wait(s->peer, (struct position){3, 1}, 1);
    uint64_t ref = expect(s, MSG_WAIT)->header.ref;
    say_outcome(s, ref, 0);
    turn_until(s, &s->outcomes, 1);
    assert_int_equal(s->last_batch, 1);
    peer_wait(s->peer, (struct position){3, 2}, 1);
    refuse(s, expect(s, MSG_WAIT)->header.ref, "already_settled", 0);
    turn_until(s, &s->refused, 1);
    assert_int_equal(s->last_error, ERR_already_settled);
    assert_int_equal(s->last_batch, 1);
    assert_true(peer_window(s->peer) < 1 << 20); /* the batch is still unanswered */
}

static void a_question_has_one_answer(void **state)
{
    struct stage *s = *state;
    struct buf map = BUF_NULL;

    join(s, NULL);
    uint64_t ref = peer_admin(s->peer, "status", NULL);
    struct heard *heard = expect(s, MSG_ADMIN);
    assert_int_equal(heard->header.ref, ref);
    _free_ char *command =
        attrs_copy_named(heard->body.bytes, heard->body.len, "command");
    assert_string_equal(command, "status");
    restart_bus(s);
    expect(s, MSG_HELLO);
    assert_int_equal(expect(s, MSG_ADMIN)->header.ref, ref); /* asked again */
    attrs_begin(&map);
    attrs_named_bool(&map, "ok", true);
    attrs_named_text(&map, "body", "{\"events\":1}");
    say(s, MSG_ANSWER, ref, 0, map.bytes, map.len);
    say(s, MSG_ANSWER, ref, 0, map.bytes, map.len);
    turn_until(s, &s->answers, 1);
    turn_for(s, 10000);
    assert_int_equal(s->answers, 1);
    assert_true(s->last_ok);
    assert_string_equal(s->text, "{\"events\":1}");
    ref = peer_admin(s->peer, "dance", "{}");
    expect(s, MSG_ADMIN);
    refuse(s, ref, "bad_command", 0);
    turn_until(s, &s->answers, 2);
    assert_false(s->last_ok);
    assert_string_equal(s->text, "{\"code\":\"bad_command\",\"detail\":\"because\"}");
    buf_fini(&map);
}

static void a_replay_goes_on_where_it_was(void **state)
{
    struct stage *s = *state;
    struct buf records = events(2, 50, RECORD_FACT), body = sliced(&records, 5, 3, 2);
    struct wire_position position;

    join(s, NULL);
    peer_replay(s->peer, (struct position){1, 0});
    expect(s, MSG_CREDIT);
    expect(s, MSG_REPLAY);
    say(s, MSG_DELIVER, 0, 2, body.bytes, body.len);
    turn_until(s, &s->delivered, 2);
    struct credit credit;
    memcpy(&credit, expect(s, MSG_CREDIT)->body.bytes, sizeof(credit));
    assert_int_equal(credit.events, 2);
    restart_bus(s);
    expect(s, MSG_HELLO);
    expect(s, MSG_CREDIT);
    memcpy(&position, expect(s, MSG_REPLAY)->body.bytes, sizeof(position));
    assert_int_equal(position.block, 5);
    assert_int_equal(position.index, 5);
    buf_fini(&records);
    buf_fini(&body);
}

static void many_batches_get_through_a_broker_that_keeps_restarting(void **state)
{
    struct stage *s = *state;
    uint64_t expected = 1;

    s->window = 64 << 10;
    join(s, NULL);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 6; i++)
            assert_int_not_equal(publish(s, 4, 1000, false), 0);
        for (int i = 0; i < 6;
             i++) /* the broker sees every batch once more than it answers */
            expect(s, MSG_PUBLISH);
        restart_bus(s);
        expect(s, MSG_HELLO);
        for (int i = 0; i < 6; i++) {
            struct heard *heard = expect(s, MSG_PUBLISH);
            assert_int_equal(heard->header.ref, expected);
            assert_int_equal(heard->header.count, 4);
            answer_published(s, expected++, 7, 1);
        }
        turn_until(s, &s->published, (round + 1) * 6);
    }
    assert_int_equal(peer_window(s->peer), 64 << 10);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(a_peer_says_who_it_is_and_subscribes),
        TEST(hello_is_said_again_when_nobody_answers),
        TEST(a_second_welcome_changes_nothing),
        TEST(a_refusal_for_good_silences_the_peer),
        TEST(a_refusal_for_now_is_tried_again_later),
        TEST(a_refused_group_is_told),
        TEST(a_batch_is_kept_until_it_is_committed),
        TEST(a_full_window_says_so_and_opens_again),
        TEST(what_is_published_before_joining_goes_out_after),
        TEST(a_smaller_window_is_kept_to_when_sending_again),
        TEST(unanswered_batches_are_sent_again_in_order_under_their_numbers),
        TEST(the_instance_stays_the_same_over_reconnects),
        TEST(a_refused_batch_is_told_and_not_sent_again),
        TEST(a_broker_that_forgot_us_is_joined_again),
        TEST(deliveries_are_settled_by_results),
        TEST(ping_lists_what_is_started_and_not_settled),
        TEST(hello_lists_what_still_runs_and_what_is_done_but_unanswered),
        TEST(a_silent_broker_is_left_after_three_pings),
        TEST(any_frame_is_a_sign_of_life),
        TEST(a_frame_that_makes_no_sense_ends_the_connection),
        TEST(damaged_answers_are_survived),
        TEST(bye_of_the_broker_means_join_again_later),
        TEST(free_says_bye),
        TEST(the_outcome_of_a_published_request_comes_once),
        TEST(outcomes_still_missing_are_asked_for_after_a_reconnect),
        TEST(idempotency_keys_count_where_an_outcome_is_asked_for),
        TEST(waits_of_the_user_keep_his_ref),
        TEST(a_question_has_one_answer),
        TEST(a_replay_goes_on_where_it_was),
        TEST(many_batches_get_through_a_broker_that_keeps_restarting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
