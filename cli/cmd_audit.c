/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/reading.h"
#include "cli/table.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/text.h"
#include "lib/ledger/ledger.h"

enum { PENDING_SHOWN_MAX = 20 };

static const struct {
    const char *name;
    size_t offset;
    const char *remark;
} fields[] = {
#define FIELD(name, remark)                                                              \
    {                                                                                    \
#name, offsetof(struct ledger_audit, name), remark                               \
    }
    FIELD(accepted, "requests and facts, by the totals in the block headers"),
    FIELD(success, ""),
    FIELD(failed, ""),
    FIELD(pending, ""),
    FIELD(unaccounted,
          "0 only if headers and records agree and no block is missing or damaged"),
    FIELD(requests, ""),
    FIELD(facts, ""),
    FIELD(outcomes, "not counted again"),
    FIELD(duplicates, "late outcomes: the first one counts"),
    FIELD(strays, "outcomes of nothing that was asked"),
    FIELD(damaged_blocks, ""),
    FIELD(missing_blocks, ""),
    FIELD(broken_seals, "segments that are not those that were sealed"),
    FIELD(deliveries, "events and the groups that take them"),
    FIELD(delivered, ""),
    FIELD(given_up, "their groups could not handle them"),
    FIELD(waiting, "their groups have not taken them yet"),
    FIELD(first_block, ""),
    FIELD(last_block, ""),
#undef FIELD
};

static uint64_t value(const struct ledger_audit *audit, size_t field)
{
    return *(const uint64_t *)(const void *)((const char *)audit + fields[field].offset);
}

/* Each has an owner, an attempt count, an age and a deadline. */
struct pending {
    const struct cli *cli;
    bool is_list; /* all of them, as they come; else the first ones, below the sum */
    unsigned shown;
    struct buf text;
};

/* In the unit that says enough: 90s, 45m, 30h, 12d. */
static void add_age(struct buf *line, uint64_t since_us)
{
    static const struct {
        uint64_t seconds;
        char unit;
    } units[] = {{2 * 86400, 'd'}, {2 * 3600, 'h'}, {2 * 60, 'm'}, {0, 's'}};
    uint64_t now = clock_wall_us(), age = now > since_us ? (now - since_us) / 1000000 : 0;
    size_t i = 0;

    while (age < units[i].seconds)
        i++;
    buf_format(line, "%" PRIu64 "%c", age / (units[i].seconds ? units[i].seconds / 2 : 1),
               units[i].unit);
}

static void add_pending(struct buf *line, const struct ledger_row *row)
{
    buf_text(line, "  ");
    table_time(line, row->timestamp_us);
    buf_text(line, " ");
    table_cell(line, row->type, 36, false);
    buf_text(line, " owner ");
    table_cell(line, row->owner ? row->owner : "consumer groups", 0, false);
    buf_format(line, ", attempts %u, age ", row->attempt);
    add_age(line, row->timestamp_us);
    buf_text(line, ", deadline ");
    if (row->deadline_us)
        table_time(line, row->deadline_us);
    else
        buf_text(line, "none");
    buf_text(line, " ");
    table_cell(line, row->id_text, 0, false);
    buf_text(line, "\n");
}

static struct json *pending_json(const struct ledger_row *row)
{
    uint64_t now = clock_wall_us();
    struct json *o = js_set_text(js_object(), "pending", row->id_text);
    char time[TEXT_TIME_SIZE];

    js_set_text(js_set_text(o, "type", row->type), "owner", row->owner);
    text_time(row->timestamp_us, time);
    js_set_text(js_set_int(o, "attempt", row->attempt), "timestamp", time);
    js_set_int(o, "age_s",
               (int64_t)(now > row->timestamp_us ? now - row->timestamp_us : 0) /
                   1000000);
    if (!row->deadline_us)
        return js_set(o, "deadline", js_null());
    text_time(row->deadline_us, time);
    return js_set_text(o, "deadline", time);
}

static bool take_pending(void *user, const struct ledger_row *row)
{
    struct pending *p = user;

    if (p->is_list && p->cli->json) {
        cli_print(p->cli, pending_json(row));
        return !ferror(stdout);
    }
    if (!p->is_list && p->shown++ == PENDING_SHOWN_MAX) {
        buf_text(&p->text, "  ... (signalbox audit --list)\n");
        return false;
    }
    add_pending(&p->text, row);
    if (p->is_list) {
        fputs(buf_str(&p->text), stdout);
        buf_clear(&p->text);
    }
    return !ferror(stdout);
}

static void print_finding(void *user, const char *finding)
{
    const struct cli *cli = user;

    if (cli->json)
        cli_print(cli, js_set_text(js_object(), "finding", finding));
    else
        puts(finding);
}

static void print_table(const struct ledger_audit *audit, struct buf *pending)
{
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        uint64_t n = value(audit, i);
        if (n == 0 && i > 4)
            continue;
        printf("%-15s %12" PRIu64 "%s%s\n", fields[i].name, n,
               *fields[i].remark ? "  " : "", fields[i].remark);
    }
    if (pending->len)
        printf("\npending:\n%s", buf_str(pending));
    if (audit->unaccounted)
        printf("\nwhat does not fit is named above\n");
}

static struct json *sum_json(const struct ledger_audit *audit)
{
    struct json *o = js_object();

    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        js_set_int(o, fields[i].name, (int64_t)value(audit, i));
    return o;
}

int cmd_audit(struct cli *cli, int argc, char **argv)
{
    const char *list = NULL;
    const struct cli_option options[] = {{"--list", NULL, &list}, {NULL, NULL, NULL}};
    struct pending pending = {.cli = cli, .text = BUF_NULL};
    struct ledger_audit audit;
    int status;

    if (cli_arguments(cli, options, argc, argv, 0, 0) < 0)
        return CLI_USAGE;
    struct ledger *ledger = reading_open(cli, &status);
    if (!ledger)
        return status;
    pending.is_list = list != NULL;
    ledger_report(ledger, print_finding, cli);
    if (ledger_audit(ledger, &audit, cli->json && !list ? NULL : take_pending, &pending) <
        0) {
        status = cli_fail(CLI_FAILED, "%s", ledger_error(ledger));
    } else {
        if (cli->json)
            cli_print(cli, sum_json(&audit));
        else
            print_table(&audit, &pending.text);
        status = audit.unaccounted ? CLI_FAILED : CLI_DONE;
    }
    buf_fini(&pending.text);
    ledger_close(ledger);
    return status;
}
