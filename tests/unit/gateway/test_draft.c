/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/draft.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

#define BASE "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\""

/* Read an event of these members. */
static bool draft_of(struct draft *d, const char *members)
{
    char error[128];
    _free_ char *text = mem_format("{%s%s%s}", BASE, *members ? "," : "", members);
    struct json *event = js_parse(text, strlen(text), error, sizeof(error));
    assert_non_null(event);
    bool good = draft_read_json(d, event, (struct slice_text){text, strlen(text)}, NULL);
    js_free(event);
    return good;
}

static void refusal_names_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *members, *why;
    } cases[] = {
        {"\"subject\":5", "`subject` must be a text"},
        {"\"Bad_Name\":\"x\"", "`Bad_Name` is not named"},
        {"\"ratio\":1.5", "`ratio` is neither text"},
        {"\"endpoint\":\"stripe\"", "`endpoint` is this system's"},
        {"\"errormsg\":\"x\"", "`errormsg` is this system's"},
        {"\"actor\":\"me\"", "`actor` is this system's"},
        {"\"lease\":\"l\"", "`lease` is this system's"},
        {"\"block\":1", "`block` is this system's"},
        {"\"data\":1,\"data_base64\":\"AAE=\"", "not both"},
        {"\"data_base64\":5", "data_base64 is not base64"},
        {"\"data_base64\":\"*\"", "data_base64 is not base64"},
        {"\"key\":\"a\",\"partitionkey\":\"a\"", "are one"},
        {"\"partitionkey\":\"\"", "1 to 255 bytes"},
        {"\"time\":\"noon\"", "time is not of RFC 3339"},
        {"\"integration\":\"No Name\"", "integration is not a name"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct draft d = {0};
        if (draft_of(&d, cases[i].members) || !strstr(d.why, cases[i].why))
            fail_msg("%s: %s", cases[i].members, d.why);
        draft_fini(&d);
    }
}

static void ordering_key_has_a_bound(void **state)
{
    (void)state;
    char key[257] = {0};
    for (size_t n = 255; n <= 256; n++) {
        struct draft d = {0};
        memset(key, 'k', n);
        _free_ char *member = mem_format("\"partitionkey\":\"%s\"", key);
        assert_int_equal(draft_of(&d, member), n == 255);
        draft_fini(&d);
    }
}

/* What a reader gets back must mean what was sent. */
static void type_of_the_data_is_kept(void **state)
{
    (void)state;
    static const struct {
        const char *members, *type, *data;
        bool is_json;
    } cases[] = {
        {"\"data\":{\"a\":1.0}", NULL, "{\"a\":1.0}", true},
        {"\"data\":[1],\"datacontenttype\":\"application/json\"", NULL, "[1]", true},
        {"\"data\":{},\"datacontenttype\":\"application/vnd.x+json\"",
         "application/vnd.x+json", "{}", true},
        {"\"data\":{},\"datacontenttype\":\"application/xml\"", "application/xml", "{}",
         true},
        {"\"data\":\"t\",\"datacontenttype\":\"text/plain\"", "text/plain", "t", false},
        {"\"data\":\"t\"", NULL, "\"t\"", true},
        {"\"data_base64\":\"eyJhIjoxfQ==\",\"datacontenttype\":\"application/json\"",
         NULL, "{\"a\":1}", true},
        {"\"data_base64\":\"aGk=\",\"datacontenttype\":\"application/json\"",
         "application/json", "hi", false},
        {"\"data_base64\":\"e30=\",\"datacontenttype\":\"image/png\"", "image/png", "{}",
         false},
        {"", NULL, "", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct draft d = {0};
        struct buf attrs = {0};
        assert_true(draft_of(&d, cases[i].members));
        draft_write_attrs(&d, false, &attrs);
        _free_ char *type = attrs_copy_text(attrs.bytes, attrs.len, ATTR_CONTENT_TYPE);
        bool same_type = type && cases[i].type ? !strcmp(type, cases[i].type)
                                               : !type && !cases[i].type;
        if (!same_type || d.is_json != cases[i].is_json ||
            strcmp(buf_str(&d.data), cases[i].data) != 0)
            fail_msg("%s: %s, %s", cases[i].members, type ? type : "(none)",
                     buf_str(&d.data));
        buf_fini(&attrs);
        draft_fini(&d);
    }
}

static void trace_that_is_none_is_ignored(void **state)
{
    (void)state;
    struct draft d = {0}, good = {0};
    assert_true(draft_of(&d, "\"traceparent\":\"zzz\",\"tracestate\":\"a=b\""));
    assert_null(d.traceparent);
    assert_null(d.tracestate);
    assert_true(draft_of(&good, "\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-"
                                "b7ad6b7169203331-01\",\"tracestate\":\"a=b\""));
    assert_non_null(good.traceparent);
    assert_string_equal(good.tracestate, "a=b");
    draft_fini(&d);
    draft_fini(&good);
}

static void same_content_has_the_same_hash(void **state)
{
    (void)state;
    struct draft a = {0}, b = {0}, other = {0};
    assert_true(draft_of(&a, "\"data\":1"));
    assert_true(draft_of(&b, "\"data\":1,\"colour\":\"red\""));
    assert_true(draft_of(&other, "\"data\":2"));
    assert_true(draft_content_hash(&a) == draft_content_hash(&b));
    assert_true(draft_content_hash(&a) != draft_content_hash(&other));
    draft_fini(&a);
    draft_fini(&b);
    draft_fini(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refusal_names_what_is_wrong),
        cmocka_unit_test(ordering_key_has_a_bound),
        cmocka_unit_test(type_of_the_data_is_kept),
        cmocka_unit_test(trace_that_is_none_is_ignored),
        cmocka_unit_test(same_content_has_the_same_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
