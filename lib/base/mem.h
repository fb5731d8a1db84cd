/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* mem - memory that is there, or the process is not
 *
 * Inside signalbox's own processes running out of memory is fatal: the log makes a
 * restart safe, and a process that limps on is worse (docs/decisions/0003).  The SDK,
 * which lives in somebody else's process, must not use these. */
#pragma once
#include <stddef.h>

/* There is none: say so, and abort.  For a library that reports it in its own way. */
void mem_exhausted(size_t n) __attribute__((noreturn));
/* n bytes as malloc has them, never NULL: for a library that takes its memory through a
 * function. */
void *mem_raw(size_t n);
/* Zeroed memory for n bytes; never NULL; aborts when there is none. Free with free(). */
void *mem_alloc(size_t n);
/* n * size zeroed bytes; aborts on overflow. */
void *mem_array(size_t n, size_t size);
/* Like realloc, the new part is not zeroed; aborts when there is none. */
void *mem_resize(void *old, size_t n);
/* A copy of n bytes, with a NUL behind them that is not counted. */
void *mem_copy(const void *bytes, size_t n);
/* A copy of a string; NULL gives NULL. */
char *mem_text(const char *text);
/* A formatted string of its own. */
char *mem_format(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Overwrite a text that was a secret and free it; NULL is fine. */
void mem_free_secret(char *text);

/* Locals that own: `_free_ char *name = ...;` */
static inline void mem_free_(void *p)
{
    extern void free(void *);
    free(*(void **)p);
}
#define _free_        __attribute__((cleanup(mem_free_)))
#define _cleanup_(fn) __attribute__((cleanup(fn)))
