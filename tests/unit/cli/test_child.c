/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A supervised process, played by the shell. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/up/child.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"

/* $1 is --secrets-fd, $2 its number, $3 --ready-fd, $4 its number. */
#define SERVE    "eval \"printf R >&$4\"; while :; do sleep 0.05; done"
#define STUBBORN "trap '' TERM; " SERVE

struct world {
    struct loop *loop;
    struct child *child;
    unsigned readies, ends;
};

static void on_ready(void *user, struct child *child)
{
    (void)child;
    ((struct world *)user)->readies++;
}

static void on_ended(void *user, struct child *child)
{
    (void)child;
    ((struct world *)user)->ends++;
}

static void on_child(void *user, int number)
{
    (void)number;
    child_reap(((struct world *)user)->child);
}

static int make_world(void **state)
{
    struct world *w = mem_alloc(sizeof(*w));

    w->loop = loop_new();
    loop_signal(w->loop, SIGCHLD, on_child, w);
    *state = w;
    return 0;
}

static int drop_world(void **state)
{
    struct world *w = *state;

    child_free(w->child);
    loop_free(w->loop);
    free(w);
    return 0;
}

static void play(struct world *w, const char *script)
{
    w->child =
        child_new(w->loop, &(struct child_options){
                               .name = "shell",
                               .program = "/bin/sh",
                               .args = (const char *const[]){"-c", script, "sh", NULL},
                               .on_ready = on_ready,
                               .on_ended = on_ended,
                               .user = w,
                           });
}

static bool turn_until(struct world *w, const unsigned *count, unsigned wanted,
                       unsigned ms)
{
    uint64_t until = clock_steady_us() + ms * UINT64_C(1000);

    while (*count < wanted && clock_steady_us() < until)
        loop_turn(w->loop, 10);
    return *count >= wanted;
}

static int64_t pid_of(const struct world *w)
{
    struct json *o = child_json(w->child);
    int64_t pid = js_int(o, "pid", -1);

    js_free(o);
    return pid;
}

static void it_is_ready_when_it_says_so(void **state)
{
    struct world *w = *state;

    play(w, SERVE);
    child_start(w->child);
    assert_int_equal(child_state(w->child), CHILD_STARTING);
    assert_true(turn_until(w, &w->readies, 1, 3000));
    assert_int_equal(child_state(w->child), CHILD_READY);
}

static void it_gets_its_secrets_on_the_descriptor_and_nowhere_else(void **state)
{
    struct world *w = *state;

    play(w, "test \"$(eval \"cat <&$2\")\" = '{\"a\":\"hush\"}' || exit 9\n"
            "tr '\\0' '\\n' </proc/$$/cmdline | grep -q '\"hush\"}$' && exit 8\n"
            "env | grep -q hush && exit 7\n" SERVE);
    assert_true(child_set_secrets(w->child, mem_text("{\"a\":\"hush\"}")));
    assert_false(child_set_secrets(w->child, mem_text("{\"a\":\"hush\"}")));
    child_start(w->child);
    assert_true(turn_until(w, &w->readies, 1, 3000));
    assert_int_equal(w->ends, 0);
}

static void it_is_started_again_when_it_dies(void **state)
{
    struct world *w = *state;

    play(w, SERVE);
    child_start(w->child);
    assert_true(turn_until(w, &w->readies, 1, 3000));
    int64_t first = pid_of(w);
    uint64_t killed = clock_steady_us();
    kill((pid_t)first, SIGKILL);
    assert_true(turn_until(w, &w->readies, 2, 3000));
    assert_true(clock_steady_us() - killed >= 100000);
    assert_int_not_equal(pid_of(w), first);
    struct json *o = child_json(w->child);
    assert_int_equal(js_int(o, "restarts", -1), 1);
    assert_non_null(strstr(js_text(o, "last_end", ""), "signal 9"));
    js_free(o);
}

static void the_pause_grows_while_it_keeps_dying(void **state)
{
    struct world *w = *state;
    uint64_t started = clock_steady_us();

    play(w, "exit 3");
    child_start(w->child);
    assert_true(
        turn_until(w, &w->ends, 4, 5000)); /* pauses of 100, 200, 400 ms lie between */
    assert_true(clock_steady_us() - started >= 700000);
    assert_int_equal(child_early_ends(w->child), 4);
    assert_int_equal(child_state(w->child), CHILD_WAITING);
}

static void a_stopped_one_stays_stopped(void **state)
{
    struct world *w = *state;

    play(w, SERVE);
    child_start(w->child);
    assert_true(turn_until(w, &w->readies, 1, 3000));
    child_stop(w->child);
    assert_int_equal(child_state(w->child), CHILD_STOPPING);
    assert_true(turn_until(w, &w->ends, 1, 3000));
    assert_int_equal(child_state(w->child), CHILD_IDLE);
    assert_false(turn_until(w, &w->readies, 2, 300));
    assert_false(child_is_running(w->child));
}

static void a_restart_comes_at_once(void **state)
{
    struct world *w = *state;

    play(w, SERVE);
    child_start(w->child);
    assert_true(turn_until(w, &w->readies, 1, 3000));
    child_restart(w->child);
    assert_true(turn_until(w, &w->readies, 2, 3000));
    assert_int_equal(w->ends, 1);
}

static void one_that_does_not_listen_is_killed(void **state)
{
    struct world *w = *state;

    play(w, STUBBORN);
    child_start(w->child);
    assert_true(turn_until(w, &w->readies, 1, 3000));
    child_stop(w->child);
    assert_false(turn_until(w, &w->ends, 1, 200));
    child_kill(w->child);
    assert_true(turn_until(w, &w->ends, 1, 3000));
    assert_false(child_is_running(w->child));
}

static void a_program_that_is_not_there_is_said_so(void **state)
{
    struct world *w = *state;

    w->child = child_new(w->loop, &(struct child_options){.name = "none",
                                                          .program = "/nonexistent",
                                                          .on_ready = on_ready,
                                                          .on_ended = on_ended,
                                                          .user = w});
    child_start(w->child);
    assert_true(turn_until(w, &w->ends, 1, 3000));
    struct json *o = child_json(w->child);
    assert_string_equal(js_text(o, "last_end", ""), "the program could not be started");
    js_free(o);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, drop_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_ready_when_it_says_so),
        TEST(it_gets_its_secrets_on_the_descriptor_and_nowhere_else),
        TEST(it_is_started_again_when_it_dies),
        TEST(the_pause_grows_while_it_keeps_dying),
        TEST(a_stopped_one_stays_stopped),
        TEST(a_restart_comes_at_once),
        TEST(one_that_does_not_listen_is_killed),
        TEST(a_program_that_is_not_there_is_said_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
