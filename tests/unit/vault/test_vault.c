/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
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

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/vault/secretfile.h"
#include "lib/vault/vault.h"

#define HOUR UINT64_C(3600000000)

struct place {
    char dir[32];
    char *file, *key;
    char error[256];
};

static int make_place(void **state)
{
    struct place *p = mem_alloc(sizeof(*p));

    strcpy(p->dir, "/tmp/signalbox-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    p->file = mem_format("%s/data/vault", p->dir);
    p->key = mem_format("%s/key", p->dir);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;
    _free_ char *command = mem_format("rm -rf %s", p->dir);

    assert_int_equal(system(command), 0);
    free(p->file);
    free(p->key);
    free(p);
    return 0;
}

static struct vault *open_in(struct place *p, bool writable)
{
    return vault_open(p->file, p->key, writable, p->error, sizeof(p->error));
}

/* Store one secret and close. */
static void store(struct place *p, const char *name, const char *value, uint64_t now,
                  uint64_t keep)
{
    struct vault *vault = open_in(p, true);

    assert_non_null(vault);
    vault_set(vault, name, value, now, keep);
    assert_true(vault_save(vault, p->error, sizeof(p->error)));
    vault_close(vault);
}

static void what_was_saved_is_there_again(void **state)
{
    struct place *p = *state;
    const struct vault_version *versions[4];

    store(p, "b", "two", 5, 0);
    store(p, "a", "one \"x\" \xc3\xa4", 6, 0);
    struct vault *vault = open_in(p, false);
    assert_non_null(vault);
    assert_string_equal(vault_name(vault, 0), "a");
    assert_string_equal(vault_name(vault, 1), "b");
    assert_null(vault_name(vault, 2));
    assert_int_equal(vault_get(vault, "a", 100, versions, 4), 1);
    assert_string_equal(versions[0]->value, "one \"x\" \xc3\xa4");
    assert_int_equal(versions[0]->number, 1);
    assert_int_equal(versions[0]->created_us, 6);
    assert_int_equal(vault_get(vault, "c", 100, versions, 4), 0);
    vault_close(vault);
}

static void the_first_save_makes_a_private_key_and_file(void **state)
{
    struct place *p = *state;
    struct stat st;
    struct vault *vault = open_in(p, true);

    vault_set(vault, "a", "x", 1, 0);
    assert_true(vault_save(vault, p->error, sizeof(p->error)));
    assert_true(vault_made_key(vault));
    assert_string_equal(vault_key_file(vault), p->key);
    assert_true(vault_save(vault, p->error, sizeof(p->error)));
    vault_close(vault);
    assert_int_equal(stat(p->key, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(p->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    vault = open_in(p, true);
    assert_false(vault_made_key(vault));
    vault_close(vault);
}

static void nothing_stands_in_clear(void **state)
{
    struct place *p = *state;
    char bytes[4096];

    store(p, "stripe_api_key", "sk_test_very_recognisable", 1, 0);
    int fd = open(p->file, O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, bytes, sizeof(bytes));
    close(fd);
    assert_true(n > 0);
    assert_null(memmem(bytes, (size_t)n, "recognisable", 12));
    assert_null(memmem(bytes, (size_t)n, "stripe_api_key", 14));
}

static void a_set_drops_the_old_version_and_a_rotation_keeps_it_for_a_while(void **state)
{
    struct place *p = *state;
    const struct vault_version *versions[4];

    store(p, "a", "one", HOUR, 0);
    store(p, "a", "two", 2 * HOUR, 24 * HOUR);
    store(p, "a", "three", 3 * HOUR, 24 * HOUR);
    struct vault *vault = open_in(p, false);
    assert_int_equal(vault_get(vault, "a", 4 * HOUR, versions, 4), 3);
    assert_string_equal(versions[0]->value, "three");
    assert_int_equal(versions[0]->number, 3);
    assert_string_equal(versions[2]->value, "one");
    assert_int_equal(versions[2]->until_us,
                     26 * HOUR); /* the second rotation does not lengthen the first */
    assert_int_equal(vault_get(vault, "a", 26 * HOUR, versions, 4), 2);
    assert_int_equal(vault_get(vault, "a", 27 * HOUR, versions, 4), 1);
    vault_close(vault);
    store(p, "a", "four", 4 * HOUR, 0);
    vault = open_in(p, false);
    assert_int_equal(vault_get(vault, "a", 4 * HOUR, versions, 4), 1);
    assert_string_equal(versions[0]->value, "four");
    vault_close(vault);
}

static void a_removed_secret_is_gone(void **state)
{
    struct place *p = *state;

    store(p, "a", "one", 1, 0);
    store(p, "b", "two", 1, 0);
    struct vault *vault = open_in(p, true);
    assert_true(vault_remove(vault, "a"));
    assert_false(vault_remove(vault, "a"));
    assert_true(vault_save(vault, p->error, sizeof(p->error)));
    vault_close(vault);
    vault = open_in(p, false);
    assert_string_equal(vault_name(vault, 0), "b");
    assert_null(vault_name(vault, 1));
    vault_close(vault);
}

static void the_old_ones_can_be_dropped_alone(void **state)
{
    struct place *p = *state;
    const struct vault_version *versions[4];

    store(p, "a", "one", 1, 0);
    store(p, "a", "two", 2, HOUR);
    store(p, "a", "three", 3, HOUR);
    struct vault *vault = open_in(p, true);
    assert_int_equal(vault_drop_old(vault, "a"), 2);
    assert_int_equal(vault_drop_old(vault, "a"), 0);
    assert_int_equal(vault_drop_old(vault, "b"), -1);
    assert_true(vault_save(vault, p->error, sizeof(p->error)));
    vault_close(vault);
    vault = open_in(p, false);
    assert_int_equal(vault_get(vault, "a", 4, versions, 4), 1);
    assert_string_equal(versions[0]->value, "three");
    assert_int_equal(versions[0]->number, 3);
    vault_close(vault);
}

static void a_vault_that_is_not_there_is_empty(void **state)
{
    struct place *p = *state;
    struct vault *vault = open_in(p, false);

    assert_non_null(vault);
    assert_null(vault_name(vault, 0));
    vault_close(vault);
    assert_int_not_equal(access(p->file, F_OK), 0);
}

static void every_changed_byte_is_noticed(void **state)
{
    struct place *p = *state;
    struct stat st;

    store(p, "a", "value", 1, 0);
    assert_int_equal(stat(p->file, &st), 0);
    int fd = open(p->file, O_RDWR | O_CLOEXEC);
    for (off_t i = 0; i < st.st_size; i++) {
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, i), 1);
        byte ^= 1;
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
        assert_null(open_in(p, false));
        assert_null(strstr(p->error, "value"));
        byte ^= 1;
        assert_int_equal(pwrite(fd, &byte, 1, i), 1);
    }
    for (off_t i = 0; i < st.st_size; i++) {
        assert_int_equal(ftruncate(fd, st.st_size - 1 - i), 0);
        assert_null(open_in(p, false));
    }
    close(fd);
}

static void another_key_or_none_opens_nothing(void **state)
{
    struct place *p = *state;
    static const char other[] =
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";

    store(p, "a", "value", 1, 0);
    assert_true(
        secretfile_replace(p->key, other, strlen(other), p->error, sizeof(p->error)));
    assert_null(open_in(p, false));
    assert_non_null(strstr(p->error, "another key"));
    assert_true(secretfile_replace(p->key, "short", 5, p->error, sizeof(p->error)));
    assert_null(open_in(p, false));
    assert_non_null(strstr(p->error, "64 hexadecimal digits"));
    assert_null(strstr(p->error, "short"));
    unlink(p->key);
    assert_null(open_in(p, true));
    assert_non_null(strstr(p->error, "restore it"));
}

static void a_credential_of_systemd_comes_first(void **state)
{
    struct place *p = *state;
    _free_ char *credential = mem_format("%s/signalbox.key", p->dir);
    static const char key[] =
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

    assert_true(
        secretfile_create(credential, key, strlen(key), p->error, sizeof(p->error)));
    setenv("CREDENTIALS_DIRECTORY", p->dir, 1);
    store(p, "a", "value", 1, 0);
    struct vault *vault = open_in(p, false);
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_non_null(vault);
    assert_string_equal(vault_key_file(vault), credential);
    vault_close(vault);
    assert_int_not_equal(access(p->key, F_OK), 0);
    assert_null(open_in(p, false)); /* the key in the file's place is not there */
}

/* --- secrets in files --- */

static bool can_read(struct place *p, const char *path, struct buf *out)
{
    buf_clear(out);
    return secretfile_read(path, out, p->error, sizeof(p->error));
}

static void a_file_is_read_only_when_it_is_private(void **state)
{
    struct place *p = *state;
    _free_ char *path = mem_format("%s/secret", p->dir),
                *link = mem_format("%s/link", p->dir);
    struct buf out = BUF_NULL;

    assert_true(secretfile_create(path, "hush\n", 5, p->error, sizeof(p->error)));
    assert_true(can_read(p, path, &out));
    assert_string_equal(buf_str(&out), "hush");
    for (mode_t mode = 1; mode < 0100; mode <<= 1) {
        assert_int_equal(chmod(path, 0600 | mode), 0);
        assert_false(can_read(p, path, &out));
        assert_non_null(strstr(p->error, "expected mode 0600"));
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_true(can_read(p, path, &out));
    assert_int_equal(symlink(path, link), 0);
    assert_false(can_read(p, link, &out));
    assert_non_null(strstr(p->error, "it is a link"));
    assert_false(can_read(p, p->dir, &out));
    unlink(link);
    assert_int_equal(mkfifo(link, 0600), 0);
    assert_false(can_read(p, link, &out)); /* and does not wait for a writer */
    assert_false(can_read(p, "/nonexistent/x", &out));
    buf_fini(&out);
}

static void a_file_over_its_bound_is_refused(void **state)
{
    struct place *p = *state;
    _free_ char *path = mem_format("%s/secret", p->dir);
    char *bytes = mem_alloc(SECRET_SIZE_MAX + 1);
    struct buf out = BUF_NULL;

    memset(bytes, 'x', SECRET_SIZE_MAX + 1);
    assert_true(
        secretfile_create(path, bytes, SECRET_SIZE_MAX, p->error, sizeof(p->error)));
    assert_true(can_read(p, path, &out));
    assert_true(
        secretfile_replace(path, bytes, SECRET_SIZE_MAX + 1, p->error, sizeof(p->error)));
    assert_false(can_read(p, path, &out));
    assert_non_null(strstr(p->error, "larger than 8 KiB"));
    free(bytes);
    buf_fini(&out);
}

static void create_leaves_what_is_there(void **state)
{
    struct place *p = *state;
    struct buf out = BUF_NULL;

    assert_true(secretfile_create(p->key, "one", 3, p->error, sizeof(p->error)));
    assert_false(secretfile_create(p->key, "two", 3, p->error, sizeof(p->error)));
    assert_true(can_read(p, p->key, &out));
    assert_string_equal(buf_str(&out), "one");
    buf_fini(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_saved_is_there_again),
        TEST(the_first_save_makes_a_private_key_and_file),
        TEST(nothing_stands_in_clear),
        TEST(a_set_drops_the_old_version_and_a_rotation_keeps_it_for_a_while),
        TEST(a_removed_secret_is_gone),
        TEST(the_old_ones_can_be_dropped_alone),
        TEST(a_vault_that_is_not_there_is_empty),
        TEST(every_changed_byte_is_noticed),
        TEST(another_key_or_none_opens_nothing),
        TEST(a_credential_of_systemd_comes_first),
        TEST(a_file_is_read_only_when_it_is_private),
        TEST(a_file_over_its_bound_is_refused),
        TEST(create_leaves_what_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
