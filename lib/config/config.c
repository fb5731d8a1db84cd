/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/config/bind.h"
#include "lib/config/check.h"
#include "lib/config/node.h"

/* What `deliver` posts is a consumer group like any other. */
static void add_group(struct config *config, const struct config_deliver *d)
{
    char **types = mem_array(d->n_types + 1, sizeof(*types));

    for (size_t i = 0; i < d->n_types; i++)
        types[i] = mem_text(d->types[i]);
    config->groups[config->n_groups++] = (struct config_group){.name = mem_text(d->name),
                                                               .types = types,
                                                               .n_types = d->n_types,
                                                               .protect = d->protect,
                                                               .order = d->order,
                                                               .attempts = d->attempts,
                                                               .line = d->line};
}

/* What is left out and follows from the rest. */
static void fill_in(struct config *config)
{
    config->groups =
        mem_resize(config->groups,
                   (config->n_groups + config->n_deliver + 1) * sizeof(*config->groups));
    for (size_t i = 0; i < config->n_deliver; i++)
        add_group(config, &config->deliver[i]);
    for (size_t i = 0; i < config->n_integrations; i++) {
        struct config_integration *in = &config->integrations[i];
        if (!in->service)
            in->service = mem_text(in->name);
    }
}

static char *absolute_path(const char *path)
{
    char *cwd = *path == '/' ? NULL : getcwd(NULL, 0);
    char *absolute;

    while (strncmp(path, "./", 2) == 0)
        path += 2;
    absolute = cwd ? mem_format("%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path)
                   : mem_text(path);
    free(cwd);
    return absolute;
}

static char *directory(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == path ? mem_text("/")
                         : mem_copy(path, slash ? (size_t)(slash - path) : 0);
}

struct config *config_parse(const char *path, const char *text, size_t n,
                            struct buf *errors)
{
    struct config *config = mem_alloc(sizeof(*config));
    struct problems problems = {0};

    config->path = absolute_path(path);
    _free_ char *here = directory(config->path);
    struct node *root = node_parse(text, n, &problems);
    if (root) {
        bind_config(root, here, config, &problems);
        check_config(config, root, &problems);
    }
    node_free(root);
    if (problems.n) {
        problems_write(&problems, path, errors);
        config_free(config);
        config = NULL;
    } else {
        fill_in(config);
    }
    problems_fini(&problems);
    return config;
}

/* The whole file into `text`; false with a reason in errors. */
static bool read_file(const char *path, struct buf *text, struct buf *errors)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t got = -1;

    if (fd < 0 || fstat(fd, &st) != 0) {
        buf_format(errors, "%s: it cannot be read: %s\n", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        buf_format(errors, "%s: it is not a regular file\n", path);
    } else {
        while (text->len <= CONFIG_SIZE_MAX &&
               (got = read(fd, buf_reserve(text, 65536), 65536)) > 0)
            text->len += (size_t)got;
        if (got < 0)
            buf_format(errors, "%s: it cannot be read: %s\n", path, strerror(errno));
        else if (got > 0)
            buf_format(errors, "%s: it is too large; expected at most 1 MiB\n", path);
    }
    if (fd >= 0)
        close(fd);
    return got == 0;
}

struct config *config_load(const char *path, struct buf *errors)
{
    struct buf text = BUF_NULL;
    struct config *config = NULL;

    if (read_file(path, &text, errors))
        config = config_parse(path, buf_str(&text), text.len, errors);
    buf_fini(&text);
    return config;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    bind_free(config);
    free(config->path);
    free(config);
}

const struct config_price *config_price(const struct config_integration *integration,
                                        const char *operation, uint64_t at_us)
{
    const struct config_price *found = NULL;

    for (size_t i = 0; i < integration->n_prices; i++) {
        const struct config_price *price = &integration->prices[i];
        if (strcmp(price->operation, operation) == 0 && price->since_us <= at_us &&
            (!found || price->since_us >= found->since_us))
            found = price;
    }
    return found;
}

const struct config_deliver *config_deliver(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->n_deliver; i++)
        if (strcmp(config->deliver[i].name, name) == 0)
            return &config->deliver[i];
    return NULL;
}

const struct config_integration *config_integration(const struct config *config,
                                                    const char *name)
{
    for (size_t i = 0; i < config->n_integrations; i++)
        if (strcmp(config->integrations[i].name, name) == 0)
            return &config->integrations[i];
    return NULL;
}

static char *tcp_endpoint(const char *host, uint16_t port)
{
    return host ? mem_format(strchr(host, ':') ? "tcp://[%s]:%u" : "tcp://%s:%u", host,
                             port)
                : NULL;
}

char *config_bus_listen(const struct config *config)
{
    return tcp_endpoint(config->bus.listen, config->bus.listen_port);
}

char *config_live_listen(const struct config *config)
{
    return tcp_endpoint(config->bus.live, config->bus.live_port);
}

const struct config_peer *config_peer_of_key(const struct config *config, const char *key)
{
    for (size_t i = 0; i < config->bus.n_peers; i++)
        if (strcmp(config->bus.peers[i].public_key, key) == 0)
            return &config->bus.peers[i];
    return NULL;
}

bool config_is_elsewhere(const struct config *config, const char *integration)
{
    for (size_t i = 0; i < config->bus.n_peers; i++) {
        const char *mine = config->bus.peers[i].integration;
        if (mine && strcmp(mine, integration) == 0)
            return true;
    }
    return false;
}

char *config_bus_endpoint(const struct config *config)
{
    if (config->bus.connect)
        return tcp_endpoint(config->bus.connect, config->bus.connect_port);
    return mem_format("ipc://%s/bus.sock", config->run);
}

char *config_live_endpoint(const struct config *config)
{
    return mem_format("ipc://%s/live.sock", config->run);
}

char *config_logger_endpoint(const struct config *config)
{
    return mem_format("ipc://%s/logger.sock", config->run);
}

char *config_log_dir(const struct config *config)
{
    return mem_format("%s/log", config->data);
}

char *config_webhook_url(const struct config *config, const char *path)
{
    const char *base = config->gateway.public_url, *address = config->gateway.address;
    size_t n = base ? strlen(base) : 0;

    while (n > 0 && base[n - 1] == '/')
        n--;
    if (base)
        return mem_format("%.*s/webhooks/%s", (int)n, base, path);
    const bool is_v6 = strchr(address, ':') != NULL;
    return mem_format(
        "%s://%s%s%s:%u/webhooks/%s", config->gateway.tls_certificate ? "https" : "http",
        is_v6 ? "[" : "", address, is_v6 ? "]" : "", config->gateway.port, path);
}
