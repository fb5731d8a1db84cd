/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL 3 looks an algorithm up by name on every use unless it is fetched once: the
 * ones used for every request are fetched on first use and kept for the life of the
 * process.  A failure of OpenSSL itself is a broken installation: we end. */
#include "lib/http/crypto.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"

enum { NONCE_SIZE = 12, TAG_SIZE = 16 };

static void must(bool worked, const char *what)
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
    must(CRYPTO_set_mem_functions(get, resize, give) == 1, "without memory of its own");
}

void crypto_sha256(const void *bytes, size_t n, uint8_t ret_hash[32])
{
    static EVP_MD *sha256;
    if (!sha256)
        sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(sha256 && EVP_Digest(bytes, n, ret_hash, NULL, sha256, NULL) == 1, "SHA-256");
}

void crypto_sha256_parts(const struct crypto_part *parts, size_t n_parts,
                         uint8_t ret_hash[32])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool worked = ctx && EVP_DigestInit_ex2(ctx, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; worked && i < n_parts; i++)
        worked = EVP_DigestUpdate(ctx, parts[i].bytes, parts[i].len) == 1;
    must(worked && EVP_DigestFinal_ex(ctx, ret_hash, NULL) == 1, "SHA-256");
    EVP_MD_CTX_free(ctx);
}

/* A context that has its hash: giving it another key is cheap. */
static EVP_MAC_CTX *hmac_new(char *hash)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    must(mac != NULL, "HMAC");
    EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, hash, 0),
        OSSL_PARAM_construct_end()};
    must(ctx && EVP_MAC_CTX_set_params(ctx, params) == 1, "HMAC");
    return ctx;
}

static void hmac(EVP_MAC_CTX *ctx, const void *key, size_t key_len,
                 const struct crypto_part *parts, size_t n_parts, uint8_t *ret_mac,
                 size_t size)
{
    /* A NULL key would mean "the one before". */
    must(EVP_MAC_init(ctx, key ? key : "", key ? key_len : 0, NULL) == 1, "HMAC");
    for (size_t i = 0; i < n_parts; i++)
        must(EVP_MAC_update(ctx, parts[i].bytes, parts[i].len) == 1, "HMAC");
    size_t len = 0;
    must(EVP_MAC_final(ctx, ret_mac, &len, size) == 1 && len == size, "HMAC");
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
    must(ctx && EVP_DigestVerifyInit_ex(ctx, NULL, hash, NULL, NULL, pkey, NULL) == 1,
         "signatures");
    for (size_t i = 0; i < n_parts; i++)
        must(EVP_DigestVerifyUpdate(ctx, parts[i].bytes, parts[i].len) == 1,
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

    must(group && number && most && ctx && point &&
             BN_sub(most, EC_GROUP_get0_order(group), BN_value_one()) == 1 &&
             BN_mod(number, number, most, ctx) == 1 && BN_add_word(number, 1) == 1 &&
             EC_POINT_mul(group, point, number, NULL, NULL, ctx) == 1 &&
             EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, public,
                                sizeof(public), ctx) == sizeof(public),
         "P-256");
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *from = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    must(build && from &&
             OSSL_PARAM_BLD_push_utf8_string(build, "group", "prime256v1", 0) == 1 &&
             OSSL_PARAM_BLD_push_octet_string(build, "pub", public, sizeof(public)) ==
                 1 &&
             OSSL_PARAM_BLD_push_BN(build, "priv", number) == 1,
         "P-256");
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    must(params && EVP_PKEY_fromdata_init(from) == 1 &&
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

    must(n > 0, "P-256");
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

    must(ctx && EVP_DigestSignInit_ex(ctx, NULL, "SHA256", NULL, NULL, pkey, NULL) == 1,
         "ECDSA");
    for (size_t i = 0; i < n_parts; i++)
        must(EVP_DigestSignUpdate(ctx, parts[i].bytes, parts[i].len) == 1, "ECDSA");
    must(EVP_DigestSignFinal(ctx, signature, &n) == 1, "ECDSA");
    buf_add(out, signature, n);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(pkey);
}

static void put_pem(BIO *bio, struct buf *out)
{
    char *text;
    long n = BIO_get_mem_data(bio, &text);

    buf_add(out, text, (size_t)n);
    BIO_free(bio);
}

void crypto_self_signed(const char *name, struct buf *certificate, struct buf *key)
{
    enum { DAY_S = 86400 };
    EVP_PKEY *pkey = EVP_EC_gen("P-256");
    X509 *x509 = X509_new();
    X509_NAME *subject = X509_NAME_new();
    BIO *certificate_bio = BIO_new(BIO_s_mem()), *key_bio = BIO_new(BIO_s_mem());

    must(pkey && x509 && subject && certificate_bio && key_bio &&
             ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) == 1 &&
             X509_gmtime_adj(X509_getm_notBefore(x509), -DAY_S) &&
             X509_gmtime_adj(X509_getm_notAfter(x509), 10 * DAY_S) &&
             X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                        (const unsigned char *)name, -1, -1, 0) == 1 &&
             X509_set_subject_name(x509, subject) == 1 &&
             X509_set_issuer_name(x509, subject) == 1 &&
             X509_set_pubkey(x509, pkey) == 1 && X509_sign(x509, pkey, EVP_sha256()) > 0,
         "X.509");
    must(PEM_write_bio_X509(certificate_bio, x509) == 1 &&
             PEM_write_bio_PrivateKey(key_bio, pkey, NULL, NULL, 0, NULL, NULL) == 1,
         "PEM");
    put_pem(certificate_bio, certificate);
    put_pem(key_bio, key);
    X509_NAME_free(subject);
    X509_free(x509);
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
    must(cipher != NULL, "AES-256-GCM");
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
    must(ok, "AES-256-GCM");
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
    must(ctx != NULL, "AES-256-GCM");
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

/* --- certificates --- */

static X509 *read_certificate(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *x509 = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return x509;
}

/* A key under a passphrase is not read: nobody is there to ask. */
static int no_passphrase(char *text, int size, int is_writing, void *user)
{
    (void)text, (void)size, (void)is_writing, (void)user;
    return -1;
}

static EVP_PKEY *read_private_key(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    return key;
}

bool crypto_certificate_fits(const char *certificate, const char *key, uint64_t now_us,
                             char *error, size_t error_size)
{
    X509 *x509 = read_certificate(certificate);
    EVP_PKEY *pkey = read_private_key(key);
    time_t now = (time_t)(now_us / 1000000);
    const char *why = NULL;
    if (!x509)
        why = "the certificate is not one in PEM";
    else if (!pkey)
        why = "the key is not one in PEM without a passphrase";
    else if (X509_check_private_key(x509, pkey) != 1)
        why = "the key is not the certificate's";
    else if (X509_cmp_time(X509_get0_notAfter(x509), &now) != 1) /* 0: it is no time */
        why = "the certificate has ended";
    else if (X509_cmp_time(X509_get0_notBefore(x509), &now) != -1)
        why = "the certificate is not valid yet";
    if (why)
        snprintf(error, error_size, "%s", why);
    X509_free(x509);
    EVP_PKEY_free(pkey);
    ERR_clear_error();
    return why == NULL;
}

/* --- certificates of others --- */

enum { CHAIN_MAX = 8, RSA_BITS_MIN = 2048 };

/* All certificates of a text; the first is the leaf. */
static STACK_OF(X509) * read_certificates(const char *text, size_t n)
{
    STACK_OF(X509) *all = sk_X509_new_null();
    BIO *bio = n <= INT_MAX ? BIO_new_mem_buf(text, (int)n) : NULL;
    X509 *one;
    must(all != NULL, "X.509");
    while (bio && sk_X509_num(all) < CHAIN_MAX &&
           (one = PEM_read_bio_X509(bio, NULL, NULL, NULL)))
        sk_X509_push(all, one);
    BIO_free(bio);
    return all;
}

const char *crypto_distrust(long verdict)
{
    return X509_verify_cert_error_string(verdict);
}

static const char *chain_fault(X509 *leaf, STACK_OF(X509) * all,
                               const struct crypto_trust *trust)
{
    const char *why = NULL;
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    must(store && ctx, "X.509");
    if ((trust->ca_file ? X509_STORE_load_file(store, trust->ca_file)
                        : X509_STORE_set_default_paths(store)) != 1)
        why = "the trusted certificates cannot be read";
    if (!why) {
        must(X509_STORE_CTX_init(ctx, store, leaf, all) == 1, "X.509");
        X509_STORE_CTX_set_time(ctx, 0, (time_t)(trust->now_us / 1000000));
        if (X509_verify_cert(ctx) != 1)
            why = crypto_distrust(X509_STORE_CTX_get_error(ctx));
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(store);
    return why;
}

/* The last common name counts, which is the most specific one. */
static bool has_name(X509 *x509, const char *suffix)
{
    X509_NAME *subject = X509_get_subject_name(x509);
    int at = -1, last = -1;
    unsigned char *text = NULL;
    while ((at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0)
        last = at;
    X509_NAME_ENTRY *entry = last < 0 ? NULL : X509_NAME_get_entry(subject, last);
    int n = entry ? ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(entry)) : -1;
    size_t len = strlen(suffix);
    bool fits = n > 0 && (size_t)n > len && !memchr(text, 0, (size_t)n) &&
                !memcmp(text + (size_t)n - len, suffix, len);
    OPENSSL_free(text);
    return fits;
}

static const char *certificate_fault(X509 *leaf, STACK_OF(X509) * all,
                                     const struct crypto_trust *trust)
{
    time_t now = (time_t)(trust->now_us / 1000000);
    EVP_PKEY *pkey = leaf ? X509_get0_pubkey(leaf) : NULL;
    if (!pkey)
        return "there is no certificate in PEM";
    if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA ||
        EVP_PKEY_get_bits(pkey) < RSA_BITS_MIN)
        return "its key is not one of RSA with 2048 bits at least";
    if (X509_cmp_time(X509_get0_notAfter(leaf), &now) != 1) /* 0: it is no time */
        return "it has ended";
    if (X509_cmp_time(X509_get0_notBefore(leaf), &now) != -1)
        return "it is not valid yet";
    if (trust->name_suffix && !has_name(leaf, trust->name_suffix))
        return "it is issued to another name";
    return trust->needs_chain ? chain_fault(leaf, all, trust) : NULL;
}

static uint64_t end_of(X509 *x509)
{
    struct tm tm;
    time_t at =
        ASN1_TIME_to_tm(X509_get0_notAfter(x509), &tm) == 1 ? timegm(&tm) : (time_t)0;
    return at > 0 ? (uint64_t)at * 1000000 : 0;
}

bool crypto_certificate_key(const char *text, size_t n, const struct crypto_trust *trust,
                            struct buf *ret_key, uint64_t *ret_until_us, char *error,
                            size_t error_size)
{
    STACK_OF(X509) *all = read_certificates(text, n);
    X509 *leaf = sk_X509_value(all, 0);
    const char *why = certificate_fault(leaf, all, trust);
    if (why) {
        snprintf(error, error_size, "%s", why);
    } else {
        unsigned char *der = NULL;
        int len = i2d_PUBKEY(X509_get0_pubkey(leaf), &der);
        must(len > 0, "X.509");
        buf_add(ret_key, der, (size_t)len);
        OPENSSL_free(der);
        *ret_until_us = end_of(leaf);
    }
    sk_X509_pop_free(all, X509_free);
    ERR_clear_error();
    return why == NULL;
}
