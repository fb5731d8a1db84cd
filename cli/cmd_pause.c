/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* pause, resume - what is paused is accepted and kept, and not handed to its connector */
#include <stdio.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "lib/base/json.h"

static void print(const struct cli *cli, const struct json *answer, bool paused)
{
    const struct json *names = js_get(answer, "integrations");

    for (size_t i = 0; i < js_count(names); i++) {
        const char *name = js_text(js_at(names, i), NULL, "");
        if (cli->json)
            cli_print(cli, js_set_bool(js_set_text(js_object(), "integration", name),
                                       "paused", paused));
        else
            printf("%s is %s\n", name, paused ? "paused" : "not paused");
    }
}

static int set(struct cli *cli, const char *name, const char *reason, bool paused)
{
    struct asking asking;
    struct json *args = js_set_text(js_object(), "integration", name);
    int status = ask_open(&asking, cli);

    js_set_text(args, "reason", reason);
    if (status == CLI_DONE)
        status = ask(&asking, paused ? "pause" : "resume", args);
    else
        js_free(args);
    if (status == CLI_DONE)
        print(cli, asking.answer, paused);
    ask_close(&asking);
    return status;
}

int cmd_pause(struct cli *cli, int argc, char **argv)
{
    const char *reason = NULL;
    const struct cli_option options[] = {{"--reason", "TEXT", &reason},
                                         {NULL, NULL, NULL}};
    int words = cli_arguments(cli, options, argc, argv, 0, 1);

    return words < 0 ? CLI_USAGE : set(cli, words ? argv[1] : NULL, reason, true);
}

int cmd_resume(struct cli *cli, int argc, char **argv)
{
    int words = cli_arguments(cli, NULL, argc, argv, 0, 1);

    return words < 0 ? CLI_USAGE : set(cli, words ? argv[1] : NULL, NULL, false);
}
