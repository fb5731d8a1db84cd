/* SPDX-FileCopyrightText: The signalbox authors
 * SPDX-License-Identifier: Apache-2.0 */
#include "lib/worker/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/clock.h"
#include "lib/worker/spawn.h"

enum { PIECE = 16 << 10 };

/* Everything until the program closes its output. NULL, or what is wrong. */
static const char *read_all(int fd, const struct capture_options *o, uint64_t end_us,
                            struct buf *out)
{
    size_t before = out->len;

    for (;;) {
        uint64_t now_us = clock_steady_us();
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        int ready =
            now_us < end_us ? poll(&wait, 1, (int)((end_us - now_us) / 1000 + 1)) : 0;
        if (ready == 0)
            return "it did not end in time";
        if (ready < 0 && errno == EINTR)
            continue;
        ssize_t n = read(fd, buf_reserve(out, PIECE), PIECE);
        if (n < 0 && errno != EINTR)
            return strerror(errno);
        if (n == 0)
            return NULL;
        out->len += n > 0 ? (size_t)n : 0;
        if (out->len - before > o->output_max)
            return "it prints too much";
    }
}

/* It has closed its output: it is about to end, within the time it has. */
static bool ends_well(pid_t pid, uint64_t end_us, bool *ret_has_ended)
{
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_steady_us() >= end_us)
            return false;
        (void)poll(NULL, 0, 1);
    }
    *ret_has_ended = true;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int capture(const struct capture_options *options, struct buf *out, char *error,
            size_t error_size)
{
    uint64_t end_us = clock_steady_us() + options->timeout_us;
    bool has_ended = false;
    char how[100];
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(error, error_size, "%s", strerror(errno));
        return 1;
    }
    pid_t pid = spawn(&(struct spawn_options){.argv = options->argv,
                                              .directory = options->directory,
                                              .input = -1,
                                              .output = ends[1],
                                              .errors = options->errors,
                                              .secrets = -1},
                      error, error_size);
    close(ends[1]);
    const char *why = pid > 0 ? read_all(ends[0], options, end_us, out) : "";
    close(ends[0]);
    if (pid > 0 && !why && !ends_well(pid, end_us, &has_ended))
        why = "it did not end with status 0";
    if (pid > 0 && !has_ended)
        spawn_kill(pid, how, sizeof(how));
    if (pid > 0 && why)
        snprintf(error, error_size, "%s: %s", options->argv[0], why);
    return why ? 1 : 0;
}
