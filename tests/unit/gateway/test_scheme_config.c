/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Rows that stand in the configuration, and those that are taken although they sign too
 * little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/scheme.h"
#include "gateway/scheme_config.h"
#include "gateway/scheme_key.h"
#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW          UINT64_C(1750000000)
#define BODY         "{\"n\":1}"

static struct config *config_of(const char *row)
{
    struct buf text = {0}, errors = {0};
    buf_format(&text,
               "gateway: { public_url: https://hooks.example.com }\n"
               "integrations:\n  shop:\n    webhooks:\n"
               "      - { path: a, scheme: hmac, secrets: [vault:h], hmac: { "
               "signature_header: S, event_id: id, event_type: type, %s } }\n",
               row);
    struct config *config =
        config_parse("/x/signalbox.yaml", buf_str(&text), text.len, &errors);
    if (!config)
        fail_msg("%s", buf_str(&errors));
    buf_fini(&text);
    buf_fini(&errors);
    return config;
}

typedef void (*mac_fn)(const void *key, size_t key_len, const struct crypto_part *parts,
                       size_t n_parts, uint8_t *ret_mac);

static void sign(mac_fn mac, size_t size, const char *key, size_t key_len,
                 const char *text, bool is_base64, struct buf *out)
{
    uint8_t bytes[CRYPTO_SHA512_SIZE];
    struct crypto_part part = {text, strlen(text)};
    mac(key, key_len, &part, 1, bytes);
    if (is_base64)
        text_base64(bytes, size, out);
    else
        text_hex(bytes, size, out);
}

static const struct row {
    const char *yaml, *secret, *key, *header_start, *time, *id, *signed_text;
    mac_fn mac;
    size_t size;
    bool is_base64;
} rows[] = {
    {"signed: \"{body}\"", "s3", "s3", "", .signed_text = BODY, .mac = crypto_hmac_sha256,
     .size = 32},
    {"signed: \"{body}\", hash: sha512, encoding: base64", "s3", "s3", "",
     .signed_text = BODY, .mac = crypto_hmac_sha512, .size = 64, .is_base64 = true},
    {"signed: \"{body}\", hash: sha1, form: prefix, label: sha1", "s3", "s3",
     "sha1=", .signed_text = BODY, .mac = crypto_hmac_sha1, .size = 20},
    {"signed: \"{time}.{body}\", form: pairs, label: v1, time_label: ts", "s3", "s3",
     "ts=1750000000,v1=", .signed_text = "1750000000." BODY, .mac = crypto_hmac_sha256,
     .size = 32},
    {"signed: \"{id}.{time}.{body}\", form: spaced, label: v1, key: whsec, encoding: "
     "base64, time_header: T, id_header: I",
     "whsec_c2lnbmFsYm94", "signalbox", "v1,", "1750000000", "msg_1",
     "msg_1.1750000000." BODY, crypto_hmac_sha256, 32, true},
    {"signed: \"{method}:{url}:{time}:{body}\", time_header: T, time_unit: ms, key: hex",
     "00ff", "\0\xff", "", "1750000000999",
     .signed_text = "POST:https://hooks.example.com/webhooks/a:1750000000999:" BODY,
     .mac = crypto_hmac_sha256, .size = 32},
    {"signed: \"{time} {body}\", time_header: T, time_unit: date, key: base64",
     "AP8=", "\0\xff", "", "2025-06-15T15:06:40Z",
     .signed_text = "2025-06-15T15:06:40Z " BODY, .mac = crypto_hmac_sha256, .size = 32},
};

static enum scheme_result verify(const struct scheme *row, const char *secret,
                                 const struct scheme_input *input, uint64_t now_s)
{
    struct scheme_key key;
    struct scheme_verdict verdict;
    assert_true(scheme_key_init(&key, row, secret));
    scheme_verify(row, &key, 1, 0, now_s, input, &verdict);
    scheme_key_fini(&key);
    return verdict.result;
}

static void try_row(const struct row *row)
{
    struct config *config = config_of(row->yaml);
    struct scheme scheme = scheme_of_config(&config->integrations[0].webhooks[0].hmac);
    struct buf header = {0};
    char body[] = BODY;
    buf_text(&header, row->header_start);
    sign(row->mac, row->size, row->key, row->key[0] ? strlen(row->key) : 2,
         row->signed_text, row->is_base64, &header);
    struct scheme_input input = {.signature = buf_str(&header),
                                 .time = row->time,
                                 .id = row->id,
                                 .method = "POST",
                                 .urls = {"https://hooks.example.com/webhooks/a"},
                                 .body = body,
                                 .body_len = strlen(body)};
    if (verify(&scheme, row->secret, &input, NOW) != SCHEME_OK)
        fail_msg("refused: %s", row->yaml);
    bool has_time = strstr(row->yaml, "{time}") != NULL;
    assert_int_equal(verify(&scheme, row->secret, &input, NOW + 302),
                     has_time ? SCHEME_STALE : SCHEME_OK);
    assert_int_equal(verify(&scheme, row->secret, &input, NOW - 301),
                     has_time ? SCHEME_FUTURE : SCHEME_OK);
    for (size_t bit = 0; bit < input.body_len * 8; bit++) {
        body[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(verify(&scheme, row->secret, &input, NOW), SCHEME_MISMATCH);
        body[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < header.len * 8; bit++) {
        header.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_not_equal(verify(&scheme, row->secret, &input, NOW), SCHEME_OK);
        header.bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(verify(&scheme, row->secret, &input, NOW), SCHEME_OK);
    buf_fini(&header);
    config_free(config);
}

static void a_row_of_the_configuration_verifies_what_it_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        try_row(&rows[i]);
}

static void secrets_must_have_the_rows_form(void **state)
{
    (void)state;
    static const struct {
        const char *key, *secret;
    } bad[] = {{"hex", "0"},         {"hex", "xy"}, {"base64", "AP8"},
               {"whsec", "whsec_?"}, {"hex", ""},   {"text", ""}};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct buf yaml = {0};
        struct scheme_key key;
        buf_format(&yaml, "signed: \"{body}\", key: %s", bad[i].key);
        struct config *config = config_of(buf_str(&yaml));
        struct scheme scheme =
            scheme_of_config(&config->integrations[0].webhooks[0].hmac);
        if (scheme_key_init(&key, &scheme, bad[i].secret))
            fail_msg("%s is taken as %s", bad[i].secret, bad[i].key);
        config_free(config);
        buf_fini(&yaml);
    }
}

/* --- weak ones --- */

#define MAILGUN(token, signature, event)                                                 \
    "{\"signature\":{\"timestamp\":\"1750000000\",\"token\":\"" token                    \
    "\",\"signature\":\"" signature "\"},\"event-data\":{\"event\":\"" event "\"}}"

static void mailguns_token_and_time_are_signed_and_no_more(void **state)
{
    (void)state;
    struct buf mac = {0}, body = {0};
    sign(crypto_hmac_sha256, 32, "key", 3, "1750000000abc", false, &mac);
    const struct {
        const char *claim, *token, *event, *secret;
        uint64_t now_s;
        enum scheme_result result;
    } cases[] = {
        {"as it was signed", "abc", "opened", "key", NOW, SCHEME_OK},
        {"weak: another event", "abc", "clicked", "key", NOW, SCHEME_OK},
        {"another token", "abd", "opened", "key", NOW, SCHEME_MISMATCH},
        {"another secret", "abc", "opened", "kez", NOW, SCHEME_MISMATCH},
        {"half a day old", "abc", "opened", "key", NOW + 12 * 3600 + 1, SCHEME_STALE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        buf_clear(&body);
        buf_format(&body, MAILGUN("%s", "%s", "%s"), cases[i].token, buf_str(&mac),
                   cases[i].event);
        struct scheme_input input = {.body = buf_str(&body), .body_len = body.len};
        if (verify(scheme_find("mailgun"), cases[i].secret, &input, cases[i].now_s) !=
            cases[i].result)
            fail_msg("%s", cases[i].claim);
    }
    static const char *const none[] = {"",
                                       "[]",
                                       "{}",
                                       "{\"signature\":1}",
                                       ("{\"signature\":{\"timestamp\":1750000000,"
                                        "\"token\":\"abc\",\"signature\":\"x\"}}"),
                                       "{\"signature\":{\"token\":\"abc\"}}"};
    for (size_t i = 0; i < COUNT(none); i++) {
        struct scheme_input input = {.body = none[i], .body_len = strlen(none[i])};
        assert_int_not_equal(verify(scheme_find("mailgun"), "key", &input, NOW),
                             SCHEME_OK);
    }
    buf_fini(&mac);
    buf_fini(&body);
}

static void postmarks_password_is_the_whole_proof(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        enum scheme_result result;
    } cases[] = {
        {"Basic aG9vazpwYXNz", SCHEME_OK}, /* hook:pass */
        {"basic  aG9vazpwYXNz", SCHEME_OK},
        {"Basic aG9vazpwYXNzMg==", SCHEME_MISMATCH},
        {"Basic aG9vazpwYXNy", SCHEME_MISMATCH},
        {"Basic aG9vazpwYXN", SCHEME_MISMATCH},
        {"Basic hook:pass", SCHEME_MISMATCH},
        {"Basic ", SCHEME_MALFORMED},
        {"Bearer aG9vazpwYXNz", SCHEME_MALFORMED},
        {"aG9vazpwYXNz", SCHEME_MALFORMED},
        {"", SCHEME_MALFORMED},
        {NULL, SCHEME_NO_HEADER},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct scheme_input input = {
            .signature = cases[i].header, .body = BODY, .body_len = strlen(BODY)};
        enum scheme_result result =
            verify(scheme_find("postmark"), "hook:pass", &input, NOW);
        if (result != cases[i].result)
            fail_msg("%s: %d", cases[i].header, (int)result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_of_the_configuration_verifies_what_it_says),
        cmocka_unit_test(secrets_must_have_the_rows_form),
        cmocka_unit_test(mailguns_token_and_time_are_signed_and_no_more),
        cmocka_unit_test(postmarks_password_is_the_whole_proof),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
