/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/standard.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"
#include "sandbox/provider.h"

const struct standard_names standard_names = {
    .signature = "webhook-signature", .id = "webhook-id", .time = "webhook-timestamp"};

void standard_sign(const struct provider_signing *signing,
                   const struct standard_names *names, struct provider_headers *ret)
{
    _free_ char *head =
        mem_format("%s.%llu.", signing->event_id, (unsigned long long)signing->now_s);
    struct crypto_part parts[] = {{head, strlen(head)}, {signing->body, signing->len}};
    const char *secret = strncmp(signing->secret, "whsec_", 6) == 0 ? signing->secret + 6
                                                                    : signing->secret;
    struct buf key = BUF_NULL, text = BUF_NULL;
    uint8_t mac[CRYPTO_SHA256_SIZE];

    (void)text_parse_base64(secret, strlen(secret), &key); /* else the gateway refuses */
    crypto_hmac_sha256(key.bytes, key.len, parts, 2, mac);
    text_base64(mac, sizeof(mac), &text);
    provider_header(ret, names->signature, "v1,%s", buf_str(&text));
    provider_header(ret, names->id, "%s", signing->event_id);
    provider_header(ret, names->time, "%llu", (unsigned long long)signing->now_s);
    buf_fini(&key);
    buf_fini(&text);
}
