/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* row - a Twilio to practise on: messages, and status callbacks
 *
 * Any account is taken with the auth token.  Twilio's magic numbers mean what they mean
 * there (see `numbers`); +15005550010 is not delivered.  Status callbacks go to the
 * sandbox's webhook address, and only for messages that name a StatusCallback.  The list
 * of messages goes by To and From.  A message's effect is counted under its number and
 * text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/base/form.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"
#include "sandbox/account.h"
#include "sandbox/rows.h"

#define ACCOUNTS    "/2010-04-01/Accounts/"
#define UNDELIVERED "+15005550010"
enum {
    SEGMENT = 160,
    TEXT_MAX = 1600,
    LISTED_MAX = 1000, /* newest messages that are listed; older ones are forgotten */
    PAGE = 50,         /* messages of a list where PageSize says nothing */
};

struct twilio {
    struct account *account;
    struct json *messages[LISTED_MAX]; /* a ring: number n stands at n % LISTED_MAX */
    uint64_t n;                        /* made so far */
};

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

static bool is_allowed(const struct account *account, const struct provider_call *call)
{
    const char *value = provider_call_header(call, "Authorization");
    struct buf plain = BUF_NULL;
    bool is_good = false;

    if (value && strncasecmp(value, "Basic ", 6) == 0 &&
        text_parse_base64(value + 6, strlen(value + 6), &plain)) {
        const char *colon = strchr(buf_str(&plain), ':');
        is_good = colon && colon[1] &&
                  (!account->api_key || strcmp(colon + 1, account->api_key) == 0);
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

static void tell(const struct provider_options *options, const char *account,
                 const char *sid, const struct form *form)
{
    const char *to = form_get(form, "To"), *from = form_get(form, "From");
    const char *const statuses[] = {"sent", strcmp(to, UNDELIVERED) == 0 ? "undelivered"
                                                                         : "delivered"};

    for (size_t i = 0; i < 2; i++) {
        struct provider_event event = {.body = BUF_NULL};
        provider_id("EV", 32, event.id);
        callback_body(&event.body, account, sid, statuses[i], to, from ? from : "");
        options->on_event(options->user, &event);
        buf_fini(&event.body);
    }
}

static void set_null(struct json *object, const char *name)
{
    js_set(object, name, js_null());
}

static struct json *message_json(const char *account, const char *sid,
                                 const struct form *form, uint64_t now_us)
{
    struct json *body = js_set_text(js_object(), "sid", sid);
    const char *text = form_get(form, "Body");
    time_t now = (time_t)(now_us / 1000000);
    char segments[24], date[40];
    struct tm tm;

    strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", gmtime_r(&now, &tm));
    js_set_text(body, "date_created", date);
    js_set_text(body, "messaging_service_sid", form_get(form, "MessagingServiceSid"));

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

static void send_message(struct twilio *twilio, const struct provider_call *call,
                         const char *account, const struct form *form,
                         struct provider_answer *answer)
{
    const struct provider_options *options = &twilio->account->options;
    struct json **place = &twilio->messages[twilio->n % LISTED_MAX];
    _free_ char *effect =
        mem_format("%s %s", form_get(form, "To"), form_get(form, "Body"));
    char sid[PROVIDER_ID_SIZE];

    if (!effects_add(&twilio->account->effects, effect)) {
        no(answer, 503, 20503, "The sandbox is full; start it again.");
        return;
    }
    provider_id("SM", 32, sid);
    js_free(*place);
    *place = message_json(account, sid, form, call->now_us);
    twilio->n++;
    provider_answer(answer, 201, js_copy(*place));
    if (options->on_event && form_get(form, "StatusCallback"))
        tell(options, account, sid, form);
}

static bool is_wanted(const struct json *message, const struct form *query)
{
    const char *to = form_get(query, "To"), *from = form_get(query, "From");

    return (!to || strcmp(to, js_text(message, "to", "")) == 0) &&
           (!from || strcmp(from, js_text(message, "from", "")) == 0);
}

/* Newest first, by To and From; one page. */
static void list_messages(const struct twilio *twilio, const struct form *query,
                          struct provider_answer *answer)
{
    const char *size = form_get(query, "PageSize");
    struct json *list = js_array(), *body = js_object();
    uint64_t left = size ? strtoull(size, NULL, 10) : PAGE,
             oldest = twilio->n > LISTED_MAX ? twilio->n - LISTED_MAX : 0;

    js_set_int(js_set_int(body, "page", 0), "page_size", (int64_t)left);
    for (uint64_t i = twilio->n; left && i-- > oldest;) {
        const struct json *message = twilio->messages[i % LISTED_MAX];
        if (!is_wanted(message, query))
            continue;
        js_push(list, js_copy(message));
        left--;
    }
    provider_answer(answer, 200, js_set(body, "messages", list));
}

static void call_row(void *state, const struct provider_call *call,
                     struct provider_answer *answer)
{
    struct twilio *twilio = state;
    _free_ char *account = account_in(call->path);
    struct form form = FORM_NULL;
    bool is_get = strcmp(call->method, "GET") == 0;
    const char *text = is_get ? call->query ? call->query : "" : call->body;
    size_t n = is_get ? strlen(text) : call->body_len;

    if (!is_allowed(twilio->account, call))
        no(answer, 401, 20003, "Authenticate");
    else if (!account || (!is_get && strcmp(call->method, "POST") != 0))
        no(answer, 404, 20404, "The requested resource was not found");
    else if (!form_read(&form, text, n))
        no(answer, 400, 20001, "Too many parameters");
    else if (is_get)
        list_messages(twilio, &form, answer);
    else if (message_ok(&form, answer))
        send_message(twilio, call, account, &form, answer);
    form_fini(&form);
}

static void *open_row(const struct provider_options *options)
{
    struct twilio *twilio = mem_alloc(sizeof(*twilio));

    twilio->account = account_open(options);
    return twilio;
}

static void close_row(void *state)
{
    struct twilio *twilio = state;

    account_close(twilio->account);
    for (size_t i = 0; i < LISTED_MAX; i++)
        js_free(twilio->messages[i]);
    free(twilio);
}

static struct json *effects(const void *state)
{
    return account_effects(((const struct twilio *)state)->account);
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
    .open = open_row,
    .close = close_row,
    .call = call_row,
    .effects = effects,
    .refuse = refuse,
    .make_event = make_event,
    .sign = sign,
};
