/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/mail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/sdk/call.h"
#include "lib/sdk/mime.h"
#include "lib/sdk/request.h"

enum { ADDRESS_LEN_MAX = 254 /* RFC 5321, 4.5.3.1 */ };

struct party {
    enum sb_mail_role role;
    char *email, *name;
};
struct part {
    char *type, *content; /* a text, or base64 */
    char *filename;       /* NULL: a text */
};
struct mail_draft {
    char *subject, *user, *password;
    struct party *parties;
    size_t n_parties;
    const char **recipients; /* into `parties` */
    size_t n_recipients;
    struct part *parts;
    size_t n_parts;
};

void mail_draft_free(struct mail_draft *draft)
{
    if (!draft)
        return;
    for (size_t i = 0; i < draft->n_parties; i++) {
        free(draft->parties[i].email);
        free(draft->parties[i].name);
    }
    for (size_t i = 0; i < draft->n_parts; i++) {
        free(draft->parts[i].type);
        free(draft->parts[i].content);
        free(draft->parts[i].filename);
    }
    if (draft->password)
        explicit_bzero(draft->password, strlen(draft->password));
    free(draft->password);
    free(draft->user);
    free(draft->parties);
    free(draft->recipients);
    free(draft->parts);
    free(draft->subject);
    free(draft);
}

/* --- what the connector says --- */

void sb_mail(struct sb_request *request, const char *subject)
{
    if (request->mail || request->method)
        request_mistake(request, "sb_mail was used twice, or together with sb_call");
    else if (!request_is_printable(subject))
        request_mistake(request, "a mail's subject is not one line");
    else {
        request->mail = mem_alloc(sizeof(*request->mail));
        request->mail->subject = mem_text(subject);
    }
}

/* The draft; NULL, with the mistake kept, before sb_mail. */
static struct mail_draft *draft_of(struct sb_request *request)
{
    if (!request->mail)
        request_mistake(request, "sb_mail must come before the parts of the mail");
    return request->mail;
}

/* What may stand between < and > without being quoted, in ASCII: the envelope takes no
 * more without SMTPUTF8. */
static bool is_address(const char *email)
{
    const char *at = strchr(email, '@');

    if (!at || at == email || !at[1] || strchr(at + 1, '@') ||
        strlen(email) > ADDRESS_LEN_MAX)
        return false;
    for (; *email; email++)
        if ((unsigned char)*email <= 0x20 || (unsigned char)*email >= 0x7f ||
            strchr("\"(),:;<>[\\]", *email))
            return false;
    return true;
}

void sb_mail_address(struct sb_request *request, enum sb_mail_role role,
                     const char *email, const char *name)
{
    struct mail_draft *draft = draft_of(request);

    if (!draft)
        return;
    if (!is_address(email) || (name && !request_is_printable(name))) {
        request_mistake(request, "not a mail address that can be written to: %.100s",
                        request_is_printable(email) ? email : "it has a line break");
        return;
    }
    if (draft->n_parties == MAIL_ADDRESSES_MAX) {
        request_mistake(request, "more than %d addresses in a mail", MAIL_ADDRESSES_MAX);
        return;
    }
    draft->parties =
        mem_resize(draft->parties, (draft->n_parties + 1) * sizeof(*draft->parties));
    draft->parties[draft->n_parties++] =
        (struct party){role, mem_text(email), mem_text(name)};
    if (role < SB_MAIL_TO)
        return;
    draft->recipients = mem_resize(draft->recipients, (draft->n_recipients + 1) *
                                                          sizeof(*draft->recipients));
    draft->recipients[draft->n_recipients++] = draft->parties[draft->n_parties - 1].email;
}

static void add_part(struct sb_request *request, const char *type, const char *content,
                     const char *filename)
{
    struct mail_draft *draft = draft_of(request);

    if (!draft)
        return;
    if (!request_is_printable(type) || (filename && !request_is_printable(filename)))
        request_mistake(request, "a mail part's type or file name is not one line");
    else if (draft->n_parts == MAIL_PARTS_MAX)
        request_mistake(request, "more than %d parts in a mail", MAIL_PARTS_MAX);
    else {
        draft->parts =
            mem_resize(draft->parts, (draft->n_parts + 1) * sizeof(*draft->parts));
        draft->parts[draft->n_parts++] =
            (struct part){mem_text(type), mem_text(content), mem_text(filename)};
    }
}

void sb_mail_text(struct sb_request *request, const char *media_type, const char *text)
{
    add_part(request, media_type, text, NULL);
}

void sb_mail_attach(struct sb_request *request, const char *filename,
                    const char *media_type, const char *base64)
{
    add_part(request, media_type, base64, filename);
}

void sb_mail_login(struct sb_request *request, const char *user,
                   const char *password_secret)
{
    struct mail_draft *draft = draft_of(request);
    const char *password = draft ? request_secret(request, password_secret) : NULL;

    if (!password)
        return;
    if (draft->user)
        request_mistake(request, "sb_mail_login was used twice");
    else {
        draft->user = mem_text(user);
        draft->password = mem_text(password);
    }
}

void mail_draft_envelope(const struct mail_draft *draft, struct http_mail *ret)
{
    *ret = (struct http_mail){.recipients = draft->recipients,
                              .n_recipients = draft->n_recipients,
                              .user = draft->user,
                              .password = draft->password};
    for (size_t i = 0; i < draft->n_parties; i++)
        if (draft->parties[i].role == SB_MAIL_FROM)
            ret->sender = draft->parties[i].email;
}

/* --- the message --- */

static void write_parties(const struct mail_draft *draft, enum sb_mail_role role,
                          const char *header, struct buf *out)
{
    size_t n = 0;

    for (size_t i = 0; i < draft->n_parties; i++) {
        if (draft->parties[i].role != role)
            continue;
        buf_text(out, n++ ? ",\r\n " : header);
        mime_address(out, draft->parties[i].email, draft->parties[i].name);
    }
    if (n)
        buf_text(out, "\r\n");
}

static void write_headers(const struct mail_draft *draft, const char *sender,
                          const char *id, uint64_t time_us, struct buf *out)
{
    buf_text(out, "Date: ");
    mime_date(out, time_us);
    buf_text(out, "\r\n");
    write_parties(draft, SB_MAIL_FROM, "From: ", out);
    write_parties(draft, SB_MAIL_REPLY_TO, "Reply-To: ", out);
    write_parties(draft, SB_MAIL_TO, "To: ", out);
    write_parties(draft, SB_MAIL_CC, "Cc: ", out);
    buf_text(out, "Subject: ");
    mime_text(out, draft->subject);
    buf_format(out, "\r\nMessage-ID: <%s%s>\r\nMIME-Version: 1.0\r\n", id,
               strchr(sender, '@'));
}

static void write_part(const struct part *part, struct buf *out)
{
    buf_format(out, "Content-Type: %s", part->type);
    if (!part->filename) {
        buf_text(out, "; charset=utf-8\r\n"
                      "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
        mime_quoted_printable(out, part->content);
        return;
    }
    buf_text(out, "\r\nContent-Disposition: attachment");
    mime_parameter(out, "filename", part->filename);
    buf_text(out, "\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    mime_base64_lines(out, part->content);
}

static size_t count_parts(const struct mail_draft *draft, bool are_files)
{
    size_t n = 0;

    for (size_t i = 0; i < draft->n_parts; i++)
        n += (draft->parts[i].filename != NULL) == are_files;
    return n;
}

static void write_parts(const struct mail_draft *draft, bool are_files,
                        const char *boundary, struct buf *out)
{
    for (size_t i = 0; i < draft->n_parts; i++) {
        const struct part *part = &draft->parts[i];
        if ((part->filename != NULL) != are_files)
            continue;
        if (boundary)
            buf_format(out, "\r\n--%s\r\n",
                       boundary); /* the break before it is its own */
        write_part(part, out);
    }
}

/* One text, or several as alternatives. */
static void write_texts(const struct mail_draft *draft, const char *boundary,
                        struct buf *out)
{
    if (count_parts(draft, false) < 2) {
        write_parts(draft, /* are_files= */ false, NULL, out);
        return;
    }
    buf_format(out, "Content-Type: multipart/alternative; boundary=\"%s\"\r\n\r\n",
               boundary);
    write_parts(draft, /* are_files= */ false, boundary, out);
    buf_format(out, "\r\n--%s--\r\n", boundary);
}

/* What is between two boundaries is encoded so that no line of it begins with `=_`: in
 * quoted-printable "=" is followed by hex, base64 has no "_". */
static void write_body(const struct mail_draft *draft, const char *id, struct buf *out)
{
    _free_ char *inner = mem_format("=_a_%s", id), *outer = mem_format("=_m_%s", id);

    if (!count_parts(draft, true)) {
        write_texts(draft, inner, out);
        return;
    }
    buf_format(out, "Content-Type: multipart/mixed; boundary=\"%s\"\r\n\r\n", outer);
    if (count_parts(draft, false)) {
        buf_format(out, "\r\n--%s\r\n", outer);
        write_texts(draft, inner, out);
    }
    write_parts(draft, /* are_files= */ true, outer, out);
    buf_format(out, "\r\n--%s--\r\n", outer);
}

bool mail_draft_write(const struct mail_draft *draft, const char *id, uint64_t time_us,
                      struct buf *out, const char **ret_why)
{
    struct http_mail envelope;

    mail_draft_envelope(draft, &envelope);
    *ret_why = !envelope.sender       ? "the mail has no sender"
               : !draft->n_recipients ? "the mail has no recipient"
               : !draft->n_parts      ? "there is nothing in the mail"
                                      : NULL;
    if (*ret_why)
        return false;
    write_headers(draft, envelope.sender, id, time_us, out);
    write_body(draft, id, out);
    return true;
}
