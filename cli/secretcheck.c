/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/secretcheck.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/credential.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"
#include "lib/vault/secretfile.h"
#include "lib/vault/vault.h"

enum { ERROR_SIZE = 1024 };

struct checking {
    struct credentials all;
    struct buf file; /* the configuration's; empty when it cannot be read again */
    uint64_t now_us;
    size_t unseen; /* in a vault that is not open */
    struct secretcheck found;
};

static void read_again(struct checking *c)
{
    FILE *file = fopen(c->all.config->path, "re");

    if (!file)
        return; /* places then have no line */
    c->file.len = fread(buf_reserve(&c->file, CONFIG_SIZE_MAX), 1, CONFIG_SIZE_MAX, file);
    (void)fclose(file); /* it was only read */
}

__attribute__((format(printf, 3, 4))) static void say(struct checking *c, const char *at,
                                                      const char *format, ...)
{
    int line =
        c->file.len ? config_line((const char *)c->file.bytes, c->file.len, at) : 0;
    char what[ERROR_SIZE + 200];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    fprintf(stderr, "%s:%d: %s: %s\n", c->all.config->path, line ? line : 1, at, what);
}

/* As `up` would read it; nothing of it is kept. */
static bool is_fit(struct checking *c, const struct config_secret *secret, const char *at)
{
    struct buf value = BUF_NULL;
    char error[ERROR_SIZE];
    bool is_read = secretfile_read(secret->name, &value, error, sizeof(error));

    if (!is_read)
        say(c, at, "%s", error);
    else if (!value.len)
        say(c, at, "%s: it is empty", secret->name);
    bool is_fit = is_read && value.len;
    if (value.bytes)
        crypto_wipe(value.bytes, value.cap);
    buf_fini(&value);
    return is_fit;
}

static void check_age(struct checking *c, const struct config_secret *secret,
                      const char *at, uint64_t created_us)
{
    uint64_t due_us = credential_due_us(c->all.config, secret, created_us);
    char created[TEXT_TIME_SIZE], due[TEXT_TIME_SIZE];

    if (!due_us || due_us > c->now_us)
        return;
    c->found.overdue++;
    text_time(created_us, created);
    text_time(due_us, due);
    say(c, at, "%s %s %.10s and had to change by %.10s (rotate_every)", secret->name,
        secret->from == SECRET_VAULT ? "was set on" : "was changed last on", created,
        due);
}

static void check_one(void *user, const struct config_secret *secret, const char *at)
{
    struct checking *c = user;
    struct document_secret about;

    if (secret->from == SECRET_FILE && !is_fit(c, secret, at)) {
        c->found.missing++;
    } else if (!credential_about(&c->all, secret, &about)) {
        c->unseen++;
    } else if (!about.is_there) {
        c->found.missing++;
        say(c, at, "the vault has no secret `%s`; `signalbox secret set %s` stores it",
            secret->name, secret->name);
    } else {
        check_age(c, secret, at, about.created_us);
    }
}

struct secretcheck secretcheck(const struct config *config)
{
    struct checking c = {.all.config = config, .now_us = clock_wall_us()};
    char error[ERROR_SIZE] = "there is no vault yet; `signalbox secret set` makes it";

    cli_undumpable();
    read_again(&c);
    if (access(config->vault.vault_file, F_OK) == 0)
        c.all.vault = vault_open(config->vault.vault_file, config->vault.master_key_file,
                                 /* writable= */ false, error, sizeof(error));
    credential_each(config, check_one, &c);
    if (c.unseen)
        fprintf(stderr, "signalbox: %zu secret%s of the vault %s not looked at: %s\n",
                c.unseen, c.unseen == 1 ? "" : "s", c.unseen == 1 ? "was" : "were",
                error);
    vault_close(c.all.vault);
    buf_fini(&c.file);
    return c.found;
}
