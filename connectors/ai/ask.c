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

/* --- what it can cost --- */

/* Is the content of every message a text, or parts of the type text?  Of an image the
 * bytes do not tell the tokens. */
static bool is_all_text(const struct sb_json *messages)
{
    for (size_t i = 0; i < sb_count(messages, ""); i++) {
        const struct sb_json *content = sb_at(sb_element(messages, i), "content");
        for (size_t j = 0; !sb_text(content, "") && j < sb_count(content, ""); j++) {
            const char *type = sb_text(sb_element(content, j), "type");
            if (!type || strcmp(type, "text") != 0)
                return false;
        }
    }
    return true;
}

/* The bound on the answer: Anthropic's has one in any case. False: there is none. */
static bool max_output(const struct sb_event *event, int64_t *ret)
{
    if (sb_int(sb_data(event), "max_tokens", ret))
        return true;
    if (strcmp(sb_provider(event), "anthropic") != 0)
        return false;
    *ret = sb_option_int(event, "max_tokens");
    return true;
}

/* Millionths of a US dollar; -1: there is no bound, *ret_why says why. */
static int64_t cost_most(const struct sb_event *event, const char **ret_why)
{
    const struct sb_json *data = sb_data(event);
    const char *wrong = NULL;
    struct sb_tokens most = {0};
    size_t bytes;

    sb_raw(event, &bytes);
    most.input = (int64_t)bytes;
    *ret_why = "its model is not in options.prices";
    if (sb_has(data, "messages") && !max_output(event, &most.output))
        *ret_why = "it has no max_tokens";
    else if (!is_all_text(sb_at(data, "messages")))
        *ret_why = "there is more than text in messages";
    else
        return sb_token_cost(sb_option(event, "prices"), ask_model(event), &most, &wrong);
    return -1;
}

static enum sb_verdict check_cost(const struct sb_event *event,
                                  struct sb_outcome *outcome)
{
    int64_t max = sb_option_int(event, "call_cost_max");
    const char *why;

    if (!sb_option(event, "call_cost_max"))
        return SB_DONE;
    int64_t cost = cost_most(event, &why);
    if (cost < 0)
        return sb_fail(outcome,
                       "what this request can cost has no bound: %s; the integration %s "
                       "has one (options.call_cost_max)",
                       why, sb_integration(event));
    return cost <= max
               ? SB_DONE
               : sb_fail(outcome,
                         "this request can cost %lld millionths of a US dollar, and "
                         "options.call_cost_max of the integration %s is %lld: fewer "
                         "max_tokens, a shorter text or another model",
                         (long long)cost, sb_integration(event), (long long)max);
}

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

/* YYYY-MM-DD, or not there. */
static bool is_date(const char *text)
{
    static const char form[] = "0000-00-00";

    if (text && strlen(text) != strlen(form))
        return false;
    for (size_t i = 0; text && form[i]; i++)
        if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
            return false;
    return true;
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
    if (!is_date(sb_option(event, "prices_date")))
        return sb_fail(outcome,
                       "options.prices_date of the integration %s must be a day, "
                       "YYYY-MM-DD",
                       sb_integration(event));
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
    return check_cost(event, outcome);
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
    return check_cost(event, outcome);
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
    if (cost < 0)
        return;
    sb_cost(outcome, SB_ACTUAL, "USD", cost);
    sb_put_text(sb_result(outcome), "prices_date", sb_option(event, "prices_date"));
}

void ask_price(const struct sb_event *event, struct sb_outcome *outcome)
{
    const char *unbounded;
    int64_t cost = cost_most(event, &unbounded);

    if (cost >= 0)
        sb_cost(outcome, SB_ESTIMATED, "USD", cost);
}

void ask_price_most(const struct sb_event *options, struct sb_outcome *outcome)
{
    if (sb_option(options, "call_cost_max"))
        sb_cost(outcome, SB_ESTIMATED, "USD", sb_option_int(options, "call_cost_max"));
}
