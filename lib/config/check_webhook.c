/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/config/check_webhook.h"

#include <stddef.h>
#include <string.h>

#include "lib/config/config.h"
#include "lib/config/node.h"

struct checking {
    const struct config *config;
    const struct node *list; /* `webhooks:` */
    struct problems *problems;
};

#define SCHEME(identifier, name, signs_url, is_weak) {name, signs_url, is_weak},
static const struct scheme_facts {
    const char *name;
    bool signs_url, is_weak;
} schemes[] = {
#include "lib/config/schemes.def"
};
#undef SCHEME

static const struct scheme_facts *facts(const char *scheme)
{
    static const struct scheme_facts unknown = {.name = ""};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (strcmp(schemes[i].name, scheme) == 0)
            return &schemes[i];
    return &unknown;
}

bool config_scheme_is_weak(const char *scheme)
{
    return facts(scheme)->is_weak;
}

/* --- where things stand --- */

static const struct node *item_of(const struct checking *c,
                                  const struct config_webhook *webhook)
{
    const struct node *item = c->list ? c->list->first : NULL;
    while (item && item->mark.line != (unsigned)webhook->line)
        item = item->next;
    /* Several in one line: by their path. */
    for (const struct node *at = item; at; at = at->next) {
        const struct node *path = node_member(at, "path");
        if (path && path->text && strcmp(path->text, webhook->path) == 0)
            return at;
    }
    return item;
}

static struct mark mark_of(const struct node *map, const char *key)
{
    const struct node *node = map ? node_member(map, key) : NULL;
    if (node)
        return node->kind == NODE_SCALAR ? node->mark : node->key_mark;
    return map ? map->mark : (struct mark){1, 1};
}

/* --- one path, one owner --- */

static const struct config_webhook *first_of_path(const struct config *config,
                                                  const char *path)
{
    for (size_t i = 0; i < config->n_integrations; i++)
        for (size_t j = 0; j < config->integrations[i].n_webhooks; j++) {
            const struct config_webhook *webhook = &config->integrations[i].webhooks[j];
            if (webhook->path && strcmp(webhook->path, path) == 0)
                return webhook;
        }
    return NULL;
}

static void check_path(const struct checking *c, const struct config_webhook *webhook,
                       const struct node *item)
{
    const struct config_webhook *first = first_of_path(c->config, webhook->path);
    if (first && first != webhook)
        problem_add(c->problems, mark_of(item, "path"),
                    "the path `%s` is taken by the webhook in line %d; expected another",
                    webhook->path, first->line);
}

/* --- what the scheme needs --- */

/* Behind a proxy the address that the sender signed cannot be seen: it must be said. */
static void check_public_url(const struct checking *c,
                             const struct config_webhook *webhook,
                             const struct node *item)
{
    bool signs = facts(webhook->scheme)->signs_url ||
                 (webhook->hmac.signed_bytes &&
                  strstr(webhook->hmac.signed_bytes, "{url}") != NULL);
    if (signs && !c->config->gateway.public_url)
        problem_add(c->problems, mark_of(item, "scheme"),
                    "the scheme `%s` signs the endpoint's public address; expected "
                    "gateway.public_url, such as public_url: https://hooks.example.com",
                    webhook->scheme);
}

static void check_weak(const struct checking *c, const struct config_webhook *webhook,
                       const struct node *item)
{
    bool is_weak = facts(webhook->scheme)->is_weak;
    if (is_weak && !webhook->accept_weak)
        problem_add(c->problems, mark_of(item, "scheme"),
                    "the scheme `%s` is weak: its provider does not sign the body; "
                    "expected accept_weak with the reason why that is taken",
                    webhook->scheme);
    if (!is_weak && webhook->accept_weak)
        problem_add(c->problems, mark_of(item, "accept_weak"),
                    "the scheme `%s` is not weak; expected no `accept_weak`",
                    webhook->scheme);
}

static bool names_certificates(const char *scheme)
{
    return strcmp(scheme, "paypal") == 0 || strcmp(scheme, "sns") == 0;
}

static void check_confirm(const struct checking *c, const struct config_webhook *webhook,
                          const struct node *item)
{
    if (webhook->confirm_subscription && strcmp(webhook->scheme, "sns") != 0)
        problem_add(c->problems, mark_of(item, "confirm_subscription"),
                    "`confirm_subscription` is for the scheme sns, and this one is `%s`",
                    webhook->scheme);
}

static void check_certificates(const struct checking *c,
                               const struct config_webhook *webhook,
                               const struct node *item)
{
    if (webhook->n_certificates && !names_certificates(webhook->scheme))
        problem_add(c->problems, mark_of(item, "certificates"),
                    "`certificates` is for the schemes paypal and sns, and this one is "
                    "`%s`",
                    webhook->scheme);
    for (size_t i = 0; i < webhook->n_certificates; i++)
        if (webhook->certificates[i].url &&
            strncmp(webhook->certificates[i].url, "https://", 8) != 0)
            problem_add(c->problems, mark_of(item, "certificates"),
                        "a certificate's `url` is what the provider's requests name; "
                        "expected https://");
}

/* --- the generic row --- */

static bool is_placeholder(const char *at)
{
    static const char *const known[] = {"{time}", "{id}", "{method}", "{url}", "{body}"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strncmp(at, known[i], strlen(known[i])) == 0)
            return true;
    return false;
}

/* The pieces the gateway would cut a template into: placeholders, and texts between. 0
 * when a brace begins none. */
static size_t count_pieces(const char *text)
{
    size_t n = 0;
    while (*text) {
        if (*text == '{' && !is_placeholder(text))
            return 0;
        text += *text == '{' ? strcspn(text, "}") + 1 : strcspn(text, "{");
        n++;
    }
    return n;
}

static const char *template_fault(const struct config_webhook *webhook)
{
    const struct config_hmac *hmac = &webhook->hmac;
    const char *text = hmac->signed_bytes;
    bool has_time = hmac->time_header || strcmp(hmac->form, "pairs") == 0;
    size_t n = count_pieces(text);
    if (n == 0 || n > CONFIG_TEMPLATE_PIECES_MAX)
        return "`signed` takes {time} {id} {method} {url} {body} and texts between, at "
               "most 8 pieces";
    if (!strstr(text, "{body}"))
        return "`signed` leaves the body out: anybody could change it; expected {body} "
               "in it";
    if (strstr(text, "{time}") && !has_time)
        return "`signed` has {time}; expected `time_header`, or `form: pairs`";
    if (strstr(text, "{id}") && !hmac->id_header)
        return "`signed` has {id}; expected `id_header`";
    if (!strstr(text, "{time}") && hmac->time_header)
        return "`time_header` is not in `signed`, so anybody could change it; expected "
               "{time} there";
    return NULL;
}

static void check_hmac(const struct checking *c, const struct config_webhook *webhook,
                       const struct node *item)
{
    const struct config_hmac *hmac = &webhook->hmac;
    const struct node *row = node_member(item, "hmac");
    bool is_hmac = strcmp(webhook->scheme, "hmac") == 0;
    if (is_hmac != (row != NULL)) {
        problem_add(c->problems, mark_of(item, is_hmac ? "scheme" : "hmac"),
                    is_hmac ? "the scheme `hmac` needs its row; expected `hmac:` with "
                              "signature_header, signed, event_id and event_type"
                            : "`hmac` is the row of the scheme hmac; expected `scheme: "
                              "hmac`, or none");
        return;
    }
    if (!row || !hmac->signed_bytes || !hmac->form)
        return; /* said where it is missing */
    bool has_label = strcmp(hmac->form, "whole") != 0;
    if (has_label != (hmac->label != NULL))
        problem_add(c->problems, mark_of(row, has_label ? "form" : "label"),
                    has_label ? "this `form` has the signature behind a label; expected "
                                "`label`, such as v1"
                              : "`form: whole` has no label; expected none");
    const char *fault = template_fault(webhook);
    if (fault)
        problem_add(c->problems, mark_of(row, "signed"), "%s", fault);
}

void check_webhooks(const struct config *config, const struct config_integration *in,
                    const struct node *node, struct problems *problems)
{
    const struct checking c = {config, node_member(node, "webhooks"), problems};
    for (size_t i = 0; i < in->n_webhooks; i++) {
        const struct config_webhook *webhook = &in->webhooks[i];
        if (!webhook->path || !webhook->scheme)
            continue;
        const struct node *item = item_of(&c, webhook);
        check_path(&c, webhook, item);
        check_public_url(&c, webhook, item);
        check_weak(&c, webhook, item);
        check_certificates(&c, webhook, item);
        check_confirm(&c, webhook, item);
        check_hmac(&c, webhook, item);
    }
}
