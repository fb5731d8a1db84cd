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

static bool read_secret(enum scheme_key_form form, const char *secret, struct buf *out)
{
    bool has_prefix = !strncmp(secret, "whsec_", 6);
    if (form == KEY_TEXT || (form == KEY_WHSEC_OR_TEXT && !has_prefix)) {
        buf_text(out, secret);
        return true;
    }
    if (form == KEY_HEX)
        return text_parse_hex(secret, strlen(secret), out);
    if ((form == KEY_WHSEC_BASE64 || form == KEY_WHSEC_OR_TEXT) && has_prefix)
        secret += 6;
    return text_parse_base64(secret, strlen(secret), out) &&
           (form != KEY_P256 || crypto_is_p256_key(out->bytes, out->len));
}

bool scheme_key_init(struct scheme_key *key, const struct scheme *scheme,
                     const char *secret)
{
    struct buf bytes = {0};
    bool good = read_secret(scheme->key, secret, &bytes) && bytes.len > 0;
    if (good)
        *key = (struct scheme_key){mem_copy(bytes.bytes, bytes.len), bytes.len};
    crypto_wipe(bytes.bytes, bytes.len);
    buf_fini(&bytes);
    return good;
}

void scheme_key_fini(struct scheme_key *key)
{
    crypto_wipe(key->bytes, key->len);
    free(key->bytes);
    *key = (struct scheme_key){0};
}
