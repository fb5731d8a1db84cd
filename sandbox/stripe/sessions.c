/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* sessions - checkout: a page on which somebody could pay, if there were one here
 *
 * What becomes of it is told by a webhook, which is sent when asked for (POST
 * /sandbox/webhook, `signalbox simulate`). */
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/stripe/inside.h"

#define PRICE "line_items[0][price_data]"
#define DAY_S (24 * 60 * 60)

static const char *const known[] = {"after_expiration",
                                    "allow_promotion_codes",
                                    "automatic_tax",
                                    "billing_address_collection",
                                    "cancel_url",
                                    "client_reference_id",
                                    "consent_collection",
                                    "currency",
                                    "custom_fields",
                                    "custom_text",
                                    "customer",
                                    "customer_creation",
                                    "customer_email",
                                    "customer_update",
                                    "discounts",
                                    "expand",
                                    "expires_at",
                                    "invoice_creation",
                                    "line_items",
                                    "locale",
                                    "metadata",
                                    "mode",
                                    "payment_intent_data",
                                    "payment_method_collection",
                                    "payment_method_options",
                                    "payment_method_types",
                                    "phone_number_collection",
                                    "setup_intent_data",
                                    "shipping_address_collection",
                                    "shipping_options",
                                    "submit_type",
                                    "subscription_data",
                                    "success_url",
                                    "tax_id_collection",
                                    NULL};
static const char *const unsupported[] = {"after_expiration",
                                          "automatic_tax",
                                          "customer_creation",
                                          "customer_update",
                                          "discounts",
                                          "expand",
                                          "expires_at",
                                          "invoice_creation",
                                          "line_items[1]",
                                          "line_items[0][price]",
                                          "payment_method_options",
                                          "setup_intent_data",
                                          "shipping_options",
                                          "subscription_data",
                                          NULL};

static struct json *check_mode(struct request *request)
{
    const char *mode = form_get(&request->form, "mode");

    if (!mode)
        return refuse_param(request, "parameter_missing", "mode",
                            "Missing required param: mode.");
    if (strcmp(mode, "payment") != 0)
        return refuse_param(request, "sandbox_unsupported", "mode",
                            "The sandbox does the mode payment only; the real API does "
                            "setup and subscription.");
    return NULL;
}

static struct json *check_url(struct request *request, const char *param, bool is_needed)
{
    const char *url = form_get(&request->form, param);

    if (!url)
        return is_needed ? refuse_param(request, "parameter_missing", param,
                                        "Missing required param: %s.", param)
                         : NULL;
    if (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0)
        return refuse_param(request, "url_invalid", param,
                            "Not a valid URL. URLs must begin with http or https.");
    return NULL;
}

/* The one line there may be here, and what it comes to. */
static struct json *check_line(struct request *request, int64_t *ret_amount)
{
    const char *name = form_get(&request->form, PRICE "[product_data][name]");
    int64_t quantity = 0, each = 0;
    struct json *error = read_amount(request, PRICE "[unit_amount]", &each);

    if (!error)
        error = refuse_currency(request, PRICE "[currency]", each);
    if (!error && (!name || !*name))
        error = refuse_param(request, "parameter_missing", PRICE "[product_data][name]",
                             "Missing required param: " PRICE "[product_data][name].");
    if (!error)
        error = read_amount(request, "line_items[0][quantity]", &quantity);
    if (!error && __builtin_mul_overflow(each, quantity, ret_amount))
        error = refuse_param(request, "amount_too_large", PRICE "[unit_amount]",
                             "The total is too large.");
    return error;
}

static struct json *check(struct request *request, int64_t *ret_amount,
                          struct json **ret_metadata)
{
    struct json *error = refuse_unknown(request, known);

    if (!error)
        error = refuse_unsupported(request, unsupported);
    if (!error)
        error = check_mode(request);
    if (!error)
        error = check_line(request, ret_amount);
    if (!error)
        error = check_url(request, "success_url", /* is_needed= */ true);
    if (!error)
        error = check_url(request, "cancel_url", /* is_needed= */ false);
    return error ? error : read_metadata(request, ret_metadata);
}

/* A field's text, or null. */
static void put(struct json *session, const char *name, const struct request *request,
                const char *field)
{
    const char *text = form_get(&request->form, field);

    js_set(session, name, text ? js_from_text(text, strlen(text)) : js_null());
}

static struct json *session_json(const char *id, const struct request *request,
                                 int64_t amount, struct json *metadata)
{
    const char *currency = form_get(&request->form, PRICE "[currency]");
    int64_t now_s = (int64_t)(request->call->now_us / 1000000);
    char lower[4] = {0};
    struct json *s = js_object();
    _free_ char *url = mem_format("https://checkout.stripe.com/c/pay/%s", id);

    for (int i = 0; i < 3; i++)
        lower[i] = (char)(currency[i] | 0x20);
    js_set_text(js_set_text(s, "id", id), "object", "checkout.session");
    js_set_int(js_set_int(s, "amount_subtotal", amount), "amount_total", amount);
    put(s, "cancel_url", request, "cancel_url");
    put(s, "client_reference_id", request, "client_reference_id");
    js_set_int(s, "created", now_s);
    js_set_text(s, "currency", lower);
    put(s, "customer", request, "customer");
    put(s, "customer_email", request, "customer_email");
    js_set_int(s, "expires_at", now_s + DAY_S);
    js_set_bool(s, "livemode", false);
    js_set(s, "metadata", metadata);
    js_set_text(s, "mode", "payment");
    js_set(s, "payment_intent", js_null());
    js_set_text(js_set_text(s, "payment_status", "unpaid"), "status", "open");
    put(s, "success_url", request, "success_url");
    return js_set_text(s, "url", url);
}

struct json *session_create(struct stripe *stripe, struct request *request)
{
    struct json *metadata = NULL;
    char id[STRIPE_ID_SIZE];
    int64_t amount = 0;
    struct json *error = check(request, &amount, &metadata);

    if (error)
        return error;
    if (stripe->sessions.n >= STRIPE_OBJECTS_MAX) {
        js_free(metadata);
        return refuse(request, 503, "api_error", NULL, NULL,
                      "The sandbox is full; start it again.");
    }
    request->is_begun = true;
    request->effects++;
    stripe_id("cs_test_", id);
    struct json *session = session_json(id, request, amount, metadata);
    table_add(&stripe->sessions, id, session);
    return js_copy(session);
}

struct json *session_retrieve(struct stripe *stripe, struct request *request)
{
    const struct json *session = table_find(&stripe->sessions, request->id);

    if (!session)
        return refuse(request, 404, "invalid_request_error", "resource_missing",
                      "session", "No such checkout.session: '%s'", request->id);
    return js_copy(session);
}
