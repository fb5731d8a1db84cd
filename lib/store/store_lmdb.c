/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* store_lmdb - a directory of segments, the last one being written: reading, trimming,
 * and how it is opened */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/store/directory.h"

enum { SEGMENT_SIZE_UNIT = 1 << 20 };

/* --- reading --- */

static int fetch(struct store_lmdb *lmdb, uint64_t number, size_t limit, struct buf *out,
                 struct store_extent *ret_bad)
{
    struct store_extent extent;
    int result;

    buf_clear(out);
    struct file *file = directory_pin(lmdb, number, &extent);
    *ret_bad = (struct store_extent){number, number};
    if (!file)
        return STORE_NOT_FOUND;
    struct segment *segment = directory_use(lmdb, file, &result);
    if (segment) {
        extent = (struct store_extent){number, number};
        result = segment_fetch(segment, number, limit, out);
    }
    directory_unpin(lmdb, file);
    if (extent.last == UINT64_MAX)
        extent.last = number;
    *ret_bad = extent;
    return result == STORE_FAILED ? STORE_DAMAGED : result;
}

/* A writer in another process begins and removes files without telling a reader. */
static int lmdb_fetch(struct store *store, uint64_t number, size_t limit, struct buf *out,
                      struct store_extent *ret_bad)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;
    int result = fetch(lmdb, number, limit, out, ret_bad);

    if (result == STORE_NOT_FOUND && store->is_reader && directory_list(lmdb))
        result = fetch(lmdb, number, limit, out, ret_bad);
    return result;
}

/* The last block that a reader can see. A tail that cannot be opened counts as one block,
 * so that a scan meets it. */
static uint64_t find_last(struct store_lmdb *lmdb)
{
    struct store_extent extent;
    uint64_t last = 0;
    int result;

    struct file *file = directory_pin(lmdb, UINT64_MAX, &extent);
    if (!file)
        return 0;
    struct segment *segment = directory_use(lmdb, file, &result);
    if (!segment || segment_last(segment, &last))
        last = file->first;
    else if (!last)
        last = file->first - 1; /* taken into use, nothing committed yet */
    directory_unpin(lmdb, file);
    return last;
}

static void lmdb_range(struct store *store, uint64_t *ret_first, uint64_t *ret_last)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;
    uint64_t last = 0;

    if (store->is_reader) {
        directory_list(lmdb);
        last = find_last(lmdb);
    }
    pthread_mutex_lock(&store->lock);
    if (!store->is_reader)
        last = store->head.number;
    *ret_first = last && lmdb->n ? lmdb->files[0]->first : 0;
    pthread_mutex_unlock(&store->lock);
    if (*ret_first > last) /* one segment, and that without a block */
        *ret_first = last = 0;
    *ret_last = last;
}

static size_t lmdb_segments(struct store *store, struct store_segment *ret, size_t max)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;
    struct stat st;
    uint64_t first, last;

    lmdb_range(store, &first, &last);
    pthread_mutex_lock(&store->lock);
    size_t n = lmdb->n;
    for (size_t i = 0; i < n && i < max; i++) {
        const struct file *file = lmdb->files[i];
        ret[i] = (struct store_segment){.first = file->first};
        ret[i].last = i + 1 < n ? lmdb->files[i + 1]->first - 1 : last;
        ret[i].bytes = stat(file->path, &st) ? 0 : (uint64_t)st.st_size;
        snprintf(ret[i].path, sizeof(ret[i].path), "%s", file->path);
    }
    pthread_mutex_unlock(&store->lock);
    return n;
}

/* --- trimming --- */

static void unlink_segment(const char *path)
{
    _free_ char *lock = mem_format("%s-lock", path);

    (void)unlink(
        path); /* what stays is found again at the next start, and trimmed again */
    (void)unlink(lock);
}

static int lmdb_trim(struct store *store, uint64_t keep_from)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;
    int gone = 0;

    pthread_mutex_lock(&lmdb->opening);
    pthread_mutex_lock(&store->lock);
    if (keep_from > store->head.number)
        keep_from = store->head.number;
    while (lmdb->n > 1 && lmdb->files[1]->first <= keep_from && !lmdb->files[0]->users) {
        unlink_segment(lmdb->files[0]->path);
        directory_remove(lmdb, 0);
        gone++;
    }
    pthread_mutex_unlock(&store->lock);
    pthread_mutex_unlock(&lmdb->opening);
    if (gone)
        (void)directory_sync(lmdb); /* a file that comes back is trimmed again */
    return gone;
}

/* --- opening and closing --- */

static void lmdb_close(struct store *store)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;

    while (lmdb->n)
        directory_remove(lmdb, lmdb->n - 1);
    free(lmdb->files);
    if (lmdb->lock_fd >= 0)
        close(lmdb->lock_fd);
    if (lmdb->dir_fd >= 0)
        close(lmdb->dir_fd);
    pthread_mutex_destroy(&lmdb->opening);
    pthread_mutex_destroy(&store->lock);
    free(lmdb->dir);
    free(lmdb);
}

static int take_lock(struct store_lmdb *lmdb)
{
    _free_ char *path = mem_format("%s/writer.lock", lmdb->dir);

    lmdb->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lmdb->lock_fd < 0)
        return store_fail(STORE_FAILED, "%s: cannot open it: %s", path, strerror(errno));
    if (flock(lmdb->lock_fd, LOCK_EX | LOCK_NB))
        return store_fail(STORE_FAILED, "%s: another process writes this log", lmdb->dir);
    return STORE_OK;
}

/* A lock file whose segment is gone. */
static void remove_orphan(struct store_lmdb *lmdb, const char *name)
{
    _free_ char *lock = mem_format("%s/%s", lmdb->dir, name);
    _free_ char *path = mem_text(lock);

    path[strlen(path) - strlen("-lock")] = '\0';
    if (access(path, F_OK) && errno == ENOENT)
        (void)unlink(lock);
}

static int clean_up(struct store_lmdb *lmdb)
{
    DIR *dir = opendir(lmdb->dir);

    if (!dir)
        return store_fail(STORE_FAILED, "%s: cannot list it: %s", lmdb->dir,
                          strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t len = strlen(entry->d_name);
        if (len > 9 && strcmp(entry->d_name + len - 9, ".mdb-lock") == 0)
            remove_orphan(lmdb, entry->d_name);
        else if (strncmp(entry->d_name, "spare-", 6) == 0)
            spares_adopt(lmdb, entry->d_name);
    }
    closedir(dir);
    return STORE_OK;
}

/* Open the tail for writing, verify it and the segment before, find the head. */
static int open_tail(struct store_lmdb *lmdb)
{
    int result = STORE_OK;
    uint64_t last;

    if (!lmdb->n)
        return STORE_OK;
    struct file *tail = lmdb->files[lmdb->n - 1];
    tail->segment = segment_open(tail->path, /* for_writing= */ true, &result);
    if (!tail->segment || (result = segment_last(tail->segment, &last)))
        return result;
    lmdb->tail_room = segment_room(tail->segment);
    lmdb->store.head.number = last ? last : tail->first - 1;
    size_t from = lmdb->n > 2 ? lmdb->n - 2 : 0;
    if (!last && from)
        from--; /* an empty one does not count */
    if (!last && lmdb->n == 1 && tail->first > 1)
        return store_fail(STORE_DAMAGED, "%s: no block is in the only segment there is",
                          tail->path);
    return last || lmdb->n > 1 ? store_verify_tail(&lmdb->store, lmdb->files[from]->first)
                               : STORE_OK;
}

static const struct store_ops lmdb_ops = {
    .close = lmdb_close,
    .append = append_blocks,
    .prepare = spares_prepare,
    .trim = lmdb_trim,
    .range = lmdb_range,
    .fetch = lmdb_fetch,
    .segments = lmdb_segments,
    .room = append_room,
};

static struct store_lmdb *lmdb_new(const char *dir, const struct store_options *options)
{
    struct store_lmdb *lmdb = mem_alloc(sizeof(*lmdb));

    lmdb->store.ops = &lmdb_ops;
    lmdb->store.is_reader = !options;
    if (options)
        lmdb->store.options = *options;
    lmdb->store.options.dir = NULL;
    lmdb->dir = mem_text(dir);
    lmdb->dir_fd = lmdb->lock_fd = -1;
    pthread_mutex_init(&lmdb->opening, NULL);
    pthread_mutex_init(&lmdb->store.lock, NULL);
    return lmdb;
}

static int open_dir(struct store_lmdb *lmdb)
{
    lmdb->dir_fd = open(lmdb->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return lmdb->dir_fd < 0 ? store_fail(STORE_FAILED, "%s: cannot open it: %s",
                                         lmdb->dir, strerror(errno))
                            : STORE_OK;
}

/* Make the log's directory when it is missing, and see to it that its name lasts. */
static int make_dir(const char *dir)
{
    if (mkdir(dir, 0700))
        return errno == EEXIST ? STORE_OK
                               : store_fail(STORE_FAILED, "%s: cannot make it: %s", dir,
                                            strerror(errno));
    _free_ char *parent = mem_format("%s/..", dir);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = fd < 0 || fsync(fd) ? errno : 0;
    if (fd >= 0)
        close(fd);
    return error ? store_fail(STORE_FAILED, "%s: cannot sync it: %s", parent,
                              strerror(error))
                 : STORE_OK;
}

static int open_writer(struct store_lmdb *lmdb)
{
    int result = make_dir(lmdb->dir);

    if (!result)
        result = open_dir(lmdb);
    if (!result)
        result = take_lock(lmdb);
    if (!result)
        result = clean_up(lmdb);
    if (!result && !directory_list(lmdb))
        result = store_fail(STORE_FAILED, "%s: cannot list it: %s", lmdb->dir,
                            strerror(errno));
    if (!result)
        result = open_tail(lmdb);
    return result;
}

struct store *store_lmdb_open(const struct store_options *options)
{
    if (options->segment_size < SEGMENT_SIZE_MIN ||
        options->segment_size % SEGMENT_SIZE_UNIT) {
        store_fail(STORE_FAILED,
                   "segment size %llu: it must be at least 16 MiB and whole MiB",
                   (unsigned long long)options->segment_size);
        return NULL;
    }
    struct store_lmdb *lmdb = lmdb_new(options->dir, options);
    if (open_writer(lmdb)) {
        lmdb_close(&lmdb->store);
        return NULL;
    }
    spares_measure(lmdb);
    return &lmdb->store;
}

struct store *store_lmdb_open_reader(const char *dir)
{
    struct store_lmdb *lmdb = lmdb_new(dir, /* options= */ NULL);

    if (open_dir(lmdb) || !directory_list(lmdb)) {
        lmdb_close(&lmdb->store);
        return NULL;
    }
    return &lmdb->store;
}
