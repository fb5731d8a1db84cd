/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* stripe - a Stripe to practise on: calls in, answers out, no I/O
 *
 * Payment intents, charges, refunds and events with the shapes, errors and idempotency of
 * the real API (learnt from its OpenAPI description and its SDK).  Whatever a parameter
 * would change and this does not do is refused with code `sandbox_unsupported`, never
 * ignored.  Every effect (a charge taken, a refund made) is counted under the idempotency
 * key that caused it, so that a test can see a customer charged twice. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct json;
struct stripe;
struct stripe_key;

enum {
    STRIPE_OBJECTS_MAX = 500000, /* intents, refunds, keys each; more: 503 */
    STRIPE_EVENTS_MAX = 10000,   /* the newest are kept */
    STRIPE_KEY_MAX = 255,        /* characters of an idempotency key */
    STRIPE_ID_SIZE = 40,
};
#define STRIPE_API_VERSION "2026-10-28.endive"

struct stripe_options {
    const char *api_key; /* NULL: any sk_test_ key */
    /* An event came to be; `text` is what a webhook would carry. May be NULL. */
    void (*on_event)(void *user, const char *id, const char *text, size_t len);
    void *user;
};

struct stripe_call {
    const char *method, *path;
    const char *query;                        /* behind the question mark; NULL: none */
    const char *authorization, *content_type; /* headers; NULL when absent */
    const char *idempotency_key;
    const void *body;
    size_t body_len;
    uint64_t now_us;
};

struct stripe_answer {
    unsigned status;
    struct buf body;
    char request_id[STRIPE_ID_SIZE];
    char original_request[STRIPE_ID_SIZE]; /* of a replay: the first one's; else empty */
    bool is_replayed;
    struct stripe_key *running; /* to be given to stripe_delivered */
};

struct stripe *stripe_new(const struct stripe_options *options);
void stripe_free(struct stripe *stripe);
/* Do what the call asks. The answer's idempotency key counts as in use (409) until
 * stripe_delivered. */
void stripe_call(struct stripe *stripe, const struct stripe_call *call,
                 struct stripe_answer *ret_answer);
/* The answer is on its way or given up; frees its body. */
void stripe_delivered(struct stripe_answer *answer);
/* {"<key>": effects, ...}; calls without a key count under "". */
struct json *stripe_effects(const struct stripe *stripe);
/* A new event of `type` around `object` (stolen); kept in /v1/events. Its text goes to
 * `out`. Not given to on_event. */
void stripe_make_event(struct stripe *stripe, const char *type, struct json *object,
                       uint64_t now_us, struct buf *out);
/* `prefix` and 24 random letters and digits. */
void stripe_id(const char *prefix, char ret_id[STRIPE_ID_SIZE]);
/* The Stripe-Signature header of `body` at a time, into a text to be freed. */
char *stripe_signature(const char *secret, uint64_t unix_seconds, const char *body,
                       size_t len);
/* The body of an error as Stripe writes it. NULL parts are left out. */
void stripe_error_body(struct buf *out, const char *type, const char *code,
                       const char *message);
