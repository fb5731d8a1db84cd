/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/add/stanza.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

static struct json *json(const char *text)
{
    char error[100];
    struct json *value = js_parse(text, strlen(text), error, sizeof(error));

    assert_non_null(value);
    return value;
}

/* The stanza of a manifest. */
static char *written(const char *manifest, bool has_webhook)
{
    struct json *m = json(manifest), *left_out = json("{\"spare\":true}"),
                *options = json("{\"model\":\"a: b\",\"pages\":7}");
    const struct stanza stanza = {.name = "my-shop",
                                  .connector = "pay",
                                  .provider = "stripe",
                                  .manifest = m,
                                  .mode = "test",
                                  .options = options,
                                  .left_out = left_out,
                                  .has_webhook = has_webhook};
    struct buf text = BUF_NULL;

    stanza_write(&stanza, &text);
    js_free(m);
    js_free(left_out);
    js_free(options);
    return (char *)text.bytes;
}

static void a_stanza_has_what_the_manifest_asks_for(void **state)
{
    (void)state;
    _free_ char *text =
        written("{\"service\":\"Shop: pays\",\"secrets\":[{\"name\":\"key\"},{\"name\":"
                "\"spare\"}],\"limits\":\"{ rate: 1/s }\",\"operations\":[]}",
                /* has_webhook= */ true);

    assert_string_equal(
        text, "  my-shop:\n"
              "    connector: pay\n"
              "    provider: stripe\n"
              "    service: \"Shop: pays\"\n"
              "    mode: test\n"
              "    secrets: { key: vault:my_shop_key }\n"
              "    options:\n"
              "      model: \"a: b\"\n"
              "      pages: 7\n"
              "    webhooks:\n"
              "      - { path: my-shop, scheme: stripe, secrets: [vault:my_shop_webhook] "
              "}\n"
              "    limits: { rate: 1/s }\n");
}

static void polls_have_schedules_and_those_that_want_data_are_a_comment(void **state)
{
    (void)state;
    static const struct {
        const char *operations, *fragment;
    } cases[] = {
        {"{\"name\":\"events\",\"is_poll\":true,\"example\":{}}",
         "    schedules:\n      - { operation: events, every: 5m, missed: once }\n"},
        {"{\"name\":\"poll\",\"is_poll\":true,\"example\":{\"path\":\"/x\"}}",
         "#   schedules:\n#     - { operation: poll, every: 5m, missed: once }\n"},
        {"{\"name\":\"a\",\"is_poll\":true},{\"name\":\"charge\"},{\"name\":\"b\","
         "\"is_poll\":true}",
         "    schedules:\n      - { operation: a, every: 5m, missed: once }\n"
         "      - { operation: b, every: 5m, missed: once }\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _free_ char *manifest = mem_format("{\"operations\":[%s]}", cases[i].operations);
        _free_ char *text = written(manifest, /* has_webhook= */ false);
        if (!strstr(text, cases[i].fragment))
            fail_msg("case %zu: not in it: %s\n%s", i, cases[i].fragment, text);
        assert_null(strstr(text, "charge"));
        assert_non_null(strstr(text, "#     - { path: my-shop"));
    }
}

static void a_stanza_goes_behind_the_line_of_its_section(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after; /* NULL: it has no place there */
    } cases[] = {
        {"", "\nintegrations:\nNEW\n"},
        {"data: x", "data: x\n\nintegrations:\nNEW\n"},
        {"data: x\n", "data: x\n\nintegrations:\nNEW\n"},
        {"integrations:\n  a: {}\nlog: {}\n", "integrations:\nNEW\n  a: {}\nlog: {}\n"},
        {"integrations: # mine\n  a: {}\n", "integrations: # mine\nNEW\n  a: {}\n"},
        {"#integrations:\n", "#integrations:\n\nintegrations:\nNEW\n"},
        {"integrations:", "integrations:\nNEW\n"},
        {"integrations: { a: {} }\n", NULL},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out = BUF_NULL;
        assert_int_equal(stanza_insert(cases[i].before, "NEW\n", &out),
                         cases[i].after != NULL);
        if (cases[i].after)
            assert_string_equal(buf_str(&out), cases[i].after);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stanza_has_what_the_manifest_asks_for),
        cmocka_unit_test(polls_have_schedules_and_those_that_want_data_are_a_comment),
        cmocka_unit_test(a_stanza_goes_behind_the_line_of_its_section),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
