/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* email - send mails, and hear what became of them
 *
 * One operation, `send`, with the same input for every provider (mail.h) and the same
 * kind of outcome; what differs stands in a file for each provider. */
#include "email.h"

static const struct sb_provider providers[] = {
    {.name = "sendgrid",
     .base_url = "https://api.sendgrid.com",
     .options = sendgrid_options,
     .secrets = sendgrid_secrets,
     .operations = sendgrid_operations,
     .webhooks = sendgrid_webhooks,
     .failures = sendgrid_failures,
     .service = "SendGrid"},
    {.name = "resend",
     .base_url = "https://api.resend.com",
     .options = resend_options,
     .secrets = resend_secrets,
     .operations = resend_operations,
     .webhooks = resend_webhooks,
     .failures = resend_failures,
     .service = "Resend"},
    {.name = "smtp", /* no base_url: there is no mail server that is everybody's */
     .options = smtp_options,
     .secrets = smtp_secrets,
     .operations = smtp_operations,
     .failures = smtp_failures,
     .service = "Mail server"},
    {.name = NULL},
};

static const char *const publishes[] = {"email.bounced", NULL};

static const struct sb_connector email = {
    .name = "email",
    .version = "1",
    .summary = "signalbox connector: mail (SendGrid, Resend, SMTP)",
    .providers = providers,
    .publishes = publishes,
    .tests = "unit tests of requests and answers without a network; requests are held "
             "against SendGrid's OpenAPI description; the sandbox answers as the "
             "providers do, refusals and faults included",
};

int main(int argc, char **argv)
{
    return sb_connector_main(&email, argc, argv);
}
