/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Every practice provider: what it answers, what it counts, and that the gateway takes
 * what it signs and refuses what is altered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "gateway/scheme.h"
#include "gateway/scheme_key.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/mailbox.h"
#include "sandbox/rows.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define NOW_US       UINT64_C(1700000000000000)
#define JSON         "application/json"
#define FORM         "application/x-www-form-urlencoded"
#define BASIC        "Basic QUMxOnRva2Vu" /* AC1:token */

struct headers {
    const char *authorization, *type, *key;
};

static const char *header(const void *user, const char *name)
{
    const struct headers *headers = user;

    return strcasecmp(name, "Authorization") == 0     ? headers->authorization
           : strcasecmp(name, "Content-Type") == 0    ? headers->type
           : strcasecmp(name, "Idempotency-Key") == 0 ? headers->key
                                                      : NULL;
}

/* What was told of its own accord. */
struct told {
    unsigned n;
    struct buf bodies;
};

static void on_event(void *user, const struct provider_event *event)
{
    struct told *told = user;

    told->n++;
    buf_add(&told->bodies, event->body.bytes, event->body.len);
    buf_text(&told->bodies, "\n");
}

static struct provider_answer ask(const struct provider *row, void *state,
                                  const char *path, struct headers headers,
                                  const char *body)
{
    struct provider_answer answer = {.status = 200};
    struct provider_call call = {.method = "POST",
                                 .path = path,
                                 .header = header,
                                 .user = &headers,
                                 .body = body,
                                 .body_len = strlen(body),
                                 .now_us = NOW_US};

    row->call(state, &call, &answer);
    return answer;
}

/* --- answers --- */

#define SENDGRID(to, from, rest)                                                         \
    "{\"personalizations\":[{\"to\":[{\"email\":\"" to                                   \
    "\"}]}],\"from\":{\"email\":\"" from "\"}" rest "}"
#define WRITTEN                                                                          \
    ",\"subject\":\"S\",\"content\":[{\"type\":\"text/plain\",\"value\":\"T\"}]"
#define RESEND(to, from)                                                                 \
    "{\"from\":\"" from "\",\"to\":[\"" to "\"],\"subject\":\"S\",\"text\":\"T\"}"
#define MESSAGES "/2010-04-01/Accounts/AC1/Messages.json"

static const struct {
    const struct provider *row;
    const char *path;
    struct headers headers;
    const char *body;
    unsigned status;
    const char *fragment; /* of the answer */
    int effects;
} calls[] = {
    {&sendgrid_row,
     "/v3/mail/send",
     {"Bearer SG.x", JSON, NULL},
     SENDGRID("a@example.com", "f@example.com", WRITTEN),
     202,
     "",
     1},
    {&sendgrid_row,
     "/v3/mail/send",
     {"Bearer wrong", JSON, NULL},
     "{}",
     401,
     "authorization grant is invalid",
     0},
    {&sendgrid_row, "/v3/mail/send", {"Bearer SG.x", FORM, NULL}, "{}", 415, "json", 0},
    {&sendgrid_row,
     "/v3/mail/send",
     {"Bearer SG.x", JSON, NULL},
     "{}",
     400,
     "personalizations",
     0},
    {&sendgrid_row,
     "/v3/mail/send",
     {"Bearer SG.x", JSON, NULL},
     "[",
     400,
     "Bad Request",
     0},
    {&sendgrid_row, "/v3/other", {"Bearer SG.x", JSON, NULL}, "{}", 404, "not found", 0},
    {&sendgrid_row,
     "/v3/mail/send",
     {"Bearer SG.x", JSON, NULL},
     SENDGRID("invalid@example.com", "f@example.com", WRITTEN),
     400,
     "valid address",
     0},
    {&sendgrid_row,
     "/v3/mail/send",
     {"Bearer SG.x", JSON, NULL},
     SENDGRID("a@example.com", "f@unverified.example", WRITTEN),
     403,
     "Sender Identity",
     0},
    {&sendgrid_row,
     "/v3/mail/send",
     {"Bearer SG.x", JSON, NULL},
     SENDGRID("a@example.com", "f@example.com", ",\"subject\":\"S\""),
     400,
     "content",
     0},
    {&sendgrid_row,
     "/v3/mail/send",
     {"Bearer SG.x", JSON, NULL},
     SENDGRID("a@example.com", "f@example.com",
              WRITTEN ",\"mail_settings\":{\"sandbox_mode\":{\"enable\":true}}"),
     200,
     "",
     0},
    {&resend_row,
     "/emails",
     {"Bearer re_x", JSON, NULL},
     RESEND("a@example.com", "f@example.com"),
     200,
     "\"id\"",
     1},
    {&resend_row, "/emails", {NULL, JSON, NULL}, "{}", 401, "missing_api_key", 0},
    {&resend_row, "/emails", {"Bearer x", JSON, NULL}, "{}", 403, "invalid_api_key", 0},
    {&resend_row, "/emails", {"Bearer re_x", JSON, NULL}, "{}", 422, "`from`", 0},
    {&resend_row,
     "/emails",
     {"Bearer re_x", JSON, NULL},
     RESEND("a@example.com", "f@unverified.example"),
     403,
     "not verified",
     0},
    {&resend_row,
     "/emails",
     {"Bearer re_x", JSON, NULL},
     RESEND("quota@resend.dev", "f@example.com"),
     429,
     "daily_quota_exceeded",
     0},
    {&resend_row, "/other", {"Bearer re_x", JSON, NULL}, "{}", 404, "not_found", 0},
    {&slack_row,
     "/api/chat.postMessage",
     {"Bearer xoxb-x", FORM, NULL},
     "channel=C1&text=hello%20you",
     200,
     "\"ok\":true",
     1},
    {&slack_row,
     "/api/chat.postMessage",
     {"Bearer xoxb-x", JSON, NULL},
     "{\"channel\":\"C1\",\"text\":\"hello\"}",
     200,
     "\"ok\":true",
     1},
    {&slack_row, "/api/chat.postMessage", {NULL, FORM, NULL}, "", 200, "not_authed", 0},
    {&slack_row,
     "/api/chat.postMessage",
     {"Bearer x", FORM, NULL},
     "",
     200,
     "invalid_auth",
     0},
    {&slack_row,
     "/api/chat.postMessage",
     {"Bearer xoxb-x", FORM, NULL},
     "channel=C1",
     200,
     "no_text",
     0},
    {&slack_row,
     "/api/chat.postMessage",
     {"Bearer xoxb-x", FORM, NULL},
     "channel=%23private&text=x",
     200,
     "not_in_channel",
     0},
    {&slack_row, "/api/auth.test", {"Bearer xoxb-x", FORM, NULL}, "", 200, "Sandbox", 0},
    {&slack_row,
     "/api/other",
     {"Bearer xoxb-x", FORM, NULL},
     "",
     200,
     "unknown_method",
     0},
    {&twilio_row,
     MESSAGES,
     {BASIC, FORM, NULL},
     "To=%2B15551234567&From=%2B15005550006&Body=hello",
     201,
     "\"queued\"",
     1},
    {&twilio_row, MESSAGES, {NULL, FORM, NULL}, "", 401, "20003", 0},
    {&twilio_row,
     MESSAGES,
     {BASIC, FORM, NULL},
     "From=%2B15005550006&Body=x",
     400,
     "21604",
     0},
    {&twilio_row,
     MESSAGES,
     {BASIC, FORM, NULL},
     "To=%2B15005550001&From=%2B15005550006&Body=x",
     400,
     "21211",
     0},
    {&twilio_row,
     MESSAGES,
     {BASIC, FORM, NULL},
     "To=%2B15551234567&From=%2B15005550007&Body=x",
     400,
     "21606",
     0},
    {&twilio_row,
     MESSAGES,
     {BASIC, FORM, NULL},
     "To=%2B15005550004&From=%2B15005550006&Body=x",
     400,
     "21610",
     0},
    {&twilio_row,
     "/2010-04-01/Accounts/AC1/Calls.json",
     {BASIC, FORM, NULL},
     "",
     404,
     "20404",
     0},
};

static void calls_are_answered_as_the_provider_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(calls); i++) {
        const struct provider *row = calls[i].row;
        void *practice = row->open(&(struct provider_options){.api_key = NULL});
        struct provider_answer answer =
            ask(row, practice, calls[i].path, calls[i].headers, calls[i].body);
        struct json *effects = row->effects(practice);
        if (answer.status != calls[i].status ||
            !strstr(buf_str(&answer.body), calls[i].fragment) ||
            js_count(effects) != (size_t)calls[i].effects)
            fail_msg("case %zu: %u %s, %zu effects", i, answer.status,
                     buf_str(&answer.body), js_count(effects));
        js_free(effects);
        buf_fini(&answer.body);
        row->close(practice);
    }
}

static void a_refusal_looks_like_the_providers(void **state)
{
    (void)state;
    for (const struct provider *const *row = providers; *row; row++)
        for (unsigned status = 429; status <= 500; status += 71) {
            struct provider_answer answer = {.status = 0};
            (*row)->refuse(status, &answer);
            assert_int_equal(answer.status, status);
            assert_true(answer.body.len > 0);
            buf_fini(&answer.body);
        }
}

static void a_key_is_answered_once_and_kept_to_its_mail(void **state)
{
    (void)state;
    void *practice = resend_row.open(&(struct provider_options){.api_key = "re_one"});
    struct headers keyed = {"Bearer re_one", JSON, "k1"};
    struct provider_answer first = ask(&resend_row, practice, "/emails", keyed,
                                       RESEND("a@example.com", "f@example.com")),
                           again = ask(&resend_row, practice, "/emails", keyed,
                                       RESEND("a@example.com", "f@example.com")),
                           other = ask(&resend_row, practice, "/emails", keyed,
                                       RESEND("b@example.com", "f@example.com"));
    struct json *effects = resend_row.effects(practice);

    assert_string_equal(buf_str(&again.body), buf_str(&first.body));
    assert_true(again.is_replayed);
    assert_int_equal(other.status, 409);
    assert_non_null(strstr(buf_str(&other.body), "invalid_idempotent_request"));
    assert_int_equal(js_int(effects, "k1", 0), 1);
    js_free(effects);
    buf_fini(&first.body);
    buf_fini(&again.body);
    buf_fini(&other.body);
    resend_row.close(practice);
}

static void a_mail_sent_twice_is_counted_twice(void **state)
{
    (void)state;
    void *practice = sendgrid_row.open(&(struct provider_options){.api_key = NULL});
    struct json *effects;

    for (int i = 0; i < 2; i++) {
        struct provider_answer answer = ask(&sendgrid_row, practice, "/v3/mail/send",
                                            (struct headers){"Bearer SG.x", JSON, NULL},
                                            "{\"personalizations\":[{\"to\":[{\"email\":"
                                            "\"a@example.com\"}],\"custom_args\":"
                                            "{\"signalbox_event\":\"e1\"}}],\"from\":{"
                                            "\"email\":\"f@example.com\"}" WRITTEN "}");
        assert_int_equal(answer.status, 202);
        buf_fini(&answer.body);
    }
    effects = sendgrid_row.effects(practice);
    assert_int_equal(js_int(effects, "e1", 0), 2);
    js_free(effects);
    sendgrid_row.close(practice);
}

/* --- what follows a call --- */

static void recipients_decide_what_becomes_of_a_mail(void **state)
{
    (void)state;
    static const struct {
        const struct provider *row;
        const char *path, *key, *body;
        unsigned n;
        const char *fragment;
    } cases[] = {
        {&sendgrid_row, "/v3/mail/send", "Bearer SG.x",
         SENDGRID("bounce@example.com", "f@example.com", WRITTEN), 1,
         "\"event\":\"bounce\""},
        {&sendgrid_row, "/v3/mail/send", "Bearer SG.x",
         SENDGRID("clicked+x@example.com", "f@example.com", WRITTEN), 1,
         "\"event\":\"click\""},
        {&resend_row, "/emails", "Bearer re_x",
         RESEND("A <bounced@resend.dev>", "f@example.com"), 1, "email.bounced"},
        {&resend_row, "/emails", "Bearer re_x",
         RESEND("complained@resend.dev", "f@example.com"), 2, "email.complained"},
        {&twilio_row, MESSAGES, BASIC,
         "To=%2B15005550010&From=%2B15005550006&Body=x&StatusCallback=y", 2,
         "MessageStatus=undelivered"},
        {&twilio_row, MESSAGES, BASIC, "To=%2B15551234567&From=%2B15005550006&Body=x", 0,
         ""},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct told told = {0};
        void *practice = cases[i].row->open(
            &(struct provider_options){.on_event = on_event, .user = &told});
        struct provider_answer answer =
            ask(cases[i].row, practice, cases[i].path,
                (struct headers){cases[i].key, JSON, NULL}, cases[i].body);
        if (told.n != cases[i].n || !strstr(buf_str(&told.bodies), cases[i].fragment))
            fail_msg("case %zu: %u events: %s", i, told.n, buf_str(&told.bodies));
        buf_fini(&answer.body);
        buf_fini(&told.bodies);
        cases[i].row->close(practice);
    }
}

/* --- webhooks, held against the gateway's own verification --- */

#define URL "http://127.0.0.1:8080/webhooks/x"

static const char *signed_header(const struct provider_headers *headers, const char *name)
{
    for (size_t i = 0; name && i < headers->n; i++)
        if (strcasecmp(headers->all[i].name, name) == 0)
            return headers->all[i].value;
    return NULL;
}

static enum scheme_result verify(const struct provider *row, const char *key,
                                 const struct provider_headers *headers, const char *body)
{
    const struct scheme *scheme = scheme_find(row->name);
    struct scheme_verdict verdict;
    struct scheme_key verifying;
    const struct scheme_input input = {
        .signature = signed_header(headers, scheme->signature_header),
        .time = signed_header(headers, scheme->time_header),
        .id = signed_header(headers, scheme->id_header),
        .method = "POST",
        .urls = {URL},
        .is_form = strstr(row->webhook_type, "form") != NULL,
        .body = body,
        .body_len = strlen(body),
    };

    assert_true(scheme_key_init(&verifying, scheme, key));
    scheme_verify(scheme, &verifying, 1, 0, NOW_US / 1000000, &input, &verdict);
    scheme_key_fini(&verifying);
    return verdict.result;
}

static void the_gateway_takes_what_is_signed_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const struct provider *row;
        const char *type, *secret, *other;
    } cases[] = {
        {&stripe_row, "checkout.session.completed", "whsec_one", "whsec_two"},
        {&sendgrid_row, "bounce", "SG.one", "SG.two"},
        {&resend_row, "email.bounced", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
         "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
        {&slack_row, "message", "one", "two"},
        {&twilio_row, "message.delivered", "one", "two"},
        {&openai_row, "response.completed", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
         "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
        {&anthropic_row, "session.updated", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
         "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct provider *row = cases[i].row;
        void *practice = row->open(&(struct provider_options){.api_key = NULL});
        struct provider_event event = {.body = BUF_NULL};
        struct provider_headers good = {.n = 0}, stale = {.n = 0}, wrong = {.n = 0};
        assert_true(row->make_event(practice, cases[i].type, NULL, NOW_US, &event));
        struct provider_signing signing = {.secret = cases[i].secret,
                                           .url = URL,
                                           .body = buf_str(&event.body),
                                           .len = event.body.len,
                                           .now_s = NOW_US / 1000000,
                                           .event_id = event.id};
        _free_ char *key = row->public_key ? row->public_key(cases[i].secret)
                                           : mem_text(cases[i].secret);
        row->sign(&signing, &good);
        assert_int_equal(verify(row, key, &good, signing.body), SCHEME_OK);
        _free_ char *altered = mem_text(signing.body);
        altered[signing.len / 2]++;
        assert_int_equal(verify(row, key, &good, altered), SCHEME_MISMATCH);
        signing.now_s -= PROVIDER_STALE_S;
        row->sign(&signing, &stale);
        if (row->signs_time)
            assert_int_equal(verify(row, key, &stale, signing.body), SCHEME_STALE);
        signing.secret = cases[i].other;
        row->sign(&signing, &wrong);
        assert_int_equal(verify(row, key, &wrong, signing.body), SCHEME_MISMATCH);
        buf_fini(&event.body);
        row->close(practice);
    }
}

static void events_that_the_provider_does_not_have_are_not_made(void **state)
{
    (void)state;
    static const struct {
        const struct provider *row;
        const char *type;
    } cases[] = {{&sendgrid_row, "bounced"},
                 {&resend_row, "bounced"},
                 {&twilio_row, "delivered"},
                 {&openai_row, "completed"},
                 {&anthropic_row, "updated"}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        void *practice = cases[i].row->open(&(struct provider_options){.api_key = NULL});
        struct provider_event event = {.body = BUF_NULL};
        assert_false(
            cases[i].row->make_event(practice, cases[i].type, NULL, NOW_US, &event));
        cases[i].row->close(practice);
    }
}

/* Of the messages that were made, those to and from whom is asked, newest first. */
static void twilios_list_has_what_was_sent(void **state)
{
    (void)state;
    static const char *const sent[] = {
        "To=%2B15551234567&From=%2B15005550006&Body=one",
        "To=%2B15551234568&From=%2B15005550006&Body=two",
        "To=%2B15551234567&From=%2B15005550006&Body=three"};
    static const struct {
        const char *query, *first;
        size_t n;
    } cases[] = {
        {"To=%2B15551234567", "three", 2},
        {"To=%2B15551234568&From=%2B15005550006", "two", 1},
        {"From=%2B15005550007", "", 0},
        {"PageSize=1", "three", 1},
        {NULL, "three", 3},
    };
    void *twilio = twilio_row.open(&(struct provider_options){.api_key = NULL});
    struct headers headers = {BASIC, FORM, NULL};

    for (size_t i = 0; i < COUNT(sent); i++) {
        struct provider_answer answer =
            ask(&twilio_row, twilio, MESSAGES, headers, sent[i]);
        buf_fini(&answer.body);
    }
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct provider_answer answer = {.status = 0};
        char error[64];
        twilio_row.call(twilio,
                        &(struct provider_call){.method = "GET",
                                                .path = MESSAGES,
                                                .query = cases[i].query,
                                                .header = header,
                                                .user = &headers,
                                                .now_us = NOW_US},
                        &answer);
        struct json *body =
            js_parse(buf_str(&answer.body), answer.body.len, error, sizeof(error));
        assert_int_equal(js_count(js_get(body, "messages")), cases[i].n);
        assert_string_equal(js_text(body, "messages.0.body", ""), cases[i].first);
        if (cases[i].n)
            assert_string_equal(js_text(body, "messages.0.date_created", ""),
                                "Tue, 14 Nov 2023 22:13:20 +0000");
        js_free(body);
        buf_fini(&answer.body);
    }
    twilio_row.close(twilio);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_answered_as_the_provider_does),
        cmocka_unit_test(a_refusal_looks_like_the_providers),
        cmocka_unit_test(a_key_is_answered_once_and_kept_to_its_mail),
        cmocka_unit_test(a_mail_sent_twice_is_counted_twice),
        cmocka_unit_test(twilios_list_has_what_was_sent),
        cmocka_unit_test(recipients_decide_what_becomes_of_a_mail),
        cmocka_unit_test(the_gateway_takes_what_is_signed_and_nothing_else),
        cmocka_unit_test(events_that_the_provider_does_not_have_are_not_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
