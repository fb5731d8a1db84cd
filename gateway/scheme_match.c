/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme_match.h"

#include <string.h>

#include "gateway/scheme_header.h"
#include "gateway/scheme_key.h"
#include "gateway/scheme_signed.h"
#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

/* One question: this key, these signatures, these bytes. */
struct question {
    const struct scheme *scheme;
    const struct scheme_input *input;
    const struct scheme_given *given;
    const struct scheme_key *key;
    struct crypto_part parts[SCHEME_PIECES_MAX];
    size_t n_parts;
};

/* A public key is compared with signatures of its own label only, a secret with those of
 * the other: else whoever knows the public key could sign with it as with a secret. */
static bool is_of_kind(const struct question *q, unsigned signature)
{
    return q->given->signatures[signature].is_public == q->key->is_public;
}

/* --- a secret that both have --- */

static bool is_text(struct scheme_span given, const struct buf *text)
{
    return given.len == text->len && crypto_equal(given.text, text->bytes, text->len);
}

typedef void (*mac_fn)(const void *key, size_t key_len, const struct crypto_part *parts,
                       size_t n_parts, uint8_t *ret_mac);

/* Compared as text, so that there is one spelling only; every signature is compared, in
 * time that does not depend on where it differs. */
static bool matches_mac(const struct question *q, mac_fn make, size_t size)
{
    uint8_t mac[CRYPTO_SHA512_SIZE];
    struct buf text = BUF_NULL;
    bool found = false;
    make(q->key->bytes, q->key->len, q->parts, q->n_parts, mac);
    if (q->scheme->encoding == ENCODING_HEX)
        text_hex(mac, size, &text);
    else
        text_base64(mac, size, &text);
    for (unsigned i = 0; i < q->given->n_signatures; i++)
        if (is_of_kind(q, i) && is_text(q->given->signatures[i].text, &text))
            found = true;
    buf_fini(&text);
    return found;
}

static bool matches_sha256(const struct question *q)
{
    return matches_mac(q, crypto_hmac_sha256, CRYPTO_SHA256_SIZE);
}

static bool matches_sha1(const struct question *q)
{
    return matches_mac(q, crypto_hmac_sha1, CRYPTO_SHA1_SIZE);
}

static bool matches_sha512(const struct question *q)
{
    return matches_mac(q, crypto_hmac_sha512, CRYPTO_SHA512_SIZE);
}

/* The name and the password in base64, compared by their hashes, so that the time tells
 * nothing of them. */
static bool matches_password(const struct question *q)
{
    struct scheme_span given = q->given->signatures[0].text;
    struct buf text = BUF_NULL;
    uint8_t ours[CRYPTO_SHA256_SIZE], theirs[CRYPTO_SHA256_SIZE];
    text_base64(q->key->bytes, q->key->len, &text);
    crypto_sha256(text.bytes, text.len, ours);
    crypto_sha256(given.text, given.len, theirs);
    crypto_wipe(text.bytes, text.len);
    buf_fini(&text);
    return crypto_equal(ours, theirs, sizeof(ours));
}

/* --- a public key --- */

typedef bool (*fits_fn)(const struct question *q, const struct buf *signature);

static bool fits_ed25519(const struct question *q, const struct buf *signature)
{
    return crypto_ed25519_verify(q->key->bytes, q->key->len, q->parts, q->n_parts,
                                 signature->bytes, signature->len);
}

static bool fits_ecdsa(const struct question *q, const struct buf *signature)
{
    return crypto_p256_verify(q->key->bytes, q->key->len, q->parts, q->n_parts,
                              signature->bytes, signature->len);
}

static bool fits_certificate(const struct question *q, bool is_sha1,
                             const struct buf *signature)
{
    return crypto_rsa_verify(q->input->certificate, q->input->certificate_len, is_sha1,
                             q->parts, q->n_parts, signature->bytes, signature->len);
}

static bool fits_rsa(const struct question *q, const struct buf *signature)
{
    return fits_certificate(q, /* is_sha1= */ false, signature);
}

static bool fits_sns(const struct question *q, const struct buf *signature)
{
    return fits_certificate(q, strcmp(q->input->algorithm, "1") == 0, signature);
}

/* base64 has one spelling here: bits behind the last byte must be zero (text.h). */
static bool matches_public(const struct question *q, fits_fn fits)
{
    bool found = false;
    for (unsigned i = 0; i < q->given->n_signatures && !found; i++) {
        struct scheme_span text = q->given->signatures[i].text;
        struct buf signature = BUF_NULL;
        found = is_of_kind(q, i) && text_parse_base64(text.text, text.len, &signature) &&
                fits(q, &signature);
        buf_fini(&signature);
    }
    return found;
}

static bool matches_ed25519(const struct question *q)
{
    return matches_public(q, fits_ed25519);
}

static bool matches_ecdsa(const struct question *q)
{
    return matches_public(q, fits_ecdsa);
}

static bool matches_rsa(const struct question *q)
{
    return matches_public(q, fits_rsa);
}

static bool matches_sns(const struct question *q)
{
    return matches_public(q, fits_sns);
}

/* --- every key, every address --- */

static bool (*const algorithms[])(const struct question *q) = {
    [ALGORITHM_HMAC_SHA256] = matches_sha256, [ALGORITHM_HMAC_SHA1] = matches_sha1,
    [ALGORITHM_HMAC_SHA512] = matches_sha512, [ALGORITHM_ECDSA_P256] = matches_ecdsa,
    [ALGORITHM_RSA_SHA256] = matches_rsa,     [ALGORITHM_RSA_SNS] = matches_sns,
    [ALGORITHM_ED25519] = matches_ed25519,    [ALGORITHM_PASSWORD] = matches_password,
};

static bool is_key_of(const struct scheme_key *key, const char *topic)
{
    return key->bytes && (!topic || (strlen(topic) == key->len &&
                                     memcmp(topic, key->bytes, key->len) == 0));
}

static bool fits(const struct scheme_signed *s, const struct scheme_key *key,
                 const char *url)
{
    struct question q = {
        .scheme = s->scheme, .input = s->input, .given = s->given, .key = key};
    q.n_parts = scheme_signed_parts(s, key, url, q.parts);
    return algorithms[key->is_public ? ALGORITHM_ED25519 : s->scheme->algorithm](&q);
}

int scheme_match(const struct scheme_signed *s, const struct scheme_key *keys,
                 size_t n_keys, const char *topic)
{
    const char *const *urls = s->input->urls;
    for (size_t k = 0; k < n_keys; k++)
        if (is_key_of(&keys[k], topic))
            for (size_t u = 0; u == 0 || (u < SCHEME_URLS_MAX && urls[u]); u++)
                if (fits(s, &keys[k], urls[u]))
                    return (int)k;
    return -1;
}
