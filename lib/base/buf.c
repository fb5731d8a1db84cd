/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"

void buf_fini(struct buf *buf)
{
    free(buf->bytes);
    *buf = BUF_NULL;
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
}

uint8_t *buf_reserve(struct buf *buf, size_t n)
{
    size_t need = buf->len + n + 1;

    if (need > buf->cap) {
        size_t cap = buf->cap ? buf->cap : 256;
        while (cap < need)
            cap *= 2;
        buf->bytes = mem_resize(buf->bytes, cap);
        buf->cap = cap;
    }
    return buf->bytes + buf->len;
}

uint8_t *buf_add(struct buf *buf, const void *bytes, size_t n)
{
    uint8_t *at = buf_reserve(buf, n);

    if (bytes && n)
        memcpy(at, bytes, n);
    else
        memset(at, 0, n);
    buf->len += n;
    buf->bytes[buf->len] = 0;
    return at;
}

void buf_text(struct buf *buf, const char *text)
{
    buf_add(buf, text, strlen(text));
}

void buf_format(struct buf *buf, const char *format, ...)
{
    _free_ char *text = NULL;
    va_list args;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    if (n > 0)
        buf_add(buf, text, (size_t)n);
}

void buf_pad8(struct buf *buf)
{
    if (buf->len % 8)
        buf_add(buf, NULL, 8 - buf->len % 8);
}

const char *buf_str(struct buf *buf)
{
    buf_reserve(buf, 0)[0] = 0;
    return (const char *)buf->bytes;
}
