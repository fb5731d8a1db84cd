/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/summary.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/reading.h"
#include "cli/table.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/ledger/ledger.h"
#include "lib/ledger/tally.h"
#include "proto/record.h"

enum { SERVICE_COLUMNS = 12, TYPE_COLUMNS = 44 };

struct line {
    char *service, *type;
    uint64_t seen, success, failed;
    uint64_t classes[CLASS_COUNT];
};

struct summary {
    struct line *lines;
    size_t n;
};

static struct line *line_of(struct summary *s, const char *service, const char *type)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->lines[i].service, service) == 0 &&
            strcmp(s->lines[i].type, type) == 0)
            return &s->lines[i];
    s->lines = mem_resize(s->lines, (s->n + 1) * sizeof(*s->lines));
    s->lines[s->n] = (struct line){.service = mem_text(service), .type = mem_text(type)};
    return &s->lines[s->n++];
}

/* A fact counts as failed when it came so, or a group gave it up; what became of it else
 * is not counted. */
static void take(void *user, const struct ledger_tally *t)
{
    struct line *line = line_of(user, t->service ? t->service : "-", t->type);
    bool is_seen =
        t->what == VIEWS_ASKED || t->what == VIEWS_TOLD || t->what == VIEWS_ANSWERED;
    bool ends =
        t->what == VIEWS_ENDED || t->what == VIEWS_GIVEN_UP || t->what == VIEWS_TOLD;

    if (is_seen)
        line->seen += t->count;
    if (ends && t->status == STATUS_SUCCESS)
        line->success += t->count;
    if (ends && t->status == STATUS_FAILED) {
        line->failed += t->count;
        if (t->error_class < CLASS_COUNT)
            line->classes[t->error_class] += t->count;
    }
}

static int by_name(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = strcmp(x->service, y->service);

    return order ? order : strcmp(x->type, y->type);
}

static void print_line(const struct line *line)
{
    struct buf out = BUF_NULL;
    const char *between = "";

    table_cell(&out, line->service, SERVICE_COLUMNS, false);
    buf_text(&out, " ");
    table_cell(&out, line->type, TYPE_COLUMNS, false);
    buf_format(&out, " %10" PRIu64 " %10" PRIu64 " %10" PRIu64 "  ", line->seen,
               line->success, line->failed);
    for (unsigned i = 1; i < CLASS_COUNT; i++)
        if (line->classes[i]) {
            buf_format(&out, "%s%s %" PRIu64, between, class_name(i), line->classes[i]);
            between = ", ";
        }
    puts(buf_str(&out));
    buf_fini(&out);
}

static struct json *line_json(const struct line *line)
{
    struct json *classes = js_object(), *o = js_object();

    for (unsigned i = 1; i < CLASS_COUNT; i++)
        if (line->classes[i])
            js_set_int(classes, class_name(i), (int64_t)line->classes[i]);
    js_set_text(js_set_text(o, "service", line->service), "event_type", line->type);
    js_set_int(js_set_int(o, "seen", (int64_t)line->seen), "success",
               (int64_t)line->success);
    return js_set(js_set_int(o, "failed", (int64_t)line->failed), "classes", classes);
}

static void print_all(const struct cli *cli, const struct summary *s)
{
    if (!cli->json)
        printf("%-*s %-*s %10s %10s %10s\n", SERVICE_COLUMNS, "SERVICE", TYPE_COLUMNS,
               "EVENT_TYPE", "SEEN", "SUCCESS", "FAILED");
    for (size_t i = 0; i < s->n; i++)
        if (cli->json)
            cli_print(cli, line_json(&s->lines[i]));
        else
            print_line(&s->lines[i]);
}

/* Counted is what the views know: a live logger is some milliseconds ahead of them. */
static int count(struct cli *cli, struct ledger *ledger, struct summary *s,
                 uint64_t since_us, uint64_t until_us)
{
    uint64_t last = 0;

    if (ledger_tallies(ledger, since_us, until_us, take, s, &last) < 0)
        return cli_fail(CLI_FAILED, "%s", ledger_error(ledger));
    if (last == 0 && ledger_end(ledger) > 0)
        return cli_fail(CLI_FAILED, "there are no views to count from; a logger makes "
                                    "them, or `signalbox log --rebuild-views`");
    if (s->n)
        qsort(s->lines, s->n, sizeof(*s->lines), by_name);
    print_all(cli, s);
    return CLI_DONE;
}

int summary_print(struct cli *cli, uint64_t since_us, uint64_t until_us)
{
    struct summary s = {0};
    int status;
    struct ledger *ledger = reading_open(cli, &status);

    if (!ledger)
        return status;
    status = count(cli, ledger, &s, since_us, until_us);
    for (size_t i = 0; i < s.n; i++) {
        free(s.lines[i].service);
        free(s.lines[i].type);
    }
    free(s.lines);
    ledger_close(ledger);
    return status;
}
