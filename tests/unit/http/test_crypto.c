/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

static void assert_hex(const uint8_t *bytes, size_t n, const char *hex)
{
    struct buf text = {0};
    text_hex(bytes, n, &text);
    assert_string_equal(buf_str(&text), hex);
    buf_fini(&text);
}

static void sha256_of_abc_is_fips_180(void **state)
{
    (void)state;
    uint8_t hash[32];
    crypto_sha256("abc", 3, hash);
    assert_hex(hash, 32,
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256("", 0, hash);
    assert_hex(hash, 32,
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void hmac_matches_rfc_4231(void **state)
{
    (void)state;
    uint8_t mac[32], key[131];
    memset(key, 0x0b, 20);
    struct crypto_part hi = {"Hi There", 8};
    crypto_hmac_sha256(key, 20, &hi, 1, mac);
    assert_hex(mac, 32,
               "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    struct crypto_part parts[] = {{"what do ya want ", 16}, {"for nothing?", 12}};
    crypto_hmac_sha256("Jefe", 4, parts, 2, mac);
    assert_hex(mac, 32,
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof(key));
    struct crypto_part large = {"Test Using Larger Than Block-Size Key - Hash Key First",
                                54};
    crypto_hmac_sha256(key, sizeof(key), &large, 1, mac);
    assert_hex(mac, 32,
               "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

static void empty_key_is_not_the_key_before(void **state)
{
    (void)state;
    uint8_t first[32], second[32];
    struct crypto_part part = {"x", 1};
    crypto_hmac_sha256("secret", 6, &part, 1, first);
    crypto_hmac_sha256(NULL, 0, &part, 1, second);
    assert_memory_not_equal(first, second, 32);
    crypto_hmac_sha256("", 0, NULL, 0, second);
    assert_hex(second, 32,
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void equal_sees_every_byte(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};
    assert_true(crypto_equal(a, b, 32));
    for (size_t i = 0; i < 32; i++) {
        b[i] = 1;
        assert_false(crypto_equal(a, b, 32));
        b[i] = 0;
    }
}

static void sealed_opens_only_unchanged(void **state)
{
    (void)state;
    uint8_t key[32] = {7}, sealed[11 + CRYPTO_SEALED_EXTRA], plain[11] = {0};
    crypto_seal(key, "name", 4, "hello world", 11, sealed);
    assert_true(crypto_open(key, "name", 4, sealed, sizeof(sealed), plain));
    assert_memory_equal(plain, "hello world", 11);
    assert_false(crypto_open(key, "nome", 4, sealed, sizeof(sealed), plain));
    assert_false(crypto_open(key, "name", 4, sealed, sizeof(sealed) - 1, plain));
    assert_false(crypto_open(key, "name", 4, sealed, CRYPTO_SEALED_EXTRA - 1, plain));
    for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(crypto_open(key, "name", 4, sealed, sizeof(sealed), plain));
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    key[31] ^= 1;
    assert_false(crypto_open(key, "name", 4, sealed, sizeof(sealed), plain));
}

static void failed_open_leaves_no_plain_text(void **state)
{
    (void)state;
    uint8_t key[32] = {7}, sealed[11 + CRYPTO_SEALED_EXTRA], plain[11] = {0},
            zero[11] = {0};
    crypto_seal(key, NULL, 0, "hello world", 11, sealed);
    sealed[sizeof(sealed) - 1] ^= 1;
    assert_false(crypto_open(key, NULL, 0, sealed, sizeof(sealed), plain));
    assert_memory_equal(plain, zero, 11);
}

static void nothing_can_be_sealed(void **state)
{
    (void)state;
    uint8_t key[32] = {7}, sealed[CRYPTO_SEALED_EXTRA], plain[1];
    crypto_seal(key, NULL, 0, NULL, 0, sealed);
    assert_true(crypto_open(key, NULL, 0, sealed, sizeof(sealed), plain));
}

static void a_pair_made_from_a_seed_signs_what_its_public_half_verifies(void **state)
{
    (void)state;
    const uint8_t seed[32] = {1}, other[32] = {2};
    uint8_t most[32];
    const struct crypto_part parts[] = {{"a", 1}, {"bc", 2}}, altered = {"abd", 3};
    struct buf key = {0}, again = {0}, signature = {0}, strange = {0};

    memset(most, 0xff, sizeof(most));
    crypto_p256_public(seed, &key);
    crypto_p256_public(seed, &again);
    crypto_p256_public(other, &strange);
    assert_true(crypto_is_p256_key(key.bytes, key.len));
    assert_memory_equal(key.bytes, again.bytes, key.len);
    crypto_p256_sign(seed, parts, 2, &signature);
    assert_true(
        crypto_p256_verify(key.bytes, key.len, parts, 2, signature.bytes, signature.len));
    assert_false(crypto_p256_verify(key.bytes, key.len, &altered, 1, signature.bytes,
                                    signature.len));
    assert_false(crypto_p256_verify(strange.bytes, strange.len, parts, 2, signature.bytes,
                                    signature.len));
    buf_clear(&key);
    crypto_p256_public(most, &key); /* over the order: taken modulo it */
    assert_true(crypto_is_p256_key(key.bytes, key.len));
    buf_fini(&key);
    buf_fini(&again);
    buf_fini(&signature);
    buf_fini(&strange);
}

static void a_certificate_of_ones_own_fits_its_key(void **state)
{
    (void)state;
    struct buf certificate = {0}, key = {0}, other = {0}, other_key = {0};
    uint64_t now_us = (uint64_t)time(NULL) * 1000000;
    char error[100];

    crypto_self_signed("x.example", &certificate, &key);
    crypto_self_signed("x.example", &other, &other_key);
    assert_true(crypto_certificate_fits(buf_str(&certificate), buf_str(&key), now_us,
                                        error, sizeof(error)));
    assert_false(crypto_certificate_fits(buf_str(&certificate), buf_str(&other_key),
                                         now_us, error, sizeof(error)));
    buf_fini(&certificate);
    buf_fini(&key);
    buf_fini(&other);
    buf_fini(&other_key);
}

static void wiped_is_zero(void **state)
{
    (void)state;
    char secret[] = "whsec_test", zero[sizeof(secret)] = {0};
    crypto_wipe(secret, sizeof(secret));
    assert_memory_equal(secret, zero, sizeof(secret));
    crypto_wipe(NULL, 0);
}

/* RFC 8032, section 7.1, tests 1 and 3: seed, public key, message,
 * signature. */
static const struct {
    const char *seed, *key, *message, *signature;
} ed25519[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e"
     "39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67"
     "f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
};

static void unhex(const char *hex, struct buf *out)
{
    assert_true(text_parse_hex(hex, strlen(hex), out));
}

static void ed25519_is_that_of_rfc_8032(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(ed25519) / sizeof(ed25519[0]); i++) {
        struct buf seed = BUF_NULL, message = BUF_NULL;
        uint8_t key[CRYPTO_ED25519_SIZE], signature[CRYPTO_ED25519_SIGNATURE_SIZE];
        unhex(ed25519[i].seed, &seed);
        unhex(ed25519[i].message, &message);
        const void *half = message.len ? message.bytes + message.len / 2 : NULL;
        struct crypto_part parts[] = {{message.bytes, message.len / 2},
                                      {half, message.len - message.len / 2}};
        crypto_ed25519_public(seed.bytes, key);
        assert_hex(key, sizeof(key), ed25519[i].key);
        crypto_ed25519_sign(seed.bytes, parts, 2, signature);
        assert_hex(signature, sizeof(signature), ed25519[i].signature);
        assert_true(crypto_is_ed25519_key(key, sizeof(key)));
        assert_true(crypto_ed25519_verify(key, sizeof(key), parts, 2, signature, 64));
        assert_false(crypto_ed25519_verify(key, sizeof(key), parts, 2, signature, 63));
        assert_false(crypto_ed25519_verify(key, 31, parts, 2, signature, 64));
        for (size_t bit = 0; bit < 512; bit++) {
            signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_false(
                crypto_ed25519_verify(key, sizeof(key), parts, 2, signature, 64));
            signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        buf_fini(&seed);
        buf_fini(&message);
    }
}

/* The points whose order is 1, 2, 4 or 8, also in the spellings that are over the prime
 * (RFC 7748 and 8032 have the numbers). */
static void keys_under_which_anybody_can_sign_are_none(void **state)
{
    (void)state;
    static const char *const weak[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    };
    for (size_t i = 0; i < sizeof(weak) / sizeof(weak[0]); i++) {
        struct buf key = BUF_NULL;
        unhex(weak[i], &key);
        if (crypto_is_ed25519_key(key.bytes, key.len))
            fail_msg("taken: %s", weak[i]);
        buf_fini(&key);
    }
    assert_false(crypto_is_ed25519_key("short", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_of_abc_is_fips_180),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(empty_key_is_not_the_key_before),
        cmocka_unit_test(equal_sees_every_byte),
        cmocka_unit_test(sealed_opens_only_unchanged),
        cmocka_unit_test(failed_open_leaves_no_plain_text),
        cmocka_unit_test(nothing_can_be_sealed),
        cmocka_unit_test(a_pair_made_from_a_seed_signs_what_its_public_half_verifies),
        cmocka_unit_test(a_certificate_of_ones_own_fits_its_key),
        cmocka_unit_test(ed25519_is_that_of_rfc_8032),
        cmocka_unit_test(keys_under_which_anybody_can_sign_are_none),
        cmocka_unit_test(wiped_is_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
