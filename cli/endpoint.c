/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/endpoint.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/config/config.h"

char *webhook_address(const struct config *config, const char *path)
{
    const char *base = config->gateway.public_url;
    size_t n = base ? strlen(base) : 0;
    while (n > 0 && base[n - 1] == '/')
        n--;
    if (base)
        return mem_format("%.*s/webhooks/%s", (int)n, base, path);
    return mem_format("%s://%s:%u/webhooks/%s",
                      config->gateway.tls_certificate ? "https" : "http",
                      config->gateway.address, config->gateway.port, path);
}
