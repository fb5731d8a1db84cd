/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* veil - covers secrets in what a service said, however it spelled them
 *
 * A service may say back what it was sent: a key in the reason of a refusal, a whole
 * header.  Covered with asterisks are a secret as it stands, as it is escaped in JSON and
 * in URLs, and as a part of anything in base64 (HTTP Basic, SASL) in the alphabets of RFC
 * 4648, sections 4 and 5; also its beginning, where the text was cut in the middle of it.
 * The text keeps its length. */
#pragma once
#include <stddef.h>

#include "lib/base/buf.h"

enum {
    VEIL_LEAST = 6, /* bytes of a secret; a shorter one would cover parts of words */
    VEIL_PART_LEAST = 12, /* bytes of its beginning, and half of it, that are covered */
};

struct veil {
    struct buf *spellings; /* longest first */
    size_t n;
};

/* Cover this one, too. NULL is fine. */
void veil_add(struct veil *veil, const char *secret);
/* Wipes. */
void veil_fini(struct veil *veil);
void veil_cover(const struct veil *veil, char *text, size_t n);
/* How many bytes at the end of a text may be the beginning of a secret, whose rest is
 * still to come: to be held back, and covered together with what follows. */
size_t veil_held(const struct veil *veil, const char *text, size_t n);
