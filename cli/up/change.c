/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/change.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/config/config.h"

/* Which lines of a difference concern whom: the section's name, then (of an
 * integration's) the key. */
struct concern {
    const char *section;
    const char *key; /* NULL: all of the section */
    unsigned roles;
};
#define R(role) (1u << ROLE_##role)
static const struct concern concerns[] = {
    {"bus", "listen", R(BROKER)},
    {"bus", "live", R(BROKER)},
    {"bus", "connect", R(CONNECTOR)},
    {"bus", "broker_key", R(CONNECTOR)},
    {"log_format", NULL, R(LOGGER) | R(BROKER) | R(GATEWAY) | R(CONNECTOR)},
    {"log", NULL, R(LOGGER) | R(BROKER)},
    {"gateway", NULL, R(GATEWAY)},
    {"groups", NULL, R(BROKER)},
    {"deliver", NULL, R(DELIVER)},
    {"integrations", NULL, R(GATEWAY)}, /* it shows them */
    {"integrations", "connector", R(BROKER) | R(CONNECTOR)},
    {"integrations", "service", R(BROKER) | R(GATEWAY)},
    {"integrations", "default", R(BROKER)},
    {"integrations", "order", R(BROKER)},
    {"integrations", "schedules", R(BROKER)},
    {"integrations", "budget", R(BROKER)},
    {"integrations", "prices", R(BROKER)},
    {"integrations", "limits", R(BROKER) | R(CONNECTOR)},
    {"integrations", "webhooks", R(GATEWAY)},
    {"integrations", "program", R(CONNECTOR)},
    {"integrations", "command", R(CONNECTOR)},
    {"integrations", "workers", R(CONNECTOR)},
    {"integrations", "manifest", R(CONNECTOR)},
    {"integrations", "provider", R(CONNECTOR)},
    {"integrations", "mode", R(CONNECTOR)},
    {"integrations", "base_url", R(CONNECTOR)},
    {"integrations", "allow_private_network", R(CONNECTOR)},
    {"integrations", "ca_file", R(CONNECTOR)},
    {"integrations", "options", R(CONNECTOR)},
    {"integrations", "added", R(BROKER) | R(GATEWAY)},
    {"integrations", "removed", R(BROKER) | R(GATEWAY)},
};
#undef R

bool change_has_peers(const char *diff)
{
    return strncmp(diff, "bus.peers.", 10) == 0 || strstr(diff, "\nbus.peers.");
}

bool change_loses_observer(const struct config *before, const struct config *now)
{
    for (size_t i = 0; before->bus.live && i < before->bus.n_peers; i++) {
        const struct config_peer *was = &before->bus.peers[i];
        const struct config_peer *is = config_peer_of_key(now, was->public_key);
        if (was->observe && (!is || !is->observe))
            return true;
    }
    return false;
}

/* Does `line` ("section.name.key...: before -> after") concern the member? */
static bool line_concerns(const char *line, enum role role, const char *integration)
{
    char name[80] = "", key[40] = "";
    size_t section = strcspn(line, ".:");
    const char *rest = line + section;

    if (strncmp(line, "integrations.", 13) == 0) {
        if (sscanf(rest, ".%79[^.:]%*1[.:]%*[ ]%39[a-z_]", name, key) < 2)
            (void)sscanf(rest, ".%79[^.:].%39[a-z_]", name, key);
        if (role == ROLE_CONNECTOR && strcmp(name, integration) != 0)
            return false;
    } else {
        (void)sscanf(rest, ".%39[a-z_]", key);
    }
    for (size_t i = 0; i < sizeof(concerns) / sizeof(*concerns); i++) {
        const struct concern *c = &concerns[i];
        if (strlen(c->section) == section && strncmp(c->section, line, section) == 0 &&
            (!c->key || strcmp(c->key, key) == 0) && (c->roles & 1u << role))
            return true;
    }
    return false;
}

bool change_concerns(const char *diff, enum role role, const char *integration)
{
    for (const char *line = diff; *line;
         line += strcspn(line, "\n"), line += *line == '\n')
        if (line_concerns(line, role, integration))
            return true;
    return false;
}
