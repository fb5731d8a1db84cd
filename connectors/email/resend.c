/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* resend - POST /emails of Resend's API, and its webhooks (signed by Svix)
 *
 * Resend takes an Idempotency-Key and keeps it for 24 hours, so a call whose answer was
 * lost is sent again under its key. */
#include <string.h>

#include "email.h"
#include "mail.h"

enum { KEY_LIFETIME_S = 24 * 3600 };

const struct sb_option resend_options[] = {MAIL_OPTIONS, {.name = NULL}};

const struct sb_secret resend_secrets[] = {
    {"api_key", "an API key (re_...) with sending access, from API Keys",
     "create a second key, `signalbox secret rotate`, then delete the first", false},
    {.name = NULL},
};

/* --- send --- */

static void put_attachments(struct sb_json *body, const struct sb_json *list)
{
    for (size_t i = 0; i < sb_count(list, ""); i++) {
        const struct sb_json *one = sb_element(list, i);
        struct sb_json *to = sb_append(body, "attachments");
        sb_put_text(to, "filename", sb_text(one, "filename"));
        sb_put_text(to, "content", sb_text(one, "content"));
        sb_put_text(to, "content_type", sb_text(one, "content_type"));
    }
}

/* Resend takes letters, digits, _ and - in a tag; an id with others goes without. */
static void put_tag(struct sb_json *body, const char *id)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                  "0123456789_-";

    if (strspn(id, allowed) != strlen(id) || strlen(id) > 256)
        return;
    struct sb_json *tag = sb_append(body, "tags");
    sb_put_text(tag, "name", MAIL_EVENT_TAG);
    sb_put_text(tag, "value", id);
}

static enum sb_verdict send_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    static const char *const as_they_are[] = {"to",      "cc",   "bcc", "reply_to",
                                              "subject", "text", "html"};
    const struct sb_json *data = sb_data(event);

    if (mail_check(event, outcome) != SB_DONE)
        return SB_FAILED;
    sb_call(request, "POST", "/emails");
    sb_bearer(request, "api_key");
    struct sb_json *body = sb_json_body(request);
    sb_put_text(body, "from", mail_from(event));
    for (size_t i = 0; i < sizeof(as_they_are) / sizeof(as_they_are[0]); i++)
        if (sb_has(data, as_they_are[i]))
            sb_put(body, as_they_are[i], sb_at(data, as_they_are[i]));
    put_attachments(body, sb_at(data, "attachments"));
    put_tag(body, sb_id(event));
    return SB_DONE;
}

static enum sb_verdict send_succeeded(const struct sb_event *event,
                                      const struct sb_answer *answer,
                                      struct sb_outcome *outcome)
{
    const char *id = sb_text(sb_answer_json(answer), "id");

    if (!id)
        return sb_unclear(outcome, "Resend's answer has no id");
    mail_sent(event, id, outcome);
    return SB_DONE;
}

/* Names of errors that say more than their status. */
static const struct {
    const char *name, *says;
    bool is_retry;
} errors[] = {
    {"rate_limit_exceeded", "Resend's rate limit is reached", true},
    {"concurrent_idempotent_requests", "Resend is at work on the same mail", true},
    {"daily_quota_exceeded",
     "the account's quota of mails for the day is used up: raise it or redrive tomorrow",
     false},
    {"monthly_quota_exceeded",
     "the account's quota of mails for the month is used up: raise it", false},
    {"invalid_idempotent_request",
     "Resend knows this idempotency key with another mail; the first one's result stands",
     false},
};

static enum sb_verdict send_failed(const struct sb_event *event,
                                   const struct sb_answer *answer,
                                   struct sb_outcome *outcome)
{
    const struct sb_json *error = sb_answer_json(answer);
    const char *name = sb_text(error, "name"), *message = sb_text(error, "message");
    unsigned status = sb_status(answer);

    sb_put_text(sb_result(outcome), "code", name);
    for (size_t i = 0; name && i < sizeof(errors) / sizeof(errors[0]); i++)
        if (strcmp(errors[i].name, name) == 0)
            return errors[i].is_retry ? sb_retry(outcome, 0, "%s", errors[i].says)
                                      : sb_fail(outcome, "%s", errors[i].says);
    if (status == 401 || (status == 403 && name && strstr(name, "api_key")))
        return mail_key_refused(event, "Resend", status, outcome);
    if (status >= 400 && status < 500 && status != 408 && status != 425 && status != 429)
        return sb_fail(outcome, "Resend refused the mail (%u%s%s): %s", status,
                       name ? ", " : "", name ? name : "",
                       message ? message : "it gave no reason");
    return sb_default(outcome, "Resend answered %u%s%s", status, name ? ", " : "",
                      name ? name : "");
}

const struct sb_operation resend_operations[] = {
    {EMAIL_SEND, SB_BRANCHES(send_request, send_succeeded, send_failed),
     .repeat = SB_REPEAT_KEYED, .key_lifetime_s = KEY_LIFETIME_S, .price = mail_price,
     .price_most = mail_price_most, .example = EMAIL_EXAMPLE,
     .price_text = "per mail accepted, in tiers of a monthly plan: ten times the mails "
                   "are another tier, and above a tier each mail is charged by itself",
     .example_answer = "{\"id\":\"49a3999c-0ce1-4ea6-ab68-afcd6dc2e794\"}",
     .test = "to delivered@resend.dev, bounced@resend.dev or complained@resend.dev, at "
             "Resend and in signalbox's sandbox"},
    {.name = NULL},
};

/* --- webhooks --- */

/* Tags come back as an object, in older events as a list of name and value. */
static const char *request_of(const struct sb_json *data)
{
    const char *id = sb_text(data, "tags." MAIL_EVENT_TAG);
    const struct sb_json *tags = sb_at(data, "tags");

    for (size_t i = 0; !id && !sb_is_object(tags, "") && i < sb_count(tags, ""); i++) {
        const char *name = sb_text(sb_element(tags, i), "name");
        if (name && strcmp(name, MAIL_EVENT_TAG) == 0)
            id = sb_text(sb_element(tags, i), "value");
    }
    return id;
}

static enum sb_verdict happened(const struct sb_event *event, struct sb_outcome *outcome)
{
    static const char *const reasons[] = {"bounce.message", "failed.reason",
                                          "suppressed.message", NULL};
    const struct sb_json *data = sb_at(sb_data(event), "data");
    struct sb_json *result = sb_result(outcome);

    if (!sb_text(data, "email_id"))
        return sb_fail(outcome, "not an event of Resend: data.email_id is missing");
    sb_put_text(result, "provider", "resend");
    sb_put_text(result, "provider_type", sb_text(sb_data(event), "type"));
    sb_put_text(result, "recipient", sb_text(data, "to.0"));
    if (sb_count(data, "to") > 1)
        sb_put(result, "recipients", sb_at(data, "to"));
    sb_put_text(result, "message_id", sb_text(data, "email_id"));
    sb_put_text(result, "request", request_of(data));
    sb_put(result, "at", sb_at(sb_data(event), "created_at"));
    for (size_t i = 0; reasons[i]; i++)
        sb_put_text(result, "reason", sb_text(data, reasons[i]));
    sb_put_text(result, "kind", sb_text(data, "bounce.type"));
    sb_put_text(result, "url", sb_text(data, "click.link"));
    return SB_DONE;
}

#define SIMULATED "signalbox simulate, in the sandbox"

const struct sb_webhook resend_webhooks[] = {
    {"email.delivered", "email.delivered", "mail: accepted -> delivered", happened,
     SIMULATED},
    {"email.delivery_delayed", "email.deferred",
     "mail: accepted -> delayed, Resend tries again", happened, SIMULATED},
    {"email.bounced", "email.bounced", "mail: accepted -> bounced", happened, SIMULATED},
    {"email.failed", "email.bounced", "mail: accepted -> could not be sent", happened,
     SIMULATED},
    {"email.suppressed", "email.bounced",
     "mail: accepted -> not tried, the address is suppressed", happened, SIMULATED},
    {"email.complained", "email.complained", "recipient: subscribed -> complained",
     happened, SIMULATED},
    {"email.opened", "email.opened", "mail: delivered -> opened", happened, SIMULATED},
    {"email.clicked", "email.clicked", "mail: delivered -> clicked", happened, SIMULATED},
    {.event = NULL},
};

const struct sb_failure_mode resend_failures[] = {
    {"mail refused", "permanent: Resend refused the mail",
     "the input is wrong or the sender's domain is not verified; the text says what"},
    {"API key refused", "permanent: Resend does not accept the API key",
     "set the secret api_key, then redrive what failed"},
    {"quota used up", "permanent: the account's quota of mails is used up",
     "raise the plan, or redrive when the day or month is over"},
    {"rate limit", "a retry: Resend's rate limit is reached",
     "tried again after a pause"},
    {"answer lost",
     "unknown, once the key's lifetime (24 h) is over; before that a retry",
     "sent again under the same key, which cannot send it twice"},
    {"Resend broken", "exhausted, with the last answer",
     "tried again under the same key until attempts or deadline end"},
    {"address bounces", "an event email.bounced", "stop writing to the address"},
    {.name = NULL},
};
