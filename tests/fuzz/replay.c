/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
/* replay - a fuzzer's corpus as an ordinary test, on machines without libFuzzer: every
 * file in the folders named as arguments, each as it is, cut at every byte, and with
 * every byte changed in nine ways; after --few in one way (where each input takes a
 * world), after --whole only as it is (where one input is a long life). */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_SIZE_MAX = 1 << 20, EVERY_BYTE_MAX = 2048 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int is_whole, is_few;

/* A block of exactly n bytes, so that a sanitizer sees a step beyond. */
static void run(const uint8_t *data, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1);

    if (!exact)
        abort();
    memcpy(exact, data, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static void run_all(uint8_t *data, size_t n)
{
    run(data, n);
    for (size_t i = 0; i < n && i < EVERY_BYTE_MAX && !is_whole; i++) {
        uint8_t kept = data[i];
        run(data, i);
        for (int bit = 0; bit < 8 && !is_few; bit++) {
            data[i] = (uint8_t)(kept ^ 1 << bit);
            run(data, n);
        }
        data[i] = 0xff;
        run(data, n);
        data[i] = kept;
    }
}

static int replay_file(const char *path)
{
    static uint8_t data[FILE_SIZE_MAX];
    FILE *f = fopen(path, "rb");

    if (!f) {
        perror(path);
        return -1;
    }
    run_all(data, fread(data, 1, sizeof(data), f));
    return fclose(f);
}

static int replay_folder(const char *folder)
{
    DIR *d = opendir(folder);
    char path[4096];
    int n = 0;

    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        if (replay_file(path) != 0)
            return -1;
        n++;
    }
    if (d)
        closedir(d);
    return n;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') {
            is_whole = strcmp(argv[i], "--whole") == 0;
            is_few = strcmp(argv[i], "--few") == 0;
            continue;
        }
        int n = replay_folder(argv[i]);
        if (n <= 0) {
            fprintf(stderr, "%s: no corpus\n", argv[i]);
            return 1;
        }
        printf("%s: %d inputs\n", argv[i], n);
    }
    return argc > 1 ? 0 : 2;
}
