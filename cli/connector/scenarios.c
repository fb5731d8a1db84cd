/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A scenario is a function that says HELD, or BROKEN or SKIPPED and why.  Those about an
 * operation take its `example` from the manifest, and the service answers it with
 * `example_answer`; what has no example cannot be tried and says so. */
#include "cli/connector/scenarios.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connector/check.h"
#include "cli/connector/lookups.h"
#include "cli/connector/result.h"
#include "cli/connector/service.h"
#include "cli/connector/stand.h"
#include "cli/connector/subject.h"
#include "cli/interrupt.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/loop/loop.h"
#include "lib/sdk/program.h"

enum {
    JOIN_US = 20000000,
    JOIN_BY_HAND_US = 300000000, /* at an address: somebody types */
    AGAIN_US = 10000000,         /* after BYE or garbage */
    END_MS = 15000,
};

#define REFUSAL "{\"error\":{\"message\":\"refused by the conformance kit\"}}"

/* --- about the whole --- */

static enum scenario_result joins(struct check *check)
{
    struct stand *stand = check->stand;
    uint64_t wait_us = check->subject ? JOIN_US : JOIN_BY_HAND_US,
             end_us = loop_steady_us(stand->loop) + wait_us;

    while (!stand->hellos && loop_steady_us(stand->loop) < end_us) {
        loop_turn(stand->loop, 20);
        if (check_is_over(check)) {
            _free_ char *said = check->subject ? subject_said(check->subject) : NULL;
            return check_broken(check, "it ended before it joined; its last words: %s",
                                said ? said : "");
        }
    }
    if (!stand->hellos)
        return check_broken(check, "no HELLO within %d s", (int)(wait_us / 1000000));
    if (*stand->problem)
        return check_broken(check, "%s", stand->problem);
    return SCENARIO_HELD;
}

static enum scenario_result has_a_valid_manifest(struct check *check)
{
    const struct json *manifest = check->stand->manifest;
    struct buf text = BUF_NULL, errors = BUF_NULL;

    js_write(manifest, 0, &text);
    struct program *read = program_new((const char *)text.bytes, text.len, &errors);
    enum scenario_result result =
        read ? SCENARIO_HELD : check_broken(check, "%s", buf_str(&errors));
    program_free(read);
    buf_fini(&text);
    buf_fini(&errors);
    return result;
}

static enum scenario_result asks_for_events(struct check *check)
{
    struct stand *stand = check->stand;

    if (!stand_wait(stand, &stand->subscribes, 0, AGAIN_US))
        return check_broken(check, "no SUBSCRIBE after WELCOME");
    return *stand->problem ? check_broken(check, "%s", stand->problem) : SCENARIO_HELD;
}

static enum scenario_result pings(struct check *check)
{
    struct stand *stand = check->stand;
    unsigned before = stand->pings;

    /* told to do so every half second, it has ten of them for two */
    if (!stand_wait(stand, &stand->pings, before + 1, 10 * STAND_PING_MS * 1000))
        return check_broken(
            check, "WELCOME asks for a PING every %d ms; two did not come in %d ms",
            STAND_PING_MS, 10 * STAND_PING_MS);
    return *stand->problem ? check_broken(check, "%s", stand->problem) : SCENARIO_HELD;
}

static enum scenario_result fails_what_it_does_not_handle(struct check *check)
{
    _free_ char *type = mem_format("%s.no_such_operation.requested",
                                   js_text(check->stand->manifest, "name", ""));
    struct result result;

    if (!check_ask(check,
                   &(struct stand_event){.type = type, .data = "{}", .data_len = 2},
                   CHECK_RESULT_US, &result))
        return SCENARIO_BROKEN;
    return check_failure(check, &result, CLASS_permanent);
}

/* --- about each operation --- */

static enum scenario_result succeeds(struct check *check)
{
    _free_ char *answer = check_example(check, "example_answer");
    struct result result;

    if (check->service && !answer)
        return check_skipped(check, "the manifest has no `example_answer` for it");
    check_answer(check, (struct service_answer){.status = 200, .body = answer});
    if (!check_ask_example(check, (struct stand_event){0}, CHECK_RESULT_US, &result))
        return SCENARIO_BROKEN;
    if (!check->service) { /* what it makes of it is its own */
        if (result.is_retry)
            return SCENARIO_HELD;
        return result.is_success ? check_outcome_type(check, &result, "succeeded")
                                 : check_failure(check, &result, -1);
    }
    if (result.is_retry || !result.is_success)
        return check_broken(check, "expected Success; it says %s%s: %s",
                            result.is_retry ? "to try again" : "Failed/",
                            result.is_retry ? "" : class_name(result.class),
                            result.message);
    return check_outcome_type(check, &result, "succeeded");
}

static enum scenario_result fails(struct check *check)
{
    struct result result;

    check_answer(check, (struct service_answer){.status = 400, .body = REFUSAL});
    if (!check_ask_example(check, (struct stand_event){0}, CHECK_RESULT_US, &result))
        return SCENARIO_BROKEN;
    enum scenario_result said = check_failure(check, &result, -1);
    return said == SCENARIO_HELD ? check_outcome_type(check, &result, "failed") : said;
}

static enum scenario_result waits_as_asked(struct check *check)
{
    struct result result;

    check_answer(check, (struct service_answer){
                            .status = 429, .body = REFUSAL, .retry_after = "2"});
    if (!check_ask_example(check, (struct stand_event){0}, CHECK_RESULT_US, &result))
        return SCENARIO_BROKEN;
    if (!result.is_retry)
        return check_broken(
            check, "expected that it gives the event back; it says %s: %s",
            result.is_success ? "Success" : class_name(result.class), result.message);
    if (result.after_us < 2000000)
        return check_broken(check, "Retry-After is 2 s, and it asks for %d ms",
                            (int)(result.after_us / 1000));
    return SCENARIO_HELD;
}

static enum scenario_result refuses_bad_input(struct check *check)
{
    unsigned before = check_calls(check);
    struct result result;

    if (js_bool(check->operation, "is_poll", false))
        return check_skipped(check, "a poll may take anything");
    check_answer(check, (struct service_answer){.status = 200});
    if (!check_ask_example(check, (struct stand_event){.data = "[\"no object\"]"},
                           CHECK_RESULT_US, &result))
        return SCENARIO_BROKEN;
    if (check_calls(check) != before)
        return check_broken(check, "it called the service with input that is no object");
    return check_failure(check, &result, CLASS_permanent);
}

static enum scenario_result keeps_the_deadline(struct check *check)
{
    unsigned before = check_calls(check);
    struct result result;

    if (!check_ask_example(check, (struct stand_event){.deadline_us = 1000000},
                           CHECK_RESULT_US, &result))
        return SCENARIO_BROKEN;
    if (check_calls(check) != before)
        return check_broken(check,
                            "it called the service although the deadline had passed");
    return check_failure(check, &result, CLASS_deadline);
}

static enum scenario_result does_not_guess(struct check *check)
{
    struct result result;

    if (check_has_lookup(check) && check_is_repeat(check, "never"))
        return check_skipped(check, "it has a lookup");
    check_answer(check, (struct service_answer){.status = 200, .is_cut = true});
    if (!check_ask_example(check, (struct stand_event){0}, CHECK_RESULT_US, &result))
        return SCENARIO_BROKEN;
    if (check_is_repeat(check, "never"))
        return check_failure(check, &result, CLASS_unknown);
    return result.is_retry
               ? SCENARIO_HELD
               : check_broken(check,
                              "it may be repeated (%s), and its answer was lost; "
                              "expected that it is given back",
                              check_repeat(check));
}

/* The same key at the second attempt. */
static enum scenario_result repeats_its_key(struct check *check)
{
    const char *header = js_text(check->operation, "key_header", "Idempotency-Key");
    char first[200], second[200];
    struct result result;

    check_answer(check, (struct service_answer){.status = 503, .body = REFUSAL});
    if (!check_ask_example(check, (struct stand_event){0}, CHECK_RESULT_US, &result))
        return SCENARIO_BROKEN;
    service_header(check->service, header, first, sizeof(first));
    if (!check_ask_example(
            check, (struct stand_event){.is_again = true, .attempt = 2, .in_doubt = true},
            CHECK_RESULT_US, &result))
        return SCENARIO_BROKEN;
    service_header(check->service, header, second, sizeof(second));
    if (!*first)
        return check_broken(check, "its calls carry no %s", header);
    return strcmp(first, second) == 0
               ? SCENARIO_HELD
               : check_broken(check, "the second attempt has another %s than the first",
                              header);
}

static enum scenario_result minds_doubt(struct check *check)
{
    unsigned before = check_calls(check);
    struct result result;

    if (check_is_repeat(check, "safe"))
        return check_skipped(check, "it may be repeated");
    if (check_is_repeat(check, "keyed"))
        return check->service ? repeats_its_key(check)
                              : check_skipped(check, "what it calls is not the kit's");
    if (check_has_lookup(check))
        return check_skipped(check, "it has a lookup");
    check_answer(check, (struct service_answer){.status = 200});
    if (!check_ask_example(check, (struct stand_event){.attempt = 2, .in_doubt = true},
                           CHECK_RESULT_US, &result))
        return SCENARIO_BROKEN;
    if (check_calls(check) != before)
        return check_broken(check,
                            "it was sent again although an earlier attempt may have had "
                            "its effect");
    return check_failure(check, &result, CLASS_unknown);
}

/* --- about the session --- */

/* An event that anything can answer. */
static bool answers_anything(struct check *check)
{
    return fails_what_it_does_not_handle(check) == SCENARIO_HELD;
}

static enum scenario_result survives_garbage(struct check *check)
{
    struct stand *stand = check->stand;
    unsigned before = stand->pings + stand->hellos;

    stand_garbage(stand);
    for (int i = 0; i < 4 && stand->pings + stand->hellos < before + 3; i++)
        stand_wait(stand, &stand->pings, stand->pings, AGAIN_US);
    if (!stand->is_joined)
        return check_broken(check, "bytes that are no frame ended it for good");
    return answers_anything(check) ? SCENARIO_HELD : SCENARIO_BROKEN;
}

static enum scenario_result comes_again(struct check *check)
{
    struct stand *stand = check->stand;
    unsigned hellos = stand->hellos, results = stand->results;
    _free_ char *type = mem_format("%s.no_such_operation.requested",
                                   js_text(stand->manifest, "name", ""));

    stand->holds_settled = true;
    stand_deliver(stand,
                  &(struct stand_event){.type = type, .data = "{}", .data_len = 2});
    bool has_answered = stand_wait(stand, &stand->results, results, CHECK_RESULT_US);
    uint64_t ref = stand->result_ref;
    stand->holds_settled = false;
    stand_bye(stand);
    if (!has_answered)
        return check_broken(check, "no result");
    if (!stand_wait(stand, &stand->hellos, hellos, AGAIN_US))
        return check_broken(check, "no HELLO after the broker's BYE");
    if (!stand->is_same_instance)
        return check_broken(check, "it comes again with another `instance`");
    if (!stand_wait(stand, &stand->results, results + 1, CHECK_RESULT_US))
        return check_broken(check,
                            "the result that was not answered does not come again");
    if (stand->result_ref != ref)
        return check_broken(check,
                            "the result that was not answered comes again under another "
                            "number");
    return *stand->problem ? check_broken(check, "%s", stand->problem) : SCENARIO_HELD;
}

static enum scenario_result ends_when_asked(struct check *check)
{
    struct stand *stand = check->stand;
    unsigned before = stand->byes;
    char how[100];

    if (!check->subject)
        return check_skipped(check, "the kit did not start it");
    if (!subject_stop(check->subject, END_MS, how))
        return check_broken(check, "asked to end (SIGTERM) it %s; expected status 0",
                            how);
    return stand_wait(stand, &stand->byes, before, AGAIN_US)
               ? SCENARIO_HELD
               : check_broken(check,
                              "it ended without BYE: its events wait for their leases");
}

/* --- the table --- */

struct scenario {
    const char *claim;
    enum scenario_result (*fn)(struct check *check);
    bool is_each;       /* of each operation, with its example */
    bool needs_service; /* answers of a service that is ours */
};

static const struct scenario scenarios[] = {
    {"it joins", joins, false, false},
    {"its manifest is valid", has_a_valid_manifest, false, false},
    {"it asks for events and gives credit", asks_for_events, false, false},
    {"it pings as it is told", pings, false, false},
    {"what it does not handle fails and says so", fails_what_it_does_not_handle, false,
     false},
    {"its succeeded branch: one outcome", succeeds, true, false},
    {"its failed branch: a refusal is Failed, with a reason", fails, true, true},
    {"429 gives the event back, no sooner than Retry-After", waits_as_asked, true, true},
    {"bad input is refused before any call", refuses_bad_input, true, false},
    {"nothing starts past its deadline", keeps_the_deadline, true, false},
    {"a lost answer is not taken for an answer", does_not_guess, true, true},
    {"doubt is minded: no second effect", minds_doubt, true, false},
    {"a lost answer is looked up, not sent again", lookups_of_what_was_lost, true, true},
    {"doubt is looked up before anything is sent", lookups_of_doubt, true, true},
    {"garbage on the bus does not end it", survives_garbage, false, false},
    {"it comes again, and sends again what was not answered", comes_again, false, false},
    {"it ends when it is asked, and says BYE", ends_when_asked, false, false},
};

static enum scenario_result run_each(struct check *check, const struct scenario *s)
{
    if (!js_is_object(js_get(check->operation, "example")))
        return check_skipped(check, "the manifest has no `example` for it");
    if (s->needs_service && !check->service)
        return check_skipped(check, "what it calls is not the kit's");
    return s->fn(check);
}

unsigned scenarios_run(struct check *check, scenario_fn fn, void *user)
{
    unsigned n_broken = 0;

    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        const struct scenario *s = &scenarios[i];
        const struct json *operations =
            s->is_each ? js_get(check->stand->manifest, "operations") : NULL;
        size_t n = s->is_each ? js_count(operations) : 1;
        for (size_t j = 0; j < n && !(n_broken && check_is_over(check)); j++) {
            check->why[0] = 0;
            check->operation = js_at(operations, j);
            enum scenario_result result = s->is_each ? run_each(check, s) : s->fn(check);
            if (interrupt_came())
                return n_broken;
            fn(user, s->claim, s->is_each ? check_operation(check) : NULL, result,
               check->why);
            n_broken += result == SCENARIO_BROKEN;
        }
        if (n_broken && (s->fn == joins || check_is_over(check)))
            break; /* there is nobody left to try */
    }
    return n_broken;
}
