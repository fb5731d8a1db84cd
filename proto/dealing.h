/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* dealing - what a person did about a failed event: how it is remembered
 *
 * The event that the dealing made (a redrive, a verdict) stands behind a
 * RECORD_IDEMPOTENCY whose id is the dealing's name and whose body_hash is its kind.  So
 * the newest dealing is found like an idempotency key: ask for number 0, 1, ... until
 * there is none. */
#pragma once
#include <stdint.h>

enum dealing_kind {
    DEALT_NOT = 0,
    DEALT_REDRIVEN = 1,
    DEALT_SUCCESS = 2, /* a person looked: it had its effect */
    DEALT_FAILED = 3,  /* a person looked: it had none */
};

enum { DEALINGS_MAX = 100 }; /* with one event; above: refused */

/* The name of dealing `number` (from 0) with the event of this id; group: the hash of the
 * consumer group that gave it up, 0 for a request. */
void dealing_name(const uint8_t id[16], uint32_t group, unsigned number,
                  uint8_t ret_name[16]);
