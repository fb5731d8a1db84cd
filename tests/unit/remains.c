/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/remains.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <cmocka.h>

enum { REGION_MAX = 64 << 20 };

void remains_make(uint8_t masked[REMAINS_LEN])
{
    assert_int_equal(getrandom(masked, REMAINS_LEN, 0), REMAINS_LEN);
    for (int i = 0; i < REMAINS_LEN; i++)
        masked[i] = (uint8_t)('a' + masked[i] % 26) ^ REMAINS_MASK;
}

void remains_write(const uint8_t masked[REMAINS_LEN], char *to)
{
    for (int i = 0; i < REMAINS_LEN; i++)
        to[i] = (char)(masked[i] ^ REMAINS_MASK);
}

static unsigned count_in(const uint8_t *bytes, size_t n,
                         const uint8_t masked[REMAINS_LEN])
{
    unsigned found = 0;

    for (size_t at = 0; at + REMAINS_LEN <= n; at++) {
        int i = 0;
        while (i < REMAINS_LEN && bytes[at + i] == (masked[i] ^ REMAINS_MASK))
            i++;
        found += i == REMAINS_LEN;
    }
    return found;
}

/* What is looked at is copied to shared memory, which is not looked at. */
unsigned remains_count(const uint8_t masked[REMAINS_LEN])
{
    uint8_t *copy =
        mmap(NULL, REGION_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FILE *maps = fopen("/proc/self/maps", "r");
    int memory = open("/proc/self/mem", O_RDONLY);
    unsigned long from, to;
    unsigned found = 0;
    char line[512], rights[8];

    assert_true(copy != MAP_FAILED && maps && memory >= 0);
    while (fgets(line, sizeof(line), maps)) {
        assert_int_equal(sscanf(line, "%lx-%lx %7s", &from, &to, rights), 3);
        if (strncmp(rights, "rw-p", 4) != 0 || to - from > REGION_MAX)
            continue;
        ssize_t n = pread(memory, copy, to - from, (off_t)from);
        found += n > 0 ? count_in(copy, (size_t)n, masked) : 0;
    }
    close(memory);
    fclose(maps);
    munmap(copy, REGION_MAX);
    return found;
}
