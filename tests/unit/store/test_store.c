/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The same claims of both stores: on LMDB and in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/store/store.h"
#include "tests/unit/store/chain.h"

enum { MIB = 1 << 20 };

static bool in_memory;
static char dir[64], error[512];
static struct store *store;
static struct chain chain;
static struct buf out;

static struct store_options options(void)
{
    return (struct store_options){
        .dir = dir, .segment_size = 16 * MIB, .memory = in_memory};
}

static int set_up(void **state)
{
    struct store_options with = options();

    (void)state;
    strcpy(dir, "/tmp/store-XXXXXX");
    assert_non_null(mkdtemp(dir));
    chain = (struct chain){.term = 1, .timestamp_us = 1000000};
    store = store_open(&with, error, sizeof(error));
    return store ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    store_close(store);
    store = NULL;
    buf_fini(&out);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

/* Append `n` blocks of `size` bytes in one call. */
static int append(size_t n, size_t size, uint32_t flags)
{
    struct block **blocks = calloc(n, sizeof(*blocks));
    struct chain before = chain;

    for (size_t i = 0; i < n; i++)
        blocks[i] = chain_next(&chain, size, i ? 0 : flags);
    int rc = store_append(store, (const struct block *const *)blocks, n);
    if (rc)
        chain = before;
    for (size_t i = 0; i < n; i++)
        free(blocks[i]);
    free(blocks);
    return rc;
}

static int append_one(struct block *block)
{
    const struct block *list[] = {block};
    int rc = store_append(store, list, 1);

    free(block);
    return rc;
}

static struct log_head head(void)
{
    struct log_head h;

    store_head(store, &h);
    return h;
}

/* --- appending and reading --- */

static void empty_store_has_no_range(void **state)
{
    uint64_t first = 7, last = 7;

    (void)state;
    store_range(store, &first, &last);
    assert_int_equal(first, 0);
    assert_int_equal(last, 0);
    assert_int_equal(head().number, 0);
    assert_int_equal(store_read(store, 1, &out), STORE_NOT_FOUND);
    assert_int_equal(store_find_time(store, 5), 1);
    assert_int_equal(store_find_checkpoint(store), 0);
}

static void appended_blocks_are_read_back_byte_for_byte(void **state)
{
    struct chain copy = chain;

    (void)state;
    assert_int_equal(append(3, 400, 0), STORE_OK);
    assert_int_equal(append(1, 300000, 0), STORE_OK);
    for (uint64_t n = 1; n <= 4; n++) {
        struct block *b = chain_next(&copy, n < 4 ? 400 : 300000, 0);
        assert_int_equal(store_read(store, n, &out), STORE_OK);
        assert_int_equal(out.len, b->len);
        assert_memory_equal(out.bytes, b, b->len);
        free(b);
    }
    assert_int_equal(head().number, 4);
    assert_int_equal(head().crc, chain.crc);
    assert_int_equal(store_read(store, 5, &out), STORE_NOT_FOUND);
}

static void largest_block_fits_an_empty_segment(void **state)
{
    (void)state;
    assert_int_equal(append(1, BLOCK_SIZE_MAX - 1024, 0), STORE_OK);
    assert_int_equal(store_read(store, 1, &out), STORE_OK);
}

/* --- what does not follow --- */

static void gap_is_foreign(void **state)
{
    (void)state;
    append(2, 300, 0);
    chain.number++;
    assert_int_equal(append(1, 300, 0), STORE_FOREIGN);
    assert_non_null(strstr(store_error(store), "not the next"));
}

static void other_predecessor_is_foreign(void **state)
{
    (void)state;
    append(2, 300, 0);
    chain.crc ^= 1;
    assert_int_equal(append(1, 300, 0), STORE_FOREIGN);
    chain.crc ^= 1;
    assert_int_equal(append(1, 300, 0), STORE_OK);
}

static void time_never_goes_back(void **state)
{
    (void)state;
    append(2, 300, 0);
    chain.timestamp_us -= 5000;
    assert_int_equal(append(1, 300, 0), STORE_FOREIGN);
}

static void same_block_again_is_counted_as_done(void **state)
{
    (void)state;
    append(2, 300, 0);
    struct chain before = chain;
    append(2, 300, 0);
    uint64_t number = head().number;
    chain = before; /* the same two again, and a new one behind them */
    assert_int_equal(append(3, 300, 0), STORE_OK);
    assert_int_equal(head().number, number + 1);
}

static void other_block_under_an_old_number_is_foreign(void **state)
{
    (void)state;
    append(2, 300, 0);
    struct chain before = chain;
    append(1, 300, 0);
    chain = before;
    assert_int_equal(append(1, 999, 0), STORE_FOREIGN);
    assert_int_equal(head().number, 3);
}

static void bad_batch_leaves_nothing_behind(void **state)
{
    struct chain other = chain;
    const struct block *list[2];

    (void)state;
    struct block *good = chain_next(&other, 300, 0);
    other.number = 9;
    struct block *bad = chain_next(&other, 300, 0);
    list[0] = good;
    list[1] = bad;
    assert_int_equal(store_append(store, list, 2), STORE_FOREIGN);
    assert_int_equal(head().number, 0);
    assert_int_equal(store_read(store, 1, &out), STORE_NOT_FOUND);
    free(good);
    free(bad);
}

static void older_term_is_stale(void **state)
{
    (void)state;
    chain.term = 5;
    append(1, 300, 0);
    assert_int_equal(store_fence(store, 4), STORE_STALE);
    assert_int_equal(store_fence(store, 6), STORE_OK);
    assert_int_equal(head().term, 6);
    assert_int_equal(append(1, 300, 0), STORE_STALE);
    chain.term = 6;
    assert_int_equal(append(1, 300, 0), STORE_OK);
}

static void committed_block_of_an_older_term_may_come_again(void **state)
{
    (void)state;
    struct chain before = chain;
    append(1, 300, 0);
    store_fence(store, 9);
    chain = before;
    assert_int_equal(append(1, 300, 0), STORE_OK);
}

/* --- segments --- */

static void block_may_open_a_segment(void **state)
{
    struct store_segment list[4];

    (void)state;
    append(1, 300, BLOCK_OPENS_SEGMENT);
    append(2, 300, 0);
    append(1, 300, BLOCK_OPENS_SEGMENT);
    assert_int_equal(store_segments(store, list, 4), 2);
    assert_int_equal(list[0].first, 1);
    assert_int_equal(list[0].last, 3);
    assert_int_equal(list[1].first, 4);
    assert_int_equal(list[1].last, 4);
    assert_int_equal(store_read(store, 3, &out), STORE_OK);
    assert_int_equal(store_read(store, 4, &out), STORE_OK);
}

static void full_segment_goes_on_in_the_next(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) /* one call that spans two files is among them */
        assert_int_equal(append(3, 3 * MIB, 0), STORE_OK);
    assert_int_equal(store_segments(store, NULL, 0), 2);
    for (uint64_t n = 1; n <= 9; n++)
        assert_int_equal(store_read(store, n, &out), STORE_OK);
}

static void room_shrinks_as_it_is_used(void **state)
{
    (void)state;
    append(1, 300, 0);
    uint64_t before = head().segment_room;
    append(1, MIB, 0);
    uint64_t after = head().segment_room;
    assert_true(before - after >= MIB - 4096);
    assert_true(before - after < MIB + 65536);
}

static void trim_drops_whole_segments_only(void **state)
{
    uint64_t first, last;

    (void)state;
    append(2, 300, 0);
    append(2, 300, BLOCK_OPENS_SEGMENT);
    append(2, 300, BLOCK_OPENS_SEGMENT);
    assert_int_equal(store_trim(store, 2), 0);
    assert_int_equal(store_trim(store, 4), 1);
    store_range(store, &first, &last);
    assert_int_equal(first, 3);
    assert_int_equal(last, 6);
    assert_int_equal(store_read(store, 2, &out), STORE_NOT_FOUND);
    assert_int_equal(store_read(store, 3, &out), STORE_OK);
}

static void trim_keeps_the_segment_of_the_head(void **state)
{
    (void)state;
    append(2, 300, 0);
    append(2, 300, BLOCK_OPENS_SEGMENT);
    assert_int_equal(store_trim(store, 1000), 1);
    assert_int_equal(head().number, 4);
    assert_int_equal(append(1, 300, 0), STORE_OK);
}

static void is_full_when_less_than_the_reserve_is_left(void **state)
{
    struct store_options with = options();

    (void)state;
    store_close(store);
    with.reserve_bytes = UINT64_MAX;
    store = store_open(&with, error, sizeof(error));
    assert_true(head().is_full);
    assert_int_equal(append(1, 300, 0), STORE_OK); /* still taken: outcomes must fit */
}

/* --- searching --- */

struct seen {
    uint64_t numbers[64];
    size_t n, stop_after;
};

static bool see(void *user, uint64_t number, const struct block *block, const char *why)
{
    struct seen *seen = user;

    assert_non_null(block);
    assert_null(why);
    assert_int_equal(block->number, number);
    seen->numbers[seen->n++] = number;
    return seen->n != seen->stop_after;
}

static void scan_goes_from_there_to_the_end(void **state)
{
    struct seen seen = {.n = 0};

    (void)state;
    append(3, 300, 0);
    append(3, 300, BLOCK_OPENS_SEGMENT);
    store_scan(store, 2, true, see, &seen);
    assert_int_equal(seen.n, 5);
    assert_int_equal(seen.numbers[0], 2);
    assert_int_equal(seen.numbers[4], 6);
    seen = (struct seen){.stop_after = 2};
    store_scan(store, 0, false, see, &seen);
    assert_int_equal(seen.n, 2);
    assert_int_equal(seen.numbers[0], 1);
}

static void scan_back_goes_to_the_first(void **state)
{
    struct seen seen = {.n = 0};

    (void)state;
    append(3, 300, 0);
    append(3, 300, BLOCK_OPENS_SEGMENT);
    store_scan_back(store, UINT64_MAX, true, see, &seen);
    assert_int_equal(seen.n, 6);
    assert_int_equal(seen.numbers[0], 6);
    assert_int_equal(seen.numbers[5], 1);
    seen = (struct seen){.stop_after = 1};
    store_scan_back(store, 4, true, see, &seen);
    assert_int_equal(seen.numbers[0], 4);
}

static void time_is_found_at_its_first_block(void **state)
{
    (void)state;
    append(4, 300, 0); /* 1001000, 1002000, 1003000, 1004000 */
    append(4, 300, BLOCK_OPENS_SEGMENT);
    assert_int_equal(store_find_time(store, 0), 1);
    assert_int_equal(store_find_time(store, 1003000), 3);
    assert_int_equal(store_find_time(store, 1003001), 4);
    assert_int_equal(store_find_time(store, 1006000), 6);
    assert_int_equal(store_find_time(store, 9999999), 9);
}

static void newest_checkpoint_is_found(void **state)
{
    (void)state;
    append(2, 300, 0);
    assert_int_equal(store_find_checkpoint(store), 1);
    append(2, 300, BLOCK_OPENS_SEGMENT | BLOCK_CHECKPOINT);
    assert_int_equal(store_find_checkpoint(store), 3);
    append(2, 300, BLOCK_CHECKPOINT);
    append(2, 300, BLOCK_OPENS_SEGMENT);
    assert_int_equal(store_find_checkpoint(store), 5);
}

static void prepare_makes_room(void **state)
{
    int rc;

    (void)state;
    while ((rc = store_prepare(store)) == STORE_MORE)
        ;
    assert_int_equal(rc, STORE_OK);
    assert_true(head().spare_bytes >= 32 * MIB);
    assert_int_equal(append_one(chain_next(&chain, 300, 0)), STORE_OK);
}

/* --- the twin's own bound --- */

static void full_memory_refuses_politely(void **state)
{
    int rc = STORE_OK, n = 0;

    (void)state;
    if (!in_memory)
        return;
    for (; rc == STORE_OK && n < 100; n++)
        rc = append(1, 3 * MIB, 0);
    assert_int_equal(rc, STORE_FULL);
    assert_int_equal(head().number, n - 1);
    assert_int_equal(store_trim(store, head().number), 3);
    assert_int_equal(append(1, 3 * MIB, 0), STORE_OK);
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest claims[] = {
        CLAIM(empty_store_has_no_range),
        CLAIM(appended_blocks_are_read_back_byte_for_byte),
        CLAIM(largest_block_fits_an_empty_segment),
        CLAIM(gap_is_foreign),
        CLAIM(other_predecessor_is_foreign),
        CLAIM(time_never_goes_back),
        CLAIM(same_block_again_is_counted_as_done),
        CLAIM(other_block_under_an_old_number_is_foreign),
        CLAIM(bad_batch_leaves_nothing_behind),
        CLAIM(older_term_is_stale),
        CLAIM(committed_block_of_an_older_term_may_come_again),
        CLAIM(block_may_open_a_segment),
        CLAIM(full_segment_goes_on_in_the_next),
        CLAIM(room_shrinks_as_it_is_used),
        CLAIM(trim_drops_whole_segments_only),
        CLAIM(trim_keeps_the_segment_of_the_head),
        CLAIM(is_full_when_less_than_the_reserve_is_left),
        CLAIM(scan_goes_from_there_to_the_end),
        CLAIM(scan_back_goes_to_the_first),
        CLAIM(time_is_found_at_its_first_block),
        CLAIM(newest_checkpoint_is_found),
        CLAIM(prepare_makes_room),
        CLAIM(full_memory_refuses_politely),
    };

    in_memory = true;
    int failed = cmocka_run_group_tests_name("memory", claims, NULL, NULL);
    in_memory = false;
    return failed + cmocka_run_group_tests_name("lmdb", claims, NULL, NULL);
}
