/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* signalbox-sandbox - providers to practise on, on loopback: correctly signed webhooks, a
 * menu of faults */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/service/service.h"
#include "sandbox/provider.h"
#include "sandbox/sandbox.h"

static const struct service_option options[] = {
    {"--port", "N",
     "Port on 127.0.0.1; 0, the default, takes a free one. It is printed as "
     "{\"port\":N,\"wrong_tls_port\":M}"},
    {"--port-file", "FILE", "Write the same line into this file"},
    {"--webhook-url", "URL",
     "Send Stripe's events as webhooks there, signed with the secret `stripe.webhook`"},
    {"--webhooks", "NAME=URL,...", "The same for each provider that is named"},
    {NULL, NULL, NULL},
};

static int tell_ports(struct service_run *run, char *error, size_t error_size)
{
    const char *path = service_option(run, "--port-file");
    FILE *file = path ? fopen(path, "we") : NULL;
    _free_ char *line =
        mem_format("{\"port\":%u,\"wrong_tls_port\":%u}\n", sandbox_port(run->state),
                   sandbox_wrong_tls_port(run->state));

    if (path && (!file || fputs(line, file) < 0 || fclose(file))) {
        snprintf(error, error_size, "--port-file %s: %s", path, strerror(errno));
        return -1;
    }
    fputs(line, stdout);
    fflush(stdout);
    return 0;
}

/* The address behind NAME= in the list; to be freed, NULL when there is none. */
static char *webhook_url(const struct service_run *run, const char *name)
{
    const char *list = service_option(run, "--webhooks"), *old;
    size_t n = strlen(name);

    for (; list && *list; list += strcspn(list, ","), list += *list == ',')
        if (strncmp(list, name, n) == 0 && list[n] == '=')
            return mem_copy(list + n + 1, strcspn(list + n + 1, ","));
    old = service_option(run, "--webhook-url");
    return old && strcmp(name, "stripe") == 0 ? mem_text(old) : NULL;
}

/* The secret `PROVIDER.WHAT`; of Stripe also `WHAT` alone. */
static const char *secret(const struct service_run *run, const char *provider,
                          const char *what)
{
    _free_ char *name = mem_format("%s.%s", provider, what);
    const char *value = secrets_get(run->secrets, name);

    return value || strcmp(provider, "stripe") != 0 ? value
                                                    : secrets_get(run->secrets, what);
}

/* Everything in --webhooks must be NAME=URL with a provider's name. */
static bool webhooks_ok(const struct service_run *run, char *error, size_t error_size)
{
    const char *list = service_option(run, "--webhooks");

    for (; list && *list; list += strcspn(list, ","), list += *list == ',') {
        _free_ char *name = mem_copy(list, strcspn(list, "=,"));
        const struct provider *row = provider_find(name);
        if (list[strlen(name)] == '=' && row && row->make_event)
            continue;
        snprintf(
            error, error_size,
            "--webhooks: expected NAME=URL,NAME=URL with names of providers that send "
            "webhooks, not "
            "`%s`",
            name);
        return false;
    }
    return true;
}

static bool fill(const struct service_run *run, struct sandbox_provider *to,
                 const struct provider *row, char *error, size_t error_size)
{
    *to = (struct sandbox_provider){
        .name = row->name,
        .api_key = secret(run, row->name, "api_key"),
        .webhook_url = webhook_url(run, row->name),
        .webhook_secret = secret(run, row->name, "webhook"),
    };
    const char *needed = row->signs_with_key ? to->api_key : to->webhook_secret;
    if (!to->webhook_url || needed)
        return true;
    snprintf(error, error_size,
             "webhooks of %s need the secret `%s.%s` over --secrets-fd", row->name,
             row->name, row->signs_with_key ? "api_key" : "webhook");
    return false;
}

static int start(struct service_run *run, char *error, size_t error_size)
{
    const char *port = service_option(run, "--port");
    char *end = NULL;
    unsigned long number = port ? strtoul(port, &end, 10) : 0;
    struct sandbox_provider all[PROVIDERS_MAX];
    struct sandbox_options sandbox = {.port = (uint16_t)number, .providers = all};
    bool is_good = webhooks_ok(run, error, error_size);

    if (port && (!*port || *end || number > 65535)) {
        snprintf(error, error_size, "--port %s: expected 0 to 65535", port);
        return -1;
    }
    for (const struct provider *const *row = providers; is_good && *row; row++)
        is_good = fill(run, &all[sandbox.n_providers++], *row, error, error_size);
    if (is_good)
        run->state = sandbox_new(run->loop, &sandbox, error, error_size);
    for (size_t i = 0; i < sandbox.n_providers; i++)
        free((char *)(uintptr_t)all[i].webhook_url); /* was copied */
    if (!run->state || tell_ports(run, error, error_size))
        return -1;
    service_ready(run);
    return 0;
}

static const struct service service = {
    .name = "signalbox-sandbox",
    .summary = "Providers to practise on, on loopback: correctly signed webhooks, a menu "
               "of faults",
    .options = options,
    .needs_config = false,
    .start = start,
};

int main(int argc, char **argv)
{
    return service_main(&service, argc, argv);
}
