/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* What the writer's own process does to the list is known at once; what another process
 * does is seen when the directory is read again. */
#include "lib/store/directory.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/mem.h"

enum {
    OPEN_MAX = 32,        /* segments held open for reading */
    REFUSED_US = 1000000, /* how long a damaged file is not looked at again */
    NAME_DIGITS = 20,
};

char *directory_path(const struct store_lmdb *lmdb, uint64_t first)
{
    return mem_format("%s/%020llu.mdb", lmdb->dir, (unsigned long long)first);
}

static void file_free(struct file *file)
{
    segment_close(file->segment);
    free(file->refused);
    free(file->path);
    free(file);
}

struct file *directory_add(struct store_lmdb *lmdb, uint64_t first)
{
    struct file *file = mem_alloc(sizeof(*file));
    size_t at = lmdb->n;

    file->first = first;
    file->path = directory_path(lmdb, first);
    lmdb->files = mem_resize(lmdb->files, (lmdb->n + 1) * sizeof(struct file *));
    while (at && lmdb->files[at - 1]->first > first)
        at--;
    memmove(lmdb->files + at + 1, lmdb->files + at,
            (lmdb->n - at) * sizeof(struct file *));
    lmdb->files[at] = file;
    lmdb->n++;
    return file;
}

void directory_remove(struct store_lmdb *lmdb, size_t at)
{
    struct file *file = lmdb->files[at];

    lmdb->n--;
    memmove(lmdb->files + at, lmdb->files + at + 1,
            (lmdb->n - at) * sizeof(struct file *));
    file_free(file);
}

/* The first block of a file with this name; 0 when it is not a segment's. */
static uint64_t parse_name(const char *name)
{
    uint64_t first = 0;

    if (strlen(name) != NAME_DIGITS + 4 || strcmp(name + NAME_DIGITS, ".mdb") != 0)
        return 0;
    for (int i = 0; i < NAME_DIGITS; i++) {
        unsigned digit = (unsigned char)name[i] - '0';
        if (digit > 9 || first > (UINT64_MAX - digit) / 10)
            return 0;
        first = first * 10 + digit;
    }
    return first;
}

static void forget_removed(struct store_lmdb *lmdb, const uint64_t *there, size_t n)
{
    for (size_t i = lmdb->n; i--;) {
        bool is_there = false;
        for (size_t j = 0; j < n && !is_there; j++)
            is_there = there[j] == lmdb->files[i]->first;
        if (!is_there && !lmdb->files[i]->users)
            directory_remove(lmdb, i);
    }
}

bool directory_list(struct store_lmdb *lmdb)
{
    _cleanup_(buf_fini) struct buf there = BUF_NULL;
    DIR *dir = opendir(lmdb->dir);

    if (!dir)
        return false;
    for (struct dirent *entry; (entry = readdir(dir));) {
        uint64_t first = parse_name(entry->d_name);
        if (first)
            buf_add(&there, &first, sizeof(first));
    }
    closedir(dir);
    const uint64_t *list = (const void *)there.bytes;
    size_t n = there.len / sizeof(*list);
    pthread_mutex_lock(&lmdb->store.lock);
    for (size_t i = 0; i < n; i++) {
        bool is_known = false;
        for (size_t j = 0; j < lmdb->n && !is_known; j++)
            is_known = lmdb->files[j]->first == list[i];
        if (!is_known)
            directory_add(lmdb, list[i]);
    }
    forget_removed(lmdb, list, n);
    pthread_mutex_unlock(&lmdb->store.lock);
    return true;
}

struct file *directory_pin(struct store_lmdb *lmdb, uint64_t number,
                           struct store_extent *ret_extent)
{
    struct file *file = NULL;
    size_t low = 0, high = lmdb->n;

    pthread_mutex_lock(&lmdb->store.lock);
    high = lmdb->n;
    while (low < high) { /* the number of files that begin at or before it */
        size_t middle = low + (high - low) / 2;
        if (lmdb->files[middle]->first <= number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low) {
        file = lmdb->files[low - 1];
        file->users++;
        file->used_at = ++lmdb->clock;
        ret_extent->first = file->first;
        ret_extent->last = low < lmdb->n ? lmdb->files[low]->first - 1 : UINT64_MAX;
    }
    pthread_mutex_unlock(&lmdb->store.lock);
    return file;
}

void directory_unpin(struct store_lmdb *lmdb, struct file *file)
{
    pthread_mutex_lock(&lmdb->store.lock);
    file->users--;
    pthread_mutex_unlock(&lmdb->store.lock);
}

/* Keep the number of open files within its bound: close the one that was used longest
 * ago. */
static void close_one(struct store_lmdb *lmdb)
{
    struct file *oldest = NULL;
    size_t n_open = 0;

    pthread_mutex_lock(&lmdb->store.lock);
    for (size_t i = 0; i < lmdb->n; i++) {
        struct file *file = lmdb->files[i];
        n_open += file->segment != NULL;
        if (file->segment && !file->users && i + 1 < lmdb->n &&
            (!oldest || file->used_at < oldest->used_at))
            oldest = file;
    }
    if (n_open > OPEN_MAX && oldest) {
        segment_close(oldest->segment);
        oldest->segment = NULL;
    }
    pthread_mutex_unlock(&lmdb->store.lock);
}

/* Open a file for reading. One that was refused is not looked at again at once, for a
 * scan asks for each block. */
static int open_file(struct file *file)
{
    uint64_t now = clock_steady_us();
    int result;

    if (file->refused && now < file->refused_us + REFUSED_US)
        return store_fail(STORE_DAMAGED, "%s", file->refused);
    free(file->refused);
    file->refused = NULL;
    file->segment = segment_open(file->path, /* for_writing= */ false, &result);
    if (result == STORE_DAMAGED) {
        file->refused = mem_text(store_error(NULL));
        file->refused_us = now;
    }
    return result;
}

struct segment *directory_use(struct store_lmdb *lmdb, struct file *file, int *ret_result)
{
    *ret_result = STORE_OK;
    pthread_mutex_lock(&lmdb->opening);
    if (!file->segment) {
        *ret_result = open_file(file);
        close_one(lmdb);
    }
    struct segment *segment = file->segment;
    pthread_mutex_unlock(&lmdb->opening);
    return segment;
}

int directory_sync(struct store_lmdb *lmdb)
{
    return fsync(lmdb->dir_fd)
               ? store_fail(STORE_FAILED, "%s: cannot sync the directory: %s", lmdb->dir,
                            strerror(errno))
               : STORE_OK;
}
