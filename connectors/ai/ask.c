/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* ask - what is asked of a model, and what it costs by the tokens used
 *
 * Prices are the operator's, by model, because providers change them: the connector knows
 * none.  A price of 2.50 US dollars for a million tokens is 2.5 millionths for one, kept
 * as 2,500,000 millionths of a millionth, so that a sum is exact. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ai.h"

enum {
    MESSAGES_MAX = 2000,
    INPUTS_MAX = 2048,     /* of one embedding; OpenAI's bound */
    OUTPUT_MAX = 10000000, /* tokens */
    MODELS_MAX = 1000,     /* of a list; further ones are counted and left out */
    PRICES_OF_A_MODEL = 3, /* input, output, cached input */
    PRICE_DIGITS_MAX = 6,  /* behind the point */
    MILLION = 1000000,
};

/* --- prices --- */

static const char *skip(const char *text, const char *set)
{
    return text + strspn(text, set);
}

/* 2.50 as 2,500,000; false when it is no such number. */
static bool read_price(const char **at, int64_t *ret)
{
    const char *text = *at;
    size_t whole = strspn(text, "0123456789"), digits = 0;

    if (whole == 0 || whole > 9)
        return false;
    int64_t value = strtoll(text, NULL, 10) * MILLION;
    text += whole;
    if (*text == '.') {
        digits = strspn(++text, "0123456789");
        if (digits == 0 || digits > PRICE_DIGITS_MAX)
            return false;
        for (int64_t i = 0, place = MILLION / 10; i < (int64_t)digits; i++, place /= 10)
            value += (*text++ - '0') * place;
    }
    *at = text;
    *ret = value;
    return true;
}

/* One entry, `MODEL INPUT [OUTPUT [CACHED]]`. Returns how many prices it has, 0 when it
 * is wrong. */
static int read_entry(const char **at, const char **ret_model, size_t *ret_len,
                      int64_t prices[PRICES_OF_A_MODEL])
{
    int n = 0;

    *ret_model = *at;
    *ret_len = strcspn(*at, " ,\n");
    *at = skip(*at + *ret_len, " ");
    while (n < PRICES_OF_A_MODEL && **at && !strchr(",\n", **at)) {
        if (!read_price(at, &prices[n++]) || (**at && !strchr(" ,\n", **at)))
            return 0;
        *at = skip(*at, " ");
    }
    return **at && !strchr(",\n", **at) ? 0 : n;
}

static int64_t total(const int64_t prices[], int n, const struct usage *usage)
{
    int64_t cached = n == PRICES_OF_A_MODEL ? usage->cached : 0;
    int64_t sum = (usage->input - cached) * prices[0];

    if (n > 1)
        sum += usage->output * prices[1];
    if (n > 2)
        sum += cached * prices[2];
    return (sum + MILLION - 1) / MILLION;
}

int64_t ask_cost(const char *prices, const char *model, const struct usage *usage,
                 const char **ret_wrong)
{
    int64_t cost = -1;

    for (const char *at = skip(prices ? prices : "", " ,\n"); *at;
         at = skip(at, " ,\n")) {
        const char *entry = at, *name;
        size_t len;
        int64_t of[PRICES_OF_A_MODEL];
        int n = read_entry(&at, &name, &len, of);
        if (n == 0) {
            *ret_wrong = entry;
            return -1;
        }
        if (model && strlen(model) == len && memcmp(model, name, len) == 0)
            cost = total(of, n, usage);
    }
    return cost;
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
    ask_cost(sb_option(event, "prices"), NULL, &(struct usage){0}, &wrong);
    if (wrong)
        return sb_fail(
            outcome,
            "options.prices of the integration %s: \"%.*s\" is not MODEL INPUT "
            "OUTPUT [CACHED], US dollars for a million tokens with at most %d "
            "digits behind the point",
            sb_integration(event), (int)strcspn(wrong, ",\n"), wrong, PRICE_DIGITS_MAX);
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

void ask_used(const struct sb_event *event, const struct usage *usage,
              struct sb_outcome *outcome)
{
    const char *wrong = NULL;
    struct sb_json *of = sb_object(sb_result(outcome), "usage");
    int64_t cost = ask_cost(sb_option(event, "prices"), ask_model(event), usage, &wrong);

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
    struct usage most = {0};
    size_t bytes;
    bool is_chat = sb_has(sb_data(event), "messages");

    sb_raw(event, &bytes);
    most.input = (int64_t)bytes;
    if (is_chat && !sb_int(sb_data(event), "max_tokens", &most.output))
        return;
    int64_t cost = ask_cost(sb_option(event, "prices"), ask_model(event), &most, &wrong);
    if (cost >= 0)
        sb_cost(outcome, SB_ESTIMATED, "USD", cost);
}
