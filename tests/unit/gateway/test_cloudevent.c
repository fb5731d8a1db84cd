/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cloudevent.h"
#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "proto/attrs.h"
#include "proto/record.h"

static struct buf attrs, out;

static int begin(void **state)
{
    (void)state;
    attrs_begin(&attrs);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_fini(&attrs);
    buf_fini(&out);
    return 0;
}

static struct json *convert(struct record_parts parts,
                            const struct cloudevent_around *around)
{
    uint8_t id[16] = {1};
    parts.type = "order.placed";
    parts.id = parts.id ? parts.id : id;
    parts.attrs = attrs.bytes;
    parts.attr_len = attrs.len;
    assert_true(record_add(&out, &parts) >= 0);
    return cloudevent_json((const struct record *)(const void *)out.bytes, around);
}

static void attributes_have_the_names_of_cloudevents(void **state)
{
    (void)state;
    uint8_t id[16];
    id_foreign("o-1", id);
    attrs_text(&attrs, ATTR_ID, "o-1");
    attrs_text(&attrs, ATTR_SOURCE, "shop");
    attrs_text(&attrs, ATTR_SUBJECT, "order 1");
    attrs_text(&attrs, ATTR_SCHEMA, "https://example.com/s");
    attrs_text(&attrs, ATTR_TRACEPARENT, "00-x");
    attrs_text(&attrs, ATTR_TRACESTATE, "a=b");
    attrs_named_text(&attrs, "myext", "here");
    attrs_named_int(&attrs, "mycount", 7);
    struct record_parts parts = {.kind = RECORD_FACT,
                                 .flags = RECORD_FOREIGN_ID | RECORD_JSON,
                                 .id = id,
                                 .key = "c7",
                                 .time_us = 1767323045000000,
                                 .data = "{\"n\":1}",
                                 .data_len = 7};
    struct json *e = convert(parts, &(struct cloudevent_around){.timestamp_us = 1});
    static const char *const expected[][2] = {
        {"specversion", "1.0"},
        {"id", "o-1"},
        {"source", "shop"},
        {"type", "order.placed"},
        {"subject", "order 1"},
        {"time", "2026-01-02T03:04:05.000000Z"},
        {"partitionkey", "c7"},
        {"dataschema", "https://example.com/s"},
        {"traceparent", "00-x"},
        {"tracestate", "a=b"},
        {"myext", "here"},
        {"kind", "fact"},
        {"status", "Pending"},
        {"datacontenttype", "application/json"},
        {"recordedtime", "1970-01-01T00:00:00.000001Z"},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_string_equal(js_text(e, expected[i][0], "none"), expected[i][1]);
    assert_int_equal(js_int(e, "mycount", 0), 7);
    assert_int_equal(js_int(e, "data.n", 0), 1);
    js_free(e);
}

/* Every attribute of CloudEvents has a name of lower-case letters and digits. */
static void no_name_is_one_that_cloudevents_forbids(void **state)
{
    (void)state;
    for (unsigned a = ATTR_ID; a < ATTR_COUNT; a++)
        if (a != ATTR_KEY) /* set by the record's maker */
            attrs_text(&attrs, (enum attr)a, "x");
    uint8_t cause[16] = {5};
    struct record_parts parts = {.kind = RECORD_OUTCOME,
                                 .status = STATUS_FAILED,
                                 .error_class = CLASS_permanent,
                                 .cause = cause,
                                 .attempt = 2,
                                 .key = "k"};
    struct json *e = convert(parts, &(struct cloudevent_around){.timestamp_us = 1,
                                                                .integration = "stripe",
                                                                .service = "Stripe"});
    void *cursor = NULL;
    const char *name;
    do {
        if (!js_next(e, &cursor, &name))
            break;
        size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789");
        if (strcmp(name, "data_base64") != 0)
            assert_int_equal(n, strlen(name));
    } while (cursor);
    assert_string_equal(js_text(e, "errorclass", ""), "permanent");
    assert_string_equal(js_text(e, "integration", ""), "stripe");
    assert_int_equal(js_int(e, "attempt", 0), 2);
    js_free(e);
}

static void number_over_32_bits_goes_as_text(void **state)
{
    (void)state;
    attrs_int(&attrs, ATTR_COST, 5000000000);
    struct json *e = convert((struct record_parts){.kind = RECORD_FACT},
                             &(struct cloudevent_around){.timestamp_us = 1});
    assert_string_equal(js_text(e, "cost", ""), "5000000000");
    js_free(e);
}

static void source_of_what_has_none_is_its_integration(void **state)
{
    (void)state;
    struct json *e =
        convert((struct record_parts){.kind = RECORD_FACT},
                &(struct cloudevent_around){.timestamp_us = 1, .integration = "stripe"});
    assert_string_equal(js_text(e, "source", ""), "/integrations/stripe");
    js_free(e);
}

static void data_that_is_no_text_goes_in_base64(void **state)
{
    (void)state;
    attrs_text(&attrs, ATTR_CONTENT_TYPE, "image/png");
    struct json *e = convert(
        (struct record_parts){.kind = RECORD_FACT, .data = "\xff\0\1", .data_len = 3},
        &(struct cloudevent_around){.timestamp_us = 1});
    assert_string_equal(js_text(e, "data_base64", ""), "/wAB");
    assert_string_equal(js_text(e, "datacontenttype", ""), "image/png");
    assert_null(js_get(e, "data"));
    js_free(e);
}

/* Under a JSON type `data` is a JSON value, and a text would be read as JSON's own. */
static void text_of_a_json_type_that_is_no_json_goes_in_base64(void **state)
{
    (void)state;
    attrs_text(&attrs, ATTR_CONTENT_TYPE, "application/json");
    struct json *e =
        convert((struct record_parts){.kind = RECORD_FACT, .data = "hi", .data_len = 2},
                &(struct cloudevent_around){.timestamp_us = 1});
    assert_string_equal(js_text(e, "data_base64", ""), "aGk=");
    js_free(e);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(attributes_have_the_names_of_cloudevents),
        TEST(no_name_is_one_that_cloudevents_forbids),
        TEST(number_over_32_bits_goes_as_text),
        TEST(source_of_what_has_none_is_its_integration),
        TEST(data_that_is_no_text_goes_in_base64),
        TEST(text_of_a_json_type_that_is_no_json_goes_in_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
