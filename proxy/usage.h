/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* usage - how many tokens an answer says were used, read while it goes through
 *
 * Whole answers and server-sent events (one JSON value behind each "data:") of OpenAI's
 * chat completions, embeddings and responses, and of Anthropic's messages. Fields:
 * platform.openai.com/docs/api-reference, docs.anthropic.com/en/api/messages-streaming.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "include/signalbox/connector.h"
#include "lib/base/buf.h"

struct json;

enum {
    USAGE_LINE_MAX = 256 << 10, /* bytes of an event's line; a longer one is not read */
    USAGE_MODEL_MAX = 100,      /* bytes of a model's name that are kept */
};

struct usage {
    struct buf line;  /* the line that is not complete */
    bool is_skipping; /* it is too long */
    bool is_known;
    int64_t input, output, cached, written; /* as the answer counts them, the last word */
    bool is_apart;                          /* cached and written are not in input */
    char model[USAGE_MODEL_MAX + 1];
};

void usage_fini(struct usage *usage);
/* The next bytes of a stream of events. */
void usage_hear(struct usage *usage, const void *bytes, size_t n);
/* One value: a whole answer, or an event's. */
void usage_take(struct usage *usage, const struct json *value);
/* What was used in all; false when the answer did not say. */
bool usage_tokens(const struct usage *usage, struct sb_tokens *ret);
