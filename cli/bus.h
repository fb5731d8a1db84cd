/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* bus - a command's session on the broker's bus
 *
 * A command embeds `struct bus` as the first member of its state, which is then the
 * `user` of the peer's callbacks. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/message.h"

struct cli;
struct json;
struct loop;
struct peer;
struct peer_options;
struct wire;

enum { BUS_JOIN_US = 3000000 };

struct bus {
    struct loop *loop;
    struct wire *wire;
    struct peer *peer;
    bool is_done; /* set by the command's callbacks: bus_wait() returns */
    int status;   /* the command's exit status once it is done */
    bool is_rejected;
    char why[256];
};

/* Join as role `cli`; `callbacks` gives what the command wants to hear (its role, name,
 * endpoint, user, on_rejected are set here). Returns CLI_DONE, or another status after
 * having said why. bus_close() in any case. */
int bus_open(struct bus *bus, struct cli *cli, const struct peer_options *callbacks);
/* Let the callbacks work until is_done, or until the steady time `until_us`. False when
 * the time is over. */
bool bus_wait(struct bus *bus, uint64_t until_us);
void bus_close(struct bus *bus);
/* An event as one record. `type` ending in .requested makes a request, any other a fact.
 * False after having said what is wrong; ret_id gets the id it was given. */
struct bus_event {
    const char *type, *integration, *key;
    const char *data;
    size_t data_len;
    uint64_t deadline_us;
};
bool bus_record(const struct bus_event *event, struct buf *out, uint8_t ret_id[16]);
/* What a caller wants to know of an outcome: {id, status, type, timestamp, attempt,
 * error_class, error_msg, ..., data}. */
struct json *bus_outcome_json(const uint8_t id[16], const struct record *outcome,
                              uint64_t timestamp_us);
