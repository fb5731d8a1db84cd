/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/tokens/tokens.h"

static char dir[64], path[96], error[256];
static struct tokens tokens, again;

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/test_tokens.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    char *made = tokens_path(dir);
    snprintf(path, sizeof(path), "%s", made);
    free(made);
    error[0] = 0;
    tokens.n = again.n = 0;
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, 0600), 0);
}

static void what_was_written_is_read_again(void **state)
{
    (void)state;
    struct stat st;
    tokens.n = 2;
    tokens.items[0] = (struct token){"shop", SCOPE_PUBLISH | SCOPE_CALL, {1}, 5, 0};
    tokens.items[1] = (struct token){"ops", SCOPE_ALL, {2}, 6, 7000000};
    assert_true(tokens_write(path, &tokens, error, sizeof(error)));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(tokens_read(path, &again, error, sizeof(error)));
    assert_int_equal(again.n, 2);
    for (size_t i = 0; i < 2; i++)
        assert_memory_equal(&again.items[i], &tokens.items[i], sizeof(struct token));
}

static void no_file_is_an_empty_list(void **state)
{
    (void)state;
    again.n = 9;
    assert_true(tokens_read(path, &again, error, sizeof(error)));
    assert_int_equal(again.n, 0);
}

static void what_was_not_written_by_us_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "expected"},
        {"{}", "`tokens`"},
        {"{\"tokens\":[{\"name\":\"A b\"}]}", "token 1: `name`"},
        {"{\"tokens\":[{\"name\":\"a\",\"scopes\":\"root\"}]}", "token 1: `scopes`"},
        {"{\"tokens\":[{\"name\":\"a\",\"scopes\":\"read\",\"sha256\":\"00\"}]}",
         "token 1: `sha256`"},
        {"{\"tokens\":[{\"name\":\"a\",\"scopes\":\"read\",\"sha256\":\"0000000000000000"
         "000000000000000000000000000000000000000000000000\",\"until\":\"soon\"}]}",
         "`until`"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_text(cases[i].text);
        assert_false(tokens_read(path, &again, error, sizeof(error)));
        assert_non_null(strstr(error, path));
        assert_non_null(strstr(error, cases[i].why));
        assert_int_equal(again.n, 0);
    }
}

static void file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    assert_true(tokens_write(path, &tokens, error, sizeof(error)));
    assert_int_equal(chmod(path, 0640), 0);
    assert_false(tokens_read(path, &again, error, sizeof(error)));
    assert_non_null(strstr(error, "0600"));
}

static void full_list_is_read(void **state)
{
    (void)state;
    tokens.n = TOKENS_MAX;
    for (size_t i = 0; i < TOKENS_MAX; i++) {
        struct token *t = &tokens.items[i];
        *t = (struct token){.scopes = SCOPE_ALL, .created_us = 1, .until_us = 2};
        memset(t->name, 'n', TOKEN_NAME_SIZE - 1);
    }
    assert_true(tokens_write(path, &tokens, error, sizeof(error)));
    assert_true(tokens_read(path, &again, error, sizeof(error)));
    assert_int_equal(again.n, TOKENS_MAX);
}

static void only_a_valid_token_is_found(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_SIZE];
    uint8_t hash[32];
    token_make(text);
    token_hash(text, hash);
    tokens.n = 1;
    tokens.items[0] = (struct token){.name = "a", .until_us = 10};
    token_hash(text, tokens.items[0].hash);
    assert_ptr_equal(tokens_find(&tokens, 9, hash), &tokens.items[0]);
    assert_null(tokens_find(&tokens, 10, hash));
    text[20]++;
    token_hash(text, hash);
    assert_null(tokens_find(&tokens, 9, hash));
}

static void no_two_tokens_are_the_same(void **state)
{
    (void)state;
    char a[TOKEN_TEXT_SIZE], b[TOKEN_TEXT_SIZE];
    token_make(a);
    token_make(b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), TOKEN_TEXT_SIZE - 1);
    assert_memory_equal(a, "sbx_", 4);
}

static void scopes_are_read_and_written(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned scopes; /* 0: refused */
        const char *again;
    } cases[] = {
        {"publish", SCOPE_PUBLISH, "publish"},
        {"read,publish", SCOPE_READ | SCOPE_PUBLISH, "publish,read"},
        {"publish,call,read,admin", SCOPE_ALL, "publish,call,read,admin"},
        {"", 0, NULL},
        {"publish,", 0, NULL},
        {"all", 0, NULL},
        {"read, call", 0, NULL},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned scopes = 0;
        const char *unknown;
        size_t n;
        char text[TOKEN_SCOPES_SIZE];
        bool good = scopes_parse(cases[i].text, &scopes, &unknown, &n);
        assert_int_equal(scopes, cases[i].scopes);
        assert_int_equal(good, cases[i].scopes != 0);
        scopes_text(scopes, text);
        assert_string_equal(text, good ? cases[i].again : "");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_written_is_read_again),
        TEST(no_file_is_an_empty_list),
        TEST(what_was_not_written_by_us_is_refused_with_its_place),
        TEST(file_that_others_can_read_is_refused),
        TEST(full_list_is_read),
        TEST(only_a_valid_token_is_found),
        TEST(no_two_tokens_are_the_same),
        TEST(scopes_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
