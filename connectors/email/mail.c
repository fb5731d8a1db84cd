/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "mail.h"

#include <stdio.h>
#include <string.h>

static bool is_one_line(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

/* --- addresses --- */

/* local@domain with what may stand there unquoted (RFC 5321 4.1.2); other than ASCII is
 * left to the server. */
static bool is_address(const char *text, size_t n)
{
    static const char special[] = " \"(),:;<>[\\]";
    const char *at = memchr(text, '@', n);

    if (!at || at == text || n > ADDRESS_MAX || text + n == at + 1)
        return false;
    if (memchr(at + 1, '@', n - (size_t)(at + 1 - text)))
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f || strchr(special, text[i]))
            return false;
    return true;
}

static void copy(char *to, const char *text, size_t n)
{
    memcpy(to, text, n);
    to[n] = 0;
}

/* Without blanks around it and without the quotes that may be around that. */
static bool read_name(const char *text, size_t n, char ret[ADDRESS_NAME_MAX + 1])
{
    while (n && text[n - 1] == ' ')
        n--;
    while (n && *text == ' ')
        text++, n--;
    if (n >= 2 && *text == '"' && text[n - 1] == '"')
        text++, n -= 2;
    if (n > ADDRESS_NAME_MAX || memchr(text, '"', n) || memchr(text, '\\', n))
        return false;
    copy(ret, text, n);
    return true;
}

bool address_read(const char *text, struct address *ret)
{
    const char *open = strchr(text, '<');
    size_t n = strlen(text);
    struct address address = {0};

    if (!is_one_line(text))
        return false;
    if (!open) {
        if (!is_address(text, n))
            return false;
        copy(address.email, text, n);
    } else {
        const char *inside = open + 1;
        if (text[n - 1] != '>' || !is_address(inside, (size_t)(text + n - 1 - inside)) ||
            !read_name(text, (size_t)(open - text), address.name))
            return false;
        copy(address.email, inside, (size_t)(text + n - 1 - inside));
    }
    *ret = address;
    return true;
}

/* --- the whole --- */

static enum sb_verdict check_one(const char *member, const char *text,
                                 struct sb_outcome *outcome)
{
    struct address address;

    if (text && address_read(text, &address))
        return SB_DONE;
    return sb_fail(outcome,
                   "%s must be an address like \"a@example.com\" or \"Name "
                   "<a@example.com>\"",
                   member);
}

static enum sb_verdict check_list(const struct sb_json *data, const char *member,
                                  struct sb_outcome *outcome)
{
    const struct sb_json *list = sb_at(data, member);
    char place[32];

    if (!sb_has(data, member))
        return SB_DONE;
    if (sb_is_object(list, "") || sb_count(list, "") == 0)
        return sb_fail(outcome, "%s must be a list of addresses", member);
    for (size_t i = 0; i < sb_count(list, ""); i++) {
        snprintf(place, sizeof(place), "%s.%zu", member, i);
        if (check_one(place, sb_text(data, place), outcome) != SB_DONE)
            return SB_FAILED;
    }
    return SB_DONE;
}

size_t mail_recipients(const struct sb_json *data)
{
    return sb_count(data, "to") + sb_count(data, "cc") + sb_count(data, "bcc");
}

static enum sb_verdict check_addresses(const struct sb_event *event,
                                       struct sb_outcome *outcome)
{
    static const char *const lists[] = {"to", "cc", "bcc"};
    const struct sb_json *data = sb_data(event);

    if (!mail_from(event) && !sb_has(data, "from"))
        return sb_fail(outcome, "from is missing: an address like \"Shop "
                                "<shop@example.com>\", here or in the option from");
    if (check_one("from", mail_from(event), outcome) != SB_DONE)
        return SB_FAILED;
    if (!sb_has(data, "to"))
        return sb_fail(outcome, "to is missing: a list of addresses");
    for (size_t i = 0; i < 3; i++)
        if (check_list(data, lists[i], outcome) != SB_DONE)
            return SB_FAILED;
    if (mail_recipients(data) > MAIL_RECIPIENTS_MAX)
        return sb_fail(outcome, "to, cc and bcc are more than %d recipients together",
                       MAIL_RECIPIENTS_MAX);
    if (sb_has(data, "reply_to"))
        return check_one("reply_to", sb_text(data, "reply_to"), outcome);
    return SB_DONE;
}

static bool is_base64(const char *text)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(text), plain = strspn(text, alphabet), padding = n - plain;

    return n % 4 == 0 && padding <= 2 && strspn(text + plain, "=") == padding;
}

/* "type/subtype" without parameters: what stands there goes into a header as it is. */
static bool is_media_type(const char *text)
{
    static const char token[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz012"
                                "3456789!#$&-^_.+";
    size_t type = strspn(text, token);

    return type && text[type] == '/' && text[type + 1] &&
           strspn(text + type + 1, token) == strlen(text + type + 1);
}

static enum sb_verdict check_attachment(const struct sb_json *one, size_t i,
                                        struct sb_outcome *outcome)
{
    static const char *const known[] = {"filename", "content", "content_type", NULL};
    const char *filename = sb_text(one, "filename"), *content = sb_text(one, "content");
    const char *type = sb_text(one, "content_type");

    if (!sb_is_object(one, "") || sb_stranger(one, known))
        return sb_fail(outcome,
                       "attachments.%zu must be an object of filename, content and "
                       "content_type",
                       i);
    if (!filename || !*filename || !is_one_line(filename) || strpbrk(filename, "\"\\/"))
        return sb_fail(outcome,
                       "attachments.%zu.filename must be the name of a file, without a "
                       "path",
                       i);
    if (!content || !is_base64(content))
        return sb_fail(outcome, "attachments.%zu.content must be base64", i);
    if (sb_has(one, "content_type") && (!type || !is_media_type(type)))
        return sb_fail(
            outcome, "attachments.%zu.content_type must be like \"application/pdf\"", i);
    return SB_DONE;
}

static enum sb_verdict check_content(const struct sb_json *data,
                                     struct sb_outcome *outcome)
{
    const char *subject = sb_text(data, "subject");
    const struct sb_json *list = sb_at(data, "attachments");

    if (!subject || !*subject || !is_one_line(subject) ||
        strlen(subject) > MAIL_SUBJECT_MAX)
        return sb_fail(outcome, "subject must be one line of 1 to %d bytes",
                       MAIL_SUBJECT_MAX);
    if ((sb_has(data, "text") && !sb_text(data, "text")) ||
        (sb_has(data, "html") && !sb_text(data, "html")))
        return sb_fail(outcome, "text and html must be texts");
    if (!sb_text(data, "text") && !sb_text(data, "html"))
        return sb_fail(outcome, "text or html is needed: there is nothing to send");
    if (sb_has(data, "attachments") && (sb_is_object(list, "") || !sb_count(list, "")))
        return sb_fail(outcome, "attachments must be a list");
    if (sb_count(list, "") > MAIL_ATTACHMENTS_MAX)
        return sb_fail(outcome, "more than %d attachments", MAIL_ATTACHMENTS_MAX);
    for (size_t i = 0; i < sb_count(list, ""); i++)
        if (check_attachment(sb_element(list, i), i, outcome) != SB_DONE)
            return SB_FAILED;
    return SB_DONE;
}

enum sb_verdict mail_check(const struct sb_event *event, struct sb_outcome *outcome)
{
    static const char *const known[] = {"from",        "to",      "cc",   "bcc",
                                        "reply_to",    "subject", "text", "html",
                                        "attachments", NULL};
    const struct sb_json *data = sb_data(event);
    const char *stranger = sb_stranger(data, known);

    if (!sb_is_object(data, ""))
        return sb_fail(outcome, "the data must be a JSON object");
    if (stranger)
        return sb_fail(outcome, "\"%s\" is not a member this operation knows", stranger);
    if (check_addresses(event, outcome) != SB_DONE)
        return SB_FAILED;
    return check_content(data, outcome);
}

const char *mail_from(const struct sb_event *event)
{
    const struct sb_json *data = sb_data(event);

    return sb_has(data, "from") ? sb_text(data, "from") : sb_option(event, "from");
}

/* --- what all providers' outcomes share --- */

static void price(const struct sb_event *event, size_t recipients,
                  struct sb_outcome *outcome)
{
    int64_t each = sb_option_int(event, "price_each"), sum;

    if (sb_option(event, "price_each") &&
        !__builtin_mul_overflow(each, (int64_t)recipients, &sum))
        sb_cost(outcome, SB_ESTIMATED, sb_option(event, "price_currency"), sum);
}

void mail_price(const struct sb_event *event, struct sb_outcome *outcome)
{
    price(event, mail_recipients(sb_data(event)), outcome);
}

void mail_price_most(const struct sb_event *options, struct sb_outcome *outcome)
{
    price(options, MAIL_RECIPIENTS_MAX, outcome);
}

void mail_sent(const struct sb_event *event, const char *message_id,
               struct sb_outcome *outcome)
{
    struct sb_json *result = sb_result(outcome);

    sb_put_text(result, "provider", sb_provider(event));
    sb_put_text(result, "message_id", message_id);
    sb_put_int(result, "recipients", (int64_t)mail_recipients(sb_data(event)));
}

enum sb_verdict mail_key_refused(const struct sb_event *event, const char *service,
                                 unsigned status, struct sb_outcome *outcome)
{
    return sb_fail(
        outcome,
        "%s does not accept the API key, or it may not do this (%u): check the "
        "secret \"api_key\" of the integration %s",
        service, status, sb_integration(event));
}
