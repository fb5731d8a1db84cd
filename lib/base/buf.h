/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* buf - bytes that grow
 *
 * One buffer for frames, records, texts.  `bytes` is always 8-aligned at its start (malloc), and a
 * NUL stands behind the last byte, uncounted, so that a text in it can be printed. */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *bytes;
    size_t len;
    size_t cap;
};

#define BUF_NULL ((struct buf){ 0 })

/* Give the memory back; the buffer is empty and usable after. */
void buf_fini(struct buf *buf);
/* Forget the content, keep the memory. */
void buf_clear(struct buf *buf);
/* Make room for n more bytes and return where they go; `len` is not moved. */
uint8_t *buf_reserve(struct buf *buf, size_t n);
/* Append n bytes; returns where they now stand (valid until the next append). `bytes` may be NULL: zeros. */
uint8_t *buf_add(struct buf *buf, const void *bytes, size_t n);
/* Append a text without its NUL. */
void buf_text(struct buf *buf, const char *text);
/* Append formatted text. */
void buf_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Append zeros until the length is a multiple of 8. */
void buf_pad8(struct buf *buf);
/* The content as a C string; never NULL; valid until the next change. */
const char *buf_str(struct buf *buf);
