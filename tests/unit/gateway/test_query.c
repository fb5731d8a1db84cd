/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What can be read: the log made by hand, its cursors, and questions to a broker that
 * answers, refuses, is silent or is away. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/query.h"
#include "lib/base/json.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "tests/unit/gateway/box.h"

#define SECOND UINT64_C(1000000)

/* Five facts, then a request with its outcome. */
static void give_log(struct box *box)
{
    box_give_log(box);
    for (uint8_t i = 1; i <= 5; i++)
        maker_fact(box->maker, i, i % 2 ? "order.placed" : "order.paid", STATUS_PENDING);
    maker_seal(box->maker);
    struct position at =
        maker_request(box->maker, 6, "payment.charge.requested", "stripe", "customer-1");
    maker_seal(box->maker);
    maker_outcome(box->maker, 7, at, 6, CLASS_permanent, "declined");
    maker_seal(box->maker);
}

static struct answer read_log(struct box *box, const char *query)
{
    char target[512];
    snprintf(target, sizeof(target), "/v1/log?%s", query);
    return get(box, "GET", target, AUTH, "");
}

static void an_event_is_found_by_its_id_in_the_form_that_is_wanted(void **state)
{
    struct box *box = *state;
    char target[128];
    give_log(box);
    snprintf(target, sizeof(target), "/v1/events/%s", maker_id(6));
    _answer_ struct answer row = get(box, "GET", target, AUTH, "");
    assert_int_equal(row.status, 200);
    assert_string_equal(js_text(row.body, "status", ""), "Failed");
    assert_string_equal(js_text(row.body, "error_class", ""), "permanent");
    _answer_ struct answer event =
        get(box, "GET", target, AUTH "Accept: application/cloudevents+json\r\n", "");
    assert_non_null(strstr(buf_str(&event.text), "application/cloudevents+json"));
    assert_string_equal(js_text(event.body, "specversion", ""), "1.0");
    assert_string_equal(js_text(event.body, "errormsg", ""), "declined");
    snprintf(target, sizeof(target), "/v1/events/%s/trace", maker_id(6));
    _answer_ struct answer trace = get(box, "GET", target, AUTH, "");
    assert_int_equal(trace.status, 200);
    for (int i = 0; i < 2; i++) {
        _answer_ struct answer none = get(
            box, "GET", i ? "/v1/events/nobody" : "/v1/events/nobody/trace", AUTH, "");
        assert_int_equal(none.status, 404);
    }
}

static void a_cursor_goes_on_where_the_last_answer_ended(void **state)
{
    struct box *box = *state;
    give_log(box);
    char query[256];
    size_t seen = 0;
    snprintf(query, sizeof(query), "limit=2");
    for (int i = 0; i < 5; i++) {
        _answer_ struct answer answer = read_log(box, query);
        assert_int_equal(answer.status, 200);
        seen += js_count(js_get(answer.body, "events"));
        const char *cursor = js_text(answer.body, "cursor", NULL);
        if (!cursor)
            break;
        snprintf(query, sizeof(query), "limit=2&cursor=%s", cursor);
    }
    assert_int_equal(seen, 6); /* the outcome is told in its request's row */
}

static void a_cursor_that_is_none_or_of_another_log_is_400(void **state)
{
    struct box *box = *state;
    static const char *const wrong[] = {"x", "1", "99999-0-0", "-1", "%00"};
    give_log(box);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char query[64];
        snprintf(query, sizeof(query), "cursor=%s", wrong[i]);
        _answer_ struct answer answer = read_log(box, query);
        if (answer.status != 400)
            fail_msg("%s: %d", query, answer.status);
    }
}

static void filters_take_what_they_say(void **state)
{
    struct box *box = *state;
    static const struct {
        const char *query;
        int n; /* -1: 400 */
    } cases[] = {
        {"type=order.*", 5},
        {"type=order.paid", 2},
        {"status=failed", 1},
        {"status=Pending", 0}, /* no group takes them: they are done */
        {"class=permanent", 1},
        {"class=poison", 0},
        {"key=customer-1", 1},
        {"key=customer-2", 0},
        {"integration=stripe", 1},
        {"since=1970-01-01T00:00:02Z", 1},
        {"until=1970-01-01T00:00:02Z", 5},
        {"limit=3", 3},
        {"status=maybe", -1},
        {"class=none", -1},
        {"since=yesterday", -1},
        {"since=1h&until=2h", -1},
        {"limit=0", -1},
        {"limit=10001", -1},
        {"limit=1x", -1},
        {"type=a..b", -1},
    };
    give_log(box);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _answer_ struct answer answer = read_log(box, cases[i].query);
        int n = answer.status == 200 ? (int)js_count(js_get(answer.body, "events")) : -1;
        if (n != cases[i].n || (n < 0 && answer.status != 400))
            fail_msg("%s: %d (%d)", cases[i].query, n, answer.status);
    }
}

static void without_a_log_all_of_it_is_503(void **state)
{
    struct box *box = *state;
    static const char *const targets[] = {"/v1/log", "/v1/events/x", "/v1/events/x/trace",
                                          "/v1/integrations/stripe/document"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        _answer_ struct answer answer = get(box, "GET", targets[i], AUTH, "");
        assert_int_equal(answer.status, 503);
        assert_string_equal(js_text(answer.body, "detail", ""), "there is no log yet");
        assert_non_null(strstr(buf_str(&answer.text), "Retry-After: 1"));
    }
}

/* --- questions to the broker --- */

static int ask_status(struct box *box)
{
    int fd = ask(box, "GET", "/v1/status", AUTH, "", 0);
    settle(box);
    return fd;
}

static void several_who_ask_get_their_own_answers(void **state)
{
    struct box *box = *state;
    int one = ask_status(box);
    uint64_t first = box->peer.batch;
    int two = ask_status(box);
    queries_answer(box->gateway.queries, first, true, "{\"n\":1}");
    queries_answer(box->gateway.queries, box->peer.batch, true, "{\"n\":2}");
    queries_answer(box->gateway.queries, first, true, "{\"n\":3}"); /* nobody's */
    _answer_ struct answer a = hear(box, one, HEAR_MS), b = hear(box, two, HEAR_MS);
    assert_int_equal(js_int(a.body, "n", 0), 1);
    assert_int_equal(js_int(b.body, "n", 0), 2);
}

static void a_broker_that_refuses_or_is_silent_or_away_is_503(void **state)
{
    struct box *box = *state;
    int refused = ask_status(box);
    queries_answer(box->gateway.queries, box->peer.batch, false, "not you");
    int silent = ask_status(box);
    loop_advance(box->gateway.loop, 5 * SECOND);
    box->peer.is_joined = false;
    int away = ask_status(box);
    _answer_ struct answer a = hear(box, refused, HEAR_MS),
                           b = hear(box, silent, HEAR_MS), c = hear(box, away, HEAR_MS);
    assert_int_equal(a.status, 503);
    assert_string_equal(js_text(a.body, "detail", ""), "not you");
    assert_int_equal(b.status, 503);
    assert_string_equal(js_text(b.body, "detail", ""),
                        "the broker did not answer in time");
    assert_int_equal(c.status, 503);
    assert_int_equal(box->peer.asked, 2);
}

static void who_went_away_is_not_answered(void **state)
{
    struct box *box = *state;
    close(ask_status(box));
    http_server_free(box->gateway.server);
    box->gateway.server = NULL;
    queries_answer(box->gateway.queries, box->peer.batch, true, "{}");
}

static void ready_means_that_a_publish_would_commit(void **state)
{
    struct box *box = *state;
    _answer_ struct answer ready = get(box, "GET", "/readyz", "", "");
    assert_int_equal(ready.status, 200);
    gateway_note_refusal(&box->gateway, ERR_log_full);
    _answer_ struct answer full = get(box, "GET", "/readyz", "", "");
    assert_int_equal(full.status, 503);
    loop_advance(box->gateway.loop, 3 * SECOND); /* it may be over: the next one tells */
    _answer_ struct answer again = get(box, "GET", "/readyz", "", "");
    assert_int_equal(again.status, 200);
    gateway_note_refusal(&box->gateway, ERR_no_handler); /* the caller's own fault */
    _answer_ struct answer still = get(box, "GET", "/readyz", "", "");
    assert_int_equal(still.status, 200);
    box->peer.is_joined = false;
    _answer_ struct answer away = get(box, "GET", "/readyz", "", "");
    assert_int_equal(away.status, 503);
    _answer_ struct answer alive = get(box, "GET", "/healthz", "", "");
    assert_int_equal(alive.status, 200);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_open_still, box_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_found_by_its_id_in_the_form_that_is_wanted),
        TEST(a_cursor_goes_on_where_the_last_answer_ended),
        TEST(a_cursor_that_is_none_or_of_another_log_is_400),
        TEST(filters_take_what_they_say),
        TEST(without_a_log_all_of_it_is_503),
        TEST(several_who_ask_get_their_own_answers),
        TEST(a_broker_that_refuses_or_is_silent_or_away_is_503),
        TEST(who_went_away_is_not_answered),
        TEST(ready_means_that_a_publish_would_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
