/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The certificates of crypto.h: our own, and those of others. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "lib/base/buf.h"
#include "lib/http/crypto.h"
#include "lib/http/must.h"

/* --- our own --- */

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
    crypto_must(all != NULL, "X.509");
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
    crypto_must(store && ctx, "X.509");
    if ((trust->ca_file ? X509_STORE_load_file(store, trust->ca_file)
                        : X509_STORE_set_default_paths(store)) != 1)
        why = "the trusted certificates cannot be read";
    if (!why) {
        crypto_must(X509_STORE_CTX_init(ctx, store, leaf, all) == 1, "X.509");
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
        crypto_must(len > 0, "X.509");
        buf_add(ret_key, der, (size_t)len);
        OPENSSL_free(der);
        *ret_until_us = end_of(leaf);
    }
    sk_X509_pop_free(all, X509_free);
    ERR_clear_error();
    return why == NULL;
}

/* --- one made on the spot --- */

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

    crypto_must(
        pkey && x509 && subject && certificate_bio && key_bio &&
            ASN1_INTEGER_set(X509_get_serialNumber(x509), 1) == 1 &&
            X509_gmtime_adj(X509_getm_notBefore(x509), -DAY_S) &&
            X509_gmtime_adj(X509_getm_notAfter(x509), 10 * DAY_S) &&
            X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                       (const unsigned char *)name, -1, -1, 0) == 1 &&
            X509_set_subject_name(x509, subject) == 1 &&
            X509_set_issuer_name(x509, subject) == 1 &&
            X509_set_pubkey(x509, pkey) == 1 && X509_sign(x509, pkey, EVP_sha256()) > 0,
        "X.509");
    crypto_must(PEM_write_bio_X509(certificate_bio, x509) == 1 &&
                    PEM_write_bio_PrivateKey(key_bio, pkey, NULL, NULL, 0, NULL, NULL) ==
                        1,
                "PEM");
    put_pem(certificate_bio, certificate);
    put_pem(key_bio, key);
    X509_NAME_free(subject);
    X509_free(x509);
    EVP_PKEY_free(pkey);
}
