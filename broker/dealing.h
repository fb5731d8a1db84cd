/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* dealing - a failed event that a person deals with: what it is, what ended it, what was
 * done about it before
 *
 * The person's side (CLI, gateway) finds event and ending in the log and names their
 * places; every word of it is checked here.  What was done about an event is remembered
 * as idempotency keys are (proto/dealing.h), so it costs no memory, survives restarts,
 * and is found for as long as the event is in the log. */
#pragma once
#include "broker/state.h"
#include "proto/dealing.h"

struct dealing {
    struct block_ref *event_block, *by_block;
    const struct record *event;
    const struct record *by; /* its outcome, or the acknowledgement by which a group gave
                                up */
    struct position at;
    struct group *group; /* its integration's, or the consumer group that gave up */
    const struct json *operation; /* of the connector's manifest; NULL: of a webhook */
    unsigned before;              /* dealings so far */
    enum dealing_kind last;       /* the newest of them */
    struct core_key last_value;
};

/* Read and check {block, index, id, by_block, by_index}. NULL, or why it cannot be dealt
 * with; dealing_close in any case. */
const char *dealing_open(struct core *core, const struct json *item, struct dealing *ret);
void dealing_close(struct dealing *dealing);
/* Is it a group's delivery that failed, not a request? */
bool dealing_is_delivery(const struct dealing *dealing);
/* May an attempt have had its effect although the request failed? */
bool dealing_in_doubt(const struct dealing *dealing);
/* Stage the name under which the event staged next, with this id, is found as the newest
 * dealing. */
void dealing_stage(struct core *core, const struct dealing *dealing,
                   enum dealing_kind kind, const uint8_t id[16]);
