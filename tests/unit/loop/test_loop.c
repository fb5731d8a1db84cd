/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/clock.h"
#include "lib/loop/loop.h"

static char story[64]; /* what happened, one letter each */

static void tell(char what)
{
    size_t n = strlen(story);

    assert_true(n + 1 < sizeof(story));
    story[n] = what;
    story[n + 1] = 0;
}

static int begin(void **state)
{
    *state = loop_new();
    story[0] = 0;
    return 0;
}

static int end(void **state)
{
    loop_free(*state);
    return 0;
}

static void tell_a(void *user)
{
    (void)user;
    tell('a');
}
static void tell_b(void *user)
{
    (void)user;
    tell('b');
}
static void tell_c(void *user)
{
    (void)user;
    tell('c');
}

static void timers_fire_in_order_of_due_time(void **state)
{
    struct loop *loop = *state;
    struct loop_timer *a = loop_timer_new(loop, tell_a, NULL);
    struct loop_timer *b = loop_timer_new(loop, tell_b, NULL);
    struct loop_timer *c = loop_timer_new(loop, tell_c, NULL);

    loop_virtual(loop, 1000000, 0);
    loop_timer_in(c, 30);
    loop_timer_in(a, 10);
    loop_timer_in(b, 20);
    assert_true(loop_timer_is_set(b));
    loop_advance(loop, 9);
    assert_string_equal(story, "");
    loop_advance(loop, 11);
    assert_string_equal(story, "ab");
    assert_false(loop_timer_is_set(b));
    loop_advance(loop, 100);
    assert_string_equal(story, "abc");
    assert_int_equal(loop_steady_us(loop), 120);
    assert_int_equal(loop_wall_us(loop), 1000120);
    loop_timer_free(a);
    loop_timer_free(b);
    loop_timer_free(c);
}

static void timers_of_one_moment_fire_in_order_of_setting(void **state)
{
    struct loop *loop = *state;
    struct loop_timer *a = loop_timer_new(loop, tell_a, NULL);
    struct loop_timer *b = loop_timer_new(loop, tell_b, NULL);

    loop_virtual(loop, 0, 0);
    loop_timer_in(a, 5);
    loop_timer_in(b, 5);
    loop_timer_in(a, 5); /* again: now behind b */
    loop_advance(loop, 5);
    assert_string_equal(story, "ba");
    loop_timer_free(a);
    loop_timer_free(b);
}

static void a_stopped_timer_does_not_fire(void **state)
{
    struct loop *loop = *state;
    struct loop_timer *a = loop_timer_new(loop, tell_a, NULL);

    loop_virtual(loop, 0, 0);
    loop_timer_in(a, 5);
    loop_timer_stop(a);
    loop_timer_stop(a);
    loop_advance(loop, 10);
    assert_string_equal(story, "");
    loop_timer_free(a);
    loop_timer_free(NULL);
}

static void many_timers_keep_their_order(void **state)
{
    enum { N = 500 };
    struct loop *loop = *state;
    struct loop_timer *timers[N];
    uint64_t seed = 42;

    loop_virtual(loop, 0, 0);
    for (int i = 0; i < N; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        timers[i] = loop_timer_new(loop, tell_a, NULL);
        loop_timer_in(timers[i], 1 + (seed >> 33) % 10000);
    }
    for (int i = 0; i < N; i++) /* only 30 are left */
        if (i % 17)
            loop_timer_stop(timers[i]);
    loop_advance(loop, 10000);
    assert_int_equal(strlen(story), (N + 16) / 17);
    for (int i = 0; i < N; i++)
        loop_timer_free(timers[i]);
}

struct self {
    struct loop *loop;
    struct loop_timer *timer, *other;
    int fired;
};

static void free_both(void *user)
{
    struct self *self = user;

    self->fired++;
    loop_timer_free(self->timer);
    loop_timer_free(self->other);
}

static void a_timer_may_free_itself_and_others_that_are_due(void **state)
{
    struct loop *loop = *state;
    struct self self = {.loop = loop};

    loop_virtual(loop, 0, 0);
    self.timer = loop_timer_new(loop, free_both, &self);
    self.other = loop_timer_new(loop, free_both, &self);
    loop_timer_in(self.timer, 1);
    loop_timer_in(self.other, 1);
    loop_advance(loop, 10);
    assert_int_equal(self.fired, 1);
}

static void set_again_at_once(void *user)
{
    struct self *self = user;

    self->fired++;
    loop_timer_in(self->timer, 0);
}

static void a_timer_that_sets_itself_to_zero_starves_nobody(void **state)
{
    struct loop *loop = *state;
    struct self self = {.loop = loop};

    self.timer = loop_timer_new(loop, set_again_at_once, &self);
    loop_timer_in(self.timer, 0);
    for (int turn = 1; turn <= 3; turn++) {
        loop_turn(loop, 0);
        assert_int_equal(self.fired, turn);
    }
    loop_virtual(loop, 0, 1000000000000000);
    loop_advance(loop, 5);
    loop_timer_free(self.timer);
}

static void stop_loop(void *user)
{
    loop_stop(user, 7);
}

static void run_ends_with_the_status_given(void **state)
{
    struct loop *loop = *state;
    struct loop_timer *timer = loop_timer_new(loop, stop_loop, loop);
    uint64_t before_us = clock_steady_us();

    loop_timer_in(timer, 20000);
    assert_int_equal(loop_run(loop), 7);
    assert_in_range(clock_steady_us() - before_us, 20000, 2000000);
    loop_timer_free(timer);
}

struct pair {
    struct loop *loop;
    struct loop_source *source[2];
    int called;
};

static void unwatch_both(void *user, uint32_t events)
{
    struct pair *pair = user;

    assert_true(events & EPOLLIN);
    pair->called++;
    loop_unwatch(pair->source[0]);
    loop_unwatch(pair->source[1]);
}

static void a_source_may_be_removed_in_a_callback(void **state)
{
    struct pair pair = {.loop = *state};
    int ends[2][2];

    for (int i = 0; i < 2; i++) {
        assert_int_equal(pipe(ends[i]), 0);
        assert_int_equal(write(ends[i][1], "x", 1), 1);
        pair.source[i] = loop_watch(pair.loop, ends[i][0], EPOLLIN, unwatch_both, &pair);
    }
    loop_turn(pair.loop, 100); /* both are readable in one wait; the first removes both */
    assert_int_equal(pair.called, 1);
    loop_turn(pair.loop, 0);
    assert_int_equal(pair.called, 1);
    loop_unwatch(NULL);
    for (int i = 0; i < 2; i++) {
        close(ends[i][0]);
        close(ends[i][1]);
    }
}

static void count_event(void *user, uint32_t events)
{
    (void)events;
    ++*(int *)user;
}

static void watching_is_level_triggered_and_can_change(void **state)
{
    struct loop *loop = *state;
    int ends[2], called = 0;

    assert_int_equal(pipe(ends), 0);
    struct loop_source *source = loop_watch(loop, ends[0], EPOLLIN, count_event, &called);
    loop_turn(loop, 0);
    assert_int_equal(called, 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    loop_turn(loop, 100);
    loop_turn(loop, 100);
    assert_int_equal(called, 2);
    loop_rewatch(source, 0);
    loop_turn(loop, 0);
    assert_int_equal(called, 2);
    loop_unwatch(source);
    close(ends[0]);
    close(ends[1]);
}

static bool more_twice(void *user)
{
    return ++*(int *)user < 3;
}

static void a_hook_with_more_to_do_keeps_the_loop_awake(void **state)
{
    struct loop *loop = *state;
    struct loop_timer *timer = loop_timer_new(loop, tell_a, NULL);
    int called = 0;

    loop_prepare(loop, more_twice, &called);
    loop_timer_in(timer, 30000);
    loop_turn(loop, -1); /* returns at once, twice */
    loop_turn(loop, -1);
    assert_string_equal(story, "");
    loop_turn(loop, -1); /* sleeps until the timer */
    assert_string_equal(story, "a");
    assert_int_equal(called, 3);
    loop_unprepare(loop, more_twice, &called);
    loop_turn(loop, 0);
    assert_int_equal(called, 3);
    loop_timer_free(timer);
}

static bool again_once(void *user)
{
    struct self *self = user;

    if (self->fired++ == 0)
        loop_again(self->loop);
    return false;
}

static void again_makes_the_next_wait_return_at_once(void **state)
{
    struct self self = {.loop = *state};
    uint64_t before_us = clock_steady_us();

    loop_prepare(self.loop, again_once, &self);
    loop_turn(self.loop, 5000);
    assert_true(clock_steady_us() - before_us < 2000000);
    loop_turn(self.loop, 20);
    assert_true(clock_steady_us() - before_us >= 20000);
}

static void take_signal(void *user, int number)
{
    *(int *)user = number;
}

static void signals_come_through_the_loop(void **state)
{
    struct loop *loop = *state;
    int taken = 0;

    loop_signal(loop, SIGUSR1, take_signal, &taken);
    loop_signal(loop, SIGHUP, take_signal, &taken);
    kill(getpid(), SIGHUP);
    assert_int_equal(taken, 0);
    loop_turn(loop, 1000);
    assert_int_equal(taken, SIGHUP);
    kill(getpid(), SIGUSR1);
    loop_turn(loop, 1000);
    assert_int_equal(taken, SIGUSR1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(timers_fire_in_order_of_due_time),
        TEST(timers_of_one_moment_fire_in_order_of_setting),
        TEST(a_stopped_timer_does_not_fire),
        TEST(many_timers_keep_their_order),
        TEST(a_timer_may_free_itself_and_others_that_are_due),
        TEST(a_timer_that_sets_itself_to_zero_starves_nobody),
        TEST(run_ends_with_the_status_given),
        TEST(a_source_may_be_removed_in_a_callback),
        TEST(watching_is_level_triggered_and_can_change),
        TEST(a_hook_with_more_to_do_keeps_the_loop_awake),
        TEST(again_makes_the_next_wait_return_at_once),
        TEST(signals_come_through_the_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
