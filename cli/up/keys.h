/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* keys - what each child is handed: its own secrets and nothing else
 *
 *   gateway    {"bus.gateway": K, "webhook.<integration>.<path>": [current, old, ...],
 *               "tls.certificate": PEM, "tls.key": PEM}
 *   connector  {"bus": K, "<use>": value or [current, old, ...]}
 *   deliver    {"webhook": value or [current, old, ...]}
 *   broker     {"bus.gateway": K, "bus.<integration>": K, ...}
 *   With bus.listen the broker, with bus.connect the connectors also {"curve": the secret
 *   key of this host's side}.
 *   sandbox    {"<provider>.api_key": ..., "<provider>.webhook": ...}
 *
 * A K is made for a boot of the supervisor and shows the broker who a peer is. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct config_integration;
struct keys;

/* Read every secret the configuration names. NULL with a reason, all that is missing or
 * unfit in it, a line each. `before` (may be NULL) gives the keys of the bus, so that
 * they last as long as the supervisor. */
struct keys *keys_read(const struct config *config, const struct keys *before,
                       char *error, size_t error_size);
/* Wipes. NULL is fine. */
void keys_free(struct keys *keys);
/* When the first of the old versions ends; 0 = never. */
uint64_t keys_until_us(const struct keys *keys);

/* The mode that a secret is made for, "live" or "test", where its form tells; else NULL.
 * A live key under mode: test charges real cards; a test key under live charges nobody.
 */
const char *keys_mode(const char *value);

/* JSON texts, to be wiped and freed. */
char *keys_for_broker(const struct keys *keys);
char *keys_for_gateway(const struct keys *keys);
char *keys_for_connector(const struct keys *keys,
                         const struct config_integration *integration);
char *keys_for_deliver(const struct keys *keys, const char *name);
char *keys_for_logger(const struct keys *keys);
/* The practice providers have the other half: of each integration that calls the sandbox
 * at this port its credential (its first secret) and its webhook's secret. */
char *keys_for_sandbox(const struct keys *keys, const struct config *config,
                       int sandbox_port);
