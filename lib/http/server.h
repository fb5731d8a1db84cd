/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* server - HTTP in: a seam over libmicrohttpd
 *
 * Runs on the process's loop (MHD's epoll descriptor nested in ours).  A request reaches the handler
 * once its body is complete and within the limit; the handler answers now or later.  Meanwhile the connection is
 * suspended: it never times out and a client that leaves is not noticed before it is answered, so the owner sets
 * a limit to what it waits for.  Absolute deadlines for head and body guard against slow senders. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct http_server;
struct http_request;
struct http_reply;

struct http_server_options {
    const char *address;      /* 127.0.0.1 or ::1 or 0.0.0.0 */
    uint16_t port;            /* 0: any free one, see http_server_port */
    int listen_fd;            /* > 0: listen on this one, which is taken over, and not on address and port */
    size_t body_max;          /* larger: 413 */
    size_t bodies_max;        /* bytes of all bodies held at one time; a request beyond it is refused 503. 0: no bound but the others */
    unsigned connections_max; /* 0 = 2000 */
    unsigned per_address_max; /* connections; loopback is exempt; 0 = 256 */
    uint64_t read_timeout_us; /* absolute, header and body; 0 = 10 s */
    const char *tls_cert, *tls_key; /* PEM texts, NULL = plain */
    /* Called once per complete request; must lead to exactly one http_reply, now or later. */
    void (*on_request)(void *user, struct http_request *request);
    /* The server stops, or the client of a stream went away: the request is not the owner's any more. May be NULL. */
    void (*on_gone)(void *user, struct http_request *request);
    /* All that was written to a stream was taken by the connection: it may go on. Not to be answered from inside. May be NULL. */
    void (*on_drained)(void *user, struct http_request *request);
    /* A request that is refused before it reaches on_request (too large, malformed): fill in the body to send. May be NULL. */
    void (*on_refused)(void *user, const struct http_request *request, unsigned status, struct http_reply *ret_reply);
    /* An answer was given, of the owner's or of the server's own; duration from the request's first line. May be NULL. */
    void (*on_answered)(void *user, const struct http_request *request, unsigned status, uint64_t duration_us);
    void *user;
};

struct http_header {
    const char *name, *value;
};
struct http_reply {
    unsigned status;
    const char *content_type;          /* NULL when there is no body */
    const void *body;
    size_t body_len;                   /* copied */
    const struct http_header *headers; /* further ones, ended by a NULL name; may be NULL */
};

struct http_server *http_server_new(struct loop *loop, const struct http_server_options *options, char *error, size_t error_size);
/* Stop accepting, answer what is with its owner with 503, close. */
void http_server_free(struct http_server *server);
/* Accept no further connections. Requests of those that are open are served as before, and each answer ends its connection. */
void http_server_quiesce(struct http_server *server);
/* Requests of which at least the first line is there and whose answer is not sent. */
unsigned http_server_requests(const struct http_server *server);
uint16_t http_server_port(const struct http_server *server);
unsigned http_server_connections(const struct http_server *server);
/* Requests that are with their owner, unanswered, and are no streams. */
unsigned http_server_waiting(const struct http_server *server);

const char *http_method(const struct http_request *request);
const char *http_path(const struct http_request *request);                       /* decoded, without query */
const char *http_target(const struct http_request *request);                     /* as received, with query */
const char *http_query(const struct http_request *request, const char *name);    /* decoded value, NULL when absent */
const char *http_header(const struct http_request *request, const char *name);   /* NULL when absent; first of several */
unsigned http_header_count(const struct http_request *request, const char *name);
/* The parameters of the query in their order, decoded; value is NULL where there is no `=`. */
typedef void (*http_query_fn)(void *user, const char *name, const char *value);
void http_each_query(const struct http_request *request, http_query_fn fn, void *user);
/* All headers in their order. */
typedef void (*http_header_fn)(void *user, const char *name, const char *value);
void http_each_header(const struct http_request *request, http_header_fn fn, void *user);
const void *http_body(const struct http_request *request, size_t *ret_len);      /* raw bytes, whole */
const char *http_remote(const struct http_request *request);                     /* the peer's address as text */
/* Has the client of a request that is the owner's closed its side? One that only ended its sending looks the same. */
bool http_is_left(const struct http_request *request);
/* The owner's own pointer on a request (e.g. what it waits for). */
void http_set_user(struct http_request *request, void *user);
void *http_user(const struct http_request *request);
/* A number of the owner's, 0 at first; still readable in on_answered. */
void http_set_tag(struct http_request *request, unsigned tag);
unsigned http_tag(const struct http_request *request);
void http_reply(struct http_request *request, const struct http_reply *reply);

/* A body sent piece by piece (event streams, and a sandbox's slow or cut answers). Returns once the
 * header is queued; write with http_stream_write, end with http_stream_end (abort: close without a proper end). */
void http_stream_start(struct http_request *request, const struct http_reply *head);
bool http_stream_write(struct http_request *request, const void *bytes, size_t n); /* false: too far behind */
void http_stream_end(struct http_request *request, bool abort);
