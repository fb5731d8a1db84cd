/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* vectors - one example of every message, record and block, always the same bytes: what
 * proto/vectors holds */
#pragma once
#include <stdbool.h>
#include <stddef.h>

struct buf;
struct json;

/* Example number `index` (from 0): its file name without suffix, its bytes appended to
 * `out` (8-aligned), its readable form in *ret_json (to be js_free'd). NULL behind the
 * last. */
const char *vector_make(size_t index, struct buf *out, struct json **ret_json);
