/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* restore - a backup becomes the data of a system that has none, and charges nobody
 *
 * An old log has requests that were pending then and were settled since.  So the last
 * block of the restored log, written here before anything can start on it, pauses every
 * integration, and says why; a person resumes them.  The log gets its name when it is
 * whole: an interrupted restore leaves nothing that `up` would take for one. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/ask.h"
#include "cli/backup.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/id.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/service/service.h"
#include "lib/store/copy.h"
#include "lib/store/store.h"
#include "proto/attrs.h"
#include "proto/block.h"

struct restoring {
    const struct config *config;
    const char *dir; /* of the backup */
    struct json *manifest;
    char *log; /* where it is until it is whole: <data>/log.restoring */
    struct store_copied copied;
    struct json *names; /* the integrations that the log names, as members */
};

/* --- the backup --- */

static int read_manifest(struct restoring *r)
{
    _free_ char *path = mem_format("%s/backup.json", r->dir);
    struct buf text = BUF_NULL;
    char error[256] = "it is too large";
    FILE *file = fopen(path, "re");

    if (!file)
        return cli_fail(CLI_FAILED, "%s is no whole backup: backup.json: %s", r->dir,
                        strerror(errno));
    text.len = fread(buf_reserve(&text, 65536), 1, 65536, file);
    if (text.len < 65536)
        r->manifest = js_parse((const char *)text.bytes, text.len, error, sizeof(error));
    fclose(file);
    buf_fini(&text);
    if (!r->manifest)
        return cli_fail(CLI_FAILED, "%s: %s", path, error);
    if (js_int(r->manifest, "form", 0) != BACKUP_FORM)
        return cli_fail(CLI_FAILED, "%s: a backup of form %" PRId64 ", this reads %d",
                        path, js_int(r->manifest, "form", 0), BACKUP_FORM);
    return CLI_DONE;
}

static int copy_log(struct restoring *r)
{
    _free_ char *from = mem_format("%s/log", r->dir);
    char error[512];
    struct store *store = store_open_reader(from, error, sizeof(error));

    if (!store)
        return cli_fail(CLI_FAILED, "%s", error);
    int status = backup_empty_dir(r->log);
    if (status == CLI_DONE &&
        store_copy(store, r->log, backup_draw, (void *)(uintptr_t) "restoring",
                   &r->copied) != STORE_OK)
        status = cli_fail(CLI_FAILED, "%s", store_error(store));
    backup_drawn();
    store_close(store);
    if (status == CLI_DONE &&
        (r->copied.last != (uint64_t)js_int(r->manifest, "last_block", -1) ||
         r->copied.crc != (uint32_t)js_int(r->manifest, "last_crc", -1)))
        status = cli_fail(CLI_FAILED,
                          "%s: the log ends at block %" PRIu64
                          ", backup.json says block %" PRId64 " of another content",
                          from, r->copied.last, js_int(r->manifest, "last_block", -1));
    return status == CLI_DONE ? backup_check_log(from, r->log, &r->copied) : status;
}

static int copy_files(struct restoring *r)
{
    int status = CLI_DONE;

    for (const struct backup_file *f = backup_files; f->name && status == CLI_DONE; f++) {
        const char *expected = js_text(js_get(r->manifest, "files"), f->name, NULL);
        _free_ char *from = mem_format("%s/%s", r->dir, f->name);
        _free_ char *to = f->path(r->config);
        char sha256[65] = "";
        bool is_there;
        if (!f->is_restored || !expected)
            continue;
        status = backup_copy_file(from, to, &is_there, sha256);
        if (status == CLI_DONE && strcmp(sha256, expected) != 0) {
            (void)unlink(to); /* ours, made a moment ago */
            status =
                cli_fail(CLI_FAILED, "%s is not what the backup was made with", from);
        }
    }
    return status;
}

/* --- the pause --- */

static bool find_names(void *user, uint64_t number, const struct block *block,
                       const char *why)
{
    struct restoring *r = user;
    char error[64];

    (void)number;
    (void)why; /* it was checked before */
    for (const struct record *rec = block && block->count ? block_first(block) : NULL;
         rec; rec = block_next(block, rec)) {
        if (rec->kind != RECORD_INTEGRATION)
            continue;
        struct json *json =
            js_parse((const char *)record_data(rec), rec->data_len, error, sizeof(error));
        const char *name = js_text(json, "name", NULL);
        if (name)
            js_set_bool(r->names, name, true);
        js_free(json);
    }
    return true;
}

static void add_pause(const struct restoring *r, const char *name, struct buf *block)
{
    _free_ char *reason = mem_format(
        "restored from the backup of %s; what was pending then may have been done since",
        js_text(r->manifest, "made", "an unknown time"));
    struct json *data = js_set_text(js_object(), "name", name);
    struct buf attrs = BUF_NULL, text = BUF_NULL;
    char since[TEXT_TIME_SIZE];
    uint8_t id[16];
    _free_ char *actor = ask_actor();

    text_time(clock_wall_us(), since);
    js_set_text(js_set_text(data, "since", since), "actor", actor);
    js_write(js_set_text(data, "reason", reason), 0, &text);
    js_free(data);
    attrs_begin(&attrs);
    attrs_text(&attrs, ATTR_SOURCE, "signalbox");
    attrs_text(&attrs, ATTR_ACTOR, actor);
    id_new(clock_wall_us(), id);
    record_add(block, &(struct record_parts){.kind = RECORD_FACT,
                                             .flags = RECORD_JSON | RECORD_BY_BROKER,
                                             .type = "signalbox.paused",
                                             .id = id,
                                             .integration = integration_hash(name),
                                             .attrs = attrs.bytes,
                                             .attr_len = attrs.len,
                                             .data = text.bytes,
                                             .data_len = text.len});
    struct block *b = (struct block *)(void *)block->bytes;
    b->count++;
    b->events++;
    b->facts_total++;
    buf_fini(&attrs);
    buf_fini(&text);
}

/* A block that follows the last one. */
static void begin_block(struct store *store, struct buf *block)
{
    struct log_head head;
    struct buf before = BUF_NULL;
    uint64_t now = clock_wall_us();

    store_head(store, &head);
    struct block b = {.number = head.number + 1,
                      .prev_crc = head.crc,
                      .term = head.term,
                      .timestamp_us = now > head.timestamp_us ? now : head.timestamp_us};
    if (store_read(store, head.number, &before) == STORE_OK) {
        const struct block *last = (const struct block *)(void *)before.bytes;
        b.requests_total = last->requests_total;
        b.facts_total = last->facts_total;
        b.outcomes_total = last->outcomes_total;
    }
    buf_fini(&before);
    buf_add(block, &b, sizeof(b));
}

static int pause_all(struct restoring *r)
{
    const struct store_options options = {.dir = r->log,
                                          .segment_size = r->config->log.segment_size};
    struct buf block = BUF_NULL;
    char error[512];
    void *at = NULL;
    const char *name;
    const struct json *is_there;

    if (!r->copied.last)
        return CLI_DONE;
    struct store *store = store_open(&options, error, sizeof(error));
    if (!store)
        return cli_fail(CLI_FAILED, "%s", error);
    store_scan(store, 1, /* verify= */ false, find_names, r);
    begin_block(store, &block);
    while ((is_there = js_next(r->names, &at, &name)))
        add_pause(r, name, &block); /* a removed one too: it may come back */
    struct block *b = (struct block *)(void *)block.bytes;
    int result = STORE_OK;
    if (b->count > 0) {
        block_seal(b, block.len);
        result = store_append(store, (const struct block *const[]){b}, 1);
    }
    int status =
        result == STORE_OK ? CLI_DONE : cli_fail(CLI_FAILED, "%s", store_error(store));
    store_close(store);
    buf_fini(&block);
    return status;
}

/* --- the whole --- */

/* From here on it is a log. */
static int give_its_name(struct restoring *r)
{
    _free_ char *log = config_log_dir(r->config);
    int fd = open(r->config->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && rename(r->log, log) == 0 && fsync(fd) == 0;
    int failed = errno;

    if (fd >= 0)
        close(fd);
    return good ? CLI_DONE : cli_fail(CLI_FAILED, "%s: %s", log, strerror(failed));
}

static int restore(struct restoring *r)
{
    char error[512];
    int status = read_manifest(r);

    if (status == CLI_DONE &&
        service_lock(r->config->run, "up", error, sizeof(error)) < 0)
        status = cli_fail(CLI_FAILED, "%s", error);
    if (status == CLI_DONE)
        status = backup_empty_dir(r->config->data);
    if (status == CLI_DONE)
        status = copy_log(r);
    if (status == CLI_DONE)
        status = pause_all(r);
    if (status == CLI_DONE)
        status = copy_files(r);
    return status == CLI_DONE ? give_its_name(r) : status;
}

static void print(const struct cli *cli, const struct restoring *r)
{
    if (cli->json) {
        struct json *o = js_set_int(js_object(), "last_block", (int64_t)r->copied.last);
        cli_print(cli, js_set(o, "paused", js_copy(r->names)));
        return;
    }
    printf("restored up to block %" PRIu64 ", made %s; %zu integrations are paused:\n"
           "  signalbox up; signalbox log --status pending; then cancel what must not be "
           "done, and signalbox resume\n",
           r->copied.last, js_text(r->manifest, "made", "?"), js_count(r->names));
    if (access(r->config->vault.master_key_file, F_OK) != 0)
        printf("the vault's master key %s is not here: put it back from where you keep "
               "it\n",
               r->config->vault.master_key_file);
}

int cmd_restore(struct cli *cli, int argc, char **argv)
{
    if (cli_arguments(cli, NULL, argc, argv, 1, 1) < 0)
        return CLI_USAGE;
    const struct config *config = cli_config(cli);
    if (!config)
        return CLI_USAGE;
    struct restoring r = {.config = config,
                          .dir = argv[1],
                          .log = mem_format("%s/log.restoring", config->data),
                          .names = js_object()};
    int status = restore(&r);
    if (status == CLI_DONE)
        print(cli, &r);
    js_free(r.manifest);
    js_free(r.names);
    free(r.log);
    return status;
}
