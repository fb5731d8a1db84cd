/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/ledger/seal.h"
#include "lib/store/store.h"
#include "lib/store/views.h"
#include "logger/housekeeper.h"
#include "tests/unit/store/chain.h"

static const struct retention forever = {0};

enum { MIB = 1 << 20 };

static char dir[64], error[512];
static struct store *store;
static struct chain chain;

static int set_up(void **state)
{
    const struct store_options options = {.dir = dir, .segment_size = 16 * MIB};

    (void)state;
    strcpy(dir, "/tmp/house-XXXXXX");
    assert_non_null(mkdtemp(dir));
    chain = (struct chain){.term = 1, .timestamp_us = 1000};
    store = store_open(&options, error, sizeof(error));
    return store ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    store_close(store);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void append(unsigned n)
{
    while (n--) {
        struct block *block = chain_next(&chain, 500, 0);
        const struct block *list[] = {block};
        assert_int_equal(store_append(store, list, 1), STORE_OK);
        free(block);
    }
}

static uint64_t applied(void)
{
    struct views *views = views_open(dir, /* read_only= */ true, error, sizeof(error));
    uint64_t number = views ? views_applied(views) : 0;

    views_close(views);
    return number;
}

static void files_are_written_ahead(void **state)
{
    char path[128];
    bool is_there = false;

    (void)state;
    snprintf(path, sizeof(path), "%s/spare-1.mdb", dir);
    struct housekeeper *h = housekeeper_start(store, dir, &forever);
    for (int i = 0; i < 1000 && !is_there; i++) {
        usleep(5000);
        is_there = access(path, F_OK) == 0;
    }
    housekeeper_stop(h);
    assert_true(is_there);
}

static void views_follow_the_log(void **state)
{
    (void)state;
    append(3);
    struct housekeeper *h = housekeeper_start(store, dir, &forever);
    append(4);
    housekeeper_poke(h);
    housekeeper_stop(h);
    assert_int_equal(applied(), 7);
}

static void views_that_lag_catch_up_at_the_next_start(void **state)
{
    (void)state;
    append(3);
    housekeeper_stop(housekeeper_start(store, dir, &forever));
    assert_int_equal(applied(), 3);
    append(5);
    housekeeper_stop(housekeeper_start(store, dir, &forever));
    assert_int_equal(applied(), 8);
}

static void views_of_another_log_are_built_anew(void **state)
{
    char command[256];

    (void)state;
    append(6);
    housekeeper_stop(housekeeper_start(store, dir, &forever));
    store_close(store);
    snprintf(command, sizeof(command), "rm -f %s/0*.mdb* %s/spare*", dir, dir);
    assert_int_equal(system(command), 0);
    const struct store_options options = {.dir = dir, .segment_size = 16 * MIB};
    store = store_open(&options, error, sizeof(error));
    chain = (struct chain){.term = 1, .timestamp_us = 5000};
    append(4);
    housekeeper_stop(housekeeper_start(store, dir, &forever));
    assert_int_equal(applied(), 4);
}

static void removed_views_are_built_anew(void **state)
{
    char command[128];

    (void)state;
    append(4);
    housekeeper_stop(housekeeper_start(store, dir, &forever));
    snprintf(command, sizeof(command), "rm -f %s/views.mdb*", dir);
    assert_int_equal(system(command), 0);
    housekeeper_stop(housekeeper_start(store, dir, &forever));
    assert_int_equal(applied(), 4);
}

/* Three segments of two blocks each, all long expired. */
static uint64_t first_block_after(uint64_t keep_from)
{
    const struct retention at_once = {.age_us = 1};
    uint64_t first = 0, last;

    for (int i = 0; i < 3; i++) {
        struct block *block = chain_next(&chain, 500, BLOCK_OPENS_SEGMENT);
        const struct block *list[] = {block};
        assert_int_equal(store_append(store, list, 1), STORE_OK);
        free(block);
        append(1);
    }
    struct housekeeper *h = housekeeper_start(store, dir, &at_once);
    if (keep_from)
        housekeeper_keep(h, keep_from);
    for (int i = 0; i < 100 && first != keep_from; i++) {
        usleep(5000);
        store_range(store, &first, &last);
    }
    housekeeper_stop(h);
    store_range(store, &first, &last);
    return first;
}

static void complete_segments_are_sealed_before_they_go(void **state)
{
    struct seals seals;

    (void)state;
    assert_int_equal(first_block_after(3), 3);
    assert_int_equal(seals_read(dir, &seals, error, sizeof(error)), 0);
    assert_true(seals.n >= 1);
    assert_int_equal(seals.list[0].block, 2);
    seals_fini(&seals);
}

static void expired_segments_go(void **state)
{
    (void)state;
    assert_int_equal(first_block_after(5), 5);
}

static void a_segment_the_broker_needs_stays(void **state)
{
    (void)state;
    assert_int_equal(first_block_after(4), 3);
}

static void nothing_goes_until_the_broker_has_spoken(void **state)
{
    (void)state;
    assert_int_equal(first_block_after(0), 1);
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest claims[] = {
        CLAIM(files_are_written_ahead),
        CLAIM(views_follow_the_log),
        CLAIM(views_that_lag_catch_up_at_the_next_start),
        CLAIM(views_of_another_log_are_built_anew),
        CLAIM(removed_views_are_built_anew),
        CLAIM(complete_segments_are_sealed_before_they_go),
        CLAIM(expired_segments_go),
        CLAIM(a_segment_the_broker_needs_stays),
        CLAIM(nothing_goes_until_the_broker_has_spoken),
    };

    return cmocka_run_group_tests(claims, NULL, NULL);
}
