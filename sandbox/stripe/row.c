/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - the practice Stripe as a provider of the sandbox */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"
#include "sandbox/rows.h"
#include "sandbox/stripe/samples.h"
#include "sandbox/stripe/stripe.h"

/* The practice Stripe, and to whom its events are told. */
struct row {
    struct stripe *stripe;
    struct provider_options options;
};

static void on_event(void *user, const char *id, const char *text, size_t len)
{
    struct row *row = user;
    struct provider_event event = {.body = BUF_NULL};

    if (!row->options.on_event)
        return;
    memcpy(event.id, id, strnlen(id, sizeof(event.id) - 1));
    buf_add(&event.body, text, len);
    row->options.on_event(row->options.user, &event);
    buf_fini(&event.body);
}

static void *open_row(const struct provider_options *options)
{
    struct row *row = mem_alloc(sizeof(*row));

    row->options = *options;
    row->stripe = stripe_new(&(struct stripe_options){
        .api_key = options->api_key, .on_event = on_event, .user = row});
    return row;
}

static void close_row(void *state)
{
    struct row *row = state;

    stripe_free(row->stripe);
    free(row);
}

static void put_headers(const char *key, const struct stripe_answer *from,
                        struct provider_headers *headers)
{
    provider_header(headers, "Request-Id", "%s", from->request_id);
    provider_header(headers, "Stripe-Version", "%s", STRIPE_API_VERSION);
    if (key)
        provider_header(headers, "Idempotency-Key", "%s", key);
    if (*from->original_request)
        provider_header(headers, "Original-Request", "%s", from->original_request);
    if (from->is_replayed)
        provider_header(headers, "Idempotent-Replayed", "true");
    if (from->status == 409)
        provider_header(headers, "Stripe-Should-Retry", "true");
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    struct row *row = state;
    struct stripe_answer own;
    const struct stripe_call to = {
        .method = call->method,
        .path = call->path,
        .query = call->query,
        .authorization = provider_call_header(call, "Authorization"),
        .content_type = provider_call_header(call, "Content-Type"),
        .idempotency_key = provider_call_header(call, "Idempotency-Key"),
        .body = call->body,
        .body_len = call->body_len,
        .now_us = call->now_us,
    };

    stripe_call(row->stripe, &to, &own);
    answer->status = own.status;
    answer->is_replayed = own.is_replayed;
    answer->state = own.running;
    put_headers(to.idempotency_key, &own, &answer->headers);
    answer->body = own.body; /* taken over */
}

static void delivered(void *state, struct provider_answer *answer)
{
    struct stripe_answer own = {.running = answer->state};

    (void)state;
    stripe_delivered(&own);
}

static struct json *effects(const void *state)
{
    return stripe_effects(((const struct row *)state)->stripe);
}

static void refuse(unsigned status, struct provider_answer *answer)
{
    answer->status = status;
    if (status == 429) {
        stripe_error_body(&answer->body, "invalid_request_error", "rate_limit",
                          "Request rate limit exceeded. Learn more about rate limits: "
                          "https://stripe.com/docs/rate-limits.");
        return;
    }
    stripe_error_body(&answer->body, "api_error", NULL, "An unknown error occurred");
    provider_header(&answer->headers, "Stripe-Should-Retry", "true");
}

static bool make_event(void *state, const char *type, const struct json *data,
                       uint64_t now_us, struct provider_event *ret)
{
    struct row *row = state;

    stripe_make_event(row->stripe, type, sample_object(type, data, now_us), now_us,
                      &ret->body);
    sample_id(buf_str(&ret->body), ret->id);
    return true;
}

/* Stripe-Signature: t=TIME,v1=HMAC-SHA256 of "TIME.BODY" in hex. */
static void sign(const struct provider_signing *signing, struct provider_headers *ret)
{
    char *text =
        stripe_signature(signing->secret, signing->now_s, signing->body, signing->len);

    provider_header(ret, "Stripe-Signature", "%s", text);
    free(text);
}

char *stripe_signature(const char *secret, uint64_t unix_seconds, const char *body,
                       size_t len)
{
    struct buf header = BUF_NULL;
    _free_ char *time = mem_format("%llu.", (unsigned long long)unix_seconds);
    struct crypto_part parts[] = {{time, strlen(time)}, {body, len}};
    uint8_t mac[CRYPTO_SHA256_SIZE];

    crypto_hmac_sha256(secret, strlen(secret), parts, 2, mac);
    buf_format(&header, "t=%llu,v1=", (unsigned long long)unix_seconds);
    text_hex(mac, sizeof(mac), &header);
    char *text = mem_text(buf_str(&header));
    buf_fini(&header);
    return text;
}

const struct provider stripe_row = {
    .name = "stripe",
    .root = "/v1/", /* Stripe's own SDKs take a host and a port, but no prefix */
    .test_key = "sk_test_",
    .webhook_type = "application/json; charset=utf-8",
    .agent = "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    .signs_time = true,
    .open = open_row,
    .close = close_row,
    .call = call_row,
    .delivered = delivered,
    .effects = effects,
    .refuse = refuse,
    .make_event = make_event,
    .sign = sign,
};
