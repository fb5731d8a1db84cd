/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Secrets are covered however a service spells them, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/sdk/form.h"
#include "lib/sdk/veil.h"

#define KEY "sk_test_Zq7Kw2Xv9Lp4Rm"
#define ODD "p/w\"\\ with+all=of:\xc3\xa4/&%"

static char *covered(const char *secret, const char *text)
{
    struct veil veil = {0};
    char *out = mem_text(text);

    veil_add(&veil, secret);
    veil_cover(&veil, out, strlen(out));
    veil_fini(&veil);
    return out;
}

static void what_is_covered_keeps_its_length_and_its_surroundings(void **state)
{
    static const struct {
        const char *secret, *text, *expected;
    } cases[] = {
        {KEY, "no " KEY ", no", "no **********************, no"},
        {KEY, KEY KEY, "********************************************"},
        {KEY, "", ""},
        {KEY, "sk_test_other", "sk_test_other"}, /* the beginning that many share */
        {KEY, "cut: sk_test_Zq7K", "cut: ************"},
        {KEY, "cut: sk_test_Zq7K, and on", "cut: ************, and on"},
        {KEY, "cut: sk_test_Zq7", "cut: sk_test_Zq7"},
        {"short", "a short word", "a short word"},
        {"six666", "is six666 not six66", "is ****** not six66"},
        {NULL, "none", "none"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        _free_ char *text = covered(cases[i].secret, cases[i].text);
        assert_string_equal(text, cases[i].expected);
    }
}

static void secrets_that_begin_alike_are_covered_to_their_ends(void **state)
{
    static const char *const secrets[] = {
        "sk_live_51AbCdEfGhIjKl_one", "sk_live_51AbCdEfGhIjKl_another", "sk_live", NULL};
    struct veil veil = {0};
    char text[] = "sk_live_51AbCdEfGhIjKl_another, sk_live_51AbCdEfGhIjKl_one";

    (void)state;
    for (size_t i = 0; secrets[i]; i++)
        veil_add(&veil, secrets[i]);
    veil_cover(&veil, text, strlen(text));
    assert_string_equal(text,
                        "******************************, **************************");
    veil_fini(&veil);
}

/* Does it say anything of the bytes? Six in a row would be. */
static bool shows(const char *text, const char *spelling)
{
    size_t n = strlen(spelling);

    for (size_t i = 0; i + VEIL_LEAST <= n; i++)
        if (memmem(text, strlen(text), spelling + i, VEIL_LEAST))
            return true;
    return false;
}

static void base64_is_covered_wherever_in_it_the_secret_stands(void **state)
{
    static const char *const before[] = {"", "u:", "user:", "shop:", "Bearer "};
    const char *const secrets[] = {KEY, ODD};

    (void)state;
    for (size_t i = 0; i < 5; i++)
        for (size_t k = 0; k < 2; k++) {
            _free_ char *plain = mem_format("%s%s:after", before[i], secrets[k]);
            struct buf base64 = BUF_NULL;
            text_base64((const uint8_t *)plain, strlen(plain), &base64);
            _free_ char *said = mem_format("you said Basic %s", buf_str(&base64)),
                        *text = covered(secrets[k], said),
                        *inside = mem_copy(base64.bytes + 12, strlen(secrets[k]));
            assert_int_equal(strlen(text), strlen(said));
            assert_non_null(strstr(text, "you said Basic "));
            assert_false(shows(text, inside));
            buf_fini(&base64);
        }
}

static void escapes_of_json_and_urls_are_covered(void **state)
{
    struct json *object = js_set_text(js_object(), "said", "x " ODD " y");
    struct buf json = BUF_NULL, url = BUF_NULL;
    char error[64];

    (void)state;
    js_write(object, 0, &json);
    js_free(object);
    _free_ char *text = covered(ODD, buf_str(&json));
    object = js_parse(text, strlen(text), error, sizeof(error));
    assert_non_null(object); /* it is JSON still */
    assert_null(strstr(text, "all=of"));
    js_free(object);
    form_escape(&url, ODD, strlen(ODD));
    _free_ char *address = mem_format("/v1?key=%s&b=1", buf_str(&url)),
                *safe = covered(ODD, address);
    assert_null(strstr(safe, "all"));
    assert_non_null(strstr(safe, "&b=1"));
    _free_ char *slashes =
        covered("a/b/c/d/e/f/g", "{\"s\":\"a\\/b\\/c\\/d\\/e\\/f\\/g\"}");
    assert_string_equal(slashes, "{\"s\":\"*******************\"}");
    buf_fini(&json);
    buf_fini(&url);
}

static void what_was_cut_in_an_escape_stays_json(void **state)
{
    (void)state;
    /* the secret goes on with a quote, the text with a backslash */
    _free_ char *text = covered("0123456789ab\"cdef", "[\"0123456789ab\\\\\"]");
    assert_string_equal(text, "[\"************\\\\\"]");
}

/* However a stream is cut into pieces, together they are what the whole is. */
static void held_back_a_secret_in_two_pieces_is_covered(void **state)
{
    static const char said[] = "{\"m\":\"key " KEY " and s" KEY " sk_test_\"}";
    _free_ char *expected = covered(KEY, said);
    struct veil veil = {0};

    (void)state;
    veil_add(&veil, KEY);
    for (size_t cut = 0; cut <= strlen(said); cut++) {
        struct buf out = BUF_NULL;
        size_t ends[] = {cut, strlen(said)}, from = 0;
        for (int i = 0; i < 2; i++) {
            _free_ char *piece = mem_copy(said + from, ends[i] - from);
            size_t n = ends[i] - from;
            size_t keep = i ? 0 : veil_held(&veil, piece, n);
            veil_cover(&veil, piece, n - keep);
            buf_add(&out, piece, n - keep);
            from += n - keep;
        }
        assert_string_equal(buf_str(&out), expected);
        buf_fini(&out);
    }
    assert_int_equal(veil_held(&veil, "data: {}\n\n", 10), 0);
    assert_int_equal(veil_held(&veil, "", 0), 0);
    veil_fini(&veil);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_covered_keeps_its_length_and_its_surroundings),
        cmocka_unit_test(secrets_that_begin_alike_are_covered_to_their_ends),
        cmocka_unit_test(base64_is_covered_wherever_in_it_the_secret_stands),
        cmocka_unit_test(escapes_of_json_and_urls_are_covered),
        cmocka_unit_test(what_was_cut_in_an_escape_stays_json),
        cmocka_unit_test(held_back_a_secret_in_two_pieces_is_covered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
