/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/log.h"
#include "lib/loop/loop.h"
#include "lib/service/descriptors.h"

enum { LIMIT = 100, LOOK_US = 3000000 };

static int said; /* stderr goes there */

/* How often it was said up to now. */
static int times_said(void)
{
    char text[4096] = "";
    int n = 0;

    assert_true(pread(said, text, sizeof(text) - 1, 0) >= 0);
    for (const char *at = text; (at = strstr(at, "DESCRIPTORS_SHORT")) != NULL; at++)
        n++;
    return n;
}

static struct loop *new_loop(void)
{
    struct loop *loop = loop_new();

    loop_virtual(loop, 1000000, 1000000);
    return loop;
}

static void one_in_ten_left_is_said_once_until_it_is_over(void **state)
{
    struct loop *loop = new_loop();
    struct descriptors *watch = descriptors_watch(loop);
    int fds[LIMIT], n = 0;

    (void)state;
    for (int round = 1; round <= 2; round++) {
        loop_advance(loop, LOOK_US);
        assert_int_equal(times_said(), round - 1);
        while ((fds[n] = dup(said)) >= 0 && fds[n] < LIMIT - 5)
            n++;
        loop_advance(loop, LOOK_US);
        loop_advance(loop, LOOK_US);
        assert_int_equal(times_said(), round);
        for (n++; n > 0; n--)
            close(fds[n - 1]);
        loop_advance(loop, LOOK_US);
    }
    descriptors_unwatch(watch);
    loop_free(loop);
}

static void none_at_all_is_said_too(void **state)
{
    struct loop *loop = new_loop();
    struct descriptors *watch = descriptors_watch(loop);
    int fds[LIMIT], n = 0, before = times_said();

    (void)state;
    while (n < LIMIT && (fds[n] = dup(said)) >= 0)
        n++;
    loop_advance(loop, LOOK_US);
    while (n > 0)
        close(fds[--n]);
    assert_int_equal(times_said(), before + 1);
    descriptors_unwatch(watch);
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_in_ten_left_is_said_once_until_it_is_over),
        cmocka_unit_test(none_at_all_is_said_too),
    };
    const struct rlimit few = {LIMIT, LIMIT};
    FILE *file = tmpfile();
    int screen = dup(STDERR_FILENO);

    if (!file || screen < 0 || setrlimit(RLIMIT_NOFILE, &few) != 0)
        return 1;
    said = fileno(file);
    dup2(said, STDERR_FILENO);
    log_open("test");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    dup2(screen, STDERR_FILENO);
    fclose(file);
    return failed;
}
