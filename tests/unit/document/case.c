/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/config/config.h"

const char case_yaml[] =
    "gateway: { listen: 127.0.0.1:8080, public_url: https://hooks.example.com }\n"
    "groups:\n"
    "  billing: { types: [\"pay.charge.*\", \"pay.refund.failed\", \"plain.order.>\"] }\n"
    "integrations:\n"
    "  shop:\n"
    "    connector: pay\n"
    "    service: Shop|Pay\n"
    "    base_url: https://api.example.com\n"
    "    owner: pay@example.com\n"
    "    rotate_every: 90d\n"
    "    secrets: { api_key: vault:shop_key }\n"
    "    webhooks:\n"
    "      - { path: shop, scheme: stripe, secrets: [vault:shop_hook] }\n"
    "    limits: { attempts: 5, deadline: 2h, rate: 1/s }\n"
    "    budget: { per_day: 50 USD }\n"
    "    prices:\n"
    "      charge: 0.30 USD\n"
    "    why: { pattern: webhook, because: \"bills <must> not wait\" }\n"
    "  plain:\n"
    "    webhooks:\n"
    "      - { path: plain, scheme: stripe, secrets: [vault:plain_hook] }\n";

const char case_manifest[] =
    "{\"name\":\"pay\",\"version\":\"1\",\"operations\":["
    "{\"name\":\"charge\",\"summary\":\"Take a payment\",\"transition\":\"order: unpaid "
    "-> "
    "paid\",\"transition_failed\":\"order: unpaid -> refused\",\"repeat\":\"keyed\","
    "\"degrade\":\"keep the order\",\"price\":\"0.3 per call\",\"test\":\"with a test "
    "card\",\"example\":{\"amount\":1}},"
    "{\"name\":\"refund\",\"summary\":\"Give it back\",\"repeat\":\"never\",\"degrade\":"
    "\"tell support\",\"price\":\"none\"}],"
    "\"webhooks\":[{\"event\":\"order.paid\",\"becomes\":\"pay.order.paid\","
    "\"transition\":"
    "\"order: pending -> paid\"}],"
    "\"secrets\":[{\"name\":\"api_key\",\"what\":\"a key (sk_...)\",\"rotate\":\"roll "
    "it\"}],"
    "\"failures\":[{\"name\":\"card refused\",\"seen_as\":\"permanent: "
    "refused\",\"then\":"
    "\"another card\"},{\"name\":\"down\",\"seen_as\":\"exhausted, with the last "
    "answer\","
    "\"then\":\"redrive\"}],\"publishes\":[\"pay.found\"],\"tests\":\"unit tests\"}";

static bool about_secret(void *user, const struct config_secret *secret,
                         struct document_secret *ret)
{
    struct case_world *world = user;

    (void)secret;
    *ret = world->secret;
    return world->is_known;
}

void case_open(struct case_world *world, const char *yaml, size_t index,
               const char *manifest)
{
    struct buf errors = BUF_NULL;
    char error[200] = "";

    *world = (struct case_world){.is_known = true};
    world->config = config_parse("/etc/signalbox.yaml", yaml, strlen(yaml), &errors);
    if (!world->config)
        fail_msg("%s", buf_str(&errors));
    buf_fini(&errors);
    world->manifest =
        manifest ? js_parse(manifest, strlen(manifest), error, sizeof(error)) : NULL;
    assert_string_equal(error, "");
    world->secret = (struct document_secret){
        .is_there = true, .version = 3, .created_us = CASE_START_US};
    world->seen = (struct seen){.first_us = CASE_START_US,
                                .last_us = CASE_START_US + 10 * CASE_DAY_US,
                                .events = world->events,
                                .costs = world->costs};
    world->document =
        (struct document){.config = world->config,
                          .integration = &world->config->integrations[index],
                          .manifest = world->manifest,
                          .secret = about_secret,
                          .secret_user = world,
                          .seen = &world->seen};
}

void case_close(struct case_world *world)
{
    js_free(world->manifest);
    js_free(world->seen.tested);
    config_free(world->config);
}

void case_event(struct case_world *world, const char *type, enum record_kind kind,
                uint64_t count, uint64_t failed, enum record_class error_class)
{
    struct seen_event *e = &world->events[world->seen.n_events++];

    *e = (struct seen_event){.type = (char *)(uintptr_t)type,
                             .kind = kind,
                             .count = count,
                             .success = count - failed,
                             .failed = failed,
                             .last_us = CASE_START_US + CASE_DAY_US};
    e->classes[error_class] = failed;
}

struct seen_cost *case_cost(struct case_world *world, const char *operation,
                            const char *currency, uint64_t calls, int64_t actual)
{
    struct seen_cost *c = &world->costs[world->seen.n_costs++];

    *c = (struct seen_cost){.operation = (char *)(uintptr_t)operation,
                            .calls = calls,
                            .successes = calls,
                            .actual = actual};
    snprintf(c->currency, sizeof(c->currency), "%s", currency);
    return c;
}

void case_tested(struct case_world *world, unsigned passed, unsigned failed)
{
    char stamp[DOCUMENT_STAMP_SIZE];
    struct json *cases = js_array();

    document_stamp(&world->document, stamp);
    for (unsigned i = 0; i < passed + failed; i++) {
        struct json *one = js_set_text(js_object(), "name", "charge");
        js_set_text(js_set_text(one, "what", "429"), "said", "Success");
        js_push(cases, js_set_bool(one, "passed", i < passed));
    }
    js_free(world->seen.tested);
    world->seen.tested = js_set_text(js_object(), "stamp", stamp);
    js_set_int(js_set_int(world->seen.tested, "passed", passed), "failed", failed);
    js_set(world->seen.tested, "cases", cases);
    world->seen.tested_us = CASE_START_US + CASE_DAY_US;
}
