/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The ai connector without a network: what each provider is sent, what becomes of each
 * answer, and what it costs. */
#include "connectors/ai/ai.h"
#include "tests/unit/connectors/trial.h"

int ai_main(int argc, char **argv);
#define main ai_main
#include "connectors/ai/ai.c"
#undef main

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEY          "sk-fake-0123456789"
#define CHAT         "ai.chat.requested"
#define EMBED        "ai.embed.requested"
#define MODELS       "ai.models.requested"
#define HELLO                                                                            \
    "{\"model\":\"m1\",\"messages\":[{\"role\":\"system\",\"content\":\"Be brief\"},{"   \
    "\"role\":\"user\",\"content\":\"hi \\u00fc\"}],\"max_tokens\":50,\"temperature\":"  \
    "0.7}"

/* The process around it is not under test. */
int sb_connector_main(const struct sb_connector *connector, int argc, char **argv)
{
    (void)argc, (void)argv;
    return connector == &ai ? 0 : 1;
}

static const char *secret(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "api_key") == 0 ? KEY : NULL;
}

static char *names[] = {(char[]){"prices"}, (char[]){"model"}, (char[]){"auth"}};
static char *values[] = {(char[]){"m1 2.50 10 1.25, small 0.02,\n m2 3 15"},
                         (char[]){"m2"}, (char[]){"bearer"}};
static char *odd[] = {(char[]){"m1 2.50 ten"}};
#define OPENAI(n, list)                                                                  \
    {                                                                                    \
        .connector = &ai, .provider = &providers[0], .name = "gpt",                      \
        .base_url = "https://api.openai.com/v1", .secret = secret,                       \
        .option_names = names, .option_values = (list), .n_options = (n)                 \
    }
#define ANTHROPIC(n)                                                                     \
    {                                                                                    \
        .connector = &ai, .provider = &providers[1], .name = "claude",                   \
        .base_url = "https://api.anthropic.com", .secret = secret,                       \
        .option_names = names, .option_values = values, .n_options = (n)                 \
    }
static const struct integration openai = OPENAI(1, values), modelled = OPENAI(2, values),
                                mispriced = OPENAI(1, odd);
static const struct integration anthropic = ANTHROPIC(1), bearer = ANTHROPIC(3);

static char *bound_names[] = {(char[]){"prices"}, (char[]){"call_cost_max"},
                              (char[]){"prices_date"}};
static char *bound_values[] = {(char[]){"m1 2.50 10"}, (char[]){"1000"},
                               (char[]){"2026-11-25"}};
static char *undated[] = {(char[]){"m1 2.50 10"}, (char[]){"1000"},
                          (char[]){"25.11.2026"}};
#define BOUNDED(number, list)                                                            \
    {                                                                                    \
        .connector = &ai, .provider = &providers[number], .name = "bounded",             \
        .base_url = "https://api.example.com", .secret = secret,                         \
        .option_names = bound_names, .option_values = (list), .n_options = 3             \
    }
static char *version_names[] = {(char[]){"version"}};
static char *versions[] = {(char[]){"2026-10-21"}};
static const struct integration newer = {.connector = &ai,
                                         .provider = &providers[1],
                                         .name = "newer",
                                         .base_url = "https://api.anthropic.com",
                                         .secret = secret,
                                         .option_names = version_names,
                                         .option_values = versions,
                                         .n_options = 1};
static const struct integration bounded = BOUNDED(0, bound_values),
                                bounded_claude = BOUNDED(1, bound_values),
                                misdated = BOUNDED(0, undated);

static void the_tables_are_right_and_fit_an_integration(void **state)
{
    (void)state;
    struct buf errors = BUF_NULL;

    assert_true(manifest_check(&ai, &errors));
    assert_true(manifest_fits(&openai, &errors));
    assert_true(manifest_fits(&anthropic, &errors));
    buf_fini(&errors);
}

static void requests_are_these_bytes(void **state)
{
    (void)state;
    trial_request(&openai, CHAT, HELLO, "POST",
                  "https://api.openai.com/v1/chat/completions",
                  "{\"model\":\"m1\",\"messages\":[{\"role\":\"system\",\"content\":\"Be "
                  "brief\"},{\"role\":\"user\",\"content\":\"hi \u00fc\"}],"
                  "\"max_completion_tokens\":50,\"temperature\":0.7}");
    trial_request(&modelled, EMBED, "{\"input\":[\"a\",\"b\"]}", "POST",
                  "https://api.openai.com/v1/embeddings",
                  "{\"model\":\"m2\",\"input\":[\"a\",\"b\"],\"encoding_format\":"
                  "\"float\"}");
    trial_request(&anthropic, CHAT, HELLO, "POST",
                  "https://api.anthropic.com/v1/messages",
                  "{\"model\":\"m1\",\"max_tokens\":50,\"system\":[{\"type\":\"text\","
                  "\"text\":\"Be brief\"}],\"messages\":[{\"role\":\"user\",\"content\":"
                  "\"hi \u00fc\"}],\"temperature\":0.7}");
    trial_request(
        &bearer, CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}", "POST",
        "https://api.anthropic.com/v1/messages",
        "{\"model\":\"m2\",\"max_tokens\":1024,\"messages\":[{\"role\":\"user\","
        "\"content\":\"x\"}]}");
    /* null is absent */
    trial_request(
        &bearer, CHAT,
        "{\"model\":null,\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
        "\"max_tokens\":null,\"temperature\":null}",
        "POST", "https://api.anthropic.com/v1/messages",
        "{\"model\":\"m2\",\"max_tokens\":1024,\"messages\":[{\"role\":\"user\","
        "\"content\":\"x\"}]}");
    trial_request(
        &openai, CHAT,
        "{\"model\":\"m1\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],"
        "\"max_tokens\":null,\"temperature\":null}",
        "POST", "https://api.openai.com/v1/chat/completions",
        "{\"model\":\"m1\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}");
}

static void models_are_listed(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {{.status = 200, .body = "{\"data\":[{\"id\":\"m1\"}]}"},
         CALL_SUCCESS,
         CLASS_none,
         ""},
        {{.status = 200, .body = "{}"}, CALL_RETRY, CLASS_none, "list of models"},
        {{.status = 401, .body = "{}"}, CALL_FAILED, CLASS_permanent, "check the secret"},
    };

    trial_request(&openai, MODELS, "{}", "GET", "https://api.openai.com/v1/models", "");
    trial_request(&anthropic, MODELS, "{}", "GET",
                  "https://api.anthropic.com/v1/models?limit=1000", "");
    trial_answers(&openai, MODELS, "{}", cases, COUNT(cases), KEY);
    trial_answers(&anthropic, MODELS, "{}", cases, COUNT(cases), KEY);
}

static void the_key_goes_where_the_provider_wants_it(void **state)
{
    (void)state;
    static const struct {
        const struct integration *integration;
        const char *name, *value;
    } cases[] = {
        {&openai, "Authorization", "Bearer " KEY},
        {&anthropic, "x-api-key", KEY},
        {&bearer, "Authorization", "Bearer " KEY},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct call *call =
            deliver(cases[i].integration, (struct delivery){.type = CHAT, .data = HELLO});
        struct http_call_options o;
        assert_true(call_begin(call, NOW_US));
        call_http(call, &o);
        assert_string_equal(o.headers[0].name, cases[i].name);
        assert_string_equal(o.headers[0].value, cases[i].value);
        call_free(call);
    }
}

static void bad_input_fails_before_any_call_and_names_the_member(void **state)
{
    (void)state;
#define MESSAGE "\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]"
    static const struct trial_refusal chats[] = {
        {"7", "must be a JSON object"},
        {"{" MESSAGE "}", "model must be a text"},
        {"{\"model\":7," MESSAGE "}", "model must be a text"},
        {"{\"model\":\"m\"}", "messages must be a list"},
        {"{\"model\":\"m\",\"messages\":{}}", "messages must be a list"},
        {"{\"model\":\"m\",\"messages\":[]}", "messages must be a list"},
        {"{\"model\":\"m\",\"messages\":[{\"content\":\"x\"}]}", "messages.0.role"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"user\"}]}", "messages.0.content"},
        {"{\"model\":\"m\",\"n\":2," MESSAGE "}", "\"n\" is not a member"},
        {"{\"model\":\"m\",\"max_tokens\":0," MESSAGE "}", "max_tokens must be"},
        {"{\"model\":\"m\",\"temperature\":2.1," MESSAGE "}", "temperature must be"},
    };
    static const struct trial_refusal roles[] = {
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}",
         "messages.0.role must be system, user"},
        {"{\"model\":\"m\",\"temperature\":1.5," MESSAGE "}",
         "temperature must be a number from 0 to 1"},
        {"{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":\"x\"}]}",
         "one whose role is user"},
    };
    static const struct trial_refusal embeds[] = {
        {"{\"model\":\"m\"}", "input must be"},
        {"{\"model\":\"m\",\"input\":\"\"}", "input must be"},
        {"{\"model\":\"m\",\"input\":[\"a\",7]}", "input must be"},
        {"{\"model\":\"m\",\"input\":{\"a\":\"b\"}}", "input must be"},
    };
    static const struct trial_refusal price = {
        HELLO, "options.prices of the integration gpt: \"m1 2.50 ten\" is not"};

    trial_refusals(&openai, CHAT, chats, COUNT(chats));
    trial_refusals(&anthropic, CHAT, chats, COUNT(chats));
    trial_refusals(&anthropic, CHAT, roles, COUNT(roles));
    trial_refusals(&openai, EMBED, embeds, COUNT(embeds));
    static const struct trial_refusal temperature = {
        HELLO, "no temperature from version 2026-10-21 on"};

    trial_refusals(&mispriced, CHAT, &price, 1);
    trial_refusals(&newer, CHAT, &temperature, 1);
}

/* --- answers --- */

#define OPENAI_ERROR(s, code)                                                            \
    {                                                                                    \
        .status = (s),                                                                   \
        .body = "{\"error\":{\"message\":\"said so\",\"type\":\"t\",\"code\":" code "}}" \
    }
#define ANTHROPIC_ERROR(s, type)                                                         \
    {                                                                                    \
        .status = (s), .body = "{\"type\":\"error\",\"error\":{\"type\":\"" type         \
                               "\",\"message\":\"said so\"}}"                            \
    }

static void openais_answers_have_their_results(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {{.status = 200, .body = "{}"}, CALL_RETRY, CLASS_none, "not what OpenAI"},
        {{.status = 200, .body = "<html>"}, CALL_RETRY, CLASS_none, "not what OpenAI"},
        {{.status = 200,
          .body = "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"I will "
                  "not\"},\"finish_reason\":\"stop\"}]}"},
         CALL_FAILED,
         CLASS_permanent,
         "no text: I will not"},
        {OPENAI_ERROR(400, "null"), CALL_FAILED, CLASS_permanent, "(400): said so"},
        {OPENAI_ERROR(401, "\"invalid_api_key\""), CALL_FAILED, CLASS_permanent,
         "\"api_key\" of the integration gpt"},
        {OPENAI_ERROR(404, "\"model_not_found\""), CALL_FAILED, CLASS_permanent, "(404)"},
        {OPENAI_ERROR(429, "\"insufficient_quota\""), CALL_FAILED, CLASS_permanent,
         "no credit"},
        {OPENAI_ERROR(429, "\"rate_limit_exceeded\""), CALL_RETRY, CLASS_none, "429"},
        {OPENAI_ERROR(409, "null"), CALL_RETRY, CLASS_none, "409"},
        {{.status = 500}, CALL_RETRY, CLASS_none, "answered 500"},
        {{.status = 503, .headers = {{"x-should-retry", "false"}}},
         CALL_FAILED,
         CLASS_permanent,
         "answered 503"},
        {{.result = HTTP_NO_ANSWER, .error = "cut"}, CALL_RETRY, CLASS_none, "cut"},
    };

    trial_answers(&openai, CHAT, HELLO, cases, COUNT(cases), KEY);
}

static void anthropics_answers_have_their_results(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {{.status = 200, .body = "{\"content\":[]}"},
         CALL_RETRY,
         CLASS_none,
         "not what Anthropic"},
        {{.status = 200, .body = "{\"content\":[{\"type\":\"tool_use\"}],\"usage\":{}}"},
         CALL_FAILED,
         CLASS_permanent,
         "no text"},
        {ANTHROPIC_ERROR(400, "invalid_request_error"), CALL_FAILED, CLASS_permanent,
         "(400): said so"},
        {ANTHROPIC_ERROR(401, "authentication_error"), CALL_FAILED, CLASS_permanent,
         "\"api_key\" of the integration claude"},
        {ANTHROPIC_ERROR(413, "request_too_large"), CALL_FAILED, CLASS_permanent,
         "(413)"},
        {ANTHROPIC_ERROR(429, "rate_limit_error"), CALL_RETRY, CLASS_none, "429"},
        {ANTHROPIC_ERROR(529, "overloaded_error"), CALL_RETRY, CLASS_none, "529"},
        {{.result = HTTP_NO_ANSWER, .error = "cut"}, CALL_RETRY, CLASS_none, "cut"},
    };

    trial_answers(&anthropic, CHAT, HELLO, cases, COUNT(cases), KEY);
}

static void a_success_has_the_text_the_tokens_and_their_cost(void **state)
{
    (void)state;
    struct call *gpt = trial_answered(
        &openai, CHAT, HELLO,
        (struct http_call){
            .status = 200,
            .body = "{\"id\":\"c1\",\"model\":\"m1-2026\",\"choices\":[{\"message\":{"
                    "\"content\":\"Hello\"},\"finish_reason\":\"stop\"}],\"usage\":{"
                    "\"prompt_tokens\":1000,\"completion_tokens\":11,"
                    "\"prompt_tokens_details\":{\"cached_tokens\":600}}}"});
    struct call *claude = trial_answered(
        &anthropic, CHAT, HELLO,
        (struct http_call){
            .status = 200,
            .body = "{\"id\":\"msg_1\",\"model\":\"m1\",\"content\":[{\"type\":"
                    "\"thinking\"},{\"type\":\"text\",\"text\":\"Hello\"}],\"stop_"
                    "reason\":\"end_turn\",\"usage\":{\"input_tokens\":400,\"output_"
                    "tokens\":11,\"cache_read_input_tokens\":600}}"});
    struct call *const calls[] = {gpt, claude};

    for (size_t i = 0; i < 2; i++) {
        assert_string_equal(trial_said(calls[i], "text"), "Hello");
        assert_int_equal(js_int(call_outcome(calls[i])->data, "usage.input_tokens", 0),
                         1000);
        /* 400 x 2.50 + 600 x 1.25 + 11 x 10 */
        assert_int_equal(call_outcome(calls[i])->cost, 1860);
        assert_int_equal(call_outcome(calls[i])->cost_kind, SB_ACTUAL);
        call_free(calls[i]);
    }
}

static void an_embedding_has_a_vector_for_each_text(void **state)
{
    (void)state;
    struct call *call = trial_answered(
        &openai, EMBED, "{\"model\":\"small\",\"input\":[\"a\",\"b\"]}",
        (struct http_call){.status = 200,
                           .body = "{\"data\":[{\"embedding\":[0.1,-0.2]},{"
                                   "\"embedding\":[0.3]}],\"model\":\"small\",\"usage\":{"
                                   "\"prompt_tokens\":3}}"});
    const struct json *data = call_outcome(call)->data;

    assert_int_equal(js_count(js_get(data, "embeddings")), 2);
    assert_true(js_number(data, "embeddings.0.embedding.1", 0) == -0.2);
    assert_int_equal(call_outcome(call)->cost, 1); /* 0.06 millionths, rounded up */
    call_free(call);
}

static void a_cost_is_exact_and_wrong_prices_are_pointed_at(void **state)
{
    (void)state;
    static const struct {
        const char *prices, *model;
        struct sb_tokens usage;
        int64_t cost;
        const char *wrong; /* begins with; NULL: fine */
    } cases[] = {
        {NULL, "m", {1, 1, 0}, -1, NULL},
        {"", "m", {1, 1, 0}, -1, NULL},
        {"m 1 2", "other", {1, 1, 0}, -1, NULL},
        {"m 1 2", "m", {3, 4, 0}, 11, NULL},
        {"m 0.15 0.6", "m", {1, 1, 0}, 1, NULL},
        {"m 0.15 0.6", "m", {1000000, 1000000, 0}, 750000, NULL},
        {"a 1 1,m 0.000001 0", "m", {2000000, 5, 0}, 2, NULL},
        {"m 2 8 1", "m", {10, 0, 10}, 10, NULL},
        {"m 2 8", "m", {10, 0, 10}, 20, NULL},
        {"m", "m", {0}, -1, "m"},
        {"a 1, m x", "m", {0}, -1, "m x"},
        {"m 1 2 3 4", "m", {0}, -1, "m 1 2 3 4"},
        {"m 1.0000001", "m", {0}, -1, "m 1.0"},
        {"m 1.", "m", {0}, -1, "m 1."},
        {"m -1", "m", {0}, -1, "m -1"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *wrong = NULL;
        int64_t cost =
            sb_token_cost(cases[i].prices, cases[i].model, &cases[i].usage, &wrong);
        if (cost != cases[i].cost || !wrong != !cases[i].wrong ||
            (wrong && strncmp(wrong, cases[i].wrong, strlen(cases[i].wrong)) != 0))
            fail_msg("%s of %s: %ld %s", cases[i].model, cases[i].prices, (long)cost,
                     wrong ? wrong : "");
    }
}

static void a_call_that_could_cost_more_than_is_allowed_is_not_made(void **state)
{
    (void)state;
    static const struct trial_refusal cases[] = {
        {"{\"model\":\"m1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
         "\"max_tokens\":90}",
         "can cost 1085 millionths"}, /* 74 bytes and 90 tokens: 185 + 900 */
        {"{\"model\":\"m1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
         "no bound: it has no max_tokens"},
        {"{\"model\":\"other\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"
         "\"max_tokens\":1}",
         "no bound: its model is not in options.prices"},
        {"{\"model\":\"m1\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
         "\"image_url\"}]}],\"max_tokens\":1}",
         "no bound: there is more than text"},
    };
    /* Anthropic's has its own bound of 1,024 tokens */
    static const struct trial_refusal claude = {
        "{\"model\":\"m1\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
        "can cost 10"};
    static const struct trial_refusal date = {HELLO, "prices_date of the integration"};
    struct call *cheap = deliver(
        &bounded,
        (struct delivery){.type = CHAT,
                          .data = "{\"model\":\"m1\",\"messages\":[{\"role\":\"user\","
                                  "\"content\":\"hi\"}],\"max_tokens\":80}"});

    assert_true(call_begin(cheap, NOW_US)); /* 185 + 800 */
    call_free(cheap);
    trial_refusals(&bounded, CHAT, cases, COUNT(cases));
    trial_refusals(&bounded_claude, CHAT, &claude, 1);
    trial_refusals(&misdated, CHAT, &date, 1);
    assert_int_equal(trial_price_most(&bounded, "chat", "USD"), 1000);
    assert_int_equal(trial_price_most(&openai, "chat", "USD"), -1);
}

static void the_day_of_the_prices_stands_with_the_cost(void **state)
{
    (void)state;
    static const char body[] =
        "{\"choices\":[{\"message\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":2,"
        "\"completion_tokens\":1}}";
    static const char data[] =
        "{\"model\":\"m1\",\"max_tokens\":9,\"messages\":[{\"role\":"
        "\"user\",\"content\":\"hi\"}]}";
    struct call *dated = trial_answered(&bounded, CHAT, data,
                                        (struct http_call){.status = 200, .body = body});
    struct call *plain = trial_answered(&openai, CHAT, data,
                                        (struct http_call){.status = 200, .body = body});

    assert_string_equal(trial_said(dated, "prices_date"), "2026-11-25");
    assert_int_equal(call_outcome(dated)->cost, 15);
    assert_null(js_get(call_outcome(plain)->data, "prices_date"));
    call_free(dated);
    call_free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_right_and_fit_an_integration),
        cmocka_unit_test(requests_are_these_bytes),
        cmocka_unit_test(models_are_listed),
        cmocka_unit_test(the_key_goes_where_the_provider_wants_it),
        cmocka_unit_test(bad_input_fails_before_any_call_and_names_the_member),
        cmocka_unit_test(openais_answers_have_their_results),
        cmocka_unit_test(anthropics_answers_have_their_results),
        cmocka_unit_test(a_success_has_the_text_the_tokens_and_their_cost),
        cmocka_unit_test(an_embedding_has_a_vector_for_each_text),
        cmocka_unit_test(a_cost_is_exact_and_wrong_prices_are_pointed_at),
        cmocka_unit_test(a_call_that_could_cost_more_than_is_allowed_is_not_made),
        cmocka_unit_test(the_day_of_the_prices_stands_with_the_cost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
