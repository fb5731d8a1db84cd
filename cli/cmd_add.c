/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* add - an integration from a connector's manifest: its stanza, its secrets asked for,
 * its key tried harmlessly, its webhook address and events shown
 *
 * Nothing is stored before the key was tried and the new configuration was read without
 * an error; then the secrets go into the vault, and the file is replaced whole. */
#include <stdio.h>
#include <string.h>

#include "cli/add/adding.h"
#include "cli/add/catalog.h"
#include "cli/add/place.h"
#include "cli/add/secrets.h"
#include "cli/add/stanza.h"
#include "cli/add/try.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/interrupt.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/vault/vault.h"

/* The option of a connector whose calls name the address of its webhook. */
#define ADDRESS_OPTION "status_callback"

enum { ERROR_SIZE = 1200 };

/* --- what is asked for --- */

static int check_options(const struct adding *a)
{
    const struct json *known = js_get(a->entry.manifest, "options");
    const char *name;
    void *cursor = NULL;

    while (a->options && js_next(a->options, &cursor, &name)) {
        bool is_known = false;
        for (size_t i = 0; i < js_count(known); i++)
            is_known |= strcmp(js_text(js_at(known, i), "name", ""), name) == 0;
        if (!is_known)
            return cli_fail(CLI_USAGE, "--options: %s has no option \"%s\"",
                            a->args->provider, name);
    }
    return CLI_DONE;
}

/* All of those that are missing, with what each is. */
static int check_required(const struct adding *a)
{
    const struct json *known = js_get(a->entry.manifest, "options");
    struct buf names = BUF_NULL, help = BUF_NULL;

    for (size_t i = 0; i < js_count(known); i++) {
        const struct json *o = js_at(known, i);
        const char *name = js_text(o, "name", "");
        if (!js_bool(o, "required", false) || js_get(a->options, name))
            continue;
        buf_format(&names, "%s\"%s\": ...", names.len ? ", " : "", name);
        buf_format(&help, "\n    %s: %s", name, js_text(o, "help", ""));
    }
    int status = names.len ? cli_fail(CLI_USAGE, "--options '{%s}' is needed:%s",
                                      buf_str(&names), buf_str(&help))
                           : CLI_DONE;
    buf_fini(&names);
    buf_fini(&help);
    return status;
}

static int read_options(struct adding *a)
{
    const char *text = a->args->options ? a->args->options : "{}";
    char why[200] = "it is something else";

    a->options = js_parse(text, strlen(text), why, sizeof(why));
    if (!js_is_object(a->options))
        return cli_fail(CLI_USAGE, "--options: expected a JSON object: %s", why);
    int status = check_options(a);
    return status ? status : check_required(a);
}

static int begin(struct adding *a)
{
    const struct add_args *args = a->args;
    struct buf error = BUF_NULL;

    if (catalog_find(args->provider, args->connector, &a->entry, &error)) {
        cli_fail(CLI_USAGE, "%s", buf_str(&error));
        buf_fini(&error);
        return CLI_USAGE;
    }
    const char *name = args->name ? args->name : args->provider;
    if (!text_is_name(name))
        return cli_fail(CLI_USAGE,
                        "`%s` is no name of an integration; expected 1 to 64 of a-z 0-9 "
                        "_ -, first a letter",
                        name);
    if (args->mode && strcmp(args->mode, "test") != 0 && strcmp(args->mode, "live") != 0)
        return cli_fail(CLI_USAGE, "--mode: `%s` does not fit; expected test or live",
                        args->mode);
    int status = read_options(a);
    if (status)
        return status;
    if (!js_text(a->entry.manifest, "base_url", NULL) && !args->base_url)
        return cli_fail(CLI_USAGE,
                        "--base-url is needed: %s has no address that is everybody's",
                        args->provider);
    bool has_table = strcmp(a->entry.connector, args->provider) != 0;
    a->stanza = (struct stanza){
        .name = name,
        .connector = a->entry.connector,
        .provider = has_table ? args->provider : NULL,
        .manifest = a->entry.manifest,
        .mode = args->mode,
        .base_url = args->base_url,
        .allow_private_network = args->is_private != NULL,
        .options = a->options,
        .left_out = a->left_out,
    };
    return CLI_DONE;
}

/* --- webhooks --- */

static void show_webhook(const struct adding *a)
{
    const struct json *webhooks = js_get(a->entry.manifest, "webhooks");
    _free_ char *address = config_webhook_url(a->cli->config, a->stanza.name);

    fprintf(stderr, "Webhooks come to %s\n", address);
    for (size_t i = 0; i < js_count(webhooks); i++)
        fprintf(stderr, "    %s becomes %s\n", js_text(js_at(webhooks, i), "event", ""),
                js_text(js_at(webhooks, i), "becomes", ""));
    fprintf(stderr,
            js_count(webhooks) ? "    any other event is kept as a fact, %s.<its type>\n"
                               : "    what comes is kept as a fact, %s.<its type>\n",
            a->stanza.name);
    if (!a->cli->config->gateway.public_url)
        fprintf(stderr, "    (set gateway.public_url to what the provider can reach)\n");
}

/* Where calls name the address that hears what becomes of them, it is the webhook's. */
static void give_address(struct adding *a)
{
    const struct json *options = js_get(a->entry.manifest, "options");
    _free_ char *address = config_webhook_url(a->cli->config, a->stanza.name);

    for (size_t i = 0; i < js_count(options); i++)
        if (strcmp(js_text(js_at(options, i), "name", ""), ADDRESS_OPTION) == 0 &&
            !js_get(a->options, ADDRESS_OPTION))
            js_set_text(a->options, ADDRESS_OPTION, address);
}

static int take_webhook(struct adding *a)
{
    const char *value;

    if (!stanza_scheme(&a->stanza))
        return CLI_DONE;
    if (a->why_no_webhook.len) {
        fprintf(stderr, "Webhooks stay a comment: %s", buf_str(&a->why_no_webhook));
        return CLI_DONE;
    }
    show_webhook(a);
    int status =
        secrets_take_one(a, "webhook",
                         "the secret (or public key) that the provider shows once "
                         "that address is registered; may be left empty: then "
                         "webhooks stay a comment",
                         &value);
    a->stanza.has_webhook = value != NULL;
    if (value)
        give_address(a);
    return status;
}

/* --- schedules --- */

static void show_schedule(void *user, const struct json *poll, bool is_ready)
{
    const struct adding *a = user;

    fprintf(stderr,
            is_ready ? "Polled every %s: %s.%s (`schedules`)\n"
                     : "Can be polled every %s: %s.%s; the lines in `schedules` are a "
                       "comment until its options say what is asked for\n",
            STANZA_POLL_EVERY, a->entry.connector, js_text(poll, "name", ""));
}

/* --- the try --- */

static int try_key(const struct adding *a)
{
    const struct json *operation = try_operation(a->entry.manifest);
    char error[ERROR_SIZE] = "";

    if (a->args->no_try)
        return CLI_DONE;
    if (!operation) {
        fprintf(stderr,
                "Not tried: %s has no operation without an effect; the first "
                "call will tell\n",
                a->args->provider);
        return CLI_DONE;
    }
    const struct try_options options = {
        .integration = a->stanza.name,
        .program = a->entry.program,
        .provider = a->stanza.provider,
        .base_url = a->args->base_url,
        .allow_private_network = a->stanza.allow_private_network,
        .options = a->options,
        .secrets = a->secrets,
        .operation = operation,
    };
    const char *name = js_text(operation, "name", "");
    bool works = try_call(&options, error, sizeof(error));
    if (interrupt_came())
        return CLI_FAILED;
    if (!works)
        return cli_fail(CLI_FAILED,
                        "%s.%s was tried and failed: %s\nNothing was stored; --no-try "
                        "leaves the try out",
                        a->entry.connector, name, error);
    fprintf(stderr, "Tried: %s.%s works\n", a->entry.connector, name);
    return CLI_DONE;
}

/* --- what is written --- */

static int write_all(const struct adding *a)
{
    struct buf text = BUF_NULL, why = BUF_NULL;
    mode_t mode;
    int status = CLI_USAGE;

    if (!place_stanza(a, &text, &mode, &why))
        cli_fail(CLI_USAGE, "%s", buf_str(&why));
    else
        status = secrets_store(a);
    if (status == CLI_DONE && !place_replace(a->cli->config_path, mode, &text))
        status = CLI_FAILED;
    buf_fini(&text);
    buf_fini(&why);
    return status;
}

/* What would be wrong is said before anything is asked for.  Where it is the webhook
 * alone, that stays a comment. */
static int check_place(struct adding *a)
{
    struct buf text = BUF_NULL;
    mode_t mode;
    int status = CLI_DONE;

    if (!place_stanza(a, &text, &mode, &a->why_no_webhook))
        status = cli_fail(CLI_USAGE, "%s(--name gives the integration another name)",
                          buf_str(&a->why_no_webhook));
    a->stanza.has_webhook = stanza_scheme(&a->stanza) != NULL;
    buf_clear(&text);
    if (!status && a->stanza.has_webhook)
        (void)place_stanza(a, &text, &mode, &a->why_no_webhook); /* why is kept */
    a->stanza.has_webhook = false;
    buf_fini(&text);
    return status;
}

/* --- the whole --- */

static int print_stanza(struct adding *a)
{
    struct buf text = BUF_NULL;

    a->stanza.has_webhook = true;
    stanza_write(&a->stanza, &text);
    fputs(buf_str(&text), stdout);
    buf_fini(&text);
    return CLI_DONE;
}

static void say_end(const struct adding *a)
{
    const struct config *config = a->cli->config; /* as it was before */
    size_t others = 0;

    for (size_t i = 0; i < config->n_integrations; i++) {
        const char *connector = config->integrations[i].connector;
        others += connector && strcmp(connector, a->entry.connector) == 0;
    }
    if (others)
        fprintf(stderr,
                "There are %zu more of the connector %s: give one of them `default: "
                "true`, or name it in each call\n",
                others, a->entry.connector);
    if (a->cli->json)
        cli_print(a->cli,
                  js_set_text(js_set_text(js_object(), "integration", a->stanza.name),
                              "config", a->cli->config_path));
    else
        printf("%s is added to %s; `signalbox up` starts it, `signalbox reload` where "
               "the system runs\n",
               a->stanza.name, a->cli->config_path);
}

static int add(struct adding *a)
{
    const struct config *config = cli_config(a->cli);
    char error[ERROR_SIZE];

    if (!config)
        return CLI_USAGE;
    if (config_integration(config, a->stanza.name))
        return cli_fail(CLI_USAGE,
                        "%s has an integration `%s` already; --name gives it another "
                        "name",
                        a->cli->config_path, a->stanza.name);
    a->vault = secrets_vault(a, /* writable= */ false, error, sizeof(error));
    if (!a->vault)
        return cli_fail(CLI_USAGE, "%s", error);
    int status = check_place(a);
    if (!status)
        status = secrets_take(a);
    if (!status)
        status = try_key(a);
    if (!status)
        status = take_webhook(a);
    if (!status)
        stanza_each_poll(&a->stanza, show_schedule, a);
    if (!status)
        status = write_all(a);
    if (!status)
        say_end(a);
    return status;
}

int cmd_add(struct cli *cli, int argc, char **argv)
{
    struct add_args args = {0};
    const struct cli_option options[] = {
        {"--connector", "C", &args.connector},
        {"--name", "N", &args.name},
        {"--mode", "test|live", &args.mode},
        {"--options", "JSON", &args.options},
        {"--base-url", "URL", &args.base_url},
        {"--allow-private-network", NULL, &args.is_private},
        {"--print", NULL, &args.print},
        {"--no-try", NULL, &args.no_try},
        {NULL, NULL, NULL}};

    cli_undumpable();
    if (cli_arguments(cli, options, argc, argv, 1, 1) < 0)
        return CLI_USAGE;
    args.provider = argv[1];
    struct adding a = {.cli = cli,
                       .args = &args,
                       .secrets = js_object(),
                       .asked = js_object(),
                       .left_out = js_object()};
    interrupt_catch();
    int status = begin(&a);
    if (!status)
        status = args.print ? print_stanza(&a) : add(&a);
    catalog_entry_fini(&a.entry);
    vault_close(a.vault);
    js_free(a.options);
    js_free(a.secrets);
    js_free(a.asked);
    js_free(a.left_out);
    buf_fini(&a.why_no_webhook);
    interrupt_release();
    return status;
}
