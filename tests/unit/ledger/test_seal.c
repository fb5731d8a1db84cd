/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/ledger/seal.h"
#include "lib/ledger/transfer.h"
#include "lib/store/store.h"
#include "proto/block.h"
#include "tests/unit/ledger/maker.h"

#define LINK "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static char dir[64];

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/test_seal.XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    _free_ char *command = mem_format("rm -r %s", dir);

    (void)state;
    return system(command);
}

/* --- the file of seals --- */

static void lines_are_strict(void **state)
{
    static const struct {
        const char *text, *why; /* why NULL: it is good, with n lines */
        size_t n;
    } cases[] = {
        {"", NULL, 0},
        {"7 " LINK "\n", NULL, 1},
        {"7 " LINK "\n9 " LINK "\n", NULL, 2},
        {"7 " LINK "\n9 " LINK, NULL, 1}, /* cut by a crash */
        {"7 " LINK "\n12", NULL, 1},
        {"7 " LINK "\n7 " LINK "\n", "line 2: expected a number that is larger", 0},
        {"0 " LINK "\n", "line 1: expected a number", 0},
        {"x " LINK "\n", "line 1: expected a number", 0},
        {"99999999999999999999 " LINK "\n", "line 1: the number is too large", 0},
        {"7  " LINK "\n", "line 1: expected 64 hexadecimal digits", 0},
        {"7 " LINK "0\n", "line 1: expected 64 hexadecimal digits", 0},
        {"7 g" LINK "\n", "line 1: expected 64 hexadecimal digits", 0},
        {"7 " LINK "\n\n", "line 2: expected a number", 0},
    };
    struct seals seals;
    char error[128];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int rc = seals_parse(cases[i].text, strlen(cases[i].text), &seals, error,
                             sizeof(error));
        assert_int_equal(rc, cases[i].why ? -1 : 0);
        assert_int_equal(seals.n, cases[i].n);
        if (cases[i].why && !strstr(error, cases[i].why))
            fail_msg("%s: %s", cases[i].text, error);
        seals_fini(&seals);
    }
}

static void a_line_that_was_cut_is_written_over(void **state)
{
    _free_ char *path = mem_format("%s/seals", dir);
    struct seal seal = {.block = 12, .link = {0xab}};
    struct seals seals;
    char error[256];

    (void)state;
    FILE *f = fopen(path, "w");
    fputs("7 " LINK "\n12 0123", f);
    fclose(f);
    assert_int_equal(seals_add(dir, &seal, error, sizeof(error)), 0);
    assert_int_equal(seals_read(dir, &seals, error, sizeof(error)), 0);
    assert_int_equal(seals.n, 2);
    assert_memory_equal(&seals.list[1], &seal, sizeof(seal));
    assert_ptr_equal(seals_find(&seals, 11), &seals.list[0]);
    assert_ptr_equal(seals_find(&seals, 12), &seals.list[1]);
    assert_null(seals_find(&seals, 6));
    seals_fini(&seals);
    assert_int_equal(seals_add("/nonexistent", &seal, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "/nonexistent/seals: No such file"));
}

/* --- what seals are for --- */

/* The same log but for one outcome: everything in it fits, all checksums too. */
static void make_log(const char *name, bool is_forged)
{
    _free_ char *path = mem_format("%s/%s", dir, name);
    _free_ char *command = mem_format("mkdir %s", path);

    assert_int_equal(system(command), 0);
    struct maker *m = maker_new_in(path);
    for (uint8_t n = 1; n <= 9; n++) {
        struct position at = maker_request(m, n, "a.b.requested", NULL, NULL);
        maker_outcome(m, (uint8_t)(100 + n), at, n,
                      is_forged && n == 5 ? CLASS_none : CLASS_permanent, "declined");
        maker_seal(m);
    }
    maker_free(m);
}

struct story {
    struct buf said;
    struct ledger_head head;
};

static void note(void *user, const char *finding)
{
    buf_format(user, "%s\n", finding);
}

static long verify(const char *name, const char *head, struct story *s)
{
    _free_ char *path = mem_format("%s/%s/log", dir, name);
    char error[256];
    struct ledger *ledger = ledger_open(path, error, sizeof(error));

    assert_non_null(ledger);
    buf_clear(&s->said);
    long n = ledger_verify(ledger, head, &s->head, note, &s->said);
    ledger_close(ledger);
    return n;
}

/* Seal blocks of a log as the logger would have, were they the last of segments. */
static void seal_log(const char *name, uint64_t a, uint64_t b)
{
    _free_ char *path = mem_format("%s/%s/log", dir, name);
    char error[256];
    struct seal seal = {0};
    struct buf bytes = BUF_NULL;
    struct store *store = store_open_reader(path, error, sizeof(error));

    for (uint64_t n = 1; n <= b; n++) {
        assert_int_equal(store_read(store, n, &bytes), STORE_OK);
        seal_next(&seal, (struct block *)(void *)bytes.bytes);
        if (n == a || n == b)
            assert_int_equal(seals_add(path, &seal, error, sizeof(error)), 0);
    }
    buf_fini(&bytes);
    store_close(store);
}

static void a_forged_status_fits_every_checksum_but_not_the_seals(void **state)
{
    _free_ char *copy = mem_format("cp %s/true/log/seals %s/forged/log/", dir, dir);
    struct story s = {.said = BUF_NULL};
    char kept[65];

    (void)state;
    make_log("true", false);
    make_log("forged", true);
    assert_int_equal(verify("true", NULL, &s), 0);
    memcpy(kept, s.head.text, sizeof(kept));
    assert_int_equal(verify("forged", NULL, &s), 0); /* nobody could tell */
    assert_int_equal(verify("forged", kept, &s), 1);
    assert_non_null(strstr(buf_str(&s.said), "no block has the head"));
    seal_log("true", 3, 7);
    assert_int_equal(verify("true", kept, &s), 0);
    assert_int_equal(s.head.found_at, 9);
    assert_int_equal(s.head.sealed, 7);
    assert_int_equal(system(copy), 0);
    assert_int_equal(verify("forged", NULL, &s), 1);
    assert_non_null(strstr(buf_str(&s.said),
                           "block 7: the blocks up to it are not those that were sealed "
                           "behind block 3"));
    buf_fini(&s.said);
}

static struct ledger_audit audit(const char *name, struct buf *said)
{
    _free_ char *path = mem_format("%s/%s/log", dir, name);
    char error[256];
    struct ledger *ledger = ledger_open(path, error, sizeof(error));
    struct ledger_audit a;

    ledger_report(ledger, note, said);
    assert_int_equal(ledger_audit(ledger, &a, NULL, NULL), 0);
    ledger_close(ledger);
    return a;
}

static void an_audit_counts_a_forged_segment(void **state)
{
    _free_ char *copy = mem_format("cp %s/true/log/seals %s/forged/log/", dir, dir);
    struct buf said = BUF_NULL;

    (void)state;
    make_log("true", false);
    make_log("forged", true);
    seal_log("true", 3, 7);
    assert_int_equal(audit("true", &said).unaccounted, 0);
    assert_int_equal(system(copy), 0);
    struct ledger_audit a = audit("forged", &said);
    assert_int_equal(a.broken_seals, 1);
    assert_int_equal(a.unaccounted, 1);
    assert_non_null(strstr(buf_str(&said), "are not those that were sealed"));
    buf_fini(&said);
}

static void a_log_cut_below_its_seals_is_found(void **state)
{
    _free_ char *path = mem_format("%s/true/log", dir);
    struct seal far = {.block = 12};
    struct story s = {.said = BUF_NULL};
    char error[256];

    (void)state;
    make_log("true", false);
    seal_log("true", 3, 7);
    assert_int_equal(seals_add(path, &far, error, sizeof(error)), 0);
    assert_int_equal(verify("true", NULL, &s), 1);
    assert_non_null(
        strstr(buf_str(&s.said), "the log ends with block 9, but block 12 was in it"));
    buf_fini(&s.said);
}

/* --- ranges --- */

static bool put(void *user, const void *bytes, size_t n)
{
    buf_add(user, bytes, n);
    return true;
}

struct source {
    const uint8_t *at, *end;
};

/* A few bytes at a time, as a pipe may give them. */
static ssize_t get(void *user, void *bytes, size_t n)
{
    struct source *s = user;
    size_t left = (size_t)(s->end - s->at), some = n < 1000 ? n : 1000;

    some = some < left ? some : left;
    memcpy(bytes, s->at, some);
    s->at += some;
    return (ssize_t)some;
}

static bool begin(void *user, const struct transfer_head *head)
{
    (void)user;
    return head->first > 0;
}

static bool count_block(void *user, const struct block *block)
{
    (void)block;
    ++*(unsigned *)user;
    return true;
}

static const struct transfer_sink sink = {.begin = begin, .block = count_block};

static long import(const uint8_t *bytes, size_t n, char *error, size_t size)
{
    struct source source = {bytes, bytes + n};
    unsigned blocks = 0;
    long rc = transfer_import(get, &source, &sink, &blocks, error, size);

    assert_true(rc < 0 || rc == (long)blocks);
    return rc;
}

static void a_range_that_was_changed_or_cut_anywhere_is_refused(void **state)
{
    struct maker *m = maker_new(false);
    struct buf range = BUF_NULL;
    char error[256];
    uint64_t first;

    (void)state;
    for (uint8_t n = 1; n <= 4; n++) {
        maker_request(m, n, "a.b.requested", NULL, NULL);
        maker_seal(m);
    }
    assert_int_equal(transfer_export(maker_ledger(m), 0, 0, put, &range, &first), 4);
    assert_int_equal(first, 1);
    assert_int_equal(import(range.bytes, range.len, error, sizeof(error)), 4);
    for (size_t i = 0; i < range.len; i++) {
        if (i >= 52 && i < 56)
            continue; /* `reserved` of the head */
        range.bytes[i] ^= 1;
        if (import(range.bytes, range.len, error, sizeof(error)) >= 0)
            fail_msg("byte %zu changed, and nothing was said", i);
        range.bytes[i] ^= 1;
    }
    for (size_t n = 0; n < range.len; n++)
        assert_int_equal(import(range.bytes, n, error, sizeof(error)), -1);
    assert_non_null(strstr(error, "cut short behind block 4"));
    buf_fini(&range);
    maker_free(m);
}

static void a_range_begins_with_the_checkpoint_before_it(void **state)
{
    struct maker *m = maker_new(false);
    struct buf range = BUF_NULL;
    uint64_t first;

    (void)state;
    for (uint8_t n = 1; n <= 8; n++) {
        maker_request(m, n, "a.b.requested", NULL, NULL);
        if (n == 3 || n == 7)
            maker_checkpoint(m);
        maker_seal(m);
    }
    assert_int_equal(
        transfer_export(maker_ledger(m), 5000000, 6500000, put, &range, &first), 4);
    assert_int_equal(first, 3); /* to block 6 */
    assert_int_equal(transfer_export(maker_ledger(m), 90000000, 0, put, &range, &first),
                     2);
    assert_int_equal(first, 7);
    assert_int_equal(transfer_export(maker_ledger(m), 0, 1, put, &range, &first), -1);
    assert_non_null(strstr(ledger_error(maker_ledger(m)), "nothing in this range"));
    buf_fini(&range);
    maker_free(m);
}

#define claim(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(lines_are_strict),
        claim(a_line_that_was_cut_is_written_over),
        claim(a_forged_status_fits_every_checksum_but_not_the_seals),
        claim(an_audit_counts_a_forged_segment),
        claim(a_log_cut_below_its_seals_is_found),
        claim(a_range_that_was_changed_or_cut_anywhere_is_refused),
        claim(a_range_begins_with_the_checkpoint_before_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
