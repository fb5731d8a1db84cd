/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Who is handed what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/up/keys.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/vault/secretfile.h"
#include "lib/vault/vault.h"

#define HOUR UINT64_C(3600000000)

struct place {
    char dir[32];
    struct config *config;
    char error[1024];
};

static void put(struct place *p, const char *name, const char *value, uint64_t keep_us)
{
    struct vault *vault =
        vault_open(p->config->vault.vault_file, p->config->vault.master_key_file, true,
                   p->error, sizeof(p->error));

    assert_non_null(vault);
    vault_set(vault, name, value, clock_wall_us(), keep_us);
    assert_true(vault_save(vault, p->error, sizeof(p->error)));
    vault_close(vault);
}

static void configure(struct place *p, const char *mode)
{
    struct buf errors = BUF_NULL;
    _free_ char *path = mem_format("%s/signalbox.yaml", p->dir);
    _free_ char *text = mem_format(
        "integrations:\n"
        "  one:\n    connector: payment\n    mode: %s\n    secrets: { api_key: "
        "vault:one_key }\n"
        "    webhooks:\n      - { path: in, scheme: stripe, secrets: [vault:one_hook] }\n"
        "  two: { connector: payment, secrets: { api_key: file:two.key } }\n",
        mode);

    p->config = config_parse(path, text, strlen(text), &errors);
    assert_non_null(p->config);
    buf_fini(&errors);
}

static int make_place(void **state)
{
    struct place *p = mem_alloc(sizeof(*p));

    strcpy(p->dir, "/tmp/signalbox-test-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    configure(p, "test");
    put(p, "one_key", "sk_test_one \"quoted\" \\", 0);
    put(p, "one_hook", "whsec_one", 0);
    _free_ char *file = mem_format("%s/two.key", p->dir);
    assert_true(secretfile_create(file, "sk_test_two\n", 12, p->error, sizeof(p->error)));
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;
    _free_ char *command = mem_format("rm -rf %s", p->dir);

    assert_int_equal(system(command), 0);
    config_free(p->config);
    free(p);
    return 0;
}

static struct keys *read_keys(struct place *p, const struct keys *before)
{
    struct keys *keys = keys_read(p->config, before, p->error, sizeof(p->error));

    if (!keys)
        print_error("%s\n", p->error);
    assert_non_null(keys);
    return keys;
}

static struct json *parsed(char *text)
{
    char why[64];
    struct json *value = js_parse(text, strlen(text), why, sizeof(why));

    assert_non_null(value);
    free(text);
    return value;
}

/* Names have dots, so paths do not find them. */
static const char *member(const struct json *object, const char *name)
{
    void *cursor = NULL;
    const char *at;

    for (const struct json *value; (value = js_next(object, &cursor, &at)) != NULL;)
        if (strcmp(at, name) == 0)
            return js_text(value, js_is_array(value) ? "0" : "", NULL);
    return NULL;
}

static void each_gets_its_own_and_nothing_else(void **state)
{
    struct place *p = *state;
    struct keys *keys = read_keys(p, NULL);
    struct json *broker = parsed(keys_for_broker(keys)),
                *gateway = parsed(keys_for_gateway(keys)),
                *one = parsed(
                    keys_for_connector(keys, config_integration(p->config, "one"))),
                *two = parsed(
                    keys_for_connector(keys, config_integration(p->config, "two"))),
                *logger = parsed(keys_for_logger(keys));

    assert_int_equal(js_count(logger), 0);
    assert_int_equal(js_count(broker), 3);
    assert_int_equal(js_count(gateway), 3); /* a secret comes with where it is from */
    assert_int_equal(js_count(one), 3);
    assert_int_equal(js_count(two), 3);
    assert_string_equal(member(one, "api_key"), "sk_test_one \"quoted\" \\");
    assert_string_equal(member(two, "api_key"), "sk_test_two");
    assert_string_equal(member(gateway, "webhook.one.in"), "whsec_one");
    assert_string_equal(member(broker, "bus.gateway"), member(gateway, "bus.gateway"));
    assert_string_equal(member(broker, "bus.one"), member(one, "bus"));
    assert_string_equal(member(broker, "bus.two"), member(two, "bus"));
    assert_int_equal(strlen(member(one, "bus")), 64);
    assert_string_not_equal(member(one, "bus"), member(two, "bus"));
    js_free(broker);
    js_free(gateway);
    js_free(one);
    js_free(two);
    js_free(logger);
    keys_free(keys);
}

/* The same place with a bus between hosts; `bus` is the content of that section. */
static void configure_bus(struct place *p, const char *bus)
{
    struct buf errors = BUF_NULL;
    _free_ char *path = mem_format("%s/signalbox.yaml", p->dir);
    _free_ char *text = mem_format(
        "bus: { %s }\nintegrations:\n"
        "  one: { connector: payment, secrets: { api_key: vault:one_key },\n"
        "    webhooks: [{ path: in, scheme: stripe, secrets: [vault:one_hook] }] }\n",
        bus);

    config_free(p->config);
    p->config = config_parse(path, text, strlen(text), &errors);
    if (!p->config)
        print_error("%s\n", buf_str(&errors));
    assert_non_null(p->config);
    buf_fini(&errors);
}

#define PUBLIC "0123456789abcdefghijABCDEFGHIJ.-:+=^!/*?"

static void make_bus_key(struct place *p, const char *text)
{
    _free_ char *file = mem_format("%s/bus.key", p->dir);

    (void)remove(file);
    assert_true(secretfile_create(file, text, strlen(text), p->error, sizeof(p->error)));
}

static void the_key_of_a_link_goes_to_its_end_only(void **state)
{
    struct place *p = *state;

    make_bus_key(p, PUBLIC); /* any forty characters */
    configure_bus(p, "listen: \"127.0.0.1:7070\", peers: { far: { public_key: \"" PUBLIC
                     "\", role: connector, integration: one } }");
    struct keys *keys = read_keys(p, NULL);
    struct json *broker = parsed(keys_for_broker(keys)),
                *gateway = parsed(keys_for_gateway(keys)),
                *one = parsed(
                    keys_for_connector(keys, config_integration(p->config, "one")));
    assert_string_equal(member(broker, "curve"), PUBLIC);
    assert_null(member(gateway, "curve"));
    assert_null(member(one, "curve"));
    assert_null(member(one, "api_key")); /* that one is on the other host */
    assert_string_equal(member(gateway, "webhook.one.in"), "whsec_one");
    js_free(broker);
    js_free(gateway);
    js_free(one);
    keys_free(keys);

    configure_bus(p, "connect: \"127.0.0.1:7070\", broker_key: \"" PUBLIC "\"");
    keys = read_keys(p, NULL);
    one = parsed(keys_for_connector(keys, config_integration(p->config, "one")));
    gateway = parsed(keys_for_gateway(keys));
    assert_string_equal(member(one, "curve"), PUBLIC);
    assert_non_null(member(one, "api_key"));
    assert_null(member(gateway, "webhook.one.in")); /* webhooks come in elsewhere */
    js_free(one);
    js_free(gateway);
    keys_free(keys);
}

static void a_link_without_its_key_says_what_makes_one(void **state)
{
    struct place *p = *state;

    configure_bus(p, "listen: \"127.0.0.1:7070\"");
    assert_null(keys_read(p->config, NULL, p->error, sizeof(p->error)));
    assert_non_null(strstr(p->error, "`signalbox key server` makes one"));
    make_bus_key(p, "obviously-no-key");
    assert_null(keys_read(p->config, NULL, p->error, sizeof(p->error)));
    assert_non_null(strstr(p->error, "bus.key: it holds no key"));
    assert_null(strstr(p->error, "obviously"));
    configure_bus(p, "connect: \"127.0.0.1:7070\", broker_key: \"" PUBLIC "\"");
    assert_null(keys_read(p->config, NULL, p->error, sizeof(p->error)));
    assert_non_null(strstr(p->error, "`signalbox key new NAME` makes one"));
}

static void keys_of_the_bus_last_as_long_as_the_supervisor(void **state)
{
    struct place *p = *state;
    struct keys *first = read_keys(p, NULL), *again = read_keys(p, first),
                *other = read_keys(p, NULL);
    char *a = keys_for_broker(first), *b = keys_for_broker(again),
         *c = keys_for_broker(other);

    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    free(a);
    free(b);
    free(c);
    keys_free(first);
    keys_free(again);
    keys_free(other);
}

static void an_old_version_is_handed_over_until_it_ends(void **state)
{
    struct place *p = *state;

    put(p, "one_hook", "whsec_new", HOUR);
    struct keys *keys = read_keys(p, NULL);
    char *text = keys_for_gateway(keys);
    assert_non_null(strstr(text, "[\"whsec_new\",\"whsec_one\"]"));
    assert_non_null(strstr(text, "\"origin.webhook.one.in\":"
                                 "[\"vault:one_hook#2\",\"vault:one_hook#1\"]"));
    assert_true(keys_until_us(keys) > clock_wall_us());
    assert_true(keys_until_us(keys) <= clock_wall_us() + HOUR);
    free(text);
    keys_free(keys);
}

static void a_file_has_no_version_and_says_so(void **state)
{
    struct place *p = *state;
    struct keys *keys = read_keys(p, NULL);
    char *two = keys_for_connector(keys, config_integration(p->config, "two"));

    assert_non_null(strstr(two, "\"origin.api_key\":[\"file:"));
    assert_non_null(strstr(two, "two.key#0\"]"));
    free(two);
    keys_free(keys);
}

static void everything_that_is_missing_is_named(void **state)
{
    struct place *p = *state;
    _free_ char *file = mem_format("%s/two.key", p->dir);
    struct vault *vault =
        vault_open(p->config->vault.vault_file, p->config->vault.master_key_file, true,
                   p->error, sizeof(p->error));

    assert_true(vault_remove(vault, "one_key") && vault_remove(vault, "one_hook"));
    assert_true(vault_save(vault, p->error, sizeof(p->error)));
    vault_close(vault);
    assert_int_equal(remove(file), 0);
    assert_null(keys_read(p->config, NULL, p->error, sizeof(p->error)));
    assert_non_null(strstr(p->error, "no secret `one_key`"));
    assert_non_null(strstr(p->error, "no secret `one_hook`"));
    assert_non_null(strstr(p->error, "two.key"));
}

static void a_key_of_the_other_mode_is_refused_and_not_shown(void **state)
{
    struct place *p = *state;

    put(p, "one_key", "sk_live_obviously_fake", 0);
    assert_null(keys_read(p->config, NULL, p->error, sizeof(p->error)));
    assert_non_null(strstr(p->error, "`api_key` is a live key"));
    assert_null(strstr(p->error, "obviously"));
    config_free(p->config);
    configure(p, "live");
    struct keys *keys = read_keys(p, NULL);
    keys_free(keys);
    put(p, "one_key", "rk_test_obviously_fake", 0);
    assert_null(keys_read(p->config, NULL, p->error, sizeof(p->error)));
    assert_non_null(strstr(p->error, "is a test key"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_gets_its_own_and_nothing_else),
        TEST(the_key_of_a_link_goes_to_its_end_only),
        TEST(a_link_without_its_key_says_what_makes_one),
        TEST(keys_of_the_bus_last_as_long_as_the_supervisor),
        TEST(an_old_version_is_handed_over_until_it_ends),
        TEST(a_file_has_no_version_and_says_so),
        TEST(everything_that_is_missing_is_named),
        TEST(a_key_of_the_other_mode_is_refused_and_not_shown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
