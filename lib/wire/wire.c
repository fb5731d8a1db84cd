/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* ZMQ_FD is readable only at the moment something changes: after any send or receive,
 * events may be pending with no further wake-up.  So its callback does nothing; a hook
 * that runs before every wait asks each socket for ZMQ_EVENTS and takes at most DRAIN_MAX
 * messages from it, and every send makes the loop come round once more.
 *
 * Who an ipc peer is comes from the kernel: libzmq puts SO_PEERCRED into the metadata
 * "Peer-Address" as "localhost:uid:gid:pid", before anything the peer says, so it cannot
 * be forged.  It is read from the payload frame: 4.3.4 loses the metadata of a ROUTER's
 * prefetched id frame. */
#include "lib/wire/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>

#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/wire/curve.h"
#include "lib/wire/parts.h"
#include "lib/wire/zap.h"
#include "proto/message.h"

enum {
    DRAIN_MAX = 64, /* messages from one socket per turn; more are taken in the next */
    HWM_DEFAULT = 256,
    HEARTBEAT_MS = 2000,
    HEARTBEAT_TIMEOUT_MS = 6000,
    HEARTBEAT_TTL_MS = 8000,
    HANDSHAKE_MS = 3000,
    RECONNECT_MS = 50,
    RECONNECT_MAX_MS = 250, /* local sockets: trying often costs nothing, and a broker
                               restarts in a second */
    RECONNECT_TCP_MAX_MS = 2000,
    BACKLOG = 1024,
    LINGER_GENTLE_MS = 250,
};

/* Events of a monitor: a peer that does not get in. */
#define HANDSHAKE_FAILED                                                                 \
    (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |        \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

struct wire_socket {
    struct wire *wire;
    void *zmq, *monitor; /* monitor: PAIR socket with connection events */
    struct loop_source *source, *monitor_source;
    unsigned domain;             /* of the questions about its peers */
    struct wire_options options; /* endpoint is not kept */
    bool is_blocked;             /* a send said WIRE_AGAIN */
    uint64_t dropped;
    struct wire_socket
        *next; /* a closed one (zmq NULL) stays chained until the drain is over */
};

struct wire {
    struct loop *loop;
    void *context;
    struct zap *zap;
    struct wire_socket *sockets;
    bool is_draining, has_closed;
    unsigned numbers; /* given so far: names of monitors, domains */
    void *aligned;    /* where unaligned frames are copied to */
    size_t aligned_size;
};

/* --- who is at the other end --- */

static bool may_connect(int64_t uid)
{
    return uid == 0 || uid == (int64_t)geteuid();
}

/* A handshake asks for a socket's leave. A local peer is judged by what the kernel says
 * of it, any other by its key. */
static bool on_question(void *user, const struct zap_question *question)
{
    const struct wire *wire = user;
    const struct wire_socket *s = wire->sockets;
    int64_t uid, pid;

    while (s && s->domain != question->domain)
        s = s->next;
    if (!s || !s->zmq)
        return false;
    if (question->key)
        return s->options.admit &&
               s->options.admit(s->options.user, question->key, question->address);
    if (s->options.check_uid && zap_credentials(question->address, &uid, &pid) &&
        may_connect(uid))
        return true;
    if (s->options.on_failed)
        s->options.on_failed(s->options.user, "a process of another user of this host");
    return false;
}

/* --- frames in --- */

/* The frame's bytes, 8-aligned: small messages lie somewhere in libzmq's shared receive
 * buffer. */
static const void *align_frame(struct wire *wire, zmq_msg_t *part)
{
    const void *bytes = zmq_msg_data(part);
    size_t n = zmq_msg_size(part);

    if ((uintptr_t)bytes % 8 == 0)
        return bytes;
    if (n > wire->aligned_size) {
        free(wire->aligned);
        wire->aligned = mem_alloc(n);
        wire->aligned_size = n;
    }
    return memcpy(wire->aligned, bytes, n);
}

static bool identify(const struct wire_socket *socket, zmq_msg_t *id, zmq_msg_t *payload,
                     struct wire_peer *ret_peer)
{
    struct wire_peer peer = {.uid = -1};
    const char *address = zmq_msg_gets(payload, "Peer-Address");
    const char *key = zmq_msg_gets(payload, "User-Id");

    if (zmq_msg_size(id) > sizeof(peer.id))
        return false;
    peer.id_len = (uint8_t)zmq_msg_size(id);
    memcpy(peer.id, zmq_msg_data(id), peer.id_len);
    if (key && *key) { /* over CURVE: set by our own answer to the handshake */
        snprintf(peer.key, sizeof(peer.key), "%s", key);
        *ret_peer = peer;
        return true;
    }
    bool is_known = address && zap_credentials(address, &peer.uid, &peer.pid);
    if (socket->options.check_uid && (!is_known || !may_connect(peer.uid)))
        return false;
    *ret_peer = peer;
    return true;
}

/* Hand one message up. False when it is not of the shape this kind of socket has. */
static bool hand_up(struct wire_socket *socket, zmq_msg_t *part, int n)
{
    const struct wire_options *o = &socket->options;
    struct wire *wire = socket->wire;
    struct wire_peer peer;

    if (n != (o->kind == WIRE_ROUTER || o->kind == WIRE_SUB ? 2 : 1))
        return false;
    zmq_msg_t *last = &part[n - 1];
    switch (o->kind) {
    case WIRE_ROUTER:
        if (!identify(socket, &part[0], last, &peer))
            return false;
        o->on_frame(o->user, &peer, align_frame(wire, last), zmq_msg_size(last));
        return true;
    case WIRE_XPUB: /* a SUB may send anything upstream */
        if (zmq_msg_size(last) < 1 || *(uint8_t *)zmq_msg_data(last) > 1)
            return false;
        if (o->on_frame)
            o->on_frame(o->user, NULL, align_frame(wire, last), zmq_msg_size(last));
        return true;
    case WIRE_SUB:
        o->on_topic(o->user, zmq_msg_data(&part[0]), zmq_msg_size(&part[0]),
                    align_frame(wire, last), zmq_msg_size(last));
        return true;
    case WIRE_DEALER:
        o->on_frame(o->user, NULL, align_frame(wire, last), zmq_msg_size(last));
        return true;
    }
    return false;
}

/* The socket may be closed by its own callback. */
static void drain_socket(struct wire_socket *socket)
{
    zmq_msg_t part[2];

    for (int i = 0; i < DRAIN_MAX && socket->zmq; i++) {
        int n = parts_receive(socket->zmq, part, 2);
        if (n == 0)
            return;
        if (!hand_up(socket, part, n))
            socket->dropped++;
        parts_drop(part, n, 2);
    }
}

/* A connection event: two parts, the first begins with the event's number, the second is
 * our end's address. */
static void on_event(struct wire_socket *socket, unsigned event)
{
    const struct wire_options *o = &socket->options;

    if (event & HANDSHAKE_FAILED) {
        if (o->bind && event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
            return; /* we said no, and told of it then */
        if (o->on_failed)
            o->on_failed(o->user, event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH
                                      ? "the key or the user is not admitted there"
                                      : "the handshake failed: the other side does not "
                                        "speak as we do, or its key is another");
    } else if (o->kind == WIRE_DEALER && o->on_link) {
        o->on_link(o->user, event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
    }
}

static void drain_monitor(struct wire_socket *socket)
{
    zmq_msg_t part[2];
    uint16_t event;

    while (socket->zmq && socket->monitor) {
        int n = parts_receive(socket->monitor, part, 2);
        if (n == 0)
            return;
        memcpy(&event, zmq_msg_data(&part[0]), sizeof(event));
        parts_drop(part, n, 2);
        on_event(socket, event);
    }
}

static void release_socket(struct wire_socket *socket)
{
    if (socket->monitor) {
        (void)zmq_socket_monitor(socket->zmq, NULL, 0);
        loop_unwatch(socket->monitor_source);
        zmq_close(socket->monitor);
        socket->monitor = NULL;
    }
    loop_unwatch(socket->source);
    zmq_close(socket->zmq);
    socket->zmq = NULL;
}

static void sweep(struct wire *wire)
{
    for (struct wire_socket **at = &wire->sockets; *at;) {
        struct wire_socket *socket = *at;
        if (socket->zmq) {
            at = &socket->next;
        } else {
            *at = socket->next;
            free(socket);
        }
    }
    wire->has_closed = false;
}

/* Everything one socket has to say; true when that was anything. Frames before link
 * events: what the old connection brought is true, and comes first. */
static bool serve(struct wire_socket *s)
{
    int events = s->zmq ? parts_events(s->zmq) : 0;
    bool is_busy = false;

    if (events & ZMQ_POLLIN) {
        drain_socket(s);
        is_busy = true;
    }
    if (s->zmq && s->monitor && (parts_events(s->monitor) & ZMQ_POLLIN)) {
        drain_monitor(s);
        is_busy = true;
    }
    if (s->zmq && s->is_blocked && (events & ZMQ_POLLOUT)) {
        s->is_blocked = false;
        is_busy = true;
        if (s->options.on_writable)
            s->options.on_writable(s->options.user);
    }
    return is_busy;
}

/* The hook. After any work it asks for another round, so that hooks before it see what
 * came in. */
static bool drain(void *user)
{
    struct wire *wire = user;
    bool is_more = false;

    wire->is_draining = true;
    is_more |= zap_serve(wire->zap);
    for (struct wire_socket *s = wire->sockets; s; s = s->next)
        is_more |= serve(s);
    wire->is_draining = false;
    if (wire->has_closed)
        sweep(wire);
    return is_more;
}

/* --- life --- */

struct wire *wire_new(struct loop *loop)
{
    struct wire *wire = mem_alloc(sizeof(*wire));

    wire->loop = loop;
    wire->context = zmq_ctx_new();
    if (!wire->context) { /* no descriptors, or no memory */
        fprintf(stderr, "signalbox: ZeroMQ cannot begin: %s\n", zmq_strerror(errno));
        abort();
    }
    loop_prepare(loop, drain, wire);
    return wire;
}

void wire_free(struct wire *wire)
{
    if (!wire)
        return;
    assert(!wire->is_draining);
    loop_unprepare(wire->loop, drain, wire);
    for (struct wire_socket *s = wire->sockets, *next; s; s = next) {
        next = s->next;
        release_socket(s);
        free(s);
    }
    zap_free(wire->zap);
    while (zmq_ctx_term(wire->context) && errno == EINTR)
        ;
    free(wire->aligned);
    free(wire);
}

/* --- opening --- */

static int fail(char *error, size_t size, const char *endpoint, const char *why)
{
    snprintf(error, size, "%s: %s", endpoint, why);
    return -1;
}

static bool is_tcp(const char *endpoint)
{
    return strncmp(endpoint, "tcp://", 6) == 0;
}

static int check_ipc(const char *endpoint, char *error, size_t size)
{
    struct sockaddr_un address;

    if (strncmp(endpoint, "ipc:///", 7) != 0)
        return fail(error, size, endpoint,
                    "not an endpoint; expected ipc:///PATH or tcp://HOST:PORT");
    if (strlen(endpoint + 6) >= sizeof(address.sun_path))
        return fail(error, size, endpoint,
                    "path too long for a socket (107 bytes at most); choose a shorter "
                    "run directory");
    return 0;
}

/* libzmq would also open pgm, norm, tipc and ws for anyone who writes the configuration,
 * and tcp without encryption. */
static int check_endpoint(const struct wire_options *o, char *error, size_t size)
{
    const struct wire_curve *curve = &o->curve;

    if (!is_tcp(o->endpoint))
        return check_ipc(o->endpoint, error, size);
    if (!curve->secret_key || !curve_is_key(curve->secret_key))
        return fail(error, size, o->endpoint,
                    "tcp is only for encrypted links and needs a secret key of 40 "
                    "characters; `signalbox key new NAME` makes one");
    if (!o->bind && (!curve->server_key || !curve_is_key(curve->server_key)))
        return fail(error, size, o->endpoint,
                    "the public key of the side that listens is needed, 40 characters; "
                    "`signalbox key server` shows it there");
    return 0;
}

static void encrypt(void *zmq, const struct wire_options *o)
{
    char public_key[CURVE_KEY_SIZE];
    bool is_key = curve_public(o->curve.secret_key, public_key);
    int refused =
        zmq_setsockopt(zmq, ZMQ_CURVE_SECRETKEY, o->curve.secret_key, CURVE_KEY_SIZE) |
        zmq_setsockopt(zmq, ZMQ_CURVE_PUBLICKEY, public_key, CURVE_KEY_SIZE);

    if (o->bind)
        parts_set(zmq, ZMQ_CURVE_SERVER, 1);
    else
        refused |=
            zmq_setsockopt(zmq, ZMQ_CURVE_SERVERKEY, o->curve.server_key, CURVE_KEY_SIZE);
    assert(is_key && !refused); /* the keys were checked */
    (void)is_key;
    (void)refused;
    parts_set(zmq, ZMQ_TCP_KEEPALIVE, 1);
    parts_set(zmq, ZMQ_RECONNECT_IVL_MAX, RECONNECT_TCP_MAX_MS);
    if (strchr(o->endpoint, '['))
        parts_set(zmq, ZMQ_IPV6, 1);
}

static void limit(void *zmq, const struct wire_options *o)
{
    int64_t size_max = MESSAGE_SIZE_MAX;
    int hwm = o->hwm ? o->hwm : HWM_DEFAULT;

    (void)zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max));
    parts_set(zmq, ZMQ_SNDHWM, hwm);
    parts_set(zmq, ZMQ_RCVHWM, hwm);
    parts_set(zmq, ZMQ_LINGER, 0);
    parts_set(zmq, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    parts_set(zmq, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    parts_set(zmq, ZMQ_HEARTBEAT_TTL, HEARTBEAT_TTL_MS);
    parts_set(zmq, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    parts_set(zmq, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    parts_set(zmq, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    parts_set(zmq, ZMQ_BACKLOG, BACKLOG);
    if (o->kind == WIRE_ROUTER)
        parts_set(zmq, ZMQ_ROUTER_MANDATORY, 1);
    if (o->kind == WIRE_DEALER)
        parts_set(zmq, ZMQ_IMMEDIATE, 1);
}

static void start_monitor(struct wire_socket *socket)
{
    struct wire *wire = socket->wire;
    bool is_dealer = socket->options.kind == WIRE_DEALER;
    char name[32];

    snprintf(name, sizeof(name), "inproc://monitor-%u", ++wire->numbers);
    int refused = zmq_socket_monitor(
        socket->zmq, name,
        HANDSHAKE_FAILED |
            (is_dealer ? ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED : 0));
    socket->monitor = zmq_socket(wire->context, ZMQ_PAIR);
    assert(!refused && socket->monitor);
    parts_set(socket->monitor, ZMQ_LINGER, 0);
    refused = zmq_connect(socket->monitor, name);
    assert(!refused);
    (void)refused;
    socket->monitor_source = parts_watch(socket->monitor, wire->loop);
}

static int bind_or_connect(void *zmq, const struct wire_options *o, char *error,
                           size_t size)
{
    if (is_tcp(o->endpoint))
        encrypt(zmq, o);
    if (o->bind ? zmq_bind(zmq, o->endpoint) : zmq_connect(zmq, o->endpoint))
        return fail(error, size, o->endpoint, zmq_strerror(errno));
    if (o->bind && !is_tcp(o->endpoint))
        (void)chmod(o->endpoint + strlen("ipc://"),
                    0600); /* the directory's mode is what guards it */
    return 0;
}

/* Whoever listens over tcp, or for its own user only, is asked about each peer. */
static bool asks(const struct wire_options *o)
{
    return o->bind && (o->check_uid || is_tcp(o->endpoint));
}

static struct wire_socket *new_socket(struct wire *wire,
                                      const struct wire_options *options, void *zmq)
{
    struct wire_socket *socket = mem_alloc(sizeof(*socket));

    *socket = (struct wire_socket){.wire = wire, .zmq = zmq, .options = *options};
    socket->options.endpoint = NULL;
    socket->options.curve = (struct wire_curve){NULL, NULL};
    socket->domain = ++wire->numbers;
    limit(zmq, options);
    if (asks(options))
        zap_protect(zmq, socket->domain);
    if (options->on_failed || (options->on_link && options->kind == WIRE_DEALER))
        start_monitor(socket);
    socket->source = parts_watch(zmq, wire->loop);
    return socket;
}

struct wire_socket *wire_open(struct wire *wire, const struct wire_options *options,
                              char *error, size_t error_size)
{
    static const int types[] = {
        [WIRE_ROUTER] = ZMQ_ROUTER,
        [WIRE_DEALER] = ZMQ_DEALER,
        [WIRE_XPUB] = ZMQ_XPUB,
        [WIRE_SUB] = ZMQ_SUB,
    };

    if (check_endpoint(options, error, error_size))
        return NULL;
    if (asks(options) && !wire->zap)
        wire->zap = zap_new(wire->context, wire->loop, on_question, wire);
    void *zmq = zmq_socket(wire->context, types[options->kind]);
    if (!zmq) {
        fail(error, error_size, options->endpoint, zmq_strerror(errno));
        return NULL;
    }
    struct wire_socket *socket = new_socket(wire, options, zmq);
    if (bind_or_connect(zmq, options, error, error_size)) {
        release_socket(socket);
        free(socket);
        return NULL;
    }
    socket->next = wire->sockets;
    wire->sockets = socket;
    loop_again(wire->loop);
    return socket;
}

int wire_listen(struct wire_socket *socket, const char *endpoint,
                const struct wire_curve *curve, char *error, size_t error_size)
{
    struct wire_options options = socket->options;

    assert(socket->options.bind && socket->options.admit);
    options.endpoint = endpoint;
    options.curve = *curve;
    if (!is_tcp(endpoint))
        return fail(error, error_size, endpoint,
                    "not an endpoint; expected tcp://HOST:PORT");
    if (check_endpoint(&options, error, error_size) ||
        bind_or_connect(socket->zmq, &options, error, error_size))
        return -1;
    loop_again(socket->wire->loop);
    return 0;
}

void wire_close(struct wire_socket *socket)
{
    if (!socket || !socket->zmq)
        return;
    release_socket(socket);
    socket->wire->has_closed = true;
    if (!socket->wire->is_draining)
        sweep(socket->wire);
}

void wire_close_gently(struct wire_socket *socket)
{
    if (socket && socket->zmq)
        parts_set(socket->zmq, ZMQ_LINGER, LINGER_GENTLE_MS);
    wire_close(socket);
}

/* --- frames out --- */

/* What a send that did not go means; anything but "full" and "gone" is a program error.
 */
static int refusal(struct wire_socket *socket)
{
    if (errno == EAGAIN) {
        socket->is_blocked = true;
        return WIRE_AGAIN;
    }
    assert(errno == EHOSTUNREACH);
    return WIRE_GONE;
}

/* Send one message, consuming `part` either way. */
static int send_message(struct wire_socket *socket, const struct wire_peer *peer,
                        zmq_msg_t *part)
{
    int result = WIRE_SENT;

    assert(socket->zmq && (peer != NULL) == (socket->options.kind == WIRE_ROUTER));
    loop_again(socket->wire->loop); /* a send may swallow the wake-up of a receive */
    if (peer &&
        zmq_send(socket->zmq, peer->id, peer->id_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0)
        result = refusal(socket);
    else if (zmq_msg_send(part, socket->zmq, ZMQ_DONTWAIT) < 0)
        result = refusal(socket);
    if (result != WIRE_SENT)
        zmq_msg_close(part);
    return result;
}

int wire_send(struct wire_socket *socket, const struct wire_peer *peer, const void *frame,
              size_t n)
{
    zmq_msg_t part;
    int out_of_memory = zmq_msg_init_size(&part, n);

    assert(!out_of_memory && n <= MESSAGE_SIZE_MAX);
    (void)out_of_memory;
    if (n)
        memcpy(zmq_msg_data(&part), frame, n);
    return send_message(socket, peer, &part);
}

int wire_send_owned(struct wire_socket *socket, const struct wire_peer *peer, void *frame,
                    size_t n, void (*release)(void *frame, void *hint), void *hint)
{
    zmq_msg_t part;
    int out_of_memory = zmq_msg_init_data(&part, frame, n, release, hint);

    assert(!out_of_memory && n <= MESSAGE_SIZE_MAX);
    (void)out_of_memory;
    return send_message(socket, peer, &part);
}

int wire_publish(struct wire_socket *socket, const char *topic, size_t topic_len,
                 const void *body, size_t n)
{
    assert(socket->options.kind == WIRE_XPUB && n <= MESSAGE_SIZE_MAX);
    loop_again(socket->wire->loop);
    if (zmq_send(socket->zmq, topic, topic_len, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0 ||
        zmq_send(socket->zmq, body, n, ZMQ_DONTWAIT) < 0)
        return refusal(socket);
    return WIRE_SENT;
}

void wire_subscribe(struct wire_socket *socket, const char *topic)
{
    int refused = zmq_setsockopt(socket->zmq, ZMQ_SUBSCRIBE, topic, strlen(topic));

    assert(!refused);
    (void)refused;
    loop_again(socket->wire->loop);
}

uint64_t wire_dropped(const struct wire_socket *socket)
{
    return socket->dropped;
}

bool wire_same_peer(const struct wire_peer *a, const struct wire_peer *b)
{
    return a->id_len == b->id_len && memcmp(a->id, b->id, a->id_len) == 0;
}
