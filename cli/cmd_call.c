/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* call - ask a connector, and print the outcome */
#include <stdlib.h>
#include <string.h>

#include "cli/calling.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"

/* The operation's request type; NULL after having said what is wrong. */
static char *request_type(const char *operation)
{
    size_t n = strlen(operation);

    if (text_is_type(operation, n) && strchr(operation, '.') && n < 180)
        return mem_format("%s.requested", operation);
    cli_fail(CLI_USAGE,
             "`%s` is no operation; expected CONNECTOR.OPERATION such as payment.charge",
             operation);
    return NULL;
}

static int call(struct cli *cli, struct bus_event *event, const char *data_option,
                uint64_t wait_us)
{
    struct json *outcome;
    char *data = cli_data(data_option, &event->data_len);

    if (!data)
        return CLI_USAGE;
    event->data = data;
    int status = calling(cli, event, wait_us, &outcome);
    if (outcome)
        cli_print(cli, outcome);
    free(data);
    return status;
}

int cmd_call(struct cli *cli, int argc, char **argv)
{
    const char *data = NULL, *wait = "10s", *deadline = NULL;
    struct bus_event event = {0};
    uint64_t wait_us, deadline_us = 0;
    const struct cli_option options[] = {{"--data", "JSON|@FILE|-", &data},
                                         {"--integration", "NAME", &event.integration},
                                         {"--key", "KEY", &event.key},
                                         {"--wait", "DURATION", &wait},
                                         {"--deadline", "DURATION", &deadline},
                                         {NULL, NULL, NULL}};

    if (cli_arguments(cli, options, argc, argv, 1, 1) < 0 ||
        !cli_duration("--wait", wait, &wait_us) ||
        (deadline && !cli_duration("--deadline", deadline, &deadline_us)) ||
        !cli_config(cli))
        return CLI_USAGE;
    if (event.integration && !config_integration(cli->config, event.integration))
        return cli_fail(CLI_USAGE, "there is no integration `%s`", event.integration);
    _free_ char *type = request_type(argv[1]);
    if (!type)
        return CLI_USAGE;
    event.type = type;
    /* Who waits is not served later than it waits, unless it asks for more. */
    uint64_t length_us = deadline ? deadline_us : wait_us;
    event.deadline_us = length_us ? clock_wall_us() + length_us : 0;
    return call(cli, &event, data, wait_us);
}
