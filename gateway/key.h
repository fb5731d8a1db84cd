/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* key - idempotency keys: the same again is answered with the first one's id */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct buf;
struct gateway;

/* Append the record that stands before its event: key within scope, with the hash of what
 * it came with. */
void key_add(const struct gateway *gateway, struct buf *out, const char *scope,
             const char *key, size_t key_len, uint64_t body_hash);
