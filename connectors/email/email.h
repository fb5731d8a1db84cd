/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* email - the tables that each provider's file brings into the connector */
#ifndef EMAIL_EMAIL_H
#define EMAIL_EMAIL_H
#include <signalbox/connector.h>

extern const struct sb_option sendgrid_options[], resend_options[], smtp_options[];
extern const struct sb_secret sendgrid_secrets[], resend_secrets[], smtp_secrets[];
extern const struct sb_operation sendgrid_operations[], resend_operations[],
    smtp_operations[];
extern const struct sb_webhook sendgrid_webhooks[], resend_webhooks[];
extern const struct sb_failure_mode sendgrid_failures[], resend_failures[],
    smtp_failures[];

/* What the operation `send` says the same for every provider. */
#define EMAIL_SEND                                                                       \
    .name = "send", .summary = "Send one mail",                                          \
    .transition = "mail: written -> accepted for delivery",                              \
    .transition_failed = "mail: written -> not sent",                                    \
    .degrade = "keep the mail and send it later, or through another integration"

#define EMAIL_EXAMPLE                                                                    \
    "{\"from\":\"Shop "                                                                  \
    "<shop@example.com>\",\"to\":[\"a@example.com\"],\"subject\":\"Your "                \
    "order\",\"text\":\"Thank you\"}"
#endif
