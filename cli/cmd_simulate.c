/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* simulate - have the practice provider send a webhook, right or wrong on purpose, or try
 * out all of an integration.  Only in the sandbox: a real provider's secret is not for
 * inventing its events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/dossier.h"
#include "cli/practice.h"
#include "cli/trial.h"
#include "lib/base/json.h"
#include "lib/config/config.h"
#include "lib/document/document.h"

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

/* --- all of an integration --- */

/* The result becomes a fact of the log. */
static int record(struct cli *cli, const struct document *document, struct json *cases)
{
    struct json *args =
        js_set_text(js_object(), "integration", document->integration->name);
    char stamp[DOCUMENT_STAMP_SIZE];
    struct asking asking;

    document_stamp(document, stamp);
    js_set(js_set_text(args, "stamp", stamp), "cases", cases);
    int status = ask_open(&asking, cli);
    if (status == CLI_DONE)
        status = ask(&asking, "test", args);
    else
        js_free(args);
    int64_t passed = js_int(asking.answer, "passed", 0),
            failed = js_int(asking.answer, "failed", 0);
    ask_close(&asking);
    if (status != CLI_DONE)
        return status;
    if (cli->json)
        cli_print(
            cli, js_set_int(js_set_int(js_object(), "passed", passed), "failed", failed));
    else
        printf("%lld passed, %lld failed; recorded in the log as signalbox.tested\n",
               (long long)passed, (long long)failed);
    return failed ? CLI_FAILED : CLI_DONE;
}

static int try_out(struct cli *cli, const struct document *document)
{
    int status;
    struct json *cases = NULL;

    if (!practice_is_sandbox(document->integration))
        return cli_fail(CLI_USAGE,
                        "the integration `%s` is not one of the sandbox; `signalbox up "
                        "--sandbox` starts it",
                        document->integration->name);
    if (!document->manifest)
        return cli_fail(CLI_USAGE,
                        "what the connector of `%s` can do is not known, so there is "
                        "nothing to try",
                        document->integration->name);
    if (document_has_door(document))
        return cli_fail(CLI_USAGE,
                        "`%s` is tried by its applications, through the proxy's own port",
                        document->integration->name);
    cases = trial_run(cli, document, &status);
    if (!cases)
        return status;
    for (size_t i = 0; cli->json && i < js_count(cases); i++)
        cli_print(cli, js_copy(js_at(cases, i)));
    return record(cli, document, cases);
}

static int simulate_all(struct cli *cli, const char *integration)
{
    struct dossier d;
    int status = dossier_open(&d, cli, integration, /* is_declared= */ false);

    if (status == CLI_DONE)
        status = try_out(cli, &d.documents[0]);
    dossier_close(&d);
    return status;
}

/* --- the command --- */

static int simulate_one(struct cli *cli, char **argv, const char *fault, const char *data)
{
    char error[256];

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

int cmd_simulate(struct cli *cli, int argc, char **argv)
{
    const char *fault = NULL, *data = NULL, *all = NULL;
    const struct cli_option options[] = {{"--data", "JSON|@FILE|-", &data},
                                         {"--fault", "KIND", &fault},
                                         {"--all", "INTEGRATION", &all},
                                         {NULL, NULL, NULL}};

    int n = cli_arguments(cli, options, argc, argv, 0, 2);
    if (n < 0)
        return CLI_USAGE;
    if (all && n == 0 && !fault && !data)
        return simulate_all(cli, all);
    if (!all && n == 2)
        return simulate_one(cli, argv, fault, data);
    return cli_fail(CLI_USAGE,
                    "simulate: expected ENDPOINT EVENT, or --all INTEGRATION alone");
}
