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

static void verify(const struct scheme *row, const struct scheme_key *keys, size_t n_keys,
                   const struct scheme_input *input, struct scheme_verdict *ret_verdict)
{
    char why[256];
    scheme_verify(row, keys, n_keys, 0, 1750000000, input, ret_verdict);
    scheme_explain(row, ret_verdict, n_keys, input->body_len, why, sizeof(why));
}

static void try_stripe(const struct scheme_input *input)
{
    struct scheme_key key;
    struct scheme_verdict verdict;
    const struct scheme *stripe = scheme_find("stripe");
    if (!scheme_key_init(&key, stripe, secret))
        abort();
    verify(stripe, &key, 1, input, &verdict);
    if (verdict.result == SCHEME_OK &&
        !is_signed(input->signature, input->body, input->body_len))
        abort();
    scheme_key_fini(&key);
}

/* --- Standard Webhooks, with a secret and with a pair: both labels in one header --- */

#define ID_AND_TIME "msg_1.1750000000."
static const char shared[] = "whsec_c2lnbmFsYm94IHNpZ25hbGJveCBzaWdu",
                  shared_bytes[] = "signalbox signalbox sign";
static const uint8_t seed[CRYPTO_ED25519_SIZE] = "a seed of the tests, 32 bytes..";

static bool has_item(const char *header, const char *label, const uint8_t *bytes,
                     size_t n)
{
    struct buf text = BUF_NULL;
    char *copy = mem_text(header), *rest = copy, *item;
    bool found = false;
    buf_text(&text, label);
    text_base64(bytes, n, &text);
    while ((item = strsep(&rest, " ")))
        found |= !strcmp(item, buf_str(&text));
    free(copy);
    buf_fini(&text);
    return found;
}

/* The same question asked naively: one of the two signatures, behind its own label. */
static bool is_signed_standard(const struct scheme_input *input)
{
    uint8_t mac[CRYPTO_SHA256_SIZE], signature[CRYPTO_ED25519_SIGNATURE_SIZE];
    struct crypto_part parts[] = {{ID_AND_TIME, strlen(ID_AND_TIME)},
                                  {input->body, input->body_len}};
    crypto_hmac_sha256(shared_bytes, strlen(shared_bytes), parts, 2, mac);
    crypto_ed25519_sign(seed, parts, 2, signature);
    return has_item(input->signature, "v1,", mac, sizeof(mac)) ||
           has_item(input->signature, "v1a,", signature, sizeof(signature));
}

/* Made once: that a public key is a good one takes some milliseconds to find out. */
static const struct scheme_key *standard_keys(const struct scheme *row)
{
    static struct scheme_key keys[2];
    struct buf public = BUF_NULL;
    uint8_t key[CRYPTO_ED25519_SIZE];
    if (keys[0].bytes)
        return keys;
    crypto_ed25519_public(seed, key);
    buf_text(&public, "whpk_");
    text_base64(key, sizeof(key), &public);
    if (!scheme_key_init(&keys[0], row, shared) ||
        !scheme_key_init(&keys[1], row, buf_str(&public)))
        abort();
    buf_fini(&public);
    return keys;
}

static void try_standard(struct scheme_input input)
{
    struct scheme_verdict verdict;
    const struct scheme *row = scheme_find("standard-webhooks");
    input.id = "msg_1";
    input.time = "1750000000";
    verify(row, standard_keys(row), 2, &input, &verdict);
    if (verdict.result == SCHEME_OK && !is_signed_standard(&input))
        abort();
}

/* Every other row with the header's text in all its headers and in the URL's query:
 * nothing falls over. */
static void try_rows(struct scheme_input input)
{
    input.time = input.id = input.certificate_url = input.algorithm = input.signature;
    input.method = "POST";
    _free_ char *url =
        mem_format("https://hooks.example.com/webhooks/x?%s", input.signature);
    input.urls[0] = url;
    input.is_form = true;
    for (const struct scheme *row = scheme_rows(); row->name; row++) {
        struct scheme_key key;
        struct scheme_verdict verdict;
        if (!scheme_key_init(&key, row, shared))
            continue; /* SendGrid's, which are public keys */
        verify(row, &key, 1, &input, &verdict);
        scheme_key_fini(&key);
    }
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
    try_stripe(&input);
    try_standard(input);
    try_rows(input);
    free(header);
    return 0;
}
