/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scheme_header - what a sender gave, taken apart: the candidates for a signature, the
 * time and the id. Nothing is believed yet; everything is borrowed from the input. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/scheme.h"

struct scheme_span {
    const char *text;
    size_t len;
};

struct scheme_signature {
    struct scheme_span text;
    bool is_public; /* under the row's public_label */
};

struct scheme_given {
    struct scheme_span time, id;
    struct scheme_signature signatures[SCHEME_SIGNATURES_MAX];
    unsigned n_signatures;
};

/* The first thing that the row wants and the input has not, by the row's name for it;
 * NULL: all is there. */
const char *scheme_header_missing(const struct scheme *scheme,
                                  const struct scheme_input *input);
/* SCHEME_OK with one candidate at least; else SCHEME_REPEATED, SCHEME_NO_HEADER or
 * SCHEME_MALFORMED. */
enum scheme_result scheme_header_read(const struct scheme *scheme,
                                      const struct scheme_input *input,
                                      struct scheme_given *ret_given);
/* The time in seconds since 1970. Decimal digits alone; ten of them reach the year 2286
 * in seconds, thirteen in milliseconds; or a date. False when it is none. */
bool scheme_header_time(struct scheme_span time, enum scheme_time form, uint64_t *ret_s);
