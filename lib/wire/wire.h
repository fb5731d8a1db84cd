/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* wire - ZeroMQ, and the only place that knows it
 *
 * Every limit is set explicitly (ZMQ_MAXMSGSIZE, HWMs, LINGER 0, heartbeats,
 * ROUTER_MANDATORY, IMMEDIATE on DEALERs); endpoints are ipc:// and, encrypted only,
 * tcp://.  A socket's frames arrive through a callback from the loop; they are 8-aligned
 * and live until it returns.  Sending never blocks. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct wire; /* the process's one context */
struct wire_socket;

/* Who sent a frame, on a ROUTER. */
struct wire_peer {
    uint8_t id[8];
    uint8_t id_len;
    /* of an ipc peer, from SO_PEERCRED through ZAP; -1 and 0 when unknown */
    int64_t uid;
    int64_t pid;
    char key[41]; /* of a tcp peer: its public key (lib/wire/curve.h), proven; else "" */
};

/* The keys of an encrypted link, 40 characters each. */
struct wire_curve {
    const char *secret_key; /* of this side */
    const char *server_key; /* connect: the public key of the side that listens */
};

enum wire_kind { WIRE_ROUTER, WIRE_DEALER, WIRE_XPUB, WIRE_SUB };
enum wire_result {
    WIRE_SENT = 0,
    WIRE_AGAIN = 1 /* full: try later */,
    WIRE_GONE = 2 /* no such peer */
};

/* One frame arrived. On a ROUTER `peer` says from whom; on an XPUB the frame is a
 * subscription change (first byte 1 or 0, then the topic). Multi-part messages of foreign
 * make are dropped and counted. */
typedef void (*wire_frame_fn)(void *user, const struct wire_peer *peer, const void *frame,
                              size_t n);
/* SUB: a topic and its body. */
typedef void (*wire_topic_fn)(void *user, const char *topic, size_t topic_len,
                              const void *body, size_t n);
/* DEALER: the connection came up or went down. What was queued when it went down is lost.
 */
typedef void (*wire_link_fn)(void *user, bool is_up);
/* A handshake failed; `why` in words. Of a DEALER: libzmq does not try this connection
 * again, close the socket and open another. Of a socket that listens: somebody was kept
 * out whom `admit` was not asked about. */
typedef void (*wire_failed_fn)(void *user, const char *why);
/* Over tcp: may the peer with this public key, calling from `address`, connect? */
typedef bool (*wire_admit_fn)(void *user, const char *key, const char *address);
/* DEALER: a send that said WIRE_AGAIN would go now. */
typedef void (*wire_writable_fn)(void *user);

struct wire_options {
    enum wire_kind kind;
    const char *endpoint;    /* ipc:///path, or with `curve` tcp://host:port */
    struct wire_curve curve; /* tcp: the keys; not kept */
    bool bind;
    bool check_uid; /* ipc bind: refuse peers of another uid than ours and root's (ZAP on
                       peer credentials) */
    int hwm;        /* messages per peer, both directions; 0 = 256 */
    wire_frame_fn on_frame;       /* ROUTER, DEALER, XPUB */
    wire_topic_fn on_topic;       /* SUB */
    wire_admit_fn admit;          /* tcp bind: NULL admits nobody */
    wire_link_fn on_link;         /* may be NULL */
    wire_failed_fn on_failed;     /* may be NULL */
    wire_writable_fn on_writable; /* may be NULL */
    void *user;
};

/* One per process. Its sockets live on the loop, which must outlive it. */
struct wire *wire_new(struct loop *loop);
/* Close all sockets and the context. Not from a callback. */
void wire_free(struct wire *wire);
/* NULL with a reason in error[] when the endpoint is bad or taken. An ipc path left by a
 * dead process is taken over: the caller must hold the directory's lock (service.h). */
struct wire_socket *wire_open(struct wire *wire, const struct wire_options *options,
                              char *error, size_t error_size);
/* Let a socket that is bound over ipc, with `admit`, also listen at tcp://address:port
 * under this secret key. 0, or -1 with a reason in error[]. */
int wire_listen(struct wire_socket *socket, const char *endpoint,
                const struct wire_curve *curve, char *error, size_t error_size);
/* Queued frames are dropped. Allowed in callbacks, NULL is fine. */
void wire_close(struct wire_socket *socket);
/* The same, but queued frames have a quarter of a second to go out. */
void wire_close_gently(struct wire_socket *socket);
/* Copy and queue one frame. `peer` on a ROUTER, NULL otherwise. Returns enum wire_result;
 * asserts on program errors. */
int wire_send(struct wire_socket *socket, const struct wire_peer *peer, const void *frame,
              size_t n);
/* Queue without copying: `release(hint)` is called from ZeroMQ's I/O THREAD when done,
 * also when this fails; it may only touch atomics and free(). */
int wire_send_owned(struct wire_socket *socket, const struct wire_peer *peer, void *frame,
                    size_t n, void (*release)(void *frame, void *hint), void *hint);
/* XPUB: two frames, topic and body. Never blocks, drops for slow subscribers. */
int wire_publish(struct wire_socket *socket, const char *topic, size_t topic_len,
                 const void *body, size_t n);
/* SUB. */
void wire_subscribe(struct wire_socket *socket, const char *topic);
/* Frames dropped because they were not ours (multi-part and the like). */
uint64_t wire_dropped(const struct wire_socket *socket);
bool wire_same_peer(const struct wire_peer *a, const struct wire_peer *b);
