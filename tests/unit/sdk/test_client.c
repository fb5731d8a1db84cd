/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The client against a broker of a few lines in another process, which answers as the
 * test wants.  What a real broker does with it is tested in tests/system. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "include/signalbox/client.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/wire/wire.h"
#include "proto/attrs.h"
#include "proto/message.h"

/* How the broker answers a PUBLISH. */
enum manner {
    TAKES,        /* PUBLISHED */
    NOT_NOW,      /* the first three times REFUSED with retry_after, then PUBLISHED */
    NEVER,        /* REFUSED */
    SILENT,       /* nothing */
    FORGETS,      /* PUBLISHED without a place: it was restarted */
    WITH_OUTCOME, /* PUBLISHED, then OUTCOME */
    DOUBLES,      /* PUBLISHED: it came before, at 9:4; then OUTCOME to the WAIT */
    TURNS_AWAY,   /* HELLO is REFUSED */
};

struct stage {
    char dir[32], endpoint[80], error[300];
    pid_t broker;
    struct sb_client *client;
};

/* --- the broker, in the child --- */

struct broker {
    enum manner manner;
    int published;
    struct wire_socket *bus;
};

static void say(struct broker *b, const struct wire_peer *to, enum message_type type,
                uint64_t ref, uint32_t count, const void *body, size_t n)
{
    struct buf frame = BUF_NULL;

    message_begin(&frame, type, ref);
    buf_add(&frame, body, n);
    message_end(&frame)->count = count;
    (void)wire_send(b->bus, to, frame.bytes, frame.len); /* the client may be gone */
    buf_fini(&frame);
}

static void say_map(struct broker *b, const struct wire_peer *to, enum message_type type,
                    uint64_t ref, const char *code, int retry_after_ms)
{
    struct buf map = BUF_NULL;

    attrs_begin(&map);
    attrs_named_text(&map, "code", code);
    attrs_named_text(&map, "detail", "because");
    attrs_named_int(&map, "retry_after_ms", retry_after_ms);
    say(b, to, type, ref, 0, map.bytes, map.len);
    buf_fini(&map);
}

static void say_outcome(struct broker *b, const struct wire_peer *to, uint64_t ref)
{
    const uint8_t id[16] = {9};
    struct buf body = BUF_NULL, record = BUF_NULL;

    record_add(&record, &(struct record_parts){.kind = RECORD_OUTCOME,
                                               .status = STATUS_SUCCESS,
                                               .flags = RECORD_JSON,
                                               .attempt = 2,
                                               .type = "payment.charge.succeeded",
                                               .id = id,
                                               .cause = id,
                                               .data = "{\"paid\":true}",
                                               .data_len = 13});
    struct slice slice = {.block = 7, .count = 1, .bytes = (uint32_t)record.len};
    buf_add(&body, &slice, sizeof(slice));
    buf_add(&body, record.bytes, record.len);
    say(b, to, MSG_OUTCOME, ref, 0, body.bytes, body.len);
    buf_fini(&body);
    buf_fini(&record);
}

static void answer_publish(struct broker *b, const struct wire_peer *to,
                           const struct message *m)
{
    struct {
        struct published published;
        struct verdict verdict;
    } body = {.published = {.block = 7, .first = 1}};
    size_t n = sizeof(body.published);

    b->published++;
    if (b->manner == SILENT)
        return;
    if (b->manner == NEVER || (b->manner == NOT_NOW && b->published <= 3)) {
        say_map(b, to, MSG_REFUSED, m->ref,
                b->manner == NEVER ? "reserved_type" : "overloaded",
                b->manner == NEVER ? 0 : 20);
        return;
    }
    if (b->manner == FORGETS)
        body.published.block = 0;
    if (b->manner == DOUBLES) {
        body.published.verdicts = 1;
        body.verdict =
            (struct verdict){.code = VERDICT_DUPLICATE, .block = 9, .position = 4};
        n = sizeof(body);
    }
    say(b, to, MSG_PUBLISHED, m->ref, m->count, &body, n);
    if (b->manner == WITH_OUTCOME)
        say_outcome(b, to, m->ref);
}

static void on_bus(void *user, const struct wire_peer *from, const void *frame, size_t n)
{
    const struct message *m = frame;
    const struct wire_position *at = message_body(m);
    struct broker *b = user;

    (void)n;
    if (m->type == MSG_HELLO && b->manner == TURNS_AWAY)
        say_map(b, from, MSG_REFUSED, 0, "bad_identity", 0);
    else if (m->type == MSG_HELLO)
        say_map(b, from, MSG_WELCOME, 0, NULL, 0);
    else if (m->type == MSG_PUBLISH)
        answer_publish(b, from, m);
    else if (m->type == MSG_WAIT && at->block == 9 && at->index == 4)
        say_outcome(b, from, m->ref);
}

static void be_broker(const char *endpoint, enum manner manner)
{
    struct loop *loop = loop_new();
    struct wire *wire = wire_new(loop);
    struct broker broker = {.manner = manner};
    char error[200];

    alarm(60); /* never longer than a test */
    broker.bus = wire_open(wire,
                           &(struct wire_options){.kind = WIRE_ROUTER,
                                                  .endpoint = endpoint,
                                                  .bind = true,
                                                  .check_uid = true,
                                                  .on_frame = on_bus,
                                                  .user = &broker},
                           error, sizeof(error));
    if (!broker.bus)
        _exit(1);
    loop_run(loop);
    _exit(0);
}

/* --- the test's side --- */

static void start(struct stage *s, enum manner manner)
{
    s->broker = fork();
    assert_true(s->broker >= 0);
    if (s->broker == 0)
        be_broker(s->endpoint, manner);
    s->client = sb_client_open(&(struct sb_client_options){.endpoint = s->endpoint,
                                                           .name = "app",
                                                           .timeout_ms = 10000},
                               s->error, sizeof(s->error));
}

static int begin(void **state)
{
    struct stage *s = mem_alloc(sizeof(*s));

    strcpy(s->dir, "/tmp/client-XXXXXX");
    if (!mkdtemp(s->dir))
        return -1;
    snprintf(s->endpoint, sizeof(s->endpoint), "ipc://%s/bus.sock", s->dir);
    *state = s;
    return 0;
}

static int finish(void **state)
{
    struct stage *s = *state;

    sb_client_close(s->client);
    if (s->broker > 0) {
        kill(s->broker, SIGKILL);
        waitpid(s->broker, NULL, 0);
    }
    unlink(s->endpoint + strlen("ipc://"));
    rmdir(s->dir);
    free(s);
    return 0;
}

static const struct sb_client_event order = {
    .type = "order.created", .data = "{}", .data_len = 2};
static const struct sb_client_event charge = {
    .type = "payment.charge.requested", .data = "{}", .data_len = 2};

static void what_is_committed_says_so(void **state)
{
    struct stage *s = *state;
    char id[SB_CLIENT_ID_SIZE];

    start(s, TAKES);
    assert_non_null(s->client);
    assert_int_equal(sb_client_publish(s->client, &order, id), SB_CLIENT_OK);
    assert_int_equal(strlen(id), 36);
    assert_int_equal(sb_client_commit(s->client, 10000), SB_CLIENT_OK);
    assert_int_equal(sb_client_commit(s->client, 0), SB_CLIENT_OK); /* nothing is left */
}

static void what_cannot_be_taken_now_is_sent_again(void **state)
{
    struct stage *s = *state;

    start(s, NOT_NOW);
    assert_int_equal(sb_client_publish(s->client, &order, NULL), SB_CLIENT_OK);
    assert_int_equal(sb_client_commit(s->client, 10000), SB_CLIENT_OK);
}

static void a_refusal_is_told_once_with_its_rule(void **state)
{
    struct stage *s = *state;

    start(s, NEVER);
    assert_int_equal(sb_client_publish(s->client, &order, NULL), SB_CLIENT_OK);
    assert_int_equal(sb_client_commit(s->client, 10000), SB_CLIENT_REFUSED);
    assert_string_equal(sb_client_error(s->client), "reserved_type: because");
    assert_int_equal(sb_client_commit(s->client, 0), SB_CLIENT_OK);
}

static void waiting_ends_when_its_time_is_over(void **state)
{
    struct stage *s = *state;
    struct sb_client_received *outcome = NULL;

    start(s, SILENT);
    uint64_t began = clock_steady_us();
    assert_int_equal(sb_client_publish(s->client, &order, NULL), SB_CLIENT_OK);
    assert_int_equal(sb_client_commit(s->client, 100), SB_CLIENT_TIMEOUT);
    assert_int_equal(sb_client_call(s->client, &charge, 100, NULL, &outcome),
                     SB_CLIENT_TIMEOUT);
    assert_int_equal(sb_client_next(s->client, 100, &outcome), SB_CLIENT_TIMEOUT);
    assert_null(outcome);
    assert_true(clock_steady_us() - began < 10000000);
}

static void a_call_brings_its_outcome(void **state)
{
    struct stage *s = *state;
    struct sb_client_received *outcome = NULL;

    start(s, WITH_OUTCOME);
    assert_int_equal(sb_client_call(s->client, &charge, 10000, NULL, &outcome),
                     SB_CLIENT_OK);
    assert_string_equal(outcome->status, "Success");
    assert_string_equal(outcome->type, "payment.charge.succeeded");
    assert_string_equal(outcome->content_type, "application/json");
    assert_int_equal(outcome->attempt, 2);
    assert_memory_equal(outcome->data, "{\"paid\":true}", 13);
    assert_null(outcome->error_class);
    sb_client_free(outcome);
}

static void a_call_that_came_before_waits_for_the_first_one(void **state)
{
    struct sb_client_event again = charge;
    struct sb_client_received *outcome = NULL;
    struct stage *s = *state;

    again.idempotency_key = "order-1";
    start(s, DOUBLES);
    assert_int_equal(sb_client_call(s->client, &again, 10000, NULL, &outcome),
                     SB_CLIENT_OK);
    sb_client_free(outcome);
}

static void an_outcome_that_only_the_log_has_is_told(void **state)
{
    struct stage *s = *state;
    struct sb_client_received *outcome = NULL;

    start(s, FORGETS);
    assert_int_equal(sb_client_call(s->client, &charge, 10000, NULL, &outcome),
                     SB_CLIENT_IN_LOG);
    assert_null(outcome);
}

static void a_refused_call_names_the_rule(void **state)
{
    struct stage *s = *state;
    struct sb_client_received *outcome = NULL;

    start(s, NEVER);
    assert_int_equal(sb_client_call(s->client, &charge, 10000, NULL, &outcome),
                     SB_CLIENT_REFUSED);
    assert_string_equal(sb_client_error(s->client), "reserved_type: because");
    assert_int_equal(sb_client_commit(s->client, 10000), SB_CLIENT_OK); /* told already */
}

static void who_is_turned_away_is_told_why(void **state)
{
    struct stage *s = *state;

    start(s, TURNS_AWAY);
    assert_null(s->client);
    assert_non_null(strstr(s->error, "bad_identity: because"));
}

static void options_that_are_wrong_are_named(void **state)
{
    struct stage *s = *state;
    const struct {
        struct sb_client_options options;
        const char *reason;
    } cases[] = {
        {{.endpoint = s->endpoint}, "name"},
        {{.name = "app"}, "endpoint"},
        {{.endpoint = s->endpoint, .name = "No Name"}, "name"},
        {{.endpoint = "http://x", .name = "app"}, "expected ipc:///PATH or tcp://"},
        {{.endpoint = "tcp://127.0.0.1:1", .name = "app"}, "secret key"},
        {{.endpoint = "tcp://127.0.0.1:1", .name = "app", .key_file = "/nonexistent/k"},
         "/nonexistent/k"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        s->error[0] = 0;
        assert_null(sb_client_open(&cases[i].options, s->error, sizeof(s->error)));
        assert_non_null(strstr(s->error, cases[i].reason));
    }
    sb_client_close(NULL);
    sb_client_free(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(what_is_committed_says_so),
        TEST(what_cannot_be_taken_now_is_sent_again),
        TEST(a_refusal_is_told_once_with_its_rule),
        TEST(waiting_ends_when_its_time_is_over),
        TEST(a_call_brings_its_outcome),
        TEST(a_call_that_came_before_waits_for_the_first_one),
        TEST(an_outcome_that_only_the_log_has_is_told),
        TEST(a_refused_call_names_the_rule),
        TEST(who_is_turned_away_is_told_why),
        TEST(options_that_are_wrong_are_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
