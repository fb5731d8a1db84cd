/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

enum {
    FLAG_EXITING = 4, /* PF_EXITING of linux/sched.h, in field 9 of /proc/PID/stat */
    STAT_SIZE = 512,  /* what is looked at stands in the first 100 bytes */
};

/* proc(5): `pid (name) state ppid pgrp session tty_nr tpgid flags ...`; the name may hold
 * anything, brackets too. */
static bool is_ending(const char *stat)
{
    const char *after = strrchr(stat, ')');
    unsigned flags = 0;
    char state = 0;

    return after &&
           sscanf(after + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags) == 2 &&
           (state == 'Z' || state == 'X' || (flags & FLAG_EXITING));
}

bool process_is_alive(uint64_t pid)
{
    char path[40], stat[STAT_SIZE] = "";

    if (pid == 0)
        return true;
    if (kill((pid_t)pid, 0) != 0 && errno == ESRCH)
        return false;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return true;
    size_t n = fread(stat, 1, sizeof(stat) - 1, file);
    stat[n] = 0;
    fclose(file);
    return !is_ending(stat);
}
