/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "proto/message.h"

/* A DELIVER with slices of 2, 0 and 1 records. */
static struct message *deliver(struct buf *out)
{
    static const uint32_t counts[] = {2, 0, 1};
    struct buf records = BUF_NULL;

    message_begin(out, MSG_DELIVER, 42);
    for (size_t i = 0; i < 3; i++) {
        buf_clear(&records);
        for (uint32_t n = 0; n < counts[i]; n++)
            record_add(&records, &(struct record_parts){.kind = RECORD_REQUEST,
                                                        .type = "a.b",
                                                        .time_us = i * 10 + n});
        struct slice s = {
            .block = i + 1, .count = counts[i], .bytes = (uint32_t)records.len};
        buf_add(out, &s, sizeof(s));
        buf_add(out, records.bytes, records.len);
    }
    buf_fini(&records);
    return message_end(out);
}

static int walk(const struct message *m, const char **ret_why)
{
    const struct record *records = NULL;
    const struct slice *s = NULL;
    int n = 0;

    while ((s = message_slice(m, s, &records, ret_why)))
        n += (int)s->count;
    return n;
}

static void a_frame_comes_back_as_it_was_made(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    message_begin(&out, MSG_PING, 7);
    buf_add(&out, "12345678", 8);
    message_end(&out)->count = 3;
    const struct message *m = message_check(out.bytes, out.len, &why);
    assert_non_null(m);
    assert_int_equal(m->type, MSG_PING);
    assert_int_equal(m->ref, 7);
    assert_int_equal(m->count, 3);
    assert_int_equal(m->body_len, 8);
    assert_memory_equal(message_body(m), "12345678", 8);
    buf_fini(&out);
}

static void a_frame_that_is_not_ours_is_refused_with_a_reason(void **state)
{
    static const struct {
        size_t offset;
        uint8_t value;
        const char *why;
    } cases[] = {{0, 'G', "magic"},
                 {2, 9, "version"},
                 {8, 1, "body length"},
                 {11, 0xff, "body length"}};
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        message_begin(&out, MSG_PING, 7);
        message_end(&out);
        out.bytes[cases[i].offset] = cases[i].value;
        assert_null(message_check(out.bytes, out.len, &why));
        assert_non_null(strstr(why, cases[i].why));
    }
    static const char http[] __attribute__((aligned(8))) =
        "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_null(message_check(http, sizeof(http), &why));
    for (size_t n = 0; n < sizeof(struct message); n++)
        assert_null(message_check(out.bytes, n, &why));
    buf_fini(&out);
}

static void slices_are_walked_to_the_end(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = "x";

    (void)state;
    assert_int_equal(walk(deliver(&out), &why), 3);
    assert_null(why);
    buf_fini(&out);
}

static void slices_cut_anywhere_are_refused(void **state)
{
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    deliver(&out);
    for (size_t n = sizeof(struct message) + 1; n < out.len; n++) {
        _free_ uint8_t *cut = mem_copy(out.bytes, n);
        struct message *m = (struct message *)(void *)cut;
        m->body_len = (uint32_t)(n - sizeof(*m));
        int records = walk(m, &why);
        assert_true(why || records < 3); /* a cut between slices leaves a whole message */
    }
    buf_fini(&out);
}

static void a_slice_that_lies_is_refused(void **state)
{
    static const struct {
        size_t offset;
        uint32_t value;
    } cases[] = {{offsetof(struct slice, bytes), 0xfffffff8},
                 {offsetof(struct slice, bytes), 7},
                 {offsetof(struct slice, bytes), 8},
                 {offsetof(struct slice, count), 1},
                 {offsetof(struct slice, count), 0xffffffff}};
    struct buf out = BUF_NULL;
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const struct message *m = deliver(&out);
        memcpy(out.bytes + sizeof(*m) + cases[i].offset, &cases[i].value, 4);
        assert_int_equal(walk(m, &why), 0);
        assert_non_null(why);
    }
    buf_fini(&out);
}

static void messages_and_errors_have_names(void **state)
{
    (void)state;
    assert_string_equal(message_name(MSG_PUBLISH), "PUBLISH");
    assert_string_equal(message_name(MSG_FULL), "FULL");
    assert_string_equal(message_name(0), "?");
    assert_string_equal(message_name(40), "?");
    assert_string_equal(message_name(1000), "?");
    for (unsigned i = 1; i < ERR_COUNT; i++) {
        const struct error_info *e = error_info(i);
        assert_int_equal(error_find(e->name, strlen(e->name)), i);
        assert_in_range(e->http_status, 400, 599);
        assert_true(strlen(e->sentence) > 10);
    }
    assert_int_equal(error_find("nothing", 7), 0);
    assert_int_equal(error_info(ERR_COUNT)->http_status, 500);
    assert_int_equal(error_info(12345678)->http_status, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_comes_back_as_it_was_made),
        cmocka_unit_test(a_frame_that_is_not_ours_is_refused_with_a_reason),
        cmocka_unit_test(slices_are_walked_to_the_end),
        cmocka_unit_test(slices_cut_anywhere_are_refused),
        cmocka_unit_test(a_slice_that_lies_is_refused),
        cmocka_unit_test(messages_and_errors_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
