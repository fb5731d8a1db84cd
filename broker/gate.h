/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* gate - may a call start now: rate, concurrency, breaker and budget of an integration
 *
 * Asked by dispatch before it hands anything over.  What a verified webhook brought is no
 * call and is never held up by itself. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "proto/record.h"

struct control_retry;
struct core;
struct group;
struct json;

enum gate {
    GATE_OPEN,  /* hand it over: what it needs is taken */
    GATE_WAIT,  /* not now: the group stands still until gate_due_us() or a settlement */
    GATE_SPENT, /* not at all: it ends Failed/budget */
};
enum gate gate_may_start(struct core *core, struct group *group, struct position position,
                         const struct record *r);
/* Why GATE_SPENT was said, to be freed. */
char *gate_sentence(const struct core *core, const struct group *group,
                    const struct record *r);
/* Why a request ends whose deadline passed before an attempt, or after so many a further
 * one, could start, with what held calls back meanwhile; to be freed. */
char *gate_deadline_sentence(const struct group *group, unsigned attempts);
/* A session came back with a delivery it had before: what it may cost is reserved again.
 */
void gate_reclaimed(struct core *core, struct group *group, struct position position,
                    const struct record *r);
/* Before a group is dispatched: what the clock or the last results change is staged as a
 * record, and in force when that is committed. */
void gate_turn(struct core *core, struct group *group);
/* Steady time at which GATE_WAIT should be asked again; UINT64_MAX: not by the clock. */
uint64_t gate_due_us(const struct core *core, const struct group *group);

/* The fold: the first outcome of a request of the group, in a block of this time. */
void gate_settled(struct core *core, struct group *group, uint64_t at_us,
                  const struct record *outcome);
/* The fold: an attempt is to be tried again; `is_death`: because its session ended. */
void gate_retried(struct core *core, struct group *group, uint64_t at_us,
                  const struct record *r, bool is_death);
/* The fold: a note of this file's own: "signalbox.breaker", "signalbox.budget",
 * "signalbox.rate", "signalbox.limits". */
void gate_noted(struct core *core, struct group *group, const struct record *r,
                const struct json *data);
/* Stage what the fold knows of the group, as a record with absolute values. */
void gate_checkpoint(struct core *core, const struct group *group);

/* Add `limits` to a group's status: what is in force, and what holds calls back. */
void gate_status(const struct core *core, const struct group *group, struct json *status);
