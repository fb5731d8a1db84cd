/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* guard - who may ask at the door
 *
 * It holds a credential, so it is never open: without tokens it listens on loopback only,
 * and takes nothing that a web page in somebody's browser could have sent (Origin, or a
 * Host that is not of this machine: DNS rebinding). Everywhere else every request needs a
 * token of signalbox with the scope `call`, which an application gives its SDK in place
 * of the provider's key. */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "lib/tokens/tokens.h"

struct http_request;
struct integration;
struct sb_event;
struct service_run;

/* Optional secrets of the integration: PEM texts, for TLS at the door. */
#define GUARD_CERTIFICATE "tls_certificate"
#define GUARD_KEY         "tls_key"

struct guard {
    char *address; /* where to listen */
    uint16_t port;
    bool needs_token;
    const char *certificate, *key; /* NULL: without TLS; the integration's */
    char *tokens_path;
    struct stat seen; /* the list's file as it was read */
    struct tokens tokens;
};

/* Read options.listen and options.access. False with the reason in error[]. */
bool guard_read(struct guard *guard, const struct sb_event *options,
                const struct service_run *run, char *error, size_t error_size);
/* Read the two secrets of TLS: both, which belong together and are valid now, or neither.
 * False with the reason in error[]. */
bool guard_read_tls(struct guard *guard, const struct integration *integration,
                    uint64_t now_us, char *error, size_t error_size);
void guard_fini(struct guard *guard);
/* NULL: it may ask, and *ret_actor is its token's name or NULL, good until the next call.
 * Else why not, for the application, and *ret_status. */
const char *guard_refuses(struct guard *guard, const struct http_request *request,
                          const char **ret_actor, unsigned *ret_status);
/* Is a Host header of this machine: localhost, 127.0.0.0/8 or [::1], with or without a
 * port? */
bool guard_is_local(const char *host);
