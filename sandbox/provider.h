/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* provider - what a practice provider is to the sandbox: a row of functions, calls in,
 * answers out, no I/O
 *
 * A further provider is a folder with such a row and a line in providers.c.  HTTP,
 * faults, slow answers, webhooks on their way, their faults and the addresses under
 * /sandbox/ are the sandbox's and the same for all. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"

struct json;

enum {
    PROVIDERS_MAX = 16, /* rows */
    PROVIDER_HEADERS_MAX = 8,
    PROVIDER_VALUE_SIZE = 300, /* of a header: an idempotency key has 255 characters */
    PROVIDER_OBJECTS_MAX = 500000, /* kept of a kind; more: answered 503 */
    PROVIDER_ID_SIZE = 64,
    PROVIDER_STALE_S = 3600, /* how old a stale webhook says it is */
};

struct provider_headers {
    struct {
        const char *name;
        char value[PROVIDER_VALUE_SIZE];
    } all[PROVIDER_HEADERS_MAX];
    size_t n;
};
/* A header more; longer values are cut. */
void provider_header(struct provider_headers *headers, const char *name,
                     const char *format, ...) __attribute__((format(printf, 3, 4)));

struct provider_call {
    const char *method;
    const char *path;  /* below the provider's prefix */
    const char *query; /* behind the question mark; NULL: none */
    const char *(*header)(const void *user, const char *name); /* NULL when absent */
    const void *user;
    const void *body;
    size_t body_len;
    uint64_t now_us;
};

struct provider_answer {
    unsigned status;
    const char *content_type; /* NULL: application/json */
    struct provider_headers headers;
    struct buf body;
    unsigned piece_ms; /* not 0: the body goes out up to a blank line at a time, with this
                          pause between, as server-sent events do */
    bool breaks_off;   /* such a one ends in its middle */
    bool is_replayed;  /* an idempotency key's answer of before */
    void *state;       /* the row's own, given to `delivered` */
};

/* One webhook to be sent. */
struct provider_event {
    char id[PROVIDER_ID_SIZE];
    struct buf body;
};

struct provider_options {
    const char *api_key; /* NULL: any that looks like a test key */
    /* An event came to be of its own accord; borrowed. May be NULL. */
    void (*on_event)(void *user, const struct provider_event *event);
    void *user;
};

/* What a webhook's signature is made from. `secret` is the endpoint's, or of a row with
 * `signs_with_key` the API key. */
struct provider_signing {
    const char *secret, *url, *body;
    size_t len;
    uint64_t now_s;
    const char *event_id;
};

struct provider {
    const char *name; /* the prefix of its addresses: /name/... */
    const char *root; /* further paths that are its own without the prefix; NULL: none */
    const char *test_key;     /* how any key that is taken begins: "sk_test_" */
    const char *webhook_type; /* content type of its webhooks; NULL: it sends none */
    const char *agent;        /* their User-Agent */
    bool signs_with_key;      /* webhooks are signed with (a key made from) the API key */
    bool signs_time;          /* without a time in the signature nothing can be stale */

    void *(*open)(const struct provider_options *options);
    void (*close)(void *state);
    /* Do what the call asks; *answer is zeroed, its body the caller's to free. */
    void (*call)(void *state, const struct provider_call *call,
                 struct provider_answer *answer);
    /* The answer is on its way or given up. NULL: it does not matter. */
    void (*delivered)(void *state, struct provider_answer *answer);
    /* {"<idempotency key, or what tells a message apart>": effects, ...} */
    struct json *(*effects)(const void *state);
    /* An answer 429 or 500 as this provider writes it; nothing is done. */
    void (*refuse)(unsigned status, struct provider_answer *answer);
    /* NULL where it sends no webhooks. An event of the provider's type; `data`'s members
     * (NULL: none) replace the sample's. False: it has no such event. */
    bool (*make_event)(void *state, const char *type, const struct json *data,
                       uint64_t now_us, struct provider_event *ret);
    /* The headers that sign a webhook; the first one is the signature. */
    void (*sign)(const struct provider_signing *signing, struct provider_headers *ret);
    /* The key with which the provider's webhooks are verified, where it is not the secret
     * itself: a text to be freed. NULL: there is none. */
    char *(*public_key)(const char *secret);
};

/* All rows, up to a NULL. */
extern const struct provider *const providers[];
/* NULL when there is none. */
const struct provider *provider_find(const char *name);

/* --- help for rows --- */

const char *provider_call_header(const struct provider_call *call, const char *name);
bool provider_is(const struct provider_call *call, const char *method, const char *path);
/* The token of `Authorization: Bearer`, or NULL. */
const char *provider_bearer(const struct provider_call *call);
/* Is the key the one, or where there is none begins it like a test key? */
bool provider_key_fits(const char *key, const char *api_key, const char *test_key);
/* The body as a JSON object, NULL when it is none. */
struct json *provider_json(const struct provider_call *call);
/* Set status and body (taken over). */
void provider_answer(struct provider_answer *answer, unsigned status, struct json *body);
/* `prefix` and `n` random letters and digits. */
void provider_id(const char *prefix, unsigned n, char ret_id[PROVIDER_ID_SIZE]);
/* Write `body` (taken over) as the event's. */
void provider_event_body(struct provider_event *event, struct json *body);
/* Set every member of `data` (may be NULL) in `object`. */
void provider_override(struct json *object, const struct json *data);
