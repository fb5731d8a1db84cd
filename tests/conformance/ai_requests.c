/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Prints what the ai connector would send. */
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

static char *names[] = {(char[]){"version"}, (char[]){"auth"}};
static char *values[] = {(char[]){"2026-10-21"}, (char[]){"bearer"}};
static const struct integration anthropic = {.connector = &ai,
                                             .provider = &providers[1],
                                             .name = "anthropic",
                                             .base_url = "https://api.anthropic.com",
                                             .secret = secret};
static const struct integration newer = {.connector = &ai,
                                         .provider = &providers[1],
                                         .name = "newer",
                                         .base_url = "https://api.anthropic.com",
                                         .secret = secret,
                                         .option_names = names,
                                         .option_values = values,
                                         .n_options = 2};

#define SPOKEN                                                                           \
    "\"messages\":[{\"role\":\"system\",\"content\":\"Be brief\"},{\"role\":\"user\","   \
    "\"content\":[{\"type\":\"text\",\"text\":\"a & \\u00fc\"}]},{\"role\":"             \
    "\"assistant\",\"content\":\"b\"},{\"role\":\"user\",\"content\":\"c\"}]"

static const struct input inputs[] = {
    {&anthropic, "anthropic-2023-06-01", "ai.chat.requested",
     "{\"model\":\"claude-3-5-haiku-latest\"," SPOKEN ",\"temperature\":0.5}"},
    {&anthropic, "anthropic-2023-06-01", "ai.chat.requested",
     "{\"model\":\"claude-3-5-haiku-latest\"," SPOKEN ",\"max_tokens\":50}"},
    {&newer, "anthropic-2026-10-21", "ai.chat.requested",
     "{\"model\":\"claude-3-5-haiku-latest\"," SPOKEN ",\"max_tokens\":50}"},
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
