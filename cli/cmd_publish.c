/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* publish - events of your own onto the bus; each line printed is an event that is on
 * disk */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bus.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/sdk/peer.h"

enum {
    BATCH_EVENTS = 256,
    BATCH_BYTES = 512 << 10,
    SILENCE_US = 15000000,
    COUNT_MAX = 10000000
};

/* One batch is under way at a time: the next is made when it is committed. */
struct publishing {
    struct bus bus;
    struct cli *cli;
    struct bus_event event;
    uint64_t left;
    struct buf batch;
    uint8_t ids[BATCH_EVENTS][16];
    size_t n;
    uint32_t retry_after_ms;
};

static void on_published(void *user, uint64_t batch, const struct published *published,
                         const struct verdict *verdicts, uint32_t n)
{
    struct publishing *p = user;

    (void)batch;
    (void)published;
    (void)verdicts;
    (void)n;
    for (size_t i = 0; i < p->n; i++) {
        char id[ID_TEXT_SIZE];
        id_format(p->ids[i], id);
        if (p->cli->json)
            cli_print(p->cli, js_set_text(js_set_text(js_object(), "id", id), "type",
                                          p->event.type));
        else
            puts(id);
    }
    p->left -= p->n;
    p->n = 0;
    p->bus.status = CLI_DONE;
    p->bus.is_done = true;
}

static void on_refused(void *user, uint64_t batch, unsigned error_code,
                       const char *detail, uint32_t retry_after_ms)
{
    struct publishing *p = user;

    (void)batch;
    p->retry_after_ms = retry_after_ms;
    p->bus.is_done = true;
    if (!retry_after_ms)
        p->bus.status =
            cli_fail(CLI_FAILED, "%s: %s", error_info(error_code)->name,
                     detail && *detail ? detail : error_info(error_code)->sentence);
}

/* The next events, unless a refused batch is to be sent again. */
static bool fill(struct publishing *p)
{
    if (p->n)
        return true;
    buf_clear(&p->batch);
    while (p->n < BATCH_EVENTS && p->n < p->left &&
           (!p->n || p->batch.len + p->event.data_len < BATCH_BYTES)) {
        if (!bus_record(&p->event, &p->batch, p->ids[p->n]))
            return false;
        p->n++;
    }
    return true;
}

static int run(struct publishing *p)
{
    while (p->left) {
        if (!fill(p))
            return CLI_USAGE;
        p->bus.is_done = false;
        p->bus.status = CLI_DONE;
        p->retry_after_ms = 0;
        (void)peer_publish(p->bus.peer, p->batch.bytes, p->batch.len, /* wait= */ false);
        if (!bus_wait(&p->bus, clock_steady_us() + SILENCE_US))
            return cli_fail(CLI_UNREACHABLE,
                            "the broker is silent; what is printed above is on disk");
        if (p->bus.status != CLI_DONE)
            return p->bus.status;
        if (!p->retry_after_ms)
            continue;
        p->bus.is_done = false;
        (void)bus_wait(&p->bus, clock_steady_us() + p->retry_after_ms * UINT64_C(1000));
    }
    return CLI_DONE;
}

int cmd_publish(struct cli *cli, int argc, char **argv)
{
    const char *data = NULL, *key = NULL, *count = "1";
    const struct cli_option options[] = {{"--data", "JSON|@FILE|-", &data},
                                         {"--key", "KEY", &key},
                                         {"--count", "N", &count},
                                         {NULL, NULL, NULL}};
    struct publishing p = {.cli = cli};

    if (cli_arguments(cli, options, argc, argv, 1, 1) < 0 ||
        !cli_number("--count", count, 1, COUNT_MAX, &p.left))
        return CLI_USAGE;
    if (!text_is_type(argv[1], strlen(argv[1])))
        return cli_fail(CLI_USAGE,
                        "`%s` is no event type; expected one such as order.created",
                        argv[1]);
    char *bytes = cli_data(data, &p.event.data_len);
    p.event.type = argv[1];
    p.event.key = key;
    p.event.data = bytes;
    int status = bytes ? bus_open(&p.bus, cli,
                                  &(struct peer_options){.on_published = on_published,
                                                         .on_refused = on_refused})
                       : CLI_USAGE;
    if (status == CLI_DONE)
        status = run(&p);
    bus_close(&p.bus);
    buf_fini(&p.batch);
    free(bytes);
    return status;
}
