/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* signalbox-sandbox - providers to practise on: a Stripe on loopback, correctly signed
 * webhooks, a menu of faults */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/service/service.h"
#include "sandbox/sandbox.h"

static const struct service_option options[] = {
    {"--port", "N",
     "Port on 127.0.0.1; 0, the default, takes a free one. It is printed as "
     "{\"port\":N}"},
    {"--port-file", "FILE", "Write the same line into this file"},
    {"--webhook-url", "URL",
     "Send events as webhooks there, signed with the secret `webhook`"},
    {NULL, NULL, NULL},
};

static int tell_port(struct service_run *run, uint16_t port, char *error,
                     size_t error_size)
{
    const char *path = service_option(run, "--port-file");
    FILE *file = path ? fopen(path, "we") : NULL;

    if (path && (!file || fprintf(file, "{\"port\":%u}\n", port) < 0 || fclose(file))) {
        snprintf(error, error_size, "--port-file %s: %s", path, strerror(errno));
        return -1;
    }
    printf("{\"port\":%u}\n", port);
    fflush(stdout);
    return 0;
}

static int start(struct service_run *run, char *error, size_t error_size)
{
    const char *port = service_option(run, "--port");
    char *end = NULL;
    unsigned long number = port ? strtoul(port, &end, 10) : 0;
    struct sandbox_options sandbox = {
        .port = (uint16_t)number,
        .api_key = secrets_get(run->secrets, "api_key"),
        .webhook_url = service_option(run, "--webhook-url"),
        .webhook_secret = secrets_get(run->secrets, "webhook"),
    };

    if (port && (!*port || *end || number > 65535)) {
        snprintf(error, error_size, "--port %s: expected 0 to 65535", port);
        return -1;
    }
    if (sandbox.webhook_url && !sandbox.webhook_secret) {
        snprintf(error, error_size,
                 "--webhook-url needs the secret `webhook` over --secrets-fd");
        return -1;
    }
    run->state = sandbox_new(run->loop, &sandbox, error, error_size);
    if (!run->state)
        return -1;
    if (tell_port(run, sandbox_port(run->state), error, error_size))
        return -1;
    service_ready(run);
    return 0;
}

static const struct service service = {
    .name = "signalbox-sandbox",
    .summary = "Providers to practise on: a Stripe on loopback, correctly signed "
               "webhooks, a menu of faults",
    .options = options,
    .needs_config = false,
    .start = start,
};

int main(int argc, char **argv)
{
    return service_main(&service, argc, argv);
}
