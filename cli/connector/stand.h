/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* stand - a bus with one place: the broker's side of the protocol for one connector
 *
 * It has no log: an event is delivered because its owner says so, and a result is kept
 * for its owner to look at.  What the connector does against the protocol is noted. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/buf.h"
#include "lib/wire/wire.h"
#include "proto/message.h"

struct json;
struct loop;

enum { STAND_PING_MS = 500 /* what the connector is asked to keep */ };

struct stand {
    struct loop *loop;
    struct wire *wire;
    struct wire_socket *socket;
    struct wire_peer peer; /* who joined last */
    bool is_joined;
    char *name;            /* the integration it says it serves */
    struct json *manifest; /* what it says it can do */
    uint8_t instance[16];
    bool is_same_instance; /* at the last HELLO: as at the one before */
    unsigned hellos, subscribes, pings, results, byes; /* heard so far */
    struct buf result; /* the records of the last RESULT */
    uint64_t result_ref, result_ref_before;
    bool holds_settled; /* results are not answered */
    uint64_t block;     /* of the last event that was delivered */
    char problem[300];  /* the first thing against the protocol; "" for none */
};

/* Listen; 0, or -1 with the reason. */
int stand_open(struct stand *stand, struct loop *loop, const char *endpoint, char *error,
               size_t error_size);
void stand_close(struct stand *stand);
/* Turn the loop until *what is above `above`; false when the time is over, or
 * cli/interrupt has noted a signal. */
bool stand_wait(struct stand *stand, const unsigned *what, unsigned above,
                uint64_t timeout_us);

struct stand_event {
    const char *type;
    const void *data;
    size_t data_len;
    const char *key;
    uint64_t deadline_us;
    uint64_t committed_us; /* 0: now */
    unsigned attempt;      /* 0 is 1 */
    bool in_doubt;
    bool is_again; /* the same event as the one before, at its place */
};
/* Deliver one; returns its place. Its id is the same as before with is_again. */
struct position stand_deliver(struct stand *stand, const struct stand_event *event);
/* The id of the last event. */
const uint8_t *stand_event_id(const struct stand *stand);
/* Bytes that are no frame. */
void stand_garbage(struct stand *stand);
/* End the session, as a broker that stops does; the connector comes again. */
void stand_bye(struct stand *stand);
