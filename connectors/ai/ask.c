/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* ask - what is asked of a model, and what it costs by the tokens used
 *
 * Prices are the operator's, by model, because providers change them: the connector knows
 * none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ai.h"

enum {
    MESSAGES_MAX = 2000,
    INPUTS_MAX = 2048,     /* of one embedding; OpenAI's bound */
    OUTPUT_MAX = 10000000, /* tokens */
    MODELS_MAX = 1000,     /* of a list; further ones are counted and left out */
};

/* --- what is asked --- */

const char *ask_model(const struct sb_event *event)
{
    const char *model = sb_text(sb_data(event), "model");

    return model ? model : sb_option(event, "model");
}

static enum sb_verdict check_object(const struct sb_json *data, const char *const *names,
                                    struct sb_outcome *outcome)
{
    if (!sb_is_object(data, ""))
        return sb_fail(outcome, "the data must be a JSON object");
    const char *stranger = sb_stranger(data, names);
    return stranger ? sb_fail(outcome, "\"%s\" is not a member of this request", stranger)
                    : SB_DONE;
}

static enum sb_verdict check_model(const struct sb_event *event,
                                   struct sb_outcome *outcome)
{
    const struct sb_json *data = sb_data(event);
    const char *model = ask_model(event), *wrong = NULL;

    if ((sb_has(data, "model") && !sb_text(data, "model")) || !model || !*model)
        return sb_fail(outcome,
                       "model must be a text, here or as options.model of the "
                       "integration %s",
                       sb_integration(event));
    sb_token_cost(sb_option(event, "prices"), NULL, &(struct sb_tokens){0}, &wrong);
    if (wrong)
        return sb_fail(
            outcome,
            "options.prices of the integration %s: \"%.*s\" is not MODEL INPUT "
            "OUTPUT [CACHED], US dollars for a million tokens with at most 6 "
            "digits behind the point",
            sb_integration(event), (int)strcspn(wrong, ",\n"), wrong);
    return SB_DONE;
}

static enum sb_verdict check_messages(const struct sb_json *data,
                                      struct sb_outcome *outcome)
{
    const struct sb_json *messages = sb_at(data, "messages");
    size_t n = sb_count(messages, "");

    if (sb_is_object(messages, "") || n == 0 || n > MESSAGES_MAX)
        return sb_fail(outcome, "messages must be a list of 1 to %d {role, content}",
                       MESSAGES_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct sb_json *message = sb_element(messages, i);
        const char *role = sb_text(message, "role"),
                   *content = sb_text(message, "content");
        if (!role || !*role)
            return sb_fail(outcome, "messages.%zu.role must be a text", i);
        if (!content &&
            (sb_is_object(message, "content") || sb_count(message, "content") == 0))
            return sb_fail(outcome,
                           "messages.%zu.content must be a text, or a list of parts as "
                           "the provider knows them",
                           i);
    }
    return SB_DONE;
}

enum sb_verdict ask_check_chat(const struct sb_event *event, struct sb_outcome *outcome)
{
    static const char *const names[] = {"model", "messages", "max_tokens", "temperature",
                                        NULL};
    const struct sb_json *data = sb_data(event);
    int64_t max_tokens;
    double temperature;

    if (check_object(data, names, outcome) != SB_DONE ||
        check_model(event, outcome) != SB_DONE ||
        check_messages(data, outcome) != SB_DONE)
        return SB_FAILED;
    if (sb_has(data, "max_tokens") && (!sb_int(data, "max_tokens", &max_tokens) ||
                                       max_tokens < 1 || max_tokens > OUTPUT_MAX))
        return sb_fail(outcome, "max_tokens must be a whole number from 1 to %d",
                       OUTPUT_MAX);
    if (sb_has(data, "temperature") && (!sb_number(data, "temperature", &temperature) ||
                                        temperature < 0 || temperature > 2))
        return sb_fail(outcome, "temperature must be a number from 0 to 2");
    return SB_DONE;
}

enum sb_verdict ask_check_embed(const struct sb_event *event, struct sb_outcome *outcome)
{
    static const char *const names[] = {"model", "input", NULL};
    const struct sb_json *data = sb_data(event), *input = sb_at(data, "input");
    size_t n = sb_count(input, "");
    const char *text = sb_text(data, "input");

    if (check_object(data, names, outcome) != SB_DONE ||
        check_model(event, outcome) != SB_DONE)
        return SB_FAILED;
    for (size_t i = 0; i < n; i++)
        if (sb_is_object(input, "") || !sb_text(sb_element(input, i), ""))
            n = 0;
    if (!(text && *text) && (n == 0 || n > INPUTS_MAX))
        return sb_fail(outcome, "input must be a text, or a list of 1 to %d texts",
                       INPUTS_MAX);
    return SB_DONE;
}

void ask_put(struct sb_json *body, const char *as, const struct sb_json *data,
             const char *name)
{
    if (sb_has(data, name)) /* null is absent, and must not stand over a default */
        sb_put(body, as, sb_at(data, name));
}

/* --- which models there are --- */

enum sb_verdict ask_check_models(const struct sb_event *event, struct sb_outcome *outcome)
{
    static const char *const names[] = {NULL};

    return check_object(sb_data(event), names, outcome);
}

enum sb_verdict ask_models(const struct sb_event *event, const struct sb_answer *answer,
                           struct sb_outcome *outcome)
{
    const struct sb_json *models = sb_at(sb_answer_json(answer), "data");
    struct sb_json *result = sb_result(outcome);
    size_t n = sb_count(models, "");

    if (!models || sb_is_object(models, ""))
        return sb_unclear(outcome, "not what is answered to a list of models");
    sb_put_text(result, "provider", sb_provider(event));
    sb_put_int(result, "count", (int64_t)n);
    for (size_t i = 0; i < n && i < MODELS_MAX; i++)
        sb_put(sb_append(result, "models"), "id", sb_at(sb_element(models, i), "id"));
    return SB_DONE;
}

/* --- what it costs --- */

void ask_used(const struct sb_event *event, const struct sb_tokens *usage,
              struct sb_outcome *outcome)
{
    const char *wrong = NULL;
    struct sb_json *of = sb_object(sb_result(outcome), "usage");
    int64_t cost =
        sb_token_cost(sb_option(event, "prices"), ask_model(event), usage, &wrong);

    sb_put_int(of, "input_tokens", usage->input);
    sb_put_int(of, "output_tokens", usage->output);
    if (usage->cached > 0)
        sb_put_int(of, "cached_tokens", usage->cached);
    if (cost >= 0)
        sb_cost(outcome, SB_ACTUAL, "USD", cost);
}

void ask_price(const struct sb_event *event, struct sb_outcome *outcome)
{
    const char *wrong = NULL;
    struct sb_tokens most = {0};
    size_t bytes;
    bool is_chat = sb_has(sb_data(event), "messages");

    sb_raw(event, &bytes);
    most.input = (int64_t)bytes;
    if (is_chat && !sb_int(sb_data(event), "max_tokens", &most.output))
        return;
    int64_t cost =
        sb_token_cost(sb_option(event, "prices"), ask_model(event), &most, &wrong);
    if (cost >= 0)
        sb_cost(outcome, SB_ESTIMATED, "USD", cost);
}
