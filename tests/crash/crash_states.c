/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* crash_states - what the disk may hold after a power cut, made from a trace, and checked
 *
 *   crash_states TRACE FOLDER STATES [SEED]
 *
 * Reads what disk.c recorded and cuts the power at STATES places, spread over the whole
 * of it. At each the disk holds what a completed barrier made durable, and of the changes
 * behind that any part: each is there, or not, or torn at 512 bytes, whichever was made
 * first. Names change in the order they were changed in, as in any journal, and last
 * once the directory is synced. A file synced without its directory may have no name.
 *
 * Each state is written into FOLDER (use a tmpfs) and opened by the store in a process of
 * its own, which must find every block that was acknowledged before the cut (check.h).
 * One line at the end; exit 1 when a state was bad. */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "tests/crash/check.h"
#include "tests/crash/trace.h"

enum {
    SECTOR = 512,
    PAGE = 4096,
    FILE_MAX = 64 << 20, /* bytes of a file */
    NAME_SIZE = 64,
    NAMES_MAX = 64,
    SYNCS_MAX = 16, /* at the same time */
    SHOWN_MAX = 5,  /* bad states that are described */
};

/* --- the model of a disk --- */

struct content {
    uint8_t *bytes; /* FILE_MAX of address space, zeros where nothing was written */
    uint8_t *pages; /* which may hold something else than zeros */
    uint64_t size;
};

struct change {
    const struct trace_record *record;
    struct file *file; /* of TRACE_CREATE: an inode may be another file's later */
    uint64_t index;    /* of the record */
    bool is_durable, is_lost;
};

struct changes {
    struct change *list;
    size_t n, capacity;
};

struct file {
    uint64_t inode;
    struct content content; /* that lasts */
    struct changes changes; /* that may not */
    struct file *next;
};

struct name {
    char text[NAME_SIZE];
    struct file *file;
};

struct names {
    struct name list[NAMES_MAX];
    size_t n;
};

struct sync { /* begun and not ended */
    uint64_t token, index;
};

struct disk {
    struct file *files;   /* the newest first: inodes are used again */
    struct names names;   /* that last */
    struct changes moves; /* of names, that may not */
    struct sync syncs[SYNCS_MAX];
    size_t n_syncs;
    struct acknowledged said;
    unsigned seed;
};

static void die(const char *what)
{
    fprintf(stderr, "crash_states: %s\n", what);
    exit(2);
}

static struct content content_new(void)
{
    struct content c = {0};

    c.bytes = mmap(NULL, FILE_MAX, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (c.bytes == MAP_FAILED)
        die("no memory for a file");
    c.pages = mem_alloc(FILE_MAX / PAGE);
    return c;
}

/* `bytes` NULL: zeros, of which nothing is written where there are only zeros. */
static void content_write(struct content *c, uint64_t at, const uint8_t *bytes,
                          uint64_t n)
{
    if (at + n > FILE_MAX)
        die("a file is larger than FILE_MAX");
    for (uint64_t page = at / PAGE; n && page <= (at + n - 1) / PAGE; page++)
        c->pages[page] |= bytes != NULL;
    if (bytes)
        memcpy(c->bytes + at, bytes, n);
    for (uint64_t i = at; !bytes && i < at + n;) {
        uint64_t left = PAGE - i % PAGE, step = left < at + n - i ? left : at + n - i;
        if (c->pages[i / PAGE])
            memset(c->bytes + i, 0, step);
        i += step;
    }
    c->size = at + n > c->size ? at + n : c->size;
}

static void content_resize(struct content *c, uint64_t size)
{
    if (size < c->size) {
        uint64_t old = c->size;
        content_write(c, size, NULL, old - size);
    }
    c->size = size;
}

static const uint8_t *payload(const struct trace_record *r)
{
    return (const uint8_t *)(r + 1);
}

static void apply_whole(struct content *c, const struct trace_record *r)
{
    if (r->op == TRACE_SIZE)
        content_resize(c, r->len);
    else
        content_write(c, r->at, r->op == TRACE_WRITE ? payload(r) : NULL, r->len);
}

/* --- what is random, and can be had again from the seed --- */

static unsigned roll(struct disk *disk, unsigned sides)
{
    disk->seed = disk->seed * 1664525u + 1013904223u;
    return (disk->seed >> 8) % sides;
}

enum mode { MODE_NOTHING, MODE_ALL, MODE_SUBSET, MODE_TORN, MODE_PREFIX, MODES };

static const char *const mode_names[MODES] = {"nothing", "all", "a subset", "torn",
                                              "a prefix"};

static void apply_torn(struct disk *disk, struct content *c, const struct trace_record *r)
{
    const uint8_t *bytes = r->op == TRACE_WRITE ? payload(r) : NULL;

    for (uint64_t at = r->at; at < r->at + r->len;) {
        uint64_t left = SECTOR - at % SECTOR, end = r->at + r->len;
        uint64_t step = left < end - at ? left : end - at;
        if (roll(disk, 2))
            content_write(c, at, bytes ? bytes + (at - r->at) : NULL, step);
        at += step;
    }
}

static void apply_some(struct disk *disk, struct file *file, enum mode mode)
{
    size_t prefix = roll(disk, (unsigned)file->changes.n + 1);

    for (size_t i = 0; i < file->changes.n; i++) {
        const struct change *change = &file->changes.list[i];
        bool is_kept = change->is_durable || mode == MODE_ALL ||
                       (mode == MODE_PREFIX && i < prefix) ||
                       (mode >= MODE_SUBSET && mode != MODE_PREFIX && roll(disk, 2));
        bool is_torn = mode == MODE_TORN && !change->is_durable && roll(disk, 2) &&
                       change->record->op != TRACE_SIZE;
        if (is_torn)
            apply_torn(disk, &file->content, change->record);
        else if (is_kept)
            apply_whole(&file->content, change->record);
    }
}

/* --- names --- */

static struct file *find_file(struct disk *disk, uint64_t inode)
{
    struct file *file = disk->files;

    while (file && file->inode != inode)
        file = file->next;
    return file;
}

static struct name *find_name(struct names *names, const char *text)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->list[i].text, text) == 0)
            return &names->list[i];
    return NULL;
}

static void set_name(struct names *names, const char *text, struct file *file)
{
    struct name *name = find_name(names, text);

    if (!name) {
        if (names->n == NAMES_MAX || strlen(text) >= NAME_SIZE)
            die("more or longer names than expected");
        name = &names->list[names->n++];
        strcpy(name->text, text);
    }
    name->file = file;
}

static void drop_name(struct names *names, const char *text)
{
    struct name *name = find_name(names, text);

    if (name)
        *name = names->list[--names->n];
}

static void move(struct names *names, const struct change *change)
{
    const char *text = (const char *)payload(change->record);
    struct name *old = find_name(names, text);
    struct file *file = old ? old->file : NULL;

    if (change->record->op == TRACE_CREATE) {
        set_name(names, text, change->file);
    } else {
        drop_name(names, text);
        if (file && change->record->op == TRACE_RENAME)
            set_name(names, text + strlen(text) + 1, file);
    }
}

/* --- following the trace --- */

static void add_change(struct changes *changes, const struct change *change)
{
    if (changes->n == changes->capacity) {
        changes->capacity = changes->capacity * 2 + 64;
        changes->list =
            mem_resize(changes->list, changes->capacity * sizeof(*changes->list));
    }
    changes->list[changes->n++] = *change;
}

static struct file *add_file(struct disk *disk, uint64_t inode)
{
    struct file *file = mem_alloc(sizeof(*file));

    *file = (struct file){.inode = inode, .content = content_new(), .next = disk->files};
    return disk->files = file;
}

/* A file's changes before `index` are behind a barrier now. */
static void settle_file(struct file *file, uint64_t index)
{
    size_t kept = 0;

    for (size_t i = 0; i < file->changes.n; i++) {
        const struct change *change = &file->changes.list[i];
        if (change->index > index)
            file->changes.list[kept++] = *change;
        else if (!change->is_lost)
            apply_whole(&file->content, change->record);
    }
    file->changes.n = kept;
}

static void settle_names(struct disk *disk, uint64_t index)
{
    size_t kept = 0;

    for (size_t i = 0; i < disk->moves.n; i++) {
        if (disk->moves.list[i].index > index)
            disk->moves.list[kept++] = disk->moves.list[i];
        else
            move(&disk->names, &disk->moves.list[i]);
    }
    disk->moves.n = kept;
}

static void lose(struct file *file, uint64_t index)
{
    for (size_t i = 0; i < file->changes.n; i++)
        if (file->changes.list[i].index < index && !file->changes.list[i].is_durable)
            file->changes.list[i].is_lost = true;
}

static void end_sync(struct disk *disk, const struct trace_record *r)
{
    size_t i = 0;

    while (i < disk->n_syncs && disk->syncs[i].token != r->token)
        i++;
    if (i == disk->n_syncs)
        die("the end of a sync that did not begin");
    uint64_t index = disk->syncs[i].index;
    disk->syncs[i] = disk->syncs[--disk->n_syncs];
    struct file *file = find_file(disk, r->file);
    if (r->at && r->op == TRACE_SYNC_END)
        settle_names(disk, index);
    else if (file && r->op == TRACE_SYNC_END)
        settle_file(file, index);
    else if (file)
        lose(file, index);
}

static void take_acknowledgement(struct disk *disk, const struct trace_record *r)
{
    char line[128];
    size_t n = r->payload < sizeof(line) - 1 ? r->payload : sizeof(line) - 1;

    memcpy(line, payload(r), n);
    line[n] = '\0';
    acknowledged_line(&disk->said, line);
}

static void mark_durable(struct file *file, uint64_t token)
{
    for (size_t i = 0; file && i < file->changes.n; i++)
        if (file->changes.list[i].record->token == token)
            file->changes.list[i].is_durable = true;
}

static void follow(struct disk *disk, const struct trace_record *r, uint64_t index)
{
    struct file *file = find_file(disk, r->file);
    struct change change = {.record = r, .index = index};

    switch ((enum trace_op)r->op) {
    case TRACE_WRITE:
    case TRACE_ZERO:
    case TRACE_SIZE:
        add_change(&(file ? file : add_file(disk, r->file))->changes, &change);
        break;
    case TRACE_DONE:
        mark_durable(file, r->token);
        break;
    case TRACE_SYNC_BEGIN:
        if (disk->n_syncs == SYNCS_MAX)
            die("too many syncs at once");
        disk->syncs[disk->n_syncs++] = (struct sync){r->token, index};
        break;
    case TRACE_SYNC_END:
    case TRACE_SYNC_LOST:
        end_sync(disk, r);
        break;
    case TRACE_CREATE:
        change.file = add_file(disk, r->file);
        add_change(&disk->moves, &change);
        break;
    case TRACE_RENAME:
    case TRACE_UNLINK:
        add_change(&disk->moves, &change);
        break;
    case TRACE_ACK:
        take_acknowledgement(disk, r);
        break;
    case TRACE_FAILED:
        break;
    default:
        die("this is not a trace");
    }
}

/* --- a state on disk --- */

static void write_file(const char *folder, const struct name *name)
{
    const struct content *c = &name->file->content;
    _free_ char *path = mem_format("%s/%s", folder, name->text);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (fd < 0 || ftruncate(fd, (off_t)c->size))
        die("cannot write a state");
    for (uint64_t page = 0; page * PAGE < c->size;) {
        uint64_t first = page;
        while (page * PAGE < c->size && c->pages[page])
            page++;
        uint64_t end = page * PAGE < c->size ? page * PAGE : c->size,
                 n = first * PAGE < end ? end - first * PAGE : 0;
        if (n &&
            pwrite(fd, c->bytes + first * PAGE, n, (off_t)(first * PAGE)) != (ssize_t)n)
            die("cannot write a state");
        page += page == first;
    }
    close(fd);
}

/* Only what still has a name can be found after a cut. */
static void write_state(struct disk *disk, const char *folder, enum mode mode)
{
    size_t moves = mode == MODE_NOTHING ? 0
                   : mode == MODE_ALL   ? disk->moves.n
                                        : roll(disk, (unsigned)disk->moves.n + 1);

    for (size_t i = 0; i < moves; i++)
        move(&disk->names, &disk->moves.list[i]);
    if (mkdir(folder, 0700))
        die("cannot make the folder of a state");
    for (size_t i = 0; i < disk->names.n; i++) {
        struct name *name = &disk->names.list[i];
        apply_some(disk, name->file, mode);
        write_file(folder, name);
    }
}

/* In a process of its own, for it changes the model and the store may die of it. */
static _Noreturn void try_state(struct disk *disk, const char *folder, enum mode mode,
                                int out)
{
    char found[400];

    write_state(disk, folder, mode);
    bool is_good = check_store(folder, &disk->said, found, sizeof(found));
    if (!is_good)
        dprintf(out, "%s", found);
    _exit(is_good ? 0 : 1);
}

static void remove_state(const char *folder)
{
    DIR *dir = opendir(folder);

    if (!dir)
        die("a state is gone");
    for (struct dirent *entry; (entry = readdir(dir));)
        (void)unlinkat(dirfd(dir), entry->d_name, 0); /* `.` and `..` stay; rmdir tells */
    closedir(dir);
    if (rmdir(folder))
        die("cannot remove a state");
}

static bool is_good_state(struct disk *disk, const char *folder, enum mode mode,
                          char *found, size_t size)
{
    int status = 0, pipe_fds[2];

    if (pipe(pipe_fds))
        die("no pipe");
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        try_state(disk, folder, mode, pipe_fds[1]);
    close(pipe_fds[1]);
    ssize_t n = pid < 0 ? -1 : read(pipe_fds[0], found, size - 1);
    close(pipe_fds[0]);
    if (n < 0 || waitpid(pid, &status, 0) < 0)
        die("no process");
    found[n] = '\0';
    if (WIFSIGNALED(status))
        snprintf(found, size, "it died of signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status) == 2)
        die("a state could not be made");
    remove_state(folder);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* --- all of it --- */

static const uint8_t *map_trace(const char *path, size_t *ret_size)
{
    int fd = open(path, O_RDONLY);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) || !st.st_size)
        die("there is no trace");
    const uint8_t *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        die("cannot read the trace");
    close(fd);
    *ret_size = (size_t)st.st_size;
    return bytes;
}

/* The next record; NULL at the end. What was cut off by a kill is not there. */
static const struct trace_record *next_record(const uint8_t *bytes, size_t size,
                                              size_t *at)
{
    const struct trace_record *r = (const void *)(bytes + *at);

    if (size - *at < sizeof(*r) || size - *at - sizeof(*r) < r->payload)
        return NULL;
    *at += sizeof(*r) + r->payload;
    return r;
}

int main(int argc, char **argv)
{
    size_t size, bad = 0, tried = 0, records = 0;
    const struct trace_record *r;
    char found[400];

    if (argc < 4)
        return 2;
    const uint8_t *bytes = map_trace(argv[1], &size);
    _free_ char *folder = mem_format("%s/state-%d", argv[2], (int)getpid());
    size_t states = strtoul(argv[3], NULL, 10);
    struct disk disk = {.seed = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 1};
    for (size_t at = 0; next_record(bytes, size, &at);)
        records++;
    for (size_t at = 0, index = 1; (r = next_record(bytes, size, &at)); index++) {
        follow(&disk, r, index);
        for (; tried < states * index / records; tried++) {
            enum mode mode = (enum mode)roll(&disk, MODES);
            unsigned seed = disk.seed;
            if (is_good_state(&disk, folder, mode, found, sizeof(found)))
                continue;
            if (bad++ < SHOWN_MAX)
                printf("cut after record %zu, seed %u, %s of what may be lost: %s\n",
                       index, seed, mode_names[mode], found);
        }
    }
    printf("%zu states of %zu records, %llu blocks acknowledged: %zu bad\n", tried,
           records, (unsigned long long)disk.said.n, bad);
    return bad != 0;
}
