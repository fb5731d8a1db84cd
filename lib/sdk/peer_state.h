/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* peer_state - the inside of a peer, shared by peer.c (life and sending) and hear.c (what
 * the broker says) */
#pragma once
#include "lib/base/buf.h"
#include "lib/sdk/outbox.h"
#include "lib/sdk/peer.h"
#include "lib/sdk/table.h"
#include "lib/sdk/waits.h"

struct loop_timer;
struct wire_socket;

enum {
    REOPEN_US = 1000000, /* after a frame that makes no sense, or BYE */
};

/* Refs that are not batch numbers. */
#define REF_WAIT      (UINT64_C(1) << 63)
#define REF_ADMIN     (UINT64_C(1) << 62)
#define REF_SUBSCRIBE (UINT64_C(1) << 61)
#define REF_REPLAY    (UINT64_C(1) << 60)

enum state { DOWN, JOINING, JOINED, REJECTED };

struct peer {
    struct loop *loop;
    struct wire *wire;
    struct wire_socket *socket;
    struct peer_options options; /* texts are ours */
    uint8_t instance[16];
    enum state state;
    bool is_full; /* a send said AGAIN */
    bool must_subscribe, must_replay, is_replaying;
    struct loop_timer *timer;     /* DOWN: reopen; JOINING: HELLO again; JOINED: ping */
    struct loop_timer *subscribe; /* a refused subscription is tried again */
    unsigned silent_pings;
    uint32_t ping_ms;
    uint64_t window;      /* bytes that may be published and not answered */
    uint64_t unanswered;  /* bytes of all unanswered PUBLISHes */
    uint64_t outstanding; /* of those, sent on this connection */
    struct outbox batches, admins;
    struct waits waits;
    struct table started;
    struct position replay;
    struct buf frame, map; /* scratch */
};

/* Call one of the user's callbacks, if there is one. */
#define TELL(peer, callback, ...)                                                        \
    do {                                                                                 \
        if ((peer)->options.callback)                                                    \
            (peer)->options.callback(__VA_ARGS__);                                       \
    } while (0)

/* Say HELLO; the state is JOINING. */
void peer_hello(struct peer *peer);
/* The session is over; with reopen_us the socket is made anew after that time, else it
 * reconnects by itself. */
void peer_down(struct peer *peer, uint64_t reopen_us);
/* Send what state, window and pipe allow. */
void peer_flush(struct peer *peer);
/* Give credit; enum wire_result. */
int peer_credit(struct peer *peer, uint32_t events, uint32_t bytes);
/* One frame of the broker. */
void peer_hear(struct peer *peer, const void *bytes, size_t n);
