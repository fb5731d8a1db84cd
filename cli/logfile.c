/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/logfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/reading.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/config/config.h"
#include "lib/ledger/ledger.h"
#include "lib/ledger/transfer.h"
#include "lib/service/service.h"
#include "lib/store/store.h"
#include "lib/store/views.h"
#include "proto/block.h"

/* --- verify --- */

static void print_finding(void *user, const char *finding)
{
    const struct cli *cli = user;

    if (cli->json)
        cli_print(cli, js_set_text(js_object(), "finding", finding));
    else
        puts(finding);
}

static void print_verdict(const struct cli *cli, const struct ledger_head *head, long n)
{
    if (cli->json) {
        struct json *o = js_set_int(js_object(), "findings", n);
        js_set_int(o, "last_block", (int64_t)head->block);
        js_set_text(o, "head", *head->text ? head->text : NULL);
        js_set_int(o, "sealed_block", (int64_t)head->sealed);
        if (head->found_at)
            js_set_int(o, "head_found_at", (int64_t)head->found_at);
        cli_print(cli, o);
        return;
    }
    printf("checksums, numbers, chain, totals and seals up to block %llu: %s\n",
           (unsigned long long)head->block, n ? "damaged" : "good");
    if (head->found_at)
        printf("the head you gave is that of block %llu: nothing up to it was changed\n",
               (unsigned long long)head->found_at);
    if (*head->text)
        printf("head %s\n", head->text);
}

static bool is_head(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

int logfile_verify(struct cli *cli, const char *head)
{
    struct ledger_head found = {0};
    int status;

    if (head && !is_head(head))
        return cli_fail(CLI_USAGE, "--head: expected 64 hexadecimal digits, as `log "
                                   "verify` prints them");
    struct ledger *ledger = reading_open(cli, &status);
    if (!ledger)
        return status;
    long n = ledger_verify(ledger, head, &found, print_finding, cli);
    if (n < 0)
        cli_fail(CLI_FAILED, "%s", ledger_error(ledger));
    else
        print_verdict(cli, &found, n);
    ledger_close(ledger);
    return n ? CLI_FAILED : CLI_DONE;
}

/* --- views --- */

static int say_rebuilt(const char *why, uint64_t first, uint64_t last, uint64_t end)
{
    if (why)
        return cli_fail(CLI_FAILED, "%s", why);
    if (last < end)
        return cli_fail(CLI_FAILED, "block %llu cannot be read; see signalbox log verify",
                        (unsigned long long)last + 1);
    printf("the views say what blocks %llu to %llu hold\n", (unsigned long long)first,
           (unsigned long long)end);
    return CLI_DONE;
}

/* Nobody else may write them meanwhile: the logger's lock is taken. */
int logfile_rebuild_views(struct cli *cli)
{
    const struct config *config = cli_config(cli);
    uint64_t last = 0, first, end;
    char error[512];

    if (!config)
        return CLI_USAGE;
    _free_ char *dir = config_log_dir(config);
    struct store *store = store_open_reader(dir, error, sizeof(error));
    if (!store)
        return cli_fail(CLI_UNREACHABLE, "there is no log to read: %s", error);
    int lock = service_lock(config->data, "signalbox-logger", error, sizeof(error));
    struct views *views =
        lock < 0 ? NULL : views_open(dir, /* read_only= */ false, error, sizeof(error));
    int result = views ? views_rebuild(views, store, &last) : VIEWS_FAILED;
    store_range(store, &first, &end);
    int status = say_rebuilt(result == VIEWS_OK ? NULL
                             : views            ? views_error(views)
                                                : error,
                             first, last, end);
    views_close(views);
    store_close(store);
    if (lock >= 0)
        close(lock);
    return status;
}

/* --- export --- */

static bool put(void *user, const void *bytes, size_t n)
{
    return fwrite(bytes, 1, n, user) == n;
}

static int write_range(struct ledger *ledger, uint64_t since_us, uint64_t until_us,
                       FILE *file, const char *path)
{
    uint64_t first = 0;
    long n = transfer_export(ledger, since_us, until_us, put, file, &first);

    if (n < 0)
        return cli_fail(CLI_FAILED, "%s: %s", path, ledger_error(ledger));
    if (fflush(file) || (file != stdout && fsync(fileno(file))))
        return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
    fprintf(stderr, "blocks %llu to %llu are in %s\n", (unsigned long long)first,
            (unsigned long long)(first + (uint64_t)n - 1), path);
    return CLI_DONE;
}

/* A file that is made here, and gone again when it did not become whole. */
static int write_file(struct ledger *ledger, uint64_t since_us, uint64_t until_us,
                      const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

    if (!file)
        return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
    int status = write_range(ledger, since_us, until_us, file, path);
    if (fclose(file) && status == CLI_DONE)
        status = cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
    if (status != CLI_DONE)
        (void)unlink(path); /* half a range is none */
    return status;
}

int logfile_export(struct cli *cli, const char *since, const char *until,
                   const char *path)
{
    uint64_t since_us = 0, until_us = 0;
    int status;

    if (!path)
        return cli_fail(CLI_USAGE, "log export: -o FILE says where to (- is stdout)");
    if (strcmp(path, "-") == 0 && isatty(STDOUT_FILENO))
        return cli_fail(CLI_USAGE, "log export: bytes for a file, not for a terminal");
    if ((since && !cli_time("--since", since, &since_us)) ||
        (until && !cli_time("--until", until, &until_us)))
        return CLI_USAGE;
    struct ledger *ledger = reading_open(cli, &status);
    if (!ledger)
        return status;
    status = strcmp(path, "-") == 0
                 ? write_range(ledger, since_us, until_us, stdout, path)
                 : write_file(ledger, since_us, until_us, path);
    ledger_close(ledger);
    return status;
}

/* --- import --- */

enum { BATCH_BYTES = 16 << 20, BATCH_BLOCKS = 1024 }; /* in one commit */

struct importing {
    struct store *store;
    char *dir; /* of the log in the making */
    struct block *batch[BATCH_BLOCKS];
    size_t n, bytes;
    char why[512]; /* "" while all is well */
};

static bool commit(struct importing *in)
{
    int result = STORE_MORE;

    while (result == STORE_MORE) /* a whole segment ahead; when there is no room for one,
                                    smaller ones are made on the way */
        result = store_prepare(in->store);
    result = in->n && result != STORE_FAILED
                 ? store_append(in->store, (const struct block *const *)in->batch, in->n)
                 : result;
    while (in->n)
        free(in->batch[--in->n]);
    in->bytes = 0;
    if (result == STORE_OK)
        return true;
    snprintf(in->why, sizeof(in->why), "%s", store_error(in->store));
    return false;
}

/* The chain of seals goes on from where the range was cut out. */
static bool begin(void *user, const struct transfer_head *head)
{
    struct importing *in = user;
    struct seal before = {.block = head->first - 1};

    memcpy(before.link, head->link, SEAL_SIZE);
    if (store_begin(in->store, head->first, head->prev_crc) != STORE_OK) {
        snprintf(in->why, sizeof(in->why), "%s", store_error(in->store));
        return false;
    }
    return head->first == 1 || seals_add(in->dir, &before, in->why, sizeof(in->why)) == 0;
}

static bool take_block(void *user, const struct block *block)
{
    struct importing *in = user;

    in->batch[in->n++] = mem_copy(block, block->len);
    in->bytes += block->len;
    return (in->n < BATCH_BLOCKS && in->bytes < BATCH_BYTES) || commit(in);
}

static ssize_t get(void *user, void *bytes, size_t n)
{
    FILE *file = user;
    size_t got = fread(bytes, 1, n, file);

    return got == 0 && ferror(file) ? -1 : (ssize_t)got;
}

static const struct transfer_sink sink = {.begin = begin, .block = take_block};

/* Fill the directory. */
static int fill(struct importing *in, const struct config *config, FILE *file,
                const char *path)
{
    const struct store_options options = {.dir = in->dir,
                                          .segment_size = config->log.segment_size};
    char error[512];

    in->store = store_open(&options, error, sizeof(error));
    if (!in->store)
        return cli_fail(CLI_FAILED, "%s", error);
    long n = transfer_import(get, file, &sink, in, error, sizeof(error));
    bool is_whole = n >= 0 && commit(in);
    while (in->n)
        free(in->batch[--in->n]);
    store_close(in->store);
    if (is_whole)
        return CLI_DONE;
    return *in->why ? cli_fail(CLI_FAILED, "%s: %s (%s)", path, in->why, error)
                    : cli_fail(CLI_FAILED, "%s: %s", path, error);
}

static void remove_dir(const char *path)
{
    DIR *dir = opendir(path);

    for (struct dirent *entry; dir && (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), entry->d_name, 0); /* rmdir says so */
    if (dir)
        closedir(dir);
    if (rmdir(path) && errno != ENOENT)
        cli_fail(CLI_FAILED, "%s cannot be removed: %s", path, strerror(errno));
}

/* The log is there under its name once it is whole. */
static int import_to(const struct config *config, const char *log, FILE *file,
                     const char *path)
{
    struct importing *in = mem_alloc(sizeof(*in));

    in->dir = mem_format("%s.importing", log);
    remove_dir(in->dir); /* what an import that was killed has left */
    int status = fill(in, config, file, path);
    if (status == CLI_DONE && rename(in->dir, log))
        status =
            cli_fail(CLI_FAILED, "%s cannot be renamed: %s", in->dir, strerror(errno));
    if (status != CLI_DONE)
        remove_dir(in->dir);
    else
        printf("the log is in %s; `signalbox log verify` checks it, the views are made "
               "when the logger starts or by `signalbox log --rebuild-views`\n",
               log);
    free(in->dir);
    free(in);
    return status;
}

int logfile_import(struct cli *cli, const char *path)
{
    const struct config *config = cli_config(cli);
    char error[512];

    if (!config)
        return CLI_USAGE;
    _free_ char *log = config_log_dir(config);
    if (rmdir(log) && errno != ENOENT)
        return cli_fail(CLI_FAILED,
                        "%s holds a log already; import into an empty data directory",
                        log);
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
    if (!file)
        return cli_fail(CLI_FAILED, "%s: %s", path, strerror(errno));
    int lock = service_lock(config->data, "signalbox-logger", error, sizeof(error));
    int status =
        lock < 0 ? cli_fail(CLI_FAILED, "%s", error) : import_to(config, log, file, path);
    if (lock >= 0)
        close(lock);
    if (file != stdin)
        fclose(file);
    return status;
}
