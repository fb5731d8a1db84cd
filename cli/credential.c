/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/credential.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/ledger/secrets.h"
#include "lib/vault/vault.h"
#include "proto/used.h"

enum { VERSIONS_MAX = 16 };

/* --- one --- */

struct document_use credential_used(const struct credentials *all,
                                    const struct config_secret *secret, int64_t version)
{
    _free_ char *name = mem_format(
        "%s:%s", secret->from == SECRET_VAULT ? "vault" : "file", secret->name);
    struct ledger_used used =
        ledger_secrets_used(all->used, /* integration= */ NULL, name, version);

    return (struct document_use){used.first_us, used.last_us};
}

static void about_file(const struct credentials *all, const struct config_secret *secret,
                       struct document_secret *ret)
{
    struct stat about;

    *ret = (struct document_secret){.is_there = stat(secret->name, &about) == 0};
    if (!ret->is_there)
        return;
    ret->created_us = (uint64_t)about.st_mtim.tv_sec * 1000000;
    ret->used = credential_used(all, secret, 0);
}

bool credential_about(const struct credentials *all, const struct config_secret *secret,
                      struct document_secret *ret)
{
    const struct vault_version *versions[VERSIONS_MAX];

    if (secret->from == SECRET_FILE) {
        about_file(all, secret, ret);
        return true;
    }
    if (!all->vault)
        return false;
    size_t n =
        vault_get(all->vault, secret->name, clock_wall_us(), versions, VERSIONS_MAX);
    *ret = (struct document_secret){.is_there = n > 0};
    if (n == 0)
        return true;
    ret->version = versions[0]->number;
    ret->created_us = versions[0]->created_us;
    ret->used = credential_used(all, secret, versions[0]->number);
    if (n > 1) {
        ret->old_until_us = versions[1]->until_us;
        ret->old_used = credential_used(all, secret, versions[1]->number);
    }
    return true;
}

const char *credential_old(const struct document_use *old,
                           const struct document_use *newer)
{
    if (!newer->last_us)
        return "; the newer one has not matched yet";
    return newer->last_us > old->last_us + UINT64_C(2) * USED_EVERY_US
               ? "; only the newer one has matched since: it can go"
               : "; it still matches";
}

/* --- all of a configuration --- */

static void each_of(const char *at, const struct config_secret *secrets, size_t n,
                    bool has_uses, credential_fn fn, void *user)
{
    for (size_t i = 0; i < n; i++) {
        _free_ char *path = has_uses ? mem_format("%s.%s", at, secrets[i].use) : NULL;
        fn(user, &secrets[i], path ? path : at);
    }
}

void credential_each(const struct config *config, credential_fn fn, void *user)
{
    for (size_t i = 0; i < config->n_integrations; i++) {
        const struct config_integration *in = &config->integrations[i];
        _free_ char *at = mem_format("integrations.%s.secrets", in->name),
                    *hooks = mem_format("integrations.%s.webhooks", in->name);
        if (!config_is_elsewhere(config, in->name))
            each_of(at, in->secrets, in->n_secrets, true, fn, user);
        for (size_t k = 0; !config->bus.connect && k < in->n_webhooks; k++)
            each_of(hooks, in->webhooks[k].secrets, in->webhooks[k].n_secrets, false, fn,
                    user);
    }
    for (size_t i = 0; !config->bus.connect && i < config->n_deliver; i++)
        each_of("deliver", config->deliver[i].secrets, config->deliver[i].n_secrets,
                false, fn, user);
}

/* --- when it is to be changed --- */

static bool is_among(const struct config_secret *list, size_t n,
                     const struct config_secret *secret)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].from == secret->from && strcmp(list[i].name, secret->name) == 0)
            return true;
    return false;
}

static bool uses(const struct config_integration *in, const struct config_secret *secret)
{
    bool found = is_among(in->secrets, in->n_secrets, secret);

    for (size_t i = 0; !found && i < in->n_webhooks; i++)
        found = is_among(in->webhooks[i].secrets, in->webhooks[i].n_secrets, secret);
    return found;
}

bool credential_is_matched(const struct config *config,
                           const struct config_secret *secret)
{
    for (size_t i = 0; i < config->n_integrations; i++)
        if (uses(&config->integrations[i], secret))
            return true;
    return false;
}

uint64_t credential_due_us(const struct config *config,
                           const struct config_secret *secret, uint64_t created_us)
{
    uint64_t every_us = 0;

    for (size_t i = 0; i < config->n_integrations; i++) {
        const struct config_integration *in = &config->integrations[i];
        if (in->rotate_every_us && uses(in, secret) &&
            (!every_us || in->rotate_every_us < every_us))
            every_us = in->rotate_every_us;
    }
    return every_us ? created_us + every_us : 0;
}
