/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/vault/vault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/id.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"
#include "lib/vault/secretfile.h"

enum { MAGIC_SIZE = 8, VERSIONS_MAX = 16, VAULT_SIZE_MAX = 4 << 20 };
static const char magic[MAGIC_SIZE] = {'S', 'B', 'V', 'A', 'U', 'L', 'T', '1'};

struct entry {
    char *name;
    struct vault_version *versions; /* newest first */
    size_t n;
};

struct vault {
    char *file, *key_file;
    uint8_t key[CRYPTO_KEY_SIZE];
    bool has_key, made_key;
    int lock_fd;
    struct entry *entries; /* by name */
    size_t n;
};

static void wipe_buf(struct buf *buf)
{
    if (buf->bytes)
        crypto_wipe(buf->bytes, buf->cap);
    buf_fini(buf);
}

static void wipe_text(char *text)
{
    if (text)
        crypto_wipe(text, strlen(text));
    free(text);
}

/* --- entries --- */

static void entry_fini(struct entry *entry)
{
    for (size_t i = 0; i < entry->n; i++)
        wipe_text(entry->versions[i].value);
    free(entry->versions);
    free(entry->name);
}

static struct entry *find(const struct vault *vault, const char *name)
{
    for (size_t i = 0; i < vault->n; i++)
        if (strcmp(vault->entries[i].name, name) == 0)
            return &vault->entries[i];
    return NULL;
}

static struct entry *add(struct vault *vault, const char *name)
{
    size_t at = 0;

    while (at < vault->n && strcmp(vault->entries[at].name, name) < 0)
        at++;
    vault->entries = mem_resize(vault->entries, (vault->n + 1) * sizeof(*vault->entries));
    memmove(vault->entries + at + 1, vault->entries + at,
            (vault->n - at) * sizeof(*vault->entries));
    vault->entries[at] = (struct entry){.name = mem_text(name)};
    vault->n++;
    return &vault->entries[at];
}

static bool is_valid(const struct vault_version *version, uint64_t now_us)
{
    return !version->until_us || version->until_us > now_us;
}

void vault_set(struct vault *vault, const char *name, const char *value, uint64_t now_us,
               uint64_t keep_old_us)
{
    struct entry *entry = find(vault, name);

    if (!entry)
        entry = add(vault, name);
    struct vault_version *all = mem_array(entry->n + 1, sizeof(*all));
    size_t n = 1;
    for (size_t i = 0; i < entry->n; i++) {
        struct vault_version old = entry->versions[i];
        if (!old.until_us || old.until_us > now_us + keep_old_us)
            old.until_us = now_us + keep_old_us;
        if (is_valid(&old, now_us) && n < VERSIONS_MAX)
            all[n++] = old;
        else
            wipe_text(old.value);
    }
    all[0] = (struct vault_version){entry->n ? entry->versions[0].number + 1 : 1, now_us,
                                    0, mem_text(value)};
    free(entry->versions);
    entry->versions = all;
    entry->n = n;
}

int vault_drop_old(struct vault *vault, const char *name)
{
    struct entry *entry = find(vault, name);

    if (!entry)
        return -1;
    size_t n = entry->n;
    while (entry->n > 1)
        wipe_text(entry->versions[--entry->n].value);
    return n > 1 ? (int)n - 1 : 0;
}

bool vault_remove(struct vault *vault, const char *name)
{
    struct entry *entry = find(vault, name);

    if (!entry)
        return false;
    entry_fini(entry);
    size_t at = (size_t)(entry - vault->entries);
    memmove(entry, entry + 1, (vault->n - at - 1) * sizeof(*entry));
    vault->n--;
    return true;
}

size_t vault_get(const struct vault *vault, const char *name, uint64_t now_us,
                 const struct vault_version **ret, size_t max)
{
    const struct entry *entry = find(vault, name);
    size_t n = 0;

    for (size_t i = 0; entry && i < entry->n && n < max; i++)
        if (is_valid(&entry->versions[i], now_us))
            ret[n++] = &entry->versions[i];
    return n;
}

const char *vault_name(const struct vault *vault, size_t index)
{
    return index < vault->n ? vault->entries[index].name : NULL;
}

/* --- the list as bytes: little-endian, lengths before texts --- */

static void put(struct buf *out, const void *bytes, size_t n)
{
    /* By hand: buf_add would leave unwiped copies behind when it moves. */
    if (out->cap - out->len <= n) {
        struct buf larger = BUF_NULL;
        buf_reserve(&larger, (out->len + n + 1) * 2);
        if (out->len)
            buf_add(&larger, out->bytes, out->len);
        wipe_buf(out);
        *out = larger;
    }
    buf_add(out, bytes, n);
}

static void put_text(struct buf *out, const char *text)
{
    uint32_t n = (uint32_t)strlen(text);

    put(out, &n, sizeof(n));
    put(out, text, n);
}

static void encode(const struct vault *vault, struct buf *out)
{
    for (size_t i = 0; i < vault->n; i++) {
        const struct entry *entry = &vault->entries[i];
        uint32_t n = (uint32_t)entry->n;
        put_text(out, entry->name);
        put(out, &n, sizeof(n));
        for (size_t j = 0; j < entry->n; j++) {
            const struct vault_version *version = &entry->versions[j];
            put(out, &version->number, sizeof(version->number));
            put(out, &version->created_us, sizeof(version->created_us));
            put(out, &version->until_us, sizeof(version->until_us));
            put_text(out, version->value);
        }
    }
}

struct reading {
    const uint8_t *at;
    size_t left;
};

static bool get(struct reading *r, void *ret, size_t n)
{
    if (r->left < n)
        return false;
    memcpy(ret, r->at, n);
    r->at += n;
    r->left -= n;
    return true;
}

static char *get_text(struct reading *r)
{
    uint32_t n;

    if (!get(r, &n, sizeof(n)) || n > r->left)
        return NULL;
    char *text = mem_copy(r->at, n);
    r->at += n;
    r->left -= n;
    return text;
}

static bool decode_entry(struct vault *vault, struct reading *r)
{
    _free_ char *name = get_text(r);
    uint32_t n;

    if (!name || !get(r, &n, sizeof(n)) || n > VERSIONS_MAX || find(vault, name))
        return false;
    struct entry *entry = add(vault, name);
    entry->versions = mem_array(n, sizeof(*entry->versions));
    for (; entry->n < n; entry->n++) {
        struct vault_version *version = &entry->versions[entry->n];
        if (!get(r, &version->number, sizeof(version->number)) ||
            !get(r, &version->created_us, sizeof(version->created_us)) ||
            !get(r, &version->until_us, sizeof(version->until_us)) ||
            !(version->value = get_text(r)))
            return false;
    }
    return true;
}

static bool decode(struct vault *vault, const uint8_t *bytes, size_t n)
{
    struct reading r = {bytes, n};

    while (r.left)
        if (!decode_entry(vault, &r))
            return false;
    return true;
}

/* --- the master key --- */

/* The credential that systemd hands over comes before the file. */
static char *choose_key_file(const char *configured)
{
    const char *dir = getenv("CREDENTIALS_DIRECTORY");
    _free_ char *credential = dir ? mem_format("%s/signalbox.key", dir) : NULL;

    return mem_text(credential && access(credential, F_OK) == 0 ? credential
                                                                : configured);
}

static bool read_key(struct vault *vault, char *error, size_t error_size)
{
    struct buf text = BUF_NULL, key = BUF_NULL;
    bool good = secretfile_read(vault->key_file, &text, error, error_size);

    if (good) {
        buf_reserve(&key, 2 * CRYPTO_KEY_SIZE); /* once, so that nothing is moved */
        vault->has_key =
            text_parse_hex(buf_str(&text), text.len, &key) && key.len == CRYPTO_KEY_SIZE;
        if (vault->has_key)
            memcpy(vault->key, key.bytes, CRYPTO_KEY_SIZE);
        else
            snprintf(error, error_size,
                     "%s: this is no master key; expected 64 hexadecimal digits",
                     vault->key_file);
        good = vault->has_key;
    }
    wipe_buf(&text);
    wipe_buf(&key);
    return good;
}

static bool make_key(struct vault *vault, char *error, size_t error_size)
{
    struct buf text = BUF_NULL;

    buf_reserve(&text, 2 * CRYPTO_KEY_SIZE + 2);
    id_random(vault->key, CRYPTO_KEY_SIZE);
    text_hex(vault->key, CRYPTO_KEY_SIZE, &text);
    buf_text(&text, "\n");
    vault->has_key = vault->made_key =
        secretfile_create(vault->key_file, text.bytes, text.len, error, error_size);
    wipe_buf(&text);
    return vault->has_key;
}

bool vault_made_key(const struct vault *vault)
{
    return vault->made_key;
}

const char *vault_key_file(const struct vault *vault)
{
    return vault->key_file;
}

/* --- the file --- */

static bool read_sealed(const char *path, struct buf *out, char *error, size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    ssize_t n = -1;

    if (fd >= 0)
        while (out->len <= VAULT_SIZE_MAX &&
               (n = read(fd, buf_reserve(out, 65536), 65536)) > 0)
            out->len += (size_t)n;
    if (n != 0)
        snprintf(error, error_size, "%s: %s", path,
                 n < 0 ? strerror(errno) : "too large");
    if (fd >= 0)
        close(fd);
    return n == 0;
}

static bool unseal(struct vault *vault, const struct buf *sealed, char *error,
                   size_t error_size)
{
    size_t extra = MAGIC_SIZE + CRYPTO_SEALED_EXTRA;

    if (sealed->len >= extra && memcmp(sealed->bytes, magic, MAGIC_SIZE - 1) == 0 &&
        sealed->bytes[MAGIC_SIZE - 1] > magic[MAGIC_SIZE - 1] &&
        sealed->bytes[MAGIC_SIZE - 1] <= '9') {
        snprintf(error, error_size,
                 "%s: a vault of form %c, this program knows form %c: it needs a newer "
                 "signalbox",
                 vault->file, sealed->bytes[MAGIC_SIZE - 1], magic[MAGIC_SIZE - 1]);
        return false;
    }
    if (sealed->len < extra || memcmp(sealed->bytes, magic, MAGIC_SIZE) != 0) {
        snprintf(error, error_size, "%s: this is no vault of signalbox", vault->file);
        return false;
    }
    size_t n = sealed->len - extra;
    uint8_t *plain = mem_alloc(n + 1);
    bool good = crypto_open(vault->key, magic, MAGIC_SIZE, sealed->bytes + MAGIC_SIZE,
                            sealed->len - MAGIC_SIZE, plain);
    if (!good)
        snprintf(
            error, error_size,
            "%s: it cannot be opened with the key %s: another key, or a damaged file",
            vault->file, vault->key_file);
    else if (!decode(vault, plain, n)) {
        good = false;
        snprintf(error, error_size, "%s: its content is not understood", vault->file);
    }
    crypto_wipe(plain, n + 1);
    free(plain);
    return good;
}

static bool load(struct vault *vault, char *error, size_t error_size)
{
    struct buf sealed = BUF_NULL;
    bool is_there = access(vault->file, F_OK) == 0;

    if (access(vault->key_file, F_OK) != 0) {
        if (is_there)
            snprintf(error, error_size, "%s: its master key %s is not there; restore it",
                     vault->file, vault->key_file);
        return !is_there;
    }
    if (!read_key(vault, error, error_size))
        return false;
    bool good = !is_there || (read_sealed(vault->file, &sealed, error, error_size) &&
                              unseal(vault, &sealed, error, error_size));
    buf_fini(&sealed);
    return good;
}

/* Directories down to the file's, ours alone. */
static bool make_directory(const char *file, char *error, size_t error_size)
{
    _free_ char *path = mem_text(file);

    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            snprintf(error, error_size, "%s: %s", path, strerror(errno));
            return false;
        }
        *slash = '/';
    }
    return true;
}

/* One writer at a time: what is read under the lock is what is replaced. */
static bool lock(struct vault *vault, char *error, size_t error_size)
{
    _free_ char *path = mem_format("%s.lock", vault->file);

    if (!make_directory(vault->file, error, error_size))
        return false;
    vault->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (vault->lock_fd >= 0 && flock(vault->lock_fd, LOCK_EX) == 0)
        return true;
    snprintf(error, error_size, "%s: %s", path, strerror(errno));
    return false;
}

struct vault *vault_open(const char *file, const char *key_file, bool writable,
                         char *error, size_t error_size)
{
    struct vault *vault = mem_alloc(sizeof(*vault));

    vault->lock_fd = -1;
    vault->file = mem_text(file);
    vault->key_file = choose_key_file(key_file);
    if ((!writable || lock(vault, error, error_size)) && load(vault, error, error_size))
        return vault;
    vault_close(vault);
    return NULL;
}

void vault_close(struct vault *vault)
{
    if (!vault)
        return;
    for (size_t i = 0; i < vault->n; i++)
        entry_fini(&vault->entries[i]);
    free(vault->entries);
    crypto_wipe(vault->key, sizeof(vault->key));
    if (vault->lock_fd >= 0)
        close(vault->lock_fd);
    free(vault->file);
    free(vault->key_file);
    free(vault);
}

bool vault_save(struct vault *vault, char *error, size_t error_size)
{
    struct buf plain = BUF_NULL, sealed = BUF_NULL;

    if (!vault->has_key && !(make_directory(vault->key_file, error, error_size) &&
                             make_key(vault, error, error_size)))
        return false;
    encode(vault, &plain);
    buf_add(&sealed, magic, MAGIC_SIZE);
    uint8_t *room = buf_reserve(&sealed, plain.len + CRYPTO_SEALED_EXTRA);
    crypto_seal(vault->key, magic, MAGIC_SIZE,
                plain.len ? plain.bytes : (const uint8_t *)"", plain.len, room);
    sealed.len += plain.len + CRYPTO_SEALED_EXTRA;
    bool good =
        secretfile_replace(vault->file, sealed.bytes, sealed.len, error, error_size);
    wipe_buf(&plain);
    buf_fini(&sealed);
    return good;
}
