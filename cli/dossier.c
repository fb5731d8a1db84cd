/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/dossier.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/document/seen.h"
#include "lib/ledger/ledger.h"
#include "lib/ledger/secrets.h"
#include "lib/sdk/command.h"
#include "lib/sdk/manifest.h"
#include "lib/sdk/program.h"
#include "lib/vault/vault.h"
#include "lib/worker/capture.h"

enum {
    ERROR_SIZE = 1024,
    MANIFEST_MAX = 1 << 20,
    MANIFEST_TIMEOUT_US = 10000000,
};

/* --- the manifest --- */

static char *connector_path(const struct config_integration *in)
{
    char here[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);

    if (in->program)
        return mem_text(in->program);
    here[n > 0 ? n : 0] = 0;
    char *slash = strrchr(here, '/');
    return mem_format("%.*s/signalbox-%s", slash ? (int)(slash - here) : 0, here,
                      in->connector);
}

static struct json *read_text(const char *text, size_t n,
                              const struct config_integration *in)
{
    char error[ERROR_SIZE];
    struct json *all = js_parse(text, n, error, sizeof(error)),
                *own = document_manifest(all, in);

    js_free(all);
    return own;
}

/* What the program says; NULL when it says nothing. */
static struct json *ask_program(const struct config_integration *in)
{
    _free_ char *path = connector_path(in);
    char *argv[] = {path, (char[]){"--manifest"}, NULL}, error[ERROR_SIZE];
    struct buf text = BUF_NULL;
    struct json *own = NULL;

    if (access(path, X_OK) == 0 &&
        capture(&(struct capture_options){.argv = argv,
                                          .timeout_us = MANIFEST_TIMEOUT_US,
                                          .output_max = MANIFEST_MAX,
                                          .errors = -1},
                &text, error, sizeof(error)) == 0)
        own = read_text((const char *)text.bytes, text.len, in);
    buf_fini(&text);
    return own;
}

/* A command's manifest is its own, or stands in a file. */
static struct json *ask_command(const struct config *config,
                                const struct config_integration *in)
{
    char error[ERROR_SIZE];
    struct program *program = command_program(config, in, error, sizeof(error));
    struct buf text = BUF_NULL;
    struct json *own = NULL;

    if (program) {
        manifest_write(program_connector(program), /* provider= */ NULL, /* indent= */ 0,
                       &text);
        own = read_text((const char *)text.bytes, text.len, in);
    }
    program_free(program);
    buf_fini(&text);
    return own;
}

static struct json *find_manifest(const struct dossier *d,
                                  const struct config_integration *in)
{
    const char *logged = d->ledger ? ledger_manifest(d->ledger, in->name) : NULL;
    struct json *own = NULL;

    if (!in->connector)
        return NULL;
    if (logged && !d->is_declared)
        own = read_text(logged, strlen(logged), in);
    if (!own)
        own = in->n_command ? ask_command(d->cli->config, in) : ask_program(in);
    return own;
}

/* --- secrets --- */

static bool about_secret(void *user, const struct config_secret *secret,
                         struct document_secret *ret)
{
    const struct dossier *d = user;

    return credential_about(&d->credentials, secret, ret);
}

/* --- all --- */

static int open_sources(struct dossier *d)
{
    const struct config *config = d->cli->config;
    _free_ char *dir = config_log_dir(config);
    char error[ERROR_SIZE];

    if (access(dir, F_OK) == 0 && !d->is_declared) {
        d->ledger = ledger_open(dir, error, sizeof(error));
        if (!d->ledger)
            return cli_fail(CLI_UNREACHABLE, "there is no log to read: %s", error);
        d->credentials.used = ledger_secrets(d->ledger);
        if (!d->credentials.used)
            return cli_fail(CLI_FAILED, "%s", ledger_error(d->ledger));
    }
    if (!d->is_declared) {
        cli_undumpable();
        d->credentials.vault =
            vault_open(config->vault.vault_file, config->vault.master_key_file,
                       /* writable= */ false, error, sizeof(error));
        if (!d->credentials.vault)
            fprintf(stderr, "signalbox: nothing is said of the vault's secrets: %s\n",
                    error);
    }
    return CLI_DONE;
}

static int add(struct dossier *d, const struct config_integration *in)
{
    char error[ERROR_SIZE];
    struct seen *seen = NULL;

    if (!d->is_declared) {
        seen = d->ledger ? seen_new(d->ledger, in, error, sizeof(error))
                         : mem_alloc(sizeof(*seen)); /* no log yet: nothing was seen */
        if (!seen)
            return cli_fail(CLI_FAILED, "%s", error);
    }
    d->documents[d->n++] = (struct document){
        .config = d->cli->config,
        .integration = in,
        .manifest = find_manifest(d, in),
        .secret = d->is_declared ? NULL : about_secret,
        .secret_user = d,
        .seen = seen,
    };
    return CLI_DONE;
}

int dossier_open(struct dossier *d, struct cli *cli, const char *integration,
                 bool is_declared)
{
    const struct config *config = cli_config(cli);

    *d = (struct dossier){
        .cli = cli, .is_declared = is_declared, .credentials.config = config};
    if (!config)
        return CLI_USAGE;
    if (integration && !config_integration(config, integration))
        return cli_fail(CLI_USAGE, "there is no integration `%s` in %s", integration,
                        config->path);
    d->documents = mem_array(config->n_integrations, sizeof(*d->documents));
    int status = open_sources(d);
    for (size_t i = 0; status == CLI_DONE && i < config->n_integrations; i++)
        if (!integration || strcmp(config->integrations[i].name, integration) == 0)
            status = add(d, &config->integrations[i]);
    return status;
}

void dossier_close(struct dossier *d)
{
    for (size_t i = 0; i < d->n; i++) {
        js_free((struct json *)(uintptr_t)d->documents[i].manifest);
        seen_free((struct seen *)(uintptr_t)d->documents[i].seen);
    }
    free(d->documents);
    ledger_secrets_free(d->credentials.used);
    ledger_close(d->ledger);
    vault_close(d->credentials.vault);
    *d = (struct dossier){0};
}
