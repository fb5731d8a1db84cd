/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* token - who may use the HTTP API.  The text of a token is shown once, when it is made;
 * what is kept is its hash.  A running gateway sees the change with its next request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"
#include "lib/service/service.h"
#include "lib/tokens/tokens.h"

enum { ERROR_SIZE = 1024 };

#define FIRST_NAME "admin" /* of the token that the first start makes */

/* What a command works on. */
struct token_file {
    char *path;
    int lock_fd; /* -1: reading only */
    struct tokens *tokens;
};

static void file_close(struct token_file *file)
{
    if (file->lock_fd >= 0)
        close(file->lock_fd);
    free(file->tokens);
    free(file->path);
}

static int file_open(struct cli *cli, bool is_writing, struct token_file *ret)
{
    char error[ERROR_SIZE];
    const struct config *config = cli_config(cli);
    if (!config)
        return CLI_USAGE;
    *ret = (struct token_file){.path = tokens_path(config->data),
                               .lock_fd = -1,
                               .tokens = mem_alloc(sizeof(*ret->tokens))};
    if (is_writing) {
        ret->lock_fd = service_lock(config->data, "tokens", error, sizeof(error));
        if (ret->lock_fd < 0)
            return cli_fail(CLI_FAILED, "%s", error);
    }
    if (!tokens_read(ret->path, ret->tokens, error, sizeof(error)))
        return cli_fail(CLI_USAGE, "%s", error);
    return CLI_DONE;
}

static int file_save(const struct token_file *file)
{
    char error[ERROR_SIZE];
    return tokens_write(file->path, file->tokens, error, sizeof(error))
               ? CLI_DONE
               : cli_fail(CLI_FAILED, "%s", error);
}

static bool is_valid(const struct token *t, uint64_t now_us)
{
    return t->until_us == 0 || now_us < t->until_us;
}

/* Those whose time is over say nothing any more. */
static void drop_ended(struct tokens *tokens, uint64_t now_us)
{
    size_t n = 0;
    for (size_t i = 0; i < tokens->n; i++)
        if (is_valid(&tokens->items[i], now_us))
            tokens->items[n++] = tokens->items[i];
    tokens->n = n;
}

/* The newest with this name. */
static struct token *find(struct tokens *tokens, const char *name)
{
    for (size_t i = tokens->n; i-- > 0;)
        if (!strcmp(tokens->items[i].name, name))
            return &tokens->items[i];
    return NULL;
}

/* Add it, save, and show its text: the only time it is seen. */
static int add(struct cli *cli, const struct token_file *file, struct token token)
{
    char text[TOKEN_TEXT_SIZE], list[TOKEN_SCOPES_SIZE], until[TEXT_TIME_SIZE];
    if (file->tokens->n == TOKENS_MAX)
        return cli_fail(CLI_FAILED, "there are %d tokens; revoke one first", TOKENS_MAX);
    token_make(text);
    token_hash(text, token.hash);
    file->tokens->items[file->tokens->n++] = token;
    int status = file_save(file);
    if (status == CLI_DONE && cli->json) {
        struct json *made = js_set_text(js_object(), "name", token.name);
        scopes_text(token.scopes, list);
        text_time(token.until_us, until);
        js_set_text(js_set_text(made, "scopes", list), "until",
                    token.until_us ? until : NULL);
        cli_print(cli, js_set_text(made, "token", text));
    } else if (status == CLI_DONE) {
        printf("%s\n", text);
        fprintf(stderr, "This is the only time it is shown; keep it as a secret.\n");
    }
    crypto_wipe(text, sizeof(text));
    return status;
}

static int make(struct cli *cli, const char *name, const char *scopes,
                const char *expires)
{
    struct token_file file = {.lock_fd = -1};
    struct token token = {.created_us = clock_wall_us()};
    const char *unknown;
    uint64_t valid_us = 0;
    size_t n;
    if (!scopes)
        return cli_fail(CLI_USAGE, "token new: say --scope, of publish, call, read, "
                                   "admin with commas between");
    if (!scopes_parse(scopes, &token.scopes, &unknown, &n))
        return cli_fail(CLI_USAGE,
                        "--scope: `%.*s` is no scope; expected some of publish, call, "
                        "read, admin with commas between",
                        (int)n, unknown);
    if (!strcmp(name, FIRST_NAME))
        return cli_fail(CLI_USAGE,
                        "`%s` is the name of the first start's token; choose "
                        "another",
                        FIRST_NAME);
    if (expires && !cli_duration("--expires", expires, &valid_us))
        return CLI_USAGE;
    token.until_us = valid_us ? token.created_us + valid_us : 0;
    snprintf(token.name, sizeof(token.name), "%s", name);
    int status = file_open(cli, /* is_writing= */ true, &file);
    if (status == CLI_DONE) {
        drop_ended(file.tokens, token.created_us);
        status = find(file.tokens, name)
                     ? cli_fail(CLI_FAILED,
                                "there is a token `%s`; `signalbox token rotate %s` "
                                "replaces it",
                                name, name)
                     : add(cli, &file, token);
    }
    file_close(&file);
    return status;
}

static int rotate(struct cli *cli, const char *name, const char *keep)
{
    struct token_file file = {.lock_fd = -1};
    uint64_t keep_us = 0, now_us = clock_wall_us();
    if (keep && !cli_duration("--keep-old", keep, &keep_us))
        return CLI_USAGE;
    int status = file_open(cli, /* is_writing= */ true, &file);
    if (status == CLI_DONE) {
        drop_ended(file.tokens, now_us);
        struct token *old = find(file.tokens, name);
        if (!old) {
            status = cli_fail(CLI_FAILED, "there is no token `%s`", name);
        } else {
            struct token made = *old;
            /* The new one is valid as long as the old one was to be. */
            if (made.until_us)
                made.until_us = now_us + (made.until_us - made.created_us);
            made.created_us = now_us;
            if (!old->until_us || old->until_us > now_us + keep_us)
                old->until_us = now_us + keep_us;
            drop_ended(file.tokens, now_us);
            status = add(cli, &file, made);
        }
    }
    file_close(&file);
    return status;
}

static int end_all(struct cli *cli, const char *name)
{
    struct token_file file = {.lock_fd = -1};
    int status = file_open(cli, /* is_writing= */ true, &file);
    if (status == CLI_DONE) {
        size_t n = 0, before = file.tokens->n;
        for (size_t i = 0; i < before; i++)
            if (strcmp(file.tokens->items[i].name, name) != 0)
                file.tokens->items[n++] = file.tokens->items[i];
        file.tokens->n = n;
        status = n == before ? cli_fail(CLI_FAILED, "there is no token `%s`", name)
                             : file_save(&file);
    }
    file_close(&file);
    return status;
}

static void list_one(struct cli *cli, const struct token *t, uint64_t now_us)
{
    char list[TOKEN_SCOPES_SIZE], created[TEXT_TIME_SIZE], until[TEXT_TIME_SIZE];
    scopes_text(t->scopes, list);
    text_time(t->created_us, created);
    text_time(t->until_us, until);
    if (cli->json) {
        struct json *line = js_set_text(js_object(), "name", t->name);
        js_set_text(js_set_text(line, "scopes", list), "created", created);
        js_set_text(line, "until", t->until_us ? until : NULL);
        cli_print(cli, js_set_bool(line, "valid", is_valid(t, now_us)));
        return;
    }
    printf("%-24s %-24s %.19sZ  %.19s%s\n", t->name, list, created,
           t->until_us ? until : "-",
           !t->until_us          ? ""
           : is_valid(t, now_us) ? "Z"
                                 : "Z (over)");
}

static int list(struct cli *cli)
{
    struct token_file file = {.lock_fd = -1};
    int status = file_open(cli, /* is_writing= */ false, &file);
    if (status == CLI_DONE) {
        if (!cli->json)
            printf("%-24s %-24s %-20s  %s\n", "NAME", "SCOPES", "CREATED", "UNTIL");
        for (size_t i = 0; i < file.tokens->n; i++)
            list_one(cli, &file.tokens->items[i], clock_wall_us());
        if (!cli->json)
            fprintf(stderr,
                    "Beside these, the token of the first start (all scopes) is "
                    "in %s\n",
                    cli_config(cli)->gateway.token_file);
    }
    file_close(&file);
    return status;
}

int cmd_token(struct cli *cli, int argc, char **argv)
{
    const char *scope = NULL, *expires = NULL, *keep = NULL;
    const struct cli_option options[] = {{"--scope", "LIST", &scope},
                                         {"--expires", "90d", &expires},
                                         {"--keep-old", "24h", &keep},
                                         {NULL, NULL, NULL}};
    int n = cli_arguments(cli, options, argc, argv, 1, 2);
    if (n < 0)
        return CLI_USAGE;
    cli_undumpable();
    if (n == 1 && !strcmp(argv[1], "list"))
        return list(cli);
    if (n == 2 && !text_is_name(argv[2]))
        return cli_fail(
            CLI_USAGE, "`%s` is no name; expected 1 to 64 of a-z 0-9 _ -, first a letter",
            argv[2]);
    if (n == 2 && !strcmp(argv[1], "new") && !keep)
        return make(cli, argv[2], scope, expires);
    if (n == 2 && !strcmp(argv[1], "rotate") && !scope && !expires)
        return rotate(cli, argv[2], keep);
    if (n == 2 && !strcmp(argv[1], "revoke"))
        return end_all(cli, argv[2]);
    return cli_fail(CLI_USAGE, "token: expected new NAME --scope LIST [--expires 90d], "
                               "list, rotate NAME [--keep-old 24h] or revoke NAME");
}
