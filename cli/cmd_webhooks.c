/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* webhooks - every endpoint, what came through it last, and what was refused and why: the
 * first look when a provider says that its deliveries fail */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/reading.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/check_webhook.h"
#include "lib/config/config.h"
#include "lib/ledger/ledger.h"
#include "proto/attrs.h"
#include "proto/record.h"

enum { ROWS_MAX = 1000 }; /* looked through for the last one of an endpoint */

/* The last row of one endpoint among those of its integration. */
struct search {
    const char *path;
    bool is_found;
    char time[TEXT_TIME_SIZE];
    char *id, *type, *why;
};

static void search_fini(struct search *search)
{
    free(search->id);
    free(search->type);
    free(search->why);
}

/* Rows come oldest first: the last one that fits stays. */
static bool take_row(void *user, const struct ledger_row *row)
{
    struct search *search = user;
    _free_ char *endpoint =
        attrs_copy_text(record_attrs(row->record), row->record->attr_len, ATTR_ENDPOINT);
    if (!endpoint || strcmp(endpoint, search->path) != 0)
        return true;
    search_fini(search);
    search->is_found = true;
    text_time(row->timestamp_us, search->time);
    search->id = mem_text(row->id_text);
    search->type = mem_text(row->type);
    search->why = mem_text(row->error_msg);
    return true;
}

static void find_last(struct ledger *ledger, const char *integration, const char *type,
                      const char *path, struct search *ret)
{
    const struct ledger_filter filter = {.status = -1,
                                         .error_class = -1,
                                         .integration = integration,
                                         .type = type,
                                         .limit = ROWS_MAX};
    *ret = (struct search){.path = path};
    ledger_query(ledger, &filter, take_row, ret, NULL);
}

static struct json *last_json(const struct search *search)
{
    if (!search->is_found)
        return js_null();
    struct json *o = js_set_text(js_object(), "timestamp", search->time);
    js_set_text(js_set_text(o, "id", search->id), "type", search->type);
    return js_set_text(o, "why", search->why);
}

static void print_endpoint(const struct config_integration *in,
                           const struct config_webhook *w, const char *url,
                           const struct search *accepted, const struct search *refused)
{
    printf("%s\n", url);
    printf("    of %s, scheme %s%s%s\n", in->name, w->scheme,
           w->accept_weak ? ", weak: " : "", w->accept_weak ? w->accept_weak : "");
    printf("    last accepted  %s%s%s\n", accepted->is_found ? accepted->time : "never",
           accepted->is_found ? "  " : "", accepted->is_found ? accepted->type : "");
    printf("    last refused   %s%s%s\n", refused->is_found ? refused->time : "never",
           refused->is_found ? "  " : "",
           refused->is_found && refused->why ? refused->why : "");
}

static void show(struct cli *cli, struct ledger *ledger,
                 const struct config_integration *in, const struct config_webhook *w)
{
    struct search accepted, refused;
    _free_ char *pattern = mem_format("%s.>", in->name);
    _free_ char *url = config_webhook_url(cli->config, w->path);
    find_last(ledger, in->name, pattern, w->path, &accepted);
    find_last(ledger, in->name, "signalbox.webhook.refused", w->path, &refused);
    if (cli->json) {
        struct json *o = js_set_text(js_object(), "url", url);
        js_set_text(js_set_text(o, "path", w->path), "integration", in->name);
        js_set_text(js_set_text(o, "scheme", w->scheme), "accept_weak", w->accept_weak);
        js_set_bool(o, "weak", config_scheme_is_weak(w->scheme));
        js_set(js_set(o, "last_accepted", last_json(&accepted)), "last_refused",
               last_json(&refused));
        cli_print(cli, o);
    } else {
        print_endpoint(in, w, url, &accepted, &refused);
    }
    search_fini(&accepted);
    search_fini(&refused);
}

int cmd_webhooks(struct cli *cli, int argc, char **argv)
{
    int status = CLI_DONE;
    if (cli_arguments(cli, NULL, argc, argv, 0, 0) < 0)
        return CLI_USAGE;
    struct ledger *ledger = reading_open(cli, &status);
    if (!ledger)
        return status;
    for (size_t i = 0; i < cli->config->n_integrations; i++) {
        const struct config_integration *in = &cli->config->integrations[i];
        for (size_t k = 0; k < in->n_webhooks; k++)
            show(cli, ledger, in, &in->webhooks[k]);
    }
    ledger_close(ledger);
    return CLI_DONE;
}
