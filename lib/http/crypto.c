/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL 3 looks an algorithm up by name on every use unless it is fetched once: the
 * ones used for every request are fetched on first use and kept for the life of the
 * process.  A failure of OpenSSL itself is a broken installation: we end. */
#include "lib/http/crypto.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/http/must.h"

enum { NONCE_SIZE = 12, TAG_SIZE = 16 };

void crypto_must(bool worked, const char *what)
{
    if (!worked) {
        fprintf(stderr, "crypto: OpenSSL cannot do %s\n", what);
        abort();
    }
}

static void give(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

static void *get(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return n ? mem_raw(n) : NULL;
}

static void *resize(void *old, size_t n, const char *file, int line)
{
    if (!old || n)
        return mem_resize(old, n);
    give(old, file, line);
    return NULL;
}

/* OpenSSL does not survive a failed request everywhere (its first fetch dereferences a
 * lock that it could not make). Only before its own first request can it be told where
 * memory comes from, so this is done before main. Who links this file is a process of
 * ours: the client's half of libsignalbox does not. */
__attribute__((constructor)) static void ask_us_for_memory(void)
{
    crypto_must(CRYPTO_set_mem_functions(get, resize, give) == 1,
                "without memory of its own");
}

void crypto_sha256(const void *bytes, size_t n, uint8_t ret_hash[32])
{
    static EVP_MD *sha256;
    if (!sha256)
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    crypto_must(sha256 && EVP_Digest(bytes, n, ret_hash, NULL, sha256, NULL) == 1,
                "SHA-256");
}

void crypto_sha256_parts(const struct crypto_part *parts, size_t n_parts,
                         uint8_t ret_hash[32])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool worked = ctx && EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; worked && i < n_parts; i++)
        worked = EVP_DigestUpdate(ctx, parts[i].bytes, parts[i].len) == 1;
    crypto_must(worked && EVP_DigestFinal_ex(ctx, ret_hash, NULL) == 1, "SHA-256");
    EVP_MD_CTX_free(ctx);
}

/* A context that has its hash: giving it another key is cheap. */
static EVP_MAC_CTX *hmac_new(char *hash)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    crypto_must(mac != NULL, "HMAC");
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0),
        OSSL_PARAM_construct_end()};
    crypto_must(ctx && EVP_MAC_CTX_set_params(ctx, params) == 1, "HMAC");
    return ctx;
}

static void hmac(EVP_MAC_CTX *ctx, const void *key, size_t key_len,
                 const struct crypto_part *parts, size_t n_parts, uint8_t *ret_mac,
                 size_t size)
{
    /* A NULL key would mean "the one before". */
    crypto_must(EVP_MAC_init(ctx, key ? key : "", key ? key_len : 0, NULL) == 1, "HMAC");
    for (size_t i = 0; i < n_parts; i++)
        crypto_must(EVP_MAC_update(ctx, parts[i].bytes, parts[i].len) == 1, "HMAC");
    size_t len = 0;
    crypto_must(EVP_MAC_final(ctx, ret_mac, &len, size) == 1 && len == size, "HMAC");
}

void crypto_hmac_sha256(const void *key, size_t key_len, const struct crypto_part *parts,
                        size_t n_parts, uint8_t ret_mac[32])
{
    static _Thread_local EVP_MAC_CTX *ctx;
    char hash[] = "SHA256";
    if (!ctx)
        ctx = hmac_new(hash);
    hmac(ctx, key, key_len, parts, n_parts, ret_mac, CRYPTO_SHA256_SIZE);
}

void crypto_hmac_sha1(const void *key, size_t key_len, const struct crypto_part *parts,
                      size_t n_parts, uint8_t ret_mac[20])
{
    static _Thread_local EVP_MAC_CTX *ctx;
    char hash[] = "SHA1";
    if (!ctx)
        ctx = hmac_new(hash);
    hmac(ctx, key, key_len, parts, n_parts, ret_mac, CRYPTO_SHA1_SIZE);
}

void crypto_hmac_sha512(const void *key, size_t key_len, const struct crypto_part *parts,
                        size_t n_parts, uint8_t ret_mac[64])
{
    static _Thread_local EVP_MAC_CTX *ctx;
    char hash[] = "SHA512";
    if (!ctx)
        ctx = hmac_new(hash);
    hmac(ctx, key, key_len, parts, n_parts, ret_mac, CRYPTO_SHA512_SIZE);
}

/* NULL when it is not one, or when bytes stand behind it. */
static EVP_PKEY *read_p256(const void *key, size_t key_len)
{
    char curve[32] = "";
    const unsigned char *at = key;
    EVP_PKEY *pkey = key_len <= LONG_MAX ? d2i_PUBKEY(NULL, &at, (long)key_len) : NULL;
    if (pkey && at == (const unsigned char *)key + key_len &&
        EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC &&
        EVP_PKEY_get_group_name(pkey, curve, sizeof(curve), NULL) == 1 &&
        !strcmp(curve, "prime256v1"))
        return pkey;
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return NULL;
}

bool crypto_is_p256_key(const void *key, size_t key_len)
{
    EVP_PKEY *pkey = read_p256(key, key_len);
    EVP_PKEY_free(pkey);
    return pkey != NULL;
}

/* With OpenSSL's default padding: of RSA that of PKCS #1 v1.5. */
static bool verify(EVP_PKEY *pkey, const char *hash, const struct crypto_part *parts,
                   size_t n_parts, const void *signature, size_t signature_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    crypto_must(ctx &&
                    EVP_DigestVerifyInit_ex(ctx, NULL, hash, NULL, NULL, pkey, NULL) == 1,
                "signatures");
    for (size_t i = 0; i < n_parts; i++)
        crypto_must(EVP_DigestVerifyUpdate(ctx, parts[i].bytes, parts[i].len) == 1,
                    "signatures");
    bool fits = EVP_DigestVerifyFinal(ctx, signature, signature_len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return fits;
}

bool crypto_p256_verify(const void *key, size_t key_len, const struct crypto_part *parts,
                        size_t n_parts, const void *signature, size_t signature_len)
{
    EVP_PKEY *pkey = read_p256(key, key_len);
    bool fits = pkey && verify(pkey, "SHA256", parts, n_parts, signature, signature_len);
    EVP_PKEY_free(pkey);
    return fits;
}

bool crypto_rsa_verify(const void *key, size_t key_len, bool is_sha1,
                       const struct crypto_part *parts, size_t n_parts,
                       const void *signature, size_t signature_len)
{
    const unsigned char *at = key;
    EVP_PKEY *pkey = key_len <= LONG_MAX ? d2i_PUBKEY(NULL, &at, (long)key_len) : NULL;
    bool fits = pkey && EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA &&
                verify(pkey, is_sha1 ? "SHA1" : "SHA256", parts, n_parts, signature,
                       signature_len);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return fits;
}

/* The pair whose private number is the seed, modulo the order and never 0. */
static EVP_PKEY *p256_of(const uint8_t seed[32])
{
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    BIGNUM *number = BN_bin2bn(seed, 32, NULL), *most = BN_new();
    BN_CTX *ctx = BN_CTX_new();
    EC_POINT *point = EC_POINT_new(group);
    unsigned char public[65];
    EVP_PKEY *pkey = NULL;

    crypto_must(group && number && most && ctx && point &&
                    BN_sub(most, EC_GROUP_get0_order(group), BN_value_one()) == 1 &&
                    BN_mod(number, number, most, ctx) == 1 &&
                    BN_add_word(number, 1) == 1 &&
                    EC_POINT_mul(group, point, number, NULL, NULL, ctx) == 1 &&
                    EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED,
                                       public, sizeof(public), ctx) == sizeof(public),
                "P-256");
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *from = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    crypto_must(
        build && from &&
            OSSL_PARAM_BLD_push_utf8_string(build, "group", "prime256v1", 0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(build, "pub", public, sizeof(public)) == 1 &&
            OSSL_PARAM_BLD_push_BN(build, "priv", number) == 1,
        "P-256");
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    crypto_must(params && EVP_PKEY_fromdata_init(from) == 1 &&
                    EVP_PKEY_fromdata(from, &pkey, EVP_PKEY_KEYPAIR, params) == 1,
                "P-256");
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(from);
    EC_POINT_free(point);
    EC_GROUP_free(group);
    BN_clear_free(number);
    BN_free(most);
    BN_CTX_free(ctx);
    return pkey;
}

void crypto_p256_public(const uint8_t seed[32], struct buf *out)
{
    EVP_PKEY *pkey = p256_of(seed);
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(pkey, &der);

    crypto_must(n > 0, "P-256");
    buf_add(out, der, (size_t)n);
    OPENSSL_free(der);
    EVP_PKEY_free(pkey);
}

void crypto_p256_sign(const uint8_t seed[32], const struct crypto_part *parts,
                      size_t n_parts, struct buf *out)
{
    EVP_PKEY *pkey = p256_of(seed);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    unsigned char signature[128];
    size_t n = sizeof(signature);

    crypto_must(
        ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL) == 1,
        "ECDSA");
    for (size_t i = 0; i < n_parts; i++)
        crypto_must(EVP_DigestSignUpdate(ctx, parts[i].bytes, parts[i].len) == 1,
                    "ECDSA");
    crypto_must(EVP_DigestSignFinal(ctx, signature, &n) == 1, "ECDSA");
    buf_add(out, signature, n);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
}

bool crypto_equal(const void *a, const void *b, size_t n)
{
    return CRYPTO_memcmp(a, b, n) == 0;
}

static EVP_CIPHER *aes_256_gcm(void)
{
    static EVP_CIPHER *cipher;
    if (!cipher)
        cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    crypto_must(cipher != NULL, "AES-256-GCM");
    return cipher;
}

/* Sealed: nonce, ciphertext, tag. */
void crypto_seal(const uint8_t key[32], const void *aad, size_t aad_len,
                 const void *plain, size_t n, uint8_t *ret_sealed)
{
    assert(n <= INT_MAX && aad_len <= INT_MAX);
    id_random(ret_sealed, NONCE_SIZE);
    uint8_t *text = ret_sealed + NONCE_SIZE;
    int len = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok =
        ctx && EVP_EncryptInit_ex2(ctx, aes_256_gcm(), key, ret_sealed, NULL) == 1 &&
        (aad_len == 0 || EVP_EncryptUpdate(ctx, NULL, &len, aad, (int)aad_len) == 1) &&
        (n == 0 || EVP_EncryptUpdate(ctx, text, &len, plain, (int)n) == 1) &&
        EVP_EncryptFinal_ex(ctx, text + n, &len) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_SIZE, text + n) == 1;
    EVP_CIPHER_CTX_free(ctx);
    crypto_must(ok, "AES-256-GCM");
}

bool crypto_open(const uint8_t key[32], const void *aad, size_t aad_len,
                 const void *sealed, size_t n, uint8_t *ret_plain)
{
    if (n < CRYPTO_SEALED_EXTRA || n > INT_MAX || aad_len > INT_MAX)
        return false;
    size_t plain_len = n - CRYPTO_SEALED_EXTRA;
    const uint8_t *nonce = sealed, *text = nonce + NONCE_SIZE;
    uint8_t tag[TAG_SIZE];
    for (size_t i = 0; i < TAG_SIZE; i++)
        tag[i] = text[plain_len + i];
    int len = 0;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    crypto_must(ctx != NULL, "AES-256-GCM");
    bool ok =
        EVP_DecryptInit_ex2(ctx, aes_256_gcm(), key, nonce, NULL) == 1 &&
        (aad_len == 0 || EVP_DecryptUpdate(ctx, NULL, &len, aad, (int)aad_len) == 1) &&
        (plain_len == 0 ||
         EVP_DecryptUpdate(ctx, ret_plain, &len, text, (int)plain_len) == 1) &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_SIZE, tag) == 1 &&
        EVP_DecryptFinal_ex(ctx, tag, &len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    if (!ok) /* GCM hands out bytes before it has checked them */
        OPENSSL_cleanse(ret_plain, plain_len);
    return ok;
}

void crypto_wipe(void *bytes, size_t n)
{
    if (bytes)
        OPENSSL_cleanse(bytes, n);
}
