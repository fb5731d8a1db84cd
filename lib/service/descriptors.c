/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/service/descriptors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/mem.h"
#include "lib/loop/loop.h"

enum {
    WANTED = 65536, /* open descriptors */
    LOOK_US = 2000000,
};

struct descriptors {
    struct loop_timer *timer;
    bool was_said;
};

void descriptors_raise(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= WANTED)
        return;
    files.rlim_cur = files.rlim_max < WANTED ? files.rlim_max : WANTED;
    (void)setrlimit(RLIMIT_NOFILE,
                    &files); /* at most the hard limit: cannot be refused */
}

/* Descriptors are the lowest that are free: is the one at nine tenths of the limit in
 * use, so are those below.  One call, however many are open. */
static bool is_short(unsigned long limit)
{
    int mark = (int)(limit - limit / 10 - 1);
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, mark);

    if (fd < 0)
        return errno == EMFILE;
    close(fd);
    return fd > mark;
}

static void look(void *user)
{
    struct descriptors *d = user;
    struct rlimit files;

    loop_timer_in(d->timer, LOOK_US);
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY)
        return;
    bool now = is_short(files.rlim_cur);
    if (now && !d->was_said)
        log_say(DESCRIPTORS_SHORT, "limit=%lu", (unsigned long)files.rlim_cur);
    d->was_said = now;
}

struct descriptors *descriptors_watch(struct loop *loop)
{
    struct descriptors *d = mem_alloc(sizeof(*d));

    d->timer = loop_timer_new(loop, look, d);
    loop_timer_in(d->timer, LOOK_US);
    return d;
}

void descriptors_unwatch(struct descriptors *d)
{
    if (!d)
        return;
    loop_timer_free(d->timer);
    free(d);
}
