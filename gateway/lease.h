/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* lease - events that were delivered to this process: ready, then lent to somebody
 *
 * A lease's text names its session (a random number, `boot`) and a number that is used
 * once there, so that the answer to an earlier lending of the same event is recognised as
 * late. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "proto/record.h"

struct config;
struct json;

enum { LEASE_TEXT_SIZE = 40 };

struct lease {
    struct lease *previous, *next;
    uint64_t number; /* 0: ready, not lent */
    struct position position;
    uint64_t timestamp_us, until_us; /* until_us: steady, of one that is lent */
    unsigned attempt;
    struct record *record; /* a copy */
};
struct leases {
    struct lease *first, *last;
    size_t n;
};

/* A ready event with a copy of the record. */
struct lease *lease_new(const struct record *record, struct position position,
                        unsigned attempt, uint64_t timestamp_us);
void lease_free(struct lease *lease);
void leases_push(struct leases *leases, struct lease *lease);
/* Take it out. */
void leases_take(struct leases *leases, struct lease *lease);
void leases_free_all(struct leases *leases);
/* By text of a lease, or by the event's id; NULL when there is none. Ids are unique
 * within a source: of several events the one lent last, and *ret_is_sole is false. */
struct lease *leases_find(const struct leases *leases, uint64_t boot, const char *text);
struct lease *leases_find_event(const struct leases *leases, const char *id,
                                bool *ret_is_sole);
struct lease *leases_find_position(const struct leases *leases, struct position position);
/* The earliest end of all, UINT64_MAX when there is none. */
uint64_t leases_due(const struct leases *leases);
void lease_text(const struct lease *lease, uint64_t boot, char ret_text[LEASE_TEXT_SIZE]);
/* The event as who borrows it sees it: a CloudEvent with its lease, which ends at
 * until_us (wall). */
struct json *lease_json(const struct lease *lease, uint64_t boot,
                        const struct config *config, uint64_t until_us);
