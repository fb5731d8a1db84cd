/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "answer.h"
#include "delivery.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "proto/attrs.h"

#define KEY "sk_test_0123456789"

static const char *const publishes[] = {"t.seen", NULL};
static size_t taken; /* of the last poll */

static enum sb_verdict request(const struct sb_event *event, struct sb_request *request,
                               struct sb_outcome *outcome)
{
    (void)event, (void)outcome;
    sb_call(request, "GET", "/v1/events");
    return SB_DONE;
}

/* The answer is a list of {id, type, data}; what is of the connector's own type is a
 * fact.
 */
static enum sb_verdict succeeded(const struct sb_event *event,
                                 const struct sb_answer *answer,
                                 struct sb_outcome *outcome)
{
    const struct sb_json *list = sb_answer_json(answer);

    (void)event;
    for (taken = 0; taken < sb_count(list, ""); taken++) {
        const struct sb_json *one = sb_element(list, taken);
        const char *id = sb_text(one, "id"), *type = sb_text(one, "type");
        if (type && strncmp(type, "t.", 2) == 0)
            sb_put(sb_fact_once(outcome, type, NULL, id), "item", one);
        else if (!sb_found(outcome, id, type, sb_at(one, "data")))
            break;
    }
    return SB_DONE;
}

static enum sb_verdict failed(const struct sb_event *event,
                              const struct sb_answer *answer, struct sb_outcome *outcome)
{
    (void)event, (void)answer;
    return sb_default(outcome, "no");
}

static const struct sb_operation operations[] = {{.name = "poll",
                                                  SB_BRANCHES(request, succeeded, failed),
                                                  .repeat = SB_REPEAT_SAFE,
                                                  .is_poll = true},
                                                 {.name = NULL}};
static const struct sb_secret secrets[] = {{"api_key", "", "", false}, {.name = NULL}};
static const struct sb_connector connector = {.name = "t",
                                              .version = "1",
                                              .operations = operations,
                                              .secrets = secrets,
                                              .publishes = publishes};

static const char *secret(void *user, const char *name)
{
    (void)user, (void)name;
    return KEY;
}

static struct integration named(const char *name)
{
    return (struct integration){.connector = &connector,
                                .name = name,
                                .base_url = "https://api.test/",
                                .secret = secret};
}

static struct call *polled(const struct integration *integration, const char *body)
{
    struct call *call =
        deliver(integration, (struct delivery){.type = "t.poll.requested", .data = "{}"});

    assert_true(call_begin(call, NOW_US));
    assert_false(
        call_end(call, &(struct http_call){.status = 200, .body = body}, NOW_US));
    return call;
}

static void expect_fact(const struct record *r, const char *type, const char *event_id,
                        const char *data)
{
    _free_ char *said =
        attrs_copy_text(record_attrs(r), r->attr_len, ATTR_IDEMPOTENCY_KEY);

    assert_int_equal(r->kind, RECORD_FACT);
    assert_int_equal(r->flags, RECORD_JSON);
    assert_int_equal(r->type_len, strlen(type));
    assert_memory_equal(record_type(r), type, r->type_len);
    assert_memory_equal(r->cause, delivery_id, 16);
    assert_string_equal(said, event_id);
    assert_int_equal(r->data_len, strlen(data));
    assert_memory_equal(record_data(r), data, r->data_len);
}

static void
what_is_found_is_under_the_integrations_name_and_the_providers_id(void **state)
{
    const struct integration in = named("inst");
    struct call *call = polled(
        &in, "[{\"id\":\"e1\",\"type\":\"thing.done\",\"data\":{\"n\":1.25,\"k\":\"" KEY
             "\"}},{\"id\":\"e2\",\"type\":\"t.seen\"}]");
    struct buf out = BUF_NULL;
    const char *why;
    size_t offset;

    (void)state;
    call_write(call, NOW_US, &out);
    assert_int_equal(record_count(out.bytes, out.len, &offset, &why), 3);
    const struct record *r = record_after((const struct record *)out.bytes);
    expect_fact(r, "inst.thing.done", "e1", "{\"n\":1.25,\"k\":\"******************\"}");
    r = record_after(r);
    expect_fact(r, "t.seen", "e2", "{\"item\":{\"id\":\"e2\",\"type\":\"t.seen\"}}");
    buf_fini(&out);
    call_free(call);
}

static void what_cannot_be_stored_fails_the_outcome_and_says_why(void **state)
{
    static const struct {
        const char *name, *body, *fragment;
    } cases[] = {
        {"inst", "[{\"type\":\"a\"}]", "1 to 900 bytes"},
        {"inst", "[{\"id\":\"\",\"type\":\"a\"}]", "1 to 900 bytes"},
        {"inst", "[{\"id\":\"\",\"type\":\"t.seen\"}]", "1 to 900 bytes"},
        {"inst", "[{\"id\":\"e\",\"type\":\"t.other\"}]", "t.other"},
        {"inst", "[{\"id\":\"e\"}]", "cannot be stored"},
        {"inst", "[{\"id\":\"e\",\"type\":\"a/b\"}]", "a/b"},
        {"inst", "[{\"id\":\"e\",\"type\":\"a..b\"}]", "a..b"},
        {"t", "[{\"id\":\"e\",\"type\":\"poll.requested\"}]", "poll.requested"},
        {"t", "[{\"id\":\"e\",\"type\":\"poll.failed\"}]", "poll.failed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct integration in = named(cases[i].name);
        struct call *call = polled(&in, cases[i].body);
        assert_int_equal(call_result(call), CALL_FAILED);
        assert_int_equal(call_class(call), CLASS_permanent);
        if (!strstr(call_message(call), cases[i].fragment))
            fail_msg("case %zu: %s", i, call_message(call));
        call_free(call);
    }
}

static void write_list(struct buf *out, size_t n, size_t bytes)
{
    for (size_t i = 0; i < n; i++) {
        buf_format(out, "%c{\"id\":\"e%zu\",\"type\":\"a\",\"data\":{\"x\":\"",
                   i ? ',' : '[', i);
        for (size_t j = 0; j < bytes; j++)
            buf_text(out, "x");
        buf_text(out, "\"}}");
    }
    buf_text(out, "]");
}

/* Whatever is taken can be written: nothing of it fails for its size. */
static void an_outcome_takes_what_fits_and_leaves_the_rest_to_the_next_run(void **state)
{
    static const struct {
        size_t n, bytes, taken;
    } cases[] = {
        {3, 10, 3},
        {1003, 10, 1000},
        {4, 600000, 2},
        {2, 1000000, 1}, /* the first one always */
    };
    const struct integration in = named("inst");

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf list = BUF_NULL, out = BUF_NULL;
        const char *why;
        size_t offset;
        write_list(&list, cases[i].n, cases[i].bytes);
        struct call *call = polled(&in, buf_str(&list));
        assert_int_equal(call_result(call), CALL_SUCCESS);
        assert_int_equal(taken, cases[i].taken);
        call_write(call, NOW_US, &out);
        assert_int_equal(call_result(call), CALL_SUCCESS);
        assert_int_equal(record_count(out.bytes, out.len, &offset, &why), 1 + taken);
        assert_true(out.len <= RECORD_GROUP_MAX);
        call_free(call);
        buf_fini(&list);
        buf_fini(&out);
    }
}

static void an_event_too_large_to_be_stored_holds_nothing_up(void **state)
{
    const struct integration in = named("inst");
    struct buf list = BUF_NULL, out = BUF_NULL;

    (void)state;
    write_list(&list, 1, RECORD_DATA_MAX);
    struct call *call = polled(&in, buf_str(&list));
    call_write(call, NOW_US, &out);
    expect_fact(record_after((const struct record *)out.bytes), "inst.a", "e0",
                "{\"left_out\":\"the event's data was over 1 MiB\"}");
    call_free(call);
    buf_fini(&list);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            what_is_found_is_under_the_integrations_name_and_the_providers_id),
        cmocka_unit_test(what_cannot_be_stored_fails_the_outcome_and_says_why),
        cmocka_unit_test(an_outcome_takes_what_fits_and_leaves_the_rest_to_the_next_run),
        cmocka_unit_test(an_event_too_large_to_be_stored_holds_nothing_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
