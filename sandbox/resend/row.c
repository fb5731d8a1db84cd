/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - a Resend to practise on: POST /emails with idempotency, and webhooks as Svix
 * signs them
 *
 * A mail's effect is counted under its Idempotency-Key, or without one under its first
 * recipient and subject.  What becomes of it its recipients decide (sandbox/mailbox.h,
 * which has Resend's own delivered@, bounced@ and complained@resend.dev in it); a sender
 * at unverified.example is refused, quota@resend.dev is over the day's quota. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "sandbox/effects.h"
#include "sandbox/mailbox.h"
#include "sandbox/rows.h"
#include "sandbox/standard.h"

enum { KEY_MAX = 256 };

/* What came first under an idempotency key. */
struct saved {
    uint64_t fingerprint;
    char id[ID_TEXT_SIZE];
};

struct resend {
    struct provider_options options;
    char *api_key;
    struct table saved;
    struct effects effects;
};

static void *open_row(const struct provider_options *options)
{
    struct resend *resend = mem_alloc(sizeof(*resend));

    resend->options = *options;
    resend->api_key = mem_text(options->api_key);
    return resend;
}

static void close_row(void *state)
{
    struct resend *resend = state;
    const struct table_entry *entry;

    for (size_t at = 0; (entry = table_next(&resend->saved, &at));)
        free(entry->value);
    table_fini(&resend->saved);
    effects_fini(&resend->effects);
    free(resend->api_key);
    free(resend);
}

static struct json *effects(const void *state)
{
    return effects_json(&((const struct resend *)state)->effects);
}

/* --- errors: {"statusCode","name","message"} --- */

static bool no(struct provider_answer *answer, unsigned status, const char *name,
               const char *message)
{
    struct json *body = js_set_int(js_object(), "statusCode", status);

    js_set_text(body, "name", name);
    provider_answer(answer, status, js_set_text(body, "message", message));
    return false;
}

static void refuse(unsigned status, struct provider_answer *answer)
{
    if (status == 429)
        no(answer, status, "rate_limit_exceeded",
           "Too many requests. You can only make 2 requests per second.");
    else
        no(answer, status, "application_error", "An unexpected error occurred.");
}

/* --- mails --- */

/* `to` may be a text or a list. */
static const char *recipient(const struct json *mail, size_t i)
{
    const struct json *to = js_get(mail, "to");

    return js_is_array(to) ? js_text(js_at(to, i), NULL, NULL)
           : i == 0        ? js_text(to, NULL, NULL)
                           : NULL;
}

static bool mail_ok(const struct json *mail, struct provider_answer *answer)
{
    static const char *const needed[] = {"from", "subject", NULL};
    const char *to;

    for (size_t i = 0; needed[i]; i++)
        if (!js_text(mail, needed[i], NULL)) {
            _free_ char *message = mem_format("Missing `%s` field.", needed[i]);
            return no(answer, 422, "missing_required_field", message);
        }
    if (!recipient(mail, 0))
        return no(answer, 422, "missing_required_field", "Missing `to` field.");
    if (!js_text(mail, "text", NULL) && !js_text(mail, "html", NULL))
        return no(answer, 422, "missing_required_field",
                  "Missing `html` or `text` field.");
    if (mailbox_is_unverified(js_text(mail, "from", "")))
        return no(answer, 403, "validation_error",
                  "The unverified.example domain is not verified. Please, add and verify "
                  "your domain on https://resend.com/domains");
    for (size_t i = 0; (to = recipient(mail, i)); i++) {
        if (mailbox_is_invalid(to))
            return no(answer, 422, "validation_error",
                      "Invalid `to` field. The email address needs to follow the "
                      "`email@example.com` or `Name <email@example.com>` format.");
        if (strstr(to, "quota@resend.dev"))
            return no(answer, 429, "daily_quota_exceeded",
                      "You have reached your daily email sending quota.");
    }
    return true;
}

/* --- events --- */

static const char *const names[] = {
    [MAILBOX_DELIVERED] = "email.delivered",
    [MAILBOX_DEFERRED] = "email.delivery_delayed",
    [MAILBOX_BOUNCED] = "email.bounced",
    [MAILBOX_COMPLAINED] = "email.complained",
    [MAILBOX_DROPPED] = "email.suppressed",
    [MAILBOX_OPENED] = "email.opened",
    [MAILBOX_CLICKED] = "email.clicked",
};

static struct json *event_json(const char *name, const char *id, const struct json *mail,
                               uint64_t now_us)
{
    char time[TEXT_TIME_SIZE];
    struct json *data = js_set_text(js_object(), "email_id", id), *tags = js_object();
    const struct json *list = js_get(mail, "tags");

    text_time(now_us, time);
    js_set_text(data, "created_at", time);
    js_set_text(data, "from", js_text(mail, "from", "shop@example.com"));
    js_set_text(data, "subject", js_text(mail, "subject", "Hello"));
    for (size_t i = 0; i < js_count(list); i++)
        js_set_text(tags, js_text(js_at(list, i), "name", "?"),
                    js_text(js_at(list, i), "value", ""));
    js_set(data, "tags", tags);
    if (strcmp(name, "email.bounced") == 0)
        js_set(data, "bounce",
               js_set_text(js_set_text(js_object(), "type", "Permanent"), "message",
                           "The recipient's email address does not exist."));
    if (strcmp(name, "email.clicked") == 0)
        js_set(data, "click", js_set_text(js_object(), "link", "https://example.com/"));
    struct json *event = js_set_text(js_object(), "type", name);
    js_set_text(event, "created_at", time);
    return js_set(event, "data", data);
}

static void set_recipient(struct json *event, const char *address)
{
    struct json *to = js_push(js_array(), js_from_text(address, strlen(address)));

    js_set((struct json *)(uintptr_t)js_get(event, "data"), "to", to);
}

static void tell(struct resend *resend, const char *id, const struct json *mail,
                 uint64_t now_us)
{
    const char *to;

    for (size_t i = 0; (to = recipient(mail, i)); i++) {
        enum mailbox_event events[MAILBOX_EVENTS_MAX];
        size_t n = mailbox_events(to, events);
        for (size_t k = 0; k < n; k++) {
            struct provider_event out = {.body = BUF_NULL};
            struct json *event =
                event_json(names[events[k]], id, mail, now_us + k * 1000000);
            set_recipient(event, to);
            provider_id("msg_", 27, out.id);
            provider_event_body(&out, event);
            resend->options.on_event(resend->options.user, &out);
            buf_fini(&out.body);
        }
    }
}

/* --- idempotency --- */

/* False when the key is answered with what came before, or refused. */
static bool is_new(struct resend *resend, const struct provider_call *call,
                   const char *key, struct provider_answer *answer)
{
    const struct saved *saved = key ? table_find(&resend->saved, key) : NULL;

    if (key && (!*key || strlen(key) > KEY_MAX))
        return no(answer, 400, "invalid_idempotency_key",
                  "The key must be between 1-256 chars.");
    if (!saved)
        return true;
    if (saved->fingerprint != hash64(call->body, call->body_len))
        return no(answer, 409, "invalid_idempotent_request",
                  "This idempotency key has been used on a request with a different "
                  "payload.");
    answer->is_replayed = true;
    provider_answer(answer, 200, js_set_text(js_object(), "id", saved->id));
    return false;
}

static void accept_mail(struct resend *resend, const struct provider_call *call,
                        const struct json *mail, const char *key,
                        struct provider_answer *answer)
{
    struct saved *saved = mem_alloc(sizeof(*saved));
    _free_ char *effect =
        key ? mem_text(key)
            : mem_format("%s %s", recipient(mail, 0), js_text(mail, "subject", ""));
    uint8_t id[16];

    if (!effects_add(&resend->effects, effect)) {
        no(answer, 503, "application_error", "The sandbox is full; start it again.");
        free(saved);
        return;
    }
    id_new(call->now_us, id);
    id_format(id, saved->id);
    saved->fingerprint = hash64(call->body, call->body_len);
    provider_answer(answer, 200, js_set_text(js_object(), "id", saved->id));
    if (resend->options.on_event)
        tell(resend, saved->id, mail, call->now_us);
    if (key)
        table_add(&resend->saved, key, saved);
    else
        free(saved);
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    struct resend *resend = state;
    const char *token = provider_bearer(call),
               *key = provider_call_header(call, "Idempotency-Key");
    struct json *mail = NULL;

    if (!token)
        no(answer, 401, "missing_api_key",
           "Missing API key in the authorization header.");
    else if (!provider_key_fits(token, resend->api_key, resend_row.test_key))
        no(answer, 403, "invalid_api_key", "API key is invalid");
    else if (!provider_is(call, "POST", "/emails"))
        no(answer, 404, "not_found", "The requested endpoint does not exist.");
    else if (!(mail = provider_json(call)))
        no(answer, 400, "validation_error", "The body is not a JSON object.");
    else if (is_new(resend, call, key, answer) && mail_ok(mail, answer))
        accept_mail(resend, call, mail, key, answer);
    js_free(mail);
}

/* --- webhooks --- */

static bool make_event(void *state, const char *type, const struct json *data,
                       uint64_t now_us, struct provider_event *ret)
{
    uint8_t id[16];
    char text[ID_TEXT_SIZE];

    (void)state;
    if (strncmp(type, "email.", 6) != 0)
        return false;
    id_new(now_us, id);
    id_format(id, text);
    struct json *event = event_json(type, text, NULL, now_us);
    set_recipient(event, "someone@example.com");
    provider_override((struct json *)(uintptr_t)js_get(event, "data"), data);
    provider_id("msg_", 27, ret->id);
    provider_event_body(ret, event);
    return true;
}

static void sign(const struct provider_signing *signing, struct provider_headers *ret)
{
    static const struct standard_names svix = {
        .signature = "svix-signature", .id = "svix-id", .time = "svix-timestamp"};

    standard_sign(signing, &svix, ret);
}

const struct provider resend_row = {
    .name = "resend",
    .test_key = "re_",
    .webhook_type = "application/json",
    .agent = "Svix-Webhooks/1.0",
    .signs_time = true,
    .open = open_row,
    .close = close_row,
    .call = call_row,
    .effects = effects,
    .refuse = refuse,
    .make_event = make_event,
    .sign = sign,
};
