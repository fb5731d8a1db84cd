/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* slice - the bytes of a value inside a JSON text, as they were written
 *
 * For texts that js_parse has accepted: an event's data is kept as received, with its
 * numbers and spaces, not as a parser would write it again. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct slice_text {
    const char *text;
    size_t len;
};

/* The value of the object's member `name`. False when there is none under that spelling.
 */
bool slice_member(struct slice_text object, const char *name,
                  struct slice_text *ret_value);
/* The array's next element: *at = 0 at first. False at the end. */
bool slice_element(struct slice_text array, size_t *at, struct slice_text *ret_value);
