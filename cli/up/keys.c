/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/up/pem.h"
#include "cli/up/sandbox.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/vault/secretfile.h"
#include "lib/vault/vault.h"
#include "lib/wire/curve.h"

enum { BUS_KEY_SIZE = 32, VALUES_MAX = 16, ERROR_SIZE = 1024 };

/* One name in a child's object. */
struct key {
    char *owner; /* "gateway" or an integration's name */
    char *name;  /* "bus", "api_key", "webhook.stripe.stripe" */
    char *values[VALUES_MAX];
    char *origins[VALUES_MAX]; /* of secrets: "vault:NAME#VERSION", "file:PATH#0" */
    size_t n;
};

struct keys {
    struct key *list;
    size_t n;
    uint64_t until_us;
    bool is_remote; /* the broker is on another host */
};

struct reading {
    const struct config *config;
    struct keys *keys;
    struct vault *vault; /* opened when the first secret asks for it */
    uint64_t now_us;
    struct buf errors;
};

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void keys_free(struct keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->n; i++) {
        struct key *key = &keys->list[i];
        for (size_t j = 0; j < key->n; j++) {
            wipe(key->values[j]);
            free(key->origins[j]);
        }
        free(key->owner);
        free(key->name);
    }
    free(keys->list);
    free(keys);
}

uint64_t keys_until_us(const struct keys *keys)
{
    return keys->until_us;
}

static struct key *add(struct keys *keys, const char *owner, const char *name)
{
    keys->list = mem_resize(keys->list, (keys->n + 1) * sizeof(*keys->list));
    struct key *key = &keys->list[keys->n++];
    *key = (struct key){.owner = mem_text(owner), .name = mem_text(name)};
    return key;
}

static const struct key *find(const struct keys *keys, const char *owner,
                              const char *name)
{
    for (size_t i = 0; keys && i < keys->n; i++)
        if (strcmp(keys->list[i].owner, owner) == 0 &&
            strcmp(keys->list[i].name, name) == 0)
            return &keys->list[i];
    return NULL;
}

/* --- reading --- */

/* The bus key of a peer: the one it had, or a new one. */
static void add_bus_key(struct keys *keys, const struct keys *before, const char *owner)
{
    const struct key *old = find(before, owner, "bus");
    uint8_t random[BUS_KEY_SIZE];
    struct buf hex = BUF_NULL;

    struct key *key = add(keys, owner, "bus");
    id_random(random, sizeof(random));
    text_hex(random, sizeof(random), &hex);
    key->values[key->n++] = mem_text(old ? old->values[0] : buf_str(&hex));
    explicit_bzero(random, sizeof(random));
    explicit_bzero(hex.bytes, hex.len);
    buf_fini(&hex);
}

static bool open_vault(struct reading *r)
{
    char error[ERROR_SIZE];

    if (r->vault)
        return true;
    r->vault = vault_open(r->config->vault.vault_file, r->config->vault.master_key_file,
                          /* writable= */ false, error, sizeof(error));
    if (!r->vault && !strstr(buf_str(&r->errors), error)) /* once is enough */
        buf_format(&r->errors, "%s\n", error);
    return r->vault != NULL;
}

static void read_from_vault(struct reading *r, const struct config_secret *secret,
                            const char *integration, struct key *key)
{
    const struct vault_version *versions[VALUES_MAX];

    if (!open_vault(r))
        return;
    size_t n =
        vault_get(r->vault, secret->name, r->now_us, versions, VALUES_MAX - key->n);
    if (!n)
        buf_format(
            &r->errors,
            "integration %s: the vault has no secret `%s`; `signalbox secret set %s` "
            "stores it\n",
            integration, secret->name, secret->name);
    for (size_t i = 0; i < n; i++) {
        uint64_t until = versions[i]->until_us;
        key->origins[key->n] =
            mem_format("vault:%s#%" PRIu32, secret->name, versions[i]->number);
        key->values[key->n++] = mem_text(versions[i]->value);
        if (until && (!r->keys->until_us || until < r->keys->until_us))
            r->keys->until_us = until;
    }
}

static void read_from_file(struct reading *r, const struct config_secret *secret,
                           const char *integration, struct key *key)
{
    struct buf value = BUF_NULL;
    char error[ERROR_SIZE];

    if (!secretfile_read(secret->name, &value, error, sizeof(error)))
        buf_format(&r->errors, "integration %s: %s\n", integration, error);
    else if (!value.len || memchr(value.bytes, 0, value.len))
        buf_format(&r->errors, "integration %s: %s: it holds no text\n", integration,
                   secret->name);
    else if (key->n < VALUES_MAX) {
        key->origins[key->n] = mem_format("file:%s#0", secret->name);
        key->values[key->n++] = mem_text(buf_str(&value));
    }
    if (value.bytes)
        explicit_bzero(value.bytes, value.cap);
    buf_fini(&value);
}

static void read_secret(struct reading *r, const struct config_secret *secret,
                        const char *integration, struct key *key)
{
    if (secret->from == SECRET_VAULT)
        read_from_vault(r, secret, integration, key);
    else
        read_from_file(r, secret, integration, key);
}

const char *keys_mode(const char *value)
{
    static const char *const prefixes[][2] = {{"sk_live_", "live"},
                                              {"rk_live_", "live"},
                                              {"sk_test_", "test"},
                                              {"rk_test_", "test"}};

    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
        if (strncmp(value, prefixes[i][0], strlen(prefixes[i][0])) == 0)
            return prefixes[i][1];
    return NULL;
}

static void check_mode(struct reading *r, const struct config_integration *in,
                       const struct key *key)
{
    for (size_t i = 0; i < key->n; i++) {
        const char *mode = keys_mode(key->values[i]);
        if (mode && strcmp(mode, in->mode) != 0)
            buf_format(&r->errors,
                       "integration %s: `%s` is a %s key, and the configuration (line "
                       "%d) says mode: %s\n",
                       in->name, key->name, mode, in->line, in->mode);
    }
}

static void read_integration(struct reading *r, const struct config_integration *in)
{
    bool is_here = !config_is_elsewhere(r->config, in->name);

    for (size_t i = 0; is_here && i < in->n_secrets; i++) {
        struct key *key = add(r->keys, in->name, in->secrets[i].use);
        read_secret(r, &in->secrets[i], in->name, key);
        check_mode(r, in, key);
    }
    for (size_t i = 0; !r->keys->is_remote && i < in->n_webhooks; i++) {
        _free_ char *name = mem_format("webhook.%s.%s", in->name, in->webhooks[i].path);
        struct key *key = add(r->keys, "gateway", name);
        for (size_t j = 0; j < in->webhooks[i].n_secrets; j++)
            read_secret(r, &in->webhooks[i].secrets[j], in->name, key);
    }
}

static void read_deliver(struct reading *r, const struct config_deliver *d)
{
    _free_ char *owner = mem_format("deliver.%s", d->name); /* no integration has a dot */
    struct key *key = add(r->keys, owner, "webhook");

    for (size_t i = 0; i < d->n_secrets; i++)
        read_secret(r, &d->secrets[i], owner, key);
}

/* The key of this host's side of encrypted links. It is made on purpose and not here,
 * because its public half must be told to the other side. */
static void read_curve_key(struct reading *r)
{
    const char *path = r->config->bus.key_file;
    const char *make = r->config->bus.connect ? "new NAME" : "server";
    struct buf value = BUF_NULL;
    char error[ERROR_SIZE];

    if (!secretfile_read(path, &value, error, sizeof(error)))
        buf_format(&r->errors, "bus: %s; `signalbox key %s` makes one\n", error, make);
    else if (!curve_is_key(buf_str(&value)))
        buf_format(&r->errors, "bus: %s: it holds no key; `signalbox key %s` makes one\n",
                   path, make);
    else {
        struct key *key = add(r->keys, "curve", "curve");
        key->values[key->n++] = mem_text(buf_str(&value));
    }
    if (value.bytes)
        explicit_bzero(value.bytes, value.cap);
    buf_fini(&value);
}

/* Certificate and key of the HTTP side. Handed over like a secret, so that a renewed one
 * is a change that `reload` sees. */
static void read_tls(struct reading *r)
{
    const char *certificate = r->config->gateway.tls_certificate;
    struct pem pem = {0};
    char error[ERROR_SIZE];

    if (!certificate)
        return;
    if (!pem_read(certificate, r->config->gateway.tls_key, &pem, error, sizeof(error))) {
        buf_format(&r->errors, "gateway.tls: %s\n", error);
        return;
    }
    struct key *key = add(r->keys, "gateway", "tls.certificate");
    key->values[key->n++] = pem.certificate;
    key = add(r->keys, "gateway", "tls.key");
    key->values[key->n++] = pem.key;
}

struct keys *keys_read(const struct config *config, const struct keys *before,
                       char *error, size_t error_size)
{
    struct keys *keys = mem_alloc(sizeof(*keys));
    struct reading r = {.config = config, .keys = keys, .now_us = clock_wall_us()};

    keys->is_remote = config->bus.connect != NULL;

    if (config->bus.listen || config->bus.connect)
        read_curve_key(&r);
    add_bus_key(keys, before, "gateway");
    read_tls(&r);
    for (size_t i = 0; i < config->n_integrations; i++) {
        add_bus_key(keys, before, config->integrations[i].name);
        read_integration(&r, &config->integrations[i]);
    }
    for (size_t i = 0; !keys->is_remote && i < config->n_deliver; i++)
        read_deliver(&r, &config->deliver[i]);
    vault_close(r.vault);
    if (r.errors.len) {
        snprintf(error, error_size, "%.*s", (int)r.errors.len - 1, buf_str(&r.errors));
        keys_free(keys);
        keys = NULL;
    }
    buf_fini(&r.errors);
    return keys;
}

/* --- handing over: JSON by hand, because the JSON library keeps copies that nobody wipes
 * --- */

static void put(struct buf *out, const char *text, size_t n)
{
    if (out->cap - out->len <
        n + 2) { /* moved by hand, so that the old place can be wiped */
        struct buf larger = BUF_NULL;
        buf_reserve(&larger, (out->len + n + 64) * 2);
        buf_add(&larger, out->bytes ? out->bytes : (const uint8_t *)"", out->len);
        if (out->bytes)
            explicit_bzero(out->bytes, out->cap);
        buf_fini(out);
        *out = larger;
    }
    buf_add(out, text, n);
}

static void put_quoted(struct buf *out, const char *text)
{
    put(out, "\"", 1);
    for (; *text; text++) {
        char escape[8];
        if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
            put(out, escape,
                (size_t)snprintf(escape, sizeof(escape), "\\u%04x",
                                 (unsigned char)*text));
        else
            put(out, text, 1);
    }
    put(out, "\"", 1);
}

static void put_list(struct buf *out, const char *name, char *const *texts, size_t n)
{
    put(out, out->len ? "," : "{", 1);
    put_quoted(out, name);
    put(out, ":", 1);
    for (size_t i = 0; i < n; i++) {
        put(out, i ? "," : "[", 1);
        put_quoted(out, texts[i]);
    }
    put(out, n ? "]" : "[]", n ? 1 : 2);
}

static void put_key(struct buf *out, const char *name, const struct key *key)
{
    if (key->n != 1) {
        put_list(out, name, key->values, key->n);
        return;
    }
    put(out, out->len ? "," : "{", 1);
    put_quoted(out, name);
    put(out, ":", 1);
    put_quoted(out, key->values[0]);
}

/* A secret, and where each of its values came from. */
static void put_secret(struct buf *out, const char *name, const struct key *key)
{
    put_key(out, name, key);
    if (key->n && key->origins[0]) {
        _free_ char *of = mem_format("origin.%s", name);
        put_list(out, of, key->origins, key->n);
    }
}

static void put_curve_key(struct buf *out, const struct keys *keys)
{
    const struct key *key = find(keys, "curve", "curve");

    if (key)
        put_key(out, "curve", key);
}

static char *finish(struct buf *out)
{
    put(out, out->len ? "}" : "{}", out->len ? 1 : 2);
    char *text = mem_text(buf_str(out));
    explicit_bzero(out->bytes, out->cap);
    buf_fini(out);
    return text;
}

char *keys_for_broker(const struct keys *keys)
{
    struct buf out = BUF_NULL;

    for (size_t i = 0; i < keys->n; i++) {
        const struct key *key = &keys->list[i];
        if (strcmp(key->name, "bus") != 0)
            continue;
        _free_ char *name = mem_format("bus.%s", key->owner);
        put_key(&out, name, key);
    }
    put_curve_key(&out, keys);
    return finish(&out);
}

char *keys_for_gateway(const struct keys *keys)
{
    struct buf out = BUF_NULL;

    for (size_t i = 0; i < keys->n; i++) {
        const struct key *key = &keys->list[i];
        if (strcmp(key->owner, "gateway") == 0)
            put_secret(&out, strcmp(key->name, "bus") == 0 ? "bus.gateway" : key->name,
                       key);
    }
    return finish(&out);
}

char *keys_for_connector(const struct keys *keys,
                         const struct config_integration *integration)
{
    struct buf out = BUF_NULL;

    for (size_t i = 0; i < keys->n; i++)
        if (strcmp(keys->list[i].owner, integration->name) == 0)
            put_secret(&out, keys->list[i].name, &keys->list[i]);
    if (keys->is_remote)
        put_curve_key(&out, keys);
    return finish(&out);
}

char *keys_for_deliver(const struct keys *keys, const char *name)
{
    _free_ char *owner = mem_format("deliver.%s", name);
    struct buf out = BUF_NULL;

    put_key(&out, "webhook", find(keys, owner, "webhook"));
    return finish(&out);
}

char *keys_for_logger(const struct keys *keys)
{
    (void)keys; /* it knows nobody's secrets */
    return mem_text("{}");
}

static void put_provider(struct buf *out, const struct keys *keys,
                         const struct config_integration *in)
{
    const struct key *key =
        in->n_secrets ? find(keys, in->name, in->secrets[0].use) : NULL;
    _free_ char *key_name = mem_format("%s.api_key", in->provider),
                *hook_name = mem_format("%s.webhook", in->provider);

    if (key)
        put_key(out, key_name, key);
    if (in->n_webhooks) {
        _free_ char *name = mem_format("webhook.%s.%s", in->name, in->webhooks[0].path);
        put_key(out, hook_name, find(keys, "gateway", name));
    }
}

/* A provider's first integration has its keys. */
static bool is_played_already(const struct config *config, size_t index, int port)
{
    const struct config_integration *all = config->integrations;

    for (size_t i = 0; i < index; i++)
        if (sandbox_plays(&all[i], port) &&
            strcmp(all[i].provider, all[index].provider) == 0)
            return true;
    return false;
}

char *keys_for_sandbox(const struct keys *keys, const struct config *config,
                       int sandbox_port)
{
    struct buf out = BUF_NULL;

    for (size_t i = 0; i < config->n_integrations; i++)
        if (sandbox_plays(&config->integrations[i], sandbox_port) &&
            !is_played_already(config, i, sandbox_port))
            put_provider(&out, keys, &config->integrations[i]);
    return finish(&out);
}
