/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/call.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/http/crypto.h"
#include "lib/http/mail.h"

enum { HEADERS_MAX = 200 };

/* --- the answer as it comes --- */

static size_t hand_on(struct http_call *call, const char *bytes, size_t n)
{
    size_t room = call->answer_max - call->body.len;

    if (!call->tap.on_body(call->tap.user, bytes, n))
        return CURL_WRITEFUNC_PAUSE;
    buf_add(&call->body, bytes, n < room ? n : room);
    return n;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *user)
{
    struct http_call *call = user;

    n *= size;
    if (call->tap.on_body)
        return hand_on(call, bytes, n);
    if (n > call->answer_max - call->body.len) {
        call->is_too_large = true;
        return 0;
    }
    buf_add(&call->body, bytes, n);
    return n;
}

static void keep_header(struct http_call *call, const char *line, size_t n)
{
    const char *colon = memchr(line, ':', n);

    if (!colon || memchr(line, 0, n))
        return;
    const char *value = colon + 1, *end = line + n;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && strchr("\r\n\t ", end[-1]))
        end--;
    buf_add(&call->headers, line, (size_t)(colon - line));
    buf_add(&call->headers, "", 1);
    buf_add(&call->headers, value, (size_t)(end - value));
    buf_add(&call->headers, "", 1);
}

static unsigned status_of(const struct http_call *call)
{
    long status = 0;

    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
    return (unsigned)status;
}

/* The headers are complete; those of a 1xx are not the answer's. */
static void end_headers(struct http_call *call)
{
    unsigned status = status_of(call);

    call->has_all_headers = true;
    if (!call->tap.on_head || status < 200)
        return;
    call->status = status;
    call->tap.on_head(call->tap.user, call);
}

static size_t take_header(char *bytes, size_t size, size_t n, void *user)
{
    struct http_call *call = user;

    n *= size;
    if (n > HTTP_ANSWER_HEADERS_MAX - call->header_bytes ||
        ++call->n_headers > HEADERS_MAX) {
        call->is_too_large = true;
        return 0;
    }
    call->header_bytes += n;
    if (n > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        buf_clear(&call->headers); /* the ones before belonged to a 1xx */
        call->has_all_headers = false;
    } else if (n && (*bytes == '\r' || *bytes == '\n')) {
        end_headers(call);
    } else {
        keep_header(call, bytes, n);
    }
    return n;
}

void call_take_answer(struct http_call *call)
{
    curl_easy_setopt(call->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(call->easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(call->easy, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(call->easy, CURLOPT_HEADERDATA, call);
}

/* --- what became of it --- */

static void say_timeout(struct http_call *call)
{
    curl_off_t looked_up = 0, connected = 0, ready = 0;

    curl_easy_getinfo(call->easy, CURLINFO_NAMELOOKUP_TIME_T, &looked_up);
    curl_easy_getinfo(call->easy, CURLINFO_CONNECT_TIME_T, &connected);
    curl_easy_getinfo(call->easy, CURLINFO_PRETRANSFER_TIME_T, &ready);
    snprintf(call->error, sizeof(call->error), "timed out %s",
             ready       ? "waiting for the answer"
             : connected ? "in the TLS handshake"
             : looked_up ? "connecting"
                         : "looking up the name");
}

/* libcurl has one sentence for all that can be wrong with a certificate. */
static void say_untrusted(struct http_call *call)
{
    long why = 0; /* 0 and 1: OpenSSL had nothing against it, so it was libcurl's own
                     look, which is at the name */

    curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &why);
    snprintf(call->error, sizeof(call->error),
             "the service's certificate is not trusted: %s",
             why > 1 ? crypto_distrust(why) : "it is for another name");
}

static void say_code(struct http_call *call, CURLcode code)
{
    if (code == CURLE_OPERATION_TIMEDOUT)
        say_timeout(call);
    else if (code == CURLE_PEER_FAILED_VERIFICATION)
        say_untrusted(call);
    else /* a fixed sentence; libcurl's error buffer would name host and port */
        snprintf(call->error, sizeof(call->error), "%s", curl_easy_strerror(code));
}

/* Of a mail there is more to know than libcurl's code. */
static void judge_mail(struct http_call *call, CURLcode code)
{
    call->result = mail_judge(call->mail, code, &call->status);
    if (call->result == HTTP_ANSWERED)
        buf_text(&call->body, mail_reply(call->mail));
    else if (call->result == HTTP_FORBIDDEN)
        snprintf(call->error, sizeof(call->error),
                 "the server does not offer TLS (see allow_private_network)");
    else
        say_code(call, code);
}

void call_judge(struct http_call *call, CURLcode code)
{
    call->status = 0;
    /* "unsupported protocol" is also what libcurl calls an answer that is not HTTP */
    bool is_bad_url = !call->was_ready &&
                      (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT);

    if (call->is_forbidden || is_bad_url) {
        call->result = HTTP_FORBIDDEN;
        snprintf(call->error, sizeof(call->error), "%s",
                 call->is_forbidden ? "the service's address is one that may not be "
                                      "called (see allow_private_network)"
                 : call->mail       ? "the base_url is not an smtp:// or smtps:// address"
                                    : "the base_url is not an https:// address (http:// "
                                      "needs allow_private_network)");
    } else if (call->mail) {
        judge_mail(call, code);
    } else if (call->is_too_large || code == CURLE_FILESIZE_EXCEEDED) {
        call->result = HTTP_TOO_LARGE;
        snprintf(call->error, sizeof(call->error), "the answer is larger than the limit");
    } else if (code == CURLE_OK && !call->has_all_headers) {
        call->result = HTTP_NO_ANSWER;
        snprintf(call->error, sizeof(call->error),
                 "the connection was closed inside the answer's headers");
    } else if (code == CURLE_OK) {
        call->status = status_of(call);
        call->result = HTTP_ANSWERED;
    } else {
        call->result = call->was_ready ? HTTP_NO_ANSWER : HTTP_NOT_SENT;
        say_code(call, code);
    }
}

/* --- reading the answer --- */

enum http_result http_call_result(const struct http_call *call)
{
    return call->result;
}

unsigned http_call_status(const struct http_call *call)
{
    return call->status;
}

const char *http_call_header(const struct http_call *call, const char *name)
{
    const char *at = (const char *)call->headers.bytes, *found = NULL;
    const char *end = at ? at + call->headers.len : NULL; /* without headers both NULL */

    while (at < end) {
        const char *value = at + strlen(at) + 1;
        if (strcasecmp(at, name) == 0)
            found = value;
        at = value + strlen(value) + 1;
    }
    return found;
}

bool http_call_field(const struct http_call *call, size_t index, struct http_field *ret)
{
    const char *at = (const char *)call->headers.bytes;
    const char *end = at ? at + call->headers.len : NULL;

    for (; at < end; index--) {
        const char *value = at + strlen(at) + 1;
        if (index == 0) {
            *ret = (struct http_field){at, value};
            return true;
        }
        at = value + strlen(value) + 1;
    }
    return false;
}

const void *http_call_body(const struct http_call *call, size_t *ret_len)
{
    *ret_len = call->body.len;
    return call->body.len ? call->body.bytes : (const uint8_t *)"";
}

const char *http_call_refused(const struct http_call *call, size_t index,
                              unsigned *ret_code, const char **ret_text)
{
    return call->mail ? mail_refused(call->mail, index, ret_code, ret_text) : NULL;
}

const char *http_call_error(const struct http_call *call)
{
    return call->error;
}
