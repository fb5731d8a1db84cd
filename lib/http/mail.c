/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/mail.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"

enum {
    LINE_MAX_SIZE = 512, /* of a reply, RFC 5321 4.5.3.1.5; what is longer is cut */
    CODE_REFUSED = 400,  /* this reply and those above say no */
    CODE_NO_LOGIN = 535, /* what a server says to a bad password */
};

/* A reply: its code and its last line's text. */
struct reply {
    unsigned code;
    char text[LINE_MAX_SIZE];
};

struct recipient {
    char *address;
    struct reply reply;
};

struct mail {
    uint8_t *message;
    size_t len, at;
    bool was_ended; /* libcurl has all of it, the final dot may go out */
    struct curl_slist *list;
    struct recipient *recipients;
    size_t n;
    size_t asked;      /* recipients named so far */
    bool is_recipient; /* the last command named one */
    bool is_over;      /* goodbye was said: what is answered to it decides nothing */
    struct reply last;
    char line[LINE_MAX_SIZE]; /* of the reply that is coming in */
    size_t line_len;
};

/* --- listening --- */

static void take_line(struct mail *mail)
{
    const char *line = mail->line;
    size_t n = mail->line_len;
    bool is_reply = n >= 3 && strspn(line, "0123456789") >= 3;

    if (mail->is_over || !is_reply ||
        (n > 3 && line[3] == '-')) /* another line of it follows */
        return;
    mail->last.code =
        (unsigned)strtoul((const char[]){line[0], line[1], line[2], 0}, NULL, 10);
    size_t len = n > 4 ? n - 4 : 0;
    memcpy(mail->last.text, line + 4, len);
    mail->last.text[len] = 0;
    if (mail->is_recipient && mail->asked && mail->asked <= mail->n)
        mail->recipients[mail->asked - 1].reply = mail->last;
    mail->is_recipient = false;
}

static void hear(struct mail *mail, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n') {
            mail->line[mail->line_len] = 0;
            take_line(mail);
            mail->line_len = 0;
        } else if (bytes[i] != '\r' && mail->line_len < sizeof(mail->line) - 1) {
            mail->line[mail->line_len++] = bytes[i];
        }
    }
}

/* A command goes out; libcurl waits for its reply before the next one. */
static void said(struct mail *mail, const char *bytes, size_t n)
{
    mail->is_recipient = n >= 8 && strncasecmp(bytes, "RCPT TO:", 8) == 0;
    mail->asked += mail->is_recipient;
    mail->is_over |= n >= 4 && strncasecmp(bytes, "QUIT", 4) == 0;
}

static int listen_in(CURL *easy, curl_infotype type, char *bytes, size_t n, void *user)
{
    struct mail *mail = user;

    (void)easy;
    if (type == CURLINFO_HEADER_IN)
        hear(mail, bytes, n);
    else if (type == CURLINFO_HEADER_OUT)
        said(mail, bytes, n);
    return 0;
}

static size_t give(char *to, size_t size, size_t n, void *user)
{
    struct mail *mail = user;
    size_t left = mail->len - mail->at;

    n = n * size < left ? n * size : left;
    memcpy(to, mail->message + mail->at, n);
    mail->at += n;
    mail->was_ended |= mail->at == mail->len;
    return n;
}

static size_t ignore(char *bytes, size_t size, size_t n, void *user)
{
    (void)bytes, (void)user;
    return size * n; /* replies: listen_in has them */
}

/* --- life --- */

static void take_recipients(struct mail *mail, const struct http_mail *from)
{
    mail->recipients = mem_array(from->n_recipients, sizeof(*mail->recipients));
    mail->n = from->n_recipients;
    for (size_t i = 0; i < mail->n; i++) {
        mail->recipients[i].address = mem_text(from->recipients[i]);
        mail->list = curl_slist_append(mail->list, from->recipients[i]);
    }
}

struct mail *mail_new(CURL *easy, const struct http_call_options *options,
                      bool allow_plain)
{
    const struct http_mail *from = options->mail;
    struct mail *mail = mem_alloc(sizeof(*mail));

    mail->message = mem_copy(options->body, options->body_len);
    mail->len = options->body_len;
    take_recipients(mail, from);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    /* ALL: without STARTTLS nothing is said, the password least of all */
    curl_easy_setopt(easy, CURLOPT_USE_SSL,
                     (long)(allow_plain ? CURLUSESSL_TRY : CURLUSESSL_ALL));
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, from->sender);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, mail->list);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
    if (from->user) {
        curl_easy_setopt(easy, CURLOPT_USERNAME, from->user);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, from->password);
    }
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)mail->len);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, give);
    curl_easy_setopt(easy, CURLOPT_READDATA, mail);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, ignore);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(easy, CURLOPT_VERBOSE, 1L); /* into listen_in, nowhere else */
    curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, listen_in);
    curl_easy_setopt(easy, CURLOPT_DEBUGDATA, mail);
    return mail;
}

void mail_free(struct mail *mail)
{
    if (!mail)
        return;
    for (size_t i = 0; i < mail->n; i++)
        free(mail->recipients[i].address);
    curl_slist_free_all(mail->list);
    free(mail->recipients);
    free(mail->message);
    free(mail);
}

/* --- the end --- */

enum http_result mail_judge(const struct mail *mail, CURLcode code, unsigned *ret_status)
{
    bool is_no = mail->last.code >= CODE_REFUSED;

    if (code == CURLE_OK || is_no) {
        *ret_status = mail->last.code;
        return HTTP_ANSWERED;
    }
    if (code == CURLE_LOGIN_DENIED) { /* no way of logging in that both know */
        *ret_status = CODE_NO_LOGIN;
        return HTTP_ANSWERED;
    }
    if (code == CURLE_USE_SSL_FAILED)
        return HTTP_FORBIDDEN;
    return mail->was_ended ? HTTP_NO_ANSWER : HTTP_NOT_SENT;
}

const char *mail_reply(const struct mail *mail)
{
    return mail->last.text;
}

const char *mail_refused(const struct mail *mail, size_t index, unsigned *ret_code,
                         const char **ret_text)
{
    for (size_t i = 0; i < mail->n; i++) {
        const struct recipient *one = &mail->recipients[i];
        if (one->reply.code < CODE_REFUSED || index-- > 0)
            continue;
        *ret_code = one->reply.code;
        *ret_text = one->reply.text;
        return one->address;
    }
    return NULL;
}
