/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "deliver/deliver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "deliver/post.h"
#include "deliver/sign.h"
#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/sdk/call.h"
#include "lib/sdk/host.h"
#include "lib/sdk/peer.h"
#include "lib/service/service.h"

struct process {
    struct service_run *run;
    struct integration integration;
    struct host *host;
    char *base_url;
    bool is_gone;
};

static struct process process; /* one per process */

/* Events stay in the group, and in the log, until somebody decides. */
static void on_gone(void *user)
{
    struct process *p = user;

    if (p->is_gone)
        return;
    p->is_gone = true;
    log_say(DELIVER_GONE, "name=%s", p->integration.name);
    host_leave(p->host);
}

static bool secrets_are_good(const struct process *p, const struct config_deliver *d,
                             char *error, size_t error_size)
{
    const char *const *all = secrets_all(p->run->secrets, "webhook");
    bool good = *all != NULL;

    for (size_t i = 0; all[i]; i++)
        good = good && sign_is_secret(all[i]);
    if (!good)
        snprintf(error, error_size,
                 "deliver.%s.secret: expected `whsec_` and %d to %d bytes in base64, or "
                 "`whsk_` and a seed of Ed25519 with its public key, as Standard Webhooks "
                 "has it",
                 d->name, SIGN_KEY_MIN, SIGN_KEY_MAX);
    return good;
}

/* https://host:port and the path behind it. */
static void split_address(struct process *p, const char *to)
{
    const char *host = strstr(to, "://") + 3, *path = strchr(host, '/');

    p->base_url = path ? mem_copy(to, (size_t)(path - to)) : mem_text(to);
    post_settings.path = path ? path : "/";
}

static int start(struct service_run *run, char *error, size_t error_size)
{
    const char *name = service_option(run, "--name");
    const struct config_deliver *d = name ? config_deliver(run->config, name) : NULL;
    struct process *p = &process;

    run->state = p;
    p->run = run;
    if (!d) {
        snprintf(error, error_size, "%s%s",
                 name ? "there is nothing to deliver named " : "--name NAME is needed",
                 name ? name : "");
        return 2;
    }
    if (!secrets_are_good(p, d, error, error_size))
        return 2;
    split_address(p, d->to);
    post_settings.secrets = secrets_all(run->secrets, "webhook");
    post_settings.on_gone = on_gone;
    post_settings.user = p;
    p->integration =
        (struct integration){.connector = &post_connector,
                             .name = d->name,
                             .base_url = p->base_url,
                             .timeout_us = d->timeout_us,
                             .allow_private_network = d->allow_private_network,
                             .is_consumer = true};
    const struct peer_options peer = {
        .role = "client", .name = "deliver", .group = d->name};
    p->host = host_new(&(struct host_options){.run = run,
                                              .integration = &p->integration,
                                              .peer = &peer,
                                              .concurrency = d->concurrency},
                       error, error_size);
    return p->host ? 0 : 1;
}

static void stop(struct service_run *run)
{
    const struct process *p = run->state;

    host_stop(p->host);
}

static void finish(struct service_run *run)
{
    struct process *p = run->state;

    host_free(p->host);
    free(p->base_url);
}

int deliver_main(int argc, char **argv)
{
    static const struct service_option options[] = {
        {"--name", "NAME", "the entry of `deliver` in the configuration to serve"},
        {NULL, NULL, NULL},
    };
    static const struct service service = {
        .name = "signalbox-deliver",
        .summary = "signalbox: events as signed posts to an application",
        .options = options,
        .needs_config = true,
        .start = start,
        .stop = stop,
        .finish = finish};

    return service_main(&service, argc, argv);
}
