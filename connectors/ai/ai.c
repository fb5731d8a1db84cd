/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* ai - ask language models, and have texts made into vectors */
#include "ai.h"

static const struct sb_provider providers[] = {
    {.name = "openai",
     .base_url = "https://api.openai.com/v1",
     .options = openai_options,
     .secrets = openai_secrets,
     .operations = openai_operations,
     .failures = openai_failures,
     .service = "OpenAI",
     .limits = "{ timeout: 60s }"},
    {.name = "anthropic",
     .base_url = "https://api.anthropic.com",
     .options = anthropic_options,
     .secrets = anthropic_secrets,
     .operations = anthropic_operations,
     .failures = anthropic_failures,
     .service = "Anthropic",
     .limits = "{ timeout: 60s }"},
    {.name = NULL},
};

static const struct sb_connector ai = {
    .name = "ai",
    .version = "1",
    .summary = "signalbox connector: language models (OpenAI and compatible, Anthropic)",
    .providers = providers,
    .tests =
        "unit tests of requests and answers without a network; requests are held "
        "against OpenAI's OpenAPI description and the types of Anthropic's SDKs; the "
        "sandbox answers as the providers "
        "do, refusals, overload and faults included",
};

int main(int argc, char **argv)
{
    return sb_connector_main(&ai, argc, argv);
}
