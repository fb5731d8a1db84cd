/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The API behind OAuth 2: who gets a token, and how long it is good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "sandbox/rows.h"

#define NOW_US UINT64_C(1700000000000000)
#define BASIC  "Basic bWU6Y3NfdGVzdF94"         /* me:cs_test_x */
#define WRONG  "Basic bWU6b3RoZXI="             /* me:other */
#define ODD    "Basic bWUlM0ExOmNzX3Rlc3RfJTIw" /* me%3A1:cs_test_%20 */
#define GRANT  "grant_type=client_credentials"
#define CLIENT "&client_id=me&client_secret=cs_test_x"

static const char *header(const void *user, const char *name)
{
    return strcasecmp(name, "Authorization") == 0 ? user : NULL;
}

static struct provider_answer ask(void *state, const char *method, const char *path,
                                  const char *authorization, const char *body,
                                  uint64_t after_us)
{
    struct provider_answer answer = {.status = 200};
    struct provider_call call = {.method = method,
                                 .path = path,
                                 .header = header,
                                 .user = authorization,
                                 .body = body,
                                 .body_len = strlen(body),
                                 .now_us = NOW_US + after_us};

    oauth_row.call(state, &call, &answer);
    return answer;
}

static void a_client_shows_itself_in_one_way(void **state)
{
    static const struct {
        const char *authorization, *body;
        unsigned status;
        const char *fragment;
    } cases[] = {
        {BASIC, GRANT, 200, "\"expires_in\":3600"},
        {ODD, GRANT, 200, "\"access_token\":\"at_"},
        {NULL, GRANT CLIENT, 200, "\"token_type\":\"Bearer\""},
        {BASIC, GRANT "&scope=short", 200, "\"expires_in\":2"},
        {BASIC, GRANT "&scope=denied", 400, "invalid_scope"},
        {BASIC, GRANT CLIENT, 401, "invalid_client"}, /* twice */
        {NULL, GRANT, 401, "invalid_client"},
        {WRONG, GRANT, 401, "invalid_client"},
        {"Basic !", GRANT, 401, "invalid_client"},
        {"Bearer x", GRANT, 401, "invalid_client"},
        {NULL, GRANT "&client_id=me&client_secret=other", 401, "invalid_client"},
        {BASIC, "grant_type=password", 400, "unsupported_grant_type"},
        {BASIC, "", 400, "invalid_request"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        void *shop = oauth_row.open(&(struct provider_options){0});
        struct provider_answer answer =
            ask(shop, "POST", "/token", cases[i].authorization, cases[i].body, 0);
        if (answer.status != cases[i].status ||
            !strstr(buf_str(&answer.body), cases[i].fragment))
            fail_msg("case %zu: %u %s", i, answer.status, buf_str(&answer.body));
        buf_fini(&answer.body);
        oauth_row.close(shop);
    }
}

/* "Bearer TOKEN", to be freed. */
static char *bearer(void *shop, const char *scope)
{
    _free_ char *body = mem_format(GRANT "&scope=%s", scope);
    struct provider_answer answer = ask(shop, "POST", "/token", BASIC, body, 0);
    char error[64];
    struct json *json =
        js_parse((const char *)answer.body.bytes, answer.body.len, error, sizeof(error));
    char *value = mem_format("Bearer %s", js_text(json, "access_token", ""));

    js_free(json);
    buf_fini(&answer.body);
    return value;
}

static void a_token_is_good_for_as_long_as_its_scope_says(void **state)
{
    static const struct {
        const char *scope;
        uint64_t after_us;
        unsigned statuses[2];
    } cases[] = {{"orders", 3599000000, {201, 201}},
                 {"orders", 3600000000, {401, 401}},
                 {"short", 1999999, {201, 201}},
                 {"short", 2000000, {401, 401}},
                 {"once", 1, {201, 401}}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        void *shop = oauth_row.open(&(struct provider_options){0});
        _free_ char *token = bearer(shop, cases[i].scope);
        for (int k = 0; k < 2; k++) {
            struct provider_answer answer =
                ask(shop, "POST", "/orders", token, "{}", cases[i].after_us);
            if (answer.status != cases[i].statuses[k])
                fail_msg("case %zu, call %d: %u", i, k, answer.status);
            buf_fini(&answer.body);
        }
        oauth_row.close(shop);
    }
}

static void what_has_no_token_is_kept_out(void **state)
{
    static const char *const wrong[] = {NULL, "Bearer at_other", BASIC};
    void *shop = oauth_row.open(&(struct provider_options){.api_key = "cs_own"});

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct provider_answer answer = ask(shop, "GET", "/orders", wrong[i], "", 0);
        assert_int_equal(answer.status, 401);
        assert_string_equal(answer.headers.all[0].name, "WWW-Authenticate");
        buf_fini(&answer.body);
    }
    struct provider_answer answer = ask(shop, "POST", "/token", BASIC, GRANT, 0);
    assert_int_equal(answer.status, 401); /* it has a secret of its own */
    buf_fini(&answer.body);
    oauth_row.close(shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_shows_itself_in_one_way),
        cmocka_unit_test(a_token_is_good_for_as_long_as_its_scope_says),
        cmocka_unit_test(what_has_no_token_is_kept_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
