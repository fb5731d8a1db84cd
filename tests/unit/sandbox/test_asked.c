/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The practice models and maps: what they answer, whole and in pieces, and what their
 * trigger inputs bring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/rows.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW_US       UINT64_C(1700000000000000)

/* One call to a row of its own. */
struct asked {
    const struct provider *row;
    const char *method, *path, *query, *body;
    const char *authorization, *api_key, *version, *agent;
};

static const char *header(const void *user, const char *name)
{
    const struct asked *asked = user;
    const struct {
        const char *name, *value;
    } all[] = {
        {"Authorization", asked->authorization},
        {"x-api-key", asked->api_key},
        {"anthropic-version", asked->version},
        {"User-Agent", asked->agent},
    };

    for (size_t i = 0; i < COUNT(all); i++)
        if (strcasecmp(name, all[i].name) == 0)
            return all[i].value;
    return NULL;
}

/* The answer; *ret_effects is how much was done. */
static struct provider_answer ask(const struct asked *asked, size_t *ret_effects)
{
    void *practice = asked->row->open(&(struct provider_options){.api_key = NULL});
    struct provider_answer answer = {.status = 200};
    struct provider_call call = {
        .method = asked->method,
        .path = asked->path,
        .query = asked->query,
        .header = header,
        .user = asked,
        .body = asked->body,
        .body_len = asked->body ? strlen(asked->body) : 0,
        .now_us = NOW_US,
    };

    asked->row->call(practice, &call, &answer);
    struct json *effects = asked->row->effects(practice);
    *ret_effects = js_count(effects);
    js_free(effects);
    asked->row->close(practice);
    return answer;
}

#define CHAT    "POST", "/v1/chat/completions", NULL
#define EMBED   "POST", "/v1/embeddings", NULL
#define MESSAGE "POST", "/v1/messages", NULL
#define SAY(model, rest)                                                                 \
    "{\"model\":\"" model "\",\"messages\":[{\"role\":\"user\",\"content\":\"one two "   \
    "three\"}]" rest "}"
#define SK      .authorization = "Bearer sk-x"
#define ANT     .api_key = "sk-ant-x", .version = "2023-06-01"
#define PLAIN   .body = NULL
#define SHOP    .agent = "shop/1.0"
#define GEOCODE "GET", "/maps/api/geocode/json"
#define ROUTE   "GET", "/maps/api/directions/json"

static const struct {
    struct asked asked;
    unsigned status;
    const char *fragment; /* of the answer */
    size_t effects;
} cases[] = {
    {{&openai_row, CHAT, SAY("m", ""), SK}, 200, "\"You said: one two three\"", 1},
    {{&openai_row, CHAT, SAY("m", ",\"max_tokens\":3"), SK}, 200, "\"length\"", 1},
    {{&openai_row, CHAT, SAY("m", ""), SK}, 200, "\"completion_tokens\":5", 1},
    {{&openai_row, CHAT, SAY("refuses", ""), SK}, 200, "\"content\":null", 1},
    {{&openai_row, CHAT, SAY("no-such-model", ""), SK}, 404, "model_not_found", 0},
    {{&openai_row, CHAT, SAY("no-credit", ""), SK}, 429, "insufficient_quota", 0},
    {{&openai_row, CHAT, SAY("rate-limited", ""), SK}, 429, "rate_limit_exceeded", 0},
    {{&openai_row, CHAT, SAY("overloaded", ""), SK}, 503, "server_error", 0},
    {{&openai_row, CHAT, "{\"model\":\"m\"}", SK}, 400, "'messages'", 0},
    {{&openai_row, CHAT, "{\"messages\":[]}", SK}, 400, "model parameter", 0},
    {{&openai_row, CHAT, "[", SK}, 400, "parse", 0},
    {{&openai_row, CHAT, SAY("m", ""), .authorization = NULL}, 401, "API key", 0},
    {{&openai_row, CHAT, SAY("m", ""), .authorization = "Bearer x"},
     401,
     "invalid_api_key",
     0},
    {{&openai_row, EMBED, "{\"model\":\"e\",\"input\":[\"a\",\"b\"]}", SK},
     200,
     "\"index\":1",
     1},
    {{&openai_row, EMBED,
      "{\"model\":\"e\",\"input\":\"a\",\"encoding_format\":\"base64\"}", SK},
     200,
     "\"embedding\":\"",
     1},
    {{&openai_row, EMBED, "{\"model\":\"e\"}", SK}, 400, "input", 0},
    {{&openai_row, "GET", "/v1/models", NULL, NULL, SK}, 200, "\"list\"", 0},
    {{&openai_row, "GET", "/v1/other", NULL, NULL, SK}, 404, "Invalid URL", 0},

    {{&anthropic_row, MESSAGE, SAY("m", ",\"max_tokens\":9"), ANT},
     200,
     "\"end_turn\"",
     1},
    {{&anthropic_row, MESSAGE, SAY("m", ",\"max_tokens\":9"),
      .authorization = "Bearer sk-ant-x", .version = "1"},
     200,
     "\"output_tokens\":5",
     1},
    {{&anthropic_row, MESSAGE, SAY("m", ",\"max_tokens\":2"), ANT},
     200,
     "\"max_tokens\"",
     1},
    {{&anthropic_row, MESSAGE, SAY("refuses", ",\"max_tokens\":9"), ANT},
     200,
     "\"refusal\"",
     1},
    {{&anthropic_row, MESSAGE, SAY("m", ""), ANT}, 400, "max_tokens: Field required", 0},
    {{&anthropic_row, MESSAGE, SAY("overloaded", ",\"max_tokens\":9"), ANT},
     529,
     "overloaded_error",
     0},
    {{&anthropic_row, MESSAGE, SAY("no-credit", ",\"max_tokens\":9"), ANT},
     400,
     "credit balance",
     0},
    {{&anthropic_row, MESSAGE, SAY("m", ",\"max_tokens\":9"), .api_key = "sk-ant-x"},
     400,
     "anthropic-version",
     0},
    {{&anthropic_row, MESSAGE, SAY("m", ",\"max_tokens\":9"), .version = "1"},
     401,
     "authentication_error",
     0},

    {{&google_row, GEOCODE, "address=1%20High%20St&key=AIzax", PLAIN},
     200,
     "\"ROOFTOP\"",
     1},
    {{&google_row, GEOCODE, "latlng=51.5,-0.1&key=AIzax", PLAIN},
     200,
     "Practice Road",
     1},
    {{&google_row, GEOCODE, "latlng=0,0&key=AIzax", PLAIN}, 200, "ZERO_RESULTS", 0},
    {{&google_row, GEOCODE, "latlng=91,0&key=AIzax", PLAIN}, 200, "INVALID_REQUEST", 0},
    {{&google_row, GEOCODE, "address=nowhere&key=AIzax", PLAIN}, 200, "ZERO_RESULTS", 0},
    {{&google_row, GEOCODE, "address=denied&key=AIzax", PLAIN}, 200, "REQUEST_DENIED", 0},
    {{&google_row, GEOCODE, "address=spent&key=AIzax", PLAIN},
     200,
     "OVER_DAILY_LIMIT",
     0},
    {{&google_row, GEOCODE, "address=busy&key=AIzax", PLAIN}, 200, "OVER_QUERY_LIMIT", 0},
    {{&google_row, GEOCODE, "address=broken&key=AIzax", PLAIN}, 200, "UNKNOWN_ERROR", 0},
    {{&google_row, GEOCODE, "key=AIzax", PLAIN}, 200, "INVALID_REQUEST", 0},
    {{&google_row, GEOCODE, "address=x", PLAIN}, 200, "REQUEST_DENIED", 0},
    {{&google_row, GEOCODE, "address=x&key=other", PLAIN}, 200, "REQUEST_DENIED", 0},
    {{&google_row, ROUTE, "origin=51,0&destination=52,0&key=AIzax", PLAIN},
     200,
     "\"value\":111000",
     1},
    {{&google_row, ROUTE, "origin=51,0&destination=nowhere&key=AIzax", PLAIN},
     200,
     "ZERO_RESULTS",
     0},
    {{&google_row, ROUTE, "origin=51,0&key=AIzax", PLAIN}, 200, "INVALID_REQUEST", 0},
    {{&google_row, "GET", "/maps/api/other/json", "key=AIzax", PLAIN},
     404,
     "Not Found",
     0},

    {{&nominatim_row, "GET", "/search", "q=1%20High%20St&format=jsonv2", SHOP},
     200,
     "\"display_name\":\"1 High St\"",
     1},
    {{&nominatim_row, "GET", "/search", "q=nowhere", SHOP}, 200, "[]", 1},
    {{&nominatim_row, "GET", "/search", "q=denied", SHOP}, 403, "blocked", 0},
    {{&nominatim_row, "GET", "/search", "q=busy", SHOP}, 429, "limit", 0},
    {{&nominatim_row, "GET", "/search", "q=broken", SHOP}, 500, "Error", 0},
    {{&nominatim_row, "GET", "/search", "", SHOP}, 400, "search for", 0},
    {{&nominatim_row, "GET", "/search", "q=x", PLAIN}, 403, "blocked", 0},
    {{&nominatim_row, "GET", "/search", "q=x", .agent = "curl/8"}, 403, "blocked", 0},
    {{&nominatim_row, "GET", "/reverse", "lat=51.5&lon=-0.1", SHOP},
     200,
     "Practice Road",
     1},
    {{&nominatim_row, "GET", "/reverse", "lat=0&lon=0", SHOP},
     200,
     "Unable to geocode",
     1},
    {{&nominatim_row, "GET", "/reverse", "lat=x", SHOP}, 400, "lat", 0},
    {{&nominatim_row, "GET", "/status", NULL, SHOP}, 200, "OK", 0},
    {{&nominatim_row, "GET", "/other", NULL, SHOP}, 404, "Not Found", 0},
};

static void calls_are_answered_as_the_provider_does(void **state)
{
    size_t effects;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct provider_answer answer = ask(&cases[i].asked, &effects);
        if (answer.status != cases[i].status ||
            !strstr(buf_str(&answer.body), cases[i].fragment) ||
            effects != cases[i].effects)
            fail_msg("case %zu: %u %s, %zu effects", i, answer.status,
                     buf_str(&answer.body), effects);
        buf_fini(&answer.body);
    }
}

/* How often `piece` stands in the text. */
static unsigned times(const char *text, const char *piece)
{
    unsigned n = 0;

    for (; (text = strstr(text, piece)); text += strlen(piece))
        n++;
    return n;
}

static void a_stream_has_a_piece_for_each_word(void **state)
{
    static const struct {
        struct asked asked;
        const char *piece, *last;
        unsigned pieces;
        bool breaks_off;
    } streams[] = {
        {{&openai_row, CHAT, SAY("m", ",\"stream\":true"), SK},
         "\"content\":",
         "data: [DONE]\n\n",
         6,
         false},
        {{&openai_row, CHAT, SAY("breaks-off", ",\"stream\":true"), SK},
         "\"content\":",
         "data: [DONE]\n\n",
         6,
         true},
        {{&openai_row, CHAT,
          SAY("m", ",\"stream\":true,\"stream_options\":{\"include_usage\":true}"), SK},
         "\"usage\":",
         "data: [DONE]\n\n",
         1,
         false},
        {{&openai_row, CHAT, SAY("refuses", ",\"stream\":true"), SK},
         "\"refusal\":",
         "data: [DONE]\n\n",
         1,
         false},
        {{&anthropic_row, MESSAGE, SAY("m", ",\"stream\":true,\"max_tokens\":9"), ANT},
         "event: content_block_delta\n",
         "data: {\"type\":\"message_stop\"}\n\n",
         5,
         false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(streams); i++) {
        size_t effects, end = strlen(streams[i].last);
        struct provider_answer answer = ask(&streams[i].asked, &effects);
        const char *text = buf_str(&answer.body);
        if (answer.piece_ms == 0 || answer.breaks_off != streams[i].breaks_off ||
            times(text, streams[i].piece) != streams[i].pieces || answer.body.len < end ||
            strcmp(text + answer.body.len - end, streams[i].last) != 0)
            fail_msg("case %zu: %s", i, text);
        assert_non_null(strstr(answer.content_type, "text/event-stream"));
        assert_int_equal(effects, 1);
        buf_fini(&answer.body);
    }
}

static void an_address_is_always_at_the_same_place_for_both_maps(void **state)
{
    size_t effects;
    char why[64];
    const struct asked by_google = {&google_row, GEOCODE, "address=1+High+St&key=AIzax",
                                    PLAIN},
                       by_nominatim = {&nominatim_row, "GET", "/search", "q=1+High+St",
                                       SHOP};
    struct provider_answer one = ask(&by_google, &effects),
                           two = ask(&by_nominatim, &effects);
    struct json *google = js_parse(buf_str(&one.body), one.body.len, why, sizeof(why)),
                *nominatim = js_parse(buf_str(&two.body), two.body.len, why, sizeof(why));

    (void)state;
    assert_float_equal(js_number(google, "results.0.geometry.location.lat", 0),
                       strtod(js_text(nominatim, "0.lat", "x"), NULL), 1e-9);
    assert_float_equal(js_number(google, "results.0.geometry.location.lng", 0),
                       strtod(js_text(nominatim, "0.lon", "x"), NULL), 1e-9);
    js_free(google);
    js_free(nominatim);
    buf_fini(&one.body);
    buf_fini(&two.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered_as_the_provider_does),
        cmocka_unit_test(a_stream_has_a_piece_for_each_word),
        cmocka_unit_test(an_address_is_always_at_the_same_place_for_both_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
