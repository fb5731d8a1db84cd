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

#include "lib/wire/wire.h"

struct block;
struct live;

struct live_options {
    const char *endpoint;     /* ipc */
    const char *tcp_endpoint; /* NULL: none */
    const char *secret_key;   /* of the tcp one */
    wire_admit_fn admit;      /* who may subscribe there */
    wire_failed_fn on_failed;
    void *user;
};
/* NULL with a reason when an endpoint cannot be bound. */
struct live *live_new(struct wire *wire, const struct live_options *options, char *error,
                      size_t error_size);
void live_free(struct live *live);
/* Publish the events of a committed block. */
void live_block(struct live *live, const struct block *block);
