/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/vault/secretfile.h"
#include "lib/vault/vault.h"

int sandbox_free_port(int wanted)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)wanted)};
    socklen_t n = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0)
        return 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)); /* as servers do */
    int port = bind(fd, (struct sockaddr *)&address, n) == 0 && listen(fd, 1) == 0 &&
                       getsockname(fd, (struct sockaddr *)&address, &n) == 0
                   ? ntohs(address.sin_port)
                   : 0;
    close(fd);
    return port || !wanted ? port : sandbox_free_port(0);
}

int sandbox_port_of(const char *url)
{
    const char *colon = url ? strrchr(url, ':') : NULL;
    long port = colon ? strtol(colon + 1, NULL, 10) : 0;

    return port > 0 && port < 65536 ? (int)port : 0;
}

static char *configuration(const struct sandbox_options *options)
{
    int gateway = sandbox_free_port(options->gateway_port ? options->gateway_port : 8080);

    return mem_format(
        "# Made by `signalbox up --sandbox`: everything here is for practice.\n"
        "data: ./data\n"
        "run: ./run\n"
        "gateway: { listen: 127.0.0.1:%d }\n"
        "log: { segment_size: 64MiB, reserve: 16MiB }\n"
        "integrations:\n"
        "  %s:\n"
        "    connector: payment\n"
        "    provider: stripe\n"
        "    service: Stripe\n"
        "    mode: test\n"
        "    base_url: http://127.0.0.1:%d\n"
        "    allow_private_network: true\n"
        "    secrets: { api_key: vault:stripe_api_key }\n"
        "    webhooks:\n"
        "      - { path: stripe, scheme: stripe, secrets: [vault:stripe_webhook] }\n"
        "    schedules:\n"
        "      - { operation: events, every: %s, missed: once }\n"
        "    why: { pattern: webhook, because: \"to practise\" }\n",
        gateway, SANDBOX_INTEGRATION, sandbox_free_port(12111), options->poll_every);
}

static bool make_secrets(const char *dir, char *error, size_t error_size)
{
    static const char *const names[][2] = {{"stripe_api_key", "sk_test_sandbox"},
                                           {"stripe_webhook", "whsec_sandbox"}};
    _free_ char *file = mem_format("%s/data/vault", dir);
    _free_ char *key = mem_format("%s/signalbox.key", dir);
    struct vault *vault = vault_open(file, key, /* writable= */ true, error, error_size);

    for (size_t i = 0; vault && i < sizeof(names) / sizeof(*names); i++) {
        uint8_t random[16];
        struct buf value = BUF_NULL;
        id_random(random, sizeof(random));
        buf_text(&value, names[i][1]);
        text_hex(random, sizeof(random), &value);
        vault_set(vault, names[i][0], buf_str(&value), clock_wall_us(),
                  /* keep_old_us= */ 0);
        buf_fini(&value);
    }
    bool good = vault && vault_save(vault, error, error_size);
    vault_close(vault);
    return good;
}

char *sandbox_prepare(const char *dir, const struct sandbox_options *options, char *error,
                      size_t error_size)
{
    char *path = mem_format("%s/%s", dir, CONFIG_FILE);

    if (access(path, F_OK) == 0)
        return path;
    _free_ char *text = configuration(options);
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        snprintf(error, error_size, "%s: %s", dir, strerror(errno));
    else if (make_secrets(dir, error, error_size) &&
             secretfile_create(path, text, strlen(text), error, error_size))
        return path;
    free(path);
    return NULL;
}
