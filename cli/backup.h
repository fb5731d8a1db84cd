/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* backup - what a backup's directory holds, for the two commands that make and read one
 *
 *     log/             the log's segments, copied block by block
 *     vault, tokens    as they are in the data directory (sealed; hashed)
 *     signalbox.yaml   the configuration, for a reader: restore leaves it alone
 *     backup.json      what should be there, written last: without it the backup is not
 *                      whole
 *
 * The vault's master key is not in it, and neither is any other secret in clear. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config;
struct json;
struct store_copied;

enum { BACKUP_FORM = 1, BACKUP_FILE_MAX = 16 << 20 };

/* The files beside the log: their name in the backup, and where they are at home. */
struct backup_file {
    const char *name;
    bool is_restored;
    char *(*path)(const struct config *config); /* to be freed */
};
extern const struct backup_file backup_files[]; /* ended by a NULL name */

/* Make the directory, or take an empty one. CLI_DONE, or CLI_FAILED after having said
 * why not. */
int backup_empty_dir(const char *dir);
/* Copy a file (mode 0600, durable, not over another one) and read it back; `ret_sha256`
 * gets its hash in hexadecimal (65 bytes). CLI_DONE, or CLI_FAILED after having said why;
 * *ret_is_there false: there is no such file, nothing was done. */
int backup_copy_file(const char *from, const char *to, bool *ret_is_there,
                     char ret_sha256[65]);
/* Give the copied log its seals, and read it again, from end to end: is it whole, is it
 * what was sealed, and does it end where it should? `from` and `dir` are directories of
 * segments. CLI_DONE, or CLI_FAILED after having said what does not fit. */
int backup_check_log(const char *from, const char *dir,
                     const struct store_copied *copied);
/* A store_copy_fn that draws how far it is where stderr is a terminal; user: a text that
 * says what is done. backup_drawn ends the line. */
bool backup_draw(void *user, const struct store_copied *so_far, uint64_t last);
void backup_drawn(void);
