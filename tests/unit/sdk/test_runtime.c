/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The runtime between a bus made by hand and a service on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "lib/sdk/call.h"
#include "lib/sdk/runtime.h"

enum { CONCURRENCY = 4, RESULTS_MAX = 64 };

/* --- a connector --- */

static enum sb_verdict request(const struct sb_event *event, struct sb_request *request,
                               struct sb_outcome *outcome)
{
    (void)event, (void)outcome;
    sb_call(request, "POST", "/");
    return SB_DONE;
}

static enum sb_verdict answer(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome)
{
    (void)event, (void)answer, (void)outcome;
    return SB_DONE;
}

static enum sb_verdict failed(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome)
{
    (void)event, (void)answer;
    return sb_default(outcome, "no");
}

static enum sb_verdict hook(const struct sb_event *event, struct sb_outcome *outcome)
{
    (void)event, (void)outcome;
    return SB_DONE;
}

static enum sb_verdict ask(const struct sb_event *event, struct sb_request *request,
                           struct sb_outcome *outcome)
{
    (void)event, (void)outcome;
    sb_call(request, "GET", "/");
    return SB_DONE;
}

static enum sb_verdict sign(const struct sb_event *event, struct sb_request *request,
                            struct sb_outcome *outcome)
{
    (void)event, (void)outcome;
    sb_call(request, "POST", "/");
    sb_bearer(request, "api_key");
    return SB_DONE;
}

static const struct sb_operation operations[] = {
    {.name = "sign", SB_BRANCHES(sign, answer, failed), .repeat = SB_REPEAT_SAFE},
    {.name = "do", SB_BRANCHES(request, answer, failed), .repeat = SB_REPEAT_SAFE},
    {.name = "once",
     SB_BRANCHES(request, answer, failed),
     .lookup_request = ask,
     .lookup_answer = answer,
     .lookup_after_s = 1},
    {.name = NULL},
};
static const struct sb_webhook webhooks[] = {
    {.event = "x", .becomes = "t.x", .handle = hook}, {.event = NULL}};
static const struct sb_connector connector = {
    .name = "t", .version = "1", .operations = operations, .webhooks = webhooks};

/* --- the box --- */

struct box {
    struct loop *loop;
    struct http_server *server;
    struct http_client *http;
    struct integration integration;
    char *base_url;
    struct runtime *runtime;
    struct http_request *held[64];
    unsigned n_held, seen, gone, started, stopped;
    uint64_t batches;
    struct buf results[RESULTS_MAX]; /* by batch number */
    unsigned used;                   /* calls with the key that succeeded */
};

static void on_request(void *user, struct http_request *r)
{
    struct box *box = user;

    box->seen++;
    box->held[box->n_held++] = r;
}

static void on_gone(void *user, struct http_request *r)
{
    struct box *box = user;

    box->gone++;
    for (unsigned i = 0; i < box->n_held; i++)
        if (box->held[i] == r)
            box->held[i] = box->held[--box->n_held];
}

static uint64_t take_result(void *user, const void *records, size_t n)
{
    struct box *box = user;

    assert_true(++box->batches < RESULTS_MAX);
    buf_add(&box->results[box->batches], records, n);
    return box->batches;
}

static void take_started(void *user, struct position position)
{
    struct box *box = user;

    (void)position;
    box->started++;
}

static const char *only_key(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "api_key") == 0 ? "sk_test_x" : NULL;
}

static void take_used(void *user, const char *secret)
{
    struct box *box = user;

    assert_string_equal(secret, "api_key");
    box->used++;
}

static int open_box(void **state)
{
    struct box *box = mem_alloc(sizeof(*box));
    char error[200];

    box->loop = loop_new();
    box->server = http_server_new(box->loop,
                                  &(struct http_server_options){.address = "127.0.0.1",
                                                                .body_max = 1000,
                                                                .on_request = on_request,
                                                                .on_gone = on_gone,
                                                                .user = box},
                                  error, sizeof(error));
    box->http = http_client_new(
        box->loop, &(struct http_client_options){.allow_private_network = true});
    box->base_url = mem_format("http://127.0.0.1:%u", http_server_port(box->server));
    box->integration = (struct integration){.connector = &connector,
                                            .name = "inst",
                                            .base_url = box->base_url,
                                            .secret = only_key};
    box->runtime = runtime_new(box->loop, box->http, &box->integration, CONCURRENCY,
                               &(struct runtime_bus){.user = box,
                                                     .result = take_result,
                                                     .started = take_started,
                                                     .used = take_used});
    *state = box;
    return 0;
}

static int close_box(void **state)
{
    struct box *box = *state;

    runtime_free(box->runtime);
    http_client_free(box->http);
    http_server_free(box->server);
    loop_free(box->loop);
    for (int i = 0; i < RESULTS_MAX; i++)
        buf_fini(&box->results[i]);
    free(box->base_url);
    free(box);
    return 0;
}

/* `n` requests of block `block`, as one slice. */
static void deliver(struct box *box, const char *type, uint64_t block, uint32_t n)
{
    struct buf frame = BUF_NULL, records = BUF_NULL;

    for (uint32_t i = 0; i < n; i++) {
        const uint8_t id[16] = {(uint8_t)block, (uint8_t)i, 1};
        assert_true(record_add(&records, &(struct record_parts){.kind = RECORD_REQUEST,
                                                                .type = type,
                                                                .id = id,
                                                                .flags = RECORD_JSON,
                                                                .data = "{}",
                                                                .data_len = 2}) >= 0);
    }
    const struct slice slice = {
        .block = block, .count = n, .bytes = (uint32_t)records.len, .attempt = 1};
    message_begin(&frame, MSG_DELIVER, 0);
    buf_add(&frame, &slice, sizeof(slice));
    buf_add(&frame, records.bytes, records.len);
    message_end(&frame)->count = n;
    runtime_deliver(box->runtime, (const struct message *)frame.bytes);
    buf_fini(&frame);
    buf_fini(&records);
}

static void turn(struct box *box, int times)
{
    for (int i = 0; i < times; i++)
        loop_turn(box->loop, 2);
}

static void turn_until(struct box *box, const unsigned *what, unsigned n)
{
    for (int i = 0; i < 1000 && *what < n; i++)
        loop_turn(box->loop, 5);
    assert_int_equal(*what, n);
}

static void let_go(struct box *box, unsigned status)
{
    while (box->n_held)
        http_reply(box->held[--box->n_held], &(struct http_reply){.status = status});
}

static int records_in(const struct buf *result)
{
    size_t offset;
    const char *why;

    return record_count(result->bytes, result->len, &offset, &why);
}

/* --- claims --- */

static void calls_run_up_to_the_limit_and_the_next_starts_when_one_ends(void **state)
{
    struct box *box = *state;

    deliver(box, "t.do.requested", 1, 6);
    turn_until(box, &box->seen, CONCURRENCY);
    turn(box, 5);
    assert_int_equal(box->seen, CONCURRENCY);
    assert_int_equal(runtime_waiting(box->runtime), 2);
    assert_int_equal(box->started, CONCURRENCY);
    let_go(box, 200);
    turn_until(box, &box->seen, 6);
    let_go(box, 200);
    for (int i = 0; i < 200 && runtime_running(box->runtime); i++)
        turn(box, 1);
    turn(box, 3);
    int records = 0;
    for (uint64_t b = 1; b <= box->batches; b++)
        records += records_in(&box->results[b]);
    assert_int_equal(records, 6);
}

static void what_ends_in_one_turn_is_one_result(void **state)
{
    struct box *box = *state;

    deliver(box, "inst.x", 1, 50);
    assert_int_equal(box->batches, 0);
    turn(box, 2);
    assert_int_equal(box->batches, 1);
    assert_int_equal(records_in(&box->results[1]), 50);
}

static void what_is_in_hand_and_comes_again_is_ignored(void **state)
{
    struct box *box = *state;

    deliver(box, "t.do.requested", 1, 6);
    turn_until(box, &box->seen, CONCURRENCY);
    deliver(box, "t.do.requested", 1, 6);
    assert_int_equal(runtime_running(box->runtime) + runtime_waiting(box->runtime), 6);
    deliver(box, "t.do.requested", 2, 1);
    assert_int_equal(runtime_waiting(box->runtime), 3);
}

static void a_refused_result_costs_only_the_one_at_fault(void **state)
{
    struct box *box = *state;

    deliver(box, "inst.x", 1, 3);
    turn(box, 2);
    runtime_refused(box->runtime, 1, "not yours");
    assert_int_equal(box->batches, 4); /* each by itself */
    for (uint64_t b = 2; b <= 4; b++)
        assert_int_equal(records_in(&box->results[b]), 1);
    runtime_settled(box->runtime, 2);
    runtime_refused(box->runtime, 3, "not yours"); /* this one is gone */
    runtime_settled(box->runtime, 4);
    turn(box, 2);
    assert_int_equal(box->batches, 4);
}

static void what_has_not_begun_is_forgotten_when_the_link_is_down(void **state)
{
    struct box *box = *state;

    deliver(box, "t.do.requested", 1, 6);
    turn_until(box, &box->seen, CONCURRENCY);
    runtime_down(box->runtime);
    assert_int_equal(runtime_waiting(box->runtime), 0);
    assert_int_equal(runtime_running(box->runtime), CONCURRENCY);
    runtime_joined(box->runtime);
    deliver(box, "t.do.requested", 1, 6); /* the broker delivers it again */
    assert_int_equal(runtime_waiting(box->runtime), 2);
}

static void a_secret_counts_as_used_where_the_call_succeeded(void **state)
{
    static const struct {
        const char *type;
        unsigned status, used;
    } cases[] = {{"t.do.requested", 200, 0},
                 {"t.sign.requested", 401, 0},
                 {"t.sign.requested", 200, 1}};
    struct box *box = *state;

    for (unsigned i = 0; i < 3; i++) {
        deliver(box, cases[i].type, i + 1, 1);
        turn_until(box, &box->seen, i + 1);
        let_go(box, cases[i].status);
        for (int k = 0; k < 200 && runtime_running(box->runtime); k++)
            turn(box, 1);
        assert_int_equal(box->used, cases[i].used);
    }
}

static void a_lost_lease_ends_its_call(void **state)
{
    struct box *box = *state;

    deliver(box, "t.do.requested", 1, 1);
    turn_until(box, &box->seen, 1);
    runtime_lost(box->runtime, (struct position){1, 0});
    runtime_lost(box->runtime, (struct position){9, 9}); /* not in hand */
    assert_int_equal(runtime_running(box->runtime), 0);
    turn(box, 5);
    assert_int_equal(box->batches, 0);
}

static void note_stopped(void *user)
{
    struct box *box = user;

    box->stopped++;
}

static void stopping_waits_for_what_runs_and_for_its_commit(void **state)
{
    struct box *box = *state;

    deliver(box, "t.do.requested", 1, 5);
    turn_until(box, &box->seen, CONCURRENCY);
    runtime_stop(box->runtime, note_stopped, box);
    assert_int_equal(runtime_waiting(box->runtime), 0);
    let_go(box, 200);
    for (int i = 0; i < 200 && runtime_running(box->runtime); i++)
        turn(box, 1);
    turn(box, 3);
    assert_int_equal(box->stopped, 0);
    for (uint64_t b = 1; b <= box->batches; b++)
        runtime_settled(box->runtime, b);
    assert_int_equal(box->stopped, 1);
    assert_int_equal(box->seen, CONCURRENCY);
}

static void a_failing_service_gives_events_back(void **state)
{
    struct box *box = *state;

    deliver(box, "t.do.requested", 1, 1);
    turn_until(box, &box->seen, 1);
    let_go(box, 503);
    for (int i = 0; i < 200 && !box->batches; i++)
        turn(box, 1);
    assert_int_equal(((const struct record *)box->results[1].bytes)->kind, RECORD_RETRY);
}

static void what_may_have_happened_is_asked_for_after_its_pause(void **state)
{
    struct box *box = *state;

    deliver(box, "t.once.requested", 1, 1);
    turn_until(box, &box->seen, 1);
    uint64_t sent_us = loop_steady_us(box->loop);
    let_go(box, 500);
    turn_until(box, &box->seen, 2); /* the lookup */
    assert_true(loop_steady_us(box->loop) - sent_us >= 1000000);
    let_go(box, 200);
    for (int i = 0; i < 200 && !box->batches; i++)
        turn(box, 1);
    assert_int_equal(((const struct record *)box->results[1].bytes)->status,
                     STATUS_SUCCESS);
}

static void a_lease_that_ends_in_the_pause_ends_the_lookup(void **state)
{
    struct box *box = *state;

    deliver(box, "t.once.requested", 1, 1);
    turn_until(box, &box->seen, 1);
    let_go(box, 500);
    turn(box, 20);
    runtime_lost(box->runtime, (struct position){1, 0});
    assert_int_equal(runtime_running(box->runtime), 0);
    turn(box, 600);
    assert_int_equal(box->seen, 1);
    assert_int_equal(box->batches, 0);
}

#define BOXED(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOXED(calls_run_up_to_the_limit_and_the_next_starts_when_one_ends),
        BOXED(what_ends_in_one_turn_is_one_result),
        BOXED(what_is_in_hand_and_comes_again_is_ignored),
        BOXED(a_refused_result_costs_only_the_one_at_fault),
        BOXED(what_has_not_begun_is_forgotten_when_the_link_is_down),
        BOXED(a_secret_counts_as_used_where_the_call_succeeded),
        BOXED(a_lost_lease_ends_its_call),
        BOXED(stopping_waits_for_what_runs_and_for_its_commit),
        BOXED(a_failing_service_gives_events_back),
        BOXED(what_may_have_happened_is_asked_for_after_its_pause),
        BOXED(a_lease_that_ends_in_the_pause_ends_the_lookup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
