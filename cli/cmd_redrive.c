/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* redrive - what failed is tried again, once
 *
 * What failed is looked up here, in the log; whether it may be tried again the broker
 * decides.  Each event is answered for itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/reading.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/ledger/failures.h"
#include "lib/ledger/ledger.h"

enum {
    PIECE = 64,        /* items the broker takes at once */
    PAGE_ROWS = 20000, /* rows of the log looked up at once */
    IDS_MAX = 10000,   /* on one command line */
};

struct redriving {
    struct cli *cli;
    struct asking asking;
    bool is_dry, again;
    const char *group; /* what this one gave up; NULL: what failed */
    uint64_t done, refused;
};

/* --- what the broker said --- */

static const char *about_key(const char *key)
{
    static const struct {
        const char *key, *text;
    } rows[] = {{"kept", ", with the first one's idempotency key"},
                {"new", ", with an idempotency key of its own"},
                {"lookup", ", after asking the service whether it happened"}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (strcmp(rows[i].key, key) == 0)
            return rows[i].text;
    return "";
}

static void print(struct redriving *r, const struct json *item, const struct json *said)
{
    bool good = js_bool(said, "ok", false);
    const char *event = js_text(item, "event", ""), *new = js_text(item, "new", ""),
               *key = js_text(said, "key", NULL), *why = js_text(said, "why", NULL);

    *(good ? &r->done : &r->refused) += 1;
    if (r->cli->json) {
        struct json *o = js_set_text(js_object(), "id", event);
        js_set_text(o, "type", js_text(item, "type", NULL));
        js_set_text(o, "group", js_text(item, "group", NULL));
        js_set_bool(js_set_bool(o, "ok", good), "dry_run", r->is_dry);
        js_set_text(o, "redrive", good && !r->is_dry ? new : NULL);
        cli_print(r->cli, js_set_text(js_set_text(o, "key", key), "why", why));
        return;
    }
    printf("%-9s %s %s",
           !good       ? "refused"
           : r->is_dry ? "would"
                       : "redriven",
           event, js_text(item, "type", ""));
    if (js_get(item, "group"))
        printf(" for group %s", js_text(item, "group", ""));
    if (!good)
        printf(": %s", why);
    else if (!r->is_dry)
        printf(" as %s", new);
    if (key)
        printf("%s", about_key(key));
    putchar('\n');
}

static int send_piece(struct redriving *r, const struct json *items, size_t from)
{
    struct json *args = js_object(), *piece = js_array();
    size_t n = 0;

    for (; n < PIECE && from + n < js_count(items); n++)
        js_push(piece, js_copy(js_at(items, from + n)));
    js_set_bool(js_set_bool(args, "again", r->again), "dry", r->is_dry);
    int status = ask(&r->asking, "redrive", js_set(args, "items", piece));
    const struct json *said = js_get(r->asking.answer, "items");
    for (size_t i = 0; status == CLI_DONE && i < n; i++)
        print(r, js_at(items, from + i), js_at(said, i));
    return status;
}

static int send_all(struct redriving *r, const struct json *items)
{
    int status = CLI_DONE;

    for (size_t at = 0; status == CLI_DONE && at < js_count(items); at += PIECE)
        status = send_piece(r, items, at);
    return status;
}

/* --- which events --- */

static int by_ids(struct redriving *r, struct ledger *ledger, char **ids, int n)
{
    int status = CLI_DONE;

    for (int i = 0; i < n && (status == CLI_DONE || status == CLI_FAILED); i++) {
        struct json *items = failures_of(ledger, ids[i]);
        int one = items ? send_all(r, items)
                        : cli_fail(CLI_FAILED, "there is no event %s in the log", ids[i]);
        js_free(items);
        if (one != CLI_DONE)
            status = one;
    }
    return status;
}

/* Page by page, the oldest first; what is redriven comes behind `until` and is not met.
 */
static int by_filter(struct redriving *r, struct ledger *ledger,
                     struct ledger_filter *filter)
{
    char *cursor = NULL;
    bool is_more = true;
    int status = CLI_DONE;

    filter->oldest_first = true;
    filter->limit = PAGE_ROWS;
    while (status == CLI_DONE && is_more) {
        char *next = NULL;
        filter->cursor = cursor;
        struct json *items = failures_find(ledger, filter, &next);
        if (items)
            status = send_all(r, items);
        else
            status = cli_fail(CLI_FAILED, "%s", ledger_error(ledger));
        js_free(items);
        is_more = next && (!cursor || strcmp(next, cursor) != 0);
        free(cursor);
        cursor = next;
    }
    free(cursor);
    return status;
}

/* What a consumer group gave up; page by page, too. */
static int by_group(struct redriving *r, struct ledger *ledger,
                    struct ledger_filter *filter)
{
    uint64_t block = 0;
    int status = CLI_DONE;

    filter->limit = PAGE_ROWS;
    do {
        struct json *items = failures_of_group(ledger, r->group, filter, &block);
        status =
            items ? send_all(r, items) : cli_fail(CLI_FAILED, "%s", ledger_error(ledger));
        js_free(items);
    } while (status == CLI_DONE && block);
    return status;
}

static int run(struct redriving *r, struct ledger_filter *filter, char **ids, int n)
{
    int status;
    struct ledger *ledger = reading_open(r->cli, &status);

    if (!ledger)
        return status;
    status = ask_open(&r->asking, r->cli);
    if (status == CLI_DONE)
        status = n          ? by_ids(r, ledger, ids, n)
                 : r->group ? by_group(r, ledger, filter)
                            : by_filter(r, ledger, filter);
    ask_close(&r->asking);
    ledger_close(ledger);
    if (!r->cli->json && (status == CLI_DONE || status == CLI_FAILED))
        printf("%llu %s, %llu refused\n", (unsigned long long)r->done,
               r->is_dry ? "would be redriven" : "redriven",
               (unsigned long long)r->refused);
    return status == CLI_DONE && r->refused ? CLI_FAILED : status;
}

int cmd_redrive(struct cli *cli, int argc, char **argv)
{
    struct ledger_filter filter = {.status = -1, .error_class = -1};
    const char *error_class = NULL, *since = NULL, *until = NULL, *dry = NULL,
               *again = NULL, *group = NULL;
    const struct cli_option options[] = {{"--type", "PATTERN", &filter.type},
                                         {"--service", "SERVICE", &filter.service},
                                         {"--integration", "NAME", &filter.integration},
                                         {"--key", "KEY", &filter.key},
                                         {"--class", "CLASS", &error_class},
                                         {"--group", "NAME", &group},
                                         {"--since", "TIME", &since},
                                         {"--until", "TIME", &until},
                                         {"--dry-run", NULL, &dry},
                                         {"--again", NULL, &again},
                                         {NULL, NULL, NULL}};
    int n = cli_arguments(cli, options, argc, argv, 0, IDS_MAX);

    if (n < 0 || (error_class && !reading_class(error_class, &filter.error_class)) ||
        (since && !cli_time("--since", since, &filter.since_us)) ||
        (until && !cli_time("--until", until, &filter.until_us)) ||
        !reading_filter_fits(&filter))
        return CLI_USAGE;
    bool has_filter = filter.type || filter.service || filter.integration || filter.key ||
                      error_class || group || since || until;
    if ((n > 0) == has_filter)
        return cli_fail(CLI_USAGE, "redrive: name events by id, or describe them with "
                                   "--type, --service, --integration, --key, --class, "
                                   "--group, --since or --until, but not both");
    if (!filter.until_us)
        filter.until_us = clock_wall_us();
    struct redriving r = {
        .cli = cli, .is_dry = dry != NULL, .again = again != NULL, .group = group};
    return run(&r, &filter, argv + 1, n);
}
