/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* carry - a call's way out and back: its pause, an access token where it needs one, then
 * HTTP or a line to a worker */
#pragma once
#include <stdbool.h>

#include "lib/sdk/table.h"

struct call;
struct carry;
struct http_client;
struct loop;
struct oauth;
struct workers;

enum {
    CARRY_DEATHS_MAX = 10000, /* events whose workers ended that are remembered */
};

/* What all calls of a process share. */
struct carrier {
    struct loop *loop;
    struct http_client *http;
    struct oauth *oauth;
    struct workers *workers; /* NULL: there are none */
    struct table deaths;     /* position -> how many workers ended at it */
};

void carrier_init(struct carrier *carrier, struct loop *loop, struct http_client *http);
/* Nothing may be under way. */
void carrier_fini(struct carrier *carrier);
/* Carry what the call wants sent. When it is over, call_end has been run and `done` is
 * called from the loop: has_more says that there is a further call to carry. The carry is
 * gone then. */
struct carry *carry_start(struct carrier *carrier, struct call *call,
                          void (*done)(void *user, bool has_more), void *user);
/* Drop it, without `done`. */
void carry_drop(struct carry *carry);
