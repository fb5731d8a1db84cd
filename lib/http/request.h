/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* request - a request and its connection, a part of server.c */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

#include "lib/base/buf.h"
#include "lib/http/server.h"

struct queue;
struct connection {
    struct http_server *server;
    struct MHD_Connection *mhd;
    struct connection *previous, *next;
    struct queue *queue; /* NULL: in none */
    uint64_t deadline_us;
    int fd;
    unsigned slot; /* of its address, in the crowd */
    char address[INET6_ADDRSTRLEN + 8];
};

enum request_state {
    REQUEST_READING,
    REQUEST_OWNED,     /* with the owner */
    REQUEST_STREAMING, /* head sent, the owner writes */
    REQUEST_REPLIED,   /* the owner must not touch it any more */
};

struct http_request {
    struct http_server *server;
    struct connection *connection;
    struct MHD_Connection *mhd;
    struct http_request *previous, *next; /* all requests of the server */
    enum request_state state;
    bool is_seen; /* the access handler was called */
    bool is_suspended;
    bool is_waiting;   /* counted in server->waiting */
    bool is_crowded;   /* no room for its body now: as if it were too large, but 503 */
    bool is_too_large; /* a chunked body over the limit: the rest is thrown away */
    bool is_ended, is_aborted; /* of a stream */
    bool is_last;              /* of its connection */
    const char *method, *path;
    void *user;
    unsigned tag;
    uint64_t since_us; /* steady */
    size_t counted;    /* bytes of it in the server's body_bytes */
    struct buf body;   /* received; for a stream: to be sent */
    size_t
        thrown_away; /* of a body that is too large; of a stream's buffer: already sent */
    char target[];
};
