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
#include "proto/attrs.h"
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

static void note_that_defines_nothing_is_no_configuration(void **state)
{
    static const struct {
        const char *type;
        uint32_t is_config;
    } notes[] = {
        {"signalbox.secret", 0}, {"signalbox.breaker", 0}, {"signalbox.group", 1}};
    struct views_row row = {0};

    (void)state;
    for (uint64_t i = 0; i < 3; i++) {
        const struct record_parts parts = {
            .kind = RECORD_NOTE, .type = notes[i].type, .data = "{}", .data_len = 2};
        begin();
        record_add(&body, &parts);
        assert_int_equal(apply(i + 1, i * 120000000 + 1), VIEWS_OK);
        views_scan(views, i + 1, true, take_row, &row);
        assert_int_equal(row.is_config, notes[i].is_config);
    }
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
    assert_int_equal(views_expire(views, 2000, 40), VIEWS_MORE);
    for (int n = 1; n <= 100; n++) {
        memset(key, n, 16);
        bool is_there = views_find_key(views, key, 1, &entry);
        assert_int_equal(is_there, n <= 60);
        left += is_there;
    }
    assert_int_equal(left, 60);
    assert_int_equal(views_expire(views, 2000, 100), VIEWS_OK);
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

/* --- runs, tallies, costs, what is open --- */

static void small_blocks_of_one_minute_share_a_row(void **state)
{
    struct views_row row = {0};
    unsigned rows = 0;
    uint8_t id[16];

    (void)state;
    for (uint64_t n = 1; n <= 100; n++) { /* flushed each time: the row is written over */
        begin();
        event((uint8_t)n, RECORD_FACT, STATUS_PENDING, 0, NULL);
        assert_int_equal(apply(n, n < 90 ? n : MINUTE_US), VIEWS_OK);
    }
    views_scan(views, 0, false, count_row, &rows);
    assert_int_equal(rows, 3); /* 64 blocks, 25, and the next minute's */
    views_scan(views, 70, true, take_row, &row);
    assert_int_equal(row.first, 65);
    assert_int_equal(row.last, 89);
    assert_int_equal(row.events, 25);
    views_scan(views, 70, false, take_row, &row);
    assert_int_equal(row.first, 65);
    memset(id, 70, 16);
    assert_int_equal(views_find(views, 1, false, VIEWS_ID, id), 65);
    assert_int_equal(views_find(views, 68, false, VIEWS_ID, id), 68);
    assert_int_equal(views_find(views, 100, true, VIEWS_ID, id), 89);
    assert_int_equal(views_find(views, 80, true, VIEWS_ID, id), 80);
    assert_int_equal(views_find(views, 64, true, VIEWS_ID, id), 0);
}

static void a_run_goes_on_after_a_flush_and_not_after_a_restart(void **state)
{
    unsigned rows = 0;

    (void)state;
    for (uint64_t n = 1; n <= 4; n++) {
        begin();
        event((uint8_t)n, RECORD_FACT, STATUS_PENDING, 0, NULL);
        assert_int_equal(apply(n, n), VIEWS_OK);
        if (n == 2) {
            views_close(views);
            open_views(false);
        }
    }
    views_scan(views, 0, false, count_row, &rows);
    assert_int_equal(rows, 2);
}

static void add_outcome(uint8_t name, struct position request, enum record_class class,
                        int64_t cost)
{
    struct buf attrs = BUF_NULL;
    uint8_t id[16];

    memset(id, name, 16);
    attrs_begin(&attrs);
    if (cost) {
        attrs_int(&attrs, ATTR_COST, cost);
        attrs_text(&attrs, ATTR_CURRENCY, "EUR");
        attrs_text(&attrs, ATTR_COST_KIND, "actual");
    }
    record_add(&body,
               &(struct record_parts){.kind = RECORD_OUTCOME,
                                      .status = class ? STATUS_FAILED : STATUS_SUCCESS,
                                      .error_class = class,
                                      .type = "x.y.done",
                                      .id = id,
                                      .integration = 7,
                                      .settles = request,
                                      .attrs = attrs.bytes,
                                      .attr_len = attrs.len});
    buf_fini(&attrs);
}

static const struct views_tally *find_tally(const struct views_row *row,
                                            enum views_what what, const char *type,
                                            enum record_status status)
{
    for (size_t i = 0; i < row->n_tallies; i++)
        if (row->tallies[i].what == what && row->tallies[i].type == hash_text(type) &&
            row->tallies[i].status == status)
            return &row->tallies[i];
    return NULL;
}

static bool check_tallies(void *user, const struct views_row *row)
{
    const struct views_tally *t;

    (void)user;
    assert_non_null(t = find_tally(row, VIEWS_ENDED, "a.b.c", STATUS_FAILED));
    assert_int_equal(t->count, 1);
    assert_int_equal(t->error_class, CLASS_deadline);
    assert_non_null(t = find_tally(row, VIEWS_ENDED, "a.b.c", STATUS_SUCCESS));
    assert_int_equal(t->count, 2);
    assert_non_null(t = find_tally(row, VIEWS_ANSWERED, "x.y.done", STATUS_FAILED));
    assert_int_equal(t->count, 2); /* the late one, too */
    assert_null(find_tally(row, VIEWS_ASKED, "a.b.c", STATUS_PENDING));
    return false;
}

static bool check_costs(void *user, const struct views_row *row)
{
    (void)user;
    assert_int_equal(row->n_costs, 2); /* with and without; the late one's is not here */
    for (size_t i = 0; i < row->n_costs; i++) {
        const struct views_cost *c = &row->costs[i];
        assert_int_equal(c->type, hash_text("a.b.c"));
        if (c->kind == VIEWS_COST_NONE) {
            assert_int_equal(c->count, 1);
            assert_int_equal(c->status, STATUS_FAILED);
            continue;
        }
        assert_int_equal(c->kind, VIEWS_COST_ACTUAL);
        assert_int_equal(c->micros, 700);
        assert_int_equal(c->count, 2);
        assert_string_equal(c->currency, "EUR");
    }
    return false;
}

static void endings_and_costs_are_counted_once_and_under_the_requests_names(void **state)
{
    (void)state;
    begin();
    for (uint8_t n = 1; n <= 3; n++)
        event(n, RECORD_REQUEST, STATUS_PENDING, 0, NULL);
    assert_int_equal(apply(1, 1), VIEWS_OK);
    views_close(views); /* what is open is found on disk, too */
    open_views(false);
    begin();
    add_outcome(11, (struct position){1, 0}, CLASS_none, 300);
    add_outcome(12, (struct position){1, 1}, CLASS_deadline, 0);
    add_outcome(13, (struct position){1, 2}, CLASS_none, 400);
    add_outcome(14, (struct position){1, 0}, CLASS_deadline, 999);
    assert_int_equal(apply(2, 2 * MINUTE_US), VIEWS_OK);
    views_scan(views, 2, false, check_tallies, NULL);
    views_scan(views, 2, false, check_costs, NULL);
}

static bool write_open(void *user, uint64_t block, uint32_t group,
                       const struct views_open *open, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_format(user, "%llu-%u%s+%u ", (unsigned long long)block, open[i].index,
                   group ? "g" : "", open[i].attempts);
    return true;
}

static void expect_open(uint64_t from, const char *list)
{
    struct buf got = BUF_NULL;

    assert_int_equal(views_pending(views, from, write_open, &got), 0);
    assert_string_equal(buf_str(&got), list);
    buf_fini(&got);
}

static void what_is_not_settled_is_open(void **state)
{
    static const char group[] = "{\"name\":\"g\",\"types\":[\"a.>\"]}";
    struct control_ack ack = {
        .group = integration_hash("g"), .block = 2, .count = 1, .result = STATUS_SUCCESS};
    struct control_retry retry = {.block = 1, .index = 1, .attempts = 3};

    (void)state;
    begin();
    event(1, RECORD_REQUEST, STATUS_PENDING, 0, NULL);
    event(2, RECORD_REQUEST, STATUS_PENDING, 0, NULL);
    record_add(&body, &(struct record_parts){.kind = RECORD_NOTE,
                                             .type = "signalbox.group",
                                             .data = group,
                                             .data_len = sizeof(group) - 1});
    assert_int_equal(apply(1, 1), VIEWS_OK);
    views_close(views); /* the group is known after a restart */
    open_views(false);
    begin();
    event(3, RECORD_FACT, STATUS_PENDING, 0, NULL);
    event(4, RECORD_FACT, STATUS_PENDING, 0, NULL);
    control(RECORD_RETRY, &retry, sizeof(retry));
    assert_int_equal(apply(2, 2), VIEWS_OK);
    expect_open(UINT64_MAX, "2-0g+0 2-1g+0 1-0+0 1-1+3 ");
    begin();
    add_outcome(11, (struct position){1, 0}, CLASS_none, 0);
    control(RECORD_ACK, &ack, sizeof(ack));
    assert_int_equal(apply(3, 3), VIEWS_OK);
    expect_open(UINT64_MAX, "2-1g+0 1-1+3 ");
    expect_open(1, "1-1+3 ");
    assert_int_equal(views_trim(views, 2, 100), VIEWS_OK);
    assert_int_equal(views_flush(views), VIEWS_OK);
    expect_open(UINT64_MAX, "2-1g+0 ");
}

struct types {
    unsigned n;
    bool has_it;
};

static void take_type(void *user, uint64_t hash, const char *type, size_t n)
{
    struct types *types = user;

    types->n++;
    types->has_it |=
        n == 5 && memcmp(type, "a.b.c", 5) == 0 && hash == hash_text("a.b.c");
}

static void types_are_listed_once_until_there_are_too_many(void **state)
{
    struct types types = {0};

    (void)state;
    keeps_batch = true;
    for (uint64_t n = 1; n <= 35; n++) {
        begin();
        event((uint8_t)n, RECORD_FACT, STATUS_PENDING, 0, NULL);
        for (int i = 0; n > 1 && i < 2000; i++) {
            uint8_t id[16] = {1};
            _free_ char *type = mem_format("x.%llu.n%d", (unsigned long long)n, i);
            record_add(&body, &(struct record_parts){
                                  .kind = RECORD_FACT, .type = type, .id = id});
        }
        assert_int_equal(apply(n, n), VIEWS_OK);
        if (n == 1) {
            assert_int_equal(views_flush(views), VIEWS_OK);
            assert_true(views_types(views, take_type, &types));
            assert_int_equal(types.n, 1);
            assert_true(types.has_it);
        }
    }
    assert_int_equal(views_flush(views), VIEWS_OK);
    assert_false(views_types(views, take_type, &types)); /* 68,001 */
    views_close(views);
    open_views(false);
    assert_false(views_types(views, take_type, &types));
    assert_int_equal(views_clear(views), VIEWS_OK);
    assert_true(views_types(views, take_type, &types));
}

#define claim(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        claim(row_counts_events_by_kind_and_status),
        claim(block_of_configuration_is_marked),
        claim(note_that_defines_nothing_is_no_configuration),
        claim(filter_never_says_no_to_what_is_there),
        claim(find_goes_both_ways_and_ends),
        claim(long_scan_goes_on_over_many_transactions),
        claim(small_blocks_of_one_minute_share_a_row),
        claim(a_run_goes_on_after_a_flush_and_not_after_a_restart),
        claim(endings_and_costs_are_counted_once_and_under_the_requests_names),
        claim(what_is_not_settled_is_open),
        claim(types_are_listed_once_until_there_are_too_many),
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
