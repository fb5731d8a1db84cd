/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scheme_match - does a key fit a signature? In time that tells nothing of either */
#pragma once
#include <stddef.h>

struct scheme_key;
struct scheme_signed;

/* The first key that made one of the signatures, over any one of the input's URLs; -1:
 * none. A `topic` other than NULL must be the key's text, too (SNS). */
int scheme_match(const struct scheme_signed *s, const struct scheme_key *keys,
                 size_t n_keys, const char *topic);
