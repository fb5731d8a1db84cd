/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* ai - what the providers' files share, and the tables they bring */
#ifndef AI_AI_H
#define AI_AI_H
#include <signalbox/connector.h>

extern const struct sb_option openai_options[], anthropic_options[];
extern const struct sb_secret openai_secrets[], anthropic_secrets[];
extern const struct sb_operation openai_operations[], anthropic_operations[];
extern const struct sb_failure_mode openai_failures[], anthropic_failures[];

/* The options that every provider has. */
#define ASK_OPTIONS                                                                      \
    {"model", SB_TEXT, NULL, false, "the model where a request names none"},             \
        {"prices_date", SB_TEXT, NULL, false,                                            \
         "the day on which `prices` was compared with the provider's, YYYY-MM-DD: it "   \
         "stands with every cost"},                                                      \
        {"call_cost_max", SB_INT, NULL, false,                                           \
         "millionths of a US dollar: a request that could cost more is refused before "  \
         "the call; the budget reserves it"},                                            \
    {                                                                                    \
        "prices", SB_TEXT, NULL, false,                                                  \
            "US dollars for a million tokens, by model: MODEL INPUT OUTPUT [CACHED], "   \
            "... "                                                                       \
            "(of an embedding: MODEL INPUT); a model that is not in it has no cost"      \
    }

/* Is the data of a chat {model?, messages, max_tokens?, temperature?} and nothing else,
 * and are the prices in order?  SB_DONE, or SB_FAILED with the member named. */
enum sb_verdict ask_check_chat(const struct sb_event *event, struct sb_outcome *outcome);
/* The same of {model?, input}: a text or a list of texts. */
enum sb_verdict ask_check_embed(const struct sb_event *event, struct sb_outcome *outcome);
/* Copy a member of the data under the name `as`, unless it is absent or null. */
void ask_put(struct sb_json *body, const char *as, const struct sb_json *data,
             const char *name);
/* Is the data {}? */
enum sb_verdict ask_check_models(const struct sb_event *event,
                                 struct sb_outcome *outcome);
/* The list of models, {"data":[{"id"}]}, as the outcome's data. */
enum sb_verdict ask_models(const struct sb_event *event, const struct sb_answer *answer,
                           struct sb_outcome *outcome);
/* The model that is asked: of the data, else of the option. */
const char *ask_model(const struct sb_event *event);
/* Note in the outcome which model used how many tokens, and what that costs. */
void ask_used(const struct sb_event *event, const struct sb_tokens *usage,
              struct sb_outcome *outcome);
/* An estimate where the answer counts no tokens: the most it can have cost.  A token is
 * at least a byte of the text that is sent, and at most `max_tokens` come back.  Nothing
 * where that is open, where there is more than text, or where the model has no price. */
void ask_price(const struct sb_event *event, struct sb_outcome *outcome);
/* The option call_cost_max. */
void ask_price_most(const struct sb_event *options, struct sb_outcome *outcome);
#endif
