/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/store/views.h"
#include "proto/control.h"

static char dir[64];
static struct views *views;
static struct buf body;
static uint32_t last_crc;
static bool keeps_batch; /* apply() does not flush */

#define MINUTE_US 60000000ull

static void event(uint8_t name, enum record_kind kind, enum record_status status,
                  uint8_t cause, const char *key)
{
    uint8_t id[16], cause_id[16];

    memset(id, name, 16);
    memset(cause_id, cause, 16);
    record_add(&body, &(struct record_parts){.kind = kind,
                                             .status = status,
                                             .type = "a.b.c",
                                             .id = id,
                                             .key = key,
                                             .cause = cause ? cause_id : NULL});
}

static void names_key(uint8_t name, uint64_t body_hash, uint64_t expires_us)
{
    struct control_idempotency c = {.body_hash = body_hash, .expires_us = expires_us};
    uint8_t key[16];

    memset(key, name, 16);
    record_add(&body, &(struct record_parts){.kind = RECORD_IDEMPOTENCY,
                                             .id = key,
                                             .data = &c,
                                             .data_len = sizeof(c)});
}

static void control(enum record_kind kind, const void *data, size_t n)
{
    record_add(&body, &(struct record_parts){.kind = kind, .data = data, .data_len = n});
}

/* Seal what was put into `body` as block `number` and apply it. */
static int apply(uint64_t number, uint64_t time_us)
{
    struct block *b = (struct block *)(void *)body.bytes;
    size_t offset;
    const char *why = NULL;

    b->number = number;
    b->timestamp_us = time_us;
    b->prev_crc = last_crc;
    b->count = (uint32_t)record_count(b + 1, body.len - sizeof(*b), &offset, &why);
    block_seal(b, body.len);
    int rc = views_apply(views, b);
    if (rc == VIEWS_OK)
        last_crc = b->crc;
    return rc == VIEWS_OK && !keeps_batch ? views_flush(views) : rc;
}

static void begin(void)
{
    buf_clear(&body);
    buf_add(&body, NULL, sizeof(struct block));
}

static void open_views(bool read_only)
{
    char error[256];

    views = views_open(dir, read_only, error, sizeof(error));
    if (!views)
        fail_msg("%s", error);
}

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof(dir), "/tmp/test_views.XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    last_crc = 0;
    keeps_batch = false;
    open_views(false);
    return 0;
}

static int teardown(void **state)
{
    _free_ char *file = mem_format("%s/views.mdb", dir),
                *lock = mem_format("%s/views.mdb-lock", dir);

    (void)state;
    views_close(views);
    views = NULL;
    buf_fini(&body);
    unlink(file);
    unlink(lock);
    return rmdir(dir);
}

static bool take_row(void *user, const struct views_row *row)
{
    *(struct views_row *)user = *row;
    return false;
}

static bool count_row(void *user, const struct views_row *row)
{
    (void)row;
    ++*(unsigned *)user;
    return true;
}

static void row_counts_events_by_kind_and_status(void **state)
{
    struct views_row row = {0};
    struct control_ack ack = {.block = 1, .count = 1, .result = STATUS_FAILED};

    (void)state;
    begin();
    event(1, RECORD_REQUEST, STATUS_PENDING, 0, NULL);
    event(2, RECORD_OUTCOME, STATUS_SUCCESS, 1, NULL);
    event(3, RECORD_OUTCOME, STATUS_FAILED, 9, NULL);
    event(4, RECORD_FACT, STATUS_PENDING, 0, NULL);
    control(RECORD_ACK, &ack, sizeof(ack));
    assert_int_equal(apply(1, 777), VIEWS_OK);
    assert_int_equal(views_scan(views, 1, false, take_row, &row), 0);
    assert_int_equal(row.first, 1);
    assert_int_equal(row.last, 1);
    assert_int_equal(row.timestamp_us, 777);
    assert_int_equal(row.crc, last_crc);
    assert_int_equal(row.events, 4);
    assert_int_equal(row.requests, 1);
    assert_int_equal(row.facts, 1);
    assert_int_equal(row.succeeded, 1);
    assert_int_equal(row.failed, 2);
    assert_int_equal(row.is_config, 0);
}

static void block_of_configuration_is_marked(void **state)
{
    struct views_row row = {0};

    (void)state;
    begin();
    control(RECORD_INTEGRATION, "{}", 2);
    assert_int_equal(apply(1, 1), VIEWS_OK);
    views_scan(views, 1, true, take_row, &row);
    assert_int_equal(row.is_config, 1);
    assert_int_equal(row.events, 0);
}

static void filter_never_says_no_to_what_is_there(void **state)
{
    uint8_t id[16];
    uint64_t key = hash_text("order-7"), of = 1;
    struct control_retry retry = {.block = 1};
    unsigned wrong = 0;

    (void)state;
    for (uint64_t n = 1; n <= 50; n++) {
        begin();
        event((uint8_t)n, RECORD_REQUEST, STATUS_PENDING, 0, n == 30 ? "order-7" : NULL);
        event((uint8_t)(n + 100), RECORD_OUTCOME, STATUS_SUCCESS, (uint8_t)n, NULL);
        if (n == 40)
            control(RECORD_RETRY, &retry, sizeof(retry));
        assert_int_equal(apply(n, n * MINUTE_US), VIEWS_OK);
    }
    for (uint64_t n = 1; n <= 50; n++)
        for (unsigned name = 1; name <= 50; name++) {
            memset(id, (int)name, 16);
            bool may = views_may_hold(views, n, VIEWS_ID, id);
            if (n == name)
                assert_true(may);
            else
                wrong += may;
        }
    assert_true(wrong < 25); /* of 2,450; about one in 2,000 is expected */
    assert_true(views_may_hold(views, 30, VIEWS_KEY, &key));
    assert_true(views_may_hold(views, 40, VIEWS_OF, &of));
    assert_true(views_may_hold(views, 51, VIEWS_ID, id)); /* no row: cannot say no */
}

static void find_goes_both_ways_and_ends(void **state)
{
    uint8_t id[16];

    (void)state;
    for (uint64_t n = 1; n <= 9; n++) {
        begin();
        event(n == 4 || n == 7 ? 44 : (uint8_t)n, RECORD_FACT, STATUS_PENDING, 0, NULL);
        assert_int_equal(apply(n, n * MINUTE_US), VIEWS_OK);
    }
    memset(id, 44, 16);
    assert_int_equal(views_find(views, 100, true, VIEWS_ID, id), 7);
    assert_int_equal(views_find(views, 6, true, VIEWS_ID, id), 4);
    assert_int_equal(views_find(views, 3, true, VIEWS_ID, id), 0);
    assert_int_equal(views_find(views, 1, false, VIEWS_ID, id), 4);
    assert_int_equal(views_find(views, 5, false, VIEWS_ID, id), 7);
    assert_int_equal(views_find(views, 8, false, VIEWS_ID, id), 0);
}

static void long_scan_goes_on_over_many_transactions(void **state)
{
    unsigned up = 0, down = 0;

    (void)state;
    keeps_batch = true;
    for (uint64_t n = 1; n <= 9000; n++) {
        begin();
        event(1, RECORD_FACT, STATUS_PENDING, 0, NULL);
        assert_int_equal(apply(n, n * MINUTE_US), VIEWS_OK);
    }
    assert_int_equal(views_flush(views), VIEWS_OK);
    assert_int_equal(views_scan(views, 0, false, count_row, &up), 0);
    assert_int_equal(views_scan(views, 9000, true, count_row, &down), 0);
    assert_int_equal(up, 9000);
    assert_int_equal(down, 9000);
}

static void key_is_found_until_it_expires(void **state)
{
    struct views_idempotency entry;
    uint8_t key[16];

    (void)state;
    memset(key, 5, 16);
    begin();
    event(1, RECORD_REQUEST, STATUS_PENDING, 0, NULL);
    names_key(5, 99, 1000);
    event(2, RECORD_REQUEST, STATUS_PENDING, 0, NULL);
    assert_int_equal(apply(1, 10), VIEWS_OK);
    assert_true(views_find_key(views, key, 999, &entry));
    assert_int_equal(entry.body_hash, 99);
    assert_int_equal(entry.block, 1);
    assert_int_equal(entry.index, 2);
    assert_int_equal(entry.id[0], 2);
    assert_false(views_find_key(views, key, 1000, &entry));
    key[3] = 0;
    assert_false(views_find_key(views, key, 0, &entry));
}

static void first_live_key_wins_and_an_expired_one_is_replaced(void **state)
{
    struct views_idempotency entry;
    uint8_t key[16];

    (void)state;
    memset(key, 5, 16);
    for (uint64_t n = 1; n <= 3; n++) {
        begin();
        names_key(5, n, n * 100);
        event((uint8_t)n, RECORD_REQUEST, STATUS_PENDING, 0, NULL);
        assert_int_equal(apply(n, n == 3 ? 150 : n), VIEWS_OK);
        assert_true(views_find_key(views, key, 1, &entry));
        assert_int_equal(entry.body_hash, n == 3 ? 3 : 1);
    }
    assert_int_equal(views_expire(views, 299, 10),
                     VIEWS_OK); /* the old end must be gone, too */
    assert_true(views_find_key(views, key, 1, &entry));
    assert_int_equal(views_expire(views, 300, 10), VIEWS_OK);
    assert_false(views_find_key(views, key, 1, &entry));
}

static void expiry_takes_the_oldest_and_stops_at_its_bound(void **state)
{
    struct views_idempotency entry;
    uint8_t key[16];
    unsigned left = 0;

    (void)state;
    begin();
    for (uint8_t n = 1; n <= 100; n++) {
        names_key(n, n, 1000u - n);
        event(n, RECORD_REQUEST, STATUS_PENDING, 0, NULL);
    }
    assert_int_equal(apply(1, 1), VIEWS_OK);
    assert_int_equal(views_expire(views, 2000, 40), VIEWS_OK);
    for (int n = 1; n <= 100; n++) {
        memset(key, n, 16);
        bool is_there = views_find_key(views, key, 1, &entry);
        assert_int_equal(is_there, n <= 60);
        left += is_there;
    }
    assert_int_equal(left, 60);
}

static void block_that_does_not_follow_is_a_gap(void **state)
{
    (void)state;
    begin();
    event(1, RECORD_FACT, STATUS_PENDING, 0, NULL);
    assert_int_equal(apply(7, 1), VIEWS_OK); /* a trimmed log starts anywhere */
    assert_int_equal(apply(9, 1), VIEWS_GAP);
    assert_non_null(strstr(views_error(views), "block 9 does not follow block 7"));
    last_crc++;
    assert_int_equal(apply(8, 1), VIEWS_GAP); /* another log */
    last_crc--;
    assert_int_equal(apply(8, 1), VIEWS_OK);
    assert_int_equal(views_apply(views, (struct block *)(void *)body.bytes),
                     VIEWS_OK); /* done already */
    views_flush(views);
    assert_int_equal(views_applied(views), 8);
}

static void cleared_views_start_anew(void **state)
{
    unsigned rows = 0;

    (void)state;
    begin();
    event(1, RECORD_FACT, STATUS_PENDING, 0, NULL);
    assert_int_equal(apply(7, 1), VIEWS_OK);
    assert_int_equal(views_clear(views), VIEWS_OK);
    views_scan(views, 0, false, count_row, &rows);
    assert_int_equal(rows, 0);
    assert_int_equal(views_applied(views), 0);
    assert_int_equal(apply(2, 1), VIEWS_OK);
}

static void trimmed_rows_are_gone(void **state)
{
    struct views_row row = {0};
    unsigned rows = 0;

    (void)state;
    for (uint64_t n = 1; n <= 10; n++) {
        begin();
        assert_int_equal(apply(n, n * MINUTE_US), VIEWS_OK);
    }
    assert_int_equal(views_trim(views, 4, 100), VIEWS_OK);
    views_scan(views, 0, false, take_row, &row);
    assert_int_equal(row.first, 4);
    assert_int_equal(views_trim(views, 9, 2), VIEWS_OK);
    views_scan(views, 0, false, count_row, &rows);
    assert_int_equal(rows, 5);
}

static void only_what_was_flushed_is_there_after_a_crash(void **state)
{
    pid_t child = 0;
    int status;

    (void)state;
    views_close(views);
    child = fork();
    if (child == 0) {
        char error[256];
        views = views_open(dir, false, error, sizeof(error));
        keeps_batch = true;
        begin();
        if (!views || apply(1, 1) || views_flush(views) || apply(2, 1))
            _exit(1);
        _exit(views_applied(views) == 1 ? 0 : 2); /* dies with an open batch */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    open_views(false);
    assert_int_equal(views_applied(views), 1);
}

static void reader_sees_what_a_living_writer_flushes(void **state)
{
    int go[2], seen[2], status;
    uint64_t applied = 0;
    char byte = 0;

    (void)state;
    assert_int_equal(pipe(go) | pipe(seen), 0);
    views_close(views);
    pid_t child = fork();
    if (child == 0) {
        char error[256];
        views = views_open(dir, false, error, sizeof(error));
        for (uint64_t n = 1; n <= 2; n++) {
            begin();
            event((uint8_t)n, RECORD_FACT, STATUS_PENDING, 0, NULL);
            if (!views || apply(n, n) || views_flush(views) ||
                write(seen[1], "x", 1) != 1 || read(go[0], &byte, 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    assert_int_equal(read(seen[0], &byte, 1), 1);
    open_views(true);
    for (uint64_t n = 1; n <= 2; n++) {
        applied = views_applied(views);
        assert_int_equal(applied, n);
        assert_int_equal(write(go[1], "x", 1), 1);
        if (n == 1)
            assert_int_equal(read(seen[0], &byte, 1), 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void reader_of_nothing_gets_a_reason(void **state)
{
    char error[256] = "";

    (void)state;
    assert_null(views_open("/nonexistent", true, error, sizeof(error)));
    assert_non_null(strstr(error, "No such file"));
    assert_null(views_open("/nonexistent", false, error, sizeof(error)));
}

static void spoil(off_t size, const char *bytes, size_t n)
{
    _free_ char *file = mem_format("%s/views.mdb", dir);
    FILE *f = fopen(file, "r+");

    assert_non_null(f);
    if (n)
        assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
    if (size >= 0)
        assert_int_equal(truncate(file, size), 0);
}

static void damaged_file_is_refused_to_readers_and_made_anew_by_the_writer(void **state)
{
    static const struct {
        off_t size;
        size_t garbage;
    } damage[] = {{8192, 0}, {12288, 0}, {100, 0}, {0, 0}, {-1, 8192}};
    char garbage[8192], error[256];

    (void)state;
    memset(garbage, 'x', sizeof(garbage));
    for (size_t i = 0; i < sizeof(damage) / sizeof(*damage); i++) {
        last_crc = 0;
        for (uint64_t n = 1; n <= 20; n++) {
            begin();
            event(1, RECORD_FACT, STATUS_PENDING, 0, NULL);
            assert_int_equal(apply(n, n), VIEWS_OK);
        }
        views_flush(views);
        views_close(views);
        views = NULL;
        spoil(damage[i].size, garbage, damage[i].garbage);
        if (damage[i].size !=
            0) /* an empty file is an empty environment that cannot be read */
            assert_null(views_open(dir, true, error, sizeof(error)));
        open_views(false);
        assert_int_equal(views_applied(views), 0);
    }
}

static void map_grows_when_it_could_become_full(void **state)
{
    uint64_t n = 1;

    (void)state;
    for (; n <= 40;
         n++) { /* each may change more pages than the first map has room for */
        begin();
        for (int i = 0; i < 6000; i++) {
            struct control_idempotency c = {.body_hash = n, .expires_us = 1000};
            uint8_t key[16];
            hash_pair("k", (const char *)&(uint64_t[]){n * 10000 + (uint64_t)i}, 8, key);
            record_add(&body, &(struct record_parts){.kind = RECORD_IDEMPOTENCY,
                                                     .id = key,
                                                     .data = &c,
                                                     .data_len = sizeof(c)});
            event(1, RECORD_FACT, STATUS_PENDING, 0, NULL);
        }
        assert_int_equal(apply(n, n), VIEWS_OK);
    }
    assert_int_equal(views_flush(views), VIEWS_OK);
    assert_int_equal(views_applied(views), 40);
}

#define claim(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(row_counts_events_by_kind_and_status),
        claim(block_of_configuration_is_marked),
        claim(filter_never_says_no_to_what_is_there),
        claim(find_goes_both_ways_and_ends),
        claim(long_scan_goes_on_over_many_transactions),
        claim(key_is_found_until_it_expires),
        claim(first_live_key_wins_and_an_expired_one_is_replaced),
        claim(expiry_takes_the_oldest_and_stops_at_its_bound),
        claim(block_that_does_not_follow_is_a_gap),
        claim(cleared_views_start_anew),
        claim(trimmed_rows_are_gone),
        claim(only_what_was_flushed_is_there_after_a_crash),
        claim(reader_sees_what_a_living_writer_flushes),
        claim(reader_of_nothing_gets_a_reason),
        claim(damaged_file_is_refused_to_readers_and_made_anew_by_the_writer),
        claim(map_grows_when_it_could_become_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
