/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - a Twilio to practise on: messages, and status callbacks
 *
 * Any account is taken with the auth token.  Twilio's magic numbers mean what they mean
 * there (see `numbers`); +15005550010 is not delivered.  Status callbacks go to the
 * sandbox's webhook address, and only for messages that name a StatusCallback.  A
 * message's effect is counted under its number and text. */
#include <stdio.h>
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

#define ACCOUNTS    "/2010-04-01/Accounts/"
#define UNDELIVERED "+15005550010"
enum { SEGMENT = 160, TEXT_MAX = 1600 };

/* Twilio's test numbers and what a message to them, or from them, is refused with. */
static const struct {
    const char *number;
    unsigned to_code;
    const char *to_message;
    unsigned from_code;
    const char *from_message;
} numbers[] = {
    {"+15005550001", 21211, "Invalid 'To' Phone Number", 21212,
     "Invalid 'From' Phone Number"},
    {"+15005550002", 21612,
     "Message cannot be sent with the current combination of 'To' "
     "and/or 'From' parameters",
     0, NULL},
    {"+15005550003", 21408,
     "Permission to send an SMS has not been enabled for the "
     "region indicated by the 'To' number",
     0, NULL},
    {"+15005550004", 21610, "Attempt to send to unsubscribed recipient", 0, NULL},
    {"+15005550007", 0, NULL, 21606,
     "The 'From' phone number provided is not a valid "
     "message-capable Twilio phone number"},
    {"+15005550008", 0, NULL, 21611,
     "This 'From' number has exceeded the maximum number "
     "of queued messages"},
    {"+15005550009", 21614, "'To' number is not a valid mobile number", 0, NULL},
};

/* --- errors: {"code","message","more_info","status"} --- */

static bool no(struct provider_answer *answer, unsigned status, unsigned code,
               const char *message)
{
    _free_ char *more = mem_format("https://www.twilio.com/docs/errors/%u", code);
    struct json *body = js_set_int(js_object(), "code", code);

    js_set_text(body, "message", message);
    js_set_text(body, "more_info", more);
    provider_answer(answer, status, js_set_int(body, "status", status));
    return false;
}

static void refuse(unsigned status, struct provider_answer *answer)
{
    if (status == 429)
        no(answer, status, 20429, "Too Many Requests");
    else
        no(answer, status, 20500, "Internal Server Error");
}

/* --- who calls --- */

static bool is_allowed(const struct account *twilio, const struct provider_call *call)
{
    const char *value = provider_call_header(call, "Authorization");
    struct buf plain = BUF_NULL;
    bool is_good = false;

    if (value && strncasecmp(value, "Basic ", 6) == 0 &&
        text_parse_base64(value + 6, strlen(value + 6), &plain)) {
        const char *colon = strchr(buf_str(&plain), ':');
        is_good = colon && colon[1] &&
                  (!twilio->api_key || strcmp(colon + 1, twilio->api_key) == 0);
    }
    buf_fini(&plain);
    return is_good;
}

/* The account in /2010-04-01/Accounts/AC.../Messages.json; to be freed, NULL for another
 * path. */
static char *account_in(const char *path)
{
    size_t n = strlen(ACCOUNTS);
    const char *account = strncmp(path, ACCOUNTS, n) == 0 ? path + n : "";
    size_t len = strcspn(account, "/");

    return len && strcmp(account + len, "/Messages.json") == 0 ? mem_copy(account, len)
                                                               : NULL;
}

/* --- messages --- */

static bool message_ok(const struct form *form, struct provider_answer *answer)
{
    const char *to = form_get(form, "To"), *from = form_get(form, "From"),
               *text = form_get(form, "Body");

    if (!to || !*to)
        return no(answer, 400, 21604, "A 'To' phone number is required.");
    if (!from && !form_get(form, "MessagingServiceSid"))
        return no(answer, 400, 21603, "A 'From' phone number is required.");
    if (!text || !*text)
        return no(answer, 400, 21602, "Message body is required.");
    if (strlen(text) > TEXT_MAX)
        return no(answer, 400, 21617,
                  "The concatenated message body exceeds the 1600 character limit");
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        if (numbers[i].to_code && strcmp(numbers[i].number, to) == 0)
            return no(answer, 400, numbers[i].to_code, numbers[i].to_message);
        if (numbers[i].from_code && from && strcmp(numbers[i].number, from) == 0)
            return no(answer, 400, numbers[i].from_code, numbers[i].from_message);
    }
    return true;
}

static void put_field(struct buf *out, const char *name, const char *value)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

    buf_format(out, "%s%s=", out->len ? "&" : "", name);
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;
        if (strchr(plain, *value))
            buf_add(out, &c, 1);
        else
            buf_format(out, "%%%02X", c);
    }
}

/* A status callback, its fields in the order of their names. */
static void callback_body(struct buf *out, const char *account, const char *sid,
                          const char *status, const char *to, const char *from)
{
    put_field(out, "AccountSid", account);
    if (strcmp(status, "undelivered") == 0 || strcmp(status, "failed") == 0)
        put_field(out, "ErrorCode", "30005");
    put_field(out, "From", from);
    put_field(out, "MessageSid", sid);
    put_field(out, "MessageStatus", status);
    put_field(out, "SmsSid", sid);
    put_field(out, "SmsStatus", status);
    put_field(out, "To", to);
}

static void tell(struct account *twilio, const char *account, const char *sid,
                 const struct form *form)
{
    const char *to = form_get(form, "To"), *from = form_get(form, "From");
    const char *const statuses[] = {"sent", strcmp(to, UNDELIVERED) == 0 ? "undelivered"
                                                                         : "delivered"};

    for (size_t i = 0; i < 2; i++) {
        struct provider_event event = {.body = BUF_NULL};
        provider_id("EV", 32, event.id);
        callback_body(&event.body, account, sid, statuses[i], to, from ? from : "");
        twilio->options.on_event(twilio->options.user, &event);
        buf_fini(&event.body);
    }
}

static void set_null(struct json *object, const char *name)
{
    js_set(object, name, js_null());
}

static struct json *message_json(const char *account, const char *sid,
                                 const struct form *form)
{
    struct json *body = js_set_text(js_object(), "sid", sid);
    const char *text = form_get(form, "Body");
    char segments[24];

    snprintf(segments, sizeof(segments), "%zu", (strlen(text) + SEGMENT - 1) / SEGMENT);
    js_set_text(body, "account_sid", account);
    js_set_text(body, "to", form_get(form, "To"));
    js_set_text(body, "from", form_get(form, "From"));
    js_set_text(body, "body", text);
    js_set_text(body, "status", "queued");
    js_set_text(body, "num_segments", segments);
    js_set_text(body, "direction", "outbound-api");
    js_set_text(body, "api_version", "2010-04-01");
    js_set_text(body, "price_unit", "USD");
    set_null(body, "price"); /* told later, as at Twilio */
    set_null(body, "error_code");
    set_null(body, "error_message");
    return body;
}

static void send_message(struct account *twilio, const char *account,
                         const struct form *form, struct provider_answer *answer)
{
    _free_ char *effect =
        mem_format("%s %s", form_get(form, "To"), form_get(form, "Body"));
    char sid[PROVIDER_ID_SIZE];

    if (!effects_add(&twilio->effects, effect)) {
        no(answer, 503, 20503, "The sandbox is full; start it again.");
        return;
    }
    provider_id("SM", 32, sid);
    provider_answer(answer, 201, message_json(account, sid, form));
    if (twilio->options.on_event && form_get(form, "StatusCallback"))
        tell(twilio, account, sid, form);
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    struct account *twilio = state;
    _free_ char *account = account_in(call->path);
    struct form form = FORM_NULL;

    if (!is_allowed(twilio, call))
        no(answer, 401, 20003, "Authenticate");
    else if (!account || strcmp(call->method, "POST") != 0)
        no(answer, 404, 20404, "The requested resource was not found");
    else if (!form_read(&form, call->body, call->body_len))
        no(answer, 400, 20001, "Too many parameters");
    else if (message_ok(&form, answer))
        send_message(twilio, account, &form, answer);
    form_fini(&form);
}

/* --- webhooks --- */

/* `type` is the gateway's: message.STATUS. */
static bool make_event(void *state, const char *type, const struct json *data,
                       uint64_t now_us, struct provider_event *ret)
{
    char sid[PROVIDER_ID_SIZE];

    (void)state, (void)now_us;
    if (strncmp(type, "message.", 8) != 0 || !type[8])
        return false;
    provider_id("SM", 32, sid);
    provider_id("EV", 32, ret->id);
    callback_body(&ret->body, js_text(data, "AccountSid", "AC0SANDBOX"),
                  js_text(data, "MessageSid", sid), type + 8,
                  js_text(data, "To", "+15551234567"),
                  js_text(data, "From", "+15005550006"));
    return true;
}

/* X-Twilio-Signature: base64 of HMAC-SHA1 over the address and every field's name and
 * value, sorted by name, as callback_body has them. */
static void sign(const struct provider_signing *signing, struct provider_headers *ret)
{
    struct buf fields = BUF_NULL, text = BUF_NULL;
    struct form form = FORM_NULL;
    uint8_t mac[CRYPTO_SHA1_SIZE];

    (void)form_read(&form, signing->body, signing->len); /* it was written here */
    for (size_t i = 0; i < form.n; i++)
        buf_format(&fields, "%s%s", form.fields[i].name, form.fields[i].value);
    struct crypto_part parts[] = {{signing->url, strlen(signing->url)},
                                  {buf_str(&fields), fields.len}};
    crypto_hmac_sha1(signing->secret, strlen(signing->secret), parts, 2, mac);
    text_base64(mac, sizeof(mac), &text);
    provider_header(ret, "X-Twilio-Signature", "%s", buf_str(&text));
    form_fini(&form);
    buf_fini(&fields);
    buf_fini(&text);
}

const struct provider twilio_row = {
    .name = "twilio",
    .test_key = "",
    .webhook_type = "application/x-www-form-urlencoded",
    .agent = "TwilioProxy/1.1",
    .signs_with_key = true,
    .open = account_open,
    .close = account_close,
    .call = call_row,
    .effects = account_effects,
    .refuse = refuse,
    .make_event = make_event,
    .sign = sign,
};
