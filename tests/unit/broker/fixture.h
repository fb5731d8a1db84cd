/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* fixture - a world with a gateway, a client and a connector in it, and what a test says
 * and expects on their behalf
 *
 * A peer is known by its address, which also names its instance. */
#pragma once
#include "world.h"

enum { GATEWAY = 1, CONNECTOR = 2, CLIENT = 3, CONSUMER = 4, OTHER = 5 };

struct fixture {
    struct world world;
    uint64_t number; /* of the last batch of anybody */
    struct buf frame;
};

/* Of each peer. */
extern const uint8_t instances[6][16];
/* A request of the connector `payment` with the data {}. */
extern const struct record_parts charge;

/* The connector is of the integration "stripe", its bus key is "k", the gateway's "g". */
void open_with(struct fixture *f, const struct core_config *config);
void close_fixture(struct fixture *f);
void join(struct fixture *f, uint64_t peer, const char *role, const char *name,
          const char *key);
void subscribe(struct fixture *f, uint64_t peer, const char *group, unsigned credit);
/* Returns the batch's number. */
uint64_t publish(struct fixture *f, uint64_t peer, struct record_parts parts, bool wait);
void result(struct fixture *f, uint64_t peer, const struct record_parts *parts);
/* The connector's Success, or its request for another attempt after delay_us. */
void succeed(struct fixture *f, struct slice at);
void retry(struct fixture *f, uint64_t peer, struct slice at, uint64_t delay_us);
void acknowledge(struct fixture *f, uint64_t peer, struct slice at);
/* The peer says that it works on these. */
void start_work(struct fixture *f, uint64_t peer, const struct slice *at, size_t n);

/* The next frame for the peer, which must be of this type; its content lives in f->frame.
 */
const struct message *expect(struct fixture *f, uint64_t peer, enum message_type type);
void expect_refused(struct fixture *f, uint64_t peer, const char *code);
void expect_silence(struct fixture *f, uint64_t peer);
/* Whatever it was, it was heard. */
void drain(struct fixture *f, uint64_t peer);
/* A DELIVER whose first event is of this type: its slice. */
struct slice expect_delivery(struct fixture *f, uint64_t peer, const char *type);
/* A number of core_status by its path, -1 when there is none. */
int64_t status(struct fixture *f, const char *path);
/* The newest outcome or ack in the log that a group settled this event by; NULL: none. */
const struct record *settlement(struct fixture *f, struct slice at);
