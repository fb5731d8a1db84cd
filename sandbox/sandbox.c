/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "sandbox/faults.h"
#include "sandbox/samples.h"
#include "sandbox/stripe/stripe.h"
#include "sandbox/webhook.h"

enum {
    BODY_MAX = 1 << 20,
    ENDLESS_MAX = 64 << 20,
    ENDLESS_PIECE = 16 << 10,
    ENDLESS_PAUSE_US = 5000
};

/* A request that is not answered yet: a slow answer, an endless one, or a simulated
 * webhook on its way. */
struct waiting {
    struct sandbox *sandbox;
    struct waiting *next;
    struct http_request *request; /* NULL: the client is gone */
    struct loop_timer *timer;
    struct stripe_answer answer;
    char event[STRIPE_ID_SIZE];
    size_t sent;
};
struct sandbox {
    struct loop *loop;
    struct http_server *server;
    struct stripe *stripe;
    struct webhooks *webhooks;
    struct faults faults;
    struct waiting *waiting;
    int64_t calls, replayed, faulted;
};

/* --- answers --- */

static void answer_json(struct http_request *request, unsigned status, struct json *body)
{
    struct buf text = BUF_NULL;
    struct http_reply reply = {.status = status, .content_type = "application/json"};

    js_write(body, 2, &text);
    js_free(body);
    reply.body = text.bytes;
    reply.body_len = text.len;
    http_reply(request, &reply);
    buf_fini(&text);
}

static void answer_problem(struct http_request *request, unsigned status,
                           const char *message)
{
    answer_json(request, status, js_set_text(js_object(), "error", message));
}

/* What Stripe's answers carry; `ret` has room for 8. */
static void stripe_headers(const struct http_request *request,
                           const struct stripe_answer *answer, struct http_header *ret)
{
    const char *key = http_header(request, "Idempotency-Key");

    *ret++ = (struct http_header){"Request-Id", answer->request_id};
    *ret++ = (struct http_header){"Stripe-Version", STRIPE_API_VERSION};
    if (key)
        *ret++ = (struct http_header){"Idempotency-Key", key};
    if (*answer->original_request)
        *ret++ = (struct http_header){"Original-Request", answer->original_request};
    if (answer->is_replayed)
        *ret++ = (struct http_header){"Idempotent-Replayed", "true"};
    if (answer->status == 409)
        *ret++ = (struct http_header){"Stripe-Should-Retry", "true"};
    *ret = (struct http_header){NULL, NULL};
}

static void answer_stripe(struct http_request *request, struct stripe_answer *answer)
{
    struct http_header headers[8];
    struct http_reply reply = {
        .status = answer->status,
        .content_type = "application/json",
        .body = answer->body.bytes,
        .body_len = answer->body.len,
        .headers = headers,
    };

    stripe_headers(request, answer, headers);
    http_reply(request, &reply);
    stripe_delivered(answer);
}

/* --- what waits --- */

static struct waiting *wait_for(struct sandbox *sandbox, struct http_request *request,
                                void (*fn)(void *))
{
    struct waiting *waiting = mem_alloc(sizeof(*waiting));

    waiting->sandbox = sandbox;
    waiting->next = sandbox->waiting;
    sandbox->waiting = waiting;
    waiting->request = request;
    waiting->timer = fn ? loop_timer_new(sandbox->loop, fn, waiting) : NULL;
    http_set_user(request, waiting);
    return waiting;
}

static void waiting_free(struct waiting *waiting)
{
    struct waiting **at = &waiting->sandbox->waiting;

    while (*at != waiting)
        at = &(*at)->next;
    *at = waiting->next;
    if (waiting->request)
        http_set_user(waiting->request, NULL);
    loop_timer_free(waiting->timer);
    stripe_delivered(&waiting->answer);
    free(waiting);
}

static void on_gone(void *user, struct http_request *request)
{
    struct waiting *waiting = http_user(request);

    (void)user;
    if (!waiting)
        return;
    waiting->request = NULL;
    if (waiting->timer) /* a simulation is ended by its sender */
        waiting_free(waiting);
}

/* --- faults --- */

static void on_slow(void *user)
{
    struct waiting *waiting = user;
    struct http_request *request = waiting->request;

    http_set_user(request, NULL);
    waiting->request = NULL;
    answer_stripe(request, &waiting->answer);
    waiting_free(waiting);
}

static void on_endless(void *user)
{
    static char piece[ENDLESS_PIECE];
    struct waiting *waiting = user;
    struct http_request *request = waiting->request;

    memset(piece, ' ', sizeof(piece));
    if (http_stream_write(request, piece, sizeof(piece)))
        waiting->sent += sizeof(piece);
    if (waiting->sent < ENDLESS_MAX) {
        loop_timer_in(waiting->timer, ENDLESS_PAUSE_US);
        return;
    }
    waiting_free(waiting);
    http_stream_end(request, true);
}

static void start_endless(struct sandbox *sandbox, struct http_request *request)
{
    struct http_reply head = {.status = 200, .content_type = "application/json"};

    http_stream_start(request, &head);
    loop_timer_in(wait_for(sandbox, request, on_endless)->timer, 0);
}

/* The head and half a sentence, then the connection is closed. */
static void cut(struct http_request *request)
{
    struct http_reply head = {.status = 200, .content_type = "application/json"};

    http_stream_start(request, &head);
    http_stream_write(request, "{\n  \"id\": \"", 11);
    http_stream_end(request, true);
}

static void answer_error(struct http_request *request, unsigned status, const char *type,
                         const char *code, const char *message,
                         const struct http_header *headers)
{
    struct buf body = BUF_NULL;
    struct http_reply reply = {
        .status = status, .content_type = "application/json", .headers = headers};

    stripe_error_body(&body, type, code, message);
    reply.body = body.bytes;
    reply.body_len = body.len;
    http_reply(request, &reply);
    buf_fini(&body);
}

static void answer_429(struct http_request *request, const struct fault *fault)
{
    char seconds[16];
    struct http_header headers[] = {{"Retry-After", seconds}, {NULL, NULL}};

    snprintf(seconds, sizeof(seconds), "%u", fault->retry_after);
    answer_error(request, 429, "invalid_request_error", "rate_limit",
                 "Request rate limit exceeded. Learn more about rate limits: "
                 "https://stripe.com/docs/rate-limits.",
                 headers);
}

static void answer_500(struct http_request *request)
{
    static const struct http_header headers[] = {{"Stripe-Should-Retry", "true"},
                                                 {NULL, NULL}};

    answer_error(request, 500, "api_error", NULL, "An unknown error occurred", headers);
}

static void answer_garbage(struct http_request *request)
{
    static const char page[] =
        "<html><head><title>Welcome to nginx!</title></head><body>it works";
    struct http_reply reply = {.status = 200,
                               .content_type = "application/json",
                               .body = page,
                               .body_len = sizeof(page) - 1};

    http_reply(request, &reply);
}

/* --- calls to a provider --- */

static void call_stripe(struct sandbox *sandbox, struct http_request *request,
                        struct stripe_answer *ret_answer)
{
    const char *query = strchr(http_target(request), '?');
    struct stripe_call call = {
        .method = http_method(request),
        .path = http_path(request),
        .query = query ? query + 1 : NULL,
        .authorization = http_header(request, "Authorization"),
        .content_type = http_header(request, "Content-Type"),
        .idempotency_key = http_header(request, "Idempotency-Key"),
        .now_us = loop_wall_us(sandbox->loop),
    };

    call.body = http_body(request, &call.body_len);
    stripe_call(sandbox->stripe, &call, ret_answer);
    sandbox->replayed += ret_answer->is_replayed;
}

static void on_provider_call(struct sandbox *sandbox, struct http_request *request)
{
    struct fault fault = faults_take(&sandbox->faults);
    struct stripe_answer answer;
    struct waiting *waiting;

    sandbox->calls++;
    sandbox->faulted += fault.kind != FAULT_NONE;
    switch (fault.kind) {
    case FAULT_RATE_LIMITED:
        answer_429(request, &fault);
        break;
    case FAULT_BROKEN:
        answer_500(request);
        break;
    case FAULT_GARBAGE:
        answer_garbage(request);
        break;
    case FAULT_ENDLESS:
        start_endless(sandbox, request);
        break;
    case FAULT_CUT:
        cut(request);
        break;
    case FAULT_CUT_AFTER_EFFECT:
        call_stripe(sandbox, request, &answer);
        stripe_delivered(&answer);
        cut(request);
        break;
    case FAULT_SLOW:
        waiting = wait_for(sandbox, request, on_slow);
        call_stripe(sandbox, request, &waiting->answer);
        loop_timer_in(waiting->timer, fault.ms * 1000ull);
        break;
    case FAULT_NONE:
        call_stripe(sandbox, request, &answer);
        answer_stripe(request, &answer);
        break;
    }
}

/* --- the sandbox's own addresses --- */

static void get_effects(struct sandbox *sandbox, struct http_request *request)
{
    answer_json(request, 200, stripe_effects(sandbox->stripe));
}

static void get_status(struct sandbox *sandbox, struct http_request *request)
{
    struct json *status = js_object();

    js_set_int(status, "calls", sandbox->calls);
    js_set_int(status, "replayed", sandbox->replayed);
    js_set_int(status, "faulted", sandbox->faulted);
    js_set(status, "webhooks", webhooks_json(sandbox->webhooks));
    answer_json(request, 200, status);
}

static void get_faults(struct sandbox *sandbox, struct http_request *request)
{
    answer_json(request, 200, faults_json(&sandbox->faults));
}

static void delete_faults(struct sandbox *sandbox, struct http_request *request)
{
    sandbox->faults.n = 0;
    get_faults(sandbox, request);
}

/* The request's body as JSON; answers 400 and returns NULL when it is none. */
static struct json *read_json(struct http_request *request)
{
    size_t n;
    const char *body = http_body(request, &n);
    char why[160] = "the body must be a JSON object";
    struct json *json = js_parse(body, n, why, sizeof(why));

    if (json && js_is_object(json))
        return json;
    js_free(json);
    answer_problem(request, 400, why);
    return NULL;
}

static void post_faults(struct sandbox *sandbox, struct http_request *request)
{
    struct json *description = read_json(request);
    char error[160];

    if (!description)
        return;
    if (faults_add(&sandbox->faults, description, error, sizeof(error)))
        get_faults(sandbox, request);
    else
        answer_problem(request, 400, error);
    js_free(description);
}

static void on_simulated(void *user, const struct json *sent)
{
    struct waiting *waiting = user;
    struct http_request *request = waiting->request;
    const struct json *last = js_at(sent, js_count(sent) - 1);
    struct json *body = js_set_text(js_object(), "event", waiting->event);

    js_set_int(body, "status", js_int(last, "status", 0));
    js_set_text(body, "body", js_text(last, "body", NULL));
    js_set_text(body, "error", js_text(last, "error", NULL));
    js_set(body, "sent", js_copy(sent));
    waiting_free(waiting);
    if (request)
        answer_json(request, 200, body);
    else
        js_free(body);
}

/* Make the event, or for a reordering two of them, and send: the later one first. */
static void simulate(struct sandbox *sandbox, struct http_request *request,
                     const struct json *wish, enum webhook_fault fault)
{
    const char *type = js_text(wish, "event", NULL);
    size_t n = fault == WEBHOOK_FAULT_DUPLICATE || fault == WEBHOOK_FAULT_REORDER ? 2 : 1;
    struct buf events[2] = {BUF_NULL, BUF_NULL};
    const char *texts[2];
    struct waiting *waiting = wait_for(sandbox, request, NULL);
    uint64_t now = loop_wall_us(sandbox->loop);

    stripe_make_event(sandbox->stripe, type,
                      sample_object(type, js_get(wish, "data"), now), now, &events[0]);
    texts[0] = texts[1] = buf_str(&events[0]);
    if (fault == WEBHOOK_FAULT_REORDER) {
        stripe_make_event(sandbox->stripe, type,
                          sample_object(type, js_get(wish, "data"), now), now + 1000000,
                          &events[1]);
        texts[0] = buf_str(&events[1]);
    }
    sample_id(texts[0], waiting->event);
    webhooks_simulate(sandbox->webhooks, texts, n, fault, on_simulated, waiting);
    buf_fini(&events[0]);
    buf_fini(&events[1]);
}

static void post_webhook(struct sandbox *sandbox, struct http_request *request)
{
    struct json *wish = read_json(request);
    enum webhook_fault fault;

    if (!wish)
        return;
    fault = webhook_fault_of(js_text(wish, "fault", "none"));
    if (!webhooks_has_url(sandbox->webhooks))
        answer_problem(request, 409, "the sandbox was started without --webhook-url");
    else if (!js_text(wish, "event", NULL))
        answer_problem(
            request, 400,
            "event must be a provider's event type, e.g. checkout.session.completed");
    else if (fault == WEBHOOK_FAULT_COUNT)
        answer_problem(request, 400,
                       "fault must be one of duplicate, reorder, stale, bad-signature, "
                       "wrong-secret, tampered");
    else
        simulate(sandbox, request, wish, fault);
    js_free(wish);
}

static const struct {
    const char *method, *path;
    void (*fn)(struct sandbox *sandbox, struct http_request *request);
} routes[] = {
    {"GET", "/sandbox/effects", get_effects},
    {"GET", "/sandbox/status", get_status},
    {"GET", "/sandbox/faults", get_faults},
    {"POST", "/sandbox/faults", post_faults},
    {"DELETE", "/sandbox/faults", delete_faults},
    {"POST", "/sandbox/webhook", post_webhook},
};

static void on_request(void *user, struct http_request *request)
{
    struct sandbox *sandbox = user;
    bool is_known_path = false;

    if (strncmp(http_path(request), "/sandbox/", 9)) {
        on_provider_call(sandbox, request);
        return;
    }
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (strcmp(routes[i].path, http_path(request)))
            continue;
        is_known_path = true;
        if (!strcmp(routes[i].method, http_method(request))) {
            routes[i].fn(sandbox, request);
            return;
        }
    }
    answer_problem(request, is_known_path ? 405 : 404,
                   is_known_path ? "not this method" : "no such address");
}

/* --- the whole --- */

static void on_event(void *user, const char *id, const char *text, size_t len)
{
    struct sandbox *sandbox = user;

    (void)id;
    webhooks_queue(sandbox->webhooks, text, len);
}

struct sandbox *sandbox_new(struct loop *loop, const struct sandbox_options *options,
                            char *error, size_t error_size)
{
    struct sandbox *sandbox = mem_alloc(sizeof(*sandbox));
    struct stripe_options stripe = {
        .api_key = options->api_key, .on_event = on_event, .user = sandbox};
    struct http_server_options server = {
        .address = "127.0.0.1",
        .port = options->port,
        .body_max = BODY_MAX,
        .on_request = on_request,
        .on_gone = on_gone,
        .user = sandbox,
    };

    sandbox->loop = loop;
    id_random(&sandbox->faults.random, sizeof(sandbox->faults.random));
    sandbox->faults.random |= 1;
    sandbox->stripe = stripe_new(&stripe);
    sandbox->webhooks = webhooks_new(loop, options->webhook_url, options->webhook_secret);
    sandbox->server = http_server_new(loop, &server, error, error_size);
    if (sandbox->server)
        return sandbox;
    sandbox_free(sandbox);
    return NULL;
}

void sandbox_free(struct sandbox *sandbox)
{
    if (!sandbox)
        return;
    http_server_free(
        sandbox->server); /* on_gone takes the requests away from what waits */
    webhooks_free(sandbox->webhooks);
    while (sandbox->waiting)
        waiting_free(sandbox->waiting);
    stripe_free(sandbox->stripe);
    free(sandbox);
}

uint16_t sandbox_port(const struct sandbox *sandbox)
{
    return http_server_port(sandbox->server);
}
