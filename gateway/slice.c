/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/slice.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_space(struct slice_text s, size_t at)
{
    while (at < s.len && is_space(s.text[at]))
        at++;
    return at;
}

/* Behind the text that begins at `at` with its quote. */
static size_t skip_text(struct slice_text s, size_t at)
{
    for (at++; at < s.len && s.text[at] != '"'; at++)
        if (s.text[at] == '\\')
            at++;
    return at < s.len ? at + 1 : s.len;
}

/* Behind the value that begins at `at`: brackets are counted, texts are passed over. */
static size_t skip_value(struct slice_text s, size_t at)
{
    unsigned depth = 0;
    while (at < s.len) {
        char c = s.text[at];
        if (c == '"') {
            at = skip_text(s, at);
        } else {
            bool closes = c == '}' || c == ']';
            if (depth == 0 && (closes || c == ',' || is_space(c)))
                return at;
            depth += c == '{' || c == '[';
            depth -= closes;
            at++;
        }
        if (depth == 0 && (at == s.len || s.text[at - 1] == '"' ||
                           s.text[at - 1] == '}' || s.text[at - 1] == ']'))
            return at;
    }
    return s.len;
}

bool slice_member(struct slice_text object, const char *name,
                  struct slice_text *ret_value)
{
    size_t n = strlen(name), at = skip_space(object, 0) + 1;
    for (;;) {
        at = skip_space(object, at);
        if (at >= object.len || object.text[at] != '"')
            return false;
        size_t key = at + 1, behind = skip_text(object, at);
        bool is_it = behind - 1 - key == n && !memcmp(object.text + key, name, n);
        size_t value = skip_space(object, skip_space(object, behind) + 1);
        if (value >= object.len)
            return false;
        at = skip_value(object, value);
        if (is_it) {
            *ret_value = (struct slice_text){object.text + value, at - value};
            return true;
        }
        at = skip_space(object, at) + 1;
    }
}

bool slice_element(struct slice_text array, size_t *at, struct slice_text *ret_value)
{
    size_t begin = skip_space(array, *at ? *at : skip_space(array, 0) + 1);
    if (begin >= array.len || array.text[begin] == ']')
        return false;
    size_t end = skip_value(array, begin);
    *ret_value = (struct slice_text){array.text + begin, end - begin};
    *at = skip_space(array, end) + 1;
    return true;
}
