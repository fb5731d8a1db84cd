/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* live - committed events on an XPUB socket: a view for anyone, lossy by contract
 *
 * Built only while somebody subscribes.  Two frames: the type, and a msgpack map of the
 * event with the names of proto/attrs.h as keys, plus id, kind, status, timestamp, data
 * and seq.  seq counts per type, so that a subscriber sees a gap and can fetch it from
 * the log. */
#pragma once
#include <stddef.h>

struct block;
struct live;
struct wire;

/* NULL with a reason when the endpoint cannot be bound. */
struct live *live_new(struct wire *wire, const char *endpoint, char *error,
                      size_t error_size);
void live_free(struct live *live);
/* Publish the events of a committed block. */
void live_block(struct live *live, const struct block *block);
