/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The email connector without a network: what each provider is sent, what becomes of each
 * answer and of each webhook. */
#include "connectors/email/mail.h"
#include "tests/unit/connectors/trial.h"

int email_main(int argc, char **argv);
#define main email_main
#include "connectors/email/email.c"
#undef main

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEY          "SG.fake_key_0123456789"
#define SEND         "email.send.requested"
#define EVENT        "01890a5d-ac96-774b-bcce-b302099a8057"
#define MAIL                                                                             \
    "{\"from\":\"Shop "                                                                  \
    "<shop@example.com>\",\"to\":[\"a@example.com\"],\"subject\":\"S\","                 \
    "\"text\":\"T\"}"

/* The process around it is not under test. */
int sb_connector_main(const struct sb_connector *connector, int argc, char **argv)
{
    (void)argc, (void)argv;
    return connector == &email ? 0 : 1;
}

static const char *secret(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "api_key") == 0 ? KEY : NULL;
}

static char *names[] = {(char[]){"from"}, (char[]){"price_each"}};
static char *values[] = {(char[]){"Option <option@example.com>"}, (char[]){"400"}};

#define INTEGRATION(number, base)                                                        \
    {                                                                                    \
        .connector = &email, .provider = &providers[number], .name = "mail",             \
        .base_url = (base), .secret = secret                                             \
    }
static const struct integration sendgrid = INTEGRATION(0, "https://api.sendgrid.com"),
                                resend = INTEGRATION(1, "https://api.resend.com"),
                                smtp = INTEGRATION(2, "smtp://mail.example.com:587");
static const struct integration priced = {.connector = &email,
                                          .provider = &providers[0],
                                          .name = "mail",
                                          .base_url = "https://api.sendgrid.com",
                                          .secret = secret,
                                          .option_names = names,
                                          .option_values = values,
                                          .n_options = 2};

static void the_tables_are_right_and_fit_an_integration(void **state)
{
    (void)state;
    struct buf errors = BUF_NULL;

    assert_true(manifest_check(&email, &errors));
    assert_true(manifest_fits(&sendgrid, &errors));
    assert_true(manifest_fits(&resend, &errors));
    assert_true(manifest_fits(&priced, &errors));
    assert_true(manifest_fits(&smtp, &errors));
    buf_fini(&errors);
}

/* --- what is sent --- */

#define FULL                                                                             \
    "{\"from\":\"\\\"The Shop\\\" <shop@example.com>\",\"to\":[\"a@example.com\",\"B "   \
    "<b@example.com>\"],\"cc\":[\"c@example.com\"],\"bcc\":[\"d@example.com\"],"         \
    "\"reply_to\":\"r@example.com\",\"subject\":\"Gr\\u00fc\\u00dfe\",\"text\":"         \
    "\"T\\n\","                                                                          \
    "\"html\":\"<p>T</"                                                                  \
    "p>\",\"attachments\":[{\"filename\":\"a.pdf\",\"content\":\"AAEC\","                \
    "\"content_type\":\"application/pdf\"}]}"

static void sendgrid_is_sent_this(void **state)
{
    (void)state;
    trial_request(
        &sendgrid, SEND, FULL, "POST", "https://api.sendgrid.com/v3/mail/send",
        "{\"personalizations\":[{\"to\":[{\"email\":\"a@example.com\"},{\"email\":\"b@"
        "example.com\",\"name\":\"B\"}],\"cc\":[{\"email\":\"c@example.com\"}],\"bcc\":[{"
        "\"email\":\"d@example.com\"}],\"custom_args\":{\"signalbox_event\":\"" EVENT
        "\"}}],\"from\":{\"email\":\"shop@example.com\",\"name\":\"The "
        "Shop\"},\"reply_to\":{\"email\":\"r@example.com\"},\"subject\":"
        "\"Gr\u00fc\u00dfe\",\"content\":[{\"type\":\"text/"
        "plain\",\"value\":\"T\\n\"},{\"type\":\"text/html\",\"value\":\"<p>T</"
        "p>\"}],\"attachments\":[{\"content\":\"AAEC\",\"filename\":\"a.pdf\",\"type\":"
        "\"application/pdf\"}]}");
}

static void resend_is_sent_this(void **state)
{
    (void)state;
    trial_request(&sendgrid, "email.check.requested", "{}", "GET",
                  "https://api.sendgrid.com/v3/scopes", "");
    trial_request(
        &resend, SEND, FULL, "POST", "https://api.resend.com/emails",
        "{\"from\":\"\\\"The Shop\\\" <shop@example.com>\",\"to\":[\"a@example.com\",\"B "
        "<b@example.com>\"],\"cc\":[\"c@example.com\"],\"bcc\":[\"d@example.com\"],"
        "\"reply_to\":\"r@example.com\",\"subject\":\"Gr\u00fc\u00dfe\",\"text\":"
        "\"T\\n\","
        "\"html\":\"<p>T</p>\",\"attachments\":[{\"filename\":\"a.pdf\",\"content\":"
        "\"AAEC\",\"content_type\":\"application/pdf\"}],\"tags\":[{\"name\":\"signalbox_"
        "event\",\"value\":\"" EVENT "\"}]}");
}

static const char *header(const struct http_call_options *options, const char *name)
{
    for (size_t i = 0; i < options->n_headers; i++)
        if (strcmp(options->headers[i].name, name) == 0)
            return options->headers[i].value;
    return NULL;
}

static void only_resend_gets_an_idempotency_key(void **state)
{
    (void)state;
    struct call *once = deliver(&sendgrid, (struct delivery){.type = SEND, .data = MAIL});
    struct call *keyed = deliver(&resend, (struct delivery){.type = SEND, .data = MAIL});
    struct http_call_options o;

    assert_true(call_begin(once, NOW_US));
    call_http(once, &o);
    assert_string_equal(header(&o, "Authorization"), "Bearer " KEY);
    assert_null(header(&o, "Idempotency-Key"));
    assert_true(o.is_once);
    assert_true(call_begin(keyed, NOW_US));
    call_http(keyed, &o);
    assert_string_equal(header(&o, "Idempotency-Key"), EVENT);
    call_free(once);
    call_free(keyed);
}

static void bad_input_fails_before_any_call_and_names_the_member(void **state)
{
#define TO             "\"from\":\"f@example.com\",\"to\":[\"a@example.com\"]"
#define REST           "\"subject\":\"S\",\"text\":\"T\""
#define ATTACHED(what) "{" TO "," REST ",\"attachments\":" what "}"
    (void)state;
    static const struct trial_refusal cases[] = {
        {"[]", "must be a JSON object"},
        {"{" TO "," REST ",\"too\":1}", "\"too\" is not a member"},
        {"{\"to\":[\"a@example.com\"]," REST "}", "from is missing"},
        {"{\"from\":\"nobody\",\"to\":[\"a@example.com\"]," REST "}", "from must be an"},
        {"{\"from\":\"f@example.com\"," REST "}", "to is missing"},
        {"{\"from\":\"f@example.com\",\"to\":[]," REST "}", "to must be a list"},
        {"{\"from\":\"f@example.com\",\"to\":\"a@example.com\"," REST "}",
         "to must be a list"},
        {"{\"from\":\"f@example.com\",\"to\":[\"a@example.com\",\"b@\"]," REST "}",
         "to.1 must be an address"},
        {"{\"from\":\"f@example.com\",\"to\":[\"A <a@example.com\"]," REST "}",
         "to.0 must be an address"},
        {"{" TO ",\"bcc\":[\"x@example.com\\nBcc: y@example.com\"]," REST "}",
         "bcc.0 must be an address"},
        {"{" TO ",\"cc\":[\"\\\"x\\\\\\\" <x@example.com>\"]," REST "}", "cc.0 must be"},
        {"{" TO ",\"reply_to\":[\"r@example.com\"]," REST "}", "reply_to must be an"},
        {"{" TO ",\"text\":\"T\"}", "subject must be one line"},
        {"{" TO ",\"text\":\"T\",\"subject\":\"\"}", "subject must be one line of 1 to"},
        {"{" TO ",\"subject\":\"S\\r\\nX: y\",\"text\":\"T\"}", "subject must be one"},
        {"{" TO ",\"subject\":\"S\"}", "text or html is needed"},
        {"{" TO ",\"subject\":\"S\",\"html\":7}", "text and html must be texts"},
        {ATTACHED("{}"), "attachments must be a list"},
        {ATTACHED("[{\"filename\":\"../a\",\"content\":\"AAEC\"}]"),
         "attachments.0.filename"},
        {ATTACHED("[{\"filename\":\"a\",\"content\":\"AAE\"}]"), "must be base64"},
        {ATTACHED("[{\"filename\":\"a\",\"content\":\"AA=C\"}]"), "must be base64"},
        {ATTACHED("[{\"filename\":\"a\",\"content\":\"\",\"content_type\":\"x; y\"}]"),
         "attachments.0.content_type"},
        {ATTACHED("[{\"filename\":\"a\",\"content\":\"\",\"path\":\"/etc\"}]"),
         "attachments.0 must be an object"},
    };

    trial_refusals(&sendgrid, SEND, cases, COUNT(cases));
    trial_refusals(&resend, SEND, cases, COUNT(cases));
}

static void a_crowd_is_refused(void **state)
{
    struct buf data = BUF_NULL;

    (void)state;
    buf_text(&data, "{\"from\":\"f@example.com\"," REST ",\"to\":[\"a@example.com\"");
    for (int i = 0; i < MAIL_RECIPIENTS_MAX; i++)
        buf_format(&data, ",\"a%d@example.com\"", i);
    buf_text(&data, "]}");
    const struct trial_refusal crowd = {buf_str(&data), "more than 100 recipients"};
    trial_refusals(&sendgrid, SEND, &crowd, 1);
    buf_fini(&data);
}

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *email, *name; /* email NULL: refused */
    } cases[] = {
        {"a@b", "a@b", ""},
        {"<a@b>", "a@b", ""},
        {"A B <a@b>", "a@b", "A B"},
        {"\"B, A\" <a@b>", "a@b", "B, A"},
        {"  J\u00f6rg  <a@b>", "a@b", "J\u00f6rg"},
        {"a@b@c", NULL, NULL},
        {"@b", NULL, NULL},
        {"a@", NULL, NULL},
        {"a b@c", NULL, NULL},
        {"a@b, c@d", NULL, NULL},
        {"A <a@b> x", NULL, NULL},
        {"A <<a@b>>", NULL, NULL},
        {"A\n <a@b>", NULL, NULL},
        {"", NULL, NULL},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct address address;
        if (address_read(cases[i].text, &address) != (cases[i].email != NULL))
            fail_msg("%s", cases[i].text);
        if (!cases[i].email)
            continue;
        assert_string_equal(address.email, cases[i].email);
        assert_string_equal(address.name, cases[i].name);
    }
}

/* --- answers --- */

static void sendgrids_answers_have_their_results(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {{.status = 202, .headers = {{"X-Message-Id", "m1"}}},
         CALL_SUCCESS,
         CLASS_none,
         ""},
        {{.status = 200, .body = "<html>"}, CALL_FAILED, CLASS_unknown, "200 and a body"},
        {{.status = 400,
          .body =
              "{\"errors\":[{\"message\":\"The from address does not match a verified "
              "Sender Identity.\",\"field\":\"from\",\"help\":null}]}"},
         CALL_FAILED,
         CLASS_permanent,
         "(400, from): The from address does not match"},
        {{.status = 413}, CALL_FAILED, CLASS_permanent, "(413): it gave no reason"},
        {{.status = 401, .body = "{\"errors\":[{\"message\":\"" KEY " is wrong\"}]}"},
         CALL_FAILED,
         CLASS_permanent,
         "check the secret \"api_key\" of the integration mail"},
        {{.status = 403}, CALL_FAILED, CLASS_permanent, "may not do this (403)"},
        {{.status = 429}, CALL_RETRY, CLASS_none, "rate limit"},
        {{.status = 500}, CALL_FAILED, CLASS_unknown, "answered 500"},
        {{.status = 503}, CALL_RETRY, CLASS_none, "answered 503"},
        {{.result = HTTP_NO_ANSWER, .error = "cut"}, CALL_FAILED, CLASS_unknown, "cut"},
        {{.result = HTTP_NOT_SENT, .error = "no"}, CALL_RETRY, CLASS_none, "not sent"},
    };

    trial_answers(&sendgrid, SEND, MAIL, cases, COUNT(cases), KEY);
}

static void resends_answers_have_their_results(void **state)
{
    (void)state;
#define ERROR(status_, name)                                                             \
    {                                                                                    \
        .status = (status_),                                                             \
        .body = "{\"statusCode\":" #status_ ",\"name\":\"" name "\",\"message\":\"M\"}"  \
    }
    static const struct trial_answer cases[] = {
        {{.status = 200, .body = "{\"id\":\"r1\"}"}, CALL_SUCCESS, CLASS_none, ""},
        {{.status = 200, .body = "<html>"}, CALL_RETRY, CLASS_none, "has no id"},
        {ERROR(422, "validation_error"), CALL_FAILED, CLASS_permanent,
         "(422, validation_error): M"},
        {ERROR(403, "invalid_api_key"), CALL_FAILED, CLASS_permanent, "the API key"},
        {ERROR(403, "validation_error"), CALL_FAILED, CLASS_permanent,
         "(403, validation_error): M"},
        {ERROR(401, "missing_api_key"), CALL_FAILED, CLASS_permanent, "the API key"},
        {ERROR(429, "rate_limit_exceeded"), CALL_RETRY, CLASS_none, "rate limit"},
        {ERROR(429, "daily_quota_exceeded"), CALL_FAILED, CLASS_permanent,
         "for the day is used up"},
        {ERROR(409, "invalid_idempotent_request"), CALL_FAILED, CLASS_permanent,
         "with another mail"},
        {ERROR(409, "concurrent_idempotent_requests"), CALL_RETRY, CLASS_none, "at work"},
        {{.status = 429}, CALL_RETRY, CLASS_none, "answered 429"},
        {ERROR(500, "application_error"), CALL_RETRY, CLASS_none,
         "500, application_error"},
        {{.result = HTTP_NO_ANSWER, .error = "cut"}, CALL_RETRY, CLASS_none, "cut"},
    };

    trial_answers(&resend, SEND, MAIL, cases, COUNT(cases), KEY);
}

static void a_success_names_the_message_and_its_cost_where_a_price_is_given(void **state)
{
    (void)state;
    struct http_call accepted = {.status = 202, .headers = {{"X-Message-Id", "m1"}}};
    struct call *call = trial_answered(&sendgrid, SEND, MAIL, accepted);
    struct call *costly = trial_answered(
        &priced, SEND, "{\"to\":[\"a@example.com\"],\"cc\":[\"b@example.com\"]," REST "}",
        accepted);

    assert_string_equal(trial_said(call, "message_id"), "m1");
    assert_string_equal(trial_said(call, "provider"), "sendgrid");
    assert_int_equal(js_int(call_outcome(call)->data, "recipients", 0), 1);
    assert_false(call_outcome(call)->has_cost);
    assert_int_equal(call_outcome(costly)->cost, 800);
    assert_string_equal(call_outcome(costly)->currency, "USD");
    call_free(call);
    call_free(costly);
}

static void sendgrids_window_says_how_long_to_wait(void **state)
{
    (void)state;
    struct call *soon = trial_answered(
        &sendgrid, SEND, MAIL,
        (struct http_call){.status = 429,
                           .headers = {{"X-RateLimit-Reset", "1700000030"}}});
    struct call *past = trial_answered(
        &sendgrid, SEND, MAIL,
        (struct http_call){.status = 429,
                           .headers = {{"X-RateLimit-Reset", "1600000030"}}});

    assert_int_equal(call_after_us(soon), 30000000);
    assert_int_equal(call_after_us(past), 0);
    call_free(soon);
    call_free(past);
}

/* --- a mail server --- */

static char *login_names[] = {(char[]){"user"}};
static char *login_values[] = {(char[]){"shop"}};

static const char *password(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "password") == 0 ? KEY : NULL;
}

static void smtp_is_handed_this_message(void **state)
{
    (void)state;
    struct call *call = deliver(&smtp, (struct delivery){.type = SEND, .data = FULL});
    struct http_call_options o;

    if (!call_begin(call, NOW_US))
        fail_msg("%s", call_message(call));
    call_http(call, &o);
    assert_string_equal(o.url, "smtp://mail.example.com:587");
    assert_string_equal(o.mail->sender, "shop@example.com");
    assert_int_equal(o.mail->n_recipients, 4);
    assert_string_equal(o.mail->recipients[3], "d@example.com");
    assert_null(o.mail->user);
    _free_ char *message = mem_copy(o.body, o.body_len);
    assert_string_equal(
        message, "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
                 "From: \"The Shop\" <shop@example.com>\r\n"
                 "Reply-To: r@example.com\r\n"
                 "To: a@example.com,\r\n \"B\" <b@example.com>\r\n"
                 "Cc: c@example.com\r\n"
                 "Subject: =?UTF-8?B?R3LDvMOfZQ==?=\r\n"
                 "Message-ID: <" EVENT "@example.com>\r\n"
                 "MIME-Version: 1.0\r\n"
                 "Content-Type: multipart/mixed; boundary=\"=_m_" EVENT "\"\r\n\r\n"
                 "\r\n--=_m_" EVENT "\r\n"
                 "Content-Type: multipart/alternative; boundary=\"=_a_" EVENT "\"\r\n\r\n"
                 "\r\n--=_a_" EVENT "\r\n"
                 "Content-Type: text/plain; charset=utf-8\r\n"
                 "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                 "T\r\n"
                 "\r\n--=_a_" EVENT "\r\n"
                 "Content-Type: text/html; charset=utf-8\r\n"
                 "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                 "<p>T</p>"
                 "\r\n--=_a_" EVENT "--\r\n"
                 "\r\n--=_m_" EVENT "\r\n"
                 "Content-Type: application/pdf\r\n"
                 "Content-Disposition: attachment; filename=\"a.pdf\"\r\n"
                 "Content-Transfer-Encoding: base64\r\n\r\n"
                 "AAEC\r\n"
                 "\r\n--=_m_" EVENT "--\r\n");
    call_free(call);
}

static void a_login_takes_the_password_from_the_secrets(void **state)
{
    (void)state;
    struct integration with = smtp, without = smtp;
    with.option_names = without.option_names = login_names;
    with.option_values = without.option_values = login_values;
    with.n_options = without.n_options = 1;
    with.secret = password;
    struct call *call = deliver(&with, (struct delivery){.type = SEND, .data = MAIL});
    const struct trial_refusal missing = {MAIL,
                                          "\"password\" of the integration mail is"};
    struct http_call_options o;

    assert_true(call_begin(call, NOW_US));
    call_http(call, &o);
    assert_string_equal(o.mail->user, "shop");
    assert_string_equal(o.mail->password, KEY);
    call_free(call);
    trial_refusals(&without, SEND, &missing, 1);
}

static void mail_servers_answers_have_their_results(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {{.status = 250, .body = "queued"}, CALL_SUCCESS, CLASS_none, ""},
        {{.status = 550, .refused = {{"a@example.com", 550, "no such user"}}},
         CALL_FAILED,
         CLASS_permanent,
         "every recipient; a@example.com (550): no such user"},
        {{.status = 450, .refused = {{"a@example.com", 450, "busy"}}},
         CALL_RETRY,
         CLASS_none,
         "refuses a@example.com for now (450): busy"},
        {{.status = 450,
          .refused = {{"b@example.com", 550, "no"}, {"a@example.com", 450, "busy"}}},
         CALL_RETRY,
         CLASS_none,
         "refuses a@example.com for now (450): busy"},
        {{.status = 552, .body = "too large"},
         CALL_FAILED,
         CLASS_permanent,
         "refused the mail (552): too large"},
        {{.status = 421, .body = "later"}, CALL_RETRY, CLASS_none, "now (421): later"},
        {{.status = 535, .body = "bad " KEY},
         CALL_FAILED,
         CLASS_permanent,
         "the secret \"password\" of the integration mail"},
        {{.result = HTTP_NOT_SENT, .error = "gone"}, CALL_RETRY, CLASS_none, "not sent"},
        {{.result = HTTP_NO_ANSWER, .error = "gone"}, CALL_FAILED, CLASS_unknown, "gone"},
        {{.result = HTTP_FORBIDDEN, .error = "no TLS"},
         CALL_FAILED,
         CLASS_permanent,
         "no TLS"},
    };

    trial_answers(&smtp, SEND, MAIL, cases, COUNT(cases), KEY);
}

static void who_was_refused_is_named_and_published(void **state)
{
    (void)state;
    struct call *call = trial_answered(
        &smtp, SEND,
        "{\"from\":\"f@example.com\",\"to\":[\"a@example.com\",\"b@example.com\"]," REST
        "}",
        (struct http_call){.status = 250, .refused = {{"b@example.com", 450, "busy"}}});

    assert_string_equal(trial_said(call, "message_id"), "<" EVENT "@example.com>");
    assert_int_equal(js_int(call_outcome(call)->data, "recipients", 0), 1);
    assert_string_equal(trial_said(call, "refused.0.recipient"), "b@example.com");
    assert_int_equal(call_outcome(call)->n_facts, 1);
    assert_string_equal(call_outcome(call)->facts[0].type, "email.bounced");
    assert_string_equal(js_text(call_outcome(call)->facts[0].data, "kind", ""),
                        "temporary");
    call_free(call);
}

/* --- webhooks --- */

static void sendgrids_events_become_the_domains(void **state)
{
    (void)state;
    struct call *call = trial_webhook(
        &sendgrid, "mail.bounce",
        "{\"email\":\"a@example.com\",\"event\":\"bounce\",\"sg_event_id\":\"e1\","
        "\"sg_message_id\":\"m1.filter0001.16648.5515E0B88.0\",\"timestamp\":1513299569,"
        "\"reason\":\"500 unknown recipient\",\"status\":\"5.0.0\",\"type\":\"bounce\","
        "\"signalbox_event\":\"" EVENT "\"}");
    struct buf out = BUF_NULL;

    assert_string_equal(trial_said(call, "recipient"), "a@example.com");
    assert_string_equal(trial_said(call, "message_id"), "m1");
    assert_string_equal(trial_said(call, "request"), EVENT);
    assert_string_equal(trial_said(call, "reason"), "500 unknown recipient");
    assert_int_equal(js_int(call_outcome(call)->data, "at", 0), 1513299569);
    call_write(call, NOW_US, &out);
    const struct record *record = (const struct record *)out.bytes;
    assert_int_equal(record->type_len, strlen("email.bounced"));
    assert_memory_equal(record_type(record), "email.bounced", record->type_len);
    call_free(call);
    buf_fini(&out);
}

static void resends_events_become_the_domains(void **state)
{
    (void)state;
    static const struct {
        const char *tags, *request;
    } cases[] = {
        {"{\"signalbox_event\":\"" EVENT "\"}", EVENT},
        {"[{\"name\":\"x\",\"value\":\"y\"},{\"name\":\"signalbox_event\",\"value\":"
         "\"" EVENT "\"}]",
         EVENT},
        {"{}", ""},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        _free_ char *data = mem_format(
            "{\"type\":\"email.bounced\",\"created_at\":\"2026-11-23T10:00:00Z\","
            "\"data\":{"
            "\"email_id\":\"r1\",\"to\":[\"a@example.com\"],\"bounce\":{\"type\":"
            "\"Permanent\",\"message\":\"no such user\"},\"tags\":%s}}",
            cases[i].tags);
        struct call *call = trial_webhook(&resend, "mail.email.bounced", data);
        assert_string_equal(trial_said(call, "recipient"), "a@example.com");
        assert_string_equal(trial_said(call, "message_id"), "r1");
        assert_string_equal(trial_said(call, "request"), cases[i].request);
        assert_string_equal(trial_said(call, "reason"), "no such user");
        assert_string_equal(trial_said(call, "kind"), "Permanent");
        call_free(call);
    }
}

static void what_is_no_event_of_the_provider_fails(void **state)
{
    (void)state;
    struct call *one = trial_webhook(&sendgrid, "mail.open", "{\"event\":\"open\"}");
    struct call *two = trial_webhook(&resend, "mail.email.opened", "{\"data\":[]}");

    assert_int_equal(call_result(one), CALL_FAILED);
    assert_non_null(strstr(call_message(one), "sg_event_id"));
    assert_int_equal(call_result(two), CALL_FAILED);
    assert_non_null(strstr(call_message(two), "data.email_id"));
    call_free(one);
    call_free(two);
}

static void a_key_is_checked_without_a_mail(void **state)
{
    (void)state;
    static const struct trial_answer cases[] = {
        {{.status = 200, .body = "{\"scopes\":[\"alerts.read\",\"mail.send\"]}"},
         CALL_SUCCESS,
         CLASS_none,
         ""},
        {{.status = 200, .body = "{\"scopes\":[\"alerts.read\"]}"},
         CALL_FAILED,
         CLASS_permanent,
         "may not send mail"},
        {{.status = 200, .body = "{}"},
         CALL_RETRY,
         CLASS_none,
         "not what SendGrid answers"},
    };

    trial_answers(&sendgrid, "email.check.requested", "{}", cases, COUNT(cases), KEY);
}

static void the_most_a_mail_costs_is_for_a_hundred_recipients(void **state)
{
    (void)state;
    assert_int_equal(trial_price_most(&priced, "send", "USD"), 40000);
    assert_int_equal(trial_price_most(&sendgrid, "send", "USD"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_tables_are_right_and_fit_an_integration),
        cmocka_unit_test(sendgrid_is_sent_this),
        cmocka_unit_test(resend_is_sent_this),
        cmocka_unit_test(only_resend_gets_an_idempotency_key),
        cmocka_unit_test(bad_input_fails_before_any_call_and_names_the_member),
        cmocka_unit_test(a_crowd_is_refused),
        cmocka_unit_test(addresses_are_taken_apart),
        cmocka_unit_test(sendgrids_answers_have_their_results),
        cmocka_unit_test(resends_answers_have_their_results),
        cmocka_unit_test(a_success_names_the_message_and_its_cost_where_a_price_is_given),
        cmocka_unit_test(sendgrids_window_says_how_long_to_wait),
        cmocka_unit_test(smtp_is_handed_this_message),
        cmocka_unit_test(a_login_takes_the_password_from_the_secrets),
        cmocka_unit_test(mail_servers_answers_have_their_results),
        cmocka_unit_test(who_was_refused_is_named_and_published),
        cmocka_unit_test(sendgrids_events_become_the_domains),
        cmocka_unit_test(resends_events_become_the_domains),
        cmocka_unit_test(a_key_is_checked_without_a_mail),
        cmocka_unit_test(what_is_no_event_of_the_provider_fails),
        cmocka_unit_test(the_most_a_mail_costs_is_for_a_hundred_recipients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
