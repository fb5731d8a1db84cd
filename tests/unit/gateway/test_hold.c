/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/hold.h"
#include "lib/base/buf.h"
#include "lib/loop/loop.h"

enum { ASKERS = 4000 };

static const struct published somewhere = {.block = 1};

/* A bus that keeps what it is given, and the answers of up to ASKERS requests. */
struct box {
    struct loop *loop;
    struct hold *hold;
    bool is_joined;
    uint64_t sent;        /* batches */
    uint64_t window_left; /* batches it still takes */
    struct buf last;
    bool last_waits;
    struct asker {
        struct box *box;
        unsigned answers, error, first;
        uint64_t batch;
        bool is_duplicate;
    } askers[ASKERS];
};

static uint64_t publish(void *user, const void *records, size_t n, bool waits)
{
    struct box *box = user;
    if (box->window_left == 0)
        return 0;
    box->window_left--;
    buf_clear(&box->last);
    buf_add(&box->last, records, n);
    box->last_waits = waits;
    return ++box->sent;
}

static bool is_joined(void *user)
{
    return ((struct box *)user)->is_joined;
}

static void on_done(void *user, const struct hold_result *result)
{
    struct asker *asker = user;
    asker->answers++;
    asker->error = result->error;
    asker->first = result->first;
    asker->batch = result->batch;
    asker->is_duplicate = result->verdicts && result->verdicts[0];
}

static int open_box(void **state)
{
    struct box *box = calloc(1, sizeof(*box));
    box->loop = loop_new();
    loop_virtual(box->loop, 1000000, 1000000);
    box->is_joined = true;
    box->window_left = UINT64_MAX;
    box->hold = hold_new(box->loop, &(struct hold_bus){box, publish, is_joined});
    for (size_t i = 0; i < ASKERS; i++)
        box->askers[i].box = box;
    *state = box;
    return 0;
}

static int close_box(void **state)
{
    struct box *box = *state;
    hold_free(box->hold);
    loop_free(box->loop);
    buf_fini(&box->last);
    free(box);
    return 0;
}

static void add(struct box *box, size_t asker, const char *text)
{
    assert_true(hold_add(box->hold, text, strlen(text), 1, /* waits= */ false, on_done,
                         &box->askers[asker]));
}

static void one_turn_makes_one_batch(void **state)
{
    struct box *box = *state;
    add(box, 0, "a");
    add(box, 1, "b");
    add(box, 2, "c");
    assert_int_equal(box->sent, 0);
    loop_advance(box->loop, 0);
    assert_int_equal(box->sent, 1);
    assert_string_equal(buf_str(&box->last), "abc");
    assert_int_equal(hold_count(box->hold), 3);
    hold_published(box->hold, 1, &somewhere, NULL, 0);
    assert_int_equal(hold_count(box->hold), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(box->askers[i].answers, 1);
        assert_int_equal(box->askers[i].error, 0);
        assert_int_equal(box->askers[i].first, i);
        assert_int_equal(box->askers[i].batch, 1);
    }
}

static void third_batch_waits_for_an_answer(void **state)
{
    struct box *box = *state;
    for (size_t i = 0; i < 5; i++) {
        add(box, i, "x");
        loop_advance(box->loop, 0);
    }
    assert_int_equal(box->sent, HOLD_BATCHES_MAX);
    hold_published(box->hold, 1, &somewhere, NULL, 0);
    assert_int_equal(box->sent, 3);
    assert_string_equal(buf_str(&box->last), "xxx");
}

static void calls_go_apart_with_the_wish_for_outcomes(void **state)
{
    struct box *box = *state;
    hold_add(box->hold, "call", 4, 1, /* waits= */ true, on_done, &box->askers[0]);
    loop_advance(box->loop, 0);
    assert_true(box->last_waits);
    add(box, 1, "event");
    loop_advance(box->loop, 0);
    assert_false(box->last_waits);
    assert_int_equal(box->sent, 2);
}

static void held_while_the_broker_is_away_then_sent(void **state)
{
    struct box *box = *state;
    box->is_joined = false;
    add(box, 0, "a");
    loop_advance(box->loop, 1000 * 1000);
    assert_int_equal(box->sent, 0);
    assert_int_equal(box->askers[0].answers, 0);
    box->is_joined = true;
    hold_joined(box->hold);
    assert_int_equal(box->sent, 1);
}

static void held_for_two_seconds_at_most_and_never_sent_after(void **state)
{
    struct box *box = *state;
    box->is_joined = false;
    add(box, 0, "a");
    loop_advance(box->loop, 1500 * 1000);
    add(box, 1, "b");
    for (int i = 0; i < 12; i++)
        loop_advance(box->loop, 50 * 1000);
    assert_int_equal(box->askers[0].answers, 1);
    assert_int_equal(box->askers[0].error, ERR_unavailable);
    assert_int_equal(box->askers[1].answers, 0);
    box->is_joined = true;
    hold_joined(box->hold);
    assert_string_equal(buf_str(&box->last), "b");
    struct verdict verdict = {.index = 0, .code = VERDICT_DUPLICATE};
    hold_published(box->hold, box->sent, &somewhere, &verdict, 1);
    assert_true(box->askers[1].is_duplicate);
    assert_int_equal(box->askers[0].answers, 1);
}

static void batch_without_an_answer_is_given_up(void **state)
{
    struct box *box = *state;
    add(box, 0, "a");
    for (int i = 0; i < 110; i++)
        loop_advance(box->loop, 50 * 1000);
    assert_int_equal(box->askers[0].answers, 1);
    assert_int_equal(box->askers[0].error, ERR_unavailable);
    hold_published(box->hold, 1, &somewhere, NULL, 0); /* late */
    assert_int_equal(box->askers[0].answers, 1);
}

static void oldest_is_the_first_that_is_not_answered(void **state)
{
    struct box *box = *state;
    assert_true(hold_oldest_us(box->hold) == UINT64_MAX);
    add(box, 0, "a");
    loop_advance(box->loop, 300);
    add(box, 1, "b");
    loop_advance(box->loop, 0);
    assert_int_equal(hold_oldest_us(box->hold), 1000000);
    hold_published(box->hold, 1, &somewhere, NULL, 0);
    assert_int_equal(hold_oldest_us(box->hold), 1000300);
    hold_published(box->hold, 2, &somewhere, NULL, 0);
    assert_true(hold_oldest_us(box->hold) == UINT64_MAX);
    box->is_joined = false;
    add(box, 2, "c");
    loop_advance(box->loop, 0);
    assert_int_equal(hold_oldest_us(box->hold), 1000300);
}

static void verdicts_reach_their_events(void **state)
{
    struct box *box = *state;
    for (size_t i = 0; i < 4; i++)
        add(box, i, "x");
    loop_advance(box->loop, 0);
    struct verdict verdicts[] = {{.index = 3, .code = VERDICT_DUPLICATE},
                                 {.index = 1, .code = VERDICT_CONFLICT},
                                 {.index = 99, .code = VERDICT_CONFLICT}};
    hold_published(box->hold, 1, &somewhere, verdicts, 3);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(box->askers[i].is_duplicate, i == 1 || i == 3);
}

/* The bus refuses every batch that holds "bad". */
static void drive(struct box *box, unsigned error)
{
    for (uint64_t number = 1; number <= box->sent; number++) {
        /* batches are answered one at a time, so `last` is this one */
        if (strstr(buf_str(&box->last), "bad"))
            hold_refused(box->hold, number, error, "not this one", 0);
        else
            hold_published(box->hold, number, &somewhere, NULL, 0);
        loop_advance(box->loop, 0);
    }
}

static void refused_batch_is_halved_until_one_is_refused(void **state)
{
    struct box *box = *state;
    box->window_left = 1;
    for (size_t i = 0; i < 100; i++)
        add(box, i, i == 37 ? "bad" : "x");
    loop_advance(box->loop, 0);
    uint64_t done = 0;
    while (done < box->sent) {
        box->window_left = 1;
        uint64_t number = ++done;
        if (strstr(buf_str(&box->last), "bad"))
            hold_refused(box->hold, number, ERR_no_handler, "not this one", 0);
        else
            hold_published(box->hold, number, &somewhere, NULL, 0);
    }
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(box->askers[i].answers, 1);
        assert_int_equal(box->askers[i].error, i == 37 ? ERR_no_handler : 0);
    }
    assert_in_range(box->sent, 7, 20);
}

static void full_log_is_told_to_all_at_once(void **state)
{
    struct box *box = *state;
    for (size_t i = 0; i < 10; i++)
        add(box, i, "bad");
    loop_advance(box->loop, 0);
    drive(box, ERR_log_full);
    assert_int_equal(box->sent, 1);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(box->askers[i].error, ERR_log_full);
}

static void full_window_waits(void **state)
{
    struct box *box = *state;
    box->window_left = 0;
    add(box, 0, "a");
    loop_advance(box->loop, 100 * 1000);
    assert_int_equal(box->sent, 0);
    box->window_left = 1;
    loop_advance(box->loop, 50 * 1000);
    assert_int_equal(box->sent, 1);
    hold_refused(box->hold, 1, ERR_window_exceeded, "", 10);
    assert_int_equal(box->askers[0].answers, 0);
    box->window_left = 1;
    loop_advance(box->loop, 50 * 1000);
    assert_int_equal(box->sent, 2);
}

static void memory_is_bounded(void **state)
{
    struct box *box = *state;
    static char piece[64 << 10];
    size_t taken = 0;
    box->is_joined = false;
    while (taken < ASKERS && hold_add(box->hold, piece, sizeof(piece), 1,
                                      /* waits= */ false, on_done, &box->askers[taken]))
        taken++;
    assert_int_equal(taken, HOLD_BYTES_MAX / sizeof(piece));
    for (int i = 0; i < 50; i++)
        loop_advance(box->loop, 50 * 1000);
    assert_int_equal(hold_count(box->hold), 0);
    assert_true(hold_add(box->hold, piece, sizeof(piece), 1, /* waits= */ false, on_done,
                         &box->askers[0]));
}

static void large_requests_are_batches_of_their_own(void **state)
{
    struct box *box = *state;
    static char large[RECORD_GROUP_MAX];
    add(box, 0, "x");
    hold_add(box->hold, large, sizeof(large), 1, /* waits= */ false, on_done,
             &box->askers[1]);
    loop_advance(box->loop, 0);
    assert_int_equal(box->sent, 2);
    assert_int_equal(box->last.len, sizeof(large));
}

static void end_is_told_to_all(void **state)
{
    struct box *box = *state;
    add(box, 0, "sent");
    loop_advance(box->loop, 0);
    box->is_joined = false;
    add(box, 1, "held");
    hold_free(box->hold);
    box->hold = NULL;
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(box->askers[i].answers, 1);
        assert_int_equal(box->askers[i].error, ERR_shutting_down);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_box, close_box)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_turn_makes_one_batch),
        TEST(third_batch_waits_for_an_answer),
        TEST(calls_go_apart_with_the_wish_for_outcomes),
        TEST(held_while_the_broker_is_away_then_sent),
        TEST(held_for_two_seconds_at_most_and_never_sent_after),
        TEST(batch_without_an_answer_is_given_up),
        TEST(oldest_is_the_first_that_is_not_answered),
        TEST(verdicts_reach_their_events),
        TEST(refused_batch_is_halved_until_one_is_refused),
        TEST(full_log_is_told_to_all_at_once),
        TEST(full_window_waits),
        TEST(memory_is_bounded),
        TEST(end_is_told_to_all),
        TEST(large_requests_are_batches_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
