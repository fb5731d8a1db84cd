/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/sign.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

static const char prefix[] = "whsec_";

static bool read_key(const char *secret, struct buf *key)
{
    size_t n = sizeof(prefix) - 1;

    return strncmp(secret, prefix, n) == 0 &&
           text_parse_base64(secret + n, strlen(secret + n), key) &&
           key->len >= SIGN_KEY_MIN && key->len <= SIGN_KEY_MAX;
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
    bool is_one = read_key(secret, &key);

    wipe(&key);
    return is_one;
}

void sign_add(const char *secret, const char *id, uint64_t timestamp_s, const void *body,
              size_t n, struct buf *out)
{
    struct buf key = BUF_NULL;
    char timestamp[24];
    uint8_t mac[CRYPTO_SHA256_SIZE];

    if (!read_key(secret, &key)) {
        wipe(&key);
        return;
    }
    snprintf(timestamp, sizeof(timestamp), "%" PRIu64, timestamp_s);
    const struct crypto_part parts[] = {
        {id, strlen(id)}, {".", 1}, {timestamp, strlen(timestamp)}, {".", 1}, {body, n}};
    crypto_hmac_sha256(key.bytes, key.len, parts, sizeof(parts) / sizeof(parts[0]), mac);
    buf_text(out, out->len ? " v1," : "v1,");
    text_base64(mac, sizeof(mac), out);
    wipe(&key);
}
