/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/text.h"
#include "lib/sdk/mime.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void expect(struct buf *out, const char *text)
{
    assert_string_equal(buf_str(out), text);
    buf_clear(out);
}

static void headers_are_ascii_or_encoded_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written;
    } cases[] = {
        {"Order 17", "Order 17"},
        {"", ""},
        {"Gr\u00fc\u00dfe", "=?UTF-8?B?R3LDvMOfZQ==?="},
        {"=?UTF-8?B?eA==?=",
         "=?UTF-8?B?PT9VVEYtOD9CP2VBPT0/PQ==?="}, /* read as written */
    };
    struct buf out = BUF_NULL;

    for (size_t i = 0; i < COUNT(cases); i++) {
        mime_text(&out, cases[i].text);
        expect(&out, cases[i].written);
    }
    buf_fini(&out);
}

static void long_words_are_split_between_characters(void **state)
{
    struct buf text = BUF_NULL, out = BUF_NULL;

    (void)state;
    for (int i = 0; i < 40; i++)
        buf_text(&text, "\u20ac");
    mime_text(&out, buf_str(&text));
    size_t back = 0;
    for (const char *line = buf_str(&out); line; line = strchr(line, '\n')) {
        line += strspn(line, "\r\n ");
        const char *end = strstr(line, "?=");
        struct buf word = BUF_NULL;
        assert_true(end && end + 2 - line <= 75);
        assert_true(text_parse_base64(line + 10, (size_t)(end - line - 10), &word));
        assert_int_equal(word.len % 3, 0); /* whole characters */
        assert_memory_equal(word.bytes, text.bytes + back, word.len);
        back += word.len;
        buf_fini(&word);
    }
    assert_int_equal(back, text.len);
    buf_fini(&text);
    buf_fini(&out);
}

static void names_are_quoted_or_encoded(void **state)
{
    (void)state;
    static const struct {
        const char *email, *name, *written;
    } cases[] = {
        {"a@b", NULL, "a@b"},
        {"a@b", "", "a@b"},
        {"a@b", "Shop, The", "\"Shop, The\" <a@b>"},
        {"a@b", "A \"B\" \\", "\"A \\\"B\\\" \\\\\" <a@b>"},
        {"a@b", "J\u00f6rg", "=?UTF-8?B?SsO2cmc=?= <a@b>"},
    };
    struct buf out = BUF_NULL;

    for (size_t i = 0; i < COUNT(cases); i++) {
        mime_address(&out, cases[i].email, cases[i].name);
        expect(&out, cases[i].written);
    }
    mime_parameter(&out, "filename", "a b.pdf");
    expect(&out, "; filename=\"a b.pdf\"");
    mime_parameter(&out, "filename", "\u00e4 b.pdf");
    expect(&out, "; filename*=UTF-8''%C3%A4%20b.pdf");
    buf_fini(&out);
}

static void dates_are_those_of_mails(void **state)
{
    struct buf out = BUF_NULL;

    (void)state;
    mime_date(&out, UINT64_C(1700000000123456));
    expect(&out, "Tue, 14 Nov 2023 22:13:20 +0000");
    mime_date(&out, 0);
    expect(&out, "Thu, 1 Jan 1970 00:00:00 +0000");
    buf_fini(&out);
}

static void texts_are_quoted_printable(void **state)
{
    (void)state;
    static const struct {
        const char *text, *written;
    } cases[] = {
        {"", ""},
        {"hello", "hello"},
        {"a=b", "a=3Db"},
        {"a\nb\r\nc\rd\n", "a\r\nb\r\nc\r\nd\r\n"},
        {"\u00fc", "=C3=BC"},
        {"end \nx", "end=20\r\nx"},
        {"tab\t", "tab=09"},
        {".", "."},
        {"123456789012345678901234567890123456789012345678901234567890123456789012345",
         "123456789012345678901234567890123456789012345678901234567890123456789012345"},
        {"1234567890123456789012345678901234567890123456789012345678901234567890123456",
         "123456789012345678901234567890123456789012345678901234567890123456789012345="
         "\r\n6"},
        {"1234567890123456789012345678901234567890123456789012345678901234567890123"
         "\u00fc",
         "1234567890123456789012345678901234567890123456789012345678901234567890123=\r\n"
         "=C3=BC"},
    };
    struct buf out = BUF_NULL;

    for (size_t i = 0; i < COUNT(cases); i++) {
        mime_quoted_printable(&out, cases[i].text);
        expect(&out, cases[i].written);
    }
    buf_fini(&out);
}

static void base64_is_put_on_lines(void **state)
{
    struct buf text = BUF_NULL, out = BUF_NULL;

    (void)state;
    mime_base64_lines(&out, "");
    expect(&out, "");
    mime_base64_lines(&out, "AAEC");
    expect(&out, "AAEC\r\n");
    for (int i = 0; i < 20; i++)
        buf_text(&text, "AAEC");
    mime_base64_lines(&out, buf_str(&text));
    assert_int_equal(out.len, 80 + 4);
    assert_memory_equal(out.bytes + 76, "\r\n", 2);
    buf_fini(&text);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_are_ascii_or_encoded_words),
        cmocka_unit_test(long_words_are_split_between_characters),
        cmocka_unit_test(names_are_quoted_or_encoded),
        cmocka_unit_test(dates_are_those_of_mails),
        cmocka_unit_test(texts_are_quoted_printable),
        cmocka_unit_test(base64_is_put_on_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
