/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/ledger/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/text.h"
#include "lib/http/crypto.h"
#include "proto/block.h"

enum { FILE_MAX = 64 << 20 }; /* of a file that is read: 700,000 segments */

void seal_next(struct seal *seal, const struct block *block)
{
    uint8_t own[SEAL_SIZE];

    crypto_sha256(block, block->len, own);
    const struct crypto_part parts[] = {{seal->link, SEAL_SIZE}, {own, SEAL_SIZE}};
    crypto_sha256_parts(parts, 2, seal->link);
    seal->block = block->number;
}

void seal_text(const struct seal *seal, char ret_text[SEAL_TEXT_SIZE])
{
    struct buf hex = BUF_NULL;

    text_hex(seal->link, SEAL_SIZE, &hex);
    memcpy(ret_text, buf_str(&hex), SEAL_TEXT_SIZE);
    buf_fini(&hex);
}

/* --- the file --- */

/* `NUMBER LINK`, nothing else. NULL or what is wrong. */
static const char *parse_line(const char *line, size_t n, uint64_t before,
                              struct seal *ret)
{
    struct buf link = BUF_NULL;
    size_t digits = 0;

    ret->block = 0;
    for (; digits < n && line[digits] >= '0' && line[digits] <= '9'; digits++) {
        if (ret->block > UINT64_MAX / 10 - 1)
            return "the number is too large";
        ret->block = ret->block * 10 + (uint64_t)(line[digits] - '0');
    }
    if (digits == 0 || ret->block <= before)
        return "expected a number that is larger than that of the line before";
    if (n != digits + 2 * SEAL_SIZE + 1 || line[digits] != ' ' ||
        !text_parse_hex(line + digits + 1, 2 * SEAL_SIZE, &link)) {
        buf_fini(&link);
        return "expected 64 hexadecimal digits behind one space";
    }
    memcpy(ret->link, link.bytes, SEAL_SIZE);
    buf_fini(&link);
    return NULL;
}

int seals_parse(const char *text, size_t n, struct seals *ret, char *error,
                size_t error_size)
{
    const char *end = text + n, *stop;
    size_t cap = 0;

    *ret = (struct seals){0};
    for (; n && (stop = memchr(text, '\n', (size_t)(end - text))); text = stop + 1) {
        struct seal seal;
        const char *why = parse_line(text, (size_t)(stop - text),
                                     ret->n ? ret->list[ret->n - 1].block : 0, &seal);
        if (why) {
            snprintf(error, error_size, "line %zu: %s", ret->n + 1, why);
            seals_fini(ret);
            return -1;
        }
        if (ret->n == cap) {
            cap = cap ? cap * 2 : 16;
            ret->list = mem_resize(ret->list, cap * sizeof(*ret->list));
        }
        ret->list[ret->n++] = seal;
    }
    return 0;
}

static int read_all(int fd, struct buf *out)
{
    ssize_t n = 1;

    while (out->len <= FILE_MAX && (n = read(fd, buf_reserve(out, 65536), 65536)) > 0)
        out->len += (size_t)n;
    if (n > 0)
        errno = EFBIG;
    return n == 0 ? 0 : -1;
}

int seals_read(const char *dir, struct seals *ret, char *error, size_t error_size)
{
    _free_ char *path = mem_format("%s/seals", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct buf text = BUF_NULL;
    char why[128];
    int rc = 0;

    *ret = (struct seals){0};
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || read_all(fd, &text)) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        rc = -1;
    } else if (seals_parse((const char *)text.bytes, text.len, ret, why, sizeof(why))) {
        snprintf(error, error_size, "%s: %s", path, why);
        rc = -1;
    }
    if (fd >= 0)
        close(fd);
    buf_fini(&text);
    return rc;
}

void seals_fini(struct seals *seals)
{
    free(seals->list);
    *seals = (struct seals){0};
}

/* Where the last whole line ends. */
static off_t end_of_lines(int fd)
{
    struct stat file;
    char byte;

    if (fstat(fd, &file))
        return -1;
    off_t end = file.st_size;
    while (end > 0 && (pread(fd, &byte, 1, end - 1) != 1 || byte != '\n'))
        end--;
    return end;
}

static int sync_name(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);

    if (fd >= 0)
        close(fd);
    return rc;
}

int seals_add(const char *dir, const struct seal *seal, char *error, size_t error_size)
{
    _free_ char *path = mem_format("%s/seals", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    off_t end = fd < 0 ? -1 : end_of_lines(fd);
    char link[SEAL_TEXT_SIZE];

    seal_text(seal, link);
    _free_ char *line = mem_format("%" PRIu64 " %s\n", seal->block, link);
    size_t n = strlen(line);
    int rc = end < 0 || ftruncate(fd, end) || pwrite(fd, line, n, end) != (ssize_t)n ||
                     fdatasync(fd) || (end == 0 && sync_name(dir))
                 ? -1
                 : 0;
    if (rc)
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return rc;
}

int seals_copy(const char *from, const char *to, uint64_t last, char *error,
               size_t error_size)
{
    struct seals seals;
    int rc = seals_read(from, &seals, error, error_size);

    for (size_t i = 0; rc == 0 && i < seals.n && seals.list[i].block <= last; i++)
        rc = seals_add(to, &seals.list[i], error, error_size);
    seals_fini(&seals);
    return rc;
}

const struct seal *seals_find(const struct seals *seals, uint64_t block)
{
    const struct seal *found = NULL;

    for (size_t i = 0; i < seals->n && seals->list[i].block <= block; i++)
        found = &seals->list[i];
    return found;
}
