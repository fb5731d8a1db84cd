/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* simulate - have the practice provider send a webhook, right or wrong on purpose.  Only
 * in the sandbox: a real provider's secret is not for inventing its events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/practice.h"
#include "lib/base/json.h"
#include "lib/config/config.h"

static const char *const faults[] = {"duplicate",    "reorder",  "stale", "bad-signature",
                                     "wrong-secret", "tampered", NULL};

static bool is_fault(const char *name)
{
    for (const char *const *fault = faults; *fault; fault++)
        if (strcmp(*fault, name) == 0)
            return true;
    return false;
}

/* Was each answer what it should be: a refusal where the signature is wrong, 2xx
 * otherwise? */
static bool is_as_it_should(const char *fault, const struct json *answer)
{
    const struct json *sent = js_get(answer, "sent");
    bool is_forged =
        fault && strcmp(fault, "duplicate") != 0 && strcmp(fault, "reorder") != 0;
    bool good = js_count(sent) > 0;

    for (size_t i = 0; i < js_count(sent); i++) {
        int64_t status = js_int(js_at(sent, i), "status", 0);
        good = good && (is_forged ? status == 401 : status >= 200 && status < 300);
    }
    return good;
}

static const struct config_integration *owner_of(const struct config *config,
                                                 const char *endpoint)
{
    for (size_t i = 0; i < config->n_integrations; i++)
        for (size_t j = 0; j < config->integrations[i].n_webhooks; j++)
            if (strcmp(config->integrations[i].webhooks[j].path, endpoint) == 0)
                return &config->integrations[i];
    return NULL;
}

static struct json *question(const char *event, const char *fault,
                             const char *data_option)
{
    struct json *o =
        js_set_text(js_set_text(js_object(), "event", event), "fault", fault);
    size_t n;
    char why[128], *text = data_option ? cli_data(data_option, &n) : NULL;
    struct json *data = text ? js_parse(text, n, why, sizeof(why)) : NULL;

    if (text && !data)
        cli_fail(CLI_USAGE, "--data is not JSON: %s", why);
    free(text);
    if (data)
        return js_set(o, "data", data);
    if (!data_option)
        return o;
    js_free(o);
    return NULL;
}

int cmd_simulate(struct cli *cli, int argc, char **argv)
{
    const char *fault = NULL, *data = NULL;
    const struct cli_option options[] = {{"--data", "JSON|@FILE|-", &data},
                                         {"--fault", "KIND", &fault},
                                         {NULL, NULL, NULL}};
    char error[256];

    if (cli_arguments(cli, options, argc, argv, 2, 2) < 0)
        return CLI_USAGE;
    if (fault && !is_fault(fault))
        return cli_fail(CLI_USAGE,
                        "--fault: expected duplicate, reorder, stale, bad-signature, "
                        "wrong-secret or tampered");
    const struct config *config = cli_config(cli);
    if (!config)
        return CLI_USAGE;
    const struct config_integration *in = owner_of(config, argv[1]);
    if (!in)
        return cli_fail(CLI_USAGE, "there is no endpoint `%s`", argv[1]);
    if (!practice_is_sandbox(in))
        return cli_fail(CLI_USAGE,
                        "the endpoint `%s` is not one of the sandbox; `signalbox up "
                        "--sandbox` starts it",
                        argv[1]);
    struct json *ask = question(argv[2], fault, data);
    if (!ask)
        return CLI_USAGE;
    js_set_text(ask, "provider", in->provider);
    struct json *answer =
        practice_post(in->base_url, "/sandbox/webhook", ask, error, sizeof(error));
    if (!answer)
        return cli_fail(CLI_UNREACHABLE, "the sandbox at %s: %s", in->base_url, error);
    int status = is_as_it_should(fault, answer) ? CLI_DONE : CLI_FAILED;
    cli_print(cli, answer);
    return status;
}
