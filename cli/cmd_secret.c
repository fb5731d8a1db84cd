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
#include "cli/secretlist.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"
#include "lib/vault/secretfile.h"
#include "lib/vault/vault.h"

enum { ERROR_SIZE = 1024 };

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

static int remove_secret(struct cli *cli, const char *name, bool is_old_only)
{
    struct vault *vault = open_vault(cli, true);
    int status = CLI_USAGE, n = 0;

    if (vault && is_old_only)
        n = vault_drop_old(vault, name);
    else if (vault)
        n = vault_remove(vault, name) ? 1 : -1;
    if (vault && n < 0)
        status = cli_fail(CLI_FAILED, "there is no secret `%s`", name);
    else if (vault)
        status = save(vault);
    if (status == CLI_DONE && is_old_only)
        fprintf(stderr,
                "%s: %d older version%s removed; `signalbox reload` tells what "
                "runs\n",
                name, n, n == 1 ? " is" : "s are");
    vault_close(vault);
    return status;
}

int cmd_secret(struct cli *cli, int argc, char **argv)
{
    const char *keep = NULL, *old = NULL;
    uint64_t keep_us = 0;
    const struct cli_option options[] = {
        {"--keep-old", "24h", &keep}, {"--old", NULL, &old}, {NULL, NULL, NULL}};
    int n = cli_arguments(cli, options, argc, argv, 1, 3);

    cli_undumpable();
    if (n < 0)
        return CLI_USAGE;
    if (n == 3)
        return cli_fail(CLI_USAGE,
                        "a secret never stands on the command line: give it on stdin, or "
                        "leave it out and be asked; change this one, it was seen");
    if (n == 1 && strcmp(argv[1], "list") == 0)
        return secretlist(cli);
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
        return remove_secret(cli, argv[2], old != NULL);
    return cli_fail(
        CLI_USAGE,
        "secret: expected set NAME, list, rotate NAME [--keep-old 24h] or remove NAME "
        "[--old]");
}
