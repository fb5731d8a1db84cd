/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger/secrets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/ledger/state.h"
#include "proto/used.h"

/* One note: the newest of its name, use, secret and version. */
struct noted {
    char *integration, *use, *secret;
    int64_t version;
    struct ledger_used when;
};

struct ledger_secrets {
    struct noted *all;
    size_t n;
};

void ledger_secrets_free(struct ledger_secrets *secrets)
{
    if (!secrets)
        return;
    for (size_t i = 0; i < secrets->n; i++) {
        free(secrets->all[i].integration);
        free(secrets->all[i].use);
        free(secrets->all[i].secret);
    }
    free(secrets->all);
    free(secrets);
}

static struct noted *get(struct ledger_secrets *secrets, const struct noted *key)
{
    for (size_t i = 0; i < secrets->n; i++) {
        struct noted *one = &secrets->all[i];
        if (one->version == key->version && strcmp(one->secret, key->secret) == 0 &&
            strcmp(one->use, key->use) == 0 &&
            strcmp(one->integration, key->integration) == 0)
            return one;
    }
    secrets->all = mem_resize(secrets->all, (secrets->n + 1) * sizeof(*secrets->all));
    secrets->all[secrets->n] = (struct noted){.integration = mem_text(key->integration),
                                              .use = mem_text(key->use),
                                              .secret = mem_text(key->secret),
                                              .version = key->version};
    return &secrets->all[secrets->n++];
}

static void merge(struct ledger_used *into, struct ledger_used other)
{
    if (other.first_us && (!into->first_us || other.first_us < into->first_us))
        into->first_us = other.first_us;
    if (other.last_us > into->last_us)
        into->last_us = other.last_us;
}

static void take_note(struct ledger_secrets *secrets, const struct record *r)
{
    char error[128];
    struct json *data =
        js_parse((const char *)record_data(r), r->data_len, error, sizeof(error));
    const struct noted key = {.integration =
                                  (char *)(uintptr_t)js_text(data, "name", NULL),
                              .use = (char *)(uintptr_t)js_text(data, "use", NULL),
                              .secret = (char *)(uintptr_t)js_text(data, "secret", NULL),
                              .version = js_int(data, "version", 0)};
    const struct ledger_used when = {(uint64_t)js_int(data, "first_us", 0),
                                     (uint64_t)js_int(data, "last_us", 0)};

    if (key.integration && key.use && key.secret)
        merge(&get(secrets, &key)->when, when);
    js_free(data);
}

static bool take_block(void *user, uint64_t number, const struct block *block,
                       const char *why)
{
    static const char type[] = USED_TYPE;

    (void)number, (void)why; /* a damaged block is `log verify`'s and `audit`'s to name */
    for (const struct record *r = block && block->count ? block_first(block) : NULL; r;
         r = block_next(block, r))
        if (r->kind == RECORD_NOTE && r->type_len == sizeof(type) - 1 &&
            memcmp(record_type(r), type, r->type_len) == 0)
            take_note(user, r);
    return true;
}

struct ledger_secrets *ledger_secrets(struct ledger *ledger)
{
    struct ledger_secrets *secrets = mem_alloc(sizeof(*secrets));

    ledger_refresh(ledger);
    if (ledger->last && store_scan(ledger->store, store_find_checkpoint(ledger->store),
                                   /* verify= */ true, take_block, secrets) < 0) {
        snprintf(ledger->error, sizeof(ledger->error), "the log cannot be read");
        ledger_secrets_free(secrets);
        return NULL;
    }
    return secrets;
}

struct ledger_used ledger_secrets_used(const struct ledger_secrets *secrets,
                                       const char *integration, const char *secret,
                                       int64_t version)
{
    struct ledger_used all = {0};

    for (size_t i = 0; secrets && i < secrets->n; i++) {
        const struct noted *one = &secrets->all[i];
        if (one->version == version && strcmp(one->secret, secret) == 0 &&
            (!integration || strcmp(one->integration, integration) == 0))
            merge(&all, one->when);
    }
    return all;
}
