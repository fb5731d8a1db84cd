/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* inside - what the parts of the practice Stripe share */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/base/form.h"
#include "sandbox/stripe/stripe.h"
#include "sandbox/table.h"

struct json;

/* One idempotency key: what came first under it, its answer, and the effects it had. */
struct stripe_key {
    uint64_t fingerprint;
    unsigned effects, status;
    bool is_running, is_saved;
    char request_id[STRIPE_ID_SIZE];
    struct buf body;
};

struct decline {
    const char *payment_method, *code, *decline_code, *message;
};

enum intent_status {
    INTENT_REQUIRES_PAYMENT_METHOD,
    INTENT_REQUIRES_CONFIRMATION,
    INTENT_REQUIRES_ACTION,
    INTENT_SUCCEEDED,
};

/* A payment intent and the one charge it can have here. */
struct intent {
    char id[STRIPE_ID_SIZE], charge[STRIPE_ID_SIZE] /* empty: none */,
        transaction[STRIPE_ID_SIZE];
    char currency[4];
    int64_t amount, refunded, created;
    enum intent_status status;
    const struct decline *decline; /* of the last attempt; NULL: none */
    char *payment_method, *customer, *description, *receipt_email, *descriptor;
    struct json *metadata;
    bool is_automatic; /* automatic_payment_methods */
};

struct refund {
    char id[STRIPE_ID_SIZE], transaction[STRIPE_ID_SIZE];
    struct intent *intent;
    int64_t amount, created;
    char *reason;
    struct json *metadata;
};

struct event {
    char id[STRIPE_ID_SIZE];
    char *type, *text;
    int64_t created;
};

struct stripe {
    struct stripe_options options;
    char *api_key;
    struct table intents, charges, refunds; /* by id; a charge's value is its intent */
    struct table sessions;                  /* by id; checkout sessions as JSON */
    struct table keys;
    unsigned effects_without_key;
    struct event
        events[STRIPE_EVENTS_MAX]; /* a ring: number n stands at n % STRIPE_EVENTS_MAX */
    uint64_t n_events;             /* made so far */
};

/* One call on its way through: handlers read it and set the answer's status. */
struct request {
    const struct stripe_call *call;
    struct form form; /* the body of a POST, the query of a GET */
    const char *id;   /* the variable part of the path */
    struct stripe_answer *answer;
    bool is_begun; /* past validation: its answer is saved under its key */
    unsigned effects;
};

/* Sets the status and returns the error's JSON, so that a handler can `return
 * refuse(...)`. */
struct json *refuse(struct request *request, unsigned status, const char *type,
                    const char *code, const char *param, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/* An error by a parameter: 400 invalid_request_error. */
#define refuse_param(request, code, param, ...)                                          \
    refuse(request, 400, "invalid_request_error", code, param, __VA_ARGS__)
/* The error for a field that is not in `known` (a NULL-terminated list of top-level
 * names), or NULL. */
struct json *refuse_unknown(struct request *request, const char *const *known);
/* The error for a field that the real one takes and this one does not do, or NULL. */
struct json *refuse_unsupported(struct request *request, const char *const *unsupported);
/* The error for a positive whole number that is none, or NULL and the number. */
struct json *read_amount(struct request *request, const char *param, int64_t *ret_amount);
/* The error for a currency that is not known, or of which `amount` is too little, or
 * NULL. */
struct json *refuse_currency(struct request *request, const char *param, int64_t amount);
/* The error for metadata over its limits, or NULL and the object. */
struct json *read_metadata(struct request *request, struct json **ret_metadata);
bool wants_expanded(const struct request *request, const char *what);

/* Make and announce an event (object is stolen). */
void emit(struct stripe *stripe, const struct request *request, const char *type,
          struct json *object);

/* Objects as JSON. */
struct json *intent_json(const struct intent *intent, const struct request *request);
struct json *charge_json(const struct intent *intent, const struct request *request);
struct json *refund_json(const struct refund *refund);
struct json *transaction_json(const struct intent *intent);

/* Handlers: what the call answers. */
struct json *intent_create(struct stripe *stripe, struct request *request);
struct json *intent_retrieve(struct stripe *stripe, struct request *request);
struct json *intent_search(struct stripe *stripe, struct request *request);
struct json *charge_retrieve(struct stripe *stripe, struct request *request);
struct json *refund_create(struct stripe *stripe, struct request *request);
struct json *refund_list(struct stripe *stripe, struct request *request);
struct json *refund_retrieve(struct stripe *stripe, struct request *request);
struct json *session_create(struct stripe *stripe, struct request *request);
struct json *session_retrieve(struct stripe *stripe, struct request *request);
struct json *event_list(struct stripe *stripe, struct request *request);
struct json *event_retrieve(struct stripe *stripe, struct request *request);

void intent_free(struct intent *intent);
void refund_free(struct refund *refund);
