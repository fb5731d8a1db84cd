/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/sdk/call.h"
#include "lib/sdk/manifest.h"
#include "lib/sdk/provider.h"

static enum sb_verdict request(const struct sb_event *e, struct sb_request *r,
                               struct sb_outcome *o)
{
    (void)e, (void)r, (void)o;
    return SB_DONE;
}
static enum sb_verdict answer(const struct sb_event *e, const struct sb_answer *a,
                              struct sb_outcome *o)
{
    (void)e, (void)a, (void)o;
    return SB_DONE;
}
static enum sb_verdict hook(const struct sb_event *e, struct sb_outcome *o)
{
    (void)e, (void)o;
    return SB_DONE;
}

static void expect_error(const struct sb_connector *c, const char *fragment)
{
    struct buf errors = BUF_NULL;

    assert_false(manifest_check(c, &errors));
    if (!strstr(buf_str(&errors), fragment))
        fail_msg("\"%s\" is not in: %s", fragment, buf_str(&errors));
    buf_fini(&errors);
}

static void an_operation_without_both_branches_does_not_register(void **state)
{
    (void)state;
    const struct sb_operation no_failed[] = {
        {.name = "a", .request = request, .succeeded = answer}, {.name = NULL}};
    const struct sb_operation no_succeeded[] = {
        {.name = "a", .request = request, .failed = answer}, {.name = NULL}};
    const struct sb_operation no_request[] = {
        {.name = "a", .succeeded = answer, .failed = answer}, {.name = NULL}};

    expect_error(
        &(struct sb_connector){.name = "t", .version = "1", .operations = no_failed},
        "has no failed function");
    expect_error(
        &(struct sb_connector){.name = "t", .version = "1", .operations = no_succeeded},
        "has no succeeded function");
    expect_error(
        &(struct sb_connector){.name = "t", .version = "1", .operations = no_request},
        "has no request function");
}

static void tables_that_contradict_themselves_are_refused(void **state)
{
    (void)state;
    const struct sb_operation twice[] = {
        {.name = "a", SB_BRANCHES(request, answer, answer)},
        {.name = "a", SB_BRANCHES(request, answer, answer)},
        {.name = NULL}};
    const struct sb_operation keyed[] = {
        {.name = "a", SB_BRANCHES(request, answer, answer), .repeat = SB_REPEAT_KEYED},
        {.name = NULL}};
    const struct sb_operation poll[] = {
        {.name = "a", SB_BRANCHES(request, answer, answer), .is_poll = true},
        {.name = NULL}};
    const struct sb_operation harmful[] = {{.name = "a",
                                            SB_BRANCHES(request, answer, answer),
                                            .example = "{}",
                                            .is_harmless = true},
                                           {.name = NULL}};
    const struct sb_operation half[] = {
        {.name = "a", SB_BRANCHES(request, answer, answer), .lookup_answer = answer},
        {.name = NULL}};
    const struct sb_operation safe[] = {{.name = "a",
                                         SB_BRANCHES(request, answer, answer),
                                         .lookup_request = request,
                                         .lookup_answer = answer,
                                         .repeat = SB_REPEAT_SAFE},
                                        {.name = NULL}};
    const struct sb_operation late[] = {{.name = "a",
                                         SB_BRANCHES(request, answer, answer),
                                         .lookup_request = request,
                                         .lookup_answer = answer,
                                         .lookup_after_s = 61},
                                        {.name = NULL}};
    const struct sb_webhook hooks[] = {
        {.event = "x.y", .becomes = "t..bad", .handle = hook}, {.event = NULL}};
    const struct sb_webhook deaf[] = {{.event = "x.y", .becomes = "t.y"},
                                      {.event = NULL}};
    const char *const publishes[] = {"not a type", NULL};

    expect_error(&(struct sb_connector){.name = "t", .version = "1", .operations = twice},
                 "is there twice");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .operations = keyed},
                 "key_lifetime_s");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .operations = poll},
                 "must be repeatable");
    expect_error(
        &(struct sb_connector){.name = "t", .version = "1", .operations = harmful},
        "a is harmless: it must be repeatable");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .operations = half},
                 "half a lookup");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .operations = safe},
                 "needs no lookup");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .operations = late},
                 "at most 60");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .webhooks = hooks},
                 "`becomes` is not a legal");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .webhooks = deaf},
                 "no handle function");
    expect_error(&(struct sb_connector){.name = "T!", .version = "1", .webhooks = deaf},
                 "the connector's name");
    expect_error(&(struct sb_connector){.name = "t", .version = "1"},
                 "neither operations nor webhooks");
    expect_error(
        &(struct sb_connector){
            .name = "t", .version = "1", .webhooks = deaf, .publishes = publishes},
        "publishes \"not a type\"");
}

static void who_finds_what_webhooks_bring_is_a_poll_and_says_when(void **state)
{
    (void)state;
    const struct sb_operation finder[] = {{.name = "a",
                                           SB_BRANCHES(request, answer, answer),
                                           .repeat = SB_REPEAT_SAFE,
                                           .is_poll = true,
                                           .finds = "sometimes"},
                                          {.name = NULL}};
    const struct sb_operation asker[] = {{.name = "a",
                                          SB_BRANCHES(request, answer, answer),
                                          .repeat = SB_REPEAT_SAFE,
                                          .finds = "always"},
                                         {.name = NULL}};

    expect_error(
        &(struct sb_connector){.name = "t", .version = "1", .operations = finder},
        "`finds` is");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .operations = asker},
                 "of a poll");
}

static void the_manifest_has_what_the_broker_reads(void **state)
{
    (void)state;
    const struct sb_operation operations[] = {{.name = "charge",
                                               SB_BRANCHES(request, answer, answer),
                                               .repeat = SB_REPEAT_KEYED,
                                               .key_lifetime_s = 60},
                                              {.name = NULL}};
    const struct sb_webhook hooks[] = {
        {.event = "Odd.Type", .becomes = "t.odd", .handle = hook}, {.event = NULL}};
    const char *const publishes[] = {"t.found", NULL};
    const struct sb_connector c = {.name = "t",
                                   .version = "1",
                                   .operations = operations,
                                   .webhooks = hooks,
                                   .publishes = publishes};
    struct buf out = BUF_NULL, errors = BUF_NULL;
    char error[100];

    assert_true(manifest_check(&c, &errors));
    manifest_write(&c, NULL, 0, &out);
    struct json *m = js_parse(buf_str(&out), out.len, error, sizeof(error));
    assert_string_equal(js_text(m, "name", ""), "t");
    assert_string_equal(js_text(m, "operations.0.name", ""), "charge");
    assert_string_equal(js_text(m, "operations.0.repeat", ""), "keyed");
    assert_int_equal(js_int(m, "operations.0.key_lifetime_s", 0), 60);
    assert_string_equal(js_text(m, "webhooks.0.event", ""), "Odd.Type");
    assert_string_equal(js_text(m, "webhooks.0.becomes", ""), "t.odd");
    assert_string_equal(js_text(m, "publishes.0", ""), "t.found");
    js_free(m);
    buf_fini(&out);
    buf_fini(&errors);
}

/* --- several providers --- */

static const struct sb_operation keyed_send[] = {{.name = "send",
                                                  SB_BRANCHES(request, answer, answer),
                                                  .repeat = SB_REPEAT_KEYED,
                                                  .key_lifetime_s = 60},
                                                 {.name = NULL}};
static const struct sb_operation plain_send[] = {
    {.name = "send", SB_BRANCHES(request, answer, answer)}, {.name = NULL}};
static const struct sb_option own_options[] = {{"region", SB_TEXT, NULL, false, ""},
                                               {.name = NULL}};
static const struct sb_option shared_options[] = {{"sender", SB_TEXT, NULL, false, ""},
                                                  {.name = NULL}};
static const struct sb_provider two[] = {
    {.name = "one", .base_url = "https://one.example", .operations = keyed_send},
    {.name = "two", .operations = plain_send, .options = own_options},
    {.name = NULL}};
static const struct sb_connector several = {.name = "t",
                                            .version = "1",
                                            .providers = two,
                                            .base_url = "https://any.example",
                                            .options = shared_options};

static void a_provider_brings_its_tables_and_the_connector_the_rest(void **state)
{
    (void)state;
    struct buf out = BUF_NULL, errors = BUF_NULL;
    char error[100];

    assert_true(manifest_check(&several, &errors));
    manifest_write(&several, &two[1], 0, &out);
    struct json *m = js_parse(buf_str(&out), out.len, error, sizeof(error));
    assert_string_equal(js_text(m, "provider", ""), "two");
    assert_string_equal(js_text(m, "base_url", ""), "https://any.example");
    assert_string_equal(js_text(m, "operations.0.repeat", ""), "never");
    assert_string_equal(js_text(m, "options.0.name", ""), "region");
    js_free(m);
    buf_clear(&out);
    manifest_write(&several, NULL, 0, &out);
    m = js_parse(buf_str(&out), out.len, error, sizeof(error));
    assert_string_equal(js_text(m, "providers.0.name", ""), "one");
    assert_string_equal(js_text(m, "providers.0.base_url", ""), "https://one.example");
    assert_string_equal(js_text(m, "providers.0.operations.0.repeat", ""), "keyed");
    assert_string_equal(js_text(m, "providers.0.options.0.name", ""), "sender");
    js_free(m);
    buf_fini(&out);
    buf_fini(&errors);
}

static void an_integration_names_one_of_several_providers(void **state)
{
    (void)state;
    const struct sb_provider only[] = {{.name = "one", .operations = plain_send},
                                       {.name = NULL}};
    const struct sb_connector single = {.name = "t", .version = "1", .providers = only},
                              none = {.name = "t", .operations = plain_send};
    const struct sb_provider *chosen = NULL;

    assert_true(provider_choose(&several, "two", &chosen));
    assert_ptr_equal(chosen, &two[1]);
    assert_false(provider_choose(&several, NULL, &chosen));
    assert_false(provider_choose(&several, "three", &chosen));
    assert_ptr_equal(chosen, &two[1]); /* untouched */
    assert_true(provider_choose(&single, NULL, &chosen));
    assert_ptr_equal(chosen, only);
    assert_true(provider_choose(&none, "whatever", &chosen));
    assert_null(chosen);
}

static void tables_of_providers_are_checked_like_any(void **state)
{
    (void)state;
    const struct sb_provider twice[] = {{.name = "one", .operations = plain_send},
                                        {.name = "one", .operations = plain_send},
                                        {.name = NULL}};
    const struct sb_provider empty[] = {{.name = NULL}};
    const struct sb_provider idle[] = {{.name = "one"}, {.name = NULL}};
    const struct sb_provider odd[] = {{.name = "One!", .operations = plain_send},
                                      {.name = NULL}};

    expect_error(&(struct sb_connector){.name = "t", .version = "1", .providers = twice},
                 "provider one is there twice");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .providers = empty},
                 "the table of providers is empty");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .providers = idle},
                 "neither operations nor webhooks for the provider one");
    expect_error(&(struct sb_connector){.name = "t", .version = "1", .providers = odd},
                 "provider \"One!\"");
}

static const char *no_secret(void *user, const char *name)
{
    (void)user, (void)name;
    return NULL;
}

static void options_and_secrets_are_held_against_the_tables(void **state)
{
    (void)state;
    const struct sb_option options[] = {{"size", SB_INT, NULL, true, "how large"},
                                        {"on", SB_BOOL, "true", false, ""},
                                        {.name = NULL}};
    const struct sb_secret secrets[] = {
        {"api_key", "the key", "", false}, {"extra", "", "", true}, {.name = NULL}};
    const struct sb_connector c = {
        .name = "t", .version = "1", .options = options, .secrets = secrets};
    char *names[] = {(char[]){"on"}, (char[]){"color"}},
         *values[] = {(char[]){"maybe"}, (char[]){"red"}};
    const struct integration integration = {.connector = &c,
                                            .name = "i",
                                            .option_names = names,
                                            .option_values = values,
                                            .n_options = 2,
                                            .secret = no_secret};
    struct buf errors = BUF_NULL;

    assert_false(manifest_fits(&integration, &errors));
    assert_non_null(
        strstr(buf_str(&errors),
               "integrations.i.options.color: the connector t has no such option"));
    assert_non_null(
        strstr(buf_str(&errors), "integrations.i.options.size is needed: how large"));
    assert_non_null(
        strstr(buf_str(&errors), "integrations.i.options.on: expected true or false"));
    assert_non_null(
        strstr(buf_str(&errors), "integrations.i.secrets.api_key is needed: the key"));
    assert_non_null(strstr(buf_str(&errors), "integrations.i.base_url is needed"));
    assert_null(strstr(buf_str(&errors), "extra"));
    assert_null(strstr(buf_str(&errors), "maybe"));
    buf_fini(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_operation_without_both_branches_does_not_register),
        cmocka_unit_test(tables_that_contradict_themselves_are_refused),
        cmocka_unit_test(who_finds_what_webhooks_bring_is_a_poll_and_says_when),
        cmocka_unit_test(the_manifest_has_what_the_broker_reads),
        cmocka_unit_test(a_provider_brings_its_tables_and_the_connector_the_rest),
        cmocka_unit_test(an_integration_names_one_of_several_providers),
        cmocka_unit_test(tables_of_providers_are_checked_like_any),
        cmocka_unit_test(options_and_secrets_are_held_against_the_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
