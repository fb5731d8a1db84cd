/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A descent over the bytes: each function is called where its value begins, and leaves
 * the place behind it. What is long in practice are plain texts, passed eight bytes at a
 * time. */
#include "lib/base/scan.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/hash.h"
#include "lib/base/mem.h"
#include "lib/base/slice.h"

enum {
    NAMES_FEW = 64,    /* of all open objects; more are kept on the heap */
    NAMES_PAIRED = 48, /* of one object, compared one with another; more are sorted */
    DIGITS_SAFE = 18,  /* always within int64 */
    REAL_SAFE = 300,   /* digits before the point plus exponent: always within double */
};

struct scan {
    const char *at, *end;
    unsigned depth;
    uint64_t *names; /* hashes of those of all open objects, the innermost's last */
    size_t n_names, cap;
    uint64_t few[NAMES_FEW];
};

static char peek(const struct scan *s)
{
    return s->at < s->end ? *s->at : '\0'; /* NUL stands nowhere in JSON */
}

static bool take(struct scan *s, char c)
{
    if (peek(s) != c)
        return false;
    s->at++;
    return true;
}

static void pass_blanks(struct scan *s)
{
    while (s->at < s->end &&
           (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
        s->at++;
}

/* --- texts --- */

/* Pass what is neither a quote, a backslash, a control character nor beyond ASCII, eight
 * bytes at a time. A borrow between bytes can only come from one that is such, so the
 * lowest mark is right. The last bytes of the text are not looked at. */
static void pass_plain(struct scan *s)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    uint64_t word;
    while (s->end - s->at >= (ptrdiff_t)sizeof(word)) {
        memcpy(&word, s->at, sizeof(word));
        uint64_t odd = word | (word - ones * ' ') | ((word ^ ones * '"') - ones) |
                       ((word ^ ones * '\\') - ones);
        if (odd & tops) {
            s->at += __builtin_ctzll(odd & tops) / 8; /* little-endian, as the log is */
            return;
        }
        s->at += sizeof(word);
    }
}

static bool is_within(unsigned char c, unsigned char low, unsigned char high)
{
    return c >= low && c <= high;
}

/* One character beyond ASCII (RFC 3629, section 4: no other spelling, no surrogates). */
static bool pass_utf8(struct scan *s)
{
    static const struct {
        unsigned char low, high, second_low, second_high, more;
    } rows[] = {
        {0xc2, 0xdf, 0x80, 0xbf, 1}, {0xe0, 0xe0, 0xa0, 0xbf, 2},
        {0xe1, 0xec, 0x80, 0xbf, 2}, {0xed, 0xed, 0x80, 0x9f, 2},
        {0xee, 0xef, 0x80, 0xbf, 2}, {0xf0, 0xf0, 0x90, 0xbf, 3},
        {0xf1, 0xf3, 0x80, 0xbf, 3}, {0xf4, 0xf4, 0x80, 0x8f, 3},
    };
    const unsigned char *c = (const unsigned char *)s->at;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!is_within(c[0], rows[i].low, rows[i].high))
            continue;
        if (s->end - s->at <= rows[i].more ||
            !is_within(c[1], rows[i].second_low, rows[i].second_high))
            return false;
        for (unsigned j = 2; j <= rows[i].more; j++)
            if (!is_within(c[j], 0x80, 0xbf))
                return false;
        s->at += rows[i].more + 1;
        return true;
    }
    return false;
}

/* Behind the backslash. */
static bool pass_escape(struct scan *s)
{
    unsigned code = 0;
    char c = peek(s);
    if (c != 'u')
        return c && strchr("\"\\/bfnrt", c) && take(s, c);
    size_t n = slice_escape(s->at - 1, (size_t)(s->end - s->at) + 1, &code);
    if (n == 0 || code == 0)
        return false;
    s->at += n - 1;
    return true;
}

/* The text whose quote comes next; what stands between the quotes, and whether some of it
 * is escaped. */
static bool pass_text(struct scan *s, struct slice_text *ret_inside, bool *ret_escaped)
{
    if (!take(s, '"'))
        return false;
    const char *begin = s->at;
    bool escaped = false;
    for (;;) {
        pass_plain(s);
        unsigned char c = (unsigned char)peek(s);
        if (c < ' ')
            return false;
        if (c >= 0x80) {
            if (!pass_utf8(s))
                return false;
            continue;
        }
        s->at++;
        if (c == '"')
            break;
        escaped |= c == '\\';
        if (c == '\\' && !pass_escape(s))
            return false;
    }
    *ret_inside = (struct slice_text){begin, (size_t)(s->at - begin) - 1};
    *ret_escaped = escaped;
    return true;
}

/* --- names --- */

static void keep_name(struct scan *s, uint64_t hash)
{
    if (s->n_names == s->cap) {
        bool was_few = s->names == s->few;
        s->cap *= 2;
        s->names = mem_resize(was_few ? NULL : s->names, s->cap * sizeof(*s->names));
        if (was_few)
            memcpy(s->names, s->few, sizeof(s->few));
    }
    s->names[s->n_names++] = hash;
}

static bool pass_name(struct scan *s)
{
    struct slice_text name;
    bool escaped;
    if (!pass_text(s, &name, &escaped))
        return false;
    if (!escaped) {
        keep_name(s, hash64(name.text, name.len));
        return true;
    }
    struct buf plain = BUF_NULL;
    slice_unescape(name, &plain);
    keep_name(s, hash64(plain.bytes, plain.len));
    buf_fini(&plain);
    return true;
}

static int by_value(const void *left, const void *right)
{
    uint64_t a, b;
    memcpy(&a, left, sizeof(a));
    memcpy(&b, right, sizeof(b));
    return (a > b) - (a < b);
}

/* Is a name of the object that ends here there twice? Its names are forgotten. */
static bool has_double(struct scan *s, size_t first)
{
    uint64_t *names = s->names + first;
    size_t n = s->n_names - first;
    bool is_sorted = n > NAMES_PAIRED;
    s->n_names = first;
    if (is_sorted)
        qsort(names, n, sizeof(*names), by_value);
    for (size_t i = 1; i < n; i++)
        for (size_t j = is_sorted ? i - 1 : 0; j < i; j++)
            if (names[j] == names[i])
                return true;
    return false;
}

/* --- numbers --- */

static size_t pass_digits(struct scan *s)
{
    const char *begin = s->at;
    while (is_within((unsigned char)peek(s), '0', '9'))
        s->at++;
    return (size_t)(s->at - begin);
}

/* Of a number of so many digits that it may be too large. */
static bool fits(const char *text, size_t n, bool is_real)
{
    _free_ char *number = mem_copy(text, n);
    if (is_real)
        return !isinf(strtod(number, NULL)); /* too near to zero is zero */
    errno = 0;
    (void)strtoll(number, NULL, 10); /* only its range is asked for */
    return errno != ERANGE;
}

static bool pass_number(struct scan *s)
{
    const char *begin = s->at;
    size_t exponent = 0;
    bool is_real = false;
    (void)take(s, '-'); /* may be there */
    const char *whole_at = s->at;
    size_t whole = pass_digits(s);
    if (whole == 0 || (whole > 1 && *whole_at == '0'))
        return false;
    if (take(s, '.')) {
        is_real = true;
        if (pass_digits(s) == 0)
            return false;
    }
    if (take(s, 'e') || take(s, 'E')) {
        is_real = true;
        if (!take(s, '+'))
            (void)take(s, '-');
        const char *digits = s->at;
        size_t n = pass_digits(s);
        if (n == 0)
            return false;
        for (size_t i = 0; i < n && exponent <= REAL_SAFE; i++)
            exponent = exponent * 10 + (size_t)(digits[i] - '0');
    }
    size_t size = whole + exponent;
    return size <= (is_real ? REAL_SAFE : DIGITS_SAFE) ||
           fits(begin, (size_t)(s->at - begin), is_real);
}

/* --- values --- */

static bool pass_value(struct scan *s);

static bool pass_members(struct scan *s)
{
    size_t first = s->n_names;
    s->at++;
    pass_blanks(s);
    if (take(s, '}'))
        return true;
    do {
        pass_blanks(s);
        if (!pass_name(s))
            return false;
        pass_blanks(s);
        if (!take(s, ':') || !pass_value(s))
            return false;
    } while (take(s, ','));
    return take(s, '}') && !has_double(s, first);
}

static bool pass_elements(struct scan *s)
{
    s->at++;
    pass_blanks(s);
    if (take(s, ']'))
        return true;
    do {
        if (!pass_value(s))
            return false;
    } while (take(s, ','));
    return take(s, ']');
}

static bool pass_word(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0)
        return false;
    s->at += n;
    return true;
}

static bool pass_any(struct scan *s)
{
    struct slice_text inside;
    bool escaped;
    switch (peek(s)) {
    case '{':
        return pass_members(s);
    case '[':
        return pass_elements(s);
    case '"':
        return pass_text(s, &inside, &escaped);
    case 't':
        return pass_word(s, "true");
    case 'f':
        return pass_word(s, "false");
    case 'n':
        return pass_word(s, "null");
    default:
        return pass_number(s);
    }
}

/* A value with the blanks around it. */
static bool pass_value(struct scan *s)
{
    pass_blanks(s);
    if (s->depth == SCAN_DEPTH_MAX)
        return false;
    s->depth++;
    bool good = pass_any(s);
    s->depth--;
    pass_blanks(s);
    return good;
}

bool scan_check(const char *text, size_t n)
{
    struct scan s;
    s.at = text;
    s.end = text + n;
    s.depth = 0;
    s.names = s.few;
    s.n_names = 0;
    s.cap = NAMES_FEW;
    bool good = pass_value(&s) && s.at == s.end;
    if (s.names != s.few)
        free(s.names);
    return good;
}

bool scan_is_utf8(const char *text, size_t n)
{
    struct scan s = {.at = text, .end = text + n};
    while (s.at < s.end)
        if ((unsigned char)*s.at < 0x80 && *s.at)
            s.at++;
        else if (!*s.at || !pass_utf8(&s))
            return false;
    return true;
}
