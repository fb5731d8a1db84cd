/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Prints what the email connector would send. */
#include "tests/conformance/requests.h"

int email_main(int argc, char **argv);
#define main email_main
#include "connectors/email/email.c"
#undef main

static const char *secret(void *user, const char *name)
{
    (void)user, (void)name;
    return "SG.fake0123456789";
}

static const struct integration sendgrid = {.connector = &email,
                                            .provider = &providers[0],
                                            .name = "sendgrid",
                                            .base_url = "https://api.sendgrid.com",
                                            .secret = secret};

static const struct integration resend = {.connector = &email,
                                          .provider = &providers[1],
                                          .name = "resend",
                                          .base_url = "https://api.resend.com",
                                          .secret = secret};

static const struct input inputs[] = {
    {&resend, "resend", "email.send.requested",
     "{\"from\":\"F <f@example.com>\",\"to\":[\"A <a@example.com>\",\"b@example.com\"],"
     "\"cc\":[\"c@example.com\"],\"bcc\":[\"d@example.com\"],\"reply_to\":\"r@example."
     "com\",\"subject\":\"\\u00fc\",\"text\":\"T\",\"html\":\"<p>T</p>\",\"attachments\":"
     "[{\"filename\":\"a.pdf\",\"content\":\"AAEC\",\"content_type\":\"application/pdf\"}"
     "]}"},
    {&sendgrid, "sendgrid", "email.send.requested",
     "{\"from\":\"f@example.com\",\"to\":[\"a@example.com\"],\"subject\":\"S\",\"text\":"
     "\"T\"}"},
    {&sendgrid, "sendgrid", "email.send.requested",
     "{\"from\":\"F <f@example.com>\",\"to\":[\"A <a@example.com>\",\"b@example.com\"],"
     "\"cc\":[\"c@example.com\"],\"bcc\":[\"d@example.com\"],\"reply_to\":\"r@example."
     "com\",\"subject\":\"\\u00fc\",\"text\":\"T\",\"html\":\"<p>T</p>\",\"attachments\":"
     "[{\"filename\":\"a.pdf\",\"content\":\"AAEC\",\"content_type\":\"application/pdf\"}"
     "]}"},
};

int main(void)
{
    int refused = 0;

    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        refused += print_request(&inputs[i]);
    return refused ? 1 : 0;
}
