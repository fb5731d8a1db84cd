/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/form.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/faults.h"
#include "sandbox/stripe/stripe.h"
#include "sandbox/webhook.h"

static bool add(struct faults *faults, const char *json)
{
    char why[160] = "";
    struct json *description = js_parse(json, strlen(json), why, sizeof(why));
    bool is_added = faults_add(faults, description, why, sizeof(why));

    js_free(description);
    assert_true(is_added || *why);
    return is_added;
}

static void a_rule_hits_the_next_calls_and_is_gone(void **state)
{
    struct faults faults = {.random = 1};

    (void)state;
    assert_true(add(&faults, "{\"kind\":\"429\",\"next\":2,\"retry_after\":7}"));
    assert_int_equal(faults_take(&faults, "stripe").retry_after, 7);
    assert_int_equal(faults_take(&faults, "stripe").kind, FAULT_RATE_LIMITED);
    assert_int_equal(faults_take(&faults, "stripe").kind, FAULT_NONE);
    assert_int_equal(faults.n, 0);
}

static void a_rate_hits_its_share(void **state)
{
    struct faults faults = {.random = 42};
    int hits = 0;

    (void)state;
    assert_true(add(&faults, "{\"kind\":\"500\",\"rate\":0.25}"));
    for (int i = 0; i < 10000; i++)
        hits += faults_take(&faults, "stripe").kind == FAULT_BROKEN;
    assert_in_range(hits, 2300, 2700);
}

static void bad_rules_are_refused_with_a_reason(void **state)
{
    static const char *const bad[] = {
        "{}", "{\"kind\":\"fire\"}", "{\"kind\":\"500\",\"rate\":2}",
        "{\"kind\":\"500\",\"next\":-1}", "{\"kind\":\"slow\",\"ms\":-1}"};
    struct faults faults = {.random = 1};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(add(&faults, bad[i]));
    for (int i = 0; i < FAULT_RULES_MAX; i++)
        assert_true(add(&faults, "{\"kind\":\"cut\"}"));
    assert_false(add(&faults, "{\"kind\":\"cut\"}"));
}

static void forms_are_read_as_stripes_own_sdk_writes_them(void **state)
{
    static const char body[] = "amount=2000&payment_method_types[0]=card&metadata[order%"
                               "20id]=6735%20%26%20%C3%BC&metadata%5Bb%5D=2&"
                               "shipping[address][line1]=x&description=&flag&bad=%zz%4";
    struct form form = FORM_NULL;
    struct json *metadata;

    (void)state;
    assert_true(form_read(&form, body, strlen(body)));
    assert_string_equal(form_get(&form, "amount"), "2000");
    assert_string_equal(form_get(&form, "description"), "");
    assert_string_equal(form_get(&form, "flag"), "");
    assert_string_equal(form_get(&form, "bad"), "%zz%4");
    assert_string_equal(form_get(&form, "shipping[address][line1]"), "x");
    assert_null(form_get(&form, "shipping"));
    assert_true(form_has(&form, "shipping"));
    assert_false(form_has(&form, "ship"));
    metadata = form_object(&form, "metadata");
    assert_string_equal(js_text(metadata, "order id", ""), "6735 & \xc3\xbc");
    assert_string_equal(js_text(metadata, "b", ""), "2");
    js_free(metadata);
    form_fini(&form);
}

static void a_form_with_too_many_fields_is_refused(void **state)
{
    struct form form = FORM_NULL;
    char *body = mem_alloc(2 * (FORM_FIELDS_MAX + 2));

    (void)state;
    for (int i = 0; i <= FORM_FIELDS_MAX; i++)
        memcpy(body + 2 * i, "a&", 2);
    assert_false(form_read(&form, body, strlen(body)));
    form_fini(&form);
    free(body);
}

/* Computed with Python's hmac over "1700000000.{}" and the key whsec_test. */
static void a_signature_is_what_stripe_would_send(void **state)
{
    _free_ char *signature = stripe_signature("whsec_test", 1700000000, "{}", 2);

    (void)state;
    assert_string_equal(
        signature, "t=1700000000,v1="
                   "35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rule_hits_the_next_calls_and_is_gone),
        cmocka_unit_test(a_rate_hits_its_share),
        cmocka_unit_test(bad_rules_are_refused_with_a_reason),
        cmocka_unit_test(forms_are_read_as_stripes_own_sdk_writes_them),
        cmocka_unit_test(a_form_with_too_many_fields_is_refused),
        cmocka_unit_test(a_signature_is_what_stripe_would_send),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
