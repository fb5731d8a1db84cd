/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A scenario is a function that says HELD, or BROKEN or SKIPPED and why.  Those about an
 * operation take its `example` from the manifest, and the service answers it with
 * `example_answer`; what has no example cannot be tried and says so. */
#include "cli/connector/scenarios.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    RESULT_US = 20000000,        /* an answer to one event */
    AGAIN_US = 10000000,         /* after BYE or garbage */
    END_MS = 15000,
};

#define REFUSAL "{\"error\":{\"message\":\"refused by the conformance kit\"}}"

static enum scenario_result say(struct check *check, enum scenario_result result,
                                const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));
static enum scenario_result say(struct check *check, enum scenario_result result,
                                const char *format, va_list args)
{
    vsnprintf(check->why, sizeof(check->why), format, args);
    return result;
}

static enum scenario_result broken(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum scenario_result broken(struct check *check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    enum scenario_result result = say(check, SCENARIO_BROKEN, format, args);
    va_end(args);
    return result;
}

static enum scenario_result skipped(struct check *check, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static enum scenario_result skipped(struct check *check, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    enum scenario_result result = say(check, SCENARIO_SKIPPED, format, args);
    va_end(args);
    return result;
}

/* --- asking --- */

static const char *operation_name(const struct check *check)
{
    return js_text(check->operation, "name", "");
}

static const char *repeat_of(const struct check *check)
{
    return js_text(check->operation, "repeat", "never");
}

static bool is_repeat(const struct check *check, const char *what)
{
    return strcmp(repeat_of(check), what) == 0;
}

/* "payment.charge" with an end. */
static char *type_of(const struct check *check, const char *end)
{
    return mem_format("%s.%s.%s", js_text(check->stand->manifest, "name", ""),
                      operation_name(check), end);
}

static char *example_of(const struct check *check, const char *member)
{
    const struct json *example = js_get(check->operation, member);
    struct buf text = BUF_NULL;

    if (!example)
        return NULL;
    js_write(example, 0, &text);
    return (char *)text.bytes;
}

static bool has_ended(const struct check *check)
{
    return interrupt_came() || (check->subject && !subject_is_running(check->subject));
}

/* A result above `before`, unless the connector ends meanwhile. */
static bool wait_result(struct check *check, unsigned before, uint64_t timeout_us)
{
    struct stand *stand = check->stand;
    uint64_t end_us = loop_steady_us(stand->loop) + timeout_us;

    while (!stand_wait(stand, &stand->results, before, 100000))
        if (has_ended(check) || loop_steady_us(stand->loop) > end_us)
            return false;
    return true;
}

/* Deliver it and read the one result; false with check->why. */
static bool ask(struct check *check, const struct stand_event *event, uint64_t timeout_us,
                struct result *ret)
{
    struct stand *stand = check->stand;
    unsigned before = stand->results;
    struct position place = stand_deliver(stand, event);

    if (!wait_result(check, before, timeout_us)) {
        if (has_ended(check))
            snprintf(check->why, sizeof(check->why), "it ended before it answered");
        else
            snprintf(check->why, sizeof(check->why), "no result within %d s%s%s",
                     (int)(timeout_us / 1000000), *stand->problem ? "; " : "",
                     stand->problem);
        return false;
    }
    return result_read(&stand->result, place, stand_event_id(stand), ret, check->why,
                       sizeof(check->why));
}

/* The operation's example, with what else is said of the event. */
static bool ask_example(struct check *check, struct stand_event event,
                        uint64_t timeout_us, struct result *ret)
{
    _free_ char *type = type_of(check, "requested"), *data = example_of(check, "example");

    event.type = type;
    event.data = event.data ? event.data : data;
    event.data_len = strlen(event.data);
    return ask(check, &event, timeout_us, ret);
}

static void answer_with(struct check *check, struct service_answer answer)
{
    if (check->service)
        check->service->answer = answer;
}

static unsigned calls(const struct check *check)
{
    return check->service ? check->service->requests : 0;
}

/* A failure for people: of this class (-1: any), of the right type, with a text. */
static enum scenario_result expect_failure(struct check *check, const struct result *r,
                                           int class)
{
    if (r->is_retry || r->is_success)
        return broken(check, "expected a Failed outcome; it %s",
                      r->is_retry ? "gave the event back" : "says Success");
    if (!*r->message)
        return broken(check, "its Failed outcome has no error_msg");
    if (class >= 0 && r->class != (enum record_class) class)
        return broken(check, "expected Failed/%s; it says Failed/%s: %s",
                      class_name((unsigned)class), class_name(r->class), r->message);
    if (!r->class)
        return broken(check, "its Failed outcome has no class");
    return SCENARIO_HELD;
}

static enum scenario_result expect_type(struct check *check, const struct result *r,
                                        const char *end)
{
    _free_ char *expected = type_of(check, end);

    return strcmp(r->type, expected) == 0
               ? SCENARIO_HELD
               : broken(check, "its outcome's type is %s; expected %s", r->type,
                        expected);
}

/* --- about the whole --- */

static enum scenario_result joins(struct check *check)
{
    struct stand *stand = check->stand;
    uint64_t wait_us = check->subject ? JOIN_US : JOIN_BY_HAND_US,
             end_us = loop_steady_us(stand->loop) + wait_us;

    while (!stand->hellos && loop_steady_us(stand->loop) < end_us) {
        loop_turn(stand->loop, 20);
        if (has_ended(check)) {
            _free_ char *said = check->subject ? subject_said(check->subject) : NULL;
            return broken(check, "it ended before it joined; its last words: %s",
                          said ? said : "");
        }
    }
    if (!stand->hellos)
        return broken(check, "no HELLO within %d s", (int)(wait_us / 1000000));
    if (*stand->problem)
        return broken(check, "%s", stand->problem);
    return SCENARIO_HELD;
}

static enum scenario_result has_a_valid_manifest(struct check *check)
{
    const struct json *manifest = check->stand->manifest;
    struct buf text = BUF_NULL, errors = BUF_NULL;

    js_write(manifest, 0, &text);
    struct program *read = program_new((const char *)text.bytes, text.len, &errors);
    enum scenario_result result =
        read ? SCENARIO_HELD : broken(check, "%s", buf_str(&errors));
    program_free(read);
    buf_fini(&text);
    buf_fini(&errors);
    return result;
}

static enum scenario_result asks_for_events(struct check *check)
{
    struct stand *stand = check->stand;

    if (!stand_wait(stand, &stand->subscribes, 0, AGAIN_US))
        return broken(check, "no SUBSCRIBE after WELCOME");
    return *stand->problem ? broken(check, "%s", stand->problem) : SCENARIO_HELD;
}

static enum scenario_result pings(struct check *check)
{
    struct stand *stand = check->stand;
    unsigned before = stand->pings;

    /* told to do so every half second, it has ten of them for two */
    if (!stand_wait(stand, &stand->pings, before + 1, 10 * STAND_PING_MS * 1000))
        return broken(check,
                      "WELCOME asks for a PING every %d ms; two did not come in %d ms",
                      STAND_PING_MS, 10 * STAND_PING_MS);
    return *stand->problem ? broken(check, "%s", stand->problem) : SCENARIO_HELD;
}

static enum scenario_result fails_what_it_does_not_handle(struct check *check)
{
    _free_ char *type = mem_format("%s.no_such_operation.requested",
                                   js_text(check->stand->manifest, "name", ""));
    struct result result;

    if (!ask(check, &(struct stand_event){.type = type, .data = "{}", .data_len = 2},
             RESULT_US, &result))
        return SCENARIO_BROKEN;
    return expect_failure(check, &result, CLASS_permanent);
}

/* --- about each operation --- */

static enum scenario_result succeeds(struct check *check)
{
    _free_ char *answer = example_of(check, "example_answer");
    struct result result;

    if (check->service && !check->is_lines && !answer)
        return skipped(check, "the manifest has no `example_answer` for it");
    answer_with(check, (struct service_answer){.status = 200, .body = answer});
    if (!ask_example(check, (struct stand_event){0}, RESULT_US, &result))
        return SCENARIO_BROKEN;
    if (!check->service || check->is_lines) { /* what it makes of it is its own */
        if (result.is_retry)
            return SCENARIO_HELD;
        return result.is_success ? expect_type(check, &result, "succeeded")
                                 : expect_failure(check, &result, -1);
    }
    if (result.is_retry || !result.is_success)
        return broken(check, "expected Success; it says %s%s: %s",
                      result.is_retry ? "to try again" : "Failed/",
                      result.is_retry ? "" : class_name(result.class), result.message);
    return expect_type(check, &result, "succeeded");
}

static enum scenario_result fails(struct check *check)
{
    struct result result;

    answer_with(check, (struct service_answer){.status = 400, .body = REFUSAL});
    if (!ask_example(check, (struct stand_event){0}, RESULT_US, &result))
        return SCENARIO_BROKEN;
    enum scenario_result said = expect_failure(check, &result, -1);
    return said == SCENARIO_HELD ? expect_type(check, &result, "failed") : said;
}

static enum scenario_result waits_as_asked(struct check *check)
{
    struct result result;

    answer_with(check, (struct service_answer){
                           .status = 429, .body = REFUSAL, .retry_after = "2"});
    if (!ask_example(check, (struct stand_event){0}, RESULT_US, &result))
        return SCENARIO_BROKEN;
    if (!result.is_retry)
        return broken(check, "expected that it gives the event back; it says %s: %s",
                      result.is_success ? "Success" : class_name(result.class),
                      result.message);
    if (result.after_us < 2000000)
        return broken(check, "Retry-After is 2 s, and it asks for %d ms",
                      (int)(result.after_us / 1000));
    return SCENARIO_HELD;
}

static enum scenario_result refuses_bad_input(struct check *check)
{
    unsigned before = calls(check);
    struct result result;

    if (js_bool(check->operation, "is_poll", false))
        return skipped(check, "a poll may take anything");
    answer_with(check, (struct service_answer){.status = 200});
    if (!ask_example(check, (struct stand_event){.data = "[\"no object\"]"}, RESULT_US,
                     &result))
        return SCENARIO_BROKEN;
    if (calls(check) != before)
        return broken(check, "it called the service with input that is no object");
    return expect_failure(check, &result, CLASS_permanent);
}

static enum scenario_result keeps_the_deadline(struct check *check)
{
    unsigned before = calls(check);
    struct result result;

    if (!ask_example(check, (struct stand_event){.deadline_us = 1000000}, RESULT_US,
                     &result))
        return SCENARIO_BROKEN;
    if (calls(check) != before)
        return broken(check, "it called the service although the deadline had passed");
    return expect_failure(check, &result, CLASS_deadline);
}

static bool has_lookup(const struct check *check)
{
    return js_bool(check->operation, "lookup", false);
}

static enum scenario_result does_not_guess(struct check *check)
{
    struct result result;

    if (has_lookup(check) && is_repeat(check, "never"))
        return skipped(check, "it has a lookup, whose answers the kit does not know");
    answer_with(check, (struct service_answer){.status = 200, .is_cut = true});
    if (!ask_example(check, (struct stand_event){0}, RESULT_US, &result))
        return SCENARIO_BROKEN;
    if (is_repeat(check, "never"))
        return expect_failure(check, &result, CLASS_unknown);
    return result.is_retry ? SCENARIO_HELD
                           : broken(check,
                                    "it may be repeated (%s), and its answer was lost; "
                                    "expected that it is given back",
                                    repeat_of(check));
}

/* The same key at the second attempt. */
static enum scenario_result repeats_its_key(struct check *check)
{
    const char *header = js_text(check->operation, "key_header", "Idempotency-Key");
    char first[200], second[200];
    struct result result;

    answer_with(check, (struct service_answer){.status = 503, .body = REFUSAL});
    if (!ask_example(check, (struct stand_event){0}, RESULT_US, &result))
        return SCENARIO_BROKEN;
    service_header(check->service, header, first, sizeof(first));
    if (!ask_example(
            check, (struct stand_event){.is_again = true, .attempt = 2, .in_doubt = true},
            RESULT_US, &result))
        return SCENARIO_BROKEN;
    service_header(check->service, header, second, sizeof(second));
    if (!*first)
        return broken(check, "its calls carry no %s", header);
    return strcmp(first, second) == 0
               ? SCENARIO_HELD
               : broken(check, "the second attempt has another %s than the first",
                        header);
}

static enum scenario_result minds_doubt(struct check *check)
{
    unsigned before = calls(check);
    struct result result;

    if (is_repeat(check, "safe"))
        return skipped(check, "it may be repeated");
    if (is_repeat(check, "keyed"))
        return check->service && !check->is_lines
                   ? repeats_its_key(check)
                   : skipped(check, "what it calls is not the kit's");
    if (has_lookup(check))
        return skipped(check, "it has a lookup, whose answers the kit does not know");
    answer_with(check, (struct service_answer){.status = 200});
    if (!ask_example(check, (struct stand_event){.attempt = 2, .in_doubt = true},
                     RESULT_US, &result))
        return SCENARIO_BROKEN;
    if (calls(check) != before)
        return broken(check, "it was sent again although an earlier attempt may have had "
                             "its effect");
    return expect_failure(check, &result, CLASS_unknown);
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
        return broken(check, "bytes that are no frame ended it for good");
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
    bool has_answered = stand_wait(stand, &stand->results, results, RESULT_US);
    uint64_t ref = stand->result_ref;
    stand->holds_settled = false;
    stand_bye(stand);
    if (!has_answered)
        return broken(check, "no result");
    if (!stand_wait(stand, &stand->hellos, hellos, AGAIN_US))
        return broken(check, "no HELLO after the broker's BYE");
    if (!stand->is_same_instance)
        return broken(check, "it comes again with another `instance`");
    if (!stand_wait(stand, &stand->results, results + 1, RESULT_US))
        return broken(check, "the result that was not answered does not come again");
    if (stand->result_ref != ref)
        return broken(check, "the result that was not answered comes again under another "
                             "number");
    return *stand->problem ? broken(check, "%s", stand->problem) : SCENARIO_HELD;
}

static enum scenario_result ends_when_asked(struct check *check)
{
    struct stand *stand = check->stand;
    unsigned before = stand->byes;
    char how[100];

    if (!check->subject)
        return skipped(check, "the kit did not start it");
    if (!subject_stop(check->subject, END_MS, how))
        return broken(check, "asked to end (SIGTERM) it %s; expected status 0", how);
    return stand_wait(stand, &stand->byes, before, AGAIN_US)
               ? SCENARIO_HELD
               : broken(check, "it ended without BYE: its events wait for their leases");
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
    {"garbage on the bus does not end it", survives_garbage, false, false},
    {"it comes again, and sends again what was not answered", comes_again, false, false},
    {"it ends when it is asked, and says BYE", ends_when_asked, false, false},
};

static enum scenario_result run_each(struct check *check, const struct scenario *s)
{
    if (!js_is_object(js_get(check->operation, "example")))
        return skipped(check, "the manifest has no `example` for it");
    if (s->needs_service && (!check->service || check->is_lines))
        return skipped(check, "what it calls is not the kit's");
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
        for (size_t j = 0; j < n && !(n_broken && has_ended(check)); j++) {
            check->why[0] = 0;
            check->operation = js_at(operations, j);
            enum scenario_result result = s->is_each ? run_each(check, s) : s->fn(check);
            if (interrupt_came())
                return n_broken;
            fn(user, s->claim, s->is_each ? operation_name(check) : NULL, result,
               check->why);
            n_broken += result == SCENARIO_BROKEN;
        }
        if (n_broken && (s->fn == joins || has_ended(check)))
            break; /* there is nobody left to try */
    }
    return n_broken;
}
