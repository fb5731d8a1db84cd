/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A page of Stripe's on which the customer pays: {amount, currency, success_url,
 * cancel_url, description, reference, metadata}.  Whether it was paid is told by a
 * webhook, payment.checkout.completed, with the same reference and metadata. */
#include <string.h>

#include "input.h"
#include "stripe.h"

enum { REFERENCE_MAX = 200, DESCRIPTION_MAX = 1000 /* Stripe's */ };

static bool length_ok(const struct sb_json *data, const char *name, size_t max,
                      struct sb_outcome *outcome)
{
    const char *text = sb_text(data, name);

    if (!text || strlen(text) <= max)
        return true;
    sb_fail(outcome, "%s must be at most %zu bytes", name, max);
    return false;
}

static bool input_ok(const struct sb_json *data, char ret_currency[4],
                     struct sb_outcome *outcome)
{
    static const char *const known[] = {"amount",     "currency",    "success_url",
                                        "cancel_url", "description", "reference",
                                        "metadata",   NULL};
    static const char *const texts[] = {"description", "reference", NULL};

    return members_ok(data, known, outcome) && amount_ok(data, outcome) &&
           currency_ok(data, ret_currency, outcome) &&
           url_ok(data, "success_url", outcome) && url_ok(data, "cancel_url", outcome) &&
           texts_ok(data, texts, outcome) &&
           length_ok(data, "description", DESCRIPTION_MAX, outcome) &&
           length_ok(data, "reference", REFERENCE_MAX, outcome);
}

enum sb_verdict checkout_request(const struct sb_event *event, struct sb_request *request,
                                 struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);
    const char *description = sb_text(data, "description");
    char currency[4];
    int64_t amount = 0;

    if (!input_ok(data, currency, outcome))
        return SB_FAILED;
    sb_int(data, "amount", &amount);
    stripe_call(event, request, "POST", "/v1/checkout/sessions");
    sb_field(request, "mode", "payment");
    sb_field(request, "line_items[0][price_data][currency]", currency);
    sb_field_int(request, "line_items[0][price_data][unit_amount]", amount);
    sb_field(request, "line_items[0][price_data][product_data][name]",
             description ? description : "Payment"); /* Stripe wants one */
    sb_field_int(request, "line_items[0][quantity]", 1);
    sb_field(request, "success_url", sb_text(data, "success_url"));
    sb_field(request, "cancel_url", sb_text(data, "cancel_url"));
    sb_field(request, "client_reference_id", sb_text(data, "reference"));
    sb_field(request, "payment_intent_data[description]", description);
    if (sb_has(data, "metadata")) {
        sb_field_json(request, "metadata", sb_at(data, "metadata"));
        sb_field_json(request, "payment_intent_data[metadata]", sb_at(data, "metadata"));
    }
    sb_field(request, "metadata[" STRIPE_REFERENCE "]", sb_idempotency_key(event));
    return SB_DONE;
}

enum sb_verdict checkout_succeeded(const struct sb_event *event,
                                   const struct sb_answer *answer,
                                   struct sb_outcome *outcome)
{
    const struct sb_json *session = sb_answer_json(answer);
    const char *id = sb_text(session, "id"), *url = sb_text(session, "url");
    struct sb_json *result = sb_result(outcome);

    (void)event;
    if (!id || !url)
        return sb_unclear(outcome, "Stripe's answer is not an open checkout session");
    sb_put_text(result, "checkout_session", id);
    sb_put_text(result, "url", url);
    sb_put(result, "status", sb_at(session, "status"));
    sb_put(result, "amount", sb_at(session, "amount_total"));
    sb_put(result, "currency", sb_at(session, "currency"));
    sb_put(result, "expires_at", sb_at(session, "expires_at"));
    sb_put(result, "livemode", sb_at(session, "livemode"));
    return SB_DONE;
}
