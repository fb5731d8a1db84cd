/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* verdict - how a call ends: the connector's verdict on an answer, or the rules where it
 * leaves it to us */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/base/json.h"
#include "lib/sdk/call_state.h"
#include "lib/sdk/program.h"
#include "lib/worker/worker.h"

/* --- how it ends --- */

void call_conclude(struct call *call, enum call_result result, enum record_class class)
{
    bool is_last = result == CALL_RETRY && call->integration->is_single;

    call->result = is_last ? CALL_FAILED : result;
    call->class = is_last ? CLASS_exhausted : class;
}

bool call_fail(struct call *call, enum record_class class, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(call->outcome.message, sizeof(call->outcome.message), format, args);
    va_end(args);
    call_conclude(call, CALL_FAILED, class);
    return false;
}

static bool may_repeat(const struct call *call)
{
    return call->webhook ||
           (call->operation && call->operation->repeat != SB_REPEAT_NEVER);
}

/* It must not be sent again: the service is asked, or a person must look. */
static void doubt(struct call *call)
{
    size_t n = strlen(call->outcome.message);

    if (call->operation && call->operation->lookup_request && call->was_sent) {
        call->must_ask = true;
        return;
    }
    snprintf(call->outcome.message + n, sizeof(call->outcome.message) - n,
             "; it may have been done, and is not sent again");
    call_conclude(call, CALL_FAILED, CLASS_unknown);
}

/* The service may have done it. */
static void unclear(struct call *call)
{
    call->is_unclear = may_repeat(call);
    if (call->is_unclear)
        call_conclude(call, CALL_RETRY, CLASS_none);
    else
        doubt(call);
}

void call_spoiled(struct call *call)
{
    bool is_harmless = call->webhook || call->operation->repeat == SB_REPEAT_SAFE;

    call_fail(call, is_harmless ? CLASS_permanent : CLASS_unknown,
              "the connector's own mistake: %s", call->outcome.mistake);
}

static void succeed(struct call *call)
{
    if (call->outcome.mistake) {
        call_spoiled(call);
        return;
    }
    if (call->operation && call->operation->price && !call->outcome.has_cost)
        call->operation->price(&call->event, &call->outcome);
    call_conclude(call, CALL_SUCCESS, CLASS_none);
}

void call_take_verdict(struct call *call, enum sb_verdict verdict)
{
    switch (verdict) {
    case SB_DONE:
        succeed(call);
        return;
    case SB_FAILED:
        call_conclude(call, CALL_FAILED, CLASS_permanent);
        return;
    case SB_RETRY:
        call_conclude(call, CALL_RETRY, CLASS_none);
        return;
    case SB_UNCLEAR:
        unclear(call);
        return;
    case SB_UNKNOWN:
        call_conclude(call, CALL_FAILED, CLASS_unknown);
        return;
    case SB_ABSENT:
    case SB_DEFAULT:
    default:
        call_fail(call, CLASS_permanent,
                  "the connector's own mistake: a verdict that is not allowed here");
    }
}

/* --- the second half: answer -> result --- */

static uint64_t retry_after_date(const char *text, uint64_t now_us)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);

    if (!end || *end)
        return 0;
    time_t at = timegm(&tm);
    time_t now = (time_t)(now_us / 1000000);
    return at > now ? (uint64_t)(at - now) * 1000000 : 0;
}

/* Digits only; too many count as the largest. */
static bool whole(const char *text, uint64_t *ret)
{
    size_t n = strspn(text, "0123456789");

    if (n == 0 || text[n])
        return false;
    *ret = n > 12 ? 1000000000000 : strtoull(text, NULL, 10);
    return true;
}

uint64_t call_retry_after_us(const char *retry_after, const char *retry_after_ms,
                             uint64_t now_us)
{
    const uint64_t max_us = CALL_RETRY_AFTER_MAX_S * (uint64_t)1000000;
    uint64_t number, us = 0;

    if (retry_after_ms && whole(retry_after_ms, &number))
        us = number * 1000;
    else if (retry_after && whole(retry_after, &number))
        us = number * 1000000;
    else if (retry_after)
        us = retry_after_date(retry_after, now_us);
    return us < max_us ? us : max_us;
}

static const char *should_retry(const struct http_call *answer)
{
    const char *value = http_call_header(answer, "x-should-retry");

    return value ? value : http_call_header(answer, "stripe-should-retry");
}

/* The rules where the connector leaves it to us. 425, 429 and 503 say that nothing was
 * done; after 500, 502 and 504 that is not known. */
static void apply_rules(struct call *call, const struct http_call *answer)
{
    unsigned status = http_call_status(answer);
    const char *wish = should_retry(answer);
    bool is_undone = status == 408 || status == 425 || status == 429 || status == 503;
    bool is_wished = wish && strcmp(wish, "true") == 0,
         is_unwished = wish && strcmp(wish, "false") == 0;

    if (!*call->outcome.message)
        snprintf(call->outcome.message, sizeof(call->outcome.message),
                 "the service answered %u", status);
    if (is_unwished && status >= 500 && !is_undone &&
        call->operation->repeat != SB_REPEAT_SAFE)
        doubt(call);
    else if (is_unwished)
        call_conclude(call, CALL_FAILED, CLASS_permanent);
    else if (is_undone || is_wished)
        call_conclude(call, CALL_RETRY, CLASS_none);
    else if (status >= 500)
        unclear(call);
    else
        call_conclude(call, CALL_FAILED, CLASS_permanent);
}

/* The code of a mail server's reply says all: 4xx is later perhaps, 5xx no, and either
 * that nothing was taken. */
static void apply_mail_rules(struct call *call, const struct http_call *answer)
{
    unsigned status = http_call_status(answer);

    if (!*call->outcome.message)
        snprintf(call->outcome.message, sizeof(call->outcome.message),
                 "the mail server answered %u", status);
    if (status < 500)
        call_conclude(call, CALL_RETRY, CLASS_none);
    else
        call_conclude(call, CALL_FAILED, CLASS_permanent);
}

static void end_without_answer(struct call *call, const struct http_call *answer)
{
    const char *why = http_call_error(answer);

    switch (http_call_result(answer)) {
    case HTTP_NOT_SENT:
        snprintf(call->outcome.message, sizeof(call->outcome.message),
                 "the call was not sent: %s", why);
        call_conclude(call, CALL_RETRY, CLASS_none);
        return;
    case HTTP_FORBIDDEN:
        call_fail(call, CLASS_permanent, "the call was not sent: %s", why);
        return;
    case HTTP_NO_ANSWER:
    case HTTP_TOO_LARGE:
    case HTTP_ANSWERED:
    default:
        snprintf(call->outcome.message, sizeof(call->outcome.message),
                 "the call was sent and no answer could be used: %s", why);
        unclear(call);
    }
}

static struct json *body_json(const struct http_call *http)
{
    size_t n;
    const char *body = http_call_body(http, &n);
    char error[120];

    return n ? js_parse(body, n, error, sizeof(error)) : NULL;
}

static void end_with_answer(struct call *call, const struct http_call *http)
{
    const struct sb_operation *o = call->operation;
    unsigned status = http_call_status(http);
    struct sb_answer answer = {.http = http, .json = body_json(http)};
    bool is_good = status >= 200 && status < 300;
    enum sb_verdict verdict =
        (is_good ? o->succeeded : o->failed)(&call->event, &answer, &call->outcome);

    if (!is_good && verdict == SB_DEFAULT && call->request.mail)
        apply_mail_rules(call, http);
    else if (!is_good && verdict == SB_DEFAULT)
        apply_rules(call, http);
    else
        call_take_verdict(call, verdict);
    js_free(answer.json);
}

static uint64_t wished_pause_us(const struct http_call *http, uint64_t now_us)
{
    if (http_call_result(http) != HTTP_ANSWERED)
        return 0;
    return call_retry_after_us(http_call_header(http, "retry-after"),
                               http_call_header(http, "retry-after-ms"), now_us);
}

/* Is it worth asking again? */
static bool is_passing(unsigned status)
{
    return status == 408 || status == 425 || status == 429 || status >= 500;
}

static bool end_lookup(struct call *call, const struct http_call *http, uint64_t now_us)
{
    enum sb_verdict verdict = SB_RETRY;

    if (http_call_result(http) == HTTP_ANSWERED) {
        struct sb_answer answer = {.http = http, .json = body_json(http)};
        verdict = call->operation->lookup_answer(&call->event, &answer, &call->outcome);
        js_free(answer.json);
    } else {
        snprintf(call->outcome.message, sizeof(call->outcome.message), "%s",
                 http_call_error(http));
    }
    if (verdict == SB_DEFAULT)
        verdict = is_passing(http_call_status(http)) ? SB_RETRY : SB_UNKNOWN;
    return lookup_end(call, verdict, wished_pause_us(http, now_us), now_us);
}

/* 401 to an access token means that nothing was done: it may have ended early, so a newer
 * one is tried, once. */
static bool wants_newer_token(struct call *call, const struct http_call *http)
{
    if (!call->token || call->was_token_refused ||
        http_call_result(http) != HTTP_ANSWERED || http_call_status(http) != 401)
        return false;
    call->is_token_refused = call->was_token_refused = true;
    call->pause_us = 0;
    return true;
}

bool call_end_without_token(struct call *call, const char *why, bool may_retry,
                            uint64_t now_us)
{
    snprintf(call->outcome.message, sizeof(call->outcome.message), "%s", why);
    if (call->is_asking)
        return lookup_end(call, may_retry ? SB_RETRY : SB_UNKNOWN, /* pause_us= */ 0,
                          now_us);
    call_conclude(call, may_retry ? CALL_RETRY : CALL_FAILED,
                  may_retry ? CLASS_none : CLASS_permanent);
    return false;
}

bool call_end(struct call *call, const struct http_call *http, uint64_t now_us)
{
    if (wants_newer_token(call, http))
        return true;
    if (call->is_asking)
        return end_lookup(call, http, now_us);
    if (http_call_result(http) != HTTP_ANSWERED)
        end_without_answer(call, http);
    else
        end_with_answer(call, http);
    if (call->must_ask)
        return lookup_begin(call, now_us, call->outcome.message);
    if (call->result == CALL_RETRY && !call->outcome.after_us)
        call->outcome.after_us = wished_pause_us(http, now_us);
    return false;
}

/* --- a worker's answer --- */

static enum sb_verdict line_verdict(struct call *call, const struct worker_answer *answer)
{
    char error[120];
    struct sb_answer said = {
        .json = js_parse(answer->line, answer->len, error, sizeof(error))};
    enum sb_verdict verdict = program_answer(&call->event, &said, &call->outcome);

    js_free(said.json);
    return verdict;
}

static void end_without_line(struct call *call, const struct worker_answer *answer,
                             unsigned deaths)
{
    snprintf(call->outcome.message, sizeof(call->outcome.message), "%s%s",
             answer->result == WORKER_NOT_ASKED ? "" : "no answer: ", answer->why);
    if (answer->result == WORKER_NOT_ASKED)
        call_conclude(call, CALL_RETRY, CLASS_none);
    else if (deaths >= CALL_DEATHS_MAX && may_repeat(call))
        call_fail(call, CLASS_poison,
                  "%u workers ended while they were at it; the last: %s", deaths,
                  answer->why);
    else
        unclear(call);
}

bool call_end_line(struct call *call, const struct worker_answer *answer, unsigned deaths,
                   uint64_t now_us)
{
    bool is_answered = answer->result == WORKER_ANSWERED;

    if (call->is_asking && !is_answered)
        snprintf(call->outcome.message, sizeof(call->outcome.message), "%s", answer->why);
    if (call->is_asking)
        return lookup_end(call, is_answered ? line_verdict(call, answer) : SB_RETRY,
                          /* pause_us= */ 0, now_us);
    if (is_answered)
        call_take_verdict(call, line_verdict(call, answer));
    else
        end_without_line(call, answer, deaths);
    return call->must_ask && lookup_begin(call, now_us, call->outcome.message);
}
