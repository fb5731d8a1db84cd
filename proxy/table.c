/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What is passed on is the application's, so the request is copied rather than made: the
 * credential is put in, and an idempotency key where the provider minds one and the
 * application has none. There is one attempt; what it ends as is the application's to try
 * again. */
#include "proxy/table.h"

#include <stdio.h>
#include <string.h>

#include "lib/http/server.h"
#include "lib/sdk/call.h"
#include "proxy/door.h"
#include "proxy/guard.h"
#include "proxy/passage.h"
#include "proxy/rules.h"

enum { SAID_MAX = 300 /* bytes of a provider's own message that are kept */ };

/* --- the request --- */

static void copy_header(void *user, const char *name, const char *value)
{
    if (rule_sends(name))
        sb_header(user, name, value);
}

static void copy(const struct sb_event *event, const struct passage *p,
                 struct sb_request *request)
{
    const struct rule *rule = rule_of(sb_provider(event));
    const char *method = http_method(p->request);

    sb_call(request, method, p->target.encoded);
    if (p->target.query)
        buf_text(&request->query, p->target.query);
    http_each_header(p->request, copy_header, request);
    if (rule->secret_header)
        sb_secret_header(request, rule->secret_header, "api_key");
    else
        sb_bearer(request, "api_key");
    if (rule->key_header && strcmp(method, "POST") == 0 &&
        !http_header(p->request, rule->key_header))
        sb_header(request, rule->key_header, sb_idempotency_key(event));
}

static enum sb_verdict pass(const struct sb_event *event, struct sb_request *request,
                            struct sb_outcome *outcome)
{
    const struct passage *p = door_passage(event);

    if (!p)
        return sb_fail(outcome, "no application waits for it here, and nothing was sent: "
                                "such a request begins at the proxy's own port");
    if (!p->request)
        return sb_fail(outcome, "the application went away before its turn came, and "
                                "nothing was sent");
    copy(event, p, request);
    return SB_DONE;
}

/* There is no START in the log of what changes nothing: whether it was sent when its
 * process ended cannot be told. */
static enum sb_verdict pass_read(const struct sb_event *event, struct sb_request *request,
                                 struct sb_outcome *outcome)
{
    return door_passage(event)
               ? pass(event, request, outcome)
               : sb_unknown(outcome, "the process it came through has ended; it changes "
                                     "nothing, so the application may ask again");
}

/* --- the answer --- */

/* What was used, and what that costs by the operator's prices: of the model that was
 * asked for, or as the answer calls it. */
static void say_usage(const struct sb_event *event, const struct passage *p,
                      struct sb_outcome *outcome)
{
    const char *prices = sb_option(event, "prices"), *wrong = NULL;
    struct sb_json *data = sb_result(outcome);
    struct sb_tokens used;

    sb_put_text(data, "model", *p->usage.model ? p->usage.model : NULL);
    if (!usage_tokens(&p->usage, &used))
        return;
    sb_put_int(data, "usage.input_tokens", used.input);
    sb_put_int(data, "usage.output_tokens", used.output);
    if (used.cached > 0)
        sb_put_int(data, "usage.cached_tokens", used.cached);
    int64_t cost = sb_token_cost(prices, p->model, &used, &wrong);
    if (cost < 0)
        cost = sb_token_cost(prices, p->usage.model, &used, &wrong);
    if (cost < 0)
        return;
    sb_cost(outcome, SB_ACTUAL, "USD", cost);
    sb_put_text(data, "prices_date", sb_option(event, "prices_date"));
}

static void say_answer(const struct sb_event *event, const struct sb_answer *answer,
                       struct sb_outcome *outcome)
{
    struct passage *p = door_passage(event);
    struct sb_json *data = sb_result(outcome);

    sb_put_int(data, "status", sb_status(answer));
    if (!p)
        return;
    p->is_whole = true;
    sb_put_int(data, "bytes", (int64_t)p->bytes);
    sb_put_int(data, "first_ms", (int64_t)(p->first_us / 1000));
    if (!rule_of(sb_provider(event))->has_models)
        return;
    usage_take(&p->usage, (const struct json *)sb_answer_json(answer));
    say_usage(event, p, outcome);
}

/* Where Stripe, OpenAI, Anthropic, Resend and SendGrid say what is wrong. */
static const char *said(const struct sb_json *body)
{
    static const char *const paths[] = {"error.message", "message", "errors.0.message",
                                        "error"};
    const char *text = NULL;

    for (size_t i = 0; !text && i < sizeof(paths) / sizeof(paths[0]); i++)
        text = sb_text(body, paths[i]);
    return text ? text : "no reason was given";
}

static enum sb_verdict succeeded(const struct sb_event *event,
                                 const struct sb_answer *answer,
                                 struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    bool is_ok = true;

    say_answer(event, answer, outcome);
    if (rule_of(sb_provider(event))->is_slack && sb_bool(body, "ok", &is_ok) && !is_ok)
        return sb_fail(outcome, "Slack answered: %.*s", SAID_MAX, said(body));
    return SB_DONE;
}

static enum sb_verdict failed(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome)
{
    say_answer(event, answer, outcome);
    return sb_default(outcome, "%s answered %u: %.*s", sb_provider(event),
                      sb_status(answer), SAID_MAX, said(sb_answer_json(answer)));
}

/* --- the tables --- */

#define DOOR_OPTIONS(allow_)                                                             \
    {"listen", SB_TEXT, NULL, true,                                                      \
     "address and port for the applications: 127.0.0.1:8091"},                           \
        {"access", SB_TEXT, "local", false,                                              \
         "local: whoever is on this host, listen is a loopback address; token: whoever " \
         "has a token with the scope call"},                                             \
        {"allow", SB_TEXT, (allow_), false,                                              \
         "what may be asked: METHOD /path, commas between; GET|POST for several; * "     \
         "stands for one segment, > for the rest"},                                      \
        {"max_body", SB_INT, "8388608", false,                                           \
         "bytes of a request's body; with more it is answered 413"},                     \
    {                                                                                    \
        "wait_ms", SB_INT, "10000", false,                                               \
            "how long a request may wait for its turn (limits, an open breaker); then "  \
            "it is Failed/deadline and answered 503"                                     \
    }
#define OPTIONS(allow_)                                                                  \
    {                                                                                    \
        DOOR_OPTIONS(allow_), {.name = NULL},                                            \
    }
#define MODEL_OPTIONS(allow_)                                                            \
    {                                                                                    \
        DOOR_OPTIONS(allow_),                                                            \
            {"prices", SB_TEXT, NULL, false,                                             \
             "US dollars for a million tokens, by model: MODEL INPUT OUTPUT [CACHED], "  \
             "...; a model that is not in it has no cost"},                              \
            {"prices_date", SB_TEXT, NULL, false,                                        \
             "the day on which `prices` was compared with the provider's, YYYY-MM-DD: "  \
             "it stands with every cost"},                                               \
            {.name = NULL},                                                              \
    }

static const struct sb_option stripe_options[] = OPTIONS(
    "GET|POST /v1/payment_intents, GET|POST /v1/payment_intents/>, GET|POST "
    "/v1/payment_methods, GET|POST /v1/payment_methods/>, GET /v1/charges, GET "
    "/v1/charges/*, GET|POST /v1/refunds, GET|POST /v1/refunds/>, GET|POST "
    "/v1/customers, GET|POST /v1/customers/>, GET|POST /v1/checkout/sessions, GET|POST "
    "/v1/checkout/sessions/>, GET|POST /v1/setup_intents, GET|POST /v1/setup_intents/>, "
    "GET|POST /v1/subscriptions, GET|POST|DELETE /v1/subscriptions/>, GET|POST "
    "/v1/invoices, GET|POST /v1/invoices/>, GET /v1/prices, GET /v1/prices/*, GET "
    "/v1/products, GET /v1/products/*, GET /v1/events, GET /v1/events/*");
static const struct sb_option openai_options[] = MODEL_OPTIONS(
    "POST /v1/chat/completions, POST /v1/responses, POST /v1/embeddings, POST "
    "/v1/moderations, GET /v1/models, GET /v1/models/*");
static const struct sb_option anthropic_options[] = MODEL_OPTIONS(
    "POST /v1/messages, POST /v1/messages/count_tokens, GET /v1/models, GET "
    "/v1/models/*");
static const struct sb_option slack_options[] = OPTIONS(
    "POST /api/auth.test, POST /api/chat.postMessage, POST /api/chat.postEphemeral, POST "
    "/api/chat.update, POST /api/chat.delete, POST /api/chat.scheduleMessage, POST "
    "/api/conversations.list, POST /api/conversations.open, POST /api/users.info, POST "
    "/api/users.lookupByEmail, POST /api/reactions.add");
static const struct sb_option sendgrid_options[] = OPTIONS("POST /v3/mail/send");
static const struct sb_option resend_options[] =
    OPTIONS("POST /emails, POST /emails/batch, GET /emails/*");

static const struct sb_secret secrets[] = {
    {"api_key", "the provider's key, which the applications do not have",
     "make a second key at the provider, `signalbox secret rotate`, then revoke the "
     "first",
     false},
    {GUARD_CERTIFICATE,
     "the certificate of the door, PEM, the leaf first: applications then use https://",
     "put the new one in its place together with its key, `signalbox reload`", true},
    {GUARD_KEY, "the key of tls_certificate, PEM", "as tls_certificate", true},
    {.name = NULL},
};

static const struct sb_operation operations[] = {
    {.name = "call",
     .summary = "Pass an application's request on to the provider",
     .transition = "the application's own",
     .transition_failed = "the application's own: its SDK has the answer",
     SB_BRANCHES(pass, succeeded, failed),
     .repeat = SB_REPEAT_NEVER,
     .degrade = "the application handles its SDK's error, as without the proxy",
     .test = "through the SDK with the provider's test key, or against signalbox's "
             "sandbox by base_url"},
    {.name = "read",
     .summary = "Pass on a request that changes nothing (GET, HEAD)",
     SB_BRANCHES(pass_read, succeeded, failed),
     .repeat = SB_REPEAT_SAFE,
     .degrade = "as call",
     .test = "as call"},
    {.name = NULL},
};

static const struct sb_failure_mode failures[] = {
    {"refused by the provider", "permanent: PROVIDER answered 4xx",
     "the application has the answer; the message says what was wrong"},
    {"too many, or not now", "exhausted: PROVIDER answered 408, 425, 429 or 503",
     "nothing was done; the SDK tries again as its Retry-After says"},
    {"broken at the provider",
     "unknown: PROVIDER answered 5xx; exhausted where it was read",
     "it may have been done: look at the provider, or trust the idempotency key"},
    {"not reached", "exhausted: the call was not sent",
     "nothing was done; the SDK gets 502 and tries again"},
    {"answer lost", "unknown: the call was sent and no answer could be used",
     "the SDK gets 502, or an answer that breaks off"},
    {"application gone", "unknown: the application went away",
     "the call was broken off; what was generated so far may be charged"},
    {"proxy ended", "unknown: an earlier attempt ended without an answer",
     "it is never sent again; look at the provider"},
    {"not in time", "deadline: its turn did not come within options.wait_ms",
     "the SDK gets 503; see limits and the breaker in `signalbox status`"},
    {.name = NULL},
};

static const struct sb_provider providers[] = {
    {.name = "stripe", .base_url = "https://api.stripe.com", .options = stripe_options},
    {.name = "openai", .base_url = "https://api.openai.com", .options = openai_options},
    {.name = "anthropic",
     .base_url = "https://api.anthropic.com",
     .options = anthropic_options},
    {.name = "slack", .base_url = "https://slack.com", .options = slack_options},
    {.name = "sendgrid",
     .base_url = "https://api.sendgrid.com",
     .options = sendgrid_options},
    {.name = "resend", .base_url = "https://api.resend.com", .options = resend_options},
    {.name = NULL},
};

const struct sb_connector proxy_connector = {
    .name = "proxy",
    .version = "1",
    .summary = "signalbox: a provider's own SDK, without its credential",
    .providers = providers,
    .secrets = secrets,
    .operations = operations,
    .failures = failures,
    .tests =
        "point the SDK's base URL at options.listen of an integration in mode test, "
        "make one call and one that fails; `signalbox log --service NAME` shows both",
};
