/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/base/kill.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[KILL_POINTS] = {
#define KILL(name, process, sentence) #name,
#include "lib/base/kill.def"
#undef KILL
};

static struct {
    int point; /* -1: none */
    unsigned long at;
    const char *file;
} wanted = {.point = -1};

static void read_environment(void)
{
    const char *text =
        getenv("SIGNALBOX_KILL"); /* NOLINT: before any thread could set it */
    const char *colon = text ? strchr(text, ':') : NULL;
    char *end = NULL;

    for (int i = 0; colon && i < KILL_POINTS; i++)
        if (strlen(names[i]) == (size_t)(colon - text) &&
            strncmp(text, names[i], strlen(names[i])) == 0)
            wanted.point = i;
    if (text && wanted.point >= 0) {
        wanted.at = strtoul(colon + 1, &end, 10);
        wanted.file = end + 1;
    }
    if (text && (wanted.point < 0 || *end != ':')) {
        fprintf(stderr, "SIGNALBOX_KILL is name:n:FILE with a name of kill.def\n");
        abort();
    }
}

void kill_here(enum kill_point point)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    static atomic_ulong hits;

    pthread_once(&once, read_environment);
    if ((int)point != wanted.point || ++hits != wanted.at)
        return;
    if (open(wanted.file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0)
        raise(SIGKILL);
}
