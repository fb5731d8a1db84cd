/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* gate - may a call start now: rate and concurrency of an integration
 *
 * Asked by dispatch before it hands anything over.  What a verified webhook brought is no
 * call and is never held up. */
#pragma once
#include <stdint.h>

#include "proto/record.h"

struct core;
struct group;
struct json;

enum gate {
    GATE_OPEN, /* hand it over: what it needs is taken */
    GATE_WAIT, /* not now: the group stands still until gate_due_us() or a settlement */
};
enum gate gate_may_start(struct core *core, struct group *group, struct position position,
                         const struct record *r);
/* Steady time at which GATE_WAIT should be asked again; UINT64_MAX: not by the clock. */
uint64_t gate_due_us(const struct core *core, const struct group *group);
