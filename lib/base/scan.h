/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scan - is a text JSON? One pass over its bytes, no values made
 *
 * For texts whose values are cut out as they were written (slice.h): where a tree of
 * values would be built only to be thrown away, this is several times cheaper. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { SCAN_DEPTH_MAX = 2048 }; /* values within values; deeper: false */

/* True for exactly the texts that js_parse takes: one value of RFC 8259 with blanks
 * around it, strict UTF-8, no NUL in a text, no name twice in an object, whole numbers
 * within int64, others within double. Texts whose names collide in hash64 are refused
 * like those with a name twice. */
bool scan_check(const char *text, size_t n);
/* Is it strict UTF-8 (RFC 3629), without a NUL? */
bool scan_is_utf8(const char *text, size_t n);
