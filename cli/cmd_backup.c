/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* backup - a copy of the log as far as it is now, with what belongs to it, checked after
 * copying; works whether or not anything runs */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/backup.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/store/copy.h"
#include "lib/store/store.h"
#include "lib/vault/secretfile.h"

static int copy_log(const struct config *config, const char *dir,
                    struct store_copied *ret)
{
    _free_ char *from = config_log_dir(config);
    _free_ char *to = mem_format("%s/log", dir);
    char error[512];
    struct store *store = store_open_reader(from, error, sizeof(error));

    if (!store)
        return cli_fail(CLI_FAILED, "there is no log to copy: %s", error);
    int status = backup_empty_dir(to);
    if (status == CLI_DONE && store_copy(store, to, backup_draw,
                                         (void *)(uintptr_t) "copying", ret) != STORE_OK)
        status = cli_fail(CLI_FAILED, "%s", store_error(store));
    backup_drawn();
    store_close(store);
    return status == CLI_DONE ? backup_check_log(from, to, ret) : status;
}

static int copy_files(const struct config *config, const char *dir, struct json *files)
{
    int status = CLI_DONE;

    for (const struct backup_file *f = backup_files; f->name && status == CLI_DONE; f++) {
        _free_ char *from = f->path(config);
        _free_ char *to = mem_format("%s/%s", dir, f->name);
        char sha256[65];
        bool is_there;
        status = backup_copy_file(from, to, &is_there, sha256);
        if (status == CLI_DONE && is_there)
            js_set_text(files, f->name, sha256);
    }
    return status;
}

/* backup.json, the last thing to be written: what is there before it is not a backup. */
static int write_manifest(const char *dir, const struct json *manifest)
{
    _free_ char *path = mem_format("%s/backup.json", dir);
    struct buf text = BUF_NULL;
    char error[512];

    js_write(manifest, 2, &text);
    buf_text(&text, "\n");
    bool good = secretfile_create(path, text.bytes, text.len, error, sizeof(error));
    buf_fini(&text);
    return good ? CLI_DONE : cli_fail(CLI_FAILED, "%s", error);
}

static int backup(const struct config *config, const char *dir, struct json *manifest)
{
    struct store_copied copied = {0};
    struct json *files = js_object();
    char made[TEXT_TIME_SIZE];
    int status = backup_empty_dir(dir);

    text_time(clock_wall_us(), made);
    js_set_text(js_set_int(manifest, "form", BACKUP_FORM), "made", made);
    if (status == CLI_DONE)
        status = copy_log(config, dir, &copied);
    if (status == CLI_DONE)
        status = copy_files(config, dir, files);
    js_set_int(js_set_int(manifest, "first_block", (int64_t)copied.first), "last_block",
               (int64_t)copied.last);
    js_set_int(js_set_int(manifest, "last_crc", copied.crc), "bytes",
               (int64_t)copied.bytes);
    js_set(manifest, "files", files);
    return status == CLI_DONE ? write_manifest(dir, manifest) : status;
}

int cmd_backup(struct cli *cli, int argc, char **argv)
{
    if (cli_arguments(cli, NULL, argc, argv, 1, 1) < 0)
        return CLI_USAGE;
    const struct config *config = cli_config(cli);
    if (!config)
        return CLI_USAGE;
    struct json *manifest = js_object();
    int status = backup(config, argv[1], manifest);
    if (status == CLI_DONE && cli->json) {
        cli_print(cli, manifest);
        return status;
    }
    if (status == CLI_DONE)
        printf(
            "blocks %" PRId64 " to %" PRId64 ", %" PRId64 " bytes, are in %s and "
            "checked\nNot in it is the vault's master key, %s: without it no secret in "
            "the vault can be read\n",
            js_int(manifest, "first_block", 0), js_int(manifest, "last_block", 0),
            js_int(manifest, "bytes", 0), argv[1], config->vault.master_key_file);
    js_free(manifest);
    return status;
}
