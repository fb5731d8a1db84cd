/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/sdk/provider.h"

#include <string.h>

const struct sb_provider *provider_find(const struct sb_connector *connector,
                                        const char *name)
{
    for (const struct sb_provider *p = connector->providers; p && p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    return NULL;
}

bool provider_choose(const struct sb_connector *connector, const char *name,
                     const struct sb_provider **ret)
{
    const struct sb_provider *table = connector->providers, *chosen = NULL;

    if (table && name)
        chosen = provider_find(connector, name);
    else if (table && table->name && !table[1].name)
        chosen = table;
    if (table && !chosen)
        return false;
    *ret = chosen;
    return true;
}

struct sb_provider provider_tables(const struct sb_connector *connector,
                                   const struct sb_provider *provider)
{
    struct sb_provider tables = provider ? *provider : (struct sb_provider){0};

    if (!tables.base_url)
        tables.base_url = connector->base_url;
    if (!tables.options)
        tables.options = connector->options;
    if (!tables.secrets)
        tables.secrets = connector->secrets;
    if (!tables.operations)
        tables.operations = connector->operations;
    if (!tables.webhooks)
        tables.webhooks = connector->webhooks;
    if (!tables.failures)
        tables.failures = connector->failures;
    return tables;
}
