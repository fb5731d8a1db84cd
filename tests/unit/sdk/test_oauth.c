/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Access tokens, from an authorization server on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "lib/http/client.h"
#include "lib/http/server.h"
#include "lib/loop/loop.h"
#include "lib/sdk/credential.h"
#include "lib/sdk/oauth.h"

struct box {
    struct loop *loop;
    struct http_server *server;
    struct http_client *http;
    struct oauth *oauth;
    struct credential credential;
    unsigned status;
    const char *answer;
    unsigned asked, told;
    char authorization[200], body[200], token[100], why[400];
    bool may_retry;
};

static void on_request(void *user, struct http_request *r)
{
    struct box *box = user;
    size_t n;
    const char *body = http_body(r, &n);

    box->asked++;
    const char *authorization = http_header(r, "Authorization");
    snprintf(box->authorization, sizeof(box->authorization), "%s",
             authorization ? authorization : "(null)");
    snprintf(box->body, sizeof(box->body), "%.*s", (int)n, body);
    http_reply(r, &(struct http_reply){.status = box->status,
                                       .content_type = "application/json",
                                       .body = box->answer,
                                       .body_len = strlen(box->answer)});
}

static void told(void *user, const struct oauth_answer *answer)
{
    struct box *box = user;

    box->told++;
    snprintf(box->token, sizeof(box->token), "%s", answer->token ? answer->token : "");
    snprintf(box->why, sizeof(box->why), "%s", answer->why ? answer->why : "");
    box->may_retry = answer->may_retry;
}

static int open_box(void **state)
{
    struct box *box = mem_alloc(sizeof(*box));
    char error[200];

    box->loop = loop_new();
    box->server = http_server_new(box->loop,
                                  &(struct http_server_options){.address = "127.0.0.1",
                                                                .body_max = 1000,
                                                                .on_request = on_request,
                                                                .user = box},
                                  error, sizeof(error));
    box->http = http_client_new(
        box->loop, &(struct http_client_options){.allow_private_network = true});
    box->oauth = oauth_new(box->loop, box->http);
    box->credential = (struct credential){
        mem_format("http://127.0.0.1:%u/token", http_server_port(box->server)),
        mem_text("me:1"), mem_text("s e"), mem_text("a b"), false};
    box->status = 200;
    box->answer =
        "{\"access_token\":\"one\",\"token_type\":\"Bearer\",\"expires_in\":3600}";
    *state = box;
    return 0;
}

static int close_box(void **state)
{
    struct box *box = *state;

    oauth_free(box->oauth);
    http_client_free(box->http);
    http_server_free(box->server);
    loop_free(box->loop);
    credential_fini(&box->credential);
    free(box);
    return 0;
}

static void turn_until(struct box *box, const unsigned *what, unsigned n)
{
    for (int i = 0; i < 1000 && *what < n; i++)
        loop_turn(box->loop, 10);
    assert_int_equal(*what, n);
}

static void get(struct box *box)
{
    oauth_ask(box->oauth, &box->credential, told, box);
    turn_until(box, &box->told, box->told + 1);
}

static void a_token_is_asked_for_as_the_standard_says(void **state)
{
    struct box *box = *state;

    assert_null(oauth_known(box->oauth, &box->credential));
    get(box);
    assert_string_equal(box->token, "one");
    assert_string_equal(box->authorization, "Basic bWUlM0ExOnMlMjBl"); /* me%3A1:s%20e */
    assert_string_equal(box->body, "grant_type=client_credentials&scope=a%20b");
    assert_string_equal(oauth_known(box->oauth, &box->credential), "one");
}

static void or_with_id_and_secret_in_the_body(void **state)
{
    struct box *box = *state;

    box->credential.is_in_body = true;
    get(box);
    assert_string_equal(box->token, "one");
    assert_string_equal(box->authorization, "(null)");
    assert_string_equal(box->body, "grant_type=client_credentials&scope=a%20b&"
                                   "client_id=me%3A1&client_secret=s%20e");
    box->credential.is_in_body = false; /* that is another credential */
    assert_null(oauth_known(box->oauth, &box->credential));
}

static void however_many_want_it_one_request_is_made(void **state)
{
    struct box *box = *state;

    for (int i = 0; i < 50; i++)
        oauth_ask(box->oauth, &box->credential, told, box);
    oauth_cancel(oauth_ask(box->oauth, &box->credential, told, box));
    turn_until(box, &box->told, 50);
    assert_int_equal(box->asked, 1);
}

static void another_scope_is_another_token(void **state)
{
    struct box *box = *state;
    struct credential other = box->credential;

    other.scope = NULL;
    get(box);
    assert_null(oauth_known(box->oauth, &other));
    oauth_ask(box->oauth, &other, told, box);
    turn_until(box, &box->told, 2);
    assert_string_equal(box->body, "grant_type=client_credentials");
}

static void a_refused_token_is_forgotten_but_not_a_newer_one(void **state)
{
    struct box *box = *state;

    get(box);
    oauth_refused(box->oauth, &box->credential, "older");
    assert_non_null(oauth_known(box->oauth, &box->credential));
    oauth_refused(box->oauth, &box->credential, "one");
    assert_null(oauth_known(box->oauth, &box->credential));
}

static void a_token_is_not_used_up_to_its_end(void **state)
{
    struct box *box = *state;

    box->answer =
        "{\"access_token\":\"short\",\"token_type\":\"bearer\",\"expires_in\":1}";
    get(box);
    assert_non_null(oauth_known(box->oauth, &box->credential));
    uint64_t from_us = loop_steady_us(box->loop);
    while (oauth_known(box->oauth, &box->credential))
        loop_turn(box->loop, 10);
    assert_in_range(loop_steady_us(box->loop) - from_us, 0, 999999 + 100000);
}

static void no_token_says_why_and_whether_to_come_again(void **state)
{
    struct box *box = *state;
    static const struct {
        unsigned status;
        const char *answer, *fragment;
        bool may_retry;
    } cases[] = {
        {401, "{\"error\":\"invalid_client\",\"error_description\":\"no such client\"}",
         "answered 401, invalid_client: no such client", false},
        {400, "<html>", "answered 400", false},
        {503, "", "answered 503", true},
        {429, "{}", "answered 429", true},
        {200, "{\"token_type\":\"bearer\"}", "no `access_token`", false},
        {200, "{\"access_token\":\"a b\"}", "no `access_token`", false},
        {200, "{\"access_token\":\"a\",\"token_type\":\"mac\"}", "of the type bearer",
         false},
        {200, "not json", "no `access_token`", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        box->status = cases[i].status;
        box->answer = cases[i].answer;
        get(box);
        assert_string_equal(box->token, "");
        if (!strstr(box->why, cases[i].fragment) || box->may_retry != cases[i].may_retry)
            fail_msg("case %zu: %d %s", i, box->may_retry, box->why);
        assert_null(strstr(box->why, "s e"));
    }
    assert_null(oauth_known(box->oauth, &box->credential));
}

static void nobody_there_may_be_there_later(void **state)
{
    struct box *box = *state;

    free(box->credential.token_url);
    box->credential.token_url = mem_text("http://127.0.0.1:1/token");
    get(box);
    assert_true(box->may_retry);
    free(box->credential.token_url);
    box->credential.token_url = mem_text("http://169.254.169.254/token");
    get(box);
    assert_false(box->may_retry); /* where nobody may call, now or later */
}

#define BOXED(test) cmocka_unit_test_setup_teardown(test, open_box, close_box)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOXED(a_token_is_asked_for_as_the_standard_says),
        BOXED(or_with_id_and_secret_in_the_body),
        BOXED(however_many_want_it_one_request_is_made),
        BOXED(another_scope_is_another_token),
        BOXED(a_refused_token_is_forgotten_but_not_a_newer_one),
        BOXED(a_token_is_not_used_up_to_its_end),
        BOXED(no_token_says_why_and_whether_to_come_again),
        BOXED(nobody_there_may_be_there_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
