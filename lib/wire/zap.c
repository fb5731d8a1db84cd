/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/wire/zap.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

#include "lib/base/mem.h"
#include "lib/loop/loop.h"
#include "lib/wire/parts.h"

enum {
    PARTS_MAX = 8,  /* of a request; further parts are dropped */
    SERVE_MAX = 64, /* requests in one turn; more are answered in the next */
    CURVE_KEY = 32, /* bytes */
    ADDRESS_MAX = 256,
};

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN                                                           \
    93 /* works in every 4.3; its name is behind the DRAFT switch */
#endif
#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define ZAP_DOMAIN   "signalbox."

struct zap {
    void *socket;
    struct loop_source *source;
    zap_ask_fn ask;
    void *user;
};

bool zap_credentials(const char *address, int64_t *ret_uid, int64_t *ret_pid)
{
    const char *at = strncmp(address, "localhost", 9) == 0 ? address + 9 : address;
    unsigned uid, gid, pid;
    char end;

    if (sscanf(at, ":%u:%u:%u%c", &uid, &gid, &pid, &end) != 3)
        return false;
    *ret_uid = uid;
    *ret_pid = pid;
    return true;
}

static bool part_is(zmq_msg_t *part, const char *text)
{
    return zmq_msg_size(part) == strlen(text) &&
           memcmp(zmq_msg_data(part), text, strlen(text)) == 0;
}

static void part_text(zmq_msg_t *part, char *text, size_t size)
{
    snprintf(text, size, "%.*s", (int)zmq_msg_size(part),
             (const char *)zmq_msg_data(part));
}

/* To inproc, from libzmq's own session: it cannot fail but by the context's end. */
static void reply(void *socket, zmq_msg_t *request_id, bool is_allowed, const char *user)
{
    const char *status = is_allowed ? "200" : "400";
    const char *text = is_allowed ? "OK" : "not admitted";

    (void)zmq_send(socket, "1.0", 3, ZMQ_SNDMORE);
    (void)zmq_send(socket, zmq_msg_data(request_id), zmq_msg_size(request_id),
                   ZMQ_SNDMORE);
    (void)zmq_send(socket, status, 3, ZMQ_SNDMORE);
    (void)zmq_send(socket, text, strlen(text), ZMQ_SNDMORE);
    (void)zmq_send(socket, user, strlen(user), ZMQ_SNDMORE);
    (void)zmq_send(socket, "", 0, 0);
}

/* One request: version, request id, domain, address, identity, mechanism, credentials.
 * The key becomes the connection's User-Id; who a local peer is stands in Peer-Address.
 */
static bool answer(struct zap *zap)
{
    zmq_msg_t part[PARTS_MAX];
    char address[ADDRESS_MAX], domain[32], key[ZAP_KEY_SIZE] = "";
    struct zap_question question = {.address = address};
    int n = parts_receive(zap->socket, part, PARTS_MAX);
    bool is_good = n >= 6 && part_is(&part[0], "1.0");

    if (n == 0)
        return false;
    if (is_good) {
        part_text(&part[2], domain, sizeof(domain));
        part_text(&part[3], address, sizeof(address));
        is_good = sscanf(domain, ZAP_DOMAIN "%u", &question.domain) == 1;
    }
    if (is_good && n == 7 && part_is(&part[5], "CURVE") &&
        zmq_msg_size(&part[6]) == CURVE_KEY) {
        zmq_z85_encode(key, zmq_msg_data(&part[6]), CURVE_KEY);
        question.key = key;
    } else {
        is_good = is_good && n == 6 && part_is(&part[5], "NULL");
    }
    bool is_allowed = is_good && zap->ask(zap->user, &question);
    if (n >= 2)
        reply(zap->socket, &part[1], is_allowed, is_allowed ? key : "");
    parts_drop(part, n, PARTS_MAX);
    return true;
}

bool zap_serve(struct zap *zap)
{
    bool is_busy = false;

    for (int i = 0; zap && i < SERVE_MAX && (parts_events(zap->socket) & ZMQ_POLLIN); i++)
        is_busy |= answer(zap);
    return is_busy;
}

void zap_protect(void *socket, unsigned domain)
{
    char name[32];
    int n = snprintf(name, sizeof(name), ZAP_DOMAIN "%u", domain);

    (void)zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, name, (size_t)n);
    parts_set(socket, ZMQ_ZAP_ENFORCE_DOMAIN, 1);
}

struct zap *zap_new(void *context, struct loop *loop, zap_ask_fn ask, void *user)
{
    struct zap *zap = mem_alloc(sizeof(*zap));

    *zap = (struct zap){.socket = zmq_socket(context, ZMQ_REP), .ask = ask, .user = user};
    assert(zap->socket);
    parts_set(zap->socket, ZMQ_LINGER, 0);
    int refused = zmq_bind(zap->socket, ZAP_ENDPOINT);
    assert(!refused);
    (void)refused;
    zap->source = parts_watch(zap->socket, loop);
    return zap;
}

void zap_free(struct zap *zap)
{
    if (!zap)
        return;
    loop_unwatch(zap->source);
    zmq_close(zap->socket);
    free(zap);
}
