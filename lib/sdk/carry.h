/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* carry - a call's way out and back: its pause, an access token where it needs one, then
 * HTTP or a line to a worker */
#pragma once
#include <stdbool.h>

#include "lib/sdk/table.h"

struct call;
struct carry;
struct http_call;
struct http_call_options;
struct http_client;
struct loop;
struct oauth;
struct workers;

enum {
    CARRY_DEATHS_MAX = 10000, /* events whose workers ended that are remembered */
};

/* Somebody who hands the answers of calls on as they come: the door of a proxy. */
struct carry_tap {
    void *user;
    /* The call is to be made so: its tap, body and limits may be set. */
    void (*sending)(void *user, const struct call *call,
                    struct http_call_options *options);
    /* It is under way, until `ended` or `dropped`. */
    void (*sent)(void *user, const struct call *call, struct http_call *http);
    /* It is over, call_end was run; its result is on the way to the log. */
    void (*ended)(void *user, const struct call *call);
    /* It was given up, and its result is not for us to tell. */
    void (*dropped)(void *user, const struct call *call);
};

/* What all calls of a process share. */
struct carrier {
    struct loop *loop;
    struct http_client *http;
    struct oauth *oauth;
    struct workers *workers;     /* NULL: there are none */
    const struct carry_tap *tap; /* NULL: there is none */
    struct table deaths;         /* position -> how many workers ended at it */
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
