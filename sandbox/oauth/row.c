/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - an API behind OAuth 2 to practise on: POST /token, and GET and POST /orders
 *
 * A client is any id with a secret that begins with cs_test_ (or the one handed over), in
 * the header or in the body, never in both (RFC 6749, 2.3).  The scope decides how long a
 * token is good: see `scopes`.  A token's effect is counted under "token basic" or "token
 * post", an order's under its Idempotency-Key or its body. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/form.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "sandbox/effects.h"
#include "sandbox/rows.h"
#include "sandbox/table.h"

enum { TOKEN_LIFE_S = 3600, TOKENS_MAX = 10000, TOKEN_SIZE = 32 };

/* What is asked for decides. Any other scope, and none, is a token of an hour. */
static const struct {
    const char *scope;
    unsigned life_s; /* that is promised */
    unsigned uses;   /* calls it is good for; 0: any number */
    const char *error;
} scopes[] = {
    {"short", 2, 0, NULL},
    {"once", TOKEN_LIFE_S, 1,
     NULL}, /* taken back before its time: the next call is 401 */
    {"denied", 0, 0, "invalid_scope"},
};

struct token {
    uint64_t until_us;
    unsigned uses_left; /* UINT32_MAX: any number */
};

struct shop {
    char *secret; /* NULL: any that looks like a test secret */
    struct effects effects;
    struct table tokens;
};

static void *open_row(const struct provider_options *options)
{
    struct shop *shop = mem_alloc(sizeof(*shop));

    shop->secret = mem_text(options->api_key);
    return shop;
}

static void close_row(void *state)
{
    struct shop *shop = state;
    const struct table_entry *entry;

    for (size_t at = 0; (entry = table_next(&shop->tokens, &at));)
        free(entry->value);
    table_fini(&shop->tokens);
    effects_fini(&shop->effects);
    free(shop->secret);
    free(shop);
}

static struct json *effects(const void *state)
{
    return effects_json(&((const struct shop *)state)->effects);
}

static void no(struct provider_answer *answer, unsigned status, const char *error)
{
    provider_answer(answer, status, js_set_text(js_object(), "error", error));
}

static void refuse(unsigned status, struct provider_answer *answer)
{
    no(answer, status, status == 429 ? "slow_down" : "server_error");
}

/* --- the authorization server --- */

/* "id:secret" of the header, both form-encoded (RFC 6749, 2.3.1), as the fields of a
 * form. False when it is not that. */
static bool read_basic(const char *value, struct form *client)
{
    struct buf plain = BUF_NULL, fields = BUF_NULL;
    bool good = strncasecmp(value, "Basic ", 6) == 0 &&
                text_parse_base64(value + 6, strlen(value + 6), &plain);
    const char *text = buf_str(&plain), *colon = strchr(text, ':');

    if (good && colon) {
        buf_format(&fields, "client_id=%.*s&client_secret=%s", (int)(colon - text), text,
                   colon + 1);
        good = form_read(client, (const char *)fields.bytes, fields.len);
    }
    buf_fini(&plain);
    buf_fini(&fields);
    return good && colon;
}

/* How the client has shown who it is: "basic" or "post"; NULL: not, or in two ways. */
static const char *method_of(const struct shop *shop, const struct provider_call *call,
                             const struct form *body)
{
    const char *header = provider_call_header(call, "Authorization");
    bool is_in_body = form_get(body, "client_secret") != NULL;
    struct form client = FORM_NULL;
    const struct form *from = is_in_body ? body : &client;

    if ((header != NULL) == is_in_body)
        return NULL;
    bool good = is_in_body || read_basic(header, &client);
    const char *id = form_get(from, "client_id"),
               *secret = form_get(from, "client_secret");
    good =
        good && id && *id && provider_key_fits(secret, shop->secret, oauth_row.test_key);
    form_fini(&client);
    return !good ? NULL : is_in_body ? "post" : "basic";
}

static void give(struct shop *shop, const char *scope, const char *method,
                 uint64_t now_us, struct provider_answer *answer)
{
    unsigned life_s = TOKEN_LIFE_S, uses = 0;
    char id[PROVIDER_ID_SIZE];
    _free_ char *effect = mem_format("token %s", method);

    for (size_t i = 0; scope && i < sizeof(scopes) / sizeof(scopes[0]); i++)
        if (strcmp(scope, scopes[i].scope) == 0) {
            life_s = scopes[i].life_s;
            uses = scopes[i].uses;
        }
    if (shop->tokens.n >= TOKENS_MAX || !effects_add(&shop->effects, effect)) {
        no(answer, 503, "temporarily_unavailable"); /* the sandbox is full */
        return;
    }
    provider_id("at_", TOKEN_SIZE, id);
    struct token *token = mem_alloc(sizeof(*token));
    *token = (struct token){.until_us = now_us + life_s * UINT64_C(1000000),
                            .uses_left = uses ? uses : UINT32_MAX};
    table_add(&shop->tokens, id, token);
    struct json *body = js_set_text(js_object(), "access_token", id);
    js_set_text(body, "token_type", "Bearer");
    provider_answer(answer, 200, js_set_int(body, "expires_in", life_s));
}

static const char *scope_error(const char *scope)
{
    for (size_t i = 0; scope && i < sizeof(scopes) / sizeof(scopes[0]); i++)
        if (strcmp(scope, scopes[i].scope) == 0)
            return scopes[i].error;
    return NULL;
}

static void give_token(struct shop *shop, const struct provider_call *call,
                       struct provider_answer *answer)
{
    struct form body = FORM_NULL;
    bool is_read = form_read(&body, call->body, call->body_len);
    const char *grant = form_get(&body, "grant_type"), *scope = form_get(&body, "scope");
    const char *method = is_read ? method_of(shop, call, &body) : NULL;

    if (!is_read || !grant)
        no(answer, 400, "invalid_request");
    else if (!method)
        no(answer, 401, "invalid_client");
    else if (strcmp(grant, "client_credentials") != 0)
        no(answer, 400, "unsupported_grant_type");
    else if (scope_error(scope))
        no(answer, 400, scope_error(scope));
    else
        give(shop, scope, method, call->now_us, answer);
    form_fini(&body);
}

/* --- the API --- */

static bool is_allowed(const struct shop *shop, const struct provider_call *call)
{
    const char *bearer = provider_bearer(call);
    struct token *token = bearer ? table_find(&shop->tokens, bearer) : NULL;

    if (!token || call->now_us >= token->until_us || token->uses_left == 0)
        return false;
    if (token->uses_left != UINT32_MAX)
        token->uses_left--;
    return true;
}

static void make_order(struct shop *shop, const struct provider_call *call,
                       struct provider_answer *answer)
{
    const char *key = provider_call_header(call, "Idempotency-Key");
    _free_ char *body = mem_copy(call->body ? call->body : "", call->body_len);
    char id[PROVIDER_ID_SIZE];

    if (!effects_add(&shop->effects, key ? key : body)) {
        no(answer, 503, "temporarily_unavailable");
        return;
    }
    provider_id("ord_", 12, id);
    provider_answer(answer, 201, js_set_text(js_object(), "id", id));
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    if (provider_is(call, "POST", "/token")) {
        give_token(state, call, answer);
    } else if (!is_allowed(state, call)) {
        provider_header(&answer->headers, "WWW-Authenticate",
                        "Bearer error=\"invalid_token\"");
        no(answer, 401, "invalid_token");
    } else if (provider_is(call, "POST", "/orders")) {
        make_order(state, call, answer);
    } else if (provider_is(call, "GET", "/orders")) {
        provider_answer(answer, 200, js_set(js_object(), "data", js_array()));
    } else {
        no(answer, 404, "not_found");
    }
}

const struct provider oauth_row = {
    .name = "oauth",
    .test_key = "cs_test_",
    .open = open_row,
    .close = close_row,
    .call = call_row,
    .effects = effects,
    .refuse = refuse,
};
