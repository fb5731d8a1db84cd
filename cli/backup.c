/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "lib/base/buf.h"
#include "lib/base/json.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/config/config.h"
#include "lib/http/crypto.h"
#include "lib/ledger/ledger.h"
#include "lib/ledger/seal.h"
#include "lib/store/copy.h"
#include "lib/store/store.h"
#include "lib/tokens/tokens.h"
#include "lib/vault/secretfile.h"

enum { BAR_COLUMNS = 30, ERROR_SIZE = 1024 };

static char *vault_path(const struct config *config)
{
    return mem_text(config->vault.vault_file);
}

static char *token_list_path(const struct config *config)
{
    return tokens_path(config->data);
}

static char *config_path(const struct config *config)
{
    return mem_text(config->path);
}

const struct backup_file backup_files[] = {
    {"vault", true, vault_path},
    {"tokens", true, token_list_path},
    {CONFIG_FILE, false, config_path},
    {NULL, false, NULL},
};

int backup_empty_dir(const char *dir)
{
    if (mkdir(dir, 0700) == 0)
        return CLI_DONE;
    DIR *there = errno == EEXIST ? opendir(dir) : NULL;
    if (!there)
        return cli_fail(CLI_FAILED, "%s: %s", dir, strerror(errno));
    const struct dirent *entry;
    do
        entry = readdir(there);
    while (entry &&
           (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    int status =
        entry ? cli_fail(CLI_FAILED, "%s is not empty: there is %s", dir, entry->d_name)
              : CLI_DONE;
    closedir(there);
    return status;
}

/* --- files --- */

/* The whole file. 0, or an errno. */
static int read_whole(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 1;

    if (fd < 0)
        return errno;
    while (n > 0 && out->len <= BACKUP_FILE_MAX) {
        n = read(fd, buf_reserve(out, 65536), 65536);
        out->len += n > 0 ? (size_t)n : 0;
    }
    int failed = n < 0 ? errno : n > 0 ? EFBIG : 0;
    close(fd);
    return failed;
}

static void hex_hash(const struct buf *bytes, char ret_sha256[65])
{
    struct buf text = BUF_NULL;
    uint8_t hash[CRYPTO_SHA256_SIZE];

    crypto_sha256(bytes->bytes, bytes->len, hash);
    text_hex(hash, sizeof(hash), &text);
    memcpy(ret_sha256, buf_str(&text), 65);
    buf_fini(&text);
}

int backup_copy_file(const char *from, const char *to, bool *ret_is_there,
                     char ret_sha256[65])
{
    struct buf bytes = BUF_NULL, again = BUF_NULL;
    char error[ERROR_SIZE];
    int failed = read_whole(from, &bytes), status = CLI_DONE;

    *ret_is_there = failed != ENOENT;
    if (failed && failed != ENOENT)
        status = cli_fail(CLI_FAILED, "%s: %s", from, strerror(failed));
    else if (!failed &&
             !secretfile_create(to, bytes.bytes, bytes.len, error, sizeof(error)))
        status = cli_fail(CLI_FAILED, "%s", error);
    else if (!failed && (read_whole(to, &again) != 0 || again.len != bytes.len ||
                         (bytes.len && memcmp(again.bytes, bytes.bytes, bytes.len) != 0)))
        status = cli_fail(CLI_FAILED, "%s does not read back as it was written", to);
    if (!failed)
        hex_hash(&bytes, ret_sha256);
    buf_fini(&bytes);
    buf_fini(&again);
    return status;
}

/* --- the log --- */

static void print_finding(void *user, const char *finding)
{
    (void)user;
    cli_fail(CLI_FAILED, "%s", finding);
}

int backup_check_log(const char *from, const char *dir, const struct store_copied *copied)
{
    char error[ERROR_SIZE];
    struct ledger_head head;

    if (!copied->last)
        return CLI_DONE; /* an empty log has no segment */
    if (seals_copy(from, dir, copied->last, error, sizeof(error)))
        return cli_fail(CLI_FAILED, "%s", error);
    struct ledger *ledger = ledger_open(dir, error, sizeof(error));
    if (!ledger)
        return cli_fail(CLI_FAILED, "%s", error);
    long findings = ledger_verify(ledger, NULL, &head, print_finding, NULL);
    uint64_t end = ledger_end(ledger);
    ledger_close(ledger);
    if (findings != 0)
        return cli_fail(CLI_FAILED, "%s: the copy is damaged", dir);
    return end == copied->last
               ? CLI_DONE
               : cli_fail(CLI_FAILED,
                          "%s: the copy ends at block %" PRIu64 " instead of %" PRIu64,
                          dir, end, copied->last);
}

bool backup_draw(void *user, const struct store_copied *so_far, uint64_t last)
{
    uint64_t all = last - so_far->first + 1, done = so_far->last - so_far->first + 1;
    unsigned filled = (unsigned)(done * BAR_COLUMNS / all);

    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%s [%.*s%*s] %3u %% %" PRIu64 " MiB", (const char *)user,
                (int)filled, "##############################",
                (int)(BAR_COLUMNS - filled), "", (unsigned)(done * 100 / all),
                so_far->bytes >> 20);
    return true;
}

void backup_drawn(void)
{
    if (isatty(STDERR_FILENO))
        fputc('\n', stderr);
}
