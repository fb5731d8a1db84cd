/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* payments - payment intents and their charges */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/stripe/inside.h"

enum { AMOUNT_MAX = 99999999, FEE_PER_MILLE = 29, FEE_FIXED = 30 };

/* Stripe's test payment methods: what they lead to. Those in no list do not exist. */
static const struct decline declines[] = {
    {"pm_card_visa_chargeDeclined", "card_declined", "generic_decline",
     "Your card was declined."},
    {"pm_card_chargeDeclined", "card_declined", "generic_decline",
     "Your card was declined."},
    {"pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined",
     "insufficient_funds", "Your card has insufficient funds."},
    {"pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card",
     "Your card was declined."},
    {"pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card",
     "Your card was declined."},
    {"pm_card_visa_chargeDeclinedFraudulent", "card_declined", "fraudulent",
     "Your card was declined."},
    {"pm_card_chargeDeclinedExpiredCard", "expired_card", NULL, "Your card has expired."},
    {"pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", NULL,
     "Your card's security code is incorrect."},
    {"pm_card_chargeDeclinedProcessingError", "processing_error", NULL,
     "An error occurred while processing your card. Try again in a little bit."},
    {NULL, NULL, NULL, NULL},
};

static const char *const good_methods[] = {
    "pm_card_visa",     "pm_card_visa_debit", "pm_card_mastercard", "pm_card_amex",
    "pm_card_discover", "pm_card_diners",     "pm_card_jcb",        "pm_card_unionpay",
    "pm_card_us",       "pm_card_gb",         "pm_card_de",         NULL,
};
static const char *const action_methods[] = {
    "pm_card_authenticationRequired",
    "pm_card_threeDSecure2Required",
    "pm_card_threeDSecureRequired",
    NULL,
};

/* The least that may be charged, in the currency's smallest unit; 1 where nothing is
 * listed. */
static const struct {
    char currency[4];
    int least;
    const char *text;
} currencies[] = {
    {"usd", 50, "$0.50 usd"},         {"eur", 50, "\u20ac0.50 eur"},
    {"gbp", 30, "\u00a30.30 gbp"},    {"chf", 50, "0.50 chf"},
    {"jpy", 50, "\u00a550 jpy"},      {"cad", 50, "$0.50 cad"},
    {"aud", 50, "$0.50 aud"},         {"sek", 300, "3.00 kr sek"},
    {"nok", 300, "3.00 kr nok"},      {"dkk", 250, "2.50 kr dkk"},
    {"pln", 200, "2.00 z\u0142 pln"}, {"inr", 50, "\u20b90.50 inr"},
    {"nzd", 50, "$0.50 nzd"},         {"mxn", 1000, "$10.00 mxn"},
    {"brl", 50, "R$0.50 brl"},
};

static const char *const known[] = {
    "amount",
    "application_fee_amount",
    "automatic_payment_methods",
    "capture_method",
    "confirm",
    "confirmation_method",
    "confirmation_token",
    "currency",
    "customer",
    "description",
    "error_on_requires_action",
    "expand",
    "mandate",
    "mandate_data",
    "metadata",
    "off_session",
    "on_behalf_of",
    "payment_method",
    "payment_method_configuration",
    "payment_method_data",
    "payment_method_options",
    "payment_method_types",
    "radar_options",
    "receipt_email",
    "return_url",
    "setup_future_usage",
    "shipping",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
    "use_stripe_sdk",
    NULL,
};
static const char *const unsupported[] = {
    "application_fee_amount",
    "capture_method",
    "confirmation_method",
    "confirmation_token",
    "mandate",
    "mandate_data",
    "on_behalf_of",
    "payment_method_configuration",
    "payment_method_data",
    "payment_method_options",
    "radar_options",
    "setup_future_usage",
    "shipping",
    "statement_descriptor_suffix",
    "transfer_data",
    "transfer_group",
    "use_stripe_sdk",
    NULL,
};

static bool is_in(const char *const *list, const char *text)
{
    while (*list && strcmp(*list, text))
        list++;
    return *list != NULL;
}

static const struct decline *decline_of(const char *payment_method)
{
    const struct decline *decline = declines;

    while (decline->payment_method && strcmp(decline->payment_method, payment_method))
        decline++;
    return decline->payment_method ? decline : NULL;
}

static const char *status_text(enum intent_status status)
{
    static const char *const texts[] = {"requires_payment_method",
                                        "requires_confirmation", "requires_action",
                                        "succeeded"};

    return texts[status];
}

/* --- objects --- */

struct json *transaction_json(const struct intent *intent)
{
    int64_t fee = (intent->amount * FEE_PER_MILLE + 500) / 1000 + FEE_FIXED;
    struct json *t = js_object(), *detail = js_object();

    js_set_text(t, "id", intent->transaction);
    js_set_text(t, "object", "balance_transaction");
    js_set_int(t, "amount", intent->amount);
    js_set_int(t, "created", intent->created);
    js_set_text(t, "currency", intent->currency);
    js_set_int(t, "fee", fee);
    js_set_int(detail, "amount", fee);
    js_set_text(detail, "currency", intent->currency);
    js_set_text(detail, "description", "Stripe processing fees");
    js_set_text(detail, "type", "stripe_fee");
    js_set(t, "fee_details", js_push(js_array(), detail));
    js_set_int(t, "net", intent->amount - fee);
    js_set_text(t, "source", intent->charge);
    js_set_text(t, "status", "pending");
    js_set_text(t, "type", "charge");
    return t;
}

/* A text or null, as Stripe writes what is not set. */
static void set_or_null(struct json *object, const char *name, const char *text)
{
    js_set(object, name, text && *text ? js_from_text(text, strlen(text)) : js_null());
}

static struct json *outcome_json(const struct intent *intent)
{
    struct json *outcome = js_object();
    bool is_paid = intent->status == INTENT_SUCCEEDED;

    js_set_text(outcome, "network_status",
                is_paid ? "approved_by_network" : "declined_by_network");
    set_or_null(outcome, "reason",
                is_paid || !intent->decline     ? NULL
                : intent->decline->decline_code ? intent->decline->decline_code
                                                : intent->decline->code);
    js_set_text(outcome, "risk_level", "normal");
    js_set_text(outcome, "seller_message",
                is_paid
                    ? "Payment complete."
                    : "The bank did not return any further details with this decline.");
    js_set_text(outcome, "type", is_paid ? "authorized" : "issuer_declined");
    return outcome;
}

struct json *charge_json(const struct intent *intent, const struct request *request)
{
    struct json *c = js_object(), *details = js_object(), *card = js_object();
    bool is_paid = intent->status == INTENT_SUCCEEDED;

    js_set_text(c, "id", intent->charge);
    js_set_text(c, "object", "charge");
    js_set_int(c, "amount", intent->amount);
    js_set_int(c, "amount_captured", is_paid ? intent->amount : 0);
    js_set_int(c, "amount_refunded", intent->refunded);
    if (request && is_paid &&
        (wants_expanded(request, "latest_charge.balance_transaction") ||
         wants_expanded(request, "balance_transaction")))
        js_set(c, "balance_transaction", transaction_json(intent));
    else
        set_or_null(c, "balance_transaction", is_paid ? intent->transaction : NULL);
    js_set_bool(c, "captured", is_paid);
    js_set_int(c, "created", intent->created);
    js_set_text(c, "currency", intent->currency);
    set_or_null(c, "customer", intent->customer);
    set_or_null(c, "description", intent->description);
    js_set_bool(c, "disputed", false);
    set_or_null(c, "failure_code", intent->decline ? intent->decline->code : NULL);
    set_or_null(c, "failure_message", intent->decline ? intent->decline->message : NULL);
    js_set_bool(c, "livemode", false);
    js_set(c, "metadata", js_copy(intent->metadata));
    js_set(c, "outcome", outcome_json(intent));
    js_set_bool(c, "paid", is_paid);
    js_set_text(c, "payment_intent", intent->id);
    set_or_null(c, "payment_method", intent->payment_method);
    js_set_text(card, "brand", "visa");
    js_set_text(card, "last4", "4242");
    js_set_text(details, "type", "card");
    js_set(c, "payment_method_details", js_set(details, "card", card));
    js_set_bool(c, "refunded", intent->refunded == intent->amount);
    js_set_text(c, "status", is_paid ? "succeeded" : "failed");
    return c;
}

static struct json *decline_json(const struct intent *intent)
{
    struct json *error = js_object();

    js_set_text(error, "charge", intent->charge);
    js_set_text(error, "code", intent->decline->code);
    js_set_text(error, "decline_code", intent->decline->decline_code);
    js_set_text(error, "message", intent->decline->message);
    js_set_text(error, "type", "card_error");
    return error;
}

static struct json *methods_json(const struct intent *intent, struct json *object)
{
    struct json *automatic = js_object();

    js_set_bool(automatic, "enabled", true);
    js_set(object, "automatic_payment_methods",
           intent->is_automatic ? js_copy(automatic) : js_null());
    js_free(automatic);
    return js_set(object, "payment_method_types",
                  js_push(js_array(), js_from_text("card", 4)));
}

struct json *intent_json(const struct intent *intent, const struct request *request)
{
    struct json *i = js_object();
    bool is_paid = intent->status == INTENT_SUCCEEDED;
    _free_ char *secret = mem_format("%s_secret_%s", intent->id, intent->id + 10);

    js_set_text(i, "id", intent->id);
    js_set_text(i, "object", "payment_intent");
    js_set_int(i, "amount", intent->amount);
    js_set_int(i, "amount_capturable", 0);
    js_set_int(i, "amount_received", is_paid ? intent->amount : 0);
    methods_json(intent, i);
    js_set(i, "canceled_at", js_null());
    js_set_text(i, "capture_method", "automatic");
    js_set_text(i, "client_secret", secret);
    js_set_text(i, "confirmation_method", "automatic");
    js_set_int(i, "created", intent->created);
    js_set_text(i, "currency", intent->currency);
    set_or_null(i, "customer", intent->customer);
    set_or_null(i, "description", intent->description);
    js_set(i, "last_payment_error", intent->decline ? decline_json(intent) : js_null());
    if (request && *intent->charge && wants_expanded(request, "latest_charge"))
        js_set(i, "latest_charge", charge_json(intent, request));
    else
        set_or_null(i, "latest_charge", intent->charge);
    js_set_bool(i, "livemode", false);
    js_set(i, "metadata", js_copy(intent->metadata));
    js_set(i, "next_action",
           intent->status == INTENT_REQUIRES_ACTION
               ? js_set_text(js_object(), "type", "use_stripe_sdk")
               : js_null());
    set_or_null(i, "payment_method", intent->decline ? NULL : intent->payment_method);
    set_or_null(i, "receipt_email", intent->receipt_email);
    set_or_null(i, "statement_descriptor", intent->descriptor);
    js_set_text(i, "status", status_text(intent->status));
    return i;
}

void intent_free(struct intent *intent)
{
    free(intent->payment_method);
    free(intent->customer);
    free(intent->description);
    free(intent->receipt_email);
    free(intent->descriptor);
    js_free(intent->metadata);
    free(intent);
}

/* --- creating --- */

struct json *refuse_currency(struct request *request, const char *param, int64_t amount)
{
    const char *currency = form_get(&request->form, param);
    size_t n = currency ? strlen(currency) : 0;

    if (!currency)
        return refuse_param(request, "parameter_missing", param,
                            "Missing required param: %s.", param);
    for (size_t i = 0; i < sizeof(currencies) / sizeof(currencies[0]); i++) {
        if (n != 3 || strcasecmp(currency, currencies[i].currency))
            continue;
        if (amount < currencies[i].least)
            return refuse_param(request, "amount_too_small", "amount",
                                "Amount must be at least %s", currencies[i].text);
        return NULL;
    }
    return refuse_param(request, NULL, param,
                        "Invalid currency: %s. The sandbox knows usd, eur, gbp, chf, "
                        "jpy, cad, aud, sek, nok, dkk, pln, inr, "
                        "nzd, mxn and brl; the real API knows more.",
                        currency);
}

static struct json *check_method(struct request *request)
{
    const char *method = form_get(&request->form, "payment_method"),
               *customer = form_get(&request->form, "customer");

    if (customer && strncmp(customer, "cus_", 4))
        return refuse_param(request, "resource_missing", "customer",
                            "No such customer: '%s'", customer);
    if (method && !is_in(good_methods, method) && !is_in(action_methods, method) &&
        !decline_of(method))
        return refuse_param(request, "resource_missing", "payment_method",
                            "No such PaymentMethod: '%s'", method);
    return NULL;
}

/* What confirm=true needs beside the rest. */
static struct json *check_confirm(struct request *request)
{
    const char *redirects =
        form_get(&request->form, "automatic_payment_methods[allow_redirects]");

    if (!form_get(&request->form, "payment_method"))
        return refuse_param(request, "payment_intent_unexpected_state", NULL,
                            "You cannot confirm this PaymentIntent because it's missing "
                            "a payment method. You can either update the "
                            "PaymentIntent with a payment method and then confirm it "
                            "again, or confirm it again directly with a "
                            "payment method or ConfirmationToken.");
    if (!form_has(&request->form, "payment_method_types") &&
        !form_has(&request->form, "return_url") &&
        (!redirects || strcmp(redirects, "never")))
        return refuse_param(
            request, NULL, NULL,
            "This PaymentIntent is configured to accept payment methods enabled in your "
            "Dashboard. Because some of "
            "these payment methods might redirect your customer off of your page, you "
            "must provide a `return_url`. "
            "If you don't want to accept redirect-based payment methods, set "
            "`automatic_payment_methods[enabled]` to `true` and "
            "`automatic_payment_methods[allow_redirects]` to "
            "`never` when creating Setup Intents and Payment Intents.");
    return NULL;
}

static bool is_true(const struct request *request, const char *name)
{
    const char *value = form_get(&request->form, name);

    return value && !strcmp(value, "true");
}

static struct json *check_create(struct request *request, int64_t *ret_amount,
                                 struct json **ret_metadata)
{
    struct json *error = refuse_unknown(request, known);

    if (!error)
        error = refuse_unsupported(request, unsupported);
    if (!error)
        error = read_amount(request, "amount", ret_amount);
    if (!error && *ret_amount > AMOUNT_MAX)
        error = refuse_param(request, "amount_too_large", "amount",
                             "Amount must be no more than $999,999.99");
    if (!error)
        error = refuse_currency(request, "currency", *ret_amount);
    if (!error)
        error = check_method(request);
    if (!error && is_true(request, "confirm"))
        error = check_confirm(request);
    return error ? error : read_metadata(request, ret_metadata);
}

static struct intent *make_intent(struct stripe *stripe, const struct request *request,
                                  int64_t amount, struct json *metadata)
{
    const struct form *form = &request->form;
    struct intent *intent = mem_alloc(sizeof(*intent));

    stripe_id("pi_3", intent->id);
    for (int i = 0; i < 3; i++)
        intent->currency[i] = (char)(form_get(form, "currency")[i] | 0x20);
    intent->amount = amount;
    intent->created = (int64_t)(request->call->now_us / 1000000);
    intent->payment_method = mem_text(form_get(form, "payment_method"));
    intent->customer = mem_text(form_get(form, "customer"));
    intent->description = mem_text(form_get(form, "description"));
    intent->receipt_email = mem_text(form_get(form, "receipt_email"));
    intent->descriptor = mem_text(form_get(form, "statement_descriptor"));
    intent->metadata = metadata;
    intent->is_automatic = !form_has(form, "payment_method_types");
    intent->status = intent->payment_method ? INTENT_REQUIRES_CONFIRMATION
                                            : INTENT_REQUIRES_PAYMENT_METHOD;
    table_add(&stripe->intents, intent->id, intent);
    return intent;
}

/* 402 with the intent in the error, as the real one; the intent stays and waits for
 * another payment method. */
static struct json *answer_decline(struct stripe *stripe, struct request *request,
                                   struct intent *intent)
{
    struct json *body;
    struct json *error;

    intent->status = INTENT_REQUIRES_PAYMENT_METHOD;
    emit(stripe, request, "charge.failed", charge_json(intent, NULL));
    emit(stripe, request, "payment_intent.payment_failed", intent_json(intent, NULL));
    body = refuse(request, 402, "card_error", intent->decline->code, NULL, "%s",
                  intent->decline->message);
    error = js_copy(js_get(body, "error"));
    js_free(body);
    js_set_text(error, "charge", intent->charge);
    js_set_text(error, "decline_code", intent->decline->decline_code);
    js_set(error, "payment_intent", intent_json(intent, NULL));
    return js_set(js_object(), "error", error);
}

static struct json *confirm(struct stripe *stripe, struct request *request,
                            struct intent *intent)
{
    if (is_in(action_methods, intent->payment_method) &&
        is_true(request, "error_on_requires_action"))
        return refuse(
            request, 402, "card_error", "authentication_required", NULL,
            "Your card was declined. This transaction requires authentication.");
    if (is_in(action_methods, intent->payment_method)) {
        intent->status = INTENT_REQUIRES_ACTION;
        emit(stripe, request, "payment_intent.requires_action",
             intent_json(intent, NULL));
        return intent_json(intent, request);
    }
    stripe_id("ch_3", intent->charge);
    table_add(&stripe->charges, intent->charge, intent);
    intent->decline = decline_of(intent->payment_method);
    if (intent->decline)
        return answer_decline(stripe, request, intent);
    stripe_id("txn_3", intent->transaction);
    intent->status = INTENT_SUCCEEDED;
    request->effects++;
    emit(stripe, request, "charge.succeeded", charge_json(intent, NULL));
    emit(stripe, request, "payment_intent.succeeded", intent_json(intent, NULL));
    return intent_json(intent, request);
}

struct json *intent_create(struct stripe *stripe, struct request *request)
{
    struct json *metadata = NULL, *error;
    struct intent *intent;
    int64_t amount = 0;

    error = check_create(request, &amount, &metadata);
    if (error)
        return error;
    if (stripe->intents.n >= STRIPE_OBJECTS_MAX) {
        js_free(metadata);
        return refuse(request, 503, "api_error", NULL, NULL,
                      "The sandbox is full; start it again.");
    }
    request->is_begun = true;
    intent = make_intent(stripe, request, amount, metadata);
    emit(stripe, request, "payment_intent.created", intent_json(intent, NULL));
    return is_true(request, "confirm") ? confirm(stripe, request, intent)
                                       : intent_json(intent, request);
}

struct json *intent_retrieve(struct stripe *stripe, struct request *request)
{
    const struct intent *intent = table_find(&stripe->intents, request->id);

    if (!intent)
        return refuse(request, 404, "invalid_request_error", "resource_missing", "intent",
                      "No such payment_intent: '%s'", request->id);
    return intent_json(intent, request);
}

struct json *charge_retrieve(struct stripe *stripe, struct request *request)
{
    const struct intent *intent = table_find(&stripe->charges, request->id);

    if (!intent)
        return refuse(request, 404, "invalid_request_error", "resource_missing", "id",
                      "No such charge: '%s'", request->id);
    return charge_json(intent, request);
}
