/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/check_bus.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "lib/config/config.h"
#include "lib/config/node.h"

struct checking {
    const struct config *config;
    const struct node *bus;
    struct problems *problems;
};

/* Where `key` stands in `map`, else where `map` itself stands. */
static struct mark mark_of(const struct node *map, const char *key)
{
    const struct node *node = key ? node_member(map, key) : NULL;

    return node ? node->key_mark : map->key ? map->key_mark : map->mark;
}

static void check_sides(const struct checking *c)
{
    static const char *const listening[] = {"listen", "live", "peers", NULL};
    const struct config_bus *bus = &c->config->bus;

    for (const char *const *key = listening; *key; key++)
        if (bus->connect && node_member(c->bus, *key))
            problem_add(c->problems, mark_of(c->bus, *key),
                        "`%s` is for the host of the broker, and `connect` says that it "
                        "is another; expected one of them",
                        *key);
    if (bus->connect && !bus->broker_key)
        problem_add(c->problems, mark_of(c->bus, "connect"),
                    "`connect` needs `broker_key`, the broker's public key; `signalbox "
                    "key server` shows it there");
    if (!bus->connect && bus->broker_key)
        problem_add(c->problems, mark_of(c->bus, "broker_key"),
                    "`broker_key` goes with `connect`, which is not here");
    if (!bus->connect && !bus->listen && (bus->n_peers || bus->live))
        problem_add(c->problems, mark_of(c->bus, bus->n_peers ? "peers" : "live"),
                    "peers reach the broker at `listen`, which is not here");
}

static bool is_group(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->n_groups; i++)
        if (strcmp(config->groups[i].name, name) == 0)
            return true;
    return false;
}

static void check_groups(const struct checking *c, const struct config_peer *peer,
                         const struct node *node)
{
    for (size_t i = 0; i < peer->n_groups; i++)
        if (!is_group(c->config, peer->groups[i]))
            problem_add(c->problems, mark_of(node, "groups"),
                        "there is no group `%s`; `groups` of the file has them",
                        peer->groups[i]);
}

static void check_role(const struct checking *c, const struct config_peer *peer,
                       const struct node *node)
{
    bool is_connector = strcmp(peer->role, "connector") == 0;
    const struct config_integration *in =
        peer->integration ? config_integration(c->config, peer->integration) : NULL;

    if (is_connector && !peer->integration)
        problem_add(c->problems, mark_of(node, NULL),
                    "`%s` is a connector; expected `integration`, the one it serves",
                    peer->name);
    else if (!is_connector && peer->integration)
        problem_add(c->problems, mark_of(node, "integration"),
                    "`integration` is for `role: connector`");
    else if (is_connector && (!in || !in->connector))
        problem_add(c->problems, mark_of(node, "integration"),
                    in ? "the integration `%s` has no connector"
                       : "there is no integration `%s`",
                    peer->integration);
    if (is_connector && (peer->n_groups || peer->observe))
        problem_add(c->problems, mark_of(node, peer->n_groups ? "groups" : "observe"),
                    "a connector takes the requests of its integration only");
}

static void check_keys(const struct checking *c, size_t index, const struct node *node)
{
    const struct config_peer *peers = c->config->bus.peers;

    for (size_t i = 0; i < index; i++)
        if (peers[i].public_key &&
            strcmp(peers[i].public_key, peers[index].public_key) == 0)
            problem_add(c->problems, mark_of(node, "public_key"),
                        "`%s` has the same key; expected one of its own for each peer",
                        peers[i].name);
}

void check_bus(const struct config *config, const struct node *root,
               struct problems *problems)
{
    struct checking c = {config, node_member(root, "bus"), problems};

    if (!c.bus)
        return;
    check_sides(&c);
    for (size_t i = 0; i < config->bus.n_peers; i++) {
        const struct config_peer *peer = &config->bus.peers[i];
        const struct node *node = node_member(node_member(c.bus, "peers"), peer->name);
        if (!node || !peer->role || !peer->public_key)
            continue; /* said already */
        check_role(&c, peer, node);
        check_groups(&c, peer, node);
        check_keys(&c, i, node);
    }
}
