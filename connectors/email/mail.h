/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mail - the mail an event asks for, checked; the same for every provider
 *
 *     {from, to[], cc[]?, bcc[]?, reply_to?, subject, text?, html?,
 *      attachments[]? {filename, content (base64), content_type?}}
 *
 * Addresses are "a@example.com" or "Name <a@example.com>".  What would break out of a
 * header (CR, LF, any control character) is refused here, so that no provider sees it. */
#ifndef EMAIL_MAIL_H
#define EMAIL_MAIL_H
#include <signalbox/connector.h>

enum {
    MAIL_RECIPIENTS_MAX = 100, /* to, cc and bcc together; more: Failed */
    MAIL_ATTACHMENTS_MAX = 20, /* more: Failed; their bytes are bounded by the event's */
    MAIL_SUBJECT_MAX = 900,    /* bytes; RFC 5322 2.1.1 ends a line after 998 */
    ADDRESS_MAX = 254,         /* characters of an address, RFC 5321 4.5.3.1 */
    ADDRESS_NAME_MAX = 200,    /* bytes of the name before it */
};

struct address {
    char email[ADDRESS_MAX + 1];
    char name[ADDRESS_NAME_MAX + 1]; /* empty: none */
};

/* Take "a@b" or "Name <a@b>" apart.  False when it is neither, is too long, or holds a
 * control character. */
bool address_read(const char *text, struct address *ret);

/* Is the event's data a mail?  SB_DONE, or SB_FAILED with the member named. */
enum sb_verdict mail_check(const struct sb_event *event, struct sb_outcome *outcome);
/* The sender: the member `from`, or the option of that name. After mail_check. */
const char *mail_from(const struct sb_event *event);
/* Recipients in to, cc and bcc. */
size_t mail_recipients(const struct sb_json *data);
/* The estimate of the options price_each and price_currency, per recipient; nothing where
 * the configuration gives no price. */
void mail_price(const struct sb_event *event, struct sb_outcome *outcome);
/* The same for as many recipients as one mail may have. */
void mail_price_most(const struct sb_event *options, struct sb_outcome *outcome);
/* What every success says: provider, the provider's id of the message (may be NULL), how
 * many recipients it was accepted for. */
void mail_sent(const struct sb_event *event, const char *message_id,
               struct sb_outcome *outcome);
/* The key is not accepted, or may not do this. */
enum sb_verdict mail_key_refused(const struct sb_event *event, const char *service,
                                 unsigned status, struct sb_outcome *outcome);

/* The name under which the event's id travels with the mail and comes back in webhooks.
 */
#define MAIL_EVENT_TAG "signalbox_event"
#define MAIL_OPTIONS                                                                     \
    {"from", SB_TEXT, NULL, false,                                                       \
     "the sender of mails that name none: \"Shop <shop@example.com>\""},                 \
        {"price_each", SB_INT, NULL, false,                                              \
         "estimate of the cost: millionths of price_currency per recipient"},            \
    {                                                                                    \
        "price_currency", SB_TEXT, "USD", false, "the currency of price_each"            \
    }
#endif
