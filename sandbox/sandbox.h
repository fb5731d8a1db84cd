/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* sandbox - the practice providers behind one HTTP server on loopback
 *
 *     /PROVIDER/...            a provider's own addresses (/v1/... is Stripe's too)
 *     GET    /sandbox/providers what there is: [{"name", "path", "has_webhook",
 *                              "public_key"?}]
 *     GET    /sandbox/effects  ?provider=NAME, Stripe where none is named: {"<idempotency
 *                              key, or what tells a message apart>": how often it was
 * done} GET    /sandbox/status   calls answered, replays, faults and webhooks so far GET
 * /sandbox/faults   the rules in force · POST adds one (faults.h) · DELETE removes all
 *     (wrong TLS is a port of its own: sandbox_wrong_tls_port)
 *     POST   /sandbox/webhook  {"provider"?, "event", "fault"?, "data"?}: a signed event
 * is sent to the provider's webhook URL; answered with {"event", "status", "body",
 * "sent": [...]} where status and body are the last answer's */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct loop;
struct sandbox;

/* What one provider is given. */
struct sandbox_provider {
    const char *name;           /* a row's */
    const char *api_key;        /* NULL: any test key */
    const char *webhook_url;    /* NULL: events are only kept */
    const char *webhook_secret; /* needed with webhook_url, but of rows that sign with the
                                   API key */
};
struct sandbox_options {
    uint16_t port; /* 0: any free one */
    const struct sandbox_provider *providers;
    size_t n_providers; /* those that are missing have nothing */
};

/* Listens on 127.0.0.1, on two ports. NULL with a reason in error[]. */
struct sandbox *sandbox_new(struct loop *loop, const struct sandbox_options *options,
                            char *error, size_t error_size);
void sandbox_free(struct sandbox *sandbox);
uint16_t sandbox_port(const struct sandbox *sandbox);
/* The port where the same is behind TLS with a certificate that nobody should trust. */
uint16_t sandbox_wrong_tls_port(const struct sandbox *sandbox);
