/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is said of secrets: which there are, when one is due, when an old one can go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/credential.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"

#define MINUTE UINT64_C(60000000)
#define DAY    UINT64_C(86400000000)

static struct config *configured(void)
{
    static const char text[] =
        "deliver:\n  - { name: app, types: [\"a.>\"], to: \"https://app.example.com/\", "
        "secret: vault:app_hook }\n"
        "integrations:\n"
        "  one:\n    connector: payment\n    rotate_every: 90d\n"
        "    secrets: { api_key: vault:key }\n"
        "    webhooks:\n"
        "      - { path: in, scheme: stripe, secrets: [vault:hook, file:/nowhere] }\n"
        "  two: { connector: payment, rotate_every: 30d, secrets: { api_key: vault:key } "
        "}\n"
        "  three: { connector: payment, secrets: { api_key: vault:other } }\n";
    struct buf errors = BUF_NULL;
    struct config *config = config_parse("./signalbox.yaml", text, strlen(text), &errors);

    if (!config)
        print_error("%s\n", buf_str(&errors));
    assert_non_null(config);
    buf_fini(&errors);
    return config;
}

static void note_place(void *user, const struct config_secret *secret, const char *at)
{
    buf_format(user, "%s=%s ", at, secret->name);
}

static void every_place_of_the_configuration_is_named(void **state)
{
    struct config *config = configured();
    struct buf places = BUF_NULL;

    (void)state;
    credential_each(config, note_place, &places);
    assert_string_equal(buf_str(&places), "integrations.one.secrets.api_key=key "
                                          "integrations.one.webhooks=hook "
                                          "integrations.one.webhooks=/nowhere "
                                          "integrations.two.secrets.api_key=key "
                                          "integrations.three.secrets.api_key=other "
                                          "deliver=app_hook ");
    buf_fini(&places);
    config_free(config);
}

static void the_strictest_rule_says_when_it_is_due(void **state)
{
    static const struct {
        enum secret_from from;
        const char *name;
        uint64_t days;
    } cases[] = {{SECRET_VAULT, "key", 30},     {SECRET_VAULT, "hook", 90},
                 {SECRET_FILE, "/nowhere", 90}, {SECRET_FILE, "key", 0},
                 {SECRET_VAULT, "other", 0},    {SECRET_VAULT, "app_hook", 0}};
    struct config *config = configured();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct config_secret secret = {.from = cases[i].from,
                                             .name = (char *)(uintptr_t)cases[i].name};
        assert_int_equal(credential_due_us(config, &secret, 5),
                         cases[i].days ? 5 + cases[i].days * DAY : 0);
        bool is_used = i < 3 || strcmp(cases[i].name, "other") == 0;
        assert_int_equal(credential_is_matched(config, &secret), is_used);
    }
    config_free(config);
}

static void
an_old_one_goes_when_only_the_newer_one_has_matched_for_long_enough(void **state)
{
    static const struct {
        uint64_t old, newer;
        const char *says;
    } cases[] = {
        {0, 0, "the newer one has not matched yet"},
        {50, 0, "the newer one has not matched yet"},
        {50, 51, "it still matches"},
        {50, 52, "it still matches"}, /* it may have matched a minute after it was said */
        {50, 53, "it can go"},
        {0, 50, "it can go"},
        {60, 50, "it still matches"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct document_use old = {0, cases[i].old * MINUTE},
                                  newer = {0, cases[i].newer * MINUTE};
        assert_non_null(strstr(credential_old(&old, &newer), cases[i].says));
    }
}

static void of_a_vault_that_is_not_open_nothing_is_said(void **state)
{
    const struct config_secret secret = {.from = SECRET_VAULT,
                                         .name = (char *)(uintptr_t) "key"},
                               file = {.from = SECRET_FILE,
                                       .name = (char *)(uintptr_t) "/nowhere/at/all"};
    const struct credentials all = {.config = NULL};
    struct document_secret about = {.is_there = true};

    (void)state;
    assert_false(credential_about(&all, &secret, &about));
    assert_true(credential_about(&all, &file, &about));
    assert_false(about.is_there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_place_of_the_configuration_is_named),
        cmocka_unit_test(the_strictest_rule_says_when_it_is_due),
        cmocka_unit_test(
            an_old_one_goes_when_only_the_newer_one_has_matched_for_long_enough),
        cmocka_unit_test(of_a_vault_that_is_not_open_nothing_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
