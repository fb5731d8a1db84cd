/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* A spare is made under another name, a step at a time in the background, and counts once
 * it is whole and its name will last. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/kill.h"
#include "lib/base/mem.h"
#include "lib/store/directory.h"

enum {
    SPARES_WANTED = 2,
    STEP = 4 << 20, /* of a file written ahead, at a time */
    STEP_URGENT = 64 << 20,
    DISK_LEFT_OVER = 4 << 20, /* for the filesystem's own use */
};

static char *spare_path(const struct store_lmdb *lmdb, unsigned number)
{
    return mem_format("%s/spare-%u.mdb", lmdb->dir, number);
}

void spares_measure(struct store_lmdb *lmdb)
{
    struct statvfs fs;
    uint64_t bytes = 0;

    if (!fstatvfs(lmdb->dir_fd, &fs))
        bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    bytes = bytes > DISK_LEFT_OVER ? bytes - DISK_LEFT_OVER : 0;
    pthread_mutex_lock(&lmdb->store.lock);
    lmdb->disk_free =
        bytes / SEGMENT_SIZE_MIN * SEGMENT_SIZE_MIN; /* what makes whole segments */
    pthread_mutex_unlock(&lmdb->store.lock);
}

/* A number for a new spare; false when there are too many. */
static bool number_spare(struct store_lmdb *lmdb, unsigned *ret_number)
{
    pthread_mutex_lock(&lmdb->store.lock);
    *ret_number = lmdb->next_spare++;
    bool is_room = lmdb->n_spares < SPARES_MAX;
    pthread_mutex_unlock(&lmdb->store.lock);
    if (!is_room)
        store_fail(STORE_FULL, "%s: too many changes of segment at once", lmdb->dir);
    return is_room;
}

/* A segment is made under another name, so that a half-written one is never taken for a
 * spare. */
static char *half_path(const struct store_lmdb *lmdb, unsigned number)
{
    return mem_format("%s/spare-%u.tmp", lmdb->dir, number);
}

/* It is whole and synced: give it its name. */
static int finish_spare(struct store_lmdb *lmdb, unsigned number, uint64_t size)
{
    _free_ char *made = half_path(lmdb, number);
    _free_ char *path = spare_path(lmdb, number);

    KILL_POINT(logger_made_spare);
    if (rename(made, path)) {
        (void)unlink(made);
        return store_fail(STORE_FULL, "%s: cannot rename it: %s", made, strerror(errno));
    }
    if (fsync(lmdb->dir_fd)) { /* its name may not last: do not count on it */
        (void)unlink(path);
        return store_fail(STORE_FULL, "%s: cannot sync the directory: %s", lmdb->dir,
                          strerror(errno));
    }
    pthread_mutex_lock(&lmdb->store.lock);
    lmdb->spares[lmdb->n_spares++] = (struct spare){number, size};
    pthread_mutex_unlock(&lmdb->store.lock);
    return STORE_OK;
}

int spares_make_small(struct store_lmdb *lmdb)
{
    unsigned number;

    if (!number_spare(lmdb, &number))
        return STORE_FULL;
    _free_ char *path = half_path(lmdb, number);
    int result = segment_make(path, SEGMENT_SIZE_MIN);
    return result ? result : finish_spare(lmdb, number, SEGMENT_SIZE_MIN);
}

/* A step of a full-sized one, in the background. */
static int make_spare_step(struct store_lmdb *lmdb, bool is_urgent)
{
    uint64_t size = lmdb->store.options.segment_size;
    bool begins = !lmdb->is_making;

    if (begins && !number_spare(lmdb, &lmdb->making))
        return STORE_FULL;
    _free_ char *path = half_path(lmdb, lmdb->making);
    int result = segment_make_step(path, size, is_urgent ? STEP_URGENT : STEP, begins);
    lmdb->is_making = result == STORE_MORE;
    return result ? result : finish_spare(lmdb, lmdb->making, size);
}

int spares_open(struct store_lmdb *lmdb, uint64_t first)
{
    int result;

    pthread_mutex_lock(&lmdb->store.lock);
    unsigned number = lmdb->spares[0].number;
    bool is_there = lmdb->n_spares > 0;
    if (is_there)
        memmove(lmdb->spares, lmdb->spares + 1, --lmdb->n_spares * sizeof(*lmdb->spares));
    pthread_mutex_unlock(&lmdb->store.lock);
    if (!is_there)
        return store_fail(STORE_FAILED, "%s: no segment is ready", lmdb->dir);

    _free_ char *from = spare_path(lmdb, number);
    _free_ char *to = directory_path(lmdb, first);
    if (rename(from, to))
        return store_fail(STORE_FAILED, "%s: cannot rename it: %s", from,
                          strerror(errno));
    KILL_POINT(logger_renamed_segment);
    if ((result = directory_sync(lmdb)))
        return result;
    struct segment *segment = segment_open(to, /* for_writing= */ true, &result);
    if (!segment)
        return STORE_FAILED;
    pthread_mutex_lock(&lmdb->opening);
    pthread_mutex_lock(&lmdb->store.lock);
    directory_add(lmdb, first)->segment = segment;
    lmdb->tail_room = segment_room(segment);
    pthread_mutex_unlock(&lmdb->store.lock);
    pthread_mutex_unlock(&lmdb->opening);
    return STORE_OK;
}

/* Is the directory we hold still the one at its path? */
static int check_dir(struct store_lmdb *lmdb)
{
    struct stat here, there;

    if (fstat(lmdb->dir_fd, &here) || stat(lmdb->dir, &there) ||
        here.st_ino != there.st_ino || here.st_dev != there.st_dev)
        return store_fail(STORE_FAILED, "%s: the directory was removed or replaced",
                          lmdb->dir);
    return STORE_OK;
}

static void check_readers(struct store_lmdb *lmdb)
{
    struct store_extent extent;
    struct file *file = directory_pin(lmdb, UINT64_MAX, &extent);
    int result;

    if (!file)
        return;
    struct segment *segment = directory_use(lmdb, file, &result);
    if (segment)
        segment_check_readers(segment);
    directory_unpin(lmdb, file);
}

int spares_prepare(struct store *store)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;
    int result = check_dir(lmdb);

    if (result)
        return result;
    check_readers(lmdb);
    spares_measure(lmdb);
    pthread_mutex_lock(&store->lock);
    size_t have = 0;
    bool is_urgent = lmdb->n_spares == 0;
    uint64_t disk_free = lmdb->disk_free, size = store->options.segment_size;
    for (size_t i = 0; i < lmdb->n_spares; i++)
        have += lmdb->spares[i].size >= size; /* small ones are for need only */
    pthread_mutex_unlock(&store->lock);
    if (have >= SPARES_WANTED)
        return STORE_OK;
    if (!lmdb->is_making && disk_free < size)
        return store_fail(STORE_FULL, "%s: %llu bytes free, a segment takes %llu",
                          lmdb->dir, (unsigned long long)disk_free,
                          (unsigned long long)size);
    result = make_spare_step(lmdb, is_urgent);
    spares_measure(lmdb);
    return result == STORE_OK && have + 1 < SPARES_WANTED ? STORE_MORE : result;
}

void spares_adopt(struct store_lmdb *lmdb, const char *name)
{
    _free_ char *path = mem_format("%s/%s", lmdb->dir, name);
    unsigned number;
    int end = 0;

    if (sscanf(name, "spare-%u.mdb%n", &number, &end) == 1 && end && !name[end] &&
        lmdb->n_spares < SPARES_MAX) {
        uint64_t size = segment_blank(path);
        if (number >= lmdb->next_spare)
            lmdb->next_spare = number + 1;
        if (size) {
            lmdb->spares[lmdb->n_spares++] = (struct spare){number, size};
            return;
        }
    }
    (void)unlink(path);
}
