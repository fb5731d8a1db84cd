/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"

static const char first[] =
    "# signalbox.yaml - `signalbox config reference` prints everything that may stand "
    "here\n"
    "data: ./data                 # the log, its views, the vault\n"
    "run: ./run                   # sockets and locks\n"
    "gateway: { listen: 127.0.0.1:8080 }\n"
    "log: { retain_age: 30d }\n"
    "\n"
    "# Take the signs away, store the two secrets, and start:\n"
    "#   signalbox secret set stripe_api_key\n"
    "#   signalbox secret set stripe_webhook\n"
    "#   signalbox up\n"
    "#integrations:\n"
    "#  stripe:\n"
    "#    connector: payment\n"
    "#    provider: stripe\n"
    "#    service: Stripe\n"
    "#    mode: test\n"
    "#    secrets: { api_key: vault:stripe_api_key }\n"
    "#    webhooks:\n"
    "#      - { path: stripe, scheme: stripe, secrets: [vault:stripe_webhook] }\n"
    "#    schedules:\n"
    "#      - { operation: events, every: 5m, missed: once }\n";

int cmd_init(struct cli *cli, int argc, char **argv)
{
    if (cli_arguments(cli, NULL, argc, argv, 0, 0) < 0)
        return CLI_USAGE;
    int fd = open(cli->config_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return cli_fail(CLI_FAILED, "%s: %s", cli->config_path,
                        errno == EEXIST ? "it exists and is left as it is"
                                        : strerror(errno));
    bool good = write(fd, first, strlen(first)) == (ssize_t)strlen(first);
    if (close(fd) != 0 || !good)
        return cli_fail(CLI_FAILED, "%s: %s", cli->config_path, strerror(errno));
    printf(
        "%s is written; `signalbox up --sandbox` starts with a provider to practise on,\n"
        "`signalbox up` with what the file says\n",
        cli->config_path);
    return CLI_DONE;
}
