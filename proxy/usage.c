/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "proxy/usage.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/json.h"

enum { COUNT_MAX = 1000000000 /* tokens; more is no count that anybody means */ };

void usage_fini(struct usage *usage)
{
    buf_fini(&usage->line);
}

/* --- one value --- */

/* The first of these members that is a count. */
static bool take_count(const struct json *of, const char *const *paths, int64_t *ret)
{
    for (; *paths; paths++) {
        int64_t n = js_int(of, *paths, -1);
        if (n < 0 || n > COUNT_MAX)
            continue;
        *ret = n;
        return true;
    }
    return false;
}

static const char *const input_paths[] = {"prompt_tokens", "input_tokens", NULL};
static const char *const output_paths[] = {"completion_tokens", "output_tokens", NULL};
static const char *const cached_paths[] = {"prompt_tokens_details.cached_tokens",
                                           "input_tokens_details.cached_tokens", NULL};
/* Anthropic counts these beside the input. */
static const char *const read_paths[] = {"cache_read_input_tokens", NULL};
static const char *const written_paths[] = {"cache_creation_input_tokens", NULL};

static void take_counts(struct usage *usage, const struct json *of)
{
    if (take_count(of, input_paths, &usage->input))
        usage->is_known = true;
    if (take_count(of, output_paths, &usage->output))
        usage->is_known = true;
    if (take_count(of, read_paths, &usage->cached))
        usage->is_apart = true;
    else
        take_count(of, cached_paths, &usage->cached);
    take_count(of, written_paths, &usage->written);
}

void usage_take(struct usage *usage, const struct json *value)
{
    /* a chat, an embedding or message_delta; response.completed; message_start */
    static const struct {
        const char *usage, *model;
    } places[] = {{"usage", "model"},
                  {"response.usage", "response.model"},
                  {"message.usage", "message.model"}};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const struct json *of = js_get(value, places[i].usage);
        const char *model = js_text(value, places[i].model, NULL);
        if (js_is_object(of))
            take_counts(usage, of);
        if (model)
            snprintf(usage->model, sizeof(usage->model), "%s", model);
    }
}

/* --- a stream --- */

/* Most events are pieces of text and have no usage: those are not parsed. */
static void take_line(struct usage *usage)
{
    const char *text = buf_str(&usage->line);
    size_t n = usage->line.len;
    char error[120];

    if (n < 5 || memcmp(text, "data:", 5) != 0 || !memmem(text, n, "\"usage\"", 7))
        return;
    struct json *value = js_parse(text + 5, n - 5, error, sizeof(error));
    usage_take(usage, value);
    js_free(value);
}

static void end_line(struct usage *usage)
{
    if (!usage->is_skipping)
        take_line(usage);
    usage->is_skipping = false;
    buf_clear(&usage->line);
}

static void add(struct usage *usage, const char *bytes, size_t n)
{
    usage->is_skipping |= n > USAGE_LINE_MAX - usage->line.len;
    if (usage->is_skipping)
        buf_clear(&usage->line);
    else
        buf_add(&usage->line, bytes, n);
}

void usage_hear(struct usage *usage, const void *bytes, size_t n)
{
    const char *at = bytes, *end = at + n;

    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        add(usage, at, (size_t)((line_end ? line_end : end) - at));
        if (!line_end)
            return;
        end_line(usage);
        at = line_end + 1;
    }
}

bool usage_tokens(const struct usage *usage, struct sb_tokens *ret)
{
    if (!usage->is_known)
        return false;
    *ret = (struct sb_tokens){
        .input = usage->input, .output = usage->output, .cached = usage->cached};
    if (usage->is_apart)
        ret->input += usage->cached + usage->written;
    if (ret->cached > ret->input) /* else a cost could be below nothing */
        ret->cached = ret->input;
    return true;
}
