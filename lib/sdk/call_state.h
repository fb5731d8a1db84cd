/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* call_state - the inside of a call, shared by call.c (event to request), verdict.c
 * (answer to result), lookup.c (did it happen?) and write.c (result to records) */
#pragma once
#include "lib/sdk/call.h"

struct call {
    const struct integration *integration;
    struct sb_event event;
    const struct sb_operation *operation;
    const struct sb_webhook *webhook;
    struct sb_request request;
    char *url;
    struct http_mail envelope; /* of a mail */
    struct http_field fields[CALL_HEADERS_MAX + 4];
    size_t n_fields;
    char *idempotency_key;
    char *token, *authorization; /* of a request with an access token */
    bool is_token_refused;       /* and the call is made again with a newer one, once */
    bool was_token_refused;
    struct sb_outcome outcome;
    enum call_result result;
    enum record_class class;
    bool was_started;  /* the connector was asked: this delivery counts as an attempt */
    bool was_sent;     /* the request of the operation itself went out in this delivery */
    bool is_asking;    /* what is out is the lookup's request */
    bool must_ask;     /* it may have happened, and there is a lookup */
    bool is_unclear;   /* given back although it may have had its effect */
    bool is_undone;    /* a lookup said that it has not happened */
    unsigned asked;    /* lookups made in this delivery */
    uint64_t pause_us; /* before the next HTTP call */
    char *doubt;       /* why there was something to look up */
};

/* --- call.c --- */
/* Forget a request, so that another can be made. */
void call_request_reset(struct call *call);
/* Forget what an earlier function put into the outcome. */
void call_outcome_reset(struct call *call);
/* Put the request together for the HTTP client. `is_keyed`: with the idempotency key.
 * False when it cannot be made: *ret_why then says why. */
bool call_assemble(struct call *call, bool is_keyed, uint64_t now_us,
                   const char **ret_why);
/* Run the operation's request function. As call_begin. */
bool call_send(struct call *call, uint64_t now_us);

/* --- verdict.c --- */
void call_conclude(struct call *call, enum call_result result, enum record_class class);
/* Always false: no HTTP call is to be made. */
bool call_fail(struct call *call, enum record_class class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* What the connector decided. SB_DEFAULT is the caller's to resolve. */
void call_take_verdict(struct call *call, enum sb_verdict verdict);
/* The connector made a mistake after the service did its part. */
void call_spoiled(struct call *call);

/* --- lookup.c --- */
/* It may have happened, for the reason in `doubt`: ask the service, or where there is no
 * lookup end Failed/unknown. As call_begin. */
bool lookup_begin(struct call *call, uint64_t now_us, const char *doubt);
/* What the service said: SB_DONE, SB_FAILED, SB_ABSENT, SB_RETRY (nothing yet; it may
 * wish for a pause), or anything else where it cannot be told. As call_end. */
bool lookup_end(struct call *call, enum sb_verdict verdict, uint64_t pause_us,
                uint64_t now_us);
