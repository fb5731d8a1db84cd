/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* api - a call's way: who calls, which resource, was it made before, what does it answer
 */
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "sandbox/stripe/inside.h"

typedef struct json *(*handler_fn)(struct stripe *stripe, struct request *request);

/* Method, path (a `*` at its end is the id), what answers. */
static const struct {
    const char *method, *path;
    handler_fn fn;
} routes[] = {
    {"POST", "/v1/payment_intents", intent_create},
    {"GET", "/v1/payment_intents/search", intent_search},
    {"GET", "/v1/payment_intents/*", intent_retrieve},
    {"GET", "/v1/charges/*", charge_retrieve},
    {"POST", "/v1/refunds", refund_create},
    {"GET", "/v1/refunds", refund_list},
    {"GET", "/v1/refunds/*", refund_retrieve},
    {"POST", "/v1/checkout/sessions", session_create},
    {"GET", "/v1/checkout/sessions/*", session_retrieve},
    {"GET", "/v1/events", event_list},
    {"GET", "/v1/events/*", event_retrieve},
};

void stripe_id(const char *prefix, char ret_id[STRIPE_ID_SIZE])
{
    static const char digits[] =
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    uint8_t random[24];
    size_t n = strlen(prefix);

    id_random(random, sizeof(random));
    memcpy(ret_id, prefix, n);
    for (size_t i = 0; i < sizeof(random); i++)
        ret_id[n + i] = digits[random[i] % 62];
    ret_id[n + sizeof(random)] = '\0';
}

struct stripe *stripe_new(const struct stripe_options *options)
{
    struct stripe *stripe = mem_alloc(sizeof(*stripe));

    stripe->options = *options;
    stripe->api_key = mem_text(options->api_key);
    return stripe;
}

static void key_free(struct stripe_key *key)
{
    buf_fini(&key->body);
    free(key);
}

void stripe_free(struct stripe *stripe)
{
    const struct table_entry *entry;

    if (!stripe)
        return;
    for (size_t at = 0; (entry = table_next(&stripe->refunds, &at));)
        refund_free(entry->value);
    for (size_t at = 0; (entry = table_next(&stripe->intents, &at));)
        intent_free(entry->value);
    for (size_t at = 0; (entry = table_next(&stripe->sessions, &at));)
        js_free(entry->value);
    for (size_t at = 0; (entry = table_next(&stripe->keys, &at));)
        key_free(entry->value);
    for (size_t i = 0; i < STRIPE_EVENTS_MAX; i++) {
        free(stripe->events[i].type);
        free(stripe->events[i].text);
    }
    table_fini(&stripe->refunds);
    table_fini(&stripe->charges);
    table_fini(&stripe->intents);
    table_fini(&stripe->sessions);
    table_fini(&stripe->keys);
    free(stripe->api_key);
    free(stripe);
}

/* --- who calls --- */

/* The key of `Bearer KEY` or of Basic with the key as user; to be freed, NULL when there
 * is none. */
static char *key_of(const char *authorization)
{
    struct buf plain = BUF_NULL;
    char *key = NULL;

    if (!authorization)
        return NULL;
    if (!strncasecmp(authorization, "Bearer ", 7))
        return mem_text(authorization + 7);
    if (!strncasecmp(authorization, "Basic ", 6) &&
        text_parse_base64(authorization + 6, strlen(authorization + 6), &plain))
        key = mem_copy(buf_str(&plain), strcspn(buf_str(&plain), ":"));
    buf_fini(&plain);
    return key;
}

static struct json *check_caller(const struct stripe *stripe, struct request *request)
{
    _free_ char *key = key_of(request->call->authorization);

    if (!key || !*key)
        return refuse(request, 401, "invalid_request_error", NULL, NULL,
                      "You did not provide an API key. You need to provide your API key "
                      "in the Authorization header, using "
                      "Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').");
    if (stripe->api_key ? strcmp(key, stripe->api_key) : strncmp(key, "sk_test_", 8))
        return refuse(request, 401, "invalid_request_error", NULL, NULL,
                      "Invalid API Key provided: %.8s*****",
                      !strncmp(key, "sk_test_", 8) || !strncmp(key, "sk_live_", 8)
                          ? key
                          : "*******");
    return NULL;
}

/* --- which resource --- */

static handler_fn find_route(struct request *request)
{
    const struct stripe_call *call = request->call;

    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        size_t n = strlen(routes[i].path) - 1;

        if (strcmp(call->method, routes[i].method))
            continue;
        if (routes[i].path[n] != '*'
                ? !strcmp(call->path, routes[i].path)
                : !strncmp(call->path, routes[i].path, n) && call->path[n] &&
                      !strchr(call->path + n, '/')) {
            request->id = call->path + n;
            return routes[i].fn;
        }
    }
    return NULL;
}

static struct json *read_form(struct request *request)
{
    const struct stripe_call *call = request->call;
    bool is_post = !strcmp(call->method, "POST");
    const char *text = is_post ? call->body : call->query;
    size_t n = is_post ? call->body_len : call->query ? strlen(call->query) : 0;

    if (is_post && n &&
        (!call->content_type ||
         strncasecmp(call->content_type, "application/x-www-form-urlencoded", 33)))
        return refuse_param(request, NULL, NULL,
                            "Invalid request (check that your POST content type is "
                            "application/x-www-form-urlencoded).");
    if (!form_read(&request->form, text, n))
        return refuse_param(request, NULL, NULL, "Too many parameters.");
    return NULL;
}

/* --- was it made before --- */

static uint64_t fingerprint(const struct stripe_call *call)
{
    struct buf all = BUF_NULL;
    uint64_t hash;

    buf_format(&all, "%s %s\n", call->method, call->path);
    buf_add(&all, call->body, call->body_len);
    hash = hash64(all.bytes, all.len);
    buf_fini(&all);
    return hash;
}

/* The answer of before, or the refusal; false when the call is new: then *ret_key is its
 * key (NULL without one). */
static bool seen_before(struct stripe *stripe, struct request *request,
                        struct stripe_key **ret_key, struct json **ret_body)
{
    const char *name = request->call->idempotency_key;
    uint64_t print = fingerprint(request->call);
    struct stripe_key *key;

    *ret_key = NULL;
    *ret_body = NULL;
    if (!name || !*name || strcmp(request->call->method, "POST"))
        return false;
    key = table_find(&stripe->keys, name);
    if (strlen(name) > STRIPE_KEY_MAX) {
        *ret_body =
            refuse(request, 400, "idempotency_error", NULL, NULL,
                   "Idempotency keys must be %d characters or less.", STRIPE_KEY_MAX);
    } else if (key && key->is_running) {
        *ret_body = refuse(
            request, 409, "idempotency_error", "idempotency_key_in_use", NULL,
            "There is currently another in-progress request using this Stripe "
            "idempotency key (that probably means "
            "you submitted twice, and the other request is still going through): %s.",
            name);
    } else if (key && key->is_saved && key->fingerprint != print) {
        *ret_body = refuse(request, 400, "idempotency_error", NULL, NULL,
                           "Keys for idempotent requests can only be used with the same "
                           "parameters they were first used with. "
                           "Try using a key other than '%s' if you meant to execute a "
                           "different request.",
                           name);
    } else if (key && key->is_saved) {
        request->answer->status = key->status;
        request->answer->is_replayed = true;
        memcpy(request->answer->original_request, key->request_id, STRIPE_ID_SIZE);
        buf_add(&request->answer->body, key->body.bytes, key->body.len);
    } else if (!key && stripe->keys.n >= STRIPE_OBJECTS_MAX) {
        *ret_body = refuse(request, 503, "api_error", NULL, NULL,
                           "The sandbox is full; start it again.");
    } else {
        if (!key) {
            key = mem_alloc(sizeof(*key));
            table_add(&stripe->keys, name, key);
        }
        key->fingerprint = print;
        *ret_key = key;
        return false;
    }
    return true;
}

/* A call that got past validation is answered the same for ever under its key; one that
 * was refused may come again. */
static void save(struct stripe *stripe, struct request *request, struct stripe_key *key)
{
    struct stripe_answer *answer = request->answer;

    if (!key) {
        stripe->effects_without_key += request->effects;
        return;
    }
    key->effects += request->effects;
    key->is_running = true;
    answer->running = key;
    if (!request->is_begun)
        return;
    key->is_saved = true;
    key->status = answer->status;
    memcpy(key->request_id, answer->request_id, STRIPE_ID_SIZE);
    buf_add(&key->body, answer->body.bytes, answer->body.len);
}

/* --- the call --- */

static void finish(struct request *request, struct json *body)
{
    if (body)
        js_write(body, 2, &request->answer->body);
    js_free(body);
}

static void run(struct stripe *stripe, struct request *request, handler_fn fn)
{
    struct stripe_key *key;
    struct json *body;

    if (seen_before(stripe, request, &key, &body)) {
        finish(request, body);
        return;
    }
    finish(request, fn(stripe, request));
    save(stripe, request, key);
}

void stripe_call(struct stripe *stripe, const struct stripe_call *call,
                 struct stripe_answer *ret_answer)
{
    struct request request = {.call = call, .answer = ret_answer};
    struct json *error;
    handler_fn fn;

    *ret_answer = (struct stripe_answer){.status = 200};
    stripe_id("req_", ret_answer->request_id);
    error = check_caller(stripe, &request);
    fn = error ? NULL : find_route(&request);
    if (!error && !fn)
        error = refuse(&request, 404, "invalid_request_error", NULL, NULL,
                       "Unrecognized request URL (%s: %s). The sandbox does "
                       "payment_intents, charges, refunds, checkout sessions and events.",
                       call->method, call->path);
    if (!error)
        error = read_form(&request);
    if (error)
        finish(&request, error);
    else
        run(stripe, &request, fn);
    form_fini(&request.form);
}

void stripe_delivered(struct stripe_answer *answer)
{
    if (answer->running)
        answer->running->is_running = false;
    answer->running = NULL;
    buf_fini(&answer->body);
}

struct json *stripe_effects(const struct stripe *stripe)
{
    struct json *effects = js_object();
    const struct table_entry *entry;

    for (size_t at = 0; (entry = table_next(&stripe->keys, &at));)
        if (((const struct stripe_key *)entry->value)->effects)
            js_set_int(effects, entry->name,
                       ((const struct stripe_key *)entry->value)->effects);
    if (stripe->effects_without_key)
        js_set_int(effects, "", stripe->effects_without_key);
    return effects;
}
