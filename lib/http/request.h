/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* request - a request, its connection and the server it came to: what server.c, request.c
 * and answer.c share */
#pragma once
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <microhttpd.h>

#include "lib/base/buf.h"
#include "lib/http/crowd.h"
#include "lib/http/server.h"

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

/* Connections in the order of their deadlines. */
struct queue {
    struct connection *first, *last;
    uint64_t limit_us;
};

struct http_server {
    struct http_server_options options;
    struct loop *loop;
    struct MHD_Daemon *daemon;
    struct loop_source *source;
    struct loop_timer *timer;
    struct queue idle, reading;
    struct http_request *requests;
    uint16_t port;
    size_t body_bytes; /* of all requests' bodies */
    unsigned connections, waiting, open_requests;
    bool is_stopping;
    bool is_run_due; /* the timer is set to now */
    struct crowd crowd;
};

/* Go on with a connection that was suspended. Without threads libmicrohttpd has nothing
 * to wake itself with: one run serves all that are resumed in one turn. */
void request_resume(struct http_request *request);
/* An answer of the server's own, after which the connection is closed. */
void request_refuse(struct http_request *request, unsigned status);
/* The body was read and is not needed any more. */
void request_drop_body(struct http_request *request);
