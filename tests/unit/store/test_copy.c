/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A copy holds what was there, is a log of its own, and is not made of a damaged one. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/store/copy.h"
#include "lib/store/store.h"
#include "tests/unit/store/chain.h"

enum { MIB = 1 << 20 };

static char base[64], log_dir[80], copy_dir[80], error[512];
static struct chain chain;

static struct store *open_writer(const char *dir)
{
    const struct store_options options = {.dir = dir, .segment_size = 16 * MIB};
    struct store *store = store_open(&options, error, sizeof(error));

    if (!store)
        fail_msg("%s", error);
    return store;
}

static void append(struct store *store, size_t size, uint32_t flags)
{
    struct block *block = chain_next(&chain, size, flags);
    const struct block *list[] = {block};

    assert_int_equal(store_append(store, list, 1), STORE_OK);
    free(block);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(base, "/tmp/copy-XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(log_dir, sizeof(log_dir), "%s/log", base);
    snprintf(copy_dir, sizeof(copy_dir), "%s/copy", base);
    assert_int_equal(mkdir(copy_dir, 0700), 0);
    chain = (struct chain){.term = 1, .timestamp_us = 1000000};
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", base);
    assert_int_equal(system(command), 0);
    return 0;
}

static int copy(struct store_copied *ret, store_copy_fn fn, void *user)
{
    struct store *from = store_open_reader(log_dir, error, sizeof(error));

    assert_non_null(from);
    int result = store_copy(from, copy_dir, fn, user, ret);
    store_close(from);
    return result;
}

static bool same(void *user, uint64_t number, const struct block *block, const char *why)
{
    struct store *other = user;
    struct buf bytes = BUF_NULL;

    assert_null(why);
    assert_int_equal(store_read(other, number, &bytes), STORE_OK);
    assert_memory_equal(bytes.bytes, block, block->len);
    buf_fini(&bytes);
    return true;
}

static void a_copy_of_a_live_log_is_the_same_and_goes_on_by_itself(void **state)
{
    struct store *store = open_writer(log_dir);
    struct store_copied copied;

    (void)state;
    for (int i = 0; i < 40; i++)
        append(store, i % 3 ? 1000 : 2 * MIB, i % 13 == 0 ? BLOCK_OPENS_SEGMENT : 0);
    store_trim(store, 14); /* the first segment is gone */
    assert_int_equal(copy(&copied, NULL, NULL), STORE_OK);
    assert_int_equal(copied.first, 14);
    assert_int_equal(copied.last, 40);
    append(store, 500, 0); /* the copied log goes on, the copy does not know */
    struct store *twin = store_open_reader(copy_dir, error, sizeof(error));
    assert_non_null(twin);
    store_scan(twin, 1, /* verify= */ true, same, store);
    uint64_t first, last;
    store_range(twin, &first, &last);
    assert_int_equal(first, 14);
    assert_int_equal(last, 40);
    store_close(twin);
    store_close(store);
    struct store *writer = open_writer(copy_dir);
    struct log_head head;
    store_head(writer, &head);
    chain = chain_behind(&head);
    assert_int_equal(head.crc, copied.crc);
    for (int i = 0; i < 20; i++)
        append(writer, MIB, 0); /* also where the copied segment is full */
    store_close(writer);
}

static void an_empty_log_is_copied_as_nothing(void **state)
{
    struct store_copied copied;

    (void)state;
    store_close(open_writer(log_dir));
    assert_int_equal(copy(&copied, NULL, NULL), STORE_OK);
    assert_int_equal(copied.first, 0);
    assert_int_equal(copied.last, 0);
}

static bool stop(void *user, const struct store_copied *so_far, uint64_t last)
{
    (void)user;
    return so_far->last == last;
}

static void a_damaged_log_is_not_copied_and_a_copy_can_be_stopped(void **state)
{
    struct store *store = open_writer(log_dir);
    struct store_copied copied;
    char path[128];

    (void)state;
    for (int i = 0; i < 100; i++)
        append(store, 200000, 0);
    store_close(store);
    assert_int_equal(copy(&copied, stop, NULL), STORE_FAILED);
    snprintf(path, sizeof(path), "%s/00000000000000000001.mdb", copy_dir);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/00000000000000000001.mdb", log_dir);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "damaged", 7, 5 * MIB), 7);
    close(fd);
    assert_int_equal(copy(&copied, NULL, NULL), STORE_DAMAGED);
}

static void where_there_is_no_directory_nothing_is_copied(void **state)
{
    struct store *store = open_writer(log_dir);
    struct store_copied copied;

    (void)state;
    append(store, 1000, 0);
    store_close(store);
    assert_int_equal(rmdir(copy_dir), 0);
    assert_true(copy(&copied, NULL, NULL) != STORE_OK);
    assert_non_null(strstr(store_error(NULL), copy_dir));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            a_copy_of_a_live_log_is_the_same_and_goes_on_by_itself, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_empty_log_is_copied_as_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_damaged_log_is_not_copied_and_a_copy_can_be_stopped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_there_is_no_directory_nothing_is_copied,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
