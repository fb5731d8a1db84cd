/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* hash - the two hashes that are stored and sent
 *
 * hash64 is XXH3-64 with seed 0 (the reference implementation's XXH3_64bits); it names types, keys
 * and integrations in record headers, so it can never change.  crc32c is Castagnoli's polynomial
 * as in RFC 3720.  Neither resists an attacker: tables in memory that are keyed by a foreign hash
 * compare the text as well. */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t hash64(const void *bytes, size_t n);
/* hash64 of a C string. */
uint64_t hash_text(const char *text);
/* XXH3-128 of `scope`, a NUL, and `key`: the name of an idempotency key. */
void hash_pair(const char *scope, const char *key, size_t key_len, uint8_t ret_hash[16]);
/* CRC-32 as gzip and PNG have it (IEEE 802.3), as PayPal signs it. */
uint32_t crc32_of(const void *bytes, size_t n);
/* Continue a CRC32C; start with 0. */
uint32_t crc32c(uint32_t crc, const void *bytes, size_t n);
