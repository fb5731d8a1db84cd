/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/table.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"

/* Bytes of the UTF-8 sequence at `c`; 1 for anything that is none. */
static size_t sequence(const char *c)
{
    unsigned char first = (unsigned char)*c;
    size_t n = first >= 0xf0 && first < 0xf8 ? 4
               : first >= 0xe0               ? 3
               : first >= 0xc2               ? 2
                                             : 1;

    if (first >= 0xf8)
        return 1;
    for (size_t i = 1; i < n; i++)
        if (((unsigned char)c[i] & 0xc0) != 0x80)
            return 1;
    return n;
}

/* C0, DEL, C1 and stray bytes would reach the terminal as commands or as nothing. */
static bool is_harmless(const char *c, size_t n)
{
    unsigned char first = (unsigned char)*c;

    if (n == 1)
        return first >= 0x20 && first < 0x7f;
    return !(first == 0xc2 && (unsigned char)c[1] < 0xa0);
}

unsigned table_columns(const char *text)
{
    unsigned columns = 0;

    for (; text && *text; text += sequence(text))
        columns++;
    return columns;
}

void table_cell(struct buf *line, const char *text, unsigned width, bool cut)
{
    unsigned columns = 0, all = table_columns(text);
    bool is_cut = cut && all > width;

    for (const char *c = text; c && *c && (!is_cut || columns + 1 < width); columns++) {
        size_t n = sequence(c);
        if (is_harmless(c, n))
            buf_add(line, c, n);
        else
            buf_text(line, *c == '\n' || *c == '\t' ? " " : "?");
        c += n;
    }
    if (is_cut && width) {
        buf_text(line, "\xe2\x80\xa6");
        columns++;
    }
    for (; columns < width; columns++)
        buf_text(line, " ");
}

static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) && !(no && *no);
}

const char *table_colour(const char *status)
{
    if (!wants_colour())
        return "";
    return strcmp(status, "Failed") == 0    ? "\033[31m"
           : strcmp(status, "Pending") == 0 ? "\033[33m"
                                            : "\033[32m";
}

const char *table_plain(void)
{
    return wants_colour() ? "\033[0m" : "";
}

void table_time(struct buf *line, uint64_t time_us)
{
    char text[TEXT_TIME_SIZE];

    text_time(time_us, text);
    buf_add(line, text, 23);
    buf_text(line, "Z");
}
