/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/model.h"

#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

#define WHITE " \t\r\n"

enum { EFFECT_MAX = 200 /* bytes of a message that tell it apart */ };

static const struct {
    const char *name;
    enum model_fate fate;
} fates[] = {
    {"no-such-model", MODEL_UNKNOWN}, {"no-credit", MODEL_SPENT},
    {"rate-limited", MODEL_BUSY},     {"overloaded", MODEL_OVERLOADED},
    {"refuses", MODEL_REFUSES},       {"breaks-off", MODEL_BREAKS_OFF},
};

enum model_fate model_fate(const char *name)
{
    for (size_t i = 0; i < sizeof(fates) / sizeof(fates[0]); i++)
        if (strcmp(fates[i].name, name) == 0)
            return fates[i].fate;
    return MODEL_ANSWERS;
}

const char *model_text(const struct json *content)
{
    const char *text = js_text(content, NULL, NULL);

    for (size_t i = 0; !text && i < js_count(content); i++)
        text = js_text(js_at(content, i), "text", NULL);
    return text;
}

size_t model_token(const char *text)
{
    size_t n = strcspn(text, WHITE);

    return n + strspn(text + n, WHITE);
}

int64_t model_count(const char *text)
{
    int64_t count = 0;

    for (size_t n; text && (n = model_token(text)) > 0; text += n)
        count++;
    return count;
}

int64_t model_count_all(const struct json *messages)
{
    int64_t count = 0;

    for (size_t i = 0; i < js_count(messages); i++)
        count += model_count(model_text(js_get(js_at(messages, i), "content")));
    return count;
}

const char *model_asked(const struct json *messages)
{
    const struct json *last =
        js_count(messages) ? js_at(messages, js_count(messages) - 1) : NULL;
    const char *text = model_text(js_get(last, "content"));

    return text ? text : "";
}

bool model_say(const struct json *messages, int64_t max_tokens, struct buf *ret_text)
{
    _free_ char *text = mem_format("You said: %s", model_asked(messages));
    size_t len = 0;
    int64_t n = 0;

    while (text[len] && n < max_tokens) {
        len += model_token(text + len);
        n++;
    }
    buf_add(ret_text, text, len);
    return text[len] != '\0';
}

char *model_effect(const char *model, const char *asked)
{
    size_t n = strlen(asked);

    if (n > EFFECT_MAX)
        for (n = EFFECT_MAX; ((unsigned char)asked[n] & 0xc0) == 0x80; n--)
            ; /* not in the middle of a character */
    return mem_format("%s %.*s", model, (int)n, asked);
}
