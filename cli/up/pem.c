/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/up/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/mem.h"
#include "lib/http/crypto.h"

static const char *unfit(int fd, bool is_secret)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return "it is not a regular file";
    if (is_secret && (st.st_mode & 077))
        return "others can read it; expected mode 0600";
    if (st.st_size > PEM_SIZE_MAX)
        return "it is larger than 64 KiB";
    return NULL;
}

/* The text, to be wiped and freed; NULL with a reason. */
static char *read_file(const char *path, bool is_secret, char *error, size_t error_size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    const char *why = fd < 0 ? strerror(errno) : unfit(fd, is_secret);
    char *text = mem_alloc(PEM_SIZE_MAX + 1);
    ssize_t n = why ? -1 : read(fd, text, PEM_SIZE_MAX);
    if (!why && n < 0)
        why = strerror(errno);
    if (!why && memchr(text, 0, (size_t)n))
        why = "it holds no text";
    if (fd >= 0)
        close(fd);
    if (!why)
        return text;
    snprintf(error, error_size, "%s: %s", path, why);
    crypto_wipe(text, PEM_SIZE_MAX);
    free(text);
    return NULL;
}

static void drop(char *text)
{
    if (text)
        crypto_wipe(text, PEM_SIZE_MAX);
    free(text);
}

bool pem_read(const char *certificate_path, const char *key_path, struct pem *ret,
              char *error, size_t error_size)
{
    char why[256];
    char *certificate = read_file(certificate_path, false, error, error_size);
    char *key = certificate ? read_file(key_path, true, error, error_size) : NULL;
    bool good = certificate && key;
    if (good &&
        !crypto_certificate_fits(certificate, key, clock_wall_us(), why, sizeof(why))) {
        snprintf(error, error_size, "%s and %s: %s", certificate_path, key_path, why);
        good = false;
    }
    if (good) {
        *ret = (struct pem){certificate, key};
    } else {
        drop(certificate);
        drop(key);
    }
    return good;
}
