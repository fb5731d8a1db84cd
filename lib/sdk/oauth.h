/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* oauth - access tokens of OAuth 2 client credentials (RFC 6749, section 4.4)
 *
 * One token for each credential, in the memory of this process only.  However many calls
 * want it, one request for it is under way; it is got anew shortly before it ends, or
 * when a service has refused it. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct credential;
struct http_client;
struct loop;
struct oauth;
struct oauth_wait;

enum {
    OAUTH_EARLY_S = 60,          /* before its end a token is got anew; at most a tenth
                                           of its life */
    OAUTH_LIFE_S = 3600,         /* where the answer does not say (RFC 6749, 5.1) */
    OAUTH_ANSWER_MAX = 64 << 10, /* bytes */
    OAUTH_TIMEOUT_US = 10000000,
    OAUTH_CREDENTIALS_MAX = 64, /* in one process; more: the oldest is forgotten */
};

struct oauth_answer {
    const char *token; /* NULL: there is none */
    const char *why;   /* then: for people, without a secret */
    bool may_retry;    /* then: a later attempt may fare better */
};

struct oauth *oauth_new(struct loop *loop, struct http_client *http);
/* Wipes; drops those who wait. */
void oauth_free(struct oauth *oauth);
/* The token, when there is a good one: until the next call into oauth. */
const char *oauth_known(struct oauth *oauth, const struct credential *spec);
/* Get one: `fn` is called from the loop, never from inside. */
struct oauth_wait *oauth_ask(struct oauth *oauth, const struct credential *spec,
                             void (*fn)(void *user, const struct oauth_answer *answer),
                             void *user);
/* Ask no more; fn is not called. */
void oauth_cancel(struct oauth_wait *wait);
/* The service refuses this token: forget it, unless there is a newer one by now. */
void oauth_refused(struct oauth *oauth, const struct credential *spec, const char *token);
