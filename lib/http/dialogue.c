/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/http/dialogue.h"

#include <string.h>
#include <strings.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void take_line(struct dialogue *d)
{
    const char *line = d->line;
    size_t n = d->line_len;

    if (d->is_over || n < 3 || !is_digit(line[0]) || !is_digit(line[1]) ||
        !is_digit(line[2]) || (n > 3 && line[3] == '-')) /* further lines of it follow */
        return;
    d->last.code =
        (unsigned)((line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0');
    size_t len = n > 4 ? n - 4 : 0;
    memcpy(d->last.text, line + n - len, len);
    d->last.text[len] = 0;
    if (d->is_recipient && d->asked && d->asked <= d->n)
        d->recipients[d->asked - 1] = d->last;
    d->is_recipient = false;
}

void dialogue_heard(struct dialogue *d, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n') {
            take_line(d);
            d->line_len = 0;
        } else if (bytes[i] && bytes[i] != '\r' && d->line_len < DIALOGUE_LINE_MAX) {
            d->line[d->line_len++] = bytes[i];
        }
    }
}

/* libcurl waits for the reply before the next command. */
void dialogue_said(struct dialogue *d, const char *bytes, size_t n)
{
    d->is_recipient = n >= 8 && strncasecmp(bytes, "RCPT TO:", 8) == 0;
    d->asked += d->is_recipient;
    d->is_over |= n >= 4 && strncasecmp(bytes, "QUIT", 4) == 0;
}
