/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/connector/facts.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "proto/attrs.h"
#include "proto/record.h"

static const char manifest_text[] = "{\"publishes\":[\"t.seen\"],\"webhooks\":[{"
                                    "\"event\":\"done\",\"becomes\":\"t.done\"}]}";
static const uint8_t event[16] = {1}, other[16] = {2};

static void add(struct buf *out, enum record_kind kind, const char *type, const char *key,
                const uint8_t *cause, uint8_t flags)
{
    struct buf attrs = BUF_NULL;

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_IDEMPOTENCY_KEY, key);
    record_add(out,
               &(struct record_parts){.kind = kind,
                                      .status = kind == RECORD_OUTCOME ? STATUS_SUCCESS
                                                                       : STATUS_PENDING,
                                      .flags = flags,
                                      .type = type,
                                      .cause = cause,
                                      .attrs = attrs.bytes,
                                      .attr_len = attrs.len});
    buf_fini(&attrs);
}

/* The broker refuses these RESULTs whole; the kit says so before. */
static void a_fact_may_be_said_where_the_broker_would_take_it(void **state)
{
    static const struct {
        const char *type, *key;
        const uint8_t *cause;
        uint8_t flags;
        const char *fragment; /* NULL: it may */
    } cases[] = {
        {"t.seen", NULL, event, RECORD_JSON, NULL},
        {"t.seen", NULL, other, 0, NULL},
        {"t.done", NULL, event, 0, NULL},
        {"t.seen", "e1", event, 0, NULL},
        {"shop.thing.done", "e1", event, 0, NULL},
        {"t.other", NULL, event, 0, "does not declare"},
        {"shopping.thing", "e1", event, 0, "does not declare"},
        {"shop.thing.done", NULL, event, 0, "provider's has its id"},
        {"shop.thing.done", "", event, 0, "is empty"},
        {"shop.thing.done", "e1", other, 0, "behind its outcome"},
        {"t.seen", "e1", other, 0, "behind its outcome"},
        {"t.seen", NULL, event, RECORD_WEBHOOK, "flags"},
        {"shop.thing.done", "e1", event, RECORD_FOUND, "flags"},
    };
    char error[80], why[200];
    struct json *manifest =
        js_parse(manifest_text, strlen(manifest_text), error, sizeof(error));

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf records = BUF_NULL;
        add(&records, RECORD_OUTCOME, "t.poll.succeeded", NULL, event, 0);
        add(&records, RECORD_FACT, cases[i].type, cases[i].key, cases[i].cause,
            cases[i].flags);
        bool may = facts_may_be_said(&records, manifest, "shop", why, sizeof(why));
        if (may != !cases[i].fragment || (!may && !strstr(why, cases[i].fragment)))
            fail_msg("case %zu: %s", i, may ? "it may" : why);
        buf_fini(&records);
    }
    js_free(manifest);
}

static void a_fact_with_an_id_needs_an_outcome_before_it(void **state)
{
    struct buf records = BUF_NULL;
    char why[200];

    (void)state;
    add(&records, RECORD_FACT, "shop.thing.done", "e1", event, 0);
    assert_false(facts_may_be_said(&records, NULL, "shop", why, sizeof(why)));
    assert_non_null(strstr(why, "behind its outcome"));
    buf_fini(&records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fact_may_be_said_where_the_broker_would_take_it),
        cmocka_unit_test(a_fact_with_an_id_needs_an_outcome_before_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
