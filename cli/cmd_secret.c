/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* secret - the vault's door for the operator.  A value comes from stdin, or from the
 * terminal without echo; it is never an argument (others see those) and is never printed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/secretask.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"
#include "lib/vault/secretfile.h"
#include "lib/vault/vault.h"

enum { ERROR_SIZE = 1024, VALUES_MAX = 16 };

/* --- reading a value --- */

static bool ask(const char *name, char value[SECRET_SIZE_MAX + 2])
{
    long len = secretask(name, SECRETASK_WHOLE, value);

    if (len == 0)
        cli_fail(CLI_USAGE, "the secret is empty; nothing was stored");
    return len > 0;
}

/* --- the commands --- */

static struct vault *open_vault(struct cli *cli, bool writable)
{
    char error[ERROR_SIZE];
    const struct config *config = cli_config(cli);

    if (!config)
        return NULL;
    struct vault *vault =
        vault_open(config->vault.vault_file, config->vault.master_key_file, writable,
                   error, sizeof(error));
    if (!vault)
        cli_fail(CLI_USAGE, "%s", error);
    return vault;
}

static int save(struct vault *vault)
{
    char error[ERROR_SIZE];

    if (!vault_save(vault, error, sizeof(error)))
        return cli_fail(CLI_FAILED, "%s", error);
    if (vault_made_key(vault))
        fprintf(stderr,
                "The vault's master key was made: %s\n"
                "Back it up somewhere else than the vault: without it no secret can be "
                "read again.\n",
                vault_key_file(vault));
    return CLI_DONE;
}

static int store(struct cli *cli, const char *name, bool must_exist, uint64_t keep_old_us)
{
    const struct vault_version *versions[1];
    char *value = mem_alloc(SECRET_SIZE_MAX + 2);
    uint64_t now_us = clock_wall_us();
    int status = CLI_USAGE;
    struct vault *vault = open_vault(cli, true);

    if (vault && must_exist && !vault_get(vault, name, now_us, versions, 1)) {
        cli_fail(CLI_FAILED,
                 "there is no secret `%s`; `signalbox secret set %s` makes it", name,
                 name);
        status = CLI_FAILED;
    } else if (vault && ask(name, value)) {
        vault_set(vault, name, value, now_us, keep_old_us);
        status = save(vault);
        if (status == CLI_DONE && vault_get(vault, name, now_us, versions, 1))
            fprintf(stderr,
                    "%s: version %" PRIu32
                    " is stored; `signalbox reload` brings it to what runs\n",
                    name, versions[0]->number);
    }
    vault_close(vault);
    crypto_wipe(value, SECRET_SIZE_MAX + 2);
    free(value);
    return status;
}

static void age(uint64_t us, char *text, size_t size)
{
    static const uint64_t units[] = {UINT64_C(86400000000), UINT64_C(3600000000),
                                     60000000, 1000000};
    size_t i = 0;

    while (i < 3 && us < units[i])
        i++;
    text_duration(us - us % units[i], text, size);
}

static bool is_of(const struct config_secret *secret, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (secret[i].from == SECRET_VAULT && strcmp(secret[i].name, name) == 0)
            return true;
    return false;
}

static bool uses(const struct config_integration *in, const char *name)
{
    bool found = is_of(in->secrets, in->n_secrets, name);

    for (size_t i = 0; !found && i < in->n_webhooks; i++)
        found = is_of(in->webhooks[i].secrets, in->webhooks[i].n_secrets, name);
    return found;
}

/* When a current version is to be rotated: the strictest `rotate_every` of the
 * integrations that use it. 0: none says. */
static uint64_t due_us(const struct config *config, const char *name,
                       const struct vault_version *version)
{
    uint64_t every_us = 0;

    for (size_t i = 0; i < config->n_integrations && !version->until_us; i++) {
        const struct config_integration *in = &config->integrations[i];
        if (in->rotate_every_us && uses(in, name) &&
            (!every_us || in->rotate_every_us < every_us))
            every_us = in->rotate_every_us;
    }
    return every_us ? version->created_us + every_us : 0;
}

static void list_version(struct cli *cli, const char *name,
                         const struct vault_version *version, uint64_t now_us)
{
    char created[TEXT_TIME_SIZE], until[TEXT_TIME_SIZE] = "", due[TEXT_TIME_SIZE] = "",
                                  old[32];
    uint64_t at_us = due_us(cli_config(cli), name, version);

    text_time(version->created_us, created);
    if (version->until_us)
        text_time(version->until_us, until);
    if (at_us)
        text_time(at_us, due);
    age(now_us > version->created_us ? now_us - version->created_us : 0, old,
        sizeof(old));
    if (cli->json) {
        struct json *line = js_set_text(js_object(), "name", name);
        js_set_int(line, "version", version->number);
        js_set_text(line, "created", created);
        js_set_text(line, "due", *due ? due : NULL);
        cli_print(cli, js_set_text(line, "until", *until ? until : NULL));
        return;
    }
    printf("%-24s %7" PRIu32 "  %-6s %s%s%s%s\n", name, version->number, old,
           *until ? "old, valid until " : "current", until,
           !*due             ? ""
           : at_us <= now_us ? ", OVERDUE since "
                             : ", due ",
           due);
}

static int list(struct cli *cli)
{
    const struct vault_version *versions[VALUES_MAX];
    uint64_t now_us = clock_wall_us();
    const char *name;
    struct vault *vault = open_vault(cli, false);

    if (!vault)
        return CLI_USAGE;
    if (!cli->json)
        printf("%-24s %7s  %-6s %s\n", "NAME", "VERSION", "AGE", "STATE");
    for (size_t i = 0; (name = vault_name(vault, i)) != NULL; i++) {
        size_t n = vault_get(vault, name, now_us, versions, VALUES_MAX);
        for (size_t j = 0; j < n; j++)
            list_version(cli, name, versions[j], now_us);
    }
    vault_close(vault);
    return CLI_DONE;
}

static int remove_secret(struct cli *cli, const char *name)
{
    struct vault *vault = open_vault(cli, true);
    int status = CLI_USAGE;

    if (vault)
        status = vault_remove(vault, name)
                     ? save(vault)
                     : cli_fail(CLI_FAILED, "there is no secret `%s`", name);
    vault_close(vault);
    return status;
}

int cmd_secret(struct cli *cli, int argc, char **argv)
{
    const char *keep = NULL;
    uint64_t keep_us = 0;
    const struct cli_option options[] = {{"--keep-old", "24h", &keep},
                                         {NULL, NULL, NULL}};
    int n = cli_arguments(cli, options, argc, argv, 1, 3);

    cli_undumpable();
    if (n < 0)
        return CLI_USAGE;
    if (n == 3)
        return cli_fail(CLI_USAGE,
                        "a secret never stands on the command line: give it on stdin, or "
                        "leave it out and be asked; change this one, it was seen");
    if (n == 1 && strcmp(argv[1], "list") == 0)
        return list(cli);
    if (n == 2 && !text_is_name(argv[2]))
        return cli_fail(
            CLI_USAGE, "`%s` is no name; expected 1 to 64 of a-z 0-9 _ -, first a letter",
            argv[2]);
    if (n == 2 && strcmp(argv[1], "set") == 0 && !keep)
        return store(cli, argv[2], /* must_exist= */ false, /* keep_old_us= */ 0);
    if (n == 2 && strcmp(argv[1], "rotate") == 0)
        return cli_duration("--keep-old", keep ? keep : "24h", &keep_us)
                   ? store(cli, argv[2], /* must_exist= */ true, keep_us)
                   : CLI_USAGE;
    if (n == 2 && strcmp(argv[1], "remove") == 0)
        return remove_secret(cli, argv[2]);
    return cli_fail(
        CLI_USAGE,
        "secret: expected set NAME, list, rotate NAME [--keep-old 24h] or remove NAME");
}
