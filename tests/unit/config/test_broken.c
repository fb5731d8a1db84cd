/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Broken configurations: where each error points, and what it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/config/config.h"

#define STRIPE                                                                           \
    "integrations:\n"                                                                    \
    "  stripe:\n"                                                                        \
    "    connector: payment\n"
#define KEY39 "0123456789abcdefghijABCDEFGHIJ.-:+=^!/*"
#define KEY   KEY39 "?"
#define PEER(more)                                                                       \
    "bus: { listen: 0.0.0.0:7070, peers: { app: { public_key: \"" KEY "\", " more " } "  \
    "} }"
#define HOOK(path) "{ path: " path ", scheme: stripe, secrets: [vault:hook] }"

#define WEBHOOK(more)                                                                    \
    "integrations:\n  shop:\n    webhooks:\n"                                            \
    "      - { path: a, " more ", secrets: [vault:h] }\n"
#define WEBHOOK_ROW(more)                                                                \
    WEBHOOK("scheme: hmac, hmac: { signature_header: S, " more                           \
            ", event_id: id, event_type: type }")

struct broken {
    const char *claim;
    const char *text;
    const char *where; /* "line:col" of the one error */
    const char *what;  /* in its text */
};

static const struct broken broken[] = {
    /* not YAML, or more YAML than is taken */
    {"a mapping that is not closed", "gateway: { listen: 127.0.0.1:80\n", "2:1",
     "not YAML"},
    {"a tab as indentation", "log:\n\tretain_age: 1d\n", "2:1", "not YAML"},
    {"a list where the file is a mapping", "- data\n", "1:1",
     "this is a list; expected a mapping"},
    {"a word where the file is a mapping", "data\n", "1:1",
     "this is a value; expected a mapping"},
    {"a second document", "data: ./a\n---\ndata: ./b\n", "2:1", "second document"},
    {"an anchor", "data: &x ./data\n", "1:7", "anchors and tags are not allowed"},
    {"an alias", "run: ./run\ndata: *x\n", "2:7", "aliases are not allowed"},
    {"a tag", "data: !!str ./data\n", "1:7", "anchors and tags are not allowed"},
    {"a mapping as a key", "{ a: b }: c\n", "1:1", "a key must be a text"},
    {"a byte that is not UTF-8", "data: ./d\xff\n", "1:10", "0xff is not UTF-8"},
    {"an overlong character", "data: ./\xc0\xaf\n", "1:9", "0xc0 is not UTF-8"},
    {"a control character", "data: ./d\x01\n", "1:10", "0x01 is not UTF-8"},
    {"a NUL in quotes", "data: \"a\\0b\"\n", "1:7", "NUL"},
    {"a key that is there twice", "data: ./a\nrun: ./r\ndata: ./b\n", "3:1",
     "`data` stands here twice"},
    {"nesting without end", "data: [[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]\n", "1:22",
     "nested too deep"},
    /* keys */
    {"an unknown key", "dta: ./data\n", "1:1",
     "the file has no key `dta`; did you mean `data`?"},
    {"an unknown key like no other", "zzzzzzzz: 1\n", "1:1",
     "the file has no key `zzzzzzzz`"},
    {"an unknown key in a section", "log: { retain: 30d, reserve: 64MiB }\n", "1:8",
     "log has no key `retain`"},
    {"an unknown key of an integration", STRIPE "    provder: stripe\n", "4:5",
     "did you mean `provider`?"},
    {"a delivery without a secret",
     "deliver:\n  - { name: app, types: [a], to: https://a.test/ }\n", "2:5",
     "`secret` is missing"},
    {"a delivery whose secret is a list",
     "deliver:\n  - { name: app, types: [a], to: https://a.test/, secret: [vault:x] }\n",
     "2:59", "this is a list; expected vault:NAME or file:PATH"},
    {"a secret in the clear",
     "deliver:\n  - { name: app, types: [a], to: https://a.test/, secret: whsec_abc }\n",
     "2:59", "this is no reference to a secret"},
    {"a delivery that is not encrypted",
     "deliver:\n  - { name: app, types: [a], to: http://a.test/, secret: vault:x }\n",
     "2:34", "not encrypted"},
    {"a delivery and a group of one name",
     "groups:\n  app: { types: [a] }\ndeliver:\n"
     "  - { name: app, types: [a], to: https://a.test/, secret: vault:x }\n",
     "4:5", "`app` is also in `groups`"},
    {"two deliveries of one name",
     "deliver:\n  - { name: app, types: [a], to: https://a.test/, secret: vault:x }\n"
     "  - { name: app, types: [b], to: https://a.test/, secret: vault:x }\n",
     "3:5", "`app` stands in `deliver` twice"},
    {"a program beside a command", STRIPE "    program: ./p\n    command: [./c]\n", "4:5",
     "expected one of them"},
    {"workers without a command", STRIPE "    workers: 2\n", "4:5",
     "`workers` is about `command`, and `stripe` has none"},
    {"a manifest without a command", STRIPE "    manifest: ./m.json\n", "4:5",
     "`manifest` is about `command`"},
    {"a command that is a line for a shell", STRIPE "    command: ./c --now\n", "4:14",
     "expected a list: the program and its arguments"},
    {"a command that is empty", STRIPE "    command: []\n", "4:14",
     "expected it as the first word"},
    {"a command without a word", STRIPE "    command: [./c, []]\n", "4:20",
     "expected a word (there is no shell)"},
    {"an unknown key of a webhook",
     STRIPE "    webhooks:\n      - { path: a, scheme: stripe, secrets: [vault:h], "
            "tolerence: 5m }\n",
     "5:56", "did you mean `tolerance`?"},
    {"a key of a later version", STRIPE "    quota: { per_day: 50 USD }\n", "4:5",
     "no key `quota`"},
    /* the bus between hosts */
    {"a peer without a key", "bus: { listen: 0.0.0.0:7070, peers: { app: {} } }\n",
     "1:39", "`public_key` is missing"},
    {"a key of 39 characters",
     "bus: { listen: 0.0.0.0:7070, peers: { app: { public_key: \"" KEY39 "\" } } }\n",
     "1:58", "expected a public key: 40 characters"},
    {"a key that is none",
     "bus: { listen: 0.0.0.0:7070, peers: { app: { public_key: \"" KEY39 "'\" } } }\n",
     "1:58", "expected a public key: 40 characters"},
    {"a key that two peers have",
     "bus: { listen: 0.0.0.0:7070, peers: { a: { public_key: \"" KEY "\" },\n"
     "  b: { public_key: \"" KEY "\" } } }\n",
     "2:8", "`a` has the same key"},
    {"peers that cannot reach the broker",
     "bus: { peers: { a: { public_key: \"" KEY "\" } } }\n", "1:8",
     "peers reach the broker at `listen`"},
    {"both sides at once",
     "bus: { listen: 0.0.0.0:7070, connect: h:7070, broker_key: \"" KEY "\" }\n", "1:8",
     "expected one of them"},
    {"another host without its key", "bus: { connect: h:7070 }\n", "1:8",
     "`connect` needs `broker_key`"},
    {"a key of no other host", "bus: { broker_key: \"" KEY "\" }\n", "1:8",
     "goes with `connect`"},
    {"a connector of nothing", PEER("role: connector") "\n", "1:39",
     "expected `integration`"},
    {"a connector of an integration that is not there",
     PEER("role: connector, integration: stripe") "\n", "1:119",
     "there is no integration `stripe`"},
    {"an integration of a client", PEER("integration: stripe") "\n", "1:102",
     "is for `role: connector`"},
    {"a group that is not there", PEER("groups: [billing]") "\n", "1:102",
     "there is no group `billing`"},
    {"a group whose name is none", PEER("groups: [\"a b\"]") "\n", "1:111",
     "this is no name"},
    {"a connector that observes",
     "integrations: { stripe: { connector: payment } }\n" PEER(
         "role: connector, integration: stripe, observe: true") "\n",
     "2:140", "takes the requests of its integration only"},
    /* values */
    {"nothing where a section is", "gateway:\n", "1:1",
     "there is no value; expected a mapping"},
    {"nothing where a value is", "log: { retain_age: }\n", "1:8",
     "there is no value; expected a duration"},
    {"null where a value is", "data: ~\n", "1:1", "there is no value; expected a path"},
    {"a value where a section is", "gateway: 8080\n", "1:10",
     "this is a value; expected a mapping"},
    {"a list where a value is", "data: [a]\n", "1:7", "this is a list; expected a path"},
    {"a port with a letter", "gateway: { listen: \"127.0.0.1:80x\" }\n", "1:20",
     "expected an address and a port"},
    {"a port that is none", "gateway: { listen: 127.0.0.1:65536 }\n", "1:20",
     "expected an address and a port"},
    {"no port", "gateway: { listen: localhost }\n", "1:20",
     "expected an address and a port"},
    {"a number with a letter", "gateway: { max_connections: 80x }\n", "1:29",
     "expected a whole number, from 1 to 65536"},
    {"a negative number", "gateway: { max_connections: -1 }\n", "1:29",
     "expected a whole number"},
    {"a number over its bound", "gateway: { max_connections: 99999999999999999999 }\n",
     "1:29", "to 65536"},
    {"a size without sense", "log: { segment_size: 1 GiB }\n", "1:22",
     "expected a size such as 64MiB, from 16MiB"},
    {"a size under its bound", "log: { segment_size: 1MiB }\n", "1:22",
     "from 16MiB to 64GiB"},
    {"a body over its bound", "gateway: { max_body: 2MiB }\n", "1:22",
     "from 1KiB to 1MiB"},
    {"a duration without a unit", "log: { retain_age: 30 }\n", "1:20",
     "expected a duration"},
    {"a duration that overflows", "log: { retain_age: 999999999999999999d }\n", "1:20",
     "expected a duration"},
    {"yes for true", STRIPE "    default: yes\n", "4:14", "expected true or false"},
    {"a rate without a time", STRIPE "    limits: { rate: 100 }\n", "4:21",
     "expected a rate"},
    {"a rate of none", STRIPE "    limits: { rate: 0/s }\n", "4:21", "expected a rate"},
    {"no attempts", STRIPE "    limits: { attempts: 0 }\n", "4:25", "from 1 to 255"},
    {"a mode that is none", STRIPE "    mode: tst\n", "4:11",
     "one of test, live; did you mean `test`?"},
    {"a URL with a password", STRIPE "    base_url: https://me:secret@api.example.com\n",
     "4:15", "without user"},
    {"a mail server as the public address",
     "gateway: { public_url: smtp://mail.example.com }\n", "1:24", "a URL such as"},
    {"a URL of another kind", STRIPE "    base_url: ftp://api.example.com\n", "4:15",
     "expected a URL"},
    {"no URL at all", "gateway: { public_url: example.com }\n", "1:24", "expected a URL"},
    {"a pattern in the middle", "groups: { billing: { types: [\"payment.>.x\"] } }\n",
     "1:30", "this is no event type"},
    {"no types", "groups: { billing: { types: [] } }\n", "1:29",
     "`types` is empty; expected at least one"},
    {"a missing key", "groups: { billing: { protect: true } }\n", "1:11",
     "`types` is missing"},
    /* names */
    {"a name with a capital", "integrations: { Stripe: { connector: payment } }\n",
     "1:17", "`Stripe` is not a name an integration can have"},
    {"a group's name with a dot", "groups: { a.b: { types: [x] } }\n", "1:11",
     "`a.b` is not a name a group can have"},
    {"a name of our own", "integrations: { gateway: { connector: payment } }\n", "1:17",
     "signalbox's own"},
    {"a connector's name", "integrations: { payment: { connector: payment } }\n", "1:17",
     "the name of a connector"},
    {"a group with an integration's name", "groups: { stripe: { types: [x] } }\n" STRIPE,
     "3:3", "also in `groups`"},
    {"two names of one hash",
     "integrations:\n  shop73745: { connector: payment }\n  shop109729: { connector: "
     "payment }\n",
     "3:3", "the same 32-bit hash"},
    /* secrets */
    {"a secret in the file", STRIPE "    secrets: { api_key: sk_test_obviously_fake }\n",
     "4:25", "vault:NAME or file:PATH"},
    {"a secret without a name", STRIPE "    secrets: { api_key: \"vault:\" }\n", "4:25",
     "vault:NAME or file:PATH"},
    {"a secret from the environment", STRIPE "    secrets: { api_key: env:KEY }\n",
     "4:25", "vault:NAME or file:PATH"},
    {"a secret's name of our own", STRIPE "    secrets: { bus: vault:x }\n", "4:16",
     "signalbox's own"},
    {"a list of secrets where names are needed", STRIPE "    secrets: [vault:x]\n",
     "4:14", "expected a mapping such as"},
    /* webhooks: there is no way to write one that is not verified */
    {"a webhook without a scheme",
     STRIPE "    webhooks:\n      - { path: a, secrets: [vault:h] }\n", "5:9",
     "`scheme` is missing"},
    {"a webhook with scheme none",
     STRIPE "    webhooks:\n      - { path: a, scheme: none, secrets: [vault:h] }\n",
     "5:28", "one of stripe"},
    {"a scheme that signs the address, and no address",
     STRIPE "    webhooks:\n      - { path: a, scheme: square, secrets: [vault:h] }\n",
     "5:28", "expected gateway.public_url"},
    {"a weak scheme without a reason", WEBHOOK("scheme: mailgun"), "4:28",
     "is weak: its provider does not sign the body; expected accept_weak"},
    {"a reason for what is not weak", WEBHOOK("scheme: github, accept_weak: so"), "4:49",
     "is not weak; expected no `accept_weak`"},
    {"a generic scheme without its row", WEBHOOK("scheme: hmac"), "4:28",
     "the scheme `hmac` needs its row"},
    {"a row that no scheme uses",
     WEBHOOK("scheme: github, hmac: { signature_header: S, signed: \"{body}\", "
             "event_id: id, event_type: type }"),
     "4:36", "expected `scheme: hmac`, or none"},
    {"a row that lacks what is signed",
     WEBHOOK(
         "scheme: hmac, hmac: { signature_header: S, event_id: id, event_type: type }"),
     "4:34", "`signed` is missing"},
    {"a row that leaves the body out", WEBHOOK_ROW("signed: \"{time}\", time_header: T"),
     "4:71", "leaves the body out"},
    {"a row with another placeholder", WEBHOOK_ROW("signed: \"{body}{bdy}\""), "4:71",
     "takes {time} {id} {method} {url} {body}"},
    {"a row of too many pieces",
     WEBHOOK_ROW("signed: \"{body}.{body}.{body}.{body}.{body}\""), "4:71",
     "at most 8 pieces"},
    {"a row with a time from nowhere", WEBHOOK_ROW("signed: \"{time}.{body}\""), "4:71",
     "expected `time_header`"},
    {"a row with a time that is not signed",
     WEBHOOK_ROW("signed: \"{body}\", time_header: T"), "4:71",
     "is not in `signed`, so anybody could change it"},
    {"a row with an id from nowhere", WEBHOOK_ROW("signed: \"{id}{body}\""), "4:71",
     "expected `id_header`"},
    {"a row that signs an address nobody said", WEBHOOK_ROW("signed: \"{url}{body}\""),
     "4:28", "expected gateway.public_url"},
    {"a form that needs a label", WEBHOOK_ROW("signed: \"{body}\", form: prefix"), "4:87",
     "expected `label`"},
    {"a label that no form needs", WEBHOOK_ROW("signed: \"{body}\", label: v1"), "4:88",
     "`form: whole` has no label"},
    {"an unknown hash", WEBHOOK_ROW("signed: \"{body}\", hash: sha224"), "4:87",
     "did you mean `sha256`?"},
    {"a certificate for who names none",
     WEBHOOK("scheme: github, certificates: [{ url: https://a.test/, file: a.pem }]"),
     "4:36", "is for the schemes paypal and sns"},
    {"a certificate that is not at https",
     WEBHOOK("scheme: sns, certificates: [{ url: http://a.test/, file: a.pem }]"), "4:33",
     "expected https://"},
    {"a subscription of who asks for none",
     WEBHOOK("scheme: github, confirm_subscription: true"), "4:58",
     "is for the scheme sns"},
    {"a webhook without secrets",
     STRIPE "    webhooks:\n      - { path: a, scheme: stripe }\n", "5:9",
     "`secrets` is missing"},
    {"a webhook with no secret",
     STRIPE "    webhooks:\n      - { path: a, scheme: stripe, secrets: [] }\n", "5:45",
     "`secrets` is empty"},
    {"a path with a slash",
     STRIPE "    webhooks:\n      - { path: a/b, scheme: stripe, secrets: [vault:h] }\n",
     "5:17", "expected a name"},
    {"one path twice",
     STRIPE "    webhooks:\n      - " HOOK("a") "\n      - " HOOK("a") "\n", "6:17",
     "taken by the webhook in line 5"},
    {"one path in two integrations",
     "integrations:\n  one: { webhooks: [" HOOK("a") "] }\n  two: { webhooks: [" HOOK(
         "a") "] }\n",
     "3:29", "taken by the webhook in line 2"},
    /* what does not go together */
    {"an integration that does nothing",
     "integrations: { stripe: { service: Stripe } }\n", "1:17",
     "neither a connector nor a webhook"},
    {"a schedule without a connector",
     "integrations:\n  a:\n    webhooks: [" HOOK(
         "a") "]\n    schedules: [{ operation: x, every: 5m }]\n",
     "4:5", "needs a connector"},
    {"one operation scheduled twice",
     STRIPE "    schedules:\n      - { operation: events, every: 5m }\n      - { "
            "operation: events, every: 1h }\n",
     "6:22", "scheduled in line 5 already"},
    {"a schedule that never rests",
     STRIPE "    schedules:\n      - { operation: events, every: 1ms }\n", "5:37",
     "from 1s"},
    {"a schedule that does not say when",
     STRIPE "    schedules:\n      - { operation: events }\n", "5:22",
     "expected `every` or `cron`"},
    {"a schedule that says it twice",
     STRIPE
     "    schedules:\n      - { operation: events, every: 5m, cron: \"0 * * * *\" }\n",
     "5:47", "expected one of them"},
    {"a cron with a mistake",
     STRIPE "    schedules:\n      - { operation: events, cron: \"0 25 * * *\" }\n",
     "5:39", "the hour: expected a number from 0 to 23"},
    {"a cron without quotes with a mistake",
     STRIPE "    schedules:\n      - { operation: events, cron: 0 9 32 * * }\n", "5:40",
     "the day of the month"},
    {"a day that never comes",
     STRIPE "    schedules:\n      - { operation: events, cron: \"0 0 31 2 *\" }\n",
     "5:36", "no such day in any year"},
    {"a time zone that is none",
     STRIPE "    schedules:\n      - { operation: events, cron: \"0 9 * * *\", timezone: "
            "Europe/Atlantis }\n",
     "5:59", "no such time zone"},
    {"a time zone without a cron",
     STRIPE "    schedules:\n      - { operation: events, every: 5m, timezone: UTC }\n",
     "5:51", "there is none"},
    {"a missed policy that is none",
     STRIPE "    schedules:\n      - { operation: events, every: 5m, missed: al }\n",
     "5:49", "did you mean `all`?"},
    {"http to the world", STRIPE "    base_url: http://api.example.com\n", "4:15",
     "not encrypted"},
    {"a timeout beyond the deadline",
     STRIPE "    limits: { timeout: 1h, deadline: 1m }\n", "4:24",
     "longer than `deadline`"},
    {"two defaults of one connector",
     "integrations:\n  a: { connector: payment, default: true }\n  b: { connector: "
     "payment, default: true }\n",
     "3:37", "`a` is the default"},
    {"a budget without an amount", STRIPE "    budget: {}\n", "4:5",
     "`per_day` is missing"},
    {"a budget without a currency", STRIPE "    budget: { per_day: 50 }\n", "4:24",
     "expected an amount and a currency"},
    {"a price with a sign", STRIPE "    prices: { charge: \"$0.30\" }\n", "4:23",
     "expected a price such as"},
    {"a price from no day on", STRIPE "    prices: { charge: 0.30 USD since tomorrow }\n",
     "4:23", "expected a price such as"},
    {"two prices from one day on",
     STRIPE "    prices: { charge: [0.30 USD, 0.35 USD] }\n", "4:23",
     "two prices from the same day"},
    {"a price in another currency than the budget",
     STRIPE "    budget: { per_day: 50 USD }\n    prices: { charge: 0.30 EUR }\n", "5:23",
     "in EUR and the budget in USD"},
    {"a budget of who calls nobody",
     "integrations:\n  a:\n    webhooks: [" HOOK(
         "a") "]\n    budget: { per_day: 1 USD }\n",
     "4:5", "needs a connector"},
    {"a breaker that opens by itself",
     STRIPE "    limits: { breaker: { failures: 1000 } }\n", "4:36", "at most 100"},
    {"half a reason", STRIPE "    why: { pattern: poll }\n", "4:5",
     "`because` is missing"},
    {"a directory too long for sockets",
     "run: "
     "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/"
     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
     "1:6", "the system takes 107"},
};

/* Does `text` give exactly the one error? */
static bool gives(const struct broken *b)
{
    struct buf errors = BUF_NULL;
    char start[64];
    struct config *config =
        config_parse("/etc/x.yaml", b->text, strlen(b->text), &errors);
    const char *said = buf_str(&errors), *end = strchr(said, '\n');

    snprintf(start, sizeof(start), "/etc/x.yaml:%s: ", b->where);
    bool good = !config && strncmp(said, start, strlen(start)) == 0 &&
                strstr(said, b->what) && end && !end[1];
    if (!good)
        print_error("%s: expected %s%s, was:\n%s\n", b->claim, start, b->what, said);
    config_free(config);
    buf_fini(&errors);
    return good;
}

static void every_broken_file_gives_one_error_at_its_place(void **state)
{
    size_t wrong = 0;

    (void)state;
    assert_true(sizeof(broken) / sizeof(*broken) >= 40);
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++)
        wrong += !gives(&broken[i]);
    assert_int_equal(wrong, 0);
}

static void no_error_shows_a_value(void **state)
{
    static const char *const places[] = {"data",      "mode",   "base_url",     "service",
                                         "connector", "owner",  "rotate_every", "default",
                                         "secrets",   "limits", "why"};

    (void)state;
    for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
        struct buf errors = BUF_NULL;
        char text[256];
        int n = snprintf(text, sizeof(text), STRIPE "    %s: \"sk_live_FAKE\\t%%%%\"\n",
                         places[i]);
        struct config *config = config_parse("x.yaml", text, (size_t)n, &errors);
        assert_null(strstr(buf_str(&errors), "FAKE"));
        config_free(config);
        buf_fini(&errors);
    }
}

static void all_errors_are_listed_in_order_of_place(void **state)
{
    struct buf errors = BUF_NULL;
    static const char text[] =
        "log: { retain_age: x, segment_size: y }\ndta: 1\nrun: [1]\n";

    (void)state;
    assert_null(config_parse("x.yaml", text, strlen(text), &errors));
    const char *one = strstr(buf_str(&errors), "x.yaml:1:20: "),
               *two = strstr(buf_str(&errors), "x.yaml:1:37: "),
               *three = strstr(buf_str(&errors), "x.yaml:2:1: "),
               *four = strstr(buf_str(&errors), "x.yaml:3:6: ");
    assert_true(one && two && three && four);
    assert_true(one < two && two < three && three < four);
    buf_fini(&errors);
}

static void the_list_of_errors_ends(void **state)
{
    struct buf text = BUF_NULL, errors = BUF_NULL;
    size_t lines = 0;

    (void)state;
    for (int i = 0; i < 1000; i++)
        buf_format(&text, "zz%d: 1\n", i);
    assert_null(config_parse("x.yaml", buf_str(&text), text.len, &errors));
    for (const char *at = buf_str(&errors); (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, CONFIG_ERRORS_MAX + 1);
    assert_non_null(strstr(buf_str(&errors), "and 900 more errors"));
    buf_fini(&text);
    buf_fini(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_broken_file_gives_one_error_at_its_place),
        cmocka_unit_test(no_error_shows_a_value),
        cmocka_unit_test(all_errors_are_listed_in_order_of_place),
        cmocka_unit_test(the_list_of_errors_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
