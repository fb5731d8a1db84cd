/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* The story of an event as a tree: what happened to it in the order of time, and below
 * what it led to the same again. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/reading.h"
#include "cli/table.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/money.h"
#include "lib/base/text.h"
#include "lib/ledger/ledger.h"

enum { LABEL_COLUMNS = 12, TIME_COLUMNS = 10 };

/* Something that happened to an event. */
struct branch {
    uint64_t time_us;
    size_t order; /* as it was found: for those of one block */
    void (*print)(const struct branch *branch, const char *prefix);
    const struct json *json;
    const struct json *event; /* whose branch it is */
};

struct branches {
    struct branch *list;
    size_t n;
};

/* --- lines --- */

/* Made harmless for a terminal. */
static void print_text(const char *prefix, const char *text)
{
    struct buf out = BUF_NULL;

    buf_text(&out, prefix);
    table_cell(&out, text, 0, false);
    puts(buf_str(&out));
    buf_fini(&out);
}

/* `PREFIX  label       text` */
static void print_detail(const char *prefix, const char *label, const char *text)
{
    struct buf out = BUF_NULL;

    if (!text || !*text)
        return;
    table_cell(&out, label, LABEL_COLUMNS, false);
    buf_text(&out, text);
    _free_ char *indented = mem_format("%s  ", prefix);
    print_text(indented, buf_str(&out));
    buf_fini(&out);
}

static void print_data(const char *prefix, const struct json *event)
{
    const struct json *data = js_get(event, "data");
    struct buf text = BUF_NULL;

    if (data && !js_is_null(data))
        js_write(data, 0, &text);
    print_detail(prefix, "data",
                 data ? buf_str(&text) : js_text(event, "data_base64", NULL));
    buf_fini(&text);
}

static uint64_t time_of(const struct json *json, const char *name)
{
    uint64_t time_us = 0;

    (void)text_parse_time(js_text(json, name, ""), &time_us); /* absent: 0 */
    return time_us;
}

/* "+3.25s  ", since the event was committed. */
static void add_since(struct buf *out, const struct branch *b)
{
    uint64_t from = time_of(b->event, "timestamp");
    uint64_t ms = b->time_us > from ? (b->time_us - from) / 1000 : 0;
    size_t at = out->len;

    buf_format(out, "+%" PRIu64 ".%03" PRIu64 "s", ms / 1000, ms % 1000);
    while (out->len - at < TIME_COLUMNS)
        buf_text(out, " ");
    buf_text(out, " ");
}

/* "Failed (permanent: card declined)" */
static void add_status(struct buf *out, const struct json *event)
{
    const char *error_class = js_text(event, "error_class", NULL),
               *error_msg = js_text(event, "error_msg", NULL);

    buf_text(out, js_text(event, "status", ""));
    if (error_class || error_msg)
        buf_format(out, " (%s%s%s)", error_class ? error_class : "",
                   error_class && error_msg ? ": " : "", error_msg ? error_msg : "");
    if (js_bool(event, "unconsumed", false))
        buf_text(out, ", unconsumed: no group takes it");
}

static void add_cost(struct buf *out, const struct json *event)
{
    const char *currency = js_text(event, "cost.currency", NULL);
    char text[MONEY_TEXT_SIZE];

    if (!currency)
        return;
    money_text(js_int(event, "cost.micros", 0), currency, text);
    buf_format(out, ", cost %s %s", text, js_text(event, "cost.kind", "estimated"));
}

/* --- branches --- */

static void print_attempt(const struct branch *b, const char *prefix)
{
    struct buf out = BUF_NULL;
    uint64_t due = time_of(b->json, "due");
    int64_t number = js_int(b->json, "attempt", 0);

    add_since(&out, b);
    if (number)
        buf_format(&out, "attempt %" PRId64, number);
    else /* lost with its session before it counted */
        buf_text(&out, "an attempt");
    buf_format(&out, " ended without an outcome: %s",
               js_text(b->json, "error_msg",
                       js_text(b->json, "error_class", "no reason given")));
    if (js_int(b->json, "deaths", 0))
        buf_format(&out, " (its connector died, %" PRId64 " in all)",
                   js_int(b->json, "deaths", 0));
    if (js_bool(b->json, "in_doubt", false))
        buf_text(&out, "; it may have had its effect");
    if (due > b->time_us)
        buf_format(&out, "; waits %" PRIu64 ".%03" PRIu64 "s, due %s",
                   (due - b->time_us) / 1000000, (due - b->time_us) / 1000 % 1000,
                   js_text(b->json, "due", ""));
    print_text(prefix, buf_str(&out));
    buf_fini(&out);
}

static void print_start(const struct branch *b, const char *prefix)
{
    struct buf out = BUF_NULL;

    add_since(&out, b);
    buf_text(&out, "an attempt began that may have had its effect from here on");
    print_text(prefix, buf_str(&out));
    buf_fini(&out);
}

static void print_settled(const struct branch *b, const char *prefix)
{
    struct buf out = BUF_NULL;

    add_since(&out, b);
    buf_format(&out, "group %s: ", js_text(b->json, "group", "?"));
    add_status(&out, b->json);
    print_text(prefix, buf_str(&out));
    buf_fini(&out);
}

static void print_outcome(const struct branch *b, const char *prefix)
{
    bool is_late = js_get(b->event, "outcome") != b->json;
    struct buf out = BUF_NULL;

    add_since(&out, b);
    buf_format(&out, "%s %s ", is_late ? "late outcome" : "outcome",
               js_text(b->json, "type", ""));
    add_status(&out, b->json);
    buf_format(&out, ", attempts %" PRId64, js_int(b->json, "attempt", 0));
    add_cost(&out, b->json);
    int64_t known = js_int(b->json, "known", 0);
    if (known)
        buf_format(&out, ", %" PRId64 " found that had come before", known);
    if (js_bool(b->json, "by_broker", false))
        buf_text(&out, ", written by the broker");
    if (is_late)
        buf_text(&out, "; it came after the outcome and changed nothing");
    print_text(prefix, buf_str(&out));
    buf_fini(&out);
}

static void print_row(const struct branch *b, const char *prefix)
{
    struct buf out = BUF_NULL;

    add_since(&out, b);
    buf_format(&out, "%s %s ", js_text(b->json, "kind", ""),
               js_text(b->json, "type", ""));
    add_status(&out, b->json);
    print_text(prefix, buf_str(&out));
    buf_fini(&out);
}

static void add_branch(struct branches *all, const struct json *event,
                       const struct json *json, const char *time,
                       void (*print)(const struct branch *, const char *))
{
    all->list = mem_resize(all->list, (all->n + 1) * sizeof(*all->list));
    all->list[all->n] = (struct branch){.time_us = time_of(json, time),
                                        .order = all->n,
                                        .print = print,
                                        .json = json,
                                        .event = event};
    all->n++;
}

static int by_time(const void *a, const void *b)
{
    const struct branch *x = a, *y = b;

    if (x->time_us != y->time_us)
        return x->time_us < y->time_us ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static struct branches gather(const struct json *event)
{
    static const struct {
        const char *name;
        void (*print)(const struct branch *, const char *);
    } kinds[] = {{"starts", print_start},    {"attempts", print_attempt},
                 {"outcome", print_outcome}, {"settled_by", print_settled},
                 {"late", print_outcome},    {"followed", print_row}};
    struct branches all = {0};

    for (size_t k = 0; k < sizeof(kinds) / sizeof(*kinds); k++) {
        const struct json *list = js_get(event, kinds[k].name);
        if (js_is_object(list))
            add_branch(&all, event, list, "timestamp", kinds[k].print);
        for (size_t i = 0; js_is_array(list) && i < js_count(list); i++)
            add_branch(&all, event, js_at(list, i), "timestamp", kinds[k].print);
    }
    if (all.n)
        qsort(all.list, all.n, sizeof(*all.list), by_time);
    return all;
}

/* --- the tree --- */

static void print_head(const char *prefix, const struct json *t)
{
    struct buf out = BUF_NULL;

    buf_format(&out, "%s %s ", js_text(t, "kind", ""), js_text(t, "type", ""));
    add_status(&out, t);
    print_text(prefix, buf_str(&out));
    buf_fini(&out);
}

/* What a person said about it. */
static void print_verdict(const char *prefix, const struct json *verdict)
{
    if (!verdict)
        return;
    _free_ char *text = mem_format("as %s by %s at %s: %s", js_text(verdict, "as", "?"),
                                   js_text(verdict, "actor", "somebody"),
                                   js_text(verdict, "timestamp", "?"),
                                   js_text(verdict, "note", "no note"));
    print_detail(prefix, "resolved", text);
}

static void print_details(const char *prefix, const struct json *t)
{
    static const struct {
        const char *label, *name;
    } details[] = {
        {"id", "id"},         {"service", "service"},     {"integration", "integration"},
        {"source", "source"}, {"endpoint", "endpoint"},   {"key", "key"},
        {"cause", "cause"},   {"committed", "timestamp"}, {"deadline", "deadline"}};

    for (size_t i = 0; i < sizeof(details) / sizeof(*details); i++)
        print_detail(prefix, details[i].label, js_text(t, details[i].name, NULL));
    if (js_bool(t, "weak", false))
        print_detail(prefix, "weak", "its provider signs too little to prove the body");
    if (js_bool(t, "found", false)) {
        _free_ char *how = mem_format("in the run that is its cause, as %s",
                                      js_text(t, "event_id", "?"));
        print_detail(prefix, "found", how);
    }
    print_data(prefix, t);
    print_verdict(prefix, js_get(t, "resolved"));
}

static void print_event(const char *head, const char *below, const struct json *t);

/* What followed is a story of its own when the log was asked for it. */
static void print_branch(const struct branch *b, const char *below, bool is_last)
{
    _free_ char *head = mem_format("%s%s ", below, is_last ? "`-" : "|-");
    _free_ char *next = mem_format("%s%s ", below, is_last ? "  " : "| ");

    if (b->print == print_row && js_get(b->json, "attempts")) {
        print_event(head, next, b->json);
        return;
    }
    b->print(b, head);
    if (b->print == print_outcome) {
        print_detail(next, "id", js_text(b->json, "id", NULL));
        print_data(next, b->json);
    }
}

static void print_event(const char *head, const char *below, const struct json *t)
{
    struct branches all = gather(t);
    _free_ char *beside = mem_format("%s%s", below, all.n ? "|" : " ");

    print_head(head, t);
    print_details(beside, t);
    for (size_t i = 0; i < all.n; i++)
        print_branch(&all.list[i], below, i + 1 == all.n);
    free(all.list);
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
    print_event("", "", t);
    js_free(t);
    return CLI_DONE;
}
