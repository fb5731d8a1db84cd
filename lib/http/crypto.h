/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* crypto - OpenSSL, and the only place that knows it (libcurl brings its own) */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum { CRYPTO_SHA256_SIZE = 32, CRYPTO_SHA1_SIZE = 20, CRYPTO_KEY_SIZE = 32, CRYPTO_SEALED_EXTRA = 28 /* nonce 12, tag 16 */ };

void crypto_sha256(const void *bytes, size_t n, uint8_t ret_hash[32]);
struct crypto_part {
    const void *bytes;
    size_t len;
};
/* SHA-256 over the concatenation of `n_parts` parts. */
void crypto_sha256_parts(const struct crypto_part *parts, size_t n_parts, uint8_t ret_hash[32]);
/* HMAC-SHA256 over the concatenation of `n_parts` parts. */
void crypto_hmac_sha256(const void *key, size_t key_len, const struct crypto_part *parts, size_t n_parts, uint8_t ret_mac[32]);
/* HMAC-SHA1, for senders that have nothing newer. */
void crypto_hmac_sha1(const void *key, size_t key_len, const struct crypto_part *parts, size_t n_parts, uint8_t ret_mac[20]);
/* Is it the DER of a SubjectPublicKeyInfo with a point of the curve P-256? */
bool crypto_is_p256_key(const void *key, size_t key_len);
/* Does the DER signature (ECDSA with SHA-256) of that key fit the concatenation of the parts? */
bool crypto_p256_verify(const void *key, size_t key_len, const struct crypto_part *parts, size_t n_parts, const void *signature, size_t signature_len);
/* Do a certificate and a key (PEM texts) belong together, and is the certificate valid at this time? False with a reason. */
bool crypto_certificate_fits(const char *certificate, const char *key, uint64_t now_us, char *error, size_t error_size);
/* A P-256 pair made from a seed, for practice providers that sign like this: append the public key
 * (DER of a SubjectPublicKeyInfo), or a signature (ECDSA with SHA-256, DER) of the concatenation. */
void crypto_p256_public(const uint8_t seed[32], struct buf *out);
void crypto_p256_sign(const uint8_t seed[32], const struct crypto_part *parts, size_t n_parts,
                      struct buf *out);
/* A certificate for `name` that it signed itself, valid for a day before and ten after, and its
 * key: appended as PEM. For practice servers that nobody should trust. */
void crypto_self_signed(const char *name, struct buf *certificate, struct buf *key);
/* Same bytes? In time that depends on n only. */
bool crypto_equal(const void *a, const void *b, size_t n);
/* AES-256-GCM with a random nonce; `aad` is authenticated only. ret has room for n + CRYPTO_SEALED_EXTRA. */
void crypto_seal(const uint8_t key[32], const void *aad, size_t aad_len, const void *plain, size_t n, uint8_t *ret_sealed);
/* False when key, aad or bytes do not fit. ret has room for n - CRYPTO_SEALED_EXTRA. */
bool crypto_open(const uint8_t key[32], const void *aad, size_t aad_len, const void *sealed, size_t n, uint8_t *ret_plain);
/* Overwrite so that no compiler leaves it out. */
void crypto_wipe(void *bytes, size_t n);
