/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A consumer group over HTTP, on a clock that stands still: what is lent, given back and
 * settled, and what goes wrong with the broker, the log, the consumer and the limits. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/group.h"
#include "gateway/group_session.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "proto/control.h"
#include "tests/unit/gateway/box.h"

#define SECOND UINT64_C(1000000)
enum {
    SURE_US = 2000 * 1000
}; /* a session that is new, or was cut off, hears by then
      what there is */

static struct peer *session(struct box *box)
{
    assert_non_null(box->sessions);
    return box->sessions;
}

/* The session is joined, and has heard what there is. */
static void join(struct box *box)
{
    session(box)->options.on_joined(session(box)->options.user);
    loop_advance(box->gateway.loop, SECOND / 2);
}

/* The broker delivers n facts from this index on. */
static void deliver(struct box *box, uint32_t index, uint32_t n)
{
    struct buf frame = BUF_NULL, records = BUF_NULL;
    message_begin(&frame, MSG_DELIVER, 1);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t id[16];
        memset(id, (int)(index + i + 1), sizeof(id));
        record_add(&records, &(struct record_parts){
                                 .kind = RECORD_FACT, .type = "order.placed", .id = id});
    }
    struct slice slice = {.block = 7,
                          .index = index,
                          .count = n,
                          .attempt = 1,
                          .bytes = (uint32_t)records.len};
    buf_add(&frame, &slice, sizeof(slice));
    buf_add(&frame, records.bytes, records.len);
    struct peer *peer = session(box);
    peer->options.on_deliver(peer->options.user, message_end(&frame));
    buf_fini(&frame);
    buf_fini(&records);
}

static int next(struct box *box, const char *query)
{
    char target[128];
    snprintf(target, sizeof(target), "/v1/groups/billing/next?%s", query);
    int fd = ask(box, "GET", target, AUTH, "", 0);
    settle(box);
    return fd;
}

static size_t count_events(const struct answer *answer)
{
    assert_int_equal(answer->status, 200);
    return js_count(js_get(answer->body, "events"));
}

/* Ask for what is there, and hear it; the first one's lease is kept. */
static size_t borrow(struct box *box, const char *query, char ret_lease[64])
{
    _answer_ struct answer answer = hear(box, next(box, query), HEAR_MS);
    const struct json *first = js_at(js_get(answer.body, "events"), 0);
    snprintf(ret_lease, 64, "%s", js_text(first, "lease", ""));
    return count_events(&answer);
}

/* A session with n events that nobody has asked for. */
static void open_with(struct box *box, uint32_t n)
{
    int fd = next(box, "wait=0&max=1");
    join(box);
    _answer_ struct answer none = hear(box, fd, HEAR_MS);
    assert_int_equal(count_events(&none), 0);
    deliver(box, 0, n);
}

/* Send one result: a lease, and what else it says. */
static int say(struct box *box, const char *members, const char *lease)
{
    char body[256];
    snprintf(body, sizeof(body), "[{\"lease\":\"%s\",%s}]", lease, members);
    int fd = ask(box, "POST", "/v1/groups/billing/results", AUTH, body, strlen(body));
    settle(box);
    return fd;
}

static const char *state_of(const struct answer *answer)
{
    return js_text(js_at(js_get(answer->body, "results"), 0), "state", "");
}

/* What one result is answered with when the broker has not to be asked. */
static void assert_said(struct box *box, const char *members, const char *lease,
                        const char *state)
{
    _answer_ struct answer answer = hear(box, say(box, members, lease), HEAR_MS);
    assert_int_equal(answer.status, 200);
    assert_string_equal(state_of(&answer), state);
}

#define ACK "\"result\":\"ack\""

/* The record of the last result that was sent to the broker. */
static const struct record *sent(struct box *box, unsigned n, enum record_kind kind)
{
    assert_int_equal(session(box)->n_results, n);
    const struct record *r = record_at(&session(box)->results, 0);
    assert_int_equal(r->kind, kind);
    return r;
}

static void settled(struct box *box)
{
    struct peer *peer = session(box);
    peer->options.on_settled(peer->options.user, peer->batch);
}

/* --- lending --- */

static void events_are_lent_and_answered_for_once_it_is_committed(void **state)
{
    struct box *box = *state;
    char lease[64], other[64];
    open_with(box, 3);
    assert_int_equal(borrow(box, "max=2", lease), 2);
    assert_int_equal(session(box)->n_started, 2); /* so that a new broker leaves them */
    assert_int_equal(session(box)->started[1].index, 1);
    int fd = say(box, ACK, lease);
    struct control_ack ack;
    memcpy(&ack, record_data(sent(box, 1, RECORD_ACK)), sizeof(ack));
    assert_int_equal(ack.block, 7);
    assert_int_equal(ack.first, 0);
    assert_int_equal(ack.result, STATUS_SUCCESS);
    _answer_ struct answer early = hear(box, dup(fd), 50);
    assert_int_equal(early.status, 0);
    assert_int_equal(groups_count(box->gateway.groups), 1);
    settled(box);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_string_equal(state_of(&answer), "settled");
    assert_int_equal(borrow(box, "max=5", other), 1);
    assert_string_not_equal(lease, other);
}

static void who_waits_is_served_in_turn(void **state)
{
    struct box *box = *state;
    int first = next(box, "wait=30s&max=2"), second = next(box, "wait=30s&max=2");
    deliver(box, 0, 3);
    _answer_ struct answer one = hear(box, first, HEAR_MS);
    _answer_ struct answer two = hear(box, second, HEAR_MS);
    assert_int_equal(count_events(&one), 2);
    assert_int_equal(count_events(&two), 1);
}

static void the_first_who_asks_gets_what_is_there_though_he_does_not_wait(void **state)
{
    struct box *box = *state;
    int fd = next(box, "wait=0"), late = next(box, "wait=0");
    deliver(box, 0, 1);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(count_events(&answer), 1);
    loop_advance(box->gateway.loop, SURE_US);
    _answer_ struct answer empty = hear(box, late, HEAR_MS);
    assert_int_equal(count_events(&empty), 0);
    _answer_ struct answer at_once = hear(box, next(box, "wait=0"), HEAR_MS);
    assert_int_equal(count_events(&at_once), 0);
}

static void a_wait_ends_with_an_empty_list_whatever_others_wait_for(void **state)
{
    struct box *box = *state;
    int longer = next(box, "wait=60s"), shorter = next(box, "wait=5s");
    loop_advance(box->gateway.loop, 5 * SECOND);
    _answer_ struct answer empty = hear(box, shorter, HEAR_MS);
    assert_int_equal(count_events(&empty), 0);
    deliver(box, 0, 1);
    _answer_ struct answer served = hear(box, longer, HEAR_MS);
    assert_int_equal(count_events(&served), 1);
}

static void nothing_is_lent_to_a_client_that_went_away(void **state)
{
    struct box *box = *state;
    close(next(box, "wait=30s"));
    int fd = next(box, "wait=30s");
    settle(box);
    deliver(box, 0, 1);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(count_events(&answer), 1);
    assert_int_equal(session(box)->n_started, 1);
}

static void what_nobody_answers_for_is_a_spent_attempt(void **state)
{
    struct box *box = *state;
    char lease[64];
    open_with(box, 1);
    assert_int_equal(borrow(box, "visibility=20s", lease), 1);
    assert_said(box, "\"result\":\"extend\",\"after\":\"40s\"", lease, "extended");
    loop_advance(box->gateway.loop, 39 * SECOND);
    assert_int_equal(session(box)->n_results, 0);
    loop_advance(box->gateway.loop, 2 * SECOND);
    struct control_retry retry;
    memcpy(&retry, record_data(sent(box, 1, RECORD_RETRY)), sizeof(retry));
    assert_int_equal(retry.attempts, 1);
    assert_said(box, ACK, lease, "late");
    assert_int_equal(session(box)->n_results, 1);
}

static void a_lease_of_an_earlier_session_is_late(void **state)
{
    struct box *box = *state;
    char lease[64], again[64];
    open_with(box, 1);
    assert_int_equal(borrow(box, "", lease), 1);
    session(box)->options.on_rejected(session(box)->options.user, ERR_unavailable, "x");
    settle(box);
    open_with(box, 1);
    assert_int_equal(borrow(box, "", again), 1);
    assert_string_not_equal(lease, again);
    assert_said(box, ACK, lease, "late");
    assert_int_equal(session(box)->n_results, 0);
}

/* --- the broker --- */

static void after_a_lost_link_what_was_lent_stays_and_the_rest_comes_anew(void **state)
{
    struct box *box = *state;
    char lease[64];
    open_with(box, 2);
    assert_int_equal(borrow(box, "max=1", lease), 1);
    session(box)->options.on_down(session(box)->options.user);
    int waits = next(box, "wait=0");
    loop_advance(box->gateway.loop, SURE_US);
    _answer_ struct answer nothing = hear(box, waits, HEAR_MS);
    assert_int_equal(count_events(&nothing), 0);
    int fd = say(box, ACK, lease);
    settled(box);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_string_equal(state_of(&answer), "settled");
}

static void a_lease_that_the_broker_took_back_is_late(void **state)
{
    struct box *box = *state;
    char lease[64];
    open_with(box, 1);
    assert_int_equal(borrow(box, "", lease), 1);
    struct peer *peer = session(box);
    peer->options.on_lost(peer->options.user, (struct position){7, 9}); /* not ours */
    peer->options.on_lost(peer->options.user, (struct position){7, 0});
    assert_said(box, ACK, lease, "late");
}

static void who_waits_hears_that_there_is_no_such_group(void **state)
{
    struct box *box = *state;
    int one = next(box, "wait=30s"), two = next(box, "wait=30s");
    session(box)->options.on_rejected(session(box)->options.user, ERR_no_group, "none");
    _answer_ struct answer first = hear(box, one, HEAR_MS);
    _answer_ struct answer second = hear(box, two, HEAR_MS);
    assert_int_equal(first.status, 404);
    assert_string_equal(js_text(first.body, "detail", ""), "none");
    assert_int_equal(second.status, 404);
    assert_null(session(box)->options.user); /* that session is over */
    close(next(box, "wait=30s"));
    assert_non_null(session(box)->options.user); /* and another one is tried */
}

static void a_broker_that_is_away_is_503(void **state)
{
    struct box *box = *state;
    box->sessions_are_away = true;
    int fd = next(box, "wait=5s");
    loop_advance(box->gateway.loop, 5 * SECOND);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 503);
    assert_string_equal(js_text(answer.body, "code", ""), "unavailable");
}

static void results_that_are_not_committed_in_time_are_503(void **state)
{
    struct box *box = *state;
    char lease[64];
    open_with(box, 1);
    assert_int_equal(borrow(box, "", lease), 1);
    int fd = say(box, ACK, lease);
    loop_advance(box->gateway.loop, 5 * SECOND);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 503);
    settled(box); /* late: nobody waits */
}

static void results_that_are_refused_say_why(void **state)
{
    struct box *box = *state;
    char lease[64];
    open_with(box, 1);
    assert_int_equal(borrow(box, "", lease), 1);
    int fd = say(box, ACK, lease);
    struct peer *peer = session(box);
    peer->options.on_refused(peer->options.user, peer->batch, ERR_not_yours, "gone", 0);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 403);
    assert_string_equal(js_text(answer.body, "detail", ""), "gone");
}

static void a_client_that_left_before_its_commit_harms_nobody(void **state)
{
    struct box *box = *state;
    char lease[64];
    open_with(box, 1);
    assert_int_equal(borrow(box, "", lease), 1);
    close(say(box, ACK, lease));
    settled(box);
    settle(box);
    assert_int_equal(groups_count(box->gateway.groups), 0);
}

/* --- limits, and the end --- */

static void one_more_than_may_wait_is_429(void **state)
{
    struct box *box = *state;
    int fds[GROUP_WAITERS_MAX];
    box->config.gateway.max_waiting = 2 * GROUP_WAITERS_MAX;
    for (int i = 0; i < GROUP_WAITERS_MAX; i++) {
        fds[i] = ask(box, "GET", "/v1/groups/billing/next?wait=30s", AUTH, "", 0);
        loop_turn(box->gateway.loop, 1);
    }
    _answer_ struct answer answer = hear(box, next(box, "wait=30s"), HEAR_MS);
    assert_int_equal(answer.status, 429);
    assert_non_null(strstr(buf_str(&answer.text), "Retry-After: 1"));
    for (int i = 0; i < GROUP_WAITERS_MAX; i++)
        close(fds[i]);
}

static void one_more_group_than_may_be_in_use_is_503(void **state)
{
    struct box *box = *state;
    for (int i = 0; i <= GROUP_SESSIONS_MAX; i++) {
        char target[64];
        snprintf(target, sizeof(target), "/v1/groups/group%d/next?wait=0", i);
        int fd = ask(box, "GET", target, AUTH, "", 0);
        settle(box);
        if (i < GROUP_SESSIONS_MAX)
            join(box);
        _answer_ struct answer answer = hear(box, fd, HEAR_MS);
        assert_int_equal(answer.status, i < GROUP_SESSIONS_MAX ? 200 : 503);
    }
    loop_advance(box->gateway.loop, 31 * SECOND); /* nobody asks for them */
    int fd = next(box, "wait=1s");
    deliver(box, 0, 1);
    _answer_ struct answer again = hear(box, fd, HEAR_MS);
    assert_int_equal(count_events(&again), 1);
}

static void a_session_ends_when_nobody_asks_and_nothing_is_lent(void **state)
{
    struct box *box = *state;
    char lease[64];
    open_with(box, 2);
    assert_int_equal(borrow(box, "max=1&visibility=50s", lease), 1);
    loop_advance(box->gateway.loop, 40 * SECOND);
    assert_non_null(session(box)->options.user); /* one is lent */
    loop_advance(box->gateway.loop, 11 * SECOND);
    assert_int_equal(session(box)->n_results, 1);
    loop_advance(box->gateway.loop, 61 * SECOND);
    assert_null(session(box)->options.user);
}

static void at_a_stop_who_waits_gets_nothing_and_what_is_lent_is_given_back(void **state)
{
    struct box *box = *state;
    char lease[64];
    open_with(box, 2);
    assert_int_equal(borrow(box, "max=1", lease), 1);
    session(box)->options.on_down(session(box)->options.user);
    int fd = next(box, "wait=30s");
    groups_stop(box->gateway.groups);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(count_events(&answer), 0);
    struct control_retry retry;
    memcpy(&retry, record_data(sent(box, 1, RECORD_RETRY)), sizeof(retry));
    assert_int_equal(retry.attempts, 0); /* it was not the consumer's fault */
}

static void what_makes_no_sense_is_refused(void **state)
{
    struct box *box = *state;
    static const struct {
        const char *method, *target, *body;
        int status;
    } cases[] = {
        {"GET", "/v1/groups/billing/next?max=0", "", 400},
        {"GET", "/v1/groups/billing/next?max=257", "", 400},
        {"GET", "/v1/groups/billing/next?wait=6m", "", 400},
        {"GET", "/v1/groups/billing/next?visibility=999ms", "", 400},
        {"GET", "/v1/groups/billing/next?visibility=13h", "", 400},
        {"GET", "/v1/groups/not%20a%20name/next", "", 404},
        {"POST", "/v1/groups/not%20a%20name/results", "[]", 404},
        {"POST", "/v1/groups/billing/results", "{}", 400},
        {"POST", "/v1/groups/billing/results", "[{\"lease\":\"x\"}]", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _answer_ struct answer answer =
            get(box, cases[i].method, cases[i].target, AUTH, cases[i].body);
        if (answer.status != cases[i].status)
            fail_msg("%s %s: %d, not %d", cases[i].target, cases[i].body, answer.status,
                     cases[i].status);
    }
    assert_null(box->sessions);
    box->refuses_sessions = true;
    _answer_ struct answer answer = hear(box, next(box, "wait=0"), HEAR_MS);
    assert_int_equal(answer.status, 503);
    assert_string_equal(js_text(answer.body, "detail", ""), "no address");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_open_still, box_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_are_lent_and_answered_for_once_it_is_committed),
        TEST(who_waits_is_served_in_turn),
        TEST(the_first_who_asks_gets_what_is_there_though_he_does_not_wait),
        TEST(a_wait_ends_with_an_empty_list_whatever_others_wait_for),
        TEST(nothing_is_lent_to_a_client_that_went_away),
        TEST(what_nobody_answers_for_is_a_spent_attempt),
        TEST(a_lease_of_an_earlier_session_is_late),
        TEST(after_a_lost_link_what_was_lent_stays_and_the_rest_comes_anew),
        TEST(a_lease_that_the_broker_took_back_is_late),
        TEST(who_waits_hears_that_there_is_no_such_group),
        TEST(a_broker_that_is_away_is_503),
        TEST(results_that_are_not_committed_in_time_are_503),
        TEST(results_that_are_refused_say_why),
        TEST(a_client_that_left_before_its_commit_harms_nobody),
        TEST(one_more_than_may_wait_is_429),
        TEST(one_more_group_than_may_be_in_use_is_503),
        TEST(a_session_ends_when_nobody_asks_and_nothing_is_lent),
        TEST(at_a_stop_who_waits_gets_nothing_and_what_is_lent_is_given_back),
        TEST(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
