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
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <zmq.h>

#include "lib/base/mem.h"
#include "lib/loop/loop.h"
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
    BACKLOG = 1024,
    LINGER_GENTLE_MS = 250,
    PARTS_MAX = 8, /* of a ZAP request; further parts are dropped */
};

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN                                                           \
    93 /* works in every 4.3; its name is behind the DRAFT switch */
#endif
#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_DOMAIN   "signalbox"

struct wire_socket {
    struct wire *wire;
    void *zmq, *monitor; /* monitor: of a DEALER, PAIR socket with connection events */
    struct loop_source *source, *monitor_source;
    struct wire_options options; /* endpoint is not kept */
    bool is_blocked;             /* a send said WIRE_AGAIN */
    uint64_t dropped;
    struct wire_socket
        *next; /* a closed one (zmq NULL) stays chained until the drain is over */
};

struct wire {
    struct loop *loop;
    void *context;
    void *zap;
    struct loop_source *zap_source;
    struct wire_socket *sockets;
    bool is_draining, has_closed;
    unsigned monitors; /* made so far: their names */
    void *aligned;     /* where unaligned frames are copied to */
    size_t aligned_size;
};

/* --- sockets of libzmq --- */

static void set_int(void *zmq, int option, int value)
{
    int refused = zmq_setsockopt(zmq, option, &value, sizeof(value));

    assert(!refused); /* all of them are in every 4.3 */
    (void)refused;
}

/* ZMQ_FD became readable: the hook that runs next does the work. */
static void woken(void *user, uint32_t events)
{
    (void)user;
    (void)events;
}

static struct loop_source *watch(struct wire *wire, void *zmq)
{
    int fd;
    size_t size = sizeof(fd);
    int refused = zmq_getsockopt(zmq, ZMQ_FD, &fd, &size);

    assert(!refused);
    (void)refused;
    return loop_watch(wire->loop, fd, EPOLLIN, woken, NULL);
}

static int zmq_events(void *zmq)
{
    int events = 0;
    size_t size = sizeof(events);

    return zmq_getsockopt(zmq, ZMQ_EVENTS, &events, &size) == 0 ? events : 0;
}

/* Receive one whole message: up to `max` parts are kept in parts[], the others dropped.
 * Returns how many it had, 0 when there is none. */
static int receive(void *zmq, zmq_msg_t *parts, int max)
{
    int n = 0;

    for (int more = 1; more; n++) {
        zmq_msg_t extra, *part = n < max ? &parts[n] : &extra;
        zmq_msg_init(part);
        if (zmq_msg_recv(part, zmq, ZMQ_DONTWAIT) < 0) {
            zmq_msg_close(part);
            assert(n == 0 || errno != EAGAIN); /* messages come whole */
            break;
        }
        more = zmq_msg_more(part);
        if (n >= max)
            zmq_msg_close(part);
    }
    return n;
}

static void drop(zmq_msg_t *parts, int n, int max)
{
    for (int i = 0; i < n && i < max; i++)
        zmq_msg_close(&parts[i]);
}

/* --- who is at the other end --- */

/* "localhost:uid:gid:pid" of an ipc peer; the first word is what getnameinfo makes of
 * AF_UNIX. */
static bool parse_credentials(const char *text, size_t n, int64_t *ret_uid,
                              int64_t *ret_pid)
{
    char copy[64], end;
    unsigned uid, gid, pid;

    if (n >= sizeof(copy))
        return false;
    memcpy(copy, text, n);
    copy[n] = 0;
    const char *at = strncmp(copy, "localhost", 9) == 0 ? copy + 9 : copy;
    if (sscanf(at, ":%u:%u:%u%c", &uid, &gid, &pid, &end) != 3)
        return false;
    *ret_uid = uid;
    *ret_pid = pid;
    return true;
}

static bool may_connect(int64_t uid)
{
    return uid == 0 || uid == (int64_t)geteuid();
}

static bool part_is(zmq_msg_t *part, const char *text)
{
    return zmq_msg_size(part) == strlen(text) &&
           memcmp(zmq_msg_data(part), text, strlen(text)) == 0;
}

static void zap_reply(void *zap, zmq_msg_t *request_id, bool is_allowed)
{
    const char *status = is_allowed ? "200" : "400";
    const char *text = is_allowed ? "OK" : "another user";

    /* To inproc, from libzmq's own session: it cannot fail but by the context's end. */
    (void)zmq_send(zap, "1.0", 3, ZMQ_SNDMORE);
    (void)zmq_send(zap, zmq_msg_data(request_id), zmq_msg_size(request_id), ZMQ_SNDMORE);
    (void)zmq_send(zap, status, 3, ZMQ_SNDMORE);
    (void)zmq_send(zap, text, strlen(text), ZMQ_SNDMORE);
    (void)zmq_send(zap, "", 0,
                   ZMQ_SNDMORE); /* user id: taken from Peer-Address instead */
    (void)zmq_send(zap, "", 0, 0);
}

/* Answer one request of the ZMQ authentication protocol (RFC 27): version, request id,
 * domain, address, identity, mechanism, credentials. */
static bool zap_answer(void *zap)
{
    zmq_msg_t part[PARTS_MAX];
    int n = receive(zap, part, PARTS_MAX);
    int64_t uid, pid;

    if (n == 0)
        return false;
    bool is_allowed =
        n == 6 && part_is(&part[0], "1.0") && part_is(&part[2], ZAP_DOMAIN) &&
        part_is(&part[5], "NULL") &&
        parse_credentials(zmq_msg_data(&part[3]), zmq_msg_size(&part[3]), &uid, &pid) &&
        may_connect(uid);
    if (n >= 2)
        zap_reply(zap, &part[1], is_allowed);
    drop(part, n, PARTS_MAX);
    return true;
}

/* The handler must stand before any bind that relies on it, else handshakes pass unasked.
 */
static void zap_start(struct wire *wire)
{
    if (wire->zap)
        return;
    wire->zap = zmq_socket(wire->context, ZMQ_REP);
    assert(wire->zap);
    set_int(wire->zap, ZMQ_LINGER, 0);
    int refused = zmq_bind(wire->zap, ZAP_ENDPOINT);
    assert(!refused);
    (void)refused;
    wire->zap_source = watch(wire, wire->zap);
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

    if (zmq_msg_size(id) > sizeof(peer.id))
        return false;
    peer.id_len = (uint8_t)zmq_msg_size(id);
    memcpy(peer.id, zmq_msg_data(id), peer.id_len);
    bool is_known =
        address && parse_credentials(address, strlen(address), &peer.uid, &peer.pid);
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
        int n = receive(socket->zmq, part, 2);
        if (n == 0)
            return;
        if (!hand_up(socket, part, n))
            socket->dropped++;
        drop(part, n, 2);
    }
}

/* Connection events of a DEALER: two parts, the first begins with the event's number. */
static void drain_monitor(struct wire_socket *socket)
{
    zmq_msg_t part[2];
    uint16_t event;

    while (socket->zmq && socket->monitor) {
        int n = receive(socket->monitor, part, 2);
        if (n == 0)
            return;
        memcpy(&event, zmq_msg_data(&part[0]), sizeof(event));
        drop(part, n, 2);
        socket->options.on_link(socket->options.user,
                                event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED);
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
    int events = s->zmq ? zmq_events(s->zmq) : 0;
    bool is_busy = false;

    if (events & ZMQ_POLLIN) {
        drain_socket(s);
        is_busy = true;
    }
    if (s->zmq && s->monitor && (zmq_events(s->monitor) & ZMQ_POLLIN)) {
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
    for (int i = 0; wire->zap && (zmq_events(wire->zap) & ZMQ_POLLIN) && i < DRAIN_MAX;
         i++)
        is_more |= zap_answer(wire->zap);
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
    assert(wire->context);
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
    if (wire->zap) {
        loop_unwatch(wire->zap_source);
        zmq_close(wire->zap);
    }
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

/* libzmq would also open pgm, norm, tipc and ws for anyone who writes the configuration.
 */
static int check_endpoint(const char *endpoint, char *error, size_t size)
{
    struct sockaddr_un address;

    if (strncmp(endpoint, "tcp://", 6) == 0)
        return fail(error, size, endpoint,
                    "tcp is only for encrypted links (CURVE), which this version does "
                    "not have; use ipc://");
    if (strncmp(endpoint, "ipc:///", 7) != 0)
        return fail(error, size, endpoint, "not an endpoint; expected ipc:///PATH");
    if (strlen(endpoint + 6) >= sizeof(address.sun_path))
        return fail(error, size, endpoint,
                    "path too long for a socket (107 bytes at most); choose a shorter "
                    "run directory");
    return 0;
}

static void limit(void *zmq, const struct wire_options *o)
{
    int64_t size_max = MESSAGE_SIZE_MAX;
    int hwm = o->hwm ? o->hwm : HWM_DEFAULT;

    (void)zmq_setsockopt(zmq, ZMQ_MAXMSGSIZE, &size_max, sizeof(size_max));
    set_int(zmq, ZMQ_SNDHWM, hwm);
    set_int(zmq, ZMQ_RCVHWM, hwm);
    set_int(zmq, ZMQ_LINGER, 0);
    set_int(zmq, ZMQ_HEARTBEAT_IVL, HEARTBEAT_MS);
    set_int(zmq, ZMQ_HEARTBEAT_TIMEOUT, HEARTBEAT_TIMEOUT_MS);
    set_int(zmq, ZMQ_HEARTBEAT_TTL, HEARTBEAT_TTL_MS);
    set_int(zmq, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set_int(zmq, ZMQ_RECONNECT_IVL, RECONNECT_MS);
    set_int(zmq, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MAX_MS);
    set_int(zmq, ZMQ_BACKLOG, BACKLOG);
    if (o->kind == WIRE_ROUTER)
        set_int(zmq, ZMQ_ROUTER_MANDATORY, 1);
    if (o->kind == WIRE_DEALER)
        set_int(zmq, ZMQ_IMMEDIATE, 1);
    if (o->check_uid) {
        (void)zmq_setsockopt(zmq, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN));
        set_int(zmq, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
    }
}

static void start_monitor(struct wire_socket *socket)
{
    struct wire *wire = socket->wire;
    char name[32];

    snprintf(name, sizeof(name), "inproc://monitor-%u", ++wire->monitors);
    int refused = zmq_socket_monitor(
        socket->zmq, name, ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED);
    socket->monitor = zmq_socket(wire->context, ZMQ_PAIR);
    assert(!refused && socket->monitor);
    set_int(socket->monitor, ZMQ_LINGER, 0);
    refused = zmq_connect(socket->monitor, name);
    assert(!refused);
    (void)refused;
    socket->monitor_source = watch(wire, socket->monitor);
}

static int bind_or_connect(void *zmq, const struct wire_options *o, char *error,
                           size_t size)
{
    if (o->bind ? zmq_bind(zmq, o->endpoint) : zmq_connect(zmq, o->endpoint))
        return fail(error, size, o->endpoint, zmq_strerror(errno));
    if (o->bind)
        (void)chmod(o->endpoint + strlen("ipc://"),
                    0600); /* the directory's mode is what guards it */
    return 0;
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

    if (check_endpoint(options->endpoint, error, error_size))
        return NULL;
    if (options->check_uid)
        zap_start(wire);
    void *zmq = zmq_socket(wire->context, types[options->kind]);
    if (!zmq) {
        fail(error, error_size, options->endpoint, zmq_strerror(errno));
        return NULL;
    }
    struct wire_socket *socket = mem_alloc(sizeof(*socket));
    *socket = (struct wire_socket){.wire = wire, .zmq = zmq, .options = *options};
    socket->options.endpoint = NULL;
    limit(zmq, options);
    if (options->on_link && options->kind == WIRE_DEALER)
        start_monitor(socket);
    socket->source = watch(wire, zmq);
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
        set_int(socket->zmq, ZMQ_LINGER, LINGER_GENTLE_MS);
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
