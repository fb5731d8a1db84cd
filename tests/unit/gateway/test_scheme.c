/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/scheme.h"
#include "gateway/scheme_explain.h"
#include "gateway/scheme_key.h"
#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

#define BODY   "{\"id\":\"evt_test_webhook\",\"object\":\"event\"}"
#define SECRET "whsec_test_secret"
#define OTHER  "whsec_other"
#define NOW    1750000000
/* By another implementation of HMAC. */
#define V1       "8cd65f39dbf095b84ca0b0432cce8b3dd0274a3efb9dc977961a0d28a3138912"
#define V1_OTHER "86a61c08f70561a3dbe165767821ff0d50553d86487a4b699ea41686e955bbb4"

static struct scheme_verdict verify_with(const struct scheme *row,
                                         const char *const *secrets, const char *header,
                                         const char *body, size_t body_len,
                                         uint64_t now_s)
{
    struct scheme_key keys[SCHEME_KEYS_MAX] = {0};
    size_t n = 0;
    for (; secrets[n]; n++)
        assert_true(scheme_key_init(&keys[n], row, secrets[n]));
    struct scheme_input input = {.signature = header, .body = body, .body_len = body_len};
    struct scheme_verdict verdict;
    scheme_verify(row, keys, n, 0, now_s, &input, &verdict);
    for (size_t i = 0; i < n; i++)
        scheme_key_fini(&keys[i]);
    return verdict;
}

static enum scheme_result stripe(const char *header, uint64_t now_s)
{
    const char *secrets[] = {SECRET, NULL};
    return verify_with(scheme_find("stripe"), secrets, header, BODY, strlen(BODY), now_s)
        .result;
}

static void genuine_header_passes(void **state)
{
    (void)state;
    assert_int_equal(stripe("t=1750000000,v1=" V1, NOW), SCHEME_OK);
    assert_int_equal(stripe("v1=" V1 ",t=1750000000", NOW), SCHEME_OK);
    assert_int_equal(stripe("t=1750000000,v1=" V1 ",v0=" V1_OTHER, NOW), SCHEME_OK);
    assert_int_equal(stripe("t=1750000000,v1=" V1_OTHER ",v1=" V1, NOW), SCHEME_OK);
    assert_int_equal(stripe("t=1,t=1750000000,v1=" V1, NOW), SCHEME_OK);
}

static void tolerance_is_for_the_past_only(void **state)
{
    (void)state;
    const char *header = "t=1750000000,v1=" V1;
    assert_int_equal(stripe(header, NOW + 300), SCHEME_OK);
    assert_int_equal(stripe(header, NOW + 301), SCHEME_STALE);
    assert_int_equal(stripe(header, NOW - 100000), SCHEME_OK);
}

static void tolerance_can_be_set(void **state)
{
    (void)state;
    const struct scheme *row = scheme_find("stripe");
    struct scheme_key key;
    assert_true(scheme_key_init(&key, row, SECRET));
    struct scheme_input input = {
        .signature = "t=1750000000,v1=" V1, .body = BODY, .body_len = strlen(BODY)};
    struct scheme_verdict verdict;
    scheme_verify(row, &key, 1, 10, NOW + 11, &input, &verdict);
    assert_int_equal(verdict.result, SCHEME_STALE);
    scheme_verify(row, &key, 1, 600, NOW + 600, &input, &verdict);
    assert_int_equal(verdict.result, SCHEME_OK);
    scheme_key_fini(&key);
}

static const struct {
    const char *name, *header;
} forgeries[] = {
    {"no header", NULL},
    {"empty", ""},
    {"commas only", ",,,,"},
    {"no signature", "t=1750000000"},
    {"no time", "v1=" V1},
    {"empty signature", "t=1750000000,v1="},
    {"empty time", "t=,v1=" V1},
    {"v0 only", "t=1750000000,v0=" V1},
    {"v2 only", "t=1750000000,v2=" V1},
    {"label in upper case", "t=1750000000,V1=" V1},
    {"time's label in upper case", "T=1750000000,v1=" V1},
    {"cut signature",
     "t=1750000000,v1=8cd65f39dbf095b84ca0b0432cce8b3dd0274a3efb9dc977961a0d28a31389"},
    {"longer signature", "t=1750000000,v1=" V1 "00"},
    {"upper-case hex",
     "t=1750000000,v1=8CD65F39DBF095B84CA0B0432CCE8B3DD0274A3EFB9DC977961A0D28A3138912"},
    {"other secret's", "t=1750000000,v1=" V1_OTHER},
    {"other time", "t=1750000001,v1=" V1},
    {"last time is another", "t=1750000000,t=1750000001,v1=" V1},
    {"time with sign", "t=+1750000000,v1=" V1},
    {"time with fraction", "t=1750000000.0,v1=" V1},
    {"time with zero before", "t=01750000000,v1=" V1},
    {"time in hex", "t=0x684ee180,v1=" V1},
    {"time too long", "t=99999999999999999999,v1=" V1},
    {"negative time", "t=-1,v1=" V1},
    {"space before label", "t=1750000000, v1=" V1},
    {"space behind signature", "t=1750000000,v1=" V1 " "},
    {"semicolons", "t=1750000000;v1=" V1},
    {"colon", "t=1750000000,v1:" V1},
    {"scheme none", "t=1750000000,none="},
    {"algorithm named", "t=1750000000,alg=none,v1="},
    {"base64", "t=1750000000,v1=dGhpcyBpcyBub3QgYSBzaWduYXR1cmU="},
    {"zeros",
     "t=1750000000,v1=0000000000000000000000000000000000000000000000000000000000000000"},
    {"seventeen signatures", "t=1750000000,v1=a,v1=a,v1=a,v1=a,v1=a,v1=a,v1=a,v1=a,v1=a,"
                             "v1=a,v1=a,v1=a,v1=a,v1=a,v1=a,v1=a,v1=" V1},
};

static void forgeries_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++)
        if (stripe(forgeries[i].header, NOW) == SCHEME_OK)
            fail_msg("accepted: %s", forgeries[i].name);
}

static void overlong_header_is_refused(void **state)
{
    (void)state;
    struct buf header = {0};
    buf_text(&header, "t=1750000000,v1=" V1 ",v0=");
    memset(buf_add(&header, NULL, SCHEME_HEADER_MAX), 'a', SCHEME_HEADER_MAX);
    assert_int_equal(stripe(buf_str(&header), NOW), SCHEME_MALFORMED);
    buf_fini(&header);
}

static void header_sent_twice_is_refused(void **state)
{
    (void)state;
    const struct scheme *row = scheme_find("stripe");
    struct scheme_key key;
    assert_true(scheme_key_init(&key, row, SECRET));
    struct scheme_input input = {.signature = "t=1750000000,v1=" V1,
                                 .repeats = 1,
                                 .body = BODY,
                                 .body_len = strlen(BODY)};
    struct scheme_verdict verdict;
    scheme_verify(row, &key, 1, 0, NOW, &input, &verdict);
    assert_int_equal(verdict.result, SCHEME_REPEATED);
    scheme_key_fini(&key);
}

static void every_secret_of_the_list_counts(void **state)
{
    (void)state;
    const char *secrets[] = {"whsec_new", OTHER, SECRET, NULL};
    struct scheme_verdict v = verify_with(scheme_find("stripe"), secrets,
                                          "t=1750000000,v1=" V1, BODY, strlen(BODY), NOW);
    assert_int_equal(v.result, SCHEME_OK);
    assert_int_equal(v.key, 2);
    v = verify_with(scheme_find("stripe"), (const char *[]){"whsec_new", NULL},
                    "t=1750000000,v1=" V1, BODY, strlen(BODY), NOW);
    assert_int_equal(v.result, SCHEME_MISMATCH);
}

static void other_bodies_are_refused(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "",
        "{\"id\":\"evt_test_webhook\",\"object\":\"event\"} ",
        " {\"id\":\"evt_test_webhook\",\"object\":\"event\"}",
        "{\"id\": \"evt_test_webhook\", \"object\": \"event\"}",
        "{\"object\":\"event\",\"id\":\"evt_test_webhook\"}",
        "{\"id\":\"evt_test_webhook\",\"object\":\"event\"",
        "{\"id\":\"evt_test_webhook\",\"object\":\"event\"}\n",
    };
    const char *secrets[] = {SECRET, NULL};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_int_equal(verify_with(scheme_find("stripe"), secrets,
                                     "t=1750000000,v1=" V1, bodies[i], strlen(bodies[i]),
                                     NOW)
                             .result,
                         SCHEME_MISMATCH);
}

static void sign_stripe(const char *body, size_t n, char ret_header[128])
{
    uint8_t mac[32];
    struct crypto_part parts[] = {{"1750000000.", 11}, {body, n}};
    crypto_hmac_sha256(SECRET, strlen(SECRET), parts, 2, mac);
    struct buf hex = {0};
    text_hex(mac, sizeof(mac), &hex);
    snprintf(ret_header, 128, "t=1750000000,v1=%s", buf_str(&hex));
    buf_fini(&hex);
}

static void no_flipped_bit_is_accepted(void **state)
{
    (void)state;
    enum { BODY_LEN = 2048 };
    char body[BODY_LEN], header[128];
    for (size_t i = 0; i < BODY_LEN; i++)
        body[i] = (char)('a' + i % 26);
    sign_stripe(body, BODY_LEN, header);
    const char *secrets[] = {SECRET, NULL};
    const struct scheme *row = scheme_find("stripe");
    assert_int_equal(verify_with(row, secrets, header, body, BODY_LEN, NOW).result,
                     SCHEME_OK);
    unsigned accepted = 0, tried = 0;
    for (size_t bit = 0; bit < BODY_LEN * 8; bit++, tried++) {
        body[bit / 8] = (char)(body[bit / 8] ^ (1 << bit % 8));
        accepted +=
            verify_with(row, secrets, header, body, BODY_LEN, NOW).result == SCHEME_OK;
        body[bit / 8] = (char)(body[bit / 8] ^ (1 << bit % 8));
    }
    for (size_t bit = 0, n = strlen(header) * 8; bit < n; bit++, tried++) {
        header[bit / 8] = (char)(header[bit / 8] ^ (1 << bit % 8));
        accepted +=
            verify_with(row, secrets, header, body, BODY_LEN, NOW).result == SCHEME_OK;
        header[bit / 8] = (char)(header[bit / 8] ^ (1 << bit % 8));
    }
    assert_true(tried > 16384 + 600);
    assert_int_equal(accepted, 0);
}

/* Further providers are further rows: these three verify the vectors that the providers
 * publish. */
static void other_hmac_schemes_are_only_rows(void **state)
{
    (void)state;
    const struct scheme github = {.name = "github",
                                  .signature_header = "X-Hub-Signature-256",
                                  .syntax = SYNTAX_PREFIX,
                                  .label = "sha256",
                                  .signed_bytes = "{body}"};
    assert_int_equal(
        verify_with(
            &github, (const char *[]){"It's a Secret to Everybody", NULL},
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            "Hello, World!", 13, 0)
            .result,
        SCHEME_OK);
    const struct scheme webhooks = {.name = "standard-webhooks",
                                    .signature_header = "webhook-signature",
                                    .syntax = SYNTAX_SPACED,
                                    .label = "v1",
                                    .time_header = "webhook-timestamp",
                                    .id_header = "webhook-id",
                                    .signed_bytes = "{id}.{time}.{body}",
                                    .encoding = ENCODING_BASE64,
                                    .key = KEY_WHSEC_BASE64,
                                    .past_s = 300,
                                    .future_s = 300};
    struct scheme_key key;
    assert_true(
        scheme_key_init(&key, &webhooks, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    struct scheme_input input = {
        .signature = "v1,bm90IHRoaXM= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        .time = "1614265330",
        .id = "msg_p5jXN8AQM9LWM0D4loKWxJek",
        .body = "{\"test\": 2432232314}",
        .body_len = 20};
    struct scheme_verdict verdict;
    scheme_verify(&webhooks, &key, 1, 0, 1614265330, &input, &verdict);
    assert_int_equal(verdict.result, SCHEME_OK);
    scheme_verify(&webhooks, &key, 1, 0, 1614265330 - 301, &input, &verdict);
    assert_int_equal(verdict.result, SCHEME_FUTURE);
    input.id = NULL;
    scheme_verify(&webhooks, &key, 1, 0, 1614265330, &input, &verdict);
    assert_int_equal(verdict.result, SCHEME_NO_HEADER);
    scheme_key_fini(&key);
    assert_false(scheme_key_init(&key, &webhooks, "whsec_not base64"));
    const struct scheme slack = {.name = "slack",
                                 .signature_header = "X-Slack-Signature",
                                 .syntax = SYNTAX_PREFIX,
                                 .label = "v0",
                                 .time_header = "X-Slack-Request-Timestamp",
                                 .signed_bytes = "v0:{time}:{body}",
                                 .past_s = 300};
    const char *body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain="
                       "testteamnow&channel_id=G8PSS9T3V&channel_name="
                       "foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"
                       "collect&text=&response_url=https%3A%2F%2F"
                       "hooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%"
                       "2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015."
                       "47445629121.803a0bc887a14d10d2c447fce8b6703c";
    assert_true(scheme_key_init(&key, &slack, "8f742231b10e8888abcd99yyyzzz85a5"));
    input = (struct scheme_input){
        .signature =
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        .time = "1531420618",
        .body = body,
        .body_len = strlen(body)};
    scheme_verify(&slack, &key, 1, 0, 1531420618, &input, &verdict);
    assert_int_equal(verdict.result, SCHEME_OK);
    scheme_key_fini(&key);
}

static bool covers_the_body(const char *signed_bytes)
{
    static const char *const ways[] = {"{body}", "{params}", "{crc32}", "{fields}"};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        if (strstr(signed_bytes, ways[i]))
            return true;
    return false;
}

static void rows_sign_the_body_and_have_the_configurations_names(void **state)
{
    (void)state;
#define SCHEME(identifier, name, signs_url, is_weak) {name, signs_url, is_weak},
    static const struct {
        const char *name;
        bool signs_url, is_weak;
    } known[] = {
#include "lib/config/schemes.def"
    };
#undef SCHEME
    size_t n = 0;
    for (const struct scheme *row = scheme_rows(); row->name; row++, n++) {
        assert_true(n < sizeof(known) / sizeof(known[0]));
        assert_string_equal(row->name, known[n].name);
        assert_int_equal(strstr(row->signed_bytes, "{url}") != NULL, known[n].signs_url);
        assert_int_equal(row->is_weak, known[n].is_weak);
        assert_true(row->is_weak || covers_the_body(row->signed_bytes));
        assert_true(row->signature_header && row->event_id && row->event_type);
        assert_ptr_equal(scheme_find(row->name), row);
    }
    assert_int_equal(n, sizeof(known) / sizeof(known[0]));
    assert_null(scheme_find("none"));
    assert_null(scheme_find(""));
}

static void empty_secret_is_no_key(void **state)
{
    (void)state;
    struct scheme_key key;
    assert_false(scheme_key_init(&key, scheme_find("stripe"), ""));
}

static void explained(const char *row, const struct scheme_verdict *v, const char *words)
{
    char why[256];
    scheme_explain(scheme_find(row), v, 2, 812, why, sizeof(why));
    assert_string_equal(why, words);
}

/* What is left of a secret that was none: it must not count as the empty key. */
static void a_key_without_bytes_fits_nothing(void **state)
{
    (void)state;
    uint8_t mac[CRYPTO_SHA256_SIZE];
    struct buf header = {0};
    struct crypto_part parts[] = {{"1750000000.", 11}, {BODY, strlen(BODY)}};
    crypto_hmac_sha256("", 0, parts, 2, mac);
    buf_text(&header, "t=1750000000,v1=");
    text_hex(mac, sizeof(mac), &header);
    const struct scheme_key none[2] = {0};
    struct scheme_input input = {
        .signature = buf_str(&header), .body = BODY, .body_len = strlen(BODY)};
    struct scheme_verdict verdict;
    scheme_verify(scheme_find("stripe"), none, 2, 0, NOW, &input, &verdict);
    assert_int_equal(verdict.result, SCHEME_MISMATCH);
    buf_fini(&header);
}

static void operator_is_told_what_is_known_and_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *row, *words;
        struct scheme_verdict verdict;
    } cases[] = {
        {"stripe",
         "matches none of 2 secrets; time ok; 812 bytes: wrong secret, test and live "
         "mixed, or a proxy changed the body",
         {.result = SCHEME_MISMATCH, .key = -1, .has_time = true}},
        {"stripe",
         "matches none of 2 secrets; time 4000 s off; 812 bytes: wrong secret, test and "
         "live mixed, or a proxy changed the body",
         {.result = SCHEME_MISMATCH,
          .key = -1,
          .has_time = true,
          .is_late = true,
          .age_s = 4000}},
        {"twilio",
         "matches none of 2 secrets; no time signed; 812 bytes: wrong secret, test and "
         "live mixed, or a proxy changed the body; or gateway.public_url is not the "
         "address the provider calls",
         {.result = SCHEME_MISMATCH, .key = -1}},
        {"standard-webhooks",
         "matches none of 2 secrets, for it is signed with the other kind of key; 812 "
         "bytes: add the sender's public key (whpk_...) to `secrets`",
         {.result = SCHEME_MISMATCH,
          .key = -1,
          .is_other_kind = true,
          .signs_publicly = true}},
        {"stripe",
         "matches secret 1 of 2; signed 3600 s ago, 300 s are allowed; 812 bytes: "
         "replayed, held up on its way, or a clock is wrong (this one: see `date -u`)",
         {.result = SCHEME_STALE, .has_time = true, .age_s = 3600, .allowed_s = 300}},
        {"svix",
         "matches secret 2 of 2; signed 400 s ahead, 300 s are allowed; 812 bytes: "
         "replayed, held up on its way, or a clock is wrong (this one: see `date -u`)",
         {.result = SCHEME_FUTURE,
          .key = 1,
          .has_time = true,
          .age_s = -400,
          .allowed_s = 300}},
        {"stripe",
         "no Stripe-Signature; 812 bytes: not from the provider, another scheme, or a "
         "proxy removed it",
         {.result = SCHEME_NO_HEADER, .key = -1, .missing = "Stripe-Signature"}},
        {"mailgun",
         "no signature.token in the body; 812 bytes: not from the provider, another "
         "scheme, or a proxy removed it; the secret is the HTTP webhook signing key, not "
         "an API key",
         {.result = SCHEME_NO_HEADER, .key = -1, .missing = "signature.token"}},
        {"github",
         "the signature is not of the form of scheme github; 812 bytes: another "
         "provider's address, another scheme, or forged",
         {.result = SCHEME_MALFORMED, .key = -1}},
        {"twilio",
         "the body is none that scheme twilio signs; 812 bytes: another provider's "
         "address, another scheme, or a proxy changed it or its Content-Type",
         {.result = SCHEME_BODY, .key = -1}},
        {"slack",
         "a header of the signature came twice; 812 bytes: a proxy added one, or forged",
         {.result = SCHEME_REPEATED, .key = -1}},
        {"sns",
         "the certificate it names is not at an address of the provider; 812 bytes: "
         "forged",
         {.result = SCHEME_FOREIGN, .key = -1}},
        {"paypal",
         "the certificate it names cannot be had; 812 bytes: forged, or the provider is "
         "not reached from here: see CERTIFICATE_FAILED in the log, or give it in "
         "`certificates`",
         {.result = SCHEME_CERTIFICATE, .key = -1}},
        {"stripe", "verified with secret 2 of 2", {.result = SCHEME_OK, .key = 1}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        explained(cases[i].row, &cases[i].verdict, cases[i].words);
}

static void what_the_operator_is_told_is_never_secret_and_never_cut(void **state)
{
    (void)state;
    char why[256];
    const char *secrets[] = {"whsec_a", "whsec_b", NULL};
    static const char *const headers[] = {NULL, "", "t=1750000000,v1=00", "t=1,v1=00"};
    for (size_t i = 0; i < 4; i++) {
        struct scheme_verdict v = verify_with(scheme_find("stripe"), secrets, headers[i],
                                              BODY, strlen(BODY), NOW);
        scheme_explain(scheme_find("stripe"), &v, 2, 42, why, sizeof(why));
        assert_true(strlen(why) > 10);
        assert_null(strstr(why, "whsec"));
        assert_null(strstr(why, "evt_"));
    }
    for (const struct scheme *row = scheme_rows(); row->name; row++)
        for (int result = SCHEME_OK; result <= SCHEME_FUTURE; result++) {
            const struct scheme_verdict v = {.result = (enum scheme_result)result,
                                             .key = 15,
                                             .has_time = true,
                                             .is_late = true,
                                             .missing = row->signature_header,
                                             .age_s = INT32_MAX,
                                             .allowed_s = INT32_MAX};
            scheme_explain(row, &v, 16, 1 << 20, why, sizeof(why));
            assert_true(strlen(why) < sizeof(why) - 1);
        }
}

static void a_missing_header_is_named(void **state)
{
    (void)state;
    const char *secrets[] = {SECRET, NULL};
    struct scheme_verdict v =
        verify_with(scheme_find("slack"), secrets, NULL, BODY, strlen(BODY), NOW);
    assert_int_equal(v.result, SCHEME_NO_HEADER);
    assert_string_equal(v.missing, "X-Slack-Signature");
    v = verify_with(scheme_find("slack"), secrets, "v0=00", BODY, strlen(BODY), NOW);
    assert_string_equal(v.missing, "X-Slack-Request-Timestamp");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(genuine_header_passes),
        cmocka_unit_test(tolerance_is_for_the_past_only),
        cmocka_unit_test(tolerance_can_be_set),
        cmocka_unit_test(forgeries_are_refused),
        cmocka_unit_test(overlong_header_is_refused),
        cmocka_unit_test(header_sent_twice_is_refused),
        cmocka_unit_test(every_secret_of_the_list_counts),
        cmocka_unit_test(other_bodies_are_refused),
        cmocka_unit_test(no_flipped_bit_is_accepted),
        cmocka_unit_test(other_hmac_schemes_are_only_rows),
        cmocka_unit_test(rows_sign_the_body_and_have_the_configurations_names),
        cmocka_unit_test(empty_secret_is_no_key),
        cmocka_unit_test(a_key_without_bytes_fits_nothing),
        cmocka_unit_test(operator_is_told_what_is_known_and_what_to_do),
        cmocka_unit_test(what_the_operator_is_told_is_never_secret_and_never_cut),
        cmocka_unit_test(a_missing_header_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
