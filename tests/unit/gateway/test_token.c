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

#include "gateway/token.h"

static char dir[64], path[96], list_path[96], error[256];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/test_token.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/api-token", dir);
    snprintf(list_path, sizeof(list_path), "%s/tokens", dir);
    error[0] = 0;
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    unlink(list_path);
    return rmdir(dir);
}

static bool matches(const struct token *first, const char *authorization)
{
    struct token_book book = {.first = *first};
    return token_find(&book, 1, authorization) == &book.first;
}

static void read_file(char ret_text[128])
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(ret_text, 128, file));
    fclose(file);
    ret_text[strcspn(ret_text, "\n")] = 0;
}

static void write_file(const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void first_start_makes_a_token_for_its_owner_only(void **state)
{
    (void)state;
    struct token token;
    struct stat st;
    bool is_new = false;
    char text[128], header[160];
    umask(0);
    assert_int_equal(token_load(path, &token, &is_new, error, sizeof(error)), 0);
    assert_true(is_new);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    read_file(text);
    assert_int_equal(strlen(text), 47);
    assert_memory_equal(text, "sbx_", 4);
    assert_int_equal(
        strspn(text + 4,
               "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
        43);
    snprintf(header, sizeof(header), "Bearer %s", text);
    assert_true(matches(&token, header));
    assert_int_equal(token.scopes, SCOPE_ALL);
}

static void second_start_reads_the_same_token(void **state)
{
    (void)state;
    struct token first, second;
    bool is_new = false;
    assert_int_equal(token_load(path, &first, &is_new, error, sizeof(error)), 0);
    assert_int_equal(token_load(path, &second, &is_new, error, sizeof(error)), 0);
    assert_false(is_new);
    assert_memory_equal(first.hash, second.hash, 32);
}

static void two_first_starts_make_two_tokens(void **state)
{
    (void)state;
    struct token first, second;
    bool is_new;
    assert_int_equal(token_load(path, &first, &is_new, error, sizeof(error)), 0);
    unlink(path);
    assert_int_equal(token_load(path, &second, &is_new, error, sizeof(error)), 0);
    assert_memory_not_equal(first.hash, second.hash, 32);
}

static void file_that_others_can_read_is_refused(void **state)
{
    (void)state;
    struct token token;
    bool is_new;
    static const mode_t modes[] = {0640, 0604, 0660, 0666, 0620};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        write_file("sbx_0123456789012345678901234567890123456789012\n", modes[i]);
        assert_int_equal(token_load(path, &token, &is_new, error, sizeof(error)), -1);
        assert_non_null(strstr(error, "0600"));
    }
    write_file("sbx_0123456789012345678901234567890123456789012\n", 0400);
    assert_int_equal(token_load(path, &token, &is_new, error, sizeof(error)), 0);
}

static void link_is_not_followed(void **state)
{
    (void)state;
    struct token token;
    bool is_new;
    char target[128];
    snprintf(target, sizeof(target), "%s/elsewhere", dir);
    assert_int_equal(symlink(target, path), 0); /* dangling */
    assert_int_equal(token_load(path, &token, &is_new, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "symbolic link"));
    assert_int_not_equal(access(target, F_OK), 0);
}

static void empty_or_short_file_is_refused(void **state)
{
    (void)state;
    struct token token;
    bool is_new;
    write_file("", 0600);
    assert_int_equal(token_load(path, &token, &is_new, error, sizeof(error)), -1);
    write_file("short\n", 0600);
    assert_int_equal(token_load(path, &token, &is_new, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "no token"));
}

static void missing_directory_is_said(void **state)
{
    (void)state;
    struct token token;
    bool is_new;
    char deep[128];
    snprintf(deep, sizeof(deep), "%s/none/api-token", dir);
    assert_int_equal(token_load(deep, &token, &is_new, error, sizeof(error)), -1);
    assert_non_null(strstr(error, deep));
}

static void only_the_whole_token_matches(void **state)
{
    (void)state;
    struct token token;
    bool is_new;
    write_file("sbx_0123456789012345678901234567890123456789012\n", 0600);
    assert_int_equal(token_load(path, &token, &is_new, error, sizeof(error)), 0);
    assert_true(
        matches(&token, "Bearer sbx_0123456789012345678901234567890123456789012"));
    assert_true(
        matches(&token, "bearer  sbx_0123456789012345678901234567890123456789012"));
    static const char *const wrong[] = {
        NULL,
        "",
        "Bearer",
        "Bearer ",
        "sbx_0123456789012345678901234567890123456789012",
        "Basic sbx_0123456789012345678901234567890123456789012",
        "Bearer sbx_012345678901234567890123456789012345678901",
        "Bearer sbx_01234567890123456789012345678901234567890123",
        "Bearer sbx_0123456789012345678901234567890123456789012 x", /* RFC 9110, 5.6.3 */
        "Bearer sbx_1123456789012345678901234567890123456789012"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(matches(&token, wrong[i]));
}

/* --- the list --- */

enum { NOW = 1000 };

static void write_list(const char *name, const char *text, unsigned scopes,
                       uint64_t until_us)
{
    static struct tokens tokens;
    tokens.n = 1;
    tokens.items[0] = (struct token){.scopes = scopes, .until_us = until_us};
    snprintf(tokens.items[0].name, sizeof(tokens.items[0].name), "%s", name);
    token_hash(text, tokens.items[0].hash);
    assert_true(tokens_write(list_path, &tokens, error, sizeof(error)));
}

static struct token_book *open_book(void)
{
    struct token_book *book = calloc(1, sizeof(*book));
    assert_non_null(book);
    book->path = strdup(list_path);
    token_hash("sbx_first", book->first.hash);
    return book;
}

static void close_book(struct token_book *book)
{
    token_book_fini(book);
    free(book);
}

static void listed_token_opens_with_its_own_scopes(void **state)
{
    (void)state;
    struct token_book *book = open_book();
    write_list("shop", "sbx_shop", SCOPE_CALL, 0);
    const struct token *found = token_find(book, NOW, "Bearer sbx_shop");
    assert_non_null(found);
    assert_string_equal(found->name, "shop");
    assert_int_equal(found->scopes, SCOPE_CALL);
    assert_ptr_equal(token_find(book, NOW, "Bearer sbx_first"), &book->first);
    assert_ptr_equal(token_find(book, NOW, "bearer  sbx_first \t "), &book->first);
    assert_null(token_find(book, NOW, "Bearer sbx_first x"));
    assert_null(token_find(book, NOW, "Bearer sbx_other"));
    close_book(book);
}

static void change_of_the_list_counts_from_the_next_request_on(void **state)
{
    (void)state;
    struct token_book *book = open_book();
    assert_null(token_find(book, NOW, "Bearer sbx_a"));
    write_list("shop", "sbx_a", SCOPE_READ, 0);
    assert_non_null(token_find(book, NOW, "Bearer sbx_a"));
    write_list("shop", "sbx_b", SCOPE_READ, 0);
    assert_null(token_find(book, NOW, "Bearer sbx_a"));
    assert_non_null(token_find(book, NOW, "Bearer sbx_b"));
    unlink(list_path);
    assert_null(token_find(book, NOW, "Bearer sbx_b"));
    close_book(book);
}

static void token_ends_at_its_time(void **state)
{
    (void)state;
    struct token_book *book = open_book();
    write_list("shop", "sbx_a", SCOPE_READ, NOW + 1);
    assert_non_null(token_find(book, NOW, "Bearer sbx_a"));
    assert_null(token_find(book, NOW + 1, "Bearer sbx_a"));
    close_book(book);
}

static void broken_list_leaves_the_first_token_only(void **state)
{
    (void)state;
    struct token_book *book = open_book();
    write_list("shop", "sbx_a", SCOPE_READ, 0);
    assert_non_null(token_find(book, NOW, "Bearer sbx_a"));
    assert_int_equal(chmod(list_path, 0644), 0);
    assert_null(token_find(book, NOW, "Bearer sbx_a"));
    assert_non_null(token_find(book, NOW, "Bearer sbx_first"));
    assert_int_equal(chmod(list_path, 0600), 0);
    assert_non_null(token_find(book, NOW, "Bearer sbx_a"));
    close_book(book);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(first_start_makes_a_token_for_its_owner_only),
        TEST(second_start_reads_the_same_token),
        TEST(two_first_starts_make_two_tokens),
        TEST(file_that_others_can_read_is_refused),
        TEST(link_is_not_followed),
        TEST(empty_or_short_file_is_refused),
        TEST(missing_directory_is_said),
        TEST(only_the_whole_token_matches),
        TEST(listed_token_opens_with_its_own_scopes),
        TEST(change_of_the_list_counts_from_the_next_request_on),
        TEST(token_ends_at_its_time),
        TEST(broken_list_leaves_the_first_token_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
