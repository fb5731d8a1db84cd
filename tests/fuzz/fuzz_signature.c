/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/scheme.h"
#include "gateway/scheme_explain.h"
#include "gateway/scheme_key.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char secret[] = "whsec_test_secret";

/* The same question asked naively: the last t, and one v1 that is its signature. */
static bool is_signed(const char *header, const void *body, size_t body_len)
{
    char *copy = mem_text(header), *rest = copy, *item, *time = NULL;
    bool found = false;
    struct buf hex = BUF_NULL;
    uint8_t mac[32];
    while ((item = strsep(&rest, ",")))
        if (!strncmp(item, "t=", 2))
            time = item + 2;
    struct crypto_part parts[] = {
        {time, time ? strlen(time) : 0}, {".", 1}, {body, body_len}};
    crypto_hmac_sha256(secret, strlen(secret), parts, 3, mac);
    buf_text(&hex, "v1=");
    text_hex(mac, sizeof(mac), &hex);
    char *again = mem_text(header);
    rest = again;
    while (time && (item = strsep(&rest, ",")))
        found |= !strcmp(item, buf_str(&hex));
    free(copy);
    free(again);
    buf_fini(&hex);
    return found;
}

/* Input: the header's value, a line feed, the body. What is accepted is signed by the
 * secret. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const uint8_t *end = memchr(data, '\n', n);
    size_t header_len = end ? (size_t)(end - data) : n;
    char *header = mem_copy(data, header_len);
    struct scheme_input input = {.signature = header,
                                 .body = end ? end + 1 : data,
                                 .body_len = end ? n - header_len - 1 : 0};
    struct scheme_key key;
    struct scheme_verdict verdict;
    char why[256];
    const struct scheme *stripe = scheme_find("stripe");
    if (!scheme_key_init(&key, stripe, secret))
        abort();
    scheme_verify(stripe, &key, 1, 0, 1750000000, &input, &verdict);
    scheme_explain(&verdict, 1, input.body_len, why, sizeof(why));
    if (verdict.result == SCHEME_OK && !is_signed(header, input.body, input.body_len))
        abort();
    scheme_key_fini(&key);
    free(header);
    return 0;
}
