/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* sendgrid - POST /v3/mail/send of SendGrid's Web API v3, and its Event Webhook
 *
 * There is no idempotency key and no way to look a mail up, so a call whose answer was
 * lost ends Failed/unknown; the Event Webhook, which brings the event's id back, is how
 * one sees what became of it. */
#include <stdlib.h>
#include <string.h>

#include "email.h"
#include "mail.h"

const struct sb_option sendgrid_options[] = {
    MAIL_OPTIONS,
    {"sandbox_mode", SB_BOOL, "false", false,
     "let SendGrid check every mail and send none"},
    {.name = NULL},
};

const struct sb_secret sendgrid_secrets[] = {
    {"api_key", "an API key (SG....) with the right Mail Send, from Settings, API Keys",
     "create a second key, `signalbox secret rotate`, then delete the first", false},
    {.name = NULL},
};

/* --- send --- */

/* An object of email and name; the text was checked before. */
static void put_address(struct sb_json *to, const char *text)
{
    struct address address;

    if (!address_read(text, &address))
        return;
    sb_put_text(to, "email", address.email);
    sb_put_text(to, "name", *address.name ? address.name : NULL);
}

static void put_list(struct sb_json *body, const char *path, const struct sb_json *list)
{
    for (size_t i = 0; i < sb_count(list, ""); i++)
        put_address(sb_append(body, path), sb_text(sb_element(list, i), ""));
}

static void put_part(struct sb_json *body, const char *type, const char *text)
{
    struct sb_json *part = text ? sb_append(body, "content") : NULL;

    if (part) {
        sb_put_text(part, "type", type);
        sb_put_text(part, "value", text);
    }
}

static void put_attachments(struct sb_json *body, const struct sb_json *list)
{
    for (size_t i = 0; i < sb_count(list, ""); i++) {
        const struct sb_json *one = sb_element(list, i);
        struct sb_json *to = sb_append(body, "attachments");
        sb_put_text(to, "content", sb_text(one, "content"));
        sb_put_text(to, "filename", sb_text(one, "filename"));
        sb_put_text(to, "type", sb_text(one, "content_type"));
    }
}

static enum sb_verdict send_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);

    if (mail_check(event, outcome) != SB_DONE)
        return SB_FAILED;
    sb_call(request, "POST", "/v3/mail/send");
    sb_bearer(request, "api_key");
    struct sb_json *body = sb_json_body(request);
    put_list(body, "personalizations.0.to", sb_at(data, "to"));
    put_list(body, "personalizations.0.cc", sb_at(data, "cc"));
    put_list(body, "personalizations.0.bcc", sb_at(data, "bcc"));
    sb_put_text(body, "personalizations.0.custom_args." MAIL_EVENT_TAG, sb_id(event));
    put_address(sb_object(body, "from"), mail_from(event));
    if (sb_has(data, "reply_to"))
        put_address(sb_object(body, "reply_to"), sb_text(data, "reply_to"));
    sb_put_text(body, "subject", sb_text(data, "subject"));
    put_part(body, "text/plain",
             sb_text(data, "text")); /* in this order: SendGrid asks */
    put_part(body, "text/html", sb_text(data, "html"));
    put_attachments(body, sb_at(data, "attachments"));
    if (strcmp(sb_option(event, "sandbox_mode"), "true") == 0)
        sb_put_bool(body, "mail_settings.sandbox_mode.enable", true);
    return SB_DONE;
}

static enum sb_verdict send_succeeded(const struct sb_event *event,
                                      const struct sb_answer *answer,
                                      struct sb_outcome *outcome)
{
    size_t n;

    (void)sb_answer_raw(answer, &n);
    if (n) /* a mail that was taken is answered 202 and nothing (in sandbox mode 200) */
        return sb_unclear(outcome, "not what SendGrid answers to a mail: %u and a body",
                          sb_status(answer));
    mail_sent(event, sb_answer_header(answer, "X-Message-Id"), outcome);
    return SB_DONE;
}

static enum sb_verdict refused(const struct sb_answer *answer, struct sb_outcome *outcome)
{
    const struct sb_json *error = sb_at(sb_answer_json(answer), "errors.0");
    const char *message = sb_text(error, "message"), *field = sb_text(error, "field");

    sb_put_text(sb_result(outcome), "field", field);
    return sb_fail(outcome, "SendGrid refused the mail (%u%s%s): %s", sb_status(answer),
                   field ? ", " : "", field ? field : "",
                   message ? message : "it gave no reason");
}

/* The limit's window ends at a time (seconds since 1970) instead of after a pause. */
static uint64_t until_reset_ms(const struct sb_event *event,
                               const struct sb_answer *answer)
{
    const char *reset = sb_answer_header(answer, "X-RateLimit-Reset");
    uint64_t at_s = reset ? strtoull(reset, NULL, 10) : 0,
             now_s = sb_now_us(event) / 1000000;

    return at_s > now_s && at_s - now_s < 3600 ? (at_s - now_s) * 1000 : 0;
}

static enum sb_verdict send_failed(const struct sb_event *event,
                                   const struct sb_answer *answer,
                                   struct sb_outcome *outcome)
{
    unsigned status = sb_status(answer);

    if (status == 401 || status == 403)
        return mail_key_refused(event, "SendGrid", status, outcome);
    if (status == 429)
        return sb_retry(
            outcome,
            sb_answer_header(answer, "Retry-After") ? 0 : until_reset_ms(event, answer),
            "SendGrid's rate limit is reached");
    if (status >= 400 && status < 500 && status != 408 && status != 425)
        return refused(answer, outcome);
    return sb_default(outcome, "SendGrid answered %u", status);
}

/* --- check --- */

static enum sb_verdict check_request(const struct sb_event *event,
                                     struct sb_request *request,
                                     struct sb_outcome *outcome)
{
    static const char *const names[] = {NULL};

    if (!sb_is_object(sb_data(event), "") || sb_stranger(sb_data(event), names))
        return sb_fail(outcome, "the data must be {}: a check takes nothing");
    sb_call(request, "GET", "/v3/scopes");
    sb_bearer(request, "api_key");
    return SB_DONE;
}

/* What the key may do: {"scopes":["mail.send", ...]} */
static enum sb_verdict check_succeeded(const struct sb_event *event,
                                       const struct sb_answer *answer,
                                       struct sb_outcome *outcome)
{
    const struct sb_json *scopes = sb_at(sb_answer_json(answer), "scopes");
    bool may_send = false;

    if (!scopes || sb_is_object(scopes, ""))
        return sb_unclear(outcome, "not what SendGrid answers to scopes");
    for (size_t i = 0; i < sb_count(scopes, ""); i++) {
        const char *scope = sb_text(sb_element(scopes, i), "");
        may_send |= scope && strcmp(scope, "mail.send") == 0;
    }
    sb_put_text(sb_result(outcome), "provider", "sendgrid");
    return may_send ? SB_DONE
                    : sb_fail(outcome,
                              "the secret \"api_key\" of the integration %s may not send "
                              "mail: give the key the permission Mail Send",
                              sb_integration(event));
}

const struct sb_operation sendgrid_operations[] = {
    {EMAIL_SEND, SB_BRANCHES(send_request, send_succeeded, send_failed),
     .repeat = SB_REPEAT_NEVER, .price = mail_price, .price_most = mail_price_most,
     .example = EMAIL_EXAMPLE,
     .price_text =
         "per mail accepted and recipient, in tiers of a monthly plan: ten times the "
         "mails are another tier, and above a tier each mail is charged by itself",
     .test = "with the option sandbox_mode SendGrid checks the mail and sends none; in "
             "signalbox's sandbox the recipient decides, see docs/guide/email.md"},
    {.name = "check",
     .summary = "See whether SendGrid takes the key, and whether it may send",
     SB_BRANCHES(check_request, check_succeeded, send_failed),
     .repeat = SB_REPEAT_SAFE,
     .is_harmless = true,
     .price_max = {"USD", 0},
     .price_text = "none",
     .example = "{}",
     .example_answer = "{\"scopes\":[\"mail.send\"]}",
     .degrade = "set the secret api_key",
     .test = "changes nothing"},
    {.name = NULL},
};

/* --- webhooks --- */

/* sg_message_id is X-Message-Id, a dot, and where inside SendGrid it was. */
static void put_message_id(struct sb_json *result, const char *id)
{
    char text[256];
    size_t n = id ? strcspn(id, ".") : 0;

    if (!n || n >= sizeof(text))
        return;
    memcpy(text, id, n);
    text[n] = 0;
    sb_put_text(result, "message_id", text);
}

static enum sb_verdict happened(const struct sb_event *event, struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);
    struct sb_json *result = sb_result(outcome);
    const char *recipient = sb_text(data, "email");

    if (!recipient || !sb_text(data, "sg_event_id"))
        return sb_fail(outcome,
                       "not an event of SendGrid: email or sg_event_id is missing");
    sb_put_text(result, "provider", "sendgrid");
    sb_put_text(result, "provider_event", sb_text(data, "sg_event_id"));
    sb_put_text(result, "provider_type", sb_text(data, "event"));
    sb_put_text(result, "recipient", recipient);
    put_message_id(result, sb_text(data, "sg_message_id"));
    sb_put_text(result, "request", sb_text(data, MAIL_EVENT_TAG));
    sb_put(result, "at", sb_at(data, "timestamp"));
    sb_put_text(result, "reason",
                sb_text(data, "reason") ? sb_text(data, "reason")
                                        : sb_text(data, "response"));
    sb_put_text(result, "status", sb_text(data, "status"));
    sb_put_text(result, "kind", sb_text(data, "type"));
    sb_put_text(result, "url", sb_text(data, "url"));
    return SB_DONE;
}

#define SIMULATED "signalbox simulate, in the sandbox"

const struct sb_webhook sendgrid_webhooks[] = {
    {"delivered", "email.delivered", "mail: accepted -> delivered", happened, SIMULATED},
    {"deferred", "email.deferred", "mail: accepted -> delayed, SendGrid tries again",
     happened, SIMULATED},
    {"bounce", "email.bounced", "mail: accepted -> bounced", happened, SIMULATED},
    {"dropped", "email.bounced", "mail: accepted -> not tried, the address is suppressed",
     happened, SIMULATED},
    {"spamreport", "email.complained", "recipient: subscribed -> complained", happened,
     SIMULATED},
    {"open", "email.opened", "mail: delivered -> opened", happened, SIMULATED},
    {"click", "email.clicked", "mail: delivered -> clicked", happened, SIMULATED},
    {.event = NULL},
};

const struct sb_failure_mode sendgrid_failures[] = {
    {"mail refused", "permanent: SendGrid refused the mail",
     "the input is wrong or the sender is not verified; the text names the field"},
    {"API key refused", "permanent: SendGrid does not accept the API key",
     "set the secret api_key, then redrive what failed"},
    {"rate limit", "a retry: SendGrid's rate limit is reached",
     "tried again when the window ends"},
    {"answer lost", "unknown: the call was sent and no answer could be used",
     "never sent again by itself: email.delivered with the event's id in `request` "
     "tells, "
     "or resolve by hand"},
    {"SendGrid broken", "unknown: SendGrid answered 500", "as with a lost answer"},
    {"address bounces", "an event email.bounced",
     "stop writing to the address; SendGrid suppresses it from then on"},
    {"SendGrid down", "exhausted, with the last answer",
     "what it certainly did not take was tried again until attempts or deadline ended; "
     "redrive it when the service is back"},
    {.name = NULL},
};
