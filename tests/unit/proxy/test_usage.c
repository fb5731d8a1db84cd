/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Tokens are read out of whole answers and of streams, however they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "proxy/usage.h"

static const char openai_stream[] =
    "data: {\"model\":\"gpt\",\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n"
    "data: {\"model\":\"gpt\",\"choices\":[],\"usage\":{\"prompt_tokens\":9,"
    "\"completion_tokens\":4,\"prompt_tokens_details\":{\"cached_tokens\":3}}}\r\n\r\n"
    "data: [DONE]\n\n";
static const char anthropic_stream[] =
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":"
    "\"claude\",\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":100,"
    "\"cache_creation_input_tokens\":20,\"output_tokens\":1}}}\n\n"
    "event: message_delta\ndata: {\"usage\":{\"output_tokens\":42}}\n\n";
static const char responses_stream[] =
    "data: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt\",\"usage\":"
    "{\"input_tokens\":7,\"output_tokens\":2,\"input_tokens_details\":"
    "{\"cached_tokens\":6}}}}\n";

static const struct {
    const char *text, *model;
    struct sb_tokens used;
} streams[] = {
    {openai_stream, "gpt", {9, 4, 3}},
    {anthropic_stream, "claude", {125, 42, 100}},
    {responses_stream, "gpt", {7, 2, 6}},
};

static void a_stream_is_read_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
        for (size_t piece = 1; piece < 40; piece++) {
            struct usage usage = {0};
            struct sb_tokens used;
            size_t n = strlen(streams[i].text);
            for (size_t at = 0; at < n; at += piece)
                usage_hear(&usage, streams[i].text + at, n - at < piece ? n - at : piece);
            assert_true(usage_tokens(&usage, &used));
            assert_int_equal(used.input, streams[i].used.input);
            assert_int_equal(used.output, streams[i].used.output);
            assert_int_equal(used.cached, streams[i].used.cached);
            assert_string_equal(usage.model, streams[i].model);
            usage_fini(&usage);
        }
}

static void a_whole_answer_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_known;
        struct sb_tokens used;
    } cases[] = {
        {"{\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}", true, {9, 1, 0}},
        {"{\"usage\":{\"prompt_tokens\":9,\"total_tokens\":9}}", true, {9, 0, 0}},
        {"{\"usage\":{\"input_tokens\":1,\"output_tokens\":2}}", true, {1, 2, 0}},
        {"{\"usage\":{\"prompt_tokens\":1,\"prompt_tokens_details\":"
         "{\"cached_tokens\":5}}}",
         true,
         {1, 0, 1}},
        {"{\"usage\":{\"prompt_tokens\":-1}}", false, {0, 0, 0}},
        {"{\"usage\":{\"prompt_tokens\":9000000000}}", false, {0, 0, 0}},
        {"{\"usage\":null}", false, {0, 0, 0}},
        {"[]", false, {0, 0, 0}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct usage usage = {0};
        struct sb_tokens used = {0, 0, 0};
        char error[120];
        struct json *json =
            js_parse(cases[i].text, strlen(cases[i].text), error, sizeof(error));
        usage_take(&usage, json);
        assert_int_equal(usage_tokens(&usage, &used), cases[i].is_known);
        assert_int_equal(used.input, cases[i].used.input);
        assert_int_equal(used.output, cases[i].used.output);
        assert_int_equal(used.cached, cases[i].used.cached);
        js_free(json);
    }
}

static void a_line_without_end_costs_no_memory_and_the_next_is_read(void **state)
{
    (void)state;
    static char piece[1 << 16];
    struct usage usage = {0};
    struct sb_tokens used;

    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 100; i++) {
        usage_hear(&usage, piece, sizeof(piece));
        assert_true(usage.line.cap <= 2 * USAGE_LINE_MAX);
    }
    usage_hear(&usage, "\n", 1);
    usage_hear(&usage, openai_stream, strlen(openai_stream));
    assert_true(usage_tokens(&usage, &used));
    usage_fini(&usage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stream_is_read_however_it_is_cut),
        cmocka_unit_test(a_whole_answer_is_read),
        cmocka_unit_test(a_line_without_end_costs_no_memory_and_the_next_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
