/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Stripe's events as the domain's.  Their signature was verified at the gateway; what is
 * checked here is that the event has the shape its type promises, and comes from the mode
 * (test or live) that the integration is for. */
#include <string.h>

#include "stripe.h"

static const char thin[] = "v2.core.event";

/* What all outcomes carry. The object the event is about, or NULL with the failure said.
 */
static const struct sb_json *common(const struct sb_event *event, const char *kind,
                                    struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event), *object = sb_at(data, "data.object");
    const char *id = sb_text(data, "id"), *is = sb_text(object, "object"),
               *mode = sb_mode(event);
    const char *shape = sb_text(data, "object");
    bool livemode = false;

    if (shape && strcmp(shape, thin) == 0) {
        sb_fail(
            outcome,
            "a thin event has no object in it: let the endpoint send snapshot events");
        return NULL;
    }
    if (!id || !is || strcmp(is, kind) != 0) {
        sb_fail(outcome, "not a Stripe event about a %s", kind);
        return NULL;
    }
    if (sb_bool(data, "livemode", &livemode) && mode &&
        livemode != (strcmp(mode, "live") == 0)) {
        sb_fail(outcome,
                "a %s event came to an integration in %s mode: the endpoints or their "
                "secrets are mixed up",
                livemode ? "live" : "test", mode);
        return NULL;
    }
    struct sb_json *result = sb_result(outcome);
    sb_put_text(result, "provider", "stripe");
    sb_put_text(result, "provider_event", id);
    sb_put(result, "created", sb_at(data, "created"));
    sb_put(result, "livemode", sb_at(data, "livemode"));
    sb_put(result, "currency", sb_at(object, "currency"));
    sb_put(result, "metadata", sb_at(object, "metadata"));
    sb_put(result, "status", sb_at(object, "status"));
    return object;
}

/* An id, whether Stripe sent it alone or the whole object expanded. */
static void put_id(struct sb_json *result, const char *name, const struct sb_json *value)
{
    const char *id = sb_text(value, "");

    sb_put_text(result, name, id ? id : sb_text(value, "id"));
}

static enum sb_verdict checkout(const struct sb_event *event, struct sb_outcome *outcome)
{
    const struct sb_json *session = common(event, "checkout.session", outcome);
    const char *payment_status = sb_text(session, "payment_status");
    struct sb_json *result = sb_result(outcome);

    if (!session)
        return SB_FAILED;
    put_id(result, "checkout_session", sb_at(session, "id"));
    put_id(result, "payment_intent", sb_at(session, "payment_intent"));
    put_id(result, "subscription", sb_at(session, "subscription"));
    put_id(result, "customer", sb_at(session, "customer"));
    sb_put(result, "amount", sb_at(session, "amount_total"));
    sb_put(result, "reference", sb_at(session, "client_reference_id"));
    sb_put(result, "email", sb_at(session, "customer_details.email"));
    sb_put_text(result, "payment_status", payment_status);
    /* completed says that the customer is through, not that the money is there */
    sb_put_bool(result, "is_paid",
                payment_status && strcmp(payment_status, "unpaid") != 0);
    return SB_DONE;
}

static enum sb_verdict intent(const struct sb_event *event, struct sb_outcome *outcome)
{
    const struct sb_json *object = common(event, "payment_intent", outcome);
    struct sb_json *result = sb_result(outcome);

    if (!object)
        return SB_FAILED;
    put_id(result, "payment_intent", sb_at(object, "id"));
    put_id(result, "charge", sb_at(object, "latest_charge"));
    put_id(result, "customer", sb_at(object, "customer"));
    sb_put(result, "amount", sb_at(object, "amount"));
    sb_put(result, "amount_received", sb_at(object, "amount_received"));
    sb_put_text(result, "code", sb_text(object, "last_payment_error.code"));
    sb_put_text(result, "decline_code",
                sb_text(object, "last_payment_error.decline_code"));
    sb_put_text(result, "message", sb_text(object, "last_payment_error.message"));
    sb_put_text(result, "cancellation_reason", sb_text(object, "cancellation_reason"));
    return SB_DONE;
}

static enum sb_verdict refunded(const struct sb_event *event, struct sb_outcome *outcome)
{
    const struct sb_json *charge = common(event, "charge", outcome);
    struct sb_json *result = sb_result(outcome);

    if (!charge)
        return SB_FAILED;
    put_id(result, "charge", sb_at(charge, "id"));
    put_id(result, "payment_intent", sb_at(charge, "payment_intent"));
    put_id(result, "customer", sb_at(charge, "customer"));
    sb_put(result, "amount", sb_at(charge, "amount"));
    sb_put(result, "amount_refunded", sb_at(charge, "amount_refunded"));
    sb_put(result, "is_refunded_in_full", sb_at(charge, "refunded"));
    return SB_DONE;
}

static enum sb_verdict dispute(const struct sb_event *event, struct sb_outcome *outcome)
{
    const struct sb_json *object = common(event, "dispute", outcome);
    struct sb_json *result = sb_result(outcome);

    if (!object)
        return SB_FAILED;
    put_id(result, "dispute", sb_at(object, "id"));
    put_id(result, "charge", sb_at(object, "charge"));
    put_id(result, "payment_intent", sb_at(object, "payment_intent"));
    sb_put(result, "amount", sb_at(object, "amount"));
    sb_put(result, "reason", sb_at(object, "reason"));
    sb_put(result, "evidence_due", sb_at(object, "evidence_details.due_by"));
    return SB_DONE;
}

#define SIMULATED "signalbox simulate, in the sandbox"

const struct sb_webhook stripe_webhooks[] = {
    {.event = "checkout.session.completed",
     .becomes = "payment.checkout.completed",
     .transition = "order: pending -> paid (if is_paid), else awaiting payment",
     .handle = checkout,
     .test = SIMULATED},
    {.event = "checkout.session.async_payment_succeeded",
     .becomes = "payment.checkout.paid",
     .transition = "order: awaiting payment -> paid",
     .handle = checkout,
     .test = SIMULATED},
    {.event = "checkout.session.async_payment_failed",
     .becomes = "payment.checkout.payment_failed",
     .transition = "order: awaiting payment -> payment failed",
     .handle = checkout,
     .test = SIMULATED},
    {.event = "checkout.session.expired",
     .becomes = "payment.checkout.expired",
     .transition = "order: pending -> abandoned",
     .handle = checkout,
     .test = SIMULATED},
    {.event = "payment_intent.succeeded",
     .becomes = "payment.succeeded",
     .transition = "payment: open -> paid",
     .handle = intent,
     .test = SIMULATED},
    {.event = "payment_intent.payment_failed",
     .becomes = "payment.failed",
     .transition = "payment: open -> failed, may be tried again",
     .handle = intent,
     .test = SIMULATED},
    {.event = "payment_intent.canceled",
     .becomes = "payment.canceled",
     .transition = "payment: open -> canceled",
     .handle = intent,
     .test = SIMULATED},
    {.event = "payment_intent.processing",
     .becomes = "payment.processing",
     .transition = "payment: open -> processing",
     .handle = intent,
     .test = SIMULATED},
    {.event = "payment_intent.requires_action",
     .becomes = "payment.action_required",
     .transition = "payment: open -> waits for the customer",
     .handle = intent,
     .test = SIMULATED},
    {.event = "payment_intent.amount_capturable_updated",
     .becomes = "payment.authorized",
     .transition = "payment: open -> authorized, to be captured",
     .handle = intent,
     .test = SIMULATED},
    {.event = "charge.refunded",
     .becomes = "payment.refunded",
     .transition = "payment: paid -> refunded, in part or in full",
     .handle = refunded,
     .test = SIMULATED},
    {.event = "charge.dispute.created",
     .becomes = "payment.dispute.created",
     .transition = "payment: paid -> disputed",
     .handle = dispute,
     .test = SIMULATED},
    {.event = "charge.dispute.closed",
     .becomes = "payment.dispute.closed",
     .transition = "payment: disputed -> won or lost, as status says",
     .handle = dispute,
     .test = SIMULATED},
    {.event = NULL},
};
