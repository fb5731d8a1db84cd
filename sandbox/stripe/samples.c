/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/stripe/samples.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"

/* The longest prefix of the type that is listed says what the object is. */
static const struct {
    const char *prefix, *object, *id, *status,
        *amount; /* amount: the field that holds it, NULL: none */
} kinds[] = {
    {"checkout.session.", "checkout.session", "cs_test_", "complete", "amount_total"},
    {"payment_intent.", "payment_intent", "pi_3", "succeeded", "amount"},
    {"charge.", "charge", "ch_3", "succeeded", "amount"},
    {"charge.dispute.", "dispute", "dp_1", "needs_response", "amount"},
    {"refund.", "refund", "re_3", "succeeded", "amount"},
    {"invoice.", "invoice", "in_1", "paid", "amount_due"},
    {"customer.", "customer", "cus_", NULL, NULL},
    {"customer.subscription.", "subscription", "sub_1", "active", NULL},
    {"payout.", "payout", "po_1", "paid", "amount"},
    {"payment_method.", "payment_method", "pm_1", NULL, NULL},
    {"", "object", "obj_", NULL, NULL},
};

static size_t kind_of(const char *type)
{
    size_t best = sizeof(kinds) / sizeof(kinds[0]) - 1;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strncmp(type, kinds[i].prefix, strlen(kinds[i].prefix)) &&
            strlen(kinds[i].prefix) > strlen(kinds[best].prefix))
            best = i;
    return best;
}

static void add_references(struct json *object, const char *name)
{
    char id[STRIPE_ID_SIZE];

    if (!strcmp(name, "charge") || !strcmp(name, "dispute") || !strcmp(name, "refund") ||
        !strcmp(name, "checkout.session")) {
        stripe_id("pi_3", id);
        js_set_text(object, "payment_intent", id);
    }
    if (!strcmp(name, "dispute") || !strcmp(name, "refund")) {
        stripe_id("ch_3", id);
        js_set_text(object, "charge", id);
    }
    if (!strcmp(name, "checkout.session"))
        js_set_text(object, "payment_status", "paid");
}

struct json *sample_object(const char *type, const struct json *data, uint64_t now_us)
{
    size_t kind = kind_of(type);
    struct json *object = js_object();
    const struct json *member;
    char id[STRIPE_ID_SIZE];
    void *cursor = NULL;
    const char *name;

    stripe_id(kinds[kind].id, id);
    js_set_text(object, "id", id);
    js_set_text(object, "object", kinds[kind].object);
    if (kinds[kind].amount) {
        js_set_int(object, kinds[kind].amount, 2000);
        js_set_text(object, "currency", "usd");
    }
    js_set_int(object, "created", (int64_t)(now_us / 1000000));
    js_set_bool(object, "livemode", false);
    js_set(object, "metadata", js_object());
    js_set_text(object, "status", kinds[kind].status);
    add_references(object, kinds[kind].object);
    while (data && (member = js_next(data, &cursor, &name)))
        js_set(object, name, js_copy(member));
    return object;
}

void sample_id(const char *event_text, char ret_id[STRIPE_ID_SIZE])
{
    char why[16];
    struct json *event = js_parse(event_text, strlen(event_text), why, sizeof(why));

    snprintf(ret_id, STRIPE_ID_SIZE, "%s", js_text(event, "id", ""));
    js_free(event);
}
