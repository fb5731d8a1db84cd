/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* messaging - send short messages, and hear what became of them */
#include "messaging.h"

static const struct sb_provider providers[] = {
    {.name = "slack",
     .base_url = "https://slack.com",
     .options = slack_options,
     .secrets = slack_secrets,
     .operations = slack_operations,
     .failures = slack_failures,
     .service = "Slack"},
    {.name = "twilio",
     .base_url = "https://api.twilio.com",
     .options = twilio_options,
     .secrets = twilio_secrets,
     .operations = twilio_operations,
     .webhooks = twilio_webhooks,
     .failures = twilio_failures,
     .service = "Twilio",
     .webhook_secret = "auth_token"},
    {.name = NULL},
};

static const struct sb_connector messaging = {
    .name = "messaging",
    .version = "1",
    .summary = "signalbox connector: short messages (Slack, Twilio)",
    .providers = providers,
    .tests = "unit tests of requests and answers without a network; requests are held "
             "against the providers' OpenAPI descriptions; the sandbox answers as the "
             "providers do, refusals and faults included",
};

int main(int argc, char **argv)
{
    return sb_connector_main(&messaging, argc, argv);
}
