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
#include "lib/base/json.h"
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
    FIELD(first_block, ""),
    FIELD(last_block, ""),
#undef FIELD
};

static uint64_t value(const struct ledger_audit *audit, size_t field)
{
    return *(const uint64_t *)(const void *)((const char *)audit + fields[field].offset);
}

/* Each Pending has an owner, an attempt count and a deadline; the first ones are shown.
 */
static bool take_pending(void *user, const struct ledger_row *row)
{
    struct buf *list = user;
    static unsigned shown;

    if (shown++ == PENDING_SHOWN_MAX) {
        buf_text(list, "  ... (signalbox log --status pending)\n");
        return false;
    }
    buf_text(list, "  ");
    table_time(list, row->timestamp_us);
    buf_text(list, " ");
    table_cell(list, row->type, 36, false);
    buf_text(list, " owner ");
    table_cell(list, row->integration ? row->integration : "consumer groups", 0, false);
    buf_format(list, ", attempts %u, deadline ", row->attempt);
    if (row->deadline_us)
        table_time(list, row->deadline_us);
    else
        buf_text(list, "none");
    buf_text(list, " ");
    table_cell(list, row->id_text, 0, false);
    buf_text(list, "\n");
    return true;
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
        printf("\n-> signalbox log verify names what does not fit\n");
}

int cmd_audit(struct cli *cli, int argc, char **argv)
{
    struct ledger_audit audit;
    struct buf pending = BUF_NULL;
    int status;

    if (cli_arguments(cli, NULL, argc, argv, 0, 0) < 0)
        return CLI_USAGE;
    struct ledger *ledger = reading_open(cli, &status);
    if (!ledger)
        return status;
    if (ledger_audit(ledger, &audit, cli->json ? NULL : take_pending, &pending) < 0) {
        status = cli_fail(CLI_FAILED, "%s", ledger_error(ledger));
    } else if (cli->json) {
        struct json *o = js_object();
        for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
            js_set_int(o, fields[i].name, (int64_t)value(&audit, i));
        cli_print(cli, o);
        status = audit.unaccounted ? CLI_FAILED : CLI_DONE;
    } else {
        print_table(&audit, &pending);
        status = audit.unaccounted ? CLI_FAILED : CLI_DONE;
    }
    buf_fini(&pending);
    ledger_close(ledger);
    return status;
}
