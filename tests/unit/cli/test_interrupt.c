/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Each case is a process of its own, because what is tried is how it ends. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/interrupt.h"

static int pipe_of[2];

/* How a process that runs `fn` ends: its status, or minus the signal. */
static int ends(int (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGINT, SIG_DFL); /* whatever was handed down */
        _exit(pipe(pipe_of) == 0 ? fn() : 99);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int dies_at_the_outermost_release(void)
{
    interrupt_catch();
    interrupt_catch();
    raise(SIGINT);
    if (!interrupt_came())
        return 1;
    interrupt_release();
    if (write(pipe_of[1], "x", 1) != 1) /* still here: the inner one only put back */
        return 2;
    interrupt_release();
    return 3;
}

static int goes_on_when_none_came(void)
{
    interrupt_catch();
    if (interrupt_came() || write(pipe_of[1], "x", 1) != 1 || !interrupt_wait(pipe_of[0]))
        return 1;
    interrupt_release();
    return 0;
}

/* Nothing will ever be there to read: a wait that missed the signal would not end. */
static int sees_one_that_came_just_before(void)
{
    (void)alarm(20);
    interrupt_catch();
    raise(SIGTERM);
    return interrupt_wait(pipe_of[0]) ? 1 : 7;
}

static int leaves_ignored_ones_ignored(void)
{
    (void)signal(SIGINT, SIG_IGN);
    interrupt_catch();
    raise(SIGINT);
    if (interrupt_came())
        return 1;
    interrupt_release();
    return 0;
}

static void a_signal_is_noted_and_ends_the_process_when_all_is_put_back(void **state)
{
    (void)state;
    assert_int_equal(ends(dies_at_the_outermost_release), -SIGINT);
    assert_int_equal(ends(goes_on_when_none_came), 0);
}

static void a_wait_sees_a_signal_that_came_just_before(void **state)
{
    (void)state;
    assert_int_equal(ends(sees_one_that_came_just_before), 7);
}

static void what_is_ignored_stays_ignored(void **state)
{
    (void)state;
    assert_int_equal(ends(leaves_ignored_ones_ignored), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signal_is_noted_and_ends_the_process_when_all_is_put_back),
        cmocka_unit_test(a_wait_sees_a_signal_that_came_just_before),
        cmocka_unit_test(what_is_ignored_stays_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
