/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Which version of a secret was used when, as the log has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/ledger/secrets.h"
#include "proto/used.h"
#include "tests/unit/ledger/maker.h"

static int setup(void **state)
{
    *state = maker_new(true);
    return 0;
}

static int teardown(void **state)
{
    maker_free(*state);
    return 0;
}

static void note(struct maker *m, const char *type, const char *integration,
                 const char *use, int version, int first, int last)
{
    _free_ char *data = mem_format(
        "{\"name\":\"%s\",\"use\":\"%s\",\"secret\":\"vault:hook\",\"version\":%d,"
        "\"first_us\":%d,\"last_us\":%d}",
        integration, use, version, first, last);

    maker_record(m, &(struct record_parts){.kind = RECORD_NOTE,
                                           .type = type,
                                           .data = data,
                                           .data_len = strlen(data)});
}

static void expect(struct maker *m, const char *integration, int version, uint64_t first,
                   uint64_t last)
{
    struct ledger_secrets *secrets = ledger_secrets(maker_ledger(m));
    struct ledger_used used;

    assert_non_null(secrets);
    used = ledger_secrets_used(secrets, integration, "vault:hook", version);
    assert_int_equal(used.first_us, first);
    assert_int_equal(used.last_us, last);
    ledger_secrets_free(secrets);
}

static void the_newest_note_of_each_version_counts(void **state)
{
    struct maker *m = *state;

    expect(m, NULL, 1, 0, 0); /* of an empty log */
    note(m, USED_TYPE, "stripe", "webhook.a", 1, 10, 10);
    maker_seal(m);
    note(m, USED_TYPE, "stripe", "webhook.a", 2, 20, 20);
    note(m, USED_TYPE, "stripe", "webhook.a", 1, 10, 70);
    note(m, "signalbox.breaker", "stripe", "webhook.a", 1, 1, 900);
    maker_seal(m);
    expect(m, NULL, 1, 10, 70);
    expect(m, NULL, 2, 20, 20);
    expect(m, NULL, 3, 0, 0);
}

static void uses_of_several_integrations_are_told_apart_or_together(void **state)
{
    struct maker *m = *state;

    note(m, USED_TYPE, "stripe", "webhook.a", 1, 30, 70);
    note(m, USED_TYPE, "stripe", "webhook.b", 1, 10, 60);
    note(m, USED_TYPE, "other", "api_key", 1, 5, 90);
    maker_seal(m);
    expect(m, "stripe", 1, 10, 70);
    expect(m, "other", 1, 5, 90);
    expect(m, "nobody", 1, 0, 0);
    expect(m, NULL, 1, 5, 90);
}

static void what_a_checkpoint_repeats_outlives_its_segment(void **state)
{
    struct maker *m = *state;

    note(m, USED_TYPE, "stripe", "webhook.a", 1, 10, 10);
    maker_seal(m);
    maker_segment(m);
    maker_checkpoint(m);
    note(m, USED_TYPE, "stripe", "webhook.a", 1, 10, 10);
    maker_seal(m);
    note(m, USED_TYPE, "stripe", "webhook.a", 2, 20, 20);
    maker_seal(m);
    maker_trim(m, 2);
    expect(m, NULL, 1, 10, 10);
    expect(m, NULL, 2, 20, 20);
}

static void what_is_no_note_of_the_brokers_is_passed_over(void **state)
{
    static const char *const broken[] = {"", "{", "[]", "{\"name\":\"stripe\"}",
                                         "{\"name\":1,\"use\":2,\"secret\":3}"};
    struct maker *m = *state;

    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
        maker_record(m, &(struct record_parts){.kind = RECORD_NOTE,
                                               .type = USED_TYPE,
                                               .data = broken[i],
                                               .data_len = strlen(broken[i])});
    note(m, USED_TYPE, "stripe", "webhook.a", 1, 10, 10);
    maker_seal(m);
    expect(m, NULL, 1, 10, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newest_note_of_each_version_counts),
        TEST(uses_of_several_integrations_are_told_apart_or_together),
        TEST(what_a_checkpoint_repeats_outlives_its_segment),
        TEST(what_is_no_note_of_the_brokers_is_passed_over),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
