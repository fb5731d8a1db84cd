/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* memory - a library to preload: requests for memory that fail when a test says so
 *
 * MEMORY_DIR names a directory.  A program that finds a file of its own name in it maps
 * that file and counts its requests there; the test that made the file reads the count
 * and says which requests fail, at any time (memory.py):
 *
 *     u64 requests   how many there were
 *     u64 from, to   the numbers of those that fail, `to` not among them; 0, 0: none
 *     u64 failed     how many did
 *
 * Each process of a program counts from where the last one was.  What the C library asks
 * for its own sake always gets it, and is not counted: its name service (getprotobyname()
 * in libpgm's start) does not survive a refusal. The library is for tests and nothing of
 * it is in a product: it takes the place of the C library's calls. */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

enum { PATH_SIZE = 512 };

struct table {
    _Atomic uint64_t requests, from, to, failed;
};

static struct table *table;
static struct {
    uintptr_t from, to;
} libc;

/* The C library's own, below the names that are taken here. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

/* The C library's code: requests from there are its own. */
static int find_libc(struct dl_phdr_info *info, size_t size, void *user)
{
    (void)size;
    (void)user;
    if (!info->dlpi_name || !strstr(info->dlpi_name, "/libc.so"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        libc.from = info->dlpi_addr + part->p_vaddr;
        libc.to = libc.from + part->p_memsz;
    }
    return 1;
}

__attribute__((constructor)) static void begin(void)
{
    const char *dir = getenv("MEMORY_DIR");
    char path[PATH_SIZE];

    if (!dir)
        return;
    snprintf(path, sizeof(path), "%s/%s", dir, program_invocation_short_name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return; /* this program is left alone */
    dl_iterate_phdr(find_libc, NULL);
    void *at = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        table = at;
}

static bool refuses(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;

    if (!table || (at >= libc.from && at < libc.to))
        return false;
    uint64_t number = atomic_fetch_add(&table->requests, 1) + 1;
    if (number < atomic_load(&table->from) || number >= atomic_load(&table->to))
        return false;
    atomic_fetch_add(&table->failed, 1);
    errno = ENOMEM;
    return true;
}

SHOWN void *malloc(size_t n)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_malloc(n);
}

SHOWN void *calloc(size_t n, size_t size)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_calloc(n, size);
}

SHOWN void *realloc(void *old, size_t n)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_realloc(old, n);
}

SHOWN void *memalign(size_t alignment, size_t n)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, n);
}

SHOWN void *aligned_alloc(size_t alignment, size_t n)
{
    return refuses(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, n);
}

SHOWN int posix_memalign(void **ret, size_t alignment, size_t n)
{
    void *at =
        refuses(__builtin_return_address(0)) ? NULL : __libc_memalign(alignment, n);

    if (!at)
        return ENOMEM;
    *ret = at;
    return 0;
}
