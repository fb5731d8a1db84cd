/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What an author says of a mail: mistakes are kept and named, and nothing breaks out of a
 * header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/mem.h"
#include "tests/unit/sdk/answer.h"
#include "tests/unit/sdk/delivery.h"

static const char *trick; /* what goes wrong; NULL: nothing */

static bool is(const char *name)
{
    return trick && strcmp(trick, name) == 0;
}

static enum sb_verdict request(const struct sb_event *event, struct sb_request *r,
                               struct sb_outcome *outcome)
{
    (void)event, (void)outcome;
    if (is("no sb_mail"))
        sb_mail_text(r, "text/plain", "x");
    sb_mail(r, is("subject") ? "S\r\nBcc: x@example.com" : "S");
    if (is("twice"))
        sb_mail(r, "S");
    if (!is("no sender"))
        sb_mail_address(r, SB_MAIL_FROM, "f@example.com", is("name") ? "F\n" : "F");
    if (!is("nobody"))
        sb_mail_address(r, SB_MAIL_TO,
                        is("address")     ? "a@example.com>\r\nX: y"
                        : is("not ASCII") ? "\u00e4@example.com"
                                          : "a@example.com",
                        NULL);
    if (!is("nothing"))
        sb_mail_text(r, is("type") ? "text/plain\r\nX: y" : "text/plain", "T");
    if (is("file"))
        sb_mail_attach(r, "a\r\nX: y", "text/plain", "AAEC");
    if (is("password"))
        sb_mail_login(r, "user", "missing");
    return SB_DONE;
}

static enum sb_verdict answered(const struct sb_event *event,
                                const struct sb_answer *answer,
                                struct sb_outcome *outcome)
{
    (void)event, (void)answer;
    return sb_default(outcome, "as it is");
}

static const struct sb_operation operations[] = {
    {.name = "send", SB_BRANCHES(request, answered, answered)}, {.name = NULL}};
static const struct sb_connector connector = {
    .name = "t", .version = "1", .operations = operations};
static const struct integration integration = {
    .connector = &connector, .name = "i", .base_url = "smtp://mail.example.com"};

static struct call *begun(const char *with, bool *ret_made)
{
    struct call *call = deliver(
        &integration, (struct delivery){.type = "t.send.requested", .data = "{}"});

    trick = with;
    *ret_made = call_begin(call, NOW_US);
    return call;
}

static void mistakes_end_the_request_and_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *trick, *says;
    } cases[] = {
        {"no sb_mail", "sb_mail must come before"},
        {"subject", "subject is not one line"},
        {"twice", "sb_mail was used twice"},
        {"no sender", "the mail has no sender"},
        {"name", "not a mail address that can be written to: f@example.com"},
        {"nobody", "the mail has no recipient"},
        {"address", "it has a line break"},
        {"not ASCII", "not a mail address that can be written to"},
        {"nothing", "there is nothing in the mail"},
        {"type", "a mail part's type or file name is not one line"},
        {"file", "a mail part's type or file name is not one line"},
        {"password", "the secret \"missing\" of the integration i is not configured"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_made;
        struct call *call = begun(cases[i].trick, &is_made);
        assert_false(is_made);
        assert_int_equal(call_class(call), CLASS_permanent);
        if (!strstr(call_message(call), cases[i].says))
            fail_msg("%s: %s", cases[i].trick, call_message(call));
        call_free(call);
    }
}

static void a_mail_is_the_same_at_every_attempt(void **state)
{
    (void)state;
    bool is_made;
    struct http_call_options first, second;
    struct call *one = begun(NULL, &is_made), *two = begun(NULL, &is_made);

    assert_true(is_made);
    call_http(one, &first);
    call_http(two, &second);
    assert_int_equal(first.body_len, second.body_len);
    assert_memory_equal(first.body, second.body, first.body_len);
    call_free(one);
    call_free(two);
}

static void the_code_of_the_reply_decides_where_the_connector_does_not(void **state)
{
    (void)state;
    static const struct {
        unsigned status;
        enum call_result result;
    } cases[] = {{421, CALL_RETRY}, {450, CALL_RETRY}, {550, CALL_FAILED}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_made;
        struct call *call = begun(NULL, &is_made);
        call_end(call, &(struct http_call){.status = cases[i].status}, NOW_US);
        assert_int_equal(call_result(call), cases[i].result);
        assert_true(call_class(call) != CLASS_unknown); /* nothing was taken */
        call_free(call);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_end_the_request_and_are_named),
        cmocka_unit_test(a_mail_is_the_same_at_every_attempt),
        cmocka_unit_test(the_code_of_the_reply_decides_where_the_connector_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
