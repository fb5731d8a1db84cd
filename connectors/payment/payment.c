/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* payment - take payments, give refunds, read a payment service's events
 *
 * Amounts are whole numbers in the currency's smallest unit (cents; yen as they are),
 * everywhere.  What can be told from the input alone fails before any call.  Charges and
 * refunds carry an idempotency key, so that an attempt whose answer was lost is sent
 * again without charging twice. */
#include <stdio.h>
#include <string.h>

#include "input.h"
#include "stripe.h"

enum { REFUNDS_PER_PAGE = 100, KEY_LIFETIME_S = 24 * 3600 };

static const struct sb_option options[] = {
    {"api_version", SB_TEXT, STRIPE_VERSION, false, "the Stripe-Version header"},
    {"account", SB_TEXT, NULL, false, "Stripe Connect: act for this account (acct_...)"},
    {"exact_fee", SB_BOOL, "true", false,
     "ask for the balance transaction, so that the cost is actual"},
    {"fee_basis_points", SB_INT, NULL, false,
     "estimate of the fee: hundredths of a percent of the amount (290 is 2.9 %)"},
    {"fee_fixed", SB_INT, NULL, false,
     "estimate of the fee: added per charge, in the smallest unit of its currency"},
    {"events_filed", SB_TEXT, "declared", false,
     "what `events` files as its webhook would have: declared (what becomes an event of "
     "this connector) or all"},
    {"events_lookback_h", SB_INT, "1", false,
     "hours before the first run of `events` from which on it files"},
    {.name = NULL},
};

static const struct sb_secret secrets[] = {
    {"api_key",
     "a secret or restricted key (sk_test_..., sk_live_..., rk_...) from the Stripe "
     "dashboard, Developers, API keys",
     "roll the key in the dashboard with an overlap, `signalbox secret rotate`, then let "
     "the old one expire",
     false},
    {.name = NULL},
};

/* --- charge: {amount, currency, payment_method | customer, description, metadata,
 * receipt_email} --- */

static enum sb_verdict charge_request(const struct sb_event *event,
                                      struct sb_request *request,
                                      struct sb_outcome *outcome)
{
    static const char *const known[] = {"amount",        "currency",    "payment_method",
                                        "customer",      "description", "metadata",
                                        "receipt_email", NULL};
    static const char *const texts[] = {"payment_method", "customer", "description",
                                        "receipt_email", NULL};
    const struct sb_json *data = sb_data(event);
    char currency[4];
    int64_t amount = 0;

    if (!members_ok(data, known, outcome) || !amount_ok(data, outcome) ||
        !texts_ok(data, texts, outcome) || !currency_ok(data, currency, outcome))
        return SB_FAILED;
    if (!sb_has(data, "payment_method") && !sb_has(data, "customer"))
        return sb_fail(outcome, "payment_method is missing (pm_...): there is nothing to "
                                "charge; a customer with a "
                                "default payment method may be given instead");
    sb_int(data, "amount", &amount);
    stripe_call(event, request, "POST", "/v1/payment_intents");
    sb_field_int(request, "amount", amount);
    sb_field(request, "currency", currency);
    sb_field_bool(request, "confirm", true);
    sb_field_bool(request, "error_on_requires_action", true); /* nobody is there to act */
    sb_field_bool(request, "automatic_payment_methods[enabled]", true);
    sb_field(request, "automatic_payment_methods[allow_redirects]", "never");
    sb_field(request, "payment_method", sb_text(data, "payment_method"));
    sb_field(request, "customer", sb_text(data, "customer"));
    sb_field(request, "description", sb_text(data, "description"));
    sb_field(request, "receipt_email", sb_text(data, "receipt_email"));
    if (sb_has(data, "metadata"))
        sb_field_json(request, "metadata", sb_at(data, "metadata"));
    sb_field(request, "metadata[" STRIPE_REFERENCE "]", sb_idempotency_key(event));
    if (strcmp(sb_option(event, "exact_fee"), "true") == 0)
        sb_field(request, "expand[0]", "latest_charge.balance_transaction");
    return SB_DONE;
}

/* The fee, where Stripe told it. It is in the currency of the account, not of the charge.
 */
static void actual_cost(const struct sb_json *transaction, struct sb_outcome *outcome)
{
    const char *currency = sb_text(transaction, "currency");
    int64_t fee;

    if (currency && strlen(currency) == 3 && sb_int(transaction, "fee", &fee))
        sb_cost(outcome, SB_ACTUAL, currency, stripe_millionths(currency, fee));
}

static enum sb_verdict not_paid(const char *status, struct sb_outcome *outcome)
{
    if (strcmp(status, "processing") == 0 || strcmp(status, "requires_capture") == 0)
        return sb_unknown(outcome,
                          "the payment is %s: a webhook (payment.succeeded, "
                          "payment.failed) will tell; do not "
                          "charge again before",
                          status);
    return sb_fail(outcome, "the payment was not made: Stripe says %s%s", status,
                   strcmp(status, "requires_action") == 0
                       ? " (the bank asks for the customer, 3-D Secure)"
                       : "");
}

/* What a payment intent means: the same from a charge's answer and from a lookup. */
static enum sb_verdict charge_outcome(const struct sb_json *intent,
                                      struct sb_outcome *outcome)
{
    const char *id = sb_text(intent, "id"), *status = sb_text(intent, "status");
    const char *charge = sb_text(intent, "latest_charge");
    struct sb_json *result = sb_result(outcome);

    if (!id || !status)
        return sb_unclear(outcome, "Stripe's answer is not a payment intent");
    sb_put_text(result, "payment_intent", id);
    sb_put_text(result, "charge", charge ? charge : sb_text(intent, "latest_charge.id"));
    sb_put_text(result, "status", status);
    sb_put(result, "amount", sb_at(intent, "amount"));
    sb_put(result, "currency", sb_at(intent, "currency"));
    sb_put_text(result, "customer", sb_text(intent, "customer"));
    sb_put(result, "livemode", sb_at(intent, "livemode"));
    if (strcmp(status, "succeeded") != 0)
        return not_paid(status, outcome);
    actual_cost(sb_at(intent, "latest_charge.balance_transaction"), outcome);
    return SB_DONE;
}

static enum sb_verdict charge_succeeded(const struct sb_event *event,
                                        const struct sb_answer *answer,
                                        struct sb_outcome *outcome)
{
    (void)event;
    return charge_outcome(sb_answer_json(answer), outcome);
}

/* Past the key's lifetime: is there a payment that carries this request's reference?
 * Stripe's search may lag by a minute. */
static enum sb_verdict charge_lookup(const struct sb_event *event,
                                     struct sb_request *request,
                                     struct sb_outcome *outcome)
{
    char query[100];

    (void)outcome;
    snprintf(query, sizeof(query), "metadata[\"%s\"]:\"%s\"", STRIPE_REFERENCE,
             sb_idempotency_key(event));
    stripe_call(event, request, "GET", "/v1/payment_intents/search");
    sb_field(request, "query", query);
    sb_field_int(request, "limit", 2);
    sb_field(request, "expand[0]", "data.latest_charge.balance_transaction");
    return SB_DONE;
}

static enum sb_verdict charge_found(const struct sb_event *event,
                                    const struct sb_answer *answer,
                                    struct sb_outcome *outcome)
{
    const struct sb_json *page = sb_answer_json(answer), *first = sb_at(page, "data.0");
    const char *status = sb_text(first, "status");

    (void)event;
    if (sb_status(answer) != 200 || !sb_has(page, "data"))
        return sb_default(outcome, "Stripe's search answered %u", sb_status(answer));
    if (!first)
        return sb_absent(outcome);
    if (sb_count(page, "data") > 1)
        return sb_unknown(outcome, "Stripe has several payments for this request");
    if (status && strcmp(status, "requires_payment_method") == 0)
        return sb_fail(outcome, "the payment was refused at an earlier attempt: %s",
                       sb_text(first, "last_payment_error.message")
                           ? sb_text(first, "last_payment_error.message")
                           : "Stripe gave no reason");
    return charge_outcome(first, outcome);
}

static void charge_price(const struct sb_event *event, struct sb_outcome *outcome)
{
    const char *currency = sb_text(sb_data(event), "currency");
    int64_t amount = 0;

    if (!sb_option(event, "fee_basis_points") && !sb_option(event, "fee_fixed"))
        return; /* no estimate is better than a made-up one */
    if (!currency || !sb_int(sb_data(event), "amount", &amount))
        return;
    double fee =
        (double)amount * (double)sb_option_int(event, "fee_basis_points") / 10000;
    int64_t minor_units =
        (int64_t)fee + ((double)(int64_t)fee < fee) + sb_option_int(event, "fee_fixed");
    sb_cost(outcome, SB_ESTIMATED, currency, stripe_millionths(currency, minor_units));
}

/* --- refund: {charge | payment_intent, amount, reason, metadata} --- */

static bool reason_ok(const struct sb_json *data)
{
    const char *reason = sb_text(data, "reason");

    return !sb_has(data, "reason") ||
           (reason &&
            (strcmp(reason, "duplicate") == 0 || strcmp(reason, "fraudulent") == 0 ||
             strcmp(reason, "requested_by_customer") == 0));
}

static enum sb_verdict refund_request(const struct sb_event *event,
                                      struct sb_request *request,
                                      struct sb_outcome *outcome)
{
    static const char *const known[] = {"charge", "payment_intent", "amount",
                                        "reason", "metadata",       NULL};
    static const char *const texts[] = {"charge", "payment_intent", NULL};
    const struct sb_json *data = sb_data(event);
    int64_t amount;

    if (!members_ok(data, known, outcome) || !texts_ok(data, texts, outcome))
        return SB_FAILED;
    if (sb_has(data, "charge") == sb_has(data, "payment_intent"))
        return sb_fail(outcome, "give either charge (ch_...) or payment_intent (pi_...)");
    if (sb_has(data, "amount") && !amount_ok(data, outcome))
        return SB_FAILED;
    if (!reason_ok(data))
        return sb_fail(outcome,
                       "reason must be duplicate, fraudulent or requested_by_customer");
    stripe_call(event, request, "POST", "/v1/refunds");
    sb_field(request, "charge", sb_text(data, "charge"));
    sb_field(request, "payment_intent", sb_text(data, "payment_intent"));
    if (sb_int(data, "amount", &amount))
        sb_field_int(request, "amount", amount);
    sb_field(request, "reason", sb_text(data, "reason"));
    if (sb_has(data, "metadata"))
        sb_field_json(request, "metadata", sb_at(data, "metadata"));
    sb_field(request, "metadata[" STRIPE_REFERENCE "]", sb_idempotency_key(event));
    return SB_DONE;
}

static enum sb_verdict refund_outcome(const struct sb_json *refund,
                                      struct sb_outcome *outcome)
{
    const char *id = sb_text(refund, "id"), *status = sb_text(refund, "status");
    struct sb_json *result = sb_result(outcome);

    if (!id)
        return sb_unclear(outcome, "Stripe's answer is not a refund");
    sb_put_text(result, "refund", id);
    sb_put_text(result, "status", status);
    sb_put(result, "amount", sb_at(refund, "amount"));
    sb_put(result, "currency", sb_at(refund, "currency"));
    sb_put_text(result, "charge", sb_text(refund, "charge"));
    sb_put_text(result, "payment_intent", sb_text(refund, "payment_intent"));
    if (status && (strcmp(status, "failed") == 0 || strcmp(status, "canceled") == 0))
        return sb_fail(outcome, "the refund %s: %s", status,
                       sb_text(refund, "failure_reason")
                           ? sb_text(refund, "failure_reason")
                           : "Stripe gave no reason");
    return SB_DONE; /* pending too: Stripe has taken it on */
}

static enum sb_verdict refund_succeeded(const struct sb_event *event,
                                        const struct sb_answer *answer,
                                        struct sb_outcome *outcome)
{
    (void)event;
    return refund_outcome(sb_answer_json(answer), outcome);
}

static enum sb_verdict refund_lookup(const struct sb_event *event,
                                     struct sb_request *request,
                                     struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);

    (void)outcome;
    stripe_call(event, request, "GET", "/v1/refunds");
    sb_field(request, "charge", sb_text(data, "charge"));
    sb_field(request, "payment_intent", sb_text(data, "payment_intent"));
    sb_field_int(request, "limit", REFUNDS_PER_PAGE);
    return SB_DONE;
}

/* Of the payment's refunds, the one that carries this request's reference. */
static enum sb_verdict refund_found(const struct sb_event *event,
                                    const struct sb_answer *answer,
                                    struct sb_outcome *outcome)
{
    const struct sb_json *page = sb_answer_json(answer), *list = sb_at(page, "data");
    bool has_more = false;

    if (sb_status(answer) != 200 || !list)
        return sb_default(outcome, "Stripe's list of refunds answered %u",
                          sb_status(answer));
    for (size_t i = 0; i < sb_count(list, ""); i++) {
        const struct sb_json *refund = sb_element(list, i);
        const char *reference = sb_text(refund, "metadata." STRIPE_REFERENCE);
        if (reference && strcmp(reference, sb_idempotency_key(event)) == 0)
            return refund_outcome(refund, outcome);
    }
    if (sb_bool(page, "has_more", &has_more) && has_more)
        return sb_unknown(outcome, "the payment has more than %d refunds",
                          REFUNDS_PER_PAGE);
    return sb_absent(outcome);
}

/* --- the tables --- */

static const struct sb_operation operations[] = {
    {.name = "charge",
     .summary = "Take a payment: a PaymentIntent, created and confirmed",
     .transition = "order: unpaid -> paid",
     .transition_failed = "order: unpaid -> payment failed",
     SB_BRANCHES(charge_request, charge_succeeded, stripe_failed),
     .lookup_request = charge_lookup,
     .lookup_answer = charge_found,
     .lookup_after_s = 60,
     .example_found =
         "{\"data\":[{\"id\":\"pi_1\",\"status\":\"succeeded\",\"amount\":2000,"
         "\"currency\":\"eur\",\"latest_charge\":\"ch_1\"}]}",
     .example_absent = "{\"data\":[]}",
     .repeat = SB_REPEAT_KEYED,
     .key_lifetime_s = KEY_LIFETIME_S,
     .price = charge_price,
     .price_text = "percent of the amount and a fixed fee per successful charge, so it "
                   "grows in step with the charges; a refund does not give it back; "
                   "the options fee_basis_points and fee_fixed estimate it, exact_fee "
                   "has Stripe tell it",
     .degrade = "keep the order unpaid and offer another method",
     .test = "in test mode with payment_method pm_card_visa; pm_card_visa_chargeDeclined "
             "is declined",
     .example =
         "{\"amount\":2000,\"currency\":\"eur\",\"payment_method\":\"pm_card_visa\"}",
     .example_answer = "{\"id\":\"pi_1\",\"status\":\"succeeded\",\"amount\":2000,"
                       "\"currency\":\"eur\",\"latest_charge\":\"ch_1\"}"},
    {.name = "refund",
     .summary = "Give a payment back, in part or in full",
     .transition = "payment: paid -> refunded",
     .transition_failed = "payment: stays paid",
     SB_BRANCHES(refund_request, refund_succeeded, stripe_failed),
     .lookup_request = refund_lookup,
     .lookup_answer = refund_found,
     .example_found =
         "{\"data\":[{\"id\":\"re_1\",\"status\":\"succeeded\",\"amount\":500,"
         "\"metadata\":{\"" STRIPE_REFERENCE "\":\"@KEY@\"}}]}",
     .example_absent = "{\"data\":[]}",
     .repeat = SB_REPEAT_KEYED,
     .key_lifetime_s = KEY_LIFETIME_S,
     .price_max = {"USD", 0},
     .price_text = "none",
     .degrade = "tell support; the money is still there",
     .test = "in test mode, of a charge made before",
     .example = "{\"charge\":\"ch_1\",\"amount\":500}",
     .example_answer = "{\"id\":\"re_1\",\"status\":\"succeeded\",\"amount\":500,"
                       "\"currency\":\"eur\",\"charge\":\"ch_1\"}"},
    {.name = "checkout",
     .summary = "Make a page of Stripe's on which the customer pays",
     .transition = "order: new -> pending, the customer is sent to `url`",
     .transition_failed = "order: stays new",
     SB_BRANCHES(checkout_request, checkout_succeeded, stripe_failed),
     .repeat = SB_REPEAT_KEYED,
     .key_lifetime_s = KEY_LIFETIME_S,
     .price_max = {"USD", 0},
     .price_text = "none for the page; what is paid on it costs as a charge does",
     .degrade = "keep the order new and offer another method, or to try again",
     .test = "in test mode, the page takes the card 4242 4242 4242 4242; in the sandbox, "
             "`signalbox simulate stripe checkout.session.completed`",
     .example = "{\"amount\":2000,\"currency\":\"eur\",\"success_url\":\"https://"
                "shop.example.com/thanks\",\"cancel_url\":\"https://"
                "shop.example.com/cart\"}",
     .example_answer =
         "{\"id\":\"cs_test_1\",\"url\":\"https://checkout.stripe.com/c/pay/"
         "cs_test_1\",\"status\":\"open\",\"amount_total\":2000,"
         "\"currency\":\"eur\"}"},
    {.name = "events",
     .summary = "File the events that this connector knows and that came by no webhook "
                "since the last run: the repair path after downtime",
     SB_BRANCHES(events_request, events_succeeded, stripe_failed),
     .repeat = SB_REPEAT_SAFE,
     .is_harmless = true,
     .is_poll = true,
     .finds = "always",
     .price_max = {"USD", 0},
     .price_text = "none",
     .degrade = "the next run takes up where the last successful one ended",
     .test = "changes nothing at Stripe, in any mode",
     .answer_max = EVENTS_ANSWER_MAX,
     .example = "{}",
     .example_answer = "{\"data\":[],\"has_more\":false}"},
    {.name = NULL},
};

static const struct sb_failure_mode failures[] = {
    {"card refused",
     "permanent: the card was refused (card_declined, insufficient_funds)",
     "never tried again; offer another method"},
    {"request refused", "permanent: Stripe refused the request",
     "the input is wrong; the text names the parameter"},
    {"API key refused", "permanent: Stripe does not accept the API key",
     "set the secret api_key, then redrive what failed"},
    {"not paid yet", "unknown: the payment is processing",
     "a webhook or the poll `events` tells how it ended; resolve by hand if neither "
     "does"},
    {"Stripe busy or down", "exhausted, with the last answer",
     "tried again under the same key until attempts or deadline end"},
    {"answer lost", "a retry; a lookup once the key's lifetime (24 h) is over",
     "sent again under the same key, which cannot charge twice; later Stripe is asked "
     "for "
     "the payment first, by the reference in its metadata"},
    {"cursor too old", "permanent: Stripe refused the request (parameter ending_before)",
     "Stripe keeps events for 30 days: call payment.events with the cursor since:SECONDS "
     "for what is left of the gap"},
    {.name = NULL},
};

static const struct sb_provider providers[] = {
    {.name = "stripe",
     .base_url = "https://api.stripe.com",
     .options = options,
     .secrets = secrets,
     .operations = operations,
     .webhooks = stripe_webhooks,
     .service = "Stripe"},
    {.name = NULL},
};

static const struct sb_connector payment = {
    .name = "payment",
    .version = "1",
    .summary = "signalbox connector: payments (Stripe)",
    .providers = providers,
    .failures = failures,
    .tests = "unit tests of requests and answers without a network; the sandbox answers "
             "as Stripe does, declines and "
             "faults included; with a test key, Stripe's own test mode",
};

int main(int argc, char **argv)
{
    return sb_connector_main(&payment, argc, argv);
}
