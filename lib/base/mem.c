/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void mem_exhausted(size_t n)
{
    fprintf(stderr, "signalbox: out of memory (%zu bytes)\n", n);
    abort();
}

static void *checked(void *p, size_t n)
{
    if (!p)
        mem_exhausted(n);
    return p;
}

void *mem_raw(size_t n)
{
    return checked(malloc(n ? n : 1), n);
}

void *mem_alloc(size_t n)
{
    return checked(calloc(1, n ? n : 1), n);
}

void *mem_array(size_t n, size_t size)
{
    return checked(calloc(n ? n : 1, size ? size : 1), n);
}

void *mem_resize(void *old, size_t n)
{
    return checked(realloc(old, n ? n : 1), n);
}

void *mem_copy(const void *bytes, size_t n)
{
    char *copy = checked(malloc(n + 1), n);

    if (n)
        memcpy(copy, bytes, n);
    copy[n] = 0;
    return copy;
}

char *mem_text(const char *text)
{
    return text ? mem_copy(text, strlen(text)) : NULL;
}

char *mem_format(const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    return checked(n < 0 ? NULL : text, 0);
}

void mem_free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}
