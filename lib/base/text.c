/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/text.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

void text_time(uint64_t time_us, char ret_text[TEXT_TIME_SIZE])
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm;
    char date[40];

    gmtime_r(&seconds, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(ret_text, TEXT_TIME_SIZE, "%.19s.%06uZ", date, (unsigned)(time_us % 1000000));
}

/* Read exactly `n` digits; -1 when they are not. */
static int number(const char **at, int n)
{
    int value = 0;

    for (int i = 0; i < n; i++) {
        if (!isdigit((unsigned char)**at))
            return -1;
        value = value * 10 + *(*at)++ - '0';
    }
    return value;
}

static bool offset_us(const char *at, int64_t *ret_us)
{
    if ((*at == 'Z' || *at == 'z') && !at[1]) {
        *ret_us = 0;
        return true;
    }
    if (*at != '+' && *at != '-')
        return false;
    int sign = *at++ == '-' ? -1 : 1;
    int hours = number(&at, 2);
    if (hours < 0 || hours > 23 || *at++ != ':')
        return false;
    int minutes = number(&at, 2);
    if (minutes < 0 || minutes > 59 || *at)
        return false;
    *ret_us = sign * (hours * 3600 + minutes * 60) * INT64_C(1000000);
    return true;
}

bool text_parse_time(const char *text, uint64_t *ret_time_us)
{
    static const struct {
        int digits, min, max, after;
    } parts[] = { { 4, 1970, 9999, '-' }, { 2, 1, 12, '-' }, { 2, 1, 31, 'T' },
                  { 2, 0, 23, ':' },      { 2, 0, 59, ':' }, { 2, 0, 60, 0 } };
    int value[6];
    const char *at = text;
    int64_t us = 0, shift;

    for (int i = 0; i < 6; i++) {
        value[i] = number(&at, parts[i].digits);
        if (value[i] < parts[i].min || value[i] > parts[i].max)
            return false;
        if (parts[i].after && toupper((unsigned char)*at++) != parts[i].after)
            return false;
    }
    if (*at == '.') {
        int scale = 100000;
        if (!isdigit((unsigned char)*++at))
            return false;
        for (; isdigit((unsigned char)*at); at++, scale /= 10)
            us += (*at - '0') * scale;
    }
    if (!offset_us(at, &shift))
        return false;
    struct tm tm = { .tm_year = value[0] - 1900, .tm_mon = value[1] - 1, .tm_mday = value[2],
                     .tm_hour = value[3], .tm_min = value[4], .tm_sec = value[5] };
    int64_t total = (int64_t)timegm(&tm) * 1000000 + us - shift;
    if (total < 0 || tm.tm_mday != value[2])
        return false;
    *ret_time_us = (uint64_t)total;
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static bool scale(uint64_t value, uint64_t factor, uint64_t *ret)
{
    if (__builtin_mul_overflow(value, factor, &value))
        return false;
    *ret = value;
    return true;
}

static bool parse_with_units(const char *text, const struct unit *units, uint64_t *ret)
{
    uint64_t value = 0;
    const char *at = text;

    if (!isdigit((unsigned char)*at))
        return false;
    for (; isdigit((unsigned char)*at); at++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return false;
    for (const struct unit *unit = units; unit->name; unit++)
        if (strcmp(at, unit->name) == 0)
            return scale(value, unit->factor, ret);
    if (value == 0 && !*at) {
        *ret = 0;
        return true;
    }
    return false;
}

static const struct unit durations[] = { { "d", UINT64_C(86400000000) },
                                         { "h", UINT64_C(3600000000) },
                                         { "m", 60000000 },
                                         { "s", 1000000 },
                                         { "ms", 1000 },
                                         { "us", 1 },
                                         { NULL, 0 } };

bool text_parse_duration(const char *text, uint64_t *ret_us)
{
    return parse_with_units(text, durations, ret_us);
}

bool text_parse_size(const char *text, uint64_t *ret_bytes)
{
    static const struct unit sizes[] = { { "", 1 },
                                         { "B", 1 },
                                         { "KiB", 1 << 10 },
                                         { "MiB", 1 << 20 },
                                         { "GiB", 1 << 30 },
                                         { "TiB", UINT64_C(1) << 40 },
                                         { "KB", 1000 },
                                         { "MB", 1000000 },
                                         { "GB", 1000000000 },
                                         { NULL, 0 } };

    return parse_with_units(text, sizes, ret_bytes);
}

void text_duration(uint64_t us, char *ret_text, size_t size)
{
    for (const struct unit *unit = durations; unit->name; unit++)
        if (us >= unit->factor && us % unit->factor == 0) {
            snprintf(ret_text, size, "%" PRIu64 "%s", us / unit->factor, unit->name);
            return;
        }
    snprintf(ret_text, size, "0s");
}

void text_hex(const uint8_t *bytes, size_t n, struct buf *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        char pair[2] = { digits[bytes[i] >> 4], digits[bytes[i] & 15] };
        buf_add(out, pair, 2);
    }
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool text_parse_hex(const char *text, size_t n, struct buf *out)
{
    size_t before = out->len;

    for (size_t i = 0; i + 1 < n; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            break;
        uint8_t byte = (uint8_t)(high << 4 | low);
        buf_add(out, &byte, 1);
    }
    if (n % 2 == 0 && out->len - before == n / 2)
        return true;
    out->len = before;
    return false;
}

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void text_base64(const uint8_t *bytes, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t group = (uint32_t)bytes[i] << 16;
        if (left > 1)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (left > 2)
            group |= bytes[i + 2];
        char four[4] = { base64_digits[group >> 18], base64_digits[group >> 12 & 63],
                         left > 1 ? base64_digits[group >> 6 & 63] : '=',
                         left > 2 ? base64_digits[group & 63] : '=' };
        buf_add(out, four, 4);
    }
}

bool text_parse_base64(const char *text, size_t n, struct buf *out)
{
    size_t before = out->len;
    size_t pad = n >= 1 && text[n - 1] == '=' ? n >= 2 && text[n - 2] == '=' ? 2 : 1 : 0;

    if (n % 4)
        return false;
    for (size_t i = 0; i < n; i += 4) {
        uint32_t group = 0;
        size_t digits = i + 4 == n ? 4 - pad : 4;
        for (size_t j = 0; j < 4; j++) {
            const char *found =
                j < digits && text[i + j] ? strchr(base64_digits, text[i + j]) : NULL;
            if (j < digits && !found) {
                out->len = before;
                return false;
            }
            group = group << 6 | (found ? (uint32_t)(found - base64_digits) : 0);
        }
        uint8_t three[3] = { (uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group };
        if ((digits == 3 && three[2]) || (digits == 2 && three[1])) {
            out->len = before; /* bits behind the end: two texts for one value */
            return false;
        }
        buf_add(out, three, digits - 1);
    }
    return true;
}

bool text_match_type(const char *pattern, const char *type, size_t type_len)
{
    const char *end = type + type_len;

    for (;;) {
        size_t want = strcspn(pattern, ".");
        const char *dot = memchr(type, '.', (size_t)(end - type));
        size_t have = (size_t)((dot ? dot : end) - type);
        if (want == 1 && *pattern == '>')
            return !pattern[1] && type < end;
        if (!(want == 1 && *pattern == '*') &&
            (want != have || memcmp(pattern, type, want) != 0))
            return false;
        if (!dot || !pattern[want])
            return !dot && !pattern[want];
        type = dot + 1;
        pattern += want + 1;
    }
}

bool text_is_type(const char *type, size_t n)
{
    if (n < 1 || n > 200 || type[0] == '.' || type[n - 1] == '.')
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = type[i];
        if (!isalnum((unsigned char)c) && !strchr("_.-", c))
            return false;
        if (!c || (c == '.' && type[i - 1] == '.'))
            return false;
    }
    return true;
}

bool text_is_pattern(const char *text)
{
    size_t n = strlen(text);

    if (n < 1 || n > 200)
        return false;
    for (const char *at = text;;) {
        size_t len = strcspn(at, ".");
        bool is_last = !at[len];
        bool is_wild = len == 1 && (*at == '*' || (*at == '>' && is_last));
        if (!is_wild && !text_is_type(at, len))
            return false;
        if (is_last)
            return true;
        at += len + 1;
    }
}

bool text_is_name(const char *name)
{
    size_t n = strlen(name);

    if (n < 1 || n > 64 || !islower((unsigned char)name[0]))
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-") == n;
}

static unsigned distance(const char *a, const char *b)
{
    unsigned row[65];
    size_t n = strlen(b);

    if (n > 64 || strlen(a) > 64)
        return UINT_MAX; /* longer than any name */
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; a[i - 1]; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[n];
}

const char *text_nearest(const char *word, const char *const *candidates)
{
    const char *nearest = NULL;
    unsigned best = (unsigned)strlen(word) / 3 + 1;

    for (; *candidates; candidates++) {
        unsigned d = distance(word, *candidates);
        if (d <= best && (!nearest || d < best)) {
            best = d;
            nearest = *candidates;
        }
    }
    return nearest;
}
