/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* disk - a library to preload: records what a program does to its disk, and makes the
 * disk fail or lie
 *
 * The environment says what:
 *   DISK_DIR=DIR             only files in this directory (without what lies below it)
 *   DISK_TRACE=FILE          append a record of each change to it (trace.h)
 *   DISK_FAIL=CALL:N:ERRNO   the N-th CALL fails; `CALL:N+:ERRNO` that one and all later
 *   DISK_LIE=sync            fsync and fdatasync say yes and do nothing
 *   DISK_LIE=nosync|nometasync   LMDB opens its files with that flag
 *   DISK_KILL=N              SIGKILL behind the N-th write that is a barrier by itself
 * (O_DSYNC): LMDB's meta page is on the disk, and nothing else knows
 *
 * Lock files are left out: they mean nothing after a start. The library is for tests and
 * nothing of it is in a product: it takes the place of the C library's calls. */
#undef _FILE_OFFSET_BITS /* else each call has but one of its two names */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/crash/trace.h"

#define SHOWN __attribute__((visibility("default")))

enum {
    PATH_SIZE = 512,
    TRACE_FD = 900, /* out of the way of a program that counts its descriptors */
    LMDB_NOSYNC = 0x10000,
    LMDB_NOMETASYNC = 0x40000,
};

enum call { CALL_WRITE, CALL_SYNC, CALL_RENAME, CALL_TRUNCATE, CALL_CREATE, CALLS };

static const char *const call_names[CALLS] = {"write", "sync", "rename", "truncate",
                                              "create"};
static const struct {
    const char *name;
    int number;
} errors[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EROFS", EROFS}};

static struct {
    char dir[PATH_SIZE];
    int trace_fd;
    bool is_lying;
    unsigned lmdb_flags;
    int fail_call, fail_errno;
    unsigned long fail_at, kill_at;
    bool fails_for_ever;
} set = {.trace_fd = -1, .fail_call = -1};

static atomic_ulong counts[CALLS], tokens, barriers;

static void die(const char *what)
{
    dprintf(STDERR_FILENO, "disk: %s\n", what);
    _exit(99);
}

static void read_failure(const char *text)
{
    char call[16], name[16], *end;
    const char *colon = strchr(text, ':');

    if (!colon || sscanf(text, "%15[a-z]", call) != 1)
        die("DISK_FAIL is CALL:N:ERRNO");
    for (int i = 0; i < CALLS; i++)
        if (strcmp(call, call_names[i]) == 0)
            set.fail_call = i;
    set.fail_at = strtoul(colon + 1, &end, 10);
    set.fails_for_ever = *end == '+';
    if (sscanf(end + set.fails_for_ever, ":%15[A-Z]", name) == 1)
        for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++)
            if (strcmp(name, errors[i].name) == 0)
                set.fail_errno = errors[i].number;
    if (set.fail_call < 0 || !set.fail_errno)
        die("DISK_FAIL: no such call or error");
}

static void open_trace(const char *path)
{
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path,
                          O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (fd < 0 || (set.trace_fd = fcntl(fd, F_DUPFD_CLOEXEC, TRACE_FD)) < 0)
        die("cannot open DISK_TRACE");
    syscall(SYS_close, fd);
}

__attribute__((constructor)) static void begin(void)
{
    const char *dir = getenv("DISK_DIR"), *trace = getenv("DISK_TRACE"),
               *fail = getenv("DISK_FAIL"), *lie = getenv("DISK_LIE"),
               *kills = getenv("DISK_KILL");

    if (!dir || strlen(dir) >= sizeof(set.dir))
        die("DISK_DIR is missing or too long");
    strcpy(set.dir, dir);
    tokens = (unsigned long)getpid() << 32; /* several processes may share a trace */
    if (fail)
        read_failure(fail);
    set.kill_at = kills ? strtoul(kills, NULL, 10) : 0;
    set.is_lying = lie && strcmp(lie, "sync") == 0;
    if (lie && strcmp(lie, "nosync") == 0)
        set.lmdb_flags = LMDB_NOSYNC;
    if (lie && strcmp(lie, "nometasync") == 0)
        set.lmdb_flags = LMDB_NOMETASYNC;
    if (trace)
        open_trace(trace);
}

/* --- which file it is --- */

/* The name of a file in the directory; NULL when it is elsewhere or a lock. */
static const char *name_of(const char *path)
{
    size_t n = strlen(set.dir), len = strlen(path);

    if (strncmp(path, set.dir, n) != 0 || path[n] != '/' || strchr(path + n + 1, '/'))
        return NULL;
    bool is_lock = len > 5 && (strcmp(path + len - 5, "-lock") == 0 ||
                               strcmp(path + len - 5, ".lock") == 0);
    return is_lock ? NULL : path + n + 1;
}

/* Does this descriptor belong to a file of ours, or to the directory itself? */
static bool is_ours(int fd, struct stat *ret_st)
{
    char link[32], path[PATH_SIZE];

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0)
        return false;
    path[n] = '\0';
    return (strcmp(path, set.dir) == 0 || name_of(path)) && fstat(fd, ret_st) == 0;
}

/* --- recording --- */

static void record(struct trace_record *r, const struct iovec *parts, int n)
{
    struct iovec all[65] = {{.iov_base = r, .iov_len = sizeof(*r)}};

    if (set.trace_fd < 0)
        return;
    if (n > 64)
        die("more parts in a write than LMDB makes");
    memcpy(all + 1, parts, (size_t)n * sizeof(*parts));
    for (int i = 0; i < n; i++)
        r->payload += (uint32_t)parts[i].iov_len;
    ssize_t done = (ssize_t)syscall(SYS_writev, set.trace_fd, all, n + 1);
    if (done != (ssize_t)(sizeof(*r) + r->payload))
        die("the trace cannot be written");
}

static void record_text(enum trace_op op, uint64_t file, const char *text, size_t n)
{
    struct trace_record r = {.op = op, .file = file};
    const struct iovec part = {.iov_base = (void *)(uintptr_t)text, .iov_len = n};

    record(&r, &part, 1);
}

static void record_call(enum trace_op op, const struct stat *st, uint64_t token)
{
    struct trace_record r = {
        .op = op, .file = st->st_ino, .at = S_ISDIR(st->st_mode), .token = token};

    record(&r, NULL, 0);
}

static bool is_zero(const struct iovec *parts, int n)
{
    for (int i = 0; i < n; i++) {
        const char *bytes = parts[i].iov_base;
        if (parts[i].iov_len &&
            (bytes[0] || memcmp(bytes, bytes + 1, parts[i].iov_len - 1)))
            return false;
    }
    return true;
}

/* Returns the token of the write. */
static uint64_t record_write(const struct stat *st, const struct iovec *parts, int n,
                             uint64_t at)
{
    struct trace_record r = {.file = st->st_ino, .at = at, .token = ++tokens};
    bool zero = is_zero(parts, n);

    r.op = zero ? TRACE_ZERO : TRACE_WRITE;
    for (int i = 0; i < n; i++)
        r.len += parts[i].iov_len;
    record(&r, parts, zero ? 0 : n);
    return r.token;
}

/* --- failing --- */

static bool fails(enum call call)
{
    unsigned long n = ++counts[call];

    if ((int)call != set.fail_call || n < set.fail_at ||
        (n > set.fail_at && !set.fails_for_ever))
        return false;
    record(&(struct trace_record){.op = TRACE_FAILED}, NULL, 0);
    errno = set.fail_errno;
    return true;
}

/* --- the calls: writing --- */

/* `at` below 0: at the file's own position. */
static ssize_t do_write(int fd, const struct iovec *parts, int n, off_t at)
{
    struct stat st;
    uint64_t token = 0;
    bool ours = is_ours(fd, &st), is_dsync = ours && (fcntl(fd, F_GETFL) & O_DSYNC);

    if (fd == STDOUT_FILENO && n == 1)
        record_text(TRACE_ACK, 0, parts[0].iov_base, parts[0].iov_len);
    if (ours && fails(CALL_WRITE))
        return -1;
    if (ours)
        token =
            record_write(&st, parts, n, (uint64_t)(at < 0 ? lseek(fd, 0, SEEK_CUR) : at));
    ssize_t result = (ssize_t)(at < 0 ? syscall(SYS_writev, fd, parts, n)
                                      : syscall(SYS_pwritev, fd, parts, n, at, 0L));
    if (is_dsync && result >= 0 && ++barriers == set.kill_at)
        raise(SIGKILL);
    if (is_dsync && result >= 0) {
        int saved = errno;
        record_call(TRACE_DONE, &st, token);
        errno = saved;
    }
    return result;
}

SHOWN ssize_t write(int fd, const void *bytes, size_t n)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};

    return do_write(fd, &part, 1, -1);
}

SHOWN ssize_t writev(int fd, const struct iovec *parts, int n)
{
    return do_write(fd, parts, n, -1);
}

SHOWN ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    const struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};

    return do_write(fd, &part, 1, at);
}

SHOWN ssize_t pwrite64(int fd, const void *bytes, size_t n, off_t at)
{
    return pwrite(fd, bytes, n, at);
}

SHOWN ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t at)
{
    return do_write(fd, parts, n, at);
}

SHOWN ssize_t pwritev64(int fd, const struct iovec *parts, int n, off_t at)
{
    return do_write(fd, parts, n, at);
}

SHOWN int ftruncate(int fd, off_t size)
{
    struct stat st;

    if (is_ours(fd, &st)) {
        if (fails(CALL_TRUNCATE))
            return -1;
        record(&(struct trace_record){.op = TRACE_SIZE,
                                      .file = st.st_ino,
                                      .len = (uint64_t)size},
               NULL, 0);
    }
    return (int)syscall(SYS_ftruncate, fd, size);
}

SHOWN int ftruncate64(int fd, off_t size)
{
    return ftruncate(fd, size);
}

/* --- the calls: barriers --- */

static int do_sync(int fd, long number)
{
    struct stat st;

    if (!is_ours(fd, &st))
        return (int)syscall(number, fd);
    uint64_t token = ++tokens;
    if (set.is_lying)
        return 0;
    record_call(TRACE_SYNC_BEGIN, &st, token);
    int result = fails(CALL_SYNC) ? -1 : (int)syscall(number, fd);
    int saved = errno;
    record_call(result ? TRACE_SYNC_LOST : TRACE_SYNC_END, &st, token);
    errno = saved;
    return result;
}

SHOWN int fdatasync(int fd)
{
    return do_sync(fd, SYS_fdatasync);
}

SHOWN int fsync(int fd)
{
    return do_sync(fd, SYS_fsync);
}

/* --- the calls: names --- */

SHOWN int rename(const char *from, const char *to)
{
    char names[2 * PATH_SIZE];
    const char *old = name_of(from), *new = name_of(to);

    if (old && new) {
        if (fails(CALL_RENAME))
            return -1;
        int n = snprintf(names, sizeof(names), "%s%c%s", old, '\0', new);
        record_text(TRACE_RENAME, 0, names, (size_t)n + 1);
    }
    return (int)syscall(SYS_rename, from, to);
}

SHOWN int unlink(const char *path)
{
    const char *name = name_of(path);

    if (name && access(path, F_OK) == 0)
        record_text(TRACE_UNLINK, 0, name, strlen(name) + 1);
    return (int)syscall(SYS_unlink, path);
}

static int do_open(const char *path, int flags, mode_t mode)
{
    const char *name = flags & O_CREAT ? name_of(path) : NULL;
    bool is_new = name && access(path, F_OK);
    struct stat st;

    if (is_new && fails(CALL_CREATE))
        return -1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0 && is_new && fstat(fd, &st) == 0)
        record_text(TRACE_CREATE, st.st_ino, name, strlen(name) + 1);
    return fd;
}

static mode_t mode_in(int flags, va_list args)
{
    return flags & O_CREAT ? va_arg(args, mode_t) : 0;
}

SHOWN int open(const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    mode_t mode = mode_in(flags, args);
    va_end(args);
    return do_open(path, flags, mode);
}

SHOWN int open64(const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    mode_t mode = mode_in(flags, args);
    va_end(args);
    return do_open(path, flags | O_LARGEFILE, mode);
}

/* --- LMDB, with a flag that is forbidden --- */

typedef int open_fn(void *env, const char *path, unsigned flags, mode_t mode);

SHOWN int mdb_env_open(void *env, const char *path, unsigned flags, mode_t mode);
SHOWN int mdb_env_open(void *env, const char *path, unsigned flags, mode_t mode)
{
    open_fn *next;

    *(void **)&next = dlsym(RTLD_NEXT, "mdb_env_open");
    if (!next)
        die("no LMDB is behind this library");
    return next(env, path, flags | (name_of(path) ? set.lmdb_flags : 0), mode);
}
