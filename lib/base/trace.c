/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/trace.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Places and lengths of the fields. */
enum { TRACE_AT = 3, TRACE_LEN = 32, SPAN_AT = 36, SPAN_LEN = 16, FLAGS_AT = 53 };

static bool is_hex(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return true;
}

static bool is_zero(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] != '0')
            return false;
    return true;
}

bool trace_is_parent(const char *text)
{
    if (!text || strnlen(text, TRACE_PARENT_SIZE) < TRACE_PARENT_SIZE - 1)
        return false;
    bool is_first_version = text[0] == '0' && text[1] == '0';
    char end = text[TRACE_PARENT_SIZE - 1];
    return is_hex(text, 2) && memcmp(text, "ff", 2) != 0 && text[2] == '-' &&
           is_hex(text + TRACE_AT, TRACE_LEN) && !is_zero(text + TRACE_AT, TRACE_LEN) &&
           text[SPAN_AT - 1] == '-' && is_hex(text + SPAN_AT, SPAN_LEN) &&
           !is_zero(text + SPAN_AT, SPAN_LEN) && text[FLAGS_AT - 1] == '-' &&
           is_hex(text + FLAGS_AT, 2) && (end == 0 || (end == '-' && !is_first_version));
}

bool trace_is_state(const char *text)
{
    if (!text || strnlen(text, TRACE_STATE_MAX + 1) > TRACE_STATE_MAX)
        return false;
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            return false;
    return true;
}

void trace_child(const char *parent, uint64_t span, char ret_text[TRACE_PARENT_SIZE])
{
    snprintf(ret_text, TRACE_PARENT_SIZE, "00-%.32s-%016" PRIx64 "-%.2s",
             parent + TRACE_AT, span ? span : 1, parent + FLAGS_AT);
}
