/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* lookups - what is sent and not answered is asked about, and never sent blindly again */
#include "cli/connector/lookups.h"

#include <string.h>

#include "cli/connector/check.h"
#include "cli/connector/result.h"
#include "cli/connector/service.h"
#include "cli/connector/stand.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"

#define REFUSAL "{\"error\":{\"message\":\"refused by the conformance kit\"}}"

enum { CALL_TEXT_MAX = 2000 /* "METHOD target"; what is longer is compared so far */ };

/* What the service is asked when the operation is called: the effect. */
static bool learn_effect(struct check *check, char effect[CALL_TEXT_MAX])
{
    _free_ char *answer = check_example(check, "example_answer");
    struct result result;

    service_play(check->service, NULL, 0);
    check_answer(check, (struct service_answer){.status = 200, .body = answer});
    if (!check_ask_example(check, (struct stand_event){0}, CHECK_RESULT_US, &result))
        return false;
    service_seen(check->service, 0, effect, CALL_TEXT_MAX);
    if (*effect)
        return true;
    check_broken(check, "with its example it calls nothing");
    return false;
}

/* Requests since service_play() that are the effect. */
static unsigned effects(const struct check *check, const char *effect)
{
    char seen[CALL_TEXT_MAX];
    unsigned n = 0;

    for (unsigned i = 0;; i++) {
        service_seen(check->service, i, seen, sizeof(seen));
        if (!*seen)
            return n;
        n += strcmp(seen, effect) == 0;
    }
}

/* An event for whose effect a lookup is asked: of one that may never be repeated an
 * earlier attempt's, of one with a key an attempt's whose key is no longer remembered. */
static struct stand_event doubtful(const struct check *check)
{
    uint64_t lifetime_us =
        (uint64_t)js_int(check->operation, "key_lifetime_s", 0) * 1000000;
    uint64_t now_us = loop_wall_us(check->stand->loop);

    return (struct stand_event){
        .attempt = 2,
        .in_doubt = true,
        .committed_us = check_is_repeat(check, "keyed") ? now_us - lifetime_us : 0};
}

struct lookup_case {
    const char *says; /* what the lookup finds, for people */
    struct stand_event event;
    struct service_answer script[2];
    unsigned n_script, n_effects; /* that there must have been */
    bool is_retry, is_success;
    enum record_class class; /* of a failure */
};

static enum scenario_result try_lookup(struct check *check, const char *effect,
                                       const struct lookup_case *c)
{
    struct result r;

    service_play(check->service, c->script, c->n_script);
    check_answer(check, c->script[c->n_script - 1]); /* asked again: the same */
    if (!check_ask_example(check, c->event, CHECK_RESULT_US, &r))
        return SCENARIO_BROKEN;
    unsigned n = effects(check, effect);
    if (n != c->n_effects)
        return check_broken(check,
                            "the lookup says %s: it was called %u times; expected %u",
                            c->says, n, c->n_effects);
    if (check->service->next < c->n_script)
        return check_broken(check,
                            "the lookup says %s: the service was asked %u times; "
                            "expected %u",
                            c->says, check->service->next, c->n_script);
    if (r.is_retry == c->is_retry && r.is_success == c->is_success &&
        (r.is_retry || r.is_success || r.class == c->class))
        return SCENARIO_HELD;
    return check_broken(check, "the lookup says %s; its result is %s%s: %s", c->says,
                        r.is_retry     ? "to try again"
                        : r.is_success ? "Success"
                                       : "Failed/",
                        r.is_retry || r.is_success ? "" : class_name(r.class), r.message);
}

/* The status with which a service says that it knows nothing of it. */
static unsigned absent_status_of(const struct check *check)
{
    int64_t status = js_int(check->operation, "absent_status", 0);

    return status ? (unsigned)status : 200;
}

/* The call was made and its answer got lost: whatever the lookup says, there is one. */
static enum scenario_result after_a_lost_answer(struct check *check, const char *effect)
{
    const struct service_answer cut = {.status = 200, .is_cut = true};
    _free_ char *absent = check_example(check, "example_absent"),
                *found = check_example(check, "example_found");
    unsigned absent_status = absent_status_of(check);
    const struct lookup_case happened = {.says = "that it happened",
                                         .script = {cut, {.status = 200, .body = found}},
                                         .n_script = 2,
                                         .n_effects = 1,
                                         .is_success = true};
    const struct lookup_case did_not = {
        .says = "that it did not happen",
        .script = {cut, {.status = absent_status, .body = absent}},
        .n_script = 2,
        .n_effects = 1,
        .is_retry = true};
    enum scenario_result result = try_lookup(check, effect, &happened);

    return result == SCENARIO_HELD ? try_lookup(check, effect, &did_not) : result;
}

/* An earlier attempt may have had its effect: nothing is sent before the lookup has said
 * that it has not. */
static enum scenario_result before_another_attempt(struct check *check,
                                                   const char *effect)
{
    _free_ char *absent = check_example(check, "example_absent"),
                *found = check_example(check, "example_found"),
                *answer = check_example(check, "example_answer");
    const struct lookup_case cases[] = {
        {.says = "that it happened",
         .event = doubtful(check),
         .script = {{.status = 200, .body = found}},
         .n_script = 1,
         .is_success = true},
        {.says = "that it did not happen",
         .event = doubtful(check),
         .script = {{.status = absent_status_of(check), .body = absent},
                    {.status = 200, .body = answer}},
         .n_script = 2,
         .n_effects = 1,
         .is_success = true},
        {.says = "nothing of use (403)",
         .event = doubtful(check),
         .script = {{.status = 403, .body = REFUSAL}},
         .n_script = 1,
         .class = CLASS_unknown},
    };
    enum scenario_result result = SCENARIO_HELD;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) && result == SCENARIO_HELD;
         i++)
        result = try_lookup(check, effect, &cases[i]);
    return result;
}

static enum scenario_result try_lookups(struct check *check, bool is_lost)
{
    char effect[CALL_TEXT_MAX];

    if (!check_has_lookup(check))
        return check_skipped(check, "it has no lookup");
    if (is_lost && check_is_repeat(check, "keyed"))
        return check_skipped(check, "it is sent again, under its key");
    if (!js_get(check->operation, "example_found") ||
        !js_get(check->operation, "example_absent"))
        return check_skipped(
            check, "the manifest has no `example_found` and `example_absent` for it");
    if (!learn_effect(check, effect))
        return SCENARIO_BROKEN;
    return (is_lost ? after_a_lost_answer : before_another_attempt)(check, effect);
}

enum scenario_result lookups_of_what_was_lost(struct check *check)
{
    return try_lookups(check, /* is_lost= */ true);
}

enum scenario_result lookups_of_doubt(struct check *check)
{
    return try_lookups(check, /* is_lost= */ false);
}
