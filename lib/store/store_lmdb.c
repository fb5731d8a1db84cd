/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* store_lmdb - a directory of segments, the last one being written
 *
 * Files are named by their first block, so the list of names is the index: a segment ends
 * where the next begins. "spare-N.mdb" are segments written ahead; one becomes the tail
 * by a rename and a sync of the directory.
 *
 * Two locks.  `store.lock` guards the lists and is held for arithmetic only.  `opening`
 * is held while a segment is opened or closed, which reads its pages.  A file is pinned
 * (`users`) while it is used without a lock. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/base/kill.h"
#include "lib/base/mem.h"
#include "lib/store/internal.h"
#include "lib/store/segment.h"

enum {
    SPARES_WANTED = 2,
    SPARES_MAX = 64,      /* more changes of segment in one append are refused as full */
    OPEN_MAX = 32,        /* segments held open for reading */
    REFUSED_US = 1000000, /* how long a damaged file is not looked at again */
    NAME_DIGITS = 20,
    SEGMENT_SIZE_UNIT = 1 << 20,
    STEP = 4 << 20, /* of a file written ahead, at a time */
    STEP_URGENT = 64 << 20,
    DISK_LEFT_OVER = 4 << 20, /* for the filesystem's own use */
};

struct file {
    uint64_t first;
    char *path;
    struct segment *segment; /* guarded by `opening`; NULL = not open */
    char *refused; /* why it could not be opened, at refused_us; guarded by `opening` */
    uint64_t refused_us;
    unsigned users;
    uint64_t used_at;
};

struct spare {
    unsigned number;
    uint64_t size;
};

struct store_lmdb {
    struct store store;
    char *dir;
    int dir_fd, lock_fd;
    pthread_mutex_t opening;
    struct file **files;
    size_t n;
    struct spare spares[SPARES_MAX];
    size_t n_spares;
    unsigned next_spare;
    unsigned making; /* the number of the half-made one, housekeeper only */
    bool is_making;
    uint64_t disk_free, tail_room, clock;
};

/* --- the list of files --- */

static char *segment_path(const struct store_lmdb *lmdb, uint64_t first)
{
    return mem_format("%s/%020llu.mdb", lmdb->dir, (unsigned long long)first);
}

static char *spare_path(const struct store_lmdb *lmdb, unsigned number)
{
    return mem_format("%s/spare-%u.mdb", lmdb->dir, number);
}

static void file_free(struct file *file)
{
    segment_close(file->segment);
    free(file->refused);
    free(file->path);
    free(file);
}

/* Put a segment into its place in the list. Under the lock. */
static struct file *add_file(struct store_lmdb *lmdb, uint64_t first)
{
    struct file *file = mem_alloc(sizeof(*file));
    size_t at = lmdb->n;

    file->first = first;
    file->path = segment_path(lmdb, first);
    lmdb->files = mem_resize(lmdb->files, (lmdb->n + 1) * sizeof(struct file *));
    while (at && lmdb->files[at - 1]->first > first)
        at--;
    memmove(lmdb->files + at + 1, lmdb->files + at,
            (lmdb->n - at) * sizeof(struct file *));
    lmdb->files[at] = file;
    lmdb->n++;
    return file;
}

static void remove_file(struct store_lmdb *lmdb, size_t at)
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
            remove_file(lmdb, i);
    }
}

/* Bring the list up to what the directory holds. False when it cannot be read: the list
 * stays. */
static bool list_files(struct store_lmdb *lmdb)
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
            add_file(lmdb, list[i]);
    }
    forget_removed(lmdb, list, n);
    pthread_mutex_unlock(&lmdb->store.lock);
    return true;
}

/* The file that holds a block, and what else it may hold. NULL when the block is before
 * all. Unpin it. */
static struct file *pin(struct store_lmdb *lmdb, uint64_t number,
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

static void unpin(struct store_lmdb *lmdb, struct file *file)
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

/* The open segment of a pinned file. */
static struct segment *use(struct store_lmdb *lmdb, struct file *file, int *ret_result)
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

/* --- reading --- */

static int fetch(struct store_lmdb *lmdb, uint64_t number, size_t limit, struct buf *out,
                 struct store_extent *ret_bad)
{
    struct store_extent extent;
    int result;

    buf_clear(out);
    struct file *file = pin(lmdb, number, &extent);
    *ret_bad = (struct store_extent){number, number};
    if (!file)
        return STORE_NOT_FOUND;
    struct segment *segment = use(lmdb, file, &result);
    if (segment) {
        extent = (struct store_extent){number, number};
        result = segment_fetch(segment, number, limit, out);
    }
    unpin(lmdb, file);
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

    if (result == STORE_NOT_FOUND && store->is_reader && list_files(lmdb))
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

    struct file *file = pin(lmdb, UINT64_MAX, &extent);
    if (!file)
        return 0;
    struct segment *segment = use(lmdb, file, &result);
    if (!segment || segment_last(segment, &last))
        last = file->first;
    else if (!last)
        last = file->first - 1; /* taken into use, nothing committed yet */
    unpin(lmdb, file);
    return last;
}

static void lmdb_range(struct store *store, uint64_t *ret_first, uint64_t *ret_last)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;
    uint64_t last = 0;

    if (store->is_reader) {
        list_files(lmdb);
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

/* --- spares --- */

static void measure_disk(struct store_lmdb *lmdb)
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

static int sync_dir(struct store_lmdb *lmdb)
{
    return fsync(lmdb->dir_fd)
               ? store_fail(STORE_FAILED, "%s: cannot sync the directory: %s", lmdb->dir,
                            strerror(errno))
               : STORE_OK;
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

/* One small segment at once, for an append that would wait otherwise. */
static int make_small_spare(struct store_lmdb *lmdb)
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

/* The oldest spare becomes the tail. */
static int open_next(struct store_lmdb *lmdb, uint64_t first)
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
    _free_ char *to = segment_path(lmdb, first);
    if (rename(from, to))
        return store_fail(STORE_FAILED, "%s: cannot rename it: %s", from,
                          strerror(errno));
    KILL_POINT(logger_renamed_segment);
    if ((result = sync_dir(lmdb)))
        return result;
    struct segment *segment = segment_open(to, /* for_writing= */ true, &result);
    if (!segment)
        return STORE_FAILED;
    pthread_mutex_lock(&lmdb->opening);
    pthread_mutex_lock(&lmdb->store.lock);
    add_file(lmdb, first)->segment = segment;
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
    struct file *file = pin(lmdb, UINT64_MAX, &extent);
    int result;

    if (!file)
        return;
    struct segment *segment = use(lmdb, file, &result);
    if (segment)
        segment_check_readers(segment);
    unpin(lmdb, file);
}

static int lmdb_prepare(struct store *store)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;
    int result = check_dir(lmdb);

    if (result)
        return result;
    check_readers(lmdb);
    measure_disk(lmdb);
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
    measure_disk(lmdb);
    return result == STORE_OK && have + 1 < SPARES_WANTED ? STORE_MORE : result;
}

/* --- appending --- */

/* Must a new segment begin with this block? Accounts for it. */
static bool begins_segment(const struct block *block, bool is_empty, uint64_t *room)
{
    uint64_t cost = segment_cost(block->len);

    if (!(block->flags & BLOCK_OPENS_SEGMENT && !is_empty) && cost <= *room) {
        *room -= cost;
        return false;
    }
    return true;
}

/* Split an append into runs, one for each segment: the length of the first. 0: it begins
 * a new segment. */
static size_t run_length(const struct block *const *blocks, size_t n, bool is_empty,
                         uint64_t room)
{
    size_t i = 0;

    while (i < n && !begins_segment(blocks[i], is_empty && !i, &room))
        i++;
    return i;
}

static uint64_t spare_room(const struct store_lmdb *lmdb, size_t i)
{
    uint64_t size = i < lmdb->n_spares ? lmdb->spares[i].size : SEGMENT_SIZE_MIN;

    return size - (1 << 20); /* less than segment_room() of an empty one */
}

/* How many segments this append will open. */
static size_t count_changes(struct store_lmdb *lmdb, const struct block *const *blocks,
                            size_t n, bool is_empty)
{
    size_t changes = 0;

    pthread_mutex_lock(&lmdb->store.lock);
    size_t at = run_length(blocks, n, is_empty, lmdb->tail_room);
    while (at < n)
        at += run_length(blocks + at, n - at, /* is_empty= */ true,
                         spare_room(lmdb, changes++));
    pthread_mutex_unlock(&lmdb->store.lock);
    return changes;
}

/* Everything this append needs must be there before anything of it is written. */
static int ready_spares(struct store_lmdb *lmdb, size_t changes)
{
    int result = STORE_OK;

    for (size_t have = 0; !result;) {
        pthread_mutex_lock(&lmdb->store.lock);
        have = lmdb->n_spares;
        pthread_mutex_unlock(&lmdb->store.lock);
        if (have >= changes)
            break;
        result = make_small_spare(lmdb);
    }
    return result;
}

/* Commit to the tail, and say how much it still takes. */
static int append_run(struct store_lmdb *lmdb, struct segment *tail,
                      const struct block *const *blocks, size_t n)
{
    int result = segment_append(tail, blocks, n);

    if (result == STORE_OK) {
        pthread_mutex_lock(&lmdb->store.lock);
        lmdb->tail_room = segment_room(tail);
        pthread_mutex_unlock(&lmdb->store.lock);
    }
    return result;
}

static struct segment *tail_segment(struct store_lmdb *lmdb, uint64_t *ret_first)
{
    struct segment *segment = NULL;

    pthread_mutex_lock(&lmdb->store.lock);
    if (lmdb->n) {
        segment = lmdb->files[lmdb->n - 1]
                      ->segment; /* the writer's tail is open and stays so */
        *ret_first = lmdb->files[lmdb->n - 1]->first;
    }
    pthread_mutex_unlock(&lmdb->store.lock);
    return segment;
}

static int lmdb_append(struct store *store, const struct block *const *blocks, size_t n)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;
    uint64_t first = 0;
    struct segment *tail = tail_segment(lmdb, &first);
    bool is_empty = tail && first == blocks[0]->number, has_written = false;
    int result = ready_spares(lmdb, count_changes(lmdb, blocks, n, is_empty));

    for (size_t at = 0; !result && at < n;) {
        size_t run = run_length(blocks + at, n - at, is_empty, lmdb->tail_room);
        if (run)
            result = append_run(lmdb, tail, blocks + at, run);
        if (run && result == STORE_OK) {
            at += run;
            has_written = true;
        }
        if (at == n || (result && result != STORE_FULL))
            break;
        /* The estimate said so, or LMDB did: go on in the next file. */
        if ((result = ready_spares(lmdb, 1)) ||
            (result = open_next(lmdb, blocks[at]->number)))
            break;
        tail = tail_segment(lmdb, &first);
        is_empty = true;
    }
    return result == STORE_FULL && has_written ? STORE_FAILED : result;
}

static void lmdb_room(struct store *store, struct log_head *head)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;

    pthread_mutex_lock(&store->lock);
    head->segment_room = lmdb->tail_room;
    head->spare_bytes = lmdb->disk_free;
    for (size_t i = 0; i < lmdb->n_spares; i++)
        head->spare_bytes += lmdb->spares[i].size;
    pthread_mutex_unlock(&store->lock);
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
        remove_file(lmdb, 0);
        gone++;
    }
    pthread_mutex_unlock(&store->lock);
    pthread_mutex_unlock(&lmdb->opening);
    if (gone)
        (void)sync_dir(lmdb); /* a file that comes back is trimmed again */
    return gone;
}

/* --- opening and closing --- */

static void lmdb_close(struct store *store)
{
    struct store_lmdb *lmdb = (struct store_lmdb *)store;

    while (lmdb->n)
        remove_file(lmdb, lmdb->n - 1);
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

/* Take a spare that is whole, remove what is not. */
static void adopt_spare(struct store_lmdb *lmdb, const char *name)
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
            adopt_spare(lmdb, entry->d_name);
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
    .append = lmdb_append,
    .prepare = lmdb_prepare,
    .trim = lmdb_trim,
    .range = lmdb_range,
    .fetch = lmdb_fetch,
    .segments = lmdb_segments,
    .room = lmdb_room,
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
    if (!result && !list_files(lmdb))
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
    measure_disk(lmdb);
    return &lmdb->store;
}

struct store *store_lmdb_open_reader(const char *dir)
{
    struct store_lmdb *lmdb = lmdb_new(dir, /* options= */ NULL);

    if (open_dir(lmdb) || !list_files(lmdb)) {
        lmdb_close(&lmdb->store);
        return NULL;
    }
    return &lmdb->store;
}
