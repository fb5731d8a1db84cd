/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What /metrics says: of what is counted here, of a broker's status made by hand, and
 * without one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/audit.h"
#include "gateway/metrics.h"
#include "gateway/query.h"
#include "gateway/route.h"
#include "lib/base/json.h"
#include "lib/loop/loop.h"
#include "tests/unit/gateway/box.h"

enum { ASK_US = 2 * 1000 * 1000 };

#define STATUS                                                                           \
    "{\"requests\":12,\"full\":true,\"refused\":{\"overloaded\":3,\"not_yours\":1},"     \
    "\"groups\":["                                                                       \
    "{\"name\":\"stripe\",\"kind\":\"integration\",\"pending\":4,\"limits\":"            \
    "{\"breaker\":{\"state\":\"open\"},\"budget\":{\"spent_micros\":5}}},"               \
    "{\"name\":\"mail\",\"kind\":\"integration\",\"limits\":{\"breaker\":"               \
    "{\"state\":\"closed\"}}},"                                                          \
    "{\"name\":\"a\\\\b\\\"c\\nd\",\"kind\":\"consumer\",\"pending\":7}]}"

static const char *write(struct box *box, const char *status, struct buf *out)
{
    struct json *json =
        status ? js_parse(status, strlen(status), (char[64]){0}, 64) : NULL;
    buf_clear(out);
    metrics_write(&box->gateway, json, out);
    js_free(json);
    return buf_str(out);
}

static void assert_line(const char *text, const char *line)
{
    char whole[256];
    snprintf(whole, sizeof(whole), "\nsignalbox_%s\n", line);
    if (!strstr(text, whole))
        fail_msg("no line `%s` in\n%s", line, text);
}

static void what_the_broker_counts_is_told_by_its_place(void **state)
{
    struct box *box = *state;
    struct buf out = BUF_NULL;
    const char *text = write(box, STATUS, &out);
    assert_line(text, "broker_up 1");
    assert_line(text, "requests_total 12");
    assert_line(text, "log_full 1");
    assert_line(text, "broker_refused_total{reason=\"overloaded\"} 3");
    assert_line(text, "broker_refused_total{reason=\"not_yours\"} 1");
    assert_line(text, "group_pending{group=\"stripe\",kind=\"integration\"} 4");
    assert_line(text, "integration_breaker_open{integration=\"stripe\"} 1");
    assert_line(text, "integration_breaker_open{integration=\"mail\"} 0");
    assert_line(text, "integration_budget_spent_micros{integration=\"stripe\"} 5");
    assert_null(strstr(text, "budget_spent_micros{integration=\"mail\"}")); /* has none */
    assert_null(strstr(text, "signalbox_facts_total")); /* the status does not say */
    buf_fini(&out);
}

static void names_are_escaped(void **state)
{
    struct box *box = *state;
    struct buf out = BUF_NULL;
    assert_line(write(box, STATUS, &out),
                "group_pending{group=\"a\\\\b\\\"c\\nd\",kind=\"consumer\"} 7");
    buf_fini(&out);
}

static void without_a_broker_its_figures_are_left_out(void **state)
{
    struct box *box = *state;
    struct buf out = BUF_NULL;
    const char *text = write(box, NULL, &out);
    assert_line(text, "broker_up 0");
    assert_null(strstr(text, "requests_total 12"));
    assert_null(strstr(text, "signalbox_group_"));
    assert_null(strstr(text, "signalbox_unaccounted")); /* no audit has ended */
    assert_line(text,
                "webhooks_accepted_total{integration=\"stripe\",endpoint=\"stripe\"} 0");
    buf_fini(&out);
}

static void each_metric_has_one_head_before_its_lines(void **state)
{
    struct box *box = *state;
    struct buf out = BUF_NULL;
    metrics_answered(box->gateway.metrics, 1, 200, 1);
    const char *text = write(box, STATUS, &out);
    unsigned heads = 0;
    for (const char *at = text; (at = strstr(at, "# HELP signalbox_")); at++, heads++) {
        char name[80], type[120];
        assert_int_equal(sscanf(at, "# HELP signalbox_%70s", name), 1);
        snprintf(type, sizeof(type), "# TYPE signalbox_%s ", name);
        const char *said = strstr(text, type);
        assert_non_null(said);
        assert_null(strstr(said + 1, type));
        assert_ptr_equal(strchr(at, '\n') + 1, said);
    }
    assert_in_range(heads, 10, 60);
    buf_fini(&out);
}

static void answers_are_counted_by_route_and_status(void **state)
{
    struct box *box = *state;
    struct buf out = BUF_NULL;
    struct metrics *m = box->gateway.metrics;
    metrics_answered(m, 1, 200, 900);
    metrics_answered(m, 1, 200, 1000); /* at a bound: in it */
    metrics_answered(m, 1, 401, 1001);
    metrics_answered(m, 1, 200, UINT64_C(99000000)); /* above all bounds */
    metrics_answered(m, 0, 404, 10);                 /* no route fitted */
    metrics_answered(m, route_count() + 1, 404, 10); /* there is no such route */
    metrics_answered(m, 1, 99, 10);                  /* no status: timed, not counted */
    const char *text = write(box, NULL, &out);
#define WEBHOOKS "method=\"POST\",route=\"/webhooks/*\""
    assert_line(text, "http_requests_total{" WEBHOOKS ",code=\"200\"} 3");
    assert_line(text, "http_requests_total{" WEBHOOKS ",code=\"401\"} 1");
    assert_line(text,
                "http_requests_total{method=\"none\",route=\"none\",code=\"404\"} 2");
    assert_line(text,
                "http_request_duration_seconds_bucket{" WEBHOOKS ",le=\"0.001\"} 3");
    assert_line(text,
                "http_request_duration_seconds_bucket{" WEBHOOKS ",le=\"0.0025\"} 4");
    assert_line(text, "http_request_duration_seconds_bucket{" WEBHOOKS ",le=\"10\"} 4");
    assert_line(text, "http_request_duration_seconds_bucket{" WEBHOOKS ",le=\"+Inf\"} 5");
    assert_line(text, "http_request_duration_seconds_count{" WEBHOOKS "} 5");
    assert_line(text, "http_request_duration_seconds_sum{" WEBHOOKS "} 99.002911");
    buf_fini(&out);
}

static void a_silent_broker_delays_the_page_and_does_not_prevent_it(void **state)
{
    struct box *box = *state;
    int fd = ask(box, "GET", "/metrics", AUTH, "", 0);
    settle(box);
    _answer_ struct answer early = hear(box, ask(box, "GET", "/healthz", "", "", 0), 100);
    assert_int_equal(early.status, 200);
    loop_advance(box->gateway.loop, ASK_US);
    _answer_ struct answer answer = hear(box, fd, HEAR_MS);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(buf_str(&answer.text), "signalbox_broker_up 0\n"));
    assert_non_null(strstr(buf_str(&answer.text), "text/plain; version=0.0.4"));
}

static void who_looks_at_the_figures_starts_an_audit_once_an_hour(void **state)
{
    struct box *box = *state;
    uint64_t at_us, first_us, tried_us;
    box->peer.is_joined = false;
    _answer_ struct answer one = get(box, "GET", "/metrics", AUTH, "");
    assert_int_equal(one.status, 200);
    audit_last(box->gateway.audits, &at_us, &first_us);
    assert_int_equal(first_us, loop_wall_us(box->gateway.loop));
    for (int i = 0; i < 200 && audit_is_running(box->gateway.audits); i++)
        loop_turn(box->gateway.loop, 20); /* there is no log: it ends without a result */
    assert_false(audit_is_running(box->gateway.audits));
    loop_advance(box->gateway.loop, UINT64_C(3599000000));
    _answer_ struct answer two = get(box, "GET", "/metrics", AUTH, "");
    assert_int_equal(two.status, 200);
    audit_last(box->gateway.audits, &at_us, &tried_us);
    assert_int_equal(tried_us, first_us);
    loop_advance(box->gateway.loop, UINT64_C(1000000));
    _answer_ struct answer three = get(box, "GET", "/metrics", AUTH, "");
    assert_int_equal(three.status, 200);
    audit_last(box->gateway.audits, &at_us, &tried_us);
    assert_true(tried_us > first_us);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_open_still, box_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_the_broker_counts_is_told_by_its_place),
        TEST(names_are_escaped),
        TEST(without_a_broker_its_figures_are_left_out),
        TEST(each_metric_has_one_head_before_its_lines),
        TEST(answers_are_counted_by_route_and_status),
        TEST(a_silent_broker_delays_the_page_and_does_not_prevent_it),
        TEST(who_looks_at_the_figures_starts_an_audit_once_an_hour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
