/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/content.h"
#include "gateway/form.h"
#include "gateway/scheme_key.h"
#include "lib/base/buf.h"

/* Headers as NAME=VALUE, ended by NULL. */
static const char *header(void *user, const char *name)
{
    for (const char *const *one = user; one && *one; one++)
        if (!strncmp(*one, name, strlen(name)) && (*one)[strlen(name)] == '=')
            return *one + strlen(name) + 1;
    return NULL;
}

static bool note(void *user, const char *id, const char *type, const void *data,
                 size_t data_len)
{
    (void)data, (void)data_len;
    buf_format(user, "%s %s;", id, type);
    return true;
}

/* "ID TYPE;" of each event, "" when the body is none. */
static void events_of(const char *scheme, const char *body, const char *const *headers,
                      bool is_form, struct buf *out)
{
    struct content content = {
        scheme_find(scheme),        body, strlen(body), is_form, header,
        (void *)(uintptr_t)headers, NULL};
    buf_clear(out);
    if (!content_read(&content) || !content_each(&content, note, out))
        buf_clear(out);
    content_fini(&content);
}

#define HEADERS(...) ((const char *const[]){__VA_ARGS__, NULL})

struct content_case {
    const char *scheme, *body;
    const char *const *headers;
    bool is_form;
    const char *events;
};

static void check_events(const struct content_case *cases, size_t n)
{
    struct buf got = {0};
    for (size_t i = 0; i < n; i++) {
        events_of(cases[i].scheme, cases[i].body, cases[i].headers, cases[i].is_form,
                  &got);
        assert_string_equal(buf_str(&got), cases[i].events);
    }
    buf_fini(&got);
}

static void ids_and_types_are_where_the_provider_puts_them(void **state)
{
    (void)state;
    const struct content_case cases[] = {
        {"github", "{\"action\":\"opened\"}",
         HEADERS("X-GitHub-Delivery=d1", "X-GitHub-Event=issues"), false,
         "d1 issues.opened;"},
        {"github", "{}", HEADERS("X-GitHub-Delivery=d1", "X-GitHub-Event=push"), false,
         "d1 push;"},
        {"github", "payload=%7B%22action%22%3A%22closed%22%7D",
         HEADERS("X-GitHub-Delivery=d1", "X-GitHub-Event=issues"), true,
         "d1 issues.closed;"},
        {"github", "{}", HEADERS("X-GitHub-Event=push"), false, ""},
        {"standard-webhooks", "{\"type\":\"a.b\"}", HEADERS("webhook-id=msg_1"), false,
         "msg_1 a.b;"},
        {"anthropic", "{\"type\":\"event\",\"data\":{\"type\":\"session.idled\"}}",
         HEADERS("webhook-id=msg_1"), false, "msg_1 session.idled;"},
        {"resend", "{\"type\":\"email.sent\"}", HEADERS("svix-id=msg_1"), false,
         "msg_1 email.sent;"},
        {"slack",
         "{\"type\":\"event_callback\",\"event_id\":\"Ev1\",\"event\":{\"type\":"
         "\"message\"}}",
         NULL, false, "Ev1 message;"},
        {"slack", "command=%2Fdeploy&trigger_id=1.2&text=", NULL, true,
         "1.2 command.deploy;"},
        {"slack",
         "payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%221.2%22%7D",
         NULL, true, "1.2 block_actions;"},
        {"shopify", "{}",
         HEADERS("X-Shopify-Webhook-Id=w1", "X-Shopify-Topic=orders/create"), false,
         "w1 orders.create;"},
        {"paddle", "{\"event_id\":\"evt_1\",\"event_type\":\"transaction.paid\"}", NULL,
         false, "evt_1 transaction.paid;"},
        {"linear", "{\"type\":\"Issue\",\"action\":\"create\"}",
         HEADERS("Linear-Delivery=d1"), false, "d1 Issue.create;"},
        {"square", "{\"event_id\":\"e1\",\"type\":\"payment.created\"}", NULL, false,
         "e1 payment.created;"},
        {"hubspot",
         "[{\"eventId\":1,\"subscriptionId\":2,\"occurredAt\":3,\"subscriptionType\":"
         "\"contact.creation\"},{\"eventId\":4,\"subscriptionType\":\"deal.deletion\"}]",
         NULL, false, "1:2:3 contact.creation;4 deal.deletion;"},
        {"hubspot", "{\"eventId\":1,\"subscriptionType\":\"contact.creation\"}", NULL,
         false, ""},
        {"twilio", "MessageSid=SM1&MessageStatus=delivered", NULL, true,
         "SM1:delivered message.delivered;"},
        {"twilio", "CallSid=CA1&CallStatus=in-progress", NULL, true,
         "CA1:in-progress call.in-progress;"},
        {"sendgrid",
         "[{\"sg_event_id\":\"a\",\"event\":\"open\"},\r\n{\"sg_event_id\":\"b\","
         "\"event\":\"click\"}]\r\n",
         NULL, false, "a open;b click;"},
        {"sendgrid", "[{\"sg_event_id\":\"a\",\"event\":\"open\"},{\"event\":\"click\"}]",
         NULL, false, ""},
        {"sendgrid", "[]", NULL, false, ""},
        {"sendgrid", " [ {\"sg_event_id\":\"a\",\"event\":\"open\"} ] ", NULL, false,
         "a open;"},
        {"sendgrid", "[{\"sg_event_id\":\"a\",\"event\":\"open\"},]", NULL, false, ""},
        {"sendgrid", "[\"a\"]", NULL, false, ""},
        {"paddle", "{\"ev\\u0065nt_id\":\"\\u0065\\/1\",\"event_type\":\"a.b\"}", NULL,
         false, "e/1 a.b;"},
        {"paddle", "{\"event_id\":1,\"event_type\":\"a.b\"}", NULL, false, ""},
        {"paddle", "{\"event_id\":\"e\",\"event_type\":\"a.b\",\"event_id\":\"f\"}", NULL,
         false, ""},
        {"zoom", "{\"event\":\"meeting.started\"}", NULL, false,
         "bd32cf7c10866459ac070ab83fa66d5a9a75d4017ef1a755b0e23e3175820d12 "
         "meeting.started;"},
    };
    check_events(cases, sizeof(cases) / sizeof(cases[0]));
}

static void what_is_signed_is_the_id_where_the_body_is_not(void **state)
{
    (void)state;
    const struct content_case cases[] = {
        {"paypal", "{\"id\":\"WH-1\",\"event_type\":\"PAYMENT.SALE.COMPLETED\"}",
         HEADERS("PAYPAL-TRANSMISSION-ID=t1"), false, "t1 PAYMENT.SALE.COMPLETED;"},
        {"paypal", "{\"id\":\"WH-1\",\"event_type\":\"PAYMENT.SALE.COMPLETED\"}", NULL,
         false, ""},
        {"sns", "{\"Type\":\"Notification\",\"MessageId\":\"m1\"}", NULL, false,
         "m1 Notification;"},
        {"mailgun",
         "{\"signature\":{\"token\":\"t1\"},\"event-data\":{\"event\":\"opened\",\"id\":"
         "\"x\"}}",
         NULL, false, "t1 opened;"},
        {"postmark",
         "{\"RecordType\":\"Bounce\",\"MessageID\":\"m1\",\"ID\":42,\"Email\":\"a\"}",
         NULL, false, "Bounce:m1:42 Bounce;"},
        {"postmark",
         "{\"RecordType\":\"Delivery\",\"MessageID\":\"m1\",\"Recipient\":\"a@b\"}", NULL,
         false, "Delivery:m1:a@b Delivery;"},
        {"postmark", "{\"MessageID\":\"m1\",\"From\":\"a@b\"}", NULL, false,
         "m1 inbound;"},
    };
    check_events(cases, sizeof(cases) / sizeof(cases[0]));
}

static bool shake(const char *scheme, const char *body, struct buf *out)
{
    struct content content = {
        .scheme = scheme_find(scheme), .body = body, .body_len = strlen(body)};
    struct scheme_key key;
    assert_true(content_read(&content));
    assert_true(scheme_key_init(&key, content.scheme, "secret"));
    buf_clear(out);
    bool answered = content_handshake(&content, &key, out);
    scheme_key_fini(&key);
    content_fini(&content);
    return answered;
}

static void handshakes_are_answered_and_nothing_else_is(void **state)
{
    (void)state;
    struct buf out = {0};
    assert_true(
        shake("slack", "{\"type\":\"url_verification\",\"challenge\":\"c\\\"1\"}", &out));
    assert_string_equal(buf_str(&out), "{\"challenge\":\"c\\\"1\"}");
    assert_true(shake(
        "zoom",
        "{\"event\":\"endpoint.url_validation\",\"payload\":{\"plainToken\":\"p\"}}",
        &out));
    assert_string_equal(
        buf_str(&out),
        "{\"plainToken\":\"p\",\"encryptedToken\":"
        "\"3552f8ff0c95290f7d1c255033d7c1ebb5785fc86d87b4e7d7007139199d2ee2\"}");
    assert_false(shake("zoom",
                       "{\"event\":\"endpoint.url_validation\",\"payload\":{"
                       "\"plainToken\":\"v0:1750000000:{}\"}}",
                       &out));
    assert_false(shake("slack", "{\"type\":\"url_verification\"}", &out));
    assert_false(
        shake("slack", "{\"type\":\"event_callback\",\"challenge\":\"c\"}", &out));
    assert_false(shake("slack", "[]", &out));
    assert_false(
        shake("stripe", "{\"type\":\"url_verification\",\"challenge\":\"c\"}", &out));
    assert_int_equal(out.len, 0);
    buf_fini(&out);
}

static void forms_are_sorted_by_bytes_and_decoded(void **state)
{
    (void)state;
    struct buf out = {0};
    const char *form = "b=2&a=%31+x&B=&&a=0&a=0&flag";
    assert_true(form_sorted(form, strlen(form), &out));
    assert_string_equal(buf_str(&out), "Ba0a1 xb2flag");
    static const char *const bad[] = {"a=%", "a=%4", "a=%zz", "a=%00", "%4=a"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(form_sorted(bad[i], strlen(bad[i]), &out));
        assert_null(form_parse(bad[i], strlen(bad[i])));
    }
    buf_clear(&out);
    for (int i = 0; i <= FORM_FIELDS_MAX; i++)
        buf_text(&out, "a=1&");
    assert_null(form_parse(buf_str(&out), out.len));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_and_types_are_where_the_provider_puts_them),
        cmocka_unit_test(what_is_signed_is_the_id_where_the_body_is_not),
        cmocka_unit_test(handshakes_are_answered_and_nothing_else_is),
        cmocka_unit_test(forms_are_sorted_by_bytes_and_decoded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
