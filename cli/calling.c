/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* Where the outcome cannot come to this session (the broker was restarted in between) it
 * is read from the log. */
#include "cli/calling.h"

#include <stdio.h>
#include <string.h>

#include "cli/bus.h"
#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/ledger/ledger.h"
#include "lib/sdk/peer.h"

enum { COMMIT_US = 10000000, LOOK_US = 200000, ERROR_SIZE = 512 };

struct call {
    struct bus bus;
    struct cli *cli;
    struct json *outcome;
    struct buf record;
    uint8_t id[16];
    bool wants_outcome, is_committed, is_refused, is_settled;
    bool must_look; /* the outcome cannot come: it is looked for in the log */
    unsigned error_code;
    uint32_t retry_after_ms;
    char detail[256];
};

/* --- the outcome, from the bus or from the log --- */

static void finish(struct call *call, struct json *outcome)
{
    bool failed = strcmp(js_text(outcome, "status", ""), "Success") != 0;

    call->outcome = outcome;
    call->bus.status = failed ? CLI_FAILED : CLI_DONE;
    call->is_settled = call->bus.is_done = true;
}

static void on_outcome(void *user, uint64_t ref, uint32_t index,
                       const struct slice *slice, const struct record *outcome)
{
    struct call *call = user;

    (void)ref;
    (void)index;
    if (!call->is_settled)
        finish(call, bus_outcome_json(call->id, outcome, slice->timestamp_us));
}

static bool take_row(void *user, const struct ledger_row *row)
{
    struct call *call = user;

    if (row->outcome)
        finish(call, bus_outcome_json(call->id, row->outcome, row->settled_us));
    return true;
}

/* Is it settled in the log? */
static void look(struct call *call)
{
    char error[ERROR_SIZE], id[ID_TEXT_SIZE];
    _free_ char *dir = config_log_dir(call->cli->config);
    struct ledger *ledger = ledger_open(dir, error, sizeof(error));

    id_format(call->id, id);
    if (ledger)
        (void)ledger_find(ledger, id, take_row, call);
    ledger_close(ledger);
}

/* --- the request --- */

static void on_published(void *user, uint64_t batch, const struct published *published,
                         const struct verdict *verdicts, uint32_t n)
{
    struct call *call = user;

    (void)batch;
    (void)verdicts;
    (void)n;
    call->must_look = published->block == 0;
    call->is_committed = call->bus.is_done = true;
}

static void on_refused(void *user, uint64_t batch, unsigned error_code,
                       const char *detail, uint32_t retry_after_ms)
{
    struct call *call = user;

    (void)batch;
    call->is_refused = true;
    call->error_code = error_code;
    call->retry_after_ms = retry_after_ms;
    snprintf(call->detail, sizeof(call->detail), "%s",
             detail && *detail ? detail : error_info(error_code)->sentence);
    call->bus.is_done = true;
}

/* Publish; what is refused for now is tried again while there is time. False when it is
 * refused for good. */
static bool send(struct call *call, uint64_t until_us)
{
    for (;;) {
        call->bus.is_done = call->is_refused = false;
        (void)peer_publish(call->bus.peer, call->record.bytes, call->record.len,
                           call->wants_outcome); /* a fresh window holds one event */
        (void)bus_wait(&call->bus, until_us);
        if (!call->is_refused)
            return true;
        uint64_t again_us = clock_steady_us() + call->retry_after_ms * UINT64_C(1000);
        if (!call->retry_after_ms || again_us >= until_us)
            return false;
        call->bus.is_done = false;
        (void)bus_wait(&call->bus, again_us);
    }
}

/* Wait for the outcome; the log is asked now and then when it cannot come, and at the end
 * in any case. */
static void await(struct call *call, uint64_t until_us)
{
    while (!call->is_settled && clock_steady_us() < until_us && !call->bus.is_rejected) {
        uint64_t next = clock_steady_us() + LOOK_US;
        call->bus.is_done = false;
        (void)bus_wait(&call->bus, next < until_us ? next : until_us);
        if (call->must_look && !call->is_settled)
            look(call);
    }
    if (!call->is_settled)
        look(call);
}

static int say_pending(struct call *call)
{
    char id[ID_TEXT_SIZE];

    if (!call->is_committed)
        return cli_fail(CLI_UNREACHABLE,
                        "the broker did not say in time whether it took the request; "
                        "`signalbox log` shows it if it did");
    id_format(call->id, id);
    call->outcome = js_set_text(js_set_text(js_object(), "id", id), "status",
                                status_name(STATUS_PENDING));
    return CLI_PENDING;
}

static int run(struct call *call, uint64_t wait_us)
{
    uint64_t now = clock_steady_us();

    if (!send(call, now + (wait_us > COMMIT_US ? wait_us : COMMIT_US)))
        return cli_fail(CLI_FAILED, "%s: %s", error_info(call->error_code)->name,
                        call->detail);
    if (call->is_committed && call->wants_outcome)
        await(call, now + wait_us);
    return call->is_settled ? call->bus.status : say_pending(call);
}

int calling(struct cli *cli, const struct bus_event *event, uint64_t wait_us,
            struct json **ret)
{
    struct call call = {.cli = cli, .wants_outcome = wait_us > 0};
    int status = CLI_USAGE;

    *ret = NULL;
    if (bus_record(event, &call.record, call.id)) {
        status = bus_open(&call.bus, cli,
                          &(struct peer_options){.on_published = on_published,
                                                 .on_refused = on_refused,
                                                 .on_outcome = on_outcome});
        if (status == CLI_DONE)
            status = run(&call, wait_us);
        bus_close(&call.bus);
    }
    buf_fini(&call.record);
    *ret = call.outcome;
    return status;
}
