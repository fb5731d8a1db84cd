/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Standard Webhooks with a pair of keys (v1a): what the private half signed, and nothing
 * else; above all nothing that was made with the public half, which anybody may have. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/scheme.h"
#include "gateway/scheme_explain.h"
#include "gateway/scheme_key.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

#define NOW  1750000000
#define TIME "1750000000"
#define ID   "msg_1"
#define BODY "{\"id\":\"1\",\"type\":\"thing.done\"}"

static const uint8_t seed[CRYPTO_ED25519_SIZE] = "a seed of the tests, 32 bytes..",
                     other_seed[CRYPTO_ED25519_SIZE] = "another seed of the tests, 32 b";
#define SHARED       "whsec_c2lnbmFsYm94IHNpZ25hbGJveCBzaWdu"
#define SHARED_BYTES "signalbox signalbox sign"

static const struct crypto_part signed_bytes[] = {{ID "." TIME ".", sizeof(ID "." TIME)},
                                                  {BODY, sizeof(BODY) - 1}};

/* A label and the signature of a pair in base64. */
static void add_pairs(const char *label, const uint8_t of[CRYPTO_ED25519_SIZE],
                      struct buf *out)
{
    uint8_t signature[CRYPTO_ED25519_SIGNATURE_SIZE];
    crypto_ed25519_sign(of, signed_bytes, 2, signature);
    buf_format(out, "%s%s,", out->len ? " " : "", label);
    text_base64(signature, sizeof(signature), out);
}

static void add_mac(const char *label, const void *key, size_t n, struct buf *out)
{
    uint8_t mac[CRYPTO_SHA256_SIZE];
    crypto_hmac_sha256(key, n, signed_bytes, 2, mac);
    buf_format(out, "%s%s,", out->len ? " " : "", label);
    text_base64(mac, sizeof(mac), out);
}

static char *public_text(const uint8_t of[CRYPTO_ED25519_SIZE])
{
    uint8_t key[CRYPTO_ED25519_SIZE];
    struct buf text = BUF_NULL;
    crypto_ed25519_public(of, key);
    buf_text(&text, "whpk_");
    text_base64(key, sizeof(key), &text);
    char *copy = strdup(buf_str(&text));
    buf_fini(&text);
    return copy;
}

static struct scheme_verdict verify(const char *const *secrets, const char *header)
{
    const struct scheme *row = scheme_find("standard-webhooks");
    struct scheme_key keys[4] = {0};
    size_t n = 0;
    for (; secrets[n]; n++)
        assert_true(scheme_key_init(&keys[n], row, secrets[n]));
    struct scheme_input input = {.signature = header,
                                 .time = TIME,
                                 .id = ID,
                                 .body = BODY,
                                 .body_len = strlen(BODY)};
    struct scheme_verdict verdict;
    scheme_verify(row, keys, n, 0, NOW, &input, &verdict);
    for (size_t i = 0; i < n; i++)
        scheme_key_fini(&keys[i]);
    return verdict;
}

static void what_the_private_half_signed_passes_with_the_public_one(void **state)
{
    (void)state;
    _free_ char *ours = public_text(seed), *other = public_text(other_seed);
    struct buf header = BUF_NULL;
    add_pairs("v1a", seed, &header);
    assert_int_equal(verify((const char *[]){ours, NULL}, buf_str(&header)).result,
                     SCHEME_OK);
    struct scheme_verdict v =
        verify((const char *[]){other, SHARED, ours, NULL}, buf_str(&header));
    assert_int_equal(v.result, SCHEME_OK);
    assert_int_equal(v.key, 2);
    assert_int_equal(verify((const char *[]){other, NULL}, buf_str(&header)).result,
                     SCHEME_MISMATCH);
    buf_fini(&header);
}

/* While a sender changes from a secret to a pair it sends both; either key will do. */
static void a_header_may_have_signatures_of_both_kinds(void **state)
{
    (void)state;
    _free_ char *ours = public_text(seed);
    struct buf header = BUF_NULL;
    add_mac("v1", SHARED_BYTES, strlen(SHARED_BYTES), &header);
    add_pairs("v1a", other_seed, &header);
    add_pairs("v1a", seed, &header);
    assert_int_equal(verify((const char *[]){ours, NULL}, buf_str(&header)).key, 0);
    assert_int_equal(verify((const char *[]){SHARED, NULL}, buf_str(&header)).key, 0);
    assert_int_equal(verify((const char *[]){ours, NULL}, buf_str(&header)).signatures,
                     3);
    buf_fini(&header);
}

static void nobody_signs_with_the_public_half(void **state)
{
    (void)state;
    uint8_t key[CRYPTO_ED25519_SIZE];
    _free_ char *ours = public_text(seed);
    static const char *const labels[] = {"v1", "v1a"};
    crypto_ed25519_public(seed, key);
    for (size_t i = 0; i < 2; i++) {
        struct buf header = BUF_NULL;
        add_mac(labels[i], key, sizeof(key), &header);
        add_mac(labels[i], ours, strlen(ours), &header);
        add_mac(labels[i], ours + 5, strlen(ours) - 5, &header);
        add_mac(labels[i], "", 0, &header);
        assert_int_equal(
            verify((const char *[]){ours, SHARED, NULL}, buf_str(&header)).result,
            SCHEME_MISMATCH);
        buf_fini(&header);
    }
}

static void a_signature_under_the_other_label_counts_for_nothing(void **state)
{
    (void)state;
    _free_ char *ours = public_text(seed);
    const char *secrets[] = {ours, SHARED, NULL};
    struct buf header = BUF_NULL;
    add_pairs("v1", seed, &header);
    add_mac("v1a", SHARED_BYTES, strlen(SHARED_BYTES), &header);
    assert_int_equal(verify(secrets, buf_str(&header)).result, SCHEME_MISMATCH);
    static const char *const labels[] = {"v1A", "v1b", "v1aa", "v2a", "1a", ""};
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
        buf_clear(&header);
        add_pairs(labels[i], seed, &header);
        assert_int_equal(verify(secrets, buf_str(&header)).result, SCHEME_MALFORMED);
    }
    buf_fini(&header);
}

static void no_flipped_bit_of_the_header_is_accepted(void **state)
{
    (void)state;
    _free_ char *ours = public_text(seed);
    const char *secrets[] = {ours, NULL};
    struct buf header = BUF_NULL;
    add_pairs("v1a", seed, &header);
    assert_int_equal(verify(secrets, buf_str(&header)).result, SCHEME_OK);
    for (size_t bit = 0; bit < header.len * 8; bit++) {
        header.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (verify(secrets, buf_str(&header)).result == SCHEME_OK)
            fail_msg("bit %zu", bit);
        header.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_fini(&header);
}

static void the_operator_learns_that_the_other_kind_of_key_is_missing(void **state)
{
    (void)state;
    char why[256];
    _free_ char *ours = public_text(seed);
    struct buf header = BUF_NULL;
    add_pairs("v1a", seed, &header);
    struct scheme_verdict v = verify((const char *[]){SHARED, NULL}, buf_str(&header));
    assert_true(v.is_other_kind);
    scheme_explain(scheme_find("standard-webhooks"), &v, 1, 812, why, sizeof(why));
    assert_non_null(strstr(why, "whpk_"));
    assert_null(strstr(why, ours + 5));
    assert_false(verify((const char *[]){SHARED, ours, NULL}, "v1,AAAA").is_other_kind);
    buf_fini(&header);
}

static void a_public_key_is_one_or_refused(void **state)
{
    (void)state;
    _free_ char *ours = public_text(seed);
    struct scheme_key key;
    static const char *const bad[][2] = {
        {"standard-webhooks", "whpk_"},
        {"standard-webhooks", "whpk_c2hvcnQ="},
        {"standard-webhooks", "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
        {"standard-webhooks", "whsk_c2lnbmFsYm94"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (scheme_key_init(&key, scheme_find(bad[i][0]), bad[i][1]))
            fail_msg("%s takes %s", bad[i][0], bad[i][1]);
    static const char *const without[] = {"svix", "openai", "anthropic", "resend"};
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++)
        if (scheme_key_init(&key, scheme_find(without[i]), ours))
            fail_msg("%s takes a public key", without[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_private_half_signed_passes_with_the_public_one),
        cmocka_unit_test(a_header_may_have_signatures_of_both_kinds),
        cmocka_unit_test(nobody_signs_with_the_public_half),
        cmocka_unit_test(a_signature_under_the_other_label_counts_for_nothing),
        cmocka_unit_test(no_flipped_bit_of_the_header_is_accepted),
        cmocka_unit_test(the_operator_learns_that_the_other_kind_of_key_is_missing),
        cmocka_unit_test(a_public_key_is_one_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
