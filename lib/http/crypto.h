/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* crypto - OpenSSL, and the only place that knows it (libcurl brings its own) */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

enum { CRYPTO_SHA256_SIZE = 32, CRYPTO_SHA1_SIZE = 20, CRYPTO_SHA512_SIZE = 64, CRYPTO_KEY_SIZE = 32, CRYPTO_ED25519_SIZE = 32 /* of a seed and of a public key */, CRYPTO_ED25519_SIGNATURE_SIZE = 64, CRYPTO_SEALED_EXTRA = 28 /* nonce 12, tag 16 */ };

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
void crypto_hmac_sha512(const void *key, size_t key_len, const struct crypto_part *parts, size_t n_parts, uint8_t ret_mac[64]);
/* Is it the DER of a SubjectPublicKeyInfo with a point of the curve P-256? */
bool crypto_is_p256_key(const void *key, size_t key_len);
/* Does the DER signature (ECDSA with SHA-256) of that key fit the concatenation of the parts? */
bool crypto_p256_verify(const void *key, size_t key_len, const struct crypto_part *parts, size_t n_parts, const void *signature, size_t signature_len);
/* Ed25519 (RFC 8032). Is it a public key of it, and one of those under which nobody can sign without the seed? (A few have
 * an order so small that signatures for them are easily guessed; all zeros is one.) */
bool crypto_is_ed25519_key(const void *key, size_t key_len);
bool crypto_ed25519_verify(const void *key, size_t key_len, const struct crypto_part *parts, size_t n_parts, const void *signature, size_t signature_len);
/* The public key of a seed; its signature of the concatenation of the parts. */
void crypto_ed25519_public(const uint8_t seed[CRYPTO_ED25519_SIZE], uint8_t ret_key[CRYPTO_ED25519_SIZE]);
void crypto_ed25519_sign(const uint8_t seed[CRYPTO_ED25519_SIZE], const struct crypto_part *parts, size_t n_parts, uint8_t ret_signature[CRYPTO_ED25519_SIGNATURE_SIZE]);
/* Do a certificate and a key (PEM texts) belong together, and is the certificate valid at this time? False with a reason. */
bool crypto_certificate_fits(const char *certificate, const char *key, uint64_t now_us, char *error, size_t error_size);
/* What a certificate of another party must be. */
struct crypto_trust {
    bool needs_chain;        /* it must come from one of `ca_file`, over the others in its text */
    const char *ca_file;     /* PEM; NULL: the system's authorities */
    const char *name_suffix; /* its common name must end like this; NULL: not looked at */
    uint64_t now_us;
};
/* Append the public key (DER of a SubjectPublicKeyInfo) of a certificate in PEM, the leaf first; it must be RSA of
 * 2,048 bits at least. *ret_until_us: when the certificate ends. False with a reason. */
bool crypto_certificate_key(const char *text, size_t n, const struct crypto_trust *trust, struct buf *ret_key,
                            uint64_t *ret_until_us, char *error, size_t error_size);
/* What OpenSSL has against a certificate, in words, by the number of its verdict (X509_V_ERR_...). */
const char *crypto_distrust(long verdict);
/* Does the signature (RSA, PKCS #1 v1.5, with SHA-256, or with SHA-1 for what is older) of that key fit the
 * concatenation of the parts? */
bool crypto_rsa_verify(const void *key, size_t key_len, bool is_sha1, const struct crypto_part *parts, size_t n_parts,
                       const void *signature, size_t signature_len);
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
