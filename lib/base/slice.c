/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/slice.h"

#include <string.h>

#include "lib/base/buf.h"

enum { INDEX_DIGITS_MAX = 9 }; /* of an index in a path */

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
    for (at++; at < s.len; at++) {
        const char *quote = memchr(s.text + at, '"', s.len - at);
        size_t end = quote ? (size_t)(quote - s.text) : s.len;
        const char *escape = memchr(s.text + at, '\\', end - at);
        if (!escape)
            return quote ? end + 1 : s.len;
        at = (size_t)(escape - s.text) + 1; /* what it escapes is passed over */
    }
    return s.len;
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

/* --- texts --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20; /* lower case */
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One escape \uXXXX, six bytes. */
static bool read_unit(const char *text, size_t n, unsigned *ret_unit)
{
    unsigned unit = 0;
    if (n < 6 || text[0] != '\\' || text[1] != 'u')
        return false;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(text[i]);
        if (digit < 0)
            return false;
        unit = unit << 4 | (unsigned)digit;
    }
    *ret_unit = unit;
    return true;
}

size_t slice_escape(const char *text, size_t n, unsigned *ret_code)
{
    unsigned first, second;
    if (!read_unit(text, n, &first))
        return 0;
    if (first < 0xd800 || first > 0xdfff) {
        *ret_code = first;
        return 6;
    }
    if (first > 0xdbff || !read_unit(text + 6, n - 6, &second) || second < 0xdc00 ||
        second > 0xdfff)
        return 0;
    *ret_code = 0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00));
    return 12;
}

static void add_utf8(unsigned code, struct buf *out)
{
    uint8_t bytes[4];
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; code >>= 6)
        bytes[i] = (uint8_t)(0x80 | (code & 0x3f));
    bytes[0] = (uint8_t)(marks[n] | code);
    buf_add(out, bytes, n);
}

void slice_unescape(struct slice_text inside, struct buf *out)
{
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    size_t at = 0;
    while (at < inside.len) {
        const char *from = inside.text + at;
        const char *escape = memchr(from, '\\', inside.len - at);
        size_t plain = escape ? (size_t)(escape - from) : inside.len - at;
        buf_add(out, from, plain);
        at += plain;
        if (inside.len - at < 2)
            return;
        unsigned code = 0;
        size_t n = slice_escape(inside.text + at, inside.len - at, &code);
        if (n > 0) {
            add_utf8(code, out);
        } else {
            const char *letter =
                memchr(letters, inside.text[at + 1], sizeof(letters) - 1);
            buf_add(out, letter ? meant + (letter - letters) : inside.text + at + 1, 1);
        }
        at += n > 0 ? n : 2;
    }
}

bool slice_add_text(struct slice_text value, struct buf *out)
{
    if (value.len < 2 || value.text[0] != '"')
        return false;
    slice_unescape((struct slice_text){value.text + 1, value.len - 2}, out);
    return true;
}

/* --- members, elements --- */

static bool is_name(struct slice_text inside, const char *name, size_t n)
{
    if (inside.len == n && !memcmp(inside.text, name, n))
        return true;
    if (inside.len <= n || !memchr(inside.text, '\\', inside.len))
        return false; /* an escape is longer than what it stands for */
    struct buf plain = BUF_NULL;
    slice_unescape(inside, &plain);
    bool is_it = plain.len == n && !memcmp(plain.bytes, name, n);
    buf_fini(&plain);
    return is_it;
}

static bool find_member(struct slice_text object, const char *name, size_t n,
                        struct slice_text *ret_value)
{
    size_t at = skip_space(object, 0) + 1;
    for (;;) {
        at = skip_space(object, at);
        if (at >= object.len || object.text[at] != '"')
            return false;
        size_t key = at + 1, behind = skip_text(object, at);
        size_t value = skip_space(object, skip_space(object, behind) + 1);
        if (value >= object.len)
            return false;
        at = skip_value(object, value);
        if (is_name((struct slice_text){object.text + key, behind - 1 - key}, name, n)) {
            *ret_value = (struct slice_text){object.text + value, at - value};
            return true;
        }
        at = skip_space(object, at) + 1;
    }
}

bool slice_member(struct slice_text object, const char *name,
                  struct slice_text *ret_value)
{
    return find_member(object, name, strlen(name), ret_value);
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

/* The element that a segment of a path names: digits only. */
static bool find_element(struct slice_text array, const char *digits, size_t n,
                         struct slice_text *ret_value)
{
    size_t index = 0, at = 0;
    if (n == 0 || n > INDEX_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        index = index * 10 + (size_t)(digits[i] - '0');
    }
    while (slice_element(array, &at, ret_value))
        if (index-- == 0)
            return true;
    return false;
}

bool slice_get(struct slice_text value, const char *path, struct slice_text *ret_value)
{
    struct slice_text found = value;
    while (*path) {
        size_t n = strcspn(path, "."), begin = skip_space(found, 0);
        char opens = begin < found.len ? found.text[begin] : '\0';
        if (opens == '[' ? !find_element(found, path, n, &found)
                         : opens != '{' || !find_member(found, path, n, &found))
            return false;
        path += n + (path[n] == '.');
    }
    *ret_value = found;
    return true;
}

bool slice_int(struct slice_text value, int64_t *ret_number)
{
    bool is_negative = value.len > 0 && value.text[0] == '-';
    int64_t number = 0; /* counted downwards: the least number has no positive */
    if (value.len == is_negative)
        return false;
    for (size_t at = is_negative; at < value.len; at++) {
        char c = value.text[at];
        if (c < '0' || c > '9' || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, c - '0', &number))
            return false;
    }
    if (!is_negative && number == INT64_MIN)
        return false;
    *ret_number = is_negative ? number : -number;
    return true;
}
