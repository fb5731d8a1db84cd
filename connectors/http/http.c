/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* http - any HTTP API, without a connector of its own
 *
 * An event says method, path, query, headers and body; base_url and the credential are
 * the integration's, so an event can neither choose the host nor see a secret.  What may
 * be sent twice is known to the caller alone, who picks the operation: `read` changes
 * nothing, `keyed` carries an idempotency key, `call` is never sent again when its effect
 * is not known. */
#include <string.h>
#include <strings.h>

#include "shared.h"

enum { KEY_LIFETIME_S = 24 * 3600 };

static const struct sb_option options[] = {
    {"auth", SB_TEXT, "none", false, "none, bearer, basic, header or oauth2"},
    {"user", SB_TEXT, NULL, false, "with auth: basic, the user"},
    {"auth_header", SB_TEXT, NULL, false,
     "with auth: header, the name of the header that the token is in (X-Api-Key)"},
    {"token_url", SB_TEXT, NULL, false,
     "with auth: oauth2, where access tokens are (client credentials)"},
    {"scope", SB_TEXT, NULL, false, "with auth: oauth2, the scope that is asked for"},
    {"token_auth", SB_TEXT, "client_secret_basic", false,
     "with auth: oauth2, how the client says who it is: client_secret_basic (in the "
     "header) or client_secret_post (in the body)"},
    {"poll_path", SB_TEXT, NULL, false, "the list that `poll` asks for"},
    {"poll_items", SB_TEXT, NULL, false,
     "where the items are in the answer (data.orders); left out: the answer is the list"},
    {"poll_id", SB_TEXT, "id", false, "where an item's id is in it"},
    {"poll_type", SB_TEXT, NULL, false,
     "where an item's type is in it: items are events of the service then, the same as "
     "its webhooks bring, each filed once under its id"},
    {"poll_cursor_parameter", SB_TEXT, NULL, false,
     "the query parameter that takes the cursor (after); left out: items up to the "
     "cursor's are passed over"},
    {"poll_next", SB_TEXT, NULL, false,
     "where the answer has the next cursor (meta.next); left out: the last item's id"},
    {"poll_more", SB_TEXT, NULL, false,
     "where the answer says that there are more (has_more)"},
    {"poll_order", SB_TEXT, "oldest_first", false, "oldest_first or newest_first"},
    {.name = NULL},
};

static const struct sb_secret secrets[] = {
    {"token", "with auth: bearer or header, the token",
     "make a second one, `signalbox secret rotate`, take the first one away", true},
    {"password", "with auth: basic, the password", "as the service says", true},
    {"client_id", "with auth: oauth2, the client's id", "with its secret", true},
    {"client_secret", "with auth: oauth2, the client's secret",
     "add a second one, `signalbox secret rotate`, take the first one away", true},
    {.name = NULL},
};

/* --- call, keyed, read: {method, path, query, headers, body, content_type} --- */

static bool members_ok(const struct sb_json *data, struct sb_outcome *outcome)
{
    static const char *const known[] = {"method", "path",         "query", "headers",
                                        "body",   "content_type", NULL};
    const char *stranger = sb_stranger(data, known);

    if (!sb_is_object(data, ""))
        sb_fail(outcome, "the data must be a JSON object");
    else if (stranger)
        sb_fail(outcome, "\"%s\" is not a member this operation knows", stranger);
    else if (sb_has(data, "query") && !sb_is_object(data, "query"))
        sb_fail(outcome, "query must be an object");
    else if (sb_has(data, "headers") && !sb_is_object(data, "headers"))
        sb_fail(outcome, "headers must be an object of texts");
    else
        return true;
    return false;
}

/* Headers of the event; none that says who we are. */
static bool put_headers(const struct sb_json *headers, struct sb_request *request,
                        struct sb_outcome *outcome)
{
    static const char *const ours[] = {"authorization", "proxy-authorization", "cookie",
                                       "idempotency-key"};
    const struct sb_json *value;
    const char *name;

    for (size_t i = 0; (value = sb_member(headers, i, &name)); i++) {
        if (!sb_text(value, "")) {
            sb_fail(outcome, "headers.%.60s must be a text", name);
            return false;
        }
        for (size_t j = 0; j < sizeof(ours) / sizeof(ours[0]); j++)
            if (strcasecmp(ours[j], name) == 0) {
                sb_fail(
                    outcome,
                    "the header %s is not the event's to set: credentials and keys are "
                    "the integration's",
                    ours[j]);
                return false;
            }
        sb_header(request, name, sb_text(value, ""));
    }
    return true;
}

/* JSON as JSON; a text with content_type as it is. */
static bool put_body(const struct sb_json *data, struct sb_request *request,
                     struct sb_outcome *outcome)
{
    const char *type = sb_text(data, "content_type"), *text = sb_text(data, "body");

    if (type && !text) {
        sb_fail(outcome,
                "content_type goes with a body that is a text; JSON has its own");
        return false;
    }
    if (type)
        sb_body(request, type, text, strlen(text));
    else if (sb_has(data, "body"))
        sb_json(request, sb_at(data, "body"));
    return true;
}

static enum sb_verdict make(const struct sb_event *event, const char *method,
                            struct sb_request *request, struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);

    if (!http_begin(request, method, sb_text(data, "path"), outcome) ||
        !http_credential(event, request, outcome) ||
        !http_query(sb_at(data, "query"), request, outcome) ||
        !put_headers(sb_at(data, "headers"), request, outcome) ||
        !put_body(data, request, outcome))
        return SB_FAILED;
    return SB_DONE;
}

static bool is_one_of(const char *method, const char *const *methods)
{
    while (method && *methods && strcmp(method, *methods) != 0)
        methods++;
    return method && *methods;
}

static enum sb_verdict call_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE", "GET", NULL};
    const char *method = sb_text(sb_data(event), "method");

    if (!members_ok(sb_data(event), outcome))
        return SB_FAILED;
    if (!is_one_of(method, methods))
        return sb_fail(outcome, "method must be POST, PUT, PATCH, DELETE or GET");
    return make(event, method, request, outcome);
}

static enum sb_verdict read_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    static const char *const methods[] = {"GET", "HEAD", NULL};
    const char *method = sb_text(sb_data(event), "method");

    if (!members_ok(sb_data(event), outcome))
        return SB_FAILED;
    if (method && !is_one_of(method, methods))
        return sb_fail(outcome, "method must be GET or HEAD; `call` and `keyed` take the "
                                "others");
    if (sb_has(sb_data(event), "body"))
        return sb_fail(outcome, "a read has no body");
    return make(event, method ? method : "GET", request, outcome);
}

static enum sb_verdict succeeded(const struct sb_event *event,
                                 const struct sb_answer *answer,
                                 struct sb_outcome *outcome)
{
    (void)event;
    http_result(answer, outcome);
    return SB_DONE;
}

/* --- the tables --- */

static const struct sb_operation operations[] = {
    {.name = "call",
     .summary = "Make a request that must not be made twice",
     SB_BRANCHES(call_request, succeeded, http_failed),
     .repeat = SB_REPEAT_NEVER,
     .price_text =
         "by the service's contract; `prices` of the integration gives it an amount",
     .degrade = "take the order for later and say so; one that ended unknown is looked "
                "up at the service before it is made again",
     .test = "against a test address of the service (base_url), or `signalbox connector "
             "run signalbox-http --once`",
     .example = "{\"method\":\"POST\",\"path\":\"/orders\",\"body\":{\"sku\":\"tea\"}}",
     .example_answer = "{\"id\":\"o_1\"}"},
    {.name = "keyed",
     .summary = "Make a request under an Idempotency-Key",
     SB_BRANCHES(call_request, succeeded, http_failed),
     .repeat = SB_REPEAT_KEYED,
     .key_lifetime_s = KEY_LIFETIME_S,
     .price_text =
         "by the service's contract; `prices` of the integration gives it an amount",
     .degrade = "take the order for later and say so; the same key keeps it from being "
                "done twice",
     .test = "against a test address of the service (base_url), or `signalbox connector "
             "run signalbox-http --once`",
     .example = "{\"method\":\"POST\",\"path\":\"/orders\",\"body\":{\"sku\":\"tea\"}}",
     .example_answer = "{\"id\":\"o_1\"}"},
    {.name = "read",
     .summary = "Ask for something, which changes nothing",
     SB_BRANCHES(read_request, succeeded, http_failed),
     .repeat = SB_REPEAT_SAFE,
     .price_text =
         "by the service's contract; `prices` of the integration gives it an amount",
     .degrade = "show what was known before, with its age",
     .test = "changes nothing, so against the service itself",
     .example = "{\"path\":\"/orders/o_1\"}",
     .example_answer = "{\"id\":\"o_1\"}"},
    {.name = "poll",
     .summary = "Ask a list for what is new: a fact http.item.found for each item, or "
                "with poll_type the service's event",
     SB_BRANCHES(poll_request, poll_succeeded, http_failed),
     .repeat = SB_REPEAT_SAFE,
     .is_poll = true,
     .finds = "poll_type",
     .price_text =
         "by the service's contract; `prices` of the integration gives it an amount",
     .degrade = "the next run takes up where the last successful one ended",
     .test = "changes nothing, so against the service itself",
     .example = "{\"path\":\"/orders\"}",
     .example_answer = "[{\"id\":\"o_1\"}]"},
    {.name = NULL},
};

static const struct sb_failure_mode failures[] = {
    {"refused", "permanent: the service answered 4xx",
     "never tried again; data.body has what it said"},
    {"effect not known", "unknown: sent, and no answer could be used (call)",
     "a person looks, and resolves it; use keyed where the service takes a key"},
    {"busy or down", "exhausted, with the last answer",
     "tried again until attempts or deadline end"},
    {"no access token", "permanent: no access token: ... invalid_client",
     "set client_id and client_secret, then redrive what failed"},
    {"another list", "permanent: the answer has no list at ...",
     "the options poll_items and poll_id do not fit what the service sends"},
    {.name = NULL},
};

static const char *const publishes[] = {HTTP_FACT, NULL};

static const struct sb_connector connector = {
    .name = "http",
    .version = "1",
    .summary = "signalbox connector: any HTTP API",
    .options = options,
    .secrets = secrets,
    .operations = operations,
    .failures = failures,
    .publishes = publishes,
    .tests = "signalbox connector check; unit tests of requests, answers and cursors; a "
             "system test with a service and an authorization server of its own",
};

int main(int argc, char **argv)
{
    return sb_connector_main(&connector, argc, argv);
}
