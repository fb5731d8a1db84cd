/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd with its epoll descriptor nested in our loop, one thread.
 *
 * A request whose body is complete goes to the owner; unless it is answered at once its
 * connection is suspended, and http_reply queues the answer and resumes it: libmicrohttpd
 * does not look at a connection in between, so a thousand requests that wait for one
 * commit cost nothing, and a client that leaves meanwhile is noticed only when it is
 * answered.
 *
 * Time limits are ours.  libmicrohttpd's are on inactivity, which a sender of one byte a
 * second passes.  A connection is in one of three states, each with a queue in the order
 * of its deadlines (a constant time each, so the order is that of arrival): idle, reading
 * (head and body), and neither (the owner's, or being answered: there inactivity is the
 * right measure). */
#include "lib/http/server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <microhttpd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/http/crowd.h"
#include "lib/http/request.h"
#include "lib/http/strict.h"
#include "lib/loop/loop.h"

enum {
    CONNECTIONS_DEFAULT = 2000,
    PER_ADDRESS_DEFAULT = 256,  /* beyond it the connection is closed at once */
    HEAD_MAX = 32 << 10,        /* request head and buffers of a connection; larger: 431.
                                   Cleared after each request: a larger one costs time */
    INACTIVE_S = 30,            /* a client that does not read its answer */
    IDLE_US = 60 * 1000 * 1000, /* an open connection without a request */
    READ_DEFAULT_US = 10 * 1000 * 1000,
    TICK_US = 1000 * 1000,
    RESERVE_MAX = 64 << 10, /* what a declared length alone may make us reserve */
    THROW_AWAY_TIMES = 4,   /* body_max: read of a body that is too large, in all */
    RUNS_PER_TURN = 4,      /* of MHD_run before other sources get their turn */
};

/* --- deadlines --- */

static void leave_queue(struct connection *c)
{
    struct queue *q = c->queue;
    if (!q)
        return;
    *(c->previous ? &c->previous->next : &q->first) = c->next;
    *(c->next ? &c->next->previous : &q->last) = c->previous;
    c->previous = c->next = NULL;
    c->queue = NULL;
}

static void enter_queue(struct connection *c, struct queue *q)
{
    leave_queue(c);
    c->deadline_us = loop_steady_us(c->server->loop) + q->limit_us;
    c->queue = q;
    c->previous = q->last;
    *(q->last ? &q->last->next : &q->first) = c;
    q->last = c;
}

/* Cut what is over its time: libmicrohttpd sees the end of the connection and cleans up.
 */
static void cut_late(struct queue *q, uint64_t now_us)
{
    while (q->first && q->first->deadline_us <= now_us) {
        shutdown(q->first->fd, SHUT_RDWR);
        leave_queue(q->first);
    }
}

static uint64_t next_tick(const struct http_server *server, uint64_t now_us)
{
    uint64_t due_us = now_us + TICK_US;
    if (server->reading.first && server->reading.first->deadline_us < due_us)
        due_us = server->reading.first->deadline_us;
    return due_us > now_us ? due_us - now_us : 0;
}

static void run_daemon(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG wait_ms = 0;
    for (int i = 0; i < RUNS_PER_TURN; i++) {
        MHD_run(server->daemon);
        if (MHD_get_timeout(server->daemon, &wait_ms) != MHD_YES || wait_ms > 0)
            break;
        wait_ms = 0;
        server->is_run_due = i == RUNS_PER_TURN - 1;
    }
    if (server->is_run_due)
        loop_timer_in(server->timer, 0);
    else if (!loop_timer_is_set(server->timer) && server->connections > 0)
        loop_timer_in(server->timer, next_tick(server, loop_steady_us(server->loop)));
}

static void on_readable(void *user, uint32_t events)
{
    (void)events;
    run_daemon(user);
}

static void on_tick(void *user)
{
    struct http_server *server = user;
    uint64_t now_us = loop_steady_us(server->loop);
    server->is_run_due = false;
    cut_late(&server->idle, now_us);
    cut_late(&server->reading, now_us);
    run_daemon(server);
}

void request_resume(struct http_request *request)
{
    request->server->waiting -= request->is_waiting;
    request->is_waiting = false;
    if (!request->is_suspended)
        return;
    request->is_suspended = false;
    MHD_resume_connection(request->mhd);
    if (!request->server->is_run_due)
        loop_timer_in(request->server->timer, 0);
    request->server->is_run_due = true;
}

/* --- connections --- */

static enum MHD_Result on_accept(void *user, const struct sockaddr *address,
                                 socklen_t len)
{
    (void)len;
    struct http_server *server = user;
    bool has_room = crowd_has_room(&server->crowd, crowd_slot(&server->crowd, address),
                                   server->options.per_address_max);
    return has_room && !server->is_stopping ? MHD_YES : MHD_NO;
}

static void connection_start(struct http_server *server, struct MHD_Connection *mhd,
                             void **ret_context)
{
    struct connection *c = mem_alloc(sizeof(*c));
    c->server = server;
    c->mhd = mhd;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    const struct sockaddr *address =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    socklen_t len = address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                  : sizeof(struct sockaddr_in6);
    if (getnameinfo(address, len, c->address, sizeof(c->address), NULL, 0,
                    NI_NUMERICHOST) != 0)
        c->address[0] = 0;
    c->slot = crowd_slot(&server->crowd, address);
    crowd_enter(&server->crowd, c->slot);
    server->connections++;
    enter_queue(c, &server->reading);
    *ret_context = c;
}

static void on_connection(void *user, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode what)
{
    struct http_server *server = user;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        connection_start(server, mhd, context);
        return;
    }
    struct connection *c = *context;
    leave_queue(c);
    crowd_leave(&server->crowd, c->slot);
    server->connections--;
    free(c);
    *context = NULL;
}

/* --- requests --- */

/* libmicrohttpd's first word of a request: its target, undecoded. */
static void *on_target(void *user, const char *target, struct MHD_Connection *mhd)
{
    struct http_server *server = user;
    size_t n = strlen(target);
    struct http_request *request = mem_alloc(sizeof(*request) + n + 1);
    memcpy(request->target, target, n + 1);
    request->server = server;
    request->mhd = mhd;
    request->since_us = loop_steady_us(server->loop);
    request->connection =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    request->next = server->requests;
    if (server->requests)
        server->requests->previous = request;
    server->requests = request;
    server->open_requests++;
    if (request->connection)
        enter_queue(request->connection, &server->reading);
    return request;
}

static void on_completed(void *user, struct MHD_Connection *mhd, void **context,
                         enum MHD_RequestTerminationCode code)
{
    (void)mhd;
    (void)code;
    struct http_server *server = user;
    struct http_request *request = *context;
    if (!request)
        return;
    if ((request->state == REQUEST_OWNED || request->state == REQUEST_STREAMING) &&
        server->options.on_gone)
        server->options.on_gone(server->options.user, request);
    server->waiting -= request->is_waiting;
    server->open_requests--;
    *(request->previous ? &request->previous->next : &server->requests) = request->next;
    if (request->next)
        request->next->previous = request->previous;
    if (request->connection)
        enter_queue(request->connection, &server->idle);
    request_drop_body(request);
    free(request);
    *context = NULL;
}

/* A sender that does not wait for our word is sending already: what it sends is read and
 * thrown away as far as that is bearable, so that it gets to read the 413. */
static void take_too_large(struct http_request *request, uint64_t body_len)
{
    if (http_header(request, "Expect") ||
        body_len > THROW_AWAY_TIMES * request->server->options.body_max)
        request_refuse(request, 413);
    else
        request->is_too_large = true;
}

/* The head is there, the body is not: may it come? */
static void check_head(struct http_request *request, const char *version)
{
    const char *length = http_header(request, "Content-Length");
    /* libmicrohttpd takes a lone LF for the end of a chunk's line. Who reads it otherwise
     * sees the body end elsewhere; so nothing behind such a body is a request. */
    request->is_last = http_header(request, "Transfer-Encoding") != NULL;
    uint64_t body_len = length ? strtoull(length, NULL, 10) : 0;
    if (strict_check(request->mhd, request->method, request->target, version))
        request_refuse(request, 400);
    else if (body_len > request->server->options.body_max)
        take_too_large(request, body_len);
    else if (body_len > 0)
        buf_reserve(&request->body, body_len < RESERVE_MAX ? body_len : RESERVE_MAX);
}

static enum MHD_Result take_body(struct http_request *request, const char *bytes,
                                 size_t n)
{
    struct http_server *server = request->server;
    size_t max = server->options.body_max, all_max = server->options.bodies_max;
    if (!request->is_too_large && request->body.len + n <= max &&
        (!all_max || server->body_bytes + n <= all_max)) {
        buf_add(&request->body, bytes, n);
        request->counted += n;
        server->body_bytes += n;
        return MHD_YES;
    }
    request->is_crowded |= !request->is_too_large && request->body.len + n <= max;
    request->is_too_large = true;
    request->thrown_away += n;
    request_drop_body(request);
    return request->thrown_away <= THROW_AWAY_TIMES * max ? MHD_YES : MHD_NO;
}

static void hand_over(struct http_request *request)
{
    leave_queue(request->connection);
    if (request->is_too_large) {
        request_refuse(request, request->is_crowded ? 503 : 413);
        return;
    }
    request->state = REQUEST_OWNED;
    request->server->options.on_request(request->server->options.user, request);
    if (request->state == REQUEST_OWNED) {
        request->is_suspended = request->is_waiting = true;
        request->server->waiting++;
        MHD_suspend_connection(request->mhd);
    }
}

static enum MHD_Result on_access(void *user, struct MHD_Connection *mhd, const char *path,
                                 const char *method, const char *version,
                                 const char *upload, size_t *upload_len, void **context)
{
    (void)user;
    (void)mhd;
    struct http_request *request = *context;
    if (!request->is_seen) {
        request->is_seen = true;
        request->method = method;
        request->path = path;
        check_head(request, version);
        return MHD_YES;
    }
    if (*upload_len > 0) {
        enum MHD_Result result = take_body(request, upload, *upload_len);
        *upload_len = 0;
        return result;
    }
    if (request->state == REQUEST_READING)
        hand_over(request);
    return MHD_YES;
}

/* --- the server --- */

static bool parse_address(const char *address, uint16_t port,
                          struct sockaddr_storage *ret, bool *ret_is_six)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo *found = NULL;
    if (getaddrinfo(address, service, &hints, &found) != 0)
        return false;
    memcpy(ret, found->ai_addr, found->ai_addrlen);
    *ret_is_six = found->ai_family == AF_INET6;
    freeaddrinfo(found);
    return true;
}

static struct MHD_Daemon *start_daemon(struct http_server *server,
                                       const struct sockaddr_storage *address,
                                       bool is_six)
{
    const struct http_server_options *o = &server->options;
    unsigned flags =
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (is_six ? MHD_USE_IPv6 : 0);
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)o->tls_cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)o->tls_key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
         (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem listener[] = {{MHD_OPTION_LISTEN_SOCKET, o->listen_fd, NULL},
                                        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none = {MHD_OPTION_END, 0, NULL};
    if (o->tls_cert)
        flags |= MHD_USE_TLS;
    return MHD_start_daemon(
        flags, 0, on_accept, server, on_access, server, MHD_OPTION_SOCK_ADDR,
        (const struct sockaddr *)address, MHD_OPTION_CONNECTION_LIMIT, o->connections_max,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEAD_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)INACTIVE_S, MHD_OPTION_STRICT_FOR_CLIENT,
        1, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u, MHD_OPTION_URI_LOG_CALLBACK, on_target,
        server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_ARRAY,
        o->tls_cert ? tls : &none, MHD_OPTION_ARRAY, o->listen_fd > 0 ? listener : &none,
        MHD_OPTION_END);
}

static uint16_t bound_port(struct MHD_Daemon *daemon)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof(address);
    int fd = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)(const void *)&address)->sin6_port
                     : ((const struct sockaddr_in *)(const void *)&address)->sin_port);
}

struct http_server *http_server_new(struct loop *loop,
                                    const struct http_server_options *options,
                                    char *error, size_t error_size)
{
    struct sockaddr_storage address = {0};
    bool is_six = false;
    if (!parse_address(options->address, options->port, &address, &is_six)) {
        snprintf(error, error_size, "%s is not a numeric address", options->address);
        return NULL;
    }
    struct http_server *server = mem_alloc(sizeof(*server));
    server->options = *options;
    if (server->options.connections_max == 0)
        server->options.connections_max = CONNECTIONS_DEFAULT;
    if (server->options.per_address_max == 0)
        server->options.per_address_max = PER_ADDRESS_DEFAULT;
    server->loop = loop;
    server->idle.limit_us = IDLE_US;
    server->reading.limit_us =
        options->read_timeout_us ? options->read_timeout_us : READ_DEFAULT_US;
    crowd_init(&server->crowd);
    server->daemon = start_daemon(server, &address, is_six);
    if (!server->daemon) {
        snprintf(error, error_size, "cannot listen on %s:%u (%s)", options->address,
                 options->port,
                 options->tls_cert ? "the address is in use, certificate and key do not "
                                     "fit, or memory or descriptors ran out"
                                   : "the address is in use or not this machine's, or "
                                     "memory or descriptors ran out");
        free(server);
        return NULL;
    }
    server->port = bound_port(server->daemon);
    server->timer = loop_timer_new(loop, on_tick, server);
    int fd = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    server->source = loop_watch(loop, fd, EPOLLIN, on_readable, server);
    return server;
}

void http_server_quiesce(struct http_server *server)
{
    if (server->is_stopping)
        return;
    server->is_stopping = true;
    int listener = MHD_quiesce_daemon(server->daemon);
    if (listener >= 0)
        close(listener);
}

/* Take the request from its owner and answer it. */
static void dismiss(struct http_request *request)
{
    enum request_state state = request->state;
    if (state != REQUEST_OWNED && state != REQUEST_STREAMING)
        return;
    request->state = REQUEST_REPLIED;
    if (request->server->options.on_gone)
        request->server->options.on_gone(request->server->options.user, request);
    if (state == REQUEST_OWNED) {
        request_refuse(request, 503);
        return;
    }
    request->is_ended = true;
    request_resume(request);
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    http_server_quiesce(server);
    for (struct http_request *r = server->requests; r; r = r->next)
        dismiss(r);
    for (int i = 0; i < 3 && server->connections > 0; i++)
        MHD_run(server->daemon);
    loop_unwatch(server->source);
    loop_timer_free(server->timer);
    MHD_stop_daemon(server->daemon);
    free(server);
}

uint16_t http_server_port(const struct http_server *server)
{
    return server->port;
}

unsigned http_server_requests(const struct http_server *server)
{
    return server->open_requests;
}

unsigned http_server_waiting(const struct http_server *server)
{
    return server->waiting;
}

unsigned http_server_connections(const struct http_server *server)
{
    return server->connections;
}
