/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/process.h"

/* A process with a name that looks like the end of one, which waits to be killed. */
static pid_t child(void)
{
    int ready[2];
    char one;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_NAME, "a) Z 1 (b");
        _exit(write(ready[1], "1", 1) == 1 ? pause() : 1);
    }
    assert_int_equal(read(ready[0], &one, 1), 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static void a_process_that_runs_or_is_stopped_is_alive(void **state)
{
    siginfo_t info;

    (void)state;
    pid_t pid = child();
    assert_true(process_is_alive((uint64_t)pid));
    kill(pid, SIGSTOP);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
    assert_true(process_is_alive((uint64_t)pid));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void one_that_ended_is_dead_before_its_parent_has_looked(void **state)
{
    siginfo_t info;

    (void)state;
    pid_t pid = child();
    kill(pid, SIGKILL);
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    assert_false(process_is_alive((uint64_t)pid));
    waitpid(pid, NULL, 0);
    assert_false(process_is_alive((uint64_t)pid));
}

static void one_that_is_not_known_is_alive(void **state)
{
    (void)state;
    assert_true(process_is_alive(0));
    assert_true(process_is_alive((uint64_t)getpid()));
    assert_true(process_is_alive(1)); /* another user's, maybe */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_runs_or_is_stopped_is_alive),
        cmocka_unit_test(one_that_ended_is_dead_before_its_parent_has_looked),
        cmocka_unit_test(one_that_is_not_known_is_alive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
