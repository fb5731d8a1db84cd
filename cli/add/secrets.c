/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/add/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/add/adding.h"
#include "cli/cli.h"
#include "cli/secretask.h"
#include "cli/up/keys.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"
#include "lib/vault/vault.h"

enum { ERROR_SIZE = 1200 };

/* --- taken --- */

struct vault *secrets_vault(const struct adding *a, bool writable, char *error,
                            size_t error_size)
{
    const struct config *config = a->cli->config;

    return vault_open(config->vault.vault_file, config->vault.master_key_file, writable,
                      error, error_size);
}

int secrets_take_one(struct adding *a, const char *use, const char *what,
                     const char **ret_value)
{
    const struct vault_version *version;
    _free_ char *name = stanza_secret(&a->stanza, use);
    char *value = mem_alloc(SECRET_SIZE_MAX + 2);
    int status = CLI_DONE;

    *ret_value = js_text(a->asked, name, NULL);
    if (*ret_value) {
        /* a webhook's that is one of the others */
    } else if (vault_get(a->vault, name, clock_wall_us(), &version, 1)) {
        fprintf(stderr, "%s: the vault has it already; it is used\n", name);
        *ret_value = version->value;
    } else {
        fprintf(stderr, "%s: %s\n", name, what);
        long n = secretask(name, SECRETASK_LINE, value);
        if (n > 0) {
            js_set_text(a->asked, name, value);
            *ret_value = js_text(a->asked, name, NULL);
        }
        status = n < 0 ? CLI_USAGE : CLI_DONE;
    }
    crypto_wipe(value, SECRET_SIZE_MAX + 2);
    free(value);
    return status;
}

static int check_mode(const struct adding *a, const char *use, const char *value)
{
    const char *is = keys_mode(value), *wanted = a->stanza.mode;

    if (!is || strcmp(is, wanted ? wanted : "test" /* as in lib/config/tables.c */) == 0)
        return CLI_DONE;
    return cli_fail(CLI_USAGE,
                    "the secret %s is a %s key; nothing was stored (--mode %s is for it)",
                    use, is, is);
}

int secrets_take(struct adding *a)
{
    const struct json *secrets = js_get(a->entry.manifest, "secrets");

    for (size_t i = 0; i < js_count(secrets); i++) {
        const struct json *one = js_at(secrets, i);
        const char *use = js_text(one, "name", ""), *value;
        bool is_optional = js_bool(one, "optional", false);
        _free_ char *what = mem_format("%s%s", is_optional ? "(may be left empty) " : "",
                                       js_text(one, "what", ""));
        int status = secrets_take_one(a, use, what, &value);
        if (!status && value)
            status = check_mode(a, use, value);
        if (status)
            return status;
        if (!value && !is_optional)
            return cli_fail(CLI_USAGE,
                            "the secret %s of %s is needed; nothing was stored", use,
                            a->args->provider);
        if (value)
            js_set_text(a->secrets, use, value);
        else
            js_set_bool(a->left_out, use, true);
    }
    return CLI_DONE;
}

/* --- stored --- */

/* Into the vault as it is by now; nobody had to wait for what was typed here. */
static int set_secrets(const struct adding *a, struct vault *vault)
{
    const struct vault_version *version;
    char error[ERROR_SIZE];
    void *cursor = NULL;
    const char *name;

    while (js_next(a->asked, &cursor, &name)) {
        if (vault_get(vault, name, clock_wall_us(), &version, 1))
            return cli_fail(CLI_FAILED,
                            "meanwhile somebody has stored the secret %s; nothing was "
                            "changed",
                            name);
        vault_set(vault, name, js_text(a->asked, name, ""), clock_wall_us(),
                  /* keep_old_us= */ 0);
    }
    if (!vault_save(vault, error, sizeof(error)))
        return cli_fail(CLI_FAILED, "%s", error);
    if (vault_made_key(vault))
        fprintf(stderr,
                "The vault's master key was made: %s\nBack it up somewhere else than the "
                "vault: without it no secret can be read again.\n",
                vault_key_file(vault));
    return CLI_DONE;
}

int secrets_store(const struct adding *a)
{
    char error[ERROR_SIZE];

    if (!js_count(a->asked))
        return CLI_DONE;
    struct vault *vault = secrets_vault(a, /* writable= */ true, error, sizeof(error));
    int status = vault ? set_secrets(a, vault) : cli_fail(CLI_USAGE, "%s", error);
    vault_close(vault);
    return status;
}
