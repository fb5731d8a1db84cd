/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/reading.h"
#include "cli/table.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/ledger/ledger.h"
#include "lib/service/service.h"
#include "lib/store/store.h"
#include "lib/store/views.h"

enum {
    FOLLOW_PAUSE_NS = 200 * 1000 * 1000,
    TIME_COLUMNS = 24,
    SERVICE_COLUMNS = 12,
    STATUS_COLUMNS = 7,
    ID_COLUMNS = 36,
    TYPE_COLUMNS =
        30, /* at least; what is left over goes to type and error in equal parts */
    ERROR_COLUMNS = 20,
    WIDE_COLUMNS = 132, /* from here on, ids stand in the row; narrower, Failed rows have
                           a line more */
};

struct ledger *reading_open(struct cli *cli, int *ret_status)
{
    const struct config *config = cli_config(cli);
    char error[512];

    *ret_status = CLI_USAGE;
    if (!config)
        return NULL;
    _free_ char *dir = config_log_dir(config);
    struct ledger *ledger = ledger_open(dir, error, sizeof(error));
    if (!ledger)
        *ret_status = cli_fail(CLI_UNREACHABLE, "there is no log to read: %s", error);
    return ledger;
}

/* --- rows --- */

struct printing {
    const struct cli *cli;
    unsigned columns; /* 0: not a terminal, nothing is cut */
    unsigned type, error;
    bool is_wide;
};

static struct printing layout(const struct cli *cli)
{
    struct printing p = {.cli = cli, .columns = cli_columns(), .type = TYPE_COLUMNS};
    unsigned fixed = TIME_COLUMNS + SERVICE_COLUMNS + STATUS_COLUMNS + 4;

    p.is_wide = p.columns == 0 || p.columns >= WIDE_COLUMNS;
    if (p.is_wide)
        fixed += ID_COLUMNS + 1;
    if (p.columns == 0) {
        p.error = ERROR_COLUMNS;
    } else if (p.columns > fixed + TYPE_COLUMNS + ERROR_COLUMNS) {
        unsigned spare = p.columns - fixed - TYPE_COLUMNS - ERROR_COLUMNS;
        p.type = TYPE_COLUMNS + spare / 2;
        p.error = ERROR_COLUMNS + spare - spare / 2;
    } else {
        unsigned left = p.columns > fixed + 16 ? p.columns - fixed : 16;
        p.type = left * 3 / 5;
        p.error = left - p.type;
    }
    return p;
}

static void print_head(const struct printing *p)
{
    struct buf line = BUF_NULL;

    table_cell(&line, "TIMESTAMP", TIME_COLUMNS + 1, false);
    table_cell(&line, "SERVICE", SERVICE_COLUMNS + 1, false);
    table_cell(&line, "EVENT_TYPE", p->type + 1, false);
    table_cell(&line, "STATUS", STATUS_COLUMNS + 1, false);
    table_cell(&line, "ERROR_MSG", p->is_wide ? p->error + 1 : 9, false);
    buf_text(&line, p->is_wide ? "ID" : "");
    puts(buf_str(&line));
    buf_fini(&line);
}

static const char *remark(const struct ledger_row *row)
{
    if (row->status == STATUS_FAILED)
        return row->error_msg ? row->error_msg : row->error_class;
    return row->unconsumed ? "(unconsumed)" : "";
}

static void print_row(const struct printing *p, const struct ledger_row *row)
{
    static const char *const statuses[] = {"Pending", "Success", "Failed"};
    const char *status = statuses[row->status];
    bool cut = p->columns > 0;
    struct buf line = BUF_NULL;

    table_time(&line, row->timestamp_us);
    buf_text(&line, " ");
    table_cell(&line, row->service, SERVICE_COLUMNS, cut);
    buf_text(&line, " ");
    table_cell(&line, row->type, p->type, cut);
    buf_format(&line, " %s", table_colour(status));
    table_cell(&line, status, STATUS_COLUMNS, false);
    buf_format(&line, "%s ", table_plain());
    table_cell(&line, remark(row), p->error, cut);
    if (p->is_wide) {
        buf_text(&line, " ");
        table_cell(&line, row->id_text, ID_COLUMNS, false);
    }
    if (row->status == STATUS_FAILED) {
        buf_text(&line, p->columns ? "\n    " : " ");
        buf_text(&line, row->redrive ? "redriven " : row->verdict ? "resolved " : "");
        buf_text(&line, "-> signalbox trace ");
        table_cell(&line, row->redrive ? row->redrive : row->id_text, 0, false);
    }
    puts(buf_str(&line));
    buf_fini(&line);
}

static bool tell(void *user, const struct ledger_row *row)
{
    const struct printing *p = user;

    if (p->cli->json)
        cli_print(p->cli, ledger_row_json(row));
    else
        print_row(p, row);
    return !ferror(stdout);
}

/* --- the command --- */

static int query(struct cli *cli, const struct ledger_filter *filter, bool follow)
{
    struct printing p = layout(cli);
    int status;
    struct ledger *ledger = reading_open(cli, &status);

    if (!ledger)
        return status;
    if (!cli->json)
        print_head(&p);
    long n = ledger_query(ledger, filter, tell, &p, NULL);
    uint64_t block = ledger_seen(ledger);
    while (n >= 0 && follow && fflush(stdout) == 0 && !ferror(stdout)) {
        nanosleep(&(struct timespec){.tv_nsec = FOLLOW_PAUSE_NS}, NULL);
        n = ledger_follow(ledger, filter, &block, tell, &p);
    }
    if (n < 0)
        cli_fail(CLI_FAILED, "%s", ledger_error(ledger));
    ledger_close(ledger);
    return n < 0 ? CLI_FAILED : CLI_DONE;
}

struct findings {
    const struct cli *cli;
};

static void print_finding(void *user, const char *finding)
{
    const struct findings *f = user;

    if (f->cli->json)
        cli_print(f->cli, js_set_text(js_object(), "finding", finding));
    else
        puts(finding);
}

static int verify(struct cli *cli)
{
    struct findings f = {cli};
    int status;
    struct ledger *ledger = reading_open(cli, &status);

    if (!ledger)
        return status;
    long n = ledger_verify(ledger, print_finding, &f);
    if (n < 0)
        cli_fail(CLI_FAILED, "%s", ledger_error(ledger));
    else if (cli->json)
        cli_print(cli, js_set_int(js_set_int(js_object(), "findings", n), "last_block",
                                  (int64_t)ledger_seen(ledger)));
    else
        printf("checksums, numbers, chain and totals up to block %llu: %s\n",
               (unsigned long long)ledger_seen(ledger), n ? "damaged" : "good");
    ledger_close(ledger);
    return n ? CLI_FAILED : CLI_DONE;
}

/* Nobody else may write them meanwhile: the logger's lock is taken, and a damaged block
 * ends them. */
static int rebuild_views(struct cli *cli)
{
    const struct config *config = cli_config(cli);
    char error[512];
    uint64_t last = 0, first, end;

    if (!config)
        return CLI_USAGE;
    _free_ char *dir = config_log_dir(config);
    struct store *store = store_open_reader(dir, error, sizeof(error));
    if (!store)
        return cli_fail(CLI_UNREACHABLE, "there is no log to read: %s", error);
    int lock = service_lock(config->data, "signalbox-logger", error, sizeof(error));
    struct views *views =
        lock < 0 ? NULL : views_open(dir, /* read_only= */ false, error, sizeof(error));
    int result = views ? views_rebuild(views, store, &last) : VIEWS_FAILED;
    store_range(store, &first, &end);
    if (result != VIEWS_OK)
        cli_fail(CLI_FAILED, "%s", views ? views_error(views) : error);
    else if (last < end)
        cli_fail(CLI_FAILED, "block %llu cannot be read; see signalbox log verify",
                 (unsigned long long)last + 1);
    else
        printf("the views say what blocks %llu to %llu hold\n", (unsigned long long)first,
               (unsigned long long)end);
    views_close(views);
    store_close(store);
    if (lock >= 0)
        close(lock);
    return result == VIEWS_OK && last >= end ? CLI_DONE : CLI_FAILED;
}

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

bool reading_class(const char *text, int *ret)
{
    const char *names[CLASS_COUNT + 1] = {NULL};

    *ret = class_find(text);
    if (*ret > 0)
        return true;
    for (unsigned i = 1; i < CLASS_COUNT; i++)
        names[i - 1] = class_name(i);
    const char *near = text_nearest(text, names);
    struct buf list = BUF_NULL;
    for (unsigned i = 1; i < CLASS_COUNT; i++)
        buf_format(&list, "%s%s", i > 1 ? ", " : "", class_name(i));
    cli_fail(CLI_USAGE, "--class: there is no class `%s`%s%s; expected one of %s", text,
             near ? "; did you mean " : "", near ? near : "", buf_str(&list));
    buf_fini(&list);
    return false;
}

struct options {
    const char *status, *error_class, *since, *until, *limit, *follow, *records, *rebuild;
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
    return true;
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
        {"--status", "pending|success|failed", &o.status},
        {"--class", "CLASS", &o.error_class},
        {"--since", "TIME", &o.since},
        {"--until", "TIME", &o.until},
        {"--limit", "N", &o.limit},
        {"--follow", NULL, &o.follow},
        {"--records", NULL, &o.records},
        {"--cause", "ID", &filter.cause},
        {"--rebuild-views", NULL, &o.rebuild},
        {NULL, NULL, NULL},
    };

    int words = cli_arguments(cli, options, argc, argv, 0, 1);
    if (words < 0 || !parse(&o, &filter))
        return CLI_USAGE;
    if (words == 1 && strcmp(argv[1], "verify") != 0)
        return cli_fail(CLI_USAGE, "log: `%s` is not known; expected options or verify",
                        argv[1]);
    if (o.rebuild)
        return rebuild_views(cli);
    return words == 1 ? verify(cli) : query(cli, &filter, o.follow != NULL);
}
