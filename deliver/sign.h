/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* sign - signatures of Standard Webhooks (standardwebhooks.com, specification 1.0) over
 * "id.timestamp.body", in base64: HMAC-SHA256 with "v1," in front, or Ed25519 with "v1a,",
 * for applications that shall have no secret */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum { SIGN_KEY_MIN = 24, SIGN_KEY_MAX = 64 /* bytes of a key */ };

/* Is it `whsec_` and 24 to 64 bytes in base64, or `whsk_` and a seed of Ed25519 with its
 * public key behind it, 64 bytes? */
bool sign_is_secret(const char *secret);
/* Append the signature under one secret; with several, one after the other, a space
 * between them. The secret must be one. */
void sign_add(const char *secret, const char *id, uint64_t timestamp_s, const void *body,
              size_t n, struct buf *out);
