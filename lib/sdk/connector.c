/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The process of a connector: sb_connector_main ties service, configuration and tables to
 * a host. */
#include "include/signalbox/connector.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/sdk/call.h"
#include "lib/sdk/command.h"
#include "lib/sdk/connector.h"
#include "lib/sdk/host.h"
#include "lib/sdk/manifest.h"
#include "lib/sdk/peer.h"
#include "lib/sdk/program.h"
#include "lib/sdk/provider.h"
#include "lib/sdk/runtime.h"
#include "lib/service/service.h"
#include "lib/worker/worker.h"

struct process {
    struct service_run *run;
    struct integration integration;
    struct host *host;
    struct program *program; /* of sb_program_main, else NULL, as its workers */
    struct workers *workers;
};

/* One per process; the service's own state is its second. */
static const struct sb_connector *the_connector; /* of a program: once it is read */
static const struct connector_door *the_door;    /* NULL: none */
static bool is_program;
static struct process process;

/* --- start --- */

static const char *secret_value(void *user, const char *name)
{
    return secrets_get(user, name);
}

/* The conformance kit knows that its service has no effects on the way, and does not wait
 * a minute to be asked. A real service's address is not one of loopback, so nobody can
 * shorten the pause of a real one by mistake. */
static uint64_t lookup_after_us(const char *base_url)
{
    const char *ms = getenv(LOOKUP_AFTER_VARIABLE);
    bool is_loopback = base_url && strncmp(base_url, "http://127.0.0.1:", 17) == 0;

    return ms && is_loopback ? strtoul(ms, NULL, 10) * 1000 : 0;
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
        .is_single = the_door != NULL,
        .secret = secret_value,
        .secret_user = p->run->secrets,
    };
    p->integration.lookup_after_us = lookup_after_us(p->integration.base_url);
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

/* Calls at once. */
static unsigned concurrency_of(const struct process *p,
                               const struct config_integration *c)
{
    const char *url = p->integration.base_url;
    unsigned limit = c->limits.concurrency;

    if (is_program)
        return c->workers;
    if (!url || strncmp(url, "smtp", 4) != 0)
        return limit ? limit : RUNTIME_CONCURRENCY;
    return !limit ? RUNTIME_MAILS : limit < RUNTIME_MAILS_MAX ? limit : RUNTIME_MAILS_MAX;
}

static int start_host(struct process *p, const struct config_integration *c, char *error,
                      size_t error_size)
{
    struct buf manifest = BUF_NULL;

    if (is_program)
        p->workers = command_workers(p->run->loop, p->run->config, c, &p->integration);
    manifest_write_for(&p->integration, &manifest);
    const struct peer_options peer = {.role = "connector",
                                      .name = c->name,
                                      .key = secrets_get(p->run->secrets, "bus"),
                                      .group = c->name,
                                      .manifest = buf_str(&manifest)};
    p->host = host_new(&(struct host_options){.run = p->run,
                                              .integration = &p->integration,
                                              .peer = &peer,
                                              .concurrency = concurrency_of(p, c),
                                              .ca_file = c->ca_file,
                                              .workers = p->workers,
                                              .asker = the_door ? the_door->asker : NULL,
                                              .tap = the_door ? the_door->tap : NULL},
                       error, error_size);
    buf_fini(&manifest);
    if (p->host && the_door)
        return the_door->open(p->run, &p->integration, p->host, error, error_size);
    return p->host ? 0 : 1;
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
    return start_host(&process, c, error, error_size);
}

/* --- stop --- */

static void stop(struct service_run *run)
{
    struct process *p = run->state;

    if (the_door)
        the_door->stop();
    host_stop(p->host);
}

static void finish(struct service_run *run)
{
    struct process *p = run->state;

    host_free(p->host);
    if (the_door)
        the_door->close();
    workers_free(p->workers);
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

int connector_main(const struct sb_connector *connector,
                   const struct connector_door *door, int argc, char **argv)
{
    static const struct service_option options[] = {
        {"--integration", "NAME", "the integration of the configuration to serve"},
        {"--manifest", NULL, "print what this connector can do as JSON, and exit"},
        {"--provider", "NAME", "with --manifest: what it can do with this provider"},
        {NULL, NULL, NULL},
    };
    js_checked();
    the_connector = connector;
    the_door = door;
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

int sb_connector_main(const struct sb_connector *connector, int argc, char **argv)
{
    return connector_main(connector, /* door= */ NULL, argc, argv);
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
