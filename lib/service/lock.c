/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* flock, not fcntl: a lock that belongs to the open file is not lost when some library
 * opens and closes the same path. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/service/service.h"

/* mkdir -p: what is made is for its owner only, what is there is left as it is. */
static int make_dirs(const char *dir)
{
    _free_ char *path = mem_text(dir);

    for (char *at = path + 1; *at; at++) {
        if (*at != '/')
            continue;
        *at = 0;
        if (mkdir(path, 0700) && errno != EEXIST)
            return -1;
        *at = '/';
    }
    return mkdir(path, 0700) && errno != EEXIST ? -1 : 0;
}

static int refuse(int fd, const char *dir, const char *name, char *error,
                  size_t error_size)
{
    bool is_full_name = strncmp(name, "signalbox", 9) == 0;
    char pid[16] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

    pid[n > 0 ? n : 0] = 0;
    pid[strspn(pid, "0123456789")] = 0;
    snprintf(error, error_size, "another %s%s (pid %s) uses %s",
             is_full_name ? "" : "signalbox-", name, pid[0] ? pid : "unknown", dir);
    close(fd);
    return -1;
}

int service_lock(const char *dir, const char *name, char *error, size_t error_size)
{
    _free_ char *path = mem_format("%s/%s.lock", dir, name);
    char pid[16];

    if (make_dirs(dir)) {
        snprintf(error, error_size, "cannot make %s: %s", dir, strerror(errno));
        return -1;
    }
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        snprintf(error, error_size, "cannot open %s: %s", path, strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB))
        return refuse(fd, dir, name, error, error_size);
    int len = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)len, 0) != len) {
        snprintf(error, error_size, "cannot write %s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}
