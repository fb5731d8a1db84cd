/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* smtp - a mail server of one's own
 *
 * A mail is handed over in one go to all recipients.  Those the server refuses while it
 * takes others are named in the outcome and published as email.bounced; a mail that it
 * takes for nobody failed, or is tried again when at least one refusal was temporary.
 * Once the final dot may have gone out and no reply came, nobody can tell:
 * Failed/unknown. */
#include <stdio.h>
#include <string.h>

#include "email.h"
#include "mail.h"

enum {
    TIMEOUT_MS = 60000, /* of the whole conversation */
    REPLY_MAX = 200     /* bytes of a reply in an error message */
};

const struct sb_option smtp_options[] = {
    MAIL_OPTIONS,
    {"user", SB_TEXT, NULL, false, "log in as this user, with the secret password"},
    {.name = NULL},
};

const struct sb_secret smtp_secrets[] = {
    {"password", "the password that goes with the option user",
     "as the server allows: set the new one there and here", true},
    {.name = NULL},
};

/* --- send --- */

static void put_address(struct sb_request *request, enum sb_mail_role role,
                        const char *text)
{
    struct address address;

    if (address_read(text, &address)) /* it was checked before */
        sb_mail_address(request, role, address.email, address.name);
}

static void put_list(struct sb_request *request, enum sb_mail_role role,
                     const struct sb_json *list)
{
    for (size_t i = 0; i < sb_count(list, ""); i++)
        put_address(request, role, sb_text(sb_element(list, i), ""));
}

static void put_parts(struct sb_request *request, const struct sb_json *data)
{
    const struct sb_json *list = sb_at(data, "attachments");

    if (sb_text(data, "text"))
        sb_mail_text(request, "text/plain", sb_text(data, "text"));
    if (sb_text(data, "html"))
        sb_mail_text(request, "text/html", sb_text(data, "html"));
    for (size_t i = 0; i < sb_count(list, ""); i++) {
        const struct sb_json *one = sb_element(list, i);
        const char *type = sb_text(one, "content_type");
        sb_mail_attach(request, sb_text(one, "filename"),
                       type ? type : "application/octet-stream", sb_text(one, "content"));
    }
}

static enum sb_verdict send_request(const struct sb_event *event,
                                    struct sb_request *request,
                                    struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);
    const char *user = sb_option(event, "user");

    if (mail_check(event, outcome) != SB_DONE)
        return SB_FAILED;
    sb_mail(request, sb_text(data, "subject"));
    put_address(request, SB_MAIL_FROM, mail_from(event));
    if (sb_has(data, "reply_to"))
        put_address(request, SB_MAIL_REPLY_TO, sb_text(data, "reply_to"));
    put_list(request, SB_MAIL_TO, sb_at(data, "to"));
    put_list(request, SB_MAIL_CC, sb_at(data, "cc"));
    put_list(request, SB_MAIL_BCC, sb_at(data, "bcc"));
    put_parts(request, data);
    if (user)
        sb_mail_login(request, user, "password");
    return SB_DONE;
}

/* What the message is called, so that it is found in the servers' logs. */
static void put_message_id(const struct sb_event *event, struct sb_outcome *outcome)
{
    struct address from;
    char id[ADDRESS_MAX + 64];

    if (!mail_from(event) || !address_read(mail_from(event), &from))
        return;
    snprintf(id, sizeof(id), "<%s%s>", sb_idempotency_key(event),
             strchr(from.email, '@'));
    sb_put_text(sb_result(outcome), "message_id", id);
}

/* Everybody who was refused, in the data; how many, and whether one may be taken later.
 */
static size_t put_refused(const struct sb_answer *answer, struct sb_outcome *outcome,
                          bool *ret_temporary)
{
    const char *email, *text;
    unsigned code;
    size_t n = 0;

    *ret_temporary = false;
    for (; (email = sb_mail_refused(answer, n, &code, &text)); n++) {
        struct sb_json *one = sb_append(sb_result(outcome), "refused");
        sb_put_text(one, "recipient", email);
        sb_put_int(one, "code", code);
        sb_put_text(one, "reason", text);
        *ret_temporary |= code < 500;
    }
    return n;
}

/* The same as events, for those who listen to bounces. */
static void publish_refused(const struct sb_event *event, const struct sb_answer *answer,
                            struct sb_outcome *outcome)
{
    const char *email, *text;
    unsigned code;

    for (size_t i = 0; (email = sb_mail_refused(answer, i, &code, &text)); i++) {
        struct sb_json *fact = sb_fact(outcome, "email.bounced", sb_key(event));
        sb_put_text(fact, "provider", "smtp");
        sb_put_text(fact, "recipient", email);
        sb_put_text(fact, "request", sb_id(event));
        sb_put_text(fact, "reason", text);
        sb_put_int(fact, "code", code);
        sb_put_text(fact, "kind", code < 500 ? "temporary" : "permanent");
    }
}

static enum sb_verdict send_succeeded(const struct sb_event *event,
                                      const struct sb_answer *answer,
                                      struct sb_outcome *outcome)
{
    bool is_temporary;
    size_t n = put_refused(answer, outcome, &is_temporary),
           all = mail_recipients(sb_data(event));

    mail_sent(event, NULL, outcome);
    put_message_id(event, outcome);
    sb_put_int(sb_result(outcome), "recipients", (int64_t)(all > n ? all - n : 0));
    publish_refused(event, answer, outcome);
    return SB_DONE;
}

static const char *reply_text(const struct sb_answer *answer, char ret[REPLY_MAX + 1])
{
    size_t n;
    const char *text = sb_answer_raw(answer, &n);

    n = n < REPLY_MAX ? n : REPLY_MAX;
    memcpy(ret, text, n);
    ret[n] = 0;
    return ret;
}

/* Nobody was taken. Named is who may be taken later, where there is one. */
static enum sb_verdict nobody(const struct sb_answer *answer, bool is_temporary,
                              struct sb_outcome *outcome)
{
    const char *email, *text = "";
    unsigned code = 0;
    size_t i = 0;

    do
        email = sb_mail_refused(answer, i++, &code, &text);
    while (email && is_temporary && code >= 500);
    if (is_temporary)
        return sb_retry(outcome, 0, "the mail server refuses %s for now (%u): %s", email,
                        code, text);
    return sb_fail(outcome, "the mail server refused every recipient; %s (%u): %s", email,
                   code, text);
}

static enum sb_verdict send_failed(const struct sb_event *event,
                                   const struct sb_answer *answer,
                                   struct sb_outcome *outcome)
{
    unsigned status = sb_status(answer);
    bool is_temporary;
    size_t refused = put_refused(answer, outcome, &is_temporary);
    char text[REPLY_MAX + 1];

    sb_put_int(sb_result(outcome), "code", status);
    if (refused && refused >= mail_recipients(sb_data(event)))
        return nobody(answer, is_temporary, outcome);
    if (status == 530 || status == 534 || status == 535 || status == 538)
        return sb_fail(outcome,
                       "the mail server does not accept the login (%u): check the option "
                       "user and the secret \"password\" of the integration %s",
                       status, sb_integration(event));
    if (status < 500)
        return sb_retry(outcome, 0, "the mail server cannot take it now (%u): %s", status,
                        reply_text(answer, text));
    return sb_fail(outcome, "the mail server refused the mail (%u): %s", status,
                   reply_text(answer, text));
}

const struct sb_operation smtp_operations[] = {
    {EMAIL_SEND, SB_BRANCHES(send_request, send_succeeded, send_failed),
     .repeat = SB_REPEAT_NEVER, .price = mail_price, .price_most = mail_price_most,
     .price_text = "none on a server of one's own, whatever the traffic; a relay charges "
                   "by its plan",
     .timeout_ms = TIMEOUT_MS,
     .test = "against a mail server on the same host, with allow_private_network"},
    {.name = NULL},
};

const struct sb_failure_mode smtp_failures[] = {
    {"recipient refused", "permanent: the mail server refused every recipient",
     "the address is wrong; `refused` names each with the server's reply"},
    {"some recipients refused", "Success with `refused`, and events email.bounced",
     "the others have the mail; stop writing to these"},
    {"mailbox busy, greylisting", "a retry: the mail server refuses it for now",
     "tried again until attempts or deadline end"},
    {"login refused", "permanent: the mail server does not accept the login",
     "set the option user and the secret password, then redrive what failed"},
    {"no TLS", "permanent: the server does not offer TLS",
     "let the server offer STARTTLS, or on a network of one's own set "
     "allow_private_network"},
    {"mail refused", "permanent: the mail server refused the mail",
     "its size, sender or content; the text is the server's"},
    {"reply lost", "unknown: the call was sent and no answer could be used",
     "never sent again by itself: look for the Message-ID in the server's log and "
     "resolve"},
    {"mail server down", "exhausted, with the last answer",
     "it could not be reached, or said later each time, until attempts or deadline "
     "ended; redrive when it is back"},
    {.name = NULL},
};
