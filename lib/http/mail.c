/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/mail.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/http/courier.h"
#include "lib/http/dialogue.h"

enum { CODE_NO_LOGIN = 535 }; /* what a server says to a bad password */

struct mail {
    uint8_t *message;
    size_t len, at;
    bool was_ended; /* libcurl has all of it, the final dot may go out */
    struct curl_slist *list;
    char **addresses; /* of the recipients, as many as in `dialogue` */
    struct dialogue dialogue;
    struct errand *errand; /* NULL before mail_send */
};

/* --- listening --- */

/* The last reply says how it went: no, or that the message was taken. */
static bool is_decided(const struct mail *mail)
{
    unsigned code = mail->dialogue.last.code;

    return code >= DIALOGUE_REFUSED || (mail->was_ended && code >= 200 && code < 300);
}

static int listen_in(CURL *easy, curl_infotype type, char *bytes, size_t n, void *user)
{
    struct mail *mail = user;

    (void)easy;
    if (type == CURLINFO_HEADER_IN)
        dialogue_heard(&mail->dialogue, bytes, n);
    else if (type == CURLINFO_HEADER_OUT)
        dialogue_said(&mail->dialogue, bytes, n);
    if (mail->dialogue.is_over) /* goodbye was said: its reply decides nothing */
        errand_leaves(mail->errand, is_decided(mail));
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
    size_t n = from->n_recipients;

    mail->dialogue.n = n;
    mail->dialogue.recipients = mem_array(n, sizeof(*mail->dialogue.recipients));
    mail->addresses = mem_array(n, sizeof(*mail->addresses));
    for (size_t i = 0; i < n; i++) {
        mail->addresses[i] = mem_text(from->recipients[i]);
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
    /* a reply that came too late would leave a kept connection one behind */
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
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
    for (size_t i = 0; i < mail->dialogue.n; i++)
        free(mail->addresses[i]);
    curl_slist_free_all(mail->list);
    free(mail->addresses);
    free(mail->dialogue.recipients);
    free(mail->message);
    free(mail);
}

void mail_send(struct mail *mail, struct courier *courier, CURL *easy, void *about)
{
    mail->errand = courier_errand(courier, easy, about);
    errand_start(mail->errand);
}

void mail_drop(struct mail *mail)
{
    errand_drop(mail->errand);
}

/* --- the end --- */

enum http_result mail_judge(const struct mail *mail, CURLcode code, unsigned *ret_status)
{
    unsigned last = mail->dialogue.last.code;

    if (code == CURLE_OK || last >= DIALOGUE_REFUSED) {
        *ret_status = last;
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
    return mail->dialogue.last.text;
}

const char *mail_refused(const struct mail *mail, size_t index, unsigned *ret_code,
                         const char **ret_text)
{
    for (size_t i = 0; i < mail->dialogue.n; i++) {
        const struct dialogue_reply *reply = &mail->dialogue.recipients[i];
        if (reply->code < DIALOGUE_REFUSED || index-- > 0)
            continue;
        *ret_code = reply->code;
        *ret_text = reply->text;
        return mail->addresses[i];
    }
    return NULL;
}
