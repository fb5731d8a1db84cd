/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/text.h"
#include "lib/ledger/ledger.h"

enum {
    SERVICE_COLUMNS = 12,
    STATUS_COLUMNS = 7,
    TIME_COLUMNS = 24,
    ID_COLUMNS = 36,
    TYPE_COLUMNS =
        30, /* at least; what is left over goes to type and error in equal parts */
    ERROR_COLUMNS = 20,
    ERROR_NARROW_COLUMNS = 9, /* as its head; a reason that is longer has its own line */
    NARROW_COLUMNS = 25,      /* for type and error, however narrow the terminal is */
    WIDE_COLUMNS = 132, /* from here on, ids stand in the row; narrower, Failed rows have
                           a line more */
};

/* --- the table --- */

static void lay_out(struct rows *rows)
{
    unsigned fixed = SERVICE_COLUMNS + STATUS_COLUMNS + TIME_COLUMNS + 4;

    rows->columns = cli_columns();
    rows->type = TYPE_COLUMNS;
    rows->error = ERROR_COLUMNS;
    rows->is_wide = rows->columns == 0 || rows->columns >= WIDE_COLUMNS;
    if (rows->is_wide)
        fixed += ID_COLUMNS + 1;
    unsigned left =
        rows->columns > fixed + NARROW_COLUMNS ? rows->columns - fixed : NARROW_COLUMNS;
    if (!rows->is_wide) {
        rows->error = ERROR_NARROW_COLUMNS;
        rows->type = left - ERROR_NARROW_COLUMNS;
    } else if (left > TYPE_COLUMNS + ERROR_COLUMNS) {
        unsigned spare = left - TYPE_COLUMNS - ERROR_COLUMNS;
        rows->type += spare / 2;
        rows->error += spare - spare / 2;
    }
}

static void print_head(const struct rows *rows)
{
    struct buf line = BUF_NULL;

    table_cell(&line, "SERVICE", SERVICE_COLUMNS + 1, false);
    table_cell(&line, "EVENT_TYPE", rows->type + 1, false);
    table_cell(&line, "STATUS", STATUS_COLUMNS + 1, false);
    table_cell(&line, "TIMESTAMP", TIME_COLUMNS + 1, false);
    table_cell(&line, "ERROR_MSG", rows->is_wide ? rows->error + 1 : 9, false);
    buf_text(&line, rows->is_wide ? "ID" : "");
    puts(buf_str(&line));
    buf_fini(&line);
}

static const char *remark(const struct ledger_row *row)
{
    if (row->status == STATUS_FAILED)
        return row->error_msg ? row->error_msg : row->error_class;
    if (row->is_found)
        return row->unconsumed ? "(found by a poll, unconsumed)" : "(found by a poll)";
    if (row->is_weak)
        return row->unconsumed ? "(weak, unconsumed)" : "(weak)";
    return row->unconsumed ? "(unconsumed)" : "";
}

/* What to do about a failure, by its class; the id follows. Where the effect is not known
 * it is looked up, unless a redrive cannot do it twice. */
static const char *next_step(const struct ledger_row *row)
{
    static const struct {
        enum record_class error_class;
        const char *command;
    } steps[] = {
        {CLASS_exhausted, "signalbox redrive "}, {CLASS_deadline, "signalbox redrive "},
        {CLASS_poison, "signalbox redrive "},    {CLASS_budget, "signalbox redrive "},
        {CLASS_unknown, "signalbox resolve "},
    };
    int class = row->error_class ? class_find(row->error_class) : CLASS_none;

    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
        if (!row->redrive && !row->verdict && strcmp(row->kind, "request") == 0 &&
            class == (int)steps[i].error_class)
            return row->may_redrive ? "signalbox redrive " : steps[i].command;
    return "signalbox trace ";
}

static void add_step(struct buf *line, const struct rows *rows,
                     const struct ledger_row *row)
{
    if (rows->columns && table_columns(remark(row)) > rows->error) {
        buf_text(line, "\n    ");
        table_cell(line, remark(row), 0, false);
    }
    buf_text(line, rows->columns ? "\n    " : " ");
    buf_text(line, row->redrive ? "redriven " : row->verdict ? "resolved " : "");
    buf_format(line, "-> %s", next_step(row));
    table_cell(line, row->redrive ? row->redrive : row->id_text, 0, false);
}

static void print_table(const struct rows *rows, const struct ledger_row *row)
{
    const char *status = status_name(row->status);
    bool cut = rows->columns > 0;
    struct buf line = BUF_NULL;

    table_cell(&line, row->service, SERVICE_COLUMNS, cut);
    buf_text(&line, " ");
    table_cell(&line, row->type, rows->type, cut);
    buf_format(&line, " %s", table_colour(status));
    table_cell(&line, status, STATUS_COLUMNS, false);
    buf_format(&line, "%s ", table_plain());
    table_time(&line, row->timestamp_us);
    buf_text(&line, " ");
    table_cell(&line, remark(row), rows->error, cut);
    if (rows->is_wide) {
        buf_text(&line, " ");
        table_cell(&line, row->id_text, ID_COLUMNS, false);
    }
    if (row->status == STATUS_FAILED)
        add_step(&line, rows, row);
    puts(buf_str(&line));
    buf_fini(&line);
}

/* --- CSV, as in RFC 4180 --- */

static void add_field(struct buf *line, const char *text)
{
    if (line->len)
        buf_text(line, ",");
    if (!text || !strpbrk(text, ",\"\r\n")) {
        buf_text(line, text ? text : "");
        return;
    }
    buf_text(line, "\"");
    for (; *text; text++)
        buf_add(line, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
    buf_text(line, "\"");
}

static void add_number(struct buf *line, int64_t number)
{
    buf_format(line, ",%" PRId64, number);
}

static void print_csv(const struct ledger_row *row)
{
    struct buf line = BUF_NULL;
    char timestamp[TEXT_TIME_SIZE], time[TEXT_TIME_SIZE];

    text_time(row->timestamp_us, timestamp);
    text_time(row->time_us, time);
    const char *const fields[] = {row->service,
                                  row->type,
                                  status_name(row->status),
                                  timestamp,
                                  row->error_msg,
                                  row->id_text,
                                  row->kind,
                                  time,
                                  row->key,
                                  row->cause,
                                  row->error_class,
                                  row->integration};
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        add_field(&line, fields[i]);
    add_number(&line, row->attempt);
    if (row->cost_micros == INT64_MIN)
        buf_text(&line, ",");
    else
        add_number(&line, row->cost_micros);
    add_field(&line, row->cost_currency);
    add_field(&line, row->cost_kind);
    puts(buf_str(&line));
    buf_fini(&line);
}

/* --- all of them --- */

void rows_begin(struct rows *rows, const struct cli *cli, enum rows_form form)
{
    *rows = (struct rows){.cli = cli, .form = form};
    lay_out(rows);
    if (form == ROWS_TABLE)
        print_head(rows);
    else if (form == ROWS_CSV)
        puts("service,event_type,status,timestamp,error_msg,id,kind,time,key,cause,"
             "error_class,integration,attempt,cost_micros,cost_currency,cost_kind");
}

bool rows_print(void *user, const struct ledger_row *row)
{
    const struct rows *rows = user;

    if (rows->form == ROWS_JSON)
        cli_print(rows->cli, ledger_row_json(row));
    else if (rows->form == ROWS_CSV)
        print_csv(row);
    else
        print_table(rows, row);
    return !ferror(stdout);
}
