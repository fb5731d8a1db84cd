/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

enum { PAIR_SIZE = 2 * CRYPTO_ED25519_SIZE /* seed and public key */ };

/* --- the two kinds of key --- */

static bool is_shared(const struct buf *key)
{
    return key->len >= SIGN_KEY_MIN && key->len <= SIGN_KEY_MAX;
}

static void sign_shared(const uint8_t *key, size_t n, const struct crypto_part *parts,
                        size_t n_parts, struct buf *out)
{
    uint8_t mac[CRYPTO_SHA256_SIZE];

    crypto_hmac_sha256(key, n, parts, n_parts, mac);
    text_base64(mac, sizeof(mac), out);
}

/* A seed whose public half is another one's would sign what nobody can verify. */
static bool is_pair(const struct buf *key)
{
    uint8_t public[CRYPTO_ED25519_SIZE];

    if (key->len != PAIR_SIZE)
        return false;
    crypto_ed25519_public(key->bytes, public);
    return memcmp(public, key->bytes + CRYPTO_ED25519_SIZE, sizeof(public)) == 0;
}

static void sign_pair(const uint8_t *key, size_t n, const struct crypto_part *parts,
                      size_t n_parts, struct buf *out)
{
    uint8_t signature[CRYPTO_ED25519_SIGNATURE_SIZE];

    (void)n; /* is_pair has seen that it is all there */
    crypto_ed25519_sign(key, parts, n_parts, signature);
    text_base64(signature, sizeof(signature), out);
}

static const struct kind {
    const char *prefix, *label;
    bool (*is_one)(const struct buf *key);
    void (*sign)(const uint8_t *key, size_t n, const struct crypto_part *parts,
                 size_t n_parts, struct buf *out);
} kinds[] = {
    {"whsec_", "v1,", is_shared, sign_shared},
    {"whsk_", "v1a,", is_pair, sign_pair},
};

/* The kind of a secret and the key in it; NULL when it is none. */
static const struct kind *read_key(const char *secret, struct buf *key)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i].prefix);
        if (strncmp(secret, kinds[i].prefix, n) == 0 &&
            text_parse_base64(secret + n, strlen(secret + n), key) &&
            kinds[i].is_one(key))
            return &kinds[i];
    }
    return NULL;
}

static void wipe(struct buf *key)
{
    if (key->bytes)
        explicit_bzero(key->bytes, key->cap);
    buf_fini(key);
}

bool sign_is_secret(const char *secret)
{
    struct buf key = BUF_NULL;
    bool is_one = read_key(secret, &key) != NULL;

    wipe(&key);
    return is_one;
}

void sign_add(const char *secret, const char *id, uint64_t timestamp_s, const void *body,
              size_t n, struct buf *out)
{
    struct buf key = BUF_NULL;
    char timestamp[24];
    const struct kind *kind = read_key(secret, &key);

    if (kind) {
        snprintf(timestamp, sizeof(timestamp), "%" PRIu64, timestamp_s);
        const struct crypto_part parts[] = {{id, strlen(id)},
                                            {".", 1},
                                            {timestamp, strlen(timestamp)},
                                            {".", 1},
                                            {body, n}};
        buf_format(out, "%s%s", out->len ? " " : "", kind->label);
        kind->sign(key.bytes, key.len, parts, sizeof(parts) / sizeof(parts[0]), out);
    }
    wipe(&key);
}
