/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/host.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"
#include "lib/sdk/call.h"
#include "lib/sdk/peer.h"
#include "lib/sdk/runtime.h"
#include "lib/sdk/used.h"
#include "lib/service/service.h"
#include "lib/wire/wire.h"

enum {
    STOP_US = 8000000, /* calls that run longer after TERM are dropped; the supervisor
                          kills after 10 s */
    TOLD_MAX = 32,     /* secrets of an integration whose use is told; more are not */
};

/* A secret of the integration, and when the broker was told of it. */
struct told {
    const char *name; /* the connector's tables' */
    struct used_mark mark;
};

struct host {
    struct service_run *run;
    const struct integration *integration;
    const struct host_asker *asker;
    struct wire *wire;
    struct peer *peer;
    struct http_client *http;
    struct runtime *runtime;
    struct loop_timer *stop_timer, *leave_timer;
    bool is_ready, is_kept_out;
    struct told told[TOLD_MAX];
    size_t n_told;
};

/* --- between bus and runtime --- */

static uint64_t bus_result(void *user, const void *records, size_t n)
{
    struct host *host = user;

    return peer_result(host->peer, records, n);
}

static void bus_started(void *user, struct position position)
{
    struct host *host = user;

    peer_started(host->peer, position);
}

static void bus_used(void *user, const char *secret)
{
    struct host *host = user;
    size_t i = 0;

    if (host->run->config->bus.connect)
        return; /* from another host nothing is asked: its vault is another one */
    while (i < host->n_told && strcmp(host->told[i].name, secret) != 0)
        i++;
    if (i == TOLD_MAX)
        return;
    if (i == host->n_told)
        host->told[host->n_told++] = (struct told){.name = secret};
    used_tell(host->peer, loop_steady_us(host->run->loop), &host->told[i].mark,
              host->integration->name, secret,
              secrets_origins(host->run->secrets, secret)[0]);
}

static void joined(void *user)
{
    struct host *host = user;

    log_say(LINK_UP, "to=broker integration=%s", host->integration->name);
    host->is_kept_out = false;
    runtime_joined(host->runtime);
    if (!host->is_ready)
        service_ready(host->run);
    host->is_ready = true;
}

static void down(void *user)
{
    struct host *host = user;

    log_say(LINK_DOWN, "to=broker integration=%s", host->integration->name);
    runtime_down(host->runtime);
}

static void lost(void *user, struct position position)
{
    struct host *host = user;

    runtime_lost(host->runtime, position);
}

static void kept_out(void *user, const char *why)
{
    struct host *host = user;

    if (!host->is_kept_out) /* once, until it gets in */
        log_say(LINK_REFUSED, "to=broker integration=%s %s", host->integration->name,
                why);
    host->is_kept_out = true;
}

static void rejected(void *user, unsigned error_code, const char *detail)
{
    struct host *host = user;

    log_say(FATAL, "what=\"the broker refused this process\" error=%s reason=\"%s\"",
            error_info(error_code)->name, detail ? detail : "");
    loop_stop(host->run->loop, 1);
}

static void deliver(void *user, const struct message *message)
{
    struct host *host = user;

    runtime_deliver(host->runtime, message);
}

static void settled(void *user, uint64_t batch)
{
    struct host *host = user;

    runtime_settled(host->runtime, batch);
}

static void refused(void *user, uint64_t batch, unsigned error_code, const char *detail,
                    uint32_t retry_after_ms)
{
    struct host *host = user;

    (void)retry_after_ms; /* results are never refused for lack of room */
    if (host->asker && host->asker->on_refused(
                           host->asker->user, batch, error_code,
                           detail && *detail ? detail : error_info(error_code)->sentence))
        return;
    runtime_refused(host->runtime, batch,
                    detail && *detail ? detail : error_info(error_code)->sentence);
}

static void outcome(void *user, uint64_t ref, uint32_t index, const struct slice *slice,
                    const struct record *record)
{
    struct host *host = user;

    (void)ref, (void)index, (void)slice;
    host->asker->on_outcome(host->asker->user, record);
}

uint64_t host_ask(struct host *host, const void *record, size_t n)
{
    return host->peer ? peer_publish(host->peer, record, n, /* wait= */ true) : 0;
}

bool host_is_joined(const struct host *host)
{
    return host->peer && peer_is_joined(host->peer);
}

/* --- life --- */

static int join(struct host *host, const struct host_options *options, char *error,
                size_t error_size)
{
    _free_ char *endpoint = config_bus_endpoint(host->run->config);
    struct peer_options peer = *options->peer;

    host->wire = wire_new(host->run->loop);
    peer.endpoint = endpoint;
    peer.secret_key = secrets_get(host->run->secrets, "curve");
    peer.server_key = host->run->config->bus.broker_key;
    peer.credit_events = options->concurrency * 2;
    peer.user = host;
    peer.on_joined = joined;
    peer.on_down = down;
    peer.on_lost = lost;
    peer.on_kept_out = kept_out;
    peer.on_rejected = rejected;
    peer.on_deliver = deliver;
    peer.on_settled = settled;
    peer.on_refused = refused;
    peer.on_outcome = host->asker ? outcome : NULL;
    host->peer = peer_new(host->run->loop, host->wire, &peer, error, error_size);
    return host->peer ? 0 : 1;
}

static void left(void *user);

struct host *host_new(const struct host_options *options, char *error, size_t error_size)
{
    struct host *host = mem_alloc(sizeof(*host));
    struct loop *loop = options->run->loop;

    host->run = options->run;
    host->integration = options->integration;
    host->asker = options->asker;
    host->http = http_client_new(
        loop, &(struct http_client_options){
                  .connections_max = options->concurrency,
                  .allow_private_network = options->integration->allow_private_network,
                  .ca_file = options->ca_file});
    host->runtime = runtime_new(loop, host->http, host->integration, options->concurrency,
                                &(struct runtime_bus){.user = host,
                                                      .result = bus_result,
                                                      .started = bus_started,
                                                      .used = bus_used});
    runtime_set_workers(host->runtime, options->workers);
    runtime_set_tap(host->runtime, options->tap);
    host->leave_timer = loop_timer_new(loop, left, host);
    if (join(host, options, error, error_size) == 0)
        return host;
    host_free(host);
    return NULL;
}

static void end(void *user)
{
    struct host *host = user;

    loop_stop(host->run->loop, 0);
}

void host_stop(struct host *host)
{
    host->stop_timer = loop_timer_new(host->run->loop, end, host);
    loop_timer_in(host->stop_timer, STOP_US);
    runtime_stop(host->runtime, end, host);
}

static void left(void *user)
{
    struct host *host = user;

    peer_free(host->peer);
    host->peer = NULL;
}

/* The last result may be told from inside the peer's own callback: it goes a turn later.
 */
static void is_idle(void *user)
{
    struct host *host = user;

    loop_timer_in(host->leave_timer, 0);
}

void host_leave(struct host *host)
{
    runtime_stop(host->runtime, is_idle, host);
}

void host_free(struct host *host)
{
    if (!host)
        return;
    runtime_free(host->runtime);
    peer_free(host->peer); /* BYE: what is not settled goes to others at once */
    if (host->wire)
        wire_free(host->wire);
    http_client_free(host->http);
    loop_timer_free(host->stop_timer);
    loop_timer_free(host->leave_timer);
    free(host);
}
