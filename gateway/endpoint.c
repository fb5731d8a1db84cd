/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "gateway/endpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/certificate.h"
#include "gateway/gateway.h"
#include "gateway/scheme.h"
#include "gateway/scheme_config.h"
#include "gateway/scheme_key.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/sdk/used.h"
#include "lib/service/service.h"
#include "proto/control.h"

/* A secret that is of no use shuts this endpoint when it has no other, and no other
 * endpoint. */
static void read_key(struct endpoint *e, size_t i, const char *secret)
{
    if (scheme_key_init(&e->keys[i], e->scheme, secret))
        e->is_shut = false;
    else
        log_say(WEBHOOK_SECRET_UNFIT,
                "endpoint=%s integration=%s: secret %zu of %zu is none of scheme %s; "
                "expected %s",
                e->path, e->integration_name, i + 1, e->n_keys, e->scheme->name,
                scheme_key_form(e->scheme));
}

static int load_keys(struct endpoint *e, const struct secrets *secrets, char *error,
                     size_t error_size)
{
    _free_ char *name = mem_format("webhook.%s.%s", e->integration_name, e->path);
    const char *const *all = secrets_all(secrets, name);
    while (all[e->n_keys] && e->n_keys < SCHEME_KEYS_MAX)
        e->n_keys++;
    if (e->n_keys == 0) {
        snprintf(error, error_size, "no secret was handed over for the webhook %s of %s",
                 e->path, e->integration_name);
        return -1;
    }
    e->keys = mem_array(e->n_keys, sizeof(*e->keys));
    e->used = mem_array(e->n_keys, sizeof(*e->used));
    e->origins = secrets_origins(secrets, name);
    e->use = mem_format("webhook.%s", e->path);
    e->is_shut = true;
    for (size_t i = 0; i < e->n_keys; i++)
        read_key(e, i, all[i]);
    return 0;
}

/* The addresses a sender may have signed: the public one, and for Twilio, which may write
 * the standard port or leave any port out, the one with or without it. The request's
 * query follows them. */
static int make_urls(struct endpoint *e, const char *public_url, char *error,
                     size_t error_size)
{
    if (!public_url) {
        snprintf(error, error_size,
                 "the webhook %s of %s: scheme %s signs the public address; set "
                 "gateway.public_url, such as https://hooks.example.com",
                 e->path, e->integration_name, e->scheme->name);
        return -1;
    }
    size_t n = strlen(public_url);
    while (n > 0 && public_url[n - 1] == '/')
        n--;
    e->urls[0] = mem_format("%.*s/webhooks/%s", (int)n, public_url, e->path);
    if (!strstr(e->scheme->signed_bytes, "{params}"))
        return 0;
    const char *host = strstr(public_url, "://");
    host = host ? host + 3 : public_url;
    size_t host_len = strcspn(host, "/");
    const char *bracket = memchr(host, ']', host_len);
    const char *from = bracket ? bracket : host;
    const char *port = memchr(from, ':', host_len - (size_t)(from - host));
    size_t before = (size_t)((port ? port : host + host_len) - public_url);
    e->urls[1] = mem_format("%.*s%s%s", (int)before, public_url,
                            port                               ? ""
                            : !strncmp(public_url, "https", 5) ? ":443"
                                                               : ":80",
                            e->urls[0] + (host + host_len - public_url));
    return 0;
}

static int load_certificates(struct gateway *gateway, const struct endpoint *e,
                             const struct config_webhook *webhook, char *error,
                             size_t error_size)
{
    for (size_t i = 0; i < webhook->n_certificates; i++)
        if (certificates_load(gateway->certificates, e->scheme->certificate,
                              webhook->certificates[i].url, webhook->certificates[i].file,
                              error, error_size) != 0)
            return -1;
    return 0;
}

static const struct scheme *row_of(struct endpoint *e,
                                   const struct config_webhook *webhook)
{
    if (!webhook->hmac.signature_header)
        return scheme_find(webhook->scheme);
    e->own_row = mem_alloc(sizeof(*e->own_row));
    *e->own_row = scheme_of_config(&webhook->hmac);
    return e->own_row;
}

static int open_endpoint(struct gateway *gateway, struct endpoint *e,
                         const struct config_integration *integration,
                         const struct config_webhook *webhook,
                         const struct secrets *secrets, char *error, size_t error_size)
{
    *e = (struct endpoint){
        .path = webhook->path,
        .integration_name = integration->name,
        .integration = integration_hash(integration->name),
        .confirms = webhook->confirm_subscription,
        .tolerance_s = webhook->tolerance_us / 1000000,
        .scope = mem_format(PROVIDER_SCOPE "%s", integration->name),
    };
    e->scheme = row_of(e, webhook);
    if (!e->scheme) {
        snprintf(error, error_size, "the webhook %s of %s has an unknown scheme: %s",
                 e->path, e->integration_name, webhook->scheme);
        return -1;
    }
    if (e->scheme->is_weak)
        log_say(WEBHOOK_WEAK, "endpoint=%s integration=%s scheme=%s: %s", e->path,
                e->integration_name, e->scheme->name, webhook->accept_weak);
    if (strstr(e->scheme->signed_bytes, "{url}") &&
        make_urls(e, gateway->config->gateway.public_url, error, error_size) != 0)
        return -1;
    if (load_certificates(gateway, e, webhook, error, error_size) != 0)
        return -1;
    return load_keys(e, secrets, error, error_size);
}

int endpoints_open(struct gateway *gateway, const struct secrets *secrets, char *error,
                   size_t error_size)
{
    size_t n = 0;
    const struct config *config = gateway->config;
    for (size_t i = 0; i < config->n_integrations; i++)
        n += config->integrations[i].n_webhooks;
    gateway->endpoints = mem_array(n ? n : 1, sizeof(*gateway->endpoints));
    for (size_t i = 0; i < config->n_integrations; i++) {
        const struct config_integration *integration = &config->integrations[i];
        for (size_t j = 0; j < integration->n_webhooks; j++)
            if (open_endpoint(gateway, &gateway->endpoints[gateway->n_endpoints++],
                              integration, &integration->webhooks[j], secrets, error,
                              error_size) != 0)
                return -1;
    }
    return 0;
}

void endpoints_close(struct gateway *gateway)
{
    for (size_t i = 0; i < gateway->n_endpoints; i++) {
        struct endpoint *e = &gateway->endpoints[i];
        for (size_t k = 0; e->keys && k < e->n_keys; k++)
            scheme_key_fini(&e->keys[k]);
        free(e->keys);
        free(e->used);
        free(e->use);
        free(e->scope);
        free(e->own_row);
        free(e->urls[0]);
        free(e->urls[1]);
    }
    free(gateway->endpoints);
    gateway->endpoints = NULL;
    gateway->n_endpoints = 0;
}

struct endpoint *endpoint_find(const struct gateway *gateway, const char *path)
{
    for (size_t i = 0; i < gateway->n_endpoints; i++)
        if (!strcmp(gateway->endpoints[i].path, path))
            return &gateway->endpoints[i];
    return NULL;
}
