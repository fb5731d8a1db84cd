/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* waits - outcomes somebody waits for, so that they can be asked for again after a
 * reconnect */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "lib/sdk/table.h"
#include "proto/record.h"

struct wait {
    uint64_t number; /* ours, in the ref of WAIT */
    struct position request;
    uint64_t ref;   /* the user's: of peer_wait, or the batch */
    uint32_t index; /* in the batch */
    bool is_of_batch;
    bool is_sent; /* the broker of this connection knows */
};

struct waits {
    struct table by_number, by_batch; /* number -> wait; (batch, index) -> wait */
    uint64_t last;
    uint64_t unsent;
};

void waits_fini(struct waits *waits);
/* Wait for the outcome of a request. One of a batch is known to the broker already
 * (is_sent). */
void waits_add(struct waits *waits, const struct wait *wait);
/* Take a wait out by the ref of its answer; NULL when there is none. To be freed. */
struct wait *waits_take_number(struct waits *waits, uint64_t number);
struct wait *waits_take_batch(struct waits *waits, uint64_t batch, uint32_t index);
/* A new connection: the broker is to be told of all again. */
void waits_rewind(struct waits *waits);
/* The next the broker is to be told of, *at = 0 at first; NULL when there is none. */
struct wait *waits_unsent(struct waits *waits, size_t *at);
void waits_sent(struct waits *waits, struct wait *wait);
