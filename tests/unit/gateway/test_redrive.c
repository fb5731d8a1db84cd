/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* POST /v1/redrive: what failed is looked up in a log made by hand, and the broker is
 * asked piece by piece; it may refuse, be silent or be gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/redrive.h"
#include "lib/base/json.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "tests/unit/gateway/box.h"

#define SECOND UINT64_C(1000000)
enum { PIECE = 64 };

/* n payments that failed, named 1 to n, and one that went well. */
static void give_failures(struct box *box, uint8_t n)
{
    box_give_log(box);
    maker_integration(box->maker, "stripe", "Stripe");
    for (uint8_t i = 1; i <= n; i++) {
        struct position at =
            maker_request(box->maker, i, "payment.charge.requested", "stripe", NULL);
        maker_outcome(box->maker, (uint8_t)(i + 128), at, i, CLASS_permanent, "declined");
    }
    struct position at =
        maker_request(box->maker, 127, "payment.charge.requested", "stripe", NULL);
    maker_outcome(box->maker, 255, at, 127, CLASS_none, NULL);
    maker_seal(box->maker);
}

static int redrive(struct box *box, const char *body)
{
    int fd = ask(box, "POST", "/v1/redrive", AUTH, body, strlen(body));
    settle(box);
    return fd;
}

/* What the broker was asked last, its `items` counted. */
static size_t asked_items(struct box *box, struct json **ret_args)
{
    const char *text = buf_str(&box->peer.args);
    *ret_args = js_parse(text, strlen(text), (char[64]){0}, 64);
    assert_string_equal(box->peer.command, "redrive");
    return js_count(js_get(*ret_args, "items"));
}

/* The broker takes all of the piece but the item number `refused` (-1: none). */
static void take_piece(struct box *box, int refused)
{
    struct json *args = NULL, *answer = js_object(), *items = js_array();
    size_t n = asked_items(box, &args);
    for (size_t i = 0; i < n; i++) {
        struct json *o = js_set_bool(js_object(), "ok", (int)i != refused);
        js_push(items, (int)i == refused ? js_set_text(o, "why", "still pending")
                                         : js_set_text(o, "key", "new"));
    }
    struct buf text = BUF_NULL;
    js_set(answer, "items", items);
    js_write(answer, 0, &text);
    assert_true(
        redrives_answer(box->gateway.redrives, box->peer.batch, true, buf_str(&text)));
    buf_fini(&text);
    js_free(answer);
    js_free(args);
}

static void each_event_is_answered_for_itself(void **state)
{
    struct box *box = *state;
    struct json *args = NULL;
    give_failures(box, 3);
    int fd = redrive(box, "{\"class\":\"permanent\"}");
    assert_int_equal(asked_items(box, &args), 3);
    assert_string_equal(js_text(args, "actor", ""), "token admin");
    assert_false(js_bool(args, "dry", true));
    js_free(args);
    take_piece(box, 1);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 200);
    assert_int_equal(js_int(answer.body, "redriven", 0), 2);
    assert_int_equal(js_int(answer.body, "refused", 0), 1);
    assert_false(js_bool(answer.body, "more", true));
    const struct json *items = js_get(answer.body, "items");
    assert_string_equal(js_text(js_at(items, 0), "id", ""), maker_id(1));
    assert_non_null(js_text(js_at(items, 0), "redrive", NULL));
    assert_false(js_bool(js_at(items, 1), "ok", true));
    assert_null(js_text(js_at(items, 1), "redrive", NULL));
    assert_string_equal(js_text(js_at(items, 1), "why", ""), "still pending");
}

static void many_are_asked_for_piece_by_piece(void **state)
{
    struct box *box = *state;
    struct json *args = NULL;
    give_failures(box, PIECE + 6);
    int fd = redrive(box, "{\"type\":\"payment.>\",\"dry_run\":true,\"again\":true}");
    assert_int_equal(asked_items(box, &args), PIECE);
    assert_true(js_bool(args, "dry", false) && js_bool(args, "again", false));
    js_free(args);
    take_piece(box, -1);
    assert_int_equal(box->peer.asked, 2);
    assert_int_equal(asked_items(box, &args), 6);
    js_free(args);
    take_piece(box, -1);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(js_int(answer.body, "redriven", 0), PIECE + 6);
    assert_true(js_bool(answer.body, "dry_run", false));
    assert_null(js_text(js_at(js_get(answer.body, "items"), 0), "redrive", NULL));
}

static void beyond_the_limit_it_says_that_there_are_more(void **state)
{
    struct box *box = *state;
    give_failures(box, 3);
    int fd = redrive(box, "{\"service\":\"Stripe\",\"limit\":2}");
    take_piece(box, -1);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(js_int(answer.body, "redriven", 0), 2);
    assert_true(js_bool(answer.body, "more", false));
}

static void an_id_that_is_none_is_answered_without_the_broker(void **state)
{
    struct box *box = *state;
    char body[160];
    give_failures(box, 1);
    _answer_ struct answer none =
        hear(box, redrive(box, "{\"ids\":[\"nobody\"]}"), HEAR_MS);
    assert_int_equal(none.status, 200);
    assert_int_equal(js_int(none.body, "refused", 0), 1);
    assert_int_equal(box->peer.asked, 0);
    snprintf(body, sizeof(body), "{\"ids\":[\"nobody\",\"%s\"]}", maker_id(1));
    int fd = redrive(box, body);
    take_piece(box, -1);
    _answer_ struct answer both = hear(box, fd, HEAR_MS);
    assert_int_equal(js_int(both.body, "redriven", 0), 1);
    assert_int_equal(js_int(both.body, "refused", 0), 1);
}

static void nothing_to_redrive_is_an_empty_list(void **state)
{
    struct box *box = *state;
    give_failures(box, 1);
    _answer_ struct answer answer =
        hear(box, redrive(box, "{\"class\":\"poison\"}"), HEAR_MS);
    assert_int_equal(answer.status, 200);
    assert_int_equal(js_count(js_get(answer.body, "items")), 0);
    assert_int_equal(box->peer.asked, 0);
}

static void a_refusal_in_the_middle_says_what_was_done(void **state)
{
    struct box *box = *state;
    give_failures(box, PIECE + 6);
    int fd = redrive(box, "{\"class\":\"permanent\"}");
    take_piece(box, -1);
    assert_true(redrives_answer(box->gateway.redrives, box->peer.batch, false,
                                "{\"error\":\"not now\"}"));
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 503);
    assert_string_equal(js_text(answer.body, "detail", ""),
                        "not now; 64 of 70 events were answered before");
}

static void a_broker_that_is_silent_is_503_and_its_late_answer_nobodys(void **state)
{
    struct box *box = *state;
    give_failures(box, 1);
    int fd = redrive(box, "{\"class\":\"permanent\"}");
    loop_advance(box->gateway.loop, 10 * SECOND);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(js_text(answer.body, "detail", ""), "did not answer in time"));
    assert_false(redrives_answer(box->gateway.redrives, box->peer.batch, true, "{}"));
}

static void an_answer_that_is_none_is_a_failure(void **state)
{
    struct box *box = *state;
    static const char *const answers[] = {"", "{", "{}", "{\"items\":[]}", "[]"};
    give_failures(box, 1);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        int fd = redrive(box, "{\"class\":\"permanent\"}");
        assert_true(
            redrives_answer(box->gateway.redrives, box->peer.batch, true, answers[i]));
        _answer_ struct answer answer = hear(box, fd, HEAR_MS);
        assert_int_equal(answer.status, 503);
    }
}

static void when_the_server_is_gone_no_further_piece_is_asked_for(void **state)
{
    struct box *box = *state;
    give_failures(box, PIECE + 6);
    close(redrive(box, "{\"class\":\"permanent\"}"));
    http_server_free(box->gateway.server);
    box->gateway.server = NULL;
    take_piece(box, -1);
    assert_int_equal(box->peer.asked, 1);
}

static void without_broker_or_log_it_is_503_and_without_sense_400(void **state)
{
    struct box *box = *state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"dry_run\":true}",
        "{\"ids\":[]}",
        "{\"ids\":\"x\"}",
        "{\"class\":\"none\"}",
        "{\"class\":\"permanent\",\"limit\":0}",
        "{\"class\":\"permanent\",\"limit\":10001}",
        "{\"since\":\"yesterday\"}",
    };
    _answer_ struct answer log =
        hear(box, redrive(box, "{\"class\":\"permanent\"}"), HEAR_MS);
    assert_int_equal(log.status, 503);
    give_failures(box, 1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        _answer_ struct answer answer = hear(box, redrive(box, bad[i]), HEAR_MS);
        if (answer.status != 400)
            fail_msg("%s: %d", bad[i], answer.status);
    }
    box->peer.is_joined = false;
    _answer_ struct answer away =
        hear(box, redrive(box, "{\"class\":\"permanent\"}"), HEAR_MS);
    assert_int_equal(away.status, 503);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_open_still, box_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_event_is_answered_for_itself),
        TEST(many_are_asked_for_piece_by_piece),
        TEST(beyond_the_limit_it_says_that_there_are_more),
        TEST(an_id_that_is_none_is_answered_without_the_broker),
        TEST(nothing_to_redrive_is_an_empty_list),
        TEST(a_refusal_in_the_middle_says_what_was_done),
        TEST(a_broker_that_is_silent_is_503_and_its_late_answer_nobodys),
        TEST(an_answer_that_is_none_is_a_failure),
        TEST(when_the_server_is_gone_no_further_piece_is_asked_for),
        TEST(without_broker_or_log_it_is_503_and_without_sense_400),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
