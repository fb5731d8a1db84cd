/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* scheme_key - a secret of the configuration, in the form in which a row uses it */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scheme;

enum { SCHEME_KEYS_MAX = 16 /* of an endpoint */ };

/* One without bytes fits nothing. */
struct scheme_key {
    uint8_t *bytes;
    size_t len;
    bool is_public; /* of Ed25519, where the row has a public_label */
};

/* False when the secret is not of the row's form. Free with scheme_key_fini. */
bool scheme_key_init(struct scheme_key *key, const struct scheme *scheme,
                     const char *secret);
/* What the row's secrets look like, in words. */
const char *scheme_key_form(const struct scheme *scheme);
/* Wipes. */
void scheme_key_fini(struct scheme_key *key);
