/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/oauth.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"
#include "lib/sdk/credential.h"
#include "lib/sdk/form.h"

struct oauth_wait {
    struct oauth_wait *next;
    struct holding *holding;
    void (*fn)(void *user, const struct oauth_answer *answer);
    void *user;
};

/* A credential and its token. */
struct holding {
    struct holding *next;
    struct oauth *oauth;
    struct credential spec;
    char *token;            /* NULL: none */
    uint64_t good_until_us; /* steady */
    struct http_call *http; /* the request that is under way */
    struct oauth_wait *waiting;
};

struct oauth {
    struct loop *loop;
    struct http_client *http;
    struct holding *all; /* the one used last first */
};

/* --- what is held --- */

static bool is_same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool is_same(const struct credential *a, const struct credential *b)
{
    return is_same_text(a->token_url, b->token_url) && is_same_text(a->id, b->id) &&
           is_same_text(a->secret, b->secret) && is_same_text(a->scope, b->scope) &&
           a->is_in_body == b->is_in_body;
}

static void holding_free(struct holding *c)
{
    if (c->http)
        http_client_abort(c->http);
    for (struct oauth_wait *wait; (wait = c->waiting);) {
        c->waiting = wait->next;
        free(wait);
    }
    credential_fini(&c->spec);
    mem_free_secret(c->token);
    free(c);
}

/* Old ones go, but none that somebody waits for. */
static void make_room(struct oauth *oauth)
{
    unsigned n = 0;

    for (struct holding **at = &oauth->all; *at;) {
        struct holding *c = *at;
        if (++n < OAUTH_CREDENTIALS_MAX || c->http) {
            at = &c->next;
        } else {
            *at = c->next;
            holding_free(c);
        }
    }
}

static struct holding *find(struct oauth *oauth, const struct credential *spec)
{
    for (struct holding *c = oauth->all; c; c = c->next)
        if (is_same(&c->spec, spec))
            return c;
    return NULL;
}

static struct holding *get(struct oauth *oauth, const struct credential *spec)
{
    struct holding *c = find(oauth, spec);

    if (c)
        return c;
    make_room(oauth);
    c = mem_alloc(sizeof(*c));
    c->oauth = oauth;
    c->spec = (struct credential){mem_text(spec->token_url), mem_text(spec->id),
                                  mem_text(spec->secret), mem_text(spec->scope),
                                  spec->is_in_body};
    c->next = oauth->all;
    oauth->all = c;
    return c;
}

/* --- getting a token --- */

static void tell(struct holding *c, const struct oauth_answer *answer)
{
    struct oauth_wait *waiting = c->waiting;

    c->waiting = NULL; /* who is told may ask again */
    while (waiting) {
        struct oauth_wait *wait = waiting;
        waiting = wait->next;
        wait->fn(wait->user, answer);
        free(wait);
    }
}

/* An error answer has `error` and perhaps `error_description` (RFC 6749, 5.2). */
static void refused(struct holding *c, unsigned status, const struct json *answer)
{
    char why[400];
    const char *error = js_text(answer, "error", NULL);

    snprintf(why, sizeof(why), "no access token: %.100s answered %u%s%.50s%s%.150s",
             c->spec.token_url, status, error ? ", " : "", error ? error : "",
             js_text(answer, "error_description", NULL) ? ": " : "",
             js_text(answer, "error_description", ""));
    tell(c,
         &(struct oauth_answer){
             .why = why, .may_retry = status == 408 || status == 429 || status >= 500});
}

static void keep(struct holding *c, const struct json *answer)
{
    int64_t life_s = js_int(answer, "expires_in", OAUTH_LIFE_S);
    uint64_t life_us =
                 (uint64_t)(life_s > 0 && life_s < INT32_MAX ? life_s : 1) * 1000000,
             early_us = OAUTH_EARLY_S * UINT64_C(1000000);

    if (early_us > life_us / 10)
        early_us = life_us / 10;
    mem_free_secret(c->token);
    c->token = mem_text(js_text(answer, "access_token", NULL));
    c->good_until_us = loop_steady_us(c->oauth->loop) + life_us - early_us;
    tell(c, &(struct oauth_answer){.token = c->token});
}

static bool is_token(const char *text)
{
    if (!text || !*text)
        return false;
    for (; *text; text++)
        if ((unsigned char)*text <= 0x20 || *text == 0x7f)
            return false;
    return true;
}

static void on_done(void *user, const struct http_call *http)
{
    struct holding *c = user;
    char error[120], why[300];
    size_t n;
    const char *body = http_call_body(http, &n);
    enum http_result result = http_call_result(http);

    js_wipe(true); /* a token is in it */
    struct json *answer =
        result == HTTP_ANSWERED ? js_parse(body, n, error, sizeof(error)) : NULL;
    c->http = NULL;
    if (result != HTTP_ANSWERED) {
        snprintf(why, sizeof(why), "no access token: %.100s: %s", c->spec.token_url,
                 http_call_error(http));
        tell(c,
             &(struct oauth_answer){.why = why, .may_retry = result != HTTP_FORBIDDEN});
    } else if (http_call_status(http) != 200) {
        refused(c, http_call_status(http), answer);
    } else if (!is_token(js_text(answer, "access_token", NULL)) ||
               strcasecmp(js_text(answer, "token_type", "bearer"), "bearer") != 0) {
        snprintf(
            why, sizeof(why),
            "no access token: the answer of %.100s has no `access_token` of the type "
            "bearer",
            c->spec.token_url);
        tell(c, &(struct oauth_answer){.why = why});
    } else {
        keep(c, answer);
    }
    js_free(answer);
    js_wipe(false);
}

/* Id and secret are form-encoded before they are joined (RFC 6749, 2.3.1). */
static char *authorization(const struct credential *spec)
{
    struct buf plain = BUF_NULL, encoded = BUF_NULL;

    form_escape(&plain, spec->id, strlen(spec->id));
    buf_text(&plain, ":");
    form_escape(&plain, spec->secret, strlen(spec->secret));
    text_base64(plain.bytes, plain.len, &encoded);
    char *value = mem_format("Basic %s", buf_str(&encoded));
    explicit_bzero(plain.bytes, plain.len);
    explicit_bzero(encoded.bytes, encoded.len);
    buf_fini(&plain);
    buf_fini(&encoded);
    return value;
}

/* The fields with the secret in them come last, and into room that is there: what is
 * moved is not wiped. */
static void write_body(const struct credential *spec, struct buf *body)
{
    form_field(body, "grant_type", "client_credentials");
    if (spec->scope)
        form_field(body, "scope", spec->scope);
    if (!spec->is_in_body)
        return;
    buf_reserve(body, 3 * (strlen(spec->id) + strlen(spec->secret)) + 64);
    form_field(body, "client_id", spec->id);
    form_field(body, "client_secret", spec->secret);
}

static void fetch(struct holding *c)
{
    char *credentials = c->spec.is_in_body ? NULL : authorization(&c->spec);
    struct buf body = BUF_NULL;
    const struct http_field headers[] = {
        {"Content-Type", "application/x-www-form-urlencoded"},
        {"Accept", "application/json"},
        {"Authorization", credentials}};

    write_body(&c->spec, &body);
    c->http = http_client_call(
        c->oauth->http, &(struct http_call_options){.method = "POST",
                                                    .url = c->spec.token_url,
                                                    .headers = headers,
                                                    .n_headers = credentials ? 3 : 2,
                                                    .body = body.bytes,
                                                    .body_len = body.len,
                                                    .timeout_us = OAUTH_TIMEOUT_US,
                                                    .answer_max = OAUTH_ANSWER_MAX,
                                                    .on_done = on_done,
                                                    .user = c});
    mem_free_secret(credentials);
    explicit_bzero(body.bytes, body.len);
    buf_fini(&body);
}

/* --- what others do --- */

const char *oauth_known(struct oauth *oauth, const struct credential *spec)
{
    const struct holding *c = find(oauth, spec);

    return c && c->token && loop_steady_us(oauth->loop) < c->good_until_us ? c->token
                                                                           : NULL;
}

struct oauth_wait *oauth_ask(struct oauth *oauth, const struct credential *spec,
                             void (*fn)(void *user, const struct oauth_answer *answer),
                             void *user)
{
    struct oauth_wait *wait = mem_alloc(sizeof(*wait));
    struct holding *c = get(oauth, spec);

    *wait = (struct oauth_wait){c->waiting, c, fn, user};
    c->waiting = wait;
    if (!c->http)
        fetch(c);
    return wait;
}

void oauth_cancel(struct oauth_wait *wait)
{
    struct oauth_wait **at = &wait->holding->waiting;

    while (*at && *at != wait)
        at = &(*at)->next;
    if (*at)
        *at = wait->next;
    free(wait);
}

void oauth_refused(struct oauth *oauth, const struct credential *spec, const char *token)
{
    struct holding *c = find(oauth, spec);

    if (!c || !c->token || strcmp(c->token, token) != 0)
        return;
    mem_free_secret(c->token);
    c->token = NULL;
}

struct oauth *oauth_new(struct loop *loop, struct http_client *http)
{
    struct oauth *oauth = mem_alloc(sizeof(*oauth));

    *oauth = (struct oauth){.loop = loop, .http = http};
    return oauth;
}

void oauth_free(struct oauth *oauth)
{
    if (!oauth)
        return;
    for (struct holding *c; (c = oauth->all);) {
        oauth->all = c->next;
        holding_free(c);
    }
    free(oauth);
}
