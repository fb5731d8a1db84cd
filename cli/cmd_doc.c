/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* doc - the Integration Architecture Document of one integration or of all */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/dossier.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/document/document.h"

struct wish {
    const char *all, *directory, *format_name, *declared, *check;
    enum document_format format;
};

static int write_file(const char *directory, const char *name, const struct wish *w,
                      const struct buf *text)
{
    _free_ char *path = mem_format("%s/%s.%s", directory, name,
                                   w->format == DOCUMENT_HTML ? "html" : "md");
    FILE *file = fopen(path, "we");
    bool is_good = file && fwrite(text->bytes, 1, text->len, file) == text->len;

    is_good = (!file || fclose(file) == 0) && is_good;
    if (!is_good)
        return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
    printf("%s\n", path);
    return CLI_DONE;
}

/* A file for each, and the page that leads to them. */
static int write_all(const struct dossier *d, const struct wish *w)
{
    struct buf text = BUF_NULL;
    int status = CLI_DONE;

    if (mkdir(w->directory, 0777) != 0 && errno != EEXIST)
        return cli_fail(CLI_FAILED, "%s: %s", w->directory, strerror(errno));
    for (size_t i = 0; status == CLI_DONE && i < d->n; i++) {
        buf_clear(&text);
        document_write(&d->documents[i], w->format, &text);
        status = write_file(w->directory, d->documents[i].integration->name, w, &text);
    }
    if (status == CLI_DONE && w->all) {
        buf_clear(&text);
        document_index(d->documents, d->n, w->format, &text);
        status = write_file(w->directory, "index", w, &text);
    }
    buf_fini(&text);
    return status;
}

static int print_one(const struct dossier *d, const struct wish *w)
{
    struct buf text = BUF_NULL;

    if (d->n != 1)
        return cli_fail(CLI_USAGE,
                        "doc: name one of the integrations, or write all: --all -o DIR");
    document_write(&d->documents[0], w->format, &text);
    fputs(buf_str(&text), stdout);
    buf_fini(&text);
    return CLI_DONE;
}

/* --- check --- */

struct telling {
    const struct cli *cli;
    const char *integration;
};

static void tell(void *user, const struct document_finding *f)
{
    const struct telling *t = user;

    if (!t->cli->json) {
        printf("%s: %s: %s\n", f->where, f->kind, f->what);
        return;
    }
    struct json *o = js_set_text(js_object(), "integration", t->integration);
    js_set_text(js_set_text(o, "kind", f->kind), "where", f->where);
    cli_print(t->cli, js_set_text(o, "what", f->what));
}

static int check_all(struct cli *cli, const struct dossier *d)
{
    uint64_t now_us = clock_wall_us();
    size_t n = 0;

    for (size_t i = 0; i < d->n; i++) {
        struct telling t = {cli, d->documents[i].integration->name};
        n += document_check(&d->documents[i], now_us, tell, &t);
    }
    if (!cli->json && !n)
        puts("the documents and the log agree");
    return n ? CLI_FAILED : CLI_DONE;
}

static bool read_wish(struct wish *w, const char *name)
{
    if (w->format_name && strcmp(w->format_name, "md") != 0 &&
        strcmp(w->format_name, "html") != 0)
        cli_fail(CLI_USAGE, "--format: expected md or html");
    else if (w->all && name)
        cli_fail(CLI_USAGE, "doc: --all goes without the name of an integration");
    else if (w->all && !w->directory && !w->check)
        cli_fail(CLI_USAGE, "doc: --all needs -o DIR, where the files are to be");
    else
        return true;
    return false;
}

int cmd_doc(struct cli *cli, int argc, char **argv)
{
    struct wish w = {0};
    const struct cli_option options[] = {{"--all", NULL, &w.all},
                                         {"-o", "DIR", &w.directory},
                                         {"--format", "md|html", &w.format_name},
                                         {"--declared", NULL, &w.declared},
                                         {"--check", NULL, &w.check},
                                         {NULL, NULL, NULL}};
    struct dossier d;
    int n = cli_arguments(cli, options, argc, argv, 0, 1);
    const char *name = n == 1 ? argv[1] : NULL;

    if (n < 0 || !read_wish(&w, name))
        return CLI_USAGE;
    if (w.format_name && strcmp(w.format_name, "html") == 0)
        w.format = DOCUMENT_HTML;
    int status = dossier_open(&d, cli, name, w.declared != NULL);
    if (status == CLI_DONE)
        status = w.check       ? check_all(cli, &d)
                 : w.directory ? write_all(&d, &w)
                               : print_one(&d, &w);
    dossier_close(&d);
    return status;
}
