/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* anthropic - messages of Anthropic's API
 *
 * The same data as for OpenAI: messages of the role "system" become the member `system`.
 * A call changes nothing at the service, so it may be repeated. */
#include <string.h>

#include "ai.h"

const struct sb_option anthropic_options[] = {
    ASK_OPTIONS,
    {"max_tokens", SB_INT, "1024", false,
     "the bound on an answer where a request has none; the service wants one"},
    {"version", SB_TEXT, "2023-06-01", false, "the header anthropic-version"},
    {"auth", SB_TEXT, "x-api-key", false,
     "how the key is sent: x-api-key, or bearer (Authorization)"},
    {.name = NULL},
};

const struct sb_secret anthropic_secrets[] = {
    {"api_key", "an API key (sk-ant-...), from the console's page API keys",
     "make a second key, `signalbox secret rotate`, then delete the first", false},
    {.name = NULL},
};

/* The texts of role "system" as one, the others as they are. */
static void put_messages(struct sb_json *body, const struct sb_json *messages)
{
    for (size_t i = 0; i < sb_count(messages, ""); i++) {
        const struct sb_json *message = sb_element(messages, i);
        bool is_system = strcmp(sb_text(message, "role"), "system") == 0;
        const char *text = sb_text(message, "content");
        struct sb_json *one = sb_append(body, is_system ? "system" : "messages");
        if (is_system) {
            sb_put_text(one, "type", "text");
            sb_put_text(one, "text", text);
        } else {
            sb_put_text(one, "role", sb_text(message, "role"));
            sb_put(one, "content", sb_at(message, "content"));
        }
    }
}

static enum sb_verdict check_messages(const struct sb_json *messages,
                                      struct sb_outcome *outcome)
{
    size_t spoken = 0;

    for (size_t i = 0; i < sb_count(messages, ""); i++) {
        const struct sb_json *message = sb_element(messages, i);
        const char *role = sb_text(message, "role");
        bool is_system = strcmp(role, "system") == 0;
        if (!is_system && strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)
            return sb_fail(outcome, "messages.%zu.role must be system, user or assistant",
                           i);
        if (is_system && !sb_text(message, "content"))
            return sb_fail(outcome,
                           "messages.%zu.content must be a text: its role is "
                           "system",
                           i);
        spoken += !is_system;
    }
    return spoken ? SB_DONE
                  : sb_fail(outcome, "messages must hold one whose role is user");
}

/* The key and the version, as the options say. */
static enum sb_verdict begin(const struct sb_event *event, struct sb_request *request,
                             const char *method, const char *path,
                             struct sb_outcome *outcome)
{
    const char *auth = sb_option(event, "auth");

    sb_call(request, method, path);
    if (strcmp(auth, "bearer") == 0)
        sb_bearer(request, "api_key");
    else if (strcmp(auth, "x-api-key") == 0)
        sb_secret_header(request, "x-api-key", "api_key");
    else
        return sb_fail(outcome,
                       "options.auth of the integration %s must be x-api-key or bearer",
                       sb_integration(event));
    sb_header(request, "anthropic-version", sb_option(event, "version"));
    return SB_DONE;
}

static enum sb_verdict models_request(const struct sb_event *event,
                                      struct sb_request *request,
                                      struct sb_outcome *outcome)
{
    sb_query(request, "limit", "1000");
    return ask_check_models(event, outcome) == SB_DONE
               ? begin(event, request, "GET", "/v1/models", outcome)
               : SB_FAILED;
}

/* The API's versions are days; from this one on it has no temperature. */
#define WITHOUT_TEMPERATURE "2026-10-21"

/* Of the others' 0 to 2 half, or none at all. */
static enum sb_verdict check_temperature(const struct sb_event *event,
                                         struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);
    const char *version = sb_option(event, "version");
    double temperature;

    if (sb_has(data, "temperature") && strcmp(version, WITHOUT_TEMPERATURE) >= 0)
        return sb_fail(outcome,
                       "Anthropic's API has no temperature from version "
                       "" WITHOUT_TEMPERATURE " on (options.version of the integration "
                       "%s is %s): leave it out",
                       sb_integration(event), version);
    return sb_number(data, "temperature", &temperature) && temperature > 1
               ? sb_fail(outcome, "temperature must be a number from 0 to 1 (Anthropic)")
               : SB_DONE;
}

static enum sb_verdict chat_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event), *messages = sb_at(data, "messages");

    if (ask_check_chat(event, outcome) != SB_DONE ||
        check_temperature(event, outcome) != SB_DONE ||
        check_messages(messages, outcome) != SB_DONE ||
        begin(event, request, "POST", "/v1/messages", outcome) != SB_DONE)
        return SB_FAILED;
    struct sb_json *body = sb_json_body(request);
    sb_put_text(body, "model", ask_model(event));
    sb_put_int(body, "max_tokens", sb_option_int(event, "max_tokens"));
    ask_put(body, "max_tokens", data, "max_tokens");
    put_messages(body, messages);
    ask_put(body, "temperature", data, "temperature");
    return SB_DONE;
}

/* input_tokens leaves out what the cache was read for and written with. */
static void used(const struct sb_event *event, const struct sb_json *body,
                 struct sb_outcome *outcome)
{
    struct sb_tokens usage = {0};
    int64_t written = 0;

    if (!sb_int(body, "usage.input_tokens", &usage.input))
        return;
    sb_int(body, "usage.output_tokens", &usage.output);
    sb_int(body, "usage.cache_read_input_tokens", &usage.cached);
    sb_int(body, "usage.cache_creation_input_tokens", &written);
    usage.input += usage.cached + written;
    ask_used(event, &usage, outcome);
}

/* The first part of the content that is a text. */
static const char *text_of(const struct sb_json *content)
{
    for (size_t i = 0; i < sb_count(content, ""); i++) {
        const struct sb_json *part = sb_element(content, i);
        const char *type = sb_text(part, "type");
        if (type && strcmp(type, "text") == 0)
            return sb_text(part, "text");
    }
    return NULL;
}

static enum sb_verdict chat_succeeded(const struct sb_event *event,
                                      const struct sb_answer *answer,
                                      struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    const char *text = text_of(sb_at(body, "content"));

    if (!sb_has(body, "content") || !sb_has(body, "usage"))
        return sb_unclear(outcome, "not what Anthropic answers to messages");
    struct sb_json *result = sb_result(outcome);
    sb_put_text(result, "provider", "anthropic");
    sb_put_text(result, "model", sb_text(body, "model"));
    sb_put_text(result, "id", sb_text(body, "id"));
    sb_put_text(result, "finish_reason", sb_text(body, "stop_reason"));
    sb_put_text(result, "text", text);
    used(event, body, outcome);
    return text ? SB_DONE : sb_fail(outcome, "the model gave no text: see finish_reason");
}

/* {"type":"error","error":{type,message}} */
static enum sb_verdict chat_failed(const struct sb_event *event,
                                   const struct sb_answer *answer,
                                   struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    const char *said = sb_text(body, "error.message");
    unsigned status = sb_status(answer);

    said = said ? said : "no reason was given";
    sb_put_text(sb_result(outcome), "code", sb_text(body, "error.type"));
    if (status == 401 || status == 403)
        return sb_fail(
            outcome,
            "Anthropic does not accept the key for this (%u): check the secret "
            "\"api_key\" of the integration %s: %s",
            status, sb_integration(event), said);
    if (status == 400 || status == 404 || status == 413)
        return sb_fail(outcome, "Anthropic refused the request (%u): %s", status, said);
    if (status == 409)
        return sb_retry(outcome, 0, "Anthropic cannot take it now (409): %s", said);
    return sb_default(outcome, "Anthropic answered %u: %s", status, said);
}

const struct sb_operation anthropic_operations[] = {
    {.name = "chat",
     .summary = "Have a model answer a conversation",
     .transition = "answer: wanted -> there",
     .transition_failed = "answer: wanted -> not to be had",
     SB_BRANCHES(chat_request, chat_succeeded, chat_failed),
     .repeat = SB_REPEAT_SAFE,
     .price = ask_price,
     .price_most = ask_price_most,
     .price_text = "by the tokens used and the model, from options.prices; longer texts "
                   "cost more, so it grows with the text and not with the calls alone",
     .example = "{\"model\":\"claude-3-5-haiku-latest\",\"messages\":[{\"role\":\"user\","
                "\"content\":\"Say hello\"}],\"max_tokens\":50}",
     .example_answer =
         "{\"id\":\"msg_1\",\"type\":\"message\",\"model\":\"claude-3-5-haiku-latest\","
         "\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}],\"stop_reason\":\"end_"
         "turn\",\"usage\":{\"input_tokens\":9,\"output_tokens\":1}}",
     .degrade = "go on without the text, or show one prepared beforehand",
     .test = "with few max_tokens; in signalbox's sandbox the model's name decides, see "
             "docs/guide/ai.md"},
    {.name = "models",
     .summary = "List the models that the key may ask",
     SB_BRANCHES(models_request, ask_models, chat_failed),
     .repeat = SB_REPEAT_SAFE,
     .is_harmless = true,
     .price_max = {"USD", 0},
     .price_text = "none",
     .example = "{}",
     .example_answer = "{\"data\":[{\"id\":\"claude-3-5-haiku-latest\"}]}",
     .degrade = "go by the models that are known",
     .test = "changes nothing"},
    {.name = NULL},
};

const struct sb_failure_mode anthropic_failures[] = {
    {"request refused", "permanent: Anthropic refused the request",
     "the input or the model's name is wrong: the message says which"},
    {"key refused", "permanent: Anthropic does not accept the key",
     "set the secret api_key, then redrive what failed"},
    {"rate limit", "a retry: Anthropic answered 429",
     "tried again after what the answer asks for; lower limits.rate if it is frequent"},
    {"overloaded", "a retry: Anthropic answered 529",
     "tried again until the deadline; status.anthropic.com tells more"},
    {"broken", "a retry: Anthropic answered 5xx", "tried again until the deadline"},
    {"answer lost", "a retry: no answer came",
     "asked again: at worst it is paid for twice"},
    {"no text", "permanent: the model gave no text",
     "the model refused or used a tool: see finish_reason"},
    {"Anthropic down", "exhausted, with the last answer",
     "tried again until attempts or deadline ended; nothing was changed by it, so "
     "redrive it when the service is back, or let it be"},
    {.name = NULL},
};
