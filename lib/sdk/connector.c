/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The process of a connector: sb_connector_main ties service, configuration, bus, HTTP
 * client and runtime together. */
#include "include/signalbox/connector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/http/client.h"
#include "lib/loop/loop.h"
#include "lib/sdk/call.h"
#include "lib/sdk/command.h"
#include "lib/sdk/manifest.h"
#include "lib/sdk/peer.h"
#include "lib/sdk/program.h"
#include "lib/sdk/provider.h"
#include "lib/sdk/runtime.h"
#include "lib/service/service.h"
#include "lib/wire/wire.h"
#include "lib/worker/worker.h"

enum {
    STOP_US = 8000000 /* calls that run longer after TERM are dropped; the supervisor
                         kills after 10 s */
};

struct process {
    struct service_run *run;
    struct integration integration;
    struct wire *wire;
    struct peer *peer;
    struct http_client *http;
    struct runtime *runtime;
    struct program *program; /* of sb_program_main, else NULL, as its workers */
    struct workers *workers;
    struct loop_timer *stop_timer;
    bool is_ready, is_kept_out;
};

/* One per process; the service's own state is its second. */
static const struct sb_connector *the_connector; /* of a program: once it is read */
static bool is_program;
static struct process process;

/* --- between bus and runtime --- */

static uint64_t bus_result(void *user, const void *records, size_t n)
{
    struct process *p = user;

    return peer_result(p->peer, records, n);
}

static void bus_started(void *user, struct position position)
{
    struct process *p = user;

    peer_started(p->peer, position);
}

static void joined(void *user)
{
    struct process *p = user;

    log_say(LINK_UP, "to=broker integration=%s", p->integration.name);
    p->is_kept_out = false;
    runtime_joined(p->runtime);
    if (!p->is_ready)
        service_ready(p->run);
    p->is_ready = true;
}

static void down(void *user)
{
    struct process *p = user;

    log_say(LINK_DOWN, "to=broker integration=%s", p->integration.name);
    runtime_down(p->runtime);
}

static void lost(void *user, struct position position)
{
    struct process *p = user;

    runtime_lost(p->runtime, position);
}

static void kept_out(void *user, const char *why)
{
    struct process *p = user;

    if (!p->is_kept_out) /* once, until it gets in */
        log_say(LINK_REFUSED, "to=broker integration=%s %s", p->integration.name, why);
    p->is_kept_out = true;
}

static void rejected(void *user, unsigned error_code, const char *detail)
{
    struct process *p = user;

    log_say(FATAL, "what=\"the broker refused this connector\" error=%s reason=\"%s\"",
            error_info(error_code)->name, detail ? detail : "");
    loop_stop(p->run->loop, 1);
}

static void deliver(void *user, const struct message *message)
{
    struct process *p = user;

    runtime_deliver(p->runtime, message);
}

static void settled(void *user, uint64_t batch)
{
    struct process *p = user;

    runtime_settled(p->runtime, batch);
}

static void refused(void *user, uint64_t batch, unsigned error_code, const char *detail,
                    uint32_t retry_after_ms)
{
    struct process *p = user;

    (void)retry_after_ms; /* results are never refused for lack of room */
    runtime_refused(p->runtime, batch,
                    detail && *detail ? detail : error_info(error_code)->sentence);
}

/* --- start --- */

static const char *secret_value(void *user, const char *name)
{
    return secrets_get(user, name);
}

static void fill_integration(struct process *p, const struct config_integration *c,
                             const struct sb_provider *provider)
{
    p->integration = (struct integration){
        .connector = the_connector,
        .provider = provider,
        .name = c->name,
        .mode = c->mode,
        .base_url =
            c->base_url ? c->base_url : provider_tables(the_connector, provider).base_url,
        .option_names = c->option_names,
        .option_values = c->option_values,
        .n_options = c->n_options,
        .timeout_us = c->limits.timeout_us,
        .allow_private_network = c->allow_private_network,
        .is_program = is_program,
        .secret = secret_value,
        .secret_user = p->run->secrets,
    };
}

/* The command's own table takes the place of a connector's. */
static int load_program(struct process *p, const struct config_integration *c,
                        char *error, size_t error_size)
{
    p->program = command_program(p->run->config, c, error, error_size);
    if (!p->program)
        return 2;
    the_connector = program_connector(p->program);
    return 0;
}

static int start_runtime(struct process *p, const struct config_integration *c,
                         char *error, size_t error_size)
{
    unsigned concurrency = is_program              ? c->workers
                           : c->limits.concurrency ? c->limits.concurrency
                                                   : RUNTIME_CONCURRENCY;
    _free_ char *endpoint = config_bus_endpoint(p->run->config);
    struct buf manifest = BUF_NULL;

    p->http = http_client_new(
        p->run->loop,
        &(struct http_client_options){.connections_max = concurrency,
                                      .allow_private_network = c->allow_private_network,
                                      .ca_file = c->ca_file});
    p->runtime = runtime_new(
        p->run->loop, p->http, &p->integration, concurrency,
        &(struct runtime_bus){.user = p, .result = bus_result, .started = bus_started});
    if (is_program)
        p->workers = command_workers(p->run->loop, p->run->config, c, &p->integration);
    runtime_set_workers(p->runtime, p->workers);
    p->wire = wire_new(p->run->loop);
    manifest_write(the_connector, p->integration.provider, /* indent= */ 0, &manifest);
    struct peer_options options = {
        .endpoint = endpoint,
        .secret_key = secrets_get(p->run->secrets, "curve"),
        .server_key = p->run->config->bus.broker_key,
        .role = "connector",
        .name = c->name,
        .key = secrets_get(p->run->secrets, "bus"),
        .group = c->name,
        .manifest = buf_str(&manifest),
        .credit_events = concurrency * 2,
        .user = p,
        .on_joined = joined,
        .on_down = down,
        .on_lost = lost,
        .on_kept_out = kept_out,
        .on_rejected = rejected,
        .on_deliver = deliver,
        .on_settled = settled,
        .on_refused = refused,
    };
    p->peer = peer_new(p->run->loop, p->wire, &options, error, error_size);
    buf_fini(&manifest);
    return p->peer ? 0 : 1;
}

static void no_such_provider(const char *integration, const char *name, char *error,
                             size_t error_size)
{
    int n = snprintf(error, error_size, "integrations.%s.provider%s%s: expected one of",
                     integration, name ? ": " : " is missing", name ? name : "");

    for (const struct sb_provider *p = the_connector->providers; p->name; p++)
        if (n > 0 && (size_t)n < error_size)
            n += snprintf(error + n, error_size - (size_t)n, " %s", p->name);
}

static int start(struct service_run *run, char *error, size_t error_size)
{
    const char *name = service_option(run, "--integration");
    const struct config_integration *c =
        name ? config_integration(run->config, name) : NULL;
    const struct sb_provider *provider = NULL;
    struct buf errors = BUF_NULL;

    process.run = run;
    run->state = &process;
    if (!c) {
        snprintf(error, error_size, "%s%s",
                 name ? "there is no integration named " : "--integration NAME is needed",
                 name ? name : "");
        return 2;
    }
    if (is_program && load_program(&process, c, error, error_size))
        return 2;
    if (!provider_choose(the_connector, c->provider, &provider)) {
        no_such_provider(c->name, c->provider, error, error_size);
        return 2;
    }
    fill_integration(&process, c, provider);
    if (!manifest_fits(&process.integration, &errors)) {
        snprintf(error, error_size, "%s", buf_str(&errors));
        buf_fini(&errors);
        return 2;
    }
    return start_runtime(&process, c, error, error_size);
}

/* --- stop --- */

static void end(void *user)
{
    struct process *p = user;

    loop_stop(p->run->loop, 0);
}

static void stop(struct service_run *run)
{
    struct process *p = run->state;

    p->stop_timer = loop_timer_new(run->loop, end, p);
    loop_timer_in(p->stop_timer, STOP_US);
    runtime_stop(p->runtime, end, p);
}

static void finish(struct service_run *run)
{
    struct process *p = run->state;

    runtime_free(p->runtime);
    workers_free(p->workers);
    peer_free(p->peer); /* BYE: what is not settled goes to others at once */
    wire_free(p->wire);
    http_client_free(p->http);
    loop_timer_free(p->stop_timer);
    program_free(p->program);
}

static int flags(struct service_run *run)
{
    const char *name = service_option(run, "--provider");
    const struct sb_provider *provider = NULL;
    struct buf text = BUF_NULL;

    if (!service_option(run, "--manifest") && !name)
        return -1;
    if (!service_option(run, "--manifest")) {
        fprintf(stderr,
                "--provider goes with --manifest; a connector that serves takes it "
                "from the configuration\n");
        return 2;
    }
    if (name && !(provider = provider_find(the_connector, name))) {
        fprintf(stderr, "--provider %s: the connector %s has no such provider\n", name,
                the_connector->name);
        return 2;
    }
    manifest_write(the_connector, provider, /* indent= */ 2, &text);
    bool is_written = puts(buf_str(&text)) >= 0 && fflush(stdout) == 0;
    buf_fini(&text);
    return is_written ? 0 : 1;
}

static bool tables_are_right(void)
{
    struct buf errors = BUF_NULL;
    bool is_right = manifest_check(the_connector, &errors);

    if (!is_right)
        fprintf(stderr, "%s", buf_str(&errors));
    buf_fini(&errors);
    return is_right;
}

int sb_connector_main(const struct sb_connector *connector, int argc, char **argv)
{
    static const struct service_option options[] = {
        {"--integration", "NAME", "the integration of the configuration to serve"},
        {"--manifest", NULL, "print what this connector can do as JSON, and exit"},
        {"--provider", "NAME", "with --manifest: what it can do with this provider"},
        {NULL, NULL, NULL},
    };
    the_connector = connector;
    if (!tables_are_right())
        return 2;
    _free_ char *name = mem_format("signalbox-%s", connector->name);
    const struct service service = {.name = name,
                                    .summary = connector->summary,
                                    .options = options,
                                    .needs_config = true,
                                    .flags = flags,
                                    .start = start,
                                    .stop = stop,
                                    .finish = finish};
    return service_main(&service, argc, argv);
}

int sb_program_main(int argc, char **argv)
{
    static const struct service_option options[] = {
        {"--integration", "NAME", "the integration of the configuration to serve"},
        {NULL, NULL, NULL},
    };
    static const struct service service = {
        .name = "signalbox-exec",
        .summary = "signalbox connector: a program of any kind, by lines of JSON",
        .options = options,
        .needs_config = true,
        .start = start,
        .stop = stop,
        .finish = finish};

    is_program = true;
    return service_main(&service, argc, argv);
}
