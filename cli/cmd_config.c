/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/secretcheck.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/config/config.h"

static int check(struct cli *cli)
{
    const struct config *config = cli_config(cli);

    if (!config)
        return CLI_USAGE;
    struct secretcheck secrets = secretcheck(config);
    if (secrets.missing && !cli->json)
        return cli_fail(CLI_USAGE, "%zu secret%s missing: `signalbox up` would not start",
                        secrets.missing, secrets.missing == 1 ? " is" : "s are");
    if (cli->json) {
        struct json *line = js_set_text(js_object(), "file", config->path);
        js_set_int(line, "integrations", (int64_t)config->n_integrations);
        js_set_int(line, "groups", (int64_t)config->n_groups);
        js_set_int(line, "secrets_missing", (int64_t)secrets.missing);
        cli_print(cli, js_set_int(line, "secrets_overdue", (int64_t)secrets.overdue));
    } else {
        printf("%s: good; %zu integrations, %zu groups\n", config->path,
               config->n_integrations, config->n_groups);
    }
    return secrets.missing ? CLI_USAGE : CLI_DONE;
}

static int reference(void)
{
    struct buf page = BUF_NULL;

    config_reference(&page);
    fputs(buf_str(&page), stdout);
    buf_fini(&page);
    return CLI_DONE;
}

int cmd_config(struct cli *cli, int argc, char **argv)
{
    if (cli_arguments(cli, NULL, argc, argv, 1, 1) < 0)
        return CLI_USAGE;
    if (strcmp(argv[1], "check") == 0)
        return check(cli);
    if (strcmp(argv[1], "reference") == 0)
        return reference();
    return cli_fail(CLI_USAGE, "config: expected check or reference");
}
