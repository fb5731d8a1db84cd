/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* call - one delivery through a connector's functions: event in, HTTP request out, answer
 * in, records out
 *
 * No socket, no loop, no clock: the runtime carries it, the unit tests drive it by hand.
 * In the order of its life: call_new -> call_begin -> (the HTTP call) -> call_end ->
 * call_write. Where the service is asked first whether it happened already, call_end asks
 * for a further HTTP call. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/signalbox/connector.h"
#include "lib/base/buf.h"
#include "lib/base/form.h"
#include "lib/http/client.h"
#include "lib/sdk/credential.h"
#include "proto/record.h"

struct json;
struct mail_draft;
struct veil;
struct worker_answer;

enum {
    CALL_MESSAGE_MAX = 1000,       /* bytes of an error message; longer ones are cut */
    CALL_FACTS_MAX = 1000,         /* per outcome; more: the outcome is Failed */
    CALL_FOUND_MAX = 3 << 19,      /* bytes of what was found; then the outcome is full */
    CALL_EVENT_ID_MAX = 900,       /* bytes; longer: the outcome is Failed */
    CALL_HEADERS_MAX = 32,         /* of a request; more: the outcome is Failed */
    CALL_SECRETS_MAX = 8,          /* of a request that are told apart as used */
    CALL_CURSOR_MAX = 1000,        /* bytes; longer: the outcome is Failed */
    CALL_RETRY_AFTER_MAX_S = 3600, /* a longer Retry-After is cut to this */
    CALL_LOOKUPS_MAX = 3,          /* in one delivery; then it is Failed/unknown */
    CALL_LOOKUP_AFTER_S = 10,      /* where an operation does not say (lookup_after_s) */
    CALL_DEATHS_MAX = 3, /* workers that ended while they were at it; then it is poison */
    CALL_LOOKUP_PAUSE_MAX_S = 60, /* between two of them, whatever Retry-After says */
};

/* The integration a connector process serves. All borrowed. */
/* A variable of the environment, milliseconds: the pause before a lookup, where base_url
 * is on 127.0.0.1. */
#define LOOKUP_AFTER_VARIABLE "SIGNALBOX_LOOKUP_AFTER_MS"

struct integration {
    const struct sb_connector *connector;
    const struct sb_provider *provider; /* a row of the connector's; NULL: it has none */
    const char *name, *mode, *base_url;
    char *const *option_names, *const *option_values;
    size_t n_options;
    uint64_t timeout_us;
    uint64_t lookup_after_us; /* instead of what the operations say; 0: as they say */
    bool allow_private_network;
    bool is_consumer; /* of a group: the first operation takes every event, and what comes
                         of it is an acknowledgement instead of an outcome */
    bool is_single;   /* one attempt and no more: what would be tried again is Failed */
    bool is_program;  /* calls are lines to a worker, lib/sdk/program.h */
    /* The value of a secret, NULL when there is none. */
    const char *(*secret)(void *user, const char *name);
    void *secret_user;
};

struct sb_event {
    const struct integration *integration;
    const struct record *record; /* owned by the call */
    struct position position;
    uint64_t committed_us, now_us;
    unsigned attempt;
    bool in_doubt;
    char *type, *id, *key;
    /* What is sent on in its name: the request's trace, a span of this attempt; NULL. */
    char *traceparent, *tracestate;
    char *stable_id; /* the UUID that names it for good, also where `id` is foreign */
    struct json *json;
    struct form form; /* of data that is no JSON */
};

struct sb_request {
    const struct integration *integration;
    char *method;
    struct buf path, query, form, body;
    struct json *json;
    char *content_type;
    struct {
        char *name, *value;
    } headers[CALL_HEADERS_MAX];
    size_t n_headers;
    struct mail_draft *mail; /* NULL: no mail */
    struct credential oauth; /* without token_url: no access token is needed */
    bool is_line;            /* `json` is a question to a worker */
    const char *secrets[CALL_SECRETS_MAX]; /* names of those that are in it */
    size_t n_secrets;
    char *mistake; /* the first one */
};

struct sb_answer {
    const struct http_call *http; /* NULL: a worker's */
    struct json *json;
};

struct call_fact {
    char *type, *key;
    char *event_id;    /* the provider's; NULL: filed whatever came before */
    struct json *data; /* NULL: it is in `text` */
    struct buf text;
};

struct sb_outcome {
    const struct integration *integration;
    char message[CALL_MESSAGE_MAX + 1];
    uint64_t after_us; /* of a retry; 0: the broker's backoff */
    struct json *data;
    bool has_cost, more;
    enum sb_cost_kind cost_kind;
    char currency[4];
    int64_t cost;
    char *cursor;
    struct call_fact *facts;
    size_t n_facts, found_bytes;
    char *mistake;
};

struct call;

/* A delivered record; copied. committed_us is its block's timestamp. */
struct call *call_new(const struct integration *integration, const struct record *record,
                      struct position position, uint64_t committed_us, unsigned attempt,
                      bool in_doubt);
void call_free(struct call *call);
struct position call_position(const struct call *call);
const char *call_id(const struct call *call);
uint64_t call_deadline_us(const struct call *call);

/* Find the operation or webhook and run its first function. True: an HTTP call is to be
 * made, as call_http says. False: the result is known already. */
bool call_begin(struct call *call, uint64_t now_us);
/* How long to wait before the HTTP call is made. */
uint64_t call_pause_us(const struct call *call);
/* The HTTP call to make; texts live as long as the call. on_done and user are the
 * caller's to set. */
void call_http(const struct call *call, struct http_call_options *ret_options);
/* The HTTP call is over: run the second function, or the rules. True: a further HTTP call
 * is to be made, as call_http and call_pause_us now say. */
bool call_end(struct call *call, const struct http_call *answer, uint64_t now_us);

/* The credential whose access token the HTTP call needs; NULL: none. call_set_token comes
 * before call_http then. */
const struct credential *call_oauth(const struct call *call);
void call_set_token(struct call *call, const char *token);
const char *call_token(const struct call *call);
/* After call_end: is a further call to be made because the service refused the token? */
bool call_is_token_refused(const struct call *call);
/* As call_end: there is no token, so nothing was sent. */
bool call_end_without_token(struct call *call, const char *why, bool may_retry,
                            uint64_t now_us);
/* Is it a line to a worker that is to be sent, instead of an HTTP call? */
bool call_is_line(const struct call *call);
/* The line (without its end), and how long it may take; the text lives as long as the
 * call. */
const char *call_line(const struct call *call, size_t *ret_len, uint64_t *ret_timeout_us);
/* As call_end. `deaths`: how many workers have ended while they were at this event. */
bool call_end_line(struct call *call, const struct worker_answer *answer, unsigned deaths,
                   uint64_t now_us);

enum call_result { CALL_SUCCESS, CALL_FAILED, CALL_RETRY };
enum call_result call_result(const struct call *call);
enum record_class call_class(const struct call *call);
const char *call_message(const struct call *call);
uint64_t call_after_us(const struct call *call);
/* The names of the secrets that the last request had in it. */
const char *const *call_secrets(const struct call *call, size_t *ret_n);
/* What would be stored: for tests. NULL unless CALL_SUCCESS. */
const struct sb_outcome *call_outcome(const struct call *call);
/* Append the result's records: an outcome and facts, or a retry. They are one group. */
void call_write(struct call *call, uint64_t now_us, struct buf *out);

/* What covers the integration's secrets; to be veil_fini'd. */
void call_veil(const struct integration *integration, struct veil *veil);
/* No secret of the integration reaches the log, whatever a service echoes (veil.h). */
void call_redact(const struct integration *integration, char *text, size_t n);

/* The wait a Retry-After header asks for, in microseconds; 0 when there is none or it is
 * not well-formed. */
uint64_t call_retry_after_us(const char *retry_after, const char *retry_after_ms,
                             uint64_t now_us);
