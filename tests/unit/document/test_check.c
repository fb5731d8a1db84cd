/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Every kind of disagreement is planted and found, with the line to change; and nothing
 * is found where all is well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "case.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"

/* The configuration as a file, so that places have lines. */
static char path[] = "/tmp/signalbox-check-XXXXXX";

static int write_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    if (fd < 0 || write(fd, case_yaml, strlen(case_yaml)) != (ssize_t)strlen(case_yaml))
        return -1;
    return close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void open_case(struct case_world *w, size_t index, const char *manifest)
{
    case_open(w, case_yaml, index, manifest);
    free(w->config->path);
    w->config->path = mem_text(path);
    if (index == 0)
        case_tested(w, 3, 0);
}

static void take(void *user, const struct document_finding *f)
{
    const char *line = strchr(f->where, ':');

    buf_format(user, "%s @%s: %s\n", f->kind,
               strncmp(f->where, "/tmp/", 5) == 0 ? line : f->where, f->what);
}

/* All findings at day `day`: exactly these. */
static void finds(const struct case_world *w, unsigned day, const char *expected)
{
    struct buf got = BUF_NULL;
    size_t n = document_check(&w->document, CASE_START_US + day * CASE_DAY_US, take,
                              &got),
           lines = 0;

    for (const char *at = buf_str(&got); (at = strchr(at, '\n')); at++)
        lines++;
    assert_string_equal(buf_str(&got), expected);
    assert_int_equal(n, lines);
    buf_fini(&got);
}

static void where_all_is_well_nothing_is_found(void **state)
{
    struct case_world w;

    (void)state;
    open_case(&w, 0, case_manifest);
    case_event(&w, "pay.charge.requested", RECORD_REQUEST, 7, 2, CLASS_permanent);
    case_event(&w, "pay.charge.failed", RECORD_OUTCOME, 2, 0, CLASS_none);
    case_event(&w, "pay.found", RECORD_FACT, 1, 0, CLASS_none);
    case_event(&w, "signalbox.webhook.refused", RECORD_FACT, 1, 1, CLASS_unverified);
    case_event(&w, "signalbox.tested", RECORD_FACT, 1, 0, CLASS_none);
    case_cost(&w, "pay.charge", "USD", 5, 1500000)->peak_day = 50000000;
    case_cost(&w, "pay.charge", "", 2, 0);
    finds(&w, 90, "");
    case_close(&w);
}

static void an_event_that_is_not_in_the_catalogue_is_found(void **state)
{
    struct case_world w;

    (void)state;
    open_case(&w, 0, case_manifest);
    case_event(&w, "shop.order.lost", RECORD_FACT, 3, 0, CLASS_none);
    case_event(&w, "pay.surprise", RECORD_FACT, 1, 0, CLASS_none);
    finds(
        &w, 1,
        "event @manifest of pay: webhooks: the event shop.order.lost was seen 3 times "
        "and is not in the catalogue: declare it, or have the service not send it\n"
        "event @manifest of pay: publishes: the event pay.surprise was seen 1 times and "
        "is not in the catalogue: declare it\n");
    case_close(&w);
    open_case(&w, 1, NULL);
    case_event(&w, "plain.order.made", RECORD_FACT, 4, 0, CLASS_none);
    case_event(&w, "plain.other", RECORD_FACT, 4, 0, CLASS_none);
    finds(
        &w, 1,
        "event @:2: the event plain.other was seen 4 times and is not in the catalogue: "
        "no group takes it; name its type in one\n");
    case_close(&w);
}

static void a_class_of_failures_without_an_entry_is_found(void **state)
{
    struct case_world w;

    (void)state;
    open_case(&w, 0, case_manifest);
    case_event(&w, "pay.charge.requested", RECORD_REQUEST, 7, 2, CLASS_unknown);
    case_event(&w, "pay.refund.requested", RECORD_REQUEST, 7, 1, CLASS_deadline);
    case_event(&w, "pay.found", RECORD_FACT, 7, 1, CLASS_exhausted); /* by a group */
    finds(&w, 1,
          "failure @manifest of pay: failures: 2 requests failed with the class unknown, "
          "which has no entry: add one whose `seen_as` begins with \"unknown\"\n");
    case_close(&w);
}

static void a_secret_past_its_day_or_missing_is_found(void **state)
{
    struct case_world w;

    (void)state;
    open_case(&w, 0, case_manifest);
    finds(&w, 91,
          "secret @:11: the secret shop_key was set on 2026-01-01 and had to change by "
          "2026-04-01: signalbox secret rotate shop_key\n"
          "secret @:12: the secret shop_hook was set on 2026-01-01 and had to change by "
          "2026-04-01: signalbox secret rotate shop_hook\n");
    w.is_known = false;
    finds(&w, 91, "");
    w.is_known = true;
    w.secret.is_there = false;
    finds(&w, 1,
          "secret @:11: the secret shop_key is not there: signalbox secret set shop_key\n"
          "secret @:12: the secret shop_hook is not there: signalbox secret set "
          "shop_hook\n");
    case_close(&w);
}

static void a_failed_outcome_that_nobody_takes_is_found(void **state)
{
    struct case_world w;

    (void)state;
    open_case(&w, 0, case_manifest);
    case_event(&w, "shop.order.paid", RECORD_REQUEST, 2, 1, CLASS_permanent);
    struct config_group *billing = &w.config->groups[0];
    snprintf(billing->types[0], sizeof("pay.charge.*"),
             "pay.found.*"); /* instead of it */
    finds(
        &w, 1,
        "unconsumed @:2: nobody takes pay.charge.failed (0 failed so far): name it in a "
        "group's or a delivery's `types`\n"
        "unconsumed @:2: nobody takes shop.order.paid.failed (1 failed so far): name it "
        "in a group's or a delivery's `types`\n");
    struct config_integration *in = &w.config->integrations[0];
    free(in->why.pattern);
    in->why.pattern = mem_text("call"); /* the caller has it */
    w.seen.n_events = 0;
    finds(&w, 1, "");
    case_close(&w);
}

static void a_test_that_is_missing_old_or_bad_is_found(void **state)
{
    struct case_world w;

    (void)state;
    open_case(&w, 0, case_manifest);
    js_set_text(w.manifest, "version", "2");
    finds(&w, 1,
          "test @:5: shop has changed since it was tested: connector, options, endpoints "
          "or schedules; signalbox simulate --all shop\n");
    case_tested(&w, 2, 2);
    finds(&w, 1,
          "test @:5: 2 cases of the last test of shop failed; signalbox doc shop\n");
    js_free(w.seen.tested);
    w.seen.tested = NULL;
    finds(&w, 1, "test @:5: shop was never tested: signalbox simulate --all shop\n");
    w.document.seen = NULL;
    finds(&w, 1, "");
    case_close(&w);
}

static void a_cost_beyond_the_model_or_the_budget_is_found(void **state)
{
    struct case_world w;

    (void)state;
    open_case(&w, 0, case_manifest);
    struct seen_cost *cost = case_cost(&w, "pay.charge", "USD", 5, 1500001);
    finds(&w, 1,
          "cost @:17: 5 calls of pay.charge have cost 1.500001 USD, beyond the model: "
          "0.30 USD a call (the configuration's `prices`)\n");
    cost->actual = 1500000;
    cost->peak_day = 50000001;
    cost->peak_day_us = CASE_START_US;
    finds(&w, 1,
          "cost @:15: on 2026-01-01 calls of pay.charge have cost 50.000001 USD, above "
          "the budget of 50.00 USD a day\n");
    cost->peak_day = 0;
    snprintf(cost->currency, sizeof(cost->currency), "EUR");
    finds(&w, 1,
          "cost @:17: 5 calls of pay.charge have cost 1.50 EUR, and the model knows 0.30 "
          "USD a call (the configuration's `prices`): another currency\n");
    w.seen.n_costs = 0;
    case_cost(&w, "pay.refund", "USD", 1, 10);
    finds(&w, 1,
          "cost @:16: 1 calls of pay.refund have cost 0.00001 USD, and the model says "
          "nothing of a cost\n");
    case_close(&w);
}

static void a_price_list_that_is_old_or_of_no_day_is_found(void **state)
{
    (void)state;
    char *names[] = {(char[]){"prices"}, (char[]){"prices_date"}};
    char *values[] = {(char[]){"m 1 2"}, (char[]){"2026-01-01"}};
    struct case_world w;

    open_case(&w, 0, case_manifest);
    struct config_integration *in =
        (struct config_integration *)(uintptr_t)w.document.integration;
    in->option_names = names;
    in->option_values = values;
    in->n_options = 2;
    case_tested(&w, 3, 0); /* options are a part of what was tested */
    w.is_known = true;
    w.secret.created_us = CASE_START_US + 180 * CASE_DAY_US; /* not what this is about */
    finds(&w, 180, "");
    finds(&w, 181,
          "cost @:5: `prices` are 181 days old (2026-01-01), more than 180: compare them "
          "with the provider's and set `prices_date`\n");
    values[1] = (char[]){"January"};
    case_tested(&w, 3, 0);
    finds(&w, 180, "cost @:5: `January` is no day; expected YYYY-MM-DD\n");
    in->n_options = 1;
    case_tested(&w, 3, 0);
    finds(&w, 180,
          "cost @:5: nobody can tell how old `prices` are: compare them with the "
          "provider's and set `options.prices_date`\n");
    in->n_options = 0;
    in->option_names = in->option_values = NULL;
    case_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_all_is_well_nothing_is_found),
        cmocka_unit_test(an_event_that_is_not_in_the_catalogue_is_found),
        cmocka_unit_test(a_class_of_failures_without_an_entry_is_found),
        cmocka_unit_test(a_secret_past_its_day_or_missing_is_found),
        cmocka_unit_test(a_failed_outcome_that_nobody_takes_is_found),
        cmocka_unit_test(a_test_that_is_missing_old_or_bad_is_found),
        cmocka_unit_test(a_cost_beyond_the_model_or_the_budget_is_found),
        cmocka_unit_test(a_price_list_that_is_old_or_of_no_day_is_found),
    };

    return cmocka_run_group_tests(tests, write_file, remove_file);
}
