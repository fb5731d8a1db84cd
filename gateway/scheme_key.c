/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/scheme_key.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/scheme.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

static const char secret_prefix[] = "whsec_", public_prefix[] = "whpk_";

/* What stands behind the prefix; NULL when the secret begins otherwise. */
static const char *behind(const char *secret, const char *prefix)
{
    size_t n = strlen(prefix);
    return strncmp(secret, prefix, n) == 0 ? secret + n : NULL;
}

static bool read_base64(const char *text, struct buf *out)
{
    return text_parse_base64(text, strlen(text), out);
}

static bool read_text(const char *secret, struct buf *out)
{
    buf_text(out, secret);
    return true;
}

static bool read_hex(const char *secret, struct buf *out)
{
    return text_parse_hex(secret, strlen(secret), out);
}

static bool read_whsec(const char *secret, struct buf *out)
{
    const char *rest = behind(secret, secret_prefix);
    return read_base64(rest ? rest : secret, out);
}

/* Anybody may know a public key: as a text it would be no secret. */
static bool read_whsec_or_text(const char *secret, struct buf *out)
{
    const char *rest = behind(secret, secret_prefix);
    if (rest)
        return read_base64(rest, out);
    return !behind(secret, public_prefix) && read_text(secret, out);
}

static bool read_p256(const char *secret, struct buf *out)
{
    return read_base64(secret, out) && crypto_is_p256_key(out->bytes, out->len);
}

static bool read_public(const char *secret, struct buf *out)
{
    return read_base64(secret, out) && crypto_is_ed25519_key(out->bytes, out->len);
}

static bool (*const forms[])(const char *secret, struct buf *out) = {
    [KEY_TEXT] = read_text,
    [KEY_WHSEC_BASE64] = read_whsec,
    [KEY_WHSEC_OR_TEXT] = read_whsec_or_text,
    [KEY_P256] = read_p256,
    [KEY_HEX] = read_hex,
    [KEY_BASE64] = read_base64,
};

bool scheme_key_init(struct scheme_key *key, const struct scheme *scheme,
                     const char *secret)
{
    struct buf bytes = BUF_NULL;
    const char *public = scheme->public_label ? behind(secret, public_prefix) : NULL;
    bool good = public ? read_public(public, &bytes) : forms[scheme->key](secret, &bytes);
    good = good && bytes.len > 0;
    if (good)
        *key = (struct scheme_key){mem_copy(bytes.bytes, bytes.len), bytes.len,
                                   public != NULL};
    crypto_wipe(bytes.bytes, bytes.len);
    buf_fini(&bytes);
    return good;
}

const char *scheme_key_form(const struct scheme *scheme)
{
    static const char *const words[] = {
        [KEY_TEXT] = "a text",
        [KEY_WHSEC_BASE64] = "whsec_ and base64",
        [KEY_WHSEC_OR_TEXT] = "whsec_ and base64, or a text without that beginning",
        [KEY_P256] = "a public key of P-256 in base64, without the lines BEGIN and END",
        [KEY_HEX] = "hexadecimal digits",
        [KEY_BASE64] = "base64",
    };
    return scheme->public_label ? "whsec_ and base64, or whpk_ and a public key"
                                : words[scheme->key];
}

void scheme_key_fini(struct scheme_key *key)
{
    crypto_wipe(key->bytes, key->len);
    free(key->bytes);
    *key = (struct scheme_key){0};
}
