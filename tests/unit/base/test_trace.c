/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/trace.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN  "b7ad6b7169203331"

static void only_what_the_standard_describes_is_a_parent(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_one;
    } cases[] = {
        {"00-" TRACE "-" SPAN "-01", true},
        {"00-" TRACE "-" SPAN "-00", true},
        {"cc-" TRACE "-" SPAN "-01", true},      /* a later version */
        {"cc-" TRACE "-" SPAN "-01-what", true}, /* with more */
        {"cc-" TRACE "-" SPAN "-01.what", false},
        {"00-" TRACE "-" SPAN "-01-what", false}, /* the first one has no more */
        {"ff-" TRACE "-" SPAN "-01", false},
        {"00-" TRACE "-" SPAN "-0", false},
        {"00-00000000000000000000000000000000-" SPAN "-01", false},
        {"00-" TRACE "-0000000000000000-01", false},
        {"00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01", false},
        {"00_" TRACE "-" SPAN "-01", false},
        {"", false},
        {NULL, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(trace_is_parent(cases[i].text), cases[i].is_one);
}

static void child_keeps_trace_and_flags(void **state)
{
    (void)state;
    char child[TRACE_PARENT_SIZE];
    trace_child("00-" TRACE "-" SPAN "-01", 0xabc, child);
    assert_string_equal(child, "00-" TRACE "-0000000000000abc-01");
    trace_child("cc-" TRACE "-" SPAN "-00-more", 0, child);
    assert_string_equal(child, "00-" TRACE "-0000000000000001-00");
    assert_true(trace_is_parent(child));
}

static void state_is_printable_and_bounded(void **state)
{
    (void)state;
    char text[TRACE_STATE_MAX + 2];
    memset(text, 'a', sizeof(text));
    text[TRACE_STATE_MAX] = 0;
    assert_true(trace_is_state(text));
    text[TRACE_STATE_MAX] = 'a';
    text[TRACE_STATE_MAX + 1] = 0;
    assert_false(trace_is_state(text));
    assert_true(trace_is_state("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"));
    assert_false(trace_is_state("a=b\r\nX: y"));
    assert_false(trace_is_state(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_the_standard_describes_is_a_parent),
        cmocka_unit_test(child_keeps_trace_and_flags),
        cmocka_unit_test(state_is_printable_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
