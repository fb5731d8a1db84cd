/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* vault - secrets by name, in versions, in one sealed file
 *
 * The file is a magic number and a sealed list (AES-256-GCM, the magic number authenticated with it).  The master key is a file of
 * its own, 64 hexadecimal digits, mode 0600, or the systemd credential `signalbox.key`.  The first save makes
 * it.  Who has both files has the secrets; who loses the key has lost them: it must be backed up elsewhere.
 * Everything in clear is wiped when the vault is closed. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vault;

struct vault_version {
    uint32_t number; /* from 1 */
    uint64_t created_us;
    uint64_t until_us; /* valid before this time; 0 = the current one */
    char *value;       /* UTF-8, 1 to SECRET_SIZE_MAX bytes, NUL-terminated */
};

/* Open for reading, or (`writable`) alone, for changes. A missing file is an empty vault; a file without its key, or with another one,
 * is an error. NULL with a reason that holds nothing secret. */
struct vault *vault_open(const char *file, const char *key_file, bool writable, char *error, size_t error_size);
/* Wipe and free. Changes that were not saved are lost. NULL is fine. */
void vault_close(struct vault *vault);
/* Write it, atomically; makes directory (0700) and master key when missing. False with a reason. */
bool vault_save(struct vault *vault, char *error, size_t error_size);
/* Did vault_save() make the master key, and where is it? */
bool vault_made_key(const struct vault *vault);
const char *vault_key_file(const struct vault *vault);

/* A new current version. Older ones stay valid for `keep_old_us` (0: they are dropped), and never longer than before. */
void vault_set(struct vault *vault, const char *name, const char *value, uint64_t now_us, uint64_t keep_old_us);
/* Drop the versions before the current one. Returns how many there were, -1 when there is no such name. */
int vault_drop_old(struct vault *vault, const char *name);
/* False when there is none. */
bool vault_remove(struct vault *vault, const char *name);
/* The versions valid at `now_us`, current first, borrowed; returns how many were stored (at most `max`), 0 when there is no such name. */
size_t vault_get(const struct vault *vault, const char *name, uint64_t now_us, const struct vault_version **ret, size_t max);
/* Names in the order of the alphabet; NULL behind the last. */
const char *vault_name(const struct vault *vault, size_t index);
