/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Good configurations: values, defaults, differences, the reference; and files that
 * cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/config/config.h"

static const char full[] =
    "data: ./data                 # log segments and views\n"
    "run: /run/signalbox\n"
    "gateway: { listen: \"[::1]:8081\", public_url: https://hooks.example.com/, "
    "max_body: 512KiB }\n"
    "log: { retain_age: 7d, retain_size: 50GiB }\n"
    "groups:\n"
    "  billing: { types: [\"payment.*.succeeded\", \"payment.checkout.>\"], protect: "
    "true, order: key }\n"
    "integrations:\n"
    "  stripe:\n"
    "    connector: payment\n"
    "    provider: stripe\n"
    "    service: Stripe\n"
    "    mode: live\n"
    "    default: true\n"
    "    base_url: https://api.stripe.com\n"
    "    secrets: { api_key: vault:stripe_api_key, other: file:keys/other }\n"
    "    rotate_every: 90d\n"
    "    owner: payments@example.com\n"
    "    webhooks:\n"
    "      - { path: stripe, scheme: stripe, secrets: [vault:new, vault:old], tolerance: "
    "5m }\n"
    "    schedules:\n"
    "      - { operation: events, every: 5m, missed: all }\n"
    "    limits: { rate: 60/m, concurrency: 4, timeout: 10s, attempts: 3, deadline: 1h, "
    "breaker: { failures: 5, pause: 10s } }\n"
    "    budget: { per_day: 50 USD }\n"
    "    prices: { charge: [0.30 USD, 0.35 USD since 2027-01-01], refund: 0.000125 USD "
    "}\n"
    "    options: { stripe_version: \"2024-06-20\" }\n"
    "    why: { pattern: webhook, because: \"billing events must not wait for a poll\" "
    "}\n";

static struct config *good(const char *text)
{
    struct buf errors = BUF_NULL;
    struct config *config =
        config_parse("/etc/signalbox/signalbox.yaml", text, strlen(text), &errors);

    if (!config)
        print_error("%s", buf_str(&errors));
    assert_non_null(config);
    buf_fini(&errors);
    return config;
}

static void every_value_arrives(void **state)
{
    struct config *c = good(full);
    const struct config_integration *in = config_integration(c, "stripe");

    (void)state;
    assert_string_equal(c->data, "/etc/signalbox/data");
    assert_string_equal(c->run, "/run/signalbox");
    assert_string_equal(c->gateway.address, "::1");
    assert_int_equal(c->gateway.port, 8081);
    assert_string_equal(c->gateway.public_url, "https://hooks.example.com");
    assert_int_equal(c->gateway.max_body, 512 << 10);
    assert_int_equal(c->log.retain_age_us, UINT64_C(7) * 86400 * 1000000);
    assert_int_equal(c->groups[0].n_types, 2);
    assert_true(c->groups[0].protect);
    assert_int_equal(c->groups[0].order, ORDER_KEY);
    assert_non_null(in);
    assert_string_equal(in->connector, "payment");
    assert_string_equal(in->mode, "live");
    assert_true(in->is_default && !in->allow_private_network);
    assert_int_equal(in->order, ORDER_NONE);
    assert_int_equal(in->n_secrets, 2);
    assert_string_equal(in->secrets[0].use, "api_key");
    assert_int_equal(in->secrets[0].from, SECRET_VAULT);
    assert_string_equal(in->secrets[1].name, "/etc/signalbox/keys/other");
    assert_int_equal(in->webhooks[0].n_secrets, 2);
    assert_int_equal(in->webhooks[0].tolerance_us, 300000000);
    assert_int_equal(in->webhooks[0].line, 19);
    assert_int_equal(in->schedules[0].missed, MISSED_ALL);
    assert_true(in->limits.rate > 0.99 && in->limits.rate < 1.01);
    assert_int_equal(in->limits.attempts, 3);
    assert_int_equal(in->limits.breaker.failures, 5);
    assert_int_equal(in->limits.breaker.window_us, 60000000);
    assert_int_equal(in->limits.breaker.pause_us, 10000000);
    assert_int_equal(in->budget.per_day.micros, 50000000);
    assert_string_equal(in->budget.per_day.currency, "USD");
    assert_int_equal(in->n_prices, 3);
    assert_string_equal(in->option_values[0], "2024-06-20");
    assert_string_equal(in->why.pattern, "webhook");
    config_free(c);
}

static void the_newest_price_that_has_begun_is_in_force(void **state)
{
    struct config *c = good(full);
    const struct config_integration *in = config_integration(c, "stripe");
    const uint64_t midnight = UINT64_C(1798761600000000); /* 2027-01-01 */

    (void)state;
    assert_int_equal(config_price(in, "charge", midnight - 1)->price.micros, 300000);
    assert_int_equal(config_price(in, "charge", midnight)->price.micros, 350000);
    assert_int_equal(config_price(in, "refund", 0)->price.micros, 125);
    assert_null(config_price(in, "events", midnight));
    config_free(c);
}

static void an_empty_file_has_all_defaults(void **state)
{
    struct config *c = good("");

    (void)state;
    assert_string_equal(c->gateway.address, "127.0.0.1");
    assert_int_equal(c->gateway.port, 8080);
    assert_int_equal(c->gateway.max_body, 1 << 20);
    assert_string_equal(c->gateway.token_file, "/etc/signalbox/data/api-token");
    assert_int_equal(c->log.segment_size, 1 << 30);
    assert_int_equal(c->log.reserve, 64 << 20);
    assert_int_equal(c->log.retain_age_us, UINT64_C(30) * 86400 * 1000000);
    assert_string_equal(c->vault.vault_file, "/etc/signalbox/data/vault");
    assert_string_equal(c->vault.master_key_file, "/etc/signalbox/signalbox.key");
    config_free(c);
}

static void an_integration_has_defaults(void **state)
{
    struct config *c = good("integrations: { stripe: { connector: payment } }\n");
    const struct config_integration *in = &c->integrations[0];

    (void)state;
    assert_string_equal(in->service, "stripe");
    assert_string_equal(in->mode, "test");
    assert_int_equal(in->limits.concurrency, 0);
    assert_int_equal(in->limits.attempts, 8);
    assert_int_equal(in->limits.timeout_us, 30000000);
    assert_int_equal(in->limits.deadline_us, UINT64_C(86400000000));
    assert_null(in->why.pattern);
    assert_null(config_integration(c, "other"));
    config_free(c);
}

static void data_elsewhere_takes_its_files_with_it(void **state)
{
    struct config *c = good("gateway: { listen: 127.0.0.1:1 }\ndata: /srv/sb/\n");

    (void)state;
    assert_string_equal(c->data, "/srv/sb");
    assert_string_equal(c->gateway.token_file, "/srv/sb/api-token");
    config_free(c);
}

#define KEY_A "0123456789abcdefghijABCDEFGHIJ.-:+=^!/*?"
#define KEY_B "abcdefghij0123456789ABCDEFGHIJ.-:+=^!/*?"

static void peers_of_other_hosts_have_their_entries(void **state)
{
    struct config *c = good("groups: { billing: { types: [\"order.>\"] } }\n"
                            "integrations: { stripe: { connector: payment }, local: { "
                            "connector: payment } }\n"
                            "bus:\n"
                            "  listen: 10.0.0.1:7070\n"
                            "  live: \"[::1]:7071\"\n"
                            "  peers:\n"
                            "    app: { public_key: \"" KEY_A
                            "\", publish: [\"order.*\"], groups: [billing] }\n"
                            "    far: { public_key: \"" KEY_B
                            "\", role: connector, integration: stripe }\n");
    char *listen = config_bus_listen(c), *live = config_live_listen(c);

    (void)state;
    assert_string_equal(listen, "tcp://10.0.0.1:7070");
    assert_string_equal(live, "tcp://[::1]:7071");
    assert_string_equal(c->bus.key_file, "/etc/signalbox/bus.key");
    const struct config_peer *app = config_peer_of_key(c, KEY_A);
    assert_string_equal(app->name, "app");
    assert_string_equal(app->role, "client");
    assert_string_equal(app->publish[0], "order.*");
    assert_string_equal(app->groups[0], "billing");
    assert_false(app->observe);
    assert_string_equal(config_peer_of_key(c, KEY_B)->integration, "stripe");
    assert_null(config_peer_of_key(c, "0123456789012345678901234567890123456789"));
    assert_true(config_is_elsewhere(c, "stripe"));
    assert_false(config_is_elsewhere(c, "local"));
    free(listen);
    free(live);
    config_free(c);
}

static void a_host_of_connectors_knows_the_brokers(void **state)
{
    struct config *c =
        good("bus: { connect: broker.example.com:7070, broker_key: \"" KEY_A "\" }\n");
    char *bus = config_bus_endpoint(c), *listen = config_bus_listen(c);

    (void)state;
    assert_string_equal(bus, "tcp://broker.example.com:7070");
    assert_null(listen);
    free(bus);
    config_free(c);
}

static void endpoints_are_in_the_run_directory(void **state)
{
    struct config *c = good("run: /r\n");
    char *bus = config_bus_endpoint(c), *live = config_live_endpoint(c),
         *logger = config_logger_endpoint(c), *dir = config_log_dir(c);

    (void)state;
    assert_string_equal(bus, "ipc:///r/bus.sock");
    assert_string_equal(live, "ipc:///r/live.sock");
    assert_string_equal(logger, "ipc:///r/logger.sock");
    assert_string_equal(dir, "/etc/signalbox/data/log");
    free(bus);
    free(live);
    free(logger);
    free(dir);
    config_free(c);
}

static void webhooks_come_to_the_public_address_or_the_gateways_own(void **state)
{
    (void)state;
    static const struct {
        const char *gateway, *url;
    } cases[] = {
        {"public_url: https://h.example.com", "https://h.example.com/webhooks/stripe"},
        {"public_url: https://h.example.com/in//",
         "https://h.example.com/in/webhooks/stripe"},
        {"listen: 127.0.0.1:8080", "http://127.0.0.1:8080/webhooks/stripe"},
        {"listen: \"[::1]:8080\"", "http://[::1]:8080/webhooks/stripe"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[200];
        snprintf(text, sizeof(text), "gateway: { %s }\n", cases[i].gateway);
        struct config *c = good(text);
        char *url = config_webhook_url(c, "stripe");
        assert_string_equal(url, cases[i].url);
        free(url);
        config_free(c);
    }
}

static void a_difference_names_each_path(void **state)
{
    static const char before[] =
        "integrations:\n  a: { connector: payment, limits: { rate: 10/s } }\n"
        "  b: { connector: payment, secrets: { api_key: vault:one } }\n";
    static const char after[] =
        "log: { retain_age: 1d }\nintegrations:\n"
        "  b: { connector: payment, secrets: { api_key: vault:two } }\n"
        "  c: { connector: payment }\n";
    struct config *one = good(before), *two = good(after);
    struct buf out = BUF_NULL;

    (void)state;
    config_diff(one, one, &out);
    assert_int_equal(out.len, 0);
    config_diff(one, two, &out);
    assert_string_equal(
        buf_str(&out),
        "log.retain_age: 30d -> 1d\n"
        "integrations.a: removed\n"
        "integrations.b.secrets: api_key: vault:one -> api_key: vault:two\n"
        "integrations.c: added\n");
    buf_fini(&out);
    config_free(one);
    config_free(two);
}

static void the_reference_names_every_key_of_the_full_example(void **state)
{
    static const char *const keys[] = {
        "`data`",  "`listen`", "`retain_age`", "`master_key`", "`types`",      "`scheme`",
        "`every`", "`rate`",   "`because`",    "`options`",    "one of stripe"};
    struct buf page = BUF_NULL;

    (void)state;
    config_reference(&page);
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        assert_non_null(strstr(buf_str(&page), keys[i]));
    buf_fini(&page);
}

static void what_is_no_file_is_said_so(void **state)
{
    struct buf errors = BUF_NULL;

    (void)state;
    assert_null(config_load("/nonexistent/signalbox.yaml", &errors));
    assert_non_null(
        strstr(buf_str(&errors), "/nonexistent/signalbox.yaml: it cannot be read"));
    buf_clear(&errors);
    assert_null(config_load("/tmp", &errors));
    assert_non_null(strstr(buf_str(&errors), "not a regular file"));
    buf_fini(&errors);
}

static void a_file_over_its_bound_is_refused(void **state)
{
    char path[] = "/tmp/signalbox-test-XXXXXX";
    int fd = mkstemp(path);
    struct buf errors = BUF_NULL;

    (void)state;
    assert_int_equal(ftruncate(fd, CONFIG_SIZE_MAX + 1), 0);
    assert_null(config_load(path, &errors));
    assert_non_null(strstr(buf_str(&errors), "too large; expected at most 1 MiB"));
    close(fd);
    unlink(path);
    buf_fini(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_value_arrives),
        cmocka_unit_test(the_newest_price_that_has_begun_is_in_force),
        cmocka_unit_test(an_empty_file_has_all_defaults),
        cmocka_unit_test(an_integration_has_defaults),
        cmocka_unit_test(data_elsewhere_takes_its_files_with_it),
        cmocka_unit_test(peers_of_other_hosts_have_their_entries),
        cmocka_unit_test(a_host_of_connectors_knows_the_brokers),
        cmocka_unit_test(endpoints_are_in_the_run_directory),
        cmocka_unit_test(webhooks_come_to_the_public_address_or_the_gateways_own),
        cmocka_unit_test(a_difference_names_each_path),
        cmocka_unit_test(the_reference_names_every_key_of_the_full_example),
        cmocka_unit_test(what_is_no_file_is_said_so),
        cmocka_unit_test(a_file_over_its_bound_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
