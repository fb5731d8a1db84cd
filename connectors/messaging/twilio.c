/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* twilio - SMS through Twilio's API of 2010-04-01, and its status callbacks
 *
 * There is no idempotency key.  Where an answer was lost, the account's list of messages
 * is asked for one with this recipient, sender and text that was made since the request
 * came: the list knows no more of whose it is.  A price is told only later, so the cost
 * is estimated from the number of parts; the price of one is an option, because it
 * depends on the country. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "messaging.h"

enum {
    TEXT_MAX = 1600,        /* characters; Twilio refuses more (21617) */
    NUMBER_DIGITS_MAX = 15, /* E.164 */
    LISTED_MAX = 100,       /* messages to the recipient that a lookup looks through */
    LOOKUP_AFTER_S = 20,    /* a message is in the list as soon as it is made; a call that
                               was given up may still be on its way */
};

const struct sb_option twilio_options[] = {
    {"account_sid", SB_TEXT, NULL, true, "the account (AC...), from the console"},
    {"api_key_sid", SB_TEXT, NULL, false,
     "an API key (SK...), where auth_token is that key's secret and not the account's"},
    {"from", SB_TEXT, NULL, true,
     "the number that sends (+15551234567), or a messaging service (MG...) that chooses "
     "one"},
    {"status_callback", SB_TEXT, NULL, false,
     "the public address of the webhook that hears what becomes of a message"},
    {"segment_price", SB_INT, NULL, false,
     "estimate of the cost: millionths of price_currency per part of a message"},
    {"price_currency", SB_TEXT, "USD", false, "the currency of segment_price"},
    {.name = NULL},
};

const struct sb_secret twilio_secrets[] = {
    {"auth_token",
     "the account's auth token, or the secret of the API key in api_key_sid",
     "make a secondary token (or another API key), `signalbox secret rotate`, then "
     "promote "
     "it",
     false},
    {.name = NULL},
};

/* --- send --- */

/* +15551234567, with a channel before it where it is not SMS ("whatsapp:+1..."). */
static bool is_number(const char *text)
{
    const char *digits = text && strncmp(text, "whatsapp:", 9) == 0 ? text + 9 : text;
    size_t n = digits && *digits == '+' ? strspn(digits + 1, "0123456789") : 0;

    return n >= 2 && n <= NUMBER_DIGITS_MAX && !digits[1 + n];
}

static void call_messages(const struct sb_event *event, struct sb_request *request,
                          const char *method)
{
    const char *account = sb_option(event, "account_sid"),
               *key = sb_option(event, "api_key_sid");

    sb_call(request, method, "/2010-04-01/Accounts");
    sb_segment(request, account);
    sb_segment(request, "Messages.json");
    sb_basic(request, key ? key : account, "auth_token");
    sb_field(request, "To", sb_text(sb_data(event), "to"));
}

static bool is_service(const char *from)
{
    return strncmp(from, "MG", 2) == 0;
}

static enum sb_verdict send_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);
    const char *from = sb_option(event, "from");

    if (text_check(event, TEXT_MAX, outcome) != SB_DONE)
        return SB_FAILED;
    if (!is_number(sb_text(data, "to")))
        return sb_fail(outcome, "to must be a number like +15551234567 (E.164)");
    call_messages(event, request, "POST");
    sb_field(request, is_service(from) ? "MessagingServiceSid" : "From", from);
    sb_field(request, "Body", sb_text(data, "text"));
    sb_field(request, "StatusCallback", sb_option(event, "status_callback"));
    return SB_DONE;
}

/* "-0.00750" as millionths: 7500. False when it is no such number. */
static bool read_price(const char *text, int64_t *ret)
{
    int64_t millionths = 0;
    int decimals = -1;

    if (!text || !*text)
        return false;
    for (text += *text == '-'; *text; text++) {
        if (*text == '.' && decimals < 0) {
            decimals = 0;
            continue;
        }
        if (*text < '0' || *text > '9' || millionths > INT64_MAX / 10000000)
            return false;
        if (decimals >= 6)
            continue;
        millionths = millionths * 10 + (*text - '0');
        decimals += decimals >= 0;
    }
    for (decimals = decimals < 0 ? 0 : decimals; decimals < 6; decimals++)
        millionths *= 10;
    *ret = millionths;
    return true;
}

static void estimate(const struct sb_event *event, int64_t segments,
                     struct sb_outcome *outcome)
{
    int64_t sum;

    if (sb_option(event, "segment_price") &&
        !__builtin_mul_overflow(sb_option_int(event, "segment_price"), segments, &sum))
        sb_cost(outcome, SB_ESTIMATED, sb_option(event, "price_currency"), sum);
}

static void put_cost(const struct sb_event *event, const struct sb_json *message,
                     struct sb_outcome *outcome)
{
    const char *segments = sb_text(message, "num_segments"),
               *unit = sb_text(message, "price_unit");
    int64_t price, n = segments ? strtoll(segments, NULL, 10) : 0;

    if (unit && strlen(unit) == 3 && read_price(sb_text(message, "price"), &price))
        sb_cost(outcome, SB_ACTUAL, unit, price);
    else if (n > 0)
        estimate(event, n, outcome);
}

/* What a message means: the same from the answer to it and from a lookup. */
static enum sb_verdict message_outcome(const struct sb_event *event,
                                       const struct sb_json *message,
                                       struct sb_outcome *outcome)
{
    const char *sid = sb_text(message, "sid"), *status = sb_text(message, "status");
    struct sb_json *result = sb_result(outcome);
    int64_t code = 0;

    if (!sid || !status)
        return sb_unclear(outcome, "not what Twilio answers to a message");
    sb_put_text(result, "provider", "twilio");
    sb_put_text(result, "message_id", sid);
    sb_put_text(result, "status", status);
    sb_put_text(result, "segments", sb_text(message, "num_segments"));
    if (strcmp(status, "failed") == 0 || strcmp(status, "undelivered") == 0) {
        sb_int(message, "error_code", &code);
        return sb_fail(outcome, "Twilio took the message and could not send it (%lld)",
                       (long long)code);
    }
    put_cost(event, message, outcome);
    return SB_DONE;
}

static enum sb_verdict send_succeeded(const struct sb_event *event,
                                      const struct sb_answer *answer,
                                      struct sb_outcome *outcome)
{
    return message_outcome(event, sb_answer_json(answer), outcome);
}

/* --- did it happen? --- */

static enum sb_verdict send_lookup(const struct sb_event *event,
                                   struct sb_request *request, struct sb_outcome *outcome)
{
    const char *from = sb_option(event, "from");

    (void)outcome;
    call_messages(event, request, "GET");
    sb_field(request, "From", is_service(from) ? NULL : from);
    sb_field_int(request, "PageSize", LISTED_MAX);
    return SB_DONE;
}

/* "Wed, 25 Nov 2026 21:00:00 +0000" in seconds since 1970; 0 when it is no such time. */
static int64_t made_at_s(const struct sb_json *message)
{
    const char *text = sb_text(message, "date_created");
    struct tm tm = {0};
    const char *end = text ? strptime(text, "%a, %d %b %Y %H:%M:%S +0000", &tm) : NULL;

    return end && !*end ? (int64_t)timegm(&tm) : 0;
}

/* The account's own words may stand before ours ("Sent from your Twilio trial account
 * -"). */
static bool ends_with(const char *text, const char *end)
{
    size_t n = text ? strlen(text) : 0, m = strlen(end);

    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_ours(const struct sb_event *event, const struct sb_json *message)
{
    const char *from = sb_option(event, "from"),
               *service = sb_text(message, "messaging_service_sid");

    return ends_with(sb_text(message, "body"), sb_text(sb_data(event), "text")) &&
           (!is_service(from) || (service && strcmp(service, from) == 0));
}

/* Of the messages to this recipient, those since the request came. The page has the
 * newest ones: it tells when it reaches back so far, or has all there are. */
static enum sb_verdict send_found(const struct sb_event *event,
                                  const struct sb_answer *answer,
                                  struct sb_outcome *outcome)
{
    const struct sb_json *list = sb_at(sb_answer_json(answer), "messages"), *ours = NULL;
    int64_t since_s = (int64_t)(sb_time_us(event) / 1000000);
    size_t n = sb_count(list, "");
    bool has_older = n < LISTED_MAX;

    if (sb_status(answer) != 200 || !list || sb_is_object(list, ""))
        return sb_default(outcome, "Twilio's list of messages answered %u",
                          sb_status(answer));
    for (size_t i = 0; i < n; i++) {
        const struct sb_json *message = sb_element(list, i);
        int64_t at_s = made_at_s(message);
        if (at_s == 0)
            return sb_unknown(outcome, "Twilio's list has a message without a date");
        has_older |= at_s < since_s;
        if (at_s < since_s || !is_ours(event, message))
            continue;
        if (ours)
            return sb_unknown(outcome, "Twilio has several messages with this text");
        ours = message;
    }
    if (ours)
        return message_outcome(event, ours, outcome);
    return has_older
               ? sb_absent(outcome)
               : sb_unknown(outcome, "Twilio has %d newer messages to the recipient",
                            LISTED_MAX);
}

/* --- what it says when it does not --- */

static enum sb_verdict refused(const struct sb_answer *answer, struct sb_outcome *outcome)
{
    const struct sb_json *error = sb_answer_json(answer);
    const char *message = sb_text(error, "message");
    int64_t code = 0;

    if (sb_int(error, "code", &code))
        sb_put_int(sb_result(outcome), "code", code);
    return sb_fail(outcome, "Twilio refused the message (%u, %lld): %s",
                   sb_status(answer), (long long)code,
                   message ? message : "it gave no reason");
}

static enum sb_verdict send_failed(const struct sb_event *event,
                                   const struct sb_answer *answer,
                                   struct sb_outcome *outcome)
{
    unsigned status = sb_status(answer);

    if (status == 401 || status == 403)
        return sb_fail(outcome,
                       "Twilio does not accept the credentials (%u): check account_sid, "
                       "api_key_sid and the secret \"auth_token\" of the integration %s",
                       status, sb_integration(event));
    if (status == 429)
        return sb_retry(outcome, 0, "Twilio's rate limit is reached");
    if (status >= 400 && status < 500 && status != 408 && status != 425)
        return refused(answer, outcome);
    return sb_default(outcome, "Twilio answered %u", status);
}

static void send_price(const struct sb_event *event, struct sb_outcome *outcome)
{
    const char *text = sb_text(sb_data(event), "text");

    if (text)
        estimate(event, text_segments(text), outcome);
}

/* The longest text, of characters that are two UTF-16 units each. */
static void send_price_most(const struct sb_event *options, struct sb_outcome *outcome)
{
    estimate(options, text_segments_max(TEXT_MAX), outcome);
}

const struct sb_operation twilio_operations[] = {
    {.name = "send",
     .summary = "Send an SMS",
     .transition = "message: written -> accepted for delivery",
     .transition_failed = "message: written -> not sent",
     SB_BRANCHES(send_request, send_succeeded, send_failed),
     .lookup_request = send_lookup,
     .lookup_answer = send_found,
     .lookup_after_s = LOOKUP_AFTER_S,
     .example_found =
         "{\"messages\":[{\"sid\":\"SM1\",\"status\":\"sent\",\"body\":\"hello\","
         "\"to\":\"+15551234567\",\"num_segments\":\"1\",\"date_created\":\"Fri, 31 Dec "
         "2100 00:00:00 +0000\"}],\"next_page_uri\":null}",
     .example_absent = "{\"messages\":[],\"next_page_uri\":null}",
     .repeat = SB_REPEAT_NEVER,
     .price = send_price,
     .price_most = send_price_most,
     .price_text =
         "per part of a message (160 characters, 70 where one is not in the GSM "
         "alphabet), by country; told by Twilio only later",
     .example = "{\"to\":\"+15551234567\",\"text\":\"hello\"}",
     .example_answer =
         "{\"sid\":\"SM1\",\"status\":\"queued\",\"num_segments\":\"1\",\"price\":null}",
     .degrade = "tell people another way (a mail), or later; a code that expires is "
                "asked for anew",
     .test =
         "with test credentials and Twilio's magic numbers, which signalbox's sandbox "
         "knows too: from +15005550006"},
    {.name = NULL},
};

/* --- webhooks --- */

static enum sb_verdict happened(const struct sb_event *event, struct sb_outcome *outcome)
{
    const char *sid = sb_form(event, "MessageSid");
    struct sb_json *result = sb_result(outcome);

    if (!sid)
        return sb_fail(outcome, "not a status callback of Twilio: MessageSid is missing");
    sb_put_text(result, "provider", "twilio");
    sb_put_text(result, "message_id", sid);
    sb_put_text(result, "status", sb_form(event, "MessageStatus"));
    sb_put_text(result, "recipient", sb_form(event, "To"));
    sb_put_text(result, "code", sb_form(event, "ErrorCode"));
    return SB_DONE;
}

#define SIMULATED "signalbox simulate, in the sandbox"

const struct sb_webhook twilio_webhooks[] = {
    {"message.delivered", "messaging.delivered", "message: accepted -> delivered",
     happened, SIMULATED},
    {"message.undelivered", "messaging.failed", "message: accepted -> not delivered",
     happened, SIMULATED},
    {"message.failed", "messaging.failed", "message: accepted -> not sent", happened,
     SIMULATED},
    {.event = NULL},
};

const struct sb_failure_mode twilio_failures[] = {
    {"message refused", "permanent: Twilio refused the message",
     "the input is wrong or the number may not be written to; `code` is Twilio's"},
    {"credentials refused", "permanent: Twilio does not accept the credentials",
     "set account_sid and the secret auth_token, then redrive what failed"},
    {"rate limit", "a retry: Twilio's rate limit is reached",
     "tried again after a pause"},
    {"answer lost, Twilio broken", "Success or a retry after a lookup; else unknown",
     "Twilio's list is asked for a message with this recipient, sender and text: it is "
     "there, or it is sent again; where the list does not tell, look and resolve"},
    {"not delivered", "an event messaging.failed", "`code` says why"},
    {"Twilio down", "exhausted, with the last answer",
     "what it certainly did not take was tried again until attempts or deadline ended; "
     "redrive it when the service is back"},
    {.name = NULL},
};
