/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* store_driver - writes to a store and says what was acknowledged, or checks a store
 * against what was
 *
 *   store_driver write DIR [--idle-after N] [--size BYTES] [--lying-disk] [--until-full]
 *       appends for ever; after each append one line `number crc` on stdout. With
 * --idle-after N it waits after N blocks. --until-full: at STORE_FULL it says `full
 * REASON` and goes on trying. store_driver check DIR    reads such lines on stdin; exit 1
 * unless every block is there and the log goes on store_driver read DIR     a reader
 * beside a writer: scans again and again, exit 1 at anything wrong store_driver time DIR
 * N SIZE [--extend]   how long N commits take, into a file written ahead or a growing one
 *
 * --lying-disk is the planted fault: fdatasync says yes and does nothing. The check must
 * find that out. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/store/store.h"
#include "tests/unit/store/chain.h"

enum { SEGMENT = 16 << 20 };

static bool is_lying;

/* LMDB's call ends here: the program's own symbol goes before the C library's. */
__attribute__((visibility("default"))) int fdatasync(int fd)
{
    return is_lying ? 0 : (int)syscall(SYS_fdatasync, fd);
}

static struct store *open_store(const char *dir, uint64_t segment_size)
{
    const struct store_options options = {.dir = dir, .segment_size = segment_size};
    char error[512];
    struct store *store = store_open(&options, error, sizeof(error));

    if (!store) {
        printf("cannot open: %s\n", error);
        exit(1);
    }
    return store;
}

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        exit(1);
}

/* --- write --- */

struct writing {
    unsigned long idle_after, size;
    bool until_full;
};

/* 0 appended and said so; else the store's result. */
static int append_some(struct store *store, struct chain *chain,
                       const struct writing *with)
{
    struct block *blocks[4];
    const struct block *list[4];
    struct chain before = *chain;
    size_t n = with->until_full ? 1 : 1 + (size_t)rand() % 4;
    char line[64];

    for (size_t i = 0; i < n; i++)
        list[i] = blocks[i] =
            chain_next(chain, with->size ? with->size : 300 + (size_t)rand() % 100000, 0);
    int result = store_append(store, list, n);
    for (size_t i = 0; i < n; i++) {
        snprintf(line, sizeof(line), "%llu %08x\n", (unsigned long long)list[i]->number,
                 list[i]->crc);
        if (result == STORE_OK)
            say(line);
        free(blocks[i]);
    }
    if (result)
        *chain = before;
    return result;
}

static int write_for_ever(const char *dir, const struct writing *with)
{
    struct store *store = open_store(dir, SEGMENT);
    struct log_head head;
    bool was_full = false;

    srand((unsigned)getpid());
    store_head(store, &head);
    struct chain chain = chain_behind(&head);
    for (uint64_t begin = head.number;;) {
        int prepared = store_prepare(store);
        int result =
            prepared == STORE_FAILED ? prepared : append_some(store, &chain, with);
        if (result && !(result == STORE_FULL && with->until_full)) {
            fprintf(stderr, "%s\n", store_error(store));
            return 74;
        }
        if (result && !was_full)
            printf("full %s\n", store_error(store)), fflush(stdout);
        was_full = result != 0;
        if (result)
            usleep(20000);
        store_head(store, &head);
        if (with->idle_after && head.number - begin >= with->idle_after) {
            say("idle\n");
            pause();
        }
    }
}

/* --- check --- */

struct checking {
    uint32_t *crcs; /* by number */
    uint64_t n, blocks;
    bool is_bad;
};

static bool check_block(void *user, uint64_t number, const struct block *block,
                        const char *why)
{
    struct checking *checking = user;

    checking->blocks++;
    if (!block)
        printf("damaged: %s\n", why);
    checking->is_bad |= !block;
    if (block && number <= checking->n && checking->crcs[number] &&
        checking->crcs[number] != block->crc) {
        printf("block %llu is another than the one acknowledged\n",
               (unsigned long long)number);
        checking->is_bad = true;
    }
    return true;
}

static int check(const char *dir)
{
    struct checking checking = {.crcs = mem_alloc(1 << 24)};
    struct log_head head;
    unsigned long long number;
    unsigned crc;
    char line[512];

    while (fgets(line, sizeof(line), stdin))
        if (sscanf(line, "%llu %x", &number, &crc) == 2 && number < (1 << 22)) {
            checking.crcs[number] = crc;
            checking.n = number > checking.n ? number : checking.n;
        }
    struct store *store = open_store(dir, SEGMENT);
    store_head(store, &head);
    store_scan(store, 1, /* verify= */ true, check_block, &checking);
    if (head.number < checking.n) {
        printf("block %llu was acknowledged, the log ends at %llu\n",
               (unsigned long long)checking.n, (unsigned long long)head.number);
        checking.is_bad = true;
    }
    struct chain chain = chain_behind(&head);
    struct block *next = chain_next(&chain, 1000, 0);
    const struct block *list[] = {next};
    if (store_append(store, list, 1)) {
        printf("does not go on: %s\n", store_error(store));
        checking.is_bad = true;
    }
    store_close(store);
    printf("%llu acknowledged, %llu there\n", (unsigned long long)checking.n,
           (unsigned long long)head.number);
    free(checking.crcs);
    free(next);
    return checking.is_bad;
}

/* --- read beside a writer --- */

static int read_again_and_again(const char *dir)
{
    char error[512];
    struct checking checking = {.n = 0};
    struct log_head head;
    uint64_t before = 0;

    struct store *store = store_open_reader(dir, error, sizeof(error));
    if (!store) {
        printf("cannot open: %s\n", error);
        return 1;
    }
    for (uint64_t until = clock_steady_us() + 2000000;
         clock_steady_us() < until && !checking.is_bad;) {
        store_scan(store, before > 20 ? before - 20 : 1, /* verify= */ true, check_block,
                   &checking);
        store_head(store, &head);
        if (head.number < before) {
            printf("the log went back from %llu to %llu\n", (unsigned long long)before,
                   (unsigned long long)head.number);
            checking.is_bad = true;
        }
        before = head.number;
    }
    printf("read up to %llu\n", (unsigned long long)before);
    store_close(store);
    return checking.is_bad;
}

/* --- time --- */

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static int time_commits(const char *dir, size_t n, size_t size, bool extend)
{
    struct store *store = open_store(dir, 512 << 20);
    uint64_t *took = mem_array(n, sizeof(*took));
    struct chain chain = {.term = 1, .timestamp_us = 1};
    struct store_segment segment;

    while (store_prepare(store) == STORE_MORE)
        ;
    for (size_t i = 0; i < n + 1; i++) {
        struct block *block = chain_next(&chain, size, 0);
        const struct block *list[] = {block};
        uint64_t began = clock_steady_us();
        if (store_append(store, list, 1))
            return 1;
        if (i)
            took[i - 1] = clock_steady_us() - began;
        else if (extend && store_segments(store, &segment, 1) &&
                 truncate(segment.path, 1 << 20))
            return 1; /* the first block opened the file: now it ends behind its pages in
                         use */
        free(block);
    }
    qsort(took, n, sizeof(*took), compare);
    printf("%zu commits of %zu bytes, %s: p50 %llu us, p99 %llu us\n", n, size,
           extend ? "file grows" : "file written ahead", (unsigned long long)took[n / 2],
           (unsigned long long)took[n * 99 / 100]);
    store_close(store);
    free(took);
    return 0;
}

static bool has(int argc, char **argv, const char *name, const char **ret_value)
{
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], name) == 0) {
            *ret_value = i + 1 < argc ? argv[i + 1] : "";
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    struct writing with = {0};
    const char *value;

    if (argc < 3)
        return 2;
    is_lying = has(argc, argv, "--lying-disk", &value);
    with.until_full = has(argc, argv, "--until-full", &value);
    if (has(argc, argv, "--idle-after", &value))
        with.idle_after = strtoul(value, NULL, 10);
    if (has(argc, argv, "--size", &value))
        with.size = strtoul(value, NULL, 10);
    if (strcmp(argv[1], "write") == 0)
        return write_for_ever(argv[2], &with);
    if (strcmp(argv[1], "check") == 0)
        return check(argv[2]);
    if (strcmp(argv[1], "read") == 0)
        return read_again_and_again(argv[2]);
    if (strcmp(argv[1], "time") == 0 && argc >= 5)
        return time_commits(argv[2], strtoul(argv[3], NULL, 10),
                            strtoul(argv[4], NULL, 10),
                            has(argc, argv, "--extend", &value));
    return 2;
}
