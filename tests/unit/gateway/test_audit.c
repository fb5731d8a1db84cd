/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The walk over the log in a child: its result, one at a time, and how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/audit.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "tests/unit/ledger/maker.h"

enum { WAIT_US = 20 * 1000 * 1000 };

struct box {
    struct loop *loop;
    char dir[64];
    struct audits *audits;
    unsigned answers, failures;
    int64_t accepted, unaccounted;
};

static void on_audit(void *user, const struct json *result)
{
    struct box *box = user;
    box->answers++;
    box->failures += result == NULL;
    box->accepted = js_int(result, "accepted", -1);
    box->unaccounted = js_int(result, "unaccounted", -1);
}

/* A log on disk of one request with its outcome and one without. */
static void make_log(const char *dir)
{
    struct maker *maker = maker_new_in(dir);
    struct position at = maker_request(maker, 1, "a.b.requested", NULL, NULL);
    maker_outcome(maker, 2, at, 1, CLASS_none, NULL);
    maker_request(maker, 3, "a.b.requested", NULL, NULL);
    maker_seal(maker);
    maker_free(maker);
}

static int box_open(void **state)
{
    struct box *box = calloc(1, sizeof(*box));
    snprintf(box->dir, sizeof(box->dir), "/tmp/test-audit-XXXXXX");
    assert_non_null(mkdtemp(box->dir));
    box->loop = loop_new();
    make_log(box->dir);
    _free_ char *log = mem_format("%s/log", box->dir);
    box->audits = audits_new(box->loop, log);
    *state = box;
    return 0;
}

static int box_close(void **state)
{
    struct box *box = *state;
    audits_free(box->audits);
    loop_free(box->loop);
    _free_ char *remove = mem_format("rm -rf '%s'", box->dir);
    assert_int_equal(system(remove), 0);
    free(box);
    return 0;
}

static void wait_for(struct box *box, unsigned answers)
{
    uint64_t end_us = clock_steady_us() + WAIT_US;
    while (box->answers < answers && clock_steady_us() < end_us)
        loop_turn(box->loop, 20);
    assert_int_equal(box->answers, answers);
}

static void a_walk_tells_what_became_of_everything(void **state)
{
    struct box *box = *state;
    uint64_t at_us = 1, tried_us = 1;
    assert_null(audit_last(box->audits, &at_us, &tried_us));
    assert_int_equal(at_us, 0);
    assert_int_equal(tried_us, 0);
    assert_true(audit_start(box->audits, /* is_background= */ false, on_audit, box));
    assert_true(audit_is_running(box->audits));
    wait_for(box, 1);
    assert_int_equal(box->failures, 0);
    assert_int_equal(box->accepted, 2);
    assert_int_equal(box->unaccounted, 0);
    assert_false(audit_is_running(box->audits));
    const struct json *last = audit_last(box->audits, &at_us, &tried_us);
    assert_int_equal(js_int(last, "pending", 0), 1);
    assert_true(at_us >= tried_us && tried_us > 0);
}

static void there_is_one_at_a_time(void **state)
{
    struct box *box = *state;
    assert_true(audit_start(box->audits, /* is_background= */ false, on_audit, box));
    assert_false(audit_start(box->audits, /* is_background= */ false, on_audit, box));
    assert_false(audit_start(box->audits, /* is_background= */ true, on_audit, box));
    wait_for(box, 1);
    assert_true(audit_start(box->audits, /* is_background= */ true, on_audit, box));
    wait_for(box, 2);
    assert_int_equal(box->failures, 0);
}

static void one_in_the_background_gives_way(void **state)
{
    struct box *box = *state;
    assert_true(audit_start(box->audits, /* is_background= */ true, on_audit, box));
    assert_true(audit_start(box->audits, /* is_background= */ false, on_audit, box));
    assert_int_equal(box->answers, 1);
    assert_int_equal(box->failures, 1);
    wait_for(box, 2);
    assert_int_equal(box->failures, 1);
    assert_int_equal(box->accepted, 2);
}

static void without_a_log_there_is_no_result_and_the_last_one_stays(void **state)
{
    struct box *box = *state;
    uint64_t at_us, tried_us;
    assert_true(audit_start(box->audits, /* is_background= */ false, on_audit, box));
    wait_for(box, 1);
    _free_ char *move = mem_format("mv '%s/log' '%s/gone'", box->dir, box->dir);
    assert_int_equal(system(move), 0);
    assert_true(audit_start(box->audits, /* is_background= */ false, on_audit, box));
    wait_for(box, 2);
    assert_int_equal(box->failures, 1);
    assert_int_equal(js_int(audit_last(box->audits, &at_us, &tried_us), "accepted", 0),
                     2);
}

static void who_waits_hears_when_it_is_ended(void **state)
{
    struct box *box = *state;
    assert_true(audit_start(box->audits, /* is_background= */ false, on_audit, box));
    audits_free(box->audits);
    box->audits = NULL;
    assert_int_equal(box->answers, 1);
    assert_int_equal(box->failures, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_open, box_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_walk_tells_what_became_of_everything),
        TEST(there_is_one_at_a_time),
        TEST(one_in_the_background_gives_way),
        TEST(without_a_log_there_is_no_result_and_the_last_one_stays),
        TEST(who_waits_hears_when_it_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
