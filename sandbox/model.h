/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* model - what the practice models say: the practice AI providers agree on it
 *
 * A model says "You said: " and the last message again.  Its name decides what else
 * happens: see `fates` in model.c.  A token is a word here. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct json;

enum model_fate {
    MODEL_ANSWERS,
    MODEL_UNKNOWN,    /* no-such-model */
    MODEL_SPENT,      /* no-credit: nothing is left to pay it with */
    MODEL_BUSY,       /* rate-limited */
    MODEL_OVERLOADED, /* overloaded */
    MODEL_REFUSES,    /* refuses: an answer without a text */
    MODEL_BREAKS_OFF, /* breaks-off: a stream ends in the middle */
};
enum { MODEL_PIECE_MS = 10 /* between the pieces of a stream */ };

enum model_fate model_fate(const char *name);

/* The text of a message's content: itself, or the first part that is one. NULL: none. */
const char *model_text(const struct json *content);
/* The answer to messages, [{role, content}], in at most `max_tokens` tokens; is it cut
 * there? */
bool model_say(const struct json *messages, int64_t max_tokens, struct buf *ret_text);
/* How long the first token of the text is, with the white space behind it; 0 at the end.
 */
size_t model_token(const char *text);
int64_t model_count(const char *text);
/* The tokens of all messages. */
int64_t model_count_all(const struct json *messages);
/* The text of the last message; "" when it has none. */
const char *model_asked(const struct json *messages);
/* What is counted as done: the model, and the beginning of what it was asked. A text to
 * be freed. */
char *model_effect(const char *model, const char *asked);
