/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The Ed25519 of crypto.h. OpenSSL takes the message in one piece, so the parts are put
 * together first. */
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "lib/base/buf.h"
#include "lib/http/crypto.h"
#include "lib/http/must.h"

enum { SMALL_ORDER_TRIES = 64 /* each finds a key of order 8, the largest, by 1 in 8 */ };

static void join(const struct crypto_part *parts, size_t n_parts, struct buf *out)
{
    for (size_t i = 0; i < n_parts; i++)
        buf_add(out, parts[i].bytes, parts[i].len);
}

bool crypto_ed25519_verify(const void *key, size_t key_len,
                           const struct crypto_part *parts, size_t n_parts,
                           const void *signature, size_t signature_len)
{
    struct buf text = BUF_NULL;
    EVP_PKEY *pkey =
        key_len == CRYPTO_ED25519_SIZE
            ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, key_len)
            : NULL;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    join(parts, n_parts, &text);
    bool fits =
        pkey && ctx && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, pkey) == 1 &&
        EVP_DigestVerify(ctx, signature, signature_len, text.bytes, text.len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    buf_fini(&text);
    return fits;
}

/* Under a key of small order the signature "neutral element, 0" fits every message whose
 * hash is a multiple of that order; under another key it fits none. */
bool crypto_is_ed25519_key(const void *key, size_t key_len)
{
    static const uint8_t guess[CRYPTO_ED25519_SIGNATURE_SIZE] = {1};
    if (key_len != CRYPTO_ED25519_SIZE)
        return false;
    for (int i = 0; i < SMALL_ORDER_TRIES; i++) {
        struct crypto_part part = {&i, sizeof(i)};
        if (crypto_ed25519_verify(key, key_len, &part, 1, guess, sizeof(guess)))
            return false;
    }
    return true;
}

static EVP_PKEY *pair_of(const uint8_t seed[CRYPTO_ED25519_SIZE])
{
    EVP_PKEY *pair =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, CRYPTO_ED25519_SIZE);
    crypto_must(pair != NULL, "Ed25519");
    return pair;
}

void crypto_ed25519_public(const uint8_t seed[CRYPTO_ED25519_SIZE],
                           uint8_t ret_key[CRYPTO_ED25519_SIZE])
{
    size_t n = CRYPTO_ED25519_SIZE;
    EVP_PKEY *pair = pair_of(seed);
    crypto_must(EVP_PKEY_get_raw_public_key(pair, ret_key, &n) == 1 &&
                    n == CRYPTO_ED25519_SIZE,
                "Ed25519");
    EVP_PKEY_free(pair);
}

void crypto_ed25519_sign(const uint8_t seed[CRYPTO_ED25519_SIZE],
                         const struct crypto_part *parts, size_t n_parts,
                         uint8_t ret_signature[CRYPTO_ED25519_SIGNATURE_SIZE])
{
    struct buf text = BUF_NULL;
    size_t n = CRYPTO_ED25519_SIGNATURE_SIZE;
    EVP_PKEY *pair = pair_of(seed);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    join(parts, n_parts, &text);
    crypto_must(ctx && EVP_DigestSignInit(ctx, NULL, NULL, NULL, pair) == 1 &&
                    EVP_DigestSign(ctx, ret_signature, &n, text.bytes, text.len) == 1 &&
                    n == CRYPTO_ED25519_SIGNATURE_SIZE,
                "Ed25519");
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pair);
    buf_fini(&text);
}
