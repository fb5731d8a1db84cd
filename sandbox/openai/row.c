/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - an OpenAI to practise on: chat completions, streamed or not, and embeddings
 *
 * A call's effect is counted under its model and the beginning of the last message, or of
 * an embedding's input.  The model decides what happens: see sandbox/model.h. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "sandbox/account.h"
#include "sandbox/model.h"
#include "sandbox/rows.h"
#include "sandbox/standard.h"

enum {
    VECTOR_DIMENSIONS = 8, /* of an embedding here; the provider's has 1,536 */
    OUTPUT_MAX = 4096,     /* tokens, where the request has no bound */
    BUSY_MS = 20,          /* what a model that is rate-limited asks to wait */
};

/* --- errors: {"error":{message,type,param,code}} --- */

static bool no(struct provider_answer *answer, unsigned status, const char *type,
               const char *param, const char *code, const char *message)
{
    struct json *error = js_set_text(js_object(), "message", message);

    js_set_text(error, "type", type);
    js_set(error, "param", param ? js_from_text(param, strlen(param)) : js_null());
    js_set(error, "code", code ? js_from_text(code, strlen(code)) : js_null());
    provider_answer(answer, status, js_set(js_object(), "error", error));
    return false;
}

static bool bad(struct provider_answer *answer, const char *param, const char *message)
{
    return no(answer, 400, "invalid_request_error", param, NULL, message);
}

static void refuse(unsigned status, struct provider_answer *answer)
{
    if (status == 429)
        no(answer, status, "requests", NULL, "rate_limit_exceeded",
           "Rate limit reached for requests per min (RPM): Limit 3, Used 3, Requested "
           "1.");
    else
        no(answer, status, "server_error", NULL, NULL,
           "The server had an error while processing your request.");
}

/* False when the model's name is one that is answered with an error. */
static bool model_serves(const char *model, struct provider_answer *answer)
{
    _free_ char *unknown = NULL;

    switch (model_fate(model)) {
    case MODEL_UNKNOWN:
        unknown = mem_format("The model `%s` does not exist or you do not have access to "
                             "it.",
                             model);
        return no(answer, 404, "invalid_request_error", NULL, "model_not_found", unknown);
    case MODEL_SPENT:
        return no(answer, 429, "insufficient_quota", NULL, "insufficient_quota",
                  "You exceeded your current quota, please check your plan and billing "
                  "details.");
    case MODEL_BUSY:
        provider_header(&answer->headers, "retry-after-ms", "%d", BUSY_MS);
        refuse(429, answer);
        return false;
    case MODEL_OVERLOADED:
        return no(answer, 503, "server_error", NULL, NULL,
                  "The model is currently overloaded. Please try again later.");
    case MODEL_ANSWERS:
    case MODEL_REFUSES:
    case MODEL_BREAKS_OFF:
        break;
    }
    return true;
}

static bool count_effect(struct account *openai, const char *name,
                         struct provider_answer *answer)
{
    return effects_add(&openai->effects, name) ||
           no(answer, 503, "server_error", NULL, NULL,
              "The sandbox is full; start it again.");
}

/* --- chat --- */

/* What one chat is answered with. */
struct chat {
    const char *model;
    char id[PROVIDER_ID_SIZE];
    uint64_t now_us;
    struct buf text;
    bool is_refused;
    const char *finish_reason;
    int64_t input, output; /* tokens */
};

static bool chat_ok(const struct json *body, struct provider_answer *answer)
{
    const struct json *messages = js_get(body, "messages");

    if (!js_text(body, "model", NULL))
        return bad(answer, NULL, "you must provide a model parameter");
    if (!js_is_array(messages))
        return no(answer, 400, "invalid_request_error", "messages",
                  "missing_required_parameter",
                  "Missing required parameter: 'messages'.");
    if (js_count(messages) == 0)
        return bad(answer, "messages",
                   "Invalid 'messages': empty array. Expected an array with minimum "
                   "length 1, but got an empty array instead.");
    for (size_t i = 0; i < js_count(messages); i++)
        if (!js_text(js_at(messages, i), "role", NULL) ||
            !js_get(js_at(messages, i), "content"))
            return bad(answer, "messages",
                       "Invalid 'messages': role and content are "
                       "required.");
    return true;
}

static struct json *usage_json(const struct chat *chat)
{
    struct json *usage = js_set_int(js_object(), "prompt_tokens", chat->input);

    js_set_int(usage, "completion_tokens", chat->output);
    js_set_int(usage, "total_tokens", chat->input + chat->output);
    return js_set(usage, "prompt_tokens_details",
                  js_set_int(js_object(), "cached_tokens", 0));
}

static struct json *head_json(const struct chat *chat, const char *object)
{
    struct json *head = js_set_text(js_object(), "id", chat->id);

    js_set_text(head, "object", object);
    js_set_int(head, "created", (int64_t)(chat->now_us / 1000000));
    return js_set_text(head, "model", chat->model);
}

static void answer_whole(struct chat *chat, struct provider_answer *answer)
{
    static const char sorry[] = "I cannot help with that.";
    struct json *message = js_set_text(js_object(), "role", "assistant");
    struct json *choice = js_set_int(js_object(), "index", 0);
    const char *text = buf_str(&chat->text);

    js_set(message, "content",
           chat->is_refused ? js_null() : js_from_text(text, strlen(text)));
    js_set(message, "refusal",
           chat->is_refused ? js_from_text(sorry, strlen(sorry)) : js_null());
    js_set(choice, "message", message);
    js_set(choice, "logprobs", js_null());
    js_set_text(choice, "finish_reason", chat->finish_reason);
    struct json *body = head_json(chat, "chat.completion");
    js_set(body, "choices", js_push(js_array(), choice));
    provider_answer(answer, 200, js_set(body, "usage", usage_json(chat)));
}

/* --- the same as server-sent events --- */

/* `data: ` and the chunk (taken over). */
static void add_chunk(struct buf *out, struct json *chunk)
{
    buf_text(out, "data: ");
    js_write(chunk, 0, out);
    buf_text(out, "\n\n");
    js_free(chunk);
}

/* One with what is new (taken over), or with why it ends. */
static void add_delta(struct buf *out, const struct chat *chat, struct json *delta,
                      const char *finish_reason)
{
    struct json *choice = js_set_int(js_object(), "index", 0);

    js_set(choice, "delta", delta);
    js_set(choice, "finish_reason",
           finish_reason ? js_from_text(finish_reason, strlen(finish_reason))
                         : js_null());
    add_chunk(out, js_set(head_json(chat, "chat.completion.chunk"), "choices",
                          js_push(js_array(), choice)));
}

static struct json *piece_json(const char *text, size_t n)
{
    return js_set(js_object(), "content", js_from_text(text, n));
}

static void answer_stream(struct chat *chat, bool with_usage,
                          struct provider_answer *answer)
{
    struct buf *out = &answer->body;
    const char *text = chat->is_refused ? "" : buf_str(&chat->text);

    answer->content_type = "text/event-stream; charset=utf-8";
    answer->piece_ms = MODEL_PIECE_MS;
    answer->breaks_off = model_fate(chat->model) == MODEL_BREAKS_OFF;
    add_delta(out, chat, js_set_text(piece_json("", 0), "role", "assistant"), NULL);
    for (size_t n; (n = model_token(text)) > 0; text += n)
        add_delta(out, chat, piece_json(text, n), NULL);
    if (chat->is_refused)
        add_delta(out, chat,
                  js_set_text(js_object(), "refusal", "I cannot help with that."), NULL);
    add_delta(out, chat, js_object(), chat->finish_reason);
    if (with_usage)
        add_chunk(out, js_set(js_set(head_json(chat, "chat.completion.chunk"), "choices",
                                     js_array()),
                              "usage", usage_json(chat)));
    buf_text(out, "data: [DONE]\n\n");
}

static void post_chat(struct account *openai, const struct provider_call *call,
                      const struct json *body, struct provider_answer *answer)
{
    if (!chat_ok(body, answer) || !model_serves(js_text(body, "model", ""), answer))
        return;
    const struct json *messages = js_get(body, "messages");
    struct chat chat = {.model = js_text(body, "model", ""), .now_us = call->now_us};
    int64_t most =
        js_int(body, "max_completion_tokens", js_int(body, "max_tokens", OUTPUT_MAX));
    _free_ char *effect = model_effect(chat.model, model_asked(messages));
    bool is_cut = model_say(messages, most, &chat.text);

    provider_id("chatcmpl-", 29, chat.id);
    chat.is_refused = model_fate(chat.model) == MODEL_REFUSES;
    chat.finish_reason = is_cut ? "length" : "stop";
    chat.input = model_count_all(messages);
    chat.output = model_count(buf_str(&chat.text));
    bool is_counted = count_effect(openai, effect, answer);
    if (is_counted && js_bool(body, "stream", false))
        answer_stream(&chat, js_bool(body, "stream_options.include_usage", false),
                      answer);
    else if (is_counted)
        answer_whole(&chat, answer);
    buf_fini(&chat.text);
}

/* --- embeddings --- */

/* Numbers between -1 and 1 that the text decides, as eighths so that any notation is
 * exact. */
static void vector_of(const char *text, float ret[VECTOR_DIMENSIONS])
{
    uint64_t hash = hash_text(text);

    for (int i = 0; i < VECTOR_DIMENSIONS; i++)
        ret[i] = (float)((int)(hash >> (8 * i) & 15) - 8) / 8;
}

/* Base64 is of 32-bit floats, the low byte first. */
static struct json *vector_json(const char *text, bool as_base64)
{
    float vector[VECTOR_DIMENSIONS];
    struct buf bytes = BUF_NULL;
    struct json *json;

    vector_of(text, vector);
    if (as_base64) {
        text_base64((const uint8_t *)vector, sizeof(vector), &bytes);
        json = js_from_text(buf_str(&bytes), bytes.len);
        buf_fini(&bytes);
        return json;
    }
    json = js_array();
    for (int i = 0; i < VECTOR_DIMENSIONS; i++) {
        _free_ char *number = mem_format("%.3f", (double)vector[i]);
        js_push(json, js_from_number(number));
    }
    return json;
}

/* `input` may be a text or a list of texts. NULL at the end. */
static const char *input_at(const struct json *input, size_t i)
{
    return js_is_array(input) ? js_text(js_at(input, i), NULL, NULL)
           : i == 0           ? js_text(input, NULL, NULL)
                              : NULL;
}

/* All vectors; *ret_tokens is how much text they were made from. */
static struct json *vectors_json(const struct json *input, bool as_base64,
                                 int64_t *ret_tokens)
{
    struct json *data = js_array();
    const char *text;

    for (size_t i = 0; (text = input_at(input, i)); i++) {
        struct json *one = js_set_text(js_object(), "object", "embedding");
        js_set_int(one, "index", (int64_t)i);
        js_push(data, js_set(one, "embedding", vector_json(text, as_base64)));
        *ret_tokens += model_count(text);
    }
    return data;
}

static void post_embeddings(struct account *openai, const struct json *body,
                            struct provider_answer *answer)
{
    const struct json *input = js_get(body, "input");
    const char *model = js_text(body, "model", NULL), *text = input_at(input, 0);
    const char *encoding = js_text(body, "encoding_format", "float");
    int64_t tokens = 0;

    if (!model || !text) {
        bad(answer, model ? "input" : NULL,
            model ? "'$.input' is invalid." : "you must provide a model parameter");
        return;
    }
    _free_ char *effect = model_effect(model, text);
    if (!model_serves(model, answer) || !count_effect(openai, effect, answer))
        return;
    struct json *result = js_set_text(js_object(), "object", "list");
    js_set(result, "data", vectors_json(input, strcmp(encoding, "base64") == 0, &tokens));
    js_set_text(result, "model", model);
    struct json *usage = js_set_int(js_object(), "prompt_tokens", tokens);
    provider_answer(answer, 200,
                    js_set(result, "usage", js_set_int(usage, "total_tokens", tokens)));
}

/* --- calls --- */

static void get_models(struct provider_answer *answer)
{
    struct json *model = js_set_text(js_object(), "id", "gpt-4o-mini");

    js_set_text(model, "object", "model");
    js_set_int(model, "created", 1721172741);
    js_set_text(model, "owned_by", "sandbox");
    struct json *list = js_set_text(js_object(), "object", "list");
    provider_answer(answer, 200, js_set(list, "data", js_push(js_array(), model)));
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    struct account *openai = state;
    const char *token = provider_bearer(call);
    struct json *body = provider_json(call);
    char id[PROVIDER_ID_SIZE];

    provider_id("req_", 32, id);
    provider_header(&answer->headers, "x-request-id", "%s", id);
    if (!token)
        no(answer, 401, "invalid_request_error", NULL, NULL,
           "You didn't provide an API key.");
    else if (!provider_key_fits(token, openai->api_key, openai_row.test_key))
        no(answer, 401, "invalid_request_error", NULL, "invalid_api_key",
           "Incorrect API key provided.");
    else if (provider_is(call, "GET", "/v1/models"))
        get_models(answer);
    else if (!provider_is(call, "POST", "/v1/chat/completions") &&
             !provider_is(call, "POST", "/v1/embeddings"))
        no(answer, 404, "invalid_request_error", NULL, NULL, "Invalid URL");
    else if (!body)
        bad(answer, NULL, "We could not parse the JSON body of your request.");
    else if (provider_is(call, "POST", "/v1/embeddings"))
        post_embeddings(openai, body, answer);
    else
        post_chat(openai, call, body, answer);
    js_free(body);
}

/* --- webhooks --- */

static bool make_event(void *state, const char *type, const struct json *data,
                       uint64_t now_us, struct provider_event *ret)
{
    char id[PROVIDER_ID_SIZE];
    struct json *event = js_object(), *about = js_object();

    (void)state;
    if (!strchr(type, '.')) { /* response.completed, batch.failed, ... */
        js_free(event);
        js_free(about);
        return false;
    }
    provider_id("evt_", 32, id);
    provider_id("wh_", 32, ret->id);
    js_set_text(event, "id", id);
    js_set_text(event, "object", "event");
    js_set_int(event, "created_at", (int64_t)(now_us / 1000000));
    js_set_text(event, "type", type);
    provider_id("resp_", 32, id);
    js_set_text(about, "id", id);
    provider_override(about, data);
    provider_event_body(ret, js_set(event, "data", about));
    return true;
}

static void sign(const struct provider_signing *signing, struct provider_headers *ret)
{
    standard_sign(signing, &standard_names, ret);
}

const struct provider openai_row = {
    .name = "openai",
    .test_key = "sk-",
    .webhook_type = "application/json",
    .agent = "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)",
    .signs_time = true,
    .open = account_open,
    .close = account_close,
    .call = call_row,
    .effects = account_effects,
    .refuse = refuse,
    .make_event = make_event,
    .sign = sign,
};
