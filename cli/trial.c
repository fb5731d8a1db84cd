/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* An operation is tried with the example of its manifest: as it should be, under each
 * fault of the practice provider, and with data that makes no sense.  What an earlier
 * operation has made stands in for members of the same name in an example: a refund's
 * charge is the one that was just made.  A webhook is sent once as it should be, and its
 * outcome waited for; the first one of an endpoint is also forged in every way. */
#include "cli/trial.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/calling.h"
#include "cli/cli.h"
#include "cli/practice.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/document/catalogue.h"
#include "lib/document/document.h"
#include "lib/ledger/ledger.h"
#include "proto/record.h"

enum {
    WAIT_US = 60000000, /* for one outcome: retries and their pauses are in it */
    OUTCOME_US = 20000000,
    LOOK_US = 50000,
    SAID_SIZE = 300,
    ERROR_SIZE = 256,
};

struct trial {
    struct cli *cli;
    const struct document *document;
    struct json *cases;
    struct json *made; /* what outcomes have told: {name: {"by", "value"}} */
    int status;        /* CLI_DONE while all can go on */
};

/* --- telling --- */

static void note(struct trial *t, const char *name, const char *what, bool passed,
                 const char *said)
{
    struct json *o = js_set_text(js_object(), "name", name);

    js_set_bool(js_set_text(o, "what", what), "passed", passed);
    js_push(t->cases, js_set_text(o, "said", said));
    if (!t->cli->json)
        printf("%-6s %-42s %-26s %s\n", passed ? "ok" : "FAILED", name, what, said);
    (void)fflush(stdout); /* main() finds out */
}

/* --- operations --- */

static struct json *call(struct trial *t, const char *operation, const struct json *data)
{
    const struct config_integration *in = t->document->integration;
    _free_ char *type = mem_format("%s.%s.requested", in->connector, operation);
    struct buf text = BUF_NULL;
    struct json *outcome;

    js_write(data, 0, &text);
    int status = calling(t->cli,
                         &(struct bus_event){.type = type,
                                             .integration = in->name,
                                             .data = buf_str(&text),
                                             .data_len = text.len,
                                             .deadline_us = clock_wall_us() + WAIT_US},
                         WAIT_US, &outcome);
    buf_fini(&text);
    if (!outcome)
        t->status = status;
    return outcome;
}

/* What an outcome has told, and which operation it was of; what it was given itself is
 * not its own. */
static void remember(struct trial *t, const char *operation, const struct json *outcome)
{
    const struct json *data = js_get(outcome, "data"), *member,
                      *given =
                          js_get(document_operation(t->document, operation), "example");
    const char *name;
    void *cursor = NULL;

    while (js_is_object(data) && (member = js_next(data, &cursor, &name)))
        if (js_is_text(member) && !js_get(given, name))
            js_set(t->made, name,
                   js_set(js_set_text(js_object(), "by", operation), "value",
                          js_copy(member)));
}

/* What the example names and an earlier operation makes is made anew: what was used once
 * may be used up. */
static struct json *data_of(struct trial *t, const struct json *operation)
{
    const struct json *example = js_get(operation, "example"), *member;
    struct json *data = example ? js_copy(example) : js_object();
    const char *name, *self = js_text(operation, "name", "");
    void *cursor = NULL;

    while (js_is_object(example) && (member = js_next(example, &cursor, &name))) {
        const char *by = js_text(js_get(t->made, name), "by", NULL);
        const struct json *maker =
            by && js_is_text(member) ? document_operation(t->document, by) : NULL;
        if (!maker || strcmp(by, self) == 0)
            continue;
        struct json *outcome = call(t, by, js_get(maker, "example"));
        remember(t, by, outcome);
        js_free(outcome);
        js_set(data, name, js_copy(js_get(js_get(t->made, name), "value")));
    }
    return data;
}

static void outcome_text(const struct json *outcome, char said[SAID_SIZE])
{
    const char *why = js_text(outcome, "error_msg", "");

    snprintf(said, SAID_SIZE, "%s%s%s%s%s after %" PRId64 " attempts",
             js_text(outcome, "status", "no outcome"),
             js_text(outcome, "error_class", NULL) ? "/" : "",
             js_text(outcome, "error_class", ""), *why ? ": " : "", why,
             js_int(outcome, "attempt", 0));
}

static bool ended(const struct json *outcome, const char *status, const char *class)
{
    return strcmp(js_text(outcome, "status", ""), status) == 0 &&
           (!class || strcmp(js_text(outcome, "error_class", ""), class) == 0);
}

/* Under one key the provider must have done it once, whatever was lost on the way. */
static bool was_done_once(struct trial *t, char said[SAID_SIZE])
{
    const struct config_integration *in = t->document->integration;
    _free_ char *path = mem_format("/sandbox/effects?provider=%s", in->provider);
    char error[ERROR_SIZE];
    struct json *effects = practice_post(in->base_url, path, NULL, error, sizeof(error));
    const struct json *count;
    const char *key;
    void *cursor = NULL;
    bool is_good = effects != NULL;

    while (is_good && (count = js_next(effects, &cursor, &key)))
        is_good = js_int(count, NULL, 0) <= 1;
    if (!is_good)
        snprintf(said, SAID_SIZE, "%s",
                 effects ? "the provider has done it more than once" : error);
    js_free(effects);
    return is_good;
}

/* What must not be sent twice may end unknown where the provider left it open. */
static void try_call(struct trial *t, const struct json *operation, const char *fault,
                     const struct json *data)
{
    const char *name = js_text(operation, "name", "?"),
               *repeat = js_text(operation, "repeat", "never");
    bool is_once = strcmp(repeat, "never") == 0, is_keyed = strcmp(repeat, "keyed") == 0;
    char said[SAID_SIZE];
    struct json *outcome = call(t, name, data);

    if (!outcome)
        return;
    bool passed = ended(outcome, "Success", NULL) ||
                  (fault && is_once && ended(outcome, "Failed", "unknown"));
    outcome_text(outcome, said);
    passed = passed && (!is_keyed || was_done_once(t, said));
    note(t, name, fault ? fault : "as it should be", passed, said);
    if (ended(outcome, "Success", NULL))
        remember(t, name, outcome);
    js_free(outcome);
}

static bool set_fault(struct trial *t, const char *kind)
{
    const struct config_integration *in = t->document->integration;
    char error[ERROR_SIZE];
    struct json *rule = js_set_text(js_object(), "kind", kind);

    js_set_int(js_set_text(rule, "provider", in->provider), "next", 1);
    struct json *rules =
        practice_post(in->base_url, "/sandbox/faults", rule, error, sizeof(error));
    if (!rules)
        t->status =
            cli_fail(CLI_UNREACHABLE, "the sandbox at %s: %s", in->base_url, error);
    js_free(rules);
    return rules != NULL;
}

static void end_faults(struct trial *t)
{
    const struct config_integration *in = t->document->integration;
    char error[ERROR_SIZE];

    if (!practice_no_faults(in->base_url, error, sizeof(error)))
        t->status =
            cli_fail(CLI_UNREACHABLE, "the sandbox at %s: %s", in->base_url, error);
}

/* What the connector can tell from the data alone it must refuse before any call. */
static void try_nonsense(struct trial *t, const struct json *operation)
{
    const char *name = js_text(operation, "name", "?");
    struct json *data = js_set_bool(js_object(), "no_such_member", true);
    char said[SAID_SIZE];
    struct json *outcome = call(t, name, data);

    js_free(data);
    if (!outcome)
        return;
    outcome_text(outcome, said);
    note(t, name, "data that makes no sense", ended(outcome, "Failed", "permanent"),
         said);
    js_free(outcome);
}

static void try_operation(struct trial *t, const struct json *operation)
{
    static const char *const faults[] = {"429", "500",     "slow",
                                         "cut", "garbage", "cut_after_effect"};
    struct json *data = data_of(t, operation);

    try_call(t, operation, NULL, data);
    for (size_t i = 0; t->status == CLI_DONE && i < sizeof(faults) / sizeof(*faults);
         i++) {
        js_free(data);
        data = data_of(t, operation);
        if (set_fault(t, faults[i]))
            try_call(t, operation, faults[i], data);
        end_faults(t);
    }
    js_free(data);
    if (t->status == CLI_DONE && !js_bool(operation, "is_poll", false))
        try_nonsense(t, operation);
}

/* --- webhooks --- */

static struct json *send_webhook(struct trial *t, const char *event, const char *fault)
{
    const struct config_integration *in = t->document->integration;
    char error[ERROR_SIZE];
    struct json *ask =
        js_set_text(js_set_text(js_object(), "event", event), "fault", fault);

    js_set_text(ask, "provider", in->provider);
    struct json *answer =
        practice_post(in->base_url, "/sandbox/webhook", ask, error, sizeof(error));
    if (!answer)
        t->status =
            cli_fail(CLI_UNREACHABLE, "the sandbox at %s: %s", in->base_url, error);
    return answer;
}

static bool take_row(void *user, const struct ledger_row *row)
{
    struct json **ret = user;

    js_free(*ret);
    *ret = NULL;
    if (row->status == STATUS_PENDING)
        return true;
    *ret = js_set_text(js_object(), "status", status_name(row->status));
    js_set_text(js_set_text(*ret, "error_class", row->error_class), "error_msg",
                row->error_msg);
    return true;
}

/* How the event of this id ended; NULL: not in time. */
static struct json *await(struct trial *t, const char *id)
{
    _free_ char *dir = config_log_dir(t->cli->config);
    char error[ERROR_SIZE];
    struct ledger *ledger = ledger_open(dir, error, sizeof(error));
    uint64_t until_us = clock_steady_us() + OUTCOME_US;
    struct json *end = NULL;

    while (ledger && !end && clock_steady_us() < until_us) {
        const struct timespec pause = {.tv_nsec = LOOK_US * 1000};
        if (!ledger_find(ledger, id, take_row, &end) || !end)
            (void)nanosleep(&pause, NULL); /* cut short, it is looked sooner */
    }
    ledger_close(ledger);
    return end;
}

/* The id that the gateway has given it, in the body of its answer. */
static char *given_id(const struct json *answer)
{
    const char *body = js_text(answer, "sent.0.body", "");
    char error[ERROR_SIZE];
    struct json *json = js_parse(body, strlen(body), error, sizeof(error));
    char *id = mem_text(js_text(json, "ids.0", NULL));

    js_free(json);
    return id;
}

static void try_webhook(struct trial *t, const char *event)
{
    struct json *answer = send_webhook(t, event, NULL);
    char said[SAID_SIZE] = "";
    bool passed = false;

    if (!answer)
        return;
    _free_ char *id = given_id(answer);
    struct json *end = id ? await(t, id) : NULL;
    if (!js_count(js_get(answer, "sent")))
        snprintf(said, sizeof(said), "the sandbox did not send it: %s",
                 js_text(answer, "detail", js_text(answer, "title", "no reason given")));
    else if (!id)
        snprintf(said, sizeof(said), "answered %" PRId64,
                 js_int(answer, "sent.0.status", 0));
    else if (!end)
        snprintf(said, sizeof(said), "accepted, and no outcome within %d s",
                 OUTCOME_US / 1000000);
    else {
        passed = ended(end, "Success", NULL);
        outcome_text(end, said);
        char *attempts = strstr(said, " after "); /* a webhook's are not told */
        if (attempts)
            *attempts = 0;
    }
    note(t, event, "signed as it should be", passed, said);
    js_free(end);
    js_free(answer);
}

/* All answers of one kind: 401, or 2xx where it is only sent twice or late. */
static void try_forged(struct trial *t, const char *event, const char *fault,
                       bool is_forged)
{
    struct json *answer = send_webhook(t, event, fault);
    const struct json *sent = js_get(answer, "sent");
    char said[SAID_SIZE];
    int64_t status = 0;
    bool passed = js_count(sent) > 0;

    if (!answer)
        return;
    for (size_t i = 0; i < js_count(sent); i++) {
        status = js_int(js_at(sent, i), "status", 0);
        passed &= is_forged ? status == 401 : status >= 200 && status < 300;
    }
    if (js_count(sent)) {
        snprintf(said, sizeof(said), "answered %" PRId64, status);
        note(t, event, fault, passed, said);
    } /* else the provider's signatures have nothing that this fault could be about */
    js_free(answer);
}

static void try_forgeries(struct trial *t, const char *event)
{
    static const struct {
        const char *fault;
        bool is_forged;
    } faults[] = {{"tampered", true}, {"bad-signature", true}, {"wrong-secret", true},
                  {"stale", true},    {"duplicate", false},    {"reorder", false}};

    for (size_t i = 0; t->status == CLI_DONE && i < sizeof(faults) / sizeof(*faults); i++)
        try_forged(t, event, faults[i].fault, faults[i].is_forged);
}

/* --- all --- */

static void try_all(struct trial *t)
{
    const struct json *operations = js_get(t->document->manifest, "operations"),
                      *webhooks = js_get(t->document->manifest, "webhooks");

    end_faults(t); /* what somebody left there is not this trial's */
    for (size_t i = 0; t->status == CLI_DONE && i < js_count(operations); i++)
        try_operation(t, js_at(operations, i));
    if (!t->document->integration->n_webhooks)
        return;
    for (size_t i = 0; t->status == CLI_DONE && i < js_count(webhooks); i++)
        try_webhook(t, js_text(js_at(webhooks, i), "event", "?"));
    if (t->status == CLI_DONE && js_count(webhooks))
        try_forgeries(t, js_text(js_at(webhooks, 0), "event", "?"));
}

struct json *trial_run(struct cli *cli, const struct document *document, int *ret_status)
{
    struct trial t = {
        .cli = cli, .document = document, .cases = js_array(), .made = js_object()};

    try_all(&t);
    js_free(t.made);
    *ret_status = t.status;
    if (t.status == CLI_DONE)
        return t.cases;
    js_free(t.cases);
    return NULL;
}
