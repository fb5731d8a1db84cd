/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A program as a connector: manifests, questions byte by byte, and what each answer
 * becomes. The worker is made by hand. */
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
#include "lib/sdk/call.h"
#include "lib/sdk/manifest.h"
#include "lib/sdk/program.h"
#include "lib/worker/worker.h"
#include "proto/attrs.h"
#include "tests/unit/remains.h"
#include "tests/unit/sdk/delivery.h"

#define SECRET "a-secret-of-the-test"

static const char manifest[] =
    "{\"exec\":1,\"name\":\"t\",\"version\":\"1\",\"operations\":["
    "{\"name\":\"once\"},"
    "{\"name\":\"asked\",\"repeat\":\"never\",\"lookup\":true,\"lookup_after_s\":5,"
    "\"example_found\":{\"key\":\"@KEY@\"},\"example_absent\":{},"
    "\"absent_status\":404},"
    "{\"name\":\"safe\",\"repeat\":\"safe\",\"is_poll\":true,\"timeout_ms\":700},"
    "{\"name\":\"keyed\",\"repeat\":\"keyed\",\"key_lifetime_s\":3600,"
    "\"price_max\":{\"currency\":\"USD\",\"micros\":5},\"example\":{\"a\":1},"
    "\"example_answer\":[2]}],"
    "\"webhooks\":[{\"event\":\"Thing.done\",\"becomes\":\"t.done\"}],"
    "\"publishes\":[\"t.found\"],"
    "\"options\":[{\"name\":\"page\",\"type\":\"int\",\"default\":\"7\"},"
    "{\"name\":\"dry\",\"type\":\"bool\",\"default\":\"true\"},{\"name\":\"where\"}],"
    "\"secrets\":[{\"name\":\"token\",\"what\":\"any\"}]}";

static struct program *program;
static struct integration integration;

static const char *secret(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "token") == 0 ? SECRET : NULL;
}

static int open_program(void **state)
{
    struct buf errors = BUF_NULL;

    (void)state;
    program = program_new(manifest, strlen(manifest), &errors);
    if (!program)
        fail_msg("%s", buf_str(&errors));
    integration = (struct integration){.connector = program_connector(program),
                                       .name = "inst",
                                       .mode = "test",
                                       .is_program = true,
                                       .secret = secret,
                                       .timeout_us = 5000000};
    return 0;
}

static int close_program(void **state)
{
    (void)state;
    program_free(program);
    return 0;
}

/* --- manifests --- */

static void a_manifest_is_refused_with_the_place_of_each_mistake(void **state)
{
    (void)state;
    static const struct {
        const char *text, *fragment;
    } cases[] = {
        {"", "expected a JSON object"},
        {"[]", "expected a JSON object"},
        {"{\"name\":\"t\",\"name\":\"u\"}", "expected a JSON object: 1:"},
        {"{}", "the connector's name"},
        {"{\"name\":\"t\",\"version\":\"1\"}", "neither operations nor webhooks"},
        {"{\"name\":\"t\",\"operations\":{}}", "operations: expected a list"},
        {"{\"name\":\"t\",\"operations\":[7]}", "operations.0: expected an object"},
        {"{\"name\":\"t\",\"operations\":[{\"summary\":\"s\"}]}",
         "operations.0.name is missing"},
        {"{\"name\":\"t\",\"operations\":[{\"name\":\"a\"},{\"name\":7}]}",
         "operations.1.name: expected a text"},
        {"{\"name\":\"t\",\"operations\":[{\"name\":\"a\",\"repeat\":\"often\"}]}",
         "operations.0.repeat: expected never, safe or keyed"},
        {"{\"name\":\"t\",\"operations\":[{\"name\":\"a\",\"timeout_ms\":-1}]}",
         "operations.0.timeout_ms: expected a whole number"},
        {"{\"name\":\"t\",\"operations\":[{\"name\":\"a\",\"is_poll\":1}]}",
         "operations.0.is_poll: expected true or false"},
        {"{\"name\":\"t\",\"operations\":[{\"name\":\"a\",\"price_max\":5}]}",
         "operations.0.price_max: expected {\"currency\""},
        {"{\"name\":\"t\",\"version\":\"1\",\"operations\":[{\"name\":\"a\",\"example\":"
         "7}]"
         "}",
         "operation a: `example` is not a JSON object"},
        {"{\"name\":\"t\",\"version\":\"1\",\"operations\":[{\"name\":\"a\","
         "\"example_found\":{}}]}",
         "operation a: `example_found` goes with a lookup"},
        {"{\"name\":\"t\",\"operations\":[{\"name\":\"a\",\"retries\":1}]}",
         "operations.0.retries: there is no such member"},
        {"{\"name\":\"t\",\"options\":[{\"name\":\"a\",\"type\":\"float\"}]}",
         "options.0.type: expected text, int or bool"},
        {"{\"name\":\"t\",\"publishes\":[7]}", "publishes.0: expected a text"},
        {"{\"name\":\"t\",\"version\":\"1\",\"operations\":[{\"name\":\"a\",\"repeat\":"
         "\"keyed\"}]}",
         "key_lifetime_s"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf errors = BUF_NULL;
        assert_null(program_new(cases[i].text, strlen(cases[i].text), &errors));
        if (!strstr(buf_str(&errors), cases[i].fragment))
            fail_msg("\"%s\" is not in: %s", cases[i].fragment, buf_str(&errors));
        buf_fini(&errors);
    }
}

static void what_our_connectors_print_is_read_again(void **state)
{
    (void)state;
    struct buf first = BUF_NULL, second = BUF_NULL, errors = BUF_NULL;

    manifest_write(program_connector(program), NULL, 0, &first);
    struct program *again = program_new((const char *)first.bytes, first.len, &errors);
    if (!again)
        fail_msg("%s", buf_str(&errors));
    manifest_write(program_connector(again), NULL, 0, &second);
    assert_string_equal(buf_str(&first), buf_str(&second));
    assert_non_null(strstr(buf_str(&first), "\"example\":{\"a\":1}"));
    assert_non_null(strstr(buf_str(&first), "\"price_max\":{\"currency\":\"USD\""));
    assert_non_null(strstr(buf_str(&first), "\"example_found\":{\"key\":\"@KEY@\"}"));
    assert_non_null(strstr(buf_str(&first), "\"absent_status\":404"));
    program_free(again);
    buf_fini(&first);
    buf_fini(&second);
}

static void only_declared_secrets_are_handed_over(void **state)
{
    (void)state;
    char *text = program_secrets(&integration);

    assert_string_equal(text, "{\"token\":\"" SECRET "\"}");
    free(text);
}

static const char *canary(void *user, const char *name)
{
    (void)name;
    return user;
}

static void what_was_handed_over_leaves_nothing_in_memory(void **state)
{
    struct integration holder = integration;
    uint8_t masked[REMAINS_LEN];
    char *value = mem_alloc(100 + REMAINS_LEN + 1);

    (void)state;
    remains_make(masked);
    memset(value, '0', 100); /* what is freed is written over at its beginning */
    remains_write(masked, value + 100);
    holder.secret = canary;
    holder.secret_user = value;
    char *text = program_secrets(&holder);
    assert_int_equal(remains_count(masked), 2); /* its own, and what is handed over */
    explicit_bzero(text, strlen(text));
    free(text);
    assert_int_equal(remains_count(masked), 1);
    explicit_bzero(value, 100 + REMAINS_LEN);
    free(value);
}

/* --- questions --- */

static struct json *question(struct call *call)
{
    char error[120];
    uint64_t timeout_us;
    size_t n;
    const char *line = call_line(call, &n, &timeout_us);

    assert_true(call_is_line(call));
    assert_null(memchr(line, '\n', n));
    struct json *json = js_parse(line, n, error, sizeof(error));
    assert_non_null(json);
    return json;
}

static void a_question_says_all_that_there_is(void **state)
{
    (void)state;
    struct call *call = deliver(
        &integration, (struct delivery){.type = "t.safe.requested",
                                        .data = "{\"cursor\":\"c1\",\"a\":[1,\"\\n\"]}",
                                        .attempt = 3,
                                        .deadline_us = NOW_US + 60000000});
    struct buf text = BUF_NULL;

    assert_true(call_begin(call, NOW_US));
    struct json *q = question(call);
    js_write(q, 0, &text);
    assert_string_equal(
        buf_str(&text),
        "{\"event\":{\"id\":\"01890a5d-ac96-774b-bcce-b302099a8057\","
        "\"type\":\"t.safe.requested\",\"time\":\"2023-11-14T22:13:20.000000Z\","
        "\"deadline\":\"2023-11-14T22:14:20.000000Z\","
        "\"data\":{\"cursor\":\"c1\",\"a\":[1,\"\\n\"]}},\"attempt\":3,\"doubt\":false,"
        "\"cursor\":\"c1\",\"options\":{\"page\":7,\"dry\":true},"
        "\"integration\":\"inst\",\"mode\":\"test\","
        "\"deadline\":\"2023-11-14T22:13:20.700000Z\","
        "\"key\":\"01890a5d-ac96-774b-bcce-b302099a8057\"}");
    js_free(q);
    buf_fini(&text);
    call_free(call);
}

static void data_that_is_no_json_is_text_or_base64(void **state)
{
    (void)state;
    static const struct {
        const char *data, *member, *value;
    } cases[] = {
        {"a=1&b=2", "event.data", "a=1&b=2"},
        {"\xff\xfe", "event.data_base64", "//4="},
    };

    for (size_t i = 0; i < 2; i++) {
        struct call *call =
            deliver(&integration,
                    (struct delivery){.type = "t.safe.requested", .data = cases[i].data});
        assert_true(call_begin(call, NOW_US));
        struct json *q = question(call);
        assert_string_equal(js_text(q, cases[i].member, ""), cases[i].value);
        js_free(q);
        call_free(call);
    }
}

static void a_webhook_is_a_question_too(void **state)
{
    (void)state;
    struct call *call = deliver(&integration, (struct delivery){.type = "inst.Thing.done",
                                                                .data = "{}",
                                                                .flags = RECORD_WEBHOOK});
    struct buf out = BUF_NULL;
    const char line[] = "{\"succeeded\":{\"x\":1}}";

    assert_true(call_begin(call, NOW_US));
    struct json *q = question(call);
    assert_string_equal(js_text(q, "event.type", ""), "inst.Thing.done");
    js_free(q);
    assert_false(call_end_line(
        call, &(struct worker_answer){WORKER_ANSWERED, line, strlen(line), NULL}, 0,
        NOW_US));
    call_write(call, NOW_US, &out);
    const struct record *r = (const struct record *)out.bytes;
    assert_memory_equal(record_type(r), "t.done", r->type_len);
    buf_fini(&out);
    call_free(call);
}

/* --- answers --- */

static struct call *answered(const char *type, const char *line)
{
    struct call *call =
        deliver(&integration, (struct delivery){.type = type, .data = "{}"});

    assert_true(call_begin(call, NOW_US));
    assert_false(call_end_line(
        call, &(struct worker_answer){WORKER_ANSWERED, line, strlen(line), NULL}, 0,
        NOW_US));
    return call;
}

static const struct {
    const char *line;
    enum call_result result; /* of the operation `once` */
    enum record_class class;
    const char *fragment;
} answers[] = {
    {"{\"succeeded\":{\"a\":1}}", CALL_SUCCESS, CLASS_none, ""},
    {"{\"failed\":{\"message\":\"no\"}}", CALL_FAILED, CLASS_permanent, "no"},
    {"{\"failed\":{\"class\":\"unknown\",\"message\":\"who knows\"}}", CALL_FAILED,
     CLASS_unknown, "who knows"},
    {"{\"retry\":{\"after_ms\":20,\"message\":\"later\"}}", CALL_RETRY, CLASS_none,
     "later"},
    {"", CALL_FAILED, CLASS_unknown, "one JSON object"},
    {"null", CALL_FAILED, CLASS_unknown, "one JSON object"},
    {"Traceback", CALL_FAILED, CLASS_unknown, "one JSON object"},
    {"{}", CALL_FAILED, CLASS_unknown, "one of `succeeded`"},
    {"{\"succeeded\":{},\"failed\":{\"message\":\"m\"}}", CALL_FAILED, CLASS_unknown,
     "one of `succeeded`"},
    {"{\"succeded\":{}}", CALL_FAILED, CLASS_unknown, "no member \"succeded\""},
    {"{\"succeeded\":7}", CALL_FAILED, CLASS_unknown, "`succeeded` is an object"},
    {"{\"failed\":{}}", CALL_FAILED, CLASS_unknown, "`failed` has a `message`"},
    {"{\"failed\":\"no\"}", CALL_FAILED, CLASS_unknown, "`failed` has a `message`"},
    {"{\"failed\":{\"class\":\"poison\",\"message\":\"m\"}}", CALL_FAILED, CLASS_unknown,
     "permanent or unknown"},
    {"{\"retry\":{\"after_ms\":-1,\"message\":\"m\"}}", CALL_FAILED, CLASS_unknown,
     "`after_ms`"},
    {"{\"absent\":true}", CALL_FAILED, CLASS_permanent, "a verdict that is not allowed"},
    {"{\"succeeded\":{},\"cost\":{\"currency\":\"USD\"}}", CALL_FAILED, CLASS_unknown,
     "`cost` is"},
    {"{\"succeeded\":{},\"facts\":[{\"type\":\"t.found\"}]}", CALL_FAILED, CLASS_unknown,
     "`facts` is"},
    {"{\"succeeded\":{},\"found\":[{\"type\":\"done\",\"data\":{}}]}", CALL_FAILED,
     CLASS_unknown, "`found` is"},
    {"{\"succeeded\":{},\"found\":7}", CALL_FAILED, CLASS_unknown, "`found` is"},
    {"{\"succeeded\":{},\"facts\":[{\"type\":\"t.found\",\"id\":7,\"data\":{}}]}",
     CALL_FAILED, CLASS_unknown, "1 to 900 bytes"},
    {"{\"succeeded\":{},\"facts\":[{\"type\":\"t.forged\",\"data\":{}}]}", CALL_FAILED,
     CLASS_unknown, "t.forged"},
    {"{\"succeeded\":{},\"cursor\":7}", CALL_FAILED, CLASS_unknown, "`cursor` is a text"},
};

static void every_answer_has_its_result(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct call *call = answered("t.once.requested", answers[i].line);
        if (call_result(call) != answers[i].result ||
            call_class(call) != answers[i].class ||
            !strstr(call_message(call), answers[i].fragment))
            fail_msg("%s: %d/%s: %s", answers[i].line, call_result(call),
                     class_name(call_class(call)), call_message(call));
        call_free(call);
    }
}

static void a_success_brings_cost_cursor_and_facts(void **state)
{
    (void)state;
    struct call *call = answered(
        "t.safe.requested",
        "{\"succeeded\":{\"n\":1,\"echo\":\"" SECRET
        "\"},\"cursor\":\"c2\",\"more\":true,"
        "\"cost\":{\"currency\":\"usd\",\"micros\":290000,\"kind\":\"estimated\"},"
        "\"facts\":[{\"type\":\"t.found\",\"key\":\"k\",\"data\":{\"x\":[1]}}]}");
    struct buf out = BUF_NULL;
    size_t offset;
    const char *why;

    const struct sb_outcome *o = call_outcome(call);
    assert_non_null(o);
    assert_int_equal(o->cost, 290000);
    assert_int_equal(o->cost_kind, SB_ESTIMATED);
    assert_string_equal(o->cursor, "c2");
    assert_true(o->more);
    call_write(call, NOW_US, &out);
    assert_int_equal(record_count(out.bytes, out.len, &offset, &why), 2);
    const struct record *fact = record_after((const struct record *)out.bytes);
    assert_memory_equal(record_data(fact), "{\"x\":[1]}", fact->data_len);
    assert_null(memmem(out.bytes, out.len, SECRET, strlen(SECRET)));
    buf_fini(&out);
    call_free(call);
}

static void a_program_brings_the_providers_own_events(void **state)
{
    (void)state;
    struct call *call = answered(
        "t.safe.requested",
        "{\"succeeded\":{},\"facts\":[{\"type\":\"t.found\",\"id\":\"e1\",\"data\":{}}],"
        "\"found\":[{\"id\":\"e2\",\"type\":\"thing.done\",\"data\":{\"n\":1}}]}");
    const struct sb_outcome *o = call_outcome(call);

    assert_non_null(o);
    assert_int_equal(o->n_facts, 2);
    assert_string_equal(o->facts[0].event_id, "e1");
    assert_string_equal(o->facts[1].event_id, "e2");
    assert_string_equal(buf_str(&o->facts[1].text), "{\"n\":1}");
    call_free(call);
}

/* --- no answer --- */

static const struct {
    enum worker_result result;
    unsigned deaths;
    enum call_result once, safe;
    enum record_class once_class, safe_class;
} silences[] = {
    {WORKER_NOT_ASKED, 0, CALL_RETRY, CALL_RETRY, CLASS_none, CLASS_none},
    {WORKER_SILENT, 0, CALL_FAILED, CALL_RETRY, CLASS_unknown, CLASS_none},
    {WORKER_ENDED, 1, CALL_FAILED, CALL_RETRY, CLASS_unknown, CLASS_none},
    {WORKER_ENDED, 2, CALL_FAILED, CALL_RETRY, CLASS_unknown, CLASS_none},
    {WORKER_ENDED, 3, CALL_FAILED, CALL_FAILED, CLASS_unknown, CLASS_poison},
};

static void a_worker_that_says_nothing_is_taken_as_the_operation_allows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(silences) / sizeof(silences[0]); i++)
        for (int is_safe = 0; is_safe < 2; is_safe++) {
            struct call *call = deliver(
                &integration, (struct delivery){.type = is_safe ? "t.safe.requested"
                                                                : "t.once.requested",
                                                .data = "{}"});
            assert_true(call_begin(call, NOW_US));
            assert_false(call_end_line(
                call,
                &(struct worker_answer){.result = silences[i].result, .why = "it ended"},
                silences[i].deaths, NOW_US));
            assert_int_equal(call_result(call),
                             is_safe ? silences[i].safe : silences[i].once);
            assert_int_equal(call_class(call),
                             is_safe ? silences[i].safe_class : silences[i].once_class);
            assert_non_null(strstr(call_message(call), "it ended"));
            call_free(call);
        }
}

static void what_has_a_lookup_is_asked_before_it_is_done_again(void **state)
{
    (void)state;
    static const struct worker_answer ended = {.result = WORKER_ENDED, .why = "it ended"};
    static const char absent[] = "{\"absent\":true}",
                      done[] = "{\"succeeded\":{\"a\":1}}";
    struct call *call = deliver(
        &integration,
        (struct delivery){
            .type = "t.asked.requested", .data = "{}", .attempt = 2, .in_doubt = true});

    assert_true(call_begin(call, NOW_US));
    struct json *q = question(call);
    assert_true(js_bool(q, "lookup", false));
    assert_true(js_bool(q, "doubt", false));
    js_free(q);
    assert_int_equal(call_pause_us(call), 5000000);
    assert_true(call_end_line(call, &ended, 1, NOW_US)); /* asked again */
    assert_true(call_end_line(
        call, &(struct worker_answer){WORKER_ANSWERED, absent, strlen(absent), NULL}, 0,
        NOW_US));
    q = question(call);
    assert_null(js_get(q, "lookup"));
    js_free(q);
    assert_int_equal(call_pause_us(call), 0);
    assert_true(call_end_line(call, &ended, 2, NOW_US)); /* and looked up once more */
    assert_false(call_end_line(
        call, &(struct worker_answer){WORKER_ANSWERED, done, strlen(done), NULL}, 0,
        NOW_US));
    assert_int_equal(call_result(call), CALL_SUCCESS);
    call_free(call);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_manifest_is_refused_with_the_place_of_each_mistake),
        cmocka_unit_test(what_our_connectors_print_is_read_again),
        cmocka_unit_test(only_declared_secrets_are_handed_over),
        cmocka_unit_test(what_was_handed_over_leaves_nothing_in_memory),
        cmocka_unit_test(a_question_says_all_that_there_is),
        cmocka_unit_test(data_that_is_no_json_is_text_or_base64),
        cmocka_unit_test(a_webhook_is_a_question_too),
        cmocka_unit_test(every_answer_has_its_result),
        cmocka_unit_test(a_success_brings_cost_cursor_and_facts),
        cmocka_unit_test(a_program_brings_the_providers_own_events),
        cmocka_unit_test(a_worker_that_says_nothing_is_taken_as_the_operation_allows),
        cmocka_unit_test(what_has_a_lookup_is_asked_before_it_is_done_again),
    };
    return cmocka_run_group_tests(tests, open_program, close_program);
}
