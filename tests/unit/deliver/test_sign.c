/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "deliver/sign.h"
#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"

/* The example of the specification and of its libraries. */
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static void the_specifications_example_is_signed_as_it_says(void **state)
{
    (void)state;
    static const char body[] = "{\"test\": 2432232314}";
    struct buf out = BUF_NULL;

    sign_add(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, strlen(body),
             &out);
    assert_string_equal(buf_str(&out), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    sign_add("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
             "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body, strlen(body), &out);
    const char *second = strchr(buf_str(&out), ' ');
    assert_non_null(second);
    assert_int_equal(strncmp(second, " v1,", 4), 0);
    assert_int_equal(out.len, 2 * 47 + 1);
    buf_fini(&out);
}

/* The pair of RFC 8032, section 7.1, test 2. */
#define PAIR                                                                             \
    "whsk_"                                                                              \
    "TM0Imyj/"                                                                           \
    "ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs9QBfD6EOJWpK3CqdNG368nJgszy7ElozAzVXxKvRmDA="    \
    "="

static void a_pair_signs_what_its_public_half_verifies(void **state)
{
    (void)state;
    static const char id[] = "msg_1", body[] = "{\"test\": 2432232314}";
    static const char text[] = "msg_1.1614265330.{\"test\": 2432232314}";
    struct buf out = BUF_NULL, pair = BUF_NULL, signature = BUF_NULL;
    const struct crypto_part part = {text, strlen(text)};

    sign_add(SECRET, id, 1614265330, body, strlen(body), &out);
    sign_add(PAIR, id, 1614265330, body, strlen(body), &out);
    const char *second = strchr(buf_str(&out), ' ');
    assert_non_null(second);
    assert_int_equal(strncmp(second, " v1a,", 5), 0);
    assert_true(text_parse_base64(second + 5, strlen(second + 5), &signature));
    assert_true(text_parse_base64(&PAIR[5], strlen(&PAIR[5]), &pair));
    assert_true(crypto_ed25519_verify(pair.bytes + 32, 32, &part, 1, signature.bytes,
                                      signature.len));
    buf_fini(&out);
    buf_fini(&pair);
    buf_fini(&signature);
}

static void only_keys_of_the_right_size_are_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *secret;
        int is_one;
    } cases[] = {
        {SECRET, 1},                                               /* 24 bytes */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 1}, /* 32 */
        {"whsec_"
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAAAAA==",
         1}, /* 64 */
        {"whsec_"
         "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAAAAAAA=",
         0},                                           /* 65 */
        {"whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0}, /* 23 */
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", 0},
        {"whsec_", 0},
        {PAIR, 1},
        {"whsk_TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs=", 0}, /* the seed alone */
        {"whsk_"
         "TM0Imyj/"
         "ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs9QBfD6EOJWpK3CqdNG368nJgszy7ElozAzVXx"
         "KvRmDQ==",
         0}, /* another public key */
        {"whpk_PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=", 0},
        {"", 0},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (sign_is_secret(cases[i].secret) != cases[i].is_one)
            fail_msg("case %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_specifications_example_is_signed_as_it_says),
        cmocka_unit_test(a_pair_signs_what_its_public_half_verifies),
        cmocka_unit_test(only_keys_of_the_right_size_are_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
