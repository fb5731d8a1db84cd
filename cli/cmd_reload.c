/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/up/control.h"
#include "lib/base/json.h"
#include "lib/config/config.h"

int cmd_reload(struct cli *cli, int argc, char **argv)
{
    if (cli_arguments(cli, NULL, argc, argv, 0, 0) < 0)
        return CLI_USAGE;
    const struct config *config = cli_config(cli);
    if (!config)
        return CLI_USAGE; /* the old one stays in force */
    struct json *answer = control_ask(config->run, "reload");
    if (!answer)
        return cli_fail(CLI_UNREACHABLE, "no `signalbox up` runs in %s", config->run);
    bool good = js_bool(answer, "ok", false);
    const char *text = js_text(answer, "text", "");
    if (cli->json)
        cli_print(cli, js_copy(answer));
    else
        fputs(good && !*text ? "nothing differs\n" : text, good ? stdout : stderr);
    js_free(answer);
    return good ? CLI_DONE : CLI_USAGE;
}
