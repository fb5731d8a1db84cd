/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/mime.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/sdk/form.h"

enum {
    LINE = 76,      /* of encoded bodies, RFC 2045, 6.7 and 6.8 */
    WORD_BYTES = 45 /* in one encoded word: 60 characters of base64 and 12 around it, of
                       the 75 that RFC 2047, 2 allows */
};

static bool is_ascii(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text >= 0x80)
            return false;
    return true;
}

/* --- headers --- */

/* As many whole characters of `text` as fit one encoded word. */
static size_t word_len(const char *text)
{
    size_t n = strnlen(text, WORD_BYTES + 1);

    if (n <= WORD_BYTES)
        return n;
    n = WORD_BYTES;
    while (n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

static void encoded_words(struct buf *out, const char *text)
{
    for (size_t n; *text; text += n) {
        n = word_len(text);
        buf_text(out, "=?UTF-8?B?");
        text_base64((const uint8_t *)text, n, out);
        buf_text(out, text[n] ? "?=\r\n " : "?=");
    }
}

void mime_text(struct buf *out, const char *text)
{
    /* what looks like an encoded word would be read as one */
    if (is_ascii(text) && !strstr(text, "=?"))
        buf_text(out, text);
    else
        encoded_words(out, text);
}

static void quoted(struct buf *out, const char *text)
{
    buf_text(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_text(out, "\\");
        buf_add(out, text, 1);
    }
    buf_text(out, "\"");
}

void mime_address(struct buf *out, const char *email, const char *name)
{
    if (!name || !*name) {
        buf_text(out, email);
        return;
    }
    if (is_ascii(name) && !strstr(name, "=?"))
        quoted(out, name);
    else
        encoded_words(out, name);
    buf_format(out, " <%s>", email);
}

void mime_parameter(struct buf *out, const char *name, const char *value)
{
    buf_format(out, "; %s", name);
    if (is_ascii(value)) {
        buf_text(out, "=");
        quoted(out, value);
        return;
    }
    buf_text(out, "*=UTF-8''");
    form_escape(out, value, strlen(value));
}

void mime_date(struct buf *out, uint64_t time_us)
{
    /* not strftime: its names follow the locale */
    static const char days[] = "SunMonTueWedThuFriSat",
                      months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    buf_format(out, "%.3s, %d %.3s %d %02d:%02d:%02d +0000", days + 3 * tm.tm_wday,
               tm.tm_mday, months + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour,
               tm.tm_min, tm.tm_sec);
}

/* --- bodies --- */

static bool is_break(char c)
{
    return c == '\n' || c == '\r';
}

/* Must it be written as =XX? A blank only at the end of a line, where it gets lost. */
static bool is_escaped(const char *at)
{
    unsigned char c = (unsigned char)*at;

    if (c == ' ' || c == '\t')
        return !at[1] || is_break(at[1]);
    return c < 0x20 || c >= 0x7f || c == '=';
}

void mime_quoted_printable(struct buf *out, const char *text)
{
    size_t column = 0;

    for (; *text; text++) {
        if (is_break(*text)) {
            text += *text == '\r' && text[1] == '\n';
            buf_text(out, "\r\n");
            column = 0;
            continue;
        }
        size_t width = is_escaped(text) ? 3 : 1;
        if (column + width > LINE - 1) { /* room for the "=" of a soft break */
            buf_text(out, "=\r\n");
            column = 0;
        }
        if (width == 3)
            buf_format(out, "=%02X", (unsigned char)*text);
        else
            buf_add(out, text, 1);
        column += width;
    }
}

void mime_base64_lines(struct buf *out, const char *base64)
{
    for (size_t n; *base64; base64 += n) {
        n = strnlen(base64, LINE);
        buf_add(out, base64, n);
        buf_text(out, "\r\n");
    }
}
