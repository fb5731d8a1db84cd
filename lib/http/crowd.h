/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* crowd - how many connections each address has open
 *
 * Counted in slots, by a hash with a seed of its own: addresses of one slot share the
 * limit, and nobody can choose with whom.  An IPv6 address counts as its /64, loopback
 * is not counted. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct sockaddr;

enum { CROWD_SLOTS = 8192 };

struct crowd {
    uint8_t seed[16];
    uint16_t counts[CROWD_SLOTS];
};

void crowd_init(struct crowd *crowd);
/* Of an address; CROWD_SLOTS: it is not counted. */
unsigned crowd_slot(const struct crowd *crowd, const struct sockaddr *address);
/* May this slot have one more, of `max`? */
bool crowd_has_room(const struct crowd *crowd, unsigned slot, unsigned max);
void crowd_enter(struct crowd *crowd, unsigned slot);
void crowd_leave(struct crowd *crowd, unsigned slot);
