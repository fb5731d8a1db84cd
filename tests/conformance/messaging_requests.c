/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Prints what the messaging connector would send. */
#include "tests/conformance/requests.h"

int messaging_main(int argc, char **argv);
#define main messaging_main
#include "connectors/messaging/messaging.c"
#undef main

static const char *secret(void *user, const char *name)
{
    (void)user, (void)name;
    return "xoxb-fake0123456789";
}

static char *names[] = {(char[]){"account_sid"}, (char[]){"from"},
                        (char[]){"status_callback"}};
static char *values[] = {(char[]){"AC00000000000000000000000000000000"},
                         (char[]){"+15005550006"},
                         (char[]){"https://hooks.example.com/webhooks/twilio"}};
static char *quiet_names[] = {(char[]){"unfurl_links"}};
static char *quiet_values[] = {(char[]){"false"}};
static const struct integration slack = {.connector = &messaging,
                                         .provider = &providers[0],
                                         .name = "slack",
                                         .base_url = "https://slack.com",
                                         .option_names = quiet_names,
                                         .option_values = quiet_values,
                                         .n_options = 1,
                                         .secret = secret};
static const struct integration twilio = {.connector = &messaging,
                                          .provider = &providers[1],
                                          .name = "twilio",
                                          .base_url = "https://api.twilio.com",
                                          .option_names = names,
                                          .option_values = values,
                                          .n_options = 3,
                                          .secret = secret};

static const struct input inputs[] = {
    {&slack, "slack", "messaging.send.requested",
     "{\"to\":\"C012\",\"text\":\"a & \\u00fc\"}"},
    {&twilio, "twilio", "messaging.send.requested",
     "{\"to\":\"+15551234567\",\"text\":\"a & \\u00fc\"}"},
};

int main(void)
{
    int refused = 0;

    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        refused += print_request(&inputs[i]);
    refused += print_lookup(&inputs[1]);
    return refused ? 1 : 0;
}
