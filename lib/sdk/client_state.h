/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* client_state - the inside of a client, shared by client.c (life and publishing),
 * client_call.c and client_take.c */
#pragma once
#include "include/signalbox/client.h"
#include "lib/base/buf.h"
#include "proto/message.h"

struct loop;
struct peer;
struct wire;

enum {
    CLIENT_BATCH_BYTES = 64 << 10, /* a batch is sent off when it has this much */
    CLIENT_FLIGHT_MAX = 128, /* batches and results unanswered at a time; the broker tells
                                255 apart */
    CLIENT_WINDOW_MS = 5000, /* how long publishing waits for room */
    CLIENT_OPEN_MS = 5000,
    CLIENT_TURN_MS = 50, /* the longest sleep within a wait: how late it may end */
    CLIENT_AHEAD = 256,
    CLIENT_AHEAD_MAX = 1024, /* so that all their answers fit into one result */
};

/* A batch or a result that is not answered yet. */
struct flight {
    uint64_t number; /* 0: refused for now, sent again at due_us */
    uint64_t due_us; /* steady */
    struct buf records;
    bool is_result, wants_outcome;
    struct flight *next;
};

/* An event that came, as the application sees it and as we answer for it. */
struct received {
    struct sb_client_received seen; /* first: one is cast to the other */
    struct position at;
    struct received *next;
};

struct sb_client {
    struct loop *loop;
    struct wire *wire;
    struct peer *peer;
    char *name;
    char error[400];
    char why_not[300];   /* the connection is not let in, or the session was refused */
    char group_why[300]; /* the group was refused; "" else */
    bool is_rejected;
    struct buf batch, answers;
    unsigned n_answers, ahead;
    struct flight *flights;
    size_t n_flights;
    bool was_refused; /* since the last commit; refusal[] says which rule */
    char refusal[300];
    /* a call: one at a time */
    struct {
        uint64_t batch; /* 0: none */
        bool is_over;
        int status;
        struct received *outcome;
    } call;
    /* a group */
    struct received *first, **last; /* came, not handed out */
    size_t n_waiting;
};

int client_fail(struct sb_client *client, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Steady time after which a wait of so long is over. */
uint64_t client_until(const struct sb_client *client, unsigned timeout_ms);
/* One short turn of the loop, with everything due sent. False once `until_us` is over. */
bool client_step(struct sb_client *client, uint64_t until_us);
/* Send the batch in hand. False when the window had no room until the time was over. */
bool client_send_batch(struct sb_client *client, uint64_t until_us);
/* Append an event's record (and that of its idempotency key). 0, or SB_CLIENT_BAD. */
int client_record(struct sb_client *client, const struct sb_client_event *event,
                  uint64_t deadline_us, struct buf *out, char *ret_id);
/* Publish records as one batch of its own; its number, 0 when there was no room in time.
 */
uint64_t client_publish_now(struct sb_client *client, const struct buf *records,
                            bool wants_outcome, uint64_t until_us);
/* client_take.c */
struct received *received_new(const struct slice *slice, uint32_t index,
                              const struct record *r, unsigned attempt);
void client_on_deliver(void *user, const struct message *deliver);
/* The link is down: what was not handed out comes again. */
void client_forget_waiting(struct sb_client *client);
void client_send_answers(struct sb_client *client);
/* client_call.c */
void client_on_outcome(void *user, uint64_t ref, uint32_t index,
                       const struct slice *slice, const struct record *outcome);
void client_call_published(struct sb_client *client, uint64_t batch,
                           const struct verdict *verdicts, uint32_t n, bool has_place);
void client_call_refused(struct sb_client *client, uint64_t batch, unsigned code,
                         const char *detail);
