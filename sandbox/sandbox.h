/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* sandbox - the practice providers behind one HTTP server on loopback
 *
 *     /v1/...                  Stripe (sandbox/stripe/)
 *     GET    /sandbox/effects  {"<idempotency key>": number of charges and refunds it
 * caused} GET    /sandbox/status   calls answered, replays, faults and webhooks so far
 *     GET    /sandbox/faults   the rules in force · POST adds one (faults.h) · DELETE
 * removes all POST   /sandbox/webhook  {"event", "fault"?, "data"?}: a signed event is
 * sent to the webhook URL; answered with
 *                              {"event", "status", "body", "sent": [...]} where status
 * and body are the last answer's */
#pragma once
#include <stddef.h>
#include <stdint.h>

struct loop;
struct sandbox;

struct sandbox_options {
    uint16_t port;              /* 0: any free one */
    const char *api_key;        /* NULL: any sk_test_ key */
    const char *webhook_url;    /* NULL: events are only kept */
    const char *webhook_secret; /* needed with webhook_url */
};

/* Listens on 127.0.0.1. NULL with a reason in error[]. */
struct sandbox *sandbox_new(struct loop *loop, const struct sandbox_options *options,
                            char *error, size_t error_size);
void sandbox_free(struct sandbox *sandbox);
uint16_t sandbox_port(const struct sandbox *sandbox);
