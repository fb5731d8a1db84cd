/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - a SendGrid to practise on: POST /v3/mail/send and the Event Webhook
 *
 * A mail's effect is counted under the custom argument `signalbox_event`, or without one
 * under its first recipient and subject.  What becomes of it its recipients decide
 * (sandbox/mailbox.h); a sender at unverified.example is refused.  Webhooks are signed
 * with a P-256 pair made from the API key; GET /sandbox/providers shows the public half.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"
#include "sandbox/account.h"
#include "sandbox/mailbox.h"
#include "sandbox/rows.h"

#define TAG "signalbox_event"

/* --- errors: {"errors":[{"message","field","help"}]} --- */

static struct json *error_body(const char *message, const char *field)
{
    struct json *error = js_set_text(js_object(), "message", message);

    js_set(error, "field", field ? js_from_text(field, strlen(field)) : js_null());
    js_set(error, "help", js_null());
    return js_set(js_object(), "errors", js_push(js_array(), error));
}

static void refuse(unsigned status, struct provider_answer *answer)
{
    provider_answer(
        answer, status,
        error_body(status == 429 ? "too many requests" : "internal server error", NULL));
}

static bool no(struct provider_answer *answer, unsigned status, const char *message,
               const char *field)
{
    provider_answer(answer, status, error_body(message, field));
    return false;
}

/* --- mails --- */

/* Every recipient of a list in every personalization; false at the first that is none. */
static bool recipients_ok(const struct json *list, struct provider_answer *answer)
{
    for (size_t i = 0; i < js_count(list); i++) {
        const char *email = js_text(js_at(list, i), "email", NULL);
        if (!email || mailbox_is_invalid(email))
            return no(answer, 400, "Does not contain a valid address.",
                      "personalizations.0.to");
    }
    return true;
}

static bool content_ok(const struct json *mail, struct provider_answer *answer)
{
    const struct json *content = js_get(mail, "content");

    if (!js_is_array(content) || !js_count(content))
        return no(answer, 400,
                  "Unless a valid template_id is provided, the content parameter is "
                  "required. There must be at least one defined content block.",
                  "content");
    for (size_t i = 0; i < js_count(content); i++)
        if (!*js_text(js_at(content, i), "value", "") ||
            !*js_text(js_at(content, i), "type", ""))
            return no(answer, 400,
                      "The content value must be a string at least one character in "
                      "length.",
                      "content.0.value");
    return true;
}

static bool mail_ok(const struct json *mail, struct provider_answer *answer)
{
    const char *from = js_text(mail, "from.email", NULL);

    if (!js_count(js_get(mail, "personalizations.0.to")))
        return no(answer, 400,
                  "The personalizations field is required and must have at least one "
                  "personalization with a recipient.",
                  "personalizations");
    for (size_t i = 0; i < js_count(js_get(mail, "personalizations")); i++) {
        const struct json *one = js_at(js_get(mail, "personalizations"), i);
        if (!recipients_ok(js_get(one, "to"), answer) ||
            !recipients_ok(js_get(one, "cc"), answer) ||
            !recipients_ok(js_get(one, "bcc"), answer))
            return false;
    }
    if (!from || !strchr(from, '@'))
        return no(answer, 400, "The from object must be provided for every email send.",
                  "from.email");
    if (mailbox_is_unverified(from))
        return no(answer, 403,
                  "The from address does not match a verified Sender Identity. Mail "
                  "cannot be sent until this error is resolved.",
                  "from");
    if (!*js_text(mail, "subject", "") &&
        !*js_text(mail, "personalizations.0.subject", ""))
        return no(answer, 400, "The subject is required.", "subject");
    return content_ok(mail, answer);
}

/* --- events --- */

static const char *const names[] = {
    [MAILBOX_DELIVERED] = "delivered", [MAILBOX_DEFERRED] = "deferred",
    [MAILBOX_BOUNCED] = "bounce",      [MAILBOX_COMPLAINED] = "spamreport",
    [MAILBOX_DROPPED] = "dropped",     [MAILBOX_OPENED] = "open",
    [MAILBOX_CLICKED] = "click",
};

/* One event as SendGrid writes it; ret_id is its sg_event_id. */
static struct json *event_json(const char *name, const char *email,
                               const char *message_id, uint64_t now_us,
                               char ret_id[PROVIDER_ID_SIZE])
{
    struct json *event = js_set_text(js_object(), "email", email);
    _free_ char *sg_message_id = mem_format("%s.filterdrecv-sandbox-1-0", message_id);

    provider_id("", 22, ret_id);
    js_set_int(event, "timestamp", (int64_t)(now_us / 1000000));
    js_set_text(event, "event", name);
    js_set_text(event, "sg_event_id", ret_id);
    js_set_text(event, "sg_message_id", sg_message_id);
    if (strcmp(name, "bounce") == 0) {
        js_set_text(event, "reason", "550 5.1.1 The email account does not exist.");
        js_set_text(event, "status", "5.1.1");
        js_set_text(event, "type", "bounce");
    } else if (strcmp(name, "dropped") == 0) {
        js_set_text(event, "reason", "Bounced Address");
        js_set_text(event, "status", "5.0.0");
    } else if (strcmp(name, "deferred") == 0) {
        js_set_text(event, "response", "450 4.2.1 The mailbox is busy, try again later");
    } else if (strcmp(name, "delivered") == 0) {
        js_set_text(event, "response", "250 OK");
    } else if (strcmp(name, "click") == 0) {
        js_set_text(event, "url", "https://example.com/");
    }
    return event;
}

static void tell(struct account *sendgrid, const struct json *recipients,
                 const char *message_id, const char *tag, uint64_t now_us)
{
    struct provider_event out = {.body = BUF_NULL};
    struct json *list = js_array();

    for (size_t i = 0; i < js_count(recipients); i++) {
        const char *email = js_text(js_at(recipients, i), "email", "");
        enum mailbox_event events[MAILBOX_EVENTS_MAX];
        size_t n = mailbox_events(email, events);
        for (size_t k = 0; k < n; k++)
            js_push(list, js_set_text(event_json(names[events[k]], email, message_id,
                                                 now_us + k * 1000000, out.id),
                                      TAG, tag));
    }
    provider_event_body(&out, list);
    buf_text(&out.body, "\r\n"); /* as SendGrid ends it, and signs */
    sendgrid->options.on_event(sendgrid->options.user, &out);
    buf_fini(&out.body);
}

static void accept_mail(struct account *sendgrid, const struct json *mail,
                        uint64_t now_us, struct provider_answer *answer)
{
    const char *tag = js_text(mail, "personalizations.0.custom_args." TAG, NULL);
    _free_ char *effect =
        tag ? mem_text(tag)
            : mem_format("%s %s", js_text(mail, "personalizations.0.to.0.email", ""),
                         js_text(mail, "subject", ""));
    char id[PROVIDER_ID_SIZE];

    if (!effects_add(&sendgrid->effects, effect)) {
        no(answer, 503, "The sandbox is full; start it again.", NULL);
        return;
    }
    provider_id("", 22, id);
    provider_header(&answer->headers, "X-Message-Id", "%s", id);
    answer->status = 202;
    for (size_t i = 0; i < js_count(js_get(mail, "personalizations")); i++)
        if (sendgrid->options.on_event)
            tell(sendgrid, js_get(js_at(js_get(mail, "personalizations"), i), "to"), id,
                 tag, now_us);
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    struct account *sendgrid = state;
    const char *type = provider_call_header(call, "Content-Type");
    struct json *mail = NULL;

    if (!provider_key_fits(provider_bearer(call), sendgrid->api_key,
                           sendgrid_row.test_key))
        no(answer, 401,
           "The provided authorization grant is invalid, expired, or revoked", NULL);
    else if (provider_is(call, "GET", "/v3/scopes"))
        provider_answer(answer, 200,
                        js_set(js_object(), "scopes",
                               js_push(js_array(), js_from_text("mail.send", 9))));
    else if (!provider_is(call, "POST", "/v3/mail/send"))
        no(answer, 404, "not found", NULL);
    else if (!type || strncasecmp(type, "application/json", 16) != 0)
        no(answer, 415, "Content-Type should be application/json.", NULL);
    else if (!(mail = provider_json(call)))
        no(answer, 400, "Bad Request", NULL);
    else if (mail_ok(mail, answer)) {
        if (js_bool(mail, "mail_settings.sandbox_mode.enable", false))
            answer->status = 200;
        else
            accept_mail(sendgrid, mail, call->now_us, answer);
    }
    js_free(mail);
}

/* --- webhooks --- */

static bool make_event(void *state, const char *type, const struct json *data,
                       uint64_t now_us, struct provider_event *ret)
{
    static const char *const known[] = {"processed",
                                        "deferred",
                                        "delivered",
                                        "bounce",
                                        "dropped",
                                        "open",
                                        "click",
                                        "spamreport",
                                        "unsubscribe",
                                        "group_unsubscribe",
                                        "group_resubscribe",
                                        NULL};
    char message_id[PROVIDER_ID_SIZE];
    size_t i = 0;

    (void)state;
    while (known[i] && strcmp(known[i], type) != 0)
        i++;
    if (!known[i])
        return false;
    provider_id("", 22, message_id);
    struct json *event =
        event_json(type, "someone@example.com", message_id, now_us, ret->id);
    provider_override(event, data);
    provider_event_body(ret, js_push(js_array(), event));
    buf_text(&ret->body, "\r\n");
    return true;
}

static void seed_of(const char *secret, uint8_t ret_seed[CRYPTO_SHA256_SIZE])
{
    crypto_sha256(secret, strlen(secret), ret_seed);
}

static void sign(const struct provider_signing *signing, struct provider_headers *ret)
{
    _free_ char *time = mem_format("%llu", (unsigned long long)signing->now_s);
    struct crypto_part parts[] = {{time, strlen(time)}, {signing->body, signing->len}};
    struct buf der = BUF_NULL, text = BUF_NULL;
    uint8_t seed[CRYPTO_SHA256_SIZE];

    seed_of(signing->secret, seed);
    crypto_p256_sign(seed, parts, 2, &der);
    text_base64(der.bytes, der.len, &text);
    provider_header(ret, "X-Twilio-Email-Event-Webhook-Signature", "%s", buf_str(&text));
    provider_header(ret, "X-Twilio-Email-Event-Webhook-Timestamp", "%s", time);
    buf_fini(&der);
    buf_fini(&text);
}

static char *public_key(const char *secret)
{
    struct buf der = BUF_NULL, text = BUF_NULL;
    uint8_t seed[CRYPTO_SHA256_SIZE];

    seed_of(secret, seed);
    crypto_p256_public(seed, &der);
    text_base64(der.bytes, der.len, &text);
    char *key = mem_text(buf_str(&text));
    buf_fini(&der);
    buf_fini(&text);
    return key;
}

const struct provider sendgrid_row = {
    .name = "sendgrid",
    .test_key = "SG.",
    .webhook_type = "application/json; charset=utf-8",
    .agent = "SendGrid Event API",
    .signs_with_key = true,
    .signs_time = true,
    .open = account_open,
    .close = account_close,
    .call = call_row,
    .effects = account_effects,
    .refuse = refuse,
    .make_event = make_event,
    .sign = sign,
    .public_key = public_key,
};
