/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* slice - the bytes of a value inside a JSON text, as they were written
 *
 * For texts that js_parse or scan_check has accepted: an event's data is kept as
 * received, with its numbers and spaces, not as a parser would write it again. Slices are
 * borrowed from the text. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

struct slice_text {
    const char *text;
    size_t len;
};

/* The value of the object's member `name`, however that is spelled. False when there is
 * none. */
bool slice_member(struct slice_text object, const char *name,
                  struct slice_text *ret_value);
/* The array's next element: *at = 0 at first. False at the end. */
bool slice_element(struct slice_text array, size_t *at, struct slice_text *ret_value);
/* The value at a dotted path, which is read as js_get does. False when there is none. */
bool slice_get(struct slice_text value, const char *path, struct slice_text *ret_value);
/* Append what a text says. False when the value is no text. */
bool slice_add_text(struct slice_text value, struct buf *out);
/* The number that a value is. False when it is no whole number. */
bool slice_int(struct slice_text value, int64_t *ret_number);

/* The code point that the escape \u at the beginning of text[n] stands for, of a pair of
 * surrogates both (RFC 8259, section 7). How many bytes it takes; 0 when it is none. */
size_t slice_escape(const char *text, size_t n, unsigned *ret_code);
/* Append what stands between the quotes of a text, its escapes resolved. */
void slice_unescape(struct slice_text inside, struct buf *out);
