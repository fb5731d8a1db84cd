/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/reading.h"
#include "cli/table.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/ledger/ledger.h"

enum { LABEL_COLUMNS = 12 };

/* `    label       text`, made harmless for a terminal. */
static void line(const char *label, const char *text)
{
    struct buf out = BUF_NULL;

    if (!text || !*text)
        return;
    buf_text(&out, "  ");
    table_cell(&out, label, LABEL_COLUMNS, false);
    table_cell(&out, text, 0, false);
    puts(buf_str(&out));
    buf_fini(&out);
}

static void data_line(const struct json *event)
{
    const struct json *data = js_get(event, "data");
    struct buf text = BUF_NULL;

    if (data && !js_is_null(data))
        js_write(data, 0, &text);
    line("data", data ? buf_str(&text) : js_text(event, "data_base64", NULL));
    buf_fini(&text);
}

/* "Failed (permanent: card declined)" */
static void status_line(const char *label, const struct json *event, const char *more)
{
    struct buf text = BUF_NULL;
    const char *error_class = js_text(event, "error_class", NULL),
               *error_msg = js_text(event, "error_msg", NULL);

    buf_text(&text, js_text(event, "status", ""));
    if (error_class || error_msg)
        buf_format(&text, " (%s%s%s)", error_class ? error_class : "",
                   error_class && error_msg ? ": " : "", error_msg ? error_msg : "");
    buf_text(&text, more ? more : "");
    line(label, buf_str(&text));
    buf_fini(&text);
}

/* "as success by alice at ...: seen in the dashboard" */
static void verdict_line(const struct json *verdict)
{
    struct buf text = BUF_NULL;

    if (!verdict)
        return;
    buf_format(&text, "as %s by %s at %s: %s", js_text(verdict, "as", ""),
               js_text(verdict, "actor", "?"), js_text(verdict, "timestamp", ""),
               js_text(verdict, "note", ""));
    line("resolved", buf_str(&text));
    buf_fini(&text);
}

static void print_event(const struct json *t)
{
    struct buf head = BUF_NULL;

    buf_format(&head, "%s %s", js_text(t, "kind", ""), js_text(t, "type", ""));
    struct buf safe = BUF_NULL;
    table_cell(&safe, buf_str(&head), 0, false);
    puts(buf_str(&safe));
    buf_fini(&head);
    buf_fini(&safe);
    line("id", js_text(t, "id", NULL));
    line("service", js_text(t, "service", NULL));
    line("integration", js_text(t, "integration", NULL));
    line("source", js_text(t, "source", NULL));
    line("key", js_text(t, "key", NULL));
    line("cause", js_text(t, "cause", NULL));
    line("committed", js_text(t, "timestamp", NULL));
    line("deadline", js_text(t, "deadline", NULL));
    data_line(t);
    line("redrive", js_text(t, "redrive", NULL));
    verdict_line(js_get(t, "resolved"));
    status_line("status", t,
                js_bool(t, "unconsumed", false) ? ", unconsumed: no group takes it"
                                                : NULL);
}

static void print_attempts(const struct json *t)
{
    const struct json *attempts = js_get(t, "attempts"),
                      *settled = js_get(t, "settled_by");
    struct buf text = BUF_NULL;

    for (size_t i = 0; i < js_count(attempts); i++) {
        const struct json *a = js_at(attempts, i);
        buf_clear(&text);
        buf_format(&text, "%s attempt %" PRId64 " ended without an outcome: %s%s%s",
                   js_text(a, "timestamp", ""), js_int(a, "attempt", 0),
                   js_text(a, "error_msg", js_text(a, "error_class", "no reason given")),
                   js_get(a, "due") ? "; due again " : "", js_text(a, "due", ""));
        line(js_text(a, "group", "attempt"), buf_str(&text));
    }
    for (size_t i = 0; i < js_count(settled); i++) {
        buf_clear(&text);
        buf_format(&text, " by group %s at %s", js_text(js_at(settled, i), "group", "?"),
                   js_text(js_at(settled, i), "timestamp", ""));
        status_line("settled", js_at(settled, i), buf_str(&text));
    }
    buf_fini(&text);
}

static void print_outcome(const char *label, const struct json *outcome)
{
    struct buf text = BUF_NULL;

    if (!outcome || js_is_null(outcome))
        return;
    buf_format(&text, "%s %s %s", js_text(outcome, "timestamp", ""),
               js_text(outcome, "type", ""), js_text(outcome, "id", ""));
    line(label, buf_str(&text));
    data_line(outcome);
    buf_fini(&text);
}

static void print_followed(const struct json *t)
{
    const struct json *late = js_get(t, "late"), *followed = js_get(t, "followed");
    struct buf text = BUF_NULL;

    for (size_t i = 0; i < js_count(late); i++) {
        print_outcome("late", js_at(late, i));
        status_line("", js_at(late, i),
                    "; it came after the outcome and changed nothing");
    }
    for (size_t i = 0; i < js_count(followed); i++) {
        const struct json *f = js_at(followed, i);
        buf_clear(&text);
        buf_format(&text, "%s %s %s %s", js_text(f, "timestamp", ""),
                   js_text(f, "type", ""), js_text(f, "status", ""),
                   js_text(f, "id", ""));
        line("followed", buf_str(&text));
    }
    buf_fini(&text);
}

int cmd_trace(struct cli *cli, int argc, char **argv)
{
    int status;

    if (cli_arguments(cli, NULL, argc, argv, 1, 1) < 0)
        return CLI_USAGE;
    struct ledger *ledger = reading_open(cli, &status);
    if (!ledger)
        return status;
    struct json *t = ledger_trace(ledger, argv[1]);
    ledger_close(ledger);
    if (!t)
        return cli_fail(CLI_FAILED, "there is no event %s in the log", argv[1]);
    if (cli->json) {
        cli_print(cli, t);
        return CLI_DONE;
    }
    print_event(t);
    print_attempts(t);
    print_outcome("outcome", js_get(t, "outcome"));
    print_followed(t);
    js_free(t);
    return CLI_DONE;
}
