/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What only files can suffer: damage, cuts, lack of room, other processes. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/store/store.h"
#include "tests/unit/store/chain.h"

enum { MIB = 1 << 20, PAGE = 4096, FLIPS = 400 };

static char dir[64], first_path[128], error[512];
static struct chain chain;
static struct buf out;

static struct store *try_open(void)
{
    const struct store_options options = {.dir = dir, .segment_size = 16 * MIB};

    error[0] = 0;
    return store_open(&options, error, sizeof(error));
}

static struct store *must_open(void)
{
    struct store *store = try_open();

    if (!store)
        fail_msg("%s", error);
    return store;
}

static int append(struct store *store, size_t size, uint32_t flags)
{
    struct block *block = chain_next(&chain, size, flags);
    const struct block *list[] = {block};
    int rc = store_append(store, list, 1);

    free(block);
    return rc;
}

static int set_up(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/store-XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(first_path, sizeof(first_path), "%s/00000000000000000001.mdb", dir);
    chain = (struct chain){.term = 1, .timestamp_us = 1000000};
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    buf_fini(&out);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void write_blocks(unsigned n, size_t size)
{
    struct store *store = must_open();

    for (unsigned i = 0; i < n; i++)
        assert_int_equal(append(store, size, 0), STORE_OK);
    store_close(store);
}

/* --- opening again --- */

static void reopened_store_goes_on_behind_its_head(void **state)
{
    struct log_head head;

    (void)state;
    write_blocks(5, 500);
    struct store *store = must_open();
    store_head(store, &head);
    assert_int_equal(head.number, 5);
    assert_int_equal(head.crc, chain.crc);
    assert_int_equal(head.timestamp_us, chain.timestamp_us);
    assert_int_equal(append(store, 500, BLOCK_OPENS_SEGMENT), STORE_OK);
    store_close(store);
    store = must_open();
    assert_int_equal(append(store, 500, 0), STORE_OK);
    assert_int_equal(store_read(store, 7, &out), STORE_OK);
    store_close(store);
}

static void second_writer_is_refused(void **state)
{
    (void)state;
    struct store *store = must_open();
    assert_null(try_open());
    assert_non_null(strstr(error, "another process"));
    store_close(store);
}

static void too_small_a_segment_is_refused(void **state)
{
    const struct store_options options = {.dir = dir, .segment_size = MIB};

    (void)state;
    assert_null(store_open(&options, error, sizeof(error)));
    assert_non_null(strstr(error, "16 MiB"));
}

static void spares_outlive_a_restart(void **state)
{
    struct log_head head;

    (void)state;
    struct store *store = must_open();
    while (store_prepare(store) == STORE_MORE)
        ;
    store_close(store);
    store = must_open();
    store_head(store, &head);
    assert_true(head.spare_bytes >= 32 * MIB);
    assert_int_equal(store_prepare(store), STORE_OK); /* there is nothing to make */
    assert_int_equal(append(store, 500, 0), STORE_OK);
    assert_int_equal(store_prepare(store),
                     STORE_MORE); /* one was used: another is begun */
    store_close(store);
}

static bool is_there(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

static void put_file(const char *path, const char *content)
{
    FILE *f = fopen(path, "w");

    fputs(content, f);
    fclose(f);
}

static void half_made_files_are_removed_at_open(void **state)
{
    char half[128], spare[128];

    (void)state;
    snprintf(half, sizeof(half), "%s/spare-7.tmp", dir);
    snprintf(spare, sizeof(spare), "%s/spare-8.mdb", dir);
    put_file(half, "half");
    put_file(spare, "not a segment");
    store_close(must_open());
    assert_false(is_there(half));
    assert_false(is_there(spare));
}

/* The file was renamed into place, and then the power went: no block is in it. */
static void empty_tail_is_gone_on_with(void **state)
{
    char from[128], to[128];
    struct store *store = must_open();

    (void)state;
    while (store_prepare(store) == STORE_MORE)
        ;
    append(store, 500, 0);
    append(store, 500, 0);
    store_close(store);
    snprintf(from, sizeof(from), "%s/spare-1.mdb", dir);
    snprintf(to, sizeof(to), "%s/00000000000000000003.mdb", dir);
    assert_int_equal(rename(from, to), 0);
    store = must_open();
    assert_int_equal(append(store, 500, 0), STORE_OK);
    assert_int_equal(store_read(store, 2, &out), STORE_OK);
    assert_int_equal(store_read(store, 3, &out), STORE_OK);
    assert_int_equal(store_segments(store, NULL, 0), 2);
    store_close(store);
}

/* --- no room --- */

static void no_room_for_a_segment_is_full_and_passes(void **state)
{
    struct rlimit before, small;
    struct log_head head;

    (void)state;
    struct store *store = must_open();
    signal(SIGXFSZ, SIG_IGN);
    append(store, 500, 0);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){8 * MIB, before.rlim_max};
    struct chain last = chain;
    setrlimit(RLIMIT_FSIZE,
              &small); /* nothing can be written beyond the first 8 MiB of any file */
    int prepared = store_prepare(store),
        appended = append(store, 500, BLOCK_OPENS_SEGMENT);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(prepared, STORE_FULL);
    assert_int_equal(appended, STORE_FULL);
    assert_non_null(strstr(store_error(store), "spare-"));
    store_head(store, &head);
    assert_int_equal(head.number, last.number);
    chain = last;
    assert_int_equal(append(store, 500, BLOCK_OPENS_SEGMENT), STORE_OK);
    store_close(store);
}

static void removed_file_is_fatal_and_stays_so(void **state)
{
    (void)state;
    struct store *store = must_open();
    append(store, 500, 0);
    unlink(first_path);
    assert_int_equal(append(store, 500, 0), STORE_FAILED);
    assert_non_null(strstr(store_error(store), "removed"));
    assert_int_equal(append(store, 500, 0), STORE_FAILED);
    assert_non_null(strstr(store_error(store), "opened again"));
    store_close(store);
}

static void replaced_directory_is_noticed(void **state)
{
    char moved[128];

    (void)state;
    struct store *store = must_open();
    snprintf(moved, sizeof(moved), "%s-moved", dir);
    rename(dir, moved);
    mkdir(dir, 0700);
    assert_int_equal(store_prepare(store), STORE_FAILED);
    assert_non_null(strstr(store_error(store), "replaced"));
    store_close(store);
    rmdir(dir);
    rename(moved, dir);
}

/* --- damage --- */

static void change_byte(const char *path, long offset, uint8_t flip)
{
    int fd = open(path, O_RDWR);
    uint8_t byte;

    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte ^= flip;
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

/* The offset of the first place where these bytes stand. */
static long find_bytes(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "r");
    uint8_t *all = malloc(16 * MIB);
    size_t len = fread(all, 1, 16 * MIB, f);
    uint8_t *at = memmem(all, len, bytes, n);
    long offset = at ? at - all : -1;

    fclose(f);
    free(all);
    return offset;
}

/* A log whose second block has a wrong bit in its data. */
static void write_with_damaged_second(unsigned n)
{
    struct chain copy = chain;

    write_blocks(n, 9000);
    free(chain_next(&copy, 9000, 0));
    struct block *second = chain_next(&copy, 9000, 0);
    change_byte(first_path, find_bytes(first_path, second, 64) + 3000, 4);
    free(second);
}

static void damaged_block_is_refused_at_open_by_name_and_reason(void **state)
{
    (void)state;
    write_with_damaged_second(3);
    assert_null(try_open());
    assert_non_null(strstr(error, first_path));
    assert_non_null(strstr(error, "block 2"));
    assert_non_null(strstr(error, "checksum"));
}

struct seen {
    unsigned good, bad;
    uint64_t bad_number;
    char why[256];
};

static bool see(void *user, uint64_t number, const struct block *block, const char *why)
{
    struct seen *seen = user;

    if (block) {
        seen->good++;
        return true;
    }
    seen->bad++;
    seen->bad_number = number;
    snprintf(seen->why, sizeof(seen->why), "%s", why);
    return true;
}

static void scan_reports_damage_and_goes_on_behind_it(void **state)
{
    struct seen seen = {0}, back = {0};

    (void)state;
    write_with_damaged_second(5);
    struct store *store = store_open_reader(dir, error, sizeof(error));
    store_scan(store, 1, true, see, &seen);
    assert_int_equal(seen.good, 4);
    assert_int_equal(seen.bad, 1);
    assert_int_equal(seen.bad_number, 2);
    assert_non_null(strstr(seen.why, "block 2"));
    store_scan_back(store, 5, true, see, &back);
    assert_int_equal(back.good, 4);
    assert_int_equal(back.bad_number, 2);
    assert_int_equal(store_read(store, 2, &out), STORE_DAMAGED);
    assert_int_equal(store_read(store, 3, &out), STORE_OK);
    store_close(store);
}

/* Three blocks in two files, in the directory or one below it. */
static void write_two_segments(const char *where, size_t size)
{
    char kept[64];

    strcpy(kept, dir);
    snprintf(dir, sizeof(dir), "%s%s", kept, where);
    chain = (struct chain){.term = 1, .timestamp_us = 1000000};
    struct store *store = must_open();
    append(store, size, 0);
    append(store, size, 0);
    append(store, size, BLOCK_OPENS_SEGMENT);
    store_close(store);
    strcpy(dir, kept);
}

static void segment_of_another_log_breaks_the_chain(void **state)
{
    char command[300];

    (void)state;
    write_two_segments("", 500);
    write_two_segments("/o", 700);
    snprintf(command, sizeof(command), "mv %s/o/00000000000000000003.mdb %s/", dir, dir);
    assert_int_equal(system(command), 0);
    assert_null(try_open());
    assert_non_null(strstr(error, "00000000000000000003.mdb, block 3"));
    assert_non_null(strstr(error, "chain"));
}

static void missing_segment_is_reported(void **state)
{
    struct store *store = must_open();
    struct seen seen = {0};
    char path[128];

    (void)state;
    for (int i = 0; i < 4; i++)
        append(store, 500, BLOCK_OPENS_SEGMENT);
    store_close(store);
    snprintf(path, sizeof(path), "%s/00000000000000000003.mdb", dir);
    unlink(path);
    assert_null(try_open());
    assert_non_null(strstr(error, "block 3"));
    assert_non_null(strstr(error, "missing"));
    store = store_open_reader(dir, error, sizeof(error));
    store_scan(store, 1, true, see, &seen);
    assert_int_equal(seen.good, 3);
    assert_int_equal(seen.bad, 1);
    store_close(store);
}

/* In a process of its own, for a signal would be the end: what a reader and a writer do
 * with a file that may be damaged. 0: everything was served as it was written; 1: damage
 * was reported; more: altered or missing data was served. */
static int try_damaged(unsigned blocks)
{
    struct chain copy = {.term = 1, .timestamp_us = 1000000};
    struct seen seen = {0};
    bool is_reported = false;

    struct store *store = store_open_reader(dir, error, sizeof(error));
    for (unsigned n = 1; n <= blocks; n++) {
        struct block *b = chain_next(&copy, n % 3 ? 700 : 9000, 0);
        int rc = store_read(store, n, &out);
        if (rc == STORE_OK && (out.len != b->len || memcmp(out.bytes, b, b->len) != 0))
            return 4;
        is_reported |= rc == STORE_DAMAGED;
        if (rc == STORE_NOT_FOUND && !is_reported)
            return 5;
        free(b);
    }
    store_scan(store, 1, true, see, &seen);
    store_scan_back(store, UINT64_MAX, true, see, &seen);
    store_close(store);
    store = try_open();
    is_reported |= !store;
    store_close(store);
    return is_reported;
}

static int in_a_process(unsigned blocks)
{
    int status;

    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(try_damaged(blocks));
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Small blocks within tree pages and large ones on pages of their own. */
static unsigned write_mixed(unsigned n)
{
    struct store *store = must_open();

    for (unsigned i = 1; i <= n; i++)
        assert_int_equal(append(store, i % 3 ? 700 : 9000, 0), STORE_OK);
    store_close(store);
    return n;
}

/* Up to the last page that is not all zeros. */
static long used_bytes(void)
{
    int fd = open(first_path, O_RDONLY);
    uint8_t page[PAGE];
    long used = 0;

    for (long at = 0; pread(fd, page, PAGE, at) == PAGE; at += PAGE)
        for (int i = 0; i < PAGE; i++)
            if (page[i])
                used = at + PAGE;
    close(fd);
    return used;
}

static void flipped_bits_are_reported_or_harmless(void **state)
{
    unsigned blocks = write_mixed(60), reported = 0;
    long used = used_bytes();

    (void)state;
    srand(42);
    for (int i = 0; i < FLIPS; i++) {
        /* Half of them in the meta pages and the heads of pages, where LMDB keeps what it
         * trusts. */
        long offset = i % 4 == 0   ? rand() % 168
                      : i % 4 == 1 ? PAGE + rand() % 168
                      : i % 4 == 2 ? rand() % (used / PAGE) * PAGE + rand() % 64
                                   : rand() % used;
        uint8_t bit = (uint8_t)(1 << rand() % 8);
        change_byte(first_path, offset, bit);
        int result = in_a_process(blocks);
        if (result > 1)
            fail_msg("bit %d of byte %ld: %d", bit, offset, result);
        reported += result == 1;
        change_byte(first_path, offset, bit);
    }
    assert_int_equal(in_a_process(blocks), 0);
    assert_true(reported > FLIPS / 4);
}

static void file_cut_at_any_page_is_reported(void **state)
{
    unsigned blocks = write_mixed(30);
    char command[300];

    (void)state;
    snprintf(command, sizeof(command), "cp %s %s.kept", first_path, first_path);
    assert_int_equal(system(command), 0);
    for (long at = used_bytes() - PAGE; at >= 0; at -= PAGE) {
        assert_int_equal(truncate(first_path, at), 0);
        int result = in_a_process(blocks);
        if (result != 1)
            fail_msg("cut at %ld: %d", at, result);
    }
    snprintf(command, sizeof(command), "cp %s.kept %s", first_path, first_path);
    assert_int_equal(system(command), 0);
    assert_int_equal(truncate(first_path, used_bytes()), 0); /* only zeros are lost */
    assert_int_equal(in_a_process(blocks), 0);
}

static void foreign_or_empty_file_is_refused(void **state)
{
    (void)state;
    write_mixed(3);
    for (int kind = 0; kind < 3; kind++) {
        FILE *f = fopen(first_path, "w");
        for (int i = 0; i < 3 * PAGE && kind; i++)
            fputc(kind == 1 ? 0 : 'x', f);
        fclose(f);
        assert_null(try_open());
        assert_non_null(strstr(error, first_path));
    }
}

static void file_cut_under_a_reader_is_reported(void **state)
{
    (void)state;
    write_mixed(30);
    struct store *store = store_open_reader(dir, error, sizeof(error));
    assert_int_equal(store_read(store, 30, &out), STORE_OK);
    assert_int_equal(truncate(first_path, 10 * PAGE), 0);
    assert_int_equal(store_read(store, 30, &out), STORE_DAMAGED);
    assert_int_equal(truncate(first_path, 0), 0);
    assert_int_equal(store_read(store, 1, &out), STORE_DAMAGED);
    store_close(store);
}

/* --- readers in other processes --- */

/* `asks`: it asks for the head before it reads on; it finds a new segment either way. */
static void see_later(bool asks)
{
    struct log_head head;
    int to_child[2], to_parent[2];
    char byte = 0;

    assert_int_equal(pipe(to_child) | pipe(to_parent), 0);
    pid_t pid = fork();
    if (pid ==
        0) { /* LMDB: an environment is opened once in a process, and not before a fork */
        bool ok = read(to_child[0], &byte, 1) == 1;
        struct store *store = store_open_reader(dir, error, sizeof(error));
        store_head(store, &head);
        ok = ok && head.number == 2 && store_read(store, 3, &out) == STORE_NOT_FOUND;
        ok = ok && write(to_parent[1], "x", 1) == 1 && read(to_child[0], &byte, 1) == 1;
        if (asks)
            store_head(store, &head);
        ok =
            ok && head.number == (asks ? 4 : 2) && store_read(store, 4, &out) == STORE_OK;
        store_close(store);
        _exit(ok ? 0 : 1);
    }
    struct store *store = must_open();
    append(store, 500, 0);
    append(store, 500, 0);
    assert_int_equal(write(to_child[1], "x", 1), 1);
    assert_int_equal(read(to_parent[0], &byte, 1), 1);
    append(store, 500, 0);
    append(store, 500, BLOCK_OPENS_SEGMENT);
    assert_int_equal(write(to_child[1], "x", 1), 1);
    int status;
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    store_close(store);
}

static void reader_sees_what_comes_after_it_opened(void **state)
{
    (void)state;
    see_later(/* asks= */ true);
}

static void reader_finds_a_segment_that_it_was_not_told_of(void **state)
{
    (void)state;
    see_later(/* asks= */ false);
}

static void missing_directory_is_named(void **state)
{
    (void)state;
    assert_null(store_open_reader("/nonexistent/log", error, sizeof(error)));
    assert_non_null(strstr(error, "/nonexistent/log"));
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest claims[] = {
        CLAIM(reopened_store_goes_on_behind_its_head),
        CLAIM(second_writer_is_refused),
        CLAIM(too_small_a_segment_is_refused),
        CLAIM(spares_outlive_a_restart),
        CLAIM(half_made_files_are_removed_at_open),
        CLAIM(empty_tail_is_gone_on_with),
        CLAIM(no_room_for_a_segment_is_full_and_passes),
        CLAIM(removed_file_is_fatal_and_stays_so),
        CLAIM(replaced_directory_is_noticed),
        CLAIM(damaged_block_is_refused_at_open_by_name_and_reason),
        CLAIM(scan_reports_damage_and_goes_on_behind_it),
        CLAIM(segment_of_another_log_breaks_the_chain),
        CLAIM(missing_segment_is_reported),
        CLAIM(flipped_bits_are_reported_or_harmless),
        CLAIM(file_cut_at_any_page_is_reported),
        CLAIM(foreign_or_empty_file_is_refused),
        CLAIM(file_cut_under_a_reader_is_reported),
        CLAIM(reader_sees_what_comes_after_it_opened),
        CLAIM(reader_finds_a_segment_that_it_was_not_told_of),
        CLAIM(missing_directory_is_named),
    };

    return cmocka_run_group_tests(claims, NULL, NULL);
}
