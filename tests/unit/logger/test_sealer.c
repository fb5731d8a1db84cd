/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/ledger/seal.h"
#include "lib/store/store.h"
#include "logger/sealer.h"
#include "tests/unit/store/chain.h"

enum { MIB = 1 << 20 };

static char dir[64], error[256];
static struct store *store;
static struct chain chain;

static int setup(void **state)
{
    const struct store_options options = {.dir = dir, .segment_size = 16 * MIB};

    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/test_sealer.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    store = store_open(&options, error, sizeof(error));
    chain = (struct chain){.term = 1};
    return store ? 0 : -1;
}

static int teardown(void **state)
{
    _free_ char *command = mem_format("rm -r %s", dir);

    (void)state;
    store_close(store);
    return system(command);
}

/* A segment of `n` blocks. */
static void segment(unsigned n, size_t size)
{
    for (unsigned i = 0; i < n; i++) {
        struct block *block = chain_next(&chain, size, i ? 0 : BLOCK_OPENS_SEGMENT);
        const struct block *list[] = {block};
        assert_int_equal(store_append(store, list, 1), STORE_OK);
        free(block);
    }
}

/* Run one until it is done; how many steps it took, how far it came. */
static unsigned seal_all(uint64_t *ret_done)
{
    struct sealer *sealer = sealer_new(store, dir);
    unsigned steps = 1;

    while (sealer_step(sealer))
        steps++;
    *ret_done = sealer_done(sealer);
    sealer_free(sealer);
    return steps;
}

static void expect_lines(const uint64_t *blocks, size_t n)
{
    struct seals seals;

    assert_int_equal(seals_read(dir, &seals, error, sizeof(error)), 0);
    assert_int_equal(seals.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(seals.list[i].block, blocks[i]);
    seals_fini(&seals);
}

static void complete_segments_have_a_line_and_the_open_one_none(void **state)
{
    uint64_t done;

    (void)state;
    segment(3, 500);
    seal_all(&done);
    assert_int_equal(done, 0);
    segment(2, 500);
    segment(1, 500);
    seal_all(&done);
    assert_int_equal(done, 5);
    expect_lines((uint64_t[]){3, 5}, 2);
    segment(4, 500);
    seal_all(&done); /* another one goes on where the first stopped */
    expect_lines((uint64_t[]){3, 5, 6}, 3);
}

static void the_chain_is_the_same_in_one_go_and_in_pieces(void **state)
{
    struct seals pieces, whole;
    _free_ char *path = mem_format("%s/seals", dir);
    uint64_t done;

    (void)state;
    segment(2, 500);
    segment(2, 500);
    seal_all(&done);
    segment(2, 500);
    seal_all(&done);
    assert_int_equal(seals_read(dir, &pieces, error, sizeof(error)), 0);
    unlink(path);
    seal_all(&done);
    assert_int_equal(seals_read(dir, &whole, error, sizeof(error)), 0);
    assert_int_equal(whole.n, 2);
    assert_memory_equal(whole.list, pieces.list, 2 * sizeof(*whole.list));
    seals_fini(&pieces);
    seals_fini(&whole);
}

static void a_large_segment_takes_many_steps(void **state)
{
    uint64_t done;

    (void)state;
    segment(3, 3 * MIB);
    segment(1, 500);
    assert_true(seal_all(&done) >= 3);
    assert_int_equal(done, 3);
}

static void a_log_that_begins_later_says_from_where(void **state)
{
    uint64_t done;

    (void)state;
    segment(2, 500);
    segment(2, 500);
    segment(1, 500);
    assert_int_equal(store_trim(store, 3), 1); /* before anything was sealed */
    seal_all(&done);
    expect_lines((uint64_t[]){2, 4}, 2);
}

static void what_cannot_be_sealed_does_not_hold_back_retention(void **state)
{
    _free_ char *path = mem_format("%s/seals", dir);
    uint64_t done;

    (void)state;
    segment(2, 500);
    segment(2, 500);
    segment(1, 500);
    FILE *f = fopen(path, "w");
    fputs("nonsense\n", f);
    fclose(f);
    assert_int_equal(seal_all(&done), 1);
    assert_true(done > 1000);
    unlink(path);
    struct seal other = {.block = 99};
    assert_int_equal(seals_add(dir, &other, error, sizeof(error)), 0);
    seal_all(&done); /* those of a longer log */
    assert_true(done > 1000);
    expect_lines((uint64_t[]){99}, 1);
    unlink(path);
    struct seal first = {.block = 2};
    assert_int_equal(seals_add(dir, &first, error, sizeof(error)), 0);
    assert_int_equal(store_trim(store, 5), 2); /* removed by hand, unsealed */
    segment(1, 500);
    seal_all(&done);
    assert_true(done > 1000);
}

#define claim(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(complete_segments_have_a_line_and_the_open_one_none),
        claim(the_chain_is_the_same_in_one_go_and_in_pieces),
        claim(a_large_segment_takes_many_steps),
        claim(a_log_that_begins_later_says_from_where),
        claim(what_cannot_be_sealed_does_not_hold_back_retention),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
