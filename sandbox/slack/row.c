/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - a Slack to practise on: chat.postMessage, auth.test, and events
 *
 * Errors come with status 200, as at Slack.  A message's effect is counted under channel
 * and text.  The channel decides what happens: see `channels`. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/form.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"
#include "sandbox/account.h"
#include "sandbox/rows.h"

enum { TEXT_MAX = 40000 };

/* Channels that are answered with an error; all others take the message. */
static const struct {
    const char *channel, *error;
} channels[] = {
    {"#missing", "channel_not_found"}, {"#private", "not_in_channel"},
    {"#archived", "is_archived"},      {"#busy", "ratelimited"},
    {"#broken", "internal_error"},     {"#down", "service_unavailable"},
};

static void no(struct provider_answer *answer, const char *error)
{
    provider_answer(answer, 200,
                    js_set_text(js_set_bool(js_object(), "ok", false), "error", error));
}

static void refuse(unsigned status, struct provider_answer *answer)
{
    if (status == 429) {
        provider_answer(
            answer, status,
            js_set_text(js_set_bool(js_object(), "ok", false), "error", "ratelimited"));
        return;
    }
    answer->status = status;
    answer->content_type = "text/html";
    buf_text(&answer->body, "<!DOCTYPE html><html><title>Server Error</title></html>");
}

/* --- messages --- */

static void make_ts(uint64_t now_us, char ret_ts[PROVIDER_ID_SIZE])
{
    struct buf text = BUF_NULL;

    buf_format(&text, "%llu.%06llu", (unsigned long long)(now_us / 1000000),
               (unsigned long long)(now_us % 1000000));
    memcpy(ret_ts, buf_str(&text), text.len + 1);
    buf_fini(&text);
}

static struct json *message_json(const char *text, const char *ts)
{
    struct json *message = js_set_text(js_object(), "type", "message");

    js_set_text(message, "text", text);
    js_set_text(message, "user", "U0SANDBOX");
    js_set_text(message, "bot_id", "B0SANDBOX");
    return js_set_text(message, "ts", ts);
}

static const char *error_of(const char *channel, const char *text)
{
    if (!channel || !*channel)
        return "channel_not_found";
    if (!text || !*text)
        return "no_text";
    if (strlen(text) > TEXT_MAX)
        return "msg_too_long";
    for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
        if (strcmp(channels[i].channel, channel) == 0)
            return channels[i].error;
    return NULL;
}

static void post_message(struct account *slack, const char *channel, const char *text,
                         uint64_t now_us, struct provider_answer *answer)
{
    const char *error = error_of(channel, text);
    char ts[PROVIDER_ID_SIZE];

    if (error) {
        no(answer, error);
        return;
    }
    _free_ char *effect = mem_format("%s %s", channel, text);
    if (!effects_add(&slack->effects, effect)) {
        no(answer, "fatal_error"); /* the sandbox is full */
        return;
    }
    make_ts(now_us, ts);
    struct json *body = js_set_bool(js_object(), "ok", true);
    js_set_text(body, "channel", *channel == '#' ? "C0SANDBOX" : channel);
    js_set_text(body, "ts", ts);
    provider_answer(answer, 200, js_set(body, "message", message_json(text, ts)));
}

static void test_auth(struct provider_answer *answer)
{
    struct json *body = js_set_bool(js_object(), "ok", true);

    js_set_text(body, "team", "Sandbox");
    js_set_text(body, "user", "signalbox");
    provider_answer(answer, 200, js_set_text(body, "user_id", "U0SANDBOX"));
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    struct account *slack = state;
    const char *token = provider_bearer(call);
    struct json *json = provider_json(call);
    struct form form = FORM_NULL;

    if (!token)
        no(answer, "not_authed");
    else if (!provider_key_fits(token, slack->api_key, slack_row.test_key))
        no(answer, "invalid_auth");
    else if (provider_is(call, "POST", "/api/auth.test"))
        test_auth(answer);
    else if (!provider_is(call, "POST", "/api/chat.postMessage"))
        no(answer, "unknown_method");
    else if (json)
        post_message(slack, js_text(json, "channel", NULL), js_text(json, "text", NULL),
                     call->now_us, answer);
    else if (!form_read(&form, call->body, call->body_len))
        no(answer, "invalid_form_data");
    else
        post_message(slack, form_get(&form, "channel"), form_get(&form, "text"),
                     call->now_us, answer);
    form_fini(&form);
    js_free(json);
}

/* --- webhooks: the Events API --- */

static bool make_event(void *state, const char *type, const struct json *data,
                       uint64_t now_us, struct provider_event *ret)
{
    char ts[PROVIDER_ID_SIZE];
    struct json *body = js_set_text(js_object(), "type", "event_callback");

    (void)state;
    make_ts(now_us, ts);
    struct json *event = message_json("hello", ts);
    js_set_text(event, "type", type);
    js_set_text(event, "channel", "C0SANDBOX");
    provider_override(event, data);
    provider_id("Ev", 9, ret->id);
    js_set_text(body, "team_id", "T0SANDBOX");
    js_set_text(body, "api_app_id", "A0SANDBOX");
    js_set(body, "event", event);
    js_set_text(body, "event_id", ret->id);
    js_set_int(body, "event_time", (int64_t)(now_us / 1000000));
    provider_event_body(ret, body);
    return true;
}

static void sign(const struct provider_signing *signing, struct provider_headers *ret)
{
    _free_ char *head = mem_format("v0:%llu:", (unsigned long long)signing->now_s);
    struct crypto_part parts[] = {{head, strlen(head)}, {signing->body, signing->len}};
    struct buf text = BUF_NULL;
    uint8_t mac[CRYPTO_SHA256_SIZE];

    crypto_hmac_sha256(signing->secret, strlen(signing->secret), parts, 2, mac);
    text_hex(mac, sizeof(mac), &text);
    provider_header(ret, "X-Slack-Signature", "v0=%s", buf_str(&text));
    provider_header(ret, "X-Slack-Request-Timestamp", "%llu",
                    (unsigned long long)signing->now_s);
    buf_fini(&text);
}

const struct provider slack_row = {
    .name = "slack",
    .test_key = "xoxb-",
    .webhook_type = "application/json",
    .agent = "Slackbot 1.0 (+https://api.slack.com/robots)",
    .signs_time = true,
    .open = account_open,
    .close = account_close,
    .call = call_row,
    .effects = account_effects,
    .refuse = refuse,
    .make_event = make_event,
    .sign = sign,
};
