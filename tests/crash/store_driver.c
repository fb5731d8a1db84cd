/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* store_driver - writes to a store and says what was acknowledged, or checks a store
 * against what was
 *
 *   store_driver write DIR [--idle-after N] [--blocks N] [--roll N] [--size BYTES]
 *                          [--until-full] [--early]
 *       appends for ever, or N blocks; after each append one line `number crc` on stdout.
 *       --idle-after N: it waits after N blocks. --roll N: each N-th block opens a
 * segment.
 *       --until-full: at STORE_FULL it says `full REASON` and goes on trying.
 *       --early is a planted fault: a block is acknowledged before it is committed.
 *
 *   store_driver check DIR
 *       reads such lines on stdin; exit 1 unless every block is there and the log goes on
 *
 *   store_driver read DIR
 *       a reader beside a writer: scans again and again, exit 1 at anything wrong
 *
 *   store_driver time DIR N SIZE [--extend]
 *       how long N commits take, into a file written ahead or a growing one */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/store/store.h"
#include "tests/crash/check.h"
#include "tests/unit/store/chain.h"

enum { SEGMENT = 16 << 20 };

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
    unsigned long idle_after, blocks, roll, size;
    bool until_full, is_early;
};

static void acknowledge(const struct block *const *list, size_t n)
{
    char line[64];

    for (size_t i = 0; i < n; i++) {
        snprintf(line, sizeof(line), "%llu %08x\n", (unsigned long long)list[i]->number,
                 list[i]->crc);
        say(line);
    }
}

/* 0 appended and said so; else the store's result. */
static int append_some(struct store *store, struct chain *chain,
                       const struct writing *with)
{
    struct block *blocks[4];
    const struct block *list[4];
    struct chain before = *chain;
    size_t n = with->until_full ? 1 : 1 + (size_t)rand() % 4;

    for (size_t i = 0; i < n; i++) {
        bool rolls = with->roll && chain->number && chain->number % with->roll == 0;
        list[i] = blocks[i] =
            chain_next(chain, with->size ? with->size : 300 + (size_t)rand() % 100000,
                       rolls ? BLOCK_OPENS_SEGMENT : 0);
    }
    if (with->is_early)
        acknowledge(list, n);
    int result = store_append(store, list, n);
    if (result == STORE_OK && !with->is_early)
        acknowledge(list, n);
    for (size_t i = 0; i < n; i++)
        free(blocks[i]);
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
        if (with->blocks && head.number - begin >= with->blocks)
            return store_close(store), 0;
        if (with->idle_after && head.number - begin >= with->idle_after) {
            say("idle\n");
            pause();
        }
    }
}

/* --- check --- */

static int check(const char *dir)
{
    _cleanup_(acknowledged_fini) struct acknowledged said = {0};
    char line[512], found[512];

    while (fgets(line, sizeof(line), stdin))
        acknowledged_line(&said, line);
    bool is_good = check_store(dir, &said, found, sizeof(found));
    printf("%s\n", found);
    return !is_good;
}

/* --- read beside a writer --- */

static bool is_whole(void *user, uint64_t number, const struct block *block,
                     const char *why)
{
    (void)number;
    if (!block)
        printf("damaged: %s\n", why);
    *(bool *)user |= !block;
    return true;
}

static int read_again_and_again(const char *dir)
{
    char error[512];
    bool is_bad = false;
    struct log_head head;
    uint64_t before = 0;

    struct store *store = store_open_reader(dir, error, sizeof(error));
    if (!store) {
        printf("cannot open: %s\n", error);
        return 1;
    }
    for (uint64_t until = clock_steady_us() + 2000000;
         clock_steady_us() < until && !is_bad;) {
        store_scan(store, before > 20 ? before - 20 : 1, /* verify= */ true, is_whole,
                   &is_bad);
        store_head(store, &head);
        if (head.number < before) {
            printf("the log went back from %llu to %llu\n", (unsigned long long)before,
                   (unsigned long long)head.number);
            is_bad = true;
        }
        before = head.number;
    }
    printf("read up to %llu\n", (unsigned long long)before);
    store_close(store);
    return is_bad;
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
    with.until_full = has(argc, argv, "--until-full", &value);
    with.is_early = has(argc, argv, "--early", &value);
    if (has(argc, argv, "--blocks", &value))
        with.blocks = strtoul(value, NULL, 10);
    if (has(argc, argv, "--roll", &value))
        with.roll = strtoul(value, NULL, 10);
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
