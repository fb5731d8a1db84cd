/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* endpoint - a webhook's address: how it is verified and with which secrets, and what
 * came there */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/refusal.h"

struct config;
struct gateway;
struct scheme;
struct scheme_key;
struct secrets;
struct used_mark;

/* Refusals of the current minute that were told, and those that were only counted. */
struct refusals {
    uint32_t told, untold;
    char why[256]; /* of the last one that was only counted */
};

/* A webhook address. */
struct endpoint {
    const char *path, *integration_name;
    char *scope;   /* of its idempotency keys: those of the integration */
    char *urls[2]; /* of a scheme that signs it: what the sender may have signed */
    uint32_t integration;
    const struct scheme *scheme;
    struct scheme_key *keys;
    size_t n_keys;          /* some may be without bytes: those secrets are of no use */
    bool is_shut;           /* all are: what comes is told to come again */
    struct used_mark *used; /* of each key: when it was said to have matched */
    const char *const *origins; /* of each key, the secrets' */
    char *use;                  /* "webhook.PATH" */
    uint64_t tolerance_s;
    struct scheme *own_row; /* of an `hmac:`; scheme points to it */
    bool confirms;          /* subscriptions of SNS */
    struct refusals refusals[REFUSAL_KINDS];
    uint64_t accepted, refused, not_taken; /* requests since the start */
};

/* Make the endpoints of the configuration, with their secrets (which are to outlive them)
 * and certificates. 0, or -1 with a reason. */
int endpoints_open(struct gateway *gateway, const struct secrets *secrets, char *error,
                   size_t error_size);
void endpoints_close(struct gateway *gateway);
/* By its path; NULL when there is none. */
struct endpoint *endpoint_find(const struct gateway *gateway, const char *path);
