/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo/steps.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/demo/services.h"
#include "cli/demo/world.h"
#include "cli/practice.h"
#include "cli/up/sandbox.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"

enum {
    SETTLE_TRIES = 100,
    PAUSE_MS = 100,
    DEMO_SLOW = 4,
    SLOW_MS = 400,
    POLL_SLOW_MS = 5000, /* two runs fall due meanwhile */
    MISS_TRIES = 150
};

#define CARD(method)                                                                     \
    "{\"amount\":2000,\"currency\":\"usd\",\"payment_method\":\"" method "\"}"
#define SAY(world, ...) snprintf((world)->said, sizeof((world)->said), __VA_ARGS__)

static bool is(const struct json *value, const char *path, const char *text)
{
    return strcmp(js_text(value, path, ""), text) == 0;
}

/* --- calls --- */

static bool charge_succeeds(struct world *world)
{
    struct json *outcome;
    int64_t sum, most;
    int status = world_run(world,
                           (const char *const[]){"call", "payment.charge", "--data",
                                                 CARD("pm_card_visa"), NULL},
                           &outcome);
    bool good = (status == CLI_DONE && is(outcome, "status", "Success") &&
                 is(outcome, "type", "payment.charge.succeeded")) ||
                world_no(world, "exit status %d, outcome %s", status,
                         js_text(outcome, "status", "none"));

    SAY(world, "%s", js_text(outcome, "data.charge", ""));
    js_free(outcome);
    if (!good || !world_effects(world, SANDBOX_INTEGRATION, &sum, &most))
        return false;
    world->charged = 1;
    return sum == 1 || world_no(world, "the provider counts %" PRId64 " charges", sum);
}

static bool charge_is_declined(struct world *world)
{
    struct json *outcome;
    int status =
        world_run(world,
                  (const char *const[]){"call", "payment.charge", "--data",
                                        CARD("pm_card_visa_chargeDeclined"), NULL},
                  &outcome);
    bool good = (status == CLI_FAILED && is(outcome, "status", "Failed") &&
                 is(outcome, "type", "payment.charge.failed") &&
                 is(outcome, "error_class", "permanent")) ||
                world_no(world, "exit status %d, outcome %s", status,
                         js_text(outcome, "status", "none"));

    SAY(world, "%s", js_text(outcome, "error_msg", ""));
    js_free(outcome);
    return good;
}

static bool nobody_handles(struct world *world)
{
    struct json *outcome;
    int status =
        world_run(world, (const char *const[]){"call", "maps.timezone", NULL}, &outcome);

    js_free(outcome);
    SAY(world, "no connector handles maps.timezone");
    return status == CLI_FAILED || world_no(world, "exit status %d", status);
}

/* --- webhooks --- */

/* Send one; its answer, to be freed. */
static struct json *simulate(struct world *world, const char *fault)
{
    struct json *answer;
    const char *args[] = {
        "simulate", "stripe", "checkout.session.completed", fault ? "--fault" : NULL,
        fault,      NULL};
    int status = world_run(world, args, &answer);

    if (status == CLI_DONE)
        return answer;
    world_no(world, "answers %" PRId64, js_int(answer, "status", 0));
    js_free(answer);
    return NULL;
}

/* The first id in the body of the answer number `index`. */
static char *id_in(const struct json *answer, const char *path)
{
    char why[64];
    const char *text = js_text(answer, path, "");
    struct json *body = js_parse(text, strlen(text), why, sizeof(why));
    char *id = mem_text(js_text(body, "ids.0", ""));

    js_free(body);
    return id;
}

/* Of rows of Stripe's events those of the event with this id of Stripe's; the last one.
 */
static size_t rows_of_event(const struct json *rows, const char *event,
                            const struct json **ret_row)
{
    size_t n = 0;

    for (size_t i = 0; i < js_count(rows); i++)
        if (is(js_at(rows, i), "data.id", event)) {
            *ret_row = js_at(rows, i);
            n++;
        }
    return n;
}

/* The row of this id is settled with Success, after a while. */
static bool becomes_success(struct world *world, const char *type, const char *id)
{
    for (int i = 0; i < SETTLE_TRIES; i++) {
        struct json *rows = world_rows(world, type, "1000");
        bool found = false;
        for (size_t j = 0; j < js_count(rows); j++)
            found |=
                is(js_at(rows, j), "id", id) && is(js_at(rows, j), "status", "Success");
        js_free(rows);
        if (found)
            return true;
        world_pause(PAUSE_MS);
    }
    return world_no(world, "%s is not settled", id);
}

static bool webhook_is_accepted(struct world *world)
{
    struct json *answer = simulate(world, NULL), *trace = NULL;

    if (!answer)
        return false;
    _free_ char *id = id_in(answer, "sent.0.body");
    js_free(answer);
    if (!becomes_success(world, "stripe.checkout.session.completed", id))
        return false;
    (void)world_run(world, (const char *const[]){"trace", id, NULL}, &trace);
    bool good =
        is(trace, "outcome.type", "payment.checkout.completed") ||
        world_no(world, "its outcome is %s", js_text(trace, "outcome.type", "none"));
    SAY(world, "stripe.checkout.session.completed -> %s",
        js_text(trace, "outcome.type", ""));
    js_free(trace);
    return good;
}

/* One that is wrong is refused with 401, and the log says why. */
static bool is_refused(struct world *world, const char *fault, const char *reason)
{
    struct json *before = world_rows(world, "signalbox.webhook.refused", "1000");
    struct json *answer = simulate(world, fault), *rows = NULL;
    size_t n = js_count(before);
    bool good = answer != NULL;

    js_free(before);
    snprintf(world->lost, sizeof(world->lost), "%s", js_text(answer, "event", ""));
    js_free(answer);
    for (int i = 0; good && i < SETTLE_TRIES; i++) {
        js_free(rows);
        rows = world_rows(world, "signalbox.webhook.refused", "1000");
        if (js_count(rows) > n)
            break;
        world_pause(PAUSE_MS);
    }
    const struct json *last = js_count(rows) > n ? js_at(rows, js_count(rows) - 1) : NULL;
    if (good)
        good = (is(last, "status", "Failed") && is(last, "error_class", "unverified") &&
                strstr(js_text(last, "error_msg", ""), reason)) ||
               world_no(world, "the log says: %s", js_text(last, "error_msg", "nothing"));
    SAY(world, "%s", js_text(last, "error_msg", ""));
    js_free(rows);
    return good;
}

static bool tampered_is_refused(struct world *world)
{
    return is_refused(world, "tampered", "matches none of 1 secret");
}

static bool stale_is_refused(struct world *world)
{
    return is_refused(world, "stale", "s ago");
}

static bool duplicate_is_stored_once(struct world *world)
{
    struct json *answer = simulate(world, "duplicate");
    const struct json *row;

    if (!answer)
        return false;
    _free_ char *first = id_in(answer, "sent.0.body");
    _free_ char *second = id_in(answer, "sent.1.body");
    _free_ char *event = mem_text(js_text(answer, "event", ""));
    js_free(answer);
    if (!*first || strcmp(first, second) != 0)
        return world_no(world, "two ids: %s and %s", first, second);
    if (!becomes_success(world, "stripe.checkout.session.completed", first))
        return false;
    struct json *rows = world_rows(world, "stripe.checkout.session.completed", "1000");
    size_t n = rows_of_event(rows, event, &row);
    bool good = n == 1 || world_no(world, "%zu events were stored", n);
    js_free(rows);
    SAY(world, "sent twice, answered with one id, stored once");
    return good;
}

/* --- the clock --- */

/* What befalls the next calls to the payment's provider. */
static bool set_fault(struct world *world, const char *kind, int64_t next, int64_t ms)
{
    struct json *fault = js_set_text(js_object(), "kind", kind);

    js_set_text(fault, "provider", SANDBOX_INTEGRATION);
    js_set_int(fault, "next", next);
    js_set_int(fault, "ms", ms);
    struct json *answer = practice_post(world->sandbox_url, "/sandbox/faults", fault,
                                        world->why, sizeof(world->why));
    js_free(answer);
    return answer != NULL;
}

static bool poll_runs(struct world *world)
{
    for (int i = 0; i < SETTLE_TRIES; i++) {
        struct json *rows = world_rows(world, "payment.events.requested", "1");
        bool good = is(js_at(rows, 0), "status", "Success");
        js_free(rows);
        if (good) {
            SAY(world, "payment.events, every 2s");
            return true;
        }
        world_pause(PAUSE_MS);
    }
    return world_no(world, "no scheduled run has succeeded");
}

/* What came as no webhook that could be believed is among the provider's events. */
static bool poll_finds_what_was_lost(struct world *world)
{
    size_t n = 0;

    for (int i = 0; i < SETTLE_TRIES; i++) {
        struct json *rows =
            world_rows(world, "stripe.checkout.session.completed", "1000");
        const struct json *row = NULL;
        n = rows_of_event(rows, world->lost, &row);
        bool good =
            n == 1 && js_bool(row, "found", false) && is(row, "status", "Success");
        SAY(world, "%s was refused as a webhook, and is one event now", world->lost);
        js_free(rows);
        if (good)
            return true;
        world_pause(PAUSE_MS);
    }
    return world_no(world, "%zu events of %s, or not found by a poll", n, world->lost);
}

/* The provider answers a poll so late that the next run falls due meanwhile. */
static bool missed_poll_is_failed(struct world *world)
{
    if (!set_fault(world, "slow", 1, POLL_SLOW_MS))
        return false;
    for (unsigned i = 0; i < MISS_TRIES; i++) {
        struct json *rows = world_rows(world, "payment.events.missed", "1");
        const struct json *row = js_at(rows, 0);
        bool is_there = js_count(rows) == 1;
        bool good = is(row, "status", "Failed") && is(row, "error_class", "missed");
        SAY(world, "%s", js_text(row, "error_msg", ""));
        js_free(rows);
        if (is_there)
            return good || world_no(world, "it is not Failed with the class missed");
        world_progress(world, i * PAUSE_MS, POLL_SLOW_MS);
        world_pause(PAUSE_MS);
    }
    return world_no(world, "no run was missed");
}

/* --- the logger dies --- */

static bool start_load(struct world *world, struct program calls[DEMO_CALLS],
                       struct program *publish)
{
    char count[16];

    snprintf(count, sizeof(count), "%d", DEMO_EVENTS);
    for (int i = 0; i < DEMO_CALLS; i++)
        if (!world_start(world, &calls[i],
                         (const char *const[]){"call", "payment.charge", "--data",
                                               CARD("pm_card_visa"), "--wait", "20s",
                                               NULL}))
            return false;
    return world_start(
        world, publish,
        (const char *const[]){"publish", "order.created", "--count", count, NULL});
}

/* Every id that was printed is in the log. */
static bool are_in_log(struct world *world, const struct json *printed)
{
    struct json *rows = world_rows(world, "order.created", "100000"), *ids = js_object();
    size_t missing = 0;

    for (size_t i = 0; i < js_count(rows); i++)
        js_set_bool(ids, js_text(js_at(rows, i), "id", "-"), true);
    for (size_t i = 0; i < js_count(printed); i++)
        missing += !js_bool(ids, js_text(js_at(printed, i), "id", "-"), false);
    bool good = (!missing && js_count(rows) == js_count(printed)) ||
                world_no(world, "%zu acknowledged, %zu in the log, %zu of them missing",
                         js_count(printed), js_count(rows), missing);
    js_free(rows);
    js_free(ids);
    return good;
}

static bool load_is_done(struct world *world, struct program calls[DEMO_CALLS],
                         struct program *publish)
{
    bool good = true;
    int64_t sum, most;

    for (int i = 0; i < DEMO_CALLS; i++)
        if (program_wait(&calls[i]) != CLI_DONE && good)
            good = world_no(world, "a call ended with status %d", calls[i].status);
    if (program_wait(publish) != CLI_DONE && good)
        good = world_no(world, "publish ended with status %d", publish->status);
    if (!good)
        return false;
    world->charged += DEMO_CALLS;
    struct json *printed = world_lines(publish);
    good = js_count(printed) == DEMO_EVENTS
               ? are_in_log(world, printed)
               : world_no(world, "%zu of %d events were acknowledged", js_count(printed),
                          DEMO_EVENTS);
    js_free(printed);
    if (!good || !world_effects(world, SANDBOX_INTEGRATION, &sum, &most))
        return false;
    return (most == 1 && sum == (int64_t)world->charged) ||
           world_no(world,
                    "the provider counts %" PRId64 " charges instead of %" PRIu64
                    ", one key has %" PRId64,
                    sum, world->charged, most);
}

static bool kill_in_the_middle(struct world *world, struct program calls[DEMO_CALLS],
                               pid_t logger)
{
    size_t running = 0;

    world_pause(SLOW_MS / 4);
    if (kill(logger, SIGKILL) != 0)
        return world_no(world, "it could not be killed");
    for (int i = 0; i < DEMO_CALLS; i++)
        running += !program_ended(&calls[i]);
    return running || world_no(world, "all calls had ended before");
}

static bool logger_dies(struct world *world)
{
    struct program calls[DEMO_CALLS], publish = {.pid = -1, .out = -1};
    int64_t restarts = 0;
    pid_t before = world_pid(world, "logger", NULL);

    for (int i = 0; i < DEMO_CALLS; i++)
        calls[i] = (struct program){.pid = -1, .out = -1};
    bool good = before > 0 || world_no(world, "the logger is not running");
    good = good &&
           /* some answers come late, so that calls are surely under way when it dies */
           set_fault(world, "slow", DEMO_SLOW, SLOW_MS) &&
           start_load(world, calls, &publish) &&
           kill_in_the_middle(world, calls, before) &&
           load_is_done(world, calls, &publish);
    for (int i = 0; i < DEMO_CALLS; i++)
        program_fini(&calls[i]);
    program_fini(&publish);
    pid_t after = good ? world_pid(world, "logger", &restarts) : -1;
    if (good && (after <= 0 || after == before || restarts != 1))
        good = world_no(world, "it was %d and is %d, started again %d times", (int)before,
                        (int)after, (int)restarts);
    SAY(world, "%d calls and %d events: each done once, each in the log", DEMO_CALLS,
        DEMO_EVENTS);
    return good;
}

/* --- the end --- */

static bool nothing_is_unaccounted(struct world *world)
{
    struct json *audit = NULL;
    int status = -1;

    for (int i = 0; i < SETTLE_TRIES; i++) {
        js_free(audit);
        status = world_run(world, (const char *const[]){"audit", NULL}, &audit);
        if (status != CLI_DONE || js_int(audit, "pending", -1) == 0)
            break;
        world_pause(PAUSE_MS); /* a poll may be under way */
    }
    int64_t accepted = js_int(audit, "accepted", -1),
            success = js_int(audit, "success", -1), failed = js_int(audit, "failed", -1),
            pending = js_int(audit, "pending", -1);
    bool good = (status == CLI_DONE && js_int(audit, "unaccounted", -1) == 0 &&
                 accepted == success + failed + pending && accepted > DEMO_EVENTS) ||
                world_no(world, "exit status %d, unaccounted %" PRId64, status,
                         js_int(audit, "unaccounted", -1));
    SAY(world,
        "accepted %" PRId64 " = success %" PRId64 " + failed %" PRId64
        " + pending %" PRId64,
        accepted, success, failed, pending);
    js_free(audit);
    return good;
}

/* --- the document --- */

/* Every section is in it. */
static bool document_is_written(struct world *world)
{
    static const char *const sections[] = {"Integration Pattern",
                                           "Authentication Method",
                                           "Event Catalogue",
                                           "Failure Modes",
                                           "Testing Protocol",
                                           "Cost Model",
                                           NULL};
    const char *args[] = {"-c", world->config, "doc", SANDBOX_INTEGRATION, NULL};
    struct program program;
    const char *missing = NULL;

    if (!program_start(&program, args, NULL, world->err))
        return world_no(world, "it could not be started");
    int status = program_wait(&program);
    for (size_t i = 0; sections[i]; i++)
        if (!strstr(buf_str(&program.text), sections[i]))
            missing = sections[i];
    program_fini(&program);
    SAY(world, "pattern, credentials, events, failures, tests, costs");
    if (status != CLI_DONE)
        return world_no(world, "exit status %d", status);
    return !missing || world_no(world, "it has no section %s", missing);
}

const struct step demo_steps[] = {
    {"everything starts", world_open},
    {"a charge succeeds", charge_succeeds},
    {"a charge is declined", charge_is_declined},
    {"a mail is sent", mail_is_sent},
    {"a language model answers", model_answers},
    {"an address is found", address_is_found},
    {"a message is sent", message_is_sent},
    {"what nobody handles is refused", nobody_handles},
    {"a signed webhook is accepted", webhook_is_accepted},
    {"a tampered webhook is refused", tampered_is_refused},
    {"a stale webhook is refused", stale_is_refused},
    {"a replayed webhook is one event", duplicate_is_stored_once},
    {"a scheduled poll runs", poll_runs},
    {"it finds what no webhook brought", poll_finds_what_was_lost},
    {"a missed poll is a Failed record", missed_poll_is_failed},
    {"the logger is killed in the middle", logger_dies},
    {"nothing is unaccounted", nothing_is_unaccounted},
    {"an integration's document is written", document_is_written},
    {NULL, NULL},
};
