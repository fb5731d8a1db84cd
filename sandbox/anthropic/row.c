/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - an Anthropic to practise on: messages, streamed or not
 *
 * The key comes as x-api-key or as a bearer.  A call's effect is counted under its model
 * and the beginning of the last message.  The model decides what happens: see
 * sandbox/model.h. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "sandbox/account.h"
#include "sandbox/model.h"
#include "sandbox/rows.h"
#include "sandbox/standard.h"

/* --- errors: {"type":"error","error":{type,message}} --- */

static bool no(struct provider_answer *answer, unsigned status, const char *type,
               const char *message)
{
    struct json *error = js_set_text(js_object(), "type", type);

    js_set_text(error, "message", message);
    provider_answer(answer, status,
                    js_set(js_set_text(js_object(), "type", "error"), "error", error));
    return false;
}

static bool bad(struct provider_answer *answer, const char *message)
{
    return no(answer, 400, "invalid_request_error", message);
}

static void refuse(unsigned status, struct provider_answer *answer)
{
    if (status == 429)
        no(answer, status, "rate_limit_error",
           "This request would exceed your organization's rate limit.");
    else
        no(answer, status, "api_error", "Internal server error");
}

/* False when the model's name is one that is answered with an error. */
static bool model_serves(const char *model, struct provider_answer *answer)
{
    _free_ char *unknown = NULL;

    switch (model_fate(model)) {
    case MODEL_UNKNOWN:
        unknown = mem_format("model: %s", model);
        return no(answer, 404, "not_found_error", unknown);
    case MODEL_SPENT:
        return bad(answer, "Your credit balance is too low to access the Anthropic API.");
    case MODEL_BUSY:
        provider_header(&answer->headers, "retry-after", "1");
        refuse(429, answer);
        return false;
    case MODEL_OVERLOADED:
        return no(answer, 529, "overloaded_error", "Overloaded");
    case MODEL_ANSWERS:
    case MODEL_REFUSES:
    case MODEL_BREAKS_OFF:
        break;
    }
    return true;
}

/* --- messages --- */

/* What one is answered with. */
struct message {
    const char *model;
    char id[PROVIDER_ID_SIZE];
    struct buf text; /* empty: the model refuses */
    const char *stop_reason;
    int64_t input, output; /* tokens */
};

static bool request_ok(const struct json *body, struct provider_answer *answer)
{
    static const char *const needed[] = {"model", "max_tokens", "messages", NULL};
    const struct json *messages = js_get(body, "messages");

    for (size_t i = 0; needed[i]; i++)
        if (!js_get(body, needed[i])) {
            _free_ char *message = mem_format("%s: Field required", needed[i]);
            return bad(answer, message);
        }
    if (!js_text(body, "model", NULL))
        return bad(answer, "model: Input should be a valid string");
    if (js_int(body, "max_tokens", 0) < 1)
        return bad(answer, "max_tokens: Input should be greater than or equal to 1");
    if (js_count(messages) == 0)
        return bad(answer, "messages: at least one message is required");
    for (size_t i = 0; i < js_count(messages); i++) {
        const char *role = js_text(js_at(messages, i), "role", "");
        _free_ char *message =
            mem_format("messages.%zu.role: Input should be 'user' or 'assistant'", i);
        if (strcmp(role, "user") != 0 && strcmp(role, "assistant") != 0)
            return bad(answer, message);
    }
    return true;
}

static struct json *usage_json(int64_t input, int64_t output)
{
    struct json *usage = js_set_int(js_object(), "input_tokens", input);

    js_set_int(usage, "cache_creation_input_tokens", 0);
    js_set_int(usage, "cache_read_input_tokens", 0);
    return js_set_int(usage, "output_tokens", output);
}

static struct json *text_json(const char *text)
{
    return js_set_text(js_set_text(js_object(), "type", "text"), "text", text);
}

/* The message with its content (taken over) and, at its end, why it ended. */
static struct json *message_json(const struct message *message, struct json *content,
                                 bool is_whole)
{
    struct json *body = js_set_text(js_object(), "id", message->id);

    js_set_text(body, "type", "message");
    js_set_text(body, "role", "assistant");
    js_set_text(body, "model", message->model);
    js_set(body, "content", content);
    js_set(body, "stop_reason",
           is_whole ? js_from_text(message->stop_reason, strlen(message->stop_reason))
                    : js_null());
    js_set(body, "stop_sequence", js_null());
    return js_set(body, "usage",
                  usage_json(message->input, is_whole ? message->output : 1));
}

static void answer_whole(struct message *message, struct provider_answer *answer)
{
    struct json *content = js_array();

    if (message->text.len)
        js_push(content, text_json(buf_str(&message->text)));
    provider_answer(answer, 200, message_json(message, content, /* is_whole= */ true));
}

/* --- the same as server-sent events --- */

/* An event of this type with its members (taken over). */
static void add_event(struct buf *out, const char *type, struct json *members)
{
    js_set_text(members, "type", type);
    buf_format(out, "event: %s\ndata: ", type);
    js_write(members, 0, out);
    buf_text(out, "\n\n");
    js_free(members);
}

static void add_text(struct buf *out, const char *text)
{
    add_event(
        out, "content_block_start",
        js_set(js_set_int(js_object(), "index", 0), "content_block", text_json("")));
    for (size_t n; (n = model_token(text)) > 0; text += n) {
        struct json *delta = js_set_text(js_object(), "type", "text_delta");
        js_set(delta, "text", js_from_text(text, n));
        add_event(out, "content_block_delta",
                  js_set(js_set_int(js_object(), "index", 0), "delta", delta));
    }
    add_event(out, "content_block_stop", js_set_int(js_object(), "index", 0));
}

static void answer_stream(struct message *message, struct provider_answer *answer)
{
    struct buf *out = &answer->body;
    struct json *delta = js_set_text(js_object(), "stop_reason", message->stop_reason);

    js_set(delta, "stop_sequence", js_null());
    answer->content_type = "text/event-stream; charset=utf-8";
    answer->piece_ms = MODEL_PIECE_MS;
    answer->breaks_off = model_fate(message->model) == MODEL_BREAKS_OFF;
    add_event(out, "message_start",
              js_set(js_object(), "message",
                     message_json(message, js_array(), /* is_whole= */ false)));
    add_event(out, "ping", js_object());
    if (message->text.len)
        add_text(out, buf_str(&message->text));
    add_event(out, "message_delta",
              js_set(js_set(js_object(), "delta", delta), "usage",
                     js_set_int(js_object(), "output_tokens", message->output)));
    add_event(out, "message_stop", js_object());
}

static void post_message(struct account *anthropic, const struct json *body,
                         struct provider_answer *answer)
{
    if (!request_ok(body, answer) || !model_serves(js_text(body, "model", ""), answer))
        return;
    const struct json *messages = js_get(body, "messages");
    struct message message = {.model = js_text(body, "model", "")};
    bool is_refused = model_fate(message.model) == MODEL_REFUSES, is_cut = false;
    _free_ char *effect = model_effect(message.model, model_asked(messages));

    provider_id("msg_", 24, message.id);
    if (!is_refused)
        is_cut = model_say(messages, js_int(body, "max_tokens", 1), &message.text);
    message.stop_reason = is_refused ? "refusal" : is_cut ? "max_tokens" : "end_turn";
    message.input =
        model_count_all(messages) + model_count(model_text(js_get(body, "system")));
    message.output = message.text.len ? model_count(buf_str(&message.text)) : 0;
    if (!effects_add(&anthropic->effects, effect))
        no(answer, 529, "overloaded_error", "The sandbox is full; start it again.");
    else if (js_bool(body, "stream", false))
        answer_stream(&message, answer);
    else
        answer_whole(&message, answer);
    buf_fini(&message.text);
}

/* --- calls --- */

static void get_models(struct provider_answer *answer)
{
    struct json *model = js_set_text(js_object(), "type", "model");

    js_set_text(model, "id", "claude-3-5-haiku-latest");
    js_set_text(model, "display_name", "A model to practise on");
    js_set_text(model, "created_at", "2024-10-22T00:00:00Z");
    struct json *list = js_set(js_object(), "data", js_push(js_array(), model));
    js_set_bool(list, "has_more", false);
    js_set_text(list, "first_id", "claude-3-5-haiku-latest");
    provider_answer(answer, 200, js_set_text(list, "last_id", "claude-3-5-haiku-latest"));
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    struct account *anthropic = state;
    const char *key = provider_call_header(call, "x-api-key");
    struct json *body = provider_json(call);
    char id[PROVIDER_ID_SIZE];

    key = key ? key : provider_bearer(call);
    provider_id("req_", 24, id);
    provider_header(&answer->headers, "request-id", "%s", id);
    if (!key)
        no(answer, 401, "authentication_error", "x-api-key header is required");
    else if (!provider_key_fits(key, anthropic->api_key, anthropic_row.test_key))
        no(answer, 401, "authentication_error", "invalid x-api-key");
    else if (!provider_call_header(call, "anthropic-version"))
        bad(answer, "anthropic-version: header is required");
    else if (provider_is(call, "GET", "/v1/models"))
        get_models(answer);
    else if (!provider_is(call, "POST", "/v1/messages"))
        no(answer, 404, "not_found_error", "Not Found");
    else if (!body)
        bad(answer, "The request body is not valid JSON");
    else
        post_message(anthropic, body, answer);
    js_free(body);
}

/* --- webhooks --- */

static bool make_event(void *state, const char *type, const struct json *data,
                       uint64_t now_us, struct provider_event *ret)
{
    char id[PROVIDER_ID_SIZE], time[TEXT_TIME_SIZE];

    (void)state;
    if (!strchr(type, '.')) /* session.updated, agent.created, ... */
        return false;
    provider_id("event_", 24, ret->id);
    provider_id("obj_", 24, id);
    text_time(now_us, time);
    struct json *about = js_set_text(js_object(), "type", type);
    js_set_text(about, "id", id);
    provider_override(about, data);
    struct json *event = js_set_text(js_object(), "type", "event");
    js_set_text(event, "id", ret->id);
    js_set_text(event, "created_at", time);
    provider_event_body(ret, js_set(event, "data", about));
    return true;
}

static void sign(const struct provider_signing *signing, struct provider_headers *ret)
{
    standard_sign(signing, &standard_names, ret);
}

const struct provider anthropic_row = {
    .name = "anthropic",
    .test_key = "sk-ant-",
    .webhook_type = "application/json",
    .agent = "Anthropic-Webhooks/1.0",
    .signs_time = true,
    .open = account_open,
    .close = account_close,
    .call = call_row,
    .effects = account_effects,
    .refuse = refuse,
    .make_event = make_event,
    .sign = sign,
};
