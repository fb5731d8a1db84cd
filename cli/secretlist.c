/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/secretlist.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/credential.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/ledger/ledger.h"
#include "lib/ledger/secrets.h"
#include "lib/vault/vault.h"

enum { ERROR_SIZE = 1024, VERSIONS_MAX = 16, AGE_SIZE = 32 };

struct listing {
    struct cli *cli;
    struct credentials all;
    uint64_t now_us;
    struct buf files; /* paths that were listed, each with its NUL */
};

/* A row. Times are 0 where there are none. */
struct line {
    const struct config_secret *secret;
    uint32_t version;
    uint64_t created_us, until_us, due_us;
    struct document_use used;
    struct document_use next_used; /* of an old one: the version that came after it */
    bool is_missing, is_matched;   /* is_matched: by somebody who says so */
};

/* --- a row --- */

static void age(const struct listing *l, uint64_t at_us, char text[AGE_SIZE])
{
    static const uint64_t units[] = {UINT64_C(86400000000), UINT64_C(3600000000),
                                     60000000, 1000000};
    uint64_t us = l->now_us > at_us ? l->now_us - at_us : 0;
    size_t i = 0;

    while (i < 3 && us < units[i])
        i++;
    text_duration(us - us % units[i], text, AGE_SIZE);
}

static struct json *set_time(struct json *o, const char *name, uint64_t time_us)
{
    char text[TEXT_TIME_SIZE];

    if (time_us)
        text_time(time_us, text);
    return js_set_text(o, name, time_us ? text : NULL);
}

static void print_json(const struct listing *l, const struct line *line)
{
    bool is_vault = line->secret->from == SECRET_VAULT;
    struct json *o = js_set_text(js_object(), "name", line->secret->name);

    js_set_text(o, "from", is_vault ? "vault" : "file");
    if (is_vault)
        js_set_int(o, "version", line->version);
    set_time(set_time(o, "created", line->created_us), "due", line->due_us);
    set_time(o, "until", line->until_us);
    set_time(set_time(o, "matched_first", line->used.first_us), "matched",
             line->used.last_us);
    if (line->is_missing)
        js_set_bool(o, "missing", true);
    cli_print(l->cli, o);
}

static void print_state(const struct listing *l, const struct line *line)
{
    char text[TEXT_TIME_SIZE];

    if (line->is_missing) {
        printf("MISSING\n");
        return;
    }
    if (line->until_us) {
        text_time(line->until_us, text);
        printf("old, valid until %s%s\n", text,
               line->is_matched ? credential_old(&line->used, &line->next_used) : "");
        return;
    }
    printf("%s", line->secret->from == SECRET_VAULT ? "current" : "a file, last changed");
    if (line->due_us) {
        text_time(line->due_us, text);
        printf(line->due_us <= l->now_us ? ", OVERDUE since %s" : ", due %s", text);
    }
    printf("\n");
}

static void print(const struct listing *l, const struct line *line)
{
    char old[AGE_SIZE] = "-", used[AGE_SIZE] = "-", version[16] = "-";
    bool is_vault = line->secret->from == SECRET_VAULT;

    if (l->cli->json) {
        print_json(l, line);
        return;
    }
    if (line->version)
        snprintf(version, sizeof(version), "%" PRIu32, line->version);
    if (!line->is_missing)
        age(l, line->created_us, old);
    if (line->used.last_us)
        age(l, line->used.last_us, used);
    else if (line->is_matched)
        snprintf(used, sizeof(used), "never");
    _free_ char *name = mem_format("%s%s", is_vault ? "" : "file:", line->secret->name);
    printf("%-24s %7s  %-6s %-8s ", name, version, old, used);
    print_state(l, line);
}

/* --- what is listed --- */

static bool is_matched(const struct listing *l, const struct config_secret *secret)
{
    return l->all.used && credential_is_matched(l->all.config, secret);
}

static void list_name(const struct listing *l, const char *name)
{
    const struct config_secret secret = {.from = SECRET_VAULT,
                                         .name = (char *)(uintptr_t)name};
    const struct vault_version *versions[VERSIONS_MAX];
    struct document_use next = {0};
    size_t n = vault_get(l->all.vault, name, l->now_us, versions, VERSIONS_MAX);

    for (size_t i = 0; i < n; i++) {
        const struct vault_version *v = versions[i];
        struct line line = {.secret = &secret,
                            .version = v->number,
                            .created_us = v->created_us,
                            .until_us = v->until_us,
                            .used = credential_used(&l->all, &secret, v->number),
                            .next_used = next,
                            .is_matched = is_matched(l, &secret)};
        if (!v->until_us)
            line.due_us = credential_due_us(l->all.config, &secret, v->created_us);
        print(l, &line);
        next = line.used;
    }
}

static bool is_listed(struct buf *files, const char *path)
{
    for (size_t at = 0; at < files->len; at += strlen(buf_str(files) + at) + 1)
        if (strcmp(buf_str(files) + at, path) == 0)
            return true;
    return false;
}

static void list_file(void *user, const struct config_secret *secret, const char *at)
{
    struct listing *l = user;
    struct document_secret about;

    (void)at; /* the same file may stand in several places */
    if (secret->from != SECRET_FILE || is_listed(&l->files, secret->name) ||
        !credential_about(&l->all, secret, &about))
        return;
    buf_add(&l->files, secret->name, strlen(secret->name) + 1);
    struct line line = {.secret = secret,
                        .created_us = about.created_us,
                        .used = about.used,
                        .is_missing = !about.is_there,
                        .is_matched = is_matched(l, secret)};
    if (about.is_there)
        line.due_us = credential_due_us(l->all.config, secret, about.created_us);
    print(l, &line);
}

/* --- sources --- */

/* Without a log nothing was used; with one that cannot be read nobody knows, which is
 * said. */
static void ask_log(struct listing *l)
{
    _free_ char *dir = config_log_dir(l->all.config);
    char error[ERROR_SIZE] = "";

    if (access(dir, F_OK) != 0)
        return;
    struct ledger *ledger = ledger_open(dir, error, sizeof(error));
    l->all.used = ledger ? ledger_secrets(ledger) : NULL;
    if (!l->all.used)
        fprintf(stderr, "signalbox: when they were used is not known: %s\n",
                ledger ? ledger_error(ledger) : error);
    ledger_close(ledger);
}

int secretlist(struct cli *cli)
{
    struct listing l = {
        .cli = cli, .all.config = cli_config(cli), .now_us = clock_wall_us()};
    char error[ERROR_SIZE];
    const char *name;

    if (!l.all.config)
        return CLI_USAGE;
    l.all.vault =
        vault_open(l.all.config->vault.vault_file, l.all.config->vault.master_key_file,
                   /* writable= */ false, error, sizeof(error));
    if (!l.all.vault)
        return cli_fail(CLI_USAGE, "%s", error);
    ask_log(&l);
    if (!cli->json)
        printf("%-24s %7s  %-6s %-8s %s\n", "NAME", "VERSION", "AGE", "MATCHED", "STATE");
    for (size_t i = 0; (name = vault_name(l.all.vault, i)) != NULL; i++)
        list_name(&l, name);
    credential_each(l.all.config, list_file, &l);
    ledger_secrets_free(l.all.used);
    vault_close(l.all.vault);
    buf_fini(&l.files);
    return CLI_DONE;
}
