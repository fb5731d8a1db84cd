/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is counted out of a log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/config/config.h"
#include "lib/document/seen.h"
#include "proto/tested.h"
#include "tests/unit/ledger/maker.h"

static const struct config_integration stripe = {.name = (char *)(uintptr_t) "stripe"};

static struct seen *look(struct maker *m)
{
    char error[200] = "";
    struct seen *seen = seen_new(maker_ledger(m), &stripe, error, sizeof(error));

    assert_string_equal(error, "");
    return seen;
}

static void add_record(struct maker *m, enum record_kind kind, const char *type,
                       uint8_t name, const char *data)
{
    uint8_t id[16];

    memset(id, name, sizeof(id));
    maker_record(m, &(struct record_parts){.kind = kind,
                                           .type = type,
                                           .id = id,
                                           .status = STATUS_SUCCESS,
                                           .flags = RECORD_JSON,
                                           .integration = integration_hash("stripe"),
                                           .data = data,
                                           .data_len = strlen(data)});
}

static void events_are_counted_by_how_they_ended_and_others_are_not(void **state)
{
    struct maker *m = maker_new(true);

    (void)state;
    maker_integration(m, "stripe", "Stripe");
    maker_integration(m, "other", "Other");
    struct position a = maker_request(m, 1, "payment.charge.requested", "stripe", NULL),
                    b = maker_request(m, 2, "payment.charge.requested", "stripe", NULL);
    maker_request(m, 3, "payment.charge.requested", "other", NULL);
    maker_seal(m);
    maker_free_outcome(m, 4, a, 1, "stripe", CLASS_none);
    maker_free_outcome(m, 5, b, 2, "stripe", CLASS_unknown);
    maker_seal(m);
    struct seen *seen = look(m);
    const struct seen_event *e = seen_find(seen, "payment.charge.requested");
    assert_non_null(e);
    assert_int_equal(e->count, 2);
    assert_int_equal(e->success, 1);
    assert_int_equal(e->failed, 1);
    assert_int_equal(seen_class(seen, CLASS_unknown), 1);
    assert_int_equal(seen_class(seen, CLASS_permanent), 0);
    assert_int_equal(seen->peak_calls, 2);
    assert_int_equal(seen_days(seen), 1);
    assert_int_equal(seen->n_costs, 1);
    assert_int_equal(seen->costs[0].calls, 2);
    assert_null(seen_find(seen, "payment.charge"));
    seen_free(seen);
    maker_free(m);
}

static void the_newest_test_counts(void **state)
{
    struct maker *m = maker_new(true);

    (void)state;
    maker_integration(m, "stripe", "Stripe");
    add_record(m, RECORD_FACT, TESTED_TYPE, 1, "{\"passed\":1}");
    maker_seal(m);
    add_record(m, RECORD_FACT, TESTED_TYPE, 2, "{\"passed\":2}");
    maker_seal(m);
    struct seen *seen = look(m);
    assert_int_equal(js_int(seen->tested, "passed", 0), 2);
    assert_int_not_equal(seen->tested_us, 0);
    seen_free(seen);
    maker_free(m);
}

static void the_newest_manifest_is_the_one(void **state)
{
    struct maker *m = maker_new(true);

    (void)state;
    maker_integration(m, "stripe", "Stripe");
    add_record(m, RECORD_MANIFEST, NULL, 1, "{\"version\":\"1\"}");
    maker_seal(m);
    add_record(m, RECORD_MANIFEST, NULL, 2, "{\"version\":\"2\"}");
    maker_seal(m);
    assert_string_equal(ledger_manifest(maker_ledger(m), "stripe"),
                        "{\"version\":\"2\"}");
    assert_null(ledger_manifest(maker_ledger(m), "other"));
    maker_free(m);
}

static void a_log_without_views_says_how_to_make_them(void **state)
{
    struct maker *m = maker_new(false);
    char error[200] = "";

    (void)state;
    maker_request(m, 1, "payment.charge.requested", "stripe", NULL);
    maker_seal(m);
    assert_null(seen_new(maker_ledger(m), &stripe, error, sizeof(error)));
    assert_non_null(strstr(error, "--rebuild-views"));
    maker_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_counted_by_how_they_ended_and_others_are_not),
        cmocka_unit_test(the_newest_test_counts),
        cmocka_unit_test(the_newest_manifest_is_the_one),
        cmocka_unit_test(a_log_without_views_says_how_to_make_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
