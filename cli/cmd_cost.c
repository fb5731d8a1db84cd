/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
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
#include "lib/config/config.h"
#include "lib/ledger/cost.h"
#include "lib/ledger/ledger.h"

enum { NAME_COLUMNS = 28, MONEY_COLUMNS = 20, DAY_TEXT = 10 };

enum by { BY_INTEGRATION, BY_OPERATION, BY_DAY };

static const char *const by_names[] = {"integration", "operation", "day"};

/* One line: what calls of one name cost in one currency. */
struct line {
    char *name;
    char currency[8]; /* "" while none of its calls has a cost */
    uint64_t calls, unpriced;
    int64_t actual, estimated, configured; /* millionths */
};

struct costs {
    const struct config *config;
    enum by by;
    struct line *lines;
    size_t n;
};

/* --- summing --- */

static struct line *line_of(struct costs *c, const char *name, const char *currency)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->lines[i].name, name) == 0 &&
            strcmp(c->lines[i].currency, currency) == 0)
            return &c->lines[i];
    c->lines = mem_resize(c->lines, (c->n + 1) * sizeof(*c->lines));
    struct line *line = &c->lines[c->n++];
    *line = (struct line){.name = mem_text(name)};
    snprintf(line->currency, sizeof(line->currency), "%s", currency);
    return line;
}

/* What the configuration says that a call without a cost of its own costs: only where it
 * succeeded, and by the price of its day. */
static const struct config_price *price_of(const struct costs *c,
                                           const struct ledger_cost *cost)
{
    const char *operation =
        strchr(cost->operation, '.'); /* behind the connector's name */
    const struct config_integration *integration =
        cost->integration ? config_integration(c->config, cost->integration) : NULL;

    return integration && operation && cost->is_success && !*cost->currency
               ? config_price(integration, operation + 1, cost->timestamp_us)
               : NULL;
}

static void take_cost(void *user, const struct ledger_cost *cost)
{
    struct costs *c = user;
    const struct config_price *price = price_of(c, cost);
    char day[TEXT_TIME_SIZE];

    text_time(cost->timestamp_us, day);
    day[DAY_TEXT] = 0;
    const char *const names[] = {cost->integration ? cost->integration : "-",
                                 cost->operation, day};
    struct line *line =
        line_of(c, names[c->by], price ? price->price.currency : cost->currency);
    line->calls += cost->calls;
    if (price)
        line->configured += price->price.micros * (int64_t)cost->calls;
    else if (!*cost->currency)
        line->unpriced += cost->calls;
    else if (cost->is_actual)
        line->actual += cost->micros;
    else
        line->estimated += cost->micros;
}

static int by_name(const void *a, const void *b)
{
    const struct line *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : strcmp(x->currency, y->currency);
}

/* --- printing --- */

static void print_line(const struct line *line)
{
    const int64_t amounts[] = {line->actual, line->estimated, line->configured,
                               line->actual + line->estimated + line->configured};
    char text[MONEY_TEXT_SIZE];
    struct buf out = BUF_NULL;

    table_cell(&out, line->name, NAME_COLUMNS, false);
    buf_format(&out, " %10" PRIu64, line->calls);
    for (size_t i = 0; i < 4 && *line->currency; i++) {
        money_text(amounts[i], line->currency, text);
        buf_format(&out, " %*s", MONEY_COLUMNS, text);
    }
    if (!*line->currency)
        buf_text(&out, "  without a cost");
    puts(buf_str(&out));
    buf_fini(&out);
}

static void print_table(const struct costs *c)
{
    struct line all[16] = {{0}}; /* by currency; more are not summed */
    size_t n = 0;

    printf("%-*s %10s %*s %*s %*s %*s\n", NAME_COLUMNS, by_names[c->by], "calls",
           MONEY_COLUMNS, "actual", MONEY_COLUMNS, "estimated", MONEY_COLUMNS,
           "by prices", MONEY_COLUMNS, "sum");
    for (size_t i = 0; i < c->n; i++) {
        const struct line *line = &c->lines[i];
        size_t at = 0;
        print_line(line);
        while (at < n && strcmp(all[at].currency, line->currency) != 0)
            at++;
        if (!*line->currency || at == sizeof(all) / sizeof(*all))
            continue;
        n += at == n;
        memcpy(all[at].currency, line->currency, sizeof(all[at].currency));
        all[at].name = (char *)(uintptr_t) "all";
        all[at].calls += line->calls;
        all[at].actual += line->actual;
        all[at].estimated += line->estimated;
        all[at].configured += line->configured;
    }
    for (size_t i = 0; i < n && c->n > 1; i++)
        print_line(&all[i]);
    puts(
        "\nactual: as the service said; estimated: as the connector reckoned; by prices: "
        "calls without a\ncost, at the prices of the configuration for their day");
}

static void print_json(const struct cli *cli, const struct costs *c)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct line *line = &c->lines[i];
        struct json *o = js_set_text(js_object(), by_names[c->by], line->name);
        js_set(o, "currency",
               *line->currency ? js_from_text(line->currency, strlen(line->currency))
                               : js_null());
        js_set_int(o, "calls", (int64_t)line->calls);
        js_set_int(o, "unpriced_calls", (int64_t)line->unpriced);
        js_set_int(js_set_int(o, "actual_micros", line->actual), "estimated_micros",
                   line->estimated);
        js_set_int(o, "configured_micros", line->configured);
        js_set_int(o, "sum_micros", line->actual + line->estimated + line->configured);
        cli_print(cli, o);
    }
}

/* --- the command --- */

static bool parse_by(const char *text, enum by *ret)
{
    for (unsigned i = 0; text && i < sizeof(by_names) / sizeof(*by_names); i++)
        if (strcmp(text, by_names[i]) == 0) {
            *ret = (enum by)i;
            return true;
        }
    if (text)
        cli_fail(CLI_USAGE, "--by: expected integration, operation or day");
    return !text;
}

static int report(struct cli *cli, struct costs *c, uint64_t since_us, uint64_t until_us)
{
    int status;
    struct ledger *ledger = reading_open(cli, &status);

    if (!ledger)
        return status;
    c->config = cli_config(cli);
    if (ledger_costs(ledger, since_us, until_us, take_cost, c) < 0) {
        status = cli_fail(CLI_FAILED, "%s", ledger_error(ledger));
    } else {
        if (c->n)
            qsort(c->lines, c->n, sizeof(*c->lines), by_name);
        if (cli->json)
            print_json(cli, c);
        else
            print_table(c);
        status = CLI_DONE;
    }
    ledger_close(ledger);
    return status;
}

int cmd_cost(struct cli *cli, int argc, char **argv)
{
    const char *since = NULL, *until = NULL, *by = NULL;
    const struct cli_option options[] = {{"--since", "TIME", &since},
                                         {"--until", "TIME", &until},
                                         {"--by", "integration|operation|day", &by},
                                         {NULL, NULL, NULL}};
    struct costs c = {0};
    uint64_t since_us = 0, until_us = 0;

    if (cli_arguments(cli, options, argc, argv, 0, 0) < 0 || !parse_by(by, &c.by) ||
        (since && !cli_time("--since", since, &since_us)) ||
        (until && !cli_time("--until", until, &until_us)))
        return CLI_USAGE;
    int status = report(cli, &c, since_us, until_us);
    for (size_t i = 0; i < c.n; i++)
        free(c.lines[i].name);
    free(c.lines);
    return status;
}
