/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The door over a real server and sockets: the applications are the test's, and so are
 * the broker and the provider behind it. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/config/config.h"
#include "lib/http/crypto.h"
#include "proto/record.h"
#include "proxy/door.c"
#include "proxy/table.h"
#include "tests/unit/sdk/answer.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CHAT         "/v1/chat/completions"
#define SAID_MAX     8192

enum { TURN_MS = 5, TURNS_MAX = 2000, TIMEOUT_US = 60000000 };

/* --- the broker and the provider, by hand --- */

static struct {
    struct buf published; /* the last request event */
    uint64_t batch;       /* its number; 0: there is no room */
    unsigned n;
    char ended[200]; /* why the provider's call was broken off; "": it was not */
} behind;

uint64_t host_ask(struct host *host, const void *record, size_t n)
{
    (void)host;
    buf_clear(&behind.published);
    buf_add(&behind.published, record, n);
    behind.n++;
    return behind.batch;
}

void http_client_end(struct http_call *call, const char *why)
{
    (void)call;
    snprintf(behind.ended, sizeof(behind.ended), "%s", why);
}

void http_client_resume(struct http_call *call)
{
    (void)call;
}

bool http_call_field(const struct http_call *call, size_t index, struct http_field *ret)
{
    if (index >= COUNT(call->headers) || !call->headers[index].name)
        return false;
    *ret = call->headers[index];
    return true;
}

static const char *certificate, *private_key;

static const char *secret(void *user, const char *name)
{
    (void)user;
    return strcmp(name, "api_key") == 0           ? "sk-test-of-the-door"
           : strcmp(name, "tls_certificate") == 0 ? certificate
           : strcmp(name, "tls_key") == 0         ? private_key
                                                  : NULL;
}

static const struct record *published(void)
{
    return (const struct record *)(const void *)behind.published.bytes;
}

/* --- the door and an application --- */

struct box {
    struct service_run run;
    struct config config;
    struct integration integration;
    char *names[3], *values[3];
    struct call *call;
    int app; /* the application's socket */
    char said[SAID_MAX];
    size_t n;
    bool is_closed;
};

static int open_door(struct box *box, const char *option, const char *value, char *error,
                     size_t error_size)
{
    static char data[] = "/tmp", listen_[] = "listen", loopback[] = "127.0.0.1:0";

    *box = (struct box){.app = -1,
                        .config = {.data = data},
                        .names = {listen_, (char *)(uintptr_t)option},
                        .values = {loopback, (char *)(uintptr_t)value}};
    bool is_listen = option && strcmp(option, "listen") == 0;
    box->integration = (struct integration){
        .connector = &proxy_connector,
        .provider = &proxy_connector.providers[1],
        .name = "models",
        .base_url = "https://api.test",
        .option_names = box->names + is_listen,
        .option_values = box->values + is_listen,
        .n_options = option && !is_listen ? 2 : 1,
        .timeout_us = TIMEOUT_US,
        .is_single = true,
        .secret = secret,
    };
    behind.batch = 1;
    behind.n = 0;
    behind.ended[0] = 0;
    box->run = (struct service_run){.loop = loop_new(), .config = &box->config};
    return the_door.open(&box->run, &box->integration, NULL, error, error_size);
}

static void close_door(struct box *box)
{
    call_free(box->call);
    if (box->app >= 0)
        close(box->app);
    the_door.stop();
    the_door.close();
    loop_free(box->run.loop);
    buf_fini(&behind.published);
}

static void open_well(struct box *box, const char *option, const char *value)
{
    char error[300];

    if (open_door(box, option, value, error, sizeof(error)) != 0)
        fail_msg("%s", error);
}

static void say(struct box *box, const char *text)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(http_server_port(door.server)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    if (box->app < 0) {
        box->app = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(box->app, (struct sockaddr *)&to, sizeof(to)), 0);
    }
    assert_int_equal(send(box->app, text, strlen(text), MSG_NOSIGNAL),
                     (ssize_t)strlen(text));
}

static void ask(struct box *box, const char *method, const char *path,
                const char *headers, const char *body)
{
    char text[SAID_MAX];

    snprintf(text, sizeof(text),
             "%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %zu\r\n\r\n%s",
             method, path, headers, strlen(body), body);
    say(box, text);
}

static void hear(struct box *box)
{
    ssize_t n =
        recv(box->app, box->said + box->n, sizeof(box->said) - 1 - box->n, MSG_DONTWAIT);

    box->is_closed |= n == 0;
    box->n += n > 0 ? (size_t)n : 0;
    box->said[box->n] = 0;
}

static void turn_until_published(struct box *box)
{
    for (int i = 0; i < TURNS_MAX && !behind.n; i++)
        loop_turn(box->run.loop, TURN_MS);
    assert_int_equal(behind.n, 1);
}

static void turn_until_said(struct box *box, const char *text)
{
    for (int i = 0; i < TURNS_MAX && !strstr(box->said, text); i++) {
        loop_turn(box->run.loop, TURN_MS);
        hear(box);
    }
    if (!strstr(box->said, text))
        fail_msg("\"%s\" is not in: %s", text, box->said);
}

static void turn_until_ended(struct box *box, const char *why)
{
    for (int i = 0; i < TURNS_MAX && !*behind.ended; i++)
        loop_turn(box->run.loop, TURN_MS);
    if (!strstr(behind.ended, why))
        fail_msg("\"%s\" is not in: %s", why, behind.ended);
}

/* The broker gives the request back, and the provider is called. */
static struct http_tap deliver_back(struct box *box, struct http_call *provider)
{
    struct http_call_options options;

    box->call = call_new(&box->integration, published(), (struct position){1, 0},
                         clock_wall_us(), 1, false);
    assert_true(call_begin(box->call, clock_wall_us()));
    call_http(box->call, &options);
    the_door.tap->sending(the_door.tap->user, box->call, &options);
    the_door.tap->sent(the_door.tap->user, box->call, provider);
    return options.tap;
}

/* The outcome is in the log. */
static void settle_with(enum record_class error_class, const char *error_msg)
{
    struct buf attrs = BUF_NULL, record = BUF_NULL;
    static const uint8_t id[16] = {9};

    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_ERROR_MSG, error_msg);
    record_add(&record, &(struct record_parts){.kind = RECORD_OUTCOME,
                                               .type = error_msg ? "proxy.call.failed"
                                                                 : "proxy.call.succeeded",
                                               .id = id,
                                               .cause = published()->id,
                                               .error_class = error_class,
                                               .attrs = attrs.bytes,
                                               .attr_len = attrs.len});
    the_door.asker->on_outcome(the_door.asker->user,
                               (const struct record *)(const void *)record.bytes);
    buf_fini(&attrs);
    buf_fini(&record);
}

/* --- claims --- */

static void an_answer_comes_as_it_is_and_ends_with_its_outcome(void **state)
{
    (void)state;
    struct box box;
    struct http_call provider = {.status = 200,
                                 .headers = {{"Content-Type", "application/json"},
                                             {"x-request-id", "req_1"},
                                             {"Set-Cookie", "c=1"}}};

    open_well(&box, NULL, NULL);
    ask(&box, "POST", "/models" CHAT "?a=1", "Authorization: Bearer none\r\n",
        "{\"model\":\"m\"}");
    turn_until_published(&box);
    _free_ char *data = mem_copy(record_data(published()), published()->data_len);
    assert_string_equal(data, "{\"method\":\"POST\",\"path\":\"" CHAT "\",\"bytes\":13,"
                              "\"model\":\"m\"}");
    struct http_tap back = deliver_back(&box, &provider);
    back.on_head(back.user, &provider);
    assert_true(back.on_body(back.user, "{\"id\":7}", 8));
    turn_until_said(&box, "{\"id\":7}");
    assert_non_null(strstr(box.said, "x-request-id: req_1"));
    assert_non_null(strstr(box.said, "signalbox-event: "));
    assert_null(strstr(box.said, "Set-Cookie"));
    door_passage(&(struct sb_event){.id = (char *)(uintptr_t)call_id(box.call)})
        ->is_whole = true;
    the_door.tap->ended(the_door.tap->user, box.call);
    for (int i = 0; i < 5; i++) { /* the end is held back */
        loop_turn(box.run.loop, TURN_MS);
        hear(&box);
    }
    assert_null(strstr(box.said, "\r\n0\r\n"));
    settle_with(CLASS_none, NULL);
    turn_until_said(&box, "\r\n0\r\n");
    assert_int_equal(door.n, 0);
    close_door(&box);
}

static void what_cannot_be_passed_is_refused_and_is_no_event(void **state)
{
    (void)state;
    char many[2000] = "";
    for (int i = 0; i <= DOOR_HEADERS_MAX; i++)
        snprintf(many + strlen(many), 40, "X-H%d: 1\r\n", i);
    const struct {
        const char *method, *path, *headers, *said;
    } cases[] = {
        {"POST", "/v1/files", "", "HTTP/1.1 403"},
        {"GET", CHAT, "", "HTTP/1.1 403"},
        {"POST", "/v1/../v1/x", "", "HTTP/1.1 400"},
        {"POST", CHAT, "Origin: https://evil.test\r\n", "HTTP/1.1 403"},
        {"POST", CHAT, many, "HTTP/1.1 431"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct box box;
        open_well(&box, NULL, NULL);
        ask(&box, cases[i].method, cases[i].path, cases[i].headers, "{}");
        turn_until_said(&box, cases[i].said);
        assert_non_null(strstr(box.said, "\"message\""));
        assert_int_equal(behind.n, 0);
        close_door(&box);
    }
}

static void a_bus_without_room_is_said_with_when_to_come_again(void **state)
{
    (void)state;
    struct box box;

    open_well(&box, NULL, NULL);
    behind.batch = 0;
    ask(&box, "POST", CHAT, "", "{}");
    turn_until_said(&box, "overloaded");
    assert_non_null(strstr(box.said, "HTTP/1.1 503"));
    assert_non_null(strstr(box.said, "Retry-After: 1"));
    assert_int_equal(door.n, 0);
    close_door(&box);
}

static void a_batch_that_is_refused_is_said_with_the_brokers_reason(void **state)
{
    (void)state;
    struct box box;

    open_well(&box, NULL, NULL);
    behind.batch = 7;
    ask(&box, "POST", CHAT, "", "{}");
    turn_until_published(&box);
    assert_false(the_door.asker->on_refused(NULL, 8, ERR_overloaded, "not its own"));
    assert_true(the_door.asker->on_refused(NULL, 7, ERR_overloaded, "the log is full"));
    turn_until_said(&box, "the log is full");
    assert_non_null(strstr(box.said, "HTTP/1.1 503"));
    assert_int_equal(door.n, 0);
    close_door(&box);
}

static void an_outcome_without_an_answer_is_told_by_its_class(void **state)
{
    (void)state;
    static const struct {
        enum record_class class;
        const char *status, *code;
    } cases[] = {
        {CLASS_deadline, "HTTP/1.1 503", "not_started"},
        {CLASS_budget, "HTTP/1.1 429", "budget_spent"},
        {CLASS_exhausted, "HTTP/1.1 502", "not_answered"},
        {CLASS_unknown, "HTTP/1.1 502", "unknown"},
        {CLASS_permanent, "HTTP/1.1 502", "failed"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct box box;
        open_well(&box, NULL, NULL);
        ask(&box, "POST", CHAT, "", "{}");
        turn_until_published(&box);
        settle_with(cases[i].class, "why it was so");
        turn_until_said(&box, "why it was so");
        assert_non_null(strstr(box.said, cases[i].status));
        assert_non_null(strstr(box.said, cases[i].code));
        close_door(&box);
    }
}

static void an_application_that_leaves_takes_its_call_with_it(void **state)
{
    (void)state;
    struct box box;
    struct http_call provider = {.status = 200};

    open_well(&box, NULL, NULL);
    ask(&box, "POST", CHAT, "", "{}");
    turn_until_published(&box);
    deliver_back(&box, &provider);
    close(box.app);
    box.app = -1;
    turn_until_ended(&box, "the application went away after 0 bytes");
    the_door.tap->ended(the_door.tap->user, box.call);
    settle_with(CLASS_unknown, "the application went away");
    assert_int_equal(door.n, 0);
    close_door(&box);
}

static void a_provider_that_says_nothing_is_given_up(void **state)
{
    (void)state;
    static const struct {
        bool has_begun;
        const char *why;
    } cases[] = {{false, "timed out waiting"}, {true, "the answer stopped coming"}};

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct box box;
        struct http_call provider = {.status = 200};
        open_well(&box, NULL, NULL);
        box.integration.timeout_us = 1000;
        ask(&box, "POST", CHAT, "", "{}");
        turn_until_published(&box);
        struct http_tap back = deliver_back(&box, &provider);
        if (cases[i].has_begun)
            back.on_head(back.user, &provider);
        turn_until_ended(&box, cases[i].why);
        close_door(&box);
    }
}

static void a_call_whose_outcome_others_decided_is_broken_off(void **state)
{
    (void)state;
    struct box box;
    struct http_call provider = {.status = 200};

    open_well(&box, NULL, NULL);
    ask(&box, "POST", CHAT, "", "{}");
    turn_until_published(&box);
    deliver_back(&box, &provider);
    settle_with(CLASS_unknown, "resolved by hand");
    assert_string_equal(behind.ended, "its outcome was decided elsewhere");
    turn_until_said(&box, "resolved by hand");
    close_door(&box);
}

static void a_lease_that_is_over_ends_the_answer_as_not_known(void **state)
{
    (void)state;
    struct box box;
    struct http_call provider = {.status = 200};

    open_well(&box, NULL, NULL);
    ask(&box, "POST", CHAT, "", "{}");
    turn_until_published(&box);
    deliver_back(&box, &provider);
    the_door.tap->dropped(the_door.tap->user, box.call);
    turn_until_said(&box, "its log has the reason");
    assert_non_null(strstr(box.said, "HTTP/1.1 502"));
    assert_int_equal(door.n, 0);
    close_door(&box);
}

static void a_door_that_closes_answers_who_waits(void **state)
{
    (void)state;
    struct box box;

    open_well(&box, NULL, NULL);
    ask(&box, "POST", CHAT, "", "{}");
    turn_until_published(&box);
    the_door.stop();
    while (door.passages) {
        passage_finish(door.passages, NULL);
        drop(door.passages);
    }
    turn_until_said(&box, "HTTP/1.1 502");
    close_door(&box);
}

static void options_that_are_wrong_open_nothing_and_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *option, *value, *why;
    } cases[] = {
        {"listen", "8091", "options.listen: expected an address and a port"},
        {"listen", "0.0.0.0:0", "expected a loopback address, or access: token"},
        {"access", "open", "options.access: expected local or token"},
        {"max_body", "1", "options.max_body: expected 1024 to 67108864"},
        {"wait_ms", "1", "options.wait_ms: expected 100 to 600000"},
        {"allow", "POST", "options.allow: expected METHOD /path"},
        {"prices", "m ten", "options.prices: expected MODEL INPUT"},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct box box;
        char error[300] = "";
        assert_int_equal(
            open_door(&box, cases[i].option, cases[i].value, error, sizeof(error)), 2);
        if (!strstr(error, cases[i].why))
            fail_msg("case %zu: %s", i, error);
        close_door(&box);
    }
}

/* --- TLS --- */

static void with_a_certificate_it_speaks_tls_only(void **state)
{
    (void)state;
    struct box box;
    struct buf cert = BUF_NULL, key = BUF_NULL;

    crypto_self_signed("localhost", &cert, &key);
    certificate = buf_str(&cert);
    private_key = buf_str(&key);
    open_well(&box, NULL, NULL);
    ask(&box, "POST", CHAT, "", "{}"); /* in the clear */
    for (int i = 0; i < TURNS_MAX && !box.is_closed; i++) {
        loop_turn(box.run.loop, TURN_MS);
        hear(&box);
    }
    assert_true(box.is_closed);
    assert_null(strstr(box.said, "HTTP/1.1"));
    assert_int_equal(behind.n, 0);
    close_door(&box);
    certificate = private_key = NULL;
    buf_fini(&cert);
    buf_fini(&key);
}

static void a_certificate_that_does_not_fit_opens_nothing(void **state)
{
    (void)state;
    struct buf cert = BUF_NULL, key = BUF_NULL, other = BUF_NULL, other_key = BUF_NULL;
    struct box box;
    char error[300];

    crypto_self_signed("localhost", &cert, &key);
    crypto_self_signed("localhost", &other, &other_key);
    const struct {
        const char *certificate, *key, *why;
    } cases[] = {
        {buf_str(&cert), NULL, "tls_certificate and tls_key are given together"},
        {NULL, buf_str(&key), "tls_certificate and tls_key are given together"},
        {buf_str(&cert), buf_str(&other_key), "secrets.tls_certificate: "},
        {"no PEM", buf_str(&key), "secrets.tls_certificate: "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        certificate = cases[i].certificate;
        private_key = cases[i].key;
        assert_int_equal(open_door(&box, NULL, NULL, error, sizeof(error)), 2);
        if (!strstr(error, cases[i].why) || strstr(error, "BEGIN"))
            fail_msg("case %zu: %s", i, error);
        close_door(&box);
    }
    certificate = private_key = NULL;
    buf_fini(&cert);
    buf_fini(&key);
    buf_fini(&other);
    buf_fini(&other_key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_as_it_is_and_ends_with_its_outcome),
        cmocka_unit_test(what_cannot_be_passed_is_refused_and_is_no_event),
        cmocka_unit_test(a_bus_without_room_is_said_with_when_to_come_again),
        cmocka_unit_test(a_batch_that_is_refused_is_said_with_the_brokers_reason),
        cmocka_unit_test(an_outcome_without_an_answer_is_told_by_its_class),
        cmocka_unit_test(an_application_that_leaves_takes_its_call_with_it),
        cmocka_unit_test(a_provider_that_says_nothing_is_given_up),
        cmocka_unit_test(a_call_whose_outcome_others_decided_is_broken_off),
        cmocka_unit_test(a_lease_that_is_over_ends_the_answer_as_not_known),
        cmocka_unit_test(a_door_that_closes_answers_who_waits),
        cmocka_unit_test(options_that_are_wrong_open_nothing_and_are_named),
        cmocka_unit_test(with_a_certificate_it_speaks_tls_only),
        cmocka_unit_test(a_certificate_that_does_not_fit_opens_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
