/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* refunds - money back, never more than was taken */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/stripe/inside.h"

static const char *const known[] = {
    "amount",
    "charge",
    "currency",
    "customer",
    "expand",
    "instructions_email",
    "metadata",
    "origin",
    "payment_intent",
    "reason",
    "refund_application_fee",
    "reverse_transfer",
    NULL,
};
static const char *const unsupported[] = {
    "currency",
    "customer",
    "instructions_email",
    "origin",
    "refund_application_fee",
    "reverse_transfer",
    NULL,
};
static const char *const reasons[] = {"duplicate", "fraudulent", "requested_by_customer",
                                      NULL};

struct json *refund_json(const struct refund *refund)
{
    struct json *r = js_object();

    js_set_text(r, "id", refund->id);
    js_set_text(r, "object", "refund");
    js_set_int(r, "amount", refund->amount);
    js_set_text(r, "balance_transaction", refund->transaction);
    js_set_text(r, "charge", refund->intent->charge);
    js_set_int(r, "created", refund->created);
    js_set_text(r, "currency", refund->intent->currency);
    js_set(r, "metadata", js_copy(refund->metadata));
    js_set_text(r, "payment_intent", refund->intent->id);
    js_set(r, "reason",
           refund->reason ? js_from_text(refund->reason, strlen(refund->reason))
                          : js_null());
    js_set(r, "receipt_number", js_null());
    js_set_text(r, "status", "succeeded");
    return r;
}

void refund_free(struct refund *refund)
{
    free(refund->reason);
    js_free(refund->metadata);
    free(refund);
}

/* The paid intent that `charge` or `payment_intent` names, or the error. */
static struct json *find_paid(struct stripe *stripe, struct request *request,
                              struct intent **ret_intent)
{
    const char *charge = form_get(&request->form, "charge"),
               *intent = form_get(&request->form, "payment_intent");
    struct intent *found;

    if (!charge && !intent)
        return refuse_param(request, NULL, NULL,
                            "One of the following params should be provided for this "
                            "request: payment_intent or charge.");
    found = charge ? table_find(&stripe->charges, charge)
                   : table_find(&stripe->intents, intent);
    if (!found && charge)
        return refuse_param(request, "resource_missing", "charge", "No such charge: '%s'",
                            charge);
    if (!found)
        return refuse_param(request, "resource_missing", "payment_intent",
                            "No such payment_intent: '%s'", intent);
    if (charge && intent && strcmp(found->id, intent))
        return refuse_param(request, NULL, NULL,
                            "The charge %s does not belong to the payment_intent %s.",
                            charge, intent);
    if (found->status != INTENT_SUCCEEDED && charge)
        return refuse_param(request, NULL, NULL,
                            "Charge %s is not paid, so it cannot be refunded.", charge);
    if (found->status != INTENT_SUCCEEDED)
        return refuse_param(
            request, NULL, NULL,
            "This PaymentIntent (%s) does not have a successful charge to refund.",
            found->id);
    *ret_intent = found;
    return NULL;
}

static struct json *check_amount(struct request *request, const struct intent *intent,
                                 int64_t *ret_amount)
{
    int64_t left = intent->amount - intent->refunded;
    struct json *error;

    if (left == 0)
        return refuse_param(request, "charge_already_refunded", NULL,
                            "Charge %s has already been refunded.", intent->charge);
    *ret_amount = left;
    if (!form_get(&request->form, "amount"))
        return NULL;
    error = read_amount(request, "amount", ret_amount);
    if (!error && *ret_amount > left)
        error = refuse_param(request, NULL, "amount",
                             "Refund amount (%lld.%02lld) is greater than unrefunded "
                             "amount on charge (%lld.%02lld)",
                             (long long)*ret_amount / 100, (long long)*ret_amount % 100,
                             (long long)left / 100, (long long)left % 100);
    return error;
}

static struct json *check_reason(struct request *request)
{
    const char *reason = form_get(&request->form, "reason");
    const char *const *known_reason = reasons;

    while (reason && *known_reason && strcmp(*known_reason, reason))
        known_reason++;
    return *known_reason ? NULL
                         : refuse_param(request, NULL, "reason",
                                        "Invalid reason: must be one of duplicate, "
                                        "fraudulent, or requested_by_customer");
}

static struct refund *make_refund(struct stripe *stripe, const struct request *request,
                                  struct intent *intent, int64_t amount,
                                  struct json *metadata)
{
    struct refund *refund = mem_alloc(sizeof(*refund));

    stripe_id("re_3", refund->id);
    stripe_id("txn_3", refund->transaction);
    refund->intent = intent;
    refund->amount = amount;
    refund->created = (int64_t)(request->call->now_us / 1000000);
    refund->reason = mem_text(form_get(&request->form, "reason"));
    refund->metadata = metadata;
    table_add(&stripe->refunds, refund->id, refund);
    return refund;
}

struct json *refund_create(struct stripe *stripe, struct request *request)
{
    struct json *metadata = NULL, *error = refuse_unknown(request, known);
    struct intent *intent = NULL;
    struct refund *refund;
    int64_t amount = 0;

    if (!error)
        error = refuse_unsupported(request, unsupported);
    if (!error)
        error = check_reason(request);
    if (!error)
        error = find_paid(stripe, request, &intent);
    if (!error)
        error = check_amount(request, intent, &amount);
    if (!error)
        error = read_metadata(request, &metadata);
    if (error)
        return error;
    if (stripe->refunds.n >= STRIPE_OBJECTS_MAX) {
        js_free(metadata);
        return refuse(request, 503, "api_error", NULL, NULL,
                      "The sandbox is full; start it again.");
    }
    request->is_begun = true;
    request->effects++;
    intent->refunded += amount;
    refund = make_refund(stripe, request, intent, amount, metadata);
    emit(stripe, request, "charge.refunded", charge_json(intent, NULL));
    emit(stripe, request, "refund.created", refund_json(refund));
    return refund_json(refund);
}

struct json *refund_retrieve(struct stripe *stripe, struct request *request)
{
    const struct refund *refund = table_find(&stripe->refunds, request->id);

    if (!refund)
        return refuse(request, 404, "invalid_request_error", "resource_missing", "refund",
                      "No such refund: '%s'", request->id);
    return refund_json(refund);
}
