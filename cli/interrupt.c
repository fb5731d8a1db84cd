/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "cli/interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>

static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { N_CAUGHT = sizeof(caught) / sizeof(caught[0]) };

static volatile sig_atomic_t came;
static struct sigaction before[N_CAUGHT];
static unsigned depth;

static void note(int number)
{
    came = number;
}

void interrupt_catch(void)
{
    const struct sigaction action = {.sa_handler = note}; /* no SA_RESTART */

    if (depth++)
        return;
    for (size_t i = 0; i < N_CAUGHT; i++) {
        (void)sigaction(caught[i], NULL, &before[i]); /* cannot fail for these */
        if (before[i].sa_handler != SIG_IGN)
            (void)sigaction(caught[i], &action, NULL);
    }
}

bool interrupt_came(void)
{
    return came != 0;
}

bool interrupt_wait(int fd)
{
    struct pollfd wanted = {.fd = fd, .events = POLLIN};
    sigset_t held, before_us;

    (void)sigemptyset(&held);
    for (size_t i = 0; i < N_CAUGHT; i++)
        (void)sigaddset(&held, caught[i]);
    /* one that comes between the question and the wait is seen by the wait */
    (void)sigprocmask(SIG_BLOCK, &held, &before_us);
    while (!came && ppoll(&wanted, 1, NULL, &before_us) < 0 && errno == EINTR)
        ;
    (void)sigprocmask(SIG_SETMASK, &before_us, NULL);
    return !came;
}

void interrupt_release(void)
{
    if (--depth)
        return;
    for (size_t i = 0; i < N_CAUGHT; i++)
        (void)sigaction(caught[i], &before[i], NULL);
    if (came)
        (void)raise(came);
    came = 0;
}
