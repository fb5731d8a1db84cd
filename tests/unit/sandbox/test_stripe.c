/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/stripe/stripe.h"

#define CARD "confirm=true&payment_method=pm_card_visa&payment_method_types[0]=card"
#define GOOD "amount=2000&currency=usd&" CARD
#define DECLINED                                                                         \
    "amount=2000&currency=usd&confirm=true&payment_method_types[0]=card&payment_method="

struct world {
    struct stripe *stripe;
    struct stripe_answer answer;
    struct json *body;
    unsigned events;
};

static void count_event(void *user, const char *id, const char *text, size_t len)
{
    struct world *world = user;

    assert_memory_equal(id, "evt_", 4);
    assert_int_equal(text[len - 1], '}');
    world->events++;
}

static int set_up(void **state)
{
    static struct world world;
    struct stripe_options options = {
        .api_key = "sk_test_right", .on_event = count_event, .user = &world};

    world = (struct world){0};
    world.stripe = stripe_new(&options);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    stripe_delivered(&world->answer);
    js_free(world->body);
    stripe_free(world->stripe);
    return 0;
}

/* Make a call whose answer is delivered later, or at once by the next one. */
static void begin(struct world *world, const struct stripe_call *call)
{
    char why[64];

    js_free(world->body);
    stripe_call(world->stripe, call, &world->answer);
    world->body = js_parse((const char *)world->answer.body.bytes, world->answer.body.len,
                           why, sizeof(why));
    assert_non_null(world->body);
}

static unsigned post(struct world *world, const char *path, const char *key,
                     const char *body)
{
    struct stripe_call call = {
        .method = "POST",
        .path = path,
        .authorization = "Bearer sk_test_right",
        .content_type = "application/x-www-form-urlencoded",
        .idempotency_key = key,
        .body = body,
        .body_len = strlen(body),
        .now_us = 1700000000000000,
    };

    begin(world, &call);
    stripe_delivered(&world->answer);
    return world->answer.status;
}

static unsigned get(struct world *world, const char *path, const char *query)
{
    struct stripe_call call = {.method = "GET",
                               .path = path,
                               .query = query,
                               .authorization = "bearer sk_test_right"};

    begin(world, &call);
    stripe_delivered(&world->answer);
    return world->answer.status;
}

static unsigned effects(const struct world *world, const char *key)
{
    struct json *all = stripe_effects(world->stripe);
    const struct json *member;
    void *cursor = NULL;
    unsigned found = 0;
    const char *name;

    while ((member = js_next(all, &cursor, &name)))
        if (!strcmp(name, key))
            found = (unsigned)js_int(member, "", 0);
    js_free(all);
    return found;
}

static const char *text(const struct world *world, const char *path)
{
    return js_text(world->body, path, "(none)");
}

static void a_charge_succeeds_and_is_counted(void **state)
{
    struct world *world = *state;

    assert_int_equal(
        post(world, "/v1/payment_intents", "k", GOOD "&metadata[order%20id]=6735%20%26"),
        200);
    assert_string_equal(text(world, "object"), "payment_intent");
    assert_string_equal(text(world, "status"), "succeeded");
    assert_string_equal(text(world, "metadata.order id"), "6735 &");
    assert_int_equal(js_int(world->body, "amount_received", 0), 2000);
    assert_memory_equal(text(world, "latest_charge"), "ch_3", 4);
    assert_int_equal(effects(world, "k"), 1);
    assert_int_equal(world->events, 3);
}

#define LINE                                                                             \
    "mode=payment&line_items[0][price_data][currency]=EUR&line_items[0][quantity]=2&"    \
    "line_items[0][price_data][unit_amount]=500&line_items[0][price_data]"               \
    "[product_data][name]=Hat"
#define PAGE LINE "&success_url=https%3A%2F%2Fa.example"

static void a_checkout_session_is_a_page_to_go_to(void **state)
{
    struct world *world = *state;
    char path[100];

    assert_int_equal(post(world, "/v1/checkout/sessions", "k",
                          PAGE "&metadata[order]=7&client_reference_id=r7"),
                     200);
    assert_string_equal(text(world, "object"), "checkout.session");
    assert_string_equal(text(world, "status"), "open");
    assert_string_equal(text(world, "client_reference_id"), "r7");
    assert_string_equal(text(world, "metadata.order"), "7");
    assert_int_equal(js_int(world->body, "amount_total", 0), 1000);
    assert_memory_equal(text(world, "url"), "https://checkout.stripe.com/", 28);
    snprintf(path, sizeof(path), "/v1/checkout/sessions/%s", text(world, "id"));
    assert_int_equal(get(world, path, NULL), 200);
    assert_int_equal(get(world, "/v1/checkout/sessions/cs_none", NULL), 404);
    assert_int_equal(effects(world, "k"), 1);
}

static void a_checkout_session_that_is_none_is_refused_by_parameter(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *body, *param, *code;
    } cases[] = {
        {LINE, "success_url", "parameter_missing"},
        {LINE "&success_url=a.example", "success_url", "url_invalid"},
        {PAGE "&cancel_url=a", "cancel_url", "url_invalid"},
        {PAGE "&mode=setup", "mode", "sandbox_unsupported"},
        {PAGE "&nonsense=1", "nonsense", "parameter_unknown"},
        {PAGE "&line_items[0][quantity]=0", "line_items[0][quantity]",
         "parameter_invalid_integer"},
        {PAGE "&line_items[0][price_data][unit_amount]=1.5",
         "line_items[0][price_data][unit_amount]", "parameter_invalid_integer"},
        {"success_url=https%3A%2F%2Fa", "mode", "parameter_missing"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(post(world, "/v1/checkout/sessions", NULL, cases[i].body), 400);
        assert_string_equal(text(world, "error.param"), cases[i].param);
        assert_string_equal(text(world, "error.code"), cases[i].code);
    }
    assert_int_equal(effects(world, ""), 0);
}

static void the_same_key_again_is_answered_the_same_and_has_no_effect(void **state)
{
    struct world *world = *state;
    _free_ char *id = NULL;

    post(world, "/v1/payment_intents", "k", GOOD);
    id = mem_text(text(world, "id"));
    assert_int_equal(post(world, "/v1/payment_intents", "k", GOOD), 200);
    assert_true(world->answer.is_replayed);
    assert_string_equal(text(world, "id"), id);
    assert_int_equal(effects(world, "k"), 1);
    assert_int_equal(world->events, 3);
}

static void a_key_with_other_parameters_is_refused(void **state)
{
    struct world *world = *state;

    post(world, "/v1/payment_intents", "k", GOOD);
    assert_int_equal(post(world, "/v1/payment_intents", "k", "amount=2001&currency=usd"),
                     400);
    assert_string_equal(text(world, "error.type"), "idempotency_error");
    assert_int_equal(effects(world, "k"), 1);
}

static void a_key_in_use_is_a_conflict_until_the_answer_is_delivered(void **state)
{
    struct world *world = *state;
    struct stripe_call call = {
        .method = "POST",
        .path = "/v1/payment_intents",
        .authorization = "Bearer sk_test_right",
        .content_type = "application/x-www-form-urlencoded; charset=utf-8",
        .idempotency_key = "k",
        .body = GOOD,
        .body_len = strlen(GOOD),
    };
    struct stripe_answer first;

    begin(world, &call);
    first = world->answer;
    begin(world, &call);
    assert_int_equal(world->answer.status, 409);
    assert_string_equal(text(world, "error.code"), "idempotency_key_in_use");
    stripe_delivered(&world->answer);
    stripe_delivered(&first);
    assert_int_equal(post(world, "/v1/payment_intents", "k", GOOD), 200);
    assert_true(world->answer.is_replayed);
}

static void a_refused_call_may_come_again_under_its_key(void **state)
{
    struct world *world = *state;

    assert_int_equal(post(world, "/v1/payment_intents", "k", "amount=x&currency=usd"),
                     400);
    assert_int_equal(post(world, "/v1/payment_intents", "k", GOOD), 200);
    assert_false(world->answer.is_replayed);
}

static void test_cards_are_declined_as_their_names_say(void **state)
{
    static const struct {
        const char *method, *code, *decline_code;
    } cases[] = {
        {"pm_card_visa_chargeDeclined", "card_declined", "generic_decline"},
        {"pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined",
         "insufficient_funds"},
        {"pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"},
        {"pm_card_chargeDeclinedExpiredCard", "expired_card", "(none)"},
        {"pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "(none)"},
        {"pm_card_chargeDeclinedProcessingError", "processing_error", "(none)"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _free_ char *body = mem_format("%s%s", DECLINED, cases[i].method);
        _free_ char *key = mem_format("k%zu", i);

        assert_int_equal(post(world, "/v1/payment_intents", key, body), 402);
        assert_string_equal(text(world, "error.type"), "card_error");
        assert_string_equal(text(world, "error.code"), cases[i].code);
        assert_string_equal(text(world, "error.decline_code"), cases[i].decline_code);
        assert_string_equal(text(world, "error.payment_intent.status"),
                            "requires_payment_method");
        assert_int_equal(effects(world, key), 0);
        assert_int_equal(post(world, "/v1/payment_intents", key, body), 402);
        assert_true(world->answer.is_replayed);
    }
}

static void what_is_wrong_is_named_by_parameter(void **state)
{
    static const struct {
        const char *body, *code, *param;
    } cases[] = {
        {"currency=usd", "parameter_missing", "amount"},
        {"amount=20", "parameter_missing", "currency"},
        {"amount=20.5&currency=usd", "parameter_invalid_integer", "amount"},
        {"amount=&currency=usd", "parameter_invalid_integer", "amount"},
        {"amount=-1&currency=usd", "parameter_invalid_integer", "amount"},
        {"amount=99999999999999999999&currency=usd", "parameter_invalid_integer",
         "amount"},
        {"amount=100000000&currency=usd", "amount_too_large", "amount"},
        {"amount=49&currency=usd", "amount_too_small", "amount"},
        {"amount=2000&currency=xxx", "(none)", "currency"},
        {"amount=2000&currency=us", "(none)", "currency"},
        {"amount=2000&currency=usd&payment_method=pm_no", "resource_missing",
         "payment_method"},
        {"amount=2000&currency=usd&customer=bob", "resource_missing", "customer"},
        {"amount=2000&currency=usd&color=red", "parameter_unknown", "color"},
        {"amount=2000&currency=usd&shipping[name]=J", "sandbox_unsupported", "shipping"},
        {"amount=2000&currency=usd&confirm=true", "payment_intent_unexpected_state",
         "(none)"},
        {"amount=2000&currency=usd&confirm=true&payment_method=pm_card_visa", "(none)",
         "(none)"},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(post(world, "/v1/payment_intents", NULL, cases[i].body), 400);
        assert_string_equal(text(world, "error.type"), "invalid_request_error");
        assert_string_equal(text(world, "error.code"), cases[i].code);
        assert_string_equal(text(world, "error.param"), cases[i].param);
    }
    assert_int_equal(world->events, 0);
}

static void only_the_right_key_may_call_and_it_is_never_shown(void **state)
{
    static const char *const wrong[] = {NULL,
                                        "",
                                        "Bearer ",
                                        "Bearer sk_test_wrong",
                                        "Basic !!!",
                                        "Digest x",
                                        "Basic c2tfdGVzdF93cm9uZzo="};
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct stripe_call call = {
            .method = "GET", .path = "/v1/events", .authorization = wrong[i]};

        begin(world, &call);
        assert_int_equal(world->answer.status, 401);
        assert_null(strstr(text(world, "error.message"), "wrong"));
        stripe_delivered(&world->answer);
    }
    struct stripe_call basic = {.method = "GET",
                                .path = "/v1/events",
                                .authorization = "Basic c2tfdGVzdF9yaWdodDo="};
    begin(world, &basic);
    assert_int_equal(world->answer.status, 200);
}

static void json_bodies_and_unknown_addresses_are_refused(void **state)
{
    struct world *world = *state;
    struct stripe_call call = {
        .method = "POST",
        .path = "/v1/payment_intents",
        .authorization = "Bearer sk_test_right",
        .content_type = "application/json",
        .body = "{}",
        .body_len = 2,
    };

    begin(world, &call);
    assert_int_equal(world->answer.status, 400);
    stripe_delivered(&world->answer);
    assert_int_equal(get(world, "/v1/nothing", NULL), 404);
    assert_int_equal(get(world, "/v1/payment_intents/pi_none", NULL), 404);
    assert_string_equal(text(world, "error.code"), "resource_missing");
}

static void never_more_is_refunded_than_was_taken(void **state)
{
    struct world *world = *state;
    _free_ char *charge = NULL, *part = NULL, *rest = NULL, *much = NULL, *shown = NULL;

    post(world, "/v1/payment_intents", NULL, GOOD);
    charge = mem_text(text(world, "latest_charge"));
    part = mem_format("charge=%s&amount=500&reason=duplicate", charge);
    much = mem_format("charge=%s&amount=1501", charge);
    rest = mem_format("charge=%s", charge);
    shown = mem_format("/v1/charges/%s", charge);
    assert_int_equal(post(world, "/v1/refunds", "r1", part), 200);
    assert_string_equal(text(world, "status"), "succeeded");
    assert_int_equal(post(world, "/v1/refunds", NULL, much), 400);
    assert_string_equal(text(world, "error.param"), "amount");
    assert_int_equal(post(world, "/v1/refunds", "r2", rest), 200);
    assert_int_equal(js_int(world->body, "amount", 0), 1500);
    assert_int_equal(post(world, "/v1/refunds", NULL, rest), 400);
    assert_string_equal(text(world, "error.code"), "charge_already_refunded");
    assert_int_equal(get(world, shown, NULL), 200);
    assert_true(js_bool(world->body, "refunded", false));
    assert_int_equal(effects(world, "r1"), 1);
}

static void refunds_of_nothing_are_refused(void **state)
{
    struct world *world = *state;
    _free_ char *unpaid = NULL;

    assert_int_equal(post(world, "/v1/refunds", NULL, ""), 400);
    assert_int_equal(post(world, "/v1/refunds", NULL, "charge=ch_none"), 400);
    assert_string_equal(text(world, "error.param"), "charge");
    assert_int_equal(post(world, "/v1/refunds", NULL, "charge=ch_none&reason=whim"), 400);
    assert_string_equal(text(world, "error.param"), "reason");
    post(world, "/v1/payment_intents", NULL, "amount=2000&currency=usd");
    unpaid = mem_format("payment_intent=%s", text(world, "id"));
    assert_int_equal(post(world, "/v1/refunds", NULL, unpaid), 400);
    assert_int_equal(effects(world, ""), 0);
}

static void events_are_listed_newest_first_and_by_page(void **state)
{
    struct world *world = *state;
    _free_ char *oldest = NULL, *newer = NULL, *older = NULL;

    post(world, "/v1/payment_intents", NULL, GOOD);
    post(world, "/v1/payment_intents", NULL, GOOD);
    assert_int_equal(get(world, "/v1/events", "limit=100"), 200);
    assert_int_equal(js_count(js_get(world->body, "data")), 6);
    assert_false(js_bool(world->body, "has_more", true));
    assert_string_equal(text(world, "data.0.type"), "payment_intent.succeeded");
    assert_string_equal(text(world, "data.5.type"), "payment_intent.created");
    oldest = mem_text(text(world, "data.5.id"));
    newer = mem_format("limit=2&ending_before=%s", oldest);
    older = mem_format("starting_after=%s", text(world, "data.4.id"));
    get(world, "/v1/events", newer); /* the two next to the cursor, not the newest two */
    assert_int_equal(js_count(js_get(world->body, "data")), 2);
    assert_true(js_bool(world->body, "has_more", false));
    assert_string_equal(text(world, "data.1.type"), "charge.succeeded");
    assert_string_equal(text(world, "data.0.type"), "payment_intent.succeeded");
    get(world, "/v1/events", older);
    assert_int_equal(js_count(js_get(world->body, "data")), 1);
    assert_string_equal(text(world, "data.0.id"), oldest);
    get(world, "/v1/events", "created[gte]=1700000001");
    assert_int_equal(js_count(js_get(world->body, "data")), 0);
    get(world, "/v1/events", "type=charge.succeeded&created[lte]=1700000000");
    assert_int_equal(js_count(js_get(world->body, "data")), 2);
    assert_int_equal(get(world, "/v1/events", "ending_before=evt_none"), 400);
    assert_int_equal(get(world, "/v1/events", "limit=101"), 400);
}

static void forgotten_events_make_room(void **state)
{
    struct world *world = *state;
    struct buf out = BUF_NULL;

    for (int i = 0; i < STRIPE_EVENTS_MAX + 5; i++) {
        buf_clear(&out);
        stripe_make_event(world->stripe, "charge.succeeded", js_object(), 1, &out);
    }
    buf_fini(&out);
    get(world, "/v1/events", "limit=1");
    assert_int_equal(js_count(js_get(world->body, "data")), 1);
    assert_true(js_bool(world->body, "has_more", false));
}

static void what_was_made_is_found_by_its_metadata(void **state)
{
    struct world *world = *state;
    char query[200];

    assert_int_equal(
        post(world, "/v1/payment_intents", "k1", GOOD "&metadata[my.ref]=r1"), 200);
    char *charge = mem_text(js_text(world->body, "latest_charge", NULL));
    assert_int_equal(get(world, "/v1/payment_intents/search",
                         "query=metadata%5B%22my.ref%22%5D%3A%22r1%22&expand[0]="
                         "data.latest_charge.balance_transaction"),
                     200);
    assert_int_equal(js_count(js_get(world->body, "data")), 1);
    assert_non_null(js_get(world->body, "data.0.latest_charge.balance_transaction.fee"));
    assert_int_equal(get(world, "/v1/payment_intents/search",
                         "query=metadata%5B%22my.ref%22%5D%3A%22r2%22"),
                     200);
    assert_int_equal(js_count(js_get(world->body, "data")), 0);
    assert_int_equal(
        get(world, "/v1/payment_intents/search", "query=status%3A%22succeeded%22"), 400);
    snprintf(query, sizeof(query), "charge=%s&amount=500&metadata[a]=b", charge);
    assert_int_equal(post(world, "/v1/refunds", "k2", query), 200);
    snprintf(query, sizeof(query), "charge=%s&amount=500", charge);
    assert_int_equal(post(world, "/v1/refunds", "k3", query), 200);
    snprintf(query, sizeof(query), "charge=%s&limit=1", charge);
    assert_int_equal(get(world, "/v1/refunds", query), 200);
    assert_int_equal(js_count(js_get(world->body, "data")), 1);
    assert_true(js_bool(world->body, "has_more", false));
    assert_int_equal(get(world, "/v1/refunds", "charge=ch_none"), 200);
    assert_int_equal(js_count(js_get(world->body, "data")), 0);
    free(charge);
}

int main(void)
{
#define CLAIM(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_charge_succeeds_and_is_counted),
        CLAIM(what_was_made_is_found_by_its_metadata),
        CLAIM(a_checkout_session_is_a_page_to_go_to),
        CLAIM(a_checkout_session_that_is_none_is_refused_by_parameter),
        CLAIM(the_same_key_again_is_answered_the_same_and_has_no_effect),
        CLAIM(a_key_with_other_parameters_is_refused),
        CLAIM(a_key_in_use_is_a_conflict_until_the_answer_is_delivered),
        CLAIM(a_refused_call_may_come_again_under_its_key),
        CLAIM(test_cards_are_declined_as_their_names_say),
        CLAIM(what_is_wrong_is_named_by_parameter),
        CLAIM(only_the_right_key_may_call_and_it_is_never_shown),
        CLAIM(json_bodies_and_unknown_addresses_are_refused),
        CLAIM(never_more_is_refunded_than_was_taken),
        CLAIM(refunds_of_nothing_are_refused),
        CLAIM(events_are_listed_newest_first_and_by_page),
        CLAIM(forgotten_events_make_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
