/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scheme_signed - the bytes that a signature is of: a row's template, filled
 *
 * A piece of the template is a part of what the sender gave; nothing is copied but what
 * must be made of the body (a form's fields in order, SNS's fields, a CRC). */
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "gateway/scheme.h"
#include "lib/base/buf.h"

struct crypto_part;
struct scheme_body;
struct scheme_given;
struct scheme_key;

struct scheme_signed {
    const struct scheme *scheme;
    const struct scheme_input *input;
    const struct scheme_given *given;
    struct buf made; /* of {params} or {fields} */
    char crc32[12];
};

/* Make what the template needs beside headers and body; `body` is that of rows that have
 * their signature in it. False when the body is not one that the row can sign. Free with
 * scheme_signed_fini either way. */
bool scheme_signed_init(struct scheme_signed *s, const struct scheme *scheme,
                        const struct scheme_input *input,
                        const struct scheme_given *given, const struct scheme_body *body);
void scheme_signed_fini(struct scheme_signed *s);
/* The parts, SCHEME_PIECES_MAX at most, as they would be signed with this key for this
 * URL (NULL: none); how many. */
size_t scheme_signed_parts(const struct scheme_signed *s, const struct scheme_key *key,
                           const char *url, struct crypto_part *ret_parts);
