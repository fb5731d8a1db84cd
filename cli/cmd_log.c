/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/logfile.h"
#include "cli/reading.h"
#include "cli/rows.h"
#include "cli/summary.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/ledger/ledger.h"

enum { FOLLOW_PAUSE_NS = 200 * 1000 * 1000 };

/* --- rows --- */

/* Where there are more, people are told how to go on. */
static void print_cursor(const struct cli *cli, const char *cursor)
{
    if (cursor && !cli->json && cli_columns())
        fprintf(stderr, "older ones: --cursor %s\n", cursor);
}

static int query(struct cli *cli, const struct ledger_filter *filter, bool csv,
                 bool follow)
{
    struct rows rows;
    int status;
    _free_ char *cursor = NULL;
    struct ledger *ledger = reading_open(cli, &status);

    if (!ledger)
        return status;
    rows_begin(&rows, cli, cli->json ? ROWS_JSON : csv ? ROWS_CSV : ROWS_TABLE);
    long n = ledger_query(ledger, filter, rows_print, &rows, &cursor);
    uint64_t block = ledger_seen(ledger);
    if (!follow)
        print_cursor(cli, cursor);
    while (n >= 0 && follow && fflush(stdout) == 0 && !ferror(stdout)) {
        nanosleep(&(struct timespec){.tv_nsec = FOLLOW_PAUSE_NS}, NULL);
        n = ledger_follow(ledger, filter, &block, rows_print, &rows);
    }
    if (n < 0)
        cli_fail(CLI_FAILED, "%s", ledger_error(ledger));
    ledger_close(ledger);
    return n < 0 ? CLI_FAILED : CLI_DONE;
}

/* --- options --- */

static bool parse_status(const char *text, int *ret)
{
    static const char *const names[] = {"pending", "success", "failed"};

    for (int i = 0; i < 3; i++)
        if (strcasecmp(text, names[i]) == 0) {
            *ret = i;
            return true;
        }
    cli_fail(CLI_USAGE, "--status: expected pending, success or failed");
    return false;
}

struct options {
    const char *status, *error_class, *since, *until, *limit, *follow, *records, *csv,
        *summary, *rebuild, *head, *output;
};

static bool parse(const struct options *o, struct ledger_filter *filter)
{
    uint64_t limit = 0;

    if (o->status && !parse_status(o->status, &filter->status))
        return false;
    if (o->error_class && !reading_class(o->error_class, &filter->error_class))
        return false;
    if (o->since && !cli_time("--since", o->since, &filter->since_us))
        return false;
    if (o->until && !cli_time("--until", o->until, &filter->until_us))
        return false;
    if (o->limit && !cli_number("--limit", o->limit, 1, 100000000, &limit))
        return false;
    filter->limit = (size_t)limit;
    filter->records = o->records != NULL;
    return reading_filter_fits(filter);
}

/* log verify | export | import FILE */
static int whole_log(struct cli *cli, const struct options *o, int words, char **argv)
{
    if (words == 1 && strcmp(argv[1], "verify") == 0)
        return logfile_verify(cli, o->head);
    if (words == 1 && strcmp(argv[1], "export") == 0)
        return logfile_export(cli, o->since, o->until, o->output);
    if (words == 2 && strcmp(argv[1], "import") == 0)
        return logfile_import(cli, argv[2]);
    return cli_fail(CLI_USAGE,
                    "log: `%s` is not known; expected options, verify [--head HASH], "
                    "export -o FILE or import FILE",
                    argv[words > 1 && strcmp(argv[1], "import") != 0 ? 2 : 1]);
}

int cmd_log(struct cli *cli, int argc, char **argv)
{
    struct ledger_filter filter = {.status = -1, .error_class = -1};
    struct options o = {0};
    const struct cli_option options[] = {
        {"--service", "SERVICE", &filter.service},
        {"--type", "PATTERN", &filter.type},
        {"--integration", "INTEGRATION", &filter.integration},
        {"--key", "KEY", &filter.key},
        {"--cause", "ID", &filter.cause},
        {"--status", "pending|success|failed", &o.status},
        {"--class", "CLASS", &o.error_class},
        {"--since", "TIME", &o.since},
        {"--until", "TIME", &o.until},
        {"--limit", "N", &o.limit},
        {"--cursor", "CURSOR", &filter.cursor},
        {"--follow", NULL, &o.follow},
        {"--records", NULL, &o.records},
        {"--csv", NULL, &o.csv},
        {"--summary", NULL, &o.summary},
        {"--rebuild-views", NULL, &o.rebuild},
        {"--head", "HASH", &o.head},
        {"-o", "FILE", &o.output},
        {NULL, NULL, NULL},
    };

    int words = cli_arguments(cli, options, argc, argv, 0, 2);
    if (words < 0 || !parse(&o, &filter))
        return CLI_USAGE;
    if (words > 0)
        return whole_log(cli, &o, words, argv);
    if (o.rebuild)
        return logfile_rebuild_views(cli);
    if (o.summary)
        return summary_print(cli, filter.since_us, filter.until_us);
    return query(cli, &filter, o.csv != NULL, o.follow != NULL);
}
