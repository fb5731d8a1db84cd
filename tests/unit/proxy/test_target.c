/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What may be asked: paths that everybody reads alike, and the list of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/guard.h"
#include "proxy/target.h"

static void a_path_is_read_as_the_provider_reads_it(void **state)
{
    (void)state;
    static const struct {
        const char *text, *path, *encoded, *query;
    } cases[] = {
        {"/v1/charges", "/v1/charges", "/v1/charges", NULL},
        {"/models/v1/charges", "/v1/charges", "/v1/charges", NULL},
        {"/modelsv1", "/modelsv1", "/modelsv1", NULL},
        {"/models", "/models", "/models", NULL},
        {"/models/models/x", "/models/x", "/models/x", NULL},
        {"/v1/a%3Ab?x=%2F..&y", "/v1/a:b", "/v1/a%3Ab", "x=%2F..&y"},
        {"/v1/a/", "/v1/a/", "/v1/a/", NULL},
        {"/api/chat.postMessage", "/api/chat.postMessage", "/api/chat.postMessage", NULL},
        {"/v1/...", "/v1/...", "/v1/...", NULL},
        {"/?", "/", "/", ""},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target target = {0};
        assert_null(target_read(cases[i].text, "models", &target));
        assert_string_equal(target.path, cases[i].path);
        assert_string_equal(target.encoded, cases[i].encoded);
        if (cases[i].query)
            assert_string_equal(target.query, cases[i].query);
        else
            assert_null(target.query);
        target_fini(&target);
    }
}

static void a_path_that_others_may_read_otherwise_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",           "v1",           "http://a/v1",
        "/v1/../x",   "/v1/./x",      "/v1/..",
        "//v1",       "/v1//x",       "/v1/%2e%2e/x",
        "/v1/%2E/x",  "/v1/a%2fb",    "/v1/a%5cb",
        "/v1/a\\b",   "/v1/%",        "/v1/%2",
        "/v1/%zz",    "/v1/%00",      "/v1/%0a",
        "/v1/a b",    "/v1/%252e",    "/v1/a%3fb",
        "/v1/a\x80",  "/x?a b",       "/x?a\nb",
        "/models//x", "/models/../x",
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target target = {0};
        if (!target_read(cases[i], "models", &target))
            fail_msg("taken: %s", cases[i]);
        assert_null(target.path);
    }
}

static void the_list_is_of_methods_and_paths(void **state)
{
    (void)state;
    static const char list[] = "GET|POST /v1/charges, GET /v1/charges/*,\n POST /v1/x/>, "
                               "DELETE /v1/a/*/b";
    static const struct {
        const char *method, *path;
        bool has;
    } cases[] = {
        {"GET", "/v1/charges", true},      {"POST", "/v1/charges", true},
        {"PUT", "/v1/charges", false},     {"GE", "/v1/charges", false},
        {"GET", "/v1/charges/ch_1", true}, {"POST", "/v1/charges/ch_1", false},
        {"GET", "/v1/charges/", false},    {"GET", "/v1/charges/a/b", false},
        {"GET", "/v1/charge", false},      {"GET", "/v1/chargesx", false},
        {"POST", "/v1/x/a", true},         {"POST", "/v1/x/a/b/c", true},
        {"POST", "/v1/x", false},          {"POST", "/v1/x/", false},
        {"DELETE", "/v1/a/q/b", true},     {"DELETE", "/v1/a/q/r/b", false},
        {"DELETE", "/v1/a//b", false},     {"GET", "/", false},
        {"", "/v1/charges", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (allow_has(list, cases[i].method, cases[i].path) != cases[i].has)
            fail_msg("%s %s", cases[i].method, cases[i].path);
}

static void a_list_that_is_wrong_is_named_where_it_is_wrong(void **state)
{
    (void)state;
    static const char *const good[] = {"GET /", "GET|POST /a/*, PUT /b/>", " GET /a ,"};
    static const struct {
        const char *list, *at;
    } bad[] = {
        {"GET /a, /b", "/b"},
        {"get /a", "get /a"},
        {"GET a", "GET a"},
        {"GET /a POST /b", "GET"},
        {"", ""},
        {"GET/a", "GET/a"},
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_null(allow_wrong(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *wrong = allow_wrong(bad[i].list);
        assert_non_null(wrong);
        assert_int_equal(strncmp(wrong, bad[i].at, strlen(bad[i].at)), 0);
    }
}

static void only_names_of_this_machine_are_local(void **state)
{
    (void)state;
    static const char *const local[] = {"localhost",      "LocalHost:80", "127.0.0.1",
                                        "127.0.0.1:8091", "127.9.9.9",    "[::1]",
                                        "[::1]:8091"};
    static const char *const others[] = {"",         "evil.test",  "127.0.0.1.evil.test",
                                         "10.0.0.1", "[::2]:80",   "localhost.evil.test",
                                         "0.0.0.0",  "2130706433", "[::1]x"};

    for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
        if (!guard_is_local(local[i]))
            fail_msg("%s", local[i]);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (guard_is_local(others[i]))
            fail_msg("%s", others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_read_as_the_provider_reads_it),
        cmocka_unit_test(a_path_that_others_may_read_otherwise_is_refused),
        cmocka_unit_test(the_list_is_of_methods_and_paths),
        cmocka_unit_test(a_list_that_is_wrong_is_named_where_it_is_wrong),
        cmocka_unit_test(only_names_of_this_machine_are_local),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
