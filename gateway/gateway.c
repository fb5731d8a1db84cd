/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The process: what the parts are made of, what the bus says to them, and how it ends. At
 * the end no new request is taken, calls that wait are answered with 202, and what is on
 * its way into the log is waited for. */
#include "gateway/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/audit.h"
#include "gateway/call.h"
#include "gateway/group.h"
#include "gateway/hold.h"
#include "gateway/metrics.h"
#include "gateway/problem.h"
#include "gateway/query.h"
#include "gateway/redrive.h"
#include "gateway/refusal.h"
#include "gateway/route.h"
#include "gateway/stream.h"
#include "gateway/webhook.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/http/server.h"
#include "lib/ledger/ledger.h"
#include "lib/loop/loop.h"
#include "lib/sdk/peer.h"
#include "lib/service/service.h"
#include "lib/wire/wire.h"

enum {
    FULL_FOR_US = 3 * 1000 * 1000,
    STUCK_US = 1000 * 1000, /* no commit takes as long, unless the log is away */
    STOP_CHECK_US = 20 * 1000,
    STOP_GRACE_US = 300 * 1000,
    STOP_US = 6 * 1000 * 1000
};

struct ledger *gateway_ledger(struct gateway *gateway, char *error, size_t error_size)
{
    if (!gateway->ledger)
        gateway->ledger = ledger_open(gateway->log_dir, error, error_size);
    return gateway->ledger;
}

void gateway_note_refusal(struct gateway *gateway, unsigned error)
{
    gateway->was_full =
        error == ERR_log_full || error == ERR_overloaded || error == ERR_unavailable;
    if (gateway->was_full)
        gateway->full_us = loop_steady_us(gateway->loop);
}

bool gateway_is_ready(const struct gateway *gateway)
{
    bool is_full = gateway->was_full &&
                   loop_steady_us(gateway->loop) - gateway->full_us < FULL_FOR_US;
    uint64_t oldest_us = hold_oldest_us(gateway->hold);
    bool is_stuck =
        oldest_us != UINT64_MAX && oldest_us + STUCK_US < loop_steady_us(gateway->loop);
    return peer_is_joined(gateway->peer) && !is_full && !is_stuck;
}

/* --- from the bus --- */

static void on_joined(void *user)
{
    struct gateway *gateway = user;
    log_say(LINK_UP, "broker");
    calls_rejoined(gateway->calls);
    hold_joined(gateway->hold);
}

static void on_down(void *user)
{
    (void)user;
    log_say(LINK_DOWN, "broker");
}

static void on_rejected(void *user, unsigned error, const char *detail)
{
    struct gateway *gateway = user;
    log_say(FATAL, "the broker does not let us join: %s: %s", error_info(error)->name,
            detail ? detail : "");
    loop_stop(gateway->loop, EXIT_FAILURE);
}

static void on_published(void *user, uint64_t batch, const struct published *published,
                         const struct verdict *verdicts, uint32_t n)
{
    struct gateway *gateway = user;
    gateway->was_full = false;
    hold_published(gateway->hold, batch, published, verdicts, n);
}

/* A batch of ours, or a wait whose outcome is in the log already. */
static void on_refused(void *user, uint64_t batch, unsigned error, const char *detail,
                       uint32_t retry_after_ms)
{
    struct gateway *gateway = user;
    if (error == ERR_already_settled)
        calls_wait_refused(gateway->calls, batch);
    else
        hold_refused(gateway->hold, batch, error, detail, retry_after_ms);
}

static void on_outcome(void *user, uint64_t ref, uint32_t index,
                       const struct slice *slice, const struct record *outcome)
{
    struct gateway *gateway = user;
    calls_outcome(gateway->calls, ref, index, slice, outcome);
}

static void on_answer(void *user, uint64_t ref, bool ok, const char *json)
{
    struct gateway *gateway = user;
    if (!redrives_answer(gateway->redrives, ref, ok, json))
        queries_answer(gateway->queries, ref, ok, json);
}

static uint64_t publish(void *user, const void *records, size_t n, bool waits)
{
    struct gateway *gateway = user;
    return peer_publish(gateway->peer, records, n, waits);
}

static bool is_joined(void *user)
{
    struct gateway *gateway = user;
    return peer_is_joined(gateway->peer);
}

/* --- from HTTP --- */

static void on_request(void *user, struct http_request *request)
{
    route_request(user, request);
}

static void on_gone(void *user, struct http_request *request)
{
    (void)user;
    struct pending *pending = http_user(request);
    if (pending)
        pending->request = NULL;
}

static void on_answered(void *user, const struct http_request *request, unsigned status,
                        uint64_t duration_us)
{
    struct gateway *gateway = user;
    metrics_answered(gateway->metrics, http_tag(request), status, duration_us);
}

static void on_refused_request(void *user, const struct http_request *request,
                               unsigned status, struct http_reply *ret_reply)
{
    problem_fill(status, ret_reply);
    if (status == 413)
        webhook_too_large(user, request);
}

/* --- the process --- */

static int open_token(struct gateway *gateway, char *error, size_t error_size)
{
    const char *path = gateway->config->gateway.token_file;
    _free_ char *beside =
        path ? mem_text(path) : mem_format("%s/api-token", gateway->config->data);
    bool is_new = false;
    if (mkdir(gateway->config->data, 0700) != 0 && errno != EEXIST) {
        snprintf(error, error_size, "cannot make %s: %s", gateway->config->data,
                 strerror(errno));
        return -1;
    }
    if (token_load(beside, &gateway->tokens.first, &is_new, error, error_size) != 0)
        return -1;
    if (is_new)
        log_say(TOKEN_MADE, "file=%s", beside);
    gateway->tokens.path = tokens_path(gateway->config->data);
    return 0;
}

static int open_bus(struct gateway *gateway, const struct secrets *secrets, char *error,
                    size_t error_size)
{
    gateway->bus_endpoint = config_bus_endpoint(gateway->config);
    gateway->bus_key = secrets_get(secrets, "bus.gateway");
    struct peer_options options = {
        .endpoint = gateway->bus_endpoint,
        .role = "gateway",
        .name = "gateway",
        .key = gateway->bus_key,
        .user = gateway,
        .on_joined = on_joined,
        .on_down = on_down,
        .on_rejected = on_rejected,
        .on_published = on_published,
        .on_refused = on_refused,
        .on_outcome = on_outcome,
        .on_answer = on_answer,
    };
    gateway->wire = wire_new(gateway->loop);
    gateway->peer = peer_new(gateway->loop, gateway->wire, &options, error, error_size);
    return gateway->peer ? 0 : -1;
}

/* What the supervisor hands over; 0: listen on an own socket. -1 with a reason. */
static int inherited_listener(const struct service_run *run, char *error,
                              size_t error_size)
{
    const char *text = service_option(run, "--listen-fd");
    char *end = NULL;
    long fd = text ? strtol(text, &end, 10) : 0;
    if (text && (*end || fd <= STDERR_FILENO || fd > 65535)) {
        snprintf(error, error_size, "--listen-fd %s: not a descriptor", text);
        return -1;
    }
    return (int)fd;
}

static int open_server(struct gateway *gateway, const struct service_run *run,
                       char *error, size_t error_size)
{
    const char *certificate = secrets_get(run->secrets, "tls.certificate");
    int listen_fd = inherited_listener(run, error, error_size);
    if (listen_fd < 0)
        return -1;
    if (gateway->config->gateway.tls_certificate && !certificate) {
        snprintf(error, error_size,
                 "gateway.tls: no certificate was handed over; "
                 "`signalbox up` does that");
        return -1;
    }
    const struct http_server_options options = {
        .address = gateway->config->gateway.address,
        .port = gateway->config->gateway.port,
        .listen_fd = listen_fd,
        .tls_cert = certificate,
        .tls_key = secrets_get(run->secrets, "tls.key"),
        .body_max = gateway->config->gateway.max_body,
        .connections_max = gateway->config->gateway.max_connections,
        .per_address_max = gateway->config->gateway.max_per_address,
        .read_timeout_us = gateway->config->gateway.read_timeout_us,
        .on_request = on_request,
        .on_gone = on_gone,
        .on_refused = on_refused_request,
        .on_answered = on_answered,
        .user = gateway,
    };
    gateway->server = http_server_new(gateway->loop, &options, error, error_size);
    return gateway->server ? 0 : -1;
}

/* Everything that was made, in reverse; half-made too. */
static void shut(struct gateway *gateway)
{
    http_server_free(gateway->server);
    groups_free(gateway->groups);
    if (gateway->peer)
        peer_free(gateway->peer);
    if (gateway->wire)
        wire_free(gateway->wire);
    hold_free(gateway->hold);
    redrives_free(gateway->redrives);
    streams_free(gateway->streams);
    queries_free(gateway->queries);
    audits_free(gateway->audits);
    metrics_free(gateway->metrics);
    calls_free(gateway->calls);
    webhook_close(gateway);
    if (gateway->ledger)
        ledger_close(gateway->ledger);
    loop_timer_free(gateway->stop_timer);
    token_book_fini(&gateway->tokens);
    free(gateway->bus_endpoint);
    free(gateway->log_dir);
    free(gateway);
}

static int start(struct service_run *run, char *error, size_t error_size)
{
    struct gateway *gateway = run->state = mem_alloc(sizeof(*gateway));
    gateway->loop = run->loop;
    gateway->config = run->config;
    gateway->log_dir = config_log_dir(run->config);
    gateway->calls = calls_new(gateway);
    gateway->queries = queries_new(gateway);
    gateway->audits = audits_new(run->loop, gateway->log_dir);
    gateway->metrics = metrics_new(route_count());
    gateway->redrives = redrives_new(gateway);
    gateway->groups = groups_new(gateway);
    gateway->streams = streams_new(gateway);
    gateway->hold = hold_new(run->loop, &(struct hold_bus){gateway, publish, is_joined});
    if (open_token(gateway, error, error_size) != 0 ||
        webhook_open(gateway, run->secrets, error, error_size) != 0 ||
        open_bus(gateway, run->secrets, error, error_size) != 0 ||
        open_server(gateway, run, error, error_size) != 0) {
        shut(gateway);
        return -1;
    }
    log_say(PROCESS_READY, "%s://%s:%u",
            gateway->config->gateway.tls_certificate ? "https" : "http",
            gateway->config->gateway.address, http_server_port(gateway->server));
    service_ready(run);
    return 0;
}

/* What waits for others is answered: a call with 202, a consumer with an empty list. */
static void let_go(struct gateway *gateway)
{
    calls_stop(gateway->calls);
    groups_stop(gateway->groups);
    streams_stop(gateway->streams);
}

/* Connections that are open may still bring a request for a moment; it is served. */
static bool is_busy(const struct gateway *gateway)
{
    return hold_count(gateway->hold) > 0 || groups_count(gateway->groups) > 0 ||
           http_server_requests(gateway->server) > 0 ||
           loop_steady_us(gateway->loop) < gateway->stop_from_us + STOP_GRACE_US;
}

static void on_stop_check(void *user)
{
    struct gateway *gateway = user;
    struct loop *loop = gateway->loop;
    bool is_late = loop_steady_us(loop) >= gateway->stop_from_us + STOP_US;
    let_go(gateway);
    if (is_late || !is_busy(gateway))
        refusal_tell_rest(gateway); /* may make it busy once more */
    if (!is_late && is_busy(gateway)) {
        loop_timer_in(gateway->stop_timer, STOP_CHECK_US);
        return;
    }
    shut(gateway);
    loop_stop(loop, EXIT_SUCCESS);
}

static void stop(struct service_run *run)
{
    struct gateway *gateway = run->state;
    http_server_quiesce(gateway->server);
    let_go(gateway);
    gateway->stop_from_us = loop_steady_us(run->loop);
    gateway->stop_timer = loop_timer_new(run->loop, on_stop_check, gateway);
    loop_timer_in(gateway->stop_timer, STOP_CHECK_US);
}

static const struct service_option options[] = {
    {"--listen-fd", "N", "serve on this listening socket (used by signalbox up)"},
    {NULL, NULL, NULL},
};

const struct service gateway_service = {
    .name = "signalbox-gateway",
    .summary = "HTTP in: verified webhooks, calls, queries",
    .options = options,
    .needs_config = true,
    .start = start,
    .stop = stop,
};
