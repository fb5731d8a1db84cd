/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The whole gateway: addresses, webhooks and events over a real socket. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/call.h"
#include "gateway/gateway.h"
#include "gateway/hold.h"
#include "gateway/problem.h"
#include "gateway/query.h"
#include "gateway/refusal.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "proto/attrs.h"
#include "proto/control.h"
#include "proto/record.h"
#include "tests/unit/gateway/box.h"

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static struct answer send_webhook(struct box *box, const char *secret,
                                  const char *signed_body, const char *body,
                                  const char *more)
{
    uint8_t mac[32];
    char time[32], headers[400];
    struct buf hex = {0};
    snprintf(time, sizeof(time), "%llu", (unsigned long long)(clock_wall_us() / 1000000));
    struct crypto_part parts[] = {
        {time, strlen(time)}, {".", 1}, {signed_body, strlen(signed_body)}};
    crypto_hmac_sha256(secret, strlen(secret), parts, 3, mac);
    text_hex(mac, sizeof(mac), &hex);
    snprintf(headers, sizeof(headers), "Stripe-Signature: t=%s,v1=%s\r\n%s", time,
             buf_str(&hex), more);
    buf_fini(&hex);
    return get(box, "POST", "/webhooks/stripe", headers, body);
}

/* --- webhooks --- */

#define EVENT                                                                            \
    "{\"id\":\"evt_1\", \"type\":\"checkout.session.completed\",\"amount\":1.00}"

static void verified_webhook_is_answered_once_committed(void **state)
{
    struct box *box = *state;
    box->peer.is_silent = true;
    _answer_ struct answer early = send_webhook(box, "whsec_old", EVENT, EVENT, "");
    assert_int_equal(early.status, 0);
    assert_int_equal(box->peer.batches, 1);
    const struct record *key = published(box, 0), *event = published(box, 1);
    uint8_t hash[16];
    hash_pair("webhook:stripe", "evt_1", 5, hash);
    assert_int_equal(key->kind, RECORD_IDEMPOTENCY);
    assert_memory_equal(key->id, hash, 16);
    assert_int_equal(((const struct control_idempotency *)record_data(key))->body_hash,
                     hash_text(EVENT));
    assert_int_equal(event->kind, RECORD_FACT);
    assert_int_equal(event->flags, RECORD_WEBHOOK | RECORD_JSON);
    assert_int_equal(event->integration, integration_hash("stripe"));
    assert_type(event, "stripe.checkout.session.completed");
    assert_attr(event, ATTR_ENDPOINT, "stripe");
    assert_data(event, EVENT);
    assert_null(published(box, 2));
    box->peer.is_silent = false;
    _answer_ struct answer later = send_webhook(box, "whsec_new", EVENT, EVENT, "");
    assert_int_equal(later.status, 200);
    char id[ID_TEXT_SIZE];
    id_format(published(box, 3)->id, id);
    assert_string_equal(js_text(later.body, "ids.0", ""), id);
}

static void duplicate_and_conflict_get_the_first_id(void **state)
{
    struct box *box = *state;
    for (unsigned code = VERDICT_DUPLICATE; code <= VERDICT_CONFLICT; code++) {
        box->peer.verdict = code;
        _answer_ struct answer answer = send_webhook(box, "whsec_new", EVENT, EVENT, "");
        assert_int_equal(answer.status, 200);
        assert_string_equal(js_text(answer.body, "ids.0", ""), FIRST_ID);
    }
}

static void forged_webhook_is_told_nothing_and_leaves_a_fact(void **state)
{
    struct box *box = *state;
    _answer_ struct answer answer = send_webhook(box, "whsec_wrong", EVENT, EVENT, "");
    assert_int_equal(answer.status, 401);
    assert_string_equal(js_text(answer.body, "code", ""), "signature_invalid");
    assert_null(js_get(answer.body, "detail"));
    const struct record *fact = published(box, 0);
    assert_type(fact, "signalbox.webhook.refused");
    assert_int_equal(fact->kind, RECORD_FACT);
    assert_int_equal(fact->status, STATUS_FAILED);
    assert_int_equal(fact->error_class, CLASS_unverified);
    assert_int_equal(fact->integration, integration_hash("stripe"));
    assert_int_equal(fact->data_len, 0);
    assert_attr(fact, ATTR_ERROR_MSG,
                "matches none of 2 secrets; time ok; 65 bytes: wrong secret, test and "
                "live mixed, or a proxy changed the "
                "body");
    assert_null(published(box, 1));
    _answer_ struct answer tampered =
        send_webhook(box, "whsec_new", EVENT, EVENT " ", "");
    assert_int_equal(tampered.status, 401);
    _answer_ struct answer naked = get(box, "POST", "/webhooks/stripe", "", EVENT);
    assert_int_equal(naked.status, 401);
    _answer_ struct answer twice =
        get(box, "POST", "/webhooks/stripe",
            "Stripe-Signature: t=1,v1=a\r\nStripe-Signature: t=1,v1=a\r\n", EVENT);
    assert_int_equal(twice.status, 401);
}

static void refusals_in_the_log_are_limited(void **state)
{
    struct box *box = *state;
    for (int i = 0; i < 3 * REFUSALS_TOLD; i++) {
        _answer_ struct answer answer = get(box, "POST", "/webhooks/stripe", "", EVENT);
        assert_int_equal(answer.status, 401);
    }
    unsigned facts = 0;
    while (published(box, facts))
        facts++;
    assert_in_range(facts, REFUSALS_TOLD, 2 * REFUSALS_TOLD + 1); /* a minute may end */
}

static void broker_that_cannot_take_a_webhook_means_come_again(void **state)
{
    struct box *box = *state;
    static const unsigned errors[] = {ERR_not_ready, ERR_log_full, ERR_overloaded,
                                      ERR_bad_frame};
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        box->peer.refuse = errors[i];
        _answer_ struct answer answer = send_webhook(box, "whsec_new", EVENT, EVENT, "");
        assert_int_equal(answer.status, 503);
        assert_non_null(strstr(buf_str(&answer.text), "Retry-After: 1"));
    }
}

static void what_is_no_event_is_400_after_verification_only(void **state)
{
    struct box *box = *state;
    static const char *const bodies[] = {"",
                                         "{",
                                         "[]",
                                         "{}",
                                         "{\"id\":\"evt_1\"}",
                                         "{\"type\":\"a.b\"}",
                                         "{\"id\":\"\",\"type\":\"a\"}",
                                         "{\"id\":1,\"type\":\"a\"}",
                                         "{\"id\":\"a\",\"type\":\"a b\"}",
                                         "\xff"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        _answer_ struct answer answer =
            send_webhook(box, "whsec_new", bodies[i], bodies[i], "");
        assert_int_equal(answer.status, 400);
    }
    _answer_ struct answer answer = send_webhook(box, "whsec_wrong", "{", "{", "");
    assert_int_equal(answer.status, 401);
    for (unsigned i = 0; published(box, i); i++) /* nothing but the refusals */
        assert_type(published(box, i), "signalbox.webhook.refused");
    assert_non_null(published(box, 0));
}

static void compressed_webhook_is_415(void **state)
{
    struct box *box = *state;
    _answer_ struct answer answer =
        send_webhook(box, "whsec_new", EVENT, EVENT, "Content-Encoding: gzip\r\n");
    assert_int_equal(answer.status, 415);
    _answer_ struct answer plain =
        send_webhook(box, "whsec_new", EVENT, EVENT, "Content-Encoding: identity\r\n");
    assert_int_equal(plain.status, 200);
}

static void webhook_is_held_while_the_broker_is_away(void **state)
{
    struct box *box = *state;
    box->peer.is_joined = false;
    _answer_ struct answer answer = {0};
    int fd = ask(box, "GET", "/readyz", "", "", 0);
    answer = hear(box, fd, 500);
    assert_int_equal(answer.status, 503);
    answer_fini(&answer);
    answer = send_webhook(box, "whsec_new", EVENT, EVENT, ""); /* listens for a second */
    assert_int_equal(answer.status, 0);
    assert_int_equal(box->peer.batches, 0);
    box->peer.is_joined = true;
    hold_joined(box->gateway.hold);
    assert_int_equal(box->peer.batches, 1);
}

/* --- routes and tokens --- */

static void addresses_methods_and_tokens(void **state)
{
    struct box *box = *state;
    static const struct {
        const char *method, *target, *headers;
        int status;
    } cases[] = {
        {"GET", "/healthz", "", 200},
        {"GET", "/readyz", "", 200},
        {"POST", "/healthz", "", 405},
        {"GET", "/webhooks/stripe", "", 405},
        {"PUT", "/webhooks/stripe", "", 405},
        {"POST", "/webhooks/none", "", 404},
        {"POST", "/webhooks/", "", 404},
        {"POST", "/webhooks/stripe/", "", 404},
        {"POST", "/webhooks/a/b", "", 404},
        {"GET", "/", "", 404},
        {"GET", "/v1", "", 404},
        {"GET", "//healthz", "", 404},
        {"GET", "/v1/log", "", 401},
        {"POST", "/v1/events", "", 401},
        {"POST", "/v1/calls/a/b", "", 401},
        {"GET", "/v1/audit", "Authorization: Bearer wrong\r\n", 401},
        {"GET", "/v1/log", "Authorization: Basic " TOKEN "\r\n", 401},
        {"GET", "/v1/log", AUTH, 503},
        {"GET", "/v1/events/x", AUTH, 503},
        {"GET", "/v1/events/x/trace", AUTH, 503},
        {"DELETE", "/v1/events", AUTH, 405},
        {"GET", "/v1/log?limit=0", AUTH, 400},
        {"GET", "/v1/log?limit=x", AUTH, 400},
        {"GET", "/v1/log?status=ok", AUTH, 400},
        {"GET", "/v1/log?class=bad", AUTH, 400},
        {"GET", "/v1/log?since=never", AUTH, 400},
        {"GET", "/v1/events/%zz", AUTH, 404},
        {"GET", "/v1/audit", AUTH, 503},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _answer_ struct answer answer =
            get(box, cases[i].method, cases[i].target, cases[i].headers, "");
        if (answer.status != cases[i].status)
            fail_msg("%s %s: %d, not %d", cases[i].method, cases[i].target, answer.status,
                     cases[i].status);
        if (answer.status >= 400)
            assert_int_equal(js_int(answer.body, "status", 0), answer.status);
        if (answer.status == 405)
            assert_non_null(strstr(buf_str(&answer.text), "Allow: "));
    }
}

static void status_is_the_brokers_answer(void **state)
{
    struct box *box = *state;
    box->peer.is_silent = true;
    int fd = ask(box, "GET", "/v1/status", AUTH, "", 0);
    while (!box->peer.asked)
        loop_turn(box->gateway.loop, 5);
    queries_answer(box->gateway.queries, box->peer.batch, true, "{\"a\":1}");
    _answer_ struct answer answer = hear(box, fd, 500);
    assert_int_equal(answer.status, 200);
    assert_int_equal(js_int(answer.body, "a", 0), 1);
    box->peer.is_joined = false;
    _answer_ struct answer away = get(box, "GET", "/v1/status", AUTH, "");
    assert_int_equal(away.status, 503);
}

/* What is misspelt must not be left out in silence. */
static void query_that_is_not_as_described_is_refused(void **state)
{
    struct box *box = *state;
    static const struct {
        const char *method, *target, *why;
    } cases[] = {
        {"GET", "/v1/log?statis=failed", "did you mean `status`?"},
        {"GET", "/v1/log?zzz=1", "it takes service type"},
        {"GET", "/v1/audit?since=1h", "this address takes none"},
        {"GET", "/v1/log?limit=1&limit=2", "`limit` is in the query twice"},
        {"GET", "/v1/log?limit", "`limit` of the query has no value"},
        {"GET", "/v1/log?key=%FF", "`key` of the query is not UTF-8"},
        {"GET", "/v1/log?limit=%2B5", "limit is a number"},
        {"GET", "/v1/log?type=a..b", "`*` stands for one segment"},
        {"GET", "/v1/log?type=a.>.b", "`*` stands for one segment"},
        {"GET", "/v1/log?class=none", "class is one of permanent"},
        {"GET", "/v1/log?since=1h&until=2h", "since is not before until"},
        {"POST", "/v1/calls/payment/charge?wiat=0", "did you mean `wait`?"},
        {"GET", "/v1/stream?since=1h", "no parameter `since`"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _answer_ struct answer answer =
            get(box, cases[i].method, cases[i].target, AUTH, "");
        const char *why = js_text(answer.body, "detail", "");
        if (answer.status != 400 || !strstr(why, cases[i].why))
            fail_msg("%s: %d, %s", cases[i].target, answer.status, why);
    }
    _answer_ struct answer health = get(box, "GET", "/healthz?probe=1", "", "");
    assert_int_equal(health.status, 200);
}

static void sentence_on_classes_names_them_all(void **state)
{
    (void)state;
    for (unsigned class = 1; class < CLASS_COUNT; class ++)
        assert_non_null(strstr(QUERY_CLASS_WHY, class_name(class)));
}

static void blank_of_a_time_is_the_plus_it_was(void **state)
{
    (void)state;
    uint64_t plus = 0, blank = 0;
    assert_true(query_time("2026-01-01T00:00:00+02:00", &plus));
    assert_true(query_time("2026-01-01T00:00:00 02:00", &blank));
    assert_true(plus == blank);
    assert_false(query_time("2026-01-01T00:00:00 0200", &blank));
    assert_true(query_when("1970-01-01T00:00:00Z", 5, &blank) && blank > 0);
}

static void request_is_found_whatever_its_form(void **state)
{
    struct box *box = *state;
    static const struct {
        const char *method, *target, *headers;
        int status;
    } cases[] = {
        {"GET", "http://localhost/healthz", "", 200},
        {"GET", "HTTPS://localhost:8443/healthz?x", "", 200},
        {"GET", "http://localhost", "", 404},
        {"HEAD", "/v1/openapi.json", "", 200},
        {"HEAD", "/v1/groups/g/next?wait=0", AUTH, 405}, /* it would lend */
        {"POST", "/v1/redrive", AUTH "Content-Encoding: gzip\r\n", 415},
        {"POST", "/v1/events", AUTH "Content-Encoding: br\r\n", 415},
        {"POST", "/v1/redrive", AUTH "Content-Encoding: identity\r\n", 400},
        {"GET", "/v1/openapi.json", AUTH AUTH, 200}, /* nobody asks for it there */
        {"GET", "/v1/audit", AUTH AUTH, 400},
        {"HEAD", "/v1/stream?status=maybe", AUTH, 503}, /* there is no log yet */
        {"POST", "/v1/calls/payment/charge?key=", AUTH, 400},
        {"POST", "/v1/calls/payment/charge", AUTH "Ordering-Key: \xff\r\n", 400},
        {"POST", "/v1/calls/payment/charge", AUTH "Idempotency-Key: \xff\r\n", 400},
        {"POST", "/v1/calls/payment/charge",
         AUTH "Idempotency-Key: a\r\nIdempotency-Key: a\r\n", 400},
        {"POST", "/v1/calls/payment/charge?deadline=18446744073709551615us", AUTH, 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _answer_ struct answer answer =
            get(box, cases[i].method, cases[i].target, cases[i].headers, "");
        if (answer.status != cases[i].status)
            fail_msg("%s %s: %d", cases[i].method, cases[i].target, answer.status);
    }
}

/* --- events --- */

#define STRUCTURED AUTH "Content-Type: application/cloudevents+json\r\n"
#define BATCH      AUTH "Content-Type: application/cloudevents-batch+json; charset=utf-8\r\n"

static void structured_event_is_kept_as_written(void **state)
{
    struct box *box = *state;
    _answer_ struct answer answer =
        get(box, "POST", "/v1/events", STRUCTURED,
            "{\"specversion\":\"1.0\",\"id\":\"A-1\",\"source\":\"/"
            "shop\",\"type\":\"order.created\",\"subject\":\"o1\","
            "\"time\":\"2026-01-02T03:04:05Z\",\"partitionkey\":\"c7\",\"colour\":"
            "\"red\",\"size\":3,\"gift\":true,"
            "\"traceparent\":\"" TRACE
            "\",\"service\":\"Shop\",\"data\": { \"a\" : 1.00 } }");
    assert_int_equal(answer.status, 202);
    assert_string_equal(js_text(answer.body, "ids.0", ""), "A-1");
    const struct record *r = published(box, 1);
    struct attr_value value;
    assert_int_equal(published(box, 0)->kind, RECORD_IDEMPOTENCY);
    assert_int_equal(r->kind, RECORD_FACT);
    assert_int_equal(r->flags, RECORD_FOREIGN_ID | RECORD_JSON);
    assert_int_equal(r->key_hash, hash_text("c7"));
    assert_int_equal(r->time_us, UINT64_C(1767323045000000));
    assert_type(r, "order.created");
    assert_attr(r, ATTR_ID, "A-1");
    assert_attr(r, ATTR_SOURCE, "/shop");
    assert_attr(r, ATTR_SUBJECT, "o1");
    assert_attr(r, ATTR_KEY, "c7");
    assert_attr(r, ATTR_TRACEPARENT, TRACE);
    assert_attr(r, ATTR_SERVICE, "Shop");
    assert_true(attrs_find_named(record_attrs(r), r->attr_len, "colour", &value));
    assert_true(attrs_find_named(record_attrs(r), r->attr_len, "size", &value) &&
                value.number == 3);
    assert_data(r, "{ \"a\" : 1.00 }");
}

static void binary_event_takes_its_attributes_from_headers(void **state)
{
    struct box *box = *state;
    _answer_ struct answer answer =
        get(box, "POST", "/v1/events",
            AUTH "ce-specversion: 1.0\r\nCE-Id: "
                 "0190c7a4-0000-7000-8000-000000000001\r\nce-source: /a%20b\r\n"
                 "ce-type: payment.charge.requested\r\nce-integration: "
                 "stripe\r\nContent-Type: text/plain\r\n",
            "hello");
    assert_int_equal(answer.status, 202);
    assert_string_equal(js_text(answer.body, "ids.0", ""),
                        "0190c7a4-0000-7000-8000-000000000001");
    const struct record *r = published(box, 1);
    assert_int_equal(r->kind, RECORD_REQUEST);
    assert_int_equal(r->flags, 0);
    assert_int_equal(r->integration, integration_hash("stripe"));
    assert_attr(r, ATTR_SOURCE, "/a b");
    assert_attr(r, ATTR_CONTENT_TYPE, "text/plain");
    assert_attr(r, ATTR_ID, NULL);
    assert_data(r, "hello");
}

#define BINARY AUTH "ce-specversion: 1.0\r\nce-id: b\r\nce-source: s\r\nce-type: a.b\r\n"

static void binary_header_may_be_quoted_and_holds_utf8(void **state)
{
    struct box *box = *state;
    struct attr_value value;
    _answer_ struct answer answer =
        get(box, "POST", "/v1/events",
            BINARY "ce-subject: \"a \\\"b\\\" %E2%82%AC\"\r\nce-colour: %zz\r\n", "");
    assert_int_equal(answer.status, 202);
    assert_attr(published(box, 1), ATTR_SUBJECT, "a \"b\" \xe2\x82\xac");
    assert_true(attrs_find_named(record_attrs(published(box, 1)),
                                 published(box, 1)->attr_len, "colour", &value));
    static const char *const bad[] = {
        "ce-subject: \xff\r\n", "ce-colour: %FF\r\n", "ce-endpoint: stripe\r\n",
        "ce-a-b: x\r\n",        "ce-id: c\r\n",       "ce-x: 1\r\nCE-X: 1\r\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        _free_ char *headers = mem_format("%s%s", BINARY, bad[i]);
        _answer_ struct answer refused = get(box, "POST", "/v1/events", headers, "");
        assert_int_equal(refused.status, 400);
    }
    assert_int_equal(box->peer.batches, 1);
}

static void binary_data_without_a_type_is_what_it_is(void **state)
{
    struct box *box = *state;
    _answer_ struct answer text = get(box, "POST", "/v1/events", BINARY, "hello");
    assert_int_equal(text.status, 202);
    assert_int_equal(published(box, 1)->flags & RECORD_JSON, 0);
    _answer_ struct answer json = get(box, "POST", "/v1/events", BINARY, "{\"a\":1}");
    assert_int_equal(json.status, 202);
    assert_int_equal(published(box, 3)->flags & RECORD_JSON, RECORD_JSON);
}

static void header_of_the_request_traces_events_that_say_nothing(void **state)
{
    struct box *box = *state;
    static const char batch[] =
        "[{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\","
        "\"traceparent\":\"zzz\"},"
        "{\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"s\",\"type\":\"a.b\"}]";
    _answer_ struct answer answer =
        get(box, "POST", "/v1/events", BATCH "traceparent: " TRACE "\r\n", batch);
    assert_int_equal(answer.status, 202);
    assert_attr(published(box, 1), ATTR_TRACEPARENT, TRACE);
    assert_attr(published(box, 3), ATTR_TRACEPARENT, TRACE);
    _answer_ struct answer none = get(box, "POST", "/v1/events", BATCH, batch);
    assert_int_equal(none.status, 202);
    assert_attr(published(box, 5), ATTR_TRACEPARENT, NULL);
}

static void batch_is_one_commit(void **state)
{
    struct box *box = *state;
    _answer_ struct answer answer =
        get(box, "POST", "/v1/events", BATCH,
            " [ "
            "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\","
            "\"data\":[1, 2]},"
            "{\"specversion\":\"1.0\",\"id\":\"2\",\"source\":\"s\",\"type\":\"a.c\","
            "\"data_base64\":\"AAE=\"} ]");
    assert_int_equal(answer.status, 202);
    assert_int_equal(box->peer.batches, 1);
    assert_data(published(box, 1), "[1, 2]");
    assert_int_equal(published(box, 3)->data_len, 2);
    assert_string_equal(js_text(answer.body, "ids.1", ""), "2");
}

static void same_source_and_id_are_one_event(void **state)
{
    struct box *box = *state;
    const char *event = "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":"
                        "\"a.b\",\"data\":1}";
    box->peer.verdict = VERDICT_DUPLICATE;
    _answer_ struct answer again = get(box, "POST", "/v1/events", STRUCTURED, event);
    assert_int_equal(again.status, 202);
    assert_string_equal(js_text(again.body, "ids.0", ""), FIRST_ID);
    box->peer.verdict = VERDICT_CONFLICT;
    _answer_ struct answer other = get(box, "POST", "/v1/events", STRUCTURED, event);
    assert_int_equal(other.status, 409);
    assert_string_equal(js_text(other.body, "code", ""), "idempotency_conflict");
    assert_memory_equal(published(box, 0)->id, published(box, 2)->id, 16);
    uint8_t hash[16];
    box->peer.verdict = 0;
    _answer_ struct answer keyed =
        get(box, "POST", "/v1/events", STRUCTURED "Idempotency-Key: k1\r\n", event);
    assert_int_equal(keyed.status, 202);
    hash_pair("token:admin", "k1", 2, hash);
    assert_memory_equal(published(box, 4)->id, hash, 16);
}

static void events_that_are_none_are_refused(void **state)
{
    struct box *box = *state;
    static const struct {
        const char *headers, *body;
        int status;
    } cases[] = {
        {STRUCTURED, "", 400},
        {STRUCTURED, "[]", 400},
        {STRUCTURED, "{}", 400},
        {BATCH, "{}", 400},
        {BATCH, "[1]", 400},
        {BATCH, "[]", 202},
        {STRUCTURED,
         "{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\"}", 400},
        {STRUCTURED,
         "{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"s\",\"type\":\"a.b\"}", 400},
        {STRUCTURED, "{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"a.b\"}", 400},
        {STRUCTURED,
         "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a..b\"}",
         400},
        {STRUCTURED,
         "{\"specversion\":\"1.0\",\"id\":1,\"source\":\"s\",\"type\":\"a.b\"}", 400},
        {STRUCTURED,
         "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\","
         "\"time\":\"noon\"}",
         400},
        {STRUCTURED,
         "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\",\"Bad_"
         "Name\":\"x\"}",
         400},
        {STRUCTURED,
         "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\","
         "\"status\":\"x\"}",
         400},
        {STRUCTURED,
         "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\",\"x\":{"
         "}}",
         400},
        {STRUCTURED,
         "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"a.b\",\"data_"
         "base64\":\"*\"}",
         400},
        {STRUCTURED,
         "{\"id\":\"1\",\"id\":\"2\",\"specversion\":\"1.0\",\"source\":\"s\",\"type\":"
         "\"a.b\"}",
         400},
        {AUTH "Content-Type: application/json\r\n", "{}", 415},
        {AUTH, "", 415},
        {AUTH "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: s\r\nce-type: "
              "a.b\r\nContent-Type: application/json\r\n",
         "{", 400},
        {AUTH "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: s\r\nce-type: "
              "a.b\r\nce-un_der: x\r\n",
         "{}", 400},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _answer_ struct answer answer =
            get(box, "POST", "/v1/events", cases[i].headers, cases[i].body);
        if (answer.status != cases[i].status)
            fail_msg("%zu %s: %d, not %d", i, cases[i].body, answer.status,
                     cases[i].status);
    }
    assert_int_equal(box->peer.batches, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, box_open, box_close)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(verified_webhook_is_answered_once_committed),
        TEST(duplicate_and_conflict_get_the_first_id),
        TEST(forged_webhook_is_told_nothing_and_leaves_a_fact),
        TEST(refusals_in_the_log_are_limited),
        TEST(broker_that_cannot_take_a_webhook_means_come_again),
        TEST(what_is_no_event_is_400_after_verification_only),
        TEST(compressed_webhook_is_415),
        TEST(webhook_is_held_while_the_broker_is_away),
        TEST(addresses_methods_and_tokens),
        TEST(status_is_the_brokers_answer),
        TEST(query_that_is_not_as_described_is_refused),
        TEST(sentence_on_classes_names_them_all),
        TEST(blank_of_a_time_is_the_plus_it_was),
        TEST(request_is_found_whatever_its_form),
        TEST(structured_event_is_kept_as_written),
        TEST(binary_event_takes_its_attributes_from_headers),
        TEST(binary_header_may_be_quoted_and_holds_utf8),
        TEST(binary_data_without_a_type_is_what_it_is),
        TEST(header_of_the_request_traces_events_that_say_nothing),
        TEST(batch_is_one_commit),
        TEST(same_source_and_id_are_one_event),
        TEST(events_that_are_none_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
