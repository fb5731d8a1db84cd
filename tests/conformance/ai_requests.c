/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Prints what the ai connector would send to OpenAI. */
#include "tests/conformance/requests.h"

int ai_main(int argc, char **argv);
#define main ai_main
#include "connectors/ai/ai.c"
#undef main

static const char *secret(void *user, const char *name)
{
    (void)user, (void)name;
    return "sk-fake0123456789";
}

static const struct integration openai = {.connector = &ai,
                                          .provider = &providers[0],
                                          .name = "openai",
                                          .base_url = "https://api.openai.com/v1",
                                          .secret = secret};

static const struct input inputs[] = {
    {&openai, "openai", "ai.chat.requested",
     "{\"model\":\"gpt-4o-mini\",\"messages\":[{\"role\":\"system\",\"content\":\"Be "
     "brief\"},{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a & "
     "\\u00fc\"}]}],\"max_tokens\":50,\"temperature\":0.5}"},
    {&openai, "openai", "ai.embed.requested",
     "{\"model\":\"text-embedding-3-small\",\"input\":[\"a\",\"b\"]}"},
    {&openai, "openai", "ai.embed.requested",
     "{\"model\":\"text-embedding-3-small\",\"input\":\"a\"}"},
};

int main(void)
{
    int refused = 0;

    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        refused += print_request(&inputs[i]);
    return refused ? 1 : 0;
}
