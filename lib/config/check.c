/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/cron.h"
#include "lib/base/mem.h"
#include "lib/base/zone.h"
#include "lib/config/check_bus.h"
#include "lib/config/check_webhook.h"
#include "lib/config/config.h"
#include "lib/config/node.h"
#include "proto/record.h"

#define FROM_2026 INT64_C(1767225600) /* any time will do to see whether a day comes */
enum { IPC_PATH_MAX = 107 };          /* sun_path of a Unix socket, without the NUL */

struct checking {
    const struct config *config;
    const struct node *root;
    struct problems *problems;
};

/* The node of an integration or a group, by name. */
static const struct node *find(const struct checking *c, const char *section,
                               const char *name)
{
    return node_member(node_member(c->root, section), name);
}

/* Where `key` stands in `map`, else where `map` itself stands. */
static struct mark mark_of(const struct node *map, const char *key)
{
    const struct node *node = key ? node_member(map, key) : NULL;

    if (node)
        return node->mark;
    if (!map)
        return (struct mark){1, 1};
    return map->key ? map->key_mark : map->mark;
}

/* The item of a list whose mapping begins in `line` (as bind noted it). */
static const struct node *item_at(const struct node *map, const char *key, int line,
                                  const char *member, const char *value)
{
    const struct node *list = node_member(map, key);

    for (const struct node *item = list ? list->first : NULL; item; item = item->next) {
        const struct node *node = node_member(item, member);
        if (item->mark.line == (unsigned)line && node && node->text &&
            strcmp(node->text, value) == 0)
            return item;
    }
    return list;
}

/* --- gateway --- */

static void check_tls(const struct checking *c)
{
    const struct node *tls = node_member(node_member(c->root, "gateway"), "tls");

    if (tls && (!c->config->gateway.tls_certificate || !c->config->gateway.tls_key))
        problem_add(c->problems, mark_of(tls, NULL),
                    "`tls` needs both `certificate` and `key`");
}

/* --- integrations --- */

static void check_purpose(const struct checking *c, const struct config_integration *in,
                          const struct node *node)
{
    static const char *const need_connector[] = {
        "schedules", "base_url", "ca_file", "default",  "budget", "prices",
        "program",   "command",  "workers", "manifest", NULL};

    if (in->connector)
        return;
    if (!in->n_webhooks)
        problem_add(
            c->problems, mark_of(node, NULL),
            "`%s` has neither a connector nor a webhook; expected at least one of them",
            in->name);
    for (const char *const *key = need_connector; *key; key++)
        if (node_member(node, *key))
            problem_add(c->problems, node_member(node, *key)->key_mark,
                        "`%s` needs a connector, and `%s` names none", *key, in->name);
}

/* A program of one's own: one way or the other. */
static void check_program(const struct checking *c, const struct config_integration *in,
                          const struct node *node)
{
    static const char *const need_command[] = {"workers", "manifest", NULL};

    if (in->command && (!in->n_command || !*in->command[0]))
        problem_add(c->problems, mark_of(node, "command"),
                    "there is no program in `command`; expected it as the first word");
    if (in->command && in->program)
        problem_add(c->problems, node_member(node, "program")->key_mark,
                    "`program` is a connector of its own and `command` becomes one "
                    "through signalbox-exec; expected one of them");
    for (const char *const *key = need_command; *key && !in->command; key++)
        if (node_member(node, *key))
            problem_add(c->problems, node_member(node, *key)->key_mark,
                        "`%s` is about `command`, and `%s` has none", *key, in->name);
}

static void check_base_url(const struct checking *c, const struct config_integration *in,
                           const struct node *node)
{
    if (in->base_url && strncmp(in->base_url, "http://", 7) == 0 &&
        !in->allow_private_network)
        problem_add(c->problems, mark_of(node, "base_url"),
                    "calls over http:// are not encrypted; expected https://, or "
                    "allow_private_network: true for an address of your own network");
}

static void check_limits(const struct checking *c, const struct config_integration *in,
                         const struct node *node)
{
    if (in->limits.timeout_us > in->limits.deadline_us)
        problem_add(c->problems, mark_of(node_member(node, "limits"), "timeout"),
                    "`timeout` is longer than `deadline`; expected at most as long");
}

static const struct config_price *same_day(const struct config_integration *in, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(in->prices[i].operation, in->prices[n].operation) == 0 &&
            in->prices[i].since_us == in->prices[n].since_us)
            return &in->prices[i];
    return NULL;
}

/* A budget is kept by adding up: one currency. */
static void check_prices(const struct checking *c, const struct config_integration *in,
                         const struct node *node)
{
    const char *currency = in->budget.per_day.currency;

    for (size_t i = 0; i < in->n_prices; i++) {
        const struct config_price *price = &in->prices[i];
        struct mark mark = mark_of(node_member(node, "prices"), price->operation);
        if (same_day(in, i))
            problem_add(c->problems, mark,
                        "`%s` has two prices from the same day on; expected one",
                        price->operation);
        else if (*currency && strcmp(price->price.currency, currency) != 0)
            problem_add(c->problems, mark,
                        "the price of `%s` is in %s and the budget in %s; expected one "
                        "currency",
                        price->operation, price->price.currency, currency);
    }
}

static void check_cron(const struct checking *c, const struct config_schedule *schedule,
                       const struct node *item)
{
    struct mark mark = mark_of(item, "cron");
    const struct node *node = node_member(item, "cron");
    struct cron cron;
    char error[160];
    const char *why;
    size_t column;
    struct zone *zone = zone_load(schedule->timezone, &why);

    if (!zone)
        problem_add(c->problems, mark_of(item, "timezone"),
                    "`timezone`: %s; expected an IANA name such as Europe/Berlin", why);
    if (!cron_parse(schedule->cron, &cron, error, sizeof(error), &column)) {
        mark.col += (unsigned)(column - 1) + (node && !node->is_plain);
        problem_add(c->problems, mark, "`cron`: %s", error);
    } else if (!cron_next(&cron, zone, FROM_2026)) {
        problem_add(c->problems, mark, "`cron`: there is no such day in any year");
    }
    zone_free(zone);
}

static void check_times(const struct checking *c, const struct config_schedule *schedule,
                        const struct node *item)
{
    if (!schedule->cron && !node_member(item, "every"))
        problem_add(c->problems, mark_of(item, "operation"),
                    "`%s` does not say when; expected `every` or `cron`",
                    schedule->operation);
    else if (schedule->cron && node_member(item, "every"))
        problem_add(c->problems, mark_of(item, "cron"),
                    "`every` and `cron` both say when; expected one of them");
    else if (schedule->cron)
        check_cron(c, schedule, item);
    if (!schedule->cron && node_member(item, "timezone"))
        problem_add(c->problems, mark_of(item, "timezone"),
                    "`timezone` belongs to `cron`, and there is none");
}

static void check_schedules(const struct checking *c, const struct config_integration *in,
                            const struct node *node)
{
    for (size_t i = 0; i < in->n_schedules; i++)
        if (in->schedules[i].operation)
            check_times(c, &in->schedules[i],
                        item_at(node, "schedules", in->schedules[i].line, "operation",
                                in->schedules[i].operation));
    for (size_t i = 0; i < in->n_schedules; i++)
        for (size_t j = 0; j < i; j++) {
            const struct config_schedule *a = &in->schedules[j], *b = &in->schedules[i];
            if (!a->operation || !b->operation || strcmp(a->operation, b->operation) != 0)
                continue;
            const struct node *item =
                item_at(node, "schedules", b->line, "operation", b->operation);
            problem_add(
                c->problems, mark_of(item, "operation"),
                "`%s` is scheduled in line %d already; expected one schedule of an "
                "operation",
                b->operation, a->line);
            break;
        }
}

/* Types under an integration's name come from verified webhooks only, those under a
 * connector's from the connector. */
static void check_name(const struct checking *c, const struct config_integration *in,
                       const struct node *node)
{
    if (strcmp(in->name, "signalbox") == 0 || strcmp(in->name, "gateway") == 0)
        problem_add(c->problems, mark_of(node, NULL), "the name `%s` is signalbox's own",
                    in->name);
    if (node_member(node_member(node, "secrets"), "bus"))
        problem_add(c->problems,
                    node_member(node_member(node, "secrets"), "bus")->key_mark,
                    "the name `bus` is signalbox's own");
    for (size_t i = 0; i < c->config->n_integrations; i++) {
        const char *connector = c->config->integrations[i].connector;
        if (connector && strcmp(connector, in->name) == 0) {
            problem_add(c->problems, mark_of(node, NULL),
                        "`%s` is the name of a connector; expected another, such as the "
                        "provider's",
                        in->name);
            return;
        }
    }
}

static void check_default(const struct checking *c, size_t index, const struct node *node)
{
    const struct config_integration *in = &c->config->integrations[index];

    for (size_t i = 0; i < index; i++) {
        const struct config_integration *other = &c->config->integrations[i];
        if (in->is_default && other->is_default && in->connector && other->connector &&
            strcmp(in->connector, other->connector) == 0)
            problem_add(c->problems, mark_of(node, "default"),
                        "`%s` is the default of connector `%s` already; expected one",
                        other->name, in->connector);
    }
}

/* --- names that the log knows by 32 bits --- */

struct named {
    const char *name, *section;
    uint32_t hash;
    const struct node *node;
};

static void check_pair(const struct checking *c, const struct named *a,
                       const struct named *b)
{
    struct mark mark = mark_of(b->node, NULL);

    if (a->hash != b->hash)
        return;
    if (strcmp(a->name, b->name) == 0) {
        if (a->section != b->section) /* in one section it is a repeated key */
            problem_add(c->problems, mark, "`%s` is also in `%s`; expected another name",
                        b->name, a->section);
        else if (strcmp(a->section, "deliver") == 0) /* a list: no keys that repeat */
            problem_add(c->problems, mark, "`%s` stands in `deliver` twice", b->name);
        return;
    }
    problem_add(
        c->problems, mark,
        "`%s` and `%s` have the same 32-bit hash in the log; expected another name "
        "for one of them",
        b->name, a->name);
}

static struct named named(const struct checking *c, const char *section, const char *name)
{
    return (struct named){name, section, integration_hash(name), find(c, section, name)};
}

static void check_names(const struct checking *c)
{
    const struct config *config = c->config;
    size_t n = 0;
    struct named *all = mem_array(
        config->n_groups + config->n_deliver + config->n_integrations + 1, sizeof(*all));

    for (size_t i = 0; i < config->n_groups; i++)
        all[n++] = named(c, "groups", config->groups[i].name);
    for (size_t i = 0; i < config->n_integrations; i++)
        all[n++] = named(c, "integrations", config->integrations[i].name);
    for (size_t i = 0; i < config->n_deliver; i++) {
        const struct config_deliver *d = &config->deliver[i];
        if (d->name)
            all[n++] =
                (struct named){d->name, "deliver", integration_hash(d->name),
                               item_at(c->root, "deliver", d->line, "name", d->name)};
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            check_pair(c, &all[j], &all[i]);
    free(all);
}

/* --- deliver --- */

static void check_deliver(const struct checking *c)
{
    for (size_t i = 0; i < c->config->n_deliver; i++) {
        const struct config_deliver *d = &c->config->deliver[i];
        const struct node *node =
            d->name ? item_at(c->root, "deliver", d->line, "name", d->name) : NULL;
        if (d->to && strncmp(d->to, "http://", 7) == 0 && !d->allow_private_network)
            problem_add(c->problems, mark_of(node, "to"),
                        "posts over http:// are not encrypted; expected https://, or "
                        "allow_private_network: true for an address of your own network");
    }
}

/* --- the rest --- */

static void check_socket_path(const struct checking *c)
{
    size_t n = strlen(c->config->run) + strlen("/logger.sock");

    if (n > IPC_PATH_MAX)
        problem_add(
            c->problems, mark_of(c->root, "run"),
            "the sockets' paths would have %zu bytes; expected a shorter directory: "
            "the system takes %d",
            n, IPC_PATH_MAX);
}

void check_config(const struct config *config, const struct node *root,
                  struct problems *problems)
{
    struct checking c = {config, root, problems};

    check_names(&c);
    check_deliver(&c);
    check_socket_path(&c);
    check_tls(&c);
    check_bus(config, root, problems);
    for (size_t i = 0; i < config->n_integrations; i++) {
        const struct config_integration *in = &config->integrations[i];
        const struct node *node = find(&c, "integrations", in->name);
        check_purpose(&c, in, node);
        check_base_url(&c, in, node);
        check_program(&c, in, node);
        check_limits(&c, in, node);
        check_prices(&c, in, node);
        check_schedules(&c, in, node);
        check_name(&c, in, node);
        check_default(&c, i, node);
        check_webhooks(config, in, node, problems);
    }
}
