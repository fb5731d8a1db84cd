/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* status - what runs (the supervisor knows) and how far the broker is (the broker knows)
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/holds.h"
#include "cli/up/control.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/text.h"
#include "lib/config/config.h"

/* The broker's status; NULL after having said why not. */
static struct json *ask_broker(struct cli *cli)
{
    struct asking asking;
    struct json *status = NULL;

    if (ask_open(&asking, cli) == CLI_DONE && ask(&asking, "status", NULL) == CLI_DONE)
        status = js_copy(asking.answer);
    ask_close(&asking);
    return status;
}

/* --- for people --- */

static void print_processes(const struct json *processes)
{
    uint64_t now = clock_wall_us();

    printf("%-20s %-9s %8s %10s %9s  %s\n", "PROCESS", "STATE", "PID", "SINCE",
           "RESTARTS", "LAST END");
    for (size_t i = 0; i < js_count(processes); i++) {
        const struct json *p = js_at(processes, i);
        char age[32] = "", pid[16] = "";
        uint64_t since = (uint64_t)js_int(p, "since_us", 0);
        if (since) {
            text_duration((now > since ? now - since : 0) / 1000000 * 1000000, age,
                          sizeof(age));
            snprintf(pid, sizeof(pid), "%" PRId64, js_int(p, "pid", 0));
        }
        printf("%-20s %-9s %8s %10s %9" PRId64 "  %s\n", js_text(p, "name", ""),
               js_text(p, "state", ""), pid, age, js_int(p, "restarts", 0),
               js_text(p, "last_end", ""));
    }
}

static void print_groups(const struct json *groups)
{
    printf("\n%-20s %-12s %8s %9s %8s %8s %8s %8s\n", "GROUP", "KIND", "SESSIONS",
           "PENDING", "RUNNING", "WAITING", "SUCCESS", "FAILED");
    for (size_t i = 0; i < js_count(groups); i++) {
        const struct json *g = js_at(groups, i);
        printf("%-20s %-12s %8" PRId64 " %9" PRId64 " %8" PRId64 " %8" PRId64 " %8" PRId64
               " %8" PRId64 "%s\n",
               js_text(g, "name", ""), js_text(g, "kind", ""), js_int(g, "sessions", 0),
               js_int(g, "pending", 0), js_int(g, "inflight", 0), js_int(g, "waiting", 0),
               js_int(g, "success", 0), js_int(g, "failed", 0),
               js_bool(g, "paused", false) ? "  paused" : "");
    }
}

/* Who was kept out or wanted more than it may, since the broker started; nothing when
 * nobody. */
static void print_refused(const struct json *refused)
{
    static const struct {
        const char *name, *words;
    } kinds[] = {
        {"strangers", "strangers"},
        {"bad_frames", "frames that are none of ours"},
        {"hellos", "peers that are not who they say"},
        {"without_right", "acts without the right"},
        {"results_not_held", "answers for events not held"},
    };
    const char *before = "refused: ";

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        int64_t n = js_int(refused, kinds[i].name, 0);
        if (n > 0)
            printf("%s%" PRId64 " %s", before, n, kinds[i].words);
        before = n > 0 ? ", " : before;
    }
    if (*before == ',')
        printf("\n");
}

static void print_broker(const struct json *broker)
{
    printf("\nlog: block %" PRId64 ", %" PRId64 " requests, %" PRId64 " facts, %" PRId64
           " outcomes%s\n",
           js_int(broker, "block", 0), js_int(broker, "requests", 0),
           js_int(broker, "facts", 0), js_int(broker, "outcomes", 0),
           js_bool(broker, "full", false) ? "; full: intake is refused" : "");
    printf("kept: from block %" PRId64 " on, for %s\n", js_int(broker, "keep_from", 0),
           js_text(broker, "pinned_by", "nothing"));
    print_refused(js_get(broker, "refused"));
    print_groups(js_get(broker, "groups"));
    holds_print(js_get(broker, "groups"), clock_wall_us());
}

int cmd_status(struct cli *cli, int argc, char **argv)
{
    if (cli_arguments(cli, NULL, argc, argv, 0, 0) < 0)
        return CLI_USAGE;
    const struct config *config = cli_config(cli);
    if (!config)
        return CLI_USAGE;
    struct json *up = control_ask(config->run, "status"), *broker = ask_broker(cli);
    if (cli->json && (up || broker)) {
        struct json *both = js_object();
        if (up)
            js_set(both, "processes", js_copy(js_get(up, "processes")));
        if (broker)
            js_set(both, "broker", js_copy(broker));
        cli_print(cli, both);
    } else if (up || broker) {
        print_processes(js_get(up, "processes"));
        if (broker)
            print_broker(broker);
    }
    int status = broker ? CLI_DONE : CLI_UNREACHABLE;
    js_free(up);
    js_free(broker);
    return status;
}
