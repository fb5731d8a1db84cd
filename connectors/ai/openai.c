/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* openai - chat completions and embeddings of OpenAI's API, and of what is compatible
 *
 * A call changes nothing at the service, so it may be repeated; at worst it is paid for
 * twice. */
#include <string.h>

#include "ai.h"

const struct sb_option openai_options[] = {
    ASK_OPTIONS,
    {"organization", SB_TEXT, NULL, false, "the header OpenAI-Organization"},
    {"project", SB_TEXT, NULL, false, "the header OpenAI-Project"},
    {"max_tokens_member", SB_TEXT, "max_completion_tokens", false,
     "what the service calls the bound on its answer; compatible services that are older "
     "know max_tokens only"},
    {.name = NULL},
};

const struct sb_secret openai_secrets[] = {
    {"api_key", "an API key (sk-...), from the project's page API keys",
     "make a second key, `signalbox secret rotate`, then revoke the first", false},
    {.name = NULL},
};

static void begin(const struct sb_event *event, struct sb_request *request,
                  const char *method, const char *path)
{
    sb_call(request, method, path);
    sb_bearer(request, "api_key");
    if (sb_option(event, "organization"))
        sb_header(request, "OpenAI-Organization", sb_option(event, "organization"));
    if (sb_option(event, "project"))
        sb_header(request, "OpenAI-Project", sb_option(event, "project"));
}

/* --- chat --- */

static enum sb_verdict chat_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);

    if (ask_check_chat(event, outcome) != SB_DONE)
        return SB_FAILED;
    begin(event, request, "POST", "/chat/completions");
    struct sb_json *body = sb_json_body(request);
    sb_put_text(body, "model", ask_model(event));
    sb_put(body, "messages", sb_at(data, "messages"));
    ask_put(body, sb_option(event, "max_tokens_member"), data, "max_tokens");
    ask_put(body, "temperature", data, "temperature");
    return SB_DONE;
}

static void used(const struct sb_event *event, const struct sb_json *body,
                 struct sb_outcome *outcome)
{
    struct sb_tokens usage = {0};

    if (!sb_int(body, "usage.prompt_tokens", &usage.input))
        return; /* some compatible services do not count */
    sb_int(body, "usage.completion_tokens", &usage.output);
    sb_int(body, "usage.prompt_tokens_details.cached_tokens", &usage.cached);
    ask_used(event, &usage, outcome);
}

static enum sb_verdict chat_succeeded(const struct sb_event *event,
                                      const struct sb_answer *answer,
                                      struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    const char *text = sb_text(body, "choices.0.message.content");
    const char *refusal = sb_text(body, "choices.0.message.refusal");

    if (sb_count(body, "choices") == 0)
        return sb_unclear(outcome, "not what OpenAI answers to a chat");
    struct sb_json *result = sb_result(outcome);
    sb_put_text(result, "provider", "openai");
    sb_put_text(result, "model", sb_text(body, "model"));
    sb_put_text(result, "id", sb_text(body, "id"));
    sb_put_text(result, "finish_reason", sb_text(body, "choices.0.finish_reason"));
    sb_put_text(result, "text", text);
    used(event, body, outcome);
    if (!text)
        return sb_fail(outcome, "the model gave no text: %s",
                       refusal ? refusal : "see finish_reason");
    return SB_DONE;
}

/* --- embed --- */

static enum sb_verdict embed_request(const struct sb_event *event,
                                     struct sb_request *request,
                                     struct sb_outcome *outcome)
{
    if (ask_check_embed(event, outcome) != SB_DONE)
        return SB_FAILED;
    begin(event, request, "POST", "/embeddings");
    struct sb_json *body = sb_json_body(request);
    sb_put_text(body, "model", ask_model(event));
    sb_put(body, "input", sb_at(sb_data(event), "input"));
    sb_put_text(body, "encoding_format", "float");
    return SB_DONE;
}

static enum sb_verdict embed_succeeded(const struct sb_event *event,
                                       const struct sb_answer *answer,
                                       struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    size_t n = sb_count(body, "data");

    if (n == 0)
        return sb_unclear(outcome, "not what OpenAI answers to an embedding");
    struct sb_json *result = sb_result(outcome);
    sb_put_text(result, "provider", "openai");
    sb_put_text(result, "model", sb_text(body, "model"));
    for (size_t i = 0; i < n; i++) {
        struct sb_json *one = sb_append(result, "embeddings");
        sb_put(one, "embedding", sb_at(sb_element(sb_at(body, "data"), i), "embedding"));
    }
    used(event, body, outcome);
    return SB_DONE;
}

/* --- models --- */

static enum sb_verdict models_request(const struct sb_event *event,
                                      struct sb_request *request,
                                      struct sb_outcome *outcome)
{
    begin(event, request, "GET", "/models");
    return ask_check_models(event, outcome);
}

/* --- errors: {"error":{message,type,param,code}} --- */

static enum sb_verdict failed(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome)
{
    const struct sb_json *body = sb_answer_json(answer);
    const char *said = sb_text(body, "error.message"),
               *code = sb_text(body, "error.code");
    unsigned status = sb_status(answer);

    said = said ? said : "no reason was given";
    sb_put_text(sb_result(outcome), "code", code ? code : sb_text(body, "error.type"));
    if (status == 401 || status == 403)
        return sb_fail(outcome,
                       "OpenAI does not accept the key for this (%u): check the secret "
                       "\"api_key\" of the integration %s: %s",
                       status, sb_integration(event), said);
    if (code && strcmp(code, "insufficient_quota") == 0)
        return sb_fail(outcome, "the account has no credit left: %s", said);
    if (status == 409)
        return sb_retry(outcome, 0, "OpenAI cannot take it now (409): %s", said);
    if (status == 400 || status == 404 || status == 413 || status == 422)
        return sb_fail(outcome, "OpenAI refused the request (%u): %s", status, said);
    return sb_default(outcome, "OpenAI answered %u: %s", status, said);
}

const struct sb_operation openai_operations[] = {
    {.name = "chat",
     .summary = "Have a model answer a conversation",
     .transition = "answer: wanted -> there",
     .transition_failed = "answer: wanted -> not to be had",
     SB_BRANCHES(chat_request, chat_succeeded, failed),
     .repeat = SB_REPEAT_SAFE,
     .price = ask_price,
     .price_most = ask_price_most,
     .price_text = "by the tokens used and the model, from options.prices; longer texts "
                   "cost more, so it grows with the text and not with the calls alone",
     .example = "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"user\",\"content\":"
                "\"Say hello\"}],\"max_tokens\":50}",
     .example_answer =
         "{\"id\":\"chatcmpl-1\",\"model\":\"gpt-4o-mini\",\"choices\":[{\"index\":0,"
         "\"message\":{\"role\":\"assistant\",\"content\":\"Hello\"},\"finish_reason\":"
         "\"stop\"}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}",
     .degrade = "go on without the text, or show one prepared beforehand",
     .test = "with few max_tokens; in signalbox's sandbox the model's name decides, see "
             "docs/guide/ai.md"},
    {.name = "embed",
     .summary = "Have texts made into vectors",
     .transition = "vector: wanted -> there",
     .transition_failed = "vector: wanted -> not to be had",
     SB_BRANCHES(embed_request, embed_succeeded, failed),
     .repeat = SB_REPEAT_SAFE,
     .price = ask_price,
     .price_most = ask_price_most,
     .price_text = "by the tokens used and the model, from options.prices; longer texts "
                   "cost more, so it grows with the text and not with the calls alone",
     .example = "{\"model\":\"text-embedding-3-small\",\"input\":\"a text\"}",
     .example_answer = "{\"model\":\"text-embedding-3-small\",\"data\":[{\"index\":0,"
                       "\"embedding\":[0.1,-0.2]}],\"usage\":{\"prompt_tokens\":2}}",
     .degrade = "leave the text out of the index, and embed it later",
     .test = "with a short text; in signalbox's sandbox the model's name decides"},
    {.name = "models",
     .summary = "List the models that the key may ask",
     SB_BRANCHES(models_request, ask_models, failed),
     .repeat = SB_REPEAT_SAFE,
     .is_harmless = true,
     .price_max = {"USD", 0},
     .price_text = "none",
     .example = "{}",
     .example_answer = "{\"data\":[{\"id\":\"gpt-4o-mini\"}]}",
     .degrade = "go by the models that are known",
     .test = "changes nothing"},
    {.name = NULL},
};

const struct sb_failure_mode openai_failures[] = {
    {"request refused", "permanent: OpenAI refused the request",
     "the input or the model's name is wrong: the message says which"},
    {"key refused", "permanent: OpenAI does not accept the key",
     "set the secret api_key, then redrive what failed"},
    {"no credit", "permanent: the account has no credit left",
     "add credit, then redrive what failed"},
    {"rate limit", "a retry: OpenAI answered 429",
     "tried again after what the answer asks for; lower limits.rate if it is frequent"},
    {"overloaded or broken", "a retry: OpenAI answered 5xx",
     "tried again until the deadline; status.openai.com tells more"},
    {"answer lost", "a retry: no answer came",
     "asked again: at worst it is paid for twice"},
    {"no text", "permanent: the model gave no text",
     "the model refused, or max_tokens was too small: see finish_reason"},
    {"OpenAI down", "exhausted, with the last answer",
     "tried again until attempts or deadline ended; nothing was changed by it, so "
     "redrive it when the service is back, or let it be"},
    {.name = NULL},
};
