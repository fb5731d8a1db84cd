/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* cancel, resolve - a person's word on one request */
#include <stdio.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/reading.h"
#include "lib/base/json.h"
#include "lib/ledger/failures.h"
#include "lib/ledger/ledger.h"

/* Where the request stands in the log; NULL after having said why not. */
static struct json *locate(struct cli *cli, const char *id, int *ret_status)
{
    struct ledger *ledger = reading_open(cli, ret_status);

    if (!ledger)
        return NULL;
    struct json *items = failures_of(ledger, id);
    struct json *found = js_count(items) ? js_copy(js_at(items, 0)) : NULL;
    js_free(items);
    ledger_close(ledger);
    if (!found)
        *ret_status = cli_fail(CLI_FAILED, "there is no event %s in the log", id);
    return found;
}

/* Ask for one act about one event; `item` is taken. */
static int act(struct cli *cli, const char *command, struct json *item)
{
    struct asking asking;
    int status = ask_open(&asking, cli);

    if (status == CLI_DONE)
        status = ask(&asking, command, item);
    else
        js_free(item);
    ask_close(&asking);
    return status;
}

static void print(const struct cli *cli, const char *id, const char *what)
{
    if (cli->json)
        cli_print(cli, js_set_text(js_set_text(js_object(), "id", id), "done", what));
    else
        printf("%s: %s\n", id, what);
}

int cmd_cancel(struct cli *cli, int argc, char **argv)
{
    int status;

    if (cli_arguments(cli, NULL, argc, argv, 1, 1) < 0)
        return CLI_USAGE;
    struct json *item = locate(cli, argv[1], &status);
    if (!item)
        return status;
    if (strcmp(js_text(item, "error_class", ""), "cancelled") == 0)
        js_free(item); /* done before, perhaps by this command before it was cut short */
    else if ((status = act(cli, "cancel", item)) != CLI_DONE)
        return status;
    print(cli, argv[1], "cancelled");
    return CLI_DONE;
}

int cmd_resolve(struct cli *cli, int argc, char **argv)
{
    const char *as = NULL, *note = NULL;
    const struct cli_option options[] = {
        {"--as", "success|failed", &as}, {"--note", "TEXT", &note}, {NULL, NULL, NULL}};
    int status;

    if (cli_arguments(cli, options, argc, argv, 1, 1) < 0)
        return CLI_USAGE;
    if (!as || !note || (strcmp(as, "success") != 0 && strcmp(as, "failed") != 0))
        return cli_fail(CLI_USAGE,
                        "resolve: --as success|failed and --note TEXT say what "
                        "became of it and how you know");
    struct json *item = locate(cli, argv[1], &status);
    if (!item)
        return status;
    js_set_text(js_set_text(item, "as", as), "note", note);
    status = act(cli, "resolve", item);
    if (status == CLI_DONE)
        print(cli, argv[1],
              strcmp(as, "success") == 0 ? "resolved as success" : "resolved as failed");
    return status;
}
