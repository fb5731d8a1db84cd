/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/vault/secretfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"

/* --- reading --- */

static const char too_large[] = "too large"; /* the limit is added where it is told */

static const char *unfit(const struct stat *st, size_t size_max)
{
    if (!S_ISREG(st->st_mode))
        return "it is not a regular file";
    if (st->st_mode & 077)
        return "others can read it; expected mode 0600";
    if (st->st_uid != geteuid() && st->st_uid != 0)
        return "it belongs to somebody else";
    if ((size_t)st->st_size > size_max)
        return too_large;
    return NULL;
}

static const char *read_all(int fd, struct buf *out, size_t size_max)
{
    size_t before = out->len;
    ssize_t n;

    buf_reserve(out, 2 * (size_max + 1)); /* once: what is moved is not wiped */
    while ((n = read(fd, buf_reserve(out, size_max + 1), size_max + 1)) > 0) {
        out->len += (size_t)n;
        if (out->len - before > size_max)
            return too_large;
    }
    return n < 0 ? strerror(errno) : NULL;
}

bool secretfile_read(const char *path, struct buf *out, char *error, size_t error_size)
{
    return secretfile_read_large(path, SECRET_SIZE_MAX, out, error, error_size);
}

bool secretfile_read_large(const char *path, size_t size_max, struct buf *out,
                           char *error, size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    const char *why;

    if (fd < 0) {
        snprintf(error, error_size, "%s: %s", path,
                 errno == ELOOP ? "it is a link; expected the file itself"
                                : strerror(errno));
        return false;
    }
    why = fstat(fd, &st) != 0 ? strerror(errno) : unfit(&st, size_max);
    if (!why)
        why = read_all(fd, out, size_max);
    close(fd);
    if (why == too_large)
        snprintf(error, error_size, "%s: it is larger than %zu KiB", path,
                 size_max >> 10);
    else if (why)
        snprintf(error, error_size, "%s: %s", path, why);
    if (why)
        return false;
    if (out->len && out->bytes[out->len - 1] == '\n')
        out->bytes[--out->len] = 0;
    return true;
}

/* --- writing --- */

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0) {
            bytes += done;
            n -= (size_t)done;
        }
    }
    return fsync(fd) == 0;
}

static bool sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    _free_ char *dir = slash ? mem_copy(path, (size_t)(slash - path) + 1) : mem_text(".");
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 && fsync(fd) == 0;

    if (fd >= 0)
        close(fd);
    return good;
}

static bool failed(const char *path, char *error, size_t error_size)
{
    snprintf(error, error_size, "%s: %s", path, strerror(errno));
    return false;
}

/* A file that was not there, written and synced; its name is not durable yet. */
static bool write_new(const char *path, const void *bytes, size_t n, char *error,
                      size_t error_size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return failed(path, error, error_size);
    bool good = write_all(fd, bytes, n);
    if (!good)
        failed(path, error, error_size);
    close(fd);
    if (!good)
        (void)unlink(path); /* half a secret is worse than none */
    return good;
}

bool secretfile_create(const char *path, const void *bytes, size_t n, char *error,
                       size_t error_size)
{
    /* of this process: another one may be at the same */
    _free_ char *temporary = mem_format("%s.new.%ld", path, (long)getpid());

    if (!write_new(temporary, bytes, n, error, error_size))
        return false;
    /* The name comes when all of it is there, and never in place of another file. */
    bool good = link(temporary, path) == 0 || failed(path, error, error_size);
    (void)unlink(temporary); /* what stays of it is a second name */
    return good && (sync_directory(path) || failed(path, error, error_size));
}

bool secretfile_replace(const char *path, const void *bytes, size_t n, char *error,
                        size_t error_size)
{
    _free_ char *temporary = mem_format("%s.new", path);

    (void)unlink(temporary); /* left by a process that died; usually there is none */
    if (!write_new(temporary, bytes, n, error, error_size))
        return false;
    if (rename(temporary, path) != 0) {
        failed(path, error, error_size);
        (void)unlink(temporary);
        return false;
    }
    return sync_directory(path) || failed(path, error, error_size);
}
