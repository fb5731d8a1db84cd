/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme_header.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"

enum { TIME_DIGITS_MAX = 12, TIME_MS_DIGITS_MAX = 15 };

static struct scheme_span span_of(const char *text)
{
    return (struct scheme_span){text, strlen(text)};
}

static bool add_signature(struct scheme_given *given, struct scheme_span text,
                          bool is_public)
{
    if (given->n_signatures == SCHEME_SIGNATURES_MAX)
        return false;
    given->signatures[given->n_signatures++] = (struct scheme_signature){text, is_public};
    return true;
}

/* --- the syntaxes of a signature header --- */

/* The value of an item LABEL, divider, VALUE. False when the label is another one. */
static bool read_item(struct scheme_span item, const char *label, char divider,
                      struct scheme_span *ret_value)
{
    size_t n = strlen(label);
    if (item.len <= n || memcmp(item.text, label, n) != 0 || item.text[n] != divider)
        return false;
    *ret_value = (struct scheme_span){item.text + n + 1, item.len - n - 1};
    return true;
}

/* Items between separators. Those of other labels are passed over. */
static bool parse_items(const struct scheme *scheme, const char *time_label,
                        const char *text, char separator, char divider,
                        struct scheme_given *given)
{
    for (;;) {
        struct scheme_span value;
        const char *end = strchr(text, separator);
        struct scheme_span item = {text, end ? (size_t)(end - text) : strlen(text)};
        bool is_public = scheme->public_label &&
                         read_item(item, scheme->public_label, divider, &value);
        if (is_public || read_item(item, scheme->label, divider, &value)) {
            if (!add_signature(given, value, is_public))
                return false;
        } else if (time_label && read_item(item, time_label, divider, &value)) {
            given->time = value;
        }
        if (!end)
            return true;
        text = end + 1;
    }
}

static bool parse_pairs(const struct scheme *scheme, const char *text,
                        struct scheme_given *given)
{
    return parse_items(scheme, scheme->time_label ? scheme->time_label : "t", text,
                       scheme->separator ? scheme->separator : ',', '=', given);
}

static bool parse_spaced(const struct scheme *scheme, const char *text,
                         struct scheme_given *given)
{
    return parse_items(scheme, /* time_label= */ NULL, text, ' ', ',', given);
}

static bool parse_prefixed(const struct scheme *scheme, const char *text,
                           struct scheme_given *given)
{
    size_t n = strlen(scheme->label);
    return strncmp(text, scheme->label, n) == 0 && text[n] == '=' &&
           add_signature(given, span_of(text + n + 1), /* is_public= */ false);
}

static bool parse_whole(const struct scheme *scheme, const char *text,
                        struct scheme_given *given)
{
    (void)scheme;
    return *text && add_signature(given, span_of(text), /* is_public= */ false);
}

static bool parse_basic(const struct scheme *scheme, const char *text,
                        struct scheme_given *given)
{
    static const char word[] = "Basic ";
    size_t n = sizeof(word) - 1;
    return strncasecmp(text, word, n) == 0 &&
           parse_whole(scheme, text + n + strspn(text + n, " "), given);
}

typedef bool (*parse_fn)(const struct scheme *scheme, const char *text,
                         struct scheme_given *given);

static const parse_fn syntaxes[] = {
    [SYNTAX_PAIRS] = parse_pairs,   [SYNTAX_PREFIX] = parse_prefixed,
    [SYNTAX_SPACED] = parse_spaced, [SYNTAX_WHOLE] = parse_whole,
    [SYNTAX_BASIC] = parse_basic,
};

/* --- all headers together --- */

/* Is it one of the words between blanks? */
static bool is_word(const char *text, const char *words)
{
    size_t n = strlen(text);
    while (strcspn(words, " ") != n || strncmp(words, text, n) != 0) {
        words = strchr(words, ' ');
        if (!words)
            return false;
        words++;
    }
    return n > 0;
}

const char *scheme_header_missing(const struct scheme *scheme,
                                  const struct scheme_input *input)
{
    const struct {
        const char *wanted, *given;
    } headers[] = {
        {scheme->signature_header, input->signature},
        {scheme->time_header, input->time},
        {scheme->id_header, input->id},
        {scheme->certificate_header, input->certificate_url},
        {scheme->algorithm_header, input->algorithm},
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
        if (headers[i].wanted && !headers[i].given)
            return headers[i].wanted;
    return NULL;
}

static bool is_within_bounds(const struct scheme_input *input)
{
    return strlen(input->signature) <= SCHEME_HEADER_MAX &&
           (!input->id || strlen(input->id) <= SCHEME_HEADER_MAX);
}

enum scheme_result scheme_header_read(const struct scheme *scheme,
                                      const struct scheme_input *input,
                                      struct scheme_given *ret_given)
{
    struct scheme_given given = {0};
    if (input->repeats)
        return SCHEME_REPEATED;
    if (scheme_header_missing(scheme, input))
        return SCHEME_NO_HEADER;
    if (scheme->algorithm_header && !is_word(input->algorithm, scheme->algorithm_name))
        return SCHEME_MALFORMED;
    if (input->time)
        given.time = span_of(input->time);
    if (input->id)
        given.id = span_of(input->id);
    if (!is_within_bounds(input) ||
        !syntaxes[scheme->syntax](scheme, input->signature, &given) ||
        given.n_signatures == 0)
        return SCHEME_MALFORMED;
    *ret_given = given;
    return SCHEME_OK;
}

/* --- the time --- */

static bool read_digits(struct scheme_span digits, size_t len_max, uint64_t *ret_n)
{
    uint64_t n = 0;
    if (digits.len < 1 || digits.len > len_max)
        return false;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.text[i] < '0' || digits.text[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(digits.text[i] - '0');
    }
    *ret_n = n;
    return true;
}

static bool read_date(struct scheme_span date, uint64_t *ret_s)
{
    uint64_t us;
    _free_ char *text = mem_copy(date.text, date.len);
    if (!text_parse_time(text, &us))
        return false;
    *ret_s = us / 1000000;
    return true;
}

bool scheme_header_time(struct scheme_span time, enum scheme_time form, uint64_t *ret_s)
{
    uint64_t n = 0;
    if (form == TIME_DATE)
        return read_date(time, ret_s);
    if (!read_digits(time, form == TIME_MS ? TIME_MS_DIGITS_MAX : TIME_DIGITS_MAX, &n))
        return false;
    *ret_s = form == TIME_MS ? n / 1000 : n;
    return true;
}
