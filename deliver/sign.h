/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* sign - signatures of Standard Webhooks (standardwebhooks.com, specification 1.0):
 * HMAC-SHA256 over "id.timestamp.body", in base64, "v1," in front */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum { SIGN_KEY_MIN = 24, SIGN_KEY_MAX = 64 /* bytes of a key */ };

/* Is it `whsec_` and 24 to 64 bytes in base64? */
bool sign_is_secret(const char *secret);
/* Append the signature under one secret; with several, one after the other, a space
 * between them. The secret must be one. */
void sign_add(const char *secret, const char *id, uint64_t timestamp_s, const void *body,
              size_t n, struct buf *out);
